"""The ballot on paper: one page to print in French, in English and in easy-to-read French, and the table to type it in.

Each difficulty is a group of its own with its grades as choices, so that a screen reader names both; words carry the
meaning, never colour alone; letters are large, lines short, and nothing is loaded or run. Without an answer a line is
left empty: the form says that this is allowed, and that it is not the lowest grade.
"""

import html
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evaluation import store
from evaluation.errors import SetupError
from evaluation.needs.ballots import POINT, ROLE, TERRITORY, VOTER
from evaluation.needs.best_worst import MANY, screens
from evaluation.needs.majority_judgment import Integers
from evaluation.settings.facts import Difficulty
from evaluation.settings.participation import Consultation, Grade, Participation
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.typography import french

Variant = Literal["fr", "en", "easy_fr"]

NAMES: Mapping[Variant, str] = {"fr": "bulletin.html", "en": "ballot.html", "easy_fr": "bulletin-facile.html"}
TABLE = "ballots.csv"
SCREENS, VERSIONS = 5, 6  # screens on a form of best-worst scaling, and different forms
_BOM = "\ufeff"  # without it a French spreadsheet reads accents wrongly
_DRAFT: Mapping[str, str] = {
    "label_fr": "Bulletin à préparer avec les habitants",
    "label_en": "Ballot to be prepared with residents",
    "question_fr": "Pour des personnes comme moi, cette difficulté est…",
    "question_en": "For people like me, this difficulty is…",
    "question_easy_fr": "Pour vous et pour les gens comme vous, est-ce un problème ?",
    "recruited_fr": "à décider",
    "recruited_en": "to be decided",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """Everything on the page that is neither a difficulty nor a grade."""

    lang: str
    title: str
    number: str
    place: str
    how: str
    empty: str
    role: str
    roles: tuple[str, ...]
    thanks: str
    privacy: str
    most: str
    least: str
    simulated: str


_WORDS: Mapping[Variant, _Words] = {
    "fr": _Words(
        lang="fr",
        title="Quelles difficultés d'abord ?",
        number="Bulletin n°",
        place="Lieu de collecte",
        how="Cochez une seule case par ligne.",
        empty="Vous ne savez pas ? Laissez la ligne vide. Une ligne vide n'est pas une mauvaise note.",
        role="Vous répondez…",
        roles=(
            "comme habitant ou personne concernée",
            "comme professionnel (travailleur social, enseignant, agent…)",
            "autrement",
        ),
        thanks="Merci. Le résultat sera affiché ici et publié.",
        privacy="Ce bulletin est anonyme : n'y écrivez pas votre nom.",
        most="Laquelle de ces difficultés est la plus grave ?",
        least="Laquelle est la moins grave ?",
        simulated="BULLETIN D'EXEMPLE — ne pas utiliser pour un vote",
    ),
    "en": _Words(
        lang="en",
        title="Which difficulties first?",
        number="Ballot no.",
        place="Collection point",
        how="Tick one box in each line.",
        empty="You do not know? Leave the line empty. An empty line is not a bad grade.",
        role="You answer…",
        roles=(
            "as a resident or a person concerned",
            "as a professional (social worker, teacher, official…)",
            "otherwise",
        ),
        thanks="Thank you. The result will be posted here and published.",
        privacy="This ballot is anonymous: do not write your name on it.",
        most="Which of these difficulties is the most serious?",
        least="Which is the least serious?",
        simulated="EXAMPLE BALLOT — not for a vote",
    ),
    "easy_fr": _Words(
        lang="fr",
        title="Votre avis sur les problèmes de la vie",
        number="Numéro du bulletin",
        place="Lieu",
        how="Lisez la phrase. Cochez une case.",
        empty="Vous ne savez pas ? Ne cochez rien. C'est permis.",
        role="Qui êtes-vous ?",
        roles=("J'habite ici.", "Je travaille ici pour aider les gens.", "Autre."),
        thanks="Merci ! Le résultat sera affiché ici.",
        privacy="N'écrivez pas votre nom. Personne ne saura ce que vous avez répondu.",
        most="Quel est le plus gros problème ?",
        least="Quel est le plus petit problème ?",
        simulated="EXEMPLE — ce n'est pas un vrai vote",
    ),
}

_STYLE = """
@page { size: A4; margin: 15mm }
body { font: 12pt/1.5 Arial, Helvetica, sans-serif; color: #000; background: #fff; max-width: 46em; margin: 1em auto }
body.easy { font-size: 16pt; line-height: 1.6 }
h1 { font-size: 1.5em; line-height: 1.2 }
fieldset { border: 1px solid #000; margin: 0 0 .8em; padding: .4em .8em .6em; break-inside: avoid }
legend { font-weight: bold; padding: 0 .3em }
.said { margin: 0 0 .4em }
.choices { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: 0; padding: 0; list-style: none }
body.easy .choices { display: block }
input[type=checkbox] { width: 1.1em; height: 1.1em; vertical-align: -.15em }
.stamp { border: 3px solid #000; padding: .3em .6em; font-weight: bold; text-align: center }
.line { display: inline-block; min-width: 9em; border-bottom: 1px solid #000 }
"""


def draft(portfolio: Portfolio) -> Consultation:
    """A consultation about all difficulties of the portfolio, for a form before any vote was declared."""
    difficulties = [row.id for row in portfolio.difficulties]
    fields = {"id": "draft", "date": None, "file": f"data/raw/ballots/{TABLE}", "simulated": False}
    return Consultation.model_validate({**_DRAFT, **fields, "difficulties": difficulties})


def write(folder: Path, consultation: Consultation, participation: Participation, portfolio: Portfolio) -> list[Path]:
    """Write the three forms and the empty table; with more than ten difficulties, also screens of four.

    Raises:
        SetupError: the folder holds a table already; it may be a filled one.
    """
    table = folder / TABLE
    if table.exists():
        raise SetupError(
            code="E-NEE-015",
            what="A table of ballots stands there already; it may hold ballots that people filled in.",
            where=str(table),
            expected="a folder without it",
            fix="choose another folder with --to",
        )
    pages = {name: page(variant, consultation, participation.grades, portfolio) for variant, name in NAMES.items()}
    if len(consultation.difficulties) > MANY:
        pages |= _screens(consultation, portfolio)
    for name, text in pages.items():
        store.write_text(folder / name, text)
    store.write_text(table, _BOM + empty_table(consultation))
    return [*(folder / name for name in pages), table]


def empty_table(consultation: Consultation) -> str:
    """The header of the file that `ballots.read` reads."""
    margins = dict.fromkeys(margin.variable for margin in consultation.margins)
    columns = dict.fromkeys((VOTER, POINT, TERRITORY, ROLE, *margins, *consultation.difficulties))
    return consultation.separator.join(columns) + "\n"


def page(variant: Variant, consultation: Consultation, grades: Sequence[Grade], portfolio: Portfolio) -> str:
    """One form as a page to print: the same input, the same text."""
    question = {
        "fr": consultation.question_fr,
        "en": consultation.question_en,
        "easy_fr": consultation.question_easy_fr,
    }
    difficulties = [portfolio.difficulty(name) for name in consultation.difficulties]
    groups = "\n".join(_group(variant, row, question[variant], grades) for row in difficulties)
    return _sheet(variant, groups, simulated=consultation.simulated)


def screens_page(variant: Variant, consultation: Consultation, portfolio: Portfolio, plan: Integers) -> str:
    """A form of screens of four: the most and the least serious of each, for lists too long to grade.

    Args:
        variant: language.
        consultation: its difficulties, in order.
        portfolio: their names.
        plan: (screens, 4) places of difficulties.
    """
    words, lang = _WORDS[variant], "en" if variant == "en" else "fr"
    labels = [getattr(portfolio.difficulty(name), f"label_{lang}") for name in consultation.difficulties]
    groups = [
        _choices(f"screen-{number}-{kind}", f"{number}. {asked}", [labels[place] for place in screen], words)
        for number, screen in enumerate(plan, start=1)
        for kind, asked in (("best", words.most), ("worst", words.least))
    ]
    return _sheet(variant, "\n".join(groups), simulated=consultation.simulated)


def _screens(consultation: Consultation, portfolio: Portfolio) -> dict[str, str]:
    """Several versions of the screens, so that each difficulty meets many others; the plan depends on the id only."""
    rng = np.random.default_rng(zlib.crc32(consultation.id.encode()))
    plans = screens(len(consultation.difficulties), SCREENS, VERSIONS, rng)
    return {
        f"{NAMES[variant].removesuffix('.html')}-{version}.html": screens_page(variant, consultation, portfolio, plan)
        for version, plan in enumerate(plans, start=1)
        for variant in NAMES
    }


def _sheet(variant: Variant, groups: str, *, simulated: bool) -> str:
    words = _WORDS[variant]
    stamp = f'<p class="stamp" role="note">{_text(words, words.simulated)}</p>\n' if simulated else ""
    return f"""<!doctype html>
<html lang="{words.lang}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(words, words.title)}</title>
<style>{_STYLE}</style>
</head>
<body{' class="easy"' if variant == "easy_fr" else ""}>
<main>
{stamp}<h1>{_text(words, words.title)}</h1>
<p>{_text(words, words.number)} <span class="line"></span> {_text(words, words.place)} <span class="line"></span></p>
<p><strong>{_text(words, words.how)}</strong> {_text(words, words.empty)}</p>
<p>{_text(words, words.privacy)}</p>
{groups}
{_choices("role", words.role, words.roles, words)}
<p>{_text(words, words.thanks)}</p>
</main>
</body>
</html>
"""


def _group(variant: Variant, row: Difficulty, question: str, grades: Sequence[Grade]) -> str:
    """One difficulty: its name, the sentence of somebody who lives it, the grades."""
    words = _WORDS[variant]
    label, said = (row.label_en, row.said_en) if variant == "en" else (row.label_fr, row.said_fr)
    labels = {
        "fr": [grade.label_fr for grade in grades],
        "en": [grade.label_en for grade in grades],
        "easy_fr": [grade.easy_fr for grade in grades],
    }
    quoted = f"“{said}”" if variant == "en" else f"« {said} »"
    before = f'<p class="said">{_text(words, quoted)}</p>\n<p class="said">{_text(words, question)}</p>'
    return _choices(row.id, label, labels[variant], words, before)


def _choices(name: str, legend: str, labels: Sequence[str], words: _Words, before: str = "") -> str:
    box = '<li><input type="checkbox" id="{0}"> <label for="{0}">{1}</label></li>'
    items = "\n".join(box.format(f"{name}-{place}", _text(words, label)) for place, label in enumerate(labels))
    return (
        f"<fieldset>\n<legend>{_text(words, legend)}</legend>\n{before}\n"
        f'<ul class="choices">\n{items}\n</ul>\n</fieldset>'
    )


def _text(words: _Words, text: str) -> str:
    shown = french(text).replace("'", "’") if words.lang == "fr" else text
    return html.escape(shown, quote=False)
