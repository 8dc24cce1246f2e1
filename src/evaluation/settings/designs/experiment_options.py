"""What an experiment may say beyond its draw: how its sample was drawn, and where effects are searched for."""

from typing import Annotated, Literal

from pydantic import Field, Strict, ValidationInfo, field_validator

from evaluation.settings.fields import Column, Columns, Frozen, Integer, Number, refusal

Territory = Annotated[str, Strict(), Field(min_length=1)]


class Survey(Frozen):
    """How the sample was drawn from a population, so that variances follow that draw (linearisation).

    Attributes:
        sampling_unit: column of what was drawn first (villages, schools); each row by itself if None. Ids count within
            their stratum.
        strata: column of the strata of that draw.
        population: column with the number of sampling units that the row's stratum has in the population; with it, what
            was drawn without replacement from few units has the smaller variance that it should have.
        lonely: a stratum with a single sampling unit is refused, counted without variance (certainty: the unit was
            sure to be drawn), or compared with the mean of all sampling units (centre).
    """

    sampling_unit: Column | None = None
    strata: Column | None = None
    population: Column | None = None
    lonely: Annotated[Literal["refuse", "certainty", "centre"], Field(validate_default=True)] = "refuse"

    @field_validator("lonely")
    @classmethod
    def _says_something(cls, lonely: str, info: ValidationInfo) -> str:
        if all(info.data.get(key, "?") is None for key in ("sampling_unit", "strata", "population")):
            raise refusal(
                "E-SET-144",
                "a survey without strata, sampling units and population is a simple random sample",
                key="survey",
                found="none of them",
                expected="sampling_unit: column, strata: column, or both; or no survey",
            )
        return lonely


class PhaseIn(Frozen):
    """Everybody starts, or many do, and chance decided when: a row for each unit and period.

    The treatment column says who is treated in each period; who has started stays treated.

    Attributes:
        time: column of the period.
        seed: of the permutations of starts; their number is `inference: {draws: …}`.
    """

    time: Column
    seed: Integer = 0


class Exploration(Frozen):
    """A search for groups with different effects, on one part of the units; the rest says how large they are.

    Attributes:
        columns: covariates that are searched; all if none are named.
        share: part of the units (clusters, where these were drawn) that the search sees.
        seed: of the split.
    """

    columns: Columns = ()
    share: Annotated[Number, Field(ge=0.2, le=0.8)] = 0.5
    seed: Integer = 0


class Transport(Frozen):
    """The effect of one territory carried to another one of the same trial, by what their people have in common.

    Attributes:
        source: territory whose people were tried.
        target: territory whose people it is carried to; where it was tried as well, its own effect stands beside.
    """

    source: Territory
    target: Territory
