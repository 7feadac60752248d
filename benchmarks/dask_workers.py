"""LinearMAE.fit on a Dask array with two worker processes of one thread each, against one, and against no Dask.

CIFAR-10 as uint8 in chunks of 5,000, which workers read from a memory-mapped file. Interleaved. Moments travel, samples
do not.
"""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import dask.array as da
import numpy as np
from _provenance import save
from dask import delayed
from distributed import Client, LocalCluster

from skmae import LinearMAE
from skmae.datasets import fetch_cifar10

CHUNK, REPEATS = 5000, 5


def read(path: str, start: int) -> np.ndarray:
    return np.load(path, mmap_mode="r")[start : start + CHUNK]


def lazy(path: str, shape: tuple[int, ...]) -> Any:
    parts = [
        da.from_delayed(delayed(read)(path, start), (min(CHUNK, shape[0] - start), *shape[1:]), np.uint8)
        for start in range(0, shape[0], CHUNK)
    ]
    return da.concatenate(parts)


def seconds(workers: int, path: str, shape: tuple[int, ...]) -> tuple[float, LinearMAE]:
    model = LinearMAE(64)
    if not workers:
        X = np.load(path, mmap_mode="r")
        start = perf_counter()
        return (model.fit(X), perf_counter() - start)[::-1]
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        client.run(__import__, "skmae.linear")
        start = perf_counter()
        model.fit(lazy(path, shape))
        return perf_counter() - start, model


def main() -> None:
    X = fetch_cifar10().data
    times: dict[int, list[float]] = {0: [], 1: [], 2: []}
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "cifar.npy")
        np.save(path, X)
        for _ in range(REPEATS):
            for workers, found in times.items():
                taken, models[workers] = seconds(workers, path, X.shape)
                found.append(taken)
    rows = []
    for workers, found in times.items():
        name = f"{workers} worker{'s' * (workers > 1)}, one thread each" if workers else "no Dask, two threads"
        difference = np.abs(models[workers].components_ - models[0].components_).max()
        rows.append(
            {
                "what": name,
                "median_s": round(median(found), 2),
                "speed_up_over_one_worker": round(median(times[1]) / median(found), 2),
                "largest_difference_of_components": float(difference),
            }
        )
        print(rows[-1])
    save("dask_workers", rows)


if __name__ == "__main__":
    main()
