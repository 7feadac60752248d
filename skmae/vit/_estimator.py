"""ViTMAE: scikit-learn's interface to the deep masked autoencoder."""

from math import prod
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.utils.data import Dataset

from skmae._autodiff import TorchLinearization
from skmae._compat import HasMethods, Interval, StrOptions, _fit_context
from skmae._constraints import GRID, MASKING
from skmae._estimator import GridEstimator, all_or_nothing
from skmae._grid import PatchGrid
from skmae._rows import check_finite
from skmae.vit._build import PRECISIONS, build_net, peak_rate
from skmae.vit._checkpoint import Keeper, fingerprint_of, read, restore, train
from skmae.vit._data import ChannelStatistics, dataset_of, first_sample, to_array
from skmae.vit._inference import draw_keep, linearize, over_batches, predict_from, read_visible
from skmae.vit._masking import visible_patches
from skmae.vit._module import MaskedAutoencoder, pool_tokens
from skmae.vit._net import WarmupCosine
from skmae.vit._weights import LAYOUTS, load_into, per_channel, read_weights, write_weights

STOPPED = (KeyboardInterrupt, FloatingPointError)  # after which the weights of the last whole epoch are there
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


class ViTMAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GridEstimator):
    """Masked autoencoder with a Vision Transformer, trained by PyTorch.

    An encoder sees some patches of a sample, a small decoder predicts the others from what it says [1]_. Afterwards
    `transform` encodes whole samples. It takes the place of `LinearMAE` or ``PCA`` in a Pipeline; it needs hours or a
    GPU where these need seconds, and gives features that classify better.

    Parameters
    ----------
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
    embed_dim : int, default=192
        Width of the encoder, and number of features that `transform` gives.
    encoder_layers, encoder_heads : int, default=12
        Blocks of the encoder, and heads of each, whose number must divide `embed_dim`.
    decoder_dim : int or None, default=None
        Width of the decoder. None is `embed_dim`.
    decoder_layers : int, default=4
        Blocks of the decoder. One is often enough for features.
    decoder_heads : int, default=16
        Heads of each; their number must divide the width of the decoder.
    mlp_ratio : float, default=4
        Width of the hidden layer of a block over that of the block.
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
        Parameters of the skorch net that ViTMAE does not have itself, such as ``optimizer``, ``optimizer__eps``,
        ``module__norm_eps``, ``iterator_train__num_workers`` or ``train_split``.
    accelerator : accelerate.Accelerator or None, default=None
        Train in several processes (``torchrun`` or ``accelerate launch``), each of which calls `fit` with all of the
        data and takes its share of each batch; `batch_size` is that of all together. It decides on device and
        precision.
    verbose : int, default=0
        1 prints a line per epoch, 2 draws a progress bar, too.
    random_state : int, RandomState instance or None, default=None
        For weights, order, masks, crops, and the masks of `score`. PyTorch's own generator is left alone.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module.
    history_ : skorch.history.History
        Losses and times: ``history_[:, "train_loss"]``. Single batches are kept for the last epoch only.
    mask_ : float
        Share of patches hidden in training.
    patch_ : tuple of int
    mean_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the pixels, with which they are standardised.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    See Also
    --------
    LinearMAE : The linear one, in closed form.

    References
    ----------
    .. [1] He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import ViTMAE
    >>> X = load_digits().images
    >>> mae = ViTMAE(patch=2, embed_dim=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2,
    ...              max_epochs=2, random_state=0).fit(X)
    >>> mae.transform(X).shape
    (1797, 16)
    >>> visible = mae.sample_visible(len(X), random_state=0)  # (1797, 16), a quarter of them True
    >>> mae.reconstruct(X, visible).shape
    (1797, 8, 8)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MASKING,
        **GRID,
        "embed_dim": [Interval(Integral, 1, None, closed="left")],
        "encoder_layers": [Interval(Integral, 1, None, closed="left")],
        "encoder_heads": [Interval(Integral, 1, None, closed="left")],
        "decoder_dim": [Interval(Integral, 1, None, closed="left"), None],
        "decoder_layers": [Interval(Integral, 1, None, closed="left")],
        "decoder_heads": [Interval(Integral, 1, None, closed="left")],
        "mlp_ratio": [Interval(Real, 0, None, closed="neither")],
        "normalize_target": ["boolean"],
        "pool": [StrOptions({"mean", "cls"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "augment": [StrOptions({"auto"}), callable, None],
        "device": [str, torch.device],
        "precision": [StrOptions({"auto", *PRECISIONS})],
        "compile": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left"), None],
        "callbacks": [list, tuple, None],
        "net_params": [dict, None],
        "accelerator": [HasMethods(["prepare", "backward", "reduce"]), None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        mask: float = 0.75,
        patch: int | tuple[int, ...] = 4,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        embed_dim: int = 192,
        encoder_layers: int = 12,
        encoder_heads: int = 12,
        decoder_dim: int | None = None,
        decoder_layers: int = 4,
        decoder_heads: int = 16,
        mlp_ratio: float = 4,
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
        self.mask = mask
        self.patch = patch
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.embed_dim = embed_dim
        self.encoder_layers = encoder_layers
        self.encoder_heads = encoder_heads
        self.decoder_dim = decoder_dim
        self.decoder_layers = decoder_layers
        self.decoder_heads = decoder_heads
        self.mlp_ratio = mlp_ratio
        self.normalize_target = normalize_target
        self.pool = pool
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup_epochs = warmup_epochs
        self.weight_decay = weight_decay
        self.augment = augment
        self.device = device
        self.precision = precision
        self.compile = compile
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.callbacks = callbacks
        self.net_params = net_params
        self.accelerator = accelerator
        self.verbose = verbose
        self.random_state = random_state

    # -- fitting ------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
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
        with all_or_nothing(self, but=STOPPED):
            with all_or_nothing(self):  # stopped before it trains, it has what it had
                data = self._read(X, reset=True)
                seed = self._draw_seed()
                self._begin(data, seed)
                keeper = self._keeper(data, seed)
                state = None if keeper.folder is None else read(keeper.folder, keeper.fingerprint)
                if state is not None:
                    restore(self.net_, state)
                done = state is not None and state["finished"]
                dataset = None if done else self._dataset(data)
            if not done:
                self._train(dataset, keeper, self.max_epochs - len(self.history_))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
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
        with all_or_nothing(self, but=STOPPED):
            with all_or_nothing(self):
                first = "net_" not in self.__dict__
                data = self._read(X, reset=first)
                if first:
                    self._begin(data, self._draw_seed())
                else:
                    self._check_unchanged()
                    _check_rows_finite(data)
                dataset = self._dataset(data)
            self._train(dataset, Keeper(None, None, ""), 1)
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

    def _untrained(self, X: Any, seed: int) -> Self:
        """Fit nothing but the statistics of the pixels: the weights are fresh."""
        data = self._read(X, reset=True)
        self._begin(data, seed)
        return self

    def _begin(self, data: Any, seed: int) -> None:
        """Build the net, and learn the statistics of the pixels."""
        self._build(seed)
        _check_rows_finite(data)
        if isinstance(data, np.ndarray):
            statistics = ChannelStatistics.of_rows(data, self._grid)
        else:
            statistics = ChannelStatistics.of_dataset(data, self._grid)
        self._module.standardize.learn(statistics.mean, statistics.scale)

    def _build(self, seed: int) -> None:
        """A net with fresh weights, on the grid that the data came on."""
        self._validate_params()
        grid = PatchGrid.build_regular(self.image_shape_, self.channel_axis_, self.patch)
        self._began_with = self.get_params(deep=False)
        self.net_ = build_net(self._began_with, grid, seed)
        self._has_decoder = True

    def _keeper(self, data: Any, seed: int) -> Keeper:
        """What keeps the state of `fit`: in a folder of its own for these parameters and these data."""
        if self.checkpoint is None:
            return Keeper(None, None, "")
        parameters = {name: value for name, value in self._began_with.items() if name not in _NOT_IN_FINGERPRINT}
        parameters["grid"] = (self.image_shape_, self.channel_axis_)
        parameters["seed"] = None if self.random_state is None else seed
        fingerprint = fingerprint_of(parameters, data)
        return Keeper(Path(self.checkpoint) / fingerprint, self.checkpoint_every, fingerprint, self.net_.writes())

    def _check_unchanged(self) -> None:
        """Refuse a parameter that changed since the net was built, and take over those that may."""
        self._validate_params()
        for name, value in self.get_params(deep=False).items():
            before = self._began_with[name]
            if name not in _LIVE and value is not before and value != before:
                raise ValueError(
                    f"{name} was {before!r} when this training began and is {value!r} now. Set it back, or call fit to "
                    f"begin anew. These may change within a training: {', '.join(sorted(_LIVE))}."
                )
        self.net_.batch_size = self.batch_size
        if self.net_.verbose != self.verbose:
            self.net_.set_params(verbose=self.verbose).initialize_callbacks()
        for _, callback in self.net_.callbacks_:
            if isinstance(callback, WarmupCosine):
                callback.learning_rate = peak_rate(self.get_params(deep=False))
                callback.warmup_epochs, callback.max_epochs = self.warmup_epochs, self.max_epochs

    def _dataset(self, data: Any) -> Any:
        return dataset_of(data, self.net_.where) if isinstance(data, np.ndarray) else data

    def _train(self, dataset: Any, keeper: Keeper, epochs: int) -> None:
        """Train the net; whatever stops it, it has the weights of the last whole epoch then."""
        train(self.net_, dataset, keeper, epochs)
        self._has_decoder = True

    # -- using --------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Encode whole samples: all patches visible, nothing random.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset

        Returns
        -------
        ndarray of shape (n_samples, embed_dim)
            The mean of the patches' features, or the class token (`pool`). float32; for float64 X, computed in float64.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        X = self._read_fitted(X)
        return over_batches(
            self.net_, X, self.batch_size, lambda module, images, _: pool_tokens(module.encode(images), self.pool)
        )

    def patch_features(self, X: Any) -> np.ndarray:
        """Encode whole samples, one row of features per patch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset

        Returns
        -------
        ndarray of shape (n_samples, n_patches, embed_dim)
            Patches in C order over the grid of patches. ``.reshape(n_samples, *patches_per_axis, embed_dim)`` makes a
            picture of them.

        Raises
        ------
        ValueError
            For the same faults of X as `transform`.
        """
        X = self._read_fitted(X)
        return over_batches(self.net_, X, self.batch_size, lambda module, images, _: module.encode(images)[:, 1:])

    def layer_features(self, X: Any) -> np.ndarray:
        """Encode whole samples, one row of features per layer: what to compare by `linear_cka`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape), or Dataset

        Returns
        -------
        ndarray of shape (n_samples, 1 + encoder_layers, embed_dim)
            Layer 0 is what the first block gets; the last, after the norm, is what `transform` gives. Patches become
            features of a sample as ``pool`` says.

        Raises
        ------
        ValueError
            For the same faults of X as `transform`.

        See Also
        --------
        skmae.probe_layers : Scores of probes on them.
        """
        X = self._read_fitted(X)
        return over_batches(self.net_, X, self.batch_size, lambda module, images, _: module.layers(images, self.pool))

    def reconstruct(self, X: Any, visible: Any = None) -> np.ndarray:
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
            If `visible` is not bool, fits no such shape, shows a patch in part, or shows nothing of a sample; if the
            weights came without a decoder; for the same faults of X as `transform`.
        """
        self._check_decoder("reconstruct")
        shape, X = _shape(X), self._read_fitted(X)
        _check_rows_finite(X)  # in hidden patches, too, which no output depends on
        shown = None if visible is None else read_visible(self._grid, visible, len(X))

        def rebuild(module: MaskedAutoencoder, images: Tensor, rows: slice) -> Tensor:
            mine = shown[rows] if shown is not None and len(shown) == len(X) else shown
            return predict_from(module, images, mine, self.net_.criterion_.normalize_target)

        return over_batches(self.net_, X, self.batch_size, rebuild).reshape(shape)

    def linearize(self, X: Any, visible: Any = None, *, batch_size: int | None = None) -> TorchLinearization:
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
        shown = None if visible is None else read_visible(self._grid, visible, 1)
        return linearize(self.net_, X, shown, batch_size)

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
        X = self._read_fitted(X)
        keep = draw_keep(self.net_, len(X), self.net_.seed)

        def errors(module: MaskedAutoencoder, images: Tensor, rows: slice) -> Tensor:
            prediction, hidden = module(images, keep[rows].to(images.device))
            return self.net_.criterion_.per_sample(prediction, module.patchify(images), hidden)

        return -float(over_batches(self.net_, X, self.batch_size, errors).mean(dtype=np.float64))

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
        return visible_patches(draw_keep(self.net_, n_samples, seed), self._grid.n_patches)

    def _check_decoder(self, method: str) -> None:
        check_is_fitted(self)
        if not self._has_decoder:
            raise ValueError(
                f"{method} needs a decoder, and the weights that were loaded came without. Load weights with one, or "
                f"train it with partial_fit."
            )

    # -- weights ------------------------------------------------------------------------------------------------

    def load_weights(self, weights: Any, *, mean: Any = None, scale: Any = None) -> Self:
        """Take weights that were trained before, here or elsewhere.

        The layouts of facebookresearch/mae and of transformers are understood, with or without decoder, and ViTMAE's
        own checkpoints. If the grid of patches is another than theirs, positions are interpolated. The parameters of
        this estimator must be those of the weights; an estimator that was not fitted must know `image_shape`.
        `transform` can be used at once; `partial_fit` goes on from the weights, and `fit` begins anew.

        Parameters
        ----------
        weights : str, path or mapping from names to tensors
            A ``.safetensors`` file, a ``.pth`` file (opened with ``weights_only=True``), or a state dict.
        mean, scale : float or array-like of shape (n_channels,), default=None
            Subtracted from the pixels, and what they are divided by then. None takes those in the file, which only
            `save_weights` and checkpoints write; else those that a fitted estimator has; else 0 and 1: pass X as the
            authors of the weights did.

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
            fitted = self.__dict__.get("net_")
            self._expect_image_shape()
            self._build(self._draw_seed())
            standardize = self._module.standardize
            if fitted is not None and fitted.plain_module.grid.n_channels == self._grid.n_channels:
                known = fitted.plain_module.standardize
                standardize.learn(known.mean.flatten(), known.scale.flatten())
            self._has_decoder = load_into(self._module, state, notes)
            mean = notes.get("mean", standardize.mean.flatten()) if mean is None else mean
            scale = notes.get("scale", standardize.scale.flatten()) if scale is None else scale
            n_channels = self._grid.n_channels
            standardize.learn(per_channel("mean", mean, n_channels), per_channel("scale", scale, n_channels))
        return self

    def _expect_image_shape(self) -> None:
        """The grid that weights are loaded for: the parameter's, or that of the samples that were fitted."""
        if self.image_shape is not None:
            self._expect(prod(self.image_shape), None)
        elif "net_" in self.__dict__:
            self._set_grid(self.image_shape_)
        else:
            raise ValueError(
                "load_weights of a ViTMAE that was not fitted needs image_shape: pass the shape of one sample, "
                "channels included, for example ViTMAE(image_shape=(224, 224, 3), ...)."
            )

    def save_weights(self, path: Any, *, layout: str = "mae") -> None:
        """Write the weights as safetensors, for `load_weights` and for other libraries.

        Parameters
        ----------
        path : str or path
            It is replaced only when all is written. `load_weights` goes by what is in a file, not by its name; others
            expect ``.safetensors``.
        layout : {"mae", "transformers"}, default="mae"
            Names of facebookresearch/mae, or of transformers' ``ViTMAEForPreTraining``. Mean and scale of the pixels
            are in the metadata.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        check_is_fitted(self)
        if layout not in LAYOUTS:
            raise ValueError(f"layout={layout!r} is not known. Pass one of {LAYOUTS}.")
        write_weights(Path(path), self._module, layout)

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def _module(self) -> MaskedAutoencoder:
        return self.net_.plain_module

    @property
    def _grid(self) -> PatchGrid:
        return self._module.grid

    @property
    def history_(self) -> Any:
        check_is_fitted(self)
        return self.net_.history

    @property
    def mask_(self) -> float:
        check_is_fitted(self)
        return 1 - self.net_.n_visible / self._grid.n_patches

    @property
    def patch_(self) -> tuple[int, ...]:
        check_is_fitted(self)
        return self._grid.patch_shape

    @property
    def mean_(self) -> np.ndarray:
        check_is_fitted(self)
        return self._module.standardize.mean.flatten().cpu().numpy()

    @property
    def scale_(self) -> np.ndarray:
        check_is_fitted(self)
        return self._module.standardize.scale.flatten().cpu().numpy()

    @property
    def _n_features_out(self) -> int:
        return self._module.encoder.norm.normalized_shape[0]

    def __sklearn_is_fitted__(self) -> bool:
        return "net_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


def _check_rows_finite(data: Any) -> None:
    """Refuse NaN in an array; a Dataset is checked as it is read."""
    if isinstance(data, np.ndarray):
        check_finite(data)


def _shape(X: Any) -> tuple[int, ...]:
    if isinstance(X, Dataset):
        return (X.__len__(), *first_sample(X).shape)  # type: ignore[attr-defined]
    return tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
