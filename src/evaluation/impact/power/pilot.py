"""A plan for a study like one that exists: what varies, what is shared and who was lost, measured in its sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.balance import effective_size
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.cross_section import outcomes_of
from evaluation.impact.finding_cross_section import ESTIMATORS
from evaluation.impact.power.over_time import Changes
from evaluation.impact.power.planning import study_of
from evaluation.settings.power import PowerPlan

if TYPE_CHECKING:
    from evaluation.impact.power.study import Study
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design

_DIGITS = 4  # significant digits of what is measured: a pilot does not know more


def plan_like(sample: Sample, design: Design, changes: dict[str, Any] | None = None) -> tuple[PowerPlan, Study]:
    """A plan of the size of a sample, and its study.

    Spreads are pooled within arms (within starts and periods for difference-in-differences, whose covariance over the
    periods is measured as a whole); the intra-cluster correlation is that of an analysis of variance, of what strata
    and covariates in the design leave, times that of treatment; R² is that of these strata and covariates. Effects that
    differ between clusters, which add to the variance where both arms are in each, are not foreseen.

    Args:
        sample: of the pilot.
        design: its design.
        changes: keys of a plan that replace what was measured, such as another number of clusters.

    Raises:
        DataError: a pilot of a method that is not planned, or whose spread cannot be measured.
        pydantic.ValidationError: a change that contradicts the design.
    """
    _require_planned(design)
    fields = _of_panel(sample, design) if design.method == "did" else _of_arms(sample, design)
    fields |= {"level": round(1 - design.inference.level, 10), "outcomes": _family(design)}
    plan = PowerPlan.model_validate(fields | (changes or {}))
    study = study_of(plan)
    if isinstance(study.design, Changes):
        study = replace(study, design=replace(study.design, covariance=_over_periods(sample, design)[0]))
    return plan, study


def _require_planned(design: Design) -> None:
    planned = ("did", *ESTIMATORS)
    if design.method not in planned:
        raise DataError(
            code="E-IMP-327",
            what="A study like this evaluation cannot be planned in this version.",
            where=f"evaluation {design.id}",
            found=f"method: {design.method}",
            expected=f"method: one of {', '.join(planned)}",
            fix="write a plan of the study you have in mind (docs/power.md)",
        )


def intra_cluster_correlation(values: Floats, codes: Floats) -> float:
    """Share of the variance that lies between clusters, by an analysis of variance; 0 if it comes out negative.

        ρ = (MSB - MSW) / (MSB + (m₀ - 1) MSW),   m₀ = (N - Σ m² / N) / (J - 1)

    Source: Donner and Klar (2000), section 2; Fisher (1925).
    """
    _, code = np.unique(codes, return_inverse=True)
    size = np.bincount(code)
    n, clusters = len(values), len(size)
    mean = np.bincount(code, values) / size
    between = float((size * (mean - values.mean()) ** 2).sum() / (clusters - 1))
    within = float(((values - mean[code]) ** 2).sum() / max(n - clusters, 1))
    typical = (n - (size**2).sum() / n) / (clusters - 1)
    return max(0.0, (between - within) / (between + (typical - 1) * within)) if between + within > 0 else 0.0


# arms ----------------------------------------------------------------------------------------------------------------


def _of_arms(sample: Sample, design: Any) -> dict[str, Any]:
    column, outcome = outcomes_of(design)[0]
    frame = sample.frame
    treated, y = frame["treated"].to_numpy(dtype=bool), frame[column].to_numpy(dtype=float)
    rest = _rest(sample, y, treated)
    binary = bool(np.isin(y, (0.0, 1.0)).all())
    spread = {"share": float(y[~treated].mean())} if binary else {"sd": float(rest.sd)}
    fields: dict[str, Any] = {
        "design": "individual",
        "outcome": {"unit": outcome.unit, "better": outcome.better, **_rounded(spread)},
        "effect": outcome.smallest_effect,
        "share": _round(treated.mean()),
    }
    if design.method != "experiment":
        return fields | {"design": "comparison", "units": len(frame), "effective": _effective(sample, design)}
    fields |= {"attrition": _lost(sample), "take_up": _take_up(frame)}
    if design.assignment == "paired":
        pair = pd.factorize(frame["stratum"])[0]
        alike = _round(intra_cluster_correlation(rest.within_arms, pair))
        pairs = {"design": "paired", "correlation": alike, "share": None, "units": 2 * (len(frame) // 2)}
        return fields | pairs
    adjusted = _rest(sample, y, treated, strata=True, covariates=design.adjustment != "none")
    r2 = _round(min(max(1 - (adjusted.sd / rest.sd) ** 2, 0.0), 0.99))
    fields["covariates"] = {"r2": r2, "r2_clusters": r2 if "cluster_1" in frame else 0.0}
    if "cluster_1" in frame:
        return fields | _in_clusters(frame, adjusted, fields["attrition"])
    fields["covariates"]["number"] = adjusted.columns
    return fields | {"units": round(len(frame) / (1 - fields["attrition"]))}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rest:
    """What arms (and strata and covariates) leave unexplained.

    Attributes:
        within_arms: (n,) residuals of the outcome.
        of_treatment: (n,) residuals of treatment, on the strata and covariates.
        sd: of the outcome's, less what chance alone explains.
        columns: how many columns strata and covariates take.
    """

    within_arms: Floats
    of_treatment: Floats
    sd: float
    columns: int


def _rest(sample: Sample, y: Floats, treated: Floats, *, strata: bool = False, covariates: bool = False) -> _Rest:
    frame = sample.frame
    parts = [np.ones((len(frame), 1))]
    if strata and "stratum" in frame:
        parts.append(pd.get_dummies(frame["stratum"]).to_numpy(dtype=float))
    if covariates:
        parts.append(model_matrix(frame, sample.names).matrix)
    around = np.hstack(parts)
    around = around[:, independent_columns(around)]
    of_treatment = _residual(treated.astype(float), around)
    own = _residual(y, np.column_stack([around, treated]))
    sd = float(np.sqrt(own @ own / max(len(y) - around.shape[1] - 1, 1)))
    return _Rest(within_arms=own, of_treatment=of_treatment, sd=sd, columns=around.shape[1] - 1)


def _residual(values: Floats, columns: Floats) -> Floats:
    return np.asarray(values - columns @ np.linalg.lstsq(columns, values, rcond=None)[0])


def _in_clusters(frame: pd.DataFrame, rest: _Rest, lost: float) -> dict[str, Any]:
    """Where units of one cluster are in both arms, clusters matter as far as treatment is alike within them.

    Source: Moulton (1986), *Journal of Econometrics* 32: the design effect has the product of both correlations.
    """
    code = pd.factorize(frame["cluster_1"])[0]
    size = np.bincount(code)
    alike = intra_cluster_correlation(rest.within_arms, code) * intra_cluster_correlation(rest.of_treatment, code)
    return {
        "design": "cluster",
        "clusters": len(size),
        "cluster_size": max(1.0, _round(size.mean() / (1 - lost))),
        "cluster_size_cv": _round(size.std() / size.mean()),
        "icc": _round(alike),
    }


def _effective(sample: Sample, design: Any) -> float:
    """Kish's effective share of the comparison group after the adjustment."""
    weights = ESTIMATORS[design.method](sample, design).balance_weights
    others = ~sample.frame["treated"].to_numpy(dtype=bool)
    return 1.0 if weights is None else _round(effective_size(weights[others]) / int(others.sum()))


def _lost(sample: Sample) -> float:
    if sample.roster is None:
        return 0.0
    return _round(1 - float(sample.roster["used"].mean()))


def _take_up(frame: pd.DataFrame) -> dict[str, float]:
    if "takeup" not in frame:
        return {}
    shares = frame.groupby("treated")["takeup"].mean()
    return {"offered": _round(shares[True]), "others": _round(shares[False])}


def _family(design: Design) -> int:
    return sum(outcome.family == design.primary.family for outcome in design.outcomes)


# periods -------------------------------------------------------------------------------------------------------------


def _of_panel(sample: Sample, design: Any) -> dict[str, Any]:
    covariance, groups = _over_periods(sample, design)
    outcome = outcomes_of(design)[0][1]
    counts = groups.value_counts()
    drawn = int(counts.sum())
    starts = {int(start): _round(n / drawn) for start, n in counts.items() if np.isfinite(float(str(start)))}
    last = max(starts)
    fields: dict[str, Any] = {
        "design": "difference",
        "outcome": {"unit": outcome.unit, "better": outcome.better, "sd": _round(np.sqrt(np.diag(covariance).mean()))},
        "effect": outcome.smallest_effect,
        "starts": starts,
        "after": len(covariance) - last,
        "base": "all" if design.estimator == "imputation" else "last",
    }
    if _by(sample) == "unit":
        return fields | {"units": drawn}
    rows = sample.frame.groupby(["cluster_1", "period"], observed=True).size()
    return fields | {"clusters": drawn, "cluster_size": max(1.0, _round(rows.mean())), "icc": 1.0}


def _by(sample: Sample) -> str:
    """Column of what is drawn: the clusters, if a cluster holds several units."""
    frame = sample.frame
    return "cluster_1" if "cluster_1" in frame and frame["cluster_1"].nunique() < frame["unit"].nunique() else "unit"


def _over_periods(sample: Sample, design: Any) -> tuple[Floats, pd.Series[Any]]:
    """(T, T) covariance of what is drawn around the mean of its start and period, and the position of each start."""
    column, by = outcomes_of(design)[0][0], _by(sample)
    wide = sample.frame.groupby([by, "period"], observed=True)[column].mean().unstack().dropna()
    start = sample.frame.groupby(by, observed=True)["cohort"].first().reindex(wide.index).astype("Float64")
    periods = wide.columns.to_numpy(dtype=float)
    values = start.to_numpy(dtype=float, na_value=np.inf)
    place = np.searchsorted(periods, values).astype(float)
    place[place >= len(periods)] = np.inf
    inside = place > 0  # treated from the first period on: no change of theirs is compared
    wide, groups = wide[inside], pd.Series(place[inside])
    if len(wide) < 2 * groups.nunique() + 2 or not np.isfinite(groups).any():
        raise DataError(
            code="E-IMP-304",
            what="the covariance over periods cannot be measured in this pilot",
            found=f"{len(wide)} units or clusters with all {len(periods)} periods, {groups.nunique()} groups of starts",
            expected="units followed over time, or clusters observed in every period, several in each group",
            fix="name the clusters under cluster:, or write a plan with time: {…} instead",
        )
    rest = wide.to_numpy() - wide.groupby(groups.to_numpy()).transform("mean").to_numpy()
    return np.asarray(rest.T @ rest / (len(rest) - groups.nunique())), groups


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: _round(value) for name, value in values.items()}


def _round(value: Any) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
