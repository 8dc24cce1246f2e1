"""What `evaluation power` reads: a study that is being planned, in one small file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from evaluation.errors import ProblemsError
from evaluation.settings.fields import Column, Flag, Frozen, Integer, Number, Text, listed, refusal
from evaluation.settings.problems import Origin, from_validation, show
from evaluation.settings.yaml12 import read_yaml

PlannedDesign = Literal["individual", "cluster", "paired", "stepped_wedge", "difference", "comparison"]
Share = Annotated[Number, Field(gt=0, lt=1)]
SharePart = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[Integer, Field(ge=1)]
Price = Annotated[Number, Field(ge=0)]

# What a design does not use. Such a key is refused rather than passed over.
_IN_CLUSTERS = ("cluster", "paired", "stepped_wedge", "difference")
USED_BY: Mapping[str, tuple[str, ...]] = {
    "strata": ("individual", "cluster"),
    "clusters": _IN_CLUSTERS,
    "cluster_size": _IN_CLUSTERS,
    "cluster_size_cv": ("cluster",),
    "clusters_lost": _IN_CLUSTERS,
    "icc": _IN_CLUSTERS,
    "share": ("individual", "cluster", "comparison", "difference"),
    "correlation": ("paired",),
    "effective": ("comparison",),
    "waves": ("stepped_wedge",),
    "before": ("stepped_wedge", "difference"),
    "after": ("stepped_wedge", "difference"),
    "starts": ("difference",),
    "base": ("difference",),
    "time": ("stepped_wedge", "difference"),
}


class PlannedOutcome(Frozen):
    """What is measured.

    Attributes:
        unit: such as "points"; for a yes-or-no outcome effects are in percentage points.
        sd: standard deviation of the outcome; 1 plans in standard deviations.
        share: of those without the innovation who have a yes-or-no outcome.
        better: which direction the effect has.
    """

    unit: Text = ""
    sd: Annotated[Number, Field(gt=0)] | None = None
    share: Annotated[Share | None, Field(validate_default=True)] = None
    better: Literal["higher", "lower"] = "higher"

    @field_validator("share")
    @classmethod
    def _one_spread(cls, share: float | None, info: ValidationInfo) -> float | None:
        sd = info.data.get("sd", "?")
        if sd != "?" and (sd is None) == (share is None):
            raise refusal(
                "E-SET-159",
                "an outcome has a standard deviation, or is a yes or a no with a share",
                found="neither" if share is None else f"sd: {sd} and share: {share}",
                expected="one of sd and share",
            )
        return share


class PlannedCovariates(Frozen):
    """What is known before and used in the analysis.

    Attributes:
        r2: share of the outcome's variance explained among units (within clusters where clusters are drawn).
        r2_clusters: share of the variance between clusters explained.
        number: how many covariates cost a degree of freedom: of units, or of clusters where clusters are drawn.
    """

    r2: SharePart = 0.0
    r2_clusters: SharePart = 0.0
    number: Annotated[Integer, Field(ge=0)] = 0


class TakeUp(Frozen):
    """Who takes part.

    Attributes:
        offered: share of those to whom it is offered.
        others: share of the others who take part all the same.
    """

    offered: Annotated[Number, Field(gt=0, le=1)] = 1.0
    others: Annotated[SharePart, Field(validate_default=True)] = 0.0

    @field_validator("others")
    @classmethod
    def _offer_matters(cls, others: float, info: ValidationInfo) -> float:
        if others >= info.data.get("offered", 1.0):
            raise refusal(
                "E-SET-160",
                "an offer that moves nobody has no effect to be found",
                found=f"offered: {info.data['offered']}, others: {others}",
                expected="others below offered",
            )
        return others


class PlannedSubgroup(Frozen):
    """A part of the people.

    Attributes:
        share: of the units, or clusters, that belong to it.
        of: found within clusters (units), or made of whole clusters.
        contrast: plan for the difference between its effect and that on the others.
    """

    share: Share
    of: Literal["units", "clusters"] = "units"
    contrast: Flag = False


class OverTime(Frozen):
    """How outcomes of a unit, or of a cluster, hang together over periods.

    Attributes:
        same_units: the same units are asked in each period, or others.
        cluster_autocorrelation: of a cluster's level in two periods.
        persistence: share of a unit's own variance that never changes.
        autocorrelation: of the rest, from one period to the next.
    """

    same_units: Flag = True
    cluster_autocorrelation: Annotated[Number, Field(ge=0, le=1)] = 1.0
    persistence: SharePart = 0.0
    autocorrelation: Annotated[Number, Field(gt=-1, lt=1)] = 0.0


class Names(Frozen):
    """What units and clusters are called in the answer, in the plural.

    Attributes:
        units: such as "jeunes"; a general word if empty.
        clusters: such as "communes".
    """

    units: Text = ""
    clusters: Text = ""


class Prices(Frozen):
    """What a study costs, in one currency.

    Attributes:
        currency: ISO 4217 code.
        fixed: whatever the size.
        cluster: for each cluster.
        unit: for each unit assigned, lost ones included; in designs with periods for each period in which it is asked.
        treated_unit: for each treated unit: what the innovation costs.
    """

    currency: Column = "EUR"
    fixed: Price = 0.0
    cluster: Price = 0.0
    unit: Price = 0.0
    treated_unit: Annotated[Price, Field(validate_default=True)] = 0.0

    @field_validator("treated_unit")
    @classmethod
    def _something_costs(cls, treated_unit: float, info: ValidationInfo) -> float:
        if not treated_unit and not any(info.data.get(key, 1.0) for key in ("cluster", "unit")):
            raise refusal(
                "E-SET-161",
                "a study in which nobody costs anything has no cheapest size",
                found="no price but the fixed one",
                expected="cluster, unit or treated_unit above 0",
            )
        return treated_unit


class Simulated(Frozen):
    """The answer repeated with drawn data and our own estimator.

    Attributes:
        repetitions: how many studies are drawn.
        seed: where the draws start.
    """

    repetitions: Annotated[Integer, Field(ge=10, le=100_000)] = 500
    seed: Annotated[Integer, Field(ge=0)] = 0


class PowerPlan(Frozen):
    """A study that is being planned.

    What is looked for follows from what is said: sizes give the smallest effect found (and the power for `effect`);
    `effect` without sizes gives the size it needs, the cheapest with `cost`; `budget` gives the best study it pays.

    Attributes:
        design: what is drawn, or compared.
        outcome: what is measured.
        names: of units and clusters.
        units: assigned, all arms together; with clusters, clusters times cluster_size.
        clusters: assigned.
        cluster_size: units in each (in each period).
        cluster_size_cv: standard deviation of sizes over their mean.
        icc: share of the variance between clusters.
        share: treated.
        strata: how many the draw has.
        correlation: of the outcomes of a pair.
        effective: effective size of the comparison group over its size, after matching or weighting.
        waves: groups of clusters that start one after the other.
        before: periods before the (first) start.
        after: periods from the (last) start on.
        starts: first treated period, counted from 0 -> share of the units, for staggered starts; share: with `before`
            and `after` where there is one start.
        base: changes from the last period before, or from all of them.
        time: dependence over periods.
        covariates, attrition, clusters_lost, take_up, subgroup: what happens on the way.
        outcomes: tested together.
        level: of the two-sided test.
        power: wanted.
        effect: of the offer, in the unit of the outcome; a share for a yes-or-no outcome.
        cost: prices.
        budget: what may be spent.
        simulate: check by drawing data; not if None.
    """

    design: PlannedDesign
    outcome: PlannedOutcome
    names: Names = Names()
    units: Count | None = None
    clusters: Count | None = None
    cluster_size: Annotated[Number, Field(ge=1)] | None = None
    cluster_size_cv: Annotated[Number, Field(ge=0)] = 0.0
    icc: Annotated[Number, Field(ge=0, le=1)] | None = None
    share: Share | None = None
    strata: Count = 1
    correlation: Annotated[Number, Field(gt=-1, lt=1)] | None = None
    effective: Annotated[Number, Field(gt=0, le=1)] | None = None
    waves: Annotated[Integer, Field(ge=2)] | None = None
    before: Count | None = None
    after: Count | None = None
    starts: dict[Annotated[Integer, Field(ge=1)], Share] = Field(default_factory=dict)
    base: Literal["last", "all"] = "last"
    time: OverTime = OverTime()
    covariates: PlannedCovariates = PlannedCovariates()
    attrition: SharePart = 0.0
    clusters_lost: SharePart = 0.0
    take_up: TakeUp = TakeUp()
    subgroup: PlannedSubgroup | None = None
    outcomes: Count = 1
    level: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    power: Annotated[Number, Field(gt=0.5, lt=1)] = 0.8
    effect: Number | None = None
    cost: Prices | None = None
    budget: Annotated[Number, Field(gt=0)] | None = None
    simulate: Annotated[Simulated | None, Field(validate_default=True)] = None

    @property
    def clustered(self) -> bool:
        """Whether groups are drawn."""
        return self.design in ("cluster", "stepped_wedge") or self.clusters is not None or self.cluster_size is not None

    @field_validator(*USED_BY)
    @classmethod
    def _design_uses_it(cls, value: Any, info: ValidationInfo) -> Any:
        design, name = info.data.get("design"), str(info.field_name)
        default = cls.model_fields[name].get_default(call_default_factory=True)
        if design is not None and design not in USED_BY[name] and value != default:
            raise refusal(
                "E-SET-162",
                f"a design of kind {design} does not use this",
                found=f"{name}: {show(value) if not isinstance(value, Frozen) else 'given'}",
                expected=f"design: one of {listed(USED_BY[name])}, or no {name}",
            )
        return value

    @field_validator("simulate")
    @classmethod
    def _says_what_is_needed(cls, simulate: Simulated | None, info: ValidationInfo) -> Simulated | None:
        plan = info.data
        if len(plan) == len(cls.model_fields) - 1:  # every other key could be read
            for problem in (_lacking, _asked, _periods, _possible_effect, _group):
                problem(plan)
        return simulate


def _lacking(plan: Mapping[str, Any]) -> None:
    """Refuse a design without a number that it cannot do without."""
    needs = {
        "cluster": ("icc",),
        "paired": ("correlation",),
        "stepped_wedge": ("icc", "waves"),
        "difference": (),
        "comparison": ("effective",),
    }.get(plan["design"], ())
    if plan["design"] in ("paired", "difference") and (plan["clusters"] or plan["cluster_size"]):
        needs = (*needs, "icc")
    missing = [key for key in needs if plan[key] is None]
    if missing:
        raise refusal(
            "E-SET-163",
            f"a design of kind {plan['design']} cannot be planned without {listed(missing)}",
            key=missing[0],
            found="nothing",
            expected="a number from a pilot, a register or a published study; try several",
        )


def _asked(plan: Mapping[str, Any]) -> None:
    """Refuse a plan that asks for nothing, or for two things."""
    grouped = plan["design"] in ("cluster", "stepped_wedge") or plan["clusters"] or plan["cluster_size"]
    drawn = plan["clusters"] if grouped else plan["units"]
    both = grouped and plan["units"] is not None
    if both or (drawn and plan["budget"]) or not (drawn or plan["budget"] or plan["effect"]):
        raise refusal(
            "E-SET-164",
            "a plan says how large the study is, which effect it must find, or what it may cost",
            key="units" if both else "budget",
            found=", ".join(f"{key}: {plan[key]}" for key in ("units", "clusters", "budget", "effect") if plan[key])
            or "none of them",
            expected="clusters and cluster_size" if both else "sizes (and effect), effect alone, or budget and cost",
        )
    sizeless = grouped and plan["cluster_size"] is None
    if (plan["cost"] is None and (plan["budget"] or sizeless)) or (sizeless and plan["clusters"]):
        raise refusal(
            "E-SET-165",
            "a budget needs prices, and clusters need their size, or prices to choose it by",
            key="cost" if plan["budget"] else "cluster_size",
            found="nothing",
            expected="cost: {unit: …}" if plan["budget"] else "cluster_size: units in each cluster",
        )


def _periods(plan: Mapping[str, Any]) -> None:
    """Refuse periods and starts that do not fit."""
    if plan["design"] != "difference":
        return
    starts, before, after = plan["starts"], plan["before"], plan["after"]
    staggered = bool(starts) and before is None and plan["share"] is None and after is not None
    single = not starts and before is not None and after is not None
    if (
        not (staggered or single)
        or sum(starts.values()) > 1 + 1e-9
        or (sum(starts.values()) > 1 - 1e-9 and len(starts) < 2)
    ):
        raise refusal(
            "E-SET-166",
            "a difference-in-differences has periods before and after, or several starts",
            key="starts" if starts else "before",
            found=f"starts: {dict(starts)}, before: {before}, after: {after}, share: {plan['share']}",
            expected="before, after and share; or starts: {period: share, …} that sum to at most 1, and after",
        )


def _possible_effect(plan: Mapping[str, Any]) -> None:
    """Refuse an effect on a share that leaves 0 to 1, or of zero."""
    effect, share = plan["effect"], plan["outcome"].share
    sign = 1 if plan["outcome"].better == "higher" else -1
    if effect is None or (effect != 0 and (share is None or 0 < share + sign * abs(effect) < 1)):
        return
    raise refusal(
        "E-SET-167",
        "no study can find this effect",
        key="effect",
        found=f"effect: {effect}" + ("" if share is None else f" on a share of {share}"),
        expected="not 0; for a yes-or-no outcome a share such as 0.05 that keeps the outcome between 0 and 1",
    )


def _group(plan: Mapping[str, Any]) -> None:
    """Refuse a subgroup of clusters where none are drawn, and clusters lost without clusters."""
    subgroup, grouped = plan["subgroup"], plan["design"] in ("cluster", "stepped_wedge") or plan["cluster_size"]
    if not grouped and ((subgroup is not None and subgroup.of == "clusters") or plan["clusters_lost"]):
        raise refusal(
            "E-SET-168",
            "there are no clusters to lose or to choose from",
            key="subgroup" if subgroup is not None else "clusters_lost",
            found="no cluster_size",
            expected="clusters and cluster_size, or of: units",
        )


def read_plan(source: Path) -> PowerPlan:
    """The plan that a YAML or JSON file holds.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
    """
    document = read_yaml(source)
    origin = Origin(file=document.file, line=document.line)
    if not isinstance(document.data, Mapping):
        problem = origin.problem(
            "E-SET-169", "a plan is a mapping", found=show(document.data), expected="design: …, outcome: {sd: …}"
        )
        raise ProblemsError([problem])
    try:
        return PowerPlan.model_validate(dict(document.data))
    except ValidationError as error:
        raise ProblemsError(from_validation(error, model=PowerPlan, raw=document.data, origin=origin)) from error
