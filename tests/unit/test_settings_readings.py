"""What people read, and how studies were looked for: what cannot be is refused, by name."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from evaluation.errors import ProblemsError
from evaluation.settings.portfolio import Portfolio, read_portfolio
from evaluation.settings.readings import FILE, Readings, read_readings

ONE = {
    "finding": "a", "check": "measurement.source", "value": 0, "date": "2026-12-01", "rater": "ann", "passage": "p. 3"
}  # fmt: skip
SEARCH: dict[str, Any] = {
    "difficulty": "mobility",
    "question_fr": "Q ?",
    "question_en": "Q?",
    "inclusion_fr": "I",
    "inclusion_en": "I",
    "written_on": "2026-11-01",
    "sources": [
        {"name": "HAL", "searched_on": "2026-11-02", "words": "mobilité emploi", "found": 30},
        {"name": "EconLit", "searched_on": "2026-11-03", "words": "mobility", "found": 12},
    ],
    "flow": {
        "found": 42,
        "duplicates": 2,
        "screened": 40,
        "excluded": [{"reason_fr": "sans comparaison", "reason_en": "no comparison", "number": 33}],
        "included": 7,
    },
}


def _refused(code: str, **content: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Readings.model_validate(content)
    assert code in str(caught.value)


def test_the_shipped_file_claims_neither_ratings_nor_searches(repository: Path) -> None:
    read = read_readings(read_portfolio(repository), repository)
    assert (read.ratings, read.resolutions, read.searches) == ((), (), ())


@pytest.mark.parametrize(
    ("check", "value"), [("measurement.source", 4), ("registration.plan", 0.5), ("interference.displacement", 1.2)]
)
def test_values_that_no_reading_has(check: str, value: float) -> None:
    _refused("E-SET-330", ratings=[ONE | {"check": check, "value": value}])


def test_categories_of_shares() -> None:
    shares = [0.0, 0.05, 0.06, 0.15, 0.4]
    rows = [ONE | {"check": "interference.displacement", "value": s, "finding": f"f{k}"} for k, s in enumerate(shares)]
    assert [row.category for row in Readings.model_validate({"ratings": rows}).ratings] == [0, 0, 1, 1, 2]


def test_a_flow_that_does_not_add_up() -> None:
    _refused("E-SET-331", searches=[SEARCH | {"flow": SEARCH["flow"] | {"included": 8}}])
    _refused("E-SET-331", searches=[SEARCH | {"flow": SEARCH["flow"] | {"duplicates": 3}}])


def test_a_protocol_comes_first() -> None:
    _refused("E-SET-332", searches=[SEARCH | {"written_on": "2026-11-03"}])
    assert Readings.model_validate({"searches": [SEARCH]}).searches[0].flow is not None


def test_a_flow_begins_with_the_sources() -> None:
    _refused("E-SET-333", searches=[SEARCH | {"sources": SEARCH["sources"][:1]}])


def test_nothing_is_said_twice() -> None:
    _refused("E-SET-334", ratings=[ONE, ONE])
    _refused("E-SET-334", ratings=[ONE | {"rater": name} for name in ("ann", "ben", "cid")])
    _refused("E-SET-334", searches=[SEARCH, SEARCH])


def test_a_resolution_settles_a_difference() -> None:
    settled = {name: ONE[name] for name in ("finding", "check", "value", "date")} | {"reason": "table 2"}
    _refused("E-SET-335", ratings=[ONE, ONE | {"rater": "ben"}], resolutions=[settled])
    kept = Readings.model_validate({"ratings": [ONE, ONE | {"rater": "ben", "value": 1}], "resolutions": [settled]})
    assert kept.resolution("a", "measurement.source") is not None


def test_ids_of_the_portfolio(tmp_path: Path, repository: Path) -> None:
    portfolio: Portfolio = read_portfolio(repository)
    claim = next(row.id for row in portfolio.findings if row.estimate_kind == "claim")
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_text(
        f"ratings:\n- {{finding: {claim}, check: measurement.source, value: 0, date: '2026-12-01', rater: ann, "
        "passage: p}\nresolutions: []\nsearches: []\n",
        encoding="utf-8",
    )
    with pytest.raises(ProblemsError) as caught:
        read_readings(portfolio, tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["E-SET-336"]
