"""What do local tokens add, and what does the mask add to them? Accuracy of a logistic probe on k features.

Filters, features and probes are fitted to training images, 3 times with other filters each; the test images are used
once. What is chosen, is chosen on the last fifth of the training images, by a probe on 96 features of the others: the
kind of filters, and for each k the mask. Intervals: 95 %, paired bootstrap over test images of the average over seeds.

    python benchmarks/tokens.py cifar10   # 50,000 training images, 10,000 test images
    python benchmarks/tokens.py images64  # 64 x 64 x 3, 200 classes: 10,000 and 1,000
    python benchmarks/tokens.py holes     # CIFAR-10, a square of a quarter of the area hidden in 2,000 test images
    python benchmarks/tokens.py cost      # seconds and memory of fit and transform, 50,000 images, all cores
    python benchmarks/tokens.py convolution  # beside PyTorch's
    python benchmarks/tokens.py levels    # tokens of tokens; 20,000 training images, judged by the last 10,000 of them
    python benchmarks/tokens.py vit       # CIFAR-10, ViTMAE in the same time and in ten times as much
"""

import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
from _memory import rise_of_peak
from _provenance import rows_of, save
from holes import Data, images64, interval
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, LocalTokens, Moments, PatchImputer
from skmae.datasets import fetch_cifar10

RANKS, MASKS, SEEDS = (16, 96, 256, 1024), (0.5, 0.75, 0.9, 0.95), 3
LABELS = (10, 100, 1000)
OURS = "tokens, LinearMAE"
Features = tuple[np.ndarray, np.ndarray]  # of training and of test images


def cifar10() -> Data:
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    return Data("cifar10", (32, 32, 3), train.images, train.target, test.images, test.target, RANKS, MASKS, (4,), 4, 0)


def small64() -> Data:
    data = images64()
    X, X_test = (each.reshape(-1, 64, 64, 3) for each in (data.X, data.X_test))
    return data._replace(X=X, X_test=X_test, ranks=(16, 96, 256), masks=MASKS)


def probe(Z: np.ndarray, y: np.ndarray) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(Z, y)


def linear(mask: float, k: int, moments: Moments) -> LinearMAE:
    return LinearMAE(k, mask=mask, patch=1, channel_axis=-1).fit_moments(moments)


class Triangle:
    """k-means features of Coates and Ng (2011): how much nearer than the average each centre is, summed over quadrants.

    Windows of 6 × 6 pixels, their contrast normalised and whitened, with their constants for pixels of 0 to 255.
    """

    def __init__(self, n_centres: int, seed: int):
        self.n_centres, self.seed = n_centres, seed

    def windows(self, images: np.ndarray) -> np.ndarray:
        """(n, places, places, 108), contrast normalised."""
        views = np.lib.stride_tricks.sliding_window_view(images, (6, 6), axis=(1, 2))
        rows = views.reshape(*views.shape[:3], -1).astype(np.float32)
        rows -= rows.mean(axis=-1, keepdims=True)
        return np.asarray(rows / np.sqrt(rows.var(axis=-1, keepdims=True) + 10))

    def fit(self, images: np.ndarray) -> "Triangle":
        rng = np.random.default_rng(self.seed)
        some = images[np.sort(rng.choice(len(images), 2500, replace=False))]
        rows = self.windows(some).reshape(len(some), -1, 108)
        rows = rows[:, rng.choice(rows.shape[1], 40, replace=False)].reshape(-1, 108)
        self.mean = rows.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(rows.T))
        self.whitening = ((vectors / np.sqrt(values + 0.1)) @ vectors.T).astype(np.float32)
        clusters = MiniBatchKMeans(self.n_centres, batch_size=4096, n_init=1, random_state=self.seed)
        self.centres = clusters.fit((rows - self.mean) @ self.whitening).cluster_centers_.astype(np.float32)
        return self

    def transform(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self.of(part) for part in np.array_split(images, max(1, len(images) // 50))])

    def of(self, images: np.ndarray) -> np.ndarray:
        rows = (self.windows(images) - self.mean) @ self.whitening
        squares = (rows**2).sum(-1, keepdims=True) + (self.centres**2).sum(axis=1) - 2 * rows @ self.centres.T
        distances = np.sqrt(np.maximum(squares, 0))
        active = np.maximum(distances.mean(axis=-1, keepdims=True) - distances, 0)
        halves = [half for part in np.array_split(active, 2, axis=1) for half in np.array_split(part, 2, axis=2)]
        return np.concatenate([half.sum(axis=(1, 2)) for half in halves], axis=1)


CANDIDATES: tuple[dict[str, Any], ...] = (
    {"filters": "kmeans"},
    {"filters": "random"},
    {"filters": "pca"},
    {"filters": "kmeans", "n_filters": 192, "pool": 3},
)


def choose(data: Data) -> tuple[dict[str, Any], dict[int, float]]:
    """Parameters of LocalTokens, and the mask for each k, by a fifth of the training images."""
    cut = 4 * len(data.X) // 5
    best: tuple[float, dict[str, Any], dict[int, float]] = (0.0, {}, {})
    for candidate in CANDIDATES:
        maker = LocalTokens(**candidate, random_state=0).fit(data.X[:cut])
        T, V = maker.transform(data.X[:cut]), maker.transform(data.X[cut:])
        moments = Moments.from_data(T)
        found: dict[int, list[tuple[float, float]]] = {k: [] for k in (16, 96, 256)}
        for mask in data.masks:
            model = linear(mask, 256, moments)
            Z, W = model.transform(T), model.transform(V)
            for k, accuracies in found.items():
                accuracies.append((probe(Z[:, :k], data.y[:cut]).score(W[:, :k], data.y[cut:]), mask))
                print(candidate, k, accuracies[-1], flush=True)
        chosen = {k: max(accuracies)[1] for k, accuracies in found.items()}
        best = max(best, (max(found[96])[0], candidate, chosen | {1024: chosen[256]}), key=lambda each: each[0])
    return best[1:]  # probes on 1,024 features take minutes: their mask is that of 256


def encoders(
    data: Data, parameters: dict[str, Any], masks: dict[int, float], seed: int
) -> Iterator[tuple[str, int, Features, float]]:
    """Who, how many features, the features, and seconds to fit and to transform the training images."""
    images = (data.X, data.X_test)
    start = perf_counter()
    maker = LocalTokens(**parameters, random_state=seed).fit(data.X)
    tokens = [maker.transform(each) for each in images]
    moments = Moments.from_data(tokens[0])
    for_tokens = perf_counter() - start
    pooled = tuple(each.mean(axis=(1, 2)) for each in tokens)
    yield "pooled tokens", pooled[0].shape[1], pooled, for_tokens
    for name, of, extra in (("tokens", tokens, for_tokens), ("pixels", images, 0.0)):
        start = perf_counter()
        flat = [each.reshape(len(each), -1).astype(np.float32) for each in of]
        pca = PCA(max(data.ranks), svd_solver="covariance_eigh").fit(flat[0])
        Z = [pca.transform(each) for each in flat]
        took = perf_counter() - start + extra
        if name == "tokens" or seed == 0:  # nothing is random about pixels
            for k in data.ranks:
                yield f"{name}, PCA", k, (Z[0][:, :k], Z[1][:, :k]), took
    for k in data.ranks:
        start = perf_counter()
        model = linear(masks[k], k, moments)
        yield OURS, k, (model.transform(tokens[0]), model.transform(tokens[1])), perf_counter() - start + for_tokens
        if seed == 0:
            start = perf_counter()
            model = LinearMAE(k, mask=0.75, patch=data.patch).fit(data.X)
            yield (
                "pixels, LinearMAE",
                k,
                (model.transform(images[0]), model.transform(images[1])),
                perf_counter() - start,
            )
        if k < 1024:
            start = perf_counter()
            theirs = Triangle(k // 4, seed).fit(data.X)
            Z = theirs.transform(images[0]), theirs.transform(images[1])
            yield "k-means, triangle", k, Z, perf_counter() - start


def few(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n training samples, as many of each class."""
    rng, classes = np.random.default_rng(seed), np.unique(y)
    return np.concatenate([rng.choice(np.flatnonzero(y == c), n // len(classes), replace=False) for c in classes])


def study(data: Data) -> None:
    parameters, masks = choose(data)
    print(parameters, masks, flush=True)
    right: dict[tuple[str, int, int], list[np.ndarray]] = {}
    seconds: dict[tuple[str, int], list[float]] = {}
    labels = [n for n in LABELS if n >= len(np.unique(data.y))]
    for seed in range(SEEDS):
        for who, k, (Z, Z_test), took in encoders(data, parameters, masks, seed):
            seconds.setdefault((who, k), []).append(took)
            for n in [*labels, len(data.y)]:
                draws = [np.arange(n)] if n == len(data.y) else [few(data.y, n, 10 * seed + i) for i in range(10)]
                correct = [probe(Z[rows], data.y[rows]).predict(Z_test) == data.y_test for rows in draws]
                right.setdefault((who, k, n), []).append(np.mean(correct, axis=0))
            print(seed, who, k, round(float(right[who, k, len(data.y)][-1].mean()), 4), round(took, 1), flush=True)
        save(f"tokens_{data.name}", rows(right, seconds, parameters, masks))


def rows(
    right: dict[tuple[str, int, int], list[np.ndarray]], seconds: Any, parameters: Any, masks: Any
) -> list[dict[str, Any]]:
    made = []
    for (who, k, n), each in right.items():
        correct = np.mean(each, axis=0)
        ours = right.get((OURS, k, n))
        low, high = (None, None) if ours is None else interval(np.mean(ours, axis=0), correct)
        made.append(
            {
                "who": who,
                "k": k,
                "labels": n,
                "accuracy": round(float(correct.mean()), 4),
                "of_seeds": " ".join(f"{one.mean():.4f}" for one in each),
                "tokens_mae_ahead": "" if ours is None else round(float(np.mean(ours) - correct.mean()), 4),
                "low": "" if low is None else round(low, 4),
                "high": "" if high is None else round(high, 4),
                "fit_transform_s": round(float(np.median(seconds[who, k])), 1),
                "tokens": " ".join(f"{name}={value}" for name, value in parameters.items()),
                "mask": masks.get(k, ""),
            }
        )
    return made


def untouched(maker: LocalTokens, visible: np.ndarray) -> np.ndarray:
    """(n, 16) which of 4 × 4 tokens see nothing that is hidden: windows of 6 × 6, 27 along each axis."""
    views = np.lib.stride_tricks.sliding_window_view(visible.all(axis=-1), maker.size_, axis=(1, 2)).all(axis=(-1, -2))
    bands = [np.flatnonzero(np.arange(27) * 4 // 27 == band) for band in range(4)]
    tokens = [views[:, rows][:, :, columns].all(axis=(1, 2)) for rows in bands for columns in bands]
    return np.stack(tokens, axis=1)


def holes() -> None:
    """A square of 16 × 16 pixels is hidden: is it better filled before tokens are made, or are tokens left out?"""
    data, rng = cifar10(), np.random.default_rng(0)
    settings = rows_of("tokens_cifar10")
    mask = float(next(row["mask"] for row in settings if row["k"] == "96"))
    X, y, X_test, y_test = data.X[:20_000], data.y[:20_000], data.X_test[:2000], data.y_test[:2000]
    maker = LocalTokens(random_state=0).fit(X)
    T = maker.transform(X)
    mean = X.mean(axis=0)
    visible = np.ones(X_test.shape, bool)
    for each, (row, column) in zip(visible, rng.integers(0, 17, (len(visible), 2)), strict=True):
        each[row : row + 16, column : column + 16] = False
    gone = np.where(visible, X_test.astype(np.float32), np.nan)
    of_mean = np.where(visible, X_test, mean).astype(np.float32)
    filled = PatchImputer(LinearMAE(patch=4)).fit(X).transform(gone)
    whole = untouched(maker, visible)
    found: dict[str, np.ndarray] = {}
    for name, m in (("PCA", 0.0), ("LinearMAE", mask)):
        model = LinearMAE(96, mask=m, patch=1, channel_axis=-1).fit(T)
        clf = probe(model.transform(T), y)
        for how, images in (("nothing hidden", X_test), ("mean", of_mean), ("PatchImputer", filled)):
            found[f"{name}, {how}"] = clf.predict(model.transform(maker.transform(images))) == y_test
        Z = model.transform(maker.transform(of_mean), visible=whole)
        found[f"{name}, tokens that see the hole left out"] = clf.predict(Z) == y_test
    best = found["LinearMAE, PatchImputer"]
    rows_ = []
    for name, correct in found.items():
        low, high = interval(best, correct)
        rows_.append(
            {"who": name, "accuracy": round(float(correct.mean()), 4), "low": round(low, 4), "high": round(high, 4)}
        )
        print(rows_[-1], flush=True)
    save("tokens_holes", rows_)


def cost() -> None:
    images = fetch_cifar10().images
    made = []
    for parameters in ({}, {"n_filters": 192, "pool": 3}):
        maker = LocalTokens(**parameters, random_state=0)
        for how, features in (("a pipeline", of_pipeline), ("a stream", of_stream)):
            for k in (96, 256):
                mae = LinearMAE(k, mask=0.95, patch=1, channel_axis=-1)
                start = perf_counter()
                Z, mib = rise_of_peak(lambda f=features, mae=mae, maker=maker: f(maker, mae, images))
                row = {"tokens": str(parameters), "how": how, "k": k, "n": len(Z)}
                row |= {"fit_transform_s": round(perf_counter() - start, 1), "peak_mib": round(mib)}
                made.append(row)
                print(row, flush=True)
    save("tokens_cost", made)


def of_pipeline(maker: LocalTokens, mae: LinearMAE, images: np.ndarray) -> np.ndarray:
    """Features, with the tokens of all images in memory."""
    return make_pipeline(maker, mae).fit_transform(images)


def of_stream(maker: LocalTokens, mae: LinearMAE, images: np.ndarray) -> np.ndarray:
    """Features, with the tokens of 2,000 images at a time; filters are those of the first 10,000."""
    batches = [images[i : i + 2000] for i in range(0, len(images), 2000)]
    maker.fit(images[:10_000])
    for batch in batches:
        mae.partial_fit(maker.transform(batch))
    return np.concatenate([mae.transform(maker.transform(batch)) for batch in batches])


def convolution() -> None:
    """All of transform, beside the convolution alone in PyTorch: medians of five, alternating, 5,000 images."""
    import torch

    images = fetch_cifar10().images[:5000]
    maker = LocalTokens(192, pool=3, random_state=0).fit(images)
    weights = torch.from_numpy(np.moveaxis(maker.filters_, -1, 1).astype(np.float32))
    pixels = torch.from_numpy(np.moveaxis(images, -1, 1).astype(np.float32)).split(256)

    def convolve() -> None:
        with torch.inference_mode():
            for batch in pixels:
                torch.nn.functional.conv2d(batch, weights)

    seconds: dict[str, list[float]] = {"LocalTokens.transform": [], "torch conv2d alone": []}
    for _ in range(5):
        for name, run in zip(seconds, (lambda: maker.transform(images), convolve), strict=True):
            start = perf_counter()
            run()
            seconds[name].append(perf_counter() - start)
    rows = [
        {"what": name, "threads": torch.get_num_threads(), "s": round(float(np.median(s)), 2)}
        for name, s in seconds.items()
    ]
    print(rows)
    save("tokens_convolution", rows)


def levels() -> None:
    """9 × 9 tokens, their principal components, tokens of those; beside plain averages of the 9 × 9."""
    data = cifar10()
    X, y, V, y_valid = data.X[:20_000], data.y[:20_000], data.X[-10_000:], data.y[-10_000:]
    maker = LocalTokens(192, pool=9, random_state=0).fit(X)
    fine = [maker.transform(each) for each in (X, V)]
    pca = PCA(48, svd_solver="covariance_eigh").fit(fine[0].reshape(-1, 384)[::20])
    reduced = [pca.transform(each.reshape(-1, 384)).reshape(-1, 9, 9, 48) for each in fine]
    second = LocalTokens(192, size=3, pool=3, channel_axis=-1, random_state=0).fit(reduced[0])
    one = [each.reshape(-1, 3, 3, 3, 3, 384).mean(axis=(2, 4)) for each in fine]
    two = [second.transform(each) for each in reduced]
    scale = one[0].std() / two[0].std()
    both = [np.concatenate([a, scale * b], axis=-1) for a, b in zip(one, two, strict=True)]
    made = []
    for name, (T, T_valid) in {"one level": one, "the second": two, "both side by side": both}.items():
        moments = Moments.from_data(T)
        for k in (96, 256):
            model = linear(0.9, k, moments)
            accuracy = probe(model.transform(T), y).score(model.transform(T_valid), y_valid)
            made.append({"what": name, "k": k, "accuracy": round(float(accuracy), 4)})
            print(made[-1], flush=True)
    save("tokens_levels", made)


def vit() -> None:
    """Three trainings of about the time that tokens take, and one of ten times as much."""
    from vit_probe import vit as small

    data = cifar10()
    ours = next(row for row in rows_of("tokens_cifar10") if row["who"] == OURS and row["k"] == "96")
    made = []
    for times, seed in ((1, 0), (1, 1), (1, 2), (10, 0)):
        n = len(data.X) if times > 1 else 10_000
        start = perf_counter()
        small(seed, 1).fit(data.X[:2000])
        epochs = max(1, round(times * float(ours["fit_transform_s"]) / ((perf_counter() - start) * n / 2000)))
        start = perf_counter()
        mae = small(seed, epochs).fit(data.X[:n])
        took = round(perf_counter() - start)
        clf = probe(mae.transform(data.X), data.y)
        accuracy = clf.score(mae.transform(data.X_test), data.y_test)
        made.append({"times": times, "seed": seed, "images": n, "epochs": epochs, "fit_s": took, "accuracy": accuracy})
        print(made[-1], flush=True)
        save("tokens_vit", made)


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    runs = {"cifar10": lambda: study(cifar10()), "images64": lambda: study(small64()), "holes": holes}
    runs |= {"cost": cost, "convolution": convolution, "levels": levels, "vit": vit}
    if what not in runs:
        sys.exit(f"{__doc__}\nPass one of {', '.join(runs)}.")
    runs[what]()
