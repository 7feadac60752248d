"""Foreign torch models behind the adapter: linear maps, plain functions, transformers' ViT-MAE."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearMAE, ViTMAE
from skmae.inspection import ReconstructionDisplay, TorchAutoencoder


def test_autograd_of_a_linear_map_is_the_gather(colours):
    mae = LinearMAE(5, patch=4).fit(colours)
    encoder, decoder, mean = (torch.from_numpy(a) for a in (mae.components_, mae.decoder_, mae.mean_))

    def rebuild(images, visible):
        z = images.flatten(1) - mean
        if visible is not None:
            z = z * visible[torch.from_numpy(mae._problem.grid.patch_of_feature)] / visible.double().mean()
        return z @ encoder.T @ decoder.T + mean

    ours = TorchAutoencoder(rebuild, patch=4, takes_visible=True).fit(colours)
    for visible in (None, np.array([True, False, True, True]), np.array([False, False, True, False])):
        assert_allclose(ours.reconstruct(colours, visible), mae.reconstruct(colours, visible))
        kwargs = {"outputs": "all", "visible": visible}
        bases = [JacobianBasis(FrozenEstimator(model), **kwargs).fit(colours) for model in (mae, ours)]
        linear, autograd = (basis.jacobian(colours[:2]) for basis in bases)
        assert_allclose(autograd, linear, atol=1e-13)


def test_hidden_pixels_are_zero_where_the_function_is_not_told(rng):
    X = rng.normal(size=(6, 4, 4))
    weights = torch.from_numpy(rng.normal(size=(16, 16)))
    adapter = TorchAutoencoder(lambda images: torch.tanh(images.flatten(1) @ weights), patch=2, mask=0.5).fit(X)
    visible = adapter.sample_visible(3, random_state=0)
    assert visible.shape == (3, 4)
    assert (visible.sum(axis=1) == 2).all()
    seen = np.kron(visible[0].reshape(2, 2), np.ones((2, 2)))
    expected = np.tanh((X * seen).reshape(6, -1) @ weights.numpy())
    assert_allclose(adapter.reconstruct(X, visible[0]), expected.reshape(X.shape))
    J = JacobianBasis(adapter, outputs="all", visible=visible[0]).fit(X).jacobian(X)
    slope = 1 - expected**2
    assert_allclose(J, slope[:, :, np.newaxis] * weights.numpy().T * seen.ravel(), atol=1e-13)


def test_a_module_decides_on_precision(rng):
    X = rng.normal(size=(6, 16))
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(16, 3), torch.nn.GELU(), torch.nn.Linear(3, 16)
    ).eval()
    adapter = TorchAutoencoder(module, image_shape=(4, 4)).fit(X)
    basis = JacobianBasis(FrozenEstimator(adapter), outputs="all").fit(X)
    single = basis.jacobian(X)
    assert single.dtype == np.float64  # as X
    assert basis.jacobian(X.astype(np.float32)).dtype == np.float32
    half = JacobianBasis(TorchAutoencoder(deepcopy(module).bfloat16(), image_shape=(4, 4)), outputs="all").fit(X)
    assert_allclose(half.jacobian(X.astype(np.float32)), single, atol=0.05)
    double = JacobianBasis(TorchAutoencoder(module.double(), image_shape=(4, 4)), outputs="all").fit(X).jacobian(X)
    assert_allclose(single, double, atol=1e-6)
    assert all(weight.grad is None for weight in module.parameters())


def test_transformers_vit_mae_is_inspected_through_the_adapter(colours, make_vit):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTMAEConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        image_size=8,
        patch_size=4,
        num_channels=3,
        decoder_hidden_size=12,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=48,
        mask_ratio=0.5,
        layer_norm_eps=1e-6,
    )
    theirs = transformers.ViTMAEForPreTraining(config).eval()
    mae = ViTMAE(**{**make_vit().get_params(), "image_shape": (8, 8, 3)}).load_weights(theirs.state_dict())
    theirs.load_state_dict(theirs.state_dict() | _positions(mae))

    def rebuild(images, visible):
        noise = (~visible).to(images.dtype).expand(len(images), -1)  # what is visible comes first
        logits = theirs(pixel_values=images.movedim(-1, 1), noise=noise).logits
        return theirs.unpatchify(logits).movedim(1, -1)

    adapter = TorchAutoencoder(rebuild, patch=4, mask=0.5, takes_visible=True)
    X = colours.astype(np.float32)
    visible = np.array([True, False, False, True])
    ours = JacobianBasis(FrozenEstimator(mae), outputs="grid", visible=visible).fit(X).jacobian(X[:2])
    foreign = JacobianBasis(adapter, outputs="grid", visible=visible).fit(X).jacobian(X[:2])
    assert np.abs(ours).max() > 1e-4
    assert_allclose(foreign, ours, atol=1e-5 * np.abs(ours).max())


def _positions(mae):
    """transformers 5 leaves positions zero in modules that are built directly."""
    module = mae.net_.module_
    return {
        "vit.embeddings.position_embeddings": module.encoder.pos_embed[None].clone(),
        "decoder.decoder_pos_embed": module.decoder.pos_embed[None].clone(),
    }


def test_what_the_function_gives_is_checked(rng):
    X = rng.normal(size=(6, 4, 4))
    with pytest.raises(ValueError, match=r"function gives shape \(6, 3\) for images of shape \(6, 4, 4\)"):
        TorchAutoencoder(lambda images: images.flatten(1)[:, :3]).fit(X).reconstruct(X)
    adapter = TorchAutoencoder(lambda images, _: images, patch=2, takes_visible=True).fit(X)
    with pytest.raises(ValueError, match=r"visible has 16 values; a function that takes.*\(4,\)"):
        adapter.reconstruct(X, np.ones((4, 4), bool))
    for method in (adapter.reconstruct, adapter.fit, JacobianBasis(adapter).fit):
        with pytest.raises(ValueError, match="contains NaN"):
            method(np.full((1, 4, 4), np.nan))


def test_a_plain_function_around_weights_is_told_their_type(rng):
    X = rng.normal(size=(6, 16))
    weights = torch.from_numpy(rng.normal(size=(16, 16))).float()
    adapter = TorchAutoencoder(lambda images: torch.tanh(images @ weights), dtype=torch.float32, image_shape=(16,))
    assert adapter.fit(X).reconstruct(X).dtype == np.float64
    assert_allclose(adapter.reconstruct(X), np.tanh(X @ weights.numpy()), atol=1e-5)
    with pytest.raises(TypeError, match="function gives a tuple; it must give the reconstruction itself"):
        TorchAutoencoder(lambda images: (images, 0)).fit(X).reconstruct(X)


@pytest.mark.parametrize("takes_visible", [False, True])
def test_each_sample_may_have_its_own_mask(takes_visible, rng):
    X = rng.normal(size=(20, 4, 4))
    patch_of = torch.arange(16).reshape(2, 2, 2, 2).permute(0, 2, 1, 3).reshape(4, 4) // 2 % 2  # any map will do

    def told(images, visible):
        return images * visible.to(images)[patch_of]

    adapter = TorchAutoencoder(told if takes_visible else torch.sin, patch=2, mask=0.5, takes_visible=takes_visible)
    visible = adapter.fit(X).sample_visible(20, random_state=0)
    whole = adapter.reconstruct(X, visible)
    for i in range(20):
        assert_allclose(whole[i], adapter.reconstruct(X[i : i + 1], visible[i])[0])
    display = ReconstructionDisplay.from_estimator(adapter, X, n_samples=3)
    assert display.visible.mean() == 0.5


def test_a_module_in_train_mode_is_refused_whenever_it_is_used(rng):
    X = rng.normal(size=(6, 16))
    module = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(16, 16))
    message = r"function is a Sequential in train\(\) mode.*Call its eval\(\) first: TorchAutoencoder\(module\.eval"
    for function in (module, module.forward):
        with pytest.raises(ValueError, match=message):
            TorchAutoencoder(function).fit(X)
    module.eval()
    module[0].train()
    with pytest.raises(ValueError, match="or with a part that is"):
        TorchAutoencoder(module).fit(X)
    adapter = TorchAutoencoder(module.eval()).fit(X)
    module.train()
    for method in (adapter.reconstruct, adapter.linearize):
        with pytest.raises(ValueError, match=message):
            method(X)
