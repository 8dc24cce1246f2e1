"""Randomisation tests: by hand, against refits, every mechanism, intervals by inversion, refusals."""

import itertools
from math import comb

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.impact.inference import randomisation_test
from evaluation.impact.inference.assignments import mechanism
from evaluation.impact.inference.randomisation import _affine_draws, _setting


def setting(outcome, treated, strata=None, clusters=None, probability=None, covariates=None):
    return _setting(outcome, treated, strata, clusters, probability, covariates)


# by hand --------------------------------------------------------------------------------------------------------------


def test_four_units_by_hand():
    # Outcomes 1, 2 | 5, 8: difference 6.5 - 1.5 = 5. The six ways to treat two of four: {5,8} 5, {2,8} 5 - 3 = 2,
    # {2,5} 3.5 - 4.5 = -1, and their mirror images. Two of six are as far out as 5: p = 1/3.
    test = randomisation_test([1, 2, 5, 8], [0, 0, 1, 1], studentised=False)
    assert test.estimate == pytest.approx(5.0)
    assert test.p_value == pytest.approx(1 / 3)
    assert test.p_value_strict == 0.0
    assert (test.assignments, test.draws, test.enumerated) == (6, 6, True)
    assert (test.ci_low, test.ci_high) == (-np.inf, np.inf)  # the least possible p-value is 1/3


def test_three_pairs_by_hand():
    # Differences within pairs 1, 2, 6: mean 3. Of 2³ sign patterns only +++ and --- reach 3: p = 2/8.
    pairs = [0, 0, 1, 1, 2, 2]
    test = randomisation_test([3, 2, 5, 3, 9, 3], [1, 0, 1, 0, 1, 0], strata=pairs, studentised=False)
    assert test.estimate == pytest.approx(3.0)
    assert test.p_value == pytest.approx(0.25)
    assert test.mechanism == "assignment of units within pairs"
    # An effect of 2 leaves differences -1, 0, 4: mean 1; |mean| over signs is 1, 1, 5/3, 5/3 twice each: p = 1.
    assert randomisation_test(
        [3, 2, 5, 3, 9, 3], [1, 0, 1, 0, 1, 0], strata=pairs, studentised=False, hypothesis=2.0
    ).p_value == pytest.approx(1.0)


def test_one_treated_cluster_of_twenty_has_an_answer():
    # The treated cluster has the largest mean of twenty: one-sided rank 1 of 20, and nobody is as far out.
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(20), 5)
    outcome = rng.normal(size=100) + 9.0 * (cluster == 3)
    test = randomisation_test(outcome, cluster == 3, clusters=cluster, studentised=False)
    assert test.p_value == pytest.approx(1 / 20)
    assert (test.clusters, test.treated_clusters, test.assignments) == (20, 1, 20)
    assert "1 of 20 treated" in test.describe()


def test_tosses_weigh_assignments_by_their_probability():
    # Outcomes 0, 1, 3, the last one treated with p = 1/2, 1/2, 1/4. Coefficients by assignment (1 = treated):
    # 001: 3 - 1/2 = 2.5; 010: 1 - 3/2 = -.5; 100: 0 - 2 = -2; 011: 2 - 0 = 2; 101: 1.5 - 1 = .5; 110: .5 - 3 = -2.5.
    # Probabilities are .25 · (3/4 for 010, 100, 110 and 1/4 for 001, 011, 101); 000 and 111 have no coefficient.
    # |2.5| is reached by 001 and 110: (1/4 + 3/4) / (3 · 3/4 + 3 · 1/4) = 1/3.
    test = randomisation_test([0, 1, 3], [0, 0, 1], probability=np.array([0.5, 0.5, 0.25]), studentised=False)
    assert test.estimate == pytest.approx(2.5)
    assert test.p_value == pytest.approx(1 / 3)
    assert test.assignments == 8
    # |2| is reached by 100 too: p of the hypothesis that shifts the statistic there differs from equal weights.
    plain = randomisation_test([0, 1, 3], [0, 0, 1], probability=0.5, studentised=False, hypothesis=0.4)
    unequal = randomisation_test(
        [0, 1, 3], [0, 0, 1], probability=np.array([0.5, 0.5, 0.1]), studentised=False, hypothesis=0.4
    )
    assert plain.p_value != unequal.p_value


# against refits -------------------------------------------------------------------------------------------------------


def refit(outcome, assignment, strata, covariates, clusters):
    """Coefficient and robust standard error of a complete regression with dummies of strata."""
    dummies = (strata[:, None] == np.unique(strata)).astype(float)
    x = np.column_stack([assignment, dummies, covariates])
    bread = np.linalg.pinv(x.T @ x)
    residual = outcome - x @ bread @ x.T @ outcome
    score = (x @ bread[0]) * residual
    return bread[0] @ x.T @ outcome, np.sqrt((np.bincount(clusters, weights=score) ** 2).sum())


@pytest.mark.parametrize("studentised", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_statistics_equal_refits(studentised, clustered):
    rng = np.random.default_rng(20250101)
    n_clusters = 14
    clusters = np.r_[np.arange(n_clusters), rng.integers(0, n_clusters, 26)] if clustered else np.arange(n_clusters)
    strata = (clusters >= 6).astype(int)
    treated = np.isin(clusters, [1, 4, 7, 9, 10, 12])
    x = rng.normal(size=(len(clusters), 2))
    y = 0.5 * treated + x @ [1, -1] + strata + rng.normal(size=len(clusters))
    hypothesis = 0.3
    found = setting(y, treated, strata, clusters, None, x)
    drawn = _affine_draws(found, 60, 3, studentised=studentised)
    table = np.vstack(list(found.chance.drawn(60, 3, 1)))
    estimate, error = refit(y, treated, strata, x, clusters)
    delta = estimate - hypothesis
    assert found.estimate == pytest.approx(estimate, rel=1e-12)
    expected = []
    for row in table:
        assignment = row[clusters]
        b, se = refit(y - hypothesis * treated + hypothesis * assignment, assignment, strata, x, clusters)
        expected.append((b - hypothesis) / (se if studentised else 1.0))
    scale = 1.0 if studentised else drawn.sigma
    np.testing.assert_allclose(drawn.statistics(delta) * scale, expected, rtol=1e-9)
    if studentised:
        assert drawn.sigma == pytest.approx(error, rel=1e-12)
    test = randomisation_test(
        y,
        treated,
        strata=strata,
        clusters=clusters,
        covariates=x,
        hypothesis=hypothesis,
        studentised=studentised,
        draws=60,
        seed=3,
    )
    sample = abs(delta) / (error if studentised else 1.0)
    assert test.p_value == pytest.approx((1 + (np.abs(expected) >= sample * (1 - 1e-9)).sum()) / 61)


def test_all_assignments_are_the_draws_that_chance_can_make():
    strata = np.array([0, 0, 0, 1, 1, 1, 1])
    treated = np.array([1, 0, 0, 0, 1, 1, 0], dtype=bool)
    chance = mechanism(treated, np.arange(7), strata, None, clustered=False)
    table, probability = chance.all()
    assert probability is None
    assert chance.n_possible == len(table) == comb(3, 1) * comb(4, 2)
    assert len(np.unique(table, axis=0)) == len(table)
    np.testing.assert_array_equal(np.unique(table[:, :3].sum(axis=1)), 1)
    np.testing.assert_array_equal(np.unique(table[:, 3:].sum(axis=1)), 2)
    drawn = np.vstack(list(chance.drawn(3000, 1, 7)))
    found, number = np.unique(drawn, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, np.unique(table, axis=0))
    # 18 assignments of 166.7 draws each on average, standard deviation 12.5: all within four of them.
    assert (np.abs(number - 3000 / 18) < 50).all()


def test_tosses_have_the_probabilities_that_are_known():
    given = np.array([0.5, 0.2, 1.0, 0.0])
    chance = mechanism(np.array([True, False, True, False]), np.arange(4), None, given, clustered=False)
    table, probability = chance.all()
    assert len(table) == chance.n_possible == 4  # two of the four are certain
    np.testing.assert_allclose(probability.sum(), 1.0)
    np.testing.assert_allclose(probability @ table, given)
    drawn = np.vstack(list(chance.drawn(4000, 1, 4))).mean(axis=0)
    np.testing.assert_allclose(drawn, given, atol=0.035)  # standard error of a share at most .008


def test_blocks_do_not_change_the_draws():
    treated = np.arange(30) < 11
    chance = mechanism(treated, np.arange(30), np.arange(30) % 3, None, clustered=False)
    small = np.vstack(list(chance.drawn(50, 9, 1 << 22)))
    np.testing.assert_array_equal(small, np.vstack(list(chance.drawn(50, 9, 1))))


def test_random_draws_approach_the_exact_p_value():
    rng = np.random.default_rng(4)
    treated = np.arange(14) < 6
    y = rng.normal(size=14) + 0.8 * treated
    exact = randomisation_test(y, treated)
    drawn = randomisation_test(y, treated, draws=2500)
    assert exact.enumerated
    assert exact.draws == comb(14, 6) == 3003
    assert not drawn.enumerated
    # Standard deviation of a share near p over 2,500 draws is at most .01.
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.04)


# intervals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("studentised", [False, True])
@pytest.mark.parametrize("tails", ["symmetric", "equal"])
def test_the_interval_holds_the_hypotheses_that_are_not_rejected(studentised, tails):
    rng = np.random.default_rng(8)
    treated = np.arange(12) < 6
    y = rng.normal(size=12) + 2.0 * treated
    options = {"studentised": studentised, "tails": tails}
    test = randomisation_test(y, treated, level=0.9, **options)
    width = test.ci_high - test.ci_low
    assert 0 < width < np.inf

    def p(value):
        return randomisation_test(y, treated, hypothesis=value, **options).p_value

    for inside, outside in ((test.ci_low, test.ci_low - 1e-6 * width), (test.ci_high, test.ci_high + 1e-6 * width)):
        assert p(inside + np.sign(test.estimate - inside) * 1e-9 * width) > 0.1
        assert p(outside) <= 0.1 + 1e-12


def test_studentising_keeps_exactness_if_an_assignment_fits_perfectly():
    # Outcomes equal within arms: the sample's t is infinite, and so is that of the mirror image alone. p = 2/20.
    test = randomisation_test([0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1])
    assert test.p_value == pytest.approx(0.1)
    assert test.estimate == 1.0


def test_the_scale_and_level_of_the_outcome_do_not_matter():
    rng = np.random.default_rng(8)
    treated = np.arange(13) < 6
    y, x = rng.normal(size=13) + treated, rng.normal(size=(13, 1))
    one = randomisation_test(y, treated, covariates=x)
    other = randomisation_test(3.0 - 1e-6 * y, treated, covariates=x)
    assert other.p_value == one.p_value
    np.testing.assert_allclose(
        [other.estimate, other.ci_low, other.ci_high],
        [-1e-6 * one.estimate, -1e-6 * one.ci_high, -1e-6 * one.ci_low],
        rtol=1e-6,  # ends are found to 1e-12 of a standard error, from outcomes rounded at 3.0: 1e-10 of their spread
    )


def test_every_assignment_rejects_at_most_its_level():
    # Under the hypothesis each of the 70 assignments is as likely: at most 5 % of them may have p ≤ .05 (exactness).
    rng = np.random.default_rng(2)
    y = rng.normal(size=8) ** 3
    for studentised in (False, True):
        p = [
            randomisation_test(y, np.isin(np.arange(8), chosen), studentised=studentised).p_value
            for chosen in itertools.combinations(range(8), 4)
        ]
        for level in (0.05, 0.1, 0.3):
            assert np.mean(np.array(p) <= level + 1e-12) <= level + 1e-12


# refusals -------------------------------------------------------------------------------------------------------------


def test_a_cluster_of_two_kinds_is_refused():
    with pytest.raises(DataError, match="E-IMP-065") as refusal:
        randomisation_test([1, 2, 3, 4], [0, 1, 1, 1], clusters=["a", "a", "b", "b"])
    assert "treatment" in refusal.value.where


@pytest.mark.parametrize("probability", [1.5, 0.0, np.array([0.5, 1.0, 0.5, 0.5])])
def test_probabilities_that_do_not_fit_are_refused(probability):
    with pytest.raises(DataError, match="E-IMP-066"):
        randomisation_test([1, 2, 3, 4], [0, 0, 1, 1], probability=probability)


@pytest.mark.parametrize("strata", [None, [0, 0, 1, 1]])
def test_an_assignment_without_alternative_is_refused(strata):
    treated = [1, 1, 1, 1] if strata is None else [0, 0, 1, 1]
    with pytest.raises(DataError, match="E-IMP-067"):
        randomisation_test([1, 2, 3, 4], treated, strata=strata)


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        ({"outcome": [1, 2, np.nan, 4]}, "outcome"),
        ({"treated": [0, 2, 1, 1]}, "treatment"),
        ({"strata": ["a", None, "a", "a"]}, "strata"),
        ({"covariates": [[1.0], [np.inf], [0.0], [1.0]]}, "covariates"),
    ],
)
def test_missing_values_are_refused(broken, name):
    values = {"outcome": [1, 2, 3, 4], "treated": [0, 0, 1, 1], **broken}
    with pytest.raises(DataError, match="E-IMP-068") as refusal:
        randomisation_test(**values)
    assert refusal.value.where == name


def test_treatment_that_covariates_say_has_a_reason_instead_of_a_number():
    treated = np.arange(8) < 4
    test = randomisation_test(np.arange(8.0) ** 2, treated, covariates=treated.astype(float))
    assert np.isnan(test.p_value)
    assert test.reason == "treatment does not vary once strata and covariates are known"
    flat = randomisation_test(np.ones(8), treated)
    assert (flat.estimate, flat.reason) == (0.0, "the outcome does not vary once strata and covariates are known")
