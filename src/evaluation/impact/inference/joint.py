"""Joint tests of several effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from evaluation.impact.effects import Effects
from evaluation.impact.inference.covariances import Covariance, covariance
from evaluation.impact.inference.few import refusals
from evaluation.impact.inference.leverage import RANK_TOLERANCE

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldTest:
    """A joint test that effects are zero; `reason` says why there is no number, and is empty if there is one."""

    statistic: float
    df: int
    p_value: float
    reason: str = ""
    df_denominator: float = float("inf")


def wald(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    contrasts: Array | None = None,
    *,
    kind: str = "influence",
    treated_by_unit: pd.Series | None = None,
    ready: Covariance | None = None,
) -> WaldTest:
    """Joint test of C θ = 0: W = (Cθ)′ (C V C′)⁻¹ Cθ, chi-squared with q degrees of freedom, or F(q, df) with W/q.

    Args:
        effects: K effects; references that are zero by construction are left out when `contrasts` is None.
        clusters: see `covariance`.
        contrasts: C, (q, K); None for all effects equal to zero.
        kind: see `covariance`; kinds with finite degrees of freedom use F with the smallest of them.
        treated_by_unit: see `summarize`; the rule for few clusters holds here too.
        ready: covariance of what is tested, for methods that have their own; `kind` is then not used.

    Returns:
        A test, or a reason instead of a number where C V C′ has no inverse or there are too few clusters.
    """
    tested = _tested(effects, contrasts)
    q = len(tested)
    if q == 0:
        return _no_test(0, "there is nothing to test")
    found = covariance(tested, clusters, kind=kind) if ready is None else ready
    refused = [reason for reason in refusals(tested, clusters, found, treated_by_unit, "refuse") if reason]
    if refused:
        return _no_test(q, refused[0])
    return _wald_statistic(tested.estimate, found)


def _tested(effects: Effects, contrasts: Array | None) -> Effects:
    if contrasts is None:
        return effects.select(effects.support())
    matrix = np.atleast_2d(contrasts)
    return effects.contrast(matrix, pd.DataFrame({"term": ["contrast"] * len(matrix)}))


def _no_test(q: int, reason: str) -> WaldTest:
    return WaldTest(statistic=float("nan"), df=q, p_value=float("nan"), reason=reason)


def _wald_statistic(estimate: Array, found: Covariance) -> WaldTest:
    """The statistic through the correlation matrix, so that units of measurement do not decide what is singular."""
    se, q = found.std_error, len(estimate)
    values, vectors = np.linalg.eigh(found.matrix / np.outer(se, se))
    if values[0] <= RANK_TOLERANCE * values[-1] * q:
        return _no_test(q, f"the covariance of the {q} estimates has rank {_rank(values)}: no joint test")
    statistic = float(np.sum((vectors.T @ (estimate / se)) ** 2 / values))
    df = float(np.min(found.df))
    p = special.fdtrc(q, df, statistic / q) if np.isfinite(df) else special.chdtrc(q, statistic)
    return WaldTest(statistic=statistic, df=q, p_value=float(p), df_denominator=df)


def _rank(values: Array) -> int:
    return int((values > RANK_TOLERANCE * values[-1] * len(values)).sum())
