"""Images of 64 × 64 pixels, which skmae has no loader for."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image


def tiny_imagenet(subset: str = "train", n: int | None = None) -> np.ndarray:
    """(n, 64, 64, 3) of uint8 from ``$SKMAE_DATA/tinyimagenet64_jpeg.npz``: JPEG files, end to end."""
    with np.load(Path(os.environ["SKMAE_DATA"]) / "tinyimagenet64_jpeg.npz") as file:
        files, offset, wanted = file["jpeg"], file["offset"], file["is_val"] == (subset == "test")
    rows = np.flatnonzero(wanted)[:n]
    pictures = [Image.open(io.BytesIO(files[offset[i] : offset[i + 1]])).convert("RGB") for i in rows]
    return np.stack([np.asarray(picture) for picture in pictures])
