"""Which patches of a sample are visible: how masks are drawn, what they are like on average, how a given one is read.

A sampler is called by position, ``sampler(n_samples, grid, mask, random_state)``, and returns a bool array of shape
(n_samples, n_patches), True where visible. Linear models need its moments: the rate at which each patch is visible,
and the rate at which each pair is visible together. For any other callable they are estimated from draws (`Sampled`).

N patches in G groups that are hidden as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from math import prod
from numbers import Integral
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from skmae._compat import array_to_numpy
from skmae._grid import PatchGrid
from skmae._samples import naming
from skmae._typing import Array, BoolArray, FloatArray, IntArray, RandomState, Shape

__all__ = ["Bernoulli", "Blocks", "ExactCount", "Sampled", "Stripes", "Tubes"]

Levels = TypeVar("Levels", bound=Any)  # of NumPy or PyTorch

_SAMPLINGS = ("exact", "bernoulli")
_MOST_SAMPLES = 2**31 - 1  # masks drawn at once


@runtime_checkable
class Sampler(Protocol):
    """What draws masks, and knows how they are on average."""

    def __call__(
        self, n_samples: int, grid: PatchGrid, mask: float, random_state: np.random.RandomState, /
    ) -> ArrayLike:
        """(n_samples, N) bool, True where visible."""

    def moments(self, grid: PatchGrid, mask: float) -> tuple[ArrayLike, ArrayLike]:
        """Rates (N,) at which patches are visible, and rates (N, N) at which pairs of them are visible together."""


class GroupSampler:
    """Patches in groups that are hidden as a whole: each group by itself, or a fixed number of groups."""

    sampling: ClassVar[str]

    def groups(self, grid: PatchGrid) -> IntArray:
        """(N,) the group of each patch."""
        return np.arange(grid.n_patches)

    def n_levels(self, grid: PatchGrid) -> int:
        """G, the uniform random numbers that one mask is drawn from."""
        return int(self.groups(grid).max()) + 1

    def n_visible(self, grid: PatchGrid, mask: float) -> int | None:
        """Visible patches of every sample; None where their number differs between samples."""
        if self.sampling == "bernoulli":
            return None if mask else grid.n_patches
        sizes = np.bincount(self.groups(grid))
        return int(_count_visible(len(sizes), mask) * sizes[0]) if (sizes == sizes[0]).all() else None

    def visible_from_levels(self, levels: Levels, grid: PatchGrid, mask: float) -> Levels:
        """(n, N) bool from uniform random numbers (n, G), an array of NumPy or a tensor of PyTorch."""
        groups = self.groups(grid)
        if self.sampling == "bernoulli":
            visible = levels >= mask
        else:
            visible = levels.argsort(1).argsort(1) < _count_visible(levels.shape[1], mask)
        return cast(Levels, visible if _is_by_patch(groups) else visible[:, groups])

    def __call__(self, n_samples: int, grid: PatchGrid, mask: float, random_state: RandomState = None, /) -> BoolArray:
        """Draw masks; (n_samples, n_patches) bool, True where visible."""
        levels = check_random_state(random_state).random_sample((n_samples, self.n_levels(grid)))
        return self.visible_from_levels(levels, grid, mask)

    def moments(self, grid: PatchGrid, mask: float) -> tuple[FloatArray, FloatArray]:
        """Rates (n_patches,) of visible patches and (n_patches, n_patches) of pairs that are visible together."""
        groups, (one, two, _) = self.groups(grid), self.chances(grid, mask)
        same = groups[:, np.newaxis] == groups
        return np.full(grid.n_patches, one), np.where(same, one, two)

    def moments_given_hidden(self, patch: int, grid: PatchGrid, mask: float) -> tuple[float, FloatArray, FloatArray]:
        """The chance that a patch is hidden, and `moments` of the others given that it is."""
        groups, (one, two, three) = self.groups(grid), self.chances(grid, mask)
        if one == 1:
            return 0.0, np.ones(grid.n_patches), np.ones((grid.n_patches, grid.n_patches))
        other = groups != groups[patch]
        same = groups[:, np.newaxis] == groups
        single = (one - two) / (1 - one)
        pair = np.where(same, single, (two - three) / (1 - one))
        return 1 - one, single * other, pair * np.outer(other, other)

    def chances(self, grid: PatchGrid, mask: float) -> tuple[float, float, float]:
        """That one, two and three different groups are visible together."""
        if self.sampling == "bernoulli":
            q = 1 - mask
            return q, q**2, q**3
        n_groups = self.n_levels(grid)
        k = _count_visible(n_groups, mask)
        one = k / n_groups
        two = one * (k - 1) / max(n_groups - 1, 1)
        return one, two, two * (k - 2) / max(n_groups - 2, 1)


@dataclass(frozen=True)
class Bernoulli(GroupSampler):
    """Every patch hidden with probability `mask`, independently of the others, as in the paper (equation 1).

    All patches of a sample may be hidden.

    Examples
    --------
    >>> from skmae import LinearMAE
    >>> from skmae.masking import Bernoulli
    >>> LinearMAE(mask_sampling=Bernoulli())  # the same as mask_sampling="bernoulli"
    LinearMAE(mask_sampling=Bernoulli())
    """

    sampling: ClassVar[str] = "bernoulli"


@dataclass(frozen=True)
class ExactCount(GroupSampler):
    """The same number of patches hidden in every sample, every set of them alike, as training code does.

    round((1 - mask) * n_patches) patches stay visible, at least one.

    Examples
    --------
    >>> from skmae import LinearMAE
    >>> from skmae.masking import ExactCount
    >>> LinearMAE(mask_sampling=ExactCount())  # the same as mask_sampling="exact"
    LinearMAE(mask_sampling=ExactCount())
    """

    sampling: ClassVar[str] = "exact"


@dataclass(frozen=True)
class Stripes(GroupSampler):
    """Whole lines of patches hidden together: rows of an image, frequencies of a spectrogram, slices of a volume.

    Parameters
    ----------
    axis : int, default=0
        The axis of the grid along which stripes are counted: patches with the same place along it are one stripe. Of
        an image, 0 hides rows and 1 columns.
    sampling : {"exact", "bernoulli"}, default="exact"
        A fixed number of stripes, or each by itself.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.masking import Stripes
    >>> mae = LinearMAE(8, mask=0.5, patch=2, mask_sampling=Stripes()).fit(load_digits().images)
    >>> mae.sample_visible(1, random_state=0).reshape(4, 4).astype(int)
    array([[1, 1, 1, 1],
           [0, 0, 0, 0],
           [0, 0, 0, 0],
           [1, 1, 1, 1]])
    """

    axis: int = 0
    sampling: str = "exact"  # type: ignore[misc]

    def __post_init__(self) -> None:
        _check_axis_and_sampling(self)

    def groups(self, grid: PatchGrid) -> IntArray:
        """(n_patches,) the stripe of each patch."""
        places: IntArray = np.indices(grid.patches_per_axis)[_axis_of(self, grid)]
        return places.ravel()


@dataclass(frozen=True)
class Tubes(GroupSampler):
    """Patches that differ only in their place along one axis hidden together: the same part of every video frame.

    Parameters
    ----------
    axis : int, default=0
        The axis of the grid that tubes run along, time for instance.
    sampling : {"exact", "bernoulli"}, default="exact"
        A fixed number of tubes, or each by itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae import LinearMAE
    >>> from skmae.masking import Tubes
    >>> clips = np.random.default_rng(0).random((100, 4, 6, 6))  # 4 frames of 6 × 6 pixels
    >>> mae = LinearMAE(8, mask=0.75, patch=(1, 3, 3), channel_axis=None, mask_sampling=Tubes()).fit(clips)
    >>> mae.sample_visible(1, random_state=0).reshape(4, 4).astype(int)  # a row for each frame
    array([[0, 0, 0, 1],
           [0, 0, 0, 1],
           [0, 0, 0, 1],
           [0, 0, 0, 1]])
    """

    axis: int = 0
    sampling: str = "exact"  # type: ignore[misc]

    def __post_init__(self) -> None:
        _check_axis_and_sampling(self)

    def groups(self, grid: PatchGrid) -> IntArray:
        """(n_patches,) the tube of each patch."""
        others = list(grid.patches_per_axis)
        others[_axis_of(self, grid)] = 1
        tubes = np.arange(prod(others)).reshape(others)
        return np.broadcast_to(tubes, grid.patches_per_axis).ravel()


@dataclass(frozen=True)
class Blocks:
    """Rectangular blocks of patches, hidden wherever one of them lies; they may overlap and reach over the border.

    A block begins at each place with the same probability, independently, chosen so that each patch is hidden with
    probability `mask`. Two patches o of whose s covering blocks are the same are visible together at the rate
    q^(2 - o / s), where q = 1 - mask. With ``size=1`` it is `Bernoulli`.

    Parameters
    ----------
    size : int or tuple of int, default=2
        Patches of a block along each axis of the grid, or one number for all axes.

    Notes
    -----
    These masks have no fast solver: linear models need matrices of n_features × n_features, as for any callable.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.masking import Blocks
    >>> mae = LinearMAE(8, mask=0.5, patch=1, mask_sampling=Blocks(3)).fit(load_digits().images)
    >>> mae.transform(load_digits().images).shape
    (1797, 8)
    """

    size: int | Shape = 2

    def __post_init__(self) -> None:
        sizes = self.size if isinstance(self.size, tuple) else (self.size,)
        if not sizes or not all(isinstance(size, Integral) and size >= 1 for size in sizes):
            raise ValueError(
                f"size={self.size!r} is not a block: pass a whole number of patches >= 1, or a tuple of one for each "
                f"axis of the grid."
            )

    def __call__(self, n_samples: int, grid: PatchGrid, mask: float, random_state: RandomState = None, /) -> BoolArray:
        """Draw masks; (n_samples, n_patches) bool, True where visible."""
        size = self._size(grid)
        places = tuple(n + s - 1 for n, s in zip(grid.patches_per_axis, size, strict=True))
        level = check_random_state(random_state).random_sample((n_samples, *places))
        begins = level >= (1 - mask) ** (1 / prod(size))
        axes = tuple(range(1, begins.ndim))
        covering = sliding_window_view(begins, size, axis=axes)  # (n, *patches_per_axis, *size)
        return ~covering.any(axis=tuple(range(begins.ndim, covering.ndim))).reshape(n_samples, grid.n_patches)

    def moments(self, grid: PatchGrid, mask: float) -> tuple[FloatArray, FloatArray]:
        """Rates (n_patches,) of visible patches and (n_patches, n_patches) of pairs that are visible together."""
        one = np.full(grid.n_patches, 1.0 - mask)
        return one, (1 - mask) ** (2 - self._shared(grid, self._distances(grid)))

    def moments_given_hidden(self, patch: int, grid: PatchGrid, mask: float) -> tuple[float, FloatArray, FloatArray]:
        """The chance that a patch is hidden, and `moments` of the others given that it is."""
        n, q = grid.n_patches, 1 - mask
        if q == 1:
            return 0.0, np.ones(n), np.ones((n, n))
        two = self._shared(grid, self._distances(grid))  # (N, N) share of blocks that cover both of two patches
        low, high = self._extent(grid, patch)
        three = self._shared(grid, high - low)  # that cover patch `patch` and both of two others
        with_patch = two[patch]
        covering = 3 - two - with_patch[:, np.newaxis] - with_patch + three  # of any of the three, over those of one

        def hidden_too(few: FloatArray, more: FloatArray) -> FloatArray:
            """(q^few − q^more) / mask, without the difference of what is nearly one."""
            difference: FloatArray = -(q**few) * np.expm1((more - few) * np.log1p(-mask)) / mask
            return difference

        return mask, hidden_too(np.ones(n), 2 - with_patch), hidden_too(2 - two, covering)

    def _extent(self, grid: PatchGrid, patch: int) -> tuple[IntArray, IntArray]:
        """Lowest and highest place along each axis of `patch` and every two others; (axes, N, N) each."""
        where = np.indices(grid.patches_per_axis).reshape(len(grid.patches_per_axis), -1)  # (axes, N)
        first, second, third = where[:, :, np.newaxis], where[:, np.newaxis], where[:, [patch], np.newaxis]
        low = np.minimum(np.minimum(first, second), third)
        return low, np.maximum(np.maximum(first, second), third)

    def _distances(self, grid: PatchGrid) -> IntArray:
        """(axes, N, N) places between each two patches along each axis."""
        where = np.indices(grid.patches_per_axis).reshape(len(grid.patches_per_axis), -1)
        distances: IntArray = np.abs(where[:, :, np.newaxis] - where[:, np.newaxis])
        return distances

    def _shared(self, grid: PatchGrid, extent: IntArray) -> FloatArray:
        """Share of the blocks covering one patch that cover all patches of a set, from the set's extent along axes."""
        size = np.array(self._size(grid)).reshape(-1, *[1] * (extent.ndim - 1))
        shares: FloatArray = (np.maximum(size - extent, 0) / size).prod(axis=0)
        return shares

    def _size(self, grid: PatchGrid) -> Shape:
        size = self.size if isinstance(self.size, tuple) else (self.size,) * len(grid.patches_per_axis)
        if len(size) != len(grid.patches_per_axis):
            raise ValueError(
                f"Blocks has size={self.size!r}, but the grid of patches {grid.patches_per_axis} has "
                f"{len(grid.patches_per_axis)} axes. Pass one number, or one per axis."
            )
        return size


@dataclass(frozen=True)
class Sampled:
    """Any function that draws masks, with moments estimated from draws of it.

    Parameters
    ----------
    function : callable
        Called by position, ``function(n_samples, grid, mask, random_state)``; it returns a bool array of shape
        (n_samples, n_patches), True where visible. ``grid`` has ``patches_per_axis``, ``n_patches`` and ``grid_shape``
        (in pixels), ``random_state`` is a `numpy.random.RandomState`. It may ignore `mask`.
    n_draws : int, default=10_000
        Masks that the moments are estimated from. Two patches visible together at the rate J are known to a relative
        error of sqrt((1 - J) / (J n_draws)).
    random_state : int, default=0
        Seed of these draws: the same moments at every call.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.masking import Sampled
    >>> def left_or_right(n_samples, grid, mask, random_state):
    ...     rows, columns = grid.patches_per_axis
    ...     is_left = np.arange(grid.n_patches) % columns < columns // 2
    ...     return is_left == random_state.randint(2, size=(n_samples, 1))
    >>> mae = LinearMAE(8, patch=2, mask_sampling=Sampled(left_or_right, n_draws=1000)).fit(load_digits().images)
    >>> round(mae.mask_, 2)
    0.5
    """

    function: Callable[..., ArrayLike]
    n_draws: int = 10_000
    random_state: int = 0

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type):
            raise TypeError(f"function={self.function!r} is not a function that draws masks.")
        if not isinstance(self.n_draws, Integral) or not 1 <= self.n_draws <= _MOST_SAMPLES:
            raise ValueError(f"n_draws={self.n_draws!r} must be a whole number of masks, 1 to {_MOST_SAMPLES}.")

    def __call__(self, n_samples: int, grid: PatchGrid, mask: float, random_state: RandomState = None, /) -> ArrayLike:
        """Draw masks; (n_samples, n_patches) bool, True where visible."""
        return self.function(n_samples, grid, mask, check_random_state(random_state))

    def moments(self, grid: PatchGrid, mask: float) -> tuple[FloatArray, FloatArray]:
        """Rates (n_patches,) of visible patches and (n_patches, n_patches) of pairs that are visible together."""
        return _mean_moments(self._draws(grid, mask))

    def moments_given_hidden(self, patch: int, grid: PatchGrid, mask: float) -> tuple[float, FloatArray, FloatArray]:
        """The chance that a patch is hidden, and `moments` of the others given that it is."""
        visible = self._draws(grid, mask)
        without = visible[~visible[:, patch]]
        return len(without) / len(visible), *_mean_moments(without)

    def _draws(self, grid: PatchGrid, mask: float) -> BoolArray:
        return draw_visible(self, int(self.n_draws), grid, mask, self.random_state)


MaskSampling = Literal["bernoulli", "exact"] | Sampler | Callable[..., ArrayLike]


def resolve_sampler(mask_sampling: MaskSampling) -> Sampler:
    """The sampler that a parameter `mask_sampling` names, or is.

    Parameters
    ----------
    mask_sampling : {"bernoulli", "exact"}, sampler or callable

    Raises
    ------
    ValueError
        If it is none of these.
    """
    named = {"bernoulli": Bernoulli(), "exact": ExactCount()}
    if isinstance(mask_sampling, str) and mask_sampling in named:
        return named[mask_sampling]
    if callable(mask_sampling) and not isinstance(mask_sampling, type):
        _check_arguments(mask_sampling)
        return mask_sampling if isinstance(mask_sampling, Sampler) else Sampled(mask_sampling)
    instance = f" An object is needed, not its class: {mask_sampling.__name__}()." if callable(mask_sampling) else ""
    raise ValueError(
        f"mask_sampling={mask_sampling!r} is not known. Pass 'bernoulli', 'exact', an object of skmae.masking, or a "
        f"function (n_samples, grid, mask, random_state) that returns what is visible.{instance}"
    )


def _check_arguments(sampler: Callable[..., object]) -> None:
    """Refuse a function that cannot be called as samplers are, before it is called."""
    try:
        signature(sampler).bind(1, None, 0.5, None)
    except ValueError:  # a built-in function that does not say what it takes
        return
    except TypeError as error:
        raise TypeError(
            f"mask_sampling={sampler!r} cannot be called: {error}. Pass a function (n_samples, grid, mask, "
            f"random_state) that returns what is visible."
        ) from error


def draw_visible(
    sampler: Sampler, n_samples: int, grid: PatchGrid, mask: float, random_state: RandomState
) -> BoolArray:
    """Draw masks and check what came.

    Returns
    -------
    ndarray of bool of shape (n_samples, N)

    Raises
    ------
    ValueError
        If `n_samples` is not a number of samples, or the sampler returns anything but bool of that shape.
    """
    n_samples = check_n_samples(n_samples)
    drawn = sampler(n_samples, grid, mask, check_random_state(random_state))
    with naming("mask_sampling", "a function that returns bool of shape (n_samples, n_patches)"):
        visible = np.asarray(drawn)
    if visible.dtype != bool or visible.shape != (n_samples, grid.n_patches):
        raise ValueError(
            f"mask_sampling={sampler!r} returned an array of shape {visible.shape} and type {visible.dtype}; it must "
            f"return bool of shape (n_samples, n_patches) = {(n_samples, grid.n_patches)}, True where visible."
        )
    return visible


def check_n_samples(n_samples: object) -> int:
    """A number of samples, as a user says it."""
    is_number = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
    if not is_number or not 0 <= cast(int, n_samples) <= _MOST_SAMPLES:
        raise ValueError(f"n_samples={n_samples!r} must be a whole number, 0 to {_MOST_SAMPLES}.")
    return int(cast(int, n_samples))


def count_visible(sampler: Sampler, grid: PatchGrid, mask: float) -> int | None:
    """Visible patches of every mask; None where their number differs between masks, or is not known."""
    return sampler.n_visible(grid, mask) if isinstance(sampler, GroupSampler) else None


def hides_by_patch(sampler: Sampler, grid: PatchGrid) -> bool:
    """Whether each patch is hidden by itself, by a random number of its own."""
    return isinstance(sampler, GroupSampler) and _is_by_patch(sampler.groups(grid))


def _is_by_patch(groups: IntArray) -> bool:
    return np.array_equal(groups, np.arange(len(groups)))


def hidden_share(sampler: Sampler, grid: PatchGrid, mask: float) -> float:
    """Share of the patches that are hidden, on average over masks."""
    count = count_visible(sampler, grid, mask)
    return 1 - (float(moments_of(sampler, grid, mask)[0].mean()) if count is None else count / grid.n_patches)


def moments_of(sampler: Sampler, grid: PatchGrid, mask: float) -> tuple[FloatArray, FloatArray]:
    """The moments that a sampler states, checked: rates (N,) and joint rates (N, N).

    Raises
    ------
    ValueError
        If they have other shapes, or cannot be moments of anything.
    """
    rates, joint = (np.asarray(a, np.float64) for a in sampler.moments(grid, mask))
    n = grid.n_patches
    if rates.shape != (n,) or joint.shape != (n, n):
        raise ValueError(
            f"mask_sampling={sampler!r}: moments(grid, mask) returned arrays of shape {rates.shape} and {joint.shape}; "
            f"it must return the rates ({n},) at which patches are visible, and those of pairs, ({n}, {n})."
        )
    highest = np.minimum(rates[:, np.newaxis], rates) + 1e-9
    consistent = np.allclose(joint.diagonal(), rates, atol=1e-9) and np.allclose(joint, joint.T, atol=1e-9)
    if not consistent or not ((joint >= 0) & (joint <= highest)).all() or (rates > 1 + 1e-9).any():
        raise ValueError(
            f"mask_sampling={sampler!r}: moments(grid, mask) returned rates that no masks have. Rates are from 0 to 1, "
            f"those of pairs are symmetric, at most those of either patch, and equal to them on the diagonal."
        )
    return rates, joint


def read_visible(grid: PatchGrid, visible: ArrayLike, n_samples: int) -> BoolArray:
    """Read what a user says is visible.

    Parameters
    ----------
    grid : PatchGrid
    visible : array-like of bool
        Per patch, (n_patches,) or `patches_per_axis`; per pixel, `grid_shape`; or per feature, (n_features,) or
        `image_shape`. With a leading axis of n_samples or 1, or for all samples. The first that fits counts, in
        this order, masks per sample before shared ones: what `sample_visible` draws is always read as drawn.
    n_samples : int

    Returns
    -------
    ndarray of bool of shape (n_samples or 1, n_patches, n_pixels or n_features)

    Raises
    ------
    ValueError
        If `visible` is not bool, or fits none of these shapes.
    """
    with naming("visible", "an array of bool, True where a sample may be seen"):
        masks: Array = visible if isinstance(visible, np.ndarray) else array_to_numpy(visible)
    if masks.dtype != bool:
        raise ValueError(
            f"visible must be an array of bool, True where a sample may be seen; got dtype {masks.dtype}. "
            f"Compare first, as in weights > 0.5."
        )
    shapes = ((grid.n_patches,), grid.patches_per_axis, grid.grid_shape, (grid.n_features,), grid.image_shape)
    for leading in ((n_samples,), (1,), ()):
        for shape in shapes:
            if masks.shape == leading + shape:
                return masks.reshape(*(leading or (1,)), prod(shape))
    raise ValueError(
        f"visible has shape {masks.shape}, which fits neither patches, pixels nor features. Pass "
        f"({grid.n_patches},) for patches, {grid.grid_shape} for pixels, ({grid.n_features},) for features, or one "
        f"row per sample: ({n_samples}, {grid.n_patches}), {(n_samples, *grid.grid_shape)} or "
        f"({n_samples}, {grid.n_features})."
    )


def read_visible_patches(
    grid: PatchGrid, visible: ArrayLike, n_samples: int, *, may_be_empty: bool = False
) -> BoolArray:
    """Read what a user says is visible, for a model that hides whole patches.

    Returns
    -------
    ndarray of bool of shape (n_samples or 1, n_patches)

    Raises
    ------
    ValueError
        As `read_visible`; if a patch is visible in part; if nothing of a sample is visible, unless it `may_be_empty`.
    """
    masks = read_visible(grid, visible, n_samples)
    patches = masks if masks.shape[1] == grid.n_patches else _whole_patches(grid, masks)
    some = patches.any(axis=1)
    if not some.all() and not may_be_empty:
        raise ValueError(
            f"visible shows no patch of sample {int(np.argmin(some))}. Show at least one of its {grid.n_patches}."
        )
    return patches


def _count_visible(n_groups: int, mask: float) -> int:
    """Groups that stay visible where a fixed number is hidden: at least one."""
    return min(max(round((1 - mask) * n_groups), 1), n_groups)


def _mean_moments(visible: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Rates and joint rates of masks (n, N); zero where there is no mask."""
    counted = visible.astype(np.float32)  # counts up to 2²⁴ are exact
    n = max(len(visible), 1)
    return visible.sum(axis=0) / n, (counted.T @ counted).astype(np.float64) / n


def _whole_patches(grid: PatchGrid, visible: BoolArray) -> BoolArray:
    """Visibility per patch, (n, n_patches), from that per pixel or per feature."""
    patch_of = grid.patch_of_pixel if visible.shape[1] == grid.n_pixels else grid.patch_of_feature
    first = np.unique(patch_of, return_index=True)[1]
    patches = visible[:, first]
    if (patches[:, patch_of] != visible).any():
        raise ValueError(
            f"visible shows a patch in part. A ViT hides whole patches: pass one value per patch, of shape "
            f"({len(first)},) or (n_samples, {len(first)}), as sample_visible draws them."
        )
    return patches


def _check_axis_and_sampling(sampler: Stripes | Tubes) -> None:
    name = type(sampler).__name__
    if not isinstance(sampler.axis, Integral):
        raise ValueError(f"{name} has axis={sampler.axis!r}: pass the number of an axis of the grid.")
    if not isinstance(sampler.sampling, str) or sampler.sampling not in _SAMPLINGS:
        raise ValueError(f"{name} has sampling={sampler.sampling!r}: pass one of {_SAMPLINGS}.")


def _axis_of(sampler: Stripes | Tubes, grid: PatchGrid) -> int:
    """The axis of a sampler on this grid, counted from the front."""
    n_axes = len(grid.patches_per_axis)
    if not -n_axes <= sampler.axis < n_axes:
        raise ValueError(
            f"{sampler!r} needs an axis {sampler.axis}, but the grid of patches {grid.patches_per_axis} has {n_axes}: "
            f"pass {-n_axes} to {n_axes - 1} (channels are not an axis of the grid)."
        )
    return sampler.axis % n_axes
