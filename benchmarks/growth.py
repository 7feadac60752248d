"""How the time of LinearMAE.fit grows with samples n, features d, components k and patches, beside its flop count.

Photograph-like noise (a cumulated Gaussian field, uint8). Each series varies one of n, d, k or the number of patches;
the last columns are the slope of log time against log size since the row above, and that of the leading terms: n d² +
d³ for the primal solver, n² d + n³ + (n + d / patches) d² / patches for the dual one.
"""

from math import isqrt, log
from statistics import median
from time import perf_counter

import numpy as np
from _provenance import save

from skmae import LinearMAE

REPEATS = 3
SERIES = {  # n, d, k, and pixels along a patch
    "primal, n": [(n, 1024, 32, 8) for n in (5_000, 10_000, 20_000, 40_000, 80_000)],
    "primal, d": [(8_000, d, 32, 8) for d in (256, 576, 1024, 2304, 4096)],
    "primal, k": [(8_000, 2304, k, 8) for k in (8, 32, 128, 512, 2304)],
    "primal, patches": [(8_000, 1024, 32, patch) for patch in (16, 8, 4, 2, 1)],
    "dual, n": [(n, 16_384, 32, 8) for n in (250, 500, 1000, 2000)],
    "dual, d": [(500, d, 32, 8) for d in (4_096, 16_384, 65_536, 147_456)],
    "dual, patches": [(500, 16_384, 32, patch) for patch in (16, 8, 4, 2)],
}


def images(n: int, d: int) -> np.ndarray:
    side = isqrt(d)
    field = np.random.default_rng(0).normal(size=(n, side, side)).astype(np.float32)
    field = field.cumsum(axis=1).cumsum(axis=2)
    field -= field.mean(axis=(1, 2), keepdims=True)
    return np.clip(field / field.std() * 40 + 128, 0, 255).astype(np.uint8)


def predicted(name: str, n: int, d: int, patch: int) -> float:
    """Flops of the leading terms: a triangle of S, a Cholesky factor; or Gram matrices, eigenproblems, patches."""
    if name.startswith("primal"):
        return n * d**2 + d**3 / 3
    width = patch**2
    return 2 * n**2 * d + 20 * n**3 + 2 * d * width * (2 * n + width / 3)


def main() -> None:
    rows = []
    for name, sizes in SERIES.items():
        solver = "auto" if name.startswith("primal") else "dual"
        for n, d, k, patch in sizes:
            X = images(n, d)
            times = []
            for _ in range(REPEATS):
                start = perf_counter()
                LinearMAE(k, patch=patch, solver=solver).fit(X)
                times.append(perf_counter() - start)
            row = {
                "series": name,
                "n": n,
                "d": d,
                "k": k,
                "patches": d // patch**2,
                "median_s": round(median(times), 3),
            }
            row["gflop"] = round(predicted(name, n, d, patch) / 1e9, 1)
            before = rows[-1] if rows and rows[-1]["series"] == name else None
            varied = name.split(", ")[1]
            step = log(row[varied] / before[varied]) if before else None
            row["slope"] = round(log(row["median_s"] / before["median_s"]) / step, 2) if before else ""
            row["slope_of_flops"] = round(log(row["gflop"] / before["gflop"]) / step, 2) if before else ""
            rows.append(row)
            print(row)
    save("growth", rows)


if __name__ == "__main__":
    main()
