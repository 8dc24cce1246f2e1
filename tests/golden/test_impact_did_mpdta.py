"""The minimum-wage data of R did: every comparison, estimator, covariate and base period, and the pre-trend test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import did
from evaluation.impact.inference import summarize, wald

AVERAGES = pd.read_csv(Path(__file__).parent / "did_mpdta.csv", comment="#")
ESTIMATORS = {"dr": "doubly_robust", "reg": "regression", "ipw": "inverse_probability"}
COMPARISONS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
AGGREGATES = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
COLUMNS = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}
COVARIATES = {"~1": (), "~lpop": ("lpop",)}


@pytest.fixture(scope="module")
def counties(shared_data):
    return pd.read_csv(shared_data / "golden" / "did_mpdta" / "mpdta.csv")


@pytest.fixture
def run(panel, counties):
    def estimate(formula="~1", **options):
        names = ("countyreal", "year", "first.treat", "lemp")
        return did.estimate(*panel(counties, names=names, covariates=COVARIATES[formula], **options))

    return estimate


@pytest.mark.parametrize("base", ["varying", "universal"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("formula", COVARIATES)
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_group_time_effects(run, shared_data, comparison, formula, estimator, base):
    table = pd.read_csv(shared_data / "golden" / "did_mpdta" / "att_gt.csv").query(
        "control_group == @comparison and xformla == @formula and est_method == @estimator and base_period == @base"
    )
    result = run(formula, comparison=COMPARISONS[comparison], estimator=ESTIMATORS[estimator], base_period=base)
    found = summarize(result.group_time).sort_values(["cohort", "period"])
    table = table.sort_values(["group", "time"])
    np.testing.assert_array_equal(found[["cohort", "period"]].to_numpy(dtype=int), table[["group", "time"]])
    np.testing.assert_allclose(found["estimate"], table["att"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["std_error"], table["se"], rtol=1e-8)


@pytest.mark.parametrize("formula", COVARIATES)
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_averages(run, comparison, formula):
    expected = AVERAGES.query("control_group == @comparison and xformla == @formula")
    result = run(formula, comparison=COMPARISONS[comparison])
    for kind, name in AGGREGATES.items():
        rows = expected[expected["aggregate"] == kind]
        overall = summarize(result.overall[name]).iloc[0]
        assert overall["estimate"] == pytest.approx(rows["overall_att"].iloc[0], abs=1e-10)
        assert overall["std_error"] == pytest.approx(rows["overall_se"].iloc[0], rel=1e-8)
        if name != "simple":
            found = summarize(result.aggregates[name])
            assert found[COLUMNS[name]].tolist() == rows["egt"].tolist()
            np.testing.assert_allclose(found["estimate"], rows["att_egt"], rtol=0, atol=1e-10)
            np.testing.assert_allclose(found["std_error"], rows["se_egt"], rtol=1e-8)


@pytest.mark.parametrize(("formula", "printed"), [("~1", 0.16812), ("~lpop", 0.23267)])
def test_the_test_before_treatment_is_the_one_printed_in_the_vignette(run, formula, printed):
    test = wald(run(formula).pre_treatment)
    assert test.df == 5
    assert test.p_value == pytest.approx(printed, abs=5e-6)


def test_the_band_is_wider_than_the_intervals_and_repeatable(run):
    events = run(aggregate="event_time").aggregates["event_time"]
    found = summarize(events, band_seed=20260101)
    critical = (found["band_high"] - found["estimate"]) / found["std_error"]
    np.testing.assert_allclose(critical, critical.iloc[0])
    assert (
        2.3 < critical.iloc[0] < 2.8
    )  # seven effects: between one (1.96) and Bonferroni (2.69), R's bootstrap has 2.4-2.6
