"""loss="hidden": only hidden patches count, as in masked autoencoders that are trained."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skmae import LinearMAE, Moments
from skmae._grid import PatchGrid
from skmae.linear import Corruption, _descent
from skmae.linear._descent import Descent, SameForAll, Whitened
from skmae.linear._losses import AllFeatures, HiddenFeatures
from skmae.masking import Blocks

SAMPLINGS = ["bernoulli", "exact"]


def images(rng, n, shape):
    """Correlated samples with a mean."""
    d = int(np.prod(shape))
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)).reshape(n, *shape)


def hidden(n_components=None, **parameters):
    return LinearMAE(n_components, loss="hidden", **parameters)


def corruptions(grid, mask, sampling):
    """Every mask over patches, its probability, and the share visible, without the library's formulas."""
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=grid.n_patches)))
    kept = patterns.sum(axis=1)
    if sampling == "bernoulli":
        probability = (1 - mask) ** kept * mask ** (grid.n_patches - kept)
    else:
        probability = (kept == max(round((1 - mask) * grid.n_patches), 1)).astype(float)
        probability /= probability.sum()
    return patterns, probability, probability @ kept / grid.n_patches


def brute_force_loss(B, x, grid, mask, sampling):
    """Expected squared error of hidden features over the expected number of hidden features."""
    error, count = 0.0, 0.0
    patterns, probability, share = corruptions(grid, mask, sampling)
    for pattern, p in zip(patterns[:, grid.patch_of_feature], probability, strict=True):
        missed = (x - (x * pattern / share) @ B.T)[:, pattern == 0]
        error += p * np.sum(missed**2) / len(x)
        count += p * missed.shape[1]
    return error / count


def moments_given_hidden(x, j, grid, mask, sampling):
    """E[x_j x̃ᵀ] and E[x̃ x̃ᵀ] of what is outside patch j while j is hidden, by counting masks."""
    patterns, probability, share = corruptions(grid, mask, sampling)
    probability = probability * (patterns[:, j] == 0)
    probability /= probability.sum()
    outside = grid.patch_of_feature != j
    cross = second = 0.0
    for pattern, p in zip(patterns[:, grid.patch_of_feature[outside]], probability, strict=True):
        seen = x[:, outside] * pattern / share
        cross = cross + p * x[:, ~outside].T @ seen / len(x)
        second = second + p * seen.T @ seen / len(x)
    return cross, second


def product(model):
    return model.decoder_ @ model.components_


TASKS = [((6,), 1), ((7,), 2), ((3, 4), 2), ((2, 3, 2), 1), ((4, 4), 2)]


# -- the loss ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("shape", "patch"), TASKS)
@pytest.mark.parametrize("mask", [0.3, 0.75])
@pytest.mark.parametrize("n_components", [2, None])
def test_the_loss_is_the_error_of_hidden_features_over_all_masks(shape, patch, mask, sampling, n_components, rng):
    X, other = images(rng, 60, shape), images(rng, 20, shape)
    model = hidden(n_components, mask=mask, patch=patch, mask_sampling=sampling, image_shape=shape).fit(X)
    grid = model._problem.grid
    for data, found in ((X, model.expected_loss_), (X, -model.score(X)), (other, -model.score(other))):
        x = data.reshape(len(data), -1) - model.mean_
        assert_allclose(found, brute_force_loss(product(model), x, grid, mask, sampling), rtol=1e-9)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_score_is_the_error_that_training_code_would_report(sampling, rng):
    """Sum of squared errors of hidden pixels over their number, with masks drawn by the model itself."""
    X = images(rng, 200, (6, 6))
    model = hidden(5, mask=0.6, patch=2, mask_sampling=sampling).fit(X)
    error, count = 0.0, 0
    for seed in range(300):
        visible = model.sample_visible(len(X), seed)
        shown = np.repeat(np.repeat(visible.reshape(-1, 3, 3), 2, axis=1), 2, axis=2).reshape(len(X), -1)
        x = X.reshape(len(X), -1) - model.mean_
        rebuilt = (x * shown / (1 - model.mask_)) @ product(model).T
        error += np.sum((x - rebuilt)[~shown] ** 2)
        count += np.sum(~shown)
    assert_allclose(-model.score(X), error / count, rtol=0.02)


# -- without a limit on the rank ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("shape", "patch"), TASKS)
@pytest.mark.parametrize("mask", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("fault", [None, "constant", "duplicate", "few"])
def test_full_rank_is_a_regression_of_each_patch_on_the_others(shape, patch, mask, sampling, fault, rng):
    X = images(rng, 6 if fault == "few" else 80, shape).reshape(-1, int(np.prod(shape)))
    if fault == "constant":
        X[:, [0, 3]] = 0.1, 1e3
    if fault == "duplicate":
        X[:, 2], X[:, -1] = X[:, 1], X[:, 0] + X[:, 1]
    model = hidden(mask=mask, patch=patch, mask_sampling=sampling, image_shape=shape).fit(X)
    if model._problem.loss == AllFeatures():  # so few patches that none is hidden
        return
    x, B, grid = X - model.mean_, product(model), model._problem.grid
    residual = 0.0
    for j in range(grid.n_patches):
        here, outside = grid.patch_of_feature == j, grid.patch_of_feature != j
        cross, V = moments_given_hidden(x, j, grid, mask, sampling)
        values, U = np.linalg.eigh(V)
        keep = values > 1e-10 * values[-1]
        expected = cross @ (U[:, keep] / values[keep]) @ U[:, keep].T
        # on the data; beyond it a regression that is not unique is free
        assert_allclose(
            x[:, outside] @ B[np.ix_(here, outside)].T, x[:, outside] @ expected.T, atol=1e-6 * np.abs(x).max()
        )
        residual += np.sum(x[:, here] ** 2) / len(x) - np.sum(expected * cross)
    assert_allclose(model.expected_loss_ * len(B), residual, rtol=1e-6, atol=1e-9 * np.sum(x**2) / len(x))


@pytest.mark.parametrize("fault", [None, "constant", "duplicate"])
def test_where_it_is_not_unique_the_regression_of_least_norm_is_taken(fault, rng):
    X = images(rng, 80, (3, 4)).reshape(80, 12)
    if fault == "constant":
        X[:, 2] = 5
    if fault == "duplicate":
        X[:, 1] = X[:, 0]  # of one patch
    model = hidden(patch=2, image_shape=(3, 4)).fit(X)
    grid, B = model._problem.grid, product(model)
    for j in range(grid.n_patches):
        here, outside = grid.patch_of_feature == j, grid.patch_of_feature != j
        cross, V = moments_given_hidden(X - model.mean_, j, grid, 0.75, "bernoulli")
        expected = cross @ np.linalg.pinv(V, rcond=1e-10, hermitian=True)
        assert_allclose(B[np.ix_(here, outside)], expected, atol=1e-7 * np.abs(expected).max())
        assert_allclose(B[np.ix_(here, here)], 0, atol=1e-8)


def test_units_of_pixels_do_not_matter_to_regressions(rng):
    X = images(rng, 100, (4, 4)).reshape(100, 16)
    units = 10.0 ** rng.integers(-2, 3, 16)  # further, small units sink in the rounding of a decoder's columns
    plain, scaled = (hidden(patch=2, image_shape=(4, 4)).fit(data) for data in (X, X * units))
    assert_allclose(product(scaled) / units[:, None] * units, product(plain), atol=1e-7)


def test_one_unit_for_all_pixels_scales_the_loss_and_nothing_else(rng):
    X = images(rng, 100, (4, 4))
    plain, scaled = hidden(3, patch=2).fit(X), hidden(3, patch=2).fit(X * 1e-7)
    assert_allclose(scaled.expected_loss_, plain.expected_loss_ * 1e-14, rtol=1e-7)
    assert_allclose(scaled.components_, plain.components_, atol=1e-3 * np.abs(plain.components_).max())


# -- at rank k ---------------------------------------------------------------------------------------------------


def task(X, shape, patch, mask, sampling):
    grid = PatchGrid.build(shape, None, patch)
    keep = int(np.clip(round((1 - mask) * grid.n_patches), 1, grid.n_patches - 1))
    corruption = Corruption.bernoulli(mask) if sampling == "bernoulli" else Corruption.exact(keep, grid.n_patches)
    space = Whitened(Moments.from_data(X).second, grid.features_of_patch, "auto")
    return Descent(space, SameForAll(space.S, space.blocks, corruption.while_hidden))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("mask", [0.3, 0.75, 0.99])
def test_the_gradient_is_that_of_the_loss(mask, sampling, rng):
    X = images(rng, 60, (5, 4)).reshape(60, 20)
    X[:, 7] = 3
    X[:, 0] = X[:, 1]
    problem = task(X, (5, 4), 2, mask, sampling)
    W1 = problem.space.encoder(rng.normal(size=(3, 20)))
    gradient = problem.loss_and_gradient(W1)[1]
    for _ in range(5):
        direction = rng.normal(size=W1.shape)
        ahead, behind = (problem.loss_and_gradient(W1 + step * direction)[0] for step in (1e-5, -1e-5))
        assert_allclose(np.sum(gradient * direction), (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9)


@st.composite
def problems(draw):
    shape, patch = draw(st.sampled_from(TASKS))
    return (
        shape,
        patch,
        draw(st.sampled_from([0.2, 0.5, 0.8])),
        draw(st.sampled_from(SAMPLINGS)),
        draw(st.integers(1, 5)),
    )


def starts(X, shape, patch, mask, sampling, k):
    """Losses of the two solutions that descent may start from."""
    parameters = {"mask": mask, "patch": patch, "mask_sampling": sampling, "image_shape": shape}
    full, every = hidden(**parameters).fit(X), LinearMAE(k, **parameters).fit(X)
    x, grid = X.reshape(len(X), -1) - full.mean_, full._problem.grid
    truncated = full.decoder_[:, :k] @ full.components_[:k]
    return [brute_force_loss(B, x, grid, mask, sampling) for B in (truncated, product(every))]


@settings(max_examples=25)
@given(problems(), st.integers(0, 1000))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_limited_rank_is_never_worse_than_its_starts(problem, seed):
    shape, patch, mask, sampling, k = problem
    X = images(np.random.default_rng(seed), 40, shape)
    model = hidden(k, mask=mask, patch=patch, mask_sampling=sampling, image_shape=shape).fit(X)
    if model._problem.loss == HiddenFeatures():
        assert model.expected_loss_ <= min(starts(X, shape, patch, mask, sampling, k)) * (1 + 1e-9)


@pytest.mark.parametrize(("seed", "better"), [(13, "truncated"), (35, "all")])
def test_descent_starts_from_the_better_start_and_never_ends_above_it(seed, better, monkeypatch):
    """Where descent gains nothing, or less than nothing, the better of both starts is the answer."""
    shape, patch, mask, sampling, k = (3, 4), 2, 0.8, "bernoulli", 1
    X = images(np.random.default_rng(seed), 40, shape)
    losses = dict(zip(("truncated", "all"), starts(X, shape, patch, mask, sampling, k), strict=True))
    assert min(losses, key=losses.get) == better
    begun = []

    def fail(descent, W1):
        begun.append(descent.loss_and_gradient(W1)[0])
        return np.zeros((k, 12)), np.zeros((12, k))

    monkeypatch.setattr(Descent, "run", fail)
    model = hidden(k, mask=mask, patch=patch, mask_sampling=sampling, image_shape=shape).fit(X)
    assert_allclose(model.expected_loss_, losses[better], rtol=1e-9)
    problem = task(X.reshape(40, -1), shape, patch, mask, sampling)
    parameters = {"mask": mask, "patch": patch, "mask_sampling": sampling, "image_shape": shape}
    full, every = hidden(**parameters).fit(X), LinearMAE(k, **parameters).fit(X)
    options = [problem.loss_and_gradient(problem.space.encoder(m.components_[:k]))[0] for m in (full, every)]
    assert_allclose(begun, min(options), rtol=1e-7)
    assert abs(options[0] - options[1]) > 1e-4 * min(options)


# d, mask, mask_sampling, n_components, seed: found by trying many, so that each start alone would not do
CLOSED_FORM_IS_BETTER = [(6, 0.2, "exact", k, seed) for k, seed in [(1, 0), (1, 1), (1, 5), (2, 6), (2, 10)]]
ALL_FEATURES_ARE_BETTER = [(12, 0.8, "exact", 5, seed) for seed in (11, 3, 10)]
ALL_FEATURES_ARE_BETTER += [(12, 0.8, "bernoulli", 5, 3), (6, 0.8, "bernoulli", 2, 8)]


@pytest.mark.parametrize(
    ("task", "better"), [(t, 0) for t in CLOSED_FORM_IS_BETTER] + [(t, 1) for t in ALL_FEATURES_ARE_BETTER]
)
def test_descent_goes_on_from_the_better_start(task, better):
    d, mask, sampling, k, seed = task
    X = images(np.random.default_rng(seed), 40, (d,))
    losses = starts(X, (d,), 1, mask, sampling, k)
    assert np.argmin(losses) == better
    model = hidden(k, mask=mask, patch=1, mask_sampling=sampling, image_shape=(d,)).fit(X)
    assert model.expected_loss_ < min(losses) * (1 - 5e-4)  # from the other start it ends above this one


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("seed", range(3))
def test_a_rank_that_is_no_limit_is_the_closed_form(sampling, seed):
    """Where a start is the minimum, descent must not leave it, be it by rounding."""
    X = images(np.random.default_rng(seed), 40, (6,))
    parameters = {"mask": 0.5, "patch": 1, "mask_sampling": sampling, "image_shape": (6,)}
    limited, full = hidden(6, **parameters).fit(X), hidden(**parameters).fit(X)
    assert limited.expected_loss_ <= full.expected_loss_ * (1 + 1e-12)


def descend_by_brute_force(x, grid, mask, sampling, k, start):
    """L-BFGS over encoder and decoder at once, on the sum over masks."""
    patterns, probability, share = corruptions(grid, mask, sampling)
    patterns = patterns[:, grid.patch_of_feature]
    S, d = x.T @ x / len(x), x.shape[1]
    count = probability @ (1 - patterns).sum(axis=1)

    def objective(w):
        W1, W2 = w[: k * d].reshape(k, d), w[k * d :].reshape(d, k)
        loss, g1, g2 = 0.0, np.zeros_like(W1), np.zeros_like(W2)
        for pattern, p in zip(patterns, probability, strict=True):
            if not p:
                continue
            A = W1 * pattern / share
            out = (1 - pattern)[:, None] * W2
            E = out @ A - np.diag(1 - pattern)
            ES = E @ S
            loss += p * np.sum(ES * E)
            g2 += 2 * p * (1 - pattern)[:, None] * (ES @ A.T)
            g1 += 2 * p * (out.T @ ES) * pattern / share
        return loss / count, np.concatenate([g1.ravel(), g2.ravel()]) / count

    options = {"maxiter": 1000, "maxfun": 2000, "ftol": 1e-12, "gtol": 1e-8}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).fun


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("shape", "patch", "k"), [((6,), 1, 2), ((7,), 2, 1), ((3, 4), 2, 2)])
def test_no_descent_from_random_starts_ends_lower(shape, patch, k, sampling, rng):
    X = images(rng, 60, shape)
    model = hidden(k, mask=0.6, patch=patch, mask_sampling=sampling, image_shape=shape).fit(X)
    x = X.reshape(60, -1) - model.mean_
    size = 2 * k * x.shape[1]
    ends = [
        descend_by_brute_force(x, model._problem.grid, 0.6, sampling, k, rng.normal(size=size) / 3) for _ in range(5)
    ]
    assert_allclose(model.expected_loss_, min(ends), rtol=3e-3)
    assert model.expected_loss_ <= min(ends) * (1 + 2e-4)  # these may follow a valley without end


def test_real_images_end_where_random_starts_end(rng):
    X = load_digits().images
    model = hidden(6, mask=0.75, patch=2).fit(X)
    problem = task(X.reshape(len(X), -1), (8, 8), 2, 0.75, "bernoulli")
    total = X.reshape(len(X), -1).var(axis=0).mean()
    found = []
    for _ in range(3):
        W1, _ = problem.run(problem.space.encoder(rng.normal(size=(6, 64))))
        found.append(problem.loss_and_gradient(problem.space.encoder(W1))[0] * total)
    assert min(found) >= model.expected_loss_ * (1 - 1e-5)
    assert_allclose(min(found), model.expected_loss_, rtol=1e-3)
    plain = LinearMAE(6, mask=0.75, patch=2).fit(X)
    error = {name: masked_error(m, X) for name, m in (("hidden", model), ("all", plain))}
    assert error["hidden"] < error["all"]
    assert_allclose(error["hidden"], model.expected_loss_, rtol=0.02)


def masked_error(model, X):
    total, count = 0.0, 0
    for seed in range(20):
        visible = model.sample_visible(len(X), seed)
        shown = np.repeat(np.repeat(visible.reshape(-1, 4, 4), 2, axis=1), 2, axis=2).reshape(len(X), -1)
        x = X.reshape(len(X), -1) - model.mean_
        missed = (x - (x * shown / (1 - model.mask_)) @ product(model).T)[~shown]
        total, count = total + np.sum(missed**2), count + missed.size
    return total / count


def test_features_stay_small_where_the_loss_has_no_minimum():
    """Without a penalty, the first of two features comes to 1e8 times the variance of X here."""
    X = images(np.random.default_rng(0), 60, (2, 3, 2))
    model = hidden(2, mask=0.3, patch=1, mask_sampling="exact").fit(X)
    assert model.explained_variance_ratio_[0] < 100
    free = 5.9018  # as far as descent went, penalised by 1e-8
    assert free < model.expected_loss_ < 1.001 * free


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("n_components", [3, None])
def test_features_of_masked_samples_are_uncorrelated_and_decoded_orthogonally(sampling, n_components, rng):
    X = images(rng, 100, (4, 4))
    model = hidden(n_components, mask=0.5, patch=2, mask_sampling=sampling).fit(X)
    whitened = hidden(n_components, mask=0.5, patch=2, mask_sampling=sampling, whiten=True).fit(X)
    x, grid = X.reshape(100, -1) - model.mean_, model._problem.grid
    patterns, probability, share = corruptions(grid, 0.5, sampling)
    V = 0.0
    for pattern, p in zip(patterns[:, grid.patch_of_feature], probability, strict=True):
        V = V + p * (x * pattern / share).T @ (x * pattern / share) / len(x)
    k = model.n_components_
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(k), atol=1e-9)
    second = model.components_ @ V @ model.components_.T
    assert_allclose(second, np.diag(model.eigenvalues_), atol=1e-8 * second.max())
    assert (np.diff(model.eigenvalues_) <= 0).all()
    assert_allclose(whitened.components_ @ V @ whitened.components_.T, np.eye(k), atol=1e-6)
    assert_allclose(product(whitened), product(model), atol=1e-7)
    assert (model.decoder_[np.abs(model.decoder_).argmax(axis=0), np.arange(k)] > 0).all()


def test_a_share_takes_the_fewest_components(rng):
    X = images(rng, 100, (4, 4))
    every = hidden(patch=2).fit(X).eigenvalues_
    k = hidden(0.8, patch=2).fit(X).n_components_
    assert every[:k].sum() >= 0.8 * every.sum() > every[: k - 1].sum()


def test_more_components_than_the_regressions_have_are_zero(rng):
    X = np.ones((50, 4, 4))
    X[:, ::2, ::2] += images(rng, 50, (2, 2))  # a pixel of each patch varies
    model, full = hidden(6, patch=2).fit(X), hidden(patch=2).fit(X)
    assert full.n_components_ == 4
    assert not model.components_[4:].any()
    assert_allclose(model.decoder_.T @ model.decoder_, np.eye(6), atol=1e-10)
    assert_allclose(model.expected_loss_, full.expected_loss_, rtol=1e-9)


def test_one_patch_that_varies_teaches_nothing(rng):
    X = np.ones((50, 4, 4))
    X[:, :2, :2] = rng.normal(size=(50, 2, 2))
    model = hidden(2, patch=2).fit(X)
    assert not model.components_.any()
    assert_allclose(model.expected_loss_, X.reshape(50, -1).var(axis=0).mean())
    with pytest.raises(ValueError, match=r'loss="hidden" has nothing to learn.*n_components=None.*smaller patch'):
        hidden(patch=2).fit(X)


# -- as an estimator ---------------------------------------------------------------------------------------------


def test_a_descent_that_is_cut_short_says_so(rng, monkeypatch):
    X = images(rng, 60, (6, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        long = hidden(4, patch=2).fit(X)
    monkeypatch.setattr(_descent, "_STEPS", 2)
    monkeypatch.setattr(_descent, "_MAX_ROUNDS", 1)
    with pytest.warns(ConvergenceWarning, match=r"n_components=4 has not converged in 2 steps.*Fewer components"):
        short = hidden(4, patch=2).fit(X)
    assert short.expected_loss_ > long.expected_loss_


@pytest.mark.parametrize("parameters", [{"mask": 0}, {"mask": 0.01, "mask_sampling": "exact"}])
def test_where_nothing_is_hidden_everything_counts(parameters, rng):
    X = images(rng, 80, (4, 4))
    model, pca = hidden(3, patch=2, **parameters).fit(X), PCA(3).fit(X.reshape(80, -1))
    assert_allclose(np.abs(model.decoder_.T @ pca.components_.T), np.eye(3), atol=1e-8)
    rebuilt = pca.inverse_transform(pca.transform(X.reshape(80, -1)))
    assert_allclose(-model.score(X), np.mean((X.reshape(80, -1) - rebuilt) ** 2), rtol=1e-9)
    assert_allclose(model.expected_loss_, -model.score(X), rtol=1e-9)


def test_what_cannot_be_is_refused(rng):
    X = images(rng, 40, (4, 4))
    with pytest.raises(ValueError, match=r'loss="hidden" needs two patches.*patch=4.*grid \(4, 4\).*smaller patch'):
        hidden(2, patch=4).fit(X)
    with pytest.raises(ValueError, match=r'solver="dual" knows loss="all" only.*solver="auto"'):
        hidden(2, patch=2, solver="dual").fit(X)
    with pytest.raises(ValueError, match=r"'loss' parameter of LinearMAE must be a str among .*'hidden'"):
        LinearMAE(loss="visible").fit(X)
    X[:, 0, 0] = X[:, 0, 1]
    with pytest.raises(ValueError, match=r'solver="cholesky" needs.*Use solver="auto"'):
        hidden(2, patch=2, solver="cholesky").fit(X)


def test_solvers_agree_and_auto_is_primal(rng):
    few, many = images(rng, 12, (6, 6)), images(rng, 200, (4, 4))
    assert hidden(2, patch=2).fit(few).solver_ in ("cholesky", "eigh")
    a, b = (hidden(3, patch=2, solver=solver).fit(many) for solver in ("cholesky", "eigh"))
    assert (a.solver_, b.solver_) == ("cholesky", "eigh")
    assert_allclose(a.expected_loss_, b.expected_loss_, rtol=1e-7)
    a, b = (hidden(patch=2, solver=solver).fit(many) for solver in ("cholesky", "eigh"))
    assert_allclose(product(a), product(b), atol=1e-8)


def test_streams_moments_copies_and_repeats_give_one_answer(rng):
    X = images(rng, 90, (4, 4))
    model = hidden(3, patch=2).fit(X)
    assert_array_equal(hidden(3, patch=2).fit(X).components_, model.components_)
    stream = hidden(3, patch=2)
    for batch in np.split(X, 3):
        stream.partial_fit(batch)
    for other in (stream, hidden(3, patch=2).fit_moments(Moments.from_data(X)), clone(model).fit(X)):
        assert_allclose(other.expected_loss_, model.expected_loss_, rtol=1e-7)
        assert_allclose(other.score(X), model.score(X), rtol=1e-7)
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(twin.transform(X), model.transform(X))
    assert twin.score(X) == model.score(X)
    assert_allclose(hidden(3, patch=2).fit(X.astype(np.float32)).expected_loss_, model.expected_loss_, rtol=1e-4)


def test_channels_are_hidden_with_their_pixel(rng):
    X = images(rng, 100, (4, 4, 2))
    last = hidden(3, patch=2).fit(X)
    first = hidden(3, patch=2, channel_axis=0).fit(np.moveaxis(X, -1, 1))
    assert_allclose(first.expected_loss_, last.expected_loss_, rtol=1e-6)


@pytest.mark.parametrize("n_components", [None, 0.9, 2])
def test_unrelated_patches_are_rebuilt_as_their_mean(n_components):
    X = np.array(list(itertools.product([0.0, 1.0, 5.0], repeat=2)))
    model = hidden(n_components, patch=1, channel_axis=None, mask=0.5).fit(X)
    assert model.n_components_ == (n_components if n_components == 2 else 1)
    assert_array_equal(model.transform(X), 0)
    assert_allclose(model.expected_loss_, X.var())


@pytest.mark.parametrize("sampling", [Blocks(), "bernoulli"])
def test_samples_without_variance_teach_nothing(sampling):
    X = np.full((8, 4, 4), 3.0)
    model = hidden(2, patch=2, mask_sampling=sampling).fit(X)
    assert model.expected_loss_ == 0
    assert not model.components_.any()
    with pytest.raises(ValueError, match="carries no signal"):
        hidden(patch=2, mask_sampling=sampling).fit(X)


def test_a_regression_on_dependent_features_is_of_the_least_norm(rng):
    """Of features that repeat one another, and by no other eigenvectors than all else."""
    F = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 5))
    M = F @ F.T
    C = rng.normal(size=(3, 5)) @ M
    assert_allclose(_descent._regressed(C, M), C @ np.linalg.pinv(M, 1e-10, hermitian=True), atol=1e-8)
    assert not _descent._regressed(C, np.zeros((5, 5))).any()


def test_a_share_of_the_variance_keeps_no_direction_without_signal(rng):
    """The descent needs no more directions than samples have, whatever it is started with."""
    X = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6))
    model = hidden(0.95, patch=2, image_shape=(6,), mask=0.5).fit(X)
    assert model.n_components_ == 2
    assert (model.eigenvalues_ > 1e-9).all()
    assert hidden(3, patch=2, image_shape=(6,), mask=0.5).fit(X).n_components_ == 3
