"""What a model is fitted from, and what it keeps: a solution, or the moments that it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from threading import Lock
from types import MethodType
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike
from sklearn.exceptions import NotFittedError

from skmae._reading import library_of
from skmae._samples import Samples, Weights, count_rows
from skmae.linear._conditional import Conditional
from skmae.linear._corruptions import Masks
from skmae.linear._problem import FromSummary, Problem, Rows, Solution, Summary
from skmae.linear._solvers import solve
from skmae.moments import Moments

Method = TypeVar("Method", bound=Callable[..., Any])
Made = TypeVar("Made")


class FreshLock:
    """A lock that a pickle or a copy replaces by a new one."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return FreshLock, ()


class FromSamples:
    """Samples with weights, as a solver sees them: their moments are gathered when it asks for them.

    Where the rows are not at hand, as those of a Dask array, they are gathered at once.
    """

    def __init__(self, samples: Samples, weights: Weights):
        self._samples, self._weights = samples, weights
        self.has_rows = samples.rows_at_hand
        self._moments = None if samples.rows_at_hand else Moments._of(samples, weights)
        self.n_features = samples.n_features
        self.is_float32 = samples.dtype in (np.float16, np.float32)
        self.n_rows = count_rows(len(samples), weights) if self._moments is None else self._moments.n_rows
        self.n_samples = self._count(len(samples)) if self._moments is None else self._moments.n

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the samples is missing."""
        return self._samples.is_complete

    def _count(self, n: int) -> float:
        return n if self._weights is None else float(self._weights.sum())

    def summary(self, dtype: DTypeLike) -> Summary:
        """Moments from sums of this type."""
        gathered, self._moments = self._moments, None
        return Summary.using_up(gathered or Moments._of(self._samples, self._weights, dtype))

    def rows(self) -> Rows:
        """All rows, and their weights."""
        self._samples.check_bounded(self._weights, squares=True)
        return self._samples.rows(), self._weights

    def samples(self) -> tuple[Samples, Weights]:
        """What is read in blocks, and weights."""
        return self._samples, self._weights


@dataclass(frozen=True)
class Fitted:
    """What `fit` found: a problem and its solution."""

    problem: Problem
    masks: Masks | None
    solution: Solution
    n_samples_seen: float


@dataclass
class Streamed:
    """What `partial_fit` has gathered: a problem and moments, whose solution is found when it is first asked for.

    Parameters
    ----------
    problem : Problem
    masks : Masks or None
    moments : Moments
    like : array
        An empty array of the library and on the device where the solution goes.
    lock : lock
        Held while moments are read or changed.
    """

    problem: Problem
    masks: Masks | None
    moments: Moments
    like: Any
    lock: FreshLock
    _found: Solution | None = None
    _conditional: Conditional | None = None

    @property
    def conditional(self) -> Conditional:
        """The best linear answer for any mask, from the same moments."""
        with self.lock:
            if self._conditional is None:
                self._conditional = self._made(lambda: Conditional.of(self.moments, self.problem.grid))
            return self._conditional

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_conditional": None}  # as large as the moments, from which it comes again

    @property
    def solution(self) -> Solution:
        with self.lock:
            if self._found is None:
                solution = self._made(lambda: solve(self.problem, FromSummary(Summary.of(self.moments))))
                self._found = placed(solution, self.like)
            return self._found

    @property
    def n_samples_seen(self) -> float:
        return self.moments.n

    @staticmethod
    def _made(make: Callable[[], Made]) -> Made:
        try:
            return make()
        except ValueError as error:  # an AttributeError too, so that hasattr says False while samples are too few
            raise NotFittedError(str(error)) from error


class _HiddenAfterFit:
    """`partial_fit`, which is not there after `fit`: moments to go on from are then not kept."""

    def __init__(self, method: Callable[..., Any]):
        self.method = method
        update_wrapper(cast(Any, self), method)

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        if model is None:
            return self.method
        if isinstance(model.__dict__.get("_fitted"), Fitted):
            raise NotFittedError(
                f"partial_fit cannot go on from fit, which keeps no moments. Start with partial_fit on a fresh "
                f"{type(model).__name__}, or with fit_moments(Moments.from_data(X))."
            )
        return MethodType(self.method, model)


def hidden_after_fit(method: Method) -> Method:
    return cast(Method, _HiddenAfterFit(method))


def placed(solution: Solution, like: Any) -> Solution:
    """The solution with its arrays where the samples live."""
    library = library_of(like)
    return solution if library is None else solution.map_arrays(library.adopt)
