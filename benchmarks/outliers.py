"""Patches of other images, swapped in: who finds the image, and who the place? CIFAR-10, the detector and its peers.

5,000 test images, a 4 × 4 patch of another of them in half of these, at an offset from the grid of patches. AUROC tells
images with from images without; "located" is the share whose oddest pixel is within 2 pixels of the patch. Peers have
their components chosen on training images. Intervals: 95 %, bootstrap over images, the same draws for all.
"""

import sys
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skmae import PatchOutlierDetector
from skmae.datasets import fetch_cifar10

PATCH, OFFSETS, N_TEST, SHAPE = 4, (0, 1, 2), 5000, (32, 32, 3)


def swapped(images: np.ndarray, offset: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each image with a patch of the next one, in the same place; and the first pixels of the patches."""
    odd = images.copy()
    places = PATCH * rng.integers((32 - PATCH) // PATCH, size=(len(images), 2)) + offset
    for i, (row, column) in enumerate(places):
        here = np.s_[row : row + PATCH, column : column + PATCH]
        odd[i][here] = images[(i + 1) % len(images)][here]
    return odd, places


def windows_of(errors: np.ndarray) -> np.ndarray:
    """Mean of squared errors (n, 32, 32) over each 4 × 4 window, and the largest of those that cover a pixel."""
    views = np.lib.stride_tricks.sliding_window_view(errors, (PATCH, PATCH), axis=(1, 2)).mean(axis=(-1, -2))
    pixels = np.full(errors.shape, -np.inf, views.dtype)
    for row in range(PATCH):
        for column in range(PATCH):
            part = pixels[:, row : row + views.shape[1], column : column + views.shape[2]]
            np.maximum(part, views, out=part)
    return pixels


class PCAError:
    """The reconstruction error of PCA, per pixel over its average on training images."""

    def __init__(self, k: int):
        self.pca = PCA(k, svd_solver="covariance_eigh")

    def fit(self, X: np.ndarray) -> "PCAError":
        self.pca.fit(X)
        self.usual = self.errors(X[:5000]).mean(axis=0)
        return self

    def errors(self, X: np.ndarray) -> np.ndarray:
        rest = X - self.pca.inverse_transform(self.pca.transform(X))
        return (rest**2).reshape(-1, *SHAPE).sum(axis=-1)

    def maps(self, X: np.ndarray) -> np.ndarray:
        return windows_of(self.errors(X) / self.usual)


def located(maps: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether the oddest pixels' middle is within 2 pixels of the patch's, along both axes."""
    hit = []
    for image, place in zip(maps, places, strict=True):
        middle = np.argwhere(image == image.max()).mean(axis=0)
        hit.append(np.abs(middle - (place + (PATCH - 1) / 2)).max() <= 2)
    return np.array(hit)


def interval(values: list[float]) -> str:
    return " to ".join(f"{x:.4f}" for x in np.percentile(values, [2.5, 97.5]))


def auroc(normal: np.ndarray, odd: np.ndarray) -> float:
    return float(roc_auc_score(np.repeat([0, 1], [len(normal), len(odd)]), np.concatenate([normal, odd])))


def chosen_pca(train: np.ndarray, rng: np.random.Generator) -> tuple[PCAError, int]:
    """The number of components that does best on training images."""
    images = train[-1000:].reshape(-1, *SHAPE)
    odd = swapped(images, 0, rng)[0].reshape(1000, -1)
    best: tuple[float, Any, int] = (0.0, None, 0)
    for k in (64, 256, 512, 1024):
        model = PCAError(k).fit(train[:20_000])
        maps = (model.maps(X).reshape(1000, -1).max(axis=1) for X in (train[-1000:], odd))
        best = max(best, (auroc(*maps), model, k), key=lambda found: found[0])
    return best[1], best[2]


def main() -> None:
    data, test = fetch_cifar10().data, fetch_cifar10(subset="test").data[: 2 * N_TEST]
    rng = np.random.default_rng(0)
    start = perf_counter()
    detector = PatchOutlierDetector(PATCH, image_shape=SHAPE).fit(data)
    fitted = perf_counter() - start
    start = perf_counter()
    detector.patch_scores(data[:1000])
    scored = perf_counter() - start
    print(f"50,000 images fitted in {fitted:.1f} s, 1,000 scored in {scored:.1f} s", file=sys.stderr)
    train = data.astype(np.float32)
    pca, k = chosen_pca(train, rng)
    forest = IsolationForest(random_state=0).fit(train[:20_000])
    whole = PatchOutlierDetector(32, image_shape=SHAPE).fit(data)
    normal = test[:N_TEST]
    images = test[N_TEST:].reshape(-1, *SHAPE)
    rows: list[dict[str, Any]] = []
    for offset in OFFSETS:
        odd, places = swapped(images, offset, rng)
        odd = odd.reshape(N_TEST, -1)
        maps = {
            "PatchOutlierDetector": [detector.patch_scores(X) for X in (normal, odd)],
            f"PCA({k}) reconstruction error": [pca.maps(X.astype(np.float32)) for X in (normal, odd)],
        }
        scores = {name: [m.reshape(len(m), -1).max(axis=1) for m in both] for name, both in maps.items()}
        scores["Mahalanobis distance of the image"] = [-whole.score_samples(X) for X in (normal, odd)]
        scores["IsolationForest"] = [-forest.score_samples(X.astype(np.float32)) for X in (normal, odd)]
        draws = [(rng.integers(N_TEST, size=N_TEST), rng.integers(N_TEST, size=N_TEST)) for _ in range(200)]
        ours = [auroc(scores["PatchOutlierDetector"][0][a], scores["PatchOutlierDetector"][1][b]) for a, b in draws]
        for name, (of_normal, of_odd) in scores.items():
            again = [auroc(of_normal[a], of_odd[b]) for a, b in draws]
            hits = located(maps[name][1], places) if name in maps else None
            rows.append(
                {
                    "offset": offset,
                    "what": name,
                    "auroc": round(auroc(of_normal, of_odd), 4),
                    "auroc_95": interval(again),
                    "less_than_ours_95": interval([us - them for us, them in zip(ours, again, strict=True)]),
                    "located": "" if hits is None else round(float(hits.mean()), 4),
                    "fit_s": round(fitted, 2) if name == "PatchOutlierDetector" else "",
                    "score_1000_s": round(scored, 2) if name == "PatchOutlierDetector" else "",
                }
            )
            print(rows[-1])
    save("outliers", rows)


if __name__ == "__main__":
    main()
