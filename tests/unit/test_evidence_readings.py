"""Readings of people as checks, and how well two people agree."""

from pathlib import Path
from typing import Any

import pytest

from evaluation.evidence import grading, published, readings, rubric
from evaluation.settings.portfolio import read_portfolio
from evaluation.settings.readings import Readings

CHECK = "measurement.source"


def _rating(finding: str, rater: str, value: float, check: str = CHECK) -> dict[str, Any]:
    return {
        "finding": finding, "check": check, "value": value, "date": "2026-12-01", "rater": rater, "passage": "p. 3"
    }  # fmt: skip


def _read(*ratings: dict[str, Any], resolutions: tuple[dict[str, Any], ...] = ()) -> Readings:
    return Readings.model_validate({"ratings": ratings, "resolutions": resolutions})


def test_nobody_rated_nothing_is_checked() -> None:
    assert readings.checks_of("a", _read()) == []


def test_one_rating_counts_and_says_so() -> None:
    (check,) = readings.checks_of("a", _read(_rating("a", "ann", 1), _rating("b", "ann", 3)))
    assert (check["check"], check["value"], check["status"]) == (CHECK, 1, "measured")
    assert check["detail"].startswith("one rating: ann 2026-12-01: 1 (p. 3)")


def test_two_that_agree_count_with_the_worse_value() -> None:
    rows = [_rating("a", who, value, "interference.displacement") for who, value in (("ann", 0.06), ("ben", 0.12))]
    (check,) = readings.checks_of("a", _read(*rows))
    assert check["value"] == 0.12
    assert "two ratings that agree" in check["detail"]


def test_two_that_differ_count_once_they_are_settled() -> None:
    rows = [_rating("a", "ann", 0), _rating("a", "ben", 2)]
    (check,) = readings.checks_of("a", _read(*rows))
    assert check["status"] == "not_run"
    assert "value" not in check
    settled = {"finding": "a", "check": CHECK, "value": 1, "date": "2026-12-08", "reason": "page 12 says both"}
    (check,) = readings.checks_of("a", _read(*rows, resolutions=(settled,)))
    assert (check["value"], check["status"]) == (1, "measured")
    assert "page 12 says both" in check["detail"]


def test_kappa_is_chance_corrected() -> None:
    """20 of 50 both say 0, 15 both say 1, 5 and 10 differ: p_o = .7, p_e = .5 x .6 + .5 x .4 = .5, kappa = .4."""
    cells = {(0, 0): 20, (0, 1): 5, (1, 0): 10, (1, 1): 15}
    pairs = [pair for pair, number in cells.items() for _ in range(number)]
    rows = [_rating(f"f{k}", who, value) for k, pair in enumerate(pairs) for who, value in zip("ab", pair, strict=True)]
    found = {row["check"]: row for row in readings.agreement(_read(*rows))}[CHECK]
    assert found["kappa"] == pytest.approx(0.4, abs=1e-12)
    assert found["ci_low"] < 0.4 < found["ci_high"]
    assert (found["twice"], found["agreeing"], found["unsettled"], found["once"]) == (50, 35, 15, 0)


@pytest.mark.parametrize("pairs", [[], [(0, 1)], [(0, 0), (0, 0), (0, 0)]])
def test_kappa_says_nothing_where_it_can_say_nothing(pairs: list[tuple[int, int]]) -> None:
    rows = [_rating(f"f{k}", who, value) for k, pair in enumerate(pairs) for who, value in zip("ab", pair, strict=True)]
    found = {row["check"]: row for row in readings.agreement(_read(*rows))}[CHECK]
    assert (found["kappa"], found["ci_low"], found["ci_high"]) == (None, None, None)


def test_a_good_reading_never_lowers_a_grade_and_a_bad_one_never_raises_it(repository: Path) -> None:
    portfolio, rules = read_portfolio(repository), rubric.read(repository)
    row = next(row for row in portfolio.findings if row.design_class == "randomised" and row.estimate_kind == "effect")
    checks = [("measurement.source", (0, 3)), ("registration.plan", (0, 2)), ("independence.evaluator", (0, 2))]

    def grade(*rated: dict[str, Any]) -> int:
        return grading.grade(published.from_published(row, portfolio, _read(*rated)), rules).value

    before = grade()
    good = grade(*(_rating(row.id, "ann", values[0], check) for check, values in checks))
    bad = grade(*(_rating(row.id, "ann", values[1], check) for check, values in checks))
    assert bad <= before <= good
    assert bad < good


def test_overview_counts_findings_and_difficulties(repository: Path) -> None:
    portfolio = read_portfolio(repository)
    rateable = [row.id for row in portfolio.findings if row.estimate_kind in ("effect", "sign_only")]
    one, two = rateable[:2]
    found = readings.overview(portfolio, _read(_rating(one, "ann", 0), _rating(two, "ann", 0), _rating(two, "ben", 0)))
    assert found["findings"] == len(rateable)
    assert (found["one_rating"], found["two_ratings"]) == ([one], [two])
    assert set(found["searches"]) == {row.id for row in portfolio.difficulties}
    assert not any(found["searches"].values())
