"""What is to be solved, what it is solved from, and what was fitted."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from numbers import Integral
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike

from skmae._grid import PatchGrid
from skmae._linalg import nearest_semidefinite
from skmae._samples import Samples, Weights
from skmae._typing import Array, FloatArray
from skmae.linear._corruptions import Corruption
from skmae.linear._losses import AllFeatures, Loss
from skmae.linear._primal import Minimiser, Rank
from skmae.moments import Moments

_LARGE_EXCESS = 0.1  # of the variance: above it, second moments of pairs contradict one another

Rows = tuple[Array, FloatArray | None]


@dataclass(frozen=True)
class Problem:
    """What is to be solved, as the parameters stood when the data came. Equal ones have one solution."""

    grid: PatchGrid
    corruption: Corruption
    loss: Loss = field(default_factory=AllFeatures)
    n_components: Rank = None
    whiten: bool = False
    solver: Any = "auto"
    random_state: Any = None
    verbose: bool = field(default=False, compare=False)

    def expected_error(self, X: FloatArray, encoder: FloatArray, decoder: FloatArray) -> FloatArray:
        """Expected squared error of each centred row of `X`, summed over features; (n,)."""
        return self.loss.expected_error(self.corruption, X, encoder, decoder)


@dataclass(frozen=True, eq=False)
class Summary:
    """What of the data the solution depends on; it unpacks into its first three.

    Attributes
    ----------
    n_rows : int
    mean : ndarray of shape (d,)
    second : ndarray of shape (d, d)
        Positive semi-definite.
    excess : ndarray of shape (d,) or None
        What its diagonal is above the variances measured, which only moments of incomplete samples need.
    """

    n_rows: int
    mean: FloatArray
    second: FloatArray
    excess: FloatArray | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.n_rows, self.mean, self.second))

    @classmethod
    def of(cls, moments: Moments) -> Self:
        return cls._with(moments.second, moments, moments.n_rows, moments.mean)

    @classmethod
    def using_up(cls, moments: Moments) -> Self:
        """In the memory of the moments, which are lost."""
        n_rows, mean = moments.n_rows, moments.mean
        return cls._with(moments._release_second(), moments, n_rows, mean)

    @classmethod
    def _with(cls, S: FloatArray, moments: Moments, n_rows: int, mean: FloatArray) -> Self:
        if not moments._has_gaps:
            return cls(n_rows, mean, S)
        measured = S.diagonal().copy()
        S = nearest_semidefinite(S)
        excess = np.maximum(S.diagonal() - measured, 0)
        if excess.sum() > _LARGE_EXCESS * measured.sum():
            warnings.warn(
                f"So much of X is missing that its second moment had to be mended: variances grew by "
                f"{excess.sum() / measured.sum():.0%}. Add samples, or leave features out that are seldom known.",
                stacklevel=2,
            )
        return cls(n_rows, mean, S, excess)


class Data(Protocol):
    """Samples, as a solver sees them."""

    @property
    def n_rows(self) -> int:
        """Samples of a weight above zero."""

    @property
    def n_features(self) -> int: ...

    @property
    def is_float32(self) -> bool:
        """Whether they come in float32, or less, so that sums in float32 may do."""

    def summary(self, dtype: DTypeLike) -> Summary:
        """Their moments, from sums in this type."""

    @property
    def has_rows(self) -> bool:
        """Whether the rows themselves are at hand, beside their moments."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing of them is missing."""

    def rows(self) -> Rows:
        """(n, d) in NumPy, and weights (n,) or None."""

    def samples(self) -> tuple[Samples, Weights]:
        """The same, to be read in blocks."""


class FromSummary:
    """Data of which the moments are known."""

    is_float32 = has_rows = False
    is_complete = True

    def __init__(self, summary: Summary):
        self._summary = summary
        self.n_rows, self.n_features = summary.n_rows, len(summary.mean)

    def summary(self, dtype: Any = None) -> Summary:  # noqa: ARG002
        return self._summary

    def rows(self) -> Rows:
        raise TypeError("Of moments there are no rows.")

    def samples(self) -> tuple[Samples, Weights]:
        raise TypeError("Of moments there are no samples.")


@dataclass(frozen=True, eq=False)
class Solution:
    """What was fitted.

    Attributes
    ----------
    components : ndarray of shape (k, d)
        W1.
    decoder : ndarray of shape (d, k)
        W2.
    mean : ndarray of shape (d,)
    eigenvalues : ndarray of shape (k,)
    explained_variance_ratio : ndarray of shape (k,)
    expected_loss : float
        Expected squared error per feature.
    solver : str
        The name of the one that was used.

    Examples
    --------
    A solver of one's own makes it with `Solution.of`, see `Solver`. Its smaller ranks are parts of it:

    >>> import numpy as np
    >>> from skmae.linear import Solution
    >>> E, values = np.eye(3), np.array([3.0, 2.0, 1.0])
    >>> solution = Solution(E, E, np.zeros(3), values, values / 6, expected_loss=0.0, solver="by hand")
    >>> solution.truncated(2).expected_loss == 1 / 3
    True
    """

    components: FloatArray
    decoder: FloatArray
    mean: FloatArray
    eigenvalues: FloatArray
    explained_variance_ratio: FloatArray
    expected_loss: float
    solver: str

    @classmethod
    def of(cls, problem: Problem, minimiser: Minimiser, mean: FloatArray, total: float, error: float) -> Self:
        """From a minimiser, tr S, and the expected error summed over features."""
        encoder, decoder = _whitened(minimiser) if problem.whiten else (minimiser.encoder, minimiser.decoder)
        return cls(
            components=encoder,
            decoder=decoder,
            mean=mean,
            eigenvalues=minimiser.eigenvalues,
            explained_variance_ratio=minimiser.eigenvalues / (total or 1.0),
            expected_loss=max(error, 0.0) / len(mean),
            solver=minimiser.solver,
        )

    @property
    def n_components(self) -> int:
        return int(self.eigenvalues.shape[0])  # of any library

    def truncated(self, k: int) -> Self:
        """The solution of rank k from one of a larger rank: the leading directions are the same (Theorem 1)."""
        return replace(
            self,
            components=self.components[:k],
            decoder=self.decoder[:, :k],
            eigenvalues=self.eigenvalues[:k],
            explained_variance_ratio=self.explained_variance_ratio[:k],
            expected_loss=self.expected_loss + float(self.eigenvalues[k:].sum()) / len(self.mean),
        )

    def map_arrays(self, function: Callable[[Any], Any]) -> Self:
        """The same with `function` of each array: to copy them, or to send them to a device."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(self, **{name: function(a) for name, a in arrays.items() if isinstance(a, np.ndarray)})

    def __getstate__(self) -> dict[str, Any]:
        """Without the decoder where it is the transposed encoder, as in PCA: files of half the size."""
        state = {each.name: getattr(self, each.name) for each in fields(self)}
        if _is_transpose(self.decoder, self.components):
            del state["decoder"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"decoder": state["components"].T} | state)


def _is_transpose(decoder: Any, components: Any) -> bool:
    """In memory, too: products with it are the same to the last bit."""
    return (
        isinstance(components, np.ndarray)
        and isinstance(decoder, np.ndarray)
        and decoder.strides == components.T.strides
        and np.array_equal(decoder, components.T)
    )


def check_rank(n_components: Rank, n_rows: int, n_features: int) -> None:
    """Refuse more components than samples or features."""
    if n_rows < 2:
        raise ValueError(f"n_samples={n_rows} is too few: a linear autoencoder needs at least 2 samples.")
    limit = min(n_rows, n_features)
    if isinstance(n_components, Integral) and int(n_components) > limit:
        raise ValueError(
            f"n_components={n_components} is larger than min(n_samples={n_rows}, n_features={n_features}) = {limit}. "
            f"Pass at most {limit}, or None to keep every direction that carries signal."
        )


def _whitened(minimiser: Minimiser) -> tuple[FloatArray, FloatArray]:
    """A = Λ^{1/2}: features of corrupted samples have unit second moment; those without signal stay zero."""
    scale = np.sqrt(minimiser.eigenvalues)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return inverse[:, np.newaxis] * minimiser.encoder, minimiser.decoder * scale
