"""The features of a linear autoencoder as pictures."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval
from skmae.inspection._displays._pictures import as_pictures, axes_for, image_style, montage


class ComponentsDisplay:
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

    def __init__(self, components: Any, *, image_shape: tuple[int, ...], channel_axis: int | None = None):
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
        ax: Any = None,
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
        if which not in ("encoder", "decoder"):
            raise ValueError(f"which must be 'encoder' or 'decoder', got {which!r}.")
        components = estimator.components_ if which == "encoder" else estimator.decoder_.T
        display = cls(
            components[:n_components],
            image_shape=estimator.image_shape_,
            channel_axis=estimator.channel_axis_,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, n_columns: int | None = None, **kwargs: Any) -> Self:
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
        pictures = as_pictures(self.components, self.image_shape, self.channel_axis)
        in_colour = pictures.ndim == 4
        axes = tuple(range(1, pictures.ndim))
        largest = np.abs(pictures).max(axis=axes, keepdims=True)
        pictures = pictures / np.where(largest > 0, largest, 1)
        is_signal = pictures.shape[1] == 1
        columns = 1 if is_signal else (n_columns or int(np.ceil(np.sqrt(len(pictures)))))
        if in_colour:
            canvas = montage(pictures / 2 + 0.5, columns, fill=1.0)
            style: dict[str, Any] = {}
        else:
            canvas = pictures[:, 0] if is_signal else montage(pictures, columns, fill=0.0)
            style = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
        self.figure_, self.ax_ = axes_for(ax, type(self).__name__, figsize=(5, 5))
        style |= {"interpolation": "nearest", "aspect": "auto" if is_signal else "equal"}
        self.im_ = self.ax_.imshow(canvas, **image_style(style, kwargs))
        if is_signal:
            self.ax_.set(xlabel="Position", ylabel="Component")
        else:
            self.ax_.set_axis_off()
        if not in_colour:
            self.figure_.colorbar(self.im_, ax=self.ax_, label="Weight / largest weight of the component", shrink=0.8)
        return self
