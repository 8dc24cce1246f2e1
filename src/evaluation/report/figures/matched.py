"""Figures of matching: overlap of the scores, and how far partners are apart."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.comparisons import love_plot
from evaluation.report.figures.drawing import (
    BLUE,
    ORANGE,
    PALE,
    canvas,
    decimal_marks,
    described,
    drawable,
    legend_above,
    required,
)
from evaluation.report.figures.weights import hidden_factor
from evaluation.report.figures.wording import group_name, said, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COMMON = (0.1, 0.9)  # between these scores comparisons are sound (Crump, Hotz, Imbens and Mitnik 2009)
_FILLS = {"treated": BLUE, "comparison": ORANGE}


def score_overlap(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Shares of each group by score: treated above the line, comparison below; before (outline) and after (filled).

    Args:
        table: columns group (treated, comparison), low, high (edges of bins of the score), n (units) and weight (after
            the adjustment).
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one group and bin.
    """
    columns = ("group", "low", "high", "n", "weight")
    rows = drawable(required(table, columns, "score_overlap"), "score_overlap", ["group", "low"])
    rows = rows.assign(before=_shares(rows, "n"), after=_shares(rows, "weight"))
    with canvas(3.2) as (figure, axes):
        axes.axvspan(*COMMON, color=PALE, alpha=0.35, linewidth=0)
        for name, sign in (("treated", 1.0), ("comparison", -1.0)):
            _mirrored(axes, rows[rows.group == name], sign, group_name(name, lang), lang)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel(word("score", lang))
        axes.set_ylabel(word("share_of_group", lang))
        decimal_marks(axes, lang)
        axes.set_yticks(axes.get_yticks(), [locale.percent(abs(float(v)), lang) for v in axes.get_yticks()])
        legend_above(axes)
    return described(figure, _overlap_alt(rows, lang), lang)


def pair_distances(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """How many matched pairs are how far apart.

    Args:
        table: columns low, high (edges of bins of the distance) and pairs.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one bin.
    """
    rows = drawable(required(table, ("low", "high", "pairs"), "pair_distances"), "pair_distances", ["low"])
    with canvas(2.6) as (figure, axes):
        axes.bar(rows.low, rows.pairs, width=rows.high - rows.low, align="edge", color=BLUE, edgecolor="white")
        axes.set_xlim(left=0)
        axes.set_xlabel(word("pair_distance", lang))
        axes.set_ylabel(word("pairs", lang))
        decimal_marks(axes, lang)
    return described(figure, _distances_alt(rows, lang), lang)


def matching_credibility(
    tables: Mapping[str, pd.DataFrame], outcome_unit: str = "", lang: Lang = "fr"
) -> "list[Figure]":
    """What speaks for or against a matched comparison: one figure for each table of the finding that is there.

    Args:
        tables: of the finding: balance, score, pair_distances, hidden_factor.
        outcome_unit: unit of the effect.
        lang: language of axes and text alternatives.
    """
    shown = []
    if "balance" in tables:
        shown.append(love_plot(tables["balance"], lang))
    if "score" in tables:
        shown.append(score_overlap(tables["score"], lang))
    if "pair_distances" in tables:
        shown.append(pair_distances(tables["pair_distances"], lang))
    if "hidden_factor" in tables:
        shown.append(hidden_factor(tables["hidden_factor"], outcome_unit, lang))
    return shown


def _shares(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    return rows[column] / rows.groupby("group")[column].transform("sum")


def _mirrored(axes: "Axes", rows: pd.DataFrame, sign: float, name: str, lang: Lang) -> None:
    """After the adjustment in the colour of the group, before it as an outline."""
    if rows.empty:
        return
    width = rows.high - rows.low
    before = word("before", lang) if sign > 0 else None
    axes.bar(rows.low, sign * rows.after, width=width, color=_FILLS[str(rows.group.iloc[0])], label=name, align="edge")
    axes.bar(rows.low, sign * rows.before, width=width, fill=False, edgecolor="black", label=before, align="edge")


def _overlap_alt(rows: pd.DataFrame, lang: Lang) -> str:
    """Of each group the share in the common range, before and after."""
    parts = []
    for name in ("treated", "comparison"):
        own = rows[(rows.group == name) & (rows.low >= COMMON[0] - 1e-9) & (rows.high <= COMMON[1] + 1e-9)]
        before, after = (locale.percent(float(own[column].sum()), lang) for column in ("before", "after"))
        group = group_name(name, lang)
        parts.append(said(f"{group} : {before}, puis {after}", f"{group}: {before}, then {after}", lang))
    head = said(
        "Scores de propension des deux groupes ; part entre 0,1 et 0,9 avant et après ajustement",
        "Propensity scores of the two groups; share between 0.1 and 0.9 before and after adjustment",
        lang,
    )
    return f"{head}{' : ' if lang == 'fr' else ': '}{' ; '.join(parts) if lang == 'fr' else '; '.join(parts)}."


def _distances_alt(rows: pd.DataFrame, lang: Lang) -> str:
    pairs, cumulated = int(rows.pairs.sum()), rows.pairs.cumsum() / max(rows.pairs.sum(), 1)
    half = locale.number(float(rows.high[cumulated >= 0.5].iloc[0]), lang) if pairs else "0"
    most = locale.number(float(rows.high.max()), lang)
    return said(
        f"Distance au sein de {pairs} paires appariées : la moitié sont à {half} au plus, toutes à {most} au plus.",
        f"Distance within {pairs} matched pairs: half are at most {half} apart, all at most {most}.",
        lang,
    )
