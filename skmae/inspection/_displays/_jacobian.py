"""What a model looks at to draw chosen pixels of some images (Fig. 8)."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import validate_params
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval, import_optional
from skmae._grid import PatchGrid
from skmae._rows import flatten_samples
from skmae.inspection._displays._curves import COLOURS
from skmae.inspection._displays._pictures import as_pictures, axes_for, montage, value_range
from skmae.inspection._jacobian import JacobianBasis, check_reconstructor


class JacobianDisplay:
    """Images with some output pixels circled, and beside each image the influence map of each, in the circle's colour.

    It is recommended to use `from_estimator`. Maps are drawn as the square root of their share of their largest value,
    so that faint influences can be seen. Signals become bands of one line; volumes are refused.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_features)
    maps : ndarray of shape (n_samples, n_outputs, n_pixels)
    outputs : ndarray of int of shape (n_outputs,)
        Numbers of the output pixels, in C order.
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
    JacobianBasis : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import JacobianDisplay
    >>> X = load_digits().images
    >>> mae = LinearMAE(16, patch=2).fit(X)
    >>> display = JacobianDisplay.from_estimator(mae, X[:3], outputs=[(2, 3), (5, 4)])
    >>> display.figure_.savefig("jacobian.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        images: Any,
        maps: Any,
        outputs: Any,
        *,
        image_shape: tuple[int, ...],
        channel_axis: int | None = None,
    ):
        self.images = images
        self.maps = maps
        self.outputs = outputs
        self.image_shape = image_shape
        self.channel_axis = channel_axis

    @classmethod
    @validate_params({"n_samples": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=False)
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        outputs: Any = None,
        visible: Any = None,
        n_masks: int = 1,
        n_samples: int = 4,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence maps of a fitted autoencoder.

        Parameters
        ----------
        estimator : fitted autoencoder
            As for `JacobianBasis`.
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        outputs : array-like of int or None, default=None
            Pixels, as in `JacobianBasis`; None takes two, a third and two thirds along each axis.
        visible, n_masks, random_state
            As in `JacobianBasis`.
        n_samples : int, default=4
            Samples drawn, from the first of X.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        JacobianDisplay

        Raises
        ------
        ValueError
            If `n_samples` is below 1.
        """
        check_reconstructor(estimator)
        check_is_fitted(estimator)
        grid = PatchGrid.build(tuple(estimator.image_shape_), estimator.channel_axis_, 1)
        if outputs is None:
            outputs = [tuple(part * size // 3 for size in grid.grid_shape) for part in (1, 2)]
        drawn = X[:n_samples]
        basis = JacobianBasis(
            FrozenEstimator(estimator), outputs=outputs, visible=visible, n_masks=n_masks, random_state=random_state
        ).fit(drawn)
        maps = basis.transform(drawn).reshape(len(drawn), len(basis.outputs_), -1)
        rows = np.asarray(flatten_samples(drawn)[0])
        display = cls(rows, maps, basis.outputs_, image_shape=grid.image_shape, channel_axis=grid.channel_axis)
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the samples are volumes, whose maps one plane does not show.
        """
        grid = PatchGrid.build(tuple(self.image_shape), self.channel_axis, 1)
        if len(grid.grid_shape) > 2:
            raise ValueError(
                f"JacobianDisplay draws signals and images; samples of shape {self.image_shape} are volumes. Take a "
                f"plane of JacobianBasis.transform(X) instead."
            )
        n, n_outputs = len(self.images), len(self.outputs)
        colours = _rgb(n_outputs)
        tiles = self._tiles(colours)  # (n * (1 + n_outputs), height, width, 3)
        height, width = tiles.shape[1:3]
        columns = 1 + n_outputs
        scale = 1.4 / max(height, width)
        size = (columns * width * scale + 0.3, n * max(height * scale, 0.4) + 0.3)
        self.figure_, self.ax_ = axes_for(ax, type(self).__name__, figsize=size)
        style = {"interpolation": "nearest", "aspect": "equal" if height > 1 else "auto", **kwargs}
        self.im_ = self.ax_.imshow(montage(tiles, columns, fill=1.0), **style)
        where = np.stack(np.unravel_index(self.outputs, (height, width)))  # (2, n_outputs)
        for row in range(n):
            y, x = where[0] + row * (height + 1), where[1]
            self.ax_.scatter(x, y, s=50, facecolors="none", edgecolors=colours, linewidths=2)
            for column, colour in enumerate(colours):
                beside = (width + 1) * (column + 1)
                self.ax_.scatter(x[column] + beside, y[column], s=50, facecolors="none", edgecolors=[colour])
        for column, name in enumerate(["sample"] + ["|J|"] * n_outputs):
            middle = (width + 1) * column + (width - 1) / 2
            self.ax_.text(middle, -1, name, ha="center", va="bottom", color=([0.0] * 3, *colours)[column])
        self.ax_.set_axis_off()
        return self

    def _tiles(self, colours: np.ndarray) -> np.ndarray:
        """For each image, itself and its maps, all in colour."""
        low, high = value_range(self.images)
        images = np.clip((np.asarray(self.images, dtype=float) - low) / (high - low), 0, 1)
        pictures = as_pictures(images, self.image_shape, self.channel_axis)
        if pictures.ndim == 3:
            pictures = np.repeat(pictures[..., np.newaxis], 3, axis=-1)
        maps = np.asarray(self.maps, dtype=float)
        largest = maps.max(axis=-1, keepdims=True)
        ink = np.sqrt(maps / np.where(largest > 0, largest, 1)).reshape(*maps.shape[:2], *pictures.shape[1:3], 1)
        inked = 1 - ink * (1 - colours[:, np.newaxis, np.newaxis, :])  # (n, n_outputs, height, width, 3)
        return np.concatenate([pictures[:, np.newaxis], inked], axis=1).reshape(-1, *pictures.shape[1:])


def _rgb(n: int) -> np.ndarray:
    """(n, 3) colours, again from the first where they run out."""
    to_rgb = import_optional("matplotlib.colors", extra="plot", purpose="JacobianDisplay.plot").to_rgb
    return np.array([to_rgb(COLOURS[(i + 1) % len(COLOURS)]) for i in range(n)])
