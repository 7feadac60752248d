"""Arrays from an npz file that may be damaged, or another one."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from skmae._typing import Array, Shape


class Expected(NamedTuple):
    """What an array of a file must be.

    Attributes
    ----------
    name : str
    dtype : str
        Of a type that holds all its values.
    sample_shape : tuple of int
        All arrays of a file have the same number of samples.
    """

    name: str
    dtype: str
    sample_shape: Shape


def read_arrays(path: Path, *expected: Expected) -> list[Array]:
    """Read arrays of an npz file.

    Raises
    ------
    PermissionError, FileNotFoundError
        If the file may not be opened, or is not there.
    ValueError
        If it is damaged, as the checksums in it tell, or does not hold such arrays.
    """
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:  # np.load leaves a damaged file open
            arrays = [file[array.name] for array in expected]
    except (PermissionError, FileNotFoundError):
        raise
    except Exception as error:  # of damage zipfile, zlib, tokenize and NumPy say so in a dozen ways
        raise ValueError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error
    for array, wanted in zip(arrays, expected, strict=True):
        shape = (len(arrays[0]) if arrays[0].ndim else 0, *wanted.sample_shape)
        if array.shape != shape or not np.can_cast(array.dtype, wanted.dtype):
            raise ValueError(
                f"{path} cannot be read ({wanted.name} is {array.dtype} of shape {array.shape}, not {wanted.dtype} of "
                f"shape {shape})."
            )
    return arrays
