"""The table that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference.bands import BAND_DRAWS, p_values, require_level, sup_t, t_quantile
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
    band_draws: int | None = None,
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
        band_draws: 999 of multipliers, 20,000 of the plug-in correlation, if None.

    Source: Montiel Olea and Plagborg-Møller (2019) for plug-in bands; Callaway and Sant'Anna (2021) for multipliers.
    """
    by_draws = band_seed is not None and bands == "multiplier" and covariance is None and effects.kind == "influence"
    drawn = _drawn(effects, clusters, band_draws, band_seed or 0) if by_draws else None
    found = covariance if covariance is not None else known_covariance(effects, clusters, kind)
    reasons = refusals(effects, clusters, found, treated_by_unit, few_clusters)
    return _table(effects, found, reasons, level, _Bands(band_seed, band_draws or BAND_DRAWS, drawn))


def summarize_together(
    parts: Sequence[Effects],
    clusters: pd.DataFrame | None = None,
    *,
    kind: str = "influence",
    level: float = 0.95,
    band_seed: int | None = None,
    bands: Literal["plug_in", "multiplier"] = "plug_in",
    band_draws: int | None = None,
) -> list[pd.DataFrame]:
    """`summarize` of several effects on the same units, each with bands of its own from one set of draws.

    The tables are those of `summarize` one by one; units are multiplied once instead of once a table.

    Args:
        parts: effects with influence functions.
        clusters: see `covariance`.
        kind: see `covariance`.
        level: of intervals and bands.
        band_seed: seed of the bands' draws; None for no bands.
        bands: plug_in or multiplier.
        band_draws: 999 of multipliers, 20,000 of the plug-in correlation, if None.
    """
    drawn: list[Array | None] = [None] * len(parts)
    if band_seed is not None and bands == "multiplier":
        together = _drawn(concat(parts), clusters, band_draws, band_seed)
        drawn = list(np.split(together, np.cumsum([len(part) for part in parts])[:-1], axis=1))
    tables = []
    for part, own in zip(parts, drawn, strict=True):
        found = known_covariance(part, clusters, kind)
        reasons = refusals(part, clusters, found, None, "refuse")
        tables.append(_table(part, found, reasons, level, _Bands(band_seed, band_draws or BAND_DRAWS, own)))
    return tables


def _drawn(effects: Effects, clusters: pd.DataFrame | None, draws: int | None, seed: int) -> Array:
    return multiplier_draws(effects, clusters, draws=draws or MULTIPLIER_DRAWS, seed=seed)


class _Bands(NamedTuple):
    """Seed (None for no bands) and number of draws from the correlation, or draws of multipliers (B, K)."""

    seed: int | None
    draws: int
    drawn: Array | None


def _table(effects: Effects, found: Covariance, reasons: Array, level: float, bands: _Bands) -> pd.DataFrame:
    require_level(level)
    silent = reasons != ""
    std_error = np.where(effects.support(), found.std_error, np.nan)
    critical = t_quantile(0.5 + level / 2, found.df)
    if bands.seed is None or silent.all():
        band = np.full(len(effects), np.nan)
    elif bands.drawn is not None:
        band = np.maximum(critical, multiplier_bands(bands.drawn[:, ~silent], level=level).critical)
    else:
        band = sup_t(found, critical, level, bands.seed, ~silent, bands.draws)
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
