"""sample_weight: a weight of 2 is a sample twice, a weight of 0 no sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skmae import LinearAE, LinearDAE, LinearMAE, Moments

MODELS = [
    LinearMAE(3, mask=0.5, patch=2, image_shape=(4, 3), channel_axis=None),
    LinearMAE(3, mask=0.5, patch=2, image_shape=(4, 3), channel_axis=None, mask_sampling="exact", whiten=True),
    LinearDAE(3, noise_std=0.5),
    LinearAE(3),
]


def repeated(X, weights):
    return np.repeat(X, weights, axis=0)


def assert_same_model(a, b, X):
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-9 * np.abs(b.transform(X)).max())
    np.testing.assert_allclose(a.eigenvalues_, b.eigenvalues_, rtol=1e-9)
    assert a.expected_loss_ == pytest.approx(b.expected_loss_, rel=1e-9)
    assert a.n_samples_seen_ == b.n_samples_seen_


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("solver", ["cholesky", "dual"])
@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_whole_weights_repeat_samples(model, solver, dtype, rng):
    n = 60 if solver == "cholesky" else 9
    X = (rng.random((n, 12)) * 100).astype(dtype)
    weights = np.append(rng.integers(0, 4, n - 4), [0, 1, 2, 3])
    model = model.set_params(solver=solver)
    weighted = model.fit(X, sample_weight=weights)
    by_hand = type(model)(**model.get_params()).fit(repeated(X, weights))
    assert_same_model(weighted, by_hand, X)
    assert weighted.score(X, sample_weight=weights) == pytest.approx(by_hand.score(repeated(X, weights)))
    assert weighted.score(X, sample_weight=weights) == pytest.approx(-weighted.expected_loss_)


def test_the_scale_of_weights_does_not_matter(rng):
    X, weights = rng.normal(size=(40, 12)), rng.random(40)
    for solver in ("cholesky", "dual"):
        model = MODELS[0].set_params(solver=solver)
        a = model.fit(X, sample_weight=weights / weights.sum()).transform(X)
        b = model.fit(X, sample_weight=weights * 1e3).transform(X)
        np.testing.assert_allclose(a, b, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 39), max_size=4, unique=True))
def test_weighted_batches_are_the_weighted_whole(seed, cuts):
    rng = np.random.default_rng(seed)
    X, weights = rng.normal(5, 1, size=(40, 12)), rng.random(40) + 0.01
    streamed = LinearMAE(3, patch=2, image_shape=(4, 3), channel_axis=None)
    for rows in np.split(np.arange(40), sorted(cuts)):
        streamed.partial_fit(X[rows], sample_weight=weights[rows])
    whole = LinearMAE(3, patch=2, image_shape=(4, 3), channel_axis=None, solver="cholesky")
    whole.fit(X, sample_weight=weights)
    np.testing.assert_allclose(np.abs(streamed.transform(X)), np.abs(whole.transform(X)), atol=1e-8)
    np.testing.assert_allclose(streamed.eigenvalues_, whole.eigenvalues_, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weighted_moments_are_numpy_covariances(dtype, rng):
    X, weights = rng.normal(3, 2, size=(3000, 5)).astype(np.float32), rng.random(3000)
    moments = Moments.from_data(X, sample_weight=weights, dtype=dtype)
    rtol = 1e-12 if dtype == np.float64 else 1e-6
    assert moments.n == pytest.approx(weights.sum())
    assert moments.n_rows == 3000
    np.testing.assert_allclose(moments.mean, np.average(X.astype(float), axis=0, weights=weights), rtol=rtol)
    np.testing.assert_allclose(moments.second, np.cov(X.T.astype(float), aweights=weights, ddof=0), atol=10 * rtol)


def test_a_weighted_fold_can_be_taken_away_again(rng):
    X, weights = rng.normal(1e3, 1, size=(50, 4)), rng.random(50)
    fold = Moments.from_data(X[:20], sample_weight=weights[:20])
    rest = Moments.from_data(X, sample_weight=weights) - fold
    expected = Moments.from_data(X[20:], sample_weight=weights[20:])
    np.testing.assert_allclose(rest.second, expected.second, atol=1e-9)
    assert rest.n == pytest.approx(expected.n)
    assert rest.n_rows == 30


def test_features_constant_outside_a_fold_are_constant_without_it(rng):
    X = rng.normal(1, 1, size=(60, 6))
    X[20:, 2] = 0.1  # varies in the fold alone; rounding must not leave it a variance
    rest = Moments.from_data(X) - Moments.from_data(X[:20])
    assert (rest.second[2] == 0).all()
    assert np.count_nonzero(rest.second.diagonal()) == 5


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.eye(1, 30, 7)[0], r"sample_weight\[7\] is -1.0: weights must be >= 0"),
        (np.zeros(30), "sample_weight is zero for all 30 samples"),
        (np.ones(29), r"shape \(29,\); it must hold one weight per sample: \(30,\)"),
        (np.ones((30, 1)), r"shape \(30, 1\); it must hold one weight"),
        (np.full(30, np.nan), "sample_weight contains NaN"),
        (["a"] * 30, "could not convert"),
        (np.eye(1, 30)[0], "n_samples=1 is too few"),
    ],
)
def test_bad_weights(weights, message, rng):
    X = rng.normal(size=(30, 12))
    fitted = LinearMAE(2, patch=1).fit(X)
    before = fitted.components_
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, sample_weight=weights)
    assert fitted.components_ is before
    if "few" not in message:
        with pytest.raises(ValueError, match=message):
            fitted.score(X, sample_weight=weights)
        stream = LinearMAE(2, patch=1).partial_fit(X)
        with pytest.raises(ValueError, match=message):
            stream.partial_fit(X, sample_weight=weights)
        assert stream.n_samples_seen_ == 30


def test_weights_are_routed_through_a_pipeline(rng):
    X, y, weights = rng.normal(size=(40, 16)), rng.integers(0, 2, 40), rng.random(40)
    expected = LinearMAE(2, patch=2).fit(X, sample_weight=weights).components_
    pipe = make_pipeline(LinearMAE(2, patch=2), LogisticRegression())
    np.testing.assert_array_equal(pipe.fit(X, y, linearmae__sample_weight=weights)[0].components_, expected)
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            LinearMAE(2, patch=2).set_fit_request(sample_weight=True),
            LogisticRegression().set_fit_request(sample_weight=True),
        )
        np.testing.assert_array_equal(pipe.fit(X, y, sample_weight=weights)[0].components_, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
def test_weighted_8_bit_samples_have_no_more_directions_than_samples(dtype, rng):
    """About the middle of the type, 128, the sums of small weighted numbers would lose the digits that tell rank."""
    X = rng.integers(0, 2, (6, 12)).astype(dtype)
    weights = rng.random(6)
    model = LinearMAE(mask=0.25, patch=2, image_shape=(12,)).fit_moments(Moments.from_data(X, sample_weight=weights))
    assert model.n_components_ <= 5
    centred = X - np.average(X.astype(float), axis=0, weights=weights)
    expected = (centred * weights[:, np.newaxis]).T @ centred / weights.sum()
    np.testing.assert_allclose(model.moments_.second, expected, atol=1e-15)
