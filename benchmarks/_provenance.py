"""Rows of results, with what is needed to read them in a year."""

import csv
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn

import skmae

RESULTS = Path(__file__).parent / "results"


def provenance() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
        "skmae": skmae.__version__,
        **{name: version(name) for name in ("torch", "skorch", "transformers", "plenoptic") if name in sys.modules},
    }


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write ``results/<name>.csv`` and say where it is."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *provenance()], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **provenance()} for row in rows)
    print(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}", file=sys.stderr)


def append(name: str, row: dict[str, Any]) -> None:
    """Add a row to ``results/<name>.csv``, for runs that are taken up again."""
    path = RESULTS / f"{name}.csv"
    whole = {**row, **provenance()}
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, list(whole), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(whole)


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of ``results/<name>.csv`` so far, as text."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
