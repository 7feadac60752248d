"""Figs. 8, 9, 13: how far ViTMAEs of several patches and masks look, at the end and along training.

Trains what is not yet trained (resumable: every model keeps its checkpoints in --models), then measures on test images
of CIFAR-10, or with --data tiny-imagenet on images of 64 × 64 pixels. Writes vit_entropy.csv (at the end),
vit_entropy_series.csv (along training), vit_entropy_loss.csv, and pictures; vit_entropy_64.csv and so on.
"""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from benchmarks._provenance import RESULTS, save
from benchmarks.paper._data import tiny_imagenet
from benchmarks.paper._scale import SCALES, arguments, vit
from skmae import JacobianBasis, SpatialEntropy, ViTMAE
from skmae.datasets import fetch_cifar10
from skmae.inspection import (
    JacobianDisplay,
    SpatialEntropyDisplay,
    basis_similarity,
    influence_radius,
    own_patch_share,
)

# (patch, mask) that are compared, the longer patches for the larger images
SETTINGS = {
    "cifar10": [(4, 0.75), (8, 0.75), (4, 0.5), (4, 0.9), (2, 0.75)],
    "tiny-imagenet": [(8, 0.75), (16, 0.75), (8, 0.5), (8, 0.9)],
}
EPOCHS = {"cifar10": 30, "tiny-imagenet": 20}
IMAGES, IN_SERIES = 12, 4


def output_pixels(side: int) -> np.ndarray:
    """64 of them, at every place within patches of an eighth of the side."""
    step = side // 8
    return np.array([(step * i + j % step, step * j + i % step) for i in range(8) for j in range(8)])


def look(mae: ViTMAE, images: np.ndarray, visible: Any) -> tuple[dict[str, float], np.ndarray]:
    """Statistics of the influence maps, and the entropies that they are means of."""
    shape, outputs = images.shape[1:], output_pixels(images.shape[1])
    basis = JacobianBasis(FrozenEstimator(mae), outputs=outputs, visible=visible, random_state=0).fit(images)
    jacobian = basis.jacobian(images)
    maps = np.abs(jacobian).reshape(len(images), len(outputs), 3, -1, 3).sum(axis=(2, 4)).reshape(len(images), -1)
    entropies = SpatialEntropy(shape).fit_transform(maps)
    return {
        "entropy_nats": round(float(entropies.mean()), 4),
        "effective_pixels": round(float(np.exp(entropies).mean()), 1),
        "radius_px": round(float(influence_radius(maps, shape, outputs=outputs).mean()), 3),
        "own_patch_share": round(float(own_patch_share(maps, shape, mae.patch, outputs=outputs).mean()), 4),
        "share_in_8x8": round(float(own_patch_share(maps, shape, 8, outputs=outputs).mean()), 4),
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
        early = ViTMAE(**mae.get_params() | {"image_shape": images.shape[1:], "verbose": 0}).load_weights(path)
        statistics, _ = look(early, images[:IN_SERIES], None)
        rows.append({**key, "epoch": int(path.stem.removeprefix("epoch-")), **statistics})
    return rows


def draw_histograms(pooled: dict[Any, list[np.ndarray]], n_pixels: int, name: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    by_patch = [key for key in sorted(pooled) if key[1] == 0.75]
    by_mask = [key for key in sorted(pooled) if (key[0], 0.5) in pooled]
    for ax, settings in zip(axes, (by_patch, by_mask), strict=True):
        for setting in settings:
            label = "patch {}, mask {}".format(*setting)
            SpatialEntropyDisplay(np.concatenate(pooled[setting]), n_pixels, name=label).plot(ax=ax)
    figure.savefig(RESULTS / f"{name}.png", dpi=110)


def main() -> None:
    parser = arguments(__doc__, deep=True)
    parser.add_argument("--data", choices=[*SETTINGS], default="cifar10")
    options = parser.parse_args()
    scale, is_cifar = SCALES[options.scale], options.data == "cifar10"
    train = fetch_cifar10().images if is_cifar else tiny_imagenet()
    test = fetch_cifar10(subset="test").images if is_cifar else tiny_imagenet("test")
    images = train[: scale.images]
    epochs = options.epochs or (EPOCHS[options.data] if scale.name == "cpu" else scale.epochs)
    rows: list[Any] = []
    series: list[Any] = []
    losses: list[Any] = []
    pooled: dict[Any, list[np.ndarray]] = {}
    for seed in options.seeds:
        for patch, mask in SETTINGS[options.data]:
            folder = options.models / f"{options.data}-patch{patch}-mask{mask}-seed{seed}"
            longer = {"max_epochs": epochs, "checkpoint_every": epochs // 10}
            mae = vit(scale, folder, seed, patch=patch, mask=mask, **longer).fit(images)
            key = {"patch": patch, "mask": mask, "seed": seed}
            curve = mae.history_[:, ("epoch", "train_loss")]
            losses += [{**key, "epoch": epoch, "train_loss": f"{loss:.5f}"} for epoch, loss in curve]
            rows += at_the_end(mae, key, test, pooled)
            series += along_training(mae, key, test)
            if is_cifar and (patch, seed) == (2, 0):
                JacobianDisplay.from_estimator(mae, test[4:8]).figure_.savefig(RESULTS / "vit_jacobian.png", dpi=110)
    name = scale.results("vit_entropy" if is_cifar else "vit_entropy_64")
    save(name, rows)
    save(f"{name}_series", series)
    save(f"{name}_loss", losses)
    draw_histograms(pooled, images.shape[1] * images.shape[2], name)


if __name__ == "__main__":
    main()
