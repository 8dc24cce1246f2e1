"""Errors of estimates from one series, whose periods depend on one another."""

from __future__ import annotations

import numpy as np

from evaluation.errors import ParametersError
from evaluation.impact.effects import Effects
from evaluation.impact.inference.covariances import Covariance, require_influence

Array = np.ndarray


def default_lags(periods: int) -> int:
    """4 (T/100)^(2/9), rounded down (Newey and West 1994, for the Bartlett kernel)."""
    return int(4 * (periods / 100) ** (2 / 9))


def newey_west(effects: Effects, lags: int, *, coefficients: int) -> Covariance:
    """Covariance of estimates from one series.

        V = n/(n - k) [Γ_0 + Σ_{l=1..L} (1 - l/(L + 1)) (Γ_l + Γ_l′)] / n²,  Γ_l = Σ_t ψ_t ψ_{t-l}′

    with the influences ψ in the order of time. Intervals are t with n - k degrees of freedom.

    Args:
        effects: one unit a period, in order.
        lags: L; 0 is HC1.
        coefficients: k, of the regression behind.

    Raises:
        ParametersError: as many lags as periods, or a negative number.

    Source: Newey and West (1987), *Econometrica* 55(3).
    """
    require_influence(effects)
    rows, n = effects.dense(), effects.n_units
    if not 0 <= lags < n:
        raise ParametersError(
            code="E-IMP-350",
            what="the lags of a series are fewer than its periods",
            found=f"{lags} lags, {n} periods",
            expected=f"0 to {n - 1}",
            fix="leave lags out",
        )
    total = rows.T @ rows
    for lag in range(1, lags + 1):
        shifted = rows[lag:].T @ rows[:-lag]
        total = total + (1 - lag / (lags + 1)) * (shifted + shifted.T)
    left = n - coefficients
    return Covariance(
        matrix=np.asarray(total * (n / left) / n**2), df=np.full(len(effects), float(left)), kind="newey_west"
    )
