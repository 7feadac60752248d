"""From moments to fitted attributes: the problem that an autoencoder's parameters state, and its solution."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skmae._arrays import Home, to_numpy
from skmae._grid import PatchGrid
from skmae.linear._corruption import Corruption
from skmae.linear._dual import is_cheaper, solve_dual
from skmae.linear._hidden import Given, expected_error, solve_hidden
from skmae.linear._rrr import Parts, Solution, solve_together
from skmae.moments import Moments

# Set by the solution; after `partial_fit` they are made when first asked for
SOLVED = (
    "components_",
    "decoder_",
    "mean_",
    "eigenvalues_",
    "explained_variance_ratio_",
    "expected_loss_",
    "n_components_",
    "solver_",
)


# Products summed in float32 are good to 1e-7 or so; a V that is worse conditioned than this needs float64's
_RCOND_FOR_FLOAT32 = 1e-8

_LARGEST_WITHIN = 100.0


class Problem(NamedTuple):
    """What is to be solved, as the parameters stood when the data came."""

    grid: PatchGrid
    corruption: Corruption
    n_components: int | float | None
    whiten: bool
    solver: str
    loss: str = "all"

    def expected_error(self, X: np.ndarray, encoder: np.ndarray, decoder: np.ndarray) -> np.ndarray:
        """Expected squared error of each centred row of `X`; (n,)."""
        if self.loss == "hidden":
            given = Given.of(self.corruption, self.grid.n_patches)
            return expected_error(X, encoder, decoder, self.grid, given)
        return self.corruption.expected_error(X, encoder, decoder, self.grid)


class Summary(NamedTuple):
    """What of the data the solution depends on."""

    n_rows: int
    mean: np.ndarray
    second: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_rows, len(self.mean)

    @classmethod
    def of(cls, moments: Moments) -> "Summary":
        return cls(moments.n_rows, moments.mean, moments.second)

    @classmethod
    def using_up(cls, moments: Moments) -> "Summary":
        """In the memory of the moments, which are lost."""
        return cls(moments.n_rows, moments.mean, moments._release_second())


def solve_primal(problem: Problem, data: Summary) -> tuple[dict[str, Any], float]:
    """The fitted attributes from moments, and V's reciprocal condition."""
    n_rows, mean, S = data
    check_rank(problem.n_components, n_rows, len(mean))
    total = float(np.trace(S))
    _check_total(total)
    grid, corruption, n_components, _, solver, loss = problem
    if loss == "hidden":
        solution, error = solve_hidden(S, grid, corruption, n_components, solver)
    else:
        parts = [_parts(problem, S)]
        solution = solve_together(S, [corruption.second(S, grid)], n_components, solver, parts)[0]
        error = total - float(solution.eigenvalues.sum())
    return _attributes(problem, solution, mean, total, error), solution.rcond


def _parts(problem: Problem, S: np.ndarray) -> Parts | None:
    """What V is made of, unless its part within patches, or noise, is so large that it must not be subtracted."""
    corruption = problem.corruption
    if corruption.noise or corruption.within > _LARGEST_WITHIN * corruption.across:
        return None
    return Parts(corruption.across, corruption.own(S, problem.grid))


def solve_many(problems: list[Problem], data: Summary, workspace: list[np.ndarray]) -> list[dict[str, Any]]:
    """The fitted attributes of problems that share rank, solver and constant features.

    `workspace` keeps d × d arrays from one call to the next: fresh memory takes longer than what is done in it.
    """
    if len(problems) == 1:
        return [solve_primal(problems[0], data)[0]]
    n_rows, mean, S = data
    first = problems[0]
    check_rank(first.n_components, n_rows, len(mean))
    total = float(np.trace(S))
    _check_total(total)
    workspace += [np.empty_like(S, order="F") for _ in problems[len(workspace) :]]
    pairs = zip(problems, workspace, strict=False)
    seconds = [problem.corruption.second(S, problem.grid, out) for problem, out in pairs]
    parts = [_parts(problem, S) for problem in problems]
    solutions = solve_together(S, seconds, first.n_components, first.solver, parts)
    return [
        _attributes(problem, solution, mean, total, total - float(solution.eigenvalues.sum()))
        for problem, solution in zip(problems, solutions, strict=True)
    ]


def solve_by_moments(problem: Problem, X: Any, weights: np.ndarray | None) -> dict[str, Any]:
    """The fitted attributes from one pass over the data, or two if float32 was not enough."""
    # where to stop counting directions is a matter of the last digits: not one for float32
    narrow = str(X.dtype).endswith(("float16", "float32")) and isinstance(problem.n_components, Integral)
    narrow = narrow and problem.loss == "all"  # descent takes longer than any sums
    moments = Moments.from_data(X, sample_weight=weights, dtype=np.float32 if narrow else np.float64)
    attributes, rcond = solve_primal(problem, Summary.using_up(moments))
    if narrow and rcond < _RCOND_FOR_FLOAT32:
        moments = Moments.from_data(X, sample_weight=weights)
        attributes, _ = solve_primal(problem, Summary.using_up(moments))
    return attributes


def solve_from_rows(problem: Problem, X: Any, weights: np.ndarray | None) -> dict[str, Any]:
    """The fitted attributes from the data itself, on the host, for fewer samples than features."""
    X = to_numpy(X)
    solution, mean, total = solve_dual(X, problem.grid, problem.corruption, problem.n_components, weights)
    _check_total(total)
    return _attributes(problem, solution, mean, total, total - float(solution.eigenvalues.sum()))


def adopt_all(attributes: dict[str, Any], home: Home | None) -> dict[str, Any]:
    """The attributes with their arrays where the data lives."""
    if home is None:
        return attributes
    return {name: home.adopt(value) if isinstance(value, np.ndarray) else value for name, value in attributes.items()}


def is_dual(problem: Problem, n: int, d: int) -> bool:
    """Whether the solver that was asked for, or the cheaper one, is the dual one."""
    may_choose = problem.solver == "auto" and problem.loss == "all"
    return problem.solver == "dual" or (may_choose and is_cheaper(n, d, problem.grid))


def _attributes(problem: Problem, solution: Solution, mean: np.ndarray, total: float, error: float) -> dict[str, Any]:
    encoder, decoder = _whitened(solution) if problem.whiten else (solution.encoder, solution.decoder)
    return {
        "components_": encoder,
        "decoder_": decoder,
        "mean_": mean,
        "eigenvalues_": solution.eigenvalues,
        "explained_variance_ratio_": solution.eigenvalues / (total or 1.0),
        "expected_loss_": max(error, 0.0) / len(mean),
        "n_components_": len(solution.eigenvalues),
        "solver_": solution.solver,
    }


def truncated(attributes: dict[str, Any], k: Any) -> dict[str, Any]:
    """The solution of rank k from one of a larger rank: the leading directions are the same (Theorem 1)."""
    left_out = float(attributes["eigenvalues_"][k:].sum())
    k = int(k)
    return {
        **attributes,
        "components_": attributes["components_"][:k],
        "decoder_": attributes["decoder_"][:, :k],
        "eigenvalues_": attributes["eigenvalues_"][:k],
        "explained_variance_ratio_": attributes["explained_variance_ratio_"][:k],
        "expected_loss_": attributes["expected_loss_"] + left_out / len(attributes["mean_"]),
        "n_components_": k,
    }


def _check_total(total: float) -> None:
    if not np.isfinite(total):
        raise ValueError("The variance of X is beyond the range of float64. Divide X by a constant first.")


def check_rank(n_components: int | float | None, n: int, d: int) -> None:
    if n < 2:
        raise ValueError(f"n_samples={n} is too few: a linear autoencoder needs at least 2 samples.")
    limit = min(n, d)
    if isinstance(n_components, Integral) and int(n_components) > limit:
        raise ValueError(
            f"n_components={n_components} is larger than min(n_samples={n}, n_features={d}) = {limit}. Pass at most "
            f"{limit}, or None to keep every direction that carries signal."
        )


def _whitened(solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """A = Λ^{1/2}: features of corrupted samples have unit second moment; those without signal stay zero."""
    scale = np.sqrt(solution.eigenvalues)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return inverse[:, np.newaxis] * solution.encoder, solution.decoder * scale
