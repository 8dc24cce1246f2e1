"""Fan charts, and how well they would have done: the last figures predicted from the earlier ones.

Curves of one series have three parameters each, so that their deviances weigh them: w ∝ exp(−(D − D_min) / 2φ), with
φ of the best one. The fan is the mixture: bootstrap fits of each curve in proportion to its weight, plus the noise of a
new figure; φ itself is drawn as φ df / χ²(df). It never is a single line. Beside it stand two forecasts that need no
curve: nothing changes, and the last growth goes on; where one of them wins, that is said.

Source: Burnham and Anderson (2002), chapters 2 and 4 (weights); Hyndman and Athanasopoulos (2021), chapter 5
    (forecasts to compare with).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.diffusion import fitting
from evaluation.diffusion.fitting import Fit
from evaluation.diffusion.series import Observations, Series, observations
from evaluation.settings.diffusion import DiffusionPolicy

Array = np.ndarray

_LEAST_DRAWS = 100  # of a fan that is only checked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """All curves of one series.

    Attributes:
        fits: curve -> its fit, in the order of params.yaml.
        weights: curve -> w, adding up to one.
        best: the one with the smallest deviance.
    """

    series: Series
    data: Observations
    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    @property
    def best(self) -> Fit:
        """The fit with the smallest deviance."""
        return min(self.fits.values(), key=lambda each: each.deviance)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan:
    """Quantiles of future figures.

    Attributes:
        years: (n,) calendar years (their middle).
        quantiles: (n, 5) low, inner low, median, inner high, high.
    """

    years: Array
    quantiles: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One figure that was predicted from earlier ones.

    Attributes:
        used: how many figures the forecast knew.
        ahead: years from the last figure known.
        low, high: of the outer band.
        inside_alone: whether the figure lies in the fan of the curves alone, without their drift (drift.py).
        error, error_same, error_growth: |log(predicted / observed)| of the fan's median, of no change, of last growth.
    """

    series: str
    target: str
    used: int
    ahead: float
    observed: float
    predicted: float
    low: float
    high: float
    inside: bool
    inside_alone: bool
    error: float
    error_same: float
    error_growth: float


def fit_all(series: Series, policy: DiffusionPolicy, *, first: int | None = None) -> Fitted | None:
    """Every curve of params.yaml on one series; None below `least_points` figures.

    Args:
        series: figures.
        policy: curves and variance.
        first: only so many of the earliest figures.
    """
    data = observations(series, policy.variance_power)
    data = data if first is None else data.first(first)
    if len(data) < policy.least_points:
        return None
    fits: dict[str, Fit] = {name: fitting.fit(data, name) for name in policy.curves}
    return Fitted(series=series, data=data, fits=fits, weights=_weights(fits))


def fan(fitted: Fitted, policy: DiffusionPolicy, at: Array, rng: np.random.Generator) -> Fan:
    """Quantiles of the figures of the years `at` (calendar, (n,))."""
    draws = np.concatenate([_paths(fitted, name, count, at, rng) for name, count in _shares(fitted, policy.draws)])
    outer, inner = (1 - policy.level) / 2, (1 - policy.inner) / 2
    return Fan(years=at, quantiles=np.quantile(draws, [outer, inner, 0.5, 1 - inner, 1 - outer], axis=0).T)


def validate(series: Series, policy: DiffusionPolicy, rng: np.random.Generator) -> tuple[HeldOut, ...]:
    """Each of the later figures predicted from all earlier ones, and the last `hold_out` from those before them."""
    count = len(observations(series, policy.variance_power))
    splits = {(used, used) for used in range(policy.least_points, count)}
    block = count - policy.hold_out
    if block >= policy.least_points:
        splits |= {(block, target) for target in range(block, count)}
    rows: list[HeldOut] = []
    fewer = policy.model_copy(update={"draws": max(_LEAST_DRAWS, policy.draws // 4)})
    for used in sorted({used for used, _ in splits}):
        fitted = fit_all(series, policy, first=used)
        targets = sorted(target for known, target in splits if known == used)
        if fitted is not None:
            rows += _predictions(fitted, targets, fewer, rng)
    return tuple(rows)


def summary(rows: Sequence[HeldOut]) -> dict[str, Any]:
    """Mean errors, the share of figures inside the outer band, and who wins."""
    if not rows:
        return {"figures": 0}
    errors = {
        "curves": float(np.mean([row.error for row in rows])),
        "no_change": float(np.mean([row.error_same for row in rows])),
        "last_growth": float(np.mean([row.error_growth for row in rows])),
    }
    inside = sum(row.inside for row in rows)
    return {
        "figures": len(rows),
        "errors": errors,
        "inside": inside,
        "inside_alone": sum(row.inside_alone for row in rows),
        "winner": min(errors, key=lambda each: errors[each]),
    }


def held_out_as_dict(row: HeldOut) -> dict[str, Any]:
    """One row as plain data."""
    return asdict(row)


# pieces --------------------------------------------------------------------------------------------------------------


def _weights(fits: Mapping[str, Fit]) -> dict[str, float]:
    best = min(fits.values(), key=lambda each: each.deviance)
    raw = {
        name: float(np.exp(-(each.deviance - best.deviance) / (2 * max(best.dispersion, 1e-12))))
        for name, each in fits.items()
    }
    return {name: weight / sum(raw.values()) for name, weight in raw.items()}


def _shares(fitted: Fitted, draws: int) -> list[tuple[str, int]]:
    """Draws of each curve; what rounding leaves goes to the best one."""
    counts = {name: int(draws * weight) for name, weight in fitted.weights.items()}
    counts[fitted.best.curve.name] += draws - sum(counts.values())
    return [(name, count) for name, count in counts.items() if count]


def _paths(fitted: Fitted, name: str, count: int, at: Array, rng: np.random.Generator) -> Array:
    """(count, n) figures to come: bootstrap parameters, then the noise of a figure."""
    one, launch = fitted.fits[name], fitted.series.facts.launch.at
    scale = fitting.draw_dispersion(one, count, rng)
    found = fitting.bootstrap(fitted.data, one, scale, rng)
    level = np.exp(found[:, :1]) * one.curve.share(found[:, 1:], at - launch)
    if fitted.series.facts.kind != "cumulative":
        return fitting.draw_figures(level, scale, fitted.data.power, rng)
    known = float(fitted.data.value.sum())
    last = np.exp(found[:, :1]) * one.curve.share(found[:, 1:], fitted.data.end[-1:])
    more = np.maximum(level - last, 1e-9)
    return known + fitting.draw_figures(more, scale, fitted.data.power, rng)


def _predictions(
    fitted: Fitted, targets: Sequence[int], policy: DiffusionPolicy, rng: np.random.Generator
) -> list[HeldOut]:
    points, used = fitted.series.fitted, len(fitted.data)
    at = np.array([points[target].at for target in targets])
    quantiles = fan(fitted, policy, at, rng).quantiles
    return [
        _held_out(fitted.series, used, target, quantile) for target, quantile in zip(targets, quantiles, strict=True)
    ]


def _held_out(series: Series, used: int, target: int, quantile: Array) -> HeldOut:
    points = series.fitted
    known, before, goal = points[used - 1], points[used - 2], points[target]
    ahead = goal.at - known.at
    growth = (known.value / before.value) ** (ahead / (known.at - before.at))
    low, _, predicted, _, high = (float(each) for each in quantile)
    return HeldOut(
        series=series.facts.id,
        target=goal.id,
        used=used,
        ahead=ahead,
        observed=goal.value,
        predicted=predicted,
        low=low,
        high=high,
        inside=low <= goal.value <= high,
        inside_alone=low <= goal.value <= high,
        error=abs(float(np.log(predicted / goal.value))),
        error_same=abs(float(np.log(known.value / goal.value))),
        error_growth=abs(float(np.log(known.value * growth / goal.value))),
    )
