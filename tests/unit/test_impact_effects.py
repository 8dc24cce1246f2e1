"""Effects: what they refuse, and their algebra by hand."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.impact.effects import Arms, Effects, clear_noise, concat
from evaluation.impact.inference import covariance
from evaluation.impact.regression import weighted_least_squares


def effects(estimate, influence, units=None, **more):
    influence = np.asarray(influence, dtype=float)
    units = pd.RangeIndex(len(influence)) if units is None else pd.Index(units)
    labels = pd.DataFrame({"term": [f"effect {k}" for k in range(len(estimate))]})
    return Effects(estimate=np.asarray(estimate), labels=labels, influence=influence, units=units, **more)


def terms(*names):
    return pd.DataFrame({"term": list(names)})


def test_effects_are_frozen_and_their_arrays_cannot_be_written():
    found = effects([1.0], [[1.0], [-1.0]])
    with pytest.raises(FrozenInstanceError):
        found.estimate = np.zeros(1)
    with pytest.raises(ValueError, match="read-only"):
        found.dense()[0, 0] = 5.0


def test_the_array_of_the_caller_stays_his():
    mine = np.array([[1.0], [-1.0]])
    effects([1.0], mine)
    mine[0, 0] = 2.0
    assert mine[0, 0] == 2.0


def test_a_column_whose_mean_is_not_zero_is_refused():
    with pytest.raises(InternalError, match="E-IMP-004") as refusal:
        effects([1.0, 2.0], [[1.0, 1.0], [-1.0, -0.9]])
    assert "effect 1" in refusal.value.where
    assert "effect 0" not in refusal.value.where


def test_a_mean_within_rounding_is_accepted():
    assert effects([1.0], [[1.0], [-1.0 + 1e-9]]).estimate.tolist() == [1.0]


@pytest.mark.parametrize(
    "broken",
    [
        {"estimate": np.ones(2)},
        {"labels": terms("a", "b")},
        {"influence": np.zeros((3, 1))},
        {"units": pd.Index([0, 1, 2])},
        {"arms": Arms.of(np.array([True, False, True]), 1)},
        {"arms": Arms.of(np.array([True, False]), 2)},
        {"loading": np.ones((1, 1))},
    ],
)
def test_tables_that_do_not_line_up_are_refused(broken):
    with pytest.raises(InternalError, match="E-IMP-001"):
        replace(effects([1.0], [[1.0], [-1.0]]), **broken)


def test_a_unit_with_two_rows_is_refused():
    with pytest.raises(InternalError, match="E-IMP-002") as refusal:
        effects([1.0], [[1.0], [-1.0]], units=["a", "a"])
    assert "a" in refusal.value.found


@pytest.mark.parametrize(("estimate", "influence"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, np.inf)])
def test_what_is_not_a_number_is_refused(estimate, influence):
    with pytest.raises(InternalError, match="E-IMP-003"):
        effects([estimate], [[influence], [-influence]])


def test_a_contrast_is_the_same_combination_of_estimates_and_influences():
    found = effects([3.0, 1.0], [[2.0, 1.0], [-2.0, -1.0]]).contrast([1, -1], terms("difference"))
    np.testing.assert_allclose(found.estimate, [2.0])
    np.testing.assert_allclose(found.dense(), [[1.0], [-1.0]])


def test_a_contrast_needs_a_weight_for_each_estimate():
    with pytest.raises(InternalError, match="E-IMP-005"):
        effects([1.0], [[1.0], [-1.0]]).contrast([1, -1], terms("difference"))


def test_select_keeps_estimates_labels_influences_and_arms_together():
    arms = Arms(
        codes=np.array([0, 1]), treated=np.array([[True, False], [False, True]]), comparison=np.ones((2, 2), bool)
    )
    found = effects([3.0, 1.0], [[2.0, 1.0], [-2.0, -1.0]], arms=arms).select([False, True])
    assert found.labels["term"].tolist() == ["effect 1"]
    assert found.labels.index.tolist() == [0]
    np.testing.assert_allclose(found.dense(), [[1.0], [-1.0]])
    np.testing.assert_array_equal(found.arms.treated, [[False], [True]])


def test_a_ratio_has_the_influence_of_the_delta_method():
    # 6 / 3 = 2; d(a/b) = da/b - a/b² db = da/3 - 6/9 db. Influences: 3/3 - 6/9 × 1.5 = 0 and the opposite.
    found = effects([6.0, 3.0], [[3.0, 1.5], [-3.0, -1.5]]).nonlinear(
        lambda v: v[:1] / v[1:], lambda v: np.array([[1 / v[1], -v[0] / v[1] ** 2]]), terms("ratio")
    )
    np.testing.assert_allclose(found.estimate, [2.0])
    np.testing.assert_allclose(found.dense(), [[0.0], [0.0]], atol=1e-15)


def test_concat_aligns_by_unit_and_rescales_to_the_union():
    # Two means over two units each that share unit b. In the union {a, b, c}, n = 3, influences grow by 3/2.
    first = effects([1.0], [[2.0], [-2.0]], units=["a", "b"])
    second = effects([5.0], [[4.0], [-4.0]], units=["b", "c"])
    both = concat([first, second])
    assert both.units.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(both.dense(), [[3.0, 0.0], [-3.0, 6.0], [0.0, -6.0]])
    # Variances do not move: (2² + 2²)/2² = 2 and (4² + 4²)/2² = 8. Covariance: -2/2 × 4/2 = -2 through unit b alone.
    np.testing.assert_allclose(covariance(both).matrix, [[2.0, -2.0], [-2.0, 8.0]])
    np.testing.assert_allclose(covariance(first).matrix, [[2.0]])


def test_concat_aligns_by_unit_whatever_the_order():
    first = effects([1.0], [[2.0], [-2.0], [0.0]], units=["a", "b", "c"])
    second = effects([5.0], [[3.0], [1.0], [-4.0]], units=["c", "a", "b"])
    np.testing.assert_allclose(concat([first, second]).dense()[:, 1], [1.0, -4.0, 3.0])


def test_concat_refuses_effects_without_influence():
    none = effects([1.0], np.zeros((0, 1)), kind="permutation")
    with pytest.raises(InternalError, match="E-IMP-006"):
        concat([none, none])
    with pytest.raises(InternalError, match="E-IMP-006"):
        concat([])


def test_concat_refuses_row_numbers_beside_names():
    first = effects([1.0], [[1.0], [-1.0]])
    with pytest.raises(InternalError, match="E-IMP-007"):
        concat([first, effects([1.0], [[1.0], [-1.0]], units=["a", "b"])])


def test_concat_joins_arms_unit_by_unit():
    first = effects([1.0], [[2.0], [-2.0]], units=["a", "b"], arms=Arms.of(np.array([True, False]), 1))
    second = effects([5.0], [[4.0], [-4.0]], units=["b", "c"], arms=Arms.of(np.array([False, True]), 1))
    arms = concat([first, second]).arms
    np.testing.assert_array_equal(arms.treated[arms.codes], [[True, False], [False, False], [False, True]])
    np.testing.assert_array_equal(arms.comparison[arms.codes], [[False, False], [True, True], [False, False]])


def test_concat_has_no_arms_if_one_part_has_none():
    first = effects([1.0], [[2.0], [-2.0]], arms=Arms.of(np.array([True, False]), 1))
    assert concat([first, effects([5.0], [[4.0], [-4.0]])]).arms is None


def test_arms_of_a_contrast_are_those_of_the_effects_it_uses():
    arms = Arms(
        codes=np.array([0, 1]), treated=np.array([[True, False], [False, True]]), comparison=np.zeros((2, 2), bool)
    )
    np.testing.assert_array_equal(
        arms.combined(np.array([[1.0, 0.0], [1.0, -1.0]])).treated, [[True, True], [False, True]]
    )


def test_noise_of_an_exact_fit_becomes_zero_and_nothing_else():
    influence = np.array([[1e-14, 1.0, 1e-14], [-1e-14, -1.0, 1e-3]])
    np.testing.assert_array_equal(clear_noise(influence, 1.0), [[0.0, 1.0, 1e-14], [0.0, -1.0, 1e-3]])


def test_effects_of_one_regression_keep_it_through_the_algebra():
    fit = weighted_least_squares(np.array([1.0, 2.0, 4.0]), np.column_stack([np.ones(3), [0, 1, 3]]), ["constant", "x"])
    found = fit.to_effects(np.eye(2), terms("constant", "slope"))
    both = concat([found, found.select([False, True])])
    assert both.regression is found.regression
    np.testing.assert_allclose(both.loading @ both.regression.coefficients, both.estimate)


def test_effects_of_two_regressions_become_one_block_diagonal_regression():
    x = np.column_stack([np.ones(4), [0, 1, 2, 4]])
    parts = [
        weighted_least_squares(np.array(y), x, ["constant", "x"]).to_effects([0, 1], terms("slope"), pd.Index(units))
        for y, units in (([1.0, 2, 4, 3], list("abcd")), ([2.0, 0, 1, 1], list("cdef")))
    ]
    both = concat(parts)
    assert both.regression.design.shape == (8, 4)
    np.testing.assert_allclose(both.loading @ both.regression.coefficients, both.estimate)
    for k, part in enumerate(parts):
        np.testing.assert_allclose(covariance(both, kind="hc2").matrix[k, k], covariance(part, kind="hc2").matrix[0, 0])
    np.testing.assert_allclose(covariance(both, kind="hc0").matrix, covariance(both).matrix)


def test_a_regression_without_units_cannot_be_stacked():
    fit = weighted_least_squares(np.array([1.0, 2.0, 4.0]), np.ones((3, 1)), ["constant"])
    with pytest.raises(InternalError, match="E-IMP-008"):
        fit.stacked([fit])
