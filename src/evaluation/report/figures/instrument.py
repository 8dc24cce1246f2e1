"""Figure of an instrument: what it does to the treatment, and what it does to the outcome."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import BLUE, ORANGE, canvas, decimal_marks, described, drawable, required
from evaluation.report.figures.wording import word
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = {"first_stage": ORANGE, "reduced_form": BLUE}


def stages(table: pd.DataFrame, unit: str = "", lang: Lang = "fr") -> "Figure":
    """Changes of the treatment (first stage) and of the outcome (reduced form) for one more unit of each instrument.

    Args:
        table: columns stage (first_stage, reduced_form), instrument, estimate, ci_low, ci_high.
        unit: unit of the outcome.
        lang: language of labels and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row.
    """
    columns = ("stage", "instrument", "estimate", "ci_low", "ci_high")
    rows = drawable(required(table, columns, "stages"), "stages", ["stage", "instrument"]).reset_index(drop=True)
    places = np.arange(len(rows))[::-1]
    with canvas(1.2 + 0.45 * len(rows)) as (figure, axes):
        axes.axvline(0, color="black", linewidth=0.8)
        for stage, color in COLORS.items():
            part = (rows["stage"] == stage).to_numpy()
            shown = rows[part]
            reach = [shown["estimate"] - shown["ci_low"], shown["ci_high"] - shown["estimate"]]
            axes.errorbar(shown["estimate"], places[part], xerr=reach, fmt="o", color=color, capsize=3)
        axes.set_yticks(places, [_label(row.stage, row.instrument, unit, lang) for row in rows.itertuples()])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(word("per_instrument", lang))
        decimal_marks(axes, lang, vertical=False)
    return described(figure, _alt(rows, lang), lang)


def _label(stage: object, instrument: object, unit: str, lang: Lang) -> str:
    told = f"\n({unit})" if unit and stage == "reduced_form" else ""
    return f"{instrument} → {word(str(stage), lang)}{told}"


def _alt(rows: pd.DataFrame, lang: Lang) -> str:
    ends = [
        f"{row.instrument}, {word(str(row.stage), lang)} : {locale.number(float(row.estimate), lang)}"
        if lang == "fr"
        else f"{row.instrument}, {word(str(row.stage), lang)}: {locale.number(float(row.estimate), lang)}"
        for row in rows.itertuples()
    ]
    if lang == "fr":
        return f"Ce que la variable instrumentale change, avec intervalles. {' ; '.join(ends)}."
    return f"What the instrument changes, with intervals. {'; '.join(ends)}."
