"""Where windows are cut from a sample, and which of them make up a token."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skmae._grid import check_patch
from skmae._typing import Array, FloatArray, Patch, Shape


@dataclass(frozen=True)
class TokenGrid:
    """Windows at every place of a sample, and a coarser grid of tokens, each an average over its share of the places.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of one sample, channels included.
    channel_axis : int or None
    size, stride, pool : tuple of int
        For each axis of the grid: pixels of a window, pixels from one window to the next, tokens.
    """

    image_shape: Shape
    channel_axis: int | None
    size: Shape
    stride: Shape
    pool: Shape

    @classmethod
    def build(cls, image_shape: Shape, channel_axis: int | None, *, size: Patch, stride: Patch, pool: Patch) -> Self:
        """Check the sizes against the shape; what is larger than there is room for is clipped."""
        pixels = tuple(n for axis, n in enumerate(image_shape) if axis != channel_axis)
        sizes, strides, tokens = (
            _for_each_axis(name, value, image_shape, channel_axis)
            for name, value in (("size", size), ("stride", stride), ("pool", pool))
        )
        sizes = tuple(map(min, sizes, pixels))
        grid = cls(image_shape, channel_axis, sizes, strides, tokens)
        return cls(image_shape, channel_axis, sizes, strides, tuple(map(min, tokens, grid.places)))

    @cached_property
    def pixels(self) -> Shape:
        """Along each axis of the grid."""
        return tuple(n for axis, n in enumerate(self.image_shape) if axis != self.channel_axis)

    @property
    def n_channels(self) -> int:
        return 1 if self.channel_axis is None else self.image_shape[self.channel_axis]

    @cached_property
    def places(self) -> Shape:
        """Windows along each axis of the grid."""
        return tuple(
            (n - size) // stride + 1 for n, size, stride in zip(self.pixels, self.size, self.stride, strict=True)
        )

    @property
    def n_places(self) -> int:
        return prod(self.places)

    @property
    def n_tokens(self) -> int:
        return prod(self.pool)

    @property
    def window_shape(self) -> Shape:
        return (*self.size, self.n_channels)

    @property
    def n_window(self) -> int:
        """Values of a window."""
        return prod(self.window_shape)

    @cached_property
    def averaging(self) -> list[FloatArray]:
        """For each axis, (tokens, places) weights of the mean; the places are shared out as evenly as they can be."""
        members = [
            np.arange(tokens)[:, np.newaxis] == np.arange(n) * tokens // n
            for n, tokens in zip(self.places, self.pool, strict=True)
        ]
        return [each / each.sum(axis=1, keepdims=True) for each in members]

    def average(self, values: Array) -> Array:
        """Mean over the places of each token: (m, n_places, k) to (m, n_tokens, k)."""
        return _along_each_axis(self.averaging, values, self.places)

    def spread(self, tokens: Array) -> Array:
        """The transpose of `average`: (m, n_tokens, k) to (m, n_places, k)."""
        return _along_each_axis([weights.T for weights in self.averaging], tokens, self.pool)

    @cached_property
    def centres(self) -> FloatArray:
        """(n_tokens, n_axes) where the windows of each token have their centre on average, in pixels."""
        along = [
            np.arange(n) * stride + (size - 1) / 2
            for n, size, stride in zip(self.places, self.size, self.stride, strict=True)
        ]
        of_places = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(self.n_places, -1)
        return self.average(of_places[np.newaxis])[0]

    def channels_last(self, rows: Array) -> Array:
        """View of flat samples as (n, \\*pixels, n_channels)."""
        images = rows.reshape(len(rows), *self.image_shape)
        return images[..., np.newaxis] if self.channel_axis is None else np.moveaxis(images, self.channel_axis + 1, -1)

    def as_rows(self, images: Array) -> Array:
        """Undo `channels_last`."""
        if self.channel_axis is not None:
            images = np.moveaxis(images, -1, self.channel_axis + 1)
        return images.reshape(len(images), -1)

    def windows(self, images: Array) -> Array:
        """View of (n, \\*pixels, n_channels) as (n, \\*places, \\*size, n_channels)."""
        axes = tuple(range(1, 1 + len(self.size)))
        views = sliding_window_view(images, self.size, axis=axes)[(slice(None), *(np.s_[::s] for s in self.stride))]
        return np.moveaxis(views, 1 + len(self.size), -1)

    def add_windows(self, windows: Array) -> Array:
        """The transpose of `windows`: the sum of what all windows hold of a pixel, (n, \\*pixels, n_channels)."""
        images = np.zeros((len(windows), *self.pixels, self.n_channels), windows.dtype)
        everywhere = (slice(None),) * (1 + len(self.size))
        for offset in np.ndindex(self.size):  # no two windows have the same pixel at the same offset
            seen = (
                slice(first, first + (n - 1) * stride + 1, stride)
                for first, n, stride in zip(offset, self.places, self.stride, strict=True)
            )
            images[(slice(None), *seen)] += windows[(*everywhere, *offset)]
        return images


def _along_each_axis(matrices: list[FloatArray], values: Array, shape: Shape) -> Array:
    """Each axis of a grid of that shape multiplied by its matrix; values (m, prod(shape), k)."""
    m, _, k = values.shape
    before, after = m, prod(shape)
    for matrix in matrices:
        n_out, n_in = matrix.shape
        after //= n_in
        values = matrix.astype(values.dtype) @ values.reshape(before, n_in, after * k)
        before *= n_out
    return values.reshape(m, -1, k)


def _for_each_axis(name: str, value: Patch, image_shape: Shape, channel_axis: int | None) -> Shape:
    try:
        return check_patch(value, image_shape, channel_axis)
    except ValueError as error:
        raise ValueError(str(error).replace("patch", name)) from None
