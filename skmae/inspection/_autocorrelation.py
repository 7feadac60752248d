"""How pixels correlate with pixels some way off (Eq. 5)."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfftn, next_fast_len, rfftn
from sklearn.utils._param_validation import validate_params

from skmae._grid import PatchGrid
from skmae._linalg import divide, power_of_two
from skmae._samples import row_blocks
from skmae._typing import Array, BoolArray, ChannelAxis, FloatArray, Floats, IntArray, Shape
from skmae.inspection._inputs import check_rows, features_of_pixels, read_columns, read_on_grid
from skmae.inspection._plotting import CurveDisplay
from skmae.inspection._tables import by_distance
from skmae.masking import read_visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

_BLOCK = 256


@validate_params({"radial": ["boolean"]}, prefer_skip_nested_validation=True)
def spatial_autocorrelation(
    X: ArrayLike,
    image_shape: Shape | None = None,
    *,
    channel_axis: ChannelAxis = "auto",
    visible: ArrayLike | None = None,
    radial: bool = True,
    bin_width: float | None = 1.0,
) -> "DataFrame | FloatArray":
    """Correlation of pixels against the displacement between them (equation 5).

    R(Δ) = mean of f(p) f(p + Δ) over samples, channels, and all pixels p for which p + Δ is in the image too, where f
    are the samples less the mean of each channel, over its standard deviation (both over all samples and pixels).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        Signals, images or volumes.
    image_shape : tuple of int or None, default=None
        Shape of one sample, channels included; None infers it, see `LinearMAE`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.
    visible : array-like of bool or None, default=None
        True where a pixel counts: the shape of the grid, for all samples, or with a leading axis of n_samples. Pairs
        with a pixel that does not count are left out; its value is never read, and may be NaN.
    radial : bool, default=True
        Average over displacements of the same length.
    bin_width : float or None, default=1.0
        For `radial`: lengths are put together in bins of so many pixels; None keeps each apart.

    Returns
    -------
    pandas.DataFrame or ndarray
        Radial: columns ``distance`` (pixels), ``correlation`` and ``n_pairs``. Otherwise an array with 2 s - 1 lags
        along each axis of s pixels, lag zero in the middle; NaN where no pair is that far apart.

    Raises
    ------
    ValueError
        If X holds NaN or masked entries, does not fit `image_shape`, or is constant; if `visible` fits no such shape.

    See Also
    --------
    skmae.inspection.AutocorrelationDisplay : The picture (Fig. 3).

    Notes
    -----
    By FFT with zero padding, divided by the number of pairs at each lag, which the FFT of the mask counts.

    Examples
    --------
    >>> from skmae.datasets import make_ising
    >>> from skmae.inspection import spatial_autocorrelation
    >>> X = make_ising(20000, size=16, coupling=1.0, random_state=0)
    >>> spatial_autocorrelation(X, (16,)).head(3).round(2)  # tanh(1) = 0.76, tanh(1)² = 0.58
       distance  correlation  n_pairs
    0       0.0         1.00   320000
    1       1.0         0.76   600000
    2       2.0         0.58   560000
    """
    samples, grid = read_on_grid(X, image_shape, channel_axis)
    visible_pixels = np.ones((1, grid.n_pixels), bool) if visible is None else _read_pixels(grid, visible, len(samples))
    rows = check_rows(samples, visible=grid.per_feature(visible_pixels))
    totals, pairs = _lagged_sums(rows, grid, visible_pixels)
    if not radial:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, totals / np.where(pairs > 0, pairs, 1), np.nan)
    lags = np.meshgrid(*(np.arange(1 - size, size) for size in grid.grid_shape), indexing="ij")
    squared = sum(lag**2 for lag in lags)
    return by_distance(np.ravel(squared), totals.ravel(), pairs.ravel(), "correlation", bin_width)


def _read_pixels(grid: PatchGrid, visible: ArrayLike, n_samples: int) -> BoolArray:
    pixels = read_visible(grid, visible, n_samples)
    if not pixels.any():
        raise ValueError("visible is False everywhere: no pixel counts. Pass True where pixels do.")
    if pixels.shape[1] != grid.n_pixels:
        raise ValueError(f"visible must hold one value per pixel, of shape {grid.grid_shape}; got {np.shape(visible)}.")
    return pixels


def _lagged_sums(rows: Array, grid: PatchGrid, visible: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Sums of products at every lag, and the number of pairs that they are of; `visible` is (n or 1, n_pixels)."""
    of_pixel = features_of_pixels(grid)
    scale = np.array([power_of_two(rows[:, features]) for features in of_pixel.T])  # of a channel; it cancels
    mean, std = _standards(rows, of_pixel, visible, scale)
    varies = std > 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
    if not varies.any():
        raise ValueError("X is constant: it has no correlation. Pass samples that vary.")
    padded = [next_fast_len(2 * size - 1, real=True) for size in grid.grid_shape]
    power = mask_power = np.zeros(())
    for some in row_blocks(len(rows), _BLOCK):
        mask = visible[some] if len(visible) > 1 else visible  # (m or 1, n_pixels)
        for channel in np.flatnonzero(varies):
            values = divide(rows[some][:, of_pixel[:, channel]], scale[channel])
            power = power + _power((values - mean[channel]) / std[channel] * mask, grid, padded)
        repeats = 1 if len(visible) > 1 else some.stop - some.start
        mask_power = mask_power + repeats * varies.sum() * _power(mask.astype(float), grid, padded)
    return _lags(power, grid, padded), np.rint(_lags(mask_power, grid, padded))


def _standards(rows: Array, of_pixel: IntArray, visible: BoolArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each channel over all samples and pixels that count, in units of `scale`."""
    n_channels = of_pixel.shape[1]
    count = (visible.sum() if len(visible) > 1 else visible.sum() * len(rows)) or 1
    mean, square = np.zeros(n_channels), np.zeros(n_channels)
    for centre, total, order in ((np.zeros(n_channels), mean, 1), (mean, square, 2)):
        for some in row_blocks(len(rows), _BLOCK):
            mask = visible[some] if len(visible) > 1 else visible
            for channel in range(n_channels):
                values = (divide(rows[some][:, of_pixel[:, channel]], scale[channel]) - centre[channel]) * mask
                total[channel] += (values**order).sum(dtype=np.float64) / count
    return mean, np.sqrt(square)


def _power(pictures: Floats, grid: PatchGrid, padded: list[int]) -> FloatArray:
    """Power spectra of pictures (n, n_pixels), summed."""
    axes = tuple(range(-len(padded), 0))
    spectrum = rfftn(pictures.reshape(-1, *grid.grid_shape), padded, axes=axes)
    return (spectrum.real**2 + spectrum.imag**2).sum(axis=0)


def _lags(power: FloatArray, grid: PatchGrid, padded: list[int]) -> FloatArray:
    """From summed power spectra to sums of products, lag zero in the middle (Wiener-Khinchin)."""
    axes = tuple(range(-len(padded), 0))
    sums = np.roll(irfftn(power, padded, axes=axes), [size - 1 for size in grid.grid_shape], axis=axes)
    return sums[tuple(slice(2 * size - 1) for size in grid.grid_shape)]


class AutocorrelationDisplay(CurveDisplay):
    """Correlation between pixels against their distance.

    It is recommended to use `from_samples`.

    Parameters
    ----------
    table : pandas.DataFrame
        As `spatial_autocorrelation` gives it: columns ``distance`` and ``correlation``.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    spatial_autocorrelation : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skmae.datasets import load_photo_patches, make_ising
    >>> from skmae.inspection import AutocorrelationDisplay
    >>> display = AutocorrelationDisplay.from_samples(load_photo_patches(200).images, name="photographs")
    >>> spins = make_ising(200, size=32, coupling=0.4, ndim=2, random_state=0)
    >>> display = AutocorrelationDisplay.from_samples(spins, name="Ising", ax=display.ax_)
    >>> display.figure_.savefig("autocorrelation.png")  # doctest: +SKIP
    """

    _labels = {"xlabel": "Distance (pixels)", "ylabel": "Correlation"}

    def __init__(self, table: "DataFrame", *, name: str | None = None):
        self.table = table
        self.name = name

    @classmethod
    def from_samples(
        cls,
        X: ArrayLike,
        image_shape: Shape | None = None,
        *,
        channel_axis: ChannelAxis = "auto",
        visible: ArrayLike | None = None,
        bin_width: float | None = 1.0,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the autocorrelation of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        image_shape, channel_axis, visible, bin_width
            As in `spatial_autocorrelation`.
        name : str or None, default=None
            For the legend.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        AutocorrelationDisplay
        """
        table = spatial_autocorrelation(X, image_shape, channel_axis=channel_axis, visible=visible, bin_width=bin_width)
        return cls(table, name=name).plot(ax=ax, **kwargs)

    def _curve(self) -> tuple[ArrayLike, ArrayLike]:
        return read_columns(self.table, ("distance", "correlation"), "spatial_autocorrelation")
