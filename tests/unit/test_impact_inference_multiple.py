"""Adjustments of p-values: by hand, against statsmodels, against the grid search, missing values, refusals."""

import numpy as np
import pytest
from scipy import special
from statsmodels.stats.multitest import multipletests

from evaluation.errors import InternalError, ParametersError
from evaluation.impact.inference import adjust, benjamini_hochberg, holm, romano_wolf, sharpened_q

CASES = [
    [0.01, 0.04, 0.03, 0.005],
    [0.2, 0.2, 0.2],
    [0.0, 1.0, 0.5],
    [0.049],
    list(np.random.default_rng(1).uniform(size=40) ** 3),
]


def test_holm_by_hand():
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04 -> .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_by_hand():
    # .005 · 4, .01 · 2, .03 · 4/3, .04: .02, .02, .04, .04.
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.04, 0.03, 0.005]), [0.02, 0.04, 0.04, 0.02])


def test_sharpened_q_by_hand():
    # p = .001, .5 (m = 2), b = .001, .25. First stage: none below q′ = 2 · .001, one from there to 2 · .25, then both.
    # With one rejected the first test needs q′ ≥ (2 - 1) · .001, the second ≥ .25: so q′ = .002 and .25,
    # and q = q′ / (1 - q′) = .002004 and 1/3. The plain step-up gives .002 and .5.
    np.testing.assert_allclose(sharpened_q([0.001, 0.5]), [0.002 / 0.998, 1 / 3])
    # All three significant: q′ = 3 · .03/3 rejects everything in the first stage; q = .03/.97 for all.
    np.testing.assert_allclose(sharpened_q([0.03, 0.03, 0.03]), 0.03 / 0.97)


@pytest.mark.parametrize("p", CASES)
@pytest.mark.parametrize(("ours", "theirs"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_equals_statsmodels(p, ours, theirs):
    np.testing.assert_allclose(ours(p), multipletests(p, method=theirs)[1], rtol=1e-12)


def step_up(p, level):
    """Which tests Benjamini and Hochberg reject at this level, read off their definition."""
    order = np.sort(p)
    below = np.flatnonzero(order <= level * np.arange(1, len(p) + 1) / len(p) + 1e-15)
    return np.asarray(p) <= order[below[-1]] if len(below) else np.zeros(len(p), dtype=bool)


def on_a_grid(p, step=0.001):
    """Anderson's search: the least q of the grid at which the two stages reject."""
    out = np.ones(len(p))
    for q in np.arange(1, step / 2, -step):
        first = q / (1 + q)
        rejected = step_up(p, first).sum()
        if rejected == 0:
            continue
        second = first * len(p) / (len(p) - rejected) if rejected < len(p) else 1.0
        out[step_up(p, second)] = q
    return out


@pytest.mark.parametrize("p", [*CASES, list(np.random.default_rng(7).uniform(size=9) ** 2)])
def test_sharpened_q_is_what_the_search_on_a_grid_finds(p):
    exact, grid = sharpened_q(p), on_a_grid(p)
    assert (grid >= exact - 1e-9).all()
    assert (grid - exact <= 0.001 + 1e-9).all()


def test_romano_wolf_by_hand():
    # |t| = 3, 2, 1 (the second effect is the largest). Draws of |t|, in the order of the effects:
    #   2.5 3.5 0.5 | 0.5 1.0 2.2 | 2.1 0.5 0.2 | 0.1 0.2 1.5
    # Largest of all three: 3.5, 2.2, 2.1, 1.5; one reaches 3: (1 + 1) / 5 = .4.
    # Without the second effect: 2.5, 2.2, 2.1, 1.5; three reach 2: .8.  The third alone: .5, 2.2, .2, 1.5: 2 reach 1,
    # .6, which may not fall below .8.
    draws = np.array([[2.5, -3.5, 0.5], [0.5, 1.0, -2.2], [2.1, 0.5, 0.2], [0.1, 0.2, 1.5]])
    found = romano_wolf(np.array([-2.0, 3.0, 1.0]), np.ones(3), draws)
    np.testing.assert_allclose(found, [0.8, 0.4, 0.8])


def test_romano_wolf_of_one_test_is_its_own_p_value():
    draws = np.random.default_rng(1).normal(size=(999, 1))
    expected = (1 + (np.abs(draws) >= 1.7).sum()) / 1000
    assert romano_wolf(np.array([1.7]), np.ones(1), draws)[0] == pytest.approx(expected)


def test_romano_wolf_of_identical_tests_adjusts_nothing():
    one = np.random.default_rng(1).normal(size=(999, 1))
    alone = romano_wolf(np.array([2.0]), np.ones(1), one)
    np.testing.assert_allclose(romano_wolf(np.full(5, 2.0), np.ones(5), np.repeat(one, 5, axis=1)), alone[0])


def test_romano_wolf_is_between_no_adjustment_and_holm():
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(50_000, 4)) @ np.linalg.cholesky(0.5 * np.eye(4) + 0.5).T
    estimate = np.array([2.4, 2.0, 1.2, 0.3])
    plain = np.array([(np.abs(draws[:, j]) >= estimate[j]).mean() for j in range(4)])
    found = romano_wolf(estimate, np.ones(4), draws)
    assert (found >= plain - 1e-4).all()
    assert (found <= holm(plain) + 1e-3).all()


@pytest.mark.parametrize("method", ["holm", "benjamini_hochberg", "sharpened_q"])
def test_missing_values_stay_missing_and_are_not_counted(method):
    found = adjust([np.nan, 0.01, 0.2, np.nan], method)
    np.testing.assert_array_equal(np.isnan(found), [True, False, False, True])
    np.testing.assert_allclose(found[1:3], adjust([0.01, 0.2], method))
    assert np.isnan(adjust([np.nan], method)).all()
    assert len(adjust([], method)) == 0


def test_romano_wolf_leaves_out_what_has_no_standard_error():
    draws = np.random.default_rng(1).normal(size=(99, 3))
    found = romano_wolf(np.array([1.0, 0.0, 2.0]), np.array([1.0, 0.0, 1.0]), draws)
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[[0, 2]], romano_wolf(np.array([1.0, 2.0]), np.ones(2), draws[:, [0, 2]]))
    assert np.isnan(romano_wolf(np.zeros(1), np.full(1, np.nan), draws[:, :1])).all()


def test_an_unknown_adjustment_is_refused():
    with pytest.raises(ParametersError, match="E-IMP-063"):
        adjust([0.1], "bonferroni")


def test_a_p_value_that_is_no_probability_is_refused():
    with pytest.raises(InternalError, match="E-IMP-064"):
        holm([0.1, 1.2])


@pytest.mark.parametrize("method", ["holm", "romano_wolf"])
def test_familywise_error_over_forty_true_hypotheses(method):
    # 40 true hypotheses with correlation .5, 600 samples: any rejection at 5 % in at most 5 % + 2 · √(.05 · .95 / 600).
    rng = np.random.default_rng(20250101)
    draws = np.sqrt(0.5) * (rng.normal(size=(2000, 40)) + rng.normal(size=(2000, 1)))
    t = np.sqrt(0.5) * (rng.normal(size=(600, 40)) + rng.normal(size=(600, 1)))
    plain = 1 - np.searchsorted(np.sort(np.abs(draws).ravel()), np.abs(t)) / draws.size
    adjusted = [
        holm(p) if method == "holm" else romano_wolf(row, np.ones(40), draws) for row, p in zip(t, plain, strict=True)
    ]
    assert (np.min(adjusted, axis=1) <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)
    assert (np.min(plain, axis=1) <= 0.05).mean() > 0.25


def test_false_discoveries_among_forty_hypotheses():
    # 10 of 40 have a mean of 3: the share of false among the rejected is at most 5 % + 2 standard errors (2,000).
    rng = np.random.default_rng(20250101)
    shares = {benjamini_hochberg: [], sharpened_q: []}
    for _ in range(2000):
        t = rng.normal(size=40) + 3.0 * (np.arange(40) < 10)
        p = 2 * special.ndtr(-np.abs(t))
        for method, found in shares.items():
            rejected = method(p) <= 0.05
            found.append(rejected[10:].sum() / max(rejected.sum(), 1))
    for found in shares.values():
        assert np.mean(found) <= 0.05 + 2 * np.std(found) / np.sqrt(2000)
