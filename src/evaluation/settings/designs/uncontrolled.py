"""Weak designs: a change, or a raw difference, without anything that says what would have happened otherwise."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, Inference, _column_mapping, measured_before, used_once
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Columns, Integer, Scalar, refusal

# What each comparison needs, and what it has no use for.
NEEDED = {"before_after": ("baseline_outcome",), "raw": ("treatment",), "series": ("time", "start")}
UNUSED = {
    "before_after": ("treatment", "time", "start", "lags", "seasons"),
    "raw": ("baseline_outcome", "time", "start", "lags", "seasons"),
    "series": ("baseline_outcome",),
}


class UncontrolledDesign(Design):
    """Shown so that weak evidence can be seen, and graded as such.

    Attributes:
        compared: the same people before and after (before_after); those who had the treatment and others as they are
            (raw); one series before and after it starts, with its own trend (series).
        baseline_outcome: the outcome of the same people before (before_after).
        treatment: who had it (raw); which rows belong to the series that is treated, where others are taken away from
            it (series).
        time: column of periods (series).
        start: first treated period, as `time` writes it (series).
        lags: of the Newey-West errors (series); 4 (T/100)^(2/9) rounded down if None.
        seasons: periods a year, where each has a level of its own (series): 12 for months, 4 for quarters.
    """

    method: Literal["uncontrolled"] = "uncontrolled"
    baseline_outcome: Column | None = None
    treatment: Annotated[Treatment | None, BeforeValidator(_column_mapping)] = None
    time: Column | None = None
    start: Scalar | None = None
    lags: Annotated[Integer, Field(ge=0)] | None = None
    seasons: Annotated[Integer, Field(ge=2)] | None = None
    compared: Literal["before_after", "raw", "series"]

    subgroups: ClassVar[Columns] = ()

    @field_validator("territory")
    @classmethod
    def _not_offered(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            raise refusal(
                "E-SET-270",
                "what has no comparison group is not told apart by territory",
                found=f"territory: {value}",
                expected="no territory",
            )
        return value

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)

    @field_validator("treatment")
    @classmethod
    def _treatment_used_once(cls, treatment: Treatment | None, info: ValidationInfo) -> Treatment | None:
        return treatment if treatment is None else used_once(treatment, info)

    @field_validator("compared")
    @classmethod
    def _what_it_needs(cls, compared: str, info: ValidationInfo) -> str:
        lacking = [key for key in NEEDED[compared] if info.data.get(key, "?") is None]
        if lacking:
            raise refusal(
                "E-SET-271",
                f"compared: {compared} needs {' and '.join(lacking)}",
                found="nothing",
                expected="; ".join(f"{key}: …" for key in lacking),
            )
        idle = [key for key in UNUSED[compared] if info.data.get(key) is not None]
        if idle:
            raise refusal(
                "E-SET-272",
                f"compared: {compared} has no use for {' and '.join(idle)}",
                found=f"{idle[0]}: {info.data[idle[0]]}",
                expected="leave it out",
            )
        return compared

    @field_validator("compared")
    @classmethod
    def _one_outcome(cls, compared: str, info: ValidationInfo) -> str:
        if compared == "before_after" and len(info.data.get("outcomes", ())) > 1:
            raise refusal(
                "E-SET-273",
                "one outcome belongs to one baseline_outcome",
                found=f"{len(info.data['outcomes'])} outcomes",
                expected="one outcome, or one evaluation for each",
            )
        return compared

    @field_validator("compared")
    @classmethod
    def _can_be_blinded(cls, compared: str, info: ValidationInfo) -> str:
        if compared != "raw" and info.data.get("blinded"):
            raise refusal(
                "E-SET-274",
                "the change of one group is the same however outcomes are permuted: blinding would hide nothing",
                found="blinded: true",
                expected="blinded: false",
            )
        return compared

    @field_validator("compared")
    @classmethod
    def _errors(cls, compared: str, info: ValidationInfo) -> str:
        inference = info.data.get("inference", Inference())
        drawn = inference.test != "analytic" or inference.bands != "plug_in" or inference.adjustment == "romano_wolf"
        fixed = compared == "series" and (inference.std_error is not None or info.data.get("cluster"))
        if drawn or fixed:
            raise refusal(
                "E-SET-275",
                "a series has Newey-West errors, without clusters"
                if fixed
                else "what has no comparison group has standard errors, no draws",
                found=f"test: {inference.test}, bands: {inference.bands}, std_error: {inference.std_error}",
                expected="the defaults of inference" + (", no cluster" if fixed else ""),
            )
        return compared
