"""
Fig. 6: masks and patches make it look farther
==============================================

The influence of a pixel against its distance, as in :ref:`sphx_glr_gallery_plot_fig05_influence.py`, for masked
autoencoders of several masks and patches. The paper: both make the Jacobian more diffuse, and both take weight off the
output's own patch.
"""

# %%
# By mask, and by patch
# ---------------------
# 64 features of photographs, or of CIFAR-10 with ``SKMAE_DATA`` set.
import os

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearMAE, Moments
from skmae.datasets import fetch_cifar10, load_photo_patches
from skmae.inspection import InfluenceDisplay

plt.style.use("tableau-colorblind10")
images = fetch_cifar10().images if os.environ.get("SKMAE_DATA") else load_photo_patches(8000, size=16).images
moments = Moments.from_data(images)


def influence(mask, patch, name, ax):
    model = LinearMAE(64, mask=mask, patch=patch).fit_moments(moments)
    maps = JacobianBasis(FrozenEstimator(model), outputs="all").fit_transform(images[:1])
    InfluenceDisplay.from_maps(maps, images.shape[1:], name=name, ax=ax)


figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for mask in (0.1, 0.5, 0.9):
    influence(mask, 4, f"mask {mask}", axes[0])
for patch in (2, 4, 8):
    influence(0.75, patch, f"patch {patch}", axes[1])
axes[0].set_title("Patch 4")
axes[1].set_title("Mask 0.75")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig05_influence``, all of CIFAR-10, 64 features. Mean distance, in pixels:
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "influence.csv")
mae = table[(table["model"] == "MAE") & (table["n_components"] == 64)].astype({"patch": int})
print(mae.pivot(index="patch", columns="mask", values="radius_px"))

# %%
# Share of the influence within the 4 × 4 block around the output pixel:
print(mae.pivot(index="patch", columns="mask", values="share_in_patch_4"))

# %%
# Distances grow with the patch, and from patches of 4 on with the mask: as in the paper; at patch 2 they first fall.
# The share nearby falls with the mask, and with the patch. (That of the *own* patch grows with the patch, which is
# larger.)
