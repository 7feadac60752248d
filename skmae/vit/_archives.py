"""PyTorch's own files (``torch.save``), read so that damage is seen and nothing in them can run."""

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from threading import Lock
from typing import IO, Any

import torch

_OTHER_CLASS = re.compile(r"GLOBAL ([\w.]+)")  # as PyTorch's errors name what they refuse
_IS_FOLDER = 0x10  # a bit of an entry's attributes
_ALLOWING = Lock()  # what PyTorch allows besides is one list for all threads


def load_archive(path: Path) -> Any:
    """Tensors, numbers, strings and collections of them, on the CPU; also ``argparse.Namespace``, a bag of values.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is damaged, or holds objects of another class. The text names the file.
    """
    with open(path, "rb") as file:
        try:
            _compare_checksums(file)
            return _load(file)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            other_class = _OTHER_CLASS.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
            if other_class:
                raise ValueError(
                    f"{str(path)!r} holds {other_class[1]}. A file that holds anything but tensors, numbers, text and "
                    f"argparse.Namespace could run code, and is not opened. Ask for a .safetensors file. Only if you "
                    f"trust whoever made it: open it with torch.load(path, weights_only=False), and pass the mapping "
                    f"of tensors that is in it."
                ) from error
            raise ValueError(
                f"{str(path)!r} cannot be read ({type(error).__name__}: {first_line(error)}). It is damaged, or not a "
                f"file of weights. Get it anew."
            ) from error


def first_line(error: BaseException) -> str:
    """What an error says, without the advice that PyTorch goes on to give."""
    return str(error).partition("\n")[0].partition(" In PyTorch")[0].partition(" This file can still")[0].rstrip(".")


def _compare_checksums(file: IO[bytes]) -> None:
    """PyTorch leaves the checksums of an archive unread. Files from before version 1.6 have none."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        folders = [entry.filename for entry in archive.infolist() if entry.external_attr & _IS_FOLDER]
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"the checksum of {damaged} is another")
    if folders:  # PyTorch would leave the memory of such a tensor as it found it
        raise zipfile.BadZipFile(f"{folders[0]} is marked as a folder")


def _load(file: IO[bytes]) -> Any:
    try:
        return _load_tensors(file)
    except pickle.UnpicklingError as error:
        if "GLOBAL argparse.Namespace" not in str(error):
            raise
    with _ALLOWING, torch.serialization.safe_globals([argparse.Namespace]):
        return _load_tensors(file)


def _load_tensors(file: IO[bytes]) -> Any:
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)
