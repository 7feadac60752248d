"""Symmetric matrices of which one triangle is known, their eigenvectors, and what of them is rounding."""

from math import frexp

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import dpotrf

from skmae._typing import Array, BoolArray, FloatArray

EPS = float(np.finfo(np.float64).eps)
EPS_FLOAT32 = float(np.finfo(np.float32).eps)

_LEAST_SIZE = 32  # sums of few terms may have had larger ones, which cancelled
_PANEL = 256  # columns of a triangle handled at a time
_ORTHOGONAL = 1e-12  # what products of different eigenvectors may be
_SQUARED = (1e-60, 1e60)  # numbers whose fourth powers are far from the ends of float64's range


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
    values, U = eigh(A, overwrite_a=overwrite, driver="evd" if d > 1 else "evr", check_finite=False)
    first = d if n_largest is None else n_largest
    return values[::-1][:first], np.asfortranarray(U[:, ::-1][:, :first])


def divide(values: Array, scale: float) -> Array:
    """In float64, or wider: NumPy 1 would leave float16 and float32 as they are if `scale` were no array."""
    return values / np.array([scale], np.float64)


def power_of_two(values: Array) -> float:
    """The power of two at or below the largest magnitude, 1 for zeros: dividing by it is exact, and leaves 1 to 2."""
    largest = max(abs(float(values.max())), abs(float(values.min()))) if values.size else 0.0
    return 2.0 ** (frexp(largest)[1] - 1) if largest else 1.0
