"""Stacked difference-in-differences: one small comparison for each cohort, with units untreated throughout.

Source: Cengiz, Dube, Lindner and Zipperer (2019), *Quarterly Journal of Economics* 134(3); Wing, Freedman and
Hollingsworth (2024), NBER working paper 32054, for the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from evaluation.impact.did_rows import Rows, read_rows, window
from evaluation.impact.effects import Arms, Effects, concat

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

NO_CLEAN = "nobody is untreated through the whole window"


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Effects of cohorts in the periods of a window around their start, and their averages.

    For each cohort g that is observed from g + first to g + last (`event_window`), a sub-experiment of these periods:
    the cohort against units that are untreated through all of them less anticipation (`comparison`: never treated, or
    those that start later than g + last as well),

        Y = α_unit + λ_period + Σ_{t ≠ b(g)} ATT(g, t) 1{cohort g, period t} + X′β + e,

    b(g) the last period before treatment less anticipation. Averages weigh cohorts by their shares among the treated;
    every event time averages the same cohorts. That is the coefficient of the stacked regression with weights one for
    treated and (share of the cohort among all treated) / (share of the sub-experiment among all comparison units) for
    comparison units; without these weights the stacked regression has weights of cohorts that depend on the numbers of
    comparison units. Cohorts without the whole window are left out and said. With one cohort and two periods it is the
    plain comparison of two changes.

    Without a window it is the widest one that leaves no cohort out. Standard errors: the influences of a unit are
    summed over the sub-experiments that it is part of; the estimation of shares is in the influence. Effects of several
    sub-experiments have no one regression behind them: their standard error is `influence`.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: comparison, aggregate, anticipation, panel, event_window.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        DataError: what `read_rows` and `window` refuse; no cohort with the whole window and somebody to compare with.

    Source: Wing, Freedman and Hollingsworth (2024), sections 3 to 5.
    """
    rows = cast("Rows", window(read_rows(sample, outcome, design), design))
    rows = without_singles(rows, design)
    span = _Span.of(rows, design)
    stacks = [_stack(rows, design, span, start) for start in np.unique(rows.cohort[np.isfinite(rows.cohort)])]
    found = [stack for stack in stacks if stack.effects is not None]
    _require_stacks(found, span, rows)
    return assemble(
        concat([stack.effects for stack in found if stack.effects is not None]),
        Groups.of(rows).shares(rows.outcome),
        aggregate=design.aggregate,
        skipped=pd.concat([stack.skipped for stack in stacks], ignore_index=True),
        flow=rows.flow,
        notes=(*rows.notes, *span.notes(stacks), *_covariate_notes(found)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Event times of the sub-experiments, first to last, and whether the evaluator chose them."""

    first: float
    last: float
    chosen: bool

    @classmethod
    def of(cls, rows: Rows, design: DidDesign) -> _Span:
        """The design's window, or the widest that every cohort has."""
        starts = np.unique(rows.cohort[np.isfinite(rows.cohort)])
        low, high = rows.period.min(), rows.period.max()
        wanted, lead = design.event_window, design.anticipation
        base = base_periods(np.unique(rows.period), starts, lead)
        nearest = float((base - starts).min())  # each cohort needs its reference period
        first = float((low - starts).max()) if wanted.first is None else min(float(wanted.first), -1.0 - lead)
        last = float((high - starts).min()) if wanted.last is None else float(wanted.last)
        if wanted.last is None and wanted.balanced is not None:
            last = float(wanted.balanced)
        chosen = wanted != type(wanted)()
        return cls(first=min(first, nearest) if wanted.first is None else first, last=max(last, 0.0), chosen=chosen)

    def has(self, start: float, periods: Array) -> bool:
        """Whether the periods hold the whole window of a cohort."""
        return bool(periods.min() <= start + self.first and periods.max() >= start + self.last)

    def notes(self, stacks: list[_Stack]) -> tuple[str, ...]:
        """Which event times, and which cohorts are left out."""
        without = "" if self.chosen else ": the widest window that every cohort has"
        said = f"sub-experiments hold event times {self.first:.0f} to {self.last:.0f}{without}"
        lost = {stack.reason: [] for stack in stacks if stack.reason}  # type: dict[str, list[str]]
        for stack in stacks:
            if stack.reason:
                lost[stack.reason].append(f"{stack.start:.0f}")
        return (said, *(f"cohorts left out ({reason}): {', '.join(names)}" for reason, names in lost.items()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stack:
    """The sub-experiment of a cohort: effects, or the reason why there are none, and cells without an estimate."""

    start: float
    effects: Effects | None
    skipped: pd.DataFrame
    reason: str = ""
    notes: tuple[str, ...] = ()


def _stack(rows: Rows, design: DidDesign, span: _Span, start: float) -> _Stack:
    periods = np.unique(rows.period)
    inside = (rows.period >= start + span.first) & (rows.period <= start + span.last)
    until = start + span.last + design.anticipation
    clean = np.isinf(rows.cohort) if design.comparison == "never_treated" else rows.cohort > until
    own = rows.cohort == start
    base = float(base_periods(periods, np.array([start]), design.anticipation)[0])
    seen = np.unique(rows.period[inside & own])
    labels = cell_labels(rows.outcome, _cells(start, seen, base), design.anticipation)
    if not span.has(start, periods):
        return _left_out(start, labels, "the data do not hold its whole window", "trimmed")
    if not (inside & clean & ~own).any() or base not in seen:
        return _left_out(
            start, labels, NO_CLEAN if base in seen else "nobody seen in its reference period", "empty_cell"
        )
    part = _taken(rows, inside & (own | clean))
    dummies = ((part.cohort == start) & (part.period == seen[seen != base][:, None])).T.astype(float)
    fitted = fit(part, design, dummies, [f"cohort {start:.0f} in {t:.0f}" for t in seen if t != base])
    if fitted is None:
        return _left_out(start, labels, "nothing varies in its sub-experiment", "collinear")
    return _estimated(start, seen, base, labels, fitted)


def _taken(rows: Rows, mask: Array) -> Rows:
    """Rows of a sub-experiment; those that another one uses are not dropped, so that nothing is counted."""
    return Rows(
        ids=rows.ids,
        **{name: getattr(rows, name)[mask] for name in ("unit", "period", "cohort", "y", "design", "weight")},
        names=rows.names,
        outcome=rows.outcome,
    )


def _cells(start: float, periods: Array, base: float) -> Array:
    """(C, 3) cohort, period and reference period."""
    return np.column_stack([np.full(len(periods), start), periods, np.full(len(periods), base)])


def _left_out(start: float, labels: pd.DataFrame, reason: str, code: str) -> _Stack:
    return _Stack(start=start, effects=None, skipped=skipped_cells(labels, code, reason), reason=reason)


def _estimated(start: float, seen: Array, base: float, labels: pd.DataFrame, fitted: Fitted) -> _Stack:
    reference = seen == base
    position = np.where(reference, -1, np.cumsum(~reference) - 1)
    found = reference.copy()
    found[~reference] = fitted.known
    treated = (fitted.groups.starts == start)[:, None] & ~reference[found]
    arms = Arms(
        codes=fitted.groups.group,
        treated=treated,
        comparison=(fitted.groups.starts != start)[:, None] & ~reference[found],
    )
    return _Stack(
        start=start,
        effects=fitted.effects(position[found], labels[found].reset_index(drop=True), arms),
        skipped=skipped_cells(labels[~found], "collinear", "other cells, unit and period effects say it already"),
        notes=fitted.note(),
    )


def _covariate_notes(stacks: list[_Stack]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for stack in stacks for note in stack.notes))


def _require_stacks(stacks: list[_Stack], span: _Span, rows: Rows) -> None:
    after = any((stack.effects.labels["phase"] == "post").any() for stack in stacks if stack.effects is not None)
    if not after:
        raise DataError(
            code="E-IMP-104",
            what="no cohort has the whole window of a sub-experiment and somebody to compare with",
            where=rows.outcome,
            found=f"event times {span.first:.0f} to {span.last:.0f} in periods {rows.period.min():.0f} to "
            f"{rows.period.max():.0f}",
            fix="a shorter event_window, or comparison: not_yet_treated",
        )
