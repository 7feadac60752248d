"""Synthetic data against its formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils._param_validation import InvalidParameterError

from skmae.datasets import make_gabor_targets, make_ising


@pytest.mark.parametrize("coupling", [-0.7, 0.0, 0.3, 1.0])
def test_ising_correlations_are_powers_of_tanh(coupling):
    X = make_ising(100_000, size=8, coupling=coupling, random_state=0)
    assert set(np.unique(X)) == {-1.0, 1.0}
    i = np.arange(8)
    assert_allclose(X.T @ X / len(X), np.tanh(coupling) ** np.abs(i[:, None] - i), atol=0.02)
    assert_allclose(X.mean(axis=0), 0, atol=0.02)


def test_ising_chains_have_boltzmann_probabilities():
    X = make_ising(200_000, size=3, coupling=0.6, random_state=1)
    states, counts = np.unique(X, axis=0, return_counts=True)
    weights = np.exp(0.6 * (states[:, 0] * states[:, 1] + states[:, 1] * states[:, 2]))
    assert_allclose(counts / len(X), weights / weights.sum(), atol=0.005)


def test_ising_is_seeded():
    assert_array_equal(make_ising(5, random_state=3), make_ising(5, random_state=3))
    assert (make_ising(5, random_state=3) != make_ising(5, random_state=4)).any()


@pytest.mark.parametrize("bad", [{"n_samples": 0}, {"size": 0}, {"coupling": np.inf}, {"coupling": "strong"}])
def test_ising_parameters(bad):
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(bad))}' parameter of make_ising"):
        make_ising(**bad)


@pytest.mark.parametrize("orientation", [0.0, 0.7])
def test_gabor_targets_are_the_sum_of_eq_8_over_displacements(orientation, rng):
    images = rng.normal(size=(2, 9, 7, 3))
    f, phase, sigma, s = 0.2, 0.4, 0.8, 1.5
    targets = make_gabor_targets(images, frequency=f, phase=phase, sigma=sigma, dilation=s, orientation=orientation)
    grey = images.mean(axis=3)
    grey = grey - grey.mean(axis=(1, 2), keepdims=True)
    expected = np.zeros_like(grey)
    for row in range(9):
        for column in range(7):
            y, x = row - np.arange(9)[:, None], column - np.arange(7)
            along = x * np.cos(orientation) + y * np.sin(orientation)
            g = np.exp(-(x**2 + y**2) / (2 * (s * sigma) ** 2)) * np.cos(2 * np.pi * f * along / s + phase)
            expected[:, row, column] = (grey * g).sum(axis=(1, 2))
    assert_allclose(targets, expected, atol=1e-3)  # the kernel is cut at 4 standard deviations
    assert_allclose(make_gabor_targets(grey, dilation=2), make_gabor_targets(images, dilation=2))


def test_gabor_targets_need_images():
    with pytest.raises(ValueError, match=r"got \(5, 3, 16, 16\).*np.moveaxis"):
        make_gabor_targets(np.zeros((5, 3, 16, 16)))
    with pytest.raises(ValueError, match=r"images must have shape .* got \(5, 64\). Reshape flat rows first"):
        make_gabor_targets(np.zeros((5, 64)))
