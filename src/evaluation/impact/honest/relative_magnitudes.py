"""Intervals if trends change after treatment by at most Mbar times the largest change before: conditional tests.

The restriction is a union over the change s before that is the largest, and its sign. Within one of them, with d_t the
changes after, x = ± d_s and θ the effect, "θ is possible" says: there are effects with Σ target · effect = θ and
|d_t - change of effect| ≤ Mbar x for all t. Andrews, Roth and Pakes test it by the smallest η with all of these
inequalities, each in units of its standard error σ, relaxed by η. That is a linear program; the extreme points of its
dual are known here, because only differences of the two multipliers of one t act on the effects, so that these must be
proportional to L (`EventStudy.weight_of_steps`). With m = Mbar Σ|L| and z = Σ L d_t - θ (the effect less θ),

    η = max { (z - m x) / Σ|L|σ,  (-z - m x) / Σ|L|σ,  -2 Mbar x / (σ⁺_t + σ⁻_t) for each t },

where the σ in the first sum belong to the inequalities that L signs, in the second to the opposite ones. No linear
program is solved, no grid decides, and the least favourable critical value, the 1 - κ quantile of η for (z, x) normal
with mean zero, is an integral in one dimension instead of draws: nothing here is random.

The test (size α, κ = α/10): reject if η exceeds the least favourable value c; otherwise if, given that this extreme
point is the maximum, the chance of a larger η below c is under (α - κ)/(1 - κ). The interval runs from the lowest to
the highest θ that is not rejected for some s and sign.

Source: Rambachan and Roth (2023), sections 2.2.2 and 3; Andrews, Roth and Pakes (2023), sections 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from evaluation.impact.honest.event_study import EventStudy
from evaluation.impact.honest.intervals import HonestInterval, require_bound
from evaluation.impact.inference.bands import require_level

Array = np.ndarray

FIRST_STAGE = 0.1  # κ/α, the share of the size that the least favourable test takes
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
FARTHEST = 9.0  # standard deviations; beyond, a normal has no mass in double precision
SEARCH = 400  # points between the bracket and the effect, to find the outermost one that is not rejected
HALVINGS = 50
PARALLEL = 1e-9  # a slope this close to one: the condition does not depend on η


def relative_magnitudes(study: EventStudy, bound: float, level: float = 0.95) -> HonestInterval:
    """The interval for changes after treatment of at most `bound` (Mbar) times the largest change before."""
    require_bound(bound)
    require_level(level)
    family = Family.of(study, bound, 1 - level)
    low, high = family.end(-1), family.end(1)
    return HonestInterval(
        restriction="relative_magnitudes",
        bound=bound,
        low=low,
        high=high,
        level=level,
        detail=f"If trends change after treatment by at most {bound:.4g} times the largest change before, the effect "
        f"lies between {low:.4g} and {high:.4g} ({level:.0%}).",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """The 2 K tests of one bound, side by side.

    Attributes:
        value: (P, 4) extreme points of the dual at the estimates, for θ = 0.
        slope: (P, 4) how much they fall with θ.
        covariance: (P, 4, 4) of them.
        critical: (P,) least favourable critical values.
        effect: under parallel trends.
        size: of the second stage.
    """

    value: Array
    slope: Array
    covariance: Array
    critical: Array
    effect: float
    size: float

    @classmethod
    def of(cls, study: EventStudy, bound: float, alpha: float) -> Family:
        """The tests of size alpha for Mbar = bound."""
        forms, slope = _extreme_points(study, bound)
        kappa = FIRST_STAGE * alpha
        return cls(
            value=forms @ study.estimate,
            slope=slope,
            covariance=forms @ study.covariance @ forms.transpose(0, 2, 1),
            critical=_least_favourable(study, bound, forms, slope, kappa),
            effect=study.effect,
            size=(alpha - kappa) / (1 - kappa),
        )

    def possible(self, effect: Array) -> Array:
        """(J,) True where an effect is not rejected for some s and sign.

        With g the extreme points, u the largest and ρ the slopes of the others on it, u stays the largest as long as
        g - ρ g_u ≤ (1 - ρ) η: a lower bound of η where ρ < 1 and an upper bound where ρ > 1.
        """
        g = self.value[:, :, None] - self.slope[:, :, None] * effect
        u = g.argmax(axis=1)[:, None, :]
        eta = np.take_along_axis(g, u, axis=1)
        variance = np.take_along_axis(np.diagonal(self.covariance, axis1=1, axis2=2)[:, :, None], u, axis=1)
        rho = np.take_along_axis(self.covariance, u, axis=2) / np.where(variance > 0, variance, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (g - rho * eta) / (1 - rho)
        low = np.where(rho < 1 - PARALLEL, ends, -np.inf).max(axis=1)
        high = np.where(rho > 1 + PARALLEL, ends, np.inf).min(axis=1)
        high = np.minimum(high, self.critical[:, None])
        eta, sd = eta[:, 0], np.sqrt(variance[:, 0])
        rejected = (eta > self.critical[:, None]) | (_chance_above(eta, low, high, sd) < self.size)
        return np.asarray((~rejected | (eta <= 0)).any(axis=0))

    def end(self, side: int) -> float:
        """The lowest (side -1) or highest (side 1) effect that is not rejected, to rounding."""
        farthest = self._bracket(side)
        points = np.linspace(farthest, self.effect, SEARCH)  # the effect itself is never rejected
        inner = int(self.possible(points).argmax())
        if inner == 0:
            return float(farthest)
        rejected, kept = points[inner - 1], points[inner]
        for _ in range(HALVINGS):
            middle = (rejected + kept) / 2
            rejected, kept = (rejected, middle) if self.possible(np.array([middle]))[0] else (middle, kept)
        return float(kept)

    def _bracket(self, side: int) -> float:
        """Beyond this the least favourable test rejects for every s and sign."""
        column = 0 if side < 0 else 1
        alive = self.value[:, 2:].max(axis=1) <= self.critical
        ends = (self.value[:, column] - self.critical) / self.slope[:, column]
        return float(ends[alive].min() if side < 0 else ends[alive].max())


def _extreme_points(study: EventStudy, bound: float) -> tuple[Array, Array]:
    """Forms (2 K, 4, K + H) in the estimates, and their slopes (2 K, 4) in θ.

    Of the points -2 Mbar x / (σ⁺ + σ⁻) the one with the smallest denominator is the largest where x < 0, the one with
    the largest where x > 0; the others never decide.
    """
    changes, k, weights = study.steps, study.n_before, study.weight_of_steps
    x = np.concatenate([changes[:k], -changes[:k]])
    up = _standard_errors(changes[k:] - bound * x[:, None, :], study.covariance)
    down = _standard_errors(-changes[k:] - bound * x[:, None, :], study.covariance)
    positive, negative = np.maximum(weights, 0.0), np.maximum(-weights, 0.0)
    scale_up, scale_down = up @ positive + down @ negative, down @ positive + up @ negative
    reach = bound * np.abs(weights).sum() * x
    forms = np.stack(
        [
            (study.loading - reach) / scale_up[:, None],
            (-study.loading - reach) / scale_down[:, None],
            -2 * bound * x / (up + down).min(axis=1)[:, None],
            -2 * bound * x / (up + down).max(axis=1)[:, None],
        ],
        axis=1,
    )
    return forms, np.column_stack([1 / scale_up, -1 / scale_down, np.zeros((2 * k, 2))])


def _standard_errors(forms: Array, covariance: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("...i,ij,...j->...", forms, covariance, forms)))


def _least_favourable(study: EventStudy, bound: float, forms: Array, slope: Array, kappa: float) -> Array:
    """(2 K,) c with P(η > c) = κ for (z, x) normal with mean zero, by halving; P from Gauss-Legendre in x.

    All three points are at most c exactly where x ≥ -c h and -c s₂ - m x ≤ z ≤ c s₁ + m x, s the scales of the first
    two and h what the third needs.
    """
    k = study.n_before
    x = np.concatenate([study.steps[:k], -study.steps[:k]])
    sd_x = _standard_errors(x, study.covariance)
    across = x @ study.covariance @ study.loading / sd_x  # of z on x, x in standard deviations
    left = np.sqrt(study.loading @ study.covariance @ study.loading - across**2)
    reach = bound * float(np.abs(study.weight_of_steps).sum()) * sd_x
    scales = 1 / np.abs(slope[:, :2])
    third = _standard_errors(forms[:, 2], study.covariance)
    with np.errstate(divide="ignore"):
        needs = np.minimum(1 / third, scales.sum(axis=1) / (2 * reach))
    low, high = np.zeros(2 * k), np.full(2 * k, FARTHEST)
    for _ in range(HALVINGS):
        c = (low + high) / 2
        inside = _chance_inside(c, needs, scales, reach, across, left)
        low, high = np.where(inside < 1 - kappa, c, low), np.where(inside < 1 - kappa, high, c)
    return high


def _chance_inside(c: Array, needs: Array, scales: Array, reach: Array, across: Array, left: Array) -> Array:
    """(P,) probability that all extreme points are at most c."""
    start = -np.minimum(c * needs, FARTHEST)
    half = (FARTHEST - start) / 2
    x = (start + half)[:, None] + half[:, None] * NODES
    upper = (c[:, None] * scales[:, :1] + (reach - across)[:, None] * x) / left[:, None]
    lower = (-c[:, None] * scales[:, 1:] - (reach + across)[:, None] * x) / left[:, None]
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(half * ((special.ndtr(upper) - special.ndtr(lower)) * density @ WEIGHTS))


def _chance_above(eta: Array, low: Array, high: Array, sd: Array) -> Array:
    """P(N > eta | low ≤ N ≤ high) for N normal with mean zero, in logarithms, so that far tails keep their digits."""
    sd = np.where(sd > 0, sd, 1.0)
    at, start, stop = (special.log_ndtr(-np.minimum(value, 1e10 * sd) / sd) for value in (eta, low, high))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        chance = np.exp(at - start) * np.expm1(stop - at) / np.expm1(stop - start)
    return np.where(np.isfinite(chance), chance, 0.0)
