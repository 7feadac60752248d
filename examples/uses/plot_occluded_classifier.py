"""
Classify images with missing parts (occlusion)
==============================================

A classifier was trained on whole images, and is given images with holes. `LinearMAE`
takes them as they come: it reads NaN as hidden, and its features stay close to those of
the whole image.
"""

# %%
# Which photograph is a crop from?
# --------------------------------
# Crops of four photographs, 32 × 32 pixels in colour; 16 features; nearest neighbours
# among 6,000 whole crops.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, PatchImputer
from skmae.datasets import load_photo_patches

train = load_photo_patches(6000, random_state=0)
test = load_photo_patches(1000, random_state=1)
X, X_test = train.data.astype(np.float32), test.data.astype(np.float32)


def probe():
    return make_pipeline(StandardScaler(), KNeighborsClassifier(20))


pipes = {
    "PCA, holes filled by the mean": make_pipeline(SimpleImputer(), PCA(16), probe()),
    "LinearMAE": make_pipeline(LinearMAE(16, mask=0.75, patch=4), probe()),
    "LinearMAE, holes filled by PatchImputer": make_pipeline(
        PatchImputer(LinearMAE(patch=4)), LinearMAE(16, mask=0.75, patch=4), probe()
    ),
}
for pipe in pipes.values():
    pipe.fit(X, train.photo)

# %%
# Holes of every size
# -------------------
# A square at a random place is set to NaN. The squares are the same for all three.
sides, n_test = (0, 8, 16, 24), 300


def with_square(images, side, seed=0):
    holes = images.astype(np.float32).reshape(-1, 32, 32, 3).copy()
    places = np.random.default_rng(seed).integers(0, 33 - side, (len(holes), 2))
    for image, (row, column) in zip(holes, places, strict=True):
        image[row : row + side, column : column + side] = np.nan
    return holes


holes = {side: with_square(X_test[:n_test], side) for side in sides}
accuracy = {
    name: [
        pipe.score(images.reshape(n_test, -1), test.photo[:n_test])
        for images in holes.values()
    ]
    for name, pipe in pipes.items()
}
for name, scores in accuracy.items():
    print(f"{name}: {np.round(scores, 2)}")

# %%
# Above, a crop with holes of three sizes; below, the accuracy.
plt.style.use("seaborn-v0_8-colorblind")
figure, axes = plt.subplot_mosaic(
    [[8, 16, 24], ["scores"] * 3],
    figsize=(6.4, 6.4),
    height_ratios=(1, 1.6),
    layout="constrained",
)
for side in sides[1:]:
    image = holes[side][1]
    axes[side].imshow(np.uint8(np.where(np.isnan(image), 255, image)))
    axes[side].set(title=f"{side} × {side} pixels", xticks=[], yticks=[])
ax = axes["scores"]
shares = [100 * side**2 / 32**2 for side in sides]
for (name, scores), marker in zip(accuracy.items(), "os^", strict=True):
    ax.plot(shares, scores, marker=marker, label=name)
ax.axhline(0.25, color="0.5", linestyle=":", label="chance")
ax.set(xlabel="Hidden part of the image (%)", ylabel="Accuracy", ylim=(0, 1))
figure.legend(loc="outside lower center")
plt.show()
