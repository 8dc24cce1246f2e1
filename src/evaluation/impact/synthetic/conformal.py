"""Conformal intervals: effects under which the periods after look like the periods before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evaluation.impact import inference
from evaluation.impact.synthetic.estimate import Estimator, Outcomes, Solver, Synthetic, fit, follow

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """Test of no effect, and the constant effects that are not rejected.

    Attributes:
        p_value: of no effect in any period after.
        ci_low, ci_high: ends of the constant effects that are kept; missing with a reason.
        reason: why there is no interval.
    """

    p_value: float
    ci_low: float
    ci_high: float
    reason: str = ""


def conformal(
    outcomes: Outcomes,
    fitted: Synthetic,
    estimator: Estimator = "sdid",
    *,
    solver: Solver = "exact",
    level: float = 0.95,
) -> Conformal:
    """Invert the test by cyclic shifts of the residuals of all periods.

    Under a constant effect c the treated less c after are as if untreated: weights are chosen again over all periods,
    and residuals after should be no larger than those of other stretches. There are T shifts, so that an interval needs
    T ≥ 1 / (1 - level) periods (20 at 95 %). It is exact if residuals are exchangeable, else in large T₀; it needs no
    second unit, and no donor that is like the treated.

    Source: Chernozhukov, Wüthrich and Zhu (2021), *JASA* 116(536), algorithm 1 with moving blocks.
    """
    n_periods = outcomes.donors.shape[1]
    least = inference.fewest_placebos(level) + 1

    def p_of(effect: float) -> float:
        return inference.shift_p(residuals(outcomes, estimator, effect, solver), n_periods - outcomes.n_before)

    none = p_of(0.0)
    if n_periods < least:
        reason = f"{n_periods} periods: a conformal interval of {level:.0%} needs at least {least}"
        return Conformal(p_value=none, ci_low=np.nan, ci_high=np.nan, reason=reason)
    step = max(fitted.rmspe(outcomes.n_before)) or 1.0
    low, high = inference.kept_interval(p_of, fitted.estimate, step / 4, level)
    rejected = "no constant effect is kept" if np.isnan(low) else ""
    return Conformal(p_value=none, ci_low=low, ci_high=high, reason=rejected)


def by_period(
    outcomes: Outcomes, estimator: Estimator = "sdid", *, solver: Solver = "exact", level: float = 0.95
) -> list[Conformal]:
    """For each period after, the test with that period alone beside those before: T₀ + 1 periods each.

    It asks nothing of how effects of different periods compare.

    Source: Chernozhukov, Wüthrich and Zhu (2021), section 2.3 (pointwise intervals).
    """
    before, found = np.arange(outcomes.n_before), []
    for period in range(outcomes.n_before, outcomes.donors.shape[1]):
        chosen = np.append(before, period)
        alone = replace(outcomes, donors=outcomes.donors[:, chosen], treated=outcomes.treated[:, chosen])
        found.append(conformal(alone, fit(alone, estimator, solver=solver), estimator, solver=solver, level=level))
    return found


def residuals(outcomes: Outcomes, estimator: Estimator, effect: float, solver: Solver = "exact") -> Array:
    """(T,) of the treated mean under a constant effect, weights chosen over all periods; centred for SDID and DiD."""
    target = outcomes.treated.mean(axis=0)
    target[outcomes.n_before :] -= effect
    weights = follow(outcomes.donors, target, estimator, solver=solver, noise=outcomes.noise, cells=outcomes.cells)
    left = target - weights @ outcomes.donors
    return np.asarray(left - left.mean() if estimator in ("sdid", "did") else left)
