"""Covariance of estimates under a named convention, for any number of clusterings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from evaluation.errors import InternalError, ParametersError
from evaluation.impact.effects import Effects
from evaluation.impact.inference.clustering import cluster_codes, compact, counts, subsets, sums
from evaluation.impact.inference.leverage import adjusted, square
from evaluation.impact.regression import Regression

Array = np.ndarray

ZERO_VARIANCE = 1e-24  # of the variance with independent units: twelve digits of the standard error have cancelled
ZERO_EIGENVALUE = 1e-12  # of the largest; below, an eigenvalue is zero and not a reason to speak of a repair
DESCRIPTIONS = {
    "influence": "influence function, population scaling, normal interval",
    "conventional": "equal variances of independent rows, t interval with rows less coefficients",
    "hc0": "heteroskedasticity-robust HC0, t interval with rows less coefficients",
    "hc1": "heteroskedasticity-robust HC1, t interval with rows less coefficients",
    "hc2": "heteroskedasticity-robust HC2, t interval with rows less coefficients",
    "hc3": "heteroskedasticity-robust HC3, t interval with rows less coefficients",
    "cr0": "cluster-robust CR0, no small-sample factor, t interval with clusters less one",
    "cr1": "cluster-robust CR1, factor G/(G-1) (N-1)/(N-k), fixed effects within clusters not in k, t interval with "
    "clusters less one",
    "cr2": "cluster-robust CR2 (Bell-McCaffrey), t interval with Satterthwaite degrees of freedom",
    "abadie_imbens": "Abadie-Imbens (2006) for matching with replacement, score taken as known, normal interval",
    "abadie_imbens_2016": "Abadie-Imbens (2016) for matching with replacement, score estimated, normal interval",
    "linearised": "Taylor linearisation by strata and sampling units, t interval with sampling units less strata",
    "paired": "differences within pairs averaged by the pairs' sizes (Imai, King and Nall), t interval with pairs less "
    "one",
    "newey_west": "Newey-West with Bartlett weights, factor T/(T-k), t interval with periods less coefficients",
    "neyman": "Neyman's variance by cohort of a roll-out by lot, t interval with units less cohorts",
    "cr3": "cluster-robust CR3 (leave one cluster out), t interval with Satterthwaite degrees of freedom",
}
# Computed by the methods and functions that have them.
READY = ("abadie_imbens", "linearised", "newey_west", "neyman", "paired")
_LEVERAGE_POWER = {"hc0": 0.0, "hc1": 0.0, "hc2": 0.5, "hc3": 1.0}
_UNCLUSTERED = ("conventional", *_LEVERAGE_POWER)
_WITH_LEVERAGES = ("hc2", "hc3", "cr2", "cr3")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """Covariance of estimates under a named convention.

    Attributes:
        matrix: (K, K).
        df: (K,) degrees of freedom of t intervals; infinite where the interval is normal.
        kind: the convention, a key of `DESCRIPTIONS`.
        n_clusters: number of clusters of each clustering variable; empty without clusters.
        repaired: True if negative eigenvalues were set to zero (several clustering variables only).
    """

    matrix: Array
    df: Array
    kind: str
    n_clusters: Mapping[str, int] = field(default_factory=dict)
    repaired: bool = False

    @property
    def std_error(self) -> Array:
        """(K,) square roots of the diagonal."""
        return np.sqrt(np.maximum(np.diag(self.matrix), 0.0))

    def describe(self) -> str:
        """The convention in one line, for records and tables."""
        parts = [DESCRIPTIONS.get(self.kind, self.kind)]
        if self.n_clusters:
            parts.append("clusters: " + ", ".join(f"{name} ({n})" for name, n in self.n_clusters.items()))
        if self.repaired:
            parts.append("negative eigenvalues set to zero")
        return "; ".join(parts)


def covariance(effects: Effects, clusters: pd.DataFrame | None = None, *, kind: str = "influence") -> Covariance:
    """Covariance of the estimates.

    With Sₐ the sums of influence by cluster of the clustering A:
        one clustering: V = Sₐ′Sₐ / n²; several: V = Σ over non-empty subsets A of (-1)^(|A|+1) V of the intersection of
        A, negative eigenvalues set to zero and flagged.
    The other kinds use the regression behind the effects: conventional is s² (X′WX)⁻¹; hc2 divides residuals by √(1-h),
        hc3 by 1-h;
    cr1 multiplies by G/(G-1) (N-1)/(N-k) with the smallest G if there are several clusterings; cr2 and cr3 transform
    the residuals of each cluster by (I-H)^(-1/2) and (I-H)^(-1).

    Args:
        effects: K effects with influence functions.
        clusters: a column for each clustering variable, indexed by unit id (aligned by label); None for independent
            units.
        kind: a key of `DESCRIPTIONS`. The cr kinds without clusters treat each unit as a cluster; conventional
            and hc take none.

    Raises:
        ParametersError: unknown kind; an hc or cr kind for effects that are not regression coefficients; hc with
            clusters.
        DataError: a unit without a cluster; a cluster table with repeated units; a single cluster; cr3 where a
            coefficient cannot be estimated without one of the clusters.

    Source: Cameron, Gelbach and Miller (2011); MacKinnon and White (1985); Bell and McCaffrey (2002); Pustejovsky and
        Tipton (2018); MacKinnon, Nielsen and Webb (2023) for cr3.
    """
    require_influence(effects)
    _require_kind(clusters, kind)
    codes = cluster_codes(effects.units, clusters)
    if kind == "influence":
        found = _by_influence(effects, codes)
    elif kind == "conventional":
        found = _conventional(effects)
    elif kind in _LEVERAGE_POWER:
        found = _heteroskedastic(effects, kind)
    else:
        found = _cluster_robust(effects, codes or {"unit": np.arange(effects.n_units)}, kind)
    return _without_rounding(found, effects) if found.n_clusters else found


def known_covariance(effects: Effects, clusters: pd.DataFrame | None, kind: str) -> Covariance:
    """The covariance, or missing values for effects whose uncertainty does not come from influence functions."""
    if effects.kind == "influence":
        return covariance(effects, clusters, kind=kind)
    k = len(effects)
    return Covariance(matrix=np.full((k, k), np.nan), df=np.full(k, np.nan), kind=effects.kind)


def abadie_imbens(
    differences: Array, weights: Array, reuse: Array, variances: Array, *, score: Array | None = None
) -> Covariance:
    """Covariance of average effects by nearest-neighbour matching, covariates taken as random.

    V = [Σᵢ wᵢ² (dᵢ - τ)² + Σⱼ σⱼ² rⱼ] / (Σᵢ wᵢ)², τ = Σᵢ wᵢ dᵢ / Σᵢ wᵢ: the spread of the differences of the matched
    units, and what partners that serve several times add to it. Matching on an estimated score as if it were known is
    conservative for the effect on everybody; for the effect on one arm the error can go either way. Effects on K groups
    of matched units have weights (m, K), r (n, K, K) and the covariance that goes with them.

    Args:
        differences: (m,) dᵢ, outcome under treatment less that without, of a matched unit and its partners.
        weights: (m,) wᵢ, or (m, K).
        reuse: (n,) rⱼ = (vⱼ + Kⱼ)² - vⱼ² - K²ⱼ, with vⱼ the own weight of unit j as a matched unit (for effects on one
            arm 0 where Kⱼ is not), Kⱼ = Σᵢ wᵢⱼ its weight as a partner over all sets and K²ⱼ = Σᵢ wᵢⱼ²; or (n, K, K).
        variances: (n,) σⱼ², variance of the outcome of unit j given its covariates.
        score: (K, K) to be added because the score was estimated; it may be negative.

    Source: Abadie and Imbens (2006), theorem 7; (2016), theorems 1 and 2, for estimated scores.
    """
    w, r = weights.reshape(len(differences), -1), reuse.reshape(len(variances), -1)
    k, total = w.shape[1], w.sum(axis=0)
    spread = w * (differences[:, None] - differences @ w / total)
    matrix = (spread.T @ spread + (variances @ r).reshape(k, k)) / np.outer(total, total)
    if score is not None:
        matrix = matrix + score
    kind = "abadie_imbens" if score is None else "abadie_imbens_2016"
    return Covariance(matrix=matrix, df=np.full(k, np.inf), kind=kind)


def require_influence(effects: Effects) -> None:
    """Refuse effects whose uncertainty does not come from influence functions."""
    if effects.kind != "influence":
        raise InternalError(
            code="E-IMP-021",
            what="a covariance was asked of effects without influence functions",
            found=effects.kind,
            expected="influence",
        )


def required_fit(effects: Effects, kind: str) -> tuple[Regression, Array]:
    """The regression behind effects and its loading."""
    if effects.regression is None or effects.loading is None:
        raise ParametersError(
            code="E-IMP-023",
            what="this standard error needs a regression, and the method does not give one",
            found=kind,
            expected="influence",
            fix="set inference: {std_error: influence}",
        )
    if effects.regression.absorbed and kind in _WITH_LEVERAGES:
        raise ParametersError(
            code="E-IMP-040",
            what="this standard error needs leverages, which a fit with absorbed fixed effects does not have",
            found=kind,
            expected="influence, conventional, hc0, hc1, cr0 or cr1",
        )
    return effects.regression, effects.loading


def combined(pieces: Mapping[tuple[str, ...], Array]) -> tuple[Array, bool]:
    """Inclusion and exclusion over the clusterings; negative eigenvalues, which it can leave, are set to zero.

    Source: Cameron, Gelbach and Miller (2011), equations 2.13 and 2.17.
    """
    total = np.asarray(sum((-1) ** (len(names) + 1) * piece for names, piece in pieces.items()))
    return _positive(total) if len(pieces) > 1 else (total, False)


def _require_kind(clusters: pd.DataFrame | None, kind: str) -> None:
    if kind not in DESCRIPTIONS or kind in READY:
        raise ParametersError(
            code="E-IMP-022",
            what="no such standard error",
            found=kind,
            expected=", ".join(known for known in DESCRIPTIONS if known not in READY),
        )
    if kind in _UNCLUSTERED and clusters is not None and len(clusters.columns):
        raise ParametersError(
            code="E-IMP-024",
            what="this standard error is for independent units, and clusters are given",
            found=f"{kind} with clusters {', '.join(map(str, clusters.columns))}",
            expected="influence, cr0, cr1, cr2 or cr3",
        )


def _without_rounding(found: Covariance, effects: Effects) -> Covariance:
    """Variances that are rounding beside those of independent units become zero: influences cancel within clusters."""
    plain = np.diag(effects.cross_product()) / max(effects.n_units, 1) ** 2
    kept = np.diag(found.matrix) > ZERO_VARIANCE * plain
    return replace(found, matrix=np.where(np.outer(kept, kept), found.matrix, 0.0))


def _by_influence(effects: Effects, codes: Mapping[str, Array]) -> Covariance:
    n = effects.n_units
    pieces = {chosen: square(effects.cluster_sums(code) / n) for chosen, code in subsets(codes).items()}
    matrix, repaired = combined(pieces) if pieces else (effects.cross_product() / n**2, False)
    return Covariance(
        matrix=matrix,
        df=np.full(len(effects), np.inf),
        kind="influence",
        n_clusters=counts(codes),
        repaired=repaired,
    )


def _positive(matrix: Array) -> tuple[Array, bool]:
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= -ZERO_EIGENVALUE * max(values[-1], 0.0):
        return matrix, False
    return (vectors * np.maximum(values, 0.0)) @ vectors.T, True


def _conventional(effects: Effects) -> Covariance:
    fit, loading = required_fit(effects, "conventional")
    variance = float(fit.residuals @ fit.residuals) / fit.residual_df
    return Covariance(
        matrix=variance * loading @ fit.bread @ loading.T,
        df=np.full(len(effects), float(fit.residual_df)),
        kind="conventional",
    )


def _heteroskedastic(effects: Effects, kind: str) -> Covariance:
    fit, loading = required_fit(effects, kind)
    rows = fit.scores(_LEVERAGE_POWER[kind]) @ (fit.bread @ loading.T)
    by_unit = sums(rows, fit.rows_among(effects.units), effects.n_units)
    factor = fit.n_rows / fit.residual_df if kind == "hc1" else 1.0
    return Covariance(matrix=factor * square(by_unit), df=np.full(len(effects), float(fit.residual_df)), kind=kind)


def _cluster_robust(effects: Effects, codes: Mapping[str, Array], kind: str) -> Covariance:
    fit, loading = required_fit(effects, kind)
    of_units = subsets(codes)
    if kind in ("cr2", "cr3"):
        power, rows = -0.5 if kind == "cr2" else -1.0, fit.rows_among(effects.units)
        pieces = {names: adjusted(fit, loading, code[rows], power=power) for names, code in of_units.items()}
    else:
        pieces = {names: _unadjusted(effects, code) for names, code in of_units.items()}
    matrix, repaired = combined({names: piece[0] for names, piece in pieces.items()})
    sizes = counts(codes)
    factor = cr1_factor(fit, effects.units, codes, sizes) if kind == "cr1" else 1.0
    return Covariance(
        matrix=factor * matrix,
        df=np.min([pieces[(name,)][1] for name in codes], axis=0),
        kind=kind,
        n_clusters=sizes,
        repaired=repaired,
    )


def cr1_factor(fit: Regression, units: pd.Index, codes: Mapping[str, Array], sizes: Mapping[str, int]) -> float:
    """One factor for all terms, with the smallest number of clusters and the clustering that has it."""
    name = min(sizes, key=lambda key: sizes[key])
    k = fit.n_columns + fit.absorbed_df(units, codes[name])
    return sizes[name] / (sizes[name] - 1) * (fit.n_rows - 1) / (fit.n_rows - k)


def _unadjusted(effects: Effects, codes: Array) -> tuple[Array, Array]:
    """Covariance (K, K) and degrees of freedom (K,) for one clustering of the units, from sums of influence."""
    by_cluster = effects.cluster_sums(compact(codes)) / effects.n_units
    return square(by_cluster), np.full(len(effects), len(by_cluster) - 1.0)
