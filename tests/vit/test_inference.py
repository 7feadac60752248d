"""What a trained module gives away, again and again."""

import gc

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from skmae import JacobianBasis, ViTMAE, ViTMAEClassifier

TINY = {"patch": 4, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "max_epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def X():
    return load_digits().images[:20].astype(np.float32)


@pytest.fixture(scope="module")
def mae(X):
    return ViTMAE(**TINY, decoder_layers=1, decoder_heads=2, random_state=0).fit(X)


def count_tensors():
    gc.collect()
    return sum(type(thing) in (torch.Tensor, torch.nn.Parameter) for thing in gc.get_objects())


def test_no_call_keeps_tensors(X, mae):
    basis = JacobianBasis(mae, visible="random", random_state=0).fit(X[:2])
    visible = mae.sample_visible(len(X), 0)

    def call_all():
        mae.linearize(X[:2], visible[0]).rows(np.arange(2))
        basis.transform(X[:2])
        basis.basis(X[:2], 1)
        mae.transform(X)
        mae.transform(X.astype(np.float64))
        mae.reconstruct(X, visible)
        mae.score(X)
        mae.layer_features(X)

    call_all()
    before = count_tensors()
    for _ in range(5):
        call_all()
    assert count_tensors() <= before


def test_other_threads_keep_their_attention(X, mae):
    """What derivatives need is not set for all of PyTorch."""
    seen = []

    def note(*_):
        seen.append(torch.backends.cuda.flash_sdp_enabled())

    handle = mae.net_.module_.register_forward_pre_hook(note)
    mae.linearize(X[:1]).rows(np.arange(2))
    handle.remove()
    assert seen
    assert all(seen)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # of shapes that are compared, which stay the same
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch would rather export
def test_modules_can_be_traced(X, mae):
    module, images = mae.net_.module_, torch.from_numpy(X)
    keep = torch.arange(2).expand(2, -1)
    traced = torch.jit.trace(module, (images[:2], keep))
    other = torch.tensor([[1, 3]] * len(images))  # other patches, and another number of samples
    for found, expected in zip(traced(images, other), module(images, other), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.jit.trace(module, images[:2])(images)[0], module(images)[0])
    classifier = ViTMAEClassifier(mae, max_epochs=1, random_state=0).fit(X, np.arange(20) % 2).net_.module_.eval()
    torch.testing.assert_close(torch.jit.trace(classifier, images[:2])(images), classifier(images))
