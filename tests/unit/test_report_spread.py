"""Figures of diffusion: what they show, in both languages, and what they say to those who do not see them."""

import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import diffusion_tables, figures
from evaluation.report.locale import Lang

SERIES = {
    "label_fr": "Prêts",
    "label_en": "Loans",
    "points": [
        {"at": 2019.5, "value": 19_179, "fitted": True},
        {"at": 2020.5, "value": 30_000, "fitted": False},
        {"at": 2023.5, "value": 20_000, "fitted": True},
    ],
    "best": "bass",
    "ceiling": {
        "estimate": 19_700.0,
        "low": 18_900.0,
        "high": 20_700.0,
        "identified": True,
        "why_fr": "",
        "why_en": "",
    },
    "potential": {"value": 100_000},
    "fan": {
        "at": [2024.5, 2025.5],
        "low": [18_000.0, 18_100],
        "inner_low": [19_000.0, 19_100],
        "median": [19_700.0, 19_700],
        "inner_high": [20_200.0, 20_300],
        "high": [21_000.0, 21_100],
        "curve_at": [2019.5, 2025.5],
        "curve": [19_000.0, 19_700],
    },
}
FUNNEL = {
    "steps": [
        {"name_fr": "besoin", "name_en": "need", "value": 130_000, "bound": "exact"},
        {"name_fr": "informées", "name_en": "informed", "value": None, "bound": ""},
        {"name_fr": "commencé", "name_en": "took it up", "value": 10_000, "bound": "upper"},
    ]
}


def chart(lang: Lang, series: dict = SERIES, needs: list[tuple[str, float]] | None = None):
    lines = diffusion_tables.lines(series, lang, needs or [])
    tables = diffusion_tables.points(series), diffusion_tables.fan(series), diffusion_tables.curve(series), lines
    return figures.fan_chart(*tables, "prêts par an" if lang == "fr" else "loans a year", lang, caution="Attention.")


def test_the_fan_says_figures_range_potential_and_caution() -> None:
    text = figures.alt(chart("fr"))
    assert "dernier chiffre 20\u202f000 en 2023" in text
    assert "de 18\u202f100 à 21\u202f100 attendus en 2025" in text
    assert "plafond ajusté\u00a0: 19\u202f700" in text
    assert "potentiel annoncé\u00a0: 100\u202f000" in text
    assert text.endswith("Attention.")
    assert "18,100 to 21,100 expected in 2025" in figures.alt(chart("en"))


def test_a_need_far_above_changes_the_scale_and_a_near_line_does_not() -> None:
    assert chart("en").axes[0].get_yscale() == "linear"
    assert chart("en", needs=[("clients", 4.1e6)]).axes[0].get_yscale() == "log"


def test_a_ceiling_that_is_not_identified_is_never_drawn() -> None:
    open_end = {**SERIES, "ceiling": {**SERIES["ceiling"], "identified": False}, "potential": None}
    assert diffusion_tables.lines(open_end, "en").empty


def test_without_a_forecast_the_figures_stand_alone() -> None:
    alone = {**SERIES, "fan": None, "potential": None, "ceiling": {**SERIES["ceiling"], "identified": False}}
    text = figures.alt(chart("en", alone))
    assert "last figure 20,000 in 2023" in text
    assert "expected" not in text
    last_out = {**alone, "points": [*SERIES["points"], {"at": 2024.5, "value": 5, "fitted": False}]}
    assert "last figure 5 in 2024 (in no fit)" in figures.alt(chart("en", last_out))


def test_the_same_figure_is_the_same_text() -> None:
    assert figures.svg(chart("fr")) == figures.svg(chart("fr"))


def test_the_funnel_hatches_what_nobody_counted() -> None:
    figure = figures.scale_funnel(diffusion_tables.funnel(FUNNEL, "fr"), "fr")
    assert figures.alt(figure).endswith(
        "besoin\u00a0: 130\u202f000\u202f; informées\u00a0: non compté\u202f; commencé\u00a0: moins de 10\u202f000."
    )
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == [None, None, "////"]
    assert "fewer than 10,000" in figures.alt(figures.scale_funnel(diffusion_tables.funnel(FUNNEL, "en"), "en"))


def test_tables_that_lack_a_column_are_refused() -> None:
    with pytest.raises(InternalError, match="scale_funnel"):
        figures.scale_funnel(pd.DataFrame({"label": ["a"]}), "fr")


def test_ceilings_and_lessons_as_tables() -> None:
    (row,) = diffusion_tables.ceilings([SERIES], "en").to_dict("records")
    assert (row["series"], row["figures"], row["estimate"], row["potential"]) == ("Loans", 2, 19_700, 100_000)
    data = {
        "lessons": [
            {
                "feature": "channel",
                "value": "state",
                "cases": ["a", "b"],
                "reached": 1,
                "scale_known": 2,
                "effect_known": 0,
            }
        ]
    }
    assert diffusion_tables.lessons(data)["reached scale"].tolist() == ["1 / 2"]
    empty = {
        "series": {"a": {"figures": 0}},
        "all": {"figures": 1, "errors": {"curves": 0.1}, "inside": 1, "winner": "curves"},
    }
    assert diffusion_tables.validation(empty)["winner"].dropna().tolist() == ["curves"]
