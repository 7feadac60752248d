"""How a predictor is trained: the net, its losses, and its learning rate per layer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import EarlyStopping
from torch import Tensor

from skmae.vit._augmentation import Augment, Mixing, drawing_from
from skmae.vit._build import net_settings, peak_rate, resolve_device
from skmae.vit._data import LabelledRows
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._net import NO_DECAY, SeededNet, naming_net_params
from skmae.vit._predictor import Predictor, architecture_of, layer_scales

Batch = tuple[Tensor, Tensor]
Mixed = tuple[Tensor, float]  # outputs, and the share of each sample's own target


class ClassificationLoss:
    """Cross entropy against shares of classes.

    Parameters
    ----------
    weights : list of float
        One per class.
    smoothing : float
        Share of each target that is spread over all classes.
    """

    def __init__(self, weights: list[float], smoothing: float):
        self.weights = weights
        self.smoothing = smoothing

    def __call__(self, logits: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
        """Scalar, from (n, C) and numbers of classes (n,), a share of which is the flipped batch's."""
        shares = F.one_hot(target, logits.shape[1]).to(logits.dtype)  # (n, C)
        weight = logits.new_tensor(self.weights)
        return F.cross_entropy(logits, _mix(shares, share), weight, label_smoothing=self.smoothing)


class RegressionLoss:
    """Mean squared error of standardised targets."""

    def __call__(self, prediction: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
        """Scalar, from (n, C) and (n, C)."""
        return F.mse_loss(prediction, _mix(target, share).to(prediction.dtype))


def _mix(targets: Tensor, share: float) -> Tensor:
    return targets if share == 1 else share * targets + (1 - share) * targets.flip(0)


class Split:
    """A dataset in two parts, as skorch's `train_split` takes it.

    Parameters
    ----------
    train, valid : ndarray of int
        Numbers of samples.
    """

    def __init__(self, train: np.ndarray, valid: np.ndarray):
        self.train = train
        self.valid = valid

    def __call__(self, dataset: LabelledRows, y: Any = None) -> tuple[LabelledRows, LabelledRows]:  # noqa: ARG002
        return dataset.take(self.train), dataset.take(self.valid)


def _whole(batch: Batch) -> Batch:
    """The dataset gives whole batches."""
    return batch


class PredictorNet(SeededNet):
    """A net that trains a `Predictor`.

    Parameters
    ----------
    *args, **kwargs
        As `SeededNet`'s.
    mixing : Mixing or None
    """

    collate = staticmethod(_whole)

    def __init__(self, *args: Any, mixing: Mixing | None = None, **kwargs: Any):
        self.mixing = mixing
        super().__init__(*args, **kwargs)
        self.reads_frozen = False
        """Whether samples are what `Predictor.freeze` gave, not images."""

    def infer(self, x: Tensor, **fit_params: Any) -> Mixed:  # noqa: ARG002
        """Outputs (n, C), and the share of each sample's own target."""
        module, draws = self.plain_module, self._draws
        share_of_process, own = draws.next_share(), 1.0
        x = x.to(self.where, non_blocking=True)
        if not self.reads_frozen:
            images = module.standardize(x)
            if module.training:
                with drawing_from(draws.augmentation), torch.autocast(self.where.type, enabled=False):
                    images = images if self.augment is None else self.augment(images, share_of_process)
                    images, own = (images, 1.0) if self.mixing is None else self.mixing(images)
            x = module.freeze(images)
        x = x.float()
        return self.module_(x, draws.masks), own

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:  # noqa: ARG002
        outputs, own = y_pred
        return self.criterion_(outputs.float(), y_true.to(self.where), own)


def build_predictor_net(
    parameters: dict[str, Any],
    pretrained: MaskedAutoencoder,
    criterion: Any,
    n_outputs: int,
    augment: Augment | None,
    mixing: Mixing | None,
    split: Split | None,
    seed: int,
) -> PredictorNet:
    """A net with a copy of a pretrained encoder and a fresh head, as the parameters of a predictor say."""
    net_params = parameters["net_params"] or {}
    settings = net_settings(parameters, seed, resolve_device(parameters["device"]))
    settings["callbacks"] = _stopping(parameters) + settings["callbacks"]
    settings |= {
        "module": Predictor,
        "module__grid": pretrained.grid,
        "module__n_outputs": n_outputs,
        **{f"module__{name}": value for name, value in architecture_of(pretrained.encoder).items()},
        **{f"module__{name}": parameters[name] for name in ("trainable_blocks", "pool", "drop_path")},
        "criterion": criterion,
        "optimizer__param_groups": list(parameter_groups(len(pretrained.encoder.blocks), parameters)),
        "augment": augment,
        "mixing": mixing,
        "train_split": split,
        **net_params,
    }
    with naming_net_params(net_params):
        net = PredictorNet(**settings).initialize()
    for part in ("standardize", "encoder"):
        getattr(net.module_, part).load_state_dict(getattr(pretrained, part).state_dict())
    return net


def _stopping(parameters: dict[str, Any]) -> list[Any]:
    if not parameters["early_stopping"]:
        return []
    stopping = EarlyStopping(
        monitor="valid_loss",
        patience=parameters["n_iter_no_change"],
        threshold=0,
        load_best=True,
        sink=print if parameters["verbose"] else _silently,
    )
    return [("early_stopping", stopping)]


def _silently(text: str) -> None:
    """Take what skorch has to say, and say nothing."""


def parameter_groups(n_blocks: int, parameters: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Patterns of names, with their learning rate, and no weight decay for biases and norms."""
    for part, scale in layer_scales(n_blocks, parameters["layer_decay"]).items():
        rate = {"lr_scale": scale, "lr": scale * peak_rate(parameters)}  # the latter for schedulers of the user
        yield from ((part + pattern, {**group, **rate}) for pattern, group in NO_DECAY)
        yield part + "*", rate
    yield from NO_DECAY
