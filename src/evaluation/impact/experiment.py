"""Experiments: chance decided who was treated, so a regression on treatment is the comparison of two means.

Territories and subgroups are estimated in one regression with a treatment column each, so that their effects have a
joint covariance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.impact import attrition, compliance, phase_in_result, subgroups
from evaluation.impact.checks import Check, measured
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    difference_in_means,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    require_both_arms,
    role_of,
)
from evaluation.impact.experiment_convention import Convention
from evaluation.impact.experiment_regression import Comparison, Plan, arm_weights, comparison, with_both_arms
from evaluation.impact.paired import Pairs
from evaluation.impact.placebo_outcome import placebo_check
from evaluation.impact.saturation import spillover
from evaluation.impact.transport import transport
from evaluation.sample import FlowStep

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign, Outcome

# Shares of treated that differ by more than this between strata make the effect a weighted mean worth a note.
_SHARE_DIFFERENCE = 0.05


def estimate(sample: Sample, design: ExperimentDesign) -> CrossSection:
    """Average effect of being assigned to treatment: on everybody (ate), of the offer where take-up is known (itt).

    adjustment none: difference of means. ancova: covariates with one slope. lin: covariates centred at their means and
    interacted with treatment. Strata of the draw enter as fixed effects, or by stratum: an effect each, averaged by
    their shares. Pairs by stratum: differences within pairs, averaged by their sizes. Known assignment probabilities,
    where a column gives them, weigh each unit by one over the probability of the arm it is in.
    Standard errors: HC2, with clusters CR2, both with t intervals, unless the design says otherwise or names a survey;
    for lin they are those of the mean effect at the sample's own covariate means. Where chance decided when units
    start, `phase_in_result.estimate` says what is estimated.

    Args:
        sample: one row a unit; covariates complete where they are used.
        design: adjustment, strata, probability, territory, takeup, survey, subgroups, explore, baseline_outcome.

    Returns:
        Effects: all outcomes; effects by territory and by declared subgroup with their contrasts; the difference
        without adjustment; take-up; the outcome before the draw. Tables: complier_effects, compliers and
        complier_profile where take-up is known; subgroup_tests and subgroup_effects where subgroups are declared;
        exploratory_subgroups where they are searched; attrition_* where somebody was lost; transport* where an effect
        is carried to another territory; saturation_effects where chance drew how many of each group are treated.

    Raises:
        DataError: an arm is empty, or treatment does not vary once strata and covariates are known.

    Source: Lin (2013); Freedman (2008) for ancova; Bugni, Canay and Shaikh (2018) for strata as fixed effects;
        Miratrix, Sekhon and Yu (2013) by stratum.
    """
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    if design.phase_in is not None:
        return phase_in_result.estimate(sample, design)
    sample = _weighted(sample)
    convention = Convention.of(sample, design)
    analyses = [_Analysis.of(sample, design, convention, *pair) for pair in outcomes_of(design)]
    declared = subgroups.declared(sample, design, convention)
    complied = _Complied.of(sample, design, convention) if "takeup" in sample.frame else None
    before = _before_the_draw(sample, design, convention) if design.baseline_outcome else None
    lost, lost_tables = attrition.evidence(sample, design)
    carried = transport(sample, design)
    spilled = spillover(sample, design, convention)
    return CrossSection(
        estimand=_estimand(design),
        blocks=(
            *_blocks(sample, design, convention, analyses, declared),
            *([before] if before else ()),
            *spilled.blocks,
        ),
        notes=(*_notes(sample, design, analyses[0], declared), *(complied.notes() if complied else ()), *spilled.notes),
        checks=(
            *lost,
            *(complied.checks() if complied else ()),
            *([_placebo(before, design)] if before else ()),
            *spilled.checks,
        ),
        flow=_flow(len(sample.frame), analyses[0].compared),
        tables={
            **_subgroup_tables(sample, design, convention, declared),
            **(complied.tables() if complied else {}),
            **lost_tables,
            **(carried.tables(design.inference.level) if carried else {}),
            **spilled.tables(design.inference.level),
        },
    )


def _estimand(design: ExperimentDesign) -> str:
    return "itt" if design.takeup else "ate"


def _weighted(sample: Sample) -> Sample:
    """Sampling weights times those for non-response."""
    if "response_weight" not in sample.frame:
        return sample
    weight = sample.frame["weight"] * sample.frame["response_weight"]
    return replace(sample, frame=sample.frame.assign(weight=weight))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Analysis:
    """The effect on one outcome.

    Attributes:
        compared: who is compared with whom, on the rows that have the outcome.
        values: (n,) the outcome.
        block: the effect.
    """

    outcome: Outcome
    compared: Comparison | Pairs
    values: Floats
    block: Block

    @classmethod
    def of(
        cls, sample: Sample, design: ExperimentDesign, convention: Convention, column: str, outcome: Outcome
    ) -> _Analysis:
        frame = sample.frame[observed(sample.frame, column)]
        compared = _compared(sample, design, frame)
        values = compared.rows[column].to_numpy(dtype=float)
        row = labels(_estimand(design), outcome, role_of(outcome))
        effects = compared.effects(values, row, None, convention.clusters)
        return cls(outcome=outcome, compared=compared, values=values, block=convention.block(effects))


def _compared(sample: Sample, design: ExperimentDesign, frame: pd.DataFrame) -> Comparison | Pairs:
    require_both_arms(frame["treated"].to_numpy(dtype=bool))
    if design.assignment == "paired" and design.strata_effects == "by_stratum":
        return Pairs.of(frame)
    return comparison(sample, design, Plan.of(design, frame))


def _blocks(
    sample: Sample,
    design: ExperimentDesign,
    convention: Convention,
    analyses: list[_Analysis],
    declared: list[subgroups.Declared],
) -> Iterator[Block]:
    """Outcomes first, the primary one before all."""
    yield from (analysis.block for analysis in analyses)
    if "territory" in sample.frame:
        found = subgroups.by_group(sample, design, convention, "territory", "territory", "territory")
        if found is not None:
            yield found[0]
    yield from (part.block for part in declared)
    if design.adjustment != "none" or design.strata:
        yield _raw(sample, design, convention)
    if "takeup" in sample.frame:
        yield _takeup_block(sample, design, convention)


def _raw(sample: Sample, design: ExperimentDesign, convention: Convention) -> Block:
    block = raw_difference(sample, design)
    return block if convention.sampling is None else convention.block(block.effects)


def _takeup_block(sample: Sample, design: ExperimentDesign, convention: Convention) -> Block:
    """Difference in take-up between the arms."""
    frame = sample.frame[sample.frame["takeup"].notna()]
    row = labels("itt", design.primary, "supporting").assign(outcome=sample.names.get("takeup", "takeup"))
    return convention.block(difference_in_means(frame, "takeup", row, arm_weights(frame)))


# before the draw ------------------------------------------------------------------------------------------------------


def _before_the_draw(sample: Sample, design: ExperimentDesign, convention: Convention) -> Block:
    """The effect on the outcome before the draw, without covariates, among which it may be."""
    frame = sample.frame[observed(sample.frame, "baseline_outcome")]
    compared = _compared(sample, design.model_copy(update={"adjustment": "none"}), frame)
    row = labels("placebo", design.primary, "supporting").assign(outcome=design.baseline_outcome)
    values = compared.rows["baseline_outcome"].to_numpy(dtype=float)
    return convention.block(compared.effects(values, row, None, convention.clusters))


def _placebo(block: Block, design: ExperimentDesign) -> Check:
    check, _ = placebo_check(design, str(design.baseline_outcome), "measured before the draw", lambda: block)
    return check


# who took part because of the draw ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Complied:
    """Effects on compliers, who they are, and how strong the draw was.

    Attributes:
        effects: one row an outcome.
        shares: take-up by arm, and kinds of people.
        profile: means of covariates among compliers.
        column: the evaluator's name of take-up.
        lost: rows with the primary outcome whose take-up is not known.
    """

    effects: pd.DataFrame
    shares: pd.DataFrame
    profile: pd.DataFrame
    column: str
    lost: int

    @classmethod
    def of(cls, sample: Sample, design: ExperimentDesign, convention: Convention) -> _Complied:
        pairs = outcomes_of(design)
        found = [_complier(sample, design, convention, column, outcome) for column, outcome in pairs]
        level = design.inference.level
        known = sample.frame[observed(sample.frame, pairs[0][0])]
        asked = known[known["takeup"].notna()]
        return cls(
            effects=pd.DataFrame([part.row(level) for part in found if part is not None]),
            shares=compliance.shares(asked, arm_weights(asked)),
            profile=_profile(sample, design, asked, convention),
            column=sample.names.get("takeup", "takeup"),
            lost=len(known) - len(asked),
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        tables = {"compliers": self.shares}
        tables |= {"complier_effects": self.effects} if len(self.effects) else {}
        return tables | ({"complier_profile": self.profile} if len(self.profile) else {})

    def notes(self) -> Iterator[str]:
        if not len(self.effects):
            yield "Nobody took part, or everybody did: there is no effect on compliers."
            return
        yield from compliance.notes(self.effects, self.shares, self.lost)

    def checks(self) -> tuple[Check, ...]:
        """The strength of the draw as an instrument for taking part."""
        if not len(self.effects) or not np.isfinite(self.effects["first_stage_f"].iloc[0]):
            return ()
        first = self.effects.iloc[0]
        detail = f"the draw changes take-up by {first['first_stage']:.3f}"
        return (measured("compliance.first_stage_f", float(first["first_stage_f"]), detail, self.column),)


def _complier(
    sample: Sample, design: ExperimentDesign, convention: Convention, column: str, outcome: Outcome
) -> compliance.ComplierEffect | None:
    frame = sample.frame[observed(sample.frame, column) & sample.frame["takeup"].notna().to_numpy()]
    compared = _compared(sample, design, frame)
    row = labels("complier", outcome, role_of(outcome))
    values, took = (compared.rows[name].to_numpy(dtype=float) for name in (column, "takeup"))
    return compliance.complier_effect(compared, values, took, row, convention)


def _profile(sample: Sample, design: ExperimentDesign, frame: pd.DataFrame, convention: Convention) -> pd.DataFrame:
    """Of all covariates, on the rows that know them all."""
    matrix = model_matrix(frame, sample.names, all_levels=True)
    if not matrix.labels:
        return pd.DataFrame()
    known = np.isfinite(matrix.matrix).all(axis=1)
    plain = design.model_copy(update={"adjustment": "none"})
    compared = _compared(sample, plain, frame[known])
    complete = model_matrix(compared.rows, sample.names, all_levels=True)
    took = compared.rows["takeup"].to_numpy(dtype=float)
    columns = list(zip(complete.labels, complete.matrix.T, strict=True))
    return compliance.profile(compared, columns, took, convention)


# what a reader must know ----------------------------------------------------------------------------------------------


def _flow(rows: int, compared: Comparison | Pairs) -> tuple[FlowStep, ...]:
    """Rows of pairs that lack an arm leave the analysis of the primary outcome."""
    if not isinstance(compared, Pairs) or not compared.incomplete:
        return ()
    left = len(compared.rows)
    reason = f"{compared.incomplete} pairs lack an arm"
    return (FlowStep(step="incomplete_pairs", dropped=rows - left, left=left, reason=reason),)


def _subgroup_tables(
    sample: Sample, design: ExperimentDesign, convention: Convention, declared: list[subgroups.Declared]
) -> dict[str, pd.DataFrame]:
    tables = {}
    if declared:
        adjustment, level = design.inference.adjustment, design.inference.level
        tables["subgroup_tests"] = subgroups.declared_table(declared, adjustment)
        tables["subgroup_effects"] = subgroups.level_table(declared, adjustment, level)
    searched = subgroups.explored(sample, design, convention)
    return tables if searched is None else {**tables, "exploratory_subgroups": searched}


def _notes(
    sample: Sample, design: ExperimentDesign, primary: _Analysis, declared: list[subgroups.Declared]
) -> Iterator[str]:
    frame = sample.frame
    if primary.compared.left_out:
        yield f"Left out because they add nothing to earlier columns: {', '.join(primary.compared.left_out)}."
    if "territory" in frame:
        yield from _territory_notes(design, frame)
    for part in declared:
        if part.missing:
            yield f"{part.missing} rows without a value of {part.column} count in the headline only."
        if part.one_sided:
            yield f"No effect for {part.column} = {', '.join(part.one_sided)}: fewer than two units in an arm."
    if "stratum" in frame and design.strata_effects == "fixed_effects":
        yield from _strata_notes(frame)
    if isinstance(design.probability, str):
        yield "Units are weighted by one over the known probability of the arm they are in."


def _territory_notes(design: ExperimentDesign, frame: pd.DataFrame) -> Iterator[str]:
    if frame["territory"].isna().any():
        yield f"{int(frame['territory'].isna().sum())} rows without a territory count in the headline only."
    one_sided = with_both_arms(design, frame, "territory")[1]
    if one_sided:
        yield f"No effect for territories with fewer than two units in an arm: {', '.join(one_sided)}."


def _strata_notes(frame: pd.DataFrame) -> Iterator[str]:
    share = frame.groupby("stratum", observed=True)["treated"].mean()
    if share.max() - share.min() > _SHARE_DIFFERENCE and "probability" not in frame:
        yield (
            f"Between {share.min():.0%} and {share.max():.0%} of a stratum are treated: the effect is a mean over "
            "strata that gives most weight to large ones with equal arms."
        )
