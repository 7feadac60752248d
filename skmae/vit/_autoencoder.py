"""DeepAutoencoder: scikit-learn's interface to any deep masked autoencoder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import prod
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Tags, check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.utils.data import Dataset

from skmae._autodiff import TorchLinearization
from skmae._compat import HasMethods, Interval, StrOptions, fit_context
from skmae._estimator import GridEstimator, ReadsOnce, store_parameters
from skmae._grid import PatchGrid, check_shape
from skmae._parameters import GRID, MASKING, shared_docs
from skmae._typing import AnyPath, ChannelAxis, Constraints, Patch, RandomState, Shape
from skmae._undisturbed import undisturbed
from skmae.masking import MaskSampling, hidden_share, read_visible_patches
from skmae.vit._augmentation import Augmentation
from skmae.vit._build import module_params, peak_rate
from skmae.vit._callbacks import ClonesCallbacks, can_be_copied, plain
from skmae.vit._checkpoint import Checkpointer, fingerprint_of, hashes_of, noted_precision, train
from skmae.vit._data import (
    AnySamples,
    ChannelStatistics,
    DatasetSamples,
    Images,
    dataset_of,
    refuse_streams,
    to_array,
    without_masked,
)
from skmae.vit._export import FeatureModule
from skmae.vit._inference import draw_visible, linearize, module_in, over_batches, predict_pixels
from skmae.vit._masking import run_masked
from skmae.vit._net import WarmupCosine, drawing_weights, naming_net_params
from skmae.vit._network import check_network, pool_features
from skmae.vit._origin import per_channel
from skmae.vit._parameters import AUTOENCODER_DOCS, TRAINING, plain_numbers
from skmae.vit._training import MAENet, build_net
from skmae.vit._weight_files import Weights, read_weights
from skmae.vit._weights import load_state

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


@dataclass(frozen=True)
class Training:
    """A net, and what its training began with."""

    net: MAENet
    parameters: dict[str, Any]
    has_decoder: bool = True
    """Whether it can predict: weights may come without a decoder."""


@shared_docs(AUTOENCODER_DOCS)
class DeepAutoencoder(ClassNamePrefixFeaturesOutMixin, ReadsOnce, ClonesCallbacks, GridEstimator, ABC):
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
    %(mask_and_patch)s
    %(image_shape)s
    %(channel_axis)s
    %(mask_sampling)s
    %(training)s

    Attributes
    ----------
    %(attributes)s

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

    _parameter_constraints: Constraints = {
        **MASKING,
        **GRID,
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
        patch: Patch = 4,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        mask_sampling: MaskSampling = "exact",
        normalize_target: bool = False,
        pool: str = "mean",
        max_epochs: int = 200,
        batch_size: int = 256,
        learning_rate: float = 1.5e-4,
        warmup_epochs: int = 10,
        weight_decay: float = 0.05,
        augment: Augmentation = "auto",
        device: str | torch.device = "auto",
        precision: str = "auto",
        compile: bool = False,
        checkpoint: AnyPath | None = None,
        checkpoint_every: int | None = None,
        callbacks: Sequence[object] | None = None,
        net_params: Mapping[str, object] | None = None,
        accelerator: object = None,
        verbose: int = 0,
        random_state: RandomState = None,
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
    @undisturbed()
    def fit(self, X: Images, y: object = None) -> Self:  # noqa: ARG002
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
        samples = self._as_samples(X)
        training = self._begin(samples, self._draw_seed())
        net, checkpointer, stopped = training.net, self._checkpointer(training, samples), None
        if not checkpointer.resume(net):
            stopped = train(net, dataset_of(samples, net.where), checkpointer, self.max_epochs - len(net.history))
        self._store(training, samples)
        if stopped is not None:
            raise stopped
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @undisturbed()
    def partial_fit(self, X: Images, y: object = None) -> Self:  # noqa: ARG002
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
        first = not self.__sklearn_is_fitted__()
        samples = self._as_samples(X) if first else self._as_fitted_samples(X)
        training = self._begin(samples, self._draw_seed()) if first else self._go_on(samples)
        stopped = train(training.net, dataset_of(samples, training.net.where), Checkpointer(), 1)
        self._store(training if stopped else replace(training, has_decoder=True), samples if first else None)
        if stopped is not None:
            raise stopped
        return self

    def _store(self, training: Training, samples: AnySamples | None = None) -> None:
        """Take what was trained, and the width and names of the samples, all at once."""
        if samples is not None:
            samples.record(self)
        self._training = training

    def _as_samples(self, X: Any) -> Any:
        """Samples of an array, or of a Dataset, not yet checked for NaN."""
        refuse_streams(X)
        if isinstance(X, Dataset):
            return DatasetSamples(X)
        return X if isinstance(X, DatasetSamples) else super()._as_samples(to_array(X) if isinstance(X, Tensor) else X)

    def _draw_seed(self) -> int:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if self.accelerator is None:
            return seed
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([seed])[0]

    def _parameters(self) -> dict[str, Any]:
        """The estimator's parameters, and those of training that its ``__init__`` does not have."""
        of_training = {name: getattr(self, name) for name in DeepAutoencoder._get_param_names()}
        return plain_numbers(of_training | self.get_params(deep=False))

    def _untrained(self, X: Images, seed: int) -> Self:
        """Fit nothing but the statistics of the pixels: the weights are fresh."""
        samples = self._as_samples(X)
        self._store(self._begin(samples, seed), samples)
        return self

    def _begin(self, samples: AnySamples, seed: int) -> Training:
        """A net with fresh weights, which knows the statistics of the pixels."""
        training = self._build(samples.n_features, samples.sample_shape, seed)
        net = training.net
        samples.check_finite()
        statistics = ChannelStatistics.of(samples, net.grid)
        net.plain_module.standardize.learn(statistics.mean, statistics.scale)
        return training

    def _build(self, n_features: int, sample_shape: Shape | None, seed: int) -> Training:
        """A net with fresh weights, for samples of a shape."""
        self._validate_params()
        parameters, grid = self._parameters(), self._grid_for(n_features, sample_shape)
        return Training(build_net(parameters, self._fresh_module(grid, seed), grid, seed), parameters)

    def _grid_for(self, n_features: int, sample_shape: Shape | None) -> PatchGrid:
        return PatchGrid.build_regular(*self._resolve_shape(n_features, sample_shape), self.patch)

    def _fresh_module(self, grid: PatchGrid, seed: int) -> Any:
        parameters = self._parameters()
        params = module_params(parameters)
        with naming_net_params(parameters), drawing_weights(seed):
            module = self._make_module(grid, **params)
        return check_network(module, f"{type(self).__name__}._make_module")

    def _network_for(self, samples: AnySamples) -> Any:
        """A fresh network for samples like these, to ask what it offers."""
        return self._fresh_module(self._grid_for(samples.n_features, samples.sample_shape), seed=0)

    def _checkpointer(self, training: Training, samples: AnySamples) -> Checkpointer:
        """What keeps the state of `fit`: in a folder of its own for these parameters and these data."""
        if self.checkpoint is None:
            return Checkpointer()
        parameters = {name: value for name, value in training.parameters.items() if name not in _NOT_IN_FINGERPRINT}
        parameters["estimator"] = f"{type(self).__module__}.{type(self).__qualname__}"
        parameters["mask_sampling"] = training.net.sampler
        parameters["image_shape"] = (training.net.grid.image_shape, training.net.grid.channel_axis)
        parameters["patch"] = training.net.grid.patch_shape
        parameters["precision"] = noted_precision(self.precision, training.net.precision)
        parameters["random_state"] = None if self.random_state is None else training.net.seed
        hashes = hashes_of(parameters, samples)
        fingerprint = fingerprint_of(hashes)
        folder, say = Path(self.checkpoint) / fingerprint, print if self.verbose else None
        return Checkpointer(folder, self.checkpoint_every, fingerprint, hashes, writes=training.net.writes(), say=say)

    def _go_on(self, samples: AnySamples) -> Training:
        """The training that was begun, with the parameters that may change as they are now."""
        self._validate_params()
        parameters = self._parameters()
        _check_unchanged(self._training.parameters, parameters)
        samples.check_finite()
        net = self._training.net
        net.batch_size, net.max_epochs = parameters["batch_size"], parameters["max_epochs"]
        if net.verbose != self.verbose:
            net.set_params(verbose=self.verbose).initialize_callbacks()
        for _, callback in net.callbacks_:
            if isinstance(callback, WarmupCosine):
                callback.learning_rate = peak_rate(parameters)
                callback.warmup_epochs, callback.max_epochs = parameters["warmup_epochs"], net.max_epochs
        return self._training

    # -- using --------------------------------------------------------------------------------------------------

    def transform(self, X: Images) -> np.ndarray:
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

    def feature_module(self) -> FeatureModule:
        """What `transform` computes, as a module of PyTorch alone.

        For ``torch.export``, ``torch.onnx.export`` and servers that know nothing of this package (user guide, "Deep
        masked autoencoders"). It takes images in the units of training data, (n, \\*image_shape) or flat, of any real
        type, and gives features of float32.

        Returns
        -------
        torch.nn.Module
            A copy, on the CPU, in evaluation mode, without the decoder. Neither it nor the estimator changes the other.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_digits
        >>> from skmae import ViTMAE
        >>> X = load_digits().images[:32]
        >>> mae = ViTMAE(patch=4, embed_dim=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2)
        >>> module = mae.set_params(max_epochs=1, warmup_epochs=0).fit(X).feature_module()
        >>> module(torch.from_numpy(X)).shape
        torch.Size([32, 16])
        """
        check_is_fitted(self)
        return FeatureModule(self.net_.plain_module, self.pool, self.net_.grid.n_patches)

    def _encode(self, X: Any, function: Any) -> np.ndarray:
        """Rows of ``function(module, standardised images)``."""
        samples = self._as_fitted_samples(X)
        return over_batches(self.net_, samples, self.batch_size, lambda module, images, _: function(module, images))

    def _pool(self, features: Tensor) -> Tensor:
        return pool_features(features, self.pool, self.net_.grid.n_patches)

    def reconstruct(self, X: Images, visible: ArrayLike | None = None) -> np.ndarray:
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
            None hides nothing. Pixels that it hides are never read: they may be NaN, infinity or anything.

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
        samples = self._as_fitted_samples(X if visible is None else without_masked(X))
        net, n = self.net_, len(samples)
        masks = np.ones((1, net.grid.n_patches), bool) if visible is None else self._read_visible(visible, n)

        def of(rows: slice) -> np.ndarray:
            return masks[rows] if len(masks) == n else masks

        def rebuild(module: Any, images: Tensor, rows: slice) -> Tensor:
            return predict_pixels(net, module, images, None if visible is None else torch.tensor(of(rows)))

        def seen(rows: slice) -> np.ndarray:
            return net.grid.per_feature(of(rows))

        return over_batches(net, samples, self.batch_size, rebuild, seen).reshape(samples.original_shape)

    def _read_visible(self, visible: ArrayLike, n_samples: int) -> np.ndarray:
        may_be_empty = self.net_.n_visible is None  # as in training, perhaps
        return read_visible_patches(self.net_.grid, visible, n_samples, may_be_empty=may_be_empty)

    @undisturbed()
    def linearize(
        self, X: ArrayLike, visible: ArrayLike | None = None, *, batch_size: int | None = None
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
        samples = self._as_fitted_samples(X if visible is None else without_masked(X))
        mask = None if visible is None else self._read_visible(visible, 1)
        return linearize(self.net_, samples.rows(), mask, batch_size)

    def score(self, X: Images, y: object = None) -> float:  # noqa: ARG002
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
        samples, net = self._as_fitted_samples(X), self.net_
        visible = draw_visible(net, len(samples), net.seed)

        def errors(module: Any, images: Tensor, rows: slice) -> Tensor:
            prediction, hidden = run_masked(module, images, visible[rows], net.n_visible)
            return net.criterion_.per_sample(prediction, module.patchify(images), hidden)

        return -float(over_batches(net, samples, self.batch_size, errors).mean(dtype=np.float64))

    def sample_visible(self, n_samples: int, random_state: RandomState = None) -> np.ndarray:
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

    @undisturbed()
    def load_weights(
        self, weights: AnyPath | Mapping[str, Tensor], *, mean: ArrayLike | None = None, scale: ArrayLike | None = None
    ) -> Self:
        """Take weights that were trained before, here or elsewhere.

        Checkpoints are understood, and state dicts of the module; of `ViTMAE`, also the layouts of
        facebookresearch/mae and of transformers, with or without decoder. There, if the grid of patches is another
        than theirs, positions are interpolated. The parameters of this estimator must be those of the weights; an
        estimator that was not fitted must know `image_shape`. `transform` can be used at once; `partial_fit` goes on
        from the weights, and `fit` begins anew.

        Parameters
        ----------
        weights : str, path or mapping from names to tensors
            A ``.safetensors`` file, a ``.pth`` file (opened with ``weights_only=True``), a folder that transformers
            wrote, or a state dict.
        mean, scale : float or array-like of shape (n_channels,), default=None
            Subtracted from the pixels, and what they are divided by then. None takes those in the file, which
            `ViTMAE.save_weights` and checkpoints write, or in the folder's ``preprocessor_config.json``; else those
            that a fitted estimator has; else 0 and 1: pass X as the authors of the weights did.

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it cannot be read; if weights are missing, unexpected, of another shape or type or not finite, which are
            named; if they were made with other sizes; if `mean` or `scale` does not fit; if `image_shape` is not known.
            The estimator is then as it was.
        """
        self._image_shape_of_weights()  # before a large file is read
        return self._take(self._read_weights(weights), mean, scale)

    def _take(self, weights: Weights, mean: ArrayLike | None = None, scale: ArrayLike | None = None) -> Self:
        fitted = self.net_ if self.__sklearn_is_fitted__() else None
        shape = self._image_shape_of_weights()
        training = self._build(prod(shape), shape, self._draw_seed())
        module, n_channels = training.net.plain_module, training.net.grid.n_channels
        standardize, noted = module.standardize, weights.origin
        if fitted is not None and fitted.grid.n_channels == n_channels:
            standardize.learn(*fitted.plain_module.standardize.statistics())
        given = {"mean": mean, "scale": scale}
        with weights.named():
            has_decoder = self._load_state(module, weights)
            if noted is not None and noted.mean is not None and noted.scale is not None:
                standardize.learn(noted.mean, noted.scale)
            known = dict(zip(given, standardize.statistics(), strict=True))
            learned = {name: per_channel(name, known[name], n_channels) for name in given if given[name] is None}
        learned |= {name: per_channel(name, value, n_channels) for name, value in given.items() if value is not None}
        standardize.learn(**learned)
        if self.image_shape is not None:
            self.__dict__.pop("feature_names_in_", None)
            self.n_features_in_ = prod(shape)
        self._store(replace(training, has_decoder=has_decoder))
        return self

    @staticmethod
    def _read_weights(source: Any) -> Weights:
        """Weights, from whatever was passed to `load_weights`."""
        return read_weights(source)

    def _load_state(self, module: Any, weights: Weights) -> bool:
        """Put weights into a module; say whether they can predict, with a decoder."""
        load_state(module, weights.state, self._network_parameters(), optional=("standardize.",))
        return True

    def _network_parameters(self) -> list[str]:
        """Names of the parameters that say what the network is, and of the shapes that it is made for."""
        return [*sorted(set(self._get_param_names()) - set(DeepAutoencoder._get_param_names())), "patch", "image_shape"]

    def _image_shape_of_weights(self) -> Shape:
        """The shape that weights are loaded for: the parameter's, or that of the samples that were fitted."""
        if self.image_shape is not None:
            return check_shape(self.image_shape)
        if self.__sklearn_is_fitted__():
            return self.image_shape_
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
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self.net_.grid.image_shape

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self.net_.grid.channel_axis

    @property
    def _predicts_hidden_only(self) -> bool:
        """Whether what is made of visible patches means nothing."""
        return bool(self.mask_ > 0)

    @property
    def history_(self) -> Any:
        return self.net_.history

    @property
    def precision_(self) -> str:
        return self.net_.precision

    @property
    def mask_(self) -> float:
        return hidden_share(self.net_.sampler, self.net_.grid, self.net_.mask)

    @property
    def patch_(self) -> Shape:
        return self.net_.grid.patch_shape

    @property
    def mean_(self) -> np.ndarray:
        return self.net_.plain_module.standardize.statistics()[0].numpy()

    @property
    def scale_(self) -> np.ndarray:
        return self.net_.plain_module.standardize.statistics()[1].numpy()

    @property
    def _n_features_out(self) -> int:
        """Width of the features: those of a blank image."""
        with undisturbed(), torch.inference_mode():
            blank = torch.zeros(1, *self.net_.grid.image_shape, device=self.net_.where)
            return self._pool(module_in(self.net_, torch.float32).encode(blank)).shape[1]

    def __copy__(self) -> Self:
        """A copy that shares no weights, optimizer or history: `partial_fit` of either leaves the other alone."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        if self.__sklearn_is_fitted__():
            net = self._training.net
            callbacks = map(plain, (*net.callbacks_, *(net.callbacks or ())))
            shared = {id(callback): callback for callback in callbacks if not can_be_copied(callback)}
            other._training = replace(self._training, net=deepcopy(net, shared))
        return other

    def __sklearn_is_fitted__(self) -> bool:
        return "_training" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
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
