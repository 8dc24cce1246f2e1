"""Effects of several studies, whose sampling variances are known, as one regression with weights that are known too.

Rows are brought to variance one: with Σ the whole covariance (sampling, and between studies) and Σ = LL′, L⁻¹y is
regressed on L⁻¹X. The mean of independent effects is then the textbook weighted mean, and the standard errors of any
other regression of the project hold as they are: `conventional` is Hartung and Knapp's, `cr2` is that of robust
variance estimation in meta-analysis. Only `known` is new: (X′Σ⁻¹X)⁻¹, variances taken as known, normal interval.

Source: Hartung and Knapp (2001), *Statistics in Medicine* 20(12); Hedges, Tipton and Johnson (2010), *Research
    Synthesis Methods* 1(1); Tipton (2015), *Psychological Methods* 20(3); Pustejovsky and Tipton (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import linalg

from evaluation.errors import ParametersError
from evaluation.impact.inference.bands import p_values, require_level, t_quantile
from evaluation.impact.inference.covariances import Covariance, covariance
from evaluation.impact.inference.heterogeneity import (
    Heterogeneity,
    Method,
    between_variance,
    heterogeneity,
    require_variances,
    variance_components,
)
from evaluation.impact.regression import Regression, weighted_least_squares

Array = np.ndarray
Kind = Literal["known", "hartung_knapp", "cr2"]

LEAST_DF = 4  # Tipton (2015): with fewer, the t interval of robust errors covers too little
STUDY_KINDS = {
    "known": "variances taken as known, normal interval",
    "hartung_knapp": "Hartung-Knapp, factor not floored at 1, t interval with effects less coefficients",
    "cr2": "cluster-robust CR2 (Bell-McCaffrey) with the weights' variances as working model, t interval with "
    "Satterthwaite degrees of freedom",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Studies:
    """A fitted regression of effects on what studies are like; a constant alone gives the mean.

    Attributes:
        fit: rows brought to variance one.
        row_weights: (p, k) what each effect adds to each coefficient: coefficients = row_weights @ estimates.
        components: variances between studies (or between the groups of each level).
        total: (k,) or (k, k) variance of each effect around the regression.
        method: how the components were estimated.
    """

    fit: Regression
    row_weights: Array
    components: Array
    total: Array
    method: str

    @property
    def between(self) -> float:
        """Variance of a true effect around the regression, all levels together."""
        return float(self.components.sum())

    @property
    def hartung_knapp_factor(self) -> float:
        """q = e′e / (k − p) of the rows brought to variance one; missing with no more effects than coefficients."""
        df = self.fit.residual_df
        return float(self.fit.residuals @ self.fit.residuals) / df if df > 0 else float("nan")


def fit_studies(
    estimate: Array,
    variance: Array,
    *,
    design: Array | None = None,
    names: Sequence[str] = ("mean",),
    method: Method = "REML",
    groups: Sequence[Array] | None = None,
    between: float | None = None,
) -> Studies:
    """The weighted mean, or regression, of effects of several studies.

    Args:
        estimate: (k,) effects in one unit.
        variance: (k,) sampling variances, or their covariance (k, k) where effects share people.
        design: (k, p) regressors with the constant; the constant alone if None.
        names: p words for the coefficients.
        method: of the variance between studies, see `between_variance`; with a covariance or with groups it is
            REML or common.
        groups: codes (k,) of nested levels, such as study and effect; None for one variance for each effect.
        between: a variance between studies that is given, not estimated.

    Raises:
        DataError: a variance that is not above 0; regressors that say the same thing.
        ParametersError: DL or PM for effects that are not independent.
    """
    y, v = np.asarray(estimate, float), require_variances(variance)
    x = np.ones((len(y), 1)) if design is None else np.asarray(design, float)
    levels = [np.arange(len(y))] if groups is None else list(groups)
    components = _components(y, v, x, levels, method, between, nested=groups is not None)
    shared = [component * np.equal.outer(codes, codes) for component, codes in zip(components, levels, strict=True)]
    total = v + components[0] if v.ndim == 1 and groups is None else _square(v) + np.sum(shared, axis=0)
    lower = np.diag(np.sqrt(total)) if total.ndim == 1 else linalg.cholesky(total, lower=True)
    whitened = linalg.solve_triangular(lower, np.column_stack([y, x]), lower=True)
    fit = weighted_least_squares(whitened[:, 0], whitened[:, 1:], names)
    row_weights = linalg.solve_triangular(lower, fit.design @ fit.bread, lower=True, trans="T").T
    return Studies(fit=fit, row_weights=row_weights, components=components, total=total, method=method)


def study_table(
    studies: Studies,
    *,
    kind: Kind = "hartung_knapp",
    clusters: Array | None = None,
    contrast: Array | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each coefficient (or contrast): term, estimate, std_error, ci_low, ci_high, p_value, df, kind, reason.

    Args:
        studies: see `fit_studies`.
        kind: a key of `STUDY_KINDS`. hartung_knapp needs more effects, and cr2 more clusters, than coefficients:
            otherwise the row has the standard error `known`, and `reason` says so; also where cr2 has fewer than four
            degrees of freedom.
        clusters: (k,) codes of the studies, for cr2; each effect its own if None.
        contrast: (K, p); the coefficients if None.
        level: of intervals.
    """
    return pd.DataFrame(study_numbers(studies, kind=kind, clusters=clusters, contrast=contrast, level=level))


def study_numbers(
    studies: Studies,
    *,
    kind: Kind = "hartung_knapp",
    clusters: Array | None = None,
    contrast: Array | None = None,
    level: float = 0.95,
) -> dict[str, Any]:
    """The columns of `study_table`, for those who make hundreds of them."""
    require_level(level)
    loading = np.eye(studies.fit.n_columns) if contrast is None else np.atleast_2d(np.asarray(contrast, float))
    found, reason = _covariance(studies, loading, kind, clusters)
    estimate = loading @ studies.fit.coefficients
    half = t_quantile(0.5 + level / 2, found.df) * found.std_error
    return {
        "term": list(studies.fit.names) if contrast is None else [f"contrast {j}" for j in range(len(loading))],
        "estimate": estimate,
        "std_error": found.std_error,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "p_value": p_values(estimate, found.std_error, found.df),
        "df": found.df,
        "kind": found.kind,
        "reason": reason,
    }


def prediction_interval(row: pd.Series, between: float, *, df: float, level: float = 0.95) -> tuple[float, float]:
    """Where the true effect of a new study lies: estimate ± t(df) √(τ² + SE²).

    df is effects less two (Higgins, Thompson and Spiegelhalter); R metafor takes effects less one with Hartung-Knapp
    and the normal without. There is none (missing values) with fewer than one degree of freedom.

    Source: Higgins, Thompson and Spiegelhalter (2009), *Journal of the Royal Statistical Society A* 172(1).
    """
    if df < 1:
        return float("nan"), float("nan")
    half = float(t_quantile(0.5 + level / 2, np.array([df]))[0]) * float(np.hypot(row["std_error"], np.sqrt(between)))
    return float(row["estimate"]) - half, float(row["estimate"]) + half


def study_heterogeneity(
    estimate: Array, variance: Array, design: Array | None = None, *, method: Method = "REML", level: float = 0.95
) -> Heterogeneity:
    """`heterogeneity` around the mean, or around a regression."""
    x = np.ones((len(estimate), 1)) if design is None else design
    return heterogeneity(estimate, variance, x, method=method, level=level)


def _components(
    y: Array, v: Array, x: Array, levels: Sequence[Array], method: Method, between: float | None, *, nested: bool
) -> Array:
    if between is not None:
        return np.array([between] + [0.0] * (len(levels) - 1))
    if v.ndim == 1 and not nested:
        return np.array([between_variance(y, v, x, method)])
    if method == "common":
        return np.zeros(len(levels))
    if method != "REML":
        raise ParametersError(
            code="E-EVI-042",
            what="this estimator of the variance between studies is for independent effects",
            found=f"{method} with a covariance or nested levels",
            expected="REML or common",
        )
    return variance_components(y, v, x, levels)[0]


def _square(variance: Array) -> Array:
    return np.diag(variance) if variance.ndim == 1 else variance


def _covariance(studies: Studies, loading: Array, kind: Kind, clusters: Array | None) -> tuple[Covariance, str]:
    """The covariance under a convention, or the known one with the reason why it stands in."""
    known = Covariance(
        matrix=loading @ studies.fit.bread @ loading.T, df=np.full(len(loading), np.inf), kind=STUDY_KINDS["known"]
    )
    codes = np.arange(studies.fit.n_rows) if clusters is None else np.asarray(clusters)
    if kind == "hartung_knapp" and studies.fit.residual_df < 1:
        return known, "no more effects than coefficients: variances are taken as known"
    if kind == "cr2" and len(np.unique(codes)) <= studies.fit.n_columns:
        return known, "no more studies than coefficients: variances are taken as known"
    if kind == "known":
        return known, ""
    effects = studies.fit.to_effects(loading, pd.DataFrame({"term": [str(j) for j in range(len(loading))]}))
    table = pd.DataFrame({"study": codes}, index=effects.units)
    found = covariance(effects, table, kind="cr2") if kind == "cr2" else covariance(effects, kind="conventional")
    few = kind == "cr2" and float(np.min(found.df)) < LEAST_DF
    reason = f"fewer than {LEAST_DF} degrees of freedom: the interval is not reliable" if few else ""
    return Covariance(matrix=found.matrix, df=found.df, kind=STUDY_KINDS[kind], n_clusters=found.n_clusters), reason
