"""What `transform` computes, as a module of PyTorch alone: to be exported, served, or trained on."""

from typing import Any

import torch
from torch import Tensor, nn

from skmae._undisturbed import undisturbed
from skmae.vit._network import encoder_of, pool_features


class FeatureModule(nn.Module):
    """Features of images in the units of training data.

    Parameters
    ----------
    module : Module
        The trained network; it is copied, without its decoder, to the CPU.
    pool : {"mean", "cls"}
    n_patches : int
    """

    def __init__(self, module: Any, pool: str, n_patches: int):
        super().__init__()
        with undisturbed():
            self.network = encoder_of(module).cpu()
        self.pool = pool
        self.n_patches = n_patches
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(n, \\*image_shape) or (n, n_features) of any real type → (n, n_features_out) float32."""
        standardized = self.network.standardize(images, torch.float32)
        return pool_features(self.network.encode(standardized), self.pool, self.n_patches)
