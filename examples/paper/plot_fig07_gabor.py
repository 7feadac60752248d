"""
Fig. 7: predicting Gabor features, a task that needs distant pixels
===================================================================

The target is the response of a Gabor filter of dilation s (Eq. 8) everywhere in the
image: the larger s, the farther one must look. The paper finds that for larger
dilations, features of masked autoencoders with high masks predict it better than those
with low masks. Here: R² of a ridge regression from few linear features, of whole
images, and of images of which three quarters are hidden.
"""

# %%
# The filter
# ----------
# Responses to a single bright pixel, and to a photograph:
import matplotlib.pyplot as plt
import numpy as np

from skmae.datasets import load_photo_patches, make_gabor_targets

plt.style.use("tableau-colorblind10")
gabor = {"frequency": 0.25, "sigma": 1.0}
photos = load_photo_patches(4, subset="test", grey=True, random_state=1).images
dot = np.zeros((1, 33, 33))
dot[0, 16, 16] = 1
figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.6), layout="constrained")
for (above, below), dilation in zip(axes.T, (1, 2, 4, 8), strict=True):
    for ax, images in ((above, dot), (below, photos[:1])):
        response = make_gabor_targets(images, dilation=dilation, **gabor)[0]
        limit = np.abs(response).max()
        ax.imshow(response, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set(xticks=[], yticks=[])
    above.set_title(f"dilation {dilation}")
axes[0, 0].set_ylabel("of a dot")
axes[1, 0].set_ylabel("of a photograph")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig07_gabor``: CIFAR-10, 20,000 training and 10,000 test
# images, patches of 8, means of three draws. A mask of 0 is PCA. The ridge regression
# chooses its strength by cross-validation. First with 8 features, and all training
# images labelled. (The same on photographs, in seconds: ``make demo``.)
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "fig07_gabor.csv")
views = {"whole": "Whole images", "75% hidden": "75 % hidden"}
few = table[(table["n_components"] == 8) & (table["labelled"] == 20_000)]
mean = few.groupby(["view", "mask", "dilation"])["r2"].mean()
masks = (0.0, 0.25, 0.5, 0.75, 0.9)
shades = plt.colormaps["viridis"](np.linspace(0, 0.85, 5))
# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(2, figsize=(6, 7.5), sharex=True, layout="constrained")
for ax, (view, title) in zip(axes, views.items(), strict=True):
    for mask, marker, shade in zip(masks, "osD^v", shades, strict=True):
        label = f"mask {mask}" if mask else "PCA"
        r2 = mean[view, mask]
        ax.plot(r2.index, r2, marker=marker, color=shade, label=label)
    ax.set(title=title, ylabel="R² on test images")
axes[1].set_xlabel("Dilation")
axes[0].legend()

# %%
# What the highest mask, 0.9, gains over PCA in R², mean of the draws; for 8 and 64
# features, and 50, 500 and 20,000 labelled images to fit the ridge regression on:
keys = ["view", "n_components", "labelled", "dilation"]
mean = table.groupby(["mask", *keys])["r2"].mean()
gain = (mean[0.9] - mean[0.0]).unstack()[[1, 8]]
print(gain.round(3))

figure, axes = plt.subplots(
    2, 2, figsize=(6.4, 5.8), sharex=True, sharey=True, layout="constrained"
)
for row, (view, title) in zip(axes, views.items(), strict=True):
    for ax, k in zip(row, (8, 64), strict=True):
        some = gain.loc[view, k]
        ax.axhline(0, color="grey", linewidth=0.8)
        for dilation, style in ((1, "C0o-"), (8, "C1s--")):
            ax.semilogx(some.index, some[dilation], style, label=f"dilation {dilation}")
        ax.set_title(f"{title}, {k} features")
axes[0, 0].set(xticks=(50, 500, 20_000), xticklabels=(50, 500, "20,000"))
axes[0, 0].minorticks_off()
axes[0, 0].legend()
figure.supxlabel("Labelled images")
figure.supylabel("Gain of mask 0.9 over PCA (R²)")

# %%
# From whole images, PCA predicts better, whatever the number of features and of labels:
# the target is linear in the pixels, and no features of the same number keep more of
# these than PCA's. The paper's result was not reproduced in this way. From images most
# of which is hidden, as in training, masking pays in all six cases, by 0.04 to 0.12 of
# R², and in the mean of the draws it pays more at dilation 8 than at 1. (With 64
# features that difference is small, and with 50 labels three draws cannot decide it.)
# How high the mask is matters little there: with 8 features and all labels, masks of
# 0.25 to 0.9 are within 0.01 of each other.
#
# Other set-ups
# -------------
# The text of the paper does not give all of its settings. ``python -m
# benchmarks.paper.fig07_scan`` tries 504: patches of 2 to 16, numbers of features,
# frequencies and widths of the filter, in closed form, from the second moments of
# CIFAR-10 in grey; for the whole map of responses and for single pixels of it. A result
# is counted as the paper's if R² differs by at most 0.02 between masks at dilation 1,
# and at dilation 8 the mask of 0.9 is at least 0.02 above both PCA and a mask of 0.25.
# In how many set-ups is that so?
scan = pd.read_csv(RESULTS / "fig07_scan.csv")
found = scan.groupby(["view", "target", "n_components"])["as_in_paper"].sum().unstack()
figure, axes = plt.subplots(
    2, figsize=(6.4, 6), sharex=True, sharey=True, layout="constrained"
)
for ax, (view, title) in zip(axes, views.items(), strict=True):
    colors = ("C0", "C1", "C3")
    found.loc[view].T.plot.bar(ax=ax, rot=0, title=title, color=colors, width=0.8)
    ax.set_ylabel("Set-ups, of 72")
axes[1].set_xlabel("Number of features")
axes[1].get_legend().remove()
found.assign(all=found.sum(axis=1))

# %%
# In few, and next to never with 8 features or more. With 2 or 4 features, it is so most
# often for the pixel in the middle of the image.
