"""Fig. 7: predicting Gabor features of dilation s from few linear features, by mask, on CIFAR-10.

From whole images and from images of which three quarters are hidden, in the probe's training and in its test. The
probe is a ridge regression that chooses its strength by cross-validation, from few labelled images or all of them. A
mask of 0 is PCA. R² on 10,000 test images, three draws of 20,000 training images. Writes fig07_gabor.csv.
"""

from itertools import product

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae import LinearMAE
from skmae.datasets import fetch_cifar10, make_gabor_targets

N, PATCH, SEEDS = 20_000, 8, (0, 1, 2)
COMPONENTS, LABELLED = (8, 64), (50, 500, N)
MASKS, DILATIONS = (0.0, 0.25, 0.5, 0.75, 0.9), (1, 2, 3, 4, 6, 8)
GABOR = {"frequency": 0.25, "sigma": 1.0}
STRENGTHS = np.logspace(-1, 5, 7)


def hide(images: np.ndarray, mean: np.ndarray, seed: int) -> np.ndarray:
    """The same with patches set to the mean, each with probability 0.75."""
    side = 32 // PATCH
    visible = np.random.default_rng(seed).random((len(images), side, side)) < 0.25
    return np.where(visible.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[..., np.newaxis], images, mean)


def targets(images: np.ndarray, dilation: float) -> np.ndarray:
    grey = images.mean(axis=3, dtype=np.float32)
    return make_gabor_targets(grey, dilation=dilation, **GABOR).reshape(len(images), -1).astype(np.float32)


def probe(features: np.ndarray, wanted: np.ndarray, unseen: np.ndarray, truth: np.ndarray) -> float:
    fitted = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS)).fit(features, wanted)
    return float(r2_score(truth, fitted.predict(unseen), multioutput="variance_weighted"))


def main() -> None:
    arguments(__doc__).parse_args()
    train, test = fetch_cifar10().images, fetch_cifar10(subset="test").images
    truth = {dilation: targets(test, dilation) for dilation in DILATIONS}
    rows = []
    for seed in SEEDS:
        some = train[np.random.default_rng(seed).permutation(len(train))[:N]]
        wanted = {dilation: targets(some, dilation) for dilation in DILATIONS}
        mean = some.mean(axis=0).astype(np.uint8)
        views = {"whole": (some, test), "75% hidden": (hide(some, mean, seed), hide(test, mean, seed + 10))}
        for k, mask in product(COMPONENTS, MASKS):
            model = LinearMAE(k, mask=mask, patch=PATCH).fit(some)
            for view, (seen, unseen) in views.items():
                features = model.transform(seen), model.transform(unseen)
                for n, dilation in product(LABELLED, DILATIONS):
                    score = probe(features[0][:n], wanted[dilation][:n], features[1], truth[dilation])
                    key = {"view": view, "n_components": k, "labelled": n, "mask": mask, "dilation": dilation}
                    rows.append({**key, "seed": seed, "r2": round(score, 4)})
            print(rows[-1], flush=True)
    save("fig07_gabor", rows)


if __name__ == "__main__":
    main()
