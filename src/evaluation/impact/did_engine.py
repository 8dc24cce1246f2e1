"""Effects of cohorts in periods from a table and a plan of comparisons, with influences in blocks of cohorts.

Units are sorted by cohort, so that a cohort is a slice. Three ways lead to the same numbers:

* `by_means`: no covariates, weights that never change. Means of changes from the first period by cohort are sufficient,
  and the influences of all cells are combinations of T - 1 columns a cohort.
* `by_cells`: a balanced panel with covariates. Cells that share cohort, comparison, covariates and weights are one call
  of `did_cells.panel_cells`, with a column for each period.
* `by_sections`: repeated cross-sections and panels with gaps, a cell at a time.

Every cohort also has one atom for its members, weighted, from which the influence of its share is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from evaluation.impact.did_cells import Arm, Compared, NotIdentified, compare, comparison_factor, cross_section_cell
from evaluation.impact.did_grid import Grid
from evaluation.impact.did_rows import Rows
from evaluation.impact.influence import Atoms, Block, Influence
from evaluation.impact.regression import Factor
from evaluation.impact.threads import in_order

Array = np.ndarray

SHARED = 100_000  # outcomes from which it is worth sharing the cells among processors


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
class Cohorts:
    """Units sorted by cohort.

    Attributes:
        units: (n,) ids.
        starts: (A,) first treated periods, increasing; the last may be infinite (never).
        bounds: (A + 1,) cohort a has the units from bounds[a] to bounds[a + 1] - 1.
        periods: (T,) increasing.
        weight: (n,) weights of the units' first rows, mean 1.
        outcome: what the evaluator calls the outcome.
        scale: largest |outcome|.
    """

    units: pd.Index
    starts: Array
    bounds: Array
    periods: Array
    weight: Array
    outcome: str
    scale: float

    @property
    def codes(self) -> Array:
        """(n,) position of each unit's cohort."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.bounds))

    @property
    def weighted(self) -> bool:
        """Whether weights differ."""
        return bool(np.ptp(self.weight) > 0)

    @property
    def masses(self) -> Array:
        """(A,) sums of weights."""
        return np.add.reduceat(self.weight, self.bounds[:-1])

    def rows(self, cohort: int) -> slice:
        """Positions of a cohort's units."""
        return slice(int(self.bounds[cohort]), int(self.bounds[cohort + 1]))

    def rows_of(self, cohorts: Iterable[int]) -> Array:
        """Positions of the units of several cohorts."""
        return np.concatenate([np.arange(self.bounds[a], self.bounds[a + 1]) for a in cohorts])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel(Cohorts):
    """A balanced panel, whose rows stay in the order of the grid.

    Attributes:
        order: (n,) row of the grid of each unit.
        grid: y (n, T); design (n, T or 1, p), weight (n, T or 1), one column where they never change.
    """

    order: Array
    grid: Grid

    @property
    def means_suffice(self) -> bool:
        """Whether there are no covariates and no weights that change."""
        return bool(self.grid.design.shape[2] == self.grid.weight.shape[1] == 1)

    def nuisance_periods(self, cell: Cell) -> tuple[int, int]:
        """Positions of the design and of the weights of a cell: the earlier of its two periods."""
        early = min(cell.period, cell.base)
        return min(early, self.grid.design.shape[1] - 1), min(early, self.grid.weight.shape[1] - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sections(Cohorts):
    """Rows of units that need not have every period: unit and time are positions, (N,)."""

    unit: Array
    time: Array
    y: Array
    design: Array
    weights: Array
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """What a way of estimation returns.

    Attributes:
        cells: K cells with an estimate, in the order of the plan.
        estimate: (K,).
        influence: (n, K), in blocks of cohorts.
        shares: (n, A), influences of the shares of the cohorts, made of the same atoms.
        missed: cells without an estimate, and why.
    """

    cells: tuple[Cell, ...]
    estimate: Array
    influence: Influence
    shares: Influence
    missed: Mapping[Cell, NotIdentified]


# tables sorted by cohort ----------------------------------------------------------------------------------------------


def sorted_by_cohort(table: Grid | Rows) -> Panel | Sections:
    """The table with its units sorted by cohort, units of one cohort by id."""
    return _panel(table) if isinstance(table, Grid) else _sections(table)


def _panel(grid: Grid) -> Panel:
    order, starts, bounds = _by_cohort(grid.cohort)
    weight = grid.weight[order, 0]
    return Panel(
        units=grid.ids[order],
        starts=starts,
        bounds=bounds,
        periods=grid.periods,
        weight=weight / weight.mean(),
        outcome=grid.outcome,
        scale=_largest(grid.y),
        order=order,
        grid=grid,
    )


def _sections(rows: Rows) -> Sections:
    new = np.diff(rows.unit, prepend=-1) > 0
    first = np.flatnonzero(new)
    order, starts, bounds = _by_cohort(rows.cohort[first])
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    weight = rows.weight[first][order]
    return Sections(
        units=rows.ids[rows.unit[first]][order],
        starts=starts,
        bounds=bounds,
        periods=rows.periods,
        weight=weight / weight.mean(),
        outcome=rows.outcome,
        scale=_largest(rows.y),
        unit=place[np.cumsum(new) - 1],
        time=np.searchsorted(rows.periods, rows.period),
        y=rows.y,
        design=rows.design,
        weights=rows.weight,
        names=rows.names,
    )


def _by_cohort(cohort: Array) -> tuple[Array, Array, Array]:
    """Order of the units, distinct cohorts, and the bounds of their slices."""
    codes, starts = pd.factorize(cohort, sort=True)
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    return order, starts, np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(starts)))])


def _largest(values: Array) -> float:
    return float(max(values.max(), -values.min()))


# estimation -----------------------------------------------------------------------------------------------------------


def estimate_cells(table: Panel | Sections, cells: Sequence[Cell], estimator: str) -> Estimates:
    """All cells of a plan.

    Args:
        table: units sorted by cohort.
        cells: the plan; references are zero by construction.
        estimator: doubly_robust, regression or inverse_probability.
    """
    if isinstance(table, Sections):
        return by_sections(table, cells, estimator)
    return by_means(table, cells) if table.means_suffice else by_cells(table, cells, estimator)


def by_means(panel: Panel, cells: Sequence[Cell]) -> Estimates:
    """Cells without covariates, from the means of changes by cohort.

    With dᵢₜ the change from the first period, d̄ its weighted mean in a cohort, n the number of units and W sums of
    weights of mean 1, ATT = d̄_g(t) - d̄_g(b) - Σ_c (W_c/W_C) (d̄_c(t) - d̄_c(b)) over the comparison cohorts c, and

        influenceᵢ = (n/W_g) wᵢ (dᵢ - d̄_g)(t, b)                                       in the cohort,
                   = -(n/W_C) wᵢ [(dᵢ - d̄_c)(t, b) + (d̄_c - d̄_C)(t, b)]                in a comparison cohort.

    Atoms of a cohort: w (d - d̄) for each period but the first, w, and 1 where weights differ.
    """
    masses, n = panel.masses, len(panel.units)
    means, tables = _changes(panel)
    count = _counts(panel, len(panel.periods) - 1)
    estimate, coefficients = np.empty(len(cells)), np.zeros((count.n_atoms, len(cells)))
    for k, cell in enumerate(cells):
        others = np.array(cell.comparison, dtype=np.intp)
        mass = masses[others].sum()
        changes = means[others, cell.period] - means[others, cell.base]
        pooled = masses[others] @ changes / mass
        estimate[k] = means[cell.cohort, cell.period] - means[cell.cohort, cell.base] - pooled
        for cohort, factor in ((cell.cohort, n / masses[cell.cohort]), *((c, -n / mass) for c in cell.comparison)):
            _add_change(coefficients[:, k], count.first[cohort], cell, factor)
        coefficients[count.members[others], k] -= n / mass * (changes - pooled)
    atoms = Atoms(n_units=n, n_atoms=count.n_atoms, blocks=tuple(map(count.members_first, range(len(tables)), tables)))
    return Estimates(
        cells=tuple(cells),
        estimate=estimate,
        influence=Influence(atoms, coefficients).without_noise(panel.scale),
        shares=count.shares(atoms, masses / n),
        missed={},
    )


def _changes(panel: Panel) -> tuple[Array, list[Array]]:
    """(A, T) means of changes from the first period, and for each cohort a table of atoms.

    Columns of a table: members (weighted), changes from the first period (weighted), and ones where weights differ.
    """
    means, tables = np.zeros((len(panel.starts), len(panel.periods))), []
    for cohort in range(len(panel.starts)):
        rows = panel.rows(cohort)
        table, w = np.take(panel.grid.y, panel.order[rows], axis=0), panel.weight[rows]
        table -= table[:, :1].copy()
        means[cohort] = w @ table / w.sum()
        table -= means[cohort]
        table[:, 0] = 1.0  # the first period is the origin of the changes
        if panel.weighted:
            table = np.column_stack([table * w[:, None], np.ones(len(w))])
        tables.append(table)
    return means, tables


def _add_change(column: Array, first: int, cell: Cell, factor: float) -> None:
    """The change from the base to the period; the first period is the origin and has no atom."""
    if cell.period:
        column[first + cell.period - 1] += factor
    if cell.base:
        column[first + cell.base - 1] -= factor


def by_cells(panel: Panel, cells: Sequence[Cell], estimator: str) -> Estimates:
    """Cells with covariates; those that share covariates, weights and comparison are one call."""
    shared: dict[tuple[Any, ...], list[int]] = {}
    for k, cell in enumerate(cells):
        if cell.phase != "reference":
            shared.setdefault((cell.cohort, cell.comparison, *panel.nuisance_periods(cell)), []).append(k)
    store = Store.of(panel, cells)
    levels = np.ascontiguousarray(panel.grid.y[panel.order].T)
    factors: dict[tuple[Any, ...], Factor | NotIdentified] = {}
    one_at_a_time = Lock()

    def compared(call: tuple[tuple[Any, ...], list[int]]) -> Compared | NotIdentified:
        (cohort, comparison, *periods), positions = call
        chosen = [cells[k] for k in positions]
        focal, others = (_arm(panel, levels, who, periods, chosen) for who in ((cohort,), comparison))
        key = (comparison, *periods)
        with one_at_a_time:  # cohorts that share their comparison share its regression
            if key not in factors and estimator != "inverse_probability":
                factors[key] = comparison_factor(others.x, others.w, panel.grid.names)
        return compare(focal, others, estimator=estimator, names=panel.grid.names, factor=factors.get(key))

    results = in_order(compared, shared.items(), worth=levels.size > SHARED)
    for ((cohort, comparison, *_), positions), found in zip(shared.items(), results, strict=True):
        if isinstance(found, NotIdentified):
            store.miss(positions, found)
        else:
            scale = len(panel.units) / (len(found.focal) + len(found.others))
            store.add(positions, found.estimate, scale, ((cohort,), found.focal), (comparison, found.others))
    return store.estimates(panel, cells)


def _arm(panel: Panel, levels: Array, cohorts: Sequence[int], periods: Sequence[int], cells: Sequence[Cell]) -> Arm:
    """Changes, covariates and weights of the units of some cohorts; `levels` (T, n) are the outcomes, by cohort."""
    rows = [panel.rows(cohort) for cohort in cohorts]
    here = levels[:, rows[0]] if len(rows) == 1 else np.concatenate([levels[:, part] for part in rows], axis=1)
    units = np.concatenate([panel.order[part] for part in rows])
    changes = np.empty((len(cells), len(units)))
    for row, cell in zip(changes, cells, strict=True):
        np.subtract(here[cell.period], here[cell.base], out=row)
    return Arm(y=changes.T, x=panel.grid.design[units, periods[0]], w=panel.grid.weight[units, periods[1]])


def by_sections(table: Sections, cells: Sequence[Cell], estimator: str) -> Estimates:
    """Cells of cross-sections or of a panel with gaps, one after the other: each has rows of its own."""
    store = Store.of(table, cells)
    for k, cell in enumerate(cells):
        if cell.phase != "reference":
            cohorts = sorted((cell.cohort, *cell.comparison))
            found = _section_cell(table, cell, table.rows_of(cohorts), estimator)
            if isinstance(found, NotIdentified):
                store.miss([k], found)
            else:
                store.add([k], found[0], 1.0, (cohorts, found[1]))
    return store.estimates(table, cells)


def _section_cell(table: Sections, cell: Cell, units: Array, estimator: str) -> tuple[Array, Array] | NotIdentified:
    """Estimate and influences of `units`, sums of their rows': m rows speak of a mean over m, n units of one over n."""
    compared = np.zeros(len(table.units), dtype=bool)
    compared[units] = True
    in_window = (table.time == cell.period) | (table.time == cell.base)
    rows = np.flatnonzero(in_window & compared[table.unit])
    treated, after = table.codes[table.unit[rows]] == cell.cohort, table.time[rows] == cell.period
    if len(np.unique(2 * treated + after)) < 4:
        return NotIdentified(reason="empty_cell", detail="")
    found = cross_section_cell(
        table.y[rows], treated, after, table.design[rows], table.weights[rows], estimator=estimator, names=table.names
    )
    if isinstance(found, NotIdentified):
        return found
    n = len(table.units)
    by_unit = np.bincount(table.unit[rows], found[1][:, 0], minlength=n)[units]
    return found[0], by_unit[:, None] * (n / len(rows))


# atoms ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counts:
    """Positions of the atoms of each cohort: some of its own, then its members (weighted), then ones if they differ.

    Attributes:
        first: (A,) position of a cohort's first atom.
        members, ones: (A,) positions; the same where weights are equal.
        n_atoms: P.
    """

    first: Array
    members: Array
    ones: Array
    bounds: Array
    n_atoms: int

    def block(self, cohort: int, values: Array) -> Block:
        """The block of a cohort from its table of atoms."""
        first = int(self.first[cohort])
        return Block(start=int(self.bounds[cohort]), values=values, columns=np.arange(first, first + values.shape[1]))

    def members_first(self, cohort: int, values: Array) -> Block:
        """The block of a cohort from a table whose columns are members, its own atoms, and ones if they differ."""
        own = np.arange(self.first[cohort], self.members[cohort])
        columns = np.concatenate([self.members[[cohort]], own, self.ones[[cohort]]])[: values.shape[1]]
        return Block(start=int(self.bounds[cohort]), values=values, columns=columns)

    def shares(self, atoms: Atoms, share: Array) -> Influence:
        """Influences of the shares: members of the cohort less the share, for each unit."""
        coefficients = np.zeros((self.n_atoms, len(share)))
        coefficients[self.members, np.arange(len(share))] = 1.0
        coefficients[self.ones] -= share
        return Influence(atoms, coefficients)


def _counts(table: Cohorts, own: int | Array) -> _Counts:
    """Positions of the atoms where each cohort has `own` atoms before its counts."""
    extra = 1 + table.weighted
    width = np.broadcast_to(own, len(table.starts)) + extra
    first = np.concatenate([[0], np.cumsum(width)])
    return _Counts(
        first=first[:-1],
        members=first[1:] - extra,
        ones=first[1:] - 1,
        bounds=table.bounds,
        n_atoms=int(first[-1]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Store:
    """Influences of cells as they are found: for each cohort a table with a column for each cell that it takes part in.

    Attributes:
        tables: A tables (units of the cohort, its cells and counts).
        column: A mappings, position of a cell -> column of the cohort's table.
        estimate: K numbers, missing until found.
        missed: positions of cells without an estimate, and why.
    """

    tables: tuple[Array, ...]
    column: tuple[dict[int, int], ...]
    counts: _Counts
    estimate: Array
    missed: dict[int, NotIdentified]

    @classmethod
    def of(cls, table: Cohorts, cells: Sequence[Cell]) -> Store:
        """Empty tables for the cells of a plan."""
        column: tuple[dict[int, int], ...] = tuple({} for _ in table.starts)
        for k, cell in enumerate(cells):
            for cohort in (cell.cohort, *cell.comparison) if cell.phase != "reference" else ():
                column[cohort][k] = len(column[cohort])
        counts = _counts(table, np.array([len(taken) for taken in column]))
        widths = np.diff(np.append(counts.first, counts.n_atoms))
        sizes = zip(np.diff(table.bounds), widths, strict=True)
        tables = tuple(np.zeros(size, order="F") for size in sizes)  # columns are what is written
        for cohort, values in enumerate(tables):
            values[:, len(column[cohort])] = table.weight[table.rows(cohort)]
            values[:, len(column[cohort]) + 1 :] = 1.0
        return cls(tables=tables, column=column, counts=counts, estimate=np.zeros(len(cells)), missed={})

    def miss(self, cells: Sequence[int], reason: NotIdentified) -> None:
        """Note that cells have no estimate."""
        self.missed.update(dict.fromkeys(cells, reason))

    def add(self, cells: Sequence[int], estimate: Array, scale: float, *arms: tuple[Sequence[int], Array]) -> None:
        """Keep the estimates of cells that share their cohorts.

        Args:
            cells: q positions in the plan.
            estimate: (q,).
            scale: that makes the influences those of a mean over all n units.
            arms: cohorts, increasing, and the influences (m, q) of their units.
        """
        self.estimate[list(cells)] = estimate
        for cohorts, influence in arms:
            ends = np.cumsum([0, *(len(self.tables[cohort]) for cohort in cohorts)])
            for cohort, begin, end in zip(cohorts, ends[:-1], ends[1:], strict=True):
                columns = _columns([self.column[cohort][k] for k in cells])
                self.tables[cohort][:, columns] = influence[begin:end] * scale

    def estimates(self, table: Cohorts, cells: Sequence[Cell]) -> Estimates:
        """All that was found, in the order of the plan."""
        n = len(table.units)
        blocks = tuple(self.counts.block(cohort, values) for cohort, values in enumerate(self.tables))
        atoms = Atoms(n_units=n, n_atoms=self.counts.n_atoms, blocks=blocks)
        kept = [k for k in range(len(cells)) if k not in self.missed]
        coefficients = np.zeros((self.counts.n_atoms, len(kept)))
        for position, k in enumerate(kept):
            for cohort, taken in enumerate(self.column):
                if k in taken:
                    coefficients[self.counts.first[cohort] + taken[k], position] = 1.0
        return Estimates(
            cells=tuple(cells[k] for k in kept),
            estimate=self.estimate[kept],
            influence=Influence(atoms, coefficients).without_noise(table.scale),
            shares=self.counts.shares(atoms, table.masses / n),
            missed={cells[k]: reason for k, reason in self.missed.items()},
        )


def _columns(positions: Sequence[int]) -> slice | Sequence[int]:
    """Positions in a row as a slice, which is written without an index for each number."""
    first, last = positions[0], positions[-1]
    return slice(first, last + 1) if list(positions) == list(range(first, last + 1)) else positions
