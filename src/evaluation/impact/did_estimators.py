"""Which function estimates a difference-in-differences; all take the same and return the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from evaluation.errors import ParametersError
from evaluation.impact import did

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

ESTIMATORS: Mapping[str, Callable[..., DidResult]] = {
    "doubly_robust": did.estimate,
    "regression": did.estimate,
    "inverse_probability": did.estimate,
}


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """The result of `design.estimator`.

    Raises:
        ParametersError: an estimator that is not implemented.
        EvaluationError: what the estimator raises.
    """
    if design.estimator not in ESTIMATORS:
        raise ParametersError(
            code="E-IMP-032",
            what="this difference-in-differences is not implemented",
            found=f"estimator {design.estimator}",
            expected=", ".join(ESTIMATORS),
        )
    return ESTIMATORS[design.estimator](sample, design, outcome=outcome)
