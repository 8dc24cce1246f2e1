"""How findings become one number: bias by grade, prior, what is worth having, error rates."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from evaluation.settings.fields import Frozen, Integer, Number, refusal

GRADES_WITH_BIAS = (1, 2, 3, 4, 5)
Share = Annotated[Number, Field(gt=0, lt=1)]


def _every_grade(value: dict[int, float]) -> dict[int, float]:
    if sorted(value) != list(GRADES_WITH_BIAS):
        raise refusal(
            "E-SET-190",
            "every grade from 1 to 5 needs the standard deviation of its bias",
            found=", ".join(map(str, sorted(value))) or "nothing",
            expected="1, 2, 3, 4 and 5 (a finding of grade 0 says nothing: there is only the prior)",
        )
    return value


def _less_bias_for_better_grades(value: dict[int, float]) -> dict[int, float]:
    falling = [value[grade] for grade in GRADES_WITH_BIAS]
    if falling != sorted(falling, reverse=True):
        raise refusal(
            "E-SET-191",
            "a better grade cannot mean more bias",
            found=", ".join(f"{grade}: {value[grade]}" for grade in GRADES_WITH_BIAS),
            expected="standard deviations that do not rise from grade 1 to grade 5",
        )
    return value


class Prior(Frozen):
    """What is believed about a programme before its findings are read, in standard deviations of the outcome.

    Attributes:
        use: house (mean and sd as they stand here) or portfolio (estimated from its programmes, where they are enough).
            Findings that somebody chose, and did not search for by a protocol, make their own prior too high.
        mean, sd: of the true effects of programmes, in the direction that people want.
        empirical_from: number of programmes from which `portfolio` is possible.
        fat_tail_df: degrees of freedom of the t prior of the sensitivity analysis, which has the same mean and scale.
    """

    use: Literal["house", "portfolio"]
    mean: Number
    sd: Annotated[Number, Field(gt=0)]
    empirical_from: Annotated[Integer, Field(ge=5)]
    fat_tail_df: Annotated[Integer, Field(ge=3)]


class Synthesis(Frozen):
    """The `synthesis:` section of params.yaml.

    Attributes:
        version: change it by adding a version.
        level: of intervals.
        method: estimator of the variance between studies.
        minimum_for_bias_tests: number of effects below which no diagnostic of publication bias is computed.
        bias_sd: grade -> standard deviation of the bias of such a finding, in standard deviations of the outcome.
        bias_correlation: between the biases of two findings about one innovation.
        outcome_correlation: between estimates for several outcomes or horizons of the same people, where the covariance
            is not known.
        prior: see `Prior`.
        smallest_effect_sd: smallest effect worth having, where a finding does not name its own.
        false_discovery_rate: share of false discoveries that is accepted among those called discoveries.
    """

    version: Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
    level: Share
    method: Literal["REML", "DL", "PM"]
    minimum_for_bias_tests: Annotated[Integer, Field(ge=10)]
    bias_sd: Annotated[
        dict[Integer, Annotated[Number, Field(ge=0)]],
        AfterValidator(_every_grade),
        AfterValidator(_less_bias_for_better_grades),
    ]
    bias_correlation: Annotated[Number, Field(ge=0, lt=1)]
    outcome_correlation: Annotated[Number, Field(ge=0, lt=1)]
    prior: Prior
    smallest_effect_sd: Annotated[Number, Field(ge=0)]
    false_discovery_rate: Share
