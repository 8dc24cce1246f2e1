"""Matched sets: who stands for whom with which weight, and what that implies for the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.impact.covariates import Floats
from evaluation.impact.neighbours import NOBODY, Rows, nearest_others

Mask = NDArray[np.bool_]
Variance = Literal["heteroskedastic", "homoskedastic"]

# Neighbours of the same arm, besides the unit itself, that estimate its conditional variance (Abadie and Imbens 2006).
VARIANCE_NEIGHBOURS = 2


class Sets(Protocol):
    """What the outcome step asks of matched sets, however they were formed."""

    @property
    def members(self) -> tuple[Rows, Rows]:
        """Rows of all members of usable sets, and the number of the set of each."""

    def weights(self) -> Floats:
        """(n,) weight of each row in the matched sample."""


class Matching(Protocol):
    """What was matched, whatever the outcome."""

    def sets(self, weights: Floats, usable: Mask | None = None, among: Mask | None = None) -> Sets:
        """The sets that can be used, see `Matches.sets`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Focal units and their partners, one by one.

    Attributes:
        focal: (m,) rows of the units whose effect is wanted, ascending: treated (att), comparison (atc) or all (ate).
        partners: (m, k) rows of their partners, first choice first, `NOBODY` where there is none.
        n_rows: rows of the sample, n.
        width: largest distance allowed; infinite without a caliper.
    """

    focal: Rows
    partners: Rows
    n_rows: int
    width: float = np.inf

    @property
    def matched(self) -> Mask:
        """(m,) True for focal units with a partner."""
        return np.asarray((self.partners != NOBODY).any(axis=1))

    @property
    def partners_used(self) -> tuple[Rows, Rows]:
        """Rows that serve as partners, and how often each does."""
        times = np.bincount(self.partners[self.partners != NOBODY], minlength=self.n_rows)
        rows = np.flatnonzero(times)
        return rows, times[rows]

    def sets(self, weights: Floats, usable: Mask | None = None, among: Mask | None = None) -> MatchedSets:
        """The sets that can be used.

        Args:
            weights: (n,) sampling weights; those of the focal units count.
            usable: (n,) rows whose outcome is known; all if None.
            among: (n,) focal units whose effect is wanted; all if None.
        """
        present = self.partners != NOBODY
        if usable is not None:
            present &= usable[self.partners] & usable[self.focal][:, None]
        if among is not None:
            present &= among[self.focal][:, None]
        count = np.maximum(present.sum(axis=1, keepdims=True), 1)
        return MatchedSets(matches=self, shares=np.where(present, weights[self.focal][:, None] / count, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedSets:
    """Matched sets with weights.

    Attributes:
        matches: who was matched with whom.
        shares: (m, k) weight of each partner in its set; the shares of a set sum to its focal unit's weight, or to 0
            where the set cannot be used.
    """

    matches: Matches
    shares: Floats

    @property
    def focal_weights(self) -> Floats:
        """(m,) weight of each set."""
        return np.asarray(self.shares.sum(axis=1))

    @property
    def members(self) -> tuple[Rows, Rows]:
        """Rows of all members of usable sets, focal units first, and the number of the set of each."""
        sets, turns = np.nonzero(self.shares)
        used = np.flatnonzero((self.shares > 0).any(axis=1))
        return np.r_[self.matches.focal[used], self.matches.partners[sets, turns]], np.r_[used, sets]

    def by_focal(self, values: Floats) -> Floats:
        """(n,) values (m,) placed at the rows of the focal units, 0 elsewhere."""
        out = np.zeros(self.matches.n_rows)
        out[self.matches.focal] = values
        return out

    def by_partner(self, power: int = 1) -> Floats:
        """(n,) sum over sets of a row's shares to this power; 0 for rows that are nobody's partner."""
        used = self.shares > 0
        sums = np.bincount(self.matches.partners[used], self.shares[used] ** power, self.matches.n_rows)
        return np.asarray(sums, dtype=float)

    def weights(self) -> Floats:
        """(n,) weight of each row in the matched sample: focal units their own, partners what they stand for."""
        return self.by_focal(self.focal_weights) + self.by_partner()

    def differences(self, outcome: Floats) -> Floats:
        """(m,) outcome of the focal unit less the mean outcome of its partners; 0 for sets that cannot be used."""
        weights = self.focal_weights
        others = (self.shares * outcome[np.where(self.shares > 0, self.matches.partners, 0)]).sum(axis=1)
        return np.where(weights > 0, outcome[self.matches.focal] - others / np.where(weights > 0, weights, 1.0), 0.0)

    def reuse(self) -> Floats:
        """(n,) (w + K)² - w² - K²: what Abadie and Imbens (2006) multiply the conditional variances with.

        w is the own weight of a row as a focal unit, K the sum of its shares as a partner, K² that of their squares.
        """
        own, times = self.by_focal(self.focal_weights), self.by_partner()
        return np.asarray((own + times) ** 2 - own**2 - self.by_partner(power=2))


def conditional_variances(
    sets: MatchedSets, outcome: Floats, known: Mask, points: Floats, treated: Mask, variance: Variance
) -> Floats:
    """Variance of the outcome given the covariates, for rows that serve more than once; 0 elsewhere.

    heteroskedastic: sample variance (ddof 1) of a unit and its `VARIANCE_NEIGHBOURS` nearest neighbours in its arm.
    homoskedastic: half the mean squared deviation of the differences within pairs from the effect, for every unit.

    Args:
        sets: usable sets.
        outcome: (n,).
        known: (n,) rows whose outcome is known.
        points: (n, d) where distances are measured.
        treated: (n,) arm.
        variance: which of the two.

    Returns:
        (n,) in squared units of the outcome.

    Source: Abadie and Imbens (2006), section 4.
    """
    out = np.zeros(len(outcome))
    common = _pair_variance(sets, outcome, treated) if variance == "homoskedastic" else None
    counts = sets.reuse() > 0  # a partner that serves one focal unit adds nothing to what its difference varies
    for arm in (treated, ~treated):
        rows, pool = np.flatnonzero(counts & arm), np.flatnonzero(known & arm)
        if common is not None:
            out[rows] = common
        elif len(rows) and len(pool) > 1:
            group = np.column_stack([rows, nearest_others(points, rows, pool, VARIANCE_NEIGHBOURS)])
            out[rows] = outcome[group].var(axis=1, ddof=1)
    return out


def _pair_variance(sets: MatchedSets, outcome: Floats, treated: Mask) -> float:
    i, turn = np.nonzero(sets.shares)
    focal = sets.matches.focal[i]
    gap = np.where(treated[focal], 1.0, -1.0) * (outcome[focal] - outcome[sets.matches.partners[i, turn]])
    share = sets.shares[i, turn] / sets.shares.sum()
    return float(0.5 * share @ (gap - share @ gap) ** 2)


def martingale_influence(sets: MatchedSets, outcome: Floats, covariates: Floats, treated: Mask) -> tuple[Rows, Floats]:
    """The matching estimate as a sum of independent terms: rows in use and their influence, which has mean zero.

    influence = (n / S) [w (f₁(x) - f₀(x) - tau) ± (w + K) (y - f(x))], with n the rows in use, w the focal weights and
    S their sum, K the summed shares of a partner, f₁ and f₀ the regressions of the outcome on the covariates in the two
    arms (weights w + K), f that of the unit's own arm, and + for treated units. It is an approximation, for clusters
    and contrasts; Abadie-Imbens is the standard error of the effect itself.

    Source: Abadie and Imbens (2012), section 3.
    """
    w = sets.by_focal(sets.focal_weights)
    total = w + sets.by_partner()
    rows = np.flatnonzero(total > 0)
    w, y, arm = w[rows], outcome[rows], treated[rows]
    fits = _arm_fits(total[rows], y, covariates[rows], arm)
    gain = fits[0] - fits[1]
    left = np.where(arm, y - fits[0], fits[1] - y)
    by_row = w * (gain - w @ gain / w.sum()) + total[rows] * left
    influence = len(rows) / w.sum() * by_row
    return rows, influence - influence.mean()


def residuals(sets: MatchedSets, outcome: Floats, covariates: Floats, treated: Mask) -> Floats:
    """(n,) outcome less its regression on the covariates in the unit's own arm, weights of the matched sample."""
    fits = _arm_fits(sets.weights(), outcome, covariates, treated)
    return np.asarray(outcome - np.where(treated, fits[0], fits[1]))


def _arm_fits(weights: Floats, outcome: Floats, covariates: Floats, treated: Mask) -> tuple[Floats, Floats]:
    """(n,) predictions of the regressions in the two arms, for everybody."""
    x = np.column_stack([np.ones(len(outcome)), covariates])
    one, zero = (x @ weighted_slopes(x, outcome, np.where(arm, weights, 0.0)) for arm in (treated, ~treated))
    return one, zero


def corrected(sets: MatchedSets, outcome: Floats, covariates: Floats, treated: Mask) -> Floats:
    """The outcome less its regression in the other arm, so that differences within sets lose the bias of the distance.

    With f the regression on the covariates among the partners of an arm (weights K), the difference of a set becomes
    (y - f(x)) of the focal unit less the mean of (y - f(x)) of its partners, both with the partners' f.

    Returns:
        (m,) differences of the sets, 0 for sets that cannot be used.

    Source: Abadie and Imbens (2011), equation 4.
    """
    x = np.column_stack([np.ones(len(outcome)), covariates])
    times, out = sets.by_partner(), np.zeros(len(sets.matches.focal))
    for arm in (treated, ~treated):
        weights = np.where(arm, times, 0.0)
        if weights.any():
            served = ~arm[sets.matches.focal]
            left = outcome - x @ weighted_slopes(x, outcome, weights)
            out[served] = sets.differences(left)[served]
    return out


def weighted_slopes(x: Floats, outcome: Floats, weights: Floats) -> Floats:
    """The shortest of the weighted least-squares solutions, so that dependent columns do no harm to the fit."""
    used = weights > 0
    root = np.sqrt(weights[used])
    return np.asarray(np.linalg.lstsq(x[used] * root[:, None], outcome[used] * root, rcond=1e-10)[0])
