"""The infinitesimal jackknife as an oracle for every influence function of difference-in-differences.

influenceᵢ = n ∂θ/∂wᵢ at the weights of the sample (Efron 1982; Jaeckel 1972), by central differences: it needs nothing
but the estimate itself, and has found wrong standard errors in published programs.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.evidence.calibration.designs import staggered
from evaluation.impact import did
from evaluation.impact.did_estimators import ESTIMATORS
from evaluation.settings.designs import BY_CELL

STEP = 1e-4


def sample_of(kind):
    """A few dozen units, three periods, two cohorts, a covariate that moves, and unequal weights."""
    rng = np.random.default_rng(20250101)
    n = {"balanced": 24, "unbalanced": 30, "repeated_cross_section": 24}[kind]
    table = pd.DataFrame({"unit": np.repeat(np.arange(n), 3), "period": np.tile([1, 2, 3], n)})
    table["cohort"] = np.take([0, 2, 3], table["unit"] % 3)
    table["x"] = rng.normal(size=n)[table["unit"]] + 0.3 * rng.normal(size=len(table)) + 0.2 * (table["cohort"] > 0)
    table["y"] = rng.normal(size=len(table)) + 0.3 * table["x"] * table["period"]
    table["w"] = np.exp(0.3 * rng.normal(size=len(table)))
    if kind == "unbalanced":
        table = table[rng.random(len(table)) > 0.15].reset_index(drop=True)
    if kind == "repeated_cross_section":
        table["unit"] = np.arange(len(table))
    return table


def parts(result):
    return [result.group_time, *result.aggregates.values(), *result.overall.values()]


def estimates(result):
    return np.concatenate([part.estimate for part in parts(result)])


@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
def test_influence_without_covariates_is_the_infinitesimal_jackknife(panel, comparison):
    # Weights that never change within a unit: the way through the means of cohorts.
    table = sample_of("balanced")
    table["w"] = table.groupby("unit")["w"].transform("first")
    sample, design = panel(table, weight="w", comparison=comparison, base_period="universal")
    result = did.estimate(sample, design)
    frame, units = sample.frame, result.group_time.units

    def moved(unit, factor):
        weight = frame["weight"].where(frame["unit"] != unit, frame["weight"] * factor)
        return estimates(did.estimate(type("S", (), {"frame": frame.assign(weight=weight), "names": {}})(), design))

    jackknife = [len(units) * (moved(u, 1 + STEP) - moved(u, 1 - STEP)) / (2 * STEP) for u in units]
    np.testing.assert_allclose(np.hstack([part.dense() for part in parts(result)]), jackknife, atol=1e-6)


@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
@pytest.mark.parametrize("estimator", BY_CELL)
@pytest.mark.parametrize("kind", ["balanced", "unbalanced", "repeated_cross_section"])
def test_influence_is_the_infinitesimal_jackknife(panel, kind, estimator, comparison):
    table = sample_of(kind)
    sample, design = panel(table, covariates=("x",), weight="w", panel=kind, estimator=estimator, comparison=comparison)
    result = did.estimate(sample, design)
    assert result.skipped.empty

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        frame = sample.frame.assign(weight=weight)
        return estimates(did.estimate(type("S", (), {"frame": frame, "names": sample.names})(), design))

    units = result.group_time.units
    checked = units[np.random.default_rng(1).permutation(len(units))[:8]]  # cohorts and periods in random order
    jackknife = [len(units) * (moved(u, 1 + STEP) - moved(u, 1 - STEP)) / (2 * STEP) for u in checked]
    ours = np.hstack([part.dense() for part in parts(result)])[units.get_indexer(checked)]
    np.testing.assert_allclose(ours, jackknife, atol=1e-6)


OPTIONS = {
    "anticipation": {"anticipation": 1},
    "universal base": {"base_period": "universal"},
    "event times 0 to 1": {"event_window": {"first": -1, "last": 1}},
    "balanced event times": {"event_window": {"balanced": 1}},
}
# Imputation takes the shares of cohorts as given, as its source does; its own tests say where the jackknife holds.
WEIGHTED = [name for name in ESTIMATORS if name != "imputation"]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("estimator", BY_CELL)
def test_options_keep_the_infinitesimal_jackknife(panel, estimator, option):
    table = staggered(24, np.random.default_rng(20250101), starts=(0, 3, 4))
    check(panel, table, estimator, covariates=("x",), **OPTIONS[option])


@pytest.mark.parametrize("estimator", WEIGHTED)
def test_every_estimator_has_the_infinitesimal_jackknife(panel, estimator):
    check(panel, staggered(24, np.random.default_rng(20250101), starts=(0, 3, 4)), estimator)


def check(panel, table, estimator, **options):
    sample, design = panel(table, weight="w", estimator=estimator, **options)
    result = ESTIMATORS[estimator](sample, design)
    units = result.group_time.units

    def moved(unit, factor):
        weight = sample.frame["weight"].where(sample.frame["unit"] != unit, sample.frame["weight"] * factor)
        return estimates(ESTIMATORS[estimator](replace(sample, frame=sample.frame.assign(weight=weight)), design))

    checked = units[:6]  # two of each cohort, or the first six
    jackknife = [len(units) * (moved(u, 1 + STEP) - moved(u, 1 - STEP)) / (2 * STEP) for u in checked]
    ours = np.hstack([part.dense() for part in parts(result)])[: len(checked)]
    np.testing.assert_allclose(ours, jackknife, atol=1e-6)
