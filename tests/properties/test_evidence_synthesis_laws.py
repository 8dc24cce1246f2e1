"""Laws of pooling, and coverage by simulation with known truth.

`run.py test -m slow` runs the coverage with 1,500 syntheses for each method.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact.inference.heterogeneity import between_variance, heterogeneity
from evaluation.impact.inference.studies import fit_studies, study_table

LAW = settings(max_examples=25, deadline=None, derandomize=True)
METHODS = ("REML", "DL", "PM")


@st.composite
def studies(draw):
    """Between 3 and 15 effects that may differ, with unequal variances."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    k = draw(st.integers(3, 15))
    v = rng.uniform(0.01, 0.2, k)
    return rng.normal(0.2, np.sqrt(v + draw(st.sampled_from([0.0, 0.05, 0.5])))), v


@LAW
@given(studies(), st.sampled_from(METHODS), st.floats(-10, 10), st.floats(0.1, 100))
def test_units_of_measurement_change_nothing(case, method, shift, scale):
    y, v = case
    one, two = fit_studies(y, v, method=method), fit_studies(shift + scale * y, scale**2 * v, method=method)
    assert two.between == pytest.approx(scale**2 * one.between, rel=1e-6, abs=1e-9 * scale**2)
    first, second = study_table(one).iloc[0], study_table(two).iloc[0]
    assert second["estimate"] == pytest.approx(shift + scale * first["estimate"], rel=1e-6, abs=1e-7 * scale)
    assert second["std_error"] == pytest.approx(scale * first["std_error"], rel=1e-5)


@LAW
@given(studies(), st.sampled_from(METHODS), st.integers(0, 10**6))
def test_the_order_of_studies_changes_nothing(case, method, seed):
    y, v = case
    order = np.random.default_rng(seed).permutation(len(y))
    one, two = fit_studies(y, v, method=method), fit_studies(y[order], v[order], method=method)
    assert two.between == pytest.approx(one.between, rel=1e-7, abs=1e-12)
    np.testing.assert_allclose(two.row_weights[0], one.row_weights[0][order], rtol=1e-6)


@LAW
@given(studies())
def test_weights_are_shares_and_the_mean_lies_among_the_effects(case):
    y, v = case
    fitted = fit_studies(y, v)
    assert fitted.row_weights[0].sum() == pytest.approx(1.0)
    assert (fitted.row_weights > 0).all()
    assert y.min() <= fitted.fit.coefficients[0] <= y.max()
    # more heterogeneity, more equal weights, larger error
    more = fit_studies(y, v, between=fitted.between + 1.0)
    assert np.ptp(more.row_weights) <= np.ptp(fitted.row_weights) + 1e-12
    errors = [study_table(each, kind="known").iloc[0]["std_error"] for each in (fitted, more)]
    assert errors[0] < errors[1]


@LAW
@given(studies())
def test_the_interval_of_the_variance_holds_the_moment_estimate(case):
    """Q-profile inverts Q(τ²); Paule and Mandel solve Q(τ²) = df, which lies between its quantiles."""
    y, v = case
    found = heterogeneity(y, v, np.ones((len(y), 1)))
    middle = between_variance(y, v, np.ones((len(y), 1)), "PM")
    assert found.variance_low - 1e-9 <= middle <= found.variance_high + 1e-9
    assert 0 <= found.i_squared < 1


@LAW
@given(studies(), st.floats(0.0, 0.9))
def test_correlation_of_estimates_widens_a_mean(case, correlation):
    """With equal variances the mean of correlated effects has the variance v (1 + (k − 1) ρ) / k."""
    y, _ = case
    k = len(y)
    matrix = 0.04 * (correlation + (1 - correlation) * np.eye(k))
    row = study_table(fit_studies(y, matrix, method="common"), kind="known").iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt(0.04 * (1 + (k - 1) * correlation) / k), rel=1e-8)


def coverage(repetitions, seed, method, kinds=("known", "hartung_knapp", "cr2"), k=6, between=0.04):
    """Share of 95 % intervals that hold the mean .2 of true effects, for each convention."""
    rng = np.random.default_rng(seed)
    held = dict.fromkeys(kinds, 0)
    for _ in range(repetitions):
        v = rng.uniform(0.01, 0.09, k)
        fitted = fit_studies(rng.normal(0.2, np.sqrt(v + between)), v, method=method)
        for kind in kinds:
            row = study_table(fitted, kind=kind).iloc[0]
            held[kind] += row["ci_low"] <= 0.2 <= row["ci_high"]
    return {kind: count / repetitions for kind, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_coverage_with_many_repetitions(method):
    """R = 1,500: three errors are 1.7 %. Hartung-Knapp and CR2 hold 95 %, the normal interval does not."""
    found = coverage(1500, 3, method)
    assert found["hartung_knapp"] == pytest.approx(0.95, abs=0.018)
    assert found["cr2"] == pytest.approx(0.95, abs=0.02)
    assert found["known"] < 0.93


@LAW
@given(studies())
def test_a_mean_is_a_regression_on_a_constant(case):
    """Two ways to the same numbers: closed form for the mean, a decomposition for a constant of another size."""
    y, v = case
    one, two = (heterogeneity(y, v, np.full((len(y), 1), size)) for size in (1.0, 3.0))
    for name in ("q", "variance", "variance_low", "variance_high", "i_squared"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-7, abs=1e-10)
