"""
Appendix D: similarity (CKA) of deep and shallow ViT encoders
=============================================================

Centred kernel alignment (CKA) says how similar two representations of the same samples
are: 1 if they are the same up to rotation and scale. The paper compares encoders of
several depths with its encoder of 12 layers: the deeper they are, the more similar to
it, and least so at their last layer.
"""

# %%
# Two encoders
# ------------
# Two small ViTs are trained on photographs, and ``layer_features`` gives the features
# of every layer; layer 0 is the input of the first block. Mind the colours: they range
# from 0.96 to 1 only.
import matplotlib.pyplot as plt

from skmae import ViTMAE
from skmae.datasets import load_photo_patches
from skmae.inspection import CKADisplay

plt.style.use("tableau-colorblind10")
train = load_photo_patches(2000, size=16).images
test = load_photo_patches(500, size=16, subset="test").images
sizes = {
    "patch": 4,
    "embed_dim": 48,
    "encoder_heads": 4,
    "decoder_layers": 1,
    "decoder_heads": 4,
}
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

colours = {"cmap": "cividis", "vmin": None, "vmax": None}  # from least to greatest
display = CKADisplay.from_features(features[4], features[2], origin="lower", **colours)
display.ax_.set(
    title="Photographs",
    xlabel="Layer of the encoder of 2 blocks",
    ylabel="Layer of the encoder of 4 blocks",
)
display.ax_.set_xticks(range(3), features[2], rotation=0, ha="center")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.appendix_d_cka --models FOLDER``: CIFAR-10, encoders of
# 2, 4 and 8 blocks, all with 4 decoder blocks, 2,000 test images. Each layer of each
# encoder is compared with each layer of the deepest; mean of three seeds.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "cka.csv")
depths = sorted(table["encoder_layers"].unique())
# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(
    1,
    len(depths),
    figsize=(6.4, 3.6),
    layout="compressed",
    sharey=True,
    width_ratios=[depth + 1 for depth in depths],
)
lowest = table["cka"].min()
for ax, depth in zip(axes, depths, strict=True):
    some = table[table["encoder_layers"] == depth]
    values = some.pivot_table(index="layer_of_deepest", columns="layer", values="cka")
    image = ax.imshow(values, vmin=lowest, vmax=1, cmap="cividis", origin="lower")
    ax.set(title=f"{depth} blocks", xlabel="Layer", xticks=range(0, depth + 1, 2))
axes[0].set(ylabel=f"Layer of the encoder of {depths[-1]} blocks")
figure.colorbar(image, ax=axes, label="CKA")

# %%
# Last layers against the deepest encoder's last layer (that of 8 blocks is compared
# with itself):
last = table[table["layer_of_deepest"] == depths[-1]]
last = last[last["layer"] == last["encoder_layers"]]
print(last.pivot(index="encoder_layers", columns="seed", values="cka").round(3))

# %%
# As in the paper, the encoder of 4 blocks is more similar to the deepest than that of
# 2 in each of the three seeds. The 95 % interval of the difference holds 0, so that
# three seeds are too few to decide it.
