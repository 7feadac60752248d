"""How samples, shapes and output pixels come in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_array

from skmae._estimator import GridEstimator
from skmae._grid import PatchGrid, check_shape, resolve_shape, warn_of_channels
from skmae._reading import read_samples
from skmae._samples import Samples, to_numpy
from skmae._typing import Array, BoolArray, ChannelAxis, FloatArray, IntArray, Patch, Shape

_GRID_SIZE = 4  # pixels along an axis of outputs="grid"


def read_once(X: Any, name: str = "X") -> Any:
    """X in memory, so that whatever follows may look at it again: an array, or the data frame that it is."""
    samples = read(X, name)
    return (
        samples.original() if samples.frame is not None else check_rows(samples, name).reshape(samples.original_shape)
    )


def read_rows(X: ArrayLike, name: str = "X") -> Array:
    """(n_samples, n_features), finite; more axes are flattened."""
    return check_rows(read(X, name), name)


def read_on_grid(
    X: ArrayLike, image_shape: Sequence[int] | None, channel_axis: ChannelAxis, patch: Patch = 1
) -> tuple[Samples, PatchGrid]:
    """Samples, whose values `check_rows` gives, and the grid that each of them is."""
    samples = read(X)
    shape, axis = resolve_shape(
        image_shape, channel_axis, n_features=samples.n_features, sample_shape=samples.sample_shape
    )
    warn_of_channels(shape, channel_axis)
    return samples, PatchGrid.build(shape, axis, patch)


def read_rows_on_grid(
    X: ArrayLike, image_shape: Sequence[int] | None, channel_axis: ChannelAxis, patch: Patch = 1
) -> tuple[Array, PatchGrid]:
    """Rows (n_samples, n_features), finite, and the grid that each of them is."""
    samples, grid = read_on_grid(X, image_shape, channel_axis, patch)
    return check_rows(samples), grid


def read_first(X: Any, n_samples: int, image_shape: Shape, reader: str) -> Samples:
    """The first samples, without a look at the others where they can be cut off; one sample is left for the model."""
    shape = getattr(X, "shape", None)
    can_be_cut = isinstance(shape, tuple) and not isinstance(X, Samples) and shape not in ((), tuple(image_shape))
    samples = read(_cut(X, n_samples) if can_be_cut else X, "X", reader)
    if len(samples) <= n_samples:
        return samples
    return Samples(samples.read(slice(n_samples)), samples.sample_shape, library=samples.library)


def _cut(X: Any, n_samples: int) -> Any:
    try:
        return X[:n_samples]
    except Exception:  # of whatever library it is from: reading the whole says what is wrong
        return X


def check_rows(samples: Samples, name: str = "X", visible: BoolArray | None = None) -> Array:
    """(n_samples, n_features) finite NumPy numbers, none wider than float64.

    Parameters
    ----------
    samples : Samples
    name : str
        Of the parameter, for error texts.
    visible : ndarray of bool of shape (n_samples or 1, n_features) or None
        Values that are not visible are never looked at: they become 0.
    """
    rows = samples.rows()
    rows = rows if visible is None or visible.all() else np.where(visible, rows, rows.dtype.type(0))
    rows = check_array(rows, input_name=name)
    if rows.dtype.itemsize <= np.dtype(np.float64).itemsize:
        return rows
    with np.errstate(over="ignore"):
        narrow = rows.astype(np.float64)
    if not np.isfinite(narrow).all():
        raise ValueError(
            f"{name} holds {rows.dtype} numbers beyond the range of float64. Divide them by their largest."
        )
    return narrow


def as_taken_by(estimator: Any, samples: Samples) -> Any:
    """Samples as an estimator takes them: this package's need not read them a second time."""
    return samples if isinstance(unfrozen(estimator), GridEstimator) else samples.original()


def unfrozen(estimator: Any) -> Any:
    """What is inside a `FrozenEstimator`, or the estimator itself."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def read(X: Any, name: str = "X", reader: str = "skmae.inspection") -> Samples:
    """Samples of real numbers, all of them there."""
    if isinstance(X, list | tuple):
        masked = any(np.ma.is_masked(x) for x in X if isinstance(x, np.ma.MaskedArray))
    else:
        masked = isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X)
    if masked:
        raise ValueError(
            f"{name} has masked entries, which {reader} cannot leave out. Fill them first, with {name}.filled(0) or "
            f"LinearMAE.fill({name}), and say visible=~np.ma.getmaskarray({name}) where there is such a parameter."
        )
    samples = read_samples(X, reader, parameter=name)
    if samples.dtype.kind not in "biuf":
        raise ValueError(f"{name} is of type {samples.dtype}, which is no real number. Convert it first.")
    return samples


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
    except Exception:  # rows of different lengths, and whatever other libraries refuse
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


def resolve_positions(outputs: ArrayLike, grid: PatchGrid) -> FloatArray:
    """(n_outputs, n_axes) coordinates of outputs: of pixels, as `resolve_outputs` takes them, or anything between."""
    try:
        positions = np.asarray(outputs)
    except Exception:  # which `resolve_outputs` refuses
        positions = np.empty(0)
    if positions.dtype.kind != "f" or positions.ndim != 2:
        return coordinates(resolve_outputs(outputs, grid), grid)
    last = tuple(size - 1 for size in grid.grid_shape)
    if not positions.size or positions.shape[1] != len(last) or not ((positions >= 0) & (positions <= last)).all():
        raise ValueError(
            f"outputs has positions, of shape {positions.shape}, that are not on the grid {grid.grid_shape}. Pass "
            f"{len(last)} coordinates each, from 0 to {last}."
        )
    return positions.astype(np.float64)


def coordinates(pixels: IntArray, grid: PatchGrid) -> FloatArray:
    """(n, n_axes) of pixels by number."""
    return np.stack(np.unravel_index(pixels, grid.grid_shape), axis=1).astype(np.float64)


def _spread(size: int, count: int) -> IntArray:
    """The middles of `count` equal parts of an axis."""
    return ((2 * np.arange(count) + 1) * size) // (2 * count)


def read_names(names: Any, name: str) -> list[Any]:
    """Names of rows or columns that a display was given."""
    if not np.iterable(names):
        raise TypeError(f"{name} must be a list of one name each, got {names!r}.")
    return list(names)


def read_numbers(
    values: ArrayLike, name: str, shape: tuple[int | None, ...] | None = None, why: str = ""
) -> FloatArray:
    """Numbers that a display was given, NaN among them; None in `shape` is any length, `why` says where it is from."""
    try:
        given = np.asarray(to_numpy(values))
        if given.dtype.kind not in "biufcO":
            raise TypeError(f"but {given.dtype}")
        with np.errstate(over="ignore"):
            numbers = given.real.astype(np.float64)
    except Exception as error:  # of whatever library they are from
        raise ValueError(f"{name} holds no numbers ({error}).") from error
    if given.dtype.kind == "c" or (given.dtype.kind == "f" and (np.isinf(numbers) & np.isfinite(given)).any()):
        raise ValueError(f"{name} holds {given.dtype} numbers beyond those of float64. Pass real ones, in its range.")
    if shape is not None and (
        numbers.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, numbers.shape, strict=True))
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {numbers.shape}; it must be ({wanted}){why}.")
    return numbers


def read_columns(table: Any, names: tuple[str, str], source: str) -> tuple[FloatArray, FloatArray]:
    """Two columns of a table that a display was given, and that a function of this package makes."""
    columns = getattr(table, "columns", ())
    missing = [name for name in names if name not in columns]
    if missing:
        raise ValueError(f"table, a {type(table).__name__}, has no column {missing}. Pass what {source} returns.")
    x, y = (read_numbers(table[name], f"Column {name!r} of table", (None,)) for name in names)
    return x, y
