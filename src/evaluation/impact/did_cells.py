"""One effect of one cohort in one period against one comparison group: arrays in, estimate and influence out.

Three estimators (Sant'Anna and Zhao 2020), for panels (changes of the outcome) and for repeated cross-sections
(levels). With D = treated, w = sampling weight, p = P(D = 1 | X), c = w p (1-D)/(1-p) and E_v[z] = E[v z]/E[v], on
changes Y:

    regression:           E_wD[Y] - E_wD[X′b],     b = least squares of Y on X in the comparison group, weights w
    inverse_probability:  E_wD[Y] - E_c[Y]         (Hájek: both weights sum to one)
    doubly_robust:        E_wD[Y - X′b] - E_c[Y - X′b]

Influences hold the estimation of b and p: they are exact derivatives with respect to each row's weight, and the tests
compare them with the infinitesimal jackknife.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates
from evaluation.impact.propensity import fit_propensity
from evaluation.impact.regression import factorize

Array = np.ndarray

OVERLAP = 0.999  # a fitted probability from here on means that some treated rows have no counterpart
TRIM = 0.995  # comparison rows from here on get weight zero: p/(1-p) would be 199 or more
LARGEST = 1 - 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NotIdentified:
    """Why a cell has no estimate: a reason code for tables, and the detail in words."""

    reason: str
    detail: str


CellResult = tuple[Array, Array] | NotIdentified


def panel_cells(
    changes: Array, treated: Array, design: Array, weights: Array, *, estimator: str, names: Sequence[str]
) -> CellResult:
    """Effects on q changes of the outcome that share covariates, weights and comparison group.

    Args:
        changes: (m, q) outcome in a period less outcome in its base period.
        treated: (m,) Booleans.
        design: (m, p) constant and covariates.
        weights: (m,) positive, any scale.
        estimator: doubly_robust, regression or inverse_probability; all the same without covariates.
        names: p names of the columns of `design`.

    Returns:
        Estimates (q,) and influences (m, q) with estimate - truth ≈ mean over the m rows; or why there are none.

    Source: Sant'Anna and Zhao (2020), equations 2.2, 2.4, 2.6 and supplement A.
    """
    w = weights / weights.mean()
    if estimator == "regression" or design.shape[1] == 1:
        return _panel_regression(changes, treated, design, w, names)
    score = _score(treated, design, w, names)
    if isinstance(score, NotIdentified):
        return score
    if estimator == "inverse_probability":
        return _compared(changes, w * treated, score.weights, score, design)
    return _panel_robust(changes, treated, design, w, score, names)


def cross_section_cell(
    outcome: Array, treated: Array, after: Array, design: Array, weights: Array, *, estimator: str, names: Sequence[str]
) -> CellResult:
    """The effect from two cross-sections, or from a panel with gaps (whose rows are then summed by unit).

    With t the two periods (+ after, - before), wₜ = w D 1{t}, cₜ = c 1{t}, b(d,t) the least-squares coefficients in
    arm d and period t, r = Y - X′b(0,t) and Δₜ = X′(b(1,t) - b(0,t)):

        regression:           Σₜ ± { E_wₜ[Y] - E_wD[X′b(0,t)] }
        inverse_probability:  Σₜ ± { E_wₜ[Y] - E_cₜ[Y] }
        doubly_robust:        Σₜ ± { E_wₜ[r] - E_cₜ[r] + E_wD[Δₜ] - E_wₜ[Δₜ] }     (locally efficient)

    The sign ± also stands before the part of the influence that comes from the regressions. DRDID before 1.3.0 had a
    plus there in both periods, which made doubly robust standard errors wrong by some percent.

    Args:
        outcome: (m,).
        treated: (m,) Booleans.
        after: (m,) True in the period, False in its base period.
        design: (m, p) constant and covariates of the row.
        weights: (m,) positive, any scale.
        estimator: doubly_robust, regression or inverse_probability; all the same without covariates.
        names: p names of the columns of `design`.

    Returns:
        Estimate (1,) and influence (m, 1); or why there is none.

    Source: Sant'Anna and Zhao (2020), equations 2.3, 2.5, 2.10 and supplement A.
    """
    w = weights / weights.mean()
    y = (outcome - outcome.mean())[:, None]  # a constant changes nothing but rounding
    if estimator == "regression" or design.shape[1] == 1:
        levels = [_section_regression(y, treated, period, design, w, names) for period in (after, ~after)]
        return _difference(*levels)
    score = _score(treated, design, w, names)
    if isinstance(score, NotIdentified):
        return score
    if estimator == "inverse_probability":
        levels = [_compared(y, w * treated * t, score.weights * t, score, design) for t in (after, ~after)]
    else:
        levels = [_section_robust(y, treated, period, design, w, score, names) for period in (after, ~after)]
    return _difference(*levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Score:
    """Comparison weights c (m,), zero for the treated and for trimmed rows; influence (m, p) of the coefficients."""

    weights: Array
    influence: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A least-squares fit on some rows, known for all rows.

    Attributes:
        fitted: (m, q).
        residuals: (m, q) outcome less fitted, also of rows that were not used.
        influence: vector (p,) -> (m, q), influence of the coefficients in that direction.
    """

    fitted: Array
    residuals: Array
    influence: Callable[[Array], Array]


def _score(treated: Array, design: Array, w: Array, names: Sequence[str]) -> _Score | NotIdentified:
    labels = tuple(names[1:])
    try:
        fit = fit_propensity(Covariates(matrix=design[:, 1:], labels=labels, columns=labels), treated, w)
    except DataError as error:  # this cell is listed with its reason, the other cells stand
        return NotIdentified(reason="separation", detail=f"{error.what} ({error.where})")
    if fit.left_out:
        return _collinear(", ".join(fit.left_out))
    highest = float(fit.probability.max())
    if highest >= OVERLAP:
        return NotIdentified(reason="overlap", detail=f"fitted probability of treatment up to {highest:.4f}")
    odds = fit.probability / (1 - np.minimum(fit.probability, LARGEST))
    kept = ~treated & (fit.probability < TRIM)
    return _Score(weights=np.where(kept, w * odds, 0.0), influence=fit.influence)


def _line(outcome: Array, design: Array, w: Array, names: Sequence[str]) -> _Line | NotIdentified:
    used = w > 0
    if used.sum() < design.shape[1]:
        return NotIdentified(reason="too_few_rows", detail=f"{used.sum()} rows for {design.shape[1]} coefficients")
    root = np.sqrt(w[used])[:, None]
    factor = factorize(design[used] * root)
    if not factor.full_rank:
        return _collinear(factor.dependencies(names))
    fitted = design @ factor.solve(outcome[used] * root)
    scaled = (len(w) * w)[:, None] * (outcome - fitted)
    return _Line(
        fitted=fitted,
        residuals=outcome - fitted,
        influence=lambda direction: (design @ factor.solve_gram(direction))[:, None] * scaled,
    )


def _collinear(columns: str) -> NotIdentified:
    return NotIdentified(reason="collinear", detail=columns)


def _mean(weights: Array, values: Array) -> tuple[Array, Array]:
    """Weighted mean (q,) and its influence (m, q)."""
    mean = weights @ values / weights.sum()
    return mean, (weights / weights.mean())[:, None] * (values - mean)


def _center(weights: Array, design: Array) -> Array:
    """Weighted mean of the rows of the design, (p,)."""
    return np.asarray(weights @ design / weights.sum())


def _compared(values: Array, weights: Array, others: Array, score: _Score, design: Array) -> tuple[Array, Array]:
    """Mean under `weights` less mean under `others`, which come from the score: it moves the second mean too."""
    mean, influence = _mean(weights, values)
    other, influence_other = _mean(others, values)
    through_score = score.influence @ (design.T @ influence_other / len(design))
    return mean - other, influence - influence_other - through_score


def _panel_regression(changes: Array, treated: Array, design: Array, w: Array, names: Sequence[str]) -> CellResult:
    line = _line(changes, design, w * ~treated, names)
    if isinstance(line, NotIdentified):
        return line
    mean, influence = _mean(w * treated, changes)
    expected, influence_expected = _mean(w * treated, line.fitted)
    through_line = line.influence(_center(w * treated, design))
    return mean - expected, influence - influence_expected - through_line


def _panel_robust(
    changes: Array, treated: Array, design: Array, w: Array, score: _Score, names: Sequence[str]
) -> CellResult:
    line = _line(changes, design, w * ~treated, names)
    if isinstance(line, NotIdentified):
        return line
    estimate, influence = _compared(line.residuals, w * treated, score.weights, score, design)
    imbalance = _center(w * treated, design) - _center(score.weights, design)
    return estimate, influence - line.influence(imbalance)


def _section_regression(
    y: Array, treated: Array, period: Array, design: Array, w: Array, names: Sequence[str]
) -> CellResult:
    line = _line(y, design, w * ~treated * period, names)
    if isinstance(line, NotIdentified):
        return line
    mean, influence = _mean(w * treated * period, y)
    expected, influence_expected = _mean(w * treated, line.fitted)
    return mean - expected, influence - influence_expected - line.influence(_center(w * treated, design))


def _section_robust(
    y: Array, treated: Array, period: Array, design: Array, w: Array, score: _Score, names: Sequence[str]
) -> CellResult:
    untreated_line = _line(y, design, w * ~treated * period, names)
    treated_line = _line(y, design, w * treated * period, names)
    if isinstance(untreated_line, NotIdentified):
        return untreated_line
    if isinstance(treated_line, NotIdentified):
        return treated_line
    here, all_periods, others = w * treated * period, w * treated, score.weights * period
    estimate, influence = _compared(untreated_line.residuals, here, others, score, design)
    gap = treated_line.fitted - untreated_line.fitted
    overall, influence_overall = _mean(all_periods, gap)
    local, influence_local = _mean(here, gap)
    imbalance = _center(here, design) - _center(others, design)
    shift = _center(all_periods, design) - _center(here, design)
    through_lines = treated_line.influence(shift) - untreated_line.influence(shift + imbalance)
    return estimate + overall - local, influence + influence_overall - influence_local + through_lines


def _difference(after: CellResult, before: CellResult) -> CellResult:
    if isinstance(after, NotIdentified):
        return after
    if isinstance(before, NotIdentified):
        return before
    return after[0] - before[0], after[1] - before[1]
