"""What is to be predicted: classes, or numbers."""

from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target

from skmae._samples import to_numpy
from skmae._typing import Array


def read_targets(y: Any, name: str = "y") -> Array:
    """Targets in NumPy; numbers that came as objects are numbers.

    Raises
    ------
    ValueError
        If they are neither labels nor numbers, or some are missing.
    """
    targets = to_numpy(y)
    strings = targets.dtype.kind in "UT" or all(isinstance(target, str) for target in targets.ravel())
    if targets.dtype == object and not strings:
        targets = np.array(targets.tolist())  # numbers
    if not strings and (targets.dtype.kind not in "biuf" or not np.isfinite(targets).all()):
        raise ValueError(
            f"{name}, of type {targets.dtype}, holds something else than labels or finite numbers. Leave out samples "
            f"whose target is missing, and pass labels as strings or whole numbers."
        )
    return targets


def are_classes(y: Array) -> bool:
    """Whether targets are labels of classes: strings, or whole numbers."""
    return type_of_target(y) in ("binary", "multiclass")
