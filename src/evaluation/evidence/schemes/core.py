"""What all foreign schemes share: ratings, rules with their source, and what is said where the record lacks a measure.

A scheme is judged twice where a measure is missing, once as if the record held its best value and once its worst.
Where both give the same rating the measure does not matter; otherwise the finding cannot be judged by this scheme, the
missing measures are named, and the two ratings bound what it could be. Nothing is guessed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from evaluation.evidence.rubric import Lang
from evaluation.evidence.schemes.reading import MEASURES, Reading

Kind = Literal["published", "recalled", "ours"]
CANNOT_BE_JUDGED = "cannot_be_judged"
NOT_COVERED = "not_covered"

KINDS: Mapping[Kind, Mapping[Lang, str]] = {
    "published": {"fr": "règle lue dans sa source", "en": "rule read in its source"},
    "recalled": {
        "fr": "règle citée de mémoire, non vérifiée dans sa source",
        "en": "rule quoted from memory, not verified in its source",
    },
    "ours": {
        "fr": "le barème laisse ce point au jugement : le seuil est le nôtre",
        "en": "the scheme leaves this point to judgement: the threshold is ours",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One value of a scheme; `rank` grows with how much it says for the finding, None where that has no order."""

    code: str
    rank: int | None
    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeRule:
    """One reason for a rating, with its source and how that is known."""

    id: str
    kind: Kind
    cite: str
    fr: str
    en: str


class Ruling(NamedTuple):
    """What a scheme says about one reading: the code of a rating and the id of the rule that decided."""

    rating: str
    rule: str


Judge = Callable[[Reading], Ruling]

NOTHING_READ = Ruling(CANNOT_BE_JUDGED, "")
EVERYWHERE = {
    CANNOT_BE_JUDGED: Rating(code=CANNOT_BE_JUDGED, rank=None, fr="ne peut pas être jugé", en="cannot be judged"),
    NOT_COVERED: Rating(code=NOT_COVERED, rank=None, fr="hors du barème", en="not covered"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A scheme that others publish.

    Attributes:
        id, fr, en: its name.
        short: its name in tables.
        publisher, address: who publishes it, and where.
        ratings: by code, from the best to the worst.
        rules: by id.
        left_out_fr, left_out_en: what the scheme asks for and a record cannot tell.
        judge: the rules.
    """

    id: str
    fr: str
    en: str
    short: str
    publisher: str
    address: str
    ratings: Mapping[str, Rating]
    rules: Mapping[str, SchemeRule]
    left_out_fr: str
    left_out_en: str
    judge: Judge = field(repr=False)

    def rating(self, code: str) -> Rating:
        """The rating with this code, one of the scheme's or one that all schemes have."""
        return self.ratings.get(code) or EVERYWHERE[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one scheme says about one finding.

    Attributes:
        scheme: the scheme.
        rating: code of a rating of the scheme, CANNOT_BE_JUDGED or NOT_COVERED.
        rule: id of the rule that decided; "" where the finding cannot be judged.
        missing: names of the measures without which the finding cannot be judged.
        at_least, at_most: codes of the ratings with the worst and with the best values of what is missing; equal to
            `rating` where nothing is.
    """

    scheme: Scheme
    rating: str
    rule: str
    missing: tuple[str, ...]
    at_least: str
    at_most: str

    @property
    def judged(self) -> bool:
        """Whether the scheme covers the finding and the record has what it asks for."""
        return self.rating not in EVERYWHERE

    @property
    def rank(self) -> int | None:
        """Rank of the rating in its scheme."""
        return self.scheme.rating(self.rating).rank

    @property
    def kind(self) -> Kind | None:
        """How the rule that decided is known; None where none did."""
        return self.scheme.rules[self.rule].kind if self.rule else None

    def sentence(self, lang: Lang) -> str:
        """The verdict and its reason, for a reader who knows neither scheme nor method."""
        return _unjudged(self, lang) if self.missing else _reasoned(self, lang)

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain data, for schemes.json."""
        return {
            "rating": self.rating,
            "rule": self.rule or None,
            "kind": self.kind,
            "missing": list(self.missing),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "fr": self.sentence("fr"),
            "en": self.sentence("en"),
        }


def verdict(scheme: Scheme, reading: Reading) -> Verdict:
    """Judge one finding by one scheme.

    Args:
        scheme: whose rules.
        reading: of the record.
    """
    if reading.record.kind == "not_read":
        return _interned(scheme.id, NOTHING_READ, NOTHING_READ, ("result",), scheme)
    reading.assume(worst=False)
    best, missing = scheme.judge(reading), reading.asked
    if not missing:
        return _interned(scheme.id, best, best, (), scheme)
    reading.assume(worst=True)
    worst = scheme.judge(reading)
    if worst.rating == best.rating:
        return _interned(scheme.id, worst, worst, (), scheme)
    return _interned(scheme.id, worst, best, tuple(sorted(missing | reading.asked)), scheme)


def table(*items: Any) -> dict[str, Any]:
    """Ratings by code, or rules by id, in the order given."""
    return {getattr(item, "code", None) or item.id: item for item in items}


def _interned(scheme_id: str, worst: Ruling, best: Ruling, missing: tuple[str, ...], scheme: Scheme) -> Verdict:
    """There are far fewer verdicts than findings: each is made once."""
    key = (scheme_id, worst, best, missing)
    found = _MADE.get(key)
    if found is None or found.scheme is not scheme:
        found = _MADE[key] = Verdict(
            scheme=scheme,
            rating=CANNOT_BE_JUDGED if missing else best.rating,
            rule="" if missing else best.rule,
            missing=missing,
            at_least=worst.rating,
            at_most=best.rating,
        )
    return found


_MADE: dict[tuple[str, Ruling, Ruling, tuple[str, ...]], Verdict] = {}


def _reasoned(verdict: Verdict, lang: Lang) -> str:
    rating, rule = verdict.scheme.rating(verdict.rating), verdict.scheme.rules[verdict.rule]
    colon = "\u00a0: " if lang == "fr" else ": "
    said = f"{_word(rating, lang)}{colon}{_word(rule, lang)}"
    return _capital(said if rule.kind == "published" else f"{said} ({KINDS[rule.kind][lang]})") + "."


def _unjudged(verdict: Verdict, lang: Lang) -> str:
    names = ", ".join(_word(MEASURES[name], lang) for name in verdict.missing)
    low, high = (_word(verdict.scheme.rating(code), lang) for code in (verdict.at_least, verdict.at_most))
    if lang == "fr":
        said = f"Ne peut pas être jugé\u00a0: la fiche ne dit pas {names}."
        return said if low == high else f"{said} Ce serait entre «\u00a0{low}\u00a0» et «\u00a0{high}\u00a0»."
    said = f"Cannot be judged: the record does not say {names}."
    return said if low == high else f"{said} It would lie between “{low}” and “{high}”."


def _word(item: Any, lang: Lang) -> str:
    return str(getattr(item, lang))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
