"""Effects by cohort and period from parts, for estimators that make their own comparison in each cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_cells import NotIdentified
from evaluation.impact.did_result import effect_labels
from evaluation.impact.did_rows import Rows, complete, read_rows, window
from evaluation.impact.effects import Arms, Effects, clear_noise

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Positions of a cohort, a period, its base period and the cohorts to compare with.

    Attributes:
        phase: "pre", "anticipation", "post", or "reference" where the period is its own base.
    """

    cohort: int
    period: int
    base: int
    comparison: tuple[int, ...]
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Rows by unit and period with codes of units, cohorts and periods.

    Attributes:
        rows: N rows, sorted by unit and period.
        units: (n,) ids.
        unit: (N,) position of the unit.
        time: (N,) position of the period.
        first: (n,) first row of each unit.
        starts: (A,) first treated periods, increasing; the last may be infinite (never).
        group: (n,) position of the unit's cohort in `starts`.
        periods: (T,) increasing.
    """

    rows: Rows
    units: pd.Index
    unit: Array
    time: Array
    first: Array
    starts: Array
    group: Array
    periods: Array

    @classmethod
    def of(cls, rows: Rows) -> Table:
        """Codes of these rows."""
        new = np.diff(rows.unit, prepend=-1) > 0
        first = np.flatnonzero(new)
        starts, group = np.unique(rows.cohort[first], return_inverse=True)
        periods, time = np.unique(rows.period, return_inverse=True)
        return cls(
            rows=rows,
            units=rows.ids[rows.unit[first]],
            unit=np.cumsum(new) - 1,
            time=time,
            first=first,
            starts=starts,
            group=group,
            periods=periods,
        )

    @property
    def balanced(self) -> bool:
        """Whether each unit has every period, so that columns of rows can be reshaped to units by periods."""
        return bool(complete(self.rows).all())

    @property
    def weight(self) -> Array:
        """(n,) weights of the units' first rows."""
        return np.asarray(self.rows.weight[self.first])

    @property
    def scale(self) -> float:
        """Largest |outcome|."""
        return float(np.abs(self.rows.y).max())

    @property
    def constant_nuisance(self) -> bool:
        """Whether covariates and weights never change within a unit."""
        moving = np.column_stack([self.rows.design, self.rows.weight])
        return bool((moving == moving[self.first][self.unit]).all())

    def wide(self, values: Array) -> Array:
        """(n, T, ...) values (N, ...) of a balanced panel."""
        return np.asarray(values.reshape(len(self.units), len(self.periods), *values.shape[1:]))


def read_window(sample: Sample, outcome: str, design: DidDesign) -> Rows:
    """Rows of the units and periods that say something about an effect.

    Raises:
        DataError: what `read_rows` and `window` refuse.
    """
    return cast("Rows", window(read_rows(sample, outcome, design), design))


def plan(table: Table, design: DidDesign) -> Iterator[Cell]:
    """Which period is compared with which, and with whom: the rules of `did.estimate`."""
    lead, last = design.anticipation, len(table.periods)
    for cohort in np.flatnonzero(np.isfinite(table.starts)).tolist():
        start = table.starts[cohort]
        reference = int(np.flatnonzero(table.periods + lead < start)[-1])
        for period in range(1 if design.base_period == "varying" else 0, last):
            near = design.base_period == "varying" and period <= reference
            base = period - 1 if near else reference
            limit = np.inf if design.comparison == "never_treated" else table.periods[max(period, base)] + lead
            others = np.isinf(table.starts) | ((table.starts > limit) & (table.starts != start))
            yield Cell(
                cohort=cohort,
                period=period,
                base=base,
                comparison=tuple(np.flatnonzero(others).tolist()),
                phase=_phase(table.periods[period], start, lead, reference=period == base),
            )


def _phase(period: float, start: float, lead: int, *, reference: bool) -> str:
    if reference:
        return "reference"
    if period >= start:
        return "post"
    return "anticipation" if period >= start - lead else "pre"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """One estimate and what it is made of.

    Attributes:
        estimate: the number.
        units: (m,) positions of the units that have an influence.
        influence: (m,), with estimate - truth ≈ sum of influences / all n units.
    """

    estimate: float
    units: Array
    influence: Array

    def plus(self, other: Found, factor: float) -> Found:
        """This estimate and a multiple of another one."""
        units, place = np.unique(np.concatenate([self.units, other.units]), return_inverse=True)
        return Found(
            estimate=self.estimate + factor * other.estimate,
            units=units,
            influence=np.bincount(place, np.concatenate([self.influence, factor * other.influence]), len(units)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Groups of units that stand on the two sides of cells.

    Attributes:
        codes: (n,) group of each unit, 0..A-1; -1 for none.
        treated, comparison: (A, K) for the K cells.
    """

    codes: Array
    treated: Array
    comparison: Array


def group_time(table: Table, cells: Sequence[Cell], found: Mapping[Cell, Found], sides: Sides) -> Effects:
    """ATT(g, t) of the cells in their order; a reference, which has no entry in `found`, is zero by construction."""
    estimate, influence = np.zeros(len(cells)), np.zeros((len(table.units), len(cells)))
    for k, cell in enumerate(cells):
        if cell in found:
            estimate[k] = found[cell].estimate
            influence[found[cell].units, k] = found[cell].influence
    live = np.array([cell in found for cell in cells])
    return Effects(
        estimate=estimate,
        labels=cell_labels(table, cells, "group_time").assign(phase=[cell.phase for cell in cells]),
        influence=clear_noise(influence, table.scale),
        units=table.units,
        arms=Arms(codes=sides.codes, treated=sides.treated & live, comparison=sides.comparison & live),
    )


def cell_labels(table: Table, cells: Sequence[Cell], term: str) -> pd.DataFrame:
    """Labels with cohort, period, event_time and base_period."""
    cohort = np.array([table.starts[cell.cohort] for cell in cells])
    period = np.array([table.periods[cell.period] for cell in cells])
    labels = effect_labels(
        term, table.rows.outcome, len(cells), cohort=cohort, period=period, event_time=period - cohort
    )
    return labels.assign(base_period=np.array([table.periods[cell.base] for cell in cells]).astype(int))


def skipped_cells(table: Table, missed: Mapping[Cell, NotIdentified]) -> pd.DataFrame:
    """Cells without an estimate: cohort, period, event_time, base_period, reason, detail."""
    return (
        cell_labels(table, list(missed), "")
        .assign(reason=[why.reason for why in missed.values()], detail=[why.detail for why in missed.values()])
        .drop(columns=["term", "outcome"])
    )


def require_post(table: Table, found: Mapping[Cell, Found], missed: Mapping[Cell, NotIdentified]) -> None:
    """Refuse a result without any effect after treatment."""
    if not any(cell.phase == "post" for cell in found):
        reasons = sorted({f"{why.reason}: {why.detail}".rstrip(": ") for why in missed.values()})
        raise DataError(
            code="E-IMP-117",
            what="no cohort has an effect after treatment that can be estimated",
            where=table.rows.outcome,
            found="; ".join(reasons[:3]) or "no cell",
            fix="use fewer covariates or lags, a wider caliper, or a comparison that is more like the treated",
        )
