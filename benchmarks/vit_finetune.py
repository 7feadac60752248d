"""Fine-tuning of a ViTMAE's head, last block, last two, all, and training from scratch, on CIFAR-10.

A ViTMAE of width 96 with 6 + 1 blocks is pretrained on 10,000 images without labels (200 s on two cores); then 5,000
labels are used. Accuracy on 10,000 test images, and time; memory with --memory. Resumable: rows of vit_finetune.csv are
not run again.
"""

import argparse
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from _memory import rise_of_peak
from _provenance import append, rows_of, save
from sklearn.frozen import FrozenEstimator

from skmae import ViTMAE, ViTMAEClassifier
from skmae.datasets import fetch_cifar10

UNLABELLED, LABELLED, EPOCHS = 10_000, 5000, 10
HEADS = {"head": 0, "last block": 1, "last two": 2, "all": None}
SCRATCH = {"scratch, 2 blocks": 2, "scratch, 4 blocks": 4, "scratch, 6 blocks": 6}


def vit(seed: int, models: Path | None) -> ViTMAE:
    return ViTMAE(
        patch=4,
        mask=0.75,
        embed_dim=96,
        encoder_layers=6,
        encoder_heads=3,
        decoder_layers=1,
        decoder_heads=3,
        normalize_target=True,
        batch_size=128,
        learning_rate=2e-3,
        max_epochs=20,
        warmup_epochs=2,
        checkpoint=models,
        device="cpu",
        random_state=seed,
    )


def classifier(what: str, mae: ViTMAE | None, seed: int) -> ViTMAEClassifier:
    training = {"augment": None, "max_epochs": EPOCHS, "batch_size": 128, "warmup_epochs": 1, "device": "cpu"}
    if mae is None:
        sizes = {"patch": 4, "embed_dim": 96, "encoder_layers": SCRATCH[what], "encoder_heads": 3}
        return ViTMAEClassifier(**sizes, **training, layer_decay=1.0, learning_rate=2e-3, random_state=seed)
    return ViTMAEClassifier(
        FrozenEstimator(mae), trainable_blocks=HEADS[what], **training, learning_rate=2e-3, random_state=seed
    )


def memory_of(what: str) -> float:
    """MiB by which memory rises in one epoch of fine-tuning, with data and all, in a process of its own."""
    images, labels = (part[:LABELLED] for part in (fetch_cifar10().images, fetch_cifar10().target))
    fresh = vit(0, None)._untrained(images, 0)  # what is trained costs the same
    return rise_of_peak(partial(classifier(what, fresh, 0).set_params(max_epochs=1).fit, images, labels))[1]


def measure_memory() -> None:
    rows = []
    for what in HEADS:
        with get_context("spawn").Pool(1) as pool:
            rows.append({"what": what, "memory_mib": round(pool.apply(memory_of, (what,)))})
        print(rows[-1], flush=True)
    save("vit_finetune_memory", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder for the trained models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--memory", action="store_true", help="measure memory instead, into vit_finetune_memory.csv")
    options = parser.parse_args()
    if options.memory:
        measure_memory()
        return
    train, test = fetch_cifar10(subset="train"), fetch_cifar10(subset="test")
    done = {(row["what"], row["seed"]) for row in rows_of("vit_finetune")}
    for seed in options.seeds:
        for what in (*HEADS, *SCRATCH):
            if (what, str(seed)) in done:
                continue
            mae = vit(seed, options.models).fit(train.images[:UNLABELLED]) if what in HEADS else None
            model = classifier(what, mae, seed)
            images, labels = train.images[:LABELLED], train.target[:LABELLED]
            start = perf_counter()
            model.fit(images, labels)
            seconds = perf_counter() - start
            row = {"what": what, "seed": seed, "threads": torch.get_num_threads(), "fit_s": round(seconds, 1)}
            row |= {"epoch_s": round(float(np.median(model.history_[:, "dur"])), 2)}
            row |= {"train_loss": round(float(model.history_[-1, "train_loss"]), 4)}
            row |= {"accuracy": model.score(test.images, test.target)}
            append("vit_finetune", row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
