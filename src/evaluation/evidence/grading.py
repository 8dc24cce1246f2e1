"""From a record to a grade: how sure we are, why, and what would make us surer.

    grade = floor(min(ceiling of the design, caps) - loss of the worst domain
                  - 1/2 if at least three further domains lose)

and at least 1 where there is a comparison group. A domain whose cap has lowered the ceiling has been charged by that
and is not charged again; every other domain is charged in full, even if it has a cap of its own. (So a worse check
never raises a grade: tests/properties.) A check that was not run is a concern, never a pass.

The verdict (does it work?) is computed beside the grade (how sure are we?) and never merged with it.

Everything here is a pure function of a record and a rubric, but for `write_grades`. Source: ROBINS-I (worst domain;
Sterne et al. 2016) and RoB 2 (several concerns add up; Sterne et al. 2019); equivalence by the 90 % interval:
Schuirmann 1987.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evaluation import store
from evaluation.errors import StaleError
from evaluation.evidence.combination import Cost, Scale, combine, plans
from evaluation.evidence.grade_numbers import points, written
from evaluation.evidence.record import Check, Headline, Record
from evaluation.evidence.rubric import BEST, DOMAINS, NOT_AN_EFFECT, Ceiling, Lang, Rubric, Rule, fill
from evaluation.settings.wwc import attrition_zone

ReasonKind = Literal["ceiling", "cap", "loss", "not_run"]
Verdict = Literal[
    "positive",
    "precise_null",
    "harmful",
    "inconclusive",
    "sign_positive",
    "sign_negative",
    "sign_none",
    "not_known",
]
Labels = Mapping[str, Mapping[Lang, str]]

Z_95 = 1.959963984540054
Z_90 = 1.644853626951472
_PLACES: Mapping[ReasonKind, int] = {"ceiling": 0, "cap": 1, "loss": 2, "not_run": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that holds the grade down.

    Attributes:
        rule: id of the rule; for a ceiling the class of design or the kind of finding.
        check: id of the check that the rule reads; None for a ceiling.
        domain: one of the seven domains, or "design".
        kind: ceiling, cap, loss (a measured check) or not_run.
        loss: levels it takes by itself.
        fr, en: a sentence with the measured number in it.
    """

    rule: str
    check: str | None
    domain: str
    kind: ReasonKind
    loss: float
    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A level that the grade cannot exceed, and the rule that says so."""

    rule: str
    cap: int
    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLoss:
    """What a domain loses by its worst check; `check` and `rule` are None where nothing is lost."""

    loss: float
    check: str | None
    rule: str | None


NOTHING_LOST = DomainLoss(loss=0.0, check=None, rule=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The rules that would all have to pass for the grade to reach `to`."""

    rules: tuple[str, ...]
    to: int
    fr: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """How sure we are of one finding.

    Attributes:
        id: of the record.
        value: 0 to 5.
        ceiling: the most that its design, and what was read of it, can reach; `ceiling_rule` says which of the two.
        domain_losses: for each of the seven domains.
        reasons: what holds the grade down, worst first.
        would_raise: smallest sets of repairs that would raise the grade, best first; empty if only another design
            would.
        rubric: version.
        verdict: what the finding says; never part of `value`.
    """

    id: str
    kind: str
    value: int
    label_fr: str
    label_en: str
    ceiling: int
    ceiling_rule: str
    domain_losses: Mapping[str, DomainLoss]
    caps: tuple[Cap, ...]
    reasons: tuple[Reason, ...]
    would_raise: tuple[Repair, ...]
    rubric: str
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """The grade as plain data, for grades.json."""
        return asdict(self)


class _Judgement(NamedTuple):
    """What one rule that costs something says about one record."""

    rule: str
    check: str
    domain: str
    loss: float
    cap: int | None
    not_run: bool
    fr: str
    en: str

    @property
    def cost(self) -> Cost:
        return self.domain, self.loss, self.cap


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """A record as the rules read it: each check by its id, and what its interval says."""

    record: Record
    checks: Mapping[str, Check]
    precise_null: bool
    includes_no_effect: bool
    explain: bool

    def value(self, check_id: str) -> float | None:
        found = self.checks.get(check_id)
        return None if found is None else found.value

    def attrition_zone(self) -> int | None:
        """Of a trial, against the WWC's boundaries; None where one of the two numbers is not known."""
        overall, differential = self.value("attrition.overall"), self.value("attrition.differential")
        return None if overall is None or differential is None else attrition_zone(overall, differential)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ceiling:
    level: int
    rule: str
    comparison: bool


def grade(record: Record, rubric: Rubric, *, labels: Labels | None = None, explain: bool = True) -> Grade:
    """Grade one finding.

    Args:
        record: the finding.
        rubric: the rules.
        labels: words for the columns that checks name, by column and language; a column without is written as it is.
        explain: False for simulations, which read numbers only: measured reasons have no sentences, and what would
            raise the grade is not computed.

    Raises:
        StaleError: the finding is of a blinded evaluation.
    """
    _require_seen(record)
    ceiling = _ceiling(record, rubric)
    costly = _costly(record, rubric, labels or {}, explain=explain)
    value = combine([item.cost for item in costly], _scale(ceiling, rubric))
    level = rubric.level(value)
    return Grade(
        id=record.id,
        kind=record.kind,
        value=value,
        label_fr=level.fr,
        label_en=level.en,
        ceiling=ceiling.level,
        ceiling_rule=ceiling.rule,
        domain_losses=_domain_losses(costly),
        caps=_caps(costly),
        reasons=_reasons(record, rubric, ceiling, costly),
        would_raise=_repairs(value, ceiling, costly, rubric) if explain else (),
        rubric=rubric.version,
        verdict=verdict(record),
    )


def _require_seen(record: Record) -> None:
    if record.blinded:
        raise StaleError(
            code="E-EVI-095",
            what="A blinded evaluation has no grade: its outcomes were permuted, so that its numbers say nothing.",
            where=record.id,
            found="blinded: true",
            expected="a finding from the outcomes as they are",
            fix="freeze the plan, take `blinded: true` out of params.yaml, then run `evaluation run` again",
        )


def grade_all(
    records: Iterable[Record], rubric: Rubric, *, labels: Labels | None = None, explain: bool = True
) -> dict[str, Grade]:
    """Grades by record id, sorted by id; see `grade`."""
    ordered = sorted(records, key=lambda record: record.id)
    return {record.id: grade(record, rubric, labels=labels, explain=explain) for record in ordered}


def write_grades(grades: Mapping[str, Grade]) -> Path:
    """Write data/evidence/grades.json; return its path."""
    file = store.path("data", "evidence", "grades.json")
    store.write_json(file, {name: grades[name].as_dict() for name in sorted(grades)})
    return file


def verdict(record: Record) -> Verdict:
    """What the finding says about the innovation, by `better` and the interval.

    Precise null: the 90 % interval lies within plus or minus the smallest effect worth having. Otherwise positive or
    harmful if the 95 % interval excludes no effect, and inconclusive if it does not. Without an interval, the direction
    that was read.
    """
    if record.kind in NOT_AN_EFFECT or record.outcome.better is None:
        return "not_known"
    ends = interval(record.headline)
    if ends is None:
        return _verdict_of_sign(record)
    if is_precise_null(record):
        return "precise_null"
    low, high = _favourable(record, ends)
    return "positive" if low > 0 else "harmful" if high < 0 else "inconclusive"


def compare_reason(record_a: Record, grade_a: Grade, record_b: Record, grade_b: Grade) -> tuple[str, str]:
    """One sentence, in French and in English: why b is graded lower than a.

    The sentence names the design if it has the lower ceiling, then the first check that costs b more than a.
    """
    if grade_b.value >= grade_a.value:
        return _not_lower(record_a.id, grade_a, record_b.id, grade_b)
    causes = _causes(grade_a, grade_b)
    fr = " ; de plus, ".join(_clause(reason.fr) for reason in causes)
    en = "; moreover, ".join(_clause(reason.en) for reason in causes)
    return (
        f"« {record_b.id} » est au niveau {grade_b.value}, et « {record_a.id} » au niveau {grade_a.value} : {fr}.",
        f"“{record_b.id}” has grade {grade_b.value}, and “{record_a.id}” grade {grade_a.value}: {en}.",
    )


# the rules -----------------------------------------------------------------------------------------------------------


def _ceiling(record: Record, rubric: Rubric) -> _Ceiling:
    """The lower of what the design allows and what was read of the finding allows."""
    design = rubric.ceilings[record.design_class]
    kind = rubric.kinds.get(record.kind)
    comparison = design.comparison and record.kind not in NOT_AN_EFFECT
    if kind is not None and kind.level < design.level:
        return _Ceiling(level=kind.level, rule=record.kind, comparison=comparison)
    return _Ceiling(level=design.level, rule=record.design_class, comparison=comparison)


def _costly(record: Record, rubric: Rubric, labels: Labels, *, explain: bool) -> tuple[_Judgement, ...]:
    """What each rule that costs something says, in the order of the rubric."""
    if record.kind in NOT_AN_EFFECT:
        return ()
    facts = _Facts(
        record=record,
        checks={check.check: check for check in record.checks},
        precise_null=is_precise_null(record),
        includes_no_effect=_includes_no_effect(record),
        explain=explain,
    )
    rules = rubric.rules_of(record.method, record.design_class)
    judged = [
        _judge(rule, facts, rubric, labels) for rule in rules if rule.only_if == "always" or _applies(rule, facts)
    ]
    return tuple([item for item in judged if item is not None])


def _applies(rule: Rule, facts: _Facts) -> bool:
    if rule.only_if == "high_attrition":
        return facts.attrition_zone() == 2
    if rule.only_if == "declared":
        return rule.check in facts.checks
    if rule.only_if == "measured":
        return facts.value(rule.check) is not None
    return _has_several_cohorts(facts.record)


def _judge(rule: Rule, facts: _Facts, rubric: Rubric, labels: Labels) -> _Judgement | None:
    """None where nothing is lost."""
    found = facts.checks.get(rule.check)
    if (found is not None and found.status == "not_applicable") or _is_waived(rule, facts):
        return None
    value = None if found is None or found.value is None else _measure(rule, facts, found.value)
    if value is None:
        return _not_run(rule, rubric.not_run_loss)
    band = rule.band(value, found.power if found is not None else None)
    if not band.costs:
        return None
    return _Judgement(
        rule=rule.id,
        check=rule.check,
        domain=rule.domain,
        loss=band.loss,
        cap=band.cap,
        not_run=False,
        fr=_filled(band.fr or rule.fr, rule, facts, value, labels, "fr"),
        en=_filled(band.en or rule.en, rule, facts, value, labels, "en"),
    )


def _not_run(rule: Rule, loss: float) -> _Judgement | None:
    if loss == 0:
        return None
    return _Judgement(rule.id, rule.check, rule.domain, loss, None, True, rule.not_run_fr, rule.not_run_en)


def _measure(rule: Rule, facts: _Facts, value: float) -> float | None:
    """The number that the bands are about; None where there is nothing to hold the check's value against."""
    if rule.measure == "value":
        return value
    if rule.measure == "wwc_attrition":
        other = facts.value(rule.companion or "")
        return None if other is None else float(attrition_zone(value, other))
    return _ratio(abs(value), _yardstick(rule, facts.record))


def _yardstick(rule: Rule, record: Record) -> float | None:
    """What a number in the unit of the outcome is held against."""
    if rule.measure == "share_of_smallest_effect":
        return record.outcome.smallest_effect
    estimate = record.headline.estimate
    return None if estimate is None else abs(estimate - record.outcome.no_effect)


def _ratio(value: float, against: float | None) -> float | None:
    if against is None:
        return None
    return value / against if against > 0 else math.inf


def _has_several_cohorts(record: Record) -> bool:
    return len({effect.cohort for effect in record.effects if effect.cohort is not None}) > 1


def _is_waived(rule: Rule, facts: _Facts) -> bool:
    if rule.skip_if == "never":
        return False
    return facts.precise_null if rule.skip_if == "precise_null" else facts.includes_no_effect


# the combination -----------------------------------------------------------------------------------------------------


def _scale(ceiling: _Ceiling, rubric: Rubric) -> Scale:
    lowest = rubric.lowest_with_comparison if ceiling.comparison else 0
    return Scale(ceiling.level, lowest, rubric.further_loss, rubric.further_domains)


def _domain_losses(costly: Sequence[_Judgement]) -> dict[str, DomainLoss]:
    """The worst judgement of each domain; the first of equals."""
    worst: dict[str, _Judgement] = {}
    for item in costly:
        held = worst.get(item.domain)
        if held is None or (item.loss, item.cap is not None) > (held.loss, held.cap is not None):
            worst[item.domain] = item
    return {domain: _domain_loss(worst.get(domain)) for domain in DOMAINS}


def _domain_loss(worst: _Judgement | None) -> DomainLoss:
    if worst is None:
        return NOTHING_LOST
    return DomainLoss(loss=worst.loss, check=worst.check, rule=worst.rule)


def _repairs(value: int, ceiling: _Ceiling, costly: Sequence[_Judgement], rubric: Rubric) -> tuple[Repair, ...]:
    """Single repairs that raise the grade, else the shortest run of the worst ones that does so together."""
    losing = sorted(costly, key=lambda item: -_weight(item, ceiling.level))
    found = plans(value, tuple([item.cost for item in losing]), _scale(ceiling, rubric))
    return tuple(_repair([losing[place] for place in places], to, rubric) for places, to in found)


def _repair(chosen: Sequence[_Judgement], to: int, rubric: Rubric) -> Repair:
    """One repair is quoted; several are named by their domains."""
    rules = tuple(item.rule for item in chosen)
    if len(chosen) == 1:
        fr, en = _clause(chosen[0].fr), _clause(chosen[0].en)
        return Repair(
            rules=rules,
            to=to,
            fr=f"Le niveau passerait à {to} si ce point était levé : {fr}.",
            en=f"The grade would rise to {to} if this point was settled: {en}.",
        )
    words = [rubric.domains[domain] for domain in DOMAINS if any(item.domain == domain for item in chosen)]
    fr, en = ", ".join(word.fr.lower() for word in words), ", ".join(word.en.lower() for word in words)
    return Repair(
        rules=rules,
        to=to,
        fr=f"Le niveau passerait à {to} si ces points étaient tous levés : {fr}.",
        en=f"The grade would rise to {to} if all these points were settled: {en}.",
    )


# the reasons ---------------------------------------------------------------------------------------------------------


def _reasons(record: Record, rubric: Rubric, ceiling: _Ceiling, costly: Sequence[_Judgement]) -> tuple[Reason, ...]:
    """Worst first; among equals the ceiling, then in the order of the rubric, in which they come."""
    found = [
        *_ceiling_reasons(record.design_class, record.kind, rubric),
        *[_reason(item, ceiling.level) for item in costly],
    ]
    return tuple(sorted(found, key=lambda item: (-item.loss, _PLACES[item.kind])))


def _ceiling_reasons(design_class: str, kind: str, rubric: Rubric) -> list[Reason]:
    """The design and the kind of finding, where they allow less than the best grade."""
    sources: list[tuple[str, Ceiling]] = [(design_class, rubric.ceilings[design_class])]
    sources += [(kind, rubric.kinds[kind])] if kind in rubric.kinds else []
    return [
        Reason(
            rule=name,
            check=None,
            domain="design",
            kind="ceiling",
            loss=float(BEST - source.level),
            fr=_at_most(source.fr, source.level, "fr"),
            en=_at_most(source.en, source.level, "en"),
        )
        for name, source in sources
        if source.level < BEST
    ]


@lru_cache(maxsize=2**12)
def _reason(item: _Judgement, ceiling: int) -> Reason:
    """Most reasons are checks that were not run, and these are the same for all findings."""
    capped = item.cap is not None and item.cap < ceiling
    return Reason(
        rule=item.rule,
        check=item.check,
        domain=item.domain,
        kind="cap" if capped else "not_run" if item.not_run else "loss",
        loss=_weight(item, ceiling),
        fr=_at_most(item.fr, item.cap, "fr") if capped else item.fr,
        en=_at_most(item.en, item.cap, "en") if capped else item.en,
    )


def _weight(item: _Judgement, ceiling: int) -> float:
    """Levels that the rule takes by itself."""
    return item.loss if item.cap is None else max(item.loss, float(ceiling - item.cap))


def _caps(costly: Sequence[_Judgement]) -> tuple[Cap, ...]:
    capped = [Cap(rule=item.rule, cap=item.cap, fr=item.fr, en=item.en) for item in costly if item.cap is not None]
    return tuple(sorted(capped, key=lambda cap: cap.cap))


def _at_most(sentence: str, level: int | None, lang: Lang) -> str:
    stem = sentence.removesuffix(".")
    return f"{stem} ; niveau {level} au plus." if lang == "fr" else f"{stem}; grade {level} at most."


def _causes(grade_a: Grade, grade_b: Grade) -> list[Reason]:
    """The ceiling if it is lower, and the first check that costs b more; at least one of all reasons."""
    ceilings = [reason for reason in grade_b.reasons if reason.kind == "ceiling"][: grade_b.ceiling < grade_a.ceiling]
    costs_a = {reason.check: reason.loss for reason in reversed(grade_a.reasons)}
    checks = [
        reason
        for reason in grade_b.reasons
        if reason.kind != "ceiling" and reason.loss > costs_a.get(reason.check, 0.0)
    ]
    return [*ceilings, *checks[:1]] or list(grade_b.reasons[:1])


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].removesuffix(".")


def _not_lower(id_a: str, grade_a: Grade, id_b: str, grade_b: Grade) -> tuple[str, str]:
    if grade_a.value == grade_b.value:
        return (
            f"« {id_a} » et « {id_b} » sont au même niveau : {grade_a.value}.",
            f"“{id_a}” and “{id_b}” have the same grade: {grade_a.value}.",
        )
    return (
        f"« {id_b} » n'est pas moins bien noté : niveau {grade_b.value}, contre {grade_a.value} pour « {id_a} ».",
        f"“{id_b}” is not graded lower: grade {grade_b.value}, against {grade_a.value} for “{id_a}”.",
    )


# the verdict ---------------------------------------------------------------------------------------------------------


def interval(headline: Headline, z: float = Z_95) -> tuple[float, float] | None:
    """The interval of the headline, lower and upper end; z below Z_95 narrows it in proportion."""
    estimate, low, high = headline.estimate, headline.ci_low, headline.ci_high
    if estimate is None:
        return None
    if low is not None and high is not None:
        return estimate - (estimate - low) * z / Z_95, estimate + (high - estimate) * z / Z_95
    if headline.std_error is None:
        return None
    return estimate - z * headline.std_error, estimate + z * headline.std_error


def _favourable(record: Record, ends: tuple[float, float]) -> tuple[float, float]:
    """The interval measured from no effect, turned so that higher is better."""
    low, high = (end - record.outcome.no_effect for end in ends)
    return (low, high) if record.outcome.better == "higher" else (-high, -low)


def _includes_no_effect(record: Record) -> bool:
    ends = interval(record.headline)
    return ends is not None and ends[0] <= record.outcome.no_effect <= ends[1]


def is_precise_null(record: Record) -> bool:
    """Whether the 90 % interval lies within plus or minus the smallest effect worth having (Schuirmann 1987)."""
    ends, smallest = interval(record.headline, Z_90), record.outcome.smallest_effect
    if ends is None or smallest is None:
        return False
    return all(abs(end - record.outcome.no_effect) < smallest for end in ends)


def _verdict_of_sign(record: Record) -> Verdict:
    direction = record.headline.direction
    if direction is None:
        return "not_known"
    if direction == "none":
        return "sign_none"
    good = "positive" if record.outcome.better == "higher" else "negative"
    return "sign_positive" if direction == good else "sign_negative"


# sentences -----------------------------------------------------------------------------------------------------------


def _filled(sentence: str, rule: Rule, facts: _Facts, value: float, labels: Labels, lang: Lang) -> str:
    if not facts.explain:
        return ""
    return fill(sentence, lambda blank: _blank(blank, rule, facts, value, labels, lang))


def _blank(blank: str, rule: Rule, facts: _Facts, measured: float, labels: Labels, lang: Lang) -> str:
    """Sentences write the check's own number, but for a rule that holds it against something: there the ratio."""
    found = facts.checks[rule.check]
    if blank == "{value}":
        value = found.value if rule.measure == "wwc_attrition" else measured
        return "" if value is None else written(value, rule, lang)
    if blank == "{companion}":
        companion = facts.value(rule.companion or "")
        return "" if companion is None else points(companion, lang)
    return f" ({labels.get(found.subject, {}).get(lang, found.subject)})" if found.subject else ""
