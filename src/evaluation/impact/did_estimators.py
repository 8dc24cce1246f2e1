"""Which function estimates a difference-in-differences; all take the same and return the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from evaluation.impact import did, did_matched, did_triple, fixed_effects, imputation, stacked, sun_abraham

if TYPE_CHECKING:
    from evaluation.impact.did_result import DidResult
    from evaluation.sample import Sample
    from evaluation.settings.designs import DidDesign

ESTIMATORS: Mapping[str, Callable[..., DidResult]] = {
    "doubly_robust": did.estimate,
    "regression": did.estimate,
    "inverse_probability": did.estimate,
    "imputation": imputation.estimate,
    "sun_abraham": sun_abraham.estimate,
    "stacked": stacked.estimate,
    "two_way_fixed_effects": fixed_effects.estimate,
}


def estimate(sample: Sample, design: DidDesign, *, outcome: str = "outcome_1") -> DidResult:
    """The result of `design.estimator`, after matching or as triple differences where the design says so.

    Raises:
        EvaluationError: what the estimator raises.
    """
    if design.match is not None:
        return did_matched.estimate(sample, design, outcome=outcome)
    if design.eligible is not None:
        return did_triple.estimate(sample, design, outcome=outcome)
    return ESTIMATORS[design.estimator](sample, design, outcome=outcome)
