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
