"""ViTMAE: the deep masked autoencoder with a Vision Transformer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skmae._config import SIZES, ViTConfig, check_widths
from skmae._estimator import store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import shared_docs
from skmae._typing import AnyPath, ChannelAxis, Constraints, Patch, RandomState, Shape
from skmae.masking import MaskSampling
from skmae.vit._augmentation import Augmentation
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._data import Images
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._network import layers_of
from skmae.vit._parameters import AUTOENCODER_DOCS
from skmae.vit._weights import LAYOUTS, load_into, write_weights


@shared_docs(AUTOENCODER_DOCS)
class ViTMAE(DeepAutoencoder):
    """Masked autoencoder with a Vision Transformer, trained by PyTorch.

    An encoder sees some patches of a sample, a small decoder predicts the others from what it says [1]_. Afterwards
    `transform` encodes whole samples. It takes the place of `LinearMAE` or ``PCA`` in a Pipeline; it needs hours or a
    GPU where these need seconds, and gives features that classify better.

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
        config = ViTConfig.from_parameters(self.get_params(deep=False), **module_params)
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
        write_weights(Path(path), self.net_.plain_module, layout)

    def _load_state(self, module: Any, state: dict[str, Tensor], notes: dict[str, Any]) -> bool:
        return load_into(module, state, notes, self._network_parameters())
