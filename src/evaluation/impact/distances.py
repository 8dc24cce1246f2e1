"""Where units stand for matching, and so what "near" means: scores, and covariates brought to one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evaluation.errors import DataError
from evaluation.impact.covariates import Covariates, Floats, independent_columns, model_matrix
from evaluation.impact.places import distinct_rows
from evaluation.impact.propensity import Propensity, fit_propensity

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import MatchingDesign

# Scores are rounded to this many decimals: units with the same covariates must have the same score on every machine.
_SCORE_DECIMALS = 12
_SINGULAR = 1e-9  # of the largest eigenvalue of a correlation; below, a direction is a combination of others


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """Where units stand.

    Attributes:
        points: (n, d): one column for a score, several for distances of covariates (Euclidean distance of these).
        score: (n,) probability of treatment; None without one.
        model: the model behind the score, where errors are corrected for it.
        usable: (n,) False for units that the design discards.
        left_out: labels of covariates that add nothing to earlier ones.
    """

    points: Floats
    score: Floats | None
    usable: NDArray[np.bool_]
    model: Propensity | None = None
    left_out: tuple[str, ...] = ()

    @property
    def spread(self) -> float:
        """Standard deviation (ddof 1) of the score over the units that are not discarded."""
        return float(np.std(self.points[self.usable, 0], ddof=1))


def place_units(sample: Sample, design: MatchingDesign) -> Space:
    """Put every unit where its distance to others can be measured.

    propensity_logit and propensity_probit use the probability of treatment, linear_logit its log odds, score a column.
    mahalanobis: d(i, j)² = (xᵢ - xⱼ)′ S⁻¹ (xᵢ - xⱼ), S the pooled covariance within arms (Rubin 1980);
    robust_mahalanobis: the same with ranks (mean ranks for ties) in place of x, and for S the correlation of the ranks
    of all units times the variance of ranks without ties, so that rare values do not weigh too much (Rosenbaum 2010,
    section 8.3); all levels of a category count, and the inverse is the generalised one;
    scaled_euclidean: the diagonal of S in place of S. These are the conventions of MatchIt.
    Without covariates all units stand in one place, and only `exact` and the order of ids decide.

    Raises:
        DataError: covariates separate the arms, so that no score exists; or nobody is left in an arm after discarding.
    """
    treated = sample.frame["treated"].to_numpy(dtype=bool)
    space = _space(sample, design, treated)
    return space if design.discard == "none" else _within_support(space, design, treated)


def _space(sample: Sample, design: MatchingDesign, treated: NDArray[np.bool_]) -> Space:
    everybody = np.ones(len(treated), dtype=bool)
    if design.distance == "score":
        given = sample.frame["score"].to_numpy(dtype=float)
        inside = bool(((given >= 0) & (given <= 1)).all())
        return Space(points=given[:, None].copy(), score=given if inside else None, usable=everybody)
    covariates = model_matrix(sample.frame, sample.names)
    if not covariates.labels:
        return Space(points=np.zeros((len(treated), 1)), score=None, usable=everybody)
    if not design.has_score:
        points, left_out = _of_covariates(sample, covariates, treated, design)
        return Space(points=points, score=None, usable=everybody, left_out=left_out)
    link: Literal["logit", "probit"] = "probit" if design.distance == "propensity_probit" else "logit"
    model = fit_propensity(
        covariates, treated, np.asarray(sample.frame["weight"], dtype=float), link=link, influence=False
    )
    score = model.linear if design.distance == "linear_logit" else model.probability
    points = np.round(score, _SCORE_DECIMALS)[:, None]
    kept = model if design.score_error == "corrected" else None  # a table as large as the covariates
    return Space(points=points, score=model.probability, usable=everybody, model=kept, left_out=model.left_out)


def _within_support(space: Space, design: MatchingDesign, treated: NDArray[np.bool_]) -> Space:
    """Units of the discarded arms only where the other arm has scores below and above."""
    score, usable = space.points[:, 0], np.ones(len(treated), dtype=bool)
    for name, arm in (("treated", treated), ("comparison", ~treated)):
        if design.discard in (name, "both"):
            other = score[~arm]
            usable &= ~arm | ((score >= other.min()) & (score <= other.max()))
    if not ((usable & treated).any() and (usable & ~treated).any()):
        raise DataError(
            code="E-IMP-200",
            what="the scores of the two arms do not overlap",
            found=f"{int((usable & treated).sum())} treated and {int((usable & ~treated).sum())} comparison units "
            f"after discard: {design.discard}",
            expected="at least one of each",
            fix="discard: none, or fewer covariates: these arms are hardly comparable",
        )
    return Space(points=space.points, score=space.score, usable=usable, model=space.model, left_out=space.left_out)


# covariates on one scale ----------------------------------------------------------------------------------------------


def _of_covariates(
    sample: Sample, covariates: Covariates, treated: NDArray[np.bool_], design: MatchingDesign
) -> tuple[Floats, tuple[str, ...]]:
    if design.distance == "mahalanobis":
        return _mahalanobis(covariates, treated)
    levels = model_matrix(sample.frame, sample.names, all_levels=True)  # the scale of a level must not depend on which
    points = _robust_mahalanobis(levels) if design.distance == "robust_mahalanobis" else _scaled(levels, treated)
    return points, ()


def _mahalanobis(covariates: Covariates, treated: NDArray[np.bool_]) -> tuple[Floats, tuple[str, ...]]:
    """Points, and the labels of covariates that add nothing."""
    within = _within(covariates.matrix, treated)
    kept = independent_columns(within)
    left_out = tuple(np.array(covariates.labels, dtype=object)[~kept])
    if not kept.any():
        return np.zeros((len(within), 1)), left_out
    scale = np.sqrt((within[:, kept] ** 2).sum(axis=0) / (len(within) - 2))
    turn = _whitening(within[:, kept] / scale) * np.sqrt(len(within) - 2)
    return _by_distinct(covariates.matrix[:, kept], scale, turn), left_out


def _robust_mahalanobis(covariates: Covariates) -> Floats:
    """Ranks over the standard deviation of ranks without ties, turned by a root of their inverse correlation."""
    ranks = stats.rankdata(covariates.matrix, axis=0)
    n, varying = len(ranks), ranks.std(axis=0) > 0
    if not varying.any():
        return np.zeros((n, 1))
    values, vectors = np.linalg.eigh(np.corrcoef(ranks[:, varying], rowvar=False).reshape(int(varying.sum()), -1))
    real = values > _SINGULAR * values.max()
    root = vectors[:, real] / np.sqrt(values[real])
    lead = root[np.argmax((root**2).sum(axis=1))]
    first, _ = np.linalg.qr(np.column_stack([lead, np.eye(len(lead))]))
    turn = root @ (first * np.where(np.arange(len(lead)) == 0, np.sign(first[:, 0] @ lead), 1.0))
    return _by_distinct(ranks[:, varying], np.full(int(varying.sum()), np.sqrt(n * (n + 1) / 12)), turn)


def _scaled(covariates: Covariates, treated: NDArray[np.bool_]) -> Floats:
    """Covariates over their standard deviations within arms; those that do not vary there are left as they are."""
    within = _within(covariates.matrix, treated)
    scale = np.sqrt((within**2).sum(axis=0) / (len(within) - 2))
    return np.asarray(covariates.matrix / np.where(scale > 0, scale, 1.0))


def _within(matrix: Floats, treated: NDArray[np.bool_]) -> Floats:
    """Deviations from the means of the arms, zero where they are rounding errors."""
    within = matrix - np.where(treated[:, None], matrix[treated].mean(axis=0), matrix[~treated].mean(axis=0))
    within[:, np.abs(within).max(axis=0) <= 1e-12 * np.abs(matrix).max(axis=0)] = 0.0
    return np.asarray(within)


def _by_distinct(matrix: Floats, scale: Floats, turn: Floats) -> Floats:
    """(x / scale) A for each different row once: equal covariates must give equal points to the last digit."""
    different, place = distinct_rows(matrix)
    return np.asarray(((different / scale) @ turn)[place])


def _whitening(deviations: Floats) -> Floats:
    """A with A A' = (Z'Z)⁻¹; its first column is that of the covariate with the largest variance inflation.

    The first column decides ties (see `neighbours`): it belongs to the covariate that the others explain best, as in
    MatchIt.
    """
    lead = int(np.argmax((_inverse_root(deviations) ** 2).sum(axis=1)))
    order = np.r_[np.delete(np.arange(deviations.shape[1]), lead), lead]
    out = np.empty((len(order), len(order)))
    out[order] = _inverse_root(deviations[:, order])
    return np.hstack([out[:, -1:] * np.sign(out[lead, -1]), out[:, :-1]])


def _inverse_root(deviations: Floats) -> Floats:
    """R⁻¹ with Z = Q R, so that R⁻¹ R⁻¹' = (Z'Z)⁻¹ without forming Z'Z."""
    r = np.linalg.qr(deviations, mode="r")
    return np.asarray(np.linalg.solve(r, np.eye(len(r))))
