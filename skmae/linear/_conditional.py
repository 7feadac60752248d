"""The best linear answer for one mask: what is hidden of a sample, given what is visible of it, and how sure that is.

With O the visible features of a sample, H the hidden ones, y = x − μ, and A = S + λ I the second moment made regular,

    ŷ_H = K y_O,    K = S_HO A_OO⁻¹ = −P_HH⁻¹ P_HO,    where P = A⁻¹.

The first form takes a factor of O × O, the second one of H × H, and P once. In the samples that S is known from, the
error of feature h has the second moment S_hh − (K S_OH)_hh − λ ‖K_h‖². In others it is 1 / (1 − f / (n − 1))² times as
large, where f = tr S_OO A_OO⁻¹ are the degrees of freedom that the answer uses: generalised cross-validation (Golub,
Heath and Wahba, 1979), which chooses λ as well, with 1.4 f in place of f (Kim and Gu, 2004): samples that resemble one
another, as crops of one photograph do, would have it follow each of them. Where pairs of features are known from fewer
than all samples, entries of S have errors of their own, of variance ν S_ii S_jj or so, ν = 1 / N − 1 / n. If these were
independent, they would add ν (S_hh + Σ_o K_ho² S_oo) tr S A_OO⁻¹ to the error. (n samples, N that know a pair, d
features.)
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg.blas import dgemm, dtrsm
from scipy.linalg.lapack import dpotrf, dpotrs

from skmae._gaps import by_mask
from skmae._grid import PatchGrid
from skmae._linalg import carries_signal, symmetric_eigen
from skmae._typing import Array, BoolArray, FloatArray
from skmae.linear._problem import Summary, check_rank
from skmae.moments import Moments

_SHARES = np.logspace(-9, 1, 61)  # of the average variance: what λ is chosen from
_KEPT = 4  # answers to masks that may come again; one takes d × d at most
_NOTHING = 1e-6  # of the variance: what rounding leaves of an error of zero
_COPIES = 3  # of each sample, on average: where there seem to be more, few directions carry all there is
_CAUTION = 1.4  # times the degrees of freedom, when λ is chosen
_LEAST_REST = 1e-6  # of degrees of freedom: what rounding leaves of none


class _Answer(NamedTuple):
    """For one mask.

    Attributes
    ----------
    predict : callable
        From y_O (m, |O|) to ŷ_H (m, |H|).
    error : callable
        S_hh − (K S_OH)_hh and ‖K_h‖², (|H|,) both, and tr A_OO⁻¹.
    """

    predict: Callable[[FloatArray], FloatArray]
    error: Callable[[], tuple[FloatArray, FloatArray, float]]


class Conditional:
    """The conditional mean of hidden features, in place of them; and its standard deviation.

    Parameters
    ----------
    mean : ndarray of shape (d,)
    S : ndarray of shape (d, d)
        It is overwritten.
    n : Count
        Samples that it is known from.
    grid : PatchGrid
        λ is chosen for masks that hide half of its patches.
    noise : float, default=0.0
        ν: an entry of S has an error of variance ν S_ii S_jj beside that of n samples, as pairs are known from fewer.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    """

    @classmethod
    def of(cls, moments: Moments, grid: PatchGrid) -> Self:
        check_rank(None, moments.n_rows, moments.n_features)
        _, mean, S = Summary.of(moments)
        n = max(moments.n_rows, moments.n)  # a weight of 2 counts as two; weights may be small as well
        known = n * moments._count_of_pairs / moments.n
        return cls(mean, S, Count(min(moments.n_rows, known), known), grid, max(1 / known - 1 / n, 0.0))

    def __init__(self, mean: FloatArray, S: FloatArray, n: "Count", grid: PatchGrid, noise: float = 0.0):
        self.mean, self._noise = mean, noise
        self._variance = S.diagonal().copy()
        S = np.asfortranarray(S)
        self._ridge, self._n = _choose_ridge(S, n, _half_visible(grid), noise)
        S[np.diag_indices_from(S)] += self._ridge
        self._systems = _Systems(S, self._ridge)
        self._answer = lru_cache(_KEPT)(self._systems.answer)

    def __call__(self, block: Array, visible: BoolArray) -> Array:
        """Rows less the mean, zero where they are not visible, filled; (m, d) all three."""
        filled = block.copy()
        for seen, rows in by_mask(visible):
            if self._has_answer(seen):
                answer = self._answer(seen.tobytes())
                filled[np.ix_(rows, ~seen)] = answer.predict(block[np.ix_(rows, seen)].astype(np.float64))
        return filled

    def std(self, visible: BoolArray) -> FloatArray:
        """Standard deviation of what an entry is from what fills it, (m, d); zero where it is visible."""
        std = np.zeros(visible.shape)
        for seen, rows in by_mask(visible):
            std[np.ix_(rows, ~seen)] = self._std(seen)
        return std

    def _std(self, seen: BoolArray) -> FloatArray:
        if not self._has_answer(seen):
            return np.sqrt(self._variance[~seen])
        rest, squares, trace = self._answer(seen.tobytes()).error()
        error = np.clip(rest - self._ridge * squares, 0, None)
        n_visible = int(np.count_nonzero(seen))
        left = max(1 - (n_visible - self._ridge * trace) / self._n.free(n_visible), _LEAST_REST)
        average = self._variance.mean()
        excess = self._noise * (self._variance[~seen] + average * squares) * average * trace
        return np.asarray(np.sqrt(error / left**2 + excess))

    def _has_answer(self, seen: BoolArray) -> bool:
        """Whether something is known that says something of what is not."""
        return self._ridge > 0 and bool(seen.any() and not seen.all())


class Count(NamedTuple):
    """Samples: distinct ones, and as many as they count for."""

    n_rows: float
    n: float

    def free(self, n_visible: int) -> float:
        """n − 1, the degrees of freedom; where features are enough to tell all samples apart, repeats add none."""
        return max((self.n if n_visible < self.n_rows - 1 else self.n_rows) - 1, 1)


class _Systems:
    """A (d, d), and answers from it."""

    def __init__(self, regular: FloatArray, ridge: float):
        self.regular, self.ridge = regular, ridge

    def answer(self, mask: bytes) -> _Answer:
        seen = np.frombuffer(mask, bool)
        if np.count_nonzero(seen) > len(seen) / 2:
            return _from_precision(self.precision, seen, self.ridge)
        return _from_second(self.regular, seen, self.ridge)

    @cached_property
    def precision(self) -> FloatArray:
        """P, (d, d)."""
        L, _ = dpotrf(self.regular, lower=1)
        P, _ = dpotrs(L, np.eye(len(L), order="F"), lower=1, overwrite_b=1)
        return np.asfortranarray(P)


def _half_visible(grid: PatchGrid) -> BoolArray:
    """(d,) a mask that hides half of the patches, or of the features of a single one."""
    parts = grid.patch_of_feature if grid.n_patches > 1 else np.arange(grid.n_features)
    hidden = np.random.RandomState(0).permutation(parts.max() + 1)[: (parts.max() + 1) // 2]
    return ~np.isin(parts, hidden)


def _choose_ridge(S: FloatArray, n: Count, seen: BoolArray, noise: float) -> tuple[float, Count]:
    """λ of the least error in other samples under one mask, zero where nothing varies; and n without copies."""
    average = float(np.trace(S)) / len(S)
    values, U = symmetric_eigen(np.asfortranarray(S[np.ix_(seen, seen)]))
    if not values[0] > 0:
        return average * float(_SHARES[0]), n
    values = values[carries_signal(values, len(values))] / average
    cross = np.asfortranarray(S[np.ix_(seen, ~seen)]) / average
    squares = (dgemm(1.0, U[:, : len(values)], cross, trans_a=1) ** 2).sum(axis=1)
    ridges = _SHARES[:, np.newaxis]
    total = S.diagonal()[~seen].sum() / average
    # both shrink with λ where all samples are told apart: neither is taken as a difference of what is nearly the same
    beyond = total - (squares / values).sum()
    if beyond < _NOTHING * total and _COPIES * (len(values) + 1) >= n.n_rows:  # each told apart: the others are copies
        n = n._replace(n_rows=min(n.n_rows, len(values) + 1))
    free = n.free(len(U))
    errors = (ridges**2 / (values * (values + ridges) ** 2)) @ squares
    rest = (ridges / (values + ridges)).sum(axis=1)
    if len(values) < free:
        errors, rest = errors + max(beyond, 0.0), rest + free - len(values)
    inverse = (1 / (values + ridges)).sum(axis=1) + (len(U) - len(values)) / _SHARES
    excess = noise * (total + (1 / (values + ridges) ** 2) @ squares) * inverse
    left = 1 - _CAUTION * (1 - rest / free)
    risks = np.where(left > _LEAST_REST, errors / np.maximum(left, _LEAST_REST) ** 2 + excess, np.inf)
    best = np.argmin(risks) if np.isfinite(risks).any() else -1  # too few samples for any of them
    return average * float(_SHARES[best]), n


def _from_second(A: FloatArray, seen: BoolArray, ridge: float) -> _Answer:
    L, _ = dpotrf(A[np.ix_(seen, seen)].T, lower=1, overwrite_a=1)
    S_OH = np.asfortranarray(A[np.ix_(seen, ~seen)])

    def predict(y: FloatArray) -> FloatArray:
        weights, _ = dpotrs(L, np.asfortranarray(y.T), lower=1, overwrite_b=1)
        return np.asarray(dgemm(1.0, weights, S_OH, trans_a=1))

    def error() -> tuple[FloatArray, FloatArray, float]:
        K = dpotrs(L, S_OH, lower=1)[0]  # (|O|, |H|)
        inverse = dtrsm(1.0, L, np.eye(len(L), order="F"), lower=1, overwrite_b=1)
        rest = A.diagonal()[~seen] - ridge - np.einsum("oh,oh->h", K, S_OH)
        return rest, np.einsum("oh,oh->h", K, K), float(np.vdot(inverse, inverse))

    return _Answer(predict, error)


def _from_precision(P: FloatArray, seen: BoolArray, ridge: float) -> _Answer:
    L, _ = dpotrf(P[np.ix_(~seen, ~seen)].T, lower=1, overwrite_a=1)
    P_HO = np.asfortranarray(P[np.ix_(~seen, seen)])

    def predict(y: FloatArray) -> FloatArray:
        solved, _ = dpotrs(L, dgemm(-1.0, P_HO, y, trans_b=1), lower=1, overwrite_b=1)
        return np.ascontiguousarray(solved.T)

    def error() -> tuple[FloatArray, FloatArray, float]:
        K = dpotrs(L, P_HO, lower=1)[0]  # (|H|, |O|), its sign apart
        inverse = dtrsm(1.0, L, np.eye(len(L), order="F"), lower=1, overwrite_b=1)
        rest = np.einsum("ab,ab->b", inverse, inverse) - ridge
        return rest, np.einsum("ho,ho->h", K, K), float(P.diagonal()[seen].sum() - np.vdot(P_HO, K))

    return _Answer(predict, error)
