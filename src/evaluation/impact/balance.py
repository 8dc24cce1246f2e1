"""How alike two groups are, covariate by covariate, before and after an adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact.covariates import Covariates, Floats

BALANCE_COLUMNS = (
    "covariate",
    "kind",
    "missing",
    "counted",
    "mean_treated",
    "mean_comparison",
    "difference",
    "smd_before",
    "variance_ratio_before",
    "ks_before",
)
AFTER_COLUMNS = (
    "mean_treated_after",
    "mean_comparison_after",
    "difference_after",
    "smd_after",
    "variance_ratio_after",
    "ks_after",
)
_COX = 1.65
# A 0/1 column that fewer units have (or lack) is listed, but not counted among the differences: log odds of a handful
# of units are noise, and a rare level would decide the balance of any large sample.
RARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Values of one covariate in two arms, complete, with weights.

    Attributes:
        treated, comparison: values.
        weight_treated, weight_comparison: weights of the same lengths, some positive.
    """

    treated: Floats
    comparison: Floats
    weight_treated: Floats
    weight_comparison: Floats


def balance_table(
    covariates: Covariates, treated: NDArray[np.bool_], before: Floats, after: Floats | None = None
) -> pd.DataFrame:
    """Standardised differences, variance ratios and Kolmogorov-Smirnov distances.

    smd: for a 0/1 covariate the Cox index, difference of log odds over 1.65; for others Hedges' g, difference of means
    over the pooled standard deviation times 1 - 3/(4N - 9) (What Works Clearinghouse Handbook 4.0, pages 13-14). The
    standard deviation and N are those before the adjustment, so that before and after are on one scale. `difference` is
    the raw difference of means. variance_ratio: of weighted variances, treated over comparison; none for 0/1 columns.
    ks: largest distance of the weighted distribution functions. The last two follow R cobalt. counted: False for 0/1
    columns that fewer than `RARE` of the units have or lack.

    Args:
        covariates: (n, k); missing values are left out covariate by covariate and counted.
        treated: (n,) arm.
        before: (n,) sampling weights.
        after: (n,) weights after the adjustment, 0 for rows left out; None where nothing was adjusted.

    Returns:
        One row a covariate: BALANCE_COLUMNS, and AFTER_COLUMNS where `after` is given.
    """
    rows = [
        _row(label, column, treated, before, after)
        for label, column in zip(covariates.labels, covariates.matrix.T, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(BALANCE_COLUMNS + (AFTER_COLUMNS if after is not None else ())))


def _row(
    label: str, column: Floats, treated: NDArray[np.bool_], before: Floats, after: Floats | None
) -> dict[str, object]:
    known = np.isfinite(column)
    binary = bool(known.any() and np.isin(column[known], (0.0, 1.0)).all())
    first = _groups(column, treated, known, before)
    row: dict[str, object] = {
        "covariate": label,
        "kind": "binary" if binary else "continuous",
        "missing": int((~known).sum()),
        "counted": not binary or bool(RARE <= column[known].mean() <= 1 - RARE),
        "mean_treated": _mean(first.treated, first.weight_treated),
        "mean_comparison": _mean(first.comparison, first.weight_comparison),
        "difference": _difference(first),
        **_distances(first, first, binary=binary, suffix="before"),
    }
    if after is None:
        return row
    second = _groups(column, treated, known, after)
    return {
        **row,
        "mean_treated_after": _mean(second.treated, second.weight_treated),
        "mean_comparison_after": _mean(second.comparison, second.weight_comparison),
        "difference_after": _difference(second),
        **_distances(second, first, binary=binary, suffix="after"),
    }


def _groups(column: Floats, treated: NDArray[np.bool_], known: NDArray[np.bool_], weights: Floats) -> Groups:
    one, zero = known & treated & (weights > 0), known & ~treated & (weights > 0)
    return Groups(
        treated=column[one], comparison=column[zero], weight_treated=weights[one], weight_comparison=weights[zero]
    )


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values / weights.sum()) if len(values) else np.nan


def _difference(groups: Groups) -> float:
    return _mean(groups.treated, groups.weight_treated) - _mean(groups.comparison, groups.weight_comparison)


def _distances(groups: Groups, unadjusted: Groups, *, binary: bool, suffix: str) -> dict[str, float]:
    enough = len(groups.treated) > 0 and len(groups.comparison) > 0
    smd = (_cox_index(groups) if binary else _hedges(groups, unadjusted)) if enough else np.nan
    return {
        f"smd_{suffix}": smd,
        f"variance_ratio_{suffix}": np.nan if binary or not enough else _variance_ratio(groups),
        f"ks_{suffix}": _kolmogorov_smirnov(groups) if enough else np.nan,
    }


def _cox_index(groups: Groups) -> float:
    """(logit p₁ - logit p₀) / 1.65; a share of 0 or 1 gets half a unit on each side, so that the index stays finite."""
    p1 = _inner_share(groups.treated, groups.weight_treated)
    p0 = _inner_share(groups.comparison, groups.weight_comparison)
    if _difference(groups) == 0:
        return 0.0
    return float((np.log(p1 / (1 - p1)) - np.log(p0 / (1 - p0))) / _COX)


def _inner_share(values: Floats, weights: Floats) -> float:
    share, n = _mean(values, weights), len(values)
    return share if 0 < share < 1 else (share * n + 0.5) / (n + 1)


def _hedges(groups: Groups, unadjusted: Groups) -> float:
    n1, n0 = len(unadjusted.treated), len(unadjusted.comparison)
    gap = _difference(groups)
    if gap == 0:
        return 0.0
    squares = (n1 - 1) * _variance(unadjusted.treated, unadjusted.weight_treated)
    squares += (n0 - 1) * _variance(unadjusted.comparison, unadjusted.weight_comparison)
    if n1 + n0 <= 3 or squares <= 0:
        return float(np.sign(gap) * np.inf)
    return float((1 - 3 / (4 * (n1 + n0) - 9)) * gap / np.sqrt(squares / (n1 + n0 - 2)))


def _variance(values: Floats, weights: Floats) -> float:
    """Weighted variance without bias: sum w (x - mean)² / (1 - sum w²) with weights that sum to one."""
    share = weights / weights.sum()
    room = 1 - share @ share
    return float(share @ (values - share @ values) ** 2 / room) if room > 1e-12 else 0.0


def _variance_ratio(groups: Groups) -> float:
    below = _variance(groups.comparison, groups.weight_comparison)
    return _variance(groups.treated, groups.weight_treated) / below if below > 0 else np.nan


def _kolmogorov_smirnov(groups: Groups) -> float:
    """Largest |F₁ - F₀|, looked at after the last of equal values."""
    values = np.r_[groups.treated, groups.comparison]
    signed = np.r_[
        groups.weight_treated / groups.weight_treated.sum(), -groups.weight_comparison / groups.weight_comparison.sum()
    ]
    order = np.argsort(values, kind="stable")
    last = np.r_[np.diff(values[order]) > 0, True]
    return float(np.abs(np.cumsum(signed[order])[last]).max())


def effective_size(weights: Floats) -> float:
    """Kish's effective sample size, (sum w)² / sum w²; 0 without weights."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
