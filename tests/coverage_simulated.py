"""How often intervals and bands hold the truth over simulated samples: what docs/coverage.md reports.

Each repetition has a seed of its own (SeedSequence.spawn), so that the table does not depend on the number of
processes. A repetition in which the estimator refuses, or in which there is no interval, is counted as one that does
not hold the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from evaluation.errors import EvaluationError
from evaluation.evidence.calibration.designs import (
    SEEN,
    baker_larcker_wang,
    bertrand_duflo_mullainathan,
    callaway_santanna,
    sant_anna_zhao,
)
from evaluation.impact import did
from evaluation.impact.did_agreement import estimators_agree
from evaluation.impact.inference import cluster_table, summarize

SEED = 20250101
COLUMNS = ("estimate", "std_error", "covered", "band_covered")
Draw = Callable[[np.random.Generator], pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A simulated design and how it is analysed.

    Attributes:
        draw: one sample.
        options: of the `panel` fixture: covariates, cluster, and fields of the design.
        truth: the average effect; None where that of the cells averaged comes from the same data without noise.
        quiet: the data without noise, for truth None.
    """

    draw: Draw
    options: Mapping[str, Any]
    truth: float | None = 0.0
    quiet: Callable[[], pd.DataFrame] | None = None


SECTIONS = {"panel": "repeated_cross_section"}
ZHAO = {"covariates": SEEN}
STATES = {"cluster": ("state",), "comparison": "not_yet_treated"}
CASES = {
    **{
        f"Sant'Anna-Zhao {k}, panel": Case(draw=partial(sant_anna_zhao, k, 1000), options=ZHAO)
        for k in (1, 2, 3, 4)
    },
    **{
        f"Sant'Anna-Zhao {k}, cross-sections": Case(
            draw=partial(sant_anna_zhao, k, 2000, sections=True), options=ZHAO | SECTIONS
        )
        for k in (1, 2, 3)
    },
    "Callaway-Sant'Anna, panel": Case(
        draw=partial(callaway_santanna, 1000), options={"covariates": ("x",)}, truth=1.0
    ),
    "Callaway-Sant'Anna, cross-sections": Case(
        draw=partial(callaway_santanna, 4000, sections=True), options={"covariates": ("x",)} | SECTIONS, truth=1.0
    ),
    **{
        f"Baker-Larcker-Wang {k}": Case(
            draw=partial(baker_larcker_wang, k), options=STATES, truth=None, quiet=partial(baker_larcker_wang, k)
        )
        for k in range(1, 7)
    },
    "Bertrand-Duflo-Mullainathan": Case(draw=bertrand_duflo_mullainathan, options={}),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A case with its sample, whose frame is replaced in each repetition, and its design and truth."""

    case: Case
    sample: Any
    design: Any
    truth: float
    event_truth: Mapping[int, float] = field(default_factory=dict)


def prepare(panel: Callable[..., tuple[Any, Any]], case: Case) -> Prepared:
    """Build the sample and the design once; for a truth of None estimate the data without noise."""
    sample, design = panel(case.draw(np.random.default_rng(0)), **case.options)
    if case.truth is not None or case.quiet is None:
        return Prepared(case=case, sample=sample, design=design, truth=float(case.truth or 0))
    quiet = did.estimate(panel(case.quiet(), **case.options)[0], design)
    events = quiet.aggregates["event_time"]
    truths = dict(zip(events.labels["event_time"].tolist(), events.estimate.tolist(), strict=True))
    truth = float(quiet.headline.estimate[0])
    return Prepared(case=case, sample=sample, design=design, truth=truth, event_truth=truths)


def drawn(prepared: Prepared, rng: np.random.Generator) -> Any:
    """The sample of one repetition: as the `panel` fixture makes it, without making the design again."""
    table = prepared.case.draw(rng)
    columns = {name: column for name, column in prepared.sample.names.items() if column in table}
    start = table["cohort"].to_numpy()
    frame = pd.DataFrame({name: table[column].to_numpy() for name, column in columns.items() if name != "cohort"})
    cohort = pd.arrays.IntegerArray(start.astype(np.int64), start <= 0)
    return replace(prepared.sample, frame=frame.assign(cohort=cohort, treated=start > 0, weight=1.0))


def repetition(
    prepared: Prepared, seed: np.random.SeedSequence, *, band: bool = True
) -> tuple[float, float, float, float]:
    """Estimate, standard error, whether the interval holds the truth, and whether the band does (NaN if none)."""
    sample = drawn(prepared, np.random.default_rng(seed))
    clusters = cluster_table(sample.frame, ["cluster_1"]) if "cluster_1" in sample.frame else None
    try:
        result = did.estimate(sample, prepared.design)
    except EvaluationError:
        return np.nan, np.nan, 0.0, 0.0
    row = summarize(result.headline, clusters).iloc[0]
    covered = row["ci_low"] <= prepared.truth <= row["ci_high"]
    held = _band(prepared, result, clusters, seed) if band else np.nan
    return row["estimate"], row["std_error"], float(covered), held


def _band(prepared: Prepared, result: Any, clusters: pd.DataFrame | None, seed: np.random.SeedSequence) -> float:
    """Over all event times with an interval: those refused for few units have none, and the band says nothing there."""
    if len(result.aggregates["event_time"]) < 2:
        return np.nan
    events = summarize(result.aggregates["event_time"], clusters, band_seed=int(seed.generate_state(1)[0]))
    after = events["event_time"].to_numpy(dtype=float) >= 0
    truth = [prepared.event_truth.get(e, prepared.truth * p) for e, p in zip(events["event_time"], after, strict=True)]
    shown = (events["reason"] == "").to_numpy()
    inside = (events["band_low"] <= truth) & (truth <= events["band_high"])
    return float(inside[shown].all()) if shown.any() else 0.0


def simulate(
    prepared: Prepared, repetitions: int, *, jobs: int = 1, one: Callable[..., tuple[float, ...]] = repetition
) -> np.ndarray:
    """(R, 4) what `one` returns for each repetition."""
    seeds = np.random.SeedSequence(SEED).spawn(repetitions)
    if jobs == 1:
        return np.array([one(prepared, seed) for seed in seeds])
    chunks = Parallel(n_jobs=jobs)(delayed(_chunk)(prepared, one, seeds[k::20]) for k in range(20))
    return np.vstack(chunks)


def _chunk(
    prepared: Prepared, one: Callable[..., tuple[float, ...]], seeds: list[np.random.SeedSequence]
) -> np.ndarray:
    return np.array([one(prepared, seed) for seed in seeds])


def card(values: np.ndarray, truth: float) -> dict[str, float]:
    """What a row of docs/coverage.md says; standard errors of the simulation beside the shares."""
    table = pd.DataFrame(values, columns=list(COLUMNS))
    found, n = table.dropna(subset="estimate"), len(table)
    coverage, spread = table["covered"].mean(), found["estimate"].std()
    return {
        "repetitions": n,
        "failures": n - len(found),
        "bias": found["estimate"].mean() - truth,
        "bias_mc": spread / np.sqrt(len(found)),
        "sd": spread,
        "se_ratio": found["std_error"].mean() / spread,
        "coverage": coverage,
        "coverage_mc": np.sqrt(coverage * (1 - coverage) / n),
        "band_coverage": table["band_covered"].mean(),
    }


def agreement(prepared: Prepared, seed: np.random.SeedSequence) -> tuple[float, ...]:
    """Whether the three estimators are found to disagree at 5 % (NaN if they cannot be compared)."""
    test = estimators_agree(drawn(prepared, np.random.default_rng(seed)), prepared.design)
    return test.statistic, test.p_value, float(test.p_value < 0.05), float(test.reason != "")
