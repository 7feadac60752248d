"""Leading eigenpairs of M = S V⁻¹ S: a block Krylov space without M, against forming M and ARPACK or LAPACK on it.

The routes that `skmae.linear._primal` chooses between, on second moments of CIFAR-10 crops of several sizes.
"""

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from scipy.linalg import eigh
from scipy.linalg.blas import dsymv, dsyrk
from scipy.sparse.linalg import LinearOperator, eigsh

from skmae import Moments
from skmae._grid import PatchGrid
from skmae.datasets import fetch_cifar10
from skmae.linear import Corruption, _primal
from skmae.linear._krylov import uses_krylov

SIDES, RANKS, REPEATS = (12, 16, 24, 32), (8, 32, 64, 128), 3


def form(S: np.ndarray, factor: Any) -> np.ndarray:
    return dsyrk(1.0, factor.whiten(S.T.copy(order="F")), trans=1, lower=1)


def krylov(S: np.ndarray, factor: Any, remainder: _primal.Remainder, k: int) -> np.ndarray | None:
    found = _primal.leading_by_products(S, [factor], k, [remainder])
    return None if found is None else found[0][0]


def arpack(S: np.ndarray, factor: Any, _: _primal.Remainder, k: int) -> np.ndarray:
    M = form(S, factor)
    operator = LinearOperator(M.shape, matvec=lambda v: dsymv(1.0, M, v, lower=1), dtype=float)
    start = np.random.RandomState(0).standard_normal(len(M))
    return eigsh(operator, k, v0=start, return_eigenvectors=True)[0][::-1]


def lapack(S: np.ndarray, factor: Any, _: _primal.Remainder, k: int) -> np.ndarray:
    d = len(S)
    return eigh(form(S, factor), subset_by_index=[d - k, d - 1], overwrite_a=True)[0][::-1]


def main() -> None:
    images = fetch_cifar10(subset="test").images
    rows = []
    for side in SIDES:
        S = Moments.from_data(np.ascontiguousarray(images[:, :side, :side])).second
        grid = PatchGrid.build((side, side, 3), 2, 4)
        corruption = Corruption.bernoulli(0.75).with_groups(grid.patch_of_feature)
        remainder = _primal.Remainder(corruption.across, corruption.remainder_product(S))
        factor = _primal.factorise(corruption.second(S), "auto")
        for k in RANKS:
            times: dict[str, list[float]] = {"krylov": [], "arpack": [], "lapack": []}
            values = {}
            for _ in range(REPEATS):
                for route in (krylov, arpack, lapack):
                    start = perf_counter()
                    values[route.__name__] = route(S, factor, remainder, k)
                    times[route.__name__].append(perf_counter() - start)
            exact, found = values["lapack"], values["krylov"]
            row = {"d": len(S), "k": k, **{f"{name}_s": round(median(t), 4) for name, t in times.items()}}
            row["krylov_loss_excess"] = "" if found is None else f"{(exact.sum() - found.sum()) / exact.sum():.1e}"
            row["chosen"] = "krylov" if uses_krylov(len(S), k) else "lapack"
            rows.append(row)
            print(row)
    save("solvers", rows)


if __name__ == "__main__":
    main()
