"""The dual solver gives what the primal one gives, without anything d × d."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA

from skmae import LinearAE, LinearDAE, LinearMAE
from skmae.linear import Corruption, LinearAutoencoder, _dual
from skmae.linear._dual import solve_dual
from skmae.linear._solvers import Dual


def images(rng, n, shape):
    return rng.normal(size=(n, *shape)) + rng.normal(size=(n, *[1] * len(shape)))


def assert_same_model(dual, primal, X, atol=1e-8):
    assert dual.solver_ == "dual"
    assert primal.solver_ != "dual"
    scale = np.abs(primal.transform(X)).max()
    assert_allclose(dual.eigenvalues_, primal.eigenvalues_, atol=atol * primal.eigenvalues_[0])
    signs = np.sign(np.sum(dual.decoder_ * primal.decoder_, axis=0))
    assert_allclose(dual.transform(X) * signs, primal.transform(X), atol=atol * scale)
    assert_allclose(dual.components_ * signs[:, None], primal.components_, atol=atol * np.abs(primal.components_).max())
    assert_allclose(dual.explained_variance_ratio_, primal.explained_variance_ratio_, atol=atol)
    assert_allclose(dual.expected_loss_, primal.expected_loss_, rtol=1e-8, atol=1e-12)
    assert_allclose(dual.mean_, primal.mean_, atol=1e-12 * np.abs(primal.mean_).max())
    assert_allclose(dual.score(X), -dual.expected_loss_, rtol=1e-8)


SHAPES = [(30,), (5, 7), (6, 4, 3), (5, 5, 5), (3, 4, 2, 2)]


@given(
    st.sampled_from(SHAPES),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 0.75, 0.95]),
    st.sampled_from(["bernoulli", "exact"]),
    st.booleans(),
    st.integers(0, 1000),
)
@pytest.mark.filterwarnings("ignore:Every patch alone")
@pytest.mark.filterwarnings("ignore:channel_axis")
def test_dual_is_primal(shape, patch, mask, sampling, whiten, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 28))
    X = images(rng, n, shape)
    channel_axis = 0 if shape == (3, 5, 5) else "auto"
    parameters = {
        "mask": mask,
        "patch": patch,
        "mask_sampling": sampling,
        "whiten": whiten,
        "channel_axis": channel_axis,
    }
    dual, primal = (LinearMAE(3, solver=solver, **parameters).fit(X) for solver in ("dual", "eigh"))
    assert_same_model(dual, primal, X)


@pytest.mark.parametrize("make", [lambda **kw: LinearDAE(4, noise_std=0.7, **kw), lambda **kw: LinearAE(4, **kw)])
def test_dual_is_primal_for_the_other_models(make, rng):
    X = images(rng, 25, (6, 8))
    assert_same_model(make(solver="dual").fit(X), make(solver="eigh").fit(X), X)


@pytest.mark.parametrize("fault", ["constant", "duplicate", "more samples than features", "offset"])
def test_degenerate_data(fault, rng):
    X = images(rng, 100 if fault.startswith("more") else 20, (6, 8))
    if fault == "constant":
        X[:, 0] = 0.1
        X[:, :, 3] = 7
    if fault == "duplicate":
        X[:, 1] = X[:, 4]
        X[:, 2] = X[:, 3]
    if fault == "offset":
        X += 1e5
    dual, primal = (LinearMAE(5, mask=0.5, patch=2, solver=solver).fit(X) for solver in ("dual", "auto"))
    primal = LinearMAE(5, mask=0.5, patch=2, solver="eigh").fit(X)
    assert_same_model(dual, primal, X, atol=1e-6 if fault == "offset" else 1e-8)


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize("model", [LinearMAE(4, patch=2), LinearMAE(4, mask=0), LinearDAE(4)])
def test_constant_pixels_stay_constant_however_many_samples_are_summed(model, n, rng):
    X = images(rng, n, (20, 20))
    X[:, 5], X[:, :, 7], X[:, 9, 9] = 0.1, 1e6 + 0.3, -7.7
    constant = (X[0] == X).all(axis=0).ravel()
    dual, primal = (clone(model).set_params(solver=solver).fit(X) for solver in ("dual", "eigh"))
    assert_same_model(dual, primal, X)
    assert not dual.components_[:, constant].any()
    assert not dual.decoder_[constant].any()


@pytest.mark.parametrize("n_components", [None, 0.8])
def test_the_number_of_components_is_found_as_well(n_components, rng):
    X = images(rng, 20, (6, 8))
    dual, primal = (LinearMAE(n_components, patch=2, solver=solver).fit(X) for solver in ("dual", "eigh"))
    assert dual.n_components_ == primal.n_components_ <= 19


@pytest.mark.parametrize("weighted", [False, True])
def test_samples_far_from_zero_are_centred_with_all_their_digits(weighted, rng):
    """Where float64 rounds the mean to less than samples differ, what is left of it is no direction of its own."""
    X = images(rng, 11, (4, 6)).reshape(11, -1) + 2.0**37
    weights = rng.random(11) if weighted else None
    rows = _dual._Rows(X, weights)
    left = np.average(rows.centred(np.arange(24)) / (1 if rows.root is None else rows.root), axis=1, weights=weights)
    assert_allclose(left, 0, atol=1e-10)
    assert not np.allclose(np.average(X - rows.mean, axis=0, weights=weights), 0, atol=1e-10)


def test_directions_without_signal_are_completed(rng):
    X = images(rng, 10, (6, 8))
    model = LinearMAE(10, patch=2, solver="dual").fit(X)  # rank 9
    assert not model.components_[9].any()
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(10), atol=1e-9)
    with pytest.raises(ValueError, match="carries no signal"):
        LinearMAE(patch=2, solver="dual").fit(np.full((5, 6, 6), 0.1))


@pytest.mark.parametrize("dtype", [np.int8, np.float64])
@pytest.mark.parametrize("model", [LinearAE(6), LinearMAE(6, patch=2), LinearDAE(6)])
def test_samples_that_are_all_equal_teach_nothing(model, dtype):
    X = np.full((24, 7, 5), 57).astype(dtype)
    X += np.arange(35).reshape(7, 5).astype(dtype)
    model = clone(model).set_params(solver="dual").fit(X)
    assert model.solver_ == "dual"
    assert model.expected_loss_ == 0
    assert not model.components_.any()
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(6))


def test_auto_takes_the_cheaper_one(rng):
    few, many = images(rng, 20, (24, 24)), images(rng, 600, (5, 5))
    assert LinearMAE(3, patch=2).fit(few).solver_ == "dual"
    assert LinearMAE(3, patch=2).fit(many).solver_ == "cholesky"
    assert LinearMAE(3, patch=2).fit_moments(_moments(few)).solver_ != "dual"


def _moments(X):
    from skmae import Moments

    return Moments.from_data(X)


def test_nothing_is_square_in_the_features(rng):
    """Wide images in less memory than one d × d array, whatever is done with the model."""
    X = rng.integers(0, 256, (40, 48, 48, 3), dtype=np.uint8)  # d = 6912: d × d is 382 MB
    tracemalloc.start()
    model = LinearMAE(5, patch=2).fit(X)
    model.score(X)
    model.inverse_transform(model.transform(X))
    model.reconstruct(X, model.sample_visible(40, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.solver_ == "dual"
    assert peak < 0.1 * 6912**2 * 8


def test_fewer_samples_than_a_patch_has_features_are_warned_about(rng):
    X = images(rng, 12, (8, 8))
    with pytest.warns(UserWarning, match=r"Every patch alone tells all n_samples=12 samples apart.*smaller patches"):
        model = LinearMAE(3, mask=0.5, patch=4).fit(X)
    pca = PCA(3).fit(X.reshape(12, -1))
    assert_allclose(np.abs(model.decoder_.T @ pca.components_.T), np.eye(3), atol=1e-6)


def test_rows_are_needed(rng):
    X = images(rng, 12, (8, 8))
    with pytest.raises(ValueError, match=r'solver="dual" needs all rows at once, and complete ones'):
        LinearMAE(3, patch=2, solver="dual").partial_fit(X)


@pytest.mark.parametrize("n", [2, 12])
def test_patches_that_do_not_tell_all_samples_apart_are_not_warned_about(n, rng):
    """Two samples are one direction, which every patch has; and one patch of a rank less than n − 1 is enough."""
    X = images(rng, n, (8, 8))
    if n > 2:
        X[1, :4, :4] = X[0, :4, :4]
    model = LinearMAE(1, mask=0.5, patch=4, solver="dual").fit(X)  # warnings are errors
    assert model.solver_ == "dual"


# -- patches of more features than there are samples --------------------------------------------------------------


class Given(LinearAutoencoder):
    """A corruption that is given, on patches."""

    def __init__(self, n_components=3, *, given=None, channel_axis="auto", solver="dual"):
        self.n_components = n_components
        self.given = given
        self.image_shape = None
        self.channel_axis = channel_axis
        self.whiten = False
        self.solver = solver

    def _patch(self):
        return 3

    def _corruption(self, grid):  # noqa: ARG002
        return self.given


WIDE = {
    "plain": lambda X, rng: X,  # noqa: ARG005
    "units": lambda X, rng: X * 10.0 ** rng.integers(-2, 3, X.shape[1:]),
    "offset": lambda X, rng: X + 1e3 * rng.random(X.shape[1:]),
    "constant": lambda X, rng: X * (rng.random(X.shape[1:]) > 0.2),
    "repeated": lambda X, rng: np.concatenate([X[:4], X[:4], X[8:]]),  # noqa: ARG005
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("given", [Corruption(across=0.9, within=1.5), Corruption(within=1.5, noise=0.3)], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_patches_wider_than_samples_are_many(name, given, weighted, rng):
    X = WIDE[name](images(rng, 15, (6, 6, 3)), rng)  # 15 samples, 27 features a patch
    weights = rng.integers(0, 4, 15).astype(float) if weighted else None
    model = Given(given=given)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Every patch alone")
        dual, primal = (clone(model).set_params(solver=s).fit(X, sample_weight=weights) for s in ("dual", "eigh"))
    signs = np.sign(np.sum(dual.decoder_ * primal.decoder_, axis=0))
    assert_allclose(dual.eigenvalues_, primal.eigenvalues_, rtol=1e-10)
    assert_allclose(dual.decoder_ * signs, primal.decoder_, atol=1e-10)
    assert_allclose(dual.components_ * signs[:, None], primal.components_, atol=1e-9 * np.abs(primal.components_).max())


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_nothing_is_square_in_the_features_of_a_wide_patch(noise, rng, monkeypatch):
    sizes, original = [], _dual.factorise
    monkeypatch.setattr(_dual, "factorise", lambda D, how: sizes.append(len(D)) or original(D, how))
    X = rng.normal(size=(40, 9, 9, 200))  # patches of 1800
    with pytest.warns(match="Every patch alone") if not noise else warnings.catch_warnings():
        model = Given(given=Corruption(within=3.0, noise=noise), channel_axis=-1).fit(X)
    assert model.solver_ == "dual"
    assert max(sizes) < 40
    cost = Dual().cost(model._problem, 40)
    assert cost.flops < 1e9  # p³ alone would be 5e10
    assert cost.bytes < 8 * 1800**2


def test_one_patch_in_all_is_a_multiple(rng):
    """V = S / (1 − mask); nothing is factorised."""
    X = rng.normal(size=(12, 6, 6))
    dual, primal = (LinearMAE(3, mask=0.75, patch=6, solver=solver).fit(X) for solver in ("dual", "eigh"))
    assert_same_model(dual, primal, X)


# -- digits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [LinearAE(), LinearMAE(mask=0.5, patch=2), LinearDAE(noise_std=1e-7)])
def test_columns_are_orthonormal_however_far_eigenvalues_fall(model, rng):
    basis = np.linalg.qr(rng.normal(size=(36, 36)))[0]
    X = rng.normal(size=(20, 36)) * 10.0 ** -np.linspace(0, 6.5, 36) @ basis
    model = clone(model).set_params(solver="dual", n_components=18, image_shape=(6, 6)).fit(X)
    assert model.eigenvalues_[-1] < 1e-6 * model.eigenvalues_[0]
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(18), atol=1e-13)


@pytest.mark.parametrize("noise_std", [1e-3, 1e-9, 1e-14, 1e-160])
def test_noise_far_below_the_spread_does_not_amplify_rounding(noise_std, rng):
    X = rng.normal(size=(12, 30))
    model = LinearDAE(11, noise_std=noise_std, solver="dual").fit(X)
    assert_allclose(-model.score(X), model.expected_loss_, atol=1e-15)
    shrunk = model.eigenvalues_ / (model.eigenvalues_ + noise_std**2)
    assert_allclose(model.components_, model.decoder_.T * shrunk[:, np.newaxis], atol=2 * noise_std**2 + 1e-12)


@pytest.mark.parametrize("corruption", [Corruption(), Corruption(noise=0.1), Corruption(within=1.0)])
def test_rounding_is_that_of_the_larger_side(corruption, monkeypatch):
    """Sums go over the features: of 6 samples and 3000 features, a direction of 1e-14 is rounding, though not 6 eps."""
    asked, original = [], _dual.carries_signal
    monkeypatch.setattr(_dual, "carries_signal", lambda values, size: asked.append(size) or original(values, size))
    X = np.random.default_rng(0).normal(size=(6, 3000))
    assert solve_dual(X, corruption, None)[0].eigenvalues.shape == (5,)
    assert set(asked) == {3000}


def test_constant_8_bit_samples_have_no_direction(rng):
    X = np.repeat(rng.integers(-8, 8, (1, 35), dtype=np.int8), 24, axis=0)
    model = LinearAE(6, solver="dual").fit(X)
    assert not model.eigenvalues_.any()
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(6), atol=1e-12)


def test_directions_of_little_signal_stay_orthonormal_beside_constant_features(rng):
    X = rng.standard_normal((30, 24)) * 10.0 ** np.linspace(0, -6, 24)
    X[:, rng.random(24) < 0.3] = 0.25
    model = LinearAE(20, solver="eigh").fit(X)
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(20), atol=1e-12)
