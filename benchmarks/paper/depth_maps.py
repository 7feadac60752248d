"""Depth maps of rooms from few linear features of their pictures: PCA, LinearAE and LinearMAE by patch and mask.

NYU Depth v2, 795 training and 654 test pairs, 32 × 32 pixels, whole images; a ridge regression on the features, its
penalty by cross-validation. The mean map of training needs no features: what PCA gains over it is all there is to gain
from PCA. Differences to PCA are of paired test images, their intervals by bootstrap. Writes depth.csv.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae import LinearAE, LinearMAE
from skmae.datasets import load_depth

COMPONENTS = (1, 2, 4, 8, 16, 32)
MASKS, PATCHES = (0.5, 0.75, 0.9), (2, 4, 8, 16)


def flatten(X: np.ndarray) -> np.ndarray:
    return X.reshape(len(X), -1).astype(np.float64)


def ridge(features: Any) -> Any:
    return make_pipeline(features, StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))


def predictors(k: int) -> list[tuple[dict[str, Any], Any]]:
    flat = FunctionTransformer(flatten)
    listed: list[tuple[dict[str, Any], Any]] = [
        ({"model": "PCA"}, ridge(make_pipeline(flat, PCA(k, random_state=0)))),
        ({"model": "mean map"}, make_pipeline(flat, DummyRegressor())),
        ({"model": "LinearAE"}, ridge(LinearAE(k))),
    ]
    listed += [
        ({"model": "LinearMAE", "mask": mask, "patch": patch}, ridge(LinearMAE(k, mask=mask, patch=patch)))
        for mask in MASKS
        for patch in PATCHES
    ]
    return listed


def errors(predictor: Any, train: Any, test: Any) -> np.ndarray:
    """Mean squared error of each test image."""
    predictor.fit(train.images, flatten(train.target))
    return ((predictor.predict(test.images) - flatten(test.target)) ** 2).mean(axis=1)


def main() -> None:
    arguments(__doc__).parse_args()
    train, test = load_depth(subset="train", size=32), load_depth(subset="test", size=32)
    resampled = np.random.default_rng(0).integers(0, len(test.images), (2000, len(test.images)))
    rows = []
    for k in COMPONENTS:
        baseline = None
        for settings, predictor in predictors(k):
            own = errors(predictor, train, test)
            baseline = own if baseline is None else baseline
            gains = np.sqrt(baseline[resampled].mean(axis=1)) - np.sqrt(own[resampled].mean(axis=1))
            low, high = np.percentile(gains, [2.5, 97.5])
            row = {"n_components": k, "model": "", "mask": "", "patch": "", **settings}
            row |= {"rmse_m": round(float(np.sqrt(own.mean())), 4)}
            row |= {"gain_m": round(float(np.sqrt(baseline.mean()) - np.sqrt(own.mean())), 4)}
            row |= {"gain_low": round(float(low), 4), "gain_high": round(float(high), 4)}
            rows.append(row)
            print(row, flush=True)
    save("depth", rows)


if __name__ == "__main__":
    main()
