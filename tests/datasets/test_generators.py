"""Synthetic data against its formulas."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ellipk
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


def exact_lattice(shape, coupling):
    """Mean energy and mean |magnetisation| per spin over all states of a lattice that closes on itself."""
    n = int(np.prod(shape))
    states = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).reshape(-1, *shape)
    bonds = (states * (np.roll(states, 1, 1) + np.roll(states, 1, 2))).sum(axis=(1, 2))
    weights = np.exp(coupling * bonds - np.abs(coupling * bonds).max())
    weights /= weights.sum()
    return -(weights @ bonds) / n, weights @ np.abs(states.mean(axis=(1, 2)))


@pytest.mark.parametrize("coupling", [-0.6, -0.2, 0.0, 0.3, 0.44, 0.7])
@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (4, 4)])
def test_small_lattices_have_exact_energy_and_magnetisation(shape, coupling):
    X = make_ising(20_000, shape, coupling=coupling, ndim=2, random_state=0)
    assert X.shape == (20_000, *shape)
    assert set(np.unique(X)) == {-1.0, 1.0}
    energy = -(X * (np.roll(X, 1, 1) + np.roll(X, 1, 2))).mean(axis=(1, 2))
    magnetisation = np.abs(X.mean(axis=(1, 2)))
    for values, expected in zip((energy, magnetisation), exact_lattice(shape, coupling), strict=True):
        assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(len(values)) + 1e-12
    assert abs(X.mean()) < 0.05


@pytest.mark.parametrize("coupling", [0.2, 0.35, 0.5, 0.6])
def test_large_lattices_have_onsagers_energy_and_magnetisation(coupling):
    X = make_ising(150, 32, coupling=coupling, ndim=2, random_state=0)
    energy = -(X * (np.roll(X, 1, 1) + np.roll(X, 1, 2))).mean(axis=(1, 2))
    modulus = 2 * np.sinh(2 * coupling) / np.cosh(2 * coupling) ** 2
    inner = 2 / np.pi * (2 * np.tanh(2 * coupling) ** 2 - 1) * ellipk(modulus**2)
    assert abs(energy.mean() + (1 + inner) / np.tanh(2 * coupling)) < 4.5 * energy.std() / np.sqrt(150)
    if coupling > 0.4407:
        magnetisation = np.abs(X.mean(axis=(1, 2)))
        expected = (1 - np.sinh(2 * coupling) ** -4) ** 0.125
        assert abs(magnetisation.mean() - expected) < 4.5 * magnetisation.std() / np.sqrt(150)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": 2, "ndim": 2}, "size=2 does not fit ndim=2: pass one whole number, or two, of spins >= 3"),
        ({"size": (4, 4), "ndim": 1}, r"size=\(4, 4\) does not fit ndim=1"),
        ({"size": 4, "ndim": 3}, "'ndim' parameter of make_ising"),
        ({"size": np.array(4)}, "size cannot be read: .* Pass one whole number, or two for a lattice"),
    ],
)
def test_sizes_that_do_not_fit(kwargs, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make_ising(2, **kwargs)


def test_ising_is_seeded():
    assert_array_equal(make_ising(5, random_state=3), make_ising(5, random_state=3))
    assert (make_ising(5, random_state=3) != make_ising(5, random_state=4)).any()


@pytest.mark.parametrize(
    "bad", [{"n_samples": 0}, {"n_samples": True}, {"size": 0}, {"coupling": np.inf}, {"coupling": Fraction(1, 2)}]
)
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


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_gabor_targets_of_narrow_types_are_computed_in_float64(dtype, rng):
    for shape in ((3, 8, 8), (3, 8, 8, 3)):
        images = (200 * rng.random(shape)).astype(dtype)
        targets = make_gabor_targets(images)
        assert targets.dtype == np.float64
        assert_allclose(targets, make_gabor_targets(images.astype(np.float64)), atol=1e-10)


def test_gabor_targets_need_images():
    with pytest.raises(ValueError, match=r"got \(5, 3, 16, 16\).*np.moveaxis"):
        make_gabor_targets(np.zeros((5, 3, 16, 16)))
    with pytest.raises(ValueError, match=r"images must have shape .* got \(5, 64\). Reshape flat rows first"):
        make_gabor_targets(np.zeros((5, 64)))
    for shape in ((5, 8, 8), (5, 8, 8, 3)):
        images = np.zeros(shape)
        images.flat[-1] = np.nan
        with pytest.raises(ValueError, match="Input images contains NaN"):
            make_gabor_targets(images)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e305])
def test_gabor_targets_are_in_proportion_to_the_images(scale, rng):
    images = rng.random((3, 8, 8, 3))
    assert_allclose(make_gabor_targets(images * scale) / scale, make_gabor_targets(images), rtol=1e-4, atol=1e-12)


def test_gabor_filters_narrower_than_a_pixel_and_wider_than_the_image(rng):
    images = rng.random((3, 8, 8))
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    for sigma, dilation in ((1e-200, 1.0), (1e-200, 1e-200), (1e-3, 1.0)):
        assert_allclose(make_gabor_targets(images, frequency=0, sigma=sigma, dilation=dilation), centred, atol=1e-12)
    assert_allclose(
        make_gabor_targets(images, frequency=0, sigma=1e300, dilation=1e300),
        make_gabor_targets(images, frequency=0, sigma=1e6),
        atol=1e-9,
    )


def test_what_float64_cannot_hold_is_refused(rng):
    images = rng.random((3, 8, 8))
    with pytest.raises(ValueError, match=r"beyond the range of float64. Divide images by their largest value"):
        make_gabor_targets(images / images.max() * 1.7e308, sigma=4, frequency=0)
    with pytest.raises(ValueError, match=r"frequency=1e\+300 at dilation=1e-20 has more waves.*Pass a lower frequency"):
        make_gabor_targets(images, frequency=1e300, dilation=1e-20)


@pytest.mark.parametrize("coupling", [np.float64(1.7e308), -1e308, np.float64(5e-324)])
def test_ising_at_extreme_couplings(coupling):
    chains = make_ising(5, size=6, coupling=coupling, random_state=0)
    if abs(coupling) > 1:
        assert (chains[:, 1:] * chains[:, :-1] == np.sign(coupling)).all()
    assert set(np.unique(make_ising(5, size=4, coupling=coupling, ndim=2, random_state=0))) == {-1.0, 1.0}
