"""Power of tests before treatment, the bias they let pass, and equivalence."""

import numpy as np
import pytest
from scipy import stats

from evaluation.errors import EvaluationError
from evaluation.evidence.calibration.designs import staggered
from evaluation.impact import did, imputation
from evaluation.impact.inference import covariance, wald
from evaluation.impact.pretrends import (
    Pretest,
    before_by_event_time,
    bias_if_passed,
    detectable_slope,
    equivalence,
    rejection,
    trend_power,
)


def roth(before):
    """K effects before and one after, variance 2 and covariance 1, a slope of one per period from period -1."""
    matrix = np.eye(before + 1) + 1
    return Pretest(
        covariance=matrix[:before, :before],
        direction=-np.arange(before, 0, -1.0),
        across=matrix[:before, before],
        horizon=1.0,
        headline=1.0,
    )


# numbers of the design of Roth (2022), computed once with another program and by simulation ---------------------------


@pytest.mark.parametrize(("before", "half", "at_half", "at_eighty"), [(3, 0.583, 1.71, 1.85), (5, 0.310, 2.32, 2.54)])
def test_any_significant_effect(before, half, at_half, at_eighty):
    pretest, se = roth(before), 2**0.5
    slope = detectable_slope(pretest, 0.5, "any")
    assert slope / se == pytest.approx(half, abs=0.002)  # the reference has three digits and simulation noise
    assert bias_if_passed(pretest, slope, "any") / slope == pytest.approx(at_half, abs=0.02)
    eighty = trend_power(pretest, 0.8, "any")
    assert eighty.bias_if_passed / eighty.slope == pytest.approx(at_eighty, abs=0.02)
    assert eighty.bias == eighty.slope  # one period after the reference


@pytest.mark.parametrize(("before", "size"), [(3, 0.126), (5, 0.182)])
def test_a_search_for_any_significant_effect_is_no_test_of_five_percent(before, size):
    assert rejection(roth(before), 0.0, "any") == pytest.approx(size, abs=1e-3)
    assert rejection(roth(before), 0.0, "joint") == pytest.approx(0.05, abs=1e-12)


# by hand and by draws -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", ["joint", "any"])
def test_one_effect_by_hand(test):
    pretest = Pretest(
        covariance=np.array([[4.0]]), direction=np.array([-1.0]), across=np.array([2.0]), horizon=3.0, headline=-6.0
    )
    # |N(-γ/2, 1)| > 1.96; the mean of a truncated normal; covariance over variance is 1/2.
    z, slope = stats.norm.ppf(0.975), 2.5
    power = stats.norm.cdf(-z + slope / 2) + stats.norm.cdf(-z - slope / 2)
    assert rejection(pretest, slope, test) == pytest.approx(power, abs=1e-12)
    inside = stats.truncnorm.mean(-z + slope / 2, z + slope / 2)  # of (estimate + γ) / 2
    expected = 3 * slope + 0.5 * 2 * inside
    assert bias_if_passed(pretest, slope, test) == pytest.approx(expected, abs=2e-3 if test == "any" else 1e-10)
    found = trend_power(pretest, 0.8, test)
    assert found.share == pytest.approx(found.slope * 3 / 6)
    # two-sided, the far side hardly counts: slope = 2 (1.96 + .842)
    assert found.slope == pytest.approx(2 * (z + stats.norm.ppf(0.8)), abs=1e-3)


@pytest.mark.parametrize("test", ["joint", "any"])
def test_power_and_bias_against_draws(test):
    pretest, slope = roth(3), 0.8
    rng = np.random.Generator(np.random.Philox(1))
    matrix = np.eye(4) + 1
    draws = rng.multivariate_normal(slope * np.array([-3, -2, -1, 1]), matrix, size=400_000)
    before = draws[:, :3]
    if test == "any":
        passed = (np.abs(before) <= stats.norm.ppf(0.975) * 2**0.5).all(axis=1)
    else:
        statistic = np.einsum("ij,ij->i", before @ np.linalg.inv(matrix[:3, :3]), before)
        passed = statistic <= stats.chi2.ppf(0.95, 3)
    # standard errors: .0008 of the share, .003 of the mean
    assert rejection(pretest, slope, test) == pytest.approx(1 - passed.mean(), abs=0.003)
    assert bias_if_passed(pretest, slope, test) == pytest.approx(draws[passed, 3].mean(), abs=0.012)


def test_scaling_the_outcome_scales_slopes():
    small = roth(3)
    large = Pretest(
        covariance=1e8 * small.covariance,
        direction=small.direction,
        across=1e8 * small.across,
        horizon=1.0,
        headline=1e4,
    )
    for test in ("joint", "any"):
        ours, theirs = trend_power(small, 0.8, test), trend_power(large, 0.8, test)
        assert theirs.slope == pytest.approx(1e4 * ours.slope, rel=1e-8)
        assert theirs.bias_if_passed == pytest.approx(1e4 * ours.bias_if_passed, rel=1e-6)
        assert theirs.share == pytest.approx(ours.share, rel=1e-8)


# from a difference-in-differences -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(panel):
    table = staggered(90, np.random.default_rng(2), starts=(0, 4, 5), periods=7)
    return {base: did.estimate(*panel(table, base_period=base)) for base in ("varying", "universal")}


def test_the_base_period_does_not_change_what_the_joint_test_sees(results):
    # Changes of one period and differences to one period are linear maps of each other.
    found = [trend_power(Pretest.of(result)) for result in results.values()]
    assert found[0].slope == pytest.approx(found[1].slope, rel=1e-8)
    assert found[0].bias_if_passed == pytest.approx(found[1].bias_if_passed, rel=1e-8)


def test_what_a_trend_does_to_effects_and_headline(panel, results):
    # A trend of .1 per period in treated units, and nothing else, moves each number by .1 times what Pretest says.
    table = staggered(90, np.random.default_rng(2), starts=(0, 4, 5), periods=7)
    bent = table.assign(y=table["y"] + 0.1 * table["period"] * (table["cohort"] > 0))
    for base, result in results.items():
        other = did.estimate(*panel(bent, base_period=base))
        pretest = Pretest.of(result)
        used = result.pre_treatment.support()
        moved = (other.pre_treatment.estimate - result.pre_treatment.estimate)[used]
        np.testing.assert_allclose(moved, 0.1 * pretest.direction, atol=1e-12)
        shift = float(other.headline.estimate[0] - result.headline.estimate[0])
        assert shift == pytest.approx(0.1 * pretest.horizon, abs=1e-12)
        by_time = before_by_event_time(result)
        moved = before_by_event_time(other).estimate - by_time.estimate
        np.testing.assert_allclose(moved, 0.1 * Pretest.of(result, effects=by_time).direction, atol=1e-12)


def test_power_refers_to_the_test_that_is_reported(results):
    result = results["varying"]
    pretest = Pretest.of(result)
    theirs = wald(result.pre_treatment)
    found = covariance(result.pre_treatment).matrix
    np.testing.assert_allclose(pretest.covariance, found, rtol=1e-12)
    assert theirs.df == len(pretest.direction)


def test_no_power_without_a_test(panel):
    table = staggered(90, np.random.default_rng(3), starts=(0, 2), periods=3)
    pretest = Pretest.of(did.estimate(*panel(table)))
    found = trend_power(pretest)
    assert found.reason == "there is nothing to test"
    assert np.isnan([found.slope, found.bias, found.bias_if_passed, found.share]).all()
    assert found.detail == "No power: there is nothing to test."


def test_refusals(panel, results):
    for power in (0.05, 1.0, 80):
        with pytest.raises(EvaluationError, match="no slope") as raised:
            trend_power(roth(3), power)
        assert raised.value.code == "E-IMP-142"
    table = staggered(90, np.random.default_rng(2), starts=(0, 4, 5), periods=7)
    with pytest.raises(EvaluationError, match="no base period") as raised:
        Pretest.of(imputation.estimate(*panel(table)))
    assert raised.value.code == "E-IMP-141"


def test_base_periods_at_different_distances_have_no_slope_by_event_time(panel):
    table = staggered(90, np.random.default_rng(4), starts=(0, 5, 6), periods=8)
    # Without period 3 the change of cohort 5 into event time -1 spans two periods, that of cohort 6 one.
    result = did.estimate(*panel(table[table["period"] != 3], base_period="varying"))
    times = before_by_event_time(result)
    distances = result.pre_treatment.labels.assign(d=lambda t: t["period"] - t["base_period"])
    assert (distances.groupby("event_time")["d"].nunique() > 1).any()
    with pytest.raises(EvaluationError, match="different distances") as raised:
        Pretest.of(result, effects=times)
    assert raised.value.code == "E-IMP-140"


# equivalence ----------------------------------------------------------------------------------------------------------


def test_bound_of_equivalence_by_hand(results):
    effects = before_by_event_time(results["universal"])
    se = covariance(effects).std_error
    found = equivalence(effects)
    # two one-sided tests at 5 %: |estimate| + 1.6449 standard errors, of the worst effect
    assert found.bound == pytest.approx((np.abs(effects.estimate) + 1.6448536269514722 * se).max(), abs=1e-12)
    assert found.largest == pytest.approx(np.abs(effects.estimate).max())
    assert found.tests == len(effects) == 3
    assert equivalence(effects, level=0.01).bound > found.bound


def test_no_bound_of_equivalence_without_intervals(panel):
    table = staggered(20, np.random.default_rng(5), starts=(0, 0, 0, 0, 5), periods=7)  # four treated units
    found = equivalence(before_by_event_time(did.estimate(*panel(table))))
    assert found.reason.startswith("treated units: 4")
    assert np.isnan(found.bound)
    nothing = staggered(90, np.random.default_rng(3), starts=(0, 2), periods=3)
    assert equivalence(before_by_event_time(did.estimate(*panel(nothing)))).reason == "there is nothing to test"
