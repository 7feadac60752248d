"""Rows of one data set that carry what the folds of a search share: models solved from moments, and their features.

`LinearMAESearchCV` hands these views out in place of arrays. A linear autoencoder recognises them; everyone else sees
an array.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple, cast

import joblib
import numpy as np
from joblib import Parallel, delayed
from numpy.lib.mixins import NDArrayOperatorsMixin
from sklearn.base import clone

from skmae._samples import Samples, Weights
from skmae._typing import Array, FloatArray, IntArray, Shape
from skmae.linear._problem import FromSummary, Problem, Solution, Summary, check_rank
from skmae.linear._solvers import choose_solver, solve, solve_many, together_key
from skmae.moments import Moments
from skmae.tokens import LocalTokens
from skmae.tokens._tokenizer import Tokenizer

_TOGETHER = 4  # each takes a d × d array


class TrainingSet:
    """Rows that models are fitted to: their solutions, and what these make of all rows of the table.

    Parameters
    ----------
    summary : Summary or None
        Moments of the rows; None where models must read the rows themselves.
    weights : ndarray of shape (n_rows,) or None
    """

    def __init__(self, summary: Summary | None, weights: Weights):
        self.summary = summary
        self.weights = weights
        self.solutions: dict[Problem, Solution] = {}
        self.features: dict[Problem, Array] = {}  # (n, k)

    def solution(self, problem: Problem, weights: Weights) -> Solution | None:
        """A copy for the caller; None if it takes the rows."""
        if not _same(weights, self.weights):
            return None
        if problem not in self.solutions and self.summary is not None and _can_solve(problem, self.summary.n_rows):
            self.solutions[problem] = solve(problem, FromSummary(self.summary))
        shared = self.solutions.get(problem)
        return None if shared is None else shared.map_arrays(np.copy)

    def solve_all(self, problems: Iterable[Problem], workspace: list[FloatArray]) -> None:
        """Solve what can be solved, all ranks from the largest; what fails is left to fail in its own fit."""
        if self.summary is None:
            return
        smaller_of = _families(problem for problem in problems if _can_solve(problem, self.summary.n_rows))
        for group in _groups(smaller_of):
            for problem, solution in _solve(group, self.summary, workspace):
                self.solutions |= {
                    other: solution.truncated(cast(int, other.n_components)) for other in smaller_of[problem]
                }
                self.solutions[problem] = solution


class Table:
    """A data set, and the training sets that are made of it.

    Parameters
    ----------
    samples : Samples
        Of arrays; NaN where something is not known.
    weights : ndarray of shape (n_samples,) or None
    lazy : bool
        Whether rows are made when they are read; nothing is missing then.
    """

    def __init__(self, samples: Samples, weights: Weights, *, lazy: bool = False):
        self.samples = samples
        self.values = samples.values if lazy else samples.rows()
        self.weights = weights
        self.is_complete = lazy or samples.is_complete
        self.whole = TrainingSet(None, weights)
        self.folds: dict[bytes, TrainingSet] = {}
        self.made: dict[tuple[str, bytes], Made] = {}

    def view(self) -> "RowView":
        """All rows."""
        return RowView(self, None, self.whole)

    def share(self, trainings: list[IntArray], problems: list[Problem], verbose: int) -> None:
        """Gather the moments of all training sets, in one pass where their complements tile the data, and solve."""
        if all(_needs_rows(problem, len(rows)) for problem in problems for rows in trainings):
            return
        total, parts = _moments_of_parts(self.samples, trainings, self.weights)
        workspace: list[FloatArray] = []
        Parallel(n_jobs=1, verbose=verbose)(
            delayed(self._solve_fold)(rows, moments, problems, workspace)
            for rows, moments in zip(trainings, parts, strict=True)
            if moments.n_rows
        )
        self.whole.summary = Summary.using_up(total)
        n_features = sum(s.n_components for fold in self.folds.values() for s in fold.solutions.values())
        is_small = n_features <= self.samples.n_features  # all features of all folds are no more than the data
        if is_small and self.is_complete:
            self._encode(self.samples)

    def share_made(
        self, step: LocalTokens, trainings: list[IntArray], pose: Callable[[Samples], list[Problem]], verbose: int
    ) -> None:
        """The same for what a transformer makes of the samples: it is fitted to each training set, and read once."""
        Parallel(n_jobs=1, verbose=verbose)(delayed(self._make)(step, rows, pose) for rows in trainings)

    def _make(self, step: LocalTokens, rows: IntArray, pose: Callable[[Samples], list[Problem]]) -> None:
        with suppress(TypeError, ValueError):  # what cannot be fitted is left to fail in the candidate's own fit
            self.made[parameters_hash(step), rows.tobytes()] = self._made(step, rows, pose)

    def _made(self, step: LocalTokens, rows: IntArray, pose: Callable[[Samples], list[Problem]]) -> "Made":
        learned = clone(step).fit(RowView(self, rows, None))._state
        lazy = learned.lazily(self.samples)
        table = Table(lazy, self.weights, lazy=True)
        at_hand = Samples(lazy.rows(), lazy.sample_shape)  # for now
        problems = [problem for problem in pose(lazy) if _can_solve(problem, len(rows))]
        if problems:
            weights = None if self.weights is None else self.weights[rows]
            moments = Moments._of(Samples(at_hand.values[rows]), weights)
            table._solve_fold(rows, moments, problems, [])
            table._encode(at_hand)
        return Made(learned, table)

    def _solve_fold(
        self, rows: IntArray, moments: Moments, problems: list[Problem], workspace: list[FloatArray]
    ) -> None:
        fold = TrainingSet(Summary.using_up(moments), None if self.weights is None else self.weights[rows])
        fold.solve_all(problems, workspace)
        fold.summary = None  # it is large
        self.folds[rows.tobytes()] = fold

    def _encode(self, samples: Samples) -> None:
        """Features of all rows, which are these samples, by the models of all folds; they are read once."""
        solved = [(fold, *each) for fold in self.folds.values() for each in fold.solutions.items()]
        if not solved:
            return
        solutions = [solution for _, _, solution in solved]
        centre = solutions[0].mean  # the means of other folds are near it
        Z = samples.encode(np.vstack([solution.components for solution in solutions]), centre)
        Z -= np.concatenate([s.components @ (s.mean - centre) for s in solutions]).astype(Z.dtype)
        ends = np.cumsum([solution.n_components for solution in solutions])
        for (fold, problem, _), features in zip(solved, np.split(Z, ends[:-1], axis=1), strict=True):
            fold.features[problem] = features


class Made(NamedTuple):
    """What a transformer has learned from a training set, and the table of what it makes of all rows."""

    learned: Tokenizer
    table: Table


class RowView(NDArrayOperatorsMixin, Samples):
    """Rows of a table, for all the world an array; it is gathered when somebody reads it.

    Parameters
    ----------
    table : Table
    index : ndarray of int or None
        None for all rows.
    training : TrainingSet or None
        The training set that these rows are, if they are one.
    """

    def __init__(self, table: Table, index: IntArray | None, training: TrainingSet | None):
        super().__init__(table.values, table.samples.sample_shape)
        self.table = table
        self.index = index
        self.training = training

    # -- as samples -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.table.samples) if self.index is None else len(self.index)

    def read(self, rows: Any) -> Array:
        some: Array = self.values[rows] if self.index is None else self.values[self.index[rows]]
        return some

    @property
    def is_complete(self) -> bool:
        return self.table.is_complete or super().is_complete

    def check_finite(self) -> None:
        if not self.table.is_complete:
            super().check_finite()

    def check_bounded(self, weights: Weights = None, *, squares: bool = False) -> None:
        if squares:  # else, the table has been checked
            super().check_bounded(weights, squares=True)

    def instead_of(self, X: object) -> "RowView":  # noqa: ARG002
        """Itself: an array in its place would share nothing."""
        return self

    def recall_step(self, step: LocalTokens) -> Tokenizer | None:
        made = None if self.index is None else self.table.made.get((parameters_hash(step), self.index.tobytes()))
        return None if made is None else made.learned

    def recall_made(self, learned: Tokenizer) -> "RowView | None":
        made = next((made for made in self.table.made.values() if made.learned is learned), None)
        if made is None:
            return None
        training = None if self.index is None else made.table.folds.get(self.index.tobytes())
        return RowView(made.table, self.index, training)

    def recall(self, problem: Problem, weights: Weights) -> Solution | None:
        return None if self.training is None else self.training.solution(problem, weights)

    def recall_features(self, problem: Problem, solution: Solution) -> Array | None:
        for fold in self.table.folds.values():
            known = fold.solutions.get(problem)
            if problem in fold.features and np.array_equal(known.components, solution.components):  # type: ignore[union-attr]
                Z = fold.features[problem]
                return Z.copy() if self.index is None else Z[self.index]
        return None

    # -- as an array ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        return self.original_shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: Any) -> Any:
        """Whole rows of the whole table, as scikit-learn's folds ask for them, are a view; the rest is an array."""
        rows = key[0] if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis else key
        if self.index is None and isinstance(rows, np.ndarray) and rows.ndim == 1:
            index = np.arange(len(self))[rows]
            return RowView(self.table, index, self.table.folds.get(index.tobytes()))
        return np.asarray(self)[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False and self.index is not None:
            raise ValueError("Rows of a table cannot be had without a copy.")
        array = np.asarray(self.rows(), dtype=dtype).reshape(self.shape)
        may_share = isinstance(self.values, np.ndarray) and np.shares_memory(array, self.values)
        return array.copy() if copy and may_share else array

    def __iter__(self) -> Iterator[Any]:
        return iter(np.asarray(self))

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return np

    @property
    def device(self) -> str:
        return "cpu"

    def take(self, indices: Any, axis: int = 0, **options: Any) -> Any:
        return self[np.asarray(indices)] if axis == 0 else np.take(np.asarray(self), indices, axis=axis, **options)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [np.asarray(x) if isinstance(x, RowView) else x for x in inputs]
        if any(isinstance(x, RowView) for x in kwargs.get("out", ())):  # X -= 1 makes an array of X
            del kwargs["out"]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("table", "values") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(np.asarray(self), name)


def _solve(group: list[Problem], summary: Summary, workspace: list[FloatArray]) -> Iterator[tuple[Problem, Solution]]:
    """Those of the group that can be solved: together, or one by one if one of them cannot."""
    try:
        yield from zip(group, solve_many(group, summary, workspace), strict=True)
    except ValueError:
        for problem in group if len(group) > 1 else ():
            yield from _solve([problem], summary, workspace)


def _needs_rows(problem: Problem, n_rows: int) -> bool:
    """Whether moments will not do, or cost more."""
    return choose_solver(problem, n_rows, has_rows=True).needs_rows


def _can_solve(problem: Problem, n_rows: int) -> bool:
    """Whether moments will do, as far as is known before solving."""
    with suppress(ValueError):
        check_rank(problem.n_components, n_rows, problem.grid.n_features)
        return not _needs_rows(problem, n_rows)
    return False


def _families(problems: Iterable[Problem]) -> dict[Problem, list[Problem]]:
    """Each problem of the largest rank, and those of smaller ranks that Theorem 1 answers with it."""
    families: dict[Problem, list[Problem]] = {}
    for problem in dict.fromkeys(problems):
        nested = isinstance(problem.n_components, Integral) and problem.loss.smaller_ranks_follow
        families.setdefault(replace(problem, n_components=-1) if nested else problem, []).append(problem)
    by_rank = (sorted(family, key=lambda problem: problem.n_components or 0) for family in families.values())
    return {family[-1]: family[:-1] for family in by_rank}


def _groups(problems: Iterable[Problem]) -> Iterator[list[Problem]]:
    """Problems that are solved faster together, a few at a time."""
    alike: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(together_key(problem), []).append(problem)
    for group in alike.values():
        for first in range(0, len(group), _TOGETHER):
            yield group[first : first + _TOGETHER]


def parameters_hash(step: LocalTokens) -> str:
    """The same for transformers of the same parameters."""
    name: str = joblib.hash(step.get_params())
    return name


def _same(a: Weights, b: Weights) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


def _moments_of_parts(samples: Samples, parts: list[IntArray], weights: Weights) -> tuple[Moments, Iterator[Moments]]:
    """Moments of all rows, and of each part: by subtraction, if the rest is smaller and no digits are lost."""
    values, n = samples.rows(), len(samples)

    def gather(rows: IntArray) -> Moments:
        return Moments._of(Samples(values[rows]), None if weights is None else weights[rows])

    rests = [np.setdiff1d(np.arange(n), part) for part in parts]
    tiled = np.array_equal(np.sort(np.concatenate([np.arange(0), *rests])), np.arange(n))
    few = len(parts) * samples.n_features <= n  # their moments hold no more numbers than the data
    if tiled and few and all(len(part) + len(rest) == n for part, rest in zip(parts, rests, strict=True)):
        known = [gather(rest) for rest in rests]
        total = sum(known[1:], known[0])
    else:
        known = []
        total = Moments._of(Samples(values), weights)

    def of_part(number: int) -> Moments:
        part, rest = parts[number], rests[number]
        if not known and (len(part) + len(rest) != n or len(rest) >= len(part)):
            return gather(part)
        moments = total - (known[number] if known else gather(rest))
        return gather(part) if moments._has_cancelled() else moments

    return total, map(of_part, range(len(parts)))
