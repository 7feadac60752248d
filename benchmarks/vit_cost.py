"""Predicted against measured steps of training: 3 patches × 3 masks × 3 depths of the encoder. Writes vit_cost.csv."""

import argparse
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.base import clone

from skmae import ViTMAE, training_cost

GRID = {"patch": [2, 4, 8], "mask": [0.25, 0.5, 0.9], "encoder_layers": [2, 4, 8]}
SHAPE, STEPS = (32, 32, 3), 12


def measured(model: ViTMAE, epochs: int) -> float:
    """Seconds of a step, of the fastest epoch."""
    X = np.random.default_rng(0).standard_normal((STEPS * model.batch_size, *SHAPE), dtype=np.float32)
    return min(clone(model).set_params(max_epochs=epochs).fit(X).history_[:, "dur"]) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embed-dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    model = ViTMAE(
        embed_dim=options.embed_dim,
        encoder_heads=4,
        decoder_heads=4,
        decoder_layers=1,
        batch_size=options.batch_size,
        device="cpu",
    )
    start = perf_counter()
    table = training_cost(model, SHAPE, param_grid=GRID)
    print(f"predicted {len(table)} settings in {perf_counter() - start:.1f} s", flush=True)
    rows: list[dict[str, Any]] = []
    for _, predicted in table.iterrows():
        setting: dict[str, Any] = {"mask": float(predicted["mask"])}
        setting |= {name: int(predicted[name]) for name in ("patch", "encoder_layers")}
        seconds = measured(clone(model).set_params(**setting), options.epochs)
        row = {**setting, "gflops": round(float(predicted["gflops"]), 4)}
        row["predicted_step_s"] = round(float(predicted["step_s"]), 4)
        rows.append({**row, "step_s": round(seconds, 4), "ratio": round(float(predicted["step_s"]) / seconds, 3)})
        print(rows[-1], flush=True)
    ratios = [row["ratio"] for row in rows]
    print(f"predicted over measured: {min(ratios)} to {max(ratios)}")
    save("vit_cost", rows)


if __name__ == "__main__":
    main()
