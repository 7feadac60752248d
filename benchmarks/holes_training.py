"""Parts of the training images are missing: what does it cost? Tested on whole images, and on images with holes.

CIFAR-10, 20,000 training images, LinearMAE(16, mask=0.9, patch=4): settings that `holes.py` chose on training images.
Missing are whole patches, or single pixels. "worst_z": the largest difference of one of 16 eigenvalues from that of
complete data, in standard errors of the difference that theory gives (of the mean over samples of what each adds to it,
with and without holes); 3 is the 95 % limit of the largest of 16. "worst_z_one_map": the same of what the map that was
fitted to complete data explains, which no optimum is chosen to enlarge.

And at a size that scikit-learn's IterativeImputer can do: the same images, 5,000 of them, as means over squares, 8 × 8.
EM-PPCA is probabilistic PCA fitted to incomplete samples by expectation maximisation.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, PatchImputer
from skmae.datasets import fetch_cifar10

SHARES = (0.0, 0.1, 0.3, 0.5)


def with_holes(images: np.ndarray, share: float, side: int, seed: int = 0) -> np.ndarray:
    """Flat rows, NaN in squares of `side` pixels."""
    n, height, width, _ = images.shape
    missing = np.random.default_rng(seed).random((n, height // side, width // side)) < share
    missing = missing.repeat(side, axis=1).repeat(side, axis=2)
    return np.where(missing[..., np.newaxis], np.float32(np.nan), images.astype(np.float32)).reshape(n, -1)


def interval(ours: np.ndarray, theirs: np.ndarray, draws: int = 2000) -> tuple[float, float]:
    difference = ours.astype(float) - theirs
    counts = np.random.default_rng(0).multinomial(len(ours), np.full(len(ours), 1 / len(ours)), size=draws)
    low, high = np.quantile(counts @ difference / len(ours), [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)


def contributions(model: LinearMAE, X: np.ndarray, group: np.ndarray, share: float) -> np.ndarray:
    """(n, k) what each sample adds to eigenvalues, 2 wᵀSe − wᵀVw, where entries of a group are missing together.

    A pair of features counts by one over how often it is known: 1 − share within a group, its square across groups.
    """
    Y = np.nan_to_num(X - model.mean_)
    W, E, gamma, known = model.components_, model.decoder_, model.mask / (1 - model.mask), 1 - share

    def within(parts: np.ndarray, weight: float) -> np.ndarray:
        total = np.zeros((len(Y), len(W)))
        for number in range(parts.max() + 1):
            here = parts == number
            of_w = Y[:, here] @ W[:, here].T
            total += weight * of_w**2 if weight < 0 else 2 * of_w * (Y[:, here] @ E[here]) - (1 + gamma) * of_w**2
        return total

    same = within(group, 1.0)
    everything = 2 * (Y @ W.T) * (Y @ E) - (Y @ W.T) ** 2 + within(model._problem.grid.patch_of_feature, -gamma)
    return (everything - same) / known**2 + same / known


def standard_errors(first: LinearMAE, whole: np.ndarray, X: np.ndarray, side: int, share: float) -> np.ndarray:
    """(k,) of what holes change in eigenvalues."""
    shape, pixels = first.image_shape_, np.arange(first.image_shape_[0])
    group = (pixels // side)[:, np.newaxis] * shape[1] + pixels // side
    _, group = np.unique(np.repeat(group.ravel(), shape[2]), return_inverse=True)
    change = contributions(first, X, group, share) - contributions(first, whole, group, 0.0)
    return np.asarray(change.std(axis=0) / len(X) ** 0.5)


def explained(model: LinearMAE, S: np.ndarray) -> np.ndarray:
    """(k,) what each direction of a map explains where S is the second moment, 2 wᵀSe − wᵀVw."""
    W, E = model.components_, model.decoder_
    V = model._problem.corruption.second(S.copy())
    return np.asarray(2 * np.einsum("kd,de,ek->k", W, S, E, optimize=True) - np.einsum("kd,kd->k", W @ V, W))


class EMPPCA:
    """Probabilistic PCA of incomplete samples (Tipping and Bishop, 1999): features are posterior means."""

    def __init__(self, k: int, n_iterations: int = 50):
        self.k, self.n_iterations = k, n_iterations

    def fit(self, X: np.ndarray) -> "EMPPCA":
        self.mean = np.nanmean(X, axis=0)
        rng = np.random.default_rng(0)
        self.W, self.noise = rng.standard_normal((X.shape[1], self.k)), float(np.nanvar(X))
        self.W *= self.noise**0.5 / 10
        known, Y = ~np.isnan(X), np.nan_to_num(X - self.mean)
        pairs = np.triu_indices(self.k)
        for _ in range(self.n_iterations):
            Z, C = self._posterior(Y, known)  # (n, k), (n, k, k)
            second = C + Z[:, :, np.newaxis] * Z[:, np.newaxis]
            A = np.zeros((X.shape[1], self.k, self.k))
            A[:, pairs[0], pairs[1]] = known.T.astype(float) @ second[:, pairs[0], pairs[1]]
            A[:, pairs[1], pairs[0]] = A[:, pairs[0], pairs[1]]
            self.W = np.linalg.solve(A + 1e-9 * self.noise * np.eye(self.k), (Y.T @ Z)[..., np.newaxis])[..., 0]
            explained = 2 * np.sum((Y @ self.W) * Z) - np.einsum("jk,jkl,jl->", self.W, A, self.W)
            self.noise = float((np.sum(Y**2) - explained) / known.sum())
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return self._posterior(np.nan_to_num(X - self.mean), ~np.isnan(X))[0]

    def _posterior(self, Y: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outer = (self.W[:, :, np.newaxis] * self.W[:, np.newaxis]).reshape(len(self.W), -1)
        A = (known.astype(float) @ outer).reshape(-1, self.k, self.k) / self.noise + np.eye(self.k)
        C = np.linalg.inv(A)
        return np.einsum("nkl,nl->nk", C, Y @ self.W) / self.noise, C


def judge(features: Any, X: np.ndarray, y: np.ndarray, tests: list[np.ndarray], y_test: np.ndarray) -> list[np.ndarray]:
    """Which test samples a logistic probe on these features gets right."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features.transform(X), y)
    return [probe.predict(features.transform(test)) == y_test for test in tests]


def study(
    name: str, train: tuple, test: tuple, models: dict[str, Callable[[], Any]], kinds: dict[str, int]
) -> list[dict]:
    (images, y), (test_images, y_test) = train, test
    whole = images.reshape(len(images), -1).astype(np.float32)
    rows, complete = [], {}
    for kind, side in kinds.items():
        tests = [with_holes(test_images, 0, side), with_holes(test_images, 0.5, side, seed=1)]
        for share in SHARES:
            X = with_holes(images, share, side)
            for who, make in models.items():
                start = perf_counter()
                model = make()
                model = model.partial_fit(X) if isinstance(model, LinearMAE) else model.fit(X)
                model.transform(X[:1])  # solved, where it is not yet
                seconds = perf_counter() - start
                right = judge(model, X, y, tests, y_test)
                base = complete.setdefault((kind, who), right)
                row = {
                    "data": name,
                    "missing": kind,
                    "share": share,
                    "who": who,
                    "fit_s": round(seconds, 1),
                    "accuracy": round(float(right[0].mean()), 4),
                    "accuracy_half_hidden": round(float(right[1].mean()), 4),
                    "lost": round(float(base[0].mean() - right[0].mean()), 4),
                }
                row["low"], row["high"] = interval(base[0], right[0])
                row["largest_change"] = row["worst_z"] = row["worst_z_one_map"] = ""
                if isinstance(model, LinearMAE):
                    first = complete.setdefault((kind, who, "model"), model)
                    change = model.eigenvalues_ / first.eigenvalues_ - 1
                    row["largest_change"] = round(float(np.abs(change).max()), 4)
                    if share:
                        errors = standard_errors(first, whole, X, side, share)
                        of_optimum = np.abs(model.eigenvalues_ - first.eigenvalues_) / errors
                        of_one_map = np.abs(explained(first, model.moments_.second) - first.eigenvalues_) / errors
                        row["worst_z"] = round(float(of_optimum.max()), 2)
                        row["worst_z_one_map"] = round(float(of_one_map.max()), 2)
                rows.append(row)
                print(row, flush=True)
    return rows


def main() -> None:
    data, test = fetch_cifar10(), fetch_cifar10(subset="test")
    train = data.images[:20_000], data.target[:20_000]
    models = {
        "LinearMAE": lambda: LinearMAE(16, mask=0.9, patch=4, image_shape=(32, 32, 3)),
        "PCA, mean": lambda: make_pipeline(SimpleImputer(), PCA(16, svd_solver="covariance_eigh")),
    }
    rows = study("cifar10", train, (test.images, test.target), models, {"patches": 4, "pixels": 1})

    def small(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), 8, 4, 8, 4, 3).mean(axis=(2, 4)).astype(np.float32)

    shape = (8, 8, 3)
    models = {
        "LinearMAE": lambda: LinearMAE(16, mask=0.75, patch=1, image_shape=shape),
        "LinearMAE, PatchImputer": lambda: make_pipeline(
            PatchImputer(LinearMAE(patch=1, image_shape=shape)), LinearMAE(16, mask=0.75, patch=1, image_shape=shape)
        ),
        "PCA, mean": lambda: make_pipeline(SimpleImputer(), PCA(16)),
        "PCA, IterativeImputer": lambda: make_pipeline(
            IterativeImputer(max_iter=5, n_nearest_features=30, random_state=0), PCA(16)
        ),
        "EM-PPCA": lambda: EMPPCA(16),
    }
    train = small(data.images[:5000]), data.target[:5000]
    rows += study("cifar10, 8 x 8", train, (small(test.images), test.target), models, {"pixels": 1})
    save("holes_training", rows)


if __name__ == "__main__":
    main()
