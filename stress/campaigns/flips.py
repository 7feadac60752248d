"""Flipped bits, cuts and other damage in every kind of file that is read.

Where a format has checksums, the answer is that of the whole file, or a refusal that names it; where it has none (raw
numbers of .npy, safetensors of others, parquet), it is what another reader finds in the damaged file, or a refusal.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch

from skmae import Moments, ViTMAE, ViTMAEClassifier
from skmae.datasets import _cifar10, fetch_cifar10, load_depth
from stress._frame import Failure, Trial
from stress.campaigns.kills import SMALL, archive, images, small

BUDGET = 10_000
SLICE = 60


@dataclass(frozen=True)
class Format:
    """A file that is read.

    Attributes
    ----------
    name : str
    write : callable
        ``write(folder)`` makes whole files; the one to damage is returned.
    read : callable
        ``read(folder, path)`` is the package's answer, as bytes.
    refuses : tuple of type
        The documented errors.
    others : callable or None
        ``others(path)``: what another reader finds, as bytes, where the format has no checksums.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path, Path], bytes]
    refuses: tuple[type[Exception], ...] = (ValueError,)
    others: Callable[[Path], bytes] | None = None


def case(trial: Trial) -> None:
    kind = trial.choose(*FORMATS)
    whole, answer = made(kind)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "copy")
        shutil.copytree(root(kind), folder)
        path = folder / whole.relative_to(root(kind))
        damage, content = damaged(trial, path.read_bytes())
        path.write_bytes(content)
        trial.cell(kind.name, "", "", damage)
        trial.note(format=kind.name, damage=damage)
        try:
            with np.errstate(all="ignore"):
                found = kind.read(folder, path)
        except kind.refuses as error:
            if str(path) not in str(error):
                raise Failure(f"an error that does not name the file: {type(error).__name__}: {error}") from error
            return
        if found == answer:
            return
        if kind.others is None or found != others(kind, path):
            raise Failure("other numbers than the file had, without a word")


def others(kind: Format, path: Path) -> bytes | None:
    try:
        return kind.others(path)
    except Exception:  # another reader refuses: then so should this one
        return None


@cache
def root(kind: Format) -> Path:
    return Path(tempfile.mkdtemp(prefix="skmae-flips-"))


@cache
def made(kind: Format) -> tuple[Path, bytes]:
    """A whole file, and what is read from it."""
    path = kind.write(root(kind))
    return path, kind.read(root(kind), path)


def damaged(trial: Trial, content: bytes) -> tuple[str, bytes]:
    """What happened to a file, and what is in it now. Heads and tails are hit as often as all the rest."""
    raw = bytearray(content)
    kind = trial.choose("flip", "flip", "flip", "flip", "flips", "cut", "zeros", "more", "swap", "byte", "empty")
    ends = min(len(raw), 512)
    place = int(
        trial.choose(trial.rng.integers(len(raw)), trial.rng.integers(ends), len(raw) - 1 - trial.rng.integers(ends))
    )
    if kind == "flip":
        raw[place] ^= 1 << trial.rng.integers(8)
    elif kind == "flips":
        for i in trial.rng.integers(len(raw), size=20):
            raw[i] ^= 1 << trial.rng.integers(8)
    elif kind == "cut":
        del raw[place:]
    elif kind == "zeros":
        stop = min(place + int(trial.rng.integers(1, 512)), len(raw))
        raw[place:stop] = bytes(stop - place)
    elif kind == "more":
        raw += trial.rng.bytes(int(trial.rng.integers(1, 100)))
    elif kind == "swap":
        raw = raw[place:] + raw[:place]
    elif kind == "byte":
        raw[place] = int(trial.rng.integers(256))
    elif trial.chance(0.1):
        raw.clear()
    return kind, bytes(raw)


# -- formats ----------------------------------------------------------------------------------------------------------


def numbers(*arrays: Any) -> bytes:
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def state_of(mae: Any) -> bytes:
    return numbers(*mae.net_.module_.state_dict().values())


@cache
def trained() -> ViTMAE:
    return small(max_epochs=1, image_shape=(4, 4, 3)).fit(images())


def write_checkpoint(folder: Path) -> Path:
    small(max_epochs=2, checkpoint=folder).fit(images())
    return next(folder.rglob("last.pt"))


def read_checkpoint(folder: Path, path: Path) -> bytes:
    return state_of(small(max_epochs=2, checkpoint=folder).fit(images()))


def classifier(folder: Path) -> ViTMAEClassifier:
    own = {**SMALL, "patch": 2, "max_epochs": 2, "random_state": 0, "checkpoint": folder}
    return ViTMAEClassifier(**own).fit(images(), np.arange(40) % 3)


def write_tuned(folder: Path) -> Path:
    classifier(folder)
    return next(folder.rglob("last.pt"))


def read_tuned(folder: Path, path: Path) -> bytes:
    return state_of(classifier(folder))


def write_safetensors(folder: Path) -> Path:
    trained().save_weights(folder / "mae.safetensors")
    return folder / "mae.safetensors"


def write_torch(folder: Path) -> Path:
    torch.save({"model": trained().net_.module_.state_dict()}, folder / "mae.pth")
    return folder / "mae.pth"


def write_old_torch(folder: Path) -> Path:
    path = folder / "mae.pth"
    torch.save(trained().net_.module_.state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def read_weights(folder: Path, path: Path) -> bytes:
    return state_of(small(image_shape=(4, 4, 3)).load_weights(path))


def state_from(state: dict[str, torch.Tensor], notes: dict[str, Any] | None = None) -> bytes:
    notes = notes or {}
    known = {name: notes[name] for name in ("mean", "scale") if name in notes}
    return state_of(small(image_shape=(4, 4, 3)).load_weights(state, **known))


def safetensors_by_others(path: Path) -> bytes:
    with safetensors.safe_open(path, framework="pt") as file:
        notes = json.loads((file.metadata() or {}).get("skmae", "{}"))
    return state_from(safetensors.torch.load_file(path), notes)


def torch_by_others(path: Path) -> bytes:
    return state_from(torch.load(path, weights_only=True))


def write_npy(folder: Path) -> Path:
    np.save(folder / "first.npy", images()[:20])
    np.save(folder / "second.npy", np.asfortranarray(images()[20:].reshape(20, -1).astype(np.float32)))
    return folder / "second.npy"


def read_shards(folder: Path, path: Path) -> bytes:
    moments = Moments.from_files(sorted(folder.glob(f"*{path.suffix}")))
    return numbers(moments.n, moments.mean, moments.second)


def npy_by_others(path: Path) -> bytes:
    parts = [np.load(path.with_name("first.npy")).reshape(20, -1), np.load(path)]
    moments = Moments.from_batches([part.reshape(len(part), -1) for part in parts])
    return numbers(moments.n, moments.mean, moments.second)


def write_parquet(folder: Path) -> Path:
    import pandas as pd

    rows = images().reshape(40, -1)[:, :6].astype(np.float32)
    frame = pd.DataFrame(rows, columns=list("abcdef"))
    frame[:20].to_parquet(folder / "first.parquet")
    frame[20:].to_parquet(folder / "second.parquet")
    return folder / "second.parquet"


def parquet_by_others(path: Path) -> bytes:
    import pyarrow.parquet as parquet

    tables = [parquet.read_table(path.with_name(name)) for name in ("first.parquet", "second.parquet")]
    moments = Moments.from_batches([np.column_stack(table.columns) for table in tables])  # not as pandas' notes say
    return numbers(moments.n, moments.mean, moments.second)


def write_npz(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.savez_compressed(folder / "cifar10_test.npz", x=pictures, y=rng.integers(0, 10, 20))
    return folder / "cifar10_test.npz"


def read_npz(folder: Path, path: Path) -> bytes:
    with mock.patch.dict(os.environ, SKMAE_DATA=str(folder)):
        cifar = fetch_cifar10(subset="test")
    return numbers(cifar.images, cifar.target)


def write_depth(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    depth = rng.integers(0, 9000, (6, 64, 64), dtype=np.uint16)
    np.savez(folder / "nyuv2_depth64.npz", rgb=pictures, depth_mm=depth, is_test=np.arange(6) % 2 == 0)
    return folder / "nyuv2_depth64.npz"


def read_depth(folder: Path, path: Path) -> bytes:
    rooms = load_depth(folder)
    return numbers(rooms.images, rooms.target)


def write_archive(folder: Path) -> Path:
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(archive())
    return path


def read_archive(folder: Path, path: Path) -> bytes:
    with mock.patch.object(_cifar10, "_MD5", hashlib.md5(archive()).hexdigest()):
        cifar = fetch_cifar10(folder, subset="test", download_if_missing=False)
    return numbers(cifar.images, cifar.target)


FORMATS = [
    Format("checkpoint", write_checkpoint, read_checkpoint),
    Format("checkpoint of a predictor", write_tuned, read_tuned),
    Format("safetensors", write_safetensors, read_weights, others=safetensors_by_others),
    Format("pth", write_torch, read_weights),
    Format("pth, old", write_old_torch, read_weights, others=torch_by_others),
    Format("npy", write_npy, read_shards, others=npy_by_others),
    Format("parquet", write_parquet, read_shards, others=parquet_by_others),
    Format("npz of CIFAR-10", write_npz, read_npz, refuses=(OSError,)),
    Format("npz of depth", write_depth, read_depth),
    Format("archive of CIFAR-10", write_archive, read_archive, refuses=(OSError,)),
]
