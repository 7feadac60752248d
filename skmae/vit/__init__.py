"""Deep masked autoencoders: with Vision Transformers, or any network. Needs the extra ``deep``."""

from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._cost import training_cost
from skmae.vit._module import ViTConfig
from skmae.vit._network import PatchModule, Standardize
from skmae.vit._predictors import ViTMAEClassifier, ViTMAERegressor
from skmae.vit._probe import probe_layers
from skmae.vit._vitmae import ViTMAE

__all__ = [
    "DeepAutoencoder",
    "PatchModule",
    "Standardize",
    "ViTConfig",
    "ViTMAE",
    "ViTMAEClassifier",
    "ViTMAERegressor",
    "probe_layers",
    "training_cost",
]
