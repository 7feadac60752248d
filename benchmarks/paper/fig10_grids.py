"""Figs. 10, 11, 14, 15: ViTMAEs by mask × patch and by depth of encoder × decoder: time, loss, probe, fine-tuned.

On CIFAR-10; 10,000 test images. Resumable: rows of vit_grid.csv (and with --finetune vit_grid_finetune.csv, with
--along vit_along.csv, with --control vit_grid_control.csv) are not run again, and every model keeps its checkpoints in
--models.
"""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._provenance import append, rows_of
from benchmarks.paper._scale import SCALES, Scale, arguments, vit
from skmae import ViTMAE, ViTMAEClassifier, probe_layers
from skmae.datasets import fetch_cifar10

MASKS, PATCHES = (0.1, 0.25, 0.5, 0.65, 0.75, 0.9), (8, 4, 2)
KEYS = ("patch", "mask", "encoder_layers", "decoder_layers", "seed")


def settings(scale: Scale) -> list[dict[str, Any]]:
    """Of both grids; they share one."""
    base = {"patch": 4, "mask": 0.75, "encoder_layers": scale.encoder_layers, "decoder_layers": 1}
    depths = [(encoder, decoder) for encoder in scale.encoders for decoder in scale.decoders]
    listed = [{**base, "encoder_layers": encoder, "decoder_layers": decoder} for encoder, decoder in depths]
    listed += [{**base, "patch": patch, "mask": mask} for patch in PATCHES for mask in MASKS]
    return [one for i, one in enumerate(listed) if one not in listed[:i]]


def still_to_do(name: str, options: Any) -> Iterator[tuple[dict[str, Any], int]]:
    """Settings and seeds, of this process's part, of which the results have no row."""
    done = {tuple(row[key] for key in KEYS) for row in rows_of(name)}
    part, parts = options.part
    for seed in options.seeds:
        for setting in settings(SCALES[options.scale])[part::parts]:
            if tuple(str(value) for value in (*setting.values(), seed)) not in done:
                yield setting, seed


def trained(setting: dict[str, Any], seed: int, options: Any, images: Any) -> ViTMAE:
    scale = SCALES[options.scale]
    epochs = options.epochs or scale.epochs
    return vit(scale, options.models, seed, **setting, normalize_target=True, max_epochs=epochs).fit(images)


def probe(mae: ViTMAE, train: Any, test: Any) -> float:
    """Test accuracy of a logistic regression on the features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(mae.transform(train.images), train.target).score(mae.transform(test.images), test.target)


def finetuned(mae: ViTMAE, train: Any, test: Any, scale: Scale, seed: int) -> float:
    """Test accuracy after fine-tuning all of the encoder."""
    cpu = {"augment": None, "max_epochs": 5, "batch_size": 100, "warmup_epochs": 1, "learning_rate": 2e-3}
    gpu = {"augment": "randaugment", "max_epochs": 100, "batch_size": 1024, "warmup_epochs": 5}
    training = cpu if scale.name == "cpu" else gpu
    model = ViTMAEClassifier(FrozenEstimator(mae), **training, device=mae.device, random_state=seed)
    return model.fit(train.images, train.target).score(test.images, test.target)


def run_grids(options: Any, train: Any, test: Any) -> None:
    name = SCALES[options.scale].results("vit_grid")
    for setting, seed in still_to_do(name, options):
        start = perf_counter()
        mae = trained(setting, seed, options, train.images)
        row = {
            **setting,
            "seed": seed,
            "threads": torch.get_num_threads(),
            "epoch_s": round(min(mae.history_[:, "dur"]), 3),
            "pretrain_s": round(sum(mae.history_[:, "dur"]), 1),
            "train_loss": round(float(mae.history_[-1, "train_loss"]), 5),
            "test_loss": round(-mae.score(test.images[:2000]), 5),
            "probe": probe(mae, train, test),
        }
        append(name, row)
        print(row, round(perf_counter() - start, 1), flush=True)


def run_finetuning(options: Any, train: Any, test: Any) -> None:
    scale = SCALES[options.scale]
    name = scale.results("vit_grid_finetune")
    for setting, seed in still_to_do(name, options):
        mae = trained(setting, seed, options, train.images)
        row = {**setting, "seed": seed, "finetuned": finetuned(mae, train, test, scale, seed)}
        append(name, row)
        print(row, flush=True)


def run_along(options: Any, train: Any, test: Any) -> None:
    """Probes along a longer training, of each depth of the encoder (Fig. 10)."""
    scale = SCALES[options.scale]
    name = scale.results("vit_along")
    epochs = options.epochs or (30 if scale.name == "cpu" else scale.epochs)
    done = {(row["encoder_layers"], row["seed"]) for row in rows_of(name)}
    for seed in options.seeds:
        for encoder_layers in scale.encoders:
            if (str(encoder_layers), str(seed)) in done:
                continue
            folder: Path = options.models / f"along-{encoder_layers}-{seed}"
            longer = {"max_epochs": epochs, "checkpoint_every": epochs // 10, "normalize_target": True}
            mae = vit(scale, folder, seed, encoder_layers=encoder_layers, **longer).fit(train.images)
            table = probe_layers(mae, train.images, train.target, test.images, test.target, weights=folder)
            for _, row in table[table["layer"] == encoder_layers].iterrows():
                loss = float(mae.history_[row["epoch"] - 1, "train_loss"])
                key = {"encoder_layers": encoder_layers, "seed": seed, "epoch": row["epoch"]}
                append(name, {**key, "train_loss": round(loss, 5), "probe": row["score"]})


def run_control(options: Any, train: Any, test: Any) -> None:
    """Probes of the grids' encoders as they are before training: what masks and decoders cannot change."""
    scale = SCALES[options.scale]
    name = scale.results("vit_grid_control")
    done = {(row["patch"], row["encoder_layers"], row["seed"]) for row in rows_of(name)}
    encoders = sorted({(setting["patch"], setting["encoder_layers"]) for setting in settings(scale)}, reverse=True)
    for seed in options.seeds:
        for patch, encoder_layers in encoders:
            if (str(patch), str(encoder_layers), str(seed)) in done:
                continue
            sizes = {"patch": patch, "encoder_layers": encoder_layers}
            untrained = vit(scale, options.models, seed, **sizes, checkpoint=None)._untrained(train.images, seed)
            row = {**sizes, "seed": seed, "probe": probe(untrained, train, test)}
            append(name, row)
            print(row, flush=True)


def main() -> None:
    parser = arguments(__doc__, deep=True)
    parser.add_argument(
        "--part", type=int, nargs=2, default=[0, 1], help="which of how many parts, to run them at once"
    )
    parser.add_argument("--finetune", action="store_true", help="fine-tune the models of the grids")
    parser.add_argument("--along", action="store_true", help="probe along training")
    parser.add_argument("--control", action="store_true", help="probe what was not trained")
    options = parser.parse_args()
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    n = SCALES[options.scale].images
    train.images, train.target = train.images[:n], train.target[:n]
    others = {"finetune": run_finetuning, "along": run_along, "control": run_control}
    run = next((others[name] for name in others if getattr(options, name)), run_grids)
    run(options, train, test)


if __name__ == "__main__":
    main()
