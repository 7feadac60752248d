"""
Fig. 11: mask and patch of a ViT
================================

The paper: high masks and large patches train faster; low masks and small patches rebuild better; small patches with
high masks give the best probes; the loss does not say which.
"""

# %%
# The run
# -------
# ``python -m benchmarks.paper.fig10_grids --models FOLDER``: width 64, 4 + 1 blocks, 10 epochs on 5,000 CIFAR-10
# images; a logistic probe on 10,000 test images. Means of seeds; the time of the fastest, since other work ran
# beside some.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import skmae

plt.style.use("tableau-colorblind10")
RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "vit_grid.csv")
grid = table[(table["encoder_layers"] == 4) & (table["decoder_layers"] == 1)].groupby(["patch", "mask"])


def heat_map(ax, values, title, form, shades=None):
    """A table of numbers, shaded by them or by others."""
    shades = values if shades is None else shades
    ax.imshow(shades, cmap="cividis")
    middle = (shades.min().min() + shades.max().max()) / 2
    for i, j in np.ndindex(values.shape):
        color = "black" if shades.iloc[i, j] > middle else "white"
        ax.text(j, i, format(values.iloc[i, j], form), ha="center", va="center", color=color)
    ax.set(title=title, xticks=range(values.shape[1]), yticks=range(len(values)))
    ax.set(xticklabels=values.columns, yticklabels=values.index)


figure, axes = plt.subplots(1, 3, figsize=(14, 3.4), layout="constrained")
fastest = grid["epoch_s"].min().unstack()
heat_map(axes[0], fastest, "Seconds per epoch", ".1f", shades=np.log(fastest))
heat_map(axes[1], grid["test_loss"].mean().unstack(), "Loss on test images", ".2f")
heat_map(axes[2], grid["probe"].mean().unstack(), "Probe", ".1%")
for ax in axes:
    ax.set(xlabel="Mask", ylabel="Patch (pixels)")
print("seeds:", grid["seed"].nunique().unstack(), sep="\n")

# %%
# The same networks with fresh weights (``--control``), 4 + 1 blocks, by patch: no mask can change them.
control = pd.read_csv(RESULTS / "vit_grid_control.csv")
untrained = control[control["encoder_layers"] == 4].groupby("patch")["probe"]
print(untrained.agg(["mean", "min", "max"]).round(3))

# %%
# What the paper found, against this run (``python -m benchmarks.paper.verdicts``), with intervals:
verdicts = pd.read_csv(RESULTS / "verdicts.csv")
for _, row in verdicts[verdicts["figure"] == "11"].iterrows():
    print(f"{row['claim']}: {row['verdict']}.")
    interval = "no interval" if np.isnan(row["low"]) else f"{row['low']:.3g} to {row['high']:.3g}"
    print(f"    {row['statistic']}: {row['value']:.3g} ({interval}); {row['n']} {row['of']}")

# %%
# And linear models?
# ------------------
# `suggest_masking` scores masks and patches by linear models, in seconds. How well that agrees with the probes above
# (``python -m benchmarks.paper.proxy``): Spearman's correlation, and its 95 % interval.
agreement = pd.read_csv(RESULTS / "proxy_agreement.csv")
print(agreement[["ranking", "spearman", "low", "high"]].to_string(index=False))
