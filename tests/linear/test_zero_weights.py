"""A sample of weight zero is no sample: it does not count toward what a model needs, nor toward what is recorded."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, Moments

KEPT = [3, 7, 8, 20]


@pytest.fixture
def X(rng):
    return rng.normal(size=(30, 12))


@pytest.fixture
def weights(rng):
    """Above zero for four samples of thirty."""
    weights = np.zeros(30)
    weights[KEPT] = 0.5 + rng.random(4)
    return weights


def through_fit(model, X, weights):
    return model.fit(X, sample_weight=weights)


def through_batches(model, X, weights):
    for rows in (slice(0, 10), slice(10, 30)):
        model.partial_fit(X[rows], sample_weight=weights[rows])
    return model


def through_moments(model, X, weights):
    return model.fit_moments(Moments.from_data(X, sample_weight=weights))


def through_chunks(model, X, weights):
    dask_array = pytest.importorskip("dask.array", reason="chunks need Dask")
    return model.fit(dask_array.from_array(X, chunks=(10, 12)), sample_weight=weights)


WAYS = [through_fit, through_batches, through_moments, through_chunks]


def test_moments_count_samples_that_have_weight(X, weights):
    whole = Moments.from_data(X, sample_weight=weights)
    stream = Moments(12).update(X[:10], sample_weight=weights[:10]).update(X[10:], sample_weight=weights[10:])
    first = Moments.from_data(X[:10], sample_weight=weights[:10])
    rest = Moments.from_data(X[10:], sample_weight=weights[10:])
    kept = Moments.from_data(X[KEPT], sample_weight=weights[KEPT])
    for moments in (whole, stream, first + rest, kept):
        assert moments.n_rows == 4
        assert moments.n == pytest.approx(weights.sum())
        assert_allclose(moments.mean, kept.mean, rtol=1e-12)
        assert_allclose(moments.second, kept.second, atol=1e-13)
    assert (first.n_rows, rest.n_rows, (whole - first).n_rows) == (3, 1, 1)


def test_whole_numbers_count_likewise(rng, weights):
    X = rng.integers(0, 256, (30, 12), dtype=np.uint8)
    assert Moments.from_data(X, sample_weight=weights).n_rows == 4
    assert Moments.from_data(X, sample_weight=weights, dtype=np.float32).n_rows == 4


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", [LinearMAE(5, patch=3), LinearDAE(5), LinearAE(5)], ids=lambda m: type(m).__name__)
def test_more_components_than_samples_of_weight_are_refused(model, way, X, weights):
    model = type(model)(**model.get_params())
    with pytest.raises(ValueError, match=r"n_components=5 is larger than min\(n_samples=4, n_features=12\)"):
        way(model, X, weights).components_  # noqa: B018


@pytest.mark.parametrize("way", WAYS)
def test_as_many_components_as_samples_of_weight_are_those_of_these_samples(way, X, weights):
    model = way(LinearMAE(4, mask=0.5, patch=1, image_shape=(12,)), X, weights)
    alone = LinearMAE(4, mask=0.5, patch=1, image_shape=(12,), solver="eigh").fit(X[KEPT], sample_weight=weights[KEPT])
    assert_allclose(model.eigenvalues_, alone.eigenvalues_, rtol=1e-9, atol=1e-12)
    assert_allclose(np.abs(model.transform(X)[:, :3]), np.abs(alone.transform(X)[:, :3]), atol=1e-8)
    assert model.n_samples_seen_ == pytest.approx(weights.sum())


@pytest.mark.parametrize("way", [through_fit, through_moments, through_chunks])  # a batch without weight is refused
def test_one_sample_of_weight_is_too_few(way, X):
    with pytest.raises(ValueError, match="n_samples=1 is too few"):
        way(LinearAE(1), X, np.eye(1, 30, 7)[0]).components_  # noqa: B018


def test_the_solver_is_chosen_by_the_samples_of_weight(rng):
    X = rng.normal(size=(2000, 400))
    weights = np.zeros(2000)
    weights[::100] = 1
    model = LinearMAE(3, patch=2)
    assert model.fit(X).solver_ == "cholesky"
    assert model.fit(X[::100]).solver_ == model.fit(X, sample_weight=weights).solver_ == "dual"


def test_a_fold_of_few_samples_of_weight_fails_in_a_search_as_alone(rng):
    """Of the first fold's training rows all but four have weight zero."""
    X, y, weights = rng.normal(size=(40, 12)), rng.normal(size=40), np.ones(40)
    weights[20:36] = 0
    pipe = make_pipeline(LinearMAE(5, patch=3), Ridge())
    cv = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    search = LinearMAESearchCV(pipe, {"linearmae__mask": [0.5]}, cv=cv, error_score=-7.0, refit=False)
    with pytest.warns(match="n_samples=4"):
        search.fit(X, y, linearmae__sample_weight=weights)
    assert search.cv_results_["split0_test_score"] == [-7.0]
    assert search.cv_results_["split1_test_score"] != [-7.0]
