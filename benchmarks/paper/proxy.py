"""How well linear models, as `suggest_masking` scores them, agree with trained ViTs: rank correlations
with the probes of vit_grid.csv.

Between the masks of one patch, and between the patches of one mask, seeds averaged: three patch sizes are not 18
settings, so that there is no interval over all of them. Writes proxy.csv (a row per setting) and proxy_agreement.csv.
"""

from collections import defaultdict
from collections.abc import Iterator
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._provenance import rows_of, save
from benchmarks.paper._findings import spearmans
from benchmarks.paper._scale import CPU, arguments
from benchmarks.paper.fig10_grids import MASKS, PATCHES
from skmae import ViTMAE, suggest_masking
from skmae.datasets import fetch_cifar10


def probes() -> dict[tuple[float, int], dict[str, float]]:
    """Mean over seeds of what was measured, by mask and patch, at the depths that all of them share."""
    shared = {"encoder_layers": "4", "decoder_layers": "1"}
    found: dict[tuple[float, int], list[dict[str, str]]] = defaultdict(list)
    for row in rows_of("vit_grid"):
        if all(row[name] == value for name, value in shared.items()):
            found[float(row["mask"]), int(row["patch"])].append(row)
    names = ("probe", "train_loss", "test_loss", "epoch_s")
    return {key: {name: mean(float(row[name]) for row in rows) for name in names} for key, rows in found.items()}


def agreements(ranking: str, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Spearman's correlation of a ranking with the probes: within each patch or mask its mean, least and greatest."""
    for held, between in (("patch", "masks of one patch"), ("mask", "patches of one mask")):
        found = spearmans(table.groupby(held), ranking, "probe")
        if np.isfinite(found).all():
            numbers = {"mean": found.mean(), "least": found.min(), "greatest": found.max()}
            rounded = {name: round(float(value), 3) for name, value in numbers.items()}
            yield {"ranking": ranking, "between": between, "n": len(found), **rounded}


def main() -> None:
    arguments(__doc__).parse_args()
    measured = probes()
    train = fetch_cifar10(subset="train")
    vit = ViTMAE(embed_dim=64, encoder_layers=4, encoder_heads=4, decoder_layers=1, decoder_heads=4)
    advice = suggest_masking(
        train.images[: CPU.images], train.target[: CPU.images], masks=MASKS, patches=PATCHES, estimator=vit
    )
    rows: list[dict[str, Any]] = []
    for _, row in advice.iterrows():
        key = (row["mask"], int(row["patch"]))
        if key in measured:
            numbers = {name: round(float(row[name]), 4) for name in ("gflops", "correlation", "score", "score_se")}
            rows.append({"mask": key[0], "patch": key[1], **numbers, **measured[key]})
    save("proxy", rows)
    table = pd.DataFrame(rows)
    rankings = {
        "linear proxy's score": table["score"],
        "minus |correlation - 0.75|": -(table["correlation"] - 0.75).abs(),
        "correlation of hidden pixels": table["correlation"],
        "minus mask": -table["mask"],
        "minus patch": -table["patch"],
        "gflops": table["gflops"],
        "minus loss": -table["test_loss"],
    }
    table = table.assign(**rankings)
    result = [row for ranking in rankings for row in agreements(ranking, table)]
    print(pd.DataFrame(result).to_string())
    save("proxy_agreement", result)


if __name__ == "__main__":
    main()
