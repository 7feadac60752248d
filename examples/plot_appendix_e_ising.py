"""
Appendix E: more Ising models
=============================

:ref:`sphx_glr_gallery_plot_fig04_ising.py` for other couplings, masks and patches, and on a lattice. (Of the paper's
Figs. 16 to 21 only the titles are at hand; these are the questions that they suggest.)
"""

# %%
# A lattice
# ---------
# The decoder's columns, and the encoder's rows, of 6 features of 16 × 16 spins near the critical coupling of 0.4407.
import matplotlib.pyplot as plt

from skmae import LinearAE, LinearMAE
from skmae.datasets import make_ising
from skmae.inspection import ComponentsDisplay

plt.style.use("tableau-colorblind10")
spins = make_ising(2000, (16, 16), coupling=0.4, ndim=2, n_sweeps=30, random_state=0)  # (n, 16, 16)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for ax, (name, model) in zip(axes, {"AE": LinearAE(6), "MAE": LinearMAE(6, mask=0.75, patch=8)}.items(), strict=True):
    ComponentsDisplay.from_estimator(model.fit(spins), which="encoder", ax=ax)
    ax.set_title(f"{name}: encoder, 16 × 16 spins")

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig04_ising``: 50,000 chains of 32 spins and 5,000 lattices at each of four couplings.
# How much larger the encoder's weights are, on average, at spins that adjoin another patch: 1 is no difference.
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "fig04_ising.csv")
figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), sharex=True, layout="constrained")
for row, (ndim, kind) in zip(axes, ((1, "chain of 32"), (2, "lattice of 16 × 16")), strict=True):
    for ax, patch in zip(row, (4, 8), strict=True):
        some = table[(table["ndim"] == ndim) & (table["patch"] == patch)]
        for (coupling, group), marker in zip(some.groupby("coupling"), "osD^", strict=True):
            group = group.fillna({"mask": 0}).sort_values("mask")  # an AE hides nothing
            ax.plot(group["mask"], group["border_ratio"], marker=marker, label=f"coupling {coupling:g}")
        ax.axhline(1, color="grey", linewidth=0.8, linestyle=":")
        ax.set(title=f"{kind}, patch {patch}", xlabel="Mask (0: AE)", ylabel="|weight| at borders / elsewhere")
for ax in axes[:, 0]:
    ax.legend()

# %%
mae = table[table["model"] == "MAE"]
ae = table[table["model"] == "AE"]
print(f"AE: {ae['border_ratio'].min():.2f} to {ae['border_ratio'].max():.2f}")
print(
    f"MAE: {mae['border_ratio'].min():.2f} to {mae['border_ratio'].max():.2f}, at mask 0.9 and the strongest coupling:"
)
strongest = mae[(mae["mask"] == 0.9) & mae["coupling"].isin([1.5, 0.44])]
print(strongest[["ndim", "coupling", "patch", "border_ratio"]].to_string(index=False))

# %%
# The preference for borders is there in every setting, in one dimension and in two; on the chain it grows with mask and
# coupling.
