"""Laws of matching: every partner is used as allowed, and nothing depends on order, names or units of measurement."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.impact import matching
from evaluation.impact.neighbours import NOBODY

SEEDS = st.integers(0, 2**31 - 1)
DISTANCES = st.sampled_from(["propensity_logit", "propensity_probit", "linear_logit", "mahalanobis"])
FEW = settings(max_examples=15, deadline=None)


def _drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    covariates = {"a": rng.normal(size=n), "b": rng.normal(size=n)}
    treated = np.zeros(n, dtype=bool)
    treated[rng.permutation(n)[: n // 3]] = True
    return covariates["a"] + rng.normal(size=n), treated, covariates


def _estimate(arms: Any, outcome: Any, treated: Any, covariates: Any, **options: Any) -> tuple[float, float]:
    sample, design = arms("matching", outcome, treated, covariates, **options)
    row = matching.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    return row["estimate"], row["std_error"]


@FEW
@given(
    seed=SEEDS,
    distance=DISTANCES,
    replace=st.booleans(),
    ratio=st.integers(1, 4),
    estimand=st.sampled_from(["att", "atc"]),
    order=st.sampled_from(["largest", "smallest", "data"]),
)
def test_matched_sets_keep_their_promises(
    arms: Any, seed: int, distance: str, replace: bool, ratio: int, estimand: str, order: str
) -> None:
    outcome, treated, covariates = _drawn(seed)
    order = "data" if distance == "mahalanobis" else order  # there is no score to go by
    caliper = None if distance == "mahalanobis" else 0.5
    options = {"distance": distance, "replace": replace, "ratio": ratio, "estimand": estimand, "order": order}
    sample, design = arms("matching", outcome, treated, covariates, caliper=caliper, **options)
    space = matching.place_units(sample, design)
    matches = matching.match(sample, space, design)
    focal = treated if estimand == "att" else ~treated
    present = matches.partners != NOBODY
    pairs = np.repeat(matches.focal, present.sum(axis=1)), matches.partners[present]
    np.testing.assert_array_equal(matches.focal, np.flatnonzero(focal))
    assert not focal[pairs[1]].any()  # partners come from the other arm
    assert (np.linalg.norm(space.points[pairs[0]] - space.points[pairs[1]], axis=1) <= matches.width + 1e-9).all()
    assert len(set(zip(*pairs, strict=True))) == len(pairs[0])  # nobody is in one set twice
    if not replace:
        assert len(np.unique(pairs[1])) == len(pairs[1])  # and nobody in two sets
    sets = matches.sets(np.ones(len(treated)))
    assert sets.weights()[focal].sum() == pytest.approx(matches.matched.sum())
    assert sets.weights()[~focal].sum() == pytest.approx(matches.matched.sum())


@FEW
@given(seed=SEEDS, distance=DISTANCES, replace=st.booleans())
def test_the_order_and_the_names_of_rows_change_nothing(arms: Any, seed: int, distance: str, replace: bool) -> None:
    outcome, treated, covariates = _drawn(seed)
    order = np.random.default_rng(seed).permutation(len(outcome))
    first = _estimate(arms, outcome, treated, covariates, distance=distance, replace=replace)
    shuffled = {name: x[order] for name, x in covariates.items()}
    again = _estimate(
        arms, outcome[order], treated[order], shuffled, distance=distance, replace=replace, unit=order * 2
    )
    np.testing.assert_allclose(again, first, rtol=1e-9)


@FEW
@given(seed=SEEDS, replace=st.booleans())
def test_new_names_change_nothing_where_there_are_no_ties(arms: Any, seed: int, replace: bool) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = _estimate(arms, outcome, treated, covariates, replace=replace)
    names = np.random.default_rng(seed).permutation(1000)[: len(outcome)]
    np.testing.assert_allclose(
        _estimate(arms, outcome, treated, covariates, replace=replace, unit=names), first, rtol=1e-9
    )


@FEW
@given(seed=SEEDS, replace=st.booleans(), shift=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_effects_move_with_the_unit_of_the_outcome(
    arms: Any, seed: int, replace: bool, shift: float, scale: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = np.array(_estimate(arms, outcome, treated, covariates, replace=replace))
    moved = _estimate(arms, shift + scale * outcome, treated, covariates, replace=replace)
    np.testing.assert_allclose(moved, scale * first, rtol=1e-6, atol=1e-8 * (1 + abs(shift)))


@FEW
@given(seed=SEEDS, replace=st.booleans(), shift=st.floats(-10, 10), scale=st.floats(0.1, 10))
def test_mahalanobis_does_not_depend_on_the_units_of_covariates(
    arms: Any, seed: int, replace: bool, shift: float, scale: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    moved = {"a": shift + scale * covariates["a"] - covariates["b"], "b": 5 * covariates["b"]}
    first = _estimate(arms, outcome, treated, covariates, distance="mahalanobis", replace=replace)
    second = _estimate(arms, outcome, treated, moved, distance="mahalanobis", replace=replace)
    assert second[0] == pytest.approx(first[0], rel=1e-9)


@FEW
@given(seed=SEEDS, replace=st.booleans(), constant=st.floats(0.1, 50))
def test_multiplying_all_weights_changes_nothing(arms: Any, seed: int, replace: bool, constant: float) -> None:
    outcome, treated, covariates = _drawn(seed)
    weight = np.random.default_rng(seed).uniform(0.5, 2, len(outcome))
    first = _estimate(arms, outcome, treated, covariates, weight=weight, replace=replace)
    second = _estimate(arms, outcome, treated, covariates, weight=constant * weight, replace=replace)
    np.testing.assert_allclose(second, first, rtol=1e-9)


@FEW
@given(seed=SEEDS)
def test_a_constant_effect_on_identical_twins_is_found_exactly(arms: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, effect = rng.normal(size=(30, 2)), rng.normal()
    treated, base = np.repeat([True, False], 30), np.tile(x.sum(axis=1), 2)
    covariates = {"a": np.tile(x[:, 0], 2), "b": np.tile(x[:, 1], 2)}
    for replace in (True, False):
        sample, design = arms(
            "matching", base + effect * treated, treated, covariates, distance="mahalanobis", replace=replace
        )
        found = matching.estimate(sample, design).blocks[0].effects.estimate[0]
        assert found == pytest.approx(effect, abs=1e-10)


FORMS = st.sampled_from(
    [
        {"sets": "optimal_pairs"},
        {"sets": "full"},
        {"sets": "subclasses", "subclasses": 3},
        {"sets": "coarsened_exact"},
        {"order": "closest"},
        {"replace": True, "adjustment": "bias_correction"},
        {"adjustment": "g_computation"},
    ]
)
FEWER = settings(max_examples=8, deadline=None)


@FEWER
@given(seed=SEEDS, form=FORMS)
def test_sets_of_any_form_do_not_depend_on_the_order_of_rows(arms: Any, seed: int, form: dict[str, Any]) -> None:
    outcome, treated, covariates = _drawn(seed)
    order = np.random.default_rng(seed).permutation(len(outcome))
    first = _estimate(arms, outcome, treated, covariates, **form)
    shuffled = {name: x[order] for name, x in covariates.items()}
    again = _estimate(arms, outcome[order], treated[order], shuffled, unit=order, **form)
    np.testing.assert_allclose(again, first, rtol=1e-8)


@FEWER
@given(seed=SEEDS, form=FORMS, scale=st.sampled_from([-1.0, 1e-6, 1e6]))
def test_outcomes_in_another_unit_give_effects_in_that_unit(
    arms: Any, seed: int, form: dict[str, Any], scale: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = np.array(_estimate(arms, outcome, treated, covariates, **form))
    second = _estimate(arms, scale * outcome, treated, covariates, **form)
    np.testing.assert_allclose(second, first * [scale, abs(scale)], rtol=1e-7)


@FEWER
@given(seed=SEEDS, form=FORMS, added=st.floats(-5, 5))
def test_what_is_added_to_the_treated_is_added_to_the_effect(
    arms: Any, seed: int, form: dict[str, Any], added: float
) -> None:
    outcome, treated, covariates = _drawn(seed)
    first = _estimate(arms, outcome, treated, covariates, **form)
    second = _estimate(arms, outcome + added * treated, treated, covariates, **form)
    np.testing.assert_allclose(second, (first[0] + added, first[1]), rtol=1e-7, atol=1e-9)


@FEWER
@given(seed=SEEDS, distance=DISTANCES, replace=st.booleans())
def test_exchanging_the_arms_turns_the_sign(arms: Any, seed: int, distance: str, replace: bool) -> None:
    outcome, treated, covariates = _drawn(seed)
    order = "closest"  # does not depend on which arm has high scores
    options = {"distance": distance, "replace": replace, **({} if replace else {"order": order})}
    first = _estimate(arms, outcome, treated, covariates, estimand="att", **options)
    second = _estimate(arms, outcome, ~treated, covariates, estimand="atc", **options)
    np.testing.assert_allclose(second, (-first[0], first[1]), rtol=1e-7)


@FEWER
@given(seed=SEEDS, replace=st.booleans(), scale=st.sampled_from([1e-3, 1e3]))
def test_scores_do_not_depend_on_the_units_of_covariates(arms: Any, seed: int, replace: bool, scale: float) -> None:
    outcome, treated, covariates = _drawn(seed)
    moved = {"a": scale * covariates["a"] + 7, "b": covariates["b"] - covariates["a"]}
    first = _estimate(arms, outcome, treated, covariates, replace=replace)
    np.testing.assert_allclose(_estimate(arms, outcome, treated, moved, replace=replace), first, rtol=1e-8)


@FEWER
@given(seed=SEEDS)
def test_the_total_distance_of_better_searches_is_smaller(arms: Any, seed: int) -> None:
    outcome, treated, covariates = _drawn(seed)
    totals = {}
    for name, options in {"greedy": {}, "optimal": {"sets": "optimal_pairs"}}.items():
        sample, design = arms("matching", outcome, treated, covariates, **options)
        space = matching.place_units(sample, design)
        matches = matching.match(sample, space, design)
        gaps = space.points[matches.focal, 0] - space.points[matches.partners[:, 0], 0]
        totals[name] = np.abs(gaps).sum()
    assert totals["optimal"] <= totals["greedy"] + 1e-9
