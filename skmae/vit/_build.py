"""What the parameters of training, which all deep estimators share, say about the net."""

import inspect
from collections.abc import Container
from dataclasses import fields
from typing import Any

import torch
from skorch.callbacks import LRScheduler
from torch.utils.data import DataLoader

from skmae._config import ViTConfig
from skmae.vit._callbacks import check_callbacks, own_callbacks, plain
from skmae.vit._net import WarmupCosine
from skmae.vit._precision import resolve_precision

_BATCH_OF_LEARNING_RATE = 256  # samples that `learning_rate` is given for
_REPEATED = {
    **{f"module__{field.name}": field.name for field in fields(ViTConfig)},
    **{name: name for name in ("max_epochs", "batch_size", "device", "compile", "callbacks", "verbose")},
    **{f"module__{name}": name for name in ("trainable_blocks", "pool", "drop_path")},
    "train_split": "early_stopping",
    "module__grid": "patch",
    "lr": "learning_rate",
    "optimizer__lr": "learning_rate",
    "optimizer__weight_decay": "weight_decay",
    "iterator_train__batch_size": "batch_size",
    "iterator_valid__batch_size": "batch_size",
}
_NET_PARAMETERS = ("optimizer", "train_split")
_NET_PREFIXES = ("module__", "optimizer__", "iterator_train__", "iterator_valid__", "callbacks__", "compile__")
_ITERATOR_OWNED = {"batch_size", "shuffle", "sampler", "batch_sampler", "drop_last", "collate_fn", "generator"}


def net_settings(parameters: dict[str, Any], seed: int, device: str | None) -> dict[str, Any]:
    """Settings that the nets of all deep estimators share, but for `net_params`."""
    net_params = parameters["net_params"] or {}
    check_net_params(net_params, parameters)
    settings: dict[str, Any] = {
        "optimizer__weight_decay": parameters["weight_decay"],
        "lr": peak_rate(parameters),
        "train_split": None,
        "callbacks": _callbacks(parameters),
        **{name: parameters[name] for name in ("batch_size", "max_epochs", "verbose", "compile")},
        "device": device,
        "autocast": resolve_precision(parameters["precision"], device),
        "seed": seed,
    }
    if "optimizer" not in net_params:
        settings.update(optimizer=torch.optim.AdamW, optimizer__betas=(0.9, 0.95), optimizer__fused=True)
    return settings


def module_params(parameters: dict[str, Any]) -> dict[str, Any]:
    """What `net_params`, once checked, says about the module: ``module__norm_eps`` is its ``norm_eps``."""
    net_params = parameters["net_params"] or {}
    check_net_params(net_params, parameters)
    prefix = "module__"
    return {name.removeprefix(prefix): value for name, value in net_params.items() if name.startswith(prefix)}


def other_net_params(parameters: dict[str, Any]) -> dict[str, Any]:
    """What `net_params` says about all but the module."""
    net_params = parameters["net_params"] or {}
    return {name: value for name, value in net_params.items() if not name.startswith("module__")}


def peak_rate(parameters: dict[str, Any]) -> float:
    """The optimizer's highest learning rate."""
    return parameters["learning_rate"] * parameters["batch_size"] / _BATCH_OF_LEARNING_RATE


def _callbacks(parameters: dict[str, Any]) -> list[Any]:
    """The user's callbacks, and the schedule, unless theirs has one."""
    callbacks: list[Any] = list(own_callbacks(parameters["callbacks"]) or ())
    validates = parameters.get("early_stopping") or "train_split" in (parameters["net_params"] or {})
    check_callbacks(callbacks, validates=bool(validates))
    if any(callback is LRScheduler or isinstance(callback, LRScheduler) for callback in map(plain, callbacks)):
        return callbacks
    schedule = WarmupCosine(peak_rate(parameters), parameters["warmup_epochs"], parameters["max_epochs"])
    return [("schedule", schedule), *callbacks]


def resolve_device(device: str | torch.device) -> str:
    """The device that the parameter `device` names, which must be there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is not a device. Pass 'auto', 'cpu' or 'cuda'.") from error
    known = [part for part in (getattr(torch, kind, None), getattr(torch.backends, kind, None)) if part is not None]
    is_there = kind in ("cpu", "meta") or any(part.is_available() for part in known if hasattr(part, "is_available"))
    if not is_there:
        raise ValueError(f"device={device!r}, but PyTorch finds no {kind} device here. Pass device='auto' or 'cpu'.")
    return str(device)


def check_net_params(net_params: dict[str, Any], parameters: Container[str]) -> None:
    """Refuse what repeats one of the estimator's parameters, and what the net does not know."""
    owned = {"module__n_outputs"} | {
        f"{kind}__{name}" for kind in ("iterator_train", "iterator_valid") for name in _ITERATOR_OWNED
    }
    loader = inspect.signature(DataLoader).parameters
    for key in net_params:
        if not isinstance(key, str):
            raise ValueError(
                f"net_params has {key!r}, of type {type(key).__name__}. Its keys are names of skorch's parameters, "
                f"such as 'optimizer__eps'."
            )
        if _REPEATED.get(key) in parameters:
            raise ValueError(
                f"net_params has {key!r}, which the estimator's own parameter {_REPEATED[key]} says. Set that."
            )
        kind, _, name = key.partition("__")
        known = key in _NET_PARAMETERS or key.startswith(_NET_PREFIXES)
        if not known or key in owned or (kind.startswith("iterator") and name not in loader):
            raise ValueError(
                f"net_params has {key!r}, which is not known. Known are {', '.join(_NET_PARAMETERS)}, and parameters "
                f"of skorch that begin with {', '.join(_NET_PREFIXES)} (of a DataLoader, but for "
                f"{', '.join(sorted(_ITERATOR_OWNED))}, which are the estimator's)."
            )
