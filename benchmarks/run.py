"""Time the estimators against their peers: interleaved rounds, medians, numbers checked equal first.

Run it with `python3 run.py bench` (or `bench --quick`).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evaluation.impact import did, matching
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import DESIGNS

Run = Callable[[], np.ndarray]
OUTCOME = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One job and the programs that do it; the first runner is ours, and each returns the numbers to compare."""

    name: str
    runners: dict[str, Run]
    tolerance: float


def main() -> int:
    """Print a table of medians and ratios; the exit code is 1 if a peer's numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, fewer rounds")
    quick = parser.parse_args().quick
    differing = [race.name for race in races(quick) if not run_race(race, rounds=3 if quick else 5)]
    if differing:
        print(f"numbers differ in: {', '.join(differing)}", file=sys.stderr)
    return int(bool(differing))


def races(quick: bool) -> list[Race]:
    """The jobs, from the smallest to the largest."""
    units, people = (2_000, 10_000) if quick else (10_000, 100_000)
    frame = panel(units, periods=10, seed=1)
    return [
        staggered(frame, "regression", "reg"),
        staggered(frame, "doubly_robust", "dr"),
        nearest(people, seed=2),
    ]


def run_race(race: Race, *, rounds: int) -> bool:
    """Warm up, compare the numbers, then time in turns; returns whether all numbers agree."""
    numbers = {name: runner() for name, runner in race.runners.items()}
    ours, *peers = race.runners
    gaps = {name: float(np.max(np.abs(numbers[name] - numbers[ours]))) for name in peers}
    seconds = {name: [] for name in race.runners}
    for _ in range(rounds):
        for name, runner in race.runners.items():
            start = time.perf_counter()
            runner()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"\n{race.name}")
    for name, median in medians.items():
        beside = "" if name == ours else f"   {median / medians[ours]:6.1f} x   largest difference {gaps[name]:.1e}"
        print(f"  {name:12s} {median * 1000:10.1f} ms{beside}")
    return all(gap <= race.tolerance for gap in gaps.values())


def panel(units: int, *, periods: int, seed: int) -> pd.DataFrame:
    """A balanced panel in random row order: cohorts from period 4 on, some never treated, two covariates."""
    rng = np.random.default_rng(seed)
    first = rng.choice([0, 4, 6, 8], size=units, p=[0.4, 0.2, 0.2, 0.2])
    x = rng.normal(size=(units, 2))
    t = np.tile(np.arange(1, periods + 1), units)
    unit = np.repeat(np.arange(units), periods)
    treated = (first[unit] > 0) & (t >= first[unit])
    y = rng.normal(size=units)[unit] + t * (1 + 0.2 * x[unit, 0]) + treated + rng.normal(size=len(t))
    frame = pd.DataFrame({"unit": unit, "t": t, "first": first[unit], "y": y, "x1": x[unit, 0], "x2": x[unit, 1]})
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


def staggered(frame: pd.DataFrame, estimator: str, short: str) -> Race:
    """Group-time effects after treatment, never-treated comparison, with analytic standard errors."""
    from csdid.att_gt import ATTgt
    from diff_diff import CallawaySantAnna

    covariates = ["x1", "x2"] if short == "dr" else []
    sample, design = did_sample(frame, covariates, estimator)

    def ours() -> np.ndarray:
        result = did.estimate(sample, design)
        cells = result.group_time
        post = (cells.labels["event_time"] >= 0).to_numpy()
        return np.asarray(cells.estimate)[post]

    def csdid() -> np.ndarray:
        formula = "y~" + "+".join(covariates or ["1"])
        fit = ATTgt("y", "t", "unit", "first", frame, control_group=["nevertreated"], xformla=formula)
        found = fit.fit(est_method=short, bstrap=False).results
        group, period, att = (np.asarray(found[key], dtype=float) for key in ("group", "year", "att"))
        return att[period >= group]

    def diff_diff() -> np.ndarray:
        fit = CallawaySantAnna(control_group="never_treated", estimation_method=short, cband=False)
        found = fit.fit(frame, outcome="y", unit="unit", time="t", first_treat="first", covariates=covariates or None)
        cells = {key: cell["effect"] for key, cell in found.group_time_effects.items() if key[1] >= key[0]}
        return np.array([cells[key] for key in sorted(cells)])

    # diff-diff's doubly robust estimator is not the one of Sant'Anna and Zhao that csdid and R's did compute.
    peers = {"csdid": csdid} if short == "dr" else {"csdid": csdid, "diff-diff": diff_diff}
    name = f"staggered difference-in-differences, {frame['unit'].nunique():,} units x 10 periods, {estimator}"
    return Race(name=name, runners={"evaluation": ours, **peers}, tolerance=1e-9)


def nearest(people: int, *, seed: int) -> Race:
    """One nearest neighbour with replacement on the logit score, score included."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(people, 8))
    treated = rng.random(people) < 1 / (1 + np.exp(1.6 - 0.4 * x[:, :4].sum(axis=1)))
    y = x.sum(axis=1) + treated + rng.normal(size=people)
    sample, design = arms_sample(x, treated, y, distance="propensity_logit", replace=True)

    def ours() -> np.ndarray:
        return np.asarray(matching.estimate(sample, design).blocks[0].effects.estimate[:1])

    def sklearn() -> np.ndarray:
        score = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky").fit(x, treated).predict_proba(x)[:, 1]
        pool = NearestNeighbors(n_neighbors=1).fit(score[~treated, None])
        rows = pool.kneighbors(score[treated, None], return_distance=False)[:, 0]
        return np.array([np.mean(y[treated] - y[~treated][rows])])

    name = f"nearest neighbour with replacement, {people:,} people, 8 covariates, score and standard error included"
    return Race(name=name, runners={"evaluation": ours, "scikit-learn": sklearn}, tolerance=1e-6)


def did_sample(frame: pd.DataFrame, covariates: list[str], estimator: str) -> tuple[Sample, Any]:
    """The panel under our canonical names, with the design that goes with it."""
    names = {"unit": "unit", "t": "period", "first": "cohort", "y": "outcome_1"}
    names |= {name: f"covariate_{k}" for k, name in enumerate(covariates, start=1)}
    canonical = frame[list(names)].rename(columns=names).sort_values(["unit", "period"], ignore_index=True)
    canonical["cohort"] = canonical["cohort"].astype("Int64").replace(0, pd.NA)
    canonical["treated"] = canonical["cohort"].notna()
    canonical["weight"] = 1.0
    design = DESIGNS["did"](
        id="bench", method="did", outcomes=[OUTCOME], unit="unit", time="t", cohort={"column": "first", "never": [0]},
        estimator=estimator, covariates=covariates,
    )  # fmt: skip
    return sample_of(canonical, {new: old for old, new in names.items()}), design


def arms_sample(x: np.ndarray, treated: np.ndarray, y: np.ndarray, **options: object) -> tuple[Sample, Any]:
    """A cross-section under our canonical names, with the design that goes with it."""
    covariates = [f"x{k}" for k in range(1, x.shape[1] + 1)]
    frame = pd.DataFrame(x, columns=[f"covariate_{k}" for k in range(1, x.shape[1] + 1)])
    frame = frame.assign(unit=np.arange(len(y)), treated=treated, outcome_1=y, weight=1.0)
    design = DESIGNS["matching"](
        id="bench", method="matching", outcomes=[OUTCOME], treatment="d", covariates=covariates, **options
    )
    return sample_of(frame, dict(zip(frame.columns[: len(covariates)], covariates, strict=True))), design


def sample_of(frame: pd.DataFrame, names: dict[str, str]) -> Sample:
    """A sample that was not read from a file."""
    return Sample(
        id="bench", frame=frame, names=names, codebook=pd.DataFrame(), data_sha256="0" * 64, data_source="simulated",
        flow=(FlowStep(step="read", dropped=0, left=len(frame), reason="simulated rows"),), rows_read=len(frame),
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
