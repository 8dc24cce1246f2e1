"""What a difference-in-differences rests on: pretended dates, cohorts and clusters left out, effects not identified.

Numbers, not verdicts. What estimates again uses `did_estimators.estimate`, so that every estimator can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError, ParametersError
from evaluation.impact import did_estimators
from evaluation.impact.inference import summarize, wald

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult
    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray
Estimate = Callable[..., "DidResult"]

REFITS = 60  # groups left out one at a time by a new estimate; of more, those with the largest influence
NEVER = "never treated"


# pretended dates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaceboDates:
    """Effects if treatment had started earlier, on periods before it really did: zero if trends are parallel.

    Attributes:
        effects: one for each number of periods that the start is moved back (label shift).
        table: shift, cohorts (that have enough periods), estimate, std_error, ci_low, ci_high, p_value, reason.
        share: dates with a p-value below `level`, of those with one; NaN if none has.
        joint_p: of all dates at once; NaN with `reason`.
        level: of the single tests.
        reason: why there is no joint test; "" if there is.
        detail: one sentence.
    """

    effects: Effects
    table: pd.DataFrame
    share: float
    joint_p: float
    level: float
    reason: str
    detail: str


def placebo_dates(
    result: DidResult, clusters: pd.DataFrame | None = None, *, level: float = 0.05
) -> PlaceboDates | None:
    """Every earlier date that the periods before treatment allow, as linear combinations of the effects before.

    With D(g, t) the difference in outcome of cohort g in period t from its last period before treatment (and
    anticipation) b, less that of its comparison, a start in s ≤ b is the mean of D(g, t) - D(g, s - 1) over s ≤ t ≤ b,
    averaged over cohorts with their shares (taken as known). With a comparison that is never treated, without
    covariates, this is what estimating again on these periods gives; no estimate is needed.

    Returns:
        None where no cohort has two periods before treatment with an estimate between them.
    """
    cells = result.group_time.labels
    shares = _cohort_shares(result)
    starts = {cohort: _placebo_rows(cells, cohort) for cohort in shares.index}
    rows, numbers = [], []
    for shift in range(1, max((len(found) for found in starts.values()), default=0) + 1):
        used = [cohort for cohort, found in starts.items() if len(found) >= shift]
        weights = shares.loc[used] / shares.loc[used].sum()
        rows.append(sum(weights.loc[cohort] * starts[cohort][shift - 1] for cohort in used))
        numbers.append((shift, len(used)))
    if not rows:
        return None
    labels = pd.DataFrame(numbers, columns=["shift", "cohorts"]).assign(term="placebo_date")
    return _tested(result.group_time.contrast(np.vstack(rows), labels), clusters, level)


def _tested(effects: Effects, clusters: pd.DataFrame | None, level: float) -> PlaceboDates:
    columns = ["shift", "cohorts", "estimate", "std_error", "ci_low", "ci_high", "p_value", "reason"]
    table = summarize(effects, clusters)[columns]
    known = table["p_value"].dropna()
    joint = wald(effects, clusters)
    share = float((known < level).mean()) if len(known) else float("nan")
    return PlaceboDates(
        effects=effects,
        table=table,
        share=share,
        joint_p=joint.p_value,
        level=level,
        reason=joint.reason,
        detail=f"{len(table)} pretended earlier dates, {int((known < level).sum())} of {len(known)} with p < "
        f"{level:g}; " + (f"joint p = {joint.p_value:.3g}." if not joint.reason else f"no joint test: {joint.reason}."),
    )


def _placebo_rows(cells: pd.DataFrame, cohort: int) -> list[Array]:
    """Weights (K,) of the cells for a start moved back by 1, 2, … periods, as far as all periods between are known."""
    levels = _levels(cells, cohort)
    return [np.mean(levels[:j], axis=0) - levels[j] for j in range(1, len(levels))]


def _levels(cells: pd.DataFrame, cohort: int) -> list[Array]:
    """D(g, t) as weights (K,) of the cells, for the last period before treatment (zero) and those before it in turn."""
    own = (cells["cohort"] == cohort).to_numpy() & cells["base_period"].notna().to_numpy()
    period = cells["period"].to_numpy(dtype=float)
    base = cells["base_period"].to_numpy(dtype=float, na_value=np.nan)
    pre = own & (cells["phase"] == "pre").to_numpy()
    reference = own & (cells["phase"] == "reference").to_numpy()
    last = period[reference if reference.any() else pre].max(initial=-np.inf)
    levels, unit = [np.zeros(len(cells))], np.eye(len(cells))
    for before in np.unique(np.concatenate([period, base[own]]))[::-1]:
        if before >= last:
            continue
        cell = np.flatnonzero(pre & ((period == before) if reference.any() else (base == before)))
        if len(cell) != 1:
            break
        levels.append(unit[cell[0]] if reference.any() else levels[-1] - unit[cell[0]])
    return levels


def _cohort_shares(result: DidResult) -> pd.Series[float]:
    """Shares of the cohorts among the treated, from the weights of the simple average."""
    weights = result.weights[result.weights["aggregate"] == "simple"]
    share = weights.groupby("cohort")["weight"].first()
    return share / share.sum()


# leaving out ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeaveOneOut:
    """The headline without each cohort, cluster or unit in turn.

    Attributes:
        by: canonical column whose groups are left out.
        headline: with all.
        table: a row for each group, largest change first: left_out, estimate, change (to the headline), exact (False
            where it is the influence of the group and not a new estimate), reason (why there is no estimate). For
            cohorts also same_cells: the estimate of the full sample averaged over the cells that remain, so that
            estimate less same_cells is what the left-out cohort did as a comparison.
        lowest, highest: range of the estimates.
        most_influential: group with the largest change, as text.
        largest_share: largest |change| over |headline|; infinite for a headline of zero.
        sign_changes: groups without which the estimate has the other sign.
        detail: one sentence.
    """

    by: str
    headline: float
    table: pd.DataFrame
    lowest: float
    highest: float
    most_influential: str
    largest_share: float
    sign_changes: int
    detail: str


def leave_one_out(
    sample: Sample,
    design: DidDesign,
    by: str = "cohort",
    *,
    outcome: str = "outcome_1",
    refits: int = REFITS,
    estimate: Estimate = did_estimators.estimate,
) -> LeaveOneOut:
    """Estimate again without each group; of more than `refits` groups, only without those that move the estimate most.

    For the others the change is that of the linear representation, -Σ influence / (n - n_g): exact for a mean, close
    otherwise.

    Args:
        sample: canonical columns.
        design: of the evaluation.
        by: "cohort" (the never treated are one of them, as units to compare with), or a column that is constant within
            units, such as "cluster_1", "territory" or "unit".
        outcome: canonical column.
        refits: largest number of new estimates.
        estimate: (sample, design, outcome=) -> DidResult.

    Raises:
        ParametersError: no such column, or fewer than two groups in it.
        EvaluationError: what the estimate with everybody raises. Without a group, its message becomes `reason`.
    """
    groups = _groups(sample, by)
    full = estimate(sample, design, outcome=outcome)
    linear = _linear_changes(full.headline, sample.frame["unit"], groups)
    chosen = linear.abs().sort_values(ascending=False, kind="stable").index[:refits]
    rows = [_without(group, sample, design, groups, full, estimate, outcome) for group in chosen]
    headline = float(full.headline.estimate[0])
    rows += [
        {"left_out": str(group), "estimate": headline + change, "exact": False, "reason": ""}
        for group, change in linear.drop(chosen).items()
    ]
    table = pd.DataFrame(rows).assign(change=lambda rows: rows["estimate"] - headline)
    if by != "cohort":
        table = table.drop(columns="same_cells")
    order = table["change"].abs().sort_values(ascending=False, kind="stable").index
    return _left_out(by, sample.names.get(by, by), headline, table.loc[order].reset_index(drop=True))


def _groups(sample: Sample, by: str) -> pd.Series[Any]:
    """(N,) group of each row."""
    if by not in sample.frame:
        raise ParametersError(
            code="E-IMP-145",
            what="no such column to leave groups out by",
            found=by,
            expected="cohort, unit, cluster_1 …",
        )
    values = sample.frame[by].astype(object)
    values = values.where(values.notna(), NEVER if by == "cohort" else "missing")
    if values.nunique() < 2:
        raise ParametersError(
            code="E-IMP-146",
            what="a single group cannot be left out",
            where=sample.names.get(by, by),
            found="one group",
        )
    return values


def _linear_changes(headline: Effects, unit: pd.Series[Any], groups: pd.Series[Any]) -> pd.Series[float]:
    """Change of the headline without each group, by its influence."""
    of_unit = groups.groupby(unit.to_numpy()).first().reindex(headline.units)
    codes, names = pd.factorize(of_unit)
    sums = headline.cluster_sums(codes)[:, 0]
    left = headline.n_units - np.bincount(codes)
    return pd.Series(-sums / np.maximum(left, 1), index=names).reindex(groups.unique(), fill_value=0.0)


def _without(
    group: Any,
    sample: Sample,
    design: DidDesign,
    groups: pd.Series[Any],
    full: DidResult,
    estimate: Estimate,
    outcome: str,
) -> dict[str, Any]:
    rest = replace(sample, frame=sample.frame[(groups != group).to_numpy()].reset_index(drop=True))
    row = {"left_out": str(group), "exact": True}
    try:
        found = estimate(rest, design, outcome=outcome)
    except EvaluationError as error:
        return {**row, "estimate": np.nan, "same_cells": np.nan, "reason": error.what}
    return {
        **row,
        "estimate": float(found.headline.estimate[0]),
        "same_cells": _same_cells(full, found),
        "reason": "",
    }


def _same_cells(full: DidResult, rest: DidResult) -> float:
    """Effects of the full sample under the weights of the rest; NaN where a cell is not among them."""
    name = rest.headline.labels["aggregate"].iloc[0] if "aggregate" in rest.headline.labels else None
    weights = rest.weights[rest.weights["aggregate"] == name]
    cells = full.group_time.labels[["cohort", "period"]].assign(effect=full.group_time.estimate)
    both = weights.merge(cells, on=["cohort", "period"], how="left", validate="one_to_one")
    return float((both["weight"] * both["effect"]).sum(skipna=False)) if len(both) else float("nan")


def _left_out(by: str, name: str, headline: float, table: pd.DataFrame) -> LeaveOneOut:
    known = table.dropna(subset="estimate")
    low, high = (float(known["estimate"].agg(end)) if len(known) else float("nan") for end in ("min", "max"))
    first = str(known["left_out"].iloc[0]) if len(known) else ""
    largest = float(known["change"].abs().max()) if len(known) else float("nan")
    flips = int((np.sign(known["estimate"]) * np.sign(headline) < 0).sum())
    return LeaveOneOut(
        by=by,
        headline=headline,
        table=table,
        lowest=low,
        highest=high,
        most_influential=first,
        largest_share=largest / abs(headline) if headline else float("inf"),
        sign_changes=flips,
        detail=f"Without one {name} at a time the effect {headline:.4g} lies between {low:.4g} and {high:.4g} "
        f"({len(known)} of {len(table)} groups, {int(known['exact'].sum())} by a new estimate); {flips} change "
        "its sign.",
    )


# what is not identified -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Unidentified:
    """Treated cells of the sample without an estimate.

    Attributes:
        cells: cohorts in periods after their start that have treated rows.
        missing: those of them without an estimate.
        share: weight of the treated rows in these, over that of all treated rows.
        before: effects before treatment that could not be estimated.
        reasons: a reason -> cells; "no comparison, no period before, or dropped" where the estimator did not try.
        detail: one sentence.
    """

    cells: int
    missing: int
    share: float
    before: int
    reasons: dict[str, int]
    detail: str


def unidentified(sample: Sample, result: DidResult) -> Unidentified:
    """How much of what was treated in the sample the effects speak of.

    Args:
        sample: canonical columns; its treated rows are those from the cohort's first treated period on.
        result: its estimate.
    """
    frame = sample.frame
    treated = frame[(frame["period"] >= frame["cohort"]).fillna(value=False)]
    weight = treated.groupby(["cohort", "period"])["weight"].sum().reset_index()
    found = result.group_time.labels.loc[result.group_time.labels["phase"] == "post", ["cohort", "period"]]
    both = weight.merge(found, on=["cohort", "period"], how="left", indicator=True)
    both = both.merge(result.skipped[["cohort", "period", "reason"]], on=["cohort", "period"], how="left")
    lost = both[both["_merge"] == "left_only"]
    reasons = (
        lost["reason"].astype(object).fillna("no comparison, no period before, or dropped").value_counts().to_dict()
    )
    share = float(lost["weight"].sum() / both["weight"].sum()) if len(both) else float("nan")
    return Unidentified(
        cells=len(both),
        missing=len(lost),
        share=share,
        before=int((result.skipped["event_time"] < 0).sum()),
        reasons={str(reason): int(count) for reason, count in reasons.items()},
        detail=f"{len(lost)} of {len(both)} cohorts in periods after their start have no estimate; they hold "
        f"{share:.1%} of the treated rows (weighted).",
    )
