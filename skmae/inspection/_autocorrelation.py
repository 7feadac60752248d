"""How pixels correlate with pixels some way off (Eq. 5)."""

from typing import Any

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn
from sklearn.utils import check_array

from skmae._grid import PatchGrid, resolve_shape
from skmae._rows import flatten_samples, row_blocks
from skmae.inspection._tables import by_distance

_BLOCK = 256


def spatial_autocorrelation(
    X: Any,
    image_shape: tuple[int, ...] | None = None,
    *,
    channel_axis: Any = "auto",
    visible: Any = None,
    radial: bool = True,
    bin_width: float | None = 1.0,
) -> Any:
    """Correlation of pixels against the displacement between them (Eq. 5).

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
        with a pixel that does not count are left out.
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
        If X holds NaN, does not fit `image_shape`, or is constant; if `visible` fits no such shape.

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
    rows, sample_shape = flatten_samples(X)
    rows = check_array(rows, dtype="numeric", input_name="X")
    shape, axis = resolve_shape(image_shape, channel_axis, n_features=rows.shape[1], sample_shape=sample_shape)
    grid = PatchGrid.build(shape, axis, 1)
    seen = np.ones((1, grid.n_pixels), bool) if visible is None else _read_pixels(grid, visible, len(rows))
    totals, pairs = _lagged_sums(rows, grid, seen)
    if not radial:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, totals / np.where(pairs > 0, pairs, 1), np.nan)
    lags = np.meshgrid(*(np.arange(1 - size, size) for size in grid.grid_shape), indexing="ij")
    squared = sum(lag**2 for lag in lags)
    return by_distance(np.ravel(squared), totals.ravel(), pairs.ravel(), "correlation", bin_width)


def _read_pixels(grid: PatchGrid, visible: Any, n_samples: int) -> np.ndarray:
    seen = grid.read_visible(visible, n_samples)
    if not seen.any():
        raise ValueError("visible is False everywhere: no pixel counts. Pass True where pixels do.")
    if seen.shape[1] != grid.n_pixels:
        raise ValueError(f"visible must hold one value per pixel, of shape {grid.grid_shape}; got {np.shape(visible)}.")
    return seen


def _lagged_sums(rows: np.ndarray, grid: PatchGrid, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of products at every lag, and the number of pairs that they are of."""
    per_pixel = np.argsort(grid.pixel_of_feature, kind="stable").reshape(grid.n_pixels, grid.n_channels)
    mean, std = _standards(rows, per_pixel, seen)
    varies = std > 1e-12 * np.maximum(np.abs(mean), np.finfo(float).tiny)
    if not varies.any():
        raise ValueError("X is constant: it has no correlation. Pass samples that vary.")
    padded = [next_fast_len(2 * size - 1, real=True) for size in grid.grid_shape]
    axes = tuple(range(-len(padded), 0))
    power: Any = 0.0
    mask_power: Any = 0.0
    for some in row_blocks(len(rows), _BLOCK):
        shown = seen[some] if len(seen) > 1 else seen  # (m or 1, n_pixels)
        for channel in np.flatnonzero(varies):
            f = (rows[some][:, per_pixel[:, channel]] - mean[channel]) / std[channel] * shown
            power = power + _power(f, grid, padded, axes)
        repeats = 1 if len(seen) > 1 else some.stop - some.start
        mask_power = mask_power + repeats * varies.sum() * _power(shown.astype(float), grid, padded, axes)
    return _lags(power, grid, padded, axes), np.rint(_lags(mask_power, grid, padded, axes))


def _standards(rows: np.ndarray, per_pixel: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all samples and pixels that count."""
    n_channels = per_pixel.shape[1]
    count = (seen.sum() if len(seen) > 1 else seen.sum() * len(rows)) or 1
    mean, square = np.zeros(n_channels), np.zeros(n_channels)
    for centre, total, order in ((np.zeros(n_channels), mean, 1), (mean, square, 2)):
        for some in row_blocks(len(rows), _BLOCK):
            shown = seen[some] if len(seen) > 1 else seen
            for channel in range(n_channels):
                values = (rows[some][:, per_pixel[:, channel]] - centre[channel]) * shown
                total[channel] += (values**order).sum(dtype=np.float64) / count
    return mean, np.sqrt(square)


def _power(f: np.ndarray, grid: PatchGrid, padded: list[int], axes: tuple[int, ...]) -> np.ndarray:
    spectrum = rfftn(f.reshape(-1, *grid.grid_shape), padded, axes=axes)
    return (spectrum.real**2 + spectrum.imag**2).sum(axis=0)


def _lags(power: np.ndarray, grid: PatchGrid, padded: list[int], axes: tuple[int, ...]) -> np.ndarray:
    """From summed power spectra to sums of products, lag zero in the middle (Wiener-Khinchin)."""
    sums = irfftn(power, padded, axes=axes)
    sums = np.roll(sums, [size - 1 for size in grid.grid_shape], axis=axes)
    return sums[tuple(slice(2 * size - 1) for size in grid.grid_shape)]
