"""Files that somebody made to do harm, in every loader that is documented as safe: nothing in them runs."""

import argparse
import hashlib
import io
import os
import pickle
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch

from skmae import Moments
from skmae.datasets import _cifar10, fetch_cifar10, load_depth
from stress._children import files_in
from stress._frame import Failure, Trial
from stress.campaigns.kills import images, small

torch.set_num_threads(1)

BUDGET = 400
SLICE = 40


class Payload:
    """What runs when it is unpickled by whoever trusts it."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Namespace(argparse.Namespace):
    """A subclass of the one class besides tensors that is let in."""

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def case(trial: Trial) -> None:
    loader = trial.choose(*LOADERS)
    with tempfile.TemporaryDirectory() as name:
        folder, mark = Path(name, "in"), Path(name, "mark")
        folder.mkdir()
        payload, what = drawn(trial, mark)
        carrier, path = loader(trial, folder, payload)
        trial.cell(loader.__name__, "", carrier, what)
        trial.note(loader=loader.__name__, carrier=carrier, payload=what)
        before = files_in(name)
        try:
            result = USES[loader](folder, path)
        except (ValueError, OSError) as error:
            if str(path) not in str(error) and str(folder) not in str(error):
                raise Failure(f"an error that does not name the file: {type(error).__name__}: {error}") from error
            result = None
        if mark.exists() or os.path.exists(f"{mark} too"):
            raise Failure("the payload ran")
        new = {found for found in files_in(name) - before if not found.startswith("in/")}
        if new:
            raise Failure(f"written outside: {new}")
        if result is not None and carrier not in HARMLESS:
            raise Failure(f"taken without a word: {type(result).__name__}")


HARMLESS = ("traversing names", "links", "argparse.Namespace")


def drawn(trial: Trial, mark: Path) -> tuple[Any, str]:
    """An object that leaves a mark where it is unpickled."""
    write = f"open({str(mark)!r}, 'w').close()"
    return trial.choose(
        (Payload(os.system, f"touch {mark}"), "os.system"),
        (Payload(exec, write), "exec"),
        (Payload(eval, write), "eval"),
        (Payload(open, str(mark), "w"), "open"),
        (Payload(os.mkdir, str(mark)), "os.mkdir"),
        (Payload(os.makedirs, str(mark)), "os.makedirs"),
        (Payload(torch.save, {}, str(mark)), "torch.save"),
        (Payload(np.save, str(mark), [1]), "np.save"),
        (Payload(torch.hub.load_state_dict_from_url, f"file://{__file__}", str(mark)), "torch.hub"),
        (Payload(torch.load, str(mark)), "torch.load"),
        (Namespace(command=f"touch {mark}"), "a subclass of Namespace"),
        (argparse.Namespace(inner=Payload(os.system, f"touch {mark}")), "inside a Namespace"),
    )


# -- what carries it --------------------------------------------------------------------------------------------------


def weights(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `load_weights`."""
    state = small(max_epochs=1).fit(images()).net_.module_.state_dict()
    path = folder / trial.choose("mae.pth", "mae.pt", "mae.safetensors", "mae.bin")
    carrier = trial.choose(
        "value", "beside", "key", "whole", "plain pickle", "old format", "joblib", "metadata", "header"
    )
    if carrier == "value" or isinstance(payload, argparse.Namespace):  # which is no key
        torch.save({**state, "payload": payload}, path)
    elif carrier == "beside":
        torch.save({"model": state, "args": payload}, path)
    elif carrier == "key":
        torch.save({"model": state, (payload,): 1}, path, pickle_protocol=4)
    elif carrier == "whole":
        torch.save(payload, path)
    elif carrier == "plain pickle":
        path.write_bytes(pickle.dumps(payload, protocol=int(trial.rng.integers(6))))
    elif carrier == "old format":
        torch.save({**state, "payload": payload}, path, _use_new_zipfile_serialization=False)
    elif carrier == "joblib":
        import joblib

        joblib.dump({**state, "payload": payload}, path)
    else:
        header = {"format": "pt", "skmae": pickle.dumps(payload).hex()}
        content = safetensors.torch.save({name: value.contiguous() for name, value in state.items()}, header)
        if carrier == "header":  # longer than the file
            content = struct.pack("<Q", 2**62) + content[8:]
        path.write_bytes(content)
    return carrier, path


def use_weights(folder: Path, path: Path) -> Any:
    return small(image_shape=(4, 4, 3)).load_weights(path)


def checkpoint(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `fit` with a checkpoint."""
    small(max_epochs=1, checkpoint=folder).fit(images())
    path = next(folder.rglob("last.pt"))
    state = torch.load(path, weights_only=True)
    carrier = trial.choose("history", "optimizer", "beside", "whole", "module")
    if carrier == "whole":
        torch.save(payload, path)
    else:
        torch.save({**state, "finished": False, "epoch": 0, carrier: payload}, path)
    return carrier, path


def use_checkpoint(folder: Path, path: Path) -> Any:
    return small(max_epochs=1, checkpoint=folder).fit(images())


def shard(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `Moments.from_files`."""
    carrier = trial.choose("npy of objects", "pickle named npy", "npz named npy", "code in the header", "parquet")
    path = folder / ("X.parquet" if carrier == "parquet" else "X.npy")
    if carrier == "npy of objects":
        np.save(path, np.array([[payload, 1], [2, 3]], object), allow_pickle=True)
    elif carrier in ("pickle named npy", "parquet"):
        path.write_bytes(pickle.dumps(payload))
    elif carrier == "npz named npy":
        with open(path, "wb") as file:
            np.savez(file, X=np.array([payload], object))
    else:
        header = b"{'descr': __import__('os').system('touch x'), 'fortran_order': False, 'shape': (2, 2)}"
        header += b" " * (117 - len(header)) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(32))
    return carrier, path


def use_shard(folder: Path, path: Path) -> Any:
    return Moments.from_files([path])


def npz(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `fetch_cifar10` from local files."""
    path = folder / "cifar10_test.npz"
    carrier = trial.choose("npz of objects", "pickle in the zip", "pickle")
    if carrier == "npz of objects":
        np.savez(path, x=np.full((2, 32, 32, 3), payload, object), y=np.zeros(2, int))
    elif carrier == "pickle in the zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x.npy", pickle.dumps(payload))
            file.writestr("../mark", "written")
    else:
        path.write_bytes(pickle.dumps(payload))
    return carrier, path


def use_npz(folder: Path, path: Path) -> Any:
    with mock.patch.dict(os.environ, SKMAE_DATA=str(folder)):
        return fetch_cifar10(subset="test")


def depth(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `load_depth`."""
    _, path = npz(trial, folder, payload)
    return "npz", path.replace(folder / "nyuv2_depth64.npz")


def use_depth(folder: Path, path: Path) -> Any:
    return load_depth(folder)


def archive(trial: Trial, folder: Path, payload: Any) -> tuple[str, Path]:
    """For `fetch_cifar10`, as if the checksum were that of the crafted file."""
    path = folder / "cifar-10-binary.tar.gz"
    carrier = trial.choose("traversing names", "links", "devices", "pickle")
    if carrier == "pickle":
        path.write_bytes(pickle.dumps(payload))
        return carrier, path
    with tarfile.open(path, "w:gz") as tar:
        records = np.zeros((2, 3073), np.uint8).tobytes()
        for name in ("../mark", str(folder.parent / "mark"), "../../mark", "x/test_batch.bin"):
            member = tarfile.TarInfo(name)
            if carrier == "traversing names" or (name == "x/test_batch.bin" and carrier == "links"):
                member.size = len(records)
                tar.addfile(member, io.BytesIO(records))
                continue
            member.type = tarfile.SYMTYPE if carrier == "links" else tarfile.FIFOTYPE
            member.linkname = "/etc/passwd"
            tar.addfile(member)
    return carrier, path


def use_archive(folder: Path, path: Path) -> Any:
    found = hashlib.md5(path.read_bytes()).hexdigest()
    with mock.patch.object(_cifar10, "_MD5", found):
        return fetch_cifar10(folder, subset="test", download_if_missing=False)


USES = {
    weights: use_weights,
    checkpoint: use_checkpoint,
    shard: use_shard,
    npz: use_npz,
    depth: use_depth,
    archive: use_archive,
}
LOADERS = [*[weights] * 3, checkpoint, *[loader for loader in USES if loader is not weights]]
