"""Random crops and flips, for a whole batch at once, on the device where it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from skmae._compat import import_optional
from skmae._grid import PatchGrid
from skmae.vit._data import Share

Augment = Callable[[Tensor, Share], Tensor]

_CROP = {"scale": (0.2, 1.0), "ratio": (3 / 4, 4 / 3), "resample": "bicubic", "align_corners": False}


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let code that draws from PyTorch's global generator (of the CPU) draw from this one instead."""
    outside = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(outside)


def make_augment(augment: Any, grid: PatchGrid) -> Augment | None:
    """What the parameter `augment` of an estimator says: "auto", None, or a function of a batch."""
    if augment == "auto":
        return CropAndFlip(grid) if len(grid.grid_shape) == 2 else None
    return None if augment is None else UserAugment(augment, grid)


class UserAugment:
    """A function of tensors of shape (n, channels, \\*grid_shape), given by the user."""

    def __init__(self, function: Callable[[Tensor], Tensor], grid: PatchGrid):
        self.function = function
        self.grid = grid

    def __call__(self, images: Tensor, share: Share) -> Tensor:  # noqa: ARG002
        changed = self.function(_channels_first(images, self.grid))
        expected = (len(images), self.grid.n_channels, *self.grid.grid_shape)
        if tuple(changed.shape) != expected:
            raise ValueError(
                f"augment returned a batch of shape {tuple(changed.shape)}; it must return the shape that it gets, "
                f"(n, channels, *grid): {expected}."
            )
        return _channels_back(changed, self.grid)


class CropAndFlip:
    """Random resized crop and horizontal flip (kornia), as in the training of He et al."""

    def __init__(self, grid: PatchGrid):
        kornia = import_optional("kornia.augmentation", extra="deep", purpose='augment="auto"')
        self.grid = grid
        self.operations = (
            kornia.RandomResizedCrop(grid.grid_shape, cropping_mode="resample", **_CROP),
            kornia.RandomHorizontalFlip(),
        )

    def __call__(self, images: Tensor, share: Share) -> Tensor:
        pictures = _channels_first(images, self.grid)  # (n, C, H, W)
        for operation in self.operations:
            # drawn for the whole batch, so that several processes do what one would do
            drawn = operation.forward_parameters((share.total, *pictures.shape[1:]))
            mine = {
                name: values[share.rows] if len(values) == share.total else values for name, values in drawn.items()
            }
            mine["forward_input_shape"] = torch.tensor(pictures.shape)
            pictures = operation(pictures, params=mine)
        return _channels_back(pictures, self.grid)


def _channels_first(images: Tensor, grid: PatchGrid) -> Tensor:
    """(n, \\*image_shape) → (n, C, \\*grid_shape)."""
    return images.unsqueeze(1) if grid.channel_axis is None else images.movedim(1 + grid.channel_axis, 1)


def _channels_back(images: Tensor, grid: PatchGrid) -> Tensor:
    """(n, C, \\*grid_shape) → (n, \\*image_shape)."""
    return images.squeeze(1) if grid.channel_axis is None else images.movedim(1, 1 + grid.channel_axis)
