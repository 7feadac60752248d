"""More kinds of patches that do not belong, of several sizes, at any place; and, as a control, images of another class.

CIFAR-10, 20,000 training images, 1,000 test images with a patch and 1,000 without. Everybody looks for 4 × 4 patches,
whatever the size of what is there. Novelty detectors learn from 5,000 such patches of training images, less their mean,
and judge every window. Of ViTMAE's patch features the distance to the nearest of 20,000 of training images counts, as
in PatchCore (Roth et al., 2022). Control: trained on one class, whole images of all others are to be told from it; no
detector of patches can be expected to. AUROC, 95 % bootstrap over images.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _provenance import save
from outliers import PATCH, SHAPE, PCAError, auroc, interval
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from vit_probe import vit

from skmae import PatchOutlierDetector
from skmae.datasets import fetch_cifar10

N_TEST = 1000
Score = Callable[[np.ndarray], np.ndarray]


def with_patch(images: np.ndarray, kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    odd = images.copy()
    for i, (row, column) in enumerate(rng.integers(0, 33 - size, (len(images), 2))):
        here = np.s_[row : row + size, column : column + size]
        odd[i][here] = changed(kind, images[i].astype(float), images[(i + 1) % len(images)], here)
    return odd


def changed(kind: str, image: np.ndarray, other: np.ndarray, here: tuple[slice, slice]) -> np.ndarray:
    """What stands in the place of a patch."""
    if kind == "swapped":
        return other[here]
    if kind == "blurred":
        return np.asarray(gaussian_filter(image, (2, 2, 0))[here])
    return 0.6 * image[here] if kind == "dimmed" else np.broadcast_to(image[here].mean(axis=(0, 1)), image[here].shape)


def windows(images: np.ndarray) -> np.ndarray:
    """(n, 29 * 29, 48) all 4 × 4 patches, less their mean."""
    views = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    patches = views.reshape(len(images), -1, PATCH * PATCH * 3).astype(np.float32)
    return np.asarray(patches - patches.mean(axis=2, keepdims=True))


def of_patches(model: Any, images: np.ndarray, rng: np.random.Generator) -> Score:
    """The oddest window, by a detector that learns from patches."""
    some = windows(images[rng.integers(0, len(images), 5000)])
    model.fit(some[np.arange(5000), rng.integers(0, some.shape[1], 5000)])

    def score(tests: np.ndarray) -> np.ndarray:
        parts = np.array_split(tests, max(1, len(tests) // 50))
        return np.concatenate(
            [-model.score_samples(windows(p).reshape(-1, 48)).reshape(len(p), -1).min(1) for p in parts]
        )

    return score


def of_vit(images: np.ndarray, rng: np.random.Generator) -> Score:
    """The patch whose features are farthest from all that were seen."""
    mae = vit(0, epochs=20).fit(images[:10_000])
    seen = mae.patch_features(images[:5000]).reshape(-1, mae.embed_dim)
    bank = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(seen[rng.choice(len(seen), 20_000, replace=False)])

    def score(tests: np.ndarray) -> np.ndarray:
        features = mae.patch_features(tests).reshape(-1, mae.embed_dim)
        return np.asarray(bank.kneighbors(features)[0].reshape(len(tests), -1).max(axis=1))

    return score


def detectors(train: np.ndarray, rng: np.random.Generator) -> dict[str, Score]:
    flat = train.reshape(len(train), -1)
    ours = PatchOutlierDetector(PATCH, image_shape=SHAPE).fit(flat)
    pca = PCAError(min(512, len(train) // 2)).fit(flat.astype(np.float32))
    forest = IsolationForest(random_state=0).fit(flat)
    whole = PatchOutlierDetector(32, image_shape=SHAPE).fit(flat)
    novelty = LocalOutlierFactor(20, novelty=True)
    return {
        "PatchOutlierDetector": lambda X: -ours.score_samples(X),
        "PCA(512) reconstruction error": lambda X: (
            pca.maps(X.reshape(len(X), -1).astype(np.float32)).reshape(len(X), -1).max(axis=1)
        ),
        "Mahalanobis distance of the image": lambda X: -whole.score_samples(X),
        "IsolationForest": lambda X: -forest.score_samples(X.reshape(len(X), -1)),
        "OneClassSVM of patches": of_patches(make_pipeline(StandardScaler(), OneClassSVM(nu=0.05)), train, rng),
        "LocalOutlierFactor of patches": of_patches(make_pipeline(StandardScaler(), novelty), train, rng),
        "ViTMAE, nearest patch features": of_vit(train, rng),
    }


def rows_of(
    what: dict[str, Any], of_normal: dict[str, np.ndarray], of_odd: dict[str, np.ndarray]
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(1)
    sizes = [len(next(iter(found.values()))) for found in (of_normal, of_odd)]
    draws = [[rng.integers(size, size=size) for size in sizes] for _ in range(200)]
    ours = [auroc(of_normal["PatchOutlierDetector"][a], of_odd["PatchOutlierDetector"][b]) for a, b in draws]
    for name, normal in of_normal.items():
        again = [auroc(normal[a], of_odd[name][b]) for a, b in draws]
        yield {
            **what,
            "who": name,
            "auroc": round(auroc(normal, of_odd[name]), 4),
            "auroc_95": interval(again),
            "less_than_ours_95": interval([us - them for us, them in zip(ours, again, strict=True)]),
        }


def judged(scores: dict[str, Score], images: np.ndarray) -> dict[str, np.ndarray]:
    return {name: score(images) for name, score in scores.items()}


def cases() -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """What is odd, and everybody's scores of normal and of odd images."""
    data, test = fetch_cifar10(), fetch_cifar10(subset="test")
    rng = np.random.default_rng(0)
    scores = detectors(data.images[:20_000], rng)
    normal = judged(scores, test.images[:N_TEST])
    for kind in ("swapped", "blurred", "dimmed", "flat"):
        for size in (2, 4, 8) if kind == "swapped" else (4, 8):
            odd = with_patch(test.images[N_TEST : 2 * N_TEST], kind, size, rng)
            yield {"kind": kind, "size": size}, normal, judged(scores, odd)
    of_class = detectors(data.images[data.target == 3], rng)
    cats, others = (test.images[(test.target == 3) == same][:N_TEST] for same in (True, False))
    yield {"kind": "another class than cats", "size": 32}, judged(of_class, cats), judged(of_class, others)


def main() -> None:
    rows = []
    for what, normal, odd in cases():
        for row in rows_of(what, normal, odd):
            rows.append(row)
            print(row, flush=True)
        save("outliers_kinds", rows)


if __name__ == "__main__":
    main()
