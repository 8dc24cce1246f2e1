"""One evaluation from its sample to its finding: effects, headline, checks and tables, whatever the method.

A finding holds aggregates only: no row of it speaks of one unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError, InternalError
from evaluation.impact import checks, did, experiment, inference, matching, weighting
from evaluation.impact.balance import balance_table, effective_size
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import Block, CrossSection, clusters_of, outcomes_of
from evaluation.impact.did_result import DidResult
from evaluation.impact.propensity import fit_propensity

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.impact.inference import Covariance, WaldTest
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import Design

EFFECT_COLUMNS = (
    "term",
    "outcome",
    "role",
    "horizon",
    "cohort",
    "period",
    "event_time",
    "territory",
    "subgroup",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "band_low",
    "band_high",
    "p_value",
    "p_adjusted",
)
SCORE_BINS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finding:
    """What one evaluation says.

    Attributes:
        estimand: ate, itt, att or atc.
        effects: a row an estimate, EFFECT_COLUMNS; exactly one has the role "headline", the others "secondary" or
            "supporting". Terms are those of the record. Missing numbers are NaN, missing labels None.
        headline: estimate, std_error, ci_low, ci_high, p_value, comparison_mean, outcome_sd (floats or None) and
            inference (the convention in words).
        sample: rows_read, rows_used, units, treated_units, clusters, treated_clusters, flow.
        checks: diagnostics, each once.
        tables: aggregate tables for figures, by name.
        notes: what a reader must know, in English.
    """

    estimand: str
    effects: pd.DataFrame
    headline: Mapping[str, Any]
    sample: Mapping[str, Any]
    checks: tuple[Check, ...]
    tables: Mapping[str, pd.DataFrame]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """What a method contributes.

    Attributes:
        rows: effects with labels, numbers and `reason`.
        covariance: of the headline.
        comparison: values of the outcome in the comparison group, and their weights.
        used: rows of the sample that were used.
        flow: rows dropped by the estimator.
    """

    estimand: str
    rows: pd.DataFrame
    covariance: Covariance
    comparison: tuple[Floats, Floats]
    used: pd.DataFrame
    checks: Sequence[Check]
    tables: Mapping[str, pd.DataFrame]
    notes: Sequence[str]
    flow: Sequence[FlowStep] = field(default_factory=tuple)


def estimate(sample: Sample, design: Design, *, seed: int = 0) -> Finding:
    """Estimate one evaluation.

    Args:
        sample: what `sample.prepare(design)` returned.
        design: the evaluation; `design.method` chooses the estimator, `design.inference` overrides its standard errors.
        seed: of the draws behind simultaneous bands.

    Returns:
        The finding.

    Raises:
        EvaluationError: what the estimator of the method raises.
    """
    method = METHODS.get(design.method)
    if method is None:
        raise InternalError(
            code="E-IMP-058",
            what="no estimator belongs to this method",
            found=design.method,
            expected=", ".join(METHODS),
        )
    parts = method(sample, design, seed)
    effects = _effects(parts.rows, design)
    headline = effects[effects["role"] == "headline"].iloc[0]
    mean, spread = _mean_and_sd(*parts.comparison)
    counts = _cluster_counts(parts.used, sample)
    return Finding(
        estimand=parts.estimand,
        effects=effects[list(EFFECT_COLUMNS)],
        headline=_headline(headline, mean, spread, parts.covariance),
        sample=_sample(sample, parts, counts),
        checks=(*parts.checks, *_common_checks(sample, design, parts, effects, spread, counts)),
        tables=dict(parts.tables),
        notes=(*parts.notes, *_reasons(parts.rows)),
    )


# experiments, matching, weighting -------------------------------------------------------------------------------------


def _cross_section(sample: Sample, design: Any, seed: int) -> _Parts:
    result = _CROSS_SECTIONS[design.method](sample, design)
    rows = [block.table(design.inference.level) for block in result.blocks]
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    after = _sampling_weights(sample) if result.balance_weights is None else result.balance_weights
    balance = _balance(sample, result, treated)
    column = outcomes_of(design)[0][0]
    values = sample.frame[column].to_numpy(dtype=float)
    return _Parts(
        estimand=result.estimand,
        rows=pd.concat(rows, ignore_index=True),
        covariance=result.blocks[0].solved(),
        comparison=(values[~treated & (after > 0)], after[~treated & (after > 0)]),
        used=sample.frame[after > 0],
        checks=[checks.balance(balance), *_overlap(sample, design, result, treated)],
        tables=_cross_section_tables(sample, result, treated, values, balance),
        notes=result.notes,
    )


def _sampling_weights(sample: Sample) -> Floats:
    return np.asarray(sample.frame["weight"], dtype=float)


def _balance(sample: Sample, result: CrossSection, treated: NDArray[np.bool_]) -> pd.DataFrame | None:
    covariates = model_matrix(sample.frame, sample.names, all_levels=True)
    if not covariates.labels:
        return None
    return balance_table(covariates, treated, _sampling_weights(sample), result.balance_weights)


def _overlap(sample: Sample, design: Any, result: CrossSection, treated: NDArray[np.bool_]) -> list[Check]:
    """Overlap of scores and concentration of weights; nothing to check where chance decided."""
    if result.balance_weights is None:
        reason = "chance decided who was treated"
        names = "overlap.share_in_01_09", "overlap.ess_share"
        return [checks.not_applicable(name, reason) for name in names]
    score, reason = _score(sample, result, treated)
    weights = result.balance_weights
    wanted = {"att": treated, "atc": ~treated, "ate": np.ones(len(treated), dtype=bool)}[result.estimand]
    stand_ins = {"att": [~treated], "atc": [treated], "ate": [treated, ~treated]}[result.estimand]
    weakest = min(stand_ins, key=lambda arm: effective_size(weights[arm]) / max(int((weights[arm] > 0).sum()), 1))
    return [checks.overlap(score, wanted & (weights > 0), reason), checks.effective_share(weights[weakest])]


def _score(sample: Sample, result: CrossSection, treated: NDArray[np.bool_]) -> tuple[Floats | None, str]:
    """The method's propensity score, or a logit where it has none, or why there is none."""
    if result.score is not None:
        return result.score, ""
    covariates = model_matrix(sample.frame, sample.names)
    if not covariates.labels:
        return None, "no covariates are named"
    try:
        return fit_propensity(covariates, treated, _sampling_weights(sample)).probability, ""
    except DataError as error:
        return None, f"{error.what}: {error.where}"


def _cross_section_tables(
    sample: Sample, result: CrossSection, treated: NDArray[np.bool_], values: Floats, balance: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    tables = {"means": _means(values, treated, _sampling_weights(sample), result.balance_weights)}
    if balance is not None:
        tables["balance"] = balance
    if result.balance_weights is not None:
        score, _ = _score(sample, result, treated)
        if score is not None:
            tables["score"] = _score_bins(score, treated, result.balance_weights)
    territories = [block for block in result.blocks if "territory" in block.effects.labels]
    if territories:
        tables["territory_covariance"] = _covariance_table(territories[0], "territory")
    return tables


def _means(values: Floats, treated: NDArray[np.bool_], before: Floats, after: Floats | None) -> pd.DataFrame:
    """Means of the outcome by group: treated, comparison and, after an adjustment, both adjusted."""
    groups = [("treated", treated, before), ("comparison", ~treated, before)]
    if after is not None:
        groups += [("treated_adjusted", treated, after), ("comparison_adjusted", ~treated, after)]
    rows = []
    for name, arm, weights in groups:
        used = arm & (weights > 0)
        mean, spread = _mean_and_sd(values[used], weights[used])
        rows.append({"group": name, "mean": mean, "sd": spread, "n": int(used.sum())})
    return pd.DataFrame(rows)


def _score_bins(score: Floats, treated: NDArray[np.bool_], weights: Floats) -> pd.DataFrame:
    """Numbers of units and summed weights by arm in bins of the score."""
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, SCORE_BINS - 1)
    rows = [
        {"group": name, "low": edges[j], "high": edges[j + 1], "n": int(inside.sum()), "weight": weights[inside].sum()}
        for name, arm in (("treated", treated), ("comparison", ~treated))
        for j in range(SCORE_BINS)
        for inside in [arm & (place == j)]
    ]
    return pd.DataFrame(rows)


def _covariance_table(block: Block, label: str) -> pd.DataFrame:
    names = block.effects.labels[label].astype(str).tolist()
    return pd.DataFrame(block.solved().matrix, columns=names).assign(**{label: names})[[label, *names]]


# difference-in-differences --------------------------------------------------------------------------------------------


def _did(sample: Sample, design: Any, seed: int) -> _Parts:
    results = {column: did.estimate(sample, design, outcome=column) for column, _ in outcomes_of(design)}
    primary = next(iter(results.values()))
    kind, clusters = design.inference.std_error or "influence", clusters_of(sample)
    rows = [
        _did_table(result.headline, "headline" if result is primary else "secondary", kind, clusters, design, None)
        for result in results.values()
    ]
    for effects in (primary.group_time, *primary.aggregates.values()):
        rows.append(_did_table(effects, "supporting", kind, clusters, design, seed))
    used = sample.frame[sample.frame["unit"].isin(primary.headline.units)]
    times = sorted(int(time) for time in primary.pre_treatment.labels["event_time"].unique())
    return _Parts(
        estimand="att",
        rows=_labelled(pd.concat(rows, ignore_index=True), sample.period_labels),
        covariance=inference.covariance(primary.headline, clusters, kind=kind),
        comparison=_untreated(used, outcomes_of(design)[0][0], design.comparison),
        used=used,
        checks=[*_did_not_applicable(), *checks.pretrend(_pretrend_test(primary, kind, clusters), times)],
        tables=_did_tables(sample, design, primary, kind, clusters),
        notes=primary.notes,
        flow=primary.flow,
    )


def _pretrend_test(result: DidResult, kind: str, clusters: pd.DataFrame | None) -> WaldTest:
    """All effects of single cohorts before treatment; where these have too few clusters, their means by event time."""
    test = inference.wald(result.pre_treatment, clusters, kind=kind)
    if not test.reason:
        return test
    means = result.aggregates["event_time"]
    before = (means.labels["event_time"] < 0).to_numpy(dtype=bool)
    sound = (inference.summarize(means, clusters, kind=kind)["reason"] == "").to_numpy()
    return inference.wald(means.select(before & sound), clusters, kind=kind) if (before & sound).any() else test


def _did_table(
    effects: Effects, role: str, kind: str, clusters: pd.DataFrame | None, design: Any, seed: int | None
) -> pd.DataFrame:
    table = inference.summarize(effects, clusters, kind=kind, level=design.inference.level, band_seed=seed)
    return table.assign(role=role)


def _labelled(rows: pd.DataFrame, period_labels: Mapping[int, str]) -> pd.DataFrame:
    """Event times before treatment get the term pre_trend; periods their labels."""
    before = (rows["term"] == "event_time") & (rows["event_time"] < 0).fillna(value=False)
    rows = rows.assign(term=rows["term"].mask(before, "pre_trend"))
    for column in ("cohort", "period"):
        rows[column] = pd.Series([_label(value, period_labels) for value in rows[column]], rows.index, dtype=object)
    return rows


def _label(value: Any, period_labels: Mapping[int, str]) -> Any:
    return None if pd.isna(value) else period_labels.get(int(value), int(value))


def _untreated(frame: pd.DataFrame, column: str, comparison: str) -> tuple[Floats, Floats]:
    """Outcomes without treatment: of units never treated or, with not yet treated ones in use, of all before theirs."""
    never = frame["cohort"].isna()
    before = never | (frame["period"] < frame["cohort"]).fillna(value=False)
    chosen = frame[never if comparison == "never_treated" and never.any() else before]
    chosen = chosen[chosen[column].notna()]
    return chosen[column].to_numpy(dtype=float), chosen["weight"].to_numpy(dtype=float)


def _did_not_applicable() -> list[Check]:
    reason = "changes over time are compared, not levels"
    names = "balance.max_smd", "overlap.share_in_01_09", "overlap.ess_share"
    return [checks.not_applicable(name, reason) for name in names]


def _did_tables(
    sample: Sample, design: Any, result: DidResult, kind: str, clusters: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    event_time = result.aggregates["event_time"]
    named = {"group_time": result.group_time, "event_time": event_time}
    tables = {
        name: _labelled(inference.summarize(effects, clusters, kind=kind, level=design.inference.level), {})
        for name, effects in named.items()
    }
    names = [str(time) for time in event_time.labels["event_time"]]
    matrix = inference.covariance(event_time, clusters, kind=kind).matrix
    tables["event_time_covariance"] = pd.DataFrame(matrix, columns=names).assign(event_time=names)[
        ["event_time", *names]
    ]
    tables["means"] = _cohort_means(sample, outcomes_of(design)[0][0])
    if len(result.skipped):
        tables["skipped"] = result.skipped
    return tables


def _cohort_means(sample: Sample, column: str) -> pd.DataFrame:
    """Weighted mean of the outcome by cohort ("never" for the never treated) and period."""
    frame = sample.frame[sample.frame[column].notna()]
    group = ["never" if pd.isna(cohort) else str(_label(cohort, sample.period_labels)) for cohort in frame["cohort"]]
    table = frame.assign(group=group, weighted=frame[column] * frame["weight"]).groupby(["group", "period"])
    sums = table.agg(total=("weighted", "sum"), weight=("weight", "sum"), n=(column, "size")).reset_index()
    sums["mean"] = sums["total"] / sums["weight"]
    sums["period"] = [_label(period, sample.period_labels) for period in sums["period"]]
    return sums[["group", "period", "mean", "n"]]


# what all methods share -----------------------------------------------------------------------------------------------


def _effects(rows: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Rows with all columns of the record, in order, and p-values adjusted within families of outcomes."""
    horizons = {outcome.name: outcome.horizon_months for outcome in design.outcomes}
    rows = rows.reindex(columns=[*EFFECT_COLUMNS, *(c for c in rows.columns if c not in EFFECT_COLUMNS)])
    rows["horizon"] = [horizons.get(name) for name in rows["outcome"]]
    for column in ("cohort", "period", "event_time", "territory", "subgroup"):
        values = [None if pd.isna(value) else value for value in rows[column].astype(object)]
        rows[column] = pd.Series(values, rows.index, dtype=object)
    rows["p_adjusted"] = _holm_by_family(rows, {outcome.name: outcome.family for outcome in design.outcomes})
    return rows


def _holm_by_family(rows: pd.DataFrame, families: Mapping[str, str]) -> Floats:
    adjusted = np.full(len(rows), np.nan)
    confirmatory = rows["role"].isin(["headline", "secondary"]).to_numpy()
    family = rows["outcome"].map(families).to_numpy(dtype=object)
    for name in sorted(set(family[confirmatory])):
        members = np.flatnonzero(confirmatory & (family == name))
        adjusted[members] = holm(rows["p_value"].to_numpy(dtype=float)[members])
    return adjusted


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjustment: the j-th smallest of m times m - j + 1, never decreasing, at most 1.

    Missing p-values stay missing and still count in m.

    Source: Holm (1979).
    """
    order = np.argsort(p_values, kind="stable")  # missing ones last
    steps = np.arange(len(p_values), 0, -1)
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(p_values[order] * steps), 1.0)
    return out


def _mean_and_sd(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean, and standard deviation with the factor n / (n - 1)."""
    n = len(values)
    share = weights / weights.sum()
    mean = share @ values
    variance = share @ (values - mean) ** 2 * (n / (n - 1) if n > 1 else np.nan)
    return float(mean), float(np.sqrt(variance))


def _headline(row: pd.Series, mean: float, spread: float, covariance: Covariance) -> dict[str, Any]:
    numbers = {name: row[name] for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")}
    numbers |= {"comparison_mean": mean, "outcome_sd": spread}
    known = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
    return {**known, "inference": covariance.describe()}


def _cluster_counts(used: pd.DataFrame, sample: Sample) -> tuple[tuple[int, int] | None, str]:
    """Clusters and clusters with treated units, for the clustering variable with the fewest clusters."""
    columns = [column for column in used.columns if str(column).startswith("cluster_")]
    if not columns:
        return None, ""
    fewest = min(columns, key=lambda column: used[column].nunique())
    counts = int(used[fewest].nunique()), int(used.loc[used["treated"], fewest].nunique())
    return counts, sample.names.get(fewest, fewest)


def _sample(sample: Sample, parts: _Parts, counts: tuple[tuple[int, int] | None, str]) -> dict[str, Any]:
    clusters, treated_clusters = counts[0] or (None, None)
    flow = (*sample.flow, *parts.flow)
    return {
        "rows_read": sample.rows_read,
        "rows_used": parts.flow[-1].left if parts.flow else sample.rows_used,
        "units": int(parts.used["unit"].nunique()),
        "treated_units": int(parts.used.loc[parts.used["treated"], "unit"].nunique()),
        "clusters": clusters,
        "treated_clusters": treated_clusters,
        "flow": [_step(step) for step in flow],
    }


def _step(step: FlowStep) -> dict[str, Any]:
    names = ("step", "dropped", "left", "reason", "dropped_treated", "dropped_comparison")
    return {name: getattr(step, name) for name in names}


def _common_checks(
    sample: Sample,
    design: Design,
    parts: _Parts,
    effects: pd.DataFrame,
    spread: float,
    counts: tuple[tuple[int, int] | None, str],
) -> list[Check]:
    headline = effects[effects["role"] == "headline"].iloc[0]
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    arms = int(treated.sum()), int((~treated).sum())
    trends = () if design.method == "did" else checks.pretrend(None, [])
    return [
        *trends,
        checks.pretest(sample, design),
        *checks.attrition(sample.flow, design, arms),
        checks.detectable_effect(float(headline["std_error"]), spread),
        *checks.cluster_counts(*counts),
        checks.multiplicity(headline, _family_size(design)),
        checks.measurement(design.primary),
        *checks.unmeasured(design),
    ]


def _family_size(design: Design) -> int:
    return sum(outcome.family == design.primary.family for outcome in design.outcomes)


def _reasons(rows: pd.DataFrame) -> list[str]:
    """Why rows have no interval; the reference of an event study needs no excuse."""
    silent = rows[(rows["reason"] != "") & ~rows["reason"].str.startswith("zero by construction")]
    notes = []
    for reason, group in silent.groupby("reason", sort=True):
        headline = " (the headline among them)" if (group["role"] == "headline").any() else ""
        notes.append(f"No interval for {len(group)} estimates{headline}: {reason}.")
    return notes


_CROSS_SECTIONS: Mapping[str, Callable[..., CrossSection]] = {
    "experiment": experiment.estimate,
    "matching": matching.estimate,
    "weighting": weighting.estimate,
}
METHODS: Mapping[str, Callable[[Sample, Any, int], _Parts]] = {
    "did": _did,
    **dict.fromkeys(_CROSS_SECTIONS, _cross_section),
}
