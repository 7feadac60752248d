"""How a masked autoencoder is trained: its net, what a step does, and its loss."""

from functools import partial
from typing import Any

import torch
from skorch.hf import AccelerateMixin
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skmae._grid import PatchGrid
from skmae.masking import Sampler, count_visible, resolve_sampler
from skmae.vit._augmentation import make_augment
from skmae.vit._build import net_settings, other_net_params, resolve_device
from skmae.vit._data import to_device
from skmae.vit._masking import draw, drawn_on, run_masked
from skmae.vit._net import NO_DECAY, Prebuilt, SeededNet, naming_net_params
from skmae.vit._network import check_prediction

_OF_ACCELERATE = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}


class ReconstructionLoss(nn.Module):
    """Mean squared error of the hidden patches; of all of them, if none is hidden.

    Parameters
    ----------
    normalize_target : bool
        Predict each patch less its mean, over its standard deviation.
    """

    def __init__(self, normalize_target: bool = False):
        super().__init__()
        self.normalize_target = normalize_target

    def forward(self, prediction: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
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
    """A net that trains a masked autoencoder on images alone.

    Parameters
    ----------
    *args, **kwargs
        As `SeededNet`'s.
    grid : PatchGrid
    sampler : Sampler
        What draws masks in training.
    mask : float
        The share to hide, for the sampler.
    """

    def __init__(self, *args: Any, grid: PatchGrid, sampler: Sampler, mask: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.grid = grid
        self.sampler = sampler
        self.mask = mask
        self.n_visible = count_visible(sampler, grid, mask)
        """Patches that the encoder sees in training; None where their number differs between samples."""
        self._weight = 1.0
        """Of the mean loss of the batch that was last inferred."""

    @property
    def masks_on(self) -> torch.device:
        return drawn_on(self.sampler, self.grid, self.n_visible, self.where)

    def draw_visible(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Masks as training draws them: (n, N) bool on the generator's device."""
        return draw(self.sampler, n_samples, self.grid, self.mask, generator)

    def infer(self, x: Tensor, **fit_params: Any) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG002
        """Prediction (n, N, P), target (n, N, P) and hidden (n, N)."""
        module, draws = self.plain_module, self._draws
        part = draws.next_part()
        images = module.standardize(to_device(x, self.where))  # (n, *image_shape)
        if self.module_.training and self.augment is not None:
            with torch.autocast(self.where.type, enabled=False):
                images = self.augment(images, part, draws.augmentation)
        # drawn for the whole batch, so that several processes do what one would do
        visible = self.draw_visible(part.total, draws.masks)[part.rows]  # (n, N)
        with self.drawing_network():
            prediction, hidden = run_masked(module, images, visible, self.n_visible, self.module_)
        target = module.patchify(images)
        check_prediction(prediction, target, hidden)
        self._weight = part.weight
        return prediction.to(target.dtype), target, hidden

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:  # noqa: ARG002
        return self.criterion_(*y_pred) * self._weight


class AcceleratedMAENet(AccelerateMixin, MAENet):
    """The same in several processes, by Hugging Face's accelerate. Each has all of the data, and takes its part."""

    def initialize(self) -> "AcceleratedMAENet":
        super().initialize()
        self._unwrap_accelerator()  # the module is wrapped while it is trained, and at no other time
        return self

    @property
    def plain_module(self) -> Any:
        return getattr(self.module_, "module", self.module_) if self._wrapped_with_accelerator else self.module_

    @property
    def precision(self) -> str:
        return _OF_ACCELERATE.get(str(self.accelerator.mixed_precision), str(self.accelerator.mixed_precision))

    def process(self) -> tuple[int, int]:
        return self.accelerator.process_index, self.accelerator.num_processes

    def prepare(self) -> None:
        self._initialize_accelerator()

    def mean_over_processes(self, values: Tensor) -> Tensor:
        return self.accelerator.reduce(values, "mean")

    def _initialize_accelerator(self) -> Any:
        """All but the loss, which has no weights, and which accelerate would refuse therefore."""
        criteria: list[str] = self._criteria
        self._criteria: list[str] = []
        try:
            return super()._initialize_accelerator()
        finally:
            self._criteria = criteria

    def get_iterator(self, dataset: Any, training: bool = False) -> DataLoader[Any]:
        """Not prepared by accelerate, which would divide the batches a second time."""
        return MAENet.get_iterator(self, dataset, training)


def build_net(parameters: dict[str, Any], module: nn.Module, grid: PatchGrid, seed: int) -> MAENet:
    """A net that trains a fresh module, as the parameters of a `DeepAutoencoder` say."""
    accelerator = parameters["accelerator"]
    settings = net_settings(parameters, seed, None if accelerator is not None else resolve_device(parameters["device"]))
    settings |= {
        "module": Prebuilt(module),
        "grid": grid,
        "sampler": resolve_sampler(parameters["mask_sampling"]),
        "mask": parameters["mask"],
        "criterion": partial(ReconstructionLoss, parameters["normalize_target"]),
        "optimizer__param_groups": NO_DECAY,
        "augment": make_augment(parameters["augment"], grid),
        **other_net_params(parameters),
    }
    with naming_net_params(parameters):
        if accelerator is None:
            return MAENet(**settings).initialize()
        return AcceleratedMAENet(**settings, accelerator=accelerator).initialize()
