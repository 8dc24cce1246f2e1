"""Estimates together with the influence of each unit, and the linear algebra on them.

An estimate is stored with its linear representation, estimate − truth ≈ (1/n) Σᵢ influenceᵢ, one row of influence for
each independent unit. Averages over cohorts, contrasts of two territories, pooling of samples that share units and
ratios are then matrix products, and every standard error follows from one place (`evaluation.impact.inference`).

Source: van der Vaart (1998), *Asymptotic Statistics*, chapters 3 and 20; Callaway and Sant'Anna (2021), section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd

from evaluation.errors import InternalError
from evaluation.impact.influence import NOISE, Influence

if TYPE_CHECKING:
    from evaluation.impact.regression import Regression

Kind = Literal["influence", "permutation", "jackknife", "none"]
Array = np.ndarray

MEAN_TOLERANCE = 1e-8  # of the root mean square of a column; rounding stays far below, a wrong weight far above
ROUNDING = 1e-13  # of the atoms: what is left of their means, which are zero, when they are added up


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arms:
    """Which groups of units stand on which side of each effect, so that inference can count clusters by side.

    Attributes:
        codes: (n,) group of each unit, 0..A-1; -1 for a unit that belongs to none.
        treated: (A, K) True where the group is among the treated of the effect.
        comparison: (A, K) True where the group is among the comparison of the effect.
    """

    codes: Array
    treated: Array
    comparison: Array

    @classmethod
    def of(cls, treated: Array, n_effects: int) -> Arms:
        """Two arms, the same for every effect, from a Boolean for each unit."""
        sides = np.array([[False], [True]]).repeat(n_effects, axis=1)
        return cls(codes=np.asarray(treated, dtype=bool).astype(np.intp), treated=sides, comparison=~sides)

    def combined(self, weights: Array) -> Arms:
        """Arms of linear combinations: a group stands on a side if it does so in any effect with a weight."""
        used = (np.asarray(weights) != 0).T
        return replace(self, treated=self.treated @ used, comparison=self.comparison @ used)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """Estimates, what they are called, and the influence of each unit on each of them.

    The arrays are read-only views. Everything outside this module reads the influence through `cluster_sums`,
    `cross_product`, `weighted_sums`, `support`, `dense` and the algebra, whatever the way in which it is stored.

    Attributes:
        estimate: (K,) in the unit of the outcome.
        labels: K rows that say what each estimate is (term, outcome, cohort, period, event_time, territory …).
        influence: (n, K) with columns of mean zero, an array or an `Influence`; (0, K) where `kind` is not "influence".
        units: (n,) unique ids of the units, the labels of the rows of `influence`.
        regression: the fit behind the estimates, if they are linear in its coefficients: HC and CR corrections need it.
        loading: (K, p) derivative of the estimates in regression.coefficients; present exactly when `regression` is.
        arms: who is treated and who is compared, if the method says so.
        kind: what the uncertainty comes from; "influence" unless the method has no influence function.

    Raises:
        InternalError: tables that do not line up, repeated unit ids, values that are not finite, or an influence column
            whose mean is not zero. Each is a fault of an estimator, never of the data.
    """

    estimate: Array
    labels: pd.DataFrame
    influence: Array | Influence
    units: pd.Index
    regression: Regression | None = None
    loading: Array | None = None
    arms: Arms | None = None
    kind: Kind = "influence"

    def __post_init__(self) -> None:
        _freeze(self)
        _require_shapes(self)
        _require_unique_units(self.units)
        _require_finite(self)
        _require_mean_zero(self)

    def __len__(self) -> int:
        return len(self.estimate)

    @property
    def n_units(self) -> int:
        """Number of units whose influences are averaged, those with influence zero included."""
        return len(self.units)

    def dense(self) -> Array:
        """(n, K) influences, a row for each unit."""
        return self._influence.dense()

    def cluster_sums(self, codes: Array) -> Array:
        """Sums of influence by cluster: (G, K) for codes 0..G-1, each of which occurs."""
        return self._influence.sums(codes, int(codes.max()) + 1)

    def weighted_sums(self, weights: Iterable[Array], precision: type[np.floating[Any]] = np.float64) -> Array:
        """Σᵢ w_bi influenceᵢ for each row of the weights, which come in tables (b, n): (B, K)."""
        return self._influence.weighted_sums(weights, precision)

    def cross_product(self) -> Array:
        """Σᵢ influenceᵢ influenceᵢ′, (K, K)."""
        return self._influence.cross_product()

    def support(self) -> Array:
        """(K,) False for a reference that is zero by construction: no unit has an influence on it."""
        if self.kind != "influence":
            return np.ones(len(self), dtype=bool)
        return np.asarray(self._influence.sum_of_squares() > 0)

    def contrast(self, weights: Array, labels: pd.DataFrame) -> Effects:
        """Linear combinations: estimate = weights @ self.estimate.

        Args:
            weights: (M, K), or (K,) for one combination.
            labels: M rows for the new estimates.
        """
        matrix = np.atleast_2d(np.asarray(weights, dtype=float))
        _require_columns(matrix, len(self))
        return self._mapped(matrix @ self.estimate, matrix, labels)

    def select(self, mask: Array | pd.Series) -> Effects:
        """The estimates where `mask` (K Booleans) is True, in the same order."""
        chosen = np.asarray(mask, dtype=bool)
        _require_columns(chosen[None, :], len(self))
        return replace(
            self,
            estimate=self.estimate[chosen],
            labels=self.labels.iloc[_positions(chosen)],
            influence=self._influence.chosen(chosen),
            loading=None if self.loading is None else self.loading[chosen],
            arms=self.arms and replace(self.arms, **_chosen_sides(self.arms, chosen)),
        )

    def nonlinear(
        self, function: Callable[[Array], Array], jacobian: Callable[[Array], Array], labels: pd.DataFrame
    ) -> Effects:
        """A smooth function of the estimates by the delta method: influence = influence @ J′.

        Args:
            function: (K,) -> (M,).
            jacobian: (K,) -> (M, K), the derivative at the estimate.
            labels: M rows for the new estimates.

        Source: van der Vaart (1998), theorem 3.1.
        """
        slope = np.atleast_2d(np.asarray(jacobian(self.estimate), dtype=float))
        _require_columns(slope, len(self))
        return self._mapped(np.atleast_1d(function(self.estimate)), slope, labels)

    @property
    def _influence(self) -> Influence:
        return cast("Influence", self.influence)  # made one when the effects were

    def _mapped(self, estimate: Array, matrix: Array, labels: pd.DataFrame) -> Effects:
        return replace(
            self,
            estimate=estimate,
            labels=labels,
            influence=self._influence.mapped(matrix),
            loading=None if self.loading is None else matrix @ self.loading,
            arms=self.arms and self.arms.combined(matrix),
        )


def concat(parts: Sequence[Effects]) -> Effects:
    """All estimates of several results over the union of their units, aligned by unit id.

    A result over n₁ units speaks of a mean over n₁; in the union of n units its influences are multiplied by n/n₁ and
    are zero for the units it does not have. Units that two results share then give their covariance: with a common
    comparison group the covariance of two effects is positive, and formulas that add two variances are wrong.

    Args:
        parts: at least one; all with influence, and unit ids of one type.
    """
    _require_same_kind(parts)
    _require_comparable_units(parts)
    units = _union([part.units for part in parts])
    rows = [units.get_indexer(part.units) for part in parts]
    fit, loading = _joined_fits(parts)
    return Effects(
        estimate=np.concatenate([part.estimate for part in parts]),
        labels=pd.concat([part.labels for part in parts], ignore_index=True),
        influence=_joined([part._influence for part in parts], rows, len(units)),
        units=units,
        arms=_joined_arms(parts, rows, len(units)),
        regression=fit,
        loading=loading,
    )


def clear_noise(influence: Array, scale: float) -> Array:
    """Columns that are rounding error beside `scale` (largest |outcome|) set to exactly zero, as an exact fit means."""
    noise = np.sqrt(np.einsum("ij,ij->j", influence, influence) / max(len(influence), 1)) <= NOISE * scale
    return np.where(noise, 0.0, influence) if noise.any() else influence


def _freeze(effects: Effects) -> None:
    for name in ("estimate", "loading"):
        value = getattr(effects, name)
        object.__setattr__(effects, name, value if value is None else _read_only(value))
    if not isinstance(effects.influence, Influence):
        object.__setattr__(effects, "influence", Influence.of(_read_only(effects.influence)))
    if not effects.labels.index.equals(pd.RangeIndex(len(effects.labels))):
        object.__setattr__(effects, "labels", effects.labels.reset_index(drop=True))


def _read_only(values: Array) -> Array:
    view = np.asarray(values, dtype=float).view()
    view.flags.writeable = False
    return view


def _require_shapes(effects: Effects) -> None:
    k, n = len(effects.estimate), len(effects.units)
    found = {
        "estimate": effects.estimate.shape,
        "labels": (len(effects.labels),),
        "influence": effects.influence.shape,
        "loading": None if effects.loading is None else effects.loading.shape[:1],
        "arms": None if effects.arms is None else (len(effects.arms.codes), effects.arms.treated.shape[1]),
    }
    expected = {"estimate": (k,), "labels": (k,), "influence": (n, k), "loading": (k,), "arms": (n, k)}
    wrong = [name for name, shape in found.items() if shape is not None and shape != expected[name]]
    wrong += ["loading and regression"] if (effects.loading is None) != (effects.regression is None) else []
    if wrong:
        raise InternalError(
            code="E-IMP-001",
            what="the tables of an effect do not line up",
            where=", ".join(wrong),
            found=str({name: shape for name, shape in found.items() if shape is not None}),
            expected=f"{k} estimates and {n} units everywhere",
        )


def _require_unique_units(units: pd.Index) -> None:
    if not units.is_unique:
        twice = units[units.duplicated()].unique()[:3].tolist()
        raise InternalError(
            code="E-IMP-002",
            what="a unit has more than one row of influence",
            found=f"{twice}",
            expected="one row for each unit: sum the influences of a unit first",
        )


def _require_finite(effects: Effects) -> None:
    if not (np.isfinite(effects.estimate).all() and np.isfinite(effects._influence.sum_of_squares()).all()):
        bad = ~np.isfinite(effects.estimate) | ~np.isfinite(effects.dense()).all(axis=0)
        raise InternalError(
            code="E-IMP-003",
            what="an estimate or an influence is not a finite number",
            where=_rows(effects.labels, bad),
            expected="what cannot be estimated is left out and listed with a reason",
        )


def _require_mean_zero(effects: Effects) -> None:
    """A mean that is not zero is how wrong standard errors have gone unnoticed for years (bcallaway11/did#223)."""
    if not len(effects.units):
        return
    n, found = effects.n_units, effects._influence
    mean, root_mean_square = np.abs(found.totals()) / n, np.sqrt(found.sum_of_squares() / n)
    rounding = NOISE * np.abs(effects.estimate) + ROUNDING * found.magnitude()
    allowed = MEAN_TOLERANCE * root_mean_square + rounding
    if (mean > allowed).any():
        raise InternalError(
            code="E-IMP-004",
            what="an influence column does not have mean zero",
            where=_rows(effects.labels, mean > allowed),
            found=f"|mean| up to {mean.max():.3g}",
            expected=f"at most {MEAN_TOLERANCE} of the root mean square",
        )


def _rows(labels: pd.DataFrame, mask: Array) -> str:
    return str(labels.loc[mask].head(3).to_dict("records"))


def _positions(chosen: Array) -> slice | Array:
    """The rows of a mask, as a slice where they follow one another: labels are then not copied."""
    rows = np.flatnonzero(chosen)
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _require_columns(matrix: Array, k: int) -> None:
    if matrix.shape[1] != k:
        raise InternalError(
            code="E-IMP-005",
            what="a contrast does not have one weight for each estimate",
            found=f"{matrix.shape[1]} weights",
            expected=f"{k}",
        )


def _chosen_sides(arms: Arms, chosen: Array) -> dict[str, Array]:
    return {"treated": arms.treated[:, chosen], "comparison": arms.comparison[:, chosen]}


def _require_same_kind(parts: Sequence[Effects]) -> None:
    kinds = [part.kind for part in parts]
    if set(kinds) != {"influence"}:
        raise InternalError(
            code="E-IMP-006",
            what="only effects with influence functions can be put side by side",
            found=", ".join(kinds) or "nothing",
            expected="influence",
        )


def _require_comparable_units(parts: Sequence[Effects]) -> None:
    """Row numbers of one file and names of another are not ids of the same units."""
    types = sorted({part.units.inferred_type for part in parts})
    if len(types) > 1:
        raise InternalError(
            code="E-IMP-007",
            what="effects to be put side by side name their units in different ways",
            found=" and ".join(types),
            expected="unit ids of one type",
        )


def _union(indexes: Sequence[pd.Index]) -> pd.Index:
    """Units in order of first appearance; one index if all are equal, which is the common case."""
    return reduce(lambda a, b: a if a.equals(b) else a.append(b.difference(a, sort=False)), indexes)


def _joined(influences: Sequence[Influence], rows: Sequence[Array], n: int) -> Influence:
    """Side by side; results made of the same atoms stay so, others are spread over the union of units."""
    first, *others = influences
    if all(part.atoms is first.atoms for part in others):
        return first.beside(others) if others else first
    return Influence.of(_spread([part.dense() for part in influences], rows, n))


def _spread(influences: Sequence[Array], rows: Sequence[Array], n: int) -> Array:
    if _same_units(rows, n):
        return np.hstack(influences)
    columns = np.cumsum([0, *(part.shape[1] for part in influences)])
    out = np.zeros((n, columns[-1]))
    for part, row, start, stop in zip(influences, rows, columns[:-1], columns[1:], strict=True):
        out[row, start:stop] = part * (n / len(row))
    return out


def _same_units(rows: Sequence[Array], n: int) -> bool:
    """Whether all speak of the same units in the same order, which is the common case and needs no alignment."""
    return all(len(row) == n and np.array_equal(row, rows[0]) for row in rows)


def _joined_arms(parts: Sequence[Effects], rows: Sequence[Array], n: int) -> Arms | None:
    arms = [part.arms for part in parts if part.arms is not None]
    if len(arms) < len(parts):
        return None
    if _same_units(rows, n) and all(np.array_equal(arm.codes, arms[0].codes) for arm in arms):
        sides = [np.hstack([getattr(arm, side) for arm in arms]) for side in ("treated", "comparison")]
        return Arms(codes=arms[0].codes, treated=sides[0], comparison=sides[1])
    codes = np.full((n, len(parts)), -1)
    for column, (arm, row) in enumerate(zip(arms, rows, strict=True)):
        codes[row, column] = arm.codes
    groups, joined = np.unique(codes, axis=0, return_inverse=True)
    return Arms(
        codes=joined.ravel(),
        treated=_sides([arm.treated for arm in arms], groups),
        comparison=_sides([arm.comparison for arm in arms], groups),
    )


def _sides(tables: Sequence[Array], groups: Array) -> Array:
    """Rows of each part's table by the group's code there; a group that is not in a part stands on no side of it."""
    padded = [np.vstack([table, np.zeros((1, table.shape[1]), dtype=bool)]) for table in tables]
    return np.hstack([table[groups[:, column]] for column, table in enumerate(padded)])


def _joined_fits(parts: Sequence[Effects]) -> tuple[Regression | None, Array | None]:
    """One fit for all: the same one, or the block-diagonal stack of several; none if any estimate has none."""
    fits = [part.regression for part in parts if part.regression is not None]
    loadings = [part.loading for part in parts if part.loading is not None]
    if len(fits) < len(parts):
        return None, None
    distinct = list({id(fit): fit for fit in fits}.values())
    if len(distinct) == 1:
        return distinct[0], np.vstack(loadings)
    if any(fit.absorbed for fit in distinct):
        return None, None  # fixed effects of several fits are not those of one
    starts = dict(zip(map(id, distinct), np.cumsum([0, *(fit.n_columns for fit in distinct)]), strict=False))
    wide = [_placed(loading, starts[id(fit)], distinct) for loading, fit in zip(loadings, fits, strict=True)]
    return distinct[0].stacked(distinct[1:]), np.vstack(wide)


def _placed(loading: Array, start: int, fits: Sequence[Regression]) -> Array:
    out = np.zeros((len(loading), sum(fit.n_columns for fit in fits)))
    out[:, start : start + loading.shape[1]] = loading
    return out
