"""Displays: what is drawn is what the model holds."""

from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import CenteredNorm, LogNorm
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline

from skmae import LinearAE, LinearMAE, LinearMAESearchCV
from skmae.inspection import ComponentsDisplay, JacobianDisplay, ReconstructionDisplay, SearchDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fitted(rng, shape, **parameters):
    X = rng.normal(size=(60, *shape)) + rng.normal(size=(60, *[1] * len(shape)))
    parameters = {"patch": 2, "image_shape": shape} | parameters
    return LinearMAE(4, mask=0.5, **parameters).fit(X), X


@pytest.mark.parametrize("which", ["encoder", "decoder"])
def test_components_are_drawn_in_order_each_on_its_own_scale(which, rng):
    model, _ = fitted(rng, (4, 6))
    display = ComponentsDisplay.from_estimator(model, which=which)
    canvas = display.im_.get_array()
    assert canvas.shape == (2 * 5 - 1, 2 * 7 - 1)
    weights = model.components_ if which == "encoder" else model.decoder_.T
    for number, (top, left) in enumerate([(0, 0), (0, 7), (5, 0), (5, 7)]):
        drawn = canvas[top : top + 4, left : left + 6]
        assert_allclose(drawn.ravel(), weights[number] / np.abs(weights[number]).max())
    assert display.im_.get_clim() == (-1, 1)
    assert display.ax_.figure is display.figure_


@pytest.mark.parametrize(
    ("shape", "canvas"),
    [((12,), (4, 12)), ((4, 4, 3), (9, 9, 3)), ((4, 4, 2), (9, 9)), ((3, 4, 4, 1), (9, 9)), ((5, 4, 6), (9, 13))],
)
def test_components_of_any_grid(shape, canvas, rng):
    model, _ = fitted(rng, shape)
    assert ComponentsDisplay.from_estimator(model).im_.get_array().shape == canvas


def test_a_figure_may_be_shared_and_imshow_told(rng):
    model, X = fitted(rng, (4, 6))
    figure, axes = plt.subplots(1, 2)
    display = ComponentsDisplay.from_estimator(model, n_components=2, ax=axes[0], cmap="PuOr")
    assert display.ax_ is axes[0]
    assert display.figure_ is figure
    assert display.im_.get_cmap().name == "PuOr"
    assert ReconstructionDisplay.from_estimator(model, X, ax=axes[1]).ax_ is axes[1]


def test_a_norm_comes_with_its_own_limits(rng):
    model, X = fitted(rng, (4, 6))
    assert ComponentsDisplay.from_estimator(model, norm=CenteredNorm(0, 2)).im_.get_clim() == (-2, 2)
    low, high = ReconstructionDisplay.from_estimator(model, X, norm=LogNorm()).im_.get_clim()
    assert 0 < low < high == 1


def test_reconstruction_draws_original_visible_part_and_reconstruction(rng):
    model, _ = fitted(rng, (4, 6))
    X = rng.integers(0, 256, (5, 4, 6)).astype(np.uint8)
    visible = np.array([True, False, True, False, True, False])
    display = ReconstructionDisplay.from_estimator(model, X, visible=visible, n_samples=3)
    canvas = display.im_.get_array()
    assert canvas.shape == (3 * 5 - 1, 3 * 7 - 1)
    second = [canvas[top : top + 4, 7:13] for top in (0, 5, 10)]
    assert_allclose(second[0], X[1] / 255)
    shown = np.repeat(np.repeat(visible.reshape(2, 3), 2, axis=0), 2, axis=1)
    assert_allclose(second[1], np.where(shown, X[1] / 255, 0.5))
    assert_allclose(second[2], np.clip(model.reconstruct(X, visible)[1] / 255, 0, 1), atol=1e-6)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
        "Original",
        "Visible part",
        "Reconstructed",
    ]


def test_masks_may_be_of_the_samples_drawn_or_of_all(rng):
    model, X = fitted(rng, (4, 6))
    visible = model.sample_visible(len(X), 0)
    everything = ReconstructionDisplay.from_estimator(model, X, visible=visible, n_samples=3)
    drawn = ReconstructionDisplay.from_estimator(model, X, visible=visible[:3], n_samples=3)
    assert (everything.visible == drawn.visible).all()
    model.set_params(patch=4)  # what was fitted counts
    again = ReconstructionDisplay.from_estimator(model, X, visible=visible[:3], n_samples=3)
    assert_allclose(again.reconstructions, drawn.reconstructions)


def test_masks_are_drawn_by_the_estimator_and_seeded(rng):
    model, X = fitted(rng, (4, 6), mask_sampling="exact")
    a, b, c = (ReconstructionDisplay.from_estimator(model, X, random_state=seed) for seed in (0, 0, 1))
    assert (a.visible == b.visible).all()
    assert (a.visible != c.visible).any()
    assert_allclose(a.visible.mean(axis=1), 0.5)


@pytest.mark.parametrize("shape", [(12,), (4, 4, 3), (5, 4, 6)])
def test_reconstructions_of_any_grid(shape, rng):
    model, X = fitted(rng, shape)
    display = ReconstructionDisplay.from_estimator(model, X.reshape(60, -1), n_samples=6)
    height = 6 if len(shape) == 1 else 4
    assert display.im_.get_array().shape[0] == 3 * (height + 1) - 1


def test_a_model_without_masks_hides_nothing(rng):
    X = rng.normal(size=(40, 4, 4))
    display = ReconstructionDisplay.from_estimator(LinearAE(3).fit(X), X)
    assert display.visible.all()


def test_one_pixel_is_drawn_once(rng):
    X = rng.normal(size=(7, 1, 1))
    display = JacobianDisplay.from_estimator(LinearAE(1, image_shape=(1, 1)).fit(X), X)
    assert list(display.outputs) == [0]


def test_errors(rng):
    with pytest.raises(NotFittedError):
        ComponentsDisplay.from_estimator(LinearMAE())
    model, X = fitted(rng, (4, 6))
    for number in (-1, 0):
        with pytest.raises(ValueError, match=r"'n_components' parameter of .*\[1, inf\) or None"):
            ComponentsDisplay.from_estimator(model, n_components=number)
        with pytest.raises(ValueError, match=r"'n_samples' parameter of ReconstructionDisplay.*\[1, inf\)"):
            ReconstructionDisplay.from_estimator(model, X, n_samples=number)
    with pytest.raises(ValueError, match="which must be 'encoder' or 'decoder', got 'weights'"):
        ComponentsDisplay.from_estimator(model, which="weights")
    with pytest.raises(ValueError, match=r"visible cannot be read: detach\. Pass an array of bool"):
        ReconstructionDisplay.from_estimator(model, X, visible=BytesIO())
    with pytest.raises((TypeError, ValueError), match=r"[Ss]parse"):
        ReconstructionDisplay.from_estimator(model, torch.eye(24).to_sparse())
    with pytest.raises(ValueError, match="Expected 2D array, got scalar array"):
        ReconstructionDisplay.from_estimator(model, np.array(0.5))
    with pytest.raises(ValueError, match="which must be 'encoder' or 'decoder', got array"):
        ComponentsDisplay.from_estimator(model, which=np.ones(3))


def searched(grid, model=None, **options):
    X, y = load_digits(return_X_y=True)
    pipe = make_pipeline(model or LinearMAE(5), RidgeClassifier())
    return LinearMAESearchCV(pipe, grid, cv=2, **options).fit(X[:200], y[:200])


def test_search_scores_stand_where_they_belong():
    grid = {"linearmae__mask": [0.75, 0.25], "linearmae__patch": [4, 1, (2, 4)], "ridgeclassifier__alpha": [1e-3, 1e3]}
    search = searched(grid)
    display = SearchDisplay.from_estimator(search)
    assert display.masks == [0.25, 0.75]
    assert display.patches == [1, (2, 4), 4]
    results = list(zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True))
    for row, patch in enumerate(display.patches):
        for column, mask in enumerate(display.masks):
            scores = [s for p, s in results if (p["linearmae__mask"], p["linearmae__patch"]) == (mask, patch)]
            assert display.im_.get_array()[row, column] == max(scores)
            assert display.text_[row, column].get_text() == f"{max(scores):.3g}"
    (outline,) = display.ax_.patches
    best = np.argwhere(display.scores == search.best_score_)[0]
    assert (outline.get_y() + 0.5, outline.get_x() + 0.5) == tuple(best)
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["1", "(2, 4)", "4"]


def test_candidates_that_lack_a_parameter_have_the_estimators():
    grids = [{"linearmae__patch": [1, np.int64(2), (1, 2), [2, 1]]}, {"linearmae__mask": [0.1, 0.9]}]
    display = SearchDisplay.from_estimator(searched(grids))
    assert display.masks == [0.1, 0.75, 0.9]  # 0.75 and 4 are LinearMAE's own
    assert set(display.patches) == {1, 2, (1, 2), (2, 1), 4}
    assert np.isfinite(display.scores).sum() == 6
    assert np.isfinite(display.scores[display.patches.index(4)]).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("grid", "masks", "patches"),
    [
        ({"b__mask": [0.25, 0.5, 0.9]}, [0.25, 0.5, 0.9], ["-"]),
        ({"a__mask": [0.1], "b__mask": [0.25, 0.5]}, [0.25, 0.5], ["-"]),
        ([{"b__mask": [0.25]}, {"b__patch": [1, 4]}], [0.25, 0.6], [1, 2, 4]),
        ({"a__patch": [2, 4], "b__mask": [0.25, 0.5]}, [0.25, 0.5], [2, 4]),
    ],
)
def test_of_two_steps_that_which_was_searched_is_drawn(grid, masks, patches):
    X, y = load_digits(return_X_y=True)
    union = FeatureUnion([("a", LinearMAE(3, patch=4, mask=0.8)), ("b", LinearMAE(3, patch=2, mask=0.6))])
    grids = [{f"featureunion__{key}": value for key, value in one.items()} for one in np.atleast_1d(grid)]
    search = GridSearchCV(make_pipeline(union, RidgeClassifier()), grids, cv=2).fit(X[:200], y[:200])
    display = SearchDisplay.from_estimator(search)
    assert (display.masks, display.patches) == (masks, patches)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(np.sort(display.scores[np.isfinite(display.scores)]), np.sort(scores))


def test_a_search_over_the_mask_alone_is_a_row():
    display = SearchDisplay.from_estimator(searched({"linearmae__mask": [0.1, 0.9]}))
    assert display.im_.get_array().shape == (1, 2)


def test_candidates_without_a_score_are_left_blank():
    display = SearchDisplay([[0.5, np.nan]], masks=[0.5, 0.9], patches=[2]).plot()
    assert [text.get_text() for text in display.text_[0]] == ["0.5", ""]
    assert len(SearchDisplay([[np.nan]], masks=[0.5], patches=[2]).plot().ax_.patches) == 0


def test_metrics_of_a_search():
    search = searched({"linearmae__mask": [0.1, 0.9]}, scoring=["accuracy", "f1_macro"], refit=False)
    display = SearchDisplay.from_estimator(search, metric="f1_macro")
    np.testing.assert_array_equal(display.scores[0], search.cv_results_["mean_test_f1_macro"])
    with pytest.raises(ValueError, match=r"metric must be .* \['accuracy', 'f1_macro'\]; got 'score'"):
        SearchDisplay.from_estimator(search)
    with pytest.raises(ValueError, match=r"neither mask nor patch, but \['linearmae__n_components'\]"):
        SearchDisplay.from_estimator(searched({"linearmae__n_components": [1, 2]}))
    with pytest.raises(NotFittedError):
        SearchDisplay.from_estimator(LinearMAESearchCV(LinearMAE(), {}))


def test_components_of_a_pipeline_are_those_of_its_step():
    X = np.random.default_rng(0).standard_normal((50, 8, 8))
    pipe = make_pipeline(LinearMAE(3, patch=2), RidgeClassifier()).fit(X, np.arange(50) % 2)
    with pytest.raises(TypeError, match=r"got Pipeline. Of a pipeline, pass that step: pipe\['linearmae'\]"):
        ComponentsDisplay.from_estimator(pipe)


@pytest.mark.parametrize("dtype", ["int16", "int64", "uint32", "bool"])
def test_pictures_of_whole_numbers(dtype, rng):
    X = rng.integers(0, 2, (6, 4, 4)).astype(dtype)
    display = ReconstructionDisplay.from_estimator(LinearAE(2).fit(X), X, n_samples=2)
    assert display.im_.get_array().max() == 1


def test_visible_parts_are_pasted_where_only_hidden_ones_were_learned():
    X = load_digits().images[:200]
    for loss, pasted in (("hidden", True), ("all", False)):
        mae = LinearMAE(4, mask=0.5, patch=2, loss=loss).fit(X)
        for paste, expected in (("auto", pasted), (True, True), (False, False)):
            display = ReconstructionDisplay.from_estimator(mae, X[:3], paste_visible=paste)
            seen = display.visible
            assert np.array_equal(display.reconstructions[seen], display.originals[seen]) == expected
            assert not np.array_equal(display.reconstructions[~seen], display.originals[~seen])
