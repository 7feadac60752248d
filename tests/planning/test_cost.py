"""Costs: counted operations against PyTorch's counter, kept activations against what autograd keeps."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from skmae import ViTMAE, _config, training_cost
from skmae.planning import _timing
from skmae.planning._cost import Workload
from skmae.vit._training import ReconstructionLoss

SIZES = {"embed_dim": 32, "encoder_layers": 3, "encoder_heads": 4, "decoder_layers": 2, "decoder_heads": 3}


def step_of(model, shape):
    """The loss of a batch of two, and what it is computed with."""
    X = np.random.default_rng(0).normal(size=(2, *shape))
    net = model._untrained(X, 0).net_
    module = net.module_
    images = module.standardize(torch.from_numpy(X))
    visible = model.sample_visible(2, random_state=0)
    keep = torch.from_numpy(np.nonzero(visible)[1].reshape(2, -1))

    def loss():
        prediction, hidden = module(images, keep)
        return ReconstructionLoss()(prediction, module.patchify(images), hidden)

    return module, loss


@pytest.mark.parametrize("decoder_dim", [None, 24])
@pytest.mark.parametrize("mask", [0.0, 0.5, 0.9])
@pytest.mark.parametrize(("shape", "patch"), [((16, 16, 3), 2), ((16, 16, 3), 4), ((8, 12), (2, 3)), ((64,), 4)])
def test_flops_and_activations_are_those_that_pytorch_counts(shape, patch, mask, decoder_dim):
    model = ViTMAE(**{**SIZES, "decoder_heads": 4}, patch=patch, mask=mask, decoder_dim=decoder_dim, image_shape=shape)
    row = training_cost(model.set_params(batch_size=2), shape, measure=False).iloc[0]
    module, loss = step_of(model, shape)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        loss().backward()
    assert 2e9 * row["gflops"] == pytest.approx(counter.get_total_flops(), rel=1e-6)

    storages = {}

    def note(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        loss()
    for weight in module.parameters():
        storages.pop(weight.untyped_storage().data_ptr(), None)
    assert row["activations_mib"] * 2**20 == pytest.approx(sum(storages.values()), rel=0.25)


def test_one_row_for_each_combination_and_hours_from_steps():
    grid = {"patch": [2, 4], "mask": [0.5], "embed_dim": [16, 32]}
    model = ViTMAE(**{**SIZES, "decoder_heads": 4}, batch_size=30, max_epochs=7, device="cpu", augment=None)
    table = training_cost(model, (8, 8), param_grid=grid, n_samples=100)
    assert len(table) == 4
    assert list(table.columns[:3]) == ["embed_dim", "mask", "patch"]
    assert (table["step_s"] > 0).all()
    assert_allclose(table["total_h"], 7 * 4 * table["step_s"] / 3600)
    assert_allclose(table["total_flops"], 7 * 100 * table["gflops"] * 1e9)
    assert not hasattr(model, "net_")
    assert model.embed_dim == 32


@pytest.fixture
def formula(monkeypatch):
    """A machine whose clock follows a formula: times of blocks, and of what is around them."""

    def block(_self, _block, dim, batch, n):
        return 1e-4 + batch * (1e-6 * n * dim + 3e-9 * n * n)

    def training(_self, model, image_shape):
        workload = Workload.of_model(model, image_shape)
        stacks = (workload.encoder, workload.decoder)
        blocks = sum(s.n_blocks * block(None, None, s.width, model.batch_size, s.n_tokens) for s in stacks)
        return blocks + 2e-3 + 5e-5 * model.batch_size

    monkeypatch.setattr(_timing.StepTimes, "_time_block", block)
    monkeypatch.setattr(_timing.StepTimes, "_time_training", training)
    return block, training


def test_times_are_put_together_from_those_of_blocks_and_what_is_around_them(formula):
    block, _ = formula
    grid = {"patch": [2, 4, 8], "mask": [0.25, 0.75], "encoder_layers": [1, 6]}
    model = ViTMAE(**SIZES, decoder_dim=24, batch_size=64, device="cpu")
    for _, row in training_cost(model, (32, 32), param_grid=grid).iterrows():
        expected = 2e-3 + 5e-5 * 64
        expected += row["encoder_layers"] * block(None, None, 32, 64, row["encoder_tokens"])
        expected += 2 * block(None, None, 24, 64, row["decoder_tokens"])
        assert row["step_s"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dip", [0, 1])  # of the four steps that are timed, two for each patch
def test_one_step_that_takes_less_than_its_blocks_does_not_undo_the_others(dip, formula, monkeypatch):
    _, training = formula
    models = [ViTMAE(**SIZES, decoder_dim=24, mask=0.9, patch=patch, device="cpu") for patch in (2, 8)]
    timed = []

    def with_a_dip(_self, model, image_shape):
        around = 4e-4 * model.batch_size
        timed.append((model, training(None, model, image_shape) + around))
        return timed[-1][1] - 1.01 * (around + 2e-3 + 5e-5 * model.batch_size) * (len(timed) == dip + 1)

    monkeypatch.setattr(_timing.StepTimes, "_time_training", with_a_dip)
    times = _timing.StepTimes(models, [Workload.of_model(model, (32, 32)) for model in models], (32, 32))
    for model, seconds in timed:
        assert times.step(Workload.of_model(model, (32, 32)), model.batch_size) == pytest.approx(seconds, rel=0.05)
    assert len(timed) == 4


def test_signals_are_timed_on_their_own_grid_and_nothing_is_drawn():
    state = torch.get_rng_state()
    model = ViTMAE(**{**SIZES, "decoder_heads": 4}, patch=16, batch_size=8, device="cpu")
    assert training_cost(model, (64,))["step_s"][0] > 0
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "bad",
    [
        *({"mask": mask} for mask in (1.0, 1.5, -1, np.nan)),
        *({"embed_dim": dim} for dim in (-8, 0, 193)),
        {"decoder_dim": 0},
        {"decoder_dim": 100},
        {"encoder_heads": 7},
        {"decoder_heads": 5},
        {"encoder_layers": 0},
        {"mlp_ratio": -1},
        {"batch_size": 0},
        {"max_epochs": -1},
        {"patch": 2.5},
        {"patch": 3},
        {"patch": (4,)},
    ],
)
def test_what_fit_refuses_is_not_priced(bad, monkeypatch):
    with pytest.raises(ValueError, match=next(iter(bad))) as refused:
        ViTMAE(**bad).fit(np.zeros((2, 8, 8)))
    monkeypatch.setattr(_timing, "_fastest", lambda *_: pytest.fail("measured before it was checked"))
    grid = {name: [value] for name, value in bad.items()}
    for measure in (False, True):
        for model, param_grid in ((ViTMAE(), grid), (ViTMAE(**bad), None)):
            with pytest.raises(type(refused.value), match=f"^{re.escape(str(refused.value))}$"):
                training_cost(model, (8, 8), param_grid=param_grid, measure=measure)


@pytest.mark.parametrize("n_samples", [-5, 0, 2.5, "x"])
def test_samples_are_a_whole_number(n_samples):
    with pytest.raises(ValueError, match=f"n_samples must be a whole number >= 1, or None; got {n_samples!r}"):
        training_cost(ViTMAE(), (8, 8), n_samples=n_samples, measure=False)


def test_one_shape_is_priced():
    model = ViTMAE(image_shape=[8, 8])
    assert training_cost(model, (8, 8), measure=False)["decoder_tokens"][0] == 5
    message = r"told image_shape=\(8, 8\), but the estimator or param_grid says image_shape=\(16, 16\). Say it to"
    with pytest.raises(ValueError, match=message):
        training_cost(ViTMAE(image_shape=(16, 16)), (8, 8), measure=False)
    with pytest.raises(ValueError, match=message):
        training_cost(ViTMAE(), (8, 8), param_grid={"image_shape": [(8, 8), (16, 16)]}, measure=False)


def test_bad_input():
    with pytest.raises(ValueError, match=r"param_grid varies \['precision'\], which measurements do not tell apart"):
        training_cost(ViTMAE(), (8, 8), param_grid={"precision": ["float32", "bfloat16"]})
    with pytest.raises(TypeError, match="training_cost takes a ViTMAE; got PCA"):
        training_cost(PCA(), (8, 8))
    with pytest.raises(ValueError, match="patch"):
        training_cost(ViTMAE(patch=3), (8, 8), measure=False)
    with pytest.raises(ValueError, match="Invalid parameter 'masks'"):
        training_cost(ViTMAE(), (8, 8), param_grid={"masks": [0.5]}, measure=False)
    with pytest.raises(ValueError, match="image_shape=8 is not a shape: pass the sizes of one sample"):
        training_cost(ViTMAE(), 8)


def test_what_is_counted_without_torch_are_the_defaults_of_the_vit():
    model, config = ViTMAE(), _config.ViTConfig()
    assert {name: getattr(model, name) for name in _config.SIZES} == {
        name: getattr(config, name) for name in _config.SIZES
    }
