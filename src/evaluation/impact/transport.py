"""Would the effect found in one place hold in another? Micro-data of a trial, and of the people of the other place.

Three things are told apart: how alike the people are (moderators, Tipton's index), how much of the other place the
trial has nobody for (support), and what the trial's effect is once its people are weighted to look like those of the
other place (inverse odds, calibration). Where the other place was tried as well, its own effect stands beside.

The reweighted effect is that of the other place if nothing but the moderators changes the effect between the two
places: an assumption, which only a trial there can test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import DataError, ParametersError
from evaluation.impact.arm_weights import ArmWeights, Weights
from evaluation.impact.balance import balance_table, effective_size
from evaluation.impact.balancing import balance
from evaluation.impact.covariates import Covariates, Floats, model_matrix
from evaluation.impact.cross_section import Block, clusters_of_frame, observed, outcomes_of
from evaluation.impact.effects import Effects, clear_noise, concat
from evaluation.impact.propensity import Propensity, fit_propensity

if TYPE_CHECKING:
    from evaluation.sample import Sample
    from evaluation.settings.designs import ExperimentDesign

Mask = NDArray[np.bool_]

# With so many rows a value on average, a score of categories only has masses; with fewer, a density.
ROWS_A_VALUE = 10
GRID, WIDTHS = 2_001, 6.0  # points of the integral, and bandwidths that it reaches beyond the scores
METHODS = ("unweighted", "inverse_odds", "calibration", "observed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """People of the trial and of the other place, side by side.

    Attributes:
        frame: rows of both, all with the primary outcome and the moderators.
        there: (n,) True for the other place.
        treated: (n,) arm.
        outcome: (n,) primary outcome.
        sampling: (n,) sampling weights.
        moderators: (n, k) columns that all rows know.
        supported: (n,) rows whose like exists in both arms of the trial (other place) or in the other place (trial).
    """

    frame: pd.DataFrame
    there: Mask
    treated: Mask
    outcome: Floats
    sampling: Floats
    moderators: Covariates
    supported: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transported:
    """What the trial says of the other place.

    Attributes:
        summary: source, target, moderators (names), rows_source, rows_target, index, coverage (share of the other place
            for whom the trial has people alike), largest_difference (|SMD| of a moderator), effective_size and
            reason (why there is no reweighted effect, or "").
        moderators: rows of `balance_table`, the other place less the trial.
        estimates: METHODS that exist, then each less the observed effect; None where nothing can be compared.
    """

    summary: Mapping[str, Any]
    moderators: pd.DataFrame
    estimates: Block | None

    def tables(self, level: float) -> dict[str, pd.DataFrame]:
        """Aggregate tables, by name."""
        told = pd.DataFrame([dict(self.summary)])
        tables = {"transport": told, "transport_moderators": self.moderators}
        return tables if self.estimates is None else tables | {"transport_effects": self.estimates.table(level)}


def transport(sample: Sample, design: ExperimentDesign) -> Transported | None:
    """The effect of the design's trial in one territory carried to another one; None where it is not asked for.

    Args:
        sample: one row a unit, with `territory` and the moderators among the covariates.
        design: transport, covariates, outcomes.

    Raises:
        ParametersError: there is no territory column, or no moderator.
        DataError: a territory lacks people or an arm.

    Source: Stuart, Cole, Bradshaw and Leaf (2011), *JRSS A* 174(2); Westreich et al. (2017), *AJE* 186(8), inverse
        odds; Hainmueller (2012) and Josey et al. (2021), calibration; Tipton (2014) for the index.
    """
    asked = design.transport
    if asked is None:
        return None
    places = _places(sample, design)
    names = [sample.names.get(column, column) for column in dict.fromkeys(places.moderators.columns)]
    told = {"source": asked.source, "target": asked.target, "moderators": ", ".join(names)}
    moderators = balance_table(places.moderators, places.there, places.sampling)
    score, reason = _score(places)
    index, coverage = _alike(places, score)
    found, refused = _weightings(places, score)
    summary = {
        **told,
        "rows_source": int((~places.there).sum()),
        "rows_target": int(places.there.sum()),
        "index": index,
        "coverage": coverage,
        "largest_difference": float(np.abs(moderators.loc[moderators["counted"], "smd_before"]).max()),
        "effective_size": effective_size(found["calibration"].both) if "calibration" in found else np.nan,
        "reason": reason or refused,
    }
    return Transported(summary=summary, moderators=moderators, estimates=_estimates(places, found, sample, design))


def generalizability_index(sample: Floats, population: Floats, sample_weights: Floats, weights: Floats) -> float:
    """Tipton's index, the integral of sqrt(f_s f_p) of a score in the sample and in the population, from 0 to 1.

    A score with few different values has masses, and the integral is a sum over the values. Otherwise densities are
    estimated with a Gaussian kernel, bandwidth (4/(3n))^(1/5) standard deviations, n Kish's effective size. For two
    normal scores with one standard deviation and means d apart the index is exp(-d²/8); kernels smooth both alike and
    give a little more.

    Args:
        sample: (n,) scores of the sample, such as logits of the probability of being in the population.
        population: (m,) scores of the population.
        sample_weights: (n,) sampling weights of the sample.
        weights: (m,) those of the population.

    Source: Tipton (2014), *Journal of Educational and Behavioral Statistics* 39(6), equation 6; Bhattacharyya (1943).
    """
    together = np.round(np.concatenate([sample, population]), 9)
    values, codes = np.unique(together, return_inverse=True)
    if len(values) * ROWS_A_VALUE <= len(together):
        first = np.bincount(codes[: len(sample)], sample_weights, len(values)) / sample_weights.sum()
        second = np.bincount(codes[len(sample) :], weights, len(values)) / weights.sum()
        return float(np.sqrt(first * second).sum())
    reach = WIDTHS * max(_bandwidth(sample, sample_weights), _bandwidth(population, weights))
    grid = np.linspace(together.min() - reach, together.max() + reach, GRID)
    product = _density(grid, sample, sample_weights) * _density(grid, population, weights)
    return float(min(1.0, np.trapezoid(np.sqrt(product), grid)))


def _bandwidth(scores: Floats, weights: Floats) -> float:
    """Silverman's normal reference rule."""
    share = weights / weights.sum()
    spread = np.sqrt(share @ (scores - share @ scores) ** 2)
    return float(spread * (4 / (3 * effective_size(weights))) ** 0.2)


def _density(grid: Floats, scores: Floats, weights: Floats) -> Floats:
    """(g,) kernel density; scores are put into narrow bins first, so that the table stays small."""
    width = _bandwidth(scores, weights)
    counts, edges = np.histogram(scores, bins=min(len(scores), 1_000), weights=weights / weights.sum())
    centres = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - centres[None]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return np.asarray(kernel @ counts)


# who is compared ------------------------------------------------------------------------------------------------------


def _places(sample: Sample, design: ExperimentDesign) -> Places:
    asked, frame = design.transport, sample.frame
    columns = tuple(column for column in frame.columns if str(column).startswith("covariate_"))
    if asked is None or "territory" not in frame or not columns:
        raise ParametersError(
            code="E-IMP-385",
            what="an effect is carried from one territory to another one by what people have in common",
            where="transport",
            found="no territory" if "territory" not in frame else "no covariates",
            expected="territory: column, and covariates: [columns] that may change the effect",
        )
    outcome = outcomes_of(design)[0][0]
    chosen = frame["territory"].isin([asked.source, asked.target]) & observed(frame, outcome)
    rows = frame[chosen & frame[list(columns)].notna().all(axis=1)].reset_index(drop=True)
    there = (rows["territory"].astype(str) == asked.target).to_numpy(dtype=bool)
    treated = rows["treated"].to_numpy(dtype=bool)
    _require_people(there, treated, frame, asked.source, asked.target)
    moderators = model_matrix(rows, sample.names)
    full = model_matrix(rows, sample.names, all_levels=True)
    return Places(
        frame=rows,
        there=there,
        treated=treated,
        outcome=rows[outcome].to_numpy(dtype=float),
        sampling=rows["weight"].to_numpy(dtype=float),
        moderators=moderators,
        supported=_supported(full.matrix, there, treated),
    )


def _require_people(there: Mask, treated: Mask, frame: pd.DataFrame, source: str, target: str) -> None:
    arms = [int((treated & ~there).sum()), int((~treated & ~there).sum())]
    if min(arms) < 2 or there.sum() < 2:
        names = ", ".join(sorted(frame["territory"].dropna().astype(str).unique()))
        raise DataError(
            code="E-IMP-386",
            what="a territory lacks the people that an effect is carried from or to",
            where="transport",
            found=f"{source!r}: {arms[0]} treated and {arms[1]} comparison rows; {target!r}: {int(there.sum())} rows",
            expected="two rows in each arm of the source and in the target",
            fix=f"territories of this sample: {names}",
        )


def _supported(matrix: Floats, there: Mask, treated: Mask) -> Mask:
    """Rows that have their like on the other side, moderator by moderator.

    The other place must lie within both arms of the trial: a level that both have, a number between their extremes.
    People of the trial at a level that nobody of the other place has would be weighted by odds of zero, and leave. Who
    leaves takes their like on the other side along, until nobody leaves.
    """
    inside, levels = np.ones(len(there), dtype=bool), np.isin(matrix, (0.0, 1.0)).all(axis=0)
    everything = np.ones(matrix.shape[1], dtype=bool)
    sides = ((there, ~there & treated, everything), (there, ~there & ~treated, everything), (~there, there, levels))
    while True:
        before = inside.copy()
        for rows, others, columns in sides:
            if not (others & inside).any():
                return np.zeros(len(there), dtype=bool)
            known = matrix[others & inside][:, columns]
            within = (matrix[:, columns] >= known.min(axis=0)) & (matrix[:, columns] <= known.max(axis=0))
            inside &= ~rows | within.all(axis=1)
        if (inside == before).all():
            return inside


# how alike ------------------------------------------------------------------------------------------------------------


def _score(places: Places) -> tuple[Propensity | None, str]:
    """Probability of being of the other place, among those whom both places have, or why there is none."""
    kept = places.supported
    if not (kept & places.there).any() or not (kept & ~places.there).any():
        return None, "nobody of one place has their like in the other"
    part = _part(places.moderators, kept)
    try:
        return fit_propensity(part, places.there[kept], places.sampling[kept]), ""
    except DataError as error:
        return None, f"{error.what}: {error.where} ({error.code})"


def _part(covariates: Covariates, rows: Mask) -> Covariates:
    return Covariates(matrix=covariates.matrix[rows], labels=covariates.labels, columns=covariates.columns)


def _alike(places: Places, score: Propensity | None) -> tuple[float, float]:
    """Index and coverage; people without their like on the other side add nothing to the integral."""
    if score is None:
        return 0.0, 0.0
    there, sampling = places.there[places.supported], places.sampling[places.supported]
    linear, weights = score.linear, sampling
    index = generalizability_index(linear[~there], linear[there], weights[~there], weights[there])
    low, high = linear[~there].min(), linear[~there].max()
    inside = float(weights[there & (linear >= low) & (linear <= high)].sum())
    whole = places.sampling
    here, away = weights[~there].sum() / whole[~places.there].sum(), weights[there].sum() / whole[places.there].sum()
    return index * float(np.sqrt(here * away)), inside / float(whole[places.there].sum())


# what the effect would be ---------------------------------------------------------------------------------------------


def _weightings(places: Places, score: Propensity | None) -> tuple[dict[str, Weights], str]:
    """Weights of the trial's people by method, in the order of METHODS, and why some are missing."""
    found = {"unweighted": _weights(places, ~places.there)}
    refused = ""
    if score is not None:
        found["inverse_odds"] = _inverse_odds(places, score)
    if places.supported[places.there].any():
        try:
            found["calibration"] = _calibration(places)
        except DataError as error:
            refused = f"{error.what} ({error.code})"
    arms = [int((places.there & (places.treated == arm)).sum()) for arm in (True, False)]
    if min(arms) >= 2:
        found["observed"] = _weights(places, places.there)
    return found, refused


def _weights(places: Places, rows: Mask) -> Weights:
    """Sampling weights of some rows, by arm: nothing is estimated."""
    one, zero = (np.where(rows & arm, places.sampling, 0.0) for arm in (places.treated, ~places.treated))
    return _both(ArmWeights(weights=one), ArmWeights(weights=zero))


def _both(treated: ArmWeights, comparison: ArmWeights) -> Weights:
    nobody = np.zeros(len(treated.weights), dtype=bool)
    return Weights(treated=treated, comparison=comparison, score=None, left_out=(), trimmed=nobody)


def _inverse_odds(places: Places, score: Propensity) -> Weights:
    """w = sampling p/(1 - p), p the probability of being of the other place; its slope in the coefficients is w x."""
    n, rows = len(places.there), np.flatnonzero(places.supported)
    odds = np.zeros(n)
    odds[rows] = np.exp(score.linear)
    design, influence = np.zeros((n, score.design.shape[1])), np.zeros((n, score.design.shape[1]))
    design[rows] = score.design
    influence[rows] = score.influence * (n / len(rows))  # a mean over all rows instead of those with a score

    def arm(side: Mask) -> ArmWeights:
        weights = np.where(side & ~places.there & places.supported, places.sampling * odds, 0.0)
        return ArmWeights(
            weights=weights,
            pull=lambda values: design.T @ (values * weights),
            carry=lambda gradient: np.asarray(influence @ gradient),
        )

    return _both(arm(places.treated), arm(~places.treated))


def _calibration(places: Places) -> Weights:
    """Each arm of the trial gets the moderator means of the other place (entropy balancing)."""
    target = np.where(places.there & places.supported, places.sampling, 0.0)
    one, zero = (
        balance(places.moderators, ~places.there & places.supported & arm, places.sampling, target).arm
        for arm in (places.treated, ~places.treated)
    )
    return _both(one, zero)


def _estimates(places: Places, found: Mapping[str, Weights], sample: Sample, design: ExperimentDesign) -> Block | None:
    """All estimates over the same people, then each less what was observed there."""
    known = np.ones(len(places.there), dtype=bool)
    effects = [(name, found[name].effect(places.outcome, known)) for name in METHODS if name in found]
    if len(effects) < 2:
        return None
    labels = pd.DataFrame(
        {
            "method": [name for name, _ in effects],
            "effective_size": [effective_size(found[name].both) for name, _ in effects],
        }
    )
    influence = np.column_stack([effect.influence - effect.influence.mean() for _, effect in effects])
    scale = float(np.abs(places.outcome).max())
    told = Effects(
        estimate=np.array([effect.estimate for _, effect in effects]),
        labels=labels,
        influence=clear_noise(influence, scale),
        units=pd.Index(places.frame["unit"]),
    )
    clusters = clusters_of_frame(places.frame, sample.names)
    return Block(effects=_with_gaps(told), kind="influence", clusters=clusters)


def _with_gaps(effects: Effects) -> Effects:
    """Each estimate less the observed one, after all of them."""
    names = effects.labels["method"].tolist()
    if names[-1] != "observed":
        return effects
    gaps = np.hstack([np.eye(len(names) - 1), -np.ones((len(names) - 1, 1))])
    labels = pd.DataFrame({"method": [f"{name} − observed" for name in names[:-1]], "effective_size": np.nan})
    return concat([effects, effects.contrast(gaps, labels)])
