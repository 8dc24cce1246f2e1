"""Triple differences: by hand, laws, regression with three interactions, infinitesimal jackknife, peers, refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.errors import DataError, ParametersError
from evaluation.impact import did, did_triple
from evaluation.impact.effects import concat
from evaluation.impact.inference import covariance
from evaluation.settings.designs import BY_CELL


def triple(n=120, periods=5, starts=(0, 3, 4), seed=20250101):
    """Places treated at different dates with eligible and ineligible units; trends differ by place and eligibility."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    table["eligible"] = (rng.random(n) < 0.4 + 0.2 * (np.arange(n) % len(starts) == 1))[table["unit"]].astype(int)
    table["x"] = (rng.normal(size=n) + 0.3 * (np.arange(n) % 2))[table["unit"]]
    on = (table["cohort"] > 0) & (table["period"] >= table["cohort"]) & (table["eligible"] == 1)
    trend = table["period"] * (0.3 * table["cohort"] + 0.5 * table["eligible"] + 0.4 * table["x"])
    table["y"] = rng.normal(size=n)[table["unit"]] + trend + 1.5 * on + rng.normal(size=len(table))
    table["w"] = np.exp(0.3 * rng.normal(size=n))[table["unit"]]
    return table


def estimates(result):
    labels = result.group_time.labels
    keys = zip(labels["cohort"], labels["period"], strict=True)
    errors = covariance(result.group_time).std_error
    return dict(zip(keys, zip(result.group_time.estimate, errors, strict=True), strict=True))


# by hand --------------------------------------------------------------------------------------------------------------


def eight_units():
    # Two periods, changes: treated place, eligible 9 and 11 (mean 10), ineligible 3 and 5 (4); other place, eligible 2
    # and 4 (3), ineligible 0 and 2 (1). DDD = (10 - 4) - (3 - 1) = 4. Each unit's influence is 8 · ½ · (±1) = ±4;
    # standard error = √(8 · 16) / 8 = √2.
    changes = [9, 11, 3, 5, 2, 4, 0, 2]
    rows = [(u, t, 2 * (u < 4), int(u in (0, 1, 4, 5)), (t == 2) * c) for u, c in enumerate(changes) for t in (1, 2)]
    return pd.DataFrame(rows, columns=["unit", "period", "cohort", "eligible", "y"])


def test_eight_units_by_hand(panel):
    result = did_triple.estimate(*panel(eight_units(), eligible="eligible"))
    np.testing.assert_allclose(result.headline.estimate, [4.0], atol=1e-12)
    np.testing.assert_allclose(np.abs(result.group_time.dense()), 4.0, atol=1e-12)
    np.testing.assert_allclose(covariance(result.headline).std_error, [np.sqrt(2)], atol=1e-12)


# what it is equal to --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["balanced", "unbalanced"])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_without_covariates_it_is_the_difference_of_two_differences(panel, kind, base):
    table = triple()
    if kind == "unbalanced":
        table = table[np.random.default_rng(4).random(len(table)) > 0.1]
    options = {"base_period": base, "panel": kind, "weight": "w"}
    found = did_triple.estimate(*panel(table, eligible="eligible", **options))
    sides = [did.estimate(*panel(table[table["eligible"] == side], **options)).group_time for side in (1, 0)]
    both, k = concat(sides), len(sides[0])
    expected = both.contrast(np.hstack([np.eye(k), -np.eye(k)]), sides[0].labels)
    assert found.group_time.labels[["cohort", "period", "phase"]].equals(
        expected.labels[["cohort", "period", "phase"]]
    )  # the plan of cells is that of an ordinary difference-in-differences
    np.testing.assert_allclose(found.group_time.estimate, expected.estimate, atol=1e-12)
    order = found.group_time.units.get_indexer(expected.units)
    np.testing.assert_allclose(found.group_time.dense()[order], expected.dense(), atol=1e-10)


@pytest.mark.parametrize("kind", ["balanced", "repeated_cross_section"])
def test_two_periods_equal_the_regression_with_three_interactions(panel, kind):
    table = triple(periods=2, starts=(0, 2))
    if kind == "repeated_cross_section":
        table["unit"] = np.arange(len(table))
    result = did_triple.estimate(*panel(table, eligible="eligible", panel=kind))
    place, post, eligible = (table["cohort"] > 0) * 1.0, (table["period"] == 2) * 1.0, table["eligible"] * 1.0
    columns = [place, post, eligible, place * post, place * eligible, post * eligible, place * post * eligible]
    fit = sm.OLS(table["y"].to_numpy(), sm.add_constant(np.column_stack(columns))).fit(
        cov_type="cluster", cov_kwds={"groups": table["unit"].to_numpy(), "use_correction": False}
    )
    np.testing.assert_allclose(result.headline.estimate, fit.params[-1], atol=1e-11)
    np.testing.assert_allclose(covariance(result.headline).std_error, fit.bse[-1], rtol=1e-10)


# Columns of the file: program, version and date stand in its first line.
PEER = pd.read_csv(
    Path(__file__).parents[1] / "golden" / "did_triple_diff_diff.csv", comment="#", keep_default_na=False
)


@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
@pytest.mark.parametrize(
    ("estimator", "covariates"),
    [("doubly_robust", ""), ("doubly_robust", "x"), ("regression", "x"), ("inverse_probability", "x")],
)
def test_diff_diff(panel, comparison, estimator, covariates):
    table = triple()
    assert table["y"].sum() == pytest.approx(2058.17337770, abs=1e-6)  # the data the numbers were computed from
    result = did_triple.estimate(
        *panel(table, eligible="eligible", comparison=comparison, estimator=estimator, covariates=tuple(covariates))
    )
    expected = PEER.query("comparison == @comparison and estimator == @estimator and covariates == @covariates")
    several = result.tables["comparison_weights"].groupby(["cohort", "period"]).size()
    found = estimates(result)
    for row in expected[expected["what"] == "cell"].itertuples():
        cell = (int(row.cohort), int(row.period))
        # With several comparison cohorts diff-diff divides their covariance by n - 1 (n = 120 units), we by n.
        factor = np.sqrt(120 / 119) if several[cell] > 1 else 1.0
        assert found[cell][0] == pytest.approx(float(row.estimate), abs=1e-10)
        assert found[cell][1] * factor == pytest.approx(float(row.std_error), rel=1e-8)
    simple = expected[expected["what"] == "simple"].iloc[0]
    assert result.overall["simple"].estimate[0] == pytest.approx(float(simple["estimate"]), abs=1e-10)
    assert covariance(result.overall["simple"]).std_error[0] == pytest.approx(float(simple["std_error"]), rel=1e-8)


# influence ------------------------------------------------------------------------------------------------------------


def stacked(result):
    return concat([result.group_time, *result.overall.values()])


@pytest.mark.parametrize("estimator", BY_CELL)
@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "repeated_cross_section"])
def test_influence_is_the_infinitesimal_jackknife(panel, kind, estimator):
    table = triple(n=72, periods=3, starts=(0, 2, 3))
    table["x"] += 0.3 * np.random.default_rng(2).normal(size=len(table))
    if kind == "unbalanced":
        table = table[np.random.default_rng(4).random(len(table)) > 0.1].reset_index(drop=True)
    if kind == "repeated_cross_section":
        table["unit"] = np.arange(len(table))
    sample, design = panel(
        table, eligible="eligible", covariates=("x",), weight="w", panel=kind, estimator=estimator, aggregate="simple"
    )
    result = did_triple.estimate(sample, design)
    assert result.skipped.empty
    found, step = stacked(result), 1e-4

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        return stacked(did_triple.estimate(replace(sample, frame=sample.frame.assign(weight=weight)), design)).estimate

    for unit in found.units[:: len(found.units) // 3]:
        jackknife = len(found.units) * (moved(unit, 1 + step) - moved(unit, 1 - step)) / (2 * step)
        ours = found.dense()[found.units.get_loc(unit)]
        np.testing.assert_allclose(ours, jackknife, atol=1e-6)  # step² times a third derivative


def test_comparison_cohorts_are_weighted_by_precision(panel):
    table = triple(starts=(0, 3, 4, 5))
    options = {"eligible": "eligible", "covariates": ("x",)}
    pooled = did_triple.estimate(*panel(table, comparison="not_yet_treated", **options))
    alone = [
        did_triple.estimate(*panel(table[table["cohort"].isin([3, other])].assign(cohort=own), **options))
        for other, own in ((0, table["cohort"]), (4, table["cohort"] % 4), (5, table["cohort"] % 5))
    ]
    cells = [result.group_time.select(result.group_time.labels["period"] == 3) for result in alone]
    each = concat(cells)
    omega = np.linalg.inv(each.cross_product()).sum(axis=0)
    expected = each.contrast(omega / omega.sum(), cells[0].labels)
    labels = pooled.group_time.labels
    found = pooled.group_time.select((labels["cohort"] == 3) & (labels["period"] == 3))
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-11)
    np.testing.assert_allclose(covariance(found).std_error, covariance(expected).std_error, rtol=1e-9)
    single = [covariance(cell).std_error[0] for cell in cells]
    assert covariance(found).std_error[0] < min(single)
    weights = pooled.tables["comparison_weights"].query("cohort == 3 and period == 3")
    assert weights["weight"].sum() == pytest.approx(1.0, abs=1e-12)
    assert weights["comparison_cohort"].isna().sum() == 1
    assert any("by precision" in note for note in pooled.notes)


def test_cohorts_with_other_shares_of_eligible_do_no_harm(panel):
    """Trends by cohort and by eligibility, without noise: pooling all not yet treated would be wrong."""
    table = triple(starts=(0, 3, 4, 5))
    on = (table["cohort"] > 0) & (table["period"] >= table["cohort"]) & (table["eligible"] == 1)
    trend = table["period"] ** 2 * table["cohort"] + 3 * np.sin(table["period"]) * table["eligible"]
    quiet = table.assign(y=trend + 1.5 * on)
    result = did_triple.estimate(*panel(quiet, eligible="eligible", comparison="not_yet_treated"))
    np.testing.assert_allclose(result.headline.estimate, [1.5], atol=1e-9)
    later = quiet["cohort"].replace({4: 0, 5: 0})  # in period 3 all cohorts but 3 are comparison: pooled by hand
    early = quiet.assign(cohort=later)[quiet["period"] <= 3]
    pooled = did_triple.estimate(*panel(early, eligible="eligible"))
    assert abs(pooled.headline.estimate[0] - 1.5) > 0.1


def test_shares_of_cohorts_are_those_of_the_eligible(panel):
    table = triple()
    result = did_triple.estimate(*panel(table, eligible="eligible"))
    eligible = table[(table["eligible"] == 1) & (table["cohort"] > 0)].groupby("cohort")["unit"].nunique()
    post = result.weights.query("aggregate == 'simple'")
    share = eligible.loc[post["cohort"]].to_numpy(dtype=float)
    np.testing.assert_allclose(post["weight"], share / share.sum(), atol=1e-12)


# laws -----------------------------------------------------------------------------------------------------------------


def test_order_unit_levels_and_shocks_by_place_or_eligibility_change_nothing(panel):
    table = triple()
    options = {"eligible": "eligible", "comparison": "not_yet_treated"}
    expected = did_triple.estimate(*panel(table, **options)).group_time
    shocks = np.random.default_rng(3).normal(size=(2, 6, 6))
    shifted = table["y"] + shocks[0][table["period"], table["cohort"]] + shocks[1][table["period"], table["eligible"]]
    shuffled = table.assign(y=shifted + 5 * np.sin(table["unit"])).sample(frac=1, random_state=1)
    found = did_triple.estimate(*panel(shuffled, **options)).group_time
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-10)
    np.testing.assert_allclose(found.dense(), expected.dense(), atol=1e-8)


def test_the_data_of_the_caller_are_not_changed(panel):
    sample, design = panel(triple(), eligible="eligible", covariates=("x",))
    before = sample.frame.copy(deep=True)
    did_triple.estimate(sample, design)
    pd.testing.assert_frame_equal(sample.frame, before)


# what is not identified -----------------------------------------------------------------------------------------------


def test_a_cohort_without_ineligible_units_is_listed_and_not_averaged(panel):
    table = triple()
    table = table[~((table["cohort"] == 3) & (table["eligible"] == 0))]
    result = did_triple.estimate(*panel(table, eligible="eligible"))
    assert set(result.group_time.labels["cohort"]) == {4}
    assert set(result.skipped["cohort"]) == {3}
    assert set(result.skipped["reason"]) == {"empty_cell"}
    assert set(result.skipped["detail"]) == {"eligible of cohort 3 against ineligible of cohort 3"}


def test_a_comparison_cohort_with_one_side_alone_is_left_out(panel):
    table = triple()
    table = table[~((table["cohort"] == 4) & (table["eligible"] == 0))]
    result = did_triple.estimate(*panel(table, eligible="eligible", comparison="not_yet_treated"))
    never = did_triple.estimate(*panel(table, eligible="eligible"))
    np.testing.assert_allclose(result.group_time.estimate, never.group_time.estimate, atol=1e-12)


def test_no_eligibility_is_refused(panel):
    with pytest.raises(ParametersError, match="E-IMP-115"):
        did_triple.estimate(*panel(triple()))


def test_eligibility_that_changes_is_refused(panel):
    table = triple()
    table.loc[0, "eligible"] = 1 - table.loc[0, "eligible"]
    with pytest.raises(DataError, match="E-IMP-116"):
        did_triple.estimate(*panel(table, eligible="eligible"))


def test_nothing_to_estimate_is_refused(panel):
    with pytest.raises(DataError, match=r"E-IMP-117[\s\S]*against ineligible"):
        did_triple.estimate(*panel(triple().assign(eligible=1), eligible="eligible"))
