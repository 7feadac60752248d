"""Theorem 1 for fewer samples than features: everything is n × n or a patch, nothing d × d is formed.

With V = α S + D, where D is block diagonal over patches, and X the centred data, let

    H = X Xᵀ / n,    K = X D⁺ Xᵀ / n = Σ_patches X_j D_j⁺ X_jᵀ / n        (both n × n).

Then M = S V⁺ S = Xᵀ K (α K + I)⁻¹ X / n. It shares its eigenvalues with Y Yᵀ, Y = (K (α K + I)⁻¹)^{1/2} X / √n, and
the encoder is Eᵀ S V⁺ = Eᵀ Xᵀ (α K + I)⁻¹ X D⁺ / n.
"""

import warnings
from collections.abc import Iterator

import numpy as np
from scipy.linalg.blas import dgemm, dsyrk

from skmae._linalg import EPS, mirror_lower, symmetric_eigen, variance_of_rounding
from skmae._samples import Samples, refuse_not_finite
from skmae._typing import Array, FloatArray, IntArray
from skmae.linear._corruptions import Corruption
from skmae.linear._primal import Factor, Minimiser, Rank, factorise, no_signal, rank_of, signs
from skmae.moments import Moments

_FEATURES_AT_A_TIME = 1024


def solve_dual(
    X: Array, corruption: Corruption, n_components: Rank, weights: FloatArray | None = None
) -> tuple[Minimiser, FloatArray, float]:
    """Minimise E‖x − W2 W1 x̃‖² at a given rank, without forming S.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Not centred; read a patch at a time.
    corruption : Corruption
        Not a dense one; its D is zero, or regular wherever S is not zero.
    n_components : int, float or None
        As in `reduced_rank_regression`.
    weights : ndarray of shape (n,) or None
        Of the samples; those with weight zero are left out.

    Returns
    -------
    minimiser : Minimiser
    mean : ndarray of shape (d,)
    total : float
        tr S.
    """
    if weights is not None and not weights.all():
        X, weights = X[weights > 0], weights[weights > 0]
    d = X.shape[1]
    rows = _Rows(X, weights)
    blocks = _Blocks(rows, corruption)
    H = _samples_gram(rows, blocks.features)
    K = _whitened_gram(rows, blocks) if corruption.has_within else None
    if corruption.noise and K is None:
        K = H / corruption.noise
    values, A, C = _leading(H, K, corruption.across, n_components, d)
    k = len(values)
    both = np.asfortranarray(np.hstack([A, C]))  # (n, 2k)
    encoder, decoder = np.zeros((k, d)), np.zeros((d, k))
    for number, features in enumerate(blocks.features):
        columns = X[:, features]
        projected = dgemm(1.0, rows.centred(features, columns), both)  # X_jᵀ [A C], (p, 2k)
        decoder[features], XjTC = projected[:, :k], projected[:, k:]
        if corruption.has_within:
            encoder[:, features] = blocks.factor(number, columns).apply_inverse(np.asfortranarray(XjTC)).T
        else:
            encoder[:, features] = XjTC.T / (corruption.noise or 1.0)
    decoder = _completed(decoder, values)
    orientation = signs(decoder)
    minimiser = Minimiser(
        encoder=encoder * orientation[:, np.newaxis],
        decoder=decoder * orientation,
        eigenvalues=values,
        solver="dual",
        rcond=np.nan,
    )
    return minimiser, rows.mean, float(rows.variance.sum())


class _Rows:
    """Samples with weights, read some features at a time: X of the equations is diag(√(n w / Σw)) (X − mean)."""

    def __init__(self, X: Array, weights: FloatArray | None):
        self.X = X
        self.weights = weights
        self.root = None if weights is None else np.sqrt(weights * (len(X) / weights.sum()))
        self.mean, self.variance = self._mean_and_variance()

    def _mean_and_variance(self) -> tuple[FloatArray, FloatArray]:
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
            refuse_not_finite(self.X)
        return mean, variance

    def centred(self, features: IntArray, columns: Array | None = None) -> FloatArray:
        """X_jᵀ, (p, n), float64 in Fortran order; `columns` if they have been gathered already."""
        columns = self.X[:, features] if columns is None else columns
        centred = np.ascontiguousarray(columns, dtype=np.float64)
        centred = np.subtract(centred, self.mean[features], out=centred if centred is not columns else None)
        if self.root is not None:
            centred *= self.root[:, np.newaxis]
        return centred.T


class _Blocks:
    """IntArray that are read together, constant ones left out: those of a group, if D couples them, or some at a time.

    D_j = within_j · S_jj + noise · I.
    """

    def __init__(self, rows: _Rows, corruption: Corruption):
        self._rows, self._corruption = rows, corruption
        d = len(rows.mean)
        self._labels = corruption.labels(d)
        is_coupled = corruption.has_within and len(np.unique(self._labels)) < d
        groups = corruption.members(d) if is_coupled else [np.arange(d)[run] for run in _runs(d)]
        active = rows.variance > 0
        self._is_coupled = is_coupled
        self.features = [features[active[features]] for features in groups if active[features].any()]

    def factor(self, number: int, columns: Array) -> Factor:
        """D_j⁻¹ from the columns of block j."""
        features, noise = self.features[number], self._corruption.noise
        within = self._corruption.within_of(self._labels[features])
        if self._is_coupled:
            moments = Moments(len(features))
            moments._add(Samples(columns), self._rows.weights)  # they have been checked; groups may be many
            D = moments._release_second()
            D *= within[0]
            D[np.diag_indices_from(D)] += noise
            return factorise(D, "auto")
        root = 1 / np.sqrt(within * self._rows.variance[features] + noise)[:, np.newaxis]
        return Factor(lambda B: root * B, lambda B: root * B, solver="cholesky", rcond=1.0)


def _runs(d: int) -> Iterator[slice]:
    for start in range(0, d, _FEATURES_AT_A_TIME):
        yield slice(start, min(start + _FEATURES_AT_A_TIME, d))


def _samples_gram(rows: _Rows, blocks: list[IntArray]) -> FloatArray:
    """H, (n, n)."""
    n, d = rows.X.shape
    if rows.X.dtype.itemsize == 1 and rows.root is None:
        # moments of the transpose are exact, and twice as fast; then samples are centred
        moments = Moments.from_data(rows.X.T)
        H, m = moments.second, moments.mean
        H -= H.mean(axis=0)
        H -= H.mean(axis=1, keepdims=True)
        H += np.outer(m - m.mean(), m - m.mean())
        H *= d / n
        return H
    H = np.zeros((n, n), order="F")
    for features in blocks:
        H = dsyrk(1 / n, rows.centred(features), trans=1, beta=1.0, c=H, lower=1, overwrite_c=1)
    mirror_lower(H)
    return H


def _whitened_gram(rows: _Rows, blocks: _Blocks) -> FloatArray:
    """K, (n, n)."""
    n = len(rows.X)
    K = np.zeros((n, n), order="F")
    for number, features in enumerate(blocks.features):
        columns = rows.X[:, features]
        Z = blocks.factor(number, columns).whiten(rows.centred(features, columns))  # (rank, n)
        K = dsyrk(1 / n, np.asfortranarray(Z), trans=1, beta=1.0, c=K, lower=1, overwrite_c=1)
    mirror_lower(K)
    return K


def _leading(
    H: FloatArray, K: FloatArray | None, across: float, n_components: Rank, d: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """λ, descending, and A and C, (n, k), such that E = XᵀA and W1ᵀ = D⁺ XᵀC (or XᵀC, if D = 0)."""
    n = len(H)
    if K is None:  # V = across·S
        kappa, Q, root = None, np.eye(n), np.full(n, 1 / np.sqrt(across))
    else:
        kappa, Q = symmetric_eigen(K)
        kappa = np.where(kappa > n * EPS * kappa[0], kappa, 0)
        _warn_if_pca(kappa)
        root = np.sqrt(kappa / (across * kappa + 1))
    B = Q * root
    values, U = symmetric_eigen(B.T @ H @ B, overwrite=True)
    values = np.where(values > max(n, d) * EPS * values[0], values, 0)
    if not values.any():
        no_signal(n, n_components)  # raises, unless a number of components was asked for
    k = rank_of(values, n_components)
    values = values[:k]
    A = B @ U[:, :k] / np.sqrt(n * np.where(values > 0, values, np.inf))
    if kappa is None:
        return values, A, A / across
    C = Q @ ((Q.T @ H @ A) / (across * kappa + 1)[:, np.newaxis])
    return values, A, C


def _warn_if_pca(kappa: FloatArray) -> None:
    """If every patch alone tells all samples apart, K is a multiple of the centring matrix, and E is PCA's."""
    if len(kappa) > 2 and kappa[-2] > 0.999999 * kappa[0]:
        warnings.warn(
            f"Every patch alone tells all n_samples={len(kappa)} samples apart, so that the decoder spans what PCA's "
            f"does and masking changes nothing but scale. Use more samples or smaller patches.",
            stacklevel=2,
        )


def _completed(decoder: FloatArray, values: FloatArray) -> FloatArray:
    """Columns without signal, which are zero, replaced so that all columns are orthonormal."""
    missing = values == 0
    if missing.any():
        random = np.random.RandomState(0).standard_normal((len(decoder), int(missing.sum())))
        kept = decoder[:, ~missing]
        for _ in range(2):
            random -= kept @ (kept.T @ random)
        decoder[:, missing] = np.linalg.qr(random)[0]
    return decoder
