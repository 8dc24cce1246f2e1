"""A study that is being planned: from a file, or like an evaluation that exists. Nothing is written."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from evaluation import store
from evaluation.errors import ParametersError, ProblemsError
from evaluation.settings.power import PowerPlan, read_plan
from evaluation.settings.problems import Origin, from_validation

if TYPE_CHECKING:
    from evaluation.impact.power.planning import Answer
    from evaluation.impact.power.simulation import Simulation

COMMAND_LINE = "the command line"


def answer(what: str, changes: Mapping[str, Any]) -> "Answer":
    """The answer to a plan.

    Args:
        what: a YAML or JSON file that holds a plan, or the id of an evaluation, whose data are the pilot.
        changes: keys of the plan that replace what the file says or the pilot shows.

    Raises:
        EvaluationError: whatever is wrong with the plan, the design or the data, or no study that does it.
    """
    from evaluation.impact.power import planning

    if Path(what).is_file():
        plan = read_plan(Path(what))
        return planning.answer(_changed(plan, changes) if changes else plan)
    if not store.is_slug(what):
        raise ParametersError(
            code="E-CLI-010",
            what="There is no such plan.",
            found=repr(what),
            expected="a YAML file with a plan, or the id of an evaluation of params.yaml",
            fix="docs/power.md has plans to start from",
        )
    return _like(what, changes)


def _like(evaluation_id: str, changes: Mapping[str, Any]) -> "Answer":
    """The answer for a study like an evaluation, drawn from its data where a simulation is asked for."""
    from evaluation import sample
    from evaluation.impact.power import pilot, planning
    from evaluation.settings.params import read_design

    design = read_design(evaluation_id)
    made = sample.prepare(design)
    wanted = {key: value for key, value in changes.items() if key != "simulate"}
    try:
        plan, study = pilot.plan_like(made, design, wanted)
    except ValidationError as error:
        raise _refused(error, dict(wanted)) from error
    found = planning.answer(plan, study)
    if "simulate" not in changes:
        return found
    return replace(found, simulation=_drawn(made, design, found, changes["simulate"]))


def _drawn(made: Any, design: Any, found: "Answer", simulate: Mapping[str, Any]) -> "Simulation":
    from evaluation.impact.power.simulation import resampled

    effect = abs(found.plan.effect) if found.plan.effect is not None else found.planned.mde
    n = found.planned.clusters or found.planned.n
    return resampled(made, design, effect, n=n, repetitions=simulate["repetitions"])


def _changed(plan: PowerPlan, changes: Mapping[str, Any]) -> PowerPlan:
    fields = plan.model_dump(exclude_unset=True) | dict(changes)
    try:
        return PowerPlan.model_validate(fields)
    except ValidationError as error:
        raise _refused(error, fields) from error


def _refused(error: ValidationError, raw: Mapping[str, Any]) -> ProblemsError:
    return ProblemsError(from_validation(error, model=PowerPlan, raw=raw, origin=Origin(file=COMMAND_LINE)))
