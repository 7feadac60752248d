"""Masked autoencoders as scikit-learn estimators."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmae.inspection import JacobianBasis, SpatialEntropy
    from skmae.linear import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, PatchImputer, PatchOutlierDetector
    from skmae.moments import Moments
    from skmae.planning import EpochHalvingSearchCV, probe_layers, suggest_masking, training_cost
    from skmae.tokens import LocalTokens
    from skmae.vit import ViTMAE, ViTMAEClassifier, ViTMAERegressor

__version__ = "0.1.0"

__all__ = [
    "JacobianBasis",
    "LinearAE",
    "LinearDAE",
    "LinearMAE",
    "LinearMAESearchCV",
    "LocalTokens",
    "Moments",
    "PatchImputer",
    "PatchOutlierDetector",
    "SpatialEntropy",
    "suggest_masking",
]

_MODULE_OF = {
    "JacobianBasis": "skmae.inspection",
    "LinearAE": "skmae.linear",
    "LinearDAE": "skmae.linear",
    "LinearMAE": "skmae.linear",
    "LinearMAESearchCV": "skmae.linear",
    "LocalTokens": "skmae.tokens",
    "Moments": "skmae.moments",
    "PatchImputer": "skmae.linear",
    "PatchOutlierDetector": "skmae.linear",
    "SpatialEntropy": "skmae.inspection",
    "suggest_masking": "skmae.planning",
}
# need the extra "deep", and are listed only where PyTorch is
_DEEP = {
    "EpochHalvingSearchCV": "skmae.planning",
    "ViTMAE": "skmae.vit",
    "ViTMAEClassifier": "skmae.vit",
    "ViTMAERegressor": "skmae.vit",
    "probe_layers": "skmae.planning",
    "training_cost": "skmae.planning",
}
_SUBMODULES = ("datasets", "inspection", "linear", "masking", "moments", "planning", "tokens", "vit")

if find_spec("torch") is not None:
    __all__ += [
        "EpochHalvingSearchCV",
        "ViTMAE",
        "ViTMAEClassifier",
        "ViTMAERegressor",
        "probe_layers",
        "training_cost",
    ]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"skmae.{name}")
    if name in _MODULE_OF:
        return getattr(import_module(_MODULE_OF[name]), name)
    if name in _DEEP:
        from skmae._compat import import_optional

        for library in ("torch", "skorch", "safetensors"):
            import_optional(library, extra="deep", purpose=name)
        return getattr(import_module(_DEEP[name]), name)
    raise AttributeError(f"module 'skmae' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *_SUBMODULES})
