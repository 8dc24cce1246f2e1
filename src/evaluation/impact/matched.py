"""Matched sets: who stands for whom with which weight, and what that implies for the variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.impact.covariates import Floats
from evaluation.impact.neighbours import NOBODY, Rows, nearest_others

Variance = Literal["heteroskedastic", "homoskedastic"]

# Neighbours of the same arm, besides the unit itself, that estimate its conditional variance (Abadie and Imbens 2006).
VARIANCE_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Who was matched with whom, whatever the outcome.

    Attributes:
        focal: (m,) rows of the units whose effect is wanted, ascending: treated (att) or comparison (atc).
        partners: (m, k) rows of their partners, first choice first, `NOBODY` where there is none.
        n_rows: rows of the sample, n.
        width: largest distance allowed; infinite without a caliper.
    """

    focal: Rows
    partners: Rows
    n_rows: int
    width: float = np.inf

    @property
    def matched(self) -> NDArray[np.bool_]:
        """(m,) True for focal units with a partner."""
        return np.asarray((self.partners != NOBODY).any(axis=1))

    @property
    def partners_used(self) -> tuple[Rows, Rows]:
        """Rows that serve as partners, and how often each does."""
        rows, times = np.unique(self.partners[self.partners != NOBODY], return_counts=True)
        return rows, times

    def sets(self, weights: Floats, usable: NDArray[np.bool_] | None = None) -> MatchedSets:
        """The sets that can be used.

        Args:
            weights: (n,) sampling weights; those of the focal units count.
            usable: (n,) rows whose outcome is known; all if None.
        """
        usable = np.ones(self.n_rows, dtype=bool) if usable is None else usable
        present = (self.partners != NOBODY) & usable[self.partners] & usable[self.focal][:, None]
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
        used = np.unique(sets)
        return np.r_[self.matches.focal[used], self.matches.partners[sets, turns]], np.r_[used, sets]

    def by_focal(self, values: Floats) -> Floats:
        """(n,) values (m,) placed at the rows of the focal units, 0 elsewhere."""
        out = np.zeros(self.matches.n_rows)
        out[self.matches.focal] = values
        return out

    def by_partner(self, power: int = 1) -> Floats:
        """(n,) sum over sets of a row's shares to this power; 0 for rows that are nobody's partner."""
        out = np.zeros(self.matches.n_rows)
        used = self.shares > 0
        np.add.at(out, self.matches.partners[used], self.shares[used] ** power)
        return out

    def weights(self) -> Floats:
        """(n,) weight of each row in the matched sample: focal units their own, partners what they stand for."""
        return self.by_focal(self.focal_weights) + self.by_partner()

    def differences(self, outcome: Floats) -> Floats:
        """(m,) outcome of the focal unit less the mean outcome of its partners; 0 for sets that cannot be used."""
        weights = self.focal_weights
        others = (self.shares * outcome[np.where(self.shares > 0, self.matches.partners, 0)]).sum(axis=1)
        return np.where(weights > 0, outcome[self.matches.focal] - others / np.where(weights > 0, weights, 1.0), 0.0)


def conditional_variances(
    sets: MatchedSets, outcome: Floats, known: NDArray[np.bool_], points: Floats, variance: Variance
) -> Floats:
    """Variance of the outcome given the covariates, for the rows of the arm that partners come from; 0 elsewhere.

    heteroskedastic: sample variance (ddof 1) of a unit and its `VARIANCE_NEIGHBOURS` nearest neighbours in its arm.
    homoskedastic: half the mean squared deviation of the differences within pairs from the effect, for every unit.

    Args:
        sets: usable sets.
        outcome: (n,).
        known: (n,) rows whose outcome is known.
        points: (n, d) where distances are measured.
        variance: which of the two.

    Returns:
        (n,) in squared units of the outcome.

    Source: Abadie and Imbens (2006), section 4.
    """
    out = np.zeros(len(outcome))
    pool = np.setdiff1d(np.flatnonzero(known), sets.matches.focal)
    if variance == "homoskedastic":
        out[pool] = _pair_variance(sets, outcome)
    else:
        group = np.column_stack([pool, nearest_others(points, pool, VARIANCE_NEIGHBOURS)])
        out[pool] = outcome[group].var(axis=1, ddof=1) if group.shape[1] > 1 else 0.0
    return out


def _pair_variance(sets: MatchedSets, outcome: Floats) -> float:
    i, turn = np.nonzero(sets.shares)
    gap = outcome[sets.matches.focal[i]] - outcome[sets.matches.partners[i, turn]]
    share = sets.shares[i, turn] / sets.shares.sum()
    return float(0.5 * share @ (gap - share @ gap) ** 2)


def martingale_influence(sets: MatchedSets, outcome: Floats, covariates: Floats) -> tuple[Rows, Floats]:
    """The matching estimate as a sum of independent terms: rows in use and their influence, which has mean zero.

    influence = (n / S) [w (f(x) - p(x) - tau) + w (y - f(x))] for focal units and -(n / S) K (y - p(x)) for partners,
    with n the rows in use, w the focal weights and S their sum, K the summed shares of a partner, and f and p the
    regressions of the outcome on the covariates among focal units (weights w) and partners (weights K). It is an
    approximation, for clusters and contrasts; Abadie-Imbens is the standard error of the effect itself.

    Source: Abadie and Imbens (2012), section 3.
    """
    x = np.column_stack([np.ones(len(outcome)), covariates])
    w, times = sets.by_focal(sets.focal_weights), sets.by_partner()
    own, other = x @ _least_squares(x, outcome, w), x @ _least_squares(x, outcome, times)
    center = w @ (own - other) / w.sum()
    by_row = w * (own - other - center + outcome - own) - times * (outcome - other)
    rows = np.flatnonzero((w > 0) | (times > 0))
    influence = len(rows) / w.sum() * by_row[rows]
    return rows, influence - influence.mean()


def _least_squares(x: Floats, outcome: Floats, weights: Floats) -> Floats:
    """The shortest of the weighted least-squares solutions, so that dependent columns do no harm to the fit."""
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(x * root[:, None], outcome * root, rcond=1e-10)[0])
