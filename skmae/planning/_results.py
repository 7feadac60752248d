"""Rows of a search, and the table that scikit-learn makes of such."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from skmae.planning._trials import Outcome, Trial


@dataclass
class Row:
    """A candidate at the end of a rung.

    Attributes
    ----------
    rung : int
    parameters : dict
    trials : list of Trial
        One for each fold.
    outcomes : list of Outcome
    """

    rung: int
    parameters: dict[str, Any]
    trials: list[Trial]
    outcomes: list[Outcome]

    @property
    def mean_test_score(self) -> float:
        return float(np.mean([outcome.test_score for outcome in self.outcomes]))

    @property
    def error(self) -> str:
        """What went wrong first; nothing, if all went well."""
        if (said := next((outcome.error for outcome in self.outcomes if outcome.error), "")) != "":
            return said
        return "" if np.isfinite(self.mean_test_score) else "its score is not finite"

    def average(self, runs: list[list[Outcome]]) -> None:
        """Take the average scores of several runs over the folds."""
        self.outcomes = [
            replace(
                first,
                test_score=float(np.mean([run[fold].test_score for run in runs])),
                train_score=float(np.mean([run[fold].train_score for run in runs])),
                error=next((run[fold].error for run in runs if run[fold].error), ""),
            )
            for fold, first in enumerate(self.outcomes)
        ]


def best_first(rows: list[Row]) -> list[Row]:
    """Those that failed come last; of equal ones, the one that came first."""
    scores = np.array([-np.inf if row.error else row.mean_test_score for row in rows])
    order = np.argsort(-scores, kind="stable")
    return [rows[i] for i in order]


def results_of(rows: list[Row], *, with_train_score: bool) -> dict[str, Any]:
    """As ``cv_results_`` of `sklearn.model_selection.HalvingGridSearchCV`, and ``seconds``."""

    def of(name: str) -> np.ndarray:
        return np.array([[getattr(outcome, name) for outcome in row.outcomes] for row in rows])

    table: dict[str, Any] = {
        "iter": np.array([row.rung for row in rows]),
        "n_resources": np.array([row.outcomes[0].epochs for row in rows]),
        "seconds": of("fit_s").sum(axis=1),
    }
    for name, values in (("fit_time", of("fit_s")), ("score_time", of("score_s"))):
        table |= {f"mean_{name}": values.mean(axis=1), f"std_{name}": values.std(axis=1)}
    for name in dict.fromkeys(name for row in rows for name in row.parameters):
        column = np.ma.MaskedArray(np.empty(len(rows), object), mask=True)
        for i, row in enumerate(rows):
            if name in row.parameters:
                column[i] = row.parameters[name]
        table[f"param_{name}"] = column
    table["params"] = [row.parameters for row in rows]
    for part in ("test", "train") if with_train_score else ("test",):
        scores = of(f"{part}_score")
        table |= {f"split{fold}_{part}_score": scores[:, fold] for fold in range(scores.shape[1])}
        table |= {f"mean_{part}_score": scores.mean(axis=1), f"std_{part}_score": scores.std(axis=1)}
        if part == "test":
            ordered = np.where(np.isfinite(scores.mean(axis=1)), scores.mean(axis=1), -np.inf)
            table["rank_test_score"] = rankdata(-ordered, method="min").astype(np.int32)
    return table
