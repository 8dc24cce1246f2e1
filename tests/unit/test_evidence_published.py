"""A row of the literature becomes a record that says what was read and nothing more."""

from collections import Counter
from types import SimpleNamespace
from typing import get_args

import pytest

from evaluation import store
from evaluation.errors import DataError
from evaluation.evidence import published, rubric
from evaluation.evidence.grading import grade, grade_all
from evaluation.evidence.record import DesignClass, read_all, write
from evaluation.settings.observations import Finding
from evaluation.settings.portfolio import read_portfolio


@pytest.fixture(scope="module")
def portfolio(repository):
    return read_portfolio(repository)


@pytest.fixture(scope="module")
def records(portfolio):
    return {record.id: record for record in published.from_portfolio(portfolio)}


@pytest.fixture(scope="module")
def grades(records, repository):
    return grade_all(records.values(), rubric.read(repository))


ROW = {
    "id": "small-loans-profit",
    "innovation": "small-loans",
    "difficulty": "banking",
    "country": "France",
    "country_fr": "France",
    "territory_kind": "mixed",
    "design": "RCT (individual)",
    "design_class": "randomised",
    "n": 961,
    "outcome": "profit",
    "outcome_fr": "bénéfice",
    "better": "higher",
    "horizon_months": 18.0,
    "estimate": 0.1,
    "std_error": 0.05,
    "ci_low": 0.002,
    "ci_high": 0.198,
    "no_effect": 0.0,
    "unit": "control-group SD",
    "unit_fr": "écart-type du groupe témoin",
    "unit_kind": "sd",
    "estimate_kind": "effect",
    "direction": "positive",
    "sample_group": "small-loans",
    "poolable": True,
    "subgroup": False,
    "robustness": False,
    "control_mean": None,
    "year": 2015,
    "cost_per_participant": None,
    "currency": None,
    "source_title": "Author 2015",
    "source_address": "https://example.org",
    "confidence": "seen",
    "provenance": "seen-text",
    "caution_en": None,
    "caution_fr": None,
    "note": "a note",
}
SOME_PORTFOLIO = SimpleNamespace(innovation=lambda _: SimpleNamespace(role="decision"))


def record_of(**changes):
    row = Finding.model_construct(**{**ROW, **changes})
    return published.from_published(row, SOME_PORTFOLIO)


def checks_of(record):
    return {check.check: (check.status, check.value) for check in record.checks}


# one row -------------------------------------------------------------------------------------------------------------


def test_an_effect_keeps_its_numbers_its_source_and_its_people():
    record = record_of()
    assert (record.kind, record.method, record.design_class, record.role) == (
        "effect",
        "experiment",
        "randomised",
        "decision",
    )
    headline = record.headline
    assert (headline.estimate, headline.std_error, headline.ci_low, headline.ci_high) == (0.1, 0.05, 0.002, 0.198)
    assert (record.source.citation, record.source.address) == ("Author 2015", "https://example.org")
    assert (record.source.confidence, record.source.provenance) == ("seen", "seen-text")
    assert (record.source.sample_group, record.source.poolable) == ("small-loans", True)
    assert (record.sample.units, record.outcome.horizon_months, record.territory_kind) == (961, 18, "mixed")
    assert record.notes == ("a note",)
    assert record.provenance.public is True


def test_power_is_computed_for_an_effect_in_standard_deviations():
    # 2.8 x 0.05 / 1 = 0.14
    assert checks_of(record_of())["precision.mdes_sd"] == ("measured", 0.14)


def test_power_is_computed_for_a_share_whose_level_was_read():
    # sqrt(.2 x .8) = .4; 2.8 x .02 / .4 = .14
    record = record_of(unit_kind="share", std_error=0.02, control_mean=0.2, ci_low=None, ci_high=None)
    assert checks_of(record)["precision.mdes_sd"] == ("measured", pytest.approx(0.14))


def test_an_interval_stands_for_a_standard_error():
    # (.198 - .002) / (2 x 1.959964) = .05; 2.8 x .05 = .14
    assert checks_of(record_of(std_error=None))["precision.mdes_sd"] == ("measured", pytest.approx(0.14, rel=1e-4))


@pytest.mark.parametrize(
    "changes",
    [
        {"std_error": None, "ci_low": None, "ci_high": None},
        {"unit_kind": "money"},
        {"unit_kind": "share", "control_mean": None},
        {"unit_kind": "share", "control_mean": 0.0},
        {"unit_kind": "ratio", "no_effect": 1.0},
    ],
)
def test_power_is_not_guessed(changes):
    assert checks_of(record_of(**changes))["precision.mdes_sd"] == ("not_run", None)


@pytest.mark.parametrize(
    ("confidence", "provenance", "code"),
    [
        ("seen", "seen-text", 0.0),
        ("computed", "computed-here", 0.0),
        ("seen", "seen-abstract", 1.0),
        ("seen", "seen-secondary", 1.0),
        ("recalled", "seen-abstract; estimate recalled", 2.0),
    ],
)
def test_where_a_figure_was_read_is_a_check(confidence, provenance, code):
    record = record_of(confidence=confidence, provenance=provenance)
    assert checks_of(record)["reporting.reading"] == ("measured", code)


def test_a_figure_without_margin_of_error_is_marked():
    assert checks_of(record_of())["reporting.uncertainty"] == ("measured", 0.0)
    bare = record_of(std_error=None, ci_low=None, ci_high=None)
    assert checks_of(bare)["reporting.uncertainty"] == ("measured", 1.0)


def test_clusters_are_not_in_question_where_persons_were_drawn():
    assert checks_of(record_of())["precision.clusters"] == ("not_applicable", None)
    assert "precision.clusters" not in checks_of(record_of(design_class="randomised_cluster"))


@pytest.mark.parametrize("kind", ["claim", "take_up", "level"])
def test_what_is_not_an_effect_never_becomes_one(kind):
    record = record_of(estimate_kind=kind, estimate=46.0, direction=None, std_error=None, design_class="monitoring")
    assert record.headline == type(record.headline)()
    assert (record.claim.value, record.claim.text_fr, record.claim.text_en) == (46.0, "bénéfice", "profit")
    assert record.checks == ()


def test_of_a_sign_only_the_direction_is_kept():
    record = record_of(estimate_kind="sign_only", estimate=None, std_error=None, ci_low=None, ci_high=None)
    assert record.headline.model_dump(exclude_none=True) == {"direction": "positive"}
    assert checks_of(record)["reporting.uncertainty"] == ("not_applicable", None)


def test_a_study_that_nobody_read_has_no_result():
    record = record_of(
        estimate_kind="not_read", estimate=None, std_error=None, direction=None, ci_low=None, ci_high=None
    )
    assert record.headline.model_dump(exclude_none=True) == {}


def test_a_cost_needs_its_currency():
    assert record_of(cost_per_participant=1000.0).cost is None
    assert record_of(cost_per_participant=1000.0, currency="EUR").cost.per_participant == 1000


def test_a_row_that_contradicts_itself_is_named():
    with pytest.raises(DataError, match="E-EVI-001") as caught:
        record_of(ci_low=0.3)
    assert "findings.csv, small-loans-profit" in str(caught.value)


def test_every_class_of_design_has_a_method():
    assert set(published.METHOD_OF) == set(get_args(DesignClass))


# all rows ------------------------------------------------------------------------------------------------------------


def test_all_rows_of_the_portfolio_become_records(portfolio, records):
    assert len(records) == len(portfolio.findings) == 135
    assert list(records) == sorted(records)


def test_no_claim_of_the_portfolio_has_an_estimate(records):
    others = [record for record in records.values() if record.kind != "effect"]
    assert {record.headline.estimate for record in others} == {None}
    assert all(record.headline.estimate is not None for record in records.values() if record.kind == "effect")


def test_records_of_the_portfolio_come_back_from_disk(records, project):
    project()
    for record in list(records.values())[:5]:
        write(record)
    assert list(read_all()) == list(records.values())[:5]


def test_two_readings_of_the_portfolio_give_the_same_bytes(portfolio, records):
    again = {record.id: record for record in published.from_portfolio(portfolio)}
    hashes = [store.sha256_json({name: record.as_dict() for name, record in some.items()}) for some in (records, again)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("finding", "value", "verdict"),
    [
        ("adie-social-return-2016", 1, "not_known"),  # a social return on investment without a counterfactual
        ("wimoov-back-in-work", 1, "not_known"),  # monitoring
        ("tous-en-stage-first-year", 0, "not_known"),  # result not read
        ("creajeunes-employment-income", 3, "sign_negative"),  # a lottery of which the sign was read
        ("ten-thousand-licences-permanent-job", 3, "sign_none"),
        ("year-up-earnings-year-2", 4, "positive"),
        ("year-up-earnings-year-0", 4, "harmful"),  # lock-in
        ("job-corps-earnings-year-20", 4, "inconclusive"),
        ("chez-soi-inpatient-days", 1, "positive"),  # a ratio below 1, recalled
        ("microcredit-profit-ethiopia", 3, "inconclusive"),  # 2.8 x .1117 = .313 SD: serious
        ("flam-child-portions", 1, "positive"),  # n = 64: could only see .69 SD
        ("aij-employed-8-months", 1, "sign_positive"),  # matching without a pretest of the outcome
    ],
)
def test_known_rows_are_graded_as_they_should(grades, finding, value, verdict):
    assert (grades[finding].value, grades[finding].verdict) == (value, verdict)


def test_what_is_not_a_read_effect_is_never_graded_above_one(records, grades):
    kinds = Counter()
    for record in records.values():
        if record.kind in ("claim", "take_up", "level", "not_read"):
            kinds[record.kind] += 1
            assert grades[record.id].value <= 1
    assert min(kinds.values()) >= 1


def test_no_published_finding_is_beyond_what_its_row_can_tell(records, grades):
    """No row tells everything, so none reaches 5; without a margin of error none reaches 4."""
    assert max(found.value for found in grades.values()) == 4
    bare = [
        record for record in records.values() if record.headline.std_error is None and record.headline.ci_low is None
    ]
    assert max(grades[record.id].value for record in bare) == 3


def test_the_grade_does_not_depend_on_what_the_effect_is(repository):
    scale = rubric.read(repository)
    values = {
        grade(record_of(estimate=sign * 0.1, ci_low=sign * 0.1 - 0.098, ci_high=sign * 0.1 + 0.098), scale).value
        for sign in (-1, 1)
    }
    assert values == {4}
