"""The table that people read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from evaluation.impact.effects import Effects
from evaluation.impact.inference.bands import p_values, require_level, sup_t, t_quantile
from evaluation.impact.inference.covariances import Covariance, known_covariance
from evaluation.impact.inference.few import refusals

Array = np.ndarray


def summarize(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    *,
    kind: str = "influence",
    level: float = 0.95,
    band_seed: int | None = None,
    treated_by_unit: pd.Series | None = None,
    few_clusters: Literal["refuse", "own"] = "refuse",
    covariance: Covariance | None = None,
) -> pd.DataFrame:
    """The table that people read: a row for each effect.

    Its columns are the labels, estimate, std_error, ci_low, ci_high, band_low, band_high, p_value, df and reason.
    `ci_*` hold for one row at a time, `band_*` for all rows at once with probability `level` (sup-t: the quantile of
    the largest |t| over rows, drawn from the estimated correlation, 20,000 draws). Where a number cannot be trusted it
    is missing and `reason` says why: a reference that is zero by construction, a standard error of zero, or fewer than
    six treated or six comparison clusters (units, without clusters), where the standard error is given but no interval
    or p-value follows.

    Args:
        effects: K effects.
        clusters: see `covariance`.
        kind: see `covariance`.
        level: of intervals and bands.
        band_seed: seed of the bands' draws; None for no bands.
        treated_by_unit: True for treated units, indexed by unit id, to count clusters with; by default the effects' own
            arms.
        few_clusters: "own" if the method's inference holds with few clusters; "refuse" applies the rule above.
        covariance: a ready one, for methods that have their own (Abadie-Imbens); `kind` is then not used.

    Source: Montiel Olea and Plagborg-Møller (2019) for the bands.
    """
    require_level(level)
    found = covariance if covariance is not None else known_covariance(effects, clusters, kind)
    reasons = refusals(effects, clusters, found, treated_by_unit, few_clusters)
    silent = reasons != ""
    std_error = np.where(effects.support(), found.std_error, np.nan)
    critical = t_quantile(0.5 + level / 2, found.df)
    band = np.full(len(effects), np.nan) if band_seed is None else sup_t(found, critical, level, band_seed, ~silent)
    numbers = {
        "estimate": effects.estimate,
        "std_error": std_error,
        **_interval("ci", effects.estimate, np.where(silent, np.nan, critical) * std_error),
        **_interval("band", effects.estimate, np.where(silent, np.nan, band) * std_error),
        "p_value": np.where(silent, np.nan, p_values(effects.estimate, std_error, found.df)),
        "df": found.df,
        "reason": reasons,
    }
    return effects.labels.assign(**numbers)


def _interval(name: str, center: Array, half: Array) -> dict[str, Array]:
    return {f"{name}_low": center - half, f"{name}_high": center + half}
