"""The loss on hidden patches alone, which masked autoencoders train: from the moments to encoder and decoder.

Whether a patch is read off itself does not matter here, because it counts only while it is hidden. Given that patch j
is hidden, the others have E[x x̃ᵀ] = c S and E[x̃ x̃ᵀ] = V = α S + β BD(S), so that with B = W2 W1

    loss = Σ_j tr S_jj − 2c tr(B_{j,−j} S_{−j,j}) + tr(B_{j,−j} V_{−j,−j} B_{j,−j}ᵀ).

Without a limit on the rank that is a regression per patch, B_{j,−j} = c S_{j,−j} V_{−j,−j}⁺, and one inverse gives all
of them. At rank k there is no closed form. But given W1, each patch's decoder is a regression on k features,
W2_j = C_j M_j⁻¹ with C_j = c S_{j,−j} W1_{−j}ᵀ and M_j = W1_{−j} V_{−j,−j} W1_{−j}ᵀ, so that

    loss(W1) = tr S − Σ_j tr(C_j M_j⁻¹ C_jᵀ)

is left to descend on (variable projection), from the better of two good starts. All of this is done with every patch
whitened on its own, S_jj = I: then V is well conditioned, and units of pixels do not matter.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from numbers import Integral
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import cholesky, eigh, pinvh, qr
from scipy.linalg.lapack import dposv
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skmae._grid import PatchGrid
from skmae.linear._corruption import Corruption, squares
from skmae.linear._rrr import Solution, factorise, no_signal, signs, solve
from skmae.moments import EPS

# Descent goes in rounds of L-BFGS, each with coordinates of its own, until one ends where the gradient is nearly
# zero, or gains nearly nothing; both are for the loss in units of the total variance.
_STEPS = 50
_MAX_ROUNDS = 20
_TOLERANCE = 1e-7
_GRADIENT = 1e-7

# The weight of E‖W2 W1 x̃‖², all parts of it. Blocks of B within patches are free, and some losses fall for ever, ever
# less, as they grow; on small problems second moments of features reached 1e8 times that of X before this stopped them.
# Where the minimum exists, the weight costs the square of itself; else about as much as it is.
_PENALTY = 1e-5
_FLOOR = 1e-3  # of the curvature that a patch's coordinates are scaled by


class Given(NamedTuple):
    """Moments of the other patches while one is hidden: E[x x̃ᵀ] = cross·S, E[x̃ x̃ᵀ] = across·S + within·BD(S)."""

    cross: float
    across: float
    within: float

    @classmethod
    def of(cls, corruption: Corruption, n_patches: int) -> Self:
        if corruption.n_visible is None:
            return cls(1.0, corruption.across, corruption.within)
        share = corruption.n_visible / n_patches  # what x̃ is divided by, though fewer patches are left to choose from
        one = corruption.n_visible / (n_patches - 1)
        both = one * (corruption.n_visible - 1) / (n_patches - 2) if n_patches > 2 else 0.0
        return cls(one / share, both / share**2, (one - both) / share**2)


def solve_hidden(
    S: np.ndarray, grid: PatchGrid, corruption: Corruption, n_components: int | float | None, solver: str = "auto"
) -> tuple[Solution, float]:
    """Minimise the expected squared error of hidden features at a given rank.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    grid : PatchGrid
        Of two patches at least.
    corruption : Corruption
        One that hides patches.
    n_components : int, float or None
        The rank; a float in (0, 1) is the share of Σ λ of the solution of full rank; None is that solution.
    solver : {"auto", "cholesky", "eigh"}
        How patches and V are factorised.

    Returns
    -------
    solution : Solution
        Its eigenvalues are those of B V Bᵀ, where V belongs to corrupted samples as they come, whatever is hidden: the
        second moments of the features that training sees.
    loss : float
        Expected squared error of all features, each while it is hidden.

    Raises
    ------
    ValueError
        If solver="cholesky" and a matrix is singular, or if there is no signal to choose a rank by.
    """
    given = Given.of(corruption, grid.n_patches)
    V = corruption.second(S, grid)
    task = _Task(S, grid, given, solver)
    if task.n_patches < 2:
        return _nothing_to_learn(S, n_components), float(np.trace(S))
    B = task.full_rank()
    cross = B @ V
    if (np.abs(cross) <= len(S) * EPS * np.sqrt(np.outer(S.diagonal(), V.diagonal()))).all():  # unrelated patches
        return no_signal(len(S), n_components if isinstance(n_components, Integral) else 1), float(np.trace(S))
    solution = solve(cross, V.copy(order="F"), n_components, solver)
    has_signal = solution.eigenvalues[:, np.newaxis] > 0
    solution = replace(solution, encoder=np.where(has_signal, solution.decoder.T @ B, 0))
    found = [solution]
    if n_components is not None and has_signal.all():
        found.append(solve(S, V.copy(order="F"), len(has_signal), solver))
        starts = [task.whitened(start.encoder) for start in found]
        W1, W2 = task.descend(min(starts, key=lambda W: task.loss_and_gradient(W)[0]))
        found.append(_split(W1, W2, V, solution))
    losses = [expected_loss(S, s.encoder, s.decoder, grid, given) for s in found]
    best = int(np.argmin(losses))
    return found[best], losses[best]


def _nothing_to_learn(S: np.ndarray, n_components: int | float | None) -> Solution:
    if S.any() and not isinstance(n_components, Integral):
        raise ValueError(
            f'loss="hidden" has nothing to learn: all features outside one patch are constant, so that '
            f'n_components={n_components} selects no direction. Use a smaller patch, or loss="all".'
        )
    return no_signal(len(S), n_components)


def _split(W1: np.ndarray, W2: np.ndarray, V: np.ndarray, like: Solution) -> Solution:
    """The same product, with orthonormal columns in the decoder and uncorrelated features of corrupted samples."""
    Q, T = qr(W2, mode="economic", check_finite=False)
    W1 = T @ W1
    values, U = eigh(W1 @ V @ W1.T, check_finite=False)
    values, U = values[::-1].clip(0), U[:, ::-1]
    decoder = Q @ U
    orientation = signs(decoder)
    return replace(
        like,
        encoder=(U * orientation).T @ W1,
        decoder=decoder * orientation,
        eigenvalues=values,
    )


def expected_loss(S: np.ndarray, encoder: np.ndarray, decoder: np.ndarray, grid: PatchGrid, given: Given) -> float:
    """Expected squared error of all features, each while it is hidden."""
    blocks = grid.features_of_patch
    G = S @ encoder.T
    own = np.empty_like(G)  # BD(S) W1ᵀ
    for j in blocks:
        own[j] = S[np.ix_(j, j)] @ encoder[:, j].T
    loss = np.trace(S)
    for features, C, M in _regressions(encoder, G, own, blocks, given):
        W2 = decoder[features]
        loss += np.sum((W2 @ M - 2 * C) * W2)
    return float(loss)


def expected_error(
    X: np.ndarray, encoder: np.ndarray, decoder: np.ndarray, grid: PatchGrid, given: Given
) -> np.ndarray:
    """Σ_j E[‖x_j − W2_j W1 x̃‖² | patch j is hidden] of each centred row of `X`.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    encoder : ndarray of shape (k, d)
    decoder : ndarray of shape (d, k)
    grid : PatchGrid
    given : Given

    Returns
    -------
    ndarray of shape (n,)
    """
    features = X @ encoder.T
    R = decoder.T @ decoder
    error = squares(X)
    for j in grid.features_of_patch:
        own, W2 = X[:, j] @ encoder[:, j].T, decoder[j]
        rebuilt = (features - own) @ W2.T  # by all other patches
        error += np.einsum("np,np->n", given.across * rebuilt - 2 * given.cross * X[:, j], rebuilt)
        error += given.within * np.einsum("nk,nk->n", own @ (R - W2.T @ W2), own)
    return error


def _regressions(
    W1: np.ndarray, G: np.ndarray, own: np.ndarray, blocks: list, given: Given, penalty: float = 0.0
) -> Iterator[tuple[np.ndarray | slice, np.ndarray, np.ndarray]]:
    """C_j (p, k) and M_j + penalty·W1 V W1ᵀ (k, k) of each patch j, from G = S W1ᵀ and own = BD(S) W1ᵀ, (d, k)."""
    within = [W1[:, j] @ own[j] for j in blocks]
    M = given.across * (W1 @ G) + given.within * sum(within)
    for j, E in zip(blocks, within, strict=True):
        A = W1[:, j] @ G[j]
        yield j, given.cross * (G[j] - own[j]), (1 + penalty) * M - given.across * (A + A.T - E) - given.within * E


class _Task:
    """The problem with every patch whitened, S_jj = I, and the total variance for a unit.

    Patches whose features are all constant are left out, as are directions in which a patch does not vary.
    """

    def __init__(self, S: np.ndarray, grid: PatchGrid, given: Given, solver: str):
        self.given, self._solver, self._d = given, solver, len(S)
        self._unit = np.sqrt(np.trace(S))
        active = S.diagonal() > 0
        self._features = [j[active[j]] for j in grid.features_of_patch if active[j].any()]
        self._whiten, self._unwhiten = [], []  # R_j and L_j, (p, rank): x̂ = R_jᵀ x and x = L_j x̂
        for j in self._features:
            own = S[np.ix_(j, j)]
            R = _whitening(own, solver)
            self._whiten.append(R)
            self._unwhiten.append(own @ R)
        ends = np.cumsum([0] + [R.shape[1] for R in self._whiten])
        self._blocks = [slice(start, end) for start, end in pairwise(ends)]
        self._S = self._rows(self._columns(S, self._whiten))
        for j in self._blocks:
            self._S[j, j] = np.eye(j.stop - j.start)

    @property
    def n_patches(self) -> int:
        return len(self._blocks)

    def whitened(self, encoder: np.ndarray) -> np.ndarray:
        """W1 L: the encoder (k, d) for whitened patches."""
        return self._columns(encoder, self._unwhiten)

    def _columns(self, A: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
        parts = zip(self._features, factors, strict=True)
        return np.hstack([A[:, j] @ factor for j, factor in parts]) if factors else A[:, :0]

    def _rows(self, A: np.ndarray) -> np.ndarray:
        return self._columns(A.T, self._whiten).T

    def _original(self, W: np.ndarray) -> np.ndarray:
        """W Rᵀ: rows (m, d) for features as they are, of the least norm."""
        out = np.zeros((len(W), self._d))
        for features, j, R in zip(self._features, self._blocks, self._whiten, strict=True):
            out[:, features] = W[:, j] @ R.T
        return out

    # -- without a limit on the rank ----------------------------------------------------------------------------

    def full_rank(self) -> np.ndarray:
        """B (d, d), each patch from all others; zero within patches."""
        cross, across, within = self.given
        if across:
            B = cross / across * self._regress(across * self._S + within * np.eye(len(self._S)))
        else:  # patches are seen one at a time
            B = cross / within * self._S
        for j in self._blocks:
            B[j, j] = 0
        out = np.zeros((self._d, len(B)))
        for features, j, L in zip(self._features, self._blocks, self._unwhiten, strict=True):
            out[features] = L @ B[j]
        return self._original(out)

    def _regress(self, V: np.ndarray) -> np.ndarray:
        """V_{j,−j} V_{−j,−j}⁺ of each patch j, beside what does not matter in its own columns."""
        factor = factorise(np.array(V, order="F"), self._solver)
        P = factor.unwhiten(factor.whiten(np.eye(len(V), order="F")))  # V⁺
        if factor.span is None:
            return np.vstack([-np.linalg.solve(P[j, j], P[j]) for j in self._blocks])
        return np.vstack([_redundant(P, factor.span, j) for j in self._blocks])

    # -- at rank k ----------------------------------------------------------------------------------------------

    def decoder(self, W1: np.ndarray) -> np.ndarray:
        """The best W2 for whitened patches, whatever weight their features have."""
        return np.vstack([_regressed(C, M) for _, C, M in self._each(W1)])

    def _each(self, W1: np.ndarray) -> Iterator[tuple[np.ndarray | slice, np.ndarray, np.ndarray]]:
        return _regressions(W1, self._S @ W1.T, W1.T, self._blocks, self.given, _PENALTY)

    def _scaled(self, W2: np.ndarray) -> Iterator[np.ndarray]:
        """L_j W2_j, in units of the total spread."""
        for j, L in zip(self._blocks, self._unwhiten, strict=True):
            yield L @ W2[j] / self._unit

    def loss_and_gradient(self, W1: np.ndarray) -> tuple[float, np.ndarray]:
        """Penalised loss over the total variance with the best decoder, and its gradient: O(d² k + N k² (k + p))."""
        cross, across, within = self.given
        G = self._S @ W1.T
        loss, grams, weights, R = 1.0, [], [], np.zeros((len(W1), len(W1)))
        for (_, C, M), L in zip(
            _regressions(W1, G, W1.T, self._blocks, self.given, _PENALTY), self._unwhiten, strict=True
        ):
            LC = L @ C / self._unit
            W2 = _regressed(LC, M)
            loss -= np.sum(W2 * LC)
            gram = W2.T @ W2
            R += gram
            grams.append(gram)
            weights.append(W2.T @ L / self._unit)  # W2_jᵀ L_j
        T = np.hstack(
            [
                across * (gram @ W1[:, j]) + cross * weight
                for j, gram, weight in zip(self._blocks, grams, weights, strict=True)
            ]
        )
        gradient = T - T @ self._S
        seen = across * G.T + within * W1
        for j, gram in zip(self._blocks, grams, strict=True):
            gradient[:, j] += ((1 + _PENALTY) * R - gram) @ seen[:, j]
        return float(loss), 2 * gradient

    def descend(self, W1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encoder (k, d) and decoder (d, k), for features as they are, where descent from `W1` ends."""
        loss, gain = self.loss_and_gradient(W1)[0], np.inf
        for _ in range(_MAX_ROUNDS):
            W1, reached, flat = self._round(W1)
            loss, gain = reached, loss - reached
            if flat or gain <= _TOLERANCE:
                break
        else:
            warnings.warn(
                f'loss="hidden" with n_components={len(W1)} has not converged in {_MAX_ROUNDS * _STEPS} steps: the '
                f"last {_STEPS} lowered the loss by {gain:.1e} of the variance of X, more than {_TOLERANCE:.0e}. The "
                f"model may be used as it is: it is better than its start. Fewer components, smaller patches or a "
                f"larger mask converge faster.",
                ConvergenceWarning,
                stacklevel=2,
            )
        decoder = np.zeros((self._d, len(W1)))
        W2 = self.decoder(W1)
        for features, part in zip(self._features, self._scaled(W2), strict=True):
            decoder[features] = part * self._unit
        return self._original(W1), decoder

    def _round(self, W1: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Some steps of L-BFGS in coordinates in which the curvature of each patch is about one."""
        W2 = np.vstack(list(self._scaled(self.decoder(W1))))
        T = qr(W2, mode="r", check_finite=False)[0][: len(W1)]
        W1 = T @ W1  # now Σ_j W2_jᵀ W2_j = I, and the features may be as large as what they explain
        roots = list(self._inverse_roots(W1))

        def each(apply: Callable[[np.ndarray, np.ndarray], np.ndarray], A: np.ndarray) -> np.ndarray:
            return np.hstack([apply(root, A[:, j]) for j, root in zip(self._blocks, roots, strict=True)])

        def natural(z: np.ndarray) -> np.ndarray:
            return each(lambda root, Z: root.T @ Z, z.reshape(W1.shape))

        def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = self.loss_and_gradient(natural(z))
            return loss, each(np.matmul, gradient).ravel()

        start = each(lambda root, W: np.linalg.solve(root.T, W), W1)
        options = {"maxiter": _STEPS, "ftol": EPS, "gtol": _GRADIENT}
        end = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        return natural(end.x), float(end.fun), bool(np.abs(end.jac).max() <= _GRADIENT)

    def _inverse_roots(self, W1: np.ndarray) -> Iterator[np.ndarray]:
        """F (k, k) with FᵀF = A⁻¹ for each patch, where A = Σ_{l≠j} W2_lᵀ W2_l is the curvature along W1_j."""
        grams = [W2.T @ W2 for W2 in self._scaled(self.decoder(W1))]
        R = sum(grams) + _FLOOR * np.eye(len(W1))
        for gram in grams:
            yield np.linalg.inv(cholesky(R - gram, lower=True, check_finite=False))


def _whitening(own: np.ndarray, solver: str) -> np.ndarray:
    """R (p, rank) with Rᵀ S_jj R = I, its columns in the range of S_jj."""
    factor = factorise(np.array(own, order="F"), solver)
    rank = len(own) if factor.span is None else factor.span.shape[1]
    R = factor.unwhiten(np.eye(rank, order="F"))
    return R if factor.span is None else factor.span @ (factor.span.T @ R)


def _regressed(C: np.ndarray, M: np.ndarray) -> np.ndarray:
    """C M⁻¹ (p, k)."""
    _, W2, failed = dposv(M, C.T, lower=1)
    return (pinvh(M, check_finite=False) @ C.T if failed else W2).T


def _redundant(P: np.ndarray, span: np.ndarray, j: slice) -> np.ndarray:
    """V_{j,−j} V_{−j,−j}⁺ from P = V⁺ and a basis of V's range, where V is singular.

    An eigenvector of (V⁺V)_jj tells whether a direction of patch j follows from the other patches without error
    (eigenvalue below one), or belongs to it alone (one), to be estimated by P_jj⁻¹ P_{j,−j} as where V is regular.
    """
    projector = span[j] @ span.T  # (p, d)
    values, A = eigh(projector[:, j], check_finite=False)
    alone = values > 1 - np.sqrt(EPS)
    known, own = A[:, ~alone], A[:, alone]
    B = known / (1 - values[~alone]) @ (known.T @ projector)
    B[:, j] = 0
    rest = P[j] + P[j, j] @ B
    return B - own @ np.linalg.solve(own.T @ P[j, j] @ own, own.T @ rest)
