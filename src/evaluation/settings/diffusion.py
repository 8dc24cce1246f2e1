"""How innovations spread: what people typed (data/portfolio/diffusion.yaml) and what evaluators decide (params.yaml).

The file says which figures of reach.csv make one series, where a definition changed, what one worker handles, how many
people stand at each step between a need and a benefit, and the coded facts behind the lessons. The section `diffusion`
of params.yaml says how curves are fitted, what 'massive' means, and how a retained innovation would be spread.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date as Date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from evaluation.errors import Problem, ProblemsError
from evaluation.settings.documents import read_document
from evaluation.settings.fact_tables import FOLDER
from evaluation.settings.fields import Flag, Frozen, Integer, Number, Slug, no_duplicates, refusal
from evaluation.settings.portfolio import Portfolio
from evaluation.settings.problems import Origin, nearest
from evaluation.settings.sourced import Address, Confidence, FrenchName, Name, Note, Year

FILE = f"{FOLDER}/diffusion.yaml"
STEPS = ("need", "eligible", "informed", "offered", "taken_up", "completed", "benefited")

CurveName = Literal["bass", "logistic", "gompertz"]
Kind = Literal["flow", "stock", "cumulative"]
Coded = Literal["yes", "partly", "no", "unknown"]
Step = Literal["need", "eligible", "informed", "offered", "taken_up", "completed", "benefited"]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(gt=0, lt=1)]


# what was observed ---------------------------------------------------------------------------------------------------


class Sourced(Frozen):
    """A fact with its source; one that was recalled or claimed may lack the address, and is shown so."""

    source_title: Note = ""
    source_address: Address = ""
    confidence: Confidence

    @model_validator(mode="after")
    def _has_a_source(self) -> "Sourced":
        if not self.source_address and self.confidence not in ("recalled", "claim"):
            raise refusal(
                "E-SET-220",
                "a fact about diffusion needs the address of its source",
                found="nothing",
                expected="an address, or confidence recalled or claim",
                key="source_address",
            )
        return self


class Launch(Sourced):
    """When the innovation started; `at` is a year with its fraction (2014.5 = 1 July 2014)."""

    at: Annotated[Number, Field(ge=1900, lt=2101)]


class Definition(Frozen):
    """A period in which the same thing was counted; both years included."""

    id: Slug
    since: Year
    until: Year | None = None
    counts_fr: FrenchName
    counts_en: Name


class LeftOut(Frozen):
    """A figure that stays out of every fit, and why."""

    reach: Slug
    why_fr: FrenchName
    why_en: Name


class Potential(Sourced):
    """What somebody says the series could reach, in its unit."""

    value: Positive
    year: Year
    label_fr: FrenchName
    label_en: Name


class SeriesFacts(Frozen):
    """One diffusion series: what makes it, what it counts, where its definition changed.

    Attributes:
        kind: flow (in each year) | stock (at a date) | cumulative (since the start).
        reach: series of reach.csv.
        definitions: in the order of time; a curve is fitted within one, never across.
        needs: ids of needs.csv that it is compared with.
        analogue: lends its pace to short series.
    """

    id: Slug
    innovation: Slug
    label_fr: FrenchName
    label_en: Name
    unit_fr: FrenchName
    unit_en: Name
    kind: Kind
    reach: Annotated[tuple[Slug, ...], Field(min_length=1)]
    launch: Launch
    definitions: Annotated[tuple[Definition, ...], Field(min_length=1)]
    leave_out: tuple[LeftOut, ...] = ()
    needs: tuple[Slug, ...] = ()
    potential: Potential | None = None
    analogue: Flag

    @model_validator(mode="after")
    def _definitions_follow_each_other(self) -> "SeriesFacts":
        for earlier, later in pairwise(self.definitions):
            if earlier.until is None or later.since <= earlier.until:
                raise refusal(
                    "E-SET-221",
                    "two definitions hold in the same year",
                    found=f"{earlier.id} until {earlier.until or 'now'}, {later.id} since {later.since}",
                    expected="an end (until) before the next one begins",
                    key="definitions",
                )
        return self


class Capacity(Sourced):
    """How many people one worker, site or platform handles in a year."""

    id: Slug
    innovation: Slug
    worker_fr: FrenchName
    worker_en: Name
    people_a_year: Positive
    year: Year


class FunnelStep(Frozen):
    """People at one step: a need, a reach figure, or a value of its own with its source."""

    step: Step
    need: Slug | None = None
    reach: Slug | None = None
    value: Annotated[Number, Field(ge=0)] | None = None
    label_fr: Annotated[Note, AfterValidator(str.strip)] = ""
    label_en: Note = ""
    unit_fr: Note = ""
    unit_en: Note = ""
    year: Year | None = None
    kind: Kind | None = None
    source_title: Note = ""
    source_address: Address = ""
    confidence: Confidence | None = None

    @model_validator(mode="after")
    def _one_figure(self) -> "FunnelStep":
        given = [name for name in ("need", "reach", "value") if getattr(self, name) is not None]
        own = (self.label_fr, self.label_en, self.unit_fr, self.unit_en, self.kind, self.confidence)
        if len(given) != 1 or (given == ["value"] and not (all(own) and self.source_address)):
            raise refusal(
                "E-SET-222",
                "a step of a funnel is one figure",
                found=", ".join(given) or "none",
                expected="need, reach, or a value with label, unit, kind, confidence and address",
                key="step",
            )
        return self


class FunnelFacts(Frozen):
    """What is known of the way from a need to a benefit, for one innovation."""

    innovation: Slug
    steps: Annotated[tuple[FunnelStep, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _steps_in_order(self) -> "FunnelFacts":
        places = [STEPS.index(each.step) for each in self.steps]
        if places != sorted(set(places)):
            raise refusal(
                "E-SET-223",
                "the steps of a funnel follow each other, each once",
                found=", ".join(each.step for each in self.steps),
                expected=", ".join(STEPS),
                key="steps",
            )
        return self


class Factor(Sourced):
    """One link between people reached and people effectively treated, all shares.

    Attributes:
        factor: benefit (of those reached, who benefit because of the innovation) | voltage (what is left of the effect
            at scale) | displacement (of those who benefit, whose gain others lose).
    """

    innovation: Slug
    factor: Literal["benefit", "voltage", "displacement"]
    value: Annotated[Number, Field(ge=0, le=1)]


class Case(Sourced):
    """Coded facts about one diffusion; what nobody said is unknown."""

    id: Slug
    innovation: Slug
    channel: Literal["association", "commercial", "state", "volunteers"]
    standardised: Coded
    state_rollout: Coded
    accompaniment_bottleneck: Coded
    scale: Literal["reached", "partial", "not_reached", "unknown"]
    effect_known: Coded
    success_was: Literal["diffusion", "presence", "offers", "effect"]
    lesson_fr: FrenchName
    lesson_en: Name


class DiffusionFacts(Frozen):
    """Everything in diffusion.yaml."""

    series: tuple[SeriesFacts, ...]
    capacity: tuple[Capacity, ...] = ()
    funnels: tuple[FunnelFacts, ...] = ()
    factors: tuple[Factor, ...] = ()
    cases: tuple[Case, ...] = ()

    @model_validator(mode="after")
    def _ids_once(self) -> "DiffusionFacts":
        for name in ("series", "capacity", "cases"):
            twice = [key for key, count in Counter(row.id for row in getattr(self, name)).items() if count > 1]
            if twice:
                raise refusal("E-SET-224", "an id stands twice", found=repr(twice[0]), expected="each once", key=name)
        return self


def read_diffusion(portfolio: Portfolio, root: Path | None = None) -> DiffusionFacts:
    """data/portfolio/diffusion.yaml, checked against the portfolio.

    Args:
        portfolio: what its ids refer to.
        root: the project's folder; found by `store.root` if None.

    Raises:
        ProblemsError: something in the file cannot be; all problems at once.
        StaleError: the file is missing.
    """
    read, origin = read_document(DiffusionFacts, FILE, root)
    if problems := list(_dangling(read, portfolio, origin)):
        raise ProblemsError(problems)
    return read


def _dangling(read: DiffusionFacts, portfolio: Portfolio, origin: Origin) -> Iterator[Problem]:
    """Ids that the portfolio does not have."""
    innovations = {row.id for row in portfolio.innovations}
    needs = {row.id for row in portfolio.needs}
    reach = {row.id for row in portfolio.reach}
    series = {row.series for row in portfolio.reach}
    for place, row in enumerate(read.series):
        yield from _unknown(origin, ("series", place, "innovation"), [row.innovation], innovations)
        yield from _unknown(origin, ("series", place, "reach"), row.reach, series)
        yield from _unknown(origin, ("series", place, "leave_out"), [each.reach for each in row.leave_out], reach)
        yield from _unknown(origin, ("series", place, "needs"), row.needs, needs)
    for place, funnel in enumerate(read.funnels):
        yield from _unknown(origin, ("funnels", place, "innovation"), [funnel.innovation], innovations)
        for number, each in enumerate(funnel.steps):
            key = ("funnels", place, "steps", number)
            yield from _unknown(origin, (*key, "need"), filter(None, [each.need]), needs)
            yield from _unknown(origin, (*key, "reach"), filter(None, [each.reach]), reach)
    for name in ("capacity", "cases", "factors"):
        for place, fact in enumerate(getattr(read, name)):
            yield from _unknown(origin, (name, place, "innovation"), [fact.innovation], innovations)


def _unknown(origin: Origin, key: tuple[Any, ...], ids: Iterable[str], known: set[str]) -> Iterator[Problem]:
    for name in ids:
        if name not in known:
            yield origin.problem(
                "E-SET-225",
                "the portfolio has nothing of this id",
                key=key,
                found=repr(name),
                nearest=nearest(name, known),
            )


# what evaluators decide ----------------------------------------------------------------------------------------------


class Massive(Frozen):
    """What an effective and massive treatment would be: this share of the need within so many years."""

    share: Share
    years: Annotated[Integer, Field(ge=1, le=50)]


class Phase(Frozen):
    """One phase of a plan, in months after the decision."""

    from_month: Annotated[Integer, Field(ge=0)]
    to_month: Annotated[Integer, Field(ge=1)]
    what_fr: FrenchName
    what_en: Name

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Phase":
        if self.to_month <= self.from_month:
            raise refusal(
                "E-SET-226",
                "a phase ends after it starts",
                found=f"month {self.from_month} to {self.to_month}",
                expected="to_month above from_month",
                key="to_month",
            )
        return self


class Stakeholder(Frozen):
    """Somebody who must agree or act."""

    role: Literal["prescriber", "institution", "firm", "users", "operator"]
    who_fr: FrenchName
    who_en: Name


class PlanFacts(Frozen):
    """How a retained innovation would be spread: a proposal, to be discussed.

    Attributes:
        mode: essaimage | franchise_sociale | cooperation | generalisation (by the State) | commercial.
        bottleneck_fr, bottleneck_en: what is expected to hold it back first.
    """

    mode: Literal["essaimage", "franchise_sociale", "cooperation", "generalisation", "commercial"]
    operator_fr: FrenchName
    operator_en: Name
    stakeholders: Annotated[tuple[Stakeholder, ...], Field(min_length=1)]
    calendar: Annotated[tuple[Phase, ...], Field(min_length=1)]
    bottleneck_fr: FrenchName
    bottleneck_en: Name


class DiffusionPolicy(Frozen):
    """The `diffusion:` section of params.yaml.

    Attributes:
        version: change it by adding a version.
        level: of profile intervals and of the outer band of fans; `inner` is that of the inner band.
        curves: fitted to every series.
        variance_power: k in Var(y) = φ μᵏ: 0 the same for all figures, 1 of a count, 2 of an error in percent.
        least_points: below so many figures with one definition no curve is fitted freely.
        ceiling_within: a ceiling is identified when its upper limit is at most so many times the largest figure.
        draws: of the parametric bootstrap.
        horizon: years that forecasts look ahead.
        hold_out: the last figures that are predicted from the earlier ones.
        milestones: shares of the need whose date is looked for.
        review_date: when plans are looked at again.
        ramp: in the scenario `funded`, the largest yearly step ever observed may be multiplied by this.
    """

    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
    level: Share
    inner: Share
    curves: Annotated[tuple[CurveName, ...], AfterValidator(no_duplicates), Field(min_length=1)]
    variance_power: Literal[0, 1, 2]
    least_points: Annotated[Integer, Field(ge=5)]
    ceiling_within: Annotated[Number, Field(gt=1)]
    draws: Annotated[Integer, Field(ge=100, le=10_000)]
    horizon: Annotated[Integer, Field(ge=1, le=50)]
    hold_out: Annotated[Integer, Field(ge=1, le=10)]
    milestones: Annotated[tuple[Share, ...], Field(min_length=1)]
    ramp: Annotated[Number, Field(ge=1)]
    massive: Massive
    review_date: Date
    plans: dict[Slug, PlanFacts] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _inner_inside(self) -> "DiffusionPolicy":
        if self.inner >= self.level:
            raise refusal(
                "E-SET-227",
                "the inner band lies inside the outer one",
                found=f"inner {self.inner:g}, level {self.level:g}",
                expected="inner below level",
                key="inner",
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise refusal(
                "E-SET-228",
                "milestones rise",
                found=", ".join(f"{each:g}" for each in self.milestones),
                expected="each once, from the smallest to the largest",
                key="milestones",
            )
        return self
