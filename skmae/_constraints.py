"""Parameter constraints that several estimators share."""

from numbers import Integral, Real
from typing import Any

from skmae._compat import Interval, StrOptions

GRID: dict[str, list[Any]] = {
    "image_shape": [tuple, list, None],
    "channel_axis": [StrOptions({"auto"}), Integral, None],
}
MASKING: dict[str, list[Any]] = {
    "mask": [Interval(Real, 0, 1, closed="left")],
    "patch": [Interval(Integral, 1, None, closed="left"), tuple, list],
}
