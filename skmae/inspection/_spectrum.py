"""Masks in the frequency domain (Appendix F)."""

from functools import reduce
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import fft, fftn
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval, StrOptions
from skmae._grid import PatchGrid, warn_of_channels
from skmae._linalg import power_of_two
from skmae._parameters import GRID, MASKING
from skmae._samples import row_blocks
from skmae._typing import Array, ChannelAxis, FloatArray, Patch, RandomState, Shape
from skmae.inspection._inputs import grid_of, read_numbers, read_rows_on_grid
from skmae.inspection._plotting import CurveDisplay
from skmae.masking import Bernoulli, ExactCount, MaskSampling, Sampler, draw_visible, moments_of, resolve_sampler

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLOCK = 256  # masks or samples at a time
_MOST_PATCHES = 4096  # of which a matrix of pairs takes 128 MiB


@validate_params(
    {
        "image_shape": ["array-like"],
        "patch": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "mask": [Interval(Real, 0, 1, closed="left")],
        "channel_axis": [StrOptions({"auto"}), Integral, None],
        "mask_sampling": [StrOptions({"bernoulli", "exact"}), callable],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def mask_power_spectrum(
    image_shape: Shape,
    patch: Patch = 4,
    mask: float = 0.75,
    *,
    channel_axis: ChannelAxis = "auto",
    mask_sampling: MaskSampling = "bernoulli",
    n_samples: int | None = None,
    random_state: RandomState = None,
) -> FloatArray:
    """Expected power spectrum of random masks.

    ``E|R̂(k)|²`` of masks r (1 where visible, 0 where hidden), R̂ their discrete Fourier transform. With ĥ_a the
    transform of patch a, a product of sin(ωp/2) / sin(ω/2) over the axes up to a phase, and J_ab the rate at which
    patches a and b are visible together, it is ``Σ_ab J_ab ĥ_a(k) ĥ_b(k)*``. For "bernoulli" masks, with q = 1 - mask
    and N the number of pixels, that is ``q² N² [k = 0] + q (1 - q) Σ_a |ĥ_a(k)|²``.

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
    mask_sampling : {"bernoulli", "exact"}, sampler or callable, default="bernoulli"
        As in `LinearMAE`: each patch by itself, an exact number of them, or a sampler of `skmae.masking`, or any
        function that draws masks; of these two with 4096 patches at most, unless `n_samples` masks are drawn.
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
        If patch or mask do not fit, or the sampler's patches are too many.

    Examples
    --------
    >>> from skmae.inspection import mask_power_spectrum
    >>> spectrum = mask_power_spectrum((32, 32, 3), patch=4, mask=0.75)
    >>> spectrum.shape
    (32, 32)
    >>> float(spectrum[0, 8].round(6))  # a patch of 4 has no waves of 4 pixels
    0.0
    """
    grid = grid_of(image_shape, channel_axis, patch)
    warn_of_channels(grid.image_shape, channel_axis)
    sampler = resolve_sampler(mask_sampling)
    if n_samples is not None:
        return _mean_of_drawn(sampler, grid, mask, n_samples, check_random_state(random_state))
    if not isinstance(sampler, Bernoulli | ExactCount):
        return _of_pairs(grid, _joint_rates(sampler, grid, mask))
    one, two, _ = sampler.chances(grid, mask)  # any two patches are visible together at the same rate
    spectrum = (one - two) * _of_single_patches(grid)
    spectrum[(0,) * spectrum.ndim] += two * grid.n_pixels**2
    return spectrum


def _of_single_patches(grid: PatchGrid) -> FloatArray:
    """Σ_a |ĥ_a(k)|²: it factorises over the axes, as patches are all combinations of intervals."""
    along_axes = [_of_intervals(size, patch) for size, patch in zip(grid.grid_shape, grid.patch_shape, strict=True)]
    return reduce(np.multiply.outer, along_axes)


def _of_intervals(size: int, patch: int) -> FloatArray:
    """(size,) summed power of the intervals that an axis is cut into; the last may be shorter."""
    whole, rest = divmod(size, patch)
    return whole * _of_interval(size, patch) + (_of_interval(size, rest) if rest else 0)


def _of_interval(size: int, length: int) -> FloatArray:
    """|ĥ(k)|² = sin²(ωp/2) / sin²(ω/2), ω = 2πk/N."""
    k = np.arange(size)
    below = np.sin(np.pi * k / size) ** 2
    below[0] = 1
    power = np.sin(np.pi * (k * length % size) / size) ** 2 / below
    power[0] = length**2
    return power


def _of_pairs(grid: PatchGrid, joint: FloatArray) -> FloatArray:
    """Σ_ab J_ab ĥ_a(k) ĥ_b(k)*, summed over the places of a and b along one axis after the other."""
    total = joint.reshape(grid.patches_per_axis * 2)  # (*places of a, *places of b)
    for n_left, h in zip(range(len(grid.grid_shape), 0, -1), _transformed_intervals(grid), strict=True):
        total = np.moveaxis(total, (0, n_left), (-2, -1))  # (..., a, b) along this axis
        total = ((total @ h.conj()) * h).sum(axis=-2)  # (..., k)
    return total.real


def _transformed_intervals(grid: PatchGrid) -> list[NDArray[np.complex128]]:
    """For each axis (patches, frequencies), the transforms of the intervals that it is cut into."""
    sizes = zip(grid.grid_shape, grid.patch_shape, grid.patches_per_axis, strict=True)
    return [fft(np.arange(size) // patch == np.arange(n)[:, np.newaxis]) for size, patch, n in sizes]


def _joint_rates(sampler: Sampler, grid: PatchGrid, mask: float) -> FloatArray:
    if grid.n_patches > _MOST_PATCHES:
        raise ValueError(
            f"mask_sampling={sampler!r} takes a matrix of {grid.n_patches} x {grid.n_patches} pairs of patches; "
            f"{_MOST_PATCHES} patches are the most. Pass a larger patch, or n_samples=1000 to draw masks instead."
        )
    return moments_of(sampler, grid, mask)[1]


def _mean_of_drawn(sampler: Sampler, grid: PatchGrid, mask: float, n: int, rng: np.random.RandomState) -> FloatArray:
    total = np.zeros(grid.grid_shape)
    for some in row_blocks(n, _BLOCK):
        visible = draw_visible(sampler, some.stop - some.start, grid, mask, rng)
        masks = visible[:, grid.patch_of_pixel].reshape(-1, *grid.grid_shape)
        total += (np.abs(fftn(masks.astype(float), axes=range(1, masks.ndim))) ** 2).sum(axis=0)
    return total / n


class MaskSpectrumDisplay(CurveDisplay):
    """Power spectrum against spatial frequency.

    It is recommended to use `from_mask` or `from_samples`. Power is averaged over directions; that of the mean
    (frequency zero) is left out.

    Parameters
    ----------
    spectrum : ndarray of shape (\\*grid)
        Power, frequencies in the order of ``numpy.fft.fftn``.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    frequency_ : ndarray
        In cycles per pixel.
    power_ : ndarray
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    mask_power_spectrum : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skmae.inspection import MaskSpectrumDisplay
    >>> ax = None
    >>> for patch in (2, 4, 8):
    ...     display = MaskSpectrumDisplay.from_mask((32, 32), patch, mask=0.75, ax=ax)
    ...     ax = display.ax_
    >>> display.figure_.savefig("spectrum.png")  # doctest: +SKIP
    """

    _labels = {"xlabel": "Spatial frequency (cycles per pixel)", "ylabel": "Power", "yscale": "log"}

    def __init__(self, spectrum: ArrayLike, *, name: str | None = None):
        self.spectrum = spectrum
        self.name = name

    @classmethod
    def from_mask(
        cls,
        image_shape: Shape,
        patch: Patch = 4,
        mask: float = 0.75,
        *,
        channel_axis: ChannelAxis = "auto",
        mask_sampling: MaskSampling = "bernoulli",
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the expected spectrum of random masks.

        Parameters
        ----------
        image_shape, patch, mask, channel_axis, mask_sampling
            As in `mask_power_spectrum`.
        name : str or None, default=None
            For the legend; None tells patch and mask.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        MaskSpectrumDisplay
        """
        spectrum = mask_power_spectrum(image_shape, patch, mask, channel_axis=channel_axis, mask_sampling=mask_sampling)
        name = f"patch {patch}, mask {mask}" if name is None else name
        return cls(spectrum, name=name).plot(ax=ax, **kwargs)

    @classmethod
    @validate_params(GRID | MASKING | {"random_state": ["random_state"]}, prefer_skip_nested_validation=True)
    def from_samples(
        cls,
        X: ArrayLike,
        image_shape: Shape | None = None,
        *,
        patch: Patch = 4,
        mask: float = 0.0,
        channel_axis: ChannelAxis = "auto",
        random_state: RandomState = 0,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the mean spectrum of samples less their mean, of which random patches are set to zero.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        image_shape : tuple of int or None, default=None
            Shape of one sample, channels included; None infers it.
        patch : int or tuple of int, default=4
        mask : float, default=0
            Share of patches hidden, each by itself.
        channel_axis : "auto", int or None, default="auto"
        random_state : int, RandomState instance or None, default=0
            For the masks.
        name : str or None, default=None
            For the legend; None tells patch and mask.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        MaskSpectrumDisplay

        Raises
        ------
        ValueError
            If X holds NaN or does not fit `image_shape`, or patch or mask do not fit.
        """
        rows, grid = read_rows_on_grid(X, image_shape, channel_axis, patch)
        rng = check_random_state(random_state)
        scale = power_of_two(rows)
        mean, power = (rows / scale).mean(axis=0, dtype=np.float64), np.zeros(())
        axes = tuple(1 + axis for axis in range(len(grid.image_shape)) if axis != grid.channel_axis)
        for some in row_blocks(len(rows), _BLOCK):
            visible = grid.per_feature(draw_visible(Bernoulli(), some.stop - some.start, grid, mask, rng))
            pictures = ((rows[some] / scale - mean) * visible).reshape(-1, *grid.image_shape)
            power = power + (np.abs(fftn(pictures, axes=axes)) ** 2).sum(axis=0) / len(rows)
        power = power if grid.channel_axis is None else np.mean(power, axis=grid.channel_axis)
        with np.errstate(over="ignore"):
            power = power * scale * scale
        if not np.isfinite(power).all() or (power.max() == 0 and np.ptp(rows)):
            raise ValueError(
                "The power, in units of X squared, is beyond the range of float64. Divide X by its largest value."
            )
        if name is None:
            name = f"samples, patch {patch}, mask {mask}" if mask else "samples"
        return cls(power, name=name).plot(ax=ax, **kwargs)

    def _curve(self) -> tuple[ArrayLike, ArrayLike]:
        self.frequency_, self.power_ = _over_directions(read_numbers(self.spectrum, "spectrum"))
        return self.frequency_, self.power_


def _over_directions(spectrum: Array) -> tuple[FloatArray, FloatArray]:
    """Mean power at each frequency up to the highest of an axis, in steps of the lowest."""
    if not spectrum.ndim or not spectrum.size:
        raise ValueError(
            "spectrum is a single number. Pass what mask_power_spectrum returns, of the shape of the grid."
        )
    along = np.meshgrid(*(np.fft.fftfreq(size) for size in spectrum.shape), indexing="ij")
    frequency = np.sqrt(sum(f**2 for f in along)).ravel()
    longest = max(spectrum.shape)
    step = np.rint(frequency * longest).astype(int)
    count = np.bincount(step)
    kept = np.flatnonzero(count)
    kept = kept[(kept > 0) & (kept <= longest // 2)]
    mean_frequency, power = (np.bincount(step, values)[kept] / count[kept] for values in (frequency, spectrum.ravel()))
    return mean_frequency, power
