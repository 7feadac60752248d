"""How a pretrained network is fine-tuned: the part of it that learns, its head, its losses and rates, its net.

n samples, N patches, D features, C outputs.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import softmax
from sklearn.utils import Tags
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from skmae._grid import PatchGrid
from skmae.vit._augmentation import Augment, Mixing
from skmae.vit._build import net_settings, other_net_params, peak_rate, resolve_device
from skmae.vit._data import LabelledRows, to_device
from skmae.vit._net import NO_DECAY, Prebuilt, SeededNet, naming_net_params
from skmae.vit._network import Network, blocks_of, encoder_of, pool_features

Batch = tuple[Tensor, Tensor]


class Predictor(nn.Module):
    """A pretrained network, of which all or a part learns, and a head on its features.

    Parameters
    ----------
    pretrained : Network
        It is copied, without its decoder.
    grid : PatchGrid
    n_outputs : int
    trainable_blocks : int or None
        Blocks that learn, the last ones, with what comes behind them; 0 is the head alone, None all of the network.
    pool : {"mean", "cls"}
    drop_path : float
        Share of samples for which a branch of the last block is left out in training; less in earlier blocks.
    """

    def __init__(
        self,
        pretrained: Network,
        grid: PatchGrid,
        n_outputs: int,
        trainable_blocks: int | None,
        pool: str,
        drop_path: float,
    ):
        super().__init__()
        self.network = encoder_of(pretrained)
        self.grid = grid
        self.pool = pool
        self.n_blocks = check_blocks(self.network, trainable_blocks, drop_path)
        self.n_frozen = None if trainable_blocks is None else self.n_blocks - trainable_blocks
        n = self.n_blocks
        self.drop_rates = [drop_path * i / (n - 1) for i in range(n)] if n > 1 else [drop_path]
        self.network.requires_grad_(self.n_frozen is None)
        for part in self._learning_parts():
            part.requires_grad_()
        blank = torch.zeros(1, *grid.image_shape, device=self.standardize.mean.device)
        with torch.inference_mode():
            self.eval()
            width = pool_features(self.network.encode(blank), pool, grid.n_patches).shape[1]
            self.n_frozen_values = prod(self._frozen(blank).shape)
            """Numbers that `freeze` gives for one sample."""
        self.head = Head(width, n_outputs)

    @property
    def standardize(self) -> Any:
        return self.network.standardize

    @property
    def encoder(self) -> nn.Module:
        return getattr(self.network, "encoder", self.network)

    @property
    def draws_nothing(self) -> bool:
        """Whether the network draws nothing; branches are dropped by a generator of their own."""
        return getattr(self.network, "draws_nothing", False)

    def _learning_parts(self) -> list[nn.Module]:
        """Of the network, where some of it is frozen and some is not."""
        if self.n_frozen is None or self.n_frozen == self.n_blocks:
            return []
        return [*self.network.blocks[self.n_frozen :], self.network.finish]

    def train(self, mode: bool = True) -> "Predictor":
        """As PyTorch's, but what is frozen does what it does in inference (batch norms, dropout)."""
        super().train(mode)
        if self.n_frozen is not None:
            self.network.eval()
            for part in self._learning_parts():
                part.train(mode)
        return self

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `freeze` gave → (n, C). In training, branches are dropped as the generator draws."""
        return self.head(self.features(x, generator))

    def predict(self, images: Tensor) -> Tensor:
        """Standardised images (n, \\*image_shape) → (n, C)."""
        return self(self.freeze(images))

    def freeze(self, images: Tensor) -> Tensor:
        """What the part that learns gets of images: themselves, what a block gets of them, or features (n, D)."""
        if self.n_frozen is None:
            return images
        with torch.no_grad():
            return self._frozen(images)

    def _frozen(self, images: Tensor) -> Tensor:
        if self.n_frozen is None:
            return images
        if self.n_frozen == self.n_blocks:
            return self._pool(self.network.encode(images))
        x = self.network.embed(images)
        for block in self.network.blocks[: self.n_frozen]:
            x = block(x)
        return x

    def features(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `freeze` gave → (n, D)."""
        if self.n_frozen == self.n_blocks:
            return x
        if self.n_blocks == 0:
            return self._pool(self.network.encode(x))
        x = self.network.embed(x) if self.n_frozen is None else x
        for i, block in enumerate(self.network.blocks):
            if i >= (self.n_frozen or 0):
                x = run_block(block, x, self.drop_rates[i] if self.training else 0.0, generator)
        return self._pool(self.network.finish(x))

    def _pool(self, features: Tensor) -> Tensor:
        return pool_features(features, self.pool, self.grid.n_patches)


class Head(nn.Module):
    """A linear layer on features less their mean, over their spread, both as they were before training."""

    def __init__(self, dim: int, n_outputs: int):
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.linear = nn.Linear(dim, n_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def learn(self, features: Any) -> None:
        """Take mean and spread of some features (n, D)."""
        features = torch.from_numpy(np.asarray(features, np.float64))
        spread = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(spread > 1e-6 * spread.max(), spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(n, D) → (n, C)."""
        return self.linear((x - self.mean) / self.scale)


def run_block(block: Any, x: Tensor, drop_rate: float, generator: torch.Generator | None) -> Tensor:
    """A block of the encoder, each branch left out for a share of the samples (stochastic depth)."""
    if drop_rate == 0:
        return block(x)

    def weight() -> Tensor:
        shape = (len(x), *[1] * (x.ndim - 1))
        kept = torch.rand(shape, generator=generator, device=x.device, dtype=torch.float32) >= drop_rate
        return kept.to(x.dtype) / (1 - drop_rate)

    for branch in block.branches():
        x = x + weight() * branch(x)
    return x


def check_blocks(network: Network, trainable_blocks: int | None, drop_path: float) -> int:
    """The blocks of a network's encoder, which must be as many as are asked for; 0 if it does not name any."""
    of_blocks = blocks_of(network)
    n_blocks = 0 if of_blocks is None else len(of_blocks.blocks)
    kind = type(network).__name__
    if trainable_blocks and of_blocks is None:
        raise ValueError(
            f"trainable_blocks={trainable_blocks}, but {kind} does not name the blocks of its encoder (with embed, "
            f"blocks and finish). Pass 0 (the head alone), or None for all of the network."
        )
    if trainable_blocks and trainable_blocks > n_blocks:
        raise ValueError(
            f"trainable_blocks={trainable_blocks}, but the encoder has {n_blocks} blocks. Pass 0 (the head "
            f"alone) to {n_blocks}, or None for all of the encoder, patch embedding included."
        )
    has_branches = of_blocks is not None and all(hasattr(block, "branches") for block in of_blocks.blocks)
    if drop_path and not has_branches:
        raise ValueError(f"drop_path={drop_path}, but {kind} has no blocks with branches to drop. Pass 0.")
    return n_blocks


class ClassificationLoss(nn.Module):
    """Cross entropy against shares of classes.

    Parameters
    ----------
    weights : list of float
        One per class.
    smoothing : float
        Share of each target that is spread over all classes.
    """

    def __init__(self, weights: list[float], smoothing: float):
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.tensor(weights))  # on the device, which copies would have to wait for
        self.smoothing = smoothing

    def forward(self, logits: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
        """Scalar, from (n, C) and numbers of classes (n,), a share of which is the flipped batch's."""
        shares = F.one_hot(target, logits.shape[1]).to(logits.dtype)  # (n, C)
        return F.cross_entropy(
            logits, _mix(shares, share), self.weights.to(logits.dtype), label_smoothing=self.smoothing
        )


class RegressionLoss(nn.Module):
    """Mean squared error of standardised targets."""

    def forward(self, prediction: Tensor, target: Tensor, share: float = 1.0) -> Tensor:
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

    def __call__(self, dataset: LabelledRows, y: object = None) -> tuple[LabelledRows, LabelledRows]:  # noqa: ARG002
        return dataset.take(self.train), dataset.take(self.valid)


def _whole(batch: Batch) -> Batch:
    """The dataset gives whole batches."""
    return batch


class PredictorNet(SeededNet):
    """A net that trains a `Predictor`.

    What skorch's callbacks are told are numbers of classes and their probabilities, or standardised targets.

    Parameters
    ----------
    *args, **kwargs
        As `SeededNet`'s.
    mixing : Mixing or None
    """

    collate = staticmethod(_whole)

    def __init__(self, *args: Any, mixing: Mixing | None = None, **kwargs: Any):
        self.mixing = mixing
        super().__init__(*args, use_caching=True, **kwargs)  # by scoring callbacks: datasets are the estimator's own
        self.reads_frozen = False
        """Whether samples are what `Predictor.freeze` gave, not images."""
        self._share = 1.0
        """Of each sample's own target, the rest being that of the sample it was mixed with."""

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:  # noqa: ARG002
        """Outputs (n, C)."""
        module, draws = self.plain_module, self._draws
        part, share = draws.next_part(), 1.0
        x = to_device(x, self.where)
        if not self.reads_frozen:
            images = module.standardize(x)
            if module.training:
                with torch.autocast(self.where.type, enabled=False):
                    images = images if self.augment is None else self.augment(images, part, draws.augmentation)
                    images, share = (images, 1.0) if self.mixing is None else self.mixing(images, draws.augmentation)
            x = module.freeze(images)
        x = x.float()
        self._share = share
        with self.drawing_network():
            return self.module_(x, draws.masks).float()

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:  # noqa: ARG002
        return self.criterion_(y_pred, to_device(y_true, self.where), self._share)

    # -- what scoring callbacks ask for -------------------------------------------------------------------------

    @property
    def tells_classes(self) -> bool:
        return isinstance(self.criterion_, ClassificationLoss)

    @property
    def classes_(self) -> np.ndarray:
        """Numbers of the classes."""
        return np.arange(self.plain_module.head.linear.out_features)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of classes (n, C); of a regressor, standardised targets (n, C)."""
        outputs = super().predict_proba(X)
        return softmax(outputs.astype(np.float64), axis=1) if self.tells_classes else outputs

    def predict(self, X: Any) -> np.ndarray:
        """Numbers of classes (n,), or standardised targets (n, C)."""
        outputs = self.predict_proba(X)
        return outputs.argmax(axis=1) if self.tells_classes else outputs

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier" if self.tells_classes else "regressor"
        return tags


def build_predictor_net(
    parameters: dict[str, Any],
    predictor: Predictor,
    criterion: Callable[[], Any],
    augment: Augment | None,
    mixing: Mixing | None,
    split: Split | None,
    seed: int,
) -> PredictorNet:
    """A net that trains a predictor, as the parameters of an estimator say."""
    settings = net_settings(parameters, seed, resolve_device(parameters["device"]))
    settings["callbacks"] = _stopping(parameters) + settings["callbacks"]
    settings |= {
        "module": Prebuilt(predictor),
        "criterion": criterion,
        "optimizer__param_groups": list(parameter_groups(predictor, parameters)),
        "augment": augment,
        "mixing": mixing,
        "train_split": split,
        **other_net_params(parameters),
    }
    with naming_net_params(parameters):
        return PredictorNet(**settings).initialize()


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


def parameter_groups(predictor: Predictor, parameters: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Patterns of names, with their learning rate, and no weight decay for biases and norms."""
    for part, scale in layer_scales(predictor, parameters["layer_decay"]).items():
        rate = {"lr_scale": scale, "lr": scale * peak_rate(parameters)}  # the latter for schedulers of the user
        for pattern, group in NO_DECAY:
            yield part + ("*" if fnmatch(part, pattern) else pattern), {**group, **rate}
        yield part + "*", rate
    yield from NO_DECAY


def layer_scales(predictor: Predictor, decay: float) -> dict[str, float]:
    """Learning rate of each part over that of the head: decay^(number of blocks above it, and one).

    Parts are named by what the names of their parameters begin with; the first that fits counts. What is behind the
    blocks learns like the head. A network that does not name its blocks counts as one.
    """
    n, of_blocks = predictor.n_blocks, blocks_of(predictor.network)
    scales: dict[str, float] = {}
    if of_blocks is not None:
        names = {id(module): f"{name}." for name, module in predictor.named_modules()}
        scales |= {names[id(block)]: decay ** (n - i) for i, block in enumerate(of_blocks.blocks)}
        scales[names[id(of_blocks.finish)]] = 1.0
    return scales | {"network.": decay ** (n + 1)}
