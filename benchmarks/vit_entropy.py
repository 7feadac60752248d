"""ViTMAEs of several patches and masks, three seeds each: how far they look, at the end and along training.

Trains what is not yet trained (resumable: every model keeps its checkpoints in --models), then measures on test images.
Writes vit_entropy.csv (at the end), vit_entropy_series.csv (along training), vit_entropy_loss.csv, and pictures.
"""

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from _provenance import RESULTS, save
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, SpatialEntropy, ViTMAE
from skmae.datasets import fetch_cifar10
from skmae.inspection import (
    JacobianDisplay,
    SpatialEntropyDisplay,
    basis_similarity,
    influence_radius,
    own_patch_share,
)

N, EPOCHS, EVERY, SHAPE = 5000, 30, 3, (32, 32, 3)
SETTINGS = [(4, 0.75), (8, 0.75), (4, 0.5), (4, 0.9), (2, 0.75)]
# 64 output pixels, at every place within patches of 4
OUTPUTS = np.array([(4 * i + j % 4, 4 * j + i % 4) for i in range(8) for j in range(8)])
IMAGES, IN_SERIES = 12, 4


def vit(patch: int, mask: float, seed: int, models: Path) -> ViTMAE:
    return ViTMAE(
        patch=patch,
        mask=mask,
        embed_dim=64,
        encoder_layers=4,
        encoder_heads=4,
        decoder_layers=1,
        decoder_heads=4,
        batch_size=100,
        learning_rate=4e-3,
        max_epochs=EPOCHS,
        warmup_epochs=2,
        checkpoint=models / f"patch{patch}-mask{mask}-seed{seed}",
        checkpoint_every=EVERY,
        device="cpu",
        random_state=seed,
        verbose=1,
    )


def look(mae: ViTMAE, images: np.ndarray, visible: Any) -> tuple[dict[str, float], np.ndarray]:
    """Statistics of the influence maps, and the entropies that they are means of."""
    basis = JacobianBasis(FrozenEstimator(mae), outputs=OUTPUTS, visible=visible, random_state=0).fit(images)
    jacobian = basis.jacobian(images)
    maps = np.abs(jacobian).reshape(len(images), len(OUTPUTS), 3, 1024, 3).sum(axis=(2, 4)).reshape(len(images), -1)
    entropies = SpatialEntropy(SHAPE).fit_transform(maps)
    return {
        "entropy_nats": round(float(entropies.mean()), 4),
        "effective_pixels": round(float(np.exp(entropies).mean()), 1),
        "radius_px": round(float(influence_radius(maps, SHAPE, outputs=OUTPUTS).mean()), 3),
        "own_patch_share": round(float(own_patch_share(maps, SHAPE, mae.patch, outputs=OUTPUTS).mean()), 4),
        "share_in_8x8": round(float(own_patch_share(maps, SHAPE, 8, outputs=OUTPUTS).mean()), 4),
        "basis_similarity": round(float(np.nanmean(basis_similarity(jacobian))), 4),
    }, entropies


def at_the_end(mae: ViTMAE, key: dict[str, Any], images: np.ndarray, pooled: dict[Any, list[np.ndarray]]) -> list[Any]:
    rows = []
    for name, visible in (("none hidden", None), ("as in training", "random")):
        statistics, entropies = look(mae, images[:IMAGES], visible)
        rows.append({**key, "visible": name, **statistics})
        if visible is None:
            pooled.setdefault((key["patch"], key["mask"]), []).append(entropies)
        print(rows[-1], flush=True)
    return rows


def along_training(mae: ViTMAE, key: dict[str, Any], images: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(Path(mae.checkpoint).rglob("epoch-*.pt")):
        early = ViTMAE(**mae.get_params() | {"image_shape": SHAPE, "verbose": 0}).load_weights(path)
        statistics, _ = look(early, images[:IN_SERIES], None)
        rows.append({**key, "epoch": int(path.stem.removeprefix("epoch-")), **statistics})
    return rows


def draw_histograms(pooled: dict[Any, list[np.ndarray]]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    for ax, settings in zip(axes, (((2, 0.75), (4, 0.75), (8, 0.75)), ((4, 0.5), (4, 0.75), (4, 0.9))), strict=True):
        for setting in settings:
            name = "patch {}, mask {}".format(*setting)
            SpatialEntropyDisplay(np.concatenate(pooled[setting]), 1024, name=name).plot(ax=ax)
    figure.savefig(RESULTS / "vit_entropy.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    images = fetch_cifar10(subset="train").images[:N]
    test = fetch_cifar10(subset="test").images
    rows: list[Any] = []
    series: list[Any] = []
    losses: list[Any] = []
    pooled: dict[Any, list[np.ndarray]] = {}
    for seed in range(options.seeds):
        for patch, mask in SETTINGS:
            mae = vit(patch, mask, seed, options.models).fit(images)
            key = {"patch": patch, "mask": mask, "seed": seed}
            curve = mae.history_[:, ("epoch", "train_loss")]
            losses += [{**key, "epoch": epoch, "train_loss": f"{loss:.5f}"} for epoch, loss in curve]
            rows += at_the_end(mae, key, test, pooled)
            series += along_training(mae, key, test)
            if (patch, seed) == (2, 0):
                JacobianDisplay.from_estimator(mae, test[4:8]).figure_.savefig(RESULTS / "vit_jacobian.png", dpi=110)
    save("vit_entropy", rows)
    save("vit_entropy_series", series)
    save("vit_entropy_loss", losses)
    draw_histograms(pooled)


if __name__ == "__main__":
    main()
