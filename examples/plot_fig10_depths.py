"""
Figs. 10, 14, 15: deep encoder, shallow decoder
===============================================

The paper: an encoder's layers cost less time than a decoder's, which sees all patches; a deeper encoder gives a better
probe; one decoder layer suffices; and the loss does not tell which model is better.
"""

# %%
# Cost before training
# --------------------
# Operations of a training step on one image, for the paper's ViT (width 192, patch 2, mask 0.75), counted.
import matplotlib.pyplot as plt
import numpy as np

from skmae import ViTMAE, training_cost

plt.style.use("tableau-colorblind10")
grid = {"encoder_layers": [4, 8, 12], "decoder_layers": [1, 4, 8]}
cost = training_cost(ViTMAE(patch=2), (32, 32, 3), param_grid=grid, measure=False)
print(cost.pivot(index="encoder_layers", columns="decoder_layers", values="gflops").round(2))

# %%
# The run
# -------
# ``python -m benchmarks.paper.fig10_grids --models FOLDER``: width 64, patch 4, mask 0.75, 10 epochs on 5,000 CIFAR-10
# images; a logistic probe, and all of the encoder fine-tuned; 10,000 test images. Means of seeds; the time of the
# fastest, since other work ran beside some.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
keys = ["patch", "mask", "encoder_layers", "decoder_layers", "seed"]
tuned = pd.read_csv(RESULTS / "vit_grid_finetune.csv")[[*keys, "finetuned"]]
table = pd.read_csv(RESULTS / "vit_grid.csv").merge(tuned, on=keys, how="left")
depths = table[(table["patch"] == 4) & (table["mask"] == 0.75)].groupby(["encoder_layers", "decoder_layers"])


def heat_map(ax, values, title, form):
    """A table of numbers, shaded by them."""
    ax.imshow(values, cmap="cividis")
    middle = (values.min().min() + values.max().max()) / 2
    for i, j in np.ndindex(values.shape):
        color = "black" if values.iloc[i, j] > middle else "white"
        ax.text(j, i, format(values.iloc[i, j], form), ha="center", va="center", color=color)
    ax.set(title=title, xticks=range(values.shape[1]), yticks=range(len(values)))
    ax.set(xticklabels=values.columns, yticklabels=values.index)


figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
values = depths[["test_loss", "probe", "finetuned"]].mean().assign(epoch_s=depths["epoch_s"].min())
panels = {"epoch_s": ("Seconds per epoch", ".1f"), "test_loss": ("Loss on test images", ".3f")}
panels |= {"probe": ("Probe", ".1%"), "finetuned": ("Fine-tuned", ".1%")}
for ax, (name, (title, form)) in zip(axes, panels.items(), strict=True):
    heat_map(ax, values[name].unstack(), title, form)
    ax.set(xlabel="Decoder blocks", ylabel="Encoder blocks")
print("seeds:", depths[["probe", "finetuned"]].count(), sep="\n")

# %%
# Probe along training (Fig. 10): ``--along``, 30 epochs, encoders of 2, 4 and 8 blocks, one decoder block; at epoch 0,
# what was not trained (``--control``, mean of seeds).
along = pd.read_csv(RESULTS / "vit_along.csv")
control = pd.read_csv(RESULTS / "vit_grid_control.csv")
untrained = control[control["patch"] == 4].groupby("encoder_layers")["probe"].mean()
figure, ax = plt.subplots()
for (blocks, rows), marker in zip(along.groupby("encoder_layers"), "osD", strict=True):
    rows = rows.groupby("epoch")["probe"].mean()
    probes = [untrained[blocks], *rows]
    ax.plot([0, *rows.index], 100 * np.array(probes), marker=marker, label=f"{blocks} encoder blocks")
ax.set(xlabel="Epoch of pretraining", ylabel="Probe, test accuracy (%)")
ax.legend()

# %%
# What the paper found, against these runs (``python -m benchmarks.paper.verdicts``), with intervals:
verdicts = pd.read_csv(RESULTS / "verdicts.csv")
verdicts = verdicts[verdicts["figure"].isin(["10", "14", "15"])]
for _, row in verdicts.iterrows():
    print(f"{row['claim']}: {row['verdict']}.")
    interval = "no interval" if np.isnan(row["low"]) else f"{row['low']:.3g} to {row['high']:.3g}"
    print(f"    {row['statistic']}: {row['value']:.3g} ({interval}); {row['n']} {row['of']}")
