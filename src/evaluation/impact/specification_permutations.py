"""Estimates of all specifications of an experiment under assignments that chance could have made instead.

Under the sharp null outcomes do not depend on the assignment, so that every estimate is a ratio of sums over the
treated: one matrix product for each specification and block of assignments, and no regression is run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evaluation.impact.covariates import model_matrix
from evaluation.impact.cross_section import observed
from evaluation.impact.inference.assignments import Mechanism, mechanism
from evaluation.impact.specification_sample import outcome_column, rows_kept, sample_of

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.specifications import Specification

Array = np.ndarray

SINGULAR = 1e-9  # of the largest singular value
AGREES = 1e-8  # relative gap to the estimate by regression, beyond which the sums are not that estimator


def permuted_estimates(
    sample: Sample, specifications: Sequence[Specification], estimate: Array, *, draws: int, seed: int
) -> tuple[Array | None, str]:
    """(B, K) estimates under drawn assignments and the mechanism in words, or None and why not.

    Whole clusters, strata and probabilities are those of the design. The observed assignment must give the observed
    estimates; a specification whose estimator is not one of the three below is thereby noticed, not approximated.

    Args:
        sample: everybody who was assigned.
        specifications: K, of method experiment.
        estimate: (K,) by the method itself.
        draws: B.
        seed: of the assignments.
    """
    drawn = _mechanism(sample, specifications[0].design)
    codes = _clusters(sample, specifications[0].design)
    treated = sample.frame["treated"].to_numpy(dtype=float)
    forms = [_Form(sample, one) for one in specifications]
    own = np.column_stack([form.estimates(treated[None, :]) for form in forms])[0]
    if not np.allclose(own, estimate, rtol=AGREES, atol=AGREES * float(np.abs(estimate).max())):
        return None, "the design's estimator is not a ratio of sums over the treated"
    blocks = [
        np.column_stack([form.estimates(block[:, codes]) for form in forms])
        for block in drawn.drawn(draws, seed, len(codes))
    ]
    found = np.vstack(blocks)
    if not np.isfinite(found).all():
        return None, "some assignments leave an arm of a specification empty"
    return found, drawn.name


def _mechanism(sample: Sample, design: Any) -> Mechanism:
    frame = sample.frame
    strata = pd.factorize(frame["stratum"])[0] if "stratum" in frame else None
    probability = frame["probability"].to_numpy(dtype=float) if "probability" in frame else None
    treated = frame["treated"].to_numpy(dtype=bool)
    return mechanism(treated, _clusters(sample, design), strata, probability, clustered=_whole(design))


def _clusters(sample: Sample, design: Any) -> Array:
    """(n,) codes of what was assigned as a whole: clusters, or each row."""
    if not _whole(design):
        return np.arange(len(sample.frame))
    return np.asarray(pd.factorize(sample.frame["cluster_1"])[0])


def _whole(design: Any) -> bool:
    return design.assignment == "cluster" or (design.assignment == "paired" and bool(design.cluster))


class _Form:
    """The estimate of one specification as a function of the assignment alone.

    none: difference of weighted means. ancova: d′M y / d′M d with M the residuals on constant and covariates. lin: the
    difference at the mean covariates of two regressions, one an arm (Lin 2013).
    """

    def __init__(self, sample: Sample, one: Specification) -> None:
        own = sample_of(sample, one)
        kept = np.ones(len(sample.frame), dtype=bool) if one.rows is None else rows_kept(sample, one.rows)
        seen = observed(own.frame, outcome_column(one.design))
        frame = own.frame[seen]
        self.rows = np.flatnonzero(kept)[seen]
        self.y = frame[outcome_column(one.design)].to_numpy(dtype=float)
        self.w = frame["weight"].to_numpy(dtype=float)
        adjusts = one.design.adjustment != "none" and bool(one.design.covariates)
        self.adjustment = one.design.adjustment if adjusts else "none"
        covariates = model_matrix(frame, own.names).matrix if adjusts else np.empty((len(frame), 0))
        centred = covariates - np.average(covariates, axis=0, weights=self.w)
        self.x = np.column_stack([np.ones(len(frame)), _directions(centred)])

    def estimates(self, assigned: Array) -> Array:
        """(b,) from (b, n) assignments of the whole sample, 0 or 1."""
        d = assigned[:, self.rows].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._interacted(d) if self.adjustment == "lin" else self._partialled(d)

    def _partialled(self, d: Array) -> Array:
        root = np.sqrt(self.w)
        basis = np.linalg.qr(self.x * root[:, None])[0]
        weighted = self.y * root
        residual = (weighted - basis @ (basis.T @ weighted)) * root
        return np.asarray((d @ residual) / (d @ self.w - ((d @ (basis * root[:, None])) ** 2).sum(axis=1)))

    def _interacted(self, d: Array) -> Array:
        p = self.x.shape[1]
        products = np.einsum("ij,ik->ijk", self.x * self.w[:, None], np.column_stack([self.x, self.y]))
        flat = products.reshape(len(self.y), -1)
        of_treated = (d @ flat).reshape(-1, p, p + 1)
        arms = of_treated, flat.sum(axis=0).reshape(p, p + 1) - of_treated
        try:
            levels = [np.linalg.solve(arm[:, :, :p], arm[:, :, p:])[:, 0, 0] for arm in arms]
        except np.linalg.LinAlgError:  # an assignment under which a covariate does not vary within an arm
            return np.full(len(d), np.nan)
        return np.asarray(levels[0] - levels[1])


def _directions(centred: Array) -> Array:
    """Columns that span the same space and are not combinations of one another."""
    if not centred.size:
        return centred
    scale = np.sqrt((centred**2).mean(axis=0))
    left, size, _ = np.linalg.svd(centred[:, scale > 0] / scale[scale > 0], full_matrices=False)
    return np.asarray(left[:, size > SINGULAR * size.max(initial=0.0)])
