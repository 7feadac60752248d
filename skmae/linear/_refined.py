"""Leading eigenpairs of N H, N = K (α K + 1)⁻¹, n × n, where K is known to float32's digits, its products exactly.

With H = F Fᵀ they are those of T = Fᵀ N F, z = Fᵀ a. A Krylov space of the approximate T finds approximate ones, Z.
One exact product with K then tells N F Z but for the square of the error. That replaces what the approximate T says
there, by the least symmetric change of it (Powell's symmetric Broyden update), and the eigenvectors of the result have
the square of the error, too.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg.blas import dgemm
from scipy.linalg.lapack import dpotrf, dpotrs, dpstrf

from skmae._typing import FloatArray
from skmae.linear._krylov import leading_eigenpairs, random_block

# Residuals that will do: of eigenpairs, relative to the eigenvalue (a Krylov space stops at half of that), and of
# features of the training samples, relative to their spread
_EIGENPAIR = 2e-7
_FEATURES = 1e-8


class Pairs(NamedTuple):
    """Eigenvalues (k,), descending, Z (r, k), C = (α K + 1)⁻¹ F Z, and P = N F Z = K C, (n, k) each."""

    values: FloatArray
    Z: FloatArray
    C: FloatArray
    P: FloatArray


@dataclass(frozen=True, eq=False)
class Shrinkage:
    """B ↦ N B.

    Attributes
    ----------
    F : ndarray of shape (n, r)
    K : ndarray of shape (n, n)
        Approximate.
    across : float
        α.
    J : ndarray of shape (n, n)
        Lower triangle, J Jᵀ = α K + 1.
    known : Pairs or None
        Where N is known better than by K.
    excess : ndarray of shape (r, k) or None
        What Fᵀ N F Z of the known Z has beside what K says.
    """

    F: FloatArray
    K: FloatArray
    across: float
    J: FloatArray
    known: Pairs | None = None
    excess: FloatArray | None = None

    @classmethod
    def of(cls, H: FloatArray, K: FloatArray, across: float) -> Self | None:
        """None if rounding in K is too much for α K + 1 to be positive."""
        J = across * K
        J[np.diag_indices_from(J)] += 1
        J, info = dpotrf(J, lower=1, overwrite_a=1, clean=0)
        return None if info else cls(_root(H), K, across, J)

    def eigenpairs(self, k: int) -> Pairs | None:
        """None if that does not converge."""
        start = self._image(random_block(self.F.shape[1], k))
        found = leading_eigenpairs(start, 1, k, lambda _, blocks: [self._image(blocks[0])])
        if found is None:
            return None
        values, Z = found[0]
        Z = np.asfortranarray(Z)
        return Pairs(values, Z, *self._solve(Z))

    def learn(self, pairs: Pairs, KC: FloatArray) -> Self:
        """The same that knows the exact product K C of such pairs."""
        rest = dgemm(1.0, self.F, pairs.Z) - pairs.C - self.across * KC
        missing = self._shrunk(rest)
        C, P = pairs.C + missing, KC + dgemm(1.0, self.K, missing)
        known = pairs._replace(C=C, P=P)
        return type(self)(self.F, self.K, self.across, self.J, known, dgemm(1.0, self.F, P - pairs.P, trans_a=1))

    def is_solved_by(self, pairs: Pairs, KC: FloatArray) -> bool:
        """Whether residuals are small: of the eigenpairs, and of the encoder in the norm of V."""
        values, Z, C, _ = pairs
        eigen = np.linalg.norm(dgemm(1.0, self.F, KC, trans_a=1) - Z * values, axis=0)
        rest = dgemm(1.0, self.F, Z) - C - self.across * KC
        linear = np.einsum("nk,nk->k", rest, dgemm(1.0, self.K, self._shrunk(rest)))
        return bool((eigen < _EIGENPAIR * values).all() and (np.abs(linear) < _FEATURES**2 * values).all())

    def _shrunk(self, B: FloatArray) -> FloatArray:
        """(α K + 1)⁻¹ B."""
        shrunk: FloatArray = dpotrs(self.J, B, lower=1)[0]
        return shrunk

    def _solve(self, Z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """C and P of any Z."""
        if self.known is None:
            C = self._shrunk(dgemm(1.0, self.F, Z))
            return C, dgemm(1.0, self.K, C)
        share = dgemm(1.0, self.known.Z, Z, trans_a=1)
        rest = dgemm(-1.0, self.known.Z, share, beta=1.0, c=Z)
        C = self._shrunk(dgemm(1.0, self.F, rest))
        P = dgemm(1.0, self.K, C)
        return dgemm(1.0, self.known.C, share, beta=1.0, c=C), dgemm(1.0, self.known.P, share, beta=1.0, c=P)

    def _image(self, Z: FloatArray) -> FloatArray:
        """T Z."""
        image: FloatArray = dgemm(1.0, self.F, self._solve(Z)[1], trans_a=1)
        if self.known is not None:  # the other half, which makes it symmetric
            rest = Z - dgemm(1.0, self.known.Z, dgemm(1.0, self.known.Z, Z, trans_a=1))
            image += dgemm(1.0, self.known.Z, dgemm(1.0, self.excess, rest, trans_a=1))
        return image


def is_projector(K: FloatArray, tolerance: float) -> bool:
    """Whether K, one of whose eigenvalues is zero, looks like a multiple of a projector onto all others."""
    trace = np.trace(K)
    return bool((len(K) - 1) * np.vdot(K, K) < (1 + tolerance) * trace**2)


def _root(H: FloatArray) -> FloatArray:
    """F of full rank r with F Fᵀ = H, (n, r)."""
    L, order, rank, _ = dpstrf(H, lower=1)
    F = np.zeros((len(H), rank), order="F")
    F[order - 1] = np.tril(L[:, :rank])
    return F
