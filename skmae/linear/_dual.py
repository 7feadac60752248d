"""Theorem 1 for fewer samples than features: everything is n × n or a patch, nothing d × d is formed.

With V = α S + D, where D is block diagonal over patches, and X the centred data, let

    H = X Xᵀ / n,    K = X D⁺ Xᵀ / n = Σ_patches X_j D_j⁺ X_jᵀ / n        (both n × n).

Then M = S V⁺ S = Xᵀ K (α K + I)⁻¹ X / n. It shares its eigenvalues with Y Yᵀ, Y = (K (α K + I)⁻¹)^{1/2} X / √n, and
the encoder is Eᵀ S V⁺ = Eᵀ Xᵀ (α K + I)⁻¹ X D⁺ / n. Where D = σ² I, K is H / σ², and nothing need be divided by σ².
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg import cholesky, qr, solve_triangular
from scipy.linalg.blas import dgemm, dsyrk, sgemv, ssyrk

from skmae._linalg import carries_signal, mirror_lower, symmetric_eigen, unit_of, variance_of_rounding
from skmae._samples import refuse_not_finite
from skmae._typing import Array, FloatArray, IntArray
from skmae.linear._corruptions import Corruption
from skmae.linear._krylov import uses_krylov
from skmae.linear._primal import (
    Factor,
    Minimiser,
    NarrowFactor,
    Rank,
    checked_total,
    factorise,
    no_signal,
    rank_of,
    signs,
)
from skmae.linear._refined import Shrinkage, is_projector
from skmae.moments import Moments

_FEATURES_AT_A_TIME = 1024
_JOINED = 256  # features of small groups: their matrices are as fast together, and products with them no slower
_REFINED, _STEPS = 1e-7, 4  # relative error of D_j⁻¹ B from a factor in float32, and steps of refinement at most
_EXACT_ROWS = 256  # squares of so many 8-bit numbers sum exactly in float32
_LEAST_RUN = 4  # neighbouring features, on average, that are read together
_PROJECTOR = 1e-6  # how far eigenvalues of K vary, squared, that may be those of a projector

Found = tuple[FloatArray, FloatArray, FloatArray]  # λ (k,), encoder (k, d), and decoder (d, k), nearly orthonormal


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
    found = _refined(rows, blocks, H, corruption.across, n_components) if blocks.has_factors else None
    if found is None:
        found = _direct(rows, blocks, H, corruption, n_components)
    values, encoder, decoder = found
    encoder, decoder = _orthonormal(encoder, decoder, int(np.count_nonzero(values)))
    if multiple is not None:
        encoder = decoder.T * (values > 0)[:, np.newaxis] / multiple
    orientation = signs(decoder)
    encoder *= orientation[:, np.newaxis]
    decoder *= orientation
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
        self.is_exact = X.dtype.itemsize == 1 and weights is None  # products sum without rounding
        self.mean, self.variance = self._mean_and_variance()

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is refused
    def _mean_and_variance(self) -> tuple[FloatArray, FloatArray]:
        """Of each feature, (d,); the variance of a constant one is exactly zero."""
        d = self.X.shape[1]
        mean, variance = np.empty(d), np.empty(d)
        for features in _runs(d):
            if self.is_exact:
                mean[features], variance[features] = _whole_mean_and_variance(self.X[:, features])
                continue
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

    def second(self, features: IntArray, columns: FloatArray) -> FloatArray:
        """S_jj, (p, p), where `columns` is X_jᵀ: of 8-bit samples without rounding."""
        return Moments.from_data(self._read(features)).second if self.is_exact else _second(columns)

    def centred(self, features: IntArray, dtype: DTypeLike = np.float64) -> FloatArray:
        """X_jᵀ, (p, n), in Fortran order."""
        centred = self._read(features).astype(dtype, order="C")
        centred -= self.mean[features].astype(dtype)
        if self.root is not None:
            centred *= self.root[:, np.newaxis]
        return centred.T

    def _read(self, features: IntArray) -> Array:
        """(n, p), ascending features: by runs of neighbours, which is many times as fast as one by one."""
        starts = np.flatnonzero(np.diff(features, prepend=-2) != 1)
        if len(starts) * _LEAST_RUN > len(features):
            return self.X[:, features]
        stops = [*starts[1:], len(features)]
        runs = [slice(features[a], features[b - 1] + 1) for a, b in zip(starts, stops, strict=True)]
        return np.concatenate([self.X[:, run] for run in runs], axis=1)


def _whole_mean_and_variance(block: Array) -> tuple[FloatArray, FloatArray]:
    """Of 8-bit samples (n, p), without rounding before the last step."""
    n, p = block.shape
    first, second = np.zeros(p), np.zeros(p)
    ones = np.ones(_EXACT_ROWS, np.float32)
    for start in range(0, n, _EXACT_ROWS):
        some = block[start : start + _EXACT_ROWS].astype(np.float32)
        first += sgemv(1.0, some.T, ones[: len(some)])
        second += np.einsum("np,np->p", some, some)
    return first / n, (n * second - first**2) / n**2


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
        self.features = list(_joined([features[active[features]] for features in groups], len(rows.X)))

    def is_one_group(self, number: int) -> bool:
        """Whether D couples all features of this block."""
        labels = self._labels[self.features[number]]
        return bool(self._is_coupled and labels[0] == labels[-1])

    def weights(self, number: int) -> tuple[float, float]:
        """within and noise of a block of one group."""
        return float(self._corruption.within_of(self._labels[self.features[number][0]])), self._corruption.noise

    def multiply(self, number: int, columns: FloatArray, B: FloatArray) -> FloatArray:
        """D_j B of a block of one group, from `columns` as in `factor`."""
        within, noise = self.weights(number)
        image = dgemm(1.0, columns, B, trans_a=1)
        product: FloatArray = dgemm(within / columns.shape[1], columns, image, beta=noise, c=B)
        return product

    def factor(self, number: int, columns: FloatArray) -> Factor:
        """D_j⁻¹, from `columns`, X_jᵀ of block j (p, n): of what they span, in coordinates there if they are many.

        8-bit ones may be in float32: they are not what S_jj is made of.
        """
        features, noise = self.features[number], self._corruption.noise
        labels = self._labels[features]
        within = self._corruption.within_of(labels)
        variance = self._rows.variance[features]
        if not self._is_coupled:
            root = 1 / np.sqrt(within * variance + noise)[:, np.newaxis]
            return Factor(
                whiten=lambda B: root * B,
                unwhiten=lambda B: root * B,
                solver="cholesky",
                rcond=1.0,
                narrow=lambda: NarrowFactor(root[:, 0]),
            )
        p, n = columns.shape
        Q = _basis(columns, variance) if p > n else None
        D = self._rows.second(features, columns) if Q is None else _second(dgemm(1.0, Q, columns, trans_a=1))
        if self.is_one_group(number):
            D *= within[0]
        else:
            D *= np.where(labels == labels[:, np.newaxis], within, 0)
        D[np.diag_indices_from(D)] += noise
        factor = factorise(D, "auto")
        return factor if Q is None else factor.on(Q)


def _second(columns: FloatArray) -> FloatArray:
    """Second moment (p, p) of columns (p, n)."""
    S: FloatArray = dsyrk(1 / columns.shape[1], columns, lower=1)
    mirror_lower(S)
    return S


def _basis(columns: FloatArray, variance: FloatArray) -> FloatArray:
    """Orthonormal basis (p, r) of what the columns (p, n) span; which unit a feature is measured in does not count."""
    scaled = np.asfortranarray(columns / np.sqrt(variance)[:, np.newaxis])
    values, U = symmetric_eigen(dsyrk(1.0, scaled, trans=1, lower=1), overwrite=True)
    some = np.asfortranarray(U[:, carries_signal(values, len(columns))])
    basis: FloatArray = qr(dgemm(1.0, columns, some), mode="economic", overwrite_a=True, check_finite=False)[0]
    return basis


def _joined(groups: list[IntArray], n: int) -> Iterator[IntArray]:
    """Small groups put together, as many as pay for being handled one by one; no more features than samples, then."""
    joined: list[IntArray] = []
    size = 0
    for features in groups:
        if joined and size + len(features) > min(_JOINED, n):
            yield np.concatenate(joined)
            joined, size = [], 0
        if len(features):
            joined.append(features)
            size += len(features)
    if joined:
        yield np.concatenate(joined)


def _runs(d: int) -> Iterator[slice]:
    for start in range(0, d, _FEATURES_AT_A_TIME):
        yield slice(start, min(start + _FEATURES_AT_A_TIME, d))


# -- few of many components, float32 first ------------------------------------------------------------------------


def _refined(rows: _Rows, blocks: _Blocks, H: FloatArray, across: float, n_components: Rank) -> Found | None:
    """From a K of float32's digits and exact products with it; None where `_direct` would give more digits."""
    n, d = rows.X.shape
    if not isinstance(n_components, Integral):
        return None
    k = int(n_components)
    if not uses_krylov(n, k) or unit_of(float(H.trace())) != 1:
        return None
    K, factors = _narrow_gram(rows, blocks)
    model = None if K is None or is_projector(K, _PROJECTOR) else Shrinkage.of(H, K, across)
    first = None if model is None else model.eigenpairs(k)
    if model is None or first is None:
        return None
    products = _Products(rows, blocks, factors, first.C)
    if not products.are_refined:
        return None
    model = model.learn(first, products.KC)
    pairs = model.eigenpairs(k)
    if pairs is None or not carries_signal(pairs.values, max(n, d)).all():
        return None
    A = pairs.P / pairs.values
    decoder = products.turn(first.Z.T @ pairs.Z, pairs.C, A)
    if not model.is_solved_by(pairs, products.KC):
        return None
    # λ = 2 e S wᵀ − w V wᵀ of the map that was found: what errors there are count by their squares
    KC = products.KC
    values = 2 * np.einsum("nk,nk->k", dgemm(1.0, H, A), KC) - across * np.einsum("nk,nk->k", KC, KC)
    values -= products.within / n
    products.encoder /= np.sqrt(n)
    decoder /= np.sqrt(n)
    return np.sort(values)[::-1], products.encoder, decoder


def _narrow_gram(rows: _Rows, blocks: _Blocks) -> tuple[FloatArray | None, list[NarrowFactor | None]]:
    """K, (n, n), by products in float32, None where they overflow or a D_j is singular; and factors that are kept."""
    n = len(rows.X)
    K = np.zeros((n, n), np.float32, order="F")
    kept: list[NarrowFactor | None] = []
    for number, features in enumerate(blocks.features):
        columns = rows.centred(features, np.float32 if rows.is_exact else np.float64)
        factor = blocks.factor(number, columns)
        if factor.narrow is None:
            return None, []
        narrow = factor.narrow()
        kept.append(narrow if blocks.is_one_group(number) else None)
        K = ssyrk(1 / n, narrow.whiten(columns), trans=1, beta=1.0, c=K, lower=1, overwrite_c=1)
    if not np.isfinite(K.trace()):
        return None, []
    wide = K.astype(np.float64)
    mirror_lower(wide)
    return wide, kept


class _Products:
    """W1ᵀ = D⁻¹ Xᵀ C from factors in float32, in float64, and what follows from it.

    Attributes
    ----------
    encoder : ndarray of shape (k, d)
        W1.
    KC : ndarray of shape (n, k)
        X W1ᵀ / n.
    within : ndarray of shape (k,)
        w D wᵀ of each row w of W1.
    are_refined : bool
        Whether refinement of W1 came to an end.
    """

    def __init__(self, rows: _Rows, blocks: _Blocks, factors: list[NarrowFactor | None], C: FloatArray):
        self._rows, self._blocks, self._factors, self._C = rows, blocks, factors, C
        (n, d), k = rows.X.shape, C.shape[1]
        self.encoder = np.zeros((k, d))
        self.are_refined = True
        self._start(n, k)
        for number, features in enumerate(blocks.features):
            columns = rows.centred(features)
            XjTC = dgemm(1.0, columns, C)
            self._add(number, columns, XjTC, self._solve(number, columns, XjTC))

    def turn(self, share: FloatArray, C: FloatArray, A: FloatArray) -> FloatArray:
        """Let `C` be what it is, which is little but C · share so far; and Xᵀ A, (d, k)."""
        (n, k), d = C.shape, self.encoder.shape[1]
        whole, change = (np.asfortranarray(np.hstack([B, A])) for B in (C, C - self._C @ share))  # (n, 2k)
        decoder = np.zeros((d, k))
        self._start(n, k)
        for number, features in enumerate(self._blocks.features):
            columns = self._rows.centred(features)
            factor = self._factor(number, columns)
            is_kept = isinstance(factor, NarrowFactor)
            projected = dgemm(1.0, columns, change if is_kept else whole)
            decoder[features], B = projected[:, k:], np.asfortranarray(projected[:, :k])
            weights = factor.apply_any(B.copy(order="F"))
            if is_kept:
                weights += self.encoder[:, features].T @ share
            self._add(number, columns, B, weights)
        return decoder

    def _start(self, n: int, k: int) -> None:
        self.KC, self.within = np.zeros((n, k), order="F"), np.zeros(k)

    def _add(self, number: int, columns: FloatArray, B: FloatArray, weights: FloatArray) -> None:
        """Take in the weights of a block, D_j⁻¹ B."""
        n = len(self.KC)
        self.encoder[:, self._blocks.features[number]] = weights.T
        image = dgemm(1.0, columns, weights, trans_a=1)  # (n, k)
        self.KC += image / n
        if self._factors[number] is None:
            self.within += np.einsum("pk,pk->k", weights, B)
        else:
            share, noise = self._blocks.weights(number)
            self.within += share / n * np.einsum("nk,nk->k", image, image)
            self.within += noise * np.einsum("pk,pk->k", weights, weights)

    def _factor(self, number: int, columns: FloatArray) -> NarrowFactor | Factor:
        return self._factors[number] or self._blocks.factor(number, columns)

    def _solve(self, number: int, columns: FloatArray, B: FloatArray) -> FloatArray:
        """D_j⁻¹ B."""
        factor = self._factor(number, columns)
        weights = factor.apply_any(B.copy(order="F"))
        if isinstance(factor, Factor):
            return weights
        size, first = np.abs(np.einsum("pk,pk->k", weights, B)), 0.0
        for _ in range(_STEPS):
            rest = B - self._blocks.multiply(number, columns, weights)
            change = factor.apply_any(rest)
            weights += change
            squares = np.abs(np.einsum("pk,pk->k", change, rest))  # in the norm of D_j
            error = float(np.sqrt(np.divide(squares, size, out=np.zeros_like(size), where=size > 0).max()))
            first = first or error
            if error * first < _REFINED:  # what is left of it
                return weights
        self.are_refined = False
        return weights


# -- any number of components, float64 ----------------------------------------------------------------------------


def _direct(rows: _Rows, blocks: _Blocks, H: FloatArray, corruption: Corruption, n_components: Rank) -> Found:
    """From all eigenpairs of K and H."""
    d = rows.X.shape[1]
    multiple = corruption.multiple(d)
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
    return values, encoder, decoder


# -- the Gram matrices --------------------------------------------------------------------------------------------


def _samples_gram(rows: _Rows, blocks: list[IntArray]) -> FloatArray:
    """H, (n, n)."""
    n, d = rows.X.shape
    if rows.is_exact and blocks:
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


def _orthonormal(encoder: FloatArray, decoder: FloatArray, n_kept: int) -> tuple[FloatArray, FloatArray]:
    """The same with orthonormal columns in the decoder: rounding mixes them where λ spans many orders.

    Those beyond `n_kept`, without signal, become anything.
    """
    kept = decoder[:, :n_kept]
    if n_kept:
        R = cholesky(kept.T @ kept, check_finite=False)
        decoder[:, :n_kept] = solve_triangular(R, kept.T, trans=1, check_finite=False).T
        encoder[:n_kept] = solve_triangular(R, encoder[:n_kept], trans=1, check_finite=False)
    random = np.random.RandomState(0).standard_normal((len(decoder), decoder.shape[1] - n_kept))
    for _ in range(2):
        random -= decoder[:, :n_kept] @ (decoder[:, :n_kept].T @ random)
    decoder[:, n_kept:] = np.linalg.qr(random)[0]
    return encoder, decoder
