"""DeepAutoencoder: scikit-learn's interface to any deep masked autoencoder."""

from abc import ABC, abstractmethod
from copy import deepcopy
from dataclasses import dataclass, replace
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.utils.data import Dataset

from skmae._autodiff import TorchLinearization
from skmae._compat import HasMethods, Interval, StrOptions, fit_context
from skmae._constraints import GRID, MASKING
from skmae._estimator import GridEstimator, all_or_nothing, documented, store_parameters
from skmae._grid import PatchGrid
from skmae._rows import check_finite
from skmae.masking import read_visible_patches
from skmae.vit._build import TRAINING, module_params, peak_rate
from skmae.vit._checkpoint import Checkpointer, fingerprint_of, train
from skmae.vit._data import ChannelStatistics, dataset_of, first_sample, to_array
from skmae.vit._inference import draw_visible, linearize, module_in, over_batches, predict_pixels
from skmae.vit._masking import hidden_share, run_masked
from skmae.vit._net import WarmupCosine, drawing_weights, naming_net_params
from skmae.vit._network import check_network, pool_features
from skmae.vit._training import MAENet, build_net
from skmae.vit._weights import load_state, per_channel, read_weights

# what may change from one partial_fit to the next
_LIVE = {"max_epochs", "warmup_epochs", "learning_rate", "batch_size", "pool", "verbose"} | {
    "checkpoint",
    "checkpoint_every",
}
# what does not change the result of a training; the seed and the grid stand for the rest
_NOT_IN_FINGERPRINT = {"verbose", "checkpoint", "checkpoint_every", "device", "compile", "pool", "accelerator"} | {
    "image_shape",
    "channel_axis",
    "random_state",
}

MASKING_PARAMETERS = """
    mask : float, default=0.75
        Share of patches hidden during training, 0 <= mask < 1. round((1 - mask) * n_patches) stay visible, at least
        one; ``mask_`` is the share that this leaves hidden. With 0, all patches count in the loss; otherwise the hidden
        ones.
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis of the grid, or one number for all axes. It must divide the grid.
    image_shape : tuple of int or None, default=None
        Shape of one sample, channels included. None takes it from X if X has more than two axes; flat rows are read as
        a square image, a square RGB image, or a 1-D signal. That guess can be wrong: pass image_shape unless square.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample (not of X) that holds its channels. "auto": the last of 3 axes if its size is at most 4, the
        last of 4 axes, none of 1 or 2 axes. Pass 0 if channels come first, as in many Datasets.
    mask_sampling : {"exact", "bernoulli"}, sampler or callable, default="exact"
        How patches are hidden in training: the same number of them in every sample; each with probability `mask`, all
        of a sample's perhaps; as an object of `skmae.masking` says; or as a function ``(n_samples, grid, mask,
        random_state)`` draws, which returns bool of shape (n_samples, n_patches), True where visible. The encoder sees
        the visible patches and nothing else, however many they are.
"""
TRAINING_PARAMETERS = """
    normalize_target : bool, default=False
        Predict each patch less its mean, over its standard deviation.
    pool : {"mean", "cls"}, default="mean"
        What `transform` gives: the mean of the patches' features, or the class token.
    max_epochs : int, default=200
        Passes over the data.
    batch_size : int, default=256
        Samples per step of training, and samples encoded at a time.
    learning_rate : float, default=1.5e-4
        Highest learning rate per 256 samples: the optimizer's is ``learning_rate * batch_size / 256``.
    warmup_epochs : int, default=10
        Epochs in which the learning rate rises, before it falls along a cosine. Where `max_epochs` is not larger it
        only rises.
    weight_decay : float, default=0.05
        Of AdamW; not for biases and norms.
    augment : "auto", callable or None, default="auto"
        "auto": random resized crop and horizontal flip (kornia) for grids of two axes, nothing for others. A callable
        takes and returns standardised batches of shape (n, channels, \\*grid).
    device : str or torch.device, default="auto"
        "auto" is "cuda" where there is one, else "cpu".
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Type of the matrix products in training. "auto" is bfloat16 on a GPU that has it, else float32. Weights stay in
        float32, and `transform` works in float32, or float64 where X is.
    compile : bool, default=False
        Compile the module (``torch.compile``) for training.
    checkpoint : str, path or None, default=None
        Folder that `fit` writes its state to after every epoch. Killed at any instant, the next `fit` with the same
        parameters and data goes on to the same result; each pair of parameters and data has a folder within it.
    checkpoint_every : int or None, default=None
        Also keep the state of every so many epochs, as ``epoch-00010.pt`` and so on, for `load_weights`.
    callbacks : list of skorch callbacks or None, default=None
        They are copied. A `skorch.callbacks.LRScheduler` takes the place of warm-up and cosine. After a resumed
        training they begin anew.
    net_params : dict or None, default=None
        Parameters of the skorch net that the estimator does not have itself, such as ``optimizer``,
        ``optimizer__eps``, ``iterator_train__num_workers`` or ``train_split``; of `ViTMAE` ``module__norm_eps``, too.
    accelerator : accelerate.Accelerator or None, default=None
        Train in several processes (``torchrun`` or ``accelerate launch``), each of which calls `fit` with all of the
        data and takes its part of each batch; `batch_size` is that of all together. It decides on device and
        precision.
    verbose : int, default=0
        1 prints a line per epoch, 2 draws a progress bar, too.
    random_state : int, RandomState instance or None, default=None
        For weights, order, masks, crops, and the masks of `score`. PyTorch's own generator is left alone.
"""
ATTRIBUTES = """
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module.
    history_ : skorch.history.History
        Losses and times: ``history_[:, "train_loss"]``. Single batches are kept for the last epoch only.
    mask_ : float
        Share of patches hidden in training, on average.
    patch_ : tuple of int
    mean_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the pixels, with which they are standardised.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.
"""


@dataclass(frozen=True)
class Training:
    """A net, and what its training began with."""

    net: MAENet
    parameters: dict[str, Any]
    has_decoder: bool = True
    """Whether it can predict: weights may come without a decoder."""


@documented(masking=MASKING_PARAMETERS, training=TRAINING_PARAMETERS, attributes=ATTRIBUTES)
class DeepAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GridEstimator, ABC):
    """A masked autoencoder around any torch module: all that is not the network.

    A subclass says what the network is, in one method, ``_make_module(grid)``. It returns a ``torch.nn.Module`` with

    - ``standardize``: a `Standardize` of the grid;
    - ``patchify(images)``: patches (n, n_patches, n_values) of images (n, \\*image_shape);
    - ``encode(images)``: features of whole standardised images, one row for each sample, (n, n_features), for each
      patch, (n, n_patches, n_features), or for a class token and then each patch, (n, 1 + n_patches, n_features);
    - ``forward(images, keep)``: from standardised images and the numbers (n, n_visible) of the patches that may be
      seen, a prediction of all patches, (n, n_patches, n_values), and what was hidden, bool (n, n_patches).

    `PatchModule` has the first two. The grid says how samples look: ``n_patches``, ``patches_per_axis``,
    ``patch_shape``, ``n_channels``, ``image_shape``, ``n_features``. Weights drawn in ``_make_module`` follow from
    `random_state`. A module may offer more, and is asked for it: ``blocks``, with ``embed(images)`` and ``finish``,
    lets predictors train the last blocks alone and gives features of every layer; ``takes_padding`` says that
    ``forward(images, keep, present)`` can leave patches out, for masks that show different numbers of patches (a
    network without it is run once for each number); ``without_decoder()`` gives a copy for ``encode`` alone.

    ``__init__`` passes parameters of training on to this class; its other parameters are those of the network.

    Parameters
    ----------
    [masking]
    [training]

    Attributes
    ----------
    [attributes]

    See Also
    --------
    ViTMAE : The one with a Vision Transformer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from torch import nn
    >>> from skmae.vit import DeepAutoencoder, PatchModule
    >>> class Mlp(PatchModule):
    ...     def __init__(self, grid, width):
    ...         super().__init__(grid)
    ...         self.encoder = nn.Sequential(nn.Linear(grid.n_features, width), nn.GELU())
    ...         self.decoder = nn.Linear(width, grid.n_features)
    ...
    ...     def encode(self, images):
    ...         return self.encoder(self.patchify(images).flatten(1))
    ...
    ...     def forward(self, images, keep):
    ...         hidden = self.hidden(keep)
    ...         patches = self.patchify(images).masked_fill(hidden[..., None], 0)
    ...         return self.decoder(self.encoder(patches.flatten(1))).reshape(patches.shape), hidden
    >>> class MlpMAE(DeepAutoencoder):
    ...     def __init__(self, width=32, *, mask=0.75, patch=2, max_epochs=5, learning_rate=1e-2, random_state=None):
    ...         super().__init__(mask=mask, patch=patch, max_epochs=max_epochs, learning_rate=learning_rate,
    ...                          random_state=random_state)
    ...         self.width = width
    ...
    ...     def _make_module(self, grid):
    ...         return Mlp(grid, self.width)
    >>> mae = MlpMAE(random_state=0).fit(load_digits().images)
    >>> mae.transform(load_digits().images).shape
    (1797, 32)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MASKING,
        **GRID,
        "mask_sampling": [StrOptions({"exact", "bernoulli"}), callable],
        "normalize_target": ["boolean"],
        **TRAINING,
        "augment": [StrOptions({"auto"}), callable, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left"), None],
        "accelerator": [HasMethods(["prepare", "backward", "reduce"]), None],
    }

    def __init__(
        self,
        *,
        mask: float = 0.75,
        patch: int | tuple[int, ...] = 4,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        mask_sampling: Any = "exact",
        normalize_target: bool = False,
        pool: str = "mean",
        max_epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1.5e-4,
        warmup_epochs: int = 10,
        weight_decay: float = 0.05,
        augment: Any = "auto",
        device: Any = "auto",
        precision: str = "auto",
        compile: bool = False,
        checkpoint: Any = None,
        checkpoint_every: int | None = None,
        callbacks: Any = None,
        net_params: dict[str, Any] | None = None,
        accelerator: Any = None,
        verbose: int = 0,
        random_state: Any = None,
    ):
        store_parameters(self, locals())

    @abstractmethod
    def _make_module(self, grid: PatchGrid, **module_params: Any) -> nn.Module:
        """The network, with fresh weights, for samples on this grid.

        Parameters
        ----------
        grid : PatchGrid
            Its patches all have the same size.
        **module_params
            What ``net_params`` says with names that begin with ``module__``; a subclass that takes none refuses them.
        """

    # -- fitting ------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train for `max_epochs`, or go on from the checkpoint of such a training.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset
            Any real type. Arrays are kept in their type, on the device where they fit, and read batch by batch
            otherwise; memory maps stay on the disk. A ``torch.utils.data.Dataset`` gives samples of one shape, or
            tuples that begin with one.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds NaN or infinity or does not fit `image_shape`; if `patch` does not divide the grid, or a number
            of heads its width; if a device is not there; if the checkpoint is damaged.
        FloatingPointError
            If the loss becomes NaN or infinite. The estimator then has the last weights that gave a finite loss at the
            end of an epoch.
        KeyboardInterrupt
            On Ctrl-C, with the weights of the last whole epoch, after the checkpoint was written.
        OSError
            If the checkpoint cannot be written. The one before it is whole then.
        """
        with all_or_nothing(self):
            data = self._read(X, reset=True)
            training = self._begin(data)
            net, checkpointer, stopped = training.net, self._checkpointer(training, data), None
            if not checkpointer.resume(net):
                stopped = train(net, _dataset(data, net), checkpointer, self.max_epochs - len(net.history))
            self._training = training
        if stopped is not None:
            raise stopped
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train for one epoch. `max_epochs` calls with the same X are one `fit`.

        The learning rate is that of the next epoch of `max_epochs`, and zero after them. After `load_weights` it goes
        on from these weights. Mean and scale of the pixels are those of the first call. Nothing is written to
        `checkpoint`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For the same faults of X as `fit`; if a parameter changed that cannot change within a training.
        FloatingPointError, KeyboardInterrupt
            As `fit`.
        """
        with all_or_nothing(self):
            first = not self.__sklearn_is_fitted__()
            data = self._read(X, reset=first)
            training = self._begin(data) if first else self._go_on(data)
            stopped = train(training.net, _dataset(data, training.net), Checkpointer(), 1)
            self._training = training if stopped else replace(training, has_decoder=True)
        if stopped is not None:
            raise stopped
        return self

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Rows of an array, or a Dataset; with `reset`, the grid is learned from them."""
        if isinstance(X, Tensor):
            X = to_array(X)
        if not isinstance(X, Dataset):
            return self._check_rows(X, reset=reset)
        shape = tuple(first_sample(X).shape)
        sample_shape = shape if len(shape) > 1 else None
        if reset:
            self._expect(prod(shape), sample_shape)
        elif prod(shape) != self.n_features_in_:
            raise ValueError(
                f"X has samples of {prod(shape)} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        else:
            self._check_sample_shape(sample_shape)
        return X

    def _read_fitted(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._read(X, reset=False)

    def _draw_seed(self) -> int:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.accelerator is None:
            return seed
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([seed])[0]

    def _parameters(self) -> dict[str, Any]:
        """The estimator's parameters, and those of training that its ``__init__`` does not have."""
        of_training = {name: getattr(self, name) for name in DeepAutoencoder._get_param_names()}
        return of_training | self.get_params(deep=False)

    def _untrained(self, X: Any, seed: int) -> Self:
        """Fit nothing but the statistics of the pixels: the weights are fresh."""
        self._training = self._begin(self._read(X, reset=True), seed)
        return self

    def _begin(self, data: Any, seed: int | None = None) -> Training:
        """A net with fresh weights, which knows the statistics of the pixels."""
        training = self._build(self._draw_seed() if seed is None else seed)
        net = training.net
        _check_rows_finite(data)
        if isinstance(data, np.ndarray):
            statistics = ChannelStatistics.of_rows(data, net.grid)
        else:
            statistics = ChannelStatistics.of_dataset(data, net.grid)
        net.plain_module.standardize.learn(statistics.mean, statistics.scale)
        return training

    def _build(self, seed: int) -> Training:
        """A net with fresh weights, on the grid that the data came on."""
        self._validate_params()
        parameters = self._parameters()
        grid = PatchGrid.build_regular(self.image_shape_, self.channel_axis_, self.patch)
        return Training(build_net(parameters, self._fresh_module(grid, seed), grid, seed), parameters)

    def _fresh_module(self, grid: PatchGrid, seed: int) -> Any:
        parameters = self._parameters()
        params = module_params(parameters)
        with naming_net_params(parameters), drawing_weights(seed):
            module = self._make_module(grid, **params)
        return check_network(module, f"{type(self).__name__}._make_module")

    def _network_for(self, X: Any) -> Any:
        """A fresh network for samples like these, to ask what it offers."""
        self._read(X, reset=True)
        grid = PatchGrid.build_regular(self.image_shape_, self.channel_axis_, self.patch)
        return self._fresh_module(grid, seed=0)

    def _checkpointer(self, training: Training, data: Any) -> Checkpointer:
        """What keeps the state of `fit`: in a folder of its own for these parameters and these data."""
        if self.checkpoint is None:
            return Checkpointer()
        parameters = {name: value for name, value in training.parameters.items() if name not in _NOT_IN_FINGERPRINT}
        parameters["estimator"] = f"{type(self).__module__}.{type(self).__qualname__}"
        parameters["mask_sampling"] = training.net.sampler
        parameters["grid"] = (self.image_shape_, self.channel_axis_)
        parameters["seed"] = None if self.random_state is None else training.net.seed
        fingerprint = fingerprint_of(parameters, data)
        folder = Path(self.checkpoint) / fingerprint
        return Checkpointer(folder, self.checkpoint_every, fingerprint, training.net.writes())

    def _go_on(self, data: Any) -> Training:
        """The training that was begun, with the parameters that may change as they are now."""
        self._validate_params()
        parameters = self._parameters()
        _check_unchanged(self._training.parameters, parameters)
        _check_rows_finite(data)
        net = self._training.net
        net.batch_size = self.batch_size
        if net.verbose != self.verbose:
            net.set_params(verbose=self.verbose).initialize_callbacks()
        for _, callback in net.callbacks_:
            if isinstance(callback, WarmupCosine):
                callback.learning_rate = peak_rate(parameters)
                callback.warmup_epochs, callback.max_epochs = self.warmup_epochs, self.max_epochs
        return self._training

    # -- using --------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Encode whole samples: all patches visible, nothing random.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The network's features, of width ``embed_dim`` for `ViTMAE`; of features of patches, their mean, or the
            class token (`pool`). float32; for float64 X, computed in float64.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        return self._encode(X, lambda module, images: self._pool(module.encode(images)))

    def _encode(self, X: Any, function: Any) -> np.ndarray:
        """Rows of ``function(module, standardised images)``."""
        X = self._read_fitted(X)
        return over_batches(self.net_, X, self.batch_size, lambda module, images, _: function(module, images))

    def _pool(self, features: Tensor) -> Tensor:
        return pool_features(features, self.pool, self.net_.grid.n_patches)

    def reconstruct(self, X: Any, visible: ArrayLike | None = None) -> np.ndarray:
        """Hide patches of each sample, encode the others, and predict all.

        Visible patches are predicted, too, though training did not ask for it (unless ``mask=0``): to see them as they
        are, put them back with ``np.where``. With `normalize_target` each patch is predicted up to its mean and spread;
        a hidden one is given the average mean and spread of the sample's visible patches.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset
        visible : array-like of bool, default=None
            True where the sample may be seen: per patch, (n_patches,) or the grid of patches; or per pixel or feature,
            a patch being visible as a whole or not at all. With a leading axis of n_samples or 1, or for all samples.
            None hides nothing.

        Returns
        -------
        ndarray
            In the shape that X came in and in its units; float32, or float64 where X is.

        Raises
        ------
        ValueError
            If `visible` is not bool, fits no such shape, shows a patch in part, or shows nothing of a sample (unless
            masks in training may, with ``mask_sampling="bernoulli"`` for instance); if the weights came without a
            decoder; for the same faults of X as `transform`.
        """
        self._check_decoder("reconstruct")
        shape, X = _shape(X), self._read_fitted(X)
        _check_rows_finite(X)  # in hidden patches, too, which no output depends on
        masks = None if visible is None else torch.from_numpy(self._read_visible(visible, len(X)))

        def rebuild(module: Any, images: Tensor, rows: slice) -> Tensor:
            some = masks if masks is None or len(masks) < len(X) else masks[rows]
            return predict_pixels(self.net_, module, images, some)

        return over_batches(self.net_, X, self.batch_size, rebuild).reshape(shape)

    def _read_visible(self, visible: ArrayLike, n_samples: int) -> np.ndarray:
        may_be_empty = self.net_.n_visible is None  # as in training, perhaps
        return read_visible_patches(self.net_.grid, visible, n_samples, may_be_empty=may_be_empty)

    def linearize(
        self, X: Any, visible: ArrayLike | None = None, *, batch_size: int | None = None
    ) -> TorchLinearization:
        """The derivative of `reconstruct` at samples, under one mask for all of them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            As in `reconstruct`, one mask for all samples. None hides nothing.
        batch_size : int or None, default=None
            Products with the Jacobian at a time. None fills half of scikit-learn's ``working_memory``.

        Returns
        -------
        TorchLinearization
            ``rows(outputs)``, ``jvp(vectors, sample)`` and ``vjp(vectors, sample)``; see `skmae.JacobianBasis`.

        Raises
        ------
        ValueError
            For the same faults as `reconstruct`.
        """
        self._check_decoder("linearize")
        X = self._read_fitted(X)
        check_finite(X)
        return linearize(self.net_, X, None if visible is None else self._read_visible(visible, 1), batch_size)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Minus the loss of training on X, with masks that are the same at every call.

        It compares models under one mask and patch; it cannot choose them, since hiding less is always easier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset
        y : None
            Ignored.

        Returns
        -------
        float
            Mean over samples of minus the mean squared error of hidden patches, of standardised pixels (of normalised
            patches with `normalize_target`).

        Raises
        ------
        ValueError
            If the weights came without a decoder; for the same faults of X as `transform`.
        """
        self._check_decoder("score")
        X, net = self._read_fitted(X), self.net_
        visible = draw_visible(net, len(X), net.seed)

        def errors(module: Any, images: Tensor, rows: slice) -> Tensor:
            prediction, hidden = run_masked(module, images, visible[rows].to(images.device), net.n_visible)
            return net.criterion_.per_sample(prediction, module.patchify(images), hidden)

        return -float(over_batches(net, X, self.batch_size, errors).mean(dtype=np.float64))

    def sample_visible(self, n_samples: int, random_state: Any = None) -> np.ndarray:
        """Draw what is visible of `n_samples` samples, as training hides it.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of bool of shape (n_samples, n_patches)
            For `reconstruct`.
        """
        check_is_fitted(self)
        check_scalar(n_samples, "n_samples", Integral, min_val=0)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return draw_visible(self.net_, n_samples, seed).numpy()

    def _check_decoder(self, method: str) -> None:
        check_is_fitted(self)
        if not self._training.has_decoder:
            raise ValueError(
                f"{method} needs a decoder, and the weights that were loaded came without. Load weights with one, or "
                f"train it with partial_fit."
            )

    # -- weights ------------------------------------------------------------------------------------------------

    def load_weights(self, weights: Any, *, mean: Any = None, scale: Any = None) -> Self:
        """Take weights that were trained before, here or elsewhere.

        Checkpoints are understood, and state dicts of the module; of `ViTMAE`, also the layouts of
        facebookresearch/mae and of transformers, with or without decoder. There, if the grid of patches is another
        than theirs, positions are interpolated. The parameters of this estimator must be those of the weights; an
        estimator that was not fitted must know `image_shape`. `transform` can be used at once; `partial_fit` goes on
        from the weights, and `fit` begins anew.

        Parameters
        ----------
        weights : str, path or mapping from names to tensors
            A ``.safetensors`` file, a ``.pth`` file (opened with ``weights_only=True``), or a state dict.
        mean, scale : float or array-like of shape (n_channels,), default=None
            Subtracted from the pixels, and what they are divided by then. None takes those in the file, which only
            `ViTMAE.save_weights` and checkpoints write; else those that a fitted estimator has; else 0 and 1: pass X
            as the authors of the weights did.

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read; if weights are missing, unexpected, of another shape or not finite, which are named;
            if `mean` or `scale` does not fit; if `image_shape` is not known. The estimator is then as it was.
        """
        state, notes = read_weights(weights)
        with all_or_nothing(self):
            fitted = self.net_ if self.__sklearn_is_fitted__() else None
            self._expect_image_shape()
            training = self._build(self._draw_seed())
            module, n_channels = training.net.plain_module, training.net.grid.n_channels
            standardize = module.standardize
            if fitted is not None and fitted.grid.n_channels == n_channels:
                known = fitted.plain_module.standardize
                standardize.learn(known.mean.flatten(), known.scale.flatten())
            has_decoder = self._load_state(module, state, notes)
            mean = notes.get("mean", standardize.mean.flatten()) if mean is None else mean
            scale = notes.get("scale", standardize.scale.flatten()) if scale is None else scale
            standardize.learn(per_channel("mean", mean, n_channels), per_channel("scale", scale, n_channels))
            self._training = replace(training, has_decoder=has_decoder)
        return self

    def _load_state(self, module: Any, state: dict[str, Tensor], notes: dict[str, Any]) -> bool:  # noqa: ARG002
        """Put weights into a module; say whether they can predict, with a decoder."""
        load_state(module, state, self._network_parameters(), optional=("standardize.",))
        return True

    def _network_parameters(self) -> list[str]:
        """Names of the parameters that say what the network is, and of the shapes that it is made for."""
        return [*sorted(set(self._get_param_names()) - set(DeepAutoencoder._get_param_names())), "patch", "image_shape"]

    def _expect_image_shape(self) -> None:
        """The grid that weights are loaded for: the parameter's, or that of the samples that were fitted."""
        if self.image_shape is not None:
            self._expect(prod(self.image_shape), None)
        elif self.__sklearn_is_fitted__():
            self._set_grid(self.image_shape_)
        else:
            name = type(self).__name__
            raise ValueError(
                f"load_weights of a {name} that was not fitted needs image_shape: pass the shape of one sample, "
                f"channels included, for example {name}(image_shape=(224, 224, 3), ...)."
            )

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def net_(self) -> MAENet:
        check_is_fitted(self)
        return self._training.net

    @property
    def history_(self) -> Any:
        return self.net_.history

    @property
    def mask_(self) -> float:
        return hidden_share(self.net_.sampler, self.net_.grid, self.net_.mask)

    @property
    def patch_(self) -> tuple[int, ...]:
        return self.net_.grid.patch_shape

    @property
    def mean_(self) -> np.ndarray:
        return self.net_.plain_module.standardize.mean.flatten().cpu().numpy()

    @property
    def scale_(self) -> np.ndarray:
        return self.net_.plain_module.standardize.scale.flatten().cpu().numpy()

    @property
    def _n_features_out(self) -> int:
        """Width of the features: those of a blank image."""
        with torch.inference_mode():
            blank = torch.zeros(1, *self.net_.grid.image_shape, device=self.net_.where)
            return self._pool(module_in(self.net_, torch.float32).encode(blank)).shape[1]

    def __copy__(self) -> Self:
        """A copy that shares no weights, optimizer or history: `partial_fit` of either leaves the other alone."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        if self.__sklearn_is_fitted__():
            other._training = replace(self._training, net=deepcopy(self._training.net))
        return other

    def __sklearn_is_fitted__(self) -> bool:
        return "_training" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


def _check_unchanged(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a parameter that changed since the training began, but for those that may."""
    for name, value in now.items():
        if name not in _LIVE and value is not before[name] and value != before[name]:
            raise ValueError(
                f"{name} was {before[name]!r} when this training began and is {value!r} now. Set it back, or call fit "
                f"to begin anew. These may change within a training: {', '.join(sorted(_LIVE))}."
            )


def _dataset(data: Any, net: MAENet) -> Any:
    return dataset_of(data, net.where) if isinstance(data, np.ndarray) else data


def _check_rows_finite(data: Any) -> None:
    """Refuse NaN in an array; a Dataset is checked as it is read."""
    if isinstance(data, np.ndarray):
        check_finite(data)


def _shape(X: Any) -> tuple[int, ...]:
    if isinstance(X, Dataset):
        return (X.__len__(), *first_sample(X).shape)  # type: ignore[attr-defined]
    return tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
