"""Standard errors against the spread of estimates over simulated samples (slow)."""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import did
from evaluation.impact.inference import summarize
from evaluation.impact.regression import weighted_least_squares

REPETITIONS = 300


def draw(rng, kind):
    """150 units in three periods, or 400 people each of whom is seen in one period."""
    n = 150 if kind == "balanced" else 400
    x = rng.normal(size=n)
    cohort = np.array([0, 2, 3])[np.minimum((rng.random(n) < 0.35 + 0.1 * x) + (rng.random(n) < 0.3), 2)]
    level = rng.normal(size=n)
    unit = np.repeat(np.arange(n), 3) if kind == "balanced" else np.arange(n)
    period = np.tile([1, 2, 3], n) if kind == "balanced" else rng.integers(1, 4, n)
    table = pd.DataFrame({"unit": unit, "period": period, "x": x[unit], "cohort": cohort[unit]})
    treated = (table["cohort"] > 0) & (table["period"] >= table["cohort"])
    noise = level[unit] + rng.normal(size=len(unit))
    return table.assign(y=0.5 * table["x"] * table["period"] + treated + noise)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["balanced", "repeated_cross_section"])
def test_doubly_robust_errors_are_the_spread_of_estimates_and_intervals_cover(panel, kind):
    rng = np.random.default_rng(20250101)
    rows = [
        summarize(did.estimate(*panel(draw(rng, kind), covariates=("x",), panel=kind)).headline).iloc[0]
        for _ in range(REPETITIONS)
    ]
    table = pd.DataFrame(rows).astype({"estimate": float, "std_error": float})
    # 300 repetitions know a standard deviation to 4 % and a coverage to 1.3 points: two and a half of each.
    assert table["std_error"].mean() / table["estimate"].std() == pytest.approx(1, abs=0.10)
    assert table["estimate"].mean() == pytest.approx(1, abs=3 * table["estimate"].std() / np.sqrt(REPETITIONS))
    assert ((table["ci_low"] <= 1) & (table["ci_high"] >= 1)).mean() == pytest.approx(0.95, abs=0.032)


@pytest.mark.slow
def test_cr2_intervals_cover_with_fourteen_unequal_clusters_where_cr0_intervals_do_not():
    rng = np.random.default_rng(20250101)
    code = np.repeat(np.arange(14), rng.integers(4, 40, 14))
    x = np.column_stack([np.ones(len(code)), code < 6])
    clusters, covered = pd.DataFrame({"village": code}), {"cr0": 0, "cr2": 0}
    for _ in range(REPETITIONS):
        fit = weighted_least_squares(rng.normal(size=14)[code] + rng.normal(size=len(code)), x, ["constant", "treated"])
        effects = fit.to_effects([0, 1], pd.DataFrame({"term": ["itt"]}))
        for kind in covered:
            row = summarize(effects, clusters, kind=kind).iloc[0]
            covered[kind] += row["ci_low"] <= 0 <= row["ci_high"]
    assert covered["cr2"] / REPETITIONS == pytest.approx(0.95, abs=0.032)
    assert covered["cr0"] / REPETITIONS < 0.92
