"""Weighted least squares by a pivoted QR decomposition, with what robust standard errors need afterwards.

Columns are brought to unit length first and the normal equations are not solved: forming X′X halves the number of
correct digits (Longley 1967; Higham 2002, *Accuracy and Stability of Numerical Algorithms*, chapter 20). Where rows are
millions and columns few (`least_squares_by_blocks`), the triangle comes from cross products only where correlations say
that no digits are lost, otherwise from blocks of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import linalg

from evaluation.errors import DataError, InternalError
from evaluation.impact.effects import Arms, Effects

Array = np.ndarray

# Share of a column's length that no earlier column explains; below this it is a combination of them.
RANK_TOLERANCE = 1e-10
EXACT_FIT = 1e-12  # residuals below this share of the outcome are rounding errors of an exact fit
BLOCK_ROWS = 4096  # rows of a block, at least; small enough to stay in the cache
PIECE_ROWS = 1 << 15  # rows that are worked on while they stay in the cache
WELL_CONDITIONED = 1e-3  # smallest eigenvalue of the correlations from which cross products are digits enough
SOME_ROWS = 10_000  # rows that tell quickly that something does not hold for all
LEVERAGE_TOLERANCE = 1e-10  # 1 − leverage below this: the row is fitted exactly and says nothing about its variance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factor:
    """X P S⁻¹ = Q R with columns scaled to unit length (S) and pivoted by length (P); R has falling diagonal.

    Attributes:
        q: (N, p) orthonormal columns.
        r: (p, p) upper triangular.
        order: (p,) pivots.
        scale: (p,) length of each original column (1 for a column of zeros).
        rank: numerical rank.
    """

    q: Array
    r: Array
    order: Array
    scale: Array
    rank: int

    @property
    def full_rank(self) -> bool:
        """True where every column says something the others do not."""
        return self.rank == len(self.order)

    def solve(self, outcome: Array) -> Array:
        """Least-squares coefficients: (p,) for an outcome (N,), (p, q) for q outcomes at once."""
        return self._unpivoted(np.asarray(linalg.solve_triangular(self.r, self.q.T @ outcome)))

    def residuals(self, outcome: Array) -> Array:
        """Outcome − fitted values, projected twice so that they are orthogonal to the columns to the last digit."""
        once = outcome - self.q @ (self.q.T @ outcome)
        return np.asarray(once - self.q @ (self.q.T @ once))

    def solve_gram(self, vectors: Array) -> Array:
        """(X′X)⁻¹ @ vectors by two triangular solves; vectors (p,) or (p, q)."""
        scale = self.scale if vectors.ndim == 1 else self.scale[:, None]
        inner = linalg.solve_triangular(self.r, (vectors / scale)[self.order], trans="T")
        return self._unpivoted(linalg.solve_triangular(self.r, inner))

    def leverages(self) -> Array:
        """Diagonal of the projection on the columns, (N,)."""
        return np.asarray(np.einsum("ij,ij->i", self.q, self.q))

    def dependencies(self, names: Sequence[str]) -> str:
        """The columns that are combinations of others, in words; "" at full rank."""
        return "; ".join(self._dependency(position, names) for position in range(self.rank, len(self.order)))

    def _dependency(self, position: int, names: Sequence[str]) -> str:
        weights = linalg.solve_triangular(self.r[: self.rank, : self.rank], self.r[: self.rank, position])
        partners = [names[self.order[j]] for j in np.flatnonzero(np.abs(weights) > 1e-6)]
        return f"{names[self.order[position]]} (a combination of {', '.join(partners) or 'nothing: it is zero'})"

    def _unpivoted(self, solution: Array) -> Array:
        out = np.empty_like(solution)
        out[self.order] = solution
        return np.asarray(out / (self.scale if solution.ndim == 1 else self.scale[:, None]))


def factorize(design: Array) -> Factor:
    """The decomposition of a design matrix (N, p) that all least-squares fits of the project share."""
    length = np.linalg.norm(design, axis=0)
    scale = np.where(length > 0, length, 1.0)
    q, r, order = linalg.qr(design / scale, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return Factor(q=q, r=r, order=order, scale=scale, rank=int((diagonal > RANK_TOLERANCE).sum()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """Rows and the units they belong to.

    Attributes:
        codes: (N,) position of each row's unit in `ids`.
        ids: (n,) distinct units.
        size: rows of each unit where these stand together, in the order of `ids`; otherwise 0.
    """

    codes: Array
    ids: pd.Index
    size: int = 0

    @classmethod
    def of(cls, units: pd.Index) -> Grouping:
        """Units in order of first appearance."""
        codes, ids = pd.factorize(units)
        return cls(codes=codes, ids=pd.Index(ids))

    def sums(self, columns: Iterable[Array]) -> Array:
        """(n, p) sums by unit of p columns (N,)."""
        n = len(self.ids)
        starts = np.flatnonzero(np.diff(self.codes, prepend=-1))
        if len(starts) == n and bool((self.codes[starts] == np.arange(n)).all()):  # together, in order
            return np.column_stack([np.add.reduceat(column, starts) for column in columns])
        return np.column_stack([np.bincount(self.codes, column, n) for column in columns])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """A fitted weighted least-squares regression of N rows on p columns.

    Attributes:
        names: (p,) columns in the evaluator's words.
        design: (N, p) rows √w x.
        coefficients: (p,).
        residuals: (N,) √w (y − x′b).
        leverages: (N,) diagonal of the weighted projection; None where fixed effects were taken out, whose part is not
            known.
        bread: (p, p) (X′WX)⁻¹.
        weights: (N,) w.
        units: (N,) unit of each row; a unit may have several rows. None before `to_effects`.
        absorbed: for each fixed effect that was taken out of outcome and design beforehand, (N,) codes 0..levels-1.
        grouping: where the distinct values of `units` are known already.
    """

    names: tuple[str, ...]
    design: Array
    coefficients: Array
    residuals: Array
    leverages: Array | None
    bread: Array
    weights: Array
    units: pd.Index | None = None
    absorbed: tuple[Array, ...] = ()
    grouping: Grouping | None = None

    @property
    def n_columns(self) -> int:
        """Number of coefficients."""
        return len(self.coefficients)

    @property
    def n_rows(self) -> int:
        """Number of rows that count: those with a positive weight."""
        if self.weights.strides == (0,):  # one number for all
            return len(self.weights) if self.weights[0] > 0 else 0
        return int(np.count_nonzero(self.weights > 0))

    @property
    def residual_df(self) -> int:
        """Rows less coefficients, absorbed ones included."""
        return self.n_rows - self.n_columns - self.absorbed_df()

    def absorbed_df(self, units: pd.Index | None = None, clusters: Array | None = None) -> int:
        """Coefficients that the fixed effects stand for: all levels, less one for each effect after the first.

        Args:
            units: (n,) ids of the units of all rows.
            clusters: (n,) codes of these units; effects that never change within a cluster count as one coefficient in
                all, because clustering already allows for them (fixest's "nonnested"; Cameron and Miller 2015, section
                III.B).
        """
        levels = [int(codes.max()) + 1 for codes in self.absorbed]
        nested = [
            units is not None and clusters is not None and self._is_nested(codes, units, clusters)
            for codes in self.absorbed
        ]
        counted = sum(1 if inside else n for n, inside in zip(levels, nested, strict=True))
        return counted - max(len(levels) - 1, 0)

    def _is_nested(self, codes: Array, units: pd.Index, clusters: Array) -> bool:
        """Whether each level of a fixed effect lies within one cluster of units; that of units always does."""
        if self.grouping is not None and codes is self.grouping.codes:
            return True
        some = slice(SOME_ROWS)
        return is_nested(codes[some], clusters[self.rows_among(units, some)]) and is_nested(
            codes, clusters[self.rows_among(units)]
        )

    def scores(self, leverage_power: float = 0.0) -> Array:
        """(N, p) rows x w e / (1 − h)^power: power 0 for HC0 and HC1, ½ for HC2, 1 for HC3.

        A row with leverage 1 is fitted exactly; its residual, and so its score, is zero (the generalised inverse, as in
        CR2).

        Source: MacKinnon and White (1985).
        """
        if self.leverages is None:
            return np.asarray(self.design * self.residuals[:, None])
        room = 1 - self.leverages
        factor = np.where(room > LEVERAGE_TOLERANCE, np.maximum(room, LEVERAGE_TOLERANCE) ** -leverage_power, 0.0)
        return np.asarray(self.design * (self.residuals * factor)[:, None])

    def to_effects(
        self, contrast: Array, labels: pd.DataFrame, units: pd.Index | None = None, arms: Arms | None = None
    ) -> Effects:
        """Linear combinations of the coefficients, with influence n (X′WX)⁻¹ x w e for each unit.

        Args:
            contrast: (K, p), or (p,) for one.
            labels: K rows.
            units: (N,) unit of each row of the design, repeated where a unit has several rows (its influences are
                summed); row numbers if None.
            arms: sides of the units, in the order of `grouping` if `units` are those of the regression, otherwise of
                their first appearance.
        """
        loading = np.atleast_2d(np.asarray(contrast, dtype=float))
        rows = pd.RangeIndex(len(self.residuals)) if units is None else units
        grouping = self.grouping if self.grouping is not None and rows is self.units else Grouping.of(rows)
        return Effects(
            estimate=loading @ self.coefficients,
            labels=labels,
            influence=self._without_rounding(grouping, self.bread @ loading.T),
            units=grouping.ids,
            regression=replace(self, units=pd.Index(rows), grouping=grouping),
            loading=loading,
            arms=arms,
        )

    def rows_among(self, units: pd.Index, some: slice = slice(None)) -> Array:
        """(N,) position of each row's unit in `units`, or of some rows; -1 for one that is not there."""
        rows = pd.RangeIndex(len(self.residuals)) if self.units is None else self.units
        grouping = Grouping.of(rows) if self.grouping is None else self.grouping
        codes = grouping.codes[some]
        return codes if units is grouping.ids else np.asarray(units.get_indexer(grouping.ids)[codes])

    def _without_rounding(self, grouping: Grouping, slopes: Array) -> Array:
        """(n, K) influences; rounding errors, beside what rows could add up to, are no influence and no mean."""
        n = len(grouping.ids)
        influence = n * (self._score_sums(grouping) @ slopes)
        scale = (np.linalg.norm(self.residuals) * _lengths(self.design)) @ np.abs(slopes)
        noise = np.sqrt(np.einsum("ij,ij->j", influence, influence) / n) <= EXACT_FIT * scale
        mean = np.full(n, 1 / n) @ influence
        rounding = np.where(np.abs(mean) <= EXACT_FIT * scale, mean, 0.0)
        if rounding.any():
            influence -= rounding
        return np.where(noise, 0.0, influence) if noise.any() else influence

    def _score_sums(self, grouping: Grouping) -> Array:
        """(n, p) sums of the scores of power 0 by unit, a column at a time where that is all they are."""
        if self.leverages is not None:
            return grouping.sums(self.scores().T)
        if not grouping.size:
            return grouping.sums(column * self.residuals for column in self.design.T)
        tables = (-1, grouping.size)
        left = self.residuals.reshape(tables)
        return np.column_stack([np.einsum("it,it->i", column.reshape(tables), left) for column in self.design.T])

    def stacked(self, others: Sequence[Regression]) -> Regression:
        """One regression with a block of columns for each: what a fully interacted regression would be."""
        fits = [self, *others]
        labels = [fit.units for fit in fits if fit.units is not None]
        leverages = [fit.leverages for fit in fits if fit.leverages is not None]
        if len(labels) < len(fits):
            raise InternalError(code="E-IMP-008", what="regressions without unit ids cannot be put side by side")
        return Regression(
            names=tuple(name for fit in fits for name in fit.names),
            design=linalg.block_diag(*(fit.design for fit in fits)),
            coefficients=np.concatenate([fit.coefficients for fit in fits]),
            residuals=np.concatenate([fit.residuals for fit in fits]),
            leverages=None if len(leverages) < len(fits) else np.concatenate(leverages),
            bread=linalg.block_diag(*(fit.bread for fit in fits)),
            weights=np.concatenate([fit.weights for fit in fits]),
            units=labels[0].append(labels[1:]),
        )


def weighted_least_squares(
    outcome: Array, design: Array, names: Sequence[str], weights: Array | None = None
) -> Regression:
    """b = argmin Σᵢ wᵢ (yᵢ − xᵢ′b)², by pivoted QR of √w X.

    Args:
        outcome: (N,).
        design: (N, p), the constant included.
        names: p names in the evaluator's words; errors speak them.
        weights: (N,) not negative; all 1 if None.

    Raises:
        DataError: fewer rows than columns; a column that is a combination of others (named, with its partners); a
            missing or infinite value; a negative weight.

    Source: Golub and Van Loan (2013), section 5.4; Higham (2002), chapter 20.
    """
    y, x = np.asarray(outcome, dtype=float), np.asarray(design, dtype=float)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    require_complete(y, x, w, names)
    _require_weights(w)
    _require_rows(int((w > 0).sum()), len(names))
    root = np.sqrt(w)
    factor = factorize(x * root[:, None])
    _require_full_rank(factor, names)
    return _fitted(factor, y * root, x * root[:, None], w, names)


def _fitted(factor: Factor, y: Array, x: Array, w: Array, names: Sequence[str]) -> Regression:
    residuals = factor.residuals(y)
    exact = np.linalg.norm(residuals) <= EXACT_FIT * np.linalg.norm(y)
    return Regression(
        names=tuple(names),
        design=x,
        coefficients=factor.solve(y),
        residuals=np.zeros_like(residuals) if exact else residuals,
        leverages=factor.leverages(),
        bread=factor.solve_gram(np.eye(len(names))),
        weights=w,
    )


def least_squares_by_blocks(columns: Array, names: Sequence[str], weights: Array | None = None) -> Regression:
    """`weighted_least_squares` for many rows and few columns, from columns that are stored one after the other.

    Q is never stored: only the triangle R of [√w X, √w y] (`triangle`), which is decomposed by pivoted QR as X itself
    would be. One step of refinement with R makes the residuals orthogonal to the columns.

    Args:
        columns: (k + 1, N) finite: the regressors, then the outcome. They are overwritten: multiplied by √w, and the
            outcome becomes the residuals.
        names: k names in the evaluator's words.
        weights: (N,) positive; all 1 if None.

    Raises:
        DataError: fewer rows than columns; a column that is a combination of others (named, with its partners).

    Source: Golub and Van Loan (2013), section 5.2; Demmel, Grigori, Hoemmen and Langou (2012), *SIAM Journal on
        Scientific Computing* 34(1), for the blocks; Björck (1996), *Numerical Methods for Least Squares Problems*,
        section 6.6.5, for the refinement.
    """
    _require_rows(columns.shape[1], len(names))
    if weights is not None:
        columns *= np.sqrt(weights)
    corner = triangle(columns)
    factor = factorize(corner[:, :-1])
    _require_full_rank(factor, names)
    coefficients = _refined(factor, factor.solve(corner[:, -1]), columns, float(np.linalg.norm(corner[:, -1])))
    return Regression(
        names=tuple(names),
        design=columns[:-1].T,
        coefficients=coefficients,
        residuals=columns[-1],
        leverages=None,
        bread=factor.solve_gram(np.eye(len(names))),
        weights=np.broadcast_to(1.0, columns.shape[1]) if weights is None else weights,
    )


def triangle(columns: Array) -> Array:
    """R (p, p) with R′R = X′X for X′ = columns (p, N).

    By Cholesky of the cross products where no column is nearly said by others, which costs less than two digits;
    otherwise by QR: R of the triangles of blocks of rows is R of X. With fewer rows than columns it is (N, p).
    """
    products = _cross_products(columns)
    length = np.sqrt(np.diag(products))
    if (length > 0).all():
        correlation = products / np.outer(length, length)
        if np.linalg.eigvalsh(correlation)[0] > WELL_CONDITIONED:
            return np.asarray(np.linalg.cholesky(correlation).T * length)
    return _triangle_of_blocks(columns)


def _cross_products(columns: Array) -> Array:
    """X′X, a dot product at a time: a matrix product of few long columns is slower."""
    p = len(columns)
    out = np.empty((p, p))
    for i in range(p):
        for j in range(i + 1):
            out[i, j] = out[j, i] = columns[i] @ columns[j]
    return out


def _triangle_of_blocks(columns: Array) -> Array:
    p, n = columns.shape
    size = max(BLOCK_ROWS, 8 * p)
    whole = n - n % size
    parts = [columns[:, whole:].T]
    if whole:
        blocks = columns[:, :whole].reshape(p, -1, size).transpose(1, 2, 0)
        parts.append(np.asarray(np.linalg.qr(blocks, mode="r")).reshape(-1, p))
    return np.asarray(np.linalg.qr(np.vstack(parts), mode="r"))


def _refined(factor: Factor, coefficients: Array, columns: Array, length: float) -> Array:
    """Coefficients after one step; the outcome, of this length, becomes residuals, which are zero in an exact fit."""
    moments = np.zeros(len(coefficients))
    for some in _pieces(columns):
        some[-1] -= coefficients @ some[:-1]
        moments += some[:-1] @ some[-1]
    step, squares = factor.solve_gram(moments), 0.0
    for some in _pieces(columns):
        some[-1] -= step @ some[:-1]
        squares += some[-1] @ some[-1]
    if np.sqrt(squares) <= EXACT_FIT * length:
        columns[-1] = 0.0
    return np.asarray(coefficients + step)


def _pieces(columns: Array) -> Iterator[Array]:
    """Columns (p, N) a few rows at a time, which stay in the cache."""
    for start in range(0, columns.shape[1], PIECE_ROWS):
        yield columns[:, start : start + PIECE_ROWS]


def _lengths(design: Array) -> Array:
    """(p,) lengths of columns."""
    return np.sqrt([column @ column for column in design.T])


def is_nested(inner: Array, outer: Array) -> bool:
    """Whether each level of `inner` lies within one level of `outer`; (N,) codes from 0."""
    last = np.zeros(int(inner.max()) + 1, dtype=np.intp)
    last[inner] = outer
    return bool((last[inner] == outer).all())


def require_complete(y: Array, x: Array, w: Array, names: Sequence[str]) -> None:
    """Refuse missing and infinite values, naming their columns."""
    if x.ndim != 2 or x.shape != (len(y), len(names)) or len(w) != len(y):
        raise InternalError(
            code="E-IMP-009",
            what="outcome, design, names and weights of a regression do not line up",
            found=f"{y.shape}, {x.shape}, {len(names)} names, {w.shape}",
        )
    bad = [name for name, column in zip(names, x.T, strict=True) if not np.isfinite(column).all()]
    bad += [] if np.isfinite(y).all() else ["the outcome"]
    if bad:
        raise DataError(
            code="E-IMP-010",
            what="a regression met a missing or infinite value",
            where=", ".join(bad),
            fix="drop these rows, with a reason, before the estimate",
        )


def _require_weights(w: Array) -> None:
    if not (np.isfinite(w).all() and (w >= 0).all() and (w > 0).any()):
        raise DataError(
            code="E-IMP-011",
            what="weights of a regression are missing, negative or all zero",
            found=f"from {np.min(w):.6g} to {np.max(w):.6g}",
            expected="finite numbers, none negative, some positive",
        )


def _require_rows(n: int, p: int) -> None:
    if n < p:
        raise DataError(
            code="E-IMP-012",
            what="a regression has fewer rows than columns",
            found=f"{n} rows, {p} columns",
            fix="use fewer covariates",
        )


def _require_full_rank(factor: Factor, names: Sequence[str]) -> None:
    if not factor.full_rank:
        raise DataError(
            code="E-IMP-013",
            what="columns of a regression say the same thing",
            where=factor.dependencies(names),
            expected="columns none of which is a combination of the others",
            fix="leave out one of the columns named",
        )
