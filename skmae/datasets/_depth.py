"""NYU Depth v2 at 64 × 64 pixels, from a file that is already there."""

import os
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Options, validate_params

from skmae._compat import StrOptions
from skmae.datasets._npz import Expected, read_arrays

_FILE = "nyuv2_depth64.npz"
_SIZES = (64, 32, 16)
_ARRAYS = (
    Expected("rgb", "uint8", (64, 64, 3)),
    Expected("depth_mm", "int64", (64, 64)),
    Expected("is_test", "bool", ()),
)


@validate_params(
    {
        "data_home": [str, os.PathLike, None],
        "subset": [StrOptions({"train", "test"})],
        "size": [Options(Integral, set(_SIZES))],
    },
    prefer_skip_nested_validation=True,
)
def load_depth(data_home: Any = None, *, subset: str = "train", size: int = 64) -> Bunch:
    """Load pictures of rooms with the depth of each pixel: NYU Depth v2, the labelled pairs.

    The data are not downloaded: the file ``nyuv2_depth64.npz`` must be there, with arrays ``rgb`` (n, 64, 64, 3) of
    uint8, ``depth_mm`` (n, 64, 64) of uint16 and ``is_test`` (n,) of bool.

    Parameters
    ----------
    data_home : path-like or None, default=None
        Folder of the file; None is the one that the environment variable ``SKMAE_DATA`` names.
    subset : {"train", "test"}, default="train"
        The official split by scene: 795 and 654 pairs.
    size : {64, 32, 16}, default=64
        Pixels along each axis; smaller ones are means of blocks.

    Returns
    -------
    Bunch
        images : ndarray of uint8 of shape (n_samples, size, size, 3)
            0 to 255, red, green, blue.
        target : ndarray of float32 of shape (n_samples, size, size)
            Metres from the camera.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no folder is known.
    ValueError
        If the file is damaged, or `size` is not one of these.

    Examples
    --------
    >>> from skmae.datasets import load_depth
    >>> rooms = load_depth(size=32)  # doctest: +SKIP
    >>> (rooms.images.shape, rooms.target.shape)  # doctest: +SKIP
    ((795, 32, 32, 3), (795, 32, 32))
    """
    path = _path(data_home)
    try:
        rgb, depth, is_test = read_arrays(path, *_ARRAYS)
    except ValueError as error:
        raise ValueError(
            f"{error} It must hold rgb (n, 64, 64, 3), depth_mm (n, 64, 64) and is_test (n,); fetch the file again."
        ) from error
    chosen = is_test == (subset == "test")
    images = np.rint(_shrink(rgb[chosen], size)).astype(np.uint8)
    return Bunch(images=images, target=(_shrink(depth[chosen], size) / 1000).astype(np.float32))


def _path(data_home: Any) -> Path:
    folder = os.environ.get("SKMAE_DATA") if data_home is None else data_home
    if not folder:
        raise FileNotFoundError(
            f"load_depth reads {_FILE}, which is not downloaded. Pass its folder as data_home, or name it in the "
            f"environment variable SKMAE_DATA."
        )
    path = Path(folder) / _FILE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Pass the folder of {_FILE} as data_home.")
    return path


def _shrink(pictures: np.ndarray, size: int) -> np.ndarray:
    """Means of blocks, (n, 64, 64, ...) → (n, size, size, ...)."""
    step = pictures.shape[1] // size
    blocks = pictures.reshape(len(pictures), size, step, size, step, *pictures.shape[3:])
    return blocks.mean(axis=(2, 4), dtype=np.float64)
