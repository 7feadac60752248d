"""From an encoder and targets to a trained predictor: what classifiers and regressors share."""

from abc import ABC, abstractmethod
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.utils.data import Dataset

from skmae._compat import Interval, StrOptions, _fit_context, _num_samples
from skmae._constraints import GRID, MASKING
from skmae._estimator import GridEstimator, all_or_nothing
from skmae._rows import check_finite
from skmae.vit._augmentation import Augment, Mixing, make_supervised_augment
from skmae.vit._build import PRECISIONS, net_settings, resolve_device
from skmae.vit._checkpoint import Keeper, fingerprint_of, read, restore, train
from skmae.vit._data import LabelledRows, ResidentDataset, dataset_of, fits, to_array
from skmae.vit._estimator import STOPPED, ViTMAE
from skmae.vit._finetuning import Split, build_predictor_net
from skmae.vit._inference import over_batches
from skmae.vit._module import MaskedAutoencoder

_SAMPLES_FOR_HEAD = 2048  # that mean and spread of the features are learned from
# what does not change the result of a training; encoder, grid, targets and seed stand for the rest
_NOT_IN_FINGERPRINT = {"encoder", "image_shape", "channel_axis", "device", "compile", "checkpoint", "verbose"} | {
    "random_state"
}


class FineTuner(GridEstimator, ABC):
    """What the predictors share: from an encoder and targets to a trained net."""

    _parameter_constraints: dict[str, list[Any]] = {
        "encoder": [ViTMAE, FrozenEstimator, None],
        "trainable_blocks": [Interval(Integral, 0, None, closed="left"), None],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "drop_path": [Interval(Real, 0, 1, closed="left")],
        "pool": [StrOptions({"mean", "cls"})],
        "augment": [StrOptions({"auto", "randaugment"}), callable, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "patch": MASKING["patch"],
        **GRID,
        "embed_dim": [Interval(Integral, 1, None, closed="left")],
        "encoder_layers": [Interval(Integral, 1, None, closed="left")],
        "encoder_heads": [Interval(Integral, 1, None, closed="left")],
        "mlp_ratio": [Interval(Real, 0, None, closed="neither")],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", *PRECISIONS})],
        "compile": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        encoder: Any,
        trainable_blocks: int | None,
        layer_decay: float,
        drop_path: float,
        pool: str,
        augment: Any,
        max_epochs: int,
        batch_size: int,
        learning_rate: float,
        warmup_epochs: int,
        weight_decay: float,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int,
        patch: int | tuple[int, ...],
        image_shape: tuple[int, ...] | None,
        channel_axis: Any,
        embed_dim: int,
        encoder_layers: int,
        encoder_heads: int,
        mlp_ratio: float,
        device: Any,
        precision: str,
        compile: bool,
        checkpoint: Any,
        callbacks: Any,
        net_params: dict[str, Any] | None,
        verbose: int,
        random_state: Any,
    ):
        self.encoder = encoder
        self.trainable_blocks = trainable_blocks
        self.layer_decay = layer_decay
        self.drop_path = drop_path
        self.pool = pool
        self.augment = augment
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup_epochs = warmup_epochs
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.patch = patch
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.embed_dim = embed_dim
        self.encoder_layers = encoder_layers
        self.encoder_heads = encoder_heads
        self.mlp_ratio = mlp_ratio
        self.device = device
        self.precision = precision
        self.compile = compile
        self.checkpoint = checkpoint
        self.callbacks = callbacks
        self.net_params = net_params
        self.verbose = verbose
        self.random_state = random_state

    # -- what classifiers and regressors tell apart ---------------------------------------------------------------

    @abstractmethod
    def _learn_targets(self, y: Any) -> np.ndarray:
        """Numbers of classes (n,), or standardised targets (n, n_outputs)."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Width of the head."""

    @abstractmethod
    def _criterion(self, targets: np.ndarray) -> Any:
        """What makes the loss."""

    def _mixing(self, module: MaskedAutoencoder) -> Mixing | None:  # noqa: ARG002
        return None

    def _stratify(self, targets: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        return None

    # -- fitting --------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Fit the encoder, unless it is fitted, then fine-tune it under a fresh head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Any real type; memory maps stay on the disk.
        y : array-like
            Labels of shape (n_samples,); for a regressor, numbers of shape
            (n_samples, \\*target_shape).

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If X is a Dataset.
        ValueError
            If X or y hold NaN or infinity, or differ in length; if X does not fit the encoder; if there are fewer
            blocks than `trainable_blocks`, or fewer than two classes; if too few samples are left to set a part aside
            for early stopping, or this is asked for together with a checkpoint; if the checkpoint is damaged.
        FloatingPointError
            If the loss becomes NaN or infinite. The estimator then has the last weights that gave a finite loss.
        KeyboardInterrupt
            On Ctrl-C, with the weights of the last whole epoch, after the checkpoint was written.
        """
        with all_or_nothing(self, but=STOPPED):
            with all_or_nothing(self):
                X = _as_array(X)
                rows = self._check_rows(X, reset=True)
                check_finite(rows)
                targets = self._learn_targets(_as_long_as(y, len(rows)))
                seed = int(check_random_state(self.random_state).randint(2**31 - 1))
                self._check_early(seed)
                split, criterion = self._split(targets, seed), self._criterion(targets)
                pretrained = self._pretrained(X, seed)
                self.image_shape_, self.channel_axis_ = pretrained.image_shape_, pretrained.channel_axis_
                self.net_ = self._build(pretrained.net_.plain_module, rows, criterion, split, seed)
                keeper = self._keeper(rows, targets, seed)
                self._learn_head(rows)
                state = None if keeper.folder is None else read(keeper.folder, keeper.fingerprint)
                if state is not None:
                    restore(self.net_, state)
                done = state is not None and state["finished"]
                dataset = None if done else self._dataset(rows, targets)
            if not done:
                try:
                    train(self.net_, dataset, keeper, self.max_epochs - len(self.history_))
                finally:
                    self.net_.reads_frozen = False
        return self

    def _dataset(self, rows: np.ndarray, targets: np.ndarray) -> LabelledRows:
        samples, y = self._samples(rows), torch.from_numpy(targets)
        y = y.to(self.net_.where) if isinstance(samples, ResidentDataset) else y
        return LabelledRows(samples, y, np.arange(len(rows)))

    def _pretrained(self, X: Any, seed: int) -> ViTMAE:
        """The autoencoder whose encoder is taken, which knows the grid and the statistics of the pixels."""
        encoder = _unfrozen(self.encoder)
        if encoder is None:
            architecture = ("patch", "image_shape", "channel_axis", "embed_dim", "encoder_layers", "encoder_heads")
            parameters = {name: getattr(self, name) for name in (*architecture, "mlp_ratio", "device")}
            scratch = ViTMAE(**parameters, mask=0, decoder_dim=1, decoder_layers=1, decoder_heads=1)
            return scratch._untrained(X, seed)
        if encoder is self.encoder and "net_" not in encoder.__dict__:
            return clone(encoder).fit(X)
        encoder._read_fitted(X)
        return encoder

    def _set_grid(self, sample_shape: tuple[int, ...] | None) -> None:
        """From X where there is no encoder, which knows it."""
        if self.encoder is None:
            super()._set_grid(sample_shape)

    def _split(self, targets: np.ndarray, seed: int) -> Split | None:
        if not self.early_stopping:
            return None
        settings = {"test_size": self.validation_fraction, "random_state": seed, "stratify": self._stratify(targets)}
        try:
            return Split(*train_test_split(np.arange(len(targets)), **settings))
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot set validation_fraction={self.validation_fraction} of {len(targets)} "
                f"samples aside, with some of every class on either side: {error} Pass another validation_fraction, "
                f"more samples, at least 2 of each class if there are classes, or early_stopping=False."
            ) from error

    def _check_early(self, seed: int) -> None:
        """Refuse what can be told to be wrong before an encoder is pretrained for hours."""
        if self.checkpoint is not None and self.early_stopping:
            raise ValueError(
                "checkpoint and early_stopping=True do not go together: a stopped training would forget which of its "
                "weights were best. Pass checkpoint=None or early_stopping=False."
            )
        net_settings(self.get_params(deep=False), seed, resolve_device(self.device))
        encoder = self if self.encoder is None else _unfrozen(self.encoder)
        fitted = encoder.__dict__.get("net_") if encoder is not self else None
        if fitted is None and encoder is not self:
            self._check_unfitted(encoder)
        self._check_blocks(encoder.encoder_layers if fitted is None else len(fitted.plain_module.encoder.blocks))

    def _check_unfitted(self, encoder: ViTMAE) -> None:
        encoder._validate_params()
        if self.checkpoint is not None and encoder.checkpoint is None and encoder.random_state is None:
            raise ValueError(
                "checkpoint needs an encoder that is the same at every call of fit. Pass a random_state or a "
                "checkpoint to the encoder, or a fitted encoder."
            )

    def _check_blocks(self, n_blocks: int) -> None:
        if self.trainable_blocks is not None and self.trainable_blocks > n_blocks:
            raise ValueError(
                f"trainable_blocks={self.trainable_blocks}, but the encoder has {n_blocks} blocks. Pass 0 (the head "
                f"alone) to {n_blocks}, or None for all of the encoder, patch embedding included."
            )

    def _build(
        self, pretrained: MaskedAutoencoder, rows: np.ndarray, criterion: Any, split: Split | None, seed: int
    ) -> Any:
        augment, mixing = self._augment(pretrained, rows), self._mixing(pretrained)
        parameters = self.get_params(deep=False)
        return build_predictor_net(parameters, pretrained, criterion, self._n_outputs(), augment, mixing, split, seed)

    def _augment(self, pretrained: MaskedAutoencoder, rows: np.ndarray) -> Augment | None:
        low, high = 0.0, 255.0
        if self.augment == "randaugment" and rows.dtype != np.uint8:
            low, high = float(rows.min()), float(rows.max())
            high = high if high > low else low + 1
        standardize = pretrained.standardize
        mean, scale = (buffer.flatten().cpu() for buffer in (standardize.mean, standardize.scale))
        bounds = ((bound - mean) / scale for bound in (low, high))
        return make_supervised_augment(self.augment, pretrained.grid, *bounds)

    def _keeper(self, rows: np.ndarray, targets: np.ndarray, seed: int) -> Keeper:
        """What keeps the state of `fit`: in a folder of its own for these parameters, data and encoder."""
        if self.checkpoint is None:
            return Keeper(None, None, "")
        parameters = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_IN_FINGERPRINT}
        if self.encoder is not None:  # fresh weights follow from the seed
            weights = self.net_.plain_module.state_dict()
            parameters["weights"] = {name: value.cpu().numpy() for name, value in weights.items()}
        parameters["grid"] = (self.image_shape_, self.channel_axis_)
        parameters["targets"] = targets
        parameters["seed"] = None if self.random_state is None else seed
        fingerprint = fingerprint_of(parameters, rows)
        return Keeper(Path(self.checkpoint) / fingerprint, None, fingerprint)

    def _learn_head(self, rows: np.ndarray) -> None:
        some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLES_FOR_HEAD)).astype(int))
        features = over_batches(
            self.net_, rows[some], self.batch_size, lambda module, images, _: module.features(module.freeze(images))
        )
        self.net_.plain_module.head.learn(features)

    def _samples(self, rows: np.ndarray) -> Any:
        """What is read in training: images, or what the frozen part makes of them, where that is always the same."""
        net, module = self.net_, self.net_.plain_module
        width = module.head.linear.in_features
        head_alone = module.n_frozen == len(module.encoder.blocks)
        n_values = width if head_alone else width * (1 + module.grid.n_patches)
        same = module.n_frozen is not None and net.augment is None and net.mixing is None
        if not same or not fits(4 * len(rows) * n_values, net.where):
            return dataset_of(rows, net.where)
        net.reads_frozen = True
        frozen = over_batches(net, rows, self.batch_size, lambda module, images, _: module.freeze(images))
        return dataset_of(frozen.astype(np.float32, copy=False), net.where)

    # -- using ----------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """(n_samples, n_outputs), computed in float64 where X is, else in float32."""
        check_is_fitted(self)
        rows = self._check_rows(_as_array(X), reset=False)
        return over_batches(self.net_, rows, self.batch_size, lambda module, images, _: module.predict(images))

    @property
    def history_(self) -> Any:
        check_is_fitted(self)
        return self.net_.history

    def __sklearn_is_fitted__(self) -> bool:
        return "net_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


def _unfrozen(encoder: Any) -> Any:
    encoder = encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder
    if encoder is not None and not isinstance(encoder, ViTMAE):
        raise TypeError(
            f"encoder is a frozen {type(encoder).__name__}. Pass a ViTMAE, a fitted one inside a FrozenEstimator, or "
            f"None to train from scratch."
        )
    return encoder


def _as_array(X: Any) -> Any:
    if isinstance(X, Dataset):
        raise TypeError(
            f"X is a Dataset, {type(X).__name__}. A predictor takes arrays, memory-mapped ones too, with y beside them."
        )
    return to_array(X) if isinstance(X, Tensor) else X


def _as_long_as(y: Any, n_samples: int) -> Any:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None. Pass one target for each sample of X.")
    if _num_samples(y) != n_samples:
        raise ValueError(
            f"y has {_num_samples(y)} targets for the {n_samples} samples of X. Pass one for each: these are "
            f"inconsistent numbers of samples."
        )
    return y
