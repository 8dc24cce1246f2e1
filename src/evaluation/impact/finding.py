"""One evaluation from its sample to its finding: effects, headline, checks and tables, whatever the method.

A finding holds aggregates only: no row of it speaks of one unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError, InternalError
from evaluation.impact import checks, experiment, finding_did, finding_tests, inference, matching, weighting
from evaluation.impact.balance import balance_table, effective_size
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import Block, CrossSection, clusters_of, outcomes_of
from evaluation.impact.effects import concat
from evaluation.impact.finding_parts import Parts
from evaluation.impact.propensity import fit_propensity

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
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
    effects = _effects(parts, sample, design, seed)
    headline = effects[effects["role"] == "headline"].iloc[0]
    mean, spread = _mean_and_sd(*parts.comparison)
    counts = _cluster_counts(parts.used, sample)
    return Finding(
        estimand=parts.estimand,
        effects=effects[list(EFFECT_COLUMNS)],
        headline=_headline(headline, mean, spread, parts.convention or parts.covariance.describe()),
        sample=_sample(sample, parts, counts),
        checks=(*parts.checks, *_common_checks(sample, design, parts, effects, spread, counts)),
        tables=dict(parts.tables),
        notes=(*parts.notes, *_reasons(parts.rows)),
    )


# experiments, matching, weighting -------------------------------------------------------------------------------------


def _cross_section(sample: Sample, design: Any, seed: int) -> Parts:
    result = _CROSS_SECTIONS[design.method](sample, design)
    rows, convention = _cross_section_rows(sample, design, result, seed)
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    after = _sampling_weights(sample) if result.balance_weights is None else result.balance_weights
    balance = _balance(sample, result, treated)
    column = outcomes_of(design)[0][0]
    values = sample.frame[column].to_numpy(dtype=float)
    return Parts(
        estimand=result.estimand,
        rows=pd.concat(rows, ignore_index=True),
        covariance=result.blocks[0].solved(),
        comparison=(values[~treated & (after > 0)], after[~treated & (after > 0)]),
        used=sample.frame[after > 0],
        checks=[checks.balance(balance), *_overlap(sample, design, result, treated)],
        tables=_cross_section_tables(sample, result, treated, values, balance),
        notes=result.notes,
        outcomes=_side_by_side(result.blocks[: len(design.outcomes)]),
        convention=convention,
    )


def _cross_section_rows(sample: Sample, design: Any, result: CrossSection, seed: int) -> tuple[list[pd.DataFrame], str]:
    """A table for each block, those of the outcomes first, with the test that the design asks for."""
    tables = [block.table(design.inference.level) for block in result.blocks]
    conventions = [""]
    for number, block in enumerate(result.blocks[: len(design.outcomes)]):
        if design.inference.test == "wild":
            tables[number], said = finding_tests.wild(tables[number], block.effects, block.clusters, design, seed)
            conventions.append(said)
        elif design.inference.test == "randomisation":
            tables[number], said = finding_tests.randomisation(tables[number], sample, design, seed)
            conventions.append(said)
    return tables, conventions[min(1, len(conventions) - 1)]


def _side_by_side(blocks: Sequence[Block]) -> Effects | None:
    effects = [block.effects for block in blocks]
    return concat(effects) if all(part.kind == "influence" for part in effects) else None


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


# what all methods share -----------------------------------------------------------------------------------------------


def _effects(parts: Parts, sample: Sample, design: Design, seed: int) -> pd.DataFrame:
    """Rows with all columns of the record, in order, and p-values adjusted within families of outcomes."""
    horizons = {outcome.name: outcome.horizon_months for outcome in design.outcomes}
    more = [column for column in parts.rows.columns if column not in EFFECT_COLUMNS]
    rows = parts.rows.reindex(columns=[*EFFECT_COLUMNS, *more])
    rows["horizon"] = [horizons.get(name) for name in rows["outcome"]]
    for column in ("cohort", "period", "event_time", "territory", "subgroup"):
        values = [None if pd.isna(value) else value for value in rows[column].astype(object)]
        rows[column] = pd.Series(values, rows.index, dtype=object)
    joint = design.inference.adjustment == "romano_wolf" and parts.outcomes is not None
    draws = _joint_draws(parts.outcomes, clusters_of(sample), design, seed) if joint and parts.outcomes else None
    rows["p_adjusted"] = finding_tests.adjusted(rows, design, parts.outcomes, draws)
    return rows


def _joint_draws(effects: Effects, clusters: pd.DataFrame | None, design: Design, seed: int) -> Floats:
    return inference.multiplier_draws(effects, clusters, draws=design.inference.draws, seed=seed)


def _mean_and_sd(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean, and standard deviation with the factor n / (n - 1)."""
    n = len(values)
    share = weights / weights.sum()
    mean = share @ values
    variance = share @ (values - mean) ** 2 * (n / (n - 1) if n > 1 else np.nan)
    return float(mean), float(np.sqrt(variance))


def _headline(row: pd.Series, mean: float, spread: float, convention: str) -> dict[str, Any]:
    numbers = {name: row[name] for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")}
    numbers |= {"comparison_mean": mean, "outcome_sd": spread}
    known = {name: float(value) if np.isfinite(value) else None for name, value in numbers.items()}
    return {**known, "inference": convention}


def _cluster_counts(used: pd.DataFrame, sample: Sample) -> tuple[tuple[int, int] | None, str]:
    """Clusters and clusters with treated units, for the clustering variable with the fewest clusters."""
    columns = [column for column in used.columns if str(column).startswith("cluster_")]
    if not columns:
        return None, ""
    fewest = min(columns, key=lambda column: used[column].nunique())
    counts = int(used[fewest].nunique()), int(used.loc[used["treated"], fewest].nunique())
    return counts, sample.names.get(fewest, fewest)


def _sample(sample: Sample, parts: Parts, counts: tuple[tuple[int, int] | None, str]) -> dict[str, Any]:
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
    parts: Parts,
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
        *checks.unmeasured(design, {check.check for check in parts.checks}),
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
METHODS: Mapping[str, Callable[[Sample, Any, int], Parts]] = {
    "did": finding_did.parts,
    **dict.fromkeys(_CROSS_SECTIONS, _cross_section),
}
