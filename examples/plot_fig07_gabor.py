"""
Fig. 7: tasks that need distant pixels
======================================

The target is the response of a Gabor filter of dilation s (Eq. 8) everywhere in the image: the larger s, the farther
one must look. The paper: for larger dilations, features of masked autoencoders with high masks predict it better than
those of low masks. Here: R² of a ridge regression from 8 linear features, from whole images, and from images of which
three quarters are hidden.
"""

# %%
# The filter
# ----------
import matplotlib.pyplot as plt
import numpy as np

from skmae.datasets import load_photo_patches, make_gabor_targets

plt.style.use("tableau-colorblind10")
gabor = {"frequency": 0.25, "sigma": 1.0}
photos = load_photo_patches(4, subset="test", grey=True, random_state=1).images
figure, axes = plt.subplots(2, 4, figsize=(8, 4), layout="constrained")
dot = np.zeros((1, 33, 33))
dot[0, 16, 16] = 1
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
# ``python -m benchmarks.paper.fig07_gabor``: CIFAR-10, 20,000 training and 10,000 test images, three draws, patches of
# 8. A mask of 0 is PCA. (The same on photographs, in seconds: ``make demo``.)
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "fig07_gabor.csv")
mean = table.groupby(["view", "mask", "dilation"])["r2"].mean()
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, view in zip(axes, ("whole", "75% hidden"), strict=True):
    for mask, marker in zip((0.0, 0.25, 0.5, 0.75, 0.9), "osD^v", strict=True):
        scores = mean[view, mask]
        ax.plot(scores.index, scores, marker=marker, label=f"mask {mask}" if mask else "PCA")
    ax.set(title=f"images: {view}", xlabel="Dilation", ylabel="R² on test images")
axes[0].legend()

# %%
# What the highest mask gains over PCA, mean of the draws:
gain = mean.xs(0.9, level="mask") - mean.xs(0.0, level="mask")
print(gain.unstack("view").round(3))

# %%
# Where all of an image is seen, PCA predicts better at every dilation, since the target is linear in the pixels and PCA
# keeps most of them: the paper's result was not reproduced so. Where most of it is hidden, as in training, masking
# pays, and pays more the farther the filter reaches.
#
# Other set-ups
# -------------
# Not all of the paper's settings are in its text. ``python -m benchmarks.paper.fig07_scan`` tries 504 of patch (2 to
# 16), number of features, frequency and width of the filter, in closed form, from the second moments of CIFAR-10 in
# grey: for the whole map and for single pixels. In how many is it as in the paper? Masks within 0.02 of R² of each
# other at dilation 1, and the mask of 0.9 at least 0.02 above PCA and a mask of 0.25 at dilation 8.
scan = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "fig07_scan.csv")
found = scan.groupby(["view", "target", "n_components"])["as_in_paper"].sum().unstack()
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), sharey=True, layout="constrained")
for ax, view in zip(axes, ("whole", "75% hidden"), strict=True):
    found.loc[view].T.plot.bar(ax=ax, rot=0, title=f"images: {view}", xlabel="Number of features")
axes[0].set_ylabel("Set-ups as in the paper, of 72")
found.assign(all=found.sum(axis=1))

# %%
# In few, and next to never with 8 features or more. With 2 or 4 it is so most often for the pixel in the middle of the
# image.
