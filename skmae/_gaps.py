"""Sums over samples of which some entries are not known: each pair of features over the samples that know both.

With r = 1 where an entry is known and 0 where it is not, w the weight of a sample and y = r ⊙ (x − shift), what is
needed of them is N = Σ w r rᵀ, B = Σ w y rᵀ and A = Σ w y yᵀ. All three add over batches. (n samples, d features.)
"""

import warnings
from collections.abc import Iterator
from typing import Self

import numpy as np

from skmae._gram import products, takes_eight_bit
from skmae._typing import Array, BoolArray, FloatArray, IntArray

_NOTHING = 1e-12  # of a count that was: what rounding alone leaves of it


class PairSums:
    """N and B; A is summed elsewhere, where that of complete samples is.

    Parameters
    ----------
    n : float
        Σ w of samples to begin with, which are complete.
    first : ndarray of shape (d,)
        Σ w y of these.

    Attributes
    ----------
    n_samples : float
        Σ w.
    counts : ndarray of shape (d, d)
        N.
    firsts : ndarray of shape (d, d)
        B: row i, column j is the sum of feature i over the samples that know j as well.
    """

    def __init__(self, n: float, first: FloatArray):
        self.n_samples = float(n)
        self.counts = np.full((len(first), len(first)), float(n))
        self.firsts = np.repeat(first[:, np.newaxis], len(first), axis=1)

    def add(self, block: Array, seen: BoolArray, weights: FloatArray | None) -> None:
        """Add incomplete samples.

        Parameters
        ----------
        block : ndarray of shape (m, d)
            y; in float32 only if it holds whole numbers that sum exactly there, or if its sums may round; int8 only
            where `takes_eight_bit`, and without weights.
        seen : ndarray of bool of shape (m, d)
            r.
        weights : ndarray of shape (m,) or None
        """
        r = seen.astype(block.dtype)
        weighted = r if weights is None else r * weights.astype(block.dtype)[:, np.newaxis]
        if weights is None and takes_eight_bit(*block.shape):
            self.counts += products(seen.view(np.int8), seen.view(np.int8))
        else:
            self.counts += products(r, weighted)
        self.firsts += products(block, weighted)
        self.n_samples += len(block) if weights is None else float(weights.sum())

    def copy(self) -> "PairSums":
        return PairSums(0, np.zeros(len(self.counts))).combine(self, 1)

    def combine(self, other: "PairSums", sign: int) -> Self:
        """Add, or take away, sums about the same shift."""
        self.n_samples = float(_combined(self.n_samples, other.n_samples, sign))
        self.counts = _combined(self.counts, other.counts, sign)
        self.firsts = self.firsts + sign * other.firsts
        return self

    def among(self, n: float, whole: float) -> "PairSums":
        """These sums, where samples of weight `n` are left of `whole`: all of them, but for rounding, or some."""
        rounded = self.copy()
        if abs(n - self.n_samples) <= _NOTHING * whole:
            rounded.n_samples = n
        return rounded

    def moved(self, delta: FloatArray) -> "PairSums":
        """The sums about another shift, δ = old − new: B_ij gains δ_i N_ij."""
        moved = self.copy()
        moved.firsts += delta[:, np.newaxis] * self.counts
        return moved

    def gain(self, delta: FloatArray) -> FloatArray:
        """What A gains about another shift: A_ij gains δ_j B_ij + δ_i B_ji + N_ij δ_i δ_j."""
        half: FloatArray = (self.firsts + delta[:, np.newaxis] * self.counts / 2) * delta
        return half + half.T

    def centre(self, A: FloatArray) -> FloatArray:
        """The second moment about the mean from A, whose lower triangle is read, in its place.

        S_ij = (A_ij − δ_j B_ij − δ_i B_ji + N_ij δ_i δ_j) / N_ij with δ_i = B_ii / N_ii; a pair that is never known
        together counts as uncorrelated, and is warned of.
        """
        A += self.gain(-self.first / self.n)
        apart = self.counts <= 0
        if apart.any():
            warnings.warn(
                f"{np.count_nonzero(apart) // 2} pairs of features are never known together; they count as "
                f"uncorrelated.",
                stacklevel=2,
            )
        np.divide(A, self.counts, out=A, where=~apart)
        A[apart] = 0
        return A

    @property
    def n(self) -> FloatArray:
        """(d,) Σ w of the samples that know each feature."""
        return self.counts.diagonal()

    @property
    def first(self) -> FloatArray:
        """(d,) Σ w y of each feature."""
        return self.firsts.diagonal()


def by_mask(seen: BoolArray) -> Iterator[tuple[BoolArray, IntArray]]:
    """Each distinct mask (d,) of rows (n, d), and which rows have it."""
    _, first, number = np.unique(np.packbits(seen, axis=1), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(number.ravel(), minlength=len(first)))
    for row, rows in zip(first, np.split(order, ends[:-1]), strict=True):
        yield seen[row], rows


def _combined(ours: float | FloatArray, theirs: float | FloatArray, sign: int) -> FloatArray:
    """Weights added, or taken away; where rounding alone is left of ours, nothing is."""
    left = np.asarray(ours + sign * theirs)
    return np.where(np.abs(left) <= _NOTHING * np.asarray(ours), 0, left)
