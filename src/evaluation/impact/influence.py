"""Influence functions of many estimates on many units, stored as what they are made of.

The influences of K estimates on n units are a matrix (n, K) that is rarely worth forming. It is kept as ψ = B C: atoms
B (n, P), of which each block of units has a few columns and the rest is zero, and coefficients C (P, K). A dense matrix
is one block with C the identity; the cells of a staggered design are a block for each cohort, with a column for each
comparison that the cohort takes part in; the changes of the outcome from the first period, a block for each cohort with
a column for each period, are sufficient for every effect without covariates. Averages, contrasts and derivatives only
multiply C, and second moments of the atoms are computed once for all estimates that are made of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from evaluation.impact.threads import in_order

Array = np.ndarray

NOISE = 1e-12  # of the scale of the outcome; below this an influence is rounding error of an exact fit
AT_A_TIME = 2048  # units of a product with random weights: their part of both tables stays in the cache
CANCELLED = 1e-5  # of a sum of squares without its signs; less is left: it is computed again, unit by unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Units start, start + 1, … and what they contribute to some of the atoms.

    Attributes:
        start: position of the first unit.
        values: (m, q), a row for each unit.
        columns: (q,) positions of the atoms.
    """

    start: int
    values: Array
    columns: Array

    @property
    def rows(self) -> slice:
        """Positions of the units."""
        return slice(self.start, self.start + len(self.values))


@dataclass(frozen=True, kw_only=True, eq=False)
class Atoms:
    """Blocks of units that do not overlap; units outside all blocks contribute nothing.

    Attributes:
        n_units: n.
        n_atoms: P.
        blocks: in any order.
    """

    n_units: int
    n_atoms: int
    blocks: tuple[Block, ...]

    @cached_property
    def totals(self) -> Array:
        """(P,) sums over units."""
        out = np.zeros(self.n_atoms)
        for block in self.blocks:
            out[block.columns] += np.ones(len(block.values)) @ block.values
        return out

    @cached_property
    def gram(self) -> Array:
        """(P, P) sums of products over units."""
        out = np.zeros((self.n_atoms, self.n_atoms))
        for block in self.blocks:
            out[np.ix_(block.columns, block.columns)] += block.values.T @ block.values
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """ψ = B C.

    Attributes:
        atoms: B, (n, P).
        coefficients: C, (P, K); None for the identity.
    """

    atoms: Atoms
    coefficients: Array | None = None

    @classmethod
    def of(cls, values: Array) -> Influence:
        """The influences (n, K) as one dense block."""
        n, k = values.shape
        return cls(Atoms(n_units=n, n_atoms=k, blocks=(Block(start=0, values=values, columns=np.arange(k)),)))

    @property
    def shape(self) -> tuple[int, int]:
        """(n, K)."""
        return self.atoms.n_units, self.atoms.n_atoms if self.coefficients is None else self.coefficients.shape[1]

    def dense(self) -> Array:
        """(n, K), formed."""
        if self._is_dense():
            return self.atoms.blocks[0].values
        out = np.zeros(self.shape)
        for block in self.atoms.blocks:
            out[block.rows] = self._projected(block)
        return out

    def mapped(self, matrix: Array) -> Influence:
        """Influences of the combinations matrix (M, K) @ estimates."""
        return Influence(self.atoms, self._matrix() @ matrix.T)

    def chosen(self, mask: Array) -> Influence:
        """Influences of some of the estimates, `mask` (K,) Booleans."""
        return Influence(self.atoms, self._matrix()[:, mask])

    def beside(self, others: Sequence[Influence]) -> Influence:
        """Influences made of the same atoms, side by side."""
        return Influence(self.atoms, np.hstack([self._matrix(), *(other._matrix() for other in others)]))

    def without_noise(self, scale: float) -> Influence:
        """Columns that are rounding error beside `scale` (largest |outcome|) set to exactly zero."""
        noise = np.sqrt(self.sum_of_squares() / max(len(self), 1)) <= NOISE * scale
        return Influence(self.atoms, np.where(noise, 0.0, self._matrix())) if noise.any() else self

    def totals(self) -> Array:
        """Σᵢ ψᵢ, (K,)."""
        return self.atoms.totals if self.coefficients is None else self.atoms.totals @ self.coefficients

    def sum_of_squares(self) -> Array:
        """Σᵢ ψᵢ², (K,); exact also where the atoms nearly cancel."""
        squares, lost = self._squares()
        if lost.any():
            squares[lost] = np.einsum("ij,ij->j", *(self.chosen(lost).dense(),) * 2)
        return squares

    def cross_product(self) -> Array:
        """Σᵢ ψᵢ ψᵢ′, (K, K)."""
        if self.coefficients is None:
            return self.atoms.gram
        if self._squares()[1].any():
            dense = self.dense()
            return np.asarray(dense.T @ dense)
        return np.asarray(self.coefficients.T @ self.atoms.gram @ self.coefficients)

    def magnitude(self) -> Array:
        """(K,) root mean square of the columns if nothing cancelled: what rounding errors are held against."""
        size = np.sqrt(np.diag(self.atoms.gram) / max(len(self), 1))
        return size if self.coefficients is None else size @ np.abs(self.coefficients)

    def sums(self, codes: Array, n_codes: int) -> Array:
        """Sums of ψ by code, (G, K); ψ itself, not a copy, where each unit has the code of its position.

        Args:
            codes: (n,) from 0 to n_codes - 1.
            n_codes: G.
        """
        if self._is_dense():
            return sums_by(self.atoms.blocks[0].values, codes, n_codes)
        out = np.zeros((n_codes, self.shape[1]))
        for block in self.atoms.blocks:
            here = codes[block.rows]
            if self.coefficients is None or len(block.columns) < self.shape[1]:
                part = sums_by(block.values, here, n_codes)
                out += self._into(part, block)
            else:
                out += sums_by(self._projected(block), here, n_codes)
        return out

    def weighted_sums(self, weights: Iterable[Array], precision: type[np.floating[Any]] = np.float64) -> Array:
        """Σᵢ w_bi ψᵢ for each row of the weights, which come in tables (b, n): (B, K).

        In single precision a sum is off by some 10⁻⁷ of the length of ψ, in half the time: enough for random weights.
        """
        parts = [self._lean(block, precision) for block in self.atoms.blocks]

        def summed(table: Array) -> Array:
            out = np.zeros((len(table), self.shape[1]))
            for rows, values, onward in parts:
                out += _product(table[:, rows], values) @ onward
            return out

        return np.vstack(list(in_order(summed, weights)))  # the next table is drawn meanwhile

    def _lean(self, block: Block, precision: type[np.floating[Any]]) -> tuple[slice, Array, Array]:
        """Rows of a block, what is summed over them, and what takes the sums to the estimates: whatever is less.

        What is summed has columns of at most one, so that single precision holds numbers of any unit.
        """
        if self.coefficients is None or len(block.columns) >= self.shape[1]:
            values, onward = self._projected(block), np.eye(self.shape[1])
        else:
            values, onward = block.values, self.coefficients[block.columns]
        largest = np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0))
        scale = np.where(largest > 0, largest, 1.0)
        return block.rows, (values / scale).astype(precision, copy=False), scale[:, None] * onward

    def __len__(self) -> int:
        return self.atoms.n_units

    def _is_dense(self) -> bool:
        """Whether ψ itself is what is stored."""
        blocks = self.atoms.blocks
        return self.coefficients is None and len(blocks) == 1 and blocks[0].rows == slice(0, len(self))

    def _matrix(self) -> Array:
        return np.eye(self.atoms.n_atoms) if self.coefficients is None else self.coefficients

    def _projected(self, block: Block) -> Array:
        return self._into(block.values, block)

    def _into(self, values: Array, block: Block) -> Array:
        """(…, q) contributions to the atoms of a block as contributions to the estimates, (…, K)."""
        if self.coefficients is not None:
            return np.asarray(values @ self.coefficients[block.columns])
        out = np.zeros((len(values), self.atoms.n_atoms))
        out[:, block.columns] = values
        return out

    def _squares(self) -> tuple[Array, Array]:
        """(K,) sums of squares from the moments of the atoms, and where too many of their digits cancelled."""
        if self.coefficients is None:
            return np.diag(self.atoms.gram).copy(), np.zeros(self.shape[1], dtype=bool)
        size = np.abs(self.coefficients)
        squares = np.einsum("pk,pk->k", self.coefficients, self.atoms.gram @ self.coefficients)
        without_signs = np.einsum("pk,pk->k", size, np.abs(self.atoms.gram) @ size)
        return squares, squares < CANCELLED * without_signs


def _product(weights: Array, values: Array) -> Array:
    """weights (b, m) @ values (m, q), a few units at a time, so that whole numbers become floats where they serve."""
    out = np.zeros((len(weights), values.shape[1]))
    for start in range(0, len(values), AT_A_TIME):
        some = slice(start, start + AT_A_TIME)
        out += weights[:, some].astype(values.dtype, copy=False) @ values[some]
    return out


def sums_by(values: Array, codes: Array, n_codes: int) -> Array:
    """Sums of the rows of values (m, q) by code, (G, q)."""
    if len(codes) == n_codes and np.array_equal(codes, np.arange(n_codes)):
        return values
    out = np.empty((n_codes, values.shape[1]))
    for j, column in enumerate(values.T):
        out[:, j] = np.bincount(codes, column, minlength=n_codes)
    return out
