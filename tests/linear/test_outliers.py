"""A patch is judged by what the rest of its sample says of it: against regression by brute force, and theory."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2, kstest
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import Moments, PatchOutlierDetector
from skmae.linear import _leave_out, _outliers
from skmae.linear._leave_out import LogScores, _inverse_trigamma, log_scores, without_themselves

DETECTORS = [
    PatchOutlierDetector(),
    PatchOutlierDetector(patch=1, contamination=0.1),
    PatchOutlierDetector(2, stride=3),
]


@parametrize_with_checks(DETECTORS)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


def correlated(rng, n, shape, noise=0.3):
    """Smooth samples, each pixel like its neighbours."""
    X = rng.normal(size=(n, *shape))
    for axis in range(1, X.ndim):
        X = X + np.roll(X, 1, axis) + np.roll(X, 2, axis)
    return X + noise * rng.normal(size=X.shape)


def left_out(X, x, features, ridge):
    """The squared Mahalanobis distance of some features of x from their regression on all others."""
    S = np.cov(X.T, bias=True) + ridge * np.eye(X.shape[1])
    y = x - X.mean(axis=0)
    rest = np.setdiff1d(np.arange(len(y)), features)
    weights = np.linalg.solve(S[np.ix_(rest, rest)], S[np.ix_(rest, features)])
    covariance = S[np.ix_(features, features)] - S[np.ix_(features, rest)] @ weights
    error = y[features] - y[rest] @ weights
    return error @ np.linalg.solve(covariance, error)


def test_a_fit_that_is_interrupted_leaves_the_detector_as_it_was(rng, monkeypatch):
    X = rng.normal(size=(60, 6, 6))
    detector = PatchOutlierDetector(patch=2).fit(X)
    before = detector.score_samples(X)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_outliers, "without_themselves", interrupted)
        with pytest.raises(KeyboardInterrupt):
            detector.fit(7 * X + 100)
    np.testing.assert_array_equal(detector.score_samples(X), before)


@pytest.mark.parametrize("scale", [1e-30, 1e-17, 1e25])
def test_scales_that_float32_holds_do_not_count(scale, rng):
    X = correlated(rng, 200, (6, 6))
    plain, scaled = X.astype(np.float32), (X * scale).astype(np.float32)
    expected, found = (PatchOutlierDetector(patch=2).fit(Y).score_samples(Y) for Y in (plain, scaled))
    assert found.dtype == np.float32
    assert_allclose(found, expected, atol=1e-3)


def test_patch_and_stride_are_those_of_the_first_call(rng):
    X = rng.normal(size=(60, 6, 6))
    changed = PatchOutlierDetector(patch=2).fit(X).set_params(patch=3, stride=2).partial_fit(X)
    same = PatchOutlierDetector(patch=2).fit(X).partial_fit(X)
    np.testing.assert_array_equal(changed.score_samples(X), same.score_samples(X))
    assert changed.log_score_mean_.shape == (5, 5)


@pytest.mark.parametrize(
    ("shape", "axis", "patch", "stride"),
    [
        ((9,), "auto", 3, None),
        ((5, 4), "auto", 2, None),
        ((5, 4), "auto", (2, 3), 2),
        ((4, 4, 3), "auto", 2, 3),
        ((2, 4, 3), 0, 2, 1),
        ((3, 3, 5), None, 2, (1, 1, 2)),
        ((3, 3), "auto", 7, None),
    ],
)
def test_scores_are_those_of_regression_by_brute_force(shape, axis, patch, stride, rng, monkeypatch):
    monkeypatch.setattr(_leave_out, "_NUMBERS", 64)
    X = correlated(rng, 80, shape)
    detector = PatchOutlierDetector(patch, stride=stride, channel_axis=axis).fit(X)
    windows, flat = detector._fitted_windows, X.reshape(80, -1)
    ridge = 1e-4 * flat.var(axis=0).mean()
    found, squares = log_scores(flat[:3] - detector.mean_, detector.precision_, windows)
    Y = flat[:3] - detector.mean_
    assert_allclose(squares, np.einsum("nd,de,ne->n", Y, detector.precision_, Y))
    expected = [[np.log(left_out(flat, x, j, ridge)) for j in windows.features] for x in flat[:3]]
    if windows.features.shape[1] < flat.shape[1]:
        assert_allclose(found, expected, rtol=1e-8)
    pixels = np.arange(windows.grid.n_pixels).reshape(windows.grid.grid_shape)
    covered = windows.grid.pixel_of_feature[windows.features]
    assert set(covered.ravel()) == set(pixels.ravel())  # every pixel is judged
    z = detector._log_scores_of_training.standardise(found)
    by_pixel = [[z_i[(covered == pixel).any(axis=1)].max() for pixel in pixels.ravel()] for z_i in z]
    assert_allclose(detector.patch_scores(X[:3]).reshape(3, -1), by_pixel, rtol=1e-8)
    assert_allclose(detector.score_samples(X[:3]), -z.max(axis=1), rtol=1e-8)


def test_one_patch_in_all_is_the_mahalanobis_distance(rng):
    X = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    detector = PatchOutlierDetector(2, image_shape=(2, 2), regularization=1e-9).fit(X)
    y = X - X.mean(axis=0)
    distance = np.einsum("nd,nd->n", y, np.linalg.solve(np.cov(X.T, bias=True), y.T).T)
    z = -detector.score_samples(X)
    assert_allclose(z * detector.log_score_std_.item() + detector.log_score_mean_.item(), np.log(distance), rtol=1e-6)


def test_p_values_of_gaussian_samples_are_uniform(rng):
    mixing = rng.normal(size=(36, 36))
    train, test = (rng.normal(size=(n, 36)) @ mixing for n in (20_000, 2000))
    in_rows = PatchOutlierDetector(3, stride=3, regularization=1e-10).fit(train)
    in_theory = PatchOutlierDetector(3, stride=3, regularization=1e-10, image_shape=(6, 6)).fit_moments(
        Moments.from_data(train)
    )
    for detector in (in_rows, in_theory):
        p = detector.patch_scores(test, kind="pvalue")[:, ::3, ::3].reshape(2000, 4)
        for column in p.T:
            assert kstest(column, "uniform").pvalue > 1e-4
    share = (in_theory.predict(test) < 0).mean()  # at most 1 %, Bonferroni's bound
    assert 0.001 < share < 0.02


def test_scores_with_long_tails_are_calibrated(rng):
    half = 3.3
    train, test = (np.log(7 * rng.gamma(half, size=(n, 2))) for n in (100_000, 5000))
    known = LogScores.of(train)
    assert kstest(known.p_values(test)[:, 0], "uniform").pvalue > 1e-4
    assert_allclose(_inverse_trigamma(known.std**2), half, rtol=0.02)


@pytest.mark.parametrize("x", [1e-3, 0.1, 0.5, 1.0, 7.3, 1e3, 1e7])
def test_inverse_of_the_trigamma_function(x):
    from scipy.special import polygamma

    assert_allclose(_inverse_trigamma(polygamma(1, np.array([x]))), x, rtol=1e-6)


def test_theory_is_that_of_chi_squares(rng):
    windows = PatchOutlierDetector(2, image_shape=(4, 4)).fit(rng.normal(size=(20, 16)))._fitted_windows
    values = np.log(chi2.rvs(4, size=200_000, random_state=0))
    theory = LogScores.in_theory(windows)
    assert_allclose([theory.mean[0], theory.std[0]], [values.mean(), values.std()], rtol=0.01)
    assert len(theory.mean) == 9


def test_a_foreign_patch_is_found_where_it_is(rng):
    X = correlated(rng, 2100, (12, 12), noise=0.1)
    detector = PatchOutlierDetector(3).fit(X[:2000])
    odd = X[2000:].copy()
    odd[:, 5:8, 2:5] = X[:100, 5:8, 2:5]
    scores = detector.patch_scores(odd)
    peak = np.argmax(scores.reshape(100, -1), axis=1)
    row, column = np.unravel_index(peak, (12, 12))
    assert ((row >= 3) & (row < 10) & (column >= 0) & (column < 7)).mean() > 0.9
    assert (detector.predict(odd) < 0).mean() > 0.9
    assert (detector.predict(X[2000:]) < 0).mean() < 0.1


def test_streams_give_what_their_moments_give(rng):
    X = correlated(rng, 60, (6, 6))
    whole = PatchOutlierDetector(2).fit_moments(Moments.from_data(X))
    stream = PatchOutlierDetector(2).partial_fit(X[:20]).partial_fit(X[20:])
    assert_allclose(stream.score_samples(X), whole.score_samples(X), rtol=1e-9)
    assert stream.offset_ == whole.offset_
    assert_allclose(stream.precision_, PatchOutlierDetector(2).fit(X).precision_, rtol=1e-8)
    assert stream.moments_.n == stream.n_samples_seen_ == 60


def test_a_stream_goes_on_from_fit(rng):
    X = correlated(rng, 60, (6, 6))
    detector = PatchOutlierDetector(2).fit(X[:40])
    offset, std, moments = detector.offset_, detector.log_score_std_, detector.moments_
    detector.partial_fit(X[40:])
    assert_allclose(detector.precision_, PatchOutlierDetector(2).fit(X).precision_, rtol=1e-8)
    assert detector.offset_ == offset
    assert_array_equal(detector.log_score_std_, std)
    assert moments.n == 40


def test_contamination_is_the_share_of_training_samples_below_the_threshold(rng):
    X = correlated(rng, 1000, (6, 6))
    assert (PatchOutlierDetector(2, contamination=0.2).fit_predict(X) < 0).mean() == 0.2


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_fewer_samples_than_features_do_not_make_new_ones_odd(dtype, rng):
    X = (40 * correlated(rng, 300, (12, 12)) + 128).clip(0, 255).astype(dtype)
    detector = PatchOutlierDetector(3).fit(X[:60])
    assert (detector.predict(X[60:]) < 0).mean() < 0.12  # all of them, were it not for what the mean has seen
    assert (detector.patch_scores(X[60:], kind="pvalue") < 1e-6).mean() < 0.001


@pytest.mark.parametrize("n", [80, 300])
def test_few_samples_of_many_features_do_not_make_new_ones_odd(n, rng):
    """64 features: training samples lie much nearer to what they are compared with than others do."""
    X = correlated(rng, n + 2000, (8, 8))
    detector = PatchOutlierDetector(2).fit(X[:n])
    assert (detector.predict(X[n:]) < 0).mean() < 0.12  # all of them, or a third, by scores of training samples
    p = detector.patch_scores(X[n:], kind="pvalue")
    assert (p < 0.01).mean() < 0.08  # the least of the four patches that cover a pixel


@pytest.mark.parametrize("n", [15, 40, 200])  # of 20 features
def test_a_training_sample_is_scored_as_if_it_were_none(n, rng):
    """Against moments of all others: neither the mean nor the second moment has seen it."""
    X = correlated(rng, n, (4, 5)).reshape(n, -1) + 3
    detector = PatchOutlierDetector(2, image_shape=(4, 5)).fit(X)
    windows = detector._fitted_windows
    found = without_themselves(*log_scores(X[:5] - detector.mean_, detector.precision_, windows), n)
    for i, values in enumerate(found):
        others = PatchOutlierDetector(2, image_shape=(4, 5)).fit(np.delete(X, i, axis=0))
        assert_allclose(values, log_scores(X[i : i + 1] - others.mean_, others.precision_, windows)[0][0], atol=0.3)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int32"])
def test_types_of_samples(dtype, rng):
    X = (60 * correlated(rng, 100, (6, 6)) + 128).clip(0, 255).round()
    expected = PatchOutlierDetector(2).fit(X)
    found = PatchOutlierDetector(2).fit(X.astype(dtype))
    assert_allclose(found.score_samples(X.astype(dtype)), expected.score_samples(X), rtol=1e-3, atol=1e-3)
    assert found.score_samples(X.astype(dtype)).dtype == np.result_type(dtype, np.float32)


def test_more_samples_than_are_scored_in_fit(rng, monkeypatch):
    X = correlated(rng, 300, (6, 6))
    monkeypatch.setattr("skmae.linear._outliers._CALIBRATION_ROWS", 100)
    detector = PatchOutlierDetector(2).fit(X)
    rows = np.linspace(0, 299, 100).astype(int)
    found = log_scores(X.reshape(300, -1)[rows] - detector.mean_, detector.precision_, detector._fitted_windows)
    values = without_themselves(*found, 300)
    assert_allclose(detector.log_score_mean_.ravel(), values.mean(axis=0))


def test_what_is_refused(rng):
    X = correlated(rng, 30, (4, 4))
    detector = PatchOutlierDetector(2).fit(X)
    before = detector.score_samples(X)
    for call, kind, message in [
        (lambda: detector.fit(X[:1]), ValueError, "n_samples=1 is too few"),
        (lambda: detector.fit(np.ones((5, 16))), ValueError, "no signal: all samples are equal"),
        (lambda: detector.fit(np.where(X > 0, np.nan, X)), ValueError, r"X contains NaN or infinity: X\[0"),
        (lambda: detector.fit_moments(X), TypeError, r"Moments.from_data\(X\)"),
        (lambda: detector.patch_scores(X, kind="p"), ValueError, 'kind must be "score" or "pvalue", got \'p\''),
        (lambda: PatchOutlierDetector(2, stride=(1, 2, 3)).fit(X), ValueError, r"stride=\(1, 2, 3\) has 3 sizes"),
        (lambda: PatchOutlierDetector(2).score_samples(X), NotFittedError, "not fitted"),
        (lambda: PatchOutlierDetector(2).partial_fit(X).partial_fit(X[:, :3]), ValueError, r"have shape \(3, 4\), but"),
        (lambda: PatchOutlierDetector(2, regularization=1e-300).fit(X[:5]), ValueError, "regularization=1e-300 is too"),
    ]:
        with pytest.raises(kind, match=message):
            call()
    assert_array_equal(detector.score_samples(X), before)
