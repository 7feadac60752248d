"""
Signals, volumes, channels
==========================

Samples may have one, two or three axes, and channels. What cannot be told from the data has to be said: the shape of
samples that come as flat rows, and which axis of a sample holds channels.
"""

# %%
# Signals
# -------
# Something like an electrocardiogram: 256 values over one second, beats of a rate, a phase and a height that vary from
# sample to sample, a slow drift, and noise.
import matplotlib.pyplot as plt
import numpy as np

from skmae import LinearMAE

TIME = np.linspace(0, 1, 256)  # s
WAVES = ((-0.2, 0.15, 0.03), (-0.03, -0.15, 0.01), (0.0, 1.0, 0.012), (0.03, -0.25, 0.012), (0.25, 0.3, 0.05))


def make_beats(n_samples, random_state):
    rng = np.random.default_rng(random_state)
    ranges = (2.3, 2.7), (0.1, 0.3), (0.7, 1.3)
    rate, phase, height = (rng.uniform(low, high, (n_samples, 1)) for low, high in ranges)
    beat = (rate * TIME + phase) % 1 - 0.5  # position within the beat, 0 at its peak
    signal = sum(size * np.exp(-((beat - at) ** 2) / (2 * width**2)) for at, size, width in WAVES)
    drift = 0.2 * np.sin(2 * np.pi * (TIME + rng.uniform(0, 1, (n_samples, 1))))
    return height * signal + drift + rng.normal(0, 0.02, signal.shape)  # mV


X, X_test = make_beats(1500, 0), make_beats(500, 1)

# %%
# Flat rows of 256 values are read as images of 16 × 16 pixels: ``image_shape`` says that they are none. Patches are
# stretches of time then.
print(LinearMAE().fit(X).image_shape_)
linear = LinearMAE(mask=0.5, patch=16, image_shape=(256,)).fit(X)
print(linear.image_shape_, "of which", linear.patch_, "are hidden at once")

# %%
# A ViT takes the same parameters. A few epochs:
from skmae import ViTMAE

vit = ViTMAE(
    mask=0.5,
    patch=16,
    image_shape=(256,),
    embed_dim=48,
    encoder_layers=2,
    encoder_heads=4,
    decoder_layers=1,
    decoder_heads=4,
    max_epochs=10,
    warmup_epochs=2,
    batch_size=64,
    learning_rate=8e-3,
    random_state=0,
).fit(X)

# %%
# Hidden stretches, filled in. Whatever is visible is put back as it was.
plt.style.use("tableau-colorblind10")
visible = linear.sample_visible(len(X_test), random_state=0)  # (500, 16)
seen = visible.repeat(16, axis=1)  # (500, 256)
rebuilt = {"LinearMAE": linear.reconstruct(X_test, visible), "ViTMAE": vit.reconstruct(X_test, visible)}
spread = (X_test - X.mean(axis=0)) ** 2
for name, R in rebuilt.items():
    print(f"{name}: R² of hidden values {1 - ((X_test - R) ** 2)[~seen].sum() / spread[~seen].sum():.2f}")

figure, axes = plt.subplots(3, 1, figsize=(8, 5.5), sharex=True, sharey=True, layout="constrained")
for i, ax in enumerate(axes):
    ax.plot(TIME, X_test[i], color="0.6", linewidth=3, label="signal")
    for (name, R), style in zip(rebuilt.items(), ("-", "--"), strict=True):
        ax.plot(TIME, np.where(seen[i], np.nan, R[i]), style, label=name)
    ax.fill_between(TIME, 0, 1, where=seen[i], transform=ax.get_xaxis_transform(), color="0.93", label="visible")
    ax.set_ylabel("Signal (mV)")
axes[0].legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
axes[-1].set_xlabel("Time (s)")
plt.show()

# %%
# Neither draws a hidden spike. Its place follows from the rate of the beats that are visible: two places, and their
# distance once more. That is no sum of values, and no linear map finds it, however many signals it learns from; the ViT
# has seen every signal ten times, which is little. Cut at its beats, a signal *is* filled:
# :ref:`sphx_glr_gallery_plot_howto_heartbeats.py`.
#
# Channels of a signal
# --------------------
# Two leads, the second one late and smaller: samples of shape (256, 2). Samples of two axes are taken for grey images,
# here of 256 × 2 pixels, unless ``channel_axis`` says which axis holds channels. All channels of a moment are hidden
# together. ``image_shape`` is the shape of a whole sample, channels included, and is read off X here.
leads = np.stack([X, 0.5 * np.roll(X, 4, axis=1)], axis=-1)
for channel_axis in ("auto", 1):
    mae = LinearMAE(16, mask=0.5, patch=16, channel_axis=channel_axis).fit(leads)
    print(f"channel_axis={channel_axis!r}: patches of {mae.patch_}, {mae.sample_visible(1).size} of them")

# %%
# ``channel_axis=0`` is for arrays with channels first, flat rows of them included.
first = np.moveaxis(leads, -1, 1).reshape(len(leads), -1)  # (1500, 512)
same = LinearMAE(16, mask=0.5, patch=16, channel_axis=0, image_shape=(2, 256)).fit(first)
np.testing.assert_allclose(same.eigenvalues_, mae.eigenvalues_)

# %%
# Volumes
# -------
# Smooth random volumes of 12 × 12 × 12 voxels and two channels, of which the second is the square of the first: samples
# of four axes, whose last is channels without being told.
from scipy.ndimage import gaussian_filter

rng = np.random.default_rng(0)
volumes = gaussian_filter(rng.standard_normal((600, 12, 12, 12)), (0, 2, 2, 2), mode="wrap")
volumes /= volumes.std()
volumes = np.stack([volumes, volumes**2], axis=-1)  # (600, 12, 12, 12, 2)
train, test = volumes[:500], volumes[500:]

mae = LinearMAE(128, mask=0.5, patch=3).fit(train)
print(mae.image_shape_, "channel axis", mae.channel_axis_, "solver", mae.solver_)

# %%
# Fewer samples than features: the solver is "dual", and forms nothing of 3456 × 3456. A mask for volumes is one number
# per patch, as for signals.
visible = mae.sample_visible(len(test), random_state=0)  # (100, 64)
seen = visible.reshape(-1, 4, 4, 4).repeat(3, axis=1).repeat(3, axis=2).repeat(3, axis=3)
rebuilt = mae.reconstruct(test, visible)  # in the shape of test
for channel in (0, 1):
    truth, guess, mean = test[..., channel], rebuilt[..., channel], train[..., channel].mean(axis=0)
    r2 = 1 - ((truth - guess)[~seen] ** 2).sum() / ((truth - mean)[~seen] ** 2).sum()
    print(f"channel {channel}: R² of hidden voxels {r2:.2f}")

figure, axes = plt.subplots(3, 6, figsize=(9, 4.3), layout="constrained")
for j in range(6):
    slices = test[0, 2 * j, ..., 0], np.where(seen[0, 2 * j], test[0, 2 * j, ..., 0], np.nan), rebuilt[0, 2 * j, ..., 0]
    for ax, picture in zip(axes[:, j], slices, strict=True):
        image = ax.imshow(picture, cmap="cividis", vmin=-2, vmax=2)
        ax.set(xticks=[], yticks=[])
    axes[0, j].set_title(f"slice {2 * j}")
for ax, name in zip(axes[:, 0], ("Original", "Visible part", "Reconstructed"), strict=True):
    ax.set_ylabel(name)
figure.colorbar(image, ax=axes, label="Channel 0 (standard deviations)", shrink=0.8)
plt.show()
