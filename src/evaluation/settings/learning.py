"""What an evaluator decides about studies, proposals and the what-if page: parts of `selection:` in params.yaml.

All numbers are house assumptions, stated where they are used, and none is a fact about the world.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from evaluation.settings.fields import Frozen, Integer, Number, Slug, Text, refusal

Share = Annotated[Number, Field(ge=0, le=1)]
Sizes = Annotated[tuple[Annotated[Integer, Field(ge=20)], ...], Field(min_length=1)]


class Learning(Frozen):
    """The study that could be made in one territory before a decision, and what it costs.

    Attributes:
        fixed_cost, cost_per_person: euros, of a study with n people drawn by lot, half of them served.
        sizes: numbers of people that are tried; detectable: a study that cannot find an effect of so many standard
            deviations (power 80 %) is not offered.
        explained: share of the outcome's variance that measures taken before explain.
        months: until its result is read; horizon_years: for which the programme would run.
        served: share of those concerned who would be served over the horizon.
    """

    fixed_cost: Annotated[Number, Field(ge=0)] = 60_000.0
    cost_per_person: Annotated[Number, Field(ge=0)] = 150.0
    sizes: Sizes = (200, 400, 800, 1600, 3200)
    detectable: Annotated[Number, Field(gt=0)] = 0.20
    explained: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    months: Annotated[Number, Field(gt=0)] = 24.0
    horizon_years: Annotated[Number, Field(gt=0, le=60)] = 10.0
    served: Annotated[Number, Field(gt=0, le=1)] = 0.10

    @property
    def delay(self) -> float:
        """Share of the horizon that is over when the study is read."""
        return min(self.months / 12 / self.horizon_years, 1.0)


class IntakePolicy(Frozen):
    """How a proposal becomes a belief before anything was measured.

    Attributes:
        resemblance: correlation of the effects of a new programme and of the one it says it resembles.
    """

    resemblance: Share = 0.5


class Caution(Frozen):
    """What it takes to fund a programme at once instead of studying it first.

    Attributes:
        grade: of the evidence, at least; 0 also takes what rests on the prior alone.
        p_useful, p_harm: probability of a useful effect at least, of an unfavourable one at most.
    """

    id: Slug
    label_fr: Text
    label_en: Text
    grade: Annotated[Integer, Field(ge=0, le=5)]
    p_useful: Share
    p_harm: Share


class Weights(Frozen):
    """What counts how much.

    Attributes:
        priority: weight of a prioritised difficulty; the others have 1.
        rural: least share of the spending that goes to rural territories.
        people: same number for every innovation, or those counted or estimated in the territory (an innovation whose
            people nobody counted is then left out).
    """

    id: Slug
    label_fr: Text
    label_en: Text
    priority: Annotated[Number, Field(gt=0)] = 1.0
    rural: Share = 0.0
    people: Literal["same", "counted"] = "same"


def _rising(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(set(values)):
        raise refusal(
            "E-SET-326",
            "budgets rise from the first to the last",
            found=", ".join(f"{value:g}" for value in values),
            expected="each budget once, the smallest first",
        )
    return values


Budgets = Annotated[
    tuple[Annotated[Number, Field(ge=0)], ...], Field(min_length=1, max_length=12), AfterValidator(_rising)
]


class WhatIf(Frozen):
    """The grid of the what-if page, and the cell that it shows first.

    Attributes:
        budgets: euros for all test territories together.
        funded: people that one programme is funded for; served: people who would be served later, after a study, where
            the weights take the same number for every innovation.
        default: which budget, caution and weights are shown first, from 0.
    """

    budgets: Budgets = (0.0, 200_000.0, 400_000.0, 800_000.0, 1_600_000.0)
    funded: Annotated[Integer, Field(ge=1)] = 200
    served: Annotated[Integer, Field(ge=1)] = 1000
    cautions: Annotated[tuple[Caution, ...], Field(min_length=1, max_length=6)] = (
        Caution(id="bold", label_fr="Faible", label_en="Low", grade=0, p_useful=0.5, p_harm=1.0),
    )
    weights: Annotated[tuple[Weights, ...], Field(min_length=1, max_length=6)] = (
        Weights(id="equal", label_fr="Toutes égales", label_en="All equal"),
    )
    default: tuple[Integer, Integer, Integer] = (0, 0, 0)

    @model_validator(mode="after")
    def _can_be_shown(self) -> "WhatIf":
        for key in ("cautions", "weights"):
            names = [row.id for row in getattr(self, key)]
            if len(set(names)) < len(names):
                raise refusal(
                    "E-SET-327", "an id stands twice", found=", ".join(names), expected="each id once", key=key
                )
        sizes = (len(self.budgets), len(self.cautions), len(self.weights))
        if not all(0 <= place < size for place, size in zip(self.default, sizes, strict=True)):
            raise refusal(
                "E-SET-328",
                "the cell that is shown first is not in the grid",
                found=str(list(self.default)),
                expected=f"three places from 0, below {sizes}",
                key="default",
            )
        return self


Tranche = Literal["test", "transition", "scale"]
TRANCHES: tuple[Tranche, ...] = ("test", "transition", "scale")
