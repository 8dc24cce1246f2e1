"""Least squares with unit and period effects: the two-way baseline that other estimators are held against.

With effects that differ by cohort or grow over time its coefficient is a weighted mean of effects in which weights can
be negative (Goodman-Bacon 2021; de Chaisemartin and D'Haultfœuille 2020). It is here to be compared with, not to be
believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from evaluation.errors import DataError
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.regression import Regression, weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample

Array = np.ndarray

ABSORBED = 1e-9  # share of a column's length that the fixed effects leave; below this they say all that it says


def estimate(sample: Sample, *, outcome: str = "outcome_1") -> Effects:
    """Y = α_unit + λ_period + δ 1{period ≥ cohort} + e: one effect δ, term att.

    Args:
        sample: canonical columns unit, period, cohort (<NA> = never treated), `outcome` and weight.
        outcome: canonical outcome column; rows where it is missing, or with weight zero, are left out.

    Returns:
        One effect with regression, so that `conventional`, `cr1` (fixest's convention) and `influence` errors are
        possible.

    Source: Wooldridge (2010), *Econometric Analysis of Cross Section and Panel Data*, section 10.5.
    """
    frame = sample.frame[sample.frame[outcome].notna() & (sample.frame["weight"] > 0)]
    start = frame["cohort"].to_numpy(dtype=float, na_value=np.inf)
    treated = (frame["period"].to_numpy() >= start).astype(float)
    fit = two_way(
        frame[outcome].to_numpy(dtype=float),
        treated[:, None],
        ["treated"],
        unit=pd.Index(frame["unit"]),
        period=frame["period"].to_numpy(),
        weights=frame["weight"].to_numpy(dtype=float),
    )
    ever = pd.Series(np.isfinite(start)).groupby(fit.absorbed[0]).first().to_numpy()
    label = sample.names.get(outcome, outcome)
    labels = pd.DataFrame({"term": ["att"], "outcome": [label], "aggregate": ["two_way_fixed_effects"]})
    return fit.to_effects(np.ones(1), labels, fit.units, Arms.of(ever, 1))


def two_way(
    outcome: Array,
    regressors: Array,
    names: Sequence[str],
    *,
    unit: pd.Index,
    period: Array | None = None,
    weights: Array | None = None,
) -> Regression:
    """Weighted least squares of the outcome on regressors and a constant for each unit and each period.

    By the theorem of Frisch, Waugh and Lovell the coefficients are those of the regression of what the constants leave
    of the outcome on what they leave of the regressors, and so are residuals and sandwich covariances.

    Args:
        outcome: (N,).
        regressors: (N, k), without a constant.
        names: k names in the evaluator's words.
        unit: (N,) unit of each row.
        period: (N,) period of each row; None for unit effects alone.
        weights: (N,) positive; all 1 if None.

    Returns:
        The fit on what the constants leave, with its `units` and `absorbed` effects.

    Raises:
        DataError: a weight that is not positive; a regressor that does not vary once the constants are taken out; what
            `weighted_least_squares` refuses.
    """
    codes = [pd.factorize(values)[0] for values in (unit, period) if values is not None]
    w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=float)
    _require_positive(w)
    values = np.column_stack([outcome, regressors]).astype(float)
    left = within(values, codes, w)
    _require_variation(values, left, ["the outcome", *names])
    fit = weighted_least_squares(left[:, 0], left[:, 1:], names, w)
    return replace(fit, units=pd.Index(unit), absorbed=tuple(codes))


def within(values: Array, codes: Sequence[Array], weights: Array) -> Array:
    """What constants for the levels of one or two codes leave of the columns of `values`, (N, k).

    Codes run from 0 to levels - 1 and each occurs. One code: deviations from weighted group means. Two codes on a
    balanced panel with equal weights: deviations from
        both
    means plus the overall mean. Otherwise the constants λ of the second code solve
    (D₂′W D₂ - D₂′W D₁ (D₁′W D₁)⁻¹ D₁′W D₂) λ = D₂′W (values - means by the first code), a small system; one step of
    refinement brings the means of the result to rounding error.

    Source: Baltagi (2021), *Econometric Analysis of Panel Data*, sections 3.2 and 9.4 (Wansbeek and Kapteyn 1989).
    """
    if len(codes) == 1:
        return np.asarray(values - _means(values, codes[0], weights))
    if _is_balanced(codes, weights):
        both = _means(values, codes[0], weights) + _means(values, codes[1], weights)
        return np.asarray(values - both + np.average(values, axis=0, weights=weights))
    few, many = sorted(codes, key=lambda code: int(code.max()))
    solve = _second_constants(many, few, weights)
    once = _without_two(values, many, few, weights, solve)
    return _without_two(once, many, few, weights, solve)


def _means(values: Array, codes: Array, weights: Array) -> Array:
    """Weighted mean of the row's group, for each row."""
    groups = _one_hot(codes, weights)
    total = np.asarray(groups.sum(axis=1)).ravel()
    return np.asarray((groups @ values / total[:, None])[codes])


def _one_hot(codes: Array, weights: Array) -> sparse.csr_array:
    n = len(codes)
    return sparse.csr_array((weights, (codes, np.arange(n))), shape=(int(codes.max()) + 1, n))


def _is_balanced(codes: Sequence[Array], weights: Array) -> bool:
    cells = (int(codes[0].max()) + 1) * (int(codes[1].max()) + 1)
    crossed = codes[0].astype(np.int64) * (int(codes[1].max()) + 1) + codes[1]
    return len(weights) == cells == len(np.unique(crossed)) and bool(np.ptp(weights) == 0)


def _second_constants(many: Array, few: Array, weights: Array) -> Array:
    """Generalised inverse of the small system; it is singular by one for each connected part of the panel."""
    shape = (int(many.max()) + 1, int(few.max()) + 1)
    table = sparse.coo_array((weights, (many, few)), shape=shape).tocsr()
    total = np.asarray(table.sum(axis=1)).ravel()
    crossed = (table.T @ sparse.diags_array(1 / total) @ table).toarray()
    system = np.diag(np.asarray(table.sum(axis=0)).ravel()) - crossed
    return np.asarray(np.linalg.pinv(system, rcond=1e-12, hermitian=True))


def _without_two(values: Array, many: Array, few: Array, weights: Array, inverse: Array) -> Array:
    deviations = values - _means(values, many, weights)
    constants = inverse @ (_one_hot(few, weights) @ deviations)
    return np.asarray(deviations - constants[few] + _means(constants[few], many, weights))


def _require_positive(weights: Array) -> None:
    if not (weights > 0).all():
        raise DataError(
            code="E-IMP-042",
            what="fixed effects need positive weights",
            found=f"{int((~(weights > 0)).sum())} rows with a weight of zero, below zero or missing",
            fix="leave these rows out",
        )


def _require_variation(values: Array, left: Array, names: Sequence[str]) -> None:
    before, after = np.linalg.norm(values, axis=0), np.linalg.norm(left, axis=0)
    flat = [name for name, b, a in zip(names, before, after, strict=True) if a <= ABSORBED * b]
    if flat:
        raise DataError(
            code="E-IMP-041",
            what="a column does not vary once unit and period effects are taken out",
            where=", ".join(flat),
            expected="columns that change within units, and not for all units alike",
            fix="leave the column out: fixed effects already say what it says",
        )
