"""Designs with periods: roll-out in an order that was drawn, and difference-in-differences.

Both come down to a covariance matrix over the periods of what is drawn (a unit, or the mean of a cluster's units), and
to the weights that an estimator gives to the mean of each group in each period.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from evaluation.impact.covariates import Floats
from evaluation.impact.power.designs import Drawn, Precision, Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class InTime:
    """How outcomes hang together over periods, as shares of the variance within a period.

        Cov(cluster mean t, s) = σ² [icc (κ + (1-κ) 1{t=s}) + (1-icc)/m (λ_ts)],

    with λ_ts = 1{t = s} where other units are asked in each period, else persistence + (1 - persistence) a^|t-s|.

    Attributes:
        icc: between clusters; 0 where units are drawn.
        cluster_autocorrelation: κ, of a cluster's level in two periods.
        persistence: share of a unit's own variance that never changes.
        autocorrelation: a, of the changing rest from one period to the next.
        same_units: whether the same units are asked in each period.

    Source: Hooper, Teerenstra, de Hoop and Eldridge (2016) for κ; Burlig, Preonas and Woerman (2020) for a.
    """

    icc: float = 0.0
    cluster_autocorrelation: float = 1.0
    persistence: float = 0.0
    autocorrelation: float = 0.0
    same_units: bool = True

    def covariance(self, periods: int) -> tuple[Floats, Floats]:
        """(T, T) part between clusters and part within, in shares of the variance; the second is divided by m."""
        lag = np.abs(np.subtract.outer(np.arange(periods), np.arange(periods)))
        same = (lag == 0).astype(float)
        between = self.icc * (self.cluster_autocorrelation + (1 - self.cluster_autocorrelation) * same)
        rest = np.where(lag == 0, 1.0, np.power(self.autocorrelation, np.maximum(lag, 1)))
        own = self.persistence + (1 - self.persistence) * rest if self.same_units else same
        return np.asarray(between), np.asarray((1 - self.icc) * own)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedWedge:
    """All clusters start untreated; in an order that was drawn, the same number starts in each later period.

        Var = a(a + T b) / {k [(I U - W) a + (U² + I T U - T W - I V) b]},   I = waves, T = waves + 1 (+ extra periods)

    for one cluster a wave, k = J / I clusters a wave; a is the variance of a cluster's mean in a period that is not
    shared with its other periods, b the shared one; U = Σ X, W = Σ_t (Σ_i X)², V = Σ_i (Σ_t X)² over the plan X of who
    is treated when. For units that are asked again, a and b hold a unit's persistence as well; its autocorrelation
    is not used. The analysis is a mixed model or generalised least squares with effects of periods.

    Attributes:
        waves: I, groups of clusters that start together.
        in_time: icc, cluster autocorrelation, persistence, whether the same units are asked.
        before: periods before the first start.
        after: periods after the last start, the period of the start included.

    Source: Hussey and Hughes (2007), equation 8; Hooper and others (2016) for a and b with autocorrelation.
    """

    name: ClassVar[str] = "stepped_wedge"
    drawn: ClassVar[Drawn] = "clusters"
    together: ClassVar[int] = 1

    waves: int
    in_time: InTime
    before: int = 1
    after: int = 1

    @property
    def step(self) -> int:
        """As many clusters start in each wave."""
        return self.waves

    @property
    def plan(self) -> Floats:
        """(I, T) 1 where a wave is treated."""
        start = self.before + np.arange(self.waves)
        periods = self.before + self.waves - 1 + self.after
        return (np.arange(periods) >= start[:, None]).astype(float)

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`; `size` counts units of a cluster in one period."""
        treated, comparison = spread.variances(effect)
        variance = (treated + comparison) / 2
        m, time = np.asarray(size, dtype=float), self.in_time
        again = time.persistence if time.same_units else 0.0
        alone = variance * ((1 - time.icc) * (1 - again) / m + time.icc * (1 - time.cluster_autocorrelation))
        shared = variance * (time.icc * time.cluster_autocorrelation + (1 - time.icc) * again / m)
        x = self.plan
        waves, periods = x.shape
        u, w, v = x.sum(), (x.sum(axis=0) ** 2).sum(), (x.sum(axis=1) ** 2).sum()
        below = (waves * u - w) * alone + (u**2 + waves * periods * u - periods * w - waves * v) * shared
        of_one = waves * alone * (alone + periods * shared) / below
        return Precision(std_error=np.sqrt(of_one * waves / n), df=np.asarray(n - 2.0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """Difference-in-differences: groups that start in different periods, or never, compared over time.

        Var = Σ_g l_g′ Γ l_g / (share_g J),   l_g the weights of group g's mean in each period, Γ as in `InTime`

    base "last" are the weights of group-time effects from the last period before the start (doubly_robust and the
    like); base "all" those of imputation, which compare with all periods before: with one start, the mean after less
    the mean before, whose variance is that of Burlig, Preonas and Woerman for any serial correlation.

    Attributes:
        shares: of what is drawn, by first treated period, counted from 0; the rest is never treated.
        periods: T.
        drawn: units, or clusters whose means are compared.
        in_time: covariance over periods.
        base: what changes are measured from.
        r2: of changes explained by covariates.
        covariance: (T, T) of what is drawn, from a pilot, in squared units of the outcome; in_time if None.

    Source: Burlig, Preonas and Woerman (2020), *Journal of Development Economics* 144, equation 8; Callaway and
        Sant'Anna (2021) and Borusyak, Jaravel and Spiess (2024) for the weights.
    """

    name: ClassVar[str] = "difference"
    step: ClassVar[int] = 1
    together: ClassVar[int] = 1

    shares: Mapping[int, float]
    periods: int
    drawn: Drawn = "units"
    in_time: InTime = InTime()
    base: Literal["last", "all"] = "last"
    r2: float = 0.0
    covariance: Floats | None = None

    @cached_property
    def groups(self) -> tuple[Floats, Floats]:
        """(G,) starts, infinite for never, and their shares, all positive."""
        never = 1 - sum(self.shares.values())
        pairs = [*sorted(self.shares.items()), *([(np.inf, never)] if never > 1e-9 else [])]
        return np.array([start for start, _ in pairs], dtype=float), np.array([share for _, share in pairs])

    @cached_property
    def weights(self) -> Floats:
        """(G, T) weight of each group's mean in each period in the mean effect over starts.

        Where every group starts in the end, the last one serves as comparison until it does, and later periods are not
        used.
        """
        starts, shares = self.groups
        window = self.periods if np.isinf(starts[-1]) else int(starts[-1])
        starts = np.where(starts >= window, np.inf, starts)
        by_cell = (_from_last if self.base == "last" else _imputed)(starts, shares, window)
        used = np.tensordot(_headline(starts, shares, window), by_cell, axes=1)
        return np.pad(used, ((0, 0), (0, self.periods - window)))

    def precision(self, n: Floats, size: Floats | float, spread: Spread, effect: Floats | float) -> Precision:
        """See `DesignOfSize`; `size` counts units of a cluster in one period, 1 where units are drawn."""
        treated, comparison = spread.variances(effect)
        _, shares = self.groups
        if self.covariance is not None:
            one = _quadratic(self.weights, self.covariance) @ (1 / shares) * np.ones_like(treated)
        else:
            between, within = self.in_time.covariance(self.periods)
            parts = [_quadratic(self.weights, part) @ (1 / shares) for part in (between, within)]
            one = (treated + comparison) / 2 * (parts[0] + parts[1] / np.asarray(size, dtype=float))
        return Precision(std_error=np.sqrt(one * (1 - self.r2) / n), df=np.asarray(n - 1.0 * len(shares)))


def _quadratic(weights: Floats, covariance: Floats) -> Floats:
    """(G,) l′ Γ l for each group."""
    return np.asarray(np.einsum("gt,ts,gs->g", weights, covariance, weights))


def _cells(starts: Floats, periods: int) -> list[tuple[int, int]]:
    """(group, period) of all treated cells."""
    return [(g, t) for g, start in enumerate(starts) for t in range(periods) if t >= start]


def _headline(starts: Floats, shares: Floats, periods: int) -> Floats:
    """(C,) weight of each treated cell: equal over the periods of a group, groups by their share."""
    cells = _cells(starts, periods)
    treated = sum(shares[g] for g in {g for g, _ in cells})
    length = {g: sum(1 for other, _ in cells if other == g) for g, _ in cells}
    return np.array([shares[g] / treated / length[g] for g, _ in cells])


def _from_last(starts: Floats, shares: Floats, periods: int) -> Floats:
    """(C, G, T) weights of ATT(g, t) against the never treated."""
    found = []
    for g, t in _cells(starts, periods):
        base = int(starts[g]) - 1
        others = np.isinf(starts)
        weights = np.zeros((len(starts), periods))
        weights[g, t] += 1.0
        weights[g, base] -= 1.0
        weights[others, t] -= shares[others] / shares[others].sum()
        weights[others, base] += shares[others] / shares[others].sum()
        found.append(weights)
    return np.array(found)


def _imputed(starts: Floats, shares: Floats, periods: int) -> Floats:
    """(C, G, T) weights of each treated mean less what effects of groups and periods, fitted to the rest, predict."""
    n_groups = len(starts)
    untreated = np.arange(periods) < starts[:, None]
    group, period = (axis.ravel() for axis in np.indices((n_groups, periods)))
    design = np.column_stack([np.eye(n_groups)[group], np.eye(periods)[period][:, 1:]])
    rows = untreated.ravel()
    weight = shares[group][rows]
    inverse = np.linalg.pinv((design[rows] * weight[:, None]).T @ design[rows])
    found = []
    for g, t in _cells(starts, periods):
        weights = np.zeros(n_groups * periods)
        weights[rows] = -(design[g * periods + t] @ inverse @ (design[rows] * weight[:, None]).T)
        weights[g * periods + t] += 1.0
        found.append(weights.reshape(n_groups, periods))
    return np.array(found)
