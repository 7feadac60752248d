"""Before any training: costs, distances and scores of the table, and its order."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, suggest_masking
from skmae._grid import PatchGrid
from skmae.planning import _advice
from skmae.planning._advice import _hiding


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.images[:400], data.target[:400]


def test_scores_are_those_of_cross_validation(digits):
    table = suggest_masking(*digits, masks=(0.25, 0.75), patches=(1, 2), n_components=12, cv=3)
    for row in table.itertuples():
        mae = LinearMAE(12, mask=row.mask, patch=row.patch)
        pipeline = make_pipeline(mae, StandardScaler(), RidgeClassifierCV(np.logspace(-3, 5, 9)))
        scores = cross_val_score(pipeline, *digits, cv=3)
        assert row.score == pytest.approx(scores.mean(), abs=1e-6)
        assert row.score_se == pytest.approx(scores.std(ddof=1) / np.sqrt(3), abs=1e-6)


def test_costs_are_those_of_the_vit(digits):
    table = suggest_masking(digits[0], masks=(0.0, 0.75), patches=(1, 2))
    tokens = {(row["mask"], row["patch"]): row["tokens"] for _, row in table.iterrows()}
    assert tokens == {(0.0, 1): 65, (0.75, 1): 17, (0.0, 2): 17, (0.75, 2): 5}
    assert table["relative_cost"].min() == 1
    assert "score" not in table
    pytest.importorskip("torch")
    from skmae import ViTMAE, training_cost

    model = ViTMAE(embed_dim=24, encoder_heads=2, decoder_layers=1, decoder_heads=2, encoder_layers=3)
    ours = suggest_masking(digits[0], masks=(0.75,), patches=(2,), estimator=model)["gflops"][0]
    assert ours == pytest.approx(
        training_cost(model.set_params(mask=0.75, patch=2), (8, 8), measure=False)["gflops"][0]
    )


@pytest.mark.parametrize("bad", [{"embed_dim": -4}, {"encoder_layers": 0}, {"mlp_ratio": -1}, {"decoder_dim": 2.5}])
def test_an_estimator_that_cannot_be_trained_is_not_priced(bad, digits):
    pytest.importorskip("torch")
    from skmae import ViTMAE

    (name,) = bad
    with pytest.raises(ValueError, match=f"The '{name}' parameter of ViTMAE must be"):
        suggest_masking(digits[0], patches=(2,), estimator=ViTMAE(**bad))


def test_distance_and_correlation_of_hidden_pixels(monkeypatch):
    """Against the nearest visible pixel found by brute force."""
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(_advice, "_MASKS_DRAWN", 4000)
    correlation = pandas.DataFrame({"distance": [0.0, 1.0, 20.0], "correlation": [1.0, 0.5, 0.0]})
    grid = PatchGrid.build_regular((12,), None, 3)
    told = _hiding(0.5, grid, correlation, np.random.RandomState(0))
    distances = []
    for visible in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        seen = np.isin(np.arange(12) // 3, visible)
        distances += [np.abs(np.flatnonzero(seen) - i).min() for i in np.flatnonzero(~seen)]
    assert told["distance"] == pytest.approx(np.mean(distances), rel=0.03)
    assert told["correlation"] == pytest.approx(np.mean(0.5 * (20 - np.array(distances)) / 19), rel=0.03)
    assert _hiding(0.0, grid, correlation, np.random.RandomState(0)) == {"distance": 0.0, "correlation": 1.0}


def test_rows_come_as_they_were_asked_for(digits):
    for y in (None, digits[1]):
        table = suggest_masking(digits[0], y, masks=(0.9, 0.1), patches=(4, 1), n_components=4, cv=2)
        assert list(zip(table["patch"], table["mask"], strict=True)) == [(4, 0.9), (4, 0.1), (1, 0.9), (1, 0.1)]


def test_numbers_images_and_rows(digits):
    X = digits[0]
    slope = PCA(1).fit_transform(X.reshape(400, -1))[:, 0]  # a number that has to do with pixels far apart
    settings = {"masks": (0.5,), "patches": (2, (2, 4)), "n_components": 8, "cv": 2}
    a, b = (suggest_masking(x, slope, **settings) for x in (X, X.reshape(400, -1)))
    assert_allclose(a["score"], b["score"])
    assert a["score"].min() > 0.5
    assert set(a["patch"]) == {2, (2, 4)}


def test_few_samples_and_usual_shapes(digits, rng):
    X, y = digits
    assert np.isfinite(suggest_masking(X[:60], y[:60], masks=(0.5,), patches=(2,), cv=2)["score"]).all()
    assert set(suggest_masking(rng.normal(size=(20, 28, 28)))["patch"]) == {2, 4}
    assert set(suggest_masking(X, masks=iter([0.5]), patches=iter([1, 2]))["patch"]) == {1, 2}
    with pytest.raises(ValueError, match=r"None of the patches 2, 4 and 8 suits a grid of \(7, 9\)"):
        suggest_masking(rng.normal(size=(20, 7, 9)))
    with pytest.raises(TypeError, match="estimator is a PCA"):
        suggest_masking(X, estimator=PCA())


def test_labels_as_objects_and_folds_as_tuples(digits):
    X, y = digits
    settings = {"masks": (0.5,), "patches": (1, 2), "n_components": 8}
    plain = suggest_masking(X, y, cv=2, **settings)
    for labels in (y.astype(object), y.astype("U1").astype(object), pd.Series(y).astype(object), [*map(int, y)]):
        assert_allclose(suggest_masking(X, labels, cv=2, **settings)["score"], plain["score"])
    slope = X.reshape(400, -1).mean(axis=1)
    numbers = suggest_masking(X, slope, cv=2, **settings)
    assert_allclose(suggest_masking(X, slope.astype(object), cv=2, **settings)["score"], numbers["score"])
    folds = list(StratifiedKFold(2).split(X, y))
    masks = [tuple(np.isin(np.arange(400), part) for part in fold) for fold in folds]
    for cv in (folds, [tuple(tuple(part.tolist()) for part in fold) for fold in folds], iter(folds), masks):
        assert_allclose(suggest_masking(X, y, cv=cv, **settings)["score"], plain["score"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masks": (1.0,)}, "masks has 1.0; a mask is a share of patches, 0 <= mask < 1"),
        ({"masks": (np.nan,)}, "masks has nan; a mask is a share of patches"),
        ({"masks": ("half",)}, "masks has 'half'; a mask is a share of patches"),
        ({"masks": 0.5}, r"masks=0.5 is not a sequence. Pass those to compare, as in masks=\(0.5, 0.75\)"),
        ({"masks": "half"}, "masks='half' is not a sequence"),
        ({"masks": ()}, "leave nothing to choose from"),
        ({"patches": 2}, r"patches=2 is not a sequence. Pass those to compare, as in patches=\(2, 4\)"),
        ({"patches": (2.5,)}, "patch=2.5 is not made of whole numbers of pixels"),
        ({"patches": (3,)}, "patch"),
        ({"y": np.zeros(3)}, "inconsistent numbers of samples"),
        ({"y": np.zeros(400)}, "y is 0.0 for all 400 samples: there is nothing to predict. Pass targets that differ"),
        ({"y": ["cat"] * 400}, "y is cat for all 400 samples"),
        ({"y": np.full((400, 2), 0.5)}, r"y is \[0.5 0.5\] for all 400 samples"),
        (
            {"y": [None, *range(399)]},
            "y, of type object, holds something else than labels or finite numbers. Leave out",
        ),
        (
            {"y": np.array(["a", np.nan, *["b"] * 398], dtype=object)},
            "y, of type <U.* holds something else",
        ),
        ({"y": [np.nan, *range(399)]}, "y, of type float64, holds something else than labels or finite numbers"),
        ({"y": np.zeros(400, "M8[s]")}, "y, of type datetime64.*, holds something else than labels"),
        ({"cv": ShuffleSplit(1)}, "cv gives 1 of the 2 or more folds that a standard error takes. Pass cv=5"),
        ({"cv": []}, "cv gives 0 of the 2 or more folds"),
        ({"n_components": 0}, "n_components must be a whole number >= 1; got 0"),
        ({"n_components": -1, "y": None}, "n_components must be a whole number >= 1; got -1"),
        ({"n_components": 2.5}, "n_components must be a whole number >= 1; got 2.5"),
        ({"X": np.full((4, 8, 8), np.nan)}, "Input X contains NaN"),
    ],
)
def test_bad_input(changes, message, digits):
    with pytest.raises(ValueError, match=message):
        suggest_masking(**{"X": digits[0], "y": digits[1], "patches": (2,), **changes})
