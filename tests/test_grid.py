"""PatchGrid: shapes, patches, distances, masks, against brute force."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE
from skmae._grid import PatchGrid, check_shape, resolve_shape, warn_of_channels
from skmae.masking import read_visible


@st.composite
def grids(draw, regular=False):
    n_axes = draw(st.integers(1, 3))
    patch = [draw(st.integers(1, 4)) for _ in range(n_axes)]
    size = [p * draw(st.integers(1, 3)) if regular else draw(st.integers(1, 7)) for p in patch]
    n_channels = draw(st.sampled_from([None, 1, 2, 3, 5]))
    if n_channels is None:
        return PatchGrid.build(tuple(size), None, tuple(patch))
    axis = draw(st.integers(0, n_axes))
    return PatchGrid.build((*size[:axis], n_channels, *size[axis:]), axis, tuple(patch))


@given(grids())
def test_features_belong_to_the_patch_that_a_walk_over_the_image_finds(grid):
    for feature, where in enumerate(itertools.product(*map(range, grid.image_shape))):
        pixel = [w for axis, w in enumerate(where) if axis != grid.channel_axis]
        number = 0
        for w, patch, size in zip(pixel, grid.patch_shape, grid.grid_shape, strict=True):
            number = number * (-(-size // patch)) + w // patch
        assert grid.patch_of_feature[feature] == number
        assert feature in grid.features_of_patch[number]
    assert sum(map(len, grid.features_of_patch)) == grid.n_features
    assert len(grid.features_of_patch) == grid.n_patches


@given(grids(regular=True))
def test_patchify_gathers_each_patch_and_unpatchify_undoes_it(grid):
    X = np.arange(2 * grid.n_features).reshape(2, -1)
    patches = grid.patchify(X)
    assert np.shares_memory(patches, X)
    tokens = patches.reshape(2, grid.n_patches, -1)
    for number, features in enumerate(grid.features_of_patch):
        assert set(tokens[1, number]) == set(X[1, features])
    images = X.reshape(2, *grid.image_shape)
    np.testing.assert_array_equal(grid.unpatchify(tokens), images)
    np.testing.assert_array_equal(grid.unpatchify(grid.patchify(images)), images)


def test_tokens_hold_pixels_in_order_with_channels_last():
    grid = PatchGrid.build((3, 4, 4), 0, 2)
    X = np.arange(48)[np.newaxis]
    first = grid.patchify(X).reshape(1, 4, 12)[0, 0]
    assert first.tolist() == [0, 16, 32, 1, 17, 33, 4, 20, 36, 5, 21, 37]


def test_patchify_of_a_ragged_grid_names_the_sizes_that_divide():
    with pytest.raises(
        ValueError, match=r"patch=\(4, 4\) does not divide the grid \(6, 8\).*\[1, 2, 3, 6\]; \[1, 2, 4, 8\]"
    ):
        PatchGrid.build((6, 8), None, 4).patchify(np.zeros((1, 48)))


@pytest.mark.parametrize("patch", [2.5, 0, -1, None, (2, 2.0), (2, 0)])
def test_a_patch_that_is_not_made_of_whole_numbers_is_refused(patch):
    for build in (PatchGrid.build, PatchGrid.build_regular):
        with pytest.raises(ValueError, match=r"^patch=.* is not made of whole numbers of pixels >= 1"):
            build((8, 8), None, patch)


def test_a_patch_of_one_number_is_that_of_every_axis():
    for patch in (2, np.int64(2), (2, 2), np.array([2, 2])):
        assert PatchGrid.build((8, 8, 3), 2, patch).patch_shape == (2, 2)


@pytest.mark.parametrize("shape", [8, 2.5, None, (), (8, 2.0), (8, 0), "8"])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"^image_shape=.* is not a shape: pass the sizes of one sample"):
        check_shape(shape)
    assert check_shape(np.array([8, 4])) == (8, 4)


@given(grids())
def test_pixel_distances_are_euclidean(grid):
    where = np.array(list(itertools.product(*map(range, grid.grid_shape))), dtype=float)
    np.testing.assert_allclose(grid.pixel_distances(), cdist(where, where), atol=1e-12)
    np.testing.assert_allclose(grid.pixel_distances([0]), cdist(where[:1], where), atol=1e-12)


def test_a_pickle_holds_three_tuples_however_much_was_cached():
    grid = PatchGrid.build((64, 64, 3), 2, 4)
    assert len(grid.features_of_patch) == 256
    assert grid.pixel_of_feature.size == 64 * 64 * 3
    back = pickle.loads(pickle.dumps(grid))
    assert back == grid
    assert len(pickle.dumps(grid)) < 200


def test_a_patch_larger_than_an_axis_is_clipped():
    grid = PatchGrid.build((3, 10), None, 4)
    assert grid.patch_shape == (3, 4)
    assert grid.patches_per_axis == (1, 3)
    assert [len(features) for features in grid.features_of_patch] == [12, 12, 6]


@pytest.mark.parametrize(
    ("image_shape", "channel_axis", "n_features", "sample_shape", "expected"),
    [
        (None, "auto", 64, None, ((8, 8), None)),
        (None, "auto", 3072, None, ((32, 32, 3), 2)),
        (None, "auto", 10, None, ((10,), None)),
        (None, None, 12, None, ((12,), None)),  # 3 · 2² would need channels
        (None, 0, 3072, None, ((3, 32, 32), 0)),
        (None, -1, 3072, None, ((32, 32, 3), 2)),
        (None, "auto", 24, (4, 6), ((4, 6), None)),
        (None, "auto", 48, (4, 4, 3), ((4, 4, 3), 2)),
        (None, "auto", 80, (4, 4, 5), ((4, 4, 5), None)),  # five is taken for depth
        (None, None, 48, (4, 4, 3), ((4, 4, 3), None)),
        (None, "auto", 640, (4, 4, 8, 5), ((4, 4, 8, 5), 3)),
        (None, 0, 640, (5, 4, 4, 8), ((5, 4, 4, 8), 0)),
        ((8, 128), "auto", 1024, None, ((8, 128), None)),
        ([1024], "auto", 1024, None, ((1024,), None)),
        ((2, 100), 0, 200, None, ((2, 100), 0)),
    ],
)
def test_shape_and_channels_are_resolved(image_shape, channel_axis, n_features, sample_shape, expected):
    assert resolve_shape(image_shape, channel_axis, n_features=n_features, sample_shape=sample_shape) == expected


@pytest.mark.parametrize(
    ("shape", "channel_axis", "says"),
    [
        (
            (3, 8, 8),
            "auto",
            r"as \(3, 8, 8\) pixels. If the first axis .*, pass channel_axis=0. If not, channel_axis=None",
        ),
        ((4, 8, 5), "auto", r"pass channel_axis=0"),
        ((1, 8, 9), "auto", r"pass channel_axis=0"),
        ((3, 6, 4), "auto", r"as \(3, 6\) pixels. .* pass channel_axis=0. If not, channel_axis=2"),
        ((1, 8, 8, 8), "auto", r"as \(1, 8, 8\) pixels. .* pass channel_axis=0. If not, channel_axis=3"),
        (
            (16, 16, 13),
            "auto",
            r"If the last axis of .* holds channels, pass channel_axis=-1. If not, channel_axis=None",
        ),
        ((2, 8, 8), "auto", None),  # two planes, more likely than two channels
        ((8, 8, 3), "auto", None),
        ((8, 8, 8), "auto", None),
        ((4, 4, 192), "auto", None),
        ((16, 12, 13), "auto", None),
        ((8, 128), "auto", None),
        ((8, 8, 8, 5), "auto", None),
        ((3, 8, 8), None, None),
        ((3, 8, 8), 0, None),
        ((16, 16, 13), None, None),
        ((16, 16, 13), -1, None),
    ],
)
def test_channels_that_were_probably_taken_for_pixels_are_warned_of(shape, channel_axis, says):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_channels(shape, channel_axis)
    assert len(caught) == (says is not None)
    if says:
        with pytest.warns(UserWarning, match=rf'^channel_axis="auto" reads samples of shape .*{says}'):
            warn_of_channels(shape, channel_axis)


def test_models_warn_of_channels_once_at_fit(rng):
    for shape, axis in (((16, 16, 13), "-1"), ((3, 16, 16), "0")):
        X = rng.normal(size=(200, *shape))
        model = LinearMAE(3, patch=2)
        with pytest.warns(UserWarning, match=f"pass channel_axis={axis}") as caught:
            model.fit(X)
        assert len(caught) == 1
        model.transform(X), model.reconstruct(X), model.score(X)  # which would raise
        LinearMAE(3, patch=2, channel_axis=int(axis)).fit(X)
        LinearMAE(3, patch=2, channel_axis=None).fit(X)


@pytest.mark.parametrize("patch", [8, (8, 8)])
def test_errors_name_channels_that_were_probably_taken_for_pixels(patch):
    with pytest.raises(ValueError, match=r"grid \(3, 64, 64\).* If the first axis of .* pass channel_axis=0\."):
        PatchGrid.build_regular((3, 64, 64), None, patch)
    with pytest.raises(ValueError, match=r"grid \(64, 64, 13\).* If the last axis of .* pass channel_axis=-1\."):
        PatchGrid.build_regular((64, 64, 13), None, patch)
    assert PatchGrid.build_regular((3, 64, 64), 0, patch).patches_per_axis == (8, 8)


@pytest.mark.parametrize("channel_axis", ["last", 1.5, (0,), np.zeros(2)])
def test_what_is_no_channel_axis_is_refused(channel_axis):
    with pytest.raises(ValueError, match=r'^channel_axis=.* is no axis: pass "auto", the number of the axis'):
        resolve_shape((8, 8, 3), channel_axis, n_features=192, sample_shape=None)


def test_the_repr_says_how_flat_rows_were_read(rng):
    X = rng.normal(size=(40, 1024))
    model = LinearMAE(3)
    assert repr(model) == "LinearMAE(n_components=3)"
    assert repr(model.fit(X)) == "LinearMAE(n_components=3)  # image_shape_=(32, 32)"
    assert "image_shape_=(32, 32)" in model._repr_html_() or "(32, 32)" in model._repr_html_()
    assert "#" not in repr(make_pipeline(model, StandardScaler()))
    assert "#" not in repr(LinearMAE(3, image_shape=(1024,)).fit(X))
    assert "#" not in repr(clone(model))


@pytest.mark.parametrize(
    ("visible_shape", "n_samples"),
    [((4,), 7), ((16,), 7), ((4, 4), 7), ((7, 4), 7), ((7, 16), 7), ((7, 4, 4), 7)],
)
def test_visible_is_read_per_patch_or_per_feature(visible_shape, n_samples, rng):
    grid = PatchGrid.build((4, 4), None, 2)
    visible = rng.random(visible_shape) < 0.5
    units = read_visible(grid, visible, n_samples)
    features = grid.per_feature(units)
    assert features.shape[1] == 16
    if visible.size in (4, 28):
        for patch, members in enumerate(grid.features_of_patch):
            assert (features[:, members] == units[:, [patch]]).all()
    else:
        np.testing.assert_array_equal(features.ravel(), visible.ravel())


def test_visible_per_pixel_covers_all_channels(rng):
    grid = PatchGrid.build((3, 4, 6), 0, 2)
    pixels = rng.random((5, 4, 6)) < 0.5
    expected = np.broadcast_to(pixels[:, np.newaxis], (5, 3, 4, 6)).reshape(5, -1)
    np.testing.assert_array_equal(grid.per_feature(read_visible(grid, pixels, 5)), expected)
    patches = rng.random((2, 3)) < 0.5  # the grid of patches
    for visible in (patches, patches.reshape(1, 6)):
        np.testing.assert_array_equal(read_visible(grid, visible, 5), patches.reshape(1, 6))


def test_masks_per_sample_come_before_shared_ones():
    grid = PatchGrid.build((4, 4), None, 2)  # 4 samples of 4 patches, or one image of 4 × 4 pixels?
    assert read_visible(grid, np.ones((4, 4), bool), 4).shape == (4, 4)
    assert read_visible(grid, np.ones((4, 4), bool), 5).shape == (1, 16)
