"""SIGKILL at random instants: the next run goes on to the same result, and leaves nothing behind.

A case is one piece of work, killed and begun again until it ends. What is counted as a cell is every kill.
"""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.model_selection import GridSearchCV

from skmae import LinearMAE, Moments, ViTMAE, ViTMAEClassifier, ViTMAERegressor
from skmae.datasets import _cifar10, fetch_cifar10
from stress._children import files_in, outlives, survives
from stress._frame import Failure, Trial

BUDGET = 70
SLICE = 1
_RESULT = "result.txt"
_MOST_KILLS = 6  # of one piece of work; then it may end


def case(trial: Trial) -> None:
    work = trial.choose(*WORKS)
    trial.note(work=work.__name__)
    expected, seconds = undisturbed(work)
    with tempfile.TemporaryDirectory() as folder:
        for kill in range(_MOST_KILLS):
            if survives(trial.rng.uniform(0, 1) * seconds, work, folder):
                break
            trial.cell(work.__name__, "", "", "SIGKILL")
            trial.note(kills=kill + 1)
            is_whole(folder)
        outlives(work, folder)
        trial.cell(work.__name__, "", "", "to the end")
        if Path(folder, _RESULT).read_text() != expected:
            raise Failure("another result than without kills")
        left = {name for name in files_in(folder) if not name.endswith((_RESULT, "last.pt", ".joblib", ".tar.gz"))}
        if left:
            raise Failure(f"left behind: {sorted(left)}")


@cache
def undisturbed(work: Any) -> tuple[str, float]:
    """The result of a piece of work, and the seconds that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        outlives(os.getpid)  # now the server of children is there
        seconds = outlives(work, folder)
        return Path(folder, _RESULT).read_text(), seconds


def is_whole(folder: str) -> None:
    """What is on the disk under its own name can be read."""
    for name in files_in(folder):
        if name.endswith("last.pt"):
            torch.load(Path(folder, name), weights_only=True)
        if name.endswith(".tar.gz"):
            _cifar10._check_md5(Path(folder, name), hashlib.md5(archive()).hexdigest())


# -- what is killed ---------------------------------------------------------------------------------------------------


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)


SMALL = {"embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "augment": None, "batch_size": 8, "warmup_epochs": 1}


def small(**parameters: Any) -> ViTMAE:
    return ViTMAE(**SMALL, patch=2, decoder_layers=1, decoder_heads=2, random_state=0, **parameters)


def training(folder: str) -> None:
    say(folder, weights_of(small(max_epochs=12, checkpoint=folder).fit(images())))


def training_that_keeps_epochs(folder: str) -> None:
    mae = small(max_epochs=12, checkpoint=folder, checkpoint_every=5).fit(images())
    for path in Path(folder).rglob("epoch-*.pt"):
        torch.load(path, weights_only=True)
        path.unlink()
    say(folder, weights_of(mae))


def fine_tuning(folder: str) -> None:
    X, own = images(), {**SMALL, "patch": 2, "max_epochs": 6, "random_state": 0, "checkpoint": folder}
    classifier = ViTMAEClassifier(**own).fit(X, np.arange(40) % 3)
    regressor = ViTMAERegressor(**own).fit(X, np.arange(40.0))
    say(folder, weights_of(classifier) + weights_of(regressor))


def steps_dumped(folder: str) -> None:
    """What a user does who calls `partial_fit` and keeps the estimator."""
    path = Path(folder, "mae.joblib")
    mae = joblib.load(path) if path.exists() else small(max_epochs=10)
    while not hasattr(mae, "history_") or len(mae.history_) < 10:
        mae.partial_fit(images())
        dump(mae, path)
    say(folder, weights_of(mae))


def linear_steps_dumped(folder: str) -> None:
    path = Path(folder, "linear.joblib")
    mae, first = joblib.load(path) if path.exists() else (LinearMAE(5, patch=2), 0)
    for step in range(first, 30):
        mae.partial_fit(images()[step : step + 10])
        dump((mae, step + 1), path)
    say(folder, mae.components_.tobytes() + mae.decoder_.tobytes())


def moments_streamed(folder: str) -> None:
    path = Path(folder, "moments.joblib")
    moments, first = joblib.load(path) if path.exists() else (Moments(48), 0)
    for step in range(first, 40):
        moments.update(np.random.default_rng(step).standard_normal((50, 48)) + step)
        dump((moments, step + 1), path)
    say(folder, moments.mean.tobytes() + moments.second.tobytes())


def search(folder: str) -> None:
    grid = {"mask": [0.5, 0.75], "max_epochs": [2, 3]}
    found = GridSearchCV(small(checkpoint=folder), grid, cv=2, error_score="raise").fit(images())
    say(folder, found.cv_results_["mean_test_score"].tobytes() + weights_of(found.best_estimator_))


def download(folder: str) -> None:
    """Through a server that is slow, breaks off, and does not always know how to go on."""
    with serving(archive()) as url:
        _cifar10._URL, _cifar10._MD5 = url, hashlib.md5(archive()).hexdigest()
        while True:
            try:
                cifar = fetch_cifar10(folder, subset="test")
                break
            except OSError as error:
                if folder not in str(error):
                    raise
    say(folder, cifar.images.tobytes() + cifar.target.tobytes())


WORKS = [
    *[training] * 3,
    training_that_keeps_epochs,
    *[fine_tuning] * 2,
    *[steps_dumped] * 2,
    linear_steps_dumped,
    moments_streamed,
    search,
    *[download] * 2,
]


def dump(value: Any, path: Path) -> None:
    """As docs tell: beside the old one, then in its place."""
    beside = path.with_name(f"new {path.name}")
    joblib.dump(value, beside)
    os.replace(beside, path)


def weights_of(model: Any) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in model.net_.module_.state_dict().values())


def say(folder: str, content: bytes) -> None:
    Path(folder, _RESULT).write_text(hashlib.sha256(content).hexdigest())


# -- a server ---------------------------------------------------------------------------------------------------------


@cache
def archive() -> bytes:
    """CIFAR-10's, of 40 images each."""
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
            records = rng.integers(0, 256, (40, 3073), dtype=np.uint8)
            records[:, 0] %= 10
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = records.nbytes
            tar.addfile(member, io.BytesIO(records.tobytes()))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same bytes in every process


@contextmanager
def serving(content: bytes, moods: range = range(8)) -> Any:
    """The address at which a server of these moods gives this content; of 3 and more, it is good."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first = int((self.headers["Range"] or "bytes=0-")[6:-1])
            mood = moods[int.from_bytes(os.urandom(1)) % len(moods)]
            if mood == 0:
                return self.send_error(503)
            if mood == 1:
                first = 0  # cannot go on
            if first >= len(content):
                return self.send_error(416)
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            stop = len(content) - (40_000 if mood == 2 else 0)  # breaks off
            for start in range(first, stop, 20_000):
                self.wfile.write(content[start : min(start + 20_000, stop)])
                time.sleep(0.01)
            return None

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/cifar-10-binary.tar.gz"
    finally:
        server.shutdown()
