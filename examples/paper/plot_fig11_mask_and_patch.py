"""
Fig. 11: choosing mask and patch of a ViT-MAE
=============================================

The paper finds that high masks and large patches train faster, that low masks and small
patches rebuild better, that small patches with high masks give the best probes, and
that the loss does not tell which model is better.
"""

# %%
# The run
# -------
# ``python -m benchmarks.paper.fig10_grids --models FOLDER``: width 64, 4 encoder blocks
# and 1 decoder block, 10 epochs on 5,000 CIFAR-10 images; a logistic probe, 10,000 test
# images. Numbers are means of seeds, but times those of the fastest, since other work
# ran beside some. Times are shaded by their logarithm.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import skmae

plt.style.use("tableau-colorblind10")
RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "vit_grid.csv")
table = table[(table["encoder_layers"] == 4) & (table["decoder_layers"] == 1)]
grid = table.groupby(["patch", "mask"])


def heat_map(ax, values, title, form, norm="linear"):
    """A table of numbers, shaded by them."""
    image = ax.imshow(values, cmap="cividis", norm=norm)
    for (i, j), value in np.ndenumerate(values):
        color = "black" if image.norm(value) > 0.5 else "white"
        ax.text(j, i, format(value, form), ha="center", va="center", color=color)
    ax.set(title=title, xticks=range(values.shape[1]), yticks=range(len(values)))
    ax.set(xticklabels=values.columns, yticklabels=values.index)
    ax.set(xlabel="Mask", ylabel="Patch (pixels)")


figure, axes = plt.subplots(3, figsize=(5.6, 9), layout="constrained")
fastest = grid["epoch_s"].min().unstack()
heat_map(axes[0], fastest, "Seconds per epoch", ".1f", norm="log")
heat_map(axes[1], grid["test_loss"].mean().unstack(), "Loss on test images", ".2f")
heat_map(axes[2], grid["probe"].mean().unstack(), "Accuracy of the probe", ".1%")
print("seeds:", grid["seed"].nunique().unstack(), sep="\n")

# %%
# Probes of the same networks, untrained (``--control``), by patch; the mask makes no
# difference to them:
control = pd.read_csv(RESULTS / "vit_grid_control.csv")
untrained = control[control["encoder_layers"] == 4].groupby("patch")["probe"]
print(untrained.agg(["mean", "min", "max"]).round(3))

# %%
# What the paper found, and whether this run agrees (``python -m
# benchmarks.paper.verdicts``), with intervals:
verdicts = pd.read_csv(RESULTS / "verdicts.csv")
for _, row in verdicts[verdicts["figure"] == "11"].iterrows():
    interval = f"{row['low']:.3g} to {row['high']:.3g}"
    if np.isnan(row["low"]):
        interval = "no interval"
    print(f"{row['claim']}: {row['verdict']}.")
    print(f"    {row['statistic']}:")
    print(f"    {row['value']:.3g} ({interval}); {row['n']} {row['of']}")

# %%
# Can linear models choose them?
# ------------------------------
# `suggest_masking` scores masks and patches by linear models, in seconds. How well does
# that rank the 18 settings above, by the probes of the ViTs? ``python -m
# benchmarks.paper.proxy`` compares it with other rankings, by Spearman's correlation
# with the probes: between the six masks of one patch, and between the three patches of
# one mask. There are n of these correlations; shown are their mean, the least and the
# greatest. (There is no interval over all settings: 18 combinations of three patches
# are not 18 independent settings.)
agreement = pd.read_csv(RESULTS / "proxy_agreement.csv")
for (between, n), rows in agreement.groupby(["between", "n"]):
    print(f"Between {between}, n = {n}:")
    print(rows[["ranking", "mean", "least", "greatest"]].to_string(index=False))

# %%
# The linear score is no guide to the probes of these ViTs: between masks its mean
# correlation with them is -0.07, and between patches it is anything from -1 to 1. The
# simple rule "the smaller the patch, the better" ranks the patches right at every mask;
# so do the correlation of hidden pixels with the nearest visible one, the operations of
# a training step and the ViT's own loss. Between masks, the rule "the lower the mask,
# the better" has a mean correlation of 0.41 with the probes, and so have those three.
