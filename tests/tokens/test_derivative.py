"""The derivative of tokens against finite differences, and its two products against each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import skmae.tokens._encoder as module
from skmae import LocalTokens

# parameters of LocalTokens, and the shape of a sample as it comes in
GRIDS = {
    "colour": ({"size": 3, "pool": 2}, (7, 6, 3)),
    "signal, flat": ({"size": 4, "pool": 3, "image_shape": (13,)}, (13,)),
    "channels first": ({"size": (3, 2), "pool": (2, 1), "channel_axis": 0}, (3, 6, 5)),
    "volume": ({"size": 2, "pool": (2, 1, 2), "channel_axis": None}, (4, 3, 5)),
    "stride": ({"size": (3, 4), "pool": 2, "stride": 2}, (9, 8)),
    "stride that leaves pixels out": ({"size": 2, "pool": 2, "stride": 3, "filters": "pca"}, (9, 9)),
}


def fitted(grid, filters=5):
    parameters, shape = GRIDS[grid]
    X = np.random.RandomState(0).standard_normal((20, *shape)).cumsum(axis=1) + 3
    return LocalTokens(filters, random_state=0, **parameters).fit(X), X


def differences(function, x, step=1e-6):
    """(outputs, features) central differences at one sample."""
    units = step * np.eye(x.size).reshape(x.size, *x.shape)
    up, down = (function(x + sign * units).reshape(x.size, -1) for sign in (1, -1))
    return (up - down).T / (2 * step)


@pytest.mark.parametrize("grid", GRIDS)
def test_products_with_units_are_finite_differences(grid):
    tokens, X = fitted(grid)
    derivative, d = tokens.linearize(X), X[0].size
    for sample in (0, 7):
        T = differences(tokens.transform, X[sample])
        assert_allclose(derivative.jvp(np.eye(d), sample), T, atol=1e-7)
        assert_allclose(derivative.vjp(np.eye(len(T)), sample), T.T, atol=1e-7)
        assert np.abs(T).max() > 0.01


@given(seed=st.integers(0, 2**31), grid=st.sampled_from(list(GRIDS)), k=st.integers(1, 4), scale=st.floats(1e-3, 1e3))
def test_the_products_are_each_others_transpose(seed, grid, k, scale):
    tokens, X = fitted(grid)
    random = np.random.default_rng(seed)
    x = scale * X[:1] + random.normal(size=X[:1].shape)
    derivative = tokens.linearize(x)
    V = random.normal(size=(x.size, k))
    U = random.normal(size=(np.prod(tokens.tokens_shape_), 2))
    assert_allclose(U.T @ derivative.jvp(V, 0), derivative.vjp(U, 0).T @ V, atol=1e-10)


def test_an_image_of_one_colour():
    """Of ramps, filters respond to a window without contrast as well: it is not what they are on average."""
    X = np.random.RandomState(0).standard_normal((20, 7, 6)) + 5 * np.arange(6)
    tokens = LocalTokens(5, 3, pool=2, random_state=0).fit(X)
    flat = np.full_like(X[:1], 2.0)
    derivative = tokens.linearize(flat)
    J = derivative.jvp(np.eye(42), 0)
    assert np.abs(J).max() > 0.01
    assert_allclose(J, derivative.vjp(np.eye(len(J)), 0).T, atol=1e-14)
    assert_allclose(J, differences(tokens.transform, flat[0]), atol=1e-6)


def test_no_derivative_at_the_threshold_itself():
    """Responses of θ and −θ exactly: tokens have slopes on one side only."""
    tokens, X = fitted("signal, flat")
    encoder = module.TokenEncoder(tokens._state.grid, tokens._state.filters, np.dtype(float))
    point, threshold = encoder.respond(X[:1]), encoder.filters.threshold
    at = point._replace(r=np.broadcast_to(np.where(np.arange(5) % 2, threshold, -threshold), point.r.shape))
    derivative = tokens.linearize(X[:1])
    derivative._encoder.respond = lambda _: at
    assert_array_equal(derivative.jvp(np.eye(13), 0), 0)
    assert_array_equal(derivative.vjp(np.eye(30), 0), 0)


@pytest.mark.parametrize("grid", GRIDS)
def test_windows_are_put_back_by_the_transpose_of_cutting_them(grid):
    """For any windows: filters that are learned only ask for those whose mean is zero."""
    tokens, X = fitted(grid)
    encoder = module.TokenEncoder(tokens._state.grid, tokens._state.filters, np.dtype(float))
    n, p = encoder.grid.n_window, encoder.grid.n_places
    random = np.random.default_rng(0)
    x, W = random.normal(size=(2, X[0].size)), random.normal(size=(2, p, n))
    cut = np.empty((2 * p, n))
    encoder.cut(x, cut)
    expected = (cut.reshape(W.shape) * W).sum(axis=(1, 2))
    assert_allclose((x * encoder.uncut(W)).sum(axis=1), expected)


def test_types_and_blocks(monkeypatch):
    tokens, X = fitted("colour")
    d, wide = X[0].size, tokens.linearize(X)
    narrow = tokens.linearize(X.astype(np.float32))
    for product, k in (("jvp", d), ("vjp", np.prod(tokens.tokens_shape_))):
        whole = getattr(wide, product)(np.eye(k), 3)
        small = getattr(narrow, product)(np.eye(k), 3)
        assert (whole.dtype, small.dtype) == (np.float64, np.float32)
        assert_allclose(small, whole, atol=1e-4)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_VALUES", 1)  # one vector at a time
            assert_allclose(getattr(wide, product)(np.eye(k), 3), whole, atol=1e-14)


def test_samples_are_refused_as_transform_refuses_them():
    tokens, X = fitted("colour")
    with pytest.raises(ValueError, match=r"samples of shape \(7, 6, 3\)"):
        tokens.linearize(X[:, :2])
    X[1, 2, 3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        tokens.linearize(X)


def test_positions_are_the_means_of_what_windows_see():
    for grid in ("colour", "volume", "stride"):
        tokens, _ = fitted(grid)
        state = tokens._state.grid
        shape = tuple(state.pixels)
        seen = np.zeros((state.n_tokens, *shape))
        for place in np.ndindex(state.places):
            token = np.ravel_multi_index(np.multiply(place, state.pool) // state.places, state.pool)
            first = np.array(place) * tokens.stride_
            seen[(token, *(slice(f, f + s) for f, s in zip(first, tokens.size_, strict=True)))] += 1
        where = np.indices(shape).reshape(len(shape), -1)
        weights = seen.reshape(state.n_tokens, -1)
        assert_allclose(tokens.positions_, weights @ where.T / weights.sum(1, keepdims=True))
