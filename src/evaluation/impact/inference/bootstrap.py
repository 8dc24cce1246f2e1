"""Multiplier bootstrap: draws of all estimates at once, and the bands that follow from them.

A draw multiplies the influence of each unit (or the sum over each cluster) by a random number of mean 0 and variance 1;
nothing is estimated again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from evaluation.errors import ParametersError
from evaluation.impact.effects import Effects
from evaluation.impact.inference.bands import correlated_normals, require_level
from evaluation.impact.inference.clustering import cluster_codes
from evaluation.impact.inference.covariances import ZERO_VARIANCE, covariance, require_influence
from evaluation.impact.inference.multipliers import multipliers, require_draws

Array = np.ndarray

MULTIPLIER_DRAWS = 999
UNUSUAL = 7.0  # critical values from here on mean that a standard error is nearly zero
QUARTILES = float(special.ndtri(0.75) - special.ndtri(0.25))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MultiplierBands:
    """What draws say about all estimates at once.

    Attributes:
        std_error: (K,) interquartile range of the draws over that of the standard normal; missing where no draw moves.
        critical: half-width of the simultaneous band in standard errors.
        note: what to know about it; empty if nothing.
    """

    std_error: Array
    critical: float
    note: str = ""


def multiplier_draws(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    *,
    law: str = "rademacher",
    draws: int = MULTIPLIER_DRAWS,
    seed: int = 0,
    block: int | None = None,
) -> Array:
    """(B, K) draws of estimate - truth: (1/n) Σ_g v_g S_g, with S_g the influence of a unit, or its sum over a cluster.

    Units are summed in single precision, which is off by some 10⁻⁷ of a standard error. Multipliers belong to units in
    the order of `effects.units` (clusters: in the order of their labels), and neither blocks nor threads change them.
    Clusters that are the units, in the same order, therefore change nothing but the last digits.

    Args:
        effects: with influence functions.
        clusters: one clustering at most, indexed by unit; any number for the gaussian law.
        law: rademacher, mammen or webb; gaussian draws from the estimated covariance instead, which is another law and
            needs no unit.
        draws: B.
        seed: not negative.
        block: multipliers held at a time.

    Raises:
        ParametersError: unknown law, fewer than one draw, several clusterings.
        DataError: see `covariance`.

    Source: Callaway and Sant'Anna (2021), algorithm 1; Mammen (1993); Webb (2023).
    """
    require_influence(effects)
    require_draws(draws)
    if law == "gaussian":
        return _gaussian(effects, clusters, draws, seed)
    codes = list(cluster_codes(effects.units, clusters).values())
    _require_one_clustering(clusters, len(codes))
    n = effects.n_units
    if not codes:
        return effects.weighted_sums(multipliers(law, n, draws, seed, block), np.float32) / n
    sums = effects.cluster_sums(codes[0])
    return np.vstack([v.astype(float) @ sums for v in multipliers(law, len(sums), draws, seed, block)]) / n


def multiplier_bands(draws: Array, *, level: float = 0.95) -> MultiplierBands:
    """Standard errors and the critical value of the simultaneous band, as R did computes them from draws.

    The standard error is (x₍₀.₇₅₎ - x₍₀.₂₅₎) / (z₀.₇₅ - z₀.₂₅) with quantiles that are draws themselves (type 1), the
    critical value the quantile of max |draw| / standard error. Where that is not finite or below the normal quantile,
    the normal quantile is taken, and said. Columns without spread are left out; R drops them below an absolute bound,
    which depends on the unit of the outcome, and we do not.

    Args:
        draws: (B, K) from `multiplier_draws`.
        level: of the band.

    Source: Callaway and Sant'Anna (2021), algorithm 1; R did 2.5.1 for quantiles and fall-backs.
    """
    require_level(level)
    low, high = np.quantile(draws, [0.25, 0.75], axis=0, method="inverted_cdf")
    spread = (high - low) / QUARTILES
    moved = (spread > 0) & (spread**2 > ZERO_VARIANCE * np.max(draws**2, axis=0, initial=0.0))
    std_error = np.where(moved, spread, np.nan)
    pointwise = float(special.ndtri(0.5 + level / 2))
    if not moved.any():
        return MultiplierBands(std_error=std_error, critical=pointwise, note="no estimate moves: pointwise band")
    largest = np.max(np.abs(draws[:, moved]) / spread[moved], axis=1)
    critical = float(np.quantile(largest, level, method="inverted_cdf"))
    if critical < pointwise:
        return MultiplierBands(
            std_error=std_error, critical=pointwise, note="the draws' critical value is below the normal quantile"
        )
    note = f"the critical value {critical:.1f} is unusually large" if critical >= UNUSUAL else ""
    return MultiplierBands(std_error=std_error, critical=critical, note=note)


def _gaussian(effects: Effects, clusters: pd.DataFrame | None, draws: int, seed: int) -> Array:
    found = covariance(effects, clusters)
    se = found.std_error
    rows = np.flatnonzero(se > 0)
    out = np.zeros((draws, len(effects)))
    correlation = found.matrix[np.ix_(rows, rows)] / np.outer(se[rows], se[rows])
    rng = np.random.Generator(np.random.Philox(seed))
    out[:, rows] = correlated_normals(correlation, draws, rng) * se[rows]
    return out


def _require_one_clustering(clusters: pd.DataFrame | None, n: int) -> None:
    if n > 1 and clusters is not None:
        raise ParametersError(
            code="E-IMP-062",
            what="multipliers belong to the clusters of one clustering",
            found=f"{n} clusterings: {', '.join(map(str, clusters.columns))}",
            expected="one clustering, or bands: plug_in, which takes any number",
            fix="set inference: {bands: plug_in}",
        )
