"""Masked autoencoders with Vision Transformers. Needs the extra ``deep``."""

from skmae.vit._classifier import ViTMAEClassifier
from skmae.vit._cost import training_cost
from skmae.vit._estimator import ViTMAE
from skmae.vit._probe import probe_layers
from skmae.vit._regressor import ViTMAERegressor

__all__ = ["ViTMAE", "ViTMAEClassifier", "ViTMAERegressor", "probe_layers", "training_cost"]
