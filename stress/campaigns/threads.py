"""64 threads at once, on models of their own and on shared ones: the same bits as one after the other."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE, Moments, SpatialEntropy, ViTMAEClassifier
from skmae.inspection import linear_cka, spatial_autocorrelation
from stress._frame import Failure, Trial
from stress.campaigns.kills import SMALL, small

torch.set_num_threads(1)

BUDGET = 60
SLICE = 1
_THREADS = 64

Job = Callable[[], Any]


def case(trial: Trial) -> None:
    make = trial.choose(*MAKERS)
    trial.cell(make.__name__, "", "", f"{_THREADS} threads")
    trial.note(make=make.__name__)
    seed = int(trial.rng.integers(1000))
    expected = [answer() for answer in make(seed)]
    jobs = make(seed)  # anew: what is shared is solved by whichever comes first
    barrier = Barrier(len(jobs))

    def at_once(job: Job) -> Any:
        barrier.wait()
        return job()

    before = torch.get_rng_state()
    with often_switching(), ThreadPoolExecutor(len(jobs)) as pool:
        found = list(pool.map(at_once, jobs))
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=True)):
        for one, other in zip(mine, theirs, strict=True):
            if not np.array_equal(np.asarray(one), np.asarray(other)):
                raise Failure(f"thread {number} has other bits than alone")
    if not torch.equal(torch.get_rng_state(), before):
        raise Failure("PyTorch's global generator is another one afterwards")


@contextmanager
def often_switching() -> Any:
    """Let threads take turns a thousand times more often than they would."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def pictures(seed: int, n: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)


def weights(model: Any) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in model.net_.module_.state_dict().values()]


# -- each makes 64 jobs, whose answers are lists of arrays ------------------------------------------------------------


def deep_fits(seed: int) -> list[Job]:
    """Trainings, and a thread that draws from PyTorch's generator, which must hear nothing of them."""

    def fit(number: int) -> Any:
        augment = "auto" if number % 4 == 0 else None
        model = small(max_epochs=1).set_params(random_state=seed + number, augment=augment)
        return weights(model.fit(pictures(seed + number)))

    return [lambda number=number: fit(number) for number in range(_THREADS)]


def deep_uses(seed: int) -> list[Job]:
    """One fitted model, asked by all."""
    mae, X = small(max_epochs=1).fit(pictures(seed)), pictures(seed + 1)
    visible = mae.sample_visible(len(X), 0)
    uses = [
        lambda: [mae.transform(X)],
        lambda: [mae.transform(X.astype(np.float64))],
        lambda: [mae.reconstruct(X, visible)],
        lambda: [mae.score(X)],
        lambda: [mae.patch_features(X)],
        lambda: [mae.sample_visible(9, 4)],
        lambda: [mae.linearize(X[:2], visible[0]).rows(np.arange(3))],
        lambda: [mae.mean_, mae.scale_],
    ]
    return [uses[number % len(uses)] for number in range(_THREADS)]


def deep_steps(seed: int) -> list[Job]:
    def steps(number: int) -> Any:
        mae = small(max_epochs=2)
        for _ in range(2):
            mae.partial_fit(pictures(seed + number, 8))
        return weights(mae)

    return [lambda number=number: steps(number) for number in range(_THREADS)]


def fine_tuning(seed: int) -> list[Job]:
    """Predictors on one shared encoder."""
    mae, X = small(max_epochs=1).fit(pictures(seed)), pictures(seed, 12)

    def fit(number: int) -> Any:
        own = {name: SMALL[name] for name in ("augment", "batch_size")}
        model = ViTMAEClassifier(mae, trainable_blocks=number % 2, max_epochs=1, random_state=number, **own)
        return [model.fit(X, np.arange(12) % 2).predict_proba(X)]

    return [lambda number=number: fit(number) for number in range(_THREADS)]


def linear_fits(seed: int) -> list[Job]:
    def fit(number: int) -> Any:
        X = np.random.default_rng(seed + number).standard_normal((30, 8, 8))
        kinds = (LinearMAE(5, patch=2), LinearMAE(3, patch=2, loss="hidden"), LinearDAE(4), LinearAE(6))
        model = kinds[number % len(kinds)].fit(X)
        return [model.components_, model.transform(X), model.score(X), model.reconstruct(X)]

    return [lambda number=number: fit(number) for number in range(_THREADS)]


def lazily_solved(seed: int) -> list[Job]:
    """One model after `partial_fit`, which is solved when somebody asks."""
    X = np.random.default_rng(seed).standard_normal((60, 8, 8))
    mae = LinearMAE(5, patch=2).partial_fit(X)
    uses = [
        lambda: [mae.transform(X)],
        lambda: [mae.components_, mae.decoder_],
        lambda: [mae.score(X)],
        lambda: [mae.expected_loss_],
        lambda: [mae.reconstruct(X)],
    ]
    return [uses[number % len(uses)] for number in range(_THREADS)]


def linear_steps(seed: int) -> list[Job]:
    def steps(number: int) -> Any:
        mae, rng = LinearMAE(3, patch=2), np.random.default_rng(seed + number)
        for _ in range(4):
            mae.partial_fit(rng.standard_normal((10, 6, 6)))
        moments = sum((Moments.from_data(rng.standard_normal((9, 5))) for _ in range(3)), start=Moments(5))
        return [mae.components_, moments.second]

    return [lambda number=number: steps(number) for number in range(_THREADS)]


def inspection(seed: int) -> list[Job]:
    X = pictures(seed, 30)
    linear, deep = LinearMAE(4, patch=2).fit(X), small(max_epochs=1).fit(X)
    uses = [
        lambda: [JacobianBasis(FrozenEstimator(linear)).fit_transform(X[:4])],
        lambda: [JacobianBasis(FrozenEstimator(deep)).fit_transform(X[:4])],
        lambda: [SpatialEntropy((4, 12)).fit_transform(X.reshape(30, -1))],
        lambda: [linear_cka(linear.transform(X), deep.transform(X))],
        lambda: [np.asarray(spatial_autocorrelation(X)["correlation"])],
    ]
    return [uses[number % len(uses)] for number in range(_THREADS)]


MAKERS = [deep_fits, deep_uses, deep_steps, fine_tuning, linear_fits, lazily_solved, linear_steps, inspection]
