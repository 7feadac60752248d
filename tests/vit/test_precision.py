"""Which type training multiplies in, and the attention that goes with it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback

from skmae import JacobianBasis, ViTMAE, ViTMAEClassifier
from skmae.vit import _module
from skmae.vit._checkpoint import noted_precision
from skmae.vit._precision import attend, attend_by_products, multiplies_bfloat16

TINY = {
    "patch": 2,
    "embed_dim": 12,
    "encoder_layers": 2,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "augment": None,
    "max_epochs": 3,
    "warmup_epochs": 1,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "device": "cpu",
    "random_state": 0,
}
NATIVE = {"avx2": True, "amx_bf16": True}
LOSS_MARGIN = 0.01  # of a loss in bfloat16, relative to float32's


def tiny(**changes):
    return ViTMAE(**{**TINY, **changes})


def weights(mae):
    return torch.cat([parameter.detach().flatten() for parameter in mae.net_.module_.parameters()])


@pytest.fixture
def X():
    return np.random.default_rng(0).integers(0, 256, (48, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def processor(monkeypatch):
    """Makes PyTorch say that the processor has these flags."""

    def have(flags):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)

    return have


# -- which type -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, "float32"),
        ({"avx2": True, "avx512_f": True, "avx512_vnni": True, "amx_int8": True, "amx_tile": True}, "float32"),
        ({"amx_bf16": False, "avx512_bf16": False}, "float32"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": True}, "bfloat16"),
    ],
)
def test_auto_goes_by_the_processors_flags(processor, X, flags, expected):
    processor(flags)
    for precision, used in {"auto": expected, "float32": "float32", "bfloat16": "bfloat16"}.items():
        assert tiny(precision=precision)._untrained(X, 0).precision_ == used


def test_a_pytorch_that_does_not_say_is_given_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bfloat16(torch.device("cpu"))


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_goes_by_its_generation(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert multiplies_bfloat16(torch.device("cuda")) is expected


def test_of_predictors_too(processor, X):
    y = np.arange(len(X)) % 2
    for flags, expected in (({}, "float32"), (NATIVE, "bfloat16")):
        processor(flags)
        assert ViTMAEClassifier(tiny(max_epochs=1), max_epochs=1, augment=None, device="cpu").fit(X, y).precision_ == (
            expected
        )


# -- float32 is what it was -------------------------------------------------------------------------------------


def test_without_the_flag_auto_is_float32_bit_for_bit(processor, X):
    processor({})
    np.testing.assert_array_equal(weights(tiny().fit(X)), weights(tiny(precision="float32").fit(X)))


def test_in_float32_attention_is_pytorchs_bit_for_bit(monkeypatch, X):
    ours = weights(tiny(precision="float32").fit(X))
    monkeypatch.setattr(_module, "attend", F.scaled_dot_product_attention)
    np.testing.assert_array_equal(ours, weights(tiny(precision="float32").fit(X)))


# -- attention --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 5, 17, 65])
@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.float64, 2e-6)])
def test_plain_products_are_pytorchs_attention(length, hides, dtype, atol):
    generator = torch.Generator().manual_seed(length)
    results = []
    inputs = [torch.randn(3, 2, length, 7, generator=generator, dtype=dtype) for _ in range(4)]
    attended = torch.rand(3, 1, 1, length, generator=generator) < 0.5 if hides else None
    if hides:
        attended[..., 0] = True  # as the class token is
    for attention in (attend_by_products, F.scaled_dot_product_attention):
        q, k, v = (x.clone().requires_grad_() for x in inputs[:3])
        out = attention(q, k, v, attended)
        out.backward(inputs[3])
        results.append((out.detach(), q.grad, k.grad, v.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


def test_in_bfloat16_on_a_cpu_attention_is_plain_products_near_those_of_float32(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 4, 2, 17, 8, generator=generator).unbind(0)
    exact = F.scaled_dot_product_attention(q, k, v)
    monkeypatch.setattr(F, "scaled_dot_product_attention", None)
    narrow = attend(*(x.bfloat16() for x in (q, k, v)))
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), exact, atol=0.03, rtol=0)


# -- a training in bfloat16 -------------------------------------------------------------------------------------


def test_a_training_in_bfloat16_is_near_one_in_float32(processor, monkeypatch, X):
    exact = tiny(precision="float32").fit(X)
    processor(NATIVE)
    with monkeypatch.context() as without_fused:
        without_fused.setattr(F, "scaled_dot_product_attention", None)
        narrow = tiny().fit(X)
    assert narrow.precision_ == "bfloat16"
    losses = np.array(narrow.history_[:, "train_loss"])
    np.testing.assert_allclose(losses, exact.history_[:, "train_loss"], rtol=LOSS_MARGIN)
    assert not np.array_equal(losses, exact.history_[:, "train_loss"])
    assert {parameter.dtype for parameter in narrow.net_.module_.parameters()} == {torch.float32}
    np.testing.assert_allclose(narrow.transform(X), exact.transform(X), atol=0.1)
    assert narrow.transform(X).dtype == np.float32


def test_masks_that_show_different_numbers_of_patches(processor, X):
    exact = tiny(precision="float32", mask_sampling="bernoulli").fit(X)
    processor(NATIVE)
    narrow = tiny(mask_sampling="bernoulli").fit(X)
    np.testing.assert_allclose(narrow.history_[:, "train_loss"], exact.history_[:, "train_loss"], rtol=LOSS_MARGIN)


def test_what_was_trained_in_bfloat16_is_used_in_float32(processor, X):
    processor(NATIVE)
    mae = tiny().fit(X)
    same = tiny(precision="float32", image_shape=(8, 8, 3)).load_weights(mae.net_.module_.state_dict())
    same.net_.module_.standardize.load_state_dict(mae.net_.module_.standardize.state_dict())
    np.testing.assert_array_equal(mae.transform(X), same.transform(X))
    jacobian = JacobianBasis(mae, outputs="center").fit(X).jacobian(X[:1])
    assert np.isfinite(jacobian).all()
    visible = np.ones(16, bool)
    x, step = X[:1].astype(float), 1e-4
    change = (mae.reconstruct(x + step, visible) - mae.reconstruct(x - step, visible)) / (2 * step)
    along = mae.linearize(x, visible).jvp(np.ones((x.size, 1)), 0)
    np.testing.assert_allclose(along.ravel(), change.ravel(), atol=1e-5)


class StopOnce(Callback):
    """Ctrl-C in an epoch, the first time."""

    def __init__(self, epoch, done):
        self.epoch = epoch
        self.done = done

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch and not self.done.exists():
            self.done.touch()
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_checkpoint_in_bfloat16_is_resumed(processor, X, tmp_path, epoch):
    processor(NATIVE)
    settings = {"checkpoint": tmp_path / "states", "callbacks": [StopOnce(epoch, tmp_path / "done")]}
    with pytest.raises(KeyboardInterrupt):
        tiny(**settings).fit(X)
    resumed = tiny(**settings).fit(X)
    assert len(list((tmp_path / "states").iterdir())) == 1
    np.testing.assert_array_equal(weights(resumed), weights(tiny().fit(X)))


def test_a_training_is_not_taken_up_in_another_precision(processor, X, tmp_path):
    processor({})
    exact = tiny(checkpoint=tmp_path).fit(X)
    processor(NATIVE)
    narrow = tiny(checkpoint=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 2
    assert not np.array_equal(weights(exact), weights(narrow))
    tiny(checkpoint=tmp_path, precision="bfloat16").fit(X)  # which is the same training as that of "auto" here
    assert len(list(tmp_path.iterdir())) == 2


def test_checkpoints_of_auto_in_float32_keep_their_names():
    assert noted_precision("auto", "float32") == "auto"
    assert noted_precision("float32", "float32") == "float32"
    assert noted_precision("auto", "bfloat16") == noted_precision("bfloat16", "bfloat16") == "bfloat16"
