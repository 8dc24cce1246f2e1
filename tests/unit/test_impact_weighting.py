"""Weighting: shares by hand, exact balance, influence as derivative, trimming said aloud, refusals."""

from typing import Any

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.impact import weighting
from evaluation.impact.balancing import balance
from evaluation.impact.covariates import Covariates

# x = 0: 1 of 4 treated (score 1/4); x = 1: 3 of 4 (score 3/4). Outcomes: treated 5 | 9, 9, 9; others 1, 2, 3 | 4.
X = np.repeat([0.0, 1.0], 4)
TREATED = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
OUTCOME = np.array([5.0, 1, 2, 3, 9, 9, 9, 4])


def test_inverse_probability_by_hand(arms: Any) -> None:
    # ate: each group counts half: treated (5 + 9) / 2 = 7, others (2 + 4) / 2 = 3, effect 4.
    # att: 1/4 of the treated have x = 0: treated 8, others (2 + 3 * 4) / 4 = 3.5, effect 4.5.
    for estimand, effect in (("ate", 4.0), ("att", 4.5)):
        sample, design = arms("weighting", OUTCOME, TREATED, {"x": X}, estimand=estimand)
        found = weighting.estimate(sample, design)
        assert found.blocks[0].effects.estimate[0] == pytest.approx(effect, abs=1e-12)
        assert found.estimand == estimand
    np.testing.assert_allclose(found.balance_weights[~TREATED], [1 / 3, 1 / 3, 1 / 3, 3], atol=1e-12)


def test_entropy_balancing_by_hand(arms: Any) -> None:
    # Means of a 0/1 covariate: the same weights as above, 1/4 on x = 0 (three units) and 3/4 on x = 1 (one).
    sample, design = arms("weighting", OUTCOME, TREATED, {"x": X}, weights="entropy_balancing")
    found = weighting.estimate(sample, design)
    assert found.blocks[0].effects.estimate[0] == pytest.approx(4.5, abs=1e-9)
    np.testing.assert_allclose(found.balance_weights[~TREATED], [1 / 3, 1 / 3, 1 / 3, 3], atol=1e-8)


def test_entropy_balancing_halves_steps_that_overshoot() -> None:
    # A target far out in the tail of a skewed covariate: full Newton steps from equal weights overshoot.
    x = np.r_[np.exp(np.linspace(0, 8, 200)), 2500.0]
    group = np.arange(201) < 200
    covariates = Covariates(matrix=x[:, None], labels=("wealth",), columns=("covariate_1",))
    weights = balance(covariates, group, np.ones(201), np.where(group, 0.0, 1.0)).weights
    assert weights[group] @ x[group] == pytest.approx(2500, rel=1e-9)
    assert weights.sum() == pytest.approx(1)


def _drawn(n: int = 80, seed: int = 20250301) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    covariates = {"a": rng.normal(size=n), "b": rng.exponential(size=n), "c": rng.integers(0, 2, n).astype(float)}
    treated = rng.random(n) < 1 / (1 + np.exp(0.7 - 0.8 * covariates["a"] - 0.4 * covariates["c"]))
    return rng.normal(size=n) + covariates["a"] + treated, treated, covariates


@pytest.mark.parametrize("estimand", ["att", "ate"])
def test_entropy_balancing_gives_exactly_the_means_of_the_target(arms: Any, estimand: str) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, weights="entropy_balancing", estimand=estimand)
    weights = weighting.estimate(sample, design).balance_weights
    target = treated if estimand == "att" else np.ones(len(treated), dtype=bool)
    for x in covariates.values():
        for arm in (treated, ~treated):
            mean = weights[arm] @ x[arm] / weights[arm].sum()
            assert mean == pytest.approx(x[target].mean(), abs=1e-8)


@pytest.mark.parametrize("options", [{}, {"trim": 0.1}, {"weights": "entropy_balancing"}])
@pytest.mark.parametrize("estimand", ["att", "ate"])
def test_influence_is_the_infinitesimal_jackknife(arms: Any, options: dict[str, Any], estimand: str) -> None:
    # influence_i = n * d effect / d weight_i at equal weights, by central differences.
    outcome, treated, covariates = _drawn()
    n, h = len(outcome), 1e-4

    def effect(weight: np.ndarray) -> Any:
        sample, design = arms("weighting", outcome, treated, covariates, weight=weight, estimand=estimand, **options)
        return weighting.estimate(sample, design).blocks[0].effects

    influence = effect(np.ones(n)).dense()[:, 0]
    for i in range(0, n, 9):
        step = np.zeros(n)
        step[i] = h
        slope = (effect(1 + step).estimate[0] - effect(1 - step).estimate[0]) / (2 * h)
        assert influence[i] == pytest.approx(n * slope, abs=1e-6)


def test_weights_that_are_known_give_the_regression_error_instead(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, inference={"std_error": "hc2"})
    block = weighting.estimate(sample, design).blocks[0]
    default = weighting.estimate(*arms("weighting", outcome, treated, covariates)).blocks[0]
    assert (block.kind, default.kind) == ("hc2", "influence")
    assert block.effects.estimate[0] == pytest.approx(default.effects.estimate[0], rel=1e-12)


def test_trimming_is_said_aloud(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, trim=0.2, estimand="ate")
    found = weighting.estimate(sample, design)
    out = (found.score < 0.2) | (found.score > 0.8)
    assert out.any()
    np.testing.assert_array_equal(found.balance_weights == 0, out)
    said = f"{(out & treated).sum()} treated and {(out & ~treated).sum()} comparison units have a score within 0.2 of 0"
    assert said in found.notes[1]


def test_secondary_outcomes_use_the_rows_that_have_them(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    second = np.where(np.arange(len(outcome)) % 5 == 0, np.nan, 2.0 * treated)
    for weights in ("inverse_probability", "entropy_balancing"):
        sample, design = arms("weighting", outcome, treated, covariates, secondary={"z": second}, weights=weights)
        blocks = weighting.estimate(sample, design).blocks
        assert blocks[1].effects.estimate[0] == pytest.approx(2.0, abs=1e-12)
        assert blocks[2].effects.labels["term"].tolist() == ["raw_difference"]


def test_clusters_sum_influences(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, cluster=np.arange(len(outcome)) // 5)
    assert weighting.estimate(sample, design).blocks[0].solved().n_clusters == {"cluster": 16}


def test_rows_of_one_unit_count_as_one_cluster(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    unit = np.repeat(np.arange(40), 2)
    treated = treated[unit * 2]
    as_units = weighting.estimate(*arms("weighting", outcome, treated, covariates, unit=unit)).blocks[0].table(0.95)
    as_clusters = (
        weighting.estimate(*arms("weighting", outcome, treated, covariates, cluster=unit)).blocks[0].table(0.95)
    )
    assert as_units["std_error"].item() == pytest.approx(as_clusters["std_error"].item(), rel=1e-10)


@pytest.mark.parametrize("weights", ["inverse_probability", "entropy_balancing"])
def test_covariates_that_add_nothing_are_left_out_and_named(arms: Any, weights: str) -> None:
    outcome, treated, covariates = _drawn()
    more = {**covariates, "constant": np.ones(len(outcome)), "twice": 2 * covariates["a"]}
    found = weighting.estimate(*arms("weighting", outcome, treated, more, weights=weights, estimand="ate"))
    same = weighting.estimate(*arms("weighting", outcome, treated, covariates, weights=weights, estimand="ate"))
    assert "Left out because they add nothing to earlier covariates: constant, twice." in found.notes
    assert found.blocks[0].effects.estimate[0] == pytest.approx(same.blocks[0].effects.estimate[0], rel=1e-8)


def test_a_territory_is_said_not_to_be_estimated(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, territory=np.full(len(outcome), "urban"))
    assert "Effects by territory are not estimated by weighting." in weighting.estimate(sample, design).notes


def test_means_out_of_reach_are_refused_with_the_covariate(arms: Any) -> None:
    rng = np.random.default_rng(20250302)
    treated = np.arange(60) < 20
    income = np.where(treated, 10.0, 0.0) + rng.random(60)  # no comparison unit earns as much as any treated one
    sample, design = arms(
        "weighting", income, treated, {"income": income, "a": rng.random(60)}, weights="entropy_balancing"
    )
    with pytest.raises(DataError) as caught:
        weighting.estimate(sample, design)
    assert caught.value.code == "E-IMP-055"
    assert "income" in caught.value.where


def test_a_level_nobody_has_in_the_comparison_is_out_of_reach(arms: Any) -> None:
    treated = np.arange(40) < 20
    rare = np.where(np.arange(40) < 3, 1.0, 0.0)
    sample, design = arms("weighting", rare, treated, {"rare": rare}, weights="entropy_balancing")
    with pytest.raises(DataError) as caught:
        weighting.estimate(sample, design)
    assert (caught.value.code, caught.value.where) == ("E-IMP-055", "rare")


def test_trimming_everybody_is_refused(arms: Any) -> None:
    x = np.r_[np.linspace(0, 1, 20), np.linspace(0.9, 2, 20)]
    sample, design = arms("weighting", x, np.arange(40) >= 20, {"x": 10 * x}, trim=0.49)
    with pytest.raises(DataError) as caught:
        weighting.estimate(sample, design)
    assert caught.value.code == "E-IMP-056"
