"""Holes in, whole samples out, in a Pipeline."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import LinearAE, LinearMAE, Moments, PatchImputer
from skmae.linear import _state

IMPUTERS = [
    PatchImputer(),
    PatchImputer(method="linear"),
    PatchImputer(LinearAE(2)),
    PatchImputer(LinearMAE(2, patch=1, channel_axis=None), method="linear"),
]
IMAGES = load_digits().images
HOLES = np.where(np.random.default_rng(0).random(IMAGES.shape) < 0.3, np.nan, IMAGES)


@parametrize_with_checks(IMPUTERS)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", ["conditional", "linear"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_fills_as_its_estimator_does(method, dtype):
    X = HOLES.astype(dtype)
    estimator = LinearMAE(20, mask=0.5, patch=2)
    filled = PatchImputer(estimator, method=method).fit_transform(X)
    assert filled.dtype == dtype
    known = ~np.isnan(X)
    assert_array_equal(filled[known], X[known])
    assert_allclose(filled, estimator.fit_moments(Moments.from_data(X)).fill(X, method=method), atol=1e-4)
    assert not hasattr(PatchImputer(), "moments_")


def test_it_is_better_than_the_mean():
    filled = [make().fit(IMAGES[:1000]).transform(HOLES[1000:].reshape(-1, 64)) for make in (PatchImputer,)]
    by_mean = SimpleImputer().fit(IMAGES[:1000].reshape(-1, 64)).transform(HOLES[1000:].reshape(-1, 64))
    truth = IMAGES[1000:].reshape(-1, 64)
    assert np.mean((filled[0] - truth) ** 2) < 0.5 * np.mean((by_mean - truth) ** 2)


@pytest.mark.parametrize("method", ["conditional", "linear"])
def test_batches_are_fit(method):
    imputer = PatchImputer(LinearMAE(20, mask=0.5, patch=2), method=method)
    for batch in np.array_split(HOLES, 5):
        imputer.partial_fit(batch)
    filled = imputer.transform(HOLES)
    assert_allclose(filled, imputer.fit(HOLES).transform(HOLES), atol=1e-8)


def test_partial_fit_goes_on_from_moments_alone():
    assert PatchImputer(LinearMAE(4, patch=2)).fit(IMAGES).partial_fit(IMAGES[:3]).estimator_.n_samples_seen_ == 1800
    imputer = PatchImputer(LinearMAE(4, patch=2), method="linear").fit(IMAGES)
    with pytest.raises(NotFittedError, match="cannot go on from fit, which keeps no moments"):
        imputer.estimator_.partial_fit(IMAGES)
    assert not hasattr(imputer, "partial_fit")


def test_the_conditional_needs_no_eigenvectors(monkeypatch):
    monkeypatch.setattr(_state, "solve", None)
    assert np.isfinite(PatchImputer().fit(IMAGES).transform(HOLES)).all()


def test_weights_count():
    w = np.random.default_rng(1).integers(0, 3, len(HOLES))
    X = LinearMAE(patch=2)
    weighed = PatchImputer(X).fit(HOLES, sample_weight=w).transform(HOLES[:50])
    repeated = PatchImputer(X).fit(np.repeat(HOLES, w, axis=0)).transform(HOLES[:50])
    assert_allclose(weighed, repeated, atol=1e-9)
    shares = PatchImputer(X).fit(HOLES, sample_weight=w / 1e6).transform(HOLES[:50])
    assert np.abs(shares - repeated).max() < 2
    assert np.abs(weighed - PatchImputer(X).fit(HOLES).transform(HOLES[:50])).max() > 0.5


def test_shapes_and_frames():
    import pandas as pd

    imputer = PatchImputer(LinearMAE(patch=2)).fit(IMAGES)
    assert imputer.image_shape_ == (8, 8)
    assert imputer.channel_axis_ is None
    assert imputer.transform(HOLES).shape == IMAGES.shape
    flat = imputer.transform(HOLES.reshape(-1, 64))
    assert_array_equal(flat, imputer.transform(HOLES).reshape(-1, 64))
    imputer.set_output(transform="pandas")
    for X in (HOLES, HOLES.reshape(-1, 64)):
        assert_array_equal(imputer.transform(X).to_numpy(), flat)
    frame = pd.DataFrame(HOLES.reshape(-1, 64), columns=[f"pixel {i}" for i in range(64)])
    filled = PatchImputer().set_output(transform="pandas").fit_transform(frame)
    assert list(filled.columns) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        PatchImputer().fit(frame).transform(frame.rename(columns={"pixel 3": "x"}))


def test_in_a_pipeline_and_a_search():
    y = load_digits().target
    flat, holes = IMAGES.reshape(-1, 64), HOLES.reshape(-1, 64)
    pipe = make_pipeline(PatchImputer(LinearMAE(patch=2)), LogisticRegression(max_iter=5000))
    grid = {"patchimputer__method": ["linear", "conditional"], "patchimputer__estimator__mask": [0.5]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(holes[:900] / 16, y[:900])
    by_mean = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=5000)).fit(holes[:900] / 16, y[:900])
    assert search.score(holes[900:] / 16, y[900:]) > by_mean.score(holes[900:] / 16, y[900:])
    encoded = make_pipeline(PatchImputer(LinearMAE(patch=2)), LinearMAE(8, patch=2)).fit_transform(HOLES)
    assert encoded.shape == (len(flat), 8)


@pytest.mark.parametrize(
    ("imputer", "text"),
    [
        (PatchImputer(SimpleImputer()), "'estimator' parameter of PatchImputer must be an instance of"),
        (PatchImputer(method="mean"), "'method' parameter of PatchImputer must be a str among"),
        (PatchImputer(LinearMAE(mask=2)), "'mask' parameter of LinearMAE"),
    ],
)
def test_bad_parameters(imputer, text):
    with pytest.raises(ValueError, match=text):
        imputer.fit(IMAGES)


def test_a_batch_that_is_refused_leaves_it_as_it_was():
    imputer = PatchImputer(LinearMAE(patch=2)).partial_fit(IMAGES)
    before = imputer.transform(HOLES)
    with pytest.raises(ValueError, match="infinity"):
        imputer.partial_fit(np.where(IMAGES > 10, np.inf, IMAGES))
    with pytest.raises(ValueError, match=r"shape \(8, 5\), but PatchImputer was fitted on"):
        imputer.partial_fit(IMAGES[:, :, :5])
    assert_array_equal(imputer.transform(HOLES), before)


def test_a_copy_leaves_it_alone():
    imputer = PatchImputer(LinearMAE(patch=2)).fit(IMAGES[:500])
    before = imputer.transform(HOLES)
    assert np.abs(copy.copy(imputer).partial_fit(3 * IMAGES).transform(HOLES) - before).max() > 0.1
    assert_array_equal(imputer.transform(HOLES), before)
    assert not hasattr(copy.copy(PatchImputer()), "estimator_")


@pytest.mark.parametrize("method", ["conditional", "linear"])
def test_fit_refuses_what_nothing_can_be_learned_from(method):
    never = IMAGES.copy()
    never[:, 3, 3] = np.nan
    for X, text in ((IMAGES[:1], "n_samples=1 is too few"), (never, "missing in every sample")):
        with pytest.raises(ValueError, match=text) as refused:
            PatchImputer(LinearMAE(patch=2), method=method).fit(X)
        assert not isinstance(refused.value, NotFittedError)
