"""Weighting: treated units against untreated ones weighted to resemble them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from evaluation.settings.designs.base import Design, TreatmentField, among, measured_before, outcome_columns, used_once
from evaluation.settings.designs.variables import Treatment
from evaluation.settings.fields import Column, Columns, Flag, Frozen, Integer, Number, Text, frozen, listed, refusal

# Nuisances that have few parameters: their estimation is part of the influence, so that one sample serves for all.
PARAMETRIC = ("linear", "logit")
# Weights that follow from a score; the others are made from means alone.
FROM_SCORE = ("inverse_probability", "covariate_balancing")


class DoublyRobust(Frozen):
    """A model of the outcome beside the score: the effect is right if one of the two is.

    Attributes:
        outcome: model of the outcome in each arm.
        score: model of the treatment.
        folds: parts of the sample; each is predicted by models of the others (cross-fitting). None = one sample for
            all, which linear and logit allow.
        repetitions: of the split, an odd number; the estimate is the median.
        bound: with folds, scores nearer than this to 0 or 1 are set to it.
        seed: of the split and of learners that draw.
    """

    outcome: Literal["linear", "logit", "lasso", "ridge", "random_forest", "gradient_boosting"] = "linear"
    score: Literal["logit", "lasso", "ridge", "random_forest", "gradient_boosting"] = "logit"
    folds: Annotated[Annotated[Integer, Field(ge=2)] | None, Field(validate_default=True)] = None
    repetitions: Annotated[Integer, Field(ge=1)] = 1
    bound: Annotated[Number, Field(gt=0, lt=0.5)] = 0.01
    seed: Annotated[Integer, Field(ge=0)] = 1

    @field_validator("folds")
    @classmethod
    def _folds_for_learners(cls, folds: int | None, info: ValidationInfo) -> int | None:
        return _folds(folds, info)

    @field_validator("repetitions")
    @classmethod
    def _a_median_needs_a_middle(cls, repetitions: int, info: ValidationInfo) -> int:
        if repetitions % 2 == 0 or (repetitions > 1 and info.data.get("folds", "?") is None):
            raise refusal(
                "E-SET-136",
                "repetitions are of a split into folds, and their median needs an odd number",
                found=f"repetitions {repetitions}, folds {info.data.get('folds')}",
                expected="an odd number, with folds",
            )
        return repetitions


def _folds(folds: int | None, info: ValidationInfo) -> int | None:
    learners = [model for key in ("outcome", "score") if (model := info.data.get(key, "linear")) not in PARAMETRIC]
    if folds is None and learners:
        raise refusal(
            "E-SET-135",
            "a learner that is judged on the units it learned from is wrong in ways nobody can estimate",
            found=f"{listed(learners)} without folds",
            expected="folds: 5",
        )
    return folds


class Experiment(Frozen):
    """What an experiment on the same innovation and the same treated units found: what the comparison should say.

    Attributes:
        estimate: in the unit of the primary outcome.
        std_error: of it.
        source: where it can be read.
    """

    estimate: Number
    std_error: Annotated[Number, Field(gt=0)]
    source: Annotated[Text, Field(min_length=1)]


def _frozen_means(means: Mapping[str, float]) -> Mapping[str, float]:
    return frozen(dict(means))  # type: ignore[no-any-return]


Means = Annotated[Mapping[Column, Number], Field(min_length=1), AfterValidator(_frozen_means)]


class WeightingDesign(Design):
    """Treated units against untreated ones weighted to resemble them.

    Attributes:
        treatment: who was exposed.
        weights: inverse_probability (of the treatment received), covariate_balancing (a score that makes means equal)
            or entropy_balancing (means made equal, no score).
        estimand: effect on the treated (att), on the others (atc), on everybody (ate) or on those who could well have
            been in either group (ato, overlap weights).
        trim: units whose propensity lies within `trim` of 0 or 1 are dropped; above 0, below 0.5.
        optimal_trim: drop the units that cost more precision than they give (Crump and others 2009).
        truncate: weights above this quantile of their arm are lowered to it; above 0.5, below 1.
        tolerance: largest difference of means that entropy balancing leaves, in standard deviations of the target.
        target: means of covariates in the population that the effect is for, such as {age: 41.5, "sex = female": 0.52}.
        doubly_robust: a model of the outcome as well.
        subgroups: columns to estimate by, as well as for everybody; each group is weighted by itself.
        baseline_outcome: column of the outcome before the treatment, for placebo checks.
        experiment: what an experiment found, where there is one.
    """

    method: Literal["weighting"] = "weighting"
    treatment: TreatmentField
    weights: Annotated[
        Literal["inverse_probability", "covariate_balancing", "entropy_balancing"], Field(validate_default=True)
    ] = "inverse_probability"
    estimand: Literal["att", "atc", "ate", "ato"] = "att"
    trim: Annotated[Number, Field(gt=0, lt=0.5)] | None = None
    optimal_trim: Flag = False
    truncate: Annotated[Number, Field(gt=0.5, lt=1)] | None = None
    tolerance: Annotated[Number, Field(gt=0)] | None = None
    target: Means | None = None
    doubly_robust: DoublyRobust | None = None
    subgroups: Columns = ()
    baseline_outcome: Column | None = None
    experiment: Experiment | None = None

    @field_validator("treatment")
    @classmethod
    def _treatment_alone(cls, treatment: Treatment, info: ValidationInfo) -> Treatment:
        return used_once(treatment, info)

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

    @field_validator("estimand")
    @classmethod
    def _overlap_weights_are_a_score(cls, estimand: str, info: ValidationInfo) -> str:
        if estimand == "ato" and info.data.get("weights", "inverse_probability") != "inverse_probability":
            raise refusal(
                "E-SET-132",
                "overlap weights are made of a logit score, which balances all means already",
                found=f"estimand ato with weights: {info.data['weights']}",
                expected="weights: inverse_probability",
            )
        return estimand

    @field_validator("trim", "optimal_trim", "truncate")
    @classmethod
    def _cut_what_follows_from_a_score(cls, value: Any, info: ValidationInfo) -> Any:
        weights, estimand = info.data.get("weights", "inverse_probability"), info.data.get("estimand")
        if value and (weights not in FROM_SCORE or estimand == "ato"):
            raise refusal(
                "E-SET-131",
                f"{info.field_name} cuts off scores or weights that have no end",
                found="overlap weights, which lie between 0 and 1" if estimand == "ato" else f"weights: {weights}",
                expected=f"no {info.field_name}",
            )
        return value

    @field_validator("optimal_trim")
    @classmethod
    def _one_way_to_trim(cls, optimal: bool, info: ValidationInfo) -> bool:
        if optimal and info.data.get("trim") is not None:
            raise refusal(
                "E-SET-130",
                "there are two rules for who is dropped",
                found=f"trim {info.data['trim']} and optimal_trim",
                expected="one of them",
            )
        return optimal

    @field_validator("tolerance")
    @classmethod
    def _tolerance_of_balance(cls, tolerance: float | None, info: ValidationInfo) -> float | None:
        if tolerance is not None and info.data.get("weights", "entropy_balancing") != "entropy_balancing":
            raise refusal(
                "E-SET-133",
                "a tolerance is of the means that entropy balancing makes equal",
                found=f"weights: {info.data['weights']}",
                expected="weights: entropy_balancing",
            )
        return tolerance

    @field_validator("target")
    @classmethod
    def _target_of_everybody(cls, target: Means | None, info: ValidationInfo) -> Means | None:
        if target is None:
            return target
        weights, estimand = info.data.get("weights", "entropy_balancing"), info.data.get("estimand", "ate")
        if weights != "entropy_balancing" or estimand != "ate" or info.data.get("tolerance") is not None:
            raise refusal(
                "E-SET-137",
                "both arms are balanced to the means of the target population, exactly",
                found=f"weights: {weights}, estimand {estimand}, tolerance {info.data.get('tolerance')}",
                expected="weights: entropy_balancing, estimand: ate, no tolerance",
            )
        return target

    @field_validator("doubly_robust")
    @classmethod
    def _doubly_robust_with_a_score(cls, models: DoublyRobust | None, info: ValidationInfo) -> DoublyRobust | None:
        if models is None:
            return models
        kept = info.data.get("weights", "inverse_probability") == "inverse_probability"
        cuts = [key for key in ("trim", "optimal_trim", "truncate") if info.data.get(key)]
        if not kept or cuts or info.data.get("estimand") == "ato":
            raise refusal(
                "E-SET-134",
                "a doubly robust effect is on all treated, all others or everybody, with the score as it is",
                found=f"weights: {info.data.get('weights')}, estimand {info.data.get('estimand')}"
                + "".join(f", {key}" for key in cuts),
                expected="weights: inverse_probability, estimand: att, atc or ate, nothing trimmed or truncated",
            )
        return models

    @field_validator("doubly_robust")
    @classmethod
    def _influence_only(cls, models: DoublyRobust | None, info: ValidationInfo) -> DoublyRobust | None:
        kind = getattr(info.data.get("inference"), "std_error", None)
        if models is not None and kind not in (None, "influence"):
            raise refusal(
                "E-SET-138",
                "a doubly robust effect is no coefficient of a regression",
                found=f"std_error: {kind}",
                expected="std_error: influence, or none",
            )
        return models

    @field_validator("subgroups")
    @classmethod
    def _groups_before_the_treatment(cls, subgroups: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        treatment = info.data.get("treatment")
        after = among(subgroups, (*outcome_columns(info), *(() if treatment is None else (treatment.column,))))
        if after:
            raise refusal(
                "E-SET-139",
                "a group is made of the treatment or of its outcome",
                found=listed(after),
                expected="columns measured before the treatment",
            )
        return subgroups

    @field_validator("baseline_outcome")
    @classmethod
    def _baseline_comes_before(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        return measured_before(baseline, info)
