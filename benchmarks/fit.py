"""LinearMAE(64).fit on uint8 against PCA(64).fit on float32: wall time, interleaved, and where the time goes.

CIFAR-10, 50,000 × 3072, from the folder that SKMAE_DATA names (or the official archive). Ratios are within one run.
Each row says in which arithmetic 8-bit samples were multiplied: before PyTorch is imported ("cold") and after it.
"""

import sys
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA

from skmae import LinearMAE, Moments
from skmae._compat import import_optional
from skmae._gram import takes_eight_bit
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


def timed(contenders: dict[str, Any]) -> dict[str, list[float]]:
    """Seconds of each, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(REPEATS):
        for name, run in contenders.items():
            times[name].append(seconds(run))
            print(f"{repeat} {name}: {times[name][-1]:.2f} s", file=sys.stderr)
    return times


def rows_of(times: dict[str, list[float]], arithmetic: str) -> list[dict[str, Any]]:
    fastest = min((name for name in times if name.startswith("PCA")), key=lambda name: median(times[name]))
    return [
        {
            "what": name,
            "arithmetic": arithmetic if "uint8" in name else "",
            "median_s": round(median(values), 3),
            "min_s": round(min(values), 3),
            "max_s": round(max(values), 3),
            "repeats": REPEATS,
            "peer": fastest,
            "ratio_to_peer": round(median(values) / median(times[fastest]), 3),
        }
        for name, values in times.items()
    ]


def arithmetic_of(X: np.ndarray) -> str:
    return "int8" if takes_eight_bit(*X.shape) else "float32"


def main() -> None:
    X = fetch_cifar10().data
    X32 = X.astype(np.float32)
    models = {
        "LinearMAE uint8": lambda: LinearMAE(K, mask=0.75, patch=4).fit(X),
        "LinearMAE float32": lambda: LinearMAE(K, mask=0.75, patch=4).fit(X32),
    }
    peers = {
        "PCA randomized": lambda: PCA(K, svd_solver="randomized", random_state=0).fit(X32),
        "PCA covariance_eigh": lambda: PCA(K, svd_solver="covariance_eigh").fit(X32),
    }
    rows = rows_of(timed(models | peers), arithmetic_of(X))
    import_optional("torch", extra="deep", purpose="8-bit arithmetic")
    warm = arithmetic_of(X)
    if warm == "int8":
        rows += rows_of(timed({"LinearMAE uint8, beside PyTorch": models["LinearMAE uint8"]} | peers), warm)
    else:
        rows.append({"what": "LinearMAE uint8, beside PyTorch: 8 bits are wrong or slow here", "arithmetic": warm})
    for name, value in phases(X).items():
        rows.append({"what": f"phase: {name}", "median_s": round(value, 3), "repeats": 1})
    rate = syrk_gflops(X)
    bound = X.shape[0] * X.shape[1] ** 2 / rate / 1e9
    rows.append({"what": f"bound: float32 syrk at {rate:.0f} GFLOP/s", "median_s": round(bound, 3), "repeats": 3})
    for row in rows:
        print(f"{row['what']:>45} {row.get('median_s', '')} s  {row.get('ratio_to_peer', '')}")
    save("fit", rows)


if __name__ == "__main__":
    main()
