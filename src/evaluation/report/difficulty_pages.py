"""A page a difficulty, the dossier: who is concerned, which answers exist, what is known of each, what to try next.

The table of need, people reached and share covered leads: it shows the paradox. The hypothesis of an effective
treatment is read off the grades: the best established favourable findings, and what keeps them from being enough.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from evaluation.report import cards, diffusion_pages, studies, views, words
from evaluation.report.inputs import Inputs, Row, said
from evaluation.report.locale import Lang
from evaluation.report.texts import texts

View = dict[str, Any]

FOLDER: Final = "difficultes"
_PLAUSIBLE: Final = 3  # grade from which on a favourable finding supports a hypothesis
_NAMED: Final = 3


def view(inputs: Inputs, row: Row, lang: Lang) -> View:
    """The page of one difficulty.

    Args:
        inputs: of the site.
        row: of the difficulty.
        lang: language of the page.
    """
    lines = [views.portfolio_line(inputs, decision, lang) for decision in views.decisions_on(inputs, row["id"])]
    return {
        **views.need_section(inputs, row, lang),
        "policy": said(row, "policy", lang),
        "lines": lines,
        "hypothesis": hypothesis(inputs, row["id"], lang),
        "massive": _massive(inputs, row["id"], lang),
        "next": _next(inputs, row["id"], lang),
    }


def hypothesis(inputs: Inputs, difficulty_id: str, lang: Lang) -> View:
    """What might treat the difficulty, as far as findings say so.

    Returns:
        `told`: the sentence; `supports`: up to three innovations with a favourable effect at grade 3 or more, each with
        what its finding says and what is missing; without one, the best established favourable ones of any grade.
    """
    found = sorted(_favourable(inputs, difficulty_id, lang), key=lambda item: (-item[1]["grade"]["value"], item[0]))
    solid = [item for item in found if item[1]["grade"]["value"] >= _PLAUSIBLE]
    shown = (solid or found)[:_NAMED]
    key = _hypothesis_key(len(solid), weak=bool(found))
    return {
        "told": texts(lang)(f"dossier.{key}", count=len(solid)),
        "supports": [_support(inputs, innovation_id, finding, lang) for innovation_id, finding in shown],
    }


def _hypothesis_key(solid: int, *, weak: bool) -> str:
    if solid:
        return "hypothesis_one" if solid == 1 else "hypothesis"
    return "hypothesis_weak" if weak else "hypothesis_none"


def _favourable(inputs: Inputs, difficulty_id: str, lang: Lang) -> list[tuple[str, View]]:
    """The best graded favourable finding of each innovation."""
    best: dict[str, View] = {}
    for decision in views.decisions_on(inputs, difficulty_id):
        cards_of = (cards.finding(inputs, record, lang) for record in inputs.records_of(decision["innovation"]))
        favourable = next((finding for finding in cards_of if finding["valence"] == "favourable"), None)
        if favourable:
            best[decision["innovation"]] = favourable
    return list(best.items())


def _support(inputs: Inputs, innovation_id: str, finding: Mapping[str, Any], lang: Lang) -> View:
    row = inputs.innovation(innovation_id)
    missing = [
        *([texts(lang)("dossier.missing_france")] if not row["in_france"] else []),
        *(limit.text.rstrip(".") for limit in finding["grade"]["limits"][:1]),
    ]
    return {
        "id": innovation_id,
        "label": said(row, "label", lang),
        "outcome": finding["outcome"],
        "short": finding["short"],
        "grade": words.grade_label(finding["grade"]["value"], lang),
        "missing": "; ".join(missing) if lang == "en" else " ; ".join(missing).replace(" ;", "\u00a0;"),
    }


def _massive(inputs: Inputs, difficulty_id: str, lang: Lang) -> Markup:
    """What treating this need on a massive scale would take in France, innovation by innovation."""
    rows = [
        row
        for row in inputs.diffusion.get("treatment", ())
        if row["difficulty"] == difficulty_id and row["territory"] == "france"
    ]
    names = {row["id"]: said(row, "label", lang).text for row in inputs.innovations}
    return diffusion_pages.massive(rows, names, inputs.territories, lang)


def _next(inputs: Inputs, difficulty_id: str, lang: Lang) -> Sequence[View]:
    """Studies of this difficulty most worth funding, by the rule of the home page."""
    chosen = {decision["innovation"] for decision in views.decisions_on(inputs, difficulty_id)}
    own = [study for study in studies.ranked(inputs) if study.innovation in chosen]
    return [studies.line(inputs, study, lang) for study in own[:_NAMED]]
