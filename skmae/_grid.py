"""The grid of pixels that a sample is, and the patches that it is cut into."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt, prod
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skmae._typing import BoolArray, ChannelAxis, FloatArray, IntArray, Patch, Shape

MAX_GRID_AXES = 3
MAX_AUTO_CHANNELS = 4


@dataclass(frozen=True)
class PatchGrid:
    """A sample's shape, cut into patches.

    Patches are numbered in C order over the grid of patches. All channels of a pixel are in its patch. Where the
    patch does not divide an axis, the last patch of that axis is smaller.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of one sample, channels included.
    channel_axis : int or None
        Axis of `image_shape` that holds the channels.
    patch_shape : tuple of int
        Pixels of a patch along each axis of the grid.
    """

    image_shape: Shape
    channel_axis: int | None
    patch_shape: Shape

    @classmethod
    def build(cls, image_shape: Shape, channel_axis: int | None, patch: Patch) -> Self:
        """Check `patch` against the shape; a patch larger than an axis is clipped to it."""
        sizes = check_patch(patch, image_shape, channel_axis)
        return cls(image_shape, channel_axis, tuple(map(min, sizes, _without(image_shape, channel_axis))))

    @classmethod
    def build_regular(cls, image_shape: Shape, channel_axis: int | None, patch: Patch) -> Self:
        """Check that `patch` divides the shape."""
        grid = cls(image_shape, channel_axis, check_patch(patch, image_shape, channel_axis))
        grid.require_regular()
        return grid

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return PatchGrid, (self.image_shape, self.channel_axis, self.patch_shape)  # leave what is cached behind

    @cached_property
    def grid_shape(self) -> Shape:
        """Pixels along each axis, channels left out."""
        return _without(self.image_shape, self.channel_axis)

    @property
    def n_channels(self) -> int:
        return 1 if self.channel_axis is None else self.image_shape[self.channel_axis]

    @property
    def n_pixels(self) -> int:
        return prod(self.grid_shape)

    @property
    def n_features(self) -> int:
        return prod(self.image_shape)

    @cached_property
    def patches_per_axis(self) -> Shape:
        return tuple(-(-size // patch) for size, patch in zip(self.grid_shape, self.patch_shape, strict=True))

    @property
    def n_patches(self) -> int:
        return prod(self.patches_per_axis)

    @property
    def is_regular(self) -> bool:
        """Whether all patches have the same size."""
        return all(size % patch == 0 for size, patch in zip(self.grid_shape, self.patch_shape, strict=True))

    @cached_property
    def pixel_of_feature(self) -> IntArray:
        """(n_features,) the pixel that each feature belongs to."""
        pixels = np.arange(self.n_pixels).reshape(self.grid_shape)
        if self.channel_axis is not None:
            pixels = np.expand_dims(pixels, self.channel_axis)
        return np.broadcast_to(pixels, self.image_shape).ravel()

    @cached_property
    def patch_of_pixel(self) -> IntArray:
        """(n_pixels,) the patch that each pixel belongs to."""
        along = [np.arange(size) // patch for size, patch in zip(self.grid_shape, self.patch_shape, strict=True)]
        return np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), self.patches_per_axis).ravel()

    @cached_property
    def patch_of_feature(self) -> IntArray:
        """(n_features,) the patch that each feature belongs to."""
        patches: IntArray = self.patch_of_pixel[self.pixel_of_feature]
        return patches

    @cached_property
    def features_of_patch(self) -> list[IntArray]:
        """For each patch, its features in ascending order."""
        order = np.argsort(self.patch_of_feature, kind="stable")
        ends = np.cumsum(np.bincount(self.patch_of_feature, minlength=self.n_patches))
        return np.split(order, ends[:-1])

    @cached_property
    def patch_shares(self) -> FloatArray:
        """(n_features,) weights that sum to 1, each patch counting the same: what is visible, in patches."""
        sizes = np.bincount(self.patch_of_feature)
        shares: FloatArray = 1 / (self.n_patches * sizes[self.patch_of_feature])
        return shares

    def patchify(self, X: Any) -> Any:
        """View of `X` as (n_samples, \\*patches_per_axis, \\*patch_shape, n_channels).

        Parameters
        ----------
        X : NumPy array or PyTorch tensor of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        array
            A view wherever `X` is laid out in C order. ``.reshape(n, n_patches, -1)`` makes tokens of it.

        Raises
        ------
        ValueError
            If the patch does not divide the grid; the message names the sizes that do.
        """
        self.require_regular()
        split, order = self.token_layout
        return _permute(X.reshape(len(X), *split), order)

    def unpatchify(self, patches: Any) -> Any:
        """Undo `patchify`; tokens of shape (n_samples, n_patches, patch size) are taken as well.

        Returns
        -------
        array of shape (n_samples, \\*image_shape)
        """
        self.require_regular()
        split, order = self.token_layout
        patches = patches.reshape(len(patches), *(split[axis - 1] for axis in order[1:]))
        return _permute(patches, np.argsort(order).tolist()).reshape(len(patches), *self.image_shape)

    @cached_property
    def token_layout(self) -> tuple[Shape, Shape]:
        """How a batch becomes tokens: the shape to give each sample, and the order of the batch's axes after that.

        The axes come out as samples, patches per axis, pixels of a patch per axis, channels.
        """
        split: list[int] = []
        patches, pixels, channels = [], [], []
        sizes = iter(zip(self.patches_per_axis, self.patch_shape, strict=True))
        for axis, size in enumerate(self.image_shape):
            if axis == self.channel_axis:
                channels.append(len(split) + 1)
                split.append(size)
            else:
                patches.append(len(split) + 1)
                pixels.append(len(split) + 2)
                split.extend(next(sizes))
        if not channels:
            channels.append(len(split) + 1)
            split.append(1)
        return tuple(split), (0, *patches, *pixels, *channels)

    def require_regular(self) -> None:
        """Raise, unless all patches have the same size."""
        if self.is_regular:
            return
        allowed = [[p for p in range(1, size + 1) if size % p == 0] for size in self.grid_shape]
        raise ValueError(
            f"patch={self.patch_shape} does not divide the grid {self.grid_shape}. Sizes that divide it, axis by axis: "
            + "; ".join(map(str, allowed))
            + "."
            + _advice_on_channels(self.image_shape, self.channel_axis)
        )

    def pixel_distances(self, pixels: ArrayLike | None = None) -> FloatArray:
        """Euclidean distance from some pixels (all of them by default) to every pixel, in pixels.

        Returns
        -------
        array of shape (len(pixels), n_pixels)
        """
        where = np.indices(self.grid_shape).reshape(len(self.grid_shape), -1).T.astype(float)  # (n_pixels, axes)
        origins = where if pixels is None else where[np.atleast_1d(pixels)]
        distances: FloatArray = np.sqrt(((origins[:, np.newaxis] - where) ** 2).sum(-1))
        return distances

    def per_feature(self, visible: BoolArray) -> BoolArray:
        """Spread (n, n_patches) or (n, n_pixels) over features; (n, n_features) is returned as it is."""
        width = visible.shape[1]
        if width == self.n_features:
            return visible
        return visible[:, self.patch_of_feature if width == self.n_patches else self.pixel_of_feature]


def _permute(X: Any, order: Any) -> Any:
    return X.permute(order) if hasattr(X, "permute") else X.transpose(order)


def _without(shape: Shape, axis: int | None) -> Shape:
    return shape if axis is None else shape[:axis] + shape[axis + 1 :]


def check_patch(patch: Patch, image_shape: Shape, channel_axis: int | None) -> Shape:
    """One patch size per axis of the grid."""
    grid_shape = _without(image_shape, channel_axis)
    sizes = tuple(patch) if np.iterable(patch) else (patch,) * len(grid_shape)
    if len(sizes) != len(grid_shape):
        raise ValueError(
            f"patch={patch!r} has {len(sizes)} sizes, but the grid {grid_shape} has {len(grid_shape)} axes. "
            f"Pass one int, or one int per axis (channels are not an axis of the grid)."
            + _advice_on_channels(image_shape, channel_axis)
        )
    if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
        raise ValueError(f"patch={patch!r} is not made of whole numbers of pixels >= 1. Pass for example patch=4.")
    return tuple(map(int, sizes))


def check_shape(image_shape: object) -> Shape:
    """The sizes of one sample, as a user says them."""
    sizes = tuple(image_shape) if np.iterable(image_shape) and not isinstance(image_shape, bytes) else ()
    if not sizes or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
        raise ValueError(
            f"image_shape={image_shape!r} is not a shape: pass the sizes of one sample, whole numbers >= 1, "
            f"channels included, for example (32, 32, 3)."
        )
    return tuple(map(int, sizes))


def resolve_shape(
    image_shape: Sequence[int] | None,
    channel_axis: ChannelAxis,
    *,
    n_features: int,
    sample_shape: Shape | None,
) -> tuple[Shape, int | None]:
    """Work out the shape of one sample and where its channels are.

    Parameters
    ----------
    image_shape : sequence of int or None
        The user's parameter; None infers.
    channel_axis : "auto", int or None
        The user's parameter, an axis of one sample.
    n_features : int
        Columns of the flattened data.
    sample_shape : tuple of int or None
        Shape of a sample as it came, None if it came flat.

    Returns
    -------
    image_shape : tuple of int
    channel_axis : int or None
        Counted from the front.

    Raises
    ------
    ValueError
        If the parameters do not fit the data, or each other.
    """
    if image_shape is not None:
        shape = _check_image_shape(image_shape, n_features, sample_shape)
    elif sample_shape is not None:
        shape = sample_shape
    else:
        shape = _guess_shape(n_features, channel_axis)
    axis = _resolve_channel_axis(channel_axis, shape)
    n_axes = len(_without(shape, axis))
    if not 1 <= n_axes <= MAX_GRID_AXES:
        raise ValueError(
            f"image_shape={shape} with channel_axis={channel_axis!r} leaves a grid of {n_axes} axes; 1 to "
            f"{MAX_GRID_AXES} are supported. Say where the channels are with channel_axis, or reshape the samples."
        )
    return shape, axis


def warn_of_channels(image_shape: Shape, channel_axis: ChannelAxis) -> None:
    """Warn where "auto" probably takes channels for pixels. Called where samples come in to be learned from."""
    chosen = _resolve_channel_axis("auto", image_shape)
    advice = _advice_on_channels(image_shape, chosen) if channel_axis == "auto" else ""
    if advice:
        warnings.warn(
            f'channel_axis="auto" reads samples of shape {image_shape} as {_without(image_shape, chosen)} pixels.'
            f"{advice} If not, channel_axis={chosen} says so, and silences this warning.",
            UserWarning,
            stacklevel=3,
        )


def _advice_on_channels(image_shape: Shape, channel_axis: int | None) -> str:
    """What to pass where channels have probably been taken for pixels; nothing where all seems well."""
    axis = _probable_channel_axis(image_shape)
    if axis is None or channel_axis == axis % len(image_shape):
        return ""
    return f" If the {'last' if axis else 'first'} axis of {image_shape} holds channels, pass channel_axis={axis}."


def _probable_channel_axis(shape: Shape) -> int | None:
    """0 or -1 where that axis is as short, compared with the others, as channels usually are."""
    if len(shape) >= 3 and shape[0] in (1, 3, 4) and shape[0] < min(shape[1:]):
        return 0
    if len(shape) == 3 and MAX_AUTO_CHANNELS < shape[-1] < min(shape[:-1]):
        return -1
    return None


def _check_image_shape(image_shape: Sequence[int], n_features: int, sample_shape: Shape | None) -> Shape:
    shape = check_shape(image_shape)
    if sample_shape is not None and sample_shape != shape:
        raise ValueError(
            f"image_shape={shape}, but the samples of X have shape {sample_shape}. Pass image_shape={sample_shape}, or "
            f"leave it None to take the shape from X."
        )
    if prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {prod(shape)} values, but X has {n_features} features. Pass the shape of one "
            f"sample, channels included, whose product is {n_features}."
        )
    return shape


def _guess_shape(n_features: int, channel_axis: ChannelAxis) -> Shape:
    """Square grey, square RGB, or a 1-D signal. A guess: pass image_shape unless square."""
    side, rest = isqrt(n_features), n_features % 3
    if isinstance(channel_axis, Integral):
        side, axis = isqrt(n_features // 3), int(channel_axis)
        if rest or side * side * 3 != n_features or not -3 <= axis < 3:
            raise ValueError(
                f"channel_axis={channel_axis} says that the samples have channels, but X came flat with {n_features} "
                f"features and image_shape is None. Pass image_shape, channels included."
            )
        shape = [side, side]
        shape.insert(axis % 3, 3)
        return tuple(shape)
    if side * side == n_features:
        return (side, side)
    side = isqrt(n_features // 3)
    if channel_axis is not None and rest == 0 and side * side * 3 == n_features:
        return (side, side, 3)
    return (n_features,)


def _resolve_channel_axis(channel_axis: ChannelAxis, shape: Shape) -> int | None:
    if channel_axis is None:
        return None
    if not isinstance(channel_axis, Integral) and not (isinstance(channel_axis, str) and channel_axis == "auto"):
        raise ValueError(
            f'channel_axis={channel_axis!r} is no axis: pass "auto", the number of the axis of a sample that holds its '
            f"channels, or None if there are no channels."
        )
    if channel_axis == "auto":
        has_channels = len(shape) > MAX_GRID_AXES or (len(shape) == 3 and shape[-1] <= MAX_AUTO_CHANNELS)
        return len(shape) - 1 if has_channels else None
    if not -len(shape) <= channel_axis < len(shape):
        raise ValueError(
            f"channel_axis={channel_axis} is not an axis of image_shape={shape}: pass {-len(shape)} to "
            f"{len(shape) - 1}, or None if there are no channels."
        )
    return int(channel_axis) % len(shape)
