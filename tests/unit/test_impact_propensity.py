"""Propensity scores and covariate matrices: by hand, against statsmodels, exact influence, refusals."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, covariate_columns, independent_columns, model_matrix
from evaluation.impact.propensity import fit_propensity


def _covariates(matrix: np.ndarray, *labels: str) -> Covariates:
    labels = labels or tuple(f"x{k}" for k in range(matrix.shape[1]))
    return Covariates(matrix=matrix, labels=labels, columns=labels)


def _data(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20250201)
    x = rng.normal(size=(n, 2)) * [1.0, 1000.0] + [0.0, 5000.0]
    treated = rng.random(n) < 1 / (1 + np.exp(-x[:, 0] - (x[:, 1] - 5000) / 2000))
    return x, treated, rng.uniform(0.5, 2.0, n)


def test_a_binary_covariate_gives_the_shares_by_hand() -> None:
    # x = 0: 1 of 4 treated; x = 1: 3 of 4. Fitted shares are .25 and .75, the slope is 2 log 3.
    x = np.repeat([0.0, 1.0], 4)
    treated = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    for link in ("logit", "probit"):
        model = fit_propensity(_covariates(x[:, None], "x"), treated, link=link)
        np.testing.assert_allclose(model.probability, np.repeat([0.25, 0.75], 4), atol=1e-13)
    assert fit_propensity(_covariates(x[:, None]), treated).coefficients[1] == pytest.approx(2 * np.log(3), rel=1e-12)


@pytest.mark.parametrize(
    ("link", "family"), [("logit", sm.families.links.Logit()), ("probit", sm.families.links.Probit())]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_coefficients_are_those_of_statsmodels(link: str, family: object, weighted: bool) -> None:
    x, treated, weights = _data()
    weights = weights if weighted else np.ones(len(x))
    model = fit_propensity(_covariates(x), treated, weights, link=link)
    binomial = sm.families.Binomial(link=family)
    expected = sm.GLM(treated, sm.add_constant(x), family=binomial, freq_weights=weights).fit(tol=1e-14, maxiter=100)
    np.testing.assert_allclose(model.coefficients, expected.params, rtol=1e-7)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_influence_is_the_derivative_with_respect_to_each_weight(link: str) -> None:
    x, treated, weights = _data(60)
    covariates = _covariates(x)
    model = fit_propensity(covariates, treated, weights, link=link)
    total, h = weights.mean(), 1e-5
    for i in (0, 7, 31):
        up, down = weights.copy(), weights.copy()
        up[i] += h
        down[i] -= h
        slope = (
            fit_propensity(covariates, treated, up, link=link).coefficients
            - fit_propensity(covariates, treated, down, link=link).coefficients
        ) / (2 * h)
        np.testing.assert_allclose(model.influence[i], len(x) * slope * weights[i], rtol=1e-5, atol=1e-7 / total)
    np.testing.assert_allclose(model.influence.mean(axis=0), 0, atol=1e-10)


def test_scores_do_not_depend_on_the_units_of_covariates() -> None:
    x, treated, _ = _data()
    first = fit_propensity(_covariates(x), treated).probability
    second = fit_propensity(_covariates(x @ [[0.001, 1e4], [3.0, -2e4]] + 1e6), treated).probability
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_combinations_of_earlier_columns_are_left_out_and_named() -> None:
    x, treated, _ = _data()
    more = np.column_stack([x, np.ones(len(x)), x[:, 0] - 3 * x[:, 1]])
    model = fit_propensity(_covariates(more, "a", "b", "constant", "both"), treated)
    assert model.left_out == ("constant", "both")
    assert model.labels == ("intercept", "a", "b")
    np.testing.assert_allclose(model.probability, fit_propensity(_covariates(x), treated).probability, atol=1e-12)


def test_separation_is_refused_with_the_covariate_that_separates() -> None:
    x, treated, _ = _data()
    guilty = np.where(treated, 1.0, 0.0)
    guilty[np.flatnonzero(treated)[:5]] = 0.0  # everybody with 1 is treated: quasi-complete separation
    with pytest.raises(DataError) as caught:
        fit_propensity(_covariates(np.column_stack([x, guilty]), "age", "income", "enrolled"), treated)
    assert caught.value.code == "E-IMP-051"
    assert caught.value.where == "enrolled"


def test_complete_separation_is_refused_too() -> None:
    x = np.arange(20.0)[:, None]
    with pytest.raises(DataError) as caught:
        fit_propensity(_covariates(x, "income"), x[:, 0] >= 10)
    assert caught.value.code == "E-IMP-051"


def test_separation_that_makes_the_information_vanish_is_refused_too() -> None:
    # 30,000 rows: the information on the flag falls below rounding error before the iterations end.
    rng = np.random.default_rng(20250202)
    x, treated = rng.normal(size=30_000), np.arange(30_000) < 300
    with pytest.raises(DataError) as caught:
        fit_propensity(_covariates(np.column_stack([x, treated & (x > 0)]), "age", "enrolled"), treated)
    assert (caught.value.code, caught.value.where) == ("E-IMP-051", "enrolled")


@pytest.mark.parametrize("arm", [True, False])
def test_one_arm_alone_is_refused(arm: bool) -> None:
    with pytest.raises(DataError) as caught:
        fit_propensity(_covariates(np.arange(4.0)[:, None]), np.full(4, arm))
    assert caught.value.code == "E-IMP-050"


def test_categories_become_columns_without_the_first_level() -> None:
    frame = pd.DataFrame(
        {
            "covariate_2": pd.Categorical(["b", "a", None, "c"], categories=["c", "b", "a", "nobody"]),
            "covariate_10": [1.0, np.nan, 3.0, 4.0],
            "covariate_1": [True, False, True, True],
        }
    )
    assert covariate_columns(frame) == ("covariate_1", "covariate_2", "covariate_10")
    found = model_matrix(frame, {"covariate_2": "group", "covariate_10": "age"})
    assert found.labels == ("covariate_1", "group = b", "group = a", "age")
    assert found.columns == ("covariate_1", "covariate_2", "covariate_2", "covariate_10")
    np.testing.assert_array_equal(found.matrix[:, 1], [1, 0, np.nan, 0])
    everything = model_matrix(frame, {}, columns=("covariate_2",), all_levels=True)
    assert everything.labels == ("covariate_2 = c", "covariate_2 = b", "covariate_2 = a")


def test_two_levels_are_one_column_even_in_balance_tables() -> None:
    frame = pd.DataFrame({"covariate_1": ["yes", "no", "yes"]})
    assert model_matrix(frame, {}, all_levels=True).labels == ("covariate_1 = yes",)


def test_no_covariates_give_a_matrix_without_columns() -> None:
    assert model_matrix(pd.DataFrame({"unit": [1, 2]}), {}).matrix.shape == (2, 0)


def test_earlier_columns_stay_and_rows_without_weight_do_not_count() -> None:
    matrix = np.array([[1.0, 0.0, 2.0], [1.0, 1.0, 2.0], [1.0, 5.0, 9.0]])
    assert independent_columns(matrix).tolist() == [True, True, True]
    assert independent_columns(matrix, np.array([1.0, 1.0, 0.0])).tolist() == [True, True, False]
