"""What must not matter to a synthetic control, and what must move it by exactly as much.

Tolerance 1e-10 of the outcome's scale throughout: both sides solve the same program with other rounding.
"""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact.synthetic.estimate import Outcomes, fit
from evaluation.impact.synthetic.jackknife import jackknife
from evaluation.impact.synthetic.panel import Panel, fit_panel
from evaluation.impact.synthetic.placebo import placebos

ATT = pd.DataFrame({"term": ["att"]})
SEEDS = range(8)
ESTIMATORS = ["sdid", "synthetic_control", "augmented", "did"]


def drawn(seed, donors=14, treated=2, before=9, after=4):
    """A factor panel in which donors differ in level and slope."""
    rng = np.random.default_rng(seed)
    n, t = donors + treated, before + after
    paths = rng.standard_normal((n, 1)) + rng.standard_normal((n, 2)) @ rng.standard_normal((2, t))
    y = paths + 0.3 * rng.standard_normal((n, t))
    return Outcomes(donors=y[:donors], treated=y[donors:], n_before=before)


def changed(outcomes, change):
    y = change(np.vstack([outcomes.donors, outcomes.treated]))
    n = len(outcomes.donors)
    return Outcomes(donors=y[:n], treated=y[n:], n_before=outcomes.n_before)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("estimator", ["sdid", "did"])
def test_levels_of_units_do_not_matter_where_changes_are_matched(seed, estimator):
    outcomes = drawn(seed)
    level = np.random.default_rng(seed + 100).standard_normal((16, 1))
    same = fit(changed(outcomes, lambda y: y + level), estimator)
    # Levels of one enter squares of size one; the noise, from changes, is untouched.
    assert same.estimate == pytest.approx(fit(outcomes, estimator).estimate, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("estimator", ["sdid", "did"])
def test_common_shocks_do_not_matter(seed, estimator):
    outcomes = drawn(seed)
    shock = np.random.default_rng(seed + 200).standard_normal((1, 13))
    same = fit(changed(outcomes, lambda y: y + shock), estimator, noise=outcomes.noise)
    assert same.estimate == pytest.approx(fit(outcomes, estimator).estimate, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_the_unit_of_measurement_scales_the_estimate(seed, estimator, factor):
    outcomes = drawn(seed)
    scaled = fit(changed(outcomes, lambda y: factor * y), estimator).estimate / factor
    assert scaled == pytest.approx(fit(outcomes, estimator).estimate, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_effect_that_is_added_is_found(seed, estimator):
    outcomes, more = drawn(seed), 2.5
    treated = outcomes.treated.copy()
    treated[:, outcomes.n_before :] += more
    moved = Outcomes(donors=outcomes.donors, treated=treated, n_before=outcomes.n_before)
    assert fit(moved, estimator).estimate == pytest.approx(fit(outcomes, estimator).estimate + more, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_order_of_donors_does_not_matter(seed, estimator):
    outcomes = drawn(seed)
    order = np.random.default_rng(seed).permutation(14)
    other = Outcomes(donors=outcomes.donors[order], treated=outcomes.treated, n_before=outcomes.n_before)
    first, second = fit(outcomes, estimator), fit(other, estimator)
    assert second.estimate == pytest.approx(first.estimate, abs=1e-10)
    np.testing.assert_allclose(second.unit_weights, first.unit_weights[order], atol=1e-9)  # weights are not averaged


@pytest.mark.parametrize("seed", SEEDS)
def test_more_penalty_moves_the_augmented_weights_towards_the_plain_ones(seed):
    from evaluation.impact.synthetic.augmented import augment

    outcomes = drawn(seed)
    periods, target = outcomes.donors[:, :9].T, outcomes.treated[:, :9].mean(axis=0)
    plain = fit(outcomes, "synthetic_control").unit_weights
    far = [np.linalg.norm(augment(periods, target, plain, penalty) - plain) for penalty in (0.1, 1.0, 10.0, 100.0)]
    assert far == sorted(far, reverse=True)


# staggered ------------------------------------------------------------------------------------------------------------


def staggered(seed):
    outcomes = drawn(seed, treated=5)
    y = np.vstack([outcomes.donors, outcomes.treated])
    start = np.array([13] * 14 + [9, 9, 11, 11, 11])
    return Panel(outcomes=y, start=start, units=pd.Index([f"u{i:02d}" for i in range(19)]), periods=np.arange(13))


@pytest.mark.parametrize("seed", SEEDS)
def test_cohorts_are_estimated_alone_and_averaged_by_treated_cells(seed):
    panel = staggered(seed)
    early, late = (fit(panel.cohort(start), "sdid").estimate for start in (9, 11))
    # 2 units for 4 periods, 3 units for 2: 8 and 6 of 14 cells.
    assert fit_panel(panel, "sdid").estimate == pytest.approx((8 * early + 6 * late) / 14, abs=1e-12)


def test_gaps_by_event_time_average_the_units_that_are_seen():
    panel = staggered(1)
    fitted = fit_panel(panel, "sdid")
    times, gaps = fitted.gaps()
    assert times.tolist() == list(range(-11, 4))
    early, late = fitted.cohorts[9].gaps, fitted.cohorts[11].gaps
    assert gaps[times == 1] == pytest.approx((2 * early[10] + 3 * late[12]) / 5)
    assert gaps[times == 3] == pytest.approx(early[12])
    assert gaps[times == -11] == pytest.approx(late[0])


def test_placebos_have_the_starts_of_the_treated_and_never_use_them():
    panel = staggered(2)
    found = placebos(fit_panel(panel, "sdid"), "sdid", draws=30, seed=4)
    assert not found.counted
    assert found.assignments.shape == (30, 5)
    spoilt = panel.outcomes.copy()
    spoilt[14:, 9:] += 1000.0  # after, the treated are elsewhere: placebos must not see it
    again = Panel(outcomes=spoilt, start=panel.start, units=panel.units, periods=panel.periods)
    same = placebos(fit_panel(again, "sdid"), "sdid", draws=30, seed=4)
    np.testing.assert_array_equal(same.estimates, found.estimates)
    assert (placebos(fit_panel(panel, "sdid"), "sdid", draws=30, seed=5).estimates != found.estimates).any()


@pytest.mark.parametrize("estimator", ["sdid", "synthetic_control"])
def test_the_jackknife_by_leaving_units_out_one_by_one(estimator):
    """The formula of algorithm 3, with a loop in the place of the algebra."""
    from evaluation.impact.inference import covariance
    from evaluation.impact.synthetic.estimate import with_weights

    outcomes = drawn(3, treated=6)
    y = np.vstack([outcomes.donors, outcomes.treated])
    panel = Panel(outcomes=y, start=np.array([13] * 14 + [9] * 6), units=pd.Index(range(20)), periods=np.arange(13))
    fitted = fit_panel(panel, estimator)
    part, without = fitted.cohorts[9], []
    for i in range(20):
        kept = np.arange(20) != i
        weights = part.unit_weights[kept[:14]]
        left = Outcomes(donors=outcomes.donors[kept[:14]], treated=outcomes.treated[kept[14:]], n_before=9)
        without.append(with_weights(left, weights / weights.sum(), part.time_weights).estimate)
    expected = np.sqrt(19 / 20 * np.sum((np.array(without) - np.mean(without)) ** 2))
    effects = jackknife(fitted, ATT)
    np.testing.assert_allclose(covariance(effects).std_error, expected, rtol=1e-10)  # the same sums in another order
    assert effects.estimate[0] == fitted.estimate


def test_no_jackknife_with_one_treated_unit():
    outcomes = drawn(3, treated=1)
    y = np.vstack([outcomes.donors, outcomes.treated])
    panel = Panel(outcomes=y, start=np.array([13] * 14 + [9]), units=pd.Index(range(15)), periods=np.arange(13))
    assert jackknife(fit_panel(panel, "sdid"), ATT) is None
