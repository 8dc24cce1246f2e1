"""Laws of voting: who is asked first and how difficulties are called must not matter, and more support never harms."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.needs import majority_judgment, voting_rules
from evaluation.needs.ballots import NO_ANSWER, Ballots
from evaluation.needs.rank_uncertainty import RankUncertainty

GRADES = 5
RULES = ("majority_judgment", "schulze", "borda", "approval")


def answers(missing: bool = False, most: int = 12) -> st.SearchStrategy[np.ndarray]:
    lowest = NO_ANSWER if missing else 0
    shapes = st.tuples(st.integers(1, most), st.integers(2, 5))
    tables = shapes.flatmap(lambda shape: arrays(np.int8, shape, elements=st.integers(lowest, GRADES - 1)))
    return tables.filter(lambda table: (table != NO_ANSWER).any(axis=0).all())


def ballots(table: np.ndarray) -> Ballots:
    return Ballots(
        difficulties=tuple(f"d{place}" for place in range(table.shape[1])),
        grades=tuple(f"g{place}" for place in range(GRADES)),
        answers=table,
        voters=np.arange(len(table)),
        simulated=True,
    )


def places(table: np.ndarray) -> dict[str, np.ndarray]:
    return dict(voting_rules.standings(ballots(table), approving=2).places)


def sequence(grades: np.ndarray) -> list[int]:
    """The majority value, by taking out the median again and again."""
    left = sorted(grades.tolist())
    return [left.pop((len(left) - 1) // 2) for _ in range(len(left))]


@given(answers())
def test_places_are_those_of_majority_values_compared_word_by_word(table: np.ndarray) -> None:
    values = [sequence(column) for column in table.T]
    expected = [1 + sum(other > value for other in values) for value in values]
    assert places(table)["majority_judgment"].tolist() == expected
    counts = ballots(table).counts().astype(int)
    assert [majority_judgment.majority_value(row).tolist() for row in counts] == values


@given(answers(missing=True), st.randoms(use_true_random=False))
def test_neutrality_places_follow_difficulties_wherever_they_stand(table: np.ndarray, random) -> None:
    order = list(range(table.shape[1]))
    random.shuffle(order)
    before, after = places(table), places(table[:, order])
    for rule in RULES:
        np.testing.assert_array_equal(after[rule], before[rule][order])


@given(answers(missing=True), st.randoms(use_true_random=False))
def test_anonymity_the_order_of_ballots_does_not_matter(table: np.ndarray, random) -> None:
    order = list(range(len(table)))
    random.shuffle(order)
    before, after = places(table), places(table[order])
    for rule in RULES:
        np.testing.assert_array_equal(after[rule], before[rule])


@given(answers(), st.data())
def test_monotonicity_a_higher_grade_never_harms_the_difficulty_that_gets_it(table: np.ndarray, data) -> None:
    voter = data.draw(st.integers(0, len(table) - 1))
    item = data.draw(st.integers(0, table.shape[1] - 1))
    higher = table.copy()
    higher[voter, item] = data.draw(st.integers(int(table[voter, item]), GRADES - 1))
    before, after = places(table), places(higher)
    for rule in RULES:
        assert after[rule][item] <= before[rule][item], rule


@given(answers(), st.integers(2, 5))
def test_copies_of_all_ballots_change_nothing(table: np.ndarray, times: int) -> None:
    before, after = places(table), places(np.repeat(table, times, axis=0))
    for rule in RULES:
        np.testing.assert_array_equal(after[rule], before[rule])


@given(answers())
def test_independence_a_difficulty_more_on_the_ballot_never_reverses_two_others(table: np.ndarray) -> None:
    """Majority judgment looks at each difficulty alone (Balinski and Laraki 2007); Schulze and Borda do not."""
    whole, part = places(table)["majority_judgment"], places(table[:, :2])["majority_judgment"]
    assert np.sign(whole[0] - whole[1]) == np.sign(part[0] - part[1])


@given(answers(most=30))
def test_the_gauge_decides_wherever_it_differs(table: np.ndarray) -> None:
    counts = ballots(table).counts()
    found, ranks = majority_judgment.gauges(counts), majority_judgment.ranks(counts)
    size = np.where(found.plus, found.above, -found.below)
    key = list(zip(found.majority_grade.tolist(), found.plus.tolist(), np.round(size, 12).tolist(), strict=True))
    for i in range(len(key)):
        for j in range(len(key)):
            assert not (key[i] > key[j] and ranks[i] >= ranks[j])


@settings(max_examples=50)
@given(arrays(np.int64, st.tuples(st.integers(5, 40), st.just(5)), elements=st.integers(1, 5)), st.integers(1, 4))
def test_the_smallest_set_holds_what_it_promises(table: np.ndarray, top: int) -> None:
    found = RankUncertainty(difficulties=tuple("abcde"), places=table, by="ballot", points=1, top=top, probability=0.9)
    chosen, share = found.smallest_set()
    inside = np.array([name in chosen for name in found.difficulties])
    held = ((table <= top) <= inside).all(axis=1).mean()
    assert held == np.float64(share).round(12) or abs(held - share) < 1e-12
    assert share >= 0.9
