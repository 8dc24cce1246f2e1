"""What a method contributes to a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.impact.checks import Check
from evaluation.impact.covariates import Floats

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects
    from evaluation.impact.inference import Covariance
    from evaluation.sample import FlowStep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What a method contributes.

    Attributes:
        rows: effects with labels, numbers and `reason`.
        covariance: of the headline.
        comparison: values of the outcome in the comparison group, and their weights.
        used: rows of the sample that were used.
        flow: rows dropped by the estimator.
        outcomes: headline and secondary effects side by side, in the order of their rows; None where they have no
            influence functions.
        convention: of the headline's interval, if another one than that of the covariance.
    """

    estimand: str
    rows: pd.DataFrame
    covariance: Covariance
    comparison: tuple[Floats, Floats]
    used: pd.DataFrame
    checks: Sequence[Check]
    tables: Mapping[str, pd.DataFrame]
    notes: Sequence[str]
    flow: Sequence[FlowStep] = field(default_factory=tuple)
    outcomes: Effects | None = None
    convention: str = ""


def mean_and_sd(values: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted mean, and standard deviation with the factor n / (n - 1)."""
    n = len(values)
    share = weights / weights.sum()
    mean = share @ values
    variance = share @ (values - mean) ** 2 * (n / (n - 1) if n > 1 else np.nan)
    return float(mean), float(np.sqrt(variance))
