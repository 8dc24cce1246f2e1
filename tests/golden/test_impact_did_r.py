"""Difference-in-differences against R did 2.5.1 on simulated panels, cross-sections and gappy panels: 27 designs.

Doubly robust standard errors of `rc`, `rc_w` and `unb_allow` were made by DRDID 1.2.3, whose influence function for
cross-sections had a wrong sign; there the estimates are compared, and the errors are shown to differ by that much. Ours
are held to the infinitesimal jackknife instead (tests/properties/test_impact_did_jackknife.py).
"""

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import did
from evaluation.impact.inference import cluster_table, summarize

ESTIMATORS = {"dr": "doubly_robust", "reg": "regression", "ipw": "inverse_probability"}
COMPARISONS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
AGGREGATES = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
COLUMNS = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}
OLD_SIGN = ("unb_allow", "rc", "rc_w")

SIM = {"names": ("id", "t", "g", "y"), "covariates": ("x1", "x2")}
RC = {**SIM, "names": ("rid", "t", "g", "y"), "panel": "repeated_cross_section"}
MINIMUM_WAGE = {"names": ("countyreal", "year", "first.treat", "lemp"), "covariates": ("lpop",)}
CASES = {
    f"sim_{short}_{group}_{base}": ("sim", {**SIM, "estimator": name, "comparison": comparison, "base_period": base})
    for short, name in ESTIMATORS.items()
    for group, comparison in COMPARISONS.items()
    for base in ("varying", "universal")
} | {
    "sim_nocov": ("sim", {**SIM, "covariates": ()}),
    "sim_w": ("sim", {**SIM, "weight": "wc"}),
    "sim_wtv": ("sim", {**SIM, "weight": "w"}),
    "sim_ant": ("sim", {**SIM, "anticipation": 1}),
    "sim_ant_nyt": ("sim", {**SIM, "anticipation": 1, "comparison": "not_yet_treated"}),
    "sim_cl": ("sim", {**SIM, "cluster": ("cl",)}),
    "sim_nonever_nyt": ("sim", {**SIM, "comparison": "not_yet_treated"}),
    "unb_drop": ("unb", SIM),
    "unb_allow": ("unb", {**SIM, "panel": "unbalanced"}),
    "rc": ("rc", RC),
    "rc_reg": ("rc", {**RC, "estimator": "regression"}),
    "rc_ipw": ("rc", {**RC, "estimator": "inverse_probability"}),
    "rc_w": ("rc", {**RC, "weight": "w"}),
    "mp_w": ("mpdta", {**MINIMUM_WAGE, "weight": "w"}),
    "mp_cl": ("mpdta", {**MINIMUM_WAGE, "cluster": ("st",)}),
}


@pytest.fixture(scope="module")
def golden(shared_data):
    return shared_data / "golden" / "did"


@pytest.fixture(scope="module")
def tables(golden):
    return {name: pd.read_csv(golden / f"{name}.csv") for name in ("sim", "unb", "rc", "mpdta")}


def compared(found, expected, keys):
    """Rows of both, matched by `keys`; both must have the same ones."""
    left = found.assign(**{name: found[column].astype("Int64") for name, column in keys.items()})
    right = expected.assign(**{name: expected[name].astype("Int64") for name in keys})
    both = right.merge(left, on=list(keys), how="outer", indicator=True, suffixes=("_r", ""))
    assert both["_merge"].eq("both").all()
    return both


def assert_equal(both, *, old_sign):
    np.testing.assert_allclose(both["estimate"], both["att"], rtol=0, atol=1e-10)
    pd.testing.assert_series_equal(both["std_error"].isna(), both["se"].isna(), check_names=False)
    np.testing.assert_allclose(both["std_error"], both["se"], rtol=0.06 if old_sign else 1e-8)


@pytest.mark.parametrize("case", CASES)
def test_r_did(panel, golden, tables, case):
    source, options = CASES[case]
    table = tables[source][tables[source]["g"] > 0] if case == "sim_nonever_nyt" else tables[source]
    sample, design = panel(table, **options)
    clusters = cluster_table(sample.frame, ["cluster_1"]) if "cluster" in options else None
    result = did.estimate(sample, design)
    assert result.skipped.empty

    cells = summarize(result.group_time, clusters, few_clusters="own")
    both = compared(cells, pd.read_csv(golden / f"{case}_gt.csv"), {"g": "cohort", "t": "period"})
    assert_equal(both, old_sign=case in OLD_SIGN)
    if case in OLD_SIGN:
        assert (both["std_error"] / both["se"] - 1).abs().max() > 0.01

    averages = pd.read_csv(golden / f"{case}_agg.csv")
    for kind, name in AGGREGATES.items():
        theirs = averages[averages["type"] == kind]
        overall = summarize(result.overall[name], clusters, few_clusters="own")
        both = pd.concat([theirs[theirs["e"].isna()].reset_index(drop=True), overall], axis=1)
        assert_equal(both, old_sign=case in OLD_SIGN)
        if name != "simple":
            rows = summarize(result.aggregates[name], clusters, few_clusters="own")
            both = compared(rows, theirs[theirs["e"].notna()], {"e": COLUMNS[name]})
            assert_equal(both, old_sign=case in OLD_SIGN)
