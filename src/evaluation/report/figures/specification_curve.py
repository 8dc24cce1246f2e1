"""The specification curve: sorted estimates with their intervals over the choices that made each of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from evaluation.report import locale
from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    cut,
    decimal_marks,
    described,
    drawable,
    required,
    sheet,
)
from evaluation.report.figures.wording import said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHOWN = 3  # members of a list that are all named
_AXES: Final[Mapping[str, tuple[str, str]]] = {
    "aggregate": ("moyenne", "average"),
    "caliper": ("écart maximal", "caliper"),
    "comparison": ("groupe de comparaison", "comparison group"),
    "covariates": ("covariables", "covariates"),
    "distance": ("distance", "distance"),
    "estimator": ("estimateur", "estimator"),
    "ratio": ("partenaires", "partners"),
    "replace": ("avec remise", "with replacement"),
    "samples": ("échantillon", "sample"),
    "transform": ("transformation", "transformation"),
    "weights": ("poids", "weights"),
}


def specification_curve(table: pd.DataFrame, axes: Sequence[str], unit: str, lang: Lang = "fr") -> "Figure":
    """Two panels: estimates from the lowest to the highest, and below a dot for each choice.

    The declared design is a diamond, so that it is told apart without colour.

    Args:
        table: columns of the axes, estimate, ci_low, ci_high and declared; a row a specification.
        axes: columns of choices.
        unit: of the outcome.
        lang: language of labels and text alternative.

    Raises:
        InternalError: a column is missing, or there is no estimate.
    """
    columns = [*axes, "estimate", "ci_low", "ci_high", "declared"]
    known = required(table, columns, "specification_curve").dropna(subset=["estimate"])
    rows = drawable(known.sort_values("estimate", kind="stable"), "specification_curve")
    choices = [(axis, value) for axis in axes for value in dict.fromkeys(table[axis])]
    with sheet(2.4 + 0.18 * len(choices)) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.0, 0.18 * len(choices) + 0.3))
        _estimates(above, rows, unit, lang)
        for place, (axis, value) in enumerate(choices):
            at = rows.index[rows[axis] == value]
            below.plot(at, [place] * len(at), ".", color=GREY, markersize=3)
        labels = [cut(f"{_axis(axis, lang)}: {_value(value, lang)}") for axis, value in choices]
        below.set_yticks(range(len(choices)), labels, fontsize=SMALL)
        below.invert_yaxis()
        below.set_xlabel(said("variantes, de la plus basse à la plus haute", "variants, lowest to highest", lang))
    return described(figure, _alt(rows, unit, lang), lang)


def _axis(axis: str, lang: Lang) -> str:
    """What is chosen; the key of params.yaml where nobody put it into words."""
    return said(*_AXES[axis], lang) if axis in _AXES else axis


def _value(value: object, lang: Lang) -> str:
    """A choice; of a long list the ends and the number."""
    parts = str(value).split(" + ")
    if len(parts) > SHOWN:
        return f"{parts[0]} … {parts[-1]} ({len(parts)})"
    words = {"none": ("aucun", "none"), "true": ("oui", "yes"), "false": ("non", "no")}
    return said(*words[str(value)], lang) if str(value) in words else str(value)


def _estimates(axes: "Axes", rows: pd.DataFrame, unit: str, lang: Lang) -> None:
    axes.vlines(rows.index, rows.ci_low, rows.ci_high, color=BLUE, linewidth=0.6, alpha=0.5)
    axes.plot(rows.index, rows.estimate, ".", color=BLUE, markersize=3)
    declared = rows[rows.declared.astype(bool)]
    axes.plot(declared.index, declared.estimate, "D", color=ORANGE, markersize=5)
    axes.axhline(0, color=GREY, linewidth=1, linestyle=":")
    axes.set_ylabel(unit)
    decimal_marks(axes, lang, horizontal=False)


def _alt(rows: pd.DataFrame, unit: str, lang: Lang) -> str:
    low, middle, high = (
        locale.number(float(f"{value:.3g}"), lang)
        for value in (rows.estimate.min(), rows.estimate.median(), rows.estimate.max())
    )
    return said(
        f"{len(rows)} variantes : de {low} à {high}, médiane {middle} ({unit}).",
        f"{len(rows)} variants: from {low} to {high}, median {middle} ({unit}).",
        lang,
    )
