"""From rows of features to something that imshow takes."""

from typing import Any

import numpy as np

from skmae._compat import import_optional


def as_pictures(rows: np.ndarray, image_shape: tuple[int, ...], channel_axis: int | None) -> np.ndarray:
    """Rows as (n, height, width), or (n, height, width, 3) where there are three channels.

    Signals become one line; volumes are cut through the middle of their first axis; channels other than three are
    averaged.
    """
    pictures = np.asarray(rows).reshape(len(rows), *image_shape)
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


def montage(pictures: np.ndarray, n_columns: int, fill: float) -> np.ndarray:
    """Lay pictures out on one canvas, row by row, a pixel of `fill` between them."""
    n, height, width, *colour = pictures.shape
    n_rows = -(-n // n_columns)
    canvas = np.full((n_rows * (height + 1) - 1, n_columns * (width + 1) - 1, *colour), fill, dtype=float)
    for number, picture in enumerate(pictures):
        top, left = (number // n_columns) * (height + 1), (number % n_columns) * (width + 1)
        canvas[top : top + height, left : left + width] = picture
    return canvas


def axes_for(ax: Any, display: str, figsize: tuple[float, float]) -> tuple[Any, Any]:
    """The figure and axes to draw in: those given, or new ones."""
    plt = import_optional("matplotlib.pyplot", extra="plot", purpose=f"{display}.plot")
    if ax is not None:
        return ax.figure, ax
    figure, ax = plt.subplots(figsize=figsize, layout="constrained")
    return figure, ax


def image_style(own: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Keywords of ``Axes.imshow``: those given, over a display's own. A norm has limits of its own."""
    if given.get("norm") is not None:
        own = {name: value for name, value in own.items() if name not in ("vmin", "vmax")}
    return {**own, **given}


def value_range(originals: Any) -> tuple[float, float]:
    """What is drawn black and white: 0 and 255 for 8-bit data, else the smallest and the largest value."""
    originals = np.asarray(originals)
    if originals.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(originals.min()), float(originals.max())
    return low, high if high > low else low + 1


def write_numbers(ax: Any, image: Any, values: np.ndarray, form: str) -> np.ndarray:
    """Write each value into its cell of a heat map, in a colour that can be read there; nothing where it is NaN."""
    texts = np.empty(values.shape, dtype=object)
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else form.format(value)
        colour = "black" if image.norm(value) > 0.5 else "white"
        texts[row, column] = ax.text(column, row, text, ha="center", va="center", color=colour)
    return texts
