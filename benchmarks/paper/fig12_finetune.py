"""Fig. 12: fine-tuning of a ViTMAE's head, last block, last two, all, and training from scratch, on CIFAR-10.

A ViTMAE of width 96 with 6 + 1 blocks is pretrained on 10,000 images without labels (200 s on two cores); then 5,000
labels are used; with --scale gpu, the paper's model and all of CIFAR-10 for both. Accuracy on 10,000 test images, and
time; memory with --memory. Resumable: rows of vit_finetune.csv are not run again.
"""

from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks._memory import rise_of_peak
from benchmarks._provenance import append, rows_of, save
from benchmarks.paper._scale import GPU, SCALES, Scale, arguments
from benchmarks.paper._scale import vit as sized
from skmae import ViTMAE, ViTMAEClassifier
from skmae.datasets import fetch_cifar10

UNLABELLED, LABELLED, EPOCHS = 10_000, 5000, 10
HEADS = {"head": 0, "last block": 1, "last two": 2, "all": None}
SCRATCH = {"scratch, 2 blocks": 2, "scratch, 4 blocks": 4, "scratch, 6 blocks": 6}
WIDTH, HEADS_OF_ATTENTION = 96, 3


def vit(scale: Scale, seed: int, models: Path | None, epochs: int | None = None) -> ViTMAE:
    if scale is GPU:
        return sized(scale, models, seed, **({} if epochs is None else {"max_epochs": epochs}))
    sizes = {"embed_dim": WIDTH, "encoder_layers": 6, "encoder_heads": HEADS_OF_ATTENTION}
    training = {"batch_size": 128, "learning_rate": 2e-3, "max_epochs": epochs or 20, "normalize_target": True}
    return sized(scale, models, seed, **sizes, decoder_heads=HEADS_OF_ATTENTION, **training)


def classifier(scale: Scale, what: str, mae: ViTMAE | None, seed: int) -> ViTMAEClassifier:
    cpu = {"augment": None, "max_epochs": EPOCHS, "batch_size": 128, "warmup_epochs": 1, "learning_rate": 2e-3}
    gpu = {"augment": "randaugment", "max_epochs": 100, "batch_size": 1024, "warmup_epochs": 5}
    training = {**(gpu if scale is GPU else cpu), "device": "auto" if scale is GPU else "cpu", "random_state": seed}
    if mae is not None:
        return ViTMAEClassifier(FrozenEstimator(mae), trainable_blocks=HEADS[what], **training)
    width, heads, patch = (scale.embed_dim, scale.encoder_heads, 2) if scale is GPU else (WIDTH, HEADS_OF_ATTENTION, 4)
    sizes = {"patch": patch, "embed_dim": width, "encoder_layers": SCRATCH[what], "encoder_heads": heads}
    return ViTMAEClassifier(**sizes, **training, layer_decay=1.0)


def memory_of(what: str, scale: Scale) -> float:
    """MiB by which memory rises in one epoch of fine-tuning, with data and all, in a process of its own."""
    images, labels = (part[:LABELLED] for part in (fetch_cifar10().images, fetch_cifar10().target))
    fresh = vit(scale, 0, None)._untrained(images, 0)  # what is trained costs the same
    return rise_of_peak(partial(classifier(scale, what, fresh, 0).set_params(max_epochs=1).fit, images, labels))[1]


def measure_memory(scale: Scale) -> None:
    rows = []
    for what in HEADS:
        with get_context("spawn").Pool(1) as pool:
            rows.append({"what": what, "memory_mib": round(pool.apply(memory_of, (what, scale)))})
        print(rows[-1], flush=True)
    save(scale.results("vit_finetune_memory"), rows)


def main() -> None:
    parser = arguments(__doc__, deep=True)
    parser.add_argument("--memory", action="store_true", help="measure memory instead, into vit_finetune_memory.csv")
    options = parser.parse_args()
    scale = SCALES[options.scale]
    if options.memory:
        measure_memory(scale)
        return
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    n = slice(None) if scale is GPU else slice(UNLABELLED)
    some = slice(None) if scale is GPU else slice(LABELLED)
    name = scale.results("vit_finetune")
    done = {(row["what"], row["seed"]) for row in rows_of(name)}
    for seed in options.seeds:
        for what in (*HEADS, *SCRATCH):
            if (what, str(seed)) in done:
                continue
            mae = vit(scale, seed, options.models, options.epochs).fit(train.images[n]) if what in HEADS else None
            model = classifier(scale, what, mae, seed)
            start = perf_counter()
            model.fit(train.images[some], train.target[some])
            seconds = perf_counter() - start
            row = {"what": what, "seed": seed, "threads": torch.get_num_threads(), "fit_s": round(seconds, 1)}
            row |= {"epoch_s": round(float(np.median(model.history_[:, "dur"])), 2)}
            row |= {"train_loss": round(float(model.history_[-1, "train_loss"]), 4)}
            row |= {"accuracy": model.score(test.images, test.target)}
            append(name, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
