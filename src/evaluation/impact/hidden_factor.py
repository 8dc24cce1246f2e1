"""How strong something that nobody measured would have to be, held against what was measured.

The yardsticks belong to the regression of the outcome on treatment and covariates on all units, with sampling weights
alone. After matching or weighting covariates hardly say who is treated any more, and against that every hidden factor
looks enormous; what covariates could do before is what a reader can compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact import checks, sensitivity
from evaluation.impact.covariates import model_matrix
from evaluation.impact.cross_section import observed, outcomes_of
from evaluation.impact.overturn import UNBOUNDED

if TYPE_CHECKING:
    from evaluation.impact.checks import Check
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design

SENSITIVITY, ROBUSTNESS = "identification.sensitivity", "sensitivity.robustness_value"
Hidden = sensitivity.OmittedVariable | str


def hidden_factor(sample: Sample, design: Design) -> Hidden:
    """What an omitted variable would have to explain to erase the effect on the primary outcome, or why nobody knows.

    Source: Cinelli and Hazlett (2020).
    """
    column = outcomes_of(design)[0][0]
    frame = sample.frame[observed(sample.frame, column)]
    covariates = model_matrix(frame, sample.names)
    if not covariates.labels:
        return "no covariates are named that a hidden factor could be held against"
    outcome, treated, weight = (frame[name].to_numpy(dtype=float) for name in (column, "treated", "weight"))
    try:
        with np.errstate(divide="ignore"):  # covariates that explain all of the outcome
            return sensitivity.omitted_variable(outcome, treated, covariates, weight)
    except EvaluationError as error:
        return error.what


def hidden_factor_checks(found: Hidden) -> tuple[Check, Check]:
    """The multiple of the strongest covariate, which the rubric judges, and the robustness value."""
    if isinstance(found, str):
        return checks.not_run(SENSITIVITY, found), checks.not_run(ROBUSTNESS, found)
    multiple = min(found.multiple, UNBOUNDED)
    strongest = found.benchmarks.loc[found.benchmarks["multiple"].idxmin()]
    regression = f"the {found.estimate:.6g} of the regression on all units"
    as_strong = (
        f"a hidden factor {multiple:.3g} times as strong as {strongest['covariate']} (which explains "
        f"{strongest['r2_treatment']:.1%} of the rest of treatment and {strongest['r2_outcome']:.1%} of that of the "
        f"outcome) would bring {regression} to zero"
    )
    alone = (
        f"a factor that explains {found.robustness_value:.1%} of what is left of both treatment and outcome brings "
        f"{regression} to zero, {found.robustness_value_interval:.1%} its interval"
    )
    return (
        checks.measured(SENSITIVITY, multiple, as_strong, str(strongest["covariate"])),
        checks.measured(ROBUSTNESS, found.robustness_value, alone),
    )


def contour_points(found: Hidden) -> pd.DataFrame:
    """What the contour figure needs: estimate, error and degrees of freedom, and the covariates as points."""
    if isinstance(found, str):
        return pd.DataFrame()
    points = found.benchmarks.assign(estimate=found.estimate, std_error=found.std_error, df=found.df)
    return points.assign(multiple=points["multiple"].clip(upper=UNBOUNDED))
