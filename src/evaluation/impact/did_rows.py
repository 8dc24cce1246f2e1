"""Rows that enter a difference-in-differences, sorted and checked, and what was dropped on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.covariates import covariate_columns, model_matrix
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
        return replace(self, **chosen, flow=(*self.flow, _counted(mask, self.cohort, step, reason)))

    def keep_before(self, end: float, step: str, reason: str) -> Rows:
        """The rows of periods before `end`."""
        return self.keep(self.period < end, step, reason)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A balanced panel: units by periods, in which nothing is missing.

    Attributes:
        ids: (n,) ids of units, sorted.
        cohort: (n,) first treated period, infinite = never.
        periods: (T,) increasing.
        y: (n, T) outcome.
        design: (n, T or 1, p) constant and covariates, one column of time if they never change.
        weight: (n, T or 1) positive, likewise.
        names: p names of the columns of `design`.
        outcome: what the evaluator calls the outcome.
    """

    ids: pd.Index
    cohort: Array
    periods: Array
    y: Array
    design: Array
    weight: Array
    names: tuple[str, ...]
    outcome: str
    flow: tuple[FlowStep, ...] = ()
    notes: tuple[str, ...] = ()

    def keep(self, mask: Array, step: str, reason: str) -> Grid:
        """The units where `mask` is True; a step, counted in rows, only if it drops something."""
        if mask.all():
            return self
        chosen = {name: getattr(self, name)[mask] for name in ("ids", "cohort", "y", "design", "weight")}
        counted = _counted(mask, self.cohort, step, reason, rows=len(self.periods))
        return replace(self, **chosen, flow=(*self.flow, counted))

    def keep_before(self, end: float, step: str, reason: str) -> Grid:
        """The periods before `end`."""
        mask = self.periods < end
        if mask.all():
            return self
        counted = _counted(np.tile(mask, len(self.cohort)), self.cohort.repeat(len(mask)), step, reason)
        moving = {
            name: getattr(self, name)[:, mask] for name in ("design", "weight") if getattr(self, name).shape[1] > 1
        }
        return replace(self, periods=self.periods[mask], y=self.y[:, mask], **moving, flow=(*self.flow, counted))


def _counted(mask: Array, cohort: Array, step: str, reason: str, rows: int = 1) -> FlowStep:
    treated = np.isfinite(cohort)
    return FlowStep(
        step=step,
        dropped=rows * int((~mask).sum()),
        left=rows * int(mask.sum()),
        reason=reason,
        dropped_treated=rows * int((~mask & treated).sum()),
        dropped_comparison=rows * int((~mask & ~treated).sum()),
    )


def read_rows(sample: Sample, outcome: str, design: DidDesign) -> Rows:
    """All rows with an outcome and a positive weight, sorted by unit and period.

    Raises:
        DataError: bad weights; a unit that changes its cohort or has a period twice.
    """
    frame, unit, ids = _sorted(sample.frame)
    covariates = model_matrix(frame, sample.names, columns=covariate_columns(frame))
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
    rows = rows.keep(np.isfinite(rows.y), "missing_outcome", f"{rows.outcome} is missing")
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
    grid = None if design.panel == "repeated_cross_section" else _read_grid(sample, outcome)
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
        design=_constant_if_so(table.design.reshape(*shape, table.design.shape[1])),
        weight=_constant_if_so(table.weight.reshape(shape)),
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


# grids ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layout:
    """Where each of N rows stands in a table of n units by T periods.

    Attributes:
        ids: (n,) units, sorted.
        periods: (T,) increasing.
        unit: (N,) positions of the rows' units; None for rows that are sorted by unit and period.
        place: (N,) positions of the rows in the table read row by row; None for sorted rows.
    """

    ids: pd.Index
    periods: Array
    unit: Array | None = None
    place: Array | None = None

    def table(self, values: Array) -> Array:
        """(n, T) values of the rows; a view where the rows are sorted."""
        shape = (len(self.ids), len(self.periods))
        if self.place is None:
            return values.reshape(shape)
        out = np.empty(len(values))
        out[self.place] = values
        return out.reshape(shape)

    @property
    def first_rows(self) -> Array:
        """(n,) position of one row of each unit."""
        if self.unit is None:
            return np.arange(0, len(self.ids) * len(self.periods), len(self.periods))
        first = np.empty(len(self.ids), dtype=np.intp)
        first[self.unit] = np.arange(len(self.unit))
        return first

    def of_units(self, values: Array) -> Array | None:
        """(n,) values that never change within a unit, or None if they do."""
        if self.unit is None:
            table = self.table(values)
            return table[:, 0].copy() if (table == table[:, :1]).all() else None
        first = np.empty(len(self.ids))
        first[self.unit] = values
        return first if np.array_equal(first[self.unit], values) else None


def _read_grid(sample: Sample, outcome: str) -> Grid | None:
    """All rows as a grid, or None where they are none or not all usable: then the rows are looked at one by one."""
    frame = sample.frame
    layout = _sorted_layout(frame) or _shuffled_layout(frame)
    y, weight = (frame[name].to_numpy(dtype=float) for name in (outcome, "weight"))
    if layout is None or not (np.isfinite(y.sum()) and np.isfinite(weight.sum()) and weight.min() > 0):
        return None
    cohort = layout.of_units(frame["cohort"].to_numpy(dtype=float, na_value=np.inf))
    if cohort is None:
        return None
    design, names = _design(layout, sample)
    return Grid(
        ids=layout.ids,
        cohort=cohort,
        periods=layout.periods,
        y=layout.table(y),
        design=design,
        weight=_weight(layout, weight),
        names=names,
        outcome=sample.names.get(outcome, outcome),
    )


def _design(layout: _Layout, sample: Sample) -> tuple[Array, tuple[str, ...]]:
    """(n, T, 1 + k) constant and covariates, (n, 1, 1 + k) if none ever changes, and their names."""
    frame, columns = sample.frame, covariate_columns(sample.frame)
    fixed = all(layout.of_units(_numbers(frame[column])) is not None for column in columns)
    used = frame[list(columns)].iloc[layout.first_rows] if fixed else frame
    covariates = model_matrix(used, sample.names, columns=columns)
    shape = (len(layout.ids), 1 if fixed else len(layout.periods), 1 + len(covariates.labels))
    design = np.ones(shape)
    for j, column in enumerate(covariates.matrix.T, start=1):
        design[:, :, j] = column[:, None] if fixed else layout.table(column)
    return design, ("constant", *covariates.labels)


def _numbers(values: pd.Series[Any]) -> Array:
    """Numbers that differ where values differ."""
    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(pd.factorize(values)[0], dtype=float)


def _weight(layout: _Layout, weight: Array) -> Array:
    if weight.min() == weight.max():
        return np.ones((len(layout.ids), 1))
    return _constant_if_so(layout.table(weight))


def _constant_if_so(values: Array) -> Array:
    """One column of time if all are equal: covariates that never change need one nuisance fit, not one a period."""
    return values[:, :1] if (values == values[:, :1]).all() else values


def _sorted_layout(frame: pd.DataFrame) -> _Layout | None:
    """The layout of rows that stand in the order of the grid, seen in one pass; None if they do not."""
    unit, period = frame["unit"], frame["period"].to_numpy()
    if not pd.api.types.is_numeric_dtype(unit) or not len(unit):
        return None
    ids = unit.to_numpy()
    width = int(np.searchsorted(ids, ids[0], side="right"))
    if not width or len(ids) % width:
        return None
    units, times = ids.reshape(-1, width), period.reshape(-1, width)
    ordered = (np.diff(units[:, 0]) > 0).all() and (np.diff(times[0]) > 0).all()
    if not (ordered and (units == units[:, :1]).all() and (times == times[0]).all()):
        return None
    return _Layout(ids=pd.Index(units[:, 0]), periods=times[0].astype(float))


def _shuffled_layout(frame: pd.DataFrame) -> _Layout | None:
    """The layout of rows in any order; None if a unit lacks a period or has one twice."""
    unit, ids = _codes(frame["unit"])
    time, periods = _codes(frame["period"])
    place = unit * len(periods) + time
    filled = np.zeros(len(ids) * len(periods), dtype=bool)
    filled[place] = True
    if len(place) != len(filled) or not filled.all():
        return None
    return _Layout(ids=ids, periods=periods.to_numpy(dtype=float), unit=unit, place=place)


def _codes(values: pd.Series[Any]) -> tuple[Array, pd.Index]:
    """Positions among the sorted distinct values, and these; integers in a narrow range need no hashing."""
    if values.dtype == np.dtype("int64") and len(values):
        numbers = values.to_numpy()
        low, high = int(numbers.min()), int(numbers.max())
        if high - low <= 4 * len(numbers) + 1024:
            return _codes_in_range(numbers - low, low)
    codes, ids = pd.factorize(values, sort=True)
    return codes, pd.Index(ids)


def _codes_in_range(numbers: Array, low: int) -> tuple[Array, pd.Index]:
    present = np.zeros(int(numbers.max()) + 1, dtype=bool)
    present[numbers] = True
    rank = np.cumsum(present) - 1
    return rank[numbers], pd.Index(np.flatnonzero(present) + low)


# refusals -------------------------------------------------------------------------------------------------------------


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
