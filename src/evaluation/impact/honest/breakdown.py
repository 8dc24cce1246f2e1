"""The bound on departures from parallel trends at which an effect is first not told apart from zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.impact.honest.event_study import EventStudy
from evaluation.impact.honest.intervals import HonestInterval, Restriction
from evaluation.impact.honest.relative_magnitudes import Family, relative_magnitudes
from evaluation.impact.honest.smoothness import smoothness
from evaluation.impact.inference.bands import require_level

LARGEST = 2.0**10  # Mbar, or M in standard errors of the effect; beyond, a bound says nothing
PRECISION = 1e-6  # of the bound
INTERVALS: dict[Restriction, Callable[[EventStudy, float, float], HonestInterval]] = {
    "relative_magnitudes": relative_magnitudes,
    "smoothness": smoothness,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """How large departures from parallel trends must be allowed to be for the interval to hold zero.

    Attributes:
        restriction: relative_magnitudes (Mbar, a multiple) or smoothness (M, unit of the outcome per period).
        value: the largest bound at which the interval excludes zero; 0 if it holds zero under parallel trends; infinite
            if it never does; NaN with a reason.
        effect: under parallel trends.
        n_before: periods before the treatment, without the reference, that say how much trends change.
        level: probability of the intervals.
        reason: why there is no value; "" if there is one.
        detail: one sentence.
    """

    restriction: Restriction
    value: float
    effect: float
    n_before: int
    level: float
    reason: str
    detail: str


def breakdown(
    study: EventStudy, restriction: Restriction = "relative_magnitudes", level: float = 0.95, *, smallest: float = 0.0
) -> Breakdown:
    """The largest bound at which zero is excluded, by doubling and halving.

    Args:
        study: the effects.
        restriction: on departures from parallel trends.
        level: probability of the intervals.
        smallest: a size that the effect must exceed, on the side of its estimate, in the place of zero.

    Source: Rambachan and Roth (2023), section 2.4 ("breakdown" value).
    """
    require_level(level)
    value = float("nan") if study.reason else _largest_excluding(study, restriction, level, smallest)
    return Breakdown(
        restriction=restriction,
        value=value,
        effect=study.effect,
        n_before=study.n_before,
        level=level,
        reason=study.reason,
        detail=_sentence(study, restriction, value, level, smallest),
    )


def fan(
    study: EventStudy, bounds: Sequence[float], restriction: Restriction = "relative_magnitudes", level: float = 0.95
) -> pd.DataFrame:
    """Intervals for several bounds: columns bound, low, high. What a smaller bound allows, a larger one does too.

    Trends within a smaller bound lie within a larger one, so the hull with the intervals of the smaller bounds given is
    valid as well; it keeps intervals of data in which the test is not monotone from shrinking.
    """
    found = [INTERVALS[restriction](study, bound, level) for bound in sorted(bounds)]
    low, high = (np.array([getattr(interval, end) for interval in found]) for end in ("low", "high"))
    return pd.DataFrame(
        {"bound": sorted(bounds), "low": np.minimum.accumulate(low), "high": np.maximum.accumulate(high)}
    )


def _largest_excluding(study: EventStudy, restriction: Restriction, level: float, smallest: float) -> float:
    excludes = _test(study, restriction, level, float(np.copysign(smallest, study.effect)))
    unit = 1.0 if restriction == "relative_magnitudes" else study.std_error
    if abs(study.effect) <= smallest or not excludes(0.0):
        return 0.0
    low, high = 0.0, unit / 8
    while excludes(high):
        low, high = high, 2 * high
        if high > LARGEST * unit:
            return float("inf")
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (middle, high) if excludes(middle) else (low, middle)
    return low


def _test(study: EventStudy, restriction: Restriction, level: float, effect: float) -> Callable[[float], bool]:
    """Whether the interval of a bound excludes an effect; relative magnitudes need no interval for it."""
    if restriction == "relative_magnitudes":
        return lambda bound: not Family.of(study, bound, 1 - level).possible(np.array([effect]))[0]

    def excludes(bound: float) -> bool:
        interval = smoothness(study, bound, level)
        return not interval.low <= effect <= interval.high

    return excludes


def _sentence(study: EventStudy, restriction: Restriction, value: float, level: float, smallest: float) -> str:
    if study.reason:
        return f"No breakdown value: {study.reason}."
    what = (
        f"{value:.2f} times the largest change among {study.n_before} before it"
        if restriction == "relative_magnitudes"
        else f"bends of {value:.4g} from one period to the next"
    )
    against = "zero" if smallest == 0 else f"effects of at most {smallest:.4g}"
    if value == 0:
        return (
            f"The effect {study.effect:.4g} is not told apart from {against} even under parallel trends ({level:.0%})."
        )
    if not np.isfinite(value):
        return f"The effect {study.effect:.4g} is told apart from {against} under every bound tried ({level:.0%})."
    return (
        f"The effect {study.effect:.4g} is told apart from {against} for departures from "
        f"parallel trends up to {what} ({level:.0%})."
    )
