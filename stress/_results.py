"""The counts of a run, with machine, versions, date and commit."""

import csv
import subprocess
from typing import Any

from benchmarks._provenance import RESULTS, provenance
from stress._frame import Outcome

FILE = RESULTS / "stress.csv"
KEYS = ("entry", "dtype", "layout", "parameter")


def record(outcome: Outcome) -> None:
    """Write the counts of a campaign, in place of those of its last run."""
    whole = {"cases": outcome.n_cases, "failed": len(outcome.failures), "seconds": round(outcome.seconds)}
    rows = [_row(outcome, dict.fromkeys(KEYS, "*"), **whole)]
    for cell, cases in sorted(outcome.cells.items()):
        rows.append(_row(outcome, dict(zip(KEYS, cell, strict=True)), cases=cases, failed=outcome.failed[cell]))
    _replace(rows)


def record_found(fault: str, outcome: Outcome) -> None:
    """Write after how many cases a fault that was put back was found."""
    row = _row(
        outcome,
        dict.fromkeys(KEYS, "*") | {"parameter": fault},
        cases=outcome.n_cases,
        failed=len(outcome.failures),
        seconds=round(outcome.seconds),
    )
    _replace([row | {"campaign": f"put back, {outcome.campaign}"}])


def _row(outcome: Outcome, cell: dict[str, str], *, cases: int, failed: int, seconds: object = "") -> dict[str, Any]:
    counts = {"cases": cases, "failed": failed, "seconds": seconds, "seed": outcome.seed}
    return {"campaign": outcome.campaign, **cell, **counts, "commit": _commit(), **provenance()}


def _replace(rows: list[dict[str, Any]]) -> None:
    """Put rows in place of what the file has of the same campaign; of the same fault, where one was put back."""
    fault = rows[0]["parameter"]
    kept = [
        row for row in _rows() if row["campaign"] != rows[0]["campaign"] or (fault != "*" and row["parameter"] != fault)
    ]
    columns = list(dict.fromkeys(name for row in [*kept, *rows] for name in row))
    RESULTS.mkdir(exist_ok=True)
    with open(FILE, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *rows])


def _rows() -> list[dict[str, str]]:
    if not FILE.exists():
        return []
    with open(FILE, newline="") as file:
        return list(csv.DictReader(file))


def _commit() -> str:
    """The commit that was tested, with a + if files differ from it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True, cwd=RESULTS
    )
    return said.stdout.strip() or "unknown"
