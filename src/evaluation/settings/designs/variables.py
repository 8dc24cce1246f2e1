"""The variables of an evaluation: outcomes, treatment and cohort."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_serializer, field_validator

from evaluation.settings.fields import Column, Flag, Frozen, FrozenDict, Number, Scalar, Scalars, Text, listed, refusal


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
