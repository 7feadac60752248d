"""Probes of layers and checkpoints."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import ViTMAE, probe_layers
from skmae.vit._network import layers_of
from skmae.vit._weights import from_module

TINY = {"patch": 4, "embed_dim": 12, "encoder_layers": 2, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    X, y = load_digits(n_class=3, return_X_y=True)
    folder = tmp_path_factory.mktemp("series")
    mae = ViTMAE(**TINY, max_epochs=4, checkpoint=folder, checkpoint_every=2, random_state=0, device="cpu").fit(X)
    return mae, X, y, folder


def test_features_of_every_layer(series):
    mae, X, *_ = series
    layers = mae.layer_features(X)
    assert layers.shape == (len(X), 3, 12)
    assert_allclose(layers[:, -1], mae.transform(X), rtol=1e-6)
    blocks = mae.net_.module_.encoder.blocks
    outputs = []
    handle = blocks[0].register_forward_hook(lambda _, seen, given: outputs.extend([seen[0], given]))
    mae.transform(X[:50])
    handle.remove()
    for layer, tokens in enumerate(outputs):
        assert_allclose(layers[:50, layer], tokens.detach()[:, 1:].mean(dim=1), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="63 features"):
        mae.layer_features(X[:, 1:])


def test_layers_of_every_checkpoint(series):
    mae, X, y, folder = series
    table = probe_layers(mae, X[:400], y[:400], X[400:], y[400:], weights=folder)
    assert table["weights"].tolist() == ["epoch-00002.pt"] * 3 + ["epoch-00004.pt"] * 3
    assert table["epoch"].tolist() == [2] * 3 + [4] * 3
    assert table["layer"].tolist() == [0, 1, 2] * 2
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    early = ViTMAE(**TINY, image_shape=(8, 8), device="cpu").load_weights(next(folder.rglob("epoch-00002.pt")))
    for model, epoch in ((early, 2), (mae, 4)):
        expected = probe.fit(model.transform(X[:400]), y[:400]).score(model.transform(X[400:]), y[400:])
        last = table[(table["epoch"] == epoch) & (table["layer"] == 2)]["score"].item()
        assert last == pytest.approx(expected, abs=0.01)
    own = probe_layers(mae, X[:400].astype(np.float32), y[:400], X[400:], y[400:])
    assert_allclose(own["score"], table["score"][3:], atol=0.01)
    assert own["epoch"].tolist() == [4] * 3


def test_layers_are_what_blocks_give(series):
    mae, X, *_ = series
    module = mae.net_.module_
    images = module.standardize(torch.from_numpy(X[:3]).float())
    first = module.encoder.embed(module.patchify(images))
    for pool, pooled in (("mean", lambda x: x[:, 1:].mean(dim=1)), ("cls", lambda x: x[:, 0])):
        layers = layers_of(module, images, pool, 4)
        assert layers.shape == (3, 3, 12)
        assert torch.equal(layers[:, 0], pooled(first))
        assert torch.equal(layers[:, 1], pooled(module.encoder.blocks[0](first)))
        assert torch.equal(layers[:, 2], pooled(module.encode(images)))


def test_numbers_are_regressed_and_probes_may_be_given(series):
    mae, X, _, folder = series
    slope = PCA(1).fit_transform(X)[:, 0]
    table = probe_layers(mae, X[:400], slope[:400], X[400:], slope[400:], weights=[next(folder.rglob("last.pt"))])
    assert table["epoch"].isna().all()
    assert table["score"].max() > 0.5
    given = probe_layers(mae, X[:400], slope[:400], X[400:], slope[400:], probe=Ridge(1e9))
    assert given["score"].max() < 0.1


def test_each_file_has_its_own_pixel_statistics(series):
    mae, X, y, folder = series
    other = ViTMAE(**TINY, max_epochs=1, random_state=0, device="cpu").fit(10 * X + 30)
    table = probe_layers(other, X[:400], y[:400], X[400:], y[400:], weights=next(folder.rglob("last.pt")))
    own = probe_layers(mae, X[:400], y[:400], X[400:], y[400:])
    assert_allclose(table["score"], own["score"], atol=0.01)


def test_files_without_pixel_statistics_take_those_of_the_estimator(series, tmp_path):
    mae, X, y, _ = series
    torch.save({"model": from_module(mae.net_.module_)}, tmp_path / "w.pth")
    shifted = ViTMAE(**TINY, max_epochs=1, random_state=np.random.RandomState(0), device="cpu").fit(30 * X + 120)
    shifted.load_weights(tmp_path / "w.pth")
    before, history = shifted.random_state.get_state()[1].copy(), shifted.history_
    table = probe_layers(shifted, 30 * X + 120, y, 30 * X + 120, y, weights=tmp_path / "w.pth")
    own = probe_layers(mae, X, y, X, y)
    assert_allclose(table["score"], own["score"], atol=0.01)
    assert_array_equal(shifted.random_state.get_state()[1], before)
    assert shifted.history_ is history


def test_pixels_far_from_zero_are_standardised_as_they_are_elsewhere(series):
    _, X, y, folder = series
    far = X[:100] + 1e6
    mae = ViTMAE(**TINY, max_epochs=1, random_state=0, device="cpu", checkpoint=folder / "far").fit(far)
    features = []

    class Keep(DummyClassifier):
        def fit(self, X, y):
            features.append(X)
            return super().fit(X, y)

    probe_layers(mae, far, y[:100], far, y[:100], probe=Keep())
    assert_allclose(np.stack(features, axis=1), mae.layer_features(far), atol=1e-4)


def test_bad_input(series, tmp_path):
    mae, X, y, _ = series
    with pytest.raises(TypeError, match="probe_layers takes a ViTMAE or another DeepAutoencoder; got PCA"):
        probe_layers(PCA(), X, y, X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        probe_layers(mae, X, y[:-1], X, y)
    with pytest.raises(FileNotFoundError, match=r"has no files epoch-\*.pt"):
        probe_layers(mae, X, y, X, y, weights=tmp_path)
    with pytest.raises(ValueError, match="weights is empty"):
        probe_layers(mae, X, y, X, y, weights=[])
    with pytest.raises(FileNotFoundError, match="there is no file"):
        probe_layers(mae, X, y, X, y, weights=tmp_path / "epoch-00001.pt")
