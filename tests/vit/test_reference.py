"""The architecture is that of the reference implementations, and their weights go in and out."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from skmae import ViTMAE
from skmae._config import ViTConfig
from skmae._grid import PatchGrid
from skmae.vit._module import MaskedAutoencoder, sincos_positions
from skmae.vit._origin import Origin
from skmae.vit._training import ReconstructionLoss
from skmae.vit._weight_files import Weights
from skmae.vit._weights import from_module, interpolate_positions, load_into

CONFIGURATIONS = {
    "colour": {"side": 16, "patch": 4, "channels": 3, "dim": 24, "layers": 2, "heads": 3, "width": 16, "deep": 1},
    "grey": {"side": 12, "patch": 2, "channels": 1, "dim": 32, "layers": 1, "heads": 4, "width": 32, "deep": 2},
}


def reference(config, normalize=False, seed=0):
    """transformers' model, with biases and norms away from where they begin, so that each of them counts."""
    torch.manual_seed(seed)
    model = transformers.ViTMAEForPreTraining(
        transformers.ViTMAEConfig(
            image_size=config["side"],
            patch_size=config["patch"],
            num_channels=config["channels"],
            hidden_size=config["dim"],
            num_hidden_layers=config["layers"],
            num_attention_heads=config["heads"],
            intermediate_size=4 * config["dim"],
            decoder_hidden_size=config["width"],
            decoder_num_hidden_layers=config["deep"],
            decoder_num_attention_heads=2,
            decoder_intermediate_size=4 * config["width"],
            norm_pix_loss=normalize,
            layer_norm_eps=1e-6,  # as in facebookresearch/mae
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():  # positions, too, which this version of transformers leaves zero
            parameter += 0.05 * torch.randn_like(parameter)
    return model.eval()


def parameters_of(config):
    return {
        "embed_dim": config["dim"],
        "encoder_layers": config["layers"],
        "encoder_heads": config["heads"],
        "decoder_dim": config["width"],
        "decoder_layers": config["deep"],
        "decoder_heads": 2,
    }


def grid_of(config):
    shape = (config["side"], config["side"], config["channels"])
    return PatchGrid.build_regular(shape, 2, config["patch"])


def ours(config, model):
    module = MaskedAutoencoder(grid_of(config), ViTConfig(**parameters_of(config)))
    load(module, model.state_dict())
    return module


def load(module, state):
    return load_into(module, Weights(state), Origin(module.grid, module.config), [])


def images_of(config, n=5):
    torch.manual_seed(1)
    return torch.randn(n, config["side"], config["side"], config["channels"])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_same_output_loss_and_gradients_as_transformers(name, normalize):
    config = CONFIGURATIONS[name]
    model = reference(config, normalize)
    module = ours(config, model)
    images = images_of(config)
    n_patches = module.grid.n_patches
    noise = torch.rand(len(images), n_patches)
    keep = noise.argsort(dim=1)[:, : n_patches // 4]  # transformers' order

    theirs = model(images.movedim(-1, 1), noise=noise)
    latent = module.encoder(module.patchify(images), keep)
    prediction, hidden = module(images, keep)
    loss = ReconstructionLoss(normalize)(prediction, module.patchify(images), hidden)

    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(latent, model.vit(images.movedim(-1, 1), noise=noise).last_hidden_state, **close)
    torch.testing.assert_close(prediction, theirs.logits, **close)
    torch.testing.assert_close(hidden.float(), theirs.mask)
    torch.testing.assert_close(loss, theirs.loss, **close)

    theirs.loss.backward()
    loss.backward()
    gradients = MaskedAutoencoder(grid_of(config), ViTConfig(**parameters_of(config)))
    fixed = {name: tensor for name, tensor in model.state_dict().items() if "pos" in name}
    load(gradients, {**fixed, **{name: p.grad for name, p in model.named_parameters() if p.requires_grad}})
    expected = gradients.state_dict()
    compared = 0
    for key, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[key], **close, msg=lambda text, key=key: f"{key}: {text}")
        compared += bool(parameter.grad.abs().max() > 0)
    assert compared == len(list(module.parameters()))  # nothing is equal for being zero


def test_positions_are_those_of_transformers():
    build = transformers.models.vit_mae.modeling_vit_mae.build_2d_sinusoidal_position_embedding
    theirs = build(4, 6, 24, cls_token=True)
    theirs = torch.cat((theirs[:, 12:], theirs[:, :12]), dim=1)  # columns first, as in the published weights
    torch.testing.assert_close(sincos_positions((4, 6), 24), theirs)


@pytest.mark.parametrize("axes", [(7,), (3, 4), (2, 3, 4)])
def test_positions_tell_all_patches_apart(axes):
    positions = sincos_positions(axes, 24)
    assert positions.shape == (1 + np.prod(axes), 24)
    assert not positions[0].any()
    assert torch.cdist(positions[1:], positions[1:]).fill_diagonal_(1).min() > 0.1


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_transform_is_the_mean_of_what_transformers_encodes(name):
    config = CONFIGURATIONS[name]
    model = reference(config)
    model.vit.config.mask_ratio = 0.0
    images = images_of(config)
    shape = tuple(images.shape[1:])
    mae = ViTMAE(image_shape=shape, patch=config["patch"], **parameters_of(config)).load_weights(model.state_dict())
    order = torch.arange(grid_of(config).n_patches).expand(len(images), -1).float()
    theirs = model.vit(images.movedim(-1, 1), noise=order).last_hidden_state.detach().numpy()
    np.testing.assert_allclose(mae.transform(images), theirs[:, 1:].mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(mae.patch_features(images), theirs[:, 1:], atol=1e-5)
    np.testing.assert_allclose(mae.set_params(pool="cls").transform(images), theirs[:, 0], atol=1e-5)


@pytest.mark.parametrize("layout", ["mae", "transformers"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_weights_go_out_and_come_back(tmp_path, name, layout):
    config = CONFIGURATIONS[name]
    shape = (config["side"], config["side"], config["channels"])
    mae = ViTMAE(image_shape=shape, patch=config["patch"], **parameters_of(config))
    mae.load_weights(reference(config).state_dict(), mean=[3.0] * config["channels"], scale=2.0)
    mae.save_weights(tmp_path / "weights.safetensors", layout=layout)
    again = ViTMAE(image_shape=shape, patch=config["patch"], **parameters_of(config))
    again.load_weights(str(tmp_path / "weights.safetensors"))
    images = images_of(config).numpy()
    np.testing.assert_array_equal(again.reconstruct(images), mae.reconstruct(images))
    np.testing.assert_array_equal(again.mean_, [3.0] * config["channels"])
    np.testing.assert_array_equal(again.scale_, [2.0] * config["channels"])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_transformers_takes_what_was_saved(tmp_path, name):
    config = CONFIGURATIONS[name]
    shape = (config["side"], config["side"], config["channels"])
    mae = ViTMAE(image_shape=shape, patch=config["patch"], **parameters_of(config), random_state=0)
    mae.load_weights(reference(config, seed=3).state_dict())
    mae.save_weights(tmp_path / "weights.safetensors", layout="transformers")
    model = reference(config)
    model.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"), strict=True)
    for key, tensor in reference(config, seed=3).state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], tensor, rtol=0, atol=0)


def facebook_names(config):
    """Names and shapes that the constructor of facebookresearch/mae makes, written down from its source."""
    dim, width, n = config["dim"], config["width"], grid_of(config).n_patches
    patch, channels = config["patch"], config["channels"]
    names = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, n + 1, dim),
        "patch_embed.proj.weight": (dim, channels, patch, patch),
        "patch_embed.proj.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "mask_token": (1, 1, width),
        "decoder_pos_embed": (1, n + 1, width),
        "decoder_embed.weight": (width, dim),
        "decoder_embed.bias": (width,),
        "decoder_norm.weight": (width,),
        "decoder_norm.bias": (width,),
        "decoder_pred.weight": (patch**2 * channels, width),
        "decoder_pred.bias": (patch**2 * channels,),
    }
    for prefix, d, layers in (("blocks", dim, config["layers"]), ("decoder_blocks", width, config["deep"])):
        for layer in range(layers):
            for part, shape in {
                "norm1": (d,),
                "norm2": (d,),
                "attn.qkv": (3 * d, d),
                "attn.proj": (d, d),
                "mlp.fc1": (4 * d, d),
                "mlp.fc2": (d, 4 * d),
            }.items():
                names[f"{prefix}.{layer}.{part}.weight"] = shape
                names[f"{prefix}.{layer}.{part}.bias"] = shape[:1]
    return names


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_layout_of_facebookresearch(name):
    config = CONFIGURATIONS[name]
    state = from_module(ours(config, reference(config)))
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == facebook_names(config)


def test_files_of_facebookresearch_with_and_without_decoder(tmp_path):
    config = CONFIGURATIONS["colour"]
    module = ours(config, reference(config))
    state = from_module(module)
    encoder_only = {k: v for k, v in state.items() if not k.startswith(("decoder", "mask_token"))}
    torch.save({"model": state}, tmp_path / "full.pth")
    torch.save({"model": encoder_only}, tmp_path / "encoder.pth")
    images = images_of(config)
    kwargs = {"image_shape": tuple(images.shape[1:]), "patch": 4, **parameters_of(config)}
    full = ViTMAE(**kwargs).load_weights(tmp_path / "full.pth")
    np.testing.assert_allclose(full.transform(images), module.encode(images)[:, 1:].mean(1).detach(), atol=1e-6)
    np.testing.assert_allclose(
        full.reconstruct(images),
        module.grid.unpatchify(module(images)[0]).detach(),
        atol=1e-6,
    )
    half = ViTMAE(**kwargs).load_weights(tmp_path / "encoder.pth")
    np.testing.assert_array_equal(half.transform(images), full.transform(images))
    for method in ("reconstruct", "score"):
        with pytest.raises(
            ValueError, match=f"{method} needs a decoder, and the weights that were loaded came without"
        ):
            getattr(half, method)(images)
    half.partial_fit(images)
    assert np.isfinite(half.score(images))


def test_older_names_of_transformers():
    config = CONFIGURATIONS["grey"]
    state = reference(config).state_dict()
    old = {}
    for key, tensor in state.items():
        key = key.replace("vit.layers.", "vit.encoder.layer.")
        for new, was in (
            ("attention.q_proj", "attention.attention.query"),
            ("attention.k_proj", "attention.attention.key"),
            ("attention.v_proj", "attention.attention.value"),
            ("attention.o_proj", "attention.output.dense"),
            ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
        ):
            key = key.replace(new, was)
        old[key] = tensor
    assert old.keys() != state.keys()
    expected = ours(config, reference(config)).state_dict()
    module = MaskedAutoencoder(grid_of(config), ViTConfig(**parameters_of(config)))
    load(module, old)
    for key, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


def test_files_that_transformers_writes_by_default(tmp_path):
    config = CONFIGURATIONS["grey"]
    model = reference(config)
    model.save_pretrained(tmp_path)
    module = MaskedAutoencoder(grid_of(config), ViTConfig(**parameters_of(config)))
    load(module, safetensors.torch.load_file(tmp_path / "model.safetensors"))
    expected = ours(config, model).state_dict()
    for key, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, expected[key], rtol=0, atol=0)


def test_model_without_its_pretraining_head():
    config = CONFIGURATIONS["grey"]
    model = reference(config)
    images = images_of(config)
    kwargs = {"image_shape": tuple(images.shape[1:]), "patch": 2, **parameters_of(config)}
    alone = ViTMAE(**kwargs).load_weights(model.vit.state_dict())
    whole = ViTMAE(**kwargs).load_weights(model.state_dict())
    np.testing.assert_array_equal(alone.transform(images), whole.transform(images))


# -- positions of another grid ----------------------------------------------------------------------------------


def test_positions_are_interpolated_as_a_picture():
    """Channels that are linear in the row and in the column stay so, away from the border."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    positions = torch.cat((torch.full((1, 2), 9.0), torch.stack((rows, columns), -1).reshape(64, 2)))
    resampled = interpolate_positions(positions, (4, 12))
    assert resampled.shape == (49, 2)
    assert (resampled[0] == 9).all()
    inner = resampled[1:].reshape(4, 12, 2)[1:-1, 3:-3]
    expected_rows, expected_columns = (torch.arange(4) + 0.5) * 2 - 0.5, (torch.arange(12) + 0.5) * 2 / 3 - 0.5
    torch.testing.assert_close(inner[..., 0], expected_rows[1:-1, None].expand(2, 6), atol=1e-4, rtol=0)
    torch.testing.assert_close(inner[..., 1], expected_columns[None, 3:-3].expand(2, 6), atol=0.1, rtol=0)


def test_weights_are_used_on_a_larger_grid(tmp_path):
    config = CONFIGURATIONS["colour"]
    small = ViTMAE(image_shape=(16, 16, 3), patch=4, **parameters_of(config)).load_weights(
        reference(config).state_dict()
    )
    small.save_weights(tmp_path / "small.safetensors")
    large = ViTMAE(image_shape=(32, 24, 3), patch=4, **parameters_of(config))
    large.load_weights(tmp_path / "small.safetensors")
    assert large.net_.module_.encoder.pos_embed.shape == (1 + 8 * 6, 24)
    assert large.transform(np.zeros((2, 32, 24, 3))).shape == (2, 24)


def test_positions_of_an_oblong_grid_need_its_shape():
    positions = torch.zeros(1 + 12, 4)
    with pytest.raises(ValueError, match="positions of 12 patches, which are not a grid of 2 equal axes"):
        interpolate_positions(positions, (5, 5))
    assert interpolate_positions(positions, (5, 5), source=(3, 4)).shape == (26, 4)


# -- what does not fit ------------------------------------------------------------------------------------------


def estimator(**changes):
    config = CONFIGURATIONS["colour"]
    return ViTMAE(**{"image_shape": (16, 16, 3), "patch": 4, **parameters_of(config), **changes})


def test_missing_unexpected_and_misshapen_weights_are_named():
    state = from_module(ours(CONFIGURATIONS["colour"], reference(CONFIGURATIONS["colour"])))
    with pytest.raises(ValueError, match=r"missing: encoder\.blocks\.2\.norm1\.weight.* and 4 more"):
        estimator(encoder_layers=3).load_weights(state)
    with pytest.raises(ValueError, match=r"unexpected: encoder\.extra\.weight"):
        estimator().load_weights({**state, "extra.weight": torch.zeros(2, 2)})
    with pytest.raises(
        ValueError, match=r"of another shape: .*decoder\.pos_embed is \(17, 16\) and should be \(17, 24\)"
    ):
        estimator(decoder_dim=24).load_weights(state)


def test_a_failed_load_leaves_the_estimator_as_it_was():
    X = np.random.default_rng(0).random((6, 16, 16, 3))
    mae = estimator(max_epochs=1, random_state=0).fit(X)
    before = mae.transform(X)
    with pytest.raises(ValueError, match="missing"):
        mae.load_weights({"cls_token": torch.zeros(1, 1, 24)})
    np.testing.assert_array_equal(mae.transform(X), before)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder '.*none\.pth'"):
        estimator().load_weights(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(
        ValueError, match=r"text\.pth' cannot be read \(UnpicklingError: Weights only load failed\)\. It is damaged"
    ):
        estimator().load_weights(tmp_path / "text.pth")
    estimator().load_weights(reference(CONFIGURATIONS["colour"]).state_dict()).save_weights(tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "b.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"b\.safetensors' cannot be read"):
        estimator().load_weights(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="hold no state dict"):
        estimator().load_weights({"a": 1})


def test_what_is_in_a_file_counts_not_its_name(tmp_path):
    X = np.random.default_rng(0).random((6, 16, 16, 3))
    mae = estimator(max_epochs=1, random_state=0).fit(X)
    mae.save_weights(tmp_path / "w.pth")
    np.testing.assert_array_equal(estimator().load_weights(tmp_path / "w.pth").transform(X), mae.transform(X))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": None}, "weights is of type NoneType. Pass the path of a file"),
        ({"scale": 0.0}, r"scale=0\.0: pass a finite number, above 0"),
        ({"scale": [1, -1, 1]}, r"scale=\[1, -1, 1\]: pass a finite number, above 0"),
        ({"mean": np.nan}, "mean=nan: pass a finite number, or one for each of the 3 channels"),
        ({"mean": [1, 2]}, r"mean=\[1, 2\]: pass a finite number, or one for each of the 3 channels"),
        ({"mean": "a"}, "mean='a': pass a finite number"),
    ],
)
def test_what_cannot_be_loaded(changes, message):
    mae = estimator()
    with pytest.raises((TypeError, ValueError), match=message):
        mae.load_weights(**{"weights": reference(CONFIGURATIONS["colour"]).state_dict(), **changes})
    assert not hasattr(mae, "image_shape_")


def test_broken_weights_are_named():
    state = from_module(ours(CONFIGURATIONS["colour"], reference(CONFIGURATIONS["colour"])))
    state["blocks.1.norm1.weight"][3] = float("nan")
    beyond = r"NaN, infinity or numbers that float32 does not, in encoder\.blocks\.1\.norm1\.weight"
    with pytest.raises(ValueError, match=beyond):
        estimator().load_weights(state)


def test_a_fitted_estimator_takes_weights_for_another_grid(tmp_path):
    X = np.random.default_rng(0).random((6, 16, 16, 3))
    mae = estimator(image_shape=None, max_epochs=1, random_state=0).fit(X)
    mae.save_weights(tmp_path / "w.safetensors")
    mae.set_params(image_shape=(24, 24, 3)).load_weights(tmp_path / "w.safetensors")
    assert mae.image_shape_ == (24, 24, 3)
    assert mae.patch_features(np.zeros((2, 24, 24, 3))).shape == (2, 36, 24)


def test_weights_that_would_run_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (json.loads, ("1",))

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    refused = r"evil\.pth' holds json\.loads\. A file that holds anything but.*could run code.*\.safetensors"
    with pytest.raises(ValueError, match=refused):
        estimator().load_weights(tmp_path / "evil.pth")


def test_image_shape_must_be_known():
    with pytest.raises(ValueError, match="not fitted needs image_shape"):
        ViTMAE().load_weights({})


def test_layout_that_is_not_known(tmp_path):
    mae = estimator().load_weights(reference(CONFIGURATIONS["colour"]).state_dict())
    with pytest.raises(ValueError, match="layout='timm' is not known"):
        mae.save_weights(tmp_path / "a", layout="timm")
