"""ViTMAEClassifier: classes, on top of the encoder of a masked autoencoder."""

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from skmae._compat import Interval, StrOptions
from skmae.vit._augmentation import Mixing
from skmae.vit._finetune import FineTuner
from skmae.vit._finetuning import ClassificationLoss
from skmae.vit._module import MaskedAutoencoder


class ViTMAEClassifier(ClassifierMixin, FineTuner):
    """Classifier on top of the encoder of a masked autoencoder, fine-tuned in whole or in part.

    Parameters
    ----------
    encoder : ViTMAE, FrozenEstimator or None, default=None
        The autoencoder whose encoder is taken. A fitted one is used as it is and not changed; one that is not fitted is
        cloned and pretrained on X first. ``clone``, and so `cross_val_score` and `GridSearchCV`, forget what was
        fitted: there, a fitted one must come inside a ``sklearn.frozen.FrozenEstimator``. None trains from scratch.
    trainable_blocks : int or None, default=None
        Blocks of the encoder that learn, the last ones, with the norm behind them. 0 trains the head alone, None all of
        the encoder, patch embedding included. What comes before is run without gradients, and only once for each
        sample where it gives the same in every epoch (``augment=None``, neither mixup nor CutMix), if that fits into a
        quarter of the free memory.
    layer_decay : float, default=0.75
        Learning rate of a block over that of the block above it; the head's is `learning_rate`.
    drop_path : float, default=0.0
        Share of samples for which a branch of the last block is left out in a step of training, growing from 0 at the
        first block (stochastic depth).
    mixup, cutmix : float, default=0.0
        Above 0, batches are mixed: pictures blended, or a box of one pasted into another, by a share drawn from a beta
        distribution with this parameter (0.8 and 1.0 are common). With both, each batch is mixed in one of the ways.
    label_smoothing : float, default=0.0
        Share of each label that is spread over all classes.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn's classifiers.
    pool : {"mean", "cls"}, default="mean"
        What the head is given: the mean of the patches' features, or the class token.
    augment : {"auto", "randaugment"}, callable or None, default="auto"
        "auto": pictures are shifted by up to an eighth of an axis (rounded up to pixels) and flipped horizontally
        (kornia), other grids left as they are.
        "randaugment": two operations of RandAugment after that. A callable takes and returns standardised batches of
        shape (n, channels, \\*grid).
    max_epochs : int, default=50
        Passes over the data.
    batch_size : int, default=256
        Samples per step of training, and samples predicted at a time.
    learning_rate : float, default=1e-3
        Highest learning rate per 256 samples: the optimizer's is ``learning_rate * batch_size / 256``.
    warmup_epochs : int, default=5
        Epochs in which the learning rate rises, before it falls along a cosine.
    weight_decay : float, default=0.05
        Of AdamW; not for biases and norms.
    early_stopping : bool, default=False
        Stop when the loss on a part of the data that is set aside, drawn by the seed and stratified, has not fallen for
        `n_iter_no_change` epochs, and take the best weights.
    validation_fraction : float, default=0.1
        The share set aside.
    n_iter_no_change : int, default=10
        Epochs to wait.
    patch, image_shape, channel_axis, embed_dim, encoder_layers, encoder_heads, mlp_ratio
        Of the encoder trained from scratch, as in `ViTMAE`. With an `encoder` they have no effect.
    device : str or torch.device, default="auto"
        "auto" is "cuda" where there is one, else "cpu".
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Type of the matrix products in training, as in `ViTMAE`.
    compile : bool, default=False
        Compile the part that learns (``torch.compile``).
    checkpoint : str, path or None, default=None
        Folder for the state after every epoch; a killed `fit` goes on from there, as in `ViTMAE`. Not together with
        `early_stopping`.
    callbacks : list of skorch callbacks or None, default=None
        They are copied.
    net_params : dict or None, default=None
        Parameters of the skorch net that this estimator does not have itself, as in `ViTMAE`.
    verbose : int, default=0
        1 prints a line per epoch, 2 draws a progress bar, too.
    random_state : int, RandomState instance or None, default=None
        For fresh weights, order, augmentation and the part set aside.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module: ``encoder`` and ``head``.
    history_ : skorch.history.History
        Losses and times: ``history_[:, "train_loss"]``.
    classes_ : ndarray of shape (n_classes,)
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

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

    _parameter_constraints: dict[str, list[Any]] = {
        **FineTuner._parameter_constraints,
        "mixup": [Interval(Real, 0, None, closed="left")],
        "cutmix": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        trainable_blocks: int | None = None,
        layer_decay: float = 0.75,
        drop_path: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        pool: str = "mean",
        augment: Any = "auto",
        max_epochs: int = 50,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        warmup_epochs: int = 5,
        weight_decay: float = 0.05,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        patch: int | tuple[int, ...] = 4,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        embed_dim: int = 192,
        encoder_layers: int = 12,
        encoder_heads: int = 12,
        mlp_ratio: float = 4,
        device: Any = "auto",
        precision: str = "auto",
        compile: bool = False,
        checkpoint: Any = None,
        callbacks: Any = None,
        net_params: dict[str, Any] | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        super().__init__(
            encoder=encoder,
            trainable_blocks=trainable_blocks,
            layer_decay=layer_decay,
            drop_path=drop_path,
            pool=pool,
            augment=augment,
            max_epochs=max_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_epochs=warmup_epochs,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            patch=patch,
            image_shape=image_shape,
            channel_axis=channel_axis,
            embed_dim=embed_dim,
            encoder_layers=encoder_layers,
            encoder_heads=encoder_heads,
            mlp_ratio=mlp_ratio,
            device=device,
            precision=precision,
            compile=compile,
            checkpoint=checkpoint,
            callbacks=callbacks,
            net_params=net_params,
            verbose=verbose,
            random_state=random_state,
        )
        self.mixup = mixup
        self.cutmix = cutmix
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    def predict(self, X: Any) -> np.ndarray:
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

    def predict_proba(self, X: Any) -> np.ndarray:
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

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
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

    def _learn_targets(self, y: Any) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_[0]!r}. A classifier needs samples of at least 2 classes."
            )
        return numbers.astype(np.int64)

    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _criterion(self, targets: np.ndarray) -> Any:
        y = self.classes_[targets]
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                f"class_weight={self.class_weight!r} gives the classes the weights {weights.tolist()}. Pass finite "
                f"numbers, none below 0 and one above it, or 'balanced', or None."
            )
        weights = weights / weights[targets].mean()  # the step is as large as without
        return partial(ClassificationLoss, weights.tolist(), self.label_smoothing)

    def _mixing(self, module: MaskedAutoencoder) -> Mixing | None:
        return Mixing(self.mixup, self.cutmix, module.grid) if self.mixup or self.cutmix else None

    def _stratify(self, targets: np.ndarray) -> np.ndarray | None:
        return targets
