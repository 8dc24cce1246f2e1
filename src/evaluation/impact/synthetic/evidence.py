"""What speaks for or against an estimate with weighted donors: checks, and the tables behind the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pandas as pd

from evaluation.impact import inference
from evaluation.impact.checks import Check, measured, not_applicable, not_run
from evaluation.impact.overturn import UNBOUNDED
from evaluation.impact.synthetic.conformal import by_period
from evaluation.impact.synthetic.diagnostics import earlier, pre_fit, without_each_donor
from evaluation.impact.synthetic.estimate import Estimator
from evaluation.impact.synthetic.panel import Fitted, fit_panel
from evaluation.impact.synthetic.result import SyntheticResult

if TYPE_CHECKING:
    from evaluation.sample import Sample

SENSITIVITY = "identification.sensitivity"
ABOVE_ZERO = 1e-6  # weights below are not shown: their sum moves no digit that is read


def collect(
    result: SyntheticResult, sample: Sample, design: Any, seed: int
) -> tuple[list[Check], dict[str, pd.DataFrame]]:
    """Checks and tables of the primary outcome; units go by their ids only where anybody may see the data."""
    result = result if design.public else _nameless(result)
    left_out = without_each_donor(result.fitted, design.estimator, solver=design.solver)
    checks = [
        *_inapplicable(sample),
        *_before(result, design, seed),
        _fit(result.fitted),
        _ratio(result),
        _single_donors(result.fitted, left_out),
        *_donors(result.fitted),
    ]
    tables = {
        "paths": paths(result.fitted, sample),
        "placebo_gaps": placebo_gaps(result),
        "donor_weights": donor_weights(result.fitted, sample),
        "ratios": ratios(result),
        "estimators": estimators(result.fitted, design),
        "leave_one_out": _left_out_table(left_out),
        "time_weights": time_weights(result.fitted, sample),
        "conformal": conformal_table(result.fitted, design, sample),
    }
    return checks, {name: table for name, table in tables.items() if len(table)}


def _nameless(result: SyntheticResult) -> SyntheticResult:
    """The same with numbers in the place of the units' ids."""
    panel = result.fitted.panel
    donor = panel.start == len(panel.periods)
    count = np.where(donor, np.cumsum(donor), np.cumsum(~donor))
    names = [f"{'donor' if is_donor else 'treated'} {k}" for is_donor, k in zip(donor, count, strict=True)]
    return replace(result, fitted=replace(result.fitted, panel=replace(panel, units=pd.Index(names))))


# checks ---------------------------------------------------------------------------------------------------------------


def _inapplicable(sample: Sample) -> Iterator[Check]:
    reason = "paths over time are compared, not covariates"
    for name in ("balance.max_smd", "overlap.share_in_01_09"):
        yield not_applicable(name, reason)
    yield not_applicable("baseline.outcome_pretest", "the outcome before is what donors are weighted by")
    if not any(step.step == "missing_outcome" and step.dropped for step in sample.flow):
        for name in ("attrition.overall", "attrition.differential"):
            yield measured(name, 0.0, "no row of the panel lacks the outcome")


def _before(result: SyntheticResult, design: Any, seed: int) -> Iterator[Check]:
    """Number of periods before, and the placebo in time with its permutation p-value."""
    panel = result.fitted.panel
    yield measured("pretrend.periods", panel.starts[0], f"{panel.starts[0]} periods before the first start")
    options = {"solver": design.solver, "draws": design.placebo_draws, "seed": seed}
    found = earlier(result.fitted, design.estimator, **options)
    name = "pretrend.joint_p"
    if found is None:
        yield from (not_run(each, "too few periods before to hold some back") for each in (name, SENSITIVITY))
        return
    fitted, drawn = found
    yield _held_back(result.fitted, fitted)
    if drawn.reason:
        yield not_run(name, drawn.reason)
        return
    held = len(fitted.panel.periods) - fitted.panel.starts[0]
    p_value = inference.rank_p(abs(fitted.estimate), np.abs(drawn.estimates))
    detail = (
        f"placebo in time: as if the start had been {held} periods earlier the effect is {fitted.estimate:.4g}; rank "
        f"among {len(drawn.estimates)} placebos"
    )
    yield measured(name, p_value, detail)


def _held_back(fitted: Fitted, earlier_fit: Fitted) -> Check:
    """The effect over the largest gap in the periods before that were held back: errors that weights did not see."""
    times, gaps = earlier_fit.gaps()
    largest = float(np.abs(gaps[np.asarray(times) >= 0]).max())
    if largest == 0:
        return not_run(SENSITIVITY, "donors follow the treated exactly in the periods before that were held back")
    value = min(abs(fitted.estimate) / largest, UNBOUNDED)
    detail = (
        f"the effect {fitted.estimate:.4g} is {value:.3g} times the largest gap ({largest:.4g}) between the treated "
        "and their weighted donors in periods before that the weights were not chosen by"
    )
    return measured(SENSITIVITY, value, detail)


def _fit(fitted: Fitted) -> Check:
    fit, name = pre_fit(fitted), "synthetic.pre_fit_sd"
    if not np.isfinite(fit.in_sd):
        return not_run(name, "donors do not differ before")
    detail = (
        f"gap before {fit.rmspe:.4g} (root mean square), with donors weighted alike {fit.even:.4g}; donors' standard "
    )
    detail += f"deviation {fit.spread:.4g}"
    donors, periods = len(fitted.panel.donors), fitted.panel.starts[0]
    detail += f"; {donors} donors can follow {periods} periods whatever they are" if donors > periods else ""
    return measured(name, fit.in_sd, detail)


def _ratio(result: SyntheticResult) -> Check:
    name, own, others = "synthetic.rmspe_ratio_p", result.fitted.ratio, result.placebos.ratios
    if result.placebos.reason:
        return not_run(name, result.placebos.reason)
    if not np.isfinite(own):
        return not_run(name, "the fit before is perfect, as donors outnumber periods: the ratio to it says nothing")
    rank = 1 + int(np.count_nonzero(others >= own))
    detail = f"gap after over gap before: {own:.4g}, number {rank} of {len(others) + 1} with the placebos"
    return measured(name, inference.rank_p(own, others), detail)


def _single_donors(fitted: Fitted, table: pd.DataFrame) -> Check:
    name, full = "synthetic.leave_one_out_change", fitted.estimate
    if table.empty or full == 0:
        return not_run(name, "there are two donors only" if table.empty else "the estimate is zero")
    change = (table["estimate"] - full).abs()
    worst = table.loc[change.idxmax()]
    detail = f"from {table['estimate'].min():.4g} to {table['estimate'].max():.4g}; farthest without {worst['donor']}"
    return measured(name, float(change.max() / abs(full)), detail, str(worst["donor"]))


def _donors(fitted: Fitted) -> Iterator[Check]:
    weight = fitted.shares @ [part.unit_weights for part in fitted.cohorts.values()]
    used = weight[np.abs(weight) > ABOVE_ZERO]
    size = float(used.sum() ** 2 / (used**2).sum())
    detail = f"effective size {size:.1f} of {len(used)} donors in use, out of {len(weight)}"
    yield measured("overlap.ess_share", min(size / len(used), 1.0), detail)
    yield measured("synthetic.donors", len(used), detail)


# tables ---------------------------------------------------------------------------------------------------------------


def paths(fitted: Fitted, sample: Sample) -> pd.DataFrame:
    """Mean of the treated and of their weighted donors: columns cohort, period, after, treated, synthetic.

    Where only changes are matched, the weighted donors are shifted to the level of the treated before.
    """
    parts = []
    for start, part in fitted.cohorts.items():
        treated = fitted.panel.cohort(start).treated.mean(axis=0)
        columns = {
            "cohort": _label(fitted.panel.periods[start], sample),
            "period": [_label(period, sample) for period in fitted.panel.periods],
            "after": np.arange(len(treated)) >= start,
            "treated": treated,
            "synthetic": treated - part.gaps,
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def placebo_gaps(result: SyntheticResult) -> pd.DataFrame:
    """Gap by event time, and the 5th and 95th percentile of the placebos' gaps: columns event_time, gap, low, high."""
    times, gaps = result.fitted.gaps()
    drawn = result.placebos.gaps
    if not len(drawn):
        return pd.DataFrame({"event_time": times, "gap": gaps}).assign(low=np.nan, high=np.nan)
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return pd.DataFrame({"event_time": times, "gap": gaps, "low": low, "high": high})


def donor_weights(fitted: Fitted, sample: Sample) -> pd.DataFrame:
    """Weights above rounding: columns cohort, donor, weight, the largest first."""
    names = fitted.panel.units[fitted.panel.donors].astype(str)
    parts = [
        pd.DataFrame(
            {"cohort": _label(fitted.panel.periods[start], sample), "donor": names, "weight": part.unit_weights}
        )
        for start, part in fitted.cohorts.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table[table["weight"].abs() > ABOVE_ZERO]
    return table.sort_values(["cohort", "weight", "donor"], ascending=[True, False, True], ignore_index=True)


def time_weights(fitted: Fitted, sample: Sample) -> pd.DataFrame:
    """Weights of periods before, where there are any: columns cohort, period, weight."""
    rows = [
        {"cohort": _label(fitted.panel.periods[start], sample), "period": _label(period, sample), "weight": weight}
        for start, part in fitted.cohorts.items()
        for period, weight in zip(fitted.panel.periods[:start], part.time_weights, strict=True)
        if weight > ABOVE_ZERO
    ]
    return pd.DataFrame(rows, columns=["cohort", "period", "weight"])


def ratios(result: SyntheticResult) -> pd.DataFrame:
    """RMSPE after over before: columns name, ratio, treated; donors one by one where one unit is treated."""
    panel, drawn = result.fitted.panel, result.placebos
    treated = panel.units[panel.start < len(panel.periods)].astype(str)
    first = {"name": ", ".join(treated), "ratio": result.fitted.ratio, "treated": True}
    names = panel.units[panel.donors].astype(str)
    others = [
        {"name": ", ".join(names[row]), "ratio": ratio, "treated": False}
        for row, ratio in zip(drawn.assignments, drawn.ratios, strict=True)
    ]
    table = pd.DataFrame([first, *(others if len(treated) == 1 else [])])
    known = table[np.isfinite(table["ratio"])]
    return known.sort_values("ratio", ascending=False, ignore_index=True)


def estimators(fitted: Fitted, design: Any) -> pd.DataFrame:
    """The same effect by all estimators: columns estimator, estimate, ci_low, ci_high, baseline."""
    others = [name for name in get_args(Estimator) if name != design.estimator]
    if len(fitted.panel.donors) < 2 or fitted.panel.starts[0] < 2:
        others = []
    rows = [("chosen", fitted.estimate), *((name, fit_panel(fitted.panel, name).estimate) for name in others)]
    table = pd.DataFrame(rows, columns=["estimator", "estimate"])
    return table.assign(ci_low=np.nan, ci_high=np.nan, baseline=table["estimator"] == "did")


def conformal_table(fitted: Fitted, design: Any, sample: Sample) -> pd.DataFrame:
    """Conformal interval of each period after: columns period, p_value, ci_low, ci_high, reason; one start only."""
    if len(fitted.cohorts) > 1 or design.estimator == "augmented":
        return pd.DataFrame()
    (start,) = fitted.cohorts
    options = {"solver": "exact", "level": design.inference.level}
    found = by_period(fitted.panel.cohort(start), design.estimator, **options)
    periods = [_label(period, sample) for period in fitted.panel.periods[start:]]
    columns = ("p_value", "ci_low", "ci_high", "reason")
    return pd.DataFrame({"period": periods, **{name: [getattr(each, name) for each in found] for name in columns}})


def _left_out_table(table: pd.DataFrame) -> pd.DataFrame:
    named = table.rename(columns={"donor": "left_out"}).assign(kind="unit")
    return named[["left_out", "kind", "estimate", "weight"]]


def _label(period: int, sample: Sample) -> str | int:
    return sample.period_labels.get(int(period), int(period))
