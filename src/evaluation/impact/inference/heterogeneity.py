"""How much true effects differ between studies: Q, I², variances between studies with their interval.

Effects y (k,) with known sampling variances v (k,) and regressors X (k, p); w = 1 / (v + τ²), h the leverages of √w X
and e its residuals √w (y − Xb). Then Q(τ²) = Σ e², tr P = Σ w (1 − h) and y′PPy = Σ w e², P = W − WX(X′WX)⁻¹X′W.

Source: Viechtbauer (2005), *Journal of Educational and Behavioral Statistics* 30(3); Viechtbauer (2007), *Statistics in
    Medicine* 26(1), for the interval; Jennrich and Schluchter (1986) for several variances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import linalg, optimize, special

from evaluation.errors import DataError, ParametersError
from evaluation.impact.regression import Factor, factorize

Array = np.ndarray
Method = Literal["common", "DL", "PM", "REML"]

METHODS: tuple[str, ...] = get_args(Method)
GRID = 24  # values of the variance at which the likelihood is looked at first: it can have several tops
SCORING_STEPS = 200
CONVERGED = 1e-12  # of the scale of the effects: change in a variance at which steps end


@dataclass(frozen=True, slots=True, kw_only=True)
class Heterogeneity:
    """How much effects differ beyond chance.

    Attributes:
        q: Cochran's Q with weights 1 / v.
        df: its degrees of freedom.
        p_value: of Q as chi-squared.
        variance: τ² between studies.
        variance_low, variance_high: Q-profile interval of τ²; both 0 where even τ² = 0 leaves Q below its range.
        i_squared: share of the variance of estimates that is not chance, 0 to 1.
    """

    q: float
    df: int
    p_value: float
    variance: float
    variance_low: float
    variance_high: float
    i_squared: float


def between_variance(estimate: Array, variance: Array, design: Array, method: Method = "REML") -> float:
    """τ² (≥ 0) of independent effects with one variance between studies.

    common: 0. DL: (Q − df) / Σ w (1 − h) with w = 1/v. PM: Q(τ²) = df. REML: the top of
    −½ [Σ log(v + τ²) + log |X′WX| + Q(τ²)], found on a grid and then as the zero of ½ [Σ w e² − Σ w (1 − h)].

    Args:
        estimate: (k,).
        variance: (k,) sampling variances, above 0.
        design: (k, p).
        method: see above.

    Source: DerSimonian and Laird (1986); Paule and Mandel (1982); Viechtbauer (2005) for REML.
    """
    problem = _Weighted(np.asarray(estimate, float), require_variances(variance), np.asarray(design, float))
    if method not in METHODS:
        raise ParametersError(
            code="E-EVI-040",
            what="no such estimator of the variance between studies",
            found=f"{method}",
            expected=", ".join(METHODS),
        )
    if method == "common" or problem.df <= 0:
        return 0.0
    if method == "DL":
        at_zero = problem.at(0.0)
        return max(0.0, (at_zero.q - problem.df) / at_zero.trace)
    return _crossing(problem, problem.df) if method == "PM" else _restricted_top(problem)


def heterogeneity(
    estimate: Array, variance: Array, design: Array, *, method: Method = "REML", level: float = 0.95
) -> Heterogeneity:
    """Q, I² and τ² with the interval of τ² that inverts Q(τ²) ~ χ²(df).

    I² = τ² / (τ² + df / tr P) with P at τ² = 0, the typical sampling variance; (Q − df) / Q for method common.

    Source: Higgins and Thompson (2002); Viechtbauer (2007) for the interval.
    """
    problem = _Weighted(np.asarray(estimate, float), require_variances(variance), np.asarray(design, float))
    found = between_variance(estimate, variance, design, method)
    at_zero, df = problem.at(0.0), problem.df
    low, high = (_crossing(problem, float(special.chdtri(df, p))) for p in (0.5 - level / 2, 0.5 + level / 2))
    if method == "common":
        i_squared = max(0.0, (at_zero.q - df) / at_zero.q) if at_zero.q > 0 else 0.0
    else:
        i_squared = found / (found + df / at_zero.trace)
    return Heterogeneity(
        q=at_zero.q,
        df=df,
        p_value=float(special.chdtrc(df, at_zero.q)),
        variance=found,
        variance_low=low,
        variance_high=high,
        i_squared=i_squared,
    )


def variance_components(
    estimate: Array, covariance: Array, design: Array, groups: Sequence[Array], *, restricted: bool = True
) -> tuple[Array, float]:
    """Variances between the groups of several nested or crossed levels, and the log-likelihood they reach.

    Σ = V + Σⱼ σⱼ² Zⱼ Zⱼ′; the top of −½ [log |Σ| + log |X′Σ⁻¹X| + y′Py (+ constants)], by Fisher scoring with step
    halving: gradient ½ (y′P Zⱼ Zⱼ′ P y − tr P ZⱼZⱼ′), information ½ tr(P ZᵢZᵢ′ P ZⱼZⱼ′), variances at 0 held there
    while they point below. Started from small and from large variances; the better top is returned.

    Args:
        estimate: (k,).
        covariance: V, (k, k) or (k,) for independent estimates.
        design: (k, p).
        groups: codes (k,) of each level, such as the study of each effect.
        restricted: False leaves out log |X′Σ⁻¹X| (maximum likelihood).

    Source: Harville (1977), *Journal of the American Statistical Association* 72(358); Konstantopoulos (2011).
    """
    known = np.diag(covariance) if np.ndim(covariance) == 1 else np.asarray(covariance, float)
    shared = np.stack([np.equal.outer(codes, codes).astype(float) for codes in groups])
    model = _Components(np.asarray(estimate, float), known, np.asarray(design, float), shared, restricted)
    scale = float(np.var(estimate)) or 1.0
    tops = [model.climb(np.full(len(groups), share * scale), scale) for share in (0.02, 0.5)]
    return max(tops, key=lambda top: top[1])


def require_variances(variance: Array) -> Array:
    """(k,) or (k, k) as floats, if every sampling variance is finite and above 0."""
    given = np.asarray(variance, dtype=float)
    diagonal = np.diag(given) if given.ndim == 2 else given
    if not (np.isfinite(given).all() and (diagonal > 0).all()):
        raise DataError(
            code="E-EVI-041",
            what="effects to be pooled need a standard error above zero",
            found=f"variances from {np.min(diagonal):.4g} to {np.max(diagonal):.4g}",
            expected="finite variances above 0",
            fix="leave out the effects without a standard error, and say so",
        )
    return given


# one variance --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _AtVariance:
    """What the likelihood needs at one τ²."""

    q: float
    trace: float
    square: float
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class _Weighted:
    y: Array
    v: Array
    x: Array

    @property
    def df(self) -> int:
        return len(self.y) - int(self.x.shape[1])

    def at(self, between: float) -> _AtVariance:
        w = 1 / (self.v + between)
        return self._around_mean(w) if self.constant else self._around_regression(w)

    @property
    def constant(self) -> bool:
        """Whether the mean is all there is to fit, which needs no decomposition."""
        return self.x.shape[1] == 1 and bool((self.x == 1).all())

    def _around_mean(self, w: Array) -> _AtVariance:
        total = w.sum()
        e = self.y - (w @ self.y) / total
        q = float(w @ e**2)
        return _AtVariance(
            q=q,
            trace=float(total - w @ w / total),
            square=float(w**2 @ e**2),
            log_likelihood=float(-0.5 * (np.log(total) + q - np.log(w).sum())),
        )

    def _around_regression(self, w: Array) -> _AtVariance:
        root = np.sqrt(w)
        factor = factorize(self.x * root[:, None])
        e = factor.residuals(self.y * root)
        inner = 2 * np.sum(np.log(np.abs(np.diag(factor.r))) + np.log(factor.scale[factor.order]))
        q = float(e @ e)
        return _AtVariance(
            q=q,
            trace=float(w @ (1 - factor.leverages())),
            square=float(w @ e**2),
            log_likelihood=float(-0.5 * (inner + q - np.log(w).sum())),
        )

    def reach(self) -> float:
        """A variance above which nothing can be: ten times the spread of the effects."""
        return float(10 * np.ptp(self.y) ** 2 + 10 * np.max(self.v) * 1e-6)


def _crossing(problem: _Weighted, target: float) -> float:
    """τ² at which Q(τ²), which falls, is `target`; 0 where it is below from the start."""
    if problem.df <= 0 or problem.at(0.0).q <= target:
        return 0.0
    high = problem.reach()
    while problem.at(high).q > target:
        high *= 4
    return _root(lambda between: problem.at(between).q - target, 0.0, high)


def _restricted_top(problem: _Weighted) -> float:
    steps = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, GRID) * problem.reach()])
    best = int(np.argmax([problem.at(step).log_likelihood for step in steps]))
    low, high = steps[max(best - 1, 0)], steps[min(best + 1, GRID)]

    def slope(between: float) -> float:
        found = problem.at(between)
        return found.square - found.trace

    if best == 0 and slope(0.0) <= 0:
        return 0.0
    if slope(float(low)) > 0 > slope(float(high)):
        return _root(slope, float(low), float(high))
    bounds = (float(low), float(high))  # a second top so near that the slope has no single change of sign
    return float(optimize.minimize_scalar(lambda at: -problem.at(at).log_likelihood, bounds=bounds, method="bounded").x)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(function, low, high, xtol=1e-14 * max(high, 1e-300), rtol=1e-13))


# several variances ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Components:
    y: Array
    known: Array
    x: Array
    shared: Array
    restricted: bool

    def climb(self, start: Array, scale: float) -> tuple[Array, float]:
        """Fisher scoring from `start`: the variances reached and their log-likelihood."""
        at, (height, gradient, information) = start, self.look(start)
        for _ in range(SCORING_STEPS):
            free = (at > 0) | (gradient > 0)
            step = np.zeros(len(at))
            step[free] = np.linalg.lstsq(information[np.ix_(free, free)], gradient[free])[0]
            size, moved = 1.0, np.maximum(at + step, 0.0)
            seen = self.look(moved)
            while seen[0] < height and size > 1e-8:
                size /= 2
                moved = np.maximum(at + size * step, 0.0)
                seen = self.look(moved)
            change = float(np.max(np.abs(moved - at)))
            if seen[0] >= height:
                at, (height, gradient, information) = moved, seen
            if change <= CONVERGED * scale or size <= 1e-8:
                break
        return at, height

    def look(self, at: Array) -> tuple[float, Array, Array]:
        """Log-likelihood, gradient and information at these variances."""
        total = self.known + np.tensordot(at, self.shared, axes=1)
        lower = linalg.cholesky(total, lower=True)
        factor = factorize(linalg.solve_triangular(lower, self.x, lower=True))
        e = factor.residuals(linalg.solve_triangular(lower, self.y, lower=True))
        inverse = linalg.solve_triangular(lower, np.eye(len(self.y)), lower=True)
        q = inverse - factor.q @ (factor.q.T @ inverse)
        weights = q.T @ q if self.restricted else inverse.T @ inverse
        outer = inverse.T @ e
        parts = weights @ self.shared
        gradient = 0.5 * (np.einsum("i,jik,k->j", outer, self.shared, outer) - np.einsum("jii->j", parts))
        information = 0.5 * np.einsum("aij,bji->ab", parts, parts)
        return self._height(lower, factor, e), gradient, information

    def _height(self, lower: Array, factor: Factor, e: Array) -> float:
        k, p = self.x.shape
        height = np.log(np.diag(lower)).sum() + 0.5 * float(e @ e)
        if not self.restricted:
            return float(-height - 0.5 * k * np.log(2 * np.pi))
        own = np.linalg.slogdet(self.x.T @ self.x)[1]
        inner = 2 * np.sum(np.log(np.abs(np.diag(factor.r))) + np.log(factor.scale[factor.order]))
        return float(-height - 0.5 * inner + 0.5 * own - 0.5 * (k - p) * np.log(2 * np.pi))
