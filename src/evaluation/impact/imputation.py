"""Difference-in-differences by imputation: what treated units would have had, from unit and period effects.

The effects of units and periods (and of covariates) are estimated on untreated rows alone, with all of them at once; an
effect is a mean of outcome less imputed outcome. Under homoskedastic, uncorrelated errors nothing linear and unbiased
is more precise.

The computation never forms a matrix of units by units. Unit effects are eliminated row by row, which leaves one linear
system with an unknown for each period, solved directly for the outcome, for all covariates and for the weights of all
effects at once; covariates follow by the theorem of Frisch, Waugh and Lovell.

Source: Borusyak, Jaravel and Spiess (2024), *Review of Economic Studies* 91(6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.impact.covariates import independent_columns
from evaluation.impact.did_result import DidResult, assemble, cohort_shares, effect_labels
from evaluation.impact.effects import Arms, Effects, clear_noise, concat
from evaluation.impact.imputation_rows import Coded, read, usable, without
from evaluation.impact.regression import Factor, factorize
from evaluation.impact.unit_period import Constants

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

Array = np.ndarray

IMPUTED = 1e-7  # of a covariate's length: what other columns leave of one that they say completely (as R's lm)


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """Effects of cohorts in periods by imputation, and their averages.

        Y(0) = α_unit + λ_period + X′δ + ε,   estimated by weighted least squares on untreated rows,
        τ = Y - α - λ - X′δ on treated rows,   ATT(g, t) = weighted mean of τ over cohort g in period t.

    Untreated are all rows of periods before the cohort's start less anticipation, of every cohort: `comparison` and
    `base_period` say nothing here. Covariates that change enter as they are; those that never change within a unit
    get a slope for each period (alone they would be lost in the unit effects). Repeated cross-sections have a constant
    for each cohort instead of each unit. What is not identified is not averaged: treated rows whose unit or period has
    no untreated row, whose unit and period are not connected by untreated rows, or whose covariates lie outside those
    of untreated rows are dropped and counted.

    Standard errors: θ = Σ v Y with v = w₁ on treated and -W₀Z₀(Z₀′W₀Z₀)⁻¹Z₁′w₁ on untreated rows; the influence of a
    unit is n Σ v ε̃ over its rows, ε̃ the residual on untreated rows and τ - ATT(g, t) on treated rows. The effect
    itself is unknown for single rows, so with the units taken as given this is conservative where effects differ within
    cohort and period. Centring at ATT(g, t) makes influences sum to zero and, for ATT(g, t), makes them the exact
    derivatives with respect to the units' weights, as if units were drawn; without sampling weights it is the
    v²-weighted mean of the source (equation 8). Shares of cohorts in the averages are taken as given, as in the source:
    there the derivative has a further part, which is not counted.

    Effects before treatment are coefficients of leads in a regression on untreated rows (section 4.4 of the source):
    relative to *all earlier periods* of the same cohorts, not to the period before treatment. There are as many leads
    as leave every cohort with two or more untreated periods one for reference, or -`event_window.first` of them.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome`, weight, covariate_*.
        design: aggregate, anticipation, panel, event_window.
        outcome: canonical outcome column; rows where it is missing are dropped and counted.

    Raises:
        DataError: what `read_rows` refuses; no treated row for which the untreated outcome can be imputed.

    Source: Borusyak, Jaravel and Spiess (2024), theorems 1 to 3, sections 4.3 and 4.4.
    """
    everything = read(sample, outcome, design)
    data = usable(everything, design)
    model = _Model.fit(data, design)
    outside = data.treated & ~model.identified()
    if outside.any():
        reason = "covariates lie outside those of untreated rows"
        data = without(data, outside, "outside_covariates", reason, design)
        model = _Model.fit(data, design)
    result = assemble(
        model.group_time(),
        _fixed_shares(data),
        aggregate=design.aggregate,
        skipped=_skipped(everything, data),
        flow=data.rows.flow,
        notes=model.notes,
        event_window=design.event_window,
    )
    return _with_leads(result, model)


# model ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """The regression on untreated rows and what it says about treated ones.

    Attributes:
        data: N rows in use and their codes.
        absorbed: the constants, from untreated rows.
        covariates: (N, q) what the constants leave of the covariates in use; `factor` of √w times the untreated part.
        left: (N, r) what constants and covariates in use leave of covariates that add nothing: not zero on a treated
            row outside of what untreated rows say.
        residual: (N,) outcome less imputed outcome.
    """

    data: Coded
    design: DidDesign
    absorbed: Constants
    covariates: Array
    factor: Factor | None
    left: Array
    residual: Array
    notes: tuple[str, ...]

    @classmethod
    def fit(cls, data: Coded, design: DidDesign) -> _Model:
        rows, off = data.rows, ~data.treated
        absorbed = Constants.of(data.level, data.time, np.where(off, rows.weight, 0.0))
        columns, names, notes = _columns(data)
        x, y = absorbed.residuals(columns), absorbed.residuals(rows.y[:, None])
        kept = _adding(x[off], columns[off], rows.weight[off])
        root = np.sqrt(rows.weight[off])[:, None]
        factor = factorize(x[off][:, kept] * root) if kept.any() else None
        values = np.hstack([y, x[:, ~kept]])
        if factor is not None:
            values = values - x[:, kept] @ factor.solve(values[off] * root)
        scale = np.maximum(np.abs(columns).max(axis=0, initial=0.0), 1e-300)[~kept]
        absent = tuple(name for name, used in zip(names, kept, strict=True) if not used)
        return cls(
            data=data,
            design=design,
            absorbed=absorbed,
            covariates=x[:, kept],
            factor=factor,
            left=values[:, 1:] / scale,
            residual=values[:, 0],
            notes=(*notes, *_absent_note(absent)),
        )

    @property
    def scale(self) -> float:
        """Largest |outcome|."""
        return float(np.abs(self.data.rows.y).max())

    def identified(self) -> Array:
        """(N,) False for treated rows whose covariates untreated rows say nothing about."""
        return np.asarray(np.abs(self.left).max(axis=1, initial=0.0) <= IMPUTED)

    # effects after treatment ------------------------------------------------------------------------------------------

    def group_time(self) -> Effects:
        """ATT(g, t) with the influence of units."""
        data, on = self.data, np.flatnonzero(self.data.treated)
        seen = data.cells(data.treated)
        cohort, time = np.nonzero(seen)
        cell = (np.cumsum(seen.ravel()) - 1)[data.cohort[on] * len(data.periods) + data.time[on]]
        weight = data.rows.weight[on] / np.bincount(cell, data.rows.weight[on])[cell]
        estimate = np.bincount(cell, weight * self.residual[on])
        n, k = len(data.first), len(estimate)
        own = weight * (self.residual[on] - estimate[cell])
        influence = sparse.csr_array((own, (data.person[on], cell)), shape=(n, k)).toarray()
        influence -= self._through_model(sparse.csr_array((weight, (on, cell)), shape=(len(data.person), k)))
        return Effects(
            estimate=estimate,
            labels=self._cell_labels(data.starts[cohort], data.periods[time]),
            influence=_centred(clear_noise(n * influence, self.scale)),
            units=data.ids,
            arms=self._arms(cohort, time),
        )

    def _cell_labels(self, start: Array, period: Array) -> pd.DataFrame:
        event = period - start
        labels = effect_labels(
            "group_time", self.data.rows.outcome, len(start), cohort=start, period=period, event_time=event
        )
        missing = pd.array([pd.NA] * len(start), dtype="Int64")
        return labels.assign(base_period=missing, phase=np.where(event >= 0, "post", "anticipation"))

    def _through_model(self, picks: sparse.csr_array) -> Array:
        """(n, K) sums over a unit's untreated rows of -v ε, v the weights of the K effects on untreated rows."""
        data, scores = self.data, np.where(self.data.treated, 0.0, self.data.rows.weight * self.residual)
        if self.design.panel == "repeated_cross_section":
            by_level, by_time = self.absorbed.weights_of(picks)
            through = self._scores(scores, data.time, by_time) + self._scores(scores, data.level, by_level)
        else:  # in a panel the residuals of a unit sum to zero
            through = self._scores(scores, data.time, self.absorbed.period_weights_of(picks))
        if self.factor is not None:
            slopes = self.factor.solve_gram(np.asarray(picks.T @ self.covariates).T)
            through = through + data.by_person(scores[:, None] * self.covariates) @ slopes
        return np.asarray(through)

    def _scores(self, scores: Array, code: Array, weights: Array) -> Array:
        """(n, K) sums over a unit's rows of scores times the weights (C, K) of the code of the row."""
        shape = (len(self.data.first), len(weights))
        return np.asarray(sparse.csr_array((scores, (self.data.person, code)), shape=shape) @ weights)

    def _arms(self, cohort: Array, time: Array) -> Arms:
        """Treated is the cohort, comparison every other cohort that is seen untreated in the period."""
        data = self.data
        treated = np.arange(len(data.starts))[:, None] == cohort
        comparison = data.cells(~data.treated)[:, time]
        return Arms(codes=data.group, treated=treated, comparison=comparison & ~treated)

    # effects before treatment -----------------------------------------------------------------------------------------

    def leads(self) -> tuple[Effects | None, tuple[str, ...]]:
        """Coefficients of leads on untreated rows and a sentence on what they are relative to."""
        off = np.flatnonzero(~self.data.treated)
        rows, wanted = self.data.rows, self._lead_times()
        event = (rows.period - rows.cohort)[off]  # minus infinity for the never treated
        dummies = (event[:, None] == wanted).astype(float)
        root = np.sqrt(rows.weight[off])[:, None]
        x = self.absorbed.on(off).residuals(dummies)
        if self.factor is not None:
            x = x - self.covariates[off] @ self.factor.solve(x * root)
        kept = _adding(x[:, ::-1], dummies[:, ::-1], rows.weight[off])[::-1]  # the earliest lead is the one to spare
        if not kept.any():
            return None, ("no effect before treatment: no cohort is seen untreated in two periods or more",)
        x, times = x[:, kept], wanted[kept]
        coefficients, influence = self._regressed(off, x)
        member = np.array([self.data.cells(off[event == time]).any(axis=1) for time in times]).T
        effects = Effects(
            estimate=coefficients,
            labels=effect_labels("event_time", rows.outcome, len(times), event_time=times),
            influence=_centred(clear_noise(influence, self.scale)),
            units=self.data.ids,
            arms=Arms(codes=self.data.group, treated=member, comparison=~member),
        )
        note = (
            f"effects before treatment are relative to event times before {times.min():.0f}, from a regression on "
            "untreated rows: they are not on the scale of the effects after treatment"
        )
        return effects, (note,)

    def _regressed(self, off: Array, x: Array) -> tuple[Array, Array]:
        """Coefficients (k,) of what the model leaves of the outcome on x, and their influence (n, k)."""
        weight, left = self.data.rows.weight[off], self.residual[off]
        root = np.sqrt(weight)[:, None]
        factor = factorize(x * root)
        coefficients = factor.solve(left[:, None] * root)[:, 0]
        scores = (weight * (left - x @ coefficients))[:, None] * x
        n, person = len(self.data.first), self.data.person[off]
        by_unit = np.column_stack([np.bincount(person, column, n) for column in scores.T])
        return coefficients, n * by_unit @ factor.solve_gram(np.eye(x.shape[1]))

    def _lead_times(self) -> Array:
        """Event times of the leads, increasing."""
        data = self.data
        seen = data.cells(~data.treated)[np.isfinite(data.starts)]
        start = data.starts[np.isfinite(data.starts)]
        events = np.unique((data.periods - start[:, None])[seen])
        first = self.design.event_window.first
        if first is not None:
            return np.asarray(events[events >= first])
        longer = seen.sum(axis=1)[seen.sum(axis=1) >= 2]
        return events[len(events) - (int(longer.min()) - 1) :] if len(longer) else events[:0]


def _columns(data: Coded) -> tuple[Array, tuple[str, ...], tuple[str, ...]]:
    """Covariates that move, and those that never do times each period, with their names."""
    x, names = data.rows.design[:, 1:], data.rows.names[1:]
    first = np.unique(data.level, return_index=True)[1]
    fixed = (x == x[first][data.level]).all(axis=0)
    if not fixed.any():
        return x, tuple(names), ()
    still, periods = np.flatnonzero(fixed), np.flatnonzero(data.cells(~data.treated).any(axis=0))[1:]
    interacted = [x[:, j, None] * (data.time[:, None] == periods) for j in still]
    labels = [f"{names[j]} × period {data.periods[t]:.0f}" for j in still for t in periods]
    note = f"covariates that never change have a slope for each period: {', '.join(names[j] for j in still)}"
    moving = tuple(names[j] for j in np.flatnonzero(~fixed))
    return np.hstack([x[:, ~fixed], *interacted]).astype(float), (*moving, *labels), (note,)


def _adding(left: Array, columns: Array, weight: Array) -> Array:
    """Columns of which the constants leave something and that are no combination of earlier ones."""
    length = np.linalg.norm(columns, axis=0)
    moves = np.linalg.norm(left, axis=0) > IMPUTED * np.where(length > 0, length, 1.0)
    moves[moves] = independent_columns(left[:, moves], weight)
    return np.asarray(moves)


def _absent_note(absent: Sequence[str]) -> tuple[str, ...]:
    if not absent:
        return ()
    return (f"left out because they add nothing on untreated rows: {', '.join(absent)}",)


def _centred(influence: Array) -> Array:
    """Without the rounding error of the mean, which is zero by the normal equations."""
    return np.where((influence == 0).all(axis=0), 0.0, influence - influence.mean(axis=0))


def _fixed_shares(data: Coded) -> Effects:
    """Shares of cohorts without influence: the averages hold for the treated at hand, as in the source."""
    weight = data.rows.weight[data.first]
    shares = cohort_shares(data.ids, data.group, data.starts, weight, data.rows.outcome)
    return Effects(
        estimate=shares.estimate,
        labels=shares.labels,
        influence=np.zeros((len(data.ids), len(shares))),
        units=data.ids,
        arms=shares.arms,
    )


def _skipped(everything: Coded, data: Coded) -> pd.DataFrame:
    """Cells of which no row could be imputed."""
    found = data.cells(data.treated)
    kept = np.zeros((len(everything.starts), len(everything.periods)), dtype=bool)
    places = np.searchsorted(everything.starts, data.starts), np.searchsorted(everything.periods, data.periods)
    kept[np.ix_(*places)] = found
    cohort, time = np.nonzero(everything.cells(everything.treated) & ~kept)
    start, period = everything.starts[cohort], everything.periods[time]
    labels = effect_labels("", "", len(start), cohort=start, period=period, event_time=period - start)
    missing = pd.array([pd.NA] * len(start), dtype="Int64")
    return labels.assign(base_period=missing, reason="not_imputed", detail="").drop(columns=["term", "outcome"])


def _with_leads(result: DidResult, model: _Model) -> DidResult:
    """The result with leads before the imputed event times."""
    leads, notes = model.leads()
    after = result.aggregates["event_time"]
    both = after if leads is None else concat([leads, after])
    event_time = both.labels["event_time"]
    lead = model.design.anticipation
    phase = np.select([event_time >= 0, event_time >= -lead], ["post", "anticipation"], "pre")
    labelled = replace(both, labels=both.labels.assign(phase=phase))
    return replace(result, aggregates={**result.aggregates, "event_time": labelled}, notes=(*result.notes, *notes))
