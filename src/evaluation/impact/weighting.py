"""Weighting: the untreated, weighted until they resemble the treated (or both arms until they resemble everybody).

The weights are estimated, and the influence of each unit on them is carried to the effect (M-estimation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.balancing import balance
from evaluation.impact.covariates import Covariates, Floats, model_matrix
from evaluation.impact.cross_section import (
    Block,
    CrossSection,
    clusters_of,
    difference_in_means,
    effects_of_rows,
    labels,
    observed,
    outcomes_of,
    raw_difference,
    require_both_arms,
    role_of,
)
from evaluation.impact.propensity import Propensity, fit_propensity

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import Outcome, WeightingDesign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmWeights:
    """Weights of one arm as a function of k estimated parameters.

    Attributes:
        weights: (n,) 0 outside the arm.
        slope: (n, k) derivative of each weight with respect to the parameters.
        influence: (n, k) influence of each row on the parameters.
    """

    weights: Floats
    slope: Floats
    influence: Floats

    def mean(self, outcome: Floats, known: NDArray[np.bool_]) -> tuple[float, Floats]:
        """Weighted mean over rows whose outcome is known, and its influence (n,).

        influence = {w (y - mu) + b' mean[(y - mu) dw]} / mean(w), b the influence on the parameters.
        """
        weights = np.where(known, self.weights, 0.0)
        mean = float(weights @ outcome / weights.sum())
        deviation = np.where(known, outcome - mean, 0.0)
        through_weights = self.influence @ (deviation @ self.slope / len(outcome))
        return mean, (weights * deviation + through_weights) / weights.mean()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Weights of both arms.

    Attributes:
        treated, comparison: each arm's weights.
        score: (n,) propensity score; None for entropy balancing.
        left_out: labels of covariates that add nothing to earlier ones.
        trimmed: (n,) rows that are left out because of an extreme score.
    """

    treated: ArmWeights
    comparison: ArmWeights
    score: Floats | None
    left_out: tuple[str, ...]
    trimmed: NDArray[np.bool_]

    @property
    def both(self) -> Floats:
        """(n,) weights of all rows."""
        return self.treated.weights + self.comparison.weights


def estimate(sample: Sample, design: WeightingDesign) -> CrossSection:
    """Average effect on everybody (ate) or on the treated (att) by weighting: difference of two weighted means (Hájek).

    Args:
        sample: one row a unit; covariates complete.
        design: weights, estimand, trim.

    Returns:
        Effects (all outcomes, then the raw difference), weights, score and notes.

    Raises:
        DataError: an arm is empty (also after trimming), covariates separate the arms, or no weights balance them.
    """
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    weights = arm_weights(sample, design)
    blocks = [_outcome_block(sample, design, weights, *pair) for pair in outcomes_of(design)]
    return CrossSection(
        estimand=design.estimand,
        blocks=(*blocks, raw_difference(sample, design)),
        balance_weights=weights.both,
        score=weights.score,
        notes=tuple(_notes(sample, design, weights)),
    )


def arm_weights(sample: Sample, design: WeightingDesign) -> Weights:
    """Weights of both arms, by the design's method."""
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    sampling = np.asarray(sample.frame["weight"], dtype=float)
    covariates = model_matrix(sample.frame, sample.names)
    make = _inverse_probability if design.weights == "inverse_probability" else _entropy_balancing
    return make(covariates, treated, sampling, design)


def _inverse_probability(
    covariates: Covariates, treated: NDArray[np.bool_], sampling: Floats, design: WeightingDesign
) -> Weights:
    """ate: 1/p for the treated, 1/(1 - p) for the others; att: 1 and the odds p/(1 - p). p from a logit.

    Source: Hirano, Imbens and Ridder (2003); Lunceford and Davidian (2004) for the influence.
    """
    model = fit_propensity(covariates, treated, sampling)
    p, trimmed = model.probability, _trimmed(model.probability, design)
    _require_untrimmed_arms(treated & ~trimmed, ~treated & ~trimmed, design)
    one, zero = np.where(treated & ~trimmed, sampling, 0.0), np.where(~treated & ~trimmed, sampling, 0.0)
    to_zero = zero * model.slope / (1 - p) ** 2
    if design.estimand == "ate":
        arms = _arm(model, one / p, -one * model.slope / p**2), _arm(model, zero / (1 - p), to_zero)
    else:
        arms = _arm(model, one, np.zeros_like(p)), _arm(model, zero * p / (1 - p), to_zero)
    return Weights(treated=arms[0], comparison=arms[1], score=p, left_out=model.left_out, trimmed=trimmed)


def _trimmed(probability: Floats, design: WeightingDesign) -> NDArray[np.bool_]:
    if design.trim is None:
        return np.zeros(len(probability), dtype=bool)
    return (probability < design.trim) | (probability > 1 - design.trim)


def _require_untrimmed_arms(treated: NDArray[np.bool_], others: NDArray[np.bool_], design: WeightingDesign) -> None:
    if not (treated.any() and others.any()):
        raise DataError(
            code="E-IMP-056",
            what="trimming leaves nobody to compare with",
            found=f"{int(treated.sum())} treated and {int(others.sum())} comparison rows after trim: {design.trim}",
            expected="at least one of each",
            fix="trim less: scores hardly overlap in this sample",
        )


def _arm(model: Propensity, weights: Floats, slope: Floats) -> ArmWeights:
    return ArmWeights(weights=weights, slope=slope[:, None] * model.design, influence=model.influence)


def _entropy_balancing(
    covariates: Covariates, treated: NDArray[np.bool_], sampling: Floats, design: WeightingDesign
) -> Weights:
    """Arms with exactly the covariate means of the target: the treated (att) or everybody (ate).

    Source: Hainmueller (2012); Zhao and Percival (2017).
    """
    target = sampling if design.estimand == "ate" else np.where(treated, sampling, 0.0)
    comparison, left_out = _balanced(covariates, ~treated, sampling, target)
    if design.estimand == "ate":
        one, also_left_out = _balanced(covariates, treated, sampling, target)
    else:
        one, also_left_out = _fixed(target), ()
    return Weights(
        treated=one,
        comparison=comparison,
        score=None,
        left_out=tuple(dict.fromkeys((*left_out, *also_left_out))),
        trimmed=np.zeros(len(treated), dtype=bool),
    )


def _balanced(
    covariates: Covariates, arm: NDArray[np.bool_], sampling: Floats, target: Floats
) -> tuple[ArmWeights, tuple[str, ...]]:
    """Balanced weights of one arm; the influence on the dual is H⁻¹ C (target - w), H = mean(w C C')."""
    found = balance(covariates, arm, sampling, target)
    moments, w = found.moments, found.weights
    r = np.asarray(np.linalg.qr(moments * np.sqrt(w / len(w))[:, None], mode="r"))
    half = np.linalg.solve(r.T, (moments * (target - w)[:, None]).T)
    influence = np.linalg.solve(r, half).T
    return ArmWeights(weights=w, slope=w[:, None] * moments, influence=influence), found.left_out


def _fixed(weights: Floats) -> ArmWeights:
    nothing = np.zeros((len(weights), 0))
    return ArmWeights(weights=weights, slope=nothing, influence=nothing)


def _outcome_block(sample: Sample, design: WeightingDesign, weights: Weights, column: str, outcome: Outcome) -> Block:
    row, clusters = labels(design.estimand, outcome, role_of(outcome)), clusters_of(sample)
    known = observed(sample.frame, column)
    kind = design.inference.std_error or "influence"
    if kind != "influence":
        used = known & (weights.both > 0)
        effects = difference_in_means(sample.frame[used], column, row, weights.both[used])
        return Block(effects=effects, kind=kind, clusters=clusters)
    values = np.asarray(sample.frame[column].fillna(0.0), dtype=float)
    (one, of_one), (zero, of_zero) = weights.treated.mean(values, known), weights.comparison.mean(values, known)
    effects = effects_of_rows(sample.frame, one - zero, of_one - of_zero, row, scale=float(np.abs(values).max()))
    return Block(effects=effects, kind=kind, clusters=clusters)


def _notes(sample: Sample, design: WeightingDesign, weights: Weights) -> Iterator[str]:
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    yield (
        f"Largest weight of one unit: {_largest(weights.treated)} of the treated, "
        f"{_largest(weights.comparison)} of the comparison."
    )
    if weights.trimmed.any():
        yield (
            f"{int((weights.trimmed & treated).sum())} treated and {int((weights.trimmed & ~treated).sum())} "
            f"comparison units have a score within {design.trim:g} of 0 or 1 and are left out: the effect is that on "
            "the units that remain, not on all."
        )
    if weights.left_out:
        yield f"Left out because they add nothing to earlier covariates: {', '.join(weights.left_out)}."
    if design.territory is not None:
        yield "Effects by territory are not estimated by weighting."


def _largest(arm: ArmWeights) -> str:
    return f"{arm.weights.max() / arm.weights.sum():.1%}"
