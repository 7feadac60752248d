"""What a corruption does to second moments."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import isfinite
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.linalg.blas import dgemm

from skmae._grid import PatchGrid
from skmae._samples import naming
from skmae._typing import Array, FloatArray, IntArray
from skmae.masking import GroupSampler, Sampled, Sampler, moments_of

_FEATURES_AT_A_TIME = 96
_COLUMNS_AT_A_TIME = 256
_ROUNDING = 1e-13  # of Q, below which two of its entries are the same; masks of 1e-9 leave no more than ten times this


class WhileHidden(NamedTuple):
    """Moments of the other groups while one is hidden: E[x x̃ᵀ] = cross·S, E[x̃ x̃ᵀ] = across·S + within·BD(S)."""

    cross: float
    across: float
    within: float


@dataclass(frozen=True)
class Masks:
    """A distribution of masks over the patches of a grid: what `loss="hidden"` asks of it."""

    sampler: Sampler
    grid: PatchGrid
    mask: float

    @cached_property
    def rates(self) -> FloatArray:
        """(N,) the rates at which patches are visible."""
        if isinstance(self.sampler, GroupSampler):  # without anything N × N
            return np.full(self.grid.n_patches, self.sampler.chances(self.grid, self.mask)[0])
        return moments_of(self.sampler, self.grid, self.mask)[0]

    @property
    def rates_are_equal(self) -> bool:
        """Whether all patches are visible at the same rate."""
        return bool(np.ptp(self.rates) <= _ROUNDING)

    @cached_property
    def while_hidden(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of each patch a: the chance (N,) that it is hidden; and while it is, what S is multiplied by.

        In E[x x̃ᵀ] that is E[(1 − r_a) r_b] / q_b, (N, N), and in E[x̃ x̃ᵀ] E[(1 − r_a) r_b r_c] / (q_b q_c), (N, N, N).
        """
        sampler = self.sampler if hasattr(self.sampler, "moments_given_hidden") else Sampled(self.sampler)
        patches = range(self.grid.n_patches)
        moments = [sampler.moments_given_hidden(patch, self.grid, self.mask) for patch in patches]
        chances, rates, joint = (np.array(each, np.float64) for each in zip(*moments, strict=True))
        scale = 1 / self.rates
        cross = chances[:, np.newaxis] * rates * scale
        return chances, cross, chances[:, np.newaxis, np.newaxis] * joint * np.outer(scale, scale)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.sampler, self.grid, self.mask)  # leave what is cached behind


@dataclass(frozen=True, eq=False)
class Corruption:
    """A corruption x̃ of samples x with E[x̃ | x] = x, by its second moment.

    cross = E[x x̃ᵀ] = S, and V = E[x̃ x̃ᵀ] has one of two forms:

    - across·S + Σ_g within_g·S_gg + noise·I, where the groups g are a partition of the features and S_gg holds the
      entries of S within a group. All solvers take it.
    - S ⊙ Q + noise·I, where Q has an entry for each pair of groups. It needs matrices of (n_features, n_features).

    Parameters
    ----------
    across : float, default=1.0
        Weight of S.
    within : float or array-like of shape (n_groups,), default=0.0
        Weight of the entries of S within groups: one for all groups, or one for each.
    noise : float, default=0.0
        Variance of white noise that is added.
    hidden : float, default=0.0
        Expected share of patches that are hidden.
    groups : array-like of int of shape (n_features,) or None, default=None
        The group of each feature, counted from 0. None: the patches of the model, where it has patches; else every
        feature is a group by itself.
    pairs : array-like of shape (n_groups, n_groups) or None, default=None
        Q. If given, `across` and `within` do not count.
    while_hidden : WhileHidden, Masks or None, default=None
        What ``loss="hidden"`` needs to know of the masks. None where nothing is hidden, or it is not known.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or the arrays do not fit one another.

    Examples
    --------
    Every feature multiplied by noise of its own, of mean 1 and variance 1/4:

    >>> import numpy as np
    >>> from skmae.linear import Corruption
    >>> Corruption(within=0.25).second(np.array([[4.0, 1.0], [1.0, 8.0]]))
    array([[ 5.,  1.],
           [ 1., 10.]])
    """

    across: float = 1.0
    within: float | FloatArray = 0.0
    noise: float = 0.0
    hidden: float = 0.0
    groups: IntArray | None = None
    pairs: FloatArray | None = None
    while_hidden: WhileHidden | Masks | None = None

    def __post_init__(self) -> None:
        for name in ("across", "within", "noise"):
            _check_weight(name, getattr(self, name))
            if not np.ndim(getattr(self, name)):
                object.__setattr__(self, name, float(getattr(self, name)))
        if np.ndim(self.within):
            object.__setattr__(self, "within", _read_only(self.within, np.float64))
        if self.groups is not None:
            object.__setattr__(self, "groups", _read_only(_checked_groups(self.groups), np.intp))
        if self.pairs is not None:
            object.__setattr__(self, "pairs", _read_only(self.pairs, np.float64))
        self._check_shapes()

    def _check_shapes(self) -> None:
        n_groups = None if self.groups is None else int(np.max(self.groups)) + 1
        if np.ndim(self.within) > 1 or (np.ndim(self.within) and n_groups not in (None, np.size(self.within))):
            raise ValueError(
                f"within has shape {np.shape(self.within)}, but there are {n_groups} groups. Pass one number, or one "
                f"for each group."
            )
        if self.pairs is not None and (n_groups is None or np.shape(self.pairs) != (n_groups, n_groups)):
            raise ValueError(
                f"pairs has shape {np.shape(self.pairs)}, but there are {n_groups} groups. Pass groups, and an entry "
                f"for each pair of them."
            )

    # -- made of masks ------------------------------------------------------------------------------------------

    @classmethod
    def bernoulli(cls, mask: float) -> Self:
        """Each patch hidden with probability `mask`, what is left divided by 1 − mask (Eq. 1, Lemma 1)."""
        q = 1 - mask
        return cls._of_chances(q, q**2, q**3)

    @classmethod
    def exact(cls, n_visible: int, n_patches: int) -> Self:
        """Exactly `n_visible` of `n_patches` patches left, divided by the share n_visible / n_patches."""
        one = n_visible / n_patches
        two = one * (n_visible - 1) / max(n_patches - 1, 1)
        return cls._of_chances(one, two, two * (n_visible - 2) / max(n_patches - 2, 1))

    @classmethod
    def of_masks(cls, sampler: Sampler, grid: PatchGrid, mask: float) -> Self:
        """Patches hidden as a sampler draws them, each visible one divided by the rate at which it is visible.

        Parameters
        ----------
        sampler : sampler of `skmae.masking`, or any object with ``moments(grid, mask)``
        grid : PatchGrid
        mask : float

        Returns
        -------
        Corruption
            Of the fast form where Q is one constant across groups of patches and one within each of them.

        Raises
        ------
        ValueError
            If a patch is never visible, or the sampler states moments that no masks have.
        """
        if isinstance(sampler, GroupSampler):
            groups = sampler.groups(grid)[grid.patch_of_feature]
            return replace(cls._of_chances(*sampler.chances(grid, mask)), groups=groups)
        rates, joint = moments_of(sampler, grid, mask)
        if not rates.all():
            raise ValueError(
                f"mask_sampling={sampler!r} with mask={mask} never shows patch {int(np.argmin(rates > 0))} of "
                f"{grid.n_patches} (numbered from 0, in C order over {grid.patches_per_axis}), so that nothing can be "
                f"learned from it. Every patch must be visible at times."
            )
        pairs = joint / np.outer(rates, rates)
        hidden = 1 - float(rates.mean())
        masks = Masks(sampler, grid, mask) if hidden else None
        fast = _constants(pairs)
        if fast is None:
            return cls(hidden=hidden, groups=grid.patch_of_feature, pairs=pairs, while_hidden=masks)
        across, within, group_of_patch = fast
        groups = group_of_patch[grid.patch_of_feature]
        return cls(across=across, within=within, hidden=hidden, groups=groups, while_hidden=masks)

    @classmethod
    def _of_chances(cls, one: float, two: float, three: float) -> Self:
        """From the chances that one, two and three different groups are visible together."""
        while_hidden = None
        if one < 1:
            single, pair = (one - two) / (1 - one), (two - three) / (1 - one)
            while_hidden = WhileHidden(single / one, pair / one**2, (single - pair) / one**2)
        return cls(two / one**2, (one - two) / one**2, hidden=1 - one, while_hidden=while_hidden)

    # -- what it is ---------------------------------------------------------------------------------------------

    def with_groups(self, groups: ArrayLike) -> Self:
        """The same on these groups, unless it has groups of its own."""
        return self if self.groups is not None else replace(self, groups=np.asarray(groups))

    @property
    def is_dense(self) -> bool:
        """Whether V is no more than S ⊙ Q."""
        return self.pairs is not None

    @property
    def has_within(self) -> bool:
        """Whether groups have a part in V of their own."""
        return not self.is_dense and bool(np.any(self.within))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is corrupted."""
        return not (self.is_dense or self.has_within or self.noise) and self.across == 1

    def multiple(self, n_features: int) -> float | None:
        """a, if V = a·S, whatever S is: nothing is corrupted, or all features together; None otherwise."""
        if self.is_dense or self.noise or (self.has_within and self.labels(n_features).any()):
            return None
        return float(self.across + self.within_of(0))

    def in_units(self, unit: float) -> Self:
        """The same corruption of samples divided by √unit."""
        noise = self.noise / unit
        if not isfinite(noise):
            raise ValueError(
                f"noise of variance {self.noise:.3g} (noise_std squared) beside samples of variance {unit:.3g} is "
                f"beyond the range of float64. Pass less noise, or multiply X by a constant."
            )
        return self if unit == 1 else replace(self, noise=noise)

    def within_of(self, groups: IntArray | int) -> FloatArray:
        """The weight of each of these groups."""
        within = np.asarray(self.within, np.float64)
        return within[groups] if within.ndim else np.broadcast_to(within, np.shape(groups))

    def labels(self, n_features: int) -> IntArray:
        """(n_features,) the group of each feature."""
        if self.groups is None:
            return np.arange(n_features)
        labels = self.groups
        if len(labels) != n_features:
            raise ValueError(f"The corruption has groups of {len(labels)} features, but X has {n_features}.")
        return labels

    def members(self, n_features: int) -> list[IntArray]:
        """For each group, its features in ascending order."""
        if self.groups is None:
            return list(np.arange(n_features)[:, np.newaxis])
        self.labels(n_features)  # checks their number
        return self._members

    def group_sizes(self, n_features: int) -> IntArray:
        """Features of each group; of groups by themselves if no group has a part in V of its own."""
        if self.groups is None or not self.has_within:
            return np.ones(n_features, np.intp)
        return np.bincount(self.labels(n_features))

    def _apart(self, n_features: int) -> tuple[IntArray, list[tuple[int, IntArray]]]:
        """Features that are groups by themselves, and larger groups with their numbers."""
        if self.groups is None:
            return np.arange(n_features), []
        self.labels(n_features)
        return self._alone_and_larger

    @cached_property
    def _members(self) -> list[IntArray]:
        groups = np.arange(0) if self.groups is None else self.groups
        order = np.argsort(groups, kind="stable")
        return np.split(order, np.cumsum(np.bincount(groups))[:-1])

    @cached_property
    def _alone_and_larger(self) -> tuple[IntArray, list[tuple[int, IntArray]]]:
        alone = [features for features in self._members if len(features) == 1]
        larger = [(number, features) for number, features in enumerate(self._members) if len(features) > 1]
        return np.concatenate([np.arange(0), *alone]), larger

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        values = [getattr(self, field.name) for field in fields(self) if field.name != "while_hidden"]
        return tuple((value.tobytes(), value.shape) if isinstance(value, np.ndarray) else value for value in values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Corruption) and self._key == other._key and self.while_hidden == other.while_hidden

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # leave what is cached behind

    # -- what it does -------------------------------------------------------------------------------------------

    def second(self, S: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """V, in `out` or a new array, in Fortran order.

        Parameters
        ----------
        S : ndarray of shape (d, d)
        out : ndarray of shape (d, d) or None
        """
        V = np.empty_like(S, order="F") if out is None else out
        if self.is_dense:
            for columns, weights in self._pairs_by_columns(len(S)):
                np.multiply(S[:, columns], weights, out=V[:, columns])
        else:
            np.multiply(S, self.across, out=V)
            self._add_within(S, V)
        if self.noise:
            V[np.diag_indices_from(V)] += self.noise
        return V

    def _add_within(self, S: FloatArray, V: FloatArray) -> None:
        if not self.has_within:
            return
        alone, larger = self._apart(len(S))
        V[alone, alone] += self.within_of(self.labels(len(S))[alone]) * S[alone, alone]
        for number, features in larger:
            block = np.ix_(features, features)
            V[block] += self.within_of(number) * S[block]

    def _pairs_by_columns(self, d: int) -> Iterator[tuple[slice, FloatArray]]:
        """Q spread over features, (d, some columns) at a time."""
        labels, pairs = self.labels(d), np.asarray(self.pairs)
        for start in range(0, d, _COLUMNS_AT_A_TIME):
            columns = slice(start, start + _COLUMNS_AT_A_TIME)
            yield columns, pairs[labels[:, np.newaxis], labels[columns]]

    def remainder_product(self, S: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """B ↦ D B, where D = Σ_g within_g·S_gg + noise·I is what V has beside across·S; B and D B are (d, b)."""
        labels = self.labels(len(S))
        alone, larger = self._apart(len(S))
        diagonal = (self.within_of(labels[alone]) * S[alone, alone])[:, np.newaxis]
        blocks = []
        for features in joined([features for _, features in larger]):
            group = labels[features]
            weights = np.where(group == group[:, np.newaxis], self.within_of(group), 0)
            blocks.append((features, np.asfortranarray(weights * S[np.ix_(features, features)])))

        def apply(B: FloatArray) -> FloatArray:
            D = np.empty_like(B)
            if len(alone):
                D[alone] = diagonal * B[alone]
            for features, block in blocks:
                D[features] = dgemm(1.0, B[features].T, block).T  # NumPy's own threads would be in the way of SciPy's
            if self.noise:
                D += self.noise * B
            return D

        return apply

    def expected_error(self, X: FloatArray, encoder: FloatArray, decoder: FloatArray) -> FloatArray:
        """E‖x − W2 W1 x̃‖² of each centred row of `X`, without forming anything d × d unless V is dense.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        encoder : ndarray of shape (k, d)
        decoder : ndarray of shape (d, k)

        Returns
        -------
        ndarray of shape (n,)
        """
        decoded = np.linalg.qr(decoder, mode="r") @ encoder  # (k, d): ‖W2 W1 x‖² = ‖decoded x‖²
        error: FloatArray = squares(X) - 2 * np.einsum("nk,nk->n", X @ decoder, X @ encoder.T)
        error += self._dense_squares(X, decoded) if self.is_dense else self._fast_squares(X, decoded)
        if self.noise:
            with np.errstate(under="ignore"):  # far below all else, it is nothing
                error += self.noise * np.sum(decoded**2)
        return error

    def _fast_squares(self, X: FloatArray, decoded: FloatArray) -> FloatArray:
        """E‖decoded x̃‖² but for noise, of each row."""
        error = self.across * squares(X @ decoded.T)
        if self.has_within:
            labels = self.labels(X.shape[1])
            alone, larger = self._apart(X.shape[1])
            error += X[:, alone] ** 2 @ (self.within_of(labels[alone]) * squares(decoded[:, alone].T))
            for number, features in larger:
                error += self.within_of(number) * squares(X[:, features] @ decoded[:, features].T)
        return error

    def _dense_squares(self, X: FloatArray, decoded: FloatArray) -> FloatArray:
        error = np.zeros(len(X))
        for columns, weights in self._pairs_by_columns(X.shape[1]):
            weighted = X @ (weights * (decoded.T @ decoded[:, columns]))
            error += np.einsum("nd,nd->n", weighted, X[:, columns])
        return error


def _read_only(values: ArrayLike, dtype: DTypeLike) -> Array:
    array = np.array(values, dtype)
    array.flags.writeable = False
    return array


def _check_weight(name: str, value: Any) -> None:
    is_list = name == "within" and isinstance(value, list | tuple | np.ndarray)
    with naming(name, "one number, or one for each group"):
        parts = np.ravel(np.array(value, object)) if is_list else [value]
    if not all(isinstance(each, Real) for each in parts):
        or_list = ", or one for each group" if name == "within" else ""
        raise TypeError(f"{name} of a Corruption must be a number{or_list}; got {value!r}.")
    with np.errstate(over="ignore"):
        numbers = np.asarray(value, np.float64)
    if not (np.isfinite(numbers).all() and np.greater_equal(numbers, 0).all()):
        raise ValueError(f"{name}={value!r} of a Corruption must be finite and >= 0.")


def _checked_groups(groups: ArrayLike) -> Array:
    try:
        labels = np.asarray(groups)
    except Exception:  # rows of different lengths, and whatever other libraries refuse
        labels = np.empty(0, object)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            f"groups must hold a whole number >= 0 for each feature; got an array of shape {labels.shape} and type "
            f"{labels.dtype}."
        )
    return labels


def _constants(pairs: FloatArray) -> tuple[float, FloatArray, IntArray] | None:
    """`across`, `within` of each group, and the group of each patch, if Q is one constant across groups and one within.

    Within a group Q is constant, its diagonal included, where all patches of the group are always visible together.
    """
    diagonal = pairs.diagonal()
    tolerance = _ROUNDING * diagonal.max()
    together = np.abs(pairs - np.maximum(diagonal, diagonal[:, np.newaxis])) <= tolerance
    first = together.argmax(axis=1)  # the first patch that is visible whenever this one is
    firsts, groups = np.unique(first, return_inverse=True)
    if (together != (groups == groups[:, np.newaxis])).any():
        return None
    between = pairs[np.ix_(firsts, firsts)]
    apart = between[~np.eye(len(firsts), dtype=bool)]
    if not len(apart):
        return 0.0, between.diagonal().copy(), groups
    across = float(apart.mean())
    if np.abs(apart - across).max() > tolerance:
        return None
    within = between.diagonal() - across
    return across, np.where(within > tolerance, within, 0.0), groups  # never below: Q_ab <= 1 / q_a = Q_aa


def joined(groups: list[IntArray]) -> Iterator[IntArray]:
    """Features of whole groups, enough at a time for a matrix product to pay."""
    joined: list[IntArray] = []
    for features in groups:
        joined.append(features)
        if sum(map(len, joined)) >= _FEATURES_AT_A_TIME:
            yield np.concatenate(joined)
            joined = []
    if joined:
        yield np.concatenate(joined)


def squares(rows: FloatArray) -> FloatArray:
    """‖row‖² of each row."""
    squared: FloatArray = np.einsum("nk,nk->n", rows, rows)
    return squared
