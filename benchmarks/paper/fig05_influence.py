"""How far linear autoencoders look, on all of CIFAR-10 (Figs. 5 and 6): AE, DAE, and MAE by mask and patch.

Writes a table, influence.csv, and the curves, influence.png.
"""

from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from benchmarks._provenance import RESULTS, save
from benchmarks.paper._scale import arguments
from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE, Moments, SpatialEntropy
from skmae.datasets import fetch_cifar10
from skmae.inspection import InfluenceDisplay, influence_radius, own_patch_share

SHAPE = (32, 32, 3)
MASKS, PATCHES = (0.1, 0.25, 0.5, 0.75, 0.9), (2, 4, 8, 16)
DRAWN = (
    {"model": "AE"},
    {"model": "DAE", "noise_std": 50},
    {"model": "MAE", "mask": 0.25, "patch": 4},
    {"model": "MAE", "mask": 0.75, "patch": 4},
    {"model": "MAE", "mask": 0.75, "patch": 8},
)


def models(k: int) -> list[tuple[dict[str, Any], Any]]:
    listed: list[tuple[dict[str, Any], Any]] = [({"model": "AE"}, LinearAE(k))]
    listed += [({"model": "DAE", "noise_std": std}, LinearDAE(k, noise_std=std)) for std in (10, 25, 50, 100)]
    for patch in PATCHES:
        for mask in MASKS:
            listed.append(({"model": "MAE", "mask": mask, "patch": patch}, LinearMAE(k, mask=mask, patch=patch)))
    return listed


def measure(model: Any, settings: dict[str, Any], images: Any) -> tuple[dict[str, Any], Any]:
    """Statistics of all influence maps of a linear model, and the maps."""
    maps = JacobianBasis(FrozenEstimator(model), outputs="all").fit_transform(images[:1])
    row = {"model": "", "noise_std": "", "mask": "", "patch": "", **settings, "n_components": model.n_components_}
    row["radius_px"] = round(float(influence_radius(maps, SHAPE).mean()), 3)
    for patch in PATCHES:
        row[f"share_in_patch_{patch}"] = round(float(own_patch_share(maps, SHAPE, patch).mean()), 4)
    row["entropy_nats"] = round(float(SpatialEntropy(SHAPE).fit_transform(maps).mean()), 3)
    return row, maps


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--components", type=int, nargs="+", default=[64, 1024, 3072])
    options = parser.parse_args()
    images = fetch_cifar10(subset="train").images
    moments = Moments.from_data(images)
    n = len(options.components)
    figure, axes = plt.subplots(1, n, figsize=(4.5 * n, 3.5), sharey=True, layout="constrained", squeeze=False)
    rows = []
    for k, ax in zip(options.components, axes[0], strict=True):
        for settings, model in models(k):
            row, maps = measure(model.fit_moments(moments), settings, images)
            rows.append(row)
            print(row, flush=True)
            if settings in DRAWN:
                name = ", ".join(str(value) if key == "model" else f"{key} {value}" for key, value in settings.items())
                InfluenceDisplay.from_maps(maps, SHAPE, name=name.replace("noise_std", "noise"), ax=ax)
        ax.set(title=f"{k} features", ylim=(1e-4, 1))  # all the influence of an AE of full rank is at distance 0
    save("influence", rows)
    figure.savefig(RESULTS / "influence.png", dpi=110)


if __name__ == "__main__":
    main()
