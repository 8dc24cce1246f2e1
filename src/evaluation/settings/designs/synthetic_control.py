"""Synthetic control: treated units against a weighted mean of donors that followed the same path before."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, Inference, outcome_columns
from evaluation.settings.designs.variables import Cohort
from evaluation.settings.fields import Column, Columns, Integer, Scalars, listed, refusal


class SyntheticControlDesign(Design):
    """Few treated units, such as regions, against donors weighted to follow them before.

    Attributes:
        time: column of periods.
        cohort: when units were treated first; donors are those never treated.
        estimator: synthetic_control (levels), sdid (synthetic difference-in-differences: changes, with weights of
            periods as well), augmented (synthetic control corrected by a ridge regression) or did (all alike).
        solver: exact, or frank_wolfe for numbers that agree with R's synthdid to the last digit.
        interval: of the headline: permutation and normal from placebos, jackknife (several treated units), conformal
            (shifts of periods, one start).
        placebo_draws: placebo assignments drawn where there are more.
        donors: ids of the units to choose from; all never treated if none is named.
    """

    method: Literal["synthetic_control"] = "synthetic_control"
    time: Column
    cohort: Cohort
    estimator: Literal["synthetic_control", "sdid", "augmented", "did"] = "synthetic_control"
    solver: Literal["exact", "frank_wolfe"] = "exact"
    interval: Literal["permutation", "normal", "jackknife", "conformal"] = "permutation"
    placebo_draws: Annotated[Integer, Field(ge=19)] = 200
    donors: Scalars = ()

    # What a panel of another method may choose is settled here.
    comparison: ClassVar[str] = "never_treated"
    panel: ClassVar[str] = "balanced"
    eligible: ClassVar[str | None] = None
    subgroups: ClassVar[Columns] = ()
    placebo_outcomes: ClassVar[Columns] = ()

    @field_validator("covariates", "weight", "cluster", "territory")
    @classmethod
    def _paths_alone(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            raise refusal(
                "E-SET-240",
                "weights of a synthetic control follow the outcome before the treatment, and nothing else",
                found=f"{info.field_name}: {value}",
                expected=f"no {info.field_name}, or method: did",
            )
        return value

    @field_validator("inference")
    @classmethod
    def _placebos_decide(cls, inference: Inference) -> Inference:
        default = Inference(level=inference.level, adjustment=inference.adjustment)
        if inference != default or inference.adjustment == "romano_wolf":
            raise refusal(
                "E-SET-241",
                "the uncertainty of a synthetic control comes from placebos, not from these",
                found="std_error, test, bands, draws or adjustment: romano_wolf",
                expected="level, or another adjustment; interval: and placebo_draws: of the design",
            )
        return inference

    @field_validator("time")
    @classmethod
    def _followed(cls, time: str, info: ValidationInfo) -> str:
        if info.data.get("unit", "?") is None:
            raise refusal(
                "E-SET-242",
                "units must be followed over time, but no column names them",
                key="unit",
                found="no unit",
                expected="unit: column",
            )
        return time

    @field_validator("cohort")
    @classmethod
    def _columns_differ(cls, cohort: Cohort, info: ValidationInfo) -> Cohort:
        used = [*outcome_columns(info), info.data.get("unit"), info.data.get("time"), cohort.column or cohort.indicator]
        named = [column for column in used if column]
        twice = sorted({column for column in named if named.count(column) > 1})
        if twice:
            raise refusal(
                "E-SET-243",
                "outcome, unit, period and cohort are different columns",
                found=listed(twice),
                expected="columns used once",
            )
        return cohort

    @field_validator("interval")
    @classmethod
    def _possible_interval(cls, interval: str, info: ValidationInfo) -> str:
        if interval == "conformal" and info.data.get("estimator") == "augmented":
            raise refusal(
                "E-SET-244",
                "conformal intervals are not made for augmented weights in this version",
                found="interval: conformal, estimator: augmented",
                expected="interval: permutation, or another estimator",
            )
        return interval
