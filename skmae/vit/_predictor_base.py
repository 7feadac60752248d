"""What classifier and regressor share: from an encoder and targets to a fine-tuned net."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from skmae._compat import Interval, StrOptions, _num_samples, fit_context
from skmae._config import SIZES, ViTConfig, check_widths
from skmae._estimator import GridEstimator
from skmae._grid import PatchGrid
from skmae._parameters import GRID, MASKING
from skmae._samples import Samples
from skmae._typing import Constraints, Shape
from skmae._undisturbed import undisturbed
from skmae.vit._augmentation import Augment, Mixing, make_supervised_augment
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._build import module_params, net_settings, resolve_device
from skmae.vit._callbacks import ClonesCallbacks
from skmae.vit._checkpoint import Checkpointer, described_network, fingerprint_of, hashes_of, noted_precision, train
from skmae.vit._data import ChannelStatistics, LabelledRows, ResidentDataset, dataset_of, fits, to_array
from skmae.vit._finetuning import (
    Predictor,
    PredictorNet,
    Split,
    build_predictor_net,
    check_blocks,
)
from skmae.vit._inference import over_batches
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._net import drawing_weights, naming_net_params
from skmae.vit._network import Network
from skmae.vit._parameters import TRAINING, plain_numbers

_SAMPLES_FOR_HEAD = 2048  # that mean and spread of the features are learned from
# what does not change the result of a training; encoder, grid, targets and seed stand for the rest
_NOT_IN_FINGERPRINT = {"encoder", "image_shape", "channel_axis", "device", "compile", "checkpoint", "verbose"} | {
    "random_state",
    "early_stopping",  # which a checkpoint refuses
    "validation_fraction",
    "n_iter_no_change",
}
_ENCODER_SIZES = ("embed_dim", "encoder_layers", "encoder_heads", "mlp_ratio")


@dataclass(frozen=True)
class ClassTargets:
    """The classes that a classifier tells apart."""

    labels: np.ndarray

    @property
    def n_outputs(self) -> int:
        return len(self.labels)

    @classmethod
    def read(cls, y: ArrayLike) -> tuple["ClassTargets", np.ndarray]:
        """The classes, and their numbers (n,)."""
        y = plain_labels(column_or_1d(y, warn=True))
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        labels, numbers = np.unique(y, return_inverse=True)
        if len(labels) < 2:
            raise ValueError(
                f"y holds one class only, {labels[0]!r}. A classifier needs samples of at least 2 classes."
            )
        return cls(labels), numbers.astype(np.int64)


def plain_labels(y: np.ndarray) -> np.ndarray:
    """Labels in an array of objects, as a data frame may give them, in a type of their own; all must be of one kind."""
    if y.dtype != object:
        return y
    kinds = {Real if isinstance(label, Real) else str if isinstance(label, str) else type(label) for label in y}
    if not kinds <= {Real} and len(kinds) > 1:
        names = sorted({type(label).__name__ for label in y})
        raise ValueError(
            f"y holds labels of different types: {', '.join(names)}. Pass labels of one type, all numbers or all text, "
            f"and none that is missing."
        )
    return np.asarray(y.tolist()) if kinds == {Real} else y


@dataclass(frozen=True)
class NumberTargets:
    """The numbers that a regressor predicts: their shape for one sample, their means and standard deviations."""

    shape: Shape
    mean: np.ndarray
    scale: np.ndarray
    dtype: np.dtype[Any]

    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    @classmethod
    def read(cls, y: ArrayLike) -> tuple["NumberTargets", np.ndarray]:
        """What they are like, and the standardised numbers (n, n_outputs)."""
        values = read_numbers(y)
        if 0 in values.shape:
            raise ValueError(
                f"y has shape {values.shape}, without a number to predict. Pass at least one for each sample."
            )
        flat = values.reshape(len(values), -1).astype(np.float64)
        _check_scale(flat)
        mean, spread = flat.mean(axis=0), flat.std(axis=0)
        scale = np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)
        return cls(values.shape[1:], mean, scale, values.dtype), ((flat - mean) / scale).astype(np.float32)

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n, n_outputs) in units of the targets, (n, \\*shape), in float32 where both were."""
        values = outputs * self.scale + self.mean
        return values.astype(np.result_type(outputs, self.dtype), copy=False).reshape(len(outputs), *self.shape)


def read_numbers(y: ArrayLike) -> np.ndarray:
    """Targets in float64 or float32, all finite."""
    if getattr(getattr(y, "dtype", None), "kind", "f") in ("m", "M"):
        raise ValueError(
            f"y has type {np.asarray(y).dtype}, a time. Pass numbers, such as seconds: (y - y.min()) / "
            f"numpy.timedelta64(1, 's')."
        )
    try:
        return check_array(y, ensure_2d=False, allow_nd=True, dtype=(np.float64, np.float32), input_name="y")
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"y does not hold finite real numbers, as many for each sample of X: {error}") from error


def _check_scale(targets: np.ndarray) -> None:
    """Refuse targets (n, n_outputs) whose squares float64 does not hold."""
    largest, width = np.abs(targets).max(), np.ptp(targets / 2, axis=0)
    narrow = width[width > 0].min(initial=1.0)
    if largest > 1e150 or narrow < 1e-150:
        what = f"values as large as {largest:.3g}" if largest > 1e150 else f"values that vary by {narrow:.3g} only"
        raise ValueError(
            f"y has {what}: squares of errors would be beyond the range of float64. Give y in other units, so that it "
            f"is within 1e-150 and 1e150."
        )


@dataclass(frozen=True)
class FineTuned:
    """A trained net, and what it predicts."""

    net: PredictorNet
    targets: Any  # ClassTargets or NumberTargets


class FineTuner(ClonesCallbacks, GridEstimator, ABC):
    """What the predictors share: from an encoder and targets to a trained net."""

    _parameter_constraints: Constraints = {
        "encoder": [DeepAutoencoder, FrozenEstimator, None],
        "trainable_blocks": [Interval(Integral, 0, None, closed="left"), None],
        "layer_decay": [Interval(Real, 0, 1, closed="right")],
        "drop_path": [Interval(Real, 0, 1, closed="left")],
        "augment": [StrOptions({"auto", "randaugment"}), callable, None],
        **TRAINING,
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "patch": MASKING["patch"],
        **GRID,
        **{name: SIZES[name] for name in _ENCODER_SIZES},
    }

    # -- what classifiers and regressors tell apart ---------------------------------------------------------------

    @abstractmethod
    def _read_targets(self, y: ArrayLike) -> tuple[Any, np.ndarray]:
        """`ClassTargets` or `NumberTargets`, and the targets of the samples as the loss takes them."""

    @abstractmethod
    def _criterion(self, targets: Any, values: np.ndarray) -> Callable[[], Any]:
        """What makes the loss."""

    def _mixing(self, grid: PatchGrid) -> Mixing | None:  # noqa: ARG002
        return None

    def _stratify(self, values: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        return None

    # -- fitting --------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    @undisturbed()
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit the encoder, unless it is fitted, then fine-tune it under a fresh head.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Any real type; memory maps stay on the disk.
        y : array-like
            Labels of shape (n_samples,); for a regressor, numbers of shape
            (n_samples, \\*target_shape). It must be given.

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
        samples = self._as_samples(X)
        samples.check_finite()
        targets, values = self._read_targets(read_y(y, len(samples)))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._check_before_pretraining(samples, seed)
        split, criterion = self._split(values, seed), self._criterion(targets, values)
        pretrained, grid = self._pretrained(samples, seed)
        predictor = self._predictor(pretrained, grid, targets.n_outputs, seed)
        augment = self._augment(predictor, samples)
        parameters = plain_numbers(self.get_params(deep=False))
        net = build_predictor_net(parameters, predictor, criterion, augment, self._mixing(grid), split, seed)
        checkpointer, stopped = self._checkpointer(net, samples, values, seed), None
        self._learn_head(net, samples)
        if not checkpointer.resume(net):
            try:
                dataset = self._dataset(net, samples, values)
                stopped = train(net, dataset, checkpointer, self.max_epochs - len(net.history))
            finally:
                net.reads_frozen = False
        samples.record(self)
        self._fine_tuned = FineTuned(net, targets)
        if stopped is not None:
            raise stopped
        return self

    def _as_samples(self, X: ArrayLike) -> Samples:
        if isinstance(X, Dataset | DataLoader):
            kind = f"Dataset, {type(X).__name__}" if isinstance(X, Dataset) else "DataLoader"
            raise TypeError(
                f"X is a {kind}. A predictor takes arrays, memory-mapped ones too, with y beside them, and "
                f"no Dataset or DataLoader. Of a small one: X, y = map(numpy.stack, zip(*dataset))."
            )
        return super()._as_samples(to_array(X) if isinstance(X, Tensor) else X)

    def _dataset(self, net: PredictorNet, samples: Samples, values: np.ndarray) -> LabelledRows:
        inputs, y = self._inputs(net, samples), torch.from_numpy(values)
        y = y.to(net.where) if isinstance(inputs, ResidentDataset) else y
        return LabelledRows(inputs, y, np.arange(len(samples)))

    def _pretrained(self, samples: Samples, seed: int) -> tuple[Network, PatchGrid]:
        """The network whose encoder is taken, which knows the statistics of the pixels, and its grid."""
        encoder = _unfrozen(self.encoder)
        if encoder is None:
            shape = self._resolve_shape(samples.n_features, samples.sample_shape)
            grid = PatchGrid.build_regular(*shape, self.patch)
            network = self._fresh_network(grid, seed)
            statistics = ChannelStatistics.of(samples, grid)
            network.standardize.learn(statistics.mean, statistics.scale)
            return network, grid
        if encoder is self.encoder and not encoder.__sklearn_is_fitted__():
            encoder = clone(encoder)
            if encoder.random_state is None and self.random_state is not None:
                encoder.random_state = seed
            encoder.fit(samples)
        else:
            encoder._as_fitted_samples(samples)
        return encoder.net_.plain_module, encoder.net_.grid

    def _fresh_network(self, grid: PatchGrid, seed: int) -> MaskedAutoencoder:
        parameters = plain_numbers(self.get_params(deep=False))
        sizes = {name: parameters[name] for name in _ENCODER_SIZES}
        check_widths(len(grid.grid_shape), embed_dim=self.embed_dim)
        no_decoder = {"decoder_dim": 1, "decoder_layers": 1, "decoder_heads": 1}
        with naming_net_params(parameters), drawing_weights(seed):
            return MaskedAutoencoder(grid, ViTConfig.from_parameters(sizes | no_decoder, **module_params(parameters)))

    def _predictor(self, pretrained: Network, grid: PatchGrid, n_outputs: int, seed: int) -> Predictor:
        with drawing_weights(seed):
            return Predictor(pretrained, grid, n_outputs, self.trainable_blocks, self.pool, self.drop_path)

    def _split(self, values: np.ndarray, seed: int) -> Split | None:
        if not self.early_stopping:
            return None
        settings = {"test_size": self.validation_fraction, "random_state": seed, "stratify": self._stratify(values)}
        try:
            return Split(*train_test_split(np.arange(len(values)), **settings))
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot set validation_fraction={self.validation_fraction} of {len(values)} "
                f"samples aside, with some of every class on either side: {error} Pass another validation_fraction, "
                f"more samples, at least 2 of each class if there are classes, or early_stopping=False."
            ) from error

    def _check_before_pretraining(self, samples: Samples, seed: int) -> None:
        """Refuse what is known to be wrong before an encoder is pretrained for hours."""
        if self.checkpoint is not None and self.early_stopping:
            raise ValueError(
                "checkpoint and early_stopping=True do not go together: a stopped training would forget which of its "
                "weights were best. Pass checkpoint=None or early_stopping=False; in EpochHalvingSearchCV, which keeps "
                "checkpoints of its own, early_stopping=False."
            )
        parameters = plain_numbers(self.get_params(deep=False))
        net_settings(parameters, seed, resolve_device(self.device))
        encoder = _unfrozen(self.encoder)
        if encoder is None:
            return
        if module_params(parameters):
            raise ValueError(
                f"net_params={self.net_params!r} has parameters of a fresh module, but the network is that of encoder. "
                f"Pass them to the encoder, or encoder=None."
            )
        if not encoder.__sklearn_is_fitted__():
            self._check_unfitted(encoder, samples)

    def _check_unfitted(self, encoder: DeepAutoencoder, samples: Samples) -> None:
        encoder._validate_params()
        if self.checkpoint is not None and encoder.checkpoint is None and encoder.random_state is None:
            raise ValueError(
                "checkpoint needs an encoder that is the same at every call of fit. Pass a random_state or a "
                "checkpoint to the encoder, or a fitted encoder."
            )
        if self.trainable_blocks or self.drop_path:
            check_blocks(clone(encoder)._network_for(samples), self.trainable_blocks, self.drop_path)

    def _augment(self, predictor: Predictor, samples: Samples) -> Augment | None:
        low, high = 0.0, 255.0
        if self.augment == "randaugment" and samples.dtype != np.uint8:
            extremes = [(block.min(), block.max()) for _, block in samples.blocks()]
            low, high = float(min(lows for lows, _ in extremes)), float(max(highs for _, highs in extremes))
            high = high if high > low else low + 1
        standardize = predictor.standardize
        mean, scale = (values.float() for values in standardize.statistics())
        bounds = ((bound - mean) / scale for bound in (low, high))
        return make_supervised_augment(self.augment, predictor.grid, *bounds)

    def _checkpointer(self, net: PredictorNet, samples: Samples, values: np.ndarray, seed: int) -> Checkpointer:
        """What keeps the state of `fit`: in a folder of its own for these parameters, data and encoder."""
        if self.checkpoint is None:
            return Checkpointer()
        given = plain_numbers(self.get_params(deep=False))
        parameters = {name: value for name, value in given.items() if name not in _NOT_IN_FINGERPRINT}
        if self.encoder is not None:  # fresh weights follow from the seed
            parameters["encoder"] = described_network(net.plain_module)
            parameters = {name: value for name, value in parameters.items() if name not in (*_ENCODER_SIZES, "patch")}
        grid = net.plain_module.grid
        parameters["image_shape"] = (grid.image_shape, grid.channel_axis)
        parameters["precision"] = noted_precision(self.precision, net.precision)
        parameters["y"] = values
        parameters["random_state"] = None if self.random_state is None else seed
        hashes = hashes_of(parameters, samples)
        fingerprint = fingerprint_of(hashes)
        say = print if self.verbose else None
        return Checkpointer(Path(self.checkpoint) / fingerprint, None, fingerprint, hashes, say=say)

    def _learn_head(self, net: PredictorNet, samples: Samples) -> None:
        n = len(samples)
        some = Samples(samples.read(np.unique(np.linspace(0, n - 1, min(n, _SAMPLES_FOR_HEAD)).astype(int))))
        features = over_batches(
            net, some, self.batch_size, lambda module, images, _: module.features(module.freeze(images))
        )
        net.plain_module.head.learn(features)

    def _inputs(self, net: PredictorNet, samples: Samples) -> Any:
        """What is read in training: images, or what the frozen part makes of them, where that is always the same."""
        module = net.plain_module
        same = module.n_frozen is not None and net.augment is None and net.mixing is None
        if not same or not fits(4 * len(samples) * module.n_frozen_values, net.where):
            return dataset_of(samples, net.where)
        net.reads_frozen = True
        frozen = over_batches(net, samples, self.batch_size, lambda module, images, _: module.freeze(images))
        return ResidentDataset(torch.from_numpy(frozen.astype(np.float32, copy=False)).to(net.where))

    # -- using ----------------------------------------------------------------------------------------------------

    def _outputs(self, X: ArrayLike) -> np.ndarray:
        """(n_samples, n_outputs), computed in float64 where X is, else in float32."""
        samples = self._as_fitted_samples(X)
        return over_batches(self.net_, samples, self.batch_size, lambda module, images, _: module.predict(images))

    @property
    def net_(self) -> PredictorNet:
        check_is_fitted(self)
        return self._fine_tuned.net

    @property
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self.net_.plain_module.grid.image_shape

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self.net_.plain_module.grid.channel_axis

    @property
    def history_(self) -> Any:
        return self.net_.history

    @property
    def precision_(self) -> str:
        return self.net_.precision

    @property
    def _targets(self) -> Any:
        check_is_fitted(self)
        return self._fine_tuned.targets

    def __sklearn_is_fitted__(self) -> bool:
        return "_fine_tuned" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


def _unfrozen(encoder: Any) -> Any:
    encoder = encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder
    if encoder is not None and not isinstance(encoder, DeepAutoencoder):
        raise TypeError(
            f"encoder is a frozen {type(encoder).__name__}. Pass a ViTMAE or another DeepAutoencoder, a fitted one "
            f"inside a FrozenEstimator, or None to train from scratch."
        )
    return encoder


def read_y(y: ArrayLike | None, n_samples: int) -> Any:
    """One target for each sample, as an array, a list or a column; of a tensor, what it holds."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None. Pass one target for each sample of X.")
    odd = {
        "numpy.matrix: pass numpy.asarray(y)": isinstance(y, np.matrix),
        "structured array: pass one of its fields": bool(getattr(getattr(y, "dtype", None), "names", None)),
        "sparse tensor: pass y.to_dense()": isinstance(y, Tensor) and y.layout is not torch.strided,
    }
    kind = next((kind for kind, is_it in odd.items() if is_it), None)
    if kind is not None:
        raise TypeError(f"y is a {kind}, a target for each sample of X.")
    y = to_array(y) if isinstance(y, Tensor) else y
    if np.ma.is_masked(y):
        raise ValueError("y has masked entries. Pass a target for each sample, and X without those that have none.")
    try:
        n_targets = _num_samples(y)
    except TypeError as error:
        raise TypeError(
            f"y is of type {type(y).__name__}, which holds no targets. Pass an array or a list of one for "
            f"each sample of X."
        ) from error
    if n_targets != n_samples:
        raise ValueError(
            f"y has {n_targets} targets for the {n_samples} samples of X. Pass one for each: these are "
            f"inconsistent numbers of samples."
        )
    return y
