"""What a corruption does to second moments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dgemm

from skmae._grid import PatchGrid

_FEATURES_AT_A_TIME = 96


@dataclass(frozen=True)
class Corruption:
    """A corruption with E[x̃ | x] = x, by its second moment.

    cross = E[x x̃ᵀ] = S and V = E[x̃ x̃ᵀ] = across·S + within·BD(S) + noise·I, where BD(S) keeps the entries of S
    that join features of one patch.

    Parameters
    ----------
    across, within, noise : float
    hidden : float
        Expected share of patches that are hidden.
    n_visible : int or None
        Patches that are left, where that number is fixed.
    """

    across: float = 1.0
    within: float = 0.0
    noise: float = 0.0
    hidden: float = 0.0
    n_visible: int | None = None

    @classmethod
    def bernoulli(cls, mask: float) -> "Corruption":
        """Each patch hidden with probability `mask`, what is left divided by 1 − mask (Eq. 1, Lemma 1)."""
        return cls(within=mask / (1 - mask), hidden=mask)

    @classmethod
    def exact(cls, n_visible: int, n_patches: int) -> "Corruption":
        """Exactly `n_visible` of `n_patches` patches left, divided by the share q = n_visible / n_patches."""
        q = n_visible / n_patches
        a = q * (n_visible - 1) / (n_patches - 1) if n_patches > 1 else 0.0  # both of two patches visible
        return cls(across=a / q**2, within=(q - a) / q**2, hidden=1 - q, n_visible=n_visible)

    def draw(self, n_samples: int, n_patches: int, random_state: np.random.RandomState) -> np.ndarray:
        """(n_samples, n_patches) bool, True where visible."""
        level = random_state.random_sample((n_samples, n_patches))
        if self.n_visible is None:
            return level >= self.hidden
        rank = level.argsort(axis=1).argsort(axis=1)
        return rank < self.n_visible

    def own(self, S: np.ndarray, grid: PatchGrid) -> Callable[[np.ndarray], np.ndarray]:
        """B ↦ D B, where D = within·BD(S) is what V has beside across·S, but for noise; B and D B are (d, b)."""
        groups = list(_joined(grid.features_of_patch))
        blocks = []
        for features in groups:
            patch = grid.patch_of_feature[features]
            same = patch == patch[:, np.newaxis]
            blocks.append(np.asfortranarray(np.where(same, self.within * S[np.ix_(features, features)], 0)))

        def apply(B: np.ndarray) -> np.ndarray:
            D = np.empty_like(B)
            for block, features in zip(blocks, groups, strict=True):
                D[features] = dgemm(1.0, B[features].T, block).T  # NumPy's own threads would be in the way of SciPy's
            return D

        return apply

    def second(self, S: np.ndarray, grid: PatchGrid, out: np.ndarray | None = None) -> np.ndarray:
        """V, in `out` or a new array, in Fortran order."""
        V = np.empty_like(S, order="F") if out is None else out
        np.copyto(V, S)
        if self.across != 1:
            V *= self.across
        if self.within:
            for features in grid.features_of_patch:
                block = np.ix_(features, features)
                V[block] += self.within * S[block]
        if self.noise:
            V[np.diag_indices_from(V)] += self.noise
        return V

    def expected_error(self, X: np.ndarray, encoder: np.ndarray, decoder: np.ndarray, grid: PatchGrid) -> np.ndarray:
        """E‖x − W2 W1 x̃‖² of each centred row of `X`, without forming anything d×d.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        encoder : ndarray of shape (k, d)
        decoder : ndarray of shape (d, k)
        grid : PatchGrid

        Returns
        -------
        ndarray of shape (n,)
        """
        decoded = np.linalg.qr(decoder, mode="r") @ encoder  # (k, d): ‖W2 W1 x‖² = ‖decoded x‖²
        error = squares(X) - 2 * np.einsum("nk,nk->n", X @ decoder, X @ encoder.T)
        error += self.across * squares(X @ decoded.T)
        if self.within:
            for features in grid.features_of_patch:
                error += self.within * squares(X[:, features] @ decoded[:, features].T)
        if self.noise:
            error += self.noise * np.sum(decoded**2)
        return error


def _joined(patches: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Features of whole patches, enough at a time for a matrix product to pay."""
    group: list[np.ndarray] = []
    for features in patches:
        group.append(features)
        if sum(map(len, group)) >= _FEATURES_AT_A_TIME:
            yield np.concatenate(group)
            group = []
    if group:
        yield np.concatenate(group)


def squares(rows: np.ndarray) -> np.ndarray:
    """‖row‖² of each row."""
    return np.einsum("nk,nk->n", rows, rows)
