"""Deep masked autoencoders: with Vision Transformers, or any network. Needs the extra ``deep``."""

from typing import TYPE_CHECKING, Any

from skmae._config import ViTConfig
from skmae.vit._autoencoder import DeepAutoencoder
from skmae.vit._network import PatchModule, Standardize
from skmae.vit._predictors import ViTMAEClassifier, ViTMAERegressor
from skmae.vit._vitmae import ViTMAE

if TYPE_CHECKING:
    from skmae.planning import probe_layers, training_cost

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


def __getattr__(name: str) -> Any:
    if name in ("probe_layers", "training_cost"):  # planning is built on vit, not the other way round
        from skmae import planning

        return getattr(planning, name)
    raise AttributeError(f"module 'skmae.vit' has no attribute {name!r}")
