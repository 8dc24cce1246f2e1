"""Figures of any method: balance, forests, means side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    canvas,
    decimal_marks,
    described,
    drawable,
    has,
    legend_above,
    required,
    with_interval,
    wrapped,
)
from evaluation.report.figures.trends import raw_trends
from evaluation.report.figures.wording import axis, group_name, in_unit, interval_name, listed, said, value_of, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def love_plot(balance: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Absolute standardised differences before and after adjustment, with the lines 0.05 and 0.25.

    Args:
        balance: columns covariate, smd_before and, where an adjustment was made, smd_after.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(balance, ("covariate", "smd_before"), "love_plot"), "love_plot")
    places = list(range(len(rows)))[::-1]
    with canvas(1.2 + 0.28 * len(rows)) as (figure, axes):
        for bound in (0.05, 0.25):
            axes.axvline(bound, color=GREY, linewidth=1, linestyle=":")
        axes.plot(rows.smd_before.abs(), places, "o", color=ORANGE, fillstyle="none", label=word("before", lang))
        if has(rows, "smd_after"):
            axes.plot(rows.smd_after.abs(), places, "s", color=BLUE, label=word("after", lang))
        axes.set_yticks(places, wrapped(rows.covariate))
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(left=0)
        axes.set_xlabel(word("smd", lang))
        decimal_marks(axes, lang, vertical=False)
        legend_above(axes)
    return described(figure, _love_plot_alt(rows, lang), lang)


def territories(effects: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr", *, level: float = 0.95) -> "Figure":
    """Forest of the effect by kind of territory.

    Args:
        effects: rows of the record's effects; those with the term territory are drawn.
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = required(effects, ("term", "territory", "estimate", "ci_low", "ci_high"), "territories")
    rows = drawable(rows[rows.term == "territory"].sort_values("territory"), "territories", ["territory"])
    return forest(rows.assign(label=rows.territory.astype(str)), outcome_unit, lang, level=level)


def forest(rows: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr", *, level: float = 0.95) -> "Figure":
    """Estimates with their intervals, one line each.

    Args:
        rows: columns label, estimate, ci_low, ci_high; several estimates of one effect, say ours and the published one.
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(rows, ("label", "estimate", "ci_low", "ci_high"), "forest"), "forest")
    with canvas(forest_height(rows)) as (figure, axes):
        draw_forest(axes, rows, [False] * len(rows), outcome_unit, lang)
    head = said(f"Effets avec {interval_name(level, lang)}", f"Effects with {interval_name(level, lang)}", lang)
    return described(figure, f"{head}{in_unit(outcome_unit, lang)}. {forest_values(rows, lang)}", lang)


def means(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Raw means of each group over time (`raw_trends`), or side by side where there is no time.

    Args:
        table: columns group, mean and, for panels, period; one row a group and period. Groups are treated, comparison,
            treated_adjusted, comparison_adjusted, or words of one's own.
        outcome_unit: unit of the mean.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one group and period.
    """
    if "period" in table:
        return raw_trends(table, outcome_unit, lang)
    rows = drawable(required(table, ("group", "mean"), "means"), "means", ["group"])
    rows = rows.assign(group=[group_name(str(group), lang) for group in rows.group])
    with canvas(3.1) as (figure, axes):
        _bars(axes, rows, lang)
        axes.set_ylabel(axis("mean", outcome_unit, lang))
        decimal_marks(axes, lang, horizontal=False)
    head = said("Moyennes par groupe", "Means by group", lang) + in_unit(outcome_unit, lang)
    values = [(row.group, locale.number(float(row["mean"]), lang)) for _, row in rows.iterrows()]
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def forest_height(rows: pd.DataFrame) -> float:
    """Inches for axes with a line each."""
    return 1.0 + 0.34 * len(rows)


def draw_forest(axes: "Axes", rows: pd.DataFrame, hollow: Sequence[bool], outcome_unit: str, lang: Lang) -> None:
    """Squares with whiskers, first row on top; hollow grey circles with dashed whiskers stand apart.

    Args:
        axes: to draw on.
        rows: columns label, estimate, ci_low, ci_high.
        hollow: of each row.
        outcome_unit: unit of the horizontal axis.
        lang: of axes.
    """
    axes.axvline(0, color=GREY, linewidth=1)
    known = with_interval(rows)
    places = list(range(len(rows)))[::-1]
    for place, drawn, apart, (_, row) in zip(places, known, hollow, rows.iterrows(), strict=True):
        colour, marker, line = (GREY, "o", (0, (3, 2))) if apart else (BLUE, "s", "-")
        if drawn:
            axes.hlines(place, row.ci_low, row.ci_high, color=colour, linewidth=1.6, linestyle=line)
        axes.plot(row.estimate, place, marker, color=colour, markerfacecolor="white" if apart else colour)
    axes.set_yticks(places, wrapped(rows.label))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(axis("effect", outcome_unit, lang))
    decimal_marks(axes, lang, vertical=False)


def forest_values(rows: pd.DataFrame, lang: Lang) -> str:
    """Every row in words."""
    return listed(((row.label, value_of(row, lang)) for _, row in rows.iterrows()), lang)


def _bars(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    colours = [BLUE, ORANGE, GREY, PALE]
    axes.bar(range(len(rows)), rows["mean"], color=[colours[i % len(colours)] for i in range(len(rows))], width=0.6)
    axes.set_xticks(range(len(rows)), wrapped(rows.group))
    for place, value in enumerate(rows["mean"]):
        axes.annotate(locale.number(float(value), lang), (place, value), ha="center", va="bottom")


def _love_plot_alt(rows: pd.DataFrame, lang: Lang) -> str:
    before = locale.number(float(rows.smd_before.abs().max()), lang, digits=2)
    after = locale.number(float(rows.smd_after.abs().max()), lang, digits=2) if has(rows, "smd_after") else ""
    text = said(
        f"Écarts standardisés de {len(rows)} variables entre les deux groupes : au plus {before} avant ajustement",
        f"Standardised differences of {len(rows)} variables between the two groups: at most {before} before adjustment",
        lang,
    )
    return text + (said(f", {after} après.", f", {after} after.", lang) if after else ".")
