"""Changes and raw differences without anybody who says what would have happened otherwise.

Computed as well as they can be, so that weak evidence is seen beside better evidence and graded low, and always with a
check that says what is missing. Before and after: differences within units. Raw: a difference of means without any
adjustment. Series: level and slope before, and how both change, with Newey-West errors; of the treated series, or of
what is left when another series is taken away.

Source: Wagner, Soumerai, Zhang and Ross-Degnan (2002), *Journal of Clinical Pharmacy and Therapeutics* 27, for the
segments; Newey and West (1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import checks, inference
from evaluation.impact.balance import balance_table
from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats, model_matrix
from evaluation.impact.cross_section import (
    Block,
    clusters_of_frame,
    difference_in_means,
    labels,
    observed,
    outcomes_of,
    regression_kind,
    role_of,
)
from evaluation.impact.regression import weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import Outcome, UncontrolledDesign

FEWEST_PERIODS = 8  # on each side of the start (house): with fewer, even independent errors mislead the interval
NOISE = 1e-20  # of the squares of the series; what is left below it is rounding
TOO_SMALL = (
    "Newey-West errors with {lags} lags are too small for series like this: in simulations of 24 periods a true null "
    "was rejected in 15 % of the samples where errors were independent, in 29 % with an autocorrelation of .5."
)
WITHOUT = {
    "before_after": "whatever else changed over the same time counts as an effect: age, prices, chance, the economy",
    "raw": "whatever else tells the two groups apart counts as an effect: who was chosen, and who chose",
    "series": "that the earlier trend would have gone on is assumed, and nothing shows it",
    "series_compared": "that both series would have gone on side by side is assumed, and one other series shows little",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncontrolled:
    """What was found.

    Attributes:
        blocks: effects, the primary outcome first; of a series, its periods after the first one.
        comparison: values that the outcome is compared with (n,): before, or of the other group.
        weights: (n,) of them.
        covariates: table of balance, or None where nobody is compared.
    """

    blocks: tuple[Block, ...]
    comparison: Floats
    weights: Floats
    balance: pd.DataFrame | None
    checks: tuple[Check, ...]
    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]


def estimate(sample: Sample, design: UncontrolledDesign) -> Uncontrolled:
    """The change or the raw difference.

    Raises:
        DataError: a series with too few periods, or with gaps.
    """
    return {"before_after": _before_after, "raw": _raw, "series": _series}[design.compared](sample, design)


def _missing(design: UncontrolledDesign) -> tuple[Check, ...]:
    """What always stands beside such a number."""
    kind = "series_compared" if design.compared == "series" and design.treatment is not None else design.compared
    reason = WITHOUT[kind]
    return (
        checks.measured(
            "identification.counterfactual", 0.0, f"nobody says what would have happened without: {reason}"
        ),
        checks.not_applicable("overlap.share_in_01_09", "nobody stands in for anybody"),
        checks.not_applicable("overlap.ess_share", "nothing was weighted"),
    )


# before and after -----------------------------------------------------------------------------------------------------


def _before_after(sample: Sample, design: UncontrolledDesign) -> Uncontrolled:
    """Mean of outcome less baseline, as the intercept of a regression on nothing else: the paired t."""
    column, outcome = outcomes_of(design)[0]
    frame = sample.frame[observed(sample.frame, column)]
    before = frame["baseline_outcome"].to_numpy(dtype=float)
    weights = frame["weight"].to_numpy(dtype=float)
    change = frame[column].to_numpy(dtype=float) - before
    clusters = clusters_of_frame(frame, sample.names)
    found = weighted_least_squares(change, np.ones((len(change), 1)), ["intercept"], weights)
    effects = found.to_effects(np.ones(1), labels("raw_difference", outcome, "headline"), units=pd.Index(frame["unit"]))
    after = frame[column].to_numpy(dtype=float)
    means = [("before", before), ("after", after)]
    return Uncontrolled(
        blocks=(Block(effects=effects, kind=regression_kind(design, clusters), clusters=clusters),),
        comparison=before,
        weights=weights,
        balance=None,
        checks=(*_missing(design), *_nobody_compared(), _measured_before(design)),
        tables={"means": pd.DataFrame([_mean(name, values, weights) for name, values in means])},
        notes=(
            f"No comparison group: the change of {outcome.name} is not an effect; {WITHOUT['before_after']}.",
            "People who enter a programme at a low point come up again without it.",
        ),
    )


def _nobody_compared() -> tuple[Check, ...]:
    reason = "nobody else is compared"
    return tuple(checks.not_applicable(name, reason) for name in ("balance.max_smd", "balance.adjusted"))


def _measured_before(design: UncontrolledDesign) -> Check:
    detail = f"the change from {design.baseline_outcome} is what is shown"
    return checks.measured("baseline.outcome_pretest", 1.0, detail, str(design.baseline_outcome))


def _mean(name: str, values: Floats, weights: Floats) -> dict[str, Any]:
    mean = float(np.average(values, weights=weights))
    spread = float(np.sqrt(np.average((values - mean) ** 2, weights=weights) * len(values) / max(len(values) - 1, 1)))
    return {"group": name, "mean": mean, "sd": spread, "n": len(values)}


# raw comparison -------------------------------------------------------------------------------------------------------


def _raw(sample: Sample, design: UncontrolledDesign) -> Uncontrolled:
    """Difference of means by arm, with the differences of covariates left as they are."""
    blocks = [_difference(sample, design, column, outcome) for column, outcome in outcomes_of(design)]
    column = outcomes_of(design)[0][0]
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    values = sample.frame[column].to_numpy(dtype=float)
    weights = sample.frame["weight"].to_numpy(dtype=float)
    covariates = model_matrix(sample.frame, sample.names, all_levels=True)
    balance = balance_table(covariates, treated, weights) if covariates.labels else None
    means = [("treated", treated), ("comparison", ~treated)]
    return Uncontrolled(
        blocks=tuple(blocks),
        comparison=values[~treated],
        weights=weights[~treated],
        balance=balance,
        checks=(*_missing(design), checks.balance(balance), _unadjusted(design)),
        tables={"means": pd.DataFrame([_mean(name, values[arm], weights[arm]) for name, arm in means])},
        notes=(f"Means are compared as they are: the difference is not an effect; {WITHOUT['raw']}.",),
    )


def _difference(sample: Sample, design: UncontrolledDesign, column: str, outcome: Outcome) -> Block:
    frame = sample.frame[observed(sample.frame, column)]
    clusters = clusters_of_frame(frame, sample.names)
    effects = difference_in_means(frame, column, labels("raw_difference", outcome, role_of(outcome)))
    return Block(effects=effects, kind=regression_kind(design, clusters), clusters=clusters)


def _unadjusted(design: UncontrolledDesign) -> Check:
    return checks.measured("balance.adjusted", 0.0, "means are compared: no model of the outcome adjusts for anything")


# interrupted series ---------------------------------------------------------------------------------------------------


def _series(sample: Sample, design: UncontrolledDesign) -> Uncontrolled:
    """Segments of the primary outcome, and the mean change of all outcomes over the periods after the start."""
    found = [_segments(sample, design, column, outcome) for column, outcome in outcomes_of(design)]
    primary = found[0]
    return Uncontrolled(
        blocks=(*(each.change() for each in found), primary.by_period()),
        comparison=primary.y[~primary.after],
        weights=np.ones(int((~primary.after).sum())),
        balance=None,
        checks=(*_missing(design), *_nobody_compared(), _fewest(primary), primary.durbin_watson()),
        tables={"segments": primary.table(), "series": primary.points(sample)},
        notes=(
            f"No comparison group: {WITHOUT['series' if design.treatment is None else 'series_compared']}.",
            TOO_SMALL.format(lags=primary.lags),
            *_several_rows(primary),
            *([f"{design.seasons} seasons a year are taken out, each alike in all years."] if design.seasons else []),
        ),
    )


def _several_rows(found: _Segments) -> list[str]:
    """How many rows a period has, where a mean of several stands for it."""
    most, least = int(found.rows.max()), int(found.rows.min())
    return [] if most == 1 else [f"Each period is the mean of its rows, {least} to {most} of them."]


def _fewest(found: _Segments) -> Check:
    sides = int((~found.after).sum()), int(found.after.sum())
    return checks.measured("series.periods", min(sides), f"{sides[0]} periods before the start, {sides[1]} from it on")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Segments:
    """y_t = a + b (t - s) + [t >= s] (c + d (t - s)) + season_t + e_t; the seasons of a year sum to zero.

    Attributes:
        period: (T,) in order, without gaps; y: (T,) of the series, or of its distance from the other one.
        rows: (T,) rows of the treated series in each period.
        after: (T,) from the start s on.
    """

    design: Any
    outcome: Outcome
    period: np.ndarray
    y: Floats
    rows: np.ndarray
    after: np.ndarray
    start: int

    @property
    def lags(self) -> int:
        return inference.default_lags(len(self.y)) if self.design.lags is None else int(self.design.lags)

    def _columns(self) -> Floats:
        """(T, 4 + seasons - 1): segments, then seasons as differences to their mean."""
        time = (self.period - self.start).astype(float)
        columns = np.column_stack([np.ones(len(time)), time, self.after, self.after * time])
        count = self.design.seasons
        if count is None:
            return columns
        code = np.arange(len(time)) % count
        return np.hstack([columns, np.eye(count)[code][:, :-1] - (code == count - 1)[:, None]])

    def _block(self, contrast: Floats, rows: pd.DataFrame) -> Block:
        columns = self._columns()
        names = ["level", "trend", "change of level", "change of trend"]
        names += [f"season {k}" for k in range(1, columns.shape[1] - 3)]
        padded = np.pad(np.atleast_2d(contrast), ((0, 0), (0, columns.shape[1] - 4)))
        effects = weighted_least_squares(self.y, columns, names).to_effects(padded, rows, units=pd.Index(self.period))
        covariance = inference.newey_west(effects, self.lags, coefficients=columns.shape[1])
        return Block(effects=effects, kind="newey_west", covariance=covariance)

    def _fitted(self) -> Floats:
        columns = self._columns()
        return np.asarray(columns @ np.linalg.lstsq(columns, self.y, rcond=None)[0])

    def durbin_watson(self) -> Check:
        """Σ(e_t - e_{t-1})²/Σe_t²: near 2 without dependence between neighbours, towards 0 with it.

        Source: Durbin and Watson (1950), *Biometrika* 37.
        """
        name, left = "series.durbin_watson", self.y - self._fitted()
        square = float(left @ left)
        if square <= NOISE * float(self.y @ self.y):
            return checks.not_run(name, "the lines leave nothing")
        value = float(np.sum(np.diff(left) ** 2)) / square
        detail = f"{value:.2f}, 2 where neighbouring periods do not depend on one another; Newey-West lags: {self.lags}"
        return checks.measured(name, value, detail)

    def change(self) -> Block:
        """Mean over the periods from the start on of what is above the earlier trend."""
        since = float((self.period[self.after] - self.start).mean())
        return self._block(np.array([[0, 0, 1, since]]), labels("att", self.outcome, role_of(self.outcome)))

    def by_period(self) -> Block:
        """What is above the earlier trend in each period."""
        since = (self.period[self.after] - self.start).astype(float)
        contrast = np.column_stack([np.zeros((len(since), 2)), np.ones(len(since)), since])
        parts = [labels("event_time", self.outcome, "supporting", event_time=int(when)) for when in since]
        return self._block(contrast, pd.concat(parts, ignore_index=True))

    def table(self) -> pd.DataFrame:
        """Level and trend at the start, and their changes, with numbers."""
        parts = ("level", "trend", "change_of_level", "change_of_trend")
        rows = pd.DataFrame({"segment": parts, "outcome": self.outcome.name})
        found = self._block(np.eye(4), rows).table(self.design.inference.level)
        return found[["segment", "estimate", "std_error", "ci_low", "ci_high", "p_value"]]

    def points(self, sample: Sample) -> pd.DataFrame:
        """The series as it was, with its lines."""
        names = [sample.period_labels.get(int(when), int(when)) for when in self.period]
        return pd.DataFrame({"period": names, "value": self.y, "after": self.after, "line": self._fitted()})


def _segments(sample: Sample, design: UncontrolledDesign, column: str, outcome: Outcome) -> _Segments:
    frame = sample.frame[observed(sample.frame, column)]
    start = int(frame["start"].iloc[0])
    exposed = frame[frame["exposed"]]
    values = ours = _means_by_period(exposed, column)
    if design.treatment is not None:
        other = _means_by_period(frame[~frame["exposed"]], column)
        _require_both(ours, other, column, sample)
        values = ours - other
    period = values.index.to_numpy(dtype=int)
    _require_every_period(period, sample)
    after = period >= start
    sides = int((~after).sum()), int(after.sum())
    if min(sides) < FEWEST_PERIODS:
        raise DataError(
            code="E-IMP-349",
            what="a series needs periods on both sides of its start",
            found=f"{sides[0]} before and {sides[1]} from the start on",
            expected=f"at least {FEWEST_PERIODS} of each",
            fix="check time and start, add periods, or compare means: compared: before_after",
        )
    _require_whole_years(design, sides)
    return _Segments(
        design=design,
        outcome=outcome,
        period=period,
        y=values.to_numpy(dtype=float),
        rows=exposed.groupby("period").size().reindex(values.index).to_numpy(),
        after=after,
        start=start,
    )


def _require_whole_years(design: UncontrolledDesign, sides: tuple[int, int]) -> None:
    """Seasons are told from trend and start by repetition: two years before, one after."""
    if design.seasons is not None and (sides[0] < 2 * design.seasons or sides[1] < design.seasons):
        raise DataError(
            code="E-IMP-387",
            what="seasons need two years before the start of a series and one after it",
            found=f"{sides[0]} periods before and {sides[1]} from the start on, {design.seasons} a year",
            expected=f"at least {2 * design.seasons} before and {design.seasons} after",
            fix="add periods, name fewer seasons (quarters instead of months), or leave seasons out",
        )


def _require_every_period(period: np.ndarray, sample: Sample) -> None:
    """Lags count neighbours, so that a missing period would make two of what are none."""
    steps = np.diff(period)
    if len(steps) and (steps != steps.min()).any():
        place = int(np.flatnonzero(steps != steps.min())[0])
        ends = [str(sample.period_labels.get(int(period[k]), int(period[k]))) for k in (place, place + 1)]
        raise DataError(
            code="E-IMP-352",
            what="a series lacks periods between others",
            found=f"nothing between {ends[0]} and {ends[1]}",
            expected="periods at equal distances",
            fix="add the missing periods, or leave out all before the gap with keep",
        )


def _means_by_period(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    weighted = (frame[column].astype(float) * frame["weight"]).groupby(frame["period"]).sum()
    return (weighted / frame["weight"].groupby(frame["period"]).sum()).sort_index()


def _require_both(ours: pd.Series[Any], other: pd.Series[Any], column: str, sample: Sample) -> None:
    alone = ours.index.symmetric_difference(other.index)
    if len(alone):
        raise DataError(
            code="E-IMP-351",
            what="the two series are not known in the same periods",
            where=sample.names.get(column, column),
            found=", ".join(str(sample.period_labels.get(int(when), int(when))) for when in alone[:5]),
            expected="both series in every period",
            fix="leave out periods of one series only, with keep",
        )
