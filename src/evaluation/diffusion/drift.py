"""What a curve misses: real series leave it, and the further ahead the more.

A fan knows how badly a curve is known and how noisy figures are, as if the curve were true. It is not: figures held out
fall outside too often. The rest is taken as a random walk, log(figure / median of the fan) ~ N(0, s² + ω² h), h the
years ahead and s the half-width of the fan on the side where the figure fell, over the normal quantile of its level. ω²
makes the mean of log²/(s² + ω² h) equal to one over the figures held out of all *other* series (0 where it is below one
already): the series itself never widens its own fan, so that the share of its figures that fall inside stays a test.

Source: DerSimonian and Laird (1986) for the moment; Hyndman and Athanasopoulos (2021), chapter 5 (intervals that grow
    with the horizon).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from evaluation.diffusion.forecast import Fan, HeldOut

Array = np.ndarray

FEWEST: Final = 5  # held-out figures of other series; with fewer nothing is added
_LARGEST: Final = 100.0  # variance a year at which the search ends


def drift(rows: Sequence[HeldOut], level: float) -> float:
    """ω² of a year from figures that were held out; 0 with fewer than FEWEST.

    Args:
        rows: predictions with the fans of their curves alone.
        level: of these fans.
    """
    if len(rows) < FEWEST:
        return 0.0
    missed = np.array([np.log(row.observed / row.predicted) for row in rows])
    spread = np.array([_half_width(row) for row in rows]) / ndtri(0.5 + level / 2)
    ahead = np.array([row.ahead for row in rows])

    def excess(variance: float) -> float:
        return float(np.mean(missed**2 / (spread**2 + variance * ahead))) - 1

    return 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, _LARGEST))


def from_others(held: Mapping[str, Sequence[HeldOut]], level: float) -> dict[str, float]:
    """Series -> ω² from the figures held out of all other series."""
    return {name: drift([row for other, rows in held.items() if other != name for row in rows], level) for name in held}


def widened(fan: Fan, drift: float, *, since: float, level: float, inner: float, floor: float = 0.0) -> Fan:
    """The fan with the drift: each bound moves away from the median, log-distance √(d² + z² ω² h).

    Args:
        fan: of the curves alone.
        drift: ω² of a year.
        since: calendar year of the last figure known.
        level: of the outer band.
        inner: of the inner band.
        floor: below which no figure can fall: the last total of a series that adds up.
    """
    outer, within = ndtri(0.5 + level / 2), ndtri(0.5 + inner / 2)
    z = np.array([-outer, -within, 0.0, within, outer])
    more = drift * np.maximum(fan.years - since, 0.0)[:, None] * z**2
    middle = fan.quantiles[:, 2:3]
    distance = np.log(np.maximum(fan.quantiles, 1e-300) / middle)
    moved = middle * np.exp(np.sign(z) * np.sqrt(distance**2 + more))
    return Fan(years=fan.years, quantiles=np.maximum(moved, floor))


def with_drift(row: HeldOut, drift: float, level: float) -> HeldOut:
    """The prediction with a fan that knows the drift."""
    z = float(ndtri(0.5 + level / 2))
    below, above = np.log(row.predicted / max(row.low, 1e-300)), np.log(row.high / row.predicted)
    low, high = (float(np.hypot(side, z * np.sqrt(drift * row.ahead))) for side in (below, above))
    bounds = row.predicted * np.exp(-low), row.predicted * np.exp(high)
    inside = bool(bounds[0] <= row.observed <= bounds[1])
    return replace(row, low=float(bounds[0]), high=float(bounds[1]), inside=inside)


def _half_width(row: HeldOut) -> float:
    """Of the fan on the side where the figure fell, in logarithms."""
    bound = row.high if row.observed > row.predicted else max(row.low, 1e-300)
    return abs(float(np.log(bound / row.predicted)))
