"""Regression discontinuity: units just beyond a threshold against units just short of it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, Inference, among, outcome_columns
from evaluation.settings.fields import Column, Columns, Flag, Integer, Number, listed, refusal

Rule = Literal["mserd", "msetwo", "msesum", "msecomb1", "msecomb2", "cerrd", "certwo", "cersum", "cercomb1", "cercomb2"]


class DiscontinuityDesign(Design):
    """Who is treated depends on which side of a threshold a score lies; the effect is that at the threshold.

    A border is a threshold as well: `running` is then the distance to it, negative on one side.

    Attributes:
        running: column of the score, or of the signed distance to a border.
        cutoff: where the side changes; a unit at the cutoff itself is on the treated side.
        treated_side: above or below the cutoff.
        received: 0/1 column of who was treated, where the side only makes it more likely (fuzzy); sharp if None.
        bandwidth: how far from the cutoff units are used: a rule of rdrobust, or a width in units of the score.
        bias_correction: take the bias of the line away, estimated by a curve (Calonico, Cattaneo and Titiunik 2014).
        kernel: weights of units by their distance to the cutoff.
        order: degree of the polynomial on each side.
        donut: units nearer to the cutoff than this are left out.
        placebo_cutoffs: where nothing happens and no effect may show; the medians of both sides if none is named.
        adjustment: linear puts the covariates into both lines, with one coefficient for both sides; their jumps are
            tested in any case (Calonico, Cattaneo, Farrell and Titiunik 2019).
        subgroups: columns to estimate by, as well as for everybody; each group has bandwidths of its own.
    """

    method: Literal["discontinuity"] = "discontinuity"
    running: Column
    cutoff: Number = 0.0
    treated_side: Literal["above", "below"] = "above"
    received: Column | None = None
    bandwidth: Annotated[Rule | Annotated[Number, Field(gt=0)], Field(union_mode="left_to_right")] = "mserd"
    bias_correction: Annotated[Flag, Field(validate_default=True)] = True
    kernel: Literal["triangular", "epanechnikov", "uniform"] = "triangular"
    order: Annotated[Integer, Field(ge=0, le=3)] = 1
    donut: Annotated[Number, Field(gt=0)] | None = None
    placebo_cutoffs: tuple[Number, ...] = ()
    adjustment: Literal["none", "linear"] = "none"
    subgroups: Columns = ()

    @property
    def sign(self) -> float:
        """1 where the treated side is above, -1 where it is below."""
        return 1.0 if self.treated_side == "above" else -1.0

    @field_validator("adjustment")
    @classmethod
    def _adjusts_for_something(cls, adjustment: str, info: ValidationInfo) -> str:
        if adjustment == "linear" and not info.data.get("covariates", "?"):
            raise refusal(
                "E-SET-343",
                "an adjustment needs covariates",
                found="adjustment: linear without covariates",
                expected="covariates: [columns measured before], or adjustment: none",
            )
        return adjustment

    @field_validator("subgroups")
    @classmethod
    def _groups_are_no_outcomes(cls, subgroups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        used = *outcome_columns(info), str(info.data.get("running")), str(info.data.get("received"))
        both = among(subgroups, used)
        if both:
            raise refusal(
                "E-SET-344",
                "effects cannot be shown by the outcome, the score or the treatment",
                found=listed(both),
                expected="columns of groups that were there before the treatment",
            )
        return subgroups

    @field_validator("running", "received")
    @classmethod
    def _columns_differ(cls, column: str | None, info: ValidationInfo) -> str | None:
        used = (*outcome_columns(info), *info.data.get("covariates", ()), info.data.get("running"))
        if column in used and column is not None:
            raise refusal(
                "E-SET-256",
                "score, treatment, outcome and covariates are different columns",
                found=repr(column),
                expected="columns used once",
            )
        return column

    @field_validator("inference")
    @classmethod
    def _errors_of_lines(cls, inference: Inference, info: ValidationInfo) -> Inference:
        default = Inference(level=inference.level, adjustment=inference.adjustment, std_error=inference.std_error)
        if inference != default:
            raise refusal(
                "E-SET-257",
                "a discontinuity has normal intervals of its own, and no draws",
                found="test, bands or draws",
                expected="std_error, level, or an adjustment other than romano_wolf",
            )
        return inference

    @field_validator("bias_correction")
    @classmethod
    def _errors_of_a_line(cls, corrected: bool, info: ValidationInfo) -> bool:
        inference, fuzzy = info.data.get("inference"), info.data.get("received") is not None
        kind = None if inference is None else inference.std_error
        if kind not in (None, "influence") and (corrected or fuzzy or kind in ("abadie_imbens", "pairs")):
            raise refusal(
                "E-SET-259",
                f"std_error: {kind} is that of a regression, and this estimate is none",
                found="bias_correction: true" if corrected else "received" if fuzzy else f"std_error: {kind}",
                expected="no std_error (rdrobust's, by nearest neighbours) or influence",
            )
        return corrected

    @field_validator("placebo_cutoffs")
    @classmethod
    def _elsewhere(cls, placebos: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        if info.data.get("cutoff") in placebos:
            raise refusal(
                "E-SET-258",
                "a placebo cutoff is the cutoff itself",
                found=f"{info.data['cutoff']}",
                expected="values of the score at which nothing changes",
            )
        return placebos
