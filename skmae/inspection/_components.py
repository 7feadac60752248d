"""The features of a linear autoencoder as pictures."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval
from skmae._samples import to_numpy
from skmae._typing import Shape
from skmae.inspection._inputs import read_numbers
from skmae.inspection._plotting import ImageDisplay, Picture, as_pictures, montage

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ComponentsDisplay(ImageDisplay):
    """What each feature looks for, or what it draws.

    It is recommended to use `from_estimator`. Every component is scaled by its own largest entry: grey or 1-D ones
    from blue (negative) through white to red (positive), three-channel ones as colours around mid-grey. Of volumes the
    middle slice along the first axis is drawn; other numbers of channels are averaged.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
    image_shape : tuple of int
        Shape of one sample, channels included.
    channel_axis : int or None
        Axis of `image_shape` that holds the channels.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage

    See Also
    --------
    ReconstructionDisplay : Samples, hidden and reconstructed.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import ComponentsDisplay
    >>> mae = LinearMAE(8, mask=0.5, patch=2).fit(load_digits().images)
    >>> display = ComponentsDisplay.from_estimator(mae)
    >>> display.figure_.savefig("components.png")  # doctest: +SKIP
    """

    def __init__(self, components: ArrayLike, *, image_shape: Shape, channel_axis: int | None = None):
        self.components = components
        self.image_shape = image_shape
        self.channel_axis = channel_axis

    @classmethod
    @validate_params(
        {"n_components": [Interval(Integral, 1, None, closed="left"), None]}, prefer_skip_nested_validation=False
    )
    def from_estimator(
        cls,
        estimator: Any,
        *,
        which: str = "decoder",
        n_components: int | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the components of a fitted estimator.

        Parameters
        ----------
        estimator : fitted LinearMAE, LinearDAE or LinearAE
        which : {"decoder", "encoder"}, default="decoder"
            "decoder": what a feature stands for, its contribution to a reconstruction; "encoder": the weights that read
            it off, which also cancel noise and so look noisy where pixels are strongly correlated.
        n_components : int or None, default=None
            How many, from the first; None draws all.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        ComponentsDisplay

        Raises
        ------
        TypeError
            If the estimator is not a linear autoencoder.
        ValueError
            If `which` is neither, or `n_components` is below 1.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "decoder_"):
            raise TypeError(
                f"ComponentsDisplay draws a linear autoencoder, such as LinearMAE; got {type(estimator).__name__}. Of "
                f"a pipeline, pass that step: pipe['linearmae'], or by the name that it has there."
            )
        if not isinstance(which, str) or which not in ("encoder", "decoder"):
            raise ValueError(f"which must be 'encoder' or 'decoder', got {which!r}.")
        components = to_numpy(estimator.components_) if which == "encoder" else to_numpy(estimator.decoder_).T
        display = cls(
            components[:n_components],
            image_shape=estimator.image_shape_,
            channel_axis=estimator.channel_axis_,
        )
        return display.plot(ax=ax, **kwargs)

    @validate_params(
        {"n_columns": [Interval(Integral, 1, None, closed="left"), None]}, prefer_skip_nested_validation=True
    )
    def plot(self, *, ax: "Axes | None" = None, n_columns: int | None = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        n_columns : int or None, default=None
            Components side by side; None makes a square of them. Signals stand one above the other.
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        self
        """
        return self._show(self._picture(n_columns), ax, kwargs)

    def _picture(self, n_columns: int | None = None) -> Picture:
        components = read_numbers(self.components, "components")
        pictures = as_pictures(components, self.image_shape, self.channel_axis, "components")
        largest = np.abs(pictures).max(axis=tuple(range(1, pictures.ndim)), keepdims=True)
        pictures = pictures / np.where(largest > 0, largest, 1)
        n_columns = n_columns or int(np.ceil(np.sqrt(len(pictures))))
        style: dict[str, Any] = {"interpolation": "nearest", "aspect": "auto" if self._are_signals() else "equal"}
        if pictures.ndim == 4:  # in colour
            return Picture(montage(pictures / 2 + 0.5, n_columns, fill=1.0), (5, 5), style)
        canvas = pictures[:, 0] if self._are_signals() else montage(pictures, n_columns, fill=0.0)
        style |= {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
        return Picture(canvas, (5, 5), style, bar={"label": "Weight / largest weight of the component", "shrink": 0.8})

    def _annotate(self) -> None:
        if self._are_signals():
            self.ax_.set(xlabel="Position", ylabel="Component")
        else:
            self.ax_.set_axis_off()

    def _are_signals(self) -> bool:
        return len(self.image_shape) - (self.channel_axis is not None) == 1
