"""Weights of the two arms, and how they move with what was estimated to make them.

A weight is a function of few parameters: coefficients of a score, or the dual of balanced means. The influence of each
row on these parameters is carried to the effect by the chain rule, so that standard errors know that weights were
estimated (M-estimation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.impact.covariates import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowEffect:
    """An effect and what each row does to it.

    Attributes:
        estimate: in the unit of the outcome.
        influence: (n,) with estimate - truth ~ mean(influence) over rows.
        splits: estimates of all splits of the sample, where it was split.
    """

    estimate: float
    influence: Floats
    splits: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmWeights:
    """Weights of one arm as a function of k estimated parameters.

    Attributes:
        weights: (n,) 0 outside the arm.
        pull: from numbers v of the rows (n,) to the derivative of sum v w in the parameters (k,); None where nothing
            was estimated.
        carry: from the derivative of a number in the parameters (k,) to the influence of each row on that number (n,).
    """

    weights: Floats
    pull: Callable[[Floats], Floats] | None = None
    carry: Callable[[Floats], Floats] | None = None

    def through(self, values: Floats) -> Floats | float:
        """(n,) influence of each row on mean(values w), values (n,) held, by way of the parameters."""
        if self.pull is None or self.carry is None:
            return 0.0
        return self.carry(self.pull(values) / len(values))

    def mean(self, outcome: Floats, known: NDArray[np.bool_]) -> tuple[float, Floats]:
        """Weighted mean over rows whose outcome is known (Hájek), and its influence (n,).

        influence = {w (y - mu) + influence on mean[w (y - mu)] by way of the parameters} / mean(w).
        """
        weights = self.weights if known.all() else np.where(known, self.weights, 0.0)
        mean = float(weights @ outcome / weights.sum())
        deviation = outcome - mean if known.all() else np.where(known, outcome - mean, 0.0)
        return mean, (weights * deviation + self.through(deviation)) / weights.mean()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Weights of both arms.

    Attributes:
        treated, comparison: each arm's weights.
        score: (n,) propensity score; None where there is none.
        left_out: labels of covariates that add nothing to earlier ones.
        trimmed: (n,) rows that are left out because of an extreme score.
        notes: what was done to scores or weights, in English, with numbers.
    """

    treated: ArmWeights
    comparison: ArmWeights
    score: Floats | None
    left_out: tuple[str, ...]
    trimmed: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def both(self) -> Floats:
        """(n,) weights of all rows."""
        return self.treated.weights + self.comparison.weights

    def effect(self, outcome: Floats, known: NDArray[np.bool_]) -> RowEffect:
        """Difference of the weighted means of the arms."""
        one, of_one = self.treated.mean(outcome, known)
        zero, of_zero = self.comparison.mean(outcome, known)
        return RowEffect(estimate=one - zero, influence=of_one - of_zero)
