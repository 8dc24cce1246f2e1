"""Our grade beside the verdicts of other schemes: a table to read and a figure, from data/evidence/schemes.json."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from evaluation.report.figures.drawing import (
    BLUE,
    GREY,
    SMALL,
    cut,
    described,
    drawable,
    required,
    sheet,
)
from evaluation.report.figures.wording import listed, said
from evaluation.report.locale import Lang

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GRADES: Final = range(6)
_COLUMNS: Final = ("scheme", "rating", "grade", "findings", "judged")
_SIZES: Final = ("eef_months",)  # sizes of effects, which no grade has to agree with


def crosswalk_rows(schemes: Mapping[str, Any], lang: Lang = "fr") -> pd.DataFrame:
    """The crosswalk in words.

    Args:
        schemes: what schemes.json holds.
        lang: language of the words.

    Returns:
        Columns scheme, rating (words), grade, findings, judged (False where the scheme says nothing), best first.
    """
    words = {
        (scheme["id"], rating["code"]): rating[lang] for scheme in schemes["schemes"] for rating in scheme["ratings"]
    }
    short = {scheme["id"]: scheme["short"] for scheme in schemes["schemes"]}
    rows = [
        {
            "scheme": short[row["scheme"]],
            "rating": words[row["scheme"], row["rating"]],
            "grade": row["grade"],
            "findings": row["findings"],
            "judged": row["rating"] not in ("cannot_be_judged", "not_covered"),
        }
        for row in _in_order(schemes)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def crosswalk_table(schemes: Mapping[str, Any], lang: Lang = "fr") -> pd.DataFrame:
    """How many findings: one line a scheme and rating, one column a grade of ours, the highest first."""
    rows = crosswalk_rows(schemes, lang)
    index = pd.MultiIndex.from_frame(rows[["scheme", "rating"]].drop_duplicates())
    wide = rows.pivot_table(index=["scheme", "rating"], columns="grade", values="findings", aggfunc="sum", fill_value=0)
    columns = list(reversed(_GRADES))
    return wide.reindex(index=index, columns=columns, fill_value=0).astype(int)


def crosswalk(rows: pd.DataFrame, lang: Lang = "fr") -> "Figure":
    """Bubbles: our grade from left to right, the ratings of each scheme from the best to the worst, findings as area.

    Args:
        rows: columns scheme, rating, grade, findings, judged, as `crosswalk_rows` gives them.
        lang: language of axes and text alternative.

    Raises:
        InternalError: a column is missing, or there is no row, or two for one point.
    """
    rows = drawable(required(rows, _COLUMNS, "crosswalk"), "crosswalk", ["scheme", "rating", "grade"])
    groups = list(rows.groupby("scheme", sort=False))
    heights = [each["rating"].nunique() for _, each in groups]
    with sheet(1.0 + 0.24 * sum(heights) + 0.2 * len(groups), width=6.4) as figure:
        axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for panel, (scheme, each) in zip(axes, groups, strict=True):
            _panel(panel, str(scheme), each)
        axes[-1].set_xticks(list(_GRADES))
        note = said(
            "notre niveau (creux : le barème ne se prononce pas)", "our grade (hollow: the scheme does not say)", lang
        )
        axes[-1].set_xlabel(note, fontsize=SMALL)
    return described(figure, _alternative(rows, lang), lang)


def _panel(axes: "Axes", scheme: str, rows: pd.DataFrame) -> None:
    ratings = list(dict.fromkeys(rows.sort_values("judged", ascending=False, kind="stable")["rating"]))
    places = {rating: -place for place, rating in enumerate(ratings)}
    at = rows["rating"].map(places)
    filled = np.where(rows["judged"], BLUE, "white")
    axes.scatter(rows["grade"], at, s=18 + 5 * rows["findings"], c=filled, edgecolors=GREY, linewidths=0.8)
    for grade, place, count in zip(rows["grade"], at, rows["findings"], strict=True):
        axes.annotate(str(count), (grade, place), xytext=(11, 0), textcoords="offset points", va="center", fontsize=6)
    axes.set_yticks(list(places.values()), [cut(rating) for rating in places], fontsize=SMALL)
    axes.set_ylim(-len(ratings) + 0.4, 0.6)
    axes.set_xlim(-0.4, 5.6)
    axes.set_title(scheme, fontsize=SMALL, loc="left", pad=2)


def _alternative(rows: pd.DataFrame, lang: Lang) -> str:
    head = said(
        "Combien de résultats de chaque niveau ont chaque note d'autres barèmes",
        "How many findings of each grade have each rating of other schemes",
        lang,
    )
    grade = said("niveau", "grade", lang)
    values = [
        (f"{row.scheme}, {row.rating}, {grade} {row.grade}", str(row.findings))
        for row in rows[rows["judged"]].itertuples()
    ]
    return f"{head}. {listed(values, lang)}"


def _in_order(schemes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows by scheme and rating, best first, without the sizes of effects."""
    place = {
        (scheme["id"], rating["code"]): (first, second)
        for first, scheme in enumerate(schemes["schemes"])
        for second, rating in enumerate(scheme["ratings"])
    }
    kept = [row for row in schemes["crosswalk"] if row["scheme"] not in _SIZES]
    return sorted(kept, key=lambda row: (place[row["scheme"], row["rating"]], -row["grade"]))
