"""A planned study: a design, and what happens to it on the way. Power, detectable effect, sizes and the cheapest one.

Attrition takes units (or clusters) away; a subgroup leaves a part of them; several outcomes share one level; where not
everybody offered takes part, the effect on those who do is the effect of the offer over the difference in take-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.errors import ParametersError
from evaluation.impact.covariates import Floats
from evaluation.impact.power import core
from evaluation.impact.power.designs import DesignOfSize, Precision, Spread

LARGEST = 2**31  # units or clusters; a study that needs more cannot be planned
_ROUNDS = 200  # of the fixed point for outcomes whose spread changes with the effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """A part of the people for whom the effect is wanted as well.

    Attributes:
        share: of the units (or clusters) who belong to it.
        of: whether it is found within each cluster, or is made of whole clusters.
        contrast: the difference between its effect and that on the others, instead of its effect.
    """

    share: float
    of: Literal["units", "clusters"] = "units"
    contrast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A design with what happens to it.

    Attributes:
        design: see `designs` and `over_time`.
        spread: of the outcome.
        level: of the two-sided test of one outcome.
        target: power that is wanted.
        outcomes: number of outcomes tested together, by Holm or Bonferroni: each is planned at level / outcomes, at
            which Holm's first step stands too.
        attrition: share of the units that are lost, in every cluster where clusters are drawn.
        clusters_lost: share of the clusters that are lost as a whole.
        take_up: share of those offered who take part, less the share of the others who do; 1 if all and none do.
        subgroup: a part of the people; None for everybody.
    """

    design: DesignOfSize
    spread: Spread = field(default_factory=Spread)
    level: float = core.LEVEL
    target: float = core.TARGET
    outcomes: int = 1
    attrition: float = 0.0
    clusters_lost: float = 0.0
    take_up: float = 1.0
    subgroup: Subgroup | None = None

    @property
    def level_of_one(self) -> float:
        """Level at which one outcome is tested."""
        return self.level / self.outcomes

    def precision(self, n: Floats, size: Floats | float = 1.0, effect: Floats | float = 0.0) -> Precision:
        """Precision of the effect of the offer, at n units or clusters assigned, with `size` units each."""
        if self.subgroup is None:
            return self._of_part(n, size, effect, 1.0, "units")
        part = self._of_part(n, size, effect, self.subgroup.share, self.subgroup.of)
        if not self.subgroup.contrast:
            return part
        rest = self._of_part(n, size, 0.0, 1 - self.subgroup.share, self.subgroup.of)
        return Precision(std_error=np.hypot(part.std_error, rest.std_error), df=part.df + rest.df)

    def _of_part(self, n: Floats, size: Floats | float, effect: Floats | float, share: float, of: str) -> Precision:
        assigned, together = np.asarray(n, dtype=float), self.design.together
        if self.design.drawn == "units":
            units = assigned * size * (1 - self.attrition) ** together * share
            return self.design.precision(units, 1.0, self.spread, effect)
        clusters = assigned * (1 - self.clusters_lost) ** together * (share if of == "clusters" else 1.0)
        units = np.asarray(size, dtype=float) * (1 - self.attrition) * (share if of == "units" else 1.0)
        return self.design.precision(clusters, units, self.spread, effect)

    def mde(self, n: Floats, size: Floats | float = 1.0) -> Floats:
        """Smallest effect of the offer that is found with the power that is wanted; NaN where no effect is.

        For a yes-or-no outcome the spread depends on the effect: effect = δ(df) SE(effect), solved by iteration.
        """
        effect: Floats = np.zeros(np.broadcast_shapes(np.shape(n), np.shape(size)))
        shift = core.detectable(self.precision(n, size).df, level=self.level_of_one, target=self.target)
        for _ in range(_ROUNDS):
            wanted = np.asarray(shift * self.precision(n, size, effect).std_error)
            if np.allclose(wanted, effect, rtol=1e-12, atol=0, equal_nan=True):
                break
            effect = wanted
        return np.asarray(wanted)

    def power(self, effect: Floats | float, n: Floats, size: Floats | float = 1.0) -> Floats:
        """Probability that the effect of the offer is found."""
        found = self.precision(n, size, effect)
        return core.power(effect, found.std_error, found.df, level=self.level_of_one)

    def needed(self, effect: float, size: Floats | float = 1.0) -> Floats:
        """Smallest n, in whole pairs or waves, that finds the effect of the offer; NaN if beyond `LARGEST`."""
        shape = np.shape(size)
        low, high = np.ones(shape), np.full(shape, float(LARGEST))
        reachable = self._enough(effect, high, size)
        while (high - low > 1).any():
            middle = np.floor((low + high) / 2)
            enough = self._enough(effect, middle, size)
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        whole = np.ceil(high / self.design.step) * self.design.step
        return np.asarray(np.where(reachable, whole, np.nan))

    def _enough(self, effect: float, n: Floats, size: Floats | float) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num(self.power(effect, n, size)) >= self.target)


# cost ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a study costs.

    Attributes:
        fixed: whatever its size.
        cluster: for each cluster.
        unit: for each unit assigned: recruiting and asking it.
        treated_unit: for each treated unit, what the innovation costs.
        share: of the units that are treated.
    """

    fixed: float = 0.0
    cluster: float = 0.0
    unit: float = 0.0
    treated_unit: float = 0.0
    share: float = 0.5

    def of(self, n: Floats | float, size: Floats | float, *, clusters: bool) -> Floats:
        """Cost of n units or clusters of `size` units; people who will be lost cost as much as the others."""
        units = np.asarray(n, dtype=float) * size
        return np.asarray(
            self.fixed + self.cluster * n * clusters + units * (self.unit + self.share * self.treated_unit)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStudy:
    """A study of a certain size.

    Attributes:
        design: name of the design.
        n: units assigned.
        clusters: clusters assigned; None where units are drawn.
        mde: smallest effect of the offer found with the power that is wanted, in the unit of the outcome.
        standard_error: of that effect.
        cost: of the study, in the currency of its prices; None without prices.
        df: degrees of freedom of the test.
        power: that is wanted.
        level: of the test of one outcome.
    """

    design: str
    n: int
    clusters: int | None
    mde: float
    standard_error: float
    cost: float | None
    df: float
    power: float
    level: float


def planned(study: Study, n: int, size: float = 1.0, cost: Cost | None = None) -> PlannedStudy:
    """The study at one size."""
    clustered = study.design.drawn == "clusters"
    effect = float(study.mde(np.array(float(n)), size))
    found = study.precision(np.array(float(n)), size, effect)
    return PlannedStudy(
        design=study.design.name,
        n=round(n * size),
        clusters=n if clustered else None,
        mde=effect,
        standard_error=float(found.std_error),
        cost=None if cost is None else float(cost.of(n, size, clusters=clustered)),
        df=float(found.df),
        power=study.target,
        level=study.level_of_one,
    )


def design_for(
    study: Study,
    *,
    mde: float | None = None,
    budget: float | None = None,
    cost: Cost | None = None,
    sizes: Floats | float = 1.0,
    most: int = LARGEST,
) -> PlannedStudy:
    """The cheapest study that finds an effect, or the most precise one that a budget pays.

    Args:
        study: the design and what happens to it.
        mde: effect of the offer to be found; the smallest study for it, the cheapest where there are prices.
        budget: what may be spent; the smallest detectable effect for it. Exactly one of mde and budget.
        cost: prices; needed for a budget.
        sizes: units of a cluster to choose from (an array, all looked at in one go); 1 where units are drawn.
        most: units or clusters that there are.

    Raises:
        ParametersError: not exactly one of mde and budget; a budget without prices, or too small for any study; an
            effect that no study of the sizes can find.
    """
    if (mde is None) == (budget is None):
        raise ParametersError(
            code="E-IMP-297",
            what="a study is planned for an effect or for a budget",
            found="both" if mde is not None else "neither",
            expected="one of them",
        )
    choices = np.atleast_1d(np.asarray(sizes, dtype=float))
    n = (
        _for_effect(study, mde, choices, most)
        if mde is not None
        else _for_budget(study, budget or 0.0, choices, cost, most)
    )
    clustered = study.design.drawn == "clusters"
    price = n * choices if cost is None else cost.of(n, choices, clusters=clustered)
    rank = price if mde is not None else study.mde(n, choices)
    best = int(np.nanargmin(rank))
    return planned(study, int(n[best]), float(choices[best]), cost)


def _for_effect(study: Study, mde: float, sizes: Floats, most: int) -> Floats:
    n = study.needed(abs(mde), sizes)
    n = np.where(n <= most, n, np.nan)
    if np.isnan(n).all():
        drawn = study.design.drawn
        largest = float(np.nanmin(study.mde(np.full(len(sizes), float(min(most, LARGEST))), sizes)))
        raise ParametersError(
            code="E-IMP-298",
            what="no study of these sizes finds this effect",
            found=f"effect {mde:g}; with {most:,} {drawn} the smallest effect found is {largest:.4g}",
            expected="a larger effect, more clusters or larger ones, or better covariates",
            fix="units added to clusters stop helping once what differs between clusters dominates: add clusters",
        )
    return n


def _for_budget(study: Study, budget: float, sizes: Floats, cost: Cost | None, most: int) -> Floats:
    if cost is None:
        raise ParametersError(
            code="E-IMP-299",
            what="a budget needs prices",
            found="no cost",
            expected="what a unit (and a cluster) costs",
        )
    clustered = study.design.drawn == "clusters"
    each = cost.of(1, sizes, clusters=clustered) - cost.fixed
    n = np.minimum(np.floor((budget - cost.fixed) / np.where(each > 0, each, np.nan)), most)
    n = np.floor(n / study.design.step) * study.design.step
    with np.errstate(divide="ignore", invalid="ignore"):
        possible = (n >= 1) & np.isfinite(study.mde(np.maximum(n, 1), sizes))
    if not possible.any():
        raise ParametersError(
            code="E-IMP-300",
            what="the budget does not pay a study",
            found=f"budget {budget:g}, fixed {cost.fixed:g}, then from {np.nanmin(each):g} for each drawn",
            expected="enough for both arms, and for degrees of freedom",
            fix="raise the budget, or plan smaller clusters",
        )
    return np.where(possible, n, np.nan)


def curve(study: Study, n: Floats, size: Floats | float = 1.0, effect: float | None = None) -> pd.DataFrame:
    """Standard error, detectable effect and, for an effect, power at each size: n, std_error, mde, power."""
    mde = study.mde(n, size)
    table = pd.DataFrame({"n": n, "std_error": study.precision(n, size, mde).std_error, "mde": mde})
    return table if effect is None else table.assign(power=study.power(effect, n, size))
