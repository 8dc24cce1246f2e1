"""The two-way coefficient as a weighted mean of comparisons of two groups in two spans of time (Goodman-Bacon).

Some of these compare units that start to be treated with units that are treated already. Such comparisons are
forbidden: their "untreated" change holds the change of an effect.

Source: Goodman-Bacon (2021), *Journal of Econometrics* 225(2), theorem 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.did_rows import complete

if TYPE_CHECKING:
    from evaluation.impact.did_rows import Rows

Array = np.ndarray

FORBIDDEN = ("later_vs_earlier", "treated_vs_always")


def decompose(rows: Rows) -> pd.DataFrame:
    """Every comparison of two groups and its weight in the two-way coefficient.

    With n_k the share of a group, D_k the share of periods in which it is treated, k treated before l, U never treated
    and A treated in all periods, weights are proportional to

        treated_vs_never    n_k n_U D_k (1 - D_k)
        treated_vs_always   n_k n_A D_k (1 - D_k)
        earlier_vs_later    n_k n_l (D_k - D_l) (1 - D_k)     k against l, before l is treated
        later_vs_earlier    n_k n_l (D_k - D_l) D_l           l against k, once k is treated

    and sum to one. Each estimate is the change of the mean of the group that starts to be treated from the periods
    before its start to those after it, less the change of the other group. Weights of units that never change are
    allowed: shares and means are then weighted.

    Args:
        rows: balanced, without covariates, every unit with one weight.

    Returns:
        A row for each comparison: kind, treated (its cohort), comparison (its cohort; missing = never treated),
        forbidden, weight, estimate; the largest weight first.

    Raises:
        DataError: rows of which the theorem does not speak.

    Source: Goodman-Bacon (2021), equations 7 to 10.
    """
    reason = why_not(rows)
    if reason:
        raise DataError(
            code="E-IMP-103",
            what="the two-way coefficient cannot be decomposed into comparisons of two groups",
            where=rows.outcome,
            found=reason,
            expected="a balanced panel without covariates, in which units keep their weight",
        )
    groups = _Means.of(rows)
    table = pd.DataFrame(list(groups.comparisons()))
    table["weight"] = table["weight"] / table["weight"].sum()
    table = table.astype({"treated": "Int64", "comparison": "Int64"})
    return table.sort_values("weight", ascending=False, kind="stable", ignore_index=True)


def why_not(rows: Rows) -> str:
    """Why the decomposition does not hold for these rows; "" where it does."""
    same_weight = np.diff(rows.weight)[np.diff(rows.unit) == 0]
    reasons = {
        "units lack periods": not complete(rows).all(),
        "there are covariates": rows.design.shape[1] > 1,
        "weights change within units": bool((same_weight != 0).any()),
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def forbidden_share(table: pd.DataFrame) -> float:
    """Share of the weight on comparisons with units that are treated already."""
    return float(table.loc[table["forbidden"], "weight"].sum())


def by_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Weight and mean estimate of each kind of comparison."""
    sums = table.assign(part=table["weight"] * table["estimate"]).groupby("kind", sort=True)
    kinds = sums.agg(weight=("weight", "sum"), part=("part", "sum"), forbidden=("forbidden", "first")).reset_index()
    return kinds.assign(estimate=kinds["part"] / kinds["weight"])[["kind", "forbidden", "weight", "estimate"]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Means:
    """Groups in the order of their start: always treated first, never treated last.

    Attributes:
        starts: (A,) first treated periods, those up to the first period as -infinity, later than the last as infinity.
        share: (A,) n_k.
        treated: (A,) D_k.
        means: (A, T) mean outcome.
        periods: (T,).
    """

    starts: Array
    share: Array
    treated: Array
    means: Array
    periods: Array

    @classmethod
    def of(cls, rows: Rows) -> _Means:
        periods, time = np.unique(rows.period, return_inverse=True)
        cohort = np.where(rows.cohort <= periods[0], -np.inf, rows.cohort)
        cohort = np.where(cohort > periods[-1], np.inf, cohort)
        starts, group = np.unique(cohort, return_inverse=True)
        cell, shape = group * len(periods) + time, (len(starts), len(periods))
        level = rows.y.mean()  # changes nothing but rounding
        sums = np.bincount(cell, rows.weight * (rows.y - level), np.prod(shape)).reshape(shape)
        mass = np.bincount(cell, rows.weight, np.prod(shape)).reshape(shape)
        return cls(
            starts=starts,
            share=mass[:, 0] / mass[:, 0].sum(),
            treated=(periods >= starts[:, None]).mean(axis=1),
            means=sums / mass,
            periods=periods,
        )

    def comparisons(self) -> Iterator[dict[str, object]]:
        """Each pair of groups, twice where both start within the periods."""
        for early in range(len(self.starts)):
            for late in range(early + 1, len(self.starts)):
                always, never = np.isneginf(self.starts[early]), np.isposinf(self.starts[late])
                if not always:
                    kind = "treated_vs_never" if never else "earlier_vs_later"
                    yield self._comparison(early, late, kind, self.periods < self.starts[late])
                if not never:
                    kind = "treated_vs_always" if always else "later_vs_earlier"
                    yield self._comparison(late, early, kind, self.periods >= self.starts[early])

    def _comparison(self, one: int, other: int, kind: str, span: Array) -> dict[str, object]:
        """`one` starts within the span of periods, in which `other` does not change."""
        change = self.means[one] - self.means[other]
        after = span & (self.periods >= self.starts[one])
        before = span & ~after
        length = len(self.periods)
        return {
            "kind": kind,
            "treated": self.starts[one],
            "comparison": self.starts[other] if np.isfinite(self.starts[other]) else None,
            "forbidden": kind in FORBIDDEN,
            "weight": self.share[one] * self.share[other] * after.sum() / length * before.sum() / length,
            "estimate": change[after].mean() - change[before].mean(),
        }
