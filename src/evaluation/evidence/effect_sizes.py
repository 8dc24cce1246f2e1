"""From what a study prints to an effect with a variance: counts, means, t, p, intervals, odds ratios, natural units.

Each conversion is one formula with its first-order variance. A base rate and a standard deviation of the outcome are
taken as known; what that leaves out is small beside what a base rate from another place leaves out.

Source: Borenstein, Hedges, Higgins and Rothstein (2009), *Introduction to Meta-Analysis*, chapters 4, 5 and 7; Higgins
    et al. (2023), *Cochrane Handbook* 6.4, sections 6.3 and 6.5.2; Hedges (1981) for the correction of small samples.
"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from evaluation.errors import DataError

Scale = Literal["difference", "sd", "log_odds_ratio", "log_risk_ratio"]

LOGISTIC_SD = math.pi / math.sqrt(3)  # of the logistic distribution: log odds in one standard deviation
COX = 1.65  # What Works Clearinghouse, Standards Handbook 4.1: log odds in one SD by Cox's index
HALF = 0.5  # added to every cell of a table with an empty one (Haldane 1956; Cochrane Handbook 10.4.4.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSize:
    """An effect with its variance.

    Attributes:
        value: on `scale`.
        variance: of the value.
        scale: difference (natural units), sd, log_odds_ratio or log_risk_ratio.
        formula: how it was made, in one line.
    """

    value: float
    variance: float
    scale: Scale
    formula: str

    @property
    def std_error(self) -> float:
        """Square root of the variance."""
        return math.sqrt(self.variance)


# from counts ---------------------------------------------------------------------------------------------------------


def risk_difference(treated: tuple[float, float], comparison: tuple[float, float]) -> EffectSize:
    """p₁ − p₀, variance p₁(1 − p₁)/n₁ + p₀(1 − p₀)/n₀.

    Args:
        treated: events and people.
        comparison: the same.

    Raises:
        DataError: more events than people, or nobody.
    """
    (p1, n1), (p0, n0) = _share(treated), _share(comparison)
    return EffectSize(
        value=p1 - p0,
        variance=p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0,
        scale="difference",
        formula="p1 - p0; p1 (1 - p1) / n1 + p0 (1 - p0) / n0",
    )


def log_odds_ratio(treated: tuple[float, float], comparison: tuple[float, float]) -> EffectSize:
    """ln(ad / bc), variance 1/a + 1/b + 1/c + 1/d; ½ is added to each cell if one is empty.

    Args:
        treated: events and people.
        comparison: the same.
    """
    a, b, c, d = _cells(treated, comparison)
    return EffectSize(
        value=math.log(a * d / (b * c)),
        variance=1 / a + 1 / b + 1 / c + 1 / d,
        scale="log_odds_ratio",
        formula="ln(ad / bc); 1/a + 1/b + 1/c + 1/d",
    )


def log_risk_ratio(treated: tuple[float, float], comparison: tuple[float, float]) -> EffectSize:
    """ln(p₁ / p₀), variance 1/a − 1/n₁ + 1/c − 1/n₀; ½ is added to each cell if one is empty.

    Args:
        treated: events and people.
        comparison: the same.
    """
    a, b, c, d = _cells(treated, comparison)
    return EffectSize(
        value=math.log((a / (a + b)) / (c / (c + d))),
        variance=1 / a - 1 / (a + b) + 1 / c - 1 / (c + d),
        scale="log_risk_ratio",
        formula="ln(p1 / p0); 1/a - 1/n1 + 1/c - 1/n0",
    )


# from means and tests ------------------------------------------------------------------------------------------------


def hedges_g(difference: float, sd: float, n_treated: float, n_comparison: float) -> EffectSize:
    """g = J d with d = difference / pooled SD, variance J² [1/n₁ + 1/n₀ + d² / (2 (n₁ + n₀))].

    Args:
        difference: of means.
        sd: pooled within groups.
        n_treated: people.
        n_comparison: people.
    """
    d = difference / sd
    correction = hedges_correction(n_treated + n_comparison - 2)
    spread = 1 / n_treated + 1 / n_comparison + d**2 / (2 * (n_treated + n_comparison))
    return EffectSize(
        value=correction * d,
        variance=correction**2 * spread,
        scale="sd",
        formula="J (m1 - m0) / sd; J^2 [1/n1 + 1/n0 + d^2 / (2 (n1 + n0))]",
    )


def hedges_g_from_t(t: float, n_treated: float, n_comparison: float) -> EffectSize:
    """g from the t of two independent groups: d = t √(1/n₁ + 1/n₀)."""
    return hedges_g(t * math.sqrt(1 / n_treated + 1 / n_comparison), 1.0, n_treated, n_comparison)


def hedges_correction(df: float) -> float:
    """J = Γ(df/2) / [√(df/2) Γ((df − 1)/2)], about 1 − 3 / (4 df − 1). Source: Hedges (1981)."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def std_error_from_interval(low: float, high: float, *, level: float = 0.95, df: float = math.inf) -> float:
    """(high − low) / (2 q) with q the quantile of the normal, or of t(df); for a ratio, pass the logarithms."""
    return (high - low) / (2 * _quantile(0.5 + level / 2, df))


def std_error_from_p(estimate: float, p_value: float, *, df: float = math.inf) -> float:
    """|estimate| / q with q the quantile that a two-sided p-value stands for.

    Raises:
        DataError: a p-value outside 0 to 1 (both excluded), or an estimate of zero, which any error could have.
    """
    if not 0 < p_value < 1 or estimate == 0:
        raise DataError(
            code="E-EVI-043",
            what="a standard error cannot be derived from this p-value",
            found=f"p = {p_value:g}, estimate {estimate:g}",
            expected="a p-value between 0 and 1, and an estimate that is not zero",
            fix="read the standard error or the interval in the study",
        )
    return abs(estimate) / _quantile(1 - p_value / 2, df)


# from one scale to another -------------------------------------------------------------------------------------------


def standardised(effect: EffectSize, sd: float) -> EffectSize:
    """A difference in standard deviations of the outcome: divided by SD, the variance by SD²."""
    return _scaled(effect, 1 / sd, "sd", "value / sd; variance / sd^2")


def natural(effect: EffectSize, sd: float) -> EffectSize:
    """An effect in standard deviations in units of the outcome: times SD, the variance times SD²."""
    return _scaled(effect, sd, "difference", "value x sd; variance x sd^2")


def log_odds_from_sd(effect: EffectSize) -> EffectSize:
    """d π/√3, the variance times π²/3. Source: Hasselblad and Hedges (1995); Chinn (2000)."""
    return _scaled(effect, LOGISTIC_SD, "log_odds_ratio", "d pi / sqrt(3); variance x pi^2 / 3")


def sd_from_log_odds(effect: EffectSize) -> EffectSize:
    """ln(OR) √3/π, the variance times 3/π². Source: Hasselblad and Hedges (1995); Chinn (2000)."""
    return _scaled(effect, 1 / LOGISTIC_SD, "sd", "ln(OR) sqrt(3) / pi; variance x 3 / pi^2")


def cox_index(effect: EffectSize) -> EffectSize:
    """ln(OR) / 1.65, which the What Works Clearinghouse uses for outcomes that are yes or no. Source: Cox (1970)."""
    return _scaled(effect, 1 / COX, "sd", "ln(OR) / 1.65; variance / 1.65^2")


def risk_difference_from_log_odds(effect: EffectSize, base_rate: float) -> EffectSize:
    """p₁ − p₀ with logit p₁ = logit p₀ + ln(OR), the variance times [p₁ (1 − p₁)]².

    Args:
        effect: ln(OR).
        base_rate: p₀, where the effect is to be applied.
    """
    p1 = float(special.expit(special.logit(_rate(base_rate)) + effect.value))
    return EffectSize(
        value=p1 - base_rate,
        variance=effect.variance * (p1 * (1 - p1)) ** 2,
        scale="difference",
        formula="expit(logit p0 + ln(OR)) - p0; variance x [p1 (1 - p1)]^2",
    )


def log_odds_from_risk_difference(effect: EffectSize, base_rate: float) -> EffectSize:
    """logit(p₀ + difference) − logit p₀, the variance over [p₁ (1 − p₁)]².

    Args:
        effect: p₁ − p₀.
        base_rate: p₀ of the study.
    """
    p1 = _rate(_rate(base_rate) + effect.value)
    return EffectSize(
        value=float(special.logit(p1) - special.logit(base_rate)),
        variance=effect.variance / (p1 * (1 - p1)) ** 2,
        scale="log_odds_ratio",
        formula="logit(p0 + difference) - logit p0; variance / [p1 (1 - p1)]^2",
    )


def risk_difference_from_log_risk_ratio(effect: EffectSize, base_rate: float) -> EffectSize:
    """p₀ (RR − 1), the variance times (p₀ RR)².

    Args:
        effect: ln(RR).
        base_rate: p₀, where the effect is to be applied.
    """
    p1 = _rate(_rate(base_rate) * math.exp(effect.value))
    return EffectSize(
        value=p1 - base_rate,
        variance=effect.variance * p1**2,
        scale="difference",
        formula="p0 (RR - 1); variance x (p0 RR)^2",
    )


def sd_of_share(rate: float) -> float:
    """√(p (1 − p)), the standard deviation of a yes or no."""
    return math.sqrt(_rate(rate) * (1 - rate))


def sd_from_std_error(std_error: float, n: float) -> float:
    """SE √n / 2: what a difference of means between two halves of n people implies of the outcome's SD.

    A lower bound where the groups are not halves, an underestimate where covariates explain part of the outcome.
    Source: Cochrane Handbook 6.4, section 6.5.2.3.
    """
    return std_error * math.sqrt(n) / 2


# small steps ---------------------------------------------------------------------------------------------------------


def _scaled(effect: EffectSize, factor: float, scale: Scale, formula: str) -> EffectSize:
    value, variance = effect.value * factor, effect.variance * factor**2
    return EffectSize(value=value, variance=variance, scale=scale, formula=formula)


def _quantile(probability: float, df: float) -> float:
    return float(special.stdtrit(df, probability) if math.isfinite(df) else special.ndtri(probability))


def _share(group: tuple[float, float]) -> tuple[float, float]:
    events, people = group
    if not 0 <= events <= people or people == 0:
        raise DataError(
            code="E-EVI-044",
            what="these counts are not those of a group",
            found=f"{events:g} events among {people:g} people",
            expected="at least one person, and no more events than people",
        )
    return events / people, people


def _cells(treated: tuple[float, float], comparison: tuple[float, float]) -> tuple[float, float, float, float]:
    (_, n1), (_, n0) = _share(treated), _share(comparison)
    cells = (treated[0], n1 - treated[0], comparison[0], n0 - comparison[0])
    added = HALF if min(cells) == 0 else 0.0
    a, b, c, d = (cell + added for cell in cells)
    return a, b, c, d


def _rate(value: float) -> float:
    if not 0 < value < 1:
        raise DataError(
            code="E-EVI-045",
            what="a rate must lie between 0 and 1",
            found=f"{value:g}",
            expected="a base rate, and a rate after the effect, above 0 and below 1",
            fix="give the base rate as a share, or apply the effect on another scale",
        )
    return value
