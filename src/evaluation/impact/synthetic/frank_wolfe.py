"""Weights on the simplex by the Frank-Wolfe path that R's synthdid takes, for numbers that agree with its own.

The path stops before it is at the solution, so its weights depend on the stopping rule; `weights` has the exact ones.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray

FIRST, SECOND = 100, 10_000  # steps before and after small weights are set to zero
SHARE = 4  # weights of at most the largest over this are set to zero in between
DECREASE = 1e-5  # of the noise: the path ends when the objective falls by less than its square


def path_weights(columns: Array, target: Array, *, ridge: float, intercept: bool, noise: float) -> Array:
    """Weights after two stretches of the path, small weights set to zero between them.

        objective f(w) = |Aw - b|² / n + ridge |w|², columns and target less their means with an intercept;
        each step goes towards the vertex of steepest descent, as far as lowers f most

    Args:
        columns: (n, k) A.
        target: (n,) b.
        ridge: penalty, in squared units of the outcome.
        intercept: whether levels may differ by a constant.
        noise: standard deviation of the donors' changes, for the stopping rule.

    Returns:
        (k,) weights.

    Source: Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021), *American Economic Review* 111(12); for the
        steps Jaggi (2013). Sizes and stopping rule as in R's synthdid 0.0.9.
    """
    if intercept:
        columns, target = columns - columns.mean(axis=0), target - target.mean()
    least = (DECREASE * noise) ** 2
    even = np.full(columns.shape[1], 1 / columns.shape[1])
    rough = _descend(columns, target, ridge, even, least, FIRST)
    return _descend(columns, target, ridge, _sparse(rough), least, SECOND)


def _sparse(weights: Array) -> Array:
    kept = np.where(weights <= weights.max() / SHARE, 0.0, weights)
    return np.asarray(kept / kept.sum())


def _descend(columns: Array, target: Array, ridge: float, start: Array, least: float, most: int) -> Array:
    n = len(columns)
    weights, penalty = start, n * ridge
    values: list[float] = []
    while len(values) < most and (len(values) < 2 or values[-2] - values[-1] > least):
        fitted = columns @ weights
        slope = (fitted - target) @ columns + penalty * weights
        vertex = int(slope.argmin())
        move = -weights
        move[vertex] += 1.0
        change = columns[:, vertex] - fitted
        curvature = change @ change + penalty * (move @ move)
        if curvature > 0:
            weights = weights + min(1.0, max(0.0, float(-(slope @ move) / curvature))) * move
        error = columns @ weights - target
        values.append(float(ridge * (weights @ weights) + error @ error / n))
    return weights
