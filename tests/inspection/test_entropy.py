"""Spatial entropy: its limits, its bounds, its bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from skmae import SpatialEntropy

maps = arrays(np.float64, st.tuples(st.integers(1, 4), st.just(12)), elements=st.floats(0, 1e300))


@given(maps, st.floats(0.01, 20))
def test_entropy_is_between_zero_and_log_n_and_never_nan(X, power):
    H = SpatialEntropy((2, 3), power=power).fit_transform(X)
    assert H.shape == (len(X), 2)
    assert (H >= 0).all()
    assert (np.log(6) >= H).all()


@given(maps, st.floats(1e-3, 1e3), st.permutations(range(12)))
def test_neither_scale_nor_order_of_pixels_matters(X, scale, order):
    entropy = SpatialEntropy()
    assert_allclose(entropy.fit_transform(X[:, order]), entropy.fit_transform(X), atol=1e-9)
    assert_allclose(entropy.fit_transform(X / 1e10 * scale), entropy.fit_transform(X / 1e10), atol=1e-6)


def test_limits():
    uniform, delta, zero = np.full(16, 3e-200), np.eye(16)[5] * 7, np.zeros(16)
    X = np.concatenate([uniform, delta, zero])[np.newaxis]
    entropy = SpatialEntropy((4, 4)).fit(X)
    assert_allclose(entropy.transform(X), [[np.log(16), 0, 0]], atol=1e-12)
    assert_allclose(entropy.effective_pixels(X), [[16, 1, 1]])


def test_power_is_the_entropy_of_the_power(rng):
    X = rng.random((5, 9))
    assert_allclose(SpatialEntropy(power=2).fit_transform(X), SpatialEntropy().fit_transform(X**2))
    p = X / X.sum(axis=1, keepdims=True)
    assert_allclose(SpatialEntropy().fit_transform(X)[:, 0], -(p * np.log(p)).sum(axis=1))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3), (16,), (2, 2, 4, 2)])
def test_channels_of_the_shape_do_not_count(shape, rng):
    assert SpatialEntropy(shape).fit_transform(rng.random((3, 32))).shape == (3, 2)


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({}, [[1.0, -1.0]], "Negative values in data passed to SpatialEntropy"),
        ({}, [[1.0, np.nan]], "Input X contains NaN"),
        ({"image_shape": (2, 2)}, np.ones((1, 6)), "X has 6 columns, which is not a multiple of the 4 pixels"),
        ({"image_shape": (2, 0.5)}, np.ones((1, 6)), r"image_shape=\(2, 0.5\) is not a shape"),
        ({}, np.ones((2, 4, 4)), r"X cannot be read: .*Pass maps laid end to end in each row, .*reshape\(n, -1\)"),
        ({"power": 0}, np.ones((1, 6)), "'power' parameter of SpatialEntropy"),
    ],
)
def test_bad_input(parameters, X, message):
    with pytest.raises(ValueError, match=message):
        SpatialEntropy(**parameters).fit(np.asarray(X))


def test_axis_of_the_channels_may_be_told(rng):
    maps = rng.random((3, 2 * 256))
    assert SpatialEntropy((8, 8, 4)).fit_transform(maps).shape == (3, 8)  # read as pictures of 4 channels
    assert SpatialEntropy((8, 8, 4), channel_axis=None).fit_transform(maps).shape == (3, 2)
    assert SpatialEntropy((4, 8, 8), channel_axis=0).fit_transform(maps).shape == (3, 8)


def test_transform_remembers_nothing():
    entropy = SpatialEntropy((2, 2))
    for n_maps in (1, 2):
        assert_allclose(entropy.transform(np.ones((1, 4 * n_maps))), [[np.log(4)] * n_maps])
    assert not [name for name in vars(entropy) if name.endswith("_")]
