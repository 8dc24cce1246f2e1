"""Doubly robust effects: a model of the outcome and a model of the treatment, right if one of the two is.

With few parameters both models are fitted on all rows, and the influence carries them. With learners each part of the
sample is predicted by models that never saw it (`cross_fitting`), and the effect does not move with small errors of
either model (Neyman orthogonality).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaluation.errors import DataError
from evaluation.impact import cross_fitting
from evaluation.impact.arm_weights import RowEffect, Weights
from evaluation.impact.covariates import Covariates, Floats, independent_columns
from evaluation.impact.propensity import Propensity, fit_propensity
from evaluation.impact.score_weights import score_weights

if TYPE_CHECKING:
    from evaluation.settings.designs import WeightingDesign
    from evaluation.settings.designs.weighting import DoublyRobust

Mask = NDArray[np.bool_]
ITERATIONS = 50
CONVERGED = 1e-11


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nuisances:
    """Predictions for all rows.

    Attributes:
        score: (n,) probability of treatment.
        treated, comparison: (n,) predicted outcome in each arm.
    """

    score: Floats
    treated: Floats
    comparison: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AugmentedWeights:
    """Weights with a model of the outcome beside them, ready for any outcome.

    Attributes:
        covariates: (n, k).
        treated: (n,) arm.
        sampling: (n,) sampling weights.
        groups: (n,) rows that stay together in folds.
        weights: inverse probability weights that the score alone gives.
        estimand: att, atc or ate.
        models: of outcome and treatment.
    """

    covariates: Covariates
    treated: Mask
    sampling: Floats
    groups: NDArray[np.intp]
    weights: Weights
    estimand: str
    models: DoublyRobust

    def effect(self, outcome: Floats, known: Mask) -> RowEffect:
        """The effect from the rows whose outcome is known; of several splits the one in the middle."""
        rows = np.flatnonzero(known)
        part = _part(self.covariates, rows)
        y, d, s = outcome[rows], self.treated[rows], self.sampling[rows]
        if self.models.folds is None:
            found = [parametric(part, d, s, y, self.estimand, self.models.outcome)]
        else:
            nuisances = cross_fitting.predictions(part, d, s, y, self.groups[rows], self.models)
            found = [orthogonal(Nuisances(**each), d, s, y, self.estimand) for each in nuisances]
        estimates = tuple(estimate for estimate, _ in found)
        estimate, of_known = found[int(np.argsort(estimates, kind="stable")[len(found) // 2])]
        influence = np.zeros(len(outcome))
        influence[rows] = of_known * (len(outcome) / len(rows))
        return RowEffect(estimate=estimate, influence=influence, splits=estimates)


def fit(
    covariates: Covariates,
    treated: Mask,
    sampling: Floats,
    groups: NDArray[np.intp],
    design: WeightingDesign,
    models: DoublyRobust,
) -> AugmentedWeights:
    """The comparison of one design; the logit score on all rows serves balance, overlap and the notes."""
    return AugmentedWeights(
        covariates=covariates,
        treated=treated,
        sampling=sampling,
        groups=groups,
        weights=score_weights(fit_propensity(covariates, treated, sampling), treated, sampling, design),
        estimand=design.estimand,
        models=models,
    )


# the effect given predictions -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Terms:
    """Numerator terms of the rows, and their derivatives.

    effect = mean(s a) / mean(s b), a the terms and b who counts.

    Attributes:
        a, b: (n,).
        by_score, by_treated, by_comparison: (n,) derivatives of a in the score and in the predicted outcomes.
    """

    a: Floats
    b: Floats
    by_score: Floats
    by_treated: Floats
    by_comparison: Floats


def orthogonal(
    nuisances: Nuisances, treated: Mask, sampling: Floats, outcome: Floats, estimand: str
) -> tuple[float, Floats]:
    """The effect and its Neyman-orthogonal influence, for predictions by models that did not see the row.

    Source: Chernozhukov and others (2018), *Econometrics Journal* 21(1), section 5.1.
    """
    terms = _terms(nuisances, treated, outcome, estimand)
    return _solved(terms, sampling)[:2]


def _solved(terms: _Terms, sampling: Floats) -> tuple[float, Floats, float]:
    size = float(sampling @ terms.b) / len(sampling)
    estimate = float(sampling @ terms.a) / len(sampling) / size
    return estimate, sampling * (terms.a - estimate * terms.b) / size, size


def _terms(nuisances: Nuisances, treated: Mask, outcome: Floats, estimand: str) -> _Terms:
    """ate: m1 - m0 + d (y - m1)/p - (1 - d)(y - m0)/(1 - p). att: (d - (1 - d) p/(1 - p)) (y - m0). atc: mirrored.

    Source: Robins, Rotnitzky and Zhao (1994); Mercatanti and Li (2014) for att.
    """
    p, d = nuisances.score, treated.astype(float)
    above, below = outcome - nuisances.treated, outcome - nuisances.comparison
    zero, one = np.zeros_like(p), np.ones_like(p)
    if estimand == "ate":
        up, down = d / p, (1 - d) / (1 - p)
        return _Terms(
            a=nuisances.treated - nuisances.comparison + up * above - down * below,
            b=one,
            by_score=-up / p * above - down / (1 - p) * below,
            by_treated=1 - up,
            by_comparison=down - 1,
        )
    if estimand == "att":
        odds = (1 - d) * p / (1 - p)
        return _Terms(
            a=(d - odds) * below, b=d, by_score=-(1 - d) / (1 - p) ** 2 * below, by_treated=zero, by_comparison=odds - d
        )
    odds = d * (1 - p) / p
    return _Terms(
        a=(odds - (1 - d)) * above, b=1 - d, by_score=-d / p**2 * above, by_treated=(1 - d) - odds, by_comparison=zero
    )


# few parameters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeModel:
    """A linear or logit model of the outcome in one arm.

    Attributes:
        predicted: (n,) for all rows.
        slope: (n,) derivative of the prediction in the linear predictor.
        carry: from a derivative in the coefficients (k,) to the influence of each row (n,).
        design: (n, k).
    """

    predicted: Floats
    slope: Floats
    carry: Callable[[Floats], Floats]
    design: Floats

    def through(self, by_prediction: Floats) -> Floats:
        """(n,) influence, by way of the coefficients, on the mean of something with this derivative (n,)."""
        return self.carry(self.design.T @ (by_prediction * self.slope) / len(by_prediction))


def parametric(
    covariates: Covariates, treated: Mask, sampling: Floats, outcome: Floats, estimand: str, kind: str
) -> tuple[float, Floats]:
    """The effect with a logit score and linear or logit outcomes; the influence carries all three models.

    Source: Robins, Rotnitzky and Zhao (1994); Tsiatis (2006), chapter 3 (M-estimation).
    """
    model = fit_propensity(covariates, treated, sampling)
    one = outcome_model(covariates, treated, sampling, outcome, kind)
    zero = outcome_model(covariates, ~treated, sampling, outcome, kind)
    nuisances = Nuisances(score=model.probability, treated=one.predicted, comparison=zero.predicted)
    terms = _terms(nuisances, treated, outcome, estimand)
    estimate, influence, size = _solved(terms, sampling)
    through = _through_score(model, sampling * terms.by_score)
    through += one.through(sampling * terms.by_treated) + zero.through(sampling * terms.by_comparison)
    return estimate, influence + through / size


def _through_score(model: Propensity, by_score: Floats) -> Floats:
    return np.asarray(model.influence @ (model.design.T @ (by_score * model.slope) / len(by_score)))


def outcome_model(covariates: Covariates, arm: Mask, sampling: Floats, outcome: Floats, kind: str) -> OutcomeModel:
    """Least squares, or a logit of a share, of the outcome on the covariates in one arm, for all rows.

    Columns that say nothing within the arm are left out. A logit takes outcomes from 0 to 1.

    Raises:
        DataError: a logit of other numbers; a logit without a maximum.
    """
    design = np.column_stack([np.ones(len(arm)), covariates.matrix])
    design = design[:, independent_columns(design[arm])]
    weights = np.where(arm, sampling, 0.0) / sampling.mean()
    center, scale = design[arm].mean(axis=0), design[arm].std(axis=0)
    center[0], scale[0] = 0.0, 1.0
    scaled = (design - center) / np.where(scale > 0, scale, 1.0)
    beta = _least_squares(scaled, weights, outcome) if kind == "linear" else _logit(scaled, weights, outcome)
    linear = scaled @ beta
    predicted = linear if kind == "linear" else expit(linear)
    slope = np.ones_like(linear) if kind == "linear" else expit(linear) * expit(-linear)
    bread = np.linalg.inv(scaled.T @ (scaled * (weights * slope)[:, None]) / len(arm))
    residual = weights * (outcome - predicted)
    return OutcomeModel(
        predicted=predicted,
        slope=slope,
        carry=lambda gradient: np.asarray(residual * (scaled @ (bread @ gradient))),
        design=scaled,
    )


def _least_squares(design: Floats, weights: Floats, outcome: Floats) -> Floats:
    root = np.sqrt(weights[weights > 0])
    rows = weights > 0
    return np.asarray(np.linalg.lstsq(design[rows] * root[:, None], outcome[rows] * root, rcond=None)[0])


def _logit(design: Floats, weights: Floats, outcome: Floats) -> Floats:
    """Quasi-likelihood of shares (Papke and Wooldridge 1996), Newton's method."""
    rows = weights > 0
    x, w, y = design[rows], weights[rows], outcome[rows]
    if y.min() < 0 or y.max() > 1:
        raise DataError(
            code="E-IMP-232",
            what="a logit model of the outcome needs an outcome from 0 to 1",
            found=f"values from {y.min():.6g} to {y.max():.6g}",
            expected="0/1 or shares",
            fix="doubly_robust: {outcome: linear}",
        )
    beta = np.zeros(x.shape[1])
    for _ in range(ITERATIONS):
        p = expit(x @ beta)
        information = x.T @ (x * (w * p * (1 - p))[:, None])
        step = np.linalg.lstsq(information, x.T @ (w * (y - p)), rcond=1e-14)[0]
        step /= max(1.0, np.abs(x @ step).max())  # steps that move no predictor by more than 1 never lower it
        beta = beta + step
        if np.abs(step).max() <= CONVERGED * (1 + np.abs(beta).max()):
            return np.asarray(beta)
    raise DataError(
        code="E-IMP-233",
        what="covariates predict the outcome of an arm perfectly, so that its logit model has no maximum",
        found=f"no maximum within {ITERATIONS} Newton steps",
        expected="an outcome that varies at every value of the covariates",
        fix="doubly_robust: {outcome: linear}, or drop the covariate that decides the outcome",
    )


def _part(covariates: Covariates, rows: NDArray[np.intp]) -> Covariates:
    if len(rows) == len(covariates.matrix):
        return covariates
    return Covariates(matrix=covariates.matrix[rows], labels=covariates.labels, columns=covariates.columns)
