"""Intervals of experiments hold the truth as often as they say: small samples, few clusters, weak first stages.

The default run repeats two designs 100 times. The slow run makes the table of docs/coverage.md:

    python3 run.py test -m slow tests/properties/test_impact_experiment_coverage.py

It takes 2,000 repetitions of each design (EVALUATION_REPETITIONS for another number). Designs whose default intervals
fall short are shown with their numbers: see docs/coverage.md.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from coverage_simulated import card

from evaluation.errors import EvaluationError
from evaluation.impact import experiment, phase_in

REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "2000"))
SEED = 20251201
Frame = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A simulated trial and how it is analysed.

    Attributes:
        draw: canonical columns of one sample.
        options: of the `arms` fixture.
        truth: the effect that the interval is to hold.
        read: estimate, standard error and interval of what is looked at.
        range: where the coverage of the slow run must lie.
    """

    draw: Callable[[np.random.Generator], Frame]
    options: Mapping[str, Any] = field(default_factory=dict)
    truth: float = 1.0
    read: Callable[[Any], tuple[float, float, float, float]] | None = None
    range: tuple[float, float] = (0.935, 0.965)


def _headline(found: Any) -> tuple[float, float, float, float]:
    row = found.blocks[0].table(0.95).iloc[0]
    return row["estimate"], row["std_error"], row["ci_low"], row["ci_high"]


def _wald(found: Any) -> tuple[float, float, float, float]:
    row = found.tables["complier_effects"].iloc[0]
    return row["estimate"], row["std_error"], row["ci_low"], row["ci_high"]


def _anderson_rubin(found: Any) -> tuple[float, float, float, float]:
    """The set, turned inside out where it is two rays, so that the truth lies between the ends if the set holds it."""
    row = found.tables["complier_effects"].iloc[0]
    if row["ar_shape"] != "two_rays":
        return row["estimate"], row["std_error"], row["ar_low"], row["ar_high"]
    inside = row["ar_low"] < 1.0 < row["ar_high"]
    return row["estimate"], row["std_error"], *((np.inf, -np.inf) if inside else (-np.inf, np.inf))


# trials ---------------------------------------------------------------------------------------------------------------


def two_arms(rng: np.random.Generator, n: int = 20) -> Frame:
    """Spread and shape differ by arm: skewed outcomes, three times as spread among the treated."""
    treated = rng.permutation(n) < n // 2
    noise = rng.exponential(size=n) - 1
    return {"treated": treated, "outcome_1": np.where(treated, 1 + 3 * noise, noise)}


def adjusted(rng: np.random.Generator, n: int = 40, k: int = 4, share: float = 0.5) -> Frame:
    """Effects grow with the first covariate, whose mean in the population is 0; the outcome is not linear in it."""
    x = rng.normal(size=(n, k))
    treated = rng.permutation(n) < round(share * n)
    outcome = x.sum(axis=1) + (x[:, 0] ** 2 - 1) + treated * (1 + x[:, 0]) + rng.normal(size=n)
    return {"treated": treated, "outcome_1": outcome, **{f"covariate_{j + 1}": x[:, j] for j in range(k)}}


def clustered(rng: np.random.Generator, clusters: int = 12, size: int = 10, treated_clusters: int = 6) -> Frame:
    """Clusters of 5 to 15 with a correlation of .2 within them."""
    sizes = rng.integers(size // 2, size + size // 2 + 1, clusters)
    cluster = np.repeat(np.arange(clusters), sizes)
    treated = (rng.permutation(clusters) < treated_clusters)[cluster]
    outcome = treated + np.sqrt(0.2) * rng.normal(size=clusters)[cluster] + np.sqrt(0.8) * rng.normal(size=len(cluster))
    return {"treated": treated, "outcome_1": outcome, "cluster_1": cluster}


def stratified(rng: np.random.Generator, strata: int = 10) -> Frame:
    """Strata of six, of which two, three or four are treated; the mean effect is 1, and larger where more are."""
    stratum = np.repeat(np.arange(strata), 6)
    number = np.resize([2, 3, 4], strata)
    number = np.where(np.arange(strata) == strata - 1, 3, number)
    treated = np.concatenate([rng.permutation(6) < k for k in number])
    outcome = stratum + treated * (1 + 2 * (number - 3))[stratum] + rng.normal(size=6 * strata)
    return {"treated": treated, "outcome_1": outcome, "stratum": stratum.astype(str)}


def paired(rng: np.random.Generator, pairs: int = 12) -> Frame:
    """Pairs of clusters of 3 to 20 each, alike within pairs."""
    sizes = rng.integers(3, 21, 2 * pairs)
    cluster = np.repeat(np.arange(2 * pairs), sizes)
    first = rng.integers(0, 2, pairs)
    treated = cluster % 2 == first[cluster // 2]
    level = rng.normal(size=pairs)[cluster // 2] + 0.3 * rng.normal(size=2 * pairs)[cluster]
    return {
        "treated": treated,
        "outcome_1": level + treated + rng.normal(size=len(cluster)),
        "cluster_1": cluster,
        "stratum": (cluster // 2).astype(str),
    }


def offered(rng: np.random.Generator, n: int = 300, strength: float = 2.0, clusters: int = 0) -> Frame:
    """An offer moves those whose hidden leaning is near the bar; who leans more has better outcomes anyway."""
    cluster = np.arange(n) // max(n // clusters, 1) if clusters else np.arange(n)
    treated = (rng.permutation(int(cluster.max()) + 1) % 2 == 0)[cluster]
    hidden = rng.normal(size=n) + (0.4 * rng.normal(size=n)[cluster] if clusters else 0)
    took = (hidden + strength * treated > 0.8).astype(float)
    outcome = 1.0 * took + 2 * hidden + 0.5 * rng.normal(size=n)
    return {"treated": treated, "outcome_1": outcome, "takeup": took} | ({"cluster_1": cluster} if clusters else {})


_POPULATION = np.random.default_rng(20251202)
_SIZES = _POPULATION.integers(4, 13, (4, 15))
_LEVELS = _POPULATION.normal(size=(4, 15)) + np.arange(4)[:, None]


def surveyed(rng: np.random.Generator) -> Frame:
    """Five of 15 villages in each of four regions, all their people, arms by lot; effects differ by region (mean 1)."""
    rows = [(h, v, _SIZES[h, v], _LEVELS[h, v]) for h in range(4) for v in np.sort(rng.choice(15, 5, replace=False))]
    region, village, level = (np.repeat([row[j] for row in rows], [row[2] for row in rows]) for j in (0, 1, 3))
    treated = rng.permutation(len(region)) % 2 == 0
    effect = np.array([0.0, 0.5, 1.5, 2.0])[region]
    return {
        "treated": treated,
        "outcome_1": level + treated * effect + rng.normal(size=len(region)),
        "sampling_stratum": region.astype(str),
        "sampling_unit": village.astype(str),
        "sampling_population": np.full(len(region), 15.0),
        "weight": np.full(len(region), 3.0),
    }


_EFFECT_SURVEYED = float(_SIZES.sum(axis=1) @ [0.0, 0.5, 1.5, 2.0] / _SIZES.sum())
_CLUSTER, _COVARIATES = {"cluster": True}, {"covariates": 4}
CASES = {
    "difference in means, HC2, n = 20": Case(draw=two_arms, range=(0.90, 0.965)),
    "Lin, HC2, n = 40, 4 covariates": Case(
        draw=adjusted, options={"adjustment": "lin", **_COVARIATES}, range=(0.86, 0.965)
    ),
    "Lin, HC2, n = 200, 4 covariates": Case(
        draw=lambda rng: adjusted(rng, 200), options={"adjustment": "lin", **_COVARIATES}, range=(0.90, 0.965)
    ),
    "Lin, HC3, n = 40, 4 covariates": Case(
        draw=adjusted,
        options={"adjustment": "lin", "inference": {"std_error": "hc3"}, **_COVARIATES},
        range=(0.88, 0.99),
    ),
    "ancova, HC2, n = 40, 4 covariates": Case(draw=adjusted, options={"adjustment": "ancova", **_COVARIATES}),
    "clusters, CR2, 12 clusters": Case(draw=clustered, options={"assignment": "cluster", **_CLUSTER}),
    "clusters, CR2, 20 clusters, 6 treated": Case(
        draw=lambda rng: clustered(rng, 20, 10, 6), options={"assignment": "cluster", **_CLUSTER}
    ),
    "clusters, CR1, 12 clusters": Case(
        draw=clustered,
        options={"assignment": "cluster", "inference": {"std_error": "cr1"}, **_CLUSTER},
        range=(0.90, 0.965),
    ),
    "10 strata of 6, by stratum": Case(draw=stratified, options={"strata_effects": "by_stratum", "stratum": True}),
    "12 pairs of clusters, by size": Case(
        draw=paired,
        options={"assignment": "paired", "strata_effects": "by_stratum", "stratum": True, **_CLUSTER},
        range=(0.93, 1.0),
    ),
    "compliers, strong first stage, Wald": Case(draw=offered, options={"takeup": True}, read=_wald),
    "compliers, strong first stage, Anderson-Rubin": Case(draw=offered, options={"takeup": True}, read=_anderson_rubin),
    "compliers, weak first stage, Wald": Case(
        draw=lambda rng: offered(rng, strength=0.15), options={"takeup": True}, read=_wald, range=(0.5, 1.0)
    ),
    "compliers, weak first stage, Anderson-Rubin": Case(
        draw=lambda rng: offered(rng, strength=0.15), options={"takeup": True}, read=_anderson_rubin
    ),
    "compliers, weak, 24 clusters, Anderson-Rubin": Case(
        draw=lambda rng: offered(rng, 240, 0.15, 24),
        options={"takeup": True, "assignment": "cluster", **_CLUSTER},
        read=_anderson_rubin,
    ),
    "survey of 20 of 60 villages": Case(
        draw=surveyed, options={"survey": True}, truth=_EFFECT_SURVEYED, range=(0.93, 0.98)
    ),
}


def prepare(arms: Any, case: Case) -> tuple[Any, Any]:
    """Sample and design of a first draw; later ones replace the frame."""
    frame = case.draw(np.random.default_rng(0))
    options = dict(case.options)
    columns = {
        "cluster": frame.get("cluster_1") if options.pop("cluster", False) else None,
        "stratum": frame.get("stratum") if options.pop("stratum", False) else None,
        "weight": frame.get("weight"),
    }
    if options.pop("takeup", False):
        options["takeup"] = "came"
    if options.pop("survey", False):
        options["survey"] = {"strata": "h", "sampling_unit": "v", "population": "n"}
    covariates = {f"x{j}": frame[f"covariate_{j}"] for j in range(1, options.pop("covariates", 0) + 1)}
    return arms("experiment", frame["outcome_1"], frame["treated"], covariates, **columns, **options)


def simulate(arms: Any, case: Case, repetitions: int) -> np.ndarray:
    """(R, 4): estimate, standard error, whether the interval holds the truth, and nothing about bands."""
    sample, design = prepare(arms, case)
    read = case.read or _headline
    out = np.full((repetitions, 4), np.nan)
    for row, seed in enumerate(np.random.SeedSequence(SEED).spawn(repetitions)):
        frame = pd.DataFrame(case.draw(np.random.default_rng(seed)))
        frame = frame.assign(unit=np.arange(len(frame)))
        frame["weight"] = frame.get("weight", 1.0)
        try:
            estimate, error, low, high = read(experiment.estimate(replace(sample, frame=frame), design))
        except (EvaluationError, KeyError):
            out[row, 2] = 0.0
            continue
        out[row, :3] = estimate, error, float(low <= case.truth <= high)
    return out


def shown(capsys: Any, name: str, row: Mapping[str, float]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{name:48s}" + "  ".join(f"{key} {value:.5g}" for key, value in row.items()) + "\n")


# a small version ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clusters, CR2, 12 clusters", "compliers, weak first stage, Anderson-Rubin"])
def test_intervals_cover_smoke(arms: Any, name: str) -> None:
    # 100 repetitions with 95 % cover 87 to 100 times with probability .999 (binomial).
    row = card(simulate(arms, CASES[name], 100), CASES[name].truth)
    assert row["coverage"] >= 0.87


# the table ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_intervals_cover(arms: Any, capsys: Any, name: str) -> None:
    case = CASES[name]
    row = card(simulate(arms, case, REPETITIONS), case.truth)
    shown(capsys, name, row)
    low, high = case.range
    slack = max(0.0, 3.3 * row["coverage_mc"] - 0.016)  # fewer than 2,000 repetitions may differ by their own noise
    assert low - slack <= row["coverage"] <= high + slack


def rolled_out(rng: np.random.Generator, n: int = 60) -> pd.DataFrame:
    """Starts in periods 3, 4, 5 or never, by lot; levels of units, drifts, effect 1 on everybody."""
    start = rng.permutation(np.resize([3, 4, 5, 0], n))
    outcome = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, 6)).cumsum(axis=1) + 0.5 * rng.normal(size=(n, 6))
    outcome += (start[:, None] > 0) & (np.arange(1, 7) >= start[:, None])
    cohort = pd.array([s if s > 0 else None for s in start], dtype="Int64")
    return pd.DataFrame(
        {
            "unit": np.repeat(np.arange(n), 6),
            "period": np.tile(np.arange(1, 7), n),
            "cohort": np.repeat(cohort, 6),
            "outcome_1": outcome.ravel(),
        }
    )


@pytest.mark.slow
def test_a_roll_out_by_lot_covers(capsys: Any) -> None:
    values = np.full((len(phase_in.RULES), REPETITIONS, 4), np.nan)
    for number, seed in enumerate(np.random.SeedSequence(SEED).spawn(REPETITIONS)):
        table = phase_in.estimate(rolled_out(np.random.default_rng(seed))).table()
        covered = (table["ci_low"] <= 1) & (table["ci_high"] >= 1)
        values[:, number, :3] = table[["estimate", "std_error"]].assign(covered=covered)
    rows = [card(part, 1.0) for part in values]
    for rule, row in zip(phase_in.RULES, rows, strict=True):
        shown(capsys, f"roll-out of 60 units, {rule}", row)
    assert all(0.92 <= row["coverage"] <= 0.97 for row in rows)
    assert rows[2]["sd"] <= 1.02 * min(rows[0]["sd"], rows[1]["sd"])  # estimating the share costs next to nothing
