"""Sets with several treated and several comparison units: subclasses, cells of coarse covariates, full matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact.covariates import Floats
from evaluation.impact.neighbours import Rows

Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]
NO_SET = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strata:
    """Units in sets.

    Attributes:
        codes: (n,) set of each unit, `NO_SET` for those in none.
        treated: (n,) arm.
        estimand: whose effect is wanted: the treated (att), the comparison units (atc) or all (ate) of the sets.
        distance: summed distances between the units of pairs, where sets were formed by them.
    """

    codes: Codes
    treated: Mask
    estimand: Literal["att", "atc", "ate"]
    distance: float = np.nan

    def sets(self, weights: Floats, usable: Mask | None = None, among: Mask | None = None) -> StratifiedSets:
        """The sets that have usable units in both arms, see `Matches.sets`."""
        inside = self.codes != NO_SET
        return StratifiedSets(
            strata=self,
            sampling=np.where(inside if usable is None else inside & usable, weights, 0.0),
            among=np.ones(len(weights), dtype=bool) if among is None else among,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StratifiedSets:
    """Sets with weights.

    Attributes:
        strata: the sets.
        sampling: (n,) sampling weights; 0 for rows that cannot be used.
        among: (n,) units whose effect is wanted.
    """

    strata: Strata
    sampling: Floats
    among: Mask

    @property
    def members(self) -> tuple[Rows, Rows]:
        """Rows with a weight, and the set of each."""
        rows = np.flatnonzero(self.weights() > 0)
        return rows, self.strata.codes[rows]

    def weights(self) -> Floats:
        """(n,) own weight w in the arm whose effect is wanted, in the other w T / S.

        T is the summed weight of the units of the set whose effect is wanted, S that of the arm in the set; for ate
        both arms have w T / S. Sets without one of the arms have weight 0.
        """
        treated, estimand = self.strata.treated, self.strata.estimand
        focal = {"att": treated, "atc": ~treated, "ate": np.ones_like(treated)}[estimand] & self.among
        target = self._sums(focal)
        out = np.zeros(len(treated))
        sums = {side: self._sums(treated == side) for side in (True, False)}
        both = (sums[True] > 0) & (sums[False] > 0)
        for side, total in sums.items():
            arm = treated == side
            own = estimand == ("att" if side else "atc")
            ratio = np.where(both, 1.0 if own else target / np.where(total > 0, total, 1.0), 0.0)
            out[arm] = (self.sampling * np.where(self.strata.codes == NO_SET, 0.0, ratio[self.strata.codes]))[arm]
            if own:
                out[arm & ~self.among] = 0.0
        return out

    def _sums(self, chosen: Mask) -> Floats:
        """Summed weights by set, and one number more for units in none."""
        codes = self.strata.codes
        sums = np.bincount(codes[chosen] + 1, self.sampling[chosen], int(codes.max()) + 2)
        return np.asarray(sums[1:], dtype=float)


def subclasses(score: Floats, treated: Mask, usable: Mask, number: int, estimand: str) -> Codes:
    """Subclasses between quantiles of the score of those whose effect is wanted; each has units of both arms.

    A subclass without one of the arms is joined with the next below it (the first: above it).

    Args:
        score: (n,).
        treated: (n,) arm.
        usable: (n,) units that are not discarded.
        number: of subclasses asked for.
        estimand: att, atc or ate.

    Returns:
        (n,) subclass, from the lowest score upwards.

    Source: Rosenbaum and Rubin (1984); Hyndman and Fan's (1996) quantile 7, as in R.
    """
    focal = usable & {"att": treated, "atc": ~treated, "ate": np.ones_like(treated)}[estimand]
    edges = np.unique(np.quantile(score[focal], np.arange(1, number) / number))
    place = np.searchsorted(edges, score, side="right")
    codes = _with_both_arms(place, treated, usable, len(edges) + 1)
    return np.where(usable, codes, NO_SET)


def _with_both_arms(place: Codes, treated: Mask, usable: Mask, number: int) -> Codes:
    joined = np.arange(number)
    counts = np.array([np.bincount(place[usable & arm], minlength=number) for arm in (treated, ~treated)])
    for k in range(number - 1, -1, -1):
        if (counts[:, k] == 0).any() and k:
            counts[:, k - 1] += counts[:, k]
            joined[joined == k] = k - 1
    lowest = joined == 0
    if (counts[:, 0] == 0).any() and (~lowest).any():
        joined[lowest] = joined[~lowest].min()
    _, codes = np.unique(joined, return_inverse=True)
    return np.asarray(codes[place])


def sturges(n: int) -> int:
    """Number of bins for n values, ⌈log₂ n + 1⌉ (Sturges 1926)."""
    return int(np.ceil(np.log2(n) + 1))


def coarse(values: Floats, at: tuple[float, ...], bins: int) -> Codes:
    """Bins of numbers: between the cutpoints, or `bins` of one width from the smallest to the largest value."""
    low, high = float(values.min()), float(values.max())
    if not at and low == high:
        return np.zeros(len(values), dtype=np.intp)
    edges = np.array(at) if at else np.linspace(low, high, (bins or sturges(len(values))) + 1)[1:-1]
    return np.asarray(np.searchsorted(edges, values, side="right"))


def cells(columns: list[NDArray[np.signedinteger]], treated: Mask) -> Codes:
    """Cells of units that agree in all columns; `NO_SET` where a cell lacks one of the arms.

    Source: Iacus, King and Porro (2012), with the coarsening in `coarse`.
    """
    table = pd.DataFrame(dict(enumerate(columns)))
    codes = table.groupby(list(table.columns), sort=True).ngroup().to_numpy()
    counts = np.array([np.bincount(codes[arm], minlength=codes.max() + 1) for arm in (treated, ~treated)])
    return np.where(np.all(counts > 0, axis=0)[codes], codes, NO_SET)
