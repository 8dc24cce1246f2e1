"""Weights for a population that is not the sample: its covariate means are known, from a census or another survey."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evaluation.errors import ParametersError
from evaluation.impact.arm_weights import ArmWeights
from evaluation.impact.balance import effective_size
from evaluation.impact.balancing import calibrate
from evaluation.impact.covariates import Covariates, Floats


def population_weights(covariates: Covariates, sampling: Floats, means: Mapping[str, float]) -> ArmWeights:
    """Weights of all rows with the covariate means of the population; covariates without a mean follow along.

    Args:
        covariates: (n, k), complete.
        sampling: (n,) sampling weights.
        means: by label, "age" or "sex = female"; taken as known without error.

    Raises:
        ParametersError: a label that no covariate has.
        DataError: no positive weights reach the means.
    """
    places = [_place(covariates, label) for label in means]
    part = Covariates(
        matrix=covariates.matrix[:, places],
        labels=tuple(covariates.labels[place] for place in places),
        columns=tuple(covariates.columns[place] for place in places),
    )
    return calibrate(part, sampling, np.array(list(means.values()), dtype=float)).arm


def describe(weights: ArmWeights, means: Mapping[str, float]) -> str:
    """What was aimed at, and what it costs."""
    named = ", ".join(f"{label} {mean:g}" for label, mean in means.items())
    n = len(weights.weights)
    return (
        f"The effect is that in a population with the means {named}, taken as known; the sample weighted to it is "
        f"worth {effective_size(weights.weights):.0f} of {n} units. It holds there only if nothing else that changes "
        "the effect differs between sample and population."
    )


def _place(covariates: Covariates, label: str) -> int:
    if label not in covariates.labels:
        raise ParametersError(
            code="E-IMP-231",
            what="the target population has a mean of something that is no covariate",
            where=f"target: {label}",
            found=label,
            expected=", ".join(covariates.labels),
            fix="name a covariate, or 'covariate = level' for a category (its first level follows from the others)",
        )
    return covariates.labels.index(label)
