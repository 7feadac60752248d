"""Masked autoencoders as scikit-learn estimators."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skmae.linear import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV
    from skmae.moments import Moments

__version__ = "0.1.0"

__all__ = ["LinearAE", "LinearDAE", "LinearMAE", "LinearMAESearchCV", "Moments"]

_MODULE_OF = {
    "LinearAE": "skmae.linear",
    "LinearDAE": "skmae.linear",
    "LinearMAE": "skmae.linear",
    "LinearMAESearchCV": "skmae.linear",
    "Moments": "skmae.moments",
}
_SUBMODULES = ("datasets", "inspection")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"skmae.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skmae' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
