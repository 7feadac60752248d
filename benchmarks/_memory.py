"""Memory that a computation takes, measured on Linux only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

CAN_MEASURE = Path("/proc/self/clear_refs").exists()


def rise_of_peak(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and the MiB by which the memory of this process rose at most meanwhile."""
    if not CAN_MEASURE:
        return function(), float("nan")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    result = function()
    return result, resident("VmHWM") - before


def resident(which: str) -> float:
    """MiB of this process, now (VmRSS) or at the most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))
