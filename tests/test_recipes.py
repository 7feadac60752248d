"""The recipes of docs/contributing.md build what they say: each against an oracle."""

import re
import sys
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skmae import (
    JacobianBasis,
    LinearMAE,
    ViTMAE,
)
from skmae._grid import PatchGrid

PAGE = Path(__file__).parents[1] / "docs" / "contributing.md"


@pytest.fixture(scope="module")
def recipes():
    """What the code of the page defines, run in order as a reader would."""
    module = sys.modules.setdefault(
        "contributing", ModuleType("contributing")
    )  # so that what it defines can be pickled
    names = vars(module)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # a page of this repository
    return names


def test_each_kind_has_a_recipe(recipes):
    titles = re.findall(r"^## To add (?:a|an) (\w+)", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert titles == ["corruption", "mask", "loss", "solver", "analyzer", "network"]
    assert {"Speckle", "Halves", "WeightedFeatures", "Explicit", "RowMeansDisplay", "MlpMAE"} <= recipes.keys()


def test_a_corruption_of_colour_images_is_per_feature(recipes, rng):
    images = (rng.normal(size=(40, 12)) @ rng.normal(size=(12, 12))).reshape(40, 2, 2, 3)
    model = recipes["Speckle"](3, std=0.8).fit(images)
    x = images.reshape(40, 12) - model.mean_
    noisy = x * rng.normal(1, 0.8, (20_000, 40, 12))
    error = np.mean((x - noisy @ model.components_.T @ model.decoder_.T) ** 2)
    assert_allclose(model.expected_loss_, error, rtol=0.02)
    assert_allclose(-model.score(images), model.expected_loss_)
    S = x.T @ x / 40
    V = S + 0.64 * np.diag(S.diagonal())
    best = np.trace(S) - np.linalg.eigvalsh(S @ np.linalg.solve(V, S))[-3:].sum()
    assert_allclose(12 * model.expected_loss_, best)  # Theorem 1


def with_exact_threes(halves):
    """The recipe's sampler, which also knows exactly how pairs are while a third patch is hidden."""

    class Exact(halves):
        def moments_given_hidden(self, patch, grid, mask):  # noqa: ARG002
            other = (self.is_left(grid) != self.is_left(grid)[patch]).astype(float)
            return 0.5, other, np.outer(other, other)

    return Exact()


@pytest.mark.parametrize(("loss", "exact"), [("all", False), ("hidden", False), ("hidden", True)])
@pytest.mark.parametrize(("shape", "patch"), [((4, 4), 2), ((3, 5), 2), ((2, 5, 3), (1, 2))])
def test_a_mask_is_solved_as_all_masks_together_say(loss, exact, shape, patch, recipes, rng):
    d = int(np.prod(shape))
    X = (rng.normal(size=(200, d)) @ rng.normal(size=(d, d))).reshape(200, *shape)
    sampler = with_exact_threes(recipes["Halves"]) if exact else recipes["Halves"]()
    rtol = 1e-7 if exact or loss == "all" else 0.02  # of 10,000 draws
    model = LinearMAE(3, patch=patch, mask_sampling=sampler, loss=loss).fit(X)
    grid = PatchGrid.build(model.image_shape_, model.channel_axis_, patch)
    left = recipes["Halves"]().is_left(grid)[grid.patch_of_feature]
    x = X.reshape(200, d) - model.mean_

    def mean_error(model):
        product_ = model.components_.T @ model.decoder_.T
        errors = [(x - (2 * x * visible) @ product_) ** 2 for visible in (left, ~left)]  # each visible half the time
        if loss == "all":
            return np.mean(errors)
        return np.sum([error[:, ~visible].sum() for error, visible in zip(errors, (left, ~left), strict=True)]) / x.size

    assert_allclose(model.expected_loss_, mean_error(model), rtol=rtol)
    assert_allclose(-model.score(X), model.expected_loss_)
    for other in (LinearMAE(3, patch=patch, mask=0.5), LinearMAE(3, patch=patch, mask=0.5, loss="hidden")):
        assert model.expected_loss_ <= mean_error(other.fit(X)) * (1 + 1e-9)


def test_a_mask_trains_a_vit(recipes, rng):
    sizes = {
        "patch": 2,
        "embed_dim": 8,
        "encoder_layers": 1,
        "encoder_heads": 2,
        "decoder_layers": 1,
        "decoder_heads": 2,
    }
    mae = ViTMAE(**sizes, mask_sampling=recipes["Halves"](), max_epochs=1, random_state=0).fit(rng.random((20, 8, 8)))
    assert mae.mask_ == 0.5
    masks = {tuple(row) for row in mae.sample_visible(50, random_state=0).tolist()}
    assert len(masks) == 2


def test_a_loss_is_what_it_says_on_average(recipes, rng):
    X = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))
    weights = rng.random(6) + 0.2
    loss = recipes["WeightedFeatures"](tuple(weights.tolist()))
    model = LinearMAE(2, mask=0.4, patch=2, image_shape=(6,), loss=loss).fit(X)
    x = X - model.mean_
    masks = np.array(list(product([False, True], repeat=3)))
    chances = np.prod(np.where(masks, 0.6, 0.4), axis=1)

    def mean_error(model):
        rebuilt = [(x * np.repeat(visible, 2) / 0.6) @ model.components_.T @ model.decoder_.T for visible in masks]
        return (
            np.sum([chance * ((x - y) ** 2 @ weights).mean() for chance, y in zip(chances, rebuilt, strict=True)]) / 6
        )

    assert_allclose(model.expected_loss_, mean_error(model))
    assert model.expected_loss_ < mean_error(LinearMAE(2, mask=0.4, patch=2, image_shape=(6,)).fit(X))


@pytest.mark.parametrize("sampling", ["bernoulli", "exact"])
def test_a_solver_solves_what_ours_solve(sampling, recipes, rng):
    X = rng.normal(size=(60, 12)) @ rng.normal(size=(12, 12))
    ours, theirs = (
        LinearMAE(3, patch=2, image_shape=(2, 6), mask_sampling=sampling, solver=solver).fit(X)
        for solver in ("auto", recipes["Explicit"]())
    )
    product_ = [model.decoder_ @ model.components_ for model in (ours, theirs)]
    assert_allclose(*product_, atol=1e-7 * np.abs(product_[0]).max())
    with pytest.raises(ValueError, match='takes loss="all" only'):
        LinearMAE(3, patch=2, image_shape=(2, 6), loss="hidden", solver=recipes["Explicit"]()).fit(X)


def test_an_analyzer_draws_its_numbers(recipes):
    ramp = np.tile(np.arange(5.0)[:, np.newaxis, np.newaxis], (3, 1, 4, 2))
    display = recipes["RowMeansDisplay"].from_samples(ramp, channel_axis=-1, name="ramp")
    assert_allclose(display.line_.get_ydata(), np.arange(5))
    assert display.ax_.get_xlabel() == "Line (pixels)"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["ramp"]


def test_a_network_is_inspected_by_finite_differences(recipes, rng):
    X = rng.random((30, 8, 8))
    basis = JacobianBasis(recipes["MlpMAE"](max_epochs=1, random_state=0), outputs=[27]).fit(X)
    step = 1e-6 * np.eye(64).reshape(64, 8, 8)
    up, down = (basis.estimator_.reconstruct(X[:1] + sign * step).reshape(64, 64)[:, 27] for sign in (1, -1))
    assert_allclose(basis.jacobian(X[:1])[0, 0], (up - down) / 2e-6, atol=1e-6)
