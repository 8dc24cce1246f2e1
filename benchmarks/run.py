"""Race our estimators against their peers: `python3 run.py bench`.

The numbers are compared first; then programs run in turns, ours before each run of a peer, each in its own process.
The exit code is 1 if a peer's numbers differ from ours or ours fail.
"""

from __future__ import annotations

import argparse
import os
import sys

import tables
from contest import Contest, Result
from measure import of_import
from races import races

IMPORTS = ("evaluation", "evaluation.impact.did", "diff_diff")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    """Print a table after each race, and with `--markdown` a page at the end."""
    options = parsed()
    if options.threads:
        os.environ |= dict.fromkeys(THREADS, str(options.threads))
    chosen = [race for race in races(quick=options.quick, largest=options.largest) if options.only in race.name]
    if options.list:
        print(*(f"{race.name}: {race.title}" for race in chosen), sep="\n")
        return 0
    print(*tables.environment(), sep="\n", file=sys.stderr)
    started = {} if options.only not in "import" else import_times(options.rounds)
    contest = Contest(rounds=options.rounds, box=options.box)
    results: list[Result] = []
    try:
        for race in chosen:
            results.append(contest.run(race))
            print(*tables.lines(results[-1]), sep="\n", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted: what follows is what was finished", file=sys.stderr)
    if options.markdown:
        print_page(started, results, options.date)
    return conclude(results)


def parsed() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python3 run.py bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs: whether everything works, no targets")
    parser.add_argument("--largest", action="store_true", help="also 1,000,000 units (needs 8 GB of memory)")
    parser.add_argument("--only", default="", metavar="TEXT", help="races whose name contains it, or import")
    parser.add_argument(
        "--rounds", type=int, default=5, metavar="N", help="runs of each program (default 5; quick ones x 3)"
    )
    parser.add_argument("--box", type=float, default=120.0, metavar="SECONDS", help="what a run may take (default 120)")
    parser.add_argument("--threads", type=int, metavar="N", help="BLAS threads of all programs (default: as they come)")
    parser.add_argument("--markdown", action="store_true", help="at the end, a page on standard output")
    parser.add_argument("--date", default="", help="what the page says when it was made")
    parser.add_argument("--list", action="store_true", help="names of the races, nothing else")
    return parser.parse_args()


def import_times(rounds: int) -> dict[str, list[float]]:
    """Seconds of new interpreters, printed as they come."""
    found = {f"import {module}": of_import(module, max(rounds, 5)) for module in IMPORTS}
    print("", *tables.imports(found), sep="\n", file=sys.stderr)
    return found


def print_page(started: dict[str, list[float]], results: list[Result], date: str) -> None:
    """Everything as Markdown, on standard output."""
    print("## Results" + (f", {date}" if date else ""))
    print("", *(f"- {line}" for line in [*tables.environment(), *tables.imports(started)]), sep="\n")
    for result in results:
        print(*tables.markdown(result), sep="\n")


def conclude(results: list[Result]) -> int:
    """Say which targets were missed or not judged, whose numbers differ, where ours failed; the last two end with 1."""
    missed = [result.race.name for result in results if any(verdict.missed for verdict in result.verdicts())]
    wrong = [
        f"{entry.contender.name} in {result.race.name}"
        for result in results
        for entry in result.entries
        if entry.differing or (entry.contender.ours and entry.failure)
    ]
    unjudged = [result.race.name for result in results if result.unjudged]
    for what, names in (
        ("targets missed", missed),
        ("targets without a peer to judge them by", unjudged),
        ("numbers differ, or ours failed", wrong),
    ):
        print(f"{what}: {', '.join(names) or 'none'}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
