"""Instrument: something that moves the treatment, and the outcome through the treatment only."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, Inference, among, outcome_columns
from evaluation.settings.fields import Column, Columns, Text, listed, refusal


class InstrumentDesign(Design):
    """Treatment is chosen, but something else moved it: the effect is that on those whom the instrument moves.

    Attributes:
        treatment: column of who was treated (0/1) or of how much (any number).
        instruments: columns of numbers that move the treatment; the first one is the one that balance is shown for.
        estimator: two-stage least squares, limited information maximum likelihood, or two-step generalised method of
            moments; the same number where there is one instrument.
        exclusion: why the instruments can change the outcome through the treatment only; cannot be seen in the data.
        monotonicity: why they keep nobody from the treatment who would have had it otherwise.
    """

    method: Literal["instrument"] = "instrument"
    treatment: Column
    instruments: Annotated[Columns, Field(min_length=1)]
    estimator: Literal["2sls", "liml", "gmm"] = "2sls"
    exclusion: Annotated[Text, Field(min_length=20)]
    monotonicity: Annotated[Text, Field(min_length=20)]

    subgroups: ClassVar[Columns] = ()

    @field_validator("territory")
    @classmethod
    def _not_offered(cls, value: Any, info: ValidationInfo) -> Any:
        if value:
            raise refusal(
                "E-SET-265",
                "an instrument is used for all units alike in this version",
                found=f"territory: {value}",
                expected="no territory",
            )
        return value

    @field_validator("treatment", "instruments")
    @classmethod
    def _columns_differ(cls, value: Any, info: ValidationInfo) -> Any:
        named = (value,) if isinstance(value, str) else value
        used = (*outcome_columns(info), *info.data.get("covariates", ()), info.data.get("treatment"))
        if among(named, used):
            raise refusal(
                "E-SET-266",
                "outcome, treatment, instruments and covariates are different columns",
                found=listed(among(named, used)),
                expected="columns used once",
            )
        return value

    @field_validator("instruments")
    @classmethod
    def _not_weighted(cls, instruments: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        weight = info.data.get("weight")
        if weight in instruments:
            raise refusal(
                "E-SET-267", "an instrument is the sampling weight", found=repr(weight), expected="another column"
            )
        return instruments

    @field_validator("inference")
    @classmethod
    def _analytic(cls, inference: Inference, info: ValidationInfo) -> Inference:
        if inference.test != "analytic" or inference.bands != "plug_in":
            raise refusal(
                "E-SET-268",
                "an effect by instrument has standard errors and the Anderson-Rubin set, no draws",
                found=f"test: {inference.test}, bands: {inference.bands}",
                expected="test: analytic, bands: plug_in",
            )
        return inference

    @field_validator("estimator")
    @classmethod
    def _errors_of_the_estimator(cls, estimator: str, info: ValidationInfo) -> str:
        kind = getattr(info.data.get("inference"), "std_error", None)
        if estimator != "2sls" and kind not in (None, "influence"):
            raise refusal(
                "E-SET-269",
                f"{estimator} is no least squares: it has no leverages",
                found=f"std_error: {kind}",
                expected="std_error: influence, or estimator: 2sls",
            )
        return estimator
