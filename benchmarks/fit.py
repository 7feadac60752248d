"""LinearMAE(64).fit on uint8 against PCA(64).fit on float32: wall time, interleaved, and where the time goes.

CIFAR-10, 50,000 × 3072, from the folder that SKMAE_DATA names (or the official archive). Ratios are within one run.
"""

import sys
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA

from skmae import LinearMAE, Moments
from skmae.datasets import fetch_cifar10
from skmae.linear import _primal
from skmae.linear._losses import remainder_of

REPEATS = 7
K = 64


def seconds(function: Any) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def phases(X: np.ndarray) -> dict[str, float]:
    """One fit, step by step, as `fit` goes."""
    model = LinearMAE(K).fit(X[:100])
    marks = [perf_counter()]
    moments = Moments.from_data(X)
    marks.append(perf_counter())
    S = moments._release_second()
    V = model._problem.corruption.second(S)
    marks.append(perf_counter())
    factor = _primal.factorise(V, "auto")
    marks.append(perf_counter())
    _primal.leading(S, [factor], K, [remainder_of(model._problem.corruption, S)])
    marks.append(perf_counter())
    return dict(zip(["moments", "form S and V", "factorise", "eigen"], np.diff(marks).tolist(), strict=True))


def syrk_gflops(X: np.ndarray) -> float:
    """What the BLAS reaches on the product that dominates: the bound for anything that forms S."""
    from scipy.linalg.blas import ssyrk

    block = np.asfortranarray(X[:8192].T.astype(np.float32))
    best = min(seconds(lambda: ssyrk(1.0, block, lower=1)) for _ in range(3))
    return block.shape[0] ** 2 * block.shape[1] / best / 1e9


def main() -> None:
    X = fetch_cifar10().data
    X32 = X.astype(np.float32)
    contenders = {
        "LinearMAE uint8": lambda: LinearMAE(K, mask=0.75, patch=4).fit(X),
        "LinearMAE float32": lambda: LinearMAE(K, mask=0.75, patch=4).fit(X32),
        "PCA randomized": lambda: PCA(K, svd_solver="randomized", random_state=0).fit(X32),
        "PCA covariance_eigh": lambda: PCA(K, svd_solver="covariance_eigh").fit(X32),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(REPEATS):
        for name, run in contenders.items():
            times[name].append(seconds(run))
            print(f"{repeat} {name}: {times[name][-1]:.2f} s", file=sys.stderr)
    fastest = min((name for name in times if name.startswith("PCA")), key=lambda name: median(times[name]))
    rows = [
        {
            "what": name,
            "median_s": round(median(values), 3),
            "min_s": round(min(values), 3),
            "max_s": round(max(values), 3),
            "repeats": REPEATS,
            "peer": fastest,
            "ratio_to_peer": round(median(values) / median(times[fastest]), 3),
        }
        for name, values in times.items()
    ]
    for name, value in phases(X).items():
        rows.append({"what": f"phase: {name}", "median_s": round(value, 3), "repeats": 1})
    rate = syrk_gflops(X)
    bound = X.shape[0] * X.shape[1] ** 2 / rate / 1e9
    rows.append({"what": f"bound: float32 syrk at {rate:.0f} GFLOP/s", "median_s": round(bound, 3), "repeats": 3})
    for row in rows:
        print(f"{row['what']:>45} {row['median_s']:8.3f} s  {row.get('ratio_to_peer', '')}")
    save("fit", rows)


if __name__ == "__main__":
    main()
