"""Staged funding: for each decision the tranches test, transition, scale; who may pay each, and what releases the next.

A decision opens one tranche at most:

    EXPERIMENTER              test
    ETENDRE_SOUS_EVALUATION   transition (the roll-out by lot, reversible)
    GENERALISER               scale
    all others                none

The next tranche is released by what the rules still ask for (rules.py), never by the end of a calendar; the bounds are
those of `selection:` in params.yaml. A tranche that nobody opened has no money, and the map never says that somebody
will pay: it says who may be asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evaluation.selection.rules import Verdict
from evaluation.settings.finance import Finance
from evaluation.settings.learning import TRANCHES, Tranche

Status = Literal["past", "open", "next", "later", "closed"]

_OPENED: Mapping[str, Tranche] = {
    "EXPERIMENTER": "test",
    "ETENDRE_SOUS_EVALUATION": "transition",
    "GENERALISER": "scale",
}
# A programme of these decisions may come back: its first tranche waits for what the decision says is missing.
_WAITING = ("DONNEES_INSUFFISANTES", "REVOIR")
# What ends a tranche before its time: rules that then bind, see rules.py.
STOPS: Mapping[Tranche, tuple[str, ...]] = {
    "test": ("stop-harm", "stop-value", "revise-delivery"),
    "transition": ("stop-harm", "stop-value", "revise-delivery"),
    "scale": ("stop-harm", "stop-value"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One tranche of one innovation.

    Attributes:
        status: past, open (may be paid now), next (the one to be released), later, closed.
        instruments: ids of those that may be asked.
        missing: conditions of its rule that are not met; () for a test, whose decision says what is missing.
        stops: rules that would end it before its time.
    """

    tranche: Tranche
    status: Status
    instruments: tuple[str, ...]
    missing: tuple[str, ...]
    stops: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The tranches of one innovation.

    Attributes:
        opened: tranche that may be paid now; None where none may.
        review_date: after which nothing is paid without a new decision.
    """

    innovation: str
    decision: Verdict
    opened: Tranche | None
    review_date: str
    stages: tuple[Stage, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for finance.json."""
        return asdict(self)


def plan(
    innovation: str, decision: Verdict, unmet: Mapping[Tranche, Sequence[str]], review_date: str, finance: Finance
) -> Plan:
    """The tranches of one decision.

    Args:
        innovation: id.
        decision: what was decided.
        unmet: conditions that are not met, by tranche that they would release.
        review_date: of the decision.
        finance: the map.
    """
    opened = _OPENED.get(decision)
    return Plan(
        innovation=innovation,
        decision=decision,
        opened=opened,
        review_date=review_date,
        stages=tuple(_stage(tranche, decision, unmet.get(tranche, ()), finance) for tranche in TRANCHES),
    )


def _stage(tranche: Tranche, decision: Verdict, missing: Sequence[str], finance: Finance) -> Stage:
    payers = finance.paying(tranche)
    status = _status(tranche, decision)
    return Stage(
        tranche=tranche,
        status=status,
        instruments=tuple(each.id for each in payers) if status != "closed" else (),
        missing=() if status in ("past", "open") else tuple(missing),
        stops=STOPS[tranche],
    )


def _status(tranche: Tranche, decision: Verdict) -> Status:
    place = TRANCHES.index(tranche)
    if decision not in _OPENED:
        if decision not in _WAITING:
            return "closed"
        return "next" if place == 0 else "later"
    ahead = place - TRANCHES.index(_OPENED[decision])
    if ahead < 0:
        return "past"
    return ("open", "next", "later")[ahead]
