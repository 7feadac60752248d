"""
Load and save published MAE weights
===================================

``load_weights`` reads what facebookresearch/mae and transformers write, with or without
a decoder; ``save_weights`` writes either. Nothing is downloaded here: a small model of
transformers stands in for a large one. This page needs ``pip install transformers``.
"""

# %%
# A model of transformers
# -----------------------
# It is trained for a few steps on crops of photographs, and saved to a folder as
# ``model.safetensors``.
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining
from transformers.utils import logging

from skmae.datasets import load_photo_patches

logging.disable_progress_bar()
images = load_photo_patches(4000, size=16).images  # (4000, 16, 16, 3) of uint8


def as_pixels(images):
    """Channels first, -1 to 1."""
    return torch.from_numpy(images).movedim(-1, 1).float().div(127.5).sub(1)


pixels = as_pixels(images)
config = ViTMAEConfig(
    image_size=16,
    patch_size=4,
    hidden_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=192,
    decoder_hidden_size=32,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=4,
    decoder_intermediate_size=128,
    mask_ratio=0.5,
)
torch.manual_seed(0)
model = ViTMAEForPreTraining(config)
# transformers 5 leaves positions zero in models that are not loaded
model.vit.embeddings.initialize_weights()
model.decoder.initialize_weights(16)
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
for _ in range(250):
    loss = model(pixel_values=pixels[torch.randint(len(pixels), (64,))]).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()

folder = TemporaryDirectory()
model.save_pretrained(folder.name)
weights = Path(folder.name) / "model.safetensors"

# %%
# Load
# ----
# A file of weights does not say everything. Sizes must be given as they were, and so
# must the numbers of heads; a wrong number of heads is only noticed where
# ``config.json`` lies beside the file. ``ViTMAE.from_pretrained(folder)`` takes them
# from there. ``mean`` and ``scale`` are what the authors subtracted from pixels and
# divided them by, in the units of X, here 0 to 255. Models of transformers have a
# ``layer_norm_eps`` of 1e-12, ViTMAE's is 1e-6.
from skmae import ViTMAE

sizes = {
    "patch": 4,
    "embed_dim": 48,
    "encoder_layers": 2,
    "encoder_heads": 4,
    "decoder_dim": 32,
    "decoder_layers": 1,
    "decoder_heads": 4,
    "mask": 0.5,
    "net_params": {"module__norm_eps": config.layer_norm_eps},
}
standard = {"mean": 127.5, "scale": 127.5}
mae = ViTMAE(image_shape=(16, 16, 3), **sizes).load_weights(weights, **standard)

# %%
# Both give the same reconstructions. transformers hides the patches whose ``noise`` is
# largest.
test = load_photo_patches(8, size=16, subset="test", random_state=3).images
visible = mae.sample_visible(len(test), random_state=0)
inputs = {"pixel_values": as_pixels(test), "noise": torch.from_numpy(~visible).float()}
with torch.no_grad():
    predicted = model(**inputs).logits
    theirs = model.unpatchify(predicted).movedim(1, -1).add(1).mul(127.5).numpy()
difference = np.abs(mae.reconstruct(test, visible) - theirs).max()
print(f"largest difference: {difference:.0e} grey levels of 255")
assert difference < 1e-3

# %%
# From here on it is a ViTMAE like any other: ``transform``, ``partial_fit`` to go on
# training, `ViTMAEClassifier` to fine-tune, `JacobianBasis` to inspect. (After so few
# steps the model fills in brightness, and hardly colour.)
from skmae.inspection import ReconstructionDisplay

figure, ax = plt.subplots(figsize=(5.8, 4.2), layout="constrained")
ReconstructionDisplay.from_estimator(
    mae, test[:4], visible=visible[:4], paste_visible=True, ax=ax
)
ax.set_title("Trained by transformers, drawn by skmae")
plt.show()

# %%
# Larger images
# -------------
# Positions of 4 × 4 patches are interpolated to 8 × 8.
large = load_photo_patches(8, size=32, subset="test", random_state=3).images
wider = ViTMAE(image_shape=(32, 32, 3), **sizes).load_weights(weights, **standard)
print(wider.transform(large).shape)
print(f"score on 32 × 32 pixels {wider.score(large):.2f}", end=", ")
print(f"on 16 × 16 {mae.score(test):.2f}")

# %%
# Save
# ----
# ``layout="transformers"`` is for transformers, which also wants its configuration
# beside the weights.
back = Path(folder.name) / "back"
mae.save_weights(back / "model.safetensors", layout="transformers")
config.save_pretrained(back)
again = ViTMAEForPreTraining.from_pretrained(back)
with torch.no_grad():
    assert torch.equal(again(**inputs).logits, predicted)

# %%
# ``layout="mae"``, the default, has the names of facebookresearch/mae. Mean and scale
# of the pixels are in the metadata of what ``save_weights`` writes, and need not be
# passed again; in files of others they are not.
from safetensors.torch import load_file

ours = Path(folder.name) / "mae.safetensors"
mae.save_weights(ours)
same = ViTMAE(image_shape=(16, 16, 3), **sizes).load_weights(ours)
np.testing.assert_array_equal(same.transform(test), mae.transform(test))

# %%
# The authors' own files are made by PyTorch, and hold weights as ``"model"``. They are
# opened with ``weights_only=True``.
theirs = Path(folder.name) / "mae.pth"
torch.save({"model": load_file(ours)}, theirs)
same = ViTMAE(image_shape=(16, 16, 3), **sizes).load_weights(theirs, **standard)
np.testing.assert_array_equal(same.transform(test), mae.transform(test))

# %%
# Without a decoder
# -----------------
# An encoder alone can be loaded, too. It transforms; to reconstruct, a decoder has to
# be trained.
alone = Path(folder.name) / "encoder"
model.vit.save_pretrained(alone)
encoder = ViTMAE(image_shape=(16, 16, 3), **sizes)
encoder.load_weights(alone / "model.safetensors", **standard)
np.testing.assert_array_equal(encoder.transform(test), mae.transform(test))
try:
    encoder.reconstruct(test)
except ValueError as error:
    print(error)
folder.cleanup()

# %%
# The real ones
# -------------
# These have to be downloaded first. Sizes are those of ViT-B, and pixels are
# standardised by ImageNet's mean and standard deviation. This was not run for this
# page::
#
#     vit_b = ViTMAE(
#         image_shape=(224, 224, 3),
#         patch=16,
#         embed_dim=768,
#         encoder_layers=12,
#         encoder_heads=12,
#         decoder_dim=512,
#         decoder_layers=8,
#         decoder_heads=16,
#     )
#     imagenet = {"mean": [123.675, 116.28, 103.53], "scale": [58.395, 57.12, 57.375]}
#
#     # facebookresearch/mae: the encoder alone, and with a decoder
#     vit_b.load_weights("mae_pretrain_vit_base.pth", **imagenet)
#     vit_b.load_weights("mae_visualize_vit_base.pth", **imagenet)
#
#     # transformers: a state dict will do, too
#     published = ViTMAEForPreTraining.from_pretrained("facebook/vit-mae-base")
#     eps = published.config.layer_norm_eps
#     vit_b.set_params(net_params={"module__norm_eps": eps})
#     vit_b.load_weights(published.state_dict(), **imagenet)
#
# Where weights were trained on patches less their mean, over their spread,
# ``normalize_target=True`` makes ``reconstruct`` undo that as far as it can.
