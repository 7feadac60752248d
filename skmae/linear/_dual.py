"""Theorem 1 for fewer samples than features: everything is n × n or a patch, nothing d × d is formed.

With V = α S + D, where D is block diagonal over patches, and X the centred data, let

    H = X Xᵀ / n,    K = X D⁺ Xᵀ / n = Σ_patches X_j D_j⁺ X_jᵀ / n        (both n × n).

Then M = S V⁺ S = Xᵀ K (α K + I)⁻¹ X / n. It shares its eigenvalues with Y Yᵀ, Y = (K (α K + I)⁻¹)^{1/2} X / √n, and
the encoder is Eᵀ S V⁺ = Eᵀ Xᵀ (α K + I)⁻¹ X D⁺ / n. Where D = σ² I, K is H / σ², and nothing need be divided by σ².
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.linalg import cholesky, qr, solve_triangular
from scipy.linalg.blas import dgemm, dsyrk

from skmae._linalg import carries_signal, mirror_lower, symmetric_eigen, variance_of_rounding
from skmae._samples import refuse_not_finite
from skmae._typing import Array, FloatArray, IntArray
from skmae.linear._corruptions import Corruption
from skmae.linear._primal import Factor, Minimiser, Rank, checked_total, factorise, no_signal, rank_of, signs
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
    total = checked_total(float(rows.variance.sum()))
    if not total:
        return replace(no_signal(d, n_components), solver="dual"), rows.mean, total
    multiple = corruption.multiple(d)
    blocks = _Blocks(rows, corruption, has_factors=corruption.has_within and multiple is None)
    H = _samples_gram(rows, blocks.features)
    if multiple is not None:
        values, A, C = _leading(H, None, multiple, 0.0, n_components, d)
    elif blocks.has_factors:
        values, A, C = _leading(H, _whitened_gram(rows, blocks), corruption.across, 1.0, n_components, d)
    else:
        values, A, C = _leading(H, H, corruption.across, corruption.noise, n_components, d)
    k = len(values)
    both = np.asfortranarray(np.hstack([A, C]))  # (n, 2k)
    encoder, decoder = np.zeros((k, d)), np.zeros((d, k))
    for number, features in enumerate(blocks.features):
        columns = rows.centred(features)
        projected = dgemm(1.0, columns, both)  # X_jᵀ [A C], (p, 2k)
        decoder[features], XjTC = projected[:, :k], np.asfortranarray(projected[:, k:])
        encoder[:, features] = (blocks.factor(number, columns).apply_inverse(XjTC) if blocks.has_factors else XjTC).T
    orthonormalise(encoder, decoder, int(np.count_nonzero(values)))
    if multiple is not None:
        encoder = decoder.T * (values > 0)[:, np.newaxis] / multiple
    minimiser = Minimiser(
        encoder=encoder,
        decoder=decoder,
        eigenvalues=values,
        solver="dual",
        rcond=np.nan,
    )
    return minimiser, rows.mean, total


class _Rows:
    """Samples with weights, read some features at a time: X of the equations is diag(√(n w / Σw)) (X − mean)."""

    def __init__(self, X: Array, weights: FloatArray | None):
        self.X = X
        self.weights = weights
        self.root = None if weights is None else np.sqrt(weights * (len(X) / weights.sum()))
        self._shift, self._offset, self.variance = self._about_the_mean()
        self.mean = self._shift + self._offset

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused
    def _about_the_mean(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A centre near the mean of each feature, what the mean is beyond it, and the variance, zero if constant."""
        d = self.X.shape[1]
        shift, offset, variance = np.empty(d), np.empty(d), np.empty(d)
        for features in _runs(d):
            block = self.X[:, features].astype(np.float64)
            centre = shift[features] = np.average(block, axis=0, weights=self.weights)
            block -= centre
            rest = offset[features] = np.average(block, axis=0, weights=self.weights)  # what rounding left of the mean
            if self.root is not None:
                block *= self.root[:, np.newaxis]
            found = np.einsum("nd,nd->d", block, block) / len(block) - rest**2
            variance[features] = np.where(found <= variance_of_rounding(rest**2, centre + rest), 0, found)
        if not np.isfinite(variance.sum()):
            refuse_not_finite(self.X)
        return shift, offset, variance

    def centred(self, features: IntArray) -> FloatArray:
        """X_jᵀ, (p, n), float64 in Fortran order."""
        centred = self.X[:, features].astype(np.float64, order="C")
        centred -= self._shift[features]
        centred -= self._offset[features]  # by itself: far from zero, the mean is rounded to less than samples differ
        if self.root is not None:
            centred *= self.root[:, np.newaxis]
        return centred.T


class _Blocks:
    """Features that are read together, constant ones left out: those of a group, if D couples them, or some at a time.

    D_j = within_j · S_jj + noise · I.
    """

    def __init__(self, rows: _Rows, corruption: Corruption, *, has_factors: bool):
        self._rows, self._corruption = rows, corruption
        self.has_factors = has_factors
        d = len(rows.mean)
        self._labels = corruption.labels(d)
        is_coupled = has_factors and len(np.unique(self._labels)) < d
        groups = corruption.members(d) if is_coupled else [np.arange(d)[run] for run in _runs(d)]
        active = rows.variance > 0
        self._is_coupled = is_coupled
        self.features = [features[active[features]] for features in groups if active[features].any()]

    def factor(self, number: int, columns: FloatArray) -> Factor:
        """D_j⁻¹, from `columns`, X_jᵀ of block j (p, n): of what they span, in coordinates there if they are many."""
        features, noise = self.features[number], self._corruption.noise
        within = self._corruption.within_of(self._labels[features])
        variance = self._rows.variance[features]
        if not self._is_coupled:
            root = 1 / np.sqrt(within * variance + noise)[:, np.newaxis]
            return Factor(lambda B: root * B, lambda B: root * B, solver="cholesky", rcond=1.0)
        p, n = columns.shape
        Q = _basis(columns, variance) if p > n else None
        coordinates = columns if Q is None else dgemm(1.0, Q, columns, trans_a=1)  # (r, n)
        D = dsyrk(within[0] / n, coordinates, lower=1)
        mirror_lower(D)
        D[np.diag_indices_from(D)] += noise
        factor = factorise(D, "auto")
        return factor if Q is None else factor.on(Q)


def _basis(columns: FloatArray, variance: FloatArray) -> FloatArray:
    """Orthonormal basis (p, r) of what the columns (p, n) span; which unit a feature is measured in does not count."""
    scaled = np.asfortranarray(columns / np.sqrt(variance)[:, np.newaxis])
    values, U = symmetric_eigen(dsyrk(1.0, scaled, trans=1, lower=1), overwrite=True)
    some = np.asfortranarray(U[:, carries_signal(values, len(columns))])
    basis: FloatArray = qr(dgemm(1.0, columns, some), mode="economic", overwrite_a=True, check_finite=False)[0]
    return basis


def _runs(d: int) -> Iterator[slice]:
    for start in range(0, d, _FEATURES_AT_A_TIME):
        yield slice(start, min(start + _FEATURES_AT_A_TIME, d))


def _samples_gram(rows: _Rows, blocks: list[IntArray]) -> FloatArray:
    """H, (n, n)."""
    n, d = rows.X.shape
    if rows.X.dtype.itemsize == 1 and rows.root is None and blocks:
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
        columns = rows.centred(features)
        Z = blocks.factor(number, columns).whiten(columns)  # (rank, n)
        K = dsyrk(1 / n, np.asfortranarray(Z), trans=1, beta=1.0, c=K, lower=1, overwrite_c=1)
    mirror_lower(K)
    return K


def _leading(
    H: FloatArray, K: FloatArray | None, across: float, own: float, n_components: Rank, d: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """λ, descending, and A and C, (n, k), such that E = XᵀA and W1ᵀ = D⁺ XᵀC, for own·K in place of K.

    Without K, V = across·S.
    """
    n = len(H)
    if K is None:
        Q, shrunk, visible = np.eye(n), np.ones(n), np.full(n, across)
    else:
        kappa, Q = symmetric_eigen(K)
        shrunk = np.where(carries_signal(kappa, max(n, d)), kappa, 0)
        visible = across * shrunk + own
        _warn_if_pca(shrunk)
    B = Q * np.sqrt(shrunk / visible)
    values, U = symmetric_eigen(B.T @ H @ B, overwrite=True)
    values = np.where(carries_signal(values, max(n, d)), values, 0)
    if not values.any():
        no_signal(n, n_components)  # raises, unless a number of components was asked for
    k = rank_of(values, n_components)
    values = values[:k]
    A = B @ U[:, :k] / np.sqrt(n * np.where(values > 0, values, np.inf))
    if K is None:
        return values, A, A / across
    root = (np.sqrt(shrunk) * np.sqrt(visible))[:, np.newaxis]
    C = Q @ np.divide(U[:, :k], root, out=np.zeros((n, k)), where=root > 0) * np.sqrt(values / n)  # (αK + 1)⁻¹ H A
    return values, A, C


def _warn_if_pca(kappa: FloatArray) -> None:
    """If every patch alone tells all samples apart, K is a multiple of the centring matrix, and E is PCA's."""
    if len(kappa) > 2 and kappa[-2] > 0.999999 * kappa[0]:
        warnings.warn(
            f"Every patch alone tells all n_samples={len(kappa)} samples apart, so that the decoder spans what PCA's "
            f"does and masking changes nothing but scale. Use more samples or smaller patches.",
            stacklevel=2,
        )


def orthonormalise(encoder: FloatArray, decoder: FloatArray, n_kept: int) -> None:
    """Make the columns of the decoder orthonormal, in place: rounding mixes them where λ spans many orders.

    Those beyond `n_kept`, without signal, become anything. Signs are chosen, too.
    """
    kept = decoder[:, :n_kept]
    if n_kept:
        R = cholesky(kept.T @ kept, check_finite=False)
        for features in _runs(len(kept)):  # which takes no second decoder
            kept[features] = solve_triangular(R, kept[features].T, trans=1, check_finite=False).T
            of_kept = encoder[:n_kept, features]
            of_kept[...] = solve_triangular(R, of_kept, trans=1, check_finite=False)
    random = np.random.RandomState(0).standard_normal((len(decoder), decoder.shape[1] - n_kept))
    for _ in range(2):
        random -= kept @ (kept.T @ random)
    decoder[:, n_kept:] = np.linalg.qr(random)[0]
    orientation = signs(decoder)
    encoder *= orientation[:, np.newaxis]
    decoder *= orientation
