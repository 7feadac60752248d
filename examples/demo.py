"""LinearMAE beside PCA on real photographs: what `make demo` runs.

Trains on patches of four photographs and tests on patches of three others. Prints
tables, and draws pictures into demo/. With SKMAE_DATA set to a folder with CIFAR-10,
classifies that too.
"""

import os
from pathlib import Path
from time import perf_counter

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearAE, LinearMAE
from skmae.datasets import fetch_cifar10, load_photo_patches, make_gabor_targets
from skmae.inspection import ComponentsDisplay, ReconstructionDisplay

OUT = Path("demo")
DILATIONS = (1, 2, 4, 6, 8)


def hide(images, seed, share=0.75, patch=8):
    """Where images of 32 × 32 pixels are visible, by patches: bool, of their shape."""
    side = 32 // patch
    visible = np.random.default_rng(seed).random((len(images), side, side)) >= share
    visible = visible.repeat(patch, axis=1).repeat(patch, axis=2)
    if images.ndim == 4:
        visible = visible[..., np.newaxis]
    return np.broadcast_to(visible, images.shape)


def r2(truth, guess):
    error, spread = (truth - guess) ** 2, (truth - truth.mean(axis=0)) ** 2
    return 1 - np.mean(error) / np.mean(spread)


def r2_hidden(truth, guess, visible):
    """R² of the pixels that were hidden."""
    error, spread = (truth - guess) ** 2, (truth - truth.mean(axis=0)) ** 2
    return 1 - error[~visible].sum() / spread[~visible].sum()


def gabor_scores(models, train, test):
    """R² of predicting Gabor targets from features of images, whole and with holes."""
    mean = train.mean(axis=0).astype(np.uint8)
    views = {
        "whole": (train, test),
        "75% hidden": tuple(
            np.where(hide(images, seed), images, mean)
            for seed, images in enumerate((train, test))
        ),
    }
    scores = {}
    for dilation in DILATIONS:
        gabor = {"frequency": 0.25, "sigma": 1, "dilation": dilation}
        y_train, y_test = (
            make_gabor_targets(images, **gabor).reshape(len(images), -1)
            for images in (train, test)
        )
        for view, (seen_train, seen_test) in views.items():
            for name, model in models.items():
                pipe = Pipeline(
                    [
                        ("mae", FrozenEstimator(model)),
                        ("scale", StandardScaler()),
                        ("probe", Ridge(alpha=10)),
                    ]
                )
                pipe.fit(seen_train, y_train)
                scores[view, name, dilation] = r2(y_test, pipe.predict(seen_test))
    return scores


def fill_with_pca(pca, images, visible):
    """Reconstruct images with hidden parts set to the mean: all that a PCA can do."""
    X = np.where(visible, images, pca.mean_.reshape(images.shape[1:]))
    features = pca.transform(X.reshape(len(X), -1))
    return pca.inverse_transform(features).reshape(images.shape)


def fill_with_probabilistic_pca(pca, images, visible):
    """The conditional mean given what is visible, under PCA's Gaussian model."""
    X = images.reshape(len(images), -1) - pca.mean_
    W = pca.components_.T * np.sqrt(pca.explained_variance_)
    seen = visible.reshape(len(images), -1)
    prior = pca.noise_variance_ * np.eye(W.shape[1])
    latent = np.array(
        [
            np.linalg.solve(W[v].T @ W[v] + prior, W[v].T @ x[v])
            for x, v in zip(X, seen, strict=True)
        ]
    )
    return (latent @ W.T + pca.mean_).reshape(images.shape)


def search_mask_and_patch(train, photo):
    """GridSearchCV with one task for all: fill 4 × 4 holes over half of each image.

    Each fold holds photographs that the others do not.
    """

    def fill_in(model, X, y=None):  # noqa: ARG001
        visible = hide(X, seed=0, share=0.5, patch=4)
        return r2_hidden(X, model.reconstruct(X, visible), visible)

    grid = {"mask": [0.25, 0.5, 0.75], "patch": [2, 4, 8]}
    cv = GroupKFold(2)
    search = GridSearchCV(LinearMAE(64), grid, scoring=fill_in, cv=cv, refit=False)
    return search.fit(train, groups=photo)


def probe(features):
    classifier = LogisticRegression(max_iter=1000)
    return make_pipeline(features, StandardScaler(), classifier)


def draw(model, test, scores):
    figure = plt.figure(figsize=(13, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    ReconstructionDisplay.from_estimator(model, test, n_samples=7, ax=left)
    left.set_title("LinearMAE(64, mask=0.75, patch=8): photographs it never saw")
    for name, style in (("PCA", "o--"), ("LinearMAE", "s-")):
        r2_of_name = [scores["75% hidden", name, s] for s in DILATIONS]
        right.plot(DILATIONS, r2_of_name, style, label=f"{name}, 8 features")
    right.set(xlabel="Dilation of the Gabor target", ylim=(0, None))
    right.set_ylabel("R² on test photographs")
    right.set_title("Seeing a quarter of each image")
    right.legend()
    figure.savefig(OUT / "linear_mae.png", dpi=100)
    display = ComponentsDisplay.from_estimator(model, n_components=36)
    display.figure_.savefig(OUT / "components.png", dpi=100)


def table(title, header, rows):
    print(f"\n{title}")
    print("  " + "".join(f"{text:>12}" for text in header))
    for row in rows:
        cells = (f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row)
        print("  " + "".join(f"{cell:>12}" for cell in cells))


def main():
    start = perf_counter()
    OUT.mkdir(exist_ok=True)
    patches = load_photo_patches(6000)
    train, test = patches.images, load_photo_patches(2000, subset="test").images
    print(
        f"{len(train)} training and {len(test)} test patches of {train.shape[1:]}, "
        "from different photographs"
    )

    small = {
        "PCA": LinearAE(8).fit(train),
        "LinearMAE": LinearMAE(8, mask=0.75, patch=8).fit(train),
    }
    scores = gabor_scores(small, train, test)
    for view in ("75% hidden", "whole"):
        rows = []
        for s in DILATIONS:
            a, b = (float(scores[view, name, s]) for name in small)
            rows.append((s, a, b, b - a))
        header = ("dilation", *small, "gap")
        table(f"Gabor task, 8 features, {view} images: R²", header, rows)

    flat = train.reshape(len(train), -1)
    mae = LinearMAE(64, mask=0.75, patch=8).fit(train)
    pca = PCA(64, svd_solver="covariance_eigh").fit(flat.astype(np.float32))
    fillers = {
        "PCA": lambda X, v: fill_with_pca(pca, X, v),
        "prob. PCA": lambda X, v: fill_with_probabilistic_pca(pca, X, v),
        "LinearMAE": mae.reconstruct,
    }
    visible, everything = hide(test, seed=2), np.ones(test.shape, bool)
    rows = []
    for name, fill in fillers.items():
        began = perf_counter()
        hidden = r2_hidden(test, fill(test, visible), visible)
        took = perf_counter() - began
        whole = r2(test, fill(test, everything))
        rows.append((name, float(hidden), float(whole), took))
    table(
        "Reconstruction, 64 features: "
        "R² of hidden pixels (75% hidden), of whole images; seconds",
        ("", "hidden", "whole", "s"),
        rows,
    )

    search = search_mask_and_patch(train.mean(axis=3, dtype=np.float32), patches.photo)
    results = search.cv_results_
    by = {
        (p["mask"], p["patch"]): float(v)
        for p, v in zip(results["params"], results["mean_test_score"], strict=True)
    }
    masks, patches = sorted({m for m, _ in by}), sorted({p for _, p in by})
    rows = [(f"mask {m}", *(by[m, p] for p in patches)) for m in masks]
    table(
        "GridSearchCV, 64 features, filling 4 × 4 holes in grey patches: R²",
        ("", *(f"patch {p}" for p in patches)),
        rows,
    )
    print(f"  best: {search.best_params_}")

    X, y = load_digits(return_X_y=True)
    digits = [
        cross_val_score(probe(features), X, y, cv=5).mean()
        for features in (PCA(16), LinearMAE(16, mask=0.5, patch=2))
    ]
    rows = [("digits", *map(float, digits))]
    if os.environ.get("SKMAE_DATA"):
        a, b = fetch_cifar10(), fetch_cifar10(subset="test")
        seen, unseen = (a.data[:20_000], a.target[:20_000]), (b.data, b.target)
        cifar = [
            probe(features).fit(*seen).score(*unseen)
            for features in (PCA(16, random_state=0), LinearMAE(16, mask=0.5, patch=8))
        ]
        rows.append(("CIFAR-10", *cifar))
    table("Logistic probe, 16 features: accuracy", ("", "PCA", "LinearMAE"), rows)

    draw(mae, test, scores)
    print(f"\nPictures: {OUT / 'linear_mae.png'}, {OUT / 'components.png'}")
    print(f"{perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
