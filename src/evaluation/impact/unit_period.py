"""Constants for units and periods estimated on some rows and used on all: the linear algebra of imputation.

Least squares on a constant for each of n units and T periods has n + T unknowns. A unit's constant is its mean of what
the periods leave, so the units are eliminated one by one; T unknowns remain,

    (D_T - C′ D_n⁻¹ C) λ = Z_T′W y - C′ D_n⁻¹ Z_n′W y,   C (n, T) sums of weights, D_n and D_T its row and column sums,

one small matrix that is factorised once for all right-hand sides. It has one null direction for each connected part of
the graph of units and periods: the first period of a part is set to zero.

Source: Wansbeek and Kapteyn (1989), *Journal of Econometrics* 41(3); the connected parts: Abowd, Creecy and Kramarz
(2002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg, sparse

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Constants:
    """Constants of units and periods, by weighted least squares on the rows with a positive weight.

    Attributes:
        unit, time: (N,) codes from 0 of all rows.
        weight: (N,) 0 for the rows that are not used for estimation.
        counts: (n, T) C, sparse.
        mass: (n,) D_n, at least one row each.
        free: (F,) periods whose constant is not set to zero.
        cholesky: factor of the system in the free periods.
    """

    unit: Array
    time: Array
    weight: Array
    counts: sparse.csr_array
    mass: Array
    free: Array
    cholesky: Any

    @classmethod
    def of(cls, unit: Array, time: Array, weight: Array) -> Constants:
        """Prepare the system.

        Args:
            unit: (N,) codes from 0.
            time: (N,) codes from 0.
            weight: (N,) not negative; each unit and each period has a positive one.
        """
        shape = (int(unit.max()) + 1, int(time.max()) + 1)
        used = weight > 0
        counts = sparse.csr_array((weight[used], (unit[used], time[used])), shape=shape)
        mass = np.asarray(counts.sum(axis=1)).ravel()
        shares = sparse.diags_array(1 / np.where(mass > 0, mass, 1.0)) @ counts
        system = np.diag(np.asarray(counts.sum(axis=0)).ravel()) - (counts.T @ shares).toarray()
        parts = connected_parts(unit[used], time[used], *shape)[1]
        free = np.setdiff1d(np.arange(shape[1]), np.unique(parts, return_index=True)[1])
        factor = linalg.cho_factor(system[np.ix_(free, free)]) if len(free) else None
        return cls(unit=unit, time=time, weight=weight, counts=counts, mass=mass, free=free, cholesky=factor)

    def on(self, rows: Array) -> Constants:
        """The same constants for some of the rows alone, which must hold all that have a weight."""
        return replace(self, unit=self.unit[rows], time=self.time[rows], weight=self.weight[rows])

    def residuals(self, values: Array) -> Array:
        """Values (N, k) less their constants, on all rows; refined once, so that normal equations hold to rounding."""
        once = values - self._fitted(values)
        return np.asarray(once - self._fitted(once))

    def weights_of(self, picks: sparse.csr_array) -> tuple[Array, Array]:
        """Coefficients (n, K) and (T, K) of K linear functions of the rows: a with Z₀′W₀Z₀ a = Z′picks.

        Args:
            picks: (N, K) weights of the rows in each function; sparse.
        """
        by_unit, by_time = self._picked(picks)
        return self._solve(by_unit.toarray(), by_time.toarray())

    def period_weights_of(self, picks: sparse.csr_array) -> Array:
        """The second part of `weights_of`, (T, K), without an array of units by functions."""
        by_unit, by_time = self._picked(picks)
        means = sparse.diags_array(1 / np.where(self.mass > 0, self.mass, 1.0)) @ by_unit
        return self._of_time((by_time - self.counts.T @ means).toarray())

    def _picked(self, picks: sparse.csr_array) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Sums of the weights of the functions by unit (n, K) and by period (T, K)."""
        chosen = picks.tocoo()
        shapes = [(size, picks.shape[1]) for size in self.counts.shape]
        codes = [code[chosen.coords[0]] for code in (self.unit, self.time)]
        by_unit, by_time = (
            sparse.csr_array((chosen.data, (code, chosen.coords[1])), shape=shape)
            for code, shape in zip(codes, shapes, strict=True)
        )
        return by_unit, by_time

    def _fitted(self, values: Array) -> Array:
        weighted = self.weight[:, None] * values
        by_unit = _sums_by(self.unit, weighted, self.counts.shape[0])
        by_time = _sums_by(self.time, weighted, self.counts.shape[1])
        of_unit, of_time = self._solve(by_unit, by_time)
        return np.asarray(of_unit[self.unit] + of_time[self.time])

    def _solve(self, by_unit: Array, by_time: Array) -> tuple[Array, Array]:
        mass = np.where(self.mass > 0, self.mass, 1.0)[:, None]
        of_time = self._of_time(by_time - self.counts.T @ (by_unit / mass))
        return (by_unit - self.counts @ of_time) / mass, of_time

    def _of_time(self, right: Array) -> Array:
        """(T, k) constants of the periods for k right-hand sides."""
        of_time = np.zeros_like(right)
        if len(self.free):
            of_time[self.free] = linalg.cho_solve(self.cholesky, right[self.free])
        return of_time


def connected_parts(unit: Array, time: Array, n: int, t: int) -> tuple[Array, Array]:
    """Number of the part that each of n units and each of t periods belongs to, where rows join units and periods.

    Only within one part can a unit be compared in a period: between two parts constants can be moved at will.
    """
    links = sparse.coo_array((np.ones(len(unit)), (unit, n + time)), shape=(n + t, n + t))
    _, part = sparse.csgraph.connected_components(links, directed=False)
    return part[:n], part[n:]


def _sums_by(codes: Array, values: Array, n: int) -> Array:
    """(n, k) sums of values (N, k) by code."""
    out = np.empty((n, values.shape[1]))
    for k in range(values.shape[1]):
        out[:, k] = np.bincount(codes, values[:, k], n)
    return out
