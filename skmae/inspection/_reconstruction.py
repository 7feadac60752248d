"""Samples beside what a model makes of them when patches are hidden."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval, StrOptions, _num_samples
from skmae._grid import PatchGrid
from skmae._samples import naming, to_numpy
from skmae._typing import RandomState, Shape
from skmae.inspection._inputs import as_taken_by, read_first, read_numbers
from skmae.inspection._plotting import (
    HIDDEN_GREY,
    ImageDisplay,
    Picture,
    as_pictures,
    between_black_and_white,
    picture_of_bands,
)
from skmae.inspection._protocol import Reconstructor
from skmae.masking import read_visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = ("Original", "Visible part", "Reconstructed")


class ReconstructionDisplay(ImageDisplay):
    """Three rows: samples, what the model may see of them, and its reconstruction.

    It is recommended to use `from_estimator`. All rows share the scale of the originals: 0 to 255 for 8-bit data, their
    range otherwise. What is hidden, or not finite, is drawn in mid-grey. For 1-D samples the three are bands, with a
    line per sample; of volumes the middle slice along the first axis is drawn; channels other than three are averaged.

    Parameters
    ----------
    originals : ndarray of shape (n_samples, n_features)
    visible : ndarray of bool of shape (n_samples, n_features)
    reconstructions : ndarray of shape (n_samples, n_features)
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
    ComponentsDisplay : The features themselves.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import ReconstructionDisplay
    >>> X = load_digits().images
    >>> mae = LinearMAE(32, mask=0.5, patch=2).fit(X[:1000])
    >>> display = ReconstructionDisplay.from_estimator(mae, X[1000:1006])
    >>> display.figure_.savefig("reconstruction.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        originals: ArrayLike,
        visible: ArrayLike,
        reconstructions: ArrayLike,
        *,
        image_shape: Shape,
        channel_axis: int | None = None,
    ):
        self.originals = originals
        self.visible = visible
        self.reconstructions = reconstructions
        self.image_shape = image_shape
        self.channel_axis = channel_axis

    @classmethod
    @validate_params(
        {"n_samples": [Interval(Integral, 1, None, closed="left")], "paste_visible": ["boolean", StrOptions({"auto"})]},
        prefer_skip_nested_validation=False,
    )
    def from_estimator(
        cls,
        estimator: Reconstructor,
        X: Any,
        *,
        visible: Any = None,
        paste_visible: bool | Literal["auto"] = "auto",
        n_samples: int = 8,
        random_state: RandomState = 0,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Hide parts of some samples and draw what a fitted estimator makes of the rest.

        Parameters
        ----------
        estimator : fitted autoencoder
            Anything with `reconstruct`, `sample_visible`, `image_shape_`, `channel_axis_`, `patch_`.
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool or None, default=None
            As in `reconstruct`, for the samples drawn or for all of X; None draws masks as the estimator's training
            does, which for models that hide nothing leaves all visible.
        paste_visible : bool or "auto", default="auto"
            Draw visible parts of a reconstruction as they are in the sample. "auto" does so for models that learn to
            predict hidden ones alone (`ViTMAE`, ``LinearMAE(loss="hidden")``), whose own picture of visible parts means
            nothing.
        n_samples : int, default=8
            Samples drawn, from the first of X.
        random_state : int, RandomState instance or None, default=0
            For the masks.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        """
        check_is_fitted(estimator)
        shape, channel_axis = estimator.image_shape_, estimator.channel_axis_
        grid = PatchGrid.build(shape, channel_axis, estimator.patch_)
        samples = read_first(X, n_samples, shape, cls.__name__)
        if visible is None:
            visible = estimator.sample_visible(len(samples), random_state)
        else:
            with naming("visible", "an array of bool, True where a sample may be seen"):
                visible = to_numpy(visible)
            n = _num_samples(X)
            if visible.ndim > 1 and len(visible) == n and len(read_visible(grid, visible, n)) == n:
                visible = visible[:n_samples]
        rows = samples.rows()
        reconstructions = to_numpy(estimator.reconstruct(as_taken_by(estimator, samples), visible)).reshape(rows.shape)
        visible_features = grid.per_feature(read_visible(grid, visible, len(rows))) & np.isfinite(rows)
        if paste_visible is True or (paste_visible == "auto" and getattr(estimator, "_predicts_hidden_only", False)):
            reconstructions = np.where(visible_features, rows, reconstructions)
        display = cls(rows, visible_features, reconstructions, image_shape=shape, channel_axis=channel_axis)
        return display.plot(ax=ax, **kwargs)

    def _picture(self) -> Picture:
        shape = read_numbers(self.originals, "originals").shape
        read_numbers(self.reconstructions, "reconstructions", shape, ", as that of originals")
        read_numbers(self.visible, "visible", shape, ", as that of originals")
        originals, reconstructions = between_black_and_white(self.originals, self.reconstructions)
        bands = [
            as_pictures(rows, self.image_shape, self.channel_axis)
            for rows in (originals, np.where(to_numpy(self.visible), originals, HIDDEN_GREY), reconstructions)
        ]
        return picture_of_bands(bands, {"cmap": "gray", "vmin": 0, "vmax": 1})

    def _annotate(self) -> None:
        self._name_bands(_LABELS)
