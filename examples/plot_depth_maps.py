"""
Depth maps from few linear features
===================================

The paper predicts the depth of street scenes from few linear features, and finds masked autoencoders of every patch
better than plain ones when features are few. Here on rooms (NYU Depth v2), which can be had.
"""

# %%
# The task
# --------
# With ``SKMAE_DATA`` set to a folder with ``nyuv2_depth64.npz``, some of its pairs.
import os

import matplotlib.pyplot as plt

from skmae.datasets import load_depth

plt.style.use("tableau-colorblind10")
if os.environ.get("SKMAE_DATA"):
    rooms = load_depth(subset="test", size=64)
    figure, axes = plt.subplots(2, 5, figsize=(10, 4), layout="constrained")
    for (above, below), i in zip(axes.T, range(0, 500, 100), strict=True):
        above.imshow(rooms.images[i])
        image = below.imshow(rooms.target[i], cmap="cividis", vmin=0.7, vmax=6)
        above.axis("off")
        below.axis("off")
    figure.colorbar(image, ax=axes[1], label="Depth (m)")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.depth_maps``: 795 training and 654 test pairs of 32 × 32 pixels, a ridge regression from
# k features of the whole picture to the depth of every pixel. Root of the mean squared error:
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "depth.csv")
figure, ax = plt.subplots()
pca = table[table["model"] == "PCA"]
ax.plot(pca["n_components"], pca["rmse_m"], "k--", label="PCA = LinearAE")
for patch, marker in zip((2, 4, 8), "osD", strict=True):
    rows = table[(table["patch"] == patch) & (table["mask"] == 0.9)]
    low, high = rows["gain_m"] - rows["gain_low"], rows["gain_high"] - rows["gain_m"]  # of paired test images
    ax.errorbar(
        rows["n_components"], rows["rmse_m"], yerr=(high, low), marker=marker, capsize=3, label=f"patch {patch}"
    )
ax.axhline(table.loc[table["model"] == "mean map", "rmse_m"].iloc[0], color="grey", linestyle=":", label="mean map")
ax.set(xscale="log", xlabel="Features", ylabel="RMSE of depth (m)", xticks=(1, 2, 4, 8, 16, 32))
ax.xaxis.set_major_formatter("{x:g}")
ax.legend(title="LinearMAE, mask 0.9")

# %%
best = table[table["model"] == "LinearMAE"].sort_values("gain_m").iloc[-1]
print(
    f"largest gain over PCA: {best['gain_m']:.3f} m of {pca['rmse_m'].max():.3f} m ({best['gain_low']:.3f} to "
    f"{best['gain_high']:.3f}), patch {best['patch']:.0f}, mask {best['mask']}, {best['n_components']} features"
)

# %%
# The bars are 95 % intervals of the difference to PCA. With up to 4 features PCA itself gains no more than this over
# the mean map of training, which needs no picture:
few = table[(table["model"] == "mean map") & (table["n_components"] <= 4)]
print(f"PCA gains {-few['gain_m'].max():.3f} to {-few['gain_m'].min():.3f} m over the mean map")

# %%
# So rooms, of whose depth hardly anything is linear in few features, cannot decide what the paper says of patches of 2
# to 8. Patches of 16, not drawn, are worse than PCA.
