"""Files and folders of weights: what they were made with is compared, damage is seen, and nothing in them can run."""

import argparse
import collections
import json
import os
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from skmae import ViTMAE, ViTMAEClassifier
from skmae.vit import ViTConfig
from skmae.vit._weights import from_module

SIZES = {"patch": 4, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "decoder_dim": 4, "decoder_layers": 1}
PARAMETERS = {**SIZES, "decoder_heads": 2, "max_epochs": 1, "warmup_epochs": 0, "batch_size": 16, "random_state": 0}
CONFIG = {
    "model_type": "vit_mae",
    "architectures": ["ViTMAEForPreTraining"],
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 8,
    "patch_size": 4,
    "num_channels": 3,
    "qkv_bias": True,
    "decoder_hidden_size": 4,
    "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 16,
    "mask_ratio": 0.75,
    "norm_pix_loss": False,
}


def estimator(**changes):
    return ViTMAE(**{"image_shape": (8, 8, 3), **PARAMETERS, **changes})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def mae(images):
    return estimator().fit(images)


def state_of(mae, layout="mae"):
    return from_module(mae.net_.plain_module, layout)


def assert_same(one, other, images):
    np.testing.assert_allclose(one.transform(images), other.transform(images), atol=1e-6)
    np.testing.assert_allclose(one.reconstruct(images), other.reconstruct(images), rtol=1e-5)


# -- what weights were made with ---------------------------------------------------------------------------------


def test_a_kernel_of_another_shape_is_refused_though_its_size_is_the_same(tmp_path):
    """(8, 3, 16, 16) and 12 channels of (8, 8) are 768 values both, in the layouts of others and in skmae's files."""
    colour = {**PARAMETERS, "patch": 16, "image_shape": (32, 32, 3)}
    bands = {**PARAMETERS, "patch": 8, "image_shape": (16, 16, 12), "channel_axis": -1}
    pictures = np.random.default_rng(0).random((3, 32, 32, 3))
    mae = ViTMAE(**colour, checkpoint=tmp_path, checkpoint_every=1, augment=None).fit(pictures)
    mae.save_weights(tmp_path / "own.safetensors")
    message = (
        r"patch kernel \(channels, \*patch\) of \(3, 16, 16\); this estimator has one of \(12, 8, 8\).*patch=\(16, 16"
    )
    checkpoint = next(tmp_path.rglob("epoch-*.pt"))
    for weights in (state_of(mae), state_of(mae, "transformers"), tmp_path / "own.safetensors", checkpoint):
        with pytest.raises(ValueError, match=message):
            ViTMAE(**bands).load_weights(weights)
        assert_same(ViTMAE(**colour).load_weights(weights, mean=mae.mean_, scale=mae.scale_), mae, pictures)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder_heads": 4}, "encoder_heads=2; this estimator has encoder_heads=4. Pass encoder_heads=2"),
        ({"decoder_heads": 1}, "decoder_heads=2; this estimator has decoder_heads=1. Pass decoder_heads=2"),
        ({"normalize_target": True}, "normalize_target=False; .* normalize_target=True. Pass normalize_target=False"),
        ({"mlp_ratio": 2}, "mlp_ratio=4.0, decoder_mlp_ratio=4.0; .* Pass mlp_ratio=4.0, net_params="),
        ({"net_params": {"module__norm_eps": 1e-3}}, "norm_eps=1e-06; .*{'module__norm_eps': 1e-06}"),
        ({"net_params": {"module__activation": "relu"}}, "activation='gelu'; .*{'module__activation': 'gelu'}"),
        ({"net_params": {"module__qkv_bias": False}}, "qkv_bias=True; .*{'module__qkv_bias': True}"),
        ({"net_params": {"module__decoder_mlp_ratio": 1.0}}, "decoder_mlp_ratio=4.0; .*{'module__decoder_mlp_ratio'"),
        ({"embed_dim": 16}, "embed_dim=8; this estimator has embed_dim=16. Pass embed_dim=8"),
    ],
)
def test_a_file_of_ours_says_with_which_numbers_it_was_made(tmp_path, mae, images, changes, said):
    mae.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=rf"w\.safetensors': The weights were made with {said}"):
        estimator(**changes).load_weights(tmp_path / "w.safetensors")
    torch.save({"module": {}}, tmp_path / "w.pt")
    trained = estimator(checkpoint=tmp_path / "states", checkpoint_every=1).fit(images)
    checkpoint = next((tmp_path / "states").rglob("epoch-*.pt"))
    with pytest.raises(ValueError, match=rf"The weights were made with {said}"):
        estimator(**changes).load_weights(checkpoint)
    assert_same(ViTMAE.from_pretrained(checkpoint), trained, images)


def test_numbers_of_the_decoder_do_not_count_where_there_is_none(tmp_path, mae, images):
    encoder = {name: tensor for name, tensor in state_of(mae).items() if not name.startswith(("decoder", "mask_"))}
    half = estimator().load_weights(encoder, mean=mae.mean_, scale=mae.scale_)
    half.save_weights(tmp_path / "half.safetensors")
    half.save_pretrained(tmp_path / "half")
    assert json.loads((tmp_path / "half" / "config.json").read_text())["architectures"] == ["ViTMAEModel"]
    for name in ("half.safetensors", "half"):
        other = estimator(decoder_heads=1, normalize_target=True, decoder_layers=2).load_weights(tmp_path / name)
        for model in (other, ViTMAE.from_pretrained(tmp_path / name)):
            np.testing.assert_allclose(model.transform(images), mae.transform(images), atol=1e-6)
            with pytest.raises(ValueError, match="came without"):
                model.score(images)


# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.mae.", "encoder."])
@pytest.mark.parametrize("layout", ["mae", "transformers", "own"])
def test_what_all_names_begin_with_is_left_out(mae, images, layout, prefix):
    state = mae.net_.plain_module.state_dict() if layout == "own" else state_of(mae, layout)
    prefixed = {prefix + name: tensor for name, tensor in state.items()}
    assert_same(estimator().load_weights(prefixed, mean=mae.mean_, scale=mae.scale_), mae, images)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model_state": state, "epoch": 3},
        lambda state: {"whatever": {"net": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}},
        lambda state: {"model_ema": state, "model": state},
        lambda state: collections.OrderedDict(state),
    ],
)
def test_any_single_mapping_of_tensors_is_taken(mae, images, wrap):
    loaded = estimator().load_weights(wrap(state_of(mae)), mean=mae.mean_, scale=mae.scale_)
    assert_same(loaded, mae, images)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"epoch": 3, "args": {"lr": 1}}, r"no state dict.*Found: 'epoch' \(int\), 'args' \(dict\)\. Pass such"),
        ({"a": {"x": torch.ones(1)}, "b": {"y": torch.ones(1)}}, r"several mappings.*'a' \(1\), 'b' \(1\)\. Pass one"),
        ({"m.layer.weight": torch.ones(2)}, r"of no layout that is known.*Found: m\.layer\.weight\. Pass weights of"),
        ({}, "no state dict.*Found: nothing"),
    ],
)
def test_what_was_found_in_place_of_weights_is_named(weights, message):
    with pytest.raises(ValueError, match=message):
        estimator().load_weights(weights)


@pytest.mark.parametrize("names", [("head.weight", "head.bias"), ("fc_norm.weight",), ("module.classifier.weight",)])
def test_weights_of_a_classifier_are_told(mae, names):
    state = {("module." if "module" in names[0] else "") + name: tensor for name, tensor in state_of(mae).items()}
    with pytest.raises(ValueError, match=r"those of a classifier, with .*Load those that it was fine-tuned from"):
        estimator().load_weights({**state, **dict.fromkeys(names, torch.ones(2))})


def test_checkpoints_of_a_classifier_are_told(tmp_path, mae, images):
    ViTMAEClassifier(mae, max_epochs=1, checkpoint=tmp_path).fit(images, np.arange(6) % 2)
    with pytest.raises(ValueError, match="those of a classifier"):
        estimator().load_weights(next(tmp_path.rglob("*.pt")))


# -- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.double() * 1e300, "numbers that float32 does not, in encoder.cls_token"),
        (lambda w: w + 1j, "hold cls_token as torch.complex64, which is no torch.float32"),
        (lambda w: w.to(torch.int64), "hold cls_token as torch.int64, which is no torch.float32"),
        (lambda w: w.to_sparse(), "'cls_token' as a tensor that is sparse, quantized, nested or without content"),
        (lambda w: w.to("meta"), "'cls_token' as a tensor that is sparse, quantized, nested or without content"),
        (lambda w: w[0, 0, 0], "of another shape: encoder.cls_token"),
        (lambda w: w[..., :0], "of another shape: encoder.cls_token"),
    ],
)
def test_numbers_that_are_no_weights_are_refused_by_name(tmp_path, mae, change, message):
    state = state_of(mae)
    state["cls_token"] = change(state["cls_token"].clone())
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=message):
        estimator().load_weights(state)
    if state["cls_token"].device.type != "meta":
        with pytest.raises(ValueError, match=rf"w\.pth.*{message}"):
            estimator().load_weights(tmp_path / "w.pth")


def test_any_shape_of_any_weight_is_refused_with_its_name(mae):
    for layout in ("mae", "transformers"):
        for name, tensor in state_of(mae, layout).items():
            for other in (tensor[..., :0], torch.ones(())):
                with pytest.raises(ValueError, match=r"do not fit|patch kernel"):
                    estimator().load_weights({**state_of(mae, layout), name: other})


def test_half_precision_is_taken_as_it_is(mae, images):
    halves = {name: tensor.bfloat16() for name, tensor in state_of(mae).items()}
    loaded = estimator().load_weights(halves, mean=mae.mean_, scale=mae.scale_)
    np.testing.assert_allclose(loaded.transform(images), mae.transform(images), atol=0.1)


# -- files that could run code -----------------------------------------------------------------------------------


class Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_training_file_of_facebookresearch_is_read(tmp_path, mae, images):
    allowed = set(torch.serialization.get_safe_globals())
    content = {"model": state_of(mae), "args": argparse.Namespace(lr=1e-3, output_dir="out"), "epoch": 7}
    for new in (True, False):
        torch.save(content, tmp_path / "checkpoint.pth", _use_new_zipfile_serialization=new)
        loaded = estimator().load_weights(tmp_path / "checkpoint.pth", mean=mae.mean_, scale=mae.scale_)
        assert_same(loaded, mae, images)
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Payload(os.system, "touch ran"), r"\w+\.system"),
        (Payload(eval, "1"), "eval"),
        (argparse.Namespace(a=Payload(os.system, "touch ran")), r"\w+\.system"),
        (collections.UserDict(), "collections.UserDict"),
    ],
)
def test_any_other_class_is_named_and_does_not_run(tmp_path, monkeypatch, mae, thing, name):
    monkeypatch.chdir(tmp_path)
    for new in (True, False):
        torch.save({"model": state_of(mae), "args": thing}, "w.pth", _use_new_zipfile_serialization=new)
        with pytest.raises(ValueError, match=rf"w\.pth' holds {name}\. .*could run code.*Ask for a \.safetensors"):
            estimator().load_weights("w.pth")
    assert not (tmp_path / "ran").exists()


# -- damage ------------------------------------------------------------------------------------------------------


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def loaded_or_refused(load, name):
    """The estimator, or None if a ValueError named the file."""
    try:
        return load()
    except ValueError as error:
        if name not in str(error):
            raise
        return None


@pytest.mark.parametrize("kind", ["own.safetensors", "layout.safetensors", "theirs.pth", "checkpoint"])
def test_flipped_bits_and_cuts_give_an_error_with_the_name_or_the_right_numbers(tmp_path, images, kind):
    mae = estimator(checkpoint=tmp_path / "states").fit(images)
    path = tmp_path / kind
    if kind == "theirs.pth":
        torch.save({"model": state_of(mae)}, path)
    elif kind == "checkpoint":
        shutil.copy(next((tmp_path / "states").rglob("last.pt")), path)
    else:
        mae.save_weights(path, layout="transformers" if "layout" in kind else "mae")
    content, rng = path.read_bytes(), np.random.default_rng(0)
    bits = [*rng.integers(8 * len(content), size=40), *rng.integers(8 * min(len(content), 6000), size=20)]
    given = {"mean": mae.mean_, "scale": mae.scale_} if kind == "theirs.pth" else {}
    damaged = [flipped(content, bit) for bit in bits] + [content[:n] for n in rng.integers(len(content), size=8)]
    refused = 0
    for bad in damaged:
        path.write_bytes(bad)
        loaded = loaded_or_refused(lambda: estimator().load_weights(path, **given), kind)
        refused += loaded is None
        if loaded is not None:
            assert_same(loaded, mae, images)
    assert refused > len(damaged) / 4


@pytest.mark.parametrize("notes", ["[]", "{}", "3", "{", '{"image_shape": [1e400]}', "[" * 100_000])
def test_notes_that_were_crafted_are_refused_with_the_name_of_the_file(tmp_path, mae, notes):
    from skmae.vit._weight_files import _checksum

    mae.save_weights(tmp_path / "w.safetensors")
    state = safetensors.torch.load_file(tmp_path / "w.safetensors")
    for metadata in ({"skmae": notes}, {"skmae": notes, "skmae_sha256": _checksum(notes, state)}):
        safetensors.torch.save_file(state, tmp_path / "w.safetensors", metadata)
        for load in (estimator().load_weights, ViTMAE.from_pretrained):
            with pytest.raises(ValueError, match=r"w\.safetensors"):
                load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("value", [None, "a", [], {}, -1, 0, 1e400, float("nan"), 10**30, True, [3, "a"], [[4]], 2.5])
def test_no_value_in_the_notes_raises_anything_else(tmp_path, mae, value):
    from skmae.vit._weight_files import _checksum

    mae.save_weights(tmp_path / "w.safetensors")
    state = safetensors.torch.load_file(tmp_path / "w.safetensors")
    with safetensors.safe_open(tmp_path / "w.safetensors", framework="pt") as file:
        notes = json.loads(file.metadata()["skmae"])
    for name in notes:
        text = json.dumps({**notes, name: value})
        safetensors.torch.save_file(
            state, tmp_path / "w.safetensors", {"skmae": text, "skmae_sha256": _checksum(text, state)}
        )
        loaded = loaded_or_refused(lambda: ViTMAE.from_pretrained(tmp_path / "w.safetensors"), "w.safetensors")
        assert loaded is None or loaded.image_shape == (8, 8, 3)


# -- folders of transformers -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, mae):
    """As transformers writes it: names of its own, no notes of skmae."""
    path = tmp_path / "model"
    path.mkdir()
    state = {name: tensor.contiguous() for name, tensor in state_of(mae, "transformers").items()}
    safetensors.torch.save_file(state, path / "model.safetensors", {"format": "pt"})
    write(path / "config.json", CONFIG)
    return path


def write(path, content):
    path.write_text(json.dumps(content))


def split(folder):
    """The same in two files with an index."""
    state = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    where = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(where.values()):
        safetensors.torch.save_file({name: state[name] for name in names if where[name] == file}, folder / file)
    write(folder / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": where})


def as_bin(folder):
    torch.save(safetensors.torch.load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("change", [None, split, as_bin])
def test_a_folder_comes_in(folder, mae, images, change):
    if change is not None:
        change(folder)
    raw = (images / 255).astype(np.float32)
    built = ViTMAE.from_pretrained(folder)
    np.testing.assert_array_equal(built.mean_, [0, 0, 0])
    np.testing.assert_array_equal(built.scale_, [1, 1, 1])
    same = estimator().load_weights(state_of(mae))
    assert_same(built, same, raw)
    assert_same(estimator().load_weights(folder), same, raw)
    assert (built.mask, built.patch_, built.embed_dim, built.image_shape) == (0.75, (4, 4), 8, (8, 8, 3))


@pytest.mark.parametrize(
    ("pixels", "mean", "scale"),
    [
        ({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.25]}, [25.5, 51, 76.5], [127.5, 127.5, 63.75]),
        ({"image_mean": 0.5, "image_std": 0.25, "rescale_factor": 1 / 64}, [32] * 3, [16] * 3),
        ({"image_mean": [3.0] * 3, "image_std": [2.0] * 3, "do_rescale": False}, [3] * 3, [2] * 3),
        ({"do_normalize": False}, [0] * 3, [255] * 3),
    ],
)
def test_pixels_are_standardised_as_the_folder_says(folder, pixels, mean, scale):
    write(folder / "preprocessor_config.json", pixels)
    for built in (ViTMAE.from_pretrained(folder), estimator().load_weights(folder)):
        np.testing.assert_allclose(built.mean_, mean, rtol=1e-6)
        np.testing.assert_allclose(built.scale_, scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hidden_act": "relu"},
            "activation='relu'; this estimator has activation='gelu'. .*'module__activation': 're",
        ),
        ({"layer_norm_eps": 1e-12}, "norm_eps=1e-12; .*'module__norm_eps': 1e-12"),
        ({"num_attention_heads": 4}, "encoder_heads=4; .* Pass encoder_heads=4"),
        ({"norm_pix_loss": True}, "normalize_target=True; "),
        ({"hidden_act": "xielu"}, "'activation' .* Got 'xielu'"),
        ({"model_type": "vit"}, "model_type is 'vit'; only 'vit_mae'"),
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "model_type is 'vit', a classifier;"),
        ({"num_attention_heads": 3}, "encoder_heads=3 does not divide embed_dim=8"),
        ({"patch_size": 3}, "does not divide"),
        ({"image_size": "8"}, "image_size|list of whole numbers"),
        ({"layer_norm_eps": None}, "'norm_eps' .* Got None"),
    ],
)
def test_a_folder_of_another_model_is_refused_by_name(folder, changes, message):
    write(folder / "config.json", {**CONFIG, **changes})
    for path in (folder, folder / "model.safetensors"):
        with pytest.raises(ValueError, match=rf"model.*{message}"):
            estimator().load_weights(path)


def test_what_is_missing_in_a_folder_is_named(folder):
    write(folder / "config.json", {name: value for name, value in CONFIG.items() if name != "hidden_act"})
    with pytest.raises(ValueError, match="hidden_act is not there"):
        ViTMAE.from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"does not say what network.*config\.json, or build.*load_weights"):
        ViTMAE.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has neither model\.safetensors nor pytorch_model\.bin"):
        ViTMAE.from_pretrained(folder)
    with pytest.raises(FileNotFoundError, match=r"no file or folder 'facebook/vit-mae-base'\. Nothing is downloaded"):
        ViTMAE.from_pretrained("facebook/vit-mae-base")
    with pytest.raises(TypeError, match="source is of type dict"):
        ViTMAE.from_pretrained({})


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 10**12, "num_attention_heads": 1},
        {"num_hidden_layers": 10**9},
        {"image_size": 2**20},
        {"decoder_intermediate_size": 2**30},
        {"image_size": 2**30, "patch_size": 1},
        {"num_channels": 2**30},
    ],
)
def test_sizes_that_the_weights_do_not_have_are_refused_before_memory_is_taken(folder, sizes):
    write(folder / "config.json", {**CONFIG, **sizes})
    with pytest.raises(ValueError, match="model"):
        ViTMAE.from_pretrained(folder)


@pytest.mark.parametrize(
    ("map_of", "message"),
    [
        (lambda where: where.clear() or where, "has no weight_map"),
        (list, "has no weight_map"),
        (lambda where: dict.fromkeys(where, 3), "has no weight_map"),
        (lambda where: dict.fromkeys(where, "../elsewhere.safetensors"), "names the file '../elsewhere.safetensors'"),
        (lambda where: dict.fromkeys(where, "gone.safetensors"), "names the file 'gone.safetensors', which"),
        (lambda where: dict(list(where.items())[1:]), "and 'model-00001-of-00002.safetensors' disagree on which"),
    ],
)
def test_an_index_that_is_wrong_is_refused(folder, map_of, message):
    split(folder)
    path = folder / "model.safetensors.index.json"
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder.parent / "elsewhere.safetensors")
    write(path, {"weight_map": map_of(json.loads(path.read_text())["weight_map"])})
    with pytest.raises(ValueError, match=rf"model\.safetensors\.index\.json' {message}"):
        estimator().load_weights(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"a', "\udcff", "null", "[1]", '{"a": 1}'])
def test_json_that_is_damaged_is_refused_with_its_name(folder, name, text):
    write(folder / "preprocessor_config.json", {"image_mean": 0.5, "image_std": 0.5})
    split(folder)
    (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=name):
        ViTMAE.from_pretrained(folder)


SPECIAL = {
    "mlp_ratio": 3,
    "normalize_target": True,
    "mask": 0.5,
    "net_params": {
        "module__activation": "relu",
        "module__qkv_bias": False,
        "module__decoder_mlp_ratio": 2,
        "module__norm_eps": 1e-5,
    },
}


@pytest.mark.parametrize("changes", [{}, SPECIAL, {"pool": "cls", "patch": 2}])
def test_what_was_saved_comes_back_as_the_same_estimator(tmp_path, images, changes):
    mae = estimator(**changes).fit(images)
    mae.save_pretrained(tmp_path / "folder")
    mae.save_weights(tmp_path / "w.safetensors", layout="transformers")
    for path in (tmp_path / "folder", tmp_path / "w.safetensors"):
        same = ViTMAE.from_pretrained(path)
        np.testing.assert_array_equal(same.transform(images), mae.transform(images))
        np.testing.assert_array_equal(same.reconstruct(images), mae.reconstruct(images))
        assert (same.mask, same.pool, same.net_params) == (mae.mask, mae.pool, mae.net_params)
    state = safetensors.torch.load_file(tmp_path / "folder" / "model.safetensors")  # as others would write it
    safetensors.torch.save_file(state, tmp_path / "folder" / "model.safetensors", {"format": "pt"})
    np.testing.assert_allclose(
        ViTMAE.from_pretrained(tmp_path / "folder").set_params(pool=mae.pool).reconstruct(images),
        mae.reconstruct(images),
        rtol=1e-5,
    )


def test_a_model_of_any_grid_comes_back_from_its_own_file(tmp_path):
    signals = np.random.default_rng(0).normal(size=(5, 12))
    mae = ViTMAE(**{**PARAMETERS, "image_shape": (12,)}).fit(signals)
    mae.save_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(
        ViTMAE.from_pretrained(tmp_path / "w.safetensors").transform(signals), mae.transform(signals)
    )
    with pytest.raises(ValueError, match=r"takes square pictures.*samples of shape \(12,\).*Use save_weights"):
        mae.save_pretrained(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"widths that 4 divides; decoder_dim is 6\. Use save_weights"):
        estimator(decoder_dim=6).load_weights(
            state_of(estimator(decoder_dim=6)._untrained(np.zeros((2, 8, 8, 3)) + np.arange(2)[:, None, None, None], 0))
        ).save_pretrained(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_transformers_opens_what_was_saved_and_computes_the_same(tmp_path, images):
    transformers = pytest.importorskip("transformers")
    mae = estimator(**SPECIAL).fit(images)
    mae.save_pretrained(tmp_path)
    model, info = transformers.ViTMAEForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    visible = mae.sample_visible(len(images), random_state=0)
    pixels = torch.from_numpy(((images - mae.mean_) / mae.scale_).astype(np.float32)).movedim(-1, 1)
    with torch.no_grad():
        loss = model.eval()(pixel_values=pixels, noise=torch.from_numpy(~visible).float()).loss
    model.save_pretrained(tmp_path / "back")
    again = ViTMAE.from_pretrained(tmp_path / "back")
    standard = np.moveaxis(pixels.numpy(), 1, -1)
    module = again.net_.module_.eval()
    keep = torch.from_numpy(np.nonzero(visible)[1].reshape(len(images), -1))
    with torch.no_grad():
        prediction, hidden = module(torch.from_numpy(standard), keep)
        ours = again.net_.criterion_(prediction, module.patchify(torch.from_numpy(standard)), hidden)
    torch.testing.assert_close(ours, loss, rtol=1e-4, atol=1e-5)
    pixels_config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    np.testing.assert_allclose(pixels_config["image_mean"], mae.mean_)


# -- activations and the like ------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["gelu", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "tanh"])
def test_activations_are_those_of_transformers(act):
    activations = pytest.importorskip("transformers.activations")
    from skmae.vit._module import Mlp

    torch.manual_seed(0)
    mlp, x = Mlp(4, 8, act), torch.randn(3, 4)
    torch.testing.assert_close(mlp(x), mlp.fc2(activations.ACT2FN[act](mlp.fc1(x))))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"activation": "elu"}, "'activation' parameter of ViTConfig must be a str among"),
        ({"norm_eps": 0.0}, "'norm_eps' parameter of ViTConfig"),
        ({"qkv_bias": "no"}, "'qkv_bias' parameter of ViTConfig"),
        ({"encoder_heads": 0}, "'encoder_heads' parameter of ViTConfig"),
        ({"decoder_mlp_ratio": -1}, "'decoder_mlp_ratio' parameter of ViTConfig"),
    ],
)
def test_sizes_are_checked(sizes, message):
    with pytest.raises(ValueError, match=message):
        ViTConfig(**sizes)


# -- faults of the disk ------------------------------------------------------------------------------------------


def test_a_full_disk_names_the_file_and_leaves_the_one_before(tmp_path, monkeypatch, mae, images):
    mae.save_pretrained(tmp_path)
    mae.save_weights(tmp_path / "w.safetensors")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    other = estimator(random_state=1).fit(images)
    with pytest.raises(OSError, match=r"w\.safetensors.* could not be written.*No space left.*whole"):
        other.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(OSError, match=r"model\.safetensors.* could not be written.*No space left.*whole"):
        other.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path, mae):
    (tmp_path / "file").write_text("")
    for save in (mae.save_pretrained, mae.save_weights):
        with pytest.raises(OSError, match=r"file.* could not be written"):
            save(tmp_path / "file" / "w.safetensors")


def test_a_damaged_scale_is_refused_with_the_files_name_unless_another_is_given(tmp_path, images):
    mae, path = estimator().fit(images), tmp_path / "old.pth"
    state = dict(mae.net_.plain_module.state_dict())
    scale = state["standardize.scale"].clone()
    torch.save({**state, "standardize.scale": -scale}, path, _use_new_zipfile_serialization=False)  # no checksums
    with pytest.raises(ValueError, match=r"old.pth.*scale=tensor"):
        estimator().load_weights(path)
    assert_same(estimator().load_weights(path, scale=scale), mae, images)
