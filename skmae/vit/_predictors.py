"""ViTMAEClassifier and ViTMAERegressor: predictions on top of the encoder of a masked autoencoder."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, assert_all_finite, check_random_state, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted
from torch import Tensor
from torch.utils.data import Dataset

from skmae._compat import Interval, StrOptions, _num_samples, fit_context
from skmae._config import SIZES, ViTConfig
from skmae._estimator import GridEstimator, store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import GRID, MASKING, shared_docs
from skmae._samples import Samples
from skmae._typing import AnyPath, ChannelAxis, Constraints, Patch, RandomState, Shape
from skmae.vit._augmentation import Augment, Augmentation, Mixing, make_supervised_augment
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._build import module_params, net_settings, resolve_device
from skmae.vit._checkpoint import Checkpointer, fingerprint_of, train
from skmae.vit._data import ChannelStatistics, LabelledRows, ResidentDataset, dataset_of, fits, to_array
from skmae.vit._finetuning import (
    ClassificationLoss,
    Predictor,
    PredictorNet,
    RegressionLoss,
    Split,
    build_predictor_net,
    check_blocks,
)
from skmae.vit._inference import over_batches
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._net import drawing_weights, naming_net_params
from skmae.vit._network import Network
from skmae.vit._parameters import PREDICTOR_DOCS, TRAINING

_SAMPLES_FOR_HEAD = 2048  # that mean and spread of the features are learned from
# what does not change the result of a training; encoder, grid, targets and seed stand for the rest
_NOT_IN_FINGERPRINT = {"encoder", "image_shape", "channel_axis", "device", "compile", "checkpoint", "verbose"} | {
    "random_state"
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
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        labels, numbers = np.unique(y, return_inverse=True)
        if len(labels) < 2:
            raise ValueError(
                f"y holds one class only, {labels[0]!r}. A classifier needs samples of at least 2 classes."
            )
        return cls(labels), numbers.astype(np.int64)


@dataclass(frozen=True)
class NumberTargets:
    """The numbers that a regressor predicts: their shape for one sample, their means and standard deviations."""

    shape: Shape
    mean: np.ndarray
    scale: np.ndarray

    @property
    def n_outputs(self) -> int:
        return len(self.mean)

    @classmethod
    def read(cls, y: ArrayLike) -> tuple["NumberTargets", np.ndarray]:
        """What they are like, and the standardised numbers (n, n_outputs)."""
        values: np.ndarray = check_array(
            y, ensure_2d=False, allow_nd=True, dtype=(np.float64, np.float32), input_name="y"
        )
        if 0 in values.shape:
            raise ValueError(
                f"y has shape {values.shape}, without a number to predict. Pass at least one for each sample."
            )
        flat = values.reshape(len(values), -1).astype(np.float64)
        mean, spread = flat.mean(axis=0), flat.std(axis=0)
        scale = np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)
        return cls(values.shape[1:], mean, scale), ((flat - mean) / scale).astype(np.float32)


@dataclass(frozen=True)
class FineTuned:
    """A trained net, and what it predicts."""

    net: PredictorNet
    targets: Any  # ClassTargets or NumberTargets


class FineTuner(GridEstimator, ABC):
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
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
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
        samples = self._as_samples(X)
        samples.check_finite()
        targets, values = self._read_targets(_check_length(y, len(samples)))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._check_before_pretraining(samples, seed)
        split, criterion = self._split(values, seed), self._criterion(targets, values)
        pretrained, grid = self._pretrained(samples, seed)
        predictor = self._predictor(pretrained, grid, targets.n_outputs, seed)
        augment = self._augment(predictor, samples)
        parameters = self.get_params(deep=False)
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
        if isinstance(X, Dataset):
            raise TypeError(
                f"X is a Dataset, {type(X).__name__}. A predictor takes arrays, memory-mapped ones too, with y beside "
                f"them."
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
            encoder = clone(encoder).fit(samples)
        else:
            encoder._as_fitted_samples(samples)
        return encoder.net_.plain_module, encoder.net_.grid

    def _fresh_network(self, grid: PatchGrid, seed: int) -> MaskedAutoencoder:
        parameters = self.get_params(deep=False)
        sizes = {name: parameters[name] for name in _ENCODER_SIZES}
        no_decoder = {"decoder_dim": 1, "decoder_layers": 1, "decoder_heads": 1}
        with naming_net_params(parameters), drawing_weights(seed):
            return MaskedAutoencoder(grid, ViTConfig(**sizes, **no_decoder, **module_params(parameters)))

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
                "weights were best. Pass checkpoint=None or early_stopping=False."
            )
        parameters = self.get_params(deep=False)
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
        mean, scale = (buffer.flatten().cpu() for buffer in (standardize.mean, standardize.scale))
        bounds = ((bound - mean) / scale for bound in (low, high))
        return make_supervised_augment(self.augment, predictor.grid, *bounds)

    def _checkpointer(self, net: PredictorNet, samples: Samples, values: np.ndarray, seed: int) -> Checkpointer:
        """What keeps the state of `fit`: in a folder of its own for these parameters, data and encoder."""
        if self.checkpoint is None:
            return Checkpointer()
        parameters = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_IN_FINGERPRINT}
        if self.encoder is not None:  # fresh weights follow from the seed
            weights = net.plain_module.state_dict()
            parameters["weights"] = {name: value.cpu().numpy() for name, value in weights.items()}
        grid = net.plain_module.grid
        parameters["grid"] = (grid.image_shape, grid.channel_axis)
        parameters["targets"] = values
        parameters["seed"] = None if self.random_state is None else seed
        fingerprint = fingerprint_of(parameters, samples)
        return Checkpointer(Path(self.checkpoint) / fingerprint, None, fingerprint)

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


@shared_docs(PREDICTOR_DOCS)
class ViTMAEClassifier(ClassifierMixin, FineTuner):
    """Classifier on top of the encoder of a masked autoencoder, fine-tuned in whole or in part.

    Parameters
    ----------
    %(encoder)s
    mixup, cutmix : float, default=0.0
        Above 0, batches are mixed: pictures blended, or a box of one pasted into another, by a share drawn from a beta
        distribution with this parameter (0.8 and 1.0 are common). With both, each batch is mixed in one of the ways.
    label_smoothing : float, default=0.0
        Share of each label that is spread over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn's classifiers.
    %(pool)s
    augment : {"auto", "randaugment"}, callable or None, default="auto"
        %(augmentations)s
    %(fine_tuning)s

    Attributes
    ----------
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module: ``encoder`` and ``head``.
    history_ : skorch.history.History
        Losses and times: ``history_[:, "train_loss"]``.
    classes_ : ndarray of shape (n_classes,)
    %(attributes)s

    See Also
    --------
    ViTMAE : The autoencoder.
    ViTMAERegressor : The same for numbers.

    Notes
    -----
    The head is a linear layer on features less their mean, over their spread, both as they were before training, and
    begins at zero. Learning rates of encoder layers are ``learning_rate * layer_decay ** (n_blocks - i)`` for block i,
    counted from 0, and ``layer_decay ** (n_blocks + 1)`` for the patch embedding, as in He et al.

    `score` counts labels that were not there in training as missed.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import ViTMAE, ViTMAEClassifier
    >>> X, y = load_digits().images, load_digits().target
    >>> mae = ViTMAE(patch=2, embed_dim=16, encoder_layers=2, encoder_heads=2, decoder_layers=1, decoder_heads=2,
    ...              max_epochs=2, learning_rate=4e-3, random_state=0).fit(X)
    >>> clf = ViTMAEClassifier(mae, trainable_blocks=1, augment=None, max_epochs=20, batch_size=32,
    ...                        learning_rate=2e-2, random_state=0)
    >>> clf.fit(X[:1500], y[:1500]).predict_proba(X[1500:]).shape
    (297, 10)
    >>> clf.score(X[1500:], y[1500:]) > 0.6
    True
    """

    _parameter_constraints: Constraints = {
        **FineTuner._parameter_constraints,
        "mixup": [Interval(Real, 0, None, closed="left")],
        "cutmix": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        encoder: DeepAutoencoder | FrozenEstimator | None = None,
        *,
        trainable_blocks: int | None = None,
        layer_decay: float = 0.75,
        drop_path: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Mapping[object, float] | str | None = None,
        pool: str = "mean",
        augment: Augmentation = "auto",
        max_epochs: int = 50,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        warmup_epochs: int = 5,
        weight_decay: float = 0.05,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        patch: Patch = 4,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        embed_dim: int = 192,
        encoder_layers: int = 12,
        encoder_heads: int = 12,
        mlp_ratio: float = 4,
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool = False,
        checkpoint: AnyPath | None = None,
        callbacks: Sequence[object] | None = None,
        net_params: Mapping[str, object] | None = None,
        verbose: int = 0,
        random_state: RandomState = None,
    ):
        store_parameters(self, locals())

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The likeliest class of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; rows sum to 1.

        Raises
        ------
        ValueError
            For the same faults of X as `predict`.
        """
        return softmax(self._outputs(X).astype(np.float64), axis=1)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Share of the samples whose class is predicted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like of shape (n_samples,)
            Labels that were not there in training count as missed.
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
            From 0 to 1.

        Raises
        ------
        ValueError
            For the same faults of X as `predict`.
        """
        return super().score(X, y, sample_weight)

    def _read_targets(self, y: ArrayLike) -> tuple[ClassTargets, np.ndarray]:
        return ClassTargets.read(y)

    def _criterion(self, targets: ClassTargets, values: np.ndarray) -> Callable[[], Any]:
        labels = targets.labels
        weights = compute_class_weight(self.class_weight, classes=labels, y=labels[values])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                f"class_weight={self.class_weight!r} gives the classes the weights {weights.tolist()}. Pass finite "
                f"numbers, none below 0 and one above it, or 'balanced', or None."
            )
        weights = weights / weights[values].mean()  # the step is as large as without
        return partial(ClassificationLoss, weights.tolist(), self.label_smoothing)

    def _mixing(self, grid: PatchGrid) -> Mixing | None:
        return Mixing(self.mixup, self.cutmix, grid) if self.mixup or self.cutmix else None

    def _stratify(self, values: np.ndarray) -> np.ndarray | None:
        return values

    @property
    def classes_(self) -> np.ndarray:
        return self._targets.labels


@shared_docs(PREDICTOR_DOCS)
class ViTMAERegressor(RegressorMixin, FineTuner):
    """Regressor on top of the encoder of a masked autoencoder, fine-tuned in whole or in part.

    It predicts one number, several, or a picture of them (such as a depth map) for each sample.

    Parameters
    ----------
    %(encoder)s
    %(pool)s
    augment : {"auto", "randaugment"}, callable or None, default=None
        %(augmentations)s
        Only X is changed, not y: none of this is for targets that have a place in the picture.
    %(fine_tuning)s

    Attributes
    ----------
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module: ``encoder`` and ``head``.
    history_ : skorch.history.History
        Losses (of standardised targets) and times.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the targets, with which they are standardised in training.
    target_shape_ : tuple of int
        Shape of the target of one sample: () for a number.
    %(attributes)s

    See Also
    --------
    ViTMAE : The autoencoder.
    ViTMAEClassifier : The same for classes; its notes on the head and the learning rates hold here.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmae import ViTMAERegressor
    >>> X = load_digits().images
    >>> ink = X.mean(axis=2)  # of each line: 8 numbers for each picture
    >>> reg = ViTMAERegressor(patch=2, embed_dim=16, encoder_layers=1, encoder_heads=2, max_epochs=20,
    ...                       batch_size=32, learning_rate=2e-2, random_state=0)
    >>> reg.fit(X[:1500], ink[:1500]).predict(X[1500:]).shape
    (297, 8)
    >>> reg.score(X[1500:], ink[1500:]) > 0.6
    True
    """

    def __init__(
        self,
        encoder: DeepAutoencoder | FrozenEstimator | None = None,
        *,
        trainable_blocks: int | None = None,
        layer_decay: float = 0.75,
        drop_path: float = 0.0,
        pool: str = "mean",
        augment: Augmentation = None,
        max_epochs: int = 50,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        warmup_epochs: int = 5,
        weight_decay: float = 0.05,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        patch: Patch = 4,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        embed_dim: int = 192,
        encoder_layers: int = 12,
        encoder_heads: int = 12,
        mlp_ratio: float = 4,
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool = False,
        checkpoint: AnyPath | None = None,
        callbacks: Sequence[object] | None = None,
        net_params: Mapping[str, object] | None = None,
        verbose: int = 0,
        random_state: RandomState = None,
    ):
        store_parameters(self, locals())

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples, \\*target_shape)
            In units of y; float32, or float64 where X is.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        outputs = self._outputs(X)
        outputs = outputs * self.target_scale_.astype(outputs.dtype) + self.target_mean_.astype(outputs.dtype)
        return outputs.reshape(len(outputs), *self.target_shape_)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination R², the mean over outputs; of pictures, over their pixels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like of shape (n_samples, \\*target_shape)
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
            At most 1.

        Raises
        ------
        ValueError
            For the same faults of X as `predict`, or if y has another shape than the predictions.
        """
        prediction, y = self.predict(X), np.asarray(y)
        one_number = prod(y.shape[1:]) == prod(self.target_shape_) == 1  # in a column, or not
        if y.shape[1:] != self.target_shape_ and not one_number:
            raise ValueError(
                f"y has targets of shape {y.shape[1:]}, but this regressor was fitted on targets of shape "
                f"{self.target_shape_}. Pass those."
            )
        return r2_score(y.reshape(len(y), -1), prediction.reshape(len(y), -1), sample_weight=sample_weight)

    def _read_targets(self, y: ArrayLike) -> tuple[NumberTargets, np.ndarray]:
        return NumberTargets.read(y)

    def _criterion(self, targets: NumberTargets, values: np.ndarray) -> Callable[[], Any]:  # noqa: ARG002
        return RegressionLoss

    @property
    def target_shape_(self) -> Shape:
        return self._targets.shape

    @property
    def target_mean_(self) -> np.ndarray:
        return self._targets.mean

    @property
    def target_scale_(self) -> np.ndarray:
        return self._targets.scale

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _unfrozen(encoder: Any) -> Any:
    encoder = encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder
    if encoder is not None and not isinstance(encoder, DeepAutoencoder):
        raise TypeError(
            f"encoder is a frozen {type(encoder).__name__}. Pass a ViTMAE or another DeepAutoencoder, a fitted one "
            f"inside a FrozenEstimator, or None to train from scratch."
        )
    return encoder


def _check_length(y: ArrayLike, n_samples: int) -> Any:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None. Pass one target for each sample of X.")
    if _num_samples(y) != n_samples:
        raise ValueError(
            f"y has {_num_samples(y)} targets for the {n_samples} samples of X. Pass one for each: these are "
            f"inconsistent numbers of samples."
        )
    return y
