"""Step-function selection model: how likely a study is to be seen, by its p-value, beside the mean of all studies.

One-sided p-values are cut at given steps; a study in the first class is always seen, one in class j with relative
probability δⱼ. With sᵢ² = vᵢ + τ² the likelihood of a seen effect is

    φ((yᵢ − μ) / sᵢ) / sᵢ · δ(pᵢ) / Σⱼ δⱼ P(class j | μ, sᵢ),

maximised over μ, ln τ, ln δ. With one step at .025 it has three parameters.

Source: Hedges (1992), *Statistical Science* 7(2); Vevea and Hedges (1995), *Psychometrika* 60(3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from evaluation.errors import DataError
from evaluation.impact.inference.bands import require_level, t_quantile
from evaluation.impact.inference.heterogeneity import require_variances

Array = np.ndarray

STEPS = (0.025,)  # significant in the expected direction at 5 %, two-sided
HALF_WIDTH = 1e-4  # of the differences of the Hessian, in the parameters of the search
FEWEST = 1  # studies in each class of p-values
LEAST_LOG_SD = -12.0  # of τ in units of the spread of effects: below, τ is zero


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """A fitted selection model.

    Attributes:
        estimate, std_error, ci_low, ci_high: mean of all studies, seen or not.
        variance: between studies.
        delta: relative probability of being seen, by class of p-values; the first is 1.
        statistic, df, p_value: likelihood-ratio test of equal chances.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    variance: float
    delta: Array
    statistic: float
    df: int
    p_value: float


def fit_selection(
    estimate: Array, variance: Array, *, steps: tuple[float, ...] = STEPS, expected: int = 1, level: float = 0.95
) -> Selection:
    """Fit the model.

    Args:
        estimate: (k,).
        variance: (k,) sampling variances.
        steps: cut points of one-sided p-values, rising, below 1.
        expected: +1 where effects above zero are the ones that get published, -1 for those below.
        level: of the interval.

    Raises:
        DataError: a class of p-values without a study, so that its probability cannot be told.
    """
    require_level(level)
    y, v = expected * np.asarray(estimate, float), require_variances(variance)
    model = _Model(y, v, np.array([*special.ndtri(1 - np.array(steps)), -np.inf]))
    _require_every_class(model.classes, len(steps) + 1)
    free, plain = model.top(with_delta=True), model.top(with_delta=False)
    spread = _std_error(model, free)
    half = float(t_quantile(0.5 + level / 2, np.array([np.inf]))[0]) * spread
    statistic = max(0.0, 2 * (model.height(free) - model.height(plain)))
    return Selection(
        estimate=float(expected * free[0]),
        std_error=spread,
        ci_low=float(expected * free[0]) - half,
        ci_high=float(expected * free[0]) + half,
        variance=model.between(free),
        delta=np.concatenate([[1.0], np.exp(free[2:])]),
        statistic=statistic,
        df=len(steps),
        p_value=float(special.chdtrc(len(steps), statistic)),
    )


@dataclass(frozen=True, slots=True)
class _Model:
    y: Array
    v: Array
    cuts: Array

    @property
    def classes(self) -> Array:
        """(k,) class of p-values of each study, 0 for the smallest ones."""
        return np.asarray(((self.y / np.sqrt(self.v))[:, None] < self.cuts[:-1]).sum(axis=1))

    @property
    def unit(self) -> float:
        return float(np.std(self.y)) or 1.0

    def between(self, at: Array) -> float:
        return 0.0 if at[1] <= LEAST_LOG_SD else float((self.unit * np.exp(at[1])) ** 2)

    def height(self, at: Array) -> float:
        """Log-likelihood at (μ, ln τ in units of the spread, ln δ₂ …)."""
        s = np.sqrt(self.v + self.between(at))
        log_delta = np.concatenate([[0.0], at[2:]])
        bounds = self.cuts * np.sqrt(self.v)[:, None]
        below = special.ndtr((bounds - at[0]) / s[:, None])
        shares = -np.diff(np.column_stack([np.ones(len(s)), below]), axis=1)
        seen = np.log(shares @ np.exp(log_delta))
        return float(np.sum(log_delta[self.classes] - seen - np.log(s) - 0.5 * ((self.y - at[0]) / s) ** 2))

    def top(self, *, with_delta: bool) -> Array:
        """The parameters of the highest likelihood found from several starts; ln δ is 0 without selection."""
        n_delta = len(self.cuts) - 1

        def loss(free: Array) -> float:
            at = free if with_delta else np.concatenate([free, np.zeros(n_delta)])
            return -self.height(at)

        bounds = [(None, None), (LEAST_LOG_SD, 3.0), *([(-8.0, 8.0)] * (n_delta if with_delta else 0))]
        starts = [(float(np.mean(self.y)), log_sd) for log_sd in (-3.0, -1.0, 0.0)]
        found = [
            optimize.minimize(
                loss,
                np.array([*start, *([0.0] * (n_delta if with_delta else 0))]),
                method="L-BFGS-B",
                bounds=bounds,
                options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 2000},
            )
            for start in starts
        ]
        best = np.asarray(min(found, key=lambda result: float(result.fun)).x)
        return best if with_delta else np.concatenate([best, np.zeros(n_delta)])


def _std_error(model: _Model, at: Array) -> float:
    """Of μ, from the observed information in the parameters that are not at a bound; by central differences."""
    used = [j for j in range(len(at)) if j != 1 or at[1] > LEAST_LOG_SD + 1]
    steps = np.eye(len(at))[used] * HALF_WIDTH
    hessian = np.array(
        [
            [
                model.height(at + one + two) - model.height(at + one - two)
                - model.height(at - one + two) + model.height(at - one - two)
                for two in steps
            ]
            for one in steps
        ]
    ) / (4 * HALF_WIDTH**2)  # fmt: skip
    return float(np.sqrt(np.linalg.inv(-hessian)[0, 0]))


def _require_every_class(classes: Array, n: int) -> None:
    numbers = np.bincount(classes, minlength=n)
    if (numbers < FEWEST).any():
        raise DataError(
            code="E-EVI-048",
            what="a selection model needs studies in each class of p-values",
            found=f"{numbers.tolist()} studies from small to large p-values",
            expected=f"at least {FEWEST} in each",
            fix="use fewer steps, or do without the model",
        )
