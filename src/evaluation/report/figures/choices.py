"""Figures of selection: what an effect costs, how sure that it is worth it, what matters, what a budget buys.

Every table comes from `evaluation.selection`; nothing is computed here but where to draw.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.comparisons import forest
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    canvas,
    decimal_marks,
    described,
    drawable,
    legend_above,
    required,
    wrapped,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS: Final = ("o", "s", "^", "D", "v", "P")
_LINES: Final = ("-", "--", "-.", ":")
_COLOURS: Final = (BLUE, ORANGE, GREY)
_LINKS: Final[Mapping[str, tuple[str, str]]] = {
    "effect": ("effet", "effect"),
    "transfer": ("passage au territoire", "transfer to the territory"),
    "voltage": ("perte à grande échelle", "loss at scale"),
    "displacement": ("perte pour d'autres", "loss to others"),
    "value": ("valeur d'un résultat", "value of one outcome"),
    "cost": ("coût par personne", "cost per person"),
    "elasticity": ("coût selon le nombre", "cost by number of people"),
}
_DECISIONS: Final[Mapping[str, tuple[str, str]]] = {
    "GENERALISER": ("généraliser", "scale up"),
    "ETENDRE_SOUS_EVALUATION": ("étendre sous évaluation", "extend under evaluation"),
    "EXPERIMENTER": ("expérimenter", "test"),
    "REVOIR": ("revoir", "revise"),
    "NE_PAS_RETENIR": ("ne pas retenir", "do not select"),
    "DONNEES_INSUFFISANTES": ("données insuffisantes", "insufficient data"),
}


def cost_plane(options: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Cost-effectiveness plane: the cost of one person against what that person gains, with its uncertainty.

    Args:
        options: columns label, gain, gain_low, gain_high, cost; one row an innovation.
        outcome_unit: unit of the gain.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    columns = ("label", "gain", "gain_low", "gain_high", "cost")
    rows = drawable(required(options, columns, "cost_plane"), "cost_plane", ["label"])
    with canvas(3.6) as (figure, axes):
        axes.axvline(0, color=GREY, linewidth=1)
        for place, row in enumerate(rows.itertuples()):
            colour, mark = _COLOURS[place % len(_COLOURS)], _MARKS[place % len(_MARKS)]
            axes.plot([row.gain_low, row.gain_high], [row.cost, row.cost], color=colour, linewidth=1)
            axes.plot(row.gain, row.cost, mark, color=colour, label=str(row.label))
        axes.set_xlabel(_with_unit(said("gain par personne", "gain for one person", lang), outcome_unit))
        axes.set_ylabel(said("coût par personne (euros)", "cost per person (EUR)", lang))
        axes.set_ylim(bottom=0)
        decimal_marks(axes, lang)
        legend_above(axes)
    head = said("Coût et gain par personne", "Cost and gain for one person", lang)
    values = [(row.label, _cost_and_gain(row, lang)) for row in rows.itertuples()]
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def acceptability(curves: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """Acceptability curve: the probability of being worth the cost, by what one outcome is worth to the reader.

    Args:
        curves: columns label, willingness (EUR for one outcome), probability.
        outcome_unit: unit of the outcome.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, there is no row, or two for one point.
    """
    columns = ("label", "willingness", "probability")
    rows = drawable(required(curves, columns, "acceptability"), "acceptability", ["label", "willingness"])
    with canvas(3.2) as (figure, axes):
        for place, (label, curve) in enumerate(rows.groupby("label", sort=False)):
            colour, line = _COLOURS[place % len(_COLOURS)], _LINES[place % len(_LINES)]
            axes.plot(curve.willingness, curve.probability, label=str(label), color=colour, linestyle=line)
        axes.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_ylim(0, 1)
        axes.set_xlabel(_with_unit(said("euros pour un résultat", "EUR for one outcome", lang), outcome_unit))
        axes.set_ylabel(said("probabilité de valoir son coût", "probability of being worth its cost", lang))
        decimal_marks(axes, lang)
        legend_above(axes)
    head = said("Probabilité de valoir son coût", "Probability of being worth its cost", lang)
    ends = [(label, _ends(curve, lang)) for label, curve in rows.groupby("label", sort=False)]
    return described(figure, f"{head}. {listed(ends, lang)}", lang)


def tornado(links: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """What matters most: the net benefit with one link low or high and the others at their median.

    Args:
        links: columns link, low, high, share (of the variance), the largest swing first.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, there is no row, or two for one link.
    """
    rows = drawable(required(links, ("link", "low", "high", "share"), "tornado"), "tornado", ["link"])
    places = list(range(len(rows)))[::-1]
    names = [said(*_LINKS.get(str(link), (str(link), str(link))), lang) for link in rows.link]
    with canvas(1.2 + 0.32 * len(rows)) as (figure, axes):
        axes.barh(places, rows.high - rows.low, left=rows.low, height=0.6, color=BLUE)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(places, wrapped(names))
        axes.set_xlabel(said("bénéfice net par personne (euros)", "net benefit for one person (EUR)", lang))
        decimal_marks(axes, lang, vertical=False)
    head = said("Bénéfice net quand un maillon varie seul", "Net benefit when one link alone varies", lang)
    share = said("de la variance", "of the variance", lang)
    values = [
        (name, f"{locale.interval(row.low, row.high, lang)}, {locale.percent(row.share, lang)} {share}")
        for name, row in zip(names, rows.itertuples(), strict=True)
    ]
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def frontier(points: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Efficient frontier: the most that a budget can bring for each number of choices that are expected to be wrong.

    Args:
        points: columns expected_false, value (EUR); both rise.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, there is no row, or two for one point.
    """
    rows = drawable(required(points, ("expected_false", "value"), "frontier"), "frontier", ["expected_false"])
    with canvas(3.0) as (figure, axes):
        axes.step(rows.expected_false, rows.value, where="post", color=BLUE)
        axes.plot(rows.expected_false, rows.value, "o", color=BLUE)
        axes.set_xlabel(said("choix qui seraient des erreurs (espérance)", "choices expected to be wrong", lang))
        axes.set_ylabel(said("bénéfice net (euros)", "net benefit (EUR)", lang))
        decimal_marks(axes, lang)
    head = said("Bénéfice net selon les erreurs admises", "Net benefit by the errors accepted", lang)
    values = [
        (locale.number(row.expected_false, lang), locale.money(row.value, "EUR", lang)) for row in rows.itertuples()
    ]
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def league(rows: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """League table as a figure: net benefit for one person with its 90 % interval and the decision, the best first.

    Args:
        rows: columns label, decision, net, net_low, net_high.
        lang: language of labels and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    table = drawable(required(rows, ("label", "decision", "net", "net_low", "net_high"), "league"), "league", ["label"])
    ordered = table.sort_values("net", ascending=False, kind="stable")
    labels = [f"{row.label} ({decision_name(str(row.decision), lang)})" for row in ordered.itertuples()]
    drawn = ordered.rename(columns={"net": "estimate", "net_low": "ci_low", "net_high": "ci_high"})
    return forest(drawn.assign(label=labels), said("euros par personne", "EUR per person", lang), lang, level=0.9)


def decision_name(decision: str, lang: Lang) -> str:
    """A decision in lower-case words; one's own words stay."""
    return said(*_DECISIONS.get(decision, (decision, decision)), lang)


def _cost_and_gain(row: Any, lang: Lang) -> str:
    span = locale.interval(row.gain_low, row.gain_high, lang)
    return f"{locale.money(row.cost, 'EUR', lang)}, {locale.number(row.gain, lang)} ({span})"


def _ends(curve: pd.DataFrame, lang: Lang) -> str:
    """First and last point of a curve."""
    points = [curve.iloc[0], curve.iloc[-1]]
    return ", ".join(
        f"{locale.percent(point.probability, lang)} ({locale.money(point.willingness, 'EUR', lang)})"
        for point in points
    )


def _with_unit(text: str, unit: str) -> str:
    return f"{text} ({unit})" if unit else text
