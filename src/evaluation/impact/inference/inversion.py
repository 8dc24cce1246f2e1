"""Draws of a t statistic that are affine in the hypothesis: p-values, and intervals without drawing again.

With δ the estimate less the hypothesised value, the numerator of a draw is a + δ b and its squared standard error
cc + 2 δ cd + δ² dd, while the statistic of the sample is δ / σ. Five vectors of the length of the draws therefore hold
the test of every hypothesis, and an interval is the set of hypotheses that are not rejected.

Source: Roodman, MacKinnon, Nielsen and Webb (2019), section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Array = np.ndarray
Tails = Literal["symmetric", "equal"]

TIE = 1e-10  # relative; statistics of the identical draw differ from the sample's by rounding alone
FARTHEST = 1e8  # standard errors from the estimate at which the search for an end of an interval gives up
PRECISION = 1e-12  # of a standard error, to which an end is found
STEPS = 200  # halvings at most


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffineDraws:
    """B draws of a statistic as functions of δ; `chance` are their probabilities, None for equal ones.

    Attributes:
        numerator: (2, B) rows a and b.
        variance: (3, B) rows cc, cd and dd.
        sigma: σ, standard error of the sample's estimate.
        counted: whether the draws are all there are, so that a share of them is an exact probability.
        chance: (B,) probabilities that sum to 1, or None.
    """

    numerator: Array
    variance: Array
    sigma: float
    counted: bool
    chance: Array | None = None

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.numerator.shape[1])

    def statistics(self, delta: float) -> Array:
        """(B,) draws of t at δ; missing where the squared standard error is not positive."""
        numerator, variance = self._at(delta)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(variance > 0, numerator / np.sqrt(np.maximum(variance, 0.0)), np.nan))

    def p_value(self, delta: float, tails: Tails = "symmetric") -> float:
        """Probability of a statistic at least as far out as the sample's; ties count.

        With drawn (not counted) statistics it is (1 + number) / (1 + draws), which keeps the size of the test.
        """
        more = 0 if self.counted else 1
        return self._p_value(delta, tails, -TIE, more)

    def p_value_strict(self, delta: float, tails: Tails = "symmetric") -> float:
        """Share of draws farther out than the sample's statistic; ties do not count (the convention of boottest)."""
        return self._p_value(delta, tails, TIE, 0)

    def interval(self, estimate: float, level: float, tails: Tails = "symmetric") -> tuple[float, float]:
        """Ends of the hypotheses with a p-value above 1 - level; infinite where every hypothesis that way survives."""

        def kept(delta: float) -> bool:
            return self.p_value(delta, tails) > (1 - level) * (1 + TIE)

        return estimate - _end(kept, self.sigma), estimate - _end(kept, -self.sigma)

    def _at(self, delta: float) -> tuple[Array, Array]:
        """(B,) numerators and squared standard errors at δ."""
        numerator = self.numerator[0] + delta * self.numerator[1]
        return numerator, self.variance[0] + delta * (2 * self.variance[1] + delta * self.variance[2])

    def _p_value(self, delta: float, tails: Tails, slack: float, more: int) -> float:
        """The p-value with a relative slack for ties; squares are compared, which saves every root."""
        numerator, variance = self._at(delta)
        valid = variance > 0
        bound = delta / self.sigma
        if tails == "symmetric":
            extreme = numerator * numerator >= (bound * (1 + slack)) ** 2 * variance
            return self._share(extreme & valid, valid, more)
        root = np.sqrt(np.where(valid, variance, 1.0))
        margin = slack * abs(bound)
        above = self._share((numerator >= (bound + margin) * root) & valid, valid, more)
        return min(1.0, 2 * min(above, self._share((numerator <= (bound - margin) * root) & valid, valid, more)))

    def _share(self, extreme: Array, valid: Array, more: int) -> float:
        if self.chance is None:
            return (more + int(np.count_nonzero(extreme))) / max(more + int(np.count_nonzero(valid)), 1)
        return float(self.chance[extreme].sum() / self.chance[valid].sum())


def _end(kept: Callable[[float], bool], step: float) -> float:
    """The farthest kept point before the first rejected one, searched outwards in steps that grow, then by halves."""
    inside, outside = 0.0, step
    while kept(outside):
        inside, outside = outside, outside + max(abs(step), 0.25 * abs(outside)) * np.sign(step)
        if abs(outside) > FARTHEST * abs(step):
            return float(np.inf * np.sign(step))
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        if abs(outside - inside) <= PRECISION * abs(step):
            break
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return float(inside)
