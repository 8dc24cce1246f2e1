"""Experiments: differences by hand, adjustment, strata, probabilities, territories, take-up, refusals."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.errors import DataError
from evaluation.impact import experiment


def _drawn(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20250401)
    x, treated = rng.normal(size=(n, 2)), np.arange(n) % 2 == 0
    return x[:, 0] + treated * (2 + x[:, 1]) + rng.normal(size=n), treated, x


def _row(found: Any, number: int = 0) -> pd.Series:
    return found.blocks[0].table(0.95).iloc[number]


def test_difference_in_means_by_hand(arms: Any) -> None:
    # Treated 3, 5, 7, 3, 5, 7 (mean 5), others 1, 2, 3, 1, 2, 3 (mean 2): 3. HC2 of two means is s1²/n1 + s0²/n0:
    # s1² = 16/5, s0² = 4/5, so V = (16/5)/6 + (4/5)/6 = 2/3.
    outcome = np.array([3.0, 5, 7, 3, 5, 7, 1, 2, 3, 1, 2, 3])
    found = experiment.estimate(*arms("experiment", outcome, np.arange(12) < 6))
    row = _row(found)
    assert row["estimate"] == pytest.approx(3.0)
    assert row["std_error"] == pytest.approx(np.sqrt(2 / 3), rel=1e-12)
    assert (row["df"], row["term"], found.estimand) == (10, "ate", "ate")
    assert len(found.blocks) == 1  # the headline is the raw difference


@pytest.mark.parametrize("adjustment", ["lin", "ancova"])
def test_adjusted_effects_are_those_of_the_regression_written_out(arms: Any, adjustment: str) -> None:
    outcome, treated, x = _drawn()
    centred = x - x.mean(axis=0)
    columns = [np.ones(len(x)), treated.astype(float), centred]
    columns += [treated[:, None] * centred] if adjustment == "lin" else []
    expected = sm.OLS(outcome, np.column_stack(columns)).fit(cov_type="HC2", use_t=True)
    found = experiment.estimate(
        *arms("experiment", outcome, treated, {"a": x[:, 0], "b": x[:, 1]}, adjustment=adjustment)
    )
    row = _row(found)
    assert row["estimate"] == pytest.approx(expected.params[1], rel=1e-10)
    assert row["std_error"] == pytest.approx(expected.bse[1], rel=1e-10)
    assert row["p_value"] == pytest.approx(expected.pvalues[1], rel=1e-8)
    assert found.blocks[1].effects.labels["term"].tolist() == ["raw_difference"]


def test_influence_is_the_infinitesimal_jackknife(arms: Any) -> None:
    outcome, treated, x = _drawn(60)
    h = 1e-4

    def effect(weight: np.ndarray) -> Any:
        covariates = {"a": x[:, 0], "b": x[:, 1]}
        sample, design = arms("experiment", outcome, treated, covariates, weight=weight, adjustment="ancova")
        return experiment.estimate(sample, design).blocks[0].effects

    influence = effect(np.ones(60)).dense()[:, 0]
    for i in range(0, 60, 7):
        step = np.zeros(60)
        step[i] = h
        slope = (effect(1 + step).estimate[0] - effect(1 - step).estimate[0]) / (2 * h)
        assert influence[i] == pytest.approx(60 * slope, abs=1e-6)


def test_pairs_as_strata_give_the_paired_t_test(arms: Any) -> None:
    # Differences of six pairs: 1, 3, 2, 4, 0, 2; mean 2, sum of squared deviations 10: V = 10 / (6 * 5), df 5.
    difference, level = np.array([1.0, 3, 2, 4, 0, 2]), np.array([10.0, 20, 30, 40, 50, 60])
    sample, design = arms(
        "experiment",
        np.r_[level + difference, level],
        np.arange(12) < 6,
        stratum=np.tile(list("abcdef"), 2),
        assignment="paired",
    )
    row = _row(experiment.estimate(sample, design))
    assert row["estimate"] == pytest.approx(2.0, abs=1e-10)
    assert row["std_error"] == pytest.approx(np.sqrt(10 / 30), rel=1e-9)
    assert row["df"] == 5


def test_unequal_strata_are_said_to_weigh_unequally(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    stratum = np.where(np.arange(200) < 100, "a", "b")
    treated = np.where(stratum == "a", np.arange(200) % 4 == 0, treated)
    found = experiment.estimate(*arms("experiment", outcome, treated, stratum=stratum))
    assert "Between 25% and 50% of a stratum are treated" in found.notes[0]


def test_known_probabilities_undo_unequal_assignment(arms: Any) -> None:
    # Stratum a: effect 1, 1/4 treated; b: effect 3, 3/4 treated; equal sizes: the mean effect is 2.
    big = np.repeat([0.0, 10.0], 40)
    treated = np.r_[np.arange(40) % 4 == 0, np.arange(40) % 4 != 0]
    outcome = big + treated * np.repeat([1.0, 3.0], 40)
    sample, design = arms("experiment", outcome, treated, probability="p")
    sample.frame["probability"] = np.repeat([0.25, 0.75], 40)
    found = experiment.estimate(sample, design)
    assert found.blocks[0].effects.estimate[0] == pytest.approx(2.0, abs=1e-12)
    assert "Units are weighted by one over the known probability of the arm they are in." in found.notes


def test_clusters_make_cr2_the_default(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    sample, design = arms("experiment", outcome, treated, cluster=np.arange(200) // 10)
    found = experiment.estimate(sample, design).blocks[0].solved()
    assert (found.kind, found.n_clusters) == ("cr2", {"cluster": 20})
    sample, design = arms("experiment", outcome, treated, inference={"std_error": "hc1"})
    assert experiment.estimate(sample, design).blocks[0].kind == "hc1"


def test_territories_are_separate_regressions_with_a_joint_covariance(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    place = np.where(np.arange(200) % 5 < 2, "rural", "urban")
    found = experiment.estimate(*arms("experiment", outcome, treated, territory=place))
    table = found.blocks[1].table(0.95)
    assert table["territory"].tolist() == ["rural", "urban", "rural − urban"]
    assert table["term"].tolist() == ["territory", "territory", "contrast"]
    errors = []
    for name, row in zip(("rural", "urban"), table.itertuples(), strict=False):
        alone = _row(experiment.estimate(*arms("experiment", outcome[place == name], treated[place == name])))
        assert row.estimate == pytest.approx(alone["estimate"], rel=1e-10)
        assert row.std_error == pytest.approx(alone["std_error"], rel=1e-10)
        errors.append(row.std_error)
    assert table["estimate"].iloc[2] == pytest.approx(table["estimate"].iloc[0] - table["estimate"].iloc[1])
    assert table["std_error"].iloc[2] == pytest.approx(np.hypot(*errors), rel=1e-10)  # no unit is in both


def test_territories_that_share_clusters_covary(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    place, cluster = np.where(np.arange(200) % 5 < 2, "rural", "urban"), np.arange(200) // 10
    noise = np.random.default_rng(20250402).normal(size=20)[cluster] * treated * 5
    sample, design = arms("experiment", outcome + noise, treated, territory=place, cluster=cluster)
    matrix = experiment.estimate(sample, design).blocks[1].solved().matrix
    assert matrix[0, 1] > 0


def test_lin_by_territory_centres_within_each(arms: Any) -> None:
    # The effect grows by 2 with x beyond the mean of the place, where it is 1 or 3: that is what is found, exactly.
    rng = np.random.default_rng(20250403)
    place = np.repeat(["rural", "urban"], 60)
    x = rng.normal(size=120) + (place == "urban") * 5
    treated = np.arange(120) % 2 == 0
    beyond = x - np.where(place == "rural", x[:60].mean(), x[60:].mean())
    outcome = x + treated * (np.where(place == "rural", 1.0, 3.0) + 2 * beyond)
    sample, design = arms("experiment", outcome, treated, {"x": x}, territory=place, adjustment="lin")
    effects = experiment.estimate(sample, design).blocks[1].effects
    np.testing.assert_allclose(effects.estimate, [1.0, 3.0, -2.0], atol=1e-9)


def test_a_territory_with_one_arm_is_named_and_left_out(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    place = np.where(np.arange(200) < 80, "rural", "urban").astype(object)
    place[:10], place[-5:] = "moon", None
    treated = treated & (place != "moon")
    found = experiment.estimate(*arms("experiment", outcome, treated, territory=place))
    assert "5 rows without a territory count in the headline only." in found.notes
    assert "No effect for territories with fewer than two units in an arm: moon." in found.notes
    assert found.blocks[1].effects.labels["territory"].tolist() == ["rural", "urban", "rural − urban"]


def test_a_single_territory_needs_no_rows_of_its_own(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    assert len(experiment.estimate(*arms("experiment", outcome, treated, territory=np.full(200, "urban"))).blocks) == 1


def test_a_collinear_covariate_is_left_out_and_named(arms: Any) -> None:
    outcome, treated, x = _drawn()
    plain = experiment.estimate(*arms("experiment", outcome, treated, {"a": x[:, 0]}, adjustment="ancova"))
    more = {"a": x[:, 0], "twice": 2 * x[:, 0]}
    found = experiment.estimate(*arms("experiment", outcome, treated, more, adjustment="ancova"))
    assert found.notes == ("Left out because they add nothing to earlier columns: twice.",)
    assert _row(found)["estimate"] == pytest.approx(_row(plain)["estimate"], rel=1e-10)


def test_offers_with_known_takeup_are_intention_to_treat(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    sample, design = arms("experiment", outcome, treated, takeup="came")
    sample.frame["takeup"] = np.where(treated, np.arange(200) % 3 == 0, 0.0).astype(float)
    sample.frame.loc[0, "takeup"] = np.nan
    found = experiment.estimate(sample, design)
    assert found.estimand == "itt"
    took = found.blocks[-1].effects
    assert took.labels["role"].tolist() == ["supporting"]
    assert took.estimate[0] == pytest.approx(sample.frame["takeup"][treated].mean())


def test_secondary_outcomes_use_the_rows_that_have_them(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    second = np.where(np.arange(200) % 3 == 0, np.nan, 5.0 * treated)
    blocks = experiment.estimate(*arms("experiment", outcome, treated, secondary={"z": second})).blocks
    assert blocks[1].effects.estimate[0] == pytest.approx(5.0)
    assert blocks[1].effects.labels["role"].tolist() == ["secondary"]
    assert blocks[1].effects.n_units == int(np.isfinite(second).sum())


def test_few_treated_clusters_give_no_interval(arms: Any) -> None:
    outcome, _, _ = _drawn()
    cluster = np.arange(200) // 10
    row = _row(experiment.estimate(*arms("experiment", outcome, cluster < 3, cluster=cluster)))
    assert np.isfinite(row["std_error"])
    assert np.isnan([row["ci_low"], row["p_value"]]).all()
    assert "treated clusters: 3" in row["reason"]


def test_few_comparison_clusters_of_one_territory_silence_its_effects_only(arms: Any) -> None:
    # Clusters of ten are treated or not; the rural territory has ten treated clusters and three others.
    outcome = np.random.default_rng(20250404).normal(size=400)
    cluster = np.arange(400) // 10
    place = np.where(cluster < 13, "rural", "urban")
    treated = np.where(cluster < 13, cluster < 10, cluster % 2 == 0)
    sample, design = arms("experiment", outcome, treated, territory=place, cluster=cluster)
    reasons = experiment.estimate(sample, design).blocks[1].table(0.95)["reason"]
    assert reasons.str.contains("comparison clusters: 3").tolist() == [True, False, True]


def test_an_outcome_known_in_one_arm_only_is_refused(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    sample, design = arms("experiment", outcome, treated, secondary={"z": np.where(treated, 1.0, np.nan)})
    with pytest.raises(DataError) as caught:
        experiment.estimate(sample, design)
    assert caught.value.code == "E-IMP-052"


def test_treatment_decided_by_strata_is_refused(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    sample, design = arms("experiment", outcome, treated, stratum=np.where(treated, "a", "b"))
    with pytest.raises(DataError) as caught:
        experiment.estimate(sample, design)
    assert (caught.value.code, caught.value.where) == ("E-IMP-057", "treated")


def test_a_baseline_of_few_clusters_is_a_check_that_was_not_run(arms: Any) -> None:
    outcome, _, x = _drawn()
    cluster = np.arange(200) // 10
    sample, design = arms("experiment", outcome, cluster < 3, cluster=cluster, baseline_outcome=x[:, 0])
    (check,) = experiment.estimate(sample, design).checks
    assert (check.check, check.status) == ("placebo.baseline_p", "not_run")
    assert "treated clusters: 3" in check.detail
