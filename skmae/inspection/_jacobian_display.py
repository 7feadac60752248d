"""What a model looks at to draw chosen pixels of some images (Fig. 8)."""

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval, import_optional
from skmae._typing import Array, FloatArray, RandomState, Shape
from skmae.inspection._inputs import grid_of, read_first, read_names, read_numbers
from skmae.inspection._jacobian import frozen_basis
from skmae.inspection._plotting import COLOURS, ImageDisplay, Picture, as_pictures, between_black_and_white, montage
from skmae.inspection._protocol import Reconstructor, check_fitted_reconstructor

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class JacobianDisplay(ImageDisplay):
    """Images with some output pixels circled, and beside each image the influence map of each, in the circle's colour.

    It is recommended to use `from_estimator`. Maps are drawn as the square root of their share of their largest value,
    so that faint influences can be seen; values of a sample that are not finite, in mid-grey. Signals become bands of
    one line; volumes are refused.

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
        images: Array,
        maps: Array,
        outputs: NDArray[np.integer],
        *,
        image_shape: Shape,
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
        estimator: Reconstructor,
        X: Any,
        *,
        outputs: ArrayLike | None = None,
        visible: ArrayLike | None = None,
        n_masks: int = 1,
        n_samples: int = 4,
        random_state: RandomState = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence maps of a fitted autoencoder.

        Parameters
        ----------
        estimator : fitted autoencoder
            As for `JacobianBasis`, but not a stack.
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
            If `n_samples` is below 1, or the samples are volumes, whose maps one plane does not show.
        """
        check_fitted_reconstructor(estimator)  # of pixels: tokens have no place in a picture
        basis = frozen_basis(estimator, visible=visible, n_masks=n_masks, random_state=random_state)
        shape, channel_axis = tuple(estimator.image_shape_), estimator.channel_axis_
        if outputs is None:
            grid_shape = grid_of(shape, channel_axis).grid_shape
            thirds = [tuple(part * size // 3 for size in grid_shape) for part in (1, 2)]
            outputs = list(dict.fromkeys(thirds))  # of few pixels, both may be one
        samples = read_first(X, n_samples, shape, cls.__name__)
        maps = basis.set_params(outputs=outputs).fit_transform(samples)
        maps = maps.reshape(len(samples), len(basis.outputs_), -1)
        display = cls(samples.rows(), maps, basis.outputs_, image_shape=shape, channel_axis=channel_axis)
        return display.plot(ax=ax, **kwargs)

    def _picture(self) -> Picture:
        height, width = self._size()
        n, columns = len(read_names(self.images, "images")), 1 + len(read_names(self.outputs, "outputs"))
        scale = 1.4 / max(height, width)
        size = (columns * width * scale + 0.3, n * max(height * scale, 0.4) + 0.3)
        style = {"interpolation": "nearest", "aspect": "equal" if height > 1 else "auto"}
        return Picture(montage(self._tiles(height, width), columns, fill=1.0), size, style)

    def _annotate(self) -> None:
        height, width = self._size()
        colours = _colours(len(self.outputs))
        rows, columns = np.unravel_index(self.outputs, (height, width))
        for number in range(len(self.images)):
            y = rows + number * (height + 1)
            self.ax_.scatter(columns, y, s=50, facecolors="none", edgecolors=colours, linewidths=2)
            for place, colour in enumerate(colours):
                x = columns[place] + (width + 1) * (place + 1)
                self.ax_.scatter(x, y[place], s=50, facecolors="none", edgecolors=[colour])
        for column, name in enumerate(["sample"] + ["|J|"] * len(self.outputs)):
            middle = (width + 1) * column + (width - 1) / 2
            self.ax_.text(middle, -1, name, ha="center", va="bottom", color=("black", *colours)[column])
        self.ax_.set_axis_off()

    def _size(self) -> tuple[int, int]:
        """Height and width of one image."""
        grid_shape = grid_of(self.image_shape, self.channel_axis).grid_shape
        if len(grid_shape) > 2:
            raise ValueError(
                f"JacobianDisplay draws signals and images; samples of shape {self.image_shape} are volumes. Take a "
                f"plane of JacobianBasis.transform(X) instead."
            )
        height, width = (1, *grid_shape)[-2:]
        return height, width

    def _tiles(self, height: int, width: int) -> FloatArray:
        """(n * (1 + n_outputs), height, width, 3): each image, followed by its maps, all in colour."""
        read_numbers(self.images, "images")
        (images,) = between_black_and_white(self.images)
        pictures = as_pictures(images, self.image_shape, self.channel_axis, "images")
        if pictures.ndim == 3:
            pictures = np.repeat(pictures[..., np.newaxis], 3, axis=-1)
        shape = len(images), len(read_names(self.outputs, "outputs")), height * width
        maps = read_numbers(
            self.maps, "maps", shape, ", a map for each of images and of outputs, without the channels of channel_axis"
        )
        largest = maps.max(axis=-1, keepdims=True)
        ink = np.sqrt(maps / np.where(largest > 0, largest, 1)).reshape(*maps.shape[:2], height, width, 1)
        colours = np.array(_colours(maps.shape[1]))[:, np.newaxis, np.newaxis]
        inked = 1 - ink * (1 - colours)  # (n, n_outputs, height, width, 3)
        return np.concatenate([pictures[:, np.newaxis], inked], axis=1).reshape(-1, height, width, 3)


def _colours(n: int) -> list[tuple[float, float, float]]:
    """Red, green and blue, again from the first colour where they run out."""
    to_rgb = import_optional("matplotlib.colors", extra="plot", purpose="JacobianDisplay.plot").to_rgb
    return [to_rgb(COLOURS[(i + 1) % len(COLOURS)]) for i in range(n)]
