"""One number from several effects that speak of the same thing, with the covariance that shared units give them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParametersError
from evaluation.impact.effects import Effects
from evaluation.impact.inference.covariances import covariance
from evaluation.impact.inference.heterogeneity import Method
from evaluation.impact.inference.leverage import RANK_TOLERANCE
from evaluation.impact.inference.studies import Studies, fit_studies

Array = np.ndarray


def pooled(
    effects: Effects,
    clusters: pd.DataFrame | None = None,
    *,
    weights: Array | None = None,
    kind: str = "influence",
    term: str = "pooled",
) -> Effects:
    """The weighted mean of K effects as one effect.

    θ = ω′θ̂ with ω = V⁻¹1 / 1′V⁻¹1, the linear combination with the smallest variance, V the covariance of the effects
    under the clusters given. Effects that share a comparison group are correlated, so that ω is not proportional to one
    over the variances, and weights can be negative. The weights are taken as known in the influence, which changes its
    error to first order only if the effects differ.

    Args:
        effects: K effects; put results of several samples side by side with `concat` first.
        clusters: see `covariance`.
        weights: (K,) given ones, scaled to sum to one, such as numbers of people; precision weights if None.
        kind: see `covariance`.
        term: label of the result; its outcome is that of the effects.

    Returns:
        One effect, with influence, so that clusters, contrasts and intervals are possible as for any other.

    Raises:
        DataError: effects whose covariance has no inverse, so that precision weights do not exist.
        ParametersError: weights that sum to zero, or are not one for each effect.

    Source: Hedges and Olkin (1985), chapter 6; with covariances, Gleser and Olkin (1994); Aitken (1935).
    """
    used = _precision_weights(effects, clusters, kind) if weights is None else _given_weights(effects, weights)
    outcomes = effects.labels["outcome"].unique() if "outcome" in effects.labels else [""]
    labels = pd.DataFrame({"term": [term], "outcome": [outcomes[0] if len(outcomes) == 1 else ""]})
    return effects.contrast(used, labels)


def pooled_sites(
    effects: Effects, clusters: pd.DataFrame | None = None, *, kind: str = "influence", method: Method = "REML"
) -> Studies:
    """The random-effects mean of K effects that may share units: y ~ N(μ1, τ²I + V), V their covariance.

    `pooled` is its special case τ² = 0. Where effects share a comparison group, a common error does not look like
    agreement between sites. `study_table` gives the interval.

    Args:
        effects: K effects of sites, territories or evaluations, put side by side with `concat`.
        clusters: see `covariance`.
        kind: see `covariance`.
        method: REML or common.

    Raises:
        DataError: an effect whose variance is zero.

    Source: Gleser and Olkin (1994); Viechtbauer (2005).
    """
    return fit_studies(effects.estimate, covariance(effects, clusters, kind=kind).matrix, method=method)


def _precision_weights(effects: Effects, clusters: pd.DataFrame | None, kind: str) -> Array:
    """V⁻¹1 / 1′V⁻¹1, solved on the scale of correlations, so that units of measurement change nothing."""
    found = covariance(effects, clusters, kind=kind)
    se = found.std_error
    values, vectors = np.linalg.eigh(found.matrix / np.outer(se, se)) if (se > 0).all() else (np.zeros(1), np.eye(1))
    if values[0] <= RANK_TOLERANCE * max(values[-1], 1.0):
        raise DataError(
            code="E-IMP-069",
            what="effects whose covariance has no inverse cannot be weighted by their precision",
            found=f"{len(se)} effects, standard errors from {se.min():.3g} to {se.max():.3g}",
            expected="effects none of which is exact or a combination of the others",
            fix="give weights, or leave out the effects that say the same",
        )
    solved = vectors @ ((vectors.T @ (1 / se)) / values) / se
    return np.asarray(solved / solved.sum())


def _given_weights(effects: Effects, weights: Array) -> Array:
    given = np.asarray(weights, dtype=float)
    if given.shape != (len(effects),) or not np.isfinite(given).all() or given.sum() == 0:
        raise ParametersError(
            code="E-IMP-070",
            what="effects cannot be pooled with these weights",
            found=f"{given.tolist()}",
            expected=f"{len(effects)} numbers that do not sum to zero",
        )
    return np.asarray(given / given.sum())
