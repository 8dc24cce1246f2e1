"""What a difference-in-differences says, and the averages of its effects by cohort and period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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


def effect_labels(term: str, outcome: str, n: int, **columns: Array) -> pd.DataFrame:
    """Labels of n effects: term, outcome, and whole numbers for those of cohort, period, event_time that are given."""
    missing = pd.array([pd.NA] * n, dtype="Int64")
    numbers = dict.fromkeys(("cohort", "period", "event_time"), missing)
    numbers |= {name: pd.array(np.asarray(values).astype(int), dtype="Int64") for name, values in columns.items()}
    return pd.DataFrame({"term": [term] * n, "outcome": [outcome] * n, **numbers})


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


def averages(group_time: Effects, shares: Effects, window: EventWindow) -> Effects:
    """Every average that is a ratio: θ = Σ c p_g ATT / Σ c p_g over cells, with fixed c and estimated shares p_g.

    Its derivative is c p_g / s in the cell's effect and Σ over the cohort's cells of c (ATT - θ) / s in p_g, s = Σ c
    p_g: the influence of estimated weights in Callaway and Sant'Anna (2021), theorem 2, by the delta method.
    """
    counts, labels = _ratios(group_time.labels, window)
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


def _ratios(cells: pd.DataFrame, window: EventWindow) -> tuple[Array, pd.DataFrame]:
    """Coefficients c (M, K) and M labels: simple, event times, cohorts, periods, and the overall mean of cohorts."""
    shown, post = _in_window(cells, window)
    outcome = cells["outcome"].iloc[0]
    rows, labels = [post[None, :]], [effect_labels("simple", outcome, 1)]
    for term, column, used in (
        ("event_time", "event_time", shown),
        ("cohort", "cohort", post),
        ("calendar", "period", post),
    ):
        values = cells[column].to_numpy(dtype=float)
        distinct = np.unique(values[used])
        rows.append((values == distinct[:, None]) & used)
        labels.append(effect_labels(term, outcome, len(distinct), **{column: distinct}))
    cohorts = rows[2].astype(float)
    rows.append((cohorts / cohorts.sum(axis=1, keepdims=True)).sum(axis=0)[None, :])
    labels.append(effect_labels("overall_cohort", outcome, 1))
    return np.vstack(rows).astype(float), pd.concat(labels, ignore_index=True)


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


def overall(name: str, averages: Effects) -> Effects:
    """The one number an average stands for, as term "att"."""
    labels = averages.labels
    used = _held(name, labels)
    weights = used / used.sum()
    label = effect_labels("att", labels["outcome"].iloc[0], 1).assign(aggregate=name)
    return averages.contrast(weights, label)


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
    means = averages(group_time, shares, event_window or EventWindow())
    by_name = {name: overall(name, means) for name in AGGREGATES}
    return DidResult(
        group_time=group_time,
        aggregates={name: means.select(means.labels["term"] == name) for name in AGGREGATES},
        overall=by_name,
        headline=by_name[aggregate],
        skipped=skipped,
        flow=flow,
        notes=notes,
        weights=_cell_weights(group_time.labels, shares, event_window or EventWindow()),
    )


def _cell_weights(cells: pd.DataFrame, shares: Effects, window: EventWindow) -> pd.DataFrame:
    """Weights of the cells in the overall averages, as `averages` and `overall` compute them."""
    counts, labels = _ratios(cells, window)
    share = dict(zip(shares.labels["cohort"], shares.estimate, strict=True))
    raw = counts * np.array([share[cohort] for cohort in cells["cohort"]])
    of_average = raw / raw.sum(axis=1, keepdims=True)
    tables = []
    for name in AGGREGATES:
        used = _held(name, labels)
        weight = (used / used.sum()) @ of_average
        tables.append(cells[["cohort", "period"]].assign(aggregate=name, weight=weight)[weight != 0])
    return pd.concat(tables, ignore_index=True)[["aggregate", "cohort", "period", "weight"]]


def _held(name: str, labels: pd.DataFrame) -> Array:
    """(M,) 1 for the averages whose plain mean is the overall average of this name."""
    if name in ("simple", "cohort"):
        used = labels["term"] == ("simple" if name == "simple" else "overall_cohort")
    else:
        used = (labels["term"] == name) & ~(labels["event_time"] < 0).fillna(value=False)
    return used.to_numpy(dtype=float)


def _require_balanced(cells: Array, wanted: int) -> None:
    if not cells.any():
        raise DataError(
            code="E-IMP-091",
            what="no cohort is observed for as many periods after its start as event_window.balanced asks",
            found=f"balanced: {wanted}",
            fix="a smaller number, or none",
        )
