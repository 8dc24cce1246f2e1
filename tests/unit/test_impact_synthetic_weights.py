"""Weights on the simplex, by hand and against brute force."""

import itertools

import numpy as np
import pytest

from evaluation.errors import InternalError
from evaluation.impact.synthetic import weights as module
from evaluation.impact.synthetic.estimate import Outcomes, fit
from evaluation.impact.synthetic.frank_wolfe import path_weights
from evaluation.impact.synthetic.weights import nearest_point, simplex_weights


def test_a_target_between_two_donors_by_hand():
    # Donors (0, 0), (4, 0) and (0, 8); the target (1, 0) is a quarter of the way from the first to the second.
    columns = np.array([[0.0, 4.0, 0.0], [0.0, 0.0, 8.0]])
    np.testing.assert_allclose(simplex_weights(columns, np.array([1.0, 0.0])), [0.75, 0.25, 0.0], atol=1e-14)


def test_a_target_outside_the_hull_by_hand():
    # Beyond the edge from (4, 0) to (0, 4) at (3, 3): the nearest point of the hull is (2, 2), half of each.
    columns = np.array([[0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    np.testing.assert_allclose(simplex_weights(columns, np.array([3.0, 3.0])), [0.0, 0.5, 0.5], atol=1e-14)


def test_a_corner_by_hand():
    columns = np.array([[0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    np.testing.assert_array_equal(simplex_weights(columns, np.array([-1.0, -1.0])), [1.0, 0.0, 0.0])


def test_a_large_ridge_makes_all_alike_and_an_intercept_takes_levels_out():
    columns = np.array([[0.0, 4.0], [2.0, 6.0], [4.0, 8.0]])
    target = np.array([10.0, 12.0, 14.0])  # the first plus ten, the second plus six
    np.testing.assert_allclose(simplex_weights(columns, target, ridge=1e12), [0.5, 0.5], atol=1e-9)  # 1/ridge
    np.testing.assert_allclose(simplex_weights(columns, target, ridge=1.0, intercept=True), [0.5, 0.5], atol=1e-14)
    np.testing.assert_array_equal(simplex_weights(columns, target), [0.0, 1.0])


def best_on_any_support(gram):
    """Every support solved by Lagrange; the least feasible one is the solution."""
    k, best = len(gram), (np.inf, None)
    for size in range(1, k + 1):
        for support in map(list, itertools.combinations(range(k), size)):
            system = np.block([[gram[np.ix_(support, support)], np.ones((size, 1))], [np.ones((1, size)), 0.0]])
            solved = np.linalg.solve(system, np.append(np.zeros(size), 1.0))[:size]
            if (solved >= 0).all():
                w = np.zeros(k)
                w[support] = solved
                best = min(best, (w @ gram @ w, w), key=lambda pair: pair[0])
    return best[1]


@pytest.mark.parametrize("seed", range(20))
def test_brute_force_over_all_supports(seed):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((9, 7)) + rng.standard_normal(7)
    gram = points.T @ points / 9
    # Both solve the same linear system on the same support; its condition is below 1e4.
    np.testing.assert_allclose(nearest_point(gram), best_on_any_support(gram), atol=1e-11)


@pytest.mark.parametrize("seed", range(10))
def test_more_donors_than_periods_still_meets_the_conditions_of_optimality(seed):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((5, 60)) + 1.5
    gram = points.T @ points / 5
    w = nearest_point(gram)
    slope = gram @ w
    assert w.min() >= 0
    assert w.sum() == pytest.approx(1, abs=1e-12)
    assert slope.min() >= w @ slope - 1e-10 * gram.diagonal().max()  # the tolerance of the method is 1e-11


def test_donors_equal_to_the_target_and_to_one_another():
    columns = np.ones((4, 3))
    np.testing.assert_allclose(simplex_weights(columns, np.ones(4)), np.full(3, 1 / 3))
    w = simplex_weights(columns, np.array([1.0, 2.0, 1.0, 2.0]))  # any weights are best: they sum to one
    assert w.sum() == pytest.approx(1)
    assert w.min() >= 0


def test_the_path_comes_near_the_solution():
    rng = np.random.default_rng(1)
    columns, target = rng.standard_normal((20, 6)), rng.standard_normal(20)
    exact = simplex_weights(columns, target, ridge=0.1)
    path = path_weights(columns, target, ridge=0.1, intercept=False, noise=1.0)
    np.testing.assert_allclose(path, exact, atol=1e-3)  # it stops when the objective falls by less than 1e-10


def test_a_search_that_does_not_end_is_a_fault_of_ours(monkeypatch):
    monkeypatch.setattr(module, "STEPS_PER_WEIGHT", 0)
    with pytest.raises(InternalError) as caught:
        nearest_point(np.diag([1.0, 2.0]))
    assert caught.value.code == "E-IMP-320"


# estimates by hand ----------------------------------------------------------------------------------------------------


def test_estimates_by_hand():
    # Two periods before, one after. The treated follows the middle of the donors before (2, 4) and then is at 9;
    # the middle of the donors goes to 6: synthetic control finds 9 - 6 = 3. DiD: treated 9 - 3 = 6, donors 6 - 3 = 3.
    outcomes = Outcomes(
        donors=np.array([[0.0, 2.0, 4.0], [4.0, 6.0, 8.0]]), treated=np.array([[2.0, 4.0, 9.0]]), n_before=2
    )
    found = fit(outcomes, "synthetic_control")
    np.testing.assert_allclose(found.unit_weights, [0.5, 0.5], atol=1e-9)  # the ridge of 1e-12 moves nothing
    assert found.estimate == pytest.approx(3)
    assert fit(outcomes, "did").estimate == pytest.approx(3)
    np.testing.assert_allclose(found.gaps, [0, 0, 3], atol=1e-9)  # as above
    assert found.rmspe(2) == pytest.approx((0, 3), abs=1e-9)


def test_time_weights_by_hand():
    # Donors after are as in their second period plus one: all weight on it. The treated: 9 - 5 = 4, donors 1: 3.
    outcomes = Outcomes(
        donors=np.array([[0.0, 2.0, 3.0], [7.0, 3.0, 4.0], [1.0, 8.0, 9.0]]),
        treated=np.array([[4.0, 5.0, 9.0]]),
        n_before=2,
    )
    found = fit(outcomes, "sdid")
    np.testing.assert_allclose(found.time_weights, [0, 1], atol=1e-9)  # the ridge of 1e-12 moves nothing
    assert found.estimate == pytest.approx(3)


def test_the_ridge_of_sdid_by_hand():
    # Changes of the donors before: 1, 1, -1, 3, 0, 4: mean 4/3, sum of squares 28 - 6 (4/3)² = 52/3, over 5: 52/15.
    # One treated unit and three periods after: ζ² = √3 times that.
    donors = np.array([[0.0, 1, 2, 5, 5, 5], [4.0, 3, 6, 7, 7, 7], [1.0, 1, 5, 2, 2, 2]])
    treated = np.array([[1.0, 2, 4, 9, 9, 9]])
    found = fit(Outcomes(donors=donors, treated=treated, n_before=3), "sdid")
    ridge = np.sqrt(3) * 52 / 15
    expected = simplex_weights(donors[:, :3].T, treated[0, :3], ridge=ridge, intercept=True)
    np.testing.assert_allclose(found.unit_weights, expected, atol=1e-12)  # the same program
    assert 0 < expected.min() < 0.32
