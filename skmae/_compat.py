"""Everything that may move between versions: scikit-learn's private names and the optional libraries."""

from importlib import import_module
from types import ModuleType

from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

__all__ = ["Interval", "RealNotInt", "StrOptions", "_fit_context", "import_optional"]


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
