"""Weighting: shares by hand, exact balance, influence as derivative, trimming said aloud, refusals."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.impact import weighting
from evaluation.impact.balancing import balance
from evaluation.impact.covariates import Covariates
from evaluation.impact.grouped import effects_by
from evaluation.impact.score_weights import optimal_subset
from evaluation.impact.weighted_comparison import compare

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


# every way to make weights, with every estimand that it has
WAYS: list[dict[str, Any]] = [
    {},
    {"trim": 0.1},
    {"optimal_trim": True},
    {"truncate": 0.9},
    {"weights": "covariate_balancing"},
    {"weights": "covariate_balancing", "truncate": 0.9},
    {"weights": "entropy_balancing"},
    {"weights": "entropy_balancing", "tolerance": 0.1},
    {"doubly_robust": {}},
    {"doubly_robust": {"outcome": "logit"}},
]
CASES = [{**way, "estimand": estimand} for way in WAYS for estimand in ("att", "atc", "ate")]
CASES += [
    {"estimand": "ato"},
    {"weights": "entropy_balancing", "estimand": "ate", "target": {"a": 0.3}},
    {"weights": "entropy_balancing", "estimand": "ate", "target": {"a": 0.3, "b": 1.2, "c": 0.5}},
]


@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options.values())))
def test_influence_is_the_infinitesimal_jackknife(arms: Any, options: dict[str, Any]) -> None:
    # influence_i = n * d effect / d weight_i at equal weights, by central differences (their error is of order h^2).
    # 83 rows: the truncation quantile lies between two of them, a small step does not change whose weight it is.
    outcome, treated, covariates = _drawn(83)
    if options.get("doubly_robust") == {"outcome": "logit"}:
        outcome = (outcome > 0.3).astype(float)
    n, h = len(outcome), 1e-4

    def effect(weight: np.ndarray) -> Any:
        sample, design = arms("weighting", outcome, treated, covariates, weight=weight, **options)
        return compare(sample, design).effect(sample, "outcome_1")

    influence = effect(np.ones(n)).influence
    for i in range(0, n, 9):
        step = np.zeros(n)
        step[i] = h
        slope = (effect(1 + step).estimate - effect(1 - step).estimate) / (2 * h)
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


def test_overlap_weights_by_hand(arms: Any) -> None:
    # x = 0: score 1/4, the treated counts 3/4, three others 1/4 each. x = 1: mirrored. Both weigh the same (3/4):
    # effect (5 - 2 + 9 - 4) / 2 = 4; the arms are balanced exactly.
    found = weighting.estimate(*arms("weighting", OUTCOME, TREATED, {"x": X}, estimand="ato"))
    assert found.blocks[0].effects.estimate[0] == pytest.approx(4.0, abs=1e-12)
    np.testing.assert_allclose(found.balance_weights, [3 / 4, *[1 / 4] * 6, 3 / 4], atol=1e-12)
    assert any("overlap weights" in note for note in found.notes)


def test_the_effect_on_the_others_is_the_mirror_image(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    for way in ({}, {"weights": "covariate_balancing"}, {"weights": "entropy_balancing"}, {"doubly_robust": {}}):
        atc = weighting.estimate(*arms("weighting", outcome, treated, covariates, estimand="atc", **way))
        att = weighting.estimate(*arms("weighting", outcome, ~treated, covariates, estimand="att", **way))
        assert atc.blocks[0].effects.estimate[0] == pytest.approx(-att.blocks[0].effects.estimate[0], abs=1e-8)


def test_weights_for_everybody_are_stabilised(arms: Any) -> None:
    # Each arm's weights, P(arm) / P(arm | x), are about one on average, and exactly so where the score is a share.
    found = weighting.estimate(*arms("weighting", OUTCOME, TREATED, {"x": X}, estimand="ate"))
    assert found.balance_weights[TREATED].sum() == pytest.approx(4)
    assert found.balance_weights[~TREATED].sum() == pytest.approx(4)


def test_truncated_weights_are_those_of_the_quantile(arms: Any) -> None:
    # Scores 1/4 and 3/4: the others weigh 1/3, 1/3, 1/3 and 3 (att). Below 3/4 of it lies 1/3: 3 becomes 1/3.
    found = weighting.estimate(*arms("weighting", OUTCOME, TREATED, {"x": X}, truncate=0.7))
    np.testing.assert_allclose(found.balance_weights[~TREATED], [1 / 3] * 4, atol=1e-12)
    assert found.blocks[0].effects.estimate[0] == pytest.approx(8 - 2.5, abs=1e-12)
    assert any("lowered to it: 0 of the treated, 1 of the comparison" in note for note in found.notes)


@pytest.mark.parametrize("estimand", ["att", "atc", "ate"])
def test_the_optimal_subset_has_the_least_variance_of_all(estimand: str) -> None:
    # Brute force over every bound; for ate the set also meets Crump's condition 1/(p(1-p)) <= 2 mean of it in the set.
    rng = np.random.default_rng(20250310)
    p, sampling = rng.beta(0.4, 0.6, 300).clip(1e-4, 1 - 1e-4), rng.uniform(0.5, 2, 300)
    h = {"ate": np.ones(300), "att": p, "atc": 1 - p}[estimand]
    k = h / (p * (1 - p))
    kept = optimal_subset(estimand, p, sampling)

    def variance(rows: np.ndarray) -> float:
        return float((sampling * h * k)[rows].sum() / (sampling * h)[rows].sum() ** 2)

    assert variance(kept) == pytest.approx(min(variance(k <= bound) for bound in k), rel=1e-12)
    assert 50 < kept.sum() < 300
    if estimand == "ate":
        twice = 2 * np.average(k[kept], weights=sampling[kept])
        assert k[kept].max() <= twice < k[~kept].min()


def test_optimal_trimming_is_said_aloud(arms: Any) -> None:
    outcome, treated, covariates = _drawn(200)
    covariates["a"] = 2.5 * covariates["a"] + 2 * treated
    found = weighting.estimate(*arms("weighting", outcome, treated, covariates, optimal_trim=True, estimand="ate"))
    assert (found.balance_weights == 0).any()
    assert any("where the effect is most precise and are left out" in note for note in found.notes)


@pytest.mark.parametrize("estimand", ["att", "ate"])
def test_a_balancing_score_gives_the_arms_the_same_means(arms: Any, estimand: str) -> None:
    outcome, treated, covariates = _drawn()
    options = {"weights": "covariate_balancing", "estimand": estimand}
    found = weighting.estimate(*arms("weighting", outcome, treated, covariates, **options))
    weights = found.balance_weights
    for x in covariates.values():
        gap = np.average(x[treated], weights=weights[treated]) - np.average(x[~treated], weights=weights[~treated])
        assert gap == pytest.approx(0, abs=1e-9)
    assert found.score is not None


def test_the_balancing_score_of_the_treated_is_entropy_balancing(arms: Any) -> None:
    # Zhao and Percival (2017): the same moment conditions with the same exponential weights.
    outcome, treated, covariates = _drawn()
    score = weighting.estimate(*arms("weighting", outcome, treated, covariates, weights="covariate_balancing"))
    entropy = weighting.estimate(*arms("weighting", outcome, treated, covariates, weights="entropy_balancing"))
    np.testing.assert_allclose(score.balance_weights, entropy.balance_weights, rtol=1e-8)
    np.testing.assert_allclose(
        score.blocks[0].effects.dense(), entropy.blocks[0].effects.dense(), atol=1e-7
    )  # two ways to the same influence


def test_balancing_scores_solve_their_equations_as_a_general_solver_does(arms: Any) -> None:
    from scipy.optimize import root

    _, treated, covariates = _drawn()
    x = np.column_stack([np.ones(len(treated)), *covariates.values()])
    sample, design = arms("weighting", np.zeros(len(treated)), treated, covariates, weights="covariate_balancing")
    design = design.model_copy(update={"estimand": "ate"})

    def equations(beta: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-x @ beta))
        return x.T @ np.where(treated, 1 / p, -1 / (1 - p))

    beta = root(equations, np.zeros(4), tol=1e-12).x
    np.testing.assert_allclose(compare(sample, design).weights.score, 1 / (1 + np.exp(-x @ beta)), atol=1e-8)


def test_arms_that_no_score_balances_are_refused(arms: Any) -> None:
    x = np.r_[np.linspace(0, 1, 20), np.linspace(2, 3, 20)]
    sample, design = arms("weighting", x, np.arange(40) >= 20, {"x": x}, weights="covariate_balancing")
    with pytest.raises(DataError) as caught:
        weighting.estimate(sample, design)
    assert caught.value.code == "E-IMP-230"
    assert "x" in caught.value.where


def _in_two_places(arms: Any, **options: Any) -> tuple[Any, Any, np.ndarray]:
    outcome, treated, covariates = _drawn(160)
    place = np.where(np.arange(160) % 2 == 0, "east", "west")
    sample, design = arms("weighting", outcome + (place == "east"), treated, covariates, territory=place, **options)
    return sample, design, place


def test_territories_are_estimated_by_themselves(arms: Any) -> None:
    sample, design, place = _in_two_places(arms)
    block = weighting.estimate(sample, design).blocks[1]
    outcome, treated, covariates = _drawn(160)
    alone = []
    for name in ("east", "west"):
        here = place == name
        part = {key: x[here] for key, x in covariates.items()}
        alone.append(weighting.estimate(*arms("weighting", outcome[here], treated[here], part)).blocks[0].table(0.95))
    table = block.table(0.95)
    assert table["term"].tolist() == ["territory", "territory", "contrast"]
    assert table["territory"].tolist() == ["east", "west", "west − east"]
    for row, one in enumerate(alone):
        assert table.loc[row, "estimate"] == pytest.approx(one.loc[0, "estimate"], abs=1e-9)
        assert table.loc[row, "std_error"] == pytest.approx(one.loc[0, "std_error"], rel=1e-9)
    assert table.loc[2, "estimate"] == pytest.approx(table.loc[1, "estimate"] - table.loc[0, "estimate"], abs=1e-12)
    # no unit is in both: variances add up
    assert table.loc[2, "std_error"] ** 2 == pytest.approx((table["std_error"][:2] ** 2).sum(), rel=1e-9)


def test_subgroups_are_named_with_their_column(arms: Any) -> None:
    sample, design, place = _in_two_places(arms)
    grouped = replace(sample, frame=sample.frame.assign(subgroup_1=place), names={**sample.names, "subgroup_1": "side"})
    blocks = weighting.estimate(grouped, design.model_copy(update={"subgroups": ("side",)})).blocks
    territory, subgroup = blocks[1].table(0.95), blocks[2].table(0.95)
    assert subgroup["term"].tolist() == ["subgroup", "subgroup", "contrast"]
    assert subgroup["subgroup"].tolist() == ["side = east", "side = west", "side = west − side = east"]
    np.testing.assert_array_equal(subgroup["estimate"], territory["estimate"])
    np.testing.assert_array_equal(subgroup["std_error"], territory["std_error"])


def test_clusters_across_territories_tie_their_effects_together(arms: Any) -> None:
    sample, design, _ = _in_two_places(arms, cluster=np.arange(160) // 4)
    covariance = weighting.estimate(sample, design).blocks[1].solved().matrix
    assert abs(covariance[0, 1]) > 1e-6


def test_a_territory_without_an_effect_is_named_with_the_reason(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    place = np.where(np.arange(80) < 3, "tiny", np.where(np.arange(80) % 2, "east", "west")).astype(object)
    place[79] = None
    sample, design = arms("weighting", outcome, treated, covariates, territory=place)
    notes = weighting.estimate(sample, design).notes
    assert any(note.startswith("No effect for territory tiny:") for note in notes)
    assert "1 rows without a value of territory count in the headline only." in notes
    lonely, design = arms("weighting", outcome, treated, covariates, territory=np.full(80, "urban"))
    assert (
        "Fewer than two groups of territory have an effect, so that none is shown."
        in weighting.estimate(lonely, design).notes
    )


def test_a_territory_that_cannot_be_weighted_is_named_with_the_code(arms: Any) -> None:
    sample, design, place = _in_two_places(arms, weights="entropy_balancing")
    x = sample.frame["covariate_1"].to_numpy().copy()
    x[(place == "west") & sample.frame["treated"].to_numpy()] += 100
    changed = replace(sample, frame=sample.frame.assign(covariate_1=x))
    found, skipped = effects_by(changed, design, "territory", partial(weighting._within, design=design))
    assert list(found) == ["east"]
    assert "E-IMP-055" in skipped["west"]


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
