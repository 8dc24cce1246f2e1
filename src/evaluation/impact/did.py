"""Difference-in-differences with treatment that starts at different dates.

Effects of each cohort in each period, ATT(g, t), against units that are never or not yet treated, and their averages,
all as `Effects` with influence functions. Bookkeeping follows R did 2.5.1: which periods are compared, who is compared,
which units and periods must go.

Source: Callaway and Sant'Anna (2021), *Journal of Econometrics* 225(2); Sant'Anna and Zhao (2020) for the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_engine import Cell, Cohorts, Estimates, estimate_cells, sorted_by_cohort
from evaluation.impact.did_result import REASONS, DidResult, assemble, effect_labels
from evaluation.impact.did_rows import as_grid, read_table, window
from evaluation.impact.effects import Arms, Effects

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign


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
        DataError: a unit that changes its cohort or has a period twice; nobody treated within the periods, or nobody to
            compare with; no unit with all periods; no effect after treatment that can be estimated.

    Source: Callaway and Sant'Anna (2021), sections 2-4 and theorem 2; see `did_cells` for the three estimators.
    """
    read = as_grid(window(read_table(sample, outcome, design), design), design)
    table = sorted_by_cohort(read)
    estimates = estimate_cells(table, list(plan(table, design)), design.estimator)
    _require_post(table, estimates)
    return assemble(
        _group_time(table, estimates),
        _shares(table, estimates),
        aggregate=design.aggregate,
        skipped=_skipped(table, estimates),
        flow=read.flow,
        notes=read.notes,
        event_window=design.event_window,
    )


def plan(table: Cohorts, design: DidDesign) -> Iterator[Cell]:
    """Which period is compared with which, and with whom.

    In the anticipation window the base is that of the effects after treatment (R did 2.5.1 takes the period before).
    """
    lead, last = design.anticipation, len(table.periods)
    for cohort in np.flatnonzero(np.isfinite(table.starts)):
        start = table.starts[cohort]
        reference = int(np.flatnonzero(table.periods + lead < start)[-1])
        for period in range(1 if design.base_period == "varying" else 0, last):
            near = design.base_period == "varying" and period <= reference
            base = period - 1 if near else reference
            limit = np.inf if design.comparison == "never_treated" else table.periods[max(period, base)] + lead
            others = np.isinf(table.starts) | ((table.starts > limit) & (table.starts != start))
            yield Cell(
                cohort=int(cohort),
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


def _group_time(table: Cohorts, found: Estimates) -> Effects:
    return Effects(
        estimate=found.estimate,
        labels=_cell_labels(table, found.cells, phase=[cell.phase for cell in found.cells]),
        influence=found.influence,
        units=table.units,
        arms=_arms(table, found.cells),
    )


def _shares(table: Cohorts, found: Estimates) -> Effects:
    """Weighted shares of the treated cohorts, which weigh the averages and are estimated too."""
    treated = np.isfinite(table.starts)
    none = np.zeros((len(table.starts), int(treated.sum())), dtype=bool)
    return Effects(
        estimate=(table.masses / len(table.units))[treated],
        labels=effect_labels("share", table.outcome, int(treated.sum()), cohort=table.starts[treated]),
        influence=found.shares.chosen(treated),
        units=table.units,
        arms=Arms(codes=table.codes, treated=none, comparison=none),
    )


def _cell_labels(table: Cohorts, cells: Sequence[Cell], **columns: Any) -> pd.DataFrame:
    cohort = table.starts[np.array([cell.cohort for cell in cells], dtype=np.intp)]
    period = table.periods[np.array([cell.period for cell in cells], dtype=np.intp)]
    base = table.periods[np.array([cell.base for cell in cells], dtype=np.intp)].astype(int)
    numbers = {"cohort": cohort, "period": period, "event_time": period - cohort, "base_period": base}
    return effect_labels("group_time", table.outcome, len(cells), **numbers, **columns)


def _arms(table: Cohorts, cells: Sequence[Cell]) -> Arms:
    treated = np.zeros((len(table.starts), len(cells)), dtype=bool)
    comparison = treated.copy()
    for k, cell in enumerate(cells):
        treated[cell.cohort, k] = cell.phase != "reference"
        comparison[list(cell.comparison), k] = cell.phase != "reference"
    return Arms(codes=table.codes, treated=treated, comparison=comparison)


def _skipped(table: Cohorts, found: Estimates) -> pd.DataFrame:
    why = list(found.missed.values())
    reasons = {"reason": [one.reason for one in why], "detail": [one.detail for one in why]}
    labels = _cell_labels(table, list(found.missed), **reasons)
    return labels.drop(columns=["term", "outcome"])


def _require_post(table: Cohorts, found: Estimates) -> None:
    if not any(cell.phase == "post" for cell in found.cells):
        reasons = {f"{REASONS[why.reason]}: {why.detail}".rstrip(": ") for why in found.missed.values()}
        raise DataError(
            code="E-IMP-039",
            what="no effect after treatment can be estimated",
            where=table.outcome,
            found="; ".join(sorted(reasons)[:3]),
            fix="use fewer covariates, or a comparison that is more like the treated",
        )
