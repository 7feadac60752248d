"""20,000 photographs of 224 × 224 × 3 in a memory map: LinearMAE(solver="randomized") in less memory than they take.

Fresh processes; wall time of `fit`, the peak resident set of the process, mapped pages included, and passes over X:
rows read, by n. PCA(svd_solver="randomized") would make a float32 copy of 12 GB and centre another. So its time per
pass is that of 1,000 rows, scaled: what two steps of its power iteration, normalisation included, take beyond none, by
the four products that they are. A pass of ours has two products, and is compared with two of PCA's.

Where an exact solver runs as well, the loss is compared, and the wall time: 50,000 CIFAR-10 images ($SKMAE_DATA), and
2,000 photographs. These are crops of the photographs that scikit-learn and scikit-image ship (`wide.py`). Linux.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _provenance import save
from wide import crops

from skmae.datasets import fetch_cifar10

N, FEW, PCA_ROWS, RANK = 20_000, 2_000, 1_000, 64
OURS = """
import re, sys, time, warnings, numpy as np
from skmae import LinearMAE
from skmae._samples import Samples
read, blocks = [0], Samples.blocks
def counted(self, *args):
    for rows, block in blocks(self, *args):
        read[0] += len(block)
        yield rows, block
Samples.blocks = counted
X = np.load(sys.argv[1], mmap_mode="r")[: int(sys.argv[2])]
start = time.perf_counter()
model = LinearMAE({rank}, {parameters}, image_shape={shape}, solver={solver!r}, random_state=0).fit(X)
wall = time.perf_counter() - start
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 2**20
print(wall, peak, read[0] / len(X), repr(model.expected_loss_))
"""
PCA = """
import re, sys, time, numpy as np
from sklearn.utils.extmath import randomized_svd
X = np.load(sys.argv[1], mmap_mode="r")[: int(sys.argv[2])].astype(np.float32)
X -= X.mean(axis=0)
def seconds(steps):
    start = time.perf_counter()
    randomized_svd(X, {rank}, n_iter=steps, power_iteration_normalizer="LU", random_state=0)
    return time.perf_counter() - start
seconds(0)
print((sorted(seconds(2) for _ in range(3))[1] - sorted(seconds(0) for _ in range(3))[1]) / 4, 0, 0, 0)
"""


def run(code: str, path: Path, n: int, **values: object) -> list[float]:
    """Seconds, GiB, passes over X, loss."""
    command = [sys.executable, "-c", code.format(rank=RANK, **values), str(path), str(n)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def row(what: str, found: list[float], **more: object) -> dict[str, object]:
    wall, peak, passes, _ = found
    numbers = {"wall_s": round(wall, 1), "peak_gib": round(peak, 2), "passes": round(passes, 2)}
    empty = {"s_per_pass": None, "wall_ratio": None, "excess_loss": None}
    print(what, numbers, more, file=sys.stderr)
    return {"what": what, **numbers, **empty, **more}


def large(path: Path) -> list[dict[str, object]]:
    photographs = {"parameters": "patch=16", "shape": (224, 224, 3)}
    product = run(PCA, path, PCA_ROWS)[0] * N / PCA_ROWS
    found = run(OURS, path, N, solver="randomized", **photographs)
    per_pass = found[0] / found[2]
    size = f"{N} x 150528 uint8, memory map"
    return [
        row(
            f"LinearMAE randomized, patch 16, {size}",
            found,
            s_per_pass=round(per_pass, 2),
            wall_ratio=round(per_pass / (2 * product), 3),
        ),
        row(
            f"PCA randomized, two products, {PCA_ROWS} rows scaled to {N}",
            [0, 0, 0, 0],
            s_per_pass=round(2 * product, 2),
        ),
        compared("2000 x 150528 uint8", path, FEW, "dual", **photographs),
    ]


def compared(
    what: str, path: Path, n: int, exact: str, *, parameters: str, shape: tuple[int, ...]
) -> dict[str, object]:
    """Against the exact solution."""
    ours, theirs = (run(OURS, path, n, solver=s, parameters=parameters, shape=shape) for s in ("randomized", exact))
    return row(
        f"LinearMAE randomized, {parameters}, against {exact}, {what}",
        ours,
        s_per_pass=round(ours[0] / ours[2], 2),
        wall_ratio=round(ours[0] / theirs[0], 3),
        excess_loss=f"{ours[3] / theirs[3] - 1:.1e}",
    )


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cifar, photographs = Path(folder) / "cifar10.npy", Path(folder) / "photographs.npy"
        train = fetch_cifar10().data
        np.save(cifar, train)
        for parameters in ("patch=4, mask=.75", "patch=4, mask=.25", "patch=8, mask=.75"):
            rows.append(
                compared("50000 x 3072 uint8", cifar, len(train), "auto", parameters=parameters, shape=(32, 32, 3))
            )
        np.save(photographs, crops(N))
        rows += large(photographs)
    save("large", rows)


if __name__ == "__main__":
    main()
