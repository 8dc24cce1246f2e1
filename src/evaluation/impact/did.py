"""Difference-in-differences with treatment that starts at different dates.

Effects of each cohort in each period, ATT(g, t), against units that are never or not yet treated, and their averages,
all as `Effects` with influence functions. Bookkeeping follows R did 2.5.1: which periods are compared, who is compared,
which units and periods must go.

Source: Callaway and Sant'Anna (2021), *Journal of Econometrics* 225(2); Sant'Anna and Zhao (2020) for the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParametersError
from evaluation.impact.covariates import covariate_columns, model_matrix
from evaluation.impact.did_cells import NotIdentified, cross_section_cell, panel_cells
from evaluation.impact.effects import Arms, Effects, clear_noise, concat
from evaluation.sample import FlowStep

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

ESTIMATORS = ("doubly_robust", "regression", "inverse_probability")
AGGREGATES = ("simple", "event_time", "cohort", "calendar")
REASONS = {
    "too_few_rows": "fewer comparison rows than coefficients",
    "collinear": "covariates are combinations of one another within the cell",
    "separation": "covariates tell treated and comparison units apart",
    "overlap": "some treated units have no comparable units",
    "empty_cell": "no treated or no comparison rows in one of the two periods",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DidResult:
    """What one difference-in-differences says.

    Attributes:
        group_time: ATT(g, t): labels cohort, period, event_time, base_period and phase ("pre", "anticipation", "post",
            "reference" for the universal base period, which is zero by construction).
        aggregates: by name (simple, event_time, cohort, calendar): a row for each event time, cohort or period.
        overall: by name: one row (term att), the average that the name stands for.
        headline: `overall` of the design's `aggregate`.
        skipped: cells without an estimate: cohort, period, base_period, reason (a key of `REASONS`), detail.
        flow: rows dropped by this estimator, and why.
        notes: choices that the data forced, one sentence each.
    """

    group_time: Effects
    aggregates: Mapping[str, Effects]
    overall: Mapping[str, Effects]
    headline: Effects
    skipped: pd.DataFrame
    flow: tuple[FlowStep, ...]
    notes: tuple[str, ...]

    @property
    def pre_treatment(self) -> Effects:
        """Effects before treatment and before anticipation: what a test of parallel trends looks at."""
        return self.group_time.select(self.group_time.labels["phase"] == "pre")


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Group-time effects and their averages.

        ATT(g, t) = E[Yₜ - Y_b | cohort g] - E[Yₜ - Y_b | comparison], given covariates,

    with base period b = the last period before g less anticipation for t ≥ g less anticipation, else the period before
    t (`base_period: varying`), or always the former (`universal`). The comparison is never treated, or not yet treated
    by the later of t and b plus anticipation. Covariates and weights are those of the earlier of t and b.

    Averages, with p_g the weighted share of cohort g, over cells t ≥ g: simple Σ p_g ATT / Σ p_g; event_time the same
    at each t - g, overall their plain mean from 0 on; cohort the plain mean over t, overall weighted by p_g; calendar
    weighted by p_g in each t, overall their plain mean. The estimation of p_g is in the influence.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: comparison, estimator, aggregate, base_period, anticipation, panel.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        ParametersError: an estimator or aggregate that is not implemented.
        DataError: a unit that changes its cohort or has a period twice; nobody treated within the periods, or nobody to
            compare with; no unit with all periods; no effect after treatment that can be estimated.

    Source: Callaway and Sant'Anna (2021), sections 2-4 and theorem 2; see `did_cells` for the three estimators.
    """
    _require_known(design)
    rows = _window(_read(sample, outcome, design), design)
    data = _wide(rows) if _is_panel(rows, design) else _long(rows)
    cells = list(_plan(data, design))
    results = data.estimates([cell for cell in cells if cell.phase != "reference"], design.estimator)
    group_time = _group_time(data, cells, results)
    averages = _averages(group_time, _shares(data))
    overall = {name: _overall(name, averages) for name in AGGREGATES}
    return DidResult(
        group_time=group_time,
        aggregates={name: averages.select(averages.labels["term"] == name) for name in AGGREGATES},
        overall=overall,
        headline=overall[design.aggregate],
        skipped=_skipped(data, cells, results),
        flow=rows.flow,
        notes=(*rows.notes, *_panel_note(rows, design)),
    )


# rows that enter ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
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

    def keep(self, mask: Array, step: str, reason: str) -> _Rows:
        """The rows where `mask` is True; a step is counted only if it drops something."""
        if mask.all():
            return self
        treated = np.isfinite(self.cohort)
        counted = FlowStep(
            step=step,
            dropped=int((~mask).sum()),
            left=int(mask.sum()),
            reason=reason,
            dropped_treated=int((~mask & treated).sum()),
            dropped_comparison=int((~mask & ~treated).sum()),
        )
        chosen = {name: getattr(self, name)[mask] for name in ("unit", "period", "cohort", "y", "design", "weight")}
        return replace(self, **chosen, flow=(*self.flow, counted))


def _read(sample: Sample, outcome: str, design: DidDesign) -> _Rows:
    frame, unit, ids = _sorted(sample.frame)
    covariates = model_matrix(frame, sample.names, columns=covariate_columns(frame))
    rows = _Rows(
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


def _window(rows: _Rows, design: DidDesign) -> _Rows:
    """The units and periods that say something about an effect, as in R did 2.5.1."""
    _require_two_periods(rows)
    lead = design.anticipation
    rows = replace(rows, cohort=np.where(rows.cohort > rows.period.max() + lead, np.inf, rows.cohort))
    early = rows.cohort <= rows.period.min() + lead
    rows = rows.keep(~early, "treated_from_the_start", "treated in the first period: no change to see")
    rows = _with_comparison(rows, lead)
    if design.panel == "balanced":
        rows = rows.keep(_complete(rows), "unbalanced", "the unit lacks a period, and the panel is to be balanced")
        _require_units_left(rows)
        rows = _with_comparison(rows, lead)
    _require_treated(rows)
    return rows


def _with_comparison(rows: _Rows, lead: int) -> _Rows:
    """Where nobody is never treated, the last cohort is the comparison until it is treated."""
    if not len(rows.cohort) or np.isinf(rows.cohort).any():
        return rows
    last = rows.cohort.max()
    note = (
        f"nobody is never treated: cohort {last:.0f} is the comparison, periods from {last - lead:.0f} on are left out"
    )
    kept = rows.keep(rows.period < last - lead, "no_comparison", "everybody is treated in this period")
    return replace(kept, cohort=np.where(kept.cohort == last, np.inf, kept.cohort), notes=(*kept.notes, note))


def _complete(rows: _Rows) -> Array:
    """(N,) True for rows of units that have every period."""
    return np.asarray(np.bincount(rows.unit)[rows.unit] == len(np.unique(rows.period)))


def _is_panel(rows: _Rows, design: DidDesign) -> bool:
    return design.panel != "repeated_cross_section" and bool(_complete(rows).all())


def _panel_note(rows: _Rows, design: DidDesign) -> tuple[str, ...]:
    whole = design.panel == "unbalanced" and _is_panel(rows, design)
    return ("no unit lacks a period: estimated as a balanced panel",) if whole else ()


# cells ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """Positions of a cohort, a period, its base period and the cohorts to compare with."""

    cohort: int
    period: int
    base: int
    comparison: tuple[int, ...]
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """An estimate and the influence of some of the n units (positions `units`), scaled to a mean over all n."""

    estimate: float
    units: Array
    influence: Array


_Results = dict[_Cell, _Found | NotIdentified]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    """What panels and cross-sections share.

    Attributes:
        units: (n,) ids.
        group: (n,) position of the unit's cohort in `starts`.
        starts: (A,) first treated periods, increasing; the last may be infinite (never).
        periods: (T,) increasing.
        share_weight: (n,) weight of the unit's first row.
        names: p names of the columns of the design.
        outcome: what the evaluator calls the outcome.
        scale: largest |outcome|.
    """

    units: pd.Index
    group: Array
    starts: Array
    periods: Array
    share_weight: Array
    names: tuple[str, ...]
    outcome: str
    scale: float

    def sides(self, cell: _Cell) -> Array:
        """(A,) True for the cohorts that a cell compares."""
        sides = np.zeros(len(self.starts), dtype=bool)
        sides[[cell.cohort, *cell.comparison]] = True
        return sides


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Wide(_Data):
    """A balanced panel: y (n, T); design (n, T or 1, p) and weight (n, T or 1), one column where they never change."""

    y: Array
    design: Array
    weight: Array

    def estimates(self, cells: Sequence[_Cell], estimator: str) -> _Results:
        """All cells; those that share covariates, weights and comparison are one call with their changes as columns."""
        blocks: dict[tuple[int, tuple[int, ...], int, int], list[_Cell]] = {}
        for cell in cells:
            key = (cell.cohort, cell.comparison, *self._nuisance_periods(cell))
            blocks.setdefault(key, []).append(cell)
        results: _Results = {}
        for block in blocks.values():
            results.update(self._block(block, estimator))
        return results

    def _nuisance_periods(self, cell: _Cell) -> tuple[int, int]:
        """Positions of the design and of the weights of a cell: the earlier of its two periods."""
        early = min(cell.period, cell.base)
        return min(early, self.design.shape[1] - 1), min(early, self.weight.shape[1] - 1)

    def _block(self, cells: Sequence[_Cell], estimator: str) -> _Results:
        first = cells[0]
        rows = np.flatnonzero(self.sides(first)[self.group])
        y, (of_design, of_weight) = self.y[rows], self._nuisance_periods(first)
        found = panel_cells(
            y[:, [cell.period for cell in cells]] - y[:, [cell.base for cell in cells]],
            self.group[rows] == first.cohort,
            self.design[rows, of_design],
            self.weight[rows, of_weight],
            estimator=estimator,
            names=self.names,
        )
        if isinstance(found, NotIdentified):
            return dict.fromkeys(cells, found)
        influence = found[1] * (len(self.units) / len(rows))
        return {
            cell: _Found(estimate=float(found[0][j]), units=rows, influence=influence[:, j])
            for j, cell in enumerate(cells)
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Long(_Data):
    """Rows of units that need not have every period: unit and time are positions, (N,)."""

    unit: Array
    time: Array
    y: Array
    design: Array
    weight: Array

    def estimates(self, cells: Sequence[_Cell], estimator: str) -> _Results:
        """All cells, one after the other: each has rows of its own."""
        return {cell: self._cell(cell, estimator) for cell in cells}

    def _cell(self, cell: _Cell, estimator: str) -> _Found | NotIdentified:
        in_window = (self.time == cell.period) | (self.time == cell.base)
        rows = np.flatnonzero(in_window & self.sides(cell)[self.group[self.unit]])
        treated, after = self.group[self.unit[rows]] == cell.cohort, self.time[rows] == cell.period
        if len(np.unique(2 * treated + after)) < 4:
            return NotIdentified(reason="empty_cell", detail="")
        found = cross_section_cell(
            self.y[rows], treated, after, self.design[rows], self.weight[rows], estimator=estimator, names=self.names
        )
        return found if isinstance(found, NotIdentified) else self._by_unit(found, self.unit[rows])

    def _by_unit(self, found: tuple[Array, Array], units: Array) -> _Found:
        """A unit's influence is the sum of its rows'; m rows speak of a mean over m, n units of a mean over n."""
        positions, codes = np.unique(units, return_inverse=True)
        sums = np.bincount(codes, found[1][:, 0]) * (len(self.units) / len(units))
        return _Found(estimate=float(found[0][0]), units=positions, influence=sums)


def _wide(rows: _Rows) -> _Wide:
    common, _ = _common(rows)
    shape = (len(common["units"]), len(common["periods"]))
    return _Wide(
        **common,
        y=rows.y.reshape(shape),
        design=_constant_if_so(rows.design.reshape(*shape, -1)),
        weight=_constant_if_so(rows.weight.reshape(shape)),
    )


def _long(rows: _Rows) -> _Long:
    common, unit = _common(rows)
    time = np.searchsorted(common["periods"], rows.period)
    return _Long(**common, unit=unit, time=time, y=rows.y, design=rows.design, weight=rows.weight)


def _common(rows: _Rows) -> tuple[dict[str, Any], Array]:
    new = np.diff(rows.unit, prepend=-1) > 0
    first = np.flatnonzero(new)
    starts, group = np.unique(rows.cohort[first], return_inverse=True)
    common = {
        "units": rows.ids[rows.unit[first]],
        "group": group,
        "starts": starts,
        "periods": np.unique(rows.period),
        "share_weight": rows.weight[first],
        "names": rows.names,
        "outcome": rows.outcome,
        "scale": float(np.abs(rows.y).max()),
    }
    return common, np.cumsum(new) - 1


def _constant_if_so(values: Array) -> Array:
    """One column of time if all are equal: covariates that never change need one nuisance fit, not one a period."""
    return values[:, :1] if (values == values[:, :1]).all() else values


def _plan(data: _Data, design: DidDesign) -> Iterator[_Cell]:
    """Which period is compared with which, and with whom.

    In the anticipation window the base is that of the effects after treatment (R did 2.5.1 takes the period before).
    """
    lead, last = design.anticipation, len(data.periods)
    for cohort in np.flatnonzero(np.isfinite(data.starts)):
        start = data.starts[cohort]
        reference = int(np.flatnonzero(data.periods + lead < start)[-1])
        for period in range(1 if design.base_period == "varying" else 0, last):
            near = design.base_period == "varying" and period <= reference
            base = period - 1 if near else reference
            limit = np.inf if design.comparison == "never_treated" else data.periods[max(period, base)] + lead
            others = np.isinf(data.starts) | ((data.starts > limit) & (data.starts != start))
            yield _Cell(
                cohort=int(cohort),
                period=period,
                base=base,
                comparison=tuple(np.flatnonzero(others).tolist()),
                phase=_phase(data.periods[period], start, lead, reference=period == base),
            )


def _phase(period: float, start: float, lead: int, *, reference: bool) -> str:
    if reference:
        return "reference"
    if period >= start:
        return "post"
    return "anticipation" if period >= start - lead else "pre"


def _group_time(data: _Data, planned: Sequence[_Cell], results: _Results) -> Effects:
    cells = [cell for cell in planned if not isinstance(results.get(cell), NotIdentified)]
    _require_post(data, cells, results)
    estimate, influence = np.zeros(len(cells)), np.zeros((len(cells), len(data.units)))
    for k, cell in enumerate(cells):
        found = results.get(cell)  # none for a reference, which is zero by construction
        if isinstance(found, _Found):
            estimate[k] = found.estimate
            influence[k, found.units] = found.influence
    return Effects(
        estimate=estimate,
        labels=_cell_labels(data, cells, "group_time").assign(phase=[cell.phase for cell in cells]),
        influence=clear_noise(influence.T, data.scale),
        units=data.units,
        arms=_arms(data, cells),
    )


def _cell_labels(data: _Data, cells: Sequence[_Cell], term: str) -> pd.DataFrame:
    cohort = data.starts[[cell.cohort for cell in cells]]
    period = data.periods[[cell.period for cell in cells]]
    labels = _labels(term, data.outcome, len(cells), cohort=cohort, period=period, event_time=period - cohort)
    return labels.assign(base_period=data.periods[[cell.base for cell in cells]].astype(int))


def _labels(term: str, outcome: str, n: int, **columns: Array) -> pd.DataFrame:
    missing = pd.array([pd.NA] * n, dtype="Int64")
    numbers = dict.fromkeys(("cohort", "period", "event_time"), missing)
    numbers |= {name: pd.array(np.asarray(values).astype(int), dtype="Int64") for name, values in columns.items()}
    return pd.DataFrame({"term": [term] * n, "outcome": [outcome] * n, **numbers})


def _arms(data: _Data, cells: Sequence[_Cell]) -> Arms:
    treated = np.zeros((len(data.starts), len(cells)), dtype=bool)
    comparison = treated.copy()
    for k, cell in enumerate(cells):
        treated[cell.cohort, k] = cell.phase != "reference"
        comparison[list(cell.comparison), k] = cell.phase != "reference"
    return Arms(codes=data.group, treated=treated, comparison=comparison)


def _skipped(data: _Data, cells: Sequence[_Cell], results: _Results) -> pd.DataFrame:
    all_found = [(cell, results.get(cell)) for cell in cells]
    missed = [(cell, found) for cell, found in all_found if isinstance(found, NotIdentified)]
    labels = _cell_labels(data, [cell for cell, _ in missed], "group_time") if missed else _no_cells()
    return labels.assign(
        reason=[found.reason for _, found in missed], detail=[found.detail for _, found in missed]
    ).drop(columns=["term", "outcome"])


def _no_cells() -> pd.DataFrame:
    return _labels("group_time", "", 0).assign(base_period=np.empty(0, dtype=int))


# averages -------------------------------------------------------------------------------------------------------------


def _shares(data: _Data) -> Effects:
    """Weighted shares of the treated cohorts, which weigh the averages and are estimated too."""
    cohorts = np.flatnonzero(np.isfinite(data.starts))
    weight = data.share_weight / data.share_weight.mean()
    members = (weight * (data.group == cohorts[:, None])).T
    share = members.mean(axis=0)
    none = np.zeros((len(data.starts), len(cohorts)), dtype=bool)
    return Effects(
        estimate=share,
        labels=_labels("share", data.outcome, len(cohorts), cohort=data.starts[cohorts]),
        influence=members - share,
        units=data.units,
        arms=Arms(codes=data.group, treated=none, comparison=none),
    )


def _averages(group_time: Effects, shares: Effects) -> Effects:
    """Every average that is a ratio: θ = Σ c p_g ATT / Σ c p_g over cells, with fixed c and estimated shares p_g.

    Its derivative is c p_g / s in the cell's effect and Σ over the cohort's cells of c (ATT - θ) / s in p_g, s = Σ c
    p_g: the influence of estimated weights in Callaway and Sant'Anna (2021), theorem 2, by the delta method.
    """
    counts, labels = _ratios(group_time.labels)
    member = (group_time.labels["cohort"].to_numpy()[:, None] == shares.labels["cohort"].to_numpy()).astype(float)
    k = len(group_time)

    def ratio(values: Array) -> Array:
        weights = counts * (member @ values[k:])
        return np.asarray(weights @ values[:k] / weights.sum(axis=1))

    def slope(values: Array) -> Array:
        weights = counts * (member @ values[k:])
        total = weights.sum(axis=1, keepdims=True)
        departure = counts * (values[:k] - ratio(values)[:, None])
        return np.hstack([weights / total, departure @ member / total])

    return concat([group_time, shares]).nonlinear(ratio, slope, labels)


def _ratios(cells: pd.DataFrame) -> tuple[Array, pd.DataFrame]:
    """Coefficients c (M, K) and M labels: simple, event times, cohorts, periods, and the overall mean of cohorts."""
    post = (cells["phase"] == "post").to_numpy()
    outcome = cells["outcome"].iloc[0]
    rows, labels = [post[None, :]], [_labels("simple", outcome, 1)]
    for term, column, used in (
        ("event_time", "event_time", np.ones(len(cells), dtype=bool)),
        ("cohort", "cohort", post),
        ("calendar", "period", post),
    ):
        values = cells[column].to_numpy(dtype=float)
        distinct = np.unique(values[used])
        rows.append((values == distinct[:, None]) & used)
        labels.append(_labels(term, outcome, len(distinct), **{column: distinct}))
    cohorts = rows[2].astype(float)
    rows.append((cohorts / cohorts.sum(axis=1, keepdims=True)).sum(axis=0)[None, :])
    labels.append(_labels("overall_cohort", outcome, 1))
    return np.vstack(rows).astype(float), pd.concat(labels, ignore_index=True)


def _overall(name: str, averages: Effects) -> Effects:
    """The one number an average stands for, as term "att"."""
    labels = averages.labels
    if name in ("simple", "cohort"):
        used = labels["term"] == ("simple" if name == "simple" else "overall_cohort")
    else:
        used = (labels["term"] == name) & ~(labels["event_time"] < 0).fillna(value=False)
    weights = used.to_numpy(dtype=float) / used.sum()
    label = _labels("att", labels["outcome"].iloc[0], 1).assign(aggregate=name)
    return averages.contrast(weights, label)


# refusals -------------------------------------------------------------------------------------------------------------


def _require_known(design: DidDesign) -> None:
    if design.estimator not in ESTIMATORS or design.aggregate not in AGGREGATES:
        raise ParametersError(
            code="E-IMP-032",
            what="this difference-in-differences is not implemented",
            found=f"estimator {design.estimator}, aggregate {design.aggregate}",
            expected=f"estimator {', '.join(ESTIMATORS)}; aggregate {', '.join(AGGREGATES)}",
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


def _require_one_cohort(rows: _Rows, names: Mapping[str, str]) -> None:
    moved = (np.diff(rows.unit) == 0) & (rows.cohort[1:] != rows.cohort[:-1])
    if moved.any():
        raise DataError(
            code="E-IMP-034",
            what="a unit changes the period in which it is treated first",
            where=names.get("cohort", "cohort"),
            found=f"units {_first_units(rows, moved)}",
            expected="one first treated period for each unit, the same in all its rows",
        )


def _require_one_row_a_period(rows: _Rows, names: Mapping[str, str]) -> None:
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


def _first_units(rows: _Rows, later_row: Array) -> list[Any]:
    return list(rows.ids[np.unique(rows.unit[1:][later_row])[:3]])


def _require_two_periods(rows: _Rows) -> None:
    periods = np.unique(rows.period)
    if len(periods) < 2:
        raise DataError(
            code="E-IMP-036",
            what="a difference-in-differences needs at least two periods",
            found=f"{len(periods)} with an outcome",
        )


def _require_units_left(rows: _Rows) -> None:
    if not len(rows.unit):
        raise DataError(
            code="E-IMP-037",
            what="no unit has all periods",
            fix="set panel: unbalanced, or leave out the periods that most units lack",
        )


def _require_treated(rows: _Rows) -> None:
    if not np.isfinite(rows.cohort).any():
        raise DataError(
            code="E-IMP-038",
            what="nobody starts to be treated within the periods while others are not yet treated",
            found="; ".join([*rows.notes, *(f"{step.dropped} rows: {step.reason}" for step in rows.flow)])
            or "no cohort",
            expected="a cohort with a period before and a comparison",
        )


def _require_post(data: _Data, cells: Sequence[_Cell], results: _Results) -> None:
    if not any(cell.phase == "post" for cell in cells):
        reasons = [found for found in results.values() if isinstance(found, NotIdentified)]
        raise DataError(
            code="E-IMP-039",
            what="no effect after treatment can be estimated",
            where=data.outcome,
            found="; ".join(sorted({f"{REASONS[found.reason]}: {found.detail}".rstrip(": ") for found in reasons})[:3]),
            fix="use fewer covariates, or a comparison that is more like the treated",
        )
