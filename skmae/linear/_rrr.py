"""Reduced-rank regression in closed form: from two moments of a corruption to the best encoder and decoder.

Theorem 1 of the paper: minimise E‖x − W2 W1 x̃‖² over W1 (k, d) and W2 (d, k), where only

    cross = E[x x̃ᵀ]    and    second = V = E[x̃ x̃ᵀ]

matter. With E the top-k eigenvectors of M = cross V⁻¹ crossᵀ and λ its eigenvalues,
W2 = E, W1 = Eᵀ cross V⁻¹, and the loss is tr S − Σ λ.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from scipy.linalg import LinAlgError, eigh, qr
from scipy.linalg.blas import dgemm, dsyrk, dtrsm
from scipy.linalg.lapack import dlange, dpocon, dpotrf

from skmae.moments import EPS, mirror_lower

# Block Krylov: columns beyond the rank, blocks before the first look at the residual, blocks of a cycle, cycles, and
# each residual relative to its own eigenvalue. On CIFAR-10 (d = 3072) 7 or 8 blocks are enough, and take half the time
# of forming M; see benchmarks/solvers.py.
_OVERSAMPLING = 8
_STEPS = 7
_MAX_STEPS = 10
_MAX_CYCLES = 4
_TOLERANCE = 1e-7
_KRYLOV_MIN_FEATURES = 1000
_PANEL = 32  # columns that stay in the cache
_KRYLOV_SHARE = 2  # its basis may take half of the space; beyond that, or below, LAPACK is faster


@dataclass(frozen=True)
class Solution:
    """The minimiser of rank k.

    Attributes
    ----------
    encoder : ndarray of shape (k, d)
        W1, of the least norm; a direction without signal has a row of zeros.
    decoder : ndarray of shape (d, k)
        W2, with orthonormal columns.
    eigenvalues : ndarray of shape (k,)
        λ of Theorem 1, descending.
    solver : {"cholesky", "eigh"}
        How V was factorised.
    rcond : float
        Reciprocal condition number of V less its constant features; 0 where that is singular.
    """

    encoder: np.ndarray
    decoder: np.ndarray
    eigenvalues: np.ndarray
    solver: str
    rcond: float


@dataclass(frozen=True)
class Parts:
    """V = across·cross + D, where `cross` is symmetric and D is applied at little cost.

    Then M = cross V⁻¹ cross = (across·cross − D + D V⁻¹ D) / across². D must not be large against across·cross, or the
    difference costs digits.
    """

    across: float
    apply: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Factor:
    """A generalised inverse R Rᵀ of V as two functions, B ↦ RᵀB and B ↦ R B, which may overwrite B.

    If V is singular, `span` is an orthonormal basis of its range, (a, r).
    """

    whiten: Callable[[np.ndarray], np.ndarray]
    unwhiten: Callable[[np.ndarray], np.ndarray]
    solver: str
    rcond: float
    span: np.ndarray | None = None
    parts: Parts | None = None

    def apply_any(self, B: np.ndarray) -> np.ndarray:
        """R Rᵀ B; overwrites B."""
        return self.unwhiten(self.whiten(B))

    def combine(self, parts: Parts, Q: np.ndarray, product: np.ndarray) -> np.ndarray:
        """M Q from cross Q and V's parts."""
        DQ = parts.apply(Q)
        own = parts.apply(self.apply_any(DQ.copy(order="F")))
        image = parts.across * product
        image -= DQ
        image += own
        image /= parts.across**2
        return image

    def apply_inverse(self, B: np.ndarray) -> np.ndarray:
        """V⁺ B for B in the range of V: R Rᵀ B, less what is outside the range, has the least norm."""
        solved = self.apply_any(B)
        return solved if self.span is None else self.span @ (self.span.T @ solved)


def solve(cross: np.ndarray, second: np.ndarray, n_components: int | float | None, solver: str = "auto") -> Solution:
    """Minimise E‖x − W2 W1 x̃‖² at a given rank.

    Parameters
    ----------
    cross : ndarray of shape (d, d)
        E[x x̃ᵀ].
    second : ndarray of shape (d, d)
        V = E[x̃ x̃ᵀ], symmetric; it is overwritten.
    n_components : int, float or None
        The rank; a float in (0, 1) is the share of Σ λ to reach; None keeps every direction that carries signal.
    solver : {"auto", "cholesky", "eigh"}
        Factorisation of V. "auto" tries Cholesky, and takes the pseudo-inverse by "eigh" where V is singular.

    Returns
    -------
    Solution

    Raises
    ------
    ValueError
        If solver="cholesky" and V is singular, or if there is no signal to choose a rank by.
    """
    return solve_together(cross, [second], n_components, solver)[0]


def solve_together(
    cross: np.ndarray,
    seconds: list[np.ndarray],
    n_components: int | float | None,
    solver: str = "auto",
    parts: list[Parts | None] | None = None,
) -> list[Solution]:
    """`solve` for several V with one `cross` and the same constant features: products with `cross` are shared.

    With the parts that each V is made of, one product with `cross` does where two are needed without.
    """
    active = seconds[0].diagonal() > 0
    if not active.any():
        return [no_signal(len(cross), n_components) for _ in seconds]
    if not active.all():
        cross = cross[:, active]
        seconds = [second[np.ix_(active, active)] for second in seconds]
        parts = None
    cross = np.asfortranarray(cross)
    factors = [factorise(np.asfortranarray(second), solver) for second in seconds]
    if parts is not None:
        factors = [replace(factor, parts=part) for factor, part in zip(factors, parts, strict=True)]
    found = [_wanted(*pair, n_components) for pair in _leading(cross, factors, n_components)]
    products = _times(cross, [E for _, E in found], transposed=True)
    solutions = [_finish(*each) for each in zip(factors, *zip(*found, strict=True), products, strict=True)]
    return solutions if active.all() else [_embed(solution, active) for solution in solutions]


def _wanted(eigenvalues: np.ndarray, E: np.ndarray, n_components: int | float | None) -> tuple[np.ndarray, np.ndarray]:
    """The eigenpairs that are asked for, of those that were found: values without signal are zero, signs are chosen."""
    eigenvalues = np.where(eigenvalues > len(E) * EPS * eigenvalues[0], eigenvalues, 0)
    if not eigenvalues.any():
        nothing = no_signal(len(E), n_components)  # raises, unless a number of components was asked for
        return nothing.eigenvalues, nothing.decoder
    k = rank_of(eigenvalues, n_components)
    return eigenvalues[:k], E[:, :k] * signs(E[:, :k])


def _finish(factor: Factor, eigenvalues: np.ndarray, E: np.ndarray, product: np.ndarray) -> Solution:
    """From eigenpairs and crossᵀ E to the solution."""
    encoder = factor.apply_inverse(product).T  # (k, a)
    return Solution(
        encoder=np.where(eigenvalues[:, np.newaxis] > 0, encoder, 0),
        decoder=np.ascontiguousarray(E),
        eigenvalues=eigenvalues,
        solver=factor.solver,
        rcond=factor.rcond,
    )


def _embed(part: Solution, active: np.ndarray) -> Solution:
    """Give the features that were left out a weight of zero: the minimum-norm minimiser does."""
    encoder = np.zeros((len(part.encoder), len(active)))
    encoder[:, active] = part.encoder
    return replace(part, encoder=encoder)


def no_signal(d: int, n_components: int | float | None) -> Solution:
    if not isinstance(n_components, Integral):
        raise ValueError(
            f"X carries no signal (all samples are equal), so that n_components={n_components} selects no direction. "
            f"Check X, or pass n_components as an int."
        )
    k = int(n_components)
    return Solution(np.zeros((k, d)), np.eye(d, k), np.zeros(k), solver="eigh", rcond=0.0)


def rank_of(eigenvalues: np.ndarray, n_components: int | float | None) -> int:
    if n_components is None:
        return int(np.count_nonzero(eigenvalues))
    if isinstance(n_components, Integral):
        return int(n_components)
    reached = np.cumsum(eigenvalues) / eigenvalues.sum()
    return int(np.searchsorted(reached, n_components)) + 1


def signs(E: np.ndarray) -> np.ndarray:
    """svd_flip's convention: the largest entry of each eigenvector becomes positive."""
    largest = np.abs(E).argmax(axis=0)
    return np.where(E[largest, np.arange(E.shape[1])] < 0, -1.0, 1.0)


def factorise(second: np.ndarray, solver: str) -> Factor:
    """The one place where the solver is chosen. Overwrites `second`.

    V is scaled to a unit diagonal first: which unit a feature is measured in must not decide whether it counts.
    """
    scale = 1 / np.sqrt(second.diagonal())
    for first in range(0, len(second), _PANEL):  # in one pass
        columns = slice(first, first + _PANEL)
        second[:, columns] *= np.outer(scale[columns], scale).T
    if solver == "eigh":
        return _factorise_eigh(second, scale)
    norm = dlange("1", second)
    L, info = dpotrf(second, lower=1, overwrite_a=1, clean=0)
    rcond = dpocon(L, norm, uplo="L")[0] if info == 0 else 0.0
    if rcond > len(L) * EPS:
        return Factor(
            whiten=lambda B: dtrsm(1.0, L, _scaled(scale, B), lower=1, overwrite_b=1),
            unwhiten=lambda B: _scaled(scale, dtrsm(1.0, L, B, lower=1, trans_a=1, overwrite_b=1)),
            solver="cholesky",
            rcond=float(rcond),
        )
    if solver == "cholesky":
        raise ValueError(
            'solver="cholesky" needs a second moment of full rank, and that of X under this corruption is singular '
            '(constant or redundant features, or fewer samples than features). Use solver="auto" or "eigh".'
        )
    mirror_lower(L.T)  # the upper triangle was left alone
    np.fill_diagonal(L, 1.0)
    return _factorise_eigh(L, scale)


def _factorise_eigh(second: np.ndarray, scale: np.ndarray) -> Factor:
    values, U = eigh(second, overwrite_a=True, check_finite=False)
    keep = values > len(values) * EPS * values[-1]
    R = np.asfortranarray(U[:, keep] / np.sqrt(values[keep]) * scale[:, np.newaxis])  # (a, r)
    span = None if keep.all() else qr(U[:, keep] / scale[:, np.newaxis], mode="economic", check_finite=False)[0]
    return Factor(
        whiten=lambda B: dgemm(1.0, R, B, trans_a=1),
        unwhiten=lambda B: dgemm(1.0, R, B),
        solver="eigh",
        rcond=max(float(values[0] / values[-1]), 0.0),
        span=span,
    )


def _scaled(scale: np.ndarray, B: np.ndarray) -> np.ndarray:
    B *= scale[:, np.newaxis]
    return B


def uses_krylov(d: int, k: int) -> bool:
    """Whether k is small enough against d for a Krylov space to be faster than a dense solver."""
    return d >= _KRYLOV_MIN_FEATURES and (k + _OVERSAMPLING) * _STEPS * _KRYLOV_SHARE <= d


def _leading(
    cross: np.ndarray, factors: list[Factor], n_components: int | float | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Leading eigenvalues, descending, and eigenvectors (d, k) of M = cross V⁻¹ crossᵀ, for each V."""
    if isinstance(n_components, Integral) and uses_krylov(len(cross), int(n_components)):
        found = _block_krylov(cross, factors, int(n_components))
        if found is not None:
            return found
    return [_leading_dense(cross, factor, n_components) for factor in factors]


def _leading_dense(
    cross: np.ndarray, factor: Factor, n_components: int | float | None
) -> tuple[np.ndarray, np.ndarray]:
    d = len(cross)
    G = factor.whiten(cross.T.copy(order="F"))
    M = dsyrk(1.0, G, trans=1, lower=1)
    wanted = [d - int(n_components), d - 1] if isinstance(n_components, Integral) else None
    values, E = eigh(M, subset_by_index=wanted, overwrite_a=True, check_finite=False)
    return values[::-1], np.asfortranarray(E[:, ::-1])


def _block_krylov(cross: np.ndarray, factors: list[Factor], k: int) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Leading eigenpairs of each M by Rayleigh-Ritz on a block Krylov space, M never formed; None if one won't do.

    All blocks go through `cross` together: it is read from memory once for them.
    """
    b = k + _OVERSAMPLING
    seeded = np.random.RandomState(0).standard_normal((len(cross), b))
    start = dgemm(1.0, cross, dgemm(1.0, cross, seeded, trans_a=1))
    spaces = [_KrylovSpace(factor, k, start) for factor in factors]
    active = spaces
    for _ in range(_MAX_CYCLES):
        for step in range(_MAX_STEPS):
            try:
                blocks = [space.extend(step) for space in active]
            except LinAlgError:  # fewer independent directions than columns
                return None
            for space, image in zip(active, _images(cross, [s.factor for s in active], blocks), strict=True):
                space.receive(step, image)
            if step + 1 >= _STEPS:
                active = [space for space in active if space.residual(step + 1) > _TOLERANCE]
            if not active:
                return [(space.values[:k], space.vectors[:, :k]) for space in spaces]
        if not all(space.restart() for space in active):
            return None
    return None


def _images(cross: np.ndarray, factors: list[Factor], blocks: list[np.ndarray]) -> list[np.ndarray]:
    """M Q for each V."""
    products = _times(cross, blocks, transposed=True)
    parts = [factor.parts for factor in factors if factor.parts is not None]
    if len(parts) == len(factors):
        each = zip(factors, parts, blocks, products, strict=True)
        return [factor.combine(part, block, product) for factor, part, block, product in each]
    pairs = zip(factors, products, strict=True)
    return _times(cross, [factor.apply_any(product) for factor, product in pairs], transposed=False)


def _times(cross: np.ndarray, blocks: list[np.ndarray], *, transposed: bool) -> list[np.ndarray]:
    """`cross`, or its transpose, times each block, (d, b): `cross` is read from memory once."""
    joined = blocks[0] if len(blocks) == 1 else np.asfortranarray(np.hstack(blocks))
    product = dgemm(1.0, cross, joined, trans_a=transposed)
    ends = np.cumsum([block.shape[1] for block in blocks])
    return [np.array(part, order="F") for part in np.split(product, ends[:-1], axis=1)]


class _KrylovSpace:
    """An orthonormal basis Q of W, M W, M² W, … with M Q, and the leading eigenpairs of M within it."""

    def __init__(self, factor: Factor, k: int, W: np.ndarray):
        self.factor, self.k, self.b, self.W = factor, k, W.shape[1], W
        d = len(W)
        self.Q = np.empty((d, self.b * _MAX_STEPS), order="F")
        self.MQ = np.empty_like(self.Q)
        self.reached = self.before = 1.0

    def extend(self, step: int) -> np.ndarray:
        """The next block of Q."""
        block = _orthonormalise(self.W, self.Q[:, : step * self.b])
        self.Q[:, step * self.b : (step + 1) * self.b] = block
        return block

    def receive(self, step: int, image: np.ndarray) -> None:
        """M times that block."""
        self.MQ[:, step * self.b : (step + 1) * self.b] = self.W = image

    def residual(self, n_blocks: int) -> float:
        """Find the Ritz values and vectors; the largest residual of those that are wanted, relative to its value."""
        k, n = self.k, n_blocks * self.b
        Q, MQ = self.Q[:, :n], self.MQ[:, :n]
        T = dgemm(1.0, Q, MQ, trans_a=1)  # (n, n)
        values, U = eigh((T + T.T) / 2, subset_by_index=[n - self.b, n - 1], check_finite=False)
        self.values, U = values[::-1], np.asfortranarray(U[:, ::-1])
        self.vectors = dgemm(1.0, Q, U)
        error = np.linalg.norm(dgemm(1.0, MQ, U[:, :k]) - self.vectors[:, :k] * self.values[:k], axis=0)
        self.reached = float((error / np.maximum(self.values[:k], np.finfo(float).tiny)).max())
        return self.reached

    def restart(self) -> bool:
        """Go on from the Ritz vectors; False if the last cycle has gained too little for another."""
        self.W = self.vectors
        gained, self.before = self.reached < self.before / 100, self.reached
        return gained


def _orthonormalise(W: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the part of W outside Q: block Gram-Schmidt and Cholesky QR, twice each."""
    for _ in range(2):
        if Q.size:
            W = dgemm(-1.0, Q, dgemm(1.0, Q, W, trans_a=1), beta=1.0, c=W, overwrite_c=1)
        R, info = dpotrf(dsyrk(1.0, W, trans=1), overwrite_a=1)
        if info:
            raise LinAlgError("the block has dependent columns")
        W = dtrsm(1.0, R, W, side=1, overwrite_b=1)
    return W
