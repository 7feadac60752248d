"""
Appendix D: layers of deep and shallow encoders
===============================================

Centred kernel alignment (CKA) says how alike two representations of the same samples are, whatever the basis. The paper
compares encoders of several depths with its 12-layer one: the larger the more alike, least at the last layer.
"""

# %%
# Two encoders
# ------------
# Small ViTs on photographs; features of every layer by ``layer_features``.
import matplotlib.pyplot as plt

from skmae import ViTMAE
from skmae.datasets import load_photo_patches
from skmae.inspection import CKADisplay

plt.style.use("tableau-colorblind10")
train = load_photo_patches(2000, size=16).images
test = load_photo_patches(500, size=16, subset="test").images
sizes = {"patch": 4, "embed_dim": 48, "encoder_heads": 4, "decoder_layers": 1, "decoder_heads": 4}
features = {}
for blocks in (2, 4):
    mae = ViTMAE(
        **sizes,
        encoder_layers=blocks,
        batch_size=64,
        learning_rate=1.6e-2,
        max_epochs=8,
        warmup_epochs=1,
        random_state=0,
    )
    layers = mae.fit(train).layer_features(test)  # (n, 1 + blocks, 48)
    features[blocks] = {f"{i}": layers[:, i] for i in range(blocks + 1)}
display = CKADisplay.from_features(features[4], features[2])
display.ax_.set(xlabel="Layer of the encoder of 2 blocks", ylabel="Layer of the encoder of 4 blocks")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.appendix_d_cka --models FOLDER``: CIFAR-10, encoders of 2, 4 and 8 blocks, all with 4
# decoder blocks, 2,000 test images. Each layer of each against the layers of the deepest; one seed, from which nothing
# is known about others.
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "cka.csv")
depths = sorted(table["encoder_layers"].unique())
figure, axes = plt.subplots(1, len(depths), figsize=(11, 4), layout="constrained", width_ratios=[d + 1 for d in depths])
for ax, depth in zip(axes, depths, strict=True):
    values = table[table["encoder_layers"] == depth].groupby(["layer_of_deepest", "layer"])["cka"].mean().unstack()
    image = ax.imshow(values, vmin=0, vmax=1, cmap="cividis", origin="lower")
    ax.set(xlabel=f"Layer, {depth} blocks", xticks=range(depth + 1))
axes[0].set_ylabel(f"Layer, {depths[-1]} blocks")
figure.colorbar(image, ax=axes, label="CKA")

# %%
# Last layers against the deepest encoder's last:
last = table[table["layer_of_deepest"] == depths[-1]]
print(last[last["layer"] == last["encoder_layers"]].groupby("encoder_layers")["cka"].mean().round(3))
