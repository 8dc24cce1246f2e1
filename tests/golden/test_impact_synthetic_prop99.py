"""California's Proposition 99 (39 states, 1970 to 2000, cigarette packs a head) against R's synthdid 0.0.9.

R stops its Frank-Wolfe path before the solution; `solver: frank_wolfe` takes the same path, `exact` goes to the end.
"""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from evaluation.impact import inference
from evaluation.impact.synthetic import augmented
from evaluation.impact.synthetic.conformal import by_period, conformal
from evaluation.impact.synthetic.diagnostics import pre_fit, without_each_donor
from evaluation.impact.synthetic.estimate import with_weights
from evaluation.impact.synthetic.jackknife import jackknife
from evaluation.impact.synthetic.panel import Panel, fit_panel
from evaluation.impact.synthetic.placebo import placebos
from evaluation.impact.synthetic.weights import simplex_weights

NAMES = {"did": "did", "sc": "synthetic_control", "sdid": "sdid"}
ATT = pd.DataFrame({"term": ["att"]})


@pytest.fixture(scope="module")
def golden(shared_data):
    folder = shared_data / "golden" / "synthdid_prop99"
    names = ("california_prop99", "estimates", "unit_weights", "time_weights")
    return {name: pd.read_csv(folder / f"{name}.csv") for name in names}


@pytest.fixture(scope="module")
def panel(golden):
    wide = golden["california_prop99"].pivot(index="State", columns="Year", values="PacksPerCapita")
    start = np.where(wide.index == "California", 19, 31)
    return Panel(outcomes=wide.to_numpy(float), start=start, units=wide.index, periods=wide.columns.to_numpy())


@pytest.mark.parametrize("short", ["did", "sc", "sdid"])
def test_estimates_by_the_path_of_r(golden, panel, short):
    expected = golden["estimates"].set_index("estimator")["estimate"][short]
    found = fit_panel(panel, NAMES[short], solver="frank_wolfe").estimate
    np.testing.assert_allclose(found, expected, atol=1e-11)  # 15 digits are stored; the same path in the same order


def test_weights_by_the_path_of_r(golden, panel):
    units = golden["unit_weights"].set_index("unit")
    donors = list(panel.units[panel.donors])
    for column, estimator in (("omega_sdid", "sdid"), ("omega_sc", "synthetic_control")):
        found = fit_panel(panel, estimator, solver="frank_wolfe").cohorts[19]
        np.testing.assert_allclose(found.unit_weights, units.loc[donors, column], atol=1e-12)  # stored with 15 digits
    found = fit_panel(panel, "sdid", solver="frank_wolfe").cohorts[19]
    np.testing.assert_allclose(found.time_weights, golden["time_weights"]["lambda_sdid"], atol=1e-12)  # the same


def test_exact_weights_are_better_than_those_of_the_path_and_those_of_another_solver(panel):
    """scipy's SLSQP from even weights is the twin; it stops at 1e-12 of the objective."""
    outcomes = panel.cohort(19)
    before, target = outcomes.donors[:, :19].T, outcomes.treated[:, :19].mean(axis=0)
    apart = before - target[:, None]
    apart = apart - apart.mean(axis=0)
    ridge = (12**0.25 * outcomes.noise) ** 2

    def objective(w):
        return float(np.sum((apart @ w) ** 2) / 19 + ridge * w @ w)

    exact = fit_panel(panel, "sdid").cohorts[19].unit_weights
    path = fit_panel(panel, "sdid", solver="frank_wolfe").cohorts[19].unit_weights
    twin = optimize.minimize(
        objective,
        np.full(38, 1 / 38),
        jac=lambda w: 2 * (apart.T @ (apart @ w) / 19 + ridge * w),
        bounds=[(0, 1)] * 38,
        constraints=[{"type": "eq", "fun": lambda w: w.sum() - 1}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    ).x
    assert objective(exact) <= min(objective(path), objective(twin)) + 1e-12
    np.testing.assert_allclose(exact, twin, atol=1e-6)  # the objective is flat at its least: 1e-14 there is 1e-7 here


def test_exact_estimates(panel):
    """The exact program's own numbers; mlsynth 1.0.0 prints -19.514 for SC and -15.60540 for SDID."""
    assert fit_panel(panel, "synthetic_control").estimate == pytest.approx(-19.5136298, abs=1e-6)
    assert fit_panel(panel, "sdid").estimate == pytest.approx(-15.6053979, abs=1e-6)


def test_placebos_counted(panel):
    """The path of R gives 9.3688 (the slow test below); the exact weights of each placebo a little less."""
    found = placebos(fit_panel(panel, "sdid"), "sdid")
    assert found.counted
    assert found.estimates.std() == pytest.approx(9.3684, abs=5e-5)


@pytest.mark.slow
def test_placebos_counted_by_the_path_of_r(panel):
    """R draws 200 placebos with replacement (8.37 with its seed); all 38 give 9.3688 by its path. Run with -m slow."""
    found = placebos(fit_panel(panel, "sdid", solver="frank_wolfe"), "sdid", solver="frank_wolfe")
    assert found.estimates.std() == pytest.approx(9.3688, abs=5e-5)


def test_jackknife_with_three_treated_states(golden):
    """diff-diff 3.13.0 (25 November 2026) with California, Utah and Ohio as treated: -3.3029873385602415, jackknife
    9.630045704199544. It takes R's path as well; the last digits depend on the order of its steps.
    """
    wide = golden["california_prop99"].pivot(index="State", columns="Year", values="PacksPerCapita")
    start = np.where(wide.index.isin(["California", "Utah", "Ohio"]), 19, 31)
    panel = Panel(outcomes=wide.to_numpy(float), start=start, units=wide.index, periods=wide.columns.to_numpy())
    fitted = fit_panel(panel, "sdid", solver="frank_wolfe")
    assert fitted.estimate == pytest.approx(-3.3029873385602415, abs=1e-10)
    effects = jackknife(fitted, ATT)
    assert inference.covariance(effects).std_error[0] == pytest.approx(9.630045704199544, abs=1e-9)


def test_rank_of_the_ratio_and_interval(panel):
    fitted = fit_panel(panel, "synthetic_control")
    found = placebos(fitted, "synthetic_control")
    # California's ratio is the third of 39; with SDID, which needs no common level, the first.
    assert inference.rank_p(fitted.ratio, found.ratios) == pytest.approx(3 / 39)
    changes = fit_panel(panel, "sdid")
    assert inference.rank_p(changes.ratio, placebos(changes, "sdid").ratios) == pytest.approx(1 / 39)
    row = inference.placebo_table(ATT, np.array([fitted.estimate]), found.estimates[:, None]).iloc[0]
    far = np.abs(found.estimates)
    assert row["p_value"] == pytest.approx((1 + (far >= abs(fitted.estimate)).sum()) / 39)
    assert row["ci_high"] - row["estimate"] == pytest.approx(far.max())  # 5 % of 39 is 1.95: the largest one


def test_fit_before_and_single_donors(panel):
    fitted = fit_panel(panel, "synthetic_control")
    fit = pre_fit(fitted)
    assert fit.rmspe < 0.11 * fit.even  # Utah, Montana, Nevada and Connecticut follow California closely
    table = without_each_donor(fitted, "synthetic_control")
    assert table["donor"].tolist()[0] == "Utah"
    assert table["estimate"].max() < 0


def test_conformal_intervals(panel):
    fitted = fit_panel(panel, "synthetic_control").cohorts[19]
    found = conformal(panel.cohort(19), fitted, "synthetic_control")
    assert found.ci_low < fitted.estimate < found.ci_high
    assert found.p_value == pytest.approx(3 / 31)  # three of 31 stretches of 12 years have gaps as large as the last
    late = by_period(panel.cohort(19), "synthetic_control")[-1]
    assert late.p_value == pytest.approx(1 / 20)  # the gap of 2000 is larger than all 19 before
    assert late.ci_high < 0


def test_augmented_fits_better_before(panel):
    outcomes = panel.cohort(19)
    plain, corrected = (fit_panel(panel, name).cohorts[19] for name in ("synthetic_control", "augmented"))
    assert corrected.rmspe(19)[0] < plain.rmspe(19)[0]
    assert corrected.unit_weights.sum() == pytest.approx(1)
    before, target = outcomes.donors[:, :19].T, outcomes.treated[:, :19].mean(axis=0)
    # With no penalty at all the 19 periods before are reproduced by 38 donors; with an infinite one nothing changes.
    free = augmented.augment(before, target, plain.unit_weights, 1e-9)
    np.testing.assert_allclose(before @ free, target, atol=1e-6)  # the penalty left in
    np.testing.assert_array_equal(augmented.augment(before, target, plain.unit_weights, np.inf), plain.unit_weights)


@pytest.mark.parametrize(("penalty", "expected"), [(10.0, -12.703295176430595), (1000.0, -16.756649216616474)])
def test_augmented_with_a_given_penalty(panel, penalty, expected):
    """pysyncon 1.7.0 (25 November 2026), AugSynth.fit(lambda_=...): its own simplex weights sum to 1 + 5e-9 and are
    off by 1e-4, and so is the mean gap after.
    """
    outcomes = panel.cohort(19)
    before, target = outcomes.donors[:, :19].T, outcomes.treated[:, :19].mean(axis=0)
    plain = fit_panel(panel, "synthetic_control").cohorts[19].unit_weights
    corrected = augmented.augment(before, target, plain, penalty)
    assert with_weights(outcomes, corrected, np.zeros(19)).estimate == pytest.approx(expected, abs=1e-3)


def test_the_penalty_is_chosen_by_periods_that_are_really_left_out(panel):
    """The same choice by a loop; pysyncon 1.7.0 takes its least penalty, as its errors fall to zero with it."""
    outcomes = panel.cohort(19)
    before, target = outcomes.donors[:, :19].T, outcomes.treated[:, :19].mean(axis=0)
    ridge = (1e-6 * outcomes.noise) ** 2
    x = before - before.mean(axis=1)[:, None]
    grid = np.linalg.norm(x, 2) ** 2 * np.geomspace(1, 1e-8, 20)
    errors = np.zeros((19, 20))
    for t in range(19):
        kept = np.arange(19) != t
        plain = simplex_weights(before[kept], target[kept], ridge=ridge)
        for k, penalty in enumerate(grid):
            w = augmented.augment(before[kept], target[kept], plain, penalty)
            errors[t, k] = (target[t] - before[t] @ w) ** 2
    mean = errors.mean(axis=0)
    best = mean.argmin()
    bound = mean[best] + errors[:, best].std(ddof=1) / np.sqrt(19)
    assert augmented.chosen_penalty(before, target, ridge) == pytest.approx(grid[mean <= bound].max())


@pytest.mark.slow
def test_two_hundred_placebos_take_no_longer_than_diff_diffs(panel):
    """diff-diff 3.13.0: 0.53 s of processor time for 200 draws on this panel; all 38 assignments are fitted here."""
    fitted = fit_panel(panel, "sdid")
    begun = time.process_time()
    placebos(fitted, "sdid", draws=200)
    assert time.process_time() - begun < 0.53
