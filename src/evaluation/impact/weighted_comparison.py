"""Two arms made comparable by weights, by models of treatment and outcome, or both, ready for any outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.impact import doubly_robust
from evaluation.impact.arm_weights import ArmWeights, RowEffect, Weights
from evaluation.impact.balancing import balance
from evaluation.impact.covariate_balancing import balancing_score
from evaluation.impact.covariates import Covariates, Floats, model_matrix
from evaluation.impact.cross_section import effects_of_rows, observed
from evaluation.impact.doubly_robust import AugmentedWeights
from evaluation.impact.effects import Effects
from evaluation.impact.propensity import fit_propensity
from evaluation.impact.score_weights import score_weights
from evaluation.impact.target_population import describe, population_weights

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import WeightingDesign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """The arms made comparable, before any outcome is looked at.

    Attributes:
        weights: of both arms.
        models: a doubly robust comparison, if the design asks for one.
    """

    weights: Weights
    models: AugmentedWeights | None = None

    def effect(self, sample: Sample, column: str) -> RowEffect:
        """The effect on a canonical column, from the rows that know it."""
        values = np.asarray(sample.frame[column].fillna(0.0), dtype=float)
        return (self.models or self.weights).effect(values, observed(sample.frame, column))


def as_effects(sample: Sample, found: RowEffect, column: str, row: pd.DataFrame) -> Effects:
    """One effect with the influence of each unit, under the labels of one row."""
    scale = float(np.abs(sample.frame[column].fillna(0.0)).max())
    return effects_of_rows(sample.frame, found.estimate, found.influence, row, scale=scale)


def compare(sample: Sample, design: WeightingDesign) -> Comparison:
    """Weights of both arms, and models of the outcome where these are wanted, by the design."""
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    sampling = np.asarray(sample.frame["weight"], dtype=float)
    covariates = model_matrix(sample.frame, sample.names)
    if design.doubly_robust is not None:
        models = doubly_robust.fit(covariates, treated, sampling, _groups(sample), design, design.doubly_robust)
        return Comparison(weights=models.weights, models=models)
    return Comparison(weights=_arm_weights(covariates, treated, sampling, design))


def _groups(sample: Sample) -> NDArray[np.intp]:
    """(n,) what must not be torn apart by folds: clusters, or units."""
    column = "cluster_1" if "cluster_1" in sample.frame else "unit"
    return np.asarray(pd.factorize(sample.frame[column])[0], dtype=np.intp)


def _arm_weights(
    covariates: Covariates, treated: NDArray[np.bool_], sampling: Floats, design: WeightingDesign
) -> Weights:
    if design.weights == "entropy_balancing":
        return _entropy_balancing(covariates, treated, sampling, design)
    if design.weights == "inverse_probability":
        model = fit_propensity(covariates, treated, sampling)
    else:
        model = balancing_score(covariates, treated, sampling, estimand=design.estimand)
    return score_weights(model, treated, sampling, design)


def _entropy_balancing(
    covariates: Covariates, treated: NDArray[np.bool_], sampling: Floats, design: WeightingDesign
) -> Weights:
    """Arms with the covariate means of the target: the treated (att), the others (atc), everybody, or a population.

    Source: Hainmueller (2012); Zhao and Percival (2017).
    """
    wanted, notes = _target(covariates, treated, sampling, design)
    focal = {"att": treated, "atc": ~treated}.get(design.estimand)
    arms: list[ArmWeights] = []
    left_out: list[str] = []
    for arm in (treated, ~treated):
        if focal is not None and (arm == focal).all():
            arms.append(wanted)
            continue
        found = balance(covariates, arm, sampling, wanted, tolerance=design.tolerance or 0.0)
        arms.append(found.arm)
        left_out += found.left_out
        if design.tolerance:
            notes += (_held(found.active, design.tolerance),)
    return Weights(
        treated=arms[0],
        comparison=arms[1],
        score=None,
        left_out=tuple(dict.fromkeys(left_out)),
        trimmed=np.zeros(len(treated), dtype=bool),
        notes=notes,
    )


def _target(
    covariates: Covariates, treated: NDArray[np.bool_], sampling: Floats, design: WeightingDesign
) -> tuple[ArmWeights, tuple[str, ...]]:
    """Weights of the rows whose means both arms are to have."""
    if design.target is not None:
        weights = population_weights(covariates, sampling, design.target)
        return weights, (describe(weights, design.target),)
    focal = {"att": treated, "atc": ~treated}.get(design.estimand)
    return ArmWeights(weights=sampling if focal is None else np.where(focal, sampling, 0.0)), ()


def _held(active: tuple[str, ...], tolerance: float) -> str:
    names = ", ".join(active) or "none"
    return f"Means may differ by {tolerance:g} standard deviations; those that would differ by more are: {names}."
