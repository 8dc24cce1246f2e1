"""Figures of needs: majority-judgment profiles, places with their uncertainty, burden part by part, the paradox."""

from collections.abc import Iterable, Sequence
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
    decimal_marks,
    described,
    drawable,
    required,
    sheet,
    wrapped,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS: Final = ("prevalence", "severity", "persistence", "unmet")
_PART_NAMES: Final = {
    "prevalence": ("personnes", "people"),
    "severity": ("gravité (part)", "severity (share)"),
    "persistence": ("années, au moins", "years, at least"),
    "unmet": ("non couvert (part)", "unmet (share)"),
}
_ALARM: Final = "#8a1c1c"
_PALEST, _DARKEST = 0.12, 0.85  # shades from the least to the most serious, told apart in print


def merit_profiles(
    table: pd.DataFrame, grades: Sequence[str], lang: Lang = "fr", *, simulated: bool = False
) -> "Figure":
    """Share of each grade by difficulty, most serious on the left, with the line at one half: the grade there decides.

    Args:
        table: columns label, majority (the majority grade in words) and profile (shares from the least serious on), in
            the order of the ranking.
        grades: labels, from the least to the most serious.
        lang: language of axes and text alternative.
        simulated: stamp the drawing, which may be cut out of its page.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("label", "majority", "profile"), "merit_profiles"), "merit_profiles", ["label"])
    shares = np.array([list(profile)[::-1] for profile in rows.profile], dtype=float)
    places = np.arange(len(rows))[::-1]
    with canvas(1.6 + 0.36 * len(rows), width=6.4) as (figure, axes):
        _stack(axes, shares, places, list(grades)[::-1])
        axes.axvline(0.5, color="black", linewidth=1.5)
        axes.set_yticks(places, wrapped(rows.label))
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1], [locale.percent(share, lang) for share in (0, 0.5, 1)])
        axes.set_xlabel(
            said("part des réponses ; la mention à 50 % décide", "share of answers; the grade at 50% decides", lang)
        )
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=SMALL)
        stamp = _stamp(axes, lang) if simulated else ""
    head = stamp + said("Profils de mérite, mention majoritaire", "Merit profiles, majority grade", lang)
    return described(figure, f"{head}. {listed(zip(rows.label, rows.majority, strict=True), lang)}", lang)


def rank_intervals(table: pd.DataFrame, top: int, lang: Lang = "fr", *, simulated: bool = False) -> "Figure":
    """Place of each difficulty with the interval that resampling gives, and how often it is among the first.

    Args:
        table: columns label, place, low, high, among_top, in the order of the ranking.
        top: k.
        lang: language of axes and text alternative.
        simulated: stamp the drawing, which may be cut out of its page.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    columns = ("label", "place", "low", "high", "among_top")
    rows = drawable(required(table, columns, "rank_intervals"), "rank_intervals", ["label"])
    places = np.arange(len(rows))[::-1]
    with canvas(1.2 + 0.34 * len(rows), width=6.4) as (figure, axes):
        axes.axvspan(0.5, top + 0.5, color=PALE, linewidth=0)
        axes.hlines(places, rows.low, rows.high, color=BLUE, linewidth=3)
        axes.plot(rows.place, places, "o", color=ORANGE, markeredgecolor="white", markersize=7)
        for place, share in zip(places, rows.among_top, strict=True):
            axes.annotate(
                locale.percent(share, lang, digits=0),
                (1.01, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=SMALL,
            )
        axes.set_yticks(places, wrapped(rows.label))
        axes.set_xticks(range(1, len(rows) + 1))
        axes.set_xlim(0.5, len(rows) + 0.5)
        axes.set_xlabel(_rank_axis(top, lang))
        stamp = _stamp(axes, lang) if simulated else ""
    values = [(row.label, _rank_words(row, top, lang)) for row in rows.itertuples()]
    head = stamp + said("Places et leur intervalle", "Places with their interval", lang)
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def burden_parts(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Small multiples: the four parts of a burden side by side, by difficulty; what nobody measured is hatched.

    Args:
        table: columns label, part (prevalence, severity, persistence, unmet), low, high and known; one row each.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, there is no row, or a part of a difficulty stands twice.
    """
    columns = ("label", "part", "low", "high", "known")
    rows = drawable(required(table, columns, "burden_parts"), "burden_parts", ["label", "part"])
    labels = list(dict.fromkeys(rows.label))
    with sheet(1.3 + 0.3 * len(labels), width=7.6) as figure:
        panels = figure.subplots(1, len(PARTS), sharey=True)
        for axes, part in zip(panels, PARTS, strict=True):
            _part_panel(axes, rows[rows.part == part].set_index("label").reindex(labels), part, lang)
        panels[0].set_yticks(range(len(labels))[::-1], wrapped(labels))
        note = said("hachuré : aucun chiffre lu, à recueillir", "hatched: no figure read, to be collected", lang)
        figure.supxlabel(note, fontsize=SMALL)
    unknown = [(label, _unknown_parts(rows[rows.label == label], lang)) for label in labels]
    head = said(
        "Poids de chaque difficulté, partie par partie ; ce qui manque", "Burden, part by part; what is missing", lang
    )
    return described(figure, f"{head}. {listed(unknown, lang)}", lang)


def paradox(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Share of the need that each answer reaches, on a scale where each step is ten times the one before.

    Args:
        table: columns label, low, high (shares, 0 to 1, above zero) and kind (flow or stock).
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("label", "low", "high", "kind"), "paradox"), "paradox", ["label"])
    places = np.arange(len(rows))[::-1]
    with canvas(1.3 + 0.34 * len(rows), width=6.4) as (figure, axes):
        for kind, colour, marker in (("flow", BLUE, "o"), ("stock", ORANGE, "s")):
            chosen = (rows.kind == kind).to_numpy()
            if chosen.any():
                axes.hlines(places[chosen], rows.low[chosen], rows.high[chosen], color=colour, linewidth=3)
                axes.plot(rows.low[chosen], places[chosen], marker, color=colour, label=_kind(kind, lang))
        axes.set_xscale("log")
        ticks = [10.0**power for power in range(-4, 1)]
        axes.set_xticks(ticks, [locale.percent(tick, lang) for tick in ticks])
        axes.set_xlim(ticks[0] / 2, 1.2)
        axes.minorticks_off()
        axes.axvline(1, color=GREY, linestyle=":")
        axes.set_yticks(places, wrapped(rows.label))
        axes.set_xlabel(said("part du besoin atteinte", "share of the need reached", lang))
        figure.legend(loc="outside upper left", fontsize=SMALL, ncols=2)
    values = [(row.label, f"{_range(row, lang)} {_kind(row.kind, lang)}") for row in rows.itertuples()]
    head = said("Part du besoin atteinte par chaque réponse", "Share of the need reached by each answer", lang)
    return described(figure, f"{head}. {listed(values, lang)}", lang)


# pieces --------------------------------------------------------------------------------------------------------------


def _stamp(axes: "Axes", lang: Lang) -> str:
    """Write above the axes that no person voted; return it for the text alternative."""
    text = said("DONNÉES SIMULÉES", "SIMULATED DATA", lang)
    axes.set_title(text, color=_ALARM, weight="bold", loc="right", fontsize=SMALL + 1)
    return f"{text}. "


def _stack(axes: "Axes", shares: "np.ndarray", places: "np.ndarray", grades: Sequence[str]) -> None:
    from matplotlib import colormaps

    shades = colormaps["Blues"](np.linspace(_DARKEST, _PALEST, len(grades)))
    left = np.zeros(len(shares))
    for column, (grade, shade) in enumerate(zip(grades, shades, strict=True)):
        axes.barh(places, shares[:, column], left=left, color=shade, edgecolor="white", linewidth=0.6, label=grade)
        left += shares[:, column]


def _part_panel(axes: "Axes", rows: pd.DataFrame, part: str, lang: Lang) -> None:
    places = np.arange(len(rows))[::-1]
    known = rows.known.fillna(value=False).astype(bool).to_numpy()
    numbers = known & rows.low.notna().to_numpy()
    axes.barh(
        places[~numbers],
        1,
        transform=axes.get_yaxis_transform(),
        color="white",
        edgecolor=PALE,
        hatch="////",
        height=0.7,
    )
    axes.hlines(places[numbers], rows.low[numbers], rows.high[numbers], color=BLUE, linewidth=3)
    axes.plot(rows.low[numbers], places[numbers], "|", color=BLUE, markersize=9)
    axes.plot(rows.high[numbers], places[numbers], "|", color=BLUE, markersize=9)
    axes.set_title(said(*_PART_NAMES[part], lang), fontsize=SMALL + 1)
    if part == "prevalence":
        ticks = [0.0, 1e3, 1e5, 1e7]
        axes.set_xscale("symlog", linthresh=ticks[1])
        axes.set_xticks(ticks, ["0", "10³", "10⁵", "10⁷"])
        axes.minorticks_off()
        axes.set_xlim(0, 3 * ticks[-1])
    elif part == "persistence":
        axes.set_xlim(0, 1.1 * max(10.0, float(rows.high.max()) if numbers.any() else 0))
    else:
        axes.set_xlim(0, 1.05)
    axes.tick_params(labelsize=SMALL - 1)
    if part != "prevalence":
        decimal_marks(axes, lang, vertical=False)


def _rank_axis(top: int, lang: Lang) -> str:
    fr = f"place (gris : {top} premières ; à droite : chances d'en être)"
    return said(fr, f"place (grey: first {top}; right: chance of being among them)", lang)


def _rank_words(row: object, top: int, lang: Lang) -> str:
    low, high, share = row.low, row.high, locale.percent(row.among_top, lang, digits=0)  # type: ignore[attr-defined]
    fr = f"place {row.place} (de {low} à {high}), {share} d'être parmi les {top} premières"  # type: ignore[attr-defined]
    return said(fr, f"place {row.place} ({low} to {high}), {share} among the first {top}", lang)  # type: ignore[attr-defined]


def _unknown_parts(rows: pd.DataFrame, lang: Lang) -> str:
    missing = rows[~rows.known.astype(bool)].part
    if missing.empty:
        return said("rien", "nothing", lang)
    return _joined(said(*_PART_NAMES[part], lang) for part in missing)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _kind(kind: str, lang: Lang) -> str:
    return said("par an", "a year", lang) if kind == "flow" else said("au total", "in all", lang)


def _range(row: object, lang: Lang) -> str:
    low, high = row.low, row.high  # type: ignore[attr-defined]
    first, last = locale.percent(low, lang, digits=2), locale.percent(high, lang, digits=2)
    return last if first == last else said(f"de {first} à {last}", f"{first} to {last}", lang)
