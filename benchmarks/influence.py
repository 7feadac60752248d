"""How far linear autoencoders look, on all of CIFAR-10 (Figs. 5 and 6): AE, DAE, and MAE by mask and patch.

Writes a table, influence.csv, and the curves, influence.png.
"""

import argparse
from typing import Any

import matplotlib

matplotlib.use("Agg")

from _provenance import RESULTS, save

from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE, SpatialEntropy
from skmae.datasets import fetch_cifar10
from skmae.inspection import InfluenceDisplay, influence_radius, own_patch_share

SHAPE = (32, 32, 3)
MASKS, PATCHES = (0.1, 0.25, 0.5, 0.75, 0.9), (2, 4, 8, 16)


def models(k: int) -> list[tuple[dict[str, Any], Any]]:
    listed: list[tuple[dict[str, Any], Any]] = [({"model": "AE"}, LinearAE(k))]
    listed += [({"model": "DAE", "noise_std": std}, LinearDAE(k, noise_std=std)) for std in (25, 50, 100)]
    for patch in PATCHES:
        for mask in MASKS:
            listed.append(({"model": "MAE", "mask": mask, "patch": patch}, LinearMAE(k, mask=mask, patch=patch)))
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--components", type=int, nargs="+", default=[64, 256])
    options = parser.parse_args()
    images = fetch_cifar10(subset="train").images
    rows, ax = [], None
    for k in options.components:
        for settings, model in models(k):
            basis = JacobianBasis(model, outputs="all").fit(images)
            maps = basis.transform(images[:1])
            row = {"model": "", "noise_std": "", "mask": "", "patch": "", **settings, "n_components": k}
            row["radius_px"] = round(float(influence_radius(maps, SHAPE).mean()), 3)
            for patch in PATCHES:
                row[f"share_in_patch_{patch}"] = round(float(own_patch_share(maps, SHAPE, patch).mean()), 4)
            row["entropy_nats"] = round(float(SpatialEntropy(SHAPE).fit_transform(maps).mean()), 3)
            rows.append(row)
            print(row, flush=True)
            if k == options.components[0] and settings in (
                {"model": "AE"},
                {"model": "DAE", "noise_std": 100},
                {"model": "MAE", "mask": 0.5, "patch": 4},
                {"model": "MAE", "mask": 0.75, "patch": 4},
                {"model": "MAE", "mask": 0.75, "patch": 8},
            ):
                display = InfluenceDisplay.from_maps(maps, SHAPE, name=", ".join(map(str, settings.values())), ax=ax)
                ax = display.ax_
    save("influence", rows)
    ax.figure.savefig(RESULTS / "influence.png", dpi=110)


if __name__ == "__main__":
    main()
