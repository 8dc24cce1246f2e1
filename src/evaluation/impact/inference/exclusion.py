"""How far an instrument may act on the outcome by itself before an effect says nothing any more.

The outcome is y = β x + γ z + …: an instrument z that is excluded has γ = 0. For every γ that is thought possible the
effect is (ρ - γ) / π, where ρ is what the instrument does to the outcome and π what it does to the treatment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.errors import DataError
from evaluation.impact.inference.bands import require_level, t_quantile

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """What an instrument does, and what would have to be its own doing.

    Attributes:
        reduced_form, first_stage: effect of the instrument on the outcome, and on the treatment.
        reach_zero: direct effect at which the effect of the treatment is zero: the whole reduced form.
        lose_significance: direct effect, towards zero, at which the interval first holds zero; 0 if it does already.
    """

    reduced_form: float
    first_stage: float
    reach_zero: float
    lose_significance: float

    @property
    def share(self) -> float:
        """`lose_significance` as a share of the reduced form, 0 to 1."""
        return abs(self.lose_significance / self.reduced_form) if self.reduced_form else 0.0


def direct_effect(estimates: Array, covariance: Array, *, level: float = 0.95) -> Direct:
    """The direct effect that an instrument must have for the interval to hold zero.

    With β(γ) = (ρ - γ)/π and Var β(γ) = (V_ρ + β² V_π - 2 β V_ρπ)/π² (delta method, the usual interval of two-stage
    least squares), the interval of γ holds zero where β(γ)² π² ≤ z² (V_ρ + β(γ)² V_π - 2 β(γ) V_ρπ): a quadratic in β
    whose root on the side of the estimate gives γ = ρ - β π.

    Args:
        estimates: (2,) reduced form ρ and first stage π, of one instrument.
        covariance: (2, 2) of them.
        level: probability of the interval.

    Raises:
        DataError: the first stage is zero.

    Source: Conley, Hansen and Rossi (2012), *Review of Economics and Statistics* 94(1), section III.A.
    """
    require_level(level)
    rho, pi = _checked(estimates)
    z2 = _critical(level) ** 2
    side = np.sign(rho / pi)
    square, linear = pi**2 - z2 * covariance[1, 1], z2 * covariance[0, 1]
    constant = z2 * covariance[0, 0]
    root = _root(square, side * linear, constant)  # of |β|: square b² + 2 linear b - constant = 0
    lost = rho - side * root * pi
    held = abs(root) >= abs(rho / pi)
    return Direct(reduced_form=rho, first_stage=pi, reach_zero=rho, lose_significance=0.0 if held else float(lost))


def _root(square: float, linear: float, constant: float) -> float:
    """The positive root; infinite where every effect is inside its own interval (a weak first stage)."""
    if square <= 0:
        return float("inf")
    return float((-linear + np.sqrt(linear**2 + square * constant)) / square)


def union_of_intervals(
    estimates: Array, covariance: Array, low: float, high: float, *, level: float = 0.95
) -> tuple[float, float]:
    """Interval for the effect if the direct effect of the instrument may be anything from `low` to `high`.

    The union of the intervals of all γ between, so that it covers with at least `level` wherever γ lies. The half-width
    is convex in γ, so that the ends of the union are those of the two ends.

    Raises:
        DataError: the first stage is zero, or `low` is above `high`.

    Source: as `direct_effect`.
    """
    require_level(level)
    rho, pi = _checked(estimates)
    if low > high:
        raise DataError(
            code="E-IMP-361",
            what="the least direct effect of the instrument is above the largest",
            found=f"{low} to {high}",
            expected="low <= high",
            fix="give the smaller number first",
        )
    beta = (rho - np.array([low, high])) / pi
    variance = covariance[0, 0] + beta**2 * covariance[1, 1] - 2 * beta * covariance[0, 1]
    half = _critical(level) * np.sqrt(variance) / abs(pi)
    return float((beta - half).min()), float((beta + half).max())


def _critical(level: float) -> float:
    return float(t_quantile(0.5 + level / 2, np.array([np.inf]))[0])


def _checked(estimates: Array) -> tuple[float, float]:
    rho, pi = (float(value) for value in estimates)
    if pi == 0 or not np.isfinite([rho, pi]).all():
        raise DataError(
            code="E-IMP-362",
            what="an instrument that does not move the treatment says nothing about its effect",
            found=f"first stage {pi}",
            expected="a first stage other than zero",
            fix="name another instrument",
        )
    return rho, pi
