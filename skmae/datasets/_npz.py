"""Arrays from an npz file that may be damaged."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

#: What `read_arrays` raises for a file that is cut off, is something else, or lacks an array.
UNREADABLE = (BadZipFile, KeyError, OSError, TypeError, ValueError, EOFError, zlib.error)


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:  # np.load leaves a damaged file open
        return [file[name] for name in names]
