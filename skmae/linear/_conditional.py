"""The best linear answer for one mask: what is hidden of a sample, given what is visible of it, and how sure that is.

With O the visible features of a sample, H the hidden ones, y = x − μ, and A = S + λ I the second moment made regular,

    ŷ_H = K y_O,    K = S_HO A_OO⁻¹ = −P_HH⁻¹ P_HO,    where P = A⁻¹.

The first form takes a factor of O × O, the second one of H × H, and P once. In the samples that S is known from, the
error of feature h has the second moment S_hh − (K S_OH)_hh − λ ‖K_h‖². In others it is 1 / (1 − f / (n − 1))² times as
large, where f = tr S_OO A_OO⁻¹ are the degrees of freedom that the answer uses: generalised cross-validation (Golub,
Heath and Wahba, 1979), which chooses λ as well. (n samples, d features.)
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
    n : float
        Samples that it is known from.
    grid : PatchGrid
        λ is chosen for masks that hide half of its patches.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    """

    @classmethod
    def of(cls, moments: Moments, grid: PatchGrid) -> Self:
        check_rank(None, moments.n_rows, moments.n_features)
        n_rows, mean, S = Summary.of(moments)
        return cls(mean, S, max(n_rows, moments.n), grid)  # a weight of 2 counts as two; weights may be small as well

    def __init__(self, mean: FloatArray, S: FloatArray, n: float, grid: PatchGrid):
        self.mean, self._n = mean, n
        self._variance = S.diagonal().copy()
        S = np.asfortranarray(S)
        self._ridge = _choose_ridge(S, n, _half_visible(grid))
        S[np.diag_indices_from(S)] += self._ridge
        self._regular = S  # A
        self._answer = lru_cache(_KEPT)(self._find_answer)

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
        return np.sqrt(error) / _rest(np.count_nonzero(seen) - self._ridge * trace, self._n)

    def _has_answer(self, seen: BoolArray) -> bool:
        """Whether something is known that says something of what is not."""
        return self._ridge > 0 and bool(seen.any() and not seen.all())

    def _find_answer(self, mask: bytes) -> _Answer:
        seen = np.frombuffer(mask, bool)
        if np.count_nonzero(seen) > len(seen) / 2:
            return _from_precision(self._precision, seen, self._ridge)
        return _from_second(self._regular, seen, self._ridge)

    @cached_property
    def _precision(self) -> FloatArray:
        """P, (d, d)."""
        L, _ = dpotrf(self._regular, lower=1)
        P, _ = dpotrs(L, np.eye(len(L), order="F"), lower=1, overwrite_b=1)
        return np.asfortranarray(P)


def _half_visible(grid: PatchGrid) -> BoolArray:
    """(d,) a mask that hides half of the patches, or of the features of a single one."""
    parts = grid.patch_of_feature if grid.n_patches > 1 else np.arange(grid.n_features)
    hidden = np.random.RandomState(0).permutation(parts.max() + 1)[: (parts.max() + 1) // 2]
    return ~np.isin(parts, hidden)


def _choose_ridge(S: FloatArray, n: float, seen: BoolArray) -> float:
    """λ of the least error in other samples under one mask; zero where nothing varies."""
    average = float(np.trace(S)) / len(S)
    ridges = average * _SHARES
    values, U = symmetric_eigen(np.asfortranarray(S[np.ix_(seen, seen)]))
    if not values[0] > 0:
        return float(ridges[0])
    values = np.where(carries_signal(values, len(values)), values, 0)
    squares = (dgemm(1.0, U, np.asfortranarray(S[np.ix_(seen, ~seen)]), trans_a=1) ** 2).sum(axis=1)
    regular = values + ridges[:, np.newaxis]  # (61, |O|)
    explained = ((values + 2 * ridges[:, np.newaxis]) / regular**2) @ squares
    rest = _rest((values / regular).sum(axis=1), n)
    errors = np.clip(S.diagonal()[~seen].sum() - explained, 0, None) / rest**2
    return float(ridges[np.argmin(errors)])


def _rest(used: FloatArray | float, n: float) -> Array:
    """The share of degrees of freedom that is left: 1 − f / (n − 1)."""
    return np.maximum(1 - used / (n - 1), 1 / n)


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
