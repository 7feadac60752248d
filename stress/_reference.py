"""The answers, written a second time from the equations: slowly, in long double, sharing nothing with the package.

A sample x is centred, x̃ is what is left of it: each patch is visible (r = 1) or not, and what is visible is divided by
the rate q at which it is. S = E[x xᵀ], V = E[x̃ x̃ᵀ] = S ⊙ Q + σ² I with Q_ij = E[r_i r_j] / (q_i q_j).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

Wide = np.longdouble


def patches(sample: tuple[int, ...], channel_axis: int | None, patch: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """The patch of each feature, in C order, and how many patches there are along each axis."""
    grid = [size for axis, size in enumerate(sample) if axis != channel_axis]
    sizes = [patch] * len(grid) if isinstance(patch, int) else list(patch)
    sizes = [min(a, b) for a, b in zip(sizes, grid, strict=True)]
    counts = tuple(-(-size // p) for size, p in zip(grid, sizes, strict=True))
    labels = []
    for place in product(*map(range, sample)):
        pixel = [i for axis, i in enumerate(place) if axis != channel_axis]
        label = 0
        for i, p, count in zip(pixel, sizes, counts, strict=True):
            label = label * count + i // p
        labels.append(label)
    return np.array(labels), counts


@dataclass
class Masks:
    """How patches are hidden: by units, each hidden by itself with probability `p`, or `keep` of them left.

    Attributes
    ----------
    units : ndarray of bool of shape (n_units, N)
        Whether a unit hides a patch while it is hidden.
    p : float or None
    keep : int or None
    """

    units: np.ndarray
    p: float | None = None
    keep: int | None = None

    def visible_together(self, *each: np.ndarray) -> np.ndarray:
        """The chance that patches are visible together; of arrays of patches, which broadcast."""
        together = np.broadcast_arrays(*each)
        covered = np.any([self.units[:, a] for a in together], axis=0)
        n_units = covered.sum(axis=0)
        if self.p is not None:
            return (1 - Wide(self.p)) ** n_units
        total, keep = len(self.units), int(self.keep)
        chance = np.ones(n_units.shape, Wide)
        for i in range(int(n_units.max(initial=0))):
            chance = np.where(i < n_units, chance * max(keep - i, 0) / max(total - i, 1), chance)
        return chance

    @cached_property
    def one(self) -> np.ndarray:
        return self.visible_together(np.arange(self.units.shape[1]))

    @cached_property
    def two(self) -> np.ndarray:
        a = np.arange(self.units.shape[1])
        return self.visible_together(a[:, np.newaxis], a)

    @cached_property
    def three(self) -> np.ndarray:
        a = np.arange(self.units.shape[1])
        return self.visible_together(a[:, np.newaxis, np.newaxis], a[:, np.newaxis], a)


@dataclass
class Draws:
    """Masks (m, N) that are all there is, each as likely."""

    visible: np.ndarray

    @cached_property
    def one(self) -> np.ndarray:
        return self.visible.mean(axis=0, dtype=Wide)

    @cached_property
    def two(self) -> np.ndarray:
        r = self.visible.astype(np.float64)
        return (r.T @ r).astype(Wide) / len(r)

    @cached_property
    def three(self) -> np.ndarray:
        r = self.visible.astype(np.float64)
        return np.einsum("ma,mb,mc->abc", r, r, r, optimize=True).astype(Wide) / len(r)


def single_units(counts: tuple[int, ...]) -> np.ndarray:
    return np.eye(int(np.prod(counts)), dtype=bool)


def stripes(counts: tuple[int, ...], axis: int) -> np.ndarray:
    places = np.array(list(product(*map(range, counts))))
    return np.arange(counts[axis])[:, np.newaxis] == places[:, axis]


def tubes(counts: tuple[int, ...], axis: int) -> np.ndarray:
    places = np.array(list(product(*map(range, counts))))
    rest = np.delete(places, axis % len(counts), axis=1)
    return np.array([(rest == other).all(axis=1) for other in np.unique(rest, axis=0)])


def blocks(counts: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """A unit for each place where a block may begin, beyond the border too."""
    places = np.array(list(product(*map(range, counts))))
    begins = product(*(range(1 - s, n) for n, s in zip(counts, size, strict=True)))
    return np.array([((places >= b) & (places < np.add(b, size))).all(axis=1) for b in begins])


@dataclass
class Reference:
    """A linear autoencoder's losses and optima for given samples.

    Parameters
    ----------
    values : ndarray of shape (n, d)
    weights : ndarray of shape (n,) or None
    labels : ndarray of int of shape (d,)
        The patch of each feature.
    masks : Masks, Draws or None
        None hides nothing.
    noise : float
        σ², in units of the values squared.
    speckle : float
        Variance of noise that each feature is multiplied by, beside the masks.
    """

    values: np.ndarray
    weights: np.ndarray | None
    labels: np.ndarray
    masks: Masks | Draws | None = None
    noise: float = 0.0
    speckle: float = 0.0

    def __post_init__(self) -> None:
        X = self.values.astype(Wide)
        self.unit = Wide(np.abs(X).max()) or Wide(1)  # so that nothing overflows; all that follows is in this unit
        X = X / self.unit
        w = np.ones(len(X), Wide) if self.weights is None else self.weights.astype(Wide)
        w = w / w.max()
        self.share = w / w.sum()
        self.centre = self.share @ X
        centred = X - self.centre
        self.centre = self.centre + self.share @ centred
        self.centred = X - self.centre
        counts = X[w > 0]
        self.centred[:, (counts == counts[0]).all(axis=0)] = 0  # not what rounding makes of them
        spread = np.abs(self.centred).max()
        if spread > 0:  # the spread is the better unit
            self.unit, self.centred, self.centre = self.unit * spread, self.centred / spread, self.centre / spread
        self.S = (self.centred * self.share[:, np.newaxis]).T @ self.centred

    @property
    def mean(self) -> np.ndarray:
        return self.centre * self.unit

    @property
    def total(self) -> float:
        """tr S, in the reference's unit."""
        return self.S.trace()

    @property
    def sigma2(self) -> np.longdouble:
        return Wide(self.noise) / self.unit / self.unit

    @cached_property
    def Q(self) -> np.ndarray:
        """(d, d)."""
        if self.masks is None:
            return np.ones((len(self.labels),) * 2, Wide) + self.speckle * np.eye(len(self.labels))
        q = self.masks.one
        return (self.masks.two / np.outer(q, q))[np.ix_(self.labels, self.labels)]

    @property
    def hidden(self) -> float:
        """Share of patches hidden, on average."""
        return 0.0 if self.masks is None else float(1 - self.masks.one.mean())

    def second_of(self, samples: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Second moment of other samples about a mean."""
        Y = (samples.astype(Wide) - mean) / self.unit
        return Y.T @ Y / len(Y)

    def loss_all(self, B: np.ndarray, S: np.ndarray | None = None) -> np.longdouble:
        """E‖x − B x̃‖² per feature: tr S − 2 tr(BS) + tr(B V Bᵀ)."""
        S = self.S if S is None else S
        B = B.astype(Wide)
        G = B.T @ B
        return (S.trace() - 2 * (B * S).sum() + (G * S * self.Q).sum() + self.sigma2 * G.trace()) / len(S)

    def loss_hidden(self, B: np.ndarray, S: np.ndarray | None = None) -> np.longdouble:
        """The error of each feature while it is hidden, over the expected number of hidden features."""
        S = self.S if S is None else S
        B = B.astype(Wide)
        q, two, three, labels = self.masks.one, self.masks.two, self.masks.three, self.labels
        error, count = Wide(0), Wide(0)
        for a in range(len(q)):
            rows = labels == a
            cross = ((q - two[a]) / q)[labels]
            pairs = ((two - three[a]) / np.outer(q, q))[np.ix_(labels, labels)]
            Ba = B[rows]
            error += (1 - q[a]) * S[rows][:, rows].trace() - 2 * (Ba * S[rows] * cross).sum()
            error += ((Ba.T @ Ba) * S * pairs).sum()
            count += (1 - q[a]) * rows.sum()
        return error / count

    @cached_property
    def _root(self) -> np.ndarray:
        """R with S = RᵀR, no longer than it is wide."""
        R = (self.centred * np.sqrt(self.share)[:, np.newaxis]).astype(np.float64)
        return np.linalg.qr(R, mode="r") if len(R) > R.shape[1] else R

    @cached_property
    def explained(self) -> np.ndarray:
        """λ of Theorem 1, descending, without ever dividing by what is small.

        V = F Fᵀ with F = [Rᵀ, Rᵀ ⊙ r_1, Rᵀ ⊙ r_2, …, σI], where Q − 11ᵀ = Σ r_k r_kᵀ. With F = U Σ Wᵀ and W_1 the
        rows of W that belong to Rᵀ, S V⁺ S = Rᵀ W_1 W_1ᵀ R.
        """
        R = self._root
        if self.masks is None and not self.speckle and self.sigma2 > 1e4 * self.total:  # beyond what F tells apart
            s = np.linalg.svd(R, compute_uv=False).astype(Wide) ** 2
            return np.concatenate([s * s / (s + self.sigma2), np.zeros(len(self.S))])[: len(self.S)].astype(np.float64)
        sizes, Wt = self._rows_of_F
        Wt = Wt[sizes > 1e-8]  # what is cut off and what rounding adds are 1e-16 alike
        values = np.linalg.svd(Wt[:, : len(R)] @ R, compute_uv=False) ** 2
        return np.concatenate([values, np.zeros(max(len(self.S) - len(values), 0))])[: len(self.S)]

    @cached_property
    def _rows_of_F(self) -> tuple[np.ndarray, np.ndarray]:
        """Singular values of F over the largest, and W transposed; a small feature counts like a large one."""
        R = self._root
        excess, roots = np.linalg.eigh((self.Q - 1).astype(np.float64))
        large = excess > 1e-12 * max(excess[-1], 1)
        parts = [R.T] + [
            R.T * (r * np.sqrt(e))[:, np.newaxis] for e, r in zip(excess[large], roots.T[large], strict=True)
        ]
        if self.noise:
            parts.append(np.eye(R.shape[1]) * float(np.sqrt(self.sigma2)))
        _, sizes, Wt = np.linalg.svd(_unit_rows(np.hstack(parts)), full_matrices=False)
        return sizes / max(sizes[0], 1e-300), Wt

    def optimum(self, k: int) -> float:
        """The least loss of all features at rank k, per feature."""
        return max(float(self.total) - self.explained[:k].sum(), 0.0) / len(self.S)

    def condition(self) -> float:
        """Reciprocal condition of V, scaled to a unit diagonal, constant features left out."""
        values = _relative_eigenvalues(self.S * self.Q + self.sigma2 * np.eye(len(self.S)))
        return max(float(values[0]), 0.0)

    def rounding(self) -> float:
        """What rounding of S and V may change of λ, over tr S, where V is nearly singular."""
        sizes = self._rows_of_F[0]
        least = float(sizes[sizes > 1e-13].min(initial=1.0)) ** 2
        return min(1e-16 / least, 0.01) if least < 1e-10 else 0.0

    def condition_while_hidden(self) -> float:
        """The least one of S and of what the other patches show while one is hidden."""
        q, labels, masks = self.masks.one, self.labels, self.masks
        pairs = [((masks.two - three) / np.outer(q, q))[np.ix_(labels, labels)] for three in masks.three]
        return min(float(_relative_eigenvalues(V)[0]) for V in (self.S, *(self.S * pair for pair in pairs)))

    def optimum_hidden(self) -> float:
        """The least loss of hidden features without a limit of rank: each patch regressed on the others."""
        R, labels, masks = self._root, self.labels, self.masks
        q, error, count = masks.one, 0.0, 0.0
        for a in range(len(q)):
            rows = labels == a
            pairs = (masks.two - masks.three[a]) / np.outer(q, q)
            cross = ((q - masks.two[a]) / q)[labels].astype(np.float64)
            sizes, roots = np.linalg.eigh(pairs.astype(np.float64))
            large = sizes > 1e-12 * max(sizes[-1], 1e-300)
            seen = pairs.diagonal() > 1e-12 * pairs.max()  # the patch itself never is, nor those hidden with it
            spread = (roots[:, large] * np.sqrt(sizes[large]) * seen[:, np.newaxis])[labels]  # (d, m)
            F = np.hstack([np.zeros((len(labels), 1)), *(R.T * column[:, np.newaxis] for column in spread.T)])
            length = np.linalg.norm(F, axis=1)
            U, size, _ = np.linalg.svd(_unit_rows(F), full_matrices=False)
            kept = size > 1e-11 * max(size[0], 1e-300)
            target = (R[:, rows].T @ R) * cross / np.where(length > 0, length, 1)  # (p, d)
            found = target @ (U[:, kept] / size[kept])
            error += float((1 - q[a]) * self.S[rows][:, rows].trace()) - (found**2).sum()
            count += float(1 - q[a]) * rows.sum()
        return max(error, 0.0) / count


def _relative_eigenvalues(V: np.ndarray) -> np.ndarray:
    """Of a second moment scaled to a unit diagonal, ascending, over the largest; constant features are left out."""
    varies = V.diagonal() > 0
    if not varies.any():
        return np.zeros(1)
    V = V[np.ix_(varies, varies)]
    size = np.sqrt(V.diagonal())
    values = np.linalg.eigvalsh((V / size / size[:, np.newaxis]).astype(np.float64))
    return np.asarray(values / values[-1])


def _unit_rows(F: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(F, axis=1, keepdims=True)
    return F / np.where(length > 0, length, 1)
