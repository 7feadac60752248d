"""Types that many modules speak of."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Floats = NDArray[np.floating]  # of the precision that the data asks for
IntArray = NDArray[np.intp]

AnyPath = str | PathLike[str]
DType = np.dtype[Any]
Shape = tuple[int, ...]
Patch = int | Sequence[int]
ChannelAxis = Literal["auto"] | int | None
RandomState = int | np.random.RandomState | None
Constraints = dict[str, list[Any]]  # of scikit-learn's `_parameter_constraints`
