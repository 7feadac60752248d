"""Whatever is wrong is called by the parameter's name, in the functions and in the displays."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skmae import LinearAE, Moments
from skmae.datasets import make_gabor_targets
from skmae.inspection import (
    CKADisplay,
    ComponentsDisplay,
    JacobianDisplay,
    ReconstructionDisplay,
    SearchDisplay,
    basis_similarity,
    influence_radius,
    linear_cka,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("wrong", [None, 1.0, "abc", [[1, 2], [3]], np.datetime64("2024-01-01"), object(), iter([])])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("maps", lambda wrong: influence_radius(wrong, (4, 4))),
        ("jacobian", basis_similarity),
        ("Y", lambda wrong: linear_cka(np.eye(5), wrong)),
        ("images", make_gabor_targets),
        ("X", lambda wrong: LinearAE(1).fit(np.eye(3)).inverse_transform(wrong)),
        ("visible", lambda wrong: LinearAE(1).fit(np.eye(3)).reconstruct(np.eye(3), [wrong, [wrong, 1]])),
    ],
)
def test_what_is_no_array_is_called_by_its_name(name, call, wrong):
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        call(wrong)


@pytest.mark.parametrize("wrong", [3, None, [[1]], b"path"])
def test_paths_that_are_none(wrong):
    with pytest.raises(TypeError, match="paths must be a path, or several"):
        Moments.from_files(wrong)


def test_a_batch_that_is_none_is_told_by_its_number():
    with pytest.raises(TypeError, match=r"Batch 1: .*path"):
        Moments.from_batches([np.eye(3), "3"])


@pytest.mark.parametrize(
    ("display", "text"),
    [
        (lambda: CKADisplay(np.eye(2), row_names=3, column_names=["a", "b"]), "row_names must be a list"),
        (lambda: CKADisplay(np.eye(2), row_names=["a"], column_names=["a", "b"]), "for each of row_names"),
        (lambda: SearchDisplay(np.eye(2), masks=0.5, patches=[1, 2]), "masks must be a list"),
        (lambda: SearchDisplay(np.eye(2), masks=[0.5, 0.75], patches=[1]), "a row for each of patches"),
        (lambda: ComponentsDisplay(np.ones((2, 3)), image_shape=(4, 4)), "components have shape"),
        (lambda: ComponentsDisplay(np.ones((2, 16)), image_shape=3), "image_shape=3 is not a shape"),
        (lambda: JacobianDisplay(np.ones((1, 4, 4)), np.ones((1, 1, 16)), 5, image_shape=(4, 4)), "outputs must be"),
        (
            lambda: ReconstructionDisplay(np.eye(4), np.eye(3, dtype=bool), np.eye(4), image_shape=(2, 2)),
            r"visible has shape .*as that of originals",
        ),
        (
            lambda: ReconstructionDisplay(np.eye(4), np.eye(4, dtype=bool), np.ones(4), image_shape=(2, 2)),
            "reconstructions has shape",
        ),
    ],
)
def test_displays_name_what_is_wrong(display, text):
    with pytest.raises((TypeError, ValueError), match=text):
        display().plot()


def test_axes_that_are_none():
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes or None, got float"):
        ComponentsDisplay(np.ones((2, 16)), image_shape=(4, 4)).plot(ax=3.0)


@pytest.mark.parametrize("features", [3.0, [np.eye(4)], None])
def test_representations_have_names(features):
    with pytest.raises((TypeError, ValueError), match="features must be a dict"):
        CKADisplay.from_features(features)
