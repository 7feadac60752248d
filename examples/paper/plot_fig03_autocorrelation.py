"""
Fig. 3: spatial autocorrelation of images
=========================================

Masked patches can be guessed because pixels correlate with pixels some way off, the
less the farther (Eq. 5). The paper shows this for natural images. Here: photographs,
images of noise for comparison, and the committed run on CIFAR-10 and Tiny ImageNet.
"""

# %%
# Photographs, and noise
# ----------------------
import matplotlib.pyplot as plt
import numpy as np

from skmae.datasets import load_photo_patches
from skmae.inspection import AutocorrelationDisplay

plt.style.use("tableau-colorblind10")
photos = load_photo_patches(3000).images  # (n, 32, 32, 3) of uint8
noise = np.random.default_rng(0).integers(0, 256, photos.shape, dtype=np.uint8)

display = AutocorrelationDisplay.from_samples(photos, name="photographs")
AutocorrelationDisplay.from_samples(noise, name="noise", ax=display.ax_, linestyle="--")
display.ax_.set_title("Crops of 32 × 32 pixels")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig03_autocorrelation`` on all 50,000 training images of
# CIFAR-10, 10,000 crops of photographs, and 10,000 images of Tiny ImageNet, whose 64 ×
# 64 pixels go twice as far.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "fig03_autocorrelation.csv")
figure, ax = plt.subplots(layout="constrained")
styles = {"CIFAR-10": "C0-", "photographs": "C1--", "Tiny ImageNet": "C3-."}
for name, style in styles.items():
    rows = table[table["data"] == name]
    ax.plot(rows["distance_px"], rows["correlation"], style, label=name)
ax.set(
    title="Three data sets",
    xlabel="Distance (pixels)",
    ylabel="Correlation",
    ylim=(0, 1.05),
)
ax.legend()

# %%
# Spearman's rank correlation of the curves with distance, up to 16 pixels, where there
# are many pairs (-1: it always falls):
near = table[table["distance_px"] <= 16]
for name, rows in near.groupby("data"):
    print(name, round(rows["distance_px"].corr(rows["correlation"], "spearman"), 3))

# %%
# As in the paper, correlation falls with distance, smoothly and slowly: neighbours are
# very similar, and half the image away there is still something to predict from. (Pairs
# that are farther apart, towards opposite corners, are few; in CIFAR-10 and Tiny
# ImageNet they are more similar again.)
