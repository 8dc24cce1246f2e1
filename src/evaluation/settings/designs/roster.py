"""Everybody who was assigned: what attrition is counted against."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.sources import Source
from evaluation.settings.fields import Columns, Frozen, Number, refusal


class Roster(Frozen):
    """Everybody who was assigned, and who of them was seen before the treatment.

    Columns have the names that the design gives them: unit, treatment and, where the table has them, clusters, strata,
    weight, probability and covariates.

    Attributes:
        assigned: table of all who were drawn, one row a unit; None if the data of the evaluation have a row for each of
            them, with an empty outcome for those who were lost.
        baseline: table of those who were seen before the treatment, one row a unit; None if nobody was asked again.
        cells: columns known for everybody within whose groups Lee's bounds are computed, which makes them narrower.
        lowest, highest: what the primary outcome can be at least and at most (Manski's bounds); the observed range
            if None.
    """

    assigned: Source | None = None
    baseline: Source | None = None
    cells: Columns = ()
    lowest: Number | None = None
    highest: Annotated[Number | None, Field(validate_default=True)] = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The tables of the roster's own."""
        return tuple(source for source in (self.assigned, self.baseline) if source is not None)

    @field_validator("assigned", "baseline")
    @classmethod
    def _stands_alone(cls, source: Source | None) -> Source | None:
        if source is not None and source.join is not None:
            raise refusal(
                "E-SET-155",
                "a table of the roster is not joined: its rows are found by unit",
                found="join",
                expected="a source without join",
            )
        return source

    @field_validator("highest")
    @classmethod
    def _range(cls, highest: float | None, info: ValidationInfo) -> float | None:
        lowest = info.data.get("lowest")
        if (lowest is None) != (highest is None) or (lowest is not None and highest is not None and lowest >= highest):
            raise refusal(
                "E-SET-156",
                "the outcome's range has two ends",
                found=f"lowest: {lowest}, highest: {highest}",
                expected="lowest below highest, or neither",
            )
        return highest
