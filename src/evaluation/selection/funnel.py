"""The funnel: received -> eligible -> tested -> supported -> treated at scale, counted, with the reasons of those left.

Two funnels of the same stages, never added up:

* proposals: forms that somebody sent (selection/intake.py); zero as long as nobody has;
* portfolio: innovations known from published sources. Nobody proposed them: their first stage is called known.

Each stage counts those that passed it and all stages before; what a stage leaves is counted by reason, so that the
count of a stage is that of the next one plus what was left there.

    eligible    a French territory could fund it, and its difficulty is one of the portfolio
    tested      an effect, or its sign, was read in a study with a comparison group
    supported   decided ETENDRE_SOUS_EVALUATION or GENERALISER
    at scale    reaches at least `share` of the need, in France or in a test territory
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evaluation.diffusion.coverage import Coverage
from evaluation.selection.decisions import Decision
from evaluation.selection.intake import Triaged

Stage = Literal["received", "eligible", "tested", "supported", "at_scale"]
STAGES: tuple[Stage, ...] = ("received", "eligible", "tested", "supported", "at_scale")
UNTESTED = ("no-finding", "no-comparison")
SUPPORTED = ("ETENDRE_SOUS_EVALUATION", "GENERALISER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How far one innovation or proposal came: the last stage it passed, and why it did not pass the next one."""

    id: str
    last: Stage
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """Counts of one funnel.

    Attributes:
        counts: by stage, of those that passed it.
        left: by stage that was not passed: reason -> ids.
    """

    counts: Mapping[Stage, int]
    left: Mapping[Stage, Mapping[str, tuple[str, ...]]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for funnel.json."""
        return asdict(self)


def funnel(passages: Iterable[Passage]) -> Funnel:
    """Count how far each came."""
    listed = list(passages)
    reached = Counter(STAGES.index(each.last) for each in listed)
    counts = {stage: sum(reached[later] for later in range(place, len(STAGES))) for place, stage in enumerate(STAGES)}
    left: dict[Stage, Mapping[str, tuple[str, ...]]] = {}
    for place, stage in enumerate(STAGES[1:]):
        stopped = [each for each in listed if STAGES.index(each.last) == place]
        reasons = dict.fromkeys(each.reason for each in stopped)
        left[stage] = {name: tuple(each.id for each in stopped if each.reason == name) for name in reasons}
    return Funnel(counts=counts, left=left)


def of_portfolio(decisions: Sequence[Decision], rows: Sequence[Coverage], share: float) -> tuple[Passage, ...]:
    """How far each innovation of the portfolio came; each that gets a decision could be funded by a territory.

    Args:
        decisions: one an innovation.
        rows: of coverage.
        share: of the need from which it is treated at scale.
    """
    wide = _wide(rows, share)
    return tuple(_passage(each.innovation, each, wide) for each in decisions)


def of_proposals(
    triaged: Sequence[Triaged], decisions: Sequence[Decision], rows: Sequence[Coverage], share: float
) -> tuple[Passage, ...]:
    """How far each proposal came; from `tested` on by the innovation that it has become.

    Args:
        triaged: all proposals that were received.
        decisions: one an innovation.
        rows: of coverage.
        share: of the need from which it is treated at scale.
    """
    wide = _wide(rows, share)
    decided = {each.innovation: each for each in decisions}
    return tuple(_proposed(each, decided, wide) for each in triaged)


def _wide(rows: Sequence[Coverage], share: float) -> set[str]:
    return {row.innovation for row in rows if row.share is not None and row.share >= share}


def _proposed(each: Triaged, decided: Mapping[str, Decision], wide: set[str]) -> Passage:
    title = str(each.proposal["title"])
    if not each.eligible:
        return Passage(id=title, last="received", reason=each.reason)
    found = decided.get(each.proposal.innovation or "")
    return Passage(id=title, last="eligible", reason="not_yet") if found is None else _passage(title, found, wide)


def _passage(name: str, decision: Decision, wide: set[str]) -> Passage:
    if decision.rule in UNTESTED:
        return Passage(id=name, last="eligible", reason=decision.rule)
    if decision.decision not in SUPPORTED:
        return Passage(id=name, last="tested", reason=decision.rule)
    if decision.innovation not in wide:
        return Passage(id=name, last="supported", reason="not_wide")
    return Passage(id=name, last="at_scale", reason="")
