"""What influence maps have in common: reach, and share inside the output's own patch."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from skmae._grid import PatchGrid
from skmae._typing import ChannelAxis, FloatArray, Patch, RandomState, Shape
from skmae.inspection._inputs import (
    grid_of,
    read_columns,
    read_once,
    read_rows,
    resolve_outputs,
    resolve_positions,
)
from skmae.inspection._jacobian import frozen_basis
from skmae.inspection._plotting import CurveDisplay
from skmae.inspection._protocol import Reconstructor
from skmae.inspection._tables import by_distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


_DIGITS = 8  # of squared distances from positions that are averages, in pixels


def influence_by_distance(
    maps: ArrayLike,
    image_shape: Shape,
    *,
    outputs: ArrayLike = "all",
    channel_axis: ChannelAxis = "auto",
    bin_width: float | None = 1.0,
) -> "DataFrame":
    """Mean influence of an input pixel against its distance from the output pixel (Figs. 5 and 6).

    Each map is divided by its sum; then the mean over samples, output pixels, and input pixels of a distance is taken.

    Parameters
    ----------
    maps : array-like of shape (n_samples, n_outputs * n_pixels)
        As `JacobianBasis` gives them.
    image_shape : tuple of int
        Shape of one sample, channels included.
    outputs : {"center", "grid", "all"} or array-like of int or float, default="all"
        The output pixels of the maps, as given to `JacobianBasis`, or its ``positions_``, coordinates in pixels that
        need not be whole, (n_outputs, n_axes): of a stack, which draws tokens, only these.
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
    grid = grid_of(image_shape, channel_axis)
    positions = resolve_positions(outputs, grid)
    total = _shares(maps, grid, len(positions)).mean(axis=0)  # (n_outputs, n_pixels)
    squared = np.concatenate([_squared_distances(position, grid) for position in positions])
    return by_distance(squared, total.ravel(), np.ones(total.size, dtype=np.int64), "influence", bin_width)


def influence_radius(
    maps: ArrayLike, image_shape: Shape, *, outputs: ArrayLike = "all", channel_axis: ChannelAxis = "auto"
) -> FloatArray:
    """Mean distance from an output pixel to the inputs that it depends on, weighted by influence.

    Parameters
    ----------
    maps : array-like of shape (n_samples, n_outputs * n_pixels)
        As `JacobianBasis` gives them.
    image_shape : tuple of int
        Shape of one sample, channels included.
    outputs : {"center", "grid", "all"} or array-like of int or float, default="all"
        The output pixels of the maps, as given to `JacobianBasis`, or its ``positions_``, coordinates in pixels that
        need not be whole, (n_outputs, n_axes): of a stack, which draws tokens, only these.
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
    grid = grid_of(image_shape, channel_axis)
    positions = resolve_positions(outputs, grid)
    shares = _shares(maps, grid, len(positions))
    distances = (np.sqrt(_squared_distances(position, grid)) for position in positions)
    return np.stack([shares[:, i] @ row for i, row in enumerate(distances)], axis=1)  # (n, n_outputs)


def own_patch_share(
    maps: ArrayLike,
    image_shape: Shape,
    patch: Patch,
    *,
    outputs: ArrayLike = "all",
    channel_axis: ChannelAxis = "auto",
) -> FloatArray:
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
    grid = grid_of(image_shape, channel_axis, patch)
    pixels = resolve_outputs(outputs, grid)
    shares = _shares(maps, grid, len(pixels))
    same = grid.patch_of_pixel[pixels][:, np.newaxis] == grid.patch_of_pixel  # (n_outputs, n_pixels)
    return np.einsum("nop,op->no", shares, same.astype(shares.dtype))


def basis_similarity(jacobian: ArrayLike) -> FloatArray:
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
    rows = check_array(read_once(jacobian, "jacobian"), allow_nd=True, ensure_2d=False, input_name="jacobian")
    if rows.ndim != 3 or len(rows) < 2:
        raise ValueError(
            f"jacobian has shape {rows.shape}; pass (n_samples, n_rows, n_features) of two samples at least, as "
            f"JacobianBasis.jacobian gives."
        )
    largest = np.abs(rows).max(axis=2, keepdims=True).astype(np.float64)
    rows = rows / np.where(largest > 0, largest, 1)  # so that no square over- or underflows
    length = np.sqrt(np.einsum("nrd,nrd->nr", rows, rows))
    n = (length > 0).sum(axis=0)  # samples that look at something
    together = np.einsum("nrd,nr->rd", rows, 1 / np.where(length > 0, length, 1))
    with np.errstate(invalid="ignore"):
        return ((together**2).sum(axis=1) - n) / np.where(n > 1, n * (n - 1), np.nan)


def _squared_distances(position: FloatArray, grid: PatchGrid) -> FloatArray:
    """(n_pixels,) from a position to every pixel; those of one distance are equal, however they were rounded."""
    where = np.indices(grid.grid_shape).reshape(len(grid.grid_shape), -1).T  # (n_pixels, n_axes)
    squared: FloatArray = ((where - position) ** 2).sum(axis=1).round(_DIGITS)
    return squared


def _shares(maps: ArrayLike, grid: PatchGrid, n_outputs: int) -> FloatArray:
    """Maps as (n, n_outputs, n_pixels), each of sum 1 unless it is zero."""
    rows = read_rows(maps, "maps")
    if rows.shape[1] != n_outputs * grid.n_pixels:
        raise ValueError(
            f"maps has {rows.shape[1]} columns; {n_outputs} outputs on a grid of {grid.grid_shape} make "
            f"{n_outputs * grid.n_pixels}. Pass outputs, image_shape and channel_axis that the maps were made with; "
            f"of a stack, outputs=basis.positions_."
        )
    if rows.size and rows.min() < 0:
        raise ValueError("maps holds negative values. Pass influences, as JacobianBasis.transform gives them.")
    shares = rows.reshape(len(rows), n_outputs, grid.n_pixels).astype(np.float64)
    largest = shares.max(axis=2, keepdims=True)
    shares /= np.where(largest > 0, largest, 1)  # so that no sum overflows
    total = shares.sum(axis=2, keepdims=True)
    return shares / np.where(total > 0, total, 1)


class InfluenceDisplay(CurveDisplay):
    """Mean influence of an input pixel against its distance from the output pixel.

    It is recommended to use `from_estimator` or `from_maps`. Models are compared in one axes: pass
    ``ax=display.ax_`` to the next.

    Parameters
    ----------
    table : pandas.DataFrame
        As `influence_by_distance` gives it: columns ``distance`` and ``influence``.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    influence_by_distance : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearAE, LinearMAE
    >>> from skmae.inspection import InfluenceDisplay
    >>> X = load_digits().images
    >>> display = InfluenceDisplay.from_estimator(LinearAE(16).fit(X), X[:1])
    >>> display = InfluenceDisplay.from_estimator(LinearMAE(16, patch=2).fit(X), X[:1], ax=display.ax_)
    >>> display.figure_.savefig("influence.png")  # doctest: +SKIP
    """

    _labels = {"xlabel": "Distance (pixels)", "ylabel": "Influence (share per pixel)", "yscale": "log"}

    def __init__(self, table: "DataFrame", *, name: str | None = None):
        self.table = table
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Reconstructor,
        X: ArrayLike,
        *,
        outputs: ArrayLike = "all",
        visible: ArrayLike | None = None,
        n_masks: int = 1,
        bin_width: float | None = 1.0,
        random_state: RandomState = None,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence curve of a fitted autoencoder.

        Parameters
        ----------
        estimator : fitted autoencoder
            As for `JacobianBasis`.
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Samples that Jacobians are taken at; one is enough for a linear model.
        outputs, visible, n_masks, random_state
            As in `JacobianBasis`.
        bin_width : float or None, default=1.0
            As in `influence_by_distance`.
        name : str or None, default=None
            For the legend; None takes the estimator's class.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        InfluenceDisplay
        """
        basis = frozen_basis(estimator, outputs=outputs, visible=visible, n_masks=n_masks, random_state=random_state)
        maps = basis.fit_transform(X)
        return cls.from_maps(
            maps,
            basis.image_shape_,
            outputs=basis.positions_,
            channel_axis=basis.channel_axis_,
            bin_width=bin_width,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_maps(
        cls,
        maps: ArrayLike,
        image_shape: Shape,
        *,
        outputs: ArrayLike = "all",
        channel_axis: ChannelAxis = "auto",
        bin_width: float | None = 1.0,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence curve of maps that `JacobianBasis` made.

        Parameters
        ----------
        maps : array-like of shape (n_samples, n_outputs * n_pixels)
        image_shape, outputs, channel_axis, bin_width
            As in `influence_by_distance`.
        name : str or None, default=None
            For the legend.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        InfluenceDisplay
        """
        table = influence_by_distance(
            maps, image_shape, outputs=outputs, channel_axis=channel_axis, bin_width=bin_width
        )
        return cls(table, name=name).plot(ax=ax, **kwargs)

    def _curve(self) -> tuple[ArrayLike, ArrayLike]:
        return read_columns(self.table, ("distance", "influence"), "influence_by_distance")
