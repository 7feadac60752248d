"""Fig. 7: predicting Gabor features of dilation s from 8 linear features, by mask, on CIFAR-10.

From whole images and from images of which three quarters are hidden, in the probe's training and in its test. A mask of
0 is PCA. R² on 10,000 test images, three draws of 20,000 training images. Writes fig07_gabor.csv.
"""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae import LinearMAE
from skmae.datasets import fetch_cifar10, make_gabor_targets

N, COMPONENTS, PATCH, SEEDS = 20_000, 8, 8, (0, 1, 2)
MASKS, DILATIONS = (0.0, 0.25, 0.5, 0.75, 0.9), (1, 2, 3, 4, 6, 8)
GABOR = {"frequency": 0.25, "sigma": 1.0}


def hide(images: np.ndarray, mean: np.ndarray, seed: int) -> np.ndarray:
    """The same with patches set to the mean, each with probability 0.75."""
    side = 32 // PATCH
    visible = np.random.default_rng(seed).random((len(images), side, side)) < 0.25
    return np.where(visible.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[..., np.newaxis], images, mean)


def targets(images: np.ndarray, dilation: float) -> np.ndarray:
    grey = images.mean(axis=3, dtype=np.float32)
    return make_gabor_targets(grey, dilation=dilation, **GABOR).reshape(len(images), -1).astype(np.float32)


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
        for mask in MASKS:
            model = LinearMAE(COMPONENTS, mask=mask, patch=PATCH).fit(some)
            for view, (seen, unseen) in views.items():
                features = model.transform(seen), model.transform(unseen)
                for dilation in DILATIONS:
                    probe = make_pipeline(StandardScaler(), Ridge(alpha=10)).fit(features[0], wanted[dilation])
                    score = r2_score(truth[dilation], probe.predict(features[1]), multioutput="variance_weighted")
                    key = {"view": view, "mask": mask, "dilation": dilation, "seed": seed}
                    rows.append({**key, "r2": round(float(score), 4)})
            print(rows[-1], flush=True)
    save("fig07_gabor", rows)


if __name__ == "__main__":
    main()
