"""Wrong things for every parameter of deep estimators and their methods: refused by name, nothing changed."""

import re
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor
from stress._frame import Failure, Trial
from stress._garbage import FUNCTIONS, NUMBERS, draw_garbage, draw_like
from stress.campaigns.deep import world

torch.set_num_threads(1)

BUDGET = 12_000
SLICE = 100

_DOCUMENTED = (ValueError, TypeError, NotFittedError, OSError, ImportError, FloatingPointError)
_OWN = {"embed_dim": 6, "encoder_layers": 1, "encoder_heads": 1, "patch": 2, "max_epochs": 1, "batch_size": 8}
_SMALL = {**_OWN, "augment": None, "warmup_epochs": 0, "random_state": 0, "image_shape": (4, 4)}
# what a text may name instead: what is wrong with a number of heads is said of the width, too
_ALSO = {
    "X": ("samples", "features", "batch", "sample", "tensor", "learning_rate"),
    "y": ("target", "labels", "Complex data", "Found array", "Input contains", "DType", "column names"),
    "sample_weight": (
        "weights",
        "Complex data",
        "Found array",
        "DType",
        "convert",
        "cast",
        "compare",
        "matrix",
        "column",
    ),
    "random_state": ("seed", "Seed"),
    "decoder_dim": ("decoder_heads", "width"),
    "patch": ("image_shape",),
}
_HUGE = {"10**30", "2**63", "1e308", "7", "1", "1.0", "inf"}  # a network or a training that would never end


def case(trial: Trial) -> None:
    kind = trial.choose(ViTMAE, ViTMAE, ViTMAEClassifier, ViTMAERegressor)
    entry = trial.choose(*ENTRIES[kind])
    before = world()
    if entry == "__init__":
        of_parameters(trial, kind)
    else:
        of_methods(trial, kind, entry)
    if world() != before:
        raise Failure("the state of a global random generator, or a global setting, is another one afterwards")


def of_parameters(trial: Trial, kind: type) -> None:
    """A parameter, found out at `fit`; the model fitted before stays."""
    names = [name for name in signature(kind.__init__).parameters if name not in ("self", "device", "verbose")]
    name = str(trial.choose(*names))
    is_number = isinstance(signature(kind.__init__).parameters[name].default, int | float)
    near = NUMBERS if is_number else FUNCTIONS if name in ("mask_sampling", "augment") else ()
    what, thing = draw_like(trial, near) if near and trial.chance(0.5) else draw_garbage(trial)
    if name == "random_state" and what == "None":  # scikit-learn's convention: NumPy's global generator draws
        return
    if what == "Fraction":  # numpy.isnan, which scikit-learn's checks of parameters ask, does not take it
        return
    if name == "compile" and what in ("True", "np.bool_"):  # which it takes, and compiles for a minute
        return
    if what in _HUGE and name not in ("callbacks", "net_params", "mask_sampling", "encoder", "augment"):
        return
    trial.cell(f"{kind.__name__}.fit", parameter=name)
    trial.note(kind=kind.__name__, parameter=name, what=what)
    model = fitted(kind)
    outcome = model.transform(data()) if kind is ViTMAE else model.predict(data())
    own = model.get_params(deep=False)
    try:
        model.set_params(**{name: thing}).fit(*arguments(kind))
    except _DOCUMENTED as error:
        named(error, name)
        model.__dict__[name] = own[name]
        again = model.transform(data()) if kind is ViTMAE else model.predict(data())
        if not np.array_equal(again, outcome):
            raise Failure("a refused fit changed the model") from error
    finally:
        fitted.cache_clear()


def of_methods(trial: Trial, kind: type, entry: str) -> None:
    """An argument of a method of a fitted model."""
    model = fitted(kind)
    own: dict[str, Any] = {"X": data(), "y": arguments(kind)[-1]}
    own |= {
        "visible": np.ones(4, bool),
        "n_samples": 3,
        "random_state": 0,
        "sample_weight": np.ones(12),
        "outputs": None,
    }
    known = [name for name in signature(getattr(kind, entry)).parameters if name in own and name != "self"]
    if kind is ViTMAE:
        known = [name for name in known if name != "y"]
    name, (what, thing) = str(trial.choose(*known)), draw_garbage(trial)
    if name == "n_samples" and what in _HUGE:
        return
    trial.cell(f"{kind.__name__}.{entry}", parameter=name)
    trial.note(kind=kind.__name__, entry=entry, argument=name, what=what)
    given = {known_name: own[known_name] for known_name in known} | {name: thing}
    before = {key: value.clone() for key, value in model.net_.module_.state_dict().items()}
    try:
        getattr(model, entry)(**given)
        fitted.cache_clear()
    except _DOCUMENTED as error:
        named(error, name)
        if any(not torch.equal(value, before[key]) for key, value in model.net_.module_.state_dict().items()):
            raise Failure("a refused call changed the model") from error


def named(error: Exception, name: str) -> None:
    if not any(re.search(rf"\b{word}", str(error)) for word in (name, *_ALSO.get(name, ()))):
        raise Failure(f"the text does not name {name}: {type(error).__name__}: {str(error)[:300]}") from error


@cache
def data() -> np.ndarray:
    return np.random.default_rng(0).random((12, 4, 4)).astype(np.float32)


def arguments(kind: type) -> tuple[Any, ...]:
    return {
        ViTMAE: (data(),),
        ViTMAEClassifier: (data(), np.arange(12) % 3),
        ViTMAERegressor: (data(), np.arange(12.0)),
    }[kind]


@cache
def fitted(kind: type) -> Any:
    decoder = {"decoder_layers": 1, "decoder_heads": 1} if kind is ViTMAE else {}
    return kind(**_SMALL, **decoder).fit(*arguments(kind))


ENTRIES = {
    ViTMAE: [
        *["__init__"] * 4,
        *("fit", "partial_fit", "transform", "reconstruct", "score", "sample_visible", "patch_features", "linearize"),
        "layer_features",
    ],
    ViTMAEClassifier: ["__init__", "__init__", "fit", "predict", "predict_proba", "score"],
    ViTMAERegressor: ["__init__", "__init__", "fit", "predict", "score"],
}
