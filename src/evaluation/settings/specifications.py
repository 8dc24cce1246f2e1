"""Defensible variants of one design, declared as data: axes, each with alternatives of a key of that design.

    specifications:
      estimator: [doubly_robust, imputation]
      covariates: [[], [income], [income, age]]
      samples: [{name: everybody}, {name: without-the-capital, drop: {region: [capital]}}]
      transform: [none, winsorised_99]

Keys are fields of the design, and two axes that every method has: `samples` (rows) and `transform` (the outcome, in its
own unit). All combinations are made; each is read by the design's own model, and one that it refuses is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from evaluation.settings.fields import Frozen, Integer, Number, Scalars, Slug, listed, refusal
from evaluation.settings.problems import nearest

Transform = Literal["none", "winsorised_99", "winsorised_95"]
MOST = 20_000  # combinations; beyond, nobody can call all of them defensible
COLUMN_SETS = ("covariates", "exact")  # alternatives are some of the columns that the design itself names
# What no specification may change: another question, other data, or columns that the sample would lack.
FIXED = frozenset(
    {
        "id",
        "role",
        "innovation",
        "data",
        "method",
        "outcomes",
        "unit",
        "time",
        "cohort",
        "treatment",
        "weight",
        "cluster",
        "territory",
        "missing",
        "blinded",
        "planted",
        "frozen",
        "negative_controls",
        "specifications",
        "inference",
        "categorical",
        "subgroups",
        "placebo_outcomes",
        "eligible",
        "strata",
        "probability",
        "takeup",
        "saturation",
        "baseline_outcome",
        "score",
        "anti_exact",
        "roster",
        "explore",
        "experiment",
        "transport",
        "phase_in",
        "survey",
        "response_weight",
        "assignment",
        "estimand",
    }
)


class Rows(Frozen):
    """Rows that a specification uses.

    Attributes:
        name: of the alternative.
        keep: column -> values of the rows that stay.
        drop: column -> values of the rows that leave.
        between: column -> lowest and highest number of the rows that stay.
    """

    name: Slug
    keep: dict[str, Scalars] = Field(default_factory=dict)
    drop: dict[str, Scalars] = Field(default_factory=dict)
    between: dict[str, tuple[Number, Number]] = Field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the filter reads."""
        return tuple(dict.fromkeys((*self.keep, *self.drop, *self.between)))


class Specifications(Frozen):
    """Axes of a specification curve.

    Attributes:
        samples: alternatives of the rows.
        transform: of the outcome: none, or values beyond the 99 % or 95 % quantiles of either tail set to these.
        draws: of the joint inference.
        (other keys): fields of the design, each with a list of alternatives.
    """

    model_config = ConfigDict(extra="allow")

    samples: tuple[Rows, ...] | None = None
    transform: tuple[Transform, ...] | None = None
    draws: Annotated[Integer, Field(ge=99)] = 999

    @property
    def axes(self) -> dict[str, Any]:
        """Name -> alternatives, in the order of the file; row filters and transforms last."""
        own = {"samples": self.samples, "transform": self.transform}
        return {**(self.model_extra or {}), **{name: values for name, values in own.items() if values is not None}}

    @model_validator(mode="after")
    def _alternatives_differ(self) -> Specifications:
        for axis, values in self.axes.items():
            if not isinstance(values, Sequence) or isinstance(values, str) or not values:
                raise refusal(
                    "E-SET-290",
                    f"axis {axis} lists no alternatives",
                    found=repr(values),
                    expected="[one, another]",
                )
            names = [label(axis, value) for value in values]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise refusal(
                    "E-SET-291", f"alternatives of axis {axis} stand twice", found=listed(twice), expected="each once"
                )
        return self

    @model_validator(mode="after")
    def _several_but_not_countless(self) -> Specifications:
        count = 1
        for values in self.axes.values():
            count *= len(values)
        if not 2 <= count <= MOST:
            raise refusal(
                "E-SET-292",
                "a curve needs several specifications, and no more than anybody could defend",
                found=f"{count} combinations",
                expected=f"2 to {MOST}",
            )
        return self

    @field_validator("samples")
    @classmethod
    def _filters_do_something(cls, samples: tuple[Rows, ...] | None) -> tuple[Rows, ...] | None:
        everybody = [rows.name for rows in samples or () if not rows.columns]
        if len(everybody) > 1:
            raise refusal(
                "E-SET-293", "two alternatives keep all rows", found=listed(everybody), expected="one without a filter"
            )
        return samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """One combination.

    Attributes:
        choices: axis -> label of the alternative.
        design: the design with these alternatives, without the list of variants.
        rows: which rows; all if None.
        transform: of the outcome.
    """

    choices: Mapping[str, str]
    design: Any
    rows: Rows | None = None
    transform: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A combination that the design refuses, and why in its own words."""

    choices: Mapping[str, str]
    reason: str


def fitting(
    variants: Specifications | None, fields: Sequence[str], earlier: Mapping[str, Any]
) -> Specifications | None:
    """Refuse axes that a design does not have, and columns that it does not name.

    Args:
        variants: the axes.
        fields: of the design's model.
        earlier: fields that were read already.
    """
    if variants is None or not earlier.get("method", "?"):
        return variants  # without a method it is not known which keys there are
    allowed = [name for name in fields if name not in FIXED]
    for axis in variants.model_extra or {}:
        if axis not in allowed:
            raise refusal(
                "E-SET-294",
                f"'{axis}' is no axis of specifications for this method",
                found=repr(axis),
                expected=f"one of {listed([*allowed, 'samples', 'transform'])}",
                nearest=nearest(axis, [*allowed, "samples", "transform"]) or "",
            )
    _require_named("covariates", variants, earlier)
    return variants


def _require_named(axis: str, variants: Specifications, earlier: Mapping[str, Any]) -> None:
    named = earlier.get(axis, ())
    sets = [one if isinstance(one, list | tuple) else (one,) for one in (variants.model_extra or {}).get(axis, ())]
    others = sorted({str(column) for one in sets for column in one if column is not None and column not in named})
    if others:
        raise refusal(
            "E-SET-295",
            f"specifications use columns that are not among the design's {axis}",
            found=listed(others),
            expected=f"some of {listed(named)}; name all of them under {axis}",
        )


def expand(design: Any) -> tuple[tuple[Specification, ...], tuple[Refused, ...]]:
    """All combinations that the design accepts, and those that it refuses, in the order of the axes.

    Args:
        design: with `specifications`.
    """
    axes = design.specifications.axes
    base = design.model_dump(mode="python", exclude_unset=True, exclude={"specifications"})
    accepted: list[Specification] = []
    refused: list[Refused] = []
    for values in product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        choices = {axis: label(axis, value) for axis, value in chosen.items()}
        rows, transform = chosen.pop("samples", None), chosen.pop("transform", "none")
        if isinstance(made := _made(type(design), base, chosen), str):
            refused.append(Refused(choices=choices, reason=made))
        else:
            kept = rows if rows is not None and rows.columns else None
            accepted.append(Specification(choices=choices, design=made, rows=kept, transform=transform))
    return tuple(accepted), tuple(refused)


def _made(model: Any, base: Mapping[str, Any], chosen: Mapping[str, Any]) -> Any:
    """The design, or why there is none. Categories of covariates that a specification leaves out leave with them."""
    fields = {**base, **chosen}
    if "covariates" in chosen and "categorical" in fields:
        named = chosen["covariates"] if isinstance(chosen["covariates"], list | tuple) else [chosen["covariates"]]
        fields["categorical"] = [column for column in fields["categorical"] if column in named]
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        return "; ".join(dict.fromkeys(one["msg"] for one in error.errors()))


def label(axis: str, value: Any) -> str:
    """An alternative as a reader sees it."""
    if isinstance(value, Rows):
        return value.name
    if axis in COLUMN_SETS or isinstance(value, list | tuple):
        values = value if isinstance(value, list | tuple) else [value]
        return " + ".join(map(str, values)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
