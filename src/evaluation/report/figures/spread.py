"""Figures of diffusion: fan chart with the need line, and the scale funnel."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    SMALL,
    canvas,
    cut,
    described,
    drawable,
    required,
    wrapped,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MUCH_LARGER: Final = 15  # a line so many times above the figures needs a scale where each step multiplies
_FAN: Final = ("at", "low", "inner_low", "median", "inner_high", "high")


def fan_chart(
    points: pd.DataFrame,
    fan: pd.DataFrame,
    curve: pd.DataFrame,
    lines: pd.DataFrame,
    unit: str,
    lang: Lang = "fr",
    *,
    caution: str = "",
) -> "Figure":
    """Figures so far, the best curve, the fan of those to come, and horizontal lines for need, potential or ceiling.

    Args:
        points: columns at (year), value, fitted (False: drawn hollow, in no fit).
        fan: columns at, low, inner_low, median, inner_high, high; no row where nothing is forecast.
        curve: columns at, value; no row where no curve was fitted.
        lines: columns label, value; no row without a line.
        unit: of the figures.
        lang: language of axes and text alternative.
        caution: a sentence written under the axes, such as 'ceiling not identified'.

    Raises:
        InternalError: a column is missing, or there is no point.
    """
    shown = drawable(required(points, ("at", "value", "fitted"), "fan_chart"), "fan_chart", ["at", "fitted"])
    required(fan, _FAN, "fan_chart")
    required(lines, ("label", "value"), "fan_chart")
    with canvas(3.6, width=6.4) as (figure, axes):
        _scale(axes, shown, fan, lines, lang)
        _fan(axes, fan, lang)
        if len(curve):
            axes.plot(curve["at"], curve["value"], color=BLUE, linewidth=1.2, label=said("courbe", "curve", lang))
        _points(axes, shown, lang)
        for line, (dash, colour) in zip(lines.itertuples(), _DASHES, strict=False):
            axes.axhline(line.value, linestyle=dash, color=colour, label=cut(str(line.label)))
        axes.set_xlabel(caution, fontsize=SMALL)
        axes.set_ylabel(cut(unit))
        figure.legend(loc="outside upper left", fontsize=SMALL, ncols=2)
    return described(figure, _fan_words(shown, fan, lines, unit, lang, caution), lang)


def scale_funnel(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """From the need to those who benefit, each step a bar on a scale where each step is ten times the one before.

    Args:
        table: columns label, value (NaN where nobody counted), bound (exact, about, lower, upper), in their order.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("label", "value", "bound"), "scale_funnel"), "scale_funnel", ["label"])
    places, known = np.arange(len(rows))[::-1], rows["value"].notna().to_numpy()
    top = float(rows["value"].max()) * 20
    with canvas(1.1 + 0.36 * len(rows), width=6.4) as (figure, axes):
        axes.set_xscale("log")
        axes.barh(places[known], rows["value"][known], color=BLUE, height=0.7)
        axes.barh(places[~known], top, color="white", edgecolor=PALE, hatch="////", height=0.7)
        for place, row in zip(places, rows.itertuples(), strict=True):
            text = _amount(row.value, str(row.bound), lang)
            at = float(row.value) if pd.notna(row.value) else 1.0
            axes.annotate(text, (at, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL)
        axes.set_yticks(places, wrapped(rows["label"]))
        axes.set_xlim(1, top)
        axes.set_xticks([], [])
        axes.minorticks_off()
        note = said("hachuré : personne n'a compté, à recueillir", "hatched: nobody counted, to be collected", lang)
        axes.set_xlabel(note, fontsize=SMALL)
    values = [(row.label, _amount(row.value, str(row.bound), lang)) for row in rows.itertuples()]
    head = said("Du besoin au bénéfice, étape par étape", "From the need to the benefit, step by step", lang)
    return described(figure, f"{head}. {listed(values, lang)}", lang)


# pieces --------------------------------------------------------------------------------------------------------------

_DASHES: Final = (("--", ORANGE), (":", GREEN), ("-.", GREY))


def _scale(axes: "Axes", points: pd.DataFrame, fan: pd.DataFrame, lines: pd.DataFrame, lang: Lang) -> None:
    from matplotlib.ticker import FuncFormatter

    most = float(max([points["value"].max(), *fan["high"]]))
    if len(lines) and lines["value"].max() > _MUCH_LARGER * most:
        axes.set_yscale("log")
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1.08 * max([most, *lines["value"]]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: locale.people(float(value), lang)))


def _fan(axes: "Axes", fan: pd.DataFrame, lang: Lang) -> None:
    if not len(fan):
        return
    outer = said("éventail", "fan", lang)
    axes.fill_between(fan["at"], fan["low"], fan["high"], color=BLUE, alpha=0.15, linewidth=0, label=outer)
    axes.fill_between(fan["at"], fan["inner_low"], fan["inner_high"], color=BLUE, alpha=0.3, linewidth=0)
    axes.plot(fan["at"], fan["median"], color=BLUE, linestyle=(0, (4, 2)), linewidth=1)


def _points(axes: "Axes", points: pd.DataFrame, lang: Lang) -> None:
    used = points["fitted"].astype(bool)
    axes.plot(points["at"][used], points["value"][used], "o", color=ORANGE, label=said("chiffres", "figures", lang))
    if not used.all():
        out = said("hors de la courbe", "in no fit", lang)
        axes.plot(points["at"][~used], points["value"][~used], "o", color=GREY, fillstyle="none", label=out)


def _fan_words(
    points: pd.DataFrame, fan: pd.DataFrame, lines: pd.DataFrame, unit: str, lang: Lang, caution: str
) -> str:
    last = points.iloc[-1]
    amount, year = locale.people(float(last.value), lang), int(last["at"])
    out = "" if last.fitted else said(" (hors de la courbe)", " (in no fit)", lang)
    text = said(
        f"Diffusion, en {unit} : dernier chiffre {amount} en {year}{out}",
        f"Diffusion, {unit}: last figure {amount} in {year}{out}",
        lang,
    )
    if len(fan):
        end = fan.iloc[-1]
        low, high = locale.people(float(end.low), lang), locale.people(float(end.high), lang)
        year = int(end["at"])
        text += said(f" ; de {low} à {high} attendus en {year}", f"; {low} to {high} expected in {year}", lang)
    values = [(row.label, locale.people(float(row.value), lang)) for row in lines.itertuples()]
    tail = f" {listed(values, lang)}" if values else ""
    return f"{text}.{tail} {caution}".strip()


def _amount(value: float, bound: str, lang: Lang) -> str:
    if pd.isna(value):
        return said("non compté", "not counted", lang)
    text = locale.people(float(value), lang)
    words = {
        "upper": ("moins de ", "fewer than "),
        "lower": ("plus de ", "more than "),
        "about": ("environ ", "about "),
    }
    return said(*words.get(bound, ("", "")), lang) + text
