"""Whether the groups of a difference-in-differences are alike in what moves: their people, and the outcome just before.

Two traps. The people behind a group can change between periods (repeated cross-sections, panels with gaps), which a
change of means cannot tell from an effect. And those who enter a programme are often those whose outcome has just
fallen; it recovers without the programme, and the recovery looks like an effect (Ashenfelter's dip).

Source: Hong (2013), *Journal of Applied Econometrics* 28(2), for composition; Ashenfelter (1978), *Review of Economics
and Statistics* 60(1); Angrist and Pischke (2009), section 5.4, for lagged outcomes against differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import did
from evaluation.impact.covariates import covariate_columns, model_matrix
from evaluation.impact.effects import Arms, Effects, concat
from evaluation.impact.inference import summarize

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

DIP_TERMS = ("level", "change", "adjustment")


# composition ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composition:
    """Differences in differences of the covariates: zero if who is in the groups does not change.

    Attributes:
        changes: covariate, estimate, std_error, p_value, smd (in standard deviations of untreated rows), reason.
        means: cohort (<NA> = never treated), period, rows, and the weighted mean of each covariate.
        largest: largest |smd|; NaN with a reason.
        covariate: which one.
        reason: why there is nothing to measure; "" otherwise.
        detail: one sentence.
    """

    changes: pd.DataFrame
    means: pd.DataFrame
    largest: float
    covariate: str
    reason: str
    detail: str


def composition(sample: Sample, design: DidDesign, clusters: pd.DataFrame | None = None) -> Composition:
    """Estimate the design with each covariate as the outcome, without covariates.

    In a balanced panel only covariates that change over time can show something: then it is that treatment, or what
    came with it, moves them.

    Args:
        sample: canonical columns with covariate_*.
        design: comparison, panel, aggregate and so on are used as they are.
        clusters: see `evaluation.impact.inference.covariance`.
    """
    covariates = model_matrix(sample.frame, sample.names, all_levels=True)
    means = _means(sample.frame, covariates.matrix, covariates.labels)
    moving = [j for j in range(len(covariates.labels)) if _moves(sample.frame, covariates.matrix[:, j], design)]
    changes = pd.DataFrame(
        [_change(sample, design, clusters, covariates.labels[j], covariates.matrix[:, j]) for j in moving],
        columns=["covariate", "estimate", "std_error", "p_value", "smd", "reason"],
    )
    known = changes.dropna(subset="smd")
    if not len(known):
        reason = "no covariate can change: none is given, or each is constant within units that have all periods"
        reason = reason if not len(changes) else str(changes["reason"].iloc[0])
        return Composition(
            changes=changes, means=means, largest=np.nan, covariate="", reason=reason, detail=f"Not measured: {reason}."
        )
    worst = known.loc[known["smd"].abs().idxmax()]
    return Composition(
        changes=changes,
        means=means,
        largest=float(abs(worst["smd"])),
        covariate=str(worst["covariate"]),
        reason="",
        detail=f"Of {len(known)} covariates, {worst['covariate']} changes most against the comparison, by "
        f"{worst['smd']:.3f} standard deviations (p = {worst['p_value']:.3g}).",
    )


def _means(frame: pd.DataFrame, matrix: Array, labels: tuple[str, ...]) -> pd.DataFrame:
    weight = frame["weight"].to_numpy(dtype=float)
    columns = {label: matrix[:, j] * weight for j, label in enumerate(labels)}
    sums = pd.DataFrame({"cohort": frame["cohort"], "period": frame["period"], "weight": weight, "rows": 1, **columns})
    totals = sums.groupby(["cohort", "period"], dropna=False).sum().reset_index()
    return totals.assign(**{label: totals[label] / totals["weight"] for label in labels}).drop(columns="weight")


def _moves(frame: pd.DataFrame, values: Array, design: DidDesign) -> bool:
    """Whether group means of these values can change: other people in each period, gaps, or values that change."""
    if design.panel != "balanced":
        return bool(np.nanmax(values) > np.nanmin(values))
    by_unit = pd.Series(values).groupby(frame["unit"].to_numpy())
    return bool((by_unit.max() > by_unit.min()).any())


def _change(
    sample: Sample, design: DidDesign, clusters: pd.DataFrame | None, label: str, values: Array
) -> dict[str, object]:
    frame = sample.frame.drop(columns=list(covariate_columns(sample.frame))).assign(outcome_1=values)
    alone = replace(sample, frame=frame, names={**sample.names, "outcome_1": label})
    plain = design.model_copy(update={"covariates": (), "estimator": "regression"})
    missing = {"estimate": np.nan, "std_error": np.nan, "p_value": np.nan, "smd": np.nan}
    try:
        row = summarize(did.estimate(alone, plain).headline, clusters).iloc[0]
    except EvaluationError as error:
        return {"covariate": label, **missing, "reason": error.what}
    untreated = ~(frame["period"] >= frame["cohort"]).fillna(value=False).to_numpy(dtype=bool)
    spread = _spread(values[untreated], frame["weight"].to_numpy(dtype=float)[untreated])
    return {
        "covariate": label,
        **{name: float(row[name]) for name in ("estimate", "std_error", "p_value")},
        "smd": float(row["estimate"]) / spread if spread > 0 else np.nan,
        "reason": str(row["reason"]),
    }


def _spread(values: Array, weights: Array) -> float:
    """Weighted standard deviation of what is known."""
    known = np.isfinite(values) & (weights > 0)
    if not known.any():
        return 0.0
    mean = np.average(values[known], weights=weights[known])
    return float(np.sqrt(np.average((values[known] - mean) ** 2, weights=weights[known])))


# the outcome just before ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dip:
    """How the treated differ in the outcome just before treatment, and what it would mean for the effect.

    Attributes:
        effects: terms level, change (where there are two periods before) and adjustment.
        level_smd: outcome in the last period before treatment, treated less comparison, in standard deviations of the
            comparison.
        change_smd: the same of the change into that period: Ashenfelter's dip is a negative one (of a good outcome).
            NaN without a second period before.
        adjustment: by how much the effect would differ if the comparison were made at equal outcomes before treatment,
            in the unit of the outcome. It is 0 if the outcome before says nothing about the change after; differences
            and adjustment cannot both be right where it is not (the truth lies between them under either model).
        table: term, estimate, std_error, ci_low, ci_high, p_value, reason.
        reason: why there are no numbers; "" if there are.
        detail: one sentence.
    """

    effects: Effects | None
    level_smd: float
    change_smd: float
    adjustment: float
    table: pd.DataFrame
    reason: str
    detail: str


def dip(sample: Sample, design: DidDesign, clusters: pd.DataFrame | None = None, *, outcome: str = "outcome_1") -> Dip:
    """Does the outcome before treatment say who will be treated?

    For cohort g with last period before treatment and anticipation b, and comparison C not treated by g (and its
    anticipation), never treated where the design says so:

        level  = (mean of Y_b in g - mean in C) / SD of Y_b in C,    change the same with Y_b - Y_(b-1);
        adjustment = -slope · (mean of Y_b in g - mean in C),   slope of Ȳ_after - Y_b on Y_b in C,

    Ȳ_after the mean over the periods from g on in which C is untreated. Averaged over cohorts with their weight among
    the treated (taken as known, as are the standard deviations).

    Args:
        sample: canonical columns; units are followed over time.
        design: comparison, anticipation, panel.
        clusters: see `evaluation.impact.inference.covariance`.
        outcome: canonical column.
    """
    if design.panel == "repeated_cross_section":
        return _no_dip("units are not followed over time")
    wide = _Wide.of(sample.frame, outcome, design.anticipation)
    cohorts = [found for start in wide.starts() for found in [_cohort(wide, start, design)] if found is not None]
    parts = [
        _average([(part[term], mass) for part, mass in cohorts if term in part], term, wide)
        for term in DIP_TERMS
        if any(term in part for part, _ in cohorts)
    ]
    if not parts:
        return _no_dip("no cohort has a period before treatment and units to compare with")
    effects = concat(parts)
    table = summarize(effects, clusters)[["term", "estimate", "std_error", "ci_low", "ci_high", "p_value", "reason"]]
    numbers = dict(zip(table["term"], table["estimate"], strict=True))
    level, change, adjustment = (float(numbers.get(term, np.nan)) for term in DIP_TERMS)
    return Dip(
        effects=effects,
        level_smd=level,
        change_smd=change,
        adjustment=adjustment,
        table=table,
        reason="",
        detail=f"Just before treatment the treated differ by {level:.3f} standard deviations in the outcome and by "
        f"{change:.3f} in its last change; at equal outcomes before, the effect would differ by {adjustment:.4g}.",
    )


def _no_dip(reason: str) -> Dip:
    return Dip(
        effects=None,
        level_smd=np.nan,
        change_smd=np.nan,
        adjustment=np.nan,
        table=pd.DataFrame(columns=["term", "estimate", "std_error", "ci_low", "ci_high", "p_value", "reason"]),
        reason=reason,
        detail=f"Not measured: {reason}.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Wide:
    """Outcomes by unit and period.

    Attributes:
        units: (n,) ids.
        periods: (T,) increasing.
        y: (n, T), NaN where there is no row.
        cohort: (n,) infinite = never within the periods.
        weight: (n,) of the unit's first row.
    """

    units: pd.Index
    periods: Array
    y: Array
    cohort: Array
    weight: Array

    @classmethod
    def of(cls, frame: pd.DataFrame, outcome: str, lead: int) -> _Wide:
        used = frame[(frame["weight"] > 0) & frame[outcome].notna()]
        table = used.pivot(index="unit", columns="period", values=outcome)
        first = used.groupby("unit")[["cohort", "weight"]].first()
        cohort = first["cohort"].to_numpy(dtype=float, na_value=np.inf)
        return cls(
            units=table.index,
            periods=table.columns.to_numpy(dtype=float),
            y=table.to_numpy(dtype=float),
            cohort=np.where(cohort > used["period"].max() + lead, np.inf, cohort),
            weight=first["weight"].to_numpy(dtype=float),
        )

    def starts(self) -> Array:
        return np.unique(self.cohort[self.cohort <= self.periods[-1]])


_Parts = dict[str, tuple[float, Array]]


def _cohort(wide: _Wide, start: float, design: DidDesign) -> tuple[_Parts, float] | None:
    """Terms of one cohort, each an estimate and (n,) influences, and the weight of its units."""
    lead = design.anticipation
    before = np.flatnonzero(wide.periods + lead < start)
    treated = wide.cohort == start
    later = np.isinf(wide.cohort) if design.comparison == "never_treated" else wide.cohort > start + lead
    if not len(before) or not later.any():
        return None
    last = wide.y[:, before[-1]]
    found = dict(_terms(wide, treated, later & ~treated, before, last, start))
    return (found, float(wide.weight[treated].sum())) if found else None


def _terms(
    wide: _Wide, treated: Array, others: Array, before: Array, last: Array, start: float
) -> Iterator[tuple[str, tuple[float, Array]]]:
    gap = _gap(last, treated, others, wide.weight)
    if gap is None:
        return
    spread = _spread(last[others], wide.weight[others])
    if spread > 0:
        yield "level", (gap[0] / spread, gap[1] / spread)
    if len(before) > 1:
        change = last - wide.y[:, before[-2]]
        moved, spread = _gap(change, treated, others, wide.weight), _spread(change[others], wide.weight[others])
        if moved is not None and spread > 0:
            yield "change", (moved[0] / spread, moved[1] / spread)
    after = _mean_after(wide, others, start)
    slope = _slope(last, after - last, others, wide.weight)
    if slope is not None:
        yield "adjustment", (-slope[0] * gap[0], -slope[0] * gap[1] - gap[0] * slope[1])


def _gap(values: Array, treated: Array, others: Array, weight: Array) -> tuple[float, Array] | None:
    """Difference of weighted means and its influence, over units whose value is known."""
    known, n = np.isfinite(values), len(values)
    sides = [side & known for side in (treated, others)]
    if not all(side.any() for side in sides):
        return None
    influence, means = np.zeros(n), []
    for side, sign in zip(sides, (1.0, -1.0), strict=True):
        share = weight[side] / weight[side].sum()
        means.append(float(share @ values[side]))
        influence[side] += sign * n * share * (values[side] - means[-1])
    return means[0] - means[1], influence


def _mean_after(wide: _Wide, others: Array, start: float) -> Array:
    """(n,) mean outcome of the units to compare with over periods from `start` on in which they are untreated."""
    valid = (wide.periods >= start) & (wide.periods < wide.cohort[:, None]) & others[:, None] & np.isfinite(wide.y)
    count = valid.sum(axis=1)
    total = np.where(valid, wide.y, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _slope(x: Array, y: Array, others: Array, weight: Array) -> tuple[float, Array] | None:
    """Weighted least-squares slope in the comparison, and its influence."""
    used, n = others & np.isfinite(x) & np.isfinite(y), len(x)
    if used.sum() < 3 or _spread(x[used], weight[used]) == 0:
        return None
    w, centred = weight[used], x[used] - np.average(x[used], weights=weight[used])
    moment = float(w @ centred**2)
    slope = float((w * centred) @ y[used] / moment)
    residual = y[used] - np.average(y[used], weights=w) - slope * centred
    influence = np.zeros(n)
    influence[used] = n * w * centred * residual / moment
    return slope, influence


def _average(parts: list[tuple[tuple[float, Array], float]], term: str, wide: _Wide) -> Effects:
    """Mean over cohorts by weight, with everybody treated on one side and everybody else on the other."""
    share = np.array([mass for _, mass in parts]) / sum(mass for _, mass in parts)
    return Effects(
        estimate=np.array([share @ [estimate for (estimate, _), _ in parts]]),
        labels=pd.DataFrame({"term": [term]}),
        influence=(share @ np.stack([influence for (_, influence), _ in parts]))[:, None],
        units=wide.units,
        arms=Arms.of(np.isfinite(wide.cohort), 1),
    )
