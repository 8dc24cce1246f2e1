"""Entropy balancing: the weights closest to equal ones that give a group the covariate means of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, Floats, independent_columns

ITERATIONS = 200
# Largest difference of means, in standard deviations of the target, that counts as balanced: rounding error.
BALANCED = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balancing:
    """Weights that balance, and how they depend on the data.

    Attributes:
        weights: (n,) weights of the group, 0 for all others; they sum to the target's weights.
        moments: (n, k) columns that are balanced, the constant first.
        left_out: labels of covariates that add nothing to earlier ones.
    """

    weights: Floats
    moments: Floats
    left_out: tuple[str, ...]


def balance(covariates: Covariates, group: NDArray[np.bool_], base: Floats, target: Floats) -> Balancing:
    """Weights w = base exp(C'l) of a group with sum w C = sum target C, C = [1, covariates].

    The dual, log sum base exp(Z'l) with Z centred at the target means, is convex; Newton steps are halved until they
    lower it (Armijo). At the minimum the weighted means of Z are zero.

    Args:
        covariates: (n, k), complete.
        group: (n,) rows that get weights.
        base: (n,) base weights, positive in the group.
        target: (n,) weights of the rows whose means are the target.

    Raises:
        DataError: no positive weights reach the target means, with the covariates that stay apart.

    Source: Hainmueller (2012), section 3; Zhao and Percival (2017) for the dual.
    """
    center = target @ covariates.matrix / target.sum()
    spread = np.sqrt(target @ (covariates.matrix - center) ** 2 / target.sum())
    scale = np.where(spread > 0, spread, 1.0)
    moments = (covariates.matrix - center) / scale
    kept = independent_columns(np.column_stack([np.ones(len(moments)), moments])[group])[1:]
    left_out = tuple(np.array(covariates.labels, dtype=object)[~kept])
    names = tuple(np.array(covariates.labels, dtype=object)[kept])
    weights = np.zeros(len(moments))
    weights[group] = target.sum() * _solve(moments[group][:, kept], base[group], names)
    _require_balanced(weights[group] @ moments[group][:, ~kept] / target.sum(), left_out)
    return Balancing(
        weights=weights, moments=np.column_stack([np.ones(len(moments)), moments[:, kept]]), left_out=left_out
    )


def _solve(z: Floats, base: Floats, names: tuple[str, ...]) -> Floats:
    """(m,) weights that sum to one and give columns of z the mean zero."""
    log_base, dual = np.log(base), np.zeros(z.shape[1])
    for _ in range(ITERATIONS):
        weights = _weights(z, log_base, dual)
        gradient = weights @ z
        if np.abs(gradient).max(initial=0.0) <= BALANCED:
            return weights
        step = _step(z, weights, gradient)
        dual = dual + _share(z, log_base, dual, step, gradient) * step
    raise _unreachable(names, gradient)


def _weights(z: Floats, log_base: Floats, dual: Floats) -> Floats:
    exponent = log_base + z @ dual
    return np.asarray(np.exp(exponent - logsumexp(exponent)))


def _step(z: Floats, weights: Floats, gradient: Floats) -> Floats:
    """Newton's step, minus the inverse of the weighted covariance of z times the gradient, by QR of its root."""
    r = np.asarray(np.linalg.qr(np.sqrt(weights)[:, None] * (z - gradient), mode="r"))
    half = np.linalg.lstsq(r.T, -gradient, rcond=1e-13)[0]
    return np.asarray(np.linalg.lstsq(r, half, rcond=1e-13)[0])


def _share(z: Floats, log_base: Floats, dual: Floats, step: Floats, gradient: Floats) -> float:
    """The largest of 1, 1/2, 1/4 … that lowers the dual enough (Armijo, 1e-4)."""
    start, slope, share = _dual(z, log_base, dual), float(gradient @ step), 1.0
    while share > 1e-10 and _dual(z, log_base, dual + share * step) > start + 1e-4 * share * slope + 1e-14:
        share /= 2
    return share


def _dual(z: Floats, log_base: Floats, dual: Floats) -> float:
    return float(logsumexp(log_base + z @ dual))


def _require_balanced(gap: Floats, names: tuple[str, ...]) -> None:
    """A column that is constant in the group, or follows from others there, cannot be moved: it must be balanced."""
    if (np.abs(gap) > 1e-8).any():
        raise _unreachable(names, gap)


def _unreachable(names: tuple[str, ...], gap: Floats) -> DataError:
    apart = [(name, float(g)) for name, g in zip(names, gap, strict=True) if abs(g) > 0.1 * np.abs(gap).max()]
    return DataError(
        code="E-IMP-055",
        what="no weights give the groups the same means",
        where=", ".join(name for name, _ in apart),
        found="; ".join(f"{name}: {g:+.3g} standard deviations apart" for name, g in apart),
        expected="a target within the range of the weighted group",
        fix="drop a covariate or merge rare levels, or use weights: inverse_probability with trim",
    )
