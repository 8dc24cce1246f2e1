"""Figures and tables to take away: a page that shows each figure, with its picture, its drawing and the data behind it.

Files stand below reports/{language}/figures/; each figure is made of one frame, which is the CSV beside it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from markupsafe import Markup

from evaluation.report import cards, locale, needs_tables, provenance, tables, words
from evaluation.report.figures import drawing, findings, priorities
from evaluation.report.figures.crosswalk import crosswalk, crosswalk_rows
from evaluation.report.inputs import Inputs, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

View = dict[str, Any]

_Made = tuple[pd.DataFrame, Callable[[], "Figure"]]

FOLDER: Final = "figures"
_XML: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
_NAMES: Final[Mapping[str, Mapping[Lang, str]]] = {
    "paradox": {"fr": "part-du-besoin", "en": "share-of-need"},
    "gaps": {"fr": "carte-des-preuves", "en": "evidence-map"},
    "schemes": {"fr": "autres-baremes", "en": "other-schemes"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A figure with the frame it was drawn from."""

    name: str
    caption: str
    frame: pd.DataFrame
    figure: "Figure"


def pieces(inputs: Inputs, lang: Lang) -> list[Piece]:
    """Every figure that there are data for."""
    makers: Mapping[str, Callable[[Inputs, Lang], _Made | None]] = {
        "paradox": _paradox,
        "gaps": _gaps,
        "schemes": _schemes,
    }
    found = {key: make(inputs, lang) for key, make in makers.items()}
    return [
        Piece(name=_NAMES[key][lang], caption=texts(lang)(f"gallery.{key}"), frame=made[0], figure=made[1]())
        for key, made in found.items()
        if made is not None
    ]


def view(drawn: Sequence[Piece]) -> View:
    """The page: every figure, its caption, and where its files stand."""
    return {
        "figures": [
            {
                "name": piece.name,
                "caption": piece.caption,
                "markup": Markup(drawing.svg(piece.figure)),  # noqa: S704 -- drawn by our own code, escaped there
                "files": [(kind.upper(), f"{FOLDER}/{piece.name}.{kind}") for kind in ("png", "svg", "csv")],
            }
            for piece in drawn
        ]
    }


def texts_of(drawn: Sequence[Piece], shown: View, source: Sequence[str]) -> dict[str, str]:
    """Drawings, as the page shows them, and data of the figures, by file below the folder of a language.

    Args:
        drawn: the figures.
        shown: the view of the page.
        source: lines that say where the numbers come from; they stand in a comment of every drawing.
    """
    head = f"{_XML}<!-- {' '.join(source).replace('--', '–')} -->\n"
    drawings = {f"{FOLDER}/{each['name']}.svg": f"{head}{each['markup']}" for each in shown["figures"]}
    return drawings | {f"{FOLDER}/{piece.name}.csv": tables.csv(piece.frame.astype(object)) for piece in drawn}


def pictures(inputs: Inputs, lang: Lang) -> dict[str, bytes]:
    """Pictures of the figures, by file below the folder of a language."""
    source = " ".join(provenance.footer(inputs, lang))
    return {f"{FOLDER}/{each.name}.png": drawing.png(each.figure, source=source) for each in pieces(inputs, lang)}


def _paradox(inputs: Inputs, lang: Lang) -> _Made | None:
    """Share of the need that each innovation reaches in France."""
    rows = [row for row in inputs.coverage if row["territory"] == "france" and row.get("share")]
    if not rows:
        return None
    labels = {row["id"]: said(row, "label", lang).text for row in inputs.innovations}
    frame = needs_tables.paradox(rows, labels)
    return frame, lambda: priorities.paradox(frame, lang)


def _gaps(inputs: Inputs, lang: Lang) -> _Made | None:
    """Findings by difficulty and grade, favourable or not."""
    counts: Counter[tuple[str, int, bool]] = Counter()
    for record in inputs.records.values():
        if record["role"] == "decision" and record["difficulty"] and record["kind"] in ("effect", "sign_only"):
            grade = inputs.grades[record["id"]]
            told = cards.claimed(record, grade, inputs.findings.get(record["id"], {}), lang)
            label = said(inputs.difficulty(record["difficulty"]), "label", lang).text
            counts[label, grade["value"], words.valence(told) == "favourable"] += 1
    if not counts:
        return None
    order = [said(row, "label", lang).text for row in inputs.difficulties]
    keys = sorted(counts, key=lambda key: (order.index(key[0]), key[1], key[2]))
    rows = [
        {"difficulty": name, "grade": grade, "favourable": good, "findings": counts[name, grade, good]}
        for name, grade, good in keys
    ]
    frame, caution = pd.DataFrame(rows), inputs.synthesis.get("collection", {}).get(lang, "")
    note = "\n".join(drawing.folded(locale.typography(caution, lang)))
    return frame, lambda: findings.gap_map(frame, lang, caution=note)


def _schemes(inputs: Inputs, lang: Lang) -> _Made | None:
    """Our grade beside the verdicts of other schemes."""
    if not inputs.schemes.get("crosswalk"):
        return None
    frame = crosswalk_rows(inputs.schemes, lang)
    return frame, lambda: crosswalk(frame, lang)
