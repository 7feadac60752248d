"""A model that was trained on the card, pickled, and used by a process that sees no card."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np

from benchmarks.gpu._card import Rows, Sizes, images, vit, write

USE = """
import sys, joblib, numpy as np, torch
assert not torch.cuda.is_available()
mae = joblib.load(sys.argv[1])
X = np.load(sys.argv[2])
np.savez(sys.argv[3], features=mae.transform(X), pixels=mae.reconstruct(X), device=str(mae.net_.where))
"""


def measure(device: str, sizes: Sizes) -> Rows:
    X = images(2 * sizes.batch, sizes)
    mae = vit(device, sizes, max_epochs=1, warmup_epochs=0).fit(X)
    X = X[: sizes.batch]
    with tempfile.TemporaryDirectory() as folder:
        model, data, results = (Path(folder) / name for name in ("model.joblib", "X.npy", "results.npz"))
        joblib.dump(mae, model)
        np.save(data, X)
        hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([sys.executable, "-c", USE, str(model), str(data), str(results)], env=hidden, check=True)
        with np.load(results) as found:
            where = str(found["device"])
            differences = {
                "transform": np.abs(found["features"] - mae.transform(X)).max() / np.abs(found["features"]).max(),
                "reconstruct": np.abs(found["pixels"] - mae.reconstruct(X)).max() / np.abs(found["pixels"]).max(),
            }
    return [
        {"what": f"{name} there and here", "trained_on": device, "used_on": where, "difference": float(difference)}
        for name, difference in differences.items()
    ]


if __name__ == "__main__":
    write("pickle", measure)
