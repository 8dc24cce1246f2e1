"""Nearest neighbours for matching: row numbers in, row numbers out.

Distance is the absolute difference of points with one column and the Euclidean distance of points with several.
Distances that differ by less than `TIE` are the same, so that the last digits of a machine's arithmetic do not choose
partners.

Ties are broken by the order of rows, which is the order of unit ids. Rows are ranked by their first column, then by row
number. With one column, of partners at the same distance the lower one wins over the higher one, and of equal partners
the one next in rank. With several columns partners below come first too, but of equal ones the farthest in rank. These
are the rules of MatchIt 4.7.1, whose matched pairs are reproduced exactly (tests/golden). Where rules forbid pairs,
the nearest allowed partner with the lowest row wins.

Sources: greedy matching as in Ho, Imai, King and Stuart (2011); the next free partner by union-find (Tarjan 1975), so
that n units take O(n log n); k-d trees (Bentley 1975) for several columns.
"""

from __future__ import annotations

import heapq

import numpy as np

from evaluation.impact.free_partners import Allowed, Free, FreeLine, free_of, ranked
from evaluation.impact.pair_rules import Rules
from evaluation.impact.places import NOBODY, TIE, Floats, Places, Rows

__all__ = [
    "NOBODY",
    "TIE",
    "Floats",
    "Rows",
    "nearest_others",
    "nearest_with_replacement",
    "nearest_without_replacement",
]

_DIGITS = 10


def nearest_with_replacement(
    points: Floats, focal: Rows, pool: Rows, k: int, width: float = np.inf, *, rules: Rules | None = None
) -> Rows:
    """The k nearest members of the pool for every focal row; a member may serve several focal rows.

    Args:
        points: (n, d).
        focal: (m,) rows that look for partners.
        pool: (p,) rows that may be partners, ascending.
        k: partners wanted.
        width: largest distance allowed.
        rules: pairs that may not be.

    Returns:
        (m, k) rows, nearest first, `NOBODY` where there is none.
    """
    wanted = min(k, len(pool))
    out = np.full((len(focal), k), NOBODY, dtype=np.intp)
    if wanted and len(focal) and rules is not None:
        search = Allowed(points, focal, pool, rules)
        for i in range(len(focal)):
            places, _ = search.first(i, wanted, width + TIE)
            out[i, : len(places)] = pool[places]
    elif wanted and len(focal):
        found, distance = _search(points, focal, pool, wanted)
        out[:, :wanted] = np.where(distance <= width + TIE, found, NOBODY)
    return out


def nearest_without_replacement(
    points: Floats,
    focal: Rows,
    pool: Rows,
    k: int,
    width: float = np.inf,
    *,
    wanted: Rows | None = None,
    closest: bool = False,
    rules: Rules | None = None,
) -> Rows:
    """Greedy matching: focal rows choose in turn among those left; all choose once before any chooses again.

    A focal row that finds nobody within `width` does not try again in later rounds.

    Args:
        points: (n, d).
        focal: (m,) rows in the order in which they choose.
        pool: (p,) rows that may be partners, ascending.
        k: rounds, that is the largest number of partners of one focal row.
        width: largest distance allowed.
        wanted: (m,) partners that each focal row wants, at most k; k for all if None.
        closest: in each round the pair at the smallest distance is made first, then the next of those left; of two
            pairs at one distance the one whose focal row comes first.
        rules: pairs that may not be.

    Returns:
        (m, k) rows, first choice first, `NOBODY` where there is none. No row occurs twice.
    """
    out = np.full((len(focal), k), NOBODY, dtype=np.intp)
    if not len(pool) or not len(focal):
        return out
    free = free_of(points, focal, pool, rules)
    active = list(range(len(focal)))
    for turn in range(k):
        if wanted is not None:
            active = [i for i in active if wanted[i] > turn]
        out[active, turn] = found = _round(free, active, width + TIE, closest=closest)
        active = np.array(active, dtype=np.intp)[found != NOBODY].tolist()
    return out


def _round(free: Free, active: list[int], width: float, *, closest: bool) -> Rows:
    """Rows that these focal rows take, each one or `NOBODY`."""
    if closest:
        return np.array(_closest_round(free, active, width), dtype=np.intp)
    if isinstance(free, FreeLine):
        return free.round(active, width)
    found = []
    for i in active:
        place, _ = free.nearest(i, width)
        found.append(NOBODY if place == NOBODY else free.take(i, place))
    return np.array(found, dtype=np.intp)


def _closest_round(free: Free, active: list[int], width: float) -> list[int]:
    """The smallest distance first; whose partner was taken meanwhile asks again and waits for its new distance."""
    found = dict.fromkeys(active, NOBODY)
    asked = [(*free.nearest(i, width)[::-1], i) for i in active]
    queue = [(distance, i, place) for distance, place, i in asked if place != NOBODY]
    heapq.heapify(queue)
    while queue:
        distance, i, _ = heapq.heappop(queue)
        place, now = free.nearest(i, width)
        if place == NOBODY:
            continue
        if now > distance + TIE:
            heapq.heappush(queue, (now, i, place))
        else:
            found[i] = free.take(i, place)
    return list(found.values())


def nearest_others(points: Floats, rows: Rows, pool: Rows, k: int) -> Rows:
    """For each of these rows of the pool its k nearest others there, (m, k); fewer columns if the pool is small."""
    k = min(k, len(pool) - 1)
    if k < 1:
        return np.empty((len(rows), 0), dtype=np.intp)
    found, _ = _search(points, rows, pool, k + 1)
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal points the row itself may not be among the k + 1 nearest
    return np.asarray(found[~own].reshape(len(rows), k))


def _search(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """(m, k) rows and distances, nearest first."""
    return (_search_line if points.shape[1] == 1 else _search_space)(points, focal, pool, k)


def _search_line(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """k candidates below, nearest first, then k above; the k nearest of these."""
    values = points[:, 0]
    ascending, start = ranked(values, focal, pool)
    steps = np.arange(k)
    place = np.hstack([start[:, None] - 1 - steps, start[:, None] + steps])
    candidates = ascending[np.clip(place, 0, len(pool) - 1)]
    inside = (place >= 0) & (place < len(pool))
    return _first(candidates, np.where(inside, np.abs(values[candidates] - values[focal][:, None]), np.inf), k)


def _search_space(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """The k nearest different points, then their members."""
    places = Places(points, pool)
    nearest, distance = places.nearest(focal, min(k, len(places.points)))
    members, repeated = places.members(focal, nearest, k), np.repeat(distance, k, axis=1)
    return _first(members, np.where(members != NOBODY, repeated, np.inf), k)


def _first(candidates: Rows, distance: Floats, k: int) -> tuple[Rows, Floats]:
    """The k candidates of each line with the smallest distance; the earlier column wins a tie."""
    order = np.argsort(np.round(distance, _DIGITS), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(distance, order, axis=1)
