"""
Choose mask and patch by cross-validation
=========================================

Hiding less is always easier, so that the reconstruction error cannot choose the mask. A
predictor can, and so can a task that is the same for all candidates. A ViT would have
to be trained for every candidate: `suggest_masking` and `training_cost` say beforehand
what each one hides and what it costs. They cannot say which one is best.
"""

# %%
# By what the features are for
# ----------------------------
# Crops of photographs, 8 features, and a target to predict from them: the answer of a
# Gabor filter in the middle of the image. Each fold holds the crops of one photograph.
# `LinearMAESearchCV` is scikit-learn's ``GridSearchCV``, but reads the data once. One
# candidate is ``mask=0``, which is PCA: so the search also says whether masking pays at
# all.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, LinearMAESearchCV
from skmae.datasets import load_photo_patches, make_gabor_targets

photos = load_photo_patches(3000, size=16, grey=True)
X, cv = photos.images, GroupKFold(4)
y = make_gabor_targets(X, sigma=1, dilation=1)[:, 8, 8]

masks, patches = [0, 0.25, 0.5, 0.75, 0.9], [2, 4, 8]
pipe = Pipeline(
    [("mae", LinearMAE(8)), ("scale", StandardScaler()), ("ridge", Ridge())]
)
grid = {"mae__mask": masks, "mae__patch": patches}
predict = LinearMAESearchCV(pipe, grid, cv=cv).fit(X, y, groups=photos.photo)

# %%
# By filling holes
# ----------------
# To choose a model that fills holes, let all candidates fill the same ones. This scorer
# hides half of each image in blocks of 4 × 4, whatever the candidate was fitted to.


def r2_of_hidden(model, X, _=None):
    visible = np.random.default_rng(0).random((len(X), 4, 4)) < 0.5
    visible = visible.repeat(4, axis=1).repeat(4, axis=2).reshape(len(X), -1)
    X = np.reshape(X, (len(X), -1)).astype(float)
    error, spread = (X - model.reconstruct(X, visible)) ** 2, (X - X.mean(axis=0)) ** 2
    return 1 - error[~visible].sum() / spread[~visible].sum()


grid = {"mask": masks, "patch": patches}
fill = LinearMAESearchCV(LinearMAE(8), grid, scoring=r2_of_hidden, cv=cv)
fill = fill.fit(X, groups=photos.photo)

# %%
# The two searches
# ----------------
# The best candidate of each search is outlined. Printed is how much better it is than
# PCA: the mean over the folds and its standard error.
from skmae.inspection import SearchDisplay

figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.4), layout="constrained")
searches = {"Predict": predict, "Fill holes": fill}
for ax, (title, search) in zip(axes, searches.items(), strict=True):
    SearchDisplay.from_estimator(search, ax=ax, cmap="cividis")
    ax.set_title(f"{title}: R² on photographs left out")
    by_fold = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(4)])
    of_pca = by_fold[:, 0]  # the first candidate has mask=0
    gain = by_fold[:, search.best_index_] - of_pca
    print(f"{title}: {search.best_params_}, better than PCA by", end=" ")
    print(f"{gain.mean():.3f} ± {gain.std(ddof=1) / 2:.3f}")
plt.show()

# %%
# The best candidate for predicting is not the best for filling holes. With more
# features, or another target, PCA may be ahead: search with the task and the number of
# features that will be used.
#
# For a ViT: what is hidden, and what it costs
# --------------------------------------------
# `suggest_masking` lists, for each mask and patch, the tokens and operations of a
# training, how far hidden pixels are from visible ones, and, if there is a target, the
# score of a `LinearMAE`. It does not rank them.
from skmae import ViTMAE, suggest_masking, training_cost

vit = ViTMAE(
    embed_dim=64,
    encoder_layers=4,
    encoder_heads=4,
    decoder_layers=1,
    decoder_heads=4,
    max_epochs=100,
)
splits = list(cv.split(X, y, photos.photo))
table = suggest_masking(
    X, y, masks=masks[1:], patches=patches, n_components=8, cv=splits, estimator=vit
)
table.round(3)

# %%
# `training_cost` also predicts the time, from a few steps of single blocks on the
# device at hand.
hours = training_cost(vit, (16, 16), param_grid={"patch": patches}, n_samples=50_000)
tokens = ["encoder_tokens", "decoder_tokens"]
hours[["patch", *tokens, "activations_mib", "step_s", "total_h"]].round(3)

# %%
# Cost and linear score of all candidates, with standard errors over the folds. Along
# each line the mask falls from left to right. (Of four patches of 8 × 8 pixels, masks
# of 0.75 and 0.9 leave one: they cost the same.)
plt.style.use("seaborn-v0_8-colorblind")
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for patch, marker in zip(patches, "os^", strict=True):
    rows = table[table["patch"] == patch].sort_values("mask")
    points = rows["relative_cost"], rows["score"], rows["score_se"]
    ax.errorbar(*points, marker=marker, label=f"patch {patch}")
ax.set(xscale="log", xticks=[1, 2, 5, 10, 20], xticklabels=[1, 2, 5, 10, 20])
ax.minorticks_off()
ax.set_title("What a ViT would cost, what a LinearMAE scores")
ax.set_xlabel("Operations of a training / those of the cheapest")
ax.set_ylabel("R² from features of a LinearMAE")
ax.legend()
plt.show()

# %%
# How far to trust it
# -------------------
# Operations are counted. The score is that of *linear* models, and says hardly anything
# about ViTs: over 18 masks and patches of small ViTs on CIFAR-10 it did not agree with
# probes of the trained ViTs. Linear models gained from large patches, these ViTs from
# small ones; :doc:`/choose` has the numbers. For a `LinearMAE` take the answer of the
# search; for a ViT, :doc:`/choose` says how to go about it.
