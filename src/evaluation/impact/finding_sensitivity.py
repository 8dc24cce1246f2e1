"""Every design's answer to "what would it take to overturn this finding?", in one form.

The measures come from what the method has already found (its checks and tables), so that none is computed twice and a
new method joins by using the same names. Exactly one of them, at most, is the `identification.sensitivity` that the
rubric reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact import checks, sensitivity
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import observed, outcomes_of
from evaluation.impact.finding_parts import Parts
from evaluation.impact.hidden_factor import SENSITIVITY
from evaluation.impact.inference import direct_effect
from evaluation.impact.overturn import UNBOUNDED, Measure, Overturn, Way, found, frame, missing

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design

TABLE = "sensitivity"
DONOR = "synthetic.leave_one_out_change"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One finding as the measures read it.

    Attributes:
        checks: what the method measured, by id.
        tables: of the method.
        estimate, std_error, ci_low, ci_high: of the headline; NaN where there is none.
    """

    sample: Sample
    design: Any
    checks: Mapping[str, Check]
    tables: Mapping[str, pd.DataFrame]
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float

    @property
    def smallest(self) -> float | None:
        """The smallest effect worth having, on the side of the estimate."""
        size = self.design.primary.smallest_effect
        return None if not size else float(np.copysign(size, self.estimate))

    @property
    def beyond(self) -> bool:
        """Whether the estimate is larger than the smallest effect worth having."""
        return self.smallest is not None and abs(self.estimate) > abs(self.smallest)


def added(parts: Parts, sample: Sample, design: Design) -> Parts:
    """The same with the table of all measures, and the one that is judged as a check where the method made none."""
    headline = parts.rows[parts.rows["role"] == "headline"].iloc[0]
    numbers = {name: float(headline.get(name, np.nan)) for name in ("estimate", "std_error", "ci_low", "ci_high")}
    known = {check.check: check for check in parts.checks}
    case = Case(sample=sample, design=design, checks=known, tables=parts.tables, **numbers)
    measures = tuple(collect(case))
    made = [check for check in _judged(measures) if check.check not in known]
    return replace(parts, checks=[*parts.checks, *made], tables={**parts.tables, TABLE: frame(measures)})


def collect(case: Case) -> Iterator[Overturn]:
    """All measures of a design, the judged one first."""
    for measure in MEASURES.get(case.design.method, (_cannot_be_judged,)):
        yield from measure(case)


def _judged(measures: tuple[Overturn, ...]) -> Iterator[Check]:
    """The rubric's number; none where the design does not have one."""
    for each in measures:
        if not each.judged:
            continue
        if each.value is None:
            yield checks.not_run(SENSITIVITY, each.reason)
        else:
            yield checks.measured(SENSITIVITY, each.value, f"{each.value:.3g} {each.scale}", each.benchmark_name)


def _from_check(
    case: Case, name: str, measure: Measure, way: Way, *, value: Callable[[float], float] = float, **more: Any
) -> Iterator[Overturn]:
    """A measure whose number is that of a check, or can be made of it; none where the design has no such check."""
    check = case.checks.get(name)
    if check is None or check.status == "not_applicable":
        return
    if check.value is None:
        yield missing(measure, check.detail, way, judged=more.get("judged", False))
        return
    yield found(measure, value(check.value), way, **more)


# comparisons that rest on covariates ----------------------------------------------------------------------------------


def _hidden_factor(case: Case) -> Iterator[Overturn]:
    """A hidden factor as a multiple of the strongest covariate (judged), and as a share (robustness value)."""
    check = case.checks.get(SENSITIVITY)
    subject = check.subject if check is not None else ""
    yield from _from_check(
        case, SENSITIVITY, "hidden_factor", "reach_zero", benchmark=1.0, benchmark_name=subject, judged=True
    )
    table = case.tables.get("hidden_factor")
    if table is None or not len(table):
        return
    first = table.iloc[0]
    estimate, std_error, df = float(first["estimate"]), float(first["std_error"]), float(first["df"])
    strongest = table.loc[table["multiple"].idxmin()]
    known = {"benchmark": equal_share(strongest), "benchmark_name": str(strongest["covariate"])}
    unit = std_error * np.sqrt(df)
    yield found("hidden_share", _robust(estimate, unit), "reach_zero", **known)
    interval = _from_interval(estimate, unit, df)
    yield found("hidden_share", interval, "lose_significance", **known)
    if case.smallest is not None:
        left = max(abs(estimate) - abs(case.smallest), 0.0)
        yield found("hidden_share", _robust(left, unit), "below_smallest_effect", **known)


def equal_share(covariate: pd.Series) -> float:
    """The one share of both treatment and outcome that biases as much as a factor as strong as this covariate.

    A factor biases by R²_y R²_d / (1 - R²_d) =: f²; with both shares alike this is x² / (1 - x), so that x is the
    robustness value of f.
    """
    r2_treatment, r2_outcome = float(covariate["r2_treatment"]), float(covariate["r2_outcome"])
    if r2_treatment >= 1:
        return 1.0
    return sensitivity.robustness(float(np.sqrt(r2_outcome * r2_treatment / (1 - r2_treatment))))


def _robust(size: float, unit: float) -> float:
    return sensitivity.robustness(abs(size) / unit if unit > 0 else np.inf)


def _from_interval(estimate: float, unit: float, df: float) -> float:
    size = abs(estimate) / unit if unit > 0 else np.inf
    return sensitivity.robustness_to_interval(size, sensitivity.critical_f(df))


def _hidden_bias(case: Case) -> Iterator[Overturn]:
    yield from _from_check(case, "sensitivity.rosenbaum_gamma", "hidden_bias", "lose_significance")


def _risk_ratio(case: Case) -> Iterator[Overturn]:
    """E-values of the difference through exp(0.91 d)."""
    spread = _comparison_sd(case)
    if not (spread > 0 and np.isfinite(case.std_error)):
        yield missing("risk_ratio", "the outcome does not vary in the comparison group, or has no standard error")
        return
    values = sensitivity.e_value_of_difference(case.estimate, case.std_error, spread)
    yield found("risk_ratio", values.estimate, "reach_zero")
    yield found("risk_ratio", values.interval, "lose_significance")
    if case.smallest is not None:
        left = case.estimate - case.smallest if case.beyond else 0.0
        shifted = sensitivity.e_value_of_difference(left, case.std_error, spread).estimate
        yield found("risk_ratio", shifted, "below_smallest_effect")


def _comparison_sd(case: Case) -> float:
    values, treated, _ = _regressed(case)
    return float(np.std(values[~treated], ddof=1)) if (~treated).sum() > 1 else 0.0


def _regressed(case: Case) -> tuple[Floats, np.ndarray, pd.DataFrame]:
    """Outcome and arm of the rows that know the outcome, and those rows."""
    column = outcomes_of(case.design)[0][0]
    rows = case.sample.frame[observed(case.sample.frame, column)]
    return rows[column].to_numpy(dtype=float), rows["treated"].to_numpy(dtype=bool), rows


def _proportional_selection(case: Case) -> Iterator[Overturn]:
    """Oster's δ; selection that would have to be of the other sign makes nothing of the finding."""
    name: Measure = "proportional_selection"
    values, treated, rows = _regressed(case)
    matrix = model_matrix(rows, case.sample.names).matrix
    if not matrix.shape[1]:
        yield missing(name, "no covariates are named")
        return
    for way, effect in (("reach_zero", 0.0), ("below_smallest_effect", case.smallest)):
        if effect is None:
            continue
        if way == "below_smallest_effect" and not case.beyond:
            yield found(name, 0.0, "below_smallest_effect", benchmark=1.0)
            continue
        delta = sensitivity.oster_delta(values, treated.astype(float), matrix, effect=effect)
        size = UNBOUNDED if delta < 0 or not np.isfinite(delta) else delta
        yield found(name, size, way, benchmark=1.0)  # type: ignore[arg-type]


# comparisons over time ------------------------------------------------------------------------------------------------


def _trend(case: Case) -> Iterator[Overturn]:
    """How far trends may depart from parallel ones before the interval holds zero."""
    yield from _from_check(case, SENSITIVITY, "trend_departure", "lose_significance", benchmark=1.0, judged=True)
    yield from _from_check(
        case, "sensitivity.trend_beyond_smallest", "trend_departure", "below_smallest_effect", benchmark=1.0
    )
    yield from _from_check(case, "sensitivity.smoothness_breakdown", "trend_bend", "lose_significance")


def _single_groups(case: Case) -> Iterator[Overturn]:
    """The effect over its change without the cohort, or the cluster, that matters most."""
    names: Mapping[str, Measure] = {
        "robustness.leave_one_cohort": "single_cohort", "robustness.leave_one_cluster": "single_cluster",
    }  # fmt: skip
    for name, measure in names.items():
        yield from _from_check(case, name, measure, "reach_zero", value=_inverse, benchmark=1.0)


def _inverse(share: float) -> float:
    return UNBOUNDED if share == 0 else 1 / share


def _counterfactual(case: Case) -> Iterator[Overturn]:
    yield from _from_check(case, SENSITIVITY, "counterfactual_gap", "reach_zero", benchmark=1.0, judged=True)
    donor = case.checks.get(DONOR)
    subject = donor.subject if donor is not None else ""
    yield from _from_check(
        case, DONOR, "single_donor", "reach_zero", value=_inverse, benchmark=1.0, benchmark_name=subject
    )


# thresholds and instruments -------------------------------------------------------------------------------------------


def _bandwidth(case: Case) -> Iterator[Overturn]:
    """The effect over its largest change over the bandwidths tried (judged)."""
    name: Measure = "bandwidth"
    table = case.tables.get("bandwidth_curve")
    if table is None or table["estimate"].count() < 2 or not np.isfinite(case.estimate):
        yield missing(name, "the effect was not computed for several bandwidths", judged=True)
        return
    change = float((table["estimate"] - case.estimate).abs().max())
    size = UNBOUNDED if change == 0 else abs(case.estimate) / change
    yield found(name, size, "reach_zero", benchmark=1.0, judged=True)


def _direct_effect(case: Case) -> Iterator[Overturn]:
    """The part of what the instrument does to the outcome that must be its own doing (judged)."""
    name: Measure = "direct_effect"
    table = case.tables.get("instrument_stages")
    if table is None:
        yield from _from_check(case, SENSITIVITY, name, "lose_significance", judged=True)
        if SENSITIVITY not in case.checks:
            reason = "there are several instruments, or no joint covariance of what they do to treatment and outcome"
            yield missing(name, reason, "lose_significance", judged=True)
        return
    estimates = table["estimate"].to_numpy(dtype=float)
    covariance = table[["covariance_1", "covariance_2"]].to_numpy(dtype=float)
    value = direct_effect(estimates, covariance, level=case.design.inference.level)
    yield found(name, value.share, "lose_significance", judged=True)


# people who were lost -------------------------------------------------------------------------------------------------


def _lost_people(case: Case) -> Iterator[Overturn]:
    """How much worse (for the finding) than those seen in their arm the lost of both arms must have fared.

    Only a trial owes an account of those it lost: elsewhere the measure is left out where nobody knows of any.
    """
    shares = _shares_lost(case)
    if shares is None and case.design.method != "experiment":
        return
    if shares is None:
        yield missing("lost_people", "nobody was lost, or nobody knows how many in each arm")
        return
    spread = _comparison_sd(case)
    if not spread > 0:
        yield missing("lost_people", "the outcome does not vary in the comparison group")
        return
    yield found("lost_people", tipping_point(case.estimate, shares) / spread, "reach_zero")
    if case.smallest is not None:
        left = case.estimate - case.smallest if case.beyond else 0.0
        yield found("lost_people", tipping_point(left, shares) / spread, "below_smallest_effect")


def tipping_point(estimate: float, shares: tuple[float, float]) -> float:
    """Departure δ of the lost from the seen of their arm, against the finding in both arms, that erases an effect.

    Everybody's effect is then estimate - δ (a_1 + a_0) with the shares lost a_1 and a_0, so that δ = |estimate| /
    (a_1 + a_0).

    Source: Yan, Lee and Li (2009), *Journal of Biopharmaceutical Statistics* 19(6).
    """
    lost = sum(shares)
    return abs(estimate) / lost if lost > 0 else UNBOUNDED


def _extra_followed(case: Case) -> Iterator[Overturn]:
    """How many of the better followed arm, those who speak most for the finding, must not count for it to be zero.

    Lee's bounds leave out the share by which the arms are followed differently: the benchmark.
    """
    shares = _shares_lost(case)
    if shares is None or shares[0] == shares[1]:
        return
    values, treated, rows = _regressed(case)
    weight = rows["weight"].to_numpy(dtype=float)
    fuller = treated if shares[0] < shares[1] else ~treated
    seen = sorted(1 - share for share in shares)
    known = {"benchmark": 1 - seen[0] / seen[1]}
    side = 1.0 if shares[0] < shares[1] else -1.0
    other = float(np.average(values[~fuller], weights=weight[~fuller]))
    for way, target in (("reach_zero", 0.0), ("below_smallest_effect", case.smallest)):
        if target is not None:
            share = trimmed_share(side * values[fuller], weight[fuller], side * other + target)
            yield found("extra_followed", share, way, **known)  # type: ignore[arg-type]


def trimmed_share(values: Floats, weights: Floats, mean: float) -> float:
    """Smallest share of some people that must be left out, from the extreme, for the mean of the rest to be `mean`.

    Those with the largest values are left out first if their mean is above, those with the smallest if it is below; the
    last one counts in part: with K the sum and W the weight of those who are left, a part t of value v solves
    (K - t v) / (W - t) = mean. 1 if nobody's leaving brings it there.
    """
    above = float(np.average(values, weights=weights)) > mean
    order = np.argsort(-values if above else values, kind="stable")
    v, w = values[order], weights[order]
    left_weight, left_sum = w.sum() - np.r_[0.0, np.cumsum(w)[:-1]], (w @ v) - np.r_[0.0, np.cumsum(w * v)[:-1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (left_sum - mean * left_weight) / (v - mean)
    reached = np.flatnonzero((part >= 0) & (part <= w) & (left_weight - part > 0))
    if not len(reached):
        return 1.0
    first = reached[0]
    return float((w.sum() - left_weight[first] + part[first]) / w.sum())


def _shares_lost(case: Case) -> tuple[float, float] | None:
    """Of the treated and of the comparison group: from the roster, or from the account of rows."""
    rates = case.tables.get("attrition_rates")
    if rates is not None:
        shares = float(rates["treated"].iloc[0]), float(rates["comparison"].iloc[0])
        return shares if sum(shares) > 0 else None
    steps = [step for step in case.sample.flow if step.step == "missing_outcome" and step.dropped]
    if not steps or steps[0].dropped_treated is None or steps[0].dropped_comparison is None:
        return None
    treated = case.sample.frame["treated"].to_numpy(dtype=bool)
    gone = steps[0].dropped_treated, steps[0].dropped_comparison
    return gone[0] / (gone[0] + int(treated.sum())), gone[1] / (gone[1] + int((~treated).sum()))


def _cannot_be_judged(case: Case) -> Iterator[Overturn]:
    """Without a comparison group nothing in the data says how wrong the finding could be."""
    reason = "cannot be judged: no comparison group says what would have happened without the treatment"
    yield missing("cannot_be_judged", reason, judged=True)


MEASURES: Mapping[str, tuple[Callable[[Case], Iterator[Overturn]], ...]] = {
    "experiment": (_lost_people, _extra_followed),
    "did": (_trend, _single_groups),
    "matching": (_hidden_factor, _hidden_bias, _risk_ratio, _proportional_selection, _lost_people),
    "weighting": (_hidden_factor, _risk_ratio, _proportional_selection, _lost_people),
    "synthetic_control": (_counterfactual,),
    "discontinuity": (_bandwidth, _lost_people),
    "instrument": (_direct_effect, _lost_people),
}
