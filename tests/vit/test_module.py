"""The Vision Transformer as a plain torch module."""

import pytest
import torch
from sklearn.datasets import load_digits

from skmae import ViTMAE, ViTMAEClassifier
from skmae._grid import PatchGrid
from skmae.vit import ViTConfig
from skmae.vit._module import MaskedAutoencoder

SIZES = {"embed_dim": 12, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}


@pytest.mark.parametrize(("shape", "channel_axis"), [((8, 8), None), ((8, 8, 3), 2), ((3, 8, 8), 0), ((12,), None)])
def test_it_can_be_traced(shape, channel_axis):
    torch.manual_seed(0)
    module = MaskedAutoencoder(PatchGrid.build_regular(shape, channel_axis, 2), ViTConfig(**SIZES)).eval()
    keep = torch.tensor([[0, 3], [1, 2]])
    traced = torch.jit.trace_module(
        module, {"encode": torch.randn(2, *shape), "forward": (torch.randn(2, *shape), keep)}
    )
    images, keep = torch.randn(5, *shape), torch.tensor([[2, 5]] * 5)
    torch.testing.assert_close(traced.encode(images), module.encode(images))
    torch.testing.assert_close(traced(images, keep), module(images, keep))


@pytest.mark.parametrize(
    ("shape", "least"), [((8,), 2), ((8, 8), 4), ((8, 8, 8), 6)], ids=["signal", "picture", "volume"]
)
def test_widths_that_leave_no_room_for_positions_are_refused(shape, least):
    X = load_digits().data[:16, : 8 ** len(shape)] if len(shape) < 3 else load_digits().data[:128].reshape(16, 512)
    sizes = {"patch": 2, "image_shape": shape, "max_epochs": 1, "channel_axis": None}
    for name in ("embed_dim", "decoder_dim"):
        message = rf"{name}={least - 1} is too small for the positions.*at least {least}"
        with pytest.raises(ValueError, match=message):
            ViTMAE(**{**SIZES, name: least - 1, "encoder_heads": 1, "decoder_heads": 1}, **sizes).fit(X)
        ViTMAE(**{**SIZES, name: least, "encoder_heads": 1, "decoder_heads": 1}, **sizes).fit(X)
    of_classifier = {"embed_dim": least - 1, "encoder_layers": 1, "encoder_heads": 1, **sizes}
    with pytest.raises(ValueError, match=rf"embed_dim={least - 1} is too small"):
        ViTMAEClassifier(**of_classifier).fit(X, load_digits().target[:16] % 2)
