"""Alarms: one test of 5 % over what a record shows, by hand and by simulation."""

import numpy as np
import pytest
from scipy import stats

from evaluation.evidence import alarms, record, rubric
from evaluation.evidence.alarms import alarm


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


def finding(checks, *, method="did", design_class="event_study", estimand="att", **sample):
    measured = [{"check": name, "value": value, "status": "measured"} for name, value in checks.items()]
    return record.parse(
        {
            "id": "one",
            "role": "benchmark",
            "method": method,
            "design_class": design_class,
            "estimand": estimand,
            "source": {"kind": "estimated", "data": "simulated"},
            "plan": "confirmatory",
            "outcome": {"name": "y", "unit": "SD", "better": "higher"},
            "headline": {"estimate": 0.1, "std_error": 0.05},
            "effects": [{"term": "att", "outcome": "y", "role": "headline", "estimate": 0.1, "std_error": 0.05}],
            "sample": sample,
            "checks": measured,
            "simulated": True,
            "provenance": {"public": True},
        }
    )


def only(found):
    (ring,) = found.rang
    return ring.check, ring.p_adjusted


def test_holm_as_statsmodels_computes_it():
    from statsmodels.stats.multitest import multipletests

    p = {"a": 0.03, "b": 0.001, "c": 0.02, "d": 0.9, "e": 0.02}
    found = alarms.holm(p)
    expected = dict(zip(p, multipletests(list(p.values()), method="holm")[1], strict=True))
    assert found == pytest.approx(expected)
    assert list(found) == ["b", "c", "e", "a", "d"]


def test_two_tests_share_the_five_percent(scale):
    """.03 alone rings; beside a second test it is .06 and does not."""
    assert only(alarm(finding({"pretrend.joint_p": 0.03}), scale)) == ("pretrend.joint_p", pytest.approx(0.03))
    both = alarm(finding({"pretrend.joint_p": 0.03, "placebo.dates_p": 0.6}), scale)
    assert (both.rings, both.looked_at) == (False, ("pretrend.joint_p", "placebo.dates_p"))


def test_what_is_no_test_never_rings(scale):
    """No sensitivity, no power, no equivalence: all as bad as they can be."""
    bad = {
        "identification.sensitivity": 0.0,
        "pretrend.detectable_bias": 9.0,
        "pretrend.equivalence_bound": 9.0,
        "pretrend.periods": 0.0,
        "robustness.leave_one_cohort": 9.0,
    }
    assert alarm(finding(bad), scale) == alarms.Alarm(looked_at=(), rang=())


def test_a_placebo_without_the_outcome_before_tests_nothing_where_that_outcome_is_adjusted_for(scale):
    checks = {"placebo.baseline_p": 0.001}
    matched = {"method": "weighting", "design_class": "matching_pretest"}
    assert alarm(finding(checks, **matched), scale).rings
    used = checks | {"baseline.outcome_pretest": 1.0}
    assert not alarm(finding(used, **matched), scale).rings


def test_a_test_of_another_method_is_not_read(scale):
    assert not alarm(finding({"pretrend.joint_p": 0.001}, method="matching", design_class="matching"), scale).rings


def test_a_difference_is_judged_with_its_error(scale):
    """Bound .25, arms of 50 and 100: error √(1/50 + 1/100 + .0625/300) = .17381; .60 is 2.0137 of them beyond."""
    sizes = {"units": 150, "treated_units": 50, "method": "experiment", "design_class": "randomised"}
    rung = only(alarm(finding({"balance.max_smd": 0.60}, **sizes), scale))
    assert rung == ("balance.max_smd", pytest.approx(stats.norm.sf(0.35 / 0.173805), rel=1e-3))
    assert not alarm(finding({"balance.max_smd": 0.50}, **sizes), scale).rings
    large = sizes | {"units": 15000, "treated_units": 5000}
    assert alarm(finding({"balance.max_smd": 0.30}, **large), scale).rings


def test_clusters_take_the_place_of_people(scale):
    sizes = {"units": 15000, "treated_units": 5000, "method": "experiment", "design_class": "randomised_cluster"}
    assert not alarm(finding({"balance.max_smd": 0.30}, clusters=30, treated_clusters=15, **sizes), scale).rings


def test_a_share_is_judged_as_the_binomial_law_would(scale):
    """Bound .80 of 200 treated: 140 of them (z = -3.54) ring, 152 (z = -1.41) do not."""
    sizes = {"units": 500, "treated_units": 200, "method": "weighting", "design_class": "matching"}
    found = only(alarm(finding({"overlap.share_in_01_09": 0.70}, **sizes), scale))
    assert found[1] == pytest.approx(stats.norm.cdf(-0.1 / np.sqrt(0.16 / 200)))
    assert found[1] == pytest.approx(stats.binom.cdf(140, 200, 0.8), abs=5e-4)
    assert not alarm(finding({"overlap.share_in_01_09": 0.76}, **sizes), scale).rings


def test_attrition_against_the_boundary_of_the_wwc(scale):
    """20 % overall: 10.2 points are the optimistic boundary; 400 of 500 of each arm left, error .0253."""
    sizes = {"units": 800, "treated_units": 400, "method": "experiment", "design_class": "randomised"}
    few = {"attrition.overall": 0.20, "attrition.differential": 0.13}
    assert not alarm(finding(few, **sizes), scale).rings
    rung = only(alarm(finding(few | {"attrition.differential": 0.20}, **sizes), scale))
    assert rung[1] == pytest.approx(stats.norm.sf(0.098 / np.sqrt(0.16 * 2 / 500)), rel=1e-6)
    assert alarm(finding({"attrition.overall": 0.7, "attrition.differential": 0.0}, **sizes), scale).rings


def test_a_weak_instrument_is_one_that_could_not_be_strong(scale):
    """F of one instrument is noncentral chi-squared; at a concentration of 10 (the bound) F = 2 has p = .04."""
    kind = {"method": "instrument", "design_class": "instrument"}
    rung = only(alarm(finding({"compliance.first_stage_f": 2.0}, **kind), scale))
    assert rung[1] == pytest.approx(stats.ncx2.cdf(2.0, 1, 10.0), rel=1e-9)
    assert not alarm(finding({"compliance.first_stage_f": 4.0}, **kind), scale).rings


def test_facts_ring_by_themselves(scale):
    found = alarm(finding({"overlap.ess_share": 0.1}, method="weighting", design_class="matching"), scale)
    assert only(found) == ("overlap.ess_share", None)
    fit = alarm(
        finding({"synthetic.pre_fit_sd": 0.4}, method="synthetic_control", design_class="synthetic_control"), scale
    )
    assert only(fit) == ("synthetic.pre_fit_sd", None)


def test_rubrics_before_have_no_alarm(repository):
    old = rubric.read_version("1.2", repository)
    assert not alarm(finding({"pretrend.joint_p": 0.0}), old).rings


def test_right_analyses_ring_in_one_case_of_twenty_at_most(scale):
    """Three uniform p-values, alike or apart: 5 % or less (Monte Carlo error .4 points)."""
    rng = np.random.default_rng(7)
    names = ("pretrend.joint_p", "placebo.dates_p", "robustness.estimators_agree_p")
    for shared in (0.0, 0.9):
        z = np.sqrt(shared) * rng.normal(size=(3000, 1)) + np.sqrt(1 - shared) * rng.normal(size=(3000, 3))
        p = stats.norm.sf(z)
        rang = [min(alarms.holm(dict(zip(names, map(float, row), strict=True))).values()) <= 0.05 for row in p]
        assert np.mean(rang) < 0.05 + 3 * 0.004
    assert np.mean(rang) > 0.01
    assert scale.alarm.level == 0.05
