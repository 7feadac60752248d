"""ViTMAEs of several patches and masks, three seeds each: how far they look, at the end and along training.

Trains what is not yet trained (resumable: every model keeps its checkpoints in --models), then measures.
"""

import argparse
from pathlib import Path

from skmae import ViTMAE
from skmae.datasets import fetch_cifar10

N, EPOCHS, EVERY = 5000, 30, 3
SETTINGS = [(4, 0.75), (8, 0.75), (4, 0.5), (4, 0.9), (2, 0.75)]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    images = fetch_cifar10(subset="train").images[:N]
    for seed in range(options.seeds):
        for patch, mask in SETTINGS:
            vit(patch, mask, seed, options.models).fit(images)


if __name__ == "__main__":
    main()
