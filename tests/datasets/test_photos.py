"""Patches of photographs."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils._param_validation import InvalidParameterError

from skmae.datasets import load_photo_patches


def test_patches_are_seeded_crops():
    a, b = load_photo_patches(50, size=24), load_photo_patches(50, size=24)
    assert a.images.shape == (50, 24, 24, 3)
    assert a.images.dtype == np.uint8
    assert_array_equal(a.images, b.images)
    assert_array_equal(a.data, a.images.reshape(50, -1))
    assert (a.images != load_photo_patches(50, size=24, random_state=1).images).any()
    assert set(a.photo) == set(range(len(a.photo_names)))


def test_train_and_test_come_from_different_photographs():
    train, test = load_photo_patches(5), load_photo_patches(5, subset="test")
    assert not set(train.photo_names) & set(test.photo_names)


def test_crops_are_found_in_their_photograph():
    from sklearn.datasets import load_sample_image

    patches = load_photo_patches(60, size=8, random_state=2)
    china = load_sample_image("china.jpg")
    windows = np.lib.stride_tricks.sliding_window_view(china, (8, 8), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    crops = patches.images[patches.photo == patches.photo_names.index("china.jpg")]
    found = [(windows[:, :, 0, 0] == crop[0, 0]).all(-1) for crop in crops]
    exact = [
        any((windows[i, j] == crop).all() for i, j in np.argwhere(hit)) for hit, crop in zip(found, crops, strict=True)
    ]
    assert 0 < sum(exact) < len(exact)  # those at full size; the others are from shrunk copies


def test_grey_is_the_mean_of_the_channels():
    colour, grey = load_photo_patches(10, size=8), load_photo_patches(10, size=8, grey=True)
    assert grey.images.shape == (10, 8, 8)
    np.testing.assert_allclose(grey.images, colour.images.mean(axis=3), atol=0.5)


@pytest.mark.parametrize("bad", [{"n_samples": 0}, {"size": 100}, {"subset": "validation"}, {"grey": "yes"}])
def test_parameters(bad):
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(bad))}' parameter of load_photo_patches"):
        load_photo_patches(**bad)


def test_without_scikit_image_and_pillow_the_extra_is_named(monkeypatch):
    for name in ("skimage.data", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'load_photo_patches needs skimage.*pip install "skmae\[photos\]"'):
        load_photo_patches(5)
