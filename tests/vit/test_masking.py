"""Masks of any distribution in training: drawn by PyTorch, of unequal counts, resumed, refused."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skmae import JacobianBasis, ViTMAE
from skmae._config import ViTConfig
from skmae._grid import PatchGrid
from skmae.masking import Bernoulli, Blocks, ExactCount, Sampled, Stripes, Tubes
from skmae.vit._masking import draw, run_masked
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._training import ReconstructionLoss

TINY = {
    "patch": 2,
    "embed_dim": 12,
    "encoder_layers": 2,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 3,
    "warmup_epochs": 1,
    "batch_size": 16,
    "learning_rate": 2e-2,
    "device": "cpu",
    "random_state": 0,
}
GRID = PatchGrid.build((8, 8), None, 2)  # 4 × 4 patches


def left_or_right(n_samples, grid, mask, random_state):  # noqa: ARG001
    is_left = np.arange(grid.n_patches) % grid.patches_per_axis[1] < grid.patches_per_axis[1] // 2
    return is_left == random_state.randint(2, size=(n_samples, 1))


def unequal(n_samples, grid, mask, random_state):
    """Patch 0 in every sample, patch 1 never, the others by chance."""
    visible = random_state.random_sample((n_samples, grid.n_patches)) >= mask
    visible[:, 0], visible[:, 1] = True, False
    return visible


def tiny(**changes):
    return ViTMAE(**{**TINY, **changes})


@pytest.fixture
def X(rng):
    return rng.random((40, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(
    "sampler", [Bernoulli(), ExactCount(), Stripes(), Stripes(1, "bernoulli"), Tubes(1), Blocks(2), Sampled(unequal)]
)
def test_masks_have_the_moments_that_the_sampler_states(sampler):
    n = 40_000
    visible = draw(sampler, n, GRID, 0.6, torch.Generator().manual_seed(0)).double()
    rates, joint = sampler.moments(GRID, 0.6)
    noise = 5 / np.sqrt(n)  # five standard errors, at most; Sampled states what it saw in 10,000 draws
    if isinstance(sampler, Sampled):
        noise += 5 / np.sqrt(sampler.n_draws)
    assert_allclose(visible.mean(dim=0), rates, atol=noise)
    assert_allclose(visible.T @ visible / n, joint, atol=noise)


def network(**changes):
    config = ViTConfig(embed_dim=12, encoder_layers=2, encoder_heads=2, decoder_layers=2, decoder_heads=2, **changes)
    torch.manual_seed(0)
    module = MaskedAutoencoder(GRID, config).double()
    with torch.no_grad():
        for parameter in module.parameters():  # biases and the mask's token away from zero, so that each counts
            parameter += 0.1 * torch.randn_like(parameter)
    return module


def loss_and_gradients(module, images, visible, alone):
    module.zero_grad()
    if alone:  # the plain network on each sample by itself
        parts = [module(images[i : i + 1], visible[i].nonzero().T) for i in range(len(images))]
        prediction, hidden = (torch.cat(part) for part in zip(*parts, strict=True))
    else:
        prediction, hidden = run_masked(module, images, visible)
    assert torch.equal(hidden, ~visible)
    loss = ReconstructionLoss()(prediction, module.patchify(images), hidden)
    loss.backward()
    return prediction.detach(), {name: p.grad.clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize("takes_padding", [True, False])
def test_samples_that_show_different_numbers_of_patches_are_as_each_alone(takes_padding, monkeypatch):
    monkeypatch.setattr(MaskedAutoencoder, "takes_padding", takes_padding)
    module, rng = network(), np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(size=(12, 8, 8)))
    visible = torch.from_numpy(rng.random((12, 16)) < np.linspace(0, 1, 12)[:, np.newaxis])
    visible[0], visible[-1] = False, True
    assert len(visible.sum(dim=1).unique()) > 6
    together, gradients = loss_and_gradients(module, images, visible, alone=False)
    each, expected = loss_and_gradients(module, images, visible, alone=True)
    assert_allclose(together, each, atol=1e-10)
    for name, gradient in gradients.items():
        assert expected[name].abs().max() > 0, name
        assert_allclose(gradient, expected[name], atol=1e-10, err_msg=name)


def test_what_fills_rows_up_is_never_looked_at():
    module = network()
    images = torch.randn(2, 8, 8, dtype=torch.float64)
    visible = torch.zeros(2, 16, dtype=torch.bool)
    visible[0, :3], visible[1, 5:14] = True, True
    before = run_masked(module, images, visible)[0]
    changed = images.clone()
    changed.view(2, 4, 2, 4, 2)[0, :, :, 3] += 5  # the last column of patches, hidden in the first sample
    assert torch.equal(run_masked(module, changed, visible)[0][0], before[0])


@pytest.mark.parametrize("sampling", ["bernoulli", Stripes(1), Blocks(2), left_or_right])
def test_training_calls_of_partial_fit_and_score_with_any_sampler(sampling, X):
    whole, parts = tiny(mask_sampling=sampling).fit(X), tiny(mask_sampling=sampling)
    for _ in range(3):
        parts.partial_fit(X)
    assert whole.history_[:, "train_loss"] == parts.history_[:, "train_loss"]
    assert whole.score(X) == parts.score(X)
    assert whole.history_[-1, "train_loss"] != tiny().fit(X).history_[-1, "train_loss"]
    assert_array_equal(whole.sample_visible(5, 1), whole.sample_visible(5, 1))
    visible = whole.sample_visible(4000, 0)
    assert (~visible).mean() == pytest.approx(whole.mask_, abs=0.02)
    few = np.stack([visible[i] for i in np.argsort(visible.sum(axis=1))[[0, 1000, 3999]]])
    rebuilt = whole.reconstruct(X[:3], few)
    for i in range(3):
        assert_allclose(whole.reconstruct(X[i : i + 1], few[i])[0], rebuilt[i], atol=1e-5)


def test_score_is_the_loss_of_each_sample_under_its_mask(X):
    mae = tiny(mask_sampling="bernoulli", mask=0.4).fit(X)
    module, net = mae.net_.module_.eval(), mae.net_
    visible = draw(Bernoulli(), len(X), net.grid, 0.4, torch.Generator().manual_seed(net.seed))
    errors = []
    with torch.inference_mode():
        images = module.standardize(torch.from_numpy(X))
        for i in range(len(X)):
            prediction, hidden = module(images[i : i + 1], visible[i].nonzero().T)
            squares = (prediction - module.patchify(images[i : i + 1])).square().mean(dim=2)
            errors.append(squares[hidden].mean() if hidden.any() else squares.mean())
    assert mae.score(X) == pytest.approx(-float(torch.stack(errors).mean()), rel=1e-5)


def test_a_sampler_and_its_name_are_one_training(X, tmp_path):
    for sampling in ("exact", ExactCount()):
        tiny(mask_sampling=sampling, checkpoint=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    for i, sampling in enumerate(("bernoulli", Stripes(0), Stripes(1), left_or_right, unequal)):
        tiny(mask_sampling=sampling, checkpoint=tmp_path).fit(X)
        assert len(list(tmp_path.iterdir())) == 2 + i, sampling


def test_the_sampler_cannot_change_within_a_training(X):
    mae = tiny().partial_fit(X)
    with pytest.raises(ValueError, match="mask_sampling was 'exact' when this training began and is 'bernoulli' now"):
        mae.set_params(mask_sampling="bernoulli").partial_fit(X)


def test_masks_that_show_nothing_are_read_where_training_may_draw_them(X):
    nothing = np.zeros(16, dtype=bool)
    mae = tiny(mask_sampling="bernoulli").fit(X)
    rebuilt = mae.reconstruct(X, nothing)
    assert_allclose(rebuilt, np.broadcast_to(rebuilt[:1], X.shape), atol=1e-6)  # of no sample is anything known
    basis = JacobianBasis(tiny(mask_sampling="bernoulli", mask=0.97), visible="random", n_masks=3, random_state=0)
    assert np.isfinite(basis.fit(X).transform(X[:2])).all()
    normalised = tiny(mask_sampling="bernoulli", normalize_target=True).fit(X)
    assert np.isfinite(normalised.reconstruct(X, nothing)).all()
    with pytest.raises(ValueError, match="visible shows no patch of sample 0"):
        tiny().fit(X).reconstruct(X, nothing)


def everything_in_pieces(n_samples, grid, mask, random_state):  # noqa: ARG001
    return np.ones((n_samples, grid.n_patches - 1), dtype=bool)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ("both", "'mask_sampling' parameter of ViTMAE must be"),
        (3, "'mask_sampling' parameter of ViTMAE must be"),
        (ExactCount, "An object is needed, not its class"),
        (everything_in_pieces, r"returned an array of shape \(16, 15\) and type bool; it must return"),
        (Stripes(5), "needs an axis 5, but the grid of patches"),
    ],
)
def test_samplers_that_do_not_fit(sampling, message, X):
    mae = tiny(mask_sampling=sampling)
    with pytest.raises(ValueError, match=message):
        mae.fit(X)
    assert not hasattr(mae, "net_")
    assert not hasattr(mae, "image_shape_")
