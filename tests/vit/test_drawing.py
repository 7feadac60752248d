"""What is random follows from seeds alone: whatever other code draws or sets, and whatever other threads do."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from torch import nn

from skmae import ViTMAE, ViTMAEClassifier
from skmae.vit import DeepAutoencoder, PatchModule
from skmae.vit._drawing import DrawingFrom

TINY = {"patch": 4, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "max_epochs": 2, "warmup_epochs": 0}
TINY |= {"batch_size": 16, "device": "cpu", "random_state": 0}
DECODER = {"decoder_layers": 1, "decoder_heads": 2}


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.images[:60].astype(np.float32), data.target[:60]


def weights(estimator):
    return {name: tensor.numpy().copy() for name, tensor in estimator.net_.plain_module.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert_array_equal(a[name], b[name], err_msg=name)


# -- generators -------------------------------------------------------------------------------------------------------


@contextmanager
def drawing_globally(generator):
    """What `DrawingFrom` must equal: PyTorch's global generator in this one's state."""
    outside = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(outside)


def draw_in_every_way():
    yield from (torch.rand(5), torch.randn(33), torch.randint(10, (4,)), torch.randint(2, 9, (4,)), torch.randperm(9))
    some, half = torch.zeros(40), torch.full((5,), 0.5)
    yield from (torch.rand_like(some), torch.randn_like(some), torch.randint_like(some, 7))
    yield from (torch.randint_like(some, 3, 7), torch.normal(some, 1.0), torch.normal(0.0, 1.0, (3,)))
    yield from (torch.bernoulli(half), torch.multinomial(half, 2), torch.poisson(half), torch.binomial(9 * half, half))
    yield from (torch.distributions.Beta(1.0, 2.0).sample(), torch.distributions.Gamma(2.0, 1.0).sample((3,)))
    for method in ("uniform_", "normal_", "exponential_", "random_", "cauchy_", "log_normal_"):
        yield getattr(torch.empty(3), method)()
    yield from (torch.empty(3).geometric_(0.2), torch.empty(3).bernoulli_(0.3), nn.Linear(3, 4).weight.detach())
    ones = torch.ones(2, 3, 8, 8)
    yield from (nn.functional.dropout(ones), nn.functional.dropout2d(ones), nn.functional.alpha_dropout(ones))
    yield from (nn.functional.gumbel_softmax(ones), nn.functional.rrelu(-ones, training=True))
    yield nn.functional.fractional_max_pool2d(ones.cumsum(3), 2, output_size=3)
    yield nn.TransformerEncoderLayer(8, 2, 16)(torch.ones(5, 2, 8)).detach()
    yield nn.LSTM(4, 4, 2, dropout=0.5)(torch.ones(3, 2, 4))[0].detach()
    learned = torch.ones(30, requires_grad=True)
    nn.functional.dropout(learned).sum().backward()
    yield learned.grad


def test_a_generator_takes_the_place_of_the_global_one():
    ours, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    with drawing_globally(theirs):
        expected = list(draw_in_every_way())
    before = torch.get_rng_state()
    with DrawingFrom(ours):
        drawn = list(draw_in_every_way())
    for number, (a, b) in enumerate(zip(drawn, expected, strict=True)):
        assert torch.equal(a, b), number
    assert torch.equal(ours.get_state(), theirs.get_state())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_that_is_given_is_used():
    mine = torch.Generator().manual_seed(1)
    with DrawingFrom(torch.Generator().manual_seed(2)):
        drawn = torch.rand(3, generator=mine)
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(1)))


# -- threads ----------------------------------------------------------------------------------------------------------


def everything_random(X, y):
    mae = ViTMAE(**TINY, **DECODER)
    settings = {"mixup": 0.8, "cutmix": 1.0, "drop_path": 0.2, "augment": "randaugment"}
    return ViTMAEClassifier(mae, **settings, max_epochs=2, batch_size=16, device="cpu", random_state=0).fit(X, y)


def autoencoder(X, y):  # noqa: ARG001
    mae = ViTMAE(**TINY, **DECODER).fit(X)
    mae.linearize(X[:2]).rows(np.arange(8))  # it needs another kind of attention, for itself alone
    return mae


def test_trainings_in_threads_are_those_of_one_after_the_other(digits):
    kinds = (everything_random, autoencoder)
    expected = [weights(kind(*digits)) for kind in kinds]
    state, changed, done = torch.get_rng_state(), [], threading.Event()

    def watch():
        while not done.is_set():
            if not torch.equal(torch.get_rng_state(), state):
                changed.append(True)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            fitted = list(pool.map(lambda kind: weights(kind(*digits)), kinds * 2))
    finally:
        done.set()
        watcher.join()
        sys.setswitchinterval(interval)
    for found, wanted in zip(fitted, expected * 2, strict=True):
        assert_same(found, wanted)
    assert not changed


class Dropping(PatchModule):
    """A network that drops out by PyTorch's own generator, as anyone writes it."""

    def __init__(self, grid):
        super().__init__(grid)
        self.layers = nn.Sequential(nn.Linear(grid.n_features, 16), nn.Dropout(0.5), nn.Linear(16, grid.n_features))

    def encode(self, images):
        return self.layers(self.patchify(images).flatten(1))

    def forward(self, images, keep):
        hidden = self.hidden(keep)
        patches = self.patchify(images).masked_fill(hidden[..., None], 0)
        return self.layers(patches.flatten(1)).reshape(patches.shape), hidden


class DroppingMAE(DeepAutoencoder):
    def __init__(self, *, patch=2, max_epochs=2, batch_size=16, random_state=None):
        super().__init__(patch=patch, max_epochs=max_epochs, batch_size=batch_size, random_state=random_state)

    def _make_module(self, grid):
        return Dropping(grid)


def test_dropout_of_a_network_follows_from_the_seed(digits):
    X, _ = digits
    before = torch.get_rng_state()
    first = DroppingMAE(random_state=0).fit(X)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert_same(weights(first), weights(DroppingMAE(random_state=0).fit(X)))
    parts = DroppingMAE(random_state=0).partial_fit(X).partial_fit(X)
    assert_same(weights(first), weights(parts))
    first.net_.module_.layers[1].p = 0.0
    assert not np.array_equal(weights(first.fit(X))["layers.0.weight"], weights(DroppingMAE(random_state=1).fit(X)))


def test_passes_over_a_dataset_draw_nothing(digits):
    X, _ = digits
    mae = ViTMAE(**TINY, **DECODER).fit(X)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X))
    before = torch.get_rng_state()
    mae.transform(dataset)
    mae.score(dataset)
    mae.reconstruct(dataset)
    mae.fit(dataset)
    assert torch.equal(torch.get_rng_state(), before)


# -- what other code has set ------------------------------------------------------------------------------------------


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS = {
    "float64": default_dtype,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "device": lambda: torch.device("meta"),
}


def results(X, y):
    classifier, mae = everything_random(X, y), ViTMAE(**TINY, **DECODER).partial_fit(X).partial_fit(X)
    visible = mae.sample_visible(len(X), 0)
    yield from (classifier.predict_proba(X), mae.transform(X), mae.reconstruct(X, visible), mae.layer_features(X))
    yield from (mae.linearize(X[:2]).rows(np.arange(8)), np.array(mae.score(X)), mae.get_feature_names_out())


@pytest.mark.parametrize("name", SETTINGS)
def test_what_other_code_has_set_does_not_count(digits, name):
    expected = list(results(*digits))
    with SETTINGS[name]():
        found = list(results(*digits))
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)
