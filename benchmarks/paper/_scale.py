"""How large a run is: `cpu` for two cores and an evening, `gpu` for the paper's models."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skmae import ViTMAE


@dataclass(frozen=True)
class Scale:
    """Sizes of the deep runs; linear ones take all of the data at both."""

    name: str
    images: int  # CIFAR-10 training images that a ViT sees
    epochs: int
    embed_dim: int
    encoder_layers: int
    encoder_heads: int
    decoder_heads: int
    batch_size: int
    learning_rate: float  # per 256 images
    warmup_epochs: int
    encoders: tuple[int, ...]  # depths that are compared
    decoders: tuple[int, ...]

    def results(self, name: str) -> str:
        """Name of the results at this scale."""
        return name if self.name == "cpu" else f"{name}_{self.name}"


CPU = Scale("cpu", 5000, 10, 64, 4, 4, 4, 100, 4e-3, 2, (2, 4, 8), (1, 2, 4))
GPU = Scale("gpu", 50_000, 2000, 192, 12, 12, 16, 4096, 1.5e-4, 50, (4, 8, 12, 20), (1, 2, 4, 8))  # Section 4.1
SCALES = {scale.name: scale for scale in (CPU, GPU)}


def arguments(doc: str | None, *, deep: bool = False) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--scale", choices=[*SCALES], default="cpu")
    if deep:
        parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
        parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        parser.add_argument("--epochs", type=int, help="of pretraining, if not those of the scale")
    return parser


def vit(scale: Scale, models: Path, seed: int, **other: Any) -> ViTMAE:
    """Of the scale's size, but for what `other` says; it keeps its checkpoints in `models`."""
    sizes = {
        "mask": 0.75,
        "patch": 4 if scale is CPU else 2,
        "embed_dim": scale.embed_dim,
        "encoder_layers": scale.encoder_layers,
        "encoder_heads": scale.encoder_heads,
        "decoder_layers": 1,
        "decoder_heads": scale.decoder_heads,
        "batch_size": scale.batch_size,
        "learning_rate": scale.learning_rate,
        "max_epochs": scale.epochs,
        "warmup_epochs": scale.warmup_epochs,
        "checkpoint": models,
        "device": "cpu" if scale is CPU else "auto",
        "random_state": seed,
    }
    return ViTMAE(**sizes | other)
