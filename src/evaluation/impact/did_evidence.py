"""All diagnostics of one difference-in-differences as checks and tables.

Each is run if the design allows it; if not, its check says why. A check reports, the rubric judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import (
    checks,
    did_agreement,
    did_comparability,
    did_diagnostics,
    did_estimators,
    honest,
    inference,
    pretrends,
)
from evaluation.impact.checks import Check
from evaluation.impact.overturn import UNBOUNDED
from evaluation.settings.designs import BY_CELL, UNUSED

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult
    from evaluation.impact.effects import Effects
    from evaluation.impact.inference import WaldTest
    from evaluation.sample import Sample

FAN = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # Mbar
BENDS = (0.0, 0.25, 0.5, 1.0)  # M, in standard errors of the effect
OTHERS = ("imputation", "sun_abraham", "stacked", "two_way_fixed_effects")
BASELINE = "two_way_fixed_effects"
SHOWN = {"bacon", "bacon_kinds", "conventions"}  # tables of the baseline
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Checks, each once, and tables by name."""

    checks: tuple[Check, ...]
    tables: Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One evaluation and its result; `universal` is the same with one base period, or why there is none."""

    sample: Sample
    design: Any
    result: DidResult
    universal: DidResult | str
    clusters: pd.DataFrame | None
    kind: str
    seed: int

    @property
    def size(self) -> float:
        """An effect that matters: the smallest one worth having, or the headline."""
        smallest = self.design.primary.smallest_effect
        return float(smallest if smallest else abs(self.result.headline.estimate[0]))


def collect(
    sample: Sample, design: Any, result: DidResult, clusters: pd.DataFrame | None, *, kind: str, seed: int
) -> Evidence:
    """Run all diagnostics.

    Args:
        sample: canonical columns.
        design: of the evaluation.
        result: of the primary outcome.
        clusters: by unit, or None.
        kind: of the standard errors.
        seed: of draws.
    """
    universal = _one_base_period(sample, design, result)
    case = _Case(
        sample=sample, design=design, result=result, universal=universal, clusters=clusters, kind=kind, seed=seed
    )
    found: list[Check] = []
    tables: dict[str, pd.DataFrame] = {}
    for part in _PARTS:
        made, shown = part(case)
        found += made
        tables |= shown
    return Evidence(checks=tuple(found), tables=tables)


_Found = tuple[list[Check], dict[str, pd.DataFrame]]


def _one_base_period(sample: Sample, design: Any, result: DidResult) -> DidResult | str:
    if design.base_period == "universal" or design.estimator not in BY_CELL:
        return result
    again = design.model_copy(update={"base_period": "universal"})
    try:
        return did_estimators.estimate(sample, again)
    except EvaluationError as error:
        return error.what


# before treatment -----------------------------------------------------------------------------------------------------


def _pretrends(case: _Case) -> _Found:
    effects, test = _pretrend_test(case)
    seen = case.result.pre_treatment if len(case.result.pre_treatment) else effects
    times = sorted({int(time) for time in seen.labels["event_time"]})
    number, joint = checks.pretrend(test, times)
    powered, found = _power(case, effects, joint)
    equivalence = pretrends.equivalence(effects, case.clusters)
    found.append(
        checks.measured("pretrend.equivalence_bound", equivalence.bound, equivalence.detail)
        if not equivalence.reason
        else checks.not_run("pretrend.equivalence_bound", equivalence.reason)
    )
    return [number, powered, *found], {}


def _pretrend_test(case: _Case) -> tuple[Effects, WaldTest]:
    """All effects of single cohorts before treatment; where these have too few clusters, their means by event time."""
    cells = case.result.pre_treatment
    test = inference.wald(cells, case.clusters, kind=case.kind)
    if not test.reason:
        return cells, test
    means = case.result.aggregates["event_time"]
    before = (means.labels["event_time"] < -case.design.anticipation).to_numpy(dtype=bool) & means.support()
    sound = (inference.summarize(means, case.clusters, kind=case.kind)["reason"] == "").to_numpy()
    if not (before & sound).any():
        return cells, test
    chosen = means.select(before & sound)
    return chosen, inference.wald(chosen, case.clusters, kind=case.kind)


def _power(case: _Case, effects: Effects, joint: Check) -> tuple[Check, list[Check]]:
    """The joint test with its power against a linear departure that would make up an effect that matters."""
    name = "pretrend.detectable_bias"
    if joint.status != "measured":
        return joint, [checks.not_run(name, joint.detail)]
    base = case.result.group_time.labels["base_period"]
    if not len(base) or base.isna().any():
        return joint, [checks.not_run(name, "the estimator has no base period, so that a trend has no known bias")]
    try:
        pretest = pretrends.Pretest.of(case.result, case.clusters, effects=effects)
        power = pretrends.rejection(pretest, case.size / pretest.horizon)
        found = pretrends.trend_power(pretest, seed=case.seed)
    except EvaluationError as error:
        return joint, [checks.not_run(name, error.what)]
    said = f"{joint.detail}; a linear departure worth {case.size:.4g} would be detected with probability {power:.0%}"
    with_power = Check(check=joint.check, value=joint.value, power=float(power), detail=said)
    return with_power, [checks.measured(name, found.bias, found.detail)]


# departures from parallel trends --------------------------------------------------------------------------------------


BEYOND_SMALLEST = "sensitivity.trend_beyond_smallest"


def _honest(case: _Case) -> _Found:
    names = {"relative_magnitudes": "identification.sensitivity", "smoothness": "sensitivity.smoothness_breakdown"}
    if isinstance(case.universal, str):
        return [checks.not_run(name, case.universal) for name in names.values()], {}
    try:
        study = honest.event_study(case.universal, case.clusters)
    except EvaluationError as error:
        return [checks.not_run(name, error.what) for name in names.values()], {}
    found = [_breakdown(study, restriction, name) for restriction, name in names.items()]
    size = case.design.primary.smallest_effect
    if size:
        found.append(_breakdown(study, "relative_magnitudes", BEYOND_SMALLEST, smallest=size))
    return found, {} if study.reason else {"honest": _fans(study)}


def _breakdown(study: honest.EventStudy, restriction: Any, name: str, *, smallest: float = 0.0) -> Check:
    value = honest.breakdown(study, restriction, smallest=smallest)
    if value.reason:
        return checks.not_run(name, value.reason)
    return checks.measured(name, min(value.value, UNBOUNDED), value.detail)


def _fans(study: honest.EventStudy) -> pd.DataFrame:
    """kind, m, ci_low, ci_high, breakdown: parallel trends first ("original"), then the bounds shown of each kind."""
    bounds = {"relative_magnitudes": FAN, "smoothness": tuple(m * study.std_error for m in BENDS)}
    tables = [_fan(study, kind, values) for kind, values in bounds.items()]
    original = tables[0].head(1).assign(kind="original", m=np.nan, breakdown=np.nan)
    return pd.concat([original, *tables], ignore_index=True).assign(estimate=study.effect)


def _fan(study: honest.EventStudy, kind: Any, bounds: Sequence[float]) -> pd.DataFrame:
    renamed = honest.fan(study, bounds, kind).rename(columns={"bound": "m", "low": "ci_low", "high": "ci_high"})
    return renamed.assign(kind=kind, breakdown=min(honest.breakdown(study, kind).value, UNBOUNDED))


# dates, groups left out, people ---------------------------------------------------------------------------------------


def _placebo_dates(case: _Case) -> _Found:
    name = "placebo.dates_p"
    if case.design.estimator not in BY_CELL:
        return [checks.not_run(name, "the estimator has no effects of single periods before treatment")], {}
    found = did_diagnostics.placebo_dates(case.result, case.clusters)
    if found is None:
        return [checks.not_run(name, "no cohort has two periods before treatment")], {}
    table = {"placebo_dates": found.table}
    if found.reason:
        return [checks.not_run(name, found.reason)], table
    return [checks.measured(name, found.joint_p, found.detail)], table


def _left_out(case: _Case) -> _Found:
    found, tables = [], []
    clustered = ["cluster_1"] if case.clusters is not None and "cluster_1" in case.sample.frame else []
    for by in ("cohort", *clustered):
        name = f"robustness.leave_one_{by.removesuffix('_1')}"
        left = _attempt(lambda by=by: did_diagnostics.leave_one_out(case.sample, case.design, by))  # type: ignore[misc]
        if isinstance(left, str):
            found.append(checks.not_run(name, left))
        elif np.isnan(left.largest_share):
            found.append(checks.not_run(name, "without any one of them there is no estimate"))
        else:
            share = min(left.largest_share, UNBOUNDED)
            found.append(checks.measured(name, share, left.detail))
            tables.append(left.table.assign(kind=by.removesuffix("_1"), headline=left.headline))
    return found, {"leave_one_out": pd.concat(tables, ignore_index=True)} if tables else {}


def _composition(case: _Case) -> _Found:
    name = "composition.max_change"
    found = _attempt(lambda: did_comparability.composition(case.sample, case.design, case.clusters))
    if isinstance(found, str) or found.reason:
        return [checks.not_run(name, found if isinstance(found, str) else found.reason)], {}
    tables = {"composition": found.changes, "composition_means": found.means}
    return [checks.measured(name, found.largest, found.detail, found.covariate)], tables


def _dip(case: _Case) -> _Found:
    names = {"dip.change_smd": "change_smd", "dip.level_smd": "level_smd", "dip.adjustment": "adjustment"}
    found = _attempt(lambda: did_comparability.dip(case.sample, case.design, case.clusters))
    if isinstance(found, str) or found.reason:
        reason = found if isinstance(found, str) else found.reason
        return [checks.not_run(name, reason) for name in names], {}
    made = []
    for name, attribute in names.items():
        value = float(getattr(found, attribute))
        known = checks.measured(name, value, found.detail) if np.isfinite(value) else None
        made.append(known or checks.not_run(name, "no cohort has two periods before treatment"))
    return made, {"dip": found.table}


def _not_identified(case: _Case) -> _Found:
    found = did_diagnostics.unidentified(case.sample, case.result)
    name = "identification.share_missing"
    if not np.isfinite(found.share):
        return [checks.not_run(name, found.detail)], {}
    return [checks.measured(name, found.share, found.detail)], {}


def _estimators(case: _Case) -> _Found:
    """The headline by other estimators on the same rows, and what the two-way baseline compares, where there is one."""
    if case.design.match is not None or case.design.eligible is not None:
        return [], {}
    by_cell = BY_CELL if case.design.covariates else BY_CELL[:1]  # without covariates the three are one
    first = () if case.design.estimator in BY_CELL and not case.design.covariates else by_cell
    found = {name: _estimated(case, name) for name in dict.fromkeys((case.design.estimator, *first, *OTHERS))}
    rows = [_estimator_row(case, name, result) for name, result in found.items()]
    baseline = found[BASELINE]
    tables = {} if isinstance(baseline, str) else {name: baseline.tables[name] for name in SHOWN & set(baseline.tables)}
    return [], {"estimators": pd.DataFrame(rows), **tables}


def _estimated(case: _Case, name: str) -> DidResult | str:
    if name == case.design.estimator:
        return case.result
    unused = dict.fromkeys(UNUSED.get(name, {}))  # options that this estimator has no place for, at their defaults
    defaults = {key: type(case.design).model_fields[key].default for key in unused}
    other = case.design.model_copy(update={"estimator": name, **defaults})
    return _attempt(lambda: did_estimators.estimate(case.sample, other))


def _estimator_row(case: _Case, name: str, found: DidResult | str) -> dict[str, Any]:
    label = {"estimator": name, "baseline": name == BASELINE, "chosen": name == case.design.estimator}
    if isinstance(found, str):
        return {**label, "reason": found}
    table = inference.summarize(found.headline, case.clusters, level=case.design.inference.level)
    columns = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "reason")
    return {**label, **{column: table[column].iloc[0] for column in columns}}


def _agreement(case: _Case) -> _Found:
    name = "robustness.estimators_agree_p"
    if case.design.match is not None or case.design.eligible is not None:
        return [checks.not_run(name, "not compared after matching, or with triple differences")], {}
    if case.design.estimator == BASELINE:
        found = did_agreement.two_way_agrees(case.sample, case.design, case.clusters)
    elif case.design.estimator in BY_CELL:
        found = did_agreement.estimators_agree(case.sample, case.design, case.clusters)
    else:
        return [checks.not_run(name, "only regression, inverse probability and doubly robust are compared")], {}
    if found.reason:
        return [checks.not_run(name, found.reason)], {}
    return [checks.measured(name, found.p_value, found.detail)], {"agreement": found.differences}


_PARTS: tuple[Callable[[_Case], _Found], ...] = (
    _pretrends,
    _honest,
    _placebo_dates,
    _left_out,
    _composition,
    _dip,
    _not_identified,
    _estimators,
    _agreement,
)


def _attempt(made: Callable[[], T]) -> T | str:
    """What was made, or why it could not be."""
    try:
        return made()
    except EvaluationError as error:
        return error.what
