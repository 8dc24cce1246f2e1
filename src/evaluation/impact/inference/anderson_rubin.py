"""Ratios of two effects without assuming that the denominator is far from zero: Anderson-Rubin by inversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.impact.inference.bands import p_values, require_level, t_quantile
from evaluation.impact.inference.covariances import Covariance

Array = np.ndarray
Shape = Literal["interval", "two_rays", "line"]

FLAT = 1e-12  # of its parts; a leading coefficient below is zero, and the set ends on one side only


@dataclass(frozen=True, slots=True, kw_only=True)
class AndersonRubin:
    """The ratios r/f that a test of r - β f = 0 does not reject.

    With one instrument the set always holds the estimate and so is never empty; it has no end where the first stage
    cannot be told from zero.

    Attributes:
        shape: interval: low to high (an end may be infinite); two_rays: everything up to `low` and from `high` on;
            line: every number.
        low, high: ends; infinite for a line.
        statistic: t of the hypothesis that the ratio is zero, which is that of the numerator.
        p_value: of that hypothesis.
        f_statistic: (f / se(f))², with clusters by clusters: for one instrument the effective F of the first stage.
        level: coverage.
    """

    shape: Shape
    low: float
    high: float
    statistic: float
    p_value: float
    f_statistic: float
    level: float

    def holds(self, value: float) -> bool:
        """Whether a value is not rejected."""
        if self.shape == "line":
            return True
        inside = self.low <= value <= self.high
        return inside if self.shape == "interval" else value <= self.low or value >= self.high

    def pieces(self) -> tuple[tuple[float, float], ...]:
        """The set as intervals."""
        if self.shape == "two_rays":
            return (-np.inf, self.low), (self.high, np.inf)
        return ((self.low, self.high),)

    def describe(self) -> str:
        """The set in words."""
        if self.shape == "interval":
            return f"{self.low:.6g} to {self.high:.6g}"
        if self.shape == "line":
            return "every number: the first stage cannot be told from zero"
        return f"up to {self.low:.6g} and from {self.high:.6g} on: the first stage cannot be told from zero"


def anderson_rubin(estimate: Array, found: Covariance, df: float, *, level: float = 0.95) -> AndersonRubin:
    """The set of β with (r - β f)² ≤ c² (V_rr - 2 β V_rf + β² V_ff), c the t quantile: a quadratic in β.

    The covariance is that of both estimates under any convention, so that the set is as robust to clusters as it is.
    Holds its level however weak the first stage, because r - β f is tested as an ordinary estimate.

    Args:
        estimate: (2,) numerator r (reduced form) and denominator f (first stage).
        found: their covariance (2, 2).
        df: degrees of freedom of the numerator alone; infinite for normal quantiles.
        level: coverage.

    Source: Anderson and Rubin (1949); Fieller (1954) for the quadratic; Andrews, Stock and Sun (2019), sections 4 and
        5, for clusters; Montiel Olea and Pflueger (2013) for the effective F.
    """
    require_level(level)
    r, f = map(float, estimate)
    (v_rr, v_rf), (_, v_ff) = found.matrix
    c2 = float(t_quantile(0.5 + level / 2, np.array([df]))[0]) ** 2
    shape, low, high = _solved(f * f, c2 * v_ff, r * f - c2 * v_rf, r * r - c2 * v_rr)
    error = np.sqrt(v_rr)
    return AndersonRubin(
        shape=shape,
        low=low,
        high=high,
        statistic=float(r / error) if error > 0 else float("nan"),
        p_value=float(p_values(np.array([r]), np.array([error]), np.array([df]))[0]),
        f_statistic=float(f * f / v_ff) if v_ff > 0 else float("inf"),
        level=level,
    )


def _solved(square: float, noise: float, half: float, constant: float) -> tuple[Shape, float, float]:
    """The set of β with a β² - 2 h β + k ≤ 0, a = square - noise."""
    a = square - noise
    if abs(a) <= FLAT * max(square, noise):
        if half == 0:
            return "line", -np.inf, np.inf
        end = constant / (2 * half)
        return ("interval", end, np.inf) if half > 0 else ("interval", -np.inf, end)
    room = half * half - a * constant
    if room <= 0:  # with a > 0 rounding alone: the estimate itself is never rejected
        return ("line", -np.inf, np.inf) if a < 0 else ("interval", half / a, half / a)
    large = half + np.copysign(np.sqrt(room), half)
    ends = sorted((large / a, constant / large))
    return "interval" if a > 0 else "two_rays", float(ends[0]), float(ends[1])
