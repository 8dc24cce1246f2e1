"""Findings, needs, reach, costs, values: a row of a CSV file of data/portfolio is one of these."""

from typing import Annotated, Literal

from pydantic import AllowInfNan, Field, model_validator

from evaluation.settings.fields import Slug, refusal
from evaluation.settings.problems import show
from evaluation.settings.sourced import FrenchName, FrenchNote, Name, Note, Range, Sourced, Value, Year

DesignClass = Literal[
    "randomised",
    "randomised_cluster",
    "lottery",
    "discontinuity",
    "instrument",
    "event_study",
    "synthetic_control",
    "matched_did",
    "did",
    "matching_pretest",
    "matching",
    "comparison_group",
    "meta_analysis_randomised",
    "meta_analysis",
    "before_after_adjusted",
    "before_after",
    "raw_comparison",
    "declared",
    "monitoring",
    "social_return",
    "account",
]
"""The design behind the number that was read, not the best design of the study it comes from: the take-up of one arm of
a trial is monitoring, the raw change printed beside a difference in differences is before_after."""

RANDOMISED_CLASSES: tuple[str, ...] = ("randomised", "randomised_cluster", "lottery")
COMPARISON_CLASSES: tuple[str, ...] = (
    *RANDOMISED_CLASSES,
    "discontinuity",
    "instrument",
    "event_study",
    "synthetic_control",
    "matched_did",
    "did",
    "matching_pretest",
    "matching",
    "comparison_group",
    "meta_analysis_randomised",
    "meta_analysis",
)


class Finding(Sourced):
    """One published result: innovation, outcome, horizon, place; `id` is the id of its record.

    Attributes:
        design: the words of the source list; `design_class` is our reading of them.
        better: the direction that people want; None where nobody could say.
        no_effect: the value that means no effect: 0, or 1 for ratios.
        unit_kind: what kind of number it is; not_an_effect for claims, levels and take-up.
        estimate_kind: effect | take_up | claim | sign_only | not_read | level.
        direction: sign of the effect in the outcome's own unit, never flipped; none = no effect detected, which does
            not prove that there is none; None for what is not an effect.
        subgroup: about a part of the people only; never the effect of the programme.
        robustness: another specification of a result that has its own row.
        sample_group: findings of one group share people and are never pooled with each other.
        poolable: a read effect on the whole sample, in its main specification, with a standard error.
        caution_fr, caution_en: what a reader must know before using the number.
        note: words of the source list: how sure, printed unit, printed name.
    """

    id: Slug
    innovation: Slug
    difficulty: Slug
    country: Name
    country_fr: Name
    territory_kind: Literal["urban", "rural", "mixed"]
    design: Name
    design_class: DesignClass
    n: Annotated[int, Field(ge=1)] | None
    outcome: Name
    outcome_fr: FrenchName
    better: Literal["higher", "lower"] | None
    horizon_months: Annotated[float, Field(ge=0), AllowInfNan(False)] | None
    estimate: Value | None
    std_error: Annotated[float, Field(gt=0), AllowInfNan(False)] | None
    ci_low: Value | None
    ci_high: Value | None
    no_effect: Annotated[float, Field(ge=0, le=1)]
    unit: Name
    unit_fr: FrenchName
    unit_kind: Literal["share", "percent_relative", "sd", "money", "count", "score", "ratio", "not_an_effect", "none"]
    estimate_kind: Literal["effect", "take_up", "claim", "sign_only", "not_read", "level"]
    direction: Literal["positive", "none", "negative"] | None
    subgroup: bool
    robustness: bool
    sample_group: Slug
    poolable: bool
    control_mean: Value | None
    year: Year
    cost_per_participant: Annotated[float, Field(ge=0), AllowInfNan(False)] | None
    currency: Literal["EUR", "USD", "CAD"] | None
    provenance: Name
    caution_en: Note
    caution_fr: FrenchNote
    note: Note

    @property
    def claim(self) -> bool:
        """Said by an operator, without comparison."""
        return self.estimate_kind == "claim"

    @property
    def secondary(self) -> bool:
        """A subgroup or another specification: it counts only where nothing else was read."""
        return self.subgroup or self.robustness

    @property
    def not_read(self) -> bool:
        """The design was read, the result was not."""
        return self.estimate_kind == "not_read"

    @model_validator(mode="after")
    def _kind_and_number(self) -> "Finding":
        numbered = self.estimate_kind not in ("sign_only", "not_read")
        if numbered is (self.estimate is None):
            raise refusal(
                "E-SET-057",
                "the kind of estimate and the number do not go together",
                found=f"estimate_kind {self.estimate_kind}, estimate {show(self.estimate)}",
                expected="a number for effect, take_up, claim and level; none for sign_only and not_read",
                key="estimate",
            )
        if (self.estimate_kind in ("effect", "sign_only")) is (self.direction is None):
            raise refusal(
                "E-SET-058",
                "an effect has a direction, and nothing else has",
                found=f"estimate_kind {self.estimate_kind}, direction {show(self.direction)}",
                expected="positive, none or negative for effect and sign_only; empty otherwise",
                key="direction",
            )
        return self

    @model_validator(mode="after")
    def _interval_and_pool(self) -> "Finding":
        bounds = [bound for bound in (self.ci_low, self.estimate, self.ci_high) if bound is not None]
        if bounds != sorted(bounds):
            raise refusal(
                "E-SET-059",
                "the estimate lies outside its interval",
                found=f"{self.ci_low} ≤ {self.estimate} ≤ {self.ci_high}",
                expected="ci_low ≤ estimate ≤ ci_high",
                key="estimate",
            )
        if self.poolable and (self.estimate_kind != "effect" or self.std_error is None):
            raise refusal(
                "E-SET-063",
                "only an effect with a standard error can be pooled",
                found=f"estimate_kind {self.estimate_kind}, std_error {show(self.std_error)}",
                expected="poolable: false, or a read standard error",
                key="poolable",
            )
        return self


class Need(Range):
    """One measure of how many people live a difficulty, in France.

    Attributes:
        difficulty: None for context that belongs to no single difficulty.
        measures: figures of the same name claim to measure the same thing; where they differ, reports show it.
        synthetic: it may be scaled to a territory by population: a number of adults of all places.
    """

    id: Slug
    difficulty: Slug | None
    series: Slug
    measures: Slug | None
    label_fr: FrenchName
    label_en: Name
    date: Note
    year: Year | None
    unit: Name
    unit_fr: FrenchName
    kind: Literal["stock", "flow", "rate"]
    synthetic: bool
    note: Note


class Reach(Sourced):
    """How many people, loans, sites … an innovation reaches, at one date.

    Attributes:
        bound: exact | lower ("more than") | upper ("fewer than") | about.
        kind: flow (in one year) | stock (at one date) | cumulative (since the start).
        comparable: one unit stands for one person, pupil or household in need, so that a share means something.
    """

    id: Slug
    innovation: Slug
    series: Slug
    label_fr: FrenchName
    label_en: Name
    date: Name
    year: Year
    value: Annotated[float, Field(ge=0), AllowInfNan(False)]
    bound: Literal["exact", "lower", "upper", "about"]
    unit: Name
    unit_fr: FrenchName
    kind: Literal["flow", "stock", "cumulative"]
    comparable: bool
    note: Note


class Cost(Range):
    """One ingredient of what an innovation costs; only `basis` participant counts as a known cost per person.

    Attributes:
        year: whose prices these are.
        phase: recurrent (again for every person or year) or start_up (once).
        item: what is paid for; total = everything together.
        payer: public, operator, user; None where the source does not say.
        sites: places that the amount was observed at; None where the source does not say.
    """

    id: Slug
    innovation: Slug
    basis: Literal["participant", "service", "session", "site", "month", "total", "price"]
    currency: Literal["EUR", "USD", "CAD"]
    year: Year | None
    phase: Literal["recurrent", "start_up"] = "recurrent"
    item: Slug = "total"
    payer: Literal["public", "operator", "user"] | None = None
    sites: Annotated[int, Field(ge=1)] | None = None
    note_fr: FrenchNote
    note_en: Note

    @property
    def per_participant(self) -> float | None:
        """Cost per person; the upper bound where only that was read; None when it is not per person."""
        if self.basis != "participant" or self.phase != "recurrent":
            return None
        return self.value if self.value is not None else self.high


class Valuation(Range):
    """A parameter of French socio-economic appraisal; params.yaml, `selection.valuing`, names those that are used."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    unit: Name
    unit_fr: FrenchName
    year: Year
    provenance: Name


class Implementation(Sourced):
    """What was really delivered, at one place and time.

    Attributes:
        measure: take_up (share of those offered or invited who came) | fidelity (share of what was planned that was
            done) | dose (how much one person got) | adaptation (in words only).
        value: a share for take_up and fidelity; None for adaptation.
    """

    id: Slug
    innovation: Slug
    measure: Literal["take_up", "fidelity", "dose", "adaptation"]
    value: Value | None
    unit: Name
    unit_fr: FrenchName
    year: Year | None
    note_fr: FrenchNote
    note_en: Note

    @model_validator(mode="after")
    def _a_share_is_a_share(self) -> "Implementation":
        share = self.measure in ("take_up", "fidelity")
        if (self.value is None) is not (self.measure == "adaptation") or (share and not 0 <= (self.value or 0) <= 1):
            raise refusal(
                "E-SET-175",
                "the measure and its value do not go together",
                found=f"measure {self.measure}, value {show(self.value)}",
                expected="0 to 1 for take_up and fidelity, a number for dose, none for adaptation",
                key="value",
            )
        return self


class Inflation(Sourced):
    """By how much consumer prices rose from the year before, in percent, on the yearly average."""

    id: Slug
    country: Name
    year: Year
    value: Value


class Benchmark(Sourced):
    """A published value that an evaluation of params.yaml is compared with; `value` is None where none was read."""

    id: Slug
    evaluation: Slug
    what_fr: FrenchName
    what_en: Name
    value: Value | None
    std_error: Annotated[float, Field(gt=0), AllowInfNan(False)] | None
    ci_low: Value | None
    ci_high: Value | None
    unit_fr: FrenchName
    unit_en: Name
    note_fr: FrenchNote
    note_en: Note
