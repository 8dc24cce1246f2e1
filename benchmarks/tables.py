"""What was found, as a table: in the terminal after each race, as Markdown at the end."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from importlib import metadata

from contest import Entry, Result, Verdict
from races import ABSOLUTE

HEADER = ("program", "median s", "min-max s", "CPU s", "times ours", "CPU times ours", "peak MB", "work MB", "numbers")
LEFT = (0, 8)  # columns of text
IMPORT_TARGET = 0.3
PACKAGES = (
    "numpy", "pandas", "scipy", "diff-diff", "csdid", "moderndid", "differences", "pyfixest", "linearmodels",
    "wildboottest", "scikit-learn", "numba",
)  # fmt: skip
MEASURES = {
    "estimate": "estimates",
    "std_error": "errors",
    "all_counted_error": "errors",
    "drawn_error": "errors by draws",
    "statistic": "t",
    "p_value": "p",
}


def lines(result: Result) -> Iterator[str]:
    """The race for a terminal."""
    rows = [HEADER, *(cells(result, entry) for entry in result.entries)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEADER))]
    yield f"\n{result.race.name}: {result.race.title}"
    for row in rows:
        padded = [
            text.ljust(width) if k in LEFT else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  " + "  ".join(padded).rstrip()
    yield from (f"  {text}" for text in [*verdicts(result), *notes(result)])


def markdown(result: Result) -> Iterator[str]:
    """The race for a page."""
    yield f"\n### {result.race.title}\n"
    yield from markdown_rows([HEADER, *(cells(result, entry) for entry in result.entries)])
    yield ""
    yield from (f"- {text}" for text in [*verdicts(result), *notes(result)])


def markdown_rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table whose first row is the header."""
    header, *body = rows
    yield "| " + " | ".join(header) + " |"
    yield "|" + "|".join("---" if k in LEFT else "---:" for k in range(len(header))) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in body)


def cells(result: Result, entry: Entry) -> tuple[str, ...]:
    """One program's row."""
    name, blank = entry.contender.name, [""] * (len(HEADER) - 2)
    if entry.pairs is None:
        return (name, *blank, entry.failure)
    main = entry is result.entries[0]
    wall = entry.pairs.wall
    return (
        name,
        seconds(statistics.median(wall)),
        "one run, cold" if entry.only_once else f"{seconds(min(wall))}-{seconds(max(wall))}",
        seconds(statistics.median(entry.pairs.cpu)),
        "" if main else f"{entry.pairs.times_slower:.2f}",
        "" if main else f"{entry.pairs.times_more_work:.2f}",
        f"{entry.first.peak:.0f}" if entry.first and entry.first.peak else "",
        f"{entry.first.peak - entry.first.before:.0f}" if entry.first and entry.first.before else "",
        "" if main else numbers(entry),
    )


def numbers(entry: Entry) -> str:
    """Gaps to our numbers and whether they are allowed."""
    parts = [f"{MEASURES[name]} {gap:.0e}" + ("" if name in ABSOLUTE else " rel.") for name, gap in entry.gaps.items()]
    limits = [f"{entry.contender.tolerance(name):.0e}" for name in entry.gaps]
    said = "DIFFER" if entry.differing else "equal"
    missing = f"; {entry.missing} of ours missing" if entry.missing else ""
    return f"{said}: {', '.join(parts)} (allowed {', '.join(limits)}){missing}"


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.4f}"


def verdicts(result: Result) -> Iterator[str]:
    """What was asked of us beside what was found."""
    for verdict in result.verdicts():
        yield speed(verdict)
        if verdict.memory is not None and verdict.memory_target is not None:
            met = "met" if verdict.memory <= verdict.memory_target else "MISSED"
            found = f"{verdict.who}: {verdict.memory:.2f} of the peak memory of {verdict.peer}"
            yield f"{found}; target <= {verdict.memory_target:g}: {met}"


def speed(verdict: Verdict) -> str:
    """How many times as fast as the fastest peer."""
    if verdict.at_least:
        found = f"{verdict.who}: more than {verdict.times:.1f} times as fast as any peer: none finished"
    else:
        found = f"{verdict.who}: {verdict.times:.1f} times as fast as {verdict.peer}, the fastest peer"
    if verdict.target is None:
        return found
    return f"{found}; target >= {verdict.target:g}: {'met' if verdict.times >= verdict.target else 'MISSED'}"


def notes(result: Result) -> Iterator[str]:
    """Why something is judged otherwise."""
    for entry in result.entries:
        if entry.contender.why:
            yield f"{entry.contender.name}: {entry.contender.why}"


def imports(medians: dict[str, list[float]]) -> Iterator[str]:
    """Seconds of a new interpreter."""
    for name, walls in medians.items():
        median = statistics.median(walls)
        asked = f"; target <= {IMPORT_TARGET} s: {'met' if median <= IMPORT_TARGET else 'MISSED'}"
        yield (
            f"`{name}` in a new interpreter: {seconds(median)} s ({seconds(min(walls))}-{seconds(max(walls))})"
            f"{asked if name == 'import evaluation' else ''}"
        )


def environment() -> list[str]:
    """Machine and versions, in two lines."""
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as cores")
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} (not installed)")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return [f"{machine}, BLAS threads: {threads}, the same for all programs", ", ".join(found)]
