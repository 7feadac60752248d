"""Sums of products of rows, symmetric matrices of which one triangle is known, and their eigenvectors."""

from math import frexp

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.linalg.blas import dgemm, dsyrk, ssyrk
from scipy.linalg.lapack import dpotrf

from skmae._typing import Array, BoolArray, FloatArray

EPS = float(np.finfo(np.float64).eps)
EPS_FLOAT32 = float(np.finfo(np.float32).eps)

_EXACT_FLOAT32 = 2.0**24  # whole numbers up to here are exact in float32
_FLOAT32_ENERGY = (1e-20, 1e30)  # sums of squares beyond these leave float32's range
_LEAST_SIZE = 32  # sums of few terms may have had larger ones, which cancelled
_PANEL = 256  # columns of a triangle handled at a time
_ORTHOGONAL = 1e-12  # what products of different eigenvectors may be
_SQUARED = (1e-60, 1e60)  # numbers whose fourth powers are far from the ends of float64's range


class ProductSum:
    """Products of the rows of blocks, added to the lower triangle of a float64 matrix (d, d).

    Those of float64 blocks are added at once, half the flops of the full product. Those of float32 blocks are summed in
    float32 first, and passed on before they lose digits.

    Parameters
    ----------
    target : ndarray of float64 of shape (d, d)
        In Fortran order.
    exact : bool
        Whether blocks hold whole numbers whose sums float32 does not round, as long as they stay below 2²⁴.
    """

    def __init__(self, target: FloatArray, *, exact: bool):
        self._target = target
        self._exact = exact
        self._sums: NDArray[np.float32] | None = None
        self._energy = 0.0  # bounds every entry of _sums, by Cauchy and Schwarz

    def add(self, block: Array) -> bool:
        """Add blockᵀ block; False, and nothing added, if float32's range is too small for the products of `block`."""
        if block.dtype == np.float64:
            dsyrk(1.0, block.T, beta=1.0, c=self._target, overwrite_c=1, lower=1)
            return True
        energy = float(np.einsum("ij,ij->j", block, block).max(initial=0.0))
        if not self._exact and not _FLOAT32_ENERGY[0] < energy < _FLOAT32_ENERGY[1]:
            return False
        if not self._exact or self._energy + energy > _EXACT_FLOAT32:
            self.flush()
        if self._sums is None:
            self._sums = np.zeros(self._target.shape, np.float32, order="F")
        ssyrk(1.0, block.T, beta=1.0 if self._energy else 0.0, c=self._sums, overwrite_c=1, lower=1)
        self._energy += energy
        return True

    def add_any(self, block: Array) -> None:
        """Add blockᵀ block, in float64 where float32's range is too small."""
        if not self.add(block):
            self.add(block.astype(np.float64))

    def flush(self) -> None:
        """Pass on what is summed in float32."""
        if self._energy and self._sums is not None:
            for start in range(0, len(self._target), _PANEL):
                panel = (slice(start, None), slice(start, start + _PANEL))
                self._target[panel] += self._sums[panel]
        self._energy = 0.0


def variance_of_rounding(square: FloatArray, mean: FloatArray, eps: float = EPS) -> FloatArray:
    """The variance that rounding alone gives a constant feature, from sums (of this `eps`) of `square` on average."""
    with np.errstate(over="ignore"):
        return 16 * eps * square + (4 * EPS * mean) ** 2


def carries_signal(values: FloatArray, size: int) -> BoolArray:
    """Which eigenvalues, descending, are more than rounding leaves of zeros in products of matrices of this size."""
    signal: BoolArray = values > max(size, _LEAST_SIZE) * EPS * values[0]
    return signal


def unit_of(largest: float) -> float:
    """A power of two to divide by, exactly, before numbers as large as this are squared; 1 where that is harmless."""
    is_harmless = _SQUARED[0] < largest < _SQUARED[1] or not largest
    return 1.0 if is_harmless else power_of_two(np.array([largest]))


def mirror_lower(A: FloatArray) -> None:
    """Copy the lower triangle of a square matrix onto its upper one, in place."""
    for start in range(0, len(A), _PANEL):
        stop = start + _PANEL
        A[start:stop, stop:] = A[stop:, start:stop].T
        corner = A[start:stop, start:stop]
        upper = np.triu_indices(len(corner), 1)
        corner[upper] = corner.T[upper]


def nearest_semidefinite(S: FloatArray) -> FloatArray:
    """A symmetric matrix with its negative eigenvalues, if it has any, set to zero: the nearest without them.

    They are taken out rather than the others put together again, so that features of small variance keep their digits,
    and constant ones, whose rows are zero, stay out of it.
    """
    active = np.flatnonzero(S.diagonal() > 0)
    inner = np.asfortranarray(S[np.ix_(active, active)])
    if not len(inner) or dpotrf(inner, lower=1, clean=0)[1] == 0:
        return S
    values, U = symmetric_eigen(inner)
    negative = values < -len(inner) * EPS * values[0]
    root = U[:, negative] * np.sqrt(-values[negative])
    mended = S.copy()
    mended[np.ix_(active, active)] = inner + dgemm(1.0, root, root, trans_b=1)
    return mended


def symmetric_eigen(
    A: FloatArray, n_largest: int | None = None, *, overwrite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of a symmetric matrix, descending, and orthonormal eigenvectors.

    LAPACK's default, "evr", may return vectors far from orthogonal where eigenvalues are clustered. All of them come
    from "evd", which does not; some of them from "evr", which is faster then, and they are checked.

    Parameters
    ----------
    A : ndarray of shape (d, d)
        Its lower triangle is read.
    n_largest : int or None
        How many are wanted; None is all.
    overwrite : bool
        Whether A may be lost.

    Returns
    -------
    values : ndarray of shape (n_largest,)
    vectors : ndarray of shape (d, n_largest), in Fortran order
    """
    d = len(A)
    if n_largest is not None and n_largest < d:
        values, U = eigh(A, subset_by_index=[d - n_largest, d - 1], driver="evr", check_finite=False)
        gram = dgemm(1.0, U, U, trans_a=1)  # NumPy's own threads would be in the way of SciPy's
        if np.abs(gram - np.eye(n_largest)).max() < _ORTHOGONAL:
            return values[::-1], np.asfortranarray(U[:, ::-1])
    values, U = eigh(A, overwrite_a=overwrite, driver="evd", check_finite=False)
    first = d if n_largest is None else n_largest
    return values[::-1][:first], np.asfortranarray(U[:, ::-1][:, :first])


def power_of_two(values: Array) -> float:
    """The power of two at or below the largest magnitude, 1 for zeros: dividing by it is exact, and leaves 1 to 2."""
    largest = max(abs(float(values.max())), abs(float(values.min()))) if values.size else 0.0
    return 2.0 ** (frexp(largest)[1] - 1) if largest else 1.0
