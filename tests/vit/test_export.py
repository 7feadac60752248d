"""Features by a module of PyTorch alone, by torch.export, and by onnxruntime."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skmae import ViTMAE


@pytest.fixture(scope="module")
def X():
    return (np.random.RandomState(0).random((24, 8, 8, 3)) * 255).astype(np.float32)


def fitted(X, **parameters):
    sizes = {"patch": 2, "embed_dim": 12, "encoder_layers": 2, "encoder_heads": 2, "decoder_layers": 1}
    training = {"decoder_heads": 2, "max_epochs": 1, "warmup_epochs": 0, "device": "cpu", "random_state": 0}
    return ViTMAE(**sizes, **training, **parameters).fit(X)


@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
def test_the_features_of_transform(X, pool, dtype):
    mae = fitted(X, pool=pool)
    module, images = mae.feature_module(), X.astype(dtype)
    assert not module.training
    assert not any("decoder" in name for name, _ in module.named_parameters())
    assert_allclose(module(torch.from_numpy(images)).detach(), mae.transform(images), atol=1e-5)
    flat = torch.from_numpy(images.reshape(len(X), -1))
    assert_array_equal(module(flat).detach(), module(torch.from_numpy(images)).detach())


def test_it_is_a_copy(X):
    mae = fitted(X)
    before = mae.transform(X)
    for parameter in mae.feature_module().parameters():
        torch.nn.init.zeros_(parameter)
    assert_array_equal(mae.transform(X), before)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        ViTMAE().feature_module()


@pytest.mark.slow
def test_exported_for_any_number_of_images(X):
    mae = fitted(X)
    n = torch.export.Dim("n")
    program = torch.export.export(mae.feature_module(), (torch.from_numpy(X[:4]),), dynamic_shapes=({0: n},))
    assert_allclose(program.module()(torch.from_numpy(X)).detach(), mae.transform(X), atol=1e-5)


@pytest.mark.slow
def test_onnx(X, tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    mae = fitted(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter uses what PyTorch deprecates
        torch.onnx.export(
            mae.feature_module(),
            (torch.from_numpy(X[:4]),),
            tmp_path / "features.onnx",
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            input_names=["images"],
        )
    session = runtime.InferenceSession(tmp_path / "features.onnx")
    (features,) = session.run(None, {"images": X})
    assert_allclose(features, mae.transform(X), atol=1e-4)
