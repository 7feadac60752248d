"""Hours of the paper's 2000 epochs of CIFAR-10, from some of them: 50,000 images, crops and flips, batches of 4096."""

import statistics

from benchmarks.gpu._card import Rows, Sizes, images, vit, write

EPOCHS, COUNTED = 2000, 5
IMAGES, BATCH = 50_000, 4096


def measure(device: str, sizes: Sizes) -> Rows:
    """On a device other than a card, of one batch: the hours are then those of nothing."""
    on_card = device == "cuda"
    X = images(IMAGES if on_card else 2 * sizes.batch, sizes)
    mae = vit(device, sizes, augment="auto", batch_size=BATCH if on_card else sizes.batch, warmup_epochs=50)
    for _ in range(1 + COUNTED):
        mae.partial_fit(X)
    epoch = statistics.median(mae.history_[1:, "dur"])
    return [
        {
            "what": f"{EPOCHS} epochs of {len(X)} images, extrapolated from {COUNTED}",
            "precision": mae.precision_,
            "epoch_s": round(epoch, 3),
            "hours": round(EPOCHS * epoch / 3600, 2),
        }
    ]


if __name__ == "__main__":
    write("recipe", measure)
