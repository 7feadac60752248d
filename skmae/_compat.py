"""Everything that may move between versions: scikit-learn's private names and the optional libraries."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._array_api import (
    _convert_to_numpy,
    _is_numpy_namespace,
    _max_precision_float_dtype,
    get_namespace_and_device,
)
from sklearn.utils._param_validation import (
    HasMethods,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _num_samples

__all__ = [
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_fit_context",
    "_num_samples",
    "array_to_numpy",
    "check_same_namespace",
    "fit_context",
    "import_optional",
    "is_numpy_namespace",
    "namespace_and_device",
    "output_is_frame",
    "validate_parameter_constraints",
    "widest_float",
]

try:
    from sklearn.utils._array_api import check_same_namespace
except ImportError:  # before scikit-learn 1.9

    def check_same_namespace(*args: Any, **kwargs: Any) -> None:
        """Older versions of scikit-learn leave mixed libraries to the estimator, which can do with them."""


class Interval(_Interval):
    """scikit-learn's range of numbers, which asks NumPy whether a real number is NaN; True is no number."""

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool):  # PyTorch does not take it for one
            return False
        value = float(value) if isinstance(value, np.floating) else value  # a limit may be infinite in its type
        try:
            return bool(super().__contains__(value))
        except TypeError:  # NumPy does not know it: a Fraction
            return False


Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """scikit-learn's decorator of `fit`, which checks the parameters, with the type of the method kept."""
    decorator: Callable[[Method], Method] = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)
    return decorator


def output_is_frame(transformer: Any) -> bool:
    """Whether scikit-learn will put what `transform` returns into a data frame."""
    return bool(_get_output_config("transform", transformer)["dense"] != "default")


is_numpy_namespace = _is_numpy_namespace
widest_float = _max_precision_float_dtype


def namespace_and_device(X: Any) -> tuple[Any, Any]:
    """The array library of X and its device; None and None if scikit-learn is to treat X as NumPy's."""
    xp, is_array_api, device = get_namespace_and_device(X)
    return (xp, device) if is_array_api else (None, None)


def array_to_numpy(X: Any) -> np.ndarray:
    """X in NumPy, from whatever library scikit-learn knows, and from any device."""
    xp, _ = namespace_and_device(X)
    X = X.detach() if hasattr(X, "detach") else X  # torch
    if str(getattr(X, "dtype", "")).endswith("bfloat16"):
        raise ValueError("X is of type bfloat16, which NumPy does not have. Convert it to float32 first.")
    return np.asarray(X) if xp is None else _convert_to_numpy(X, xp)


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a library that only an extra installs, or say how to get it.

    Parameters
    ----------
    module : str
        Dotted name to import.
    extra : str
        The extra of skmae that installs it.
    purpose : str
        Who needs it, the subject of the error's sentence.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(
            f'{purpose} needs {library}, which is not installed. Install it with: pip install "skmae[{extra}]"'
        ) from error
