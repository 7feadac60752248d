"""Output pixels, as a user names them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmae._grid import PatchGrid

_GRID_SIZE = 4  # pixels along an axis of outputs="grid"


def resolve_outputs(outputs: Any, grid: PatchGrid) -> NDArray[np.intp]:
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


def _spread(size: int, count: int) -> NDArray[np.intp]:
    """The middles of `count` equal parts of an axis."""
    return ((2 * np.arange(count) + 1) * size) // (2 * count)
