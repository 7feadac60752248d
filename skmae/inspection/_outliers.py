"""Samples beside where they are odd."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval, import_optional
from skmae._typing import Shape
from skmae.inspection._inputs import grid_of, read_first, read_numbers
from skmae.inspection._plotting import ImageDisplay, Picture, as_pictures, between_black_and_white, picture_of_bands
from skmae.inspection._protocol import PatchScorer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABELS = ("Sample", "Oddness")
_ODD = 5.0  # deviations: the brightest colour, at least, so that a sample in which nothing is odd stays dark


class OutlierDisplay(ImageDisplay):
    """Two rows: samples, and how odd each of their pixels is.

    It is recommended to use `from_estimator`. Samples are drawn from black to white as `ReconstructionDisplay` does;
    of oddness, 0 is dark and the largest score bright, or 5 if all are smaller. For 1-D samples the two are bands, with
    a line per sample; of volumes the middle slice along the first axis is drawn; channels other than three are
    averaged.

    Parameters
    ----------
    originals : ndarray of shape (n_samples, n_features)
    scores : ndarray of shape (n_samples, \\*grid)
        What `PatchOutlierDetector.patch_scores` gives, in deviations of the log score.
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
    skmae.PatchOutlierDetector : The scores.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import PatchOutlierDetector
    >>> from skmae.inspection import OutlierDisplay
    >>> X = load_digits().images
    >>> detector = PatchOutlierDetector(patch=2).fit(X[:1500])
    >>> odd = X[1500:1506].copy()
    >>> odd[:, 3:5, 3:5] = 16 - odd[:, 3:5, 3:5]
    >>> display = OutlierDisplay.from_estimator(detector, odd)
    >>> display.figure_.savefig("outliers.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        originals: ArrayLike,
        scores: ArrayLike,
        *,
        image_shape: Shape,
        channel_axis: int | None = None,
    ):
        self.originals = originals
        self.scores = scores
        self.image_shape = image_shape
        self.channel_axis = channel_axis

    @classmethod
    @validate_params(
        {"n_samples": [Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=False,
    )
    def from_estimator(
        cls,
        estimator: PatchScorer,
        X: Any,
        *,
        n_samples: int = 8,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Score the patches of some samples and draw them.

        Parameters
        ----------
        estimator : fitted PatchOutlierDetector
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        n_samples : int, default=8
            Samples drawn, from the first of X.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``; ``cmap`` is that of oddness.

        Returns
        -------
        OutlierDisplay

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        """
        check_is_fitted(estimator)
        shape = estimator.image_shape_
        samples = read_first(X, n_samples, shape, cls.__name__)
        scores = estimator.patch_scores(samples.original())
        display = cls(samples.rows(), scores, image_shape=shape, channel_axis=estimator.channel_axis_)
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: "Axes | None" = None, cmap: Any = "inferno", **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        cmap : str or Colormap, default="inferno"
            Of oddness.
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        self
        """
        return self._show(self._picture(cmap), ax, kwargs)

    def _picture(self, cmap: Any = "inferno") -> Picture:
        cm, colors = (
            import_optional(f"matplotlib.{name}", extra="plot", purpose="OutlierDisplay.plot")
            for name in ("cm", "colors")
        )
        grid = grid_of(self.image_shape, self.channel_axis)
        originals = read_numbers(self.originals, "originals", (None, grid.n_features), ", as image_shape says")
        shape = (len(originals), *grid.grid_shape)
        scores = read_numbers(self.scores, "scores", shape, ", a number for each pixel of originals and image_shape")
        self._colours = cm.ScalarMappable(colors.Normalize(0, max(_ODD, float(scores.max()))), cmap)
        (shades,) = between_black_and_white(self.originals)
        samples = as_pictures(shades, self.image_shape, self.channel_axis, "originals")
        maps = as_pictures(scores.reshape(len(scores), -1), scores.shape[1:], None, "scores")
        coloured = self._colours.get_cmap()(self._colours.norm(maps))[..., :3]
        grey = samples if samples.ndim == 4 else np.repeat(samples[..., np.newaxis], 3, axis=-1)
        return picture_of_bands([grey, coloured], {})

    def _annotate(self) -> None:
        self._name_bands(_LABELS)
        self.figure_.colorbar(self._colours, ax=self.ax_, label="Deviations of the log score")
