"""data/evidence/schemes.json: every scheme, what it says of every finding, and our grades beside it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation import store
from evaluation.errors import DataError
from evaluation.evidence.grading import Grade
from evaluation.evidence.rubric import BEST
from evaluation.evidence.schemes import SCHEMES
from evaluation.evidence.schemes.consistency import ASSERTIONS, require_consistent
from evaluation.evidence.schemes.core import EVERYWHERE, KINDS, Scheme, Verdict

VERSION = "1.0"
Verdicts = Mapping[str, Mapping[str, Verdict]]


def document(grades: Mapping[str, Grade], verdicts: Verdicts) -> dict[str, Any]:
    """Everything in schemes.json, as plain data.

    Args:
        grades: record id -> grade.
        verdicts: record id -> scheme id -> verdict, of the same records.

    Raises:
        ParametersError: a grade contradicts a verdict.
    """
    require_consistent(grades, verdicts)
    return {
        "schema_version": VERSION,
        "schemes": [_scheme(scheme) for scheme in SCHEMES],
        "kinds": {kind: dict(words) for kind, words in KINDS.items()},
        "assertions": [{"id": each.id, "scheme": each.scheme, "fr": each.fr, "en": each.en} for each in ASSERTIONS],
        "crosswalk": crosswalk(grades, verdicts),
        "verdicts": {
            name: {scheme: found.as_dict() for scheme, found in verdicts[name].items()} for name in sorted(verdicts)
        },
    }


def crosswalk(grades: Mapping[str, Grade], verdicts: Verdicts) -> list[dict[str, Any]]:
    """How many findings of each of our grades have each rating of each scheme; only what occurs, best first.

    Args:
        grades: record id -> grade.
        verdicts: record id -> scheme id -> verdict, of the same records.

    Returns:
        Rows with scheme, grade, rating, findings.
    """
    counted = Counter(
        (scheme, grades[name].value, found.rating) for name in verdicts for scheme, found in verdicts[name].items()
    )
    return [
        {"scheme": scheme.id, "grade": grade, "rating": rating, "findings": counted[scheme.id, grade, rating]}
        for scheme in SCHEMES
        for grade in range(BEST, -1, -1)
        for rating in (*scheme.ratings, *EVERYWHERE)
        if (scheme.id, grade, rating) in counted
    ]


def write(grades: Mapping[str, Grade], verdicts: Verdicts) -> Path:
    """Write data/evidence/schemes.json; return its path."""
    file = _file()
    store.write_json(file, document(grades, verdicts))
    return file


def read() -> dict[str, Any]:
    """What schemes.json holds.

    Raises:
        StaleError: it was never written.
        DataError: it is of another version.
    """
    data = store.read_json(_file())
    found = data.get("schema_version") if isinstance(data, dict) else None
    if found != VERSION:
        raise DataError(
            code="E-EVI-072",
            what="The verdicts of other schemes are of another version.",
            where="data/evidence/schemes.json",
            found=str(found),
            expected=VERSION,
            fix="run the evidence stage again",
        )
    return dict(data)


def _scheme(scheme: Scheme) -> dict[str, Any]:
    names = ("id", "fr", "en", "short", "publisher", "address", "left_out_fr", "left_out_en")
    return {
        **{name: getattr(scheme, name) for name in names},
        "ratings": [
            {"code": each.code, "rank": each.rank, "fr": each.fr, "en": each.en}
            for each in (*scheme.ratings.values(), *EVERYWHERE.values())
        ],
        "rules": [
            {"id": each.id, "kind": each.kind, "cite": each.cite, "fr": each.fr, "en": each.en}
            for each in scheme.rules.values()
        ],
    }


def _file() -> Path:
    return store.path("data", "evidence", "schemes.json")
