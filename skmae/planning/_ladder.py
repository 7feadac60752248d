"""Candidates that climb from rung to rung, fewer each time, and what is asked of those that are left."""

import warnings
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import FitFailedWarning

from skmae.planning._results import Row, best_first
from skmae.planning._trials import Course, Memory, Outcome, Trial, path_to_first


class Rung(NamedTuple):
    """Epochs that each candidate has seen at its end, and how many candidates."""

    epochs: int
    n_candidates: int


class Ladder:
    """Trains trials, those of one rung at a time, and remembers what came of them.

    Parameters
    ----------
    course : Course
    memory : Memory
    n_jobs : int or None
    say : callable or None
        What is told when a rung is done.
    """

    def __init__(self, course: Course, memory: Memory, n_jobs: int | None, say: Callable[[str], Any] | None):
        self.course, self.memory, self.n_jobs, self.say = course, memory, n_jobs, say

    def climb(self, trials: list[list[Trial]], rungs: list[Rung]) -> list[Row]:
        """Rows of all rungs, of candidates that are lists of one trial for each fold; the best of each rung go on."""
        rows: list[Row] = []
        going, before, began, n_failed = trials, None, perf_counter(), 0
        for number, rung in enumerate(rungs):
            outcomes = self._train([trial for fold in going for trial in fold], rung.epochs, before)
            n = len(going[0])
            here = [
                Row(number, fold[0].parameters, fold, outcomes[n * i : n * (i + 1)]) for i, fold in enumerate(going)
            ]
            rows += here
            self._warn_of_failures(outcomes, n_failed)
            n_next = rungs[number + 1].n_candidates if number + 1 < len(rungs) else 0
            kept, dropped = best_first(here)[:n_next], best_first(here)[n_next:]
            n_failed = sum(bool(outcome.error) for row in kept for outcome in row.outcomes)
            self._forget([trial for row in dropped for trial in row.trials], rung.epochs)
            if before is not None:
                self._forget([trial for row in here for trial in row.trials], before)
            going, before = [row.trials for row in kept], rung.epochs
            self._tell(number, rungs, perf_counter() - began)
        return rows

    def average_over(self, seeds: Sequence[int], last: list[Row]) -> float:
        """Put averages over further seeds into the rows of the last rung; return the noise between seeds."""
        if not len(seeds):
            return np.nan
        path, epochs = path_to_first(self.course.estimator), last[0].outcomes[0].epochs
        of_row = [
            [[trial.changed(**{f"{path}random_state": int(seed)}) for trial in row.trials] for seed in seeds]
            for row in last
        ]
        again = [trial for row in of_row for fold in row for trial in fold]
        self._warn_of_failures(self._train(again, epochs, None), 0)
        self._forget(again, epochs)
        variances = []
        for row, of_seeds in zip(last, of_row, strict=True):
            runs = [row.outcomes, *([self.memory[trial, epochs] for trial in fold] for fold in of_seeds)]
            variances.append(np.var([np.mean([outcome.test_score for outcome in run]) for run in runs], ddof=1))
            row.average(runs)
        return float(np.sqrt(np.mean(variances)))

    def control(self, best: Row) -> dict[str, Any]:
        """The best candidate after an epoch at no learning rate: mean and scale are learned, weights are not."""
        path = path_to_first(self.course.estimator)
        trials = [trial.changed(**{f"{path}learning_rate": 1e-30}) for trial in best.trials]
        scores = np.array([outcome.test_score for outcome in self._train(trials, 1, None)])
        self._forget(trials, 1)
        return {"params": best.parameters, "mean_test_score": float(scores.mean()), "test_scores": scores}

    def _train(self, trials: list[Trial], epochs: int, before: int | None) -> list[Outcome]:
        """Outcomes after some epochs, of trials that go on from where they were before; known ones are looked up."""
        missing = [trial for trial in trials if self.memory.get(trial, epochs) is None]
        made = Parallel(n_jobs=self.n_jobs, return_as="generator")(
            delayed(self.course.run)(trial, epochs, None if before is None else self.memory.get(trial, before))
            for trial in missing
        )
        for trial, outcome in zip(missing, made, strict=True):
            self.memory.put(trial, outcome)
        return [self.memory[trial, epochs] for trial in trials]

    def _forget(self, trials: list[Trial], epochs: int) -> None:
        """Keep no networks of trials that nobody goes on from."""
        for trial in trials:
            self.memory.forget_model(trial, epochs)

    def _warn_of_failures(self, outcomes: list[Outcome], n_before: int) -> None:
        """Warn if more of them failed than before."""
        failed = [outcome for outcome in outcomes if outcome.error]
        if len(failed) > n_before:
            warnings.warn(
                f"{len(failed)} trainings out of {len(outcomes)} failed. Their score is {self.course.error_score}; "
                f"error_score='raise' raises. The last said: {failed[-1].error}",
                FitFailedWarning,
                stacklevel=6,
            )

    def _tell(self, number: int, rungs: list[Rung], seconds: float) -> None:
        if self.say is None:
            return
        from skmae.vit._log import duration

        steps = [r.n_candidates * (r.epochs - (rungs[i - 1].epochs if i else 0)) for i, r in enumerate(rungs)]
        left = seconds / sum(steps[: number + 1]) * sum(steps[number + 1 :])
        rung = rungs[number]
        self.say(
            f"rung {number + 1}/{len(rungs)}: {rung.n_candidates} candidates, {rung.epochs} epochs, "
            f"{duration(seconds)}, {duration(left)} left"
        )
