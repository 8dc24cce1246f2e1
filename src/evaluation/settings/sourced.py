"""What every observed figure carries: its source, how sure it is, and a value or a range."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AllowInfNan, BeforeValidator, Field, model_validator

from evaluation.settings.fields import Frozen, Slug, refusal
from evaluation.settings.problems import show
from evaluation.settings.typography import french

Confidence = Literal["seen", "derived", "computed", "recalled", "claim"]

_ADDRESS = re.compile(
    r"https?://[^\s/]+\.[^\s]+"
    r"|github [\w.-]+/[\w.-]+@[0-9a-f]{7,40}( [\w./-]+)?( \([^)]*\))?"
    r"|recalled \(doi 10\.\d+/\S+\)"
)


def _address(value: str) -> str:
    wrong = [part for part in value.split(" ; ") if not _ADDRESS.fullmatch(part)] if value else []
    if wrong:
        raise refusal(
            "E-SET-055",
            "this is not an address",
            found=show(wrong[0]),
            expected="https://… or github owner/name@commit path; several are separated by ' ; '",
        )
    return value


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


Name = Annotated[str, Field(min_length=1)]
FrenchName = Annotated[Name, AfterValidator(french)]
Note = Annotated[str, BeforeValidator(_or_empty)]
FrenchNote = Annotated[Note, AfterValidator(french)]
Value = Annotated[float, AllowInfNan(False)]
Year = Annotated[int, Field(ge=1900, le=2100)]
Address = Annotated[Note, AfterValidator(_address)]


class Sourced(Frozen):
    """What every figure carries."""

    source_title: Note = ""
    source_address: Address = ""
    confidence: Confidence

    @model_validator(mode="after")
    def _has_a_source(self) -> "Sourced":
        if not self.source_address and self.confidence not in ("recalled", "claim"):
            raise refusal(
                "E-SET-056",
                "a figure needs the address of its source",
                found="nothing",
                expected="an address, or confidence recalled or claim",
                key="source_address",
            )
        return self


class Figure(Sourced):
    """One number about a difficulty or a territory, with its source."""

    id: Slug
    label_fr: FrenchName
    label_en: Name
    value: Value
    unit_fr: FrenchName
    unit_en: Name
    year: Year | None
    kind: Literal["persistence", "urban_rural", "profile", "severity", "duration", ""] = ""
    note: Note = ""


class Range(Sourced):
    """A value, or a range where the source gives one."""

    value: Value | None
    low: Value | None = None
    high: Value | None = None

    @model_validator(mode="after")
    def _value_or_range(self) -> "Range":
        bounds = [bound for bound in (self.low, self.value, self.high) if bound is not None]
        if not bounds or bounds != sorted(bounds):
            raise refusal(
                "E-SET-060",
                "a figure is a value, a range, or a value inside its range",
                found=f"low {show(self.low)}, value {show(self.value)}, high {show(self.high)}",
                expected="low ≤ value ≤ high, at least one of them",
                key="value",
            )
        return self
