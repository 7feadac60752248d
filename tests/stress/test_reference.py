"""Each reference against a second formula: all masks enumerated, Jacobi's eigenvalues, regressions on drawn samples."""

from itertools import combinations, product

import numpy as np
import pytest

from stress import _reference as reference
from stress._reference import Draws, Masks, Reference, Wide

COUNTS = (2, 3)  # patches per axis
SAMPLERS = {
    "bernoulli": (reference.single_units(COUNTS), {"p": 0.3}),
    "exact": (reference.single_units(COUNTS), {"keep": 2}),
    "stripes": (reference.stripes(COUNTS, -1), {"keep": 2}),
    "stripes by themselves": (reference.stripes(COUNTS, 0), {"p": 0.6}),
    "tubes": (reference.tubes(COUNTS, 0), {"keep": 1}),
    "blocks": (reference.blocks(COUNTS, (2, 1)), {"p": 0.2}),
}


def all_masks(units, p=None, keep=None):
    """(m, N) bool, and the chance of each."""
    n = len(units)
    if keep is not None:
        hidden = [np.isin(np.arange(n), left, invert=True) for left in combinations(range(n), keep)]
        chances = np.full(len(hidden), 1 / len(hidden))
    else:
        hidden = [np.array(each) for each in product([False, True], repeat=n)]
        chances = np.array([np.prod(np.where(each, p, 1 - p)) for each in hidden])
    return np.array([~units[each].any(axis=0) for each in hidden]), chances


@pytest.fixture(params=SAMPLERS)
def masks(request):
    units, how = SAMPLERS[request.param]
    return Masks(units, **how), *all_masks(units, **how)


def test_moments_of_masks_are_those_of_all_masks(masks):
    found, r, chances = masks
    assert chances.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.one.astype(float), chances @ r, atol=1e-14)
    np.testing.assert_allclose(found.two.astype(float), np.einsum("m,ma,mb->ab", chances, r, r), atol=1e-14)
    np.testing.assert_allclose(found.three.astype(float), np.einsum("m,ma,mb,mc->abc", chances, r, r, r), atol=1e-14)


def test_moments_of_draws_are_means(rng):
    r = rng.random((40, 5)) < 0.5
    found = Draws(r)
    np.testing.assert_allclose(
        found.two.astype(float), [[(r[:, a] & r[:, b]).mean() for b in range(5)] for a in range(5)]
    )
    assert float(found.three[0, 1, 2]) == pytest.approx((r[:, 0] & r[:, 1] & r[:, 2]).mean())


def test_patches():
    labels, counts = reference.patches((3, 4, 2), 2, (2, 3))  # the last patch of each axis is smaller
    assert counts == (2, 2)
    picture = [[0, 0, 0, 1], [0, 0, 0, 1], [2, 2, 2, 3]]
    np.testing.assert_array_equal(labels.reshape(3, 4, 2), np.repeat(np.array(picture)[:, :, np.newaxis], 2, axis=2))
    assert reference.patches((5,), None, 9)[1] == (1,)


@pytest.fixture
def problem(masks, rng):
    found, r, chances = masks
    labels = np.array([0, 1, 2, 3, 4, 5, 0, 3, 3])
    X = rng.standard_normal((7, 9)) @ rng.standard_normal((9, 9)) + 3
    w = rng.random(7)
    truth = Reference(X, w, labels, found, noise=0.0)
    q = chances @ r
    x = X - np.average(X, axis=0, weights=w)
    corrupted = x[:, np.newaxis] * (r / q)[:, labels]  # (n, masks, d)
    return truth, x, w / w.sum(), corrupted, r[:, labels], chances


def test_losses_are_expectations_over_all_masks(problem, rng):
    truth, x, w, corrupted, r, chances = problem
    B = rng.standard_normal((9, 9))
    error = (x[:, np.newaxis] - corrupted @ B.T) ** 2
    unit2 = float(truth.unit) ** 2
    assert float(truth.loss_all(B)) * unit2 == pytest.approx(np.einsum("nmd,n,m->", error, w, chances) / 9)
    hidden = np.einsum("nmd,md,n,m->", error, ~r, w, chances) / np.einsum("md,m->", ~r, chances)
    assert float(truth.loss_hidden(B)) * unit2 == pytest.approx(hidden)


def test_the_optimum_is_that_of_jacobi_in_long_double(problem):
    truth = problem[0]
    noisy = Reference(truth.values, truth.weights, truth.labels, truth.masks, noise=0.3)
    for each in (noisy,):
        V = each.S * each.Q + each.sigma2 * np.eye(9)
        values, E = jacobi(V)
        root = (E / np.sqrt(values)).T @ each.S
        expected = np.sort(jacobi(root.T @ root)[0])[::-1]
        np.testing.assert_allclose(each.explained, expected.astype(float), atol=1e-13 * float(expected[0]))


def test_no_map_that_is_tried_beats_the_optimum(problem, rng):
    truth = problem[0]
    best = truth.optimum(3)
    V = truth.S * truth.Q
    for _ in range(20):  # the best decoder of a random encoder
        W = rng.standard_normal((3, 9)).astype(Wide)
        B = (truth.S @ W.T).astype(float) @ np.linalg.pinv((W @ V @ W.T).astype(float)) @ W.astype(float)
        assert float(truth.loss_all(B)) >= best - 1e-12


def test_singular_samples_have_the_optimum_of_nearly_the_same_regular_ones(rng):
    X = rng.standard_normal((5, 9)) @ rng.standard_normal((9, 9))
    masks = Masks(reference.single_units((9,)), p=0.4)
    singular = Reference(X, None, np.arange(9), masks)
    more = np.vstack([np.repeat(X, 2000, axis=0), X.mean(axis=0) + 1e-4 * rng.standard_normal((9, 9))])
    regular = Reference(more, None, np.arange(9), masks)
    assert singular.optimum(4) == pytest.approx(regular.optimum(4) * float(regular.unit / singular.unit) ** 2, rel=1e-2)


def test_the_hidden_optimum_is_a_regression_of_each_patch_on_corrupted_samples(problem):
    truth, x, w, corrupted, r, chances = problem
    error = count = 0.0
    for a in range(6):
        rows = truth.labels == a
        while_hidden = ~r[:, np.flatnonzero(rows)[0]]
        weight = np.sqrt(np.outer(w, chances * while_hidden)).ravel()
        inputs = corrupted.reshape(-1, 9) * weight[:, np.newaxis]
        targets = np.repeat(x[:, np.newaxis], len(r), axis=1).reshape(-1, 9)[:, rows] * weight[:, np.newaxis]
        found = np.linalg.lstsq(inputs, targets, rcond=1e-10)[0]
        error += ((targets - inputs @ found) ** 2).sum()
        count += chances @ while_hidden * rows.sum()
    assert truth.optimum_hidden() * float(truth.unit) ** 2 == pytest.approx(error / count, rel=1e-8)


def jacobi(A, sweeps=12):
    """Eigenvalues and eigenvectors by plane rotations, in long double."""
    A, E = A.astype(Wide).copy(), np.eye(len(A), dtype=Wide)
    for _ in range(sweeps):
        for i, j in combinations(range(len(A)), 2):
            if A[i, j] == 0:
                continue
            theta = (A[j, j] - A[i, i]) / (2 * A[i, j])
            t = (1 if theta >= 0 else -1) / (abs(theta) + np.sqrt(theta**2 + 1))
            c = 1 / np.sqrt(t**2 + 1)
            G = np.eye(len(A), dtype=Wide)
            G[i, i] = G[j, j] = c
            G[i, j], G[j, i] = t * c, -t * c
            A, E = G.T @ A @ G, E @ G
    return A.diagonal(), E
