"""A balanced panel as tables of units by periods, read in one pass where all rows can be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact.covariates import covariate_columns, model_matrix
from evaluation.impact.within import block_size
from evaluation.sample import FlowStep

if TYPE_CHECKING:
    from evaluation.sample import Sample

Array = np.ndarray


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
        step_taken = counted(mask, self.cohort, step, reason, rows=len(self.periods))
        return replace(self, **chosen, flow=(*self.flow, step_taken))

    def keep_before(self, end: float, step: str, reason: str) -> Grid:
        """The periods before `end`."""
        mask = self.periods < end
        if mask.all():
            return self
        step_taken = counted(np.tile(mask, len(self.cohort)), self.cohort.repeat(len(mask)), step, reason)
        moving = {
            name: getattr(self, name)[:, mask] for name in ("design", "weight") if getattr(self, name).shape[1] > 1
        }
        return replace(self, periods=self.periods[mask], y=self.y[:, mask], **moving, flow=(*self.flow, step_taken))


def counted(mask: Array, cohort: Array, step: str, reason: str, rows: int = 1) -> FlowStep:
    """What a mask drops; `rows` rows for each of its places."""
    treated = np.isfinite(cohort)
    return FlowStep(
        step=step,
        dropped=rows * int((~mask).sum()),
        left=rows * int(mask.sum()),
        reason=reason,
        dropped_treated=rows * int((~mask & treated).sum()),
        dropped_comparison=rows * int((~mask & ~treated).sum()),
    )


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


def read_grid(sample: Sample, outcome: str) -> Grid | None:
    """All rows as a grid, or None where they are none or not all usable: then the rows are looked at one by one."""
    frame = sample.frame
    if not len(frame):
        return None
    layout = _sorted_layout(frame) or _shuffled_layout(frame)
    y, weight = (frame[name].to_numpy(dtype=float) for name in (outcome, "weight"))
    lightest, heaviest = weight.min(), weight.max()
    if layout is None or not (np.isfinite(y.sum()) and lightest > 0 and np.isfinite(heaviest)):
        return None
    cohort = layout.of_units(frame["cohort"].to_numpy(dtype=float, na_value=np.inf))
    if cohort is None:
        return None
    design, names = _design(layout, sample)
    if not np.isfinite(design.sum()):
        return None
    return Grid(
        ids=layout.ids,
        cohort=cohort,
        periods=layout.periods,
        y=layout.table(y),
        design=design,
        weight=np.ones((len(layout.ids), 1)) if lightest == heaviest else constant_if_so(layout.table(weight)),
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


def constant_if_so(values: Array) -> Array:
    """One column of time if all are equal: covariates that never change need one nuisance fit, not one a period."""
    return values[:, :1] if (values == values[:, :1]).all() else values


def _sorted_layout(frame: pd.DataFrame) -> _Layout | None:
    """The layout of rows that stand in the order of the grid, seen in one pass; None if they do not."""
    unit, period = frame["unit"], frame["period"].to_numpy()
    ids = unit.to_numpy() if pd.api.types.is_integer_dtype(unit.dtype) else np.empty(0)
    size = block_size(ids, period)
    if not size or (np.diff(period[:size]) <= 0).any():
        return None
    return _Layout(ids=pd.Index(ids[::size]), periods=period[:size].astype(float))


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
