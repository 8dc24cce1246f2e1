"""Weights on the simplex: the exact solution of a small quadratic program.

Minimising |Aw - b|² + ridge |w|² over weights that are not negative and sum to one is finding the point of a convex
hull that is nearest to the origin: the hull of the columns of A less b. Wolfe's active-set method ends after finitely
many steps at the solution, so that nothing depends on a stopping rule.
"""

from __future__ import annotations

import numpy as np

from evaluation.errors import InternalError

Array = np.ndarray

VIOLATION = 1e-11  # of the largest entry of the Gram matrix: rounding stays below, a weight that belongs in lies above
NEGATIVE = 1e-13  # of the largest weight: smaller ones are rounding
STEPS_PER_WEIGHT = 50


def simplex_weights(columns: Array, target: Array, *, ridge: float = 0.0, intercept: bool = False) -> Array:
    """Weights whose combination of the columns is nearest to the target.

        min over w ≥ 0, Σw = 1 and, with an intercept, a constant c of  |Aw + c - b|² / n + ridge |w|²

    Args:
        columns: (n, k) A.
        target: (n,) b.
        ridge: penalty, in squared units of the outcome.
        intercept: whether levels may differ by a constant.

    Returns:
        (k,) weights; exact zeros outside the support.

    Raises:
        InternalError: no solution after `STEPS_PER_WEIGHT` steps a weight.
    """
    apart = columns - target[:, None]
    if intercept:
        apart = apart - apart.mean(axis=0)
    gram = apart.T @ apart / len(apart)
    gram.flat[:: len(gram) + 1] += ridge
    return nearest_point(gram)


def nearest_point(gram: Array) -> Array:
    """Weights w ≥ 0, Σw = 1 that minimise w′Gw.

    Args:
        gram: (k, k) positive semidefinite G.

    Returns:
        (k,) weights. Where several are best, those of the points that the method met first.

    Raises:
        InternalError: no solution after `STEPS_PER_WEIGHT` steps a weight.

    Source: Wolfe (1976), *Mathematical Programming* 11, 128-149; optimality: (Gw)ⱼ ≥ w′Gw for all j.
    """
    k = len(gram)
    scale = float(gram.diagonal().max())
    if k == 1 or scale <= 0:
        return np.full(k, 1 / k)
    scaled = gram / scale
    lifted = scaled + 1.0  # w′(G + 11′)w = w′Gw + 1 on the simplex, and is definite where points are independent
    support, weights = _begin(lifted, scaled)
    for _ in range(STEPS_PER_WEIGHT * k):
        slope = scaled[:, support] @ weights
        entering = int(slope.argmin())
        if slope[entering] >= weights @ slope[support] - VIOLATION or entering in support:
            out = np.zeros(k)
            out[support] = weights
            return out
        support, weights = np.append(support, entering), np.append(weights, 0.0)
        support, weights = _retreat(lifted, support, weights)
    raise InternalError(
        code="E-IMP-320",
        what="weights on the simplex were not found",
        found=f"{STEPS_PER_WEIGHT * k} steps for {k} weights",
        expected="a solution after finitely many steps",
    )


def _begin(lifted: Array, scaled: Array) -> tuple[Array, Array]:
    """A support with positive weights that are best on it: what is left of all points when negative weights go."""
    support = np.arange(len(lifted))
    while len(support) > 1:
        weights = _best(lifted, support)
        if weights is None:
            break
        if (weights > 0).all():
            return support, weights
        support = support[weights > 0]
    return np.array([int(scaled.diagonal().argmin())]), np.ones(1)


def _retreat(lifted: Array, support: Array, weights: Array) -> tuple[Array, Array]:
    """From weights towards the best ones of the support, stopping where one becomes zero and leaves."""
    while True:
        best = _best(lifted, support)
        if best is None:  # the new point adds nothing to those that are there
            return support[:-1], weights[:-1] / weights[:-1].sum()
        if (best > NEGATIVE).all():
            return support, best
        falling = np.flatnonzero(best <= NEGATIVE)
        drop = weights[falling] - best[falling]
        steps = np.divide(weights[falling], drop, out=np.zeros(len(falling)), where=drop > 0)
        step = float(min(1.0, steps.min()))
        moved = weights + step * (best - weights)
        moved[falling[int(steps.argmin())]] = 0.0
        kept = moved > 0
        support, weights = support[kept], moved[kept] / moved[kept].sum()


def _best(lifted: Array, support: Array) -> Array | None:
    """Weights of any sign, sum one, that minimise w′Gw on the support; None if points depend on one another."""
    try:
        solved = np.linalg.solve(lifted[np.ix_(support, support)], np.ones(len(support)))
    except np.linalg.LinAlgError:
        return None
    total = solved.sum()
    return solved / total if np.isfinite(total) and total > 0 else None
