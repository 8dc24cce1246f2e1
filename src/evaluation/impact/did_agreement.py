"""Whether ways to estimate that should agree do: regression, inverse probability and both together (doubly robust).

Each of the three is right if its own model is: of changes given covariates, of treatment given covariates, or either.
Where both models are right the three differ by chance alone; a difference beyond chance says that a model is wrong.
With two periods, when no trend before treatment can be looked at, it is the only thing in the data that can say so.

It says neither which model is wrong, nor that the doubly robust estimate is: that one stands as long as one model
holds. And agreement proves little: three estimators can be wrong together.

Two-way fixed effects are compared with the mean of the effects by cohort and period: the two agree where effects are
the same for all cohorts and do not grow, which is what the one coefficient takes for granted.

Source: Hausman (1978), *Econometrica* 46(6), with the covariance of the estimates from their influences, so that none
has to be efficient; Robins and Rotnitzky (2001), *Statistica Sinica* 11(4), for the comparison of the three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.errors import EvaluationError
from evaluation.impact import did, fixed_effects
from evaluation.impact.agreement import Agreement, compared, named, not_measured
from evaluation.settings.designs import BY_CELL

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.impact.effects import Effects
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign


LAST = "doubly_robust"


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
        return not_measured("without covariates the three estimators are one")
    headlines: list[Effects] = []
    for estimator in (*(each for each in BY_CELL if each != LAST), LAST):
        alone = design.model_copy(update={"estimator": estimator})
        try:
            result = did.estimate(sample, alone, outcome=outcome)
        except EvaluationError as error:
            return not_measured(f"{estimator} cannot be estimated: {error.what}")
        if len(result.skipped):
            return not_measured(f"{estimator} leaves out {len(result.skipped)} cells: other effects are averaged")
        headlines.append(named(result.headline, estimator))
    return compared(headlines, clusters)


def two_way_agrees(
    sample: Sample, design: DidDesign, clusters: pd.DataFrame | None = None, *, outcome: str = "outcome_1"
) -> Agreement:
    """Test that the coefficient of two-way fixed effects is the mean effect on the treated, period by period.

    The mean is that of the effects by cohort and period by regression, whose comparisons are never those of units that
    are treated already (`did`, aggregate simple); W as in `estimators_agree`, one difference.

    Args:
        sample: canonical columns.
        design: its estimator is ignored, all else is used as it is.
        clusters: see `evaluation.impact.inference.covariance`.
        outcome: canonical outcome column.
    """
    try:
        baseline = fixed_effects.estimate(sample, design, outcome=outcome)
        by_cell = did.estimate(sample, design.model_copy(update={"estimator": "regression"}), outcome=outcome)
    except EvaluationError as error:
        return not_measured(error.what)
    if len(by_cell.skipped):
        return not_measured(f"{len(by_cell.skipped)} cells have nobody to be compared with: other effects are averaged")
    if "simple" not in by_cell.aggregates or not by_cell.aggregates["simple"].support().all():
        return not_measured("there is no mean of effects by cohort and period")
    pair = named(baseline.headline, fixed_effects.NAME), named(by_cell.aggregates["simple"], "mean by period")
    return compared(pair, clusters)
