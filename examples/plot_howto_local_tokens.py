"""
More accuracy in seconds: LinearMAE on local tokens
===================================================

A linear model of pixels knows second moments and nothing else. `LocalTokens` puts one non-linear layer in front,
learned without labels from small windows of the images; `LinearMAE` then hides whole tokens, and keeps what distant
ones share. No gradient descent, no GPU.
"""

# %%
# The pipeline
# ------------
# Crops of 32 × 32 pixels; which of four photographs is each from? With 20 labels for each photograph.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, LocalTokens
from skmae.datasets import load_photo_patches

photos = load_photo_patches(4000)
X, y = photos.images, photos.photo
tokens = LocalTokens(96, size=6, pool=4, random_state=0)
grid = tokens.fit_transform(X)
print(f"{X.shape[1:]} pixels become {grid.shape[1:]} tokens")

# %%
# What it looks for
# -----------------
# The filters: centres of the clusters of whitened windows. Edges, bars and colours, as in the first layer of a deep
# network.
figure, axes = plt.subplots(6, 16, figsize=(9, 3.5), layout="constrained")
for ax, each in zip(axes.flat, tokens.filters_, strict=True):
    ax.imshow(0.5 + 0.5 * each / np.abs(each).max())
    ax.axis("off")
plt.show()

# %%
# An image, and three channels of its 4 × 4 tokens: how much of three filters there is in each part.
figure, axes = plt.subplots(2, 4, figsize=(8, 4), layout="constrained")
loudest = np.argsort(grid[[7, 1500]].reshape(2, -1, 192).max(axis=1), axis=1)[:, -3:]
for row, i, channels in zip(axes, (7, 1500), loudest, strict=True):
    row[0].imshow(X[i])
    row[0].set_title("image")
    for ax, channel in zip(row[1:], channels, strict=True):
        ax.imshow(grid[i, :, :, channel], cmap="gray", vmin=0)
        ax.set_title(f"channel {channel}")
for ax in axes.flat:
    ax.axis("off")
plt.show()

# %%
# What it is good for
# -------------------
# All crops are used to learn features; the probe gets 80 labels, and is tested on all other crops, for ten draws of
# the 80.
features = {
    "pixels, PCA": LinearMAE(16, mask=0),
    "pixels, LinearMAE": LinearMAE(16, mask=0.75, patch=4),
    "tokens, PCA": make_pipeline(tokens, LinearMAE(16, mask=0, patch=1, channel_axis=-1)),
    "tokens, LinearMAE": make_pipeline(tokens, LinearMAE(16, mask=0.9, patch=1, channel_axis=-1)),
}
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
accuracies = {}
for name, model in features.items():
    Z, accuracies[name] = model.fit_transform(X), []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        train = np.concatenate([rng.choice(np.flatnonzero(y == c), 20, replace=False) for c in np.unique(y)])
        test = np.setdiff1d(np.arange(len(y)), train)
        accuracies[name].append(probe.fit(Z[train], y[train]).score(Z[test], y[test]))
    print(f"{name}: {np.mean(accuracies[name]):.3f}")

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for place, each in enumerate(accuracies.values()):
    ax.plot(each, np.full(len(each), place), "o", alpha=0.5)
    ax.plot(np.mean(each), place, "k|", markersize=20)
ax.set(yticks=range(len(features)), yticklabels=features, xlabel="Accuracy, for ten draws of 80 labels")
ax.invert_yaxis()
plt.show()

# %%
# On CIFAR-10 the same pipeline, with 192 filters, 3 × 3 tokens and a mask of 0.95, has 64.6 % with 96 features, where
# PCA of pixels has 40; see :doc:`/tokens` for that table, and for what does not help.
#
# Choose its mask
# ---------------
# `LinearMAESearchCV` learns filters once for each fold, makes tokens once, and solves for all masks and ranks from
# their moments.
from sklearn.pipeline import Pipeline

from skmae import LinearMAESearchCV

pipe = Pipeline([("tokens", tokens), ("mae", LinearMAE(patch=1, channel_axis=-1)), ("probe", probe)])
few = slice(0, 800)
search = LinearMAESearchCV(pipe, {"mae__mask": [0, 0.5, 0.9], "mae__n_components": [4, 16]}, cv=3)
search.fit(X[few], y[few])
print(search.best_params_, f"{search.best_score_:.3f}")
