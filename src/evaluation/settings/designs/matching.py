"""Matching: treated units against untreated ones that resemble them."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import (
    Design,
    TreatmentField,
    among,
    caliper_goes_with,
    measured_before,
    outcome_columns,
    used_once,
)
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Columns, Flag, Frozen, Integer, Number, listed, refusal

Sets = Literal["nearest", "optimal_pairs", "full", "subclasses", "coarsened_exact", "cardinality"]
Distance = Literal[
    "propensity_logit",
    "propensity_probit",
    "linear_logit",
    "score",
    "mahalanobis",
    "robust_mahalanobis",
    "scaled_euclidean",
]
MULTIVARIATE = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean")  # distances without a score
ESTIMATED_PROBABILITIES = ("propensity_logit", "propensity_probit")

_PAIRING = {"distance", "score", "caliper", "caliper_unit", "covariate_calipers", "exact", "anti_exact", "discard"}
# What each way to form sets uses. Another option is refused rather than passed over.
USED: Mapping[str, set[str]] = {
    "nearest": _PAIRING
    | {"ratio", "ratio_range", "replace", "order", "order_seed", "conditional_variance", "score_error"},
    "optimal_pairs": _PAIRING | {"ratio"},
    "full": _PAIRING,
    "subclasses": {"distance", "score", "discard", "subclasses"},
    "coarsened_exact": {"exact", "cutpoints"},
    "cardinality": {"distance", "score", "balance_tolerance"},
}
WITH_ATE = ("nearest", "full", "subclasses", "coarsened_exact")


class CovariateCaliper(Frozen):
    """How far partners may differ in one covariate.

    Attributes:
        column: a covariate that is a number.
        width: largest difference allowed.
        unit: the covariate's own (raw), or standard deviations of it in the whole sample (sd; ddof 1).
    """

    column: Column
    width: Annotated[Number, Field(ge=0)]
    unit: Literal["raw", "sd"] = "raw"


class Cutpoints(Frozen):
    """Where coarsened exact matching cuts a covariate.

    Attributes:
        column: a covariate that is a number.
        at: values between two bins, ascending; a value at a cut belongs to the bin above it.
        bins: number of bins of one width, where `at` is empty; 0 for Sturges' rule.
    """

    column: Column
    at: tuple[Number, ...] = ()
    bins: Annotated[Integer, Field(ge=0)] = 0

    @field_validator("at")
    @classmethod
    def _ascending(cls, at: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(at)):
            raise refusal("E-SET-127", "cutpoints do not rise", found=listed(at), expected="each above the one before")
        return at


class MatchingDesign(Design):
    """Treated units against untreated ones that resemble them.

    Attributes:
        treatment: who was exposed.
        sets: nearest (one after the other), optimal_pairs (smallest total distance), full (everybody, in sets of one
            with several), subclasses (of the score), coarsened_exact (cells of coarse covariates), cardinality (as many
            as possible with the means balanced, then paired).
        distance: difference of propensity scores (logit or probit), of their logits (linear_logit) or of a column
            (score); Mahalanobis, Mahalanobis of ranks (robust_mahalanobis), or Euclidean of covariates in their
            standard deviations within arms (scaled_euclidean).
        score: column with the score, for distance score.
        ratio: comparison units for each treated unit; with `ratio_range` their mean.
        ratio_range: fewest and most comparison units of a treated unit; those with low scores get more.
        replace: whether a comparison unit may serve twice.
        caliper: largest distance allowed.
        caliper_unit: of `caliper`: standard deviations of the score in the whole sample (sd; ddof 1), or the score's
            own unit (raw).
        covariate_calipers: largest differences allowed in single covariates.
        exact: columns on which partners must agree.
        anti_exact: columns on which partners must differ.
        order: who chooses first, without replacement: largest or smallest score, the closest pair that is left, the
            order of unit ids (data), or a random one (random).
        order_seed: of the random order.
        discard: units whose score lies outside the range of the other arm are left out: none, treated, comparison or
            both.
        subclasses: number of subclasses.
        cutpoints: of coarsened_exact; Sturges' rule for numbers that are not named.
        balance_tolerance: largest difference of means that cardinality matching leaves, in standard deviations of the
            covariates (those of the treated).
        estimand: effect on the treated (att), on the comparison units (atc) or on everybody (ate).
        adjustment: what is done to the outcome after matching: nothing, regression on treatment and covariates, the
            same with treatment times covariates (g_computation), or partners' outcomes corrected by a regression for
            the distance that is left (bias_correction).
        conditional_variance: of the outcome given covariates, in Abadie-Imbens errors.
        score_error: ignored (the score is taken as known), or corrected (Abadie and Imbens 2016).
        subgroups: columns to estimate by, as well as for everybody.
        baseline_outcome: column of the outcome before the treatment, for placebo checks.
    """

    method: Literal["matching"] = "matching"
    treatment: TreatmentField
    sets: Sets = "nearest"
    distance: Distance = "propensity_logit"
    score: Annotated[Column | None, Field(validate_default=True)] = None
    ratio: Annotated[Integer, Field(ge=1)] = 1
    replace: Flag = False
    ratio_range: tuple[Annotated[Integer, Field(ge=1)], Annotated[Integer, Field(ge=1)]] | None = None
    caliper: Annotated[Number, Field(gt=0)] | None = None
    caliper_unit: Literal["sd", "raw"] = "sd"
    covariate_calipers: tuple[CovariateCaliper, ...] = ()
    exact: Annotated[Columns, Field(validate_default=True)] = ()
    anti_exact: Columns = ()
    order: Literal["largest", "smallest", "closest", "data", "random"] = "largest"
    order_seed: Annotated[Integer | None, Field(validate_default=True)] = None
    discard: Literal["none", "treated", "comparison", "both"] = "none"
    subclasses: Annotated[Integer, Field(ge=2)] = 6
    cutpoints: tuple[Cutpoints, ...] = ()
    balance_tolerance: Annotated[Number, Field(ge=0)] = 0.05
    estimand: Annotated[Literal["att", "atc", "ate"], Field(validate_default=True)] = "att"
    adjustment: Literal["none", "regression", "g_computation", "bias_correction"] = "none"
    conditional_variance: Literal["heteroskedastic", "homoskedastic"] = "heteroskedastic"
    score_error: Literal["ignored", "corrected"] = "ignored"
    subgroups: Columns = ()
    baseline_outcome: Column | None = None

    @property
    def has_score(self) -> bool:
        """Whether the distance is a difference of scores."""
        return self.distance not in MULTIVARIATE

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

    @field_validator(*sorted(set().union(*USED.values()) - {"exact", "score"}))
    @classmethod
    def _sets_use_it(cls, value: Any, info: ValidationInfo) -> Any:
        _require_used(cls, value, info)
        return value

    @field_validator("score")
    @classmethod
    def _score_of_its_distance(cls, score: str | None, info: ValidationInfo) -> str | None:
        if (score is None) == (info.data.get("distance") == "score"):
            raise refusal(
                "E-SET-121",
                "a column with the score and the distance that reads it belong together",
                found=f"distance: {info.data.get('distance')}, score: {score}",
                expected="distance: score with score: column, or neither",
            )
        return score

    @field_validator("ratio_range")
    @classmethod
    def _range_holds_the_ratio(cls, limits: tuple[int, int] | None, info: ValidationInfo) -> tuple[int, int] | None:
        if limits is None:
            return limits
        fits = limits[0] <= info.data.get("ratio", limits[0]) <= limits[1] and limits[0] < limits[1]
        if not fits or info.data.get("replace") or info.data.get("distance") in MULTIVARIATE:
            raise refusal(
                "E-SET-123",
                "a range of partners needs a mean within it, a score, and partners that serve once",
                found=f"ratio_range: {limits}, " + ", ".join(f"{k}: {info.data.get(k)}" for k in _RANGE_NEEDS),
                expected="fewest < most, ratio between them, replace: false, a distance with a score",
            )
        return limits

    @field_validator("caliper")
    @classmethod
    def _caliper_of_a_score(cls, caliper: float | None, info: ValidationInfo) -> float | None:
        return caliper_goes_with(caliper, info.data.get("distance"))

    @field_validator("covariate_calipers", "cutpoints")
    @classmethod
    def _of_covariates(cls, value: Any, info: ValidationInfo) -> Any:
        covariates = info.data.get("covariates")
        columns = [item.column for item in value]
        others = [c for c in columns if covariates is not None and (c not in covariates or c in _categories(info))]
        others += sorted({column for column in columns if columns.count(column) > 1})
        if others:
            raise refusal(
                "E-SET-125",
                f"a column under {info.field_name} is no covariate, is a category, or stands twice",
                found=listed(others),
                expected=f"some of {listed(covariates or ())}, each once",
            )
        return value

    @field_validator("exact")
    @classmethod
    def _resembles_in_something(cls, exact: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _require_used(cls, exact, info)
        if not exact and not info.data.get("covariates", "?") and info.data.get("distance") != "score":
            raise refusal(
                "E-SET-094",
                "matching needs something to match on",
                key="covariates",
                found="no covariates",
                expected="covariates: [columns], or exact: [columns]",
            )
        return exact

    @field_validator("order_seed")
    @classmethod
    def _seed_of_a_random_order(cls, seed: int | None, info: ValidationInfo) -> int | None:
        if (seed is None) == (info.data.get("order") == "random"):
            raise refusal(
                "E-SET-124",
                "a random order needs a seed, and no other order has one",
                found=f"order: {info.data.get('order')}, order_seed: {seed}",
                expected="order: random with order_seed: number, or neither",
            )
        return seed

    @field_validator("order", "discard", "subclasses")
    @classmethod
    def _by_a_score(cls, value: Any, info: ValidationInfo) -> Any:
        """Options that read a score; the default order is that of unit ids where there is none."""
        name, chosen = str(info.field_name), value != cls.model_fields[str(info.field_name)].default
        asks = {"order": value == "smallest", "discard": chosen, "subclasses": chosen}[name]
        if asks and info.data.get("distance") in MULTIVARIATE:
            raise refusal(
                "E-SET-128",
                f"{name} needs a score, and this distance has none",
                found=f"{name}: {value}, distance: {info.data.get('distance')}",
                expected=f"no {name}, or a propensity distance",
            )
        return value

    @field_validator("estimand")
    @classmethod
    def _estimand_of_its_sets(cls, estimand: str, info: ValidationInfo) -> str:
        sets, replace = info.data.get("sets", "nearest"), info.data.get("replace", True)
        impossible = estimand == "ate" and (sets not in WITH_ATE or (sets == "nearest" and not replace))
        if impossible or (estimand == "atc" and sets == "cardinality"):
            raise refusal(
                "E-SET-122",
                "these matched sets do not stand for everybody whose effect is asked for",
                found=f"estimand: {estimand}, sets: {sets}, replace: {replace}",
                expected="estimand: att, or for ate sets: nearest with replace: true, full, subclasses or "
                "coarsened_exact",
            )
        return estimand

    @field_validator("adjustment", "score_error")
    @classmethod
    def _outcome_step_fits(cls, value: str, info: ValidationInfo) -> str:
        against = _against_outcome_step(str(info.field_name), value, info.data)
        if against:
            raise refusal(
                "E-SET-126",
                "this step after matching does not go with the matched sets",
                found=f"{info.field_name}: {value} with {against}",
                expected=_OUTCOME_STEPS[value],
            )
        return value

    @field_validator("subgroups", "anti_exact")
    @classmethod
    def _columns_alone(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        treatment = info.data.get("treatment")
        taken = (*outcome_columns(info), *(() if treatment is None else (treatment.column,)))
        taken += info.data.get("exact", ()) if info.field_name == "anti_exact" else ()
        both = among(value, taken)
        if both:
            raise refusal(
                "E-SET-129",
                f"a column under {info.field_name} is used otherwise as well",
                found=listed(both),
                expected="columns that are neither outcome nor treatment"
                + (" nor exact" if info.field_name == "anti_exact" else ""),
            )
        return value

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)


_RANGE_NEEDS = ("ratio", "replace", "distance")
_OUTCOME_STEPS = {
    "bias_correction": "sets: nearest or optimal_pairs, and covariates",
    "regression": "covariates",
    "g_computation": "covariates",
    "corrected": "replace: true, no exact, no weight, and a propensity score by logit or probit",
}


def _require_used(model: type[Design], value: Any, info: ValidationInfo) -> None:
    name, sets = str(info.field_name), info.data.get("sets", "nearest")
    if name not in USED[sets] and value != model.model_fields[name].default:
        raise refusal(
            "E-SET-120",
            f"sets: {sets} do not use this",
            found=f"{name}: {value}",
            expected=f"no {name}, or sets: one of {listed(kind for kind, used in USED.items() if name in used)}",
        )


def _categories(info: ValidationInfo) -> tuple[str, ...]:
    return tuple(info.data.get("categorical", ()))


def _against_outcome_step(name: str, value: str, data: Mapping[str, Any]) -> str:
    """What stands against it; empty if nothing does."""
    if value in ("none", "ignored"):
        return ""
    if name == "adjustment":
        if not data.get("covariates", "?"):
            return "no covariates"
        known = value != "bias_correction" or data.get("sets", "nearest") in ("nearest", "optimal_pairs")
        return "" if known else f"sets: {data['sets']}"
    asked = {"replace": (True,), "distance": ESTIMATED_PROBABILITIES, "exact": ((),), "weight": (None,)}
    against = [f"{key}: {data[key]}" for key, fits in asked.items() if key in data and data[key] not in fits]
    return ", ".join(against)
