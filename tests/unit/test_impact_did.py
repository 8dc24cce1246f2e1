"""Difference-in-differences: cases by hand, bookkeeping, and what is refused or left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did
from evaluation.impact.did_cells import NotIdentified, cross_section_cell, panel_cells
from evaluation.impact.did_result import AGGREGATES
from evaluation.impact.inference import cluster_table, covariance, summarize, wald
from evaluation.impact.inference.few import REFERENCE
from evaluation.settings.designs import BY_CELL


def schools():
    """Two treated and two other schools; scores 10, 20, 30, 40 before and changes 5, 7 and 1, 3."""
    before, change, cohort = [10, 20, 30, 40], [5, 7, 1, 3], [2, 2, 0, 0]
    rows = [
        (name, period, cohort[i], before[i] + (period == 2) * change[i])
        for i, name in enumerate("ABCD")
        for period in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["unit", "period", "cohort", "y"])


def staggered(n=40, periods=5, starts=(0, 3, 4), seed=20250101):
    """Cohorts in turn, one covariate, an effect of 1 from the first treated period on."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    table["x"] = rng.normal(size=n)[table["unit"]]
    treated = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    table["y"] = rng.normal(size=n)[table["unit"]] + 0.2 * table["x"] * table["period"] + treated
    table["y"] += rng.normal(size=len(table))
    return table


def cells(result):
    """(cohort, period) -> estimate."""
    labels = result.group_time.labels
    return dict(zip(zip(labels["cohort"], labels["period"], strict=True), result.group_time.estimate, strict=True))


def base_periods(result):
    labels = result.group_time.labels
    return dict(zip(zip(labels["cohort"], labels["period"], strict=True), labels["base_period"], strict=True))


def phases(result):
    labels = result.group_time.labels
    return dict(zip(zip(labels["cohort"], labels["period"], strict=True), labels["phase"], strict=True))


# by hand --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", BY_CELL)
def test_four_schools_by_hand(panel, estimator):
    # Four schools, two periods. The change is 5 and 7 for the treated schools (mean 6)
    # and 1 and 3 for the others (mean 2). ATT = 6 - 2 = 4.
    # Influence: n/n₁ × (5 - 6) = -2 and +2 for the treated, -n/n₀ × (1 - 2) = +2 and -2 for the others.
    # Standard error = √(4 + 4 + 4 + 4) / 4 = 1.
    result = did.estimate(*panel(schools(), estimator=estimator))
    assert cells(result) == {(2, 2): 4.0}
    np.testing.assert_allclose(result.group_time.dense()[:, 0], [-2.0, 2.0, 2.0, -2.0])
    np.testing.assert_allclose(covariance(result.group_time).std_error, [1.0])
    assert result.group_time.units.tolist() == ["A", "B", "C", "D"]
    for overall in result.overall.values():
        np.testing.assert_allclose(overall.estimate, [4.0])


def test_clustering_two_schools_whose_influences_cancel_gives_zero(panel):
    table = schools().assign(village=["x"] * 4 + ["y"] * 4)
    sample, design = panel(table, cluster=("village",))
    effects = did.estimate(sample, design).headline
    np.testing.assert_array_equal(covariance(effects, cluster_table(sample.frame, ["cluster_1"])).std_error, [0.0])


def test_weighted_schools_by_hand(panel):
    # Weights 1, 3 for the treated and 1, 1 for the others: (5 + 21)/4 - (1 + 3)/2 = 6.5 - 2 = 4.5.
    table = schools().assign(w=np.repeat([1.0, 3.0, 1.0, 1.0], 2))
    assert cells(did.estimate(*panel(table, weight="w"))) == {(2, 2): 4.5}


def test_repeated_cross_sections_by_hand(panel):
    # Other people in each period: treated means 1 -> 9, others 2 -> 4. ATT = 8 - 2 = 6.
    table = (
        pd.DataFrame(
            [(1, 2, 0.0), (1, 2, 2.0), (2, 2, 8.0), (2, 2, 10.0), (1, 0, 1.0), (1, 0, 3.0), (2, 0, 3.0), (2, 0, 5.0)],
            columns=["period", "cohort", "y"],
        )
        .rename_axis("unit")
        .reset_index()
    )
    result = did.estimate(*panel(table, panel="repeated_cross_section"))
    assert cells(result) == {(2, 2): 6.0}
    # Each of the four means has influence 8/2 × (±1): √(8 × 16) / 8 = √2.
    np.testing.assert_allclose(covariance(result.headline).std_error, [np.sqrt(2)])


def test_averages_by_hand(panel):
    # Two schools start in 2 with effects 1 in period 2 and 3 in period 3; one starts in 3 with effect 8.
    # simple: (2/3)(1 + 3) + (1/3) 8 over (2/3 + 2/3 + 1/3) = (4 × 2 + 8) / 5 = 3.2
    # cohort: 2 -> 2, 3 -> 8; overall (2 × 2 + 8)/3 = 4
    # event time 0: (2 × 1 + 8)/3 = 10/3; 1: 3; overall (10/3 + 3)/2 = 19/6
    # calendar 2: 1; 3: (2 × 3 + 8)/3 = 14/3; overall (1 + 14/3)/2 = 17/6
    gain = {(2, 2): 1.0, (2, 3): 3.0, (3, 3): 8.0}
    rows = [
        (unit, period, cohort, gain.get((cohort, period), 0.0))
        for unit, cohort in enumerate([2, 2, 3, 0])
        for period in (1, 2, 3)
    ]
    result = did.estimate(*panel(pd.DataFrame(rows, columns=["unit", "period", "cohort", "y"])))
    found = {name: effects.estimate[0] for name, effects in result.overall.items()}
    assert found == pytest.approx({"simple": 3.2, "cohort": 4.0, "event_time": 19 / 6, "calendar": 17 / 6})
    np.testing.assert_allclose(result.aggregates["cohort"].estimate, [2.0, 8.0])
    events = result.aggregates["event_time"]
    assert dict(zip(events.labels["event_time"], events.estimate, strict=True)) == pytest.approx(
        {-1: 0.0, 0: 10 / 3, 1: 3.0}
    )
    np.testing.assert_allclose(result.aggregates["calendar"].estimate, [1.0, 14 / 3])
    assert result.aggregates["calendar"].labels["period"].tolist() == [2, 3]


def test_the_headline_is_the_overall_of_the_designs_aggregate(panel):
    for name in AGGREGATES:
        result = did.estimate(*panel(staggered(), aggregate=name))
        assert result.headline is result.overall[name]
        assert result.headline.labels[["term", "aggregate"]].to_dict("records") == [{"term": "att", "aggregate": name}]


def test_with_two_periods_and_no_covariates_it_is_the_regression_with_fixed_effects(panel):
    sample, design = panel(schools())
    from evaluation.impact import fixed_effects

    both = fixed_effects.estimate(sample, design).headline, did.estimate(sample, design).headline
    np.testing.assert_allclose(both[0].estimate, both[1].estimate)
    np.testing.assert_allclose(covariance(both[0]).matrix, covariance(both[1]).matrix)


# which periods and who ------------------------------------------------------------------------------------------------


def test_varying_base_periods(panel):
    result = did.estimate(*panel(staggered()))
    assert base_periods(result) == {
        (3, 2): 1, (3, 3): 2, (3, 4): 2, (3, 5): 2, (4, 2): 1, (4, 3): 2, (4, 4): 3, (4, 5): 3,
    }  # fmt: skip
    assert {key for key, phase in phases(result).items() if phase == "pre"} == {(3, 2), (4, 2), (4, 3)}
    assert len(result.pre_treatment) == 3


def test_universal_base_period_is_zero_by_construction(panel):
    result = did.estimate(*panel(staggered(), base_period="universal"))
    assert set(base_periods(result).values()) == {2, 3}
    assert {key for key, phase in phases(result).items() if phase == "reference"} == {(3, 2), (4, 3)}
    assert cells(result)[3, 2] == 0.0
    table = summarize(result.group_time)
    assert table.loc[table["phase"] == "reference", "std_error"].isna().all()
    events = summarize(result.aggregates["event_time"])
    assert events.loc[events["event_time"] == -1, "reason"].tolist() == [REFERENCE]


def test_anticipation_moves_the_base_and_is_not_part_of_the_test_before_treatment(panel):
    result = did.estimate(*panel(staggered(periods=6, starts=(0, 4, 5)), anticipation=2))
    # Cohort 4 may react from 2 on: base 1. Cohort 5 may react from 3 on: base 2.
    assert base_periods(result) == {
        (4, 2): 1, (4, 3): 1, (4, 4): 1, (4, 5): 1, (4, 6): 1,
        (5, 2): 1, (5, 3): 2, (5, 4): 2, (5, 5): 2, (5, 6): 2,
    }  # fmt: skip
    assert {key for key, phase in phases(result).items() if phase == "pre"} == {(5, 2)}
    assert phases(result)[4, 2] == phases(result)[4, 3] == "anticipation"


def test_units_not_yet_treated_are_compared_until_they_are(panel):
    table = staggered()
    result = did.estimate(*panel(table, comparison="not_yet_treated"))
    arms = result.group_time.arms
    compared = {
        key: arms.comparison[:, k].tolist()
        for k, key in enumerate(
            zip(result.group_time.labels["cohort"], result.group_time.labels["period"], strict=True)
        )
    }
    # Cohorts in order: 3, 4, never.
    assert compared[3, 3] == [False, True, True]
    assert compared[3, 4] == [False, False, True]
    assert compared[4, 2] == [True, False, True]
    assert compared[4, 3] == [False, False, True]


def test_without_never_treated_units_the_last_cohort_is_compared_until_it_starts(panel):
    table = staggered(starts=(3, 4, 5))
    expected = staggered(starts=(3, 4, 5)).query("period < 5").replace({"cohort": {5: 0}})
    for comparison in ("never_treated", "not_yet_treated"):
        result = did.estimate(*panel(table, comparison=comparison))
        assert cells(result) == pytest.approx(cells(did.estimate(*panel(expected, comparison=comparison))))
        assert "cohort 5" in result.notes[0]
        assert [(step.step, step.dropped, step.left) for step in result.flow] == [("no_comparison", 40, 160)]


def test_a_cohort_after_the_last_period_was_never_treated_here(panel):
    table = staggered(starts=(0, 3, 9))
    result = did.estimate(*panel(table))
    assert cells(result) == pytest.approx(cells(did.estimate(*panel(table.replace({"cohort": {9: 0}})))))


def test_units_treated_from_the_start_are_dropped_and_counted(panel):
    result = did.estimate(*panel(staggered(n=40, starts=(0, 3, 4, 1))))
    assert [(s.step, s.dropped, s.left, s.dropped_treated) for s in result.flow] == [
        ("treated_from_the_start", 50, 150, 50)
    ]
    assert result.group_time.n_units == 30


def test_a_balanced_panel_drops_units_with_gaps(panel):
    table = staggered()
    gappy = table[~((table["unit"] == 1) & (table["period"] == 2))]
    result = did.estimate(*panel(gappy))
    assert [(s.step, s.dropped, s.left) for s in result.flow] == [("unbalanced", 4, 195)]
    assert cells(result) == pytest.approx(cells(did.estimate(*panel(table[table["unit"] != 1]))))


def test_if_balancing_takes_the_never_treated_away_the_last_cohort_is_compared(panel):
    table = staggered()
    gappy = table[~((table["cohort"] == 0) & (table["period"] == 5))]
    result = did.estimate(*panel(gappy))
    assert "cohort 4" in result.notes[0]
    assert set(result.group_time.labels["cohort"]) == {3}


def test_an_unbalanced_panel_without_gaps_is_a_balanced_one(panel):
    table = staggered()
    found, same = (did.estimate(*panel(table, panel=kind)) for kind in ("unbalanced", "balanced"))
    np.testing.assert_array_equal(found.group_time.dense(), same.group_time.dense())
    assert found.notes == ("no unit lacks a period: estimated as a balanced panel",)
    assert same.notes == ()


def test_an_unbalanced_panel_keeps_units_with_gaps(panel):
    table = staggered()
    gappy = table[~((table["unit"] == 1) & (table["period"] == 2))]
    result = did.estimate(*panel(gappy, panel="unbalanced"))
    assert result.flow == ()
    assert result.group_time.n_units == 40


def test_cross_sections_of_one_panel_have_the_estimates_of_the_panel(panel):
    table = staggered()
    both = (
        did.estimate(*panel(table)),
        did.estimate(*panel(table.assign(unit=np.arange(len(table))), panel="repeated_cross_section")),
    )
    assert cells(both[0]) == pytest.approx(cells(both[1]))


def test_a_secondary_outcome_loses_its_missing_rows_and_counts_them(panel):
    sample, design = panel(staggered())
    missing = sample.frame.assign(outcome_2=sample.frame["outcome_1"].where(sample.frame["unit"] != 1))
    result = did.estimate(replace(sample, frame=missing), design, outcome="outcome_2")
    assert [(s.step, s.dropped, s.dropped_treated) for s in result.flow] == [("missing_outcome", 5, 5)]
    assert result.group_time.n_units == 39


def test_weight_zero_is_as_if_absent(panel):
    table = staggered().assign(w=1.0)
    table.loc[table["unit"] == 1, "w"] = 0.0
    result = did.estimate(*panel(table, weight="w"))
    without = did.estimate(*panel(table[table["unit"] != 1]))
    assert cells(result) == pytest.approx(cells(without))
    np.testing.assert_allclose(covariance(result.headline).matrix, covariance(without.headline).matrix)
    assert [step.step for step in result.flow] == ["zero_weight"]


def test_covariates_and_weights_are_those_of_the_earlier_period(panel):
    # A covariate that explodes after the base period must not matter after treatment.
    table = staggered()
    moved = table.assign(x=table["x"].where(table["period"] < 4, 1e3 * table["unit"]))
    after = did.estimate(*panel(moved, covariates=("x",), estimator="regression"))
    before = did.estimate(*panel(table, covariates=("x",), estimator="regression"))
    assert cells(after)[3, 5] == pytest.approx(cells(before)[3, 5])
    assert cells(after)[4, 5] == pytest.approx(cells(before)[4, 5])


def test_categories_are_covariates_too(panel):
    table = staggered().assign(kind=lambda t: np.array(["a", "b", "c"])[t["unit"] % 7 % 3])
    dummies = table.assign(b=(table["kind"] == "b") * 1.0, c=(table["kind"] == "c") * 1.0)
    found = did.estimate(*panel(table.astype({"kind": "category"}), covariates=("kind",)))
    assert cells(found) == pytest.approx(cells(did.estimate(*panel(dummies, covariates=("b", "c")))))


def test_effects_before_treatment_can_be_tested_jointly(panel):
    result = did.estimate(*panel(staggered(n=90)))
    test = wald(result.pre_treatment)
    assert test.df == 3
    assert 0 < test.p_value < 1


def test_a_cohort_of_one_has_a_standard_error_but_no_test(panel):
    table = staggered()
    table.loc[table["unit"] % 3 == 2, "cohort"] = 0
    table.loc[table["unit"] == 2, "cohort"] = 4
    table_of = summarize(did.estimate(*panel(table)).group_time)
    alone = table_of["cohort"] == 4
    assert (table_of.loc[alone, "std_error"] > 0).all()
    assert table_of.loc[alone, "p_value"].isna().all()
    assert table_of.loc[alone, "reason"].str.startswith("treated units: 1").all()
    assert table_of.loc[~alone, "p_value"].notna().all()


# cells without an estimate --------------------------------------------------------------------------------------------


def test_collinear_covariates_are_named_cell_by_cell(panel):
    # `twin` repeats `x` except in cohort 4, which is a comparison of cohort 3 until period 3.
    table = staggered()
    table["twin"] = np.where(table["cohort"] == 4, table["x"] ** 2, 2 * table["x"])
    options = {"comparison": "not_yet_treated", "estimator": "regression"}
    result = did.estimate(*panel(table, covariates=("x", "twin"), **options))
    assert set(result.skipped["reason"]) == {"collinear"}
    assert result.skipped["detail"].str.contains("twin").all()
    assert set(cells(result)) == {(3, 2), (3, 3)}
    assert set(zip(result.skipped["cohort"], result.skipped["period"], strict=True)) == {
        (3, 4), (3, 5), (4, 2), (4, 3), (4, 4), (4, 5),
    }  # fmt: skip
    np.testing.assert_allclose(result.overall["cohort"].estimate, cells(result)[3, 3])
    assert result.skipped.columns.tolist() == ["cohort", "period", "event_time", "base_period", "reason", "detail"]


def test_covariates_that_tell_the_arms_apart_leave_the_cell_out(panel):
    table = staggered().assign(flag=lambda t: np.where(t["cohort"] == 4, 10.0 + t["x"], t["x"]))
    result = did.estimate(*panel(table, covariates=("flag",), estimator="inverse_probability"))
    assert set(result.skipped["reason"]) == {"separation"}
    assert set(result.group_time.labels["cohort"]) == {3}
    assert result.aggregates["cohort"].labels["cohort"].tolist() == [3]


def test_a_treated_row_without_counterpart_is_an_overlap_problem():
    rng = np.random.default_rng(20250101)
    treated = np.arange(200) < 60
    x = rng.normal(size=200) + 4.2 * treated
    found = panel_cells(
        rng.normal(size=(200, 1)), treated, np.column_stack([np.ones(200), x]), np.ones(200),
        estimator="doubly_robust", names=["constant", "x"],
    )  # fmt: skip
    assert isinstance(found, NotIdentified)
    assert found.reason == "overlap"
    assert "probability of treatment" in found.detail


def test_fewer_comparison_rows_than_coefficients_are_said():
    found = panel_cells(
        np.zeros((6, 1)), np.arange(6) < 5, np.column_stack([np.ones(6), np.arange(6.0)]), np.ones(6),
        estimator="regression", names=["constant", "x"],
    )  # fmt: skip
    assert found == NotIdentified(reason="too_few_rows", detail="1 rows for 2 coefficients")


@pytest.mark.parametrize("estimator", BY_CELL)
def test_collinear_cross_sections_are_named(estimator):
    rng = np.random.default_rng(20250101)
    x = rng.normal(size=80)
    found = cross_section_cell(
        rng.normal(size=80), np.arange(80) % 2 == 0, np.arange(80) % 4 < 2,
        np.column_stack([np.ones(80), x, 3 * x]), np.ones(80), estimator=estimator, names=["constant", "x", "triple"],
    )  # fmt: skip
    assert found.reason == "collinear"
    assert "triple" in found.detail


def test_a_treated_arm_that_is_collinear_in_one_period_leaves_the_cell_out():
    rng = np.random.default_rng(20250101)
    treated, after, x = np.arange(80) % 2 == 0, np.arange(80) % 4 < 2, rng.normal(size=80)
    x[treated & ~after] = 1.0
    found = cross_section_cell(
        rng.normal(size=80), treated, after, np.column_stack([np.ones(80), x]), np.ones(80),
        estimator="doubly_robust", names=["constant", "x"],
    )  # fmt: skip
    assert found.reason == "collinear"


def test_a_period_without_treated_rows_is_an_empty_cell(panel):
    table = staggered()
    table = table[~((table["cohort"] == 3) & (table["period"] == 5))]
    result = did.estimate(*panel(table, panel="unbalanced"))
    assert result.skipped[["cohort", "period", "reason"]].to_dict("records") == [
        {"cohort": 3, "period": 5, "reason": "empty_cell"}
    ]
    assert (3, 5) not in cells(result)


# refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_impossible_weights_are_refused(panel, weight):
    table = schools().assign(w=[weight] + [1.0] * 7)
    with pytest.raises(DataError, match="E-IMP-033") as refusal:
        did.estimate(*panel(table, weight="w"))
    assert refusal.value.where == "w"


def test_a_unit_that_changes_its_cohort_is_refused(panel):
    table = schools()
    table.loc[1, "cohort"] = 0
    with pytest.raises(DataError, match="E-IMP-034") as refusal:
        did.estimate(*panel(table))
    assert "'A'" in refusal.value.found


def test_a_unit_with_a_period_twice_is_refused(panel):
    table = schools()
    with pytest.raises(DataError, match="E-IMP-035") as refusal:
        did.estimate(*panel(pd.concat([table, table.iloc[[3]]])))
    assert "'B'" in refusal.value.found


def test_one_period_is_not_enough(panel):
    with pytest.raises(DataError, match="E-IMP-036"):
        did.estimate(*panel(schools().query("period == 1")))


def test_a_panel_in_which_every_unit_has_gaps_is_refused(panel):
    table = staggered()
    with pytest.raises(DataError, match="E-IMP-037"):
        did.estimate(*panel(table[table["unit"] % 5 + 1 != table["period"]]))


@pytest.mark.parametrize("cohorts", [[0, 0, 0, 0], [2, 2, 2, 2], [1, 1, 0, 0]])
def test_somebody_must_start_while_others_do_not(panel, cohorts):
    with pytest.raises(DataError, match="E-IMP-038"):
        did.estimate(*panel(schools().assign(cohort=np.repeat(cohorts, 2))))


def test_if_no_effect_after_treatment_can_be_estimated_the_reasons_are_given(panel):
    table = staggered().assign(twin=lambda t: 2 * t["x"])
    with pytest.raises(DataError, match="E-IMP-039") as refusal:
        did.estimate(*panel(table, covariates=("x", "twin")))
    assert "twin" in refusal.value.found
    assert "combinations of one another" in refusal.value.found


# event windows --------------------------------------------------------------------------------------------------------


def growing(panel, **window):
    """Cohorts 3 and 5 of six periods, effects 1, 2, 3, … of the first and 10, 20 of the second; two never treated."""
    gain = {3: 1.0, 5: 10.0, 0: 0.0}
    rows = [
        (unit, period, cohort, gain[cohort] * max(period - cohort + 1, 0) if cohort else 0.0)
        for unit, cohort in enumerate([3, 3, 5, 5, 0, 0])
        for period in range(1, 7)
    ]
    table = pd.DataFrame(rows, columns=["unit", "period", "cohort", "y"])
    return did.estimate(*panel(table, event_window=window))


def by_event_time(result):
    effects = result.aggregates["event_time"]
    return dict(zip(effects.labels["event_time"].tolist(), effects.estimate.tolist(), strict=True))


def test_an_event_window_leaves_out_what_lies_outside(panel):
    # Event time 0: (1 + 10)/2, 1: (2 + 20)/2, 2 and 3: the first cohort alone. Up to 1 the overall mean is 8.25.
    found = by_event_time(growing(panel, first=-1, last=1))
    assert found == pytest.approx({-1: 0.0, 0: 5.5, 1: 11.0})
    result = growing(panel, last=1)
    assert result.overall["event_time"].estimate[0] == pytest.approx(8.25)
    # cohort 3 averages (1 + 2)/2, cohort 5 (10 + 20)/2: overall 8.25 as well, and simple the same four cells
    assert result.overall["cohort"].estimate[0] == pytest.approx(8.25)
    assert set(result.weights["period"]) == {3, 4, 5, 6}


def test_a_balanced_event_window_averages_the_same_cohorts_at_every_event_time(panel):
    # Three periods after the start are seen of cohort 3 alone (6 - 3 = 3, 6 - 5 = 1), from 3 - 6 + 1 = -2 on.
    assert by_event_time(growing(panel, balanced=3)) == pytest.approx({-1: 0.0, 0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0})
    # One period after is seen of both, from 1 - 6 + 1 = -4 on; later event times are left out.
    both = by_event_time(growing(panel, balanced=1))
    assert both == pytest.approx({-3: 0.0, -2: 0.0, -1: 0.0, 0: 5.5, 1: 11.0})


def test_an_event_window_that_no_cohort_fills_is_refused(panel):
    with pytest.raises(DataError, match="E-IMP-091"):
        growing(panel, balanced=4)
