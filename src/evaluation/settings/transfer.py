"""When a finding may be carried to a territory: the bounds behind the letters A to D."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from evaluation.settings.fields import Frozen, Integer, Number, refusal

Letter = Literal["A", "B", "C"]
Share = Annotated[Number, Field(ge=0, le=1)]


def _falling(value: dict[str, float]) -> dict[str, float]:
    bounds = [value[letter] for letter in sorted(value)]
    if [*value] != ["A", "B", "C"] or bounds != sorted(bounds, reverse=True):
        raise refusal(
            "E-EVI-110",
            "a better letter of transfer cannot ask for less",
            found=", ".join(f"{letter}: {bound}" for letter, bound in value.items()),
            expected="A, B and C with bounds that do not rise from A to C",
        )
    return value


Bounds = Annotated[dict[Letter, Share], AfterValidator(_falling)]


class TransferPolicy(Frozen):
    """The `transfer:` section of params.yaml.

    Attributes:
        version: change it by adding a version.
        country: of the territories.
        as_of: year from which the age of a study is counted.
        index: letter -> smallest generalizability index; below that of C the people are not comparable.
        coverage: letter -> smallest share of the territory's people for whom the study has people alike.
        largest_difference: of a moderator, in standard deviations, that A allows.
        recent_years: a study not older than this speaks of today.
        old_years: an older one speaks of another time.
    """

    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
    country: Annotated[str, Field(min_length=1)]
    as_of: Annotated[Integer, Field(ge=2000)]
    index: Bounds
    coverage: Bounds
    largest_difference: Annotated[Number, Field(gt=0)]
    recent_years: Annotated[Integer, Field(ge=1)]
    old_years: Annotated[Integer, Field(ge=1)]
