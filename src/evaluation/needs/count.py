"""The count of one vote: profile and ranking for each group of people, how sure it is, and where rules disagree.

The ballots that count are those of people who live in the territory; ballots that professionals filled in as
professionals are counted beside them, never with them. They are raked to the territory's margins where these are
given; where both town and countryside voted, each is given half of the weight at the same time, so that the smaller
of the two is not drowned. Weights are held fixed when ballots are drawn again.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.needs import majority_judgment, raking, top_sets, voting_rules
from evaluation.needs.ballots import PROFESSIONAL, ROLE, TERRITORY, UNKNOWN, Ballots, Floats, accounting
from evaluation.needs.majority_judgment import Gauges
from evaluation.needs.raking import Weights
from evaluation.needs.rank_uncertainty import RankUncertainty, resample
from evaluation.needs.voting_rules import OFFICIAL, Standings
from evaluation.settings.participation import Consultation, Grade, Margin, PriorityRule

OFFICIAL_GROUP = "official"
PLACE = "place"
KINDS = ("urban", "rural")
SMALLEST = 10  # ballots; the profile of a smaller group would tell who answered what


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The count among some of the ballots.

    Attributes:
        name: official | users_raw | professionals | urban | rural | everybody.
        ballots: how many.
        effective: Kish's effective number of ballots under the weights.
        profile: (m, K) shares of grades.
    """

    name: str
    ballots: int
    effective: float
    profile: Floats
    gauges: Gauges
    standings: Standings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Count:
    """Everything a vote says.

    Attributes:
        groups: by name; 'official' is always there, others where ten ballots or more grade every difficulty.
        withheld: groups with too few ballots to be shown.
        uncertainty: of the official ranking.
        guaranteed: difficulties that may be among the first k by approval, a set that also holds near ties.
        weights: None where the consultation has no margins.
        simulated: no person filled these ballots in.
    """

    consultation: Consultation
    grades: tuple[Grade, ...]
    accounting: tuple[Mapping[str, Any], ...]
    groups: Mapping[str, Group]
    withheld: tuple[str, ...] = ()
    uncertainty: RankUncertainty
    guaranteed: tuple[str, ...] = ()
    weights: Weights | None
    simulated: bool

    @property
    def official(self) -> Group:
        """The group whose ranking counts."""
        return self.groups[OFFICIAL_GROUP]

    @property
    def ranking(self) -> tuple[str, ...]:
        """Difficulties by official place; ties in the order of the ballot."""
        places = self.official.standings.places[OFFICIAL]
        return tuple(self.consultation.difficulties[place] for place in np.argsort(places, kind="stable"))


def count(
    ballots: Ballots,
    consultation: Consultation,
    grades: tuple[Grade, ...],
    rule: PriorityRule,
    kinds: Mapping[str, str],
    seed: int,
) -> Count:
    """Count a vote.

    Args:
        ballots: as read.
        consultation: what was asked, and the margins of the territory.
        grades: the scale.
        rule: k, probability and draws.
        kinds: territory -> urban or rural.
        seed: of the project; each vote draws its own numbers from it.

    Raises:
        DataError: no ballot of a user, a difficulty that no user graded, or margins that cannot be met.
    """
    ballots = _placed(ballots, kinds)
    users = ballots.attribute(ROLE) != PROFESSIONAL
    voting = ballots.chosen(users)
    if len(voting) == 0:
        raise DataError(
            code="E-NEE-012",
            what="Every ballot was filled in as a professional; none counts.",
            found=f"{len(ballots)} ballots with role professional",
            expected="ballots of people who live in the territory",
            fix="collect them, or correct the column role",
        )
    margins = (*consultation.margins, *_halves(voting, consultation))
    weights = raking.rake(voting, margins) if margins else None
    joint = np.ones(len(voting)) if weights is None else weights.weights
    parts = _parts(ballots, users, joint)
    shown = {name: part for name, part in parts.items() if name == OFFICIAL_GROUP or _showable(*part)}
    uncertainty = _resampled(voting, joint, consultation, rule, seed)
    return Count(
        consultation=consultation,
        grades=grades,
        accounting=tuple(accounting(ballots)),
        groups={name: _group(name, *part, _approving(grades)) for name, part in shown.items()},
        withheld=tuple(name for name, (part, _) in parts.items() if len(part) and name not in shown),
        uncertainty=uncertainty,
        guaranteed=_guaranteed(voting, joint, uncertainty, _approving(grades), seed),
        weights=weights,
        simulated=ballots.simulated,
    )


def _resampled(
    voting: Ballots, joint: Floats, consultation: Consultation, rule: PriorityRule, seed: int
) -> RankUncertainty:
    """Each vote has its own stream of the project's seed, so that another vote does not change its digits."""
    return resample(
        voting,
        rng=np.random.default_rng([seed, zlib.crc32(consultation.id.encode())]),
        draws=rule.draws,
        top=rule.top,
        probability=rule.probability,
        few_points=rule.few_points,
        weights=joint,
    )


def _guaranteed(
    voting: Ballots, joint: Floats, uncertainty: RankUncertainty, approving: int, seed: int
) -> tuple[str, ...]:
    """By approval; points are the units of chance where the bootstrap draws points."""
    effects = top_sets.approval_effects(voting, approving, joint)
    clusters = top_sets.clusters_of(voting) if uncertainty.by == "collection_point" else None
    return top_sets.simultaneous_set(effects, clusters, uncertainty.top, uncertainty.probability, seed)


def _approving(grades: tuple[Grade, ...]) -> int:
    return next(place for place, grade in enumerate(grades) if grade.approves)


def _placed(ballots: Ballots, kinds: Mapping[str, str]) -> Ballots:
    """The ballots with their place: urban, rural, or unknown."""
    places = np.array([kinds.get(name, UNKNOWN) for name in ballots.attribute(TERRITORY)], dtype=object)
    return replace(ballots, attributes={**ballots.attributes, PLACE: places})


def _halves(voting: Ballots, consultation: Consultation) -> tuple[Margin, ...]:
    """Half of the weight for each of town and countryside, unless one did not vote or the margins say how much."""
    present = set(voting.attribute(PLACE))
    if not present.issuperset(KINDS) or any(margin.variable == TERRITORY for margin in consultation.margins):
        return ()
    share = 1 / len(KINDS)
    return tuple(Margin(variable=PLACE, level=kind, share=share, confidence="computed") for kind in KINDS)


def _parts(ballots: Ballots, users: NDArray[np.bool_], joint: Floats) -> dict[str, tuple[Ballots, Floats | None]]:
    """Group -> its ballots and their weights."""
    voting = ballots.chosen(users)
    place = voting.attribute(PLACE)
    return {
        OFFICIAL_GROUP: (voting, joint),
        "users_raw": (voting, None),
        "professionals": (ballots.chosen(~users), None),
        **{name: (voting.chosen(place == name), joint[place == name]) for name in KINDS},
        "everybody": (ballots, None),
    }


def _showable(part: Ballots, weights: Floats | None) -> bool:
    return len(part) >= SMALLEST and bool((part.counts(weights).sum(axis=1) > 0).all())


def _group(name: str, part: Ballots, weights: Floats | None, approving: int) -> Group:
    counts = part.counts(weights)
    return Group(
        name=name,
        ballots=len(part),
        effective=float(len(part)) if weights is None else raking.effective_size(weights),
        profile=majority_judgment.profile(counts),
        gauges=majority_judgment.gauges(counts),
        standings=voting_rules.standings(part, approving, weights),
    )
