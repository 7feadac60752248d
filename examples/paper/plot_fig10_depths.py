"""
Figs. 10, 14, 15: depth of a ViT-MAE's encoder and decoder
==========================================================

The paper finds that a layer of the encoder costs less time than one of the decoder,
which sees all patches; that a deeper encoder gives a better probe; that one decoder
layer suffices; and that the loss does not tell which model is better.
"""

# %%
# Cost before training
# --------------------
# Operations of a training step on one image, in GFLOPs, for the paper's ViT (width 192,
# patch 2, mask 0.75): counted, not measured.
import matplotlib.pyplot as plt
import numpy as np

from skmae import ViTMAE, training_cost

plt.style.use("tableau-colorblind10")
grid = {"encoder_layers": [4, 8, 12], "decoder_layers": [1, 4, 8]}
cost = training_cost(ViTMAE(patch=2), (32, 32, 3), param_grid=grid, measure=False)
print(cost.pivot_table("gflops", "encoder_layers", "decoder_layers").round(2))

# %%
# The run
# -------
# ``python -m benchmarks.paper.fig10_grids --models FOLDER``: width 64, patch 4, mask
# 0.75, 10 epochs on 5,000 CIFAR-10 images, 10,000 test images. The probe is a logistic
# regression on frozen features; fine-tuning trains all of the encoder. Numbers are
# means of seeds, but times those of the fastest, since other work ran beside some.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
keys = ["patch", "mask", "encoder_layers", "decoder_layers", "seed"]
tuned = pd.read_csv(RESULTS / "vit_grid_finetune.csv")[[*keys, "finetuned"]]
table = pd.read_csv(RESULTS / "vit_grid.csv").merge(tuned, on=keys, how="left")
table = table[(table["patch"] == 4) & (table["mask"] == 0.75)]
depths = table.groupby(["encoder_layers", "decoder_layers"])


def heat_map(ax, values, title, form):
    """A table of numbers, shaded by them."""
    ax.imshow(values, cmap="cividis")
    middle = (values.min().min() + values.max().max()) / 2
    for (i, j), value in np.ndenumerate(values):
        color = "black" if value > middle else "white"
        ax.text(j, i, format(value, form), ha="center", va="center", color=color)
    ax.set(title=title, xticks=range(values.shape[1]), yticks=range(len(values)))
    ax.set(xticklabels=values.columns, yticklabels=values.index)


values = depths[["test_loss", "probe", "finetuned"]].mean()
values["epoch_s"] = depths["epoch_s"].min()
panels = {
    "epoch_s": ("Seconds per epoch", ".1f"),
    "test_loss": ("Loss on test images", ".3f"),
    "probe": ("Accuracy of the probe", ".1%"),
    "finetuned": ("Fine-tuned, one seed", ".1%"),
}
figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.6), layout="constrained")
for ax, (name, (title, form)) in zip(axes.flat, panels.items(), strict=True):
    heat_map(ax, values[name].unstack(), title, form)
figure.supxlabel("Decoder blocks")
figure.supylabel("Encoder blocks")
print("seeds:", depths[["probe", "finetuned"]].count(), sep="\n")

# %%
# The probe along training (Fig. 10): ``--along``, 30 epochs, one decoder block, mean of
# three seeds. At epoch 0, the same networks untrained (``--control``).
along = pd.read_csv(RESULTS / "vit_along.csv")
control = pd.read_csv(RESULTS / "vit_grid_control.csv")
untrained = control[control["patch"] == 4].groupby("encoder_layers")["probe"].mean()
figure, ax = plt.subplots(layout="constrained")
for (blocks, rows), style in zip(
    along.groupby("encoder_layers"), ("C0o-", "C1s-", "C3D-"), strict=True
):
    rows = rows.groupby("epoch")["probe"].mean()
    probes = 100 * np.array([untrained[blocks], *rows])
    ax.plot([0, *rows.index], probes, style, label=f"{blocks} encoder blocks")
ax.set(
    title="Probe along training",
    xlabel="Epoch of pretraining",
    ylabel="Test accuracy of the probe (%)",
)
ax.legend()

# %%
# What the paper found, and whether these runs agree (``python -m
# benchmarks.paper.verdicts``), with intervals:
verdicts = pd.read_csv(RESULTS / "verdicts.csv")
verdicts = verdicts[verdicts["figure"].isin(["10", "14", "15"])]
for _, row in verdicts.iterrows():
    interval = f"{row['low']:.3g} to {row['high']:.3g}"
    if np.isnan(row["low"]):
        interval = "no interval"
    print(f"{row['claim']}: {row['verdict']}.")
    print(f"    {row['statistic']}:")
    print(f"    {row['value']:.3g} ({interval}); {row['n']} {row['of']}")
