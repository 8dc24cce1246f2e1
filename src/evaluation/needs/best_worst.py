"""Best-worst scaling, for lists too long to grade: of four difficulties at a time, the most and the least serious.

Counts are enough for a first look: (times most serious − times least serious) / times shown. The conditional logit
uses which others stood on the same screen: a difficulty is named most serious with probability exp(u_j) / Σ exp(u_k)
over the screen, and least serious among the remaining ones with probability exp(−u_j) / Σ exp(−u_k). Utilities are
relative to their mean; voters are the independent units.

Source: Finn and Louviere (1992); Marley and Louviere (2005) for the sequential model; Train (2009), chapter 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from evaluation.errors import DataError
from evaluation.impact.effects import Effects
from evaluation.needs.ballots import VOTER, Floats, folded
from evaluation.needs.majority_judgment import Integers
from evaluation.sample.readers import read as read_source
from evaluation.sample.table import texts
from evaluation.settings.designs import Source
from evaluation.settings.facts import Difficulty

SIZE = 4  # difficulties on a screen
MANY = 10  # difficulties from which on grading them all is too much to ask
_STEPS = 100
_FLAT = 1e-10  # of the mean gradient


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """Answers to screens.

    Attributes:
        difficulties: (m,) ids.
        screens: (s, size) places of the difficulties shown.
        best: (s,) position on the screen (0..size−1) of the most serious.
        worst: (s,) position of the least serious.
        voters: (s,) who answered.
    """

    difficulties: tuple[str, ...]
    screens: Integers
    best: Integers
    worst: Integers
    voters: NDArray[np.object_]

    def __post_init__(self) -> None:
        """Refuse screens that cannot be."""
        size = self.screens.shape[1]
        ordered = np.sort(self.screens, axis=1)
        wrong = (
            (self.best == self.worst)
            | (np.minimum(self.best, self.worst) < 0)
            | (np.maximum(self.best, self.worst) >= size)
            | (np.diff(ordered, axis=1) == 0).any(axis=1)
        )
        if wrong.any():
            raise DataError(
                code="E-NEE-010",
                what="An answer to a screen cannot be.",
                where=f"screens {', '.join(str(place + 1) for place in np.flatnonzero(wrong)[:5])}",
                found="one difficulty as most and least serious, one shown twice, or a position off the screen",
                expected=f"{size} different difficulties, two different answers among them",
                fix="leave the screen out; its voter's other screens still count",
            )


def read(file: Path, difficulties: Sequence[Difficulty], *, separator: str = ";") -> Choices:
    """Typed answers: a row a screen, with columns voter, shown_1 … shown_4, best and worst; names by id or by label.

    Args:
        file: CSV or workbook, anywhere.
        difficulties: that screens may show.
        separator: of a text file.

    Raises:
        DataError: the file cannot be read, a name is unknown, or an answer cannot be.
    """
    shown = [f"shown_{place}" for place in range(1, SIZE + 1)]
    plain = file.suffix.lower() in (".csv", ".tsv", ".txt")
    source = Source(file=file.name, separator=separator if plain else None)
    table = read_source(source, (VOTER, *shown, "best", "worst"), file=file).table
    words = pd.DataFrame({name: texts(table, name) for name in (*shown, "best", "worst")}).fillna("")
    known = {folded(word): place for place, row in enumerate(difficulties) for word in _names(row)}
    places = words.map(folded).map(lambda word: known.get(word, -1))
    if (places < 0).any(axis=None):
        raise _unknown_difficulty(words, places, table.places["row"], difficulties, file.name)
    screens = places[shown].to_numpy()
    best, worst = (_position(screens, places[name].to_numpy()) for name in ("best", "worst"))
    return Choices(
        difficulties=tuple(row.id for row in difficulties),
        screens=screens,
        best=best,
        worst=worst,
        voters=texts(table, VOTER).to_numpy(dtype=object),
    )


def screens(difficulties: int, per_voter: int, voters: int, rng: np.random.Generator, size: int = SIZE) -> Integers:
    """(voters, per_voter, size) places of difficulties: each voter sees all of them as equally often as can be.

    For each voter the list is shuffled as often as needed and cut into screens; a screen with a repeat is shuffled
    again. Each difficulty is shown per_voter × size / difficulties times to a voter, up to one.
    """
    plans = [_plan(difficulties, per_voter, size, rng) for _ in range(voters)]
    return np.stack(plans)


def counts(choices: Choices) -> pd.DataFrame:
    """Index difficulty; columns shown, best, worst (times) and score = (best − worst) / shown."""
    m, rows = len(choices.difficulties), np.arange(len(choices.screens))
    shown = np.bincount(choices.screens.ravel(), minlength=m)
    best = np.bincount(choices.screens[rows, choices.best], minlength=m)
    worst = np.bincount(choices.screens[rows, choices.worst], minlength=m)
    score = np.divide(best - worst, shown, out=np.full(m, np.nan), where=shown > 0)
    index = pd.Index(choices.difficulties, name="difficulty")
    return pd.DataFrame({"shown": shown, "best": best, "worst": worst, "score": score}, index=index)


def utilities(choices: Choices) -> Effects:
    """Utility of each difficulty relative to the mean, with the influence of each voter on it.

    Maximum likelihood by Newton steps, halved until they raise the likelihood, which is concave. Influence of a voter
    = number of voters × (information)⁻¹ × the voter's score, in the space where utilities sum to zero.

    Raises:
        DataError: a difficulty is never shown, or is always (or never) preferred, so that its utility has no bound.
    """
    m = len(choices.difficulties)
    _require_comparable(choices)
    contrast = _centred(m)
    theta = np.zeros(m - 1)
    for _ in range(_STEPS):
        gradient, information = _slope(choices, contrast @ theta)
        gradient, information = contrast.T @ gradient.sum(axis=0), contrast.T @ information @ contrast
        if np.abs(gradient).max() <= _FLAT * len(choices.screens):
            break
        theta = _raised(choices, contrast, theta, np.linalg.solve(information, gradient))
    scores, information = _slope(choices, contrast @ theta)
    voters, codes = np.unique(choices.voters.astype(str), return_inverse=True)
    by_voter = np.zeros((len(voters), m))
    np.add.at(by_voter, codes, scores)
    influence = len(voters) * by_voter @ contrast @ np.linalg.inv(contrast.T @ information @ contrast) @ contrast.T
    labels = pd.DataFrame({"term": "utility", "difficulty": choices.difficulties})
    return Effects(
        estimate=contrast @ theta,
        labels=labels,
        influence=influence - influence.mean(axis=0),
        units=pd.Index(voters, name="voter"),
    )


def log_likelihood(choices: Choices, utility: Floats) -> float:
    """Log of the probability of all answers."""
    shown, rows = utility[choices.screens], np.arange(len(choices.screens))
    best = shown[rows, choices.best] - logsumexp(shown, axis=1)
    left = _without_best(choices, -shown)
    worst = left[rows, choices.worst] - logsumexp(left, axis=1)
    return float((best + worst).sum())


def _names(row: Difficulty) -> tuple[str, ...]:
    return row.id, row.label_fr, row.label_en


def _position(screens: Integers, chosen: Integers) -> Integers:
    """Where on its screen each answer stands; −1 where it was not shown."""
    hits = screens == chosen[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1), -1)


def _unknown_difficulty(
    words: pd.DataFrame, places: pd.DataFrame, rows: "pd.Series[int]", difficulties: Sequence[Difficulty], name: str
) -> DataError:
    column = next(column for column in places if (places[column] < 0).any())
    wrong = (places[column] < 0).to_numpy()
    return DataError(
        code="E-NEE-016",
        what="A screen names a difficulty that is not on the list.",
        where=f"{name}, column {column}, row {', '.join(str(row) for row in rows[wrong][:5])}",
        found=", ".join(sorted({repr(word) for word in words[column][wrong]})[:5]),
        expected=", ".join(row.id for row in difficulties),
        fix="correct the name, or delete the row: the voter's other screens still count",
    )


def _plan(difficulties: int, per_voter: int, size: int, rng: np.random.Generator) -> Integers:
    rounds = -(-per_voter * size // difficulties)
    while True:
        order = np.concatenate([rng.permutation(difficulties) for _ in range(rounds)])
        plan = order[: per_voter * size].reshape(per_voter, size)
        if (np.diff(np.sort(plan, axis=1), axis=1) > 0).all():
            return np.asarray(plan)


def _require_comparable(choices: Choices) -> None:
    """Everything must win and lose somewhere, and no group may always win against the rest (Ford 1957)."""
    from scipy.sparse.csgraph import connected_components

    m, rows = len(choices.difficulties), np.arange(len(choices.screens))
    beats = np.zeros((m, m), dtype=bool)
    beats[choices.screens[rows, choices.best][:, None], choices.screens] = True
    beats[choices.screens, choices.screens[rows, choices.worst][:, None]] = True
    np.fill_diagonal(beats, False)
    parts, groups = connected_components(beats, directed=True, connection="strong")
    if parts > 1:
        largest = int(np.argmax(np.bincount(groups)))
        apart = [name for name, group in zip(choices.difficulties, groups, strict=True) if group != largest]
        raise DataError(
            code="E-NEE-011",
            what="The answers do not place every difficulty: some always win, always lose, or are never shown.",
            where=", ".join(apart),
            found=f"{parts} groups that no chain of choices links in both directions",
            expected="one group",
            fix="collect more screens, or read the counts instead of the model",
        )


def _centred(m: int) -> Floats:
    """(m, m−1) orthonormal columns that sum to zero."""
    basis = np.vstack([np.ones(m), np.eye(m)[:-1]]).T
    return np.asarray(np.linalg.qr(basis)[0][:, 1:])


def _without_best(choices: Choices, values: Floats) -> Floats:
    left = values.copy()
    left[np.arange(len(left)), choices.best] = -np.inf
    return left


def _slope(choices: Choices, utility: Floats) -> tuple[Floats, Floats]:
    """(s, m) score of each screen, and (m, m) information of all."""
    m, rows = len(utility), np.arange(len(choices.screens))
    shown = utility[choices.screens]
    first, last = softmax(shown, axis=1), softmax(_without_best(choices, -shown), axis=1)
    on_screen = last - first
    on_screen[rows, choices.best] += 1
    on_screen[rows, choices.worst] -= 1
    scores = np.zeros((len(rows), m))
    scores[rows[:, None], choices.screens] = on_screen
    information = np.zeros((m, m))
    for share in (first, last):
        spread = np.zeros((len(rows), m))
        spread[rows[:, None], choices.screens] = share
        information += np.diag(spread.sum(axis=0)) - spread.T @ spread
    return scores, information


def _raised(choices: Choices, contrast: Floats, theta: Floats, step: Floats) -> Floats:
    start, share = log_likelihood(choices, contrast @ theta), 1.0
    while share > _FLAT and log_likelihood(choices, contrast @ (theta + share * step)) < start:
        share /= 2
    return np.asarray(theta + share * step)
