"""Difference-in-differences by regression: rows, dummies and effects that the regression estimators share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_result import cohort_shares, effect_labels
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.panel_regression import Estimable, two_way_estimable
from evaluation.impact.regression import Grouping, Regression

if TYPE_CHECKING:
    from evaluation.impact.did_rows import Rows
    from evaluation.settings.designs import DidDesign

Array = np.ndarray


def without_singles(rows: Rows, design: DidDesign) -> Rows:
    """Rows without units that have one row only, and periods likewise: their own constant fits them exactly.

    Repeated cross-sections, whose constants are those of cohorts, keep them.
    """
    if design.panel == "repeated_cross_section":
        return rows
    kept = np.ones(len(rows.unit), dtype=bool)
    while kept.any():
        times = np.unique(rows.period, return_inverse=True)[1]
        several = (np.bincount(rows.unit, kept)[rows.unit] > 1) & (np.bincount(times, kept)[times] > 1)
        if several[kept].all():
            break
        kept &= several
    _require_several(kept)
    return rows.keep(kept, "single_row", "the unit or the period has one row only: its constant fits it exactly")


def _require_several(kept: Array) -> None:
    if not kept.any():
        raise DataError(
            code="E-IMP-102",
            what="no unit has two rows with an outcome, so that nobody is seen to change",
            found="units with one row each",
            fix="set panel: repeated_cross_section if each period has other people",
        )


def constants(rows: Rows, design: DidDesign) -> Array:
    """(N,) who has a constant of its own: units, or cohorts in repeated cross-sections."""
    if design.panel == "repeated_cross_section":
        return np.unique(rows.cohort, return_inverse=True)[1]
    return rows.unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Units and their cohorts.

    Attributes:
        units: (n,) ids of the units that have a row, in the order of `Rows.ids`.
        person: (N,) position of each row's unit in `units`.
        group: (n,) position of the unit's cohort in `starts`.
        starts: (A,) first treated periods, increasing; the last may be infinite (never).
        weight: (n,) weight of the unit's first row.
    """

    units: pd.Index
    person: Array
    group: Array
    starts: Array
    weight: Array

    @classmethod
    def of(cls, rows: Rows) -> Groups:
        """The units of rows that are sorted by unit."""
        first = np.flatnonzero(np.diff(rows.unit, prepend=-1) > 0)
        starts, group = np.unique(rows.cohort[first], return_inverse=True)
        return cls(
            units=rows.ids[rows.unit[first]],
            person=np.repeat(np.arange(len(first)), np.diff(np.append(first, len(rows.unit)))),
            group=group,
            starts=starts,
            weight=rows.weight[first],
        )

    def among(self, regression: Regression) -> Regression:
        """The regression of the same rows, whose influences are those of the units."""
        grouping = Grouping(codes=self.person, ids=self.units)
        return replace(regression, units=self.units[self.person], grouping=grouping)

    def shares(self, outcome: str) -> Effects:
        """Weighted shares of the treated cohorts."""
        return cohort_shares(self.units, self.group, self.starts, self.weight, outcome)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Coefficients of dummies, net of unit and period constants and of covariates that move.

    Attributes:
        estimable: the regression on dummies, then covariates.
        n_dummies: the first columns.
        groups: the units that influences belong to.
        absent: names of covariates that constants, dummies and earlier covariates say already.
    """

    estimable: Estimable
    n_dummies: int
    groups: Groups
    absent: tuple[str, ...]

    @property
    def known(self) -> Array:
        """(d,) True for dummies with a coefficient of their own."""
        return self.estimable.known[: self.n_dummies]

    @property
    def kept(self) -> Array:
        """(d,) True for dummies in the regression: where several say the same, the first ones."""
        return self.estimable.kept[: self.n_dummies]

    def effects(self, wanted: Array, labels: pd.DataFrame, arms: Arms) -> Effects:
        """Coefficients as effects, a row for each label: the position of its dummy, or -1 for a reference (zero).

        Args:
            wanted: (K,) positions of dummies that are kept, or -1.
            labels: K rows.
            arms: of the units of `groups`.
        """
        place = np.cumsum(self.estimable.kept) - 1
        loading = np.zeros((len(wanted), int(self.estimable.kept.sum())))
        real = np.flatnonzero(wanted >= 0)
        loading[real, place[wanted[real]]] = 1.0
        fit = self.estimable.fit
        return fit.to_effects(loading, labels, fit.units, arms)

    def note(self) -> tuple[str, ...]:
        """A sentence on covariates that add nothing."""
        if not self.absent:
            return ()
        return (
            f"left out because unit and period effects or other columns say them already: {', '.join(self.absent)}",
        )


def fit(rows: Rows, design: DidDesign, dummies: Array, names: list[str]) -> Fitted | None:
    """Regression of the outcome on dummies (N, d), covariates and constants; None if nothing varies."""
    covariates = rows.design[:, 1:]
    estimable = two_way_estimable(
        rows.y,
        np.hstack([dummies, covariates]),
        [*names, *rows.names[1:]],
        unit=constants(rows, design),
        period=rows.period,
        weights=rows.weight,
    )
    if estimable is None:
        return None
    used = estimable.kept[dummies.shape[1] :]
    absent = tuple(name for name, kept in zip(rows.names[1:], used, strict=True) if not kept)
    groups = Groups.of(rows)
    return Fitted(
        estimable=replace(estimable, fit=groups.among(estimable.fit)),
        n_dummies=dummies.shape[1],
        groups=groups,
        absent=absent,
    )


def cell_labels(outcome: str, cells: Array, lead: int) -> pd.DataFrame:
    """Labels of ATT(g, t) from (C, 3) cohort, period and reference period: those, event_time and phase."""
    cohort, period, base = cells.T
    labels = effect_labels("group_time", outcome, len(cohort), cohort=cohort, period=period, event_time=period - cohort)
    before = np.where(period >= cohort - lead, "anticipation", "pre")
    phase = np.select([period == base, period >= cohort], ["reference", "post"], before)
    return labels.assign(base_period=base.astype(int), phase=phase)


def base_periods(periods: Array, starts: Array, lead: int) -> Array:
    """(A,) last period t with t + lead < start, of increasing periods; missing where there is none."""
    place = np.searchsorted(periods + lead, starts, side="left") - 1
    return np.where(place >= 0, periods[np.maximum(place, 0)], np.nan)


def skipped_cells(labels: pd.DataFrame, reason: str, detail: str) -> pd.DataFrame:
    """Rows of `DidResult.skipped` from labels of cells."""
    return labels.assign(reason=reason, detail=detail).drop(columns=["term", "outcome", "phase"])
