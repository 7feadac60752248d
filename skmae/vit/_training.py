"""How a masked autoencoder is trained: what a step does, and its loss."""

from typing import Any

import torch
from skorch.hf import AccelerateMixin
from torch import Tensor
from torch.utils.data import DataLoader

from skmae.vit._augmentation import drawing_from
from skmae.vit._masking import draw_visible
from skmae.vit._net import SeededNet


class ReconstructionLoss:
    """Mean squared error of the hidden patches; of all of them, if none is hidden.

    Parameters
    ----------
    normalize_target : bool
        Predict each patch less its mean, over its standard deviation.
    """

    def __init__(self, normalize_target: bool = False):
        self.normalize_target = normalize_target

    def __call__(self, prediction: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
        """Scalar, from (n, N, P), (n, N, P) and bool of (n, N)."""
        return self.per_sample(prediction, target, hidden).mean()

    def per_sample(self, prediction: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
        """(n,) means over the patches that count."""
        if self.normalize_target:
            target = normalize_patches(target)[0]
        error = (prediction.to(target.dtype) - target).square().mean(dim=-1)  # (n, N)
        counted = hidden | ~hidden.any(dim=1, keepdim=True)
        return (error * counted).sum(dim=1) / counted.sum(dim=1)


def normalize_patches(patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Patches (n, N, P) of mean 0 and variance 1, and their means and standard deviations (n, N, 1)."""
    mean = patches.mean(dim=-1, keepdim=True)
    variance = patches.var(dim=-1, keepdim=True, correction=min(patches.shape[-1] - 1, 1))  # of one value it is 0
    std = (variance + 1e-6).sqrt()
    return (patches - mean) / std, mean, std


class MAENet(SeededNet):
    """A net that trains a `MaskedAutoencoder` on images alone.

    Parameters
    ----------
    *args, **kwargs
        As `SeededNet`'s.
    n_visible : int
        Patches that the encoder sees in training.
    """

    def __init__(self, *args: Any, n_visible: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.n_visible = n_visible

    def infer(self, x: Tensor, **fit_params: Any) -> tuple[Tensor, Tensor, Tensor, float]:  # noqa: ARG002
        """Prediction (n, N, P), target (n, N, P), hidden (n, N) and the weight of the batch's mean loss."""
        module, draws = self.plain_module, self._draws
        share = draws.next_share()
        images = module.standardize(x.to(self.where, non_blocking=True))  # (n, *image_shape)
        if self.module_.training and self.augment is not None:
            with drawing_from(draws.augmentation), torch.autocast(self.where.type, enabled=False):
                images = self.augment(images, share)
        # drawn for the whole batch, so that several processes do what one would do
        keep = draw_visible(share.total, module.grid.n_patches, self.n_visible, draws.masks)[share.rows]  # (n, K)
        prediction, hidden = self.module_(images, keep)
        return prediction, module.patchify(images), hidden, share.weight

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:  # noqa: ARG002
        prediction, target, hidden, weight = y_pred
        return self.criterion_(prediction, target, hidden) * weight


class AcceleratedMAENet(AccelerateMixin, MAENet):
    """The same in several processes, by Hugging Face's accelerate. Each has all of the data, and takes its share."""

    def initialize(self) -> "AcceleratedMAENet":
        super().initialize()
        self._unwrap_accelerator()  # the module is wrapped while it is trained, and at no other time
        return self

    def process(self) -> tuple[int, int]:
        return self.accelerator.process_index, self.accelerator.num_processes

    def prepare(self) -> None:
        self._initialize_accelerator()

    def mean_over_processes(self, values: Tensor) -> Tensor:
        return self.accelerator.reduce(values, "mean")

    def get_iterator(self, dataset: Any, training: bool = False) -> DataLoader:
        """Not prepared by accelerate, which would share the batches out a second time."""
        return MAENet.get_iterator(self, dataset, training)
