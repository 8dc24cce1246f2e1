"""Predictions by models that never saw the unit: folds, and the learners that serve them.

Linear and logit models are solved here, all folds together from sums over folds; other learners are scikit-learn's,
which is loaded only when one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evaluation.errors import DataError, SetupError
from evaluation.impact.covariates import Covariates, Floats, independent_columns
from evaluation.impact.products import products

if TYPE_CHECKING:
    from evaluation.settings.designs.weighting import DoublyRobust

Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]
ITERATIONS = 50
NEXT_IS_ROUNDING = 1e-6  # a Newton step of this size leaves an error of its square
STEEPEST = 1.0  # a logit step that moves no linear predictor by more than this never lowers the likelihood


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """What is predicted from what.

    Attributes:
        x: (n, k) covariates, centred and scaled, none of which follows from the others.
        treated: (n,) arm.
        sampling: (n,) sampling weights.
        outcome: (n,).
    """

    x: Floats
    treated: Mask
    sampling: Floats
    outcome: Floats


def predictions(
    covariates: Covariates, treated: Mask, sampling: Floats, outcome: Floats, groups: Codes, models: DoublyRobust
) -> Iterator[dict[str, Floats]]:
    """Score and predicted outcomes (n,) of each repetition, each row by models of the folds it is not in.

    Args:
        covariates: (n, k), complete.
        treated: (n,) arm.
        sampling: (n,) sampling weights.
        outcome: (n,).
        groups: (n,) codes of what stays together: clusters, or units.
        models: learners, folds, repetitions, bound and seed.

    Yields:
        score, treated and comparison: arguments of `doubly_robust.Nuisances`.

    Raises:
        DataError: too few groups for the folds, or an arm that some folds lack.
        SetupError: scikit-learn is not installed.

    Source: Chernozhukov and others (2018), *Econometrics Journal* 21(1), definitions 3.2 and 3.3.
    """
    kept = independent_columns(np.column_stack([np.ones(len(treated)), covariates.matrix]), sampling)[1:]
    matrix = covariates.matrix[:, kept]
    rows = Rows(
        x=(matrix - matrix.mean(axis=0)) / matrix.std(axis=0), treated=treated, sampling=sampling, outcome=outcome
    )
    for repetition in range(models.repetitions):
        seed = np.random.SeedSequence(models.seed, spawn_key=(repetition,))
        fold = folds_of(groups, treated, models.folds or 1, np.random.default_rng(seed))
        data, state = _Sorted.of(rows, fold), int(seed.generate_state(1)[0])
        yield {
            "score": np.clip(_score(rows, fold, data, models.score, state), models.bound, 1 - models.bound),
            "treated": _outcome(rows, fold, data, treated, models.outcome, state),
            "comparison": _outcome(rows, fold, data, ~treated, models.outcome, state),
        }


def folds_of(groups: Codes, treated: Mask, folds: int, rng: np.random.Generator) -> Codes:
    """(n,) fold of each row; groups stay whole, and where each row is a group of its own arms are spread evenly.

    Raises:
        DataError: fewer groups than folds, or an arm that is missing outside of some fold.
    """
    n_groups = int(groups.max()) + 1
    if n_groups < folds:
        raise _too_few(f"{n_groups} groups of units for {folds} folds")
    by_group = np.empty(n_groups, dtype=np.intp)
    if n_groups == len(groups):
        order = groups[rng.permutation(len(groups))]
        arm = np.empty(n_groups, dtype=bool)
        arm[groups] = treated
        order = np.concatenate([order[arm[order]], order[~arm[order]]])
    else:
        order = rng.permutation(n_groups)
    by_group[order] = np.arange(n_groups) % folds
    fold = by_group[groups]
    for side, name in ((treated, "treated"), (~treated, "comparison")):
        counts = np.bincount(fold[side], minlength=folds)
        if (counts.sum() - counts < 1).any():
            raise _too_few(f"outside of one fold there is no {name} row")
    return np.asarray(fold)


def _too_few(found: str) -> DataError:
    return DataError(
        code="E-IMP-234",
        what="the sample cannot be split into folds that each leave both arms to learn from",
        found=found,
        expected="several groups of each arm for each fold",
        fix="use fewer folds, or no folds with linear and logit models",
    )


def _score(rows: Rows, fold: Codes, data: _Sorted, kind: str, seed: int) -> Floats:
    treated = rows.treated.astype(float)
    if kind == "logit":
        return _logit(data, treated, rows.sampling)
    return _learned(rows, fold, treated, rows.sampling, _classifier(kind, seed))


def _outcome(rows: Rows, fold: Codes, data: _Sorted, arm: Mask, kind: str, seed: int) -> Floats:
    weights = np.where(arm, rows.sampling, 0.0)
    if kind == "linear":
        return _linear(data, rows.outcome, weights)
    if kind == "logit":
        _require_shares(rows.outcome)
        return _logit(data, rows.outcome, weights)
    return _learned(rows, fold, rows.outcome, weights, _regressor(kind, seed))


# few parameters: all folds from sums over folds -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sorted:
    """Rows in the order of their folds, so that each fold, and what is outside of it, are slices.

    Attributes:
        order: (n,) positions of the rows.
        columns: (1 + k, n) a constant and the covariates, stored one after the other.
        bounds: (folds + 1,) where folds begin and end.
    """

    order: Codes
    columns: Floats
    bounds: Codes

    @classmethod
    def of(cls, rows: Rows, fold: Codes) -> _Sorted:
        order = np.argsort(fold.astype(np.int16), kind="stable")
        columns = np.empty((1 + rows.x.shape[1], len(fold)))
        columns[0], columns[1:] = 1.0, np.take(rows.x, order, axis=0).T
        bounds = np.r_[0, np.cumsum(np.bincount(fold))]
        return cls(order=order, columns=columns, bounds=bounds)

    def inside(self, number: int) -> slice:
        return slice(int(self.bounds[number]), int(self.bounds[number + 1]))

    def outside(self, number: int) -> list[slice]:
        inside = self.inside(number)
        return [slice(0, inside.start), slice(inside.stop, len(self.order))]

    def back(self, predicted: Floats) -> Floats:
        out = np.empty_like(predicted)
        out[self.order] = predicted
        return out

    @property
    def folds(self) -> range:
        return range(len(self.bounds) - 1)


def _linear(data: _Sorted, values: Floats, weights: Floats) -> Floats:
    """Least squares without each fold: moments of all rows less those of the fold."""
    wide, w = np.vstack([data.columns, values[data.order]]), weights[data.order]
    moments = np.array([products(wide[:, part], w[part]) for part in map(data.inside, data.folds)])
    rest = moments.sum(axis=0) - moments
    predicted = np.empty(len(w))
    for number in data.folds:
        part = data.inside(number)
        predicted[part] = _solved(rest[number][:-1, :-1], rest[number][:-1, -1]) @ data.columns[:, part]
    return data.back(predicted)


def _logit(data: _Sorted, values: Floats, weights: Floats) -> Floats:
    """Logits without each fold: Newton's method from the fit to all rows, whose derivatives serve all folds once."""
    model = _Logit(columns=data.columns, share=values[data.order], weights=weights[data.order])
    everybody = model.newton([slice(0, len(values))], np.zeros(len(data.columns)))
    derivatives = [model.derivatives([data.inside(number)], everybody) for number in data.folds]
    score, information = sum(each[0] for each in derivatives), sum(each[1] for each in derivatives)
    predicted = np.empty(len(values))
    for number, (own_score, own_information) in zip(data.folds, derivatives, strict=True):
        start = everybody + _solved(information - own_information, score - own_score)
        part = data.inside(number)
        predicted[part] = expit(model.newton(data.outside(number), start) @ data.columns[:, part])
    return data.back(predicted)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Logit:
    """A logit of shares (n,) in columns (k, n), fitted to slices of the rows."""

    columns: Floats
    share: Floats
    weights: Floats

    def newton(self, parts: list[slice], beta: Floats) -> Floats:
        for _ in range(ITERATIONS):
            score, information = self.derivatives(parts, beta)
            step = _solved(information, score)
            moved = max(float(np.abs(step @ self.columns[:, part]).max(initial=0.0)) for part in parts)
            beta = beta + step / max(1.0, moved / STEEPEST)
            if np.abs(step).max() <= NEXT_IS_ROUNDING:
                return beta
        raise DataError(
            code="E-IMP-235",
            what="a logit model that leaves one fold out has no maximum: covariates decide its outcome",
            found=f"no maximum within {ITERATIONS} Newton steps",
            expected="both arms, or an outcome that varies, at every value of the covariates",
            fix="use fewer folds, merge rare levels, or a learner that shrinks (ridge)",
        )

    def derivatives(self, parts: list[slice], beta: Floats) -> tuple[Floats, Floats]:
        """Score (k,) and information (k, k) of the likelihood over some slices."""
        score, information = np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
        for part in parts:
            columns, weights = self.columns[:, part], self.weights[part]
            p = expit(beta @ columns)
            score += columns @ (weights * (self.share[part] - p))
            information += products(columns, weights * p * (1 - p))
        return score, information


def _solved(matrix: Floats, right: Floats) -> Floats:
    """By Cholesky; by least squares where a column says nothing without the fold."""
    try:
        lower = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=1e-12)[0])
    return np.asarray(np.linalg.solve(lower.T, np.linalg.solve(lower, right)))


def _require_shares(outcome: Floats) -> None:
    if outcome.min() < 0 or outcome.max() > 1:
        raise DataError(
            code="E-IMP-236",
            what="a logit model of the outcome in folds needs an outcome from 0 to 1",
            found=f"values from {outcome.min():.6g} to {outcome.max():.6g}",
            expected="0/1 or shares",
            fix="doubly_robust: {outcome: linear}",
        )


# learners -------------------------------------------------------------------------------------------------------------


def _learned(rows: Rows, fold: Codes, values: Floats, weights: Floats, learner: Any) -> Floats:
    from sklearn.base import clone

    predicted = np.empty(len(fold))
    for number in range(int(fold.max()) + 1):
        at = np.flatnonzero(fold == number)
        others = np.flatnonzero((fold != number) & (weights > 0))
        fitted = clone(learner).fit(rows.x[others], values[others], sample_weight=weights[others])
        found = (
            fitted.predict_proba(rows.x[at])[:, 1] if hasattr(fitted, "predict_proba") else fitted.predict(rows.x[at])
        )
        predicted[at] = found
    return predicted


def _regressor(kind: str, seed: int) -> Any:
    """A learner of the outcome; defaults of scikit-learn except what stands here."""
    _require_scikit_learn()
    from sklearn import ensemble, linear_model

    if kind == "lasso":
        return linear_model.LassoCV(cv=5)
    if kind == "ridge":
        return linear_model.RidgeCV(alphas=np.logspace(-3, 5, 17))
    if kind == "random_forest":
        return ensemble.RandomForestRegressor(n_estimators=200, min_samples_leaf=5, random_state=seed)
    return ensemble.HistGradientBoostingRegressor(max_iter=100, learning_rate=0.05, random_state=seed)


def _classifier(kind: str, seed: int) -> Any:
    """A learner of the treatment."""
    _require_scikit_learn()
    from sklearn import ensemble, linear_model

    if kind in ("lasso", "ridge"):
        ratio, solver = (1.0, "saga") if kind == "lasso" else (0.0, "lbfgs")
        return linear_model.LogisticRegressionCV(
            l1_ratios=(ratio,), solver=solver, cv=5, Cs=8, scoring="neg_log_loss", max_iter=2000, tol=1e-3,
            random_state=seed, use_legacy_attributes=False,
        )  # fmt: skip
    if kind == "random_forest":
        return ensemble.RandomForestClassifier(n_estimators=200, min_samples_leaf=5, random_state=seed)
    return ensemble.HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=seed)


def _require_scikit_learn() -> None:
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        raise SetupError(
            code="E-IMP-237",
            what="learners need scikit-learn, which is not installed",
            expected="the environment that `python3 run.py setup` makes",
            fix="python3 run.py setup, or doubly_robust: {outcome: linear, score: logit}",
        ) from error
