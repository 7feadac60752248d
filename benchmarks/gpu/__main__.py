"""All that is measured on a GPU, in pieces under ten minutes; those that are done, on this card, are skipped.

``make gpu``, or ``python -m benchmarks.gpu``; a piece alone: ``python -m benchmarks.gpu speed``. Each writes its CSV,
``results/gpu_<piece>.csv``; to measure one anew, delete that.
"""

import argparse
import subprocess
import sys

from benchmarks.gpu._card import card, is_done

PIECES = {
    "tests": ["benchmarks.gpu.suite"],
    "speed": ["benchmarks.gpu.speed"],
    "speed_compiled": ["benchmarks.gpu.speed", "--compile"],
    "jacobian": ["benchmarks.gpu.jacobian"],
    "moments": ["benchmarks.gpu.moments"],
    "recipe": ["benchmarks.gpu.recipe"],
    "pickle": ["benchmarks.gpu.pickled"],
}
LIMIT = 600  # seconds


def run(piece: str) -> bool:
    """Whether a piece went through in time."""
    try:
        return subprocess.run([sys.executable, "-m", *PIECES[piece]], timeout=LIMIT).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"{piece}: not through after {LIMIT} s")
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pieces", nargs="*", help=f"some of {', '.join(PIECES)}; all if none is named")
    chosen = parser.parse_args().pieces or [*PIECES]
    unknown = sorted(set(chosen) - set(PIECES))
    if unknown:
        parser.error(f"{', '.join(unknown)} is none of {', '.join(PIECES)}")
    name, failed = card(), []
    for piece in chosen:
        if is_done(piece, name):
            print(f"{piece}: done before on {name}")
        elif not run(piece):
            failed.append(piece)
    if failed:
        sys.exit(f"not done: {', '.join(failed)}. The same command goes on with them.")


if __name__ == "__main__":
    main()
