"""The grade of a programme: best finding, replication, contradiction, harm."""

from pathlib import Path
from typing import Any

import pytest

from evaluation.evidence import programme, published
from evaluation.evidence.record import Record
from evaluation.settings.portfolio import read_portfolio
from evaluation.settings.readings import Readings

OUTCOME = "employment"


@pytest.fixture(scope="module")
def pair(repository: Path) -> tuple[Record, Record]:
    """Two trials of one programme, made from one row: effect .1 (.02), 18 months, independent evaluators."""
    portfolio = read_portfolio(repository)
    row = next(row for row in portfolio.findings if row.design_class == "randomised" and row.estimate_kind == "effect")
    said = {
        "finding": row.id,
        "check": "independence.evaluator",
        "value": 0,
        "date": "2026-12-01",
        "rater": "ann",
        "passage": "p. 3",
    }
    plain = row.model_copy(update={"subgroup": False, "robustness": False})
    made = published.from_published(plain, portfolio, Readings.model_validate({"ratings": [said]}))
    outcome = made.outcome.model_copy(
        update={"name": OUTCOME, "better": "higher", "no_effect": 0.0, "smallest_effect": 0.05, "horizon_months": 18}
    )
    headline = made.headline.model_copy(
        update={"estimate": 0.1, "std_error": 0.02, "ci_low": 0.06, "ci_high": 0.14, "direction": "positive"}
    )
    first, second = (
        made.model_copy(update={"id": name, "innovation": "jobs", "outcome": outcome, "headline": headline})
        for name in ("a", "b")
    )
    return first, second


def _effect(
    *names: str, ends: tuple[float, float] | None = (0.05, 0.15), i_squared: float = 0.1, innovation: str = "jobs"
) -> dict[str, Any]:
    low, high = ends or (None, None)
    pooled = {"prediction": {"low": low, "high": high}, "heterogeneity": {"i_squared": i_squared}}
    return {
        "innovation": innovation,
        "outcome": OUTCOME,
        "findings": [{"id": name} for name in names],
        "pooled": pooled,
    }


def _graded(
    records: tuple[Record, ...], effect: dict[str, Any], **grades: int
) -> tuple[int, str | None, tuple[str, ...]]:
    levels = {record.id: 5 for record in records} | grades
    found = programme.programme_grade("jobs", records, levels, [effect])
    assert found is not None
    return found.value, found.replicated, found.reasons


def test_a_replicated_programme_keeps_its_best_grade(pair: tuple[Record, Record]) -> None:
    assert _graded(pair, _effect("a", "b")) == (5, OUTCOME, ())


def test_one_strong_finding_is_at_most_four(pair: tuple[Record, Record]) -> None:
    assert _graded(pair, _effect("a", "b"), b=3) == (4, None, ("one_finding",))
    assert _graded(pair[:1], _effect("a")) == (4, None, ("one_finding",))


def test_overlapping_samples_do_not_replicate(pair: tuple[Record, Record]) -> None:
    """The synthesis keeps one finding of each set of people; the other is not among its `findings`."""
    assert _graded(pair, _effect("a")) == (4, None, ("one_finding",))


def test_what_replication_asks_for_beside_two_findings(pair: tuple[Record, Record]) -> None:
    dependent = tuple(record.model_copy(update={"checks": ()}) for record in pair)
    assert _graded(dependent, _effect("a", "b")) == (4, None, ("not_independent",))
    early = tuple(
        record.model_copy(update={"outcome": record.outcome.model_copy(update={"horizon_months": 11})})
        for record in pair
    )
    assert _graded(early, _effect("a", "b")) == (4, None, ("not_sustained",))
    # Down to minus the smallest effect worth having (.05), the end not included.
    assert _graded(pair, _effect("a", "b", ends=(-0.05, 0.2))) == (4, None, ("not_predicted",))
    assert _graded(pair, _effect("a", "b", ends=(-0.049, 0.2))) == (5, OUTCOME, ())
    assert _graded(pair, _effect("a", "b", ends=None)) == (4, None, ("not_predicted",))


def test_the_unfavourable_side_depends_on_what_is_wanted(pair: tuple[Record, Record]) -> None:
    fewer = tuple(
        record.model_copy(
            update={
                "outcome": record.outcome.model_copy(update={"better": "lower"}),
                "headline": record.headline.model_copy(
                    update={"estimate": -0.1, "ci_low": -0.14, "ci_high": -0.06, "direction": "negative"}
                ),
            }
        )
        for record in pair
    )
    assert _graded(fewer, _effect("a", "b", ends=(-0.2, 0.04)))[0] == 5
    assert _graded(fewer, _effect("a", "b", ends=(-0.2, 0.06)))[0] == 4


def test_ratios_are_held_against_the_logarithm(pair: tuple[Record, Record]) -> None:
    """log 1.05 = .0488: a ratio that may fall to e^-.0489 in a new place is not safe, one that falls to e^-.0487 is."""
    for low, value in ((-0.0489, 4), (-0.0487, 5)):
        effect = _effect("a", "b", ends=(low, 0.2))
        effect["findings"] = [row | {"ratio": True} for row in effect["findings"]]
        assert _graded(pair, effect)[0] == value


def test_studies_that_contradict_each_other_cost_a_level(pair: tuple[Record, Record]) -> None:
    value, replicated, reasons = _graded(pair, _effect("a", "b", ends=(-0.01, 0.2), i_squared=0.6))
    assert (value, replicated, reasons) == (4, OUTCOME, ("inconsistent",))
    assert _graded(pair, _effect("a", "b", ends=(-0.01, 0.2), i_squared=0.5))[0] == 5


def test_a_strong_harmful_finding_caps_the_programme(pair: tuple[Record, Record]) -> None:
    headline = pair[1].headline.model_copy(
        update={"estimate": -0.1, "ci_low": -0.14, "ci_high": -0.06, "direction": "negative"}
    )
    harmed = (pair[0], pair[1].model_copy(update={"headline": headline}))
    assert _graded(harmed, _effect("a", "b"))[::2] == (2, ("harmful",))
    assert _graded(harmed, _effect("a", "b"), b=3)[0] == 4
    subgroup = harmed[1].model_copy(update={"source": harmed[1].source.model_copy(update={"subgroup": True})})
    assert _graded((harmed[0], subgroup), _effect("a"))[0] == 4


def test_weak_programmes_keep_their_grade_and_claims_have_none(pair: tuple[Record, Record]) -> None:
    assert _graded(pair, _effect("a", "b"), a=3, b=2) == (3, None, ())
    claim = pair[0].model_copy(update={"kind": "claim"})
    assert programme.programme_grade("jobs", [claim], {"a": 1}, []) is None
    assert programme.programme_grades([*pair, claim.model_copy(update={"innovation": "x"})], {"a": 4, "b": 4}, [])[
        0
    ].reasons == ("one_finding",)


def test_every_reason_is_said_in_both_languages() -> None:
    assert all(french.endswith(".") and english.endswith(".") for french, english in programme.REASONS.values())
