"""What the designs of all methods share, and what their fields ask of one another."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from evaluation.settings.designs.sources import Source
from evaluation.settings.designs.variables import Outcome, Treatment
from evaluation.settings.fields import (
    Column,
    Columns,
    Flag,
    Frozen,
    Integer,
    Number,
    Slug,
    Text,
    listed,
    one_or_many,
    refusal,
)
from evaluation.settings.specifications import Specifications, fitting

OUTSIDE_THE_PLAN = ("blinded", "frozen", "planted")  # fields that say how far the plan has come
Role = Literal["benchmark", "decision"]
BY_UNIT = ("experiment", "matching", "weighting")  # methods whose units are treated or not, once for all
StdError = Literal["hc0", "hc1", "hc2", "hc3", "cr0", "cr1", "cr2", "cr3", "abadie_imbens", "pairs", "influence"]


class Inference(Frozen):
    """How uncertainty is computed, where the method's default is not wanted.

    Attributes:
        std_error: kind of standard error; the method's default if None.
        level: coverage of intervals and bands, 0.5 to 1.
        test: p-value and interval of the headline from standard errors (analytic), from the wild cluster bootstrap, or
            from assignments that chance could have drawn instead (randomisation; experiments).
        bands: simultaneous bands from the estimated covariance (plug_in), or from draws of the units (multiplier).
        adjustment: of the p-values of a family of outcomes.
        draws: number of draws of wild, randomisation, multiplier and romano_wolf.
    """

    std_error: StdError | None = None
    level: Annotated[Number, Field(gt=0.5, lt=1)] = 0.95
    test: Literal["analytic", "wild", "randomisation"] = "analytic"
    bands: Literal["plug_in", "multiplier"] = "plug_in"
    adjustment: Literal["holm", "benjamini_hochberg", "sharpened_q", "romano_wolf"] = "holm"
    draws: Annotated[Integer, Field(ge=99)] = 9999


class NegativeControls(Frozen):
    """What there can be no effect on, or of: an estimate other than zero speaks of the design, not of the treatment.

    Attributes:
        outcomes: columns that the treatment cannot have moved.
        exposures: 0/1 columns that cannot have moved the outcome, though people who have them differ from others as
            treated people do.
    """

    outcomes: Columns = ()
    exposures: Columns = ()

    @field_validator("exposures")
    @classmethod
    def _one_use(cls, exposures: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = among(exposures, info.data.get("outcomes", ()))
        if both:
            raise refusal(
                "E-SET-280",
                "a negative control is an outcome and an exposure at once",
                found=listed(both),
                expected="each column under one of the two",
            )
        return exposures


def _territory(value: Any) -> str | None:
    column = value.get("column") if isinstance(value, Mapping) and set(value) == {"column"} else value
    if column is None or (isinstance(column, str) and column):
        return column
    raise refusal("E-SET-046", "this is not a column", found=repr(value), expected="a column or {column: …}")


def _column_mapping(value: Any) -> Any:
    """`treatment: treat` stands for `treatment: {column: treat}`."""
    return {"column": value} if isinstance(value, str) else value


Sources = Annotated[tuple[Source, ...], BeforeValidator(one_or_many)]
Outcomes = Annotated[tuple[Outcome, ...], BeforeValidator(one_or_many)]
TreatmentField = Annotated[Treatment, BeforeValidator(_column_mapping)]


class Design(Frozen):
    """What all methods share.

    Attributes:
        id: key in params.yaml; used in every path, table and log line.
        role: a benchmark proves a method; a decision speaks of an innovation that could be funded.
        innovation: key in data/portfolio/innovations.yaml; None where a design stands alone in a file.
        data: sources, stacked or joined in this order; none where the data are named on the command line.
        method: experiment, did, matching or weighting.
        outcomes: result variables, exactly one of them primary.
        unit: column that says who or what is treated; the row number if None.
        covariates: columns measured before the treatment.
        categorical: covariates whose numbers are names of categories.
        weight: column of sampling weights.
        cluster: columns of groups within which units are dependent.
        territory: column to estimate by.
        inference: overrides of the method's default.
        missing: what to do with rows that lack a value the method needs.
        blinded: outcomes are permuted until the plan is frozen, so that notebooks are debugged without the answer.
        planted: effect added to the permuted primary outcome of the treated, so that its recovery can be watched.
        frozen: hash of the plan (`evaluation plan freeze`); a finding that differs from it is not as planned.
        negative_controls: outcomes and exposures between which and the treatment, or the outcome, there is no effect.
        specifications: defensible variants of the design, by axis, that the specification curve runs; none if None.
    """

    id: Slug
    role: Role = "benchmark"
    innovation: Slug | None = None
    data: Sources = ()
    method: str
    outcomes: Annotated[Outcomes, Field(min_length=1)]
    unit: Column | None = None
    covariates: Columns = ()
    categorical: Columns = ()
    weight: Column | None = None
    cluster: Columns = ()
    territory: Annotated[str | None, PlainValidator(_territory)] = None
    inference: Inference = Inference()
    missing: Literal["drop", "error"] = "drop"
    blinded: Flag = False
    planted: Annotated[Number | None, Field(validate_default=True)] = None
    frozen: Annotated[Text, Field(pattern="^[0-9a-f]{64}$")] | None = None
    negative_controls: NegativeControls = NegativeControls()
    specifications: Specifications | None = None

    @property
    def primary(self) -> Outcome:
        """The outcome the evaluation stands or falls with."""
        return next(outcome for outcome in self.outcomes if outcome.role == "primary")

    @property
    def public(self) -> bool:
        """Whether anybody may see all the micro-data; no for data that the design does not name."""
        return bool(self.data) and all(source.is_public for source in self.data)

    @property
    def simulated(self) -> bool:
        """Whether some of the data are made up, so that no number describes reality."""
        return any(source.simulated for source in self.data)

    def parameters(self) -> dict[str, Any]:
        """All fields, defaults included, as plain data with sorted keys: what an evaluation's fingerprint hashes."""
        fields = self.model_dump(mode="json")
        return {key: _sorted(fields[key]) for key in sorted(fields)}

    def plan(self) -> dict[str, Any]:
        """What is planned: all parameters but those that say how far the plan has come."""
        return {key: value for key, value in self.parameters().items() if key not in OUTSIDE_THE_PLAN}

    def plan_sha256(self) -> str:
        """Hash of the plan."""
        text = json.dumps(self.plan(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @field_validator("planted")
    @classmethod
    def _planted_where_blinded(cls, planted: float | None, info: ValidationInfo) -> float | None:
        if planted is not None and not info.data.get("blinded"):
            raise refusal(
                "E-SET-345",
                "an effect is planted in permuted outcomes only",
                found=f"planted: {planted:g} with blinded: false",
                expected="blinded: true, or no planted effect",
            )
        return planted

    @field_validator("data")
    @classmethod
    def _first_joins_nothing(cls, data: tuple[Source, ...]) -> tuple[Source, ...]:
        if data and data[0].join is not None:
            raise refusal(
                "E-SET-047", "the first source has nothing to be joined to", expected="join: in a later source"
            )
        return data

    @field_validator("outcomes")
    @classmethod
    def _one_primary(cls, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        primary = [outcome.name for outcome in outcomes if outcome.role == "primary"]
        if len(primary) != 1:
            raise refusal(
                "E-SET-048",
                "an evaluation has one primary outcome",
                found=listed(primary) or "none",
                expected="role: primary once, role: secondary for the others",
            )
        return outcomes

    @field_validator("outcomes")
    @classmethod
    def _outcome_names_differ(cls, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        names = [outcome.name for outcome in outcomes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise refusal("E-SET-049", "two outcomes have one name", found=listed(twice), expected="different names")
        return outcomes

    @field_validator("covariates")
    @classmethod
    def _outcomes_are_no_covariates(cls, covariates: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = among(covariates, outcome_columns(info))
        if both:
            raise refusal(
                "E-SET-080",
                "an outcome is also a covariate",
                found=listed(both),
                expected="covariates measured before the treatment",
            )
        return covariates

    @field_validator("categorical")
    @classmethod
    def _categories_of_covariates(cls, categorical: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        covariates = info.data.get("covariates")
        others = [column for column in categorical if covariates is not None and column not in covariates]
        if others:
            raise refusal(
                "E-SET-081",
                "a categorical column is not a covariate",
                found=listed(others),
                expected=f"some of {listed(covariates or ())}",
            )
        return categorical

    @field_validator("negative_controls")
    @classmethod
    def _controls_are_no_outcomes(cls, controls: NegativeControls, info: ValidationInfo) -> NegativeControls:
        named = (*controls.outcomes, *controls.exposures)
        both = among(named, (*outcome_columns(info), *info.data.get("covariates", ())))
        if both:
            raise refusal(
                "E-SET-281",
                "a negative control is also an outcome or a covariate",
                found=listed(both),
                expected="columns that the design uses for nothing else",
            )
        if controls.outcomes and info.data.get("method") == "did":
            raise refusal(
                "E-SET-283",
                "outcomes that the treatment cannot have moved have a key of their own where changes are compared",
                found="negative_controls: outcomes in a design of method did",
                expected="placebo_outcomes: [columns]",
            )
        if controls.exposures and info.data.get("method") not in (*BY_UNIT, None):
            raise refusal(
                "E-SET-282",
                "an exposure stands in for a treatment that units have or not, once for all",
                found=f"negative_controls: exposures in a design of method {info.data.get('method')}",
                expected=f"outcomes, or a method among {listed(BY_UNIT)}",
            )
        return controls

    @field_validator("specifications")
    @classmethod
    def _variants_of_this_design(cls, variants: Specifications | None, info: ValidationInfo) -> Specifications | None:
        return fitting(variants, tuple(cls.model_fields), info.data)

    @field_validator("inference", mode="before")
    @classmethod
    def _default_inference(cls, inference: Any) -> Any:
        return Inference() if inference is None else inference

    @field_validator("inference")
    @classmethod
    def _possible_std_error(cls, inference: Inference, info: ValidationInfo) -> Inference:
        kind, method = inference.std_error, info.data.get("method")
        if kind in ("abadie_imbens", "pairs") and method not in ("matching", None):
            raise refusal(
                "E-SET-082",
                f"std_error: {kind} belongs to method matching",
                found=f"method {method}",
                expected="hc0 to hc3, cr0 to cr3 or influence",
            )
        clusters = info.data.get("cluster", "?")
        if kind is not None and kind.startswith("cr") and not clusters and method != "did":
            raise refusal(
                "E-SET-083",
                f"std_error: {kind} needs clusters",
                found="no cluster",
                expected="cluster: [column]",
            )
        return inference

    @field_validator("inference")
    @classmethod
    def _possible_test(cls, inference: Inference, info: ValidationInfo) -> Inference:
        method, test = info.data.get("method"), inference.test
        if test == "randomisation" and method not in ("experiment", None):
            raise refusal(
                "E-SET-102",
                "randomisation inference repeats a draw, and nothing was drawn",
                found=f"test: randomisation in a design of method {method}",
                expected="test: analytic or wild; randomisation belongs to method experiment",
            )
        if test == "wild" and method == "matching":
            raise refusal(
                "E-SET-103",
                "the wild cluster bootstrap needs the influence of each unit, which matching does not have",
                found="test: wild in a design of method matching",
                expected="test: analytic",
            )
        if test == "wild" and not info.data.get("cluster", "?"):
            raise refusal(
                "E-SET-104",
                "the wild cluster bootstrap needs clusters",
                found="no cluster",
                expected="cluster: [column]",
            )
        return inference

    @field_validator("inference")
    @classmethod
    def _possible_adjustment(cls, inference: Inference, info: ValidationInfo) -> Inference:
        if inference.adjustment == "romano_wolf" and info.data.get("method") == "matching":
            raise refusal(
                "E-SET-105",
                "romano_wolf needs the covariance of the outcomes, which matching does not have",
                found="adjustment: romano_wolf in a design of method matching",
                expected="adjustment: holm, benjamini_hochberg or sharpened_q",
            )
        return inference


def caliper_goes_with(caliper: float | None, distance: str | None) -> float | None:
    """Refuse a caliper on a distance that is not a score."""
    if caliper is not None and distance in ("mahalanobis", "robust_mahalanobis", "scaled_euclidean"):
        raise refusal(
            "E-SET-093",
            f"a caliper is a difference of scores, and {distance} has none",
            found=f"caliper {caliper}",
            expected="no caliper, or a propensity distance",
        )
    return caliper


def used_once(treatment: Treatment, info: ValidationInfo) -> Treatment:
    """Refuse a treatment that is also a covariate or an outcome."""
    if treatment.column in (*outcome_columns(info), *info.data.get("covariates", ())):
        raise refusal(
            "E-SET-096",
            "the treatment is also a covariate or an outcome",
            found=repr(treatment.column),
            expected="a column used once",
        )
    return treatment


def measured_before(baseline: str | None, info: ValidationInfo) -> str | None:
    """Refuse a baseline outcome that is the outcome itself."""
    if baseline is not None and baseline in outcome_columns(info):
        raise refusal(
            "E-SET-097",
            "the baseline outcome is the outcome itself",
            found=repr(baseline),
            expected="the column measured before the treatment",
        )
    return baseline


def outcome_columns(info: ValidationInfo) -> tuple[str, ...]:
    """Source columns of all outcomes."""
    return tuple(column for outcome in info.data.get("outcomes", ()) for column in outcome.columns)


def among(columns: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    """Those of `columns` that stand among `others`."""
    return [column for column in columns if column in others]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
