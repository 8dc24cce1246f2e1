"""Triple differences: eligible units in treated places, less what changed for ineligible units of the same places.

Where a policy reaches places at different dates and, in each place, only those who are eligible, the change of the
ineligible takes away what happened to everybody in a treated place, and places not treated take away what happened to
the eligible everywhere.

With covariates, the difference of two adjusted difference-in-differences is not this effect: each adjusts to the
covariates of other people. Three comparisons are needed, all adjusted to the covariates of the eligible in treated
places. Nor may places treated later be pooled into one comparison, as in an ordinary difference-in-differences: their
mix of eligible and ineligible differs from cohort to cohort. Each is a comparison of its own.

Source: Ortiz-Villavicencio and Sant'Anna (2025), "Better understanding triple differences estimators".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParametersError
from evaluation.impact.did_assembly import group_time, plan, require_post_compared, shares, skipped
from evaluation.impact.did_cells import NotIdentified, cross_section_cell, panel_cells
from evaluation.impact.did_engine import Cell, Estimates, Panel, Sections, Store, sorted_by_cohort
from evaluation.impact.did_grid import Grid
from evaluation.impact.did_result import DidResult, assemble
from evaluation.impact.did_rows import Rows, as_grid, read_table, window
from evaluation.impact.effects import Arms

if TYPE_CHECKING:
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

SINGULAR = 1e-10  # smallest over largest eigenvalue of a correlation; below it comparisons say the same
ELIGIBLE = 1  # position of eligibility in the design, behind the constant


@dataclass(frozen=True, slots=True)
class _Other:
    """With whom the eligible of a cohort are compared: a cohort, and its eligible or its ineligible."""

    cohort: int
    eligible: bool


_Pair = tuple[Cell, _Other]


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Effects on the eligible of cohorts in periods, and their averages.

        ATT(g, t; c) = D[g eligible, g ineligible] + D[g eligible, c eligible] - D[g eligible, c ineligible],

    D[·, ·] the effect in one period by `design.estimator` (see `did_cells`), adjusted to the covariates of the eligible
    of cohort g. Without covariates this is the difference-in-differences of the eligible less that of the ineligible.

    Never-treated places are one comparison c. With `not_yet_treated` every cohort c not treated by the period is one,
    and ATT(g, t) = Σ ω_c ATT(g, t; c) with ω = Ω⁻¹1 / 1′Ω⁻¹1, Ω the covariance of the ATT(g, t; c): the generalised
    method of moments. Influences take ω as known (its estimation is of second order), so they are not the derivative
    with respect to weights there; otherwise they are. Shares of cohorts in the averages are those of the eligible.

    Args:
        sample: canonical columns unit, period, cohort (of the place, for its ineligible too), eligible, `outcome`,
            weight, covariate_*.
        design: eligible, comparison, estimator, aggregate, base_period, anticipation, panel.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        ParametersError: the design does not say who is eligible.
        DataError: eligibility that changes within a unit of a panel; no effect after treatment; what `window` refuses.

    Source: Ortiz-Villavicencio and Sant'Anna (2025), sections 3 to 5.
    """
    data = _read(sample, outcome, design)
    cells = list(plan(data.table, design))
    found, weights = _combined(cells, data.parts(cells, design.estimator))
    require_post_compared(data.table, found)
    result = assemble(
        group_time(data.table, found, data.arms(found.cells)),
        shares(data.counted, found, data.codes),
        aggregate=design.aggregate,
        skipped=skipped(data.table, found.missed),
        flow=data.flow,
        notes=(*data.notes, *_notes(data, design)),
        event_window=design.event_window,
    )
    return replace(result, tables={**result.tables, "comparison_weights": _weights_table(data, weights)})


# data -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """Comparisons of two groups in one cell each.

    Attributes:
        found: those with an estimate; its cells have at most one cohort to compare with.
        place: position in `found` of each pair of a cell and a group, for pairs with an estimate.
        missed: the other pairs, and why.
    """

    found: Estimates
    place: Mapping[_Pair, int]
    missed: Mapping[_Pair, NotIdentified]
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    """Units and who is eligible.

    Attributes:
        table: without eligibility among the covariates.
        eligible: (n,) of each unit's first row.
        rows: (N,) of the rows of `Sections`; empty for a panel.
        flow, notes: of the reading.
    """

    table: Panel | Sections
    eligible: Array
    rows: Array
    flow: tuple[FlowStep, ...]
    notes: tuple[str, ...]

    @property
    def counted(self) -> Panel | Sections:
        """The table in which the ineligible count for nothing: shares are those of the eligible."""
        return replace(self.table, weight=np.where(self.eligible, self.table.weight, 0.0))

    @property
    def codes(self) -> Array:
        """(n,) groups of the arms: cohorts, ineligible at even and eligible at odd places."""
        return np.asarray(2 * self.table.codes + self.eligible)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of the design."""
        return self.table.grid.names if isinstance(self.table, Panel) else self.table.names

    def arms(self, cells: Sequence[Cell]) -> Arms:
        """The eligible of the cohort against its ineligible and both groups of the comparison."""
        treated = np.zeros((int(self.codes.max()) + 1, len(cells)), dtype=bool)
        comparison = treated.copy()
        for k, cell in enumerate(cells):
            for code in (2 * cell.cohort, *(2 * c + q for c in cell.comparison for q in (0, 1))):
                if code < len(treated):
                    comparison[code, k] = cell.phase != "reference"
            if 2 * cell.cohort + 1 < len(treated):
                treated[2 * cell.cohort + 1, k] = cell.phase != "reference"
        return Arms(codes=self.codes, treated=treated, comparison=comparison)

    def parts(self, cells: Sequence[Cell], estimator: str) -> _Parts:
        """Every comparison of two groups in every cell."""
        pairs = [(cell, other) for cell in cells if cell.phase != "reference" for other in _others(cell)]
        alone = [replace(cell, comparison=_against(cell, other)) for cell, other in pairs]
        store = Store.of(self.counted, alone)
        for positions in self._together(pairs):
            cell, other = pairs[positions[0]]
            cohorts = sorted((cell.cohort, *alone[positions[0]].comparison))
            found = self._compared([pairs[k][0] for k in positions], other, cohorts, estimator)
            if isinstance(found, NotIdentified):
                store.miss(positions, found)
            else:
                store.add(positions, found[0], 1.0, (cohorts, found[1]))
        kept = [pair for k, pair in enumerate(pairs) if k not in store.missed]
        return _Parts(
            found=store.estimates(self.counted, alone),
            place={pair: k for k, pair in enumerate(kept)},
            missed={pairs[k]: why for k, why in store.missed.items()},
            scale=self.table.scale,
        )

    def _together(self, pairs: Sequence[_Pair]) -> list[list[int]]:
        """Positions of pairs that are one call: in a panel those with the same groups, covariates and weights."""
        if isinstance(self.table, Sections):
            return [[k] for k in range(len(pairs))]
        shared: dict[tuple[Any, ...], list[int]] = {}
        for k, (cell, other) in enumerate(pairs):
            shared.setdefault((cell.cohort, other, *self.table.nuisance_periods(cell)), []).append(k)
        return list(shared.values())

    def _compared(
        self, cells: Sequence[Cell], other: _Other, cohorts: Sequence[int], estimator: str
    ) -> tuple[Array, Array] | NotIdentified:
        """Estimates (q,), and influences (m, q) of all units of the cohorts."""
        if isinstance(self.table, Sections):
            return self._section(self.table, cells[0], other, self.table.rows_of(cohorts), estimator)
        return self._block(self.table, cells, other, self.table.rows_of(cohorts), estimator)

    def _block(
        self, table: Panel, cells: Sequence[Cell], other: _Other, units: Array, estimator: str
    ) -> tuple[Array, Array] | NotIdentified:
        """One comparison in several periods with the same covariates and weights."""
        cohort, eligible = table.codes[units], self.eligible[units]
        treated, against = _sides(cells[0], other, cohort, eligible)
        if not (treated.any() and against.any()):
            return self._empty(cells[0], other)
        inside = treated | against
        rows, (covariates, weights) = table.order[units[inside]], table.nuisance_periods(cells[0])
        y = table.grid.y[rows]
        found = panel_cells(
            y[:, [cell.period for cell in cells]] - y[:, [cell.base for cell in cells]],
            treated[inside],
            table.grid.design[rows, covariates],
            table.grid.weight[rows, weights],
            estimator=estimator,
            names=table.grid.names,
        )
        if isinstance(found, NotIdentified):
            return found
        influence = np.zeros((len(units), len(cells)))
        influence[inside] = found[1] * (len(table.units) / len(rows))
        return found[0], influence

    def _section(
        self, table: Sections, cell: Cell, other: _Other, units: Array, estimator: str
    ) -> tuple[Array, Array] | NotIdentified:
        """One comparison of rows in two periods; a unit's influence is the sum of its rows'."""
        treated, against = _sides(cell, other, table.codes[table.unit], self.rows)
        seen = (table.time == cell.period) | (table.time == cell.base)
        at = np.flatnonzero(seen & (treated | against))
        after = table.time[at] == cell.period
        if len(np.unique(2 * treated[at] + after)) < 4:
            return self._empty(cell, other)
        found = cross_section_cell(
            table.y[at], treated[at], after, table.design[at], table.weights[at], estimator=estimator, names=table.names
        )
        if isinstance(found, NotIdentified):
            return found
        n = len(table.units)
        by_unit = np.bincount(table.unit[at], found[1][:, 0], minlength=n)[units]
        return found[0], by_unit[:, None] * (n / len(at))

    def _empty(self, cell: Cell, other: _Other) -> NotIdentified:
        starts = self.table.starts
        who = "the never treated" if np.isinf(starts[other.cohort]) else f"cohort {starts[other.cohort]:.0f}"
        side = "eligible" if other.eligible else "ineligible"
        return NotIdentified(
            reason="empty_cell", detail=f"eligible of cohort {starts[cell.cohort]:.0f} against {side} of {who}"
        )


def _read(sample: Sample, outcome: str, design: DidDesign) -> _Data:
    """Eligibility goes through sorting and dropping as the first covariate, and leaves it afterwards."""
    _require_column(sample, design)
    frame = sample.frame.assign(covariate_0=sample.frame["eligible"].astype(float))
    whole = as_grid(window(read_table(replace(sample, frame=frame), outcome, design), design), design)
    eligible = whole.design[..., ELIGIBLE] > 0
    names = tuple(name for k, name in enumerate(whole.names) if k != ELIGIBLE)
    table = sorted_by_cohort(replace(whole, design=np.delete(whole.design, ELIGIBLE, axis=-1), names=names))
    if design.panel != "repeated_cross_section":
        _require_constant(whole, eligible, design)
    of_unit = eligible[table.order, 0] if isinstance(table, Panel) else _first(table, eligible)
    rows = eligible if isinstance(table, Sections) else np.empty(0, dtype=bool)
    return _Data(table=table, eligible=of_unit, rows=rows, flow=whole.flow, notes=whole.notes)


def _first(table: Sections, values: Array) -> Array:
    """(n,) values of the units' first rows."""
    return np.asarray(values[np.unique(table.unit, return_index=True)[1]])


def _sides(cell: Cell, other: _Other, cohort: Array, eligible: Array) -> tuple[Array, Array]:
    """Who is treated and who is compared."""
    return (cohort == cell.cohort) & eligible, (cohort == other.cohort) & (eligible == other.eligible)


def _against(cell: Cell, other: _Other) -> tuple[int, ...]:
    """The cohort to compare with, none for the ineligible of the same cohort."""
    return () if other.cohort == cell.cohort else (other.cohort,)


def _others(cell: Cell) -> Iterator[_Other]:
    yield _Other(cell.cohort, eligible=False)
    for cohort in cell.comparison:
        yield _Other(cohort, eligible=True)
        yield _Other(cohort, eligible=False)


# combination ----------------------------------------------------------------------------------------------------------


_Weights = Mapping[Cell, Mapping[int, float]]  # of the comparison cohorts in each effect, by their positions


def _combined(cells: Sequence[Cell], parts: _Parts) -> tuple[Estimates, _Weights]:
    """The effects over all comparison cohorts that say something, and the weights of these."""
    weights: dict[Cell, Mapping[int, float]] = {}
    missed: dict[Cell, NotIdentified] = {}
    rows: dict[Cell, Array] = {}
    for cell in cells:
        one = _effect(cell, parts)
        if isinstance(one, NotIdentified):
            missed[cell] = one
        else:
            rows[cell], weights[cell] = one
    matrix = np.array(list(rows.values())).reshape(len(rows), len(parts.found.estimate))
    found = Estimates(
        cells=tuple(rows),
        estimate=matrix @ parts.found.estimate,
        influence=parts.found.influence.mapped(matrix).without_noise(parts.scale),
        shares=parts.found.shares,
        missed=missed,
    )
    return found, weights


def _effect(cell: Cell, parts: _Parts) -> tuple[Array, Mapping[int, float]] | NotIdentified:
    """An effect as combination of the parts, and the weights of the comparison cohorts."""
    if cell.phase == "reference":
        return np.zeros(len(parts.found.estimate)), {}
    own = (cell, _Other(cell.cohort, eligible=False))
    if own in parts.missed:
        return parts.missed[own]
    why = NotIdentified(reason="empty_cell", detail="no comparison cohort")
    effects: dict[int, Array] = {}
    for cohort in cell.comparison:
        pairs = [(cell, _Other(cohort, eligible=side)) for side in (True, False)]
        lacking = [parts.missed[pair] for pair in pairs if pair in parts.missed]
        if lacking:
            why = lacking[0]
        else:
            effects[cohort] = np.zeros(len(parts.found.estimate))
            effects[cohort][[parts.place[pair] for pair in (own, *pairs)]] = 1.0, 1.0, -1.0
    if not effects:
        return why
    matrix = np.array(list(effects.values()))
    weights = _precision_weights(parts.found.influence.mapped(matrix).cross_product())
    return weights @ matrix, dict(zip(effects, weights.tolist(), strict=True))


def _precision_weights(covariance: Array) -> Array:
    """Ω⁻¹1 / 1′Ω⁻¹1; equal weights where Ω has no inverse, as without noise."""
    k = len(covariance)
    scale = np.sqrt(np.diag(covariance))
    if k == 1 or not scale.all():
        return np.full(k, 1 / k)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    if values[0] <= SINGULAR * values[-1]:
        return np.full(k, 1 / k)
    raw = (vectors @ ((vectors.T @ (1 / scale)) / values)) / scale
    return np.asarray(raw / raw.sum())


def _weights_table(data: _Data, weights: _Weights) -> pd.DataFrame:
    """Weights of the comparison cohorts in each cell; a missing comparison cohort is the never treated."""
    starts, periods = data.table.starts, data.table.periods
    rows = [
        (starts[cell.cohort], periods[cell.period], starts[cohort], weight)
        for cell, each in weights.items()
        for cohort, weight in each.items()
    ]
    frame = pd.DataFrame(rows, columns=["cohort", "period", "comparison_cohort", "weight"])
    whole = frame["comparison_cohort"].where(np.isfinite(frame["comparison_cohort"])).astype("Int64")
    return frame.astype({"cohort": "Int64", "period": "Int64"}).assign(comparison_cohort=whole)


def _notes(data: _Data, design: DidDesign) -> Iterator[str]:
    yield "triple differences: the effect on the eligible of treated places; the ineligible there must not be affected"
    if len(data.names) > 1:
        yield (
            "three comparisons, all adjusted to the covariates of the eligible of treated places: not the difference "
            "of two adjusted difference-in-differences"
        )
    if design.comparison == "not_yet_treated":
        yield (
            "each cohort not yet treated is a comparison of its own; they are weighted by precision, and standard "
            "errors take these weights as known"
        )


# refusals -------------------------------------------------------------------------------------------------------------


def _require_column(sample: Sample, design: DidDesign) -> None:
    if "eligible" not in sample.frame:
        raise ParametersError(
            code="E-IMP-115",
            what="triple differences need a column that says who could be affected",
            found=f"eligible: {design.eligible}",
            expected="eligible: a 0/1 column",
        )


def _require_constant(table: Rows | Grid, eligible: Array, design: DidDesign) -> None:
    if isinstance(table, Grid):
        changing = table.ids[(eligible != eligible[:, :1]).any(axis=1)]
    else:
        moved = (np.diff(table.unit) == 0) & (eligible[1:] != eligible[:-1])
        changing = table.ids[np.unique(table.unit[1:][moved])]
    if len(changing):
        raise DataError(
            code="E-IMP-116",
            what="a unit is eligible in some periods and not in others",
            where=str(design.eligible),
            found=f"units {list(changing[:3])}",
            expected="one value for each unit of a panel, such as that before the treatment",
        )
