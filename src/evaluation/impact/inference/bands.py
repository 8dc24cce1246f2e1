"""Quantiles, p-values and simultaneous bands."""

from __future__ import annotations

import numpy as np
from scipy import special

from evaluation.errors import ParametersError
from evaluation.impact.inference.covariances import ZERO_EIGENVALUE, Covariance

Array = np.ndarray

BAND_DRAWS = 20_000


def sup_t(found: Covariance, pointwise: Array, level: float, seed: int, used: Array, draws: int = BAND_DRAWS) -> Array:
    """(K,) critical values of the simultaneous band: a quantile of max |t| from the plug-in correlation.

    With finite degrees of freedom the draws are multivariate t with the smallest of them. A band is never narrower than
    the pointwise interval, which the noise of the draws alone could make it.
    """
    rows = np.flatnonzero(used & (found.std_error > 0))
    if not len(rows):
        return pointwise
    se = found.std_error[rows]
    rng = np.random.Generator(np.random.Philox(seed))
    normals = correlated_normals(found.matrix[np.ix_(rows, rows)] / np.outer(se, se), draws, rng)
    df = float(np.min(found.df[rows]))
    scale = np.sqrt(rng.chisquare(df, draws) / df) if np.isfinite(df) else np.ones(draws)
    return np.asarray(np.maximum(np.quantile(np.abs(normals).max(axis=1) / scale, level), pointwise))


def correlated_normals(correlation: Array, draws: int, rng: np.random.Generator) -> Array:
    """(B, K) normal draws with mean 0 and this correlation, of any rank."""
    values, vectors = np.linalg.eigh(correlation)
    keep = values > ZERO_EIGENVALUE * values[-1] if len(values) else np.zeros(0, dtype=bool)
    normals = rng.standard_normal((draws, int(keep.sum())))
    return np.asarray(normals @ (vectors[:, keep] * np.sqrt(values[keep])).T)


def t_quantile(probability: float, df: Array) -> Array:
    """(K,) quantiles of t with df degrees of freedom, of the normal where df is infinite."""
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(np.where(np.isfinite(df), special.stdtrit(finite, probability), special.ndtri(probability)))


def p_values(estimate: Array, std_error: Array, df: Array) -> Array:
    """(K,) two-sided p-values of estimate = 0 from t or normal quantiles."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -np.abs(estimate / std_error)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(2 * np.where(np.isfinite(df), special.stdtr(finite, t), special.ndtr(t)))


def normal_numbers(estimate: float, std_error: float, level: float = 0.95) -> dict[str, float]:
    """Interval and p-value from an estimate and a standard error that another program gives, normal.

    Returns:
        estimate, std_error, ci_low, ci_high, p_value.
    """
    reach = float(t_quantile((1 + level) / 2, np.array([np.inf]))[0]) * std_error
    p = float(p_values(np.array([estimate]), np.array([std_error]), np.array([np.inf]))[0])
    return {
        "estimate": estimate,
        "std_error": std_error,
        "ci_low": estimate - reach,
        "ci_high": estimate + reach,
        "p_value": p,
    }


def require_level(level: float) -> None:
    """Refuse a level that is not between 0 and 1."""
    if not 0 < level < 1:
        raise ParametersError(
            code="E-IMP-031", what="the level of an interval is not a share", found=f"{level}", expected="such as 0.95"
        )
