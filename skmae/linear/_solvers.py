"""How a problem is solved: each solver says what it can solve, and at what cost.

A solver of one's own is a subclass of `Solver`; a model takes it as ``solver=``.
"""

import os
from collections.abc import Hashable
from dataclasses import replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from skmae._linalg import EPS_FLOAT32, unit_of
from skmae._typing import FloatArray
from skmae.linear._corruptions import Corruption
from skmae.linear._dual import solve_dual
from skmae.linear._losses import AllFeatures, remainder_is_small
from skmae.linear._primal import Factorisation, Minimiser, checked_total
from skmae.linear._problem import Data, FromSummary, Problem, Solution, Summary, check_rank
from skmae.linear._randomized import NUMBERS_AT_A_TIME, solve_randomized

# Products summed in float32 are good to 1e-7 or so of the largest variance. They do where the smallest eigenvalue
# asked for has at least this share of the largest, V still has a Cholesky factor, and their rounding changes Σ λ by no
# more than this share of the variance
_EIGENVALUE_FOR_FLOAT32 = 1e-4
_RCOND_FOR_FLOAT32 = 1e-8
_ERROR_FOR_FLOAT32 = 1e-6

# Of solver="randomized": passes over X, and arrays of (d, k)
_TYPICAL_PASSES, _ARRAYS = 10, 16


class Cost(NamedTuple):
    """Of solving: floating-point operations, and bytes of memory beside the data.

    Examples
    --------
    >>> from skmae.linear import Cost
    >>> Cost(flops=4 * 64**3, bytes=8 * 3 * 64**2).flops
    1048576
    """

    flops: float
    bytes: float


class Solver:
    """Base of the solvers.

    Examples
    --------
    A subclass has `solve`, and `refuses` what it cannot solve. This one knows the PCA of samples that nothing corrupts:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearAE
    >>> from skmae.linear import Minimiser, Solution, Solver
    >>> class Plain(Solver):
    ...     name = "plain"
    ...
    ...     def refuses(self, problem, n_rows, has_rows):
    ...         return None if problem.corruption.is_identity else "solver=Plain() needs samples without corruption."
    ...
    ...     def solve(self, problem, data):
    ...         _, mean, S = data.summary(np.float64)
    ...         values, E = np.linalg.eigh(S)
    ...         values, E = values[::-1][: problem.n_components], E[:, ::-1][:, : problem.n_components]
    ...         found = Minimiser(E.T, E, values, self.name, rcond=0.0)
    ...         return Solution.of(problem, found, mean, np.trace(S), np.trace(S) - values.sum())
    >>> X = load_digits().data
    >>> ours, theirs = (LinearAE(8, solver=solver).fit(X) for solver in (Plain(), "auto"))
    >>> bool(np.allclose(ours.eigenvalues_, theirs.eigenvalues_))
    True
    """

    name: str
    needs_rows = False
    """Whether moments of the data will not do."""

    is_automatic = True
    """Whether ``solver="auto"`` may choose it, once it is one of `SOLVERS`."""

    is_exact = True
    """Whether it finds the least loss to all digits; "auto" takes others where nothing exact fits in memory."""

    def refuses(self, problem: Problem, n_rows: int, has_rows: bool) -> str | None:  # noqa: ARG002
        """Why it cannot solve this, and what to do; None if it can."""
        return None

    def cost(self, problem: Problem, n_rows: int) -> Cost:
        """What it takes."""
        raise NotImplementedError

    def solve(self, problem: Problem, data: Data) -> Solution:
        """The solution."""
        raise NotImplementedError


class Primal(Solver):
    """From the second moment S and V, both d × d: "cholesky" factorises V, "eigh" takes its pseudo-inverse.

    "auto" does the second where V is singular.
    """

    def __init__(self, how: Factorisation):
        self.name = self._how = how
        self.is_automatic = how == "auto"

    def cost(self, problem: Problem, n_rows: int) -> Cost:
        d = problem.grid.n_features
        decomposition = 20 * d**3 if self._how == "eigh" else 4 * d**3
        return Cost(n_rows * d**2 + decomposition, 8 * 3 * d**2)

    def solve(self, problem: Problem, data: Data) -> Solution:
        # where to stop counting directions is a matter of the last digits: not one for float32
        narrow = data.is_float32 and isinstance(problem.n_components, Integral) and problem.loss.takes_float32
        if narrow:
            how = "auto" if self._how == "cholesky" else self._how  # what is singular in float32 need not be
            solution, is_exact = self._from_summary(problem, data.summary(np.float32), how)
            if is_exact:
                return solution
        return self._from_summary(problem, data.summary(np.float64), self._how)[0]

    def _from_summary(self, problem: Problem, summary: Summary, how: Factorisation) -> tuple[Solution, bool]:
        """The solution, and whether sums in float32 are exact enough for it."""
        n_rows, mean, S = summary
        check_rank(problem.n_components, n_rows, len(mean))
        unit = unit_of(checked_total(float(np.trace(S))))
        S, corruption = S / unit if unit != 1 else S, problem.corruption.in_units(unit)
        minimiser, error = problem.loss.minimise(corruption, S, problem.n_components, how)
        values = minimiser.eigenvalues
        is_exact = (
            minimiser.rcond > _RCOND_FOR_FLOAT32
            and values[-1] > _EIGENVALUE_FOR_FLOAT32 * values[0]
            and _error_of_float32(minimiser, S) < _ERROR_FOR_FLOAT32
        )
        minimiser = replace(minimiser, eigenvalues=values * unit)
        return _solution(problem, summary, minimiser, error * unit), bool(is_exact)

    def solve_together(self, problems: list[Problem], summary: Summary, workspace: list[FloatArray]) -> list[Solution]:
        """`solve` for problems with one `together_key`."""
        n_rows, mean, S = summary
        first = problems[0]
        check_rank(first.n_components, n_rows, len(mean))
        if unit_of(checked_total(float(np.trace(S)))) != 1:
            return [self._from_summary(problem, summary, self._how)[0] for problem in problems]
        workspace += [np.empty_like(S, order="F") for _ in problems[len(workspace) :]]
        corruptions = [problem.corruption for problem in problems]
        found = AllFeatures().minimise_together(corruptions, S, first.n_components, self._how, workspace)
        pairs = zip(problems, found, strict=True)
        return [_solution(problem, summary, minimiser, error) for problem, (minimiser, error) in pairs]


def _error_of_float32(minimiser: Minimiser, S: FloatArray) -> float:
    """By what Σ λ may be wrong, over tr S, if products were rounded to float32.

    λ = 2 wᵀSe − wᵀVw is stationary in its row w of the encoder and column e of the decoder, so that to first order it
    changes by what rounding changes of S and V alone.
    """
    size = np.sqrt(S.diagonal())
    w = np.linalg.norm(minimiser.encoder * size, axis=1)
    e = np.linalg.norm(minimiser.decoder.T * size, axis=1)
    return float(EPS_FLOAT32 * (2 * w @ e + w @ w) / np.trace(S))


class Dual(Solver):
    """From the rows themselves, for fewer samples than features: n × n, nothing d × d is formed."""

    name = "dual"
    needs_rows = True

    def refuses(self, problem: Problem, n_rows: int, has_rows: bool) -> str | None:  # noqa: ARG002
        corruption = problem.corruption
        if not problem.loss.takes_rows:
            return 'solver="dual" knows loss="all" only. With loss="hidden" use solver="auto".'
        if not has_rows:
            return (
                'solver="dual" needs all rows at once, and complete ones, without NaN or masked entries: use fit with '
                'such an array, or solver="auto".'
            )
        if corruption.is_dense:
            return (
                'solver="dual" takes masks that hide groups of patches, each by itself or a fixed number of them. '
                'Those of this mask_sampling need matrices of (n_features, n_features): use solver="auto".'
            )
        if _is_corrupted_in_part(corruption):
            return (
                'solver="dual" takes corruptions of all features or of none, and some are never corrupted here. Use '
                'solver="auto".'
            )
        return None

    def cost(self, problem: Problem, n_rows: int) -> Cost:
        """Two Gram matrices, two eigenproblems, and a factor of each group."""
        n, d = n_rows, problem.grid.n_features
        sizes = problem.corruption.group_sizes(d)
        ranks = np.minimum(sizes, n)
        factors = float((sizes * ranks**2).sum())
        return Cost(2 * n**2 * d + 20 * n**3 + factors, 8 * (4 * n**2 + float((sizes * ranks).max())))

    def solve(self, problem: Problem, data: Data) -> Solution:
        X, weights = data.rows()
        minimiser, mean, total = solve_dual(X, problem.corruption, problem.n_components, weights)
        error = total - float(minimiser.eigenvalues.sum())
        return Solution.of(problem, minimiser, mean, total, error)


class Randomized(Solver):
    """From the rows themselves, read in blocks, for many samples of many features: n × k, d × k, and patches."""

    name = "randomized"
    needs_rows = True
    is_exact = False

    def refuses(self, problem: Problem, n_rows: int, has_rows: bool) -> str | None:  # noqa: ARG002
        corruption = problem.corruption
        if not problem.loss.takes_rows:
            return 'solver="randomized" knows loss="all" only. With loss="hidden" use solver="auto".'
        if not isinstance(problem.n_components, Integral):
            return (
                f'solver="randomized" finds a given number of components, and n_components={problem.n_components} does '
                f'not say how many. Pass an int, or use solver="auto".'
            )
        if not has_rows:
            return (
                'solver="randomized" reads all rows again and again, and complete ones, without NaN or masked entries: '
                'use fit with an array, a memory map or an HDF5 dataset of such, or solver="auto".'
            )
        if corruption.is_dense:
            return (
                'solver="randomized" takes masks that hide groups of patches, each by itself or a fixed number of '
                'them. Those of this mask_sampling need matrices of (n_features, n_features): use solver="auto".'
            )
        if _is_corrupted_in_part(corruption):
            return (
                'solver="randomized" takes corruptions of all features or of none, and some are never corrupted here. '
                'Use solver="auto".'
            )
        return None

    def cost(self, problem: Problem, n_rows: int) -> Cost:
        """Some passes of two products each, and second moments and factors of groups."""
        d, k = problem.grid.n_features, _rank(problem)
        sizes = problem.corruption.group_sizes(d)
        groups = float((sizes.astype(np.float64) ** 2).sum())
        flops = 4 * n_rows * d * k * _TYPICAL_PASSES + (n_rows + float(sizes.max())) * groups
        return Cost(flops, 8 * (_ARRAYS * d * k + groups) + 4 * NUMBERS_AT_A_TIME)

    def solve(self, problem: Problem, data: Data) -> Solution:
        samples, weights = data.samples()
        random = check_random_state(problem.random_state)
        minimiser, mean, total = solve_randomized(
            samples, problem.corruption, _rank(problem), weights, random, verbose=problem.verbose
        )
        return Solution.of(problem, minimiser, mean, total, total - float(minimiser.eigenvalues.sum()))


def _rank(problem: Problem) -> int:
    """The number of components, which is asked for as such."""
    if not isinstance(problem.n_components, Integral):
        raise TypeError(f"n_components={problem.n_components} is no number of components, which `refuses` says first.")
    return int(problem.n_components)


def _is_corrupted_in_part(corruption: Corruption) -> bool:
    """Whether D is singular where S need not be."""
    return corruption.has_within and not (np.all(corruption.within) or corruption.noise)


SOLVERS: dict[str, Solver] = {
    solver.name: solver for solver in (Primal("auto"), Primal("cholesky"), Primal("eigh"), Dual(), Randomized())
}


def choose_solver(problem: Problem, n_rows: int, *, has_rows: bool) -> Solver:
    """The solver that was asked for, or the cheapest that can solve the problem exactly in the memory of the machine.

    Where none of these can, one that is not exact; where that cannot either, the cheapest exact one, come what may.

    Parameters
    ----------
    problem : Problem
    n_rows : int
    has_rows : bool
        Whether the rows themselves are at hand, beside their moments.

    Raises
    ------
    ValueError
        If the loss cannot be minimised under the corruption, or by the solver that was asked for.
    """
    if isinstance(problem.solver, type):
        raise ValueError(f"solver is the class {problem.solver.__name__}. Pass an object: {problem.solver.__name__}().")
    solver = SOLVERS[problem.solver] if isinstance(problem.solver, str) else problem.solver
    refusal = problem.loss.refuses(problem.grid, problem.corruption)
    if refusal is None and problem.solver == "auto":
        able = [s for s in SOLVERS.values() if s.is_automatic and s.refuses(problem, n_rows, has_rows) is None]
        costs = [s.cost(problem, n_rows) for s in able]
        memory = physical_memory()
        ranks = [(c.bytes > memory, not s.is_exact, c.flops) for s, c in zip(able, costs, strict=True)]
        return able[ranks.index(min(ranks))]
    refusal = refusal or solver.refuses(problem, n_rows, has_rows)
    if refusal:
        raise ValueError(refusal)
    return solver


def physical_memory() -> float:
    """Bytes of memory in the machine, used or not, so that the choice does not depend on its load."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this platform
        return float("inf")


@np.errstate(under="ignore")  # products of small numbers may be zero
def solve(problem: Problem, data: Data) -> Solution:
    """The solution of a problem, by the solver that is chosen for it."""
    check_rank(problem.n_components, data.n_rows, data.n_features)
    solver = choose_solver(problem, data.n_rows, has_rows=data.has_rows)
    if solver.needs_rows and not data.is_complete:
        solver = choose_solver(problem, data.n_rows, has_rows=False)
    return solver.solve(problem, data)


def together_key(problem: Problem) -> Hashable:
    """The same for problems that `solve_many` solves faster than each by itself."""
    if type(problem.loss) is not AllFeatures or not isinstance(problem.solver, str):
        return problem
    return problem.n_components, problem.solver, remainder_is_small(problem.corruption)


@np.errstate(under="ignore")
def solve_many(problems: list[Problem], summary: Summary, workspace: list[FloatArray]) -> list[Solution]:
    """The solutions of problems with one `together_key`, from moments; they share products with S.

    `workspace` keeps d × d arrays from one call to the next: fresh memory takes longer than what is done in it.
    """
    data = FromSummary(summary)
    if len(problems) == 1:
        return [solve(problems[0], data)]
    solver = choose_solver(problems[0], summary.n_rows, has_rows=False)
    if not isinstance(solver, Primal):
        return [solve(problem, data) for problem in problems]
    return solver.solve_together(problems, summary, workspace)


def _solution(problem: Problem, summary: Summary, minimiser: Minimiser, error: float) -> Solution:
    """From the minimiser under the second moment, and its error; both are told of the variances measured."""
    _, mean, S = summary
    total = float(np.trace(S))
    if summary.excess is not None:
        nothing = np.zeros((1, len(mean)))
        total -= float(summary.excess.sum())
        error -= float(problem.expected_error(np.sqrt(summary.excess)[np.newaxis], nothing, nothing.T)[0])
    return Solution.of(problem, minimiser, mean, total, error)
