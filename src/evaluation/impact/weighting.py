"""Weighting: the untreated, weighted until they resemble the treated (or both arms until they resemble everybody).

The weights are estimated, and the influence of each unit on them is carried to the effect (M-estimation).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from evaluation.impact import weighting_evidence
from evaluation.impact.arm_weights import ArmWeights, RowEffect
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    clusters_of,
    difference_in_means,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    require_both_arms,
    role_of,
)
from evaluation.impact.grouped import group_blocks
from evaluation.impact.weighted_comparison import Comparison, as_effects, compare

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import Outcome, WeightingDesign
    from evaluation.settings.designs.weighting import DoublyRobust


def estimate(sample: Sample, design: WeightingDesign) -> CrossSection:
    """Average effect by weighting: difference of two weighted means (Hájek), or doubly robust with a model of outcomes.

    Args:
        sample: one row a unit; covariates complete.
        design: weights, estimand, trim, optimal_trim, truncate, tolerance, target, doubly_robust, territory, subgroups.

    Returns:
        Effects (all outcomes, groups, placebo, then the raw difference), weights, score, checks, tables and notes.

    Raises:
        DataError: an arm is empty (also after trimming), covariates separate the arms, or no weights balance them.
        ParametersError: the target population has a mean of something that is no covariate.
        SetupError: a learner is asked for, and scikit-learn is not there.
    """
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    comparison = compare(sample, design)
    pairs = outcomes_of(design)
    found = [comparison.effect(sample, column) for column, _ in pairs]
    blocks = [_block(sample, design, comparison, *each) for each in zip(found, pairs, strict=True)]
    groups, skipped = group_blocks(sample, design, partial(_within, design=design))
    evidence = weighting_evidence.collect(sample, design, comparison, blocks[0])
    return CrossSection(
        estimand=design.estimand,
        blocks=(*blocks, *groups, *evidence.blocks, raw_difference(sample, design)),
        balance_weights=comparison.weights.both,
        score=comparison.weights.score,
        notes=(*_notes(design, comparison, found[0]), *skipped),
        checks=evidence.checks,
        tables=evidence.tables,
    )


def _within(part: Sample, row: pd.DataFrame, *, design: WeightingDesign) -> Effects:
    """The effect on the primary outcome in one group, weighted by itself."""
    column = outcomes_of(design)[0][0]
    return as_effects(part, compare(part, design).effect(part, column), column, row)


def _block(
    sample: Sample, design: WeightingDesign, comparison: Comparison, found: RowEffect, pair: tuple[str, Outcome]
) -> Block:
    column, outcome = pair
    row, clusters = labels(design.estimand, outcome, role_of(outcome)), clusters_of(sample)
    kind = design.inference.std_error or "influence"
    if kind == "influence":
        return Block(effects=as_effects(sample, found, column, row), kind=kind, clusters=clusters)
    weights = comparison.weights.both
    used = observed(sample.frame, column) & (weights > 0)
    effects = difference_in_means(sample.frame[used], column, row, weights[used])
    return Block(effects=effects, kind=kind, clusters=clusters)


# what a reader must know ----------------------------------------------------------------------------------------------


def _notes(design: WeightingDesign, comparison: Comparison, headline: RowEffect) -> Iterator[str]:
    weights = comparison.weights
    yield (
        f"Largest weight of one unit: {_largest(weights.treated)} of the treated, "
        f"{_largest(weights.comparison)} of the comparison."
    )
    yield from weights.notes
    if design.estimand == "ato":
        yield (
            "The effect is that on units which could well have been in either group (overlap weights), not on all: "
            "each counts p (1 - p), p its score."
        )
    if weights.left_out:
        yield f"Left out because they add nothing to earlier covariates: {', '.join(weights.left_out)}."
    if comparison.models is not None:
        yield from _model_notes(comparison.models.models, headline)


def _model_notes(asked: DoublyRobust, headline: RowEffect) -> Iterator[str]:
    yield f"Doubly robust: outcome by {asked.outcome}, treatment by {asked.score}" + (
        f", {asked.folds} folds, score kept from {asked.bound:g} to {1 - asked.bound:g}."
        if asked.folds
        else ", fitted on all rows; the influence carries both models."
    )
    if len(headline.splits) > 1:
        yield (
            f"Median of {asked.repetitions} splits, which gave {min(headline.splits):.6g} to "
            f"{max(headline.splits):.6g}; the standard error is that of the split in the middle and does not hold this "
            "spread."
        )


def _largest(arm: ArmWeights) -> str:
    return f"{arm.weights.max() / arm.weights.sum():.1%}"
