"""Majority judgment against worked examples that were published, sequences written out by hand, and bad input."""

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.needs import majority_judgment as mj

# OpinionWay for Terra Nova, April 2011, seven grades from "à rejeter" to "excellent", about 1,000 people: an example of
# the article 'Jugement majoritaire' of French Wikipedia, read on 24 Nov 2026 as typed, in this order and with these
# majority grades, in the tests of an OCaml project, where the sequences further below stand too.
POLL_2011 = {
    "Aubry": ([184, 114, 196, 126, 170, 129, 82], 3),
    "Borloo": ([185, 159, 196, 223, 153, 62, 22], 2),
    "Villepin": ([219, 174, 207, 204, 119, 58, 20], 2),
    "Bayrou": ([193, 166, 261, 192, 128, 47, 12], 2),
    "Joly": ([309, 190, 203, 145, 74, 47, 32], 2),
    "Sarkozy": ([413, 118, 135, 95, 111, 87, 41], 1),
    "Chevènement": ([322, 247, 228, 129, 58, 11, 5], 1),
    "Mélenchon": ([418, 214, 165, 112, 50, 27, 13], 1),
    "Besancenot": ([442, 204, 161, 99, 69, 17, 8], 1),
    "Dupont-Aignan": ([467, 277, 139, 70, 27, 14, 5], 1),
    "Arthaud": ([480, 261, 137, 77, 34, 9, 1], 1),
    "Le Pen": ([556, 93, 78, 72, 70, 65, 68], 0),
}


def test_majority_grades_of_the_poll_of_2011_are_those_printed() -> None:
    counts = np.array([counts for counts, _ in POLL_2011.values()])
    assert mj.gauges(counts).majority_grade.tolist() == [grade for _, grade in POLL_2011.values()]


def test_the_ranking_of_the_poll_of_2011_is_the_order_in_which_it_is_listed() -> None:
    counts = np.array([counts for counts, _ in POLL_2011.values()])
    assert mj.ranks(counts).tolist() == list(range(1, 13))
    # Same median 2: Villepin 2+ (.401 above, .393 below), then Bayrou 2+ (.379, .359), then Joly 2- (.298, .499).
    found = mj.gauges(counts)
    assert found.plus.tolist()[:5] == [False, True, True, True, False]
    np.testing.assert_allclose(found.above[2:4], [0.401, 0.379], atol=5e-4)  # printed to three digits


# French Wikipedia's second and third examples: same median, the ties are broken step by step.
@pytest.mark.parametrize(
    ("counts", "sequence"),
    [
        ([0, 1, 2, 2, 0, 0, 0], [2, 2, 3, 1, 3]),
        ([0, 0, 3, 2, 0, 0, 0], [2, 2, 3, 2, 3]),
        ([1, 0, 2, 2, 1, 0, 0], [2, 3, 2, 3, 0, 4]),
        ([0, 1, 2, 3, 0, 0, 0], [2, 3, 2, 3, 1, 3]),
    ],
)
def test_the_majority_value_is_the_printed_sequence_of_medians(counts: list[int], sequence: list[int]) -> None:
    assert mj.majority_value(np.array(counts)).tolist() == sequence


def test_ties_are_broken_as_printed_where_the_first_medians_agree() -> None:
    # 2 2 3 1 3 against 2 2 3 2 3 differ in the fourth place; 2 3 2 3 0 4 against 2 3 2 3 1 3 in the fifth.
    assert mj.ranks(np.array([[0, 1, 2, 2, 0, 0, 0], [0, 0, 3, 2, 0, 0, 0]])).tolist() == [2, 1]
    assert mj.ranks(np.array([[1, 0, 2, 2, 1, 0, 0], [0, 1, 2, 3, 0, 0, 0]])).tolist() == [2, 1]


def test_equal_profiles_share_a_place() -> None:
    # The example of github MieuxVoter/majority-judgment-library-go README (read 24 Nov 2026): ranks 4 1 2 3 4.
    counts = [[2, 2, 2, 2, 2], [2, 1, 1, 1, 5], [2, 1, 1, 2, 4], [2, 1, 5, 0, 2], [2, 2, 2, 2, 2]]
    assert mj.ranks(np.array(counts)).tolist() == [4, 1, 2, 3, 4]


def test_the_gauge_holds_what_lies_above_and_below_the_median() -> None:
    # Ten grades 0 0 1 1 1 1 1 2 2 2: the median is 1; three above, two below: p = .3 > q = .2, hence 1+.
    found = mj.gauges(np.array([[2, 5, 3]]))
    assert (found.majority_grade[0], found.plus[0]) == (1, True)
    assert (found.above[0], found.below[0]) == pytest.approx((0.3, 0.2), abs=1e-15)
    # p = q is a minus (Balinski and Laraki: plus only where p > q).
    assert not mj.gauges(np.array([[2, 5, 2]])).plus[0]


def test_an_even_number_of_grades_takes_the_lower_middle_one() -> None:
    assert mj.gauges(np.array([[2, 0, 2]])).majority_grade[0] == 0


def test_profiles_with_different_numbers_of_answers_are_compared_by_shares() -> None:
    # Twice the same profile with half of the answers: a tie, exactly (1/3 and 2/6 are the same number).
    assert mj.ranks(np.array([[1, 1, 1], [2, 2, 2], [3, 2, 1]])).tolist() == [1, 1, 3]


def test_weights_rank_as_counts_do_up_to_rounding() -> None:
    counts = np.array([[3, 4, 3], [3, 3, 4], [4, 3, 3]])
    weights = np.full(10, 0.1) * 3
    assert mj.ranks(counts * weights.sum()).tolist() == mj.ranks(counts).tolist() == [2, 1, 3]


def test_resamples_are_ranked_at_once() -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(1, 6, (7, 3, 4, 5))
    together = mj.ranks(counts)
    apart = [[mj.ranks(counts[i, j]) for j in range(3)] for i in range(7)]
    np.testing.assert_array_equal(together, apart)


def test_a_candidate_that_nobody_graded_is_refused() -> None:
    with pytest.raises(DataError, match="E-NEE-001") as caught:
        mj.ranks(np.array([[1, 2], [0, 0]]))
    assert "number 2" in caught.value.where
