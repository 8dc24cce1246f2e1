"""Least squares with a constant for each unit and each period: what two-way, Sun-Abraham and stacked regressions share.

By the theorem of Frisch, Waugh and Lovell the coefficients are those of the regression of what the constants leave of
the outcome on what they leave of the regressors, and so are residuals and sandwich covariances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from evaluation.errors import DataError
from evaluation.impact.covariates import independent_columns
from evaluation.impact.regression import (
    PIECE_ROWS,
    Grouping,
    Regression,
    least_squares_by_blocks,
    require_complete,
    triangle,
)
from evaluation.impact.within import Panel, take_out

Array = np.ndarray

ABSORBED = 1e-9  # share of a column's length that the fixed effects leave; below this they say all that it says
INVOLVED = 1e-7  # weight with which a column takes part in a combination of columns that is zero


def two_way(
    outcome: Array,
    regressors: Array,
    names: Sequence[str],
    *,
    unit: Any,
    period: Array | None = None,
    weights: Array | None = None,
) -> Regression:
    """Weighted least squares of the outcome on regressors and a constant for each unit and each period.

    Args:
        outcome: (N,).
        regressors: (N, k), without a constant.
        names: k names in the evaluator's words.
        unit: (N,) unit of each row.
        period: (N,) period of each row; None for unit effects alone.
        weights: (N,) positive; all 1 if None.

    Returns:
        The fit on what the constants leave, with its `units` and `absorbed` effects.

    Raises:
        DataError: a weight that is not positive; a missing or infinite value; a regressor that does not vary once the
            constants are taken out; what `least_squares_by_blocks` refuses.

    Source: Wooldridge (2010), *Econometric Analysis of Cross Section and Panel Data*, section 10.5.
    """
    w = _weights(weights)
    left = _Left.of(outcome, regressors, names, unit, period, w)
    _require_variation(left.moves, [*names, "the outcome"])
    return left.labelled(least_squares_by_blocks(left.columns, names, w), unit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimable:
    """A fit that leaves out what other columns say already.

    Attributes:
        fit: on the columns that are kept, named.
        kept: (k,) True for the columns in `fit`; earlier columns are kept before later ones.
        known: (k,) True for kept columns whose coefficient does not depend on which of the others were left out.
    """

    fit: Regression
    kept: Array
    known: Array

    def loading(self, wanted: Array) -> Array:
        """(K, p) rows that pick the coefficients of the columns `wanted` (k,) that are kept."""
        return np.asarray(np.eye(int(self.kept.sum()))[wanted[self.kept]])


def two_way_estimable(
    outcome: Array,
    regressors: Array,
    names: Sequence[str],
    *,
    unit: Any,
    period: Array,
    weights: Array | None = None,
) -> Estimable | None:
    """`two_way` without columns that constants or earlier columns say already; None if none is left.

    Args:
        outcome: (N,).
        regressors: (N, k), without a constant.
        names: k names in the evaluator's words.
        unit: (N,) unit of each row.
        period: (N,) period of each row.
        weights: (N,) positive; all 1 if None.
    """
    w = _weights(weights)
    left = _Left.of(outcome, regressors, names, unit, period, w)
    kept = left.moves[:-1].copy()
    if not kept.any():
        return None
    weighted = left.columns[:-1][kept] * (1.0 if w is None else np.sqrt(w))
    corner = triangle(weighted)
    first = independent_columns(corner)
    known = kept.copy()
    known[kept] = _known(corner, first)
    kept[kept] = first
    chosen = [name for name, used in zip(names, kept, strict=True) if used]
    fit = least_squares_by_blocks(left.columns[np.append(kept, True)], chosen, w)
    return Estimable(fit=left.labelled(fit, unit), kept=kept, known=known)


def _known(corner: Array, first: Array) -> Array:
    """(k,) True for independent columns that take part in none of the dependent ones."""
    scaled = corner / np.linalg.norm(corner, axis=0)
    known = first.copy()
    if not first.all():
        weights = linalg.lstsq(scaled[:, first], scaled[:, ~first])[0]
        known[first] = (np.abs(weights) <= INVOLVED).all(axis=1)
    return known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Left:
    """What constants leave of regressors and outcome: columns (k + 1, N), and which of them still move."""

    columns: Array
    moves: Array
    panel: Panel

    @classmethod
    def of(
        cls, outcome: Array, regressors: Array, names: Sequence[str], unit: Any, period: Array | None, w: Array | None
    ) -> _Left:
        columns, before = _columns(outcome, regressors, names)
        panel = Panel.of(unit, period)
        after = take_out(columns, panel, w)
        return cls(columns=columns, moves=after > ABSORBED * before, panel=panel)

    def labelled(self, fit: Regression, unit: Any) -> Regression:
        panel = self.panel
        grouping = Grouping(codes=panel.codes[0], ids=panel.ids, size=panel.size)
        units = pd.Index(unit, copy=False)  # there may be millions
        return replace(fit, units=units, absorbed=panel.codes, grouping=grouping)


def _columns(outcome: Array, regressors: Array, names: Sequence[str]) -> tuple[Array, Array]:
    """(k + 1, N) copies of regressors and outcome, one after the other, and (k + 1,) their lengths."""
    x, y = np.asarray(regressors, dtype=float), np.asarray(outcome, dtype=float)
    columns = np.empty((x.shape[1] + 1, len(y)))
    squares = np.zeros(len(columns))
    for j, source in enumerate((*x.T, y)):
        for start in range(0, len(y), PIECE_ROWS):  # measured while the copy is in the cache
            piece = columns[j, start : start + PIECE_ROWS]
            piece[:] = source[start : start + PIECE_ROWS]
            squares[j] += piece @ piece
    if not np.isfinite(squares).all():
        require_complete(y, x, y, names)
    return columns, np.sqrt(squares)


def _weights(weights: Array | None) -> Array | None:
    """None for weights that are all 1."""
    if weights is None:
        return None
    w = np.asarray(weights, dtype=float)
    if not (w > 0).all():
        raise DataError(
            code="E-IMP-042",
            what="fixed effects need positive weights",
            found=f"{int((~(w > 0)).sum())} rows with a weight of zero, below zero or missing",
            fix="leave these rows out",
        )
    return None if (w == 1).all() else w


def _require_variation(moves: Array, names: Sequence[str]) -> None:
    if not moves.all():
        raise DataError(
            code="E-IMP-041",
            what="a column does not vary once unit and period effects are taken out",
            where=", ".join(name for name, moving in zip(names, moves, strict=True) if not moving),
            expected="columns that change within units, and not for all units alike",
            fix="leave the column out: fixed effects already say what it says",
        )
