"""Rows that enter a difference-in-differences, sorted and checked, and what was dropped on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, covariate_columns, model_matrix
from evaluation.impact.did_grid import Grid, constant_if_so, counted, read_grid
from evaluation.sample import FlowStep

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows sorted by unit and period, and what was dropped on the way.

    Attributes:
        ids: ids of units, sorted.
        unit: (N,) positions in `ids`.
        period: (N,).
        cohort: (N,) first treated period, infinite = never.
        y: (N,) outcome.
        design: (N, p) constant and covariates.
        weight: (N,) positive.
        names: p names of the columns of `design`.
        outcome: what the evaluator calls the outcome.
    """

    ids: pd.Index
    unit: Array
    period: Array
    cohort: Array
    y: Array
    design: Array
    weight: Array
    names: tuple[str, ...]
    outcome: str
    flow: tuple[FlowStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def periods(self) -> Array:
        """Distinct periods, increasing."""
        return np.unique(self.period)

    def keep(self, mask: Array, step: str, reason: str) -> Rows:
        """The rows where `mask` is True; a step is counted only if it drops something."""
        if mask.all():
            return self
        chosen = {name: getattr(self, name)[mask] for name in ("unit", "period", "cohort", "y", "design", "weight")}
        return replace(self, **chosen, flow=(*self.flow, counted(mask, self.cohort, step, reason)))

    def keep_before(self, end: float, step: str, reason: str) -> Rows:
        """The rows of periods before `end`."""
        return self.keep(self.period < end, step, reason)


def read_rows(sample: Sample, outcome: str, design: DidDesign) -> Rows:
    """All rows with an outcome and a positive weight, sorted by unit and period.

    Raises:
        DataError: bad weights; a unit that changes its cohort or has a period twice.
    """
    _require_some_rows(sample.frame)
    frame, unit, ids = _sorted(sample.frame)
    covariates = model_matrix(frame, sample.names, columns=covariate_columns(frame))
    _require_known(covariates)
    rows = Rows(
        ids=ids,
        unit=unit,
        period=frame["period"].to_numpy(dtype=float),
        cohort=frame["cohort"].to_numpy(dtype=float, na_value=np.inf),
        y=frame[outcome].to_numpy(dtype=float),
        design=np.column_stack([np.ones(len(frame)), covariates.matrix]),
        weight=frame["weight"].to_numpy(dtype=float),
        names=("constant", *covariates.labels),
        outcome=sample.names.get(outcome, outcome),
    )
    _require_weights(rows.weight, sample.names.get("weight", "weight"))
    _require_one_cohort(rows, sample.names)
    if design.panel != "repeated_cross_section":
        _require_one_row_a_period(rows, sample.names)
    rows = rows.keep(np.isfinite(rows.y), "missing_outcome", f"{rows.outcome} is missing or infinite")
    return rows.keep(rows.weight > 0, "zero_weight", "the weight is zero")


def _sorted(frame: pd.DataFrame) -> tuple[pd.DataFrame, Array, pd.Index]:
    """Rows by unit and period, positions of their units among the sorted ids, and the ids."""
    unit, ids = pd.factorize(frame["unit"], sort=True)
    period = frame["period"].to_numpy()
    step = np.diff(unit)
    if ((step > 0) | ((step == 0) & (np.diff(period) > 0))).all():
        return frame, unit, pd.Index(ids)
    order = np.lexsort((period, unit))
    return frame.iloc[order], unit[order], pd.Index(ids)


def read_table(sample: Sample, outcome: str, design: DidDesign) -> Rows | Grid:
    """A grid if every unit has every period, rows otherwise; what `read_rows` refuses is refused."""
    grid = None if design.panel == "repeated_cross_section" else read_grid(sample, outcome)
    return read_rows(sample, outcome, design) if grid is None else grid


def window(table: Rows | Grid, design: DidDesign) -> Rows | Grid:
    """The units and periods that say something about an effect, as in R did 2.5.1."""
    _require_two_periods(table)
    lead, periods = design.anticipation, table.periods
    table = replace(table, cohort=np.where(table.cohort > periods[-1] + lead, np.inf, table.cohort))
    late = table.cohort > periods[0] + lead
    table = table.keep(late, "treated_from_the_start", "treated in the first period: no change to see")
    table = _with_comparison(table, lead)
    if design.panel == "balanced":
        whole = complete(table)
        table = table.keep(whole, "unbalanced", "the unit lacks a period, and the panel is to be balanced")
        _require_units_left(table)
        table = _with_comparison(table, lead)
    _require_treated(table)
    return table


def _with_comparison(table: Rows | Grid, lead: int) -> Rows | Grid:
    """Where nobody is never treated, the last cohort is the comparison until it is treated."""
    if not len(table.cohort) or np.isinf(table.cohort).any():
        return table
    last = table.cohort.max()
    note = (
        f"nobody is never treated: cohort {last:.0f} is the comparison, periods from {last - lead:.0f} on are left out"
    )
    kept = table.keep_before(last - lead, "no_comparison", "everybody is treated in this period")
    return replace(kept, cohort=np.where(kept.cohort == last, np.inf, kept.cohort), notes=(*kept.notes, note))


def complete(table: Rows | Grid) -> Array:
    """True for rows (or, in a grid, units) of units that have every period."""
    if isinstance(table, Grid):
        return np.ones(len(table.cohort), dtype=bool)
    return np.asarray(np.bincount(table.unit)[table.unit] == len(table.periods))


def as_grid(table: Rows | Grid, design: DidDesign) -> Rows | Grid:
    """The table as a grid where each unit has every period, so that changes of units can be compared."""
    if isinstance(table, Grid):
        return _with_note(table, design)
    if design.panel == "repeated_cross_section" or not complete(table).all():
        return table
    shape = (-1, len(table.periods))
    grid = Grid(
        ids=table.ids[table.unit.reshape(shape)[:, 0]],
        cohort=table.cohort.reshape(shape)[:, 0],
        periods=table.periods,
        y=table.y.reshape(shape),
        design=constant_if_so(table.design.reshape(*shape, table.design.shape[1])),
        weight=constant_if_so(table.weight.reshape(shape)),
        names=table.names,
        outcome=table.outcome,
        flow=table.flow,
        notes=table.notes,
    )
    return _with_note(grid, design)


def _with_note(grid: Grid, design: DidDesign) -> Grid:
    """What a reader of `panel: unbalanced` must know."""
    whole = "no unit lacks a period: estimated as a balanced panel"
    return replace(grid, notes=(*grid.notes, whole)) if design.panel == "unbalanced" else grid


# refusals -------------------------------------------------------------------------------------------------------------


def _require_some_rows(frame: pd.DataFrame) -> None:
    if not len(frame):
        raise DataError(
            code="E-IMP-094",
            what="there is no row to compare changes in",
            found="an empty sample",
            fix="look at the row accounting: `evaluation check data` says which step dropped them",
        )


def _require_known(covariates: Covariates) -> None:
    unknown = ~np.isfinite(covariates.matrix)
    if unknown.any():
        named = [covariates.labels[j] for j in np.flatnonzero(unknown.any(axis=0))]
        raise DataError(
            code="E-IMP-093",
            what="a covariate is missing or infinite in some rows",
            where=", ".join(named),
            found=f"{int(unknown.any(axis=1).sum())} rows",
            fix="drop these rows, with a reason, before the estimate",
        )


def _require_weights(weight: Array, name: str) -> None:
    if not (np.isfinite(weight).all() and (weight >= 0).all() and (weight > 0).any()):
        raise DataError(
            code="E-IMP-033",
            what="weights are missing, negative or all zero",
            where=name,
            found=f"from {np.min(weight):.6g} to {np.max(weight):.6g}",
            expected="finite numbers, none negative, some positive",
        )


def _require_one_cohort(rows: Rows, names: Mapping[str, str]) -> None:
    moved = (np.diff(rows.unit) == 0) & (rows.cohort[1:] != rows.cohort[:-1])
    if moved.any():
        raise DataError(
            code="E-IMP-034",
            what="a unit changes the period in which it is treated first",
            where=names.get("cohort", "cohort"),
            found=f"units {_first_units(rows, moved)}",
            expected="one first treated period for each unit, the same in all its rows",
        )


def _require_one_row_a_period(rows: Rows, names: Mapping[str, str]) -> None:
    twice = (np.diff(rows.unit) == 0) & (np.diff(rows.period) == 0)
    if twice.any():
        raise DataError(
            code="E-IMP-035",
            what="a unit has a period more than once",
            where=f"{names.get('unit', 'unit')}, {names.get('period', 'period')}",
            found=f"units {_first_units(rows, twice)}",
            expected="one row for each unit and period",
            fix="if each period has other people, set panel: repeated_cross_section",
        )


def _first_units(rows: Rows, later_row: Array) -> list[Any]:
    return list(rows.ids[np.unique(rows.unit[1:][later_row])[:3]])


def _require_two_periods(table: Rows | Grid) -> None:
    periods = table.periods
    if len(periods) < 2:
        raise DataError(
            code="E-IMP-036",
            what="a difference-in-differences needs at least two periods",
            found=f"{len(periods)} with an outcome",
        )


def _require_units_left(table: Rows | Grid) -> None:
    if not len(table.cohort):
        raise DataError(
            code="E-IMP-037",
            what="no unit has all periods",
            fix="set panel: unbalanced, or leave out the periods that most units lack",
        )


def _require_treated(table: Rows | Grid) -> None:
    if not np.isfinite(table.cohort).any():
        raise DataError(
            code="E-IMP-038",
            what="nobody starts to be treated within the periods while others are not yet treated",
            found="; ".join([*table.notes, *(f"{step.dropped} rows: {step.reason}" for step in table.flow)])
            or "no cohort",
            expected="a cohort with a period before and a comparison",
        )
