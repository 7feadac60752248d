"""The two frames that pictures stand in: one for curves, one for images.

Displays are as scikit-learn's: arrays in ``__init__``, and the drawing in ``plot``, which a frame provides.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmae._compat import import_optional
from skmae._grid import check_shape, resolve_shape
from skmae._linalg import power_of_two
from skmae._samples import to_numpy
from skmae._typing import Array, FloatArray, Shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

# Okabe and Ito's colours, which colour-blind readers can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

HIDDEN_GREY = 0.5


class CurveDisplay:
    """The frame of curves. Several displays may draw into one axes: each takes the next colour.

    A display says ``_labels``, keywords of ``Axes.set``, and returns what to draw from ``_curve()``.
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    line_: "Line2D"
    name: str | None
    _labels: ClassVar[dict[str, str]]

    def plot(self, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.plot``, or ``Axes.hist`` if it is a histogram.

        Returns
        -------
        self
        """
        self.figure_, self.ax_ = figure_and_axes(ax, self, figsize=(5, 3.5))
        self.ax_.set(**self._labels)
        self._draw(kwargs)
        return self

    def _draw(self, style: dict[str, Any]) -> None:
        colour = COLOURS[len(self.ax_.lines) % len(COLOURS)]
        style = {"color": colour, "label": self.name, **without_short_names(style)}
        (self.line_,) = self.ax_.plot(*self._curve(), **style)
        if self.name is not None:
            self.ax_.legend()

    def _curve(self) -> tuple[ArrayLike, ArrayLike]:
        """Positions along the horizontal axis, and heights."""
        raise NotImplementedError


class Picture(NamedTuple):
    """What an `ImageDisplay` draws.

    Attributes
    ----------
    canvas : ndarray of shape (height, width) or (height, width, 3)
    figsize : tuple of float
        Of a figure that is made for it, in inches.
    style : dict
        The display's own keywords of ``Axes.imshow``; those of the user go before them.
    bar : dict or None
        Keywords of ``Figure.colorbar``; None draws no colour bar.
    """

    canvas: Array
    figsize: tuple[float, float]
    style: dict[str, Any]
    bar: dict[str, Any] | None = None


class ImageDisplay:
    """The frame of images: montages and heat maps.

    A display returns what to draw from ``_picture()``, and finishes it in ``_annotate()``.
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    im_: "AxesImage"
    text_: NDArray[np.object_]

    def plot(self, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
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
        """
        return self._show(self._picture(), ax, kwargs)

    def _picture(self) -> Picture:
        raise NotImplementedError

    def _annotate(self) -> None:
        self.ax_.set_axis_off()

    def _show(self, picture: Picture, ax: "Axes | None", user_style: dict[str, Any]) -> Self:
        self.figure_, self.ax_ = figure_and_axes(ax, self, picture.figsize)
        style = picture.style
        if user_style.get("norm") is not None:  # a norm has limits of its own
            style = {key: value for key, value in style.items() if key not in ("vmin", "vmax")}
        self.im_ = self.ax_.imshow(picture.canvas, **{**style, **user_style})
        self._annotate()
        if picture.bar is not None:
            self.figure_.colorbar(self.im_, ax=self.ax_, **picture.bar)
        return self

    def _write_cells(self, values: ArrayLike, form: str) -> None:
        """Write each value into its cell of a heat map, in a colour that can be read there; nothing where it is NaN."""
        cells = np.asarray(values, dtype=np.float64)
        shades = np.ma.filled(self.im_.norm(cells), 0)
        self.text_ = np.empty(cells.shape, dtype=object)
        for (row, column), value in np.ndenumerate(cells):
            text = "" if np.isnan(value) else form.format(value)
            colour = "black" if shades[row, column] > 0.5 else "white"
            self.text_[row, column] = self.ax_.text(column, row, text, ha="center", va="center", color=colour)

    def _name_bands(self, labels: Sequence[str]) -> None:
        """Name the rows of `picture_of_bands`."""
        step = (self.im_.get_size()[0] + 1) / len(labels)  # of a band, and the line below it
        middles = [(step - 1) / 2 + step * band for band in range(len(labels))]
        self.ax_.set(xticks=[], yticks=middles, yticklabels=labels)
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)

    def _name_cells(self, rows: Iterable[Any], columns: Iterable[Any], **style: Any) -> None:
        for set_ticks, names, of_axis in ((self.ax_.set_xticks, columns, style), (self.ax_.set_yticks, rows, {})):
            labels = [str(name) for name in names]
            set_ticks(range(len(labels)), labels, **of_axis)


def as_pictures(rows: ArrayLike, image_shape: Shape, channel_axis: int | None, name: str = "pictures") -> Array:
    """Rows as (n, height, width), or (n, height, width, 3) where there are three channels.

    Signals become one line; volumes are cut through the middle of their first axis; channels other than three are
    averaged. `name` is what error texts call the rows.
    """
    shape = check_shape(image_shape)
    image_shape, channel_axis = resolve_shape(shape, channel_axis, n_features=prod(shape), sample_shape=None)
    pictures = to_numpy(rows)
    if not pictures.size:
        raise ValueError(f"{name} has shape {pictures.shape}: nothing to draw. Pass one row at least.")
    if pictures.ndim < 2 or pictures[0].size != prod(image_shape):
        raise ValueError(
            f"{name} have shape {pictures.shape[1:]} each, but image_shape={tuple(image_shape)} has "
            f"{prod(image_shape)} values. Pass rows of that many, and the shape that they have, channels included."
        )
    pictures = pictures.reshape(-1, *image_shape)
    if channel_axis is not None:
        pictures = np.moveaxis(pictures, 1 + channel_axis, -1)
        if pictures.shape[-1] != 3:
            pictures, channel_axis = pictures.mean(axis=-1), None
    n_axes = pictures.ndim - 1 - (channel_axis is not None)
    if n_axes == 1:
        return pictures[:, np.newaxis]
    if n_axes == 3:
        return pictures[:, pictures.shape[1] // 2]
    return pictures


def picture_of_bands(bands: list[Array], style: dict[str, Any]) -> Picture:
    """Bands of n pictures (n, height, width) each, one below the other; of signals, bands of n lines."""
    n, height, width = bands[0].shape[:3]
    style = {"interpolation": "nearest", **style}
    if height == 1:
        lines = np.stack([band[:, 0] for band in bands])
        return Picture(montage(lines, 1, fill=1.0), (6.0, 1.0 + len(bands)), style | {"aspect": "auto"})
    longer = max(height, width)
    size = (1.2 * n * width / longer + 1, 1.2 * len(bands) * height / longer + 0.2)
    return Picture(montage(np.concatenate(bands), n, fill=1.0), size, style | {"aspect": "equal"})


def montage(pictures: Array, n_columns: int, fill: float) -> FloatArray:
    """Lay pictures out on one canvas, row by row, a pixel of `fill` between them."""
    n, height, width, *colour = pictures.shape
    n_rows = -(-n // n_columns)
    canvas = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1, *colour), fill, dtype=float)
    for number, picture in enumerate(pictures):
        top, left = (number // n_columns) * (height + 1), (number % n_columns) * (width + 1)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def between_black_and_white(samples: ArrayLike, *others: ArrayLike) -> list[FloatArray]:
    """Samples, and others on their scale, from 0 (black) to 1 (white).

    The scale is 0 to 255 for 8-bit samples, else from their smallest value to their largest. What is not finite is not
    known, and mid-grey.
    """
    samples = to_numpy(samples)
    samples = samples.astype(np.float64) if samples.dtype == object else samples
    known = samples[np.isfinite(samples)]
    scale = power_of_two(known)  # so that no difference overflows
    ends = (known.min(), known.max()) if known.size else (0.0, 1.0)
    ends = (0.0, 255.0) if samples.dtype == np.uint8 else ends
    low, high = (float(end) / scale for end in ends)
    spread = high - low if high > low else 1.0
    shades = []
    for rows in (samples, *others):
        values = to_numpy(rows).astype(np.float64) / scale
        shades.append(np.where(np.isfinite(values), np.clip((values - low) / spread, 0, 1), HIDDEN_GREY))
    return shades


def figure_and_axes(
    ax: "Axes | None", display: object, figsize: tuple[float, float]
) -> "tuple[Figure | SubFigure, Axes]":
    """Those given, or new ones."""
    plt = import_optional("matplotlib.pyplot", extra="plot", purpose=f"{type(display).__name__}.plot")
    if ax is not None:
        if not hasattr(ax, "imshow"):
            raise TypeError(f"ax must be a matplotlib Axes or None, got {type(ax).__name__}.")
        return ax.figure, ax
    return plt.subplots(figsize=figsize, layout="constrained")


def without_short_names(style: dict[str, Any]) -> dict[str, Any]:
    """Matplotlib takes no short names, such as c for color, beside the long ones that a display passes."""
    cbook, lines = (
        import_optional(f"matplotlib.{module}", extra="plot", purpose="A curve") for module in ("cbook", "lines")
    )
    return cbook.normalize_kwargs(style, lines.Line2D)
