"""From a grade to a number: what to believe about an effect whose finding can be biased.

On the common scale (standard deviations of the outcome, favourable above zero) an estimate d with standard error SE and
grade G has variance v = SE² + b_G², b_G the standard deviation of the bias of such findings. With the prior N(μ, τ²) of
true effects, w = τ² / (τ² + v):

    mean = μ + w (d − μ),   sd = √(τ² v / (τ² + v)).

Everything works on arrays of any shape, so that thousands of portfolios are simulated at once.

Source: reference note B1 (chain of estimation); Turner, Spiegelhalter, Smith and Thompson (2009), *Journal of the Royal
    Statistical Society A* 172(1), for the variance of bias; Efron and Morris (1975); Lindley and Smith (1972).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from evaluation.errors import DataError
from evaluation.settings.synthesis import Prior, Synthesis

Array = np.ndarray
Basis = Literal["house", "portfolio"]

MIXTURE_POINTS, MIXTURE_RANGE = 128, (-16.0, 4.0)  # of ln g, whose density is below 1e-10 of its top outside
ROUNDS, POINTS = 4, 33  # of the search of the sd of true effects: each round narrows the grid to two of its steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A normal prior of true effects in standard deviations of the outcome.

    Attributes:
        mean, sd: of the effects; arrays that broadcast against the estimates where each portfolio has its own.
        basis: house (from params.yaml) or portfolio (estimated from its programmes).
        programmes: number of programmes that it was estimated from, or that there were.
    """

    mean: float | Array
    sd: float | Array
    basis: Basis
    programmes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shrunk:
    """Posterior of true effects, arrays of one shape.

    Attributes:
        mean, sd: of the effect.
        weight: of the estimate against the prior, 0 to 1.
    """

    mean: Array
    sd: Array
    weight: Array

    def above(self, bound: float | Array) -> Array:
        """P(effect > bound)."""
        return np.asarray(special.ndtr((self.mean - bound) / self.sd))

    def within(self, bound: float | Array) -> Array:
        """P(|effect| < bound): a precise null."""
        return np.asarray(special.ndtr((bound - self.mean) / self.sd) - special.ndtr((-bound - self.mean) / self.sd))

    def quantile(self, probability: float) -> Array:
        """Of the effect."""
        return np.asarray(self.mean + special.ndtri(probability) * self.sd)


def bias_sd(grade: Array | int, settings: Synthesis) -> Array:
    """Standard deviation of the bias of findings of these grades; infinite for grade 0."""
    table = np.array([np.inf, *(settings.bias_sd[grade] for grade in range(1, 6))])
    given = np.asarray(grade)
    if ((given < 0) | (given >= len(table))).any():
        raise DataError(
            code="E-EVI-046",
            what="there is no such grade",
            found=f"{given[(given < 0) | (given >= len(table))].tolist()}",
            expected="0 to 5",
        )
    return np.asarray(table[given])


def shrink(
    estimate: Array, std_error: Array, grade: Array, settings: Synthesis, belief: Belief | None = None
) -> Shrunk:
    """Posterior of effects from single findings.

    Args:
        estimate: in standard deviations, favourable above zero; any shape.
        std_error: same shape.
        grade: same shape, 0 to 5; at 0 the posterior is the prior.
        settings: bias by grade, and the prior if none is given.
        belief: the prior.
    """
    prior = house_belief(settings.prior) if belief is None else belief
    return shrink_variance(np.asarray(estimate), np.square(std_error) + np.square(bias_sd(grade, settings)), prior)


def shrink_variance(estimate: Array, variance: Array, belief: Belief) -> Shrunk:
    """Posterior of effects from estimates whose variance holds everything, bias included.

    Source: Lindley and Smith (1972).
    """
    prior = np.square(belief.sd)
    weight = np.where(np.isinf(variance), 0.0, prior / (prior + np.where(np.isinf(variance), 1.0, variance)))
    known = np.where(weight > 0, estimate, 0.0)
    mean = belief.mean + weight * (known - belief.mean)
    return Shrunk(mean=np.asarray(mean), sd=np.sqrt(prior * (1 - weight)), weight=np.asarray(weight))


def house_belief(prior: Prior, programmes: int = 0) -> Belief:
    """The prior of params.yaml."""
    return Belief(mean=prior.mean, sd=prior.sd, basis="house", programmes=programmes)


def portfolio_belief(estimate: Array, variance: Array, prior: Prior) -> Belief:
    """The prior of the portfolio itself, if params.yaml says so and it has programmes enough; otherwise the house's.

    Args:
        estimate: (m,) one for each programme, in standard deviations.
        variance: (m,) SE² + b_G².
        prior: of params.yaml.
    """
    if prior.use == "house" or len(estimate) < prior.empirical_from:
        return house_belief(prior, len(estimate))
    mean, sd = empirical_prior(np.asarray(estimate), np.asarray(variance))
    return Belief(mean=float(mean), sd=float(sd), basis="portfolio", programmes=len(estimate))


def empirical_prior(estimate: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and sd of true effects from their estimates, for many portfolios at once.

    μ̂(τ) is the weighted mean; τ is the top of the restricted likelihood plus ln τ, which keeps τ off zero (with a few
    programmes the likelihood alone says τ = 0 too often, and shrinkage would then be total). Found on grids of ln τ
    that narrow.

    Args:
        estimate: (…, m).
        variance: (…, m) sampling and bias variances; infinite ones do not count.

    Returns:
        mean and sd, (…).

    Source: Morris (1983); Chung, Rabe-Hesketh and Choi (2013), *Statistics in Medicine* 32(23), for the ln τ.
    """
    spread = np.sqrt(np.var(estimate, axis=-1) + np.min(variance, axis=-1))
    low, high = np.log(spread) - 7.0, np.log(spread) + 2.0
    for _ in range(ROUNDS):
        grid = low[..., None] + (high - low)[..., None] * np.linspace(0, 1, POINTS)
        heights = np.stack([_marginal(estimate, variance, grid[..., j])[1] for j in range(POINTS)], axis=-1)
        best = np.argmax(heights, axis=-1)[..., None]
        low, high = (np.take_along_axis(grid, np.clip(best + step, 0, POINTS - 1), axis=-1)[..., 0] for step in (-1, 1))
    middle = (low + high) / 2
    return _marginal(estimate, variance, middle)[0], np.exp(middle)


def fat_tailed(
    estimate: Array, variance: Array, belief: Belief, df: int, bound: float | Array = 0.0
) -> tuple[Array, Array, Array]:
    """Mean, sd and P(effect > bound) if true effects follow a t with the mean and scale of the prior.

    t = normal of variance τ²/g with g ~ Gamma(df/2, df/2); the mixture over ln g is summed by the trapezoidal rule,
    each part in closed form. The sensitivity to ask for when a few programmes may be outstanding.

    Args:
        estimate: any shape.
        variance: same shape, finite.
        belief: location and scale.
        df: degrees of freedom.
        bound: see above.

    Source: Andrews and Mallows (1974) for the mixture; Azevedo et al. (2020) for why tails matter.
    """
    log_g = np.linspace(*MIXTURE_RANGE, MIXTURE_POINTS)
    prior = np.square(np.asarray(belief.sd, float))[..., None] * np.exp(-log_g)
    y, v = np.asarray(estimate, float)[..., None], np.asarray(variance, float)[..., None]
    off = y - np.asarray(belief.mean, float)[..., None]
    log_height = df / 2 * (log_g - np.exp(log_g)) - 0.5 * (np.log(v + prior) + off**2 / (v + prior))
    share = np.exp(log_height - log_height.max(axis=-1, keepdims=True))
    share /= share.sum(axis=-1, keepdims=True)
    weight = prior / (prior + v)
    means, sds = y - (1 - weight) * off, np.sqrt(v * weight)
    mean = (share * means).sum(axis=-1)
    second = (share * (sds**2 + means**2)).sum(axis=-1)
    above = (share * special.ndtr((means - np.asarray(bound)[..., None]) / sds)).sum(axis=-1)
    return mean, np.sqrt(np.maximum(second - mean**2, 0.0)), above


def _marginal(estimate: Array, variance: Array, log_sd: Array) -> tuple[Array, Array]:
    """The weighted mean at this sd and the restricted log-likelihood plus ln τ."""
    w = 1 / (variance + np.exp(2 * log_sd)[..., None])
    total = w.sum(axis=-1)
    mean = (w * np.where(w > 0, estimate, 0.0)).sum(axis=-1) / total
    logs = np.where(w > 0, np.log(np.where(w > 0, w, 1.0)), 0.0).sum(axis=-1)
    squares = (w * (np.where(w > 0, estimate, 0.0) - mean[..., None]) ** 2).sum(axis=-1)
    return mean, 0.5 * (logs - np.log(total) - squares) + log_sd
