"""Experiments: chance decided who was treated."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, TreatmentField, used_once
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, refusal


def _probability(value: Any) -> float | str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    raise refusal("E-SET-088", "this is not a probability", found=repr(value), expected="above 0, below 1, or a column")


class ExperimentDesign(Design):
    """Chance decided who was treated.

    Attributes:
        treatment: who was exposed.
        adjustment: none (difference of means), lin (covariates centred, by arm), ancova (covariates, common slope).
        assignment: what was drawn: individuals, clusters, or one of each pair.
        strata: column of the strata of the draw (pairs, for paired).
        probability: probability of being treated, 0 to 1, or the column that holds it.
        takeup: 0/1 column: took part.
    """

    method: Literal["experiment"] = "experiment"
    treatment: TreatmentField
    adjustment: Annotated[Literal["none", "lin", "ancova"], Field(validate_default=True)] = "none"
    strata: Column | None = None
    assignment: Annotated[Literal["individual", "cluster", "paired"], Field(validate_default=True)] = "individual"
    probability: Annotated[float | str | None, PlainValidator(_probability)] = None
    takeup: Column | None = None

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

    @field_validator("adjustment")
    @classmethod
    def _adjusts_for_something(cls, adjustment: str, info: ValidationInfo) -> str:
        if adjustment != "none" and not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-084",
                f"adjustment: {adjustment} needs covariates",
                found="none",
                expected="covariates: [columns]",
            )
        return adjustment

    @field_validator("assignment")
    @classmethod
    def _drawn_groups(cls, assignment: str, info: ValidationInfo) -> str:
        if assignment == "cluster" and not info.data.get("cluster", "?"):
            raise refusal(
                "E-SET-085", "clusters were drawn, but none are named", found="no cluster", expected="cluster: [column]"
            )
        if assignment == "paired" and not info.data.get("strata", "?"):
            raise refusal(
                "E-SET-086",
                "pairs were drawn, but none are named",
                found="no strata",
                expected="strata: column of the pair",
            )
        return assignment

    @field_validator("takeup")
    @classmethod
    def _takeup_is_not_the_offer(cls, takeup: str | None, info: ValidationInfo) -> str | None:
        treatment = info.data.get("treatment")
        if takeup is not None and treatment is not None and takeup == treatment.column:
            raise refusal("E-SET-087", "take-up is the treatment itself", found=repr(takeup), expected="another column")
        return takeup
