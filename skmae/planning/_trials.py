"""Trainings that stop after some epochs, are judged, and go on from there."""

import os
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skmae._typing import IntArray

Scorer = Callable[..., float]


@dataclass(frozen=True)
class Trial:
    """Some parameters on a fold.

    Attributes
    ----------
    parameters : dict
        For ``set_params`` of the whole estimator.
    train, test : ndarray of int
    """

    parameters: dict[str, Any]
    train: IntArray
    test: IntArray

    def changed(self, **parameters: Any) -> "Trial":
        """Another, on the same fold."""
        return replace(self, parameters=self.parameters | parameters)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial, after some epochs.

    Attributes
    ----------
    epochs : int
    test_score, train_score : float
    fit_s, score_s : float
        Seconds since the outcome before, of all training; and of judging it.
    n_test : int
    model : DeepAutoencoder or None
        To go on from; None where nobody will, or where it failed.
    error : str
        What went wrong, if something did.
    """

    epochs: int
    test_score: float
    train_score: float
    fit_s: float
    score_s: float
    n_test: int
    model: Any = None
    error: str = ""


def first_of(estimator: Any) -> Any:
    """What is trained epoch by epoch."""
    return estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator


def path_to_first(estimator: Any) -> str:
    """The prefix of its parameters."""
    return f"{estimator.steps[0][0]}__" if isinstance(estimator, Pipeline) else ""


@dataclass(frozen=True)
class Course:
    """How trials are run: the estimator, the data, and who judges.

    Attributes
    ----------
    estimator : Pipeline or DeepAutoencoder
    X, y : array-like
    scorer : callable
    error_score : float or "raise"
    with_train_score : bool
    folder : Path
        For checkpoints of what has no ``partial_fit``.
    """

    estimator: Any
    X: Any
    y: Any
    scorer: Scorer
    error_score: Any
    with_train_score: bool
    folder: Path

    def run(self, trial: Trial, epochs: int, before: Outcome | None) -> Outcome:
        """Train a trial until it has seen so many epochs, from where it was, and judge it."""
        if before is not None and before.error:
            return replace(before, epochs=epochs, fit_s=0.0, score_s=0.0)
        try:
            return self._run(trial, epochs, None if before is None else before.model)
        except Exception as error:  # whatever a candidate raises, others go on
            if self.error_score == "raise":
                raise
            text = f"{type(error).__name__}: {error}"
            return Outcome(epochs, self.error_score, self.error_score, 0.0, 0.0, len(trial.test), error=text)

    def _run(self, trial: Trial, epochs: int, model: Any) -> Outcome:
        start = perf_counter()
        X, y = self._part(trial.train)
        estimator = clone(self.estimator).set_params(**clone(trial.parameters, safe=False))
        model = first_of(estimator) if model is None else deepcopy(model)  # whoever is killed begins there again
        if hasattr(model, "partial_fit"):
            for _ in range(epochs - (len(model.history_) if model.__sklearn_is_fitted__() else 0)):
                model.partial_fit(X)
        else:
            from skmae.vit._stopping import train_until

            train_until(model, X, y, epochs, self.folder / key_of(trial, 0))
        whole = _behind(estimator, model)
        if whole is not model:
            whole.fit(X, y)
        fitted = perf_counter()
        X_test, y_test = self._part(trial.test)
        test_score = self._score(whole, X_test, y_test)
        train_score = self._score(whole, X, y) if self.with_train_score else np.nan
        seconds = fitted - start, perf_counter() - fitted
        return Outcome(epochs, test_score, train_score, *seconds, len(trial.test), model)

    def _score(self, fitted: Any, X: Any, y: Any) -> float:
        return float(self.scorer(fitted, X) if y is None else self.scorer(fitted, X, y))

    def _part(self, rows: IntArray) -> tuple[Any, Any]:
        return _safe_indexing(self.X, rows), None if self.y is None else _safe_indexing(self.y, rows)


def _behind(estimator: Any, model: Any) -> Any:
    """The estimator with the trained model as its first step, which stays as it is."""
    if not isinstance(estimator, Pipeline):
        return model
    (name, _), *rest = estimator.steps
    return Pipeline([(name, FrozenEstimator(model)), *rest])


class Memory:
    """Outcomes, by trial and epochs: in this process, or in a folder, too, where another process finds them.

    Parameters
    ----------
    folder : path-like or None
    fingerprint : str
        Of all that outcomes depend on but trial and epochs.
    """

    def __init__(self, folder: Any, fingerprint: str):
        self.folder = None if folder is None else Path(folder) / fingerprint
        self._known: dict[tuple[int, int], Outcome] = {}  # by the identity of trials, which are kept for that
        self._trials: list[Trial] = []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, trial: Trial, epochs: int) -> Outcome | None:
        key = id(trial), epochs
        if key not in self._known and self.folder is not None:
            found = _load(self.folder / f"{key_of(trial, epochs)}.joblib")
            if found is not None:
                self._remember(trial, found)
        return self._known.get(key)

    def __getitem__(self, trial_and_epochs: tuple[Trial, int]) -> Outcome:
        """What is known to be there."""
        trial, epochs = trial_and_epochs
        return self._known[id(trial), epochs]

    def put(self, trial: Trial, outcome: Outcome) -> None:
        self._remember(trial, outcome)
        if self.folder is not None and not outcome.error:  # what failed may not fail the next time
            name = key_of(trial, outcome.epochs)
            part = self.folder / f"{name}.{os.getpid()}.part"
            joblib.dump(outcome, part)
            part.replace(self.folder / f"{name}.joblib")

    def _remember(self, trial: Trial, outcome: Outcome) -> None:
        self._known[id(trial), outcome.epochs] = outcome
        self._trials.append(trial)

    def forget_model(self, trial: Trial, epochs: int) -> None:
        """Of an outcome that nobody goes on from, keep the scores alone."""
        outcome = self.get(trial, epochs)
        if outcome is not None and outcome.model is not None:
            self.put(trial, replace(outcome, model=None))


def key_of(trial: Trial, epochs: int) -> str:
    key: str = joblib.hash(
        (sorted(trial.parameters.items(), key=lambda item: item[0]), trial.train, trial.test, epochs)
    )
    return key


def _load(path: Path) -> Outcome | None:
    """What is in a file; None, with a warning, if it is damaged: then it is trained again."""
    if not path.exists():
        return None
    try:
        found = joblib.load(path)
    except Exception as error:  # of damage pickle says so in a dozen ways
        warnings.warn(f"{path} cannot be read ({type(error).__name__}: {error}); it is trained again.", stacklevel=2)
        return None
    return found if isinstance(found, Outcome) else None
