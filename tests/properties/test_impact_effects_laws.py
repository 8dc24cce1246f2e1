"""Laws of the algebra on effects."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact.effects import Arms, Effects, concat
from evaluation.impact.inference import covariance

LAW = settings(max_examples=15, deadline=None, derandomize=True)


def labels(k):
    return pd.DataFrame({"term": [f"effect {j}" for j in range(k)]})


@st.composite
def effects(draw, units=None):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, k = draw(st.integers(3, 30)), draw(st.integers(1, 5))
    ids = rng.permutation(60)[:n] if units is None else units
    influence = rng.normal(size=(len(ids), k)) * 10.0 ** rng.integers(-6, 6, size=k)
    return Effects(
        estimate=rng.normal(size=k),
        labels=labels(k),
        influence=influence - influence.mean(axis=0),
        units=pd.Index(ids),
        arms=Arms.of(rng.random(len(ids)) < 0.5, k),
    )


@LAW
@given(one=effects(), seed=st.integers(0, 10**6))
def test_a_contrast_of_a_contrast_is_the_product(one, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(3, len(one))), rng.normal(size=(2, 3))
    twice = one.contrast(first, labels(3)).contrast(second, labels(2))
    once = one.contrast(second @ first, labels(2))
    np.testing.assert_allclose(twice.estimate, once.estimate, atol=1e-12)
    np.testing.assert_allclose(twice.dense(), once.dense(), rtol=1e-9, atol=1e-9 * np.abs(one.dense()).max())


@LAW
@given(one=effects(), other=effects())
def test_putting_side_by_side_changes_no_covariance_of_the_parts(one, other):
    both = covariance(concat([one, other])).matrix
    for start, part in ((0, one), (len(one), other)):
        expected = covariance(part).matrix
        block = both[start : start + len(part), start : start + len(part)]
        np.testing.assert_allclose(block, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@LAW
@given(one=effects(), other=effects())
def test_the_order_of_the_parts_does_not_matter(one, other):
    k = len(one)
    forward, backward = covariance(concat([one, other])).matrix, covariance(concat([other, one])).matrix
    np.testing.assert_allclose(forward[:k, k:], backward[-k:, :-k], rtol=1e-9, atol=1e-12 * np.abs(forward).max())


@LAW
@given(one=effects(), two=effects(), three=effects())
def test_the_order_of_joining_does_not_matter(one, two, three):
    together = concat([one, two, three])
    stepwise = concat([concat([one, two]), three])
    order = together.units.get_indexer(stepwise.units)
    np.testing.assert_allclose(together.dense()[order], stepwise.dense(), rtol=1e-12)
    np.testing.assert_array_equal(
        together.arms.treated[together.arms.codes[order]], stepwise.arms.treated[stepwise.arms.codes]
    )


@LAW
@given(one=effects())
def test_an_effect_less_itself_is_nothing(one):
    both = concat([one, one])
    k = len(one)
    nothing = both.contrast(np.hstack([np.eye(k), -np.eye(k)]), labels(k))
    np.testing.assert_array_equal(nothing.estimate, 0)
    np.testing.assert_array_equal(nothing.dense(), 0)


@LAW
@given(one=effects(), seed=st.integers(0, 10**6))
def test_the_order_of_units_does_not_matter(one, seed):
    order = np.random.default_rng(seed).permutation(one.n_units)
    shuffled = Effects(estimate=one.estimate, labels=one.labels, influence=one.dense()[order], units=one.units[order])
    np.testing.assert_allclose(covariance(shuffled).matrix, covariance(one).matrix, rtol=1e-9)


@LAW
@given(one=effects())
def test_a_linear_function_is_a_contrast(one):
    weights = np.arange(1.0, len(one) + 1)[None, :]
    curved = one.nonlinear(lambda v: weights @ v, lambda _: weights, labels(1))
    straight = one.contrast(weights, labels(1))
    np.testing.assert_allclose(curved.estimate, straight.estimate)
    np.testing.assert_allclose(curved.dense(), straight.dense())


def difference_in_means(y, treated, units):
    share = treated.mean()
    influence = np.where(treated, y - y[treated].mean(), 0) / share - np.where(~treated, y - y[~treated].mean(), 0) / (
        1 - share
    )
    return Effects(
        estimate=np.array([y[treated].mean() - y[~treated].mean()]),
        labels=labels(1),
        influence=influence[:, None],
        units=units,
    )


@LAW
@given(seed=st.integers(0, 10**6))
def test_two_territories_with_one_comparison_group_have_its_variance_in_common(seed):
    # θ_A = mean(A) - mean(C), θ_B = mean(B) - mean(C): Cov = Var(mean of C) = Σ (y - ȳ)² / n².
    rng = np.random.default_rng(seed)
    y, group = rng.normal(size=60), np.repeat(["A", "B", "C"], 20)
    parts = []
    for name in "AB":
        rows = (group == name) | (group == "C")
        parts.append(difference_in_means(y[rows], group[rows] == name, pd.Index(np.flatnonzero(rows))))
    common = y[group == "C"]
    expected = np.sum((common - common.mean()) ** 2) / 20**2
    np.testing.assert_allclose(covariance(concat(parts)).matrix[0, 1], expected, rtol=1e-10)
