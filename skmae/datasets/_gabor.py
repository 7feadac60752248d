"""Targets that need pixels near or far apart, as one wishes (Eq. 8)."""

from math import ceil, isfinite, pi
from numbers import Real
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from sklearn.utils import check_array
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval
from skmae._grid import MAX_AUTO_CHANNELS
from skmae._linalg import power_of_two
from skmae._reading import read_samples
from skmae._typing import Shape

_NARROWEST = 1e-150  # pixels of a filter; its square must not be zero


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
    """Filter grey or colour images with a Gabor function (equation 8).

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
        If `images` has another number of axes, or holds NaN or infinity; if the result is beyond float64, or a pixel
        has more waves than it can count.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae.datasets import make_gabor_targets
    >>> images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    >>> make_gabor_targets(images, dilation=2).shape
    (10, 32, 32)
    """
    images = read_samples(images, "make_gabor_targets", parameter="images").original()
    images = check_array(images, dtype="numeric", ensure_2d=False, allow_nd=True, input_name="images")
    if images.ndim not in (3, 4) or 0 in images.shape or (images.ndim == 4 and images.shape[3] > MAX_AUTO_CHANNELS):
        raise ValueError(
            f"images must have shape (n_samples, height, width) or (n_samples, height, width, n_channels) with at most "
            f"{MAX_AUTO_CHANNELS} channels, got {images.shape}. Reshape flat rows first, as in "
            f"X.reshape(len(X), 32, 32, 3); move leading channels last with np.moveaxis(images, 1, -1)."
        )
    scale = power_of_two(images)
    grey = images.astype(float) / scale
    grey = grey.mean(axis=3) if images.ndim == 4 else grey
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    kernel = _gabor(grey.shape[1:], float(frequency), float(phase), float(sigma), float(dilation), float(orientation))
    filtered = fftconvolve(grey, kernel[np.newaxis], mode="same", axes=(1, 2))
    with np.errstate(over="ignore"):
        filtered *= scale
    if not np.isfinite(filtered).all():
        raise ValueError("The filtered images are beyond the range of float64. Divide images by their largest value.")
    return filtered


def _gabor(
    shape: Shape, frequency: float, phase: float, sigma: float, dilation: float, orientation: float
) -> np.ndarray:
    """Eq. 8 on every displacement that fits into the image, at most 4 sσ, the centre in the middle."""
    width = min(max(sigma * dilation, _NARROWEST), 1 / _NARROWEST)  # pixels
    waves = frequency / dilation  # per pixel
    if not isfinite(2 * pi * waves * max(shape)):
        raise ValueError(
            f"frequency={frequency} at dilation={dilation} has more waves in a pixel than float64 can count. Pass a "
            f"lower frequency, or a larger dilation."
        )
    down, right = (np.arange(-reach, reach + 1) for reach in (ceil(min(4 * width, size - 1)) for size in shape))
    y, x = np.meshgrid(down, right, indexing="ij")
    along = x * np.cos(orientation) + y * np.sin(orientation)
    envelope = np.exp(-(x**2 + y**2) / (2 * width**2))
    return envelope * np.cos(2 * np.pi * waves * along + phase)
