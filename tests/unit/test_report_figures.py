"""Figures: the same bytes each time, a text alternative from the numbers, nothing to load, nothing that runs."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import figures

PAYLOAD = "<script>alert(1)</script>"

EFFECTS = pd.DataFrame(
    {
        "term": ["att", *["event_time"] * 4, "territory", "territory", *["group_time"] * 4],
        "outcome": "wages",
        "event_time": [None, -2, -1, 0, 1, None, None, None, None, None, None],
        "cohort": [None] * 7 + [2004, 2004, 2006, 2006],
        "period": [None] * 7 + [2004, 2006, 2004, 2006],
        "territory": [None] * 5 + ["rural", PAYLOAD] + [None] * 4,
        "estimate": [0.5, 0.01, -0.02, 0.4, 0.6, 0.2, 0.7, 0.1, -0.2, 0.01, 0.3],
    }
).assign(
    ci_low=lambda table: table.estimate - 0.1,
    ci_high=lambda table: table.estimate + 0.1,
    band_low=lambda table: table.estimate - 0.15,
    band_high=lambda table: table.estimate + 0.15,
)
BALANCE = pd.DataFrame({"covariate": ["age", PAYLOAD], "smd_before": [-0.81, 0.3], "smd_after": [0.1, np.nan]})
MEANS = pd.DataFrame({"group": ["treated", "never"] * 2, "period": [1, 1, 2, 2], "mean": [4.0, 5.0, 7.0, 6.0]})
ROWS = pd.DataFrame(
    {"label": ["Nickel", PAYLOAD], "estimate": [0.17, 0.05], "ci_low": [0.1, None], "ci_high": [0.24, None]}
)

MAKERS: list[Callable[[figures.Lang], "figures.Figure"]] = [
    lambda lang: figures.event_study(EFFECTS, "euros", lang),
    lambda lang: figures.love_plot(BALANCE, lang),
    lambda lang: figures.group_time(EFFECTS, "euros", lang),
    lambda lang: figures.territories(EFFECTS, "points", lang),
    lambda lang: figures.means(MEANS, "euros", lang),
    lambda lang: figures.means(MEANS[:2].drop(columns="period"), "", lang),
    lambda lang: figures.forest(ROWS, "euros", lang),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_figure_is_the_same_text_each_time_and_harmless(
    make: Callable[[figures.Lang], "figures.Figure"], lang: figures.Lang
) -> None:
    first, second = figures.svg(make(lang)), figures.svg(make(lang))
    assert first == second
    assert first.startswith("<svg ")
    assert "<script" not in first
    assert "<metadata" not in first
    assert "<!DOCTYPE" not in first
    # Addresses are names of XML name spaces only; references stay inside the figure.
    assert set(re.findall(r'https?://[^"]+', first)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', first))


@pytest.mark.parametrize("make", MAKERS)
def test_a_figure_says_in_words_what_it_shows(make: Callable[[figures.Lang], "figures.Figure"]) -> None:
    figure = make("fr")
    assert len(figures.alt(figure)) > 20
    assert re.search(r'role="img" aria-label="[^"]{20,}"', figures.svg(figure))


def test_the_text_alternative_holds_the_numbers() -> None:
    assert figures.alt(figures.event_study(EFFECTS, "euros", "fr")) == (
        "Effet selon le nombre de périodes depuis le début, en euros, avec intervalle à 95 %. "
        "-2: 0,01 (de\u00a0−0,09 à\u00a00,11); -1: −0,02 (de\u00a0−0,12 à\u00a00,08); "
        "0: 0,4 (de\u00a00,3 à\u00a00,5); 1: 0,6 (de\u00a00,5 à\u00a00,7)."
    )
    assert figures.alt(figures.love_plot(BALANCE, "en")) == (
        "Standardised differences of 2 variables between the two groups: at most 0.81 before adjustment, 0.1 after."
    )
    assert figures.alt(figures.means(MEANS, "euros", "fr")) == (
        "Moyennes par groupe, en euros. avec: de 4 à 7; jamais: de 5 à 6."
    )
    # The second row has no interval, and none is told.
    assert figures.alt(figures.forest(ROWS[:1], "euros", "en")).endswith("Nickel: 0.17 (from 0.1 to 0.24).")


def test_two_figures_on_one_page_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', figures.svg(make("fr")))) for make in MAKERS]
    assert sum(len(each) for each in ids) == len(set().union(*ids))


def test_drawing_leaves_the_readers_settings_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    figures.svg(figures.means(MEANS))
    assert dict(mpl.rcParams) == before


def test_a_notebook_shows_a_figure_with_its_alternative() -> None:
    drawing = figures.show(figures.means(MEANS))
    assert drawing._repr_mimebundle_() == {"image/svg+xml": drawing.svg, "text/plain": drawing.alt}


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(InternalError, match="E-REP-005") as caught:
        figures.love_plot(BALANCE.drop(columns="smd_before"))
    assert "smd_before" in str(caught.value)
