"""Figures of synthetic controls: both paths, the gap beside placebos, weights of donors, ratios of fits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PALE,
    SMALL,
    canvas,
    cut,
    decimal_marks,
    described,
    drawable,
    label_every,
    legend_above,
    required,
)
from evaluation.report.figures.event_time import event_study
from evaluation.report.figures.robustness import estimators, leave_one_out
from evaluation.report.figures.wording import axis, group_name, in_unit, said, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tables = Mapping[str, pd.DataFrame]

MOST_BARS: Final = 20  # rows of a bar chart; the text alternative counts the others


def synthetic_paths(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """The treated and their weighted donors over time; a vertical line before the first period with treatment.

    Args:
        table: columns period, after (bool), treated, synthetic, of one start.
        outcome_unit: unit of the outcome.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one period.
    """
    columns = ("period", "after", "treated", "synthetic")
    rows = drawable(required(table, columns, "synthetic_paths"), "synthetic_paths", ["period"])
    place, names = np.arange(len(rows)), rows.period.astype(str).tolist()
    first = int(np.flatnonzero(rows.after)[0]) if rows.after.any() else len(rows)
    every = label_every(names)
    with canvas(3.2) as (figure, axes):
        axes.axvline(first - 0.5, color=GREY, linewidth=1.5)
        axes.plot(place, rows.treated, color=BLUE, linewidth=2, label=group_name("treated", lang))
        axes.plot(place, rows.synthetic, color=ORANGE, linewidth=2, linestyle=(0, (6, 2)), label=_synthetic(lang))
        axes.set_xticks(place[::every], names[::every])
        axes.set_ylabel(axis("mean", outcome_unit, lang))
        decimal_marks(axes, lang, horizontal=False)
        legend_above(axes)
    return described(figure, _paths_alt(rows, names, first, outcome_unit, lang), lang)


def placebo_gap(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """The gap between the treated and their weighted donors, and the middle nine tenths of the placebos' gaps.

    Args:
        table: columns event_time, gap, low, high (missing where there are no placebos).
        outcome_unit: unit of the gap.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one event time.
    """
    columns = ("event_time", "gap", "low", "high")
    rows = drawable(required(table, columns, "placebo_gap"), "placebo_gap", ["event_time"])
    with canvas(3.0) as (figure, axes):
        axes.fill_between(rows.event_time, rows.low, rows.high, color=PALE, label=_placebos(lang))
        axes.axhline(0, color="black", linewidth=0.8)
        axes.axvline(-0.5, color=GREY, linewidth=1.5)
        axes.plot(rows.event_time, rows.gap, color=BLUE, linewidth=2, label=word("effect", lang))
        axes.set_xlabel(word("after_start", lang))
        axes.set_ylabel(axis("effect", outcome_unit, lang))
        decimal_marks(axes, lang)
        legend_above(axes)
    return described(figure, _gap_alt(rows, outcome_unit, lang), lang)


def donor_weights(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Who the treated are compared with, and how much each counts.

    Args:
        table: columns donor and weight, the largest first, of one start.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one donor.
    """
    rows = drawable(required(table, ("donor", "weight"), "donor_weights"), "donor_weights", ["donor"])
    head = said("Poids des unités de comparaison", "Weights of the donors", lang)
    return _bars(rows.donor, rows.weight, [BLUE] * len(rows), _weight(lang), head, lang, share=True)


def fit_ratios(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Gap after over gap before, of the treated and of every placebo.

    Args:
        table: columns name, ratio and treated (bool), the largest first.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one name.
    """
    rows = drawable(required(table, ("name", "ratio", "treated"), "fit_ratios"), "fit_ratios", ["name"])
    place = int(np.flatnonzero(rows.treated)[0]) + 1 if rows.treated.any() else 0
    head = said(
        f"Écart après rapporté à l'écart avant ; rang {place} sur {len(rows)} pour l'unité traitée",
        f"Gap after over gap before; the treated unit is number {place} of {len(rows)}",
        lang,
    )
    colours = [BLUE if treated else PALE for treated in rows.treated]
    return _bars(rows["name"], rows.ratio, colours, _ratio(lang), head, lang)


def synthetic_effects(
    effects: pd.DataFrame, tables: Tables, outcome_unit: str, lang: Lang = "fr", *, level: float = 0.95
) -> tuple["Figure", ...]:
    """Both paths of each start, the gap beside placebos, and effects by time since the start."""
    shown = [synthetic_paths(rows, outcome_unit, lang) for _, rows in tables["paths"].groupby("cohort", sort=False)]
    shown.append(placebo_gap(tables["placebo_gaps"], outcome_unit, lang))
    return *shown, event_study(effects, outcome_unit, lang, level=level)


def synthetic_credibility(
    effects: pd.DataFrame, tables: Tables, outcome_unit: str, lang: Lang = "fr", *, level: float = 0.95
) -> tuple["Figure", ...]:
    """Who is compared, how the fit ranks among placebos, who moves the estimate, what other estimators say."""
    shown = [donor_weights(rows, lang) for _, rows in tables["donor_weights"].groupby("cohort", sort=False)]
    if "ratios" in tables and len(tables["ratios"]) > 1:
        shown.append(fit_ratios(tables["ratios"], lang))
    if "leave_one_out" in tables:
        headline = effects.loc[effects["role"] == "headline", ["estimate", "ci_low", "ci_high"]].iloc[0]
        shown.append(leave_one_out(tables["leave_one_out"], headline.astype(float), outcome_unit, lang, level=level))
    if "estimators" in tables:
        shown.append(estimators(tables["estimators"], outcome_unit, lang, level=level))
    return tuple(shown)


# parts ----------------------------------------------------------------------------------------------------------------


def _bars(
    names: "pd.Series[str]",
    values: "pd.Series[float]",
    colours: list[str],
    label: str,
    head: str,
    lang: Lang,
    *,
    share: bool = False,
) -> "Figure":
    """Bars from the largest downwards; the text alternative has the same rows and counts those that are not drawn."""
    shown = slice(None, MOST_BARS)
    place = np.arange(len(names[shown]))
    with canvas(max(1.6, 0.9 + 0.2 * len(place))) as (figure, axes):
        axes.barh(place, values[shown], color=colours[shown], edgecolor=GREY, linewidth=0.5)
        axes.set_yticks(place, [cut(str(name)) for name in names[shown]], fontsize=SMALL)
        axes.invert_yaxis()
        axes.set_xlabel(label)
        decimal_marks(axes, lang, vertical=False)
    told = [_told(name, value, lang, share=share) for name, value in zip(names[shown], values[shown], strict=True)]
    more = len(names) - len(told)
    told += [said(f"et {more} autres", f"and {more} more", lang)] if more else []
    between, after = (" ; ", " : ") if lang == "fr" else ("; ", ": ")
    return described(figure, f"{head}{after}{between.join(told)}.", lang)


def _told(name: object, value: float, lang: Lang, *, share: bool) -> str:
    return f"{name} {locale.percent(float(value), lang) if share else locale.number(round(float(value), 2), lang)}"


def _paths_alt(rows: pd.DataFrame, names: list[str], first: int, unit: str, lang: Lang) -> str:
    last = rows.iloc[-1]
    treated, synthetic = (locale.number(float(f"{float(last[key]):.4g}"), lang) for key in ("treated", "synthetic"))
    start = names[first] if first < len(names) else names[-1]
    return said(
        f"Moyenne des unités traitées et de leur combinaison de comparaison{in_unit(unit, lang)}, de {names[0]} à "
        f"{names[-1]} ; début en {start}. En {names[-1]} : {treated} contre {synthetic}.",
        f"Mean of the treated and of their weighted donors{in_unit(unit, lang)}, from {names[0]} to {names[-1]}; start "
        f"in {start}. In {names[-1]}: {treated} against {synthetic}.",
        lang,
    )


def _gap_alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    after = rows[rows.event_time >= 0]
    outside = int(((after.gap < after.low) | (after.gap > after.high)).sum())
    return said(
        f"Écart entre les unités traitées et leur comparaison{in_unit(unit, lang)} ; {outside} des {len(after)} "
        "périodes après le début sont hors de la bande qui contient neuf placebos sur dix.",
        f"Gap between the treated and their weighted donors{in_unit(unit, lang)}; {outside} of {len(after)} periods "
        "after the start lie outside the band that holds nine placebos in ten.",
        lang,
    )


def _synthetic(lang: Lang) -> str:
    return said("comparaison pondérée", "weighted donors", lang)


def _placebos(lang: Lang) -> str:
    return said("neuf placebos sur dix", "nine placebos in ten", lang)


def _weight(lang: Lang) -> str:
    return said("poids", "weight", lang)


def _ratio(lang: Lang) -> str:
    return said("écart après / écart avant", "gap after / gap before", lang)
