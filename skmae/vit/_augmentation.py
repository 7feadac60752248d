"""Random crops and flips, for a whole batch at once, on the device where it is."""

from collections.abc import Callable
from math import exp
from typing import Any

import torch
from scipy.special import expit
from torch import Tensor

from skmae._compat import import_optional
from skmae._grid import PatchGrid
from skmae.vit._data import BatchPart
from skmae.vit._drawing import DrawingFrom

Augment = Callable[[Tensor, BatchPart, DrawingFrom], Tensor]  # what is random is drawn within the last
Augmentation = str | Callable[[Tensor], Tensor] | None  # the parameter `augment`

_PADDING = 8  # a shift is at most an 8th of an axis, rounded up
_GROUPS = 8  # of a batch, each of which RandAugment changes in its own way
_CROP = {"scale": (0.2, 1.0), "ratio": (3 / 4, 4 / 3), "resample": "bicubic", "align_corners": False}


def make_augment(augment: Augmentation, grid: PatchGrid) -> Augment | None:
    """What the parameter `augment` of an estimator says: "auto", None, or a function of a batch."""
    if augment == "auto":
        return CropAndFlip(grid) if len(grid.grid_shape) == 2 else None
    return UserAugment(augment, grid) if callable(augment) else None


class UserAugment:
    """A function of tensors of shape (n, channels, \\*grid_shape), given by the user."""

    def __init__(self, function: Callable[[Tensor], Tensor], grid: PatchGrid):
        self.function = function
        self.grid = grid

    def __call__(self, images: Tensor, part: BatchPart, drawing: DrawingFrom) -> Tensor:  # noqa: ARG002
        with drawing:
            changed = self.function(_channels_first(images, self.grid))
        expected = (len(images), self.grid.n_channels, *self.grid.grid_shape)
        if not isinstance(changed, Tensor):
            raise TypeError(
                f"augment returned {type(changed).__name__}; it must return a tensor of the shape that it gets, "
                f"(n, channels, *grid): {expected}."
            )
        if tuple(changed.shape) != expected:
            raise ValueError(
                f"augment returned a batch of shape {tuple(changed.shape)}; it must return the shape that it gets, "
                f"(n, channels, *grid): {expected}."
            )
        return _channels_back(changed.to(images.dtype), self.grid)


class CropAndFlip:
    """Random resized crop and horizontal flip (kornia), as in the training of He et al."""

    def __init__(self, grid: PatchGrid):
        kornia = import_optional("kornia.augmentation", extra="deep", purpose='augment="auto"')
        self.grid = grid
        crop = kornia.RandomResizedCrop(grid.grid_shape, cropping_mode="resample", **_CROP)
        self.operations = _drawing_float32(crop, kornia.RandomHorizontalFlip())

    def __call__(self, images: Tensor, part: BatchPart, drawing: DrawingFrom) -> Tensor:
        pictures = _channels_first(images, self.grid)  # (n, C, H, W)
        for operation in self.operations:
            with drawing:  # for the whole batch, so that several processes do what one would do
                drawn = operation.forward_parameters((part.total, *pictures.shape[1:]))
            mine = {name: values[part.rows] if len(values) == part.total else values for name, values in drawn.items()}
            mine["forward_input_shape"] = torch.tensor(pictures.shape)
            pictures = operation(pictures, params=mine)
        return _channels_back(pictures, self.grid)


def make_supervised_augment(augment: Augmentation, grid: PatchGrid, low: Tensor, high: Tensor) -> Augment | None:
    """What the parameter `augment` of a predictor says: "auto", "randaugment", None, or a function of a batch.

    `low` and `high` are the standardised values, per channel, that pictures call black and white.
    """
    is_picture = len(grid.grid_shape) == 2
    if augment == "auto":
        return ShiftAndFlip(grid) if is_picture else None
    if augment != "randaugment":
        return UserAugment(augment, grid) if callable(augment) else None
    if not is_picture or grid.n_channels not in (1, 3):
        raise ValueError(
            f"augment='randaugment' is for grey or RGB pictures; samples of shape {grid.image_shape} have "
            f"{len(grid.grid_shape)} axes and {grid.n_channels} channels. Pass 'auto', None, or a function of batches "
            f"(n, channels, *grid)."
        )
    return RandomPolicy(grid, low, high)


class ShiftAndFlip:
    """Shift by up to an 8th of each axis, rounded up, the border repeated, and flip horizontally (kornia)."""

    def __init__(self, grid: PatchGrid):
        kornia = import_optional("kornia.augmentation", extra="deep", purpose="augment")
        height, width = grid.grid_shape
        padding = (-(-width // _PADDING), -(-height // _PADDING))  # kornia's order: left and right, top and bottom
        self.grid = grid
        crop = kornia.RandomCrop(grid.grid_shape, padding=padding, padding_mode="replicate", cropping_mode="slice")
        self.operations = _drawing_float32(crop, kornia.RandomHorizontalFlip())

    def __call__(self, images: Tensor, part: BatchPart, drawing: DrawingFrom) -> Tensor:  # noqa: ARG002
        pictures = _channels_first(images, self.grid)
        for operation in self.operations:
            with drawing:
                pictures = operation(pictures)
        return _channels_back(pictures, self.grid)


class RandomPolicy:
    """`ShiftAndFlip`, then two operations of RandAugment, of magnitude 9 of kornia's 30."""

    def __init__(self, grid: PatchGrid, low: Tensor, high: Tensor):
        auto = import_optional("kornia.augmentation.auto", extra="deep", purpose="augment='randaugment'")
        self.grid = grid
        self.first = ShiftAndFlip(grid)
        self.policy = auto.RandAugment(n=2, m=9)
        _drawing_float32(*(operation for operation in self.policy.modules() if operation is not self.policy))
        self.low, self.high = (bound.reshape(-1, 1, 1) for bound in (low, high))  # (C or 1, 1, 1)

    def __call__(self, images: Tensor, part: BatchPart, drawing: DrawingFrom) -> Tensor:
        pictures = _channels_first(self.first(images, part, drawing), self.grid)
        low, span = self.low.to(pictures), (self.high - self.low).to(pictures)
        pictures = ((pictures - low) / span).clamp(0, 1)
        pictures = pictures.expand(-1, 3, -1, -1)  # grey ones too: some operations know colours only
        with drawing:
            changed = torch.cat([self.policy(group) for group in pictures.chunk(_GROUPS)])
        return _channels_back(changed[:, : self.grid.n_channels] * span + low, self.grid)


class Mixing:
    """Mixup and CutMix: each sample of a batch together with another, by one share for the whole batch.

    Parameters
    ----------
    mixup, cutmix : float
        Parameters of the beta distributions that the share is drawn from; 0 is never. If both are above 0, each batch
        is mixed in one way or the other, by the toss of a coin.
    grid : PatchGrid
    """

    def __init__(self, mixup: float, cutmix: float, grid: PatchGrid):
        self.mixup = mixup
        self.cutmix = cutmix
        self.grid = grid

    def __call__(self, images: Tensor, drawing: DrawingFrom) -> tuple[Tensor, float]:
        """Mixed images (n, \\*image_shape), and the share of each that is left; the rest is of ``images.flip(0)``."""
        with drawing:
            cut = self.cutmix > 0 and (self.mixup == 0 or torch.rand(()).item() < 0.5)
            share = _drawn_from_beta(float(self.cutmix if cut else self.mixup))
            box = self._box(1 - share) if cut else None
        others = images.flip(0)
        if box is None:
            return share * images + (1 - share) * others, share
        inside = box.to(images.device)
        pictures = torch.where(inside, _channels_first(others, self.grid), _channels_first(images, self.grid))
        return _channels_back(pictures, self.grid), 1 - inside.double().mean().item()

    def _box(self, volume: float) -> Tensor:
        """(\\*grid) True inside a box of about this share of the grid, anywhere, cut off at the border."""
        inside = torch.ones(self.grid.grid_shape, dtype=torch.bool)
        for axis, size in enumerate(self.grid.grid_shape):
            length = size * volume ** (1 / len(self.grid.grid_shape))
            centre = torch.rand(()).item() * size
            place = torch.arange(size) + 0.5
            along = (place >= centre - length / 2) & (place < centre + length / 2)
            inside &= along.reshape([-1 if i == axis else 1 for i in range(inside.ndim)])
        return inside


def _drawn_from_beta(alpha: float) -> float:
    """A number from the beta distribution of parameters alpha, alpha."""
    if alpha >= 0.1:
        return torch.distributions.Beta(alpha, alpha).sample().item()
    while True:  # float32 does not hold the gammas that PyTorch divides: Jöhnk's way, in logarithms
        first, second = torch.rand(2, dtype=torch.float64).log().tolist()
        if exp(first / alpha) + exp(second / alpha) <= 1:
            return float(expit((first - second) / alpha))


def _drawing_float32(*operations: Any) -> tuple[Any, ...]:
    """The same, which draw in float32 whatever PyTorch's default is."""
    for operation in operations:
        if hasattr(operation, "set_rng_device_and_dtype"):
            operation.set_rng_device_and_dtype(torch.device("cpu"), torch.float32)
    return operations


def _channels_first(images: Tensor, grid: PatchGrid) -> Tensor:
    """(n, \\*image_shape) → (n, C, \\*grid_shape)."""
    return images.unsqueeze(1) if grid.channel_axis is None else images.movedim(1 + grid.channel_axis, 1)


def _channels_back(images: Tensor, grid: PatchGrid) -> Tensor:
    """(n, C, \\*grid_shape) → (n, \\*image_shape)."""
    return images.squeeze(1) if grid.channel_axis is None else images.movedim(1, 1 + grid.channel_axis)
