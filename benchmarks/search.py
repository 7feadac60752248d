"""LinearMAESearchCV against GridSearchCV over the same pipeline: 5 folds, 12 candidates, one run of each in turn.

CIFAR-10, 32 components, a ridge classifier on them, from the folder that SKMAE_DATA names (or the official archive).
"""

import argparse
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline

from skmae import LinearMAE, LinearMAESearchCV
from skmae.datasets import fetch_cifar10

GRID = {"mae__mask": [0.25, 0.5, 0.75, 0.9], "mae__patch": [2, 4, 8]}
FOLDS = KFold(5, shuffle=True, random_state=0)


def timed(search: type, X: np.ndarray, y: np.ndarray) -> tuple[float, Any]:
    pipe = Pipeline([("mae", LinearMAE(32)), ("ridge", RidgeClassifier())])
    start = perf_counter()
    fitted = search(pipe, GRID, cv=FOLDS).fit(X, y)
    return perf_counter() - start, fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[20_000, 50_000])
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    data = fetch_cifar10()
    rows = []
    for n in options.samples:
        X, y = data.data[:n], data.target[:n]
        times: dict[str, list[float]] = {"LinearMAESearchCV": [], "GridSearchCV": []}
        fitted = {}
        for _ in range(options.repeats):
            for search in (LinearMAESearchCV, GridSearchCV):
                seconds, fitted[search.__name__] = timed(search, X, y)
                times[search.__name__].append(seconds)
        scores = [model.cv_results_["mean_test_score"] for model in fitted.values()]
        for name, values in times.items():
            rows.append(
                {
                    "n_samples": n,
                    "what": name,
                    "median_s": round(median(values), 2),
                    "speed_up": round(median(times["GridSearchCV"]) / median(values), 2),
                    "largest_difference_of_scores": float(np.abs(scores[0] - scores[1]).max()),
                    "repeats": options.repeats,
                }
            )
            print(rows[-1])
    save("search", rows)


if __name__ == "__main__":
    main()
