"""
Medical volumes: find anomalies in 3-D scans
============================================

Patches may be three-dimensional. `PatchOutlierDetector` learns from healthy volumes
what a block of voxels looks like, given the rest, and then finds blocks that the rest
does not explain. It needs no lesions to learn from.
"""

# %%
# Volumes, half of the new ones with a lesion
# -------------------------------------------
# They have 12 × 12 × 12 voxels and two kinds of tissue, blurred as by a scanner, and
# stand for blocks of a CT that you would read with `nibabel` or `pydicom`. The lesions
# are small and bright.
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from skmae import PatchOutlierDetector

rng = np.random.default_rng(0)


def scan(n):
    tissue = gaussian_filter(rng.normal(size=(n, 12, 12, 12)), (0, 2, 2, 2))
    blurred = gaussian_filter(np.sign(tissue) * 1.0, (0, 1, 1, 1))
    return blurred + rng.normal(0, 0.1, tissue.shape)


healthy, new = scan(2000), scan(400)
places = rng.integers(2, 10, (200, 3))
for volume, place in zip(new[:200], places, strict=True):
    away = np.linalg.norm(np.indices(volume.shape) - place.reshape(3, 1, 1, 1), axis=0)
    volume[away < 2.2] += 0.6

# %%
# Learn, and judge
# ----------------
# Blocks have 4 × 4 × 4 voxels, and begin at every second place. ``channel_axis=None``
# says that all three axes are space.
detector = PatchOutlierDetector(patch=4, stride=2, channel_axis=None).fit(healthy)
odd = np.repeat([True, False], 200)
print(f"AUROC {roc_auc_score(odd, -detector.score_samples(new)):.2f}")

# %%
# What one would try first is the error of a PCA. Once its number of components is
# chosen, it does as well on these smooth volumes; on photographs it does not
# (:doc:`/holes`).
pca = PCA(100, random_state=0).fit(healthy.reshape(2000, -1))
rebuilt = pca.inverse_transform(pca.transform(new.reshape(400, -1)))
squares = (new - rebuilt.reshape(new.shape)) ** 2
worst = uniform_filter(squares, (0, 4, 4, 4)).reshape(400, -1).max(axis=1)
print(f"the block with the largest error of PCA: {roc_auc_score(odd, worst):.2f}")

# %%
# Where is the lesion? In the middle of the oddest block:
maps = detector.patch_scores(new[:200])  # (200, 12, 12, 12)
found = np.array([np.argwhere(heat == heat.max()).mean(axis=0) for heat in maps])
near = np.linalg.norm(found - places, axis=1) <= 2
print(f"found within 2 voxels of its middle: {near.mean():.0%}")

# %%
# Slices through the first four lesions, each marked by a ring, and how odd the detector
# finds them:
figure, axes = plt.subplots(2, 4, figsize=(6.4, 3), layout="constrained")
for column, (i, j, k) in enumerate(places[:4]):
    axes[0, column].imshow(new[column, i], cmap="gray")
    heat = axes[1, column].imshow(maps[column, i], "magma", vmin=0, vmax=maps.max())
    for ax in axes[:, column]:
        ax.plot(k, j, "o", color="none", markeredgecolor="tab:cyan", markersize=18)
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("Slice")
axes[1, 0].set_ylabel("Oddness")
figure.colorbar(heat, ax=axes, label="Deviations of the log score")
plt.show()
