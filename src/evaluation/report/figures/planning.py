"""Figures about studies before and after the field: what a size can find, and who was lost on the way."""

from typing import TYPE_CHECKING

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    canvas,
    decimal_marks,
    described,
    drawable,
    has,
    required,
)
from evaluation.report.figures.wording import group_name, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEPS = {
    "assigned": ("tirés au sort", "assigned"),
    "baseline": ("vus avant", "seen before"),
    "endline": ("résultat connu", "outcome known"),
    "used": ("dans l'analyse", "in the analysis"),
}
_ARMS = ("treated", "comparison")


def power_curve(
    curve: pd.DataFrame,
    chosen: float,
    outcome_unit: str = "",
    lang: Lang = "fr",
    *,
    power: float = 0.8,
    effect: float | None = None,
) -> "Figure":
    """Smallest effect found, by size of the study, with the size that is planned.

    Args:
        curve: columns mde and clusters or units, rising; effects in the unit that the axis names.
        chosen: clusters (units) of the study that is planned.
        outcome_unit: unit of the vertical axis.
        lang: language of axes and text alternative.
        power: at which effects are found.
        effect: that is looked for; a line if given.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one size.
    """
    by = "clusters" if "clusters" in curve else "units"
    rows = drawable(required(curve, (by, "mde"), "power_curve"), "power_curve", [by])
    at = rows.loc[(rows[by] - chosen).abs().idxmin()]
    with canvas(3.2) as (figure, axes):
        axes.plot(rows[by], rows["mde"], color=BLUE)
        axes.plot(at[by], at["mde"], "o", color=ORANGE)
        if effect is not None:
            axes.axhline(effect, color=GREY, linestyle=":", linewidth=1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(said("groupes", "groups", lang) if by == "clusters" else said("personnes", "people", lang))
        axes.set_ylabel(_effect_label(outcome_unit, lang))
        decimal_marks(axes, lang)
    share = locale.percent(power, lang, digits=0)
    ends = [(row[by], row["mde"]) for _, row in rows.iloc[[0, -1]].iterrows()]
    numbers = [(locale.number(float(n), lang, digits=0), locale.number(float(mde), lang)) for n, mde in ends]
    marked = locale.number(float(at[by]), lang, digits=0), locale.number(float(at["mde"]), lang)
    text = said(
        f"Plus petit effet détecté avec une puissance de {share}, selon la taille : {numbers[0][1]} pour "
        f"{numbers[0][0]}, {numbers[1][1]} pour {numbers[1][0]} ; l'étude prévue : {marked[1]} pour {marked[0]}.",
        f"Smallest effect found with power {share}, by size: {numbers[0][1]} at {numbers[0][0]}, {numbers[1][1]} at "
        f"{numbers[1][0]}; the planned study: {marked[1]} at {marked[0]}.",
        lang,
    )
    return described(figure, text, lang)


def attrition_flow(flow: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Who came how far, arm by arm: boxes from the draw to the analysis, with those lost between them.

    Args:
        flow: table attrition_flow: step, arm, units, share and, where clusters were drawn, clusters; rows in order.
        lang: language of boxes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one step and arm.
    """
    name, columns = "attrition_flow", ("step", "arm", "units", "share")
    rows = drawable(required(flow, columns, name), name, ["step", "arm"])
    steps = list(dict.fromkeys(rows["step"]))
    with canvas(0.5 + 0.95 * len(steps), 5.6) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, 2)
        axes.set_ylim(-0.5, len(steps) - 0.1)
        for column, arm in enumerate(_ARMS):
            _column(axes, rows[rows["arm"] == arm].set_index("step").reindex(steps), column, lang)
            axes.text(column + 0.4, len(steps) - 0.45, group_name(arm, lang), ha="center", weight="bold")
    return described(figure, _flow_alt(rows, lang), lang)


def _column(axes: "Axes", boxes: pd.DataFrame, column: int, lang: Lang) -> None:
    """Boxes of one arm from top to bottom; right of each arrow, how many were lost there."""
    before = None
    for place, (step, row) in enumerate(boxes.iterrows()):
        height = len(boxes) - 1 - place
        axes.text(
            column + 0.4,
            height,
            _box(str(step), row, lang),
            ha="center",
            va="center",
            fontsize=SMALL,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLUE if column == 0 else ORANGE},
        )
        if before is not None:
            ends = (column + 0.4, height + 0.3), (column + 0.4, height + 0.7)
            axes.annotate("", *ends, arrowprops={"arrowstyle": "->", "color": GREY})
            lost = locale.number(float(before - row["units"]), lang, digits=0)
            axes.text(column + 0.46, height + 0.5, f"\u2212{lost}", va="center", fontsize=SMALL, color=GREY)
        before = row["units"]


def _box(step: str, row: "pd.Series[float]", lang: Lang) -> str:
    text = f"{_step(step, lang)}\n{locale.number(float(row['units']), lang, digits=0)}"
    text += f" ({locale.percent(float(row['share']), lang, digits=1)})"
    if "clusters" in row and pd.notna(row["clusters"]):
        groups = locale.number(float(row["clusters"]), lang, digits=0)
        text += f"\n{groups} {said('groupes', 'groups', lang)}"
    return text


def _step(step: str, lang: Lang) -> str:
    return said(*_STEPS.get(step, (step, step)), lang)


def _flow_alt(rows: pd.DataFrame, lang: Lang) -> str:
    arms = []
    for arm in _ARMS:
        own = rows[rows["arm"] == arm].set_index("step")
        parts = [
            f"{locale.number(float(units), lang, digits=0)} {_step(str(step), lang)}"
            for step, units in own["units"].items()
        ]
        arms.append(f"{group_name(arm, lang)}{said(' : ', ': ', lang)}{', '.join(parts)}")
    head = said("Du tirage au sort à l'analyse", "From the draw to the analysis", lang)
    groups = said(", en groupes entiers", ", in whole groups", lang) if has(rows, "clusters") else ""
    return f"{head}{groups}. {'. '.join(arms)}."


def _effect_label(unit: str, lang: Lang) -> str:
    text = said("plus petit effet détecté", "smallest effect found", lang)
    return f"{text} ({unit})" if unit else text
