"""Wrong things for every parameter of every public entry point: refused with a text that names it, nothing changed."""

import re
from typing import Any

from sklearn.exceptions import NotFittedError

from stress import _entries
from stress._frame import Failure, Trial
from stress._garbage import draw_garbage

BUDGET = 60_000
SLICE = 600

_DOCUMENTED = (ValueError, TypeError, NotFittedError, OSError, ImportError)

_OF_PEER = {"param_grid", "scoring", "cv", "refit", "y"}  # of a search, read by what it inherits

_NOT_FINITE = {"inf", "-inf", "nan", "NaN", "one NaN", "NaN weights", "inf weights"}  # these may warn
_NO_SAMPLES = {
    *("complex", "strings", "bytes", "datetime64", "timedelta64", "objects of strings", "object of arrays"),
    *("structured", "structured 2-d", "void", "inf", "ragged", "rows of strings", "images of unequal size"),
    *("frame with strings", "frame with dates", "frame with durations", "frame with categories", "frame of objects"),
    *("frame of lists", "complex frame", "Series of strings", "polars with dates", "polars with strings"),
    *("polars nested", "arrow with strings", "complex tensor", "list of batches", "a batch in a list"),
    *("tuple of X and y", "generator", "path", "path as str", "list of paths", "DataLoader", "dict of arrays"),
}


def case(trial: Trial) -> None:
    entry = _entries.draw_entry(trial)
    arguments = entry.arguments()
    garbled = {}
    for name in trial.rng.permutation(list(entry.names))[: 2 if trial.chance(0.05) else 1]:
        what, arguments[name] = draw_garbage(trial)
        garbled[str(name)] = what
    trial.note(entry=entry.name, garbled=garbled)
    trial.cell(entry.name, parameter="+".join(sorted(garbled)))
    before = entry.state()
    try:
        entry.call(**arguments)
    except Exception as error:
        if not _is_of_peer(entry, garbled, arguments, error):
            _check_raised(entry, garbled, before, error)
    else:
        _check_accepted(entry, garbled)


def _is_of_peer(entry: _entries.Entry, garbled: dict[str, str], arguments: dict[str, Any], error: Exception) -> bool:
    """Whether scikit-learn, which reads these parameters, raises the same."""
    if entry.peer is None or not garbled.keys() <= _OF_PEER:
        return False
    try:
        entry.peer(**arguments)
    except Exception as theirs:
        return type(theirs) is type(error)
    return False


def _check_raised(entry: _entries.Entry, garbled: dict[str, str], before: object, error: Exception) -> None:
    if isinstance(error, RuntimeWarning):
        if not _NOT_FINITE.intersection(garbled.values()):
            raise Failure(f"{entry.name} with {garbled} warns: {error}") from error
        return
    if not isinstance(error, _DOCUMENTED):
        raise Failure(f"{entry.name} with {garbled} raises {type(error).__name__}: {error}") from error
    _check_text(entry, garbled, error)
    if entry.state() != before:
        raise Failure(f"{entry.name} refused {garbled}, but changed the estimator") from error


def _check_accepted(entry: _entries.Entry, garbled: dict[str, str]) -> None:
    """Samples that are none must not pass for numbers."""
    wrong = sorted(_NO_SAMPLES.intersection(what for name, what in garbled.items() if name == "X"))
    if wrong:
        raise Failure(f"{entry.name} took {wrong} for samples")


def _check_text(entry: _entries.Entry, garbled: dict[str, str], error: Exception) -> None:
    """One of the parameters must be named."""
    text = str(error)
    wanted = [alias for name in garbled for alias in entry.aliases(name)]
    if not any(re.search(alias, text) for alias in wanted):
        raise Failure(f"{entry.name} with {garbled}: the text names no parameter: {type(error).__name__}: {text}")
