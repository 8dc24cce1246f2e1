"""Matching: treated units against untreated ones that resemble them."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import (
    Design,
    TreatmentField,
    caliper_goes_with,
    measured_before,
    used_once,
)
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Columns, Flag, Integer, Number, refusal


class MatchingDesign(Design):
    """Treated units against untreated ones that resemble them, one by one.

    Attributes:
        treatment: who was exposed.
        distance: difference of propensity scores (logit or probit), of their logits (linear_logit), or Mahalanobis.
        ratio: comparison units for each treated unit.
        replace: whether a comparison unit may serve twice.
        caliper: largest distance allowed, in standard deviations of the score in the whole sample (ddof 1).
        exact: columns on which pairs must agree.
        order: who chooses first, without replacement: largest or smallest score, or the order of the data.
        estimand: effect on the treated (att) or on the comparison units (atc).
        baseline_outcome: column of the outcome before the treatment, for placebo checks.
    """

    method: Literal["matching"] = "matching"
    treatment: TreatmentField
    distance: Literal["propensity_logit", "propensity_probit", "linear_logit", "mahalanobis"] = "propensity_logit"
    ratio: Annotated[Integer, Field(ge=1)] = 1
    replace: Flag = False
    caliper: Annotated[Number, Field(gt=0)] | None = None
    exact: Annotated[Columns, Field(validate_default=True)] = ()
    order: Literal["largest", "smallest", "data"] = "largest"
    estimand: Literal["att", "atc"] = "att"
    baseline_outcome: Column | None = None

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

    @field_validator("caliper")
    @classmethod
    def _caliper_of_a_score(cls, caliper: float | None, info: ValidationInfo) -> float | None:
        return caliper_goes_with(caliper, info.data.get("distance"))

    @field_validator("exact")
    @classmethod
    def _resembles_in_something(cls, exact: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not exact and not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-094",
                "matching needs something to match on",
                key="covariates",
                found="no covariates",
                expected="covariates: [columns], or exact: [columns]",
            )
        return exact

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)
