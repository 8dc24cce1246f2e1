"""The regression behind an experiment: who is compared within which cell, adjusted for what.

Every reported group of rows (all rows, territories, subgroups) is made of cells that have a treatment coefficient each.
With strata as fixed effects a group is one cell; by stratum its cells are its strata, and its effect is their mean
weighted by the strata's shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.effects import Arms, Effects
from evaluation.impact.regression import Regression, weighted_least_squares

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign

SMALLEST_ARM = 2  # units, or clusters where these were drawn, that a stratum must have in each arm to have a variance
NAMED = 5  # strata that a message names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Groups of rows.

    Attributes:
        names: (K,) names; one empty name for all rows together.
        code: (n,) group of each row.
    """

    names: tuple[str, ...]
    code: NDArray[np.intp]

    @classmethod
    def everywhere(cls, n: int) -> Places:
        """All n rows in one group."""
        return cls(names=("",), code=np.zeros(n, dtype=np.intp))

    @classmethod
    def of(cls, values: pd.Series, names: Sequence[str]) -> Places:
        """One group for each name; each value is one of them."""
        return cls(names=tuple(names), code=pd.Index(names).get_indexer(values.to_numpy()))

    def columns(self) -> Floats:
        """(n, K) 1 where a row lies in the group."""
        return np.eye(len(self.names))[self.code]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Which rows are compared, and how their cells add up.

    Attributes:
        frame: n rows, all with the outcome.
        groups: G groups whose effects are reported.
        cells: K cells, each within one group, with a constant and a treatment coefficient of its own.
        shares: (G, K) weight of the cells in the effect of a group; rows sum to 1.
        strata: whether strata enter as fixed effects.
    """

    frame: pd.DataFrame
    groups: Places
    cells: Places
    shares: Floats
    strata: bool

    @classmethod
    def of(cls, design: ExperimentDesign, frame: pd.DataFrame, groups: Places | None = None) -> Plan:
        """The plan that the design asks for.

        Raises:
            DataError: by stratum, a stratum has fewer than two units (clusters, where these were drawn) in an arm.
        """
        chosen = Places.everywhere(len(frame)) if groups is None else groups
        if design.strata_effects == "fixed_effects":
            return cls(frame=frame, groups=chosen, cells=chosen, shares=np.eye(len(chosen.names)), strata=True)
        cells = _crossed(chosen, frame["stratum"])
        _require_both_arms_in(cells, frame, by_cluster=design.assignment == "cluster")
        weight = np.bincount(cells.code, frame["weight"].to_numpy(dtype=float), len(cells.names))
        inside = np.zeros((len(chosen.names), len(cells.names)))
        inside[chosen.code, cells.code] = 1.0
        shares = inside * weight
        return cls(
            frame=frame, groups=chosen, cells=cells, shares=shares / shares.sum(axis=1, keepdims=True), strata=False
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A design matrix for one plan, ready for any outcome of the same rows.

    Attributes:
        plan: rows and cells.
        matrix: (n, p) columns none of which is a combination of the others.
        names: (p,).
        weights: (n,) sampling weights, over the probability of the arm.
        left_out: columns that earlier ones say already.
        pick: (G, p) derivative of the groups' effects in the coefficients.
    """

    plan: Plan
    matrix: Floats
    names: tuple[str, ...]
    weights: Floats
    left_out: tuple[str, ...]
    pick: Floats

    @property
    def rows(self) -> pd.DataFrame:
        """The n rows."""
        return self.plan.frame

    def fit(self, outcome: Floats) -> Regression:
        """The regression of an outcome (n,) on the columns."""
        return weighted_least_squares(outcome, self.matrix, self.names, self.weights)

    def effects(
        self,
        outcome: Floats,
        labels: pd.DataFrame,
        combination: Floats | None = None,
        clusters: pd.DataFrame | None = None,
    ) -> Effects:
        """Combinations (M, G) of the groups' effects on an outcome (n,); the effects themselves if None."""
        mix = np.eye(len(self.pick)) if combination is None else combination
        units = pd.Index(self.plan.frame["unit"])
        arms = _arms(self.plan, units, mix, clusters)
        return self.fit(outcome).to_effects(mix @ self.pick, labels, units=units, arms=arms)


def comparison(sample: Sample, design: ExperimentDesign, plan: Plan) -> Comparison:
    """A constant and a treatment column for each cell, strata, covariates and, for lin, treatment times covariates.

    Covariates are centred at their weighted means in each cell, which makes the treatment coefficient of a cell the
    effect at its own means. Columns that are combinations of earlier ones are left out and named; a treatment column
    never is.

    Raises:
        DataError: treatment does not vary once strata and covariates are known.
    """
    frame, cells = plan.frame, plan.cells
    treated, weights = frame["treated"].to_numpy(dtype=float), arm_weights(frame)
    around = [
        *(_strata_columns(frame) if plan.strata else []),
        *(_covariate_columns(sample, frame, cells) if design.adjustment != "none" else []),
    ]
    treatment = [(_treatment_name(name), treated * x) for name, x in zip(cells.names, cells.columns().T, strict=True)]
    crossed = [(f"treated x {name}", treated * x) for name, x in around if design.adjustment == "lin"]
    base = [(f"in {name}" if name else "intercept", x) for name, x in zip(cells.names, cells.columns().T, strict=True)]
    named = [*base, *around, *treatment, *crossed]
    matrix = np.column_stack([x for _, x in named])
    kept = independent_columns(matrix * np.sqrt(weights)[:, None])
    left_out = tuple(name for (name, _), keep in zip(named, kept, strict=True) if not keep)
    _require_treatment(left_out, [name for name, _ in treatment])
    first = len(base) + len(around)
    places = np.cumsum(kept)[first : first + len(treatment)] - 1
    pick = np.zeros((len(plan.shares), int(kept.sum())))
    pick[:, places] = plan.shares
    names = tuple(name for (name, _), keep in zip(named, kept, strict=True) if keep)
    return Comparison(plan=plan, matrix=matrix[:, kept], names=names, weights=weights, left_out=left_out, pick=pick)


def arm_weights(frame: pd.DataFrame) -> Floats:
    """(n,) sampling weights, over the probability of the arm where a column gives it (Hájek's estimator)."""
    weights = np.asarray(frame["weight"], dtype=float)
    if "probability" not in frame:
        return weights
    p = frame["probability"].to_numpy(dtype=float)
    return np.asarray(weights / np.where(frame["treated"], p, 1 - p))


def with_differences(names: Sequence[str]) -> tuple[list[str], Floats]:
    """Names and combinations (G + pairs, G) of G effects and of all differences of two of them."""
    pairs = list(combinations(range(len(names)), 2))
    single = np.eye(len(names))
    differences = [single[a] - single[b] for a, b in pairs]
    return [*names, *(f"{names[a]} − {names[b]}" for a, b in pairs)], np.vstack([single, *differences])


def with_both_arms(design: ExperimentDesign, frame: pd.DataFrame, column: str) -> tuple[list[str], list[str]]:
    """Levels of a column with at least two units in both arms (by stratum: of each of their strata), and the others."""
    both = _thinnest(frame, [column], "unit") >= SMALLEST_ARM
    if design.strata_effects == "by_stratum":
        drawn = "cluster_1" if design.assignment == "cluster" else "unit"
        both &= _thinnest(frame, [column, "stratum"], drawn).groupby(level=0).min() >= SMALLEST_ARM
    return sorted(both.index[both]), sorted(both.index[~both])


def _thinnest(frame: pd.DataFrame, by: list[str], drawn: str) -> pd.Series:
    """Number of units or clusters in the smaller arm of each group."""
    counts = frame.groupby([*by, "treated"], observed=True)[drawn].nunique().unstack(fill_value=0)
    return counts.reindex(columns=[False, True], fill_value=0).min(axis=1)


def _crossed(groups: Places, stratum: pd.Series) -> Places:
    """Cells of group by stratum that occur."""
    named = pd.Series(np.asarray(groups.names, dtype=object)[groups.code], index=stratum.index)
    cell = named.where(named == "", named + ", ") + stratum.astype(str)
    return Places.of(cell, sorted(cell.unique()))


def _require_both_arms_in(cells: Places, frame: pd.DataFrame, *, by_cluster: bool) -> None:
    fewest = _thinnest(frame.assign(cell=cells.code), ["cell"], "cluster_1" if by_cluster else "unit")
    thin = [cells.names[cell] for cell in fewest.index[fewest < SMALLEST_ARM]]
    if thin:
        raise DataError(
            code="E-IMP-262",
            what="a stratum is too thin to have an effect and a variance of its own",
            where=", ".join(thin[:NAMED]) + (f" and {len(thin) - NAMED} more" if len(thin) > NAMED else ""),
            found=f"{len(thin)} of {len(cells.names)} strata with fewer than {SMALLEST_ARM} "
            f"{'clusters' if by_cluster else 'units'} in an arm",
            expected=f"at least {SMALLEST_ARM} in each arm of each stratum",
            fix="merge strata, write strata_effects: fixed_effects, or, for pairs, assignment: paired",
        )


def _arms(plan: Plan, units: pd.Index, mix: Floats, clusters: pd.DataFrame | None) -> Arms:
    """Sides are group by arm. A contrast is as well founded as the weaker of its groups, whose arms stand for it."""
    first = ~units.duplicated()
    treated = plan.frame["treated"].to_numpy(dtype=bool)[first]
    side = 2 * plan.groups.code[first] + treated
    strength = _strength(side, units[first], clusters, len(plan.groups.names))
    weakest = np.argmin(np.where(mix != 0, strength, np.inf), axis=1)
    spoken_of = np.repeat(np.eye(len(plan.groups.names), dtype=bool)[:, weakest], 2, axis=0)
    is_treated = (np.arange(len(spoken_of)) % 2 == 1)[:, None]
    return Arms(codes=side, treated=spoken_of & is_treated, comparison=spoken_of & ~is_treated)


def _strength(side: NDArray[np.intp], units: pd.Index, clusters: pd.DataFrame | None, n_groups: int) -> Floats:
    """(G,) clusters (units without clusters) in the smaller arm of each group, by the coarsest clustering."""
    tables = [units.to_frame(index=False)] if clusters is None else [clusters.loc[units, [c]] for c in clusters]
    counts = [table.iloc[:, 0].groupby(side).nunique().reindex(range(2 * n_groups)).fillna(0) for table in tables]
    by_arm = np.min([count.to_numpy(dtype=float) for count in counts], axis=0)
    return np.asarray(by_arm.reshape(n_groups, 2).min(axis=1))


def _treatment_name(cell: str) -> str:
    return f"treated in {cell}" if cell else "treated"


def _strata_columns(frame: pd.DataFrame) -> list[tuple[str, Floats]]:
    if "stratum" not in frame:
        return []
    code, levels = pd.factorize(frame["stratum"], sort=True)
    return [(f"stratum {levels[k]}", (code == k).astype(float)) for k in range(1, len(levels))]


def _covariate_columns(sample: Sample, frame: pd.DataFrame, cells: Places) -> list[tuple[str, Floats]]:
    """Covariates centred at their weighted means in each cell."""
    covariates, weights = model_matrix(frame, sample.names), arm_weights(frame)
    sums = (cells.columns() * weights[:, None]).T @ covariates.matrix
    means = sums / np.bincount(cells.code, weights)[:, None]
    return list(zip(covariates.labels, (covariates.matrix - means[cells.code]).T, strict=True))


def _require_treatment(left_out: tuple[str, ...], treatment: list[str]) -> None:
    lost = [name for name in treatment if name in left_out]
    if lost:
        raise DataError(
            code="E-IMP-057",
            what="treatment does not vary once strata and covariates are known",
            where=", ".join(lost),
            found="it is a combination of the columns for strata and covariates",
            expected="treated and comparison units that share a stratum and resemble one another",
            fix="drop the covariate that says who is treated, or check `strata`",
        )
