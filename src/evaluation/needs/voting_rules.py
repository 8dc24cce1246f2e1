"""Other rules on the same ballots: Schulze, Borda, approval. They check the official one; where they disagree, say so.

All three read ballots as what they are: a grade is compared with the other grades of the same ballot only, a missing
answer enters no comparison.

Source: Schulze (2011), Social Choice and Welfare 36, section 2 (winning votes); Emerson (2013) on Borda with ties;
Brams and Fishburn (1983), *Approval Voting*.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.needs import majority_judgment
from evaluation.needs.ballots import NO_ANSWER, Ballots, Floats
from evaluation.needs.majority_judgment import Integers

OFFICIAL = "majority_judgment"
_BLOCK = 4096  # ballots compared at a time, so that memory does not grow with their number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standings:
    """What each rule says about the same ballots.

    Attributes:
        difficulties: (m,) ids.
        places: rule -> (m,) place of each difficulty, 1 = first; ties share the better place.
        scores: rule -> (m,) the number behind it: share of comparisons won (borda), share of approvals (approval).
    """

    difficulties: tuple[str, ...]
    places: Mapping[str, Integers]
    scores: Mapping[str, Floats]

    def first(self, rule: str) -> tuple[str, ...]:
        """The difficulties that a rule puts first."""
        return self._where(self.places[rule] == 1)

    def leading(self, rule: str, top: int) -> tuple[str, ...]:
        """The difficulties among the first `top`, ties at the end included."""
        return self._where(self.places[rule] <= top)

    def ordered(self, rule: str, top: int) -> tuple[str, ...]:
        """The same, in the order of their places."""
        order = np.argsort(self.places[rule], kind="stable")
        return tuple(self.difficulties[place] for place in order if self.places[rule][place] <= top)

    def disagreements(self, top: int) -> tuple[str, ...]:
        """The rules whose first difficulty, or whose first `top`, are not those of the official rule."""
        same = {
            rule: self.first(rule) == self.first(OFFICIAL) and self.leading(rule, top) == self.leading(OFFICIAL, top)
            for rule in self.places
        }
        return tuple(rule for rule, agrees in same.items() if not agrees)

    def _where(self, mask: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(name for name, chosen in zip(self.difficulties, mask, strict=True) if chosen)


def standings(ballots: Ballots, approving: int, weights: Floats | None = None) -> Standings:
    """Majority judgment, Schulze, Borda and approval on the same ballots.

    Args:
        ballots: (n, m) answers.
        approving: place of the lowest grade that counts as approval.
        weights: (n,) of ballots; one each by default.
    """
    counts = ballots.counts(weights)
    wins, ties = pairwise(ballots, weights)
    borda, approval = borda_shares(wins, ties), approval_shares(counts, approving)
    return Standings(
        difficulties=ballots.difficulties,
        places={
            OFFICIAL: majority_judgment.ranks(counts),
            "schulze": schulze_ranks(wins),
            "borda": _places(borda),
            "approval": _places(approval),
        },
        scores={"borda": borda, "approval": approval},
    )


def pairwise(ballots: Ballots, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """(m, m) ballots that grade i above j, and ballots that grade them alike; both must have an answer."""
    m = len(ballots.difficulties)
    wins, ties = np.zeros((m, m)), np.zeros((m, m))
    for start in range(0, len(ballots), _BLOCK):
        rows = slice(start, start + _BLOCK)
        answers = ballots.answers[rows]
        weight = np.ones(len(answers)) if weights is None else weights[rows]
        given = answers != NO_ANSWER
        both = given[:, :, None] & given[:, None, :]
        wins += np.tensordot(weight, (answers[:, :, None] > answers[:, None, :]) & both, axes=1)
        ties += np.tensordot(weight, (answers[:, :, None] == answers[:, None, :]) & both, axes=1)
    return wins, ties


def strongest_paths(wins: Floats) -> Floats:
    """(m, m) strength of the strongest path from i to j: the largest, over paths, of the weakest victory on it.

    A victory of i over j is as strong as the number of ballots that grade i above j (winning votes). Floyd and
    Warshall's recursion, one step for each candidate on the way.
    """
    strength = np.where(wins > wins.T, wins, 0.0)
    for via in range(len(wins)):
        strength = np.maximum(strength, np.minimum(strength[:, via, None], strength[None, via, :]))
    np.fill_diagonal(strength, 0.0)
    return strength


def schulze_ranks(wins: Floats) -> Integers:
    """(m,) one more than the number of candidates that beat each by a stronger path; this relation is transitive."""
    strength = strongest_paths(wins)
    return np.asarray(1 + (strength < strength.T).sum(axis=1), dtype=np.int64)


def borda_shares(wins: Floats, ties: Floats) -> Floats:
    """(m,) share of comparisons won, ties as halves; with complete ballots, Borda points / (n (m − 1))."""
    apart = ~np.eye(len(wins), dtype=bool)
    won = np.where(apart, wins + ties / 2, 0.0).sum(axis=1)
    compared = np.where(apart, wins + wins.T + ties, 0.0).sum(axis=1)
    return np.asarray(np.divide(won, compared, out=np.zeros(len(won)), where=compared > 0))


def approval_shares(counts: Floats, approving: int) -> Floats:
    """(m,) share of answers at the approving grade or above."""
    return np.asarray(majority_judgment.profile(counts)[:, approving:].sum(axis=1))


def _places(score: Floats) -> Integers:
    rounded = np.round(score, majority_judgment.NOISE_DIGITS)
    return np.asarray(1 + (rounded[None, :] > rounded[:, None]).sum(axis=1), dtype=np.int64)
