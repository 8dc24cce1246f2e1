"""Figures: the same bytes each time, a text alternative from the numbers, nothing to load, nothing that runs."""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.report import figures
from evaluation.report.figures import drawing, periods, trends

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
# Two cohorts that start in the second and third quarter. Universal base: the reference of each is 0 by construction.
# Cell (T2, T1) is missing; the interval of (T3, T3), 0.1 ± 0.2, holds 0; those of (T2, T2), (T2, T3), (T3, T4) do not.
CELLS = pd.DataFrame(
    [
        ("2011-T2", "2011-T2", 0.5, 0.1, 0.3, 0.7),
        ("2011-T2", "2011-T3", -0.6, 0.1, -0.8, -0.4),
        ("2011-T3", "2011-T1", 0.2, np.nan, np.nan, np.nan),
        ("2011-T3", "2011-T2", 0.0, np.nan, np.nan, np.nan),
        ("2011-T3", "2011-T3", 0.1, 0.1, -0.1, 0.3),
    ],
    columns=["cohort", "period", "estimate", "std_error", "ci_low", "ci_high"],
).assign(term="group_time")
FAN = pd.DataFrame(
    {
        "kind": ["original", *["relative_magnitudes"] * 3, "smoothness"],
        "m": [np.nan, 0.0, 0.5, 1.0, 0.01],
        "ci_low": [0.1, 0.08, 0.02, -0.2, -np.inf],
        "ci_high": [0.4, 0.42, 0.5, 0.7, np.inf],
    }
)
COMPARISONS = pd.DataFrame(
    {
        "kind": ["treated_vs_never", "earlier_vs_later", "later_vs_earlier"],
        "treated": [2004, 2004, 2006],
        "comparison": [pd.NA, 2006, 2004],
        "forbidden": [False, False, True],
        "weight": [0.5, 0.375, 0.125],
        "estimate": [2.0, 1.0, -3.0],
    }
)
STATUS = pd.DataFrame(
    {
        "group": ["never", "never", 2006, 2006, 2005],
        "period": [2005, 2006, 2005, 2006, 2006],
        "treated": [False, False, False, True, True],
        "units": [1200, 1190, 30, 30, 7],
    }
)
TRENDS = pd.DataFrame(
    {
        "group": ["never"] * 3 + ["2011-T10"] * 3,
        "period": ["2011-T8", "2011-T10", "2011-T9"] * 2,
        "mean": [1.0, 3.0, 2.0, 5.0, 9.0, 6.0],
    }
)
LEFT_OUT = pd.DataFrame(
    {
        "left_out": ["2004", "never treated", "Nord"],
        "kind": ["cohort", "cohort", "cluster"],
        "estimate": [0.4, 0.6, 0.5],
        "ci_low": [0.2, 0.3, np.nan],
        "ci_high": [0.6, 0.9, np.nan],
        "exact": [True, True, False],
    }
)
FULL = {"estimate": 0.5, "ci_low": 0.3, "ci_high": 0.7}
ESTIMATORS = pd.DataFrame(
    {
        "estimator": ["doubly_robust", "two_way_fixed_effects", PAYLOAD],
        "estimate": [0.5, 0.2, 0.1],
        "ci_low": [0.3, 0.1, 0.0],
        "ci_high": [0.7, 0.3, 0.2],
        "baseline": [False, True, False],
    }
)

MAKERS: list[Callable[[figures.Lang], "Figure"]] = [
    lambda lang: figures.event_study(EFFECTS, "euros", lang),
    lambda lang: figures.love_plot(BALANCE, lang),
    lambda lang: figures.group_time_map(EFFECTS, "euros", lang),
    lambda lang: figures.territories(EFFECTS, "points", lang),
    lambda lang: figures.means(MEANS, "euros", lang),
    lambda lang: figures.means(MEANS[:2].drop(columns="period"), "", lang),
    lambda lang: figures.forest(ROWS, "euros", lang),
    lambda lang: figures.event_study(EFFECTS, "euros", lang, reference=-3, anticipation=1),
    lambda lang: figures.group_time_map(CELLS, PAYLOAD, lang),
    lambda lang: figures.cohort_timeline(STATUS, lang),
    lambda lang: figures.raw_trends(TRENDS, "euros", lang),
    lambda lang: figures.honest_fan(FAN, "euros", lang, breakdown={"relative_magnitudes": 0.6}),
    lambda lang: figures.bacon(COMPARISONS, "euros", lang, two_way=1.0),
    lambda lang: figures.leave_one_out(LEFT_OUT, FULL, "euros", lang),
    lambda lang: figures.estimators(ESTIMATORS, "euros", lang),
]


@cache
def drawn(make: Callable[[figures.Lang], "Figure"], lang: figures.Lang) -> str:
    """The first drawing of each."""
    return figures.svg(make(lang))


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_a_figure_is_the_same_text_each_time_and_harmless(
    make: Callable[[figures.Lang], "Figure"], lang: figures.Lang
) -> None:
    first, second = drawn(make, lang), figures.svg(make(lang))
    assert first == second
    assert first.startswith("<svg ")
    assert "<script" not in first
    assert "<metadata" not in first
    assert "<!DOCTYPE" not in first
    # Addresses are names of XML name spaces only; references stay inside the figure.
    assert set(re.findall(r'https?://[^"]+', first)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', first))


@pytest.mark.parametrize("make", MAKERS)
def test_a_figure_says_in_words_what_it_shows(make: Callable[[figures.Lang], "Figure"]) -> None:
    assert re.search(r'role="img" aria-label="[^"]{20,}"', drawn(make, "fr"))


def told(figure: "Figure") -> str:
    """The text alternative, with plain spaces."""
    return re.sub("[\u00a0\u202f]", " ", figures.alt(figure))


def written(figure: "Figure") -> list[str]:
    """Texts of the drawing itself, with plain spaces."""
    return [
        re.sub("[\u00a0\u202f]", " ", text) for text in re.findall(r"<text[^>]*>([^<]+)</text>", figures.svg(figure))
    ]


def test_the_text_alternative_holds_the_numbers() -> None:
    assert told(figures.event_study(EFFECTS, "euros", "fr")) == (
        "Effet selon le nombre de périodes depuis le début, en euros, avec intervalle à 95 % et bande simultanée. "
        "−2 : 0,01 (de −0,09 à 0,11) ; −1 : −0,02 (de −0,12 à 0,08) ; 0 : 0,4 (de 0,3 à 0,5) ; 1 : 0,6 (de 0,5 à 0,7)."
    )
    assert figures.alt(figures.love_plot(BALANCE, "en")) == (
        "Standardised differences of 2 variables between the two groups: at most 0.81 before adjustment, 0.1 after."
    )
    assert told(figures.means(MEANS, "euros", "fr")) == (
        "Moyennes par groupe, en euros. jamais : de 5 à 6 ; avec : de 4 à 7."
    )
    # The second row has no interval, and none is told.
    assert figures.alt(figures.forest(ROWS[:1], "euros", "en")).endswith("Nickel: 0.17 (from 0.1 to 0.24).")


def test_two_figures_on_one_page_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', drawn(make, "fr"))) for make in MAKERS]
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


# difference-in-differences --------------------------------------------------------------------------------------------


def test_event_study_tells_the_reference_from_an_estimate() -> None:
    rows = EFFECTS[EFFECTS.term == "event_time"].assign(std_error=[0.1, np.nan, 0.1, 0.1])
    rows.loc[rows.event_time == -1, ["estimate", "ci_low", "ci_high", "band_low", "band_high"]] = [0.0] + [np.nan] * 4
    found = figures.event_study(rows, "euros", "en")
    assert "; −1: reference (0 by construction); 0: 0.4" in told(found)
    assert {"reference (0 by construction)", "simultaneous band", "95% interval"} <= set(written(found))
    # An estimate that happens to be zero, with a standard error, is none.
    estimated = rows.assign(std_error=0.1)
    assert "reference" not in told(figures.event_study(estimated.fillna({"ci_low": -0.1, "ci_high": 0.1}), "", "en"))


def test_event_study_adds_a_reference_without_a_row_and_numbers_of_cohorts() -> None:
    rows = EFFECTS[(EFFECTS.term == "event_time") & (EFFECTS.event_time >= 0)].assign(cohorts=[7, 3])
    found = figures.event_study(rows, "euros", "fr", reference=-1, anticipation=1, level=0.9)
    assert told(found).startswith("Effet selon le nombre de périodes depuis le début, en euros, avec intervalle à 90 %")
    assert "−1 : référence (0 par construction) ; 0 : 0,4" in told(found)
    assert {"(7)", "(3)", "anticipation possible", "avant ←", "→ après"} <= set(written(found))
    assert not {"anticipation possible", "(7)"} & set(
        written(figures.event_study(rows[["term", "event_time", "estimate", "ci_low", "ci_high"]], ""))
    )


def test_group_time_map_counts_what_its_cells_say() -> None:
    found = figures.group_time_map(CELLS, "euros", "fr")
    # Two cohorts in three periods are six cells, five of them with an estimate, two of these with intervals without 0.
    assert told(found) == (
        "Effet pour 2 dates de début et 3 périodes, en euros : de −0,6 à 0,5. "
        "L’intervalle à 95 % exclut 0 dans 2 cases sur 5 ; cases non identifiées : 1."
    )
    texts = written(found)
    assert {"0,5", "−0,6", "0,2", "0,1", "réf.", "×", "2011-T1", "2011-T3", "non identifié"} <= set(texts)
    assert texts.count("×") == 1


def test_group_time_map_separates_before_from_after_with_stairs() -> None:
    axes = figures.group_time_map(CELLS).axes[0]
    # The first row turns after one period (T1), the second after two.
    assert axes.lines[0].get_xydata().tolist() == [[1, 0], [1, 1], [2, 1], [2, 2]]


def test_group_time_map_crosses_cells_that_only_the_table_of_skipped_ones_knows() -> None:
    skipped = pd.DataFrame({"cohort": ["2011-T4"], "period": ["2011-T4"], "reason": ["no comparison"]})
    texts = written(figures.group_time_map(CELLS, skipped=skipped))
    # Three cohorts in four periods are twelve cells, five with an estimate.
    assert texts.count("×") == 7


def test_group_time_map_hatches_what_is_not_told_apart_from_zero() -> None:
    def hatched(table: pd.DataFrame) -> int:
        return sum(bool(patch.get_hatch()) for patch in figures.group_time_map(table).axes[0].patches)

    assert hatched(CELLS) == 2  # an interval that holds zero, an estimate without an interval; not the reference
    assert hatched(CELLS.assign(ci_low=CELLS.estimate - 0.01, ci_high=CELLS.estimate + 0.01)) == 1  # now only the zero


def test_cohort_timeline_tells_who_is_treated_when() -> None:
    found = figures.cohort_timeline(STATUS, "fr")
    assert told(found) == (
        "Qui est traité, et quand : 3 groupes, de 2005 à 2006. 2005 : 7 unités, traitées en 2006 ; "
        "2006 : 30 unités, traitées en 2006 ; jamais : 1 190–1 200 unités, jamais traitées."
    )
    # The cohort of 2005 has no row in 2005.
    assert written(found).count("×") == 1
    assert {"1 190–1 200", "30", "7", "non observé"} <= set(written(found))


def test_raw_trends_orders_quarters_and_marks_the_start() -> None:
    found = figures.raw_trends(TRENDS, "euros", "fr")
    assert told(found) == (
        "Moyennes par groupe, en euros. jamais : de 1 à 3 ; 2011-T10 : de 5 à 9 (6 juste avant le début)."
    )
    begun = [line for line in found.axes[0].lines if line.get_marker() == "s" and len(line.get_xdata())]
    assert [line.get_xydata().tolist() for line in begun] == [[[2.0, 9.0]]]
    assert {"jamais", "première période avec", "2011-T8"} <= set(written(found))


def test_honest_fan_puts_the_breakdown_where_it_is() -> None:
    found = figures.honest_fan(FAN, "euros", "en", breakdown={"relative_magnitudes": 0.6, "smoothness": np.nan})
    assert told(found) == (
        "95% interval for the effect by departure allowed from parallel trends, in euros. "
        "parallel trends: from 0.1 to 0.4; M̄ = 0: from 0.08 to 0.42; M̄ = 0.5: from 0.02 to 0.5; "
        "M̄ = 1: from −0.2 to 0.7; M = 0.01: unbounded. M̄: 0 excluded up to a departure of 0.6."
    )
    dashed = [line.get_xdata()[0] for line in found.axes[0].lines if line.get_linestyle() == "--"]
    assert dashed == [0.6]
    assert "0 excluded up to a departure of 0.6" in written(found)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.inf, "0 exclu pour tous les écarts essayés"), (0.0, "0 non exclu, même si les tendances sont parallèles")],
)
def test_honest_fan_says_when_no_bound_or_every_bound_breaks_the_effect(value: float, words: str) -> None:
    assert words in told(figures.honest_fan(FAN, breakdown={"relative_magnitudes": value}))


def test_bacon_tells_the_weight_of_forbidden_comparisons() -> None:
    found = figures.bacon(COMPARISONS, "euros", "fr", two_way=1.0)
    assert told(found).startswith(
        "3 comparaisons de deux groupes, en euros : de −3 à 2. "
        "Poids des comparaisons interdites, avec des unités déjà traitées : 12,5 %."
    )
    assert told(found).endswith("Effets fixes doubles : 1.")
    assert {"suivants et déjà traités (12,5 % – interdit)", "2004 / jamais", "effets fixes doubles : 1"} <= set(
        written(found)
    )
    markers = {str(line.get_label()): line.get_marker() for line in found.axes[0].lines}
    assert [marker for label, marker in markers.items() if "interdit" in label] == ["x"]


def test_leave_one_out_stands_beside_the_effect_with_all() -> None:
    found = figures.leave_one_out(LEFT_OUT, FULL, "euros", "en")
    assert told(found) == (
        "Effect without each group in turn, with 95% interval, in euros: from 0.4 to 0.6; with all: 0.5 (from 0.3 to "
        "0.7). without cohort 2004: 0.4 (from 0.2 to 0.6); without the never treated: 0.6 (from 0.3 to 0.9); "
        "without cluster Nord: 0.5."
    )
    assert {"with all: 0.5 (from 0.3 to 0.7)", "approximated, without a new estimate"} <= set(written(found))


def test_leave_one_out_says_how_many_of_many_rows_it_shows() -> None:
    many = pd.DataFrame({"left_out": range(40), "kind": "cluster", "estimate": 0.5})
    assert "25 lignes sur 40" in written(figures.leave_one_out(many, {"estimate": 0.5}))


def test_estimators_name_the_baseline() -> None:
    found = figures.estimators(ESTIMATORS, "euros", "fr")
    assert "doublement robuste : 0,5 (de 0,3 à 0,7) ; effets fixes doubles (repère) : 0,2 (de 0,1 à 0,3)" in told(found)
    hollow = [line.get_xdata()[0] for line in found.axes[0].lines if line.get_markerfacecolor() == "white"]
    assert hollow == [0.2]


EMPTY: list[Callable[[], "Figure"]] = [
    lambda: figures.event_study(EFFECTS[:1], ""),
    lambda: figures.love_plot(BALANCE[:0]),
    lambda: figures.territories(EFFECTS[:1]),
    lambda: figures.forest(ROWS[:0]),
    lambda: figures.means(MEANS[:0]),
    lambda: figures.means(MEANS[:0].drop(columns="period")),
    lambda: figures.group_time_map(CELLS[:0]),
    lambda: figures.cohort_timeline(STATUS[:0]),
    lambda: figures.honest_fan(FAN[:1]),
    lambda: figures.bacon(COMPARISONS[:0]),
    lambda: figures.leave_one_out(LEFT_OUT.assign(estimate=np.nan), FULL),
    lambda: figures.estimators(ESTIMATORS[:0]),
]


@pytest.mark.parametrize("make", EMPTY)
def test_a_table_with_nothing_to_draw_is_refused(make: Callable[[], "Figure"]) -> None:
    with pytest.raises(InternalError, match="E-REP-006"):
        make()


TWICE: list[Callable[[], "Figure"]] = [
    lambda: figures.event_study(pd.concat([EFFECTS, EFFECTS]), ""),
    lambda: figures.group_time_map(pd.concat([CELLS, CELLS])),
    lambda: figures.cohort_timeline(pd.concat([STATUS, STATUS])),
    lambda: figures.raw_trends(pd.concat([TRENDS, TRENDS])),
    lambda: figures.honest_fan(pd.concat([FAN, FAN])),
    lambda: figures.estimators(pd.concat([ESTIMATORS, ESTIMATORS])),
]


@pytest.mark.parametrize("make", TWICE)
def test_two_rows_for_one_point_are_refused(make: Callable[[], "Figure"]) -> None:
    with pytest.raises(InternalError, match="E-REP-006"):
        make()


def test_labels_of_periods_are_sorted_as_time() -> None:
    assert periods.in_time(["2011-T10", "2011-T9", "2010-T12"]) == ["2010-T12", "2011-T9", "2011-T10"]
    assert periods.in_time([2010.0, 900, "2004"]) == ["900", "2004", "2010"]


def test_names_at_the_ends_of_lines_keep_their_distance() -> None:
    # 1.0 and 1.1 touch: the second moves up. 9.9 stays, 10 would leave the axes: both are pushed down from the top.
    assert trends.spread([1.1, 1.0, 10.0, 9.9], 0.5, 0, 10) == [1.5, 1.0, 10.0, 9.5]


def test_labels_that_would_touch_are_left_out() -> None:
    # 4 inches are 288 points. A label of one letter takes 2.5 * 6 = 15 of them, one of seven letters 8.5 * 6 = 51: 19
    # and 5 fit, so that of 40 every third and every eighth is shown.
    assert drawing.label_every(["1"] * 40) == 3
    assert drawing.label_every(["2011-T3"] * 40) == 8
    assert drawing.label_every(["1"]) == 1
