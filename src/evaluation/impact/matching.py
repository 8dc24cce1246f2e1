"""Matching: each treated unit against the untreated units that resemble it most.

Design and outcome are apart: partners are chosen from covariates alone, once for all outcomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError, ParametersError
from evaluation.impact import inference
from evaluation.impact.covariates import Floats, independent_columns, model_matrix
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
from evaluation.impact.effects import Effects
from evaluation.impact.matched import MatchedSets, Matches, Variance, conditional_variances, martingale_influence
from evaluation.impact.neighbours import NOBODY, Rows, nearest_with_replacement, nearest_without_replacement
from evaluation.impact.propensity import fit_propensity

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import MatchingDesign, Outcome

# Scores are rounded to this many decimals: units with the same covariates must have the same score on every machine.
_SCORE_DECIMALS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Where units stand, and so what "near" means.

    Attributes:
        points: (n, d): one column for a score, several for Mahalanobis (Euclidean distance of these points).
        score: (n,) probability of treatment; None for Mahalanobis.
        left_out: labels of covariates that add nothing to earlier ones.
    """

    points: Floats
    score: Floats | None
    left_out: tuple[str, ...] = ()


def estimate(sample: Sample, design: MatchingDesign, *, variance: Variance = "heteroskedastic") -> CrossSection:
    """Average effect on the treated (att) or on the comparison units (atc) by nearest-neighbour matching.

    The effect is the mean over matched focal units of outcome less mean outcome of the partners (sign turned for atc).
    Standard errors: without replacement a regression of the matched sample on treatment with matched sets as clusters
    (CR1; Abadie and Spiess 2022); with replacement Abadie and Imbens (2006), with clusters the sum of influences by
    cluster, which is an approximation. Sampling weights weigh focal units.

    Args:
        sample: one row a unit; covariates complete.
        design: distance, ratio, replace, caliper, exact, order, estimand.
        variance: of the outcome given covariates in Abadie-Imbens errors, see `matched.conditional_variances`.

    Returns:
        Effects (all outcomes, then the raw difference), weights after matching, score and notes.

    Raises:
        DataError: an arm is empty, no unit finds a partner, or covariates separate the arms.
        ParametersError: `std_error: pairs` with replacement.
    """
    require_both_arms(sample.frame["treated"].to_numpy(dtype=bool))
    space = place_units(sample, design)
    matches = match(sample.frame, space, design)
    _require_matches(matches, design)
    blocks = [_outcome_block(sample, design, space, matches, variance, *pair) for pair in outcomes_of(design)]
    return CrossSection(
        estimand=design.estimand,
        blocks=(*blocks, raw_difference(sample, design)),
        balance_weights=matches.sets(_weights(sample.frame)).weights(),
        score=space.score,
        notes=tuple(_notes(design, space, matches)),
    )


def place_units(sample: Sample, design: MatchingDesign) -> Space:
    """Put every unit where its distance to others can be measured.

    propensity_logit and propensity_probit use the probability of treatment, linear_logit its log odds. mahalanobis uses
    the pooled covariance within arms, d(i, j)² = (x_i - x_j)' S⁻¹ (x_i - x_j) (Rubin 1980; MatchIt's convention).
    Without covariates all units stand in one place, and only `exact` and the order of ids decide.
    """
    covariates = model_matrix(sample.frame, sample.names)
    if not covariates.labels:
        return Space(points=np.zeros((len(sample.frame), 1)), score=None)
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    if design.distance == "mahalanobis":
        return _mahalanobis(covariates.matrix, covariates.labels, treated)
    link: Literal["logit", "probit"] = "probit" if design.distance == "propensity_probit" else "logit"
    model = fit_propensity(covariates, treated, _weights(sample.frame), link=link)
    score = model.linear if design.distance == "linear_logit" else model.probability
    points = np.round(score, _SCORE_DECIMALS)[:, None]
    return Space(points=points, score=model.probability, left_out=model.left_out)


def _mahalanobis(matrix: Floats, names: tuple[str, ...], treated: NDArray[np.bool_]) -> Space:
    """Points whose Euclidean distance is the Mahalanobis distance: x A with A A' = S⁻¹.

    Equal covariates must give equal points to the last digit, so each different unit is computed once. The first column
    decides ties (see `neighbours`): it belongs to the covariate that the others explain best, as in MatchIt.
    """
    within = matrix - np.where(treated[:, None], matrix[treated].mean(axis=0), matrix[~treated].mean(axis=0))
    within[:, np.abs(within).max(axis=0) <= 1e-12 * np.abs(matrix).max(axis=0)] = 0.0
    kept = independent_columns(within)
    left_out = tuple(np.array(names, dtype=object)[~kept])
    if not kept.any():
        return Space(points=np.zeros((len(matrix), 1)), score=None, left_out=left_out)
    scale = np.sqrt((within[:, kept] ** 2).sum(axis=0) / (len(matrix) - 2))
    whiten = _whitening(within[:, kept] / scale) * np.sqrt(len(matrix) - 2)
    different, place = np.unique(matrix[:, kept], axis=0, return_inverse=True)
    return Space(points=((different / scale) @ whiten)[place.ravel()], score=None, left_out=left_out)


def _whitening(deviations: Floats) -> Floats:
    """A with A A' = (Z'Z)⁻¹; its first column is that of the covariate with the largest variance inflation."""
    lead = int(np.argmax((_inverse_root(deviations) ** 2).sum(axis=1)))
    order = np.r_[np.delete(np.arange(deviations.shape[1]), lead), lead]
    out = np.empty((len(order), len(order)))
    out[order] = _inverse_root(deviations[:, order])
    return np.hstack([out[:, -1:] * np.sign(out[lead, -1]), out[:, :-1]])


def _inverse_root(deviations: Floats) -> Floats:
    """R⁻¹ with Z = Q R, so that R⁻¹ R⁻¹' = (Z'Z)⁻¹ without forming Z'Z."""
    r = np.linalg.qr(deviations, mode="r")
    return np.linalg.solve(r, np.eye(len(r)))


def match(frame: pd.DataFrame, space: Space, design: MatchingDesign) -> Matches:
    """Choose partners: within exact strata, by distance, with or without replacement.

    Without replacement units choose one after the other (largest or smallest score first, or in order of unit id; with
    Mahalanobis, which has no score, always in order of unit id). The caliper is in standard deviations (ddof 1) of the
    score over all units.
    """
    treated = frame["treated"].to_numpy(dtype=bool)
    focal_arm = treated if design.estimand == "att" else ~treated
    focal, width = np.flatnonzero(focal_arm), _width(space, design)
    partners = np.full((len(focal), design.ratio), NOBODY, dtype=np.intp)
    search = nearest_with_replacement if design.replace else nearest_without_replacement
    for stratum in _strata(frame):
        choosers = _in_order(np.flatnonzero(stratum & focal_arm), space, design)
        pool = np.flatnonzero(stratum & ~focal_arm)
        partners[np.searchsorted(focal, choosers)] = search(space.points, choosers, pool, design.ratio, width)
    return Matches(focal=focal, partners=partners, n_rows=len(frame), width=width)


def _width(space: Space, design: MatchingDesign) -> float:
    return np.inf if design.caliper is None else design.caliper * float(np.std(space.points[:, 0], ddof=1))


def _strata(frame: pd.DataFrame) -> Iterator[NDArray[np.bool_]]:
    columns = sorted(column for column in frame.columns if str(column).startswith("exact_"))
    if not columns:
        yield np.ones(len(frame), dtype=bool)
        return
    stratum = frame.groupby(columns, observed=True, sort=True).ngroup().to_numpy()
    for number in range(stratum.max() + 1):
        yield stratum == number


def _in_order(rows: Rows, space: Space, design: MatchingDesign) -> Rows:
    if design.order == "data" or space.points.shape[1] > 1:
        return rows
    score = space.points[rows, 0]
    return rows[np.argsort(-score if design.order == "largest" else score, kind="stable")]


def _require_matches(matches: Matches, design: MatchingDesign) -> None:
    if not matches.matched.any():
        raise DataError(
            code="E-IMP-053",
            what="no unit found a partner",
            found=f"{len(matches.focal)} units, caliper {design.caliper}, exact {', '.join(design.exact) or 'none'}",
            expected="at least one matched pair",
            fix="widen `caliper`, or leave out columns of `exact`",
        )


def _weights(frame: pd.DataFrame) -> Floats:
    return np.asarray(frame["weight"], dtype=float)


def _outcome_block(
    sample: Sample,
    design: MatchingDesign,
    space: Space,
    matches: Matches,
    variance: Variance,
    column: str,
    outcome: Outcome,
) -> Block:
    """The effect on one outcome; sets in which it is missing are left out for this outcome."""
    sets = matches.sets(_weights(sample.frame), observed(sample.frame, column))
    row, clusters = labels(design.estimand, outcome, role_of(outcome)), clusters_of(sample)
    kind = design.inference.std_error or _default_kind(design, clusters)
    if kind == "abadie_imbens":
        return _abadie_imbens(sample, design, space, sets, variance, column, row)
    if kind == "influence" and design.replace:
        return Block(effects=_martingale(sample, design, sets, column, row), kind=kind, clusters=clusters)
    if kind == "pairs":
        kind, clusters = "cr1", _set_clusters(sample, design, sets)
    weights = sets.weights()
    used = weights > 0
    return Block(
        effects=difference_in_means(sample.frame[used], column, row, weights[used]), kind=kind, clusters=clusters
    )


def _default_kind(design: MatchingDesign, clusters: pd.DataFrame | None) -> str:
    if not design.replace:
        return "pairs"
    return "abadie_imbens" if clusters is None else "influence"


def _abadie_imbens(
    sample: Sample,
    design: MatchingDesign,
    space: Space,
    sets: MatchedSets,
    variance: Variance,
    column: str,
    row: pd.DataFrame,
) -> Block:
    known = observed(sample.frame, column)
    outcome = _values(sample, column)
    spread = conditional_variances(sets, outcome, known, space.points, variance)
    covariance = inference.abadie_imbens(
        sets.differences(outcome), sets.focal_weights, sets.by_partner() ** 2 - sets.by_partner(power=2), spread
    )
    effects = _martingale(sample, design, sets, column, row)
    return Block(effects=effects, kind="abadie_imbens", covariance=covariance)


def _martingale(sample: Sample, design: MatchingDesign, sets: MatchedSets, column: str, row: pd.DataFrame) -> Effects:
    outcome, weights = _values(sample, column), sets.focal_weights
    rows, influence = martingale_influence(sets, outcome, model_matrix(sample.frame, sample.names).matrix)
    sign = 1.0 if design.estimand == "att" else -1.0
    estimate = float(weights @ sets.differences(outcome)) / weights.sum()
    scale = float(np.abs(outcome).max())
    return effects_of_rows(sample.frame.iloc[rows], sign * estimate, sign * influence, row, scale=scale)


def _values(sample: Sample, column: str) -> Floats:
    """The outcome, with 0 where it is missing (rows that no usable set contains)."""
    return np.asarray(sample.frame[column].fillna(0.0), dtype=float)


def _set_clusters(sample: Sample, design: MatchingDesign, sets: MatchedSets) -> pd.DataFrame:
    """Matched set of each unit that has one, with the design's own clusters beside it."""
    if design.replace:
        raise ParametersError(
            code="E-IMP-054",
            what="pairs are no clusters where a comparison unit may serve in several of them",
            found="std_error: pairs with replace: true",
            expected="std_error: abadie_imbens, or replace: false",
        )
    rows, numbers = sets.members
    table = pd.DataFrame({"matched set": numbers}, index=pd.Index(sample.frame["unit"].to_numpy()[rows], name="unit"))
    own = clusters_of(sample)
    return table if own is None else table.join(own, how="left")


def _notes(design: MatchingDesign, space: Space, matches: Matches) -> Iterator[str]:
    arm, other = ("treated", "comparison") if design.estimand == "att" else ("comparison", "treated")
    found, wanted = int(matches.matched.sum()), len(matches.focal)
    partners, times = matches.partners_used
    yield (
        f"{found} of {wanted} {arm} units were matched with {len(partners)} of {matches.n_rows - wanted} {other} "
        f"units; distance {design.distance}, ties decided by the order of unit ids."
    )
    if found < wanted:
        yield (
            f"{wanted - found} {arm} units found no partner {_why_unmatched(design, matches)}. The effect is the mean "
            f"over the {found} matched {arm} units, not over all {wanted}: leaving units out changes what is estimated."
        )
    if design.replace:
        yield (
            f"One {other} unit serves up to {times.max()} times. The standard error takes the score as known (Abadie "
            "and Imbens 2006); with an estimated score its error for the effect on one arm can go either way."
        )
    if space.left_out:
        yield f"Left out because they add nothing to earlier covariates: {', '.join(space.left_out)}."
    if design.territory is not None:
        yield "Effects by territory are not estimated by matching."


def _why_unmatched(design: MatchingDesign, matches: Matches) -> str:
    reasons = []
    if design.caliper is not None:
        reasons.append(f"within {design.caliper:g} standard deviations of the score ({matches.width:.4g})")
    if design.exact:
        reasons.append(f"with the same {', '.join(design.exact)}")
    return " ".join(reasons) or "before all were taken"
