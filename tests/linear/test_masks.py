"""Corruptions made of masks, with both losses, against every mask there is, each weighted by its probability."""

import itertools
import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from skmae._grid import PatchGrid
from skmae.linear import Corruption
from skmae.linear._corruptions import Masks
from skmae.linear._losses import AllFeatures, HiddenFeatures
from skmae.linear._problem import FromSummary, Problem, Summary
from skmae.linear._solvers import choose_solver, solve
from skmae.masking import Bernoulli, Blocks, ExactCount, Sampled, Stripes, Tubes

RAGGED = PatchGrid.build((5, 3), None, 2)  # 3 × 2 patches of 4, 2 and 1 features
COLOUR = PatchGrid.build((2, 4, 3), 2, 2)  # 1 × 2 patches of 12 features
SIGNAL = PatchGrid.build((7,), None, 2)


class Listed:
    """Masks of a list, (m, N) bool, with their probabilities (m,)."""

    def __init__(self, patterns, probability):
        self.patterns, self.probability = np.asarray(patterns, bool), np.asarray(probability, float)

    def __call__(self, n_samples, grid, mask, random_state):  # noqa: ARG002
        return self.patterns[random_state.choice(len(self.patterns), n_samples, p=self.probability)]

    def moments(self, grid, mask):  # noqa: ARG002
        return self.probability @ self.patterns, self.patterns.T @ (self.probability[:, None] * self.patterns)


class ListedExactly(Listed):
    """The same, with the moments of what is left while a patch is hidden."""

    def moments_given_hidden(self, patch, grid, mask):  # noqa: ARG002
        hidden = ~self.patterns[:, patch]
        chance = self.probability[hidden].sum()
        kept, share = self.patterns[hidden], self.probability[hidden] / chance
        return chance, share @ kept, kept.T @ (share[:, None] * kept)


def everything(n):
    return np.array(list(itertools.product([False, True], repeat=n)))


def free(grid, seed=0):
    """Any distribution over all masks, with rates of its own for each patch."""
    patterns = everything(grid.n_patches)
    probability = np.random.default_rng(seed).random(len(patterns)) ** 3
    return ListedExactly(patterns, probability / probability.sum())


def unequal(grid):
    """Each patch by itself, at a rate of its own."""
    patterns, rates = everything(grid.n_patches), np.linspace(0.3, 0.9, grid.n_patches)
    return ListedExactly(patterns, np.where(patterns, rates, 1 - rates).prod(axis=1))


def all_masks(sampler, grid, mask):
    """(m, N) masks and (m,) probabilities, without the library's formulas."""
    if isinstance(sampler, Listed):
        return sampler.patterns, sampler.probability
    if isinstance(sampler, Blocks):
        return _all_blocks(sampler, grid, mask)
    rows, columns = np.indices((*grid.patches_per_axis, 1)[:2]).reshape(2, -1)
    axis = getattr(sampler, "axis", 0)
    groups = {
        Bernoulli: np.arange(grid.n_patches),
        ExactCount: np.arange(grid.n_patches),
        Stripes: (rows, columns)[axis],
        Tubes: (columns, rows)[axis],
    }[type(sampler)]
    patterns = everything(groups.max() + 1)
    n_visible = patterns.sum(axis=1)
    if sampler.sampling == "bernoulli":
        probability = (1 - mask) ** n_visible * mask ** (patterns.shape[1] - n_visible)
    else:
        probability = (n_visible == max(round((1 - mask) * patterns.shape[1]), 1)).astype(float)
    return patterns[:, groups], probability / probability.sum()


def _all_blocks(sampler, grid, mask):
    rows, columns = grid.patches_per_axis
    size = sampler.size
    places = list(itertools.product(range(1 - size, rows), range(1 - size, columns)))
    chance = 1 - (1 - mask) ** (1 / size**2)
    found = {}
    for begins in itertools.product([False, True], repeat=len(places)):
        visible = np.ones((rows, columns), bool)
        for (row, column), here in zip(places, begins, strict=True):
            if here:
                visible[max(row, 0) : row + size, max(column, 0) : column + size] = False
        key = tuple(visible.ravel().tolist())
        n = sum(begins)
        found[key] = found.get(key, 0) + chance**n * (1 - chance) ** (len(places) - n)
    return np.array(list(found)), np.array(list(found.values()))


CASES = {
    "bernoulli": (Bernoulli(), RAGGED, 0.4),
    "exact": (ExactCount(), RAGGED, 0.5),
    "exact in colour": (ExactCount(), COLOUR, 0.5),
    "stripes": (Stripes(), RAGGED, 0.4),
    "columns, each by itself": (Stripes(axis=1, sampling="bernoulli"), RAGGED, 0.6),
    "tubes": (Tubes(), RAGGED, 0.5),
    "tubes, each by itself": (Tubes(axis=1, sampling="bernoulli"), RAGGED, 0.3),
    "blocks": (Blocks(2), PatchGrid.build((3, 3), None, (2, 1)), 0.4),  # 2 × 3 patches
    "unequal": (unequal(RAGGED), RAGGED, 0.5),
    "free": (free(RAGGED), RAGGED, 0.5),
    "free signal": (free(SIGNAL, 1), SIGNAL, 0.5),
}
FAST = {"bernoulli", "exact", "exact in colour", "stripes", "tubes", "unequal"} | {
    "columns, each by itself",
    "tubes, each by itself",
}


@pytest.fixture(params=CASES)
def case(request, rng):
    """Name, corruption, all masks over features divided by their rates, probabilities, and S."""
    sampler, grid, mask = CASES[request.param]
    patterns, probability = all_masks(sampler, grid, mask)
    d = grid.n_features
    x = rng.normal(size=(3 * d, d)) @ rng.normal(size=(d, d))
    scaled = (patterns / (probability @ patterns))[:, grid.patch_of_feature]
    return request.param, Corruption.of_masks(sampler, grid, mask), grid, scaled, probability, x


def second_by_enumeration(scaled, probability, S):
    return np.einsum("m,mi,mj->ij", probability, scaled, scaled) * S


def hidden_loss(B, S, scaled, probability, noise=0.0):
    """Expected squared error of hidden features over their expected share."""
    error, share = 0.0, 0.0
    for pattern, p in zip(scaled, probability, strict=True):
        gone = pattern == 0
        E = (B * pattern - np.eye(len(S)))[gone]
        error += p * (np.sum((E @ S) * E) + noise * np.sum(B[gone] ** 2))
        share += p * gone.mean()
    return error / share


def solve_it(corruption, grid, S, loss, k=None, n_rows=1000, **options):
    problem = Problem(grid, corruption, loss, k, **options)
    return problem, solve(problem, FromSummary(Summary(n_rows, np.zeros(len(S)), S)))


# -- second moments and errors -----------------------------------------------------------------------------------


def test_second_moments_and_errors_are_those_of_all_masks(case, rng):
    name, corruption, grid, scaled, probability, x = case
    S = x.T @ x / len(x)
    assert corruption.is_dense == (name not in FAST)
    V = corruption.second(S)
    assert_allclose(V, second_by_enumeration(scaled, probability, S), rtol=1e-9, atol=1e-9)
    assert_allclose(corruption.hidden, np.mean(probability @ (scaled[:, [f[0] for f in grid.features_of_patch]] == 0)))
    assert np.linalg.eigvalsh(V - S).min() > -1e-9 * np.trace(S)  # V ⪰ S
    encoder, decoder = rng.normal(size=(2, len(S))), rng.normal(size=(len(S), 2))
    rebuilt = (scaled[:, np.newaxis] * x) @ encoder.T @ decoder.T
    errors = np.einsum("m,mnd->n", probability, (x - rebuilt) ** 2)
    assert_allclose(corruption.expected_error(x, encoder, decoder), errors, rtol=1e-9)


def test_what_v_has_beside_s_is_applied_to_any_columns(case, rng):
    _, corruption, _, scaled, probability, x = case
    if corruption.is_dense:
        return
    S = x.T @ x / len(x)
    B = rng.normal(size=(len(S), 3))
    D = second_by_enumeration(scaled, probability, S) - corruption.across * S
    assert_allclose(corruption.remainder_product(S)(B), D @ B, atol=1e-8 * np.abs(D @ B).max())


@pytest.mark.parametrize("size", [1, 40, 200])
def test_groups_of_many_sizes_are_all_counted_to_the_last(size, rng):
    """Batches of groups that are multiplied together end anywhere."""
    d = 203
    groups = np.minimum(rng.permutation(d) // size, 4)
    groups[groups == 4] = rng.integers(4, 9, (groups == 4).sum())
    groups = np.unique(groups, return_inverse=True)[1]
    within = rng.random(groups.max() + 1)
    S = np.cov(rng.normal(size=(d, 2 * d)))
    D = np.where(groups == groups[:, None], within[groups] * S, 0)
    corruption = Corruption(across=0.7, within=within, noise=0.2, groups=groups)
    assert_allclose(corruption.second(S), 0.7 * S + D + 0.2 * np.eye(d), rtol=1e-12)
    B = rng.normal(size=(d, 5))
    assert_allclose(corruption.remainder_product(S)(B), D @ B + 0.2 * B, atol=1e-12)


def test_draws_give_what_enumeration_gives(rng):
    """A callable without moments, from 10,000 draws: V ⪰ S holds exactly, the rest nearly."""
    exact = free(RAGGED)
    x = rng.normal(size=(40, 15)) @ rng.normal(size=(15, 15))
    S = x.T @ x / 40
    drawn = Corruption.of_masks(Sampled(lambda *a: exact(*a)), RAGGED, 0.5)
    assert drawn.is_dense
    V = drawn.second(S)
    assert np.linalg.eigvalsh(V - S).min() > -1e-9 * np.trace(S)
    truth = Corruption.of_masks(exact, RAGGED, 0.5).second(S)
    assert np.abs(V - truth).max() < 0.1 * np.abs(truth).max()
    assert np.abs(V - truth).max() > 0


def test_patches_that_are_never_visible_are_refused_by_number():
    patterns = everything(6)[:, [0, 1, 2, 3, 4, 4]] & (np.arange(6) != 3)
    with pytest.raises(ValueError, match=r"mask=0\.5 never shows patch 3 of 6.*\(3, 2\).*must be visible at times"):
        Corruption.of_masks(Listed(patterns, np.full(64, 1 / 64)), RAGGED, 0.5)


def test_patches_that_are_always_together_are_one_group():
    patterns = everything(3)[:, [0, 1, 1, 0, 2, 2]]
    corruption = Corruption.of_masks(Listed(patterns, np.full(8, 1 / 8)), RAGGED, 0.5)
    assert not corruption.is_dense
    together = corruption.groups[:, None] == corruption.groups
    patch = np.array([0, 1, 1, 0, 2, 2])[RAGGED.patch_of_feature]
    assert (together == (patch[:, None] == patch)).all()
    assert_allclose((corruption.across, *corruption.within), 1)


# -- the loss of all features ------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
def test_no_descent_over_all_masks_ends_lower(case, k, rng):
    _, corruption, grid, scaled, probability, x = case
    S = x.T @ x / len(x)
    d = len(S)
    V = second_by_enumeration(scaled, probability, S)
    _, solution = solve_it(corruption, grid, S, AllFeatures(), k)

    def objective(w):
        W1, W2 = w[: k * d].reshape(k, d), w[k * d :].reshape(d, k)
        B = W2 @ W1
        error = B @ V - S
        loss = np.trace(S) - 2 * np.sum(B * S) + np.sum((B @ V) * B)
        return loss / np.trace(S), 2 * np.r_[(W2.T @ error).ravel(), (error @ W1.T).ravel()] / np.trace(S)

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-15, "gtol": 1e-10}
    ends = [
        minimize(objective, rng.normal(size=2 * k * d) / d, jac=True, method="L-BFGS-B", options=options).fun
        for _ in range(3)
    ]
    assert_allclose(solution.expected_loss * d / np.trace(S), min(ends), rtol=1e-6)
    found = objective(np.r_[solution.components.ravel(), solution.decoder.ravel()])[0]
    assert_allclose(found * np.trace(S), solution.expected_loss * d, rtol=1e-9)


def test_the_dual_solver_refuses_masks_without_groups():
    problem = Problem(RAGGED, Corruption.of_masks(free(RAGGED), RAGGED, 0.5), n_components=2, solver="dual")
    with pytest.raises(ValueError, match=r'solver="dual" takes masks that hide groups.*use solver="auto"'):
        choose_solver(problem, 5, has_rows=True)
    assert choose_solver(replace(problem, solver="auto"), 5, has_rows=True).name == "auto"


# -- the loss of hidden features ---------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_hidden_loss_is_that_of_all_masks(case, k, noise):
    _, corruption, grid, scaled, probability, x = case
    corruption, S = replace(corruption, noise=noise), x.T @ x / len(x)
    problem, solution = solve_it(corruption, grid, S, HiddenFeatures(), k)
    B = solution.decoder @ solution.components
    d = len(S)
    expected = hidden_loss(B, S, scaled, probability, noise)
    assert_allclose(solution.expected_loss * d, expected, rtol=1e-8)
    errors = problem.expected_error(x, solution.components, solution.decoder)
    assert_allclose(errors.mean(), expected, rtol=1e-8)
    one = problem.expected_error(x[3:4], solution.components, solution.decoder)
    assert_allclose(one, errors[3], rtol=1e-9)
    assert_allclose(one, hidden_loss(B, np.outer(x[3], x[3]), scaled, probability, noise), rtol=1e-8)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_full_rank_is_a_regression_over_the_masks_that_hide_each_patch(case, noise):
    _, corruption, grid, scaled, probability, x = case
    S = x.T @ x / len(x)
    _, solution = solve_it(replace(corruption, noise=noise), grid, S, HiddenFeatures())
    d, best = len(S), 0.0
    for features in grid.features_of_patch:
        p = probability * (scaled[:, features[0]] == 0)
        cross = (S * (p @ scaled))[features]
        V = second_by_enumeration(scaled, p, S) + noise * p.sum() * np.eye(d)
        best += p.sum() * S.diagonal()[features].sum() - np.sum(cross @ np.linalg.pinv(V, 1e-10, True) * cross)
    share = np.mean(probability @ (scaled == 0))
    assert_allclose(solution.expected_loss * d * share, best, rtol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("name", ["tubes", "columns, each by itself", "unequal", "free", "blocks"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_descent_on_the_hidden_loss_ends_lower(name, noise, rng):
    sampler, grid, mask = CASES[name]
    patterns, probability = all_masks(sampler, grid, mask)
    scaled = (patterns / (probability @ patterns))[:, grid.patch_of_feature]
    d, k = grid.n_features, 2
    x = rng.normal(size=(3 * d, d)) @ rng.normal(size=(d, d))
    S = x.T @ x / len(x)
    corruption = replace(Corruption.of_masks(sampler, grid, mask), noise=noise)
    _, solution = solve_it(corruption, grid, S, HiddenFeatures(), k)
    seconds = {}
    for features in grid.features_of_patch:
        p = probability * (scaled[:, features[0]] == 0)
        V = second_by_enumeration(scaled, p, S) + noise * p.sum() * np.eye(d)
        seconds[tuple(features)] = p.sum(), (S * (p @ scaled))[features], V
    share = np.mean(probability @ (scaled == 0))

    def objective(w):
        W1, W2 = w[: k * d].reshape(k, d), w[k * d :].reshape(d, k)
        loss, g1, g2 = 0.0, np.zeros_like(W1), np.zeros_like(W2)
        for features, (p, cross, V) in seconds.items():
            own = W2[list(features)]
            B = own @ W1
            error = B @ V - cross
            loss += p * S.diagonal()[list(features)].sum() + np.sum((B @ V - 2 * cross) * B)
            g2[list(features)] = 2 * error @ W1.T
            g1 += 2 * own.T @ error
        return loss / share / d, np.r_[g1.ravel(), g2.ravel()] / share / d

    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-12, "gtol": 1e-8}
    ends = [
        minimize(objective, rng.normal(size=2 * k * d) / 3, jac=True, method="L-BFGS-B", options=options).fun
        for _ in range(6)
    ]
    assert_allclose(solution.expected_loss, min(ends), rtol=5e-3)  # there are local minima


def test_samplers_that_know_only_pairs_are_drawn_for_the_hidden_loss(rng):
    exact = unequal(RAGGED)
    pairs_only = Listed(exact.patterns, exact.probability)
    x = rng.normal(size=(60, 15)) @ rng.normal(size=(15, 15))
    S = x.T @ x / 60
    losses = [
        solve_it(Corruption.of_masks(sampler, RAGGED, 0.5), RAGGED, S, HiddenFeatures())[1].expected_loss
        for sampler in (exact, pairs_only)
    ]
    assert_allclose(*losses, rtol=0.05)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("sampler", [Bernoulli(), ExactCount(), Stripes(), Tubes(axis=1, sampling="bernoulli")])
def test_the_fast_and_the_general_form_of_the_hidden_loss_agree(sampler, rng):
    """The same masks, told by their moments alone."""
    grid = RAGGED
    patterns, probability = all_masks(sampler, grid, 0.5)
    x = rng.normal(size=(60, 15)) @ rng.normal(size=(15, 15))
    S = x.T @ x / 60
    for k in (None, 2):
        losses = [
            solve_it(Corruption.of_masks(each, grid, 0.5), grid, S, HiddenFeatures(), k)[1].expected_loss
            for each in (sampler, ListedExactly(patterns, probability))
        ]
        assert_allclose(*losses, rtol=1e-6 if k is None else 1e-3)


def test_large_grids_and_unknown_masks_are_refused():
    grid = PatchGrid.build((32, 32), None, 2)
    corruption = Corruption.of_masks(Blocks(3), grid, 0.5)
    problem = Problem(grid, corruption, HiddenFeatures(), 2)
    with pytest.raises(
        ValueError, match=r'loss="hidden" with these masks.*2\.7e\+08 numbers, more than 5e\+07.*"exact"'
    ):
        choose_solver(problem, 100, has_rows=False)
    problem = Problem(grid, Corruption(within=0.5, hidden=0.5), HiddenFeatures(), 2)
    with pytest.raises(ValueError, match=r'loss="hidden" needs a corruption that says which patches.*of_masks'):
        choose_solver(problem, 100, has_rows=False)


def test_masks_that_differ_in_threes_alone_are_told_apart(rng):
    """Of three patches an odd number is visible: each two of them look independent."""
    grid = PatchGrid.build((6,), None, 2)
    patterns = everything(3)
    odd = ListedExactly(patterns, np.where(patterns.sum(axis=1) % 2, 0.25, 0))
    independent = ListedExactly(patterns, np.full(8, 1 / 8))
    x = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))
    S = x.T @ x / 60
    one, other = (Corruption.of_masks(sampler, grid, 0.5) for sampler in (odd, independent))
    assert_allclose(one.second(S), other.second(S))
    assert one != other
    losses = [solve_it(each, grid, S, HiddenFeatures())[1].expected_loss for each in (one, other)]
    scaled = 2.0 * patterns[:, grid.patch_of_feature]
    for loss, sampler, corruption in zip(losses, (odd, independent), (one, other), strict=True):
        _, found = solve_it(corruption, grid, S, HiddenFeatures())
        assert_allclose(loss * 6, hidden_loss(found.decoder @ found.components, S, scaled, sampler.probability))
    assert losses[0] < 0.99 * losses[1]


@pytest.mark.parametrize("sampler", [Bernoulli(), ExactCount(), Stripes(), Tubes()])
def test_masks_of_groups_need_nothing_for_each_pair_of_patches(sampler):
    grid = PatchGrid.build((1000, 1000), None, 1)  # 8 TB, if they did
    masks, corruption = Masks(sampler, grid, 0.75), Corruption.of_masks(sampler, grid, 0.75)
    assert_allclose(masks.rates, 0.25)
    assert masks.rates_are_equal
    assert_allclose(corruption.hidden, 0.75)
    assert not Masks(unequal(RAGGED), RAGGED, 0.5).rates_are_equal


# -- as keys -----------------------------------------------------------------------------------------------------


def test_corruptions_are_compared_by_value():
    sampler, other = free(RAGGED), free(RAGGED, 1)
    one, twin = (Corruption.of_masks(sampler, RAGGED, 0.5) for _ in range(2))
    assert one == twin
    assert hash(one) == hash(twin)
    assert one != Corruption.of_masks(other, RAGGED, 0.5)
    assert Corruption.of_masks(Blocks(2), RAGGED, 0.5) == Corruption.of_masks(deepcopy(Blocks(2)), RAGGED, 0.5)
    assert Corruption.of_masks(Blocks(2), RAGGED, 0.5) != Corruption.of_masks(Blocks(2), RAGGED, 0.6)
    assert Corruption.bernoulli(0.5) != Corruption.bernoulli(0.5).with_groups(RAGGED.patch_of_feature)
    assert Corruption(within=[0.5, 1], groups=[0, 1]) != Corruption(within=[0.5, 1], groups=[1, 0])
    fast = Corruption.of_masks(Stripes(), RAGGED, 0.4)
    fast.second(np.eye(15))  # what is cached stays behind
    assert pickle.loads(pickle.dumps(fast)) == fast
    assert len(pickle.dumps(fast)) < 600


@pytest.mark.parametrize("name", ["across", "within", "noise"])
@pytest.mark.parametrize("value", [None, "a", 1j, [None], [[1], [1, 2]]], ids=repr)
def test_weights_that_are_no_numbers_are_refused_by_name(name, value):
    with pytest.raises(TypeError, match=f"^{name} of a Corruption must be a number"):
        Corruption(**{name: value})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"across": -1}, "across=-1 of a Corruption must be finite and >= 0"),
        ({"noise": np.nan}, "noise=nan of a Corruption must be finite"),
        ({"within": [1.0, 2.0], "groups": [0, 1, 2]}, r"within has shape \(2,\), but there are 3 groups"),
        ({"groups": [0.5, 1]}, "groups must hold a whole number >= 0 for each feature.*float64"),
        ({"groups": [-1, 1]}, "groups must hold a whole number >= 0"),
        ({"pairs": np.ones((2, 2))}, r"pairs has shape \(2, 2\), but there are None groups"),
    ],
)
def test_corruptions_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Corruption(**options)
    with pytest.raises(ValueError, match=r"groups of 3 features, but X has 4"):
        Corruption(within=1.0, groups=[0, 1, 1]).second(np.eye(4))


def test_a_rare_mask_keeps_its_digits():
    """Of patches that are nearly always hidden together, the rest decides what can be learned from each."""
    sampler, mask = Blocks((3, 2)), 1e-9
    grid = PatchGrid.build((3, 2), None, 1)
    corruption = Corruption.of_masks(sampler, grid, mask)
    one, two = sampler.moments(grid, mask)
    excess = corruption.second(np.ones((6, 6))) - 1
    assert_allclose(excess, two / np.outer(one, one) - 1, rtol=0, atol=1e-15)
    assert len(np.unique(excess.round(11))) > 3


def test_what_is_hidden_beside_a_patch_keeps_its_digits():
    """Of rare masks, q^a − q^b over mask comes near b − a, and not near rounding over mask."""
    sampler, grid = Blocks(2), PatchGrid.build((2, 3), None, 1)
    chance, rates, pairs = sampler.moments_given_hidden(0, grid, 1e-13)
    _, near, pairs_near = sampler.moments_given_hidden(0, grid, 1e-6)
    assert chance == 1e-13
    assert_allclose(rates, near, atol=1e-5)
    assert_allclose(pairs, pairs_near, atol=1e-5)
