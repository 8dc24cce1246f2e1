"""Balancing: exact, up to a tolerance, to a population; against a general solver."""

from typing import Any

import numpy as np
import pytest
from scipy import optimize
from scipy.special import logsumexp

from evaluation.errors import DataError, ParametersError
from evaluation.impact import weighting
from evaluation.impact.balancing import _Point, balance, calibrate
from evaluation.impact.covariates import Covariates
from evaluation.impact.products import AT_A_TIME, products
from evaluation.impact.target_population import population_weights


def _people(n: int = 200, seed: int = 20250320) -> tuple[Covariates, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.exponential(size=n), rng.integers(0, 2, n), rng.normal(size=n)])
    treated = rng.random(n) < 1 / (1 + np.exp(0.8 - 0.9 * x[:, 0] - 0.5 * x[:, 2]))
    covariates = Covariates(matrix=x, labels=("a", "b", "c", "e"), columns=("1", "2", "3", "4"))
    return covariates, treated, rng.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("tolerance", [0.02, 0.1, 0.3])
def test_with_a_tolerance_weights_are_the_closest_to_equal_that_keep_it(tolerance: float) -> None:
    # The primal problem, least relative entropy under linear inequalities, by a general solver (SLSQP).
    covariates, treated, base = _people(60)
    x, group = covariates.matrix, ~treated
    target = treated.astype(float)
    center, spread = x[treated].mean(axis=0), x[treated].std(axis=0)
    z, q = ((x - center) / spread)[group], base[group] / base[group].sum()
    found = optimize.minimize(
        lambda w: float(w @ np.log(w / q)), q, jac=lambda w: np.log(w / q) + 1, bounds=[(1e-12, 1)] * len(q),
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
            {"type": "ineq", "fun": lambda w: tolerance - w @ z, "jac": lambda w: -z.T},
            {"type": "ineq", "fun": lambda w: tolerance + w @ z, "jac": lambda w: z.T},
        ],
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    ours = balance(covariates, group, base, target, tolerance=tolerance).weights[group] / treated.sum()
    np.testing.assert_allclose(ours, found.x, atol=2e-6)  # SLSQP's own accuracy
    assert np.abs(ours @ z).max() <= tolerance + 1e-9


def test_a_tolerance_says_which_means_it_holds() -> None:
    covariates, treated, base = _people()
    found = balance(covariates, ~treated, base, treated.astype(float), tolerance=0.15)
    center, spread = covariates.matrix[treated].mean(axis=0), covariates.matrix[treated].std(axis=0)
    gap = np.average((covariates.matrix - center) / spread, axis=0, weights=found.weights)
    held = [label for label, value in zip(covariates.labels, gap, strict=True) if abs(abs(value) - 0.15) < 1e-9]
    assert held == list(found.active)
    assert 0 < len(held) < 4
    assert np.abs(gap).max() <= 0.15 + 1e-9


def test_a_wide_tolerance_leaves_the_base_weights() -> None:
    covariates, treated, base = _people()
    found = balance(covariates, ~treated, base, treated.astype(float), tolerance=5.0)
    np.testing.assert_allclose(
        found.weights[~treated], base[~treated] / base[~treated].sum() * treated.sum(), rtol=1e-12
    )
    assert found.active == ()


def test_a_narrow_tolerance_is_exact_balance() -> None:
    covariates, treated, base = _people()
    narrow = balance(covariates, ~treated, base, treated.astype(float), tolerance=1e-9).weights
    np.testing.assert_allclose(narrow, balance(covariates, ~treated, base, treated.astype(float)).weights, rtol=1e-6)


def test_a_tolerance_makes_weights_calmer(arms: Any) -> None:
    covariates, treated, _ = _people()
    columns = dict(zip(covariates.labels, covariates.matrix.T, strict=True))
    exact = weighting.estimate(
        *arms("weighting", covariates.matrix[:, 0], treated, columns, weights="entropy_balancing")
    )
    loose = weighting.estimate(
        *arms("weighting", covariates.matrix[:, 0], treated, columns, weights="entropy_balancing", tolerance=0.1)
    )
    sizes = [(each.balance_weights[~treated] ** 2).sum() for each in (exact, loose)]
    assert sizes[1] < sizes[0]
    assert any(
        "Means may differ by 0.1 standard deviations; those that would differ by more are: a" in n for n in loose.notes
    )


def test_a_tolerance_reaches_means_that_exact_balance_does_not() -> None:
    rare = np.where(np.arange(40) < 1, 1.0, 0.0)
    covariates = Covariates(matrix=rare[:, None], labels=("rare",), columns=("1",))
    treated, base = np.arange(40) < 20, np.ones(40)
    with pytest.raises(DataError) as caught:
        balance(covariates, ~treated, base, treated.astype(float))
    assert caught.value.code == "E-IMP-055"
    # the treated have a mean of 1/20 and a standard deviation of 0.218: the others are 0.23 of these away
    assert balance(covariates, ~treated, base, treated.astype(float), tolerance=0.25).left_out == ("rare",)


def test_large_numbers_with_little_spread_are_balanced_too() -> None:
    rng = np.random.default_rng(20250321)
    year = 2.0e6 + rng.normal(size=300)
    covariates = Covariates(matrix=year[:, None], labels=("year",), columns=("1",))
    treated = rng.random(300) < 0.4
    weights = balance(covariates, ~treated, np.ones(300), treated.astype(float)).weights[~treated]
    assert np.average(year[~treated] - 2e6, weights=weights) == pytest.approx((year[treated] - 2e6).mean(), abs=1e-8)


# a population that is not the sample ----------------------------------------------------------------------------------


def test_calibration_by_hand() -> None:
    # Half of the sample is 1, three quarters of the population are: weights 3/2 and 1/2.
    covariates = Covariates(matrix=np.array([[0.0], [0.0], [1.0], [1.0]]), labels=("x",), columns=("1",))
    found = calibrate(covariates, np.ones(4), np.array([0.75]))
    np.testing.assert_allclose(found.weights, [0.5, 0.5, 1.5, 1.5], atol=1e-9)


def test_the_effect_in_a_population_by_hand(arms: Any) -> None:
    # Effects 5 - 2 = 3 at x = 0 and 9 - 4 = 5 at x = 1: 3 (1 - s) + 5 s where the share of x = 1 is s.
    x = np.repeat([0.0, 1.0], 4)
    treated = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    outcome = np.array([5.0, 1, 2, 3, 9, 9, 9, 4])
    for share in (0.25, 0.5, 0.9):
        options = {"weights": "entropy_balancing", "estimand": "ate", "target": {"x": share}}
        found = weighting.estimate(*arms("weighting", outcome, treated, {"x": x}, **options))
        assert found.blocks[0].effects.estimate[0] == pytest.approx(3 * (1 - share) + 5 * share, abs=1e-8)
    assert any("a population with the means x 0.9, taken as known" in note for note in found.notes)


def test_both_arms_have_the_means_of_the_population_and_agree_on_the_rest(arms: Any) -> None:
    covariates, treated, _ = _people()
    columns = dict(zip(covariates.labels, covariates.matrix.T, strict=True))
    options = {"weights": "entropy_balancing", "estimand": "ate", "target": {"a": 0.4, "c": 0.6}}
    weights = weighting.estimate(*arms("weighting", columns["b"], treated, columns, **options)).balance_weights
    means = {
        name: [np.average(x[arm], weights=weights[arm]) for arm in (treated, ~treated)] for name, x in columns.items()
    }
    assert means["a"] == pytest.approx([0.4, 0.4], abs=1e-8)
    assert means["c"] == pytest.approx([0.6, 0.6], abs=1e-8)
    assert means["b"][0] == pytest.approx(means["b"][1], abs=1e-8)


def test_a_population_of_something_unknown_is_refused() -> None:
    covariates, _, base = _people()
    with pytest.raises(ParametersError) as caught:
        population_weights(covariates, base, {"income": 3.0})
    assert caught.value.code == "E-IMP-231"
    assert "a, b, c, e" in str(caught.value)


def test_a_population_out_of_reach_is_refused() -> None:
    covariates, _, base = _people()
    with pytest.raises(DataError) as caught:
        population_weights(covariates, base, {"c": 1.5})
    assert caught.value.code == "E-IMP-055"


def test_products_are_those_of_the_dense_formula() -> None:
    rng = np.random.default_rng(20250322)
    z, w = rng.normal(size=(3, AT_A_TIME + 77)), rng.random(AT_A_TIME + 77)
    np.testing.assert_allclose(products(z, w), z @ np.diag(w) @ z.T, rtol=1e-12)


def test_many_rows_are_taken_some_at_a_time_whatever_their_order() -> None:
    # Rows sorted by what decides their weight: the largest exponent rises from block to block, by 400 in all, and the
    # sums of earlier blocks must be shrunk. Against the dense formulas, and without overflow.
    n = 3 * AT_A_TIME + 77
    z = np.vstack([np.linspace(-1, 1, n), np.cos(np.arange(n))])
    dual, log_base = np.array([200.0, 0.5]), np.log(np.linspace(0.5, 2, n))
    exponent = dual @ z + log_base
    weights = np.exp(exponent - logsumexp(exponent))
    point = _Point.at(z, log_base, dual)
    assert point.value == pytest.approx(logsumexp(exponent), rel=1e-14)
    np.testing.assert_allclose(point.gradient, z @ weights, rtol=1e-12)
    np.testing.assert_allclose(point.squares, (z * weights) @ z.T, rtol=1e-12)
    np.testing.assert_allclose(point.weights, weights, rtol=1e-10)


def test_balance_of_many_sorted_rows_is_exact() -> None:
    n = 2 * AT_A_TIME + 500
    x = np.sort(np.random.default_rng(20250323).normal(size=n))
    covariates = Covariates(matrix=x[:, None], labels=("x",), columns=("1",))
    treated = np.arange(n) % 5 == 0
    target = np.where(treated, np.exp(x), 0.0)  # a target far up the scale
    weights = balance(covariates, ~treated, np.ones(n), target).weights
    assert np.average(x, weights=weights) == pytest.approx(np.average(x, weights=target), abs=1e-9)
