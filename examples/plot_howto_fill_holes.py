"""
Clouds over pictures: fill what is hidden
=========================================

Parts of pictures may be missing: clouds, dead pixels, a land mask, a hand in front of the lens. `LinearMAE.fill` fills
them from what is visible, leaves the rest as it is, and says how sure it is of each pixel.
"""

# %%
# Learn from whole pictures
# -------------------------
# Crops of four photographs, 24 × 24 pixels in colour. `Moments` are all that filling needs: they add up over batches,
# files and machines, and no row is kept.
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
# A picture of another photograph, and clouds
# -------------------------------------------
# Whatever stands under a cloud is not read: here, white.
photo = chelsea()[40:232, 80:320]  # (192, 240, 3)
clouds = gaussian_filter(np.random.default_rng(1).standard_normal(photo.shape[:2]), 6)
visible = clouds < np.quantile(clouds, 0.7)
cloudy = np.where(visible[..., np.newaxis], photo, 255)

# %%
# Fill it, tile by tile. Each tile overlaps its neighbours by half, and those that are surer count for more: the weight
# is one over the variance that ``return_std`` tells, and smaller towards the edges of a tile, so that no seam shows.
starts = [
    (row, column) for row in range(0, 192 - SIZE + 1, SIZE // 2) for column in range(0, 240 - SIZE + 1, SIZE // 2)
]


def tiles(picture):
    return np.stack([picture[row : row + SIZE, column : column + SIZE] for row, column in starts])


filled, std = mae.fill(tiles(cloudy), tiles(visible), return_std=True)
window = np.bartlett(SIZE + 2)[1:-1]
weights = np.outer(window, window)[..., np.newaxis] / np.maximum(std, 0.5) ** 2
sums = {name: np.zeros(photo.shape) for name in ("weight", "picture", "std")}
for (row, column), weight, tile, deviation in zip(starts, weights, filled, std, strict=True):
    here = np.s_[row : row + SIZE, column : column + SIZE]
    for name, value in (("weight", 1), ("picture", tile), ("std", deviation)):
        sums[name][here] += weight * value
result = np.clip(sums["picture"] / sums["weight"], 0, 255)

# %%
# How sure it is: red where a pixel may be far from what fills it, in the middle of large clouds and at sharp edges.
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(1, 4, figsize=(11, 2.6), layout="constrained")
unsure = np.where(visible, np.nan, (sums["std"] / sums["weight"]).mean(axis=-1))
pictures = {"Photograph": photo, "With clouds": cloudy, "Filled": result.astype(np.uint8)}
for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
    ax.imshow(picture)
    ax.set_title(title)
image = axes[3].imshow(unsure, cmap="YlOrRd")
axes[3].set_title("How unsure (grey levels)")
figure.colorbar(image, ax=axes[3], shrink=0.9)
for ax in axes:
    ax.set_axis_off()
plt.show()

# %%
# In figures, over what was hidden: the share of the variance that is explained, and how many pixels lie within 1.96
# standard deviations. That is 95 % for pictures like those that were learned from; fur is smoother than these.
hidden = ~tiles(visible)
truth, mean = tiles(photo).astype(float), mae.mean_.reshape(SIZE, SIZE, 3)


def r2(guess):
    return 1 - ((guess - truth)[hidden] ** 2).sum() / ((mean - truth)[hidden] ** 2).sum()


linear = mae.fill(tiles(cloudy), tiles(visible), method="linear")
print(f"R² {r2(filled):.2f}; by the model's own reconstruction {r2(linear):.2f}")
print(f"within 1.96 standard deviations: {(np.abs(filled - truth) < 1.96 * std)[hidden].mean():.0%}")

# %%
# In a Pipeline
# -------------
# `PatchImputer` does the same in the place of `sklearn.impute.SimpleImputer`, with NaN for what is hidden, before any
# estimator. A `LinearMAE` needs none: its `transform` takes NaN, and masked arrays, as hidden.
from skmae import PatchImputer

holes = np.where(tiles(visible)[..., np.newaxis], tiles(photo).astype(np.float32), np.nan)
print(PatchImputer(LinearMAE(patch=4)).fit(crops[:5000]).transform(holes).shape)
print(mae.transform(holes).shape)
