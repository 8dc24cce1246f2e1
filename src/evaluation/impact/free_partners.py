"""Members of a pool that are free, for matching without replacement: on a line, in space, or with forbidden pairs.

Each offers `nearest(i, width)`, the place of the nearest free member for the i-th focal row and its distance (place
`NOBODY` where there is none within the width), and `take(i, place)`, its row, which is then no longer free.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from evaluation.impact.pair_rules import Rules
from evaluation.impact.places import NOBODY, TIE, Floats, Places, Rows

_BATCH = 16


class Free(Protocol):
    """What matching without replacement asks of a pool."""

    def nearest(self, i: int, width: float) -> tuple[int, float]:
        """Place of the nearest free member for the i-th focal row, and its distance."""

    def take(self, i: int, place: int) -> int:
        """Row of the member at a place, which is then no longer free."""


class FreeLine:
    """On a line, by two union-find chains (next free place up and down; Tarjan 1975).

    Only places that are taken stand in the chains, so that a pool much larger than the focal rows costs nothing.
    """

    def __init__(self, values: Floats, focal: Rows, pool: Rows) -> None:
        self._rows, start = ranked(values, focal, pool)
        self._values, self._n = values[self._rows].data, len(pool)
        self._focal, self._start = values[focal].tolist(), start.tolist()
        self._up: dict[int, int] = {}
        self._down: dict[int, int] = {}

    def nearest(self, i: int, width: float) -> tuple[int, float]:
        """Of two at one distance the one below."""
        x, start = self._focal[i], self._start[i]
        above, below = _end(self._up, start), _end(self._down, start - 1)
        up = self._values[above] - x if above < self._n else np.inf
        down = x - self._values[below] if below >= 0 else np.inf
        if min(up, down) > width or (above == self._n and below < 0):
            return NOBODY, np.inf
        return (below, down) if down <= up + TIE else (above, up)

    def take(self, i: int, place: int) -> int:
        """The row at a place of the line."""
        self._up[place], self._down[place] = place + 1, place - 1
        return int(self._rows[place])

    def round(self, order: list[int], width: float) -> Rows:
        """Rows that focal rows take one after the other: `nearest` and `take` in one loop without calls."""
        values, focal, start, n = self._values, self._focal, self._start, self._n
        up, down, places, far = self._up, self._down, [], np.inf
        for i in order:
            x, above = focal[i], start[i]
            below = above - 1
            if above in up:
                above = _end(up, above)
            if below in down:
                below = _end(down, below)
            to_above = values[above] - x if above < n else far
            to_below = x - values[below] if below >= 0 else far
            place, gap = (below, to_below) if to_below <= to_above + TIE else (above, to_above)
            if gap > width or gap == far:
                places.append(NOBODY)
                continue
            up[place], down[place] = place + 1, place - 1
            places.append(place)
        chosen = np.array(places, dtype=np.intp)
        return np.where(chosen == NOBODY, NOBODY, self._rows[chosen])


def ranked(values: Floats, focal: Rows, pool: Rows) -> tuple[Rows, Rows]:
    """The pool in order of value and row, and how many of it come before each focal row in this order."""
    ascending = pool[np.argsort(values[pool])]
    ordered = values[ascending]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        among = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
        equal = ascending[among]
        ascending[among] = equal[np.lexsort((equal, values[equal]))]
    before = np.searchsorted(ordered, values[focal])
    met = ordered[np.minimum(before, len(pool) - 1)] == values[focal]
    if met.any():  # equal values: those with a lower row come before
        group = np.cumsum(np.r_[False, ~same]) * len(values)
        before[met] = np.searchsorted(group + ascending, group[before[met]] + focal[met])
    return ascending, before


def _end(chain: dict[int, int], i: int) -> int:
    """Where a chain leads, shortening it on the way (path halving)."""
    after = chain.get(i)
    while after is not None:
        next_but_one = chain.get(after)
        if next_but_one is None:
            return after
        chain[i] = next_but_one
        i = next_but_one
        after = chain.get(i)
    return i


class FreeSpace:
    """In several columns: nearest places in batches, wider ones when all are taken."""

    def __init__(self, points: Floats, focal: Rows, pool: Rows) -> None:
        self._focal, self._places = focal, Places(points, pool)
        self._start, self._stop = self._places.start.copy(), self._places.stop.copy()
        self._batch = min(_BATCH, len(self._places.points))
        self._near, self._far = self._places.nearest(focal, self._batch)

    def nearest(self, i: int, width: float) -> tuple[int, float]:
        """The first place in the order of `Places.nearest` that has somebody left."""
        near, far, batch = self._near[i], self._far[i], self._batch
        while not (free := np.flatnonzero(self._start[near] < self._stop[near])).size:
            if batch == len(self._places.points) or far[-1] > width:
                return NOBODY, np.inf
            batch = min(2 * batch, len(self._places.points))
            (near,), (far,) = self._places.nearest(self._focal[i : i + 1], batch)
        distance = float(far[free[0]])
        return (int(near[free[0]]), distance) if distance <= width else (NOBODY, np.inf)

    def take(self, i: int, place: int) -> int:
        """The member of a place whose turn it is for this focal row."""
        if self._places.below(self._focal[i : i + 1], np.array([[place]]))[0, 0]:
            self._start[place] += 1
            return int(self._places.rows[self._start[place] - 1])
        self._stop[place] -= 1
        return int(self._places.rows[self._stop[place]])


class FreePairs:
    """With rules that forbid pairs: candidates in order of distance, then of row."""

    def __init__(self, points: Floats, focal: Rows, pool: Rows, rules: Rules) -> None:
        self._search, self._free = Allowed(points, focal, pool, rules), np.ones(len(pool), dtype=bool)
        self._lists: dict[int, tuple[Rows, Floats, int]] = {}
        self._pool = pool

    def nearest(self, i: int, width: float) -> tuple[int, float]:
        """The first candidate that is free."""
        places, far, batch = self._lists.get(i) or self._ask(i, _BATCH)
        while not (free := np.flatnonzero(self._free[places])).size:
            if batch >= len(self._pool) or (len(far) and far[-1] > width):
                return NOBODY, np.inf
            places, far, batch = self._ask(i, 2 * batch)
        distance = float(far[free[0]])
        return (int(places[free[0]]), distance) if distance <= width else (NOBODY, np.inf)

    def take(self, i: int, place: int) -> int:
        """The row at a place of the pool."""
        self._free[place] = False
        return int(self._pool[place])

    def _ask(self, i: int, batch: int) -> tuple[Rows, Floats, int]:
        self._lists[i] = (*self._search.candidates(i, batch), batch)
        return self._lists[i]


class Allowed:
    """Candidates that the rules allow for a focal row, nearest first, of two at one distance the lower row."""

    def __init__(self, points: Floats, focal: Rows, pool: Rows, rules: Rules) -> None:
        self._points, self._focal, self._pool, self._rules = points, focal, pool, rules
        self._tree = cKDTree(points[pool])

    def candidates(self, i: int, batch: int) -> tuple[Rows, Floats]:
        """Places in the pool and distances: all allowed ones that are nearer than the batch-th member of the pool."""
        batch = min(batch, len(self._pool))
        row = self._focal[i : i + 1]
        (far,), (places,) = self._tree.query(self._points[row], k=np.arange(1, batch + 1))
        sure = (far < far[-1] - TIE) | (batch == len(self._pool))
        places, far = places[sure], far[sure]
        keep = self._rules.allow(row, self._pool[places][None, :])[0]
        order = np.lexsort((self._pool[places[keep]], np.round(far[keep] / TIE)))
        return places[keep][order], far[keep][order]

    def first(self, i: int, k: int, width: float) -> tuple[Rows, Floats]:
        """The k nearest allowed ones within the width, fewer where there are no more."""
        batch = max(4 * k, _BATCH)
        while True:
            places, far = self.candidates(i, batch)
            if len(places) >= k or batch >= len(self._pool) or (len(far) and far[-1] > width):
                near = far[:k] <= width
                return places[:k][near], far[:k][near]
            batch *= 2


def free_of(points: Floats, focal: Rows, pool: Rows, rules: Rules | None) -> Free:
    """The pool as it is before anybody has chosen."""
    if rules is not None:
        return FreePairs(points, focal, pool, rules)
    return FreeLine(points[:, 0], focal, pool) if points.shape[1] == 1 else FreeSpace(points, focal, pool)
