"""Leading eigenpairs of symmetric matrices that are known by their products alone: Rayleigh-Ritz on a Krylov space."""

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.blas import dgemm, dsyrk, dtrsm
from scipy.linalg.lapack import dpotrf

from skmae._linalg import symmetric_eigen
from skmae._typing import FloatArray

# Columns beyond the rank, blocks before the first look at the residual, blocks of a cycle, cycles, and each residual
# relative to its own eigenvalue. On CIFAR-10 (d = 3072) 7 or 8 blocks are enough, and take half the time of forming M;
# see benchmarks/solvers.py.
_OVERSAMPLING = 8
_STEPS = 7
_MAX_STEPS = 10
_MAX_CYCLES = 4
_TOLERANCE = 1e-7
_MIN_FEATURES = 1000
_KRYLOV_SHARE = 2  # its basis may take half of the space; beyond that, or below, LAPACK is faster


def uses_krylov(d: int, k: int) -> bool:
    """Whether k is small enough against d for a Krylov space to be faster than a dense solver."""
    return d >= _MIN_FEATURES and (k + _OVERSAMPLING) * _STEPS * _KRYLOV_SHARE <= d


def random_block(d: int, k: int) -> FloatArray:
    """(d, b) random columns to begin with."""
    return np.random.RandomState(0).standard_normal((d, k + _OVERSAMPLING))


def leading_eigenpairs(
    start: FloatArray, n_matrices: int, k: int, multiply: Callable[[list[int], list[FloatArray]], list[FloatArray]]
) -> list[tuple[FloatArray, FloatArray]] | None:
    """The k leading eigenpairs of each of some matrices, side by side.

    Parameters
    ----------
    start : ndarray of shape (d, b)
        Columns that the space grows from.
    n_matrices : int
    k : int
    multiply : callable
        ``multiply(numbers, blocks)`` gives each of these matrices times its block, (d, b): what they share is read
        from memory once.

    Returns
    -------
    list of (values (k,), descending, vectors (d, k)), or None if one of them does not converge
    """
    spaces = [_KrylovSpace(number, k, start) for number in range(n_matrices)]
    active = spaces
    for _ in range(_MAX_CYCLES):
        for step in range(_MAX_STEPS):
            try:
                blocks = [space.extend(step) for space in active]
            except LinAlgError:  # fewer independent directions than columns
                return None
            for space, image in zip(active, multiply([s.number for s in active], blocks), strict=True):
                space.receive(step, image)
            if step + 1 >= _STEPS:
                active = [space for space in active if space.residual(step + 1) > _TOLERANCE]
            if not active:
                return [(space.values[:k], space.vectors[:, :k]) for space in spaces]
        if not all(space.restart() for space in active):
            return None
    return None


class _KrylovSpace:
    """An orthonormal basis Q of W, M W, M² W, …, T = QᵀM Q, and the leading eigenpairs of M within it.

    M takes all blocks of Q but the last into the space, so that what it makes of that one tells all residuals.
    """

    def __init__(self, number: int, k: int, start: FloatArray):
        self.number, self.k, self.b = number, k, start.shape[1]
        self.Q = np.empty((len(start), self.b * _MAX_STEPS), order="F")
        self.T = np.empty((self.b * _MAX_STEPS,) * 2)  # its lower triangle
        self.outside = start.copy(order="F")  # what is not in the space yet
        self.reached = self.before = 1.0

    def extend(self, step: int) -> FloatArray:
        """The next block of Q."""
        block = _orthonormalise(self.outside, self.Q[:, : step * self.b])
        self.Q[:, step * self.b : (step + 1) * self.b] = block
        return block

    def receive(self, step: int, image: FloatArray) -> None:
        """M times that block."""
        stop = (step + 1) * self.b
        products = dgemm(1.0, self.Q[:, :stop], image, trans_a=1)
        self.T[step * self.b : stop, :stop] = products.T
        self.outside = dgemm(-1.0, self.Q[:, :stop], products, beta=1.0, c=image, overwrite_c=1)

    def residual(self, n_blocks: int) -> float:
        """Find the Ritz values; the largest residual of those that are wanted, relative to its value."""
        k, n = self.k, n_blocks * self.b
        self.values, self.U = symmetric_eigen(self.T[:n, :n], self.b)
        error = np.linalg.norm(dgemm(1.0, self.outside, self.U[-self.b :, :k]), axis=0)
        self.reached = float((error / np.maximum(self.values[:k], np.finfo(float).tiny)).max())
        return self.reached

    @property
    def vectors(self) -> FloatArray:
        """The Ritz vectors, (d, b)."""
        found: FloatArray = dgemm(1.0, self.Q[:, : len(self.U)], self.U)
        return found

    def restart(self) -> bool:
        """Go on from the Ritz vectors; False if the last cycle has gained too little for another."""
        self.outside = self.vectors
        gained, self.before = self.reached < self.before / 100, self.reached
        return gained


def _orthonormalise(W: FloatArray, Q: FloatArray) -> FloatArray:
    """Orthonormal basis of W, whose part in Q is rounding or nothing: Cholesky QR, twice, without that part."""
    W = _cholesky_qr(W)
    if Q.size:
        W = dgemm(-1.0, Q, dgemm(1.0, Q, W, trans_a=1), beta=1.0, c=W, overwrite_c=1)
    return _cholesky_qr(W)


def _cholesky_qr(W: FloatArray) -> FloatArray:
    R, info = dpotrf(dsyrk(1.0, W, trans=1), overwrite_a=1)
    if info:
        raise LinAlgError("the block has dependent columns")
    basis: FloatArray = dtrsm(1.0, R, W, side=1, overwrite_b=1)
    return basis
