"""Laws of weighting: order, names, copies and units of measurement."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact.inference import covariance
from evaluation.impact.weighted_comparison import as_effects, compare

SEEDS = st.integers(0, 2**31 - 1)
WAYS: list[dict[str, Any]] = [
    {},
    {"weights": "covariate_balancing"},
    {"weights": "entropy_balancing"},
    {"weights": "entropy_balancing", "tolerance": 0.05},
    {"truncate": 0.93},
    {"doubly_robust": {}},
]
WITHOUT_A_SCALE = [way for way in WAYS if "tolerance" not in way]  # a tolerance is of each covariate as it stands
WITHOUT_A_RANK = [way for way in WAYS if "truncate" not in way]
ESTIMANDS = st.sampled_from(["att", "atc", "ate"])
FEW = settings(max_examples=12, deadline=None)


def _drawn(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    covariates = {"a": rng.normal(size=n), "b": rng.uniform(size=n)}
    treated = rng.random(n) < 1 / (1 + np.exp(-0.5 * covariates["a"]))
    treated[:10], treated[-10:] = True, False  # both arms, and always some overlap
    return covariates["a"] + rng.normal(size=n), treated, covariates


def _estimate(arms: Any, outcome: Any, treated: Any, covariates: Any, **options: Any) -> tuple[float, float]:
    sample, design = arms("weighting", outcome, treated, covariates, **options)
    found = as_effects(sample, compare(sample, design).effect(sample, "outcome_1"), "outcome_1", pd.DataFrame([{}]))
    return found.estimate[0], covariance(found).std_error[0]


@FEW
@given(seed=SEEDS, way=st.sampled_from(WAYS), estimand=ESTIMANDS)
def test_the_order_and_the_names_of_rows_change_nothing(
    arms: Any, seed: int, way: dict[str, Any], estimand: str
) -> None:
    outcome, treated, covariates = _drawn(seed)
    order = np.random.default_rng(seed).permutation(len(outcome))
    shuffled = {name: x[order] for name, x in covariates.items()}
    options = {**way, "estimand": estimand}
    first = _estimate(arms, outcome, treated, covariates, **options)
    again = _estimate(arms, outcome[order], treated[order], shuffled, unit=order * 5, **options)
    np.testing.assert_allclose(again, first, rtol=1e-7)


@FEW
@given(
    seed=SEEDS, way=st.sampled_from(WAYS), estimand=ESTIMANDS, shift=st.floats(-100, 100), scale=st.floats(0.01, 100)
)
def test_effects_move_with_the_unit_of_the_outcome(
    arms: Any, seed: int, way: dict[str, Any], estimand: str, shift: float, scale: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    options = {**way, "estimand": estimand}
    first = np.array(_estimate(arms, outcome, treated, covariates, **options))
    moved = _estimate(arms, shift + scale * outcome, treated, covariates, **options)
    np.testing.assert_allclose(moved, scale * first, rtol=1e-6, atol=1e-8 * (1 + abs(shift)))


@FEW
@given(seed=SEEDS, way=st.sampled_from(WITHOUT_A_SCALE), estimand=ESTIMANDS, scale=st.floats(0.01, 100))
def test_the_units_of_covariates_change_nothing(
    arms: Any, seed: int, way: dict[str, Any], estimand: str, scale: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    moved = {"a": 7 + scale * covariates["a"] - covariates["b"], "b": -covariates["b"]}
    options = {**way, "estimand": estimand}
    first = _estimate(arms, outcome, treated, covariates, **options)
    np.testing.assert_allclose(_estimate(arms, outcome, treated, moved, **options), first, rtol=1e-6)


@FEW
@given(seed=SEEDS, way=st.sampled_from(WAYS), estimand=ESTIMANDS, constant=st.floats(0.1, 50))
def test_multiplying_all_weights_changes_nothing(
    arms: Any, seed: int, way: dict[str, Any], estimand: str, constant: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    sampling = np.random.default_rng(seed).uniform(0.5, 2, len(outcome))
    options = {**way, "estimand": estimand}
    first = _estimate(arms, outcome, treated, covariates, weight=sampling, **options)
    again = _estimate(arms, outcome, treated, covariates, weight=constant * sampling, **options)
    np.testing.assert_allclose(again, first, rtol=1e-7)


@FEW
@given(seed=SEEDS, way=st.sampled_from(WITHOUT_A_RANK), estimand=ESTIMANDS)
def test_two_copies_of_a_row_are_one_row_of_weight_two(
    arms: Any, seed: int, way: dict[str, Any], estimand: str
) -> None:
    outcome, treated, covariates = _drawn(seed)
    copies = np.r_[np.arange(80), np.arange(20)]
    options = {**way, "estimand": estimand}
    weighted = _estimate(arms, outcome, treated, covariates, weight=np.where(np.arange(80) < 20, 2.0, 1.0), **options)
    copied = {name: x[copies] for name, x in covariates.items()}
    assert _estimate(arms, outcome[copies], treated[copies], copied, **options)[0] == pytest.approx(
        weighted[0], rel=1e-6
    )


@FEW
@given(seed=SEEDS, estimand=ESTIMANDS)
def test_entropy_balancing_is_exact_for_outcomes_linear_in_covariates(arms: Any, seed: int, estimand: str) -> None:
    _, treated, covariates = _drawn(seed)
    outcome = 3 * covariates["a"] - 2 * covariates["b"] + 1.5 * treated
    found = _estimate(arms, outcome, treated, covariates, weights="entropy_balancing", estimand=estimand)[0]
    assert found == pytest.approx(1.5, abs=1e-8)


@FEW
@given(seed=SEEDS, way=st.sampled_from(WITHOUT_A_SCALE))
def test_exchanging_the_arms_turns_the_sign(arms: Any, seed: int, way: dict[str, Any]) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = _estimate(arms, outcome, treated, covariates, estimand="ate", **way)
    again = _estimate(arms, outcome, ~treated, covariates, estimand="ate", **way)
    np.testing.assert_allclose(again, (-first[0], first[1]), rtol=1e-6, atol=1e-9)


@FEW
@given(seed=SEEDS, way=st.sampled_from(WITHOUT_A_SCALE), estimand=ESTIMANDS)
def test_an_effect_added_to_the_treated_is_added_to_the_estimate(
    arms: Any, seed: int, way: dict[str, Any], estimand: str
) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = _estimate(arms, outcome, treated, covariates, estimand=estimand, **way)
    again = _estimate(arms, outcome + 3 * treated, treated, covariates, estimand=estimand, **way)
    np.testing.assert_allclose(again, (first[0] + 3, first[1]), rtol=1e-7, atol=1e-9)


@FEW
@given(seed=SEEDS, estimand=ESTIMANDS)
def test_all_balancing_agrees_on_outcomes_linear_in_covariates(arms: Any, seed: int, estimand: str) -> None:
    _, treated, covariates = _drawn(seed)
    outcome = 3 * covariates["a"] - 2 * covariates["b"] + 1.5 * treated
    for way in ({"weights": "covariate_balancing"}, {"doubly_robust": {}}):
        assert _estimate(arms, outcome, treated, covariates, estimand=estimand, **way)[0] == pytest.approx(
            1.5, abs=1e-8
        )
