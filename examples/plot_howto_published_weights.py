"""
Published weights, in and out
=============================

``load_weights`` reads what facebookresearch/mae and transformers write, with or without decoder; ``save_weights``
writes either. Nothing is downloaded here: a small model of transformers stands in for a large one.
"""

# %%
# A model of transformers
# -----------------------
# Trained for a few steps on crops of photographs, and saved to a folder as ``model.safetensors``.
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
pixels = torch.from_numpy(images).movedim(-1, 1).float().div(127.5).sub(1)  # channels first, -1 to 1

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
model.vit.embeddings.initialize_weights()  # transformers 5 leaves positions zero in models that are not loaded
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
# In
# --
# A file of weights does not say everything. Sizes must be given as they were, and so must the numbers of heads, of
# which a wrong one is only noticed where ``config.json`` lies beside; ``ViTMAE.from_pretrained(folder)`` takes them
# from there. ``mean`` and ``scale`` are what the authors subtracted from pixels and divided them by, in the units of X,
# here 0 to 255. Models of transformers have a ``layer_norm_eps`` of 1e-12, ViTMAE's is 1e-6.
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
mae = ViTMAE(image_shape=(16, 16, 3), **sizes).load_weights(weights, mean=127.5, scale=127.5)

# %%
# Both give the same reconstructions. transformers hides the patches whose ``noise`` is largest.
test = load_photo_patches(8, size=16, subset="test", random_state=3).images
visible = mae.sample_visible(len(test), random_state=0)
with torch.no_grad():
    pixels = torch.from_numpy(test).movedim(-1, 1).float().div(127.5).sub(1)
    predicted = model(pixel_values=pixels, noise=torch.from_numpy(~visible).float()).logits
    theirs = model.unpatchify(predicted).movedim(1, -1).add(1).mul(127.5).numpy()
difference = np.abs(mae.reconstruct(test, visible) - theirs).max()
print(f"largest difference: {difference:.0e} grey levels of 255")
assert difference < 1e-3

# %%
# From here on it is a ViTMAE like any other: ``transform``, ``partial_fit`` to go on training, `ViTMAEClassifier` to
# fine-tune, `JacobianBasis` to inspect. (After so few steps the model fills in brightness, and hardly colour.)
from skmae.inspection import ReconstructionDisplay

display = ReconstructionDisplay.from_estimator(mae, test, visible=visible, paste_visible=True)
display.ax_.set_title("Trained by transformers, drawn by skmae")
plt.show()

# %%
# Larger images
# -------------
# Positions of 4 × 4 patches are interpolated to 8 × 8.
large = load_photo_patches(8, size=32, subset="test", random_state=3).images
wider = ViTMAE(image_shape=(32, 32, 3), **sizes).load_weights(weights, mean=127.5, scale=127.5)
print(wider.transform(large).shape)
print(f"score on 32 × 32 pixels {wider.score(large):.2f}, on 16 × 16 {mae.score(test):.2f}")

# %%
# Out
# ---
# ``layout="transformers"`` is for transformers, which also wants its configuration beside the weights.
back = Path(folder.name) / "back"
mae.save_weights(back / "model.safetensors", layout="transformers")
config.save_pretrained(back)
again = ViTMAEForPreTraining.from_pretrained(back)
with torch.no_grad():
    assert torch.equal(again(pixel_values=pixels, noise=torch.from_numpy(~visible).float()).logits, predicted)

# %%
# ``layout="mae"``, the default, has the names of facebookresearch/mae. Mean and scale of the pixels are in the metadata
# of what ``save_weights`` writes, so that they need not be passed again; in files of others they are not.
from safetensors.torch import load_file

mae.save_weights(Path(folder.name) / "mae.safetensors")
same = ViTMAE(image_shape=(16, 16, 3), **sizes).load_weights(Path(folder.name) / "mae.safetensors")
np.testing.assert_array_equal(same.transform(test), mae.transform(test))

# %%
# The authors' own files are made by PyTorch, and hold weights as ``"model"``.
torch.save({"model": load_file(Path(folder.name) / "mae.safetensors")}, Path(folder.name) / "mae.pth")
same = ViTMAE(image_shape=(16, 16, 3), **sizes)
same.load_weights(Path(folder.name) / "mae.pth", mean=127.5, scale=127.5)  # opened with weights_only=True
np.testing.assert_array_equal(same.transform(test), mae.transform(test))

# %%
# Without a decoder
# -----------------
# Encoders alone can be loaded, too. They transform; to reconstruct, a decoder has to be trained.
model.vit.save_pretrained(Path(folder.name) / "encoder")
encoder = ViTMAE(image_shape=(16, 16, 3), **sizes)
encoder.load_weights(Path(folder.name) / "encoder" / "model.safetensors", mean=127.5, scale=127.5)
np.testing.assert_array_equal(encoder.transform(test), mae.transform(test))
try:
    encoder.reconstruct(test)
except ValueError as error:
    print(error)
folder.cleanup()

# %%
# The real ones
# -------------
# They have to be downloaded first. Sizes are those of ViT-B, pixels are standardised by ImageNet's mean and standard
# deviation. This was not run for this page::
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
#     vit_b.load_weights("mae_pretrain_vit_base.pth", **imagenet)  # facebookresearch/mae, the encoder alone
#     vit_b.load_weights("mae_visualize_vit_base.pth", **imagenet)  # with a decoder
#
#     published = ViTMAEForPreTraining.from_pretrained("facebook/vit-mae-base")  # a state dict will do, too
#     vit_b.set_params(net_params={"module__norm_eps": published.config.layer_norm_eps})
#     vit_b.load_weights(published.state_dict(), **imagenet)
#
# Where weights were trained on patches less their mean, over their spread, ``normalize_target=True`` makes
# ``reconstruct`` undo that as far as it can.
