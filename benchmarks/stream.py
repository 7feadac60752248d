"""Batches of 500 through LinearMAE.partial_fit and IncrementalPCA, and transform against PCA's: ratios in one run.

CIFAR-10, 64 components, from the folder that SKMAE_DATA names (or the official archive). The stream of 20,000 counts
the solution at its end. PyTorch is imported first, as whoever trains networks beside has it: rows say in which
arithmetic 8-bit samples were multiplied.
"""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA, IncrementalPCA

from skmae import LinearMAE
from skmae._compat import import_optional
from skmae._gram import takes_eight_bit
from skmae.datasets import fetch_cifar10

K, BATCH, N_STREAM, REPEATS = 64, 500, 20_000, 5


def stream(model: Any, X: np.ndarray) -> float:
    start = perf_counter()
    for first in range(0, len(X), BATCH):
        model.partial_fit(X[first : first + BATCH])
    model.components_  # noqa: B018
    return perf_counter() - start


def transform(model: Any, X: np.ndarray) -> float:
    start = perf_counter()
    model.transform(X)
    return perf_counter() - start


def main() -> None:
    import_optional("torch", extra="deep", purpose="8-bit arithmetic")
    X = fetch_cifar10().data
    X32 = X.astype(np.float32)
    mae, pca = LinearMAE(K).fit(X[:5000]), PCA(K, svd_solver="randomized", random_state=0).fit(X32[:5000])
    times: dict[str, list[float]] = {}
    for _ in range(REPEATS):
        for name, seconds in {
            "partial_fit: LinearMAE uint8": lambda: stream(LinearMAE(K), X[:N_STREAM]),
            "partial_fit: LinearMAE float32": lambda: stream(LinearMAE(K), X32[:N_STREAM]),
            "partial_fit: IncrementalPCA float32": lambda: stream(IncrementalPCA(K), X32[:N_STREAM]),
            "transform: LinearMAE uint8": lambda: transform(mae, X),
            "transform: LinearMAE float32": lambda: transform(mae, X32),
            "transform: PCA uint8": lambda: transform(pca, X),
            "transform: PCA float32": lambda: transform(pca, X32),
        }.items():
            times.setdefault(name, []).append(seconds())
    medians = {name: median(values) for name, values in times.items()}
    rows = []
    for name, value in medians.items():
        what, _, dtype = name.partition(":")[0], *name.rpartition(" ")[1:]
        peers = [other for other in medians if other.startswith(what) and "PCA" in other]
        peer = next((other for other in peers if other.endswith(dtype)), peers[-1])
        arithmetic = ""
        if name == "partial_fit: LinearMAE uint8":
            arithmetic = "int8" if takes_eight_bit(BATCH, X.shape[1]) else "float32"
        row = {"what": name, "arithmetic": arithmetic, "median_s": round(value, 3), "repeats": REPEATS}
        rows.append({**row, "peer": peer, "ratio": round(value / medians[peer], 3)})
        print(rows[-1])
    save("stream", rows)


if __name__ == "__main__":
    main()
