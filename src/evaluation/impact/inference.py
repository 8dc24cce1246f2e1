"""From effects to standard errors, intervals, bands, p-values and joint tests: the only place that does so.

The clusters are chosen after estimation, any number of them. Which convention was used is part of the result
(`Covariance.kind`, `Covariance.describe()`), because programs differ in their small-sample factors and readers cannot
guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from scipy import linalg, special

from evaluation.errors import DataError, InternalError, ParametersError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.regression import Regression

Array = np.ndarray

MINIMUM_CLUSTERS = 6  # on each side; below, tests with clustered errors reject far too often (validity tests G9)
BAND_DRAWS = 20_000
RANK_TOLERANCE = 1e-10
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
    "cr3": "cluster-robust CR3 (leave one cluster out), t interval with Satterthwaite degrees of freedom",
}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class WaldTest:
    """A joint test that effects are zero; `reason` says why there is no number, and is empty if there is one."""

    statistic: float
    df: int
    p_value: float
    reason: str = ""
    df_denominator: float = float("inf")


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
    _require_influence(effects)
    _require_kind(clusters, kind)
    codes = _cluster_codes(effects.units, clusters)
    if kind == "influence":
        found = _by_influence(effects, codes)
    elif kind == "conventional":
        found = _conventional(effects)
    elif kind in _LEVERAGE_POWER:
        found = _heteroskedastic(effects, kind)
    else:
        found = _cluster_robust(effects, codes or {"unit": np.arange(effects.n_units)}, kind)
    return _without_rounding(found, effects)


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
    _require_level(level)
    found = covariance if covariance is not None else _known_covariance(effects, clusters, kind)
    reasons = _reasons(effects, clusters, found, treated_by_unit, few_clusters)
    silent = reasons != ""
    std_error = np.where(effects.support(), found.std_error, np.nan)
    critical = _t_quantile(0.5 + level / 2, found.df)
    band = np.full(len(effects), np.nan) if band_seed is None else _sup_t(found, critical, level, band_seed, ~silent)
    numbers = {
        "estimate": effects.estimate,
        "std_error": std_error,
        **_interval("ci", effects.estimate, np.where(silent, np.nan, critical) * std_error),
        **_interval("band", effects.estimate, np.where(silent, np.nan, band) * std_error),
        "p_value": np.where(silent, np.nan, _p_values(effects.estimate, std_error, found.df)),
        "df": found.df,
        "reason": reasons,
    }
    return effects.labels.assign(**numbers)


_covariance = covariance  # `summarize` has an argument of this name


def wald(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    contrasts: Array | None = None,
    *,
    kind: str = "influence",
    treated_by_unit: pd.Series | None = None,
) -> WaldTest:
    """Joint test of C θ = 0: W = (Cθ)′ (C V C′)⁻¹ Cθ, chi-squared with q degrees of freedom, or F(q, df) with W/q.

    Args:
        effects: K effects; references that are zero by construction are left out when `contrasts` is None.
        clusters: see `covariance`.
        contrasts: C, (q, K); None for all effects equal to zero.
        kind: see `covariance`; kinds with finite degrees of freedom use F with the smallest of them.
        treated_by_unit: see `summarize`; the rule for few clusters holds here too.

    Returns:
        A test, or a reason instead of a number where C V C′ has no inverse or there are too few clusters.
    """
    tested = _tested(effects, contrasts)
    q = len(tested)
    if q == 0:
        return _no_test(0, "there is nothing to test")
    found = covariance(tested, clusters, kind=kind)
    refusals = [reason for reason in _reasons(tested, clusters, found, treated_by_unit, "refuse") if reason]
    if refusals:
        return _no_test(q, refusals[0])
    return _wald_statistic(tested.estimate, found)


def cluster_table(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """One row of clusters for each unit, indexed by unit, from rows that may repeat units (column `unit`).

    Raises:
        DataError: a unit that lies in several clusters of one variable.
    """
    table = frame[["unit", *columns]].drop_duplicates()
    moved = table.loc[table["unit"].duplicated(), "unit"].unique()
    if len(moved):
        raise DataError(
            code="E-IMP-020",
            what="a unit lies in several clusters",
            where=", ".join(columns),
            found=f"{len(moved)} units, such as {moved[:3].tolist()}",
            expected="one cluster for each unit, the same in all periods",
            fix="cluster by something that does not change, such as the first value",
        )
    return table.set_index("unit")


def _known_covariance(effects: Effects, clusters: pd.DataFrame | None, kind: str) -> Covariance:
    """The covariance, or missing values for effects whose uncertainty does not come from influence functions."""
    if effects.kind == "influence":
        return _covariance(effects, clusters, kind=kind)
    k = len(effects)
    return Covariance(matrix=np.full((k, k), np.nan), df=np.full(k, np.nan), kind=effects.kind)


def _require_influence(effects: Effects) -> None:
    if effects.kind != "influence":
        raise InternalError(
            code="E-IMP-021",
            what="a covariance was asked of effects without influence functions",
            found=effects.kind,
            expected="influence",
        )


def _require_kind(clusters: pd.DataFrame | None, kind: str) -> None:
    if kind not in DESCRIPTIONS:
        raise ParametersError(
            code="E-IMP-022",
            what="no such standard error",
            found=kind,
            expected=", ".join(DESCRIPTIONS),
        )
    if kind in _UNCLUSTERED and clusters is not None and len(clusters.columns):
        raise ParametersError(
            code="E-IMP-024",
            what="this standard error is for independent units, and clusters are given",
            found=f"{kind} with clusters {', '.join(map(str, clusters.columns))}",
            expected="influence, cr0, cr1, cr2 or cr3",
        )


def _cluster_codes(units: pd.Index, clusters: pd.DataFrame | None) -> dict[str, Array]:
    """Codes 0..G-1 of the units' clusters, for each clustering variable; aligned by label, never by position."""
    if clusters is None or not len(clusters.columns):
        return {}
    _require_units_once(clusters)
    rows = clusters.index.get_indexer(units)
    _require_all_units(units, rows)
    return {str(name): _codes(str(name), clusters[name].iloc[rows]) for name in clusters.columns}


def _codes(name: str, values: pd.Series) -> Array:
    codes, labels = pd.factorize(values)
    if (codes < 0).any():
        raise DataError(
            code="E-IMP-027",
            what="a unit has no cluster",
            where=name,
            found=f"{int((codes < 0).sum())} units without a value",
            fix="drop these units, with a reason, or give them a cluster",
        )
    if len(labels) < 2:
        raise DataError(
            code="E-IMP-028",
            what="a single cluster says nothing about the variation between clusters",
            where=name,
            found=f"{len(labels)} cluster",
            expected="at least two, and at least six on each side for an interval",
        )
    return np.asarray(codes)


def _require_units_once(clusters: pd.DataFrame) -> None:
    if not clusters.index.is_unique:
        raise InternalError(
            code="E-IMP-025",
            what="a unit stands in the table of clusters more than once",
            found=f"{clusters.index[clusters.index.duplicated()].unique()[:3].tolist()}",
            expected="one row for each unit",
        )


def _require_all_units(units: pd.Index, rows: Array) -> None:
    if (rows < 0).any():
        raise DataError(
            code="E-IMP-026",
            what="the table of clusters does not have all units",
            found=f"{int((rows < 0).sum())} units are missing, such as {units[rows < 0][:3].tolist()}",
            expected=f"all {len(units)} units",
        )


def _without_rounding(found: Covariance, effects: Effects) -> Covariance:
    """Variances that are rounding beside those of independent units become zero: influences cancel within clusters."""
    plain = np.diag(effects.cross_product()) / max(effects.n_units, 1) ** 2
    kept = np.diag(found.matrix) > ZERO_VARIANCE * plain
    return replace(found, matrix=np.where(np.outer(kept, kept), found.matrix, 0.0))


def _by_influence(effects: Effects, codes: Mapping[str, Array]) -> Covariance:
    n = effects.n_units
    pieces = {chosen: _square(effects.cluster_sums(code) / n) for chosen, code in _subsets(codes).items()}
    matrix, repaired = _combined(pieces) if pieces else (effects.cross_product() / n**2, False)
    return Covariance(
        matrix=matrix,
        df=np.full(len(effects), np.inf),
        kind="influence",
        n_clusters=_counts(codes),
        repaired=repaired,
    )


def _square(sums: Array) -> Array:
    return np.asarray(sums.T @ sums)


def _counts(codes: Mapping[str, Array]) -> dict[str, int]:
    return {name: int(code.max()) + 1 for name, code in codes.items()}


def _subsets(codes: Mapping[str, Array]) -> dict[tuple[str, ...], Array]:
    """Codes of every non-empty intersection of the clusterings, by the names that are crossed."""
    chosen = [names for size in range(1, len(codes) + 1) for names in combinations(codes, size)]
    return {names: _crossed([codes[name] for name in names]) for names in chosen}


def _crossed(codes: Sequence[Array]) -> Array:
    if len(codes) == 1:
        return codes[0]
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].ravel()


def _combined(pieces: Mapping[tuple[str, ...], Array]) -> tuple[Array, bool]:
    """Inclusion and exclusion over the clusterings; negative eigenvalues, which it can leave, are set to zero.

    Source: Cameron, Gelbach and Miller (2011), equations 2.13 and 2.17.
    """
    total = np.asarray(sum((-1) ** (len(names) + 1) * piece for names, piece in pieces.items()))
    return _positive(total) if len(pieces) > 1 else (total, False)


def _positive(matrix: Array) -> tuple[Array, bool]:
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= -ZERO_EIGENVALUE * max(values[-1], 0.0):
        return matrix, False
    return (vectors * np.maximum(values, 0.0)) @ vectors.T, True


def _conventional(effects: Effects) -> Covariance:
    fit, loading = _fit(effects, "conventional")
    variance = float(fit.residuals @ fit.residuals) / fit.residual_df
    return Covariance(
        matrix=variance * loading @ fit.bread @ loading.T,
        df=np.full(len(effects), float(fit.residual_df)),
        kind="conventional",
    )


def _heteroskedastic(effects: Effects, kind: str) -> Covariance:
    fit, loading = _fit(effects, kind)
    rows = fit.scores(_LEVERAGE_POWER[kind]) @ (fit.bread @ loading.T)
    sums = np.zeros((effects.n_units, len(effects)))
    np.add.at(sums, effects.units.get_indexer(_row_units(fit)), rows)
    factor = fit.n_rows / fit.residual_df if kind == "hc1" else 1.0
    return Covariance(matrix=factor * _square(sums), df=np.full(len(effects), float(fit.residual_df)), kind=kind)


def _fit(effects: Effects, kind: str) -> tuple[Regression, Array]:
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


def _row_units(fit: Regression) -> pd.Index:
    return fit.units if fit.units is not None else pd.RangeIndex(len(fit.residuals))


def _cluster_robust(effects: Effects, codes: Mapping[str, Array], kind: str) -> Covariance:
    fit, loading = _fit(effects, kind)
    rows = effects.units.get_indexer(_row_units(fit))
    subsets = _subsets({name: code[rows] for name, code in codes.items()})
    pieces = {names: _one_way(fit, loading, code, kind) for names, code in subsets.items()}
    matrix, repaired = _combined({names: piece[0] for names, piece in pieces.items()})
    counts = _counts(codes)
    factor = _cr1_factor(fit, subsets, counts) if kind == "cr1" else 1.0
    return Covariance(
        matrix=factor * matrix,
        df=np.min([pieces[(name,)][1] for name in codes], axis=0),
        kind=kind,
        n_clusters=counts,
        repaired=repaired,
    )


def _cr1_factor(fit: Regression, subsets: Mapping[tuple[str, ...], Array], counts: Mapping[str, int]) -> float:
    """One factor for all terms, with the smallest number of clusters and the clustering that has it."""
    name = min(counts, key=lambda key: counts[key])
    k = fit.n_columns + fit.absorbed_df(subsets[(name,)])
    return counts[name] / (counts[name] - 1) * (fit.n_rows - 1) / (fit.n_rows - k)


def _one_way(fit: Regression, loading: Array, codes: Array, kind: str) -> tuple[Array, Array]:
    """Covariance (K, K) and degrees of freedom (K,) for one clustering of the rows."""
    if kind in ("cr2", "cr3"):
        return _adjusted(fit, loading, codes, power=-0.5 if kind == "cr2" else -1.0)
    codes = np.unique(codes, return_inverse=True)[1]
    sums = np.zeros((int(codes.max()) + 1, len(loading)))
    np.add.at(sums, codes, fit.scores() @ (fit.bread @ loading.T))
    return _square(sums), np.full(len(loading), len(sums) - 1.0)


def _adjusted(fit: Regression, loading: Array, codes: Array, power: float) -> tuple[Array, Array]:
    """CR2 (power -1/2) and CR3 (power -1) with Satterthwaite degrees of freedom.

    The working model is equal variances. For cluster i with rows Xᵢ and weights Wᵢ, M = (X′WX)⁻¹ and S = X′W²X:
        CR2: Aᵢ = Bᵢ^(-1/2), Bᵢ = I - Xᵢ M Xᵢ′Wᵢ - Wᵢ Xᵢ M Xᵢ′ + Xᵢ M S M Xᵢ′;   CR3: Aᵢ = (I - Xᵢ M Xᵢ′ Wᵢ)⁻¹;
        V = Σᵢ gᵢ gᵢ′ with gᵢ = L M Xᵢ′ Wᵢ Aᵢ eᵢ.
    Both differ from the identity only in the span of Xᵢ and WᵢXᵢ, so that no matrix of a cluster's size is ever formed.
    For the degrees of freedom of a row c of L, with uᵢ = Aᵢ′ Wᵢ Xᵢ M c, the quadratic form has the matrix
        Pᵢⱼ = 1{i=j} uᵢ′uᵢ - aᵢ′M bⱼ - bᵢ′M aⱼ + aᵢ′M S M aⱼ,  aᵢ = Xᵢ′uᵢ, bᵢ = Xᵢ′Wᵢuᵢ,  and df = tr(P)² / tr(P²).

    Source: Bell and McCaffrey (2002); Pustejovsky and Tipton (2018), equations 7, 9 and 11.
    """
    order = np.argsort(codes, kind="stable")
    order = order[fit.weights[order] > 0]
    blocks = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    root = np.sqrt(fit.weights)
    spread = fit.design.T @ (fit.design * fit.weights[:, None])
    inner = fit.bread @ spread @ fit.bread
    pieces = [_cluster_piece(fit, loading, root, inner, rows, power) for rows in blocks]
    g, uu, a, b = (np.stack(piece) for piece in zip(*pieces, strict=True))
    df = [_satterthwaite(uu[:, k], a[:, :, k], b[:, :, k], fit.bread, inner) for k in range(len(loading))]
    return _square(g), np.array(df)


def _cluster_piece(
    fit: Regression, loading: Array, root: Array, inner: Array, rows: Array, power: float
) -> tuple[Array, Array, Array, Array]:
    """gᵢ (K,), uᵢ′uᵢ (K,), aᵢ (p, K) and bᵢ (p, K) of one cluster."""
    weight = fit.weights[rows][:, None]
    x = fit.design[rows] / root[rows][:, None]
    residual = (fit.residuals[rows] / root[rows])[:, None]
    carried = weight * (x @ (fit.bread @ loading.T))
    if power == -1.0:
        u = carried + weight * (x @ _without(fit.bread, x, weight, x.T @ carried))
    else:
        u = _root_inverse(x, weight, fit.bread, inner, carried)
    return (u.T @ residual)[:, 0], np.einsum("ij,ij->j", u, u), x.T @ u, x.T @ (weight * u)


def _without(bread: Array, x: Array, weight: Array, vectors: Array) -> Array:
    """(X′WX - Xᵢ′WᵢXᵢ)⁻¹ @ vectors, since (I - HᵢᵢT)⁻¹ = I + WᵢXᵢ (X′WX - Xᵢ′WᵢXᵢ)⁻¹ Xᵢ′."""
    share = np.eye(len(bread)) - (x.T @ (weight * x)) @ bread
    if np.linalg.svd(share, compute_uv=False)[-1] <= RANK_TOLERANCE:
        raise DataError(
            code="E-IMP-030",
            what="without one of the clusters a coefficient cannot be estimated, so that cr3 does not exist",
            found=f"a cluster of {len(x)} rows that alone identifies a column",
            fix="set inference: {std_error: cr2}, or leave out the column that only this cluster varies",
        )
    return bread @ np.linalg.solve(share, vectors)


def _root_inverse(x: Array, weight: Array, bread: Array, inner: Array, vectors: Array) -> Array:
    """Bᵢ^(-1/2) @ vectors within the span of Xᵢ and WᵢXᵢ; the generalised inverse where Bᵢ has none."""
    basis, _ = linalg.qr(np.hstack([x, weight * x]) if np.ptp(weight) > 0 else x, mode="economic")
    p, w = basis.T @ x, basis.T @ (weight * x)
    cross = p @ bread @ w.T
    values, turn = np.linalg.eigh(p @ inner @ p.T - cross - cross.T)
    room = 1 + values
    shrink = np.where(room > RANK_TOLERANCE, np.maximum(room, RANK_TOLERANCE) ** -0.5, 0.0) - 1
    turned = basis @ turn
    out: Array = vectors + turned @ (shrink[:, None] * (turned.T @ vectors))
    return out


def _satterthwaite(uu: Array, a: Array, b: Array, bread: Array, inner: Array) -> float:
    """tr(P)² / tr(P²) from the diagonal and the low-rank part of P; a and b are (G, p)."""
    low = np.hstack([a, b])
    middle = np.block([[inner, -bread], [-bread, np.zeros_like(bread)]])
    product = middle @ (low.T @ low)
    diagonal = np.einsum("ij,ij->i", low @ middle, low)
    trace = uu.sum() + diagonal.sum()
    squares = (uu**2).sum() + 2 * (uu * diagonal).sum() + np.trace(product @ product)
    return float(trace**2 / squares) if squares > 0 else float("nan")


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ParametersError(
            code="E-IMP-031", what="the level of an interval is not a share", found=f"{level}", expected="such as 0.95"
        )


def _reasons(
    effects: Effects,
    clusters: pd.DataFrame | None,
    found: Covariance,
    treated_by_unit: pd.Series | None,
    few_clusters: str,
) -> Array:
    """Why a row has no interval, "" where it has one."""
    reasons = np.full(len(effects), "", dtype=object)
    arms = _arms(effects, treated_by_unit)
    if few_clusters == "refuse" and arms is not None:
        codes = list(_cluster_codes(effects.units, clusters).values()) or [np.arange(effects.n_units)]
        for code in codes:
            _mark_few(reasons, arms, code, "clusters" if found.n_clusters else "units")
    reasons[np.isnan(found.std_error)] = "the method gives no standard error"
    reasons[found.std_error == 0] = "the standard error is zero"
    reasons[~effects.support()] = "zero by construction (reference)"
    return reasons


def _arms(effects: Effects, treated_by_unit: pd.Series | None) -> Arms | None:
    if treated_by_unit is None:
        return effects.arms
    rows = treated_by_unit.index.get_indexer(effects.units)
    if (rows < 0).any():
        raise InternalError(
            code="E-IMP-029",
            what="treatment is not known for all units of an effect",
            found=f"{int((rows < 0).sum())} units are missing, such as {effects.units[rows < 0][:3].tolist()}",
        )
    return Arms.of(treated_by_unit.to_numpy(dtype=bool)[rows], len(effects))


def _mark_few(reasons: Array, arms: Arms, codes: Array, word: str) -> None:
    for side, table in (("comparison", arms.comparison), ("treated", arms.treated)):
        for k, n in enumerate(_clusters_of(arms.codes, table, codes)):
            if n < MINIMUM_CLUSTERS:
                reasons[k] = f"{side} {word}: {n}, fewer than {MINIMUM_CLUSTERS}; the standard error is not reliable"


def _clusters_of(groups: Array, table: Array, codes: Array) -> Array:
    """(K,) number of clusters that hold a unit of a group on this side; groups and clusters are met once each."""
    pairs = np.unique(np.column_stack([codes, groups]), axis=0)
    pairs = pairs[pairs[:, 1] >= 0]
    present = np.zeros((int(codes.max()) + 1, table.shape[0]))
    present[pairs[:, 0], pairs[:, 1]] = 1
    counts: Array = (present @ table > 0).sum(axis=0)
    return counts


def _t_quantile(probability: float, df: Array) -> Array:
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(np.where(np.isfinite(df), special.stdtrit(finite, probability), special.ndtri(probability)))


def _p_values(estimate: Array, std_error: Array, df: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -np.abs(estimate / std_error)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(2 * np.where(np.isfinite(df), special.stdtr(finite, t), special.ndtr(t)))


def _sup_t(found: Covariance, pointwise: Array, level: float, seed: int, used: Array) -> Array:
    """(K,) critical values of the simultaneous band: a quantile of max |t| from the plug-in correlation.

    With finite degrees of freedom the draws are multivariate t with the smallest of them. A band is never narrower than
    the pointwise interval, which the noise of the draws alone could make it.
    """
    rows = np.flatnonzero(used & (found.std_error > 0))
    if not len(rows):
        return pointwise
    se = found.std_error[rows]
    values, vectors = np.linalg.eigh(found.matrix[np.ix_(rows, rows)] / np.outer(se, se))
    keep = values > ZERO_EIGENVALUE * values[-1]
    rng = np.random.Generator(np.random.Philox(seed))
    draws = rng.standard_normal((BAND_DRAWS, int(keep.sum()))) @ (vectors[:, keep] * np.sqrt(values[keep])).T
    df = float(np.min(found.df[rows]))
    scale = np.sqrt(rng.chisquare(df, BAND_DRAWS) / df) if np.isfinite(df) else np.ones(BAND_DRAWS)
    return np.asarray(np.maximum(np.quantile(np.abs(draws).max(axis=1) / scale, level), pointwise))


def _interval(name: str, center: Array, half: Array) -> dict[str, Array]:
    return {f"{name}_low": center - half, f"{name}_high": center + half}


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


def abadie_imbens(differences: Array, weights: Array, reuse: Array, variances: Array) -> Covariance:
    """Variance of the average effect on one arm by nearest-neighbour matching, covariates taken as random.

    V = [Σᵢ wᵢ² (dᵢ - τ)² + Σⱼ σⱼ² (Kⱼ² - K²ⱼ)] / (Σᵢ wᵢ)², τ = Σᵢ wᵢ dᵢ / Σᵢ wᵢ: the spread of the differences of the
    matched units, and what partners that serve several times add to it. Matching on an estimated score as if it were
    known is conservative for the effect on everybody; for the effect on one arm the error can go either way.

    Args:
        differences: (m,) dᵢ, outcome of a matched unit less the mean outcome of its partners.
        weights: (m,) wᵢ.
        reuse: (n,) Kⱼ² - K²ⱼ, with Kⱼ = Σᵢ wᵢⱼ the weight of partner j over all sets and K²ⱼ = Σᵢ wᵢⱼ².
        variances: (n,) σⱼ², variance of the outcome of unit j given its covariates.

    Source: Abadie and Imbens (2006), theorem 7; (2016) for estimated scores.
    """
    total = weights.sum()
    effect = weights @ differences / total
    variance = (np.sum((weights * (differences - effect)) ** 2) + variances @ reuse) / total**2
    return Covariance(matrix=np.array([[variance]]), df=np.array([np.inf]), kind="abadie_imbens")
