"""Clustered errors and wild bootstrap tests against other programs on one small table.

pyfixest 0.60.0 (feols, CRV1 and CRV3) and wildboottest 0.3.2 (WildboottestCL, bootstrap_type "11"; all 2^10
combinations of Rademacher multipliers, p-values without ties; 99,999 Webb draws), Python 3.11.7, run on 24 November
2026.
"""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact.inference import covariance, summarize, wild_test
from evaluation.impact.panel_regression import two_way
from evaluation.impact.regression import weighted_least_squares


@pytest.fixture(scope="module")
def rows():
    """240 rows in 10 villages and 8 months, by formulas, so that any program can make them."""
    i = np.arange(240)
    village, month = i % 10, (i // 10) % 8
    treated = (village < 4) * 1.0
    x = np.sin(1.7 * i) + 0.3 * treated
    y = 0.9 * treated + 0.8 * x + 0.5 * np.sin(5.0 * village) + 0.4 * np.cos(3.0 * month) + np.cos(2.3 * i * i % 7.1)
    exposed = treated * (month >= 4)
    return pd.DataFrame({"y": y, "treated": treated, "x": x, "village": village, "month": month, "exposed": exposed})


@pytest.fixture(scope="module")
def effects(rows):
    design = np.column_stack([np.ones(240), rows["treated"], rows["x"]])
    fit = weighted_least_squares(rows["y"].to_numpy(), design, ["one", "treated", "x"])
    return fit.to_effects(np.eye(3), pd.DataFrame({"term": ["one", "treated", "x"]}))


def test_two_way_clusters_equal_pyfixest(rows, effects):
    table = summarize(effects, rows[["village", "month"]], kind="cr1")
    # The same closed forms: full precision of the numbers printed.
    np.testing.assert_allclose(
        table["estimate"], [0.31433163863880476, 0.4771012899384275, 0.8132080845853223], rtol=1e-11
    )
    np.testing.assert_allclose(
        table["std_error"], [0.1750422123285038, 0.20237950469870378, 0.07652736713848796], rtol=1e-11
    )
    np.testing.assert_allclose(
        table["p_value"], [0.11560159136491666, 0.05052987074378379, 1.4314176981944371e-05], rtol=1e-8
    )
    np.testing.assert_allclose(
        table.loc[1, ["ci_low", "ci_high"]].astype(float), [-0.0014501948974633416, 0.9556527747743183], rtol=1e-9
    )
    assert (table["df"] == 7).all()


def test_one_way_clusters_equal_pyfixest(rows, effects):
    village = rows[["village"]]
    np.testing.assert_allclose(
        covariance(effects, village, kind="cr1").std_error,
        [0.14775282098483025, 0.2413445370838673, 0.0718693409706655],
        rtol=1e-11,
    )
    # Its CRV3 has the factor of CRV1, G/(G-1) (N-1)/(N-k); ours is the sum over clusters without one.
    np.testing.assert_allclose(
        covariance(effects, village, kind="cr3").std_error * np.sqrt(10 / 9 * 239 / 237),
        [0.17735428561684796, 0.3121426205070257, 0.08007513491042846],
        rtol=1e-10,
    )


def test_fixed_effects_with_clusters_equal_pyfixest(rows):
    fit = two_way(
        rows["y"].to_numpy(),
        rows[["exposed", "x"]].to_numpy(),
        ["exposed", "x"],
        unit=pd.Index(rows["village"]),
        period=rows["month"].to_numpy(),
    )
    found = fit.to_effects(np.eye(2), pd.DataFrame({"term": ["exposed", "x"]}), fit.units)
    village = pd.DataFrame({"village": np.arange(10)}, index=np.arange(10))
    errors = covariance(found, village, kind="cr1").std_error
    np.testing.assert_allclose(found.estimate, [-0.10170783872555586, 0.8113443458059386], rtol=1e-10)
    np.testing.assert_allclose(errors, [0.1131470050457467, 0.07178059115003996], rtol=1e-10)


@pytest.mark.parametrize(("restricted", "p_value"), [(True, 0.111328125), (False, 0.123046875)])
def test_wild_test_of_all_combinations_equals_wildboottest(rows, effects, restricted, p_value):
    # It means to leave ties out, but by rounding its two draws that repeat the sample are farther out than the sample.
    # Without the hypothesis imposed no draw repeats it.
    test = wild_test(effects, rows[["village"]], row=1, law="rademacher", restricted=restricted)
    assert (test.draws, test.enumerated) == (1024, True)
    assert test.statistic == pytest.approx(1.976847272795879, rel=1e-12)
    assert test.p_value == p_value
    assert test.p_value_strict == p_value - (2 / 1024 if restricted else 0)


@pytest.mark.parametrize(("restricted", "p_value"), [(True, 0.10445104451044511), (False, 0.10966109661096611)])
@pytest.mark.parametrize("tails", ["symmetric", "equal"])
def test_wild_test_with_webb_draws_agrees_with_wildboottest(rows, effects, restricted, p_value, tails):
    test = wild_test(
        effects, rows[["village"]], row=1, law="webb", restricted=restricted, tails=tails, draws=40_000, seed=1
    )
    # Standard errors of the two shares: .0015 and .001; four of the difference (equal tails: about twice as much).
    assert test.p_value == pytest.approx(p_value, abs=0.008 if tails == "symmetric" else 0.014)
