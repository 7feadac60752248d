"""Parts of test images are hidden: how much accuracy is kept, by whom, in what time?

A logistic probe is fitted to k features of whole training images, and tested on images with holes. All that is chosen
is chosen on the last quarter of the training images, with three quarters of the patches hidden, once for each k: mask
and patch of LinearMAE, and whether its features are scaled or filled; the rank of PPCA, which fills for PCA. The test
images are used once. Intervals: 95 %, paired bootstrap over test images.

    python benchmarks/holes.py cifar10   # 20,000 training images, 5,000 test images; 500 for the conditional
    python benchmarks/holes.py digits    # 1,000 and 797; KNNImputer and IterativeImputer too
    python benchmarks/holes.py images64  # 64 x 64 x 3, 200 classes: 10,000 and 1,000
    python benchmarks/holes.py fixed     # CIFAR-10, 16 features, mask=0.9, patch=4, set beforehand; 10,000 test images
    python benchmarks/holes.py pixels    # the same with patch=1, 16 and 64 features, where single pixels are hidden
"""

import argparse
import io
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from _provenance import save
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, Moments, PatchImputer
from skmae._grid import PatchGrid
from skmae.datasets import fetch_cifar10
from skmae.masking import Blocks, ExactCount, Stripes

CHOOSING = ("patches", 0.75)
SITUATIONS = [("nothing", 0.0), ("square", 0.5), *(("patches", share) for share in (0.25, 0.5, 0.75, 0.9))]
SITUATIONS += [(kind, share) for kind in ("blocks", "stripes", "pixels") for share in (0.5, 0.75)]
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]  # images (n, d) and what is visible of them, to features (n, k)


class Data(NamedTuple):
    name: str
    shape: tuple[int, ...]
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    ranks: tuple[int, ...]
    masks: tuple[float, ...]
    patches: tuple[int, ...]
    patch: int  # that is hidden
    n_conditional: int  # test images that are filled by the best linear answer


def cifar10() -> Data:
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    X, y = train.data[:20_000], train.target[:20_000]
    ranks, masks = (8, 16, 64, 256), (0.5, 0.75, 0.9)
    return Data("cifar10", (32, 32, 3), X, y, test.data[:5000], test.target[:5000], ranks, masks, (2, 4, 8), 4, 500)


def digits() -> Data:
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[:1000], order[1000:]
    masks = (0.25, 0.5, 0.75)
    return Data("digits", (8, 8), X[train], y[train], X[test], y[test], (8, 16, 32), masks, (1, 2, 4), 2, 797)


def images64() -> Data:
    from PIL import Image

    data = np.load(Path(os.environ["SKMAE_DATA"]) / "tinyimagenet64_jpeg.npz")
    jpeg, offset, y, is_test = (data[name] for name in ("jpeg", "offset", "y", "is_val"))
    parts = pairwise(offset)
    X = np.stack([np.asarray(Image.open(io.BytesIO(jpeg[a:b])).convert("RGB")).ravel() for a, b in parts])
    train = np.flatnonzero(~is_test)
    train = train[np.random.default_rng(0).permutation(len(train))]
    X_test, y_test = X[is_test], y[is_test]
    return Data("images64", (64, 64, 3), X[train], y[train], X_test, y_test, (16, 64), (0.75, 0.9), (8,), 8, 0)


class PPCA:
    """Probabilistic PCA in closed form (Tipping and Bishop, 1999): what is hidden follows from what is visible."""

    def __init__(self, moments: Moments, values: np.ndarray, U: np.ndarray, r: int):
        d = len(moments.mean)
        self.noise = (np.trace(moments.second) - values[:r].sum()) / (d - r)
        self.mean = moments.mean
        self.W = (U[:, :r] * np.sqrt(np.maximum(values[:r] - self.noise, 0))).astype(np.float32)

    def posterior(self, Y: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Features of centred rows, zero where hidden."""
        r, Z = self.W.shape[1], np.empty((len(Y), self.W.shape[1]), np.float32)
        parts, part_of = np.unique(visible.T, axis=0, return_inverse=True)  # features that are always hidden together
        squares = np.stack([self.W[part_of.ravel() == p].T @ self.W[part_of.ravel() == p] for p in range(len(parts))])
        for rows in np.array_split(np.arange(len(Y)), max(1, len(Y) * r * r // 2**24)):
            A = (parts[:, rows].T.astype(np.float32) @ squares.reshape(len(parts), -1)).reshape(-1, r, r)
            A[:, np.arange(r), np.arange(r)] += self.noise
            Z[rows] = np.linalg.solve(A, (Y[rows] @ self.W)[..., np.newaxis])[..., 0]
        return Z

    def fill(self, Y: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return np.where(visible, Y, self.posterior(Y, visible) @ self.W.T)


def probe() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def hide(data: Data, n: int, kind: str, share: float) -> np.ndarray:
    """What is visible of n images, (n, d)."""
    channel_axis = 2 if len(data.shape) == 3 else None
    grid = PatchGrid.build(data.shape, channel_axis, 1 if kind in ("pixels", "square") else data.patch)
    random = np.random.RandomState(1)
    if kind in ("square", "block"):  # one, of about half of the area; a block is of whole patches
        height, width = grid.patches_per_axis
        side = round(height * 0.5**0.5)
        first = random.randint(0, height - side + 1, (2, n, 1, 1))
        at = np.indices((height, width))[:, np.newaxis] - first  # (2, n, h, w)
        return grid.per_feature(~((at >= 0) & (at < side)).all(axis=0).reshape(n, -1))
    sampler = {"patches": ExactCount(), "pixels": ExactCount(), "blocks": Blocks(2), "stripes": Stripes()}[kind]
    return grid.per_feature(np.asarray(sampler(n, grid, share, random)))


class Fitted:
    """All that is made of training images: probes on k features, and who fills."""

    def __init__(self, data: Data, X: np.ndarray, y: np.ndarray):
        self.data, self.X, self.y = data, X, y
        self.moments = Moments.from_data(X)
        self.mean = self.moments.mean.astype(np.float32)
        k = max(256, *data.ranks)
        pca = PCA(min(k, X.shape[1] - 1), svd_solver="auto", random_state=0).fit(X.astype(np.float32))
        self.values, self.U = pca.explained_variance_.astype(float), pca.components_.T.astype(float)
        self.kept: tuple[Any, ...] = (0, 0, None)

    def pca(self, k: int) -> np.ndarray:
        return self.U[:, :k].astype(np.float32)

    def ppca(self, r: int) -> PPCA:
        return PPCA(self.moments, self.values, self.U, r)

    def filled(self, r: int, Y: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """By PPCA; kept while the images are the same ones."""
        if self.kept[:2] != (r, id(Y)):
            self.kept = (r, id(Y), self.ppca(r).fill(Y, visible))
        return self.kept[2]

    def mae(self, k: int, mask: float, patch: int, **_: Any) -> LinearMAE:
        return LinearMAE(k, mask=mask, patch=patch, image_shape=self.data.shape).fit(self.X)

    def centred(self, X: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return np.where(visible, X - self.mean, 0).astype(np.float32)

    def probe_of(self, encode: Callable[[np.ndarray], np.ndarray]) -> Any:
        return probe().fit(encode(self.X - self.mean), self.y)


def share_of(visible: np.ndarray) -> np.ndarray:
    """(n, 1) what is visible of each image; of none, anything."""
    return np.maximum(visible.mean(axis=1, keepdims=True, dtype=np.float32), np.float32(1e-6))


def scaled(model: LinearMAE, Y: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Features of what is visible, over its share."""
    return Y @ model.components_.T.astype(np.float32) / share_of(visible)


def candidates(fitted: Fitted, k: int, chosen: dict[str, Any]) -> dict[str, tuple[Any, Fill]]:
    """Name, probe on whole training images, and centred images with holes to features."""
    E, ppca = fitted.pca(k), fitted.ppca(min(k, fitted.data.X.shape[1] // 2))
    model = fitted.mae(k, chosen["mask"], chosen["patch"])
    W = model.components_.T.astype(np.float32)
    of_pca, of_mae = fitted.probe_of(lambda Y: Y @ E), fitted.probe_of(lambda Y: Y @ W)
    everything = np.ones((1, len(E)), bool)
    of_ppca = fitted.probe_of(lambda Y: ppca.posterior(Y, np.broadcast_to(everything, Y.shape)))

    def by_model(Y: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return model.transform(np.where(visible, Y + fitted.mean, np.nan))

    return {
        "LinearMAE": (of_mae, by_model if chosen["features"] == "filled" else lambda Y, v: scaled(model, Y, v)),
        "PCA, mean": (of_pca, lambda Y, _: Y @ E),
        "PCA, scaled": (of_pca, lambda Y, v: Y @ E / share_of(v)),
        "PPCA": (of_ppca, ppca.posterior),
        "PCA, filled by PPCA": (of_pca, lambda Y, v: fitted.filled(chosen["rank_of_ppca"], Y, v) @ E),
    }


def choose(data: Data, k: int) -> dict[str, Any]:
    """Settings of the best accuracy on the last quarter of the training images."""
    cut = 3 * len(data.X) // 4
    fitted = Fitted(data, data.X[:cut], data.y[:cut])
    X, y = data.X[cut:], data.y[cut:]
    visible = hide(data, len(X), *CHOOSING)
    Y = fitted.centred(X, visible)
    found: list[tuple[float, dict[str, Any]]] = []
    for mask in data.masks:
        for patch in data.patches:
            model = fitted.mae(k, mask, patch)
            W = model.components_.T.astype(np.float32)
            of_mae = fitted.probe_of(lambda Y, W=W: Y @ W)
            filled = of_mae.score(model.transform(np.where(visible, X, np.nan)), y)
            for name, accuracy in (("filled", filled), ("scaled", of_mae.score(scaled(model, Y, visible), y))):
                found.append((accuracy, {"mask": mask, "patch": patch, "features": name}))
    E = fitted.pca(k)
    of_pca = fitted.probe_of(lambda Y: Y @ E)
    ranks = [r for r in (16, 64, 256) if r < Y.shape[1] / 2]
    accuracies = [of_pca.score(fitted.ppca(r).fill(Y, visible) @ E, y) for r in ranks]
    return max(found, key=lambda pair: pair[0])[1] | {"rank_of_ppca": ranks[int(np.argmax(accuracies))]}


def interval(ours: np.ndarray, theirs: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    difference = ours.astype(float) - theirs
    counts = np.random.default_rng(0).multinomial(len(ours), np.full(len(ours), 1 / len(ours)), size=draws)
    low, high = np.quantile(counts @ difference / len(ours), [0.025, 0.975])
    return float(low), float(high)


def imputers(data: Data) -> dict[str, Any]:
    """Ours, where a matrix of features × features is small enough, and scikit-learn's, where they finish."""
    ours = {"conditional": PatchImputer(LinearMAE(patch=data.patch, image_shape=data.shape))}
    theirs = {"KNNImputer": KNNImputer(), "IterativeImputer": IterativeImputer(random_state=0)}
    return (ours if data.n_conditional else {}) | (theirs if data.name == "digits" else {})


class Study:
    """Who keeps how much, in one situation after another."""

    def __init__(self, data: Data, settings: dict[int, dict[str, Any]]):
        self.data, self.settings = data, settings
        self.fitted = Fitted(data, data.X, data.y)
        self.known = {k: candidates(self.fitted, k, settings[k]) for k in data.ranks}
        self.fillers = {name: clone(imputer).fit(data.X) for name, imputer in imputers(data).items()}

    def rows(self, kind: str, share: float) -> Iterator[dict[str, Any]]:
        n = len(self.data.X_test)
        visible = np.ones(self.data.X_test.shape, bool) if kind == "nothing" else hide(self.data, n, kind, share)
        Y = self.fitted.centred(self.data.X_test, visible)
        filled = {name: self.fill(name, visible) for name in self.fillers}
        for k in self.data.ranks:
            right, seconds = self.right(k, Y, visible)
            for name, (whole, took) in filled.items():
                for label, clf, E in self.encoders(k, name):
                    right[label], seconds[label] = clf.predict(whole @ E) == self.data.y_test[: len(whole)], took
            for name, correct in right.items():
                ours = right["LinearMAE"][: len(correct)]
                low, high = interval(ours, correct)
                yield {
                    "data": self.data.name,
                    "hidden": kind,
                    "share": round(float(1 - visible.mean()), 3),
                    "k": k,
                    "who": name,
                    "n_test": len(correct),
                    "accuracy": round(float(correct.mean()), 4),
                    "linear_mae_ahead": round(float(ours.mean() - correct.mean()), 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                    "ms_an_image": round(1000 * seconds[name], 3)
                    or "",  # too short to tell, or shared with a row above
                    "chosen": " ".join(f"{key}={value}" for key, value in self.settings[k].items()),
                }

    def fill(self, name: str, visible: np.ndarray) -> tuple[np.ndarray, float]:
        """Centred images, and seconds for one of them."""
        m, start = self.data.n_conditional, perf_counter()
        whole = self.fillers[name].transform(np.where(visible[:m], self.data.X_test[:m].astype(np.float32), np.nan))
        return whole.reshape(m, -1) - self.fitted.mean, (perf_counter() - start) / m

    def right(self, k: int, Y: np.ndarray, visible: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Which test images each candidate gets right, and seconds for one of them."""
        right, seconds = {}, {}
        for name, (clf, encode) in self.known[k].items():
            start = perf_counter()
            Z = encode(Y, visible)
            seconds[name] = (perf_counter() - start) / len(Y)
            right[name] = clf.predict(Z) == self.data.y_test
        return right, seconds

    def encoders(self, k: int, name: str) -> Iterator[tuple[str, Any, np.ndarray]]:
        """Of images that are filled: by PCA, and by LinearMAE what is filled by its own conditional."""
        yield f"PCA, {name}", self.known[k]["PCA, mean"][0], self.fitted.pca(k)
        if name == "conditional":
            W = self.fitted.mae(k, **self.settings[k]).components_.T
            yield f"LinearMAE, {name}", self.known[k]["LinearMAE"][0], W


def study(data: Data, settings: dict[int, dict[str, Any]], situations: list[tuple[str, float]]) -> None:
    print(settings, flush=True)
    whole, rows = Study(data, settings), []
    for kind, share in situations:
        for row in whole.rows(kind, share):
            rows.append(row)
            print({name: row[name] for name in ("hidden", "share", "k", "who", "accuracy", "low", "high")}, flush=True)
        save(f"holes_{data.name}", rows)


def fixed(name: str, patch: int, ranks: tuple[int, ...], situations: list[tuple[str, float]], **others: Any) -> None:
    """Nothing is chosen by data."""
    test = fetch_cifar10(subset="test")
    data = cifar10()._replace(name=name, X_test=test.data, y_test=test.target, ranks=ranks, **others)
    settings = {"mask": 0.9, "patch": patch, "features": "filled", "rank_of_ppca": 256}
    study(data, dict.fromkeys(ranks, settings), situations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["cifar10", "digits", "images64", "fixed", "pixels"])
    options = parser.parse_args()
    if options.data == "fixed":
        holes = [("nothing", 0.0), ("patches", 0.75), ("square", 0.5), ("block", 0.5)]
        fixed("cifar10_fixed", 4, (16,), holes, n_conditional=1000)
        return
    if options.data == "pixels":
        fixed("cifar10_pixels", 1, (16, 64), [("nothing", 0.0), ("pixels", 0.5), ("pixels", 0.75)], n_conditional=500)
        return
    data = {"cifar10": cifar10, "digits": digits, "images64": images64}[options.data]()
    study(data, {k: choose(data, k) for k in data.ranks}, SITUATIONS)


if __name__ == "__main__":
    main()
