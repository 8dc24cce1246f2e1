"""The policy of selection: who decides, when, and by which bounds.

The rubric's section passes through as it stands; evidence/rubric.py, which knows the checks, validates it.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from evaluation.settings.fields import Columns, Frozen, Integer, Number, Slug, Text, refusal
from evaluation.settings.learning import IntakePolicy, Learning, WhatIf

Share = Annotated[Number, Field(ge=0, le=1)]
Letter = Literal["A", "B", "C", "D"]
GradeLevel = Annotated[Integer, Field(ge=0, le=5)]


def _written_date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise refusal("E-SET-101", "this is not a date", found=repr(value), expected='"2027-01-15"') from None


class Span(Frozen):
    """A quantity that is not known exactly: triangular between `low` and `high`, most likely at `mode`."""

    low: Number
    mode: Number
    high: Number

    @model_validator(mode="after")
    def _in_order(self) -> "Span":
        if not self.low <= self.mode <= self.high:
            raise refusal(
                "E-SET-170",
                "the three values are not in order",
                found=f"low {self.low:g}, mode {self.mode:g}, high {self.high:g}",
                expected="low ≤ mode ≤ high",
                key="mode",
            )
        return self


def _no_less_for_a_worse_letter(value: dict[str, float]) -> dict[str, float]:
    column = [value[letter] for letter in sorted(value)]
    if column != sorted(column):
        raise refusal(
            "E-SET-171",
            "a worse transfer cannot mean less bias",
            found=", ".join(f"{letter}: {value[letter]:g}" for letter in sorted(value)),
            expected="standard deviations that do not fall from A to C",
        )
    return value


class Worth(Frozen):
    """What one unit of an outcome, one year long, is worth: one or two rows of data/portfolio/valuations.csv.

    Attributes:
        low, high: ids; the same id twice where there is one value.
        to: who gets it; what goes to the public purse counts as a fiscal return.
    """

    low: Slug
    high: Slug
    to: Literal["people", "public_purse"]


class Valuing(Frozen):
    """How an effect becomes a net benefit.

    Attributes:
        draws: of the Monte Carlo.
        price_year: year whose prices all amounts are put in.
        discount_rate, public_funds: ids of rows of data/portfolio/valuations.csv (% a year; euros per public euro).
        start_up_years: over which what is paid once is spread.
        values: record -> what its outcome is worth; an outcome that is left out keeps its cost per outcome, and has no
            net benefit.
        years: how long a yearly benefit is counted; 1 counts what was measured and no more.
        transfer_bias_sd: letter -> standard deviation of what a transfer may add or take, in standard deviations of the
            outcome; a letter that is left out carries no number to the territory.
        voltage: what is left of an effect at scale, by how it was tested.
        displacement: share of the gain that others lose, where places are rival and nobody measured it.
        rival: difficulties whose solutions are rival: one person's job or dwelling may be another's loss.
        scale_elasticity: of the unit cost to the number of people.
        equity_elasticity: of the value of one euro to income; shown on and off, side by side.
    """

    draws: Annotated[Integer, Field(ge=100, le=1_000_000)]
    price_year: Annotated[Integer, Field(ge=1990, le=2100)]
    discount_rate: Slug
    public_funds: Slug
    start_up_years: Annotated[Number, Field(gt=0, le=60)]
    values: dict[Slug, Worth]
    years: Annotated[Number, Field(gt=0, le=60)]
    transfer_bias_sd: Annotated[
        dict[Letter, Annotated[Number, Field(ge=0)]], AfterValidator(_no_less_for_a_worse_letter)
    ]
    voltage: dict[Literal["pilot", "routine", "several_sites"], Span]
    displacement: Span
    rival: Columns
    scale_elasticity: Span
    equity_elasticity: Span


class ScaleBounds(Frozen):
    """What GENERALISER takes; all of it.

    Attributes:
        grade: of the best established finding.
        programme: of the programme (evidence/programme.py): 4 = no strong finding is harmful and studies do not
            contradict each other; 5 = replicated as well.
    """

    grade: GradeLevel
    programme: GradeLevel
    transfer: Letter
    p_positive: Share
    p_harm: Share
    sustained_months: Annotated[Number, Field(ge=0)]
    cost_sites: Annotated[Integer, Field(ge=0)]


class ExtendBounds(Frozen):
    """What ETENDRE_SOUS_EVALUATION takes; all of it, a positive expected net benefit and a test worth its cost."""

    grade: GradeLevel
    transfer: Letter
    p_positive: Share
    p_harm: Share


class StepsBounds(Frozen):
    """What an extension in steps takes, where no separate test is worth its cost: less than `extend`, as it is watched.

    The transfer is that of `extend`.
    """

    grade: GradeLevel
    p_positive: Share
    p_harm: Share


class StopBounds(Frozen):
    """What NE_PAS_RETENIR takes: enough evidence of harm, or of too little value, and no test worth its cost."""

    grade: GradeLevel
    p_harm: Share
    p_positive: Share


class TestBounds(Frozen):
    """When a test is open: the value is in doubt, or the evidence is weak; and the test is worth its cost."""

    __test__ = False  # pytest: not a class of tests

    p_low: Share
    p_high: Share
    grade_at_most: GradeLevel


class ReviseBounds(Frozen):
    """When the programme is to be changed first: too few come, too little is delivered, or it is too dear."""

    take_up: Share
    fidelity: Share
    p_useful: Share
    p_positive: Share


class Selection(Frozen):
    """The `selection:` section of params.yaml.

    Attributes:
        version: of this policy; change it by adding a version.
        owner: who answers for the decisions.
        decision_date: when they are taken.
        review_months: months until they are looked at again.
        harm_grade: grade from which a harmful effect weighs, 0 to 5.
        sign_path_designs: classes of design for which the sign of an effect counts.
        comparison_designs: classes of design that have a comparison group.
        capacity_plans: innovations of which it is settled who would run them at scale.
        false_share: largest expected share of false ones among all that carry the label GENERALISER together.
        learning: the study that could be made before a decision.
        intake: how a proposal becomes a belief; what_if: the grid of the page for decision meetings.
    """

    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
    owner: Annotated[Text, Field(min_length=1)]
    decision_date: Annotated[date, BeforeValidator(_written_date)]
    review_months: Annotated[Integer, Field(ge=1)]
    harm_grade: GradeLevel
    sign_path_designs: Columns
    comparison_designs: Columns
    scale: ScaleBounds
    extend: ExtendBounds
    steps: StepsBounds
    stop: StopBounds
    test: TestBounds
    revise: ReviseBounds
    capacity_plans: Columns
    false_share: Share
    valuing: Valuing
    learning: Learning = Learning()
    intake: IntakePolicy = IntakePolicy()
    what_if: WhatIf = WhatIf()

    @model_validator(mode="after")
    def _more_is_asked_of_more(self) -> "Selection":
        """To scale takes at least what to extend takes, or better evidence could lower a decision."""
        lower = [
            name
            for name, stricter in (
                ("grade", self.scale.grade >= self.extend.grade),
                ("transfer", self.scale.transfer <= self.extend.transfer),
                ("p_positive", self.scale.p_positive >= self.extend.p_positive),
                ("p_harm", self.scale.p_harm <= self.extend.p_harm),
            )
            if not stricter
        ]
        if lower:
            raise refusal(
                "E-SET-172",
                "GENERALISER asks for less than ETENDRE_SOUS_EVALUATION",
                found=f"scale.{lower[0]} {getattr(self.scale, lower[0])}, extend.{lower[0]} "
                f"{getattr(self.extend, lower[0])}",
                expected="bounds of `scale` that are at least as strict as those of `extend`",
                key="scale",
            )
        return self

    @model_validator(mode="after")
    def _stop_below_the_rest(self) -> "Selection":
        """A programme may not be good enough to extend and bad enough to stop at once."""
        if self.stop.p_positive >= self.steps.p_positive or self.stop.p_harm <= self.steps.p_harm:
            raise refusal(
                "E-SET-173",
                "the bounds of `stop` and `steps` overlap",
                found=f"stop.p_positive {self.stop.p_positive:g}, steps.p_positive {self.steps.p_positive:g}, "
                f"stop.p_harm {self.stop.p_harm:g}, steps.p_harm {self.steps.p_harm:g}",
                expected="stop.p_positive below steps.p_positive, stop.p_harm above steps.p_harm",
                key="stop",
            )
        if not self.test.p_low < self.test.p_high:
            raise refusal(
                "E-SET-174",
                "no probability lies between these two",
                found=f"p_low {self.test.p_low:g}, p_high {self.test.p_high:g}",
                expected="p_low below p_high",
                key="test",
            )
        return self
