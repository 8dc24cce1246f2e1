"""Studies drawn from the model that they state, as the samples and designs that our estimators read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.errors import ParametersError
from evaluation.impact.power.designs import Clusters, Individuals, Pairs, Spread
from evaluation.impact.power.over_time import Changes

if TYPE_CHECKING:
    from numpy.random import Generator

    from evaluation.impact.covariates import Floats
    from evaluation.impact.power.study import Study
    from evaluation.sample import Sample
    from evaluation.settings.designs import Design

Drawn = tuple[Any, Any]  # a sample and its design


def drawer(study: Study, n: int, size: float) -> Callable[[float, Generator], Drawn]:
    """What draws one study with an effect.

    Args:
        study: individual, cluster, paired or difference, without subgroup.
        n: units or clusters assigned.
        size: units in each cluster.

    Raises:
        ParametersError: another design.
    """
    kinds: dict[type, Callable[..., Callable[[float, Generator], Drawn]]] = {
        Individuals: _individuals,
        Clusters: _clusters,
        Pairs: _pairs,
        Changes: _changes,
    }
    make = kinds.get(type(study.design))
    if make is None or study.subgroup is not None:
        raise ParametersError(
            code="E-IMP-301",
            what="studies of this kind are not drawn in this version",
            found=f"design {study.design.name}" + (" with a subgroup" if study.subgroup is not None else ""),
            expected="individual, cluster, paired or difference, for everybody",
            fix="leave simulate: out; the formula stands",
        )
    return make(study, study.design, n, size)


# models --------------------------------------------------------------------------------------------------------------


def _individuals(study: Study, design: Individuals, n: int, size: float) -> Callable[[float, Generator], Drawn]:
    stay = round(n * (1 - study.attrition))
    treated = np.arange(stay) < round(stay * design.share)
    stratum = np.arange(stay) % design.strata
    made = _trial(
        study.level_of_one,
        covariates=int(design.r2 > 0),
        strata="stratum" if design.strata > 1 else None,
    )

    def draw(effect: float, rng: Generator) -> Drawn:
        arm = rng.permutation(treated)
        x = rng.standard_normal(stay)
        rest = rng.standard_normal(stay)
        score = np.sqrt(design.r2) * x + np.sqrt(1 - design.r2) * rest
        frame = pd.DataFrame({"treated": arm, "outcome_1": _outcome(study.spread, score, arm, effect, rng)})
        if design.r2 > 0:
            frame["covariate_1"] = x
        if design.strata > 1:
            frame["stratum"] = stratum.astype(str)
        return _sample(frame, made), made

    return draw


def _clusters(study: Study, design: Clusters, n: int, size: float) -> Callable[[float, Generator], Drawn]:
    """Sizes vary as a gamma law with the coefficient of variation of the plan."""
    clusters = round(n * (1 - study.clusters_lost))
    treated = np.arange(clusters) < round(clusters * design.share)
    made = _trial(study.level_of_one, covariates=int(design.r2 > 0) + int(design.r2_clusters > 0), cluster=["cluster"])

    def draw(effect: float, rng: Generator) -> Drawn:
        sizes = _sizes(size * (1 - study.attrition), design.size_cv, clusters, rng)
        code = np.repeat(np.arange(clusters), sizes)
        arm = rng.permutation(treated)[code]
        known, own = rng.standard_normal(clusters), rng.standard_normal(clusters)
        level = np.sqrt(design.r2_clusters) * known + np.sqrt(1 - design.r2_clusters) * own
        x, rest = rng.standard_normal(len(code)), rng.standard_normal(len(code))
        within = np.sqrt(design.r2) * x + np.sqrt(1 - design.r2) * rest
        score = np.sqrt(design.icc) * level[code] + np.sqrt(1 - design.icc) * within
        frame = pd.DataFrame({"treated": arm, "cluster_1": code})
        frame["outcome_1"] = _outcome(study.spread, score, arm, effect, rng)
        columns = [values for values, used in ((x, design.r2), (known[code], design.r2_clusters)) if used > 0]
        for number, values in enumerate(columns, start=1):
            frame[f"covariate_{number}"] = values
        return _sample(frame, made), made

    return draw


def _pairs(study: Study, design: Pairs, n: int, size: float) -> Callable[[float, Generator], Drawn]:
    """Pairs of units; pairs of clusters are analysed by the means of clusters, whose difference is what counts."""
    kept = (1 - (study.attrition if design.drawn == "units" else study.clusters_lost)) ** 2
    pairs = round(n / 2 * kept)
    units = 1.0 if design.drawn == "units" else size * (1 - study.attrition)
    made = _trial(study.level_of_one, strata="stratum", assignment="paired")
    alone = (
        design.icc * (1 - design.correlation) * (1 - design.r2_clusters) + (1 - design.icc) * (1 - design.r2) / units
    )
    common = design.icc * design.correlation

    def draw(effect: float, rng: Generator) -> Drawn:
        first = rng.integers(0, 2, pairs)
        arm = np.column_stack([first, 1 - first]).ravel() == 1
        shared = np.repeat(rng.standard_normal(pairs), 2)
        score = np.sqrt(abs(common)) * shared + np.sqrt(alone) * rng.standard_normal(2 * pairs)
        frame = pd.DataFrame({"treated": arm, "outcome_1": study.spread.sd * score + effect * arm})
        frame["stratum"] = np.repeat(np.arange(pairs), 2).astype(str)
        return _sample(frame, made), made

    return draw


def _changes(study: Study, design: Changes, n: int, size: float) -> Callable[[float, Generator], Drawn]:
    clustered = design.drawn == "clusters"
    lost = study.clusters_lost if clustered else study.attrition
    groups = round(n * (1 - lost))
    m = round(size * (1 - study.attrition)) if clustered else 1
    starts, shares = design.groups
    cohort = starts[np.searchsorted(np.cumsum(shares) - 1e-9, (np.arange(groups) + 0.5) / groups)]
    sections = clustered and not design.in_time.same_units
    made = _panel(study.level_of_one, design, clustered=clustered, sections=sections)
    roots = [_root(part).T for part in design.in_time.covariance(design.periods)]

    def draw(effect: float, rng: Generator) -> Drawn:
        start = rng.permutation(cohort)
        level = rng.standard_normal((groups, 1, design.periods)) @ roots[0]
        score = np.asarray(level + rng.standard_normal((groups, m, design.periods)) @ roots[1])
        score = score * np.sqrt(1 - design.r2)
        code, unit, period = (axis.ravel() for axis in np.indices(score.shape))
        frame = pd.DataFrame({"unit": code * m + unit, "period": period, "cluster_1": code})
        if sections:
            frame["unit"] = np.arange(len(frame))
        own = start[code]
        frame["cohort"] = pd.array(np.where(np.isinf(own), np.nan, own), dtype="Float64").astype("Int64")
        arm = period >= own
        frame["outcome_1"] = study.spread.sd * score.ravel() + effect * arm
        return _sample(frame.assign(treated=np.isfinite(own)), made, clustered=clustered), made

    return draw


def _outcome(spread: Spread, score: Floats, arm: Floats, effect: float, rng: Generator) -> Floats:
    """Outcomes from standard normal scores: with the spread's standard deviation, or a yes for a share of them."""
    if spread.share is None:
        return np.asarray(spread.sd * score + effect * arm)
    from scipy import special

    wanted = spread.share + spread.direction * abs(effect) * arm
    return np.asarray((special.ndtr(score) < wanted).astype(float))


def _sizes(mean: float, cv: float, clusters: int, rng: Generator) -> NDArray[np.intp]:
    if cv == 0:
        low = np.floor(mean)
        return np.asarray((low + (rng.random(clusters) < mean - low)).astype(int))
    return np.maximum(np.round(rng.gamma(1 / cv**2, mean * cv**2, clusters)), 1).astype(int)


def _root(covariance: Floats) -> Floats:
    """A square root, of any rank."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


# samples and designs -------------------------------------------------------------------------------------------------


def _trial(level: float, *, covariates: int = 0, **options: Any) -> Design:
    from evaluation.settings.designs import ExperimentDesign

    names = [f"x{number}" for number in range(1, covariates + 1)]
    fields = {
        "id": "planned",
        "treatment": "treated",
        "outcomes": [_OUTCOME],
        "covariates": names,
        "adjustment": "ancova" if names else "none",
        "inference": {"level": 1 - level},
    }
    return ExperimentDesign.model_validate({**fields, **options})


def _panel(level: float, design: Changes, *, clustered: bool, sections: bool) -> Design:
    from evaluation.settings.designs import DidDesign

    fields = {
        "id": "planned",
        "outcomes": [_OUTCOME],
        "unit": "unit",
        "time": "period",
        "cohort": {"column": "start"},
        "comparison": "never_treated" if np.isinf(design.groups[0]).any() else "not_yet_treated",
        "estimator": "doubly_robust" if design.base == "last" else "imputation",
        "panel": "repeated_cross_section" if sections else "balanced",
        "cluster": ["cluster"] if clustered else [],
        "inference": {"level": 1 - level},
    }
    return DidDesign.model_validate(fields)


_OUTCOME = {"column": "outcome", "role": "primary", "unit": "standard deviations", "better": "higher"}


def _sample(frame: pd.DataFrame, design: Design, *, clustered: bool = True) -> Sample:
    from evaluation.sample import FlowStep, Sample

    frame = frame if "unit" in frame else frame.assign(unit=np.arange(len(frame)))
    frame = frame.assign(weight=1.0) if clustered else frame.assign(weight=1.0).drop(columns="cluster_1")
    return Sample(
        id=design.id,
        frame=frame,
        names={},
        flow=(FlowStep(step="read", dropped=0, left=len(frame), reason="drawn"),),
        codebook=pd.DataFrame(),
        data_sha256="",
        data_source="drawn",
        rows_read=len(frame),
    )
