"""Sun and Abraham: dense regressions, equality with the comparison of means, other programs, laws, refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did, sun_abraham
from evaluation.impact.inference import covariance, summarize


def staggered(n=40, periods=6, starts=(0, 3, 5), seed=20250101, gaps=0.0):
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
    return sun_abraham.estimate(*build(table, estimator="sun_abraham", **options))


CASES = {
    "balanced": ({}, {}),
    "gaps": ({"gaps": 0.15}, {"panel": "unbalanced"}),
    "weights of units": ({}, {"weight": "w"}),
    "weights of rows": ({}, {"weight": "v"}),
    "covariate": ({}, {"covariates": ("x",)}),
    "anticipation": ({}, {"anticipation": 1}),
    "all": ({"gaps": 0.15}, {"panel": "unbalanced", "weight": "v", "covariates": ("x",)}),
    "cross-sections": ({}, {"panel": "repeated_cross_section", "covariates": ("x",), "weight": "v"}),
}


@pytest.mark.parametrize("case", CASES)
def test_cells_and_errors_equal_dense_least_squares(panel, case):
    data, options = CASES[case]
    table, lead, who = staggered(**data), options.get("anticipation", 0), "unit"
    if case == "cross-sections":
        table["unit"], who = np.arange(len(table)), "cohort"
    group_time = run(panel, table, **options).group_time
    labels = group_time.labels
    real = (labels["phase"] != "reference").to_numpy()
    assert (labels["base_period"] == labels["cohort"] - 1 - lead).all()
    assert (labels.loc[~real, "period"] == labels.loc[~real, "base_period"]).all()
    at = [
        ((table["cohort"] == g) & (table["period"] == t)) for g, t in labels.loc[real, ["cohort", "period"]].to_numpy()
    ]
    dummies = pd.get_dummies(table[[who, "period"]].astype("category"), drop_first=True).to_numpy(dtype=float)
    covariates = table[list(options.get("covariates", ()))].to_numpy()
    x = np.column_stack([*at, covariates, dummies, np.ones(len(table))]).astype(float)
    w = table[options["weight"]].to_numpy() if "weight" in options else np.ones(len(table))
    bread = np.linalg.pinv(x.T @ (w[:, None] * x))
    beta = bread @ (x.T @ (w * table["y"].to_numpy()))
    np.testing.assert_allclose(group_time.estimate[real], beta[: real.sum()], atol=1e-9)
    assert (group_time.estimate[~real] == 0).all()
    scores = x * (w * (table["y"].to_numpy() - x @ beta))[:, None]
    by_unit = pd.DataFrame(scores @ bread[:, : real.sum()]).groupby(table["unit"].to_numpy()).sum().to_numpy()
    np.testing.assert_allclose(covariance(group_time).matrix[np.ix_(real, real)], by_unit.T @ by_unit, atol=1e-10)


@pytest.mark.parametrize("aggregate", ["simple", "event_time", "cohort", "calendar"])
@pytest.mark.parametrize("options", [{}, {"weight": "w"}, {"anticipation": 1}], ids=str)
def test_on_balanced_panels_it_is_the_comparison_of_means(panel, aggregate, options):
    # Saturated: each cell is the difference of two changes of means, so that estimates and influences are the same.
    table = staggered(starts=(0, 3, 4, 6))
    ours = run(panel, table, aggregate=aggregate, **options)
    theirs = did.estimate(*panel(table, base_period="universal", aggregate=aggregate, **options))
    pairs = [(ours.group_time, theirs.group_time), (ours.headline, theirs.headline)]
    pairs += [(ours.aggregates[aggregate], theirs.aggregates[aggregate])]
    for one, other in pairs:
        np.testing.assert_allclose(one.estimate, other.estimate, atol=1e-10)
        np.testing.assert_allclose(one.dense(), other.dense()[other.units.get_indexer(one.units)], atol=1e-9)
        pd.testing.assert_frame_equal(one.labels, other.labels, check_dtype=False)
    pd.testing.assert_frame_equal(ours.weights, theirs.weights)


def test_without_never_treated_the_last_cohort_is_the_comparison(panel):
    table = staggered(starts=(3, 4, 6))
    ours = run(panel, table)
    theirs = did.estimate(*panel(table, base_period="universal"))
    np.testing.assert_allclose(ours.group_time.estimate, theirs.group_time.estimate, atol=1e-10)
    assert ours.group_time.labels["period"].max() == 5
    assert any("cohort 6 is the comparison" in note for note in ours.notes)


MINIMUM_WAGE = {"names": ("countyreal", "year", "first.treat", "lemp")}


def test_minimum_wages_equal_two_other_programs(panel, shared_data):
    # diff-diff 3.13.0: SunAbraham(cluster="countyreal"), and pyfixest 0.60.0: event_study(estimator="saturated",
    # cluster="countyreal").aggregate(), 2026-11-24. Both weigh with known shares, and CR1 as fixest's sunab.
    result = run(panel, pd.read_csv(shared_data / "golden" / "did" / "mpdta.csv"), **MINIMUM_WAGE)
    cells = result.group_time
    labels = cells.labels.set_index(["cohort", "event_time"])
    errors = pd.Series(covariance(cells, kind="cr1").std_error, labels.index)
    estimates = pd.Series(cells.estimate, labels.index)
    expected = {
        (2004, 0): (-0.010503246220962378, 0.023349189673294447),
        (2004, 1): (-0.07042315810314645, 0.03111556769095091),
        (2004, 2): (-0.13725873888940313, 0.03658947596376605),
        (2004, 3): (-0.10081136308540405, 0.034504271910207884),
        (2006, -3): (-0.003769293673714198, 0.03147433669762648),
        (2006, -2): (0.0027508187505187283, 0.019641126706453106),
        (2006, 0): (-0.004594606952863082, 0.017830149500418974),
        (2006, 1): (-0.041224471546217396, 0.020314577368354365),
        (2007, -4): (0.003306356692512408, 0.024555095531863646),
        (2007, -3): (0.03381301227580519, 0.02121837087758605),
        (2007, -2): (0.03108711938968887, 0.01795298050082774),
        (2007, 0): (-0.026054410719196633, 0.016725745592717944),
    }
    for cell, numbers in expected.items():
        np.testing.assert_allclose((estimates[cell], errors[cell]), numbers, rtol=1e-8, err_msg=str(cell))


def test_averages_with_known_shares_have_the_errors_of_other_programs(panel, shared_data):
    # The same programs; our own errors of averages hold the estimation of shares as well and differ a little.
    result = run(panel, pd.read_csv(shared_data / "golden" / "did" / "mpdta.csv"), **MINIMUM_WAGE)
    cells = result.group_time
    size = {2004: 20, 2006: 40, 2007: 131}
    weight = cells.labels["cohort"].map(size).to_numpy(dtype=float)
    expected = {
        -4: (0.003306356692512408, 0.024555095531863646),
        -3: (0.02502182959755504, 0.018154344410048512),
        -2: (0.02445874497116954, 0.014266792154618242),
        0: (-0.01993181678925932, 0.011857538963453297),
        1: (-0.05095736706519374, 0.016870678384610097),
        2: (-0.13725873888940313, 0.03658947596376605),
        3: (-0.10081136308540405, 0.034504271910207884),
    }
    means = result.aggregates["event_time"]
    ours = pd.DataFrame({"estimate": means.estimate, "error": covariance(means).std_error}, means.labels["event_time"])
    for time, (estimate, error) in expected.items():
        held = weight * (cells.labels["event_time"] == time).to_numpy()
        known = cells.contrast(held / held.sum(), pd.DataFrame({"term": ["known shares"]}))
        np.testing.assert_allclose(known.estimate, estimate, rtol=1e-9)
        np.testing.assert_allclose(covariance(known, kind="cr1").std_error, error, rtol=1e-8)
        np.testing.assert_allclose(ours.loc[time, "estimate"], estimate, rtol=1e-9)
        np.testing.assert_allclose(ours.loc[time, "error"], error, rtol=0.02)
    np.testing.assert_allclose(result.overall["simple"].estimate, -0.039951275155176276, rtol=1e-9)


def test_cohorts_never_seen_in_their_reference_period_are_dropped_and_counted(panel):
    table = staggered()
    table = table[~((table["cohort"] == 5) & (table["period"] == 4))]
    result = run(panel, table, panel="unbalanced")
    assert set(result.group_time.labels["cohort"]) == {3}
    step = next(step for step in result.flow if step.step == "no_reference")
    assert step.dropped == step.dropped_treated == (table["cohort"] == 5).sum()


def test_cells_that_no_unit_connects_with_the_reference_are_listed(panel):
    # Of cohort 3, half are seen in periods 1, 2 and 3 and half in 4, 5 and 6: the later cells have no reference.
    table = staggered(starts=(0, 3))
    half = table["unit"] % 2 == 0
    table = table[(table["cohort"] == 0) | (half & (table["period"] < 4)) | (~half & (table["period"] > 3))]
    result = run(panel, table, panel="unbalanced")
    assert result.group_time.labels["period"].tolist() == [1, 2, 3]
    assert result.skipped[["cohort", "period", "reason"]].to_numpy().tolist() == [
        [3, t, "collinear"] for t in (4, 5, 6)
    ]


def test_covariates_that_never_change_are_left_out_and_named(panel):
    plain, more = (run(panel, staggered(), covariates=columns) for columns in (("x",), ("x", "z")))
    np.testing.assert_allclose(more.group_time.estimate, plain.group_time.estimate, atol=1e-10)
    assert any(note.endswith(": z") for note in more.notes)


def test_few_units_without_dummies_have_no_interval(panel):
    table = staggered(n=60, starts=(0, 3))
    never = table.loc[table["cohort"] == 0, "unit"].unique()
    table = table[~table["unit"].isin(never[4:])]
    assert summarize(run(panel, table).headline)["reason"].iloc[0].startswith("comparison units: 4")


def test_no_effect_after_treatment_is_refused(panel):
    table = staggered(starts=(0, 3))
    table = table[(table["cohort"] == 0) | (table["period"] < 3)]
    with pytest.raises(DataError, match="E-IMP-101"):
        run(panel, table, panel="unbalanced")


@pytest.mark.parametrize("case", ["weights of units", "weights of rows", "all", "cross-sections"])
def test_influences_are_the_infinitesimal_jackknife(panel, case):
    data, options = CASES[case]
    table = staggered(n=24, **data)
    if case == "cross-sections":
        table["unit"] = np.arange(len(table))
    sample, design = panel(table, estimator="sun_abraham", **options)
    result, step = sun_abraham.estimate(sample, design), 1e-4

    def parts(some):
        return [some.group_time, *some.aggregates.values(), *some.overall.values()]

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        changed = sun_abraham.estimate(replace(sample, frame=sample.frame.assign(weight=weight)), design)
        return np.concatenate([part.estimate for part in parts(changed)])

    units = result.group_time.units
    checked = units[np.random.default_rng(1).permutation(len(units))[:5]]
    jackknife = [len(units) * (moved(unit, 1 + step) - moved(unit, 1 - step)) / (2 * step) for unit in checked]
    ours = np.hstack([part.dense() for part in parts(result)])[units.get_indexer(checked)]
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
