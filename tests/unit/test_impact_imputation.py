"""Imputation: dense brute force, by hand, what is not identified, and refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did, imputation
from evaluation.impact.inference import covariance
from evaluation.impact.unit_period import Constants


def staggered(n=40, periods=6, starts=(0, 4, 5), seed=20250101, gaps=0.0):
    """Cohorts in turn, a covariate that moves and one that does not, and an effect that grows."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    table["x"] = rng.normal(size=len(table))
    table["z"] = rng.normal(size=n)[table["unit"]]
    treated = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    effect = treated * (1 + 0.5 * (table["period"] - table["cohort"]) + rng.normal(size=len(table)))
    table["y"] = rng.normal(size=n)[table["unit"]] + 0.3 * table["period"] + 0.7 * table["x"] + effect
    table["y"] += 0.2 * table["z"] * table["period"] + rng.normal(size=len(table))
    table["w"] = np.exp(0.4 * rng.normal(size=n))[table["unit"]]
    return table[rng.random(len(table)) >= gaps].reset_index(drop=True)


def brute_force(table, *, weight=None, covariates=(), slopes=(), who="unit", lead=0):
    """ATT(g, t) and standard errors by dense least squares and explicit weights v of every row."""
    start = table["cohort"].where(table["cohort"] > 0, np.inf)
    treated = (table["period"] >= start - lead).to_numpy()
    blocks = [pd.get_dummies(table[who]), pd.get_dummies(table["period"]), *(table[[name]] for name in covariates)]
    blocks += [pd.get_dummies(table["period"]).mul(table[name], axis=0) for name in slopes]
    z = np.hstack([block.to_numpy(dtype=float) for block in blocks])
    y, w = table["y"].to_numpy(), np.ones(len(table)) if weight is None else table[weight].to_numpy()
    root = np.sqrt(w[~treated])[:, None]
    beta = np.linalg.lstsq(z[~treated] * root, y[~treated] * root[:, 0], rcond=1e-11)[0]
    residual = y - z @ beta
    gram = np.linalg.pinv(z[~treated].T @ (z[~treated] * w[~treated][:, None]), rcond=1e-11)
    found = {}
    for (g, t), rows in table[treated].groupby(["cohort", "period"]):
        at = rows.index.to_numpy()
        first = w[at] / w[at].sum()
        att = first @ residual[at]
        v = np.zeros(len(table))
        v[~treated] = -w[~treated] * (z[~treated] @ (gram @ (z[at].T @ first)))
        v[at] = first
        errors = residual.copy()
        errors[at] -= att
        psi = pd.Series(v * errors).groupby(table["unit"].to_numpy()).sum()
        found[g, t] = (att, np.sqrt((psi**2).sum()), v @ y)
    return found


def cells(result):
    labels, errors = result.group_time.labels, covariance(result.group_time).std_error
    keys = zip(labels["cohort"], labels["period"], strict=True)
    return dict(zip(keys, zip(result.group_time.estimate, errors, strict=True), strict=True))


CASES = {
    "balanced": ({}, {}),
    "gaps": ({"gaps": 0.1}, {"panel": "unbalanced"}),
    "weights": ({}, {"weight": "w"}),
    "gaps and weights": ({"gaps": 0.15}, {"panel": "unbalanced", "weight": "w"}),
    "moving covariate": ({}, {"covariates": ("x",)}),
    "constant covariate": ({}, {"covariates": ("z",)}),
    "both, weights, gaps": ({"gaps": 0.1}, {"covariates": ("x", "z"), "weight": "w", "panel": "unbalanced"}),
    "anticipation": ({}, {"anticipation": 1}),
    "cross-sections": ({}, {"panel": "repeated_cross_section", "covariates": ("x",), "weight": "w"}),
}


@pytest.mark.parametrize("case", CASES)
def test_effects_and_errors_equal_explicit_weights(panel, case):
    data, options = CASES[case]
    table = staggered(**data)
    who = "unit"
    if case == "cross-sections":
        table["unit"], who = np.arange(len(table)), "cohort"
    sample, design = panel(table, estimator="imputation", **options)
    covariates = options.get("covariates", ())
    expected = brute_force(
        table,
        weight=options.get("weight"),
        covariates=[name for name in covariates if name == "x"],
        slopes=[name for name in covariates if name == "z"],
        who=who,
        lead=options.get("anticipation", 0),
    )
    found = cells(imputation.estimate(sample, design))
    assert found.keys() == expected.keys()
    for cell, (att, error, linear) in expected.items():
        np.testing.assert_allclose(found[cell], (att, error), atol=1e-10, err_msg=str(cell))
        np.testing.assert_allclose(linear, att, atol=1e-9)


# by hand --------------------------------------------------------------------------------------------------------------


def four_schools():
    # Four schools, two periods. The change is 5 and 7 for the treated schools (mean 6) and 1 and 3 for the others (mean
    # 2), so the treated schools would have gained 2 and the effects are 3 and 5: ATT = 4.
    # Influence: 4 v ε̃. Treated: 4 · ½ · (3 - 4) = -2 and +2. Comparison: its residuals are ∓½ in the first and ±½ in
    # the second period with v = ½ and -½, so 4 · (¼ + ¼) = +2 for the school that gained 1, -2 for the other.
    rows = [(1, 1, 2, 0), (1, 2, 2, 5), (2, 1, 2, 0), (2, 2, 2, 7)]
    rows += [(3, 1, 0, 9), (3, 2, 0, 10), (4, 1, 0, 9), (4, 2, 0, 12)]
    return pd.DataFrame(rows, columns=["unit", "period", "cohort", "y"])


def test_four_schools_by_hand(panel):
    result = imputation.estimate(*panel(four_schools(), estimator="imputation"))
    np.testing.assert_allclose(result.headline.estimate, [4.0], atol=1e-12)
    np.testing.assert_allclose(result.group_time.dense()[:, 0], [-2, 2, 2, -2], atol=1e-12)
    np.testing.assert_allclose(covariance(result.headline).std_error, [1.0], atol=1e-12)
    assert result.flow == ()
    assert result.skipped.empty


def test_two_periods_are_the_ordinary_difference_in_differences(panel):
    table = staggered(periods=2, starts=(0, 2), n=30)
    found = imputation.estimate(*panel(table, estimator="imputation", weight="w"))
    expected = did.estimate(*panel(table, weight="w"))
    np.testing.assert_allclose(found.group_time.estimate, expected.group_time.estimate, atol=1e-12)
    order = expected.group_time.units.get_indexer(found.group_time.units)
    np.testing.assert_allclose(found.group_time.dense(), expected.group_time.dense()[order], atol=1e-11)


# averages and leads ---------------------------------------------------------------------------------------------------


def test_averages_take_the_shares_of_cohorts_as_given(panel):
    table = staggered()
    result = imputation.estimate(*panel(table, estimator="imputation"))
    labels, share = result.group_time.labels, table[table["cohort"] > 0].groupby("cohort")["unit"].nunique()
    weights = labels["cohort"].map(share).to_numpy(dtype=float)
    expected = result.group_time.contrast(weights / weights.sum(), labels.head(1))
    np.testing.assert_allclose(result.overall["simple"].estimate, expected.estimate, atol=1e-12)
    np.testing.assert_allclose(result.overall["simple"].dense(), expected.dense(), atol=1e-12)


@pytest.mark.parametrize("weight", [None, "w"])
def test_leads_equal_a_regression_with_dummies(panel, weight):
    table = staggered(gaps=0.1)
    sample, design = panel(
        table, estimator="imputation", covariates=("x",), weight=weight, panel="unbalanced", event_window={"first": -3}
    )
    found = imputation.estimate(sample, design).aggregates["event_time"]
    leads = found.select(found.labels["event_time"] < 0)
    assert leads.labels["event_time"].tolist() == [-3, -2, -1]
    assert (leads.labels["phase"] == "pre").all()

    off = table[(table["cohort"] == 0) | (table["period"] < table["cohort"])]
    event = (off["period"] - off["cohort"]).where(off["cohort"] > 0)
    blocks = [pd.get_dummies(off["unit"]), pd.get_dummies(off["period"]), off[["x"]]]
    blocks += [pd.DataFrame({k: event == k for k in (-3, -2, -1)})]
    z = np.hstack([block.to_numpy(dtype=float) for block in blocks])
    w = np.ones(len(off)) if weight is None else off[weight].to_numpy()
    inverse = np.linalg.pinv(z.T @ (z * w[:, None]), rcond=1e-11)
    beta = inverse @ z.T @ (w * off["y"])
    scores = pd.DataFrame(z * (w * (off["y"].to_numpy() - z @ beta))[:, None]).groupby(off["unit"].to_numpy()).sum()
    spread = np.sqrt(np.diag(inverse @ (scores.T.to_numpy() @ scores.to_numpy()) @ inverse))
    np.testing.assert_allclose(leads.estimate, beta[-3:], atol=1e-10)
    np.testing.assert_allclose(covariance(leads).std_error, spread[-3:], atol=1e-10)


def test_a_lead_too_many_leaves_the_earliest_one_as_reference(panel):
    table = staggered(starts=(0, 4))  # three periods before the start: two leads and one reference
    every = imputation.estimate(*panel(table, estimator="imputation", event_window={"first": -3}))
    usual = imputation.estimate(*panel(table, estimator="imputation"))
    for result in (every, usual):
        event = result.aggregates["event_time"].labels["event_time"]
        assert event[event < 0].tolist() == [-2, -1]
        assert any("before -2" in note for note in result.notes)
    np.testing.assert_allclose(
        every.aggregates["event_time"].estimate, usual.aggregates["event_time"].estimate, atol=1e-12
    )


def test_no_lead_where_nobody_is_seen_untreated_twice(panel):
    result = imputation.estimate(*panel(four_schools(), estimator="imputation"))
    assert result.aggregates["event_time"].labels["event_time"].tolist() == [0]
    assert any("no effect before treatment" in note for note in result.notes)


# what influence is, and is not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "repeated_cross_section"])
def test_influence_on_cells_is_the_infinitesimal_jackknife(panel, kind):
    table = staggered(n=18, periods=5, starts=(0, 3, 4), gaps=0.1 if kind == "unbalanced" else 0.0)
    if kind == "repeated_cross_section":
        table["unit"] = np.arange(len(table))
    sample, design = panel(table, estimator="imputation", covariates=("x",), weight="w", panel=kind)
    result = imputation.estimate(sample, design)
    units, step = result.group_time.units, 1e-4

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        frame = sample.frame.assign(weight=weight)
        return imputation.estimate(replace(sample, frame=frame), design).group_time.estimate

    for unit in units[:: len(units) // 4]:
        jackknife = len(units) * (moved(unit, 1 + step) - moved(unit, 1 - step)) / (2 * step)
        found = result.group_time.dense()[units.get_loc(unit)]
        np.testing.assert_allclose(found, jackknife, atol=1e-6)  # central differences: step² times a third derivative


def simulated(errors, effects):
    """Forty units, three periods, half treated in the last: outcome = effects on treated rows + errors."""
    table = pd.DataFrame({"unit": np.repeat(np.arange(40), 3), "period": np.tile([1, 2, 3], 40)})
    table["cohort"] = np.where(table["unit"] < 20, 3, 0)
    on = (table["cohort"] == 3) & (table["period"] == 3)
    return table.assign(y=errors.ravel() + on * np.r_[effects, np.zeros(20)][table["unit"]])


def test_errors_are_conservative_when_units_are_given_and_effects_differ(panel):
    """Without noise the estimate is right whatever the effects; the standard error still is their spread / √n."""
    effects = np.arange(20.0)
    found = imputation.estimate(*panel(simulated(np.zeros((40, 3)), effects), estimator="imputation")).headline
    np.testing.assert_allclose(found.estimate, [effects.mean()], atol=1e-12)
    np.testing.assert_allclose(covariance(found).std_error, [effects.std() / np.sqrt(20)], rtol=1e-10)
    same = imputation.estimate(*panel(simulated(np.zeros((40, 3)), np.ones(20)), estimator="imputation")).headline
    assert not same.support().any()


@pytest.mark.slow
def test_errors_are_right_on_average_where_effects_are_equal(panel):
    rng = np.random.default_rng(20250101)
    found = []
    for _ in range(500):
        result = imputation.estimate(*panel(simulated(rng.normal(size=(40, 3)), np.ones(20)), estimator="imputation"))
        found.append((result.headline.estimate[0], covariance(result.headline).std_error[0]))
    estimate, error = np.array(found).T
    # The variance of 500 draws is known to 6 %; forty units make the squared errors 1 - 2/40 of it on average.
    assert np.mean(error**2) / np.var(estimate) == pytest.approx(0.95, abs=0.15)


# what is not identified -----------------------------------------------------------------------------------------------


def steps(result):
    return {step.step: (step.dropped, step.dropped_treated) for step in result.flow}


def test_units_treated_from_the_start_are_dropped_and_counted(panel):
    table = staggered(starts=(0, 1, 4))
    result = imputation.estimate(*panel(table, estimator="imputation"))
    rows = int((table["cohort"] == 1).sum())
    assert steps(result) == {"unit_never_untreated": (rows, rows)}
    assert set(result.group_time.labels["cohort"]) == {4}
    assert set(result.skipped["cohort"]) == {1}
    assert set(result.skipped["reason"]) == {"not_imputed"}
    alone = imputation.estimate(*panel(table[table["cohort"] != 1], estimator="imputation"))
    np.testing.assert_allclose(result.group_time.estimate, alone.group_time.estimate, atol=1e-12)


def test_periods_in_which_everybody_is_treated_are_not_averaged(panel):
    result = imputation.estimate(*panel(staggered(starts=(4, 6)), estimator="imputation"))
    labels = result.group_time.labels
    assert list(zip(labels["cohort"], labels["period"], strict=True)) == [(4, 4), (4, 5)]
    skipped = result.skipped
    assert set(zip(skipped["cohort"], skipped["period"], strict=True)) == {(4, 6), (6, 6)}
    assert steps(result) == {"period_never_untreated": (40, 40)}


def test_a_unit_without_connection_to_the_period_is_not_imputed(panel):
    table = staggered(n=12, periods=3, starts=(0, 3))
    lonely = table["unit"] == 1  # its only untreated row is in period 1, where no other untreated row is
    table = table[(lonely & (table["period"] != 2)) | (~lonely & (table["period"] > 1))]
    result = imputation.estimate(*panel(table, estimator="imputation", panel="unbalanced"))
    assert steps(result) == {"not_connected": (1, 1)}
    assert 1 in result.group_time.units  # its untreated row stays
    np.testing.assert_allclose(result.group_time.dense()[result.group_time.units.get_loc(1)], 0.0, atol=1e-14)


def test_rows_with_covariates_never_seen_untreated_are_not_imputed(panel):
    table = staggered(n=12, periods=3, starts=(0, 3))
    odd = (table["unit"] == 1) & (table["period"] == 3)
    table["x"] = odd.astype(float)
    result = imputation.estimate(*panel(table, estimator="imputation", covariates=("x",)))
    assert steps(result) == {"outside_covariates": (1, 1)}
    assert any("add nothing on untreated rows: x" in note for note in result.notes)
    without = imputation.estimate(*panel(table[~odd], estimator="imputation", panel="unbalanced"))
    np.testing.assert_allclose(result.group_time.estimate, without.group_time.estimate, atol=1e-12)


@pytest.mark.parametrize("starts", [(1, 1), (0, 9)], ids=["never untreated", "treated after the last period"])
def test_nothing_to_impute_is_refused(panel, starts):
    with pytest.raises(DataError, match="E-IMP-090"):
        imputation.estimate(*panel(staggered(starts=starts), estimator="imputation"))


def test_the_data_of_the_caller_are_not_changed(panel):
    sample, design = panel(staggered(), estimator="imputation", covariates=("x", "z"), weight="w")
    before = sample.frame.copy(deep=True)
    imputation.estimate(sample, design)
    pd.testing.assert_frame_equal(sample.frame, before)


# laws -----------------------------------------------------------------------------------------------------------------


def test_order_levels_and_common_shocks_change_nothing(panel):
    table = staggered(gaps=0.1)
    options = {"estimator": "imputation", "panel": "unbalanced", "covariates": ("x",)}
    expected = imputation.estimate(*panel(table, **options)).group_time
    rng = np.random.default_rng(3)
    shifted = table.assign(y=table["y"] + 7 * rng.normal(size=40)[table["unit"]] + 3 * np.sin(table["period"]))
    shuffled = shifted.sample(frac=1, random_state=1)
    found = imputation.estimate(*panel(shuffled, **options)).group_time
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-11)
    np.testing.assert_allclose(found.dense(), expected.dense(), atol=1e-9)


def test_a_unit_that_counts_twice_equals_two_copies(panel):
    table = staggered(gaps=0.1).assign(w=1.0)
    double = table["unit"] % 5 == 0
    weighted = imputation.estimate(*panel(table.assign(w=1.0 + double), weight="w", estimator="imputation"))
    copies = pd.concat([table, table[double].assign(unit=table["unit"] + 1000)])
    copied = imputation.estimate(*panel(copies, estimator="imputation"))
    np.testing.assert_allclose(weighted.group_time.estimate, copied.group_time.estimate, atol=1e-11)
    np.testing.assert_allclose(weighted.headline.estimate, copied.headline.estimate, atol=1e-11)


def test_large_levels_leave_the_normal_equations_at_rounding():
    """Levels of a million: one elimination leaves sums of 1e-6, the refinement 1e-14."""
    rng = np.random.default_rng(1)
    unit, time = np.argwhere(rng.random((200, 6)) > 0.2).T
    unit = np.unique(unit, return_inverse=True)[1]
    weight, level = np.exp(rng.normal(size=len(unit))), 1e6 * (np.sin(unit) + time)
    left = Constants.of(unit, time, weight).residuals((rng.normal(size=len(unit)) + level)[:, None])[:, 0]
    for codes in (unit, time):
        np.testing.assert_allclose(np.bincount(codes, weight * left), 0.0, atol=1e-12)


# a peer ---------------------------------------------------------------------------------------------------------------

# Columns of the file: program, version and date stand in its first line.
PEER = pd.read_csv(
    Path(__file__).parents[1] / "golden" / "did_imputation_diff_diff.csv", comment="#", dtype={"covariates": str}
).fillna({"covariates": ""})


def agree(effects, expected, rel=1e-8):
    np.testing.assert_allclose(effects.estimate, expected["estimate"], atol=1e-8)
    np.testing.assert_allclose(covariance(effects).std_error, expected["std_error"], rtol=rel)


@pytest.fixture
def counties(panel, shared_data):
    """The minimum-wage data of R did by imputation, with all leads that there are."""
    table = pd.read_csv(shared_data / "golden" / "did_mpdta" / "mpdta.csv")
    names = ("countyreal", "year", "first.treat", "lemp")
    return imputation.estimate(*panel(table, names=names, estimator="imputation", event_window={"first": -4}))


def test_minimum_wage_equals_diff_diff(counties):
    peer = PEER[PEER["data"] == "mpdta"]
    agree(counties.overall["simple"], peer[peer["what"] == "overall"])
    agree(counties.aggregates["cohort"], peer[peer["what"] == "cohort"])
    after = counties.aggregates["event_time"].select(counties.aggregates["event_time"].labels["event_time"] >= 0)
    agree(after, peer[(peer["what"] == "event_time") & (peer["value"] >= 0)])


def test_minimum_wage_leads_equal_diff_diff(counties):
    """Its leads are relative to the period before treatment, ours to the earliest: differences are the same."""
    leads = counties.aggregates["event_time"].select(counties.aggregates["event_time"].labels["event_time"] < 0)
    assert leads.labels["event_time"].tolist() == [-3, -2, -1]
    to_last = leads.contrast(np.array([[0, 0, -1], [1, 0, -1], [0, 1, -1]]), leads.labels)
    peer = PEER[(PEER["data"] == "mpdta") & (PEER["what"] == "event_time") & (PEER["value"] < 0)]
    np.testing.assert_allclose(to_last.estimate, peer["estimate"], atol=1e-8)
    # It multiplies by G/(G - 1) (N - 1)/(N - k), with 500 counties and 2,209 untreated rows; we do not.
    factor = peer["std_error"] / covariance(to_last).std_error
    np.testing.assert_allclose(factor, factor.iloc[0], rtol=1e-8)
    assert 1 < factor.iloc[0] < 1.01


@pytest.mark.parametrize("covariates", ["", "x"])
@pytest.mark.parametrize(("data", "starts"), [("three cohorts", (0, 4, 5)), ("four cohorts", (0, 3, 5, 6))])
def test_a_panel_with_gaps_equals_diff_diff(panel, data, starts, covariates):
    """Its averages weigh rows; ours, cohorts: the rows of its averages are put together from our cells."""
    table = staggered(gaps=0.1, starts=starts)
    options = {"covariates": tuple(covariates), "panel": "unbalanced"}
    cells = imputation.estimate(*panel(table, estimator="imputation", **options)).group_time
    on = table[(table["cohort"] > 0) & (table["period"] >= table["cohort"])]
    rows = on.groupby(["cohort", "period"]).size()[
        list(zip(cells.labels["cohort"], cells.labels["period"], strict=True))
    ]
    peer = PEER.query("data == @data and covariates == @covariates")
    for what, column in (("event_time", "event_time"), ("cohort", "cohort")):
        expected = peer[peer["what"] == what]
        used = (cells.labels[column].to_numpy(dtype=int) == expected["value"].to_numpy()[:, None]) * rows.to_numpy()
        agree(cells.contrast(used / used.sum(axis=1, keepdims=True), expected), expected)
    everything = rows.to_numpy() / rows.sum()
    agree(cells.contrast(everything, cells.labels.head(1)), peer[peer["what"] == "overall"])
