"""Samples with missing entries: NaN, masked, or hidden by `visible`, which is all the same."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, Moments
from skmae.linear import reduced_rank_regression

MODELS = [LinearMAE(4, mask=0.5, patch=2), LinearDAE(4, noise_std=0.3), LinearAE(4)]


def images(rng, n=300, shape=(4, 6), rank=5):
    """Of smooth structure, and some noise."""
    basis = rng.standard_normal((rank, *shape)).cumsum(1).cumsum(2)
    return np.tensordot(rng.standard_normal((n, rank)), basis, 1) / 4 + 0.1 * rng.standard_normal((n, *shape)) + 3


def holes(rng, shape, share=0.3):
    missing = rng.random(shape) < share
    missing[:2] = False  # every pair is known together
    return missing


def by_pairs(X, w=None):
    """Mean and second moment of rows with NaN, by plain loops over pairs (MATH: S_ij over the rows that know both)."""
    d = X.shape[1]
    w = np.ones(len(X)) if w is None else w
    known = ~np.isnan(X)
    mean = np.array([np.average(X[known[:, i], i], weights=w[known[:, i]]) for i in range(d)])
    S = np.zeros((d, d))
    for i in range(d):
        for j in range(d):
            both = known[:, i] & known[:, j]
            if w[both].sum() > 0:
                S[i, j] = np.average((X[both, i] - mean[i]) * (X[both, j] - mean[j]), weights=w[both])
    return mean, S


@pytest.fixture
def gaps(rng):
    """(X, missing): images, and which of their pixels are missing."""
    X = images(rng)
    return X, holes(rng, X.shape)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_the_pairs_that_are_known(dtype, weighted, gaps, rng):
    X, missing = gaps
    X = np.where(missing, np.nan, X).reshape(len(X), -1).astype(dtype)
    w = rng.integers(0, 4, len(X)) / 2 if weighted else None
    moments = Moments.from_data(X, sample_weight=w)
    mean, S = by_pairs(X.astype(np.float64), w)
    assert_allclose(moments.mean, mean, rtol=1e-12)
    assert_allclose(moments.second, S, atol=1e-12)
    assert moments.n == (len(X) if w is None else w.sum())


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.float32, bool])
def test_masked_entries_are_missing_whatever_stands_there(dtype, gaps):
    X, missing = gaps
    X = (X > 3) if dtype is bool else (20 * X).astype(dtype)
    with_nan = np.where(missing, np.nan, X)
    masked = np.ma.masked_array(np.where(missing, np.array(-1).astype(dtype), X), missing)
    expected, moments = Moments.from_data(with_nan), Moments.from_data(masked)
    assert_allclose(moments.second, expected.second, atol=1e-10)
    assert_allclose(moments.mean, expected.mean, rtol=1e-12)
    assert moments.sample_shape == X.shape[1:]
    model = LinearMAE(4, mask=0.5, patch=2)
    assert_allclose(model.fit(masked).transform(masked), model.fit(with_nan).transform(with_nan), atol=1e-4)
    as_list = [masked[i] for i in range(len(masked))]
    assert_array_equal(Moments.from_data(as_list).second, moments.second)


def test_nothing_masked_is_as_an_array(gaps):
    X, _ = gaps
    expected = LinearMAE(4, patch=2).fit(X)
    found = LinearMAE(4, patch=2).fit(np.ma.masked_array(X, np.zeros(X.shape, bool)))
    assert_array_equal(found.components_, expected.components_)


def test_batches_in_any_order_add_up_and_are_taken_away(gaps, rng):
    X, missing = gaps
    X = np.where(missing, np.nan, X).reshape(len(X), -1)
    X[100:200] = np.nan_to_num(X[100:200], nan=1.0)  # a complete batch, too
    whole = Moments.from_data(X)
    cuts = [X[:100], X[100:200], X[200:]]
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        parts = [Moments.from_data(cuts[i] + 0.0) for i in order]
        for total in (sum(parts[1:], parts[0]), Moments.from_batches(cuts[i] for i in order)):
            assert_allclose(total.second, whole.second, atol=1e-12)
            assert_allclose(total.mean, whole.mean, rtol=1e-12)
    rest = whole - Moments.from_data(cuts[0])
    assert_allclose(rest.second, Moments.from_data(X[100:]).second, atol=1e-12)
    complete = whole - Moments.from_data(np.vstack([cuts[0], cuts[2]]))
    assert_allclose(complete.second, np.cov(cuts[1].T, bias=True), atol=1e-12)
    shuffled = rng.permutation(len(X))
    assert_allclose(Moments.from_data(X[shuffled]).second, whole.second, atol=1e-12)


@pytest.mark.parametrize("shift", [0, 1e3, 1e6])
def test_moments_do_not_depend_on_where_zero_is(shift, gaps):
    X, missing = gaps
    X = np.where(missing, np.nan, X).reshape(len(X), -1)
    moved = Moments.from_data(X[:50] + shift) + Moments.from_data(X[50:] + shift)
    scale = np.linalg.norm(Moments.from_data(X).second)
    assert np.abs(moved.second - Moments.from_data(X).second).max() < (1e-10 if shift < 1e6 else 1e-7) * scale


def test_moments_on_average_have_the_factor_of_known_numbers():
    """Over all values: E S_ij = Σ_ij [1 − 1/N_i − 1/N_j + N_ij / (N_i N_j)], here of every sample from two values."""
    known = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    values = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T  # every outcome of the common factor
    S = np.zeros((2, 2))
    for common in values:
        X = np.where(known, np.column_stack([common, 2 * common]), np.nan)
        S += by_pairs(X)[1] / len(values)
        assert_allclose(Moments.from_data(X).second, by_pairs(X)[1], atol=1e-14)
    N = known.T.astype(float) @ known
    n = N.diagonal()
    factor = 1 - 1 / n[:, None] - 1 / n + N / np.outer(n, n)
    assert_allclose(S, np.array([[1, 2], [2, 4]]) * factor, atol=1e-14)


def test_fit_is_the_optimum_of_the_mended_second_moment(gaps):
    X, _ = gaps
    X = np.where(holes(np.random.default_rng(1), X.shape, 0.5), np.nan, X)
    model = LinearMAE(4, mask=0.5, patch=2).fit(X)
    S = by_pairs(X.reshape(len(X), -1))[1]
    values, U = np.linalg.eigh(S)
    assert values[0] < -1e-3  # negative ones are the rule
    clipped = (U * np.maximum(values, 0)) @ U.T
    patches = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 2), int)).ravel()
    V = clipped * np.where(patches[:, None] == patches, 2, 1)
    expected = reduced_rank_regression(clipped, V, 4)
    assert_allclose(model.decoder_ @ model.components_, expected.decoder @ expected.encoder, atol=1e-8)
    assert_allclose(model.eigenvalues_, expected.eigenvalues)
    assert_allclose(model.expected_loss_, (np.trace(S) - expected.eigenvalues.sum()) / 24)
    assert_allclose(model.explained_variance_ratio_, expected.eigenvalues / np.trace(S))


@pytest.mark.parametrize("model", MODELS)
def test_partial_fit_and_fit_moments_are_fit(model, gaps):
    X, missing = gaps
    X = np.where(missing, np.nan, X)
    expected = model.fit(X).components_
    streamed = type(model)(**model.get_params())
    for batch in np.split(X, [7, 50, 220]):
        streamed.partial_fit(batch)
    assert_allclose(streamed.components_, expected, atol=1e-10)
    from_moments = type(model)(**model.get_params()).fit_moments(Moments.from_data(X))
    assert_allclose(from_moments.components_, expected, atol=1e-10)


def test_fewer_samples_than_features(rng):
    X = images(rng, 15)
    X = np.where(holes(rng, X.shape, 0.1), np.nan, X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pairs that are never known together, and what had to be mended
        model = LinearMAE(3, mask=0.5, patch=2).fit(X)
        assert model.solver_ != "dual"
        assert np.isfinite(model.transform(X)).all()
        with pytest.raises(ValueError, match=r'solver="dual" needs all rows at once, and complete ones'):
            LinearMAE(3, solver="dual", patch=2).fit(X)


def test_a_row_without_weight_may_hold_anything(gaps, rng):
    X, _ = gaps
    w = rng.integers(0, 3, len(X)).astype(float)
    X[w == 0] = np.inf
    X[w == 0, 0] = np.nan
    model = LinearMAE(4, mask=0.5, patch=2)
    expected = LinearMAE(4, mask=0.5, patch=2).fit(X[w > 0], sample_weight=w[w > 0])
    assert_allclose(model.fit(X, sample_weight=w).components_, expected.components_, atol=1e-10)
    assert_allclose(model.score(X, sample_weight=w), expected.score(X[w > 0], sample_weight=w[w > 0]))
    streamed = LinearMAE(4, mask=0.5, patch=2).partial_fit(X, sample_weight=w)
    assert_allclose(streamed.components_, expected.components_, atol=1e-10)


def test_what_is_hidden_is_the_union(gaps):
    X, missing = gaps
    model = LinearMAE(4, mask=0.5, patch=2).fit(X)
    visible = model.sample_visible(len(X), 0)
    shown = np.repeat(np.repeat(visible.reshape(-1, 2, 3), 2, 1), 2, 2)
    expected = model.reconstruct(np.where(missing, 0, X), shown & ~missing)
    assert_allclose(model.reconstruct(np.where(missing, np.nan, X), shown), expected)
    assert_allclose(model.reconstruct(np.ma.masked_array(X, missing), visible), expected)
    assert_allclose(model.reconstruct(np.where(missing, np.nan, X)), model.reconstruct(X, ~missing))
    for anything in (np.nan, np.inf, 1e300):
        assert_allclose(model.reconstruct(np.where(shown, X, anything), visible), model.reconstruct(X, visible))
    assert_allclose(model.reconstruct(np.full((1, 4, 6), np.nan)), model.mean_.reshape(1, 4, 6))


def test_transform_fills_and_encodes(gaps):
    X, missing = gaps
    model = LinearMAE(4, mask=0.5, patch=2).fit(X)
    with_nan = np.where(missing, np.nan, X)
    filled = np.where(missing, model.reconstruct(with_nan), X)
    assert_allclose(model.transform(with_nan), model.transform(filled), atol=1e-9)
    assert_allclose(model.transform(with_nan[:2]), model.transform(X[:2]), atol=1e-12)  # of which all is known
    assert_allclose(model.transform(np.full((1, 24), np.nan)), 0, atol=1e-12)
    assert_allclose(model.transform(with_nan.astype(np.float32)), model.transform(with_nan), atol=1e-4)
    other = LinearMAE(4, mask=0.5, patch=2)
    assert_allclose(other.fit_transform(with_nan), other.transform(with_nan))


@pytest.mark.parametrize("model", [*MODELS, LinearMAE(4, mask=0.5, patch=2, loss="hidden")])
def test_score_is_the_mean_over_what_is_known(model, gaps):
    """Against all masks: each of 6 patches hidden with probability 1/2."""
    X, missing = gaps
    X = np.where(missing, np.nan, X)
    model.fit(X)
    y = np.nan_to_num(X.reshape(len(X), -1) - model.mean_)
    known = ~missing.reshape(len(X), -1)
    patches = np.kron(np.arange(6).reshape(2, 3), np.ones((2, 2), int)).ravel()
    B, error = model.decoder_ @ model.components_, 0
    if isinstance(model, LinearMAE):
        for number in range(64):
            r = (number >> np.arange(6) & 1)[patches]
            counts = known & (r == 0) if model.loss == "hidden" else known
            error += np.sum(counts * (y - (2 * r * y) @ B.T) ** 2) / 64
        error *= 2 if model.loss == "hidden" else 1  # per hidden feature, and half of them are
    else:
        noise = getattr(model, "noise_std", 0) ** 2 * (B**2).sum(axis=1)
        error = np.sum(known * ((y - y @ B.T) ** 2 + noise))
    assert_allclose(-model.score(X), error / known.sum())


def test_what_nothing_is_known_of(gaps):
    X, missing = gaps
    X = np.where(missing, np.nan, X).reshape(len(X), -1)
    X[:, [3, 17]] = np.nan
    moments = Moments.from_data(X)
    with pytest.raises(ValueError, match=r"2 of 24 features are missing in every sample: 3, 17. .*leave them out, or"):
        _ = moments.second
    with pytest.raises(ValueError, match="missing in every sample: 3, 17"):
        LinearMAE(4, patch=2).fit(X)
    again = moments + Moments.from_data(np.nan_to_num(X[:5]))
    assert np.isfinite(again.second).all()


def test_a_pair_never_known_together_counts_as_uncorrelated_and_is_warned_of(gaps):
    X, _ = gaps
    X = X.reshape(len(X), -1)
    X[:150, 0] = np.nan
    X[150:, 1] = np.nan
    with pytest.warns(UserWarning, match="1 pairs of features are never known together"):
        S = Moments.from_data(X).second
    assert S[0, 1] == S[1, 0] == 0
    with pytest.warns(UserWarning, match="never known together"):
        LinearMAE(4, patch=2).fit(X)


def test_too_much_missing_is_warned_of(rng):
    X = images(rng, 40)
    X = np.where(holes(rng, X.shape, 0.7), np.nan, X)
    with pytest.warns(UserWarning, match="its second moment had to be mended: variances grew by .* Add samples"):
        LinearMAE(4, patch=2).fit(X)


def test_a_search_over_samples_with_gaps(gaps):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    X, missing = gaps
    y = X.mean(axis=(1, 2))
    grid = {"linearmae__mask": [0.25, 0.75], "linearmae__patch": [1, 2]}
    pipe = make_pipeline(LinearMAE(4), Ridge())
    theirs = GridSearchCV(pipe, grid, cv=3).fit(np.where(missing, np.nan, X), y)
    for given in (np.where(missing, np.nan, X), np.ma.masked_array(X, missing)):
        ours = LinearMAESearchCV(pipe, grid, cv=3).fit(given, y)
        assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-8)


def test_dask_and_devices(gaps):
    da = pytest.importorskip("dask.array", reason="Dask is not installed")
    X, missing = gaps
    with_nan = np.where(missing, np.nan, X)
    expected = LinearMAE(4, mask=0.5, patch=2).fit(with_nan)
    for lazy in (da.from_array(with_nan, chunks=(70, 4, 6)), da.ma.masked_invalid(da.from_array(with_nan, chunks=100))):
        lazy = lazy.rechunk({1: -1, 2: -1})
        found = LinearMAE(4, mask=0.5, patch=2).fit(lazy)
        assert_allclose(found.components_, expected.components_, atol=1e-10)
        assert_allclose(found.transform(lazy).compute(), expected.transform(with_nan), atol=1e-9)
        assert_allclose(found.score(lazy), expected.score(with_nan))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "reconstruct", "score", "linearize"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused_everywhere(method, bad, gaps):
    X, missing = gaps
    X = np.where(missing, np.nan, X)
    model = LinearMAE(4, patch=2)
    if "fit" not in method:
        model.fit(X)
    X[7, 1, 2] = bad
    with pytest.raises(ValueError, match="inf"):
        getattr(model, method)(X)


def test_constant_features_and_small_ones_stay_what_they_are(rng):
    """Mending the second moment must not make features of rounding."""
    X = images(rng, 60).reshape(60, -1)
    X[:, 3] = 7.0
    X[:, 5] *= 1e-6
    missing = holes(rng, X.shape, 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what had to be mended
        model = LinearMAE(4, mask=0.5, patch=1, image_shape=(4, 6)).fit(np.where(missing, np.nan, X))
        moments = Moments.from_data(np.where(missing, np.nan, X))
    assert not model.components_[:, 3].any()
    assert np.abs(model.decoder_[3]).max() < 1e-12
    assert np.linalg.eigvalsh(moments.second)[0] < -1e-3
    assert np.abs(model.components_).max() < 1e9
    assert -model.score(X) < X.var(axis=0).mean()


def test_what_is_filled_is_filled_about_the_mean(rng):
    X = (60_000 + rng.integers(0, 9, (300, 24))).astype(np.float32)
    model = LinearMAE(4, mask=0.5, patch=1, image_shape=(4, 6)).fit(X)
    X[:50, ::2] = np.nan
    assert_allclose(model.transform(X), model.transform(X.astype(np.float64)), atol=2e-5)


def test_nothing_known_at_all(gaps):
    model = LinearMAE(4, patch=2).fit(gaps[0])
    with pytest.raises(ValueError, match="All of X is NaN or masked"):
        model.score(np.full((3, 4, 6), np.nan))


def test_longdouble_beyond_float64_is_refused_by_name(gaps):
    with pytest.raises(ValueError, match=r"largest absolute value of X is .*e\+4000"):
        LinearMAE(4, patch=2).fit(gaps[0] * np.longdouble("1e4000"))


@pytest.mark.parametrize("weights", [[0.7, 0.4, 0.1, 0.1], [0.6, 1.1, 0.2, 1.0]])
def test_where_no_complete_sample_is_left_rounding_of_weights_is_none(weights, rng):
    X, weights = rng.normal(size=(4, 3)), np.array(weights)
    X[2:, 0] = X[3, 1] = np.nan
    complete, rest = (Moments.from_data(X[rows], sample_weight=weights[rows]) for rows in (slice(0, 2), slice(2, 4)))
    left = (complete + rest) - complete
    assert left.n != rest.n  # rounding, which must not count as a sample
    with pytest.raises(ValueError, match="1 of 3 features are missing in every sample: 0"):
        left.second  # noqa: B018


@pytest.mark.parametrize("centre", [0.0, 1e6])
def test_samples_that_do_not_know_a_feature_do_not_say_where_its_sums_are_kept(centre, rng):
    """What lies under a mask is not looked at, and costs the others no digits."""
    X = centre + 1e-3 * rng.normal(size=(22, 3))
    X[-1, 2] = 77.0
    masked = np.ma.masked_array(X, np.zeros(X.shape, bool))
    masked.mask[-1, 2] = True
    known, unknown = Moments.from_data(X[:-1]), Moments.from_data(masked[-1:])
    updated = Moments.from_data(masked[-1:]).update(X[:-1])
    for moments in (known + unknown, unknown + known, updated, Moments.from_data(masked)):
        assert_allclose(moments.second[2, 2], X[:-1, 2].var(), rtol=1e-12 if not centre else 1e-6)
        assert_allclose(moments.mean[2], X[:-1, 2].mean(), rtol=1e-12)
