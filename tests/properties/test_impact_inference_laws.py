"""Laws of standard errors and tests."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import (
    adjust,
    covariance,
    multiplier_draws,
    randomisation_test,
    summarize,
    wald,
    wild_test,
)
from evaluation.impact.regression import weighted_least_squares

LAW = settings(max_examples=12, deadline=None, derandomize=True)
# Draws of units are summed in single precision: forty numbers near one, 6e-8 each, over forty.
SINGLE = 5e-7
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


# wild bootstrap, multipliers, randomisation, adjustments --------------------------------------------------------------


def ends(test):
    return np.array([test.estimate, test.ci_low, test.ci_high, test.p_value])


def wild_of(case, *, change=lambda y, x, w: (y, x, w), row=1, hypothesis=0.0, **options):
    y, x, w, code = case
    effects = fit(*change(y, x, w))
    return wild_test(effects, clusters_of(code, effects.units), row=row, hypothesis=hypothesis, draws=99, **options)


@LAW
@given(case=regressions(), law=st.sampled_from(["rademacher", "webb", "mammen"]), score=st.booleans())
def test_a_wild_test_moves_with_the_outcome(case, law, score):
    options = {"law": law, "score": score}
    plain = ends(wild_of(case, **options))
    scaled = ends(wild_of(case, change=lambda y, x, w: (1e4 * y, x, w), hypothesis=0.0, **options))
    np.testing.assert_allclose(scaled, plain * [1e4, 1e4, 1e4, 1], rtol=1e-6)
    moved = ends(wild_of(case, change=lambda y, x, w: (y + 2 * x[:, 1], x, w), hypothesis=2.0, **options))
    np.testing.assert_allclose(moved, plain + np.array([2.0, 2, 2, 0]), rtol=1e-6, atol=1e-6)


@LAW
@given(case=regressions(), seed=st.integers(0, 10**6), several=st.booleans())
def test_the_order_of_rows_changes_no_wild_test(case, seed, several):
    y, x, w, code = case
    order = np.random.default_rng(seed).permutation(len(y))
    units = pd.Index([f"unit {i:03}" for i in range(len(y))])
    table = clusters_of(code, units)
    if several:
        table["month"] = np.arange(len(y)) // 3 % 10
    plain = wild_test(fit(y, x, w, units), table, row=1, draws=99)
    mixed = wild_test(fit(y[order], x[order], None if w is None else w[order], units[order]), table, row=1, draws=99)
    np.testing.assert_allclose(ends(mixed), ends(plain), rtol=1e-6)


@LAW
@given(case=regressions(), scale=st.sampled_from([1e-3, 50.0]))
def test_the_scale_of_weights_changes_no_wild_test(case, scale):
    found = wild_of(case, change=lambda y, x, w: (y, x, np.full(len(y), scale) if w is None else scale * w))
    np.testing.assert_allclose(ends(found), ends(wild_of(case)), rtol=1e-6)


@LAW
@given(case=regressions())
def test_a_wild_test_of_the_estimate_never_rejects(case):
    assert wild_of(case, hypothesis=wild_of(case).estimate).p_value == 1.0


def influences(seed, n=40, k=3):
    influence = np.random.default_rng(seed).normal(size=(n, k))
    units = pd.Index([f"unit {i:03}" for i in range(n)])
    centred = influence - influence.mean(axis=0)
    return Effects(estimate=np.arange(k, dtype=float), labels=labels(k), influence=centred, units=units)


@LAW
@given(seed=st.integers(0, 10**6), law=st.sampled_from(["rademacher", "webb", "mammen"]), block=st.integers(1, 5000))
def test_blocks_change_no_draw(seed, law, block):
    effects = influences(seed)
    for table in (None, clusters_of(np.arange(40) % 7, effects.units)):
        draws = [
            multiplier_draws(effects, table, law=law, draws=30, seed=seed, block=size) for size in (block, 1 << 20)
        ]
        np.testing.assert_allclose(draws[0], draws[1], rtol=0, atol=SINGLE)


@LAW
@given(seed=st.integers(0, 10**6), law=st.sampled_from(["rademacher", "webb", "mammen"]))
def test_clusters_that_are_the_units_change_no_draw(seed, law):
    # In the order of their labels, as the units stand here; the multipliers of clusters belong to labels.
    effects = influences(seed)
    plain = multiplier_draws(effects, law=law, draws=20, seed=seed)
    by_unit = multiplier_draws(effects, clusters_of(effects.units, effects.units), law=law, draws=20, seed=seed)
    np.testing.assert_allclose(by_unit, plain, rtol=0, atol=SINGLE)


@LAW
@given(seed=st.integers(0, 10**6))
def test_the_order_of_units_changes_no_draw_of_clusters(seed):
    effects = influences(seed)
    order = np.random.default_rng(seed).permutation(40)
    table = clusters_of(np.arange(40) % 7, effects.units)
    mixed = Effects(
        estimate=effects.estimate,
        labels=effects.labels,
        influence=effects.dense()[order],
        units=effects.units[order],
    )
    np.testing.assert_allclose(
        multiplier_draws(mixed, table, draws=20), multiplier_draws(effects, table, draws=20), rtol=1e-12, atol=1e-14
    )


@LAW
@given(seed=st.integers(0, 10**6))
def test_draws_of_a_contrast_are_contrasts_of_draws(seed):
    effects, weights = influences(seed), np.array([[1.0, -1.0, 0.5]])
    draws = multiplier_draws(effects, draws=20, seed=seed) @ weights.T
    np.testing.assert_allclose(
        multiplier_draws(effects.contrast(weights, labels(1)), draws=20, seed=seed), draws, rtol=0, atol=3 * SINGLE
    )


@st.composite
def experiments(draw):
    """Outcome, assignment within two strata, strata, a covariate: 10 to 14 units, so that all assignments are met."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = draw(st.integers(10, 14))
    strata = np.arange(n) % 2
    treated = np.zeros(n, dtype=bool)
    treated[:4] = True
    return rng.normal(size=n) + treated, treated, strata, rng.normal(size=n), draw(st.booleans())


@LAW
@given(case=experiments(), seed=st.integers(0, 10**6))
def test_the_order_of_units_changes_no_randomisation_test(case, seed):
    y, treated, strata, x, studentised = case
    order = np.random.default_rng(seed).permutation(len(y))
    plain = randomisation_test(y, treated, strata=strata, covariates=x, studentised=studentised)
    mixed = randomisation_test(
        y[order], treated[order], strata=strata[order], covariates=x[order], studentised=studentised
    )
    np.testing.assert_allclose(ends(mixed), ends(plain), rtol=1e-8)


@LAW
@given(case=experiments())
def test_a_randomisation_test_moves_with_the_outcome(case):
    y, treated, strata, x, studentised = case
    options = {"strata": strata, "covariates": x, "studentised": studentised}
    plain = ends(randomisation_test(y, treated, **options))
    moved = randomisation_test(3 * (y + 2 * treated + 5 * strata - x), treated, hypothesis=6.0, **options)
    np.testing.assert_allclose(ends(moved), 3 * plain * [1, 1, 1, 1 / 3] + [6, 6, 6, 0], rtol=1e-7)
    swapped = randomisation_test(y, ~treated, **options)
    np.testing.assert_allclose(ends(swapped), [-plain[0], -plain[2], -plain[1], plain[3]], rtol=1e-7)


@LAW
@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=25),
    method=st.sampled_from(["holm", "benjamini_hochberg", "sharpened_q"]),
)
def test_adjustments_keep_the_order_and_stay_probabilities(p, method):
    adjusted = adjust(p, method)
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-15).all()
    assert ((adjusted >= 0) & (adjusted <= 1)).all()
    if method != "sharpened_q":  # a q-value can be below its p-value where nearly all hypotheses are false
        assert (adjusted >= np.array(p) - 1e-15).all()
    np.testing.assert_allclose(adjust(p[::-1], method)[::-1], adjusted)
    more = adjust([*p, np.nan], method)
    np.testing.assert_array_equal(more[:-1], adjusted)
