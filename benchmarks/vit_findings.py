"""The paper's findings on depths, masks and patches, against vit_grid.csv: a statistic each, its interval, a verdict.

Intervals are 95 % bootstraps over settings, or over pairs of settings that differ in one thing, seeds as they are.
Writes vit_findings.csv.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from _provenance import RESULTS, save
from scipy.stats import spearmanr
from vit_grid import KEYS

RESAMPLES = 4000
RANK = "Spearman"


def table(name: str) -> pd.DataFrame:
    path = RESULTS / f"{name}.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def interval(values: np.ndarray, statistic: Callable[[np.ndarray], float]) -> tuple[float, float, float]:
    """A statistic of rows of values, and its interval."""
    rng = np.random.default_rng(0)
    resampled = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(resampled, [2.5, 97.5])
    return statistic(values), float(low), float(high)


def rank(pairs: np.ndarray) -> float:
    """Spearman's correlation of two columns."""
    a, b = pairs.T
    return float(spearmanr(a, b).statistic) if len(np.unique(a)) > 1 and len(np.unique(b)) > 1 else np.nan


def mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def differences(grid: pd.DataFrame, axis: str, high: int, low: int, value: str) -> np.ndarray:
    """Of a value, between two levels of an axis, all else the same."""
    others = [key for key in KEYS if key != axis]
    levels = [grid[grid[axis] == level].set_index(others)[value] for level in (high, low)]
    return (levels[0] - levels[1]).dropna().to_numpy()


def slope(grid: pd.DataFrame, axis: str) -> np.ndarray:
    """Seconds of an epoch for one more layer, from the shallowest to the deepest, all else the same."""
    levels = sorted(grid[axis].unique())
    return differences(grid, axis, levels[-1], levels[0], "epoch_s") / (levels[-1] - levels[0])


def findings() -> Iterator[tuple[str, str, tuple[float, float, float], int]]:
    """What the paper says, the statistic, its value and interval, and the sign that agrees with the paper."""
    grid = table("vit_grid")
    depths = grid[(grid["patch"] == 4) & (grid["mask"] == 0.75)]
    masking = grid[(grid["encoder_layers"] == 4) & (grid["decoder_layers"] == 1)]
    by_patch = masking.groupby("patch")[["test_loss", "probe", "epoch_s", "mask"]].rank()
    loss = by_patch[["test_loss", "probe"]].to_numpy() * [-1, 1]
    yield "the loss does not predict the probe", f"{RANK}, minus loss and probe within a patch", interval(loss, rank), 0
    yield (
        "one decoder layer suffices",
        "probe, 4 decoder layers less 1",
        interval(differences(depths, "decoder_layers", 4, 1, "probe"), mean),
        0,
    )
    costs = slope(depths, "decoder_layers")[:, np.newaxis] - slope(depths, "encoder_layers").mean()
    yield "an encoder layer costs less", "s per epoch, decoder layer less encoder layer", interval(costs, mean), 1
    yield (
        "the probe grows with the encoder",
        "probe, 8 encoder layers less 2",
        interval(differences(depths, "encoder_layers", 8, 2, "probe"), mean),
        1,
    )
    time = by_patch[["mask", "epoch_s"]].to_numpy()
    yield "time falls with the mask", f"{RANK}, mask and s per epoch within a patch", interval(time, rank), -1
    yield (
        "small patches are best",
        f"{RANK}, patch and probe",
        interval(masking[["patch", "probe"]].to_numpy(), rank),
        -1,
    )
    masks = by_patch[["mask", "probe"]].to_numpy()
    yield "high masks are best", f"{RANK}, mask and probe within a patch", interval(masks, rank), 1
    tuned = table("vit_grid_finetune")
    if len(tuned):
        both = grid.merge(tuned[[*KEYS, "finetuned"]], on=list(KEYS))[["probe", "finetuned"]].to_numpy()
        yield "probe and fine-tuning agree", f"{RANK}, probe and fine-tuned", interval(both, rank), 1


def verdict(value: tuple[float, float, float], sign: int) -> str:
    """Whether the interval is where the paper says: on one side of zero, or for no effect around it."""
    _, low, high = value
    if sign == 0:
        return "no effect seen" if low <= 0 <= high else "not reproduced"
    if low * sign > 0 and high * sign > 0:
        return "reproduced"
    return "not reproduced" if low * sign < 0 and high * sign < 0 else "not decidable at this size"


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows: list[dict[str, Any]] = []
    for paper, statistic, value, sign in findings():
        numbers = dict(zip(("value", "low", "high"), (round(number, 4) for number in value), strict=True))
        rows.append({"paper": paper, "statistic": statistic, **numbers, "verdict": verdict(value, sign)})
        print(rows[-1])
    save("vit_findings", rows)


if __name__ == "__main__":
    main()
