"""Matching: each treated unit against the untreated units that resemble it most.

Design and outcome are apart: sets are formed from covariates alone, once for all outcomes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evaluation.errors import DataError
from evaluation.impact.checks import Check
from evaluation.impact.cross_section import Block, CrossSection, outcomes_of, raw_difference, require_both_arms
from evaluation.impact.distances import Space, place_units
from evaluation.impact.hidden_factor import hidden_factor
from evaluation.impact.matched import Matches
from evaluation.impact.matched_evidence import notes, own_checks, own_flow, own_tables
from evaluation.impact.matched_groups import group_blocks
from evaluation.impact.matched_outcome import Case, outcome_block
from evaluation.impact.matched_placebo import placebo
from evaluation.impact.pairing import form_sets, match

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import MatchingDesign

__all__ = ["Case", "Space", "estimate", "estimate_with_evidence", "form_sets", "match", "matched_case", "place_units"]


def estimate(sample: Sample, design: MatchingDesign) -> CrossSection:
    """Average effect on the treated (att), on the comparison units (atc) or on everybody (ate) by matching.

    Sets: see `settings.designs.MatchingDesign`. Effects: difference of the weighted means of the matched sample, a
    regression on it, or differences of units and their partners corrected for the distance that is left.
    Standard errors: without replacement the regression of the matched sample with matched sets as clusters (CR1; Abadie
    and Spiess 2022), subclasses and cells likewise; with replacement, and for corrected differences, Abadie and Imbens
    (2006, 2011), with clusters the sum of influences by cluster, which is an approximation; regressions on a sample
    matched with replacement HC3, with clusters CR2. Sampling weights weigh the units whose effect is wanted.

    Args:
        sample: one row a unit; covariates complete.
        design: how sets are formed, and what is done to the outcome.

    Returns:
        Effects (all outcomes, territories and subgroups, then the raw difference), weights after matching, score, what
        was left out, and notes.

    Raises:
        DataError: an arm is empty, no unit finds a partner, covariates separate the arms, or the sets cannot be formed.
        ParametersError: standard errors that do not go with the sets.
    """
    return _effects(matched_case(sample, design))


def estimate_with_evidence(sample: Sample, design: MatchingDesign) -> CrossSection:
    """`estimate`, with checks and tables of the matched sample."""
    case = matched_case(sample, design)
    found = _effects(case)
    placebo_check, blocks = placebo_of(case)
    hidden = hidden_factor(sample, design)
    return replace(
        found,
        blocks=(*found.blocks, *blocks),
        checks=(*own_checks(case, hidden), placebo_check),
        tables=own_tables(case, hidden),
    )


def placebo_of(case: Case) -> tuple[Check, tuple[Block, ...]]:
    """The same matching without the baseline outcome among the covariates, and its effect on that outcome."""
    return placebo(case, lambda sample, design: outcome_block(matched_case(sample, design), *outcomes_of(design)[0]))


def matched_case(sample: Sample, design: MatchingDesign) -> Case:
    """Who was matched with whom, before any outcome is looked at."""
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    space = place_units(sample, design)
    case = Case(sample=sample, design=design, space=space, found=form_sets(sample, space, design))
    _require_matches(case)
    return case


def _effects(case: Case) -> CrossSection:
    sample, design, space = case.sample, case.design, case.space
    blocks = [outcome_block(case, *pair) for pair in outcomes_of(design)]
    groups, about_groups = group_blocks(case)
    return CrossSection(
        estimand=design.estimand,
        blocks=(*blocks, *groups, raw_difference(sample, design)),
        balance_weights=case.sets().weights(),
        score=space.score,
        notes=(*notes(case), *about_groups),
        flow=own_flow(case),
    )


def _require_matches(case: Case) -> None:
    found, design = case.found, case.design
    some = found.matched.any() if isinstance(found, Matches) else (found.codes >= 0).any()
    if not some:
        raise DataError(
            code="E-IMP-053",
            what="no unit found a partner",
            found=f"{len(case.treated)} units, caliper {design.caliper}, exact {', '.join(design.exact) or 'none'}",
            expected="at least one matched pair",
            fix="widen `caliper`, or leave out columns of `exact`",
        )
