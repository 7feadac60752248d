"""How exact the solvers are: Theorem 1 in 50 digits, conditions from 1 to 1e14, scales from 1e-140 to 1e140.

The table "How exact" of docs/guide.md says what is measured here.
"""

import warnings

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skmae import LinearAE, LinearDAE, LinearMAE, Moments
from skmae.linear import Corruption, LinearAutoencoder
from skmae.linear._primal import reduced_rank_regression
from skmae.masking import Blocks

CONDITIONS = [1, 1e4, 1e8, 1e12, 1e14]
SHAPE, D, RANK = (2, 4), 8, 3  # two patches of 2 × 2


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(50):
        yield


def samples(condition, n=40):
    """Samples whose variances along random axes fall evenly by this factor."""
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(D, D)))[0]
    return rng.normal(size=(n, D)) * np.sqrt(np.geomspace(1, 1 / condition, D)) @ basis.T


def exact_second(X):
    """The second moment of X, of its numbers as they stand."""
    x = mp.matrix(X.tolist())
    for j in range(x.cols):
        mean = mp.fsum(x[:, j]) / x.rows
        for i in range(x.rows):
            x[i, j] -= mean
    return x.T * x / x.rows


def theorem_1(S, weights, noise, k=RANK):
    """λ, E, W1 and the loss, with V = S ⊙ weights + noise·I; weights as a function of two features."""
    d = S.rows
    V = mp.matrix(d, d)
    for i in range(d):
        for j in range(d):
            V[i, j] = S[i, j] * weights(i, j) + (noise if i == j else 0)
    values, U = mp.eigsy(V)
    inverse = mp.matrix(d, d)
    for i in range(d):
        if values[i] > mp.mpf(10) ** -35 * max(values):
            inverse += U[:, i] * U[:, i].T / values[i]
    values, U = mp.eigsy(S * inverse * S)
    order = sorted(range(d), key=lambda i: -values[i])[:k]
    E = mp.matrix(d, k)
    for column, i in enumerate(order):
        E[:, column] = U[:, i]
    loss = sum(S[i, i] for i in range(d)) - sum(values[i] for i in order)
    return np.array([float(values[i]) for i in order]), as_array(E), as_array(E.T * S * inverse), float(loss)


def as_array(A):
    return np.array(A.tolist(), dtype=float)


def patch(feature):
    return feature % 4 // 2


def bernoulli(mask):
    return lambda i, j: 1 + (mp.mpf(mask) / (1 - mp.mpf(mask)) if patch(i) == patch(j) else 0)


def one_of_two(i, j):
    """Exactly one of two patches: V = 2 BD(S)."""
    return 2 if patch(i) == patch(j) else 0


MODELS = {
    "nothing": (LinearAE(RANK), lambda i, j: 1, 0),  # noqa: ARG005
    "bernoulli": (LinearMAE(RANK, mask=0.75, patch=2), bernoulli(0.75), 0),
    "little hidden": (LinearMAE(RANK, mask=1e-9, patch=2), bernoulli(1e-9), 0),
    "exact": (LinearMAE(RANK, mask=0.5, patch=2, mask_sampling="exact"), one_of_two, 0),
    "noise": (LinearDAE(RANK, noise_std=0.1), lambda i, j: 1, 0.1**2),  # noqa: ARG005
    "little noise": (LinearDAE(RANK, noise_std=1e-9), lambda i, j: 1, 1e-9**2),  # noqa: ARG005
}


@pytest.mark.parametrize("n", [40, 6])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("name", MODELS)
def test_every_solver_agrees_with_50_digits(name, condition, n):
    model, weights, noise = MODELS[name]
    X = samples(condition, n)
    values, E, W1, loss = theorem_1(exact_second(X), weights, noise)
    signs = np.sign(E[np.abs(E).argmax(axis=0), range(RANK)])
    features = (X - X.mean(axis=0)) @ (W1.T * signs)
    for solver in ("auto", "cholesky", "eigh", "dual"):
        model = clone(model).set_params(solver=solver, image_shape=SHAPE)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Every patch alone")
            try:
                model.fit(X)
            except ValueError as error:  # fewer samples than features
                assert (solver, n) == ("cholesky", 6)
                assert "needs a second moment of full rank" in str(error)  # noqa: PT017
                continue
        assert_allclose(model.expected_loss_ * D, loss, atol=1e-14 * values[0])
        assert_allclose(model.eigenvalues_, values, atol=1e-14 * values[0], rtol=0)
        assert_allclose(model.decoder_ @ model.decoder_.T, E @ E.T, atol=1e-13 + 1e-15 * values[0] / values[-1])
        assert_allclose(model.decoder_.T @ model.decoder_, np.eye(RANK), atol=1e-14)
        assert_allclose(model.transform(X), features, atol=1e-8 * features.std())


@pytest.mark.parametrize("name", ["nothing", "noise", "little noise"])
@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigh", "dual"])
def test_features_of_samples_of_any_kind_are_those_of_50_digits(solver, condition, name):
    """Also along axes in which the training data hardly varies: V⁺ is not what their digits hang on."""
    model, weights, noise = MODELS[name]
    X = samples(condition)
    W1 = theorem_1(exact_second(X), weights, noise)[2]
    found = clone(model).set_params(solver=solver, image_shape=SHAPE).fit(X).components_
    signs = np.sign(np.sum(found * W1, axis=1, keepdims=True))
    assert_allclose(found * signs, W1, atol=1e-9 if solver == "dual" else 1e-12)


@pytest.mark.parametrize("mask", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("condition", [1, 1e4, 1e8])
@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigh", "dual"])
def test_a_small_mask_keeps_the_digits_of_the_encoder(solver, condition, mask):
    """V⁺S amplifies rounding by the condition; the difference from the decoder, by no more than its own size."""
    X = samples(condition)
    W1 = theorem_1(exact_second(X), bernoulli(mask), 0)[2]
    found = LinearMAE(RANK, mask=mask, patch=2, image_shape=SHAPE, solver=solver).fit(X).components_
    signs = np.sign(np.sum(found * W1, axis=1, keepdims=True))
    assert_allclose(found * signs, W1, atol=1e-9 if condition == 1e8 else 1e-11)


# -- no corruption, under whatever name --------------------------------------------------------------------------


class Given(LinearAutoencoder):
    """A corruption that is given."""

    def __init__(
        self, n_components=None, *, given=None, image_shape=None, channel_axis="auto", whiten=False, solver="auto"
    ):
        self.n_components = n_components
        self.given = given
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.whiten = whiten
        self.solver = solver

    def _corruption(self, grid):  # noqa: ARG002
        return self.given


MULTIPLES = {
    "LinearAE": (LinearAE(), 1),
    "no mask": (LinearMAE(mask=0, patch=2), 1),
    "no mask, exactly": (LinearMAE(mask=0, patch=2, mask_sampling="exact"), 1),
    "one patch": (LinearMAE(mask=0.75, patch=4), 4),
    "one patch, exactly": (LinearMAE(mask=0.75, patch=4, mask_sampling="exact"), 1),
    "scaled": (Given(given=Corruption(across=2.5)), 2.5),
    "one group": (Given(given=Corruption(across=0.5, within=[1.5], groups=np.zeros(D, int))), 2),
}


@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigh", "dual"])
@pytest.mark.parametrize("name", MULTIPLES)
@pytest.mark.parametrize("entry", ["fit", "fit_moments"])
def test_where_all_is_hidden_or_nothing_the_encoder_is_the_decoder(name, solver, entry):
    model, multiple = MULTIPLES[name]
    X = samples(1e12)
    X[:, 2] = 7
    if (solver, entry) == ("dual", "fit_moments"):
        return
    model = clone(model).set_params(n_components=5, solver=solver, image_shape=SHAPE)
    model = model.fit(X) if entry == "fit" else model.fit_moments(Moments.from_data(X))
    assert_array_equal(model.components_, model.decoder_.T / multiple)
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(5), atol=1e-14)
    assert_allclose(model.eigenvalues_[:2] * multiple, np.linalg.eigvalsh(np.cov(X.T, bias=True))[:-3:-1])


# -- scales ------------------------------------------------------------------------------------------------------

SCALES = [1e-140, 1e-100, 1e100, 1e140]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigh", "dual"])
@pytest.mark.parametrize(
    "model",
    [LinearAE(2), LinearMAE(2, patch=2), LinearMAE(2, mask=0.5, patch=1, loss="hidden"), LinearDAE(2, noise_std=0.3)],
    ids=["LinearAE", "all", "hidden", "LinearDAE"],
)
def test_a_scale_is_a_scale(model, scale, solver, capfd):
    """As far as variances are numbers; LAPACK has nothing to complain of."""
    if solver == "dual" and getattr(model, "loss", None) == "hidden":
        return
    X = samples(10)
    unit = 2.0 ** np.round(np.log2(scale))
    plain = clone(model).set_params(image_shape=SHAPE, solver=solver).fit(X)
    scaled = clone(plain)
    if isinstance(model, LinearDAE):
        scaled.set_params(noise_std=0.3 * unit)
    scaled.fit(X * unit)
    assert_allclose(scaled.eigenvalues_, plain.eigenvalues_ * unit**2, rtol=1e-10)
    assert_allclose(scaled.components_, plain.components_, atol=1e-10)
    assert_allclose(scaled.decoder_, plain.decoder_, atol=1e-10)
    assert_allclose(scaled.expected_loss_, plain.expected_loss_ * unit**2, rtol=1e-10)
    assert "illegal value" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("scale", [1e-148, 1e-320, 1e152, 1e300])
@pytest.mark.parametrize("n_components", [2, None])
@pytest.mark.parametrize("solver", ["eigh", "dual"])
def test_a_scale_whose_squares_are_no_numbers_is_refused(solver, scale, n_components, capfd):
    with np.errstate(under="ignore"):
        X = samples(10) * scale
    for model in (LinearMAE(n_components, patch=2), LinearAE(n_components), LinearDAE(n_components)):
        with pytest.raises(ValueError, match=r"beyond the range of float64. Divide X by a constant"):
            model.set_params(image_shape=SHAPE, solver=solver).fit(X)
    assert "illegal value" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("spread", [1e-146, 1e151])
@pytest.mark.parametrize("solver", ["eigh", "dual"])
def test_a_variance_that_is_no_number_is_refused(solver, spread):
    """The largest value alone does not tell."""
    X = np.array([[1.0, 2, 5], [2, 1, 3], [1, 1, 1], [3, 1, 2]]) * spread
    X[:, 2] = 1e-139 if spread < 1 else 1e149
    with pytest.raises(ValueError, match=r"beyond the range of float64. Divide X by a constant"):
        LinearAE(1, solver=solver, image_shape=(3,)).fit(X)


@pytest.mark.parametrize(("a", "b"), [(1e-200, 1e-200), (1e200, 1e200), (1e100, 1e-100), (1e-150, 1.0)])
def test_moments_of_any_scale_are_solved(a, b):
    S = np.cov(samples(10).T)
    plain = reduced_rank_regression(S, 2 * S + np.eye(D), 3)
    found = reduced_rank_regression(a * S, b * (2 * S + np.eye(D)), 3)
    with np.errstate(under="ignore"):
        assert_allclose(found.eigenvalues, plain.eigenvalues * a * (a / b), rtol=1e-9)
    assert_allclose(found.encoder, plain.encoder * (a / b), atol=1e-12 * a / b)
    assert_allclose(found.decoder, plain.decoder, atol=1e-12)


# -- float32 -----------------------------------------------------------------------------------------------------


def with_common_factor(strength):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(36, 36)))[0]
    X = rng.normal(size=(1500, 36)) / np.arange(1, 37) @ basis + strength * rng.normal(size=(1500, 1))
    return X.astype(np.float32)


@pytest.mark.parametrize("strength", [1, 10, 100, 1e4])
@pytest.mark.parametrize("solver", ["auto", "cholesky", "eigh"])
@pytest.mark.parametrize("model", [LinearAE(8), LinearMAE(8, patch=2), LinearDAE(8)], ids=["AE", "MAE", "DAE"])
def test_weak_directions_of_float32_samples_beside_a_strong_one(model, solver, strength):
    X = with_common_factor(strength)
    narrow, wide = (clone(model).set_params(image_shape=(6, 6), solver=solver).fit(a) for a in (X, X.astype(float)))
    cosines = np.abs(np.sum(narrow.decoder_ * wide.decoder_, axis=0))
    assert np.sqrt(2 * np.abs(1 - cosines)).max() < 1e-3
    assert_allclose(narrow.eigenvalues_, wide.eigenvalues_, rtol=1e-3)
    assert_allclose(narrow.expected_loss_, wide.expected_loss_, rtol=1e-5)


def test_float32_sums_do_for_ordinary_images(monkeypatch):
    """One pass over the data, in float32; and a second one in float64 where the spectrum asks for it."""
    asked, original = [], Moments._of.__func__

    def noted(cls, samples, weights=None, dtype=np.float64, *rest):
        asked.append(np.dtype(dtype).name)
        return original(cls, samples, weights, dtype, *rest)

    monkeypatch.setattr(Moments, "_of", classmethod(noted))
    LinearMAE(8, patch=2, image_shape=(6, 6)).fit(with_common_factor(0.3))
    assert asked == ["float32"]
    LinearMAE(8, patch=2, image_shape=(6, 6)).fit(with_common_factor(30))
    assert asked == ["float32", "float32", "float64"]


@pytest.mark.parametrize("seed", [62, 99, 128, 209])
def test_an_encoder_that_magnifies_rounding_is_found_in_float64(seed):
    """Redundant features, rounded to float16: sums in float32 would change the loss by 2e-5 of the variance."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(10, 4)) @ rng.normal(size=(4, 14))).astype(np.float16)
    model = LinearMAE(4, image_shape=(14,), mask=0.55, mask_sampling=Blocks(size=3), solver="cholesky")
    found, exact = (clone(model).fit(Y).expected_loss_ for Y in (X, X.astype(np.float64)))
    assert_allclose(found, exact, rtol=0, atol=1e-6 * X.astype(np.float64).var(axis=0).mean())


def test_what_is_singular_in_float32_need_not_be_in_float64():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(500, 1)) + 1e-4 * rng.normal(size=(500, 6))).astype(np.float32)
    assert LinearAE(2, solver="cholesky").fit(X).solver_ == "cholesky"


def test_squares_that_overflow_only_together_are_refused():
    X = np.array([[1.2e154, 0.0], [0.0, 1.2e154], [1.0, 1.0]])
    with pytest.raises(ValueError, match=r"beyond the range of float64. Divide X by a constant"):
        Moments.from_data(X)
