"""Staggered roll-out by lot: chance decided when each unit started, so every pre-treatment gap is noise to be used.

Differences after the start are unbiased whether or not differences before it are taken off. How much of them to take
off is a question of precision alone: none (difference in means), all (difference-in-differences), or the share that
makes the variance smallest, which is estimated.

A table has one row for each unit and period: the frame of a sample of method did serves as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact import inference
from evaluation.impact.effects import Effects, clear_noise

Array = np.ndarray
Estimand = Literal["simple", "event_time", "cohort", "calendar"]

NEVER = np.iinfo(np.int64).max  # start of those who never start: later than all others
SMALLEST = 2  # units of a cohort; one alone says nothing about the variation within it
NOTHING = 1e-24  # of the outcome's variance: baselines below it do not vary
RULES = ("none", "difference_in_differences", "efficient")
BATCH = 4_000_000  # numbers of one batch of draws


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RollOut:
    """Effects of a staggered roll-out by lot.

    Attributes:
        effects: for each of the E estimates three rows (column `rule`): no part of the baseline gap taken off, all of
            it, and the most precise share; the headline is the efficient one.
        baseline: (E) the gaps before treatment that the estimates use: zero but for chance.
        share: (E,) β, the share of the baseline gap that the efficient estimate takes off.
        cohorts: start by unit id, for the variance.
    """

    effects: Effects
    baseline: Effects
    share: Array
    cohorts: pd.Series

    def covariance(self, effects: Effects | None = None) -> inference.Covariance:
        """Neyman's conservative covariance: Σ_g S_g / N_g, S_g the sample covariance within cohort g."""
        sampling = inference.Sampling(stratum=self.cohorts, kind="neyman")
        return inference.linearised(self.effects if effects is None else effects, sampling)

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Effects with intervals; see `inference.summarize`."""
        return inference.summarize(self.effects, kind="neyman", level=level, covariance=self.covariance())

    def baseline_table(self, level: float = 0.95) -> pd.DataFrame:
        """Gaps before treatment: a lottery that was kept leaves none but by chance."""
        found = self.covariance(self.baseline)
        return inference.summarize(self.baseline, kind="neyman", level=level, covariance=found)


def estimate(
    table: pd.DataFrame, *, outcome: str = "outcome_1", estimand: Estimand = "simple", cluster: str | None = None
) -> RollOut:
    """Effects of having started, each cohort compared with those not yet started.

    With Ȳ_gt the mean of cohort g in period t and C(t) the cohorts that start after t, ω weights that sum to 1:
        θ₀ = Σ ω_gt (Ȳ_gt - Ȳ_C(t),t),   X = Σ ω_gt (Ȳ_g,g-1 - Ȳ_C(t),g-1),   θ_β = θ₀ - β X.
    β = 0 is the difference in means, β = 1 the difference-in-differences with not yet treated units. As starts are
    random X has mean zero, and the variance is smallest at β = Var(X)⁻¹ Cov(X, θ₀), both taken from the covariance
    matrices of outcomes within cohorts.
    Weights: simple N_g over all treated cells; event_time N_g over the cells of each time since the start; cohort the
    mean over periods within each cohort; calendar N_g within each period.

    Args:
        table: columns unit, period (whole numbers), cohort (first treated period, missing for never) and the outcome; a
            row for each unit and period.
        outcome: column.
        estimand: which effects; event_time, cohort and calendar give one for each.
        cluster: column of what was drawn as a whole, if that was not the unit: means by cluster and period are
            compared, each cluster counts once, and who is in it may change between periods (stepped wedge).

    Raises:
        DataError: a unit lacks a period or the outcome; units of a cluster start apart; a cohort of one unit; no cohort
            that starts after the first period and is compared with a later one.

    Source: Roth and Sant'Anna (2023), sections 2 and 3, with a scalar X; Neyman's variance without their refinement.
    """
    panel = _Panel.of(_drawn(table, outcome, cluster), outcome)
    cells = list(_estimands(panel, estimand))
    if not cells:
        raise DataError(
            code="E-IMP-267",
            what="no cohort starts after the first period while another has still to start",
            found=f"starts in {', '.join(map(_said, panel.starts))}; periods {panel.periods[0]} to {panel.periods[-1]}",
            expected="a period before the first start, and units that start later or never",
            fix="add earlier periods, or units that start later",
        )
    parts = [_estimate(panel, *_loadings(panel, weights)) for _, weights in cells]
    names = [{"term": estimand, **label} for label, _ in cells]
    three = pd.DataFrame([{**name, "rule": rule} for name in names for rule in RULES])
    return RollOut(
        effects=_effects(panel, [row for part in parts for row in part.three()], three),
        baseline=_effects(panel, [part.baseline for part in parts], pd.DataFrame(names)),
        share=np.array([part.share for part in parts]),
        cohorts=pd.Series(np.array(panel.starts)[panel.code], index=panel.units, name="start"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOutTest:
    """Whether starts drawn anew would give so large an effect, had treatment no effect on anybody.

    Attributes:
        statistic: efficient estimate over its standard error.
        p_value: (1 + draws at least as far out) / (1 + draws).
        draws: number of draws.
    """

    statistic: float
    p_value: float
    draws: int

    def describe(self) -> str:
        """The convention in one line."""
        return f"randomisation test by {self.draws} permutations of starts; studentised efficient estimate"


def randomisation_test(
    table: pd.DataFrame, *, outcome: str = "outcome_1", cluster: str | None = None, draws: int = 9999, seed: int = 0
) -> RollOutTest:
    """Starts permuted over units (clusters); the efficient simple estimate and its error are computed anew for each.

    Exact where nobody is affected; in large samples it also keeps its size where effects only average to zero.

    Args:
        table: see `estimate`.
        outcome: column.
        cluster: see `estimate`.
        draws: permutations.
        seed: of the draws.

    Source: Roth and Sant'Anna (2023), section 3.4; Wu and Ding (2021) for studentising.
    """
    panel = _Panel.of(_drawn(table, outcome, cluster), outcome)
    scores = _loadings(panel, next(iter(_estimands(panel, "simple")))[1])
    made = _statistics(scores, panel.size, np.argsort(panel.code, kind="stable")[None, :])[0]
    rng = np.random.Generator(np.random.Philox(seed))
    n, batch = len(panel.code), max(1, BATCH // len(panel.code))
    drawn = [
        _statistics(scores, panel.size, rng.permuted(np.tile(np.arange(n), (min(batch, draws - start), 1)), axis=1))
        for start in range(0, draws, batch)
    ]
    farther = int(np.sum(np.abs(np.concatenate(drawn)) >= abs(made) * (1 - 1e-10)))
    return RollOutTest(statistic=float(made), p_value=(1 + farther) / (1 + draws), draws=draws)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Panel:
    """Outcomes of n units in T periods, and G cohorts by start.

    Attributes:
        outcomes: (n, T).
        units: (n,).
        periods: (T,) sorted.
        starts: (G,) sorted; NEVER for those who never start.
        code: (n,) cohort of each unit.
        size: (G,).
    """

    outcomes: Array
    units: pd.Index
    periods: Array
    starts: tuple[int, ...]
    code: Array
    size: Array

    @classmethod
    def of(cls, table: pd.DataFrame, outcome: str) -> _Panel:
        unit, units = pd.factorize(table["unit"], sort=True)
        period, periods = pd.factorize(table["period"], sort=True)
        shape = len(units), len(periods)
        values = table[outcome].to_numpy(dtype=float)
        wide = np.full(shape, np.nan)
        wide[unit, period] = values
        if len(table) != wide.size or np.isnan(wide).any():
            raise DataError(
                code="E-IMP-265",
                what="a roll-out by lot needs every unit once in every period, with its outcome",
                found=f"{len(table)} rows for {shape[0]} units and {shape[1]} periods, "
                f"{int(np.isnan(values).sum())} of them without the outcome",
                expected=f"{wide.size} rows",
                fix="drop units with gaps, or aggregate rows of one unit and period",
            )
        number = np.full(len(units), NEVER)
        number[unit] = table["cohort"].astype("Int64").fillna(NEVER).to_numpy(dtype=np.int64)
        number = np.where(number > max(periods), NEVER, number)
        starts, code, size = np.unique(number, return_inverse=True, return_counts=True)
        if size.min() < SMALLEST:
            raise DataError(
                code="E-IMP-266",
                what="a cohort of one unit has no variance",
                where=", ".join(_said(start) for start in starts[size < SMALLEST]),
                found=f"{int((size < SMALLEST).sum())} of {len(size)} cohorts",
                expected=f"at least {SMALLEST} units in each",
                fix="merge cohorts that start close to one another, or drop their units",
            )
        return cls(
            outcomes=wide,
            units=pd.Index(units),
            periods=np.asarray(periods, dtype=np.int64),
            starts=tuple(int(start) for start in starts),
            code=code,
            size=size,
        )


def _drawn(table: pd.DataFrame, outcome: str, cluster: str | None) -> pd.DataFrame:
    """The table of what was drawn: itself, or means by cluster and period under the names of units."""
    if cluster is None:
        return table
    by_cluster = table["cohort"].astype("Int64").fillna(NEVER).groupby(table[cluster])
    apart = by_cluster.min() != by_cluster.max()
    if apart.any():
        raise DataError(
            code="E-IMP-268",
            what="units of one cluster start in different periods, so clusters were not drawn as a whole",
            where=cluster,
            found=f"{int(apart.sum())} of {len(apart)} clusters, such as {apart.index[apart][0]}",
            expected="one start for each cluster",
            fix="name the cluster that was drawn, or none",
        )
    means = table.groupby([cluster, "period"], as_index=False).agg({outcome: "mean", "cohort": "first"})
    return means.rename(columns={cluster: "unit"})


def _said(start: int) -> str:
    return "never" if start == NEVER else str(start)


def _estimands(panel: _Panel, estimand: Estimand) -> Iterator[tuple[dict[str, int], Array]]:
    """Labels and weights (G, T) over treated cells with a baseline and somebody to compare with; weights sum to 1."""
    start, period = np.array(panel.starts)[:, None], panel.periods[None, :]
    later = np.array(panel.starts)[None, :, None] > panel.periods[:, None, None]
    usable = (start <= period) & (start > panel.periods[0]) & later.any(axis=1).T
    by_size = np.where(usable, panel.size[:, None], 0).astype(float)
    if not usable.any():
        return
    if estimand == "simple":
        yield {}, by_size / by_size.sum()
        return
    kinds = {
        "event_time": np.where(usable, period - np.where(usable, start, 0), -1),
        "cohort": start,
        "calendar": period,
    }
    kind = np.where(usable, np.broadcast_to(kinds[estimand], usable.shape), -1)
    names = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}
    for value in np.unique(kind[usable]):
        chosen = np.where(kind == value, by_size, 0.0)
        yield {names[estimand]: int(value)}, chosen / chosen.sum()


def _loadings(panel: _Panel, weights: Array) -> tuple[Array, Array]:
    """(n, G) what each unit would add to θ₀ and to X, times its cohort's size, if it were in each cohort."""
    starts, periods = np.array(panel.starts), panel.periods
    after, before = np.zeros(weights.shape), np.zeros(weights.shape)
    for g, t in zip(*np.nonzero(weights), strict=True):
        others = np.where(starts > periods[t], panel.size, 0) / panel.size[starts > periods[t]].sum()
        base = int(np.searchsorted(periods, starts[g])) - 1
        after[g, t] += weights[g, t]
        after[:, t] -= weights[g, t] * others
        before[g, base] += weights[g, t]
        before[:, base] -= weights[g, t] * others
    return panel.outcomes @ after.T, panel.outcomes @ before.T


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One estimand: θ₀ and X with the influence of each unit, and β."""

    after: tuple[float, Array]
    baseline: tuple[float, Array]
    share: float

    def three(self) -> Iterator[tuple[float, Array]]:
        """θ_β for β = 0, 1 and the efficient one."""
        for share in (0.0, 1.0, self.share):
            yield self.after[0] - share * self.baseline[0], self.after[1] - share * self.baseline[1]


def _estimate(panel: _Panel, after: Array, before: Array) -> _Part:
    n, row = len(panel.code), np.arange(len(panel.code))
    sums, deviations = [], []
    for scores in (after, before):
        own = scores[row, panel.code]
        means = np.bincount(panel.code, own) / panel.size
        sums.append(float(means.sum()))
        deviations.append(own - means[panel.code])
    weight = 1 / (panel.size * (panel.size - 1.0))[panel.code]
    spread = float(weight @ deviations[1] ** 2)
    scale = float(np.var(panel.outcomes)) + float(np.mean(panel.outcomes)) ** 2
    share = float(weight @ (deviations[0] * deviations[1])) / spread if spread > NOTHING * scale else 0.0
    influence = [n * part / panel.size[panel.code] for part in deviations]
    return _Part(after=(sums[0], influence[0]), baseline=(sums[1], influence[1]), share=share)


def _effects(panel: _Panel, parts: list[tuple[float, Array]], labels: pd.DataFrame) -> Effects:
    return Effects(
        estimate=np.array([estimate for estimate, _ in parts]),
        labels=labels,
        influence=clear_noise(np.column_stack([part for _, part in parts]), float(np.abs(panel.outcomes).max())),
        units=panel.units,
    )


def _statistics(scores: tuple[Array, Array], size: Array, order: Array) -> Array:
    """(b,) t of the efficient estimate for draws (b, n): the first N_1 units of a draw are the first cohort."""
    ends = np.cumsum(size)
    total = np.zeros((5, len(order)))
    for g, (start, end) in enumerate(zip(ends - size, ends, strict=True)):
        chosen = order[:, start:end]
        u, w = scores[0][chosen, g], scores[1][chosen, g]
        du, dw = u - u.mean(axis=1, keepdims=True), w - w.mean(axis=1, keepdims=True)
        factor = 1 / (size[g] * (size[g] - 1.0))
        moments = [(a * b).sum(axis=1) * factor for a, b in ((du, du), (du, dw), (dw, dw))]
        total += np.stack([u.mean(axis=1), w.mean(axis=1), *moments])
    theta, x, v_uu, v_uw, v_ww = total
    flat = v_ww <= 0
    share = np.where(flat, 0.0, v_uw / np.where(flat, 1.0, v_ww))
    variance = v_uu - share * v_uw
    return np.asarray((theta - share * x) / np.sqrt(np.where(variance > 0, variance, np.inf)))
