"""ViTMAEClassifier and ViTMAERegressor: predictions on top of the encoder of a masked autoencoder."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, assert_all_finite, column_or_1d, compute_class_weight

from skmae._compat import Interval, StrOptions
from skmae._estimator import store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import shared_docs
from skmae._typing import AnyPath, ChannelAxis, Constraints, Patch, RandomState, Shape
from skmae.vit._augmentation import Augmentation, Mixing
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._finetuning import (
    ClassificationLoss,
    RegressionLoss,
)
from skmae.vit._parameters import PREDICTOR_DOCS
from skmae.vit._predictor_base import ClassTargets, FineTuner, NumberTargets, plain_labels, read_numbers, read_y


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
        samples: Any = self._as_fitted_samples(X)
        labels = plain_labels(column_or_1d(read_y(y, len(samples))))
        assert_all_finite(labels, input_name="y")
        weights, prediction = samples.check_weights(sample_weight), self.predict(samples)
        try:
            return float(accuracy_score(labels, prediction, sample_weight=weights))
        except ValueError as error:
            raise ValueError(f"y holds other labels than the classes, {self.classes_.tolist()}: {error}") from error

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
            In units of y, and in float32 if both X and y were given in it or narrower; else in float64.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        return self._targets.restore(self._outputs(X))

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
        samples: Any = self._as_fitted_samples(X)
        y = read_numbers(read_y(y, len(samples))).astype(np.float64)  # whose squares are summed
        weights, prediction = samples.check_weights(sample_weight), self.predict(samples)
        one_number = prod(y.shape[1:]) == prod(self.target_shape_) == 1  # in a column, or not
        if y.shape[1:] != self.target_shape_ and not one_number:
            raise ValueError(
                f"y has targets of shape {y.shape[1:]}, but this regressor was fitted on targets of shape "
                f"{self.target_shape_}. Pass those."
            )
        return r2_score(y.reshape(len(y), -1), prediction.reshape(len(y), -1), sample_weight=weights)

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
