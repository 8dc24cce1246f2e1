"""One decision for each innovation, by ordered rules, with what would change it.

Two decisions exist in this version: EXPERIMENTER (test it here, with a comparison group) and DONNEES_INSUFFISANTES
(something must be found out first). Nothing more is ever recommended: to extend a programme, its net benefit and its
transfer to the territory would have to be known. A decision is about a programme, never about a person.

The first rule that applies binds:

    no-finding           no result about this innovation in the portfolio
    no-comparison        no effect read in a study with a comparison group, and no sign read in a randomised one
    harm                 among the best graded results, of grade `harm_grade` or more, some are unfavourable and none
                         is favourable
    sign-not-favourable  only signs were read, and none of them is favourable
    no-cost              the cost per participant is not known
    test-estimate        an effect was read in a study with a comparison group
    test-sign            a favourable sign was read in a randomised study

A number recalled from memory has not been read, and a subgroup or a second specification counts only where
nothing else does. These are house rules; every bound stands in params.yaml, `selection:`.
"""

import calendar
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

from evaluation import store
from evaluation.diffusion.coverage import FRANCE, Coverage, coverage
from evaluation.errors import ParametersError, StaleError
from evaluation.evidence.record import Record
from evaluation.selection import wording
from evaluation.settings.policy import Selection
from evaluation.settings.portfolio import COMPARISON_CLASSES, RANDOMISED_CLASSES, Cost, Innovation, Portfolio
from evaluation.settings.problems import nearest

Verdict = Literal["EXPERIMENTER", "DONNEES_INSUFFISANTES"]
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
    """Everything that the rules look at for one innovation."""

    innovation: Innovation
    findings: tuple[Evidence, ...]
    cost: Cost | None
    locally_counted: bool
    harm_grade: int

    @property
    def estimates(self) -> tuple[Evidence, ...]:
        """Usable findings whose effect was read, with a comparison group."""
        return tuple(finding for finding in self.usable if finding.use == "estimate")

    @property
    def usable(self) -> tuple[Evidence, ...]:
        """Findings that can carry a decision, the best first; secondary ones only where there is nothing else."""
        found = sorted((each for each in self.findings if each.use != "none"), key=_best_first)
        return tuple(each for each in found if not each.secondary) or tuple(found)

    @property
    def best(self) -> tuple[Evidence, ...]:
        """Usable findings of the highest grade."""
        usable = self.usable
        return tuple(each for each in usable if each.grade == usable[0].grade)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided about one innovation, and why; fields as in decisions.json.

    Attributes:
        rule: the rule that binds.
        best_grade, best_record: of the usable finding with the highest grade; of any finding where none is usable.
        findings: ids of all records about the innovation.
        cost_per_participant: in `cost_currency`; None where it is not known.
        would_change_fr, would_change_en: what is missing, or what a test would bring, line by line.
    """

    innovation: str
    difficulty: str
    decision: Verdict
    label_fr: str
    label_en: str
    rule: str
    reason_fr: str
    reason_en: str
    would_change_fr: tuple[str, ...]
    would_change_en: tuple[str, ...]
    best_grade: int | None
    best_record: str | None
    findings: tuple[str, ...]
    cost_per_participant: float | None
    cost_currency: str | None
    cost_confidence: str | None
    in_france: bool
    scope_fr: str
    scope_en: str
    owner: str
    date: str
    review_date: str

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain data, for decisions.json."""
        return asdict(self)


def decide(
    portfolio: Portfolio,
    records: Iterable[Record],
    grades: Grades,
    rows: Sequence[Coverage],
    policy: Selection | None,
) -> tuple[Decision, ...]:
    """One decision for each innovation of the portfolio with role decision, in its order.

    Args:
        portfolio: innovations and costs.
        records: of all findings; those of benchmarks are left out.
        grades: by record id.
        rows: of coverage.
        policy: the `selection:` section of params.yaml.

    Raises:
        ParametersError: there is no policy, or it names a class of design that does not exist.
        StaleError: a record has no grade.
    """
    policy = _require_policy(policy)
    chosen = sorted((record for record in records if record.role == "decision"), key=lambda record: record.id)
    cautions = {finding.id: (finding.caution_fr, finding.caution_en) for finding in portfolio.findings}
    return tuple(
        _decision(_case(innovation, chosen, grades, rows, portfolio, policy), policy, cautions)
        for innovation in portfolio.decision_innovations
    )


def write(portfolio: Portfolio, records: Iterable[Record], grades: Grades, policy: Selection | None) -> Path:
    """Decide, and write data/selection/decisions.json; return its path."""
    decisions = decide(portfolio, records, grades, coverage(portfolio), policy)
    target = store.path("data", "selection", "decisions.json")
    store.write_json(target, [decision.as_dict() for decision in decisions])
    return target


def binding_rule(case: Case) -> tuple[str, Verdict]:
    """The first rule that applies, and what it decides."""
    checks: tuple[tuple[str, bool], ...] = (
        ("no-finding", not case.findings),
        ("no-comparison", not case.usable),
        ("harm", bool(case.usable) and _harmful(case)),
        ("sign-not-favourable", not case.estimates and not _any_favourable(case.usable)),
        ("no-cost", case.cost is None),
    )
    for rule, applies in checks:
        if applies:
            return rule, "DONNEES_INSUFFISANTES"
    return ("test-estimate" if case.estimates else "test-sign"), "EXPERIMENTER"


def favour(direction: str | None, better: str | None) -> Favour:
    """Whether a direction is what people want: `better` acts here and nowhere else."""
    if direction is None or (better is None and direction != "none"):
        return "undefined"
    if direction == "none":
        return "none"
    return "favourable" if (direction == "positive") is (better == "higher") else "unfavourable"


def review_date(decided: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it is shorter."""
    year, month = divmod(decided.year * 12 + decided.month - 1 + months, 12)
    return date(year, month + 1, min(decided.day, calendar.monthrange(year, month + 1)[1]))


# a case --------------------------------------------------------------------------------------------------------------


def _case(
    innovation: Innovation,
    records: Sequence[Record],
    grades: Grades,
    rows: Sequence[Coverage],
    portfolio: Portfolio,
    policy: Selection,
) -> Case:
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
    )


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


def _best_first(finding: Evidence) -> tuple[int, bool, bool, float, str]:
    """Highest grade; then a read estimate before a sign, main specifications, the latest horizon, the id."""
    return -finding.grade, finding.use != "estimate", not finding.main, -finding.horizon, finding.id


def _harmful(case: Case) -> bool:
    best = case.best
    favours = {finding.favour for finding in best}
    return best[0].grade >= case.harm_grade and "unfavourable" in favours and "favourable" not in favours


def _any_favourable(findings: Iterable[Evidence]) -> bool:
    return any(finding.favour == "favourable" for finding in findings)


# a decision ----------------------------------------------------------------------------------------------------------


def _decision(case: Case, policy: Selection, cautions: Mapping[str, tuple[str, str]]) -> Decision:
    rule, verdict = binding_rule(case)
    shown = (case.usable or tuple(sorted(case.findings, key=_best_first)))[:1]
    said = wording.told(rule, _facts(case, cautions.get(shown[0].id, ("", "")) if shown else ("", "")))
    return Decision(
        innovation=case.innovation.id,
        difficulty=str(case.innovation.difficulty),
        decision=verdict,
        label_fr=wording.LABELS[verdict][0],
        label_en=wording.LABELS[verdict][1],
        rule=rule,
        reason_fr=said.reason_fr,
        reason_en=said.reason_en,
        would_change_fr=said.would_change_fr,
        would_change_en=said.would_change_en,
        best_grade=shown[0].grade if shown else None,
        best_record=shown[0].id if shown else None,
        findings=tuple(finding.id for finding in case.findings),
        cost_per_participant=case.cost.per_participant if case.cost else None,
        cost_currency=case.cost.currency if case.cost else None,
        cost_confidence=case.cost.confidence if case.cost else None,
        in_france=case.innovation.in_france,
        scope_fr=wording.SCOPE_FR,
        scope_en=wording.SCOPE_EN,
        owner=policy.owner,
        date=policy.decision_date.isoformat(),
        review_date=review_date(policy.decision_date, policy.review_months).isoformat(),
    )


def _facts(case: Case, caution: tuple[str, str]) -> wording.Facts:
    usable = case.usable
    return wording.Facts(
        grade=usable[0].grade if usable else None,
        favour=_tenor(case) if usable else "undefined",
        only_signs=bool(usable) and not case.estimates,
        weak_signs=any(finding.weak_sign for finding in case.findings),
        caution=caution,
        unread=tuple(finding.citation for finding in case.findings if finding.not_read),
        recalled=tuple(finding.citation for finding in case.findings if finding.recalled),
        cost=case.cost.per_participant if case.cost else None,
        currency=case.cost.currency if case.cost else None,
        in_france=case.innovation.in_france,
        family=case.innovation.family,
        locally_counted=case.locally_counted,
    )


def _tenor(case: Case) -> wording.Tenor:
    """What the best graded findings say together."""
    favours = {finding.favour for finding in case.best} - {"undefined"}
    if {"favourable", "unfavourable"} <= favours:
        return "mixed"
    if "favourable" in favours:
        return "partly" if "none" in favours else "favourable"
    if "unfavourable" in favours:
        return "unfavourable"
    return "none" if favours else "undefined"


# the policy ----------------------------------------------------------------------------------------------------------


def _require_policy(policy: Selection | None) -> Selection:
    if policy is None:
        raise ParametersError(
            code="E-SEL-001",
            what="There is no selection policy.",
            where="params.yaml",
            found="no section 'selection:'",
            expected="version, owner, decision_date, review_months, harm_grade, sign_path_designs, comparison_designs",
            fix="restore the section 'selection:' of params.yaml",
        )
    _require_known(policy.comparison_designs, COMPARISON_CLASSES, "comparison_designs")
    _require_known(policy.sign_path_designs, RANDOMISED_CLASSES, "sign_path_designs")
    return policy


def _require_known(named: Sequence[str], known: Sequence[str], key: str) -> None:
    unknown = [design for design in named if design not in known]
    if unknown:
        near = nearest(unknown[0], known)
        raise ParametersError(
            code="E-SEL-003",
            what="The selection policy names a class of design that cannot serve here.",
            where=f"params.yaml, selection.{key}",
            found=repr(unknown[0]),
            expected=f"one of {', '.join(known)}",
            fix=f"did you mean {near}?" if near else "correct the list",
        )
