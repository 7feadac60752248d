"""
LinearMAE in place of PCA
=========================

`LinearMAE` has the interface of PCA: one step of a pipeline changes, and nothing else.
Digits, photographs, and photographs with parts missing show where that pays, and where
it does not.
"""

# %%
# One step of a pipeline
# ----------------------
# Handwritten digits of 8 × 8 pixels, 16 features, a logistic regression.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE

X, y = load_digits(return_X_y=True)
pipe = Pipeline(
    [
        ("reduce", PCA(16)),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=1000)),
    ]
)
for reduce in (PCA(16), LinearMAE(16, mask=0.5, patch=2)):
    accuracy = cross_val_score(pipe.set_params(reduce=reduce), X, y, cv=5)
    error = accuracy.std(ddof=1) / 5**0.5
    print(f"{type(reduce).__name__}: {accuracy.mean():.3f} ± {error:.3f}")

# %%
# On digits nothing is gained.
#
# Names and data frames
# ---------------------
# Features have names, and come as a data frame on request.
mae = LinearMAE(4, mask=0.5, patch=2).set_output(transform="pandas").fit(X)
print(mae.get_feature_names_out())
mae.transform(X).head()

# %%
# With ``mask=0`` it is PCA, up to the signs of features.
pca, unmasked = PCA(4).fit(X), LinearMAE(4, mask=0).fit(X)
ours, theirs = np.abs(unmasked.components_), np.abs(pca.components_)
np.testing.assert_allclose(ours, theirs, atol=1e-6)

# %%
# Photographs with parts missing
# ------------------------------
# Crops of 32 × 32 pixels; training and test crops come from different photographs. From
# few features, a ridge regression predicts the answer of a Gabor filter at every pixel
# of the *whole* image. The features are of whole images, or of images with three
# quarters of their 4 × 4 blocks set to the mean.
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skmae.datasets import load_photo_patches, make_gabor_targets

train = load_photo_patches(3000, grey=True).images
test = load_photo_patches(1000, grey=True, subset="test").images
y_train, y_test = (
    make_gabor_targets(images, sigma=1, dilation=4).reshape(len(images), -1)
    for images in (train, test)
)


def with_holes(images, seed):
    visible = np.random.default_rng(seed).random((len(images), 8, 8)) > 0.75
    visible = visible.repeat(4, axis=1).repeat(4, axis=2)
    return np.where(visible, images, train.mean(axis=0))


views = {
    "whole images": (train, test),
    "three quarters missing": (with_holes(train, 0), with_holes(test, 1)),
}

# %%
# There are three ways to few features: a PCA of whole images, a PCA of the images with
# holes, and a LinearMAE of whole images.
counts = (4, 8, 16, 32)
models = {
    "PCA": (LinearMAE(mask=0), train),
    "LinearMAE": (LinearMAE(mask=0.75, patch=4), train),
    "PCA, fitted to holes": (LinearMAE(mask=0), views["three quarters missing"][0]),
}

plt.style.use("seaborn-v0_8-colorblind")
figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.8), sharey=True, layout="constrained")
for name, marker in zip(models, "os^", strict=True):
    model, images = models[name]
    fitted = [clone(model).set_params(n_components=k).fit(images) for k in counts]
    for ax, (view, (seen, seen_test)) in zip(axes, views.items(), strict=True):
        r2 = []
        for each in fitted:
            probe = make_pipeline(FrozenEstimator(each), StandardScaler(), Ridge(10))
            r2.append(probe.fit(seen, y_train).score(seen_test, y_test))
        print(f"{view}, {name}:", *(f"{value:.2f}" for value in r2))
        ax.plot(counts, r2, marker=marker, label=name)
        ax.set(title=view.capitalize(), xlabel="Features", ylim=(0, 1))
        ax.set(xscale="log", xticks=counts, xticklabels=counts)
        ax.minorticks_off()
axes[0].set_ylabel("R² on test photographs")
axes[1].legend()
plt.show()

# %%
# From whole images, PCA's features predict as much or more. From images with holes,
# LinearMAE's predict more, however PCA is fitted.
#
# The features
# ------------
# What each of the first 16 features adds to a reconstruction:
from skmae.inspection import ComponentsDisplay, ReconstructionDisplay

figure, axes = plt.subplots(2, 1, figsize=(6.4, 3.9), layout="constrained")
for ax, (name, mask) in zip(axes, {"PCA": 0, "LinearMAE": 0.75}.items(), strict=True):
    mae = LinearMAE(16, mask=mask, patch=4).fit(train)
    display = ComponentsDisplay.from_estimator(mae, n_columns=8, ax=ax)
    display.im_.colorbar.set_label("Weight / largest")
    ax.set_title(name)
plt.show()

# %%
# What the LinearMAE rebuilds from a quarter of each image:
clear = test[test.std(axis=(1, 2)) > 40]
figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
ReconstructionDisplay.from_estimator(mae, clear, n_samples=5, ax=ax)
ax.set_title("LinearMAE, 16 features: photographs it never saw")
plt.show()

# %%
# Colour photographs with labels
# ------------------------------
# With ``SKMAE_DATA`` set to a folder with CIFAR-10: a logistic regression on 16
# features of whole images.
import os

if os.environ.get("SKMAE_DATA"):
    from skmae.datasets import fetch_cifar10

    cifar, cifar_test = fetch_cifar10(), fetch_cifar10(subset="test")
    pca = PCA(16, svd_solver="covariance_eigh")
    for reduce in (pca, LinearMAE(16, mask=0.5, patch=8)):
        pipe.set_params(reduce=reduce).fit(cifar.data[:20_000], cifar.target[:20_000])
        accuracy = pipe.score(cifar_test.data, cifar_test.target)
        error = (accuracy * (1 - accuracy) / len(cifar_test.target)) ** 0.5
        print(f"CIFAR-10, {type(reduce).__name__}: {accuracy:.3f} ± {error:.3f}")
