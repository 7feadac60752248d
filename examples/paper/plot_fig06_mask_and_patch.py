"""
Fig. 6: how far linear MAEs look, by mask and patch
===================================================

The influence of a pixel against its distance, as in
:ref:`sphx_glr_gallery_paper_plot_fig05_influence.py`, for linear masked autoencoders
(MAE) of several masks and patches. The paper finds that high masks and large patches
both make the Jacobian more diffuse, and take weight off the output pixel's own patch.
"""

# %%
# By mask, and by patch
# ---------------------
# 64 features of CIFAR-10 with ``SKMAE_DATA`` set, else of photographs.
import os

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearMAE, Moments
from skmae.datasets import fetch_cifar10, load_photo_patches
from skmae.inspection import InfluenceDisplay, own_patch_share

plt.style.use("tableau-colorblind10")
if os.environ.get("SKMAE_DATA"):
    images = fetch_cifar10().images
else:
    images = load_photo_patches(8000, size=16).images
shape = images.shape[1:]
moments = Moments.from_data(images)


def draw_influence(mask, patch, ax, **style):
    model = LinearMAE(64, mask=mask, patch=patch).fit_moments(moments)
    basis = JacobianBasis(FrozenEstimator(model), outputs="all")
    maps = basis.fit_transform(images[:1])
    InfluenceDisplay.from_maps(maps, shape, ax=ax, **style)
    own = own_patch_share(maps, shape, patch).mean()
    print(f"mask {mask}, patch {patch}: {own:.3f} of the influence in the own patch")


styles = ("-", "--", "-.")
figure, axes = plt.subplots(
    2, figsize=(6, 7.5), sharex=True, sharey=True, layout="constrained"
)
for mask, style in zip((0.1, 0.5, 0.9), styles, strict=True):
    draw_influence(mask, 4, axes[0], name=f"mask {mask}", linestyle=style)
for patch, style in zip((2, 4, 8), styles, strict=True):
    draw_influence(0.75, patch, axes[1], name=f"patch {patch}", linestyle=style)
axes[0].set(title="Patch 4", yscale="linear", ylim=(0, None), xlabel="")
axes[1].set(title="Mask 0.75")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig05_influence``, all of CIFAR-10, 64 features. Mean
# distance, in pixels:
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "influence.csv")
mae = table[(table["model"] == "MAE") & (table["n_components"] == 64)]
mae = mae.astype({"patch": int})
print(mae.pivot(index="patch", columns="mask", values="radius_px"))

# %%
# Share of the influence within the 4 × 4 block around the output pixel:
print(mae.pivot(index="patch", columns="mask", values="share_in_patch_4"))

# %%
# As in the paper, distances grow with the patch and, from patches of 4 on, with the
# mask; at patch 2 they first fall. The share of what is near falls with the mask and
# with the patch. (The share of the *own* patch, printed with the figure, falls with the
# mask, but grows with the patch, since a larger patch holds more pixels.)
