"""What an effect can be when outcomes are missing: Lee's bounds by trimming, Manski's by the worst and the best case.

Both bounds are estimates with an influence function, so that weights, clusters and contrasts need nothing of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError, InternalError
from evaluation.impact.covariates import Floats
from evaluation.impact.effects import Arms, Effects, clear_noise

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assigned:
    """Everybody who was assigned.

    Attributes:
        units: (n,) ids, each once.
        treated: (n,) arm.
        outcome: (n,) NaN where it is not known.
        weight: (n,) positive.
        cell: (n,) code of the group within which bounds are computed; zeros for one group.
    """

    units: pd.Index
    treated: Booleans
    outcome: Floats
    weight: Floats
    cell: NDArray[np.intp]

    @property
    def seen(self) -> Booleans:
        """(n,) whether the outcome is known."""
        return np.isfinite(self.outcome)

    def effects(self, estimate: Floats, influence: Floats, labels: pd.DataFrame) -> Effects:
        """Effects of these units; an influence that is rounding error beside the outcomes becomes zero."""
        scale = float(np.abs(self.outcome[self.seen]).max())
        return Effects(
            estimate=estimate,
            labels=labels,
            influence=clear_noise(influence - influence.mean(axis=0), scale),
            units=self.units,
            arms=Arms.of(self.treated, len(estimate)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeeBounds:
    """Lee's bounds.

    Attributes:
        effects: lower and upper bound of the mean effect on those whose outcome would be known in both arms.
        cells: a row a cell: cell, share_seen_treated, share_seen_comparison, trimmed_arm, trimmed (share of the trimmed
            arm's known outcomes), weight (share of the people the bounds speak of).
    """

    effects: Effects
    cells: pd.DataFrame


def lee(people: Assigned, labels: pd.DataFrame) -> LeeBounds:
    """Bounds of the effect on those whose outcome would be known whatever arm they were in.

    If treatment can only make outcomes more often known (or only less often), the arm with more known outcomes holds
    the others as well. With r the shares of known outcomes and q = r_low / r_high, its mean among the people of
    interest lies between the means of its lowest and of its highest share q:

        lower = (1/q) ∫₀^q F⁻¹(u) du,   upper = (1/q) ∫_{1-q}^1 F⁻¹(u) du,

    less the mean of the other arm. A value that stands at the cut counts in part, so that outcomes of few values and
    weights are trimmed to exactly q. Within cells the direction may differ; cells are averaged by the share of the
    less observed arm's people who are in the cell and seen, which are the people of interest.

    Influence of the lower mean among the known of the trimmed arm, with y the quantile at q and m the mean:

        (1/q) [(Y - y) 1{Y ≤ y} + q (y - m)] + (y - m) (ψ_low/r_low - ψ_high/r_high),  ψ the influences of the shares,

    whose variance is that of Lee's proposition 3. Where the two shares are equal in truth, the limit is not normal.

    Args:
        people: everybody who was assigned.
        labels: two rows, for the lower and the upper bound.

    Raises:
        DataError: in no cell are outcomes known in both arms.

    Source: Lee (2009), *Review of Economic Studies* 76(3), propositions 1a, 1b and 3; Semenova (2023) for directions
        that differ between cells.
    """
    cells = [cell for cell in _cells(people) if cell.share_low > 0]
    if not cells:
        raise DataError(
            code="E-IMP-295",
            what="no group has known outcomes in both arms, so that nothing bounds the effect",
            found=f"{int(people.seen.sum())} known outcomes of {len(people.units)}",
            expected="known outcomes of treated and comparison units",
            fix="name fewer or larger groups under roster: cells",
        )
    share = np.array([cell.share for cell in cells])
    bounds = np.array([cell.bounds for cell in cells])
    estimate = share @ bounds / share.sum()
    influence = sum(cell.influence(bound - estimate) for cell, bound in zip(cells, bounds, strict=True)) / share.sum()
    weight = share / share.sum()
    table = pd.DataFrame([cell.row(part) for cell, part in zip(cells, weight, strict=True)])
    return LeeBounds(effects=people.effects(estimate, np.asarray(influence), labels), cells=table)


def manski(people: Assigned, lowest: float, highest: float, labels: pd.DataFrame) -> Effects:
    """Bounds of the effect on everybody, from outcomes that lie between two numbers and nothing else.

        lower = E[Y or lowest | treated] - E[Y or highest | comparison], and the other way round for the upper one.

    Args:
        people: everybody who was assigned; their cells do not count.
        lowest: what an unknown outcome can be at least.
        highest: what it can be at most.
        labels: two rows, for the lower and the upper bound.

    Raises:
        InternalError: a known outcome lies outside.

    Source: Manski (1990), *American Economic Review* 80(2); Horowitz and Manski (2000).
    """
    known = people.outcome[people.seen]
    if known.min() < lowest or known.max() > highest:
        raise InternalError(
            code="E-IMP-296",
            what="an outcome lies outside its range",
            found=f"{known.min():g} to {known.max():g}",
            expected=f"{lowest:g} to {highest:g}",
        )
    parts = []
    for if_treated, if_not in ((lowest, highest), (highest, lowest)):
        filled = np.where(people.seen, people.outcome, np.where(people.treated, if_treated, if_not))
        parts.append(_difference(filled, people))
    influence = np.column_stack([part[1] for part in parts])
    return people.effects(np.array([part[0] for part in parts]), influence, labels)


# one cell ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cell:
    """One group; `low` is the arm with fewer known outcomes.

    Attributes:
        code: of the group.
        share: of the low arm's people, in all cells, who are in this cell and seen.
        share_low, share_high: known outcomes in the two arms of the cell.
        trims_treated: whether the treated arm is the one with more known outcomes.
        bounds: (2,) lower and upper bound in the cell.
        of_bounds: (n, 2) influence on the bounds.
        of_share: (n,) influence on `share`.
    """

    code: int
    share: float
    share_low: float
    share_high: float
    trims_treated: bool
    bounds: Floats
    of_bounds: Floats
    of_share: Floats

    def influence(self, departure: Floats) -> Floats:
        """(n, 2) what the cell adds to the influence on Σ share bounds / Σ share, times Σ share."""
        return self.share * self.of_bounds + np.outer(self.of_share, departure)

    def row(self, weight: float) -> dict[str, object]:
        high, low = self.share_high, self.share_low
        return {
            "cell": self.code,
            "share_seen_treated": high if self.trims_treated else low,
            "share_seen_comparison": low if self.trims_treated else high,
            "trimmed_arm": "treated" if self.trims_treated else "comparison",
            "trimmed": 1 - low / high,
            "weight": weight,
        }


def _cells(people: Assigned) -> Iterator[_Cell]:
    for code in np.unique(people.cell):
        inside = people.cell == code
        shares = [_share(people, inside & arm) for arm in (people.treated, ~people.treated)]
        trims_treated = shares[0][0] >= shares[1][0]
        high, low = shares if trims_treated else shares[::-1]
        low_arm = ~people.treated if trims_treated else people.treated
        if low[0] > 0:
            yield _cell(people, int(code), inside, low_arm, low, high)


def _cell(
    people: Assigned,
    code: int,
    inside: Booleans,
    low_arm: Booleans,
    low: tuple[float, Floats],
    high: tuple[float, Floats],
) -> _Cell:
    mean, of_mean = _mean(people.outcome, people.weight, inside & low_arm & people.seen)
    share, of_share = _mean((inside & people.seen).astype(float), people.weight, low_arm)
    kept = low[0] / high[0]
    of_kept = kept * (low[1] / low[0] - high[1] / high[0])
    rows = inside & ~low_arm & people.seen
    lower, of_lower = _tail(people.outcome, people.weight, rows, kept, of_kept)
    mirrored, of_mirrored = _tail(-people.outcome, people.weight, rows, kept, of_kept)
    trimmed, of_trimmed = np.array([lower, -mirrored]), np.column_stack([of_lower, -of_mirrored])
    trims_treated = bool((~people.treated[low_arm]).all())
    if not trims_treated:  # the less observed arm is the treated one: its mean less the trimmed means
        trimmed, of_trimmed = trimmed[::-1], of_trimmed[:, ::-1]
    sign = 1.0 if trims_treated else -1.0
    return _Cell(
        code=code,
        share=share,
        share_low=low[0],
        share_high=high[0],
        trims_treated=trims_treated,
        bounds=sign * (trimmed - mean),
        of_bounds=sign * (of_trimmed - of_mean[:, None]),
        of_share=of_share,
    )


def _share(people: Assigned, rows: Booleans) -> tuple[float, Floats]:
    return _mean(people.seen.astype(float), people.weight, rows) if rows.any() else (0.0, np.zeros(len(rows)))


def _mean(values: Floats, weight: Floats, rows: Booleans) -> tuple[float, Floats]:
    """Weighted mean over some rows, and the (n,) influence on it."""
    total = weight[rows].sum()
    mean = float(weight[rows] @ values[rows] / total)
    influence = np.zeros(len(values))
    influence[rows] = len(values) / total * weight[rows] * (values[rows] - mean)
    return mean, influence


def _tail(values: Floats, weight: Floats, rows: Booleans, kept: float, of_kept: Floats) -> tuple[float, Floats]:
    """Mean of the lowest share `kept` of the rows, the value at the cut in part, and the (n,) influence on it."""
    order = np.argsort(values[rows], kind="stable")
    y, w = values[rows][order], weight[rows][order]
    below = np.cumsum(w)
    wanted = kept * below[-1]
    place = min(int(np.searchsorted(below, wanted * (1 - 1e-12))), len(y) - 1)
    cut = y[place]
    inside = np.minimum(w, np.maximum(wanted - (below - w), 0.0))
    mean = float(inside @ y / inside.sum())
    influence = (cut - mean) / kept * of_kept
    own = np.minimum(values[rows] - cut, 0.0) + kept * (cut - mean)
    influence[rows] += len(values) / below[-1] * weight[rows] * own / kept
    return mean, influence


def _difference(filled: Floats, people: Assigned) -> tuple[float, Floats]:
    one, of_one = _mean(filled, people.weight, people.treated)
    zero, of_zero = _mean(filled, people.weight, ~people.treated)
    return one - zero, of_one - of_zero
