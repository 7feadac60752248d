"""
Train a network of your own
===========================

`ViTMAE` trains a Vision Transformer. `skmae.vit.DeepAutoencoder` does the same for any
torch module: training that can be resumed, features, reconstructions, probes,
fine-tuning and Jacobians ask only four things of a network. Here it is a small
convolutional one.
"""

# %%
# The network
# -----------
# A `skmae.vit.PatchModule` knows the grid of patches; it standardises pixels and cuts
# images into patches. Two methods are left to write. ``encode`` gives features of whole
# images. ``forward`` predicts all patches from those whose numbers are in ``keep``.
# Here, convolutions go over the grid of patches, which has 1, 2 or 3 axes, and a
# learned vector stands for each hidden patch.
import torch
from torch import nn

from skmae.vit import DeepAutoencoder, PatchModule


class ConvNetwork(PatchModule):
    def __init__(self, grid, width):
        super().__init__(grid)
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(grid.patches_per_axis) - 1]
        self.embed_patches = nn.Linear(self.n_values, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.encoder = nn.Sequential(
            conv(width, width, 3, padding=1),
            nn.GELU(),
            conv(width, width, 3, padding=1),
        )
        self.decoder = nn.Sequential(nn.GELU(), conv(width, width, 3, padding=1))
        self.predict = nn.Linear(width, self.n_values)

    def encode(self, images):
        patches = self.embed_patches(self.patchify(images))
        return self.over_grid(self.encoder, patches)  # (n, n_patches, width)

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
# One method says what the network is. ``__init__`` passes on the parameters of training
# that it offers; the others keep the defaults of `skmae.vit.DeepAutoencoder`.


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
# It is an estimator like any other here. Half of the pixels are hidden, and are
# predicted from the rest.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skmae.inspection import ReconstructionDisplay

X, y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8)
mae = ConvMAE(mask=0.5, random_state=0).fit(X[:1200])
first, last = (mae.history_[epoch, "train_loss"] for epoch in (0, -1))
print(f"loss on hidden pixels: {first:.2f}, then {last:.2f}")

visible = mae.sample_visible(5, random_state=1)
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ReconstructionDisplay.from_estimator(mae, X[1200:1205], visible=visible, ax=ax)
ax.set_title("A convolutional network fills in digits")
plt.show()

# %%
# Probe, fine-tune, inspect
# -------------------------
# What works for `ViTMAE` works for it: a probe of its features, a classifier that goes
# on training it, and the Jacobian of a reconstruction.
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, ViTMAEClassifier, probe_layers

train, test = slice(0, 1200), slice(1200, None)
print(probe_layers(mae, X[train], y[train], X[test], y[test])[["layer", "score"]])

classifier = ViTMAEClassifier(
    mae, augment=None, max_epochs=10, batch_size=64, learning_rate=4e-2, random_state=0
)
accuracy = classifier.fit(X[train], y[train]).score(X[test], y[test])
print(f"fine-tuned: {accuracy:.2f}")

# %%
# What the pixel in the centre is predicted from, over ten digits and eight masks:
basis = JacobianBasis(
    FrozenEstimator(mae), outputs="center", visible="random", n_masks=8, random_state=0
)
influence = basis.fit(X).transform(X[1200:1210]).mean(axis=0)
figure, ax = plt.subplots(figsize=(4.8, 4), layout="constrained")
image = ax.imshow(influence.reshape(8, 8))
ax.set(title="Influence on the centre", xlabel="Column", ylabel="Row")
figure.colorbar(image, ax=ax, label="Change of output / change of input")
plt.show()
