"""Figures of findings taken together: where there is evidence, pooled effects, and what a grade lost."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.comparisons import draw_forest, forest_height, forest_values
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    canvas,
    described,
    drawable,
    required,
    wrapped,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BEST: Final = 5  # the highest grade


def gap_map(rows: pd.DataFrame, lang: Lang = "fr", *, caution: str = "") -> "Figure":
    """Difficulties against grades: area for the number of findings, hollow where the finding is not favourable.

    Args:
        rows: columns difficulty (words), grade, favourable, findings.
        lang: language of axes and text alternative.
        caution: a sentence under the axes, such as how the findings were collected.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one point.
    """
    point = ["difficulty", "grade", "favourable"]
    rows = drawable(required(rows, (*point, "findings"), "gap_map"), "gap_map", point)
    names = list(dict.fromkeys(rows["difficulty"]))
    places = rows["difficulty"].map({name: -place for place, name in enumerate(names)})
    aside = np.where(rows["favourable"], -0.18, 0.18)
    with canvas(1.0 + 0.42 * len(names), width=6.4) as (figure, axes):
        colours = np.where(rows["favourable"], BLUE, "white")
        axes.scatter(rows["grade"] + aside, places, s=20 + 14 * rows["findings"], c=colours, edgecolors=BLUE)
        for at, place, count in zip(rows["grade"] + aside, places, rows["findings"], strict=True):
            axes.annotate(str(count), (at, place), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=6)
        axes.set_yticks([-place for place in range(len(names))], wrapped(names), fontsize=SMALL)
        axes.set_xticks(range(_BEST + 1))
        axes.set_xlim(-0.6, _BEST + 0.6)
        axes.set_ylim(-len(names) + 0.4, 0.6)
        note = said("niveau (creux : pas favorable)", "grade (hollow: not favourable)", lang)
        axes.set_xlabel(f"{note}\n{caution}" if caution else note, fontsize=SMALL)
    return described(figure, _gap_words(rows, lang), lang)


def pooled_forest(rows: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Findings with their grades, the pooled effect, and the interval in which a further programme would lie.

    Args:
        rows: columns label, estimate, ci_low, ci_high, kind (finding, pooled, prediction).
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    columns = ("label", "estimate", "ci_low", "ci_high", "kind")
    rows = drawable(required(rows, columns, "pooled_forest"), "pooled_forest")
    words = {
        "pooled": said("ensemble", "pooled", lang),
        "prediction": said("un autre programme semblable", "another programme like these", lang),
    }
    rows = rows.assign(label=[words.get(row.kind, row.label) for row in rows.itertuples()])
    unit = said("écarts-types", "SD", lang)
    with canvas(forest_height(rows), width=6.4) as (figure, axes):
        draw_forest(axes, rows, list(rows["kind"].eq("prediction")), unit, lang)
    head = said(
        "Effets en écarts-types, plus veut dire mieux, niveau entre parenthèses",
        "Effects in standard deviations, more is better, grade in brackets",
        lang,
    )
    return described(figure, f"{head}. {forest_values(rows, lang)}", lang)


def waterfall(steps: pd.DataFrame, value: int, lang: Lang = "fr") -> "Figure":
    """From the best grade down to the one given: one bar a step.

    Args:
        steps: columns fr, en, change: what was taken away, in order; no row where nothing was.
        value: the grade.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing.
    """
    labels = list(required(steps, ("fr", "en", "change"), "waterfall")[lang])
    changes = steps["change"].to_numpy(dtype=float)
    starts = _BEST + np.concatenate([[0.0], np.cumsum(changes)])
    bottoms = np.minimum(starts[:-1], starts[1:]) if len(steps) else np.empty(0)
    with canvas(1.0 + 0.34 * (len(steps) + 2), width=6.4) as (figure, axes):
        places = -np.arange(1, len(steps) + 1)
        colours = [GREY if change > 0 else ORANGE for change in changes]
        axes.barh(places, np.abs(changes), left=bottoms, color=colours, height=0.6)
        axes.barh([0, -len(steps) - 1], [_BEST, value], color=BLUE, height=0.6)
        ends = said("le mieux possible", "the best there is", lang), said("niveau", "grade", lang)
        axes.set_yticks(-np.arange(len(steps) + 2), wrapped([ends[0], *labels, ends[1]]), fontsize=SMALL)
        axes.set_xlim(0, _BEST + 0.2)
        axes.set_xticks(range(_BEST + 1))
    values = [(label, locale.signed(float(change), lang)) for label, change in zip(labels, changes, strict=True)]
    head = said(f"Du niveau {_BEST} au niveau {value}", f"From grade {_BEST} to grade {value}", lang)
    return described(figure, f"{head}. {listed(values, lang) if values else ''}", lang)


def _gap_words(rows: pd.DataFrame, lang: Lang) -> str:
    head = said("Résultats par difficulté et par niveau", "Findings by difficulty and grade", lang)
    grade, good, other = (
        said(*pair, lang) for pair in (("niveau", "grade"), ("favorables", "favourable"), ("autres", "others"))
    )
    values = [
        (f"{row.difficulty}, {grade} {row.grade}, {good if row.favourable else other}", str(row.findings))
        for row in rows.itertuples()
    ]
    return f"{head}. {listed(values, lang)}"
