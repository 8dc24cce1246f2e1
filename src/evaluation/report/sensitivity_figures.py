"""What it would take to overturn a finding: all measures beside what is known, and the figures of each design.

Not among `figures`, which the notebooks of methods use: these figures take their words from the texts of the pages, and
a text that is corrected must not make results stale.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from evaluation.report import locale, sensitivity_words
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    canvas,
    decimal_marks,
    described,
    drawable,
    required,
    wrapped,
)
from evaluation.report.figures.robustness import honest_fan
from evaluation.report.figures.weights import hidden_factor
from evaluation.report.figures.wording import listed
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVEL: Final = 0.05  # of the one-sided test behind Γ
_NARROW, _WIDE = 0.01, 100.0  # beyond, a bar says no more
_COLUMNS: Final = ("measure", "overturns", "value", "unbounded", "already", "benchmark", "benchmark_name", "judged")


def sentence_table(table: pd.DataFrame) -> pd.DataFrame:
    """The sentences of all measures, in French and in English, beside the number and what it is held against.

    Args:
        table: `tables["sensitivity"]` of a finding.
    """
    rows = required(table, _COLUMNS, "sensitivity").to_dict("records")
    said = {lang: [sensitivity_words.sentence(row, lang) for row in rows] for lang in ("fr", "en")}
    return table[["measure", "overturns", "value", "benchmark", "reason"]].assign(**said)


def overturn_bars(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Each measure as a multiple of what is known on its scale; left of 1 something known would overturn the finding.

    Args:
        table: `tables["sensitivity"]`; measures without a number or without anything known are left out.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or no measure can be drawn.
    """
    known = required(table, _COLUMNS, "overturn_bars")
    held = known[(known["benchmark"] > 0) & known["value"].notna()]
    rows = drawable(held.assign(ratio=held["value"] / held["benchmark"]), "overturn_bars", ["measure", "overturns"])
    t = texts(lang)
    names = [_bar_name(row.measure, row.overturns, lang) for row in rows.itertuples()]
    with canvas(1.0 + 0.42 * len(rows)) as (figure, axes):
        ratios = rows["ratio"].clip(_NARROW, _WIDE)
        places = np.arange(len(rows))[::-1]
        colours = [BLUE if ratio >= 1 else ORANGE for ratio in ratios]
        axes.barh(places, ratios - 1, left=1, color=colours, height=0.6)
        axes.set_xscale("log")
        axes.set_xlim(min(0.5, 0.8 * ratios.min()), max(2.0, 1.2 * ratios.max()))
        axes.axvline(1, color=GREY, linewidth=1.2, linestyle="--")
        axes.set_yticks(places, wrapped(names))
        axes.set_xlabel(t("overturn.axis_ratio"))
        axes.minorticks_off()
        decimal_marks(axes, lang, vertical=False)
    said = [locale.number(float(f"{ratio:.2g}"), lang) for ratio in rows["ratio"]]
    return described(figure, t("overturn.bars_alt", points=listed(zip(names, said, strict=True), lang)), lang)


def _bar_name(measure: object, overturns: object, lang: Lang) -> str:
    t = texts(lang)
    return f"{t(f'overturn.label_{measure}')} ({t(f'overturn.short_{overturns}')})"


def gamma_curve(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """The largest p-value that a hidden bias Γ allows (Rosenbaum bounds).

    Args:
        table: columns gamma and p_value (`tables["gamma_curve"]`).
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("gamma", "p_value"), "gamma_curve"), "gamma_curve", ["gamma", "p_value"])
    t = texts(lang)
    with canvas(3.2) as (figure, axes):
        axes.plot(rows["gamma"], rows["p_value"], color=BLUE)
        axes.axhline(_LEVEL, color=GREY, linewidth=1, linestyle="--")
        axes.set_ylim(0, None)
        axes.set_xlabel(t("overturn.axis_gamma"))
        axes.set_ylabel(t("overturn.axis_p"))
        decimal_marks(axes, lang)
    return described(figure, _gamma_alt(rows, lang), lang)


def _gamma_alt(rows: pd.DataFrame, lang: Lang) -> str:
    ends = rows.iloc[[0, len(rows) // 2, -1]]
    points = listed(
        (
            (f"Γ = {locale.number(float(row.gamma), lang)}", locale.p_value(float(row.p_value), lang))
            for row in ends.itertuples()
        ),
        lang,
    )
    beyond = rows[rows["p_value"] >= _LEVEL]
    where = texts(lang)("site.none") if beyond.empty else locale.number(float(beyond["gamma"].iloc[0]), lang)
    return texts(lang)("overturn.curve_alt", points=points, level=locale.percent(_LEVEL, lang), gamma=where)


def credibility(
    tables: Mapping[str, pd.DataFrame], outcome_unit: str = "", lang: Lang = "fr", *, level: float = 0.95
) -> list["Figure"]:
    """All that a finding has to draw about how wrong it could be.

    Args:
        tables: of the finding: sensitivity, hidden_factor, gamma_curve, honest, leave_one_out.
        outcome_unit: of the effect.
        lang: language.
        level: probability of the intervals.
    """
    known = tables["sensitivity"]
    shown = [overturn_bars(known, lang)] if (known["benchmark"] > 0).any() else []
    if "hidden_factor" in tables and len(tables["hidden_factor"]):
        shown.append(hidden_factor(tables["hidden_factor"], outcome_unit, lang))
    if "gamma_curve" in tables:
        shown.append(gamma_curve(tables["gamma_curve"], lang))
    if "honest" in tables:
        honest = tables["honest"]
        breakdown = honest.dropna(subset="breakdown").groupby("kind")["breakdown"].first().to_dict()
        shown.append(honest_fan(honest, outcome_unit, lang, breakdown=breakdown, level=level))
    return shown
