"""Fitting a curve to a few figures: quasi-likelihood, profile interval of the ceiling, and whether it is identified.

The mean of figure i is μ_i = M (F(end_i) − F(start_i)): exact for the year or the interval, without a density in
between. Its variance is φ μᵏ, and the estimate minimises the deviance D = Σ d_k(y_i, μ_i):

    k = 0  d = (y − μ)²                                least squares (Srinivasan and Mason 1986)
    k = 1  d = 2 [y log(y/μ) − (y − μ)]                counts, overdispersed by φ
    k = 2  d = 2 [(y − μ)/μ − log(y/μ)]                errors in percent

φ = D / (n − 3). Given the shape, the ceiling has a closed form, M = Σ y g^{1−k} / Σ g^{2−k} with g = μ/M, so that only
the two shape parameters are searched. The interval of M holds all M whose deviance, minimised over the shape, exceeds
the smallest one by at most φ t²(n − 3). Where its upper end does not exist, or lies far above all figures, the ceiling
is not identified. In that profile a figure of which the source says "more than" is a lower bound: it costs nothing
where the curve lies above it; the estimate itself reads it as a count. Figures are taken as independent given the
curve; the lag-one correlation of the residuals is told.

Many fits run at once: rows of one array are starts, values of M or bootstrap samples.

Source: Srinivasan and Mason (1986), *Marketing Science* 5(2), 169-178; McCullagh and Nelder (1989), chapters 8 and 9;
    Bates and Watts (1988), chapter 6 (profile t).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evaluation.diffusion.adoption import CURVES, Curve
from evaluation.diffusion.series import Observations
from evaluation.errors import DataError
from evaluation.impact.inference.bands import t_quantile
from evaluation.settings.diffusion import CurveName

Array = np.ndarray

PARAMETERS: Final = 3  # ceiling and two of shape
SEARCH: Final = 1000.0  # a ceiling is looked for up to so many times the largest level
_STEPS: Final = 100
_GAIN: Final = 1e-13  # a step that helps by less than this share of the deviance is the last one
_DAMPED: Final = 1e8
_GRID: Final = 14
_STARTS: Final = 10
_CEILINGS: Final = 31
_PROFILE_STARTS: Final = 4
_DIFFERENCE: Final = 1e-5
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What analogues say about the shape: normal, independent, in the scale of the shape.

    Attributes:
        mean, variance: (2,); an infinite variance says nothing.
    """

    mean: Array
    variance: Array

    def penalty(self, shape: Array) -> Array:
        """(B,) Σ (s − mean)²/variance."""
        return np.asarray((((shape - self.mean) ** 2) / self.variance).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted curve.

    Attributes:
        ceiling: M.
        shape: (2,) see adoption.
        deviance: at the estimate.
        dispersion: φ.
        df: n − 3.
        observed, expected: (n,) what was compared with the curve.
        shape_covariance: (2, 2) φ (J′WJ)⁻¹, the block of the shape; NaN where it is singular.
        lag_one: correlation of neighbouring residuals.
        pooled: with the help of analogues.
    """

    curve: Curve
    ceiling: float
    shape: Array
    deviance: float
    dispersion: float
    df: int
    observed: Array
    expected: Array
    shape_covariance: Array
    lag_one: float | None
    pooled: bool

    def level(self, years: Array) -> Array:
        """(n,) the level at years since the launch: M F(t)."""
        return np.asarray(self.ceiling * self.curve.share(self.shape[None, :], years)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The ceiling with its profile interval; None is an end that the figures do not give.

    Attributes:
        identified: both ends exist, and the upper one is within `ceiling_within` times the largest level.
        flat: deviance at the end of the search minus the smallest one, in units of φ: near 0 is a flat profile.
    """

    estimate: float
    low: float | None
    high: float | None
    identified: bool
    flat: float


# public --------------------------------------------------------------------------------------------------------------


def fit(data: Observations, curve: CurveName, *, prior: Prior | None = None, dispersion: float | None = None) -> Fit:
    """The curve that minimises the deviance, or with a prior the deviance / φ + penalty.

    Args:
        data: at least four figures, or three with a prior.
        curve: its name.
        prior: what analogues say about the shape.
        dispersion: φ of the penalised fit; estimated from the residuals without a prior.

    Raises:
        DataError: too few figures, a figure below zero, or nothing above zero.
    """
    _require(data, PARAMETERS if prior is not None else PARAMETERS + 1)
    family = CURVES[curve]
    problem = _Problem(data, family, prior, dispersion or 1.0)
    best = problem.best()
    df = max(len(data) - PARAMETERS, 0)
    expected = problem.expected(best[None, :])[0]
    deviance = float(_deviance(data.value, expected[None, :], data.power)[0])
    scale = dispersion if dispersion is not None else deviance / df
    return Fit(
        curve=family,
        ceiling=float(np.exp(best[0])),
        shape=best[1:],
        deviance=deviance,
        dispersion=float(scale),
        df=df,
        observed=data.value,
        expected=expected,
        shape_covariance=_shape_covariance(problem, best, scale),
        lag_one=_lag_one(data, expected),
        pooled=prior is not None,
    )


def ceiling(data: Observations, fitted: Fit, *, level: float, within: float) -> Ceiling:
    """Profile interval of the ceiling of a free fit.

    Args:
        data: what was fitted.
        fitted: a fit without analogues.
        level: of the interval.
        within: see `Ceiling`.
    """
    largest = float(_levels(data).max())
    grid = np.log(fitted.ceiling) + _offsets(fitted.ceiling, largest)
    excess = profile(data, fitted, np.exp(grid))
    bound = float(t_quantile((1 + level) / 2, np.array([float(fitted.df)]))[0]) ** 2
    middle = int(np.argmin(np.abs(grid - np.log(fitted.ceiling))))
    low = _crossing(grid[middle::-1], excess[middle::-1], bound)
    high = _crossing(grid[middle:], excess[middle:], bound)
    return Ceiling(
        estimate=fitted.ceiling,
        low=low,
        high=high,
        identified=low is not None and high is not None and high <= within * largest,
        flat=float(excess[-1]),
    )


def profile(data: Observations, fitted: Fit, ceilings: Array) -> Array:
    """(m,) deviance minimised over the shape at each ceiling, minus the smallest one, in units of φ; see `Ceiling`."""
    problem = _Problem(data, fitted.curve, None, 1.0, bounded=True)
    starts = np.concatenate([fitted.shape[None, :], problem.starts()[:_PROFILE_STARTS, 1:]])
    rows = np.concatenate([np.column_stack([np.full(len(starts), np.log(each)), starts]) for each in ceilings])
    found = problem.minimise(rows, hold_ceiling=True)
    losses = problem.objective(found).reshape(len(ceilings), -1)
    # Neighbours help each other out of local minima: the best shape of one ceiling starts the next.
    best = found.reshape(len(ceilings), -1, 3)[np.arange(len(ceilings)), losses.argmin(axis=1)]
    around = np.concatenate([np.column_stack([np.log(ceilings), np.roll(best[:, 1:], by, axis=0)]) for by in (-1, 1)])
    again = problem.objective(problem.minimise(around, hold_ceiling=True)).reshape(2, -1).min(axis=0)
    least = np.minimum(losses.min(axis=1), again)
    return np.asarray((least - least.min()) / max(fitted.dispersion, _TINY))


def draw_dispersion(fitted: Fit, draws: int, rng: np.random.Generator) -> Array:
    """(draws, 1) φ df / χ²(df): how little so few figures say about their own noise."""
    return np.asarray(fitted.dispersion * fitted.df / rng.chisquare(fitted.df, (draws, 1)))


def bootstrap(data: Observations, fitted: Fit, dispersion: Array, rng: np.random.Generator) -> Array:
    """(draws, 3) log ceiling and shape, fitted again to figures drawn from the fitted curve.

    Figures are drawn with mean μ and variance φ μᵏ: gamma for k = 1 and 2, normal (not below zero) for k = 0.

    Args:
        data: what was fitted.
        fitted: the free fit.
        dispersion: (draws, 1) φ of each draw.
        rng: random numbers.
    """
    draws = len(dispersion)
    samples = draw_figures(np.broadcast_to(fitted.expected, (draws, len(data))), dispersion, data.power, rng)
    problem = _Problem(data, fitted.curve, None, 1.0, values=samples)
    centre = np.concatenate([[np.log(fitted.ceiling)], fitted.shape])
    others = problem.starts_of(data.value)[:1]
    tries = [problem.minimise(np.tile(start, (draws, 1))) for start in (centre, *others)]
    losses = np.stack([problem.objective(each) for each in tries])
    return np.asarray(np.stack(tries)[losses.argmin(axis=0), np.arange(draws)])


def draw_figures(mean: Array, dispersion: Array | float, power: int, rng: np.random.Generator) -> Array:
    """Figures around their means, variance φ μᵏ."""
    variance = np.maximum(dispersion * np.maximum(mean, _TINY) ** power, _TINY)
    if power == 0:
        return np.asarray(np.maximum(rng.normal(mean, np.sqrt(variance)), _TINY))
    return np.asarray(np.maximum(rng.gamma(mean**2 / variance, variance / np.maximum(mean, _TINY)), _TINY))


def as_dict(fitted: Fit) -> dict[str, Any]:
    """The fit as plain data."""
    first, second = fitted.curve.printed(fitted.shape)
    return {
        "curve": fitted.curve.name,
        "ceiling": fitted.ceiling,
        fitted.curve.names[0]: first,
        fitted.curve.names[1]: second,
        "figures": len(fitted.observed),
        "df": fitted.df,
        "deviance": fitted.deviance,
        "dispersion": fitted.dispersion,
        "lag_one": fitted.lag_one,
        "pooled": fitted.pooled,
    }


# pieces --------------------------------------------------------------------------------------------------------------


class _Problem:
    """The deviance of many parameter rows (log M, shape) at once.

    `values` are (B, n) where samples differ; `bounded` reads lower bounds as bounds.
    """

    def __init__(
        self,
        data: Observations,
        curve: Curve,
        prior: Prior | None,
        scale: float,
        *,
        values: Array | None = None,
        bounded: bool = False,
    ) -> None:
        self.data, self.curve, self.prior, self.scale = data, curve, prior, scale
        self.increments, self.begins = ~np.isnan(data.start), np.nan_to_num(data.start)
        self.bound = data.at_least if bounded else np.zeros(len(data), dtype=bool)
        self.values = data.value[None, :] if values is None else values
        largest = float(_levels(data).max())
        self.ceilings = np.log(largest * 0.3), np.log(largest * SEARCH)

    def relative(self, shape: Array) -> Array:
        """(B, n) F(end) − F(start)."""
        share = self.curve.share(shape, self.data.end)
        if not self.increments.any():
            return np.asarray(np.maximum(share, _TINY))
        before = np.where(self.increments, self.curve.share(shape, self.begins), 0.0)
        return np.asarray(np.maximum(share - before, _TINY))

    def expected(self, rows: Array) -> Array:
        """(B, n) μ."""
        return np.asarray(np.exp(rows[:, :1]) * self.relative(rows[:, 1:]))

    def objective(self, rows: Array, values: Array | None = None) -> Array:
        """(B,) deviance, plus φ times the penalty of the prior."""
        expected = self.expected(rows)
        value = self.values if values is None else values
        loss = _deviance(np.where(self.bound & (expected > value), expected, value), expected, self.data.power)
        return loss if self.prior is None else np.asarray(loss + self.scale * self.prior.penalty(rows[:, 1:]))

    def starts_of(self, value: Array) -> Array:
        """(m, 3) the best of a grid of shapes, each with its ceiling in closed form."""
        shapes = self.curve.grid(_GRID)
        relative = self.relative(shapes)
        k = self.data.power
        ceilings = (value * relative ** (1 - k)).sum(axis=1) / (relative ** (2 - k)).sum(axis=1)
        rows = np.column_stack([np.clip(np.log(np.maximum(ceilings, _TINY)), *self.ceilings), shapes])
        return np.asarray(rows[np.argsort(self._single().objective(rows), kind="stable")[:_STARTS]])

    def starts(self) -> Array:
        """(m, 3) for the figures themselves."""
        return self.starts_of(self.data.value)

    def best(self) -> Array:
        """(3,) the smallest minimum that any start leads to."""
        found = self.minimise(self.starts())
        return np.asarray(found[int(np.argmin(self.objective(found)))])

    def minimise(self, rows: Array, *, hold_ceiling: bool = False) -> Array:
        """Damped Fisher scoring (Levenberg-Marquardt), every row on its own; a step that does not help is not made."""
        rows = self._inside(rows)
        values = np.broadcast_to(self.values, (len(rows), len(self.data)))
        loss, damping = self.objective(rows, values), np.full(len(rows), 1e-2)
        active = np.arange(len(rows))
        for _ in range(_STEPS):
            here = values[active]
            step = self._step(rows[active], here, damping[active], hold_ceiling=hold_ceiling)
            trial = self._inside(rows[active] - step)
            gain = loss[active] - self.objective(trial, here)
            better = gain > 0
            rows[active[better]], loss[active[better]] = trial[better], loss[active[better]] - gain[better]
            damping[active] = np.clip(np.where(better, damping[active] / 5, damping[active] * 4), 1e-10, 1e12)
            stopped = np.where(better, gain < _GAIN * (1e-3 + loss[active]), damping[active] > _DAMPED)
            active = active[~stopped]
            if not len(active):
                break
        return np.asarray(rows)

    def information(self, rows: Array, values: Array) -> tuple[Array, Array]:
        """(B, 3) half the gradient, (B, 3, 3) J′WJ of the deviance, with the penalty's parts."""
        expected, jacobian = self.expected(rows), self._jacobian(rows)
        above = self.bound & (expected > values)
        weight = np.where(above, 0.0, expected ** (2 - self.data.power))
        residual = (expected - values) * weight / expected
        slope = np.einsum("bn,bnp->bp", residual, jacobian)
        curvature = np.einsum("bnp,bnq->bpq", jacobian * weight[..., None], jacobian)
        if self.prior is not None:
            slope[:, 1:] += self.scale * (rows[:, 1:] - self.prior.mean) / self.prior.variance
            curvature[:, [1, 2], [1, 2]] += self.scale / self.prior.variance
        return slope, curvature

    def _step(self, rows: Array, values: Array, damping: Array, *, hold_ceiling: bool) -> Array:
        slope, curvature = self.information(rows, values)
        if hold_ceiling:
            slope[:, 0] = 0.0
            curvature[:, 0, 1:] = curvature[:, 1:, 0] = 0.0
        diagonal = np.maximum(
            np.einsum("bpp->bp", curvature), 1e-12 * (1 + np.abs(curvature).max(axis=(1, 2)))[:, None]
        )
        system = curvature + np.einsum("bp,pq->bpq", (1e-12 + damping[:, None]) * diagonal, np.eye(3))
        return np.asarray(np.clip(np.linalg.solve(system, slope[..., None])[..., 0], -2.0, 2.0))

    def _jacobian(self, rows: Array) -> Array:
        """(B, n, 3) derivatives of log μ: 1 for log M, central differences for the shape."""
        parts = [np.ones((len(rows), len(self.data)))]
        for column in (0, 1):
            step = np.zeros(2)
            step[column] = _DIFFERENCE
            up, down = (np.log(self.relative(rows[:, 1:] + sign * step)) for sign in (1, -1))
            parts.append((up - down) / (2 * _DIFFERENCE))
        return np.stack(parts, axis=-1)

    def _inside(self, rows: Array) -> Array:
        return np.column_stack([np.clip(rows[:, 0], *self.ceilings), self.curve.clipped(rows[:, 1:])])

    def _single(self) -> "_Problem":
        return _Problem(self.data, self.curve, self.prior, self.scale, bounded=bool(self.bound.any()))


def _deviance(value: Array, expected: Array, power: int) -> Array:
    """(B,) Σ d_k(y, μ)."""
    mean = np.maximum(expected, _TINY)
    if power == 0:
        return np.asarray(((value - mean) ** 2).sum(axis=-1))
    ratio = np.maximum(value, _TINY) / mean
    if power == 1:
        return np.asarray(2 * (np.where(value > 0, value * np.log(ratio), 0.0) - (value - mean)).sum(axis=-1))
    return np.asarray(2 * ((value - mean) / mean - np.log(ratio)).sum(axis=-1))


def _levels(data: Observations) -> Array:
    """(n,) levels: increments added up."""
    return data.value if np.isnan(data.start).all() else np.cumsum(data.value)


def _offsets(estimate: float, largest: float) -> Array:
    """Log distances from the estimate at which the profile is looked at: dense near it, up to the end of the search."""
    up = np.log(SEARCH * largest / estimate)
    down = np.log(estimate / (0.3 * largest))
    side = np.linspace(0.0, 1.0, _CEILINGS) ** 2
    return np.concatenate([-max(down, 1e-6) * side[:0:-1], max(up, 1e-6) * side])


def _crossing(grid: Array, excess: Array, bound: float) -> float | None:
    """Where the profile passes the bound for good, going outwards; linear in √excess between two values."""
    above = excess > bound
    if not above[-1]:
        return None
    last = int(np.flatnonzero(~above).max()) if (~above).any() else 0
    left, right = np.sqrt(excess[last]), np.sqrt(excess[last + 1])
    part = (np.sqrt(bound) - left) / (right - left) if right > left else 1.0
    return float(np.exp(grid[last] + part * (grid[last + 1] - grid[last])))


def _shape_covariance(problem: _Problem, best: Array, scale: float) -> Array:
    _, curvature = problem.information(best[None, :], problem.values)
    scaled = np.sqrt(np.maximum(np.diag(curvature[0]), _TINY))
    correlation = curvature[0] / np.outer(scaled, scaled)
    if np.linalg.cond(correlation) > 1e12:
        return np.full((2, 2), np.nan)
    return np.asarray(scale * (np.linalg.inv(correlation) / np.outer(scaled, scaled))[1:, 1:])


def _lag_one(data: Observations, expected: Array) -> float | None:
    residual = (data.value - expected) / np.maximum(expected, _TINY) ** (data.power / 2)
    total = float((residual**2).sum())
    return float((residual[1:] * residual[:-1]).sum() / total) if total > 0 and len(residual) > PARAMETERS else None


def _require(data: Observations, least: int) -> None:
    if len(data) < least:
        raise DataError(
            code="E-DIF-006",
            what="There are too few figures for a curve with three parameters.",
            found=f"{len(data)} figures with one definition",
            expected=f"at least {least}",
            fix="show the figures without a curve, and say what to collect",
        )
    if not (np.isfinite(data.value).all() and (data.value >= 0).all() and (data.value > 0).any()):
        raise DataError(
            code="E-DIF-007",
            what="A curve is fitted to figures that are not negative.",
            found=", ".join(f"{value:g}" for value in data.value if not value >= 0) or "only zeros",
            expected="figures of zero and more, at least one above",
            fix="leave the figure out in data/portfolio/diffusion.yaml, and say why",
        )
