"""A plan of diffusion for an innovation that was retained: who, with whom, with what, when, and what to watch.

Mode, operator, stakeholders, calendar and bottleneck are proposals of params.yaml; resources are computed from what
massive treatment would take; indicators follow the steps of the funnel, those that nobody counts today first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from evaluation.diffusion.funnel import NAMES, Funnel
from evaluation.diffusion.treatment import Massive, plain
from evaluation.errors import ParametersError
from evaluation.settings.diffusion import STEPS, DiffusionPolicy, PlanFacts
from evaluation.settings.problems import nearest
from evaluation.settings.typography import french


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """What is counted while the innovation spreads.

    Attributes:
        known: somebody counts it today.
    """

    id: str
    label_fr: str
    label_en: str
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one innovation would be spread.

    Attributes:
        resources: one entry a place, with unknown parts named.
        review_date: when the decision is looked at again.
    """

    innovation: str
    facts: PlanFacts
    resources: tuple[Massive, ...]
    indicators: tuple[Indicator, ...]
    review_date: date

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "innovation": self.innovation,
            **self.facts.model_dump(mode="json"),
            "resources": [plain(each) for each in self.resources],
            "indicators": [asdict(each) for each in self.indicators],
            "review_date": self.review_date.isoformat(),
        }


def plan(innovation: str, policy: DiffusionPolicy, resources: Sequence[Massive], funnel: Funnel | None) -> Plan:
    """The plan of one innovation.

    Raises:
        ParametersError: params.yaml has no plan for it.
    """
    if innovation not in policy.plans:
        near = nearest(innovation, policy.plans)
        raise ParametersError(
            code="E-DIF-011",
            what="There is no plan of diffusion for this innovation.",
            where="params.yaml, diffusion.plans",
            found=repr(innovation),
            expected=f"one of {', '.join(policy.plans)}" if policy.plans else "at least one plan",
            fix=f"did you mean {near}?" if near else "write one: mode, operator, stakeholders, calendar, bottleneck",
        )
    return Plan(
        innovation=innovation,
        facts=policy.plans[innovation],
        resources=tuple(resources),
        indicators=indicators(funnel),
        review_date=policy.review_date,
    )


def without_plan(retained: Sequence[str], policy: DiffusionPolicy) -> tuple[str, ...]:
    """Innovations that were retained and that params.yaml has no plan for."""
    return tuple(each for each in retained if each not in policy.plans)


def indicators(funnel: Funnel | None) -> tuple[Indicator, ...]:
    """The steps of the funnel, those that nobody counts first; then cost and effect."""
    unknown = STEPS if funnel is None else funnel.unknown
    steps = [
        Indicator(id=step, label_fr=french(NAMES[step][0]), label_en=NAMES[step][1], known=step not in unknown)
        for step in STEPS
    ]
    last = (
        ("cost", "coût par personne aidée jusqu'au bout", "cost of each person who completed it"),
        ("effect", "écart avec un groupe de comparaison", "difference from a comparison group"),
    )
    more = [Indicator(id=name, label_fr=french(fr), label_en=en, known=False) for name, fr, en in last]
    return tuple(sorted([*steps, *more], key=lambda each: each.known))
