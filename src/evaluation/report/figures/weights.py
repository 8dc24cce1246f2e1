"""Figures of weighting: balance of several weightings at once, sizes of weights, what a hidden factor would do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.comparisons import love_plot
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
    legend_above,
    required,
    wrapped,
)
from evaluation.report.figures.robustness import estimators
from evaluation.report.figures.wording import group_name, in_unit, listed, said, word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BOUNDS: Final = (0.05, 0.25)  # of standardised differences (What Works Clearinghouse)
_GRID: Final = 60  # points of the contour along each axis
_NAMED: Final = 6  # covariates whose names fit beside their points


def balance_map(balance: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Heat map of absolute standardised differences: a row a covariate, columns before and after, numbers in the cells.

    Cells above 0.25 are hatched, so that the message does not rest on colour.

    Args:
        balance: columns covariate, smd_before and, where an adjustment was made, smd_after.
        lang: language of labels and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(balance, ("covariate", "smd_before"), "balance_map"), "balance_map")
    columns = ["smd_before", *(["smd_after"] if has(rows, "smd_after") else [])]
    values = rows[columns].abs().to_numpy(dtype=float)
    with canvas(1.1 + 0.3 * len(rows)) as (figure, axes):
        axes.imshow(np.clip(values, 0, 0.5), cmap="Blues", vmin=0, vmax=0.5, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            _cell(axes, row, column, float(value), lang)
        axes.set_xticks(range(len(columns)), [word(name.removeprefix("smd_"), lang) for name in columns])
        axes.set_yticks(range(len(rows)), wrapped(rows.covariate))
        axes.tick_params(length=0)
    return described(figure, _balance_alt(rows, values, lang), lang)


def weight_sizes(table: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """How many units have a weight of which size, arm by arm; the horizontal axis is in multiples of the arm's mean.

    Args:
        table: columns group, low, high (multiples of the mean weight of the group), n; a row a bin.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    rows = drawable(required(table, ("group", "low", "high", "n"), "weight_sizes"), "weight_sizes", ["group", "low"])
    with canvas(3.2) as (figure, axes):
        for (group, part), (colour, style) in zip(
            rows.groupby("group", sort=False), ((BLUE, "-"), (ORANGE, "--")), strict=False
        ):
            share = part.n / max(float(part.n.sum()), 1.0)
            edges = np.r_[part.low.to_numpy(dtype=float), float(part.high.iloc[-1])]
            name = group_name(str(group), lang)
            axes.stairs(100 * share, edges, color=colour, linestyle=style, linewidth=1.6, label=name)
        axes.set_xscale("symlog", linthresh=1 / 16, linscale=0.2)
        ticks = [tick for tick in (0, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128) if tick <= rows.high.max()]
        axes.set_xticks(ticks, [locale.number(tick, lang) for tick in ticks])
        axes.minorticks_off()
        axes.axvline(1, color=GREY, linewidth=1, linestyle=":")
        axes.set_xlabel(
            said("poids d'une unité, en multiples du poids moyen", "weight of a unit, times the mean", lang)
        )
        axes.set_ylabel(said("unités du groupe (%)", "units of the group (%)", lang))
        decimal_marks(axes, lang, horizontal=False)
        legend_above(axes)
    return described(figure, _weights_alt(rows, lang), lang)


def hidden_factor(table: pd.DataFrame, outcome_unit: str = "", lang: Lang = "fr") -> "Figure":
    """What is left of the effect if a hidden factor explains given shares of treatment and outcome (contour plot).

    Points are covariates: a factor as strong as each of them. The dashed line is where nothing is left.

    Args:
        table: columns covariate, r2_treatment, r2_outcome, estimate, std_error, df (`tables["hidden_factor"]`).
        outcome_unit: of the effect.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.

    Source: Cinelli and Hazlett (2020), *JRSS B* 82(1), section 5.2.
    """
    columns = ("covariate", "r2_treatment", "r2_outcome", "adjusted_estimate", "estimate", "std_error", "df")
    rows = drawable(required(table, columns, "hidden_factor"), "hidden_factor", ["covariate"])
    first = rows.iloc[0]
    limit = min(max(0.1, 1.3 * float(rows.r2_treatment.max()), 1.3 * float(rows.r2_outcome.max())), 0.95)
    shares = np.linspace(0, limit, _GRID)
    left = _left(float(first.estimate), float(first.std_error), float(first.df), shares[None, :], shares[:, None])
    with canvas(4.0) as (figure, axes):
        lines = axes.contour(100 * shares, 100 * shares, left, levels=7, colors=GREY, linewidths=0.8)
        axes.clabel(lines, fmt=lambda value: locale.number(float(value), lang), fontsize=SMALL)
        if left.min() < 0 < left.max():
            axes.contour(100 * shares, 100 * shares, left, levels=[0], colors=ORANGE, linestyles="--", linewidths=1.8)
        axes.plot(100 * rows.r2_treatment, 100 * rows.r2_outcome, "D", color=BLUE, markersize=5)
        strongest = rows.assign(fall=(rows.estimate - rows.adjusted_estimate).abs()).nlargest(_NAMED, "fall")
        for row in strongest.itertuples():
            place = (100 * float(row.r2_treatment), 100 * float(row.r2_outcome))
            axes.annotate(str(row.covariate), place, (4, 4), textcoords="offset points", fontsize=SMALL)
        axes.set_xlabel(said("part du traitement expliquée (%)", "share of treatment explained (%)", lang))
        axes.set_ylabel(said("part du résultat expliquée (%)", "share of the outcome explained (%)", lang))
        decimal_marks(axes, lang)
    return described(figure, _hidden_alt(rows, outcome_unit, lang), lang)


def weighting_credibility(
    tables: Mapping[str, pd.DataFrame], outcome_unit: str = "", lang: Lang = "fr", *, level: float = 0.95
) -> "list[Figure]":
    """What speaks for or against a weighted comparison: one figure for each table of the finding that is there.

    Args:
        tables: of the finding: balance, weights, hidden_factor, estimators.
        outcome_unit: unit of the effect.
        lang: language of axes and text alternatives.
        level: probability of the intervals.
    """
    shown = []
    if "balance" in tables:
        shown += [love_plot(tables["balance"], lang), balance_map(tables["balance"], lang)]
    if "weights" in tables:
        shown.append(weight_sizes(tables["weights"], lang))
    if "estimators" in tables:
        known = tables["estimators"]
        shown.append(estimators(known[known.estimate.notna()], outcome_unit, lang, level=level))
    if "hidden_factor" in tables:
        shown.append(hidden_factor(tables["hidden_factor"], outcome_unit, lang))
    return shown


# parts ----------------------------------------------------------------------------------------------------------------


def _cell(axes: "Axes", row: int, column: int, value: float, lang: Lang) -> None:
    """The number of a cell, hatched where groups are far apart."""
    from matplotlib.patches import Rectangle

    if np.isfinite(value) and value > _BOUNDS[1]:
        box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="//", edgecolor=GREY, linewidth=0)
        axes.add_patch(box)
    text = locale.number(value, lang, digits=2) if np.isfinite(value) else "–"
    background = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(column, row, text, ha="center", va="center", fontsize=SMALL, bbox=background)


def _left(
    estimate: float, std_error: float, df: float, with_treatment: np.ndarray, with_outcome: np.ndarray
) -> np.ndarray:
    """The estimate less the bias of a factor with these shares, towards zero and beyond."""
    bias = std_error * np.sqrt(with_outcome * with_treatment / (1 - with_treatment) * df)
    return np.asarray(np.sign(estimate) * (abs(estimate) - bias))


def _balance_alt(rows: pd.DataFrame, values: np.ndarray, lang: Lang) -> str:
    far = [int((values[:, column] > _BOUNDS[1]).sum()) for column in range(values.shape[1])]
    head = said(
        f"Écarts standardisés de {len(rows)} variables : {far[0]} au-dessus de 0,25 avant ajustement",
        f"Standardised differences of {len(rows)} variables: {far[0]} above 0.25 before adjustment",
        lang,
    )
    head += said(f", {far[1]} après.", f", {far[1]} after.", lang) if len(far) > 1 else "."
    cells = [" / ".join(locale.number(float(value), lang, digits=2) for value in row) for row in values]
    return f"{head} {listed(zip(rows.covariate, cells, strict=True), lang)}"


def _weights_alt(rows: pd.DataFrame, lang: Lang) -> str:
    used = rows[rows.n > 0]
    largest = [(group_name(str(group), lang), f"{float(part.high.max()):.3g}") for group, part in used.groupby("group")]
    numbers = [(name, locale.number(float(value), lang)) for name, value in largest]
    head = said(
        "Poids des unités en multiples du poids moyen de leur groupe ; le plus grand est au plus de",
        "Weights of units in multiples of the mean weight of their group; the largest is at most",
        lang,
    )
    return f"{head} {listed(numbers, lang)}"


def _hidden_alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    estimate = locale.number(float(rows.estimate.iloc[0]), lang)
    head = said(
        f"Ce qui reste de l'effet de {estimate}{in_unit(unit, lang)} si un facteur caché est aussi fort que",
        f"What is left of the effect of {estimate}{in_unit(unit, lang)} if a hidden factor is as strong as",
        lang,
    )
    left = [(row.covariate, locale.number(float(row.adjusted_estimate), lang)) for row in rows.itertuples()]
    return f"{head} {listed(left, lang)}"
