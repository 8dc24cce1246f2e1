"""Covariate-balancing propensity score: a logit score whose weights make the covariate means of the arms equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, Floats, independent_columns
from evaluation.impact.propensity import Propensity

ITERATIONS = 100
BALANCED = 1e-10  # largest difference of means left, in standard deviations: rounding error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loss:
    """A convex function of the linear predictor, with its first two derivatives, (n,) each."""

    value: Floats
    first: Floats
    second: Floats


def balancing_score(
    covariates: Covariates, treated: NDArray[np.bool_], weights: Floats, *, estimand: str
) -> Propensity:
    """A logit score b with exactly balanced means of x = [1, covariates] under the weights of the estimand.

    ate: sum d x / p = sum (1 - d) x / (1 - p). att: sum d x = sum (1 - d) x p / (1 - p). atc: mirrored. These are the
    first-order conditions of the convex losses d (e^-t - t) + (1 - d)(e^t + t), (1 - d) e^t - d t, d e^-t + (1 - d) t
    in t = x'b, minimised by Newton's method with halved steps. For att the weights are those of entropy balancing.
    Influence of the coefficients: n H^-1 times minus the gradient of the row's loss.

    Args:
        covariates: (n, k), complete.
        treated: (n,) arm.
        weights: (n,) sampling weights.
        estimand: ate, att or atc.

    Raises:
        DataError: no score balances the means.

    Source: Imai and Ratkovic (2014), *JRSS B* 76(1), just-identified; Zhao (2019), *Annals of Statistics* 47(2), for
        the losses.
    """
    weights = weights / weights.mean()
    raw = np.column_stack([np.ones(len(treated)), covariates.matrix])
    labels = np.array(("intercept", *covariates.labels), dtype=object)
    kept = independent_columns(raw, weights)
    design, names = raw[:, kept], tuple(labels[kept])
    center, scale = design.mean(axis=0), design.std(axis=0)
    center[0], scale[0] = 0.0, 1.0
    scaled = (design - center) / scale
    beta, hessian, loss = _minimum(scaled, treated, weights, estimand, names)
    back = np.diag(1 / scale)
    back[0, 1:] = -center[1:] / scale[1:]
    linear = scaled @ beta
    score = -(weights * loss.first)[:, None] * scaled
    return Propensity(
        link="logit",
        labels=names,
        coefficients=back @ beta,
        design=design,
        linear=linear,
        probability=expit(linear),
        influence=len(treated) * np.linalg.solve(hessian, score.T).T @ back.T,
        left_out=tuple(labels[~kept]),
    )


def _minimum(
    scaled: Floats, treated: NDArray[np.bool_], weights: Floats, estimand: str, names: tuple[str, ...]
) -> tuple[Floats, Floats, _Loss]:
    beta = np.zeros(scaled.shape[1])
    loss = _loss(estimand, scaled @ beta, treated)
    for _ in range(ITERATIONS):
        gradient = scaled.T @ (weights * loss.first)
        hessian = scaled.T @ (scaled * (weights * loss.second)[:, None])
        if np.abs(gradient).max() <= BALANCED * len(treated):
            return beta, hessian, loss
        step = np.asarray(np.linalg.lstsq(hessian, -gradient, rcond=1e-14)[0], dtype=float)
        beta, loss = _stepped(scaled, treated, weights, estimand, beta, step, float(gradient @ step), loss)
    raise _out_of_reach(names, gradient / len(treated))


def _stepped(
    scaled: Floats,
    treated: NDArray[np.bool_],
    weights: Floats,
    estimand: str,
    beta: Floats,
    step: Floats,
    slope: float,
    before: _Loss,
) -> tuple[Floats, _Loss]:
    """The largest of 1, 1/2, 1/4 … of a step that lowers the loss enough (Armijo, 1e-4)."""
    start, share = float(weights @ before.value), 1.0
    while True:
        after = _loss(estimand, scaled @ (beta + share * step), treated)
        total = float(weights @ after.value)
        if (np.isfinite(total) and total <= start + 1e-4 * share * slope + 1e-13 * abs(start)) or share < 1e-10:
            return beta + share * step, after
        share /= 2


def _loss(estimand: str, t: Floats, treated: NDArray[np.bool_]) -> _Loss:
    sign = np.where(treated, 1.0, -1.0)  # the weight of a row in its own arm is 1 + exp(-sign t), or its exp part
    with np.errstate(over="ignore"):
        odds = np.exp(-sign * t)
    if estimand == "ate":
        return _Loss(value=odds - sign * t, first=-sign * (odds + 1), second=odds)
    weighted = ~treated if estimand == "att" else treated
    return _Loss(
        value=np.where(weighted, odds, -sign * t),
        first=-sign * np.where(weighted, odds, 1.0),
        second=np.where(weighted, odds, 0.0),
    )


def _out_of_reach(names: tuple[str, ...], gap: Floats) -> DataError:
    worst = [(name, float(g)) for name, g in zip(names, gap, strict=True) if abs(g) > 0.1 * np.abs(gap).max()]
    return DataError(
        code="E-IMP-230",
        what="no propensity score gives the groups the same means",
        where=", ".join(name for name, _ in worst),
        found="; ".join(f"{name}: {g:+.3g}" for name, g in worst),
        expected="groups whose covariates overlap",
        fix="drop a covariate or merge rare levels, or use weights: inverse_probability with trim",
    )
