"""The calibration card in the pages, and the figures of coverage and of the funnel."""

import dataclasses
import json
from typing import Any

import pandas as pd
import pytest
from markupsafe import escape

from evaluation.errors import InternalError
from evaluation.report import calibration_views, figures, locale
from evaluation.report.inputs import Inputs

RECORDS = {
    "trial": {"id": "trial", "kind": "effect", "design_class": "randomised"},
    "synthetic": {"id": "synthetic", "kind": "effect", "design_class": "synthetic_control"},
    "pooled": {"id": "pooled", "kind": "effect", "design_class": "meta_analysis"},
    "account": {"id": "account", "kind": "effect", "design_class": "account"},
    "claim": {"id": "claim", "kind": "claim", "design_class": "monitoring"},
}
GRADES = {
    name: {"value": value}
    for name, value in {"trial": 4, "synthetic": 1, "pooled": 1, "account": 0, "claim": 1}.items()
}


@pytest.fixture(scope="module")
def kept(repository):
    return json.loads((repository / "data" / "calibration" / "calibration.json").read_text(encoding="utf-8"))


@pytest.fixture
def shown(kept):
    def make(calibration: Any = kept) -> Inputs:
        needed: dict[str, Any] = {field.name: () for field in dataclasses.fields(Inputs)}
        return Inputs(**needed | {"records": RECORDS, "grades": GRADES, "calibration": calibration})

    return make


def test_the_card_says_how_often_with_date_seed_and_repetitions(shown, kept):
    lines = calibration_views.card(shown(), RECORDS["trial"], "en")
    row = next(row for row in kept["planted"]["worlds"]["W1"] if row["grade"] == 4)
    assert f"{100 * row['inclusive']:.1f}".rstrip("0").rstrip(".") + "%" in lines[0]
    assert "randomised trial, 800 people" in lines[1]
    assert f"({kept['computed']['designs']['trial']['repetitions']} repetitions" in lines[1]
    assert all(str(kept["seed"]) in line for line in lines[:2])


def test_the_card_in_french_has_french_numbers(shown):
    lines = calibration_views.card(shown(), RECORDS["trial"], "fr")
    assert "essai tiré au sort" in lines[1]
    assert "2\u202f000 portefeuilles" in lines[0]
    assert "%" in lines[0]
    assert "0." not in lines[0]


def test_designs_that_nobody_simulated_are_said_to_be_so(shown):
    lines = calibration_views.card(shown(), RECORDS["pooled"], "en")
    assert lines[1] == "No simulated study resembles this one; only the line of the grade applies."
    assert lines[-1].startswith("Real data:")  # comparisons of grade 1 exist


def test_what_no_check_sees_stands_on_the_card(shown, kept):
    lines = calibration_views.card(shown(), RECORDS["synthetic"], "en")
    row = kept["computed"]["designs"]["region-shock"]
    (hidden,) = [line for line in lines if line.startswith("What no check sees")]
    assert row["en"] in hidden
    assert f"{100 * row['inclusive']:.1f}".rstrip("0").rstrip(".") + "%" in hidden
    assert any("in which nothing rang, hidden errors included" in line for line in lines)


def test_what_claims_no_interval_has_no_coverage(shown):
    assert calibration_views.card(shown(), RECORDS["account"], "en") == [
        "A finding of grade 0 declares no interval; there is nothing to verify."
    ]
    assert calibration_views.card(shown(), RECORDS["claim"], "en") == []


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_proofs_show_what_fails_as_it_is(shown, kept, lang):
    view = calibration_views.proofs(shown(), lang)
    assert all(
        escape(locale.typography(row[lang], lang)) in view["designs"] for row in kept["computed"]["designs"].values()
    )
    assert view["real"].count("<tr>") == 1 + len(kept["within_study"]["comparisons"])
    assert view["grades"].count("<tr>") == 6


def test_before_a_run_there_is_nothing(shown):
    assert calibration_views.card(shown({}), RECORDS["trial"], "en") == []
    assert calibration_views.proofs(shown({}), "en") is None


def test_coverage_by_grade_tells_its_numbers():
    rows = pd.DataFrame({"grade": [5, 1], "conventional": [0.94, 0.72], "inclusive": [0.96, 0.987]})
    told = figures.alt(figures.coverage_by_grade(rows, "en"))
    assert "grade 1, usual interval 72%" in told.replace(":", "")
    assert "Simulated data" in told
    with pytest.raises(InternalError, match="E-REP-006"):
        figures.coverage_by_grade(rows.assign(grade=5), "en")


def test_the_funnel_counts_what_lies_outside():
    """Around .1: .1 ± .196 holds .2 but not .5 (standard error .1)."""
    rows = pd.DataFrame({"estimate": [0.2, 0.5], "std_error": [0.1, 0.1]})
    assert "outside the limits: 1" in figures.alt(figures.funnel(rows, 0.1, "en"))
    assert "hors des limites" in figures.alt(figures.funnel(rows, 0.1, "fr"))
