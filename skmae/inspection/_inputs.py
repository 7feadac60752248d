"""How samples, shapes and output pixels come in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from skmae._grid import PatchGrid, check_shape, resolve_shape
from skmae._samples import read_samples
from skmae._typing import Array, ChannelAxis, IntArray, Patch

_GRID_SIZE = 4  # pixels along an axis of outputs="grid"


def read_once(X: Any) -> Any:
    """X in memory, so that whatever follows may look at it again: an array, or the data frame that it is."""
    return read_samples(X, "skmae.inspection").original()


def read_rows(X: ArrayLike, name: str = "X") -> Array:
    """(n_samples, n_features), finite; more axes are flattened."""
    return check_array(read_samples(X, "skmae.inspection").rows(), input_name=name)


def read_rows_on_grid(
    X: ArrayLike, image_shape: Sequence[int] | None, channel_axis: ChannelAxis, patch: Patch = 1
) -> tuple[Array, PatchGrid]:
    """Rows (n_samples, n_features), finite, and the grid that each of them is."""
    samples = read_samples(X, "skmae.inspection")
    rows = check_array(samples.rows(), input_name="X")
    shape, axis = resolve_shape(
        image_shape, channel_axis, n_features=samples.n_features, sample_shape=samples.sample_shape
    )
    return rows, PatchGrid.build(shape, axis, patch)


def grid_of(image_shape: Sequence[int], channel_axis: ChannelAxis, patch: Patch = 1) -> PatchGrid:
    """The grid of samples of which nothing but the shape is known."""
    shape = check_shape(image_shape)
    shape, axis = resolve_shape(shape, channel_axis, n_features=int(np.prod(shape)), sample_shape=shape)
    return PatchGrid.build(shape, axis, patch)


def features_of_pixels(grid: PatchGrid) -> IntArray:
    """(n_pixels, n_channels) the features of each pixel."""
    return np.argsort(grid.pixel_of_feature, kind="stable").reshape(grid.n_pixels, grid.n_channels)


def resolve_outputs(outputs: ArrayLike, grid: PatchGrid) -> IntArray:
    """Numbers of pixels, in C order over the grid.

    Parameters
    ----------
    outputs : {"center", "grid", "all"} or array-like of int
        The middle pixel; 4 pixels along each axis, evenly spread; all; numbers of pixels, (n_outputs,); or their
        coordinates, (n_outputs, n_axes).
    grid : PatchGrid

    Returns
    -------
    ndarray of int of shape (n_outputs,)

    Raises
    ------
    ValueError
        If a pixel is outside the grid, or named twice.
    """
    shape = grid.grid_shape
    if isinstance(outputs, str):
        if outputs == "all":
            return np.arange(grid.n_pixels)
        if outputs not in ("center", "grid"):
            raise ValueError(f'outputs={outputs!r} is not known. Pass "center", "grid", "all" or pixels.')
        along = [
            np.array([size // 2]) if outputs == "center" else _spread(size, min(size, _GRID_SIZE)) for size in shape
        ]
        return np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), shape).ravel()
    try:
        pixels = np.asarray(outputs)
    except ValueError:  # rows of different lengths
        pixels = np.empty(0)
    if pixels.dtype.kind not in "iu" or not pixels.size or pixels.ndim not in (1, 2):
        raise ValueError(
            f"outputs={outputs!r} does not name pixels. Pass whole numbers: pixels counted in C order, (n_outputs,), "
            f"or their coordinates, (n_outputs, {len(shape)})."
        )
    if pixels.ndim == 2:
        if pixels.shape[1] != len(shape) or (pixels < 0).any() or (pixels >= shape).any():
            raise ValueError(
                f"outputs={outputs!r} has pixels outside the grid {shape}. Pass {len(shape)} coordinates each, from 0 "
                f"to {tuple(size - 1 for size in shape)}."
            )
        pixels = np.ravel_multi_index(pixels.T, shape)
    elif (pixels < 0).any() or (pixels >= grid.n_pixels).any():
        raise ValueError(
            f"outputs={outputs!r} has pixels outside the grid {shape}, whose pixels are 0 to {grid.n_pixels - 1} in C "
            f"order. For coordinates pass a list of them, for example outputs=[{tuple(s // 2 for s in shape)}]."
        )
    if len(np.unique(pixels)) < len(pixels):
        raise ValueError(
            f"outputs={outputs!r} names a pixel twice. If these are the coordinates of one pixel, pass a list of them: "
            f"outputs=[{outputs!r}]."
        )
    return pixels.astype(np.intp)


def _spread(size: int, count: int) -> IntArray:
    """The middles of `count` equal parts of an axis."""
    return ((2 * np.arange(count) + 1) * size) // (2 * count)
