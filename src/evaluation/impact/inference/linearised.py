"""Variances that follow the draw: of a survey sample (strata, sampling units, share drawn), or of one of each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evaluation.errors import DataError
from evaluation.impact.effects import Effects
from evaluation.impact.inference.clustering import cluster_codes, crossed, sums
from evaluation.impact.inference.covariances import Covariance, require_influence

Array = np.ndarray
Lonely = Literal["refuse", "certainty", "centre"]
NAMED = 5  # strata that a message names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampling:
    """How units came into the sample.

    Attributes:
        unit: sampling unit by unit id; ids count within their stratum. None: each unit by itself.
        stratum: stratum by unit id; None: one stratum.
        population: number of sampling units of the stratum in the population, by unit id; None: drawn with
            replacement, or from very many.
        lonely: what a stratum with a single sampling unit says: an error (refuse), no variance, because the unit was
            sure to be drawn (certainty), or the deviation from the mean of all sampling units (centre).
        assigned: what chance assigned to an arm (units or clusters), by unit id, where effects of an assignment are
            estimated; None for quantities that a census would know.
        kind: the convention, a key of `DESCRIPTIONS`.
    """

    unit: pd.Series | None = None
    stratum: pd.Series | None = None
    population: pd.Series | None = None
    lonely: Lonely = "refuse"
    assigned: pd.Series | None = None
    kind: str = "linearised"


def linearised(effects: Effects, sampling: Sampling) -> Covariance:
    """Covariance by Taylor linearisation.

    With z_hi the sum of influence/n over sampling unit i of stratum h, n_h units of N_h drawn there and f_h = n_h/N_h
    (0 if N_h is not known): V = Σ_h (1 - f_h) n_h/(n_h - 1) Σᵢ (z_hi - z̄_h)(z_hi - z̄_h)′; t intervals with sampling
    units less strata. Strata and sampling units without any unit of the effects are not seen. With pairs as the only
    sampling units it is the variance of pairs: m/(m - 1) Σ over pairs of squared sums.

    Where everybody is drawn (f = 1) nothing is left of the error in what a census would know, but the assignment was
    still one of many. The whole variance is that of the assignment plus (1 - f) times that of the draw, and the sum
    above takes both times 1 - f: with z_a the sums over what was assigned, Σ_h f_h Σ_a z_a z_a′ is added.

    Args:
        effects: K effects with influence functions.
        sampling: how the units came into the sample; it has all units of the effects.

    Raises:
        DataError: a stratum with one sampling unit where that is refused; a population that differs within a stratum or
            is smaller than what was drawn.

    Source: Binder (1983); Särndal, Swensson and Wretman (1992), section 5.5; Lumley (2010), chapter 2 and appendix;
        Abadie, Athey, Imbens and Wooldridge (2020) for the assignment in a finite population.
    """
    require_influence(effects)
    stratum = _codes(effects, sampling.stratum, "stratum")
    unit = _codes(effects, sampling.unit, "unit", each=np.arange(effects.n_units))
    drawn = crossed([stratum, unit])
    n_drawn = int(drawn.max()) + 1
    home = np.zeros(n_drawn, dtype=np.intp)
    home[drawn] = stratum
    size = np.bincount(home)
    _require_company(size, effects, stratum, sampling)
    total = effects.cluster_sums(drawn) / effects.n_units
    deviation = total - (sums(total, home, len(size)) / size[:, None])[home]
    lonely = size[home] == 1
    if sampling.lonely == "centre":
        deviation[lonely] = (total - total.mean(axis=0))[lonely]
    factor = (1 - _shares(effects, stratum, size, sampling)) * np.where(size > 1, size / np.maximum(size - 1, 1), 1.0)
    matrix = np.asarray((deviation * factor[home][:, None]).T @ deviation)
    return Covariance(
        matrix=matrix + _of_assignment(effects, stratum, size, sampling),
        df=np.full(len(effects), float(max(n_drawn - len(size), 1))),
        kind=sampling.kind,
        n_clusters={} if sampling.unit is None else {str(sampling.unit.name): n_drawn},
    )


def _codes(effects: Effects, values: pd.Series | None, what: str, each: Array | None = None) -> Array:
    """Codes of the effects' units; without values one code for all, or each its own."""
    if values is None:
        return np.zeros(effects.n_units, dtype=np.intp) if each is None else each
    if values.nunique() < 2:
        return np.zeros(effects.n_units, dtype=np.intp)
    return next(iter(cluster_codes(effects.units, values.to_frame(what)).values()))


def _require_company(size: Array, effects: Effects, stratum: Array, sampling: Sampling) -> None:
    if sampling.lonely != "refuse" or (size > 1).all():
        return
    alone = np.flatnonzero(size == 1)
    names = [_name(effects, stratum, sampling, code) for code in alone[:NAMED]]
    raise DataError(
        code="E-IMP-263",
        what="a stratum has a single sampling unit, which says nothing about the variation within it",
        where=", ".join(names),
        found=f"{len(alone)} of {len(size)} strata",
        expected="at least two sampling units in each stratum",
        fix="merge strata, or say what such units are: survey: {lonely: certainty} or {lonely: centre}",
    )


def _shares(effects: Effects, stratum: Array, size: Array, sampling: Sampling) -> Array:
    """(H,) f_h."""
    if sampling.population is None:
        return np.zeros(len(size))
    population = sampling.population.reindex(effects.units).to_numpy(dtype=float)
    low, high = np.full(len(size), np.inf), np.full(len(size), -np.inf)
    np.minimum.at(low, stratum, population)
    np.maximum.at(high, stratum, population)
    wrong = np.flatnonzero((low != high) | (low < size))
    if len(wrong):
        raise DataError(
            code="E-IMP-264",
            what="the number of sampling units in the population cannot be right",
            where=", ".join(_name(effects, stratum, sampling, code) for code in wrong[:NAMED]),
            found=f"from {low[wrong[0]]:g} to {high[wrong[0]]:g} for {size[wrong[0]]} sampling units in the sample",
            expected="one number for each stratum, not smaller than what was drawn",
            fix="correct the column under survey: {population: …}: it counts sampling units, not persons",
        )
    return np.asarray(size / low)


def _of_assignment(effects: Effects, stratum: Array, size: Array, sampling: Sampling) -> Array:
    """(K, K) Σ_h f_h Σ_a z_a z_a′; zero where the share drawn is not known, because then nothing was taken off."""
    k = len(effects)
    if sampling.population is None or sampling.assigned is None:
        return np.zeros((k, k))
    drawn = crossed([stratum, _codes(effects, sampling.assigned, "assigned")])
    home = np.zeros(int(drawn.max()) + 1, dtype=np.intp)
    home[drawn] = stratum
    total = effects.cluster_sums(drawn) / effects.n_units
    return np.asarray((total * _shares(effects, stratum, size, sampling)[home][:, None]).T @ total)


def _name(effects: Effects, stratum: Array, sampling: Sampling, code: int) -> str:
    if sampling.stratum is None:
        return "the whole sample"
    return str(sampling.stratum.loc[effects.units[np.flatnonzero(stratum == code)[0]]])
