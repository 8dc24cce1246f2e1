"""One evaluation from its sample to its finding: effects, headline, checks and tables, whatever the method.

A finding holds aggregates only: no row of it speaks of one unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import InternalError
from evaluation.impact import (
    checks,
    finding_cross_section,
    finding_did,
    finding_negative,
    finding_sensitivity,
    finding_specifications,
    finding_synthetic,
    finding_tests,
    finding_uncontrolled,
    inference,
)
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats
from evaluation.impact.cross_section import clusters_of
from evaluation.impact.finding_parts import Parts, mean_and_sd
from evaluation.sample.blinding import NOTE, blind

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
        notes: what a reader must know, in English; first of all that outcomes were permuted, where they were.
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
    sample = blind(sample, design) if design.blinded and not sample.blinded else sample
    parts = finding_sensitivity.added(method(sample, design, seed), sample, design)
    parts = finding_negative.added(parts, sample, design, seed, method)
    parts = finding_specifications.added(parts, sample, design, seed)
    effects = _effects(parts, sample, design, seed)
    headline = effects[effects["role"] == "headline"].iloc[0]
    mean, spread = mean_and_sd(*parts.comparison)
    counts = _cluster_counts(parts.used, sample)
    return Finding(
        estimand=parts.estimand,
        effects=effects[list(EFFECT_COLUMNS)],
        headline=_headline(headline, mean, spread, parts.convention or parts.covariance.describe()),
        sample=_sample(sample, parts, counts),
        checks=(*parts.checks, *_common_checks(sample, design, parts, effects, spread, counts)),
        tables=dict(parts.tables),
        notes=(*_blinded(design), *parts.notes, *_reasons(parts.rows)),
    )


def _blinded(design: Design) -> list[str]:
    if not design.blinded:
        return []
    planted = (
        [] if design.planted is None else [f"An effect of {design.planted:g} was planted in {design.primary.name}."]
    )
    return [NOTE, *planted]


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
    measured = {check.check for check in parts.checks}
    common = [
        *trends,
        checks.pretest(sample, design),
        *checks.attrition(sample.flow, design, arms),
        checks.detectable_effect(float(headline["std_error"]), spread),
        *checks.cluster_counts(*counts),
        checks.multiplicity(headline, _family_size(design)),
        checks.measurement(design.primary),
        *checks.unmeasured(design, measured),
    ]
    return [check for check in common if check.check not in measured]


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


METHODS: Mapping[str, Callable[[Sample, Any, int], Parts]] = {
    "did": finding_did.parts,
    "synthetic_control": finding_synthetic.parts,
    "uncontrolled": finding_uncontrolled.parts,
    **dict.fromkeys(finding_cross_section.ESTIMATORS, finding_cross_section.parts),
}
