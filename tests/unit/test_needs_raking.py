"""Raking against iterative proportional fitting done by hand, trimming, effective size, cells without a ballot."""

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.needs import raking
from evaluation.needs.ballots import UNKNOWN, Ballots
from evaluation.settings.participation import Margin


def ballots(**attributes: list[str]) -> Ballots:
    n = len(next(iter(attributes.values())))
    return Ballots(
        difficulties=("a", "b"),
        grades=("x", "y", "z"),
        answers=np.zeros((n, 2), dtype=np.int8),
        voters=np.arange(n),
        attributes={name: np.array(values, dtype=object) for name, values in attributes.items()},
        simulated=True,
    )


def margins(**shares: dict[str, float]) -> list[Margin]:
    return [
        Margin(variable=variable, level=level, share=share, confidence="computed")
        for variable, levels in shares.items()
        for level, share in levels.items()
    ]


def fitted(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Deming and Stephan's adjustment of one margin after the other."""
    for _ in range(500):
        table = table * (rows / table.sum(axis=1))[:, None]
        table = table * (columns / table.sum(axis=0))
    return table


def test_one_margin_is_a_share_over_a_share() -> None:
    # Three women and one man, half of the people are women: weights .5 / .75 = 2/3 and .5 / .25 = 2.
    found = raking.rake(ballots(sex=["F", "F", "F", "M"]), margins(sex={"F": 0.5, "M": 0.5}))
    np.testing.assert_allclose(found.weights, [2 / 3, 2 / 3, 2 / 3, 2], rtol=1e-9)
    # (sum w)^2 / sum w^2 = 16 / (3 * 4/9 + 4) = 16 / (16/3) = 3.
    assert found.effective == pytest.approx(3)
    assert found.margins["sex"]["F"] == pytest.approx((0.75, 0.5, 0.5))
    assert (found.trimmed, found.unplaced) == (0, 0)


def test_two_margins_are_those_of_iterative_proportional_fitting() -> None:
    rng = np.random.default_rng(11)
    sex, age = rng.choice(["F", "M"], 300, p=[0.7, 0.3]), rng.choice(["1", "2", "3"], 300, p=[0.5, 0.4, 0.1])
    found = raking.rake(
        ballots(sex=list(sex), age=list(age)), margins(sex={"F": 0.52, "M": 0.48}, age={"1": 0.2, "2": 0.5, "3": 0.3})
    )
    cells = np.array([[((sex == s) & (age == a)).sum() for a in "123"] for s in "FM"], dtype=float)
    expected = fitted(cells, 300 * np.array([0.52, 0.48]), 300 * np.array([0.2, 0.5, 0.3])) / cells
    ours = np.array([[found.weights[(sex == s) & (age == a)].mean() for a in "123"] for s in "FM"])
    np.testing.assert_allclose(ours, expected, rtol=1e-8)  # both stop at 1e-10 of the margins
    assert found.gap < 1e-9


def test_printed_shares_that_add_up_to_nearly_one_are_used_as_one() -> None:
    found = raking.rake(ballots(age=["1", "2", "3"]), margins(age={"1": 0.333, "2": 0.333, "3": 0.333}))
    np.testing.assert_allclose(found.weights, 1, rtol=1e-9)


def test_no_ballot_weighs_more_than_the_bound_and_the_gap_is_said() -> None:
    # One man among twenty who should be half: raw weight 10, held at 5; women share the rest, 15 / 19 each.
    found = raking.rake(ballots(sex=["F"] * 19 + ["M"]), margins(sex={"F": 0.5, "M": 0.5}))
    np.testing.assert_allclose(found.weights, [15 / 19] * 19 + [5], rtol=1e-9)
    assert found.trimmed == 1
    assert found.gap == pytest.approx(0.25)  # men weigh 5 / 20 in place of one half


def test_ballots_that_do_not_say_have_no_weight_and_are_counted() -> None:
    found = raking.rake(ballots(sex=["F", "M", UNKNOWN]), margins(sex={"F": 0.5, "M": 0.5}))
    np.testing.assert_allclose(found.weights, [1, 1, 0], atol=1e-9)
    assert found.unplaced == 1


def test_a_level_of_the_territory_without_a_ballot_is_refused() -> None:
    with pytest.raises(DataError, match="E-NEE-007") as caught:
        raking.rake(ballots(sex=["F", "F"]), margins(sex={"F": 0.5, "M": 0.5}))
    assert "M" in caught.value.found


def test_a_level_that_the_territory_does_not_have_is_refused() -> None:
    with pytest.raises(DataError, match="E-NEE-008"):
        raking.rake(ballots(sex=["F", "M", "W"]), margins(sex={"F": 0.5, "M": 0.5}))


def test_margins_that_no_positive_weights_reach_are_refused() -> None:
    # All women are young, all men old: age decides sex, and the two margins contradict each other.
    with pytest.raises(DataError, match="E-IMP-055"):
        raking.rake(
            ballots(sex=["F", "F", "M"], age=["y", "y", "o"]),
            margins(sex={"F": 0.5, "M": 0.5}, age={"y": 0.9, "o": 0.1}),
        )
