"""How strong a hidden bias in the assignment within matched sets would have to be (Rosenbaum bounds)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, special

from evaluation.errors import DataError
from evaluation.impact.covariates import Floats

MAXIMUM_GAMMA = 1e6  # beyond this a hidden bias is not a number that says anything


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenBias:
    """Rosenbaum bounds for matched sets.

    Attributes:
        gamma: largest Γ (odds of treatment within a set may differ by this factor) at which the one-sided test still
            rejects no effect; 1 if it does not reject without bias, infinite if it rejects at every Γ tried.
        p_value: one-sided p-value without hidden bias.
        level: of the test.
        sets: matched sets that count.
        direction: sign of the effect that is tested, +1 or -1.
    """

    gamma: float
    p_value: float
    level: float
    sets: int
    direction: int


def rosenbaum(differences: Floats, *, level: float = 0.05) -> HiddenBias:
    """Γ for pairs by Wilcoxon's signed rank statistic, one-sided in the direction of the data.

    With ranks q of the absolute differences (mean ranks for ties; a difference of zero has a rank and then says
    nothing), the largest p-value at Γ comes from T = Σ q 1{d > 0} with mean Γ/(1+Γ) Σ q and variance Γ/(1+Γ)² Σ q² over
    d ≠ 0, normal approximation.

    Args:
        differences: (m,) outcome of the treated unit less that of its partner.
        level: of the one-sided test.

    Raises:
        DataError: fewer than two pairs that differ.

    Source: Rosenbaum (2002), *Observational Studies*, section 4.3.3.
    """
    return hidden_bias(signed_ranks(differences), level=level)


def signed_ranks(differences: Floats) -> Floats:
    """(m, 2) scores of the treated and of their partners: the rank of |d|, for the one with the larger outcome."""
    ranks = pd.Series(np.abs(differences)).rank().to_numpy()
    return np.column_stack([ranks * (differences > 0), ranks * (differences < 0)])


def hidden_bias(scores: Floats, *, level: float = 0.05) -> HiddenBias:
    """Γ for matched sets of one treated unit and one or more others, by the sum of the scores of the treated.

    The largest mean of a set's term at Γ is max over cuts a of (Σ of the a smallest + Γ Σ of the others) / (a + Γ (k -
    a)), and its variance that of the same distribution (the larger one where two cuts tie): Gastwirth, Krieger and
    Rosenbaum (2000), asymptotically separable.

    Args:
        scores: (m, k) score of the treated unit first, then those of the others; NaN where a set has fewer.
        level: of the one-sided test in the direction of the data.

    Raises:
        DataError: fewer than two sets in which scores differ.
    """
    turned, direction = _turned(scores)
    at_one = _largest_p(turned, 1.0)
    return HiddenBias(
        gamma=_largest_gamma(turned, level, at_one), p_value=at_one, level=level, sets=len(turned), direction=direction
    )


def bias_curve(scores: Floats, gammas: Sequence[float]) -> pd.DataFrame:
    """The largest one-sided p-value at each Γ: columns gamma, p_value. Scores and errors as in `hidden_bias`."""
    turned, _ = _turned(scores)
    return pd.DataFrame({"gamma": list(gammas), "p_value": [_largest_p(turned, gamma) for gamma in gammas]})


def _turned(scores: Floats) -> tuple[Floats, int]:
    """Sets in which scores differ, turned so that the treated have the larger sum; and the sign that was theirs."""
    varies = np.nanmax(scores, axis=1) > np.nanmin(scores, axis=1) if len(scores) else np.zeros(0, dtype=bool)
    used = scores[varies]
    if len(used) < 2:
        raise DataError(
            code="E-IMP-151",
            what="too few matched sets differ to say what a hidden bias would do",
            found=f"{len(used)} sets with different outcomes",
            expected="at least two",
        )
    excess = float(used[:, 0].sum() - np.nanmean(used, axis=1).sum())
    direction = 1 if excess >= 0 else -1
    return direction * used, direction


def _largest_gamma(scores: Floats, level: float, at_one: float) -> float:
    if at_one >= level:
        return 1.0
    if _largest_p(scores, MAXIMUM_GAMMA) < level:
        return float("inf")
    log_gamma = optimize.brentq(
        lambda value: _largest_p(scores, float(np.exp(value))) - level, 0.0, np.log(MAXIMUM_GAMMA), xtol=1e-10
    )
    return float(np.exp(log_gamma))


def _largest_p(scores: Floats, gamma: float) -> float:
    means, variances = _extremes(scores, gamma)
    return float(special.ndtr(-(scores[:, 0].sum() - means.sum()) / np.sqrt(variances.sum())))


def _extremes(scores: Floats, gamma: float) -> tuple[Floats, Floats]:
    """(m,) largest means, and the largest variances among the cuts that reach them."""
    ordered = np.sort(scores, axis=1)  # NaN last
    there = np.isfinite(ordered)
    filled = np.where(there, ordered, 0.0)
    size, k = there.sum(axis=1), ordered.shape[1]
    cuts = np.arange(1, k)
    before, squares = np.cumsum(filled, axis=1)[:, :-1], np.cumsum(filled**2, axis=1)[:, :-1]
    total, total_squares = filled.sum(axis=1, keepdims=True), (filled**2).sum(axis=1, keepdims=True)
    weight = cuts + gamma * (size[:, None] - cuts)
    mean = (before + gamma * (total - before)) / weight
    variance = (squares + gamma * (total_squares - squares)) / weight - mean**2
    possible = cuts < size[:, None]
    best = np.where(possible, mean, -np.inf).max(axis=1)
    tied = possible & (mean >= best[:, None] - 1e-12 * np.abs(best[:, None]))
    return best, np.where(tied, variance, -np.inf).max(axis=1)
