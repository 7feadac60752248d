"""Which card there is, how large a piece is on it, and where its rows go."""

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from benchmarks._provenance import rows_of, save
from skmae import ViTMAE

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Sizes:
    """Of the network, of the data, and of what is repeated."""

    side: int  # of the images, which have three channels
    patch: int
    width: int
    layers: int
    heads: int
    decoder_layers: int
    decoder_heads: int
    batch: int
    steps: int
    rows: int  # of moments
    product: int  # sides of the product that a card's speed is measured by
    repeats: int


CARD = Sizes(32, 4, 192, 12, 12, 4, 16, 1024, 20, 50_000, 8192, 5)  # ViT-tiny, as in the paper
TINY = Sizes(8, 4, 12, 1, 2, 1, 2, 4, 2, 20, 64, 1)  # to see that a piece runs, on any device


def card() -> str:
    """The name of the card; ends with a text where there is none that PyTorch can use."""
    if not torch.cuda.is_available():
        sys.exit(
            f"make gpu needs a CUDA device that PyTorch can use, and PyTorch {torch.__version__} finds none here. "
            f"Nothing was run, and no figure of a GPU was written."
        )
    return torch.cuda.get_device_name()


def is_done(piece: str, name: str) -> bool:
    """Whether the rows of a piece are there, of this card."""
    rows = rows_of(f"gpu_{piece}")
    return bool(rows) and rows[0].get("card") == name


def write(piece: str, measure: Callable[[str, Sizes], Rows]) -> None:
    """Measure on the card, and write ``results/gpu_<piece>.csv``."""
    name = card()
    rows = measure("cuda", CARD)
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()))
    save(f"gpu_{piece}", [{"card": name, "cuda": torch.version.cuda, **row} for row in rows])


def images(n: int, sizes: Sizes) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, sizes.side, sizes.side, 3)).astype(np.uint8)


def vit(device: str, sizes: Sizes, **changes: Any) -> ViTMAE:
    settings: dict[str, Any] = {
        "patch": sizes.patch,
        "embed_dim": sizes.width,
        "encoder_layers": sizes.layers,
        "encoder_heads": sizes.heads,
        "decoder_layers": sizes.decoder_layers,
        "decoder_heads": sizes.decoder_heads,
        "batch_size": sizes.batch,
        "max_epochs": 2000,
        "augment": None,
        "device": device,
        "random_state": 0,
    }
    return ViTMAE(**{**settings, **changes})


def median_seconds(functions: dict[str, Callable[[], Any]], device: str, repeats: int) -> dict[str, float]:
    """Median time of each, in turns, after a turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            wait(device)
            start = perf_counter()
            function()
            wait(device)
            times[name].append(perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
