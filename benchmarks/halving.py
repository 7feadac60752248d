"""What a search over epochs costs, and how far what it chooses is behind the best: digits, 12 small ViTs, two seeds.

Each setting is trained to the end on all 1,000 training images, with each seed, and tested on 797 others: regret is the
test accuracy of the best setting, the mean of both seeds, less that of the chosen one. Every search sees the training
images alone, three quarters to train and one to judge. Costs are counted in epochs of that split.
"""

from itertools import combinations
from time import perf_counter
from typing import Any

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

EPOCHS, SEEDS = 27, (0, 1)
GRID = {"mae__mask": [0.25, 0.5, 0.75], "mae__patch": [2, 4], "mae__encoder_layers": [1, 3]}
ONCE = ShuffleSplit(1, test_size=0.25, random_state=0)
COUNT = [0]


class Counts(Callback):
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        COUNT[0] += 1


def pipeline(seed: int) -> Pipeline:
    mae = ViTMAE(
        embed_dim=32,
        encoder_heads=2,
        decoder_layers=1,
        decoder_heads=2,
        max_epochs=EPOCHS,
        warmup_epochs=2,
        batch_size=64,
        learning_rate=5e-3,
        callbacks=[Counts()],
        random_state=seed,
        device="cpu",
    )
    return Pipeline([("mae", mae), ("scale", StandardScaler()), ("clf", LogisticRegression(max_iter=2000))])


def searches(seed: int) -> dict[str, Any]:
    pipe, options = pipeline(seed), {"cv": ONCE, "refit": False}
    from_zero = pipe.set_params(mae__max_epochs=EPOCHS)
    return {
        "EpochHalvingSearchCV, min_epochs=1": EpochHalvingSearchCV(clone(pipe), GRID, **options),
        "EpochHalvingSearchCV, min_epochs=9": EpochHalvingSearchCV(clone(pipe), GRID, min_epochs=9, **options),
        "HalvingGridSearchCV": HalvingGridSearchCV(
            from_zero, GRID, resource="mae__max_epochs", min_resources=3, max_resources=EPOCHS, factor=3, **options
        ),
        "GridSearchCV": GridSearchCV(clone(pipe), GRID, **options),
    }


def best_of(search: Any) -> tuple[dict[str, Any], int, float]:
    """The setting, epochs and seconds; the control, which no other search has, is not counted."""
    COUNT[0], start = 0, perf_counter()
    search.fit(*TRAIN)
    spent = COUNT[0] - (1 if isinstance(search, EpochHalvingSearchCV) else 0)
    results = search.cv_results_
    last = results["iter"] == results["iter"].max() if "iter" in results else np.ones(len(results["params"]), bool)
    best = np.flatnonzero(last)[np.argmax(results["mean_test_score"][last])]
    setting = {k: v for k, v in results["params"][best].items() if k != "mae__max_epochs"}
    return setting, spent, perf_counter() - start


def main() -> None:
    settings = list(ParameterGrid(GRID))
    truth = np.zeros((len(SEEDS), len(settings)))
    for seed in SEEDS:
        for i, setting in enumerate(settings):
            truth[seed, i] = pipeline(seed).set_params(**setting).fit(*TRAIN).score(*TEST)
        print(seed, dict(zip(map(str, settings), truth[seed].round(3), strict=True)), flush=True)
    mean, rows, judged = truth.mean(axis=0), [], np.zeros_like(truth)
    for seed in SEEDS:
        for name, search in searches(seed).items():
            setting, epochs, seconds = best_of(search)
            if name == "GridSearchCV":
                judged[seed] = search.cv_results_["mean_test_score"]
            regret = mean.max() - mean[settings.index(setting)]
            rows.append({"who": name, "seed": seed, "epochs": epochs, "seconds": round(seconds, 1)})
            rows[-1] |= {"regret": round(float(regret), 4), "chosen": str(setting)}
            print(rows[-1], flush=True)
        for budget in (rows[-4]["epochs"], rows[-3]["epochs"]):  # of the two searches over epochs
            few = max(1, round(budget / EPOCHS))
            chosen = [max(draw, key=lambda i: judged[seed, i]) for draw in combinations(range(len(settings)), few)]
            rows.append({"who": f"random search of {few}, on average", "seed": seed, "epochs": few * EPOCHS})
            rows[-1] |= {"seconds": "", "regret": round(float(mean.max() - mean[chosen].mean()), 4), "chosen": ""}
        default = {"mae__mask": 0.75, "mae__patch": 4, "mae__encoder_layers": 3}
        rows.append({"who": "mask and patch as they are by default", "seed": seed, "epochs": 0, "seconds": ""})
        rows[-1] |= {"regret": round(float(mean.max() - mean[settings.index(default)]), 4), "chosen": str(default)}
    noise = float(np.sqrt(truth.var(axis=0, ddof=1).mean()))
    save("halving_digits", [row | {"noise_between_seeds": round(noise, 4)} for row in rows])


if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    TRAIN, TEST = ((X[part].reshape(-1, 8, 8), y[part]) for part in (order[:1000], order[1000:]))
    main()
