"""How sure a ranking of difficulties is: resampled collection points, and sets instead of places.

Voters at one place, such as a market or a school gate, resemble each other, so collection points are drawn again, not
ballots, as soon as there are enough of them. With few points that would be a lottery among a handful of outcomes;
ballots are then drawn within each point, and the result says that it does not know how other points would have voted.

Each draw is a sum of grade counts by point, ranked whole by majority judgment. The smallest set that contains the true
first k with a probability is searched among all sets: it contains the first k of that share of the draws. Resamples
follow the ballots, not the truth: near a tie this is an approximation, and a wide set is the honest answer.

Source: Efron and Tibshirani (1993), chapters 6 and 8 (clusters); Goldstein and Spiegelhalter (1996) on intervals of
ranks; Mogstad, Romano, Shaikh and Wilhelm (2024) on what can be claimed of the best k.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.needs import majority_judgment
from evaluation.needs.ballots import NO_ANSWER, POINT, Ballots, Floats
from evaluation.needs.majority_judgment import Integers

SET_LIMIT = 16  # difficulties; all their sets are looked at, 65,536 at most
_CELLS = 2_000_000  # weights drawn at a time when ballots are resampled

By = Literal["collection_point", "ballot"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankUncertainty:
    """What resampling says about places.

    Attributes:
        difficulties: (m,) ids.
        places: (draws, m) place in each draw.
        by: what was drawn again.
        points: collection points.
        top: k.
        probability: of the set.
    """

    difficulties: tuple[str, ...]
    places: Integers
    by: By
    points: int
    top: int
    probability: float

    @property
    def first(self) -> Floats:
        """(m,) probability of being first, alone or tied."""
        return np.asarray((self.places == 1).mean(axis=0))

    @property
    def among_top(self) -> Floats:
        """(m,) probability of being among the first k, ties at the end included."""
        return np.asarray((self.places <= self.top).mean(axis=0))

    def interval(self, level: float = 0.90) -> tuple[Integers, Integers]:
        """(m,) lowest and highest place between the quantiles that leave (1 − level) / 2 of the draws on each side."""
        tails = np.round([(1 - level) / 2, (1 + level) / 2], majority_judgment.NOISE_DIGITS)
        low, high = np.quantile(self.places, tails, axis=0, method="inverted_cdf")
        return low.astype(np.int64), high.astype(np.int64)

    def smallest_set(self) -> tuple[tuple[str, ...], float]:
        """The smallest set with the first k of a share `probability` of the draws, and that share.

        Among sets of one size, the one with the largest share; among those, the first in the order of the ballot.
        """
        inside = _containment(self.places <= self.top)
        m = len(self.difficulties)
        for size in range(min(self.top, m), m + 1):
            masks = [sum(1 << place for place in chosen) for chosen in combinations(range(m), size)]
            best = max(masks, key=lambda mask: (inside[mask], _earliest(mask, m)))
            if inside[best] >= self.probability:
                chosen = tuple(name for place, name in enumerate(self.difficulties) if best >> place & 1)
                return chosen, float(inside[best])
        return self.difficulties, 1.0


def resample(
    ballots: Ballots,
    *,
    rng: np.random.Generator,
    draws: int,
    top: int,
    probability: float,
    few_points: int,
    weights: Floats | None = None,
) -> RankUncertainty:
    """Places in resamples of the ballots.

    Args:
        ballots: with a collection point each.
        rng: source of the draws.
        draws: how many.
        top: k.
        probability: with which the set must contain the first k.
        few_points: below so many points ballots are drawn within points.
        weights: (n,) of ballots; they stay with their ballot.

    Raises:
        DataError: more difficulties than all sets of them can be looked at.
    """
    if len(ballots.difficulties) > SET_LIMIT:
        raise DataError(
            code="E-NEE-009",
            what="There are too many difficulties to search all sets of them.",
            found=f"{len(ballots.difficulties)} difficulties",
            expected=f"at most {SET_LIMIT}",
            fix="group difficulties, or ask by best-worst scaling, which is made for long lists",
        )
    names, codes = np.unique(ballots.attribute(POINT).astype(str), return_inverse=True)
    points = len(names)
    by: By = "collection_point" if points >= few_points else "ballot"
    counts = _by_point if by == "collection_point" else _by_ballot
    sums = counts(ballots, codes.astype(np.int64), points, weights, rng, draws)
    return RankUncertainty(
        difficulties=ballots.difficulties,
        places=majority_judgment.ranks(sums),
        by=by,
        points=points,
        top=top,
        probability=probability,
    )


def _by_point(
    ballots: Ballots, codes: Integers, points: int, weights: Floats | None, rng: np.random.Generator, draws: int
) -> Floats:
    """(draws, m, K) sums of the counts of points drawn with replacement: one matrix product."""
    counts = ballots.counts_by(codes, points, weights)
    times = rng.multinomial(points, np.full(points, 1 / points), size=draws).astype(float)
    return _graded(np.tensordot(times, counts, axes=1), ballots.counts(weights))


def _by_ballot(
    ballots: Ballots, codes: Integers, points: int, weights: Floats | None, rng: np.random.Generator, draws: int
) -> Floats:
    """(draws, m, K) sums over ballots drawn with replacement within each point, some draws at a time."""
    answers, K = ballots.answers, len(ballots.grades)
    weight = np.ones(len(ballots)) if weights is None else weights
    given = (answers[:, :, None] == np.arange(K)) & (answers != NO_ANSWER)[:, :, None]
    table = (given * weight[:, None, None]).reshape(len(ballots), -1)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=points)
    step = max(1, _CELLS // len(ballots))
    sums = [_times(sizes, rng, min(step, draws - start)) @ table[order] for start in range(0, draws, step)]
    return _graded(np.concatenate(sums).reshape(draws, *answers.shape[1:], K), ballots.counts(weights))


def _times(sizes: Integers, rng: np.random.Generator, draws: int) -> Floats:
    """(draws, n) how often each ballot is drawn, points one after the other."""
    parts = []
    for size in sizes:
        drawn = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
        parts.append(np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size))
    return np.concatenate(parts, axis=1).astype(float)


def _graded(sums: Floats, observed: Floats) -> Floats:
    """A difficulty that nobody graded in a draw keeps its observed counts there, so that it has a place."""
    empty = sums.sum(axis=-1) == 0
    sums[empty] = np.broadcast_to(observed, sums.shape)[empty]
    return sums


def _containment(leading: NDArray[np.bool_]) -> Floats:
    """(2^m,) share of draws whose leaders all lie in each set (bit j = difficulty j): sums over subsets."""
    m = leading.shape[1]
    masks = leading @ (1 << np.arange(m))
    share = np.bincount(masks, minlength=1 << m) / len(leading)
    for place in range(m):
        pairs = share.reshape(-1, 2, 1 << place)
        pairs[:, 1] += pairs[:, 0]
    return np.round(share, majority_judgment.NOISE_DIGITS)


def _earliest(mask: int, m: int) -> int:
    """Larger for sets whose members come earlier on the ballot."""
    return sum(1 << (m - 1 - place) for place in range(m) if mask >> place & 1)
