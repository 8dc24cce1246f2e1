"""Least squares: certified digits, what is refused, and how influences follow."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.datasets import longley
from statsmodels.regression.linear_model import WLS

from evaluation.errors import DataError, InternalError
from evaluation.impact.regression import factorize, weighted_least_squares


def correct_digits(found, certified):
    """Smallest log relative error, as in the NIST Statistical Reference Datasets."""
    return -np.log10(np.max(np.abs(np.asarray(found) / certified - 1)))


def sample(rng=None, n=30, p=3):
    rng = np.random.default_rng(20250101) if rng is None else rng
    x = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    return x @ np.arange(1, p + 1) + rng.normal(size=n), x, rng.uniform(0.3, 3, n)


def test_longley_has_nine_digits():
    data = longley.load_pandas()
    x = np.column_stack([np.ones(16), data.exog.to_numpy(dtype=float)])
    fit = weighted_least_squares(data.endog.to_numpy(dtype=float), x, ["constant", *data.exog.columns])
    # NIST StRD Longley, certified values (itl.nist.gov/div898/strd/lls/data/Longley.shtml).
    certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.358191792925910e-01,
        -2.02022980381683,
        -1.03322686717359,
        -0.511041056535807e-01,
        1829.15146461355,
    ]
    assert correct_digits(fit.coefficients, np.array(certified)) >= 9
    errors = np.sqrt(np.diag(fit.bread) * (fit.residuals @ fit.residuals) / fit.residual_df)
    certified_errors = [
        890420.383607373,
        84.9149257747669,
        0.334910077722432e-01,
        0.488399681651699,
        0.214274163161675,
        0.226073200069370,
        455.478499142212,
    ]
    assert correct_digits(errors, np.array(certified_errors)) >= 9


def test_wampler_1_has_eight_digits():
    x = np.vander(np.arange(21.0), 6, increasing=True)
    fit = weighted_least_squares(x.sum(axis=1), x, [f"x^{k}" for k in range(6)])
    assert correct_digits(fit.coefficients, np.ones(6)) >= 8
    np.testing.assert_array_equal(fit.residuals, 0.0)  # an exact fit is exact


def test_weighted_fit_equals_an_independent_one():
    y, x, w = sample()
    fit, theirs = weighted_least_squares(y, x, list("abc"), w), WLS(y, x, w).fit()
    np.testing.assert_allclose(fit.coefficients, theirs.params, rtol=1e-11)
    np.testing.assert_allclose(fit.residuals, np.sqrt(w) * theirs.resid, rtol=1e-9)
    np.testing.assert_allclose(fit.bread, theirs.normalized_cov_params, rtol=1e-9)
    root = np.sqrt(w)[:, None] * x
    np.testing.assert_allclose(fit.leverages, np.diag(root @ np.linalg.pinv(root)), rtol=1e-9)


def test_leverages_sum_to_the_number_of_columns():
    y, x, w = sample()
    np.testing.assert_allclose(weighted_least_squares(y, x, list("abc"), w).leverages.sum(), 3.0)


def test_a_row_of_weight_zero_is_as_if_absent():
    y, x, w = sample()
    w[4] = 0.0
    fit, without = (
        weighted_least_squares(y, x, list("abc"), w),
        weighted_least_squares(*(np.delete(a, 4, axis=0) for a in (y, x)), list("abc"), np.delete(w, 4)),
    )
    np.testing.assert_allclose(fit.coefficients, without.coefficients, rtol=1e-12)
    assert fit.n_rows == without.n_rows == 29


def test_an_integer_weight_is_a_number_of_copies():
    y, x, _ = sample()
    w = np.arange(30) % 3 + 1
    copies = np.repeat(np.arange(30), w)
    fit = weighted_least_squares(y, x, list("abc"), w)
    np.testing.assert_allclose(fit.coefficients, weighted_least_squares(y[copies], x[copies], list("abc")).coefficients)


def test_a_dependent_column_is_named_with_its_partners():
    y, x, _ = sample()
    design = np.column_stack([x, 2 * x[:, 1] - 3 * x[:, 2] + 1])
    with pytest.raises(DataError, match="E-IMP-013") as refusal:
        weighted_least_squares(y, design, ["constant", "age", "years of school", "potential experience"])
    for name in ("constant", "age", "years of school", "potential experience"):
        assert name in refusal.value.where


def test_a_duplicated_column_is_named_without_bystanders():
    y, x, _ = sample()
    with pytest.raises(DataError, match="E-IMP-013") as refusal:
        weighted_least_squares(y, np.column_stack([x, 1e6 * x[:, 1]]), ["constant", "euros", "age", "cents"])
    assert "euros" in refusal.value.where
    assert "cents" in refusal.value.where
    assert "age" not in refusal.value.where


def test_a_column_of_zeros_is_named():
    y, x, _ = sample()
    with pytest.raises(DataError, match="empty"):
        weighted_least_squares(y, np.column_stack([x, np.zeros(30)]), ["constant", "a", "b", "empty"])


def test_nearly_dependent_columns_are_fitted():
    # A year and its square: correlation 0.9999999, but each says something.
    year = np.arange(2000.0, 2020.0)
    y = 1 + 0.5 * (year - 2010) + 0.1 * (year - 2010) ** 2
    fit = weighted_least_squares(y, np.column_stack([np.ones(20), year, year**2]), ["constant", "year", "year²"])
    np.testing.assert_allclose(fit.coefficients[2], 0.1, rtol=1e-7)


@pytest.mark.parametrize("where", ["outcome", "design"])
def test_missing_values_are_refused_by_name(where):
    y, x, _ = sample()
    (y if where == "outcome" else x)[3] = np.nan
    with pytest.raises(DataError, match="E-IMP-010") as refusal:
        weighted_least_squares(y, x, ["constant", "age", "sex"])
    assert ("age" in refusal.value.where) == (where == "design")


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_impossible_weights_are_refused(weight):
    y, x, w = sample()
    w[0] = weight
    with pytest.raises(DataError, match="E-IMP-011"):
        weighted_least_squares(y, x, list("abc"), w)


def test_weights_that_are_all_zero_are_refused():
    y, x, _ = sample()
    with pytest.raises(DataError, match="E-IMP-011"):
        weighted_least_squares(y, x, list("abc"), np.zeros(30))


def test_more_columns_than_rows_are_refused():
    with pytest.raises(DataError, match="E-IMP-012"):
        weighted_least_squares(np.ones(2), np.ones((2, 3)), list("abc"))


def test_arrays_that_do_not_line_up_are_refused():
    with pytest.raises(InternalError, match="E-IMP-009"):
        weighted_least_squares(np.ones(3), np.ones((4, 1)), ["constant"])


def test_the_influence_on_a_mean_is_the_deviation_from_it():
    fit = weighted_least_squares(np.array([1.0, 2.0, 6.0]), np.ones((3, 1)), ["constant"])
    found = fit.to_effects([1.0], pd.DataFrame({"term": ["ate"]}))
    np.testing.assert_allclose(found.dense()[:, 0], [-2.0, -1.0, 3.0])


def test_influences_are_the_derivative_in_the_weights():
    y, x, w = sample(n=12)
    found = weighted_least_squares(y, x, list("abc"), w).to_effects(np.eye(3), pd.DataFrame({"term": list("abc")}))
    step = 1e-4
    for i in range(12):
        up, down = w.copy(), w.copy()
        up[i], down[i] = w[i] * (1 + step), w[i] * (1 - step)
        moved = [weighted_least_squares(y, x, list("abc"), v).coefficients for v in (up, down)]
        np.testing.assert_allclose(12 * (moved[0] - moved[1]) / (2 * step), found.dense()[i], atol=1e-6)


def test_rows_of_one_unit_are_summed():
    y, x, _ = sample(n=6)
    units = pd.Index(["a", "a", "b", "b", "c", "c"])
    fit = weighted_least_squares(y, x, list("abc"))
    by_row = fit.to_effects(np.eye(3), pd.DataFrame({"term": list("abc")}))
    by_unit = fit.to_effects(np.eye(3), pd.DataFrame({"term": list("abc")}), units)
    # Six rows speak of a mean over 6, three units of a mean over 3: sums times 3/6.
    np.testing.assert_allclose(by_unit.dense(), by_row.dense().reshape(3, 2, 3).sum(axis=1) / 2)


def test_a_factor_solves_several_outcomes_at_once():
    y, x, _ = sample()
    factor = factorize(x)
    both = factor.solve(np.column_stack([y, 2 * y]))
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0])
    np.testing.assert_allclose(x.T @ factor.residuals(y), 0, atol=1e-12)
    assert factor.dependencies(list("abc")) == ""
