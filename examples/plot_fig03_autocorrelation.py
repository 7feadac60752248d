"""
Fig. 3: near pixels are alike
=============================

Masked patches can be guessed because pixels correlate with pixels some way off, the less the farther (Eq. 5). The paper
shows it for natural images. Here: photographs, patches of noise for comparison, and the committed run on CIFAR-10 and
Tiny ImageNet.
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
AutocorrelationDisplay.from_samples(noise, name="noise", ax=display.ax_)
display.ax_.set_title("32 × 32 crops")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig03_autocorrelation`` on all 50,000 training images of CIFAR-10, 10,000 crops of
# photographs, and 10,000 images of Tiny ImageNet, whose 64 × 64 pixels go twice as far.
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "fig03_autocorrelation.csv")
figure, ax = plt.subplots()
for name, style in (("CIFAR-10", "-"), ("photographs", "--"), ("Tiny ImageNet", ":")):
    rows = table[table["data"] == name]
    ax.plot(rows["distance_px"], rows["correlation"], style, label=name)
ax.set(xlabel="Distance (pixels)", ylabel="Correlation", ylim=(-0.3, 1.05))
ax.legend()

# %%
# Of the distance, and of all pairs at most half the image apart, where there are many:
near = table[table["distance_px"] <= 16]
print(near.groupby("data").apply(lambda g: g["correlation"].corr(g["distance_px"], method="spearman")).round(3))

# %%
# As in the paper, correlation falls with distance, smoothly and slowly: neighbours are almost equal, and half the image
# away something is left to predict from. (In CIFAR-10 the few pairs that are farther apart, opposite corners, are more
# alike again.)
