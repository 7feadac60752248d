"""
Fig. 4: linear masked autoencoders look at the borders of patches
=================================================================

Spins of an Ising chain correlate with each other as tanh(coupling) to the power of
their distance (Eq. 6). An autoencoder (AE) of 6 features learns the waves of greatest
variance. A masked autoencoder (MAE), which has to guess hidden patches from visible
ones, learns to look at the spins that say most about other patches: those at the
borders. Here: chains of 32 spins, patches of 8.
"""

# %%
# Encoders, and what they make of the input
# -----------------------------------------
# Above, each line is the weights of one feature; below is the product of decoder and
# encoder, which maps input spins to output spins. Dotted lines are borders of patches.
import matplotlib.pyplot as plt
import numpy as np

from skmae import LinearAE, LinearMAE
from skmae.datasets import make_ising

plt.style.use("tableau-colorblind10")
spins = make_ising(50_000, 32, coupling=1.0, random_state=0)  # (n, 32), exact samples
models = {
    "AE": LinearAE(6, image_shape=(32,)),
    "MAE, mask 0.75": LinearMAE(6, mask=0.75, patch=8, image_shape=(32,)),
}

figure, axes = plt.subplots(
    2, 2, figsize=(6.4, 6.4), layout="constrained", height_ratios=(1, 1.6)
)
for (name, model), (top, bottom) in zip(models.items(), axes.T, strict=True):
    model.fit(spins)
    top.plot(model.components_.T, alpha=0.8)
    top.set(title=f"{name}: encoder", xlabel="Spin", xticks=range(0, 32, 8))
    product = model.decoder_ @ model.components_  # W2 W1, the Jacobian
    limit = np.abs(product).max()
    image = bottom.imshow(product, cmap="RdBu_r", vmin=-limit, vmax=limit)
    bottom.set(title=f"{name}: product", xlabel="Input spin")
    bottom.set(xticks=range(0, 32, 8), yticks=range(0, 32, 8))
    figure.colorbar(image, ax=bottom, label="Decoder × encoder", location="bottom")
    for border in (7.5, 15.5, 23.5):
        top.axvline(border, color="grey", linewidth=0.8, linestyle=":")
axes[0, 0].set_ylabel("Weight")
axes[1, 0].set_ylabel("Output spin")

# %%
# How much larger weights are at borders
# --------------------------------------
border = np.zeros(32, dtype=bool)
border[[7, 8, 15, 16, 23, 24]] = True
for name, model in models.items():
    weights = np.abs(model.components_)
    ratio = weights[:, border].mean() / weights[:, ~border].mean()
    print(f"{name}: mean |weight| at inner borders is {ratio:.2f} times that elsewhere")

# %%
# As in the paper, the AE has waves, whose product is a band along the diagonal; the MAE
# has peaks at borders, and its product has rows that reach to the borders of other
# patches.
#
# Are the features sinusoids?
# ---------------------------
# The share of a feature (R²) that the best sinusoid accounts for, mean of the features,
# by coupling and mask: in the longer run, ``python -m benchmarks.paper.fig04_ising``.
# For noise it would be 0.25.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "fig04_ising.csv")
chain = table[table["ndim"] == 1].fillna({"mask": 0})
r2 = chain.groupby(["coupling", "mask"])["sinusoid_r2"].mean().unstack()
print(r2.round(2).rename(columns={0: "AE"}))

# %%
# (The paper says that the AE's product is close to the identity. With 6 features of 32
# it cannot be: 26/32 of the identity, by squared norm, are missing, whatever the data.)
# For other couplings, masks, and lattices, see
# :ref:`sphx_glr_gallery_paper_plot_appendix_e_ising.py`.
