"""The pictures of README and site: a photograph with clouds, filled; and what accuracy holes cost, from the CSV.

Needs results/holes_cifar10.csv, and runs examples/uses/plot_fill_holes.py.
"""

import runpy
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from _provenance import rows_of

ROOT = Path(__file__).parents[1]
LINES = {
    "LinearMAE": ("s", "LinearMAE"),
    "PCA, filled by PPCA": ("D", "PCA, filled by a probabilistic PCA (256)"),
    "PPCA": ("^", "probabilistic PCA"),
    "PCA, mean": ("v", "PCA, filled by the mean"),
}


def clouds() -> None:
    example = runpy.run_path(str(ROOT / "examples" / "uses" / "plot_fill_holes.py"))
    plt.close("all")
    pictures = {
        "With clouds": example["cloudy"],
        "Filled": np.uint8(example["result"]),
        "The photograph": example["photo"],
    }
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=15)
        ax.set_axis_off()
    figure.savefig(ROOT / "docs" / "images" / "clouds.png", dpi=110)


def accuracy() -> None:
    plt.style.use("tableau-colorblind10")
    rows = [row for row in rows_of("holes_cifar10") if row["k"] == "16" and row["hidden"] in ("nothing", "patches")]
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for who, (marker, label) in LINES.items():
        points = [(100 * float(row["share"]), 100 * float(row["accuracy"])) for row in rows if row["who"] == who]
        ax.plot(*zip(*points, strict=True), marker=marker, label=label)
    ax.axhline(10, color="0.6", linestyle=":", label="chance")
    ax.set(title="CIFAR-10, 16 features", xlabel="Patches that are hidden (%)", ylabel="Accuracy (%)", ylim=(0, 40))
    ax.legend(loc="lower left")
    figure.savefig(ROOT / "docs" / "images" / "holes.png", dpi=110)


def main() -> None:
    clouds()
    accuracy()


if __name__ == "__main__":
    main()
