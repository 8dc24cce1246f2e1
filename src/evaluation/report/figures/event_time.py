"""The effect by number of periods since the start."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    PALE,
    SMALL,
    canvas,
    decimal_marks,
    described,
    drawable,
    filled,
    has,
    label_every,
    legend_below,
    required,
    with_interval,
)
from evaluation.report.figures.wording import axis, in_unit, interval_name, listed, said, value_of, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE: Final = 6  # of points


def event_study(
    effects: pd.DataFrame,
    outcome_unit: str,
    lang: Lang = "fr",
    *,
    reference: int | None = None,
    anticipation: int = 0,
    level: float = 0.95,
) -> "Figure":
    """Effects by time since the start, with pointwise intervals and, where given, the simultaneous band.

    Periods before the start stand on grey, those in which an effect may show early are hatched. The reference is a
    hollow point: a row with estimate 0 and no standard error.

    Args:
        effects: rows of the record's effects; those with an `event_time` and the term event_time or pre_trend
            are drawn. Columns estimate, ci_low, ci_high and, if there, std_error, band_low, band_high, in units of the
            outcome, and cohorts, the number of cohorts behind an effect.
        outcome_unit: unit of the vertical axis.
        lang: language of axes and text alternative.
        reference: event time of the reference, if it has no row or is not told by its numbers.
        anticipation: number of periods before the start that are part of the window.
        level: probability of intervals and band.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one event time.
    """
    rows = _timed(effects, reference)
    with canvas(3.7) as (figure, axes):
        _shades(axes, rows.event_time, anticipation, lang)
        axes.axhline(0, color=GREY, linewidth=1)
        axes.axvline(-0.5, color="black", linewidth=1, linestyle=":")
        _effects(axes, rows, lang, level)
        _time_axis(axes, rows, lang)
        axes.set_ylabel(axis("effect", outcome_unit, lang))
        decimal_marks(axes, lang, horizontal=False)
        legend_below(figure, axes.get_legend_handles_labels()[0])
    return described(figure, _alt(rows, outcome_unit, lang, level), lang)


def _timed(effects: pd.DataFrame, reference: int | None) -> pd.DataFrame:
    """Rows by event time, one each, in order; `known_zero` marks the reference."""
    rows = required(effects, ("term", "event_time", "estimate", "ci_low", "ci_high"), "event_study")
    rows = rows[rows.event_time.notna() & rows.term.isin(["event_time", "pre_trend"])]
    rows = drawable(rows.assign(event_time=rows.event_time.astype(int)), "event_study", ["event_time"])
    rows = rows.assign(known_zero=_zero_by_construction(rows) | (rows.event_time == reference))
    if reference is not None and not (rows.event_time == reference).any():
        rows.loc[len(rows), ["event_time", "estimate", "known_zero"]] = [reference, 0.0, True]
        rows = rows.astype({"event_time": int, "known_zero": bool})
    return rows.sort_values("event_time", ignore_index=True)


def _zero_by_construction(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Estimate zero without a standard error (or, in a table without these, without an interval)."""
    error = rows["std_error"] if "std_error" in rows else rows["ci_low"]
    zero: pd.Series[bool] = (rows.estimate == 0) & error.isna() & rows.ci_low.isna()
    return zero


def _shades(axes: "Axes", times: "pd.Series[int]", anticipation: int, lang: Lang) -> None:
    """Grey before the start, hatched where an effect may show early, and words above."""
    first, last = int(times.min()) - 0.5, int(times.max()) + 0.5
    axes.set_xlim(first, last)
    if first < -0.5:
        axes.axvspan(first, -0.5, color=PALE, alpha=0.35, linewidth=0)
        _above(axes, min(-0.5, last), "right", f"{word('pre', lang)} ←")
    if last > -0.5:
        _above(axes, max(-0.5, first), "left", f"→ {word('post', lang)}")
    if anticipation > 0:
        axes.axvspan(
            max(first, -anticipation - 0.5), -0.5, fill=False, hatch="///", edgecolor=GREY, linewidth=0,
            label=word("anticipation", lang),
        )  # fmt: skip


def _above(axes: "Axes", x: float, side: str, text: str) -> None:
    offset = 4 if side == "left" else -4
    axes.annotate(
        text, (x, 1), (offset, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha=side, va="bottom", fontsize=SMALL + 1, annotation_clip=False,
    )  # fmt: skip


def _effects(axes: "Axes", rows: pd.DataFrame, lang: Lang, level: float) -> None:
    """Thin whiskers with caps for the simultaneous band, thick ones for the intervals, then the points."""
    drawn = rows[~rows.known_zero]
    _band(axes, filled(drawn, "band_low", "band_high"), lang)
    label = interval_name(level, lang)
    for part, colour, marker in ((drawn.event_time < 0, GREY, "o"), (drawn.event_time >= 0, BLUE, "s")):
        known = drawn[part & with_interval(drawn)]
        if len(known):
            axes.vlines(known.event_time, known.ci_low, known.ci_high, color=colour, linewidth=2.2, label=label)
            label = "_"  # one line of the legend for both colours
        axes.plot(drawn.event_time[part], drawn.estimate[part], marker, color=colour, markersize=_SIZE)
    zero = rows[rows.known_zero]
    if len(zero):
        axes.plot(
            zero.event_time, zero.estimate, "o", color="black", markerfacecolor="white", markersize=_SIZE,
            label=word("reference", lang),
        )  # fmt: skip


def _band(axes: "Axes", drawn: pd.DataFrame, lang: Lang) -> None:
    known = drawn[drawn.band_low.notna() & drawn.band_high.notna()]
    if known.empty:
        return
    axes.errorbar(
        known.event_time, known.estimate, yerr=[known.estimate - known.band_low, known.band_high - known.estimate],
        fmt="none", ecolor="black", elinewidth=0.7, capsize=4, label=word("band", lang),
    )  # fmt: skip


def _time_axis(axes: "Axes", rows: pd.DataFrame, lang: Lang) -> None:
    """Every period that fits, zero among them; below each, in brackets, its number of cohorts."""
    labels = [_tick(row, lang) for _, row in rows.iterrows()]
    step = label_every([max(label.split("\n"), key=len) for label in labels])
    kept = [place for place, time in enumerate(rows.event_time) if time % step == 0]
    axes.set_xticks([int(rows.event_time[place]) for place in kept], [labels[place] for place in kept])
    counted = f"\n{word('cohorts', lang)}" if has(rows, "cohorts") else ""
    axes.set_xlabel(f"{word('after_start', lang)}{counted}")


def _tick(row: Any, lang: Lang) -> str:
    text = locale.number(int(row.event_time), lang)
    counted = pd.notna(row.get("cohorts"))
    return f"{text}\n({int(row.cohorts)})" if counted else text


def _alt(rows: pd.DataFrame, unit: str, lang: Lang, level: float) -> str:
    band = said(" et bande simultanée", " and simultaneous band", lang) if has(rows, "band_low") else ""
    head = said(
        f"Effet selon le nombre de périodes depuis le début{in_unit(unit, lang)}, avec ",
        f"Effect by number of periods since the start{in_unit(unit, lang)}, with ",
        lang,
    )
    return f"{head}{interval_name(level, lang)}{band}. {listed(_points(rows, lang), lang)}"


def _points(rows: pd.DataFrame, lang: Lang) -> Iterator[tuple[str, str]]:
    for _, row in rows.iterrows():
        value = word("reference", lang) if row.known_zero else value_of(row, lang)
        yield locale.number(int(row.event_time), lang), value
