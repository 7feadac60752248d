"""
A masked autoencoder around your own network
============================================

`ViTMAE` trains a Vision Transformer. `skmae.vit.DeepAutoencoder` is the same around any torch module: training that can
be resumed, features, reconstructions, probes, fine-tuning and Jacobians ask of a network four things only. Here it is a
small convolutional one.
"""

# %%
# The network
# -----------
# A `skmae.vit.PatchModule` knows the grid of patches; it standardises pixels and cuts images into patches. What is left
# to write: ``encode``, features of whole images, and ``forward``, a prediction of all patches from those whose numbers
# are in ``keep``. Convolutions go over the grid of patches, of 1, 2 or 3 axes; a hidden patch is a learned vector.
import torch
from torch import nn

from skmae.vit import DeepAutoencoder, PatchModule


class ConvNetwork(PatchModule):
    def __init__(self, grid, width):
        super().__init__(grid)
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(grid.patches_per_axis) - 1]
        self.embed_patches = nn.Linear(self.n_values, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.encoder = nn.Sequential(conv(width, width, 3, padding=1), nn.GELU(), conv(width, width, 3, padding=1))
        self.decoder = nn.Sequential(nn.GELU(), conv(width, width, 3, padding=1))
        self.predict = nn.Linear(width, self.n_values)

    def encode(self, images):
        return self.over_grid(self.encoder, self.embed_patches(self.patchify(images)))  # (n, n_patches, width)

    def forward(self, images, keep):
        hidden = self.hidden(keep)  # (n, n_patches)
        patches = self.embed_patches(self.patchify(images))
        patches = torch.where(hidden[..., None], self.mask_token, patches)
        features = self.over_grid(self.encoder, patches)
        return self.predict(self.over_grid(self.decoder, features)), hidden

    def over_grid(self, layers, patches):
        n, n_patches, width = patches.shape
        image = patches.transpose(1, 2).reshape(n, width, *self.grid.patches_per_axis)
        return layers(image).reshape(n, width, n_patches).transpose(1, 2)


# %%
# The estimator
# -------------
# One method says what the network is. ``__init__`` passes parameters of training on, those that it wants to offer; the
# others keep the defaults of `skmae.vit.DeepAutoencoder`.


class ConvMAE(DeepAutoencoder):
    def __init__(
        self,
        width=24,
        *,
        mask=0.75,
        patch=1,
        mask_sampling="exact",
        max_epochs=15,
        batch_size=64,
        learning_rate=1e-2,
        checkpoint=None,
        random_state=None,
    ):
        super().__init__(
            mask=mask,
            patch=patch,
            mask_sampling=mask_sampling,
            max_epochs=max_epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_epochs=2,
            augment=None,
            checkpoint=checkpoint,
            random_state=random_state,
        )
        self.width = width

    def _make_module(self, grid):
        return ConvNetwork(grid, self.width)


# %%
# Train and use it
# ----------------
# It is an estimator like any other here. Half of the pixels are hidden; what is hidden is predicted from the rest.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8)
mae = ConvMAE(mask=0.5, random_state=0).fit(X[:1200])
print(f"loss on hidden pixels: {mae.history_[0, 'train_loss']:.2f}, then {mae.history_[-1, 'train_loss']:.2f}")

visible = mae.sample_visible(5, random_state=1)
rebuilt = mae.reconstruct(X[1200:1205], visible)
figure, axes = plt.subplots(3, 5, figsize=(6, 3.8), layout="constrained")
masks = visible.reshape(-1, 8, 8)
for column, pictures in enumerate(zip(X[1200:1205], X[1200:1205] * masks, rebuilt, strict=True)):
    for ax, picture in zip(axes[:, column], pictures, strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=16)
        ax.axis("off")
figure.suptitle("Digits, what is visible, and what the network makes of it")
plt.show()

# %%
# Probe, fine-tune, inspect
# -------------------------
# What works for `ViTMAE` works for it: a probe of its features, a classifier that goes on training it, and the Jacobian
# of a reconstruction, which says what the centre is predicted from.
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, ViTMAEClassifier, probe_layers

print(probe_layers(mae, X[:1200], y[:1200], X[1200:], y[1200:])[["layer", "score"]])

classifier = ViTMAEClassifier(mae, augment=None, max_epochs=10, batch_size=64, learning_rate=4e-2, random_state=0)
print(f"fine-tuned: {classifier.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:]):.2f}")

basis = JacobianBasis(FrozenEstimator(mae), outputs="center", visible="random", n_masks=8, random_state=0)
influence = basis.fit(X).transform(X[1200:1210]).mean(axis=0)
figure, ax = plt.subplots(figsize=(3.4, 3), layout="constrained")
image = ax.imshow(influence.reshape(8, 8))
ax.set_title("Influence on the centre")
figure.colorbar(image, ax=ax)
plt.show()
