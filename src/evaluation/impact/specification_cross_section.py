"""All specifications of matching, weighting or an experiment, sharing scores and matched sets."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evaluation.errors import EvaluationError
from evaluation.impact import experiment, matching, weighting
from evaluation.impact.cross_section import Block, outcomes_of, require_both_arms
from evaluation.impact.distances import Space
from evaluation.impact.matched_outcome import Case, outcome_block
from evaluation.impact.specification_sample import alone, sample_of

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.specifications import Specification

Outcome = Block | EvaluationError
Job = Callable[[], list[tuple[int, Outcome]]]
# What decides where units stand, and what is done after sets are formed.
_SPACE = ("distance", "score", "discard", "score_error")
_AFTER = {"adjustment", "conditional_variance", "inference", "specifications", "data"}


def jobs(sample: Sample, specifications: Sequence[Specification]) -> list[Job]:
    """Independent pieces of work, each for the specifications that share rows and covariates; see `specification_did`.

    Args:
        sample: of the design.
        specifications: all of one method, experiment, matching or weighting.
    """
    groups: dict[Hashable, list[int]] = {}
    for number, one in enumerate(specifications):
        exact = getattr(one.design, "exact", ())
        key = (one.choices.get("samples"), one.transform, one.design.covariates, exact)
        groups.setdefault(key, []).append(number)
    return [_job(sample, specifications, members) for members in groups.values()]


def _job(sample: Sample, specifications: Sequence[Specification], members: Sequence[int]) -> Job:
    def run() -> list[tuple[int, Outcome]]:
        own = sample_of(sample, specifications[members[0]])
        designs = {number: _one_outcome(alone(specifications[number])) for number in members}
        if designs[members[0]].method == "matching":
            return _matched(own, designs)
        return [(number, _estimated(own, design)) for number, design in designs.items()]

    return run


def _one_outcome(design: Any) -> Any:
    """Secondary outcomes are another question. The primary one keeps its canonical column only if it is the first."""
    first = design.outcomes[0].role == "primary"
    return design.model_copy(update={"outcomes": (design.primary,)}) if first else design


def _estimated(sample: Sample, design: Any) -> Outcome:
    estimator: Callable[..., Any] = experiment.estimate if design.method == "experiment" else weighting.estimate
    try:
        return _single(estimator(sample, design).blocks[0])
    except EvaluationError as error:
        return error


def _matched(sample: Sample, designs: dict[int, Any]) -> list[tuple[int, Outcome]]:
    spaces: dict[Hashable, Space | EvaluationError] = {}
    sets: dict[Hashable, Case | EvaluationError] = {}
    return [(number, _matched_effect(sample, design, spaces, sets)) for number, design in designs.items()]


def _matched_effect(
    sample: Sample,
    design: Any,
    spaces: dict[Hashable, Space | EvaluationError],
    sets: dict[Hashable, Case | EvaluationError],
) -> Outcome:
    """Where units stand is found once for each distance, and who is matched once for each way to match."""
    where = tuple(getattr(design, name) for name in _SPACE)
    if where not in spaces:
        spaces[where] = _kept(lambda: matching.place_units(sample, design))
    space = spaces[where]
    if isinstance(space, EvaluationError):
        return space
    who = design.model_dump_json(exclude=_AFTER)
    if who not in sets:
        sets[who] = _kept(lambda: _case(sample, design, space))
    case = sets[who]
    if isinstance(case, EvaluationError):
        return case
    made: Outcome = _kept(lambda: _single(outcome_block(replace(case, design=design), *outcomes_of(design)[0])))
    return made


def _case(sample: Sample, design: Any, space: Space) -> Case:
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    return Case(sample=sample, design=design, space=space, found=matching.form_sets(sample, space, design))


def _kept(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except EvaluationError as error:
        return error


def _single(block: Block) -> Block:
    """The first effect of a block; the headline stands there."""
    if len(block.effects) == 1:
        return block
    first = [True] + [False] * (len(block.effects) - 1)
    own = block.covariance
    kept = None if own is None else replace(own, matrix=own.matrix[:1, :1], df=own.df[:1])
    return replace(block, effects=block.effects.select(first), covariance=kept)
