"""Laws of standard errors and tests."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import covariance, summarize, wald
from evaluation.impact.regression import weighted_least_squares

LAW = settings(max_examples=12, deadline=None, derandomize=True)
REGRESSION_KINDS = ["conventional", "hc0", "hc1", "hc2", "hc3", "cr0", "cr1", "cr2", "cr3"]


def labels(k):
    return pd.DataFrame({"term": [f"effect {j}" for j in range(k)]})


def clusters_of(code, units):
    return pd.DataFrame({"village": code}, index=units)


@st.composite
def regressions(draw):
    """A regression of 20 to 50 rows with three columns and its cluster codes, 6 to 9 clusters."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = draw(st.integers(30, 60))
    x = np.column_stack([np.ones(n), rng.normal(size=n), rng.random(n) < 0.5])
    y = x @ [1.0, 2.0, 0.5] + rng.normal(size=n) * rng.uniform(0.5, 2, n)
    w = draw(st.sampled_from([None, rng.uniform(0.5, 2.0, n)]))
    return y, x, w, np.arange(n) % draw(st.integers(6, 9))


def fit(y, x, w, units=None):
    found = weighted_least_squares(y, x, ["constant", "a", "b"], w)
    return found.to_effects(np.eye(3), labels(3), units)


def matrix(case, kind, *, change=lambda y, x, w: (y, x, w)):
    y, x, w, code = case
    effects = fit(*change(y, x, w))
    clusters = clusters_of(code, effects.units) if kind.startswith("cr") else None
    return covariance(effects, clusters, kind=kind)


@LAW
@given(case=regressions(), kind=st.sampled_from(REGRESSION_KINDS), scale=st.sampled_from([-1.0, 1e-6, 1e6]))
def test_the_unit_of_the_outcome_scales_errors(case, kind, scale):
    moved = matrix(case, kind, change=lambda y, x, w: (scale * y, x, w))
    np.testing.assert_allclose(moved.matrix, scale**2 * matrix(case, kind).matrix, rtol=1e-7)
    np.testing.assert_allclose(moved.df, matrix(case, kind).df, rtol=1e-7)


@LAW
@given(case=regressions(), kind=st.sampled_from(REGRESSION_KINDS), scale=st.sampled_from([1e-3, 50.0]))
def test_the_scale_of_weights_changes_nothing(case, kind, scale):
    found = matrix(case, kind, change=lambda y, x, w: (y, x, np.full(len(y), scale) if w is None else scale * w))
    np.testing.assert_allclose(found.matrix, matrix(case, kind).matrix, rtol=1e-7)
    np.testing.assert_allclose(found.df, matrix(case, kind).df, rtol=1e-7)


@LAW
@given(case=regressions(), kind=st.sampled_from(REGRESSION_KINDS))
def test_adding_a_column_to_the_outcome_changes_no_error(case, kind):
    found = matrix(case, kind, change=lambda y, x, w: (y + 3 * x[:, 1] - 7, x, w))
    np.testing.assert_allclose(found.matrix, matrix(case, kind).matrix, rtol=1e-7)


@LAW
@given(case=regressions(), seed=st.integers(0, 10**6), kind=st.sampled_from(REGRESSION_KINDS))
def test_the_order_of_rows_and_of_the_cluster_table_changes_nothing(case, seed, kind):
    y, x, w, code = case
    order = np.random.default_rng(seed).permutation(len(y))
    units = pd.Index([f"unit {i}" for i in range(len(y))])
    table = clusters_of(code, units) if kind.startswith("cr") else None
    shuffled = fit(y[order], x[order], None if w is None else w[order], units[order])
    np.testing.assert_allclose(
        covariance(shuffled, table, kind=kind).matrix,
        covariance(fit(y, x, w, units), table, kind=kind).matrix,
        rtol=1e-7,
    )


@LAW
@given(case=regressions(), kind=st.sampled_from(["hc2", "cr1", "cr2"]))
def test_errors_of_a_contrast_are_those_of_the_combined_column(case, kind):
    # a + b as a contrast, or as the coefficient of a after replacing b by b - a.
    y, x, w, code = case
    clusters = clusters_of(code, pd.RangeIndex(len(y))) if kind == "cr2" or kind == "cr1" else None
    sum_of_two = fit(y, x, w).contrast([0, 1, 1], labels(1))
    turned = fit(y, np.column_stack([x[:, 0], x[:, 1], x[:, 2] - x[:, 1]]), w).select([False, True, False])
    np.testing.assert_allclose(sum_of_two.estimate, turned.estimate)
    ours, theirs = covariance(sum_of_two, clusters, kind=kind), covariance(turned, clusters, kind=kind)
    np.testing.assert_allclose(ours.matrix, theirs.matrix, rtol=1e-7)
    np.testing.assert_allclose(ours.df, theirs.df, rtol=1e-7)


@LAW
@given(case=regressions())
def test_small_sample_corrections_are_ordered(case):
    for family in (("hc0", "hc2", "hc3"), ("cr0", "cr2", "cr3")):
        errors = [covariance_errors(case, kind) for kind in family]
        assert (errors[0] <= errors[1] * (1 + 1e-9)).all()
        assert (errors[1] <= errors[2] * (1 + 1e-9)).all()


def covariance_errors(case, kind):
    y, x, _, code = case
    effects = fit(y, x, None)
    clusters = clusters_of(code, effects.units) if kind.startswith("cr") else None
    return covariance(effects, clusters, kind=kind).std_error


@settings(max_examples=2, deadline=None, derandomize=True)
@given(case=regressions(), kind=st.sampled_from(["hc2", "cr2"]))
def test_hc2_and_cr2_are_unbiased_if_errors_have_equal_variances(case, kind):
    # A covariance is a sum of squares of linear forms in the errors, so that its mean under errors of variance one is
    # the sum over an orthonormal basis of errors. It must equal M X′W² X M.
    y, x, w, code = case
    n = len(y)
    weights = np.ones(n) if w is None or kind == "hc2" else w
    mean = np.zeros((3, 3))
    for i in range(n):
        effects = fit(np.eye(n)[i], x, weights)
        clusters = clusters_of(code, effects.units) if kind == "cr2" else None
        mean += covariance(effects, clusters, kind=kind).matrix
    bread = np.linalg.inv(x.T @ (weights[:, None] * x))
    np.testing.assert_allclose(mean, bread @ x.T @ (weights[:, None] ** 2 * x) @ bread, rtol=1e-7, atol=1e-12)


@LAW
@given(seed=st.integers(0, 10**6))
def test_a_joint_test_does_not_depend_on_how_its_effects_are_combined(seed):
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=(60, 3))
    effects = Effects(
        estimate=rng.normal(size=3) / 8,
        labels=labels(3),
        influence=influence - influence.mean(axis=0),
        units=pd.RangeIndex(60),
    )
    turned = wald(effects, None, rng.normal(size=(3, 3)) + 3 * np.eye(3))
    assert turned.statistic == pytest.approx(wald(effects).statistic, rel=1e-6)


@LAW
@given(seed=st.integers(0, 10**6))
def test_units_that_are_not_in_the_sample_change_nothing(seed):
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=(20, 2))
    one = Effects(
        estimate=np.zeros(2), labels=labels(2), influence=influence - influence.mean(axis=0), units=pd.RangeIndex(20)
    )
    other = Effects(
        estimate=np.zeros(1), labels=labels(1), influence=np.array([[1.0], [-1.0]]), units=pd.Index([100, 101])
    )
    larger = concat([one, other]).select([True, True, False])
    assert larger.n_units == 22
    np.testing.assert_allclose(covariance(larger).matrix, covariance(one).matrix, rtol=1e-12)
    villages = clusters_of(np.arange(22) % 5, larger.units)
    np.testing.assert_allclose(covariance(larger, villages).matrix, covariance(one, villages).matrix, rtol=1e-10)


@LAW
@given(seed=st.integers(0, 10**6), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_bands_hold_intervals_and_both_hold_the_estimate(seed, level):
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4))
    effects = Effects(
        estimate=rng.normal(size=4),
        labels=labels(4),
        influence=influence - influence.mean(axis=0),
        units=pd.RangeIndex(40),
    )
    table = summarize(effects, level=level, band_seed=seed)
    in_order = table[["band_low", "ci_low", "estimate", "ci_high", "band_high"]].to_numpy()
    assert (np.diff(in_order, axis=1) >= 0).all()
