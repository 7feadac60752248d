"""Minimise the expected error of what is hidden: a quadratic form for the rows of W2 W1 that rebuild each group.

With B = W2 W1 and B_j its rows for group j, which counts while group j is hidden,

    loss = Σ_j w_j tr S_jj − 2 tr(B_j cross_jᵀ) + tr(B_j V_j B_jᵀ).

Without a limit on the rank that is a regression per group, B_j = cross_j V_j⁺. At rank k there is no closed form. But
given W1, the decoder of each group is a regression on k features, W2_j = C_j M_j⁻¹ with C_j = cross_j W1ᵀ and
M_j = W1 V_j W1ᵀ, so that

    loss(W1) = Σ_j w_j tr S_jj − tr(C_j M_j⁻¹ C_jᵀ)

is left to descend on (variable projection), from the better of two good starts. All of this is done with every group
whitened on its own, S_jj = I: then V_j is well conditioned, and units of pixels do not matter.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Integral
from typing import Protocol

import numpy as np
from scipy.linalg import cholesky, qr
from scipy.linalg.lapack import dposv
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skmae._linalg import EPS, carries_signal, symmetric_eigen
from skmae._typing import Array, FloatArray, IntArray
from skmae.linear._corruptions import WhileHidden
from skmae.linear._primal import Factorisation, Minimiser, Rank, factorise, no_signal, reduced_rank_regression, signs

Block = slice | IntArray
Gradient = Callable[[list[FloatArray], list[FloatArray]], FloatArray]
Regression = tuple[Block, FloatArray, FloatArray]

# Descent goes in rounds of L-BFGS, each with coordinates of its own, until one ends where the gradient is nearly
# zero, or gains nearly nothing; both are for the loss in units of the total variance.
_STEPS = 50
_MAX_ROUNDS = 20
_TOLERANCE = 1e-7
_GRADIENT = 1e-7

# The weight of E‖W2 W1 x̃‖², all parts of it. Blocks of B within groups are free, and some losses fall for ever, ever
# less, as they grow; on small problems second moments of features reached 1e8 times that of X before this stopped them.
# Where the minimum exists, the weight costs the square of itself; else about as much as it is.
_PENALTY = 1e-5
_FLOOR = 1e-3  # of the curvature that a group's coordinates are scaled by


class HiddenMoments(Protocol):
    """cross_j and V_j of each group j, in some coordinates, by what is done with them."""

    total: float
    """Σ_j w_j tr S_jj."""

    def at(self, W1: FloatArray, penalty: float = 0.0) -> tuple[list[Regression], Gradient]:
        """The regressions of all groups on the features of an encoder W1 (k, d), and a gradient.

        Returns
        -------
        regressions : list of (block j, C_j (p, k), M_j + penalty·W1 V W1ᵀ (k, k))
        gradient : callable
            ``gradient(grams, weights)`` is Σ_j grams_j W1 (V_j + penalty·V) − weights_j cross_j, (k, d), for grams_j
            (k, k) and weights_j (k, p).
        """

    def full_rank(self, how: Factorisation) -> FloatArray:
        """B (d, d), the regression of each group."""


class SameForAll:
    """Groups that are hidden each by itself or by number: V_j = across·S + within·BD(S) without group j.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    blocks : list of slices or arrays of int
        The features of each group.
    while_hidden : WhileHidden
    """

    def __init__(self, S: FloatArray, blocks: Sequence[Block], while_hidden: WhileHidden):
        self.S, self.blocks, self.while_hidden = S, blocks, while_hidden
        self.total = float(np.trace(S))

    def at(self, W1: FloatArray, penalty: float = 0.0) -> tuple[list[Regression], Gradient]:
        """See `HiddenMoments`: O(d² k + N k² (k + p))."""
        cross, across, within = self.while_hidden
        G = self.S @ W1.T  # (d, k)
        alone = self._alone(W1)
        inside = [W1[:, j] @ alone[j] for j in self.blocks]
        M = (1 + penalty) * (across * (W1 @ G) + within * sum(inside))
        regressions = []
        for j, E in zip(self.blocks, inside, strict=True):
            A = W1[:, j] @ G[j]
            regressions.append((j, cross * (G[j] - alone[j]), M - across * (A + A.T - E) - within * E))

        def gradient(grams: list[FloatArray], weights: list[FloatArray]) -> FloatArray:
            T = np.empty_like(W1)
            for j, gram, weight in zip(self.blocks, grams, weights, strict=True):
                T[:, j] = across * (gram @ W1[:, j]) + cross * weight
            slope = -(T @ self.S)
            visible = across * G.T + within * alone.T
            everywhere = (1 + penalty) * sum(grams)
            for j, gram in zip(self.blocks, grams, strict=True):
                slope[:, j] += T[:, j] @ self._within(j) + (everywhere - gram) @ visible[:, j]
            return slope

        return regressions, gradient

    def _within(self, j: Block) -> FloatArray:
        """S_jj."""
        return self.S[j, j] if isinstance(j, slice) else self.S[np.ix_(j, j)]

    def _alone(self, W1: FloatArray) -> FloatArray:
        """BD(S) W1ᵀ, (d, k)."""
        alone = np.empty((len(self.S), len(W1)))
        for j in self.blocks:
            alone[j] = self._within(j) @ W1[:, j].T
        return alone

    def full_rank(self, how: Factorisation) -> FloatArray:
        """One inverse gives all regressions, for whitened groups that are slices."""
        cross, across, within = self.while_hidden
        if across:
            B = cross / across * self._regress(across * self.S + within * np.eye(len(self.S)), how)
        else:  # groups are visible one at a time
            B = cross / within * self.S
        for j in self.blocks:
            B[j, j] = 0
        return B

    def _regress(self, V: FloatArray, how: Factorisation) -> FloatArray:
        """V_{j,−j} V_{−j,−j}⁺ of each group j, beside what does not matter in its own columns."""
        factor = factorise(np.array(V, order="F"), how)
        P = factor.unwhiten(factor.whiten(np.eye(len(V), order="F")))  # V⁺
        if factor.span is None:
            return np.vstack([-np.linalg.solve(P[j, j], P[j]) for j in self.blocks])
        return np.vstack([_redundant(P, factor.span, j) for j in self.blocks])


class OneByOne:
    """Any distribution of masks, and noise: V_j = S ⊙ (E[(1 − r_j) r rᵀ] / q qᵀ) + noise, formed for each group.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    blocks : list of slices or arrays of int
        The features of each group that is rebuilt.
    weights : ndarray of shape (n_blocks,)
        w_j.
    cross, pairs : ndarrays of shape (n_blocks, n_blocks) and (n_blocks, n_blocks, n_blocks)
        What S is multiplied by in cross_j and V_j, for each group, and each pair of groups.
    noise : ndarray of shape (d, d)
        Second moment of the noise, while anything is hidden.
    V : ndarray of shape (d, d)
        Whatever is hidden.
    """

    def __init__(
        self,
        S: FloatArray,
        blocks: Sequence[Block],
        weights: FloatArray,
        cross: FloatArray,
        pairs: FloatArray,
        noise: FloatArray,
        V: FloatArray,
    ):
        labels = np.empty(len(S), np.intp)
        for number, j in enumerate(blocks):
            labels[j] = number
        self.blocks, self.V = blocks, V
        self.cross = [S[j] * cross[number, labels] for number, j in enumerate(blocks)]  # (p, d) each
        features = np.ix_(labels, labels)
        seconds = [S * pairs[i][features] + weights[i] * noise for i in range(len(blocks))]
        self.seconds = np.array(seconds).reshape(len(blocks), len(S), len(S))  # there may be none
        self.total = float(sum(w * S.diagonal()[j].sum() for w, j in zip(weights, blocks, strict=True)))

    def at(self, W1: FloatArray, penalty: float = 0.0) -> tuple[list[Regression], Gradient]:
        """See `HiddenMoments`: O(N d² k)."""
        images = self.seconds @ W1.T  # (N, d, k)
        everywhere = penalty * (self.V @ W1.T)
        parts = zip(self.blocks, self.cross, images, strict=True)
        regressions = [(j, cross @ W1.T, W1 @ (image + everywhere)) for j, cross, image in parts]

        def gradient(grams: list[FloatArray], weights: list[FloatArray]) -> FloatArray:
            slope = sum(grams) @ everywhere.T
            for gram, weight, cross, image in zip(grams, weights, self.cross, images, strict=True):
                slope += gram @ image.T - weight @ cross
            return slope

        return regressions, gradient

    def full_rank(self, how: Factorisation) -> FloatArray:  # noqa: ARG002  # V_j is singular as a rule
        B = np.zeros_like(self.V)
        for j, cross, V in zip(self.blocks, self.cross, self.seconds, strict=True):
            B[j] = _least_norm(cross, V)
        return B


def expected_loss(moments: HiddenMoments, encoder: FloatArray, decoder: FloatArray) -> float:
    """Expected squared error of what is hidden."""
    loss = moments.total
    for features, C, M in moments.at(encoder)[0]:
        W2 = decoder[features]
        loss += np.sum((W2 @ M - 2 * C) * W2)
    return float(loss)


class Whitened:
    """The features of some groups in coordinates in which S_jj = I.

    Groups whose features are all constant are left out, as are directions in which a group does not vary.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    groups : list of arrays of int
        The features of each group.
    how : {"auto", "cholesky", "eigh"}
    """

    def __init__(self, S: FloatArray, groups: list[IntArray], how: Factorisation):
        self.n_features = len(S)
        self.spread = np.sqrt(np.trace(S))
        active = S.diagonal() > 0
        self.numbers = [number for number, j in enumerate(groups) if active[j].any()]
        self.features = [groups[number][active[groups[number]]] for number in self.numbers]
        self._whiten, self.unwhiten = [], []  # R_j and L_j, (p, rank): x̂ = R_jᵀ x and x = L_j x̂
        for j in self.features:
            S_jj = S[np.ix_(j, j)]
            R = _whitening(S_jj, how)
            self._whiten.append(R)
            self.unwhiten.append(S_jj @ R)
        ends = np.cumsum([0] + [R.shape[1] for R in self._whiten])
        self.blocks = [slice(start, end) for start, end in pairwise(ends)]
        self.S = self.moment(S)
        for block in self.blocks:
            self.S[block, block] = np.eye(block.stop - block.start)

    def moment(self, A: FloatArray) -> FloatArray:
        """Rᵀ A R, of a second moment (d, d)."""
        return self._columns(self._columns(A, self._whiten).T, self._whiten).T

    def encoder(self, encoder: FloatArray) -> FloatArray:
        """W1 L: the encoder (k, d) for whitened features."""
        return self._columns(encoder, self.unwhiten)

    def _columns(self, A: FloatArray, factors: list[FloatArray]) -> FloatArray:
        parts = zip(self.features, factors, strict=True)
        return np.hstack([A[:, j] @ factor for j, factor in parts]) if factors else A[:, :0]

    def original_encoder(self, W: FloatArray) -> FloatArray:
        """W Rᵀ: rows (m, d) for features as they are, of the least norm."""
        out = np.zeros((len(W), self.n_features))
        for features, j, R in zip(self.features, self.blocks, self._whiten, strict=True):
            out[:, features] = W[:, j] @ R.T
        return out

    def original_decoder(self, W: FloatArray) -> FloatArray:
        """L W: columns (d, m) for features as they are."""
        out = np.zeros((self.n_features, W.shape[1]))
        for features, j, L in zip(self.features, self.blocks, self.unwhiten, strict=True):
            out[features] = L @ W[j]
        return out


class Descent:
    """Descent on the loss of an encoder with the best decoder, for whitened features."""

    def __init__(self, space: Whitened, moments: HiddenMoments):
        self.space, self.moments = space, moments

    def decoder(self, W1: FloatArray) -> FloatArray:
        """The best W2 for whitened features, whatever weight they have."""
        return np.vstack([_regressed(C, M) for _, C, M in self.moments.at(W1, _PENALTY)[0]])

    def _scaled(self, W2: FloatArray) -> Iterator[FloatArray]:
        """L_j W2_j, in units of the total spread."""
        for j, L in zip(self.space.blocks, self.space.unwhiten, strict=True):
            yield L @ W2[j] / self.space.spread

    def loss_and_gradient(self, W1: FloatArray) -> tuple[float, FloatArray]:
        """Penalised loss over the total variance with the best decoder, and its gradient."""
        spread = self.space.spread
        loss, grams, weights = 0.0, [], []
        regressions, gradient = self.moments.at(W1, _PENALTY)
        for (_, C, M), L in zip(regressions, self.space.unwhiten, strict=True):
            LC = L @ C / spread
            W2 = _regressed(LC, M)
            loss -= np.sum(W2 * LC)
            grams.append(W2.T @ W2)
            weights.append(W2.T @ L / spread)  # W2_jᵀ L_j
        return 1.0 + float(loss), 2 * gradient(grams, weights)

    def run(self, W1: FloatArray) -> tuple[FloatArray, FloatArray]:
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
        return self.space.original_encoder(W1), self.space.original_decoder(self.decoder(W1))

    def _round(self, W1: FloatArray) -> tuple[FloatArray, float, bool]:
        """Some steps of L-BFGS in coordinates in which the curvature of each group is about one."""
        W2 = np.vstack(list(self._scaled(self.decoder(W1))))
        T = qr(W2, mode="r", check_finite=False)[0][: len(W1)]
        W1 = T @ W1  # now Σ_j W2_jᵀ W2_j = I, and the features may be as large as what they explain
        roots = list(self._inverse_roots(W1))

        def each(apply: Callable[[FloatArray, FloatArray], Array], A: FloatArray) -> FloatArray:
            return np.hstack([apply(root, A[:, j]) for j, root in zip(self.space.blocks, roots, strict=True)])

        def natural(z: FloatArray) -> FloatArray:
            return each(lambda root, Z: root.T @ Z, z.reshape(W1.shape))

        def objective(z: FloatArray) -> tuple[float, FloatArray]:
            loss, gradient = self.loss_and_gradient(natural(z))
            return loss, each(np.matmul, gradient).ravel()

        start = each(lambda root, W: np.linalg.solve(root.T, W), W1)
        options = {"maxiter": _STEPS, "ftol": EPS, "gtol": _GRADIENT}
        end = minimize(objective, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        return natural(end.x), float(end.fun), bool(np.abs(end.jac).max() <= _GRADIENT)

    def _inverse_roots(self, W1: FloatArray) -> Iterator[FloatArray]:
        """F (k, k) with FᵀF = A⁻¹ for each group, where A = Σ_{l≠j} W2_lᵀ W2_l is the curvature along W1_j."""
        grams = [W2.T @ W2 for W2 in self._scaled(self.decoder(W1))]
        R = sum(grams) + _FLOOR * np.eye(len(W1))
        for gram in grams:
            yield np.linalg.inv(cholesky(R - gram, lower=True, check_finite=False))


def solve_hidden(
    S: FloatArray,
    V: FloatArray,
    moments: HiddenMoments,
    descent: Descent,
    n_components: Rank,
    how: Factorisation,
) -> tuple[Minimiser, float]:
    """Minimise the expected squared error of what is hidden at a given rank.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    V : ndarray of shape (d, d)
        Second moment of corrupted samples as they come, whatever is hidden.
    moments : HiddenMoments
        For features as they are.
    descent : Descent
        The same problem for whitened features.
    n_components : int, float or None
        The rank; a float in (0, 1) is the share of Σ λ of the solution of full rank; None is that solution.
    how : {"auto", "cholesky", "eigh"}
        How groups and V are factorised.

    Returns
    -------
    minimiser : Minimiser
        Its eigenvalues are those of B V Bᵀ: the second moments of the features that training sees.
    loss : float
        Expected squared error of what is hidden.

    Raises
    ------
    ValueError
        If there is no signal to choose a rank by.
    """
    space = descent.space
    if len(space.blocks) < 2:
        return _nothing_to_learn(S, n_components), moments.total
    B = space.original_encoder(space.original_decoder(descent.moments.full_rank(how)))
    cross = B @ V
    if (np.abs(cross) <= len(S) * EPS * np.sqrt(np.outer(S.diagonal(), V.diagonal()))).all():  # unrelated groups
        return no_signal(len(S), n_components if isinstance(n_components, Integral) else 1), moments.total
    truncated = reduced_rank_regression(cross, V.copy(order="F"), n_components, how)
    has_signal = truncated.eigenvalues[:, np.newaxis] > 0
    truncated = replace(truncated, encoder=np.where(has_signal, truncated.decoder.T @ B, 0))
    found = [truncated]
    if n_components is not None and has_signal.all():
        found.append(reduced_rank_regression(S, V.copy(order="F"), len(has_signal), how))
        starts = [space.encoder(start.encoder) for start in found]
        W1, W2 = descent.run(min(starts, key=lambda W: descent.loss_and_gradient(W)[0]))
        found.append(_split(W1, W2, V, truncated))
    losses = [expected_loss(moments, s.encoder, s.decoder) for s in found]
    best = int(np.argmin(losses))
    return found[best] if isinstance(n_components, Integral) else _with_signal(found[best]), losses[best]


def _with_signal(minimiser: Minimiser) -> Minimiser:
    """The same without directions that carry no signal: the descent may need fewer than it was started with."""
    some = carries_signal(minimiser.eigenvalues, len(minimiser.decoder))
    encoder, decoder, eigenvalues = minimiser.encoder[some], minimiser.decoder[:, some], minimiser.eigenvalues[some]
    return replace(minimiser, encoder=encoder, decoder=decoder, eigenvalues=eigenvalues)


def _nothing_to_learn(S: FloatArray, n_components: Rank) -> Minimiser:
    if S.any() and not isinstance(n_components, Integral):
        raise ValueError(
            f'loss="hidden" has nothing to learn: all features outside one patch are constant, so that '
            f'n_components={n_components} selects no direction. Use a smaller patch, or loss="all".'
        )
    return no_signal(len(S), n_components)


def _split(W1: FloatArray, W2: FloatArray, V: FloatArray, like: Minimiser) -> Minimiser:
    """The same product, with orthonormal columns in the decoder and uncorrelated features of corrupted samples."""
    Q, T = qr(W2, mode="economic", check_finite=False)
    W1 = T @ W1
    values, U = symmetric_eigen(W1 @ V @ W1.T)
    decoder = Q @ U
    orientation = signs(decoder)
    return replace(
        like,
        encoder=(U * orientation).T @ W1,
        decoder=decoder * orientation,
        eigenvalues=values.clip(0),
    )


def _whitening(S_jj: FloatArray, how: Factorisation) -> FloatArray:
    """R (p, rank) with Rᵀ S_jj R = I, its columns in the range of S_jj."""
    factor = factorise(np.array(S_jj, order="F"), how)
    rank = len(S_jj) if factor.span is None else factor.span.shape[1]
    R = factor.unwhiten(np.eye(rank, order="F"))
    return R if factor.span is None else factor.span @ (factor.span.T @ R)


def _regressed(C: FloatArray, M: FloatArray) -> FloatArray:
    """C M⁻¹ (p, k); C M⁺ if M is singular."""
    _, solved, failed = dposv(M, C.T, lower=1)
    transposed: FloatArray = _least_norm(C, M).T if failed else solved
    return transposed.T


def _least_norm(C: FloatArray, M: FloatArray) -> FloatArray:
    """C M⁺ (p, k), where M may be singular."""
    values, U = symmetric_eigen(M)
    large = values > len(M) * EPS * values[0]
    regressed: FloatArray = (C @ U[:, large] / values[large]) @ U[:, large].T
    return regressed


def _redundant(P: FloatArray, span: FloatArray, j: Block) -> FloatArray:
    """V_{j,−j} V_{−j,−j}⁺ from P = V⁺ and a basis of V's range, where V is singular.

    An eigenvector of (V⁺V)_jj tells whether a direction of group j follows from the other groups without error
    (eigenvalue below one), or belongs to it alone (one), to be estimated by P_jj⁻¹ P_{j,−j} as where V is regular.
    """
    projector = span[j] @ span.T  # (p, d)
    values, A = symmetric_eigen(projector[:, j])
    alone = values > 1 - np.sqrt(EPS)
    shared, unique = A[:, ~alone], A[:, alone]
    B: FloatArray = shared / (1 - values[~alone]) @ (shared.T @ projector)
    B[:, j] = 0
    rest = P[j] + P[j, j] @ B
    B -= unique @ np.linalg.solve(unique.T @ P[j, j] @ unique, unique.T @ rest)
    return B
