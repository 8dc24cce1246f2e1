"""Schemes that others publish, each computed from the same record by its own rules.

A foreign verdict never enters a grade. It lets a funder who knows another scale read ours, and it checks ours: what no
difference of view explains is an error (`consistency`).
"""

from collections.abc import Iterable, Mapping

from evaluation.evidence.record import Record
from evaluation.evidence.schemes import (
    eef,
    eif,
    essa,
    grade_certainty,
    has,
    maryland,
    nesta,
    results_first,
    what_works_clearinghouse,
)
from evaluation.evidence.schemes.core import CANNOT_BE_JUDGED, NOT_COVERED, Scheme, Verdict, verdict
from evaluation.evidence.schemes.reading import Reading

__all__ = ["CANNOT_BE_JUDGED", "NOT_COVERED", "SCHEMES", "Scheme", "Verdict", "verdicts", "verdicts_of_all"]

SCHEMES: tuple[Scheme, ...] = (
    what_works_clearinghouse.SCHEME,
    essa.SCHEME,
    maryland.SCHEME,
    eef.PADLOCKS,
    eef.MONTHS,
    grade_certainty.SCHEME,
    nesta.SCHEME,
    eif.SCHEME,
    has.SCHEME,
    results_first.SCHEME,
)


def verdicts(record: Record) -> dict[str, Verdict]:
    """What each scheme says about one finding, by the id of the scheme."""
    reading = Reading(record)
    return {scheme.id: verdict(scheme, reading) for scheme in SCHEMES}


def verdicts_of_all(records: Iterable[Record]) -> Mapping[str, Mapping[str, Verdict]]:
    """Verdicts by the id of the record and of the scheme, sorted by record."""
    return {record.id: verdicts(record) for record in sorted(records, key=lambda record: record.id)}
