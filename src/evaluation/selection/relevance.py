"""Relevance (pertinence) of an innovation in a territory, beside its impact and never merged with it.

Components, each shown as it is, with what nobody knows; there is no score, and none may be computed from them:

* need     does it work on a difficulty that is prioritised here, and for which of its publics?
* users    what did people concerned say of this innovation themselves? Unknown until somebody asked them.
* share    which share of the need does it reach today, here, or in France where nobody counted here?
* beside   what exists already in France for the same difficulty: does it complement it, or do the same for the same
           public?
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evaluation.diffusion.coverage import FRANCE, Coverage
from evaluation.settings.facts import Innovation
from evaluation.settings.participation import Participation, Step
from evaluation.settings.portfolio import Portfolio

Place = Literal["alone", "complement", "possible_duplicate", "unknown"]
COMPONENTS = ("need", "public", "users", "share", "beside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What people said, as far as anybody asked.

    Attributes:
        difficulties: prioritised; of_territory: the same where a territory voted for itself.
        basis: ballots, founding_document, or none.
        steps: of the register of participation.
    """

    difficulties: tuple[str, ...] = ()
    of_territory: Mapping[str, Sequence[str]] = field(default_factory=dict)
    basis: str = "none"
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevance:
    """The components of one innovation in one territory.

    Attributes:
        prioritised: the difficulty is prioritised here; basis: who said so.
        publics: ids of the difficulty's publics that it serves; () where nobody noted them.
        judged: what people concerned said of it, {people, said_fr, said_en}, one entry each time they were asked.
        share, share_kind: of the need, reached today; share_place: territory, or france where nobody counted here.
        others_share: of the need in France, reached by the other innovations whose share is of the same kind.
        beside: ids of other innovations that exist in France for the same difficulty; same_public: of these, those
            that serve a public that it serves as well.
        place: alone (nothing else exists in France) | complement (others serve other publics) | possible_duplicate
            (another one serves the same public) | unknown (publics not noted).
        unknown: components that nobody knows.
    """

    prioritised: bool | None
    basis: str
    publics: tuple[str, ...]
    judged: tuple[dict[str, Any], ...]
    share: float | None
    share_kind: str | None
    share_place: str | None
    others_share: float | None
    beside: tuple[str, ...]
    same_public: tuple[str, ...]
    place: Place
    unknown: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for territories.json."""
        return asdict(self)


def asked(priorities: Mapping[str, Any], participation: Participation) -> Asked:
    """What people said, from data/needs/priorities.json and the register.

    Args:
        priorities: content of priorities.json; empty before the stage needs has run.
        participation: the register.
    """
    chosen = priorities.get("priorities", {})
    return Asked(
        difficulties=tuple(chosen.get("difficulties", ())),
        of_territory=chosen.get("of_territory", {}),
        basis=str(chosen.get("basis", "none")),
        steps=participation.steps,
    )


def relevance(
    innovation: Innovation, territory: str, portfolio: Portfolio, rows: Sequence[Coverage], said: Asked
) -> Relevance:
    """The components of one innovation in one territory.

    Args:
        innovation: of the portfolio, to decide on.
        territory: id of a test territory.
        portfolio: what else exists.
        rows: of coverage.
        said: by people.
    """
    here, wanted = _covered(innovation.id, territory, rows), _wanted(territory, said)
    beside = _beside(innovation, portfolio)
    same = tuple(each.id for each in beside if set(each.publics) & set(innovation.publics))
    judged = _judged(innovation.id, territory, said.steps)
    place = _place(innovation, beside, same)
    unknown = {
        "need": not wanted,
        "public": not innovation.publics,
        "users": not judged,
        "share": here is None,
        "beside": place == "unknown",
    }
    return Relevance(
        prioritised=innovation.difficulty in wanted if wanted else None,
        basis=said.basis,
        publics=innovation.publics,
        judged=judged,
        share=None if here is None else here.share,
        share_kind=None if here is None else here.share_kind,
        share_place=None if here is None else here.territory,
        others_share=None if here is None else _others(innovation, here, rows),
        beside=tuple(each.id for each in beside),
        same_public=same,
        place=place,
        unknown=tuple(name for name in COMPONENTS if unknown[name]),
    )


def _wanted(territory: str, said: Asked) -> Sequence[str]:
    return said.of_territory.get(territory) or said.difficulties


def _covered(innovation: str, territory: str, rows: Sequence[Coverage]) -> Coverage | None:
    """The row with a share: of the territory, or of France where nobody counted here."""
    own = {row.territory: row for row in rows if row.innovation == innovation and row.share is not None}
    return own.get(territory) or own.get(FRANCE)


def _others(innovation: Innovation, here: Coverage, rows: Sequence[Coverage]) -> float | None:
    """Lowest shares of the others added up: people may use several, so that it is at most this."""
    shares = [
        row.share
        for row in rows
        if row.innovation != innovation.id
        and row.difficulty == innovation.difficulty
        and row.territory == here.territory
        and row.share_kind == here.share_kind
        and row.share is not None
    ]
    return sum(shares) if shares else None


def _beside(innovation: Innovation, portfolio: Portfolio) -> tuple[Innovation, ...]:
    return tuple(
        each
        for each in portfolio.decision_innovations
        if each.id != innovation.id and each.difficulty == innovation.difficulty and each.in_france
    )


def _judged(innovation: str, territory: str, steps: Sequence[Step]) -> tuple[dict[str, Any], ...]:
    """Steps that were held with people concerned, about this innovation, here or everywhere."""
    return tuple(
        {"people": step.people, "said_fr": step.said_fr, "said_en": step.said_en}
        for step in steps
        if step.status == "held"
        and step.concerns.innovation == innovation
        and step.concerns.territory in (None, territory)
    )


def _place(innovation: Innovation, beside: Sequence[Innovation], same: Sequence[str]) -> Place:
    if not beside:
        return "alone"
    if same:
        return "possible_duplicate"
    noted = innovation.publics and all(each.publics for each in beside)
    return "complement" if noted else "unknown"
