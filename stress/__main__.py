"""``python -m stress``: run campaigns, or a single case again; the counts go to benchmarks/results/stress.csv."""

import argparse
import os
import sys

os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from stress._frame import campaigns, run
from stress._results import record, record_found
from stress.faults import FAULTS, search_for


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=campaigns(), default=[*campaigns()])
    parser.add_argument("--budget", metavar="SECONDS", type=float, default=float("inf"), help="for each campaign")
    parser.add_argument("--cases", type=int, help="of each campaign; without either, as many as it says itself")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--replay", metavar="NUMBER", type=int, help="run this case alone; nothing is recorded")
    parser.add_argument("--put-back", action="store_true", help="put each mended fault back: is it found?")
    options = parser.parse_args()
    if options.put_back:
        return put_back(options)
    failures = 0
    for name in options.only:
        if options.replay is not None:
            outcome = run(name, seed=options.seed, first=options.replay, cases=1, verbose=True)
        else:
            outcome = run(
                name,
                seed=options.seed,
                first=options.first,
                cases=options.cases,
                seconds=options.budget,
                verbose=True,
            )
            record(outcome)
        failures += len(outcome.failures)
        print(
            f"{name}: {outcome.n_cases} cases of {len(outcome.cells)} cells in {outcome.seconds:.0f} s, "
            f"{len(outcome.failures)} failed"
        )
    return int(failures > 0)


def put_back(options: argparse.Namespace) -> int:
    """Put each mended fault back, and look for it with the campaign that guards against it."""
    missed = 0
    for fault in FAULTS:
        if fault.campaign not in options.only:
            continue
        found, outcome = search_for(fault, seed=options.seed, seconds=options.budget, cases=options.cases)
        missed += not found
        record_found(fault.name, outcome)
        print(
            f"{fault.name}: {'found' if found else 'NOT FOUND'} after {outcome.n_cases} cases: {found or '-'}",
            flush=True,
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
