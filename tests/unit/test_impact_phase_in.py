"""Staggered roll-out by lot: by hand, over all draws of small populations, beside difference-in-differences."""

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import did, phase_in

COHORTS = (2, 2, 3, 3, 0, 0)  # starts of six units in three periods; 0 never


def _table(outcomes: np.ndarray, starts: Any) -> pd.DataFrame:
    n, t = outcomes.shape
    start = pd.array([s if s > 0 else None for s in starts], dtype="Int64")
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), t),
            "period": np.tile(np.arange(1, t + 1), n),
            "cohort": np.repeat(start, t),
            "outcome_1": outcomes.ravel(),
        }
    )


def _treated(outcomes: np.ndarray, starts: Any, effect: float) -> np.ndarray:
    period = np.arange(1, outcomes.shape[1] + 1)
    return outcomes + effect * ((np.array(starts)[:, None] > 0) & (period >= np.array(starts)[:, None]))


def test_two_periods_by_hand() -> None:
    # Period 1: treated 1, 3 (mean 2), others 0, 2 (mean 1): gap 1. Period 2: treated 6, 8 (7), others 2, 4 (3): gap 4.
    # Within both cohorts the later outcome moves one for one with the earlier: variances and covariances are all 2.
    # beta = (2/2 + 2/2) / (2/2 + 2/2) = 1, the estimate 4 - 1 = 3, and nothing is left to vary.
    outcomes = np.array([[1.0, 6], [3, 8], [0, 2], [2, 4]])
    found = phase_in.estimate(_table(outcomes, [2, 2, 0, 0]))
    assert found.effects.labels["rule"].tolist() == ["none", "difference_in_differences", "efficient"]
    np.testing.assert_allclose(found.effects.estimate, [4.0, 3.0, 3.0], atol=1e-12)
    np.testing.assert_allclose(found.share, [1.0], atol=1e-12)
    np.testing.assert_allclose(found.covariance().std_error, [np.sqrt(2), 0, 0], atol=1e-7)  # 2/2 + 2/2 = 2
    np.testing.assert_allclose(found.baseline.estimate, [1.0])


def test_the_share_is_neymans_regression_of_gaps_on_baseline_gaps() -> None:
    rng = np.random.default_rng(20251104)
    outcomes = rng.normal(size=(40, 2)) @ np.array([[1.0, 0.6], [0, 1]])
    starts = np.where(np.arange(40) < 15, 2, 0)
    found = phase_in.estimate(_table(outcomes, starts))
    parts = [np.cov(outcomes[starts == s].T) / (starts == s).sum() for s in (2, 0)]
    v = parts[0] + parts[1]
    share = v[0, 1] / v[0, 0]
    assert found.share[0] == pytest.approx(share, rel=1e-10)
    gap = outcomes[starts == 2].mean(axis=0) - outcomes[starts == 0].mean(axis=0)
    assert found.effects.estimate[2] == pytest.approx(gap[1] - share * gap[0], rel=1e-10)
    errors = [np.sqrt(v[1, 1]), np.sqrt(v[1, 1] - 2 * v[0, 1] + v[0, 0]), np.sqrt(v[1, 1] - share * v[0, 1])]
    np.testing.assert_allclose(found.covariance().std_error, errors, rtol=1e-10)
    assert found.table()["df"].tolist() == [38.0] * 3


def _all_draws() -> list[tuple[int, ...]]:
    return sorted(set(permutations(COHORTS)))


@pytest.mark.parametrize("estimand", ["simple", "event_time", "cohort", "calendar"])
def test_over_all_draws_fixed_shares_are_unbiased_and_neymans_variance_is_right(estimand: Any) -> None:
    # 90 draws of six units; effect 1.5 on everybody. The variance is unbiased because effects do not differ.
    untreated = np.random.default_rng(20251105).normal(size=(6, 3)).cumsum(axis=1)
    found = [phase_in.estimate(_table(_treated(untreated, s, 1.5), s), estimand=estimand) for s in _all_draws()]
    estimates = np.array([one.effects.estimate for one in found]).reshape(len(found), -1, 3)[:, :, :2]
    variances = np.array([np.diag(one.covariance().matrix) for one in found]).reshape(len(found), -1, 3)[:, :, :2]
    np.testing.assert_allclose(estimates.mean(axis=0), 1.5, atol=1e-12)
    np.testing.assert_allclose(variances.mean(axis=0), estimates.var(axis=0), rtol=1e-10)
    gaps = np.array([one.baseline.estimate for one in found])
    np.testing.assert_allclose(gaps.mean(axis=0), 0, atol=1e-12)


def test_where_effects_differ_the_variance_is_too_large_not_too_small() -> None:
    rng = np.random.default_rng(20251106)
    untreated, effect = rng.normal(size=(6, 3)), rng.normal(size=6) * 3
    period = np.arange(1, 4)
    mixed = []
    for s in _all_draws():
        on = (np.array(s)[:, None] > 0) & (period >= np.array(s)[:, None])
        mixed.append(phase_in.estimate(_table(untreated + effect[:, None] * on, s)))
    assert len(mixed) == 90
    variances = np.array([np.diag(one.covariance().matrix)[:2] for one in mixed])
    estimates = np.array([one.effects.estimate[:2] for one in mixed])
    assert (variances.mean(axis=0) > estimates.var(axis=0)).all()


def test_the_whole_gap_taken_off_is_difference_in_differences_with_units_not_yet_treated(panel: Any) -> None:
    rng = np.random.default_rng(20251107)
    starts = rng.choice([0, 2, 3, 5], 60)
    outcomes = _treated(rng.normal(size=(60, 5)).cumsum(axis=1), starts, 1.0)
    table = _table(outcomes, starts)
    for estimand in ("simple", "event_time"):
        sample, design = panel(
            table.rename(columns={"outcome_1": "y"}),
            comparison="not_yet_treated",
            estimator="regression",
            aggregate=estimand,
        )
        theirs = did.estimate(sample, design)
        ours = phase_in.estimate(sample.frame, estimand=estimand).effects
        expected = theirs.headline.estimate
        if estimand == "event_time":
            events = theirs.aggregates["event_time"]
            expected = events.estimate[events.labels["event_time"].to_numpy(dtype=float) >= 0]
        np.testing.assert_allclose(ours.estimate[1::3], expected, rtol=1e-10)


def test_the_efficient_share_is_the_most_precise() -> None:
    rng = np.random.default_rng(20251108)
    starts = rng.choice([0, 2, 3, 4], 80)
    found = phase_in.estimate(_table(rng.normal(size=(80, 1)) + 0.8 * rng.normal(size=(80, 4)), starts))
    errors = found.covariance().std_error
    assert errors[2] < min(errors[0], errors[1])
    assert 0 < found.share[0] < 1


def test_baselines_that_do_not_vary_leave_nothing_to_take_off() -> None:
    rng = np.random.default_rng(20251109)
    outcomes = np.column_stack([np.full(20, 5.0), rng.normal(size=20)])
    found = phase_in.estimate(_table(outcomes, np.where(np.arange(20) < 8, 2, 0)))
    assert found.share[0] == 0
    assert found.effects.estimate[0] == found.effects.estimate[2]


def test_starts_after_the_last_period_and_before_the_second_only_compare() -> None:
    rng = np.random.default_rng(20251110)
    outcomes = rng.normal(size=(30, 3))
    starts = np.repeat([1, 3, 9], 10)
    found = phase_in.estimate(_table(outcomes, starts))
    without = phase_in.estimate(_table(outcomes[10:], np.repeat([3, 0], 10)))
    np.testing.assert_allclose(found.effects.estimate, without.effects.estimate, rtol=1e-12)


def test_effects_by_cohort_and_period_are_labelled() -> None:
    rng = np.random.default_rng(20251111)
    table = _table(rng.normal(size=(30, 4)), np.repeat([2, 3, 0], 10))
    assert phase_in.estimate(table, estimand="cohort").effects.labels["cohort"].tolist() == [2] * 3 + [3] * 3
    assert phase_in.estimate(table, estimand="calendar").effects.labels["period"].unique().tolist() == [2, 3, 4]
    assert phase_in.estimate(table, estimand="event_time").effects.labels["event_time"].unique().tolist() == [0, 1, 2]
    assert phase_in.estimate(table).baseline_table()["p_value"].between(0, 1).all()


def test_draws_recompute_the_studentised_estimate() -> None:
    # The same permutations, by estimating each permuted table anew.
    rng = np.random.default_rng(20251112)
    starts = rng.permutation(np.repeat([2, 3, 0], [5, 5, 6]))
    outcomes = _treated(rng.normal(size=(16, 3)), starts, 0.7)
    found = phase_in.randomisation_test(_table(outcomes, starts), draws=25, seed=3)

    def t(labels: np.ndarray) -> float:
        one = phase_in.estimate(_table(outcomes, labels))
        return float(one.effects.estimate[2] / one.covariance().std_error[2])

    assert found.statistic == pytest.approx(t(starts), rel=1e-10)
    order = np.random.Generator(np.random.Philox(3)).permuted(np.tile(np.arange(16), (25, 1)), axis=1)
    labels = np.empty(16, dtype=int)
    farther = 0
    for row in order:
        labels[row] = np.repeat([2, 3, 0], [5, 5, 6])
        farther += abs(t(labels)) >= abs(found.statistic)
    assert found.p_value == pytest.approx((1 + farther) / 26)
    assert found.describe().startswith("randomisation test by 25 permutations of starts")


def test_the_test_keeps_its_size_and_finds_an_effect() -> None:
    # 200 tables without effect: at most 18 p-values of 5 % or less with probability .99; an effect of two standard
    # deviations is found.
    rng = np.random.default_rng(20251113)
    starts = np.repeat([2, 3, 0], [6, 6, 8])
    p = [phase_in.randomisation_test(_table(rng.normal(size=(20, 3)), starts), draws=99).p_value for _ in range(200)]
    assert np.mean(np.array(p) <= 0.05) <= 0.09
    outcomes = _treated(rng.normal(size=(20, 3)), starts, 2.0)
    assert phase_in.randomisation_test(_table(outcomes, starts), draws=999).p_value <= 0.01


@pytest.mark.parametrize("broken", ["gap", "twice", "missing"])
def test_a_unit_without_a_period_is_refused(broken: str) -> None:
    table = _table(np.random.default_rng(1).normal(size=(8, 3)), np.repeat([2, 0], 4))
    if broken == "gap":
        table = table.iloc[1:]
    elif broken == "twice":
        table = pd.concat([table, table.iloc[:1]], ignore_index=True)
    else:
        table.loc[3, "outcome_1"] = np.nan
    with pytest.raises(DataError) as caught:
        phase_in.estimate(table)
    assert caught.value.code == "E-IMP-265"


def test_a_cohort_of_one_is_refused_by_name() -> None:
    table = _table(np.random.default_rng(1).normal(size=(8, 3)), [2, 2, 2, 3, 0, 0, 0, 0])
    with pytest.raises(DataError) as caught:
        phase_in.estimate(table)
    assert (caught.value.code, caught.value.where) == ("E-IMP-266", "3")


@pytest.mark.parametrize("starts", [[1, 1, 0, 0], [2, 2, 2, 2]])
def test_nobody_to_compare_with_is_refused(starts: list[int]) -> None:
    with pytest.raises(DataError) as caught:
        phase_in.estimate(_table(np.random.default_rng(1).normal(size=(4, 3)), starts))
    assert caught.value.code == "E-IMP-267"


def test_clusters_drawn_as_a_whole_are_compared_by_their_means() -> None:
    # Ten clusters of one to four persons, who differ from period to period.
    rng = np.random.default_rng(20251114)
    starts = np.repeat([2, 3, 0], [3, 3, 4])
    sizes = rng.integers(1, 5, (10, 4))
    level = _treated(rng.normal(size=(10, 4)), starts, 1.0)
    rows = [(c, t + 1, level[c, t] + rng.normal()) for c in range(10) for t in range(4) for _ in range(sizes[c, t])]
    people = pd.DataFrame(rows, columns=["village", "period", "outcome_1"])
    people["unit"] = np.arange(len(people))
    people["cohort"] = pd.array([starts[c] or None for c in people["village"]], dtype="Int64")
    means = people.groupby(["village", "period"])["outcome_1"].mean().unstack().to_numpy()
    ours = phase_in.estimate(people, cluster="village")
    whole = phase_in.estimate(_table(means, starts))
    np.testing.assert_allclose(ours.effects.estimate, whole.effects.estimate, rtol=1e-12)
    np.testing.assert_allclose(ours.covariance().matrix, whole.covariance().matrix, rtol=1e-10)
    tests = [
        phase_in.randomisation_test(people, cluster="village", draws=99),
        phase_in.randomisation_test(_table(means, starts), draws=99),
    ]
    assert tests[0].p_value == tests[1].p_value
    people.loc[people["unit"] == 0, "cohort"] = 4
    with pytest.raises(DataError) as caught:
        phase_in.estimate(people, cluster="village")
    assert (caught.value.code, caught.value.where) == ("E-IMP-268", "village")
