"""Appendix B: the loss of a model that is linear around each image, against the true one, by the share that is hidden.

The model is a ViTMAE of the scale; patches are blanked out of whole images (its encoder is told nothing of it). 30
test images; the true loss is a mean over 200 masks of each. In the paper's form, x̃ = r z. Writes appendix_b.csv: of
both losses, what exceeds `at_mean_mask`, the loss of q z, is what masks add.
"""

import numpy as np

from benchmarks._provenance import append, rows_of
from benchmarks.paper._scale import SCALES, arguments, vit
from skmae import ViTMAE
from skmae.datasets import fetch_cifar10
from skmae.inspection import linearized_loss

IMAGES, DRAWN = 30, 200
MASKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 0.9)


def true_loss(mae: ViTMAE, images: np.ndarray, mask: float, seed: int) -> float:
    """Mean squared error of images with blank patches, in the units of the images squared."""
    rng = np.random.default_rng(seed)
    side = 32 // mae.patch
    total = 0.0
    for image in images:
        visible = rng.random((DRAWN, side, side)) >= mask
        visible = visible.repeat(mae.patch, axis=1).repeat(mae.patch, axis=2)[..., np.newaxis]
        total += np.mean((image - mae.reconstruct(np.where(visible, image, mae.mean_).astype(np.float32))) ** 2)
    return total / len(images)


def loss_at_mean_mask(mae: ViTMAE, images: np.ndarray, mask: float) -> float:
    """The first term of Lemma 4: the error of images that are faded to the mean rather than masked."""
    faded = mae.mean_ + (1 - mask) * (images - mae.mean_)
    return float(np.mean((images - mae.reconstruct(faded.astype(np.float32))) ** 2))


def main() -> None:
    options = arguments(__doc__, deep=True).parse_args()
    scale = SCALES[options.scale]
    train, test = fetch_cifar10().images[: scale.images], fetch_cifar10(subset="test").images
    images = test[:IMAGES].astype(np.float32)
    name = scale.results("appendix_b")
    done = {row["seed"] for row in rows_of(name)}
    for seed in options.seeds:
        if str(seed) in done:
            continue
        mae = vit(scale, options.models, seed, max_epochs=options.epochs or scale.epochs).fit(train)
        for mask in MASKS:
            exact = true_loss(mae, images, mask, seed)
            linear = linearized_loss(mae, images, mask=mask, rescale=False)
            losses = {"true": exact, "linearized": linear, "at_mean_mask": loss_at_mean_mask(mae, images, mask)}
            row = {"seed": seed, "mask": mask, **{what: round(float(loss), 3) for what, loss in losses.items()}}
            append(name, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
