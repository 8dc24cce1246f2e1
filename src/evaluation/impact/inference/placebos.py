"""From placebo estimates to p-values and intervals: what the method finds where there was no treatment.

With few treated units there is no law of large numbers to appeal to. What is known is what the same method gives when
donors stand in the place of the treated: if the treatment did nothing, and the treated are exchangeable with donors,
the estimate is one more draw from these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from evaluation.impact.inference.bands import require_level

Array = np.ndarray
Form = Literal["permutation", "normal"]

ROUNDING = 1e-9
TIE = 1e-10  # relative: a placebo this close to the estimate is as far out
SEARCHES = 60  # doublings and halvings, each, of the search for an end of an interval


def rank_p(statistic: float, placebos: Array) -> float:
    """Share of the statistic and its placebos that are at least as large as it: (1 + number) / (1 + B)."""
    known = placebos[~np.isnan(placebos)]
    return float((1 + np.count_nonzero(known >= statistic * (1 - TIE))) / (1 + len(known)))


def placebo_table(
    labels: pd.DataFrame, estimates: Array, placebos: Array, *, level: float = 0.95, form: Form = "permutation"
) -> pd.DataFrame:
    """The table that people read, from placebos: columns as those of `summarize`.

        permutation: p = (1 + #{|placebo| ≥ |estimate|}) / (1 + B), and the interval of all constant effects that this
            test keeps: estimate ± the m-th largest |placebo|, m the whole part of (1 - level)(1 + B);
        normal: estimate ± quantile times the standard deviation of the placebos.

    No p-value of B placebos is below 1 / (1 + B). Where even that is above 1 - level (fewer than 19 placebos at 95 %)
    there is no interval: none could exclude anything. The standard deviation of the placebos is the standard error.

    Args:
        labels: K rows that say what the estimates are.
        estimates: (K,).
        placebos: (B, K) estimates of the same where there is no effect; all assignments, or draws of them.
        level: of the intervals.
        form: permutation, or normal as in Arkhangelsky et al. (2021), algorithm 4.

    Source: Abadie, Diamond and Hainmueller (2010); Firpo and Possebom (2018) for intervals by inversion.
    """
    require_level(level)
    few = _too_few(len(placebos), level)
    spread = placebos.std(axis=0) if len(placebos) else np.full(len(estimates), np.nan)
    permuted = form == "permutation"
    half, p_value = _permuted(estimates, placebos, level) if permuted else _normal(estimates, spread, level)
    half = np.where(bool(few), np.nan, half)
    silent = np.full(len(estimates), np.nan)
    numbers = {
        "estimate": estimates,
        "std_error": spread,
        "ci_low": estimates - half,
        "ci_high": estimates + half,
        "band_low": silent,
        "band_high": silent,
        "p_value": np.where(len(placebos) > 0, p_value, np.nan),
        "df": np.inf,
        "reason": few,
    }
    return pd.concat([labels.reset_index(drop=True), pd.DataFrame(numbers)], axis="columns")


def fewest_placebos(level: float) -> int:
    """Placebos below which no interval of this level exists: 1 / (1 + B) must reach 1 - level; 19 at 95 %."""
    return int(np.ceil(1 / (1 - level) - 1 - ROUNDING))


def shift_p(residuals: Array, n_after: int) -> float:
    """p-value of residuals after the treatment among all their cyclic shifts.

        S(u) = Σ over the last n_after periods of |u|;  p = share of the T shifts with S at least that of the sample

    Args:
        residuals: (T,) under the hypothesis, from weights that were fitted to all periods under it.
        n_after: periods after the treatment.

    Source: Chernozhukov, Wüthrich and Zhu (2021), *JASA* 116(536), equations 3 to 5, moving blocks, q = 1.
    """
    size = np.abs(residuals)
    around = np.cumsum(np.concatenate([[0.0], size, size]))
    sums = around[n_after : n_after + len(size)] - around[: len(size)]
    own = sums[len(size) - n_after]
    return float(np.mean(sums >= own * (1 - TIE)))


def kept_interval(p_of: Callable[[float], float], center: float, step: float, level: float) -> tuple[float, float]:
    """Ends of the hypotheses around `center` that a test with these p-values keeps, found outwards and by halves.

    Args:
        p_of: p-value of a hypothesis.
        center: a hypothesis; missing ends if even it is rejected.
        step: first distance tried.
        level: of the interval.

    Returns:
        Both ends; infinite where no hypothesis that way was rejected within 2⁶⁰ steps.
    """
    alpha = (1 - level) * (1 + ROUNDING)
    if p_of(center) <= alpha:
        return np.nan, np.nan
    return _end(p_of, center, -step, alpha), _end(p_of, center, step, alpha)


def _end(p_of: Callable[[float], float], center: float, step: float, alpha: float) -> float:
    inside, outside = 0.0, step
    for _ in range(SEARCHES):
        if p_of(center + outside) <= alpha:
            break
        inside, outside = outside, 2 * outside
    else:
        return float(np.inf * np.sign(step))
    while abs(outside - inside) > 1e-6 * abs(step):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if p_of(center + middle) > alpha else (inside, middle)
    return center + inside


def _permuted(estimates: Array, placebos: Array, level: float) -> tuple[Array, Array]:
    n = len(placebos)
    size = np.sort(np.abs(placebos), axis=0)
    m = int((1 - level) * (1 + n) + ROUNDING)
    half = size[n - m] if m else np.full(len(estimates), np.nan)
    far = np.count_nonzero(size >= np.abs(estimates) * (1 - TIE), axis=0)
    return half, (1 + far) / (1 + n)


def _normal(estimates: Array, spread: Array, level: float) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * special.ndtr(-np.abs(estimates / spread))
    return special.ndtri(0.5 + level / 2) * spread, p_value


def _too_few(n: int, level: float) -> str:
    least = fewest_placebos(level)
    if n >= least:
        return ""
    return f"{n} placebo assignments: an interval of {level:.0%} needs at least {least}"
