"""Laws of difference-in-differences that hold for every panel."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact import did
from evaluation.impact.inference import cluster_table, covariance
from evaluation.settings.designs import BY_CELL

LAW = settings(max_examples=8, deadline=None, derandomize=True)


@st.composite
def designs(draw):
    """A table of units by period, and the options of a design."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    periods = draw(st.integers(2, 5))
    n = draw(st.integers(24, 40))
    starts = [0, *range(2, periods + 1)][: draw(st.integers(2, 4))]
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    table["x"] = rng.normal(size=n)[table["unit"]]
    table["w"] = rng.uniform(0.5, 2.0, size=n)[table["unit"]]
    table["village"] = table["unit"] % 7
    table["y"] = rng.normal(size=len(table)) + table["x"] * table["period"]
    options = {
        "estimator": draw(st.sampled_from(BY_CELL)),
        "comparison": draw(st.sampled_from(["never_treated", "not_yet_treated"])),
        "base_period": draw(st.sampled_from(["varying", "universal"])),
        "weight": draw(st.sampled_from([None, "w"])),
        "covariates": draw(st.sampled_from([(), ("x",)])),
    }
    kind = draw(st.sampled_from(["balanced", "unbalanced", "repeated_cross_section"]))
    if kind != "balanced":
        table = table[rng.random(len(table)) > 0.1].reset_index(drop=True)
    if kind == "repeated_cross_section":
        table["unit"] = np.arange(len(table))
    return table, {**options, "panel": kind}


def run(panel, table, options):
    return did.estimate(*panel(table, cluster=("village",), **options))


def everything(result):
    """All estimates and standard errors, one after the other."""
    effects = [result.group_time, *result.aggregates.values(), *result.overall.values()]
    return (
        np.concatenate([part.estimate for part in effects]),
        np.concatenate([covariance(part).std_error for part in effects]),
    )


def assert_same(found, expected, sign=1.0, scale=1.0):
    estimate, std_error = everything(found)
    estimate_expected, std_error_expected = everything(expected)
    size = np.abs(estimate_expected).max() * scale
    np.testing.assert_allclose(estimate, sign * scale * estimate_expected, rtol=1e-8, atol=1e-9 * size)
    np.testing.assert_allclose(std_error, scale * std_error_expected, rtol=1e-8, atol=1e-9 * size)


@LAW
@given(case=designs())
def test_every_influence_has_mean_zero(panel, case):
    result = run(panel, *case)
    for effects in (result.group_time, *result.aggregates.values(), *result.overall.values()):
        size = np.sqrt(np.mean(effects.dense()**2, axis=0))
        assert (np.abs(effects.dense().mean(axis=0)) <= 1e-8 * size + 1e-12).all()


@LAW
@given(case=designs(), seed=st.integers(0, 10**6))
def test_the_order_of_rows_changes_nothing(panel, case, seed):
    table, options = case
    sample, design = panel(table, cluster=("village",), **options)
    shuffled = sample.frame.sample(frac=1, random_state=seed, ignore_index=True)
    found = did.estimate(replace(sample, frame=shuffled), design)
    expected = did.estimate(sample, design)
    np.testing.assert_array_equal(found.group_time.dense(), expected.group_time.dense())
    assert found.group_time.units.equals(expected.group_time.units)


@LAW
@given(case=designs(), constant=st.floats(-100, 100))
def test_a_constant_changes_nothing(panel, case, constant):
    table, options = case
    assert_same(run(panel, table.assign(y=table["y"] + constant), options), run(panel, table, options))


@LAW
@given(case=designs(), seed=st.integers(0, 10**6))
def test_common_shocks_of_a_period_change_nothing(panel, case, seed):
    table, options = case
    shock = np.random.default_rng(seed).normal(size=6)[table["period"]]
    assert_same(run(panel, table.assign(y=table["y"] + shock), options), run(panel, table, options))


@LAW
@given(case=designs(), seed=st.integers(0, 10**6))
def test_levels_of_units_change_nothing_in_a_balanced_panel(panel, case, seed):
    table, options = case
    if options["panel"] != "balanced":
        return
    level = np.random.default_rng(seed).normal(size=table["unit"].max() + 1)[table["unit"]]
    assert_same(run(panel, table.assign(y=table["y"] + level), options), run(panel, table, options))


@LAW
@given(case=designs(), scale=st.sampled_from([1e-6, 1e-2, 3.0, 1e6]), sign=st.sampled_from([-1.0, 1.0]))
def test_the_unit_of_the_outcome_scales_everything(panel, case, scale, sign):
    table, options = case
    found = run(panel, table.assign(y=sign * scale * table["y"]), options)
    assert_same(found, run(panel, table, options), sign=sign, scale=scale)


@LAW
@given(case=designs(), scale=st.sampled_from([1e-3, 7.0, 1e5]))
def test_the_scale_of_weights_changes_nothing(panel, case, scale):
    table, options = case
    options = {**options, "weight": "w"}
    assert_same(run(panel, table.assign(w=scale * table["w"]), options), run(panel, table, options))


@LAW
@given(case=designs())
def test_equal_weights_are_no_weights(panel, case):
    table, options = case
    found = run(panel, table.assign(w=2.5), {**options, "weight": "w"})
    assert_same(found, run(panel, table, {**options, "weight": None}))


@LAW
@given(case=designs(), count=st.integers(1, 4))
def test_always_treated_units_change_nothing(panel, case, count):
    table, options = case
    if options["panel"] == "repeated_cross_section":
        return
    first = table["period"].min()
    extra = table[table["unit"] < count].assign(unit=lambda t: t["unit"] + 1000, cohort=first, y=lambda t: 9 * t["y"])
    found = run(panel, pd.concat([table, extra], ignore_index=True), options)
    assert_same(found, run(panel, table, options))


@LAW
@given(case=designs())
def test_relabelling_units_changes_nothing(panel, case):
    table, options = case
    named = table.assign(unit="école " + (10**6 - table["unit"]).astype(str))
    assert_same(run(panel, named, options), run(panel, table, options))


@LAW
@given(case=designs(), start=st.sampled_from([-30, 1990]), step=st.just(1))
def test_shifting_the_calendar_changes_nothing(panel, case, start, step):
    table, options = case
    moved = table.assign(
        period=start * step + table["period"] + 100,
        cohort=np.where(table["cohort"] > 0, table["cohort"] + start + 100, 0),
    )
    found, expected = run(panel, moved, options), run(panel, table, options)
    assert_same(found, expected)
    assert found.group_time.labels["event_time"].equals(expected.group_time.labels["event_time"])


@LAW
@given(case=designs())
def test_clustering_by_unit_is_no_clustering(panel, case):
    table, options = case
    result = run(panel, table, options)
    by_unit = pd.DataFrame({"unit": result.group_time.units}, index=result.group_time.units)
    for effects in (result.group_time, result.headline):
        np.testing.assert_allclose(
            covariance(effects, by_unit).matrix, covariance(effects).matrix, rtol=1e-10, atol=1e-20
        )


@LAW
@given(case=designs())
def test_never_and_not_yet_treated_are_one_if_there_is_one_cohort(panel, case):
    table, options = case
    table = table.assign(cohort=np.where(table["cohort"] > 0, 2, 0))
    never, not_yet = (run(panel, table, {**options, "comparison": c}) for c in ("never_treated", "not_yet_treated"))
    assert_same(never, not_yet)


@LAW
@given(case=designs(), effect=st.floats(-5, 5))
def test_an_effect_added_after_treatment_is_found(panel, case, effect):
    table, options = case
    after = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    moved, before = run(panel, table.assign(y=table["y"] + effect * after), options), run(panel, table, options)
    if options["panel"] == "balanced":
        np.testing.assert_allclose(moved.headline.estimate - before.headline.estimate, effect, atol=1e-9)


@LAW
@given(case=designs())
def test_without_covariates_the_three_estimators_are_one(panel, case):
    table, options = case
    found = [run(panel, table, {**options, "covariates": (), "estimator": name}) for name in BY_CELL]
    assert_same(found[0], found[1])
    assert_same(found[2], found[1])


@LAW
@given(case=designs())
def test_a_period_outside_every_window_changes_nothing(panel, case):
    # Against never treated units and a universal base, the period before all bases is used by one cell a cohort.
    table, options = case
    if options["panel"] != "balanced" or table["period"].max() < 4:
        return
    options = {**options, "base_period": "universal", "comparison": "never_treated"}
    late = table[(table["cohort"] == 0) | (table["cohort"] >= 4)].assign(
        cohort=lambda t: t["cohort"].where(t["cohort"] == 0, 4)
    )
    late = late if (late["cohort"] > 0).any() else table.assign(cohort=np.where(table["cohort"] > 0, 4, 0))
    full, short = run(panel, late, options), run(panel, late[late["period"] > 1], options)
    np.testing.assert_allclose(short.headline.estimate, full.headline.estimate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(covariance(short.headline).matrix, covariance(full.headline).matrix, rtol=1e-8)


@pytest.mark.parametrize("kind", ["balanced", "repeated_cross_section"])
def test_four_times_the_data_halve_the_standard_error(panel, kind):
    rng = np.random.default_rng(20250101)

    def error(n):
        table = pd.DataFrame({"unit": np.repeat(np.arange(n), 3), "period": np.tile([1, 2, 3], n)})
        table["cohort"] = np.take([0, 2, 3], table["unit"] % 3)
        table["y"] = rng.normal(size=len(table))
        if kind == "repeated_cross_section":
            table["unit"] = np.arange(len(table))
        return covariance(did.estimate(*panel(table, panel=kind)).headline).std_error[0]

    assert error(2400) / error(600) == pytest.approx(0.5, rel=0.15)


def test_clusters_of_the_sample_reach_inference_by_label(panel):
    rng = np.random.default_rng(20250101)
    table = pd.DataFrame({"unit": np.repeat(np.arange(60), 3), "period": np.tile([1, 2, 3], 60)})
    table["cohort"] = np.take([0, 2, 3, 1], table["unit"] % 4)  # a fourth of the units is dropped
    table["village"] = table["unit"] // 4
    table["y"] = rng.normal(size=15)[table["village"]] * table["period"] * (table["cohort"] > 0) + rng.normal(size=180)
    sample, design = panel(table, cluster=("village",))
    effects = did.estimate(sample, design).headline
    clusters = cluster_table(sample.frame, ["cluster_1"])
    sums = pd.Series(effects.dense()[:, 0], effects.units).groupby(lambda unit: unit // 4).sum()
    np.testing.assert_allclose(covariance(effects, clusters).matrix[0, 0], (sums**2).sum() / effects.n_units**2)
    assert covariance(effects, clusters).n_clusters == {"cluster_1": 15}
