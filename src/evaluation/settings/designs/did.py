"""Difference-in-differences: changes of treated units against changes of untreated ones."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, among, caliper_goes_with, outcome_columns
from evaluation.settings.designs.variables import Cohort
from evaluation.settings.fields import Column, Columns, Flag, Frozen, Integer, Number, listed, refusal


class EventWindow(Frozen):
    """Which event times the averages hold.

    Attributes:
        first: earliest event time that is shown, at most -1; all if None.
        last: latest event time that is averaged and shown, at least 0; all if None.
        balanced: only cohorts that are observed for this many periods after their start enter, so that every event time
            from 0 to it averages the same cohorts; all if None.
    """

    first: Annotated[Integer, Field(le=-1)] | None = None
    last: Annotated[Integer, Field(ge=0)] | None = None
    balanced: Annotated[Integer, Field(ge=0)] | None = None


class Matched(Frozen):
    """How comparison units are matched before their changes are compared.

    Attributes:
        distance: of the covariates and outcomes of the period before the treatment.
        ratio: comparison units for each treated unit.
        replace: whether a comparison unit may serve several treated ones.
        caliper: largest distance, in standard deviations of the score.
        lags: number of outcomes before the treatment that are matched on, from the base period backwards.
    """

    distance: Literal["propensity_logit", "linear_logit", "mahalanobis"] = "propensity_logit"
    ratio: Annotated[Integer, Field(ge=1)] = 1
    replace: Flag = True
    caliper: Annotated[Number, Field(gt=0)] | None = None
    lags: Annotated[Integer, Field(ge=0)] = 1

    @field_validator("caliper")
    @classmethod
    def _caliper_of_a_score(cls, caliper: float | None, info: ValidationInfo) -> float | None:
        return caliper_goes_with(caliper, info.data.get("distance"))


# Estimators made of one comparison for each cohort and period, which alone take triple differences and matching.
BY_CELL = ("doubly_robust", "regression", "inverse_probability")
# What an estimator does not use. Such an option is refused rather than passed over.
UNUSED: Mapping[str, Mapping[str, str]] = {
    "imputation": {"base_period": "changes are from all periods before the treatment"},
    "sun_abraham": {},
    "stacked": {},
    "two_way_fixed_effects": {
        "base_period": "changes are from all other periods",
        "anticipation": "its one coefficient has no place for effects before the treatment",
    },
}


class DidDesign(Design):
    """Changes of treated units against changes of untreated ones (difference-in-differences).

    Attributes:
        time: column of periods.
        cohort: when units were treated first.
        comparison: units never treated, or those not yet treated as well.
        estimator: doubly_robust, regression or inverse_probability (all the same without covariates); imputation;
            sun_abraham; stacked; two_way_fixed_effects as a baseline to be held against the others.
        aggregate: the headline: mean over cohorts, over cells (simple), over event times or over calendar periods.
        base_period: changes before the treatment are from the period before (varying) or from one period (universal).
        anticipation: periods before the treatment in which effects may already show.
        panel: balanced (units with gaps are dropped), unbalanced, or another sample in each period.
        event_window: which event times are averaged and shown.
        eligible: 0/1 column of who could be affected where the treatment is; makes triple differences, in which those
            who could not be affected take away what changed for everybody in a treated place.
        match: comparison units matched to treated ones first.
        subgroups: columns to estimate by, as well as for everybody.
        placebo_outcomes: columns that the treatment cannot have moved.
    """

    method: Literal["did"] = "did"
    time: Column
    cohort: Cohort
    comparison: Literal["never_treated", "not_yet_treated"] = "never_treated"
    estimator: Literal[
        "doubly_robust",
        "regression",
        "inverse_probability",
        "imputation",
        "sun_abraham",
        "stacked",
        "two_way_fixed_effects",
    ] = "doubly_robust"
    aggregate: Literal["cohort", "simple", "event_time", "calendar"] = "cohort"
    base_period: Literal["varying", "universal"] = "varying"
    anticipation: Annotated[Integer, Field(ge=0)] = 0
    panel: Annotated[Literal["balanced", "unbalanced", "repeated_cross_section"], Field(validate_default=True)] = (
        "balanced"
    )
    event_window: EventWindow = EventWindow()
    eligible: Column | None = None
    match: Matched | None = None
    subgroups: Columns = ()
    placebo_outcomes: Columns = ()

    @field_validator("time")
    @classmethod
    def _time_alone(cls, time: str, info: ValidationInfo) -> str:
        if time in (*outcome_columns(info), *info.data.get("covariates", ()), info.data.get("unit")):
            raise refusal(
                "E-SET-089",
                "the period is also the unit, a covariate or an outcome",
                found=repr(time),
                expected="a column used once",
            )
        return time

    @field_validator("cohort")
    @classmethod
    def _cohort_alone(cls, cohort: Cohort, info: ValidationInfo) -> Cohort:
        column = cohort.column or cohort.indicator
        if column in (*outcome_columns(info), *info.data.get("covariates", ())):
            raise refusal(
                "E-SET-090",
                "the cohort is also a covariate or an outcome",
                found=repr(column),
                expected="a column used once",
            )
        return cohort

    @field_validator("panel")
    @classmethod
    def _units_are_named(cls, panel: str, info: ValidationInfo) -> str:
        cohort = info.data.get("cohort")
        named_by_row = panel == "repeated_cross_section" and (cohort is None or cohort.kind == "column")
        if info.data.get("unit", "?") is None and not named_by_row:
            raise refusal(
                "E-SET-092",
                "units must be followed over time, but no column names them",
                key="unit",
                found="no unit",
                expected="unit: column",
            )
        return panel

    @field_validator("base_period", "anticipation")
    @classmethod
    def _estimator_uses_it(cls, value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        unused = UNUSED.get(info.data.get("estimator", ""), {})
        if name in unused and value != cls.model_fields[name].default:
            raise refusal(
                "E-SET-091",
                f"the estimator {info.data['estimator']} does not use this: {unused[name]}",
                found=f"{name}: {value}",
                expected=f"no {name}, or estimator: {listed(BY_CELL)}",
            )
        return value

    @field_validator("eligible", "subgroups", "placebo_outcomes")
    @classmethod
    def _columns_alone(cls, value: Any, info: ValidationInfo) -> Any:
        columns = (value,) if isinstance(value, str) else value or ()
        both = among(columns, _other_columns(info))
        if both:
            raise refusal(
                "E-SET-106",
                f"a column under {info.field_name} is used otherwise as well",
                found=listed(both),
                expected="columns that are neither outcomes, covariates, unit, period nor cohort",
            )
        return value

    @field_validator("eligible")
    @classmethod
    def _eligible_by_cell(cls, eligible: str | None, info: ValidationInfo) -> str | None:
        estimator = info.data.get("estimator")
        if eligible is not None and estimator not in (*BY_CELL, None):
            raise refusal(
                "E-SET-107",
                "triple differences are not made by this estimator",
                found=f"eligible: {eligible}, estimator: {estimator}",
                expected=f"estimator: one of {listed(BY_CELL)}",
            )
        return eligible

    @field_validator("match")
    @classmethod
    def _match_fits(cls, match: Matched | None, info: ValidationInfo) -> Matched | None:
        if match is None:
            return match
        wanted = {"estimator": (*BY_CELL, None), "panel": ("balanced", None), "eligible": (None,)}
        against = [f"{key}: {info.data[key]}" for key, fits in wanted.items() if info.data.get(key) not in fits]
        if against:
            raise refusal(
                "E-SET-108",
                "matching before changes are compared needs a balanced panel and a comparison by cohort and period",
                found=listed(against),
                expected=f"panel: balanced, estimator: one of {listed(BY_CELL)}, and no eligible",
            )
        if not match.lags and not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-109",
                "there is nothing to match on",
                found="lags: 0 and no covariates",
                expected="lags: 1 or more, or covariates: [columns]",
            )
        return match


def _other_columns(info: ValidationInfo) -> tuple[str, ...]:
    """Columns that already have a use in a design of changes over time."""
    cohort = info.data.get("cohort")
    single = [info.data.get("unit"), info.data.get("time"), cohort and (cohort.column or cohort.indicator)]
    earlier = [info.data.get("eligible")] if info.field_name != "eligible" else []
    named = tuple(column for column in (*single, *earlier) if column)
    return (*outcome_columns(info), *info.data.get("covariates", ()), *named)
