"""Which documents there are, and what each is made of: the views of the pages, nothing else.

Files stand below reports/{language}/: a note and slides for each innovation, a dossier for each difficulty, the full
report, and slides for the portfolio.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from evaluation import store
from evaluation.report import (
    cards,
    difficulty_pages,
    innovation_views,
    locale,
    provenance,
    register_page,
    scheme_views,
    views,
)
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.pdf import pictures
from evaluation.report.pdf.plain import plain
from evaluation.report.pdf.press import Document
from evaluation.report.texts import texts

View = dict[str, Any]

FOLDER: Final = "pdf"
FILES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "fr": {"report": "rapport.pdf", "deck": "portefeuille.pdf"},
    "en": {"report": "report.pdf", "deck": "portfolio.pdf"},
}
_BARS: Final = 10
_BEST: Final = 7


def names(inputs: Inputs, lang: Lang) -> list[str]:
    """Files of the documents of one language, below its folder."""
    return [
        *(f"{FOLDER}/{file}" for file in FILES[lang].values()),
        *(dossier_file(row["id"]) for row in inputs.difficulties),
        *(file(row["innovation"]) for row in inputs.decisions for file in (note_file, slides_file)),
    ]


def note_file(innovation_id: str) -> str:
    """Where the note of an innovation stands, below the folder of a language."""
    return f"{FOLDER}/notes/{store.require_slug(innovation_id)}.pdf"


def slides_file(innovation_id: str) -> str:
    """Where the slides of an innovation stand, below the folder of a language."""
    return f"{FOLDER}/slides/{store.require_slug(innovation_id)}.pdf"


def dossier_file(difficulty_id: str) -> str:
    """Where the dossier of a difficulty stands, below the folder of a language."""
    return f"{FOLDER}/dossiers/{store.require_slug(difficulty_id)}.pdf"


def plan(inputs: Inputs, lang: Lang, stamps: Sequence[str] = ()) -> Iterator[tuple[str, Document]]:
    """Every document of one language, the longest to make first.

    Args:
        inputs: of the site.
        lang: language of the documents.
        stamps: sentences that stand on top of every document (internal use, simulated data, stale results).

    Yields:
        File below the folder of the language, and the document.
    """
    sheet = partial(_document, inputs, lang, stamps)
    told = {row["innovation"]: _of_innovation(inputs, row, lang) for row in inputs.decisions}
    dossiers = {row["id"]: plain(difficulty_pages.view(inputs, row, lang)) for row in inputs.difficulties}
    yield f"{FOLDER}/{FILES[lang]['report']}", sheet("report", _report(inputs, told, dossiers, lang))
    yield f"{FOLDER}/{FILES[lang]['deck']}", sheet("deck", _deck(inputs, lang))
    for name, view in dossiers.items():
        yield dossier_file(name), sheet("dossier", {"title": view["label"], "view": view})
    for name, data in told.items():
        records = inputs.records_of(name)
        yield note_file(name), sheet("note", data, records)
        yield slides_file(name), sheet("slides", data, records)


def _document(
    inputs: Inputs, lang: Lang, stamps: Sequence[str], template: str, data: View, records: Sequence[Row] = ()
) -> Document:
    """A document with what all of them carry: stamps, footer, the day of the last decision."""
    common = {"stamps": plain(list(stamps)), "provenance": plain(provenance.footer(inputs, lang, records))}
    day = max((str(row["date"]) for row in inputs.decisions), default="")
    return Document(template=template, lang=lang, day=day, data={**common, **data})


def _of_innovation(inputs: Inputs, decision: Row, lang: Lang) -> View:
    """One innovation as its page shows it, without the layer for experts, with the numbers of its drawings."""
    record = views.shown_record(inputs, decision)
    view = innovation_views.innovation(inputs, decision, lang, expert=False)
    return {
        "title": plain(view["label"]),
        "view": plain(_without(view, ("records",))),
        "said": plain(said(inputs.difficulty(decision["difficulty"]), "said", lang)),
        "picture": plain(pictures.interval(_claimed(inputs, record, lang), lang)) if record else None,
        "schema": pictures.schema(record["design_class"]) if record else "",
        "design": plain(texts(lang)(f"designs.{record['design_class']}")) if record else "",
        "schemes": plain(scheme_views.short(inputs, record["id"], lang)) if record else [],
        "unjudged": plain(scheme_views.unjudged(inputs, record["id"])) if record else [],
    }


def _report(inputs: Inputs, told: Mapping[str, View], dossiers: Mapping[str, View], lang: Lang) -> View:
    """The home page, every difficulty with its innovations, the levels of evidence, the register."""
    parts = [
        {
            "difficulty": dossiers[row["id"]],
            "innovations": [told[each["innovation"]] for each in views.decisions_on(inputs, row["id"])],
        }
        for row in inputs.difficulties
    ]
    return {
        "title": plain(texts(lang)("site.name")),
        "home": plain(views.home(inputs, lang)),
        "parts": parts,
        "method": plain(_without(views.method(inputs, lang), ("glossary",))),
        "register": plain(register_page.view(inputs, lang)),
    }


def _deck(inputs: Inputs, lang: Lang) -> View:
    """The home page, then counts over all findings of innovations: comparisons, best established, what limits them."""
    t = texts(lang)
    records = [record for record in inputs.records.values() if record["role"] == "decision"]
    designs = Counter(record["design_class"] for record in records)
    limits = Counter(reason[lang] for record in records for reason in inputs.grades[record["id"]]["reasons"])
    lines = [views.portfolio_line(inputs, row, lang) for row in inputs.decisions]
    best = sorted((line for line in lines if line["finding"]), key=lambda line: -line["finding"]["grade"]["value"])
    return {
        "title": plain(t("site.name")),
        "home": plain(views.home(inputs, lang)),
        "designs": plain([{"label": t(f"designs.{name}"), "count": count} for name, count in _most(designs)]),
        "limits": plain([{"label": locale.typography(text, lang), "count": n} for text, n in _most(limits)]),
        "best": plain(best[:_BEST]),
    }


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent, ties by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_BARS]


def _claimed(inputs: Inputs, record: Row, lang: Lang) -> Any:
    return cards.claimed(record, inputs.grades[record["id"]], inputs.findings.get(record["id"], {}), lang)


def _without(mapping: Mapping[str, Any], keys: Sequence[str]) -> View:
    return {key: value for key, value in mapping.items() if key not in keys}
