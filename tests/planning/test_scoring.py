"""One mask for all candidates, so that mask and patch can be chosen."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skmae import LinearMAE, LinearMAESearchCV, PatchImputer
from skmae.masking import Stripes
from skmae.planning import HiddenPixelsScorer

X, Y = load_digits().images[:600] / 16, load_digits().target[:600]


def hidden(scorer, seen):
    """Which entries a scorer hides, as an estimator sees them."""

    class Recorder:
        def reconstruct(self, X, visible):
            seen.append(visible)
            return X

    scorer(Recorder(), X)
    return ~seen[-1]


def test_r2_of_hidden_pixels():
    model = LinearMAE(10, patch=2).fit(X)
    scorer, seen = HiddenPixelsScorer(mask=0.5, patch=2), []
    score = scorer(model, X)
    wrong = hidden(scorer, seen)
    made = model.reconstruct(X, ~wrong)
    expected = 1 - np.sum((made - X)[wrong] ** 2) / np.sum((X - X.mean(axis=0))[wrong] ** 2)
    assert_allclose(score, expected, rtol=1e-6)
    assert_allclose(scorer(model, X.reshape(600, 64)), expected, rtol=1e-6)
    assert_allclose(wrong.mean(), 0.5)


def test_all_candidates_see_one_mask():
    scorer, seen = HiddenPixelsScorer(mask=0.5, patch=2), []
    first = hidden(scorer, seen)
    assert (hidden(clone(scorer), seen) == first).all()
    assert (hidden(HiddenPixelsScorer(mask=0.5, patch=2, random_state=1), seen) != first).any()
    blocks = first.reshape(600, 4, 2, 4, 2)
    assert (blocks.all(axis=(2, 4)) == blocks.any(axis=(2, 4))).all()  # whole patches of 2 x 2
    stripes = hidden(HiddenPixelsScorer(mask=0.5, patch=2, mask_sampling=Stripes()), seen)
    assert (stripes.all(axis=2) == stripes.any(axis=2)).all() or (stripes.all(axis=1) == stripes.any(axis=1)).all()


def test_mask_and_patch_are_chosen_as_by_grid_search():
    grid = {"mask": [0, 0.5, 0.9], "patch": [2, 4]}
    scoring = HiddenPixelsScorer(mask=0.5, patch=2)
    ours = LinearMAESearchCV(LinearMAE(10), grid, scoring=scoring, cv=3, error_score="raise").fit(X)
    theirs = GridSearchCV(LinearMAE(10), grid, scoring=scoring, cv=3).fit(X)
    assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-8)
    scores = ours.cv_results_["mean_test_score"]
    assert ours.best_params_["mask"] > 0
    assert scores.max() - scores.min() > 0.05


def test_accuracy_with_holes():
    pipe = make_pipeline(LinearMAE(20, mask=0.5, patch=2), LogisticRegression(max_iter=5000)).fit(X[:400], Y[:400])
    scorer, seen = HiddenPixelsScorer("accuracy", mask=0.5, patch=2), []
    wrong = hidden(HiddenPixelsScorer(mask=0.5, patch=2), seen)
    assert scorer(pipe, X, Y) == pipe.score(np.where(wrong, np.nan, X).astype(np.float32), Y)
    assert scorer(pipe, X, Y) < pipe.score(X, Y)
    imputed = make_pipeline(PatchImputer(LinearMAE(patch=2)), LogisticRegression(max_iter=5000))
    assert cross_val_score(imputed, X.reshape(600, 64), Y, scoring=scorer, cv=3, error_score="raise").mean() > 0.5
    search = LinearMAESearchCV(pipe, {"linearmae__mask": [0.25, 0.75]}, scoring=scorer, cv=3, error_score="raise")
    assert search.fit(X, Y).best_score_ > 0.5


def test_what_is_missing_to_begin_with_does_not_count():
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = LinearMAE(10, patch=2).fit(X)
    score = HiddenPixelsScorer(mask=0.5, patch=2)(model, holes)
    assert 0 < score < HiddenPixelsScorer(mask=0.5, patch=2)(model, X)


@pytest.mark.parametrize(
    ("scorer", "estimator", "kind", "text"),
    [
        (HiddenPixelsScorer(), PCA(), TypeError, "PCA has no reconstruct. Pass scoring, such as 'accuracy'"),
        (
            HiddenPixelsScorer(mask=0),
            LinearMAE(),
            ValueError,
            "Nothing that is known of X, of .*, is hidden: .* a smaller patch",
        ),
        (HiddenPixelsScorer(mask=1), LinearMAE(), ValueError, "'mask' parameter of HiddenPixelsScorer"),
        (HiddenPixelsScorer(patch=(1, 1, 1)), LinearMAE(), ValueError, r"patch=\(1, 1, 1\) has 3 sizes"),
        (HiddenPixelsScorer("best"), LinearMAE(), ValueError, "'best'"),
    ],
)
def test_what_is_refused(scorer, estimator, kind, text):
    with pytest.raises(kind, match=text):
        scorer(estimator.fit(X.reshape(600, 64)), X)


def test_large_float32_values_do_not_overflow():
    large = (X * 1e25).astype(np.float32)
    score = HiddenPixelsScorer(mask=0.5, patch=2)(LinearMAE(10, patch=2).fit(large), large)
    assert_allclose(score, HiddenPixelsScorer(mask=0.5, patch=2)(LinearMAE(10, patch=2).fit(X), X), rtol=1e-3)


def test_one_sample_has_no_r2():
    with pytest.warns(UndefinedMetricWarning, match="R² of one sample is not defined"):
        assert np.isnan(HiddenPixelsScorer(mask=0.5, patch=2)(LinearMAE(10, patch=2).fit(X), X[:1]))


def test_names_of_columns_are_kept():
    import pandas as pd

    frame = pd.DataFrame(X.reshape(600, 64), columns=[f"pixel {i}" for i in range(64)])
    pipe = make_pipeline(PatchImputer(LinearMAE(patch=2)), LogisticRegression(max_iter=5000)).fit(frame, Y)
    scorer = HiddenPixelsScorer("accuracy", mask=0.5, patch=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of_frame = scorer(pipe, frame, Y)
    assert of_frame == scorer(pipe.fit(frame.to_numpy(), Y), frame.to_numpy(), Y)


def test_flat_rows_look_as_the_estimator_says():
    model = LinearMAE(10, patch=8, image_shape=(64,)).fit(X.reshape(600, 64))
    seen = []
    scorer = HiddenPixelsScorer(mask=0.5, patch=8)
    reconstruct = model.reconstruct
    model.reconstruct = lambda X, visible: seen.append(visible) or reconstruct(X, visible)
    scorer(model, X.reshape(600, 64))
    runs = seen[0].reshape(600, 8, 8)
    assert (runs.all(axis=2) == runs.any(axis=2)).all()
    assert_allclose(runs.mean(), 0.5)
