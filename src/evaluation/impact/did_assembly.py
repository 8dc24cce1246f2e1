"""From cells of cohorts and periods to effects: what is compared with what, and how estimates become `Effects`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_cells import NotIdentified
from evaluation.impact.did_engine import Cell, Cohorts, Estimates
from evaluation.impact.did_result import REASONS, effect_labels
from evaluation.impact.effects import Arms, Effects

if TYPE_CHECKING:
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


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


def group_time(table: Cohorts, found: Estimates, arms: Arms | None = None) -> Effects:
    """ATT(g, t) of the cells that were found.

    Args:
        table: units sorted by cohort.
        found: estimates and influences of its cells.
        arms: who is compared with whom; the cohorts of each cell if None.
    """
    return Effects(
        estimate=found.estimate,
        labels=cell_labels(table, found.cells, phase=[cell.phase for cell in found.cells]),
        influence=found.influence,
        units=table.units,
        arms=arms or arms_of(table, found.cells),
    )


def shares(table: Cohorts, found: Estimates, codes: Array | None = None) -> Effects:
    """Weighted shares of the treated cohorts, which weigh the averages and are estimated too.

    Args:
        table: units sorted by cohort; those of weight zero count in no share.
        found: estimates of its cells, with the influences of the shares.
        codes: (n,) groups of the arms; the cohorts if None.
    """
    treated = np.isfinite(table.starts)
    codes = table.codes if codes is None else codes
    none = np.zeros((int(codes.max()) + 1, int(treated.sum())), dtype=bool)
    return Effects(
        estimate=(table.masses / len(table.units))[treated],
        labels=effect_labels("share", table.outcome, int(treated.sum()), cohort=table.starts[treated]),
        influence=found.shares.chosen(treated),
        units=table.units,
        arms=Arms(codes=codes, treated=none, comparison=none),
    )


def cell_labels(table: Cohorts, cells: Sequence[Cell], **columns: Any) -> pd.DataFrame:
    """Labels with cohort, period, event_time, base_period and other columns."""
    cohort = table.starts[np.array([cell.cohort for cell in cells], dtype=np.intp)]
    period = table.periods[np.array([cell.period for cell in cells], dtype=np.intp)]
    base = table.periods[np.array([cell.base for cell in cells], dtype=np.intp)].astype(int)
    numbers = {"cohort": cohort, "period": period, "event_time": period - cohort, "base_period": base}
    return effect_labels("group_time", table.outcome, len(cells), **numbers, **columns)


def arms_of(table: Cohorts, cells: Sequence[Cell]) -> Arms:
    """The cohorts of each cell; nobody in a reference."""
    treated = np.zeros((len(table.starts), len(cells)), dtype=bool)
    comparison = treated.copy()
    for k, cell in enumerate(cells):
        treated[cell.cohort, k] = cell.phase != "reference"
        comparison[list(cell.comparison), k] = cell.phase != "reference"
    return Arms(codes=table.codes, treated=treated, comparison=comparison)


def skipped(table: Cohorts, missed: Mapping[Cell, NotIdentified]) -> pd.DataFrame:
    """Cells without an estimate: cohort, period, event_time, base_period, reason, detail."""
    why = list(missed.values())
    reasons = {"reason": [one.reason for one in why], "detail": [one.detail for one in why]}
    labels = cell_labels(table, list(missed), **reasons)
    return labels.drop(columns=["term", "outcome"])


def require_post(table: Cohorts, found: Estimates) -> None:
    """Refuse a result without any effect after treatment."""
    if not any(cell.phase == "post" for cell in found.cells):
        reasons = {f"{REASONS[why.reason]}: {why.detail}".rstrip(": ") for why in found.missed.values()}
        raise DataError(
            code="E-IMP-039",
            what="no effect after treatment can be estimated",
            where=table.outcome,
            found="; ".join(sorted(reasons)[:3]),
            fix="use fewer covariates, or a comparison that is more like the treated",
        )


def require_post_compared(table: Cohorts, found: Estimates) -> None:
    """The same for estimators that choose with whom to compare, in words of their own."""
    if not any(cell.phase == "post" for cell in found.cells):
        reasons = sorted({f"{why.reason}: {why.detail}".rstrip(": ") for why in found.missed.values()})
        raise DataError(
            code="E-IMP-117",
            what="no cohort has an effect after treatment that can be estimated",
            where=table.outcome,
            found="; ".join(reasons[:3]) or "no cell",
            fix="use fewer covariates or lags, a wider caliper, or a comparison that is more like the treated",
        )
