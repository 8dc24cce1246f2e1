"""Partial pooling across analogues: what other innovations say about the pace of a short series.

Shape parameters in their estimation scale are taken as θ_i ~ N(m, τ²), estimated with variance s_i² from each series
with a free fit. τ² by REML, m the weighted mean without the series that borrows. The borrower's own estimate is shrunk,
(θ_i/s_i² + m/v) / (1/s_i² + 1/v) with v = τ² + var(m); a series too short for a free fit is fitted with the penalty
(θ − m)²/v. Parameters are pooled one by one, midpoints never. A handful of analogues says little about τ²: the number
is told, and the series are chosen, not drawn.

Source: Gelman and Hill (2007), chapter 12; Lenk and Rao (1990), *Marketing Science* 9(1), 42-53 (Bass curves);
    Viechtbauer (2005) for REML.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evaluation.diffusion import fitting
from evaluation.diffusion.adoption import CURVES
from evaluation.diffusion.fitting import Fit, Prior
from evaluation.diffusion.forecast import Fitted
from evaluation.diffusion.series import Observations
from evaluation.impact.inference.heterogeneity import between_variance
from evaluation.settings.diffusion import CurveName

Array = np.ndarray

LEAST_ANALOGUES: Final = 3
_NOTHING: Final = 1e6  # variance of a parameter that analogues do not lend


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What analogues say about the shape of one curve.

    Attributes:
        mean, variance: (2,) in the estimation scale; a huge variance says nothing.
        between: (2,) τ².
        analogues: series that lend.
    """

    curve: CurveName
    mean: Array
    variance: Array
    between: Array
    analogues: tuple[str, ...]

    @property
    def prior(self) -> Prior:
        """As a penalty."""
        return Prior(mean=self.mean, variance=self.variance)


def pace(fitted: Sequence[Fitted], curve: CurveName, *, without: str) -> Pace | None:
    """What the analogues other than `without` say; None with fewer than three."""
    lenders = [
        each
        for each in fitted
        if each.series.facts.analogue and each.series.facts.id != without and _known(each.fits[curve])
    ]
    if len(lenders) < LEAST_ANALOGUES:
        return None
    family = CURVES[curve]
    mean, variance, between = np.zeros(2), np.full(2, _NOTHING), np.zeros(2)
    for place in family.pooled:
        own = np.array([each.fits[curve].shape[place] for each in lenders])
        noise = np.array([each.fits[curve].shape_covariance[place, place] for each in lenders])
        between[place] = between_variance(own, noise, np.ones((len(own), 1)))
        weight = 1 / (noise + between[place])
        mean[place] = (weight * own).sum() / weight.sum()
        variance[place] = between[place] + 1 / weight.sum()
    return Pace(
        curve=curve,
        mean=mean,
        variance=variance,
        between=between,
        analogues=tuple(each.series.facts.id for each in lenders),
    )


def shrunk(own: Fit, lent: Pace) -> Array:
    """(2,) the shape of a free fit, drawn towards its analogues; parameters that they do not lend stay.

    A parameter whose own variance is not known becomes that of the analogues.
    """
    noise = np.diag(own.shape_covariance)
    trust = np.where(np.isfinite(noise), 1 / np.maximum(noise, 1e-12), 0.0)
    found = (own.shape * trust + lent.mean / lent.variance) / (trust + 1 / lent.variance)
    lends = np.isin([0, 1], own.curve.pooled)
    return np.asarray(np.where(lends, found, own.shape))


def borrowed(data: Observations, lent: Pace, dispersion: float) -> Fit:
    """A fit to at least three figures with the pace of analogues; φ is theirs as well.

    Raises:
        DataError: fewer than three figures.
    """
    return fitting.fit(data, lent.curve, prior=lent.prior, dispersion=dispersion)


def as_dict(lent: Pace) -> dict[str, Any]:
    """The pace as plain data: parameters as printed, standard deviations between analogues in the estimation scale."""
    family = CURVES[lent.curve]
    values = family.printed(lent.mean)
    shown: Mapping[str, Any] = {
        family.names[place]: {"typical": values[place], "sd_log_between": float(np.sqrt(lent.between[place]))}
        for place in family.pooled
    }
    return {"curve": lent.curve, "analogues": list(lent.analogues), **shown}


def _known(own: Fit) -> bool:
    """The own shape has a variance to weigh it by."""
    noise = np.diag(own.shape_covariance)
    return bool(np.isfinite(noise).all() and (noise > 0).all())
