"""Nearest neighbours for matching: row numbers in, row numbers out.

Distance is the absolute difference of points with one column and the Euclidean distance of points with several.
Distances that differ by less than `TIE` are the same, so that the last digits of a machine's arithmetic do not choose
partners.

Ties are broken by the order of rows, which is the order of unit ids. Rows are ranked by their first column, then by row
number. With one column, of partners at the same distance the lower one wins over the higher one, and of equal partners
the one next in rank. With several columns partners below come first too, but of equal ones the farthest in rank. These
are the rules of MatchIt 4.7.1, whose matched pairs are reproduced exactly (tests/golden).

Sources: greedy matching as in Ho, Imai, King and Stuart (2011); the next free partner by union-find (Tarjan 1975), so
that n units take O(n log n); k-d trees (Bentley 1975) for several columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

TIE = 1e-10
NOBODY = -1
_DIGITS = 10
_BATCH = 16


def nearest_with_replacement(points: Floats, focal: Rows, pool: Rows, k: int, width: float = np.inf) -> Rows:
    """The k nearest members of the pool for every focal row; a member may serve several focal rows.

    Args:
        points: (n, d).
        focal: (m,) rows that look for partners.
        pool: (p,) rows that may be partners, ascending.
        k: partners wanted.
        width: largest distance allowed.

    Returns:
        (m, k) rows, nearest first, `NOBODY` where there is none.
    """
    wanted = min(k, len(pool))
    out = np.full((len(focal), k), NOBODY, dtype=np.intp)
    if wanted and len(focal):
        found, distance = _search(points, focal, pool, wanted)
        out[:, :wanted] = np.where(distance <= width + TIE, found, NOBODY)
    return out


def nearest_without_replacement(points: Floats, focal: Rows, pool: Rows, k: int, width: float = np.inf) -> Rows:
    """Greedy matching: focal rows choose in turn among those left; all choose once before any chooses again.

    A focal row that finds nobody within `width` does not try again in later rounds.

    Args:
        points: (n, d).
        focal: (m,) rows in the order in which they choose.
        pool: (p,) rows that may be partners, ascending.
        k: rounds, that is the largest number of partners of one focal row.
        width: largest distance allowed.

    Returns:
        (m, k) rows, first choice first, `NOBODY` where there is none. No row occurs twice.
    """
    out = np.full((len(focal), k), NOBODY, dtype=np.intp)
    if not len(pool) or not len(focal):
        return out
    free = _FreeLine(points[:, 0], focal, pool) if points.shape[1] == 1 else _FreeSpace(points, focal, pool)
    active = list(range(len(focal)))
    for turn in range(k):
        still = []
        for i in active:
            partner = free.take(i, width + TIE)
            if partner != NOBODY:
                out[i, turn] = partner
                still.append(i)
        active = still
    return out


def nearest_others(points: Floats, rows: Rows, k: int) -> Rows:
    """For each of these rows the k nearest others among them, (m, k); fewer columns if there are few rows."""
    k = min(k, len(rows) - 1)
    if k < 1:
        return np.empty((len(rows), 0), dtype=np.intp)
    found, _ = _search(points, rows, rows, k + 1)
    own = found == rows[:, None]
    own[~own.any(axis=1), -1] = True  # among many equal points the row itself may not be among the k + 1 nearest
    return np.asarray(found[~own].reshape(len(rows), k))


def _search(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """(m, k) rows and distances, nearest first."""
    return (_search_line if points.shape[1] == 1 else _search_space)(points, focal, pool, k)


def _search_line(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """k candidates below, nearest first, then k above; the k nearest of these."""
    values = points[:, 0]
    ascending, start = _ranked(values, focal, pool)
    steps = np.arange(k)
    place = np.hstack([start[:, None] - 1 - steps, start[:, None] + steps])
    candidates = ascending[np.clip(place, 0, len(pool) - 1)]
    inside = (place >= 0) & (place < len(pool))
    return _first(candidates, np.where(inside, np.abs(values[candidates] - values[focal][:, None]), np.inf), k)


def _ranked(values: Floats, focal: Rows, pool: Rows) -> tuple[Rows, Rows]:
    """The pool in order of value and row, and how many of it come before each focal row."""
    rank = np.empty(len(values), dtype=np.intp)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    ascending = pool[np.argsort(rank[pool])]
    return ascending, np.searchsorted(rank[ascending], rank[focal])


def _search_space(points: Floats, focal: Rows, pool: Rows, k: int) -> tuple[Rows, Floats]:
    """The k nearest different points, then their members."""
    places = _Places(points, pool)
    nearest, distance = places.nearest(focal, min(k, len(places.points)))
    members, repeated = places.members(focal, nearest, k), np.repeat(distance, k, axis=1)
    return _first(members, np.where(members != NOBODY, repeated, np.inf), k)


def _first(candidates: Rows, distance: Floats, k: int) -> tuple[Rows, Floats]:
    """The k candidates of each line with the smallest distance; the earlier column wins a tie."""
    order = np.argsort(np.round(distance, _DIGITS), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(distance, order, axis=1)


class _FreeLine:
    """Members of a pool on a line that are still free, found by two union-find chains (next free place up and down)."""

    def __init__(self, values: Floats, focal: Rows, pool: Rows) -> None:
        ascending, start = _ranked(values, focal, pool)
        self._rows, self._values = ascending.tolist(), values[ascending].tolist()
        self._focal, self._start = values[focal].tolist(), start.tolist()
        self._up = list(range(len(pool) + 1))
        self._down = list(range(len(pool) + 1))  # shifted by one: entry j + 1 leads to the next free place <= j

    def take(self, i: int, width: float) -> int:
        """The nearest free row for the i-th focal row, which is then no longer free; `NOBODY` beyond the width."""
        x, start, n = self._focal[i], self._start[i], len(self._values)
        above, below = _root(self._up, start), _root(self._down, start) - 1
        up = self._values[above] - x if above < n else np.inf
        down = x - self._values[below] if below >= 0 else np.inf
        if (above == n and below < 0) or min(up, down) > width:
            return NOBODY
        return self._remove(below if down <= up + TIE else above)

    def _remove(self, place: int) -> int:
        self._up[place], self._down[place + 1] = place + 1, place
        row: int = self._rows[place]
        return row


def _root(chain: list[int], i: int) -> int:
    """Where a chain leads, shortening it on the way (path halving)."""
    while chain[i] != i:
        chain[i] = chain[chain[i]]
        i = chain[i]
    return i


class _Places:
    """Different points of a pool and the rows that share each, so that many equal points cost nothing.

    Attributes:
        points: (q, d) different points.
        rows: (p,) the pool, place by place, ascending within each.
        start, stop: (q,) where the rows of each place begin and end in `rows`.
    """

    def __init__(self, points: Floats, pool: Rows) -> None:
        self.points, place = np.unique(points[pool], axis=0, return_inverse=True)
        self.rows = pool[np.argsort(place.ravel(), kind="stable")]
        self.stop = np.cumsum(np.bincount(place.ravel()))
        self.start = np.r_[0, self.stop[:-1]]
        self._all, self._tree = points, cKDTree(self.points)

    def nearest(self, focal: Rows, k: int) -> tuple[Rows, Floats]:
        """The k nearest places of each focal row, (m, k), and their distances; wider until the last tie is in view."""
        found, distance = np.empty((len(focal), k), dtype=np.intp), np.empty((len(focal), k))
        left, batch = np.arange(len(focal)), k + 1
        while len(left):
            batch = min(batch, len(self.points))
            far, seen = self._tree.query(self._all[focal[left]], k=np.arange(1, batch + 1))
            complete = (far[:, -1] > far[:, k - 1] + TIE) | (batch == len(self.points))
            order = self._order(focal[left], far, seen)[:, :k]
            found[left[complete]] = np.take_along_axis(seen, order, axis=1)[complete]
            distance[left[complete]] = np.take_along_axis(far, order, axis=1)[complete]
            left, batch = left[~complete], 2 * batch
        return found, distance

    def _order(self, focal: Rows, far: Floats, seen: Rows) -> Rows:
        below = self.below(focal, seen)
        outward = np.where(below, 1, -1)
        keys = (outward * self.rows[self.start[seen]], outward * self.points[seen, 0], ~below, np.round(far, _DIGITS))
        order: Rows = np.lexsort(keys, axis=1)
        return order

    def below(self, focal: Rows, places: Rows) -> NDArray[np.bool_]:
        """(m, j) True where a place comes before the focal row by first column, then row number."""
        gap = self.points[places, 0] - self._all[focal, 0][:, None]
        earlier = self.rows[self.start[places]] < focal[:, None]
        return np.asarray((gap < -TIE) | ((gap <= TIE) & earlier))

    def members(self, focal: Rows, places: Rows, k: int) -> Rows:
        """Up to k rows of every place, side by side: (m, j) places give (m, j k) rows or `NOBODY`."""
        steps, start, stop = np.arange(k), self.start[places][:, :, None], self.stop[places][:, :, None]
        at = np.where(self.below(focal, places)[:, :, None], start + steps, stop - 1 - steps)
        inside = (at >= start) & (at < stop)
        return np.where(inside, self.rows[np.where(inside, at, 0)], NOBODY).reshape(len(places), -1)


class _FreeSpace:
    """Members of a pool in space that are still free: nearest places in batches, wider ones when all are taken."""

    def __init__(self, points: Floats, focal: Rows, pool: Rows) -> None:
        self._focal, self._places = focal, _Places(points, pool)
        self._start, self._stop = self._places.start.copy(), self._places.stop.copy()
        self._batch = min(_BATCH, len(self._places.points))
        self._near, self._far = self._places.nearest(focal, self._batch)

    def take(self, i: int, width: float) -> int:
        """The nearest free row for the i-th focal row, which is then no longer free; `NOBODY` beyond the width."""
        near, far, batch = self._near[i], self._far[i], self._batch
        while not (free := np.flatnonzero(self._start[near] < self._stop[near])).size:
            if batch == len(self._places.points) or far[-1] > width:
                return NOBODY
            batch = min(2 * batch, len(self._places.points))
            (near,), (far,) = self._places.nearest(self._focal[i : i + 1], batch)
        return self._remove(i, near[free[0]]) if far[free[0]] <= width else NOBODY

    def _remove(self, i: int, place: np.intp) -> int:
        if self._places.below(self._focal[i : i + 1], np.array([[place]]))[0, 0]:
            self._start[place] += 1
            return int(self._places.rows[self._start[place] - 1])
        self._stop[place] -= 1
        return int(self._places.rows[self._stop[place]])
