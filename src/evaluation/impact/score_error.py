"""What estimating the propensity score does to the variance of a matching estimate (Abadie and Imbens 2016)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluation.impact.covariates import Floats, independent_columns
from evaluation.impact.neighbours import Rows, nearest_with_replacement
from evaluation.impact.propensity import Propensity

Mask = NDArray[np.bool_]

# Units of each arm, nearest by the score, within which means and covariances of the outcome are taken.
NEAREST = 2


def score_adjustment(model: Propensity, outcome: Floats, treated: Mask, effect: float, estimand: str) -> float:
    """What to add to the variance of the effect because the score was estimated by maximum likelihood.

    With V the covariance of the coefficients (inverse information), p the score, f its derivative in the linear
    predictor and C₁, C₀ the covariances of x and y given p in the arms, from the nearest units by score:
    ate: -c′Vc, c = mean[(C₁ / p + C₀ / (1 - p)) f];
    att: -c′Vc + g′Vg, c = Σ [x f (d - τ) + (C₁ + p / (1 - p) C₀) f] / n₁ over all units and g = Σ x f (d* - τ) / n₁,
    the derivative of the effect in the coefficients. d is the mean outcome of the nearest treated less that of the
    nearest untreated units by score, d* the difference of a unit and its nearest of the other arm by covariates.
    atc is att with the arms exchanged.

    Args:
        model: the score, without sampling weights.
        outcome: (n,).
        treated: (n,) arm.
        effect: τ.
        estimand: att, atc or ate.

    Source: Abadie and Imbens (2016), *Econometrica* 84(2), theorems 1 and 2 and their estimators.
    """
    p, f, n = model.probability, model.slope, len(outcome)
    near = {arm: _nearest(model, treated == arm) for arm in (True, False)}
    spread = {arm: _local_covariance(model.design[rows], outcome[rows]) for arm, rows in near.items()}
    if estimand == "ate":
        return -_quadratic(model, (spread[True] / p[:, None] + spread[False] / (1 - p)[:, None]).T @ f / n)
    focal = estimand == "att"
    odds = p / (1 - p) if focal else (1 - p) / p
    size, sign = int((treated == focal).sum()), 1.0 if focal else -1.0
    gap = outcome[near[True]].mean(axis=1) - outcome[near[False]].mean(axis=1) - effect
    c = (sign * model.design.T @ (f * gap) + (spread[focal] + odds[:, None] * spread[not focal]).T @ f) / size
    by_covariates = _differences_by_covariates(model, outcome, treated) - effect
    return _quadratic(model, model.design.T @ (f * by_covariates) / size) - _quadratic(model, c)


def _quadratic(model: Propensity, vector: Floats) -> float:
    """v′ V v with V = (Σ x x′ f² / (p (1 - p)))⁻¹, by QR."""
    room = model.probability * (1 - model.probability)
    root = np.where(room > 0, model.slope / np.sqrt(np.where(room > 0, room, 1.0)), 0.0)
    r: Floats = np.asarray(np.linalg.qr(model.design * root[:, None], mode="r"))
    half = np.linalg.solve(r.T, vector)
    return float(half @ half)


def _nearest(model: Propensity, arm: Mask) -> Rows:
    rows = np.arange(len(arm))
    return nearest_with_replacement(model.probability[:, None], rows, np.flatnonzero(arm), min(NEAREST, int(arm.sum())))


def _local_covariance(x: Floats, y: Floats) -> Floats:
    """(n, k) covariances (ddof 1) of x (n, L, k) and y (n, L) over the second axis."""
    centred = y - y.mean(axis=1, keepdims=True)
    return np.asarray(np.einsum("ijk,ij->ik", x, centred) / max(y.shape[1] - 1, 1))


def _differences_by_covariates(model: Propensity, outcome: Floats, treated: Mask) -> Floats:
    """(n,) outcome under treatment less that without: the unit and its nearest of the other arm by Mahalanobis."""
    x = model.design[:, 1:] - model.design[:, 1:].mean(axis=0)
    x = x[:, independent_columns(x)]
    r: Floats = np.asarray(np.linalg.qr(x, mode="r"))
    points = np.linalg.solve(r.T, x.T).T * np.sqrt(len(x) - 1)
    out = np.zeros(len(outcome))
    for arm, sign in ((treated, 1.0), (~treated, -1.0)):
        rows = np.flatnonzero(arm)
        other = nearest_with_replacement(points, rows, np.flatnonzero(~arm), 1)[:, 0]
        out[rows] = sign * (outcome[rows] - outcome[other])
    return out
