"""What a difference-in-differences says, and the averages of its effects by cohort and period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.effects import Arms, Effects, concat
from evaluation.settings.designs import EventWindow

if TYPE_CHECKING:
    from evaluation.sample import FlowStep

Array = np.ndarray

AGGREGATES = ("simple", "event_time", "cohort", "calendar")
REASONS = {
    "too_few_rows": "fewer comparison rows than coefficients",
    "collinear": "covariates are combinations of one another within the cell",
    "separation": "covariates tell treated and comparison units apart",
    "overlap": "some treated units have no comparable units",
    "empty_cell": "no treated or no comparison rows in one of the two periods",
    "not_imputed": "no row whose outcome without treatment can be imputed",
    "too_few_lags": "fewer periods before treatment than are to be matched on",
    "no_partner": "no treated unit has a partner within the caliper",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DidResult:
    """What one difference-in-differences says.

    Attributes:
        group_time: ATT(g, t): labels cohort, period, event_time, base_period and phase ("pre", "anticipation", "post",
            "reference" for the universal base period, which is zero by construction, "matched" for periods before
            treatment that were matched on, where an effect of zero is no evidence).
        aggregates: by name (simple, event_time, cohort, calendar): a row for each event time, cohort or period.
        overall: by name: one row (term att), the average that the name stands for.
        headline: `overall` of the design's `aggregate`.
        skipped: cells without an estimate: cohort, period, base_period, reason (a key of `REASONS`), detail.
        flow: rows dropped by this estimator, and why.
        notes: choices that the data forced, one sentence each.
        weights: which cells the overall averages hold: a row for each aggregate, cohort and period with a weight that
            is not zero; the weights of an aggregate sum to one.
        tables: what else an estimator has to show, by name.
    """

    group_time: Effects
    aggregates: Mapping[str, Effects]
    overall: Mapping[str, Effects]
    headline: Effects
    skipped: pd.DataFrame
    flow: tuple[FlowStep, ...]
    notes: tuple[str, ...]
    weights: pd.DataFrame
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def pre_treatment(self) -> Effects:
        """Effects before treatment and before anticipation: what a test of parallel trends looks at."""
        return self.group_time.select(self.group_time.labels["phase"] == "pre")


def effect_labels(term: str | Sequence[str], outcome: str, n: int, **columns: Any) -> pd.DataFrame:
    """Labels of n effects: term, outcome, then cohort, period and event_time as whole numbers, and other columns.

    Args:
        term: one for all, or n.
        outcome: what the evaluator calls the outcome.
        n: number of effects.
        columns: (n,) values; cohort, period and event_time are missing where not given or not a number.
    """
    missing = np.full(n, np.nan)
    numbers = {name: _whole(columns.pop(name, missing)) for name in ("cohort", "period", "event_time")}
    terms = [term] * n if isinstance(term, str) else list(term)
    return pd.DataFrame({"term": terms, "outcome": [outcome] * n, **numbers, **columns})


def _whole(values: Array) -> pd.arrays.IntegerArray:
    numbers = np.asarray(values, dtype=float)
    unknown = np.isnan(numbers)
    return pd.arrays.IntegerArray(np.where(unknown, 1.0, numbers).astype(np.int64), unknown)


def cohort_shares(units: pd.Index, group: Array, starts: Array, weight: Array, outcome: str) -> Effects:
    """Weighted shares of the treated cohorts, which weigh the averages and are estimated too.

    Args:
        units: (n,) ids.
        group: (n,) position of the unit's cohort in `starts`.
        starts: (A,) first treated periods; infinite = never.
        weight: (n,) positive.
        outcome: what the evaluator calls the outcome.
    """
    cohorts = np.flatnonzero(np.isfinite(starts))
    members = (weight / weight.mean() * (group == cohorts[:, None])).T
    share = members.mean(axis=0)
    none = np.zeros((len(starts), len(cohorts)), dtype=bool)
    return Effects(
        estimate=share,
        labels=effect_labels("share", outcome, len(cohorts), cohort=starts[cohorts]),
        influence=members - share,
        units=units,
        arms=Arms(codes=group, treated=none, comparison=none),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ratios:
    """Averages θ = Σ c p_g ATT / Σ c p_g over K cells, with fixed c and the estimated shares p_g of the cohorts.

    Attributes:
        counts: (M, K) c: simple, event times, cohorts, calendar periods, and the overall mean of cohorts.
        member: (K, A) 1 for the cohort of the cell.
        labels: M rows.
        named: by aggregate, the rows that belong to it.
        held: by aggregate, the rows whose plain mean is its overall average.
    """

    counts: Array
    member: Array
    labels: pd.DataFrame
    named: Mapping[str, slice]
    held: Mapping[str, Array]

    @classmethod
    def of(cls, cells: pd.DataFrame, cohorts: Array, window: EventWindow) -> _Ratios:
        shown, post = _in_window(cells, window)
        columns = {name: cells[name].to_numpy(dtype=float) for name in ("event_time", "cohort", "period")}
        counts, values, terms = [post[None, :]], {name: [np.array([np.nan])] for name in columns}, ["simple"]
        named, at = {"simple": slice(0, 1)}, 1
        for term, column, used in (
            ("event_time", "event_time", shown),
            ("cohort", "cohort", post),
            ("calendar", "period", post),
        ):
            distinct = np.unique(columns[column][used])
            counts.append((columns[column] == distinct[:, None]) & used)
            for name, parts in values.items():
                parts.append(distinct if name == column else np.full(len(distinct), np.nan))
            named[term], at = slice(at, at + len(distinct)), at + len(distinct)
            terms += [term] * len(distinct)
        by_cohort = counts[2].astype(float)
        counts.append((by_cohort / by_cohort.sum(axis=1, keepdims=True)).sum(axis=0)[None, :])
        labels = effect_labels(
            [*terms, "overall_cohort"],
            cells["outcome"].iloc[0],
            at + 1,
            **{name: np.append(np.concatenate(parts), np.nan) for name, parts in values.items()},
        )
        after = np.concatenate(values["event_time"]) >= 0
        held = {"simple": np.array([0]), "cohort": np.array([at])}
        held |= {"event_time": np.flatnonzero(after), "calendar": np.arange(at)[named["calendar"]]}
        member = (columns["cohort"][:, None] == cohorts).astype(float)
        return cls(counts=np.vstack(counts).astype(float), member=member, labels=labels, named=named, held=held)

    def weights(self, share: Array) -> Array:
        """(M, K) weights of the cells; those of an average sum to one."""
        raw = self.counts * (self.member @ share)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    def averages(self, group_time: Effects, shares: Effects) -> Effects:
        """The averages by the delta method.

        Their derivative is c p_g / s in the cell's effect and Σ over the cohort's cells of c (ATT - θ) / s in p_g,
        s = Σ c p_g: the influence of estimated weights in Callaway and Sant'Anna (2021), theorem 2.
        """
        k = len(group_time)

        def ratio(values: Array) -> Array:
            return np.asarray(self.weights(values[k:]) @ values[:k])

        def slope(values: Array) -> Array:
            total = (self.counts * (self.member @ values[k:])).sum(axis=1, keepdims=True)
            departure = self.counts * (values[:k] - ratio(values)[:, None])
            return np.hstack([self.weights(values[k:]), departure @ self.member / total])

        return concat([group_time, shares]).nonlinear(ratio, slope, self.labels)

    def overall(self, averages: Effects) -> Effects:
        """The one number that each aggregate stands for, as term "att", in the order of AGGREGATES."""
        means = np.zeros((len(AGGREGATES), len(averages)))
        for row, name in zip(means, AGGREGATES, strict=True):
            row[self.held[name]] = 1 / len(self.held[name])
        outcome = self.labels["outcome"].iloc[0]
        return averages.contrast(means, effect_labels("att", outcome, len(means), aggregate=list(AGGREGATES)))

    def table(self, cells: pd.DataFrame, share: Array) -> pd.DataFrame:
        """Weights of the cells in the overall averages that are not zero."""
        weights = self.weights(share)
        of_overall = np.vstack([weights[self.held[name]].mean(axis=0) for name in AGGREGATES])
        which, cell = np.nonzero(of_overall)
        return pd.DataFrame(
            {
                "aggregate": np.array(AGGREGATES, dtype=object)[which],
                "cohort": cells["cohort"].array[cell],
                "period": cells["period"].array[cell],
                "weight": of_overall[which, cell],
            }
        )


def _in_window(cells: pd.DataFrame, window: EventWindow) -> tuple[Array, Array]:
    """(K,) cells that event times show, and cells after treatment that the other averages hold, as in R did 2.5.1.

    With `balanced` = b, event times show only cohorts with T - g ≥ b, from b - T + t₁ on (T the last, t₁ the first
    period), so that from 0 to b each is the mean of the same cohorts.
    """
    event = cells["event_time"].to_numpy(dtype=float)
    late = np.inf if window.last is None else float(window.last)
    early = -np.inf if window.first is None else float(window.first)
    post = (cells["phase"] == "post").to_numpy() & (event <= late)
    shown = (event >= early) & (event <= late)
    if window.balanced is None:
        return shown, post
    period = cells["period"].to_numpy(dtype=float)
    seen_from = min(period.min(), cells["base_period"].to_numpy(dtype=float, na_value=np.inf).min())
    whole = period.max() - cells["cohort"].to_numpy(dtype=float) >= window.balanced
    _require_balanced(whole & post, window.balanced)
    inside = (event <= window.balanced) & (event >= window.balanced - period.max() + seen_from)
    return shown & whole & inside, post


def assemble(
    group_time: Effects,
    shares: Effects,
    *,
    aggregate: str,
    skipped: pd.DataFrame,
    flow: tuple[FlowStep, ...],
    notes: tuple[str, ...],
    event_window: EventWindow | None = None,
) -> DidResult:
    """The result of an estimator whose averages are means of its ATT(g, t) weighted by the shares of the cohorts."""
    cohorts = shares.labels["cohort"].to_numpy(dtype=float)
    ratios = _Ratios.of(group_time.labels, cohorts, event_window or EventWindow())
    averages = ratios.averages(group_time, shares)
    overall = ratios.overall(averages)
    by_name = {name: overall.select(np.arange(len(AGGREGATES)) == k) for k, name in enumerate(AGGREGATES)}
    at = np.arange(len(averages))
    return DidResult(
        group_time=group_time,
        aggregates={name: averages.select(np.isin(at, at[ratios.named[name]])) for name in AGGREGATES},
        overall=by_name,
        headline=by_name[aggregate],
        skipped=skipped,
        flow=flow,
        notes=notes,
        weights=ratios.table(group_time.labels, shares.estimate),
    )


def _require_balanced(cells: Array, wanted: int) -> None:
    if not cells.any():
        raise DataError(
            code="E-IMP-091",
            what="no cohort is observed for as many periods after its start as event_window.balanced asks",
            found=f"balanced: {wanted}",
            fix="a smaller number, or none",
        )
