"""Estimates and intervals for the best of several: what the winner's curse adds is taken off.

Independent estimates Xᵢ ~ N(μᵢ, σᵢ²); the winner has the largest score aᵢ + bᵢ Xᵢ. Given who won and all other
estimates, the winner's X is normal truncated to X ≥ L, the value at which its score would equal that of the runner-up.

* conditional: μ̂_p solves F(X; μ, [L, ∞)) = 1 − p; ½ for the estimate, α/2 and 1 − α/2 for the ends. Exact, but endless
  where the race was close.
* hybrid: the winner's μ is also taken to lie within c_β σ of X, c_β the quantile 1 − β of the largest |Z| of all m, so
  that X ∈ [max(L, μ − c_β σ), μ + c_β σ]; solved at level (1 − α) / (1 − β), β = α / 10. Covers at least 1 − α, never
  longer than the interval that allows for any winner.

Everything works on arrays, so that coverage is checked by thousands of portfolios at once.

Source: Andrews, Kitagawa and McCloskey (2024), *Quarterly Journal of Economics* 139(1), sections 3 to 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from evaluation.errors import ParametersError
from evaluation.impact.inference.bands import require_level

Array = np.ndarray

HYBRID_SHARE = 0.1  # β / α, as in the paper
HALVINGS = 80
FARTHEST = 1e4  # standard errors below the estimate, at which a conditional estimate is called endless


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Winner:
    """The best of m, arrays of the shape of the portfolios (…).

    Attributes:
        index: which one.
        naive: its estimate, and naive_low, naive_high the interval that forgets the choice.
        conditional, conditional_low, conditional_high: median-unbiased given the choice; −∞ where endless.
        hybrid, hybrid_low, hybrid_high: see the module.
        runner_up: L, the value below which it would not have won.
    """

    index: Array
    naive: Array
    naive_low: Array
    naive_high: Array
    conditional: Array
    conditional_low: Array
    conditional_high: Array
    hybrid: Array
    hybrid_low: Array
    hybrid_high: Array
    runner_up: Array


def best_of(
    estimate: Array, std_error: Array, *, level: float = 0.95, offset: Array | None = None, slope: Array | None = None
) -> Winner:
    """The winner among the last axis, and what is left of its effect after the choice.

    Args:
        estimate: (…, m) independent estimates.
        std_error: (…, m).
        level: of intervals.
        offset: a of the score; zeros if None.
        slope: b > 0 of the score; ones if None.

    Raises:
        ParametersError: fewer than two to choose from, or a score that does not rise with the estimate.
    """
    require_level(level)
    x, se = np.asarray(estimate, float), np.asarray(std_error, float)
    a = np.zeros(x.shape) if offset is None else np.broadcast_to(offset, x.shape)
    b = np.ones(x.shape) if slope is None else np.broadcast_to(slope, x.shape)
    if x.shape[-1] < 2 or not (b > 0).all():
        raise ParametersError(
            code="E-EVI-047",
            what="there is no winner to correct",
            found=f"{x.shape[-1]} estimates, slopes from {np.min(b):.4g}",
            expected="at least two estimates, and scores that rise with them",
        )
    score = a + b * x
    order = np.argsort(-score, axis=-1, kind="stable")
    first, second = order[..., :1], order[..., 1:2]

    def of_first(table: Array) -> Array:
        return np.asarray(np.take_along_axis(table, first, axis=-1)[..., 0])

    runner_up = (np.take_along_axis(score, second, axis=-1)[..., 0] - of_first(a)) / of_first(b)
    return _corrected(first[..., 0], of_first(x), of_first(se), runner_up, x.shape[-1], level)


def _corrected(index: Array, x: Array, se: Array, runner_up: Array, m: int, level: float) -> Winner:
    """The three kinds of interval, on the scale of the winner's standard error: X = 0, the runner-up at `gap` ≤ 0."""
    alpha = 1 - level
    beta = HYBRID_SHARE * alpha
    gap = (runner_up - x) / se
    inner = (1 - level - beta) / (1 - beta)
    reach = float(special.ndtri((1 + (1 - beta) ** (1 / m)) / 2))
    half = float(special.ndtri(1 - alpha / 2))
    conditional = [x + se * _solve(lambda mu: _conditional(mu, gap), 1 - p, gap, FARTHEST, FARTHEST) for p in
                   (0.5, alpha / 2, 1 - alpha / 2)]  # fmt: skip
    hybrid = [x + se * _solve(lambda mu: _hybrid(mu, gap, reach), 1 - p, gap, reach, reach) for p in
              (0.5, inner / 2, 1 - inner / 2)]  # fmt: skip
    conditional = [np.where(value <= x - 0.999 * FARTHEST * se, -np.inf, value) for value in conditional]
    return Winner(
        index=index,
        naive=x,
        naive_low=x - half * se,
        naive_high=x + half * se,
        conditional=conditional[0],
        conditional_low=conditional[1],
        conditional_high=conditional[2],
        hybrid=hybrid[0],
        hybrid_low=hybrid[1],
        hybrid_high=hybrid[2],
        runner_up=runner_up,
    )


def _conditional(mu: Array, gap: Array) -> Array:
    """F(0; μ, [gap, ∞)) = 1 − sf(−μ) / sf(gap − μ), by logarithms."""
    return np.asarray(-np.expm1(special.log_ndtr(mu) - special.log_ndtr(mu - gap)))


def _hybrid(mu: Array, gap: Array, reach: float) -> Array:
    """F(0; μ, [max(gap, μ − c), μ + c]) for |μ| ≤ c."""
    low = np.maximum(gap - mu, -reach)
    top = special.ndtr(reach) - special.ndtr(low)
    return np.asarray(np.where(top > 0, (special.ndtr(-mu) - special.ndtr(low)) / np.where(top > 0, top, 1.0), 0.0))


def _solve(function: Callable[[Array], Array], target: float, like: Array, below: float, above: float) -> Array:
    """μ with function(μ) = target, by halving; the function falls with μ."""
    low, high = np.full(np.shape(like), -below), np.full(np.shape(like), above)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        higher = function(middle) > target
        low, high = np.where(higher, middle, low), np.where(higher, high, middle)
    return np.asarray((low + high) / 2)
