"""The table that people read."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from evaluation.impact.effects import Effects
from evaluation.impact.inference.bands import p_values, require_level, sup_t, t_quantile
from evaluation.impact.inference.bootstrap import MULTIPLIER_DRAWS, multiplier_bands, multiplier_draws
from evaluation.impact.inference.covariances import Covariance, known_covariance
from evaluation.impact.inference.few import refusals
from evaluation.impact.inference.wild import WILD_DRAWS, wild_test

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
    bands: Literal["plug_in", "multiplier"] = "plug_in",
    band_draws: int = MULTIPLIER_DRAWS,
) -> pd.DataFrame:
    """The table that people read: a row for each effect.

    Its columns are the labels, estimate, std_error, ci_low, ci_high, band_low, band_high, p_value, df and reason.
    `ci_*` hold for one row at a time, `band_*` for all rows at once with probability `level`: the quantile of the
    largest |t| over rows, drawn from the estimated correlation (plug_in, 20,000 draws), or from multipliers of units or
    clusters (multiplier, `band_draws`); never narrower than the interval of one row. Where a number cannot be trusted
    it is missing and `reason` says why: a reference that is zero by construction, a standard error of zero, or fewer
    than six treated or six comparison clusters (units, without clusters), where the standard error is given but no
    interval or p-value follows.

    Args:
        effects: K effects.
        clusters: see `covariance`.
        kind: see `covariance`.
        level: of intervals and bands.
        band_seed: seed of the bands' draws; None for no bands.
        treated_by_unit: True for treated units, indexed by unit id, to count clusters with; by default the effects' own
            arms.
        few_clusters: "own" if the method's inference holds with few clusters; "refuse" applies the rule above.
        covariance: a ready one, for methods that have their own (Abadie-Imbens); `kind` is then not used, and bands are
            plug_in, because multipliers do not know what it knows.
        bands: plug_in or multiplier.
        band_draws: of the multipliers.

    Source: Montiel Olea and Plagborg-Møller (2019) for plug-in bands; Callaway and Sant'Anna (2021) for multipliers.
    """
    require_level(level)
    found = covariance if covariance is not None else known_covariance(effects, clusters, kind)
    reasons = refusals(effects, clusters, found, treated_by_unit, few_clusters)
    silent = reasons != ""
    std_error = np.where(effects.support(), found.std_error, np.nan)
    critical = t_quantile(0.5 + level / 2, found.df)
    if band_seed is None or silent.all():
        band = np.full(len(effects), np.nan)
    elif bands == "multiplier" and covariance is None:
        drawn = multiplier_draws(effects.select(~silent), clusters, draws=band_draws, seed=band_seed)
        band = np.maximum(critical, multiplier_bands(drawn, level=level).critical)
    else:
        band = sup_t(found, critical, level, band_seed, ~silent)
    numbers = {
        "estimate": effects.estimate,
        "std_error": std_error,
        **_interval("ci", effects.estimate, np.where(silent, np.nan, critical) * std_error),
        **_interval("band", effects.estimate, np.where(silent, np.nan, band) * std_error),
        "p_value": np.where(silent, np.nan, p_values(effects.estimate, std_error, found.df)),
        "df": found.df,
        "reason": reasons,
    }
    return pd.concat([effects.labels, pd.DataFrame(numbers)], axis="columns")


def with_wild_tests(
    table: pd.DataFrame,
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    *,
    level: float = 0.95,
    draws: int = WILD_DRAWS,
    seed: int = 0,
    treated_by_unit: pd.Series | None = None,
) -> pd.DataFrame:
    """A table of `summarize` with interval, p-value and reason of each row from the wild cluster bootstrap instead.

    Rows that `summarize` refuses because clusters are few can have numbers here, because the test with the hypothesis
    imposed does not reject too often then. `WildTest.describe` says the convention of a row.
    """
    tests = [
        wild_test(effects, clusters, row=row, level=level, draws=draws, seed=seed, treated_by_unit=treated_by_unit)
        for row in range(len(effects))
    ]
    columns = ("ci_low", "ci_high", "p_value", "reason")
    return table.assign(**{name: [getattr(test, name) for test in tests] for name in columns})


def _interval(name: str, center: Array, half: Array) -> dict[str, Array]:
    return {f"{name}_low": center - half, f"{name}_high": center + half}
