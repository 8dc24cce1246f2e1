"""How often intervals by one instrument hold the truth: by the standard error, tF and Anderson-Rubin.

The default run repeats two designs 60 to 100 times. The slow run makes the table of docs/coverage.md:

    python3 run.py test -m slow tests/properties/test_impact_instrument_coverage.py

It takes 2,000 repetitions of each design (EVALUATION_REPETITIONS for another number).
"""

import os
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import instrument
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import InstrumentDesign

REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "2000"))
SEED = 20251220
N, TRUTH = 400, 1.0
HOW = ("standard", "tF", "Anderson-Rubin")
STRENGTHS = {"mean F 3": np.sqrt(2.0), "mean F 10": 3.0, "mean F 50": 7.0, "mean F 200": np.sqrt(199.0)}
WHY = "A reason that is long enough to be read by somebody else."


def drawn(rng: np.random.Generator, strength: float, endogeneity: float) -> pd.DataFrame:
    """One instrument, errors of both equations correlated by `endogeneity`, all normal."""
    z, v, e = rng.normal(size=(3, N))
    error = endogeneity * v + np.sqrt(1 - endogeneity**2) * e
    d = strength / np.sqrt(N) * z + v
    outcome = TRUTH * d + error
    frame = pd.DataFrame({"unit": np.arange(N), "outcome_1": outcome, "received": d, "instrument_1": z, "weight": 1.0})
    return frame.assign(treated=d > d.mean())


def prepared() -> tuple[Sample, InstrumentDesign]:
    outcome = {"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}
    design = InstrumentDesign(
        id="iv", outcomes=[outcome], treatment="d", instruments=["z"], exclusion=WHY, monotonicity=WHY
    )
    frame = drawn(np.random.default_rng(0), 3.0, 0.5)
    sample = Sample(
        id="iv", frame=frame, names={"outcome_1": "y", "received": "d", "instrument_1": "z", "unit": "row"},
        flow=(FlowStep(step="read", dropped=0, left=N, reason="made"),), codebook=pd.DataFrame(),
        data_sha256="0" * 64, data_source="made", rows_read=N, period_labels={}, notes=(),
    )  # fmt: skip
    return sample, design


def simulate(strength: float, endogeneity: float, repetitions: int) -> dict[str, dict[str, float]]:
    """Share that hold the truth and share without an end, by kind of interval; median lengths of the others."""
    sample, design = prepared()
    held = {how: [] for how in HOW}
    length: dict[str, list[float]] = {how: [] for how in HOW}
    for seed in np.random.SeedSequence(SEED).spawn(repetitions):
        frame = drawn(np.random.default_rng(seed), strength, endogeneity)
        rows = intervals(replace(sample, frame=frame), design)
        for how in HOW:
            part = rows[rows["interval"] == how]
            held[how].append(bool(((part["low"] <= TRUTH) & (part["high"] >= TRUTH)).any()))
            length[how].append(float((part["high"] - part["low"]).sum()))
    return {
        how: {
            "covered": float(np.mean(held[how])),
            "without_end": float(np.isinf(length[how]).mean()),
            "median_length": float(np.median(length[how])),
        }
        for how in HOW
    }


def intervals(sample: Sample, design: InstrumentDesign) -> pd.DataFrame:
    """The table `intervals` of a finding, without the rest of it."""
    case = instrument._Case.of(sample, design, "outcome_1", design.primary)
    return instrument._intervals(case, instrument._Stages.of(case), 0.95)


def test_the_table_is_that_of_the_finding() -> None:
    sample, design = prepared()
    pd.testing.assert_frame_equal(intervals(sample, design), instrument.estimate(sample, design).tables["intervals"])


def test_intervals_cover_smoke() -> None:
    """A weak instrument with errors that are nearly the same: the usual interval fails, the others do not."""
    weak = simulate(STRENGTHS["mean F 3"], 0.95, 100)
    # 100 repetitions with 95 % cover 87 to 100 times with probability .999 (binomial)
    assert weak["tF"]["covered"] >= 0.87
    assert weak["Anderson-Rubin"]["covered"] >= 0.87
    assert weak["standard"]["covered"] < 0.93
    strong = simulate(STRENGTHS["mean F 200"], 0.95, 60)
    assert min(strong[how]["covered"] for how in HOW) >= 0.83  # 60 repetitions: 50 or more with probability .999
    assert strong["tF"]["median_length"] == pytest.approx(strong["standard"]["median_length"], rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("endogeneity", [0.5, 0.95])
@pytest.mark.parametrize("name", STRENGTHS)
def test_intervals_cover(capsys: Any, name: str, endogeneity: float) -> None:
    found = simulate(STRENGTHS[name], endogeneity, REPETITIONS)
    with capsys.disabled():
        for how, row in found.items():
            numbers = "  ".join(f"{key} {value:.4g}" for key, value in row.items())
            sys.stdout.write(f"\n{name}, correlation {endogeneity}, {how:16s} {numbers}")
    slack = max(0.015, 3.3 * np.sqrt(0.05 * 0.95 / REPETITIONS))
    assert found["Anderson-Rubin"]["covered"] == pytest.approx(0.95, abs=slack)
    assert found["tF"]["covered"] >= 0.95 - slack
