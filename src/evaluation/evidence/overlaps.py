"""Findings that rest on the same people: duplicates, shared samples, suspicions. They are never pooled as if apart.

Certain: the portfolio gives them one `sample_group`, or two evaluations read the same table. Suspected: one innovation,
one outcome, the same number of treated units. Duplicate: the same estimate and error for one outcome of one innovation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from evaluation.evidence.eligibility import Entry, LeftOut
from evaluation.evidence.record import Record

Kind = Literal["duplicate", "same_people", "suspected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two findings that are not independent.

    Attributes:
        kind: duplicate, same_people or suspected.
        first, second: ids of the records.
    """

    kind: Kind
    first: str
    second: str


def find_overlaps(records: Sequence[Record]) -> tuple[Overlap, ...]:
    """All pairs of findings that are duplicates, share people, or seem to, sorted by ids."""
    pairs = combinations(sorted(records, key=lambda record: record.id), 2)
    found = [(_kind(first, second), first, second) for first, second in pairs]
    return tuple(Overlap(kind=kind, first=first.id, second=second.id) for kind, first, second in found if kind)


def independent(chosen: Sequence[Entry], overlaps: Iterable[Overlap]) -> tuple[tuple[Entry, ...], tuple[LeftOut, ...]]:
    """One finding of each set of people: the best grade, then the longest horizon, then the smallest error.

    Args:
        chosen: findings about one outcome.
        overlaps: see `find_overlaps`.
    """
    by_pair = {frozenset((pair.first, pair.second)): pair.kind for pair in overlaps}
    kept: list[Entry] = []
    left: list[LeftOut] = []
    for entry in sorted(chosen, key=_preference):
        other = next((used for used in kept if frozenset((used.id, entry.id)) in by_pair), None)
        if other is None:
            kept.append(entry)
        else:
            left.append(LeftOut(id=entry.id, code=by_pair[frozenset((other.id, entry.id))], other=other.id))
    return tuple(sorted(kept, key=lambda entry: entry.id)), tuple(sorted(left, key=lambda item: item.id))


def samples(records: Sequence[Record], overlaps: Iterable[Overlap]) -> Mapping[str, int]:
    """Record id -> number of its set of people: findings linked by an overlap, directly or not, have the same."""
    root = {record.id: record.id for record in records}

    def top(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for pair in overlaps:
        first, second = sorted((top(pair.first), top(pair.second)))
        root[second] = first
    tops = sorted({top(name) for name in root})
    return {name: tops.index(top(name)) for name in sorted(root)}


def _preference(entry: Entry) -> tuple[int, float, float, str]:
    return -entry.grade, -(entry.horizon_months or 0.0), entry.std_error, entry.id


def _kind(first: Record, second: Record) -> Kind | None:
    same_outcome = first.innovation == second.innovation and first.outcome.name == second.outcome.name
    if same_outcome and _numbers(first) is not None and _numbers(first) == _numbers(second):
        return "duplicate"
    if _tables(first) & _tables(second) or _same_group(first, second):
        return "same_people"
    treated = first.sample.treated_units
    if same_outcome and treated is not None and treated == second.sample.treated_units:
        return "suspected"
    return None


def _same_group(first: Record, second: Record) -> bool:
    group = first.source.sample_group
    return group is not None and group == second.source.sample_group


def _numbers(record: Record) -> tuple[float, float] | None:
    head = record.headline
    return None if head.estimate is None or head.std_error is None else (head.estimate, head.std_error)


def _tables(record: Record) -> frozenset[str]:
    """The data files or package tables of an estimated finding."""
    return frozenset(part.strip() for part in (record.source.data or "").split(";") if part.strip())
