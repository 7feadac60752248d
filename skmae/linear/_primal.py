"""Reduced-rank regression in closed form: from two moments of a corruption to the best encoder and decoder.

Theorem 1 of the paper: minimise E‖x − W2 W1 x̃‖² over W1 (k, d) and W2 (d, k), where only

    cross = E[x x̃ᵀ]    and    second = V = E[x̃ x̃ᵀ]

matter. With E the top-k eigenvectors of M = cross V⁻¹ crossᵀ and λ its eigenvalues,
W2 = E, W1 = Eᵀ cross V⁻¹, and the loss is tr S − Σ λ.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np
from scipy.linalg import qr
from scipy.linalg.blas import dgemm, dsyrk, dtrsm
from scipy.linalg.lapack import dlange, dpocon, dpotrf

from skmae._linalg import EPS, carries_signal, mirror_lower, symmetric_eigen, unit_of
from skmae._typing import BoolArray, FloatArray
from skmae.linear._krylov import leading_eigenpairs, random_block, uses_krylov

Factorisation = Literal["auto", "cholesky", "eigh"]
Rank = int | float | None

_PANEL = 32  # columns that stay in the cache
_RANGE = (1e-290, 1e300)  # total variances that leave room for 16 digits below, and sums above


@dataclass(frozen=True)
class Minimiser:
    """The minimiser of rank k.

    Attributes
    ----------
    encoder : ndarray of shape (k, d)
        W1, of the least norm; a direction without signal has a row of zeros.
    decoder : ndarray of shape (d, k)
        W2, with orthonormal columns.
    eigenvalues : ndarray of shape (k,)
        λ of Theorem 1, descending.
    solver : str
        The name of what found it.
    rcond : float
        Reciprocal condition number of V less its constant features; 0 where that is singular.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae.linear import reduced_rank_regression
    >>> found = reduced_rank_regression(np.diag([3.0, 2.0]), np.diag([6.0, 2.0]), n_components=1)
    >>> found.encoder.shape, found.decoder.shape, found.solver
    ((1, 2), (2, 1), 'cholesky')
    """

    encoder: FloatArray
    decoder: FloatArray
    eigenvalues: FloatArray
    solver: str
    rcond: float


@dataclass(frozen=True)
class Remainder:
    """What V is beside across·cross, where `cross` is symmetric: B ↦ D B at little cost, with D = V − across·cross.

    Then cross V⁻¹ = (1 − D V⁻¹) / across, and M = cross V⁻¹ cross = (across·cross − D + D V⁻¹ D) / across². Where D is
    small against across·cross, that keeps digits that V⁻¹ would cost; where it is large, the difference costs them.
    """

    across: float
    multiply: Callable[[FloatArray], FloatArray]
    is_small: bool = True
    """Whether D is no larger than M can be had from."""


@dataclass(frozen=True)
class Factor:
    """A generalised inverse R Rᵀ of V as two functions, B ↦ RᵀB and B ↦ R B, which may overwrite B.

    If V is singular, `span` is an orthonormal basis of its range, (a, r).
    """

    whiten: Callable[[FloatArray], FloatArray]
    unwhiten: Callable[[FloatArray], FloatArray]
    solver: str
    rcond: float
    span: FloatArray | None = None

    def apply_any(self, B: FloatArray) -> FloatArray:
        """R Rᵀ B; overwrites B."""
        return self.unwhiten(self.whiten(B))

    def apply_inverse(self, B: FloatArray) -> FloatArray:
        """V⁺ B for B in the range of V: R Rᵀ B, less what is outside the range, has the least norm."""
        solved = self.apply_any(B)
        return solved if self.span is None else self.span @ (self.span.T @ solved)

    def on(self, Q: FloatArray) -> "Factor":
        """The same of Q V Qᵀ, where Q has orthonormal columns."""
        return replace(
            self,
            whiten=lambda B: self.whiten(dgemm(1.0, Q, B, trans_a=1)),
            unwhiten=lambda B: dgemm(1.0, Q, self.unwhiten(B)),
            span=None if self.span is None else Q @ self.span,
        )

    def from_remainder(self, remainder: Remainder, Q: FloatArray, product: FloatArray) -> FloatArray:
        """M Q from `product` = cross Q."""
        DQ = remainder.multiply(Q)
        corrected = remainder.multiply(self.apply_any(DQ.copy(order="F")))
        image = remainder.across * product
        image -= DQ
        image += corrected
        image /= remainder.across**2
        return image

    def from_difference(self, remainder: Remainder, E: FloatArray, DE: FloatArray) -> FloatArray:
        """V⁺ cross E = (E − V⁺ D E) / across, of E in the range of V; overwrites DE."""
        within = E if self.span is None else self.span @ (self.span.T @ E)
        return (within - self.apply_inverse(DE)) / remainder.across


def reduced_rank_regression(
    cross: FloatArray, second: FloatArray, n_components: Rank, how: Factorisation = "auto"
) -> Minimiser:
    """Minimise E‖x − W2 W1 x̃‖² at a given rank.

    Parameters
    ----------
    cross : ndarray of shape (d, d)
        E[x x̃ᵀ].
    second : ndarray of shape (d, d)
        V = E[x̃ x̃ᵀ], symmetric; it is overwritten.
    n_components : int, float or None
        The rank; a float in (0, 1) is the share of Σ λ to reach; None keeps every direction that carries signal.
    how : {"auto", "cholesky", "eigh"}
        Factorisation of V. "auto" tries Cholesky, and takes the pseudo-inverse by "eigh" where V is singular.

    Returns
    -------
    Minimiser

    Raises
    ------
    ValueError
        If how="cholesky" and V is singular, or if there is no signal to choose a rank by.

    Examples
    --------
    Of two features the first varies more, but is corrupted so much that the second explains more, λ = 2²/2 over 3²/6:

    >>> import numpy as np
    >>> from skmae.linear import reduced_rank_regression
    >>> S, V = np.diag([3.0, 2.0]), np.diag([6.0, 2.0])
    >>> reduced_rank_regression(S, V, n_components=1).eigenvalues
    array([2.])
    """
    unit, unit_of_second = unit_of(dlange("M", cross)), unit_of(second.diagonal().max())
    if unit == unit_of_second == 1:
        return solve_together(cross, [second], n_components, how)[0]
    found = solve_together(cross / unit, [second / unit_of_second], n_components, how)[0]
    scale = unit / unit_of_second
    return replace(found, encoder=found.encoder * scale, eigenvalues=found.eigenvalues * unit * scale)


def solve_together(
    cross: FloatArray,
    seconds: list[FloatArray],
    n_components: Rank,
    how: Factorisation = "auto",
    remainders: list[Remainder | None] | None = None,
) -> list[Minimiser]:
    """`reduced_rank_regression` for several V of the same constant features: products with `cross` are shared.

    With what each V is beside `cross`, one product with `cross` does where two are needed without.
    """
    active = seconds[0].diagonal() > 0
    if not active.any():
        return [no_signal(len(cross), n_components) for _ in seconds]
    if not active.all():
        cross = cross[:, active]
        seconds = [second[np.ix_(active, active)] for second in seconds]
    cross = np.asfortranarray(cross)
    factors = [factorise(np.asfortranarray(second), how) for second in seconds]
    known = remainders or [None for _ in seconds]
    small = [remainder for remainder in known if remainder is not None and remainder.is_small]
    is_symmetric = active.all()  # else its columns without constant features are not
    pairs = leading(cross, factors, n_components, small if is_symmetric and len(small) == len(factors) else None)
    found = [_wanted(*pair, n_components) for pair in pairs]
    products = _times(cross, [E for _, E in found], transposed=True)
    parts = zip(factors, found, products, known, strict=True)
    return [_finish(factor, *pair, product, remainder, active) for factor, pair, product, remainder in parts]


def _wanted(eigenvalues: FloatArray, E: FloatArray, n_components: Rank) -> tuple[FloatArray, FloatArray]:
    """The eigenpairs that are asked for, of those that were found: values without signal are zero, signs are chosen."""
    eigenvalues = np.where(carries_signal(eigenvalues, len(E)), eigenvalues, 0)
    if not eigenvalues.any():
        nothing = no_signal(len(E), n_components)  # raises, unless a number of components was asked for
        return nothing.eigenvalues, nothing.decoder
    k = rank_of(eigenvalues, n_components)
    return eigenvalues[:k], E[:, :k] * signs(E[:, :k])


def _finish(
    factor: Factor,
    eigenvalues: FloatArray,
    E: FloatArray,
    product: FloatArray,
    remainder: Remainder | None,
    active: BoolArray,
) -> Minimiser:
    """From eigenpairs and crossᵀ E to the minimiser: features that are not active have a weight of zero, the least."""
    encoder = np.zeros((E.shape[1], len(active)))
    is_small = np.zeros(E.shape[1], bool)
    if remainder is not None:
        DE = remainder.multiply(E)[active]
        is_small = np.abs(DE).max(axis=0) < remainder.across * np.abs(product).max(axis=0)  # a square might overflow
        small = np.asfortranarray(DE[:, is_small])
        encoder[np.ix_(is_small, active)] = factor.from_difference(remainder, E[np.ix_(active, is_small)], small).T
    if not is_small.all():
        encoder[np.ix_(~is_small, active)] = factor.apply_inverse(np.asfortranarray(product[:, ~is_small])).T
    return Minimiser(
        encoder=np.where(eigenvalues[:, np.newaxis] > 0, encoder, 0),
        decoder=np.ascontiguousarray(E),
        eigenvalues=eigenvalues,
        solver=factor.solver,
        rcond=factor.rcond,
    )


def no_signal(d: int, n_components: Rank) -> Minimiser:
    """Zeros, where a number of components was asked for; else there is nothing to choose it by."""
    if not isinstance(n_components, Integral):
        raise ValueError(
            f"X carries no signal (all samples are equal), so that n_components={n_components} selects no direction. "
            f"Check X, or pass n_components as an int."
        )
    k = int(n_components)
    return Minimiser(np.zeros((k, d)), np.eye(d, k), np.zeros(k), solver="eigh", rcond=0.0)


def checked_total(total: float) -> float:
    """The total variance, if float64 has digits for what is made of it."""
    if not total < _RANGE[1] or 0 < total < _RANGE[0]:
        raise ValueError("The variance of X is beyond the range of float64. Divide X by a constant first.")
    return total


def rank_of(eigenvalues: FloatArray, n_components: Rank) -> int:
    """The number of components that is asked for."""
    if n_components is None:
        return int(np.count_nonzero(eigenvalues))
    if isinstance(n_components, Integral):
        return int(n_components)
    reached = np.cumsum(eigenvalues) / eigenvalues.sum()
    return int(np.searchsorted(reached, n_components)) + 1


def signs(E: FloatArray) -> FloatArray:
    """svd_flip's convention: the largest entry of each eigenvector becomes positive."""
    largest = [np.abs(column).argmax() for column in E.T]  # one at a time, without a second E
    return np.where(E[largest, np.arange(E.shape[1])] < 0, -1.0, 1.0)


# -- factorisation of V ------------------------------------------------------------------------------------------


def factorise(second: FloatArray, how: Factorisation) -> Factor:
    """Factorise V. Overwrites `second`.

    V is scaled to a unit diagonal first: which unit a feature is measured in must not decide whether it counts.
    """
    scale = 1 / np.sqrt(second.diagonal())
    for first in range(0, len(second), _PANEL):  # in one pass
        columns = slice(first, first + _PANEL)
        second[:, columns] *= np.outer(scale[columns], scale).T
    if how == "eigh":
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
    if how == "cholesky":
        raise ValueError(
            'solver="cholesky" needs a second moment of full rank, and that of X under this corruption is singular '
            '(constant or redundant features, or fewer samples than features). Use solver="auto" or "eigh".'
        )
    mirror_lower(L.T)  # the upper triangle was left alone
    np.fill_diagonal(L, 1.0)
    return _factorise_eigh(L, scale)


def _factorise_eigh(second: FloatArray, scale: FloatArray) -> Factor:
    values, U = symmetric_eigen(second, overwrite=True)
    large = values > len(values) * EPS * values[0]
    R = np.asfortranarray(U[:, large] / np.sqrt(values[large]) * scale[:, np.newaxis])  # (a, r)
    span = None if large.all() else qr(U[:, large] / scale[:, np.newaxis], mode="economic", check_finite=False)[0]
    return Factor(
        whiten=lambda B: dgemm(1.0, R, B, trans_a=1),
        unwhiten=lambda B: dgemm(1.0, R, B),
        solver="eigh",
        rcond=max(float(values[-1] / values[0]), 0.0),
        span=span,
    )


def _scaled(scale: FloatArray, B: FloatArray) -> FloatArray:
    B *= scale[:, np.newaxis]
    return B


# -- eigenpairs of M ---------------------------------------------------------------------------------------------


def leading(
    cross: FloatArray, factors: list[Factor], n_components: Rank, remainders: list[Remainder] | None = None
) -> list[tuple[FloatArray, FloatArray]]:
    """Leading eigenvalues, descending, and eigenvectors (d, k) of M = cross V⁻¹ crossᵀ, for each V."""
    if isinstance(n_components, Integral) and uses_krylov(len(cross), int(n_components)):
        found = leading_by_products(cross, factors, int(n_components), remainders)
        if found is not None:
            return found
    return [_leading_dense(cross, factor, n_components) for factor in factors]


def _leading_dense(cross: FloatArray, factor: Factor, n_components: Rank) -> tuple[FloatArray, FloatArray]:
    G = factor.whiten(cross.T.copy(order="F"))
    M = dsyrk(1.0, G, trans=1, lower=1)
    return symmetric_eigen(M, int(n_components) if isinstance(n_components, Integral) else None, overwrite=True)


def leading_by_products(
    cross: FloatArray, factors: list[Factor], k: int, remainders: list[Remainder] | None = None
) -> list[tuple[FloatArray, FloatArray]] | None:
    """`leading` without forming any M; None if that does not converge."""

    def multiply(numbers: list[int], blocks: list[FloatArray]) -> list[FloatArray]:
        products = _times(cross, blocks, transposed=True)
        each = list(zip(numbers, blocks, products, strict=True))
        if remainders is not None:
            return [factors[i].from_remainder(remainders[i], block, product) for i, block, product in each]
        return _times(cross, [factors[i].apply_any(product) for i, _, product in each], transposed=False)

    start = dgemm(1.0, cross, dgemm(1.0, cross, random_block(len(cross), k), trans_a=1))
    return leading_eigenpairs(start, len(factors), k, multiply)


def _times(cross: FloatArray, blocks: list[FloatArray], *, transposed: bool) -> list[FloatArray]:
    """`cross`, or its transpose, times each block, (d, b): `cross` is read from memory once."""
    joined = blocks[0] if len(blocks) == 1 else np.asfortranarray(np.hstack(blocks))
    product = dgemm(1.0, cross, joined, trans_a=transposed)
    ends = np.cumsum([block.shape[1] for block in blocks])
    return [np.array(part, order="F") for part in np.split(product, ends[:-1], axis=1)]
