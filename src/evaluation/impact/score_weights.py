"""Weights that follow from a propensity score: which population they make, who is trimmed, where they are cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError
from evaluation.impact.arm_weights import ArmWeights, Weights
from evaluation.impact.covariates import Floats
from evaluation.impact.propensity import Propensity

if TYPE_CHECKING:
    from evaluation.settings.designs import WeightingDesign

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tilt:
    """Weights h(p)/p of the treated and h(p)/(1 - p) of the others, with their derivatives in p.

    Attributes:
        treated, comparison: (n,) weights, were the row in that arm.
        treated_slope, comparison_slope: (n,) derivatives.
    """

    treated: Floats
    comparison: Floats
    treated_slope: Floats
    comparison_slope: Floats


def tilt(estimand: str, p: Floats) -> Tilt:
    """h = 1 for everybody (ate), p for the treated (att), 1 - p for the others (atc), p (1 - p) for overlap (ato).

    Source: Li, Morgan and Zaslavsky (2018), *JASA* 113(521), table 1.
    """
    q, one, zero = 1 - p, np.ones_like(p), np.zeros_like(p)
    if estimand == "ate":
        return Tilt(treated=1 / p, comparison=1 / q, treated_slope=-1 / p**2, comparison_slope=1 / q**2)
    if estimand == "att":
        return Tilt(treated=one, comparison=p / q, treated_slope=zero, comparison_slope=1 / q**2)
    if estimand == "atc":
        return Tilt(treated=q / p, comparison=one, treated_slope=-1 / p**2, comparison_slope=zero)
    return Tilt(treated=q, comparison=p, treated_slope=-one, comparison_slope=one)


def score_weights(model: Propensity, treated: Mask, sampling: Floats, design: WeightingDesign) -> Weights:
    """Weights of both arms from a fitted score; rows that are trimmed get none, and the score is not fitted again.

    For the effect on everybody each arm's weights are stabilised (times the share of the arm), which does not change
    its mean.

    Args:
        model: the score, its slope and its influences.
        treated: (n,) arm.
        sampling: (n,) sampling weights.
        design: estimand, trim, optimal_trim, truncate.

    Raises:
        DataError: trimming leaves an arm empty.

    Source: Hirano, Imbens and Ridder (2003); Lunceford and Davidian (2004) for the influence.
    """
    p, made = model.probability, tilt(design.estimand, model.probability)
    trimmed, said = _trimmed(p, sampling, design)
    _require_untrimmed_arms(treated & ~trimmed, ~treated & ~trimmed, design)
    one = _Side.of(made.treated, made.treated_slope * model.slope, sampling * (treated & ~trimmed))
    zero = _Side.of(made.comparison, made.comparison_slope * model.slope, sampling * (~treated & ~trimmed))
    if design.estimand == "ate":
        share = float(sampling @ treated / sampling.sum())
        one, zero = one.times(share), zero.times(1 - share)
    if design.truncate is not None:
        one, zero = one.truncated(design.truncate), zero.truncated(design.truncate)
    return Weights(
        treated=one.arm(model),
        comparison=zero.arm(model),
        score=p,
        left_out=model.left_out,
        trimmed=trimmed,
        notes=(*_trimming_notes(trimmed, treated, said), *_truncation_notes(one, zero, design)),
    )


# trimming -------------------------------------------------------------------------------------------------------------


def _trimmed(p: Floats, sampling: Floats, design: WeightingDesign) -> tuple[Mask, str]:
    """Rows that are left out, and the rule in words."""
    if design.trim is not None:
        return (p < design.trim) | (p > 1 - design.trim), f"a score within {design.trim:g} of 0 or 1"
    if design.optimal_trim:
        kept = optimal_subset(design.estimand, p, sampling)
        return ~kept, f"a score outside {p[kept].min():.4f} to {p[kept].max():.4f}, where the effect is most precise"
    return np.zeros(len(p), dtype=bool), ""


def optimal_subset(estimand: str, p: Floats, sampling: Floats) -> Mask:
    """Rows on which the effect can be estimated with the smallest variance, were outcomes equally variable.

    With weights h of the estimand the variance on a set A is proportional to sum_A h k / (sum_A h)², k = h / (p (1 -
    p)), and the best set holds the rows with k below a bound: of all such sets the one with the least variance. For ate
    this is Crump's rule 1/(p (1 - p)) <= 2 mean of it in the set.

    Args:
        estimand: ate, att or atc.
        p: (n,) score.
        sampling: (n,) sampling weights.

    Source: Crump, Hotz, Imbens and Mitnik (2009), *Biometrika* 96(1), theorem 1 and section 4 (weighted effects).
    """
    h = {"ate": np.ones_like(p), "att": p, "atc": 1 - p}[estimand]
    k = h / (p * (1 - p))
    order = np.argsort(k, kind="stable")
    weighted = (sampling * h)[order]
    variance = np.cumsum(weighted * k[order]) / np.cumsum(weighted) ** 2
    last = np.r_[np.diff(k[order]) > 0, True]  # rows with the same k stay together
    bound = k[order][last][np.argmin(variance[last])]
    return np.asarray(k <= bound)


def _require_untrimmed_arms(treated: Mask, others: Mask, design: WeightingDesign) -> None:
    if not (treated.any() and others.any()):
        rule = "optimal_trim" if design.trim is None else f"trim: {design.trim}"
        raise DataError(
            code="E-IMP-056",
            what="trimming leaves nobody to compare with",
            found=f"{int(treated.sum())} treated and {int(others.sum())} comparison rows after {rule}",
            expected="at least one of each",
            fix="trim less: scores hardly overlap in this sample",
        )


def _trimming_notes(trimmed: Mask, treated: Mask, rule: str) -> Iterator[str]:
    if trimmed.any():
        yield (
            f"{int((trimmed & treated).sum())} treated and {int((trimmed & ~treated).sum())} comparison units have "
            f"{rule} and are left out: the effect is that on the units that remain, not on all."
        )


# one arm --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Side:
    """Weights of one arm before sampling weights.

    Attributes:
        factor: (n,) weight, were the row in this arm.
        slope: (n,) derivative in the linear predictor of row `source`.
        sampling: (n,) sampling weights, 0 outside the arm and where trimmed.
        source: (n,) row whose score decides; other rows than one's own where weights are cut off.
        cut: (n,) True where the weight is cut off.
    """

    factor: Floats
    slope: Floats
    sampling: Floats
    source: NDArray[np.intp] | None = None
    cut: Mask | None = None

    @classmethod
    def of(cls, factor: Floats, slope: Floats, sampling: Floats) -> _Side:
        return cls(factor=factor, slope=slope, sampling=sampling)

    def times(self, share: float) -> _Side:
        return replace(self, factor=share * self.factor, slope=share * self.slope)

    def truncated(self, quantile: float) -> _Side:
        """Weights above the weight at this quantile of the arm's rows become that weight, and move with it.

        The rank is taken as given: what sampling does to the quantile beyond the score is not in the influence.

        Source: Cole and Hernán (2008), *American Journal of Epidemiology* 168(6).
        """
        rows = np.flatnonzero(self.sampling > 0)
        order = rows[np.argsort(self.factor[rows], kind="stable")]
        reached = np.cumsum(self.sampling[order]) / self.sampling[order].sum()
        last = int(order[min(int(np.searchsorted(reached, quantile)), len(order) - 1)])
        cut = (self.sampling > 0) & (self.factor > self.factor[last])
        source = np.where(cut, last, np.arange(len(cut)))
        return replace(self, factor=self.factor[source], slope=self.slope[source], source=source, cut=cut)

    def arm(self, model: Propensity) -> ArmWeights:
        slope = self.sampling * self.slope

        def pull(values: Floats) -> Floats:
            moved = values * slope
            by_row = moved if self.source is None else np.bincount(self.source, moved, len(moved))
            return np.asarray(model.design.T @ by_row)

        return ArmWeights(
            weights=self.sampling * self.factor,
            pull=pull,
            carry=lambda gradient: np.asarray(model.influence @ gradient),
        )


def _truncation_notes(one: _Side, zero: _Side, design: WeightingDesign) -> Iterator[str]:
    cut = [0 if side.cut is None else int(side.cut.sum()) for side in (one, zero)]
    if any(cut):
        yield (
            f"Weights above the {design.truncate:.1%} quantile of their arm are lowered to it: {cut[0]} of the "
            f"treated, {cut[1]} of the comparison. Means are then not quite those that are aimed at."
        )
