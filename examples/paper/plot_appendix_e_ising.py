"""
Appendix E: Ising models, chains and lattices
=============================================

What :ref:`sphx_glr_gallery_paper_plot_fig04_ising.py` shows of one chain, for other
couplings, masks and patches, and for a lattice. (Only the titles of the paper's Figs.
16 to 21 were available; these are the questions that they suggest.)
"""

# %%
# A lattice
# ---------
# Encoders of 6 features, from 16 × 16 spins near the critical coupling of 0.4407. Each
# picture is one row of the encoder, the weights of one feature. The patches of the
# masked autoencoder (MAE) are quarters of the lattice.
import matplotlib.pyplot as plt

from skmae import LinearAE, LinearMAE
from skmae.datasets import make_ising
from skmae.inspection import ComponentsDisplay

plt.style.use("tableau-colorblind10")
lattice = {"size": (16, 16), "ndim": 2, "n_sweeps": 30, "random_state": 0}
spins = make_ising(2000, coupling=0.4, **lattice)  # (n, 16, 16)
models = {
    "AE": LinearAE(6),
    "MAE, mask 0.75, patch 8": LinearMAE(6, mask=0.75, patch=8),
}
figure, axes = plt.subplots(2, figsize=(6, 7.2), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ComponentsDisplay.from_estimator(model.fit(spins), which="encoder", ax=ax)
    ax.set_title(name)

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig04_ising``: 50,000 chains of 32 spins and 5,000
# lattices at each of four couplings. Drawn is how many times larger the encoder's
# weights are, on average, at spins that adjoin another patch than elsewhere: 1 is no
# difference.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "fig04_ising.csv")
kinds = {1: "Chain of 32", 2: "Lattice of 16 × 16"}
shades = plt.colormaps["viridis"]([0.85, 0.6, 0.3, 0.0])
figure, axes = plt.subplots(
    2, 2, figsize=(6.4, 6.2), sharex=True, sharey="row", layout="constrained"
)
for row, (ndim, kind) in zip(axes, kinds.items(), strict=True):
    for ax, patch in zip(row, (4, 8), strict=True):
        some = table[(table["ndim"] == ndim) & (table["patch"] == patch)]
        some = some.fillna({"mask": 0}).sort_values("mask")  # an AE hides nothing
        ax.axhline(1, color="grey", linewidth=0.8, linestyle=":")
        for (coupling, curve), marker, shade in zip(
            some.groupby("coupling"), "osD^", shades, strict=True
        ):
            label = f"{coupling:g}"
            ratio = curve["border_ratio"]
            ax.plot(curve["mask"], ratio, marker=marker, color=shade, label=label)
        ax.set_title(f"{kind}, patch {patch}")
    row[0].legend(title="Coupling")
figure.supxlabel("Mask (0: AE)")
figure.supylabel("|weight| at borders / elsewhere")

# %%
mae = table[table["model"] == "MAE"]
ae = table[table["model"] == "AE"]
print(f"AE: {ae['border_ratio'].min():.2f} to {ae['border_ratio'].max():.2f}")
print(f"MAE: {mae['border_ratio'].min():.2f} to {mae['border_ratio'].max():.2f}")
print("MAE at mask 0.9 and the strongest coupling:")
strongest = mae[(mae["mask"] == 0.9) & mae["coupling"].isin([1.5, 0.44])]
print(strongest[["ndim", "coupling", "patch", "border_ratio"]].to_string(index=False))

# %%
# An MAE prefers borders in every setting, in one dimension and in two. The preference
# grows with the mask, but for one step (on the chain, coupling 0.25, patch 8); on the
# chain it also grows with the coupling, from 0.5 on.
