"""What a test before treatment can see, and what it says if it sees nothing.

A test that does not reject is no proof of parallel trends: it may have had no power, and estimates that passed it are
selected. Three numbers say how much it is worth: the slope of a linear departure from parallel trends that it detects
with a given probability, the bias that this slope would leave in the headline (on average, and given that the test was
passed), and the smallest bound within which the effects before treatment are shown to lie.

Source: Roth (2022), *American Economic Review: Insights* 4(3); Hartman and Hidalgo (2018), *American Journal of
Political Science* 62(4), and Dette and Schumann (2024), *Journal of Business & Economic Statistics* 42(4), for
equivalence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import optimize, special

from evaluation.errors import DataError, ParametersError
from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import covariance, summarize, wald

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult

Array = np.ndarray
Test = Literal["joint", "any"]

POINTS_LOG2 = 12  # 4,096 Sobol points: probabilities of boxes to about four digits
STEEPEST = 1e6  # standard errors per period; a slope beyond is none


# what is tested -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pretest:
    """Effects before treatment, the headline, and what a linear departure from parallel trends does to both.

    Attributes:
        covariance: (K, K) of the effects before treatment.
        direction: (K,) what a slope of one per period makes of them: periods from their base period.
        across: (K,) their covariance with the headline.
        horizon: what a slope of one makes of the headline: its mean number of periods from the base period.
        headline: the estimate.
        level: size of the test.
        reason: why the test does not exist; "" if it does.
    """

    covariance: Array
    direction: Array
    across: Array
    horizon: float
    headline: float
    level: float = 0.05
    reason: str = ""

    @classmethod
    def of(
        cls,
        result: DidResult,
        clusters: pd.DataFrame | None = None,
        *,
        effects: Effects | None = None,
        level: float = 0.05,
    ) -> Pretest:
        """From a difference-in-differences.

        Args:
            result: of an estimator that compares with a base period.
            clusters: see `evaluation.impact.inference.covariance`.
            effects: those tested, of cohorts in periods or by event time; by default `result.pre_treatment`.
            level: size of the test.

        Raises:
            DataError: effects without a base period.
        """
        tested = result.pre_treatment if effects is None else effects
        tested = tested.select(tested.support())
        horizon = _horizon(result)
        both = concat([tested, result.headline])
        matrix, k = covariance(both, clusters).matrix, len(tested)
        return cls(
            covariance=matrix[:k, :k],
            direction=_direction(tested, result),
            across=matrix[:k, k],
            horizon=horizon,
            headline=float(result.headline.estimate[0]),
            level=level,
            reason=wald(tested, clusters).reason,
        )


def before_by_event_time(result: DidResult) -> Effects:
    """The averages by event time before treatment and anticipation that are not zero by construction."""
    averages = result.aggregates["event_time"]
    before = result.group_time.labels.loc[result.group_time.labels["phase"] == "pre", "event_time"]
    return averages.select(averages.labels["event_time"].isin(before).to_numpy(dtype=bool) & averages.support())


def _horizon(result: DidResult) -> float:
    """Mean number of periods between the cells of the headline and their base, by their weights."""
    name = result.headline.labels["aggregate"].iloc[0]
    weights = result.weights[result.weights["aggregate"] == name]
    cells = weights.merge(result.group_time.labels, on=["cohort", "period"], validate="one_to_one")
    _require_base(cells)
    return float(cells["weight"].to_numpy(dtype=float) @ _distance(cells))


def _direction(effects: Effects, result: DidResult) -> Array:
    """Periods of each effect from its base; by event time where all cohorts have the same."""
    if "base_period" in effects.labels:
        _require_base(effects.labels)
        return _distance(effects.labels)
    cells = result.group_time.labels
    _require_base(cells)
    by_time = pd.Series(_distance(cells), index=cells["event_time"].to_numpy(dtype=int)).groupby(level=0)
    differ = by_time.min() < by_time.max()
    if differ.any():
        raise DataError(
            code="E-IMP-140",
            what="cohorts have base periods at different distances, so that a slope has no one size by event time",
            found=f"event times {differ.index[differ].tolist()}",
            fix="test the effects of cohorts in periods",
        )
    return np.asarray(by_time.first().loc[effects.labels["event_time"].to_numpy(dtype=int)], dtype=float)


def _distance(labels: pd.DataFrame) -> Array:
    base = labels["base_period"].to_numpy(dtype=float, na_value=np.nan)
    return np.asarray(labels["period"].to_numpy(dtype=float) - base)


def _require_base(labels: pd.DataFrame) -> None:
    if labels["base_period"].isna().any():
        raise DataError(
            code="E-IMP-141",
            what="these effects have no base period, so that a trend has no known bias",
            expected="an estimator that compares with a base period",
            fix="estimator: doubly_robust, regression or inverse_probability",
        )


# power ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPower:
    """The linear departure from parallel trends that a test detects with a given probability, and what it would cost.

    Attributes:
        test: "joint" (Wald) or "any" (some single effect significant).
        power: the probability.
        slope: change per period, in the unit of the outcome.
        bias: of the headline under this slope.
        bias_if_passed: mean bias under this slope of headlines whose test did not reject.
        share: |bias| over |headline|; infinite for a headline of zero.
        reason: why there are no numbers; "" if there are.
        detail: one sentence.
    """

    test: Test
    power: float
    slope: float
    bias: float
    bias_if_passed: float
    share: float
    reason: str
    detail: str


def trend_power(pretest: Pretest, power: float = 0.8, test: Test = "joint", *, seed: int = 0) -> TrendPower:
    """The slope that the test detects with probability `power`.

    Args:
        pretest: see `Pretest.of`.
        power: above the size of the test, below 1.
        test: "joint" or "any".
        seed: of the Sobol points behind "any" with two effects or more; "joint" is exact.

    Raises:
        ParametersError: power that is no probability above the size of the test.

    Source: Roth (2022), section I.
    """
    slope = float("nan") if pretest.reason else detectable_slope(pretest, power, test, seed=seed)
    bias = slope * pretest.horizon
    passed = float("nan") if pretest.reason else bias_if_passed(pretest, slope, test, seed=seed)
    share = abs(bias / pretest.headline) if pretest.headline else float("inf")
    detail = (
        f"No power: {pretest.reason}."
        if pretest.reason
        else f"A linear difference in trends of {slope:.4g} per period would be detected with probability {power:.0%}; "
        f"undetected it would move the effect by {bias:.4g}, by {passed:.4g} on average where the test is passed "
        f"(the effect is {pretest.headline:.4g})."
    )
    return TrendPower(
        test=test,
        power=power,
        slope=slope,
        bias=bias,
        bias_if_passed=passed,
        share=share,
        reason=pretest.reason,
        detail=detail,
    )


def rejection(pretest: Pretest, slope: float, test: Test = "joint", *, seed: int = 0) -> float:
    """Probability that the test rejects under a linear departure of this slope.

    joint: P(χ²_K(γ² u′V⁻¹u) > c); any: 1 - P(|β̂_k| ≤ z se_k for all k), β̂ ~ N(γu, V).
    """
    if test == "joint":
        k, critical, size = _joint(pretest)
        return 1 - float(special.chndtr(critical, k, slope**2 * size))
    return 1 - _box(pretest, slope, seed)[0]


def detectable_slope(pretest: Pretest, power: float, test: Test = "joint", *, seed: int = 0) -> float:
    """The positive slope at which the test rejects with probability `power`."""
    _require_power(power, rejection(pretest, 0.0, test, seed=seed))
    unit = float(np.sqrt(np.diag(pretest.covariance)).min())
    top = unit
    while rejection(pretest, top, test, seed=seed) < power and top < STEEPEST * unit:
        top *= 2
    return float(
        optimize.brentq(lambda slope: rejection(pretest, slope, test, seed=seed) - power, 0.0, top, xtol=1e-10 * top)
    )


def bias_if_passed(pretest: Pretest, slope: float, test: Test = "joint", *, seed: int = 0) -> float:
    """Mean bias of the headline under a linear departure of this slope, given that the test does not reject.

    E = γ h + a′V⁻¹ (E[β̂ | passed] - γu), a the covariance with the headline. For the joint test the mean in the
    ellipsoid is known, E[β̂ | passed] = γu F_(K+2)/F_K, with F_K the noncentral chi-squared distribution at c.

    Source: Roth (2022), proposition 1.
    """
    if test == "joint":
        k, critical, size = _joint(pretest)
        within, below = (float(special.chndtr(critical, df, slope**2 * size)) for df in (k + 2, k))
        mean = slope * pretest.direction * within / below
    else:
        mean = _box(pretest, slope, seed)[1]
    moved = np.linalg.solve(pretest.covariance, mean - slope * pretest.direction)
    return float(slope * pretest.horizon + pretest.across @ moved)


def _joint(pretest: Pretest) -> tuple[int, float, float]:
    """Degrees of freedom, critical value, and noncentrality of a slope of one."""
    k, u = len(pretest.direction), pretest.direction
    return k, float(special.chdtri(k, pretest.level)), float(u @ np.linalg.solve(pretest.covariance, u))


def _box(pretest: Pretest, slope: float, seed: int) -> tuple[float, Array]:
    """Probability that no single effect is significant, and the mean of the effects where none is.

    The normal is drawn coordinate by coordinate within its bounds, given the earlier ones; the product of the
    conditional probabilities weighs a draw. The same points serve every slope, so that results change smoothly in it.

    Source: Genz (1992), *Journal of Computational and Graphical Statistics* 1(2).
    """
    root, mean = np.linalg.cholesky(pretest.covariance), slope * pretest.direction
    half = special.ndtri(1 - pretest.level / 2) * np.sqrt(np.diag(pretest.covariance))
    k = len(mean)
    points = _points(k, seed)
    normal, weight = np.zeros((len(points), k)), np.ones(len(points))
    for j in range(k):
        center = mean[j] + normal[:, :j] @ root[j, :j]
        low, high = special.ndtr((-half[j] - center) / root[j, j]), special.ndtr((half[j] - center) / root[j, j])
        weight *= high - low
        normal[:, j] = special.ndtri(np.clip(low + points[:, j] * (high - low), 1e-300, 1 - 1e-16))
    total = weight.sum()
    inside = mean + normal @ root.T
    return float(total / len(points)), np.asarray(weight @ inside / total) if total > 0 else np.sign(mean) * half


def _points(k: int, seed: int) -> Array:
    from scipy.stats import qmc

    rng = np.random.Generator(np.random.Philox(seed))
    return np.asarray(qmc.Sobol(k, scramble=True, rng=rng).random_base2(POINTS_LOG2))


def _require_power(power: float, size: float) -> None:
    if not size < power < 1:
        raise ParametersError(
            code="E-IMP-142",
            what="a test has no slope that it detects with this probability",
            found=f"{power}",
            expected=f"a share above its size, {size:.4g}, and below 1",
        )


# equivalence ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """The smallest bound within which all effects before treatment are shown to lie.

    Attributes:
        bound: in the unit of the outcome; at every larger one, "some |effect| is at least the bound" is rejected.
        largest: largest |estimate|.
        tests: effects tested.
        level: size of the test.
        reason: why there is no bound; "" if there is one.
        detail: one sentence.
    """

    bound: float
    largest: float
    tests: int
    level: float
    reason: str
    detail: str


def equivalence(effects: Effects, clusters: pd.DataFrame | None = None, *, level: float = 0.05) -> Equivalence:
    """Two one-sided tests of each effect; all must reject (intersection-union), so that no correction is needed.

    The bound is the farthest end of the intervals with probability 1 - 2 level.

    Args:
        effects: before treatment, such as `before_by_event_time(result)`.
        clusters: see `evaluation.impact.inference.covariance`.
        level: size of the test.
    """
    tested = effects.select(effects.support())
    table = summarize(tested, clusters, level=1 - 2 * level)
    reasons = [reason for reason in table["reason"] if reason] or ([] if len(table) else ["there is nothing to test"])
    ends = np.abs(table[["ci_low", "ci_high"]].to_numpy(dtype=float))
    bound = float("nan") if reasons else float(ends.max())
    largest = float(np.abs(tested.estimate).max(initial=0.0))
    detail = (
        f"No bound: {reasons[0]}."
        if reasons
        else f"All {len(table)} effects before treatment are shown to lie within ±{bound:.4g} (size {level:.0%}; the "
        f"largest estimate is {largest:.4g})."
    )
    return Equivalence(
        bound=bound,
        largest=largest,
        tests=len(table),
        level=level,
        reason=reasons[0] if reasons else "",
        detail=detail,
    )
