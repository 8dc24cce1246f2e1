"""A panel of units that start at different dates, and what the methods ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.synthetic.estimate import Estimator, Outcomes, Solver, Synthetic, fit

if TYPE_CHECKING:
    from evaluation.sample import Sample

Array = np.ndarray

FEWEST_DONORS = 2  # one donor is a comparison of two units: there is nothing to weight
ROUNDING = 1e-9  # of the spread of the outcomes: a gap below is none
FEWEST_BEFORE = 2  # with one period before, every donor mixture of that level fits alike


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Outcomes of all units in all periods.

    Attributes:
        outcomes: (N, T).
        start: (N,) position of the first treated period; T for donors.
        units: (N,) ids.
        periods: (T,) ascending.
    """

    outcomes: Array
    start: Array
    units: pd.Index
    periods: Array

    @property
    def donors(self) -> Array:
        """Positions of the donors."""
        return np.flatnonzero(self.start == len(self.periods))

    @property
    def starts(self) -> list[int]:
        """Positions at which somebody starts, ascending."""
        return sorted({int(start) for start in self.start if start < len(self.periods)})

    def cohort(self, start: int) -> Outcomes:
        """Donors, and the units that start then."""
        return Outcomes(donors=self.outcomes[self.donors], treated=self.outcomes[self.start == start], n_before=start)

    def placebo(self, chosen: Array) -> Panel:
        """Donors only, some of which stand in the place of the treated, with their starts in the order of the units.

        Args:
            chosen: positions among the donors, one a treated unit.
        """
        kept = self.donors
        start = np.full(len(kept), len(self.periods))
        start[chosen] = np.sort(self.start[self.start < len(self.periods)])
        return replace(self, outcomes=self.outcomes[kept], start=start, units=self.units[kept])

    def without(self, unit: int) -> Panel:
        """All but the unit at a position."""
        kept = np.arange(len(self.units)) != unit
        return replace(self, outcomes=self.outcomes[kept], start=self.start[kept], units=self.units[kept])

    def backdated(self, by: int) -> Panel:
        """The periods before anybody starts, as if all had started `by` periods before the first start."""
        first = self.starts[0]
        start = np.where(self.start < len(self.periods), first - by, first)
        return replace(self, outcomes=self.outcomes[:, :first], start=start, periods=self.periods[:first])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Estimates of all cohorts and their mean.

    Attributes:
        panel: what was read.
        cohorts: start -> fit, ascending.
        shares: (C,) of treated cells (units times periods after), sum 1.
    """

    panel: Panel
    cohorts: dict[int, Synthetic]
    shares: Array

    @property
    def estimate(self) -> float:
        """Mean effect over all treated cells."""
        return float(self.shares @ [fitted.estimate for fitted in self.cohorts.values()])

    @property
    def ratio(self) -> float:
        """RMSPE after over RMSPE before, squares averaged over treated units; infinite after a perfect fit."""
        least = ROUNDING * float(self.panel.outcomes.std())
        sizes = np.array([np.count_nonzero(self.panel.start == start) for start in self.cohorts])
        squares = np.array([fitted.rmspe(start) for start, fitted in self.cohorts.items()]) ** 2
        before, after = np.sqrt(sizes @ squares / sizes.sum())
        return float(after / before) if before > least else np.inf

    def gaps(self) -> tuple[Array, Array]:
        """Event times, and at each the mean gap over the treated units that are observed then."""
        n_periods = len(self.panel.periods)
        sums = np.zeros(2 * n_periods)
        counts = np.zeros(2 * n_periods)
        for start, fitted in self.cohorts.items():
            place = np.arange(n_periods) - start + n_periods
            size = np.count_nonzero(self.panel.start == start)
            sums[place] += size * fitted.gaps
            counts[place] += size
        seen = np.flatnonzero(counts)
        return seen - n_periods, sums[seen] / counts[seen]


def fit_panel(panel: Panel, estimator: Estimator = "sdid", *, solver: Solver = "exact") -> Fitted:
    """Each cohort against the donors; the mean weights cohorts by treated units times periods after.

    Source: Arkhangelsky et al. (2021), appendix A (adoption at different dates).
    """
    outcomes = {start: panel.cohort(start) for start in panel.starts}
    cells = np.array([part.cells for part in outcomes.values()], dtype=float)
    cohorts = {start: fit(part, estimator, solver=solver) for start, part in outcomes.items()}
    return Fitted(panel=panel, cohorts=cohorts, shares=cells / cells.sum())


# reading --------------------------------------------------------------------------------------------------------------


def read_panel(
    sample: Sample, outcome: str = "outcome_1", *, estimator: Estimator = "sdid", donors: Sequence[object] = ()
) -> Panel:
    """The panel of a sample, if the method can use it. Units that start after the last period are donors.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated) and `outcome`.
        outcome: canonical outcome column.
        estimator: did is content with one period before and one donor.
        donors: ids of those to choose from; all never treated if none is named.

    Raises:
        DataError: units without an outcome in some period; nobody treated within the periods; a named donor that is
            treated or not there; fewer than two donors; fewer than two periods before the first start.
    """
    frame = _chosen(sample, donors) if donors else sample.frame
    wide = frame.pivot(index="unit", columns="period", values=outcome)
    _require_complete(wide, sample.names.get(outcome, outcome), sample)
    periods = wide.columns.to_numpy(dtype=np.int64)
    cohort = frame.drop_duplicates("unit").set_index("unit")["cohort"].reindex(wide.index)
    first = cohort.fillna(int(periods[-1]) + 1).to_numpy(dtype=np.int64)
    start = np.searchsorted(periods, first)
    inside = start > 0  # who is treated in the first period already has no period before
    panel = Panel(
        outcomes=wide.to_numpy(dtype=float)[inside], start=start[inside], units=wide.index[inside], periods=periods
    )
    _require_usable(panel, estimator, sample)
    return panel


def _chosen(sample: Sample, donors: Sequence[object]) -> pd.DataFrame:
    """Rows of the treated and of the named donors."""
    frame, named = sample.frame, {str(donor) for donor in donors}
    unit = frame["unit"].astype(str)
    treated = frame["cohort"].notna()
    both = sorted(named & set(unit[treated]))
    if both:
        raise DataError(
            code="E-IMP-325",
            what="A treated unit is among the donors.",
            where="donors: in the design",
            found=", ".join(both),
            expected="units that were never treated",
            fix="take it out of donors:, or check when it was treated under cohort:",
        )
    unknown = sorted(named - set(unit))
    if unknown:
        raise DataError(
            code="E-IMP-326",
            what="Named donors are not in the sample.",
            where="donors: in the design",
            found=", ".join(unknown),
            expected=f"units such as {', '.join(sorted(set(unit[~treated]))[:5])}",
            fix="correct the ids; units without a row in every period are left out beforehand",
        )
    return frame[treated | unit.isin(named)]


def _require_complete(wide: pd.DataFrame, name: str, sample: Sample) -> None:
    gaps = wide.isna().any(axis=1)
    if gaps.any():
        listed = [f"{unit} (period {_label(period, sample)})" for unit, period in _first_gaps(wide[gaps])]
        raise DataError(
            code="E-IMP-321",
            what=f"Units have no '{name}' in some period.",
            where=sample.data_source,
            found=f"{int(gaps.sum())} of {len(wide)} units: {', '.join(listed)}",
            expected="a value for each unit in each period: weights follow the treated through all of them",
            fix="leave these units or periods out with keep:, or complete the data",
        )


def _first_gaps(wide: pd.DataFrame) -> Iterator[tuple[object, int]]:
    for unit, row in list(wide.iterrows())[:5]:
        yield unit, int(row.index[row.isna()][0])


def _require_usable(panel: Panel, estimator: Estimator, sample: Sample) -> None:
    if not panel.starts:
        raise DataError(
            code="E-IMP-322",
            what="No unit is observed before and after its treatment starts.",
            where=sample.data_source,
            found=f"periods {_label(panel.periods[0], sample)} to {_label(panel.periods[-1], sample)}",
            expected="at least one unit that starts after the first and not after the last period",
            fix="check cohort: and time: in the design",
        )
    donors, before = len(panel.donors), panel.starts[0]
    if donors < (1 if estimator == "did" else FEWEST_DONORS):
        raise DataError(
            code="E-IMP-323",
            what="There are too few donors to weight.",
            where=sample.data_source,
            found=f"{donors} never treated: {', '.join(map(str, panel.units[panel.donors])) or 'none'}",
            expected=f"at least {FEWEST_DONORS} units that were never treated",
            fix="add comparable units that were never treated; with one of them only, method: did",
        )
    if before < (1 if estimator == "did" else FEWEST_BEFORE):
        raise DataError(
            code="E-IMP-324",
            what="There are too few periods before the treatment to choose weights by.",
            where=sample.data_source,
            found=f"{before} before {_label(panel.periods[before], sample)}",
            expected=f"at least {FEWEST_BEFORE} periods before the first start",
            fix="add earlier periods; with one period before, method: did",
        )


def _label(period: int, sample: Sample) -> str:
    return str(sample.period_labels.get(int(period), int(period)))
