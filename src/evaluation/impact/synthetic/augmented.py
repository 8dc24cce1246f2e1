"""Synthetic control corrected for what its weights do not reproduce, by a ridge regression on the periods before."""

from __future__ import annotations

import numpy as np

from evaluation.impact.synthetic.weights import simplex_weights

Array = np.ndarray

PENALTIES = 20  # on a geometric grid from the largest squared singular value downwards
SMALLEST = 1e-8  # of the largest penalty
FEWEST_PERIODS = 3  # below, no spread of errors is known and nothing is corrected


def augment(periods: Array, target: Array, weights: Array, penalty: float) -> Array:
    """Weights with the ridge correction; they sum to one and may be negative.

        ω + X (X′X + λ I)⁻¹ (x₁ - X′ω),  X the donors' outcomes before and x₁ the treated's, less the donors' means

    Args:
        periods: (T₀, N₀) outcomes of donors before.
        target: (T₀,) of the treated.
        weights: (N₀,) ω of the synthetic control.
        penalty: λ; infinite for no correction.

    Source: Ben-Michael, Feller and Rothstein (2021), *JASA* 116(536), lemma 1 and section 4.
    """
    if not np.isfinite(penalty):
        return weights
    x = _centred(periods)
    left = target - periods @ weights
    return np.asarray(weights + x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(len(x)), left))


def chosen_penalty(periods: Array, target: Array, ridge: float) -> float:
    """The largest penalty whose error, one period before left out at a time, is within one standard error of the least.

    Both the weights of the synthetic control and the correction are made without the period.

    Args:
        periods: (T₀, N₀) outcomes of donors before.
        target: (T₀,) of the treated.
        ridge: of the weights of the synthetic control.

    Source: Ben-Michael, Feller and Rothstein (2021), section 5.3.
    """
    n, largest = len(periods), float(np.linalg.norm(_centred(periods), 2) ** 2)
    if n < FEWEST_PERIODS or largest == 0:
        return np.inf
    grid = largest * np.geomspace(1.0, SMALLEST, PENALTIES)
    errors = np.array([_left_out(periods, target, ridge, grid, period) for period in range(n)]) ** 2
    mean, spread = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(n)
    best = int(mean.argmin())
    return float(grid[mean <= mean[best] + spread[best]].max())


def _left_out(periods: Array, target: Array, ridge: float, grid: Array, period: int) -> Array:
    """(L,) errors in a period of weights made without it, for every penalty; one decomposition serves them all."""
    kept = np.arange(len(periods)) != period
    weights = simplex_weights(periods[kept], target[kept], ridge=ridge)
    x, left = _centred(periods[kept]), target[kept] - periods[kept] @ weights
    sizes, turn = np.linalg.eigh(x @ x.T)
    moved = periods[period] @ x.T @ turn
    corrected = (moved * (turn.T @ left) / (np.maximum(sizes, 0.0) + grid[:, None])).sum(axis=1)
    return np.asarray(target[period] - periods[period] @ weights - corrected)


def _centred(periods: Array) -> Array:
    return np.asarray(periods - periods.mean(axis=1)[:, None])
