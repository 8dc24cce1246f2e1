"""From matched sets to effects: what is done to the outcome, and which standard errors go with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import ParametersError
from evaluation.impact import inference
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
from evaluation.impact.cross_section import (
    Block,
    arms_of,
    clusters_of,
    difference_in_means,
    effects_of_rows,
    labels,
    observed,
    require_both_arms,
    role_of,
)
from evaluation.impact.distances import Space
from evaluation.impact.effects import Effects, concat
from evaluation.impact.matched import (
    MatchedSets,
    Matches,
    Sets,
    conditional_variances,
    corrected,
    martingale_influence,
    residuals,
)
from evaluation.impact.regression import weighted_least_squares
from evaluation.impact.score_error import score_adjustment
from evaluation.impact.strata import Strata

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import MatchingDesign, Outcome

Mask = NDArray[np.bool_]

BY_REGRESSION = ("regression", "g_computation")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A sample, its design, where its units stand, and who was matched with whom."""

    sample: Sample
    design: MatchingDesign
    space: Space
    found: Matches | Strata

    @property
    def treated(self) -> Mask:
        """(n,) arm."""
        return np.asarray(self.sample.frame["treated"], dtype=bool)

    @property
    def weights(self) -> Floats:
        """(n,) sampling weights."""
        return np.asarray(self.sample.frame["weight"], dtype=float)

    @property
    def covariates(self) -> Floats:
        """(n, k) of models of the outcome."""
        return model_matrix(self.sample.frame, self.sample.names).matrix

    def sets(self, column: str | None = None, among: Mask | None = None) -> Sets:
        """The sets in which an outcome is known, of focal units among some."""
        known = None if column is None else observed(self.sample.frame, column)
        return self.found.sets(self.weights, known, among)

    def values(self, column: str) -> Floats:
        """The outcome, with 0 where it is missing (rows that no usable set contains)."""
        return np.asarray(self.sample.frame[column].fillna(0.0), dtype=float)


def outcome_block(case: Case, column: str, outcome: Outcome) -> Block:
    """The effect on one outcome; sets in which it is missing are left out for this outcome."""
    return _block(case, column, labels(case.design.estimand, outcome, role_of(outcome)), [None])


def group_block(case: Case, column: str, rows: pd.DataFrame, groups: Sequence[Mask]) -> Block:
    """Effects on the focal units of several groups, with their joint covariance, and differences to the first group.

    Args:
        case: what was matched.
        column: canonical outcome column.
        rows: labels of the groups, then of the differences.
        groups: (n,) each.
    """
    block = _block(case, column, rows.iloc[: len(groups)], groups)
    others = len(groups) - 1
    combine = np.vstack([np.eye(len(groups)), np.hstack([-np.ones((others, 1)), np.eye(others)])])
    effects, own = block.effects.contrast(combine, rows), block.covariance
    if own is not None:
        own = replace(own, matrix=combine @ own.matrix @ combine.T, df=np.full(len(rows), np.inf))
    return replace(block, effects=effects, covariance=own)


def _block(case: Case, column: str, rows: pd.DataFrame, groups: Sequence[Mask | None]) -> Block:
    clusters = clusters_of(case.sample)
    kind = case.design.inference.std_error or _default_kind(case.design, clusters)
    _require_possible(case, kind)
    sets = [case.sets(column, among) for among in groups]
    if kind == "abadie_imbens" or case.design.adjustment == "bias_correction" or _by_martingale(case, kind):
        return _one_by_one(case, column, rows, [each for each in sets if isinstance(each, MatchedSets)], kind)
    make = _by_regression if case.design.adjustment in BY_REGRESSION else _by_means
    parts = [make(case, column, rows.iloc[[k]], each) for k, each in enumerate(sets)]
    effects = parts[0] if len(parts) == 1 else concat(parts)
    if kind == "pairs":
        whole = case.sets(column, _any_of(groups))
        kind, clusters = "cr1", _set_clusters(case.sample, whole)
    return Block(effects=effects, kind=kind, clusters=clusters)


def _any_of(groups: Sequence[Mask | None]) -> Mask | None:
    known = [group for group in groups if group is not None]
    return np.asarray(np.any(known, axis=0)) if known else None


def _by_martingale(case: Case, kind: str) -> bool:
    return kind == "influence" and case.design.replace and case.design.adjustment == "none"


def _default_kind(design: MatchingDesign, clusters: pd.DataFrame | None) -> str:
    if design.adjustment == "bias_correction" or (design.replace and design.adjustment == "none"):
        return "abadie_imbens" if clusters is None else "influence"
    if not design.replace:
        return "pairs"
    return "hc3" if clusters is None else "cr2"


def _require_possible(case: Case, kind: str) -> None:
    design = case.design
    if kind == "pairs" and design.replace:
        raise ParametersError(
            code="E-IMP-054",
            what="pairs are no clusters where a comparison unit may serve in several of them",
            found="std_error: pairs with replace: true",
            expected="std_error: abadie_imbens, or replace: false",
        )
    if kind == "abadie_imbens" and (isinstance(case.found, Strata) or design.adjustment in BY_REGRESSION):
        raise ParametersError(
            code="E-IMP-203",
            what="Abadie-Imbens errors are those of differences between units and their nearest neighbours",
            found=f"std_error: abadie_imbens with sets: {design.sets}, adjustment: {design.adjustment}",
            expected="std_error: pairs, or hc0 to hc3",
        )
    if design.adjustment == "bias_correction" and kind not in ("abadie_imbens", "influence"):
        raise ParametersError(
            code="E-IMP-204",
            what="differences that are corrected one by one are no coefficient of a regression",
            found=f"std_error: {kind} with adjustment: bias_correction",
            expected="std_error: abadie_imbens or influence, or adjustment: regression",
        )


# differences of units and their partners ------------------------------------------------------------------------------


def _one_by_one(case: Case, column: str, rows: pd.DataFrame, sets: Sequence[MatchedSets], kind: str) -> Block:
    """Mean differences of focal units and their partners, one column for each group of sets."""
    outcome, design = case.values(column), case.design
    sign = np.where(case.treated[sets[0].matches.focal], 1.0, -1.0)
    gaps = [sign * _differences(case, each, outcome) for each in sets]
    estimates = [_mean(each.focal_weights, gap) for each, gap in zip(sets, gaps, strict=True)]
    effects = _influences(case, sets, outcome, estimates, rows)
    if kind != "abadie_imbens":
        return Block(effects=effects, kind=kind, clusters=clusters_of(case.sample))
    whole = sets[0] if len(sets) == 1 else _together(sets)
    spread = conditional_variances(
        whole,
        _noise(case, whole, outcome),
        observed(case.sample.frame, column),
        case.space.points,
        case.treated,
        design.conditional_variance,
    )
    covariance = inference.abadie_imbens(
        gaps[0] if len(sets) == 1 else sign * _differences(case, whole, outcome),
        np.column_stack([each.focal_weights for each in sets]),
        _reuse(sets),
        spread,
        score=_score_term(case, outcome, estimates) if len(sets) == 1 else None,
    )
    return Block(effects=effects, kind=kind, covariance=covariance)


def _mean(weights: Floats, values: Floats) -> float:
    return float(weights @ values / weights.sum())


def _differences(case: Case, sets: MatchedSets, outcome: Floats) -> Floats:
    if case.design.adjustment == "bias_correction":
        return corrected(sets, outcome, case.covariates, case.treated)
    return sets.differences(outcome)


def _noise(case: Case, sets: MatchedSets, outcome: Floats) -> Floats:
    """What conditional variances are taken of: where the bias of the distance is corrected, it must not enter them."""
    if case.design.adjustment == "bias_correction":
        return residuals(sets, outcome, case.covariates, case.treated)
    return outcome


def _together(sets: Sequence[MatchedSets]) -> MatchedSets:
    """All groups of sets at once; a focal unit is in one of them."""
    return MatchedSets(matches=sets[0].matches, shares=np.max([each.shares for each in sets], axis=0))


def _reuse(sets: Sequence[MatchedSets]) -> Floats:
    """(n, K, K) for groups of focal units that do not overlap, see `inference.abadie_imbens`."""
    own = np.column_stack([each.by_focal(each.focal_weights) for each in sets])
    total = own + np.column_stack([each.by_partner() for each in sets])
    squares = own**2 + np.column_stack([each.by_partner(power=2) for each in sets])
    out = total[:, :, None] * total[:, None, :]
    out[:, np.arange(len(sets)), np.arange(len(sets))] -= squares
    return out


def _score_term(case: Case, outcome: Floats, estimates: Sequence[float]) -> Floats | None:
    if case.design.score_error == "ignored" or case.space.model is None:
        return None
    term = score_adjustment(case.space.model, outcome, case.treated, estimates[0], case.design.estimand)
    return np.array([[term]])


def _influences(
    case: Case, sets: Sequence[MatchedSets], outcome: Floats, estimates: Sequence[float], rows: pd.DataFrame
) -> Effects:
    scale = float(np.abs(outcome).max())
    parts = []
    for k, (each, estimate) in enumerate(zip(sets, estimates, strict=True)):
        used, influence = martingale_influence(each, outcome, case.covariates, case.treated)
        frame = case.sample.frame.iloc[used]
        parts.append(effects_of_rows(frame, estimate, influence, rows.iloc[[k]], scale=scale))
    return parts[0] if len(parts) == 1 else concat(parts)


# weighted regressions on the matched sample ---------------------------------------------------------------------------


def _by_means(case: Case, column: str, row: pd.DataFrame, sets: Sets) -> Effects:
    weights = sets.weights()
    used = weights > 0
    return difference_in_means(case.sample.frame[used], column, row, weights[used])


def _by_regression(case: Case, column: str, row: pd.DataFrame, sets: Sets) -> Effects:
    """regression: outcome on treatment and covariates. g_computation: also on treatment times covariates.

    Covariates are centred at the weighted means of the focal units, so that the coefficient of treatment is the mean of
    the predicted differences over them (Lin 2013; the means are taken as fixed, as in R's marginaleffects). Weights
    have mean 1 in each arm (MatchIt's convention), which matters where slopes are common to both.
    """
    weights = sets.weights()
    used = weights > 0
    frame, treated = case.sample.frame[used], case.treated[used]
    require_both_arms(treated)
    w = weights[used] / np.where(treated, weights[used][treated].mean(), weights[used][~treated].mean())
    covariates = model_matrix(frame, case.sample.names)
    focal = {"att": treated, "atc": ~treated, "ate": np.ones_like(treated)}[case.design.estimand]
    x = covariates.matrix - np.average(covariates.matrix[focal], axis=0, weights=w[focal])
    columns, names = [np.ones((len(frame), 1)), treated[:, None].astype(float), x], ["intercept", "treated"]
    names += covariates.labels
    if case.design.adjustment == "g_computation":
        columns, names = (
            [*columns, treated[:, None] * x],
            [*names, *(f"treated x {name}" for name in covariates.labels)],
        )
    design = np.hstack(columns)
    kept = independent_columns(design, w)
    fit = weighted_least_squares(
        frame[column].to_numpy(dtype=float), design[:, kept], [n for n, k in zip(names, kept, strict=True) if k], w
    )
    units = pd.Index(frame["unit"])
    pick = np.array([name == "treated" for name in fit.names], dtype=float)
    return fit.to_effects(pick, row, units=units, arms=arms_of(units, treated))


def _set_clusters(sample: Sample, sets: Sets) -> pd.DataFrame:
    """Matched set of each unit that has one, with the design's own clusters beside it."""
    rows, numbers = sets.members
    table = pd.DataFrame({"matched set": numbers}, index=pd.Index(sample.frame["unit"].to_numpy()[rows], name="unit"))
    own = clusters_of(sample)
    return table if own is None else table.join(own, how="left")
