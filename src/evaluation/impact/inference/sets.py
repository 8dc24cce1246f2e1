"""Intervals for an effect of which only a lower and an upper bound are estimated."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from evaluation.impact.inference.bands import require_level

Array = np.ndarray


def interval_of_a_set(bounds: Array, std_errors: Array, *, level: float = 0.95) -> tuple[float, float]:
    """Interval that covers the effect, wherever between the bounds it lies, with probability `level`.

        [low - c se_low, high + c se_high],  Φ(c + width / max(se)) - Φ(-c) = level,  width = max(high - low, 0)

    A wide set needs the one-sided quantile (1.645 at 95 %), because the effect can lie beyond one end only; a set that
    is one point needs the usual 1.960.

    Args:
        bounds: (2,) lower and upper bound.
        std_errors: (2,) of the bounds.
        level: probability of coverage.

    Returns:
        Both ends; not a number where a standard error is none.

    Source: Imbens and Manski (2004), *Econometrica* 72(6), equations 6 and 7; Stoye (2009) for when it is uniform.
    """
    require_level(level)
    low, high = (float(bound) for bound in bounds)
    if not np.isfinite(std_errors).all() or not np.isfinite(bounds).all():
        return np.nan, np.nan
    widest = float(np.max(std_errors))
    share = np.inf if widest == 0 else max(high - low, 0.0) / widest
    critical = optimize.brentq(lambda c: _coverage(c, share) - level, 0.0, 40.0, xtol=1e-12)
    return low - critical * float(std_errors[0]), high + critical * float(std_errors[1])


def _coverage(critical: float, width: float) -> float:
    return float(special.ndtr(critical + width) - special.ndtr(-critical))
