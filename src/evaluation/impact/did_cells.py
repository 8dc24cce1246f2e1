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
from dataclasses import dataclass, replace

import numpy as np

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates
from evaluation.impact.propensity import fit_propensity
from evaluation.impact.regression import Factor, factorize

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


def comparison_factor(design: Array, weights: Array, names: Sequence[str]) -> Factor | NotIdentified:
    """The decomposition of √w X of the comparison rows, which all cohorts with this comparison share.

    Args:
        design: (m₀, p) constant and covariates.
        weights: (m₀,) positive.
        names: p names.
    """
    if len(design) < design.shape[1]:
        return NotIdentified(reason="too_few_rows", detail=f"{len(design)} rows for {design.shape[1]} coefficients")
    factor = factorize(design * np.sqrt(weights)[:, None])
    return factor if factor.full_rank else _collinear(factor.dependencies(names))


def panel_cells(
    changes: Array,
    treated: Array,
    design: Array,
    weights: Array,
    *,
    estimator: str,
    names: Sequence[str],
    factor: Factor | NotIdentified | None = None,
) -> CellResult:
    """Effects on q changes of the outcome that share covariates, weights and comparison group.

    Args:
        changes: (m, q) outcome in a period less outcome in its base period.
        treated: (m,) Booleans.
        design: (m, p) constant and covariates.
        weights: (m,) positive, any scale.
        estimator: doubly_robust, regression or inverse_probability; all the same without covariates.
        names: p names of the columns of `design`.
        factor: `comparison_factor` of the rows that are not treated, if it is known already.

    Returns:
        Estimates (q,) and influences (m, q) with estimate - truth ≈ mean over the m rows; or why there are none.

    Source: Sant'Anna and Zhao (2020), equations 2.2, 2.4, 2.6 and supplement A.
    """
    focal, others = (Arm(y=changes[rows], x=design[rows], w=weights[rows]) for rows in (treated, ~treated))
    found = compare(focal, others, estimator=estimator, names=names, factor=factor)
    if isinstance(found, NotIdentified):
        return found
    influence = np.empty(changes.shape)
    influence[treated], influence[~treated] = found.focal, found.others
    return found.estimate, influence


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """Rows of one arm: y (m, q) changes or what a regression leaves of them, x (m, p) with the constant, w (m,)."""

    y: Array
    x: Array
    w: Array

    def without(self, slopes: Array) -> Arm:
        """What the regression leaves."""
        return replace(self, y=self.y - _product(self.x, slopes))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Estimates (q,) and the influences of the rows of both arms, (m₁, q) and (m₀, q), for a mean over m = m₁ + m₀."""

    estimate: Array
    focal: Array
    others: Array


def compare(
    focal: Arm, others: Arm, *, estimator: str, names: Sequence[str], factor: Factor | NotIdentified | None = None
) -> Compared | NotIdentified:
    """`panel_cells` on arms that are apart already: each row counts in one arm alone, so none is computed twice.

    With m rows in all, a = m w/Σw in the treated arm and c in the other (zero without a score), r what the regression
    leaves, S influences of the score, e means and x̄ those of X,

        influence = a (r - e₁) - S′v                                         in the treated arm,
                  = -c (r - e₀) - S′v - m w X′(X′WX)⁻¹(x̄₁ - x̄₀) r        in the other;   v = Σ₀ c (r - e₀) X / m.

    Raises, as a value: why nothing is identified.
    """
    weighting = estimator != "regression" and len(names) > 1
    score = _arms_score(focal, others, names) if weighting else None
    if isinstance(score, NotIdentified):
        return score
    if weighting and estimator == "inverse_probability":
        return _compared_arms(focal, others, None, score)
    known = comparison_factor(others.x, others.w, names) if factor is None else factor
    return known if isinstance(known, NotIdentified) else _compared_arms(focal, others, known, score)


def _arms_score(focal: Arm, others: Arm, names: Sequence[str]) -> _Score | NotIdentified:
    treated = np.arange(len(focal.w) + len(others.w)) < len(focal.w)
    return _score(treated, np.vstack([focal.x, others.x]), np.concatenate([focal.w, others.w]), names)


def _compared_arms(focal: Arm, others: Arm, factor: Factor | None, score: _Score | None) -> Compared:
    m1 = len(focal.w)
    m = m1 + len(others.w)
    if factor is not None:
        slopes = factor.solve(others.y * np.sqrt(others.w)[:, None])
        focal, others = focal.without(slopes), others.without(slopes)
    pull = focal.w * (m / focal.w.sum())
    mean, center = pull @ focal.y / m, pull @ focal.x / m
    of_focal = focal.y - mean
    of_focal *= pull[:, None]
    if score is None:
        of_others = np.zeros_like(others.y)
    else:
        pull = score.weights[m1:] * (m / score.weights.sum())
        other, center = pull @ others.y / m, center - pull @ others.x / m
        mean = mean - other
        of_others = other - others.y
        of_others *= pull[:, None]
        through_score = others.x.T @ of_others / m
        of_focal += _product(score.influence[:m1], through_score)
        of_others += _product(score.influence[m1:], through_score)
    if factor is not None:
        of_others -= (m * others.w * (others.x @ factor.solve_gram(center)))[:, None] * others.y
    return Compared(estimate=mean, focal=of_focal, others=of_others)


def _product(rows: Array, matrix: Array) -> Array:
    """rows @ matrix, stored by column like the changes, so that sums with them run through memory in order."""
    return np.asarray((matrix.T @ rows.T).T)


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
