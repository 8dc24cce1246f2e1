"""What is known about one innovation, as the rules look at it: its findings, its cost, what was delivered.

A number recalled from memory has not been read, and a subgroup or a second specification counts only where nothing else
does. `better` acts here and nowhere else: no number is ever flipped before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from evaluation.diffusion.coverage import FRANCE, Coverage
from evaluation.errors import StaleError
from evaluation.evidence.record import Record
from evaluation.selection.readouts import Readout
from evaluation.selection.rules import Situation, WhatWasRead
from evaluation.settings.facts import Innovation
from evaluation.settings.observations import Cost
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import Portfolio

Favour = Literal["favourable", "unfavourable", "none", "undefined"]


class Graded(Protocol):
    """What selection reads of a grade."""

    @property
    def value(self) -> int:
        """0 to 5."""


Grades = Mapping[str, Graded] | Mapping[str, Mapping[str, Any]]
"""By record id: grades, or the content of grades.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One finding as decisions see it.

    Attributes:
        use: estimate (an effect read with a comparison group), sign (a sign read in a randomised study), or none.
        favour: whether the effect goes the way people want; none = no effect detected, undefined = nobody could say.
        horizon: months, 0 where it is not stated.
        secondary: a subgroup, or another specification of a main result.
        main: on the whole sample, with a standard error (poolable).
        weak_sign: a sign read in a study with a comparison group that was not drawn by lot.
    """

    id: str
    grade: int
    use: Literal["estimate", "sign", "none"]
    favour: Favour
    horizon: float
    secondary: bool
    main: bool
    recalled: bool
    not_read: bool
    weak_sign: bool
    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that the rules look at for one innovation.

    Attributes:
        rival: others may lose what some gain, and nobody measured it.
        planned: it is settled who would run it at scale.
        take_up, fidelity: as delivered, None where nobody measured them.
        programme: grade over all findings, None where no effect or sign was read.
    """

    innovation: Innovation
    findings: tuple[Evidence, ...]
    cost: Cost | None
    locally_counted: bool
    harm_grade: int
    rival: bool = False
    planned: bool = False
    take_up: float | None = None
    fidelity: float | None = None
    programme: int | None = None

    @property
    def estimates(self) -> tuple[Evidence, ...]:
        """Usable findings whose effect was read, with a comparison group."""
        return tuple(finding for finding in self.usable if finding.use == "estimate")

    @property
    def usable(self) -> tuple[Evidence, ...]:
        """Findings that can carry a decision, the best first; secondary ones only where there is nothing else."""
        found = sorted((each for each in self.findings if each.use != "none"), key=best_first)
        return tuple(each for each in found if not each.secondary) or tuple(found)

    @property
    def best(self) -> tuple[Evidence, ...]:
        """Usable findings of the highest grade."""
        usable = self.usable
        return tuple(each for each in usable if each.grade == usable[0].grade)

    @property
    def shown(self) -> Evidence | None:
        """The finding that a reader is shown: the best usable one, or the best of all where none is usable."""
        return next(iter(self.usable or sorted(self.findings, key=best_first)), None)

    @property
    def harmful(self) -> bool:
        """Of the best established results, some are unfavourable and none is favourable."""
        if not self.usable or self.best[0].grade < self.harm_grade:
            return False
        favours = {finding.favour for finding in self.best}
        return "unfavourable" in favours and "favourable" not in favours


def case_of(
    innovation: Innovation,
    records: Sequence[Record],
    grades: Grades,
    rows: Sequence[Coverage],
    portfolio: Portfolio,
    policy: Selection,
    programmes: Mapping[str, int] | None = None,
) -> Case:
    """What is known about one innovation.

    Args:
        innovation: to decide on.
        records: of all findings.
        grades: by record id.
        rows: of coverage.
        portfolio: costs, findings, what was delivered.
        policy: bounds.
        programmes: grades of programmes by innovation.

    Raises:
        StaleError: a record has no grade.
    """
    secondary = {finding.id for finding in portfolio.findings if finding.secondary}
    local = [row for row in rows if row.innovation == innovation.id and row.territory != FRANCE]
    return Case(
        innovation=innovation,
        findings=tuple(
            _evidence(record, _grade_of(record, grades), policy, secondary=record.id in secondary)
            for record in records
            if record.innovation == innovation.id
        ),
        cost=portfolio.cost_of(innovation.id),
        locally_counted=bool(local) and all(row.share is not None for row in local),
        harm_grade=policy.harm_grade,
        rival=innovation.difficulty in policy.valuing.rival and not _displacement_measured(innovation, records),
        planned=innovation.id in policy.capacity_plans,
        take_up=portfolio.delivered(innovation.id, "take_up"),
        fidelity=portfolio.delivered(innovation.id, "fidelity"),
        programme=(programmes or {}).get(innovation.id),
    )


def situation_of(
    case: Case, value: Readout | None = None, *, transfer: str | None = None, value_of_test: float | None = None
) -> Situation:
    """The case as the rules see it, with what its value chain says in one territory.

    Args:
        case: what is known of the innovation.
        value: of its chain; None where none was made.
        transfer: letter to the territory; None where nobody assessed it.
        value_of_test: of the best test, its cost and its delay charged; None where nobody computed it.
    """
    favourable = [finding for finding in case.usable if finding.favour == "favourable"]
    horizons = [finding.horizon for finding in case.estimates if finding.favour == "favourable"]
    return Situation(
        evidence=_what_was_read(case),
        favourable=bool(favourable),
        harmful=case.harmful,
        cost_known=case.cost is not None,
        grade=case.best[0].grade if case.usable else None,
        programme=case.programme,
        transfer=transfer,
        p_positive=value.p_positive if value else None,
        p_harm=value.p_harm if value else None,
        p_useful=value.p_useful if value else None,
        net=value.net if value else None,
        value_of_test=value_of_test,
        sustained_months=max(horizons, default=None),
        cost_sites=case.cost.sites if case.cost is not None else None,
        displacement_open=case.rival,
        capacity_plan=case.planned,
        take_up=case.take_up,
        fidelity=case.fidelity,
    )


def _displacement_measured(innovation: Innovation, records: Sequence[Record]) -> bool:
    """Whether a study of the innovation measured what others lose."""
    found = (record.check("interference.displacement") for record in records if record.innovation == innovation.id)
    return any(check is not None and check.status == "measured" for check in found)


def favour(direction: str | None, better: str | None) -> Favour:
    """Whether a direction is what people want: `better` acts here and nowhere else."""
    if direction is None or (better is None and direction != "none"):
        return "undefined"
    if direction == "none":
        return "none"
    return "favourable" if (direction == "positive") is (better == "higher") else "unfavourable"


def best_first(finding: Evidence) -> tuple[int, bool, bool, float, str]:
    """Highest grade; then a read estimate before a sign, main specifications, the latest horizon, the id."""
    return -finding.grade, finding.use != "estimate", not finding.main, -finding.horizon, finding.id


def _what_was_read(case: Case) -> WhatWasRead:
    if not case.findings:
        return "none"
    if not case.usable:
        return "no_comparison"
    return "effect" if case.estimates else "signs"


def _grade_of(record: Record, grades: Grades) -> int:
    if record.id not in grades:
        raise StaleError(
            code="E-SEL-002",
            what="A finding has no grade.",
            where="data/evidence/grades.json",
            found=f"no grade for {record.id}",
            expected="a grade for every record",
            fix="run the evidence stage again",
        )
    found = grades[record.id]
    return int(found["value"]) if isinstance(found, Mapping) else found.value


def _evidence(record: Record, grade: int, policy: Selection, *, secondary: bool) -> Evidence:
    use = _use(record, policy)
    return Evidence(
        id=record.id,
        grade=grade,
        use=use,
        favour=favour(record.headline.direction, record.outcome.better),
        horizon=record.outcome.horizon_months or 0.0,
        secondary=secondary,
        main=record.source.poolable,
        recalled=record.source.confidence == "recalled",
        not_read=record.kind == "not_read",
        weak_sign=use == "none" and record.kind == "sign_only" and record.design_class in policy.comparison_designs,
        citation=record.source.citation or record.id,
    )


def _use(record: Record, policy: Selection) -> Literal["estimate", "sign", "none"]:
    if record.source.confidence in ("recalled", "claim"):
        return "none"
    read = record.kind == "effect" and record.headline.estimate is not None
    if read and record.design_class in policy.comparison_designs:
        return "estimate"
    if record.kind == "sign_only" and record.design_class in policy.sign_path_designs:
        return "sign"
    return "none"


def tenor(
    findings: Iterable[Evidence],
) -> Literal["favourable", "partly", "mixed", "unfavourable", "none", "undefined"]:
    """What findings say together."""
    favours = {finding.favour for finding in findings} - {"undefined"}
    if {"favourable", "unfavourable"} <= favours:
        return "mixed"
    if "favourable" in favours:
        return "partly" if "none" in favours else "favourable"
    if "unfavourable" in favours:
        return "unfavourable"
    return "none" if favours else "undefined"
