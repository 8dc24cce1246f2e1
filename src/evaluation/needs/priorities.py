"""Which difficulties come first: ballots and burden side by side, never averaged, and a rule that says why.

Rule, version 1.

1. Without ballots of real people, the priorities are the difficulties that the founding document names, attributed to
   it. Simulated ballots change nothing.
2. With ballots, the priority set is the smallest set that contains the true first k of the official ranking (majority
   judgment) with the probability that the rule names. A set, because neighbours in a ranking are rarely told apart.
3. A difficulty among the first k in town or in the countryside, but not in the set, is a priority of that territory.
4. Burden never moves a difficulty into the set or out of it. A difficulty outside the set that surely concerns more
   people than each one inside is named, to be discussed with those concerned.
5. A set of more than twice k says that the ballots do not tell difficulties apart: more ballots come before a choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.needs.components import FRANCE, Load
from evaluation.needs.count import KINDS, Count, Group
from evaluation.needs.voting_rules import OFFICIAL, Standings
from evaluation.settings.participation import Participation, PriorityRule
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.typography import french

Names = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Priorities:
    """The priority set and its reasons.

    Attributes:
        basis: founding_document | ballots.
        difficulties: the set, in the order of the ranking or of the founding document.
        of_territory: urban | rural -> difficulties that come first there only.
        to_discuss: outside the set, and surely concerning more people than each one inside.
        decided: False where the ballots do not tell difficulties apart.
        reasons_fr, reasons_en: why, line by line.
    """

    basis: str
    rule: str
    difficulties: tuple[str, ...]
    of_territory: Mapping[str, tuple[str, ...]]
    to_discuss: tuple[str, ...]
    decided: bool
    simulated: bool
    reasons_fr: tuple[str, ...]
    reasons_en: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The priorities as plain data."""
        return asdict(self)


def founding(participation: Participation) -> Priorities:
    """The priorities before anybody has voted."""
    named = participation.founding
    return Priorities(
        basis="founding_document",
        rule=participation.rule.version,
        difficulties=named.difficulties,
        of_territory={},
        to_discuss=(),
        decided=False,
        simulated=False,
        reasons_fr=(named.attributed_fr,),
        reasons_en=(named.attributed_en,),
    )


def from_ballots(count: Count, burdens: Sequence[Load], portfolio: Portfolio, rule: PriorityRule) -> Priorities:
    """The priorities that a vote gives.

    Args:
        count: of the vote.
        burdens: of every difficulty, in France and in the territories.
        portfolio: for the names of difficulties.
        rule: k and probability.
    """
    chosen, probability = count.uncertainty.smallest_set()
    ordered = tuple(name for name in count.ranking if name in chosen)
    of_territory = {
        kind: tuple(name for name in count.groups[kind].standings.leading(OFFICIAL, rule.top) if name not in chosen)
        for kind in KINDS
        if kind in count.groups
    }
    to_discuss = _heavier(count.consultation.difficulties, chosen, burdens)
    decided = len(chosen) <= 2 * rule.top
    names = {row.id: (row.label_fr, row.label_en) for row in portfolio.difficulties}
    fr, en = _reasons(count, ordered, probability, rule, names)
    more_fr, more_en = _more_reasons(of_territory, to_discuss, names, decided=decided)
    return Priorities(
        basis="ballots",
        rule=rule.version,
        difficulties=ordered,
        of_territory=of_territory,
        to_discuss=to_discuss,
        decided=decided,
        simulated=count.simulated,
        reasons_fr=tuple(french(text) for text in (*fr, *more_fr)),
        reasons_en=(*en, *more_en),
    )


def differences(count: Count, portfolio: Portfolio, top: int) -> tuple[tuple[str, str], ...]:
    """Where other rules and other groups do not say what the official ranking says: (French, English) sentences."""
    names = {row.id: (row.label_fr, row.label_en) for row in portfolio.difficulties}
    official, found = count.official.standings, []
    for rule in official.disagreements(top):
        lines = _led(official, official, rule, top, names)
        found.append((f"{_RULES[rule][0]} : {lines[0]}", f"{_RULES[rule][1]}: {lines[1]}"))
    for name, group in count.groups.items():
        if group.standings.leading(OFFICIAL, top) != official.leading(OFFICIAL, top):
            lines = _led(official, group.standings, OFFICIAL, top, names)
            found.append((f"{_GROUPS[name][0]} : {lines[0]}", f"{_GROUPS[name][1]}: {lines[1]}"))
    if not found:
        return ((french("Toutes les règles et tous les groupes donnent les mêmes premières difficultés."), _AGREE),)
    return tuple((french(fr), en) for fr, en in found)


def table(group: Group, count: Count) -> list[dict[str, Any]]:
    """One row a difficulty: profile, majority grade and gauge, places under each rule; for priorities.json."""
    gauges, standings = group.gauges, group.standings
    return [
        {
            "difficulty": name,
            "profile": [round(float(share), 6) for share in group.profile[place]],
            "majority_grade": count.grades[int(gauges.majority_grade[place])].id,
            "plus": bool(gauges.plus[place]),
            "above": round(float(gauges.above[place]), 6),
            "below": round(float(gauges.below[place]), 6),
            "places": {rule: int(places[place]) for rule, places in standings.places.items()},
            "scores": {rule: round(float(score[place]), 6) for rule, score in standings.scores.items()},
        }
        for place, name in enumerate(standings.difficulties)
    ]


def certainty(count: Count) -> list[dict[str, Any]]:
    """One row a difficulty: probability of being first and among the first k, interval of places."""
    found = count.uncertainty
    low, high = found.interval()
    return [
        {
            "difficulty": name,
            "first": round(float(found.first[place]), 6),
            "among_top": round(float(found.among_top[place]), 6),
            "low": int(low[place]),
            "high": int(high[place]),
        }
        for place, name in enumerate(found.difficulties)
    ]


# the rule ------------------------------------------------------------------------------------------------------------


def _heavier(asked: Sequence[str], chosen: Sequence[str], burdens: Sequence[Load]) -> tuple[str, ...]:
    """Asked and not chosen, with a lower bound of people above the upper bounds of all that were chosen and counted."""
    people = {load.difficulty: load.parts[0] for load in burdens if load.territory == FRANCE}
    inside = [people[name].high for name in chosen if name in people and people[name].high is not None]
    if not inside or len(inside) < len(chosen):
        return ()
    most = max(float(high) for high in inside if high is not None)
    lows = {name: people[name].low for name in asked if name in people and name not in chosen}
    return tuple(name for name, low in lows.items() if low is not None and low > most)


def _reasons(
    count: Count, chosen: Sequence[str], probability: float, rule: PriorityRule, names: Names
) -> tuple[list[str], list[str]]:
    drawn, official = count.uncertainty, count.official
    share, needed = int(np.floor(100 * probability)), round(100 * rule.probability)
    size, points = official.effective, drawn.points
    who_fr = f"{official.ballots} bulletins d'habitants (effectif utile {size:.0f}), {points} points de collecte."
    who_en = f"{official.ballots} ballots of residents (effective number {size:.0f}), {points} collection points."
    set_fr = (
        f"Plus petit ensemble contenant les {rule.top} premières dans {share} % des tirages ({needed} % demandés) : "
    )
    set_en = f"Smallest set with the first {rule.top} in {share}% of resamples ({needed}% were needed): "
    fr = [who_fr, f"{set_fr}{_listed(chosen, names, 0)}."]
    en = [who_en, f"{set_en}{_listed(chosen, names, 1)}."]
    if vote_guarantees := count.guaranteed:
        fr.append(
            f"Contrôle valable même en cas de quasi-égalité, par approbation : {_listed(vote_guarantees, names, 0)}."
        )
        en.append(f"Check that holds even near ties, by approval: {_listed(vote_guarantees, names, 1)}.")
    if drawn.by == "ballot":
        fr.append(
            "Trop peu de points de collecte pour les retirer au sort : les bulletins l'ont été dans chaque point,"
            " sans savoir comment d'autres lieux auraient voté."
        )
        en.append(
            "Too few collection points to draw them again: ballots were drawn within each,"
            " without knowing how other places would have voted."
        )
    return fr, en


def _more_reasons(
    of_territory: Mapping[str, Sequence[str]], to_discuss: Sequence[str], names: Names, *, decided: bool
) -> tuple[list[str], list[str]]:
    fr, en = [], []
    for kind, found in of_territory.items():
        if found:
            fr.append(f"Priorité propre au territoire {_KINDS_FR[kind]} : {_listed(found, names, 0)}.")
            en.append(f"Priority of the {kind} territory only: {_listed(found, names, 1)}.")
    if to_discuss:
        fr.append(f"Concerne sûrement plus de personnes, sans être dans l'ensemble : {_listed(to_discuss, names, 0)}.")
        en.append(f"Surely concerns more people without being in the set: {_listed(to_discuss, names, 1)}.")
    if not decided:
        fr.append("Les bulletins ne départagent pas les difficultés : il en faut davantage avant de choisir.")
        en.append("The ballots do not tell difficulties apart: more of them are needed before a choice.")
    return fr, en


def _led(official: Standings, other: Standings, rule: str, top: int, names: Names) -> tuple[str, str]:
    """Who leads instead: the first k, or only the very first where the first k are the same."""
    ours, theirs = official.ordered(OFFICIAL, top), other.ordered(rule, top)
    if set(ours) == set(theirs):
        ours, theirs = official.first(OFFICIAL), other.first(rule)
        heads = ("mêmes premières, mais en tête ", "the same first ones, but on top ")
    else:
        heads = ("", "")
    fr = f"{heads[0]}{_listed(theirs, names, 0)}, au lieu de {_listed(ours, names, 0)}."
    en = f"{heads[1]}{_listed(theirs, names, 1)}, instead of {_listed(ours, names, 1)}."
    return fr, en


def _listed(ids: Sequence[str], names: Names, lang: int) -> str:
    """Labels, between quotation marks because some of them hold commas."""
    quotes = ("« ", " »") if lang == 0 else ("'", "'")
    return ", ".join(f"{quotes[0]}{names.get(name, (name, name))[lang]}{quotes[1]}" for name in ids)


_AGREE = "All rules and all groups put the same difficulties first."
_KINDS_FR = {"urban": "urbain", "rural": "rural"}
_RULES = {
    "schulze": ("Méthode Schulze", "Schulze method"),
    "borda": ("Méthode de Borda", "Borda count"),
    "approval": ("Vote par approbation", "Approval voting"),
}
_GROUPS = {
    "users_raw": ("Sans pondération", "Without weights"),
    "professionals": ("Professionnels", "Professionals"),
    "urban": ("Territoire urbain", "Urban territory"),
    "rural": ("Territoire rural", "Rural territory"),
    "everybody": ("Tous les bulletins, professionnels compris", "All ballots, professionals included"),
}
