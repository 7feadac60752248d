"""Theorem 1 for many samples of many features: S is known by its products alone, each of which is a pass over X.

With V = α S + D, where D is block diagonal over patches, M = S V⁺ S has the eigenvalues λ of S² u = λ V u. LOBPCG finds
the largest (A. Knyazev, SIAM J. Sci. Comput. 23, 2001): of the space spanned by U, the residual D⁺ (S² U − V U Λ) and
the last step the best part becomes U, again and again. S and V times all three are kept, so that the best is found
without X, and a step takes two passes: S (S U), and S times the residual. With uᵀ V u = 1, E = S u / √λ and W1 = √λ uᵀ,
whose loss is tr S − Σ λ whether or not U has converged.

Where D is zero or σ² I, E holds eigenvectors of S; S U − U Λ takes no pass then, and a step takes one.

`scipy.sparse.linalg.lobpcg` takes as many passes a step only if its operators for S² and V remember S times the
residual between their calls. It goes on until the residual of each vector is small, which takes more steps than a small
loss; it does not hand out S U, which is one more pass; and of few features it asks for products with the identity.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dgemm, sgemm
from sklearn.exceptions import ConvergenceWarning

from skmae._files import with_progress
from skmae._gram import GramSum, products
from skmae._linalg import EPS, mirror_lower, symmetric_eigen, unit_of, variance_of_rounding
from skmae._samples import BLOCK_ROWS, Samples, Weights
from skmae._typing import Array, BoolArray, DType, FloatArray, IntArray
from skmae.linear._corruptions import Corruption, joined
from skmae.linear._dual import orthonormalise
from skmae.linear._primal import Factor, Minimiser, checked_total, factorise, no_signal

#: Numbers of X in a block.
NUMBERS_AT_A_TIME = 2**26

#: What the loss is estimated to be above the least, relative to it, when a solution is taken.
TOLERANCE = 1e-4

_OVERSAMPLING = 10
_SOME = 64  # rows
_MAX_STEPS = 30
_FLOAT32_VARIANCES = (1e-20, 1e20)  # beyond them, products may leave the range of float32
_RCOND_FOR_FLOAT32 = 1e-9  # of D; half of its digits are lost to S U
_ROUNDING = {4: 1e-6, 8: 1e-13}  # of the products, relative to the variance, by the bytes of a number
_DEPENDENT = {4: 1e-6, 8: 1e-11}  # eigenvalues of a Gram matrix of unit diagonal that are no more than rounding
_NO_SIGNAL = {4: 1e-9, 8: EPS}  # λ that are no more than rounding, relative to the first


def solve_randomized(
    samples: Samples,
    corruption: Corruption,
    k: int,
    weights: Weights = None,
    random_state: np.random.RandomState | None = None,
    *,
    verbose: bool = False,
) -> tuple[Minimiser, FloatArray, float]:
    """Minimise E‖x − W2 W1 x̃‖² at rank k, without forming S or holding X.

    Parameters
    ----------
    samples : Samples
        Complete ones, n of d features; they are read in blocks.
    corruption : Corruption
        Not a dense one; its D is zero, or regular wherever S is not zero.
    k : int
    weights : ndarray of shape (n,) or None
    random_state : RandomState or None
        Draws the columns to begin with. None: always the same.
    verbose : bool
        Whether each pass shows its progress.

    Returns
    -------
    minimiser : Minimiser
    mean : ndarray of shape (d,)
    total : float
        tr S.

    Warns
    -----
    ConvergenceWarning
        If the loss is estimated to be more than `TOLERANCE` above the least when there have been too many steps.
    """
    d = samples.n_features
    rows = _Rows(samples, weights, verbose=verbose)
    is_plain = not corruption.has_within or corruption.multiple(d) is not None
    bundles = [] if is_plain else list(joined(corruption.members(d)))
    random = (random_state or np.random.RandomState(0)).standard_normal((d, min(k + _OVERSAMPLING, d)))
    start, moments = rows.gather(random, bundles)
    del random
    if not rows.total:
        return replace(no_signal(d, k), solver="randomized"), rows.mean, rows.total
    corruption = corruption.in_units(rows.unit)
    pencil = _Plain(rows) if is_plain else _Corrupted(rows, corruption, bundles, moments)
    values, U = _leading(pencil, start, k)
    minimiser = _of_principal(values, U, corruption) if is_plain else _of_pencil(values, U)
    minimiser = _in_order(minimiser, k, rows)
    return minimiser, rows.mean, rows.total


class _Rows:
    """Samples less their mean, as what multiplies by S = Σ w x xᵀ / (unit · Σ w).

    Attributes
    ----------
    mean, variance : ndarray of shape (d,)
        The variance of a constant feature is exactly zero.
    total : float
        tr S, not in units.
    dtype : dtype
        In which X is multiplied.
    """

    def __init__(self, samples: Samples, weights: Weights, *, verbose: bool):
        self._samples, self._weights, self._verbose = samples, weights, verbose
        self._n = len(samples) if weights is None else float(weights.sum())

    def gather(self, B: FloatArray, bundles: list[IntArray]) -> tuple[FloatArray, list[FloatArray]]:
        """S B (d, b), and the part of S within each bundle of features, in the pass that finds the mean."""
        samples, d = self._samples, self._samples.n_features
        exact = self._weights is None and samples.dtype.itemsize == 1  # whole numbers, of which float32 rounds no sums
        dtype: DType = np.dtype(np.float32 if exact else np.float64)
        first, squares, SB = np.zeros(d), np.zeros(d), np.zeros(B.shape, order="F")
        scatters = [np.zeros((len(bundle), len(bundle)), order="F") for bundle in bundles]
        sums = [GramSum(scatter, exact=exact) for scatter in scatters]
        columns = np.asfortranarray(B, dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
            shift = samples.choose_shift(dtype) if exact else self._mean_of_some()
            for block, w in self._blocks(shift, dtype):
                first += block.sum(axis=0, dtype=np.float64) if w is None else w @ block
                if w is not None:
                    block = block * np.sqrt(w)[:, np.newaxis]
                squares += np.einsum("nd,nd->d", block, block)
                SB += products(block, _times(block, columns))
                for bundle, total in zip(bundles, sums, strict=True):
                    total.add_any(block[:, bundle])
            for total in sums:
                total.flush()
            offset = first / self._n
            self._describe(shift + offset, squares / self._n, offset)
        self._centre(SB, offset, offset @ B)
        SB[~self.varies] = 0
        for bundle, scatter in zip(bundles, scatters, strict=True):
            self._centre(scatter, offset[bundle], offset[bundle])
            mirror_lower(scatter)
        return SB, scatters

    def _centre(self, sums: FloatArray, left: FloatArray, right: FloatArray) -> None:
        """Of sums about a shift make moments about the mean, in units."""
        sums /= self._n
        sums -= np.outer(left, right)
        sums /= self.unit

    def _mean_of_some(self) -> FloatArray:
        """A centre near the samples: the mean of some that have a weight."""
        first = 0 if self._weights is None else int(np.argmax(self._weights > 0))
        some = slice(first, min(first + _SOME, len(self._samples)))
        values = self._samples.read(some)
        if self._weights is not None:
            values = values[self._weights[some] > 0]
        mean: FloatArray = values.mean(axis=0, dtype=np.float64)
        return mean

    def _describe(self, mean: FloatArray, square: FloatArray, offset: FloatArray) -> None:
        variance = square - offset**2
        self.variance = np.where(variance <= variance_of_rounding(square, mean), 0, variance)
        if not np.isfinite(self.variance.sum()):
            self._samples.check_bounded(self._weights, squares=True)
        self.mean = mean
        self.total = checked_total(float(self.variance.sum()))
        self.varies: BoolArray = self.variance > 0
        self.unit = unit_of(self.total)
        fits = _FLOAT32_VARIANCES[0] < self.variance.max() < _FLOAT32_VARIANCES[1]
        self.dtype = self._samples.output_dtype if fits else np.dtype(np.float64)
        if self.dtype != np.float32:
            self.dtype = np.dtype(np.float64)  # BLAS knows none that is wider

    def times(self, B: FloatArray) -> FloatArray:
        """S B, (d, b): a pass."""
        columns = np.asfortranarray(B, self.dtype)
        centre = self.mean.astype(self.dtype).astype(np.float64)
        rest = ((self.mean - centre) @ B).astype(self.dtype)  # what is not subtracted from X
        SB = np.zeros(B.shape, order="F")
        for block, w in self._blocks(centre, self.dtype):
            projected = _times(block, columns) - rest  # (m, b)
            projected *= 1 / (self._n * self.unit)
            if w is not None:
                projected *= w.astype(self.dtype)[:, np.newaxis]
            SB += products(block, projected)
        SB[~self.varies] = 0
        return SB

    def _blocks(self, centre: FloatArray, dtype: DType) -> Iterator[tuple[Array, Weights]]:
        """Rows that have a weight, less `centre`, and their weights."""
        size = min(max(NUMBERS_AT_A_TIME // self._samples.n_features, 1), BLOCK_ROWS)  # float32 sums no more exactly
        blocks = self._samples.centred_blocks(centre, dtype, size)
        for rows, block in with_progress(blocks, total=len(self._samples), verbose=self._verbose):
            w = None if self._weights is None else self._weights[rows]
            if w is None or w.all():
                yield block, w
            elif w.any():
                yield block[w > 0], w[w > 0]


def _times(block: Array, columns: Array) -> Array:
    """block columns, (m, b), in the layout in which `products` takes it."""
    gemm = sgemm if block.dtype == np.float32 else dgemm
    product: Array = gemm(1.0, columns, block.T, trans_a=True).T
    return product


class _Block(NamedTuple):
    """Some u as columns, and S and V times these, (d, b) each."""

    U: FloatArray
    SU: FloatArray
    VU: FloatArray

    @classmethod
    def combined(cls, blocks: list[Self], weights: list[FloatArray]) -> Self:
        """Σ block · weights, of each of the three."""
        return cls(*(_sum_of_products(arrays, weights) for arrays in zip(*blocks, strict=True)))


def _sum_of_products(arrays: tuple[FloatArray, ...], weights: list[FloatArray]) -> FloatArray:
    total = np.zeros((len(arrays[0]), weights[0].shape[1]), order="F")
    for array, each in zip(arrays, weights, strict=True):
        total = dgemm(1.0, array, each, beta=1.0, c=total, overwrite_c=1)
    return total


class _Plain:
    """S u = s u, for what V leaves the eigenvectors of S: V stands for the identity here."""

    def __init__(self, rows: _Rows):
        self.rows = rows

    def left(self, block: _Block) -> FloatArray:
        """What A U is multiplied by from the left, its transpose: A is S."""
        return block.U

    def residual(self, block: _Block, values: FloatArray) -> FloatArray:
        return block.SU - block.VU * values

    def direction(self, residual: FloatArray) -> FloatArray:
        """Where U may be improved; `residual` is changed where rounding has left more than there is."""
        return residual

    def block(self, U: FloatArray, residual: FloatArray) -> _Block:  # noqa: ARG002
        return _Block(U, self.rows.times(U), U)

    def renewed(self, block: _Block) -> _Block:
        """The same with S U multiplied anew."""
        return self.block(block.U, block.VU)


class _Corrupted(_Plain):
    """S² u = λ V u, where D is known by its factors over bundles of groups of features.

    S² is A of the pencil; U = D⁺ R of a residual R in the range of D, so that D U is R.
    """

    def __init__(self, rows: _Rows, corruption: Corruption, bundles: list[IntArray], moments: list[FloatArray]):
        super().__init__(rows)
        self._across = corruption.across
        labels = corruption.labels(len(rows.mean))
        self._factors: list[tuple[IntArray, Factor]] = []
        for bundle in bundles:
            S = moments.pop(0)  # given up one by one, as factors take their place
            varies = rows.varies[bundle]
            if varies.any():
                features = bundle[varies]
                group = labels[features]
                D = np.asfortranarray(S if varies.all() else S[np.ix_(varies, varies)])
                D *= np.where(group == group[:, np.newaxis], corruption.within_of(group), 0)
                D[np.diag_indices_from(D)] += corruption.noise
                self._factors.append((features, factorise(D, "auto")))
        if min(factor.rcond for _, factor in self._factors) < _RCOND_FOR_FLOAT32:
            rows.dtype = np.dtype(np.float64)

    def left(self, block: _Block) -> FloatArray:
        return block.SU

    def residual(self, block: _Block, values: FloatArray) -> FloatArray:
        R = self.rows.times(block.SU)
        R -= block.VU * values
        return R

    def direction(self, residual: FloatArray) -> FloatArray:
        U = np.zeros_like(residual)
        for features, factor in self._factors:
            R = np.asfortranarray(residual[features])
            if factor.span is not None:  # what rounding left outside the range of D would not be D U
                residual[features] = R = factor.span @ (factor.span.T @ R)
            U[features] = factor.apply_inverse(np.asfortranarray(R))
        return U

    def block(self, U: FloatArray, residual: FloatArray) -> _Block:
        SU = self.rows.times(U)
        return _Block(U, SU, self._across * SU + residual)

    def renewed(self, block: _Block) -> _Block:
        return self.block(block.U, block.VU - self._across * block.SU)


def _leading(pencil: _Plain, start: FloatArray, k: int) -> tuple[FloatArray, _Block]:
    """The k largest values, descending, and their vectors, of unit length in V; fewer where S has a smaller rank."""
    rows = pencil.rows
    found = _best_of(pencil, [pencil.block(pencil.direction(start), start)], start.shape[1])
    found, excess = _improved(pencil, found, k)
    if rows.dtype == np.float32:  # is it what it seems to be in float32?
        rows.dtype = np.dtype(np.float64)
        seemed, found = found, _best_of(pencil, [pencil.renewed(found.block)], start.shape[1])
        loss = max(rows.total / rows.unit - found.values[:k].sum(), 0.0)
        if abs(found.values[:k].sum() - seemed.values[:k].sum()) > TOLERANCE * loss + _ROUNDING[4] * rows.total:
            found, excess = _improved(pencil, found, k)
    if excess is not None:
        _warn(excess)
    return found.values[:k], _Block(*(array[:, :k] for array in found.block))


def _improved(pencil: _Plain, found: "_Ritz", k: int) -> tuple["_Ritz", float | None]:
    """Steps from what was found until the loss is within the tolerance; if it is not, its estimated excess."""
    total, b = pencil.rows.total / pencil.rows.unit, found.block.U.shape[1]
    rounding = _ROUNDING[pencil.rows.dtype.itemsize] * total
    gains = [np.inf, np.inf]
    for _ in range(_MAX_STEPS):
        residual = pencil.residual(found.block, found.values)
        direction = pencil.direction(residual)
        remaining = max(_by_residual(residual, direction, found.values, k), _by_gains(*gains))
        loss = max(total - found.values[:k].sum(), 0.0)
        if remaining <= TOLERANCE * loss + rounding:
            return found, None
        explained = found.values[:k].sum()
        steps = [] if found.step is None else [found.step]
        found = _best_of(pencil, [found.block, pencil.block(direction, residual), *steps], b)
        gains = [gains[1], max(found.values[:k].sum() - explained, rounding / 2)]
    return found, remaining / (loss or 1.0)


class _Ritz(NamedTuple):
    """Values, descending, their vectors, and what of these is outside the vectors before."""

    values: FloatArray
    block: _Block
    step: _Block | None


def _by_residual(residual: FloatArray, direction: FloatArray, values: FloatArray, k: int) -> float:
    """An estimate of what Σ λ lacks: Σ rᵀ D⁺ r / λ, where D⁺ is no less than V⁺."""
    lacking = np.einsum("dk,dk->k", residual[:, :k], direction[:, :k])
    return float(np.sum(lacking / np.maximum(values[:k], np.finfo(float).tiny)))


def _by_gains(before: float, last: float) -> float:
    """Another one, which tells where steps have become slow: gains go on to shrink as they did."""
    if last == np.inf:  # there were none
        return 0.0
    return last * last / (before - last) if last < before < np.inf else last


def _best_of(pencil: _Plain, basis: list[_Block], b: int) -> _Ritz:
    """Rayleigh-Ritz: the b largest values within the span of the basis."""
    A = np.block([[dgemm(1.0, pencil.left(x), y.SU, trans_a=1) for y in basis] for x in basis])
    V = np.block([[dgemm(1.0, x.U, y.VU, trans_a=1) for y in basis] for x in basis])
    dependent = _DEPENDENT[pencil.rows.dtype.itemsize]
    values, Q = _leading_in_span((A + A.T) / 2, (V + V.T) / 2, b, dependent)
    parts = [np.asfortranarray(part) for part in np.split(Q, np.cumsum([x.U.shape[1] for x in basis])[:-1])]
    best = _Block.combined(basis[:1], parts[:1])
    if len(basis) == 1:
        return _Ritz(values, best, None)
    step = _Block.combined(basis[1:], parts[1:])
    for array, more in zip(best, step, strict=True):
        array += more
    return _Ritz(values, best, step)


def _leading_in_span(A: FloatArray, V: FloatArray, b: int, dependent: float) -> tuple[FloatArray, FloatArray]:
    """The b largest values of A q = λ V q, and q as columns with qᵀ V q = 1, less what V does not tell from nothing."""
    diagonal = np.maximum(V.diagonal(), 0)
    scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1)), 0)
    lengths, Z = eigh(V * np.outer(scale, scale))
    kept = lengths > dependent * lengths[-1]
    R = scale[:, np.newaxis] * Z[:, kept] / np.sqrt(lengths[kept])
    values, Y = symmetric_eigen(R.T @ A @ R, min(b, R.shape[1]))
    return np.maximum(values, 0), R @ Y


def _warn(excess: float) -> None:
    warnings.warn(
        f'solver="randomized" stopped after {_MAX_STEPS} steps with a loss that is estimated to be within {excess:.1e} '
        f"of the least, relative to it, and not within {TOLERANCE:.0e}. expected_loss_ and eigenvalues_ are exact for "
        f"the map that was found. To come closer, ask for fewer components or a larger mask; or use a solver that "
        f'forms matrices, "cholesky" or "dual", where there is memory for it.',
        ConvergenceWarning,
        stacklevel=2,
    )


def _of_principal(values: FloatArray, block: _Block, corruption: Corruption) -> Minimiser:
    """From eigenvectors of S: each component is shrunk by itself."""
    multiple = corruption.multiple(len(block.U))
    visible = multiple * values if multiple is not None else corruption.across * values + corruption.noise
    shrunk = np.divide(values, visible, out=np.zeros_like(values), where=values > 0)
    return Minimiser(shrunk[:, np.newaxis] * block.U.T, block.U, shrunk * values, "randomized", np.nan)


def _of_pencil(values: FloatArray, block: _Block) -> Minimiser:
    root = np.sqrt(np.where(values > 0, values, np.inf))
    encoder = np.where(values > 0, root, 0)[:, np.newaxis] * block.U.T
    return Minimiser(encoder, block.SU / root, values, "randomized", np.nan)


def _in_order(minimiser: Minimiser, k: int, rows: _Rows) -> Minimiser:
    """The same of rank k, with an orthonormal decoder, signs as they are chosen, and λ not in units."""
    values = minimiser.eigenvalues
    kept = int(np.count_nonzero(values > _NO_SIGNAL[rows.dtype.itemsize] * values[0]))
    d = len(rows.mean)
    encoder, decoder, eigenvalues = np.zeros((k, d)), np.zeros((d, k)), np.zeros(k)
    encoder[:kept], decoder[:, :kept] = minimiser.encoder[:kept], minimiser.decoder[:, :kept]
    eigenvalues[:kept] = values[:kept] * rows.unit
    orthonormalise(encoder, decoder, kept)
    return replace(minimiser, encoder=encoder, decoder=decoder, eigenvalues=eigenvalues)
