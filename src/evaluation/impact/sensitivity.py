"""How strong something that nobody measured would have to be to overturn a comparison of treated and untreated units.

Numbers, not verdicts: each says what it would take, on a scale that a reader can compare with something known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from evaluation.errors import DataError, InternalError
from evaluation.impact.covariates import Covariates, Floats, independent_columns
from evaluation.impact.regression import Factor, factorize, weighted_least_squares

SMD_TO_LOG_RISK_RATIO = 0.91  # VanderWeele and Ding (2017), table 2: RR ~ exp(0.91 d)


# regression: omitted variables ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OmittedVariable:
    """What an omitted variable would have to explain to change the coefficient of treatment.

    Attributes:
        estimate, std_error: of treatment, given the covariates; equal variances, in the unit of the outcome.
        df: residual degrees of freedom.
        partial_r2: share of the residual variance of the outcome that treatment explains: a variable that explains all
            the rest of the outcome needs this share of the treatment to bring the estimate to zero.
        robustness_value: share of the residual variance of both treatment and outcome that a variable must explain to
            bring the estimate to zero.
        robustness_value_interval: the same to bring the interval's nearer end (level 95 %) to zero; 0 if it holds zero.
        benchmarks: a row for each covariate (all columns of a category together): covariate, r2_treatment, r2_outcome
            (of a variable exactly as strong), adjusted_estimate (with such a variable) and multiple (how many times as
            strong a variable must be to bring the estimate to zero; infinite if the covariate is unrelated to
            treatment or outcome).
    """

    estimate: float
    std_error: float
    df: int
    partial_r2: float
    robustness_value: float
    robustness_value_interval: float
    benchmarks: pd.DataFrame

    @property
    def multiple(self) -> float:
        """The smallest `multiple`: the strongest covariate is the yardstick; NaN without covariates."""
        return float(self.benchmarks["multiple"].min()) if len(self.benchmarks) else float("nan")

    def bias(self, r2_treatment: float, r2_outcome: float) -> float:
        """|bias| = SE √(R²_y R²_d df / (1 - R²_d)) from a variable with these partial R²."""
        return _bias(self.std_error, self.df, r2_treatment, r2_outcome)


def omitted_variable(
    outcome: Floats, treated: Floats, covariates: Covariates, weights: Floats | None = None
) -> OmittedVariable:
    """Sensitivity of the regression of the outcome on treatment and covariates.

    For matching and weighting it is the regression with their weights: not their estimate, but the one with which an
    omitted variable can be compared.

    Args:
        outcome: (n,).
        treated: (n,) 0/1 or a dose.
        covariates: n rows; columns that are combinations of others are left out.
        weights: (n,) not negative; all 1 if None.

    Raises:
        DataError: treatment is a combination of the covariates; more columns than rows.

    Source: Cinelli and Hazlett (2020), *JRSS B* 82(1): equations 7 to 9 and 15, section 4.4 for the bounds.
    """
    w = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=float)
    root = np.sqrt(w[w > 0])
    kept = independent_columns(np.column_stack([np.ones(len(w)), covariates.matrix]), w)[1:]
    x, sources = covariates.matrix[w > 0][:, kept], np.array(covariates.columns, dtype=object)[kept]
    y, d = root * outcome[w > 0], root * np.asarray(treated, dtype=float)[w > 0]
    base = np.column_stack([root, root[:, None] * x])
    names = ["intercept", "treated", *np.array(covariates.labels, dtype=object)[kept]]
    fit = weighted_least_squares(y, np.column_stack([base[:, :1], d, base[:, 1:]]), names)
    estimate, df = float(fit.coefficients[1]), fit.residual_df
    _require_freedom(df)
    std_error = float(np.sqrt(fit.residuals @ fit.residuals / df * fit.bread[1, 1]))
    t = abs(estimate) / std_error if std_error > 0 else np.inf
    groups: dict[str, NDArray[np.intp]] = {
        column: np.flatnonzero(sources == column) for column in dict.fromkeys(sources)
    }
    labels = _group_labels(covariates, groups)
    strengths = [_strength(y, d, base, 1 + members) for members in groups.values()]
    rows = [
        _benchmark(label, *strength, estimate, std_error, df) for label, strength in zip(labels, strengths, strict=True)
    ]
    return OmittedVariable(
        estimate=estimate,
        std_error=std_error,
        df=df,
        partial_r2=t**2 / (t**2 + df) if np.isfinite(t) else 1.0,
        robustness_value=robustness(t / np.sqrt(df)),
        robustness_value_interval=robustness_to_interval(t / np.sqrt(df), critical_f(df)),
        benchmarks=pd.DataFrame(
            rows, columns=["covariate", "r2_treatment", "r2_outcome", "adjusted_estimate", "multiple"]
        ),
    )


def _require_freedom(df: int) -> None:
    if df < 1:
        raise DataError(
            code="E-IMP-150",
            what="a regression leaves no degree of freedom to say how strong an omitted variable must be",
            found=f"{df} degrees of freedom",
            fix="use fewer covariates",
        )


def critical_f(df: float) -> float:
    """t's 97.5 % quantile on the scale of f, with one degree of freedom less: for the omitted variable."""
    return float(special.stdtrit(df - 1, 0.975) / np.sqrt(df - 1)) if df > 1 else np.inf


def robustness(f: float) -> float:
    """RV = (√(f⁴ + 4f²) - f²)/2 with f = |t|/√df."""
    if not np.isfinite(f):
        return 1.0
    return float((np.sqrt(f**4 + 4 * f**2) - f**2) / 2)


def robustness_to_interval(f: float, critical: float) -> float:
    """As `robustness` with f less its critical value; where df is small one of the two shares reaches its end."""
    beyond = f - critical
    if beyond <= 0:
        return 0.0
    if not np.isfinite(beyond):
        return 1.0
    if critical > 0 and f > 1 / critical:  # the constraint R²_y ≤ 1 binds: equation for extreme scenarios
        return float((f**2 - critical**2) / (1 + f**2))
    return robustness(beyond)


def _group_labels(covariates: Covariates, groups: Iterable[str]) -> list[str]:
    """The evaluator's name of each covariate: the label up to the level of a category."""
    first = dict(zip(covariates.columns[::-1], covariates.labels[::-1], strict=True))
    several = {column: covariates.columns.count(column) > 1 for column in groups}
    return [first[column].split(" = ")[0] if several[column] else first[column] for column in groups]


def _strength(y: Floats, d: Floats, base: Floats, members: NDArray[np.signedinteger]) -> tuple[float, float]:
    """Partial R² of the columns `members` of the base with the treatment, and with the outcome given treatment."""
    others = np.delete(base, members, axis=1)
    return _partial_r2(d, others, base), _partial_r2(y, np.column_stack([others, d]), np.column_stack([base, d]))


def _partial_r2(values: Floats, small: Floats, large: Floats) -> float:
    left, less = (_unexplained(factorize(matrix), values) for matrix in (small, large))
    return float(max(left - less, 0.0) / left) if left > 0 else 0.0


def _unexplained(factor: Factor, values: Floats) -> float:
    residuals = factor.residuals(values)
    return float(residuals @ residuals)


def _bias(std_error: float, df: int, r2_treatment: float, r2_outcome: float) -> float:
    return float(std_error * np.sqrt(r2_outcome * r2_treatment / (1 - r2_treatment) * df))


def _bounds(multiple: float, with_treatment: float, with_outcome: float) -> tuple[float, float]:
    """Partial R² with treatment and outcome of a variable `multiple` times as strong as a covariate with these."""
    if with_treatment >= 1 or with_outcome >= 1:  # an exact fit
        return min(multiple * with_treatment, 1.0), 1.0
    f2 = with_treatment / (1 - with_treatment)
    r2_treatment = multiple * f2
    overlap = f2 * multiple * with_treatment / (1 - multiple * with_treatment)
    if overlap >= 1 or r2_treatment >= 1:
        return min(r2_treatment, 1.0), 1.0
    eta = (np.sqrt(multiple) + np.sqrt(overlap)) / np.sqrt(1 - overlap)
    return r2_treatment, float(min(eta**2 * with_outcome / (1 - with_outcome), 1.0))


def _benchmark(
    label: str, with_treatment: float, with_outcome: float, estimate: float, std_error: float, df: int
) -> tuple[str, float, float, float, float]:
    r2 = _bounds(1.0, with_treatment, with_outcome)
    shift = _bias(std_error, df, *r2) if r2[0] < 1 else np.inf
    multiple = _multiple(with_treatment, with_outcome, abs(estimate), std_error, df)
    return label, *r2, float(np.sign(estimate) * (abs(estimate) - shift)), multiple


def _multiple(with_treatment: float, with_outcome: float, size: float, std_error: float, df: int) -> float:
    """The multiple at which the bias reaches the size of the estimate; the bias grows with the multiple."""
    if not (with_treatment > 0 and with_outcome > 0):
        return np.inf
    limit = (1 - with_treatment) / with_treatment  # here a variable would explain all of the treatment

    def excess(multiple: float) -> float:
        return _bias(std_error, df, *_bounds(multiple, with_treatment, with_outcome)) - size

    highest = limit * (1 - 1e-12)
    if excess(highest) < 0:
        return float(limit)
    return float(optimize.brentq(excess, 0.0, highest, xtol=1e-12, rtol=1e-12))


# risk ratios ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EValue:
    """Smallest risk ratio that a hidden factor must have with treatment and with outcome to explain a result away.

    Attributes:
        estimate: for the estimate.
        interval: for the end of the interval that is nearer to no effect; 1 if the interval holds it.
    """

    estimate: float
    interval: float


def e_value(ratio: float, low: float, high: float) -> EValue:
    """E = RR + √(RR (RR - 1)), RR turned to be at least 1.

    Args:
        ratio: risk ratio, positive.
        low: lower end of its interval.
        high: upper end of its interval.

    Raises:
        InternalError: a ratio that is not positive, or an interval that does not hold it.

    Source: VanderWeele and Ding (2017), *Annals of Internal Medicine* 167(4).
    """
    if not 0 < low <= ratio <= high:
        raise InternalError(
            code="E-IMP-152",
            what="this is not a risk ratio with its interval",
            found=f"{ratio} from {low} to {high}",
            expected="0 < low <= ratio <= high",
        )
    end = low if ratio > 1 else high
    nearer = 1.0 if low <= 1 <= high else end
    return EValue(estimate=_e_value(ratio), interval=_e_value(nearer))


def e_value_of_difference(difference: float, std_error: float, outcome_sd: float) -> EValue:
    """E-value of a difference in means through RR ~ exp(0.91 d), interval exp(0.91 d ± 1.78 s), d and s in SD.

    Source: VanderWeele and Ding (2017), table 2; Chinn (2000).
    """
    d, s = difference / outcome_sd, std_error / outcome_sd
    center = SMD_TO_LOG_RISK_RATIO * d
    half = 1.78 * s
    return e_value(float(np.exp(center)), float(np.exp(center - half)), float(np.exp(center + half)))


def _e_value(ratio: float) -> float:
    turned = max(ratio, 1 / ratio)
    return float(turned + np.sqrt(turned * (turned - 1)))


# proportional selection -----------------------------------------------------------------------------------------------


def oster_delta(
    outcome: Floats, treated: Floats, covariates: Floats, *, r_max: float | None = None, effect: float = 0.0
) -> float:
    """δ: how much more than the covariates the unobserved must be related to treatment for the effect to be `effect`.

    Args:
        outcome: (n,).
        treated: (n,) 0/1 or a dose.
        covariates: (n, k) without a constant.
        r_max: R² of the regression with everything; 1.3 times that with the covariates, at most 1, if None.
        effect: the effect under the hypothesis, in the unit of the outcome.

    Returns:
        δ; above 1 the unobserved would have to matter more than the observed. Infinite where the covariates do not move
        the coefficient.

    Source: Oster (2019), *Journal of Business & Economic Statistics* 37(2), proposition 3 (δ for a given effect).
    """
    one = np.ones((len(outcome), 1))
    y, d = outcome - outcome.mean(), np.asarray(treated, dtype=float)
    short = _coefficient(y, np.column_stack([one, d]))
    long = _coefficient(y, np.column_stack([one, d, covariates]))
    top = min(1.3 * long[1], 1.0) if r_max is None else r_max
    variance_y, variance_d = float(np.mean(y**2)), float(np.var(d))
    rest = _unexplained(factorize(np.column_stack([one, covariates])), d) / len(d)
    moved, gap = short[0] - long[0], long[0] - effect
    explained, unexplained = (long[1] - short[1]) * variance_y, (top - long[1]) * variance_y
    cubic = gap**3 * (rest * variance_d - rest**2)
    cross = gap**2 * rest * moved * variance_d
    above = gap * explained * rest + gap * variance_d * rest * moved**2 + 2 * cross + cubic
    below = unexplained * moved * variance_d + gap * unexplained * (variance_d - rest) + cross + cubic
    return float(above / below) if below != 0 else float("inf")


def _coefficient(y: Floats, design: Floats) -> tuple[float, float]:
    """Coefficient of the second column, and R²; y has mean zero."""
    factor = factorize(design)
    return float(factor.solve(y)[1]), 1 - _unexplained(factor, y) / float(y @ y)
