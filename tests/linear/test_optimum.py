"""LinearMAE is the minimiser: no neighbour is better, and descent from anywhere ends there."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from skmae import LinearMAE


def corruptions(model, mask, sampling):
    """Every mask over features, scaled, with its probability, walked without the library's formulas."""
    grid = model._problem.grid
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=grid.n_patches)))
    kept = patterns.sum(axis=1)
    if sampling == "bernoulli":
        probability = (1 - mask) ** kept * mask ** (grid.n_patches - kept)
    else:
        probability = (kept == max(round((1 - mask) * grid.n_patches), 1)).astype(float)
        probability /= probability.sum()
    share = probability @ kept / grid.n_patches
    return patterns[:, grid.patch_of_feature] / share, probability


def loss_and_gradient(W1, W2, x, masks, probability):
    """E‖x − W2 W1 x̃‖² over samples and all masks, and its gradients."""
    loss, g1, g2 = 0.0, np.zeros_like(W1), np.zeros_like(W2)
    for mask, p in zip(masks, probability, strict=True):
        seen = x * mask
        error = seen @ W1.T @ W2.T - x
        loss += p * np.sum(error**2) / len(x)
        g2 += p * 2 * error.T @ (seen @ W1.T) / len(x)
        g1 += p * 2 * W2.T @ error.T @ seen / len(x)
    return loss, g1, g2


@st.composite
def tasks(draw):
    shape = draw(st.sampled_from([(5,), (6,), (2, 3), (3, 3), (2, 2, 3), (3, 2, 2), (2, 2, 2, 2)]))
    patch = draw(st.sampled_from([1, 2]))
    patch = 2 if np.prod(shape) > 9 else patch
    return shape, patch, draw(st.sampled_from([0.0, 0.25, 0.6, 0.9])), draw(st.sampled_from(["bernoulli", "exact"]))


@given(tasks(), st.integers(1, 4), st.integers(0, 1000))
def test_the_gradient_vanishes_on_any_grid(task, k, seed):
    shape, patch, mask, sampling = task
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, *shape)) + rng.normal(size=(40, *[1] * len(shape)))
    model = LinearMAE(k, mask=mask, patch=patch, mask_sampling=sampling, channel_axis="auto").fit(X)
    x = X.reshape(40, -1) - model.mean_
    masks, probability = corruptions(model, mask, sampling)
    loss, g1, g2 = loss_and_gradient(model.components_, model.decoder_, x, masks, probability)
    scale = np.sum(x**2) / len(x)
    assert max(np.abs(g1).max(), np.abs(g2).max()) < 1e-9 * scale
    np.testing.assert_allclose(loss / x.shape[1], model.expected_loss_, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("sampling", ["bernoulli", "exact"])
@pytest.mark.parametrize(("shape", "patch"), [((7,), 2), ((2, 2, 3), 1), ((3, 3), 2)])
def test_descent_from_random_starts_ends_at_the_closed_form(shape, patch, sampling, rng):
    X = rng.normal(size=(60, *shape)) + rng.normal(size=(60, *[1] * len(shape)))
    model = LinearMAE(2, mask=0.5, patch=patch, mask_sampling=sampling).fit(X)
    x = X.reshape(60, -1) - model.mean_
    d = x.shape[1]
    masks, probability = corruptions(model, 0.5, sampling)

    def objective(w):
        loss, g1, g2 = loss_and_gradient(w[: 2 * d].reshape(2, d), w[2 * d :].reshape(d, 2), x, masks, probability)
        return loss, np.concatenate([g1.ravel(), g2.ravel()])

    for _ in range(3):
        options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10}
        end = minimize(objective, rng.normal(size=4 * d) / 3, jac=True, method="L-BFGS-B", options=options)
        np.testing.assert_allclose(end.fun / d, model.expected_loss_, rtol=1e-8)
