"""Targets that need pixels near or far apart, as one wishes (Eq. 8)."""

from numbers import Real
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from sklearn.utils import check_array
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval
from skmae._grid import MAX_AUTO_CHANNELS
from skmae._typing import Shape


@validate_params(
    {
        "images": ["array-like"],
        "frequency": [Interval(Real, 0, None, closed="left")],
        "phase": [Interval(Real, None, None, closed="neither")],
        "sigma": [Interval(Real, 0, None, closed="neither")],
        "dilation": [Interval(Real, 0, None, closed="neither")],
        "orientation": [Interval(Real, None, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def make_gabor_targets(
    images: Any,
    *,
    frequency: float = 0.25,
    phase: float = 0.0,
    sigma: float = 2.0,
    dilation: float = 1.0,
    orientation: float = 0.0,
) -> np.ndarray:
    """Filter grey or colour images with a Gabor function (Eq. 8).

    The filter is exp(−(x² + y²) / (2 (sσ)²)) · cos(2π f x / s + φ). A larger dilation s asks for pixels further apart:
    the task on which masked autoencoders gain on PCA.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width) or (n_samples, height, width, n_channels)
        Channels, at most 4, are averaged.
    frequency : float, default=0.25
        f, in cycles per pixel at dilation 1.
    phase : float, default=0.0
        φ, in radians.
    sigma : float, default=2.0
        σ, in pixels at dilation 1.
    dilation : float, default=1.0
        s.
    orientation : float, default=0.0
        Direction of x, in radians from the horizontal axis towards the vertical one.

    Returns
    -------
    ndarray of shape (n_samples, height, width)
        The filtered images, each centred first, zero outside; float64.

    Raises
    ------
    ValueError
        If `images` has another number of axes, or holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae.datasets import make_gabor_targets
    >>> images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    >>> make_gabor_targets(images, dilation=2).shape
    (10, 32, 32)
    """
    images = check_array(images, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="images")
    if images.ndim not in (3, 4) or 0 in images.shape or (images.ndim == 4 and images.shape[3] > MAX_AUTO_CHANNELS):
        raise ValueError(
            f"images must have shape (n_samples, height, width) or (n_samples, height, width, n_channels) with at most "
            f"{MAX_AUTO_CHANNELS} channels, got {images.shape}. Reshape flat rows first, as in "
            f"X.reshape(len(X), 32, 32, 3); move leading channels last with np.moveaxis(images, 1, -1)."
        )
    grey = images.mean(axis=3, dtype=np.float64) if images.ndim == 4 else images.astype(float)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    kernel = _gabor(grey.shape[1:], frequency, phase, sigma, dilation, orientation)
    return fftconvolve(grey, kernel[np.newaxis], mode="same", axes=(1, 2))


def _gabor(
    shape: Shape, frequency: float, phase: float, sigma: float, dilation: float, orientation: float
) -> np.ndarray:
    """Eq. 8 on every displacement that fits into the image, at most 4 sσ, the centre in the middle."""
    reach = int(np.ceil(4 * sigma * dilation))
    down, right = (np.arange(-min(reach, size - 1), min(reach, size - 1) + 1) for size in shape)
    y, x = np.meshgrid(down, right, indexing="ij")
    along = x * np.cos(orientation) + y * np.sin(orientation)
    envelope = np.exp(-(x**2 + y**2) / (2 * (dilation * sigma) ** 2))
    return envelope * np.cos(2 * np.pi * frequency * along / dilation + phase)
