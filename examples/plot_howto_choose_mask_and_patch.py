"""
Choose mask and patch
=====================

Hiding less is always easier, so that a reconstruction error cannot choose the mask. A predictor can, or a task that is
the same for all candidates. For a ViT, of which every candidate is a training, `suggest_masking` and `training_cost`
say beforehand what is hidden and what it costs; which candidate is best they cannot say.
"""

# %%
# By what the features are for
# ----------------------------
# Crops of photographs, 8 features, and a target to predict from them: the answer of a Gabor filter in the middle of the
# image. Each fold holds the crops of one photograph. `LinearMAESearchCV` is scikit-learn's ``GridSearchCV``, and reads
# the data once. With ``mask=0``, which is PCA, among the candidates, the search also says whether masking pays at all.
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
pipe = Pipeline([("mae", LinearMAE(8)), ("scale", StandardScaler()), ("ridge", Ridge())])
predict = LinearMAESearchCV(pipe, {"mae__mask": masks, "mae__patch": patches}, cv=cv).fit(X, y, groups=photos.photo)

# %%
# By a task of reconstruction
# ---------------------------
# To fill holes, let all candidates fill the same ones: a scorer that hides half of each image in blocks of 4 × 4,
# whatever the candidate was fitted to.


def r2_of_hidden(model, X, _=None):
    visible = np.random.default_rng(0).random((len(X), 4, 4)) < 0.5
    visible = visible.repeat(4, axis=1).repeat(4, axis=2).reshape(len(X), -1)
    X = np.reshape(X, (len(X), -1)).astype(float)
    error, spread = (X - model.reconstruct(X, visible)) ** 2, (X - X.mean(axis=0)) ** 2
    return 1 - error[~visible].sum() / spread[~visible].sum()


fill = LinearMAESearchCV(LinearMAE(8), {"mask": masks, "patch": patches}, scoring=r2_of_hidden, cv=cv)
fill.fit(X, groups=photos.photo)

# %%
# The two searches
# ----------------
# The best of each is outlined. Beside it, how much better it is than PCA: mean over the folds and its standard error.
from skmae.inspection import SearchDisplay

figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
for ax, (title, search) in zip(axes, {"Predict": predict, "Fill holes": fill}.items(), strict=True):
    SearchDisplay.from_estimator(search, ax=ax, cmap="cividis")
    ax.set_title(f"{title}: R² on photographs left out")
    by_fold = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(4)])
    gain = by_fold[:, search.best_index_] - by_fold[:, 0]  # the first candidate has mask=0
    print(f"{title}: {search.best_params_}, better than PCA by {gain.mean():.3f} ± {gain.std(ddof=1) / 2:.3f}")
plt.show()

# %%
# What is best to predict from is not what fills holes best. With more features, or another target, PCA may be ahead:
# search with the task and the number of features that will be used.
#
# For a ViT: what is hidden, and what it costs
# --------------------------------------------
# `suggest_masking` lists, for each mask and patch, tokens and operations of a training, how far hidden pixels are from
# visible ones, and, with a target, the score of a `LinearMAE`. It does not rank them.
from skmae import ViTMAE, suggest_masking, training_cost

vit = ViTMAE(embed_dim=64, encoder_layers=4, encoder_heads=4, decoder_layers=1, decoder_heads=4, max_epochs=100)
splits = list(cv.split(X, y, photos.photo))
table = suggest_masking(X, y, masks=masks[1:], patches=patches, n_components=8, cv=splits, estimator=vit)
table.round(3)

# %%
# `training_cost` also predicts time, from a few steps of single blocks on the device at hand.
hours = training_cost(vit, (16, 16), param_grid={"patch": patches}, n_samples=50_000)
hours[["patch", "encoder_tokens", "decoder_tokens", "activations_mib", "step_s", "total_h"]].round(3)

# %%
# Cost and linear score of all candidates; along a line the mask falls from left to right.
plt.style.use("tableau-colorblind10")
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for patch, marker in zip(patches, "os^", strict=True):
    rows = table[table["patch"] == patch].sort_values("mask")
    ax.errorbar(rows["relative_cost"], rows["score"], yerr=rows["score_se"], marker=marker, label=f"patch {patch}")
ax.set(xscale="log", xticks=[1, 2, 5, 10, 20], xticklabels=[1, 2, 5, 10, 20])
ax.minorticks_off()
ax.set(xlabel="Operations of a ViT's training / those of the cheapest", ylabel="R² from features of a LinearMAE")
ax.legend()
plt.show()

# %%
# How far to trust it
# -------------------
# Operations are counted. The score is one of *linear* models, and says hardly anything of ViTs: over 18 masks and
# patches of small ViTs on CIFAR-10 it did not agree with probes of the trained ViTs. Linear models gained from large
# patches, these ViTs from small ones; :doc:`/choose` has the numbers. For a `LinearMAE` take the answer of the search;
# for a ViT, :doc:`/choose` says how to go about it.
