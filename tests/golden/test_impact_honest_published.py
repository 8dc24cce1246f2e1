"""Sensitivity to departures from parallel trends against published numbers and another program.

Benzarti and Carloni (2019), effects and covariance as in the R package HonestDiD (data/BCdata_EventStudy.rda).
Fixed-length intervals for the first period after: three programs agree to 1e-6. The others were printed by diff-diff
3.13.0 (Python 3.11, 2026-11-24), whose search for the best weights stops at about 1e-5.

Relative magnitudes: the least favourable value of other programs is the .995 quantile of 1,000 draws (standard error
about 5 %) and their ends lie on a grid, so that their intervals differ by up to .002 (a tenth of a standard error) from
run to run; ours has neither draws nor grid. Medicaid: README of HonestDiD, cohort 2014 against states that had not
expanded by 2015, grid of 40 standard errors in 1,000 steps.
"""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import did, honest


@pytest.fixture(scope="module")
def restaurants(shared_data):
    folder = shared_data / "golden" / "honestdid"
    return pd.read_csv(folder / "BC_betahat.csv")["betahat"].to_numpy(), pd.read_csv(folder / "BC_sigma.csv").to_numpy()


@pytest.fixture(scope="module")
def insurance(shared_data):
    return pd.read_csv(shared_data / "trials" / "castle_ehec_inputs" / "tmp_ehec.csv")


@pytest.mark.parametrize(
    ("target", "bound", "low", "high"),
    [
        ("first", 0.0, 0.131460, 0.216120),
        ("first", 0.1, 0.119398, 0.418554),
        ("first", 0.2, 0.019398, 0.518554),
        ("first", 0.3, -0.080602, 0.618554),
        ("average", 0.0, 0.1332481, 0.2303047),
        ("average", 0.005, 0.1222508, 0.2912113),
        ("average", 0.02, 0.1137404, 0.4767077),
        ("average", 0.1, -0.1864253, 0.9883048),
        ((0, 0, 0, 1), 0.0, 0.0100714, 0.1428191),
        ((0, 0, 0, 1), 0.005, -0.0246486, 0.2458272),
        ((0, 0, 0, 1), 0.02, -0.0790166, 0.5664946),
    ],
)
def test_fixed_length_intervals(restaurants, target, bound, low, high):
    interval = honest.smoothness(honest.EventStudy.of(*restaurants, 4, target), bound)
    np.testing.assert_allclose([interval.low, interval.high], [low, high], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("bound", "low", "high"), [(0.5, (0.119, 0.122), (0.269, 0.271)), (1.0, (0.067, 0.069), (0.318, 0.318))]
)
def test_relative_magnitudes(restaurants, bound, low, high):
    interval = honest.relative_magnitudes(honest.EventStudy.of(*restaurants, 4, "first"), bound)
    assert low[0] - 0.002 < interval.low < low[1]
    assert high[0] < interval.high < high[1] + 0.002


def test_numbers_of_relative_magnitudes_do_not_move(restaurants):
    # The linear program for the statistic and draws for the critical value confirm them (unit tests).
    study = honest.EventStudy.of(*restaurants, 4, "first")
    found = [(i.low, i.high) for i in (honest.relative_magnitudes(study, bound) for bound in (0.5, 1.0))]
    np.testing.assert_allclose(found, [(0.1179002, 0.2719004), (0.0665051, 0.3192653)], atol=5e-7)
    assert honest.breakdown(study).value == pytest.approx(1.61688, abs=5e-5)


@pytest.mark.parametrize(
    ("bound", "low", "high"),
    [(0.5, 0.0241, 0.0673), (1.0, 0.0171, 0.0720), (1.5, 0.00859, 0.0796), (2.0, -0.00107, 0.0883)],
)
def test_medicaid_readme(panel, insurance, bound, low, high):
    study = medicaid(panel, insurance, factor=1.0, target="first")
    # Same estimates; the regression's standard errors have the factor G/(G-1) (N-1)/(N-k), k = 7 leads and lags and 8
    # years, states nested in clusters.
    assert study.effect == pytest.approx(0.046446, abs=5e-6)
    states, rows = 43, 43 * 8
    scaled = medicaid(panel, insurance, factor=states / (states - 1) * (rows - 1) / (rows - 15), target="first")
    interval = honest.relative_magnitudes(scaled, bound)
    np.testing.assert_allclose([interval.low, interval.high], [low, high], atol=6e-4)


def medicaid(panel, table, *, factor, target):
    table = table[(table["year"] < 2016) & (table["g"] != 2015)]
    table = table.assign(g=table["g"].where(table["g"] == 2014, 0))
    result = did.estimate(*panel(table, names=("stfips", "year", "g", "dins"), base_period="universal"))
    study = honest.event_study(result, target=target)
    return honest.EventStudy.of(study.estimate, factor * study.covariance, study.n_before, study.target)


def test_medicaid_breaks_down_at_about_two(panel, insurance):
    assert honest.breakdown(medicaid(panel, insurance, factor=1.0, target="first")).value == pytest.approx(2, abs=0.05)
    # All cohorts, states not yet expanded as comparison: four periods before, two after, on average.
    result = did.estimate(
        *panel(
            insurance,
            names=("stfips", "year", "g", "dins"),
            base_period="universal",
            comparison="not_yet_treated",
        )
    )
    found = honest.breakdown(honest.event_study(result, first=-5, last=1))
    assert found.value == pytest.approx(2.106, abs=5e-3)
    assert found.reason == ""
