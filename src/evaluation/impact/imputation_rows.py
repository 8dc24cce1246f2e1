"""Rows for imputation: which are untreated, which treated ones can be imputed, and their codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_rows import Rows, complete, read_rows
from evaluation.impact.unit_period import connected_parts

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """Rows with the codes that sums are taken by; rows are sorted by unit and period.

    Attributes:
        rows: N rows.
        treated: (N,) True from the period on in which effects may show.
        person: (N,) the unit that influence belongs to, 0..n-1.
        cohort: (N,) position of the cohort in `starts`.
        time: (N,) position of the period in `periods`.
        level: (N,) whose constant the row has: its unit's, in repeated cross-sections its cohort's.
        first: (n,) first row of each unit.
        starts: (A,) first treated periods, increasing; the last may be infinite (never).
        periods: (T,) increasing.
    """

    rows: Rows
    treated: Array
    person: Array
    cohort: Array
    time: Array
    level: Array
    first: Array
    starts: Array
    periods: Array

    @classmethod
    def of(cls, rows: Rows, design: DidDesign) -> Coded:
        """Codes of these rows."""
        new = np.diff(rows.unit, prepend=-1) > 0
        person, first = np.cumsum(new) - 1, np.flatnonzero(new)
        starts, group = np.unique(rows.cohort[first], return_inverse=True)
        periods, time = _whole_codes(rows.period)
        cohort = group[person]
        return cls(
            rows=rows,
            treated=np.asarray(rows.period >= rows.cohort - design.anticipation),
            person=person,
            cohort=cohort,
            time=time,
            level=cohort if design.panel == "repeated_cross_section" else person,
            first=first,
            starts=starts,
            periods=periods,
        )

    @property
    def ids(self) -> pd.Index:
        """(n,) ids of the units in the order of `person`."""
        return self.rows.ids[self.rows.unit[self.first]]

    @property
    def group(self) -> Array:
        """(n,) position of each unit's cohort in `starts`."""
        return np.asarray(self.cohort[self.first])

    def cells(self, used: Array) -> Array:
        """(A, T) True where some of the rows `used` are of this cohort and period."""
        seen = np.zeros((len(self.starts), len(self.periods)), dtype=bool)
        seen[self.cohort[used], self.time[used]] = True
        return seen

    def by_person(self, values: Array) -> Array:
        """(n, k) sums of values (N, k) by unit."""
        columns = [np.bincount(self.person, column, len(self.first)) for column in values.T]
        return np.column_stack(columns) if columns else np.empty((len(self.first), 0))


def read(sample: Sample, outcome: str, design: DidDesign) -> Coded:
    """All rows; cohorts that start after the last period are never treated here.

    Raises:
        DataError: what `read_rows` refuses; nobody treated, or nobody untreated.
    """
    rows = read_rows(sample, outcome, design)
    last = rows.period.max() + design.anticipation if len(rows.period) else 0.0
    rows = replace(rows, cohort=np.where(rows.cohort > last, np.inf, rows.cohort))
    if design.panel == "balanced":
        rows = rows.keep(complete(rows), "unbalanced", "the unit lacks a period, and the panel is to be balanced")
    return _required(Coded.of(rows, design))


def usable(data: Coded, design: DidDesign) -> Coded:
    """Without treated rows whose unit or period is never seen untreated, or not in connection with each other.

    Raises:
        DataError: no treated row is left.
    """
    who = "cohort" if design.panel == "repeated_cross_section" else "unit"
    untreated = np.bincount(data.level, ~data.treated)[data.level] > 0
    data = without(data, ~untreated, f"{who}_never_untreated", f"treated rows of a {who} without untreated row", design)
    untreated = np.bincount(data.time, ~data.treated)[data.time] > 0
    data = without(data, ~untreated, "period_never_untreated", "treated rows of a period without untreated row", design)
    reason = f"no chain of untreated rows connects the {who} with the period"
    return without(data, data.treated & ~_connected(data), "not_connected", reason, design)


def without(data: Coded, lost: Array, step: str, reason: str, design: DidDesign) -> Coded:
    """The data without some treated rows, which are counted.

    Raises:
        DataError: no treated row is left.
    """
    return _required(Coded.of(data.rows.keep(~lost, step, reason), design)) if lost.any() else data


def _connected(data: Coded) -> Array:
    """(N,) True where untreated rows connect the level of the row with its period."""
    off = ~data.treated
    shape = int(data.level.max()) + 1, len(data.periods)
    of_level, of_time = connected_parts(data.level[off], data.time[off], *shape)
    return np.asarray(of_level[data.level] == of_time[data.time])


def _required(data: Coded) -> Coded:
    rows = data.rows
    if not (data.treated & (rows.period >= rows.cohort)).any() or data.treated.all():
        raise DataError(
            code="E-IMP-090",
            what="there is no treated row for which the outcome without treatment can be imputed",
            where=rows.outcome,
            found="; ".join(f"{step.dropped} rows: {step.reason}" for step in rows.flow) or "no treated row",
            expected="treated rows whose unit and period are both seen untreated",
        )
    return data


def _whole_codes(values: Array) -> tuple[Array, Array]:
    """Distinct whole numbers, increasing, and the position of each value; by counting where the range is not wide."""
    if not len(values) or np.ptp(values) > 10 * len(values):
        distinct, codes = np.unique(values, return_inverse=True)
        return distinct, codes
    offset = (values - values.min()).astype(np.intp)
    seen = np.bincount(offset) > 0
    return np.flatnonzero(seen) + values.min(), (np.cumsum(seen) - 1)[offset]
