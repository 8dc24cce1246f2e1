"""Stacked difference-in-differences: by hand, the weighted stacked regression, equalities, peers, refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did, fixed_effects, stacked
from evaluation.impact.inference import covariance, summarize


def staggered(n=48, periods=8, starts=(0, 4, 5, 7), seed=20250101, gaps=0.0):
    """Cohorts of unequal size, effects that grow and differ, a covariate that moves and one that does not."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, rng.integers(0, len(starts), n))[table["unit"]]
    table["x"], table["z"] = rng.normal(size=len(table)), rng.normal(size=n)[table["unit"]]
    treated = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    table["y"] = treated * (table["cohort"] + 0.5 * table["period"]) + 0.7 * table["x"]
    table["y"] += rng.normal(size=n)[table["unit"]] + 0.3 * table["period"] + rng.normal(size=len(table))
    table["w"], table["v"] = rng.uniform(0.5, 2, n)[table["unit"]], rng.uniform(0.5, 2, len(table))
    return table[rng.random(len(table)) >= gaps].reset_index(drop=True)


def run(build, table, **options):
    return stacked.estimate(*build(table, estimator="stacked", **options))


def test_two_groups_and_two_periods_by_hand(panel):
    # Four schools: changes 5 and 7 against 1 and 3: 6 - 2 = 4. Influences ±1 times 4/2: √(4 · 4)/4 = 1.
    table = pd.DataFrame({"unit": list("AABBCCDD"), "period": [1, 2] * 4, "cohort": [2] * 4 + [0] * 4})
    table["y"] = [10, 15, 20, 27, 30, 31, 40, 43]
    sample, design = panel(table, estimator="stacked")
    result = stacked.estimate(sample, design)
    np.testing.assert_allclose(result.headline.estimate, [4.0])
    np.testing.assert_allclose(covariance(result.headline).std_error, [1.0])
    np.testing.assert_allclose(fixed_effects.estimate(sample, design).headline.estimate, [4.0])
    assert summarize(result.headline).iloc[0]["reason"].startswith("treated units: 2")
    # One sub-experiment is one regression, so that its conventions can be had: G/(G-1) (N-1)/(N-k), k = 1 + 1 + 2 - 1.
    np.testing.assert_allclose(covariance(result.group_time, kind="cr1").std_error[1], np.sqrt(4 / 3 * 7 / 5))


def weighted_stack(table, first, last, *, clean):
    """The stacked regression of Wing, Freedman and Hollingsworth: event times and coefficients."""
    low, high = table["period"].min(), table["period"].max()
    starts = [g for g in sorted(set(table["cohort"]) - {0}) if g + first >= low and g + last <= high]
    parts = []
    for g in starts:
        kept = (table["cohort"] == g) | (table["cohort"] == 0) | (clean & (table["cohort"] > g + last))
        part = table[kept & (table["period"] - g).between(first, last)]
        parts.append(part.assign(event=part["period"] - g, own=(part["cohort"] == g).astype(float), stack=g))
    stack = pd.concat(parts, ignore_index=True)
    here = stack[stack["event"] == 0].groupby("stack")["own"].agg(treated="sum", units="size")
    shares = here["treated"] / here["treated"].sum()
    others = (here["units"] - here["treated"]) / (here["units"] - here["treated"]).sum()
    q = np.where(stack["own"] == 1, 1.0, stack["stack"].map(shares / others))
    events = [e for e in range(first, last + 1) if e != -1]
    x = np.column_stack([
        *(stack["own"] * (stack["event"] == e) for e in events), stack["own"],
        *((stack["event"] == e).astype(float) for e in range(first, last + 1)),
    ])  # fmt: skip
    bread = np.linalg.inv(x.T @ (q[:, None] * x))
    beta = bread @ (x.T @ (q * stack["y"].to_numpy()))
    return events, beta[: len(events)]


@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
@pytest.mark.parametrize("window", [(-2, 1), (-3, 0), (-1, 3)])
def test_it_is_the_weighted_stacked_regression(panel, window, comparison):
    table = staggered()
    first, last = window
    events, beta = weighted_stack(table, first, last, clean=comparison == "not_yet_treated")
    result = run(panel, table, comparison=comparison, event_window={"first": first, "last": last})
    means = result.aggregates["event_time"]
    real = (means.labels["event_time"] != -1).to_numpy()
    assert means.labels["event_time"][real].tolist() == events
    np.testing.assert_allclose(means.estimate[real], beta, atol=1e-10)


@pytest.mark.parametrize("options", [{}, {"weight": "w"}, {"anticipation": 1}], ids=str)
def test_against_never_treated_cells_are_those_of_the_comparison_of_means(panel, options):
    table = staggered()
    window = {"first": -3, "last": 1}
    ours = run(panel, table, event_window=window, **options).group_time
    theirs = did.estimate(*panel(table, base_period="universal", **options)).group_time
    at = pd.MultiIndex.from_frame(theirs.labels[["cohort", "period"]])
    place = at.get_indexer(pd.MultiIndex.from_frame(ours.labels[["cohort", "period"]]))
    assert (place >= 0).all()
    np.testing.assert_allclose(ours.estimate, theirs.estimate[place], atol=1e-10)
    np.testing.assert_allclose(covariance(ours).matrix, covariance(theirs).matrix[np.ix_(place, place)], atol=1e-10)
    assert (ours.labels["phase"].to_numpy() == theirs.labels["phase"].to_numpy()[place]).all()


def test_every_event_time_averages_the_same_cohorts(panel):
    result = run(panel, staggered(), event_window={"first": -3, "last": 1})
    window = {"first": -3, "last": 1, "balanced": 1}
    balanced = did.estimate(*panel(staggered(), base_period="universal", event_window=window, aggregate="event_time"))
    np.testing.assert_allclose(result.overall["event_time"].estimate, balanced.headline.estimate, atol=1e-10)
    np.testing.assert_allclose(result.overall["simple"].estimate, balanced.headline.estimate, atol=1e-10)
    errors = [covariance(effects).std_error for effects in (result.overall["event_time"], balanced.headline)]
    np.testing.assert_allclose(*errors, rtol=1e-9)


MINIMUM_WAGE = {"names": ("countyreal", "year", "first.treat", "lemp")}
# diff-diff 3.13.0, 2026-11-24: StackedDiD(kappa_pre, kappa_post, control_group=…, cluster="unit"), effects and overall.
OTHER_PROGRAM = {
    ("never_treated", -1, 0): ({0: -0.01993181678925561}, -0.01993181678925561),
    ("never_treated", -1, 1): ({0: -0.006564153375564749, 1: -0.05095736706519597}, -0.02876076022038036),
    ("never_treated", -2, 1): (
        {-2: 0.002750818750527693, 0: -0.004594606952855544, 1: -0.04122447154621034},
        -0.022909539249532943,
    ),
    ("not_yet_treated", -1, 0): ({0: -0.018922199083421187}, -0.018922199083421187),
    ("not_yet_treated", -1, 1): ({0: -0.009520525860546782, 1: -0.05358934738482874}, -0.03155493662268776),
}


@pytest.mark.parametrize("case", OTHER_PROGRAM, ids=str)
def test_minimum_wages_equal_another_program(panel, shared_data, case):
    comparison, first, last = case
    table = pd.read_csv(shared_data / "golden" / "did" / "mpdta.csv")
    window = {"first": first, "last": last}
    result = run(panel, table, comparison=comparison, event_window=window, aggregate="event_time", **MINIMUM_WAGE)
    effects, overall = OTHER_PROGRAM[case]
    means = result.aggregates["event_time"]
    found = dict(zip(means.labels["event_time"], means.estimate, strict=True))
    for event, expected in effects.items():
        np.testing.assert_allclose(found[event], expected, rtol=1e-9)
    np.testing.assert_allclose(result.headline.estimate, overall, rtol=1e-9)


def test_without_a_window_no_cohort_is_left_out_and_the_window_is_said(panel):
    result = run(panel, staggered())  # periods 1 to 8, cohorts 4, 5, 7: three before, one after the start
    assert sorted(set(result.group_time.labels["cohort"])) == [4, 5, 7]
    assert result.notes[0] == "sub-experiments hold event times -3 to 1: the widest window that every cohort has"


def test_cohorts_without_the_whole_window_are_listed(panel):
    result = run(panel, staggered(), event_window={"first": -4, "last": 2})
    assert set(result.group_time.labels["cohort"]) == {5}
    assert set(result.skipped["cohort"]) == {4, 7}
    assert set(result.skipped["reason"]) == {"trimmed"}
    assert any("cohorts left out" in note and "4, 7" in note for note in result.notes)


def test_covariates_have_their_own_slope_in_each_sub_experiment_and_constant_ones_are_named(panel):
    table = staggered()
    result = run(panel, table, covariates=("x", "z"), event_window={"first": -2, "last": 1})
    part = table[table["cohort"].isin([0, 5]) & table["period"].between(3, 6)]
    own = [((part["cohort"] == 5) & (part["period"] == t)).to_numpy() for t in (3, 5, 6)]
    dummies = pd.get_dummies(part[["unit", "period"]].astype("category")).to_numpy(dtype=float)
    x = np.column_stack([*own, part["x"], dummies]).astype(float)
    beta = np.linalg.lstsq(x, part["y"].to_numpy(), rcond=1e-12)[0]
    cells = result.group_time
    found = cells.estimate[((cells.labels["cohort"] == 5) & (cells.labels["period"] != 4)).to_numpy()]
    np.testing.assert_allclose(found, beta[:3], atol=1e-10)
    assert any(note.endswith(": z") for note in result.notes)


def test_no_sub_experiment_is_refused(panel):
    with pytest.raises(DataError, match="E-IMP-104"):
        run(panel, staggered(), event_window={"first": -7, "last": 7})


CASES = {
    "weights of units": ({}, {"weight": "w"}),
    "weights of rows": ({}, {"weight": "v", "comparison": "not_yet_treated"}),
    "all": ({"gaps": 0.1}, {"panel": "unbalanced", "weight": "v", "covariates": ("x",)}),
    "cross-sections": ({}, {"panel": "repeated_cross_section", "weight": "v"}),
}


@pytest.mark.parametrize("case", CASES)
def test_influences_are_the_infinitesimal_jackknife(panel, case):
    data, options = CASES[case]
    table = staggered(n=30, periods=6, starts=(0, 3, 4), **data)
    if case == "cross-sections":
        table["unit"] = np.arange(len(table))
    sample, design = panel(table, estimator="stacked", **options)
    result, step = stacked.estimate(sample, design), 1e-4

    def parts(some):
        return [some.group_time, *some.aggregates.values(), *some.overall.values()]

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        changed = stacked.estimate(replace(sample, frame=sample.frame.assign(weight=weight)), design)
        return np.concatenate([part.estimate for part in parts(changed)])

    everybody = result.headline.units
    checked = everybody[np.random.default_rng(1).permutation(len(everybody))[:5]]
    ours = np.zeros((len(checked), sum(map(len, parts(result)))))
    start = 0
    for part in parts(result):  # units that are in no sub-experiment have no influence on its cells
        seen = checked.isin(part.units)
        rows = part.dense()[part.units.get_indexer(checked[seen])]
        ours[seen, start : start + len(part)] = rows * len(everybody) / len(part.units)
        start += len(part)
    jackknife = [len(everybody) * (moved(unit, 1 + step) - moved(unit, 1 - step)) / (2 * step) for unit in checked]
    np.testing.assert_allclose(ours, jackknife, atol=1e-6, rtol=1e-7)


LAWS = {
    "order of rows": lambda t: t.sample(frac=1, random_state=1),
    "levels of units": lambda t: t.assign(y=t["y"] + 100.0 * (t["unit"] % 7)),
    "common shocks": lambda t: t.assign(y=t["y"] + np.sin(t["period"]) * 50),
    "names of units": lambda t: t.assign(unit="u" + (1000 - t["unit"]).astype(str)),
    "weights times a constant": lambda t: t.assign(v=5 * t["v"]),
    "always treated": lambda t: pd.concat([t, t[t["unit"] < 3].assign(unit=lambda a: a["unit"] + 500, cohort=1)]),
}


@pytest.mark.parametrize("case", ["weights of rows", "all"])
@pytest.mark.parametrize("law", LAWS)
def test_what_changes_nothing(panel, law, case):
    data, options = CASES[case]
    table = staggered(**data)
    before, after = (run(panel, t, **options) for t in (table, LAWS[law](table)))
    for name in ("group_time", "headline"):
        one, other = getattr(before, name), getattr(after, name)
        np.testing.assert_allclose(other.estimate, one.estimate, atol=1e-9)
        np.testing.assert_allclose(covariance(other).std_error, covariance(one).std_error, rtol=1e-8)


def test_the_scale_of_the_outcome_is_that_of_the_effect(panel):
    table = staggered()
    before, after = (run(panel, t).headline for t in (table, table.assign(y=-1000 * table["y"])))
    np.testing.assert_allclose(after.estimate, -1000 * before.estimate, rtol=1e-10)
    np.testing.assert_allclose(covariance(after).std_error, 1000 * covariance(before).std_error, rtol=1e-9)
