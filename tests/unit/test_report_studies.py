"""Which studies to fund first: the rule, its ties, what is said where nobody knows."""

import re
from typing import Any

import pytest

from evaluation.report import studies
from evaluation.report.inputs import STUDY, Inputs


def _inputs(**rows: dict[str, Any]) -> Inputs:
    """One innovation to test for each keyword: grade, useful (basis records), prior, value, in_france."""
    return Inputs(
        difficulties=[],
        innovations=[
            {
                "id": name,
                "label_fr": name,
                "label_en": name,
                "country": "Chile",
                "country_fr": "Chili",
                "in_france": row.get("in_france", False),
            }
            for name, row in rows.items()
        ],
        findings={},
        costs=[],
        benchmarks=[],
        records={},
        grades={},
        coverage=[],
        needs=[],
        decisions=[
            {
                "innovation": name,
                "decision": row.get("decision", "EXPERIMENTER"),
                "best_grade": row.get("grade", 3),
                "best_record": f"{name}-best",
            }
            for name, row in rows.items()
        ],
        local=[
            {"innovation": name, "territory": place, "value": {}, "learning": {"value": value}}
            for name, row in rows.items()
            for place, value in (("creil", row.get("value")), (STUDY, 1e9))
        ],
        synthesis={"effects": [effect for name, row in rows.items() for effect in _effects(name, row)]},
    )


def _effects(name: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    found = [("records", f"{name}-{record}", useful) for record, useful in row.get("useful", {}).items()]
    found += [("prior", "", row["prior"])] if "prior" in row else []
    return [
        {"innovation": name, "posterior": {"basis": basis, "records": [record], "useful": useful}}
        for basis, record, useful in found
    ]


def _order(**rows: dict[str, Any]) -> list[str]:
    return [study.innovation for study in studies.ranked(_inputs(**rows))]


def test_grade_comes_first_then_the_chance_then_the_name() -> None:
    assert _order(
        c={"grade": 3, "useful": {"best": 0.9}},
        b={"grade": 4, "useful": {"best": 0.6}},
        a={"grade": 4, "useful": {"best": 0.6}},
        d={"grade": 4, "useful": {"best": 0.8}},
    ) == ["d", "a", "b", "c"]


def test_a_known_value_of_the_test_comes_before_everything() -> None:
    assert _order(low={"grade": 5, "value": 10.0}, high={"grade": 1, "value": 900.0}, none={"grade": 5}) == [
        "high",
        "low",
        "none",
    ]


def test_the_place_of_the_study_lends_no_value() -> None:
    (study,) = studies.ranked(_inputs(a={}))
    assert study.value is None


def test_a_chance_that_nobody_could_compute_comes_last() -> None:
    assert _order(unknown={}, little={"prior": 0.01}) == ["little", "unknown"]


@pytest.mark.parametrize(
    ("row", "useful", "prior"),
    [
        ({"useful": {"best": 0.6, "other": 0.4}}, 0.6, False),
        ({"useful": {"one": 0.7, "other": 0.9}}, 0.7, False),
        ({"useful": {"one": 0.7}, "prior": 0.5}, 0.7, False),
        ({"prior": 0.54}, 0.54, True),
    ],
    ids=["the best finding", "else the lowest read", "read before prior", "the prior"],
)
def test_the_chance_is_that_of_the_best_finding_and_never_the_most_flattering(
    row: dict[str, Any], useful: float, prior: bool
) -> None:
    (study,) = studies.ranked(_inputs(a=row))
    assert (study.useful, study.prior) == (useful, prior)


def test_only_what_is_to_be_tested_is_ranked() -> None:
    assert _order(a={"decision": "REVOIR"}, b={}) == ["b"]


def test_those_of_france_follow_by_the_same_rule_and_the_reader_is_told_why() -> None:
    abroad = {name: {"grade": 4, "useful": {"best": 0.9}} for name in ("u", "v", "w")}
    inputs = _inputs(**abroad, home={"grade": 1, "prior": 0.54, "in_france": True}, far={"grade": 2})
    found = studies.worth_funding(inputs, "en")
    assert [line["id"] for line in found["first"]] == ["u", "v", "w"]
    assert [line["id"] for line in found["at_home"]] == ["home"]
    assert not found["any_at_home"]
    assert found["at_home"][0]["why"] == (
        "grade 1 of 5, 54% chance of being useful by the prior alone (no margin of error read)"
    )
    assert [line["where"].text for line in (*found["first"], *found["at_home"])] == ["Chile"] * 3 + ["France"]


def test_the_rule_says_whether_the_value_of_a_test_is_known() -> None:
    unknown, known = (studies.worth_funding(_inputs(a=row), "en")["rule"] for row in ({}, {"value": 5.0}))
    assert "not known yet" in unknown
    assert re.search("ranked by what the test is worth", known)
