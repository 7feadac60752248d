"""
Fill missing parts of images (inpainting)
=========================================

Parts of images may be missing: clouds, dead pixels, a land mask, a hand in front of the
lens. `LinearMAE.fill` fills them from what is visible, leaves the rest as it is, and
says how sure it is of each pixel.
"""

# %%
# Learn from whole images
# -----------------------
# Crops of four photographs, 24 × 24 pixels in colour. `Moments` are all that filling
# needs: they add up over batches, files and machines, and no row is kept.
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.data import chelsea

from skmae import LinearMAE, Moments
from skmae.datasets import load_photo_patches

SIZE = 24
crops = load_photo_patches(20_000, size=SIZE).images
mae = LinearMAE(64, patch=4).fit_moments(Moments.from_data(crops))

# %%
# Another photograph, with clouds
# -------------------------------
# `fill` does not read what stands under a cloud: here, white.
photo = chelsea()[40:232, 80:320]  # (192, 240, 3)
clouds = gaussian_filter(np.random.default_rng(1).standard_normal(photo.shape[:2]), 6)
visible = clouds < np.quantile(clouds, 0.7)
cloudy = np.where(visible[..., np.newaxis], photo, 255)

# %%
# Fill it tile by tile. Each tile overlaps its neighbours by half, and where tiles
# overlap, their mean is taken. The surer tile counts for more: its weight is one over
# the variance, from ``return_std``. Weights also fall towards the edges of a tile, so
# that no seam shows.
rows, columns = (range(0, length - SIZE + 1, SIZE // 2) for length in photo.shape[:2])
places = [np.s_[i : i + SIZE, j : j + SIZE] for i in rows for j in columns]


def tiles(image):
    return np.stack([image[place] for place in places])


filled, std = mae.fill(tiles(cloudy), tiles(visible), return_std=True)
window = np.bartlett(SIZE + 2)[1:-1]
weights = np.outer(window, window)[..., np.newaxis] / np.maximum(std, 0.5) ** 2
sums = {name: np.zeros(photo.shape) for name in ("weight", "image", "std")}
for i, place in enumerate(places):
    sums["weight"][place] += weights[i]
    sums["image"][place] += weights[i] * filled[i]
    sums["std"][place] += weights[i] * std[i]
result = np.clip(sums["image"] / sums["weight"], 0, 255)

# %%
# How sure it is: red where a pixel may be far from what fills it, in the middle of
# large clouds and at sharp edges.
unsure = np.where(visible, np.nan, (sums["std"] / sums["weight"]).mean(axis=-1))
images = {"Photograph": photo, "With clouds": cloudy, "Filled": np.uint8(result)}

figure, axes = plt.subplots(2, 2, figsize=(6.4, 6), layout="constrained")
for ax, (title, image) in zip(axes.flat, images.items(), strict=False):
    ax.imshow(image)
    ax.set_title(title)
drawn = axes[1, 1].imshow(unsure, cmap="YlOrRd", vmin=0)
axes[1, 1].set_title("How unsure")
bar = figure.colorbar(drawn, ax=axes, location="bottom", shrink=0.6)
bar.set_label("Standard deviation (grey levels of 255)")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# In numbers, over all that was hidden: the share of the variance that is explained, and
# how many pixels lie within 1.96 standard deviations of what fills them. For images
# like those it learned from, 95 % do. The fur here is smoother than those images, so
# that more do.
hidden = ~tiles(visible)
truth, mean = tiles(photo).astype(float), mae.mean_.reshape(SIZE, SIZE, 3)
spread = ((mean - truth)[hidden] ** 2).sum()


def r2(guess):
    return 1 - ((guess - truth)[hidden] ** 2).sum() / spread


linear = mae.fill(tiles(cloudy), tiles(visible), method="linear")
within = (np.abs(filled - truth) < 1.96 * std)[hidden].mean()
print(f"R² {r2(filled):.2f}; by the model's own reconstruction {r2(linear):.2f}")
print(f"within 1.96 standard deviations: {within:.0%}")

# %%
# In a pipeline
# -------------
# `PatchImputer` does the same in the place of `sklearn.impute.SimpleImputer`: before
# any estimator, with NaN for what is hidden. A `LinearMAE` needs none: its `transform`
# takes NaN, and masked arrays, as hidden.
from skmae import PatchImputer

seen = tiles(visible)[..., np.newaxis]
holes = np.where(seen, tiles(photo).astype(np.float32), np.nan)
print(PatchImputer(LinearMAE(patch=4)).fit(crops[:5000]).transform(holes).shape)
print(mae.transform(holes).shape)
