"""CIFAR-10: a logistic probe on 96 features of ViTMAE, LinearMAE and PCA, from the first 10,000 training images.

Three seeds. Writes accuracies, loss curves, and a picture of reconstructions of test images.
"""

import argparse
from time import perf_counter
from typing import Any

import matplotlib

matplotlib.use("Agg")

from _provenance import RESULTS, save
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, ViTMAE
from skmae.datasets import fetch_cifar10
from skmae.inspection import ReconstructionDisplay

N, K, EPOCHS = 10_000, 96, 20


def vit(seed: int, epochs: int) -> ViTMAE:
    return ViTMAE(
        patch=4,
        embed_dim=K,
        encoder_layers=6,
        encoder_heads=3,
        decoder_layers=1,
        decoder_heads=3,
        normalize_target=True,
        batch_size=128,
        learning_rate=2e-3,
        max_epochs=epochs,
        warmup_epochs=2,
        random_state=seed,
        verbose=1,
    )


def measure(features: Any, train: Any, test: Any) -> dict[str, Any]:
    """Seconds to fit, and test accuracy of a logistic probe."""
    start = perf_counter()
    features.fit(train.images[:N])
    seconds = perf_counter() - start
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    probe.fit(features.transform(train.images[:N]), train.target[:N])
    accuracy = probe.score(features.transform(test.images), test.target)
    precision = getattr(features, "precision_", "")
    return {"fit_s": round(seconds, 1), "accuracy": round(float(accuracy), 4), "precision": precision}


def flat_pca() -> Any:
    class Flat(PCA):
        def fit(self, X: Any, y: Any = None) -> Any:
            return super().fit(X.reshape(len(X), -1), y)

        def transform(self, X: Any) -> Any:
            return super().transform(X.reshape(len(X), -1))

    return Flat(K, random_state=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    rows = [{"what": "PCA(96)", **measure(flat_pca(), train, test)}]
    for mask, patch in ((0.75, 4), (0.5, 8)):
        name = f"LinearMAE(96, mask={mask}, patch={patch})"
        rows.append({"what": name, **measure(LinearMAE(K, mask=mask, patch=patch), train, test)})
    curves = []
    for seed in range(options.seeds):
        mae = vit(seed, options.epochs)
        rows.append({"what": f"ViTMAE, seed {seed}", **measure(mae, train, test)})
        curves += [{"seed": seed, "epoch": e, "train_loss": f"{loss:.5f}"} for e, loss in
                   mae.history_[:, ("epoch", "train_loss")]]  # fmt: skip
        print(rows[-1])
    for row in rows:
        print(f"{row['what']:>40} {row['fit_s']:8.1f} s {row['accuracy']:.4f}")
    save("vit_probe", rows)
    save("vit_probe_loss", curves)
    display = ReconstructionDisplay.from_estimator(mae, test.images[:12], n_samples=12, paste_visible=True)
    display.figure_.savefig(RESULTS / "vit_probe.png", dpi=120)


if __name__ == "__main__":
    main()
