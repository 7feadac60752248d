"""ViTMAE: the deep masked autoencoder with a Vision Transformer."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skmae._config import SIZES, ViTConfig, check_widths
from skmae._estimator import store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import shared_docs
from skmae._typing import AnyPath, ChannelAxis, Constraints, Patch, RandomState, Shape
from skmae._undisturbed import undisturbed
from skmae.masking import MaskSampling
from skmae.vit._archives import first_line
from skmae.vit._augmentation import Augmentation
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._data import Images
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._network import layers_of
from skmae.vit._origin import Origin
from skmae.vit._parameters import AUTOENCODER_DOCS
from skmae.vit._weight_files import CONFIG, PIXELS, State, Weights, read_pretrained, write_json, write_safetensors
from skmae.vit._weights import LAYOUTS, from_module, load_into


@shared_docs(AUTOENCODER_DOCS)
class ViTMAE(DeepAutoencoder):
    """Masked autoencoder with a Vision Transformer, trained by PyTorch.

    An encoder sees some patches of a sample, and a small decoder predicts the others from the encoder's output [1]_.
    Afterwards `transform` encodes whole samples. It takes the place of `LinearMAE` or ``PCA`` in a Pipeline. It needs
    minutes (small models) to hours or a GPU where these need seconds. On CIFAR-10 its features classify better than
    theirs, but a small ViT's not better than those of `LocalTokens` with a `LinearMAE`.

    Parameters
    ----------
    %(mask_and_patch)s
    %(image_shape)s
    %(channel_axis)s
    %(mask_sampling)s
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
    %(training)s

    Attributes
    ----------
    %(attributes)s

    See Also
    --------
    LinearMAE : The linear one, in closed form.
    skmae.vit.DeepAutoencoder : The same around another network.

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

    _parameter_constraints: Constraints = {**DeepAutoencoder._parameter_constraints, **SIZES}

    def __init__(
        self,
        *,
        mask: float = 0.75,
        patch: Patch = 4,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        mask_sampling: MaskSampling = "exact",
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

    def _make_module(self, grid: PatchGrid, **module_params: Any) -> MaskedAutoencoder:
        config = ViTConfig.from_parameters(self._parameters(), **module_params)
        check_widths(len(grid.grid_shape), embed_dim=config.embed_dim, decoder_dim=config.decoder_width)
        return MaskedAutoencoder(grid, config)

    def patch_features(self, X: Images) -> np.ndarray:
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
        return self._encode(X, lambda module, images: module.encode(images)[:, 1:])

    def layer_features(self, X: Images) -> np.ndarray:
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
        return self._encode(X, lambda module, images: layers_of(module, images, self.pool, module.grid.n_patches))

    def save_weights(self, path: AnyPath, *, layout: str = "mae") -> None:
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
        write_safetensors(Path(path), self._state_in(layout), self._origin(self.net_.plain_module))

    def save_pretrained(self, folder: AnyPath) -> None:
        """Write a folder that transformers' ``ViTMAEForPreTraining.from_pretrained`` opens, and `from_pretrained`, too.

        Parameters
        ----------
        folder : str or path
            It is made where it is not there. It gets ``model.safetensors``, ``config.json``, and mean and scale of the
            pixels as ``preprocessor_config.json``.

        Raises
        ------
        ValueError
            If transformers cannot have this model: its samples are no square pictures, or 4 does not divide its widths.
        OSError
            If a file cannot be written. It is then as it was before.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_digits
        >>> from skmae import ViTMAE
        >>> X = load_digits().images
        >>> mae = ViTMAE(patch=2, embed_dim=16, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2,
        ...              max_epochs=1, random_state=0).fit(X)
        >>> with TemporaryDirectory() as folder:
        ...     mae.save_pretrained(folder)
        ...     same = ViTMAE.from_pretrained(folder)
        >>> bool((same.transform(X) == mae.transform(X)).all())
        True
        """
        check_is_fitted(self)
        folder, origin = Path(folder), self._origin(self.net_.plain_module)
        config, pixels = origin.to_transformers()
        architecture = "ViTMAEForPreTraining" if self._training.has_decoder else "ViTMAEModel"
        state = self._state_in("transformers")
        if not self._training.has_decoder:
            state = {name.removeprefix("vit."): tensor for name, tensor in state.items()}
        write_safetensors(folder / "model.safetensors", state, origin)
        write_json(folder / CONFIG, {**config, "architectures": [architecture]})
        write_json(folder / PIXELS, pixels)

    @classmethod
    @undisturbed()
    def from_pretrained(cls, source: AnyPath) -> Self:
        """A fitted estimator, with weights and sizes of a folder that transformers wrote, or of a file of skmae's own.

        Of a folder, ``config.json`` has the sizes; mean and scale of the pixels are those of
        ``preprocessor_config.json``, in units of the pixels before its ``rescale_factor``, else 0 and 1. Samples are
        read channels last, (height, width, channels), or (height, width) of one channel. Its dropout is left out.

        Parameters
        ----------
        source : str or path
            A folder, or a file that `save_weights`, `save_pretrained` or a checkpoint wrote. Nothing is downloaded.

        Returns
        -------
        ViTMAE
            With all other parameters at their defaults.

        Raises
        ------
        FileNotFoundError
            If there is no such file or folder.
        ValueError
            If it cannot be read, does not say what the network is, or is of another model than `ViTMAE` can be.
        """
        if not isinstance(source, str | PathLike):
            raise TypeError(f"source is of type {type(source).__name__}. Pass the path of a folder or file.")
        weights = read_pretrained(source)
        origin = weights.origin
        if origin is None:
            raise ValueError(
                f"{str(source)!r} does not say what network its weights are of. Pass a folder with {CONFIG}, or build "
                f"the estimator with its sizes, {cls.__name__}(image_shape=..., embed_dim=..., ...), and call "
                f"load_weights."
            )
        with weights.named():
            _check_sizes(weights, origin)
            estimator = cls(**origin.parameters())
        return estimator._take(weights)

    def _origin(self, module: MaskedAutoencoder) -> Origin:
        """What the network of this estimator is, to be noted beside its weights."""
        mean, scale = (values.tolist() for values in module.standardize.statistics())
        return Origin(module.grid, module.config, self.normalize_target, self.mask, self.pool, mean, scale)

    def _state_in(self, layout: str) -> State:
        return from_module(self.net_.plain_module, layout, self._training.has_decoder)

    @staticmethod
    def _read_weights(source: Any) -> Weights:
        return read_pretrained(source)

    def _load_state(self, module: Any, weights: Weights) -> bool:
        return load_into(module, weights, self._origin(module), self._network_parameters())


def _check_sizes(weights: Weights, origin: Origin) -> None:
    """Refuse sizes that are not those of the weights before anything of such a size is made."""
    layers = origin.config.encoder_layers + origin.config.decoder_layers
    if layers > len(weights.state):
        raise ValueError(f"{layers} blocks are noted, and there are {len(weights.state)} weights.")
    try:
        with torch.device("meta"):
            module = MaskedAutoencoder(origin.grid, origin.config)
    except (RuntimeError, TypeError, OverflowError) as error:  # PyTorch's own, of numbers beyond all memory
        raise ValueError(f"A network of the sizes that are noted cannot be: {first_line(error)}") from error
    load_into(module, weights, origin, ["the sizes that are noted"])
