"""An outcome that the treatment cannot have moved: the one measured before it, matched without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from evaluation.impact import checks
from evaluation.impact.checks import Check
from evaluation.impact.covariates import covariate_columns
from evaluation.impact.cross_section import Block
from evaluation.impact.matched_outcome import Case
from evaluation.impact.placebo_outcome import PLACEBO, not_named, placebo_check


def placebo(case: Case, estimate: Callable[[Any, Any], Block]) -> tuple[Check, tuple[Block, ...]]:
    """The effect on the baseline outcome, which should be none, and its row of effects.

    Args:
        case: of the evaluation.
        estimate: headline of a sample and a design.
    """
    design = case.design
    if design.baseline_outcome is None or "baseline_outcome" not in case.sample.frame:
        return not_named(), ()
    others = tuple(column for column in design.covariates if column != design.baseline_outcome)
    if not others and design.has_score and design.distance != "score":
        return checks.not_run(PLACEBO, "without the baseline outcome no covariate is left to match on"), ()
    name = design.baseline_outcome
    check, block = placebo_check(
        design, name, "matched without it", lambda: _relabelled(estimate(*_without_baseline(case, others)), name)
    )
    return check, () if block is None else (block,)


def _without_baseline(case: Case, others: tuple[str, ...]) -> tuple[Any, Any]:
    """The sample whose outcome is the baseline, and the design without it; the other covariates keep their order."""
    sample, design = case.sample, case.design
    frame = sample.frame[sample.frame["baseline_outcome"].notna()].reset_index(drop=True)
    columns = [f"covariate_{design.covariates.index(column) + 1}" for column in others]
    renamed = {column: f"covariate_{k}" for k, column in enumerate(columns, start=1)}
    gone = [column for column in covariate_columns(frame) if column not in renamed]
    primary = f"outcome_{design.outcomes.index(design.primary) + 1}"
    outcomes = [column for column in frame if str(column).startswith("outcome_")]
    frame = frame.drop(columns=[*gone, *outcomes]).rename(columns=renamed)
    names = {new: sample.names.get(old, old) for old, new in renamed.items()}
    kept = {name: owner for name, owner in sample.names.items() if not name.startswith(("covariate_", "outcome_"))}
    part = replace(
        sample,
        frame=frame.assign(outcome_1=frame["baseline_outcome"]),
        names=kept | names | {"outcome_1": sample.names.get(primary, primary)},
    )
    return part, design.model_copy(update=_changes(case, others))


def _changes(case: Case, others: tuple[str, ...]) -> dict[str, Any]:
    design = case.design
    named = {
        key: tuple(each for each in getattr(design, key) if each.column in others)
        for key in ("covariate_calipers", "cutpoints")
    }
    categorical = tuple(column for column in design.categorical if column in others)
    return {"covariates": others, "categorical": categorical, "outcomes": (design.primary,), **named}


def _relabelled(block: Block, owner: str) -> Block:
    labels = block.effects.labels.assign(term="placebo", outcome=owner, role="supporting")
    return replace(block, effects=replace(block.effects, labels=labels))
