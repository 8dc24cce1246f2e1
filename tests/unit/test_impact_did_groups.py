"""Effects by subgroup and territory with their joint covariance, and placebo outcomes."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, ParametersError
from evaluation.impact import did, did_groups, did_triple
from evaluation.impact.inference import covariance, summarize

OPTIONS = {"territory": "place", "subgroups": ("sex",)}


def places(n=150, periods=4, starts=(0, 3), seed=20250101):
    """Three places in turn with their own trends and effects, a subgroup, a covariate and a placebo."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = rng.choice(starts, n)[table["unit"]]
    table["place"] = np.take(["north", "east", "west"], rng.choice(3, n, p=[0.5, 0.3, 0.2]))[table["unit"]]
    table["sex"] = np.take(["f", "m"], table["unit"] % 2)
    table["x"] = rng.normal(size=n)[table["unit"]]
    table["placebo"], table["other"] = rng.normal(size=(2, len(table)))
    on = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    effect = table["place"].map({"north": 1.0, "east": 2.0, "west": 4.0})
    table["y"] = rng.normal(size=n)[table["unit"]] + table["period"] * (0.2 + 0.5 * table["x"]) + effect * on
    table["y"] += rng.normal(size=len(table))
    table["w"] = np.exp(0.3 * rng.normal(size=n))[table["unit"]]
    return table


def dense_in_order(effects, units):
    return effects.dense()[effects.units.get_indexer(units)]


# own comparison -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["territory", "subgroup_1"])
def test_groups_equal_separate_estimates(panel, column):
    table = places()
    found = did_groups.by_group(*panel(table, **OPTIONS), column)
    name, kind = ("place", "territory") if column == "territory" else ("sex", "subgroup")
    order = table[table["cohort"] > 0].groupby(name)["unit"].nunique().sort_values(ascending=False).index
    labels = [value if kind == "territory" else f"sex = {value}" for value in order]
    assert found.effects.labels[kind].tolist() == labels
    assert set(found.effects.labels["term"]) == {kind}
    for value, label in zip(order, labels, strict=True):
        alone = did.estimate(*panel(table[table[name] == value]))
        part = found.effects.select(found.effects.labels[kind] == label)
        np.testing.assert_allclose(part.estimate, alone.headline.estimate, atol=1e-12)
        np.testing.assert_allclose(covariance(part).std_error, covariance(alone.headline).std_error, rtol=1e-12)
        events = found.event_time.select(found.event_time.labels[kind] == label)
        np.testing.assert_allclose(events.estimate, alone.aggregates["event_time"].estimate, atol=1e-12)
    assert found.skipped.empty


def test_groups_without_common_units_are_uncorrelated(panel):
    matrix = covariance(did_groups.by_group(*panel(places(), **OPTIONS), "territory").effects).matrix
    np.testing.assert_allclose(matrix - np.diag(np.diag(matrix)), 0.0, atol=1e-18)


def test_contrasts_and_the_joint_test_by_hand(panel):
    found = did_groups.by_group(*panel(places(), **OPTIONS), "territory")
    theta, matrix = found.effects.estimate, covariance(found.effects).matrix
    first = found.effects.labels["territory"].iloc[0]
    names = [f"{name} − {first}" for name in found.effects.labels["territory"].iloc[1:]]
    assert found.contrasts.labels["territory"].tolist() == names
    difference = np.array([[-1, 1, 0], [-1, 0, 1]])
    np.testing.assert_allclose(found.contrasts.estimate, difference @ theta, atol=1e-12)
    wanted = difference @ matrix @ difference.T
    np.testing.assert_allclose(covariance(found.contrasts).matrix, wanted, atol=1e-14)
    test = found.equality()
    assert test.df == 2
    assert test.statistic == pytest.approx(difference @ theta @ np.linalg.solve(wanted, difference @ theta), rel=1e-9)
    assert test.p_value < 1e-3  # effects of 1, 2 and 4


# shared comparison ----------------------------------------------------------------------------------------------------


def test_covariance_with_a_shared_comparison_is_the_variance_of_its_mean(panel):
    """Δ of a place is its treated mean less the same comparison mean: Cov = Var(comparison mean) = Σ (Δ - Δ̄)² / n₀²."""
    table = places(periods=2, starts=(0, 2))
    found = did_groups.by_group(*panel(table, **OPTIONS), "territory", comparison="shared")
    wide = table.pivot(index="unit", columns="period", values="y")
    untreated = table.groupby("unit")["cohort"].first() == 0
    change = (wide[2] - wide[1])[untreated]
    shared = ((change - change.mean()) ** 2).sum() / len(change) ** 2
    matrix = covariance(found.effects).matrix
    np.testing.assert_allclose(matrix[~np.eye(3, dtype=bool)], shared, rtol=1e-12)
    assert any("never treated of all" in note for note in found.notes)
    own = covariance(did_groups.by_group(*panel(table, **OPTIONS), "territory").effects).matrix
    assert (np.diag(matrix) < np.diag(own)).all()  # more comparison units, the same trend


@pytest.mark.parametrize(("estimator", "covariates"), [("doubly_robust", ()), ("regression", ("x",))])
def test_shares_of_the_treated_add_up_to_everybody(panel, estimator, covariates):
    """One comparison, fitted without the treated: the effect on all is the mean of those on groups, each by its share.

    It does not hold with inverse probability weights, which are fitted anew for each group of treated.
    """
    table = places()
    sample, design = panel(table, estimator=estimator, covariates=covariates, weight="w", **OPTIONS)
    found = did_groups.by_group(sample, design, "territory", comparison="shared")
    treated = table[table["cohort"] > 0].drop_duplicates("unit")
    share = treated.groupby("place")["w"].sum() / treated["w"].sum()
    weights = share[found.effects.labels["territory"]].to_numpy()
    pooled = did.estimate(sample, design).headline
    np.testing.assert_allclose(weights @ found.effects.estimate, pooled.estimate, atol=1e-11)
    if not covariates:
        # Pooled influence = Σ share ψ + Σ (ATT - pooled) influence of the shares among the treated.
        units = found.effects.units
        place = table.drop_duplicates("unit").set_index("unit").loc[units]
        member = (place["place"].to_numpy()[:, None] == found.effects.labels["territory"].to_numpy()) * 1.0
        mass = place["w"].to_numpy() * (place["cohort"].to_numpy() > 0) / place["w"].mean()
        of_share = (mass / mass.mean())[:, None] * (member - weights)
        expected = dense_in_order(found.effects, units) @ weights + of_share @ (
            found.effects.estimate - pooled.estimate
        )
        np.testing.assert_allclose(dense_in_order(pooled, units)[:, 0], expected, atol=1e-9)


def test_units_of_no_group_still_serve_as_shared_comparison(panel):
    table = places()
    lost = table["unit"].isin([3, 8, 11])
    table.loc[lost, "place"] = None
    sample, design = panel(table, **OPTIONS)
    found = did_groups.by_group(sample, design, "territory", comparison="shared")
    never = set(table.loc[lost & (table["cohort"] == 0), "unit"])
    assert never
    assert never <= set(found.effects.units)
    assert any("3 units without a value of place" in note for note in found.notes)
    own = did_groups.by_group(sample, design, "territory")
    assert not set(table.loc[lost, "unit"]) & set(own.effects.units)


# other estimators -----------------------------------------------------------------------------------------------------


def test_triple_differences_by_group(panel):
    table = places(n=240)
    table["eligible"] = (table["unit"] % 3 > 0).astype(int)
    sample, design = panel(table, eligible="eligible", **OPTIONS)
    found = did_groups.by_group(sample, design, "subgroup_1", estimate=did_triple.estimate)
    alone = did_triple.estimate(*panel(table[table["sex"] == "f"], eligible="eligible"))
    chosen = found.effects.select(found.effects.labels["subgroup"] == "sex = f")
    np.testing.assert_allclose(chosen.estimate, alone.headline.estimate, atol=1e-12)


# what cannot be estimated ---------------------------------------------------------------------------------------------


def test_small_groups_are_listed_with_a_reason_and_counted(panel):
    table = places()
    treated = table.loc[table["cohort"] > 0, "unit"].unique()
    untreated = table.loc[table["cohort"] == 0, "unit"].unique()
    table.loc[table["unit"].isin([treated[0], *untreated[:5]]), "place"] = "tiny"
    table.loc[table["unit"].isin(treated[1:9]), "place"] = "all treated"
    found = did_groups.by_group(*panel(table, **OPTIONS), "territory")
    assert set(found.effects.labels["territory"]) == {"north", "east", "west"}
    skipped = found.skipped.set_index("group")
    assert skipped.loc["tiny", ["units", "treated_units"]].tolist() == [6, 1]
    assert "at least 2" in skipped.loc["tiny", "reason"]
    assert "E-IMP-038" in skipped.loc["all treated", "reason"]
    assert skipped.loc["all treated", "units"] == 8


def test_one_group_has_no_contrast_and_no_test(panel):
    table = places().assign(place="north")
    found = did_groups.by_group(*panel(table, **OPTIONS), "territory")
    assert len(found.contrasts) == 0
    assert found.equality().reason == "there is nothing to test"


def test_few_treated_units_of_a_group_get_no_p_value(panel):
    table = places()
    few = table.loc[(table["cohort"] > 0) & (table["place"] == "west"), "unit"].unique()[4:]
    table = table[~table["unit"].isin(few)]
    found = summarize(did_groups.by_group(*panel(table, **OPTIONS), "territory").effects).set_index("territory")
    assert np.isnan(found.loc["west", "p_value"])
    assert found.loc["north", "p_value"] < 0.05


def test_no_group_at_all_is_refused(panel):
    table = places()
    table["place"] = table["unit"].astype(str)
    with pytest.raises(DataError, match="E-IMP-122"):
        did_groups.by_group(*panel(table, **OPTIONS), "territory")


def test_an_unknown_column_is_refused(panel):
    sample, design = panel(places(), **OPTIONS)
    with pytest.raises(ParametersError, match="E-IMP-121"):
        did_groups.by_group(sample, design, "subgroup_2")
    assert did_groups.group_columns(sample.frame) == ("territory", "subgroup_1")


# placebo outcomes -----------------------------------------------------------------------------------------------------


def test_placebo_outcomes_are_estimated_as_the_outcome_is(panel):
    table = places()
    table.loc[table["unit"] == 5, "other"] = np.nan
    found = did_groups.placebo_effects(*panel(table, placebo_outcomes=("placebo", "other")))
    assert found.labels["outcome"].tolist() == ["placebo", "other"]
    assert set(found.labels["role"]) == {"placebo"}
    for k, name in enumerate(("placebo", "other")):
        alone = did.estimate(*panel(table.assign(y=table[name]))).headline
        np.testing.assert_allclose(found.estimate[k], alone.estimate[0], atol=1e-12)
        np.testing.assert_allclose(covariance(found).std_error[k], covariance(alone).std_error[0], rtol=1e-12)
    assert covariance(found).matrix[0, 1] != 0  # the same units: correlated


def test_no_placebo_outcome_is_refused(panel):
    with pytest.raises(ParametersError, match="E-IMP-120"):
        did_groups.placebo_effects(*panel(places()))
