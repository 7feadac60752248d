"""How well linear models, as `suggest_masking` scores them, agree with trained ViTs: rank correlations
with the probes of vit_grid.csv.

Over the settings of mask and patch there, seeds averaged; intervals by bootstrap over settings. Writes proxy.csv (a row
per setting) and proxy_agreement.csv.
"""

from collections import defaultdict
from statistics import mean
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks._provenance import rows_of, save
from benchmarks.paper._scale import CPU, arguments
from benchmarks.paper.fig10_grids import MASKS, PATCHES
from skmae import ViTMAE, suggest_masking
from skmae.datasets import fetch_cifar10

RESAMPLES = 5000


def probes() -> dict[tuple[float, int], dict[str, float]]:
    """Mean over seeds of what was measured, by mask and patch, at the depths that all of them share."""
    shared = {"encoder_layers": "4", "decoder_layers": "1"}
    found: dict[tuple[float, int], list[dict[str, str]]] = defaultdict(list)
    for row in rows_of("vit_grid"):
        if all(row[name] == value for name, value in shared.items()):
            found[float(row["mask"]), int(row["patch"])].append(row)
    names = ("probe", "train_loss", "test_loss", "epoch_s")
    return {key: {name: mean(float(row[name]) for row in rows) for name in names} for key, rows in found.items()}


def agreement(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Spearman's correlation and its interval."""
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        some = rng.integers(0, len(a), len(a))
        if len(np.unique(a[some])) > 1 and len(np.unique(b[some])) > 1:
            resampled.append(spearmanr(a[some], b[some]).statistic)
    low, high = np.percentile(resampled, [2.5, 97.5])
    whole = spearmanr(a, b)
    return {
        "spearman": round(float(whole.statistic), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
        "p": round(float(whole.pvalue), 4),
    }


def main() -> None:
    arguments(__doc__).parse_args()
    measured = probes()
    train = fetch_cifar10(subset="train")
    vit = ViTMAE(embed_dim=64, encoder_layers=4, encoder_heads=4, decoder_layers=1, decoder_heads=4)
    table = suggest_masking(
        train.images[: CPU.images], train.target[: CPU.images], masks=MASKS, patches=PATCHES, estimator=vit
    )
    rows: list[dict[str, Any]] = []
    for _, row in table.iterrows():
        key = (row["mask"], int(row["patch"]))
        if key in measured:
            numbers = {name: round(float(row[name]), 4) for name in ("gflops", "correlation", "score", "score_se")}
            rows.append({"mask": key[0], "patch": key[1], **numbers, **measured[key]})
    save("proxy", rows)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    candidates = {
        "linear proxy's score": columns["score"],
        "minus |correlation - 0.75|": -np.abs(columns["correlation"] - 0.75),
        "correlation of hidden pixels": columns["correlation"],
        "mask": columns["mask"],
        "minus patch": -columns["patch"],
        "gflops": columns["gflops"],
        "minus loss": -columns["test_loss"],
    }
    result = [{"ranking": name, "n": len(rows), **agreement(x, columns["probe"])} for name, x in candidates.items()]
    for row in result:
        print(row)
    save("proxy_agreement", result)


if __name__ == "__main__":
    main()
