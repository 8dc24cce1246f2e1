"""Balance as R's MatchIt and cobalt show it: differences in standard deviations of the units whose effect is wanted.

The balance that the rubric judges is another one (`balance`: Hedges' g and the Cox index). This one is for figures and
for readers who know cobalt: one denominator before and after, from the sample before matching.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact.covariates import Covariates, Floats
from evaluation.impact.matched import MatchedSets, Sets

Mask = NDArray[np.bool_]

STAGES = ("before", "after")


def standardised_balance(
    covariates: Covariates, treated: Mask, before: Floats, after: Floats, estimand: str, sets: Sets | None = None
) -> pd.DataFrame:
    """Means, standardised differences, variance ratios and distances of the distribution functions of all columns.

    Args:
        covariates: (n, k) complete; the score may be one of them.
        treated: (n,) arm.
        before: (n,) weights before the adjustment.
        after: (n,) weights after it.
        estimand: whose standard deviation is the denominator: the treated (att), the comparison units (atc), or the
            root of the mean of both variances (ate); weighted variance (weights summing to one) Σ w (x - x̄)² / (1 - Σ
            w²), for 0/1 columns p (1 - p).
        sets: matched pairs, for the mean distance within them.

    Returns:
        A row a column: covariate, kind; for both stages mean_treated, mean_comparison, smd, variance_ratio (not for 0/1
        columns), ecdf_mean (mean over the distinct values of |F₁ - F₀|), ecdf_max (Kolmogorov-Smirnov); and
        pair_distance, the mean over pairs of |x - x'| in the same standard deviations (NaN without pairs).

    Source: Greifer, *cobalt* and *MatchIt* documentation; their numbers are reproduced (tests/golden).
    """
    x = covariates.matrix
    binary = np.asarray(np.isin(x, (0.0, 1.0)).all(axis=0))
    first, second = _moments(x, treated, before, binary), _moments(x, treated, after, binary)
    spread = _denominator(first, estimand, x, before)
    ecdf = _distribution_gaps(x, treated, before, after)
    table: dict[str, object] = {"covariate": list(covariates.labels), "kind": np.where(binary, "binary", "continuous")}
    for stage, (mean, variance) in zip(STAGES, (first, second), strict=True):
        table[f"mean_treated_{stage}"], table[f"mean_comparison_{stage}"] = mean
        table[f"smd_{stage}"] = (mean[0] - mean[1]) / spread
        ratio = np.divide(variance[0], variance[1], out=np.full(len(binary), np.nan), where=variance[1] > 0)
        table[f"variance_ratio_{stage}"] = np.where(binary, np.nan, ratio)
        table[f"ecdf_mean_{stage}"], table[f"ecdf_max_{stage}"] = ecdf[stage]
    apart = _pair_distances(sets, x) if isinstance(sets, MatchedSets) else np.full(len(binary), np.nan)
    table["pair_distance"] = apart / spread
    return pd.DataFrame(table)


def _moments(x: Floats, treated: Mask, weights: Floats, binary: Mask) -> tuple[Floats, Floats]:
    """(2, k) means and variances, treated first."""
    means, variances = [], []
    for arm in (treated, ~treated):
        share = weights[arm] / weights[arm].sum()
        mean = share @ x[arm]
        room = 1 - share @ share
        spread = share @ (x[arm] - mean) ** 2 / room if room > 0 else np.zeros(x.shape[1])
        means.append(mean)
        variances.append(np.where(binary, mean * (1 - mean), spread))
    return np.array(means), np.array(variances)


def _denominator(moments: tuple[Floats, Floats], estimand: str, x: Floats, weights: Floats) -> Floats:
    one, zero = moments[1]
    variance = {"att": one, "atc": zero, "ate": (one + zero) / 2}[estimand]
    share = weights / weights.sum()
    whole = share @ (x - share @ x) ** 2 / (1 - share @ share)
    return np.asarray(np.sqrt(np.where(variance > 0, variance, np.where(whole > 0, whole, np.nan))))


def _distribution_gaps(x: Floats, treated: Mask, before: Floats, after: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Mean and largest |F₁ - F₀| over the distinct values, for both weightings; each column is sorted once."""
    signed = {stage: _signed(treated, w) for stage, w in zip(STAGES, (before, after), strict=True)}
    gaps: dict[str, list[tuple[float, float]]] = {stage: [] for stage in STAGES}
    for column in x.T:
        order = np.argsort(column, kind="stable")
        last = np.r_[np.diff(column[order]) > 0, True]
        for stage in STAGES:
            gap = np.abs(np.cumsum(signed[stage][order])[last])
            gaps[stage].append((_mean_gap(gap, column), float(gap.max())))
    return {stage: (np.array([a for a, _ in found]), np.array([b for _, b in found])) for stage, found in gaps.items()}


def _mean_gap(gap: Floats, column: Floats) -> float:
    """For 0/1 columns the difference of shares."""
    return float(gap.max()) if np.isin(column, (0.0, 1.0)).all() else float(gap.mean())


def _signed(treated: Mask, weights: Floats) -> Floats:
    return np.asarray(np.where(treated, weights / weights[treated].sum(), -weights / weights[~treated].sum()))


def _pair_distances(sets: MatchedSets, x: Floats) -> Floats:
    """(k,) mean over pairs of |x - x'|, each pair counted once."""
    i, turn = np.nonzero(sets.shares)
    focal, partner = sets.matches.focal[i], sets.matches.partners[i, turn]
    return np.asarray(np.abs(x[focal] - x[partner]).mean(axis=0), dtype=float)
