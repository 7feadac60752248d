"""How well hidden pixels are filled: CIFAR-10, 50,000 training and 400 test images, three quarters of patches hidden.

R² over hidden pixels. "features_r2": that of 16 features of the filled images against those of whole ones. "behind":
R² less than that of the conditional, 95 % paired bootstrap over images. "within": the share of hidden pixels that lie
within 1.96 standard deviations of what fills them.
"""

from time import perf_counter
from typing import Any

import numpy as np
from _provenance import save
from holes import PPCA
from sklearn.decomposition import PCA

from skmae import LinearMAE, Moments
from skmae.datasets import fetch_cifar10

N_TEST = 400


def main() -> None:
    train, test = fetch_cifar10().images, fetch_cifar10(subset="test").images[:N_TEST]
    moments = Moments.from_data(train)
    mean = moments.mean.reshape(test.shape[1:])
    visible = np.random.RandomState(0).rand(N_TEST, 64).argsort(axis=1) < 16
    hidden = ~visible.reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)[..., np.newaxis].repeat(3, axis=3)
    truth = test.astype(float)
    spread = (((truth - mean) ** 2) * hidden).sum(axis=(1, 2, 3))
    answers: dict[str, tuple[np.ndarray, float]] = {}

    def answer(name: str, make: Any) -> None:
        start = perf_counter()
        answers[name] = make(), 1000 * (perf_counter() - start) / N_TEST

    conditional = LinearMAE(16, patch=4).fit_moments(moments)
    conditional.fill(test[:1], visible[:1])  # what all masks share
    answer("conditional", lambda: conditional.fill(test, visible))
    for loss in ("all", "hidden"):
        full = LinearMAE(None, mask=0.75, patch=4, loss=loss).fit_moments(moments)
        full.components_  # noqa: B018
        answer(f'LinearMAE of full rank, loss="{loss}"', lambda full=full: full.fill(test, visible, method="linear"))
    for k in (256, 16):
        model = LinearMAE(k, mask=0.75, patch=4).fit_moments(moments)
        answer(f"LinearMAE({k})", lambda model=model: model.fill(test, visible, method="linear"))
    pca = PCA(256, svd_solver="covariance_eigh").fit(train[:20_000].reshape(20_000, -1))
    ppca = PPCA(moments, pca.explained_variance_.astype(float), pca.components_.T.astype(float), 256)
    Y = np.where(hidden, 0, truth - mean).reshape(N_TEST, -1).astype(np.float32)
    answer("PPCA(256)", lambda: ppca.fill(Y, ~hidden.reshape(N_TEST, -1)).reshape(test.shape) + mean)

    wrong = {name: (((filled - truth) ** 2) * hidden).sum(axis=(1, 2, 3)) for name, (filled, _) in answers.items()}
    counts = np.random.default_rng(0).multinomial(N_TEST, np.full(N_TEST, 1 / N_TEST), size=2000)
    start = perf_counter()
    filled, std = conditional.fill(test, visible, return_std=True)
    with_std = 1000 * (perf_counter() - start) / N_TEST
    rows, encoder = [], LinearMAE(16, mask=0.75, patch=4).fit_moments(moments)
    features = encoder.transform(truth)
    for name, (made, took) in answers.items():
        off = encoder.transform(made) - features
        behind = counts @ (wrong[name] - wrong["conditional"]) / (counts @ spread)
        rows.append(
            {
                "who": name,
                "r2": round(float(1 - wrong[name].sum() / spread.sum()), 4),
                "features_r2": round(float(1 - (off**2).sum() / ((features - features.mean(axis=0)) ** 2).sum()), 4),
                "behind": round(float((wrong[name] - wrong["conditional"]).sum() / spread.sum()), 4),
                "low": round(float(np.quantile(behind, 0.025)), 4),
                "high": round(float(np.quantile(behind, 0.975)), 4),
                "ms_an_image": round(took, 2),
                "ms_with_std": round(with_std, 2) if name == "conditional" else "",
                "within": round(float((np.abs(filled - truth) < 1.96 * std)[hidden].mean()), 4)
                if name == "conditional"
                else "",
            }
        )
        print(rows[-1], flush=True)
    save("filling", rows)


if __name__ == "__main__":
    main()
