"""Difference-in-differences by one regression with a dummy for each cohort and event time (Sun and Abraham).

Source: Sun and Abraham (2021), *Journal of Econometrics* 225(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_regression import (
    Fitted,
    Groups,
    base_periods,
    cell_labels,
    fit,
    skipped_cells,
    without_singles,
)
from evaluation.impact.did_result import DidResult, assemble
from evaluation.impact.did_rows import Rows, complete, read_rows, window
from evaluation.impact.effects import Arms, Effects

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Effects of cohorts in periods from a regression with all interactions, and their averages.

        Y = α_unit + λ_period + Σ_g Σ_{t ≠ b(g)} ATT(g, t) 1{cohort g, period t} + X′β + e

    The reference of each cohort is its last period before treatment less anticipation, b(g); never treated units, or
    the last cohort until it is treated, have no dummies: everybody is compared with them alone, so that `comparison`
    and `base_period` say nothing here. On balanced panels without covariates this is the comparison of means of `did`
    with comparison never treated and a universal base. Covariates that never change say nothing beyond unit effects and
    are left out; the others have one slope for everybody. Repeated cross-sections have a constant for each cohort.

    Averages weigh cohorts by their shares; the estimation of the shares is in the influence. fixest's `sunab` takes the
    shares as known, which makes its standard errors of averages smaller; those of single cells are the same.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: aggregate, anticipation, panel, event_window.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        DataError: what `read_rows` and `window` refuse; no effect after treatment that can be estimated.

    Source: Sun and Abraham (2021), definition 3 and section 4.1.
    """
    rows = cast("Rows", window(read_rows(sample, outcome, design), design))
    rows = without_singles(rows, design)
    rows, base = _with_reference(rows, design)
    cells = _cells(rows, base)
    names = [f"cohort {g:.0f} in {t:.0f}" for g, t, b in cells if t != b]
    fitted = _with_after(cells, fit(rows, design, _dummies(rows, cells), names), rows)
    group_time, skipped = _group_time(rows, design, cells, fitted)
    return assemble(
        group_time,
        fitted.groups.shares(rows.outcome),
        aggregate=design.aggregate,
        skipped=skipped,
        flow=rows.flow,
        notes=(*rows.notes, *_balance_note(rows, design), *fitted.note()),
        event_window=design.event_window,
    )


def _with_reference(rows: Rows, design: DidDesign) -> tuple[Rows, dict[float, float]]:
    """Rows of cohorts that are seen in their reference period, and these periods by cohort."""
    starts = np.unique(rows.cohort[np.isfinite(rows.cohort)])
    base = dict(zip(starts, base_periods(np.unique(rows.period), starts, design.anticipation), strict=True))
    seen = {start for start in starts if ((rows.cohort == start) & (rows.period == base[start])).any()}
    kept = np.isinf(rows.cohort) | np.isin(rows.cohort, sorted(seen))
    rows = rows.keep(kept, "no_reference", "nobody of the cohort is seen in the last period before its treatment")
    return rows, {start: base[start] for start in seen}


def _cells(rows: Rows, base: dict[float, float]) -> Array:
    """(C, 3) cohort, period and reference period of the treated cohorts, in order."""
    treated = np.isfinite(rows.cohort)
    pairs = np.unique(np.column_stack([rows.cohort[treated], rows.period[treated]]), axis=0)
    return np.column_stack([pairs, [base[start] for start in pairs[:, 0]]]).reshape(-1, 3)


def _dummies(rows: Rows, cells: Array) -> Array:
    """(N, d) a column for each cell that is no reference, stored one after the other."""
    wanted = cells[cells[:, 1] != cells[:, 2]]
    columns = np.zeros((len(wanted), len(rows.y)))
    for column, (start, period, _) in zip(columns, wanted, strict=True):
        column[(rows.cohort == start) & (rows.period == period)] = 1.0
    return columns.T


def _group_time(rows: Rows, design: DidDesign, cells: Array, fitted: Fitted) -> tuple[Effects, pd.DataFrame]:
    """ATT(g, t) with references of zero, and the cells without an estimate."""
    reference = cells[:, 1] == cells[:, 2]
    position = np.where(reference, -1, np.cumsum(~reference) - 1)
    found = reference.copy()
    found[~reference] = fitted.known
    labels = cell_labels(rows.outcome, cells, design.anticipation)
    chosen = labels[found].reset_index(drop=True)
    effects = fitted.effects(position[found], chosen, _arms(fitted.groups, cells[found], reference[found]))
    missed = labels[~found].reset_index(drop=True)
    return effects, skipped_cells(missed, "collinear", "other cells, unit and period effects say it already")


def _arms(groups: Groups, cells: Array, reference: Array) -> Arms:
    """Treated is the cohort, comparison those without dummies."""
    treated = (groups.starts[:, None] == cells[:, 0]) & ~reference
    comparison = np.isinf(groups.starts)[:, None] & ~reference
    return Arms(codes=groups.group, treated=treated, comparison=comparison)


def _balance_note(rows: Rows, design: DidDesign) -> tuple[str, ...]:
    if design.panel != "unbalanced" or complete(rows).all():
        return ()
    return ("units lack periods: cells are compared by regression, not by the means of the same units",)


def _with_after(cells: Array, fitted: Fitted | None, rows: Rows) -> Fitted:
    """The fit, if it says something about effects after treatment."""
    after = cells[cells[:, 1] != cells[:, 2]]
    after = after[:, 1] >= after[:, 0]
    if fitted is None or not (fitted.known & after).any():
        raise DataError(
            code="E-IMP-101",
            what="the regression with cohorts and event times says nothing about effects after treatment",
            where=rows.outcome,
            found="; ".join(f"{step.dropped} rows: {step.reason}" for step in rows.flow) or "collinear cells",
            expected="a cohort seen in its last period before treatment and after it, and units to compare with",
        )
    return fitted
