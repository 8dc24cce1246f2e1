"""From a standard error to power and back: two-sided tests, t with the degrees of freedom of the design.

An effect of δ standard errors is found with probability P(|T| > t), T noncentral t with noncentrality δ. Everything
takes arrays, so that a curve over hundreds of sizes is one call.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from evaluation.impact.covariates import Floats

LEVEL = 0.05
TARGET = 0.80
_NEARLY_NORMAL = 1e5  # degrees of freedom from which on the normal differs by less than 1e-5
_STEPS = 60  # halvings of an interval: 2^-60 of its length is below rounding


def power(
    effect: Floats | float, std_error: Floats | float, df: Floats | float, *, level: float | Floats = LEVEL
) -> Floats:
    """Probability that a two-sided test finds the effect.

        P = 1 - F(t; df, δ) + F(-t; df, δ),   δ = effect / std_error,   t = t_{1-level/2, df}

    Args:
        effect: in the unit of the standard error; its sign does not count.
        std_error: positive.
        df: degrees of freedom, at least 1; infinite for the normal.
        level: of the test.

    Source: Cohen (1988), section 2.5; statsmodels.stats.power computes the same.
    """
    shift = np.abs(np.asarray(effect, dtype=float) / std_error)
    return _power_of(shift, np.asarray(df, dtype=float), np.asarray(level, dtype=float))


def detectable(df: Floats | float, *, level: float | Floats = LEVEL, target: float = TARGET) -> Floats:
    """Effect, in standard errors, that is found with probability `target`: 2.80 for many units at 5 % and 80 %.

    Args:
        df: degrees of freedom, at least 1; NaN gives NaN.
        level: of the test.
        target: power, above the level.

    Source: Bloom (1995), who adds two quantiles of t instead; the sum is exact for the normal only.
    """
    degrees, size = np.broadcast_arrays(np.asarray(df, dtype=float), np.asarray(level, dtype=float))
    distinct, place = np.unique(np.column_stack([degrees.ravel(), size.ravel()]), axis=0, return_inverse=True)
    found = _solved(distinct[:, 0], distinct[:, 1], target)
    return np.asarray(found[place.ravel()].reshape(degrees.shape))


def _solved(df: Floats, level: Floats, target: float) -> Floats:
    usable = df >= 1
    low, high = (
        np.zeros(len(df)),
        np.where(usable, 4 * _critical(np.where(usable, df, 1.0), level) + 8, np.nan),
    )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        enough = _power_of(middle, df, level) >= target
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.where(usable, (low + high) / 2, np.nan))


def _power_of(shift: Floats, df: Floats, level: Floats) -> Floats:
    usable = df >= 1
    degrees = np.where(usable, df, 1.0)
    critical = _critical(degrees, level)
    normal = degrees > _NEARLY_NORMAL
    finite = np.where(normal, 1.0, degrees)
    by_t = _below(finite, shift, -critical) + 1 - _below(finite, shift, critical)
    by_normal = special.ndtr(-critical - shift) + special.ndtr(shift - critical)
    return np.asarray(np.where(usable, np.where(normal, by_normal, by_t), np.nan))


def _critical(df: Floats, level: Floats) -> Floats:
    normal = df > _NEARLY_NORMAL
    by_t = special.stdtrit(np.where(normal, 1.0, df), 1 - level / 2)
    return np.asarray(np.where(normal, special.ndtri(1 - level / 2), by_t))


def _below(df: Floats, shift: Floats, value: Floats) -> Floats:
    """Distribution function of noncentral t; scipy gives up where it is below 1e-29, which is zero here."""
    found = special.nctdtr(df, shift, value)
    return np.asarray(np.where(np.isnan(found), 0.0, found))
