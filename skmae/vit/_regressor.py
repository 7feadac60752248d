"""ViTMAERegressor: numbers, on top of the encoder of a masked autoencoder."""

from math import prod
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array

from skmae.vit._finetune import FineTuner
from skmae.vit._finetuning import RegressionLoss


class ViTMAERegressor(RegressorMixin, FineTuner):
    """Regressor on top of the encoder of a masked autoencoder, fine-tuned in whole or in part.

    It predicts one number, several, or a picture of them (such as a depth map) for each sample.

    Parameters
    ----------
    encoder : ViTMAE, FrozenEstimator or None, default=None
        The autoencoder whose encoder is taken. A fitted one is used as it is and not changed; one that is not fitted is
        cloned and pretrained on X first. ``clone``, and so `cross_val_score` and `GridSearchCV`, forget what was
        fitted: there, a fitted one must come inside a ``sklearn.frozen.FrozenEstimator``. None trains from scratch.
    trainable_blocks : int or None, default=None
        Blocks of the encoder that learn, the last ones, with the norm behind them. 0 trains the head alone, None all of
        the encoder, patch embedding included. What comes before is run without gradients, and only once for each
        sample where it gives the same in every epoch (``augment=None``), if that fits into a quarter of the free
        memory.
    layer_decay : float, default=0.75
        Learning rate of a block over that of the block above it; the head's is `learning_rate`.
    drop_path : float, default=0.0
        Share of samples for which a branch of the last block is left out in a step of training, growing from 0 at the
        first block (stochastic depth).
    pool : {"mean", "cls"}, default="mean"
        What the head is given: the mean of the patches' features, or the class token.
    augment : {"auto", "randaugment"}, callable or None, default=None
        "auto": pictures are shifted by up to an eighth of an axis (rounded up to pixels) and flipped horizontally
        (kornia), other grids left as they are.
        "randaugment": two operations of RandAugment after that. A callable takes and returns standardised batches of
        shape (n, channels, \\*grid). Only X is
        changed, not y: none of this is for targets that have a place in the picture.
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
        Stop when the loss on a part of the data that is set aside, drawn by the seed, has not fallen for
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
        Losses (of standardised targets) and times.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the targets, with which they are standardised in training.
    target_shape_ : tuple of int
        Shape of the target of one sample: () for a number.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

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
        encoder: Any = None,
        *,
        trainable_blocks: int | None = None,
        layer_decay: float = 0.75,
        drop_path: float = 0.0,
        pool: str = "mean",
        augment: Any = None,
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

    def predict(self, X: Any) -> np.ndarray:
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

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
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

    def _learn_targets(self, y: Any) -> np.ndarray:
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=(np.float64, np.float32), input_name="y")
        if 0 in y.shape:
            raise ValueError(f"y has shape {y.shape}, without a number to predict. Pass at least one for each sample.")
        self.target_shape_ = y.shape[1:]
        flat = y.reshape(len(y), -1).astype(np.float64)
        self.target_mean_ = flat.mean(axis=0)
        spread = flat.std(axis=0)
        self.target_scale_ = np.where(spread > 1e-12 * np.abs(self.target_mean_), spread, 1.0)
        return ((flat - self.target_mean_) / self.target_scale_).astype(np.float32)

    def _n_outputs(self) -> int:
        return len(self.target_mean_)

    def _criterion(self, targets: np.ndarray) -> Any:  # noqa: ARG002
        return RegressionLoss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
