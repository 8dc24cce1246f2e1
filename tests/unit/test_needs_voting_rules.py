"""Schulze, Borda and approval against textbook cases; disagreement is found; missing answers enter no comparison."""

import numpy as np
import pytest

from evaluation.needs import voting_rules
from evaluation.needs.ballots import Ballots

# Schulze (2003), Voting Matters 17, section 2, example with 45 voters: 5 ACBED, 5 ADECB, 8 BEDAC, 3 CABED, 7 CAEBD,
# 2 CBADE, 7 DCEBA, 8 EBADC.
SCHULZE = {"ACBED": 5, "ADECB": 5, "BEDAC": 8, "CABED": 3, "CAEBD": 7, "CBADE": 2, "DCEBA": 7, "EBADC": 8}
# Rows and columns A to E; the paper prints these strengths and the order E > A > C > B > D.
PATHS = [
    [0, 28, 28, 30, 24],
    [25, 0, 28, 33, 24],
    [25, 29, 0, 29, 24],
    [25, 28, 28, 0, 24],
    [25, 28, 28, 31, 0],
]
# The cities of Tennessee, the textbook case of Borda's rule: 42 % Memphis first, and so on.
TENNESSEE = {"MNCK": 42, "NCKM": 26, "CKNM": 15, "KCNM": 17}


def ballots(orders: dict[str, int], names: str) -> Ballots:
    """Ballots whose grades are the places in each order, from the end."""
    rows = [[len(names) - 1 - order.index(name) for name in names] for order in orders for _ in range(orders[order])]
    return graded(np.array(rows), tuple(names))


def graded(answers: np.ndarray, names: tuple[str, ...], grades: int = 5) -> Ballots:
    return Ballots(
        difficulties=names,
        grades=tuple(f"g{place}" for place in range(grades)),
        answers=answers.astype(np.int8),
        voters=np.arange(len(answers)),
        simulated=True,
    )


def test_strongest_paths_and_order_are_those_of_the_paper() -> None:
    wins, _ = voting_rules.pairwise(ballots(SCHULZE, "ABCDE"))
    np.testing.assert_array_equal(voting_rules.strongest_paths(wins), PATHS)
    assert dict(zip("ABCDE", voting_rules.schulze_ranks(wins).tolist(), strict=True)) == {
        "E": 1,
        "A": 2,
        "C": 3,
        "B": 4,
        "D": 5,
    }


def test_only_victories_are_ways_to_somewhere() -> None:
    # Three ballots for a over b, two against: b has no path to a, however many support it.
    np.testing.assert_array_equal(voting_rules.strongest_paths(np.array([[0.0, 3], [2, 0]])), [[0, 3], [0, 0]])


def test_borda_points_are_those_of_the_textbook() -> None:
    wins, ties = voting_rules.pairwise(ballots(TENNESSEE, "MNCK"))
    # Points 3, 2, 1, 0: Memphis 126, Nashville 194, Chattanooga 173, Knoxville 107; of 300 comparisons each.
    np.testing.assert_allclose(voting_rules.borda_shares(wins, ties) * 300, [126, 194, 173, 107], rtol=1e-12)


def test_nashville_wins_by_every_rule_and_memphis_by_approval_of_firsts_only() -> None:
    vote = ballots(TENNESSEE, "MNCK")
    found = voting_rules.standings(vote, approving=3)  # only the first place approves: plurality
    assert found.first("schulze") == found.first("borda") == ("N",)
    assert found.first("approval") == ("M",)
    assert "approval" in found.disagreements(1)


def test_rules_that_agree_are_not_said_to_disagree() -> None:
    vote = graded(np.array([[4, 2, 0], [4, 1, 0], [3, 2, 1]]), ("a", "b", "c"))
    found = voting_rules.standings(vote, approving=3)
    assert found.disagreements(1) == ()
    assert found.ordered("majority_judgment", 2) == ("a", "b")


def test_a_missing_answer_enters_no_comparison() -> None:
    # Two ballots: a above b; only a. b is compared once and lost; it is not ranked last by the second ballot.
    vote = graded(np.array([[3, 1], [0, -1]]), ("a", "b"))
    wins, ties = voting_rules.pairwise(vote)
    assert wins.tolist() == [[0, 1], [0, 0]]
    assert ties.tolist() == [[2, 0], [0, 1]]  # a difficulty ties with itself
    assert voting_rules.borda_shares(wins, ties).tolist() == [1, 0]


def test_ties_are_halves() -> None:
    wins, ties = voting_rules.pairwise(graded(np.array([[2, 2], [3, 1]]), ("a", "b")))
    assert voting_rules.borda_shares(wins, ties).tolist() == [0.75, 0.25]


def test_weights_are_copies_of_ballots() -> None:
    answers = np.array([[3, 1, 2], [0, 4, 4]])
    weights = np.array([2.0, 3.0])
    weighted = voting_rules.pairwise(graded(answers, ("a", "b", "c")), weights)
    copied = voting_rules.pairwise(graded(np.repeat(answers, [2, 3], axis=0), ("a", "b", "c")))
    np.testing.assert_array_equal(weighted, copied)


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097])
def test_blocks_of_ballots_change_nothing(n: int) -> None:
    answers = np.random.default_rng(n).integers(-1, 5, (n, 3))
    wins, _ = voting_rules.pairwise(graded(answers, ("a", "b", "c")))
    given = (answers[:, 0] >= 0) & (answers[:, 1] >= 0)
    assert wins[0, 1] == (given & (answers[:, 0] > answers[:, 1])).sum()
