"""What influence maps have in common: reach, and share inside the output's own patch."""

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skmae._grid import PatchGrid, resolve_shape
from skmae.inspection._outputs import resolve_outputs
from skmae.inspection._tables import by_distance


def influence_by_distance(
    maps: Any,
    image_shape: tuple[int, ...],
    *,
    outputs: Any = "all",
    channel_axis: Any = "auto",
    bin_width: float | None = 1.0,
) -> Any:
    """Mean influence of an input pixel against its distance from the output pixel (Figs. 5 and 6).

    Each map is divided by its sum; then the mean over samples, output pixels, and input pixels of a distance is taken.

    Parameters
    ----------
    maps : array-like of shape (n_samples, n_outputs * n_pixels)
        As `JacobianBasis` gives them.
    image_shape : tuple of int
        Shape of one sample, channels included.
    outputs : {"center", "grid", "all"} or array-like of int, default="all"
        The output pixels of the maps, as given to `JacobianBasis`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.
    bin_width : float or None, default=1.0
        Distances are put together in bins of so many pixels, centred on multiples of it; None keeps each apart.

    Returns
    -------
    pandas.DataFrame
        Columns ``distance`` (mean of the bin, in pixels), ``influence`` (share of the map per input pixel) and
        ``n_pairs`` (of output and input pixels). Influence times pairs, over the number of outputs, sums to 1.

    Raises
    ------
    ValueError
        If the maps do not fit shape and outputs, or are negative or NaN.

    See Also
    --------
    influence_radius : The mean distance alone.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import JacobianBasis, LinearMAE
    >>> from skmae.inspection import influence_by_distance
    >>> X = load_digits().images
    >>> basis = JacobianBasis(LinearMAE(16, patch=2), outputs="all").fit(X)
    >>> influence_by_distance(basis.transform(X[:1]), (8, 8)).head(3).round(3)
       distance  influence  n_pairs
    0     0.000      0.051       64
    1     1.193      0.019      420
    2     2.150      0.015      528
    """
    shares, grid, pixels = _shares(maps, image_shape, outputs, channel_axis)
    where = np.indices(grid.grid_shape).reshape(len(grid.grid_shape), -1).T  # (n_pixels, axes)
    total = shares.mean(axis=0)  # (n_outputs, n_pixels)
    squared = np.concatenate([((where - where[pixel]) ** 2).sum(axis=1) for pixel in pixels])
    return by_distance(squared, total.ravel(), np.ones(total.size, dtype=np.int64), "influence", bin_width)


def influence_radius(
    maps: Any, image_shape: tuple[int, ...], *, outputs: Any = "all", channel_axis: Any = "auto"
) -> np.ndarray:
    """Mean distance from an output pixel to the inputs that it depends on, weighted by influence.

    Parameters
    ----------
    maps : array-like of shape (n_samples, n_outputs * n_pixels)
        As `JacobianBasis` gives them.
    image_shape : tuple of int
        Shape of one sample, channels included.
    outputs : {"center", "grid", "all"} or array-like of int, default="all"
        The output pixels of the maps, as given to `JacobianBasis`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)
        In pixels; 0 for a map of zeros.

    Raises
    ------
    ValueError
        If the maps do not fit shape and outputs, or are negative or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae.inspection import influence_radius
    >>> influence_radius(np.array([[0.0, 1, 1, 0, 2]]), (5,), outputs="center")  # half of it two pixels off
    array([[1.25]])
    """
    shares, grid, pixels = _shares(maps, image_shape, outputs, channel_axis)
    return np.stack(
        [shares[:, i] @ grid.pixel_distances(pixel)[0] for i, pixel in enumerate(pixels)], axis=1
    )  # (n, n_outputs)


def own_patch_share(
    maps: Any,
    image_shape: tuple[int, ...],
    patch: int | tuple[int, ...],
    *,
    outputs: Any = "all",
    channel_axis: Any = "auto",
) -> np.ndarray:
    """Share of each map inside the patch of its output pixel.

    Parameters
    ----------
    maps : array-like of shape (n_samples, n_outputs * n_pixels)
        As `JacobianBasis` gives them.
    image_shape : tuple of int
        Shape of one sample, channels included.
    patch : int or tuple of int
        Pixels of a patch along each axis.
    outputs : {"center", "grid", "all"} or array-like of int, default="all"
        The output pixels of the maps, as given to `JacobianBasis`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)
        From 0 to 1; 0 for a map of zeros.

    Raises
    ------
    ValueError
        If the maps do not fit shape and outputs, or are negative or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae.inspection import own_patch_share
    >>> own_patch_share(np.array([[1.0, 0, 2, 1]]), (4,), patch=2, outputs="center")  # pixel 2, with pixel 3
    array([[0.75]])
    """
    shares, grid, pixels = _shares(maps, image_shape, outputs, channel_axis, patch)
    same = grid.patch_of_pixel[pixels][:, np.newaxis] == grid.patch_of_pixel  # (n_outputs, n_pixels)
    return np.einsum("nop,op->no", shares, same.astype(shares.dtype))


def basis_similarity(jacobian: Any) -> np.ndarray:
    """Mean cosine between different samples' rows of the Jacobian.

    1 for linear models, whose Jacobian is the same everywhere; the smaller, the more a model adapts to the sample.

    Parameters
    ----------
    jacobian : array-like of shape (n_samples, n_rows, n_features)
        As ``JacobianBasis.jacobian`` gives it.

    Returns
    -------
    ndarray of shape (n_rows,)
        From -1 to 1. Rows of zeros are left out; NaN where fewer than two samples are left.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or NaN.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import JacobianBasis, LinearMAE
    >>> from skmae.inspection import basis_similarity
    >>> X = load_digits().images
    >>> basis = JacobianBasis(LinearMAE(16, patch=2)).fit(X)
    >>> basis_similarity(basis.jacobian(X[:10])).round(6)
    array([1.])
    """
    jacobian = check_array(jacobian, allow_nd=True, ensure_2d=False, ensure_min_samples=2, input_name="jacobian")
    if jacobian.ndim != 3:
        raise ValueError(
            f"jacobian has shape {jacobian.shape}; pass (n_samples, n_rows, n_features), as "
            f"JacobianBasis.jacobian gives."
        )
    length = np.sqrt(np.einsum("nrd,nrd->nr", jacobian, jacobian, dtype=np.float64))
    n = (length > 0).sum(axis=0)  # samples that look at something
    unit = np.where(length > 0, 1 / np.where(length > 0, length, 1), 0)
    together = np.einsum("nrd,nr->rd", jacobian, unit)
    with np.errstate(invalid="ignore"):
        return ((together**2).sum(axis=1) - n) / np.where(n > 1, n * (n - 1), np.nan)


def _shares(
    maps: Any, image_shape: tuple[int, ...], outputs: Any, channel_axis: Any, patch: Any = 1
) -> tuple[np.ndarray, PatchGrid, np.ndarray]:
    """Maps as (n, n_outputs, n_pixels), each of sum 1 unless it is zero; the grid; the output pixels."""
    if not np.iterable(image_shape):
        raise ValueError(f"image_shape={image_shape!r} is not a shape: pass whole numbers >= 1, as in (32, 32).")
    shape = tuple(image_shape)
    shape, axis = resolve_shape(shape, channel_axis, n_features=int(np.prod(shape)), sample_shape=None)
    grid = PatchGrid.build(shape, axis, patch)
    pixels = resolve_outputs(outputs, grid)
    maps = check_array(maps, input_name="maps", dtype=(np.float64, np.float32))
    if maps.shape[1] != len(pixels) * grid.n_pixels:
        raise ValueError(
            f"maps has {maps.shape[1]} columns; {len(pixels)} outputs on a grid of {grid.grid_shape} make "
            f"{len(pixels) * grid.n_pixels}. Pass the outputs and the image_shape that the maps were made with."
        )
    if maps.size and maps.min() < 0:
        raise ValueError("maps holds negative values. Pass influences, as JacobianBasis.transform gives them.")
    maps = maps.reshape(len(maps), len(pixels), grid.n_pixels).astype(np.float64)
    total = maps.sum(axis=2, keepdims=True)
    return maps / np.where(total > 0, total, 1), grid, pixels
