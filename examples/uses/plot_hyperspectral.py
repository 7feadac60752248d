"""
Hyperspectral images: fill missing stripes
==========================================

A cube of rows, columns and bands goes in as it is: ``channel_axis=-1`` says where the
bands are. Line scanners leave stripes where a detector is dead. `LinearMAE` fills them
from their neighbours in space and wavelength, and says how sure it is.
"""

# %%
# A scene
# -------
# It has 96 × 640 pixels and 40 bands, and is a mixture of five smooth spectra, whose
# shares vary over the scene. It stands for a cube that you would read with `spectral`
# or `rasterio`.
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from skmae import LinearMAE

rng = np.random.default_rng(0)
spectra = gaussian_filter(rng.normal(size=(5, 40)), (0, 6))
fields = [gaussian_filter(rng.normal(size=(96, 640)), 4) * 8 for _ in range(5)]
shares = np.exp(2 * np.stack(fields, axis=-1))
cube = shares / shares.sum(axis=-1, keepdims=True) @ (spectra / spectra.std())
cube += rng.normal(0, 0.05, cube.shape)

# %%
# Samples are tiles of 8 × 8 pixels. The left half of the scene is whole; in the right
# half one column in eight is NaN.
tiles = cube.reshape(12, 8, 80, 8, 40).swapaxes(1, 2)  # (12, 80, 8, 8, 40)
whole = tiles[:, :40].reshape(-1, 8, 8, 40)
striped = tiles[:, 40:].reshape(-1, 8, 8, 40).copy()
truth = striped[:, :, 3].copy()
striped[:, :, 3] = np.nan

# %%
# Fit and fill
# ------------
# `partial_fit` keeps the second moments that ``return_std`` needs. `transform` gives
# the features of tiles with stripes, too.
mae = LinearMAE(40, mask=0.5, patch=1, channel_axis=-1).partial_fit(whole)
filled, std = mae.fill(striped, return_std=True)
features = mae.transform(striped)  # (480, 40), for any classifier or regressor

# %%
# Without a model, one would take the mean of the two columns beside a stripe. The
# errors of both:
between = (striped[:, :, 2] + striped[:, :, 4]) / 2


def rmse(guess):
    return np.sqrt(((guess - truth) ** 2).mean())


inside = np.abs(filled[:, :, 3] - truth) < 2 * std[:, :, 3]
print(f"root of the mean squared error: {rmse(filled[:, :, 3]):.3f}", end="; ")
print(f"neighbours' mean {rmse(between):.3f}; noise 0.050")
print(f"within two standard deviations, which should hold 95 %: {inside.mean():.0%}")

# %%
# A band of the right half, before and after, and the spectrum of a pixel that was
# missing:


def scene(some):
    return some.reshape(12, 40, 8, 8, 40).swapaxes(1, 2).reshape(96, 320, 40)


plt.style.use("seaborn-v0_8-colorblind")
figure, axes = plt.subplots(
    3, 1, figsize=(6.4, 6.4), height_ratios=(1, 1, 1.3), layout="constrained"
)
low, high = np.percentile(cube[..., 20], (1, 99))
pictures = {"With stripes missing": striped, "Filled": filled}
for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
    image = ax.imshow(scene(picture)[..., 20], cmap="cividis", vmin=low, vmax=high)
    ax.set(title=f"{title}: band 20", xticks=[], yticks=[])
figure.colorbar(image, ax=axes[:2], label="Reflectance (scaled)", shrink=0.8)

bands = np.arange(40)
spectrum, sure = filled[100, 4, 3], 2 * std[100, 4, 3]
axes[2].plot(bands, truth[100, 4], "k", label="truth")
axes[2].plot(bands, spectrum, label="filled")
axes[2].fill_between(
    bands, spectrum - sure, spectrum + sure, alpha=0.3, label="± 2 standard deviations"
)
axes[2].set(
    title="A missing pixel: all bands", xlabel="Band", ylabel="Reflectance (scaled)"
)
axes[2].legend(loc="upper center")
plt.show()
