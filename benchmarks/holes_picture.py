"""The picture of README and site: a photograph with clouds, filled; and what accuracy holes cost, from the CSV.

Needs results/holes_cifar10.csv, and runs examples/plot_howto_fill_holes.py.
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
    "PPCA": ("^", "probabilistic PCA"),
    "PCA, mean": ("v", "PCA, filled by the mean"),
}


def main() -> None:
    example = runpy.run_path(str(ROOT / "examples" / "plot_howto_fill_holes.py"))
    plt.close("all")
    figure = plt.figure(figsize=(9.5, 2.9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    pictures = {
        "With clouds": example["cloudy"],
        "Filled": np.uint8(example["result"]),
        "The photograph": example["photo"],
    }
    for ax, (title, picture) in zip(left.subplots(1, 3), pictures.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    ax = right.subplots()
    rows = [row for row in rows_of("holes_cifar10") if row["k"] == "16" and row["hidden"] in ("nothing", "patches")]
    for who, (marker, label) in LINES.items():
        points = [(100 * float(row["share"]), 100 * float(row["accuracy"])) for row in rows if row["who"] == who]
        ax.plot(*zip(*points, strict=True), marker=marker, label=label)
    ax.set_title("CIFAR-10, 16 features", fontsize=10)
    ax.axhline(10, color="0.6", linestyle=":", label="chance")
    ax.set(xlabel="Patches that are hidden (%)", ylabel="Accuracy (%)", ylim=(0, 40))
    ax.legend(fontsize=7, loc="lower left")
    figure.savefig(ROOT / "docs" / "images" / "holes.png", dpi=110)


if __name__ == "__main__":
    main()
