"""Power spectra of masks and of masked images (Fig. 22)."""

from typing import Any, Self

import numpy as np
from scipy.fft import fftn
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import validate_params

from skmae._constraints import GRID, MASKING
from skmae._grid import PatchGrid, resolve_shape
from skmae._rows import flatten_samples, row_blocks
from skmae.inspection._displays._curves import draw_curve
from skmae.inspection._spectrum import mask_power_spectrum

_BLOCK = 256


class MaskSpectrumDisplay:
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

    def __init__(self, spectrum: Any, *, name: str | None = None):
        self.spectrum = spectrum
        self.name = name

    @classmethod
    def from_mask(
        cls,
        image_shape: tuple[int, ...],
        patch: int | tuple[int, ...] = 4,
        mask: float = 0.75,
        *,
        channel_axis: Any = "auto",
        mask_sampling: str = "bernoulli",
        name: str | None = None,
        ax: Any = None,
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
    @validate_params({**GRID, **MASKING, "random_state": ["random_state"]}, prefer_skip_nested_validation=True)
    def from_samples(
        cls,
        X: Any,
        image_shape: tuple[int, ...] | None = None,
        *,
        patch: int | tuple[int, ...] = 4,
        mask: float = 0.0,
        channel_axis: Any = "auto",
        random_state: Any = 0,
        name: str | None = None,
        ax: Any = None,
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
        rows, sample_shape = flatten_samples(X)
        rows = check_array(rows, dtype="numeric", input_name="X")
        shape, axis = resolve_shape(image_shape, channel_axis, n_features=rows.shape[1], sample_shape=sample_shape)
        grid = PatchGrid.build(shape, axis, patch)
        rng = check_random_state(random_state)
        mean, power = rows.mean(axis=0, dtype=np.float64), 0.0
        axes = tuple(1 + i for i in range(len(shape)) if i != axis)
        for some in row_blocks(len(rows), _BLOCK):
            seen = rng.random_sample((some.stop - some.start, grid.n_patches)) >= mask
            pictures = ((rows[some] - mean) * grid.per_feature(seen)).reshape(-1, *shape)
            spectrum = np.abs(fftn(pictures, axes=axes)) ** 2
            power = power + spectrum.sum(axis=0) / len(rows)
        power = power if axis is None else np.mean(power, axis=axis)
        if name is None:
            name = f"samples, patch {patch}, mask {mask}" if mask else "samples"
        return cls(power, name=name).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        self
        """
        self.frequency_, self.power_ = _over_directions(np.asarray(self.spectrum))
        labels = {"xlabel": "Spatial frequency (cycles per pixel)", "ylabel": "Power", "yscale": "log"}
        draw_curve(self, self.frequency_, self.power_, ax=ax, labels=labels, name=self.name, style=kwargs)
        return self


def _over_directions(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean power at each frequency up to the highest of an axis, in steps of the lowest."""
    along = np.meshgrid(*(np.fft.fftfreq(size) for size in spectrum.shape), indexing="ij")
    frequency = np.sqrt(sum(f**2 for f in along)).ravel()
    longest = max(spectrum.shape)
    step = np.rint(frequency * longest).astype(int)
    count = np.bincount(step)
    kept = np.flatnonzero(count)
    kept = kept[(kept > 0) & (kept <= longest // 2)]
    means = (np.bincount(step, weights)[kept] / count[kept] for weights in (frequency, spectrum.ravel()))
    mean_frequency, power = means
    return mean_frequency, power
