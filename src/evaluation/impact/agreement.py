"""Whether several ways to estimate that should agree do: a joint test, whatever the method.

Source: Hausman (1978), *Econometrica* 46(6), with the covariance of the estimates from their influences, so that none
has to be efficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.impact.effects import concat
from evaluation.impact.inference import summarize, wald

if TYPE_CHECKING:
    from evaluation.impact.effects import Effects


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """A joint test that several estimators estimate the same number.

    Attributes:
        estimates: a row for each estimator: estimator, estimate, std_error, ci_low, ci_high, p_value, reason.
        differences: of the others less the last one, likewise.
        statistic: Wald statistic of the differences; NaN with a reason.
        df: degrees of freedom.
        p_value: NaN with a reason.
        reason: why there is no test; "" otherwise.
        detail: one sentence.
    """

    estimates: pd.DataFrame
    differences: pd.DataFrame
    statistic: float
    df: int
    p_value: float
    reason: str
    detail: str


def named(headline: Effects, estimator: str) -> Effects:
    """One effect under the name of its estimator."""
    labels = pd.DataFrame({"estimator": [estimator]})
    return headline.contrast(np.ones(1), labels)


def compared(headlines: Sequence[Effects], clusters: pd.DataFrame | None) -> Agreement:
    """Test that all are the same number as the last one.

    Args:
        headlines: one effect each, with influence, as `named` gives them.
        clusters: see `evaluation.impact.inference.covariance`.
    """
    together = concat(headlines)
    *others, last = together.labels["estimator"]
    matrix = np.column_stack([np.eye(len(others)), -np.ones(len(others))])
    differences = together.contrast(matrix, pd.DataFrame({"estimator": [f"{name} less {last}" for name in others]}))
    test = wald(differences, clusters)
    spoken = ", ".join(name.replace("_", " ") for name in (*others, last)).capitalize()
    said = (
        f"Not measured: {test.reason}."
        if test.reason
        else f"{spoken} differ by {np.ptp(together.estimate):.3g} at most; p = {test.p_value:.3g} that by chance alone."
    )
    return Agreement(
        estimates=summarize(together, clusters),
        differences=summarize(differences, clusters),
        statistic=test.statistic,
        df=test.df,
        p_value=test.p_value,
        reason=test.reason,
        detail=said,
    )


def not_measured(reason: str) -> Agreement:
    """No test, and why."""
    return Agreement(
        estimates=pd.DataFrame(),
        differences=pd.DataFrame(),
        statistic=np.nan,
        df=0,
        p_value=np.nan,
        reason=reason,
        detail=f"Not measured: {reason}.",
    )
