"""Patches of real photographs that are already on the machine."""

from importlib import import_module
from numbers import Integral

import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval, StrOptions, import_optional
from skmae._typing import RandomState

_PHOTOS = {
    "train": ("china.jpg", "astronaut", "coffee", "motorcycle"),
    "test": ("flower.jpg", "chelsea", "rocket"),
}
_ZOOMS = (1, 2, 4)  # photographs are also taken at half and a quarter of their size: coarser structure


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "size": [Interval(Integral, 1, 75, closed="both")],
        "subset": [StrOptions({"train", "test"})],
        "grey": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def load_photo_patches(
    n_samples: int = 10_000,
    *,
    size: int = 32,
    subset: str = "train",
    grey: bool = False,
    random_state: RandomState = 0,
) -> Bunch:
    """Square crops of the photographs that scikit-learn and scikit-image ship: real images, offline.

    Crops are taken at random places of photographs at full, half and quarter size. Training and test crops come from
    different photographs.

    Parameters
    ----------
    n_samples : int, default=10000
        Crops.
    size : int, default=32
        Side of a crop in pixels, at most 75.
    subset : {"train", "test"}, default="train"
        "train": china, astronaut, coffee, motorcycle; "test": flower, chelsea, rocket.
    grey : bool, default=False
        Average the channels.
    random_state : int, RandomState instance or None, default=0
        For the places. The same number gives the same crops.

    Returns
    -------
    Bunch
        images : ndarray of uint8 of shape (n_samples, size, size, 3), or (n_samples, size, size) if `grey`
            0 to 255.
        data : ndarray of uint8 of shape (n_samples, n_features)
            The same, flat.
        photo : ndarray of shape (n_samples,)
            Which photograph a crop is from.
        photo_names : list of str
            Their names.

    Raises
    ------
    ImportError
        Without scikit-image: ``pip install "skmae[photos]"``.

    Examples
    --------
    >>> from skmae.datasets import load_photo_patches
    >>> patches = load_photo_patches(100, size=16)
    >>> patches.images.shape, patches.images.dtype
    ((100, 16, 16, 3), dtype('uint8'))
    """
    import_optional("skimage.data", extra="photos", purpose="load_photo_patches")  # and with it, what reads JPEG
    rng = check_random_state(random_state)
    names = _PHOTOS[subset]
    pyramids = [[_shrink(photo, zoom) for zoom in _ZOOMS] for photo in map(_load, names)]
    photo = rng.randint(len(names), size=n_samples)
    zoom = rng.randint(len(_ZOOMS), size=n_samples)
    images = np.empty((n_samples, size, size, 3), np.uint8)
    for crop, image in zip(images, (pyramids[p][z] for p, z in zip(photo, zoom, strict=True)), strict=True):
        top, left = (rng.randint(extent - size + 1) for extent in image.shape[:2])
        crop[...] = image[top : top + size, left : left + size]
    if grey:
        images = images.mean(axis=3).round().astype(np.uint8)
    return Bunch(images=images, data=images.reshape(n_samples, -1), photo=photo, photo_names=list(names))


def _load(name: str) -> np.ndarray:
    """(height, width, 3) uint8."""
    if name.endswith(".jpg"):
        return load_sample_image(name)
    data = import_module("skimage.data")
    return data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()


def _shrink(photo: np.ndarray, zoom: int) -> np.ndarray:
    """Means over squares of zoom × zoom pixels."""
    height, width = (extent // zoom for extent in photo.shape[:2])
    squares = photo[: height * zoom, : width * zoom].reshape(height, zoom, width, zoom, 3)
    return squares.mean(axis=(1, 3)).round().astype(np.uint8)
