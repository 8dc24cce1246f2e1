"""What constants for units and periods leave of columns: the within transformation, without a dummy or a sparse matrix.

One code: deviations from weighted means. Two codes on a panel
in which every unit has every period and keeps its weight: deviations from the unit's mean, less the weighted mean of
these in each period. Otherwise the larger of the two sides is eliminated, and the constants λ of the other one solve

    (D₂ - C′ D₁⁻¹ C) λ = Z₂′W (values - means by the larger side),   C (n, T) sums of weights, D₁ and D₂ its margins,

a system with an unknown for each period; one step of refinement brings the means of the result to rounding error.

Source: Wansbeek and Kapteyn (1989), *Journal of Econometrics* 41(3); Baltagi (2021), sections 3.2 and 9.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

Array = np.ndarray

LEVEL = 100.0  # a level this many times what is left of a column costs two digits: the transformation is repeated
CACHED = 1 << 15  # numbers of a piece of a column that stays in the cache while its means are taken out
WIDEST = 8  # cells of units by periods for each row, up to which the table is dense


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Rows of units, by period or not.

    Attributes:
        codes: (N,) of units, and of periods if there are any, from 0; each level occurs.
        ids: distinct ids of units, in the order of their codes.
        size: rows of each unit where these stand together, in the order of the codes and with the same periods in the
            same order; otherwise 0.
    """

    codes: tuple[Array, ...]
    ids: pd.Index
    size: int = 0

    @classmethod
    def of(cls, unit: Any, period: Any = None) -> Panel:
        """Codes of ids; at once where rows stand in equal blocks."""
        if period is None:
            codes, ids = codes_of(unit)
            return cls(codes=(codes,), ids=ids)
        who, when = np.asarray(unit), np.asarray(period)
        size = block_size(who, when)
        if not size:
            codes, ids = codes_of(unit)
            return cls(codes=(codes, codes_of(period)[0]), ids=ids)
        n = len(who) // size
        times = np.tile(codes_of(when[:size])[0].astype(np.int32), n)
        return cls(codes=(np.repeat(np.arange(n, dtype=np.int32), size), times), ids=pd.Index(who[::size]), size=size)


def block_size(unit: Array, period: Array) -> int:
    """Rows of each unit where all units, in increasing order, have the same periods in the same order; otherwise 0."""
    if unit.dtype.kind not in "iu" or not len(unit) or len(period) != len(unit):
        return 0
    size = _run(unit)
    if len(unit) % size or len(pd.unique(period[:size])) < size:
        return 0
    firsts = unit[::size]
    increasing = bool((firsts[1:] > firsts[:-1]).all())
    # n increasing first values and as many changes in all: each block holds one unit.
    together = increasing and np.count_nonzero(unit[1:] != unit[:-1]) == len(firsts) - 1
    return size if together and bool((period[size:] == period[:-size]).all()) else 0


def _run(values: Array) -> int:
    """Length of the first run of equal values."""
    length = 1024
    while length < len(values) and bool((values[:length] == values[0]).all()):
        length *= 2
    return int(np.argmax(values[:length] != values[0])) or len(values)


def codes_of(ids: Any) -> tuple[Array, pd.Index]:
    """Codes (N,) from 0 and the distinct ids: sorted for whole numbers that lie close together, else as they appear."""
    values = np.asarray(ids)
    if values.dtype.kind not in "iu" or not len(values):
        codes, distinct = pd.factorize(ids)
        return codes, pd.Index(distinct)
    low = values.min()
    span = int(values.max()) - int(low) + 1
    if span > 4 * len(values) + 1024:
        codes, distinct = pd.factorize(values)
        return codes, pd.Index(distinct)
    shifted = (values - low).astype(np.intp, copy=False)
    present = np.zeros(span, dtype=bool)
    present[shifted] = True
    if present.all():
        return shifted, pd.Index(np.arange(span) + low)
    return (np.cumsum(present) - 1)[shifted], pd.Index(np.flatnonzero(present) + low)


def within(values: Array, codes: Sequence[Array], weights: Array | None = None) -> Array:
    """What constants for the levels of one or two codes leave of the columns of `values`, (N, k).

    Args:
        values: (N, k); not changed.
        codes: one or two of (N,), from 0, each level occurs.
        weights: (N,) positive; all equal if None.
    """
    columns = np.array(np.asarray(values, dtype=float).T, order="C")
    take_out(columns, Panel(codes=tuple(codes), ids=pd.Index([])), weights)
    return columns.T


def take_out(columns: Array, panel: Panel, weights: Array | None = None) -> Array:
    """`within` in place, for columns (k, N) that are stored one after the other; (k,) their lengths afterwards."""
    means = _means_of(panel, weights)
    return np.array([_taken_out(column, means) for column in columns])


def _taken_out(column: Array, means: _Means) -> float:
    level, length = means(column), np.sqrt(column @ column)
    if level > LEVEL * length / np.sqrt(len(column)):
        means(column)
        length = np.sqrt(column @ column)
    return float(length)


# Takes a column's constants out in place and returns the largest of those that stand for its level.
_Means = Callable[[Array], float]


def _means_of(panel: Panel, weights: Array | None) -> _Means:
    """The cheapest way that is exact for this panel."""
    if len(panel.codes) == 1:
        return _One(panel.codes[0], weights)
    unit, time = panel.codes
    if panel.size and weights is None:
        return _Blocks(panel.size, None)
    n, periods = int(unit.max()) + 1, int(time.max()) + 1
    whole = len(unit) == n * periods
    if whole and _in_blocks(unit, time, periods) and _kept(weights, unit, n):
        return _Blocks(periods, None if weights is None else weights[::periods].copy())
    if whole and bool((np.bincount(unit * periods + time) == 1).all()) and _kept(weights, unit, n):
        return _Balanced(unit, time, weights)
    return _Gappy.of(*((unit, time) if n >= periods else (time, unit)), weights)


def _in_blocks(unit: Array, time: Array, periods: int) -> bool:
    """Whether each unit's rows stand together, with the same order of periods in each."""
    units, times = unit.reshape(-1, periods), time.reshape(-1, periods)
    distinct = bool((np.bincount(units[:, 0]) == 1).all() and (np.bincount(times[0]) == 1).all())
    return distinct and bool((units == units[:, :1]).all() and (times == times[0]).all())


def _kept(weights: Array | None, unit: Array, n: int) -> bool:
    """Whether a unit's weight is the same in all its rows."""
    if weights is None:
        return True
    last = np.empty(n)
    last[unit] = weights
    return bool((last[unit] == weights).all())


class _One:
    """One code: means of groups."""

    def __init__(self, code: Array, weights: Array | None) -> None:
        self.code, self.weights = code, weights
        self.mass = np.bincount(code, weights)

    def __call__(self, column: Array) -> float:
        means = _sums(self.code, column, self.weights) / self.mass
        column -= means[self.code]
        return _largest(means)


class _Blocks:
    """Balanced, rows of a unit together, periods in the same order in each: a table of units by periods."""

    def __init__(self, periods: int, weights: Array | None) -> None:
        self.periods = periods
        self.weights = None if weights is None else weights / weights.sum()

    def __call__(self, column: Array) -> float:
        table, share = column.reshape(-1, self.periods), np.full(self.periods, 1 / self.periods)
        of_periods, largest = np.zeros(self.periods), 0.0
        step = CACHED // self.periods + 1
        for start in range(0, len(table), step):
            piece = table[start : start + step]
            of_units = piece @ share
            piece -= of_units[:, None]
            weights = np.ones(len(piece)) if self.weights is None else self.weights[start : start + step]
            of_periods += weights @ piece
            largest = max(largest, _largest(of_units))
        of_periods /= len(table) if self.weights is None else 1.0
        _subtract_rows(column, of_periods, step)
        return max(largest, _largest(of_periods))


def _subtract_rows(column: Array, row: Array, copies: int) -> None:
    """Take a row from each row of a table in one piece; many copies of it side by side make long, fast loops."""
    width = len(row) * copies
    whole = len(column) - len(column) % width
    many = np.tile(row, copies)
    column[:whole].reshape(-1, width)[...] -= many
    column[whole:] -= many[: len(column) - whole]


class _Balanced:
    """Balanced, rows in any order."""

    def __init__(self, unit: Array, time: Array, weights: Array | None) -> None:
        self.unit, self.time, self.weights = unit, time, weights
        self.periods = int(time.max()) + 1
        self.mass = np.bincount(time, weights)

    def __call__(self, column: Array) -> float:
        of_units = np.bincount(self.unit, column) / self.periods
        column -= of_units[self.unit]
        of_periods = _sums(self.time, column, self.weights) / self.mass
        column -= of_periods[self.time]
        return _largest(of_units, of_periods)


@dataclass(slots=True, kw_only=True, eq=False)
class _Gappy:
    """Any rows: `many` is eliminated, `few` solved for.

    Attributes:
        many, few: (N,) codes.
        weights: (N,) or None.
        mass: (n,) sums of weights by `many`.
        table: (n, T) C, dense or sparse.
        inverse: (T, T) generalised inverse; there is a null direction for each connected part of the panel.
    """

    many: Array
    few: Array
    weights: Array | None
    mass: Array
    table: Any
    inverse: Array

    @classmethod
    def of(cls, many: Array, few: Array, weights: Array | None) -> _Gappy:
        table = _cells(many, few, weights)
        mass = np.asarray(table.sum(axis=1)).ravel()
        scaled = sparse.diags_array(1 / mass) @ table if sparse.issparse(table) else table / mass[:, None]
        crossed = table.T @ scaled
        margin = np.asarray(table.sum(axis=0)).ravel()
        inverse = _inverse(margin, crossed.toarray() if sparse.issparse(crossed) else crossed)
        return cls(many=many, few=few, weights=weights, mass=mass, table=table, inverse=inverse)

    def __call__(self, column: Array) -> float:
        self._step(column)
        self._step(column)
        return 0.0  # refined already

    def _step(self, column: Array) -> None:
        means = _sums(self.many, column, self.weights) / self.mass
        column -= means[self.many]
        constants = self.inverse @ _sums(self.few, column, self.weights)
        shift = (self.table @ constants) / self.mass
        column -= constants[self.few]
        column += shift[self.many]


def _cells(many: Array, few: Array, weights: Array | None) -> Any:
    """(n, T) sums of weights; sparse where most cells are empty."""
    n, t = int(many.max()) + 1, int(few.max()) + 1
    if n * t <= WIDEST * len(many) + 1024:
        return np.bincount(many * t + few, weights, n * t).reshape(n, t).astype(float)
    values = np.ones(len(many)) if weights is None else weights
    return sparse.coo_array((values, (many, few)), shape=(n, t)).tocsr()


def _inverse(margin: Array, crossed: Array) -> Array:
    """Generalised inverse of D₂ - C′D₁⁻¹C, brought to a diagonal of at most one first."""
    scale = np.sqrt(np.outer(margin, margin))
    system = np.diag(margin) / scale - crossed / scale
    return np.asarray(np.linalg.pinv(system, rcond=1e-12, hermitian=True) / scale)


def _largest(*means: Array) -> float:
    return max(float(np.abs(mean).max()) for mean in means)


def _sums(codes: Array, column: Array, weights: Array | None) -> Array:
    return np.bincount(codes, column if weights is None else column * weights)
