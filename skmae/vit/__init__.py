"""Masked autoencoders with Vision Transformers. Needs the extra ``deep``."""

from typing import TYPE_CHECKING, Any

from skmae.vit._classifier import ViTMAEClassifier
from skmae.vit._estimator import ViTMAE
from skmae.vit._regressor import ViTMAERegressor

if TYPE_CHECKING:
    from skmae.planning import probe_layers, training_cost

__all__ = ["ViTMAE", "ViTMAEClassifier", "ViTMAERegressor", "probe_layers", "training_cost"]


def __getattr__(name: str) -> Any:
    if name in ("probe_layers", "training_cost"):  # planning is built on vit, not the other way round
        from skmae import planning

        return getattr(planning, name)
    raise AttributeError(f"module 'skmae.vit' has no attribute {name!r}")
