"""Laws of experiments: order, names and units of measurement of rows change nothing that matters."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact import experiment

SEEDS = st.integers(0, 2**31 - 1)
ADJUSTMENT = st.sampled_from(["none", "ancova", "lin"])
FEW = settings(max_examples=15, deadline=None)


def _drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x + rng.normal(size=n), rng.permutation(n) % 2 == 0, x, rng.integers(0, 12, n)


def _estimate(arms: Any, outcome: Any, treated: Any, x: Any, **options: Any) -> tuple[float, float]:
    sample, design = arms("experiment", outcome, treated, {"x": x}, **options)
    row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    return row["estimate"], row["std_error"]


@FEW
@given(seed=SEEDS, adjustment=ADJUSTMENT)
def test_the_order_and_the_names_of_rows_change_nothing(arms: Any, seed: int, adjustment: str) -> None:
    outcome, treated, x, cluster = _drawn(seed)
    order = np.random.default_rng(seed).permutation(len(x))
    first = _estimate(arms, outcome, treated, x, cluster=cluster, adjustment=adjustment)
    moved = _estimate(
        arms,
        outcome[order],
        treated[order],
        x[order],
        cluster=cluster[order] + 7,
        unit=order * 3,
        adjustment=adjustment,
    )
    np.testing.assert_allclose(moved, first, rtol=1e-9)


@FEW
@given(seed=SEEDS, adjustment=ADJUSTMENT, shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
def test_effects_move_with_the_unit_of_the_outcome(
    arms: Any, seed: int, adjustment: str, shift: float, scale: float
) -> None:
    outcome, treated, x, _ = _drawn(seed)
    first = np.array(_estimate(arms, outcome, treated, x, adjustment=adjustment))
    moved = _estimate(arms, shift + scale * outcome, treated, x, adjustment=adjustment)
    np.testing.assert_allclose(moved, scale * first, rtol=1e-6, atol=1e-9 * abs(shift))


@FEW
@given(seed=SEEDS, adjustment=ADJUSTMENT)
def test_adding_the_covariate_to_the_outcome_changes_nothing_after_adjustment(
    arms: Any, seed: int, adjustment: str
) -> None:
    outcome, treated, x, _ = _drawn(seed)
    if adjustment != "none":
        first = _estimate(arms, outcome, treated, x, adjustment=adjustment)
        np.testing.assert_allclose(
            _estimate(arms, outcome + 3 * x, treated, x, adjustment=adjustment), first, rtol=1e-8
        )


@FEW
@given(seed=SEEDS, adjustment=ADJUSTMENT, constant=st.floats(0.1, 50))
def test_multiplying_all_weights_changes_nothing(arms: Any, seed: int, adjustment: str, constant: float) -> None:
    outcome, treated, x, _ = _drawn(seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2, len(x))
    first = _estimate(arms, outcome, treated, x, weight=weight, adjustment=adjustment)
    moved = _estimate(arms, outcome, treated, x, weight=constant * weight, adjustment=adjustment)
    np.testing.assert_allclose(moved, first, rtol=1e-9)


@FEW
@given(seed=SEEDS, adjustment=ADJUSTMENT)
def test_two_copies_of_a_row_are_one_row_of_weight_two(arms: Any, seed: int, adjustment: str) -> None:
    outcome, treated, x, _ = _drawn(seed, 40)
    copies = np.r_[np.arange(40), np.arange(10)]
    weight = np.where(np.arange(40) < 10, 2.0, 1.0)
    weighted = _estimate(arms, outcome, treated, x, weight=weight, adjustment=adjustment)[0]
    copied = _estimate(arms, outcome[copies], treated[copies], x[copies], adjustment=adjustment)[0]
    assert copied == pytest.approx(weighted, rel=1e-9, abs=1e-12)


@FEW
@given(seed=SEEDS)
def test_turning_the_arms_around_turns_the_sign(arms: Any, seed: int) -> None:
    outcome, treated, x, _ = _drawn(seed)
    first, turned = _estimate(arms, outcome, treated, x), _estimate(arms, outcome, ~treated, x)
    np.testing.assert_allclose(turned, [-first[0], first[1]], rtol=1e-9)


# take-up, strata, pairs, surveys --------------------------------------------------------------------------------------


def _complier(arms: Any, outcome: Any, treated: Any, took: Any, **options: Any) -> Any:
    sample, design = arms("experiment", outcome, treated, takeup="came", **options)
    sample.frame["takeup"] = np.asarray(took, dtype=float)
    return experiment.estimate(sample, design).tables["complier_effects"].iloc[0]


def _offers(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    treated, hidden = rng.permutation(n) % 2 == 0, rng.normal(size=n)
    took = hidden + 1.2 * treated > 0.5
    return hidden + took + rng.normal(size=n), treated, took


@FEW
@given(seed=SEEDS, shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
def test_effects_on_compliers_and_their_sets_move_with_the_unit_of_the_outcome(
    arms: Any, seed: int, shift: float, scale: float
) -> None:
    outcome, treated, took = _offers(seed)
    first, moved = (_complier(arms, y, treated, took) for y in (outcome, shift + scale * outcome))
    names = ["estimate", "std_error", "ar_low", "ar_high"]
    np.testing.assert_allclose(
        moved[names].to_numpy(dtype=float),
        scale * first[names].to_numpy(dtype=float),
        rtol=1e-6,
        atol=1e-9 * max(abs(shift), 1),
    )
    assert moved["ar_shape"] == first["ar_shape"]


@FEW
@given(seed=SEEDS, effect=st.floats(-5, 5))
def test_an_effect_of_taking_part_moves_the_effect_on_compliers_by_itself(arms: Any, seed: int, effect: float) -> None:
    outcome, treated, took = _offers(seed)
    first, moved = (_complier(arms, y, treated, took) for y in (outcome, outcome + effect * took))
    for name in ("estimate", "ar_low", "ar_high"):
        assert moved[name] == pytest.approx(first[name] + effect, rel=1e-7, abs=1e-7)
    assert moved["std_error"] == pytest.approx(first["std_error"], rel=1e-7)


@FEW
@given(seed=SEEDS)
def test_offering_the_other_arm_changes_no_effect_on_compliers(arms: Any, seed: int) -> None:
    # Both the intention to treat and the first stage change sign.
    outcome, treated, took = _offers(seed)
    first, turned = _complier(arms, outcome, treated, took), _complier(arms, outcome, ~treated, took)
    for name in ("estimate", "std_error", "ar_low", "ar_high"):
        assert turned[name] == pytest.approx(first[name], rel=1e-8)


@FEW
@given(seed=SEEDS)
def test_strata_by_their_shares_are_the_mean_of_their_own_effects(arms: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stratum = rng.permutation(np.repeat(["a", "b", "c"], [12, 20, 28]))
    outcome, treated, _, _ = _drawn(seed)
    treated[[int(np.flatnonzero(stratum == s)[k]) for s in "abc" for k in (0, 1)]] = True
    treated[[int(np.flatnonzero(stratum == s)[k]) for s in "abc" for k in (2, 3)]] = False
    found = [_alone(arms, outcome[stratum == s], treated[stratum == s]) for s in "abc"]
    shares = np.array([12, 20, 28]) / 60
    estimate, error = _alone(arms, outcome, treated, stratum=stratum, strata_effects="by_stratum")
    assert estimate == pytest.approx(shares @ [one[0] for one in found], rel=1e-8, abs=1e-10)
    assert error == pytest.approx(np.sqrt(shares**2 @ [one[1] ** 2 for one in found]), rel=1e-8)


def _alone(arms: Any, outcome: Any, treated: Any, **options: Any) -> tuple[float, float]:
    sample, design = arms("experiment", outcome, treated, **options)
    row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    return row["estimate"], row["std_error"]


@FEW
@given(seed=SEEDS, constant=st.floats(0.1, 50))
def test_a_level_of_each_pair_changes_nothing_in_pairs_by_size(arms: Any, seed: int, constant: float) -> None:
    rng = np.random.default_rng(seed)
    pair = np.repeat(np.arange(10), rng.integers(2, 6, 10))
    treated = np.concatenate([np.arange(n) % 2 == 0 for n in np.bincount(pair)])
    outcome, level = rng.normal(size=len(pair)), constant * rng.normal(size=10)[pair]
    options = {"stratum": pair.astype(str), "assignment": "paired", "strata_effects": "by_stratum"}
    first, moved = (_alone(arms, y, treated, **options) for y in (outcome, outcome + level))
    np.testing.assert_allclose(moved, first, rtol=1e-7, atol=1e-9 * constant)
