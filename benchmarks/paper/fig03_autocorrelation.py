"""Fig. 3: how pixels correlate with pixels some way off, in CIFAR-10, photographs and Tiny ImageNet.

Writes fig03_autocorrelation.csv.
"""

from benchmarks._provenance import save
from benchmarks.paper._data import tiny_imagenet
from benchmarks.paper._scale import arguments
from skmae.datasets import fetch_cifar10, load_photo_patches
from skmae.inspection import spatial_autocorrelation


def main() -> None:
    arguments(__doc__).parse_args()
    data = {
        "CIFAR-10": fetch_cifar10().images,
        "photographs": load_photo_patches(10_000).images,
        "Tiny ImageNet": tiny_imagenet(),
    }
    rows = []
    for name, images in data.items():
        table = spatial_autocorrelation(images)
        for distance, correlation in zip(table["distance"], table["correlation"], strict=True):
            rows.append({"data": name, "distance_px": round(distance, 3), "correlation": round(correlation, 4)})
    save("fig03_autocorrelation", rows)


if __name__ == "__main__":
    main()
