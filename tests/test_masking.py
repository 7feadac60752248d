"""Samplers against enumeration of everything that they may draw, and the reading of masks."""

from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmae._grid import PatchGrid
from skmae.masking import (
    Bernoulli,
    Blocks,
    ExactCount,
    GroupSampler,
    Sampled,
    Stripes,
    Tubes,
    draw_visible,
    moments_of,
    read_visible_patches,
    resolve_sampler,
)

FLAT = PatchGrid.build((5,), None, 2)  # 3 patches, the last one smaller
PICTURE = PatchGrid.build((5, 4, 3), 2, 2)  # 3 × 2 patches, the last row smaller
VIDEO = PatchGrid.build((2, 3, 4), None, (1, 2, 2))  # 2 × 2 × 2 patches


def every_group_mask(sampler, grid, mask):
    """All masks that a sampler of groups may draw, and their probabilities."""
    groups = sampler.groups(grid)
    n_groups = groups.max() + 1
    if sampler.sampling == "bernoulli":
        masks = np.array(list(product([False, True], repeat=n_groups)))
        chances = np.prod(np.where(masks, 1 - mask, mask), axis=1)
    else:
        k = min(max(round((1 - mask) * n_groups), 1), n_groups)
        masks = np.zeros((comb(n_groups, k), n_groups), bool)
        for row, visible in zip(masks, combinations(range(n_groups), k), strict=True):
            row[list(visible)] = True
        chances = np.full(len(masks), 1 / len(masks))
    return masks[:, groups], chances


def every_block_mask(sampler, grid, mask):
    """The same for blocks, by going through all sets of places where blocks begin."""
    size = sampler.size if isinstance(sampler.size, tuple) else (sampler.size,) * len(grid.patches_per_axis)
    places = list(product(*(range(1 - s, n) for n, s in zip(grid.patches_per_axis, size, strict=True))))
    chance_of_one = 1 - (1 - mask) ** (1 / prod(size))
    where = np.indices(grid.patches_per_axis).reshape(len(size), -1).T  # (N, axes)
    covers = np.array(
        [[all(p <= w < p + s for p, w, s in zip(at, x, size, strict=True)) for x in where] for at in places]
    )
    begins = np.array(list(product([False, True], repeat=len(places))))
    chances = np.prod(np.where(begins, chance_of_one, 1 - chance_of_one), axis=1)
    return (begins.astype(int) @ covers) == 0, chances


CASES = [
    (Bernoulli(), FLAT, 0.3, every_group_mask),
    (Bernoulli(), PICTURE, 0.75, every_group_mask),
    (ExactCount(), FLAT, 0.5, every_group_mask),
    (ExactCount(), PICTURE, 0.4, every_group_mask),
    (ExactCount(), PICTURE, 0.95, every_group_mask),  # one patch is left
    (ExactCount(), PatchGrid.build((4,), None, 4), 0.5, every_group_mask),  # of one patch
    (Stripes(), PICTURE, 0.5, every_group_mask),
    (Stripes(1, "bernoulli"), PICTURE, 0.5, every_group_mask),
    (Stripes(-1), VIDEO, 0.5, every_group_mask),
    (Tubes(), VIDEO, 0.5, every_group_mask),
    (Tubes(-1, sampling="bernoulli"), VIDEO, 0.6, every_group_mask),
    (Blocks(2), FLAT, 0.5, every_block_mask),
    (Blocks((2, 1)), PICTURE, 0.6, every_block_mask),
    (Blocks(1), PICTURE, 0.3, every_block_mask),
    (Blocks((3, 2)), PatchGrid.build((2, 3), None, 1), 0.8, every_block_mask),
]


@pytest.mark.parametrize(("sampler", "grid", "mask", "everything"), CASES)
def test_moments_are_those_of_all_masks(sampler, grid, mask, everything):
    masks, chances = everything(sampler, grid, mask)
    rates, joint = moments_of(sampler, grid, mask)
    assert_allclose(rates, chances @ masks, atol=1e-12)
    assert_allclose(joint, masks.T @ (chances[:, np.newaxis] * masks), atol=1e-12)


@pytest.mark.parametrize(("sampler", "grid", "mask", "everything"), CASES)
def test_moments_given_that_a_patch_is_hidden_are_those_of_such_masks(sampler, grid, mask, everything):
    masks, chances = everything(sampler, grid, mask)
    for patch in range(grid.n_patches):
        hidden, rates, joint = sampler.moments_given_hidden(patch, grid, mask)
        some = ~masks[:, patch]
        assert_allclose(hidden, chances[some].sum(), atol=1e-12)
        if hidden:
            given = chances[some] / chances[some].sum()
            assert_allclose(rates, given @ masks[some], atol=1e-10)
            assert_allclose(joint, masks[some].T @ (given[:, np.newaxis] * masks[some]), atol=1e-10)


@pytest.mark.parametrize(("sampler", "grid", "mask", "everything"), CASES)
def test_draws_have_these_moments(sampler, grid, mask, everything):
    masks, _ = everything(sampler, grid, mask)
    drawn = draw_visible(sampler, 20_000, grid, mask, 0)
    assert {row.tobytes() for row in drawn} <= {row.tobytes() for row in masks}
    rates, joint = sampler.moments(grid, mask)
    assert_allclose(drawn.mean(axis=0), rates, atol=0.015)
    assert_allclose(drawn.T.astype(float) @ drawn / len(drawn), joint, atol=0.015)
    estimated = Sampled(sampler, n_draws=20_000).moments(grid, mask)
    for estimate, exact in zip(estimated, (rates, joint), strict=True):
        assert_allclose(estimate, exact, atol=0.015)


@pytest.mark.parametrize("sampler", [ExactCount(), Stripes(), Tubes(), Stripes(2, "bernoulli"), Bernoulli()])
@pytest.mark.parametrize("mask", [0.0, 0.5, 0.9])
def test_the_same_levels_give_the_same_masks_in_numpy_and_torch(sampler, mask, rng):
    import torch

    levels = rng.random((50, sampler.n_levels(VIDEO)))
    visible = sampler.visible_from_levels(levels, VIDEO, mask)
    assert_array_equal(sampler.visible_from_levels(torch.from_numpy(levels), VIDEO, mask).numpy(), visible)
    n_visible = sampler.n_visible(VIDEO, mask)
    counts = visible.sum(axis=1)
    if n_visible is None:
        assert sampler.sampling == "bernoulli"
        assert len(np.unique(counts)) > 1
    else:
        assert (counts == n_visible).all()
    if mask == 0:
        assert visible.all()


def test_stripes_and_tubes_hide_what_they_say():
    rows = Stripes()(200, PICTURE, 0.6, 0).reshape(-1, 3, 2)
    assert (rows == rows[:, :, :1]).all()
    frames = Tubes()(200, VIDEO, 0.5, 0).reshape(-1, 2, 4)
    assert (frames[:, 0] == frames[:, 1]).all()
    assert (frames[:, 0].sum(axis=1) == 2).all()


def test_a_sampler_is_named_given_or_wrapped():
    def everything(n_samples, grid, mask, random_state):  # noqa: ARG001
        return np.ones((n_samples, grid.n_patches), bool)

    assert resolve_sampler("bernoulli") == Bernoulli()
    assert resolve_sampler("exact") == ExactCount()
    assert resolve_sampler(Blocks(3)) == Blocks(3)
    assert resolve_sampler(everything) == Sampled(everything)


@pytest.mark.parametrize("wrong", ["blocks", 0.5, None, Blocks])
def test_anything_else_is_refused(wrong):
    with pytest.raises(ValueError, match=r"mask_sampling=.* is not known\. Pass 'bernoulli', 'exact', an object of"):
        resolve_sampler(wrong)


@pytest.mark.parametrize("function", [len, lambda grid: grid])
def test_functions_of_other_arguments_are_refused(function):
    with pytest.raises(TypeError, match=r"mask_sampling=<.* cannot be called: .*Pass a function \(n_samples, grid"):
        resolve_sampler(function)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (np.ones((4, 3)), "type float64"),
        (np.ones((3, 4), bool), r"shape \(3, 4\).*must return bool of shape .* = \(4, 3\)"),
        ([[True], [True, False]], r"mask_sampling cannot be read: .* Pass a function that returns bool of shape"),
    ],
)
def test_what_a_function_returns_is_checked(returned, says):
    with pytest.raises(ValueError, match=says):
        draw_visible(Sampled(lambda *_: returned), 4, FLAT, 0.5, 0)


@pytest.mark.parametrize("n_samples", [None, -1, 2.0, True])
def test_numbers_of_samples_are_checked(n_samples):
    with pytest.raises(ValueError, match="must be a whole number, 0 to"):
        draw_visible(Bernoulli(), n_samples, FLAT, 0.5, 0)


class Claims:
    """A sampler that says anything about its moments."""

    def __init__(self, rates, joint):
        self.rates, self.joint = rates, joint

    def __call__(self, n_samples, grid, mask, random_state):  # noqa: ARG002
        raise AssertionError

    def moments(self, grid, mask):  # noqa: ARG002
        return self.rates, self.joint


@pytest.mark.parametrize(
    ("rates", "joint", "says"),
    [
        (np.full(2, 0.5), np.eye(3) / 2, "arrays of shape"),
        (np.full(3, 0.5), np.full((3, 3), 0.5) + 0.2, "no masks have"),
        (np.full(3, 0.5), np.eye(3), "no masks have"),
        (np.full(3, 1.5), np.eye(3) * 1.5, "no masks have"),
    ],
)
def test_impossible_moments_are_refused(rates, joint, says):
    with pytest.raises(ValueError, match=says):
        moments_of(Claims(rates, joint), FLAT, 0.5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Blocks(0), "size=0 is not a block"),
        (lambda: Blocks((1, 2.5)), "is not a block"),
        (lambda: Stripes(0.5), "axis=0.5"),
        (lambda: Tubes(sampling="some"), "pass one of"),
        (lambda: Sampled(lambda: 0, n_draws=0), "n_draws=0"),
        (lambda: Sampled(lambda: 0, n_draws=2**63), "n_draws=9223372036854775808 must be .* masks, 1 to 2147483647"),
        (lambda: Stripes(2).groups(PICTURE), r"has 2: pass -2 to 1"),
        (lambda: Blocks((1, 2, 3)).moments(PICTURE, 0.5), "2 axes"),
    ],
)
def test_samplers_check_what_they_are_told(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_whole_patches_are_read_from_pixels_and_features():
    patches = np.array([[True, False, True, True, False, True]])
    pixels = patches[:, PICTURE.patch_of_pixel].reshape(1, 5, 4)
    features = patches[:, PICTURE.patch_of_feature]
    for visible in (patches, pixels, features):
        assert_array_equal(read_visible_patches(PICTURE, visible, 1), patches)
    pixels[0, 0, 0] = ~pixels[0, 0, 0]
    with pytest.raises(ValueError, match="in part"):
        read_visible_patches(PICTURE, pixels, 1)
    with pytest.raises(ValueError, match="no patch of sample 1"):
        read_visible_patches(PICTURE, np.array([[True] * 6, [False] * 6]), 2)


class Unequal(GroupSampler):
    """The first patch is a group by itself, all others are another."""

    sampling = "exact"

    def groups(self, grid):
        return (np.arange(grid.n_patches) > 0).astype(int)


def test_groups_of_unequal_size_show_different_numbers_of_patches():
    assert Unequal().n_visible(PICTURE, 0.5) is None
    assert set(draw_visible(Unequal(), 100, PICTURE, 0.5, 0).sum(axis=1)) == {1, 5}
    masks, chances = every_group_mask(Unequal(), PICTURE, 0.5)
    rates, joint = moments_of(Unequal(), PICTURE, 0.5)
    assert_allclose(rates, chances @ masks)
    assert_allclose(joint, masks.T @ (chances[:, np.newaxis] * masks))
