"""Resampled places: sums of points against ballots copied one by one, sets against enumeration, speed."""

import time
from itertools import combinations

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.needs import majority_judgment, rank_uncertainty
from evaluation.needs.ballots import Ballots
from evaluation.needs.rank_uncertainty import RankUncertainty, resample

OPTIONS = {"top": 3, "probability": 0.9, "few_points": 8}


def ballots(n: int, m: int, K: int, points: int, seed: int = 1) -> Ballots:
    rng = np.random.default_rng(seed)
    answers = np.clip(rng.integers(-1, K, (n, m)) + (rng.random((n, m)) < np.linspace(0, 0.5, m)), -1, K - 1)
    return Ballots(
        difficulties=tuple(f"d{place}" for place in range(m)),
        grades=tuple(f"g{place}" for place in range(K)),
        answers=answers.astype(np.int8),
        voters=np.arange(n),
        attributes={"collection_point": rng.integers(0, points, n).astype(str).astype(object)},
        simulated=True,
    )


def places(rows: list[list[int]], top: int = 1, probability: float = 0.9) -> RankUncertainty:
    table = np.array(rows)
    return RankUncertainty(
        difficulties=tuple("abcd"[: table.shape[1]]),
        places=table,
        by="ballot",
        points=1,
        top=top,
        probability=probability,
    )


def test_points_drawn_again_are_the_ballots_of_these_points_copied() -> None:
    vote = ballots(200, 4, 5, points=10)
    found = resample(vote, rng=np.random.default_rng(3), draws=20, **OPTIONS)
    rng, point = np.random.default_rng(3), np.unique(vote.attribute("collection_point"), return_inverse=True)[1]
    for row, times in zip(found.places, rng.multinomial(10, np.full(10, 0.1), size=20), strict=True):
        copied = vote.chosen(np.ones(200, dtype=bool))
        rows = np.repeat(np.arange(200), times[point])
        counts = [np.bincount(vote.answers[rows, j][vote.answers[rows, j] >= 0], minlength=5) for j in range(4)]
        np.testing.assert_array_equal(row, majority_judgment.ranks(np.array(counts)))
        assert len(copied) == 200
    assert (found.by, found.points) == ("collection_point", 10)


def test_with_few_points_ballots_are_drawn_within_them() -> None:
    found = resample(ballots(300, 3, 5, points=3), rng=np.random.default_rng(3), draws=400, **OPTIONS)
    assert found.by == "ballot"
    sizes = np.array([5, 1, 3])
    times = rank_uncertainty._times(sizes, np.random.default_rng(0), 50)
    assert times.shape == (50, 9)
    np.testing.assert_array_equal(np.add.reduceat(times, [0, 5, 6], axis=1), np.tile(sizes, (50, 1)))


def test_drawing_ballots_is_drawing_them_with_replacement() -> None:
    # One point, two ballots: how often the first is drawn is binomial(2, 1/2); 20,000 draws, 4 standard errors.
    times = rank_uncertainty._times(np.array([2]), np.random.default_rng(1), 20_000)[:, 0]
    for value, share in ((0, 0.25), (1, 0.5), (2, 0.25)):
        assert abs((times == value).mean() - share) < 4 * np.sqrt(share * (1 - share) / 20_000)


def test_probabilities_and_intervals_are_shares_of_the_draws() -> None:
    found = places([[1, 2, 3]] * 9 + [[2, 1, 3]], top=2)
    assert found.first.tolist() == [0.9, 0.1, 0]
    assert found.among_top.tolist() == [1, 1, 0]
    low, high = found.interval(0.80)
    # 10 % on each side: one draw of ten reaches it exactly, so b goes down to 1 and a does not go up to 2.
    assert (low.tolist(), high.tolist()) == ([1, 1, 3], [1, 2, 3])
    low, high = found.interval(0.98)
    assert (low.tolist(), high.tolist()) == ([1, 1, 3], [2, 2, 3])


def test_the_smallest_set_holds_the_first_k_of_enough_draws() -> None:
    # First in 60, 30 and 10 % of the draws: one is not enough at 90 %, the first two are, exactly.
    found = places([[1, 2, 3]] * 6 + [[2, 1, 3]] * 3 + [[3, 2, 1]])
    assert found.smallest_set() == (("a", "b"), 0.9)
    assert places([[1, 2, 3]] * 6 + [[2, 1, 3]] * 3 + [[3, 2, 1]], probability=0.91).smallest_set()[0] == (
        "a",
        "b",
        "c",
    )


def test_a_tie_at_the_end_asks_for_all_that_share_the_place() -> None:
    assert places([[1, 1, 3]] * 10).smallest_set() == (("a", "b"), 1.0)


def test_the_smallest_set_is_that_of_enumeration() -> None:
    rng = np.random.default_rng(4)
    table = np.argsort(np.argsort(rng.normal(np.arange(6) * 0.7, 1, (500, 6)), axis=1), axis=1) + 1
    found = RankUncertainty(difficulties=tuple("abcdef"), places=table, by="ballot", points=1, top=3, probability=0.9)
    leading = [frozenset(np.flatnonzero(row <= 3)) for row in table]
    for size in range(3, 7):
        shares = {c: np.mean([first <= set(c) for first in leading]) for c in combinations(range(6), size)}
        if max(shares.values()) >= 0.9:
            break
    chosen, share = found.smallest_set()
    assert len(chosen) == size
    assert share == pytest.approx(max(shares.values()))


def test_the_same_seed_gives_the_same_places_and_another_does_not() -> None:
    vote = ballots(400, 5, 5, points=20)
    first, again, other = (resample(vote, rng=np.random.default_rng(s), draws=200, **OPTIONS) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.places, again.places)
    assert (first.places != other.places).any()


def test_a_weight_of_zero_leaves_a_ballot_out() -> None:
    vote = ballots(300, 4, 5, points=12)
    weights = np.repeat([1.0, 0.0], 150)
    half = resample(vote, rng=np.random.default_rng(6), draws=100, weights=weights, **OPTIONS)
    point = np.unique(vote.attribute("collection_point"), return_inverse=True)[1]
    times = np.random.default_rng(6).multinomial(12, np.full(12, 1 / 12), size=100)
    sums = np.tensordot(times, vote.counts_by(point, 12, weights), axes=1)
    np.testing.assert_array_equal(half.places, majority_judgment.ranks(sums))


def test_a_difficulty_that_a_draw_loses_keeps_its_observed_grades() -> None:
    vote = ballots(24, 3, 5, points=12)
    lonely = vote.answers.copy()
    lonely[1:, 0] = -1
    lonely[0, 0] = 4
    rare = Ballots(
        difficulties=vote.difficulties,
        grades=vote.grades,
        answers=lonely,
        voters=vote.voters,
        attributes=vote.attributes,
        simulated=True,
    )
    found = resample(rare, rng=np.random.default_rng(2), draws=300, **OPTIONS)
    assert (found.places[:, 0] == 1).all()  # its only grade is the highest, in every draw


def test_too_many_difficulties_for_a_search_of_sets_are_refused() -> None:
    with pytest.raises(DataError, match="E-NEE-009"):
        resample(ballots(30, 17, 5, points=3), rng=np.random.default_rng(1), draws=100, **OPTIONS)


@pytest.mark.parametrize(("points", "by"), [(60, "collection_point"), (3, "ballot")])
def test_twenty_thousand_ballots_and_two_thousand_draws_take_less_than_ten_seconds(points: int, by: str) -> None:
    vote = ballots(20_000, 12, 7, points=points)
    start = time.process_time()  # of this process alone: the machine may be busy with others
    found = resample(vote, rng=np.random.default_rng(1), draws=2000, **OPTIONS)
    found.smallest_set()
    assert time.process_time() - start < 10
    assert (found.by, found.places.shape) == (by, (2000, 12))
