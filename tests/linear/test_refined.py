"""Few components of many samples: float32 first, then refinement, agrees with float64, or leaves it to float64."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmae import LinearMAE
from skmae.linear import Corruption, LinearAutoencoder, _dual, _krylov
from skmae.linear._dual import _Rows, solve_dual
from skmae.linear._refined import Shrinkage, is_projector

N, SHAPE, RANK = 160, (20, 30), 3


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """What is for thousands of samples, for a few; patches of more than 40 features are no longer put together."""
    monkeypatch.setattr(_krylov, "_MIN_FEATURES", 100)
    monkeypatch.setattr(_dual, "_JOINED", 40)


@pytest.fixture
def directly(monkeypatch):
    """How often float64 did it all."""
    calls, original = [], _dual._direct
    monkeypatch.setattr(_dual, "_direct", lambda *args: calls.append(1) or original(*args))
    return calls


def photos(rng, n=N, shape=SHAPE, decay=1.5):
    """Samples with the spectrum of photographs: patches are badly conditioned."""
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, shape), indexing="ij")) + 0.02
    noise = np.fft.fft2(rng.normal(size=(n, *shape)))
    X = np.fft.ifft2(noise / frequency**decay).real
    return 127 * X / np.abs(X).max()


def in_float64(model, X, **kwargs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_dual, "uses_krylov", lambda n, k: False)  # noqa: ARG005
        return clone(model).set_params(solver="dual").fit(X, **kwargs)


def assert_same(ours, theirs, rtol=1e-9):
    signs = np.sign(np.sum(ours.decoder_ * theirs.decoder_, axis=0))
    assert_allclose(ours.eigenvalues_, theirs.eigenvalues_, rtol=rtol)
    assert_allclose(ours.expected_loss_, theirs.expected_loss_, atol=rtol * theirs.eigenvalues_[0] / len(ours.mean_))
    assert_allclose(ours.decoder_ * signs, theirs.decoder_, atol=1e-6 * np.abs(theirs.decoder_).max())
    assert_allclose(ours.components_ * signs[:, None], theirs.components_, atol=1e-6 * np.abs(theirs.components_).max())
    assert_allclose(ours.mean_, theirs.mean_, rtol=1e-12, atol=1e-10)


TYPES = {
    "uint8": lambda X: (128 + X).astype(np.uint8),
    "int8": lambda X: X.astype(np.int8),
    "bool": lambda X: X > 0,
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: 1e3 + X,
    "large": lambda X: 2.0**80 * X,
    "small": lambda X: 2.0**-80 * X,
}
MODELS = {
    "large patches": LinearMAE(RANK, patch=10),
    "many tiny patches": LinearMAE(RANK, patch=2),
    "of two sizes": LinearMAE(RANK, mask=0.5, patch=(7, 7)),
    "features": LinearMAE(RANK, mask=0.5, patch=1),
    "exact": LinearMAE(RANK, mask=0.9, patch=10, mask_sampling="exact", whiten=True),
    "one visible": LinearMAE(RANK, mask=5 / 6, patch=10, mask_sampling="exact"),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_float64(name, dtype, rng, directly):
    X, model = TYPES[dtype](photos(rng, decay=1.0)), MODELS[name]
    ours = clone(model).set_params(solver="dual").fit(X)
    assert not directly
    assert_same(ours, in_float64(model, X))
    columns = ours.decoder_ / np.linalg.norm(ours.decoder_, axis=0)
    assert_allclose(columns.T @ columns, np.eye(RANK), atol=1e-13)


@pytest.mark.parametrize("patch", [2, 10])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_the_primal_solver(patch, weighted, rng, directly):
    X = TYPES["uint8"](photos(rng, n=320, decay=1.0))
    X[:, 3:8, 4] = 7
    weights = rng.integers(0, 3, len(X)).astype(float) if weighted else None
    dual, primal = (LinearMAE(RANK, patch=patch, solver=s).fit(X, sample_weight=weights) for s in ("dual", "eigh"))
    assert not directly
    assert dual.solver_ == "dual"
    assert_same(dual, primal)
    assert_allclose(dual.score(X, sample_weight=weights), -dual.expected_loss_, rtol=1e-12)


class Given(LinearAutoencoder):
    """A corruption that is given."""

    def __init__(self, n_components=RANK, *, given=None, image_shape=None, channel_axis="auto", solver="dual"):
        self.n_components = n_components
        self.given = given
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.whiten = False
        self.solver = solver

    def _corruption(self, grid):  # noqa: ARG002
        return self.given


def stripes(width, d=SHAPE[0] * SHAPE[1]):
    return np.arange(d) // width


@pytest.mark.parametrize("width", [60, 4])
@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_groups_with_weights_of_their_own_and_noise(width, noise, rng, directly):
    groups = stripes(width)
    within = rng.uniform(0.5, 3, groups[-1] + 1)
    model = Given(given=Corruption(across=0.8, within=within, noise=noise, groups=groups))
    X = photos(rng, decay=1.0)
    assert_same(clone(model).fit(X), in_float64(model, X))
    assert len(directly) == 1  # the second


def test_features_that_are_not_neighbours_are_read_as_well(rng):
    X = rng.integers(0, 255, (9, 50), dtype=np.uint8)
    for features in ([3], [0, 1, 2], [0, 2, 4, 6], [1, 2, 3, 4, 10, 11, 12, 13, 49], np.arange(50)):
        assert_array_equal(_Rows(X, None)._read(np.array(features)), X[:, features])


# -- what is left to float64 --------------------------------------------------------------------------------------


def ill_conditioned(X, rng):
    spectrum = np.geomspace(1, 10**-6.5, 100)[:, np.newaxis] * np.linalg.qr(rng.normal(size=(100, 100)))[0]
    patches = [(rng.normal(size=(len(X), 100)) @ spectrum).reshape(-1, 10, 10) for _ in range(6)]
    return np.block([patches[:3], patches[3:]])


LEFT = {
    "a patch is singular": (lambda X, rng: np.concatenate([X[..., :1], X[..., :-1]], axis=-1), {}),  # noqa: ARG005
    "patches are ill-conditioned": (ill_conditioned, {}),
    "hardly anything is hidden": (lambda X, rng: X, {"mask": 1e-9}),  # noqa: ARG005
    "as many components as there are": (lambda X, rng: X, {"n_components": None}),  # noqa: ARG005
    "many components": (lambda X, rng: X, {"n_components": 30}),  # noqa: ARG005
    "numbers too large for squares of squares": (lambda X, rng: X * 1e100, {}),  # noqa: ARG005
    "fewer directions than asked for": (lambda X, rng: X[rng.integers(0, 3, N)], {}),
}


@pytest.mark.parametrize("name", LEFT)
def test_is_left_to_float64(name, rng, directly):
    change, parameters = LEFT[name]
    X = change(photos(rng), rng)
    model = LinearMAE(RANK, patch=10).set_params(**parameters)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Every patch alone")
        ours = clone(model).set_params(solver="dual").fit(X)
        assert len(directly) == 1
        theirs = in_float64(model, X)
    assert_array_equal(ours.eigenvalues_, theirs.eigenvalues_)
    assert_array_equal(ours.components_, theirs.components_)


def test_what_float32_cannot_hold_is_left_to_float64(rng, directly):
    corruption = Corruption(within=1e-80, groups=stripes(100))
    X = photos(rng, decay=0.5).reshape(N, -1)
    found, mean, _ = solve_dual(X, corruption, RANK)  # warnings are errors
    assert len(directly) == 1
    assert_allclose((X - mean) @ found.encoder.T, (X - mean) @ found.decoder, atol=1e-6)


@pytest.mark.parametrize("broken", ["eigenpairs", "encoder", "refinement"])
def test_what_is_found_is_checked(broken, rng, directly, monkeypatch):
    X, model = photos(rng, decay=1.0), LinearMAE(RANK, patch=10, solver="dual")
    if broken == "refinement":
        monkeypatch.setattr(_dual, "_STEPS", 0)
    else:
        turn = _dual._Products.turn

        def wrong(self, share, C, A):
            decoder = turn(self, share, C, A)
            self.KC = (
                self.KC * (1 + 1e-6)
                if broken == "encoder"
                else self.KC + 1e-5 * np.linalg.norm(self.KC) * np.eye(*self.KC.shape)
            )
            return decoder

        monkeypatch.setattr(_dual._Products, "turn", wrong)
    ours = clone(model).fit(X)
    assert len(directly) == 1
    assert_array_equal(ours.components_, in_float64(model, X).components_)


def test_patches_that_tell_all_samples_apart_are_warned_about(rng):
    """Each with one feature less than there are samples, so that its second moment is regular."""
    X = rng.normal(size=(N, 2 * (N - 1)))
    with pytest.warns(UserWarning, match="Every patch alone tells all n_samples=160 samples apart"):
        solve_dual(X, Corruption(within=1.5, groups=stripes(N - 1, X.shape[1])), RANK)


def test_patches_that_tell_all_samples_but_one_apart_are_not_warned_about(rng, directly):
    X = rng.normal(size=(N, 2 * (N - 2)))
    solve_dual(X, Corruption(within=1.5, groups=stripes(N - 2, X.shape[1])), RANK)
    assert not directly


# -- n × n --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("across", [0.0, 1.0, 20.0])
def test_one_exact_product_squares_the_error(across, rng):
    n, k = 200, 3
    A, B = rng.normal(size=(n, 300)) * np.geomspace(1, 0.01, 300), rng.normal(size=(n, 400))
    H, K, noise = A @ A.T, B @ B.T / 400, rng.normal(size=(n, n))
    inverse = np.linalg.inv(across * K + np.eye(n))
    values = np.sort(np.linalg.eigvals(K @ inverse @ H).real)[::-1][:k]
    model = Shrinkage.of(H, K + 1e-6 * (noise + noise.T), across)
    pairs = model.eigenpairs(k)
    assert np.abs(pairs.values / values - 1).max() > 1e-7
    assert not model.is_solved_by(pairs, K @ pairs.C)
    model = model.learn(pairs, K @ pairs.C)
    pairs = model.eigenpairs(k)
    assert model.is_solved_by(pairs, K @ pairs.C)
    assert_allclose(pairs.values, values, rtol=1e-9)
    assert_allclose(pairs.C, inverse @ model.F @ pairs.Z, atol=1e-8 * np.abs(pairs.C).max())
    assert_allclose(pairs.P, K @ pairs.C, atol=1e-8 * np.abs(pairs.P).max())


def test_a_shrinkage_needs_a_positive_matrix():
    assert Shrinkage.of(np.eye(3), -2 * np.eye(3), 1.0) is None


def test_projectors_are_told_by_two_sums():
    centring = np.eye(9) - 1 / 9
    assert is_projector(3 * centring, 1e-12)
    assert not is_projector(centring @ np.diag([1.001] + 8 * [1]) @ centring, 1e-9)
