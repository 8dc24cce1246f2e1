"""Matched sets with the smallest total distance: exact, by assignment problems that scipy solves.

Both hold distances of all pairs of one stratum at some time, so they are for thousands of units, not for millions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial.distance import cdist

from evaluation.errors import DataError
from evaluation.impact.pair_rules import Rules
from evaluation.impact.places import NOBODY, TIE, Floats, Rows

MOST_PAIRS = 30_000_000  # distances held at once by optimal pairs: 240 MB
MOST_DISTANCES = 2_000_000_000  # computed block by block by full matching
_BLOCK = 4_000_000


def optimal_pairs(
    points: Floats, focal: Rows, pool: Rows, k: int, width: float = np.inf, rules: Rules | None = None
) -> Rows:
    """k partners for every focal row, nobody twice, as many pairs as possible, and of these the nearest in total.

    An assignment problem (Rosenbaum 1989) with k copies of every focal row. Forbidden pairs cost more than all others
    together, so that as few as possible are chosen, and these are then undone.

    Args:
        points: (n, d).
        focal: (m,) rows that need partners.
        pool: (p,) rows that may be partners.
        k: partners of each.
        width: largest distance allowed.
        rules: pairs that may not be.

    Returns:
        (m, k) rows, nearest first, `NOBODY` where there is none.

    Raises:
        DataError: more than `MOST_PAIRS` pairs; or k > 1 and fewer than m k members of the pool.
    """
    _require_small(len(focal) * k * len(pool), MOST_PAIRS)
    if k > 1 and len(pool) < k * len(focal):
        raise DataError(
            code="E-IMP-201",
            what="there are fewer partners than optimal pairs need",
            found=f"{len(pool)} units to be partners of {len(focal)} with ratio {k}",
            expected=f"at least {k * len(focal)}",
            fix="ratio: 1, sets: nearest, or leave out columns of `exact`",
        )
    out = np.full((len(focal), k), NOBODY, dtype=np.intp)
    distance = _allowed_distances(points, focal, pool, width, rules)
    possible = np.isfinite(distance)
    if not possible.any():
        return out
    cost = np.where(possible, distance, 1 + 2 * len(focal) * k * distance[possible].max())
    copies, places = linear_sum_assignment(np.repeat(cost, k, axis=0) if k > 1 else cost)
    kept = possible[copies // k, places]
    out[copies[kept] // k, copies[kept] % k] = pool[places[kept]]
    return _nearest_first(points, focal, out)


def _nearest_first(points: Floats, focal: Rows, partners: Rows) -> Rows:
    gaps = np.linalg.norm(points[partners] - points[focal][:, None], axis=2)
    order = np.argsort(np.where(partners == NOBODY, np.inf, gaps), axis=1, kind="stable")
    return np.take_along_axis(partners, order, axis=1)


def full_sets(
    points: Floats, one: Rows, other: Rows, width: float = np.inf, rules: Rules | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """Everybody in a set of one with one or more of the other side, at the smallest total distance.

    Optimal full matching (Rosenbaum 1991; Hansen 2004) without limits on the size of sets is a cover of all units by
    edges of the smallest total length. With r(u) the distance of u to its nearest: a cover of least length is a
    matching of the largest total benefit r(u) + r(v) - d(u, v), and everybody else with their nearest (Schrijver 2003,
    *Combinatorial Optimization*, section 27.1). Only pairs with a benefit above zero count, so that few are kept.

    Args:
        points: (n, d).
        one: (m,) rows of one side.
        other: (p,) rows of the other.
        width: largest distance allowed.
        rules: pairs that may not be.

    Returns:
        Sets of `one` (m,) and of `other` (p,), numbered alike, -1 for rows without an allowed partner; and the total
        distance.

    Raises:
        DataError: more than `MOST_DISTANCES` pairs.
    """
    _require_small(len(one) * len(other), MOST_DISTANCES)
    near = _nearest_of_both(points, one, other, width, rules)
    edges = _matched(points, one, other, width, rules, near)
    alone = [np.setdiff1d(np.flatnonzero(near[2 * side] < np.inf), edges[:, side]) for side in (0, 1)]
    cover = np.vstack(
        [edges, np.column_stack([alone[0], near[1][alone[0]]]), np.column_stack([near[3][alone[1]], alone[1]])]
    ).astype(np.intp)
    cover = _without_needless(cover, len(one), len(other))
    total = float(np.linalg.norm(points[one[cover[:, 0]]] - points[other[cover[:, 1]]], axis=1).sum())
    return *_components(cover, len(one), len(other)), total


def _nearest_of_both(
    points: Floats, one: Rows, other: Rows, width: float, rules: Rules | None
) -> tuple[Floats, Rows, Floats, Rows]:
    """Distance and place of the nearest on the other side, for both sides."""
    far_one, to_one = np.full(len(one), np.inf), np.zeros(len(one), dtype=np.intp)
    far_other, to_other = np.full(len(other), np.inf), np.zeros(len(other), dtype=np.intp)
    for block in _blocks(len(one), len(other)):
        distance = _allowed_distances(points, one[block], other, width, rules)
        to_one[block], far_one[block] = distance.argmin(axis=1), distance.min(axis=1)
        lowest, best = distance.min(axis=0), distance.argmin(axis=0)
        better = lowest < far_other
        far_other[better], to_other[better] = lowest[better], best[better] + block.start
    return far_one, to_one, far_other, to_other


def _matched(
    points: Floats, one: Rows, other: Rows, width: float, rules: Rules | None, near: tuple[Floats, Rows, Floats, Rows]
) -> NDArray[np.intp]:
    """(e, 2) pairs of places with the largest total benefit, nobody in two of them."""
    found = []
    for block in _blocks(len(one), len(other)):
        distance = _allowed_distances(points, one[block], other, width, rules)
        i, j = np.nonzero(distance < near[0][block][:, None] + near[2] - TIE)
        found.append((i + block.start, j, near[0][i + block.start] + near[2][j] - distance[i, j]))
    rows, columns, benefit = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not len(rows):
        return np.empty((0, 2), dtype=np.intp)
    used, place = np.unique(rows, return_inverse=True)
    base = 1 + benefit.max()  # all rows are matched, with a column of their own if need be: a constant changes nothing
    own = len(other) + np.arange(len(used))
    graph = sparse.csr_matrix(
        (
            np.r_[base - benefit, np.full(len(used), base)],
            (np.r_[place, np.arange(len(used))], np.r_[columns, own]),
        ),
        shape=(len(used), len(other) + len(used)),
    )
    left, right = min_weight_full_bipartite_matching(graph)
    real = right < len(other)
    return np.column_stack([used[left[real]], right[real]])


def _without_needless(cover: NDArray[np.intp], m: int, p: int) -> NDArray[np.intp]:
    """Edges both of whose ends have others as well; they have length 0, and sets would not be stars with them."""
    degree = np.bincount(cover[:, 0], minlength=m), np.bincount(cover[:, 1], minlength=p)
    keep = np.ones(len(cover), dtype=bool)
    for e in np.flatnonzero((degree[0][cover[:, 0]] > 1) & (degree[1][cover[:, 1]] > 1)):
        i, j = cover[e]
        if degree[0][i] > 1 and degree[1][j] > 1:
            keep[e] = False
            degree[0][i] -= 1
            degree[1][j] -= 1
    return cover[keep]


def _components(cover: NDArray[np.intp], m: int, p: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    graph = sparse.coo_matrix((np.ones(len(cover)), (cover[:, 0], m + cover[:, 1])), shape=(m + p, m + p))
    _, label = connected_components(graph, directed=False)
    covered = np.zeros(m + p, dtype=bool)
    covered[cover[:, 0]] = covered[m + cover[:, 1]] = True
    codes = np.full(m + p, -1, dtype=np.intp)
    codes[covered] = np.unique(label[covered], return_inverse=True)[1]
    return codes[:m], codes[m:]


def _blocks(m: int, p: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(p, 1))
    return (slice(start, min(start + step, m)) for start in range(0, m, step))


def _allowed_distances(points: Floats, one: Rows, other: Rows, width: float, rules: Rules | None) -> Floats:
    """(m, p) distances, infinite where a pair may not be."""
    distance = cdist(points[one], points[other])
    forbidden = distance > width + TIE
    if rules is not None:
        forbidden |= ~rules.allow(one, np.broadcast_to(other, distance.shape))
    return np.where(forbidden, np.inf, distance)


def _require_small(pairs: int, most: int) -> None:
    if pairs > most:
        raise DataError(
            code="E-IMP-202",
            what="there are too many pairs to find the best of all ways to form sets",
            found=f"{pairs:,} pairs in one stratum",
            expected=f"at most {most:,}",
            fix="sets: nearest, or columns under `exact` that divide the sample",
        )
