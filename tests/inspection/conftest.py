"""Small fitted autoencoders of both families."""

import pytest

TINY = {
    "embed_dim": 12,
    "encoder_layers": 2,
    "encoder_heads": 3,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 1,
    "warmup_epochs": 0,
    "learning_rate": 0.01,
    "augment": None,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture
def colours(rng):
    """60 correlated pictures of 8×8 pixels and three channels."""
    return rng.normal(size=(60, 8, 8, 3)) + rng.normal(size=(60, 1, 1, 3)) + 2 * rng.normal(size=(60, 8, 1, 1))


@pytest.fixture
def make_vit():
    def make(**parameters):
        pytest.importorskip("torch")
        from skmae import ViTMAE

        return ViTMAE(**{**TINY, "patch": 4, **parameters})

    return make
