"""Figures of calibration: coverage by grade beside what was promised, and the funnel of a synthesis."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    canvas,
    described,
    drawable,
    required,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Z_95 = 1.959963984540054


def coverage_by_grade(rows: pd.DataFrame, lang: Lang = "fr", *, level: float = 0.95) -> "Figure":
    """Share of intervals that hold the truth, by grade: usual ones, and those with the bias of the grade.

    Args:
        rows: columns grade, conventional, inclusive: one row a grade.
        lang: language of axes and text alternative.
        level: promised share.

    Raises:
        InternalError: a column is missing, there is no row, or two for one grade.
    """
    rows = drawable(
        required(rows, ("grade", "conventional", "inclusive"), "coverage_by_grade"), "coverage_by_grade", ["grade"]
    )
    rows = rows.sort_values("grade")
    names = (
        said("intervalle usuel", "usual interval", lang),
        said("élargi au biais du niveau", "widened by the bias", lang),
    )
    with canvas(2.9, width=6.4) as (figure, axes):
        axes.axhline(100 * level, color=GREY, linewidth=1, linestyle="--")
        axes.plot(rows["grade"], 100 * rows["conventional"], "o-", color=ORANGE, label=names[0])
        axes.plot(rows["grade"], 100 * rows["inclusive"], "s-", color=BLUE, label=names[1])
        axes.set_xticks(list(rows["grade"]))
        axes.set_xlabel(said("niveau", "grade", lang), fontsize=SMALL)
        axes.set_ylabel(said("intervalles justes, %", "intervals that hold the truth, %", lang), fontsize=SMALL)
        axes.set_ylim(min(40.0, 100 * float(rows["conventional"].min()) - 5), 102)
        axes.legend(fontsize=SMALL, frameon=False, loc="lower right")
    grade = said("niveau", "grade", lang)
    values = [
        (f"{grade} {row.grade}, {name}", locale.percent(float(value), lang, digits=1))
        for row in rows.itertuples()
        for name, value in zip(names, (row.conventional, row.inclusive), strict=True)
    ]
    head = said(
        "Données simulées : part des intervalles à 95 % qui contiennent l'effet vrai",
        "Simulated data: share of 95% intervals that hold the true effect",
        lang,
    )
    return described(figure, f"{head}. {listed(values, lang)}", lang)


def funnel(rows: pd.DataFrame, centre: float, lang: Lang = "fr") -> "Figure":
    """Estimates against their standard errors, the most precise on top, with the 95 % limits around the pooled effect.

    Args:
        rows: columns estimate, std_error: one row a finding.
        centre: pooled effect.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(rows, ("estimate", "std_error"), "funnel"), "funnel")
    widest = 1.1 * float(rows["std_error"].max())
    depth = np.array([0.0, widest])
    outside = int((np.abs(rows["estimate"] - centre) > _Z_95 * rows["std_error"]).sum())
    with canvas(3.2, width=6.4) as (figure, axes):
        axes.plot(centre + _Z_95 * depth, depth, color=GREY, linestyle="--", linewidth=1)
        axes.plot(centre - _Z_95 * depth, depth, color=GREY, linestyle="--", linewidth=1)
        axes.axvline(centre, color=GREY, linewidth=1)
        axes.scatter(rows["estimate"], rows["std_error"], color=BLUE, s=22)
        axes.set_ylim(widest, 0)
        axes.set_xlabel(said("effet, écarts-types", "effect, standard deviations", lang), fontsize=SMALL)
        axes.set_ylabel(said("erreur type", "standard error", lang), fontsize=SMALL)
    values = [
        (locale.number(float(row.std_error), lang), locale.signed(float(row.estimate), lang))
        for row in rows.itertuples()
    ]
    head = said(
        f"Effets selon leur erreur type, autour de {locale.signed(centre, lang)} ; hors des limites : {outside}",
        f"Effects by standard error, around {locale.signed(centre, lang)}; outside the limits: {outside}",
        lang,
    )
    return described(figure, f"{head}. {listed(values, lang)}", lang)
