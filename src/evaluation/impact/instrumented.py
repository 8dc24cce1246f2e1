"""Linear models with one instrumented treatment: two-stage least squares, LIML and two-step GMM as Effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import linalg

from evaluation.errors import DataError
from evaluation.impact import inference
from evaluation.impact.covariates import Floats
from evaluation.impact.effects import Effects, clear_noise
from evaluation.impact.regression import weighted_least_squares

NOTHING = 1e-12  # of the treatment's own length; a fitted treatment below it is rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """y = β d + c′γ + e, with E[z e] = 0 and E[c e] = 0.

    Attributes:
        y, treatment: (n,).
        instruments: (n, K).
        exogenous: (n, p) covariates, the constant first, of full rank.
        names: (p,) of them.
        weights: (n,) sampling weights.
        units: (n,) ids, all different.
        groups: (n,) codes of clusters, for the weights of GMM; None for independent units.
    """

    y: Floats
    treatment: Floats
    instruments: Floats
    exogenous: Floats
    names: tuple[str, ...]
    weights: Floats
    units: pd.Index
    groups: np.ndarray | None = None

    def scaled(self) -> tuple[Floats, Floats, Floats]:
        """√w times y (n,), regressors [d, c] (n, 1 + p) and instruments [z, c] (n, K + p)."""
        root = np.sqrt(self.weights)[:, None]
        x = np.column_stack([self.treatment, self.exogenous]) * root
        return self.y * root[:, 0], x, np.column_stack([self.instruments, self.exogenous]) * root

    def instrument_square(self) -> Floats:
        """(K, K) Z′Z of the instruments with covariates taken out."""
        root = np.sqrt(self.weights)[:, None]
        basis = np.linalg.qr(self.exogenous * root)[0]
        z = self.instruments * root
        left = z - basis @ (basis.T @ z)
        return np.asarray(left.T @ left)


def fit(linear: Linear, estimator: str, row: pd.DataFrame) -> Effects:
    """The effect of the treatment; with one instrument all estimators are the same ratio.

    Args:
        linear: the model.
        estimator: 2sls, liml or gmm.
        row: one row of labels.

    Raises:
        DataError: the instruments do not move the treatment.
    """
    fitted = _fitted_treatment(linear)
    if estimator == "2sls" or linear.instruments.shape[1] == 1:
        return _two_stage(linear, fitted, row)
    beta, scores = _liml(linear) if estimator == "liml" else _gmm(linear)[:2]
    influence = clear_noise((scores - scores.mean())[:, None], float(np.abs(linear.y).max(initial=0.0)))
    return Effects(estimate=np.array([beta]), labels=row, influence=influence, units=linear.units)


def _fitted_treatment(linear: Linear) -> Floats:
    """(n,) the treatment as instruments and covariates tell it."""
    _, x, z = linear.scaled()
    basis = np.linalg.qr(z)[0]
    fitted = basis @ (basis.T @ x[:, 0])
    outside = np.linalg.qr(x[:, 1:])[0]
    moved = fitted - outside @ (outside.T @ fitted)
    if float(np.linalg.norm(moved)) <= NOTHING * float(np.linalg.norm(x[:, 0])):
        raise DataError(
            code="E-IMP-348",
            what="no instrument moves the treatment: there is no effect to be told",
            found="a first stage of zero",
            expected="a treatment that differs with the instruments",
            fix="look at the columns under instruments and treatment, or name another instrument",
        )
    root = np.sqrt(linear.weights)
    return np.divide(fitted, root, out=np.zeros_like(fitted), where=root > 0)


def _two_stage(linear: Linear, fitted: Floats, row: pd.DataFrame) -> Effects:
    """Two-stage least squares as a regression, so that every convention for regressions serves.

    The regression of y - β d on fitted treatment and covariates has the coefficient 0 and the residuals of the
    structural equation: its scores are those of two-stage least squares.
    """
    names = ("fitted treatment", *linear.names)
    matrix = np.column_stack([fitted, linear.exogenous])
    contrast = np.eye(1, matrix.shape[1])
    beta = float(weighted_least_squares(linear.y, matrix, names, linear.weights).coefficients[0])
    left = weighted_least_squares(linear.y - beta * linear.treatment, matrix, names, linear.weights)
    return replace(left.to_effects(contrast, row, units=linear.units), estimate=np.array([beta]))


def _liml(linear: Linear) -> tuple[float, Floats]:
    """k-class with κ the smallest root of |Y′M_c Y - κ Y′M_z Y|, Y = [y, d]; scores (P_z x) e, κ as it is."""
    y, x, z = linear.scaled()
    both = np.column_stack([y, x[:, 0]])
    within, outside = (_left_over(both, basis) for basis in (x[:, 1:], z))
    kappa = float(linalg.eigh(within.T @ within, outside.T @ outside, eigvals_only=True)[0])
    left = _left_over(x, z)
    moved = x - kappa * left
    bread = np.linalg.inv(moved.T @ x)
    coefficients = bread @ (moved.T @ y)
    scores = (x - left) * (y - x @ coefficients)[:, None]
    return float(coefficients[0]), len(y) * (scores @ bread[0])


def _gmm(linear: Linear) -> tuple[float, Floats, float]:
    """Two steps: weights from the residuals of two-stage least squares, uncentred, by clusters where there are some.

    Returns:
        β, (n,) influence of the units, and Hansen's J.
    """
    y, x, z = linear.scaled()
    n, basis = len(y), np.linalg.qr(z)[0] * np.sqrt(len(y))  # any basis of z gives the same estimate
    first = np.linalg.lstsq(basis @ (basis.T @ x) / n, y, rcond=None)[0]
    moments = _sums(basis * (y - x @ first)[:, None], linear.groups)
    weight = np.linalg.inv(moments.T @ moments / n)
    slope = basis.T @ x / n
    bread = np.linalg.inv(slope.T @ weight @ slope)
    coefficients = bread @ (slope.T @ weight @ (basis.T @ y / n))
    scores = basis * (y - x @ coefficients)[:, None]
    mean = scores.mean(axis=0)
    influence = scores @ (weight @ slope @ bread[0])
    return float(coefficients[0]), influence, float(n * mean @ weight @ mean)


def _sums(rows: Floats, groups: np.ndarray | None) -> Floats:
    if groups is None:
        return rows
    out = np.zeros((int(groups.max()) + 1, rows.shape[1]))
    np.add.at(out, groups, rows)
    return out


def _left_over(columns: Floats, taken: Floats) -> Floats:
    basis = np.linalg.qr(taken)[0]
    return np.asarray(columns - basis @ (basis.T @ columns))


def restrictions(linear: Linear) -> dict[str, float]:
    """Whether several instruments tell one effect: Sargan's statistic and Hansen's J with their p-values.

    Sargan: n R² of the residuals of two-stage least squares on instruments and covariates (equal variances); J is that
    of two-step GMM.

    Source: Sargan (1958); Hansen (1982).
    """
    y, x, z = linear.scaled()
    basis = np.linalg.qr(z)[0]
    left = y - x @ np.linalg.lstsq(basis @ (basis.T @ x), y, rcond=None)[0]
    sargan, hansen = len(y) * float(np.sum((basis.T @ left) ** 2) / (left @ left)), _gmm(linear)[2]
    number = linear.instruments.shape[1] - 1
    return {
        "restrictions": float(number),
        "sargan": sargan,
        "sargan_p": inference.restrictions_p(sargan, number),
        "hansen": hansen,
        "hansen_p": inference.restrictions_p(hansen, number),
    }
