"""Intervals if a trend bends by at most M from one period to the next: fixed length, affine in the estimates.

Among estimators v′β̂ with weight `target` on the effects after, the one whose interval is shortest,

    v′β̂ ± σ q(b/σ),   σ² = v′Vv,   b = largest bias within the bound,   q(t) = 1 - α quantile of |N(t, 1)|.

A linear trend must not bias it. Write v_(-s) = w_(s-1) - 2 w_s + w_(s+1) with w_0 = Σ s target_s and w_s = 0 for s ≥ K.
The w are then free and are the weights of the bends before the reference period, so b = M (F + Σ|w|) with F the bends
from the reference on, which only `target` decides. The length is jointly convex in (σ, b), so the best w solves a lasso

    min ½ (w - w*)′Q(w - w*) + λ Σ|w|   with   λ = M σ q_b / q_σ,  q_b = tanh(ct),  q_σ = c - t tanh(ct),  c = q(t):

its path in λ is piecewise linear and known exactly, and one equation in λ is left. M = 0 is a straight line, fitted by
generalised least squares to the effects before and drawn on.

Source: Rambachan and Roth (2023), section 4.1; Armstrong and Kolesár (2018), *Econometrica* 86(2); Osborne, Presnell
and Turlach (2000), *IMA Journal of Numerical Analysis* 20(3) for the path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from evaluation.impact.honest.event_study import EventStudy
from evaluation.impact.honest.intervals import HonestInterval, require_bound
from evaluation.impact.inference.bands import require_level

Array = np.ndarray

NEAR = 1e-12  # of λ: a knot of the path this close is the present one


def smoothness(study: EventStudy, bound: float, level: float = 0.95) -> HonestInterval:
    """The shortest fixed-length interval for trends that bend by at most `bound` (M, unit of the outcome)."""
    require_bound(bound)
    require_level(level)
    problem = _Problem.of(study)
    weights = problem.best(bound, 1 - level)
    half = _half_length(problem.std_error(weights), bound * problem.bends(weights), 1 - level)
    before = problem.offset + problem.basis @ weights
    center = float(before @ study.estimate[: study.n_before]) + study.effect
    return HonestInterval(
        restriction="smoothness",
        bound=bound,
        low=center - half,
        high=center + half,
        level=level,
        detail=f"If trends bend by at most {bound:.4g} from one period to the next, the effect lies between "
        f"{center - half:.4g} and {center + half:.4g} ({level:.0%}).",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """Standard error and bends of an estimator as functions of w (K - 1,), its weights on the bends before.

    Attributes:
        offset, basis: weights (K,) on the effects before are offset + basis @ w.
        best_fit: (K - 1,) w* of least variance.
        gram: (K - 1, K - 1) Q.
        least_variance: at w*.
        fixed_bends: F.
    """

    offset: Array
    basis: Array
    best_fit: Array
    gram: Array
    least_variance: float
    fixed_bends: float

    @classmethod
    def of(cls, study: EventStudy) -> _Problem:
        k, tails = study.n_before, study.weight_of_steps
        second = np.eye(k + 1, k + 1) * -2 + np.eye(k + 1, k + 1, 1) + np.eye(k + 1, k + 1, -1)
        second = second[1:, :k][::-1]  # rows: the earliest period first; columns: w_0 … w_(K-1)
        offset, basis = second[:, 0] * tails.sum(), second[:, 1:]
        before, across = study.covariance[:k, :k], study.covariance[:k] @ study.loading
        gram = basis.T @ before @ basis
        fit = -np.linalg.solve(gram, basis.T @ (before @ offset + across)) if k > 1 else np.zeros(0)
        full = np.concatenate([offset + basis @ fit, study.target])
        return cls(
            offset=offset,
            basis=basis,
            best_fit=fit,
            gram=gram,
            least_variance=float(full @ study.covariance @ full),
            fixed_bends=float(np.abs(np.cumsum(tails[::-1])).sum()),
        )

    def std_error(self, weights: Array) -> float:
        away = weights - self.best_fit
        return float(np.sqrt(self.least_variance + away @ self.gram @ away))

    def bends(self, weights: Array) -> float:
        return float(self.fixed_bends + np.abs(weights).sum())

    def best(self, bound: float, alpha: float) -> Array:
        """(K - 1,) weights of the shortest interval: the root of λ - M σ q_b / q_σ on the path."""
        penalties, path = _lasso_path(self.gram, self.gram @ self.best_fit)
        if bound == 0 or len(self.best_fit) == 0:
            return self.best_fit

        def at(penalty: float) -> Array:
            return np.array([np.interp(penalty, penalties, values) for values in path.T])

        def excess(penalty: float) -> float:
            weights = at(penalty)
            sigma, bias = self.std_error(weights), bound * self.bends(weights)
            return penalty - bound * sigma * _trade_off(bias / sigma, alpha)

        if excess(penalties[-1]) <= 0:  # even without any weight on bends the price of bias is higher
            return np.asarray(path[-1])
        return at(float(optimize.brentq(excess, 0.0, penalties[-1], xtol=1e-15 * penalties[-1], rtol=1e-14)))


def _lasso_path(gram: Array, pull: Array) -> tuple[Array, Array]:
    """Knots of argmin ½ w′Qw - pull′w + λ Σ|w|: λ increasing from 0, and w at each; linear between them, 0 beyond."""
    n = len(pull)
    active, signs = np.zeros(n, dtype=bool), np.zeros(n)
    penalty, knots, path = float(np.abs(pull).max(initial=0.0)), [], []
    knots.append(penalty)
    path.append(np.zeros(n))
    if penalty > 0:
        first = int(np.abs(pull).argmax())
        active[first], signs[first] = True, np.sign(pull[first])
    while penalty > 0:
        level, slope = np.zeros(n), np.zeros(n)
        inner = gram[np.ix_(active, active)]
        level[active], slope[active] = np.linalg.solve(inner, np.column_stack([pull[active], signs[active]])).T
        penalty, change = _next_knot(gram, pull, active, level, slope, penalty)
        knots.append(penalty)
        path.append(level - penalty * slope)
        if change >= 0:
            active[change] = not active[change]
            path[-1][change] = 0.0
            signs[change] = np.sign(pull[change] - gram[change] @ path[-1])
    return np.array(knots[::-1]), np.array(path[::-1])


def _next_knot(
    gram: Array, pull: Array, active: Array, level: Array, slope: Array, penalty: float
) -> tuple[float, int]:
    """The largest λ below the present one at which a weight leaves zero or reaches it, and which; (0, -1) if none."""
    rest, drift = pull - gram @ level, gram @ slope
    with np.errstate(divide="ignore", invalid="ignore"):
        candidates = np.concatenate([level / slope, rest / (1 - drift), -rest / (1 + drift)])
    may = np.concatenate([active, ~active, ~active])
    candidates = np.where(may & (candidates < penalty * (1 - NEAR)) & (candidates > 0), candidates, 0.0)
    best = int(candidates.argmax())
    return (float(candidates[best]), best % len(pull)) if candidates[best] > 0 else (0.0, -1)


def _quantile(shift: float, alpha: float) -> float:
    """c with P(|N(shift, 1)| ≤ c) = 1 - α, by its equation."""

    def excess(beyond: float) -> float:
        return float(special.ndtr(beyond) - special.ndtr(-beyond - 2 * shift)) - (1 - alpha)

    low, high = float(special.ndtri(1 - alpha)), float(special.ndtri(1 - alpha / 2))
    return shift + float(optimize.brentq(excess, low - 1e-12, high + 1e-12, xtol=1e-15, rtol=1e-15))


def _half_length(sigma: float, bias: float, alpha: float) -> float:
    return sigma * _quantile(bias / sigma, alpha)


def _trade_off(shift: float, alpha: float) -> float:
    """q_b / q_σ, how much standard error a unit of bias is worth at the same length."""
    critical = _quantile(shift, alpha)
    tangent = float(np.tanh(critical * shift))
    return tangent / (critical - shift * tangent)
