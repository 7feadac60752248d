"""The tests that need a card: how many passed, failed and were skipped."""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks.gpu._card import Rows, Sizes, write

MARKER = "cuda"


def measure(device: str, sizes: Sizes) -> Rows:  # noqa: ARG001
    """On a device other than a card, all are skipped."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", MARKER, "tests/vit", f"--junitxml={report}"]
        subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
        cases = ElementTree.parse(report).getroot().iter("testcase")
        rows = [{"what": case.get("name"), "outcome": outcome(case)} for case in cases]
    failed = [row["what"] for row in rows if row["outcome"] not in ("passed", "skipped")]
    if failed:
        sys.exit(f"failed: {', '.join(map(str, failed))}")
    return rows


def outcome(case: ElementTree.Element) -> str:
    return next((kind for kind in ("failure", "error", "skipped") if case.find(kind) is not None), "passed")


if __name__ == "__main__":
    write("tests", measure)
