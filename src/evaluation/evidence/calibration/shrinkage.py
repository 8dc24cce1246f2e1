"""Simulation-based calibration of the shrinkage: are true effects where the posteriors say they are?

An effect is drawn from the prior of params.yaml, a grade at random, a bias from what the grade declares, an estimate
around both. Among draws from the posterior the rank of the true effect is then uniform if, and only if, the posterior
is right. The same without the bias in the variance shows that the test would notice.

Source: Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv 1804.06788; reference note B7, ST19.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from evaluation.evidence.calibration.planted import STD_ERRORS
from evaluation.evidence.posterior import bias_sd, house_belief, shrink_variance
from evaluation.settings.synthesis import GRADES_WITH_BIAS, Synthesis

SAMPLES, BINS = 99, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniformity:
    """How uniform the ranks are.

    Attributes:
        draws: of effects; samples: from each posterior.
        p_value: of the chi-squared test over BINS bins.
        p_without_bias: of the same where the bias is left out of the variance.
    """

    draws: int
    samples: int
    p_value: float
    p_without_bias: float


def uniformity(draws: int, seed: int, settings: Synthesis) -> Uniformity:
    """Ranks of true effects among draws from their posteriors.

    Args:
        draws: effects.
        seed: of all random numbers.
        settings: prior and biases.
    """
    rng = np.random.default_rng([seed, 100])
    belief = house_belief(settings.prior)
    grade, std_error = rng.choice(GRADES_WITH_BIAS, draws), rng.choice(STD_ERRORS, draws)
    bias = bias_sd(grade, settings)
    truth = belief.mean + belief.sd * rng.standard_normal(draws)
    estimate = truth + bias * rng.standard_normal(draws) + std_error * rng.standard_normal(draws)
    noise = rng.standard_normal((SAMPLES, draws))
    p_values = []
    for variance in (std_error**2 + bias**2, std_error**2):
        believed = shrink_variance(estimate, variance, belief)
        ranks = (believed.mean + believed.sd * noise < truth).sum(axis=0)
        p_values.append(_uniform(ranks))
    return Uniformity(draws=draws, samples=SAMPLES, p_value=p_values[0], p_without_bias=p_values[1])


def _uniform(ranks: np.ndarray) -> float:
    """p-value of ranks 0 … SAMPLES being uniform: each of BINS bins holds as many of the SAMPLES + 1 ranks."""
    counts = np.bincount(ranks * BINS // (SAMPLES + 1), minlength=BINS)
    return float(stats.chisquare(counts).pvalue)
