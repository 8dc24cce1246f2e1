"""All specifications of a difference-in-differences, sharing tables, cells and averages.

* Specifications with the same rows, covariates and outcome read and sort the panel once.
* Of these, the ones with the same estimator have the union of their cells after treatment estimated once: comparisons,
  base periods and averages are then choices among influences that exist already. Cells before treatment are in no
  headline and are not estimated.
* Other estimators run once for all averages of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.errors import EvaluationError
from evaluation.impact import did_estimators
from evaluation.impact.did_assembly import group_time, plan, require_post, shares, skipped
from evaluation.impact.did_engine import Cell, Estimates, Panel, Sections, estimate_cells, sorted_by_cohort
from evaluation.impact.did_result import DidResult, assemble
from evaluation.impact.did_rows import as_grid, read_table, window
from evaluation.impact.effects import Effects
from evaluation.impact.specification_sample import alone, outcome_column, sample_of
from evaluation.settings.designs import BY_CELL

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.specifications import Specification

Outcome = Effects | EvaluationError
Job = Callable[[], list[tuple[int, Outcome]]]


def jobs(sample: Sample, specifications: Sequence[Specification]) -> list[Job]:
    """Independent pieces of work, each for the specifications that share a table.

    Args:
        sample: of the design.
        specifications: all of method did.

    Returns:
        Functions without arguments that return positions with their headline, or with why there is none.
    """
    groups: dict[Hashable, list[int]] = {}
    for number, one in enumerate(specifications):
        groups.setdefault(_table_key(one), []).append(number)
    return [_job(sample, specifications, members) for members in groups.values()]


def _table_key(one: Specification) -> Hashable:
    design = one.design
    return (one.choices.get("samples"), one.transform, design.covariates, design.panel, design.anticipation)


def _job(sample: Sample, specifications: Sequence[Specification], members: Sequence[int]) -> Job:
    def run() -> list[tuple[int, Outcome]]:
        own = sample_of(sample, specifications[members[0]])
        designs = {number: alone(specifications[number]) for number in members}
        by_cell = [number for number, design in designs.items() if _by_cell(design)]
        others = [number for number in members if number not in set(by_cell)]
        found = _shared_cells(own, {number: designs[number] for number in by_cell}) if by_cell else []
        return [*found, *_one_by_one(own, {number: designs[number] for number in others})]

    return run


def _by_cell(design: Any) -> bool:
    return design.estimator in BY_CELL and design.match is None and design.eligible is None


# comparisons by cohort and period -------------------------------------------------------------------------------------


def _shared_cells(sample: Sample, designs: dict[int, Any]) -> list[tuple[int, Outcome]]:
    """Headlines of designs that differ in estimator, comparison, base period and average only."""
    first = next(iter(designs.values()))
    try:
        read = as_grid(window(read_table(sample, outcome_column(first), first), first), first)
    except EvaluationError as error:
        return [(number, error) for number in designs]
    table = sorted_by_cohort(read)
    plain = isinstance(table, Panel) and table.means_suffice  # without covariates the three estimators are one
    by_estimator: dict[str, list[int]] = {}
    for number, design in designs.items():
        by_estimator.setdefault(BY_CELL[0] if plain else design.estimator, []).append(number)
    found: list[tuple[int, Outcome]] = []
    for estimator, members in by_estimator.items():
        found += _from_union(table, estimator, {number: designs[number] for number in members})
    return found


def _from_union(table: Panel | Sections, estimator: str, designs: dict[int, Any]) -> list[tuple[int, Outcome]]:
    plans: dict[Hashable, tuple[Cell, ...]] = {}
    for design in designs.values():
        plans.setdefault(_plan_key(design), tuple(cell for cell in plan(table, design) if cell.phase == "post"))
    union = list(dict.fromkeys(cell for cells in plans.values() for cell in cells))
    estimates = estimate_cells(table, union, estimator)
    whole: dict[Hashable, DidResult | EvaluationError] = {}
    found: list[tuple[int, Outcome]] = []
    for number, design in designs.items():
        key = (frozenset(plans[_plan_key(design)]), design.event_window)
        if key not in whole:
            whole[key] = _assembled(table, estimates, plans[_plan_key(design)], design)
        found.append((number, _headline(whole[key], design)))
    return found


def _plan_key(design: Any) -> Hashable:
    """After treatment the base is the same, varying or universal."""
    return (design.comparison, design.anticipation)


def _assembled(
    table: Panel | Sections, union: Estimates, cells: Sequence[Cell], design: Any
) -> DidResult | EvaluationError:
    """The averages of some of the cells."""
    wanted = set(cells)
    mask = np.array([cell in wanted for cell in union.cells], dtype=bool)
    some = replace(
        union,
        cells=tuple(cell for cell in union.cells if cell in wanted),
        estimate=union.estimate[mask],
        influence=union.influence.chosen(mask),
        missed={cell: reason for cell, reason in union.missed.items() if cell in wanted},
    )
    try:
        require_post(table, some)
        return assemble(
            group_time(table, some),
            shares(table, some),
            aggregate=design.aggregate,
            skipped=skipped(table, some.missed),
            flow=(),
            notes=(),
            event_window=design.event_window,
        )
    except EvaluationError as error:
        return error


def _headline(result: DidResult | EvaluationError, design: Any) -> Outcome:
    if isinstance(result, EvaluationError):
        return result
    return result.overall.get(design.aggregate, result.headline)


# other estimators -----------------------------------------------------------------------------------------------------


def _one_by_one(sample: Sample, designs: dict[int, Any]) -> list[tuple[int, Outcome]]:
    """Each distinct estimation once; averages that it offers are chosen afterwards."""
    done: dict[Hashable, DidResult | EvaluationError] = {}
    found: list[tuple[int, Outcome]] = []
    for number, design in designs.items():
        key = design.model_dump_json(exclude={"aggregate", "specifications", "data"})
        if key not in done:
            done[key] = _estimated(sample, design)
        found.append((number, _headline(done[key], design)))
    return found


def _estimated(sample: Sample, design: Any) -> DidResult | EvaluationError:
    try:
        return did_estimators.estimate(sample, design, outcome=outcome_column(design))
    except EvaluationError as error:
        return error
