"""How fast a folder of photographs is read, and an epoch of a ViTMAE on it: from memory, a memory map, the files.

5,000 JPEG files of 160 × 120 pixels are written, crops of photographs, and read as 32 × 32. Epochs: medians of three,
after one that is not counted; a memory map is opened anew before each training. All in one run; the files stay in the
page cache of the system, so a slow disk is slower.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _provenance import save
from PIL import Image
from sklearn.datasets import load_sample_image

from skmae import ViTMAE
from skmae.datasets import load_image_folder

N, EPOCHS = 5000, 4


class Files(torch.utils.data.Dataset):
    """Reads each picture when it is asked for, as one would without a loader."""

    def __init__(self, folder: Path):
        self.paths = sorted(folder.rglob("*.jpg"))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as picture:
            small = picture.convert("RGB").resize((32, 32))
        return torch.from_numpy(np.array(small))


def write_pictures(folder: Path) -> None:
    rng, photo = np.random.default_rng(0), load_sample_image("china.jpg")
    for number in range(N):
        row, column = rng.integers(0, 427 - 120), rng.integers(0, 640 - 160)
        Image.fromarray(photo[row : row + 120, column : column + 160]).save(folder / f"{number:05}.jpg")


def epoch_seconds(X: Any, **net_params: Any) -> float:
    mae = ViTMAE(
        patch=4,
        embed_dim=64,
        encoder_layers=2,
        encoder_heads=4,
        decoder_layers=1,
        decoder_heads=4,
        max_epochs=EPOCHS,
        warmup_epochs=1,
        batch_size=128,
        augment=None,
        net_params=net_params,
        random_state=0,
        device="cpu",
    )
    return float(np.median(mae.fit(X).history_[1:, "dur"]))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, mapped = Path(name) / "pictures", Path(name) / "images.npy"
        folder.mkdir()
        write_pictures(folder)
        rows = []
        for what, options in (("array", {}), ("memory map", {"memory_map": mapped})):
            start = perf_counter()
            images = load_image_folder(folder, 32, **options).images
            rows.append({"what": f"load_image_folder, {what}", "s": perf_counter() - start})
        trainings: dict[str, Callable[[], float]] = {
            "epoch, array": lambda: epoch_seconds(np.array(images)),
            "epoch, memory map": lambda: epoch_seconds(np.load(mapped, mmap_mode="r")),
            "epoch, Dataset of files": lambda: epoch_seconds(Files(folder)),
            "epoch, Dataset of files, 2 workers": lambda: epoch_seconds(Files(folder), iterator_train__num_workers=2),
        }
        rows += [{"what": what, "s": train()} for what, train in trainings.items()]
    rows = [{"what": r["what"], "s": round(r["s"], 2), "images_per_s": round(N / r["s"])} for r in rows]
    save("folder", [row | {"threads": torch.get_num_threads()} for row in rows])
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
