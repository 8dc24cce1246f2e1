"""Alarms: what in a record contradicts the analysis behind it.

A grade says how sure one can be; an alarm says that something is wrong. It is one test, at the level of the rubric
(5 %), of everything in the record that could contradict the analysis:

* *tests*: p-values of what the assumptions imply (no trend before, nothing at pretended dates, no jump of covariates,
  instruments that agree, estimators that agree, no effect where there can be none);
* *bounds*: numbers that were estimated (a standardised difference, a share with a counterpart, attrition, the strength
  of an instrument) beyond the bound from which on their rule costs a whole level, one-sided, with their sampling
  error: p-value of the hypothesis that the true number does not pass the bound.

Holm's procedure holds the chance that a right analysis rings at the level, however many there are and however they
depend on each other. *Facts* (the share of the comparison group that carries the weights, the fit of a composed group)
describe the comparison that was made and estimate nothing; beyond their bound they ring by themselves.

What is not a test never rings: sensitivity, power, equivalence, what was not run. Of the outcome before the treatment:
an analysis that adjusts for it need not be comparable without it, so that a placebo without it tests nothing there.

Sampling errors. Share: √(b(1 − b)/n) at the bound b. Standardised difference: √(1/n₁ + 1/n₀ + b²/2n) (Hedges and
Olkin 1985), n₀ as far as weights leave it (Kish), clusters in the place of units where there are any. Difference of
attrition: √(a(1 − a)(1/n₁ + 1/n₀)), a overall. F of one instrument: √F is normal around the root of the concentration
parameter.

Source: Holm (1979), *Scandinavian Journal of Statistics* 6(2); reference note B7, ST16.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from evaluation.evidence.record import Record
from evaluation.evidence.rubric import AlarmRule, AlarmTest, Rubric, Rule
from evaluation.settings.wwc import attrition_boundaries

PRETEST: Final = "baseline.outcome_pretest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Something that contradicts the analysis; `p_adjusted` is Holm's, None for a fact."""

    check: str
    p_adjusted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What contradicts an analysis.

    Attributes:
        looked_at: checks that could have rung.
        rang: those that did, the clearest first.
    """

    looked_at: tuple[str, ...]
    rang: tuple[Ring, ...]

    @property
    def rings(self) -> bool:
        """Whether something did."""
        return bool(self.rang)


def alarm(record: Record, rubric: Rubric) -> Alarm:
    """What in a record contradicts its analysis, by the rubric's section `alarm`; nothing where it has none."""
    if rubric.alarm is None:
        return Alarm(looked_at=(), rang=())
    values = {check.check: check.value for check in record.checks if check.value is not None}
    rules = {rule.id: rule for rule in rubric.rules_of(record.method, record.design_class)}
    tested = dict(_tests(record, values, rubric.alarm)) | dict(_bounds(record, values, rules, rubric.alarm))
    facts = [(rule.check, _beyond(rule, values[rule.check])) for rule in _facts(values, rules, rubric.alarm)]
    adjusted = holm(tested)
    rang = [Ring(check=check, p_adjusted=p) for check, p in adjusted.items() if p <= rubric.alarm.level]
    return Alarm(
        looked_at=(*tested, *(check for check, _ in facts)),
        rang=(*(Ring(check=check, p_adjusted=None) for check, beyond in facts if beyond), *rang),
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values, smallest first: the running maximum of (m − k) p₍ₖ₎, k = 0, 1, …, at most 1."""
    found, largest = {}, 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: (item[1], item[0]))):
        largest = max(largest, min(1.0, (len(p_values) - place) * p))
        found[name] = largest
    return found


# tests ---------------------------------------------------------------------------------------------------------------


def _tests(record: Record, values: Mapping[str, float], rule: AlarmRule) -> Iterator[tuple[str, float]]:
    for test in rule.tests:
        if test.check in values and record.method in test.methods and not _implied_by_nothing(test, values):
            yield test.check, values[test.check]


def _implied_by_nothing(test: AlarmTest, values: Mapping[str, float]) -> bool:
    return test.unless == "outcome_before_used" and values.get(PRETEST, 0.0) > 0


# bounds --------------------------------------------------------------------------------------------------------------


def _bounds(
    record: Record, values: Mapping[str, float], rules: Mapping[str, Rule], alarm_rule: AlarmRule
) -> Iterator[tuple[str, float]]:
    """p-value of each estimated number that the record has the sizes to judge."""
    for bound in alarm_rule.bounds:
        rule = rules.get(bound.rule)
        if rule is None or rule.check not in values:
            continue
        p = _P_VALUES[bound.error](record, values, rule)
        if p is not None:
            yield rule.check, p


def _facts(values: Mapping[str, float], rules: Mapping[str, Rule], alarm_rule: AlarmRule) -> Iterator[Rule]:
    for name in alarm_rule.facts:
        if name in rules and rules[name].check in values:
            yield rules[name]


def _beyond(rule: Rule, value: float) -> bool:
    return rule.band(value).loss >= 1


def _p_beyond(rule: Rule, value: float, std_error: Callable[[float], float]) -> float | None:
    """One-sided, of a normal number being on the good side of the bound; its error is taken at the bound."""
    bound = rule.serious_from
    if bound is None:
        return None
    error = std_error(bound)
    if not error > 0:
        return None
    upper = rule.bands[0].at_most is not None
    return _normal((bound - value) / error if upper else (value - bound) / error)


def _share_of_those_wanted(record: Record, values: Mapping[str, float], rule: Rule) -> float | None:
    """People whose effect is wanted: the treated, the others, or all."""
    arms, units = _arms(record), record.sample.units
    treated, others = arms if arms is not None else (None, None)
    return _share(rule, values, {"att": treated, "atc": others}.get(record.estimand, units))


def _share_of_all(record: Record, values: Mapping[str, float], rule: Rule) -> float | None:
    return _share(rule, values, record.sample.units)


def _share(rule: Rule, values: Mapping[str, float], number: float | None) -> float | None:
    if not number:
        return None
    return _p_beyond(rule, values[rule.check], lambda bound: math.sqrt(bound * (1 - bound) / number))


def _difference(record: Record, values: Mapping[str, float], rule: Rule) -> float | None:
    arms = _independent_arms(record)
    if arms is None:
        return None
    treated, others = arms[0], arms[1] * values.get("overlap.ess_share", 1.0)
    if not others > 0:
        return None
    return _p_beyond(
        rule,
        values[rule.check],
        lambda bound: math.sqrt(1 / treated + 1 / others + bound**2 / (2 * (treated + others))),
    )


def _differential_attrition(record: Record, values: Mapping[str, float], rule: Rule) -> float | None:
    """Against the WWC's optimistic boundary at the overall attrition; beyond its table no difference is tolerated."""
    overall, arms = values[rule.check], _independent_arms(record)
    differential = values.get(rule.companion or "")
    if differential is None or arms is None or not 0 < overall < 1:
        return None
    limits = attrition_boundaries(overall)
    if limits is None:
        return 0.0
    assigned = [arm / (1 - overall) for arm in arms]
    error = math.sqrt(overall * (1 - overall) * sum(1 / number for number in assigned))
    return _normal((limits[1] - differential) / error)


def _strength(_: Record, values: Mapping[str, float], rule: Rule) -> float | None:
    """P(F ≤ f) where the concentration parameter is the bound: F is the square of N(√bound, 1)."""
    bound = rule.serious_from
    if bound is None:
        return None
    root, centre = math.sqrt(values[rule.check]), math.sqrt(bound)
    return _normal(root - centre) - _normal(-root - centre)


_P_VALUES: Final[Mapping[str, Callable[[Record, Mapping[str, float], Rule], float | None]]] = {
    "share_of_those_wanted": _share_of_those_wanted,
    "share_of_all": _share_of_all,
    "difference": _difference,
    "differential_attrition": _differential_attrition,
    "strength": _strength,
}


# sizes ---------------------------------------------------------------------------------------------------------------


def _arms(record: Record) -> tuple[float, float] | None:
    return _pair(record.sample.units, record.sample.treated_units)


def _independent_arms(record: Record) -> tuple[float, float] | None:
    """Clusters where there are any, people otherwise: what was drawn or chosen one by one."""
    sizes = record.sample
    return _pair(sizes.clusters, sizes.treated_clusters) if sizes.clusters else _arms(record)


def _pair(total: int | None, treated: int | None) -> tuple[float, float] | None:
    if total is None or treated is None or not 0 < treated < total:
        return None
    return float(treated), float(total - treated)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
