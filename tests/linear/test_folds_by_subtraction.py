"""A training set's moments are those of all rows less the rest; where that costs digits, it must be noticed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.model_selection import KFold, PredefinedSplit

from skmae import LinearMAE, LinearMAESearchCV

LOUD = slice(0, 40)  # the rows that are left out once
MODEL = LinearMAE(4, mask=0.5, patch=2, image_shape=(4, 4), channel_axis=None, solver="auto")
# total less part of moments that are at hand already, and of moments gathered for the purpose
SPLITS = {"folds tile the data": KFold(3), "one fold is left out": PredefinedSplit([0] * 40 + [-1] * 80)}


def features_in_the_search_and_alone(X, cv):
    """Of all rows, by the model that never saw the loud ones: as the search gives it, and fitted to its rows."""
    seen = []

    def spy(model, rows, y=None):  # noqa: ARG001
        seen.append(model.transform(X))
        return 0.0

    LinearMAESearchCV(MODEL, {"n_components": [4]}, scoring=spy, cv=cv, refit=False).fit(X)
    rows = np.delete(np.arange(len(X)), LOUD)
    return seen[0], LinearMAE(**MODEL.get_params()).fit(X[rows]).transform(X)


@pytest.mark.parametrize("cv", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("loudness", [1e2, 1e3, 1e5])
def test_a_pixel_that_is_the_sum_of_its_neighbours_outside_a_fold(loudness, cv, rng):
    """Without the loud rows S is singular. Rounding left by subtraction would pass for a rest of that sum."""
    X = rng.normal(size=(120, 16)) @ rng.normal(size=(16, 16)) + rng.normal(size=16)
    X[:, 5] = X[:, [0, 1, 4]].sum(axis=1)  # a patch
    X[LOUD] *= loudness
    X[LOUD, 5] = loudness * rng.normal(size=40)
    shared, alone = features_in_the_search_and_alone(X, cv)
    assert_allclose(shared, alone, atol=1e-8 * np.abs(alone).max())


@pytest.mark.parametrize("cv", SPLITS.values(), ids=SPLITS)
def test_a_pixel_that_hardly_varies_outside_a_fold_but_tells_much(cv, rng):
    """Pixel 0 there is a faint copy of what the others share: it is read, hugely magnified, by its tiny variance."""
    common = rng.normal(size=(120, 1))
    X = common + 3 * rng.normal(size=(120, 16))
    X[:, 0] = 1e-6 * common[:, 0]
    X[LOUD, 0] = rng.normal(size=40)
    shared, alone = features_in_the_search_and_alone(X, cv)
    quiet = np.delete(np.arange(len(X)), LOUD)
    assert_allclose(shared[quiet], alone[quiet], atol=1e-8 * np.abs(alone[quiet]).max())
