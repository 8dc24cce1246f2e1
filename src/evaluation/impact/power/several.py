"""Power for several outcomes tested together: for each, for at least one, for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from evaluation.errors import ParametersError
from evaluation.impact.covariates import Floats

DRAWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FamilyPower:
    """What a family of tests finds.

    Attributes:
        each: (m,) probability that each outcome's effect is found.
        at_least_one: probability that one or more are.
        all: probability that every one is.
        monte_carlo_error: largest standard error of these numbers.
    """

    each: Floats
    at_least_one: float
    all: float
    monte_carlo_error: float


def family_power(
    shifts: Floats,
    correlation: float,
    df: float,
    *,
    level: float = 0.05,
    method: Literal["holm", "bonferroni", "none"] = "holm",
    draws: int = DRAWS,
    seed: int = 0,
) -> FamilyPower:
    """Power of m tests whose estimates have one correlation, by drawing their t statistics.

    Args:
        shifts: (m,) effects in standard errors; 0 for an outcome without effect.
        correlation: of any two estimates, which is that of the outcomes where all are measured on the same people.
        df: degrees of freedom, infinite for the normal.
        level: of the family.
        method: correction of the p-values.
        draws: of the statistics.
        seed: of the draws.

    Raises:
        ParametersError: no m variables have this correlation.

    Source: Porter (2018), *Journal of Research on Educational Effectiveness* 11(2).
    """
    m = len(shifts)
    if not (-1 / max(m - 1, 1) <= correlation <= 1):
        raise ParametersError(
            code="E-IMP-305",
            what="no outcomes have this correlation with one another",
            found=f"{correlation:g} for {m} outcomes",
            expected=f"from {-1 / max(m - 1, 1):.3g} to 1",
        )
    rng = np.random.Generator(np.random.Philox(seed))
    values, vectors = np.linalg.eigh(np.full((m, m), correlation) + (1 - correlation) * np.eye(m))
    normals = rng.standard_normal((draws, m)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T + shifts
    scale = np.sqrt(rng.chisquare(df, draws) / df)[:, None] if np.isfinite(df) else 1.0
    found = _rejected(_p_values(normals / scale, df), level, method)
    shares = np.r_[found.mean(axis=0), found.any(axis=1).mean(), found.all(axis=1).mean()]
    return FamilyPower(
        each=shares[:m],
        at_least_one=float(shares[m]),
        all=float(shares[m + 1]),
        monte_carlo_error=float(np.sqrt((shares * (1 - shares)).max() / draws)),
    )


def _p_values(statistics: Floats, df: float) -> Floats:
    below = special.stdtr(df, -np.abs(statistics)) if np.isfinite(df) else special.ndtr(-np.abs(statistics))
    return np.asarray(2 * below)


def _rejected(p_values: Floats, level: float, method: str) -> Floats:
    """(draws, m) which hypotheses fall; Holm stops at the first that stands."""
    m = p_values.shape[1]
    if method != "holm":
        return np.asarray(p_values <= (level / m if method == "bonferroni" else level))
    order = np.argsort(p_values, axis=1)
    steps = np.take_along_axis(p_values, order, axis=1) <= level / (m - np.arange(m))
    falls = np.logical_and.accumulate(steps, axis=1)
    out = np.empty_like(falls)
    np.put_along_axis(out, order, falls, axis=1)
    return out
