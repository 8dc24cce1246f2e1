"""Majority judgment: grades are words, the median decides, and ties are broken by what stands around the median.

The majority value of a list of grades is the sequence of medians (the lower of the two middle ones where there are
two) that appear as the median is taken out again and again; the majority ranking compares these sequences word by word.
Here it is computed from counts. Let C_j be the share of grades up to grade j. Walking away from the middle on both
sides at once, the grade below changes at the distance 1 − 2 C_j for every C_j < 1/2, the grade above at the distance
2 C_j − 1 for every C_j ≥ 1/2. The first change at which two lists differ decides: an earlier fall is worse, an earlier
rise is better, and at equal distance the fall is read first. So the order is that of K − 1 signed numbers, and a
thousand resamples are ranked by one sort.

Source: Balinski and Laraki (2007), PNAS 104(21); Balinski and Laraki (2011), *Majority Judgment*, chapters 1 and 13.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOISE_DIGITS = 12  # of a share; sums of weights carry rounding, whole counts divide exactly


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauges:
    """The majority gauge (p, α±, q) of each candidate.

    Attributes:
        majority_grade: (m,) median grade, 0 = lowest; the lower one where the middle falls between two.
        above: (m,) share p of grades above it.
        below: (m,) share q of grades below it.
        plus: (m,) True for α+, where p > q.
    """

    majority_grade: Integers
    above: Floats
    below: Floats
    plus: NDArray[np.bool_]


def profile(counts: Floats) -> Floats:
    """(…, m, K) shares of each grade, which sum to one for each candidate.

    Args:
        counts: (…, m, K) ballots, or sums of weights, that gave a candidate each grade; from the lowest grade on.

    Raises:
        DataError: nobody graded a candidate.
    """
    totals = counts.sum(axis=-1, keepdims=True)
    if not (totals > 0).all():
        raise DataError(
            code="E-NEE-001",
            what="nobody graded a candidate, so it has no median",
            where=f"candidate number {int(np.argwhere(totals[..., 0] <= 0)[0][-1]) + 1}",
            found="no grade",
            expected="at least one grade for each candidate",
            fix="leave the candidate out, or collect ballots that grade it",
        )
    return np.asarray(counts / totals)


def gauges(counts: Floats) -> Gauges:
    """The majority gauge of each candidate: p, α and its sign, q.

    Args:
        counts: (m, K), as in `profile`.
    """
    margins = _margins(counts)
    grade, rows = _median(margins), np.arange(len(margins))
    ends = np.ones((len(margins), 1))
    edges = np.concatenate([-ends, margins, ends], axis=1)
    low, high = edges[rows, grade], edges[rows, grade + 1]
    return Gauges(majority_grade=grade, above=(1 - high) / 2, below=(1 + low) / 2, plus=low + high < 0)


def ranks(counts: Floats) -> Integers:
    """(…, m) place of each candidate, 1 = first, by the full lexicographic order; ties share the better place.

    With the same number of grades for every candidate this is the order of majority values, exactly. With different
    numbers (an answer was left out) shares stand for counts: the order is then the one that many copies of each list,
    up to a common number, would have.

    Args:
        counts: (…, m, K), as in `profile`; leading axes are resamples.
    """
    keys = _keys(counts)
    order = np.lexsort(-np.moveaxis(keys[..., ::-1], -1, 0), axis=-1)
    ordered = np.take_along_axis(keys, order[..., None], axis=-2)
    fresh = np.concatenate(
        [np.ones((*order.shape[:-1], 1), dtype=bool), (np.diff(ordered, axis=-2) != 0).any(axis=-1)], axis=-1
    )
    places = np.maximum.accumulate(np.where(fresh, np.arange(1, order.shape[-1] + 1), 0), axis=-1)
    found = np.empty_like(places)
    np.put_along_axis(found, order, places, axis=-1)
    return found.astype(np.int64)


def majority_value(counts: Integers) -> Integers:
    """(n,) the sequence of majority grades of one candidate, for readers who want to follow a tie-break by hand.

    Args:
        counts: (K,) whole numbers of ballots.
    """
    grades = np.repeat(np.arange(len(counts)), counts)
    middle = (len(grades) - 1) // 2
    places = middle + _outwards(len(grades))
    return np.asarray(grades[places])


def _outwards(n: int) -> Integers:
    """Distances from the lower middle as medians are taken out: 0, −1, 1, −2, 2 … (n odd), 0, 1, −1, 2, −2 … (even)."""
    first = -1 if n % 2 else 1
    steps = np.arange(1, n)
    return np.concatenate([[0], np.where(steps % 2, first, -first) * ((steps + 1) // 2)]).astype(np.int64)


def _margins(counts: Floats) -> Floats:
    """(…, m, K−1) 2 C_j − 1 for each boundary between grades, C_j the share up to grade j; exact for whole counts."""
    profile(counts)
    totals = counts.sum(axis=-1, keepdims=True)
    margins = (2 * np.cumsum(counts, axis=-1)[..., :-1] - totals) / totals
    return np.asarray(margins if (np.floor(counts) == counts).all() else np.round(margins, NOISE_DIGITS))


def _median(margins: Floats) -> Integers:
    """The lowest grade up to which at least half of all grades lie."""
    return np.asarray((margins < 0).sum(axis=-1), dtype=np.int64)


def _keys(counts: Floats) -> Floats:
    """(…, m, K) what is compared, from left to right; larger is better.

    First the median, then one number for each boundary between grades, nearest to the middle first and, at the same
    distance d, falls before rises: d − 2 for a fall, 2 − d for a rise, so that near changes weigh most.
    """
    margins = _margins(counts)
    falls, distance = margins < 0, np.abs(margins)
    order = np.lexsort((~falls, distance), axis=-1)
    signed = np.where(falls, distance - 2, 2 - distance)
    return np.concatenate([_median(margins)[..., None], np.take_along_axis(signed, order, axis=-1)], axis=-1)
