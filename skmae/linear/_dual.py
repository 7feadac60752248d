"""Theorem 1 for fewer samples than features: everything is n × n or a patch, nothing d × d is formed.

With V = α S + D, where D is block diagonal over patches, and X the centred data, let

    H = X Xᵀ / n,    K = X D⁺ Xᵀ / n = Σ_patches X_j D_j⁺ X_jᵀ / n        (both n × n).

Then M = S V⁺ S = Xᵀ K (α K + I)⁻¹ X / n. It shares its eigenvalues with Y Yᵀ, Y = (K (α K + I)⁻¹)^{1/2} X / √n, and
the encoder is Eᵀ S V⁺ = Eᵀ Xᵀ (α K + I)⁻¹ X D⁺ / n.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dgemm, dsyrk

from skmae._grid import PatchGrid
from skmae._rows import check_finite
from skmae.linear._corruption import Corruption
from skmae.linear._rrr import Solution, factorise, no_signal, rank_of, signs
from skmae.moments import EPS, Moments, mirror_lower, variance_of_rounding

_FEATURES_AT_A_TIME = 1024


def is_cheaper(n: int, d: int, grid: PatchGrid) -> bool:
    """Whether n × n work is less than d × d work, in flops: two Gram matrices, two eigenproblems, a factor a patch."""
    patch = grid.n_features / grid.n_patches
    return n < d and 2 * n**2 * d + 20 * n**3 + d * patch**2 < n * d**2 + 4 * d**3


def solve_dual(
    X: np.ndarray,
    grid: PatchGrid,
    corruption: Corruption,
    n_components: int | float | None,
    weights: np.ndarray | None = None,
) -> tuple[Solution, np.ndarray, float]:
    """Minimise E‖x − W2 W1 x̃‖² at a given rank, without forming S.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Not centred; read a patch at a time.
    grid : PatchGrid
    corruption : Corruption
    n_components : int, float or None
        As in `_rrr.solve`.
    weights : ndarray of shape (n,) or None
        Of the samples; those with weight zero are left out.

    Returns
    -------
    solution : Solution
    mean : ndarray of shape (d,)
    total : float
        tr S.
    """
    if weights is not None and not weights.all():
        X, weights = X[weights > 0], weights[weights > 0]
    d = X.shape[1]
    rows = _Rows(X, weights)
    groups = _groups(grid, corruption, rows.variance > 0)
    H = _samples_gram(rows, groups)
    K = _own_gram(rows, groups, corruption) if corruption.within else None
    if corruption.noise and K is None:
        K = H / corruption.noise
    values, A, C = _leading(H, K, corruption.across, n_components)
    k = len(values)
    both = np.asfortranarray(np.hstack([A, C]))  # (n, 2k)
    encoder, decoder = np.zeros((k, d)), np.zeros((d, k))
    for features in groups:
        columns = X[:, features]
        projected = dgemm(1.0, rows.centred(features, columns), both)  # X_jᵀ [A C], (p, 2k)
        decoder[features], XjTC = projected[:, :k], projected[:, k:]
        if corruption.within:
            factor = factorise(rows.own_moment(columns, corruption), "auto")
            encoder[:, features] = factor.apply_inverse(np.asfortranarray(XjTC)).T
        else:
            encoder[:, features] = XjTC.T / (corruption.noise or 1.0)
    decoder = _completed(decoder, values)
    orientation = signs(decoder)
    solution = Solution(
        encoder=encoder * orientation[:, np.newaxis],
        decoder=decoder * orientation,
        eigenvalues=values,
        solver="dual",
        rcond=np.nan,
    )
    return solution, rows.mean, float(rows.variance.sum())


class _Rows:
    """Samples with weights, read some features at a time: X of the equations is diag(√(n w / Σw)) (X − mean)."""

    def __init__(self, X: np.ndarray, weights: np.ndarray | None):
        self.X = X
        self.weights = weights
        self.root = None if weights is None else np.sqrt(weights * (len(X) / weights.sum()))
        self.mean, self.variance = self._mean_and_variance()

    def _mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each feature, (d,); the variance of a constant one is exactly zero."""
        d = self.X.shape[1]
        mean, variance = np.empty(d), np.empty(d)
        for features in _runs(d):
            block = self.X[:, features].astype(np.float64)
            shift = np.average(block, axis=0, weights=self.weights)
            block -= shift
            offset = np.average(block, axis=0, weights=self.weights)  # what rounding left of the mean
            mean[features] = shift + offset
            if self.root is not None:
                block *= self.root[:, np.newaxis]
            found = np.einsum("nd,nd->d", block, block) / len(block) - offset**2
            variance[features] = np.where(found <= variance_of_rounding(offset**2, mean[features]), 0, found)
        if not np.isfinite(variance.sum()):
            check_finite(self.X)
        return mean, variance

    def centred(self, features: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        """X_jᵀ, (p, n), float64 in Fortran order; `columns` if they have been gathered already."""
        columns = self.X[:, features] if columns is None else columns
        centred = np.ascontiguousarray(columns, dtype=np.float64)
        centred = np.subtract(centred, self.mean[features], out=centred if centred is not columns else None)
        if self.root is not None:
            centred *= self.root[:, np.newaxis]
        return centred.T

    def own_moment(self, columns: np.ndarray, corruption: Corruption) -> np.ndarray:
        """D_j = within · S_jj + noise · I."""
        D = Moments.from_data(columns, sample_weight=self.weights).second
        D *= corruption.within
        D[np.diag_indices_from(D)] += corruption.noise
        return D


def _runs(d: int) -> Iterator[slice]:
    for start in range(0, d, _FEATURES_AT_A_TIME):
        yield slice(start, min(start + _FEATURES_AT_A_TIME, d))


def _groups(grid: PatchGrid, corruption: Corruption, active: np.ndarray) -> list[np.ndarray]:
    """Features that are read together, patches if D couples them; constant ones left out."""
    everything = np.arange(len(active))
    groups = grid.features_of_patch if corruption.within else [everything[run] for run in _runs(len(active))]
    return [features[active[features]] for features in groups if active[features].any()]


def _samples_gram(rows: _Rows, groups: list[np.ndarray]) -> np.ndarray:
    """H, (n, n)."""
    n, d = rows.X.shape
    if rows.X.dtype.itemsize == 1 and rows.root is None:
        # moments of the transpose are exact, and twice as fast; then samples are centred
        moments = Moments.from_data(rows.X.T)
        H, m = moments.second, moments.mean
        H -= H.mean(axis=0)
        H -= H.mean(axis=1, keepdims=True)
        H += np.outer(m - m.mean(), m - m.mean())
        return H * (d / n)
    H = np.zeros((n, n), order="F")
    for features in groups:
        H = dsyrk(1 / n, rows.centred(features), trans=1, beta=1.0, c=H, lower=1, overwrite_c=1)
    mirror_lower(H)
    return H


def _own_gram(rows: _Rows, groups: list[np.ndarray], corruption: Corruption) -> np.ndarray:
    """K, (n, n)."""
    n = len(rows.X)
    K = np.zeros((n, n), order="F")
    for features in groups:
        columns = rows.X[:, features]
        factor = factorise(rows.own_moment(columns, corruption), "auto")
        Z = factor.whiten(rows.centred(features, columns))  # (rank, n)
        K = dsyrk(1 / n, np.asfortranarray(Z), trans=1, beta=1.0, c=K, lower=1, overwrite_c=1)
    mirror_lower(K)
    return K


def _leading(
    H: np.ndarray, K: np.ndarray | None, across: float, n_components: int | float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """λ, descending, and A and C, (n, k), such that E = XᵀA and W1ᵀ = D⁺ XᵀC (or XᵀC, if D = 0)."""
    n = len(H)
    if K is None:
        kappa, Q, root = None, np.eye(n), np.ones(n)
    else:
        kappa, Q = eigh(K, check_finite=False)
        kappa = np.where(kappa > n * EPS * kappa[-1], kappa, 0)
        _warn_if_pca(kappa)
        root = np.sqrt(kappa / (across * kappa + 1))
    B = Q * root
    values, U = eigh(B.T @ H @ B, check_finite=False)
    values, U = values[::-1], U[:, ::-1]
    values = np.where(values > n * EPS * values[0], values, 0)
    if not values.any():
        no_signal(n, n_components)  # raises, unless a number of components was asked for
    k = rank_of(values, n_components)
    values = values[:k]
    A = B @ U[:, :k] / np.sqrt(n * np.where(values > 0, values, np.inf))
    if kappa is None:
        return values, A, A
    C = Q @ ((Q.T @ H @ A) / (across * kappa + 1)[:, np.newaxis])
    return values, A, C


def _warn_if_pca(kappa: np.ndarray) -> None:
    """If every patch alone tells all samples apart, K is a multiple of the centring matrix, and E is PCA's."""
    if len(kappa) > 2 and kappa[1] > 0.999999 * kappa[-1]:
        warnings.warn(
            f"Every patch alone tells all n_samples={len(kappa)} samples apart, so that the decoder spans what PCA's "
            f"does and masking changes nothing but scale. Use more samples or smaller patches.",
            stacklevel=2,
        )


def _completed(decoder: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Columns without signal, which are zero, replaced so that all columns are orthonormal."""
    missing = values == 0
    if missing.any():
        random = np.random.RandomState(0).standard_normal((len(decoder), int(missing.sum())))
        kept = decoder[:, ~missing]
        for _ in range(2):
            random -= kept @ (kept.T @ random)
        decoder[:, missing] = np.linalg.qr(random)[0]
    return decoder
