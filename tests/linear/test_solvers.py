"""Which solver is taken, and losses and solvers of one's own: one class each."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmae import LinearAE, LinearMAE, Moments
from skmae._grid import PatchGrid
from skmae.linear import Corruption, _solvers
from skmae.linear._losses import AllFeatures, HiddenFeatures, Loss, resolve_loss
from skmae.linear._primal import Minimiser, reduced_rank_regression
from skmae.linear._problem import FromSummary, Problem, Solution, Summary
from skmae.linear._solvers import Cost, Solver, choose_solver, solve, solve_many, together_key

GRID = PatchGrid.build((4, 6), None, 2)


class Rows:
    """Data at hand."""

    is_float32, has_rows, is_complete = False, True, True

    def __init__(self, X, weights=None):
        self.X, self.weights = X, weights
        self.n_rows, self.n_features = X.shape

    def summary(self, dtype):
        return Summary.using_up(Moments.from_data(self.X, sample_weight=self.weights, dtype=dtype))

    def rows(self):
        return self.X, self.weights


def correlated(rng, n, d=24):
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def masked(mask=0.5, **options):
    return Problem(GRID, Corruption.bernoulli(mask).with_groups(GRID.patch_of_feature), **options)


def same(a, b, atol=1e-8):
    scale = np.abs(b.components).max()
    signs = np.sign(np.sum(a.decoder * b.decoder, axis=0))
    assert_allclose(a.eigenvalues, b.eigenvalues, atol=atol * b.eigenvalues[0])
    assert_allclose(a.components * signs[:, None], b.components, atol=atol * scale)
    assert_allclose(a.expected_loss, b.expected_loss, rtol=1e-8)


# -- the choice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "has_rows", "name"), [(5, True, "dual"), (5, False, "auto"), (2000, True, "auto"), (24, True, "auto")]
)
def test_auto_takes_the_cheapest_that_can(n, has_rows, name):
    assert choose_solver(masked(), n, has_rows=has_rows).name == name


def test_what_a_solver_costs_is_counted_in_both_units():
    few, many = (choose_solver(masked(), n, has_rows=True) for n in (5, 2000))
    assert few.cost(masked(), 5).flops < many.cost(masked(), 5).flops
    assert few.cost(masked(), 2000).flops > many.cost(masked(), 2000).flops
    assert few.cost(masked(), 5).bytes < many.cost(masked(), 5).bytes


@pytest.mark.parametrize(
    ("problem", "has_rows", "match"),
    [
        (masked(solver="dual"), False, 'solver="dual" needs all rows at once'),
        (masked(solver="dual", loss=HiddenFeatures()), True, 'solver="dual" knows loss="all" only'),
        (
            Problem(GRID, Corruption(within=np.r_[0.0, np.ones(23)], groups=np.arange(24)), solver="dual"),
            True,
            'solver="dual" takes corruptions of all features or of none',
        ),
    ],
)
def test_the_dual_solver_says_what_it_cannot_solve(problem, has_rows, match):
    with pytest.raises(ValueError, match=match):
        choose_solver(problem, 5, has_rows=has_rows)
    assert choose_solver(replace(problem, solver="auto"), 5, has_rows=has_rows).name == "auto"


CORRUPTIONS = {
    "scale alone": Corruption(across=2.0),
    "groups": Corruption(across=0.8, within=0.5, groups=GRID.patch_of_feature),
    "a weight for each group": Corruption(within=np.linspace(0.2, 3, 6), groups=GRID.patch_of_feature),
    "features": Corruption(within=0.5),
    "a weight for each feature": Corruption(within=np.linspace(0.2, 3, 24), groups=np.arange(24)),
    "noise alone": Corruption(noise=0.7, across=1.5),
    "noise and groups": Corruption(within=0.5, noise=0.7, groups=GRID.patch_of_feature),
    "noise and features": Corruption(across=0.9, within=0.5, noise=2.0),
    "noise where nothing else": Corruption(within=np.r_[0.0, np.ones(5)], noise=0.7, groups=GRID.patch_of_feature),
    "groups of all sizes": Corruption(within=1.0, groups=np.minimum(np.arange(24) // 3, 4) * (np.arange(24) > 2)),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_dual_is_primal_for_any_corruption(name, weighted, rng):
    X = correlated(rng, 11)
    X[:, [3, 10]] = 1e3 + 0.1
    weights = rng.integers(0, 4, 11).astype(float) if weighted else None
    problem = Problem(GRID, CORRUPTIONS[name], n_components=4, solver="dual")
    dual = solve(problem, Rows(X, weights))
    primal = solve(replace(problem, solver="eigh"), Rows(X, weights))
    assert (dual.solver, primal.solver) == ("dual", "eigh")
    same(dual, primal)


@pytest.mark.parametrize("problem", [masked(n_components=3), Problem(GRID, Corruption(), n_components=3)])
def test_the_dual_of_8_bit_samples_centres_rows_and_columns(problem, rng):
    """Samples that differ much in brightness, pixels that differ much in their mean."""
    X = rng.integers(0, 40, (12, 24)) + rng.integers(0, 100, (12, 1)) + rng.integers(0, 100, 24)
    bytes_, floats = (solve(replace(problem, solver="dual"), Rows(X.astype(t))) for t in (np.uint8, np.float64))
    primal = solve(replace(problem, solver="eigh"), Rows(X.astype(float)))
    same(bytes_, floats)
    same(bytes_, primal)


@pytest.mark.parametrize("seed", range(30))
def test_no_direction_without_signal_is_kept(seed):
    X = np.random.default_rng(seed).standard_normal((7, 32))
    for model in (LinearAE(solver="dual"), LinearMAE(mask=0, solver="dual", image_shape=(32,))):
        assert model.fit(X).n_components_ == 6


# -- nothing corrupted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["cholesky", "eigh", "dual"])
def test_without_corruption_the_encoder_is_the_decoder(solver, rng):
    """Also where S is nearly singular, and its inverse would amplify rounding."""
    basis = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    X = rng.normal(size=(20 if solver == "dual" else 200, 24)) * 10.0 ** -np.linspace(0, 6, 24) @ basis
    for model in (LinearAE(5), LinearMAE(5, mask=0)):
        model = model.set_params(solver=solver, image_shape=(4, 6)).fit(X)
        assert model.solver_ == solver
        assert_allclose(model.components_, model.decoder_.T, atol=1e-9)


# -- problems solved together ------------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", [False, True])
def test_problems_solved_together_are_solved_as_alone(constant, rng):
    X = correlated(rng, 100)
    if constant:
        X[:, [0, 9]] = 7.0
    summary = Summary.of(Moments.from_data(X))
    problems = [masked(mask, n_components=4) for mask in (0.2, 0.5, 0.9)]
    problems.append(Problem(GRID, Corruption(within=0.3), n_components=4))
    assert len({together_key(problem) for problem in problems}) == 1
    workspace = []
    for _ in range(2):  # in fresh arrays, and in used ones
        for problem, found in zip(problems, solve_many(problems, summary, workspace), strict=True):
            same(found, solve(problem, FromSummary(summary)))
    assert len(workspace) == 4


@pytest.mark.parametrize(
    "other",
    [
        masked(n_components=5),
        masked(n_components=4, solver="eigh"),
        masked(n_components=4, loss=HiddenFeatures()),
        Problem(GRID, Corruption(noise=0.1), n_components=4),
        masked(0.9999, n_components=4),
    ],
)
def test_what_does_not_go_together_has_another_key(other):
    assert together_key(other) != together_key(masked(n_components=4))


def test_a_smaller_rank_is_the_beginning_of_a_larger_one(rng):
    data = FromSummary(Summary.of(Moments.from_data(correlated(rng, 100))))
    large, small = (solve(masked(n_components=k), data) for k in (6, 2))
    cut = large.truncated(2)
    same(cut, small)
    assert_allclose(cut.explained_variance_ratio, small.explained_variance_ratio)
    assert cut.n_components == 2
    assert_array_equal(large.map_arrays(np.negative).mean, -large.mean)
    assert large.map_arrays(np.negative).solver == large.solver


# -- one's own ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeightedFeatures(Loss):
    """Σ_i w_i (x_i − x̂_i)²."""

    weights: tuple[float, ...]
    smaller_ranks_follow = True

    def expected_error(self, corruption, X, encoder, decoder):
        root = np.sqrt(self.weights)
        error = corruption.expected_error(X, encoder, root[:, None] * decoder)  # ‖x − D B x̃‖²
        cross = np.einsum("nk,nk->n", X * (root - np.array(self.weights)) @ decoder, X @ encoder.T)
        return error + X**2 @ (np.array(self.weights) - 1) + 2 * cross

    def minimise(self, corruption, S, n_components, how="auto"):
        root = np.sqrt(self.weights)[:, None]
        found = reduced_rank_regression(
            root * S, corruption.second(S), n_components, how
        )  # of D B, where D = diag(root)
        error = np.trace(root * S * root.T) - found.eigenvalues.sum()
        return replace(found, decoder=found.decoder / root), float(error)


def test_a_loss_takes_one_class(rng):
    weights = rng.random(24) + 0.1
    loss = WeightedFeatures(tuple(weights.tolist()))
    X = correlated(rng, 200)
    problem = masked(n_components=3, loss=resolve_loss(loss, Corruption.bernoulli(0.5)))
    found = solve(problem, Rows(X))
    x = X - found.mean
    assert_allclose(problem.expected_error(x, found.components, found.decoder).mean(), found.expected_loss * 24)
    draws = np.repeat(rng.random((20_000, 1, 6)) < 0.5, 1, axis=1)[..., GRID.patch_of_feature] * 2.0
    few = x[:20]
    rebuilt = (few * draws) @ found.components.T @ found.decoder.T
    simulated = ((few - rebuilt) ** 2 @ weights).mean(axis=0)
    assert_allclose(problem.expected_error(few, found.components, found.decoder), simulated, rtol=0.05)
    plain = solve(replace(problem, loss=AllFeatures()), Rows(X))
    assert found.expected_loss * 24 < problem.expected_error(x, plain.components, plain.decoder).mean()
    assert choose_solver(replace(problem, solver="auto"), 5, has_rows=True).name == "auto"  # not the dual


class Explicit(Solver):
    """All matrices formed, as the theorem is written."""

    name = "explicit"

    def refuses(self, problem, n_rows, has_rows):  # noqa: ARG002
        return None if isinstance(problem.loss, AllFeatures) else 'Explicit takes loss="all" only.'

    def cost(self, problem, n_rows):  # noqa: ARG002
        return Cost(30 * problem.grid.n_features**3, 40 * problem.grid.n_features**2)

    def solve(self, problem, data):
        _, mean, S = data.summary(np.float64)
        V, k = problem.corruption.second(S), problem.n_components
        values, E = np.linalg.eigh(S @ np.linalg.solve(V, S))
        values, E = values[::-1][:k], E[:, ::-1][:, :k]
        minimiser = Minimiser(np.linalg.solve(V, S @ E).T, E, values, self.name, rcond=1.0)
        return Solution.of(problem, minimiser, mean, np.trace(S), np.trace(S) - values.sum())


def test_a_solver_takes_one_class(rng):
    X = correlated(rng, 200)
    own, ours = (solve(masked(n_components=3, solver=solver), Rows(X)) for solver in (Explicit(), "auto"))
    assert own.solver == "explicit"
    same(own, ours)
    with pytest.raises(ValueError, match='Explicit takes loss="all" only'):
        solve(masked(n_components=3, solver=Explicit(), loss=HiddenFeatures()), Rows(X))


def test_a_class_in_place_of_an_object_is_told(rng):
    X = correlated(rng, 50)
    with pytest.raises(ValueError, match=r"solver is the class Explicit. Pass an object: Explicit\(\)"):
        solve(masked(n_components=3, solver=Explicit), Rows(X))
    with pytest.raises(ValueError, match=r"loss is the class HiddenFeatures. Pass an object: HiddenFeatures\(\)"):
        resolve_loss(HiddenFeatures, Corruption.bernoulli(0.5))


def test_a_solver_that_is_registered_is_chosen_where_it_is_cheapest(monkeypatch):
    class Cheapest(Explicit):
        def cost(self, problem, n_rows):  # noqa: ARG002
            return Cost(0, 0)

    problem = masked(n_components=3, solver="auto")
    monkeypatch.setitem(_solvers.SOLVERS, "explicit", Cheapest())
    assert choose_solver(problem, 200, has_rows=True).name == "explicit"
    monkeypatch.setattr(Cheapest, "is_automatic", False)
    assert choose_solver(problem, 200, has_rows=True).name == "auto"
