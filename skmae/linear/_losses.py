"""What counts as an error: of all features, or of those that are hidden.

A loss of one's own is a subclass of `Loss` with `expected_error` and `minimise`; a model takes it as ``loss=``.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skmae._grid import PatchGrid
from skmae._typing import FloatArray, IntArray, Shape
from skmae.linear._corruptions import Corruption, Masks, WhileHidden, squares
from skmae.linear._descent import Descent, HiddenMoments, OneByOne, SameForAll, Whitened, solve_hidden
from skmae.linear._primal import Factorisation, Minimiser, Rank, Remainder, solve_together

# D = Σ_g within_g·S_gg is subtracted from `across`·S to save products with S; beyond this, that costs digits
_LARGEST_WITHIN = 100.0
# Entries of second moments that are formed where each patch needs one of its own
_LARGEST_ONE_BY_ONE = 50_000_000


class Loss:
    """Base of the losses. They are compared and hashed by value, so that a search may share what it solves.

    Examples
    --------
    A subclass has `expected_error` and `minimise`. Here only the first features count, the upper rows of an image:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.linear import Loss, reduced_rank_regression
    >>> @dataclass(frozen=True)
    ... class FirstFeatures(Loss):
    ...     n: int
    ...
    ...     def expected_error(self, corruption, X, encoder, decoder):
    ...         counts = np.arange(len(decoder)) < self.n
    ...         error = corruption.expected_error(X, encoder, decoder * counts[:, np.newaxis])
    ...         return error - (X[:, ~counts] ** 2).sum(axis=1)
    ...
    ...     def minimise(self, corruption, S, n_components, how="auto"):
    ...         counts = np.arange(len(S)) < self.n
    ...         found = reduced_rank_regression(S * counts[:, np.newaxis], corruption.second(S), n_components, how)
    ...         return found, S.diagonal()[counts].sum() - found.eigenvalues.sum()
    >>> X = load_digits().images
    >>> mae = LinearMAE(8, mask=0.5, patch=2, loss=FirstFeatures(32)).fit(X)
    >>> bool(np.isclose(mae.expected_loss_, -mae.score(X)))
    True
    >>> bool(mae.decoder_[32:].any())
    False
    """

    smaller_ranks_follow = False
    """Whether the minimiser of rank k is made of the leading directions of any larger rank (Theorem 1)."""

    takes_float32 = False
    """Whether second moments summed in float32 may do, where they are well conditioned."""

    takes_rows = False
    """Whether the dual solver, which knows Theorem 1 only, minimises it."""

    def refuses(self, grid: PatchGrid, corruption: Corruption) -> str | None:  # noqa: ARG002
        """Why it cannot be minimised under this corruption, and what to do; None if it can."""
        return None

    def expected_error(
        self, corruption: Corruption, X: FloatArray, encoder: FloatArray, decoder: FloatArray
    ) -> FloatArray:
        """Expected squared error of each centred row of `X`, summed over features.

        Parameters
        ----------
        corruption : Corruption
        X : ndarray of shape (n, d)
        encoder : ndarray of shape (k, d)
        decoder : ndarray of shape (d, k)

        Returns
        -------
        ndarray of shape (n,)
        """
        raise NotImplementedError

    def minimise(
        self, corruption: Corruption, S: FloatArray, n_components: Rank, how: Factorisation = "auto"
    ) -> tuple[Minimiser, float]:
        """The encoder and decoder of least expected error, and that error, summed over features.

        Parameters
        ----------
        corruption : Corruption
        S : ndarray of shape (d, d)
            Second moment of samples about their mean.
        n_components : int, float or None
            The rank; a float in (0, 1) is a share of what could be explained; None is all that carries signal.
        how : {"auto", "cholesky", "eigh"}
            How second moments are factorised, see `skmae.linear._primal.factorise`.

        Returns
        -------
        minimiser : Minimiser
        error : float
        """
        raise NotImplementedError


@dataclass(frozen=True)
class AllFeatures(Loss):
    """The squared error of all features, hidden and visible: tr S − Σ λ (equation 1, Theorem 1).

    Examples
    --------
    >>> from skmae import LinearMAE
    >>> from skmae.linear import AllFeatures
    >>> LinearMAE(loss=AllFeatures())  # the same as loss="all"
    LinearMAE(loss=AllFeatures())
    """

    smaller_ranks_follow = True
    takes_float32 = True
    takes_rows = True

    def expected_error(
        self, corruption: Corruption, X: FloatArray, encoder: FloatArray, decoder: FloatArray
    ) -> FloatArray:
        return corruption.expected_error(X, encoder, decoder)

    def minimise(
        self, corruption: Corruption, S: FloatArray, n_components: Rank, how: Factorisation = "auto"
    ) -> tuple[Minimiser, float]:
        return self.minimise_together([corruption], S, n_components, how, [np.empty_like(S, order="F")])[0]

    def minimise_together(
        self,
        corruptions: list[Corruption],
        S: FloatArray,
        n_components: Rank,
        how: Factorisation,
        workspace: list[FloatArray],
    ) -> list[tuple[Minimiser, float]]:
        """`minimise` for several corruptions, each with an array (d, d) to work in: products with S are shared."""
        total = float(np.trace(S))
        seconds = [corruption.second(S, out) for corruption, out in zip(corruptions, workspace, strict=False)]
        remainders = [remainder_of(corruption, S) for corruption in corruptions]
        minimisers = solve_together(S, seconds, n_components, how, remainders)
        multiples = [corruption.multiple(len(S)) for corruption in corruptions]
        minimisers = [_uncorrupted(m, S, multiple) for m, multiple in zip(minimisers, multiples, strict=True)]
        return [(minimiser, total - float(minimiser.eigenvalues.sum())) for minimiser in minimisers]


def remainder_is_small(corruption: Corruption) -> bool:
    """Whether what V is beside across·S takes little to apply, and is not so large that it must not be subtracted."""
    is_large = np.max(corruption.within) > _LARGEST_WITHIN * corruption.across
    return not (corruption.is_dense or corruption.noise or is_large)


def remainder_of(corruption: Corruption, S: FloatArray) -> Remainder | None:
    if corruption.is_dense or not corruption.across:
        return None
    return Remainder(corruption.across, corruption.remainder_product(S), remainder_is_small(corruption))


def _uncorrupted(minimiser: Minimiser, S: FloatArray, multiple: float | None) -> Minimiser:
    """The same where V is a multiple of S: then the encoder is the decoder's transpose, and no S⁺S need be rounded."""
    if multiple is None:
        return minimiser
    varies = S.diagonal() > 0
    decoder = minimiser.decoder
    if not varies.all():  # directions of little signal are mixed with features of none
        allowed = varies[:, np.newaxis] | (minimiser.eigenvalues == 0)
        decoder, R = np.linalg.qr(decoder * allowed)
        decoder = decoder * np.where(R.diagonal() < 0, -1, 1) * allowed
    encoder = decoder.T * (minimiser.eigenvalues > 0)[:, np.newaxis] / multiple
    return replace(minimiser, encoder=encoder, decoder=decoder)


@dataclass(frozen=True)
class HiddenFeatures(Loss):
    """The squared error of each feature while it is hidden, as in masked autoencoders that are trained.

    It is summed over features and divided by the share of them that is hidden.

    Examples
    --------
    >>> from skmae import LinearMAE
    >>> from skmae.linear import HiddenFeatures
    >>> LinearMAE(loss=HiddenFeatures())  # the same as loss="hidden"
    LinearMAE(loss=HiddenFeatures())
    """

    def refuses(self, grid: PatchGrid, corruption: Corruption) -> str | None:
        if corruption.while_hidden is None:
            return (
                'loss="hidden" needs a corruption that says which patches are hidden together: make it with '
                'Corruption.of_masks, bernoulli or exact, or use loss="all".'
            )
        d = grid.n_features
        if len(_groups(corruption, d)) == 1:
            together = "" if grid.n_patches == 1 else "these masks hide all patches together, as if "
            return (
                f'loss="hidden" needs two patches at least, to tell one from another, but {together}'
                f"patch={_patch(grid)} is all of the grid {grid.grid_shape} (n_features={d}). Pass a smaller patch, or "
                f'loss="all".'
            )
        entries = len(_groups(corruption, d)) * d**2
        if _common_moments(corruption) is None and entries > _LARGEST_ONE_BY_ONE:
            return (
                f'loss="hidden" with these masks, or with noise, takes n_patches × n_features² = {entries:.1e} '
                f"numbers, more than {_LARGEST_ONE_BY_ONE:.0e}: each patch needs a second moment of its own. Use "
                f'mask_sampling="bernoulli" or "exact", stripes or tubes, or smaller images; or loss="all".'
            )
        return None

    def expected_error(
        self, corruption: Corruption, X: FloatArray, encoder: FloatArray, decoder: FloatArray
    ) -> FloatArray:
        common = _common_moments(corruption)
        if common is None:
            return _error_one_by_one(_factors_of_groups(corruption, X.shape[1]), corruption.noise, X, encoder, decoder)
        features = X @ encoder.T
        R = decoder.T @ decoder
        error = squares(X)
        for j in corruption.members(X.shape[1]):
            from_group, W2 = X[:, j] @ encoder[:, j].T, decoder[j]
            rebuilt = (features - from_group) @ W2.T  # from all other groups
            error += np.einsum("np,np->n", common.across * rebuilt - 2 * common.cross * X[:, j], rebuilt)
            error += common.within * np.einsum("nk,nk->n", from_group @ (R - W2.T @ W2), from_group)
        return error

    def minimise(
        self, corruption: Corruption, S: FloatArray, n_components: Rank, how: Factorisation = "auto"
    ) -> tuple[Minimiser, float]:
        V = corruption.second(S)
        space = Whitened(S, _groups(corruption, len(S)), how)
        common = _common_moments(corruption)
        moments: HiddenMoments
        whitened: HiddenMoments
        if common is None:
            moments, whitened = _moments_one_by_one(S, V, space, corruption)
        else:
            moments = SameForAll(S, corruption.members(len(S)), common)
            whitened = SameForAll(space.S, space.blocks, common)
        return solve_hidden(S, V, moments, Descent(space, whitened), n_components, how)


def resolve_loss(loss: Any, corruption: Corruption) -> Loss:
    """The loss that a parameter `loss` names, or is.

    Parameters
    ----------
    loss : {"all", "hidden"} or Loss
    corruption : Corruption
        Where it hides nothing, everything counts.
    """
    if isinstance(loss, str):
        loss = {"all": AllFeatures, "hidden": HiddenFeatures}[loss]()
    if isinstance(loss, type):
        raise ValueError(f"loss is the class {loss.__name__}. Pass an object: {loss.__name__}().")
    return AllFeatures() if isinstance(loss, HiddenFeatures) and not corruption.hidden else loss


def _patch(grid: PatchGrid) -> int | Shape:
    """As a user writes it."""
    return grid.patch_shape[0] if len(set(grid.patch_shape)) == 1 else grid.patch_shape


def _groups(corruption: Corruption, d: int) -> list[IntArray]:
    """Features that are rebuilt together."""
    masks = corruption.while_hidden
    return masks.grid.features_of_patch if isinstance(masks, Masks) else corruption.members(d)


def _common_moments(corruption: Corruption) -> WhileHidden | None:
    """The moments of the other groups while one is hidden, where they are the same for all groups."""
    common = corruption.while_hidden
    return common if isinstance(common, WhileHidden) and not corruption.noise else None


def _factors_of_groups(corruption: Corruption, d: int) -> tuple[list[IntArray], FloatArray, FloatArray, FloatArray]:
    """Features of each group, w_j (N,), and what S is multiplied by in cross_j (N, N) and V_j (N, N, N)."""
    groups, masks = _groups(corruption, d), corruption.while_hidden
    if isinstance(masks, Masks):
        chances, cross, pairs = masks.while_hidden
    elif masks is None:
        raise TypeError("The corruption does not say what is hidden together, which `refuses` says first.")
    else:
        same = np.eye(len(groups))
        others = 1 - same
        chances = np.full(len(groups), corruption.hidden)
        cross = corruption.hidden * masks.cross * others
        pairs = corruption.hidden * (masks.across + masks.within * same)
        pairs = pairs * others[:, :, np.newaxis] * others[:, np.newaxis]
    share = d / (chances @ [len(features) for features in groups])  # all features over those that are hidden
    return groups, share * chances, share * cross, share * pairs


def _moments_one_by_one(
    S: FloatArray, V: FloatArray, space: Whitened, corruption: Corruption
) -> tuple[HiddenMoments, HiddenMoments]:
    """For features as they are, and for whitened ones."""
    groups, weights, cross, pairs = _factors_of_groups(corruption, len(S))
    noise, n = corruption.noise * np.eye(len(S)), space.numbers
    original = OneByOne(S, groups, weights, cross, pairs, noise, V)
    some = (weights[n], cross[np.ix_(n, n)], pairs[np.ix_(n, n, n)])
    return original, OneByOne(space.S, space.blocks, *some, space.moment(noise), space.moment(V))


def _error_one_by_one(
    moments: tuple[list[IntArray], FloatArray, FloatArray, FloatArray],
    noise: float,
    X: FloatArray,
    encoder: FloatArray,
    decoder: FloatArray,
) -> FloatArray:
    """Σ_j w_j E[‖x_j − W2_j W1 x̃‖² | j is hidden] = Σ_j w_j ‖x_j‖² + xᵀ A x + a constant, of each row."""
    groups, weights, cross, pairs = moments
    labels = np.empty(X.shape[1], np.intp)
    for number, j in enumerate(groups):
        labels[j] = number
    A = np.diag(weights[labels])
    constant, gram_of_encoder = 0.0, encoder @ encoder.T
    for number, j in enumerate(groups):
        W2 = decoder[j]
        gram = W2.T @ W2
        A[j] -= 2 * (W2 @ encoder) * cross[number, labels]
        A += (encoder.T @ gram @ encoder) * pairs[number][np.ix_(labels, labels)]
        constant += weights[number] * noise * np.sum(gram * gram_of_encoder)
    error: FloatArray = np.einsum("nd,nd->n", X @ A, X) + constant
    return error
