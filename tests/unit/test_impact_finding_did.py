"""A difference-in-differences as a finding: what each option of the design adds, and what is said when it cannot."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.evidence.calibration.designs import callaway_santanna, staggered
from evaluation.impact import did, did_estimators, finding, fixed_effects, inference
from evaluation.impact.agreement import compared
from evaluation.impact.cross_section import clusters_of
from evaluation.impact.did_agreement import estimators_agree, two_way_agrees
from evaluation.impact.effects import Effects

DID_TERMS = {"att", "group_time", "event_time", "pre_trend", "cohort", "calendar", "simple"}


@pytest.fixture(scope="module")
def table():
    """120 units in 40 villages, six periods, cohorts 3, 5 and never; two groups, an outcome that nobody can move."""
    rng = np.random.default_rng(20250101)
    frame = staggered(120, rng, starts=(0, 3, 5))
    frame["half"] = np.where(frame["unit"] // 3 % 2 == 0, "east", "west")
    frame["rain"] = rng.normal(size=len(frame))
    return frame


def checks_of(found):
    return {check.check: check for check in found.checks}


def rows_of(found, term):
    return found.effects[found.effects["term"] == term]


def test_a_plain_design_has_all_diagnostics_measured(panel, table):
    found = finding.estimate(*panel(table, cluster=("village",)), seed=1)
    assert set(found.effects["term"]) >= DID_TERMS
    checks = checks_of(found)
    measured = [
        "pretrend.joint_p", "pretrend.detectable_bias", "pretrend.equivalence_bound", "identification.sensitivity",
        "sensitivity.smoothness_breakdown", "placebo.dates_p", "robustness.leave_one_cohort",
        "robustness.leave_one_cluster", "dip.change_smd", "identification.share_missing",
    ]  # fmt: skip
    assert {name: checks[name].status for name in measured} == dict.fromkeys(measured, "measured")
    assert 0 < checks["pretrend.joint_p"].power <= 1
    tables = {"honest", "leave_one_out", "estimators", "bacon", "conventions", "weights", "timeline", "means", "dip"}
    assert tables <= set(found.tables)
    assert checks["composition.max_change"].status == "not_run"  # no covariates
    assert checks["robustness.estimators_agree_p"].status == "not_run"  # without covariates the three are one
    assert "one village at a time" in checks["robustness.leave_one_cluster"].detail
    kinds = found.tables["bacon_kinds"]
    assert kinds["weight"].sum() == pytest.approx(1)
    baseline = found.tables["estimators"].set_index("estimator").loc["two_way_fixed_effects", "estimate"]
    assert (kinds["weight"] * kinds["estimate"]).sum() == pytest.approx(baseline, rel=1e-9)


def test_with_covariates_the_three_estimators_are_held_against_one_another(panel, table):
    frame = table.assign(age=np.random.default_rng(5).normal(size=len(table)).round(2))
    frame["age"] = frame.groupby("unit")["age"].transform("first")
    sample, design = panel(frame, covariates=("age",))
    found = finding.estimate(sample, design, seed=1)
    check = checks_of(found)["robustness.estimators_agree_p"]
    assert check.value == pytest.approx(estimators_agree(sample, design).p_value, rel=1e-12)
    assert len(found.tables["agreement"]) == 2
    imputed = finding.estimate(*panel(frame, covariates=("age",), estimator="imputation"), seed=1)
    assert checks_of(imputed)["robustness.estimators_agree_p"].status == "not_run"


def test_two_way_fixed_effects_are_held_against_effects_by_period(panel):
    """The coefficient less the mean by cohort and period, computed apart; growing effects are told from constant."""
    for dynamic in (False, True):
        frame = callaway_santanna(400, np.random.default_rng(3), periods=5, dynamic=dynamic)
        sample, design = panel(frame, estimator="two_way_fixed_effects")
        check = checks_of(finding.estimate(sample, design, seed=1))["robustness.estimators_agree_p"]
        found = two_way_agrees(sample, design)
        by_cell = did.estimate(sample, design.model_copy(update={"estimator": "regression"}))
        expected = fixed_effects.estimate(sample, design).headline.estimate - by_cell.aggregates["simple"].estimate
        assert found.differences["estimate"].to_numpy() == pytest.approx(expected, rel=1e-9)
        assert check.value == found.p_value
        assert (check.value < 1e-3) is dynamic


def test_estimators_that_agree_by_chance_alone_have_a_wald_test_by_hand():
    """Three means of the same 50 people: W = d' V^-1 d with V from their covariances."""
    values = np.random.default_rng(2).normal(size=(50, 3)) + np.array([0.0, 0.3, 0.1])
    means = values.mean(axis=0)
    parts = [
        Effects(estimate=means[[k]], labels=pd.DataFrame({"estimator": [name]}), influence=values[:, [k]] - means[k],
                units=pd.RangeIndex(50))
        for k, name in enumerate(("a_b", "c", "last"))
    ]  # fmt: skip
    found = compared(parts, None)
    d = means[:2] - means[2]
    differences = values[:, :2] - values[:, [2]]
    w = d @ np.linalg.solve(np.cov(differences.T, ddof=0) / 50, d)
    assert (found.statistic, found.df) == (pytest.approx(w, rel=1e-9), 2)
    assert found.p_value == pytest.approx(stats.chi2.sf(w, 2), rel=1e-9)
    assert list(found.differences["estimator"]) == ["a_b less last", "c less last"]
    assert found.detail.startswith("A b, c, last differ by")


def test_the_weights_say_which_cells_each_average_holds(panel, table):
    found = finding.estimate(*panel(table), seed=1)
    held = found.tables["weights"]
    np.testing.assert_allclose(held.groupby("aggregate")["weight"].sum(), 1.0)
    cells = rows_of(found, "group_time").set_index(["cohort", "period"])["estimate"]
    headline = held[held["aggregate"] == "cohort"].set_index(["cohort", "period"])["weight"]
    assert (headline.astype(float) * cells.reindex(headline.index).astype(float)).sum() == pytest.approx(
        found.headline["estimate"], rel=1e-12
    )


def test_other_estimators_stand_beside_with_the_baseline_marked(panel, table):
    shown = finding.estimate(*panel(table), seed=1).tables["estimators"].set_index("estimator")
    assert shown["baseline"].to_dict() == {
        "doubly_robust": False, "imputation": False, "sun_abraham": False, "stacked": False,
        "two_way_fixed_effects": True,
    }  # fmt: skip
    for name in shown.index:
        sample, design = panel(table, estimator=name)
        estimate = did_estimators.estimate(sample, design).headline.estimate[0]
        assert shown.loc[name, "estimate"] == pytest.approx(estimate, rel=1e-12)


@pytest.mark.parametrize("estimator", ["imputation", "sun_abraham", "stacked", "two_way_fixed_effects"])
def test_every_estimator_gives_a_finding(panel, table, estimator):
    found = finding.estimate(*panel(table, estimator=estimator, cluster=("village",)), seed=1)
    assert np.isfinite(found.headline["estimate"])
    assert (found.effects["role"] == "headline").sum() == 1
    assert "event_time" in set(found.effects["term"])


def test_matched_and_triple_differences_are_chosen_by_their_keys(panel, table):
    matched = finding.estimate(*panel(table, match={"lags": 2}), seed=1)
    assert {"balance", "partners"} <= set(matched.tables)
    assert "estimators" not in matched.tables
    eligible = table.assign(poor=(table["unit"] % 2 == 0).astype(int))
    triple = finding.estimate(*panel(eligible, eligible="poor"), seed=1)
    plain = finding.estimate(*panel(table), seed=1)
    assert triple.headline["estimate"] != pytest.approx(plain.headline["estimate"])


def test_territories_subgroups_and_placebos_are_rows_with_joint_covariance(panel, table):
    sample, design = panel(table, territory="half", subgroups=("half",), placebo_outcomes=("rain",))
    found = finding.estimate(sample, design, seed=1)
    assert rows_of(found, "territory")["territory"].tolist() == ["east", "west"]
    assert rows_of(found, "subgroup")["subgroup"].tolist() == ["half = east", "half = west"]
    contrast = rows_of(found, "contrast").iloc[0]
    east, west = rows_of(found, "territory")["estimate"].astype(float)
    assert contrast["estimate"] == pytest.approx(west - east, rel=1e-12)
    matrix = found.tables["territory_covariance"].set_index("territory")
    step = np.array([-1.0, 1.0])
    assert contrast["std_error"] == pytest.approx(np.sqrt(step @ matrix.to_numpy(dtype=float) @ step), rel=1e-12)
    # One difference of two groups: the joint test is that of the contrast, chi-squared with one degree of freedom.
    same = checks_of(found)["heterogeneity.territory_p"]
    assert same.value == pytest.approx(contrast["p_value"], rel=1e-9)
    assert same.subject == "half"
    assert checks_of(found)["heterogeneity.subgroup_1_p"].value == pytest.approx(same.value, rel=1e-9)
    placebo = rows_of(found, "placebo").iloc[0]
    assert placebo["outcome"] == "rain"
    assert placebo["ci_low"] < 0 < placebo["ci_high"]


def test_the_wild_bootstrap_replaces_interval_and_p_value_of_the_headline_alone(panel, table):
    plain = finding.estimate(*panel(table, cluster=("village",)), seed=1)
    sample, design = panel(table, cluster=("village",), inference={"test": "wild", "draws": 999})
    wild = finding.estimate(sample, design, seed=1)
    expected = inference.wild_test(did.estimate(sample, design).headline, clusters_of(sample), draws=999, seed=1)
    assert wild.headline["p_value"] == expected.p_value
    assert wild.headline["ci_low"] == expected.ci_low
    assert wild.headline["inference"] == expected.describe()
    pd.testing.assert_series_equal(rows_of(wild, "event_time")["p_value"], rows_of(plain, "event_time")["p_value"])


def test_multiplier_bands_are_another_draw_of_the_same_bands(panel, table):
    plug = finding.estimate(*panel(table), seed=1)
    drawn = finding.estimate(*panel(table, inference={"bands": "multiplier", "draws": 9999}), seed=1)
    first, second = (rows_of(each, "event_time").iloc[0] for each in (plug, drawn))
    assert first["band_low"] != second["band_low"]
    # Both are quantiles of the largest of a few |t|, from 20,000 and 9,999 draws: two decimals of a standard error.
    assert second["band_low"] == pytest.approx(first["band_low"], abs=0.1 * first["std_error"])


def test_several_outcomes_are_adjusted_by_the_rule_of_the_design(panel, table):
    frame = table.assign(z=table["y"] * 0.5 + np.random.default_rng(3).normal(size=len(table)))
    found = {}
    for rule in ("holm", "romano_wolf"):
        sample, design = panel(frame, inference={"adjustment": rule, "draws": 999})
        second = type(design.outcomes[0])(column="z", role="secondary", unit="points", better="higher")
        design = design.model_copy(update={"outcomes": (*design.outcomes, second)})
        canonical = sample.frame.merge(
            frame.rename(columns={"z": "outcome_2"})[["unit", "period", "outcome_2"]], on=["unit", "period"]
        )
        both = replace(sample, frame=canonical, names={**sample.names, "outcome_2": "z"})
        effects = finding.estimate(both, design, seed=1).effects
        found[rule] = effects[effects["role"].isin(["headline", "secondary"])]
    assert len(found["holm"]) == 2
    for rows in found.values():
        assert (rows["p_adjusted"] >= rows["p_value"] - 0.01).all()
    assert (found["romano_wolf"]["p_adjusted"].to_numpy() <= found["holm"]["p_adjusted"].to_numpy() + 0.01).all()


def test_with_few_clusters_nothing_that_needs_an_interval_is_measured(panel, table):
    few = table.assign(region=np.where(table["cohort"] > 0, table["unit"] % 5, 5 + table["unit"] // 3))
    found = finding.estimate(*panel(few, cluster=("region",)), seed=1)
    assert found.headline["p_value"] is None
    checks = checks_of(found)
    for name in ("pretrend.joint_p", "identification.sensitivity", "pretrend.equivalence_bound"):
        assert checks[name].status == "not_run"
        assert "fewer than 6" in checks[name].detail
