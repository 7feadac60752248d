"""Section 3: does a ViT use more than second-order correlations? Hidden pixels of it and of the best linear answers.

CIFAR-10, 400 test images, 48 of the 64 patches of each hidden, the same ones for all models. A linear model knows all
that the second moments of 50,000 images tell: with one map for all masks (LinearMAE of full rank, loss="hidden"), or
with the best map of each mask ("conditional"). R² of hidden pixels; intervals by bootstrap over images. A ViTMAE of the
scale is trained on the same images, not on patches that are normalised. Writes higher_orders.csv.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from benchmarks._provenance import save
from benchmarks.paper._scale import SCALES, arguments, vit
from skmae import LinearMAE, Moments
from skmae.datasets import fetch_cifar10

IMAGES, PATCH, VISIBLE = 400, 4, 16
EPOCHS = {"cpu": 4, "gpu": 200}


def draw_visible(n_samples: int) -> np.ndarray:
    side = 32 // PATCH
    places = np.random.default_rng(0).random((n_samples, side**2)).argsort(axis=1)
    return (places < VISIBLE).reshape(n_samples, side, side)


def r2(errors: np.ndarray, total: np.ndarray) -> float:
    return float(1 - errors.sum() / total.sum())


def with_interval(statistic: Any, *columns: np.ndarray) -> list[float]:
    """The statistic, and its 95 % interval over images."""
    interval = bootstrap(columns, statistic, paired=True, vectorized=False, rng=0).confidence_interval
    return [round(float(number), 4) for number in (statistic(*columns), *interval)]


def answers(images: np.ndarray, test: np.ndarray, visible: np.ndarray, options: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Model, epochs of training, and the rebuilt images."""
    moments = Moments.from_data(images)
    linear = {"mask": 1 - VISIBLE * PATCH**2 / 32**2, "patch": PATCH, "mask_sampling": "exact"}
    one_map = LinearMAE(**linear, loss="hidden").fit_moments(moments)
    yield "best map for each mask", "", one_map.reconstruct(test, visible, method="conditional")
    yield "one map for all masks", "", one_map.reconstruct(test, visible)
    scale = SCALES[options.scale]
    epochs = options.epochs or EPOCHS[scale.name]
    for seed in options.seeds:
        training = {"max_epochs": epochs, "warmup_epochs": 1, "augment": None, "patch": PATCH}
        mae = vit(scale, options.models, seed, **training).fit(images)
        yield f"ViTMAE, seed {seed}", epochs, mae.reconstruct(test, visible)


def main() -> None:
    options = arguments(__doc__, deep=True).parse_args()
    images, test = fetch_cifar10().images, fetch_cifar10(subset="test").images[:IMAGES].astype(np.float32)
    visible = draw_visible(len(test))
    hidden = ~visible.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[..., np.newaxis]

    def squared(difference: np.ndarray) -> np.ndarray:
        """Summed over the hidden pixels of each image."""
        return (np.where(hidden, difference, 0) ** 2).sum(axis=(1, 2, 3))

    total, best, rows = squared(test - images.mean(axis=0)), None, []
    for model, epochs, rebuilt in answers(images, test, visible, options):
        errors = squared(test - rebuilt)
        best = errors if best is None else best
        score, low, high = with_interval(r2, errors, total)
        row = {"model": model, "epochs": epochs, "images": len(test), "r2": score, "low": low, "high": high}
        gains = with_interval(lambda own, other, of: r2(own, of) - r2(other, of), errors, best, total)
        rows.append(row | dict(zip(("gain", "gain_low", "gain_high"), gains, strict=True)))
        print(rows[-1], flush=True)
    save(SCALES[options.scale].results("higher_orders"), rows)


if __name__ == "__main__":
    main()
