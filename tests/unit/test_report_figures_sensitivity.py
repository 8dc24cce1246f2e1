"""Figures of what would overturn a finding: what they draw, and what they say without being seen."""

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.impact.overturn import found, frame, missing
from evaluation.report import figures, sensitivity_figures

MEASURES = frame(
    [
        found("hidden_factor", 0.8, benchmark=1.0, benchmark_name="age", judged=True),
        found("hidden_share", 0.2, "lose_significance", benchmark=0.05, benchmark_name="age"),
        found("risk_ratio", 2.0),
        missing("lost_people", "nobody was lost"),
    ]
)
CURVE = pd.DataFrame({"gamma": [1.0, 1.5, 2.0], "p_value": [0.001, 0.04, 0.2]})


def test_bars_are_multiples_of_what_is_known_and_start_at_one() -> None:
    figure = sensitivity_figures.overturn_bars(MEASURES, "en")
    bars = figure.axes[0].patches
    assert [round(bar.get_x() + bar.get_width(), 6) for bar in bars] == [0.8, 4.0]  # .8 / 1 and .2 / .05
    assert {bar.get_x() for bar in bars} == {1.0}
    assert figures.alt(figure) == (
        "What it would take to overturn the result, times what is known: Hidden factor (no effect): 0.8; "
        "Hidden factor (share explained) (not told apart from chance): 4."
    )


def test_without_anything_known_there_are_no_bars() -> None:
    with pytest.raises(InternalError):
        sensitivity_figures.overturn_bars(MEASURES[MEASURES["benchmark"].isna()])


def test_the_curve_says_where_it_reaches_the_level() -> None:
    assert "5% is reached at 2." in figures.alt(sensitivity_figures.gamma_curve(CURVE, "en"))
    assert "atteint à non connu" in figures.alt(sensitivity_figures.gamma_curve(CURVE.head(2), "fr"))


def test_a_finding_has_the_figures_of_its_design() -> None:
    assert len(sensitivity_figures.credibility({"sensitivity": MEASURES, "gamma_curve": CURVE})) == 2
    assert sensitivity_figures.credibility({"sensitivity": frame([missing("lost_people", "nobody")])}) == []


def test_the_table_has_both_languages() -> None:
    table = sensitivity_figures.sentence_table(MEASURES)
    assert table["fr"].str.endswith(".").all()
    assert table["en"].str.endswith(".").all()
    assert len(table) == len(MEASURES)
