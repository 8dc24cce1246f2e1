"""Least squares with unit and period effects: the two-way baseline that other estimators are held against.

With effects that differ by cohort or grow over time its coefficient is a weighted mean of effects in which weights can
be negative (Goodman-Bacon 2021; de Chaisemartin and D'Haultfœuille 2020). It is here to be compared with, not to be
believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import bacon
from evaluation.impact.did_regression import Fitted, Groups, fit, without_singles
from evaluation.impact.did_result import DidResult, effect_labels
from evaluation.impact.did_rows import Rows, complete, read_rows
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.panel_regression import two_way
from evaluation.impact.within import within

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

__all__ = ["conventions", "estimate", "two_way", "within"]

Array = np.ndarray

NAME = "two_way_fixed_effects"
BASELINE = (
    "two-way fixed effects are a baseline for comparison, not an estimate to believe: units that are treated already "
    "serve as comparison, so that effects that differ between cohorts or grow over time enter with wrong weights, even "
    "negative ones"
)
CONVENTIONS = {
    "influence": "influence function: clusters, no small-sample factor, normal interval",
    "cr0": "clusters, no small-sample factor, t interval",
    "cr1": "clusters, G/(G-1) (N-1)/(N-k), unit effects within clusters not in k (fixest, pyfixest)",
    "cr1_all": "clusters, G/(G-1) (N-1)/(N-k), all effects in k (linearmodels with group_debias)",
    "linearmodels": "clusters, N/(N-k), all effects in k (linearmodels)",
    "conventional": "no clusters: equal variances of independent rows",
}


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """The coefficient of a dummy for being treated, with a constant for each unit and each period: a baseline.

        Y = α_unit + λ_period + δ 1{period ≥ cohort} + X′β + e

    The headline is δ, with the aggregate "two_way_fixed_effects". `weights` are those of the effects of each cohort in
    each treated period in δ: w_gt = Σ over the cell of ν / Σ over all treated rows of ν, ν the treatment less what
    constants and covariates say of it, times the weight of the row; they sum to one and can be negative. Event times
    are from a second regression with a dummy for each event time but the last one before treatment less anticipation;
    `event_window` chooses those that are shown, not those that are estimated, and its `balanced` says nothing here.
    There are no effects by cohort and period: `group_time` is empty. `tables` hold `bacon` (`bacon.decompose`) where it
    exists and `conventions`.

    Covariates that never change are left out with a note, and so are those that other columns say. Always treated units
    serve as comparison, as usual. Repeated cross-sections have a constant for each cohort.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_* and
            cluster_*.
        design: anticipation, panel, event_window.
        outcome: canonical outcome column; rows where it is missing, or with weight zero, are dropped and counted.

    Raises:
        DataError: what `read_rows` refuses; a treatment that does not vary, or that covariates say.

    Source: Wooldridge (2010), section 10.5; de Chaisemartin and D'Haultfœuille (2020), theorem 1, for the weights.
    """
    rows = _rows(sample, outcome, design)
    static = _static(rows, design)
    dynamic, notes = _dynamic(rows, design)
    weights = _cell_weights(rows, static)
    tables, bacon_note = _bacon(rows)
    headline = _headline(rows, static)
    return DidResult(
        group_time=_no_group_time(headline),
        aggregates={} if dynamic is None else {"event_time": dynamic},
        overall={NAME: headline, **_overall(dynamic)},
        headline=headline,
        skipped=_nothing_skipped(),
        flow=rows.flow,
        notes=(*rows.notes, BASELINE, _weights_note(weights), *bacon_note, *static.note(), *notes),
        weights=weights,
        tables={**tables, "conventions": conventions(headline, _clusters(sample))},
    )


def conventions(effects: Effects, clusters: pd.DataFrame | None = None) -> pd.DataFrame:
    """Standard errors of the same coefficients under the conventions of different programs, side by side.

    Args:
        effects: coefficients of a regression with absorbed effects.
        clusters: see `covariance`; None for units as clusters.

    Returns:
        A row for each convention and effect: convention, meaning, effect (its number), std_error and ratio, to that of
        "cr1".

    Raises:
        EvaluationError: what `covariance` refuses.
    """
    from evaluation.impact.inference import covariance  # which takes fixed effects out itself

    found = {kind: covariance(effects, clusters, kind=kind).std_error for kind in ("influence", "cr0", "cr1")}
    found |= _all_counted(effects, clusters, found["cr0"])
    found["conventional"] = covariance(effects, kind="conventional").std_error
    parts = [
        pd.DataFrame(
            {
                "convention": name,
                "meaning": meaning,
                "effect": np.arange(len(effects)),
                "std_error": found[name],
                "ratio": np.divide(
                    found[name], found["cr1"], where=found["cr1"] > 0, out=np.full(len(effects), np.nan)
                ),
            }
        )
        for name, meaning in CONVENTIONS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _all_counted(effects: Effects, clusters: pd.DataFrame | None, cr0: Array) -> dict[str, Array]:
    """Clustered errors with every absorbed effect among the coefficients."""
    regression = effects.regression
    if regression is None:
        return {"cr1_all": np.full(len(effects), np.nan), "linearmodels": np.full(len(effects), np.nan)}
    sizes = [effects.n_units] if clusters is None else [clusters[name].nunique() for name in clusters.columns]
    g, n, df = min(sizes), regression.n_rows, regression.residual_df
    return {"cr1_all": cr0 * np.sqrt(g / (g - 1) * (n - 1) / df), "linearmodels": cr0 * np.sqrt(n / df)}


def _clusters(sample: Sample) -> pd.DataFrame | None:
    from evaluation.impact.inference import cluster_table

    columns = [column for column in sample.frame.columns if str(column).startswith("cluster_")]
    return cluster_table(sample.frame, columns) if columns else None


# rows and regressions -------------------------------------------------------------------------------------------------


def _rows(sample: Sample, outcome: str, design: DidDesign) -> Rows:
    """All rows of units with two rows or more; cohorts that start after the last period are never treated here."""
    rows = read_rows(sample, outcome, design)
    last = rows.period.max() if len(rows.period) else 0.0
    rows = replace(rows, cohort=np.where(rows.cohort > last, np.inf, rows.cohort))
    if design.panel == "balanced":
        rows = rows.keep(complete(rows), "unbalanced", "the unit lacks a period, and the panel is to be balanced")
    return without_singles(rows, design)


def _static(rows: Rows, design: DidDesign) -> Fitted:
    treated = (rows.period >= rows.cohort).astype(float)
    fitted = fit(rows, design, treated[:, None], ["treated"])
    if fitted is None or not fitted.known.all():
        raise DataError(
            code="E-IMP-100",
            what="the treatment does not vary once unit effects, period effects and covariates are taken out",
            where=rows.outcome,
            found=f"{int(treated.sum())} treated rows of {len(treated)}, cohorts {_cohorts(rows)}",
            expected="units that start to be treated while others are not, and no covariate that says who is",
        )
    return fitted


def _cohorts(rows: Rows) -> str:
    starts = np.unique(rows.cohort)
    return ", ".join("never" if np.isinf(start) else f"{start:.0f}" for start in starts[:8])


def _headline(rows: Rows, static: Fitted) -> Effects:
    labels = effect_labels("att", rows.outcome, 1).assign(aggregate=NAME)
    return static.effects(np.zeros(1, dtype=int), labels, _arms(rows, static.groups, np.isfinite(static.groups.starts)))


def _arms(rows: Rows, groups: Groups, *treated: Array) -> Arms:
    """Comparison are cohorts with an untreated row in a period in which another cohort is treated.

    Args:
        rows: all.
        groups: their units and cohorts.
        treated: for each effect, (A,) True for the cohorts whose rows it is about.
    """
    periods = np.unique(rows.period)
    on = periods >= groups.starts[:, None]
    others = on.sum(axis=0) > 0
    comparison = (~on & others).any(axis=1)
    return Arms(
        codes=groups.group, treated=np.column_stack(treated), comparison=np.column_stack([comparison] * len(treated))
    )


# event times ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Times:
    """Event times (N,), missing for the never treated, their distinct values in the order of the dummies, reference."""

    event: Array
    order: Array
    reference: float

    @classmethod
    def of(cls, rows: Rows, lead: int) -> _Times | None:
        """After treatment first and upwards, then before it and downwards: far leads are the first to be left out."""
        event = np.where(np.isfinite(rows.cohort), rows.period - rows.cohort, np.nan)
        values = np.unique(event[np.isfinite(event)])
        before = values[values < -lead]
        if not len(before):
            return None
        others = values[values != before[-1]]
        order = np.concatenate([others[others >= -lead], others[others < -lead][::-1]])
        return cls(event=event, order=order, reference=float(before[-1]))


def _dynamic(rows: Rows, design: DidDesign) -> tuple[Effects | None, tuple[str, ...]]:
    """Effects by event time, those of references included, and what a reader must know."""
    times = _Times.of(rows, design.anticipation)
    if times is None:
        return None, ("no cohort is seen before its treatment: no effects by event time",)
    dummies = np.empty((len(times.order), len(rows.y)))
    for column, time in zip(dummies, times.order, strict=True):
        column[:] = times.event == time
    fitted = fit(rows, design, dummies.T, [f"event time {time:.0f}" for time in times.order])
    if fitted is None:
        return None, ("event times do not vary once unit and period effects are taken out",)
    return _shown(rows, design, times, fitted), (*_references(times, fitted), *_window_note(design))


def _shown(rows: Rows, design: DidDesign, times: _Times, fitted: Fitted) -> Effects:
    position = np.append(np.where(fitted.kept, np.arange(len(times.order)), -1), -1)
    event = np.append(times.order, times.reference)
    window = design.event_window
    inside = (event >= (-np.inf if window.first is None else window.first)) & (
        event <= (np.inf if window.last is None else window.last)
    )
    chosen = np.flatnonzero(inside)[np.argsort(event[inside])]
    event, position = event[chosen], position[chosen]
    phase = np.select(
        [position < 0, event >= 0, event >= -design.anticipation], ["reference", "post", "anticipation"], "pre"
    )
    labels = effect_labels("event_time", rows.outcome, len(event), event_time=event).assign(phase=phase)
    return fitted.effects(position, labels, _event_arms(rows, fitted.groups, event))


def _event_arms(rows: Rows, groups: Groups, event: Array) -> Arms:
    starts = [np.unique(rows.cohort[rows.period - rows.cohort == time]) for time in event]
    return _arms(rows, groups, *(np.isin(groups.starts, some) for some in starts))


def _references(times: _Times, fitted: Fitted) -> tuple[str, ...]:
    absent = np.sort(times.order[~fitted.kept])
    said = f"event times are relative to {times.reference:.0f}"
    if not len(absent):
        return (said,)
    more = ", ".join(f"{time:.0f}" for time in absent)
    why = "because units, periods and other event times say them already"
    return (f"{said} and, {why}, to {more}: these are set to zero, and the others depend on it",)


def _window_note(design: DidDesign) -> tuple[str, ...]:
    if design.event_window.balanced is None:
        return ()
    return ("event_window.balanced says nothing here: a regression with all cohorts",)


def _overall(dynamic: Effects | None) -> Mapping[str, Effects]:
    """Plain mean of the effects by event time after treatment."""
    if dynamic is None or not (dynamic.labels["phase"] == "post").any():
        return {}
    after = (dynamic.labels["phase"] == "post").to_numpy(dtype=float)
    label = effect_labels("att", dynamic.labels["outcome"].iloc[0], 1).assign(aggregate="event_time")
    return {"event_time": dynamic.contrast(after / after.sum(), label)}


# weights, decomposition -----------------------------------------------------------------------------------------------


def _cell_weights(rows: Rows, static: Fitted) -> pd.DataFrame:
    """Weights of the effects of each cohort in each treated period in the coefficient."""
    regression = static.estimable.fit
    treated = rows.period >= rows.cohort
    row = (regression.design @ regression.bread[0]) * np.sqrt(rows.weight)
    pairs, cell = np.unique(np.column_stack([rows.cohort[treated], rows.period[treated]]), axis=0, return_inverse=True)
    labels = effect_labels(NAME, rows.outcome, len(pairs), cohort=pairs[:, 0], period=pairs[:, 1])
    weight = np.bincount(cell.ravel(), row[treated])
    return labels[["cohort", "period"]].assign(aggregate=NAME, weight=weight)[
        ["aggregate", "cohort", "period", "weight"]
    ]


def _weights_note(weights: pd.DataFrame) -> str:
    negative = weights["weight"][weights["weight"] < 0]
    if negative.empty:
        return (
            f"none of the {len(weights)} effects of a cohort in a period enters the coefficient with a negative weight"
        )
    return (
        f"{len(negative)} of the {len(weights)} effects of a cohort in a period enter the coefficient with a negative "
        f"weight; these sum to {negative.sum():.3f}"
    )


def _bacon(rows: Rows) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    reason = bacon.why_not(rows)
    if reason:
        return {}, (f"no Goodman-Bacon decomposition: {reason}",)
    table = bacon.decompose(rows)
    share = bacon.forbidden_share(table)
    note = f"{100 * share:.1f} % of the weight is on comparisons with units that are treated already"
    return {"bacon": table, "bacon_kinds": bacon.by_kind(table)}, (note,)


# what two-way fixed effects do not have -------------------------------------------------------------------------------


def _no_group_time(headline: Effects) -> Effects:
    nothing = np.zeros(1, dtype=bool)
    labels = effect_labels("group_time", "", 1).assign(base_period=pd.array([pd.NA], dtype="Int64"), phase="")
    return replace(headline, labels=labels).select(nothing)


def _nothing_skipped() -> pd.DataFrame:
    labels = effect_labels("group_time", "", 0).assign(base_period=np.empty(0, dtype=int), reason="", detail="")
    return labels.drop(columns=["term", "outcome"])
