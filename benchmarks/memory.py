"""Peak memory of fitting CIFAR-10, 50,000 × 3072: whole processes, data included, and what a memory map needs.

Every measurement is a fresh process; VmHWM is the peak of its resident set (ru_maxrss would count the parent's). Linux.
pandas, which scikit-learn imports wherever it finds it (40 MB), counts for nobody: none of them uses it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _provenance import save

from skmae.datasets import fetch_cifar10

GIB = 2**30
COMMON = """
import re, sys, numpy as np
class NoPandas:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoPandas())
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
"""
MAE = "from skmae import LinearMAE; model = LinearMAE(64, mask=0.75, patch=4);"
PCA = "from sklearn.decomposition import PCA; model = PCA(64, svd_solver='{}', random_state=0);"
CASES = {
    "LinearMAE uint8": MAE + "model.fit(np.load(sys.argv[1] + '/u1.npy')); print(peak())",
    "LinearMAE uint8 memmap": MAE + "model.fit(np.load(sys.argv[1] + '/u1.npy', mmap_mode='r')); print(peak())",
    "LinearMAE uint8 beside PyTorch": "import torch;"
    + MAE
    + "model.fit(np.load(sys.argv[1] + '/u1.npy')); print(peak())",
    "LinearMAE imports alone": MAE + "model.fit(np.random.rand(100, 64)); print(peak())",
    "LinearMAE and PyTorch imports alone": "import torch;" + MAE + "model.fit(np.random.rand(100, 64)); print(peak())",
    "PCA randomized float32": PCA.format("randomized") + "model.fit(np.load(sys.argv[1] + '/f4.npy')); print(peak())",
    "PCA covariance_eigh float32": PCA.format("covariance_eigh")
    + "model.fit(np.load(sys.argv[1] + '/f4.npy')); print(peak())",
}


def main() -> None:
    X = fetch_cifar10().data
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "u1.npy", X)
        np.save(Path(folder) / "f4.npy", X.astype(np.float32))
        peaks = {}
        for name, code in CASES.items():
            done = subprocess.run(
                [sys.executable, "-c", COMMON + code, folder], capture_output=True, text=True, check=True
            )
            peaks[name] = int(done.stdout)
    peer = min((name for name in peaks if name.startswith("PCA")), key=lambda name: peaks[name])
    rows = [
        {
            "what": name,
            "peak_gib": round(peak / GIB, 3),
            "peer": peer,
            "ratio_to_peer": round(peak / peaks[peer], 3),
        }
        for name, peak in peaks.items()
    ]
    square = X.shape[1] ** 2
    work = 2 * 8 * square / GIB  # S and V, float64
    extra = (peaks["LinearMAE uint8 memmap"] - peaks["LinearMAE imports alone"]) / GIB
    rows.append({"what": "memmap: peak less imports and two d×d float64 arrays", "peak_gib": round(extra - work, 3)})
    for row in rows:
        print(f"{row['what']:>55} {row['peak_gib']:7.3f} GiB  {row.get('ratio_to_peer', '')}")
    save("memory", rows)


if __name__ == "__main__":
    main()
