"""Entropy balancing: the weights closest to equal ones that give a group the covariate means of another.

Means are made equal exactly, or up to a tolerance, which keeps weights calmer; the target is another group, everybody,
or the means of a population that is not in the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.arm_weights import ArmWeights
from evaluation.impact.covariates import Covariates, Floats, independent_columns
from evaluation.impact.products import AT_A_TIME

ITERATIONS = 200
SWEEPS = 500  # of coordinate descent within a step with a tolerance
# Largest difference of means, in standard deviations of the target, that counts as balanced: rounding error.
BALANCED = 1e-10
CONSTANT = 1e-13  # of its mean: a spread that is rounding error
CLEAR = 1e-3  # share of a column's length that the others leave, where its correlations know it for certain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balancing:
    """Weights that balance, and how they depend on the data.

    Attributes:
        arm: weights of the group, 0 for all others, with the influence of each row on them; they sum to the target's.
        left_out: labels of covariates that add nothing to earlier ones.
        active: labels of covariates whose means are held; with a tolerance others are within it by themselves.
    """

    arm: ArmWeights
    left_out: tuple[str, ...]
    active: tuple[str, ...]

    @property
    def weights(self) -> Floats:
        """(n,) weights."""
        return self.arm.weights


def balance(
    covariates: Covariates,
    group: NDArray[np.bool_],
    base: Floats,
    target: Floats | ArmWeights,
    *,
    tolerance: float = 0.0,
) -> Balancing:
    """Weights w = base exp(C'l) of a group with sum w C = sum target C, C = [1, covariates].

    The dual, log sum base exp(Z'l) + tolerance |l|_1 with Z centred at the target means and scaled, is convex; Newton
    steps are halved until they lower it (Armijo). At the minimum the weighted means of Z are zero; with a tolerance
    they are at most that far from it, and exactly that far where l is not zero.

    Influence: with m_i = C_i (target_i - w_i) [- tolerance sign(l) target_i (1 + Z_i²)/2, because the standard
    deviation is estimated], H = sum w C C' / n, the influence on l is H^-1 m_i over the columns that are held.

    Args:
        covariates: (n, k), complete.
        group: (n,) rows that get weights.
        base: (n,) base weights, positive in the group.
        target: weights of the rows whose means are the target; `ArmWeights` if they were estimated themselves.
        tolerance: largest difference of means, in standard deviations of the target.

    Raises:
        DataError: no positive weights reach the target means, with the covariates that stay apart.

    Source: Hainmueller (2012), section 3; Zhao and Percival (2017) for the dual; Wang and Zubizarreta (2020) for the
        tolerance.
    """
    wanted = target if isinstance(target, ArmWeights) else ArmWeights(weights=target)
    total = float(wanted.weights.sum())
    center, spread = _moments(covariates.matrix, wanted.weights)
    frame = _Frame.of(covariates.matrix, np.flatnonzero(group), base, center, spread)
    labels = np.array(covariates.labels, dtype=object)
    point, dual = _solve(frame, tuple(labels[frame.kept]), tolerance)
    solved, active = point.weights, dual != 0 if tolerance else np.ones(len(dual), dtype=bool)
    _require_balanced(frame.z[~frame.kept] @ solved, tuple(labels[~frame.kept]), tolerance)
    held = np.flatnonzero(frame.kept)[active]
    weights = np.zeros(len(group))
    weights[frame.rows] = total * solved
    bread = point.bread(active, total / len(group))
    gap = -tolerance * np.sign(dual[active]) if tolerance else np.zeros(0)
    arm = _with_influence(frame, covariates.matrix, wanted, weights, held, bread, gap)
    return Balancing(arm=arm, left_out=tuple(labels[~frame.kept]), active=tuple(labels[held]))


def calibrate(covariates: Covariates, base: Floats, means: Floats) -> Balancing:
    """Weights of all rows, closest to `base`, with given covariate means; the means are taken as known.

    Args:
        covariates: (n, k), complete; only the columns that have a mean.
        base: (n,) positive.
        means: (k,) of the population.

    Raises:
        DataError: no positive weights reach the means.

    Source: Deville and Särndal (1992), *JASA* 87(418), raking.
    """
    _, spread = _moments(covariates.matrix, base)
    frame = _Frame.of(covariates.matrix, np.arange(len(base)), base, means, spread)
    labels = np.array(covariates.labels, dtype=object)
    point, _ = _solve(frame, tuple(labels[frame.kept]), 0.0)
    _require_balanced(frame.z[~frame.kept] @ point.weights, tuple(labels[~frame.kept]), 0.0)
    weights, held = base.sum() * point.weights, np.flatnonzero(frame.kept)
    bread = point.bread(np.ones(len(held), dtype=bool), float(base.mean()))

    def carry(gradient: Floats) -> Floats:
        through = bread @ gradient
        return np.asarray((base - weights) * through[0] - weights * (through[1:] @ frame.z[held]))

    arm = ArmWeights(weights=weights, pull=lambda values: frame.sums(values * weights, held), carry=carry)
    return Balancing(arm=arm, left_out=tuple(labels[~frame.kept]), active=tuple(labels[held]))


def _moments(matrix: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(k,) weighted means and standard deviations."""
    rows = np.flatnonzero(weights)
    part, share = _taken(matrix, rows), weights[rows] / weights[rows].sum()
    center = part @ share
    part -= center[:, None]
    spread = np.sqrt(np.square(part, out=part) @ share)
    return center, np.where(spread <= CONSTANT * np.abs(center), 0.0, spread)


def _taken(matrix: Floats, rows: NDArray[np.intp]) -> Floats:
    """(k, m) columns of some rows, stored one after the other."""
    return np.ascontiguousarray(np.take(matrix, rows, axis=0).T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Point:
    """The dual at one place, without the tolerance's part.

    Attributes:
        exponent: (m,) logs of the weights, up to `value`.
        value: log of the sum of the weights, which is the dual.
        gradient: (k,) weighted means of the columns.
        squares: (k, k) weighted means of their products.
    """

    exponent: Floats
    value: float
    gradient: Floats
    squares: Floats

    @classmethod
    def at(cls, z: Floats, log_base: Floats, dual: Floats) -> _Point:
        """One pass over the rows, some at a time, which stay in the cache; the largest exponent is taken out."""
        k, m = z.shape
        exponent, some = np.empty(m), np.empty((k, AT_A_TIME))
        top, total, first, second = -np.inf, 0.0, np.zeros(k), np.zeros((k, k))
        for begin in range(0, m, AT_A_TIME):
            here = slice(begin, min(begin + AT_A_TIME, m))
            part = z[:, here]
            exponent[here] = dual @ part + log_base[here]
            high = float(exponent[here].max())
            if high > top:
                shrink = float(np.exp(top - high))
                top, total, first, second = high, shrink * total, shrink * first, shrink * second
            weights = np.exp(exponent[here] - top)
            total += float(weights.sum())
            first += part @ weights
            second += np.multiply(part, weights, out=some[:, : len(weights)]) @ part.T
        return cls(exponent=exponent, value=top + float(np.log(total)), gradient=first / total, squares=second / total)

    @property
    def weights(self) -> Floats:
        """(m,) weights that sum to one."""
        return np.asarray(np.exp(self.exponent - self.value))

    def bread(self, held: NDArray[np.bool_], mean_weight: float) -> Floats:
        """Inverse of mean(w [1, z] [1, z]') over all rows, for the columns held."""
        first, second = self.gradient[held], self.squares[np.ix_(held, held)]
        return np.asarray(
            np.linalg.inv(mean_weight * np.block([[np.ones((1, 1)), first[None]], [first[:, None], second]]))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """The rows that get weights, with columns that are centred at the target and scaled.

    Attributes:
        z: (k, m) columns, stored one after the other.
        log_base: (m,) logs of base weights.
        rows: (m,) positions among all rows.
        center, scale: (k,).
        kept: (k,) columns that are no combination of earlier ones within these rows.
        start: the dual at zero, over the kept columns.
    """

    z: Floats
    log_base: Floats
    rows: NDArray[np.intp]
    center: Floats
    scale: Floats
    kept: NDArray[np.bool_]
    start: _Point

    @classmethod
    def of(cls, matrix: Floats, rows: NDArray[np.intp], base: Floats, center: Floats, spread: Floats) -> _Frame:
        scale, log_base = np.where(spread > 0, spread, 1.0), np.log(np.take(base, rows))
        z = _taken(matrix, rows)
        z -= center[:, None]
        z /= scale[:, None]
        start, kept = _Point.at(z, log_base, np.zeros(len(z))), np.ones(len(z), dtype=bool)
        if not _clearly_independent(start.gradient, start.squares):
            kept = independent_columns(np.vstack([np.ones(len(rows)), z]).T)[1:]
            start = _Point.at(z[kept], log_base, np.zeros(int(kept.sum())))
        return cls(z=z, log_base=log_base, rows=rows, center=center, scale=scale, kept=kept, start=start)

    def sums(self, values: Floats, held: NDArray[np.intp]) -> Floats:
        """(1 + held,) sums of [1, z] times the values (n,) of these rows."""
        own = values[self.rows]
        return np.asarray(np.r_[own.sum(), (self.z @ own)[held]])


def _clearly_independent(means: Floats, squares: Floats) -> bool:
    """True where correlations alone show that no column is a constant or near the others; False says nothing."""
    size = np.sqrt(np.diag(squares))
    if not (size > 0).all():
        return False
    try:
        pivots = np.diag(np.linalg.cholesky((squares - np.outer(means, means)) / np.outer(size, size)))
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min(initial=1.0) > CLEAR)


def _with_influence(
    frame: _Frame,
    matrix: Floats,
    wanted: ArmWeights,
    weights: Floats,
    held: NDArray[np.intp],
    bread: Floats,
    gap: Floats,
) -> ArmWeights:
    """The arm with what each row does to the dual; `gap` (held,) is the difference of means that is left, in SD."""
    target = wanted.weights

    def carry(gradient: Floats) -> Floats:
        through = bread @ gradient
        slopes = np.zeros(matrix.shape[1])
        slopes[held] = through[1:] / frame.scale[held]
        own = through[0] - frame.center @ slopes + matrix @ slopes
        moved = own
        if len(gap):  # the tolerance is in standard deviations of the target, which its rows move
            squares = ((matrix[:, held] - frame.center[held]) / frame.scale[held]) ** 2
            moved = own + 0.5 * (1 + squares) @ (gap * through[1:])
        return np.asarray(target * moved - weights * own + wanted.through(moved))

    return ArmWeights(weights=weights, pull=lambda values: frame.sums(values * weights, held), carry=carry)


# the dual -------------------------------------------------------------------------------------------------------------


def _solve(frame: _Frame, names: tuple[str, ...], tolerance: float) -> tuple[_Point, Floats]:
    """Where the kept columns have the weighted mean zero, up to the tolerance, and the dual (kept,)."""
    z = frame.z if frame.kept.all() else frame.z[frame.kept]
    dual, point = np.zeros(len(z)), frame.start
    for _ in range(ITERATIONS):
        if np.abs(_left(point.gradient, dual, tolerance)).max(initial=0.0) <= BALANCED:
            return point, dual
        curvature = point.squares - np.outer(point.gradient, point.gradient)
        step = _penalised_step(curvature, point.gradient, dual, tolerance) if tolerance else _step(curvature, point, z)
        dual, point = _stepped(z, frame.log_base, dual, point, step, tolerance)
    raise _unreachable(names, _left(point.gradient, dual, tolerance))


def _left(gradient: Floats, dual: Floats, tolerance: float) -> Floats:
    """What is left of the first-order conditions."""
    outside = np.sign(gradient) * np.maximum(np.abs(gradient) - tolerance, 0.0)
    return np.where(dual != 0, gradient + tolerance * np.sign(dual), outside)


def _step(curvature: Floats, point: _Point, z: Floats) -> Floats:
    """Newton's step; where the curvature is badly conditioned by QR of its root."""
    try:
        lower = np.linalg.cholesky(curvature)
    except np.linalg.LinAlgError:
        return _step_by_qr(point, z)
    if np.diag(lower).min(initial=1.0) <= 1e-3 * np.diag(lower).max(initial=1.0):
        return _step_by_qr(point, z)
    return np.asarray(np.linalg.solve(lower.T, np.linalg.solve(lower, -point.gradient)))


def _step_by_qr(point: _Point, z: Floats) -> Floats:
    r = np.asarray(np.linalg.qr((np.sqrt(point.weights) * (z - point.gradient[:, None])).T, mode="r"))
    half = np.linalg.lstsq(r.T, -point.gradient, rcond=1e-13)[0]
    return np.asarray(np.linalg.lstsq(r, half, rcond=1e-13)[0])


def _penalised_step(curvature: Floats, gradient: Floats, dual: Floats, tolerance: float) -> Floats:
    """Minimum of the quadratic model plus tolerance |dual + step|_1: coordinate descent, then exact on its support."""
    ridge = curvature + 1e-12 * np.trace(curvature) / len(dual) * np.eye(len(dual))
    new = dual.copy()
    for _ in range(SWEEPS):
        before = new.copy()
        for j in range(len(new)):
            slope = gradient[j] + ridge[j] @ (new - dual) - ridge[j, j] * (new[j] - dual[j])
            aim = ridge[j, j] * dual[j] - slope
            new[j] = np.sign(aim) * max(abs(aim) - tolerance, 0.0) / ridge[j, j]
        if np.abs(new - before).max() <= 1e-9 * (1 + np.abs(new).max()):
            break
    support = new != 0
    pulled = gradient + ridge @ np.where(support, -dual, new - dual) + tolerance * np.sign(new)
    exact = np.zeros_like(new)
    exact[support] = np.linalg.solve(ridge[np.ix_(support, support)], -pulled[support])
    return np.where((np.sign(exact) == np.sign(new)).all(), exact, new) - dual


def _stepped(
    z: Floats, log_base: Floats, dual: Floats, point: _Point, step: Floats, tolerance: float
) -> tuple[Floats, _Point]:
    """The largest of 1, 1/2, 1/4 … of the step that lowers the dual enough (Armijo, 1e-4)."""
    start, share = point.value + tolerance * np.abs(dual).sum(), 1.0
    slope = float(point.gradient @ step) + tolerance * float(np.abs(dual + step).sum() - np.abs(dual).sum())
    while True:
        new = dual + share * step
        there = _Point.at(z, log_base, new)
        value = there.value + tolerance * np.abs(new).sum()
        if value <= start + 1e-4 * share * slope + 1e-14 or share <= 1e-10:
            return new, there
        share /= 2


def _require_balanced(gap: Floats, names: tuple[str, ...], tolerance: float) -> None:
    """A column that is constant in the group, or follows from others there, cannot be moved: it must be balanced."""
    if (np.abs(gap) > tolerance + 1e-8).any():
        raise _unreachable(names, gap)


def _unreachable(names: tuple[str, ...], gap: Floats) -> DataError:
    apart = [(name, float(g)) for name, g in zip(names, gap, strict=True) if abs(g) > 0.1 * np.abs(gap).max()]
    return DataError(
        code="E-IMP-055",
        what="no weights give the groups the same means",
        where=", ".join(name for name, _ in apart),
        found="; ".join(f"{name}: {g:+.3g} standard deviations apart" for name, g in apart),
        expected="a target within the range of the weighted group",
        fix="drop a covariate or merge rare levels, allow a tolerance, or use weights: inverse_probability with trim",
    )
