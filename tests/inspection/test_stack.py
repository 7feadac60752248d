"""Jacobians of LocalTokens with an autoencoder behind it, against finite differences of the two steps."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skmae.inspection._jacobian as module
from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE, LocalTokens, SpatialEntropy
from skmae.datasets import load_photo_patches
from skmae.inspection import (
    InfluenceDisplay,
    JacobianDisplay,
    basis_similarity,
    influence_by_distance,
    influence_radius,
    linearized_loss,
    own_patch_share,
)

OF_TOKENS = {"mask": 0.5, "patch": 1, "channel_axis": -1}
# parameters of LocalTokens, the shape of a sample as it comes in, what else LinearMAE must be told, tokens to hide
STACKS = {
    "colour": ({"size": 3, "pool": 2}, (7, 7, 3), {}, [[True, False], [False, True]]),
    "not square": ({"size": (2, 3), "pool": (3, 2)}, (5, 8), {}, np.arange(6) % 3 > 0),
    "signal, flat": ({"size": 4, "pool": 3, "image_shape": (13,)}, (13,), {"image_shape": (3, 8)}, [True, False, True]),
    "channels first": ({"size": 2, "pool": 2, "channel_axis": 0}, (3, 5, 6), {}, np.arange(4) > 0),
    "volume": ({"size": 2, "pool": (2, 1, 2), "channel_axis": None}, (4, 3, 5), {}, np.arange(4) > 1),
    "stride": ({"size": 3, "pool": 2, "stride": 2}, (9, 9), {}, np.arange(4) != 2),
}


def stack_of(kind, autoencoder=LinearMAE, n_components=5):
    """A fitted stack of 4 filters, its samples, and a mask of tokens."""
    parameters, shape, told, visible = STACKS[kind]
    X = np.random.RandomState(0).standard_normal((60, *shape)).cumsum(axis=1)
    only = OF_TOKENS if autoencoder is LinearMAE else {"channel_axis": -1}
    steps = LocalTokens(4, random_state=0, **parameters), autoencoder(n_components, **only, **told)
    return make_pipeline(*steps).fit(X), X, np.asarray(visible)


def frozen(stack, **parameters):
    return JacobianBasis(FrozenEstimator(stack), **parameters)


def finite_differences(stack, x, visible=None, step=1e-6):
    """(token features, features) of one sample: of `transform` of one step, and `reconstruct` of the next."""
    units = step * np.eye(x.size).reshape(x.size, *x.shape)
    up, down = (stack[1].reconstruct(stack[0].transform(x + sign * units), visible) for sign in (1, -1))
    return (up - down).reshape(x.size, -1).T / (2 * step)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("kind", STACKS)
def test_is_the_derivative_of_reconstructed_tokens_by_pixels(kind, hidden):
    stack, X, visible = stack_of(kind)
    visible = visible if hidden else None
    basis = frozen(stack, outputs="all", visible=visible).fit(X)
    J = basis.jacobian(X[:2])
    for i in range(2):
        assert_allclose(J[i], finite_differences(stack, X[i], visible), atol=1e-7)
    assert np.abs(J).max() > 0.01
    assert basis_similarity(J).max() < 0.999
    some = frozen(stack, outputs=[2, 0], visible=visible).fit(X)
    assert_allclose(some.jacobian(X[:2]), J[:, some.output_features_], atol=1e-12)
    assert_array_equal(some.output_features_, [*range(16, 24), *range(8)])


@pytest.mark.parametrize("autoencoder", [LinearAE, LinearDAE])
def test_any_linear_autoencoder_may_stand_behind_tokens(autoencoder):
    stack, X, _ = stack_of("colour", autoencoder)
    assert_allclose(frozen(stack, outputs="all").fit(X).jacobian(X[:1])[0], finite_differences(stack, X[0]), atol=1e-7)
    unaware = make_pipeline(clone(stack[0]), LinearAE(5)).fit(X)  # takes channels of tokens for pixels: as good
    basis = frozen(unaware, outputs=[3]).fit(X)
    assert basis.transform(X[:1]).shape == (1, 49)
    assert_allclose(basis.jacobian(X[:1])[0], finite_differences(unaware, X[0])[24:], atol=1e-7)


def test_a_model_that_is_not_linear_may_stand_behind_tokens(rng):
    torch = pytest.importorskip("torch")
    from skmae.inspection import TorchAutoencoder

    stack, X, visible = stack_of("colour")
    weights = torch.tensor(rng.normal(size=(32, 32)) / 6)
    deep = TorchAutoencoder(
        lambda tokens: torch.tanh(tokens.flatten(1) @ weights).reshape(tokens.shape), patch=1, channel_axis=-1
    )
    deep = make_pipeline(stack[0], deep).fit(X)
    for outputs in ("all", [1]):
        basis = frozen(deep, outputs=outputs, visible=visible).fit(X)
        expected = finite_differences(deep, X[1], visible)[basis.output_features_]
        assert_allclose(basis.jacobian(X[:2])[1], expected, atol=1e-7)


def test_maps_sum_channels_of_tokens_and_of_pixels():
    stack, X, _ = stack_of("channels first")
    basis = frozen(stack, outputs=[(1, 0), (0, 1)]).fit(X)
    assert basis.image_shape_ == (3, 5, 6)
    assert basis.outputs_.tolist() == [2, 1]
    J = np.abs(finite_differences(stack, X[0])).reshape(4, 8, 3, 30).sum(axis=(1, 2))
    assert_allclose(basis.transform(X[:1]).reshape(2, 30), J[[2, 1]], atol=1e-6)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(list(STACKS)), hidden=st.booleans())
def test_products_are_each_others_transpose_and_those_of_the_rows(seed, kind, hidden):
    stack, X, visible = stack_of(kind)
    random = np.random.default_rng(seed)
    x = random.normal(size=X[:2].shape) * 3
    part = next(frozen(stack, visible=visible if hidden else None).fit(X)._linearizations(module.read(x)))
    d, t = x[0].size, np.prod(stack[0].tokens_shape_)
    V, U = random.normal(size=(d, 3)), random.normal(size=(t, 2))
    assert_allclose(U.T @ part.jvp(V, 1), part.vjp(U, 1).T @ V, atol=1e-9)
    few, many = np.arange(3), np.arange(t)  # many come from products with the features of the autoencoder alone
    for outputs in (few, many):
        assert_allclose(part.rows(outputs)[1] @ V, part.jvp(V, 1)[outputs], atol=1e-9)


@pytest.mark.parametrize("memory", [1e-4, 0.01])
@pytest.mark.parametrize("n_components", [5, 20])
def test_no_chunk_size_and_no_direction_changes_a_map(memory, n_components):
    stack, X, _ = stack_of("signal, flat", n_components=n_components)  # 13 features, fewer than 24 of tokens
    basis = frozen(stack, outputs="all").fit(X)
    J, maps = basis.jacobian(X[:3]), basis.transform(X[:3])
    assert_allclose(J[2], finite_differences(stack, X[2]), atol=1e-7)
    with config_context(working_memory=memory):
        assert_allclose(basis.jacobian(X[:3]), J, atol=1e-12)
        assert_allclose(basis.transform(X[:3]), maps, atol=1e-12)
    narrow = basis.transform(X[:3].astype(np.float32))
    assert narrow.dtype == np.float32
    assert_allclose(narrow, maps, atol=1e-4)


# -- what is hidden -----------------------------------------------------------------------------------------------


def test_hidden_tokens_have_no_influence():
    """Pixels that no window of a visible token sees; and NaN is refused there, too, as LocalTokens does."""
    stack, X, _ = stack_of("colour")
    basis = frozen(stack, outputs="all", visible=np.array([[False, False], [False, True]])).fit(X)
    maps = basis.transform(X[:3]).reshape(3, 4, 7, 7)
    seen = np.zeros((7, 7), bool)
    seen[3:, 3:] = True  # of 5 places along an axis the first token has 3
    assert (maps[..., ~seen] == 0).all()
    assert (maps.sum(axis=(0, 1))[seen] > 0).all()
    X[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        basis.transform(X)


def test_random_masks_hide_tokens_and_are_averaged():
    stack, X, _ = stack_of("colour")
    basis = frozen(stack, visible="random", n_masks=3, random_state=0).fit(X)
    assert basis.masks_.shape == (3, 4)
    each = [frozen(stack, visible=mask).fit(X).jacobian(X[:2]) for mask in basis.masks_]
    assert_allclose(basis.jacobian(X[:2]), np.mean(each, axis=0), atol=1e-13)
    with pytest.raises(ValueError, match=r"visible has shape \(7, 7\), which fits neither patches"):
        frozen(stack, visible=np.ones((7, 7), bool)).fit(X)


# -- samples and estimators ---------------------------------------------------------------------------------------


def test_an_image_of_one_colour_has_a_finite_jacobian():
    stack, X, _ = stack_of("colour")
    J = frozen(stack, outputs="all").fit(X).jacobian(np.full((1, 7, 7, 3), 4.0))
    assert np.isfinite(J).all()
    assert_allclose(J[0], finite_differences(stack, np.full((7, 7, 3), 4.0)), atol=1e-6)


def test_frozen_or_fitted_here_it_is_the_same():
    stack, X, _ = stack_of("colour")
    fitted = JacobianBasis(clone(stack), outputs="grid").fit(X)
    basis = frozen(stack, outputs="grid").fit(X)
    assert_allclose(fitted.transform(X[:3]), basis.transform(X[:3]), rtol=1e-6)
    assert fitted.estimator_ is not stack
    inside = make_pipeline(FrozenEstimator(stack[0]), clone(stack[1]))
    assert_allclose(JacobianBasis(inside, outputs="grid").fit(X).transform(X[:3]), basis.transform(X[:3]), rtol=1e-6)
    first, X_first, _ = stack_of("channels first")  # before the fit, nothing says where its channels are
    assert JacobianBasis(clone(first), outputs=[(1, 0)]).fit(X_first).outputs_.tolist() == [2]
    deeper = JacobianBasis(clone(stack)).set_params(estimator__linearmae__n_components=2).fit(X)
    assert deeper.estimator_[1].components_.shape == (2, 32)


def test_entropies_in_a_pipeline():
    stack, X, _ = stack_of("colour")
    pipeline = make_pipeline(JacobianBasis(clone(stack), outputs="grid"), SpatialEntropy((7, 7, 3)))
    entropies = pipeline.fit(X).transform(X[:5])
    assert entropies.shape == (5, 4)
    assert ((entropies > 0) & (entropies <= np.log(49))).all()
    assert list(pipeline[:1].get_feature_names_out()[[0, -1]]) == ["jacobianbasis0", "jacobianbasis195"]


def test_data_frames():
    stack, X, _ = stack_of("signal, flat")
    frame = pd.DataFrame(X).add_prefix("t")
    named = clone(stack).set_output(transform="pandas").fit(frame)
    basis = frozen(named).fit(frame)
    assert_allclose(basis.transform(frame[:3]), frozen(stack).fit(X).transform(X[:3]), rtol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        basis.fit(frame.add_prefix("other"))


def test_around_a_frozen_stack_fit_refuses_what_the_stack_would():
    stack, X, _ = stack_of("colour")
    basis = frozen(stack)
    with pytest.raises(ValueError, match=r"samples of X have shape \(5, 7, 3\), but LocalTokens was fitted"):
        basis.fit(X[:, :5])
    with pytest.raises(ValueError, match="outside the grid"):
        frozen(stack, outputs=[4]).fit(X)
    X[40, 2] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity: X\[40, 42\]"):
        basis.fit(X)


def test_other_pipelines_are_refused():
    stack, X, _ = stack_of("colour")
    for other in (
        make_pipeline(StandardScaler(), LinearMAE(2)),
        make_pipeline(LocalTokens(4), PCA(2)),
        make_pipeline(LocalTokens(4), LinearMAE(2), PCA(2)),
        make_pipeline(LocalTokens(4)),
    ):
        with pytest.raises(TypeError, match=r"Pipeline cannot be inspected.*Pipeline of LocalTokens and one of these"):
            JacobianBasis(other).fit(X)
    for pixels_only in (lambda: JacobianDisplay.from_estimator(stack, X), lambda: linearized_loss(stack, X)):
        with pytest.raises(TypeError, match="Pipeline cannot be inspected"):
            pixels_only()
    with pytest.raises(NotFittedError):
        frozen(clone(stack)).fit(X)


@pytest.mark.parametrize("outputs", ["all", [1]])
def test_singular_vectors(outputs, monkeypatch):
    stack, X, _ = stack_of("signal, flat")
    basis = frozen(stack, outputs=outputs, random_state=0).fit(X)
    exact, J = basis.basis(X[:2], n_components=3), basis.jacobian(X[:2])
    for i in range(2):
        assert_allclose(exact.S[i], np.linalg.svd(J[i], compute_uv=False)[:3])
        assert_allclose(J[i] @ exact.Vh[i].T, exact.U[i] * exact.S[i], atol=1e-10)
    monkeypatch.setattr(module, "_EXACT", 1)
    assert_allclose(basis.basis(X[:2], n_components=3).S, exact.S, rtol=1e-4)


# -- distances ------------------------------------------------------------------------------------------------------


def test_influence_falls_with_distance_and_farther_off_where_tokens_were_hidden():
    pytest.importorskip("skimage", reason="load_photo_patches needs scikit-image")
    X = load_photo_patches().images[:400]
    tokens = LocalTokens(24, random_state=0).fit(X)
    stack = make_pipeline(tokens, LinearAE(48, channel_axis=-1)).fit(X)
    basis = frozen(stack, outputs="all").fit(X)
    maps = basis.transform(X[:4])
    table = influence_by_distance(maps, (32, 32, 3), outputs=basis.positions_, bin_width=4)
    assert (np.diff(table.influence) < 0).all()
    assert table.influence.iloc[0] > 5 * table.influence.iloc[-1]
    assert_allclose((table.influence * table.n_pairs).sum() / 16, 1)
    masked = make_pipeline(tokens, LinearMAE(48, mask=0.9, patch=1, channel_axis=-1)).fit(X)
    of_masked = frozen(masked, outputs="all").fit(X).transform(X[:4])
    radii = [influence_radius(m, (32, 32, 3), outputs=basis.positions_).mean() for m in (maps, of_masked)]
    assert radii[0] + 1 < radii[1]
    display = InfluenceDisplay.from_estimator(stack, X[:4], bin_width=4)
    pd.testing.assert_frame_equal(display.table, table)
    with pytest.raises(ValueError, match=r"16384 columns; 1024 outputs .* of a stack, outputs=basis\.positions_"):
        influence_by_distance(maps, (32, 32, 3))


def test_distances_are_from_positions():
    maps = np.array([[0.0, 1, 1, 0, 2]])
    assert_allclose(influence_radius(maps, (5,), outputs=np.array([[1.5]])), [[(0.5 + 0.5 + 5) / 4]])
    table = influence_by_distance(maps, (5,), outputs=np.array([[1.5]]), bin_width=None)
    assert_array_equal(table.distance, [0.5, 1.5, 2.5])
    assert_allclose(table.influence, [0.25, 0, 0.5])
    assert_array_equal(table.n_pairs, [2, 2, 1])
    thirds = influence_by_distance(np.ones((1, 25)), (5, 5), outputs=np.array([[4 / 3, 7 / 3]]), bin_width=None)
    exact = {((3 * i - 4) ** 2 + (3 * j - 7) ** 2) for i in range(5) for j in range(5)}  # ninths
    assert_allclose(thirds.distance, np.sqrt(sorted(exact)) / 3)


def test_positions_are_coordinates_where_pixels_are_drawn():
    X = np.random.default_rng(0).normal(size=(10, 6, 8))
    basis = JacobianBasis(LinearMAE(2, patch=2), outputs=[(1, 2), (5, 7)]).fit(X)
    assert_array_equal(basis.positions_, [[1.0, 2], [5, 7]])
    maps = basis.transform(X)
    by_position = influence_by_distance(maps, (6, 8), outputs=basis.positions_)
    pd.testing.assert_frame_equal(by_position, influence_by_distance(maps, (6, 8), outputs=[(1, 2), (5, 7)]))


@pytest.mark.parametrize("positions", [[[5.0]], [[-0.5]], [[np.nan]], [[1.0, 1.0]]])
def test_positions_that_are_not_there(positions):
    with pytest.raises(ValueError, match=r"not on the grid \(5,\). Pass 1 coordinates each, from 0 to \(4,\)"):
        influence_radius(np.ones((1, 5)), (5,), outputs=np.array(positions))
    with pytest.raises(ValueError, match="does not name pixels"):
        own_patch_share(np.ones((1, 5)), (5,), 2, outputs=np.array([[1.5]]))
