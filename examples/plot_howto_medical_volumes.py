"""
Medical volumes: find what does not belong in a scan
====================================================

Patches may be three-dimensional: `PatchOutlierDetector` learns from healthy volumes what a block of voxels looks like
beside the rest, and finds the one that the rest does not explain. No lesion is needed to learn from.
"""

# %%
# Volumes of 12 × 12 × 12 voxels with two kinds of tissue, as a scanner blurs them: stands for blocks of a CT that you
# would read with `nibabel` or `pydicom`. Half of the new ones have a small bright lesion.
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from skmae import PatchOutlierDetector

rng = np.random.default_rng(0)


def scan(n):
    tissue = gaussian_filter(rng.normal(size=(n, 12, 12, 12)), (0, 2, 2, 2))
    return gaussian_filter(np.sign(tissue) * 1.0, (0, 1, 1, 1)) + rng.normal(0, 0.1, tissue.shape)


healthy, new = scan(2000), scan(400)
places = rng.integers(2, 10, (200, 3))
for volume, place in zip(new[:200], places, strict=True):
    away = np.linalg.norm(np.indices(volume.shape) - place.reshape(3, 1, 1, 1), axis=0)
    volume[away < 2.2] += 0.6

# %%
# Blocks of 4 × 4 × 4 voxels, at every second place. ``channel_axis=None``: all three axes are space. What one would try
# first, the error of PCA, does as well on these smooth volumes, once its number of components is chosen; on photographs
# it does not (:doc:`/holes`).
detector = PatchOutlierDetector(patch=4, stride=2, channel_axis=None).fit(healthy)
odd = np.repeat([True, False], 200)
print(f"AUROC {roc_auc_score(odd, -detector.score_samples(new)):.2f}")
pca = PCA(100, random_state=0).fit(healthy.reshape(2000, -1))
rest = new - pca.inverse_transform(pca.transform(new.reshape(400, -1))).reshape(new.shape)
blocks = uniform_filter(rest**2, (0, 4, 4, 4)).reshape(400, -1)
print(f"the block with the largest error of PCA: {roc_auc_score(odd, blocks.max(axis=1)):.2f}")

maps = detector.patch_scores(new[:200])  # (200, 12, 12, 12)
found = np.array([np.argwhere(heat == heat.max()).mean(axis=0) for heat in maps])  # the middle of the oddest block
print(f"found within 2 voxels of its middle: {(np.linalg.norm(found - places, axis=1) <= 2).mean():.0%}")

# %%
# Slices through four lesions, which a ring marks, and what the detector says of them.
figure, axes = plt.subplots(2, 4, figsize=(8, 4.2), layout="constrained")
for column, (volume, heat, (i, j, k)) in enumerate(zip(new[:4], maps[:4], places[:4], strict=True)):
    axes[0, column].imshow(volume[i], cmap="gray")
    drawn = axes[1, column].imshow(heat[i], cmap="magma", vmin=0, vmax=maps.max())
    for ax in axes[:, column]:
        ax.plot(k, j, "o", color="none", markeredgecolor="tab:cyan", markersize=22)
        ax.axis("off")
figure.colorbar(drawn, ax=axes[1], label="Score")
plt.show()
