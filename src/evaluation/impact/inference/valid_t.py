"""Intervals from the t-ratio of one instrument that hold their level however weak it is: the tF procedure.

With one instrument, t of the effect and f of the first stage come from two normal variables:
t = T/√(1 − 2ρ T/f + T²/f²) with T standard normal, f ~ N(f₀, 1) and ρ their correlation. The worst case is |ρ| = 1,
where f = f₀ + T and t = f (f − f₀)/f₀. The procedure compares |t| with a critical value that falls with F = f²:
infinite up to z², the usual z from some F on (104.7 at 5 %; at 1 % nowhere), and in between such that the worst case
rejects with probability 1 − level for every f₀.

How it is computed. Let x(s) be the largest first stage that is not rejected where f₀ = s, so that the critical value at
f = x(s) is x (x − s)/s. What is rejected below x(s) depends on the critical values at smaller first stages only:

* f < 0: from |f| = x(r) on, with x(r) (s − r) = 2 r s;
* 0 < f < s: where x(r) is below the harmonic mean of r and s;

hence x(s) follows from x(r), r < s: x(s) = s + Φ⁻¹(level + what is rejected below). It starts as z + z s²/2.

Source: Lee, McCrary, Moreira and Porter (2022), *American Economic Review* 112(10), sections 3 and 4, table 3.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from evaluation.impact.inference.bands import require_level

Array = np.ndarray

STEP = 0.01  # of s
FIRST = 3  # places for which the beginning of the curve is taken from its expansion
LAST = 16.0  # of s: at levels above about .96 the usual quantile is reached nowhere; the factor stays what it is there


def tf_factor(f_statistic: float, level: float = 0.95) -> float:
    """By how much the standard error of an effect by one instrument is to be multiplied, given F of its first stage.

    Args:
        f_statistic: F of the first stage under the convention of the standard error (one instrument: effective F).
        level: coverage.

    Returns:
        At least 1; infinite up to the square of the normal quantile, where no effect can be excluded.

    Source: Lee, McCrary, Moreira and Porter (2022), table 3.
    """
    require_level(level)
    quantile = _quantile(level)
    if f_statistic <= quantile**2:
        return float("inf")
    ends, starts = _curve(level)
    f = float(np.sqrt(f_statistic))
    end = min(f, float(ends[-1]))
    s = float(np.interp(end, ends, starts))
    return max(end * (end - s) / s / quantile, 1.0)


def _quantile(level: float) -> float:
    return float(special.ndtri(0.5 + level / 2))


@lru_cache(maxsize=8)
def _curve(level: float) -> tuple[Array, Array]:
    """x(s) and s, both ascending, from s = 0 to where the critical value is the usual one."""
    quantile = _quantile(level)
    starts = STEP * np.arange(FIRST)
    ends = quantile + quantile * starts**2 / 2
    while True:
        s = float(STEP * len(starts))
        guess = 3 * ends[-1] - 3 * ends[-2] + ends[-3]
        starts = np.append(starts, s)
        ends = np.append(ends, guess)
        for _ in range(3):  # the guess counts only where the last step is asked for, while s is small
            ends[-1] = s + special.ndtri(level + _rejected_below(ends, starts, s))
        if s >= LAST or ends[-1] * (ends[-1] - s) / s <= quantile:
            return ends, starts


def _rejected_below(ends: Array, starts: Array, s: float) -> float:
    """Probability that the worst case with f₀ = s rejects at a first stage below its largest accepted one."""
    negative = _crossings(ends * (s - starts) - 2 * starts * s)
    below = float(special.ndtr(-(_at(ends, negative[0]) + s)))
    harmonic = 2 * starts[:-1] * s / (starts[:-1] + s)
    inner = _crossings(ends[:-1] - harmonic)
    pairs = zip(inner[::2], inner[1::2], strict=True)
    return below + sum(float(special.ndtr(_at(ends, b) - s) - special.ndtr(_at(ends, a) - s)) for a, b in pairs)


def _crossings(values: Array) -> Array:
    """Places between neighbours, as fractions of the index, at which the sign changes."""
    turns = np.flatnonzero((values[1:] < 0) != (values[:-1] < 0))
    return np.asarray(turns + values[turns] / (values[turns] - values[turns + 1]))


def _at(ends: Array, place: float) -> float:
    return float(np.interp(place, np.arange(len(ends)), ends))
