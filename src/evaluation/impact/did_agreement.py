"""Whether regression, inverse probability and both together (doubly robust) estimate the same number.

Each of the three is right if its own model is: of changes given covariates, of treatment given covariates, or either.
Where both models are right the three differ by chance alone; a difference beyond chance says that a model is wrong.
With two periods, when no trend before treatment can be looked at, it is the only thing in the data that can say so.

It says neither which model is wrong, nor that the doubly robust estimate is: that one stands as long as one model
holds. And agreement proves little: three estimators can be wrong together.

Source: Hausman (1978), *Econometrica* 46(6), with the covariance of the estimates from their influences, so that none
has to be efficient; Robins and Rotnitzky (2001), *Statistica Sinica* 11(4), for the comparison of the three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import did
from evaluation.impact.effects import Effects, concat
from evaluation.impact.inference import summarize, wald
from evaluation.settings.designs import BY_CELL

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """A joint test that the three estimators estimate the same number.

    Attributes:
        estimates: a row for each estimator: estimator, estimate, std_error, ci_low, ci_high, p_value, reason.
        differences: regression and inverse probability less doubly robust, likewise.
        statistic: Wald statistic of both differences; NaN with a reason.
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


def estimators_agree(
    sample: Sample, design: DidDesign, clusters: pd.DataFrame | None = None, *, outcome: str = "outcome_1"
) -> Agreement:
    """Test that the headlines of the three estimators are the same: W = d′ V⁻¹ d, d = two differences.

    All three are estimated on the same units, whose influences give V exactly.

    Args:
        sample: canonical columns with covariate_*; without covariates the three are one, and there is nothing to test.
        design: its estimator is ignored, all else is used as it is.
        clusters: see `evaluation.impact.inference.covariance`.
        outcome: canonical outcome column.
    """
    if not design.covariates:
        return _not_measured("without covariates the three estimators are one")
    headlines: list[Effects] = []
    for estimator in BY_CELL:
        alone = design.model_copy(update={"estimator": estimator})
        try:
            result = did.estimate(sample, alone, outcome=outcome)
        except EvaluationError as error:
            return _not_measured(f"{estimator} cannot be estimated: {error.what}")
        if len(result.skipped):
            return _not_measured(f"{estimator} leaves out {len(result.skipped)} cells: other effects are averaged")
        headlines.append(_named(result.headline, estimator))
    return _compared(concat(headlines), clusters)


def _named(headline: Effects, estimator: str) -> Effects:
    labels = pd.DataFrame({"estimator": [estimator]})
    return headline.contrast(np.ones(1), labels)


def _compared(three: Effects, clusters: pd.DataFrame | None) -> Agreement:
    robust = BY_CELL.index("doubly_robust")
    others = [k for k in range(len(BY_CELL)) if k != robust]
    matrix = np.eye(len(BY_CELL))[others]
    matrix[:, robust] = -1.0
    names = pd.DataFrame({"estimator": [f"{BY_CELL[k]} less doubly_robust" for k in others]})
    differences = three.contrast(matrix, names)
    test = wald(differences, clusters)
    said = (
        f"Not measured: {test.reason}."
        if test.reason
        else f"Regression, inverse probability and doubly robust differ by {np.ptp(three.estimate):.3g} at most; "
        f"p = {test.p_value:.3g} that by chance alone."
    )
    return Agreement(
        estimates=summarize(three, clusters),
        differences=summarize(differences, clusters),
        statistic=test.statistic,
        df=test.df,
        p_value=test.p_value,
        reason=test.reason,
        detail=said,
    )


def _not_measured(reason: str) -> Agreement:
    return Agreement(
        estimates=pd.DataFrame(),
        differences=pd.DataFrame(),
        statistic=np.nan,
        df=0,
        p_value=np.nan,
        reason=reason,
        detail=f"Not measured: {reason}.",
    )
