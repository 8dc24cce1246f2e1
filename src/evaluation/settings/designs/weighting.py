"""Weighting: treated units against untreated ones weighted to resemble them."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, TreatmentField, measured_before, used_once
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Number, refusal


class WeightingDesign(Design):
    """Treated units against untreated ones weighted to resemble them.

    Attributes:
        treatment: who was exposed.
        weights: inverse_probability (of the treatment received) or entropy_balancing (means made equal).
        estimand: effect on the treated (att) or on everybody (ate).
        trim: units whose propensity lies within `trim` of 0 or 1 are dropped; above 0, below 0.5.
        baseline_outcome: column of the outcome before the treatment, for placebo checks.
    """

    method: Literal["weighting"] = "weighting"
    treatment: TreatmentField
    weights: Annotated[Literal["inverse_probability", "entropy_balancing"], Field(validate_default=True)] = (
        "inverse_probability"
    )
    estimand: Literal["att", "ate"] = "att"
    trim: Annotated[Number, Field(gt=0, lt=0.5)] | None = None
    baseline_outcome: Column | None = None

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

    @field_validator("weights")
    @classmethod
    def _weights_something(cls, weights: str, info: ValidationInfo) -> str:
        if not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-095",
                "weighting needs covariates to balance",
                key="covariates",
                found="no covariates",
                expected="covariates: [columns]",
            )
        return weights

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)
