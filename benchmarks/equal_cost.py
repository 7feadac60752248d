"""Small ViTs of different mask, patch and depth that were all given the same number of operations, and their probes.

On 5,000 CIFAR-10 images, two seeds, probed on 10,000 test images: as in ``benchmarks/paper/fig10_grids.py``, where all
are given the same number of epochs. A setting whose epoch costs half as much is trained for twice as many. With it, for
each patch, the probes of an untrained network and after one epoch. Resumable: rows of equal_cost.csv stay.
"""

from typing import Any

from _provenance import append, rows_of
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import ViTMAE, training_cost
from skmae.datasets import fetch_cifar10

BASE = {"patch": 4, "mask": 0.75, "encoder_layers": 4}
SETTINGS = [
    BASE,
    *({**BASE, "patch": patch} for patch in (2, 8)),
    *({**BASE, "mask": mask} for mask in (0.5, 0.9)),
    *({**BASE, "encoder_layers": layers} for layers in (2, 8)),
]
BUDGETS = 6, 20  # epochs of the base
SEEDS = 0, 1
KEYS = ("budget", *BASE, "seed")


def network(setting: dict[str, Any], seed: int, **training: Any) -> ViTMAE:
    return ViTMAE(
        **setting,
        **training,
        embed_dim=64,
        encoder_heads=4,
        decoder_layers=1,
        decoder_heads=4,
        batch_size=100,
        normalize_target=True,
        device="cpu",
        random_state=seed,
    )


def operations(setting: dict[str, Any]) -> float:
    """Of an epoch, for one sample."""
    return float(training_cost(network(setting, 0), (32, 32, 3), measure=False)["gflops"][0])


def trainings() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Budget, setting, and how it is trained."""
    patches = [{**BASE, "patch": patch} for patch in (2, 4, 8)]
    untrained = {"max_epochs": 1, "warmup_epochs": 0, "learning_rate": 1e-30}
    once = {"max_epochs": 1, "warmup_epochs": 0, "learning_rate": 4e-3}
    listed = [("untrained", setting, untrained) for setting in patches]
    listed += [("one epoch", setting, once) for setting in patches]
    for budget in BUDGETS:
        for setting in SETTINGS:
            epochs = max(1, round(budget * operations(BASE) / operations(setting)))
            whole = {"max_epochs": epochs, "warmup_epochs": max(1, epochs // 5), "learning_rate": 4e-3}
            listed.append((f"{budget} epochs of patch 4", setting, whole))
    return listed


def main() -> None:
    train, test = fetch_cifar10(), fetch_cifar10(subset="test")
    images, labels = train.images[:5000], train.target[:5000]
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    done = {tuple(row[key] for key in KEYS) for row in rows_of("equal_cost")}
    for seed in SEEDS:
        for budget, setting, training in trainings():
            key = {"budget": budget, **setting, "seed": seed}
            if tuple(map(str, key.values())) in done:
                continue
            mae = network(setting, seed, **training).fit(images)
            accuracy = probe.fit(mae.transform(images), labels).score(mae.transform(test.images), test.target)
            spent = {"epochs": training["max_epochs"], "seconds": round(sum(mae.history_[:, "dur"]), 1)}
            append("equal_cost", key | spent | {"probe": accuracy})


if __name__ == "__main__":
    main()
