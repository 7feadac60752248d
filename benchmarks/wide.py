"""1,000 and 2,000 photographs of 224 × 224 × 3: LinearMAE's dual solver against PCA(64, svd_solver="randomized").

Fresh processes, interleaved; wall time of `fit` alone, and the peak resident set of the process, data included. The
images are crops of the photographs that scikit-learn and scikit-image ship, as uint8; PCA gets them as float32. Linux.
With numbers as arguments, so many photographs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from _provenance import save
from sklearn.datasets import load_sample_image

from skmae._compat import import_optional

SIZES, SIDE, REPEATS = (1000, 2000), 224, 5
CASE = """
import re, sys, time, numpy as np
{imports}
X = np.load(sys.argv[1], mmap_mode={mmap})
start = time.perf_counter()
model = {model}.fit(X)
print(time.perf_counter() - start, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
CASES = {
    "LinearMAE dual, uint8": (
        "u1",
        "from skmae import LinearMAE",
        "LinearMAE(64, patch=16, image_shape=(224, 224, 3))",
    ),
    "PCA randomized, float32": (
        "f4",
        "from sklearn.decomposition import PCA",
        "PCA(64, svd_solver='randomized', random_state=0)",
    ),
}


def crops(n: int) -> np.ndarray:
    """(n, 224 · 224 · 3) uint8."""
    data = import_optional("skimage.data", extra="photos", purpose="this benchmark")
    photos = [load_sample_image("china.jpg"), load_sample_image("flower.jpg"), data.astronaut(), data.coffee()]
    photos += [data.chelsea(), data.rocket(), data.stereo_motorcycle()[0]]
    rng = np.random.default_rng(0)
    out = np.empty((n, SIDE, SIDE, 3), np.uint8)
    for crop in out:
        photo = photos[rng.integers(len(photos))]
        top, left = (rng.integers(extent - SIDE + 1) for extent in photo.shape[:2])
        crop[...] = photo[top : top + SIDE, left : left + SIDE]
    return out.reshape(n, -1)


def main() -> None:
    sizes = [int(n) for n in sys.argv[1:]] or SIZES
    save("wide", [row for n in sizes for row in compared(n)])


def compared(n: int) -> list[dict[str, object]]:
    """A row for each of the two."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        X = crops(n)
        np.save(Path(folder) / "u1.npy", X)
        np.save(Path(folder) / "f4.npy", X.astype(np.float32))
        del X
        for _ in range(REPEATS):
            for name, (file, imports, model) in CASES.items():
                code = CASE.format(imports=imports, model=model, mmap="None")
                command = [sys.executable, "-c", code, str(Path(folder) / f"{file}.npy")]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                wall, peak = map(float, done.stdout.split())
                results[name].append((wall, peak / 2**20))
                print(f"{n}, {name}: {wall:.1f} s, {peak / 2**20:.2f} GiB", file=sys.stderr)
    peer_wall, peer_peak = (median(column) for column in zip(*results["PCA randomized, float32"], strict=True))
    rows: list[dict[str, object]] = []
    for name, values in results.items():
        wall, peak = (median(column) for column in zip(*values, strict=True))
        rows.append(
            {
                "what": name,
                "n": n,
                "wall_s": round(wall, 2),
                "wall_ratio": round(wall / peer_wall, 3),
                "peak_gib": round(peak, 3),
                "peak_ratio": round(peak / peer_peak, 3),
                "repeats": REPEATS,
            }
        )
        print(rows[-1])
    return rows


if __name__ == "__main__":
    main()
