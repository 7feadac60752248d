"""
Classify pictures of which parts are missing
============================================

A classifier was trained on whole pictures, and gets pictures with holes. `LinearMAE` takes them as they come: NaN is
hidden, and its features stay close to those of the whole picture.
"""

# %%
# Which photograph is a crop from?
# --------------------------------
# Crops of four photographs, 32 × 32 pixels in colour; 16 features; nearest neighbours among 6,000 whole crops.
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
# A square at a random place, set to NaN. The same squares for all.
sides, n_test = (0, 8, 16, 24), 300


def with_square(images, side, seed=0):
    holes = images.astype(np.float32).reshape(-1, 32, 32, 3).copy()
    places = np.random.default_rng(seed).integers(0, 33 - side, (len(holes), 2))
    for image, (row, column) in zip(holes, places, strict=True):
        image[row : row + side, column : column + side] = np.nan
    return holes


accuracy = {
    name: [pipe.score(with_square(X_test[:n_test], side).reshape(n_test, -1), test.photo[:n_test]) for side in sides]
    for name, pipe in pipes.items()
}
for name, scores in accuracy.items():
    print(f"{name}: {np.round(scores, 2)}")

# %%
plt.style.use("tableau-colorblind10")
figure = plt.figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.3))
axes = left.subplots(2, 3)
for column, side in enumerate(sides[1:]):
    holes = with_square(X_test[:n_test], side)
    for row in range(2):
        axes[row, column].imshow(np.where(np.isnan(holes[row]), 255, holes[row]).astype(np.uint8))
        axes[row, column].set_axis_off()
    axes[0, column].set_title(f"{side} × {side}")
ax = right.subplots()
for (name, scores), marker in zip(accuracy.items(), "os^", strict=True):
    ax.plot([side**2 / 32**2 for side in sides], scores, marker=marker, label=name)
ax.axhline(0.25, color="0.6", linestyle=":", label="chance")
ax.set(xlabel="Share of the picture that is hidden", ylabel="Accuracy", ylim=(0.2, 1))
ax.legend(fontsize="small")
plt.show()
