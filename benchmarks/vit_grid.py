"""ViTMAEs by mask × patch and by depth of encoder × decoder: time, loss and linear probe on CIFAR-10.

5,000 training images, 10,000 test images, three seeds. Resumable: rows of vit_grid.csv are not run again,
and every model keeps its checkpoints in --models.
"""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from _provenance import append, rows_of
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import ViTMAE, ViTMAEClassifier
from skmae.datasets import fetch_cifar10

N, EPOCHS = 5000, 10
MASKS, PATCHES = (0.1, 0.25, 0.5, 0.65, 0.75, 0.9), (8, 4, 2)
ENCODERS, DECODERS = (2, 4, 8), (1, 2, 4)
KEYS = ("patch", "mask", "encoder_layers", "decoder_layers", "seed")


def settings() -> list[dict[str, Any]]:
    """Of both grids; they share one."""
    base = {"patch": 4, "mask": 0.75, "encoder_layers": 4, "decoder_layers": 1}
    listed = [{**base, "encoder_layers": e, "decoder_layers": d} for e in ENCODERS for d in DECODERS]
    listed += [{**base, "patch": patch, "mask": mask} for patch in PATCHES for mask in MASKS]
    return [one for i, one in enumerate(listed) if one not in listed[:i]]


def vit(setting: dict[str, Any], seed: int, models: Path) -> ViTMAE:
    return ViTMAE(
        **setting,
        embed_dim=64,
        encoder_heads=4,
        decoder_heads=4,
        normalize_target=True,
        batch_size=100,
        learning_rate=4e-3,
        max_epochs=EPOCHS,
        warmup_epochs=2,
        checkpoint=models,
        device="cpu",
        random_state=seed,
    )


def probe(mae: ViTMAE, train: Any, test: Any) -> float:
    """Test accuracy of a logistic regression on the features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(mae.transform(train.images[:N]), train.target[:N])
    return model.score(mae.transform(test.images), test.target)


def finetuned(mae: ViTMAE, train: Any, test: Any, seed: int) -> float:
    """Test accuracy after fine-tuning all of the encoder for some epochs."""
    settings = {"augment": None, "max_epochs": 5, "batch_size": 100, "warmup_epochs": 1, "learning_rate": 2e-3}
    model = ViTMAEClassifier(FrozenEstimator(mae), **settings, device="cpu", random_state=seed)
    return model.fit(train.images[:N], train.target[:N]).score(test.images, test.target)


def finetune_all(models: Path, seeds: list[int], train: Any, test: Any) -> None:
    """Fine-tune what has been pretrained; rows of vit_grid_finetune.csv are not run again."""
    done = {tuple(row[key] for key in KEYS) for row in rows_of("vit_grid_finetune")}
    there = {tuple(row[key] for key in KEYS) for row in rows_of("vit_grid")}
    for seed in seeds:
        for setting in settings():
            key = {**setting, "seed": seed}
            text = tuple(str(value) for value in key.values())
            if text in there and text not in done:
                mae = vit(setting, seed, models).fit(train.images[:N])
                append("vit_grid_finetune", {**key, "finetuned": finetuned(mae, train, test, seed)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--part", type=int, nargs=2, default=[0, 1], help="which of how many parts, to run them at once"
    )
    parser.add_argument("--finetune", action="store_true", help="fine-tune what is there, into vit_grid_finetune.csv")
    options = parser.parse_args()
    train, test = fetch_cifar10(subset="train"), fetch_cifar10(subset="test")
    if options.finetune:
        finetune_all(options.models, options.seeds, train, test)
        return
    done = {tuple(row[key] for key in KEYS) for row in rows_of("vit_grid")}
    for seed in options.seeds:
        for setting in settings()[options.part[0] :: options.part[1]]:
            key = {**setting, "seed": seed}
            if tuple(str(value) for value in key.values()) in done:
                continue
            start = perf_counter()
            mae = vit(setting, seed, options.models).fit(train.images[:N])
            row = {
                **key,
                "threads": torch.get_num_threads(),
                "epoch_s": round(min(mae.history_[:, "dur"]), 3),
                "pretrain_s": round(sum(mae.history_[:, "dur"]), 1),
                "train_loss": round(float(mae.history_[-1, "train_loss"]), 5),
                "test_loss": round(-mae.score(test.images[:2000]), 5),
                "probe": probe(mae, train, test),
            }
            append("vit_grid", row)
            print(row, round(perf_counter() - start, 1), flush=True)


if __name__ == "__main__":
    main()
