"""
Hyperspectral images: many bands, stripes that are missing
==========================================================

A cube of rows, columns and bands goes in as it is: ``channel_axis=-1`` says where the bands are. Line scanners leave
stripes where a detector is dead; `LinearMAE` fills them from the neighbours in space and wavelength, and says how sure
it is.
"""

# %%
# A scene of 96 × 640 pixels and 40 bands, made of five smooth spectra in shares that vary over the scene: stands for a
# cube that you would read with `spectral` or `rasterio`.
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter

from skmae import LinearMAE

rng = np.random.default_rng(0)
spectra = gaussian_filter(rng.normal(size=(5, 40)), (0, 6))
shares = np.exp(2 * np.stack([gaussian_filter(rng.normal(size=(96, 640)), 4) * 8 for _ in range(5)], axis=-1))
cube = shares / shares.sum(axis=-1, keepdims=True) @ (spectra / spectra.std())
cube += rng.normal(0, 0.05, cube.shape)

# %%
# Samples are tiles of 8 × 8 pixels. The left half of the scene is whole; in the right half one column in eight is NaN.
tiles = cube.reshape(12, 8, 80, 8, 40).swapaxes(1, 2)  # (12, 80, 8, 8, 40)
whole, striped = tiles[:, :40].reshape(-1, 8, 8, 40), tiles[:, 40:].reshape(-1, 8, 8, 40).copy()
truth = striped[:, :, 3].copy()
striped[:, :, 3] = np.nan

# %%
# Fit, fill, and the features of what was filled. (`partial_fit` keeps the second moments that ``return_std`` needs.)
mae = LinearMAE(40, mask=0.5, patch=1, channel_axis=-1).partial_fit(whole)
filled, std = mae.fill(striped, return_std=True)
features = mae.transform(striped)  # (480, 40), for any classifier or regressor
error = filled[:, :, 3] - truth

# %%
# Against the mean of the two columns beside a stripe, which is what one would do without a model:
between = (striped[:, :, 2] + striped[:, :, 4]) / 2
inside = np.abs(error) < 2 * std[:, :, 3]
print(
    f"root of the mean squared error: {np.sqrt((error**2).mean()):.3f}; neighbours' mean "
    f"{np.sqrt(((between - truth) ** 2).mean()):.3f}; noise 0.050"
)
print(f"within two standard deviations, which should hold 95 %: {inside.mean():.0%}")

# %%
# A band of the right half, striped and filled, and the spectrum of a pixel that was missing.


def scene(some):
    return some.reshape(12, 40, 8, 8, 40).swapaxes(1, 2).reshape(96, 320, 40)


figure, axes = plt.subplots(3, 1, figsize=(8, 7), height_ratios=(1, 1, 1.2), layout="constrained")
low, high = np.percentile(cube[..., 20], (1, 99))
for ax, title, picture in zip(axes[:2], ("Missing", "Filled"), (striped, filled), strict=True):
    ax.imshow(scene(picture)[..., 20], cmap="cividis", vmin=low, vmax=high)
    ax.set(title=f"{title}, band 20", xticks=[], yticks=[])
bands = np.arange(40)
axes[2].plot(bands, truth[100, 4], "k", label="truth")
axes[2].plot(bands, filled[100, 4, 3], label="filled")
axes[2].fill_between(
    bands, *(filled[100, 4, 3] + sign * 2 * std[100, 4, 3] for sign in (-1, 1)), alpha=0.3, label="± 2 std"
)
axes[2].set(xlabel="Band", ylabel="Reflectance (scaled)")
axes[2].legend()
plt.show()
