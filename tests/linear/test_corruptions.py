"""Second moments of corruptions, against every mask there is and against random ones."""

import itertools

import numpy as np
import pytest

from skmae._grid import PatchGrid
from skmae.linear import Corruption
from skmae.masking import Bernoulli, ExactCount

GRIDS = {
    "signal": PatchGrid.build((6,), None, 2),
    "ragged": PatchGrid.build((3, 4), None, 2),
    "colour": PatchGrid.build((2, 2, 3), 2, 1),
    "channels first": PatchGrid.build((2, 3, 2), 0, (2, 1)),
    "volume": PatchGrid.build((2, 2, 3), None, (1, 2, 2)),
    "one patch": PatchGrid.build((2, 2), None, 2),
}


def every_mask(grid, mask, sampling):
    """All masks over patches, (n_masks, n_patches), with their probabilities."""
    patterns = np.array(list(itertools.product([False, True], repeat=grid.n_patches)))
    n_visible = patterns.sum(axis=1)
    if sampling == "bernoulli":
        return patterns, (1 - mask) ** n_visible * mask ** (grid.n_patches - n_visible)
    kept = patterns[n_visible == max(round((1 - mask) * grid.n_patches), 1)]
    return kept, np.full(len(kept), 1 / len(kept))


def corruption(grid, mask, sampling):
    if sampling == "bernoulli":
        found = Corruption.bernoulli(mask)
    else:
        found = Corruption.exact(max(round((1 - mask) * grid.n_patches), 1), grid.n_patches)
    return found.with_groups(grid.patch_of_feature)


@pytest.mark.parametrize("sampling", ["bernoulli", "exact"])
@pytest.mark.parametrize("mask", [0.0, 0.3, 0.75, 0.95])
@pytest.mark.parametrize("name", GRIDS)
def test_moments_and_errors_are_those_of_all_masks(name, mask, sampling, rng):
    grid = GRIDS[name]
    x = rng.normal(size=(5, grid.n_features)) @ rng.normal(size=(grid.n_features, grid.n_features))
    S = x.T @ x / len(x)
    model = corruption(grid, mask, sampling)
    patterns, probability = every_mask(grid, mask, sampling)
    shown = grid.per_feature(patterns) / (1 - model.hidden)  # (n_masks, d), inverted scaling
    pairs = np.einsum("m,mi,mj->ij", probability, shown, shown)
    np.testing.assert_allclose(model.second(S), pairs * S, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(probability @ shown, 1, rtol=1e-10)  # so that cross = S
    np.testing.assert_allclose(model.hidden, 1 - probability @ patterns.mean(axis=1), atol=1e-12)

    encoder, decoder = rng.normal(size=(2, grid.n_features)), rng.normal(size=(grid.n_features, 2))
    rebuilt = (shown[:, np.newaxis] * x) @ encoder.T @ decoder.T  # (n_masks, n, d)
    errors = np.einsum("m,mnd->n", probability, (x - rebuilt) ** 2)
    np.testing.assert_allclose(model.expected_error(x, encoder, decoder), errors, rtol=1e-9)


def test_noise_adds_its_variance(rng):
    x = rng.normal(size=(4, 6))
    S = x.T @ x / 4
    model = Corruption(noise=0.7**2)
    np.testing.assert_allclose(model.second(S), S + 0.49 * np.eye(6))
    encoder, decoder = rng.normal(size=(2, 6)), rng.normal(size=(6, 2))
    noisy = x + 0.7 * rng.normal(size=(200_000, 1, 6))
    errors = ((x - noisy @ encoder.T @ decoder.T) ** 2).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(model.expected_error(x, encoder, decoder), errors, rtol=0.02)


@pytest.mark.parametrize(("sampling", "sampler"), [("bernoulli", Bernoulli()), ("exact", ExactCount())])
def test_drawn_masks_have_the_moments_that_are_claimed(sampling, sampler):
    grid = PatchGrid.build((5, 4), None, 2)
    model = corruption(grid, 0.6, sampling)
    drawn = sampler(200_000, grid, 0.6, 0)
    shown = drawn / (1 - model.hidden)
    block = np.where(np.eye(grid.n_patches, dtype=bool), model.across + model.within, model.across)
    np.testing.assert_allclose(shown.T @ shown / len(shown), block, atol=0.03)
    np.testing.assert_allclose(shown.mean(axis=0), 1, atol=0.02)


def test_lemma_1_in_the_form_of_the_paper(rng):
    """E‖x − B(r⊙x)‖² = ‖X − q X Bᵀ‖²/n + q(1−q) tr(B BD(S) Bᵀ), with r not divided by q."""
    grid, mask = GRIDS["ragged"], 0.4
    q = 1 - mask
    x = rng.normal(size=(6, 12))
    encoder, decoder = rng.normal(size=(3, 12)), rng.normal(size=(12, 3))
    B = decoder @ encoder
    S = x.T @ x / len(x)
    within = S * (grid.patch_of_feature[:, None] == grid.patch_of_feature)
    paper = np.sum((x - q * x @ B.T) ** 2) / len(x) + q * mask * np.trace(B @ within @ B.T)
    ours = corruption(grid, mask, "bernoulli").expected_error(x, q * encoder, decoder).mean()
    np.testing.assert_allclose(ours, paper, rtol=1e-10)
