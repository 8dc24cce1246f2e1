"""Foreign schemes as a page (docs/schemes.md), made from the code that computes them so that the two cannot differ."""

from collections.abc import Iterable, Sequence

from evaluation.evidence.schemes import SCHEMES
from evaluation.evidence.schemes.consistency import ASSERTIONS
from evaluation.evidence.schemes.core import KINDS, Scheme

_INTRODUCTION = """# Other schemes

<!-- Made from src/evaluation/evidence/schemes by its page.py. Do not edit. -->

Funders know other scales than ours (docs/rubric.md). Each of them is computed here from the same record, by its own
rules; a foreign verdict never enters a grade of ours. `data/evidence/schemes.json` holds the verdict of every scheme on
every finding, with its rule and a sentence in both languages.

Where a record lacks a measure that a scheme asks for, the scheme is applied twice, with the best and with the worst
value the measure could have. If both give one rating, that is the verdict. Otherwise the finding *cannot be judged*:
the missing measures are named, and the two ratings say between what it would lie. Nothing is guessed.

Each rule says how it is known:"""

_NEVER = """Schemes differ because they ask different things, and the differences are shown. These would be faults of
ours, or of the rules above: the evidence stage stops with E-EVI-070."""


def schemes_markdown() -> str:
    """The text of docs/schemes.md."""
    kinds = "\n".join(f"* **{kind}**: {words['en']}" for kind, words in KINDS.items())
    parts = [_INTRODUCTION, kinds, *map(_scheme, SCHEMES), _assertions()]
    return "\n\n".join(parts) + "\n"


def _scheme(scheme: Scheme) -> str:
    ratings = [
        (f"`{each.code}`", "" if each.rank is None else each.rank, each.fr, each.en) for each in scheme.ratings.values()
    ]
    rules = [(f"`{each.id}`", each.kind, each.fr, each.en, each.cite) for each in scheme.rules.values()]
    shown = [] if scheme.id == "eef_months" else [_table(("rating", "rank", "français", "English"), ratings)]
    parts = [
        f"## {scheme.en} (`{scheme.id}`)",
        f"{scheme.fr}. {scheme.publisher}, {scheme.address}.",
        *shown,
        _table(("rule", "kind", "français", "English", "source"), rules),
        f"Not in a record: {scheme.left_out_en}",
        f"Pas dans une fiche : {scheme.left_out_fr}",
    ]
    return "\n\n".join(parts)


def _assertions() -> str:
    rows = [(f"`{each.id}`", each.scheme, each.fr, each.en) for each in ASSERTIONS]
    return "\n\n".join(
        [
            "## What may never be true",
            _NEVER,
            _table(("assertion", "scheme", "français", "English"), rows),
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
