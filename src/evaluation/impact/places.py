"""Different points of a pool and the rows that share each: what searches in several columns start from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

TIE = 1e-10  # distances that differ by less are the same
NOBODY = -1
_DIGITS = 10


class Places:
    """Different points of a pool and the rows that share each, so that many equal points cost nothing.

    Attributes:
        points: (q, d) different points.
        rows: (p,) the pool, place by place, ascending within each.
        start, stop: (q,) where the rows of each place begin and end in `rows`.
    """

    def __init__(self, points: Floats, pool: Rows) -> None:
        self.points, place = distinct_rows(points[pool])
        self.rows = pool[np.argsort(place, kind="stable")]
        self.stop = np.cumsum(np.bincount(place))
        self.start = np.r_[0, self.stop[:-1]]
        self._all, self._tree = points, _tree(self.points)

    def nearest(self, focal: Rows, k: int) -> tuple[Rows, Floats]:
        """The k nearest places of each focal row, (m, k), and their distances; wider until the last tie is in view."""
        found, distance = np.empty((len(focal), k), dtype=np.intp), np.empty((len(focal), k))
        # Neighbours look for neighbours one after the other, so that the part of the tree they need is in the cache.
        left, batch = np.asarray(_tree(self._all[focal]).indices, dtype=np.intp), k + 1
        while len(left):
            batch = min(batch, len(self.points))
            far, seen = self._tree.query(self._all[focal[left]], k=np.arange(1, batch + 1), workers=-1)
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


def distinct_rows(table: Floats) -> tuple[Floats, Rows]:
    """Different rows in lexicographic order, and which of them each row is: np.unique(axis=0), quickly if it can be.

    Where no value of the first column stands twice, its order is that of the rows.
    """
    order = np.argsort(table[:, 0], kind="stable")
    first = table[order, 0]
    if (first[1:] > first[:-1]).all():
        place = np.empty(len(table), dtype=np.intp)
        place[order] = np.arange(len(table))
        return table[order], place
    different, place = np.unique(table, axis=0, return_inverse=True)
    return different, place.ravel()


def _tree(points: Floats) -> cKDTree:
    """Cells halved in the middle: quicker than at the median where points are many and columns several."""
    return cKDTree(points, leafsize=32, balanced_tree=False, compact_nodes=False)
