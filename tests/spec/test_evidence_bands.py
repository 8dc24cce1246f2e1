"""The rubric of params.yaml, value by value: what each check costs at and around every threshold."""

import pytest

from evaluation.evidence import rubric
from evaluation.evidence.grading import grade
from evaluation.evidence.record import parse

WITH_METHOD = {
    "experiment": "randomised",
    "did": "event_study",
    "matching": "matching_pretest",
    "weighting": "matching_pretest",
    "instrument": "instrument",
    "synthetic_control": "synthetic_control",
    "discontinuity": "discontinuity",
}


@pytest.fixture(scope="module")
def scale(repository):
    return rubric.read(repository)


def graded(scale, method, checks, **changes):
    """The grade of a finding whose checks all pass, except those given."""
    perfect = PERFECT | checks
    return grade(finding(method, perfect, **changes), scale)


def finding(method, checks, *, design_class=None, headline=None, outcome=None, kind="effect", effects=()):
    listed = [
        {"check": name, **({"value": value, "status": "measured"} if isinstance(value, float) else value)}
        for name, value in checks.items()
    ]
    return parse(
        {
            "id": "finding",
            "role": "decision",
            "kind": kind,
            "method": method,
            "design_class": design_class or WITH_METHOD[method],
            "source": {"kind": "published", "citation": "Author 2020", "address": "https://example.org"},
            "plan": "exploratory",
            "outcome": {"name": "job", "unit": "share", "better": "higher", "smallest_effect": 1.0, **(outcome or {})},
            "headline": headline or {"estimate": 3.0, "std_error": 1.0, "ci_low": 1.0, "ci_high": 5.0},
            "sample": {},
            "checks": listed,
            "effects": effects,
            "provenance": {"public": True},
        }
    )


PERFECT = {
    "balance.max_smd": 0.0,
    "overlap.share_in_01_09": 1.0,
    "overlap.ess_share": 1.0,
    "baseline.outcome_pretest": 1.0,
    "pretrend.periods": 5.0,
    "pretrend.joint_p": {"value": 0.5, "power": 0.9, "status": "measured"},
    "pretrend.detectable_bias": 0.0,
    "pretrend.equivalence_bound": 0.0,
    "placebo.dates_p": 0.5,
    "placebo.baseline_p": 0.5,
    "robustness.leave_one_cohort": 0.0,
    "compliance.first_stage_f": 50.0,
    "identification.sensitivity": 2.0,
    "identification.negative_control": 0.5,
    "discontinuity.density_p": 0.5,
    "discontinuity.covariates_p": 0.5,
    "discontinuity.placebo_cutoff_p": 0.5,
    "discontinuity.donut": 5.0,
    "synthetic.pre_fit_sd": 0.0,
    "synthetic.rmspe_ratio_p": 0.02,
    "synthetic.leave_one_out_change": 0.0,
    "synthetic.donors": 5.0,
    "attrition.overall": 0.0,
    "attrition.differential": 0.0,
    "precision.mdes_sd": 0.1,
    "precision.clusters": 100.0,
    "precision.treated_clusters": 50.0,
    "registration.plan": 0.0,
    "multiplicity.holm_p": 0.01,
    "reporting.uncertainty": 0.0,
    "reporting.reading": 0.0,
    "measurement.source": 0.0,
    "interference.displacement": 0.0,
    "independence.evaluator": 0.0,
}
ANY = ("experiment", "did", "matching")
TRIAL, DID, MATCHING = ("experiment",), ("did",), ("matching",)
LATER = ("did", "matching")
ADJUSTED, INSTRUMENT = ("matching", "weighting"), ("instrument",)
SYNTHETIC, CUTOFF = ("synthetic_control",), ("discontinuity",)

# methods, rule, check, value, loss, cap. Each threshold stands twice: at it and beyond it.
BANDS = [
    (TRIAL, "balance-randomised", "balance.max_smd", 0.05, 0.0, None),
    (TRIAL, "balance-randomised", "balance.max_smd", 0.0501, 0.5, None),
    (TRIAL, "balance-randomised", "balance.max_smd", 0.25, 0.5, None),
    (TRIAL, "balance-randomised", "balance.max_smd", 0.2501, 1.0, None),
    (MATCHING, "balance-comparison", "balance.max_smd", 0.05, 0.0, None),
    (MATCHING, "balance-comparison", "balance.max_smd", 0.0501, 0.5, None),
    (MATCHING, "balance-comparison", "balance.max_smd", 0.25, 0.5, None),
    (MATCHING, "balance-comparison", "balance.max_smd", 0.2501, 1.0, 2),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.95, 0.0, None),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.9499, 0.5, None),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.80, 0.5, None),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.7999, 1.0, None),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.50, 1.0, None),
    (MATCHING, "overlap-share", "overlap.share_in_01_09", 0.4999, 1.0, 1),
    (MATCHING, "overlap-sample", "overlap.ess_share", 0.50, 0.0, None),
    (MATCHING, "overlap-sample", "overlap.ess_share", 0.4999, 0.5, None),
    (MATCHING, "overlap-sample", "overlap.ess_share", 0.20, 0.5, None),
    (MATCHING, "overlap-sample", "overlap.ess_share", 0.1999, 1.0, None),
    (MATCHING, "outcome-before", "baseline.outcome_pretest", 1.0, 0.0, None),
    (MATCHING, "outcome-before", "baseline.outcome_pretest", 0.0, 1.0, 2),
    (DID, "periods-before", "pretrend.periods", 3.0, 0.0, None),
    (DID, "periods-before", "pretrend.periods", 2.0, 0.5, None),
    (DID, "periods-before", "pretrend.periods", 1.0, 1.0, 3),
    (DID, "periods-before", "pretrend.periods", 0.0, 1.0, 2),
    (DID, "trends-before", "pretrend.joint_p", 0.05, 0.5, None),
    (DID, "trends-before", "pretrend.joint_p", 0.0499, 1.0, None),
    (DID, "trends-before", "pretrend.joint_p", 0.01, 1.0, None),
    (DID, "trends-before", "pretrend.joint_p", 0.0099, 1.0, 2),
    # the effect is 3, the smallest one worth having 1
    (DID, "trends-detectable", "pretrend.detectable_bias", 1.5, 0.0, None),
    (DID, "trends-detectable", "pretrend.detectable_bias", 1.5003, 0.5, None),
    (DID, "trends-detectable", "pretrend.detectable_bias", 3.0, 0.5, None),
    (DID, "trends-detectable", "pretrend.detectable_bias", 3.0003, 1.0, None),
    (DID, "trends-equivalent", "pretrend.equivalence_bound", 0.5, 0.0, None),
    (DID, "trends-equivalent", "pretrend.equivalence_bound", 0.5001, 0.5, None),
    (DID, "trends-departure", "identification.sensitivity", 1.0, 0.0, None),
    (DID, "trends-departure", "identification.sensitivity", 0.99, 0.5, None),
    (DID, "trends-departure", "identification.sensitivity", 0.5, 0.5, None),
    (DID, "trends-departure", "identification.sensitivity", 0.49, 1.0, None),
    (DID, "placebo-dates", "placebo.dates_p", 0.10, 0.0, None),
    (DID, "placebo-dates", "placebo.dates_p", 0.0999, 0.5, None),
    (DID, "placebo-dates", "placebo.dates_p", 0.05, 0.5, None),
    (DID, "placebo-dates", "placebo.dates_p", 0.0499, 1.0, None),
    (DID, "estimators-agree", "robustness.estimators_agree_p", 0.10, 0.0, None),
    (DID, "estimators-agree", "robustness.estimators_agree_p", 0.0999, 0.5, None),
    (DID, "estimators-agree", "robustness.estimators_agree_p", 0.05, 0.5, None),
    (DID, "estimators-agree", "robustness.estimators_agree_p", 0.0499, 1.0, None),
    (ADJUSTED, "placebo-before", "placebo.baseline_p", 0.10, 0.0, None),
    (ADJUSTED, "placebo-before", "placebo.baseline_p", 0.0999, 0.5, None),
    (ADJUSTED, "placebo-before", "placebo.baseline_p", 0.05, 0.5, None),
    (ADJUSTED, "placebo-before", "placebo.baseline_p", 0.0499, 1.0, None),
    (INSTRUMENT, "first-stage", "compliance.first_stage_f", 23.1, 0.0, None),
    (INSTRUMENT, "first-stage", "compliance.first_stage_f", 23.0, 0.5, None),
    (INSTRUMENT, "first-stage", "compliance.first_stage_f", 10.0, 0.5, None),
    (INSTRUMENT, "first-stage", "compliance.first_stage_f", 9.99, 1.0, 2),
    (SYNTHETIC, "hidden-gap", "identification.sensitivity", 2.0, 0.0, None),
    (SYNTHETIC, "hidden-gap", "identification.sensitivity", 1.99, 0.5, None),
    (SYNTHETIC, "hidden-gap", "identification.sensitivity", 1.0, 0.5, None),
    (SYNTHETIC, "hidden-gap", "identification.sensitivity", 0.99, 1.0, None),
    (SYNTHETIC, "fit-before", "synthetic.pre_fit_sd", 0.10, 0.0, None),
    (SYNTHETIC, "fit-before", "synthetic.pre_fit_sd", 0.1001, 0.5, None),
    (SYNTHETIC, "fit-before", "synthetic.pre_fit_sd", 0.25, 0.5, None),
    (SYNTHETIC, "fit-before", "synthetic.pre_fit_sd", 0.2501, 1.0, 2),
    (SYNTHETIC, "placebo-rank", "synthetic.rmspe_ratio_p", 0.10, 0.0, None),
    (SYNTHETIC, "placebo-rank", "synthetic.rmspe_ratio_p", 0.1001, 0.5, None),
    (SYNTHETIC, "single-donor", "synthetic.leave_one_out_change", 0.5, 0.0, None),
    (SYNTHETIC, "single-donor", "synthetic.leave_one_out_change", 0.501, 0.5, None),
    (SYNTHETIC, "single-donor", "synthetic.leave_one_out_change", 1.0, 0.5, None),
    (SYNTHETIC, "single-donor", "synthetic.leave_one_out_change", 1.001, 1.0, None),
    (SYNTHETIC, "donors", "synthetic.donors", 3.0, 0.0, None),
    (SYNTHETIC, "donors", "synthetic.donors", 2.0, 0.5, None),
    (SYNTHETIC, "donors", "synthetic.donors", 1.0, 1.0, None),
    (CUTOFF, "window", "identification.sensitivity", 2.0, 0.0, None),
    (CUTOFF, "window", "identification.sensitivity", 1.99, 0.5, None),
    (CUTOFF, "window", "identification.sensitivity", 1.0, 0.5, None),
    (CUTOFF, "window", "identification.sensitivity", 0.99, 1.0, None),
    (CUTOFF, "score-density", "discontinuity.density_p", 0.05, 0.0, None),
    (CUTOFF, "score-density", "discontinuity.density_p", 0.049, 0.5, None),
    (CUTOFF, "score-density", "discontinuity.density_p", 0.01, 0.5, None),
    (CUTOFF, "score-density", "discontinuity.density_p", 0.0099, 1.0, None),
    (CUTOFF, "covariate-jumps", "discontinuity.covariates_p", 0.05, 0.0, None),
    (CUTOFF, "covariate-jumps", "discontinuity.covariates_p", 0.049, 0.5, None),
    (CUTOFF, "covariate-jumps", "discontinuity.covariates_p", 0.01, 0.5, None),
    (CUTOFF, "covariate-jumps", "discontinuity.covariates_p", 0.0099, 1.0, None),
    (CUTOFF, "placebo-thresholds", "discontinuity.placebo_cutoff_p", 0.05, 0.0, None),
    (CUTOFF, "placebo-thresholds", "discontinuity.placebo_cutoff_p", 0.049, 0.5, None),
    (CUTOFF, "placebo-thresholds", "discontinuity.placebo_cutoff_p", 0.01, 0.5, None),
    (CUTOFF, "placebo-thresholds", "discontinuity.placebo_cutoff_p", 0.0099, 1.0, None),
    (CUTOFF, "nearest-units", "discontinuity.donut", 2.0, 0.0, None),
    (CUTOFF, "nearest-units", "discontinuity.donut", 1.99, 0.5, None),
    (CUTOFF, "nearest-units", "discontinuity.donut", 1.0, 0.5, None),
    (CUTOFF, "nearest-units", "discontinuity.donut", 0.99, 1.0, None),
    (INSTRUMENT, "exclusion", "identification.sensitivity", 0.5, 0.0, None),
    (INSTRUMENT, "exclusion", "identification.sensitivity", 0.499, 0.5, None),
    (INSTRUMENT, "exclusion", "identification.sensitivity", 0.25, 0.5, None),
    (INSTRUMENT, "exclusion", "identification.sensitivity", 0.249, 1.0, None),
    (ANY, "negative-control", "identification.negative_control", 0.10, 0.0, None),
    (ANY, "negative-control", "identification.negative_control", 0.099, 0.5, None),
    (ANY, "negative-control", "identification.negative_control", 0.05, 0.5, None),
    (ANY, "negative-control", "identification.negative_control", 0.049, 1.0, None),
    (ADJUSTED, "hidden-factor", "identification.sensitivity", 1.0, 0.0, None),
    (ADJUSTED, "hidden-factor", "identification.sensitivity", 0.99, 0.5, None),
    (ADJUSTED, "hidden-factor", "identification.sensitivity", 0.5, 0.5, None),
    (ADJUSTED, "hidden-factor", "identification.sensitivity", 0.49, 1.0, None),
    # at 0 % overall attrition the WWC's boundaries are 5.7 and 10 points
    (TRIAL, "attrition-randomised", "attrition.differential", 0.0569, 0.0, None),
    (TRIAL, "attrition-randomised", "attrition.differential", 0.057, 0.5, None),
    (TRIAL, "attrition-randomised", "attrition.differential", 0.0999, 0.5, None),
    (TRIAL, "attrition-randomised", "attrition.differential", 0.10, 1.0, 3),
    (LATER, "attrition-comparison", "attrition.overall", 0.20, 0.0, None),
    (LATER, "attrition-comparison", "attrition.overall", 0.2001, 0.5, None),
    (LATER, "attrition-comparison", "attrition.overall", 0.30, 0.5, None),
    (LATER, "attrition-comparison", "attrition.overall", 0.3001, 1.0, None),
    (LATER, "attrition-comparison", "attrition.overall", 0.50, 1.0, None),
    (LATER, "attrition-comparison", "attrition.overall", 0.5001, 1.0, 1),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.20, 0.0, None),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.2001, 0.5, None),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.29, 0.5, None),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.2901, 1.0, None),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.39, 1.0, None),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.3901, 1.0, 2),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.49, 1.0, 2),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.4901, 1.0, 1),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.59, 1.0, 1),
    (ANY, "detectable-effect", "precision.mdes_sd", 0.5901, 1.0, 0),
    (ANY, "clusters", "precision.clusters", 42.0, 0.0, None),
    (ANY, "clusters", "precision.clusters", 41.0, 0.5, None),
    (ANY, "clusters", "precision.clusters", 20.0, 0.5, None),
    (ANY, "clusters", "precision.clusters", 19.0, 1.0, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 12.0, 0.0, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 11.0, 0.5, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 6.0, 0.5, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 5.0, 1.0, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 2.0, 1.0, None),
    (ANY, "treated-clusters", "precision.treated_clusters", 1.0, 1.0, 2),
    (ANY, "plan", "registration.plan", 0.0, 0.0, None),
    (ANY, "plan", "registration.plan", 1.0, 0.5, None),
    (ANY, "plan", "registration.plan", 2.0, 1.0, None),
    (ANY, "many-outcomes", "multiplicity.holm_p", 0.05, 0.0, None),
    (ANY, "many-outcomes", "multiplicity.holm_p", 0.0501, 0.5, None),
    (ANY, "uncertainty-read", "reporting.uncertainty", 0.0, 0.0, None),
    (ANY, "uncertainty-read", "reporting.uncertainty", 1.0, 0.5, 4),
    (ANY, "figure-read", "reporting.reading", 0.0, 0.0, None),
    (ANY, "figure-read", "reporting.reading", 1.0, 0.5, None),
    (ANY, "figure-read", "reporting.reading", 2.0, 1.0, 1),
    (ANY, "outcome-source", "measurement.source", 0.0, 0.0, None),
    (ANY, "outcome-source", "measurement.source", 1.0, 0.5, None),
    (ANY, "outcome-source", "measurement.source", 2.0, 1.0, None),
    (ANY, "outcome-source", "measurement.source", 3.0, 1.0, 2),
    (ANY, "displacement", "interference.displacement", 0.05, 0.0, None),
    (ANY, "displacement", "interference.displacement", 0.0501, 0.5, None),
    (ANY, "displacement", "interference.displacement", 0.15, 0.5, None),
    (ANY, "displacement", "interference.displacement", 0.1501, 1.0, None),
    (ANY, "evaluator", "independence.evaluator", 0.0, 0.0, None),
    (ANY, "evaluator", "independence.evaluator", 1.0, 0.5, None),
    (ANY, "evaluator", "independence.evaluator", 2.0, 1.0, None),
]
CASES = [(method, *case) for methods, *case in BANDS for method in methods]


@pytest.mark.parametrize(("method", "rule", "check", "value", "loss", "cap"), CASES)
def test_each_value_costs_what_the_rubric_says(scale, method, rule, check, value, loss, cap):
    found = graded(scale, method, {check: value})
    assert [(item.rule, item.cap) for item in found.caps] == ([(rule, cap)] if cap is not None else [])
    assert {item.rule: item.loss for item in found.domain_losses.values() if item.loss} == (
        {rule: loss} if loss else {}
    )


def test_every_threshold_of_the_rubric_is_in_this_table(scale):
    for rule in scale.rules:
        values = {case[3] for case in BANDS if case[1] == rule.id}
        bounds = {band.at_most if band.at_most is not None else band.at_least for band in rule.bands[:-1]}
        if rule.measure == "value" and rule.only_if == "always":
            assert bounds <= values, rule.id
            assert {rule.band(value) for value in values} >= {b for b in rule.bands if b.power_at_least is None}, (
                rule.id
            )


@pytest.mark.parametrize("power", [0.0, 0.79, None])
def test_a_test_of_trends_that_could_not_see_anything_is_not_a_pass(scale, power):
    found = graded(scale, "did", {"pretrend.joint_p": {"value": 0.9, "power": power, "status": "measured"}})
    assert found.domain_losses["identification"].loss == 0.5


def test_a_test_of_trends_with_power_is_a_pass(scale):
    found = graded(scale, "did", {"pretrend.joint_p": {"value": 0.05, "power": 0.8, "status": "measured"}})
    assert found.domain_losses["identification"].loss == 0.0


COHORTS = [
    {"term": "cohort", "outcome": "job", "role": "supporting", "cohort": cohort, "estimate": 3.0} for cohort in (1, 2)
]


@pytest.mark.parametrize(("value", "loss"), [(0.5, 0.0), (0.501, 0.5), (1.0, 0.5), (1.001, 1.0)])
def test_an_effect_that_rests_on_one_cohort_costs(scale, value, loss):
    found = graded(scale, "did", {"robustness.leave_one_cohort": value}, effects=COHORTS)
    assert found.domain_losses["identification"].loss == loss


def test_where_all_start_at_one_date_no_cohort_can_be_left_out(scale):
    for effects in ((), COHORTS[:1]):
        found = graded(scale, "did", {"robustness.leave_one_cohort": {"status": "not_run"}}, effects=effects)
        assert found.domain_losses["identification"].loss == 0.0
    found = graded(scale, "did", {"robustness.leave_one_cohort": {"status": "not_run"}}, effects=COHORTS)
    assert [reason.rule for reason in found.reasons if reason.kind == "not_run"] == ["one-cohort"]


def test_a_trend_that_is_held_against_nothing_was_not_judged(scale):
    found = graded(scale, "did", {}, outcome={"smallest_effect": None})
    assert [(reason.rule, reason.kind) for reason in found.reasons[1:]] == [("trends-equivalent", "not_run")]


def test_the_sentence_says_the_share_of_the_effect(scale):
    found = graded(scale, "did", {"pretrend.detectable_bias": 2.1}, outcome={"smallest_effect": 2.0})
    assert "70\u00a0% de l'effet" in found.reasons[1].fr  # 2.1 of an effect of 3
    assert "70% of the effect" in found.reasons[1].en


# conditions and waivers ----------------------------------------------------------------------------------------------


def test_imbalance_of_a_trial_is_serious(scale):
    assert graded(scale, "experiment", {"balance.max_smd": 0.31}).value == 4


def test_imbalance_of_a_trial_with_high_attrition_lowers_the_ceiling_and_costs_a_level(scale):
    # attrition caps at 3 and so does the imbalance: one of the two domains is the cap, the other costs 1 level
    found = graded(scale, "experiment", {"balance.max_smd": 0.31, "attrition.differential": 0.12})
    assert sorted(cap.rule for cap in found.caps) == ["attrition-randomised", "balance-after-attrition"]
    assert found.value == 2


def test_balance_repairs_high_attrition(scale):
    assert graded(scale, "experiment", {"attrition.differential": 0.12}).value == 3


def test_attrition_needs_both_numbers(scale):
    found = graded(scale, "experiment", {"attrition.differential": {"status": "not_run"}})
    assert [(reason.rule, reason.kind) for reason in found.reasons] == [("attrition-randomised", "not_run")]


NULL = {"estimate": 0.0, "std_error": 0.1, "ci_low": -0.196, "ci_high": 0.196}  # 90 % interval: -0.164 to 0.164


@pytest.mark.parametrize(("smallest", "waived"), [(0.17, True), (0.16, False), (None, False)])
def test_a_precise_null_needs_no_power(scale, smallest, waived):
    outcome = {"smallest_effect": smallest}
    found = graded(scale, "experiment", {"precision.mdes_sd": 0.55}, headline=NULL, outcome=outcome)
    assert (found.domain_losses["precision"].loss == 0.0) is waived


@pytest.mark.parametrize("method", ["did", "matching"])
def test_a_hidden_factor_does_not_matter_where_no_effect_is_possible_anyway(scale, method):
    found = graded(scale, method, {"identification.sensitivity": 0.1}, headline=NULL)
    assert found.domain_losses["identification"].loss == 0.0


def test_a_negative_control_counts_only_where_one_was_declared(scale):
    for known, rules in ({"status": "not_run"}, ["negative-control"]), (None, []):
        checks = PERFECT | {"identification.negative_control": known}
        found = grade(finding("did", {name: value for name, value in checks.items() if value is not None}), scale)
        assert [reason.rule for reason in found.reasons if reason.kind == "not_run"] == rules


def test_multiplicity_does_not_matter_where_no_effect_is_possible_anyway(scale):
    found = graded(scale, "experiment", {"multiplicity.holm_p": 1.0}, headline=NULL)
    assert found.domain_losses["reporting"].loss == 0.0


# not run, not applicable ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ANY)
@pytest.mark.parametrize("check", sorted(set(PERFECT) - {"identification.negative_control"}))  # see above
def test_a_check_that_was_not_run_is_a_concern_wherever_its_rule_applies(scale, method, check):
    rules = [rule for rule in scale.rules if check in (rule.check, rule.companion) and method in rule.methods]
    expected = {rule.id for rule in rules if rule.only_if == "always"}
    absent = finding(method, {name: value for name, value in PERFECT.items() if name != check})
    for record in (finding(method, PERFECT | {check: {"status": "not_run"}}), absent):
        reasons = grade(record, scale).reasons
        assert {reason.rule for reason in reasons if reason.kind == "not_run"} == expected
        assert all(reason.loss == 0.5 for reason in reasons if reason.kind == "not_run")


@pytest.mark.parametrize("check", sorted(set(PERFECT) - {"attrition.differential"}))
def test_a_check_that_does_not_apply_costs_nothing(scale, check):
    found = graded(scale, "experiment", {check: {"status": "not_applicable"}})
    assert (found.value, found.reasons) == (5, ())


def test_a_design_whose_ceiling_is_low_for_a_reason_is_not_charged_for_it_again(scale):
    changes = {"baseline.outcome_pretest": 0.0}
    assert graded(scale, "matching", changes, design_class="matching").value == 2
    assert graded(scale, "matching", changes, design_class="matching_pretest").value == 2


# ceilings ------------------------------------------------------------------------------------------------------------

CEILINGS = [
    ("experiment", "randomised", 5),
    ("experiment", "randomised_cluster", 5),
    ("experiment", "lottery", 5),
    ("meta_analysis", "meta_analysis_randomised", 5),
    ("discontinuity", "discontinuity", 4),
    ("instrument", "instrument", 4),
    ("did", "event_study", 4),
    ("synthetic_control", "synthetic_control", 4),
    ("did", "matched_did", 4),
    ("did", "did", 3),
    ("matching", "matching_pretest", 3),
    ("weighting", "matching_pretest", 3),
    ("meta_analysis", "meta_analysis", 3),
    ("matching", "matching", 2),
    ("comparison", "comparison_group", 2),
    ("uncontrolled", "before_after_adjusted", 2),
    ("uncontrolled", "before_after", 1),
    ("uncontrolled", "raw_comparison", 1),
    ("uncontrolled", "declared", 1),
    ("uncontrolled", "monitoring", 1),
    ("uncontrolled", "social_return", 1),
    ("uncontrolled", "account", 0),
]


@pytest.mark.parametrize(("method", "design_class", "ceiling"), CEILINGS)
def test_a_flawless_finding_reaches_the_ceiling_of_its_design(scale, method, design_class, ceiling):
    found = graded(scale, method, {}, design_class=design_class)
    assert (found.value, found.ceiling, found.ceiling_rule) == (ceiling, ceiling, design_class)
    kinds = [reason.kind for reason in found.reasons]
    assert kinds == ([] if ceiling == 5 else ["ceiling"])


def test_every_class_of_design_is_in_this_table(scale):
    assert {design_class for _, design_class, _ in CEILINGS} == set(scale.ceilings)


@pytest.mark.parametrize(
    ("kind", "level"), [("sign_only", 4), ("claim", 1), ("take_up", 1), ("level", 1), ("not_read", 0)]
)
def test_what_is_not_a_read_effect_cannot_be_graded_as_one(scale, kind, level):
    headline = {"direction": "none"} if kind == "sign_only" else {"p_value": None}
    data = finding("experiment", PERFECT).as_dict() | {"kind": kind, "headline": headline}
    data["claim"] = {"value": 1.0} if kind in ("claim", "take_up", "level") else None
    found = grade(parse(data), scale)
    assert (found.value, found.ceiling, found.ceiling_rule) == (level, level, kind)


@pytest.mark.parametrize(("method", "design_class", "ceiling"), CEILINGS)
def test_nothing_known_but_the_design(scale, method, design_class, ceiling):
    """All checks not run: worst domain 1/2 and, where three more domains lose, another 1/2."""
    found = grade(finding(method, {}, design_class=design_class), scale)
    assert found.value == (ceiling if method == "uncontrolled" else ceiling - 1)


# every rule matters --------------------------------------------------------------------------------------------------


def test_every_rule_is_reached_by_some_value(scale):
    assert {case[1] for case in BANDS} | {"balance-after-attrition", "one-cohort"} == {rule.id for rule in scale.rules}


def test_every_check_of_the_list_is_read_by_some_rule(scale):
    read = {rule.check for rule in scale.rules} | {rule.companion for rule in scale.rules if rule.companion}
    assert read == set(rubric.CHECKS)
