"""Figures of a discontinuity: means on both sides of the threshold with their lines, and the effect by bandwidth."""

from typing import TYPE_CHECKING

import pandas as pd

from evaluation.report import locale
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
)
from evaluation.report.figures.wording import axis, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def discontinuity(table: pd.DataFrame, unit: str = "", lang: Lang = "fr") -> "Figure":
    """Means of the outcome by bins of the score with their intervals, the fitted lines, and the threshold.

    Args:
        table: columns side (left, right), score, mean, ci_low, ci_high, n, line, name (of the score), cutoff.
        unit: unit of the outcome.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    columns = ("side", "score", "mean", "ci_low", "ci_high", "n", "line", "name", "cutoff")
    rows = drawable(required(table, columns, "discontinuity"), "discontinuity", ["score"]).sort_values("score")
    score, cutoff = str(rows["name"].iloc[0]), float(rows["cutoff"].iloc[0])
    with canvas(3.4) as (figure, axes):
        axes.axvline(cutoff, color=GREY, linewidth=1.5)
        for side, color in (("left", ORANGE), ("right", BLUE)):
            part = rows[rows["side"] == side]
            axes.vlines(part["score"], part["ci_low"], part["ci_high"], color=color, alpha=0.5, linewidth=1)
            axes.plot(part["score"], part["mean"], "o", markersize=4, color=color, label=word(f"side_{side}", lang))
            axes.plot(part["score"], part["line"], color=color, linewidth=2)
        axes.set_xlabel(f"{score} ({word('threshold', lang)} {locale.number(cutoff, lang)})")
        axes.set_ylabel(axis("mean", unit, lang))
        decimal_marks(axes, lang)
        legend_above(axes)
    return described(figure, _alt(rows, cutoff, score, lang), lang)


def _alt(rows: pd.DataFrame, cutoff: float, score: str, lang: Lang) -> str:
    """Kind, axes, and the two ends of the lines nearest to the threshold."""
    nearest = (
        rows.dropna(subset=["line"])
        .assign(gap=lambda drawn: (drawn["score"] - cutoff).abs())
        .sort_values("gap")
        .groupby("side")
        .first()
    )
    ends = [
        locale.number(float(nearest.loc[side, "line"]), lang) for side in ("left", "right") if side in nearest.index
    ]
    told = " ; ".join(ends) if lang == "fr" else "; ".join(ends)
    if lang == "fr":
        means = f"Moyennes du résultat selon {score}, avec intervalles, de part et d'autre du seuil"
        return f"{means} ; lignes au seuil : {told}."
    means = f"Means of the outcome by {score}, with intervals, on both sides of the threshold"
    return f"{means}; lines at the threshold: {told}."


def bandwidth_curve(table: pd.DataFrame, unit: str = "", lang: Lang = "fr") -> "Figure":
    """The effect and its interval by bandwidth.

    Args:
        table: columns bandwidth, estimate, ci_low, ci_high.
        unit: unit of the effect.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, there is no row, or two for one bandwidth.
    """
    columns = ("bandwidth", "estimate", "ci_low", "ci_high")
    known = required(table, columns, "bandwidth_curve").dropna(subset=["estimate"])
    rows = drawable(known, "bandwidth_curve", ["bandwidth"])
    with canvas(3.0) as (figure, axes):
        axes.axhline(0, color="black", linewidth=0.8)
        reach = [rows["estimate"] - rows["ci_low"], rows["ci_high"] - rows["estimate"]]
        axes.errorbar(rows["bandwidth"], rows["estimate"], yerr=reach, fmt="o", color=BLUE, capsize=3)
        axes.set_xlabel(word("bandwidth", lang))
        axes.set_ylabel(axis("effect", unit, lang))
        decimal_marks(axes, lang)
    return described(figure, _curve_alt(rows, lang), lang)


def _curve_alt(rows: pd.DataFrame, lang: Lang) -> str:
    low, high = (locale.number(float(value), lang) for value in (rows["estimate"].min(), rows["estimate"].max()))
    if lang == "fr":
        return f"Effet selon la largeur de la fenêtre, {len(rows)} largeurs ; de {low} à {high}, avec intervalles."
    return f"Effect by bandwidth, {len(rows)} bandwidths; from {low} to {high}, with intervals."
