"""Intervals under a bound on departures from parallel trends, and what they would be without sampling error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.errors import ParametersError
from evaluation.impact.honest.event_study import EventStudy

Array = np.ndarray

Restriction = Literal["relative_magnitudes", "smoothness"]
RESTRICTIONS: tuple[Restriction, ...] = ("relative_magnitudes", "smoothness")


@dataclass(frozen=True, slots=True, kw_only=True)
class HonestInterval:
    """An interval that holds the effect with probability `level`, whatever the trends within the bound.

    Attributes:
        restriction: relative_magnitudes or smoothness.
        bound: Mbar (a multiple), or M (in the unit of the outcome, per period).
        low, high: ends of the interval.
        level: probability.
        detail: one sentence.
    """

    restriction: Restriction
    bound: float
    low: float
    high: float
    level: float
    detail: str


def identified_set(study: EventStudy, restriction: Restriction, bound: float) -> tuple[float, float]:
    """Smallest and largest effect that fit the estimates if these had no sampling error.

    With L the weights of the changes after the reference (`EventStudy.weight_of_steps`):
        relative magnitudes: effect ± Mbar Σ|L| · largest |change| before;
        smoothness: effect - (last change before) Σ L, the trend drawn on, ± M Σⱼ |Σ_{t ≥ j} L|.

    Returns:
        The two ends; NaN where the estimates before the treatment themselves bend more than M.

    Source: Rambachan and Roth (2023), section 2.2 and lemma 2.1.
    """
    require_bound(bound)
    changes = study.steps[: study.n_before] @ study.estimate
    weights = study.weight_of_steps
    if restriction == "relative_magnitudes":
        half = bound * np.abs(weights).sum() * np.abs(changes).max()
        return float(study.effect - half), float(study.effect + half)
    if np.abs(np.diff(changes)).max(initial=0.0) > bound:
        return float("nan"), float("nan")
    center = study.effect - changes[-1] * weights.sum()
    half = bound * np.abs(np.cumsum(weights[::-1])).sum()
    return float(center - half), float(center + half)


def require_bound(bound: float) -> None:
    """Refuse a bound that is negative or not a number."""
    if not (np.isfinite(bound) and bound >= 0):
        raise ParametersError(
            code="E-IMP-137",
            what="a bound on departures from parallel trends is not a number from 0 on",
            found=f"{bound}",
        )
