"""Laws of shrinkage, of the best of several and of discoveries, by simulation with known truth.

`run.py test -m slow` repeats the coverage of the winner with 20,000 portfolios for each world.
"""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.evidence import posterior
from evaluation.evidence.discoveries import bayesian_q_values, discoveries
from evaluation.evidence.posterior import Belief
from evaluation.impact.inference.winners import best_of
from evaluation.settings.synthesis import Prior, Synthesis

LAW = settings(max_examples=30, deadline=None, derandomize=True)
SETTINGS = Synthesis(
    version="test",
    level=0.95,
    method="REML",
    minimum_for_bias_tests=10,
    bias_sd={5: 0.02, 4: 0.05, 3: 0.075, 2: 0.12, 1: 0.20},
    bias_correlation=0.5,
    outcome_correlation=0.8,
    prior=Prior(use="house", mean=0.06, sd=0.10, empirical_from=10, fat_tail_df=3),
    smallest_effect_sd=0.05,
    false_discovery_rate=0.10,
)
HOUSE = posterior.house_belief(SETTINGS.prior)


def findings(rng, shape):
    """True effects from the prior, grades, errors, and estimates with the bias of their grade."""
    truth = rng.normal(HOUSE.mean, HOUSE.sd, shape)
    grade = rng.integers(1, 6, shape)
    error = rng.uniform(0.03, 0.15, shape)
    bias = posterior.bias_sd(grade, SETTINGS) * rng.standard_normal(shape)
    return truth, grade, error, truth + bias + error * rng.standard_normal(shape)


def uniformity(ranks, draws, bins=20):
    """p of χ² for uniform ranks 0..draws."""
    counts = np.bincount(ranks * bins // (draws + 1), minlength=bins)
    return stats.chisquare(counts).pvalue


# simulation-based calibration ----------------------------------------------------------------------------------------


def ranks_of(truth, shrunk, rng, draws=99):
    samples = shrunk.mean[..., None] + shrunk.sd[..., None] * rng.standard_normal((*truth.shape, draws))
    return (samples < truth[..., None]).sum(axis=-1).ravel()


def test_shrinkage_is_calibrated():
    """2,000 true effects from the prior; the rank of the truth among 99 draws is uniform (Talts et al. 2018)."""
    rng = np.random.default_rng(20261124)
    truth, grade, error, estimate = findings(rng, 2000)
    assert uniformity(ranks_of(truth, posterior.shrink(estimate, error, grade, SETTINGS), rng), 99) > 0.001


def test_calibration_would_notice_a_forgotten_bias():
    rng = np.random.default_rng(20261125)
    truth, _, error, estimate = findings(rng, 2000)
    assert uniformity(ranks_of(truth, posterior.shrink_variance(estimate, error**2, HOUSE), rng), 99) < 1e-10


def test_the_mean_is_right_after_any_choice():
    """Who is chosen by the estimate is not overrated: mean of (posterior mean − truth) within .01 SD, raw far off."""
    rng = np.random.default_rng(3)
    truth, grade, error, estimate = findings(rng, (4000, 20))
    shrunk = posterior.shrink(estimate, error, grade, SETTINGS)
    chosen = np.argmax(shrunk.mean, axis=1)[:, None]
    gap = np.take_along_axis(shrunk.mean - truth, chosen, axis=1)
    raw = np.take_along_axis(estimate - truth, np.argmax(estimate, axis=1)[:, None], axis=1)
    assert abs(gap.mean()) < 0.01
    assert raw.mean() > 0.10


def test_intervals_with_bias_cover_at_every_grade_and_conventional_ones_fall():
    rng = np.random.default_rng(4)
    truth, grade, error, estimate = findings(rng, 100_000)
    inclusive = np.abs(estimate - truth) < 1.96 * np.hypot(error, posterior.bias_sd(grade, SETTINGS))
    plain = np.abs(estimate - truth) < 1.96 * error
    covered = [plain[grade == level].mean() for level in (5, 4, 3, 2, 1)]
    assert min(inclusive[grade == level].mean() for level in range(1, 6)) > 0.94
    assert covered == sorted(covered, reverse=True)
    assert covered[-1] < 0.6


def test_the_prior_of_the_portfolio_is_found():
    rng = np.random.default_rng(6)
    truth, grade, error, estimate = findings(rng, (400, 60))
    mean, sd = posterior.empirical_prior(estimate, error**2 + posterior.bias_sd(grade, SETTINGS) ** 2)
    assert mean.mean() == pytest.approx(0.06, abs=0.005)
    assert np.median(sd) == pytest.approx(0.10, abs=0.01)
    assert (sd > 0).all()  # never total shrinkage
    del truth


def test_empirical_shrinkage_comes_close_to_the_true_prior():
    rng = np.random.default_rng(8)
    truth, grade, error, estimate = findings(rng, (600, 20))
    variance = error**2 + posterior.bias_sd(grade, SETTINGS) ** 2
    mean, sd = posterior.empirical_prior(estimate, variance)
    belief = Belief(mean=mean[:, None], sd=sd[:, None], basis="portfolio", programmes=20)
    own = posterior.shrink_variance(estimate, variance, belief)
    best = posterior.shrink_variance(estimate, variance, HOUSE)
    risks = [np.mean((guess - truth) ** 2) for guess in (best.mean, own.mean, estimate)]
    assert risks[0] < risks[1] < 1.25 * risks[0] < 0.5 * risks[2]
    covered = np.abs(own.mean - truth) < 1.96 * own.sd
    assert covered.mean() > 0.90  # not 95 %: the prior is taken as known


# laws ----------------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-2, 2, allow_nan=False)
ERRORS = st.floats(0.01, 2, allow_nan=False)


@LAW
@given(estimate=NUMBERS, error=ERRORS, grade=st.integers(1, 5))
def test_a_posterior_lies_between_prior_and_finding_and_is_surer_than_both(estimate, error, grade):
    found = posterior.shrink(np.array(estimate), np.array(error), np.array(grade), SETTINGS)
    assert min(estimate, HOUSE.mean) - 1e-12 <= found.mean <= max(estimate, HOUSE.mean) + 1e-12
    assert found.sd <= min(HOUSE.sd, np.hypot(error, SETTINGS.bias_sd[grade])) + 1e-12
    assert found.above(0.0) + found.quantile(0.5) * 0 == pytest.approx(1 - stats.norm.cdf(-found.mean / found.sd))


@LAW
@given(estimate=NUMBERS, error=ERRORS)
def test_a_better_grade_gives_the_finding_more_weight(estimate, error):
    weights = [
        float(posterior.shrink(np.array(estimate), np.array(error), np.array(grade), SETTINGS).weight)
        for grade in range(6)
    ]
    assert weights == sorted(weights)
    assert weights[0] == 0.0


@LAW
@given(estimate=NUMBERS, error=ERRORS)
def test_fat_tails_are_the_normal_with_many_degrees_of_freedom(estimate, error):
    variance = np.array(error**2 + 0.0025)
    mean, sd, above = posterior.fat_tailed(np.array(estimate), variance, HOUSE, 4000, 0.05)
    normal = posterior.shrink_variance(np.array(estimate), variance, HOUSE)
    assert mean == pytest.approx(float(normal.mean), abs=0.02 * max(1.0, abs(estimate)))
    assert sd == pytest.approx(float(normal.sd), rel=0.05)
    assert above == pytest.approx(float(normal.above(0.05)), abs=0.05)


@LAW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_discoveries_hold_their_rate_and_are_the_largest_such_set(probabilities, rate):
    p = np.array(probabilities)
    named = discoveries(p, rate)
    if named.any():
        assert p[named].mean() <= rate + 1e-12
        assert p[named].max() <= p[~named].min(initial=1.0)
    if not named.all():
        more = np.append(p[named], p[~named].min())
        assert more.mean() > rate
    assert (np.diff(bayesian_q_values(np.sort(p))) >= -1e-12).all()


# the best of several -------------------------------------------------------------------------------------------------

WORLDS = {
    "all equal": (np.zeros(10), np.ones(10)),
    "unequal errors": (np.zeros(10), np.linspace(0.5, 1.5, 10)),
    "a slope": (np.linspace(0, 3, 10), np.ones(10)),
    "one ahead": (np.r_[np.zeros(9), 1.0], np.linspace(0.5, 1.5, 10)),
    "one far ahead": (np.r_[np.zeros(9), 6.0], np.ones(10)),
}


def race(world, repetitions, seed):
    truth, error = WORLDS[world]
    rng = np.random.default_rng(seed)
    x = truth + error * rng.standard_normal((repetitions, len(truth)))
    found = best_of(x, np.broadcast_to(error, x.shape))
    return found, truth[found.index]


def covered(low, high, truth):
    return np.mean((low <= truth) & (truth <= high))


def check(found, truth, tolerance):
    assert covered(found.conditional_low, found.conditional_high, truth) == pytest.approx(0.95, abs=tolerance)
    assert 0.95 - tolerance < covered(found.hybrid_low, found.hybrid_high, truth) < 0.9575 + tolerance
    for estimate in (found.conditional, found.hybrid):
        assert np.mean(estimate < truth) == pytest.approx(0.5, abs=2.3 * tolerance)


@pytest.mark.parametrize("world", WORLDS)
def test_the_best_of_ten_is_estimated_without_the_winners_curse(world):
    """R = 3,000: four errors of 95 % are .016. AKM proposition: hybrid covers 1 − α to (1 − α) / (1 − β) = .9548."""
    found, truth = race(world, 3000, 12)
    check(found, truth, 0.016)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_the_best_of_ten_with_many_repetitions(world):
    """R = 100,000: four errors are .0028."""
    found, truth = race(world, 100_000, 13)
    check(found, truth, 0.0028)


def test_the_naive_interval_of_the_winner_fails_where_all_are_equal():
    found, truth = race("all equal", 3000, 12)
    assert covered(found.naive_low, found.naive_high, truth) < 0.85
    assert np.mean(found.naive > truth) > 0.99


def test_far_ahead_nothing_is_corrected():
    found = best_of(np.array([0.0, 1.0, 40.0]), np.ones(3))
    np.testing.assert_allclose([found.conditional, found.conditional_low], [40.0, 40 - 1.959964], atol=1e-5)
    # the hybrid pays for the reach: a little longer, still centred
    assert found.hybrid == pytest.approx(40.0, abs=1e-9)
    assert 1.96 < found.hybrid - found.hybrid_low < 2.1


@LAW
@given(seed=st.integers(0, 10_000), gap=st.floats(0.01, 5))
def test_corrections_pull_down_and_stay_within_reach(seed, gap):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(8)
    x[3] = x.max() + gap
    found = best_of(x, np.ones(8))
    assert found.index == 3
    # the conditional is the limit of the hybrid where the reach is endless
    assert found.conditional <= found.naive + 1e-9
    assert found.hybrid <= found.naive + 0.05
    assert found.hybrid_low >= found.naive - stats.norm.isf((1 - 0.995 ** (1 / 8)) / 2) - 1e-9
    assert found.hybrid_low < found.hybrid < found.hybrid_high


@LAW
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_units_change_nothing(seed, shift, scale):
    rng = np.random.default_rng(seed)
    x, error = rng.standard_normal(6), rng.uniform(0.5, 2, 6)
    one, two = best_of(x, error), best_of(shift + scale * x, scale * error)
    for name in ("hybrid", "hybrid_low", "hybrid_high", "conditional_high"):
        assert getattr(two, name) == pytest.approx(shift + scale * getattr(one, name), abs=1e-6 * scale)


def test_a_score_that_weighs_costs_decides_the_runner_up():
    # scores 2 × 1 − 1 = 1 and 1 × .8 = .8: the first wins, and would down to (.8 + 1) / 2 = .9
    found = best_of(np.array([1.0, 0.8]), np.ones(2), offset=np.array([-1.0, 0.0]), slope=np.array([2.0, 1.0]))
    assert (int(found.index), float(found.runner_up)) == (0, pytest.approx(0.9))


def test_a_thousand_portfolios_of_twenty_take_seconds():
    """Prior, posterior, fat tails, discoveries, winner: 1,000 × 20 in under 3 s of one processor (0.4 s)."""
    rng = np.random.default_rng(9)
    _, grade, error, estimate = findings(rng, (1000, 20))
    start = time.process_time()
    variance = error**2 + posterior.bias_sd(grade, SETTINGS) ** 2
    mean, sd = posterior.empirical_prior(estimate, variance)
    belief = Belief(mean=mean[:, None], sd=sd[:, None], basis="portfolio", programmes=20)
    shrunk = posterior.shrink(estimate, error, grade, SETTINGS, belief)
    posterior.fat_tailed(estimate, variance, belief, 3, 0.05)
    discoveries(1 - shrunk.above(0.05), 0.10)
    best_of(estimate, np.sqrt(variance))
    assert time.process_time() - start < 3
