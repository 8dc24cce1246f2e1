"""Jackknife: the estimate without each unit in turn, weights kept as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.impact.effects import Arms, Effects, concat
from evaluation.impact.synthetic.panel import Fitted

Array = np.ndarray


def jackknife(fitted: Fitted, labels: pd.DataFrame) -> Effects | None:
    """The mean effect with an influence of each unit; None if a cohort has one unit, or a donor all the weight.

        influenceᵢ = √(n(n-1)) (mean of the estimates without one unit - estimate without unit i)

    so that the standard error is the jackknife's, √((n-1)/n Σ (τ₋ᵢ - mean)²). Weights of the others are scaled to sum
    to one, and not chosen again. Cohorts are averaged with their shares; a donor's influences on all of them are added.

    Args:
        fitted: of a panel.
        labels: one row that says what the estimate is.

    Source: Arkhangelsky et al. (2021), algorithm 3.
    """
    parts = []
    for start in fitted.cohorts:
        left_out = _without_each(fitted, start)
        if left_out is None:
            return None
        parts.append(_effects(fitted, start, left_out, labels))
    return concat(parts).contrast(fitted.shares, labels)


def _without_each(fitted: Fitted, start: int) -> Array | None:
    """(N₀ + N₁,) estimates without each donor, then without each treated unit."""
    outcomes, chosen = fitted.panel.cohort(start), fitted.cohorts[start]
    n_treated = len(outcomes.treated)
    weights = chosen.unit_weights
    if n_treated < 2 or np.isclose(weights, 1.0).any():
        return None
    before, after = slice(None, start), slice(start, None)
    change = [
        rows[:, after].mean(axis=1) - rows[:, before] @ chosen.time_weights
        for rows in (outcomes.donors, outcomes.treated)
    ]
    synthetic, mean = weights @ change[0], change[1].mean()
    donors = mean - (synthetic - weights * change[0]) / (1 - weights)
    treated = (change[1].sum() - change[1]) / (n_treated - 1) - synthetic
    return np.concatenate([donors, treated])


def _effects(fitted: Fitted, start: int, left_out: Array, labels: pd.DataFrame) -> Effects:
    panel, n = fitted.panel, len(left_out)
    rows = np.concatenate([panel.donors, np.flatnonzero(panel.start == start)])
    influence = np.sqrt(n * (n - 1)) * (left_out.mean() - left_out)
    return Effects(
        estimate=np.array([fitted.cohorts[start].estimate]),
        labels=labels,
        influence=influence[:, None],
        units=panel.units[rows],
        arms=Arms.of(panel.start[rows] == start, 1),
    )
