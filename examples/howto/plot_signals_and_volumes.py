"""
Signals, volumes, and channels first
====================================

Samples may have one, two or three axes, and channels. What the data do not tell, you
have to say: the shape of samples that come as flat rows, and which axis of a sample
holds channels.
"""

# %%
# Signals
# -------
# Something like an electrocardiogram: 256 values over one second, with a slow drift and
# noise. The rate, phase and height of the beats vary from sample to sample.
import matplotlib.pyplot as plt
import numpy as np

from skmae import LinearMAE

TIME = np.linspace(0, 1, 256)  # s
WAVES = (  # place within the beat, height (mV), width
    (-0.2, 0.15, 0.03),
    (-0.03, -0.15, 0.01),
    (0.0, 1.0, 0.012),
    (0.03, -0.25, 0.012),
    (0.25, 0.3, 0.05),
)


def make_beats(n_samples, random_state):
    rng = np.random.default_rng(random_state)
    rate = rng.uniform(2.3, 2.7, (n_samples, 1))
    phase = rng.uniform(0.1, 0.3, (n_samples, 1))
    height = rng.uniform(0.7, 1.3, (n_samples, 1))
    place = (rate * TIME + phase) % 1 - 0.5  # within the beat, 0 at its peak
    beats = np.zeros(place.shape)
    for at, size, width in WAVES:
        beats += size * np.exp(-((place - at) ** 2) / (2 * width**2))
    drift = 0.2 * np.sin(2 * np.pi * (TIME + rng.uniform(0, 1, (n_samples, 1))))
    return height * beats + drift + rng.normal(0, 0.02, beats.shape)  # mV


X, X_test = make_beats(1500, 0), make_beats(500, 1)

# %%
# Flat rows of 256 values are taken for images of 16 × 16 pixels, unless ``image_shape``
# says otherwise. Patches are then stretches of time.
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
# Hidden stretches, filled in. What is visible stays as it was.
visible = linear.sample_visible(len(X_test), random_state=0)  # (500, 16)
seen = visible.repeat(16, axis=1)  # (500, 256)
rebuilt = {
    "LinearMAE": linear.reconstruct(X_test, visible),
    "ViTMAE": vit.reconstruct(X_test, visible),
}
spread = ((X_test - X.mean(axis=0))[~seen] ** 2).sum()
for name, R in rebuilt.items():
    r2 = 1 - ((X_test - R)[~seen] ** 2).sum() / spread
    print(f"{name}: R² of hidden values {r2:.2f}")

plt.style.use("seaborn-v0_8-colorblind")
figure, axes = plt.subplots(
    3, 1, figsize=(6.4, 5.6), sharex=True, sharey=True, layout="constrained"
)
for i, ax in enumerate(axes):
    ax.plot(TIME, X_test[i], color="0.6", linewidth=3, label="signal")
    for (name, R), style, colour in zip(
        rebuilt.items(), ("-", "--"), ("C0", "C2"), strict=True
    ):
        ax.plot(TIME, np.where(seen[i], np.nan, R[i]), style, color=colour, label=name)
    everywhere = {"transform": ax.get_xaxis_transform(), "color": "0.93"}
    ax.fill_between(TIME, 0, 1, where=seen[i], label="visible", **everywhere)
    ax.set_ylabel("Signal (mV)")
axes[-1].set_xlabel("Time (s)")
figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=4)
plt.show()

# %%
# Neither draws a hidden spike. Where it is follows from the beats that are visible: as
# far from one of them as they are from each other. That is no weighted sum of values,
# so that no linear map finds it, however many signals it learns from. The ViT has seen
# every signal ten times, which is little. A signal that is cut at its beats *is*
# filled: :ref:`sphx_glr_gallery_uses_plot_heartbeats.py`.
#
# Channels of a signal
# --------------------
# Two leads, the second one later and smaller: samples of shape (256, 2). Samples of two
# axes are taken for grey images, here of 256 × 2 pixels, unless ``channel_axis`` says
# which axis holds channels. All channels of a moment are hidden together.
# ``image_shape`` is the shape of a whole sample, channels included; here it is read off
# X.
leads = np.stack([X, 0.5 * np.roll(X, 4, axis=1)], axis=-1)
settings = {"mask": 0.5, "patch": 16}
for channel_axis in ("auto", 1):
    mae = LinearMAE(16, channel_axis=channel_axis, **settings).fit(leads)
    n_patches = mae.sample_visible(1).size
    print(f"{channel_axis=}: patches of {mae.patch_}, {n_patches} of them")

# %%
# ``channel_axis=0`` is for arrays with channels first, flat rows of them included.
first = np.moveaxis(leads, -1, 1).reshape(len(leads), -1)  # (1500, 512)
same = LinearMAE(16, channel_axis=0, image_shape=(2, 256), **settings).fit(first)
np.testing.assert_allclose(same.eigenvalues_, mae.eigenvalues_)

# %%
# Volumes
# -------
# Smooth random volumes of 12 × 12 × 12 voxels, with two channels, of which the second
# is the square of the first. In samples of four axes the last one is taken for
# channels.
from scipy.ndimage import gaussian_filter

noise = np.random.default_rng(0).standard_normal((600, 12, 12, 12))
volumes = gaussian_filter(noise, (0, 2, 2, 2), mode="wrap")
volumes /= volumes.std()
volumes = np.stack([volumes, volumes**2], axis=-1)  # (600, 12, 12, 12, 2)
train, test = volumes[:500], volumes[500:]

mae = LinearMAE(128, mask=0.5, patch=3).fit(train)
print(mae.image_shape_, "channel axis", mae.channel_axis_, "solver", mae.solver_)

# %%
# There are fewer samples than features: so the solver is "dual", and forms no matrix of
# 3456 × 3456. A mask for volumes has one number per patch, as for signals.
visible = mae.sample_visible(len(test), random_state=0)  # (100, 64)
seen = visible.reshape(-1, 4, 4, 4)
for axis in (1, 2, 3):
    seen = seen.repeat(3, axis=axis)  # (100, 12, 12, 12) in the end
rebuilt = mae.reconstruct(test, visible)  # in the shape of test
error, spread = (test - rebuilt)[~seen], (test - train.mean(axis=0))[~seen]
for channel, r2 in enumerate(1 - (error**2).sum(axis=0) / (spread**2).sum(axis=0)):
    print(f"channel {channel}: R² of hidden voxels {r2:.2f}")

# %%
# Four slices of channel 0 of a test volume:
shown = {
    "Original": test[0, ..., 0],
    "Visible part": np.where(seen[0], test[0, ..., 0], np.nan),
    "Reconstructed": rebuilt[0, ..., 0],
}
figure, axes = plt.subplots(3, 4, figsize=(6.4, 5.6), layout="constrained")
for row, (name, volume) in zip(axes, shown.items(), strict=True):
    row[0].set_ylabel(name)
    for ax, i in zip(row, (1, 4, 7, 10), strict=True):
        image = ax.imshow(volume[i], cmap="cividis", vmin=-2, vmax=2)
        ax.set(xticks=[], yticks=[])
for ax, i in zip(axes[0], (1, 4, 7, 10), strict=True):
    ax.set_title(f"slice {i}")
bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6)
bar.set_label("Channel 0 (standard deviations)")
plt.show()
