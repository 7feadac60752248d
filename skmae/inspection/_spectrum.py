"""Masks in the frequency domain (Appendix F)."""

from math import prod
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.fft import fftn
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval, StrOptions
from skmae._grid import PatchGrid, resolve_shape
from skmae._rows import row_blocks

_BLOCK = 256


@validate_params(
    {
        "image_shape": ["array-like"],
        "patch": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "mask": [Interval(Real, 0, 1, closed="left")],
        "channel_axis": [StrOptions({"auto"}), Integral, None],
        "mask_sampling": [StrOptions({"bernoulli", "exact"})],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def mask_power_spectrum(
    image_shape: tuple[int, ...],
    patch: int | tuple[int, ...] = 4,
    mask: float = 0.75,
    *,
    channel_axis: Any = "auto",
    mask_sampling: str = "bernoulli",
    n_samples: int | None = None,
    random_state: Any = None,
) -> np.ndarray:
    """Expected power spectrum of random masks.

    ``E|R̂(k)|²`` of masks r (1 where visible, 0 where hidden), R̂ their discrete Fourier transform. With q = 1 - mask and
    ĥ_j the transform of patch j, a product of sin(ωp/2) / sin(ω/2) over the axes up to a phase: for "bernoulli" masks
    ``q² N² [k = 0] + q (1 - q) Σ_j |ĥ_j(k)|²``, N the number of pixels.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of one sample, channels included; channels share one mask.
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis.
    mask : float, default=0.75
        Share of patches hidden.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.
    mask_sampling : {"bernoulli", "exact"}, default="bernoulli"
        As in `LinearMAE`: each patch by itself, or an exact number of them.
    n_samples : int or None, default=None
        None computes the expectation; a number averages over so many masks that are drawn.
    random_state : int, RandomState instance or None, default=None
        For these.

    Returns
    -------
    ndarray of shape (\\*grid)
        Frequencies in the order of ``numpy.fft.fftn``.

    Raises
    ------
    ValueError
        If patch or mask do not fit.

    Examples
    --------
    >>> from skmae.inspection import mask_power_spectrum
    >>> spectrum = mask_power_spectrum((32, 32, 3), patch=4, mask=0.75)
    >>> spectrum.shape
    (32, 32)
    >>> float(spectrum[0, 8].round(6))  # a patch of 4 has no waves of 4 pixels
    0.0
    """
    shape = tuple(image_shape)
    shape, axis = resolve_shape(shape, channel_axis, n_features=prod(shape), sample_shape=None)
    grid = PatchGrid.build(shape, axis, patch)
    share = (1 - mask) if mask_sampling == "bernoulli" else grid.count_visible(mask) / grid.n_patches
    if n_samples is not None:
        exact = grid.count_visible(mask) if mask_sampling == "exact" else None
        return _sampled(grid, share, exact, n_samples, check_random_state(random_state))
    both = share**2  # two patches visible together
    if mask_sampling == "exact":
        n_visible, n = grid.count_visible(mask), grid.n_patches
        both = share * (n_visible - 1) / (n - 1) if n > 1 else share
    spectrum = (share - both) * _patches(grid)
    spectrum[(0,) * spectrum.ndim] += both * grid.n_pixels**2
    return spectrum


def _patches(grid: PatchGrid) -> np.ndarray:
    """Σ_j |ĥ_j(k)|²: it factorises over the axes, as patches are all combinations of intervals."""
    along = [_intervals(size, patch) for size, patch in zip(grid.grid_shape, grid.patch_shape, strict=True)]
    product = np.ones(())
    for power in along:
        product = np.multiply.outer(product, power)
    return product


def _intervals(size: int, patch: int) -> np.ndarray:
    """(size,) summed power of the intervals that an axis is cut into; the last may be shorter."""
    whole, rest = divmod(size, patch)
    return whole * _rectangle(size, patch) + (_rectangle(size, rest) if rest else 0)


def _rectangle(size: int, length: int) -> np.ndarray:
    """|ĥ(k)|² = sin²(ωp/2) / sin²(ω/2), ω = 2πk/N."""
    k = np.arange(size)
    below = np.sin(np.pi * k / size) ** 2
    below[0] = 1
    power = np.sin(np.pi * (k * length % size) / size) ** 2 / below
    power[0] = length**2
    return power


def _sampled(grid: PatchGrid, share: float, exact: int | None, n: int, rng: np.random.RandomState) -> np.ndarray:
    total = np.zeros(grid.grid_shape)
    for some in row_blocks(n, _BLOCK):
        level = rng.random_sample((some.stop - some.start, grid.n_patches))
        visible = level < share if exact is None else level.argsort(axis=1).argsort(axis=1) < exact
        masks = visible[:, grid.patch_of_pixel].reshape(-1, *grid.grid_shape)
        total += (np.abs(fftn(masks.astype(float), axes=range(1, masks.ndim))) ** 2).sum(axis=0)
    return total / n
