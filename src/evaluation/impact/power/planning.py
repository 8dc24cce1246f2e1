"""From a plan that somebody wrote (`settings.power`) to the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact.covariates import Floats
from evaluation.impact.power.designs import Adjusted, Clusters, DesignOfSize, Individuals, Pairs, Spread
from evaluation.impact.power.over_time import Changes, InTime, SteppedWedge
from evaluation.impact.power.simulation import Simulation, simulate
from evaluation.impact.power.study import LARGEST, Cost, PlannedStudy, Study, Subgroup, curve, design_for, planned

if TYPE_CHECKING:
    from evaluation.settings.power import PowerPlan

_FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # sizes around the answer that the table shows
_CURVE = np.append(np.geomspace(0.25, 4, 60), 1.0)  # and the figure
_LARGEST_CLUSTER = 500  # units of a cluster that are tried where the plan leaves their number open


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a plan comes to.

    Attributes:
        plan: what was asked.
        study: the design with everything that happens to it.
        planned: the study of the size that was given or found.
        cluster_size: units assigned in each cluster; 1 where units are drawn.
        on_takers: smallest detectable effect on those whom the offer makes take part.
        power: probability that `plan.effect` is found at this size; None without an effect.
        table: sizes around it: units, clusters (where drawn), mde, std_error and, where known, power and cost.
        curve: as the table, finer.
        simulation: the same power by drawing data; None if not asked.
    """

    plan: PowerPlan
    study: Study
    planned: PlannedStudy
    cluster_size: float
    on_takers: float
    power: float | None
    table: pd.DataFrame
    curve: pd.DataFrame
    simulation: Simulation | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as plain data, numbers that are none as None."""
        return {
            "plan": self.plan.model_dump(mode="json"),
            "planned": _plain(asdict(self.planned)),
            "cluster_size": self.cluster_size,
            "on_takers": _number(self.on_takers),
            "power": _number(self.power),
            "table": [_plain({str(key): value for key, value in row.items()}) for row in self.table.to_dict("records")],
            "simulation": None if self.simulation is None else _plain(asdict(self.simulation)),
        }


def answer(plan: PowerPlan, study: Study | None = None, simulation: Simulation | None = None) -> Answer:
    """The smallest effect that a study of this size finds, or the study that an effect needs or a budget pays.

    Args:
        plan: what is asked.
        study: in place of what the plan states, where a pilot knows more.
        simulation: in place of one from the plan's model, where a pilot was drawn from.

    Raises:
        ParametersError: no study of the sizes allowed finds the effect, or the budget is too small.
    """
    study = study or study_of(plan)
    cost = _cost(plan, study.design)
    n, size = _sizes(plan, study, cost)
    found = planned(study, n, size, cost)
    effect = None if plan.effect is None else abs(plan.effect)
    looked_for = found.mde if effect is None else effect
    return Answer(
        plan=plan,
        study=study,
        planned=found,
        cluster_size=size,
        on_takers=found.mde / study.take_up,
        power=None if effect is None else float(study.power(effect, np.array(float(n)), size)),
        table=_around(study, n * np.array(_FACTORS), size, effect, cost),
        curve=_around(study, n * _CURVE, size, effect, cost),
        simulation=simulation if simulation is not None else _simulated(plan, study, n, size, looked_for),
    )


def _simulated(plan: PowerPlan, study: Study, n: int, size: float, effect: float) -> Simulation | None:
    if plan.simulate is None:
        return None
    return simulate(study, n, size, effect, repetitions=plan.simulate.repetitions, seed=plan.simulate.seed)


def study_of(plan: PowerPlan) -> Study:
    """The design of a plan with everything that happens to it."""
    subgroup = plan.subgroup
    return Study(
        design=_design(plan),
        spread=Spread(
            sd=plan.outcome.sd or 1.0,
            share=plan.outcome.share,
            direction=1 if plan.outcome.better == "higher" else -1,
        ),
        level=plan.level,
        target=plan.power,
        outcomes=plan.outcomes,
        attrition=plan.attrition,
        clusters_lost=plan.clusters_lost,
        take_up=plan.take_up.offered - plan.take_up.others,
        subgroup=None
        if subgroup is None
        else Subgroup(share=subgroup.share, of=subgroup.of, contrast=subgroup.contrast),
    )


def _design(plan: PowerPlan) -> DesignOfSize:
    share, known, icc = plan.share or 0.5, plan.covariates, plan.icc or 0.0
    if plan.design == "individual":
        return Individuals(share=share, r2=known.r2, covariates=known.number, strata=plan.strata)
    if plan.design == "cluster":
        return Clusters(
            icc=icc,
            size_cv=plan.cluster_size_cv,
            share=share,
            r2=known.r2,
            r2_clusters=known.r2_clusters,
            covariates=known.number,
            strata=plan.strata,
        )
    if plan.design == "comparison":
        return Adjusted(effective=plan.effective or 1.0, share=share, r2=known.r2, covariates=known.number)
    if plan.design == "paired":
        return _pairs(plan)
    return _wedge(plan, icc) if plan.design == "stepped_wedge" else _changes(plan, share, icc)


def _pairs(plan: PowerPlan) -> Pairs:
    correlation = plan.correlation or 0.0
    if not plan.clustered:
        return Pairs(correlation=correlation, r2_clusters=plan.covariates.r2)
    return Pairs(
        correlation=correlation,
        drawn="clusters",
        icc=plan.icc or 0.0,
        r2=plan.covariates.r2,
        r2_clusters=plan.covariates.r2_clusters,
    )


def _in_time(plan: PowerPlan, icc: float) -> InTime:
    return InTime(icc=icc, **plan.time.model_dump())


def _wedge(plan: PowerPlan, icc: float) -> SteppedWedge:
    return SteppedWedge(
        waves=plan.waves or 2, in_time=_in_time(plan, icc), before=plan.before or 1, after=plan.after or 1
    )


def _changes(plan: PowerPlan, share: float, icc: float) -> Changes:
    """Periods are counted from 0: with one start, `before` periods come first."""
    starts = dict(plan.starts) or {plan.before or 1: share}
    return Changes(
        shares=starts,
        periods=max(starts) + (plan.after or 1),
        drawn="clusters" if plan.clustered else "units",
        in_time=_in_time(plan, icc),
        base=plan.base,
        r2=plan.covariates.r2,
    )


def _cost(plan: PowerPlan, design: DesignOfSize) -> Cost | None:
    """Prices for each unit of a cluster's size: it is asked in each period, and treated once if it stays the same."""
    if plan.cost is None:
        return None
    periods, treated = _asked_and_treated(plan, design)
    return Cost(
        fixed=plan.cost.fixed,
        cluster=plan.cost.cluster,
        unit=plan.cost.unit * periods,
        treated_unit=plan.cost.treated_unit,
        share=treated,
    )


def _asked_and_treated(plan: PowerPlan, design: DesignOfSize) -> tuple[int, float]:
    """How often a unit is asked, and treated units for each unit of the size."""
    if isinstance(design, SteppedWedge):
        return design.plan.shape[1], 1.0 if plan.time.same_units else float(design.plan.sum(axis=1).mean())
    if isinstance(design, Changes):
        each = {start: 1 if plan.time.same_units else design.periods - start for start in design.shares}
        return design.periods, sum(share * each[start] for start, share in design.shares.items())
    return 1, plan.share or 0.5


def _sizes(plan: PowerPlan, study: Study, cost: Cost | None) -> tuple[int, float]:
    """Units or clusters, and units in each."""
    drawn = plan.clusters if plan.clustered else plan.units
    if drawn is not None:
        return drawn, plan.cluster_size or 1.0
    sizes: Floats | float = 1.0
    if plan.clustered:
        sizes = np.arange(1.0, _LARGEST_CLUSTER) if plan.cluster_size is None else plan.cluster_size
    effect = None if plan.budget is not None or plan.effect is None else abs(plan.effect)
    found = design_for(study, mde=effect, budget=plan.budget, cost=cost, sizes=sizes, most=LARGEST)
    return (found.n, 1.0) if found.clusters is None else (found.clusters, found.n / found.clusters)


def _around(study: Study, n: Floats, size: float, effect: float | None, cost: Cost | None) -> pd.DataFrame:
    """Sizes in whole units, pairs or waves, each once, that leave a test any degrees of freedom."""
    whole = np.unique(np.maximum(np.round(n / study.design.step), 1) * study.design.step)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = curve(study, whole, size, effect).rename(columns={"n": "units"})
    clustered = study.design.drawn == "clusters"
    if clustered:
        table.insert(0, "clusters", whole.astype(int))
    table["units"] = np.round(whole * size).astype(int)
    if cost is not None:
        table["cost"] = cost.of(whole, size, clusters=clustered)
    return table[table["mde"].notna()].reset_index(drop=True)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: _number(value) for key, value in row.items()}


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
