"""
More accuracy in seconds: local tokens
======================================

A linear model of pixels knows their second moments, and nothing else. `LocalTokens`
puts one non-linear layer in front of it, learned without labels from small windows of
the images. `LinearMAE` then hides whole tokens, and keeps what distant ones share. That
takes no gradient descent and no GPU.
"""

# %%
# Tokens
# ------
# Crops of 32 × 32 pixels of four photographs. Which of the four is each from?
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
# The filters are the centres of clusters of whitened windows: edges, bars and colours,
# as in the first layer of a deep network.
figure, axes = plt.subplots(8, 12, figsize=(6.4, 4.6), layout="constrained")
for ax, each in zip(axes.flat, tokens.filters_, strict=True):
    ax.imshow(0.5 + 0.5 * each / np.abs(each).max())
    ax.set_axis_off()
figure.suptitle("96 filters of 6 × 6 pixels")
plt.show()

# %%
# Two images, and three channels of the 4 × 4 tokens of each: how much of three filters
# there is in each part.
figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.6), layout="constrained")
loudest = np.argsort(grid[[7, 1500]].reshape(2, -1, 192).max(axis=1), axis=1)[:, -3:]
for row, i, channels in zip(axes, (7, 1500), loudest, strict=True):
    row[0].imshow(X[i])
    row[0].set_title("image")
    for ax, channel in zip(row[1:], channels, strict=True):
        ax.imshow(grid[i, :, :, channel], cmap="gray", vmin=0)
        ax.set_title(f"channel {channel}")
for ax in axes.flat:
    ax.set_axis_off()
plt.show()

# %%
# What it is good for
# -------------------
# All crops are used to learn features. The classifier gets 20 labels for each of the
# four photographs, and is tested on all other crops, for ten draws of these 80.
on_tokens = {"patch": 1, "channel_axis": -1}
features = {
    "pixels, PCA": LinearMAE(16, mask=0),
    "pixels, LinearMAE": LinearMAE(16, mask=0.75, patch=4),
    "tokens, PCA": make_pipeline(tokens, LinearMAE(16, mask=0, **on_tokens)),
    "tokens, LinearMAE": make_pipeline(tokens, LinearMAE(16, mask=0.9, **on_tokens)),
}
probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
accuracies = {}
for name, model in features.items():
    Z, accuracies[name] = model.fit_transform(X), []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        of_photo = (np.flatnonzero(y == photo) for photo in np.unique(y))
        draws = [rng.choice(rows, 20, replace=False) for rows in of_photo]
        train = np.concatenate(draws)
        test = np.setdiff1d(np.arange(len(y)), train)
        accuracies[name].append(probe.fit(Z[train], y[train]).score(Z[test], y[test]))
    print(f"{name}: {np.mean(accuracies[name]):.3f}")

# %%
# Each point is a draw of labels, each line the mean of the ten.
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for row, each in enumerate(accuracies.values()):
    ax.plot(each, np.full(len(each), row), "o", color="C0", alpha=0.5)
    ax.plot(np.mean(each), row, "k|", markersize=20)
ax.set(
    title="16 features, 80 labels",
    xlabel="Accuracy on the other crops",
    yticks=range(len(features)),
    yticklabels=features,
)
ax.margins(y=0.15)
ax.invert_yaxis()
# sphinx_gallery_thumbnail_number = 3
plt.show()

# %%
# On CIFAR-10 the same pipeline, with 192 filters, 3 × 3 tokens and a mask of 0.95, has
# 64.6 % with 96 features, where PCA of pixels has 40 %; see :doc:`/tokens` for that
# table, and for what does not help.
#
# Choose its mask
# ---------------
# `LinearMAESearchCV` learns the filters once for each fold, makes tokens once, and
# solves for all masks and numbers of features from their moments.
from sklearn.pipeline import Pipeline

from skmae import LinearMAESearchCV

pipe = Pipeline([("tokens", tokens), ("mae", LinearMAE(**on_tokens)), ("probe", probe)])
choices = {"mae__mask": [0, 0.5, 0.9], "mae__n_components": [4, 16]}
search = LinearMAESearchCV(pipe, choices, cv=3).fit(X[:800], y[:800])
print(search.best_params_, f"{search.best_score_:.3f}")
