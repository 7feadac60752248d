"""Jacobians against closed forms, finite differences, autograd and dense decompositions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.frozen import FrozenEstimator

import skmae.inspection._jacobian as module
from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE
from skmae.inspection import basis_similarity
from skmae.masking import read_visible

MASKS = {
    "none": (None, np.ones(192)),
    "patches": (np.array([True, False, False, True]), None),
    "pixels": (np.arange(64).reshape(8, 8) % 3 > 0, None),
    "features": (np.arange(192) % 5 > 0, None),
}


def finite_differences(model, X, visible, step=1e-5):
    flat = X.reshape(len(X), -1)
    columns = []
    for i in range(flat.shape[1]):
        shift = np.zeros(flat.shape[1])
        shift[i] = step
        up, down = (model.reconstruct((flat + sign * shift).reshape(X.shape), visible) for sign in (1, -1))
        columns.append((up - down).reshape(len(X), -1) / (2 * step))
    return np.stack(columns, axis=2)


def frozen(model, **parameters):
    return JacobianBasis(FrozenEstimator(model), **parameters)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("model", [LinearMAE(5, patch=4), LinearDAE(5), LinearAE(5), LinearMAE(patch=4, loss="hidden")])
def test_of_a_linear_model_is_b_and_the_derivative_of_reconstruct(model, kind, colours):
    model.fit(colours)
    visible = MASKS[kind][0]
    if visible is not None and visible.shape == (4,) and model.patch_ != (4, 4):
        visible = np.kron(visible.reshape(2, 2), np.ones((4, 4), bool))
    J = frozen(model, outputs="all", visible=visible).fit(colours).jacobian(colours[:2])
    assert_allclose(J, finite_differences(model, colours[:2], visible), atol=1e-7)
    if visible is None:
        assert_allclose(J[0], model.decoder_ @ model.components_, atol=1e-14)
    else:  # B diag(r) over the share of patches visible
        grid = model._problem.grid
        seen = grid.per_feature(read_visible(grid, visible, 1))[0]
        share = np.mean([seen[features].mean() for features in grid.features_of_patch])
        assert_allclose(J[0], model.decoder_ @ model.components_ * seen / share, atol=1e-14)
        assert (J[..., ~seen] == 0).all()
    assert_array_equal(J[0], J[1])


@pytest.mark.parametrize("normalize_target", [False, True])
@pytest.mark.parametrize("visible", [None, np.array([True, False, False, True])])
def test_of_a_vit_is_the_finite_difference(normalize_target, visible, colours, make_vit):
    mae = make_vit(normalize_target=normalize_target).fit(colours)
    X = colours[:2]
    J = frozen(mae, outputs="all", visible=visible).fit(colours).jacobian(X)
    assert_allclose(J, finite_differences(mae, X, visible), atol=1e-8)
    assert np.abs(J).max() > 0.01
    assert basis_similarity(J).max() < 0.9999
    # few outputs: products with the transpose instead of with J
    some = frozen(mae, outputs=[3, 60, 9], visible=visible).fit(colours)
    assert_allclose(some.jacobian(X), J[:, some.output_features_], atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "patch", "channel_axis"),
    [((12,), 3, None), ((2, 8), 4, 0), ((4, 6), (2, 3), None), ((3, 4, 4), 2, 0), ((4, 2, 4), 2, None)],
)
def test_grids_of_any_kind(shape, patch, channel_axis, rng, make_vit):
    X = rng.normal(size=(15, *shape))
    kwargs = {"patch": patch, "channel_axis": channel_axis, "image_shape": shape}
    for model in (LinearMAE(4, **kwargs), make_vit(**kwargs)):
        model.fit(X)
        J = frozen(model, outputs="all").fit(X).jacobian(X[:1])
        assert_allclose(J, finite_differences(model, X[:1], None), atol=1e-7)


@pytest.mark.parametrize("visible", [None, np.array([True, False, False, False])])
def test_no_chunk_size_changes_a_row(visible, colours, make_vit):
    mae = make_vit().fit(colours)
    for outputs in ("all", "grid"):
        whole = frozen(mae, outputs=outputs, visible=visible).fit(colours)
        maps, J = whole.transform(colours[:3]), whole.jacobian(colours[:3])
        for batch_size in (1, 7, 64, 10_000):
            parts = frozen(mae, outputs=outputs, visible=visible, batch_size=batch_size).fit(colours)
            assert_allclose(parts.jacobian(colours[:3]), J, atol=1e-13)
        with config_context(working_memory=0.05):  # a few rows at a time
            assert_allclose(whole.transform(colours[:3]), maps, atol=1e-13)
            assert_allclose(whole.jacobian(colours[:3]), J, atol=1e-13)


@pytest.mark.parametrize("channel_axis", [0, 1, 2])
def test_maps_sum_the_channels_of_outputs_and_inputs(channel_axis, colours):
    X = np.moveaxis(colours, 3, 1 + channel_axis)
    model = LinearMAE(5, patch=4, image_shape=X.shape[1:], channel_axis=channel_axis).fit(X)
    basis = frozen(model, outputs=[(2, 5), (0, 1)]).fit(X)
    maps = basis.transform(X[:1]).reshape(2, 8, 8)
    J = model.decoder_ @ model.components_
    J = np.abs(J).reshape(*X.shape[1:], *X.shape[1:])
    both = J.sum(axis=(channel_axis, 3 + channel_axis))  # (8, 8, 8, 8)
    assert_allclose(maps, [both[2, 5], both[0, 1]])
    assert_allclose(np.abs(basis.jacobian(X[:1])).sum(), maps.sum())


def test_float32_and_8_bits_are_computed_in_float32(colours, make_vit):
    X = (20 * colours + 128).clip(0, 255).astype(np.uint8)
    for model in (LinearMAE(5, patch=4), make_vit()):
        model.fit(X)
        basis = frozen(model, outputs="grid").fit(X)
        wide = basis.transform(X[:3].astype(np.float64))
        for narrow in (X[:3], X[:3].astype(np.float32)):
            maps = basis.transform(narrow)
            assert maps.dtype == np.float32
            assert_allclose(maps, wide, rtol=1e-3, atol=1e-5)


# -- masks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "vit"])
def test_random_masks_are_averaged(kind, colours, make_vit):
    mae = (LinearMAE(5, patch=2) if kind == "linear" else make_vit(patch=2)).fit(colours)
    X = colours[:2]
    basis = frozen(mae, outputs="grid", visible="random", n_masks=4, random_state=0).fit(colours)
    assert basis.masks_.shape == (4, 16)
    each = [frozen(mae, outputs="grid", visible=mask).fit(colours) for mask in basis.masks_]
    assert_allclose(basis.transform(X), np.mean([one.transform(X) for one in each], axis=0))
    assert_allclose(basis.jacobian(X), np.mean([one.jacobian(X) for one in each], axis=0), atol=1e-15)
    again = frozen(mae, outputs="grid", visible="random", n_masks=4, random_state=0).fit(colours[:7])
    assert_array_equal(again.masks_, basis.masks_)
    assert_allclose(again.transform(X[1:]), basis.transform(X)[1:])  # whatever samples come beside it


def test_of_what_is_hidden_altogether_is_zero(rng):
    torch = pytest.importorskip("torch")
    from skmae.inspection import TorchAutoencoder

    X = rng.normal(size=(10, 4, 4))
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 16)).eval()
    for model in (TorchAutoencoder(module), LinearMAE(3, patch=2)):
        basis = JacobianBasis(model, outputs=[0, 5, 9], visible=np.zeros((4, 4), bool)).fit(X)
        for dtype in (np.float64, np.float32):
            J, maps = (function(X[:2].astype(dtype)) for function in (basis.jacobian, basis.transform))
            assert_array_equal(J, np.zeros((2, 3, 16)))
            assert_array_equal(maps, np.zeros((2, 48)))
            assert J.dtype == maps.dtype == dtype
        assert_array_equal(basis.basis(X[:2], n_components=2).S, np.zeros((2, 2)))


# -- samples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "vit", "torch"])
def test_around_a_frozen_model_fit_refuses_what_the_model_would(kind, colours, make_vit):
    if kind == "torch":
        pytest.importorskip("torch")
        from skmae.inspection import TorchAutoencoder

        model = TorchAutoencoder(lambda images: images, patch=4)
    else:
        model = make_vit() if kind == "vit" else LinearMAE(5, patch=4)
    basis = frozen(model.fit(colours), outputs=[63]).fit(colours)
    holed = colours.copy()
    holed[40, 0, 0, 1] = np.nan
    for X, message in (
        (colours[:, :5, :2].reshape(60, 30), "X has 30 features, but .* is expecting 192 features"),
        (colours[:, :5, :2], r"X has 30 features|samples of X have shape \(5, 2, 3\), but .* fitted on .*\(8, 8, 3\)"),
        (colours.reshape(60, 4, 16, 3), r"samples of X have shape \(4, 16, 3\), but .* fitted on .*\(8, 8, 3\)"),
        (holed, r"contains NaN or infinity: X\[40, 1\] is nan"),
    ):
        with pytest.raises(ValueError, match=message):
            basis.fit(X)
        assert basis.n_features_in_ == 192
    assert basis.fit(colours.reshape(60, -1)).transform(colours[:1]).shape == (1, 64)


# -- outputs ----------------------------------------------------------------------------------------------------


def test_outputs():
    X = np.random.default_rng(0).normal(size=(10, 6, 8))

    def outputs(which):
        return JacobianBasis(LinearMAE(2, patch=2), outputs=which).fit(X).outputs_.tolist()

    assert outputs("center") == [3 * 8 + 4]
    assert outputs("all") == list(range(48))
    assert outputs("grid") == [row * 8 + column for row in (0, 2, 3, 5) for column in (1, 3, 5, 7)]
    assert outputs([5, 0]) == [5, 0]
    assert outputs([(1, 2), (5, 7)]) == [10, 47]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([48], r"outside the grid \(6, 8\), whose pixels are 0 to 47.*outputs=\[\(3, 4\)\]"),
        ([-1], "outside the grid"),
        ([(6, 0)], r"outside the grid \(6, 8\). Pass 2 coordinates each, from 0 to \(5, 7\)"),
        ([(1, 1, 1)], "outside the grid"),
        ((3, 3), r"names a pixel twice. If these are the coordinates of one pixel.*outputs=\[\(3, 3\)\]"),
        ([0.5], "does not name pixels. Pass whole numbers"),
        ([], "does not name pixels"),
    ],
)
def test_outputs_that_are_not_there(outputs, message):
    X = np.random.default_rng(0).normal(size=(10, 6, 8))
    with pytest.raises(ValueError, match=message):
        JacobianBasis(LinearMAE(2, patch=2), outputs=outputs).fit(X)


def test_masks_that_do_not_fit(colours, make_vit):
    for model in (LinearMAE(5, patch=4), make_vit()):
        model.fit(colours)
        with pytest.raises(ValueError, match=r"visible has shape \(5,\), which fits neither patches"):
            frozen(model, visible=np.ones(5, bool)).fit(colours)
        with pytest.raises(ValueError, match="visible must be an array of bool"):
            frozen(model, visible=[1, 0, 0, 1]).fit(colours)
    with pytest.raises(ValueError, match="visible shows no patch"):
        frozen(make_vit().fit(colours), visible=np.zeros(4, bool)).fit(colours).transform(colours)
    with pytest.raises(ValueError, match="contains NaN"):
        frozen(LinearMAE(5, patch=4).fit(colours)).fit(colours).transform(np.full((1, 192), np.nan))


def test_a_vit_without_decoder_says_so(colours, make_vit):
    mae = make_vit().fit(colours)
    state = {k: v for k, v in mae.net_.module_.state_dict().items() if k.startswith("encoder")}
    mae.load_weights(state)
    with pytest.raises(ValueError, match="linearize needs a decoder"):
        frozen(mae).fit(colours).transform(colours)


# -- basis ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "vit", "vit, masks"])
def test_singular_vectors_by_products_are_those_of_the_whole_jacobian(kind, colours, make_vit, monkeypatch):
    mae = (LinearMAE(60, mask=0.5, patch=4) if kind == "linear" else make_vit()).fit(colours)
    masks = {"visible": "random", "n_masks": 2, "random_state": 0} if kind == "vit, masks" else {"random_state": 0}
    for outputs in ("all", np.arange(10, 40)):
        basis = frozen(mae, outputs=outputs, **masks).fit(colours)
        exact = basis.basis(colours[:2], n_components=3)
        J = basis.jacobian(colours[:2])
        for i in range(2):
            assert_allclose(exact.S[i], np.linalg.svd(J[i], compute_uv=False)[:3])
            assert_allclose(J[i] @ exact.Vh[i].T, exact.U[i] * exact.S[i], atol=1e-10)
        monkeypatch.setattr(module, "_EXACT", 1)
        sketched = basis.basis(colours[:2], n_components=3)
        monkeypatch.undo()
        assert_allclose(sketched.S, exact.S, rtol=1e-4)
        for ours, whole in zip(sketched.U, exact.U, strict=True):  # the same space, whatever its basis
            assert_allclose(np.linalg.svd(ours.T @ whole, compute_uv=False), 1, atol=1e-2)


def test_basis_of_a_linear_model_spans_its_decoder(colours):
    model = LinearMAE(4, patch=4).fit(colours)
    basis = frozen(model, outputs="all").fit(colours).basis(colours[:1], n_components=4)
    assert_allclose(np.linalg.svd(basis.U[0].T @ model.decoder_, compute_uv=False), 1)
    with pytest.raises(ValueError, match="n_components=0 must be a whole number from 1 to 192"):
        frozen(model, outputs="all").fit(colours).basis(colours, n_components=0)


def test_similarity_of_bases(colours, make_vit):
    linear = frozen(LinearMAE(4, patch=4).fit(colours), outputs="grid").fit(colours)
    assert_allclose(basis_similarity(linear.jacobian(colours)), 1)
    J = frozen(make_vit().fit(colours), outputs="grid").fit(colours).jacobian(colours[:5])
    unit = J / np.linalg.norm(J, axis=2, keepdims=True)
    pairs = [np.sum(unit[i] * unit[j], axis=1) for i in range(5) for j in range(5) if i != j]
    assert_allclose(basis_similarity(J), np.mean(pairs, axis=0))
    J[1:, 0] = 0
    assert np.isnan(basis_similarity(J)[0])
    with pytest.raises(ValueError, match=r"jacobian has shape \(1, .*of two samples at least"):
        basis_similarity(J[:1])
    with pytest.raises(ValueError, match=r"jacobian has shape \(5, 9216\)"):
        basis_similarity(J.reshape(5, -1))


# -- what is computed how -----------------------------------------------------------------------------------------


def count_products(monkeypatch):
    """Products with J and with its transpose, and the most at a time."""
    from skmae._autodiff import TorchLinearization

    counts = {True: 0, False: 0, "most": 0}
    original = TorchLinearization._product

    def counting(self, images, *, forward):
        product = original(self, images, forward=forward)

        def counted(vectors):
            counts[forward] += len(vectors) * len(images)
            counts["most"] = max(counts["most"], len(vectors) * len(images))
            return product(vectors)

        return counted

    monkeypatch.setattr(TorchLinearization, "_product", counting)
    return counts


@pytest.mark.parametrize("working_memory", [1024, 0.05])
def test_columns_of_what_is_visible_where_they_are_cheaper_than_rows(working_memory, colours, make_vit, monkeypatch):
    mae = make_vit().fit(colours)
    visible = np.array([True, False, False, False])  # 48 inputs, 192 outputs
    counts = count_products(monkeypatch)
    for outputs, by_columns, by_rows in (("all", 48, 0), ([3, 4], 0, 6)):
        basis = frozen(mae, outputs=outputs, visible=visible).fit(colours)
        with config_context(working_memory=working_memory):
            for function in (basis.transform, basis.jacobian):
                counts.update({True: 0, False: 0})
                function(colours[:1])
                assert (counts[True], counts[False]) == (by_columns, by_rows)


def test_as_many_products_at_a_time_as_are_asked_for(colours, make_vit, monkeypatch):
    mae = make_vit().fit(colours)
    counts = count_products(monkeypatch)
    for batch_size in (1, 5, 50):
        counts["most"] = 0
        frozen(mae, outputs="grid", batch_size=batch_size).fit(colours).transform(colours[:3])
        assert counts["most"] == min(batch_size, 48)  # outputs of one sample


def test_batches_shrink_with_the_memory_that_is_allowed(colours, make_vit):
    from skmae._autodiff import _PEAK, _fitting_batches, _saved_bytes, to_tensor

    linearization = make_vit(embed_dim=48).fit(colours).linearize(colours[:1])
    images = to_tensor(colours[:1].reshape(1, -1), linearization.like)
    sizes = []
    for mib in (0.5, 2, 1000):
        with config_context(working_memory=mib):
            batches = _fitting_batches(linearization.function, images)
            largest = max(_saved_bytes(linearization.function, images))
            assert batches[False] == 1 or batches[False] * largest < mib * 2**20
            sizes.append(batches[False])
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert _PEAK > 1


def test_columns_of_hidden_inputs_are_zero_even_if_the_function_reads_them(rng):
    torch = pytest.importorskip("torch")
    from skmae.inspection import TorchAutoencoder

    X = rng.normal(size=(5, 4, 4))
    visible = np.array([True, False, False, False])
    adapter = TorchAutoencoder(
        lambda images, _: torch.sin(images - images.mean(dim=(1, 2), keepdim=True)), patch=2, takes_visible=True
    )
    whole = JacobianBasis(adapter, outputs="all", visible=visible).fit(X)
    seen = np.kron(visible.reshape(2, 2), np.ones((2, 2), bool)).ravel()
    J = whole.jacobian(X)
    assert (J[..., ~seen] == 0).all()
    assert (J[..., seen] != 0).all()
    one = JacobianBasis(adapter, outputs=[9], visible=visible).fit(X)
    assert_allclose(one.jacobian(X)[:, 0], J[:, 9], atol=1e-15)
    products = whole.estimator_.linearize(X * seen.reshape(4, 4), visible)  # hidden values are never read
    assert_allclose(products.vjp(np.eye(16), 0).T, J[0], atol=1e-15)
    assert_allclose(products.jvp(np.eye(16), 0), J[0], atol=1e-15)


def test_a_failed_fit_leaves_what_was_there_and_fails_before_training(colours, monkeypatch):
    basis = JacobianBasis(LinearMAE(5, patch=4), outputs=[63]).fit(colours)
    before = basis.transform(colours[:2])
    calls = []
    monkeypatch.setattr(LinearMAE, "fit", lambda *args: calls.append(args))
    with pytest.raises(ValueError, match="outside the grid"):
        basis.fit(colours[:, :4, :4])
    monkeypatch.undo()
    assert not calls
    assert_allclose(basis.transform(colours[:2]), before)
