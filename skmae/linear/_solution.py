"""From moments to fitted attributes: the problem that an autoencoder's parameters state, and its solution."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skmae._grid import PatchGrid
from skmae.linear._corruption import Corruption
from skmae.linear._dual import is_cheaper, solve_dual
from skmae.linear._hidden import Given, expected_error, solve_hidden
from skmae.linear._rrr import Solution, solve
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


def solve_primal(problem: Problem, moments: Moments, *, keep: bool) -> tuple[dict[str, Any], float]:
    """The fitted attributes from moments, and V's reciprocal condition; unless `keep`, the moments are used up."""
    check_rank(problem.n_components, moments.n, moments.n_features)
    mean = moments.mean
    S = moments.second if keep else moments._release_second()
    total = float(np.trace(S))
    _check_total(total)
    grid, corruption, n_components, _, solver, loss = problem
    if loss == "hidden":
        solution, error = solve_hidden(S, grid, corruption, n_components, solver)
    else:
        solution = solve(S, corruption.second(S, grid), n_components, solver)
        error = total - float(solution.eigenvalues.sum())
    return _attributes(problem, solution, mean, total, error), solution.rcond


def solve_from_rows(problem: Problem, X: np.ndarray) -> dict[str, Any]:
    """The fitted attributes from the data itself, for fewer samples than features."""
    solution, mean, total = solve_dual(X, problem.grid, problem.corruption, problem.n_components)
    _check_total(total)
    return _attributes(problem, solution, mean, total, total - float(solution.eigenvalues.sum()))


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
