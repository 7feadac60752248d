"""What choosing costs, and how far what is chosen is behind the best: ``halving.py digits``, or ``cifar10``.

Each of 12 small ViTs is trained to the end on all training images, with each of two seeds, and tested on others: regret
is the test accuracy of the best setting, the mean of both seeds, less that of the chosen one. Every search sees the
training images alone, three quarters to train and one to judge. Costs are counted in epochs of that split.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from _provenance import save
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, ParameterGrid, ShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skmae import EpochHalvingSearchCV, ViTMAE
from skmae.datasets import fetch_cifar10

EPOCHS, SEEDS = 27, (0, 1)
ONCE = ShuffleSplit(1, test_size=0.25, random_state=0)
COUNT = [0]
Setting = dict[str, Any]


class Counts(Callback):
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        COUNT[0] += 1


@dataclass
class Problem:
    """Images, the settings between which to choose, and what they have in common."""

    name: str
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    grid: dict[str, list[Any]]
    network: dict[str, Any]

    @property
    def settings(self) -> list[Setting]:
        return list(ParameterGrid(self.grid))

    def pipeline(self, seed: int) -> Pipeline:
        mae = ViTMAE(
            **self.network,
            decoder_layers=1,
            max_epochs=EPOCHS,
            warmup_epochs=2,
            callbacks=[Counts()],
            random_state=seed,
            device="cpu",
        )
        return Pipeline([("mae", mae), ("scale", StandardScaler()), ("clf", LogisticRegression(max_iter=2000))])


def digits() -> Problem:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return Problem(
        "digits",
        *((X[part].reshape(-1, 8, 8), y[part]) for part in (order[:1000], order[1000:])),
        {"mae__mask": [0.25, 0.5, 0.75], "mae__patch": [2, 4], "mae__encoder_layers": [1, 3]},
        {"embed_dim": 32, "encoder_heads": 2, "decoder_heads": 2, "batch_size": 64, "learning_rate": 5e-3},
    )


def cifar10() -> Problem:
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    return Problem(
        "cifar10",
        (train.images[:2000], train.target[:2000]),
        (test.images, test.target),
        {"mae__mask": [0.5, 0.75, 0.9], "mae__patch": [4, 8], "mae__encoder_layers": [2, 6]},
        {"embed_dim": 64, "encoder_heads": 4, "decoder_heads": 4, "batch_size": 128, "learning_rate": 3e-3},
    )


def searches(problem: Problem, seed: int) -> dict[str, Any]:
    pipe, options = problem.pipeline(seed), {"cv": ONCE, "refit": False}
    halving = {"resource": "mae__max_epochs", "min_resources": 3, "max_resources": EPOCHS, "factor": 3}
    return {
        "EpochHalvingSearchCV, min_epochs=1": EpochHalvingSearchCV(clone(pipe), problem.grid, **options),
        "EpochHalvingSearchCV, min_epochs=9": EpochHalvingSearchCV(clone(pipe), problem.grid, min_epochs=9, **options),
        "HalvingGridSearchCV": HalvingGridSearchCV(clone(pipe), problem.grid, **halving, **options),
        "GridSearchCV": GridSearchCV(clone(pipe), problem.grid, **options),
    }


def truth_of(problem: Problem) -> np.ndarray:
    """(n_seeds, n_settings) test accuracies of whole trainings."""
    truth, rows = np.zeros((len(SEEDS), len(problem.settings))), []
    for seed in SEEDS:
        for i, setting in enumerate(problem.settings):
            truth[seed, i] = problem.pipeline(seed).set_params(**setting).fit(*problem.train).score(*problem.test)
            rows.append({"seed": seed, **setting, "accuracy": round(truth[seed, i], 4)})
            save(f"halving_{problem.name}_settings", rows)
    return truth


class Choice(NamedTuple):
    """Who chose, at which cost; of several settings each is as likely."""

    who: str
    epochs: int
    seconds: float | str
    settings: list[Setting]


def choices(problem: Problem, seed: int) -> Iterator[Choice]:
    fitted, budgets = {}, []
    for name, search in searches(problem, seed).items():
        COUNT[0], start = 0, perf_counter()
        fitted[name] = search.fit(*problem.train)
        epochs, seconds = COUNT[0], round(perf_counter() - start, 1)
        if isinstance(search, EpochHalvingSearchCV):
            epochs -= 1  # its control, which no other search has
            budgets.append(epochs)
        yield Choice(name, epochs, seconds, [best_of(search)])
    scores = fitted["GridSearchCV"].cv_results_["mean_test_score"]
    for budget in budgets:
        yield random_search(problem.settings, scores, max(1, round(budget / EPOCHS)))
    default = {"mae__mask": 0.75, "mae__patch": 4, "mae__encoder_layers": max(problem.grid["mae__encoder_layers"])}
    yield Choice("mask and patch as they are by default, the deepest", 0, "", [default])
    yield patch_after_an_epoch(fitted["EpochHalvingSearchCV, min_epochs=1"].cv_results_, default)


def best_of(search: Any) -> Setting:
    results = search.cv_results_
    last = results["iter"] == results["iter"].max() if "iter" in results else np.ones(len(results["params"]), bool)
    best = np.flatnonzero(last)[np.argmax(results["mean_test_score"][last])]
    return {name: value for name, value in results["params"][best].items() if name != "mae__max_epochs"}


def random_search(settings: list[Setting], scores: np.ndarray, n: int) -> Choice:
    """What the best of n settings is, for each n of them."""
    chosen = [settings[max(draw, key=scores.__getitem__)] for draw in combinations(range(len(settings)), n)]
    return Choice(f"random search of {n}, on average", n * EPOCHS, "", chosen)


def patch_after_an_epoch(results: dict[str, Any], default: Setting) -> Choice:
    """The patch that scores best after an epoch, all else as in the default; from the first rung of a search."""
    first = zip(results["params"], results["mean_test_score"], results["iter"], strict=True)
    scores = {
        setting["mae__patch"]: score
        for setting, score, rung in first
        if rung == 0 and setting == default | {"mae__patch": setting["mae__patch"]}
    }
    best = default | {"mae__patch": max(scores, key=scores.__getitem__)}
    return Choice("the patch after an epoch, mask .75, the deepest", len(scores), "", [best])


def main(problem: Problem) -> None:
    truth, rows = truth_of(problem), []
    mean = truth.mean(axis=0)
    noise = float(np.sqrt(truth.var(axis=0, ddof=1).mean()))
    for seed in SEEDS:
        for who, epochs, seconds, settings in choices(problem, seed):
            regret = mean.max() - np.mean([mean[problem.settings.index(setting)] for setting in settings])
            row = {"who": who, "seed": seed, "epochs": epochs, "seconds": seconds, "regret": round(float(regret), 4)}
            row |= {"chosen": settings[0] if len(settings) == 1 else "", "noise_between_seeds": round(noise, 4)}
            rows.append(row)
            save(f"halving_{problem.name}", rows)


if __name__ == "__main__":
    main({"digits": digits, "cifar10": cifar10}[sys.argv[1]]())
