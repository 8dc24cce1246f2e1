"""Strength of instruments and restrictions they must agree on."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special, stats

from evaluation.errors import InternalError
from evaluation.impact.inference.bands import require_level

Array = np.ndarray

DIRECTIONS = 4001  # places at which the set of several instruments is looked for, spread over all numbers
WORST_BIAS = 0.1  # of that of least squares, from which an instrument counts as weak


def effective_f(first: Array, found: Array, square: Array) -> tuple[float, float]:
    """Effective F of the first stage, and the effective number of instruments.

        F = π′ Q π / tr(V Q),  K = tr(W)² (1 + 2x) / (tr(W²) + 2x tr(W) λ_max(W)),  W = Q^½ V Q^½,  x = 1/τ

    with π the first stage, V its covariance under any convention, Q = Z′Z of instruments with covariates taken out. One
    instrument: F = (π/se)² and K = 1.

    Args:
        first: (K,) coefficients of the instruments.
        found: (K, K) their covariance.
        square: (K, K) Q.

    Source: Montiel Olea and Pflueger (2013), *Journal of Business and Economic Statistics* 31(3), sections 3 and 4.
    """
    values, vectors = np.linalg.eigh(square)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    spread = root @ found @ root
    trace = float(np.trace(spread))
    if trace <= 0:
        return float("inf"), 1.0
    x = 1 / WORST_BIAS
    largest = float(np.linalg.eigvalsh(spread)[-1])
    number = trace**2 * (1 + 2 * x) / (float(np.sum(spread * spread)) + 2 * x * trace * largest)
    return float(first @ square @ first) / trace, number


def critical_f(number: float = 1.0, level: float = 0.95) -> float:
    """Effective F below which the bias may exceed `WORST_BIAS` of that of least squares: the simplified critical value.

    The quantile of a noncentral χ² with K degrees of freedom and noncentrality K/τ, over K; 23.1 with one instrument.

    Source: as `effective_f`, section 4 (simplified procedure).
    """
    return float(stats.ncx2.ppf(level, number, number / WORST_BIAS) / number)


def anderson_rubin_several(
    reduced: Array, first: Array, found: Array, *, level: float = 0.95
) -> tuple[tuple[float, float], ...]:
    """The effects b that several instruments do not reject, however weak they are.

        (ρ - bπ)′ [V_ρρ - b (V_ρπ + V_πρ) + b² V_ππ]⁻¹ (ρ - bπ) ≤ χ²_K

    Ends are sought where the sign changes between neighbouring directions b = centre + scale tan θ: pieces narrower
    than two of them are not seen.

    Args:
        reduced: (K,) what the instruments do to the outcome, ρ.
        first: (K,) what they do to the treatment, π.
        found: (2K, 2K) covariance of both, reduced form first, under any convention.
        level: coverage.

    Returns:
        Intervals in order, with infinite ends where the set has none; nothing where the instruments contradict one
        another at every effect.

    Source: Anderson and Rubin (1949); Andrews, Stock and Sun (2019), section 5.
    """
    require_level(level)
    k = len(reduced)
    quantile = float(stats.chi2.ppf(level, k))
    parts = found[:k, :k], found[:k, k:] + found[k:, :k], found[k:, k:]

    def over(theta: float) -> float:
        # cos θ times both sides, so that b may be infinite: the statistic does not change
        a, b = np.cos(theta), np.cos(theta) * centre + scale * np.sin(theta)
        left = a * reduced - b * first
        spread = a * a * parts[0] - a * b * parts[1] + b * b * parts[2]
        return float(left @ np.linalg.solve(spread, left)) - quantile

    weight = np.linalg.inv(parts[2])
    centre = float(first @ weight @ reduced / (first @ weight @ first))
    scale = float(np.sqrt(np.trace(parts[0]) / (first @ first))) or 1.0
    thetas = np.linspace(-np.pi / 2, np.pi / 2, DIRECTIONS)
    inside = np.array([over(theta) <= 0 for theta in thetas])
    turns = np.flatnonzero(inside[1:] != inside[:-1])
    ends = [centre + scale * np.tan(optimize.brentq(over, thetas[j], thetas[j + 1], xtol=1e-14)) for j in turns]
    bounds = [*([-np.inf] if inside[0] else []), *ends, *([np.inf] if inside[-1] else [])]
    return tuple((float(low), float(high)) for low, high in zip(bounds[::2], bounds[1::2], strict=True))


def restrictions_p(statistic: float, restrictions: int) -> float:
    """p-value of a χ² statistic of restrictions that must hold together (Sargan, Hansen)."""
    if restrictions < 1:
        raise InternalError(code="E-IMP-345", what="no restriction is left to be tested", found=str(restrictions))
    return float(special.chdtrc(restrictions, statistic))
