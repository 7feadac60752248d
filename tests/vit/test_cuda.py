"""On a CUDA device, where there is one: what the fake device of test_device.py cannot tell."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback

from skmae import JacobianBasis, Moments, ViTMAE, ViTMAEClassifier
from skmae.vit._data import ResidentDataset, dataset_of

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device"),
]

N = 64


def mae(**changes):
    settings = {"patch": 2, "embed_dim": 16, "encoder_layers": 2, "encoder_heads": 2, "decoder_layers": 1}
    settings |= {"decoder_heads": 2, "max_epochs": 3, "warmup_epochs": 1, "batch_size": 16, "learning_rate": 1e-2}
    return ViTMAE(**settings | {"device": "cuda", "random_state": 0} | changes)


@pytest.fixture
def X():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3)).astype(np.uint8)


def on_cpu(model, X):
    """The same weights on the CPU."""
    other = mae(device="cpu", image_shape=X.shape[1:])
    state = {name: tensor.cpu() for name, tensor in model.net_.module_.state_dict().items()}
    mean, scale = model.mean_, model.scale_
    return other.load_weights(state, mean=mean, scale=scale)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_training_follows_that_on_the_cpu(X, precision):
    there, here = mae(precision=precision).fit(X), mae(precision="float32", device="cpu").fit(X)
    np.testing.assert_allclose(there.history_[:, "train_loss"], here.history_[:, "train_loss"], rtol=0.1)
    assert next(there.net_.module_.parameters()).device.type == "cuda"


def test_auto_is_bfloat16_where_the_card_has_it(X):
    has_it = torch.cuda.get_device_capability() >= (8, 0)
    assert mae(max_epochs=1).fit(X).precision_ == ("bfloat16" if has_it else "float32")


def test_features_reconstructions_and_jacobians_are_those_of_the_cpu(X):
    there = mae(precision="float32").fit(X)
    here = on_cpu(there, X)
    visible = there.sample_visible(N, 0)
    np.testing.assert_allclose(there.transform(X), here.transform(X), atol=1e-4)
    np.testing.assert_allclose(there.transform(X.astype(float)), here.transform(X.astype(float)), atol=1e-9)
    np.testing.assert_allclose(there.reconstruct(X, visible), here.reconstruct(X, visible), rtol=1e-3, atol=1e-2)
    images = X[:2].astype(np.float32)
    jacobians = [
        JacobianBasis(FrozenEstimator(model), outputs="center").fit(images).jacobian(images) for model in (there, here)
    ]
    np.testing.assert_allclose(*jacobians, atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"augment": None}, {"mask_sampling": "bernoulli"}], ids=str)
def test_no_step_waits_for_the_card(X, changes, monkeypatch):
    model = mae(**changes).partial_fit(X)
    dataset = dataset_of(model._as_samples(X), model.net_.where)
    assert isinstance(dataset, ResidentDataset)
    monkeypatch.setattr(type(model.net_), "_read", lambda _, losses, *__: [0.0] * len(losses))
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.net_.partial_fit(dataset, epochs=1)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_compiled_training_is_near_the_plain_one(X):
    plain, compiled = mae(augment=None).fit(X), mae(augment=None, compile=True).fit(X)
    np.testing.assert_allclose(compiled.history_[:, "train_loss"], plain.history_[:, "train_loss"], rtol=0.05)


class StopOnce(Callback):
    """Ctrl-C in an epoch, the first time."""

    def __init__(self, epoch, done):
        self.epoch = epoch
        self.done = done

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch and not self.done.exists():
            self.done.touch()
            raise KeyboardInterrupt


def test_a_checkpoint_is_resumed(X, tmp_path):
    settings = {"checkpoint": tmp_path / "states", "callbacks": [StopOnce(2, tmp_path / "done")]}
    with pytest.raises(KeyboardInterrupt):
        mae(**settings).fit(X)
    resumed, whole = mae(**settings).fit(X), mae().fit(X)
    assert len(list((tmp_path / "states").iterdir())) == 1
    np.testing.assert_allclose(resumed.transform(X), whole.transform(X), atol=1e-3)


def test_a_pickle_is_used_where_there_is_no_card(X, tmp_path, monkeypatch):
    model = mae().fit(X)
    joblib.dump(model, tmp_path / "mae.joblib")
    np.save(tmp_path / "X.npy", X)
    use = "import sys, joblib, numpy as np\nmae = joblib.load(sys.argv[1])\nassert mae.net_.where.type == 'cpu'\n"
    use += "np.save(sys.argv[3], mae.transform(np.load(sys.argv[2])))"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    paths = [str(tmp_path / name) for name in ("mae.joblib", "X.npy", "features.npy")]
    subprocess.run([sys.executable, "-c", use, *paths], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), model.transform(X), atol=1e-4)


def test_fine_tuning(X):
    y = np.arange(N) % 2
    classifier = ViTMAEClassifier(mae().fit(X), max_epochs=2, batch_size=16, device="cuda", random_state=0)
    assert classifier.fit(X, y).predict_proba(X).shape == (N, 2)


def test_moments_of_bytes_on_the_card(X):
    rows = X.reshape(N, -1)
    with config_context(array_api_dispatch=True):
        there = Moments.from_data(torch.from_numpy(rows).to("cuda"))
    here = Moments.from_data(rows)
    second = there.second.cpu().numpy() if isinstance(there.second, torch.Tensor) else there.second
    np.testing.assert_allclose(second, here.second, rtol=1e-5, atol=1e-2)
