"""What an effect withstands: departures from parallel trends, forbidden comparisons, groups left out, estimators."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.comparisons import draw_forest, forest_height, forest_values
from evaluation.report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    canvas,
    decimal_marks,
    described,
    drawable,
    filled,
    legend_below,
    required,
    sheet,
)
from evaluation.report.figures.periods import text_of
from evaluation.report.figures.wording import (
    axis,
    comparison_name,
    estimator_name,
    group_name,
    in_unit,
    interval_name,
    left_out_name,
    listed,
    said,
    value_of,
    without,
    word,
)
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SYMBOLS: Final[Mapping[str, str]] = {"relative_magnitudes": "M̄", "smoothness": "M"}
_MARKERS: Final[Mapping[str, tuple[str, str]]] = {
    "treated_vs_never": ("s", BLUE),
    "earlier_vs_later": ("o", GREEN),
    "later_vs_earlier": ("x", ORANGE),
    "treated_vs_always": ("+", ORANGE),
}
_NAMED: Final = 6  # comparisons whose names fit beside their points
_SHOWN: Final = 25  # groups left out that one figure can hold


def honest_fan(
    table: pd.DataFrame,
    outcome_unit: str = "",
    lang: Lang = "fr",
    *,
    breakdown: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> "Figure":
    """Intervals for the effect by how far trends may depart from parallel ones (Rambachan and Roth 2023).

    The interval under parallel trends comes first, in grey. A dashed line marks the breakdown value, the largest bound
    at which the interval still excludes zero. Each kind of bound has axes of its own.

    Args:
        table: columns kind ("original", "relative_magnitudes" or "smoothness"), m (the bound; missing for the
            original), ci_low, ci_high.
        outcome_unit: unit of the vertical axis.
        lang: language of axes and text alternative.
        breakdown: breakdown value by kind; infinite where no bound tried breaks the effect, missing where unknown.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no row with a bound, or two for one bound.
    """
    rows = required(table, ("kind", "m", "ci_low", "ci_high"), "honest_fan")
    bounded = drawable(rows[rows.kind.isin(list(_SYMBOLS))].sort_values(["kind", "m"]), "honest_fan", ["kind", "m"])
    original = rows[rows.kind == "original"].head(1)
    kinds = [kind for kind in _SYMBOLS if (bounded.kind == kind).any()]
    values = breakdown or {}
    with sheet(0.4 + 2.7 * len(kinds)) as figure:
        for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
            part = bounded[bounded.kind == kind]
            _fan(axes, original, part, values.get(kind), lang)
            axes.set_xlabel(axis(kind, outcome_unit if kind == "smoothness" else "", lang), fontsize=SMALL + 1)
            axes.set_ylabel(axis("effect", outcome_unit, lang))
    return described(figure, _fan_alt(original, bounded, values, outcome_unit, lang, level), lang)


def bacon(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr", *, two_way: float | None = None) -> "Figure":
    """Comparisons of two groups behind the two-way coefficient: weight and estimate (Goodman-Bacon 2021).

    Forbidden comparisons, with units that are treated already, are crosses; the two-way estimate is a dashed line.

    Args:
        table: columns kind, forbidden (bool), weight (they sum to one), estimate; one row a comparison. Names are
            written beside the points if there are columns treated and comparison (missing = never) and few rows.
        outcome_unit: unit of the vertical axis.
        lang: language of axes and text alternative.
        two_way: the coefficient.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("kind", "forbidden", "weight", "estimate"), "bacon"), "bacon")
    with canvas(3.9) as (figure, axes):
        axes.axhline(0, color=GREY, linewidth=1)
        for kind, part in rows.groupby("kind", sort=True):
            _comparisons(axes, str(kind), part, lang)
        if two_way is not None:
            label = f"{word('two_way', lang)} : " if lang == "fr" else f"{word('two_way', lang)}: "
            label += locale.number(two_way, lang)
            axes.axhline(two_way, color="black", linewidth=1.2, linestyle="--", label=locale.typography(label, lang))
        _name_few(axes, rows, lang)
        axes.set_xlim(left=0)
        axes.margins(x=0.12, y=0.12)
        axes.set_xlabel(f"{word('weight', lang)} (%)")
        axes.set_ylabel(axis("effect", outcome_unit, lang))
        decimal_marks(axes, lang)
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return described(figure, _bacon_alt(rows, two_way, outcome_unit, lang), lang)


def leave_one_out(
    table: pd.DataFrame,
    full: Mapping[str, Any],
    outcome_unit: str = "",
    lang: Lang = "fr",
    *,
    level: float = 0.95,
) -> "Figure":
    """The effect without each group in turn, beside the effect with all of them.

    Args:
        table: columns left_out, kind (cohort, cluster, territory, unit or a word of one's own), estimate and, if there,
            ci_low, ci_high, and exact (False where the number is an approximation: drawn hollow). Of many rows the
            first 25 with an estimate are drawn: sort them by the size of their change.
        full: estimate and, if there, ci_low, ci_high of the effect with all.
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no row with an estimate, or two for one group.
    """
    rows = required(table, ("left_out", "kind", "estimate"), "leave_one_out")
    rows = drawable(rows[rows.estimate.notna()], "leave_one_out", ["kind", "left_out"])
    names = [left_out_name(str(row.kind), text_of(row.left_out), lang) for row in rows.itertuples()]
    rows = filled(rows.assign(label=names), "ci_low", "ci_high")
    shown, title = _without_prefix(rows[:_SHOWN], lang)
    hollow = [value is False or value == 0 for value in shown.get("exact", pd.Series(True, shown.index))]
    with canvas(forest_height(shown) + 0.3) as (figure, axes):
        draw_forest(axes, shown, hollow, outcome_unit, lang)
        axes.set_ylabel(title)
        _full_line(axes, full, lang)
        legend_below(figure, [*axes.get_legend_handles_labels()[0], *_notes(len(rows), any(hollow), lang)])
    return described(figure, _leave_one_out_alt(rows, full, outcome_unit, lang, level), lang)


def estimators(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr", *, level: float = 0.95) -> "Figure":
    """One effect by several estimators; those that serve as a baseline only are hollow, dashed and named so.

    Args:
        table: columns estimator, estimate, ci_low, ci_high, baseline (bool: shown for comparison, not believed).
        outcome_unit: unit of the horizontal axis.
        lang: language of axes and text alternative.
        level: probability of the intervals.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one estimator.
    """
    columns = ("estimator", "estimate", "ci_low", "ci_high", "baseline")
    rows = drawable(required(table, columns, "estimators"), "estimators", ["estimator"])
    baseline = rows.baseline.astype(bool).tolist()
    names = [estimator_name(str(name), lang) for name in rows.estimator]
    marks = [f" ({word('baseline', lang)})" if mark else "" for mark in baseline]
    rows = rows.assign(label=[f"{name}{mark}" for name, mark in zip(names, marks, strict=True)])
    with canvas(forest_height(rows)) as (figure, axes):
        draw_forest(axes, rows, baseline, outcome_unit, lang)
    name = interval_name(level, lang)
    head = said(f"Effet selon l'estimateur, avec {name}", f"Effect by estimator, with {name}", lang)
    return described(figure, f"{head}{in_unit(outcome_unit, lang)}. {forest_values(rows, lang)}", lang)


# departures from parallel trends --------------------------------------------------------------------------------------


def _fan(axes: "Axes", original: pd.DataFrame, rows: pd.DataFrame, breakdown: float | None, lang: Lang) -> None:
    bounds = rows.m.to_numpy(dtype=float)
    step = float(np.diff(bounds).min()) if len(bounds) > 1 else 1.0
    first = bounds[0] - 1.5 * step  # of the interval under parallel trends
    axes.axhline(0, color=GREY, linewidth=1)
    _intervals(axes, [first] * len(original), original, GREY)
    _intervals(axes, bounds, rows, BLUE)
    axes.set_xlim((first if len(original) else bounds[0]) - 0.8 * step, bounds[-1] + 0.8 * step)
    kept = bounds[:: max(1, -(-len(bounds) // 8))]
    ticks = [(bound, locale.number(float(bound), lang)) for bound in kept]
    ticks += [(first, word("parallel", lang))] * len(original)
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    decimal_marks(axes, lang, horizontal=False)
    if breakdown is None or np.isnan(breakdown):
        return
    if breakdown <= bounds[-1]:
        axes.axvline(breakdown, color=ORANGE, linewidth=1.4, linestyle="--")
    axes.set_title(_breakdown_words(breakdown, lang), fontsize=SMALL + 1, loc="left", color=ORANGE)


def _intervals(axes: "Axes", places: Sequence[float], rows: pd.DataFrame, colour: str) -> None:
    known = np.isfinite(rows.ci_low.to_numpy(dtype=float)) & np.isfinite(rows.ci_high.to_numpy(dtype=float))
    low, high = rows.ci_low.to_numpy(dtype=float)[known], rows.ci_high.to_numpy(dtype=float)[known]
    axes.errorbar(
        np.asarray(places, dtype=float)[known], (low + high) / 2, yerr=(high - low) / 2,
        fmt="none", ecolor=colour, elinewidth=2.2, capsize=4,
    )  # fmt: skip


def _breakdown_words(value: float, lang: Lang) -> str:
    if np.isinf(value):
        return said("0 exclu pour tous les écarts essayés", "0 excluded for every departure tried", lang)
    if value == 0:
        return said(
            "0 non exclu, même si les tendances sont parallèles", "0 not excluded even if trends are parallel", lang
        )
    number = locale.number(value, lang)
    return said(f"0 exclu jusqu'à un écart de {number}", f"0 excluded up to a departure of {number}", lang)


def _fan_alt(
    original: pd.DataFrame,
    rows: pd.DataFrame,
    breakdown: Mapping[str, float],
    unit: str,
    lang: Lang,
    level: float,
) -> str:
    name = interval_name(level, lang)
    head = said(
        f"{name.capitalize()} de l'effet selon l'écart admis aux tendances parallèles{in_unit(unit, lang)}.",
        f"{name} for the effect by departure allowed from parallel trends{in_unit(unit, lang)}.",
        lang,
    )
    points = [(word("parallel", lang).replace("\n", " "), _ends(row, lang)) for row in original.itertuples()]
    points += [
        (f"{_SYMBOLS[str(row.kind)]} = {locale.number(float(row.m), lang)}", _ends(row, lang))
        for row in rows.itertuples()
    ]
    known = [(kind, value) for kind, value in breakdown.items() if not np.isnan(value) and (rows.kind == kind).any()]
    ends = [listed([(_SYMBOLS[kind], _breakdown_words(value, lang))], lang) for kind, value in known]
    return " ".join([head, listed(points, lang), *ends])


def _ends(row: Any, lang: Lang) -> str:
    if pd.isna(row.ci_low) or pd.isna(row.ci_high):
        return said("pas d'intervalle", "no interval", lang)
    if np.isinf(row.ci_low) or np.isinf(row.ci_high):
        return said("sans bornes", "unbounded", lang)
    return locale.interval(float(row.ci_low), float(row.ci_high), lang)


# comparisons of two groups --------------------------------------------------------------------------------------------


def _comparisons(axes: "Axes", kind: str, rows: pd.DataFrame, lang: Lang) -> None:
    """Points of one kind, its share of the weight in the legend."""
    forbidden = bool(rows.forbidden.any())
    marker, colour = _MARKERS.get(kind, ("x", ORANGE) if forbidden else ("o", GREEN))
    note = said(" – interdit", " – forbidden", lang) if forbidden else ""
    share = locale.percent(float(rows.weight.sum()), lang)
    axes.plot(
        100 * rows.weight, rows.estimate, marker, color=colour, markersize=7, markeredgewidth=1.8 if forbidden else 1,
        label=f"{comparison_name(kind, lang)} ({share}{note})",
    )  # fmt: skip


def _name_few(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    """'2004 / jamais' above each point, where there are few."""
    if len(rows) > _NAMED or "treated" not in rows or "comparison" not in rows:
        return
    for row in rows.itertuples():
        other = group_name("never", lang) if pd.isna(row.comparison) else text_of(row.comparison)
        axes.annotate(
            f"{text_of(row.treated)} / {other}", (100 * float(row.weight), float(row.estimate)), (0, 7),
            textcoords="offset points", ha="center", fontsize=SMALL,
        )  # fmt: skip


def _bacon_alt(rows: pd.DataFrame, two_way: float | None, unit: str, lang: Lang) -> str:
    share = locale.percent(float(rows.weight[rows.forbidden.astype(bool)].sum()), lang)
    low, high = (locale.number(float(value), lang) for value in (rows.estimate.min(), rows.estimate.max()))
    head = said(
        f"{len(rows)} comparaisons de deux groupes{in_unit(unit, lang)} : de {low} à {high}. Poids des comparaisons "
        f"interdites, avec des unités déjà traitées : {share}.",
        f"{len(rows)} comparisons of two groups{in_unit(unit, lang)}: from {low} to {high}. Weight of forbidden "
        f"comparisons, with units that are treated already: {share}.",
        lang,
    )
    kinds = listed(_kinds(rows, lang), lang)
    number = "" if two_way is None else locale.number(two_way, lang)
    end = said(f" Effets fixes doubles : {number}.", f" Two-way fixed effects: {number}.", lang) if number else ""
    return f"{head} {kinds}{end}"


def _kinds(rows: pd.DataFrame, lang: Lang) -> Iterator[tuple[str, str]]:
    for kind, part in rows.groupby("kind", sort=True):
        yield comparison_name(str(kind), lang), locale.percent(float(part.weight.sum()), lang)


# groups left out ------------------------------------------------------------------------------------------------------


def _without_prefix(rows: pd.DataFrame, lang: Lang) -> tuple[pd.DataFrame, str]:
    """Where all rows leave out the same kind of group, its words stand once, beside the axis."""
    kinds = rows.kind.unique()
    if len(kinds) > 1:
        return rows, ""
    names = [group_name(text_of(name), lang) for name in rows.left_out]
    return rows.assign(label=names), f"{without(str(kinds[0]), lang)} …"


def _full_line(axes: "Axes", full: Mapping[str, Any], lang: Lang) -> None:
    """The effect with all as a line, its interval as a strip."""
    row = pd.Series({"ci_low": float("nan"), "ci_high": float("nan"), **full}, dtype=float)
    label = said(f"{word('full', lang)} : ", f"{word('full', lang)}: ", lang)
    axes.axvline(row.estimate, color="black", linewidth=1.2, linestyle="--", label=f"{label}{value_of(row, lang)}")
    if pd.notna(row.ci_low) and pd.notna(row.ci_high):
        axes.axvspan(row.ci_low, row.ci_high, color=GREY, alpha=0.15, linewidth=0)


def _value(full: Mapping[str, Any], lang: Lang) -> str:
    return value_of(pd.Series({"ci_low": None, "ci_high": None, **full}), lang)


def _notes(rows: int, approximated: bool, lang: Lang) -> list[Any]:
    """Lines of the legend about approximations and about rows that are not drawn."""
    from matplotlib.lines import Line2D

    notes = []
    if approximated:
        text = said("approché, sans nouvelle estimation", "approximated, without a new estimate", lang)
        notes.append(Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label=text))
    if rows > _SHOWN:
        text = said(f"{_SHOWN} lignes sur {rows}", f"{_SHOWN} of {rows} rows", lang)
        notes.append(Line2D([], [], linestyle="", label=text))
    return notes


def _leave_one_out_alt(rows: pd.DataFrame, full: Mapping[str, Any], unit: str, lang: Lang, level: float) -> str:
    low, high = (locale.number(float(value), lang) for value in (rows.estimate.min(), rows.estimate.max()))
    head = said(
        f"Effet sans chaque groupe, l'un après l'autre, avec {interval_name(level, lang)}{in_unit(unit, lang)} : "
        f"de {low} à {high} ; avec tous : {_value(full, lang)}.",
        f"Effect without each group in turn, with {interval_name(level, lang)}{in_unit(unit, lang)}: "
        f"from {low} to {high}; with all: {_value(full, lang)}.",
        lang,
    )
    return f"{head} {forest_values(rows[:_SHOWN], lang)}"
