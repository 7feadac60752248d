"""Advice and probes read samples once."""

import pytest
from sklearn.datasets import load_digits

from skmae import suggest_masking


@pytest.mark.parametrize("with_targets", [False, True])
def test_advice(with_targets, recording):
    data = load_digits()
    X = recording(data.images[:200])
    y = data.target[:200] if with_targets else None
    table = suggest_masking(X, y, masks=(0.5, 0.75), patches=(2,), n_components=5, cv=2)
    assert len(table) == 2
    assert X.reads == 1


def test_probes(recording):
    pytest.importorskip("torch")
    from skmae import ViTMAE, probe_layers

    sizes = {"embed_dim": 12, "encoder_layers": 2, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}
    images, y = load_digits(n_class=3, return_X_y=True)
    mae = ViTMAE(patch=4, max_epochs=1, random_state=0, device="cpu", **sizes).fit(images)
    X, X_test = recording(images[:400]), recording(images[400:])
    assert len(probe_layers(mae, X, y[:400], X_test, y[400:])) == 3
    assert (X.reads, X_test.reads) == (1, 1)
