"""How cases are drawn, run, counted and judged."""

import os
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from zlib import crc32

import numpy as np
from sklearn.exceptions import FitFailedWarning

import stress.campaigns


class Failure(AssertionError):  # noqa: N818
    """A wrong answer, or a refusal that is not a documented one."""


class Trial:
    """One case: its random numbers, what it touches, and what it is about.

    Attributes
    ----------
    rng : numpy.random.Generator
        Everything random about the case comes from here, so that its number is enough to run it again.
    seed, number : int
    """

    def __init__(self, campaign: str, seed: int, number: int):
        self.rng = np.random.default_rng([seed, crc32(campaign.encode()), number])
        self.seed = seed
        self.number = number
        self.cells: list[tuple[str, str, str, str]] = []
        self.notes: dict[str, object] = {}

    def cell(self, entry: str, dtype: object = "", layout: object = "", parameter: object = "") -> None:
        """Count a cell as covered by this case."""
        self.cells.append((entry, str(dtype), str(layout), str(parameter)))

    def note(self, **what: object) -> None:
        """Keep what is shown if the case fails."""
        self.notes.update(what)

    def choose(self, *options: object) -> object:
        """One of these, each as likely."""
        return options[self.rng.integers(len(options))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)


@dataclass
class Outcome:
    """What a campaign found.

    Attributes
    ----------
    cells : Counter
        Cases of each cell (entry, dtype, layout, parameter).
    failed : Counter
        Of these, the ones that failed.
    failures : list of (int, str)
        Number of the case, and what happened.
    """

    campaign: str
    seed: int
    n_cases: int = 0
    seconds: float = 0.0
    cells: Counter = field(default_factory=Counter)
    failed: Counter = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)


def campaigns() -> dict[str, object]:
    """Name and module of each campaign."""
    names = sorted(module.name for module in iter_modules(stress.campaigns.__path__))
    return {name: import_module(f"stress.campaigns.{name}") for name in names}


def run(
    campaign: str,
    *,
    seed: int = 0,
    first: int = 0,
    cases: int | None = None,
    seconds: float = float("inf"),
    stop_at_failure: bool = False,
    verbose: bool = False,
) -> Outcome:
    """Run cases of a campaign until their number or the time is spent; the budget of the campaign by default."""
    module = campaigns()[campaign]
    cases = cases if cases is not None else module.BUDGET if seconds == float("inf") else sys.maxsize
    outcome = Outcome(campaign, seed)
    begin = time.monotonic()
    with _listening() as (heard, say):
        for number in range(first, first + cases):
            trial = Trial(campaign, seed, number)
            error = _judge(module.case, trial, heard)
            outcome.n_cases += 1
            outcome.cells.update(trial.cells)
            if error:
                outcome.failed.update(trial.cells)
                outcome.failures.append((number, error))
                if verbose:
                    say(_described(outcome, trial, error))
            outcome.seconds = time.monotonic() - begin
            if outcome.seconds > seconds or (error and stop_at_failure):
                break
    return outcome


def _judge(case: object, trial: Trial, heard: object) -> str | None:
    """What is wrong with a case; None if nothing is. Where it runs is gone afterwards: garbage may name files."""
    try:
        with tempfile.TemporaryDirectory() as place, chdir(place), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", FitFailedWarning)  # which is one, and says what was refused
            case(trial)
    except Exception as error:
        heard()
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} [{os.path.basename(place.filename)}:{place.lineno}]"
    printed = heard()
    return f"printed: {printed[:300]!r}" if printed else None


def _described(outcome: Outcome, trial: Trial, error: str) -> str:
    notes = " ".join(", ".join(f"{name}={value!r}" for name, value in trial.notes.items()).split())
    again = f"python -m stress --only {outcome.campaign} --seed {outcome.seed} --replay {trial.number}"
    return f"{again}  # {error} | {notes}"


@contextmanager
def _listening() -> Iterator[tuple[object, object]]:
    """Catch what is printed, by Fortran too: `heard()` is what came since it was asked last; `say` still speaks."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)

            def heard() -> str:
                if not os.fstat(file.fileno()).st_size:  # nothing waits in Python's buffers while all is well
                    return ""
                file.seek(0)
                text = file.read().decode(errors="replace")
                file.seek(0)
                file.truncate()
                return text

            def say(line: str) -> None:
                os.write(kept[0], f"{line}\n".encode())

            yield heard, say
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
