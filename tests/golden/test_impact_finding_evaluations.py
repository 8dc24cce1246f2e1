"""Every evaluation of params.yaml from its data to its finding, with the published or computed number it must give.

Where the numbers come from: `data/portfolio/benchmarks.csv` (publication or program, and address, for each).
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.impact import finding
from evaluation.sample import prepare
from evaluation.settings.params import read_params

ROOT = Path(__file__).resolve().parents[2]
EVALUATIONS = read_params(ROOT).evaluations
CHECKS = {
    "balance.max_smd",
    "overlap.share_in_01_09",
    "overlap.ess_share",
    "baseline.outcome_pretest",
    "pretrend.periods",
    "pretrend.joint_p",
    "identification.sensitivity",
    "attrition.overall",
    "attrition.differential",
    "precision.mdes_sd",
    "precision.clusters",
    "precision.treated_clusters",
    "registration.plan",
    "multiplicity.holm_p",
    "measurement.source",
    "interference.displacement",
    "independence.evaluator",
}
# What is looked at beside these in a difference-in-differences; the rubric does not judge it yet.
DIAGNOSTICS = {
    "pretrend.detectable_bias",
    "pretrend.equivalence_bound",
    "sensitivity.smoothness_breakdown",
    "sensitivity.trend_beyond_smallest",
    "placebo.dates_p",
    "robustness.leave_one_cohort",
    "robustness.leave_one_cluster",
    "robustness.estimators_agree_p",
    "composition.max_change",
    "dip.change_smd",
    "dip.level_smd",
    "dip.adjustment",
    "identification.share_missing",
}


@cache
def _found(evaluation: str) -> Any:
    design = EVALUATIONS[evaluation]
    return finding.estimate(prepare(design, root=ROOT), design, seed=1)


# checks of one method, and of what single evaluations have
ATTRITION = {"attrition.leavers", "attrition.lee_low", "attrition.lee_high"}
MORE = {
    "did": DIAGNOSTICS,
    "experiment": {"balance.adjusted"},
    "synthetic_control": {
        "synthetic.pre_fit_sd", "synthetic.rmspe_ratio_p", "synthetic.leave_one_out_change", "synthetic.donors",
    },
    "matching": {
        "balance.adjusted", "sensitivity.robustness_value", "sensitivity.rosenbaum_gamma", "placebo.baseline_p",
    },
    "weighting": {
        "balance.adjusted", "sensitivity.robustness_value", "sensitivity.e_value", "sensitivity.oster_delta",
        "placebo.baseline_p", "robustness.estimators_agree_p",
    },
    "discontinuity": {
        "balance.adjusted", "discontinuity.covariates_p", "discontinuity.density_p", "discontinuity.effective_units",
        "discontinuity.placebo_cutoff_p", "discontinuity.donut",
    },
    "instrument": {"balance.adjusted", "compliance.first_stage_f", "instrument.overidentification_p"},
    "uncontrolled": {"balance.adjusted", "identification.counterfactual"},
    "seat-belt-series": {"series.periods", "series.durbin_watson"},
    "work-experience-matched": {"identification.specification_share"},
    "small-classes": ATTRITION,
    "hiv-results-incentives": ATTRITION,
    "job-search-workshop": {"compliance.first_stage_f", "placebo.baseline_p"},
    "work-experience-weighted": {"benchmark.experiment_gap"},
    "work-experience-weighted-psid": {"benchmark.experiment_gap"},
}  # fmt: skip


def _checks(evaluation: str) -> dict[str, Any]:
    return {check.check: check for check in _found(evaluation).checks}


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_every_evaluation_gives_a_finding_of_aggregates(evaluation: str) -> None:
    found = _found(evaluation)
    assert (found.effects["role"] == "headline").sum() == 1
    more = MORE.get(EVALUATIONS[evaluation].method, set()) | MORE.get(evaluation, set())
    assert {check.check for check in found.checks} == CHECKS | more
    assert len(found.checks) == len(CHECKS | more)
    assert np.isfinite(found.headline["estimate"])
    assert found.sample["flow"][0]["step"] == "read"
    assert all("unit" not in table for table in found.tables.values())


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_two_runs_give_the_same_finding(evaluation: str) -> None:
    design = EVALUATIONS[evaluation]
    again = finding.estimate(prepare(design, root=ROOT), design, seed=1)
    assert again.headline == _found(evaluation).headline
    assert again.effects.equals(_found(evaluation).effects)


@pytest.mark.parametrize(
    ("evaluation", "estimate", "std_error"),
    [
        ("cash-transfers-full-window", 0.0998518853, 0.02992098635),  # statsmodels 0.14.6, OLS with HC1, 2026-11-25
        ("work-experience-trial", 1794.3423818501, 670.9965444673),  # LaLonde; Dehejia and Wahba
        ("job-training-observational", 894.36748027027, 705.229764061618),  # R MatchIt 4.7.1, sandwich::vcovCL
        ("small-classes", 13.899, None),  # AER STAR, kindergarten
        ("hiv-results-incentives", 0.4519823, None),  # Stata, Causal Inference: The Mixtape
    ],
)
def test_headlines_are_the_published_numbers(evaluation: str, estimate: float, std_error: float | None) -> None:
    headline = _found(evaluation).headline
    assert headline["estimate"] == pytest.approx(estimate, rel=5e-7)
    if std_error is not None:
        assert headline["std_error"] == pytest.approx(std_error, rel=1e-9)


@pytest.mark.parametrize(
    ("evaluation", "naive"), [("work-experience-matched", -8497.516148), ("job-training-observational", -635.026212)]
)
def test_the_naive_comparison_stands_beside_the_matched_one(evaluation: str, naive: float) -> None:
    effects = _found(evaluation).effects
    raw = effects[effects["term"] == "raw_difference"]
    assert raw["estimate"].item() == pytest.approx(naive, abs=1e-5)


def test_matching_with_the_survey_comes_close_to_the_trial() -> None:
    # The naive comparison is off by more than 10,000 dollars; matched, less than one standard error (671) remains.
    matched, trial = _found("work-experience-matched").headline, _found("work-experience-trial").headline
    assert abs(matched["estimate"] - trial["estimate"]) < trial["std_error"]
    assert _checks("work-experience-matched")["baseline.outcome_pretest"].value == 1.0


def test_the_year_before_shows_what_matching_could_not_see() -> None:
    # Matched without it, earnings of 1975 differ by -966 dollars (336): the programme cannot have done that.
    placebo = _checks("work-experience-matched")["placebo.baseline_p"]
    assert placebo.value == pytest.approx(0.00455, abs=5e-5)
    assert placebo.status == "measured"


def test_attrition_by_arm_comes_from_the_row_accounting() -> None:
    # STAR: 351 of 4,094 pupils in small or regular classes have no score; Thornton: 67 of 2,901 people no visit.
    assert _checks("small-classes")["attrition.overall"].value == pytest.approx(351 / 4094)
    assert _checks("hiv-results-incentives")["attrition.overall"].value == pytest.approx(67 / 2901)
    assert _checks("hiv-results-incentives")["attrition.differential"].value == pytest.approx(0.0775, abs=5e-5)


def test_four_territories_and_their_contrasts_come_from_one_regression() -> None:
    effects = _found("small-classes").effects
    places = effects[effects["term"] == "territory"]
    assert places["territory"].tolist() == ["inner-city", "rural", "suburban", "urban"]
    assert (effects["term"] == "contrast").sum() == 6
    assert _found("small-classes").tables["territory_covariance"].shape == (10, 11)


def test_one_treated_state_has_no_interval() -> None:
    found = _found("organ-donation-active-choice")
    assert found.headline["std_error"] is not None
    assert (found.headline["ci_low"], found.headline["p_value"]) == (None, None)
    assert _checks("organ-donation-active-choice")["precision.treated_clusters"].value == 1
    assert any("the headline among them" in note for note in found.notes)


def test_enterprise_zones_have_four_event_times_before() -> None:
    checks = _checks("enterprise-zones")
    assert checks["pretrend.periods"].value == 4
    assert checks["pretrend.joint_p"].status == "measured"
