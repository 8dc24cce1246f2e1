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
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParametersError
from evaluation.impact.did_cells import NotIdentified, cross_section_cell, panel_cells
from evaluation.impact.did_result import DidResult, assemble, cohort_shares
from evaluation.impact.did_tables import (
    Cell,
    Found,
    Sides,
    Table,
    group_time,
    plan,
    read_window,
    require_post,
    skipped_cells,
)
from evaluation.impact.effects import Effects

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

SINGULAR = 1e-10  # smallest over largest eigenvalue of a correlation; below it comparisons say the same
ELIGIBLE = 1  # position of eligibility in the design, behind the constant


@dataclass(frozen=True, slots=True)
class _Other:
    """With whom the eligible of a cohort are compared: a cohort, and its eligible or its ineligible."""

    cohort: int
    eligible: bool


_Parts = dict[tuple[Cell, _Other], Found | NotIdentified]


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
    parts = data.parts([cell for cell in cells if cell.phase != "reference"], design.estimator)
    combined = {cell: _combined(cell, parts, len(data.table.units)) for cell in cells if cell.phase != "reference"}
    found = {cell: each.effect for cell, each in combined.items() if isinstance(each, _Combined)}
    missed = {cell: each for cell, each in combined.items() if isinstance(each, NotIdentified)}
    require_post(data.table, found, missed)
    shown = [cell for cell in cells if cell not in missed]
    result = assemble(
        group_time(data.table, shown, found, data.sides(shown)),
        data.shares(),
        aggregate=design.aggregate,
        skipped=skipped_cells(data.table, missed),
        flow=data.table.rows.flow,
        notes=(*data.table.rows.notes, *_notes(data, design)),
        event_window=design.event_window,
    )
    return replace(result, tables={**result.tables, "comparison_weights": _weights_table(data, combined)})


# data -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    """Units and who is eligible.

    Attributes:
        table: without eligibility among the covariates.
        eligible: (N,) of the rows.
        panel: whether changes of units are compared, rather than levels of rows.
    """

    table: Table
    eligible: Array
    panel: bool

    @property
    def of_unit(self) -> Array:
        """(n,) eligibility of each unit's first row."""
        return np.asarray(self.eligible[self.table.first])

    def shares(self) -> Effects:
        """Weighted shares of the eligible of each cohort."""
        table = self.table
        group = np.where(self.of_unit, table.group, -1)
        return cohort_shares(table.units, group, table.starts, table.weight, table.rows.outcome)

    def sides(self, cells: Sequence[Cell]) -> Sides:
        """Groups are cohorts, ineligible at even and eligible at odd places."""
        treated = np.zeros((2 * len(self.table.starts), len(cells)), dtype=bool)
        comparison = treated.copy()
        for k, cell in enumerate(cells):
            treated[2 * cell.cohort + 1, k] = True
            comparison[[2 * cell.cohort, *(2 * c + q for c in cell.comparison for q in (0, 1))], k] = True
        return Sides(codes=2 * self.table.group + self.of_unit, treated=treated, comparison=comparison)

    def parts(self, cells: Sequence[Cell], estimator: str) -> _Parts:
        """Every comparison of two groups in every cell."""
        pairs = [(cell, other) for cell in cells for other in _others(cell)]
        if not self.panel:
            return {pair: self._section(*pair, estimator) for pair in pairs}
        shared: dict[tuple[int, _Other, int], list[Cell]] = {}
        constant = self.table.constant_nuisance
        for cell, other in pairs:  # cells with the same groups and the same covariates and weights are one call
            early = 0 if constant else min(cell.period, cell.base)
            shared.setdefault((cell.cohort, other, early), []).append(cell)
        parts: _Parts = {}
        for (_, other, early), members in shared.items():
            parts.update(self._block(members, other, early, estimator))
        return parts

    def _block(self, cells: Sequence[Cell], other: _Other, early: int, estimator: str) -> _Parts:
        """One comparison in several periods with the covariates and weights of the period `early`."""
        table, rows = self.table, self.table.rows
        treated = (table.group == cells[0].cohort) & self.of_unit
        against = (table.group == other.cohort) & (self.of_unit == other.eligible)
        units = np.flatnonzero(treated | against)
        if not (treated.any() and against.any()):
            return {(cell, other): self._empty(cell, other) for cell in cells}
        y = table.wide(rows.y)[units]
        found = panel_cells(
            y[:, [cell.period for cell in cells]] - y[:, [cell.base for cell in cells]],
            treated[units],
            table.wide(rows.design)[units, early],
            table.wide(rows.weight)[units, early],
            estimator=estimator,
            names=rows.names,
        )
        if isinstance(found, NotIdentified):
            return {(cell, other): found for cell in cells}
        scaled = found[1] * (len(table.units) / len(units))
        return {
            (cell, other): Found(estimate=float(found[0][j]), units=units, influence=scaled[:, j])
            for j, cell in enumerate(cells)
        }

    def _section(self, cell: Cell, other: _Other, estimator: str) -> Found | NotIdentified:
        """One comparison of rows in two periods; a unit's influence is the sum of its rows'."""
        table, rows = self.table, self.table.rows
        cohort = table.group[table.unit]
        treated = (cohort == cell.cohort) & self.eligible
        against = (cohort == other.cohort) & (self.eligible == other.eligible)
        seen = (table.time == cell.period) | (table.time == cell.base)
        at = np.flatnonzero(seen & (treated | against))
        after = table.time[at] == cell.period
        if len(np.unique(2 * treated[at] + after)) < 4:
            return self._empty(cell, other)
        found = cross_section_cell(
            rows.y[at], treated[at], after, rows.design[at], rows.weight[at], estimator=estimator, names=rows.names
        )
        if isinstance(found, NotIdentified):
            return found
        units, place = np.unique(table.unit[at], return_inverse=True)
        by_unit = np.bincount(place, found[1][:, 0]) * (len(table.units) / len(at))
        return Found(estimate=float(found[0][0]), units=units, influence=by_unit)

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
    rows = read_window(replace(sample, frame=frame), outcome, design)
    eligible = rows.design[:, ELIGIBLE] > 0
    names = tuple(name for k, name in enumerate(rows.names) if k != ELIGIBLE)
    table = Table.of(replace(rows, design=np.delete(rows.design, ELIGIBLE, axis=1), names=names))
    if design.panel != "repeated_cross_section":
        _require_constant(table, eligible, design)
    return _Data(table=table, eligible=eligible, panel=design.panel != "repeated_cross_section" and table.balanced)


def _others(cell: Cell) -> Iterator[_Other]:
    yield _Other(cell.cohort, eligible=False)
    for cohort in cell.comparison:
        yield _Other(cohort, eligible=True)
        yield _Other(cohort, eligible=False)


# combination ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Combined:
    """An effect and the weights of the comparison cohorts in it, by their positions."""

    effect: Found
    weights: Mapping[int, float]


def _combined(cell: Cell, parts: _Parts, n_units: int) -> _Combined | NotIdentified:
    """The effect over all comparison cohorts that say something."""
    own = parts[cell, _Other(cell.cohort, eligible=False)]
    if isinstance(own, NotIdentified):
        return own
    effects: dict[int, Found] = {}
    why = NotIdentified(reason="empty_cell", detail="no comparison cohort")
    for cohort in cell.comparison:
        eligible, ineligible = (parts[cell, _Other(cohort, eligible=side)] for side in (True, False))
        if isinstance(eligible, NotIdentified):
            why = eligible
        elif isinstance(ineligible, NotIdentified):
            why = ineligible
        else:
            effects[cohort] = own.plus(eligible, 1.0).plus(ineligible, -1.0)
    if not effects:
        return why
    return _weighted(effects, n_units)


def _weighted(effects: Mapping[int, Found], n_units: int) -> _Combined:
    """The weighted mean of estimates of one effect that is most precise, given their covariance."""
    influence = np.zeros((n_units, len(effects)))
    for k, each in enumerate(effects.values()):
        influence[each.units, k] = each.influence
    weights = _precision_weights(influence.T @ influence)
    units = np.flatnonzero((influence != 0).any(axis=1))
    estimate = float(weights @ [each.estimate for each in effects.values()])
    effect = Found(estimate=estimate, units=units, influence=influence[units] @ weights)
    return _Combined(effect=effect, weights=dict(zip(effects, weights.tolist(), strict=True)))


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


def _weights_table(data: _Data, combined: Mapping[Cell, _Combined | NotIdentified]) -> pd.DataFrame:
    """Weights of the comparison cohorts in each cell; a missing comparison cohort is the never treated."""
    starts, periods = data.table.starts, data.table.periods
    rows = [
        (starts[cell.cohort], periods[cell.period], starts[cohort], weight)
        for cell, each in combined.items()
        if isinstance(each, _Combined)
        for cohort, weight in each.weights.items()
    ]
    frame = pd.DataFrame(rows, columns=["cohort", "period", "comparison_cohort", "weight"])
    whole = frame["comparison_cohort"].where(np.isfinite(frame["comparison_cohort"])).astype("Int64")
    return frame.astype({"cohort": "Int64", "period": "Int64"}).assign(comparison_cohort=whole)


def _notes(data: _Data, design: DidDesign) -> Iterator[str]:
    yield "triple differences: the effect on the eligible of treated places; the ineligible there must not be affected"
    if len(data.table.rows.names) > 1:
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


def _require_constant(table: Table, eligible: Array, design: DidDesign) -> None:
    changing = eligible != eligible[table.first][table.unit]
    if changing.any():
        raise DataError(
            code="E-IMP-116",
            what="a unit is eligible in some periods and not in others",
            where=str(design.eligible),
            found=f"units {list(table.units[np.unique(table.unit[changing])][:3])}",
            expected="one value for each unit of a panel, such as that before the treatment",
        )
