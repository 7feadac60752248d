"""CIFAR-10: a logistic probe on 16 features of LinearMAE and of PCA.

Mask and patch are chosen by cross-validation on the 50,000 training images; the 10,000 test images are used once. The
interval is a paired bootstrap over test images.
"""

from typing import Any

import numpy as np
from _provenance import save
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE
from skmae.datasets import fetch_cifar10

K = 16
GRID = {"features__mask": [0.5, 0.75, 0.9], "features__patch": [2, 4, 8]}


def probe(features: Any) -> Pipeline:
    return Pipeline(
        [("features", features), ("scale", StandardScaler()), ("clf", LogisticRegression(C=1.0, max_iter=1000))]
    )


def bootstrap(a: np.ndarray, b: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """95% interval of the difference of two accuracies on the same samples."""
    rng = np.random.default_rng(0)
    difference = a.astype(float) - b
    counts = rng.multinomial(len(a), np.full(len(a), 1 / len(a)), size=draws)
    low, high = np.quantile(counts @ difference / len(a), [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    search = GridSearchCV(probe(LinearMAE(K)), GRID, cv=3).fit(train.images, train.target)
    pca = probe(PCA(K, random_state=0)).fit(train.data, train.target)
    mae_right = search.predict(test.images) == test.target
    pca_right = pca.predict(test.data) == test.target
    low, high = bootstrap(mae_right, pca_right)
    rows = [
        {
            "what": f"cross-validation: mask={p['features__mask']} patch={p['features__patch']}",
            "accuracy": round(float(score), 4),
        }
        for p, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True)
    ]
    chosen = {name.removeprefix("features__"): value for name, value in search.best_params_.items()}
    rows += [
        {"what": f"test: PCA({K})", "accuracy": round(float(pca_right.mean()), 4)},
        {"what": f"test: LinearMAE({K}, {chosen})", "accuracy": round(float(mae_right.mean()), 4)},
        {
            "what": "test: difference, 95% paired bootstrap",
            "accuracy": round(float(mae_right.mean() - pca_right.mean()), 4),
            "low": round(low, 4),
            "high": round(high, 4),
        },
    ]
    for row in rows:
        print(f"{row['what']:>55} {row['accuracy']:7.4f}  {row.get('low', '')} {row.get('high', '')}")
    save("cifar10_probe", [{"low": "", "high": "", **row} for row in rows])


if __name__ == "__main__":
    main()
