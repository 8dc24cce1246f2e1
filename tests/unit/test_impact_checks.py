"""Checks: each number by hand, each reason in words. A check never says whether a number is good enough."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import checks
from evaluation.impact.balance import AFTER_COLUMNS, BALANCE_COLUMNS, balance_table, effective_size
from evaluation.impact.covariates import Covariates
from evaluation.impact.inference import WaldTest
from evaluation.sample import FlowStep


def _covariates(**columns: Any) -> Covariates:
    matrix = np.column_stack([np.asarray(values, dtype=float) for values in columns.values()])
    return Covariates(matrix=matrix, labels=tuple(columns), columns=tuple(columns))


TREATED = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
ONES = np.ones(8)


def test_hedges_g_by_hand() -> None:
    # Treated 2, 4, 6, 8: mean 5, variance 20/3. Others 1, 3, 5, 7: mean 4, variance 20/3. g = (1 - 3/23) / sqrt(20/3).
    table = balance_table(_covariates(age=[2, 4, 6, 8, 1, 3, 5, 7]), TREATED, ONES)
    row = table.iloc[0]
    assert row["smd_before"] == pytest.approx((1 - 3 / 23) / np.sqrt(20 / 3), rel=1e-12)
    assert (row["kind"], row["difference"], row["variance_ratio_before"]) == ("continuous", 1.0, 1.0)
    assert row["ks_before"] == pytest.approx(0.25)  # at 1, 3, 5 and 7 one more comparison unit is below
    assert tuple(table.columns) == BALANCE_COLUMNS


def test_cox_index_by_hand() -> None:
    # Shares 3/4 and 1/4: log odds log 3 and -log 3, 2 log 3 / 1.65.
    row = balance_table(_covariates(woman=[1, 1, 1, 0, 1, 0, 0, 0]), TREATED, ONES).iloc[0]
    assert row["smd_before"] == pytest.approx(2 * np.log(3) / 1.65, rel=1e-12)
    assert (row["kind"], row["difference"]) == ("binary", 0.5)
    assert np.isnan(row["variance_ratio_before"])


def test_a_share_of_nothing_keeps_the_cox_index_finite() -> None:
    # Shares 1/4 and 0 of 4; the latter counts as 0.5 of 5: log(1/3) - log(1/9) = log 3.
    row = balance_table(_covariates(woman=[1, 0, 0, 0, 0, 0, 0, 0]), TREATED, ONES).iloc[0]
    assert row["smd_before"] == pytest.approx(np.log(3) / 1.65, rel=1e-12)


def test_after_the_adjustment_the_scale_stays_that_of_before() -> None:
    # Without the unit with 1, the others have mean 5, as the treated: difference 0. With weight 3 on 7 and 1 on 3 the
    # mean is 6, and the difference of -1 is divided by the standard deviation of all eight units.
    ages = _covariates(age=[2, 4, 6, 8, 1, 3, 5, 7])
    even = balance_table(ages, TREATED, ONES, np.array([1.0, 1, 1, 1, 0, 1, 1, 1])).iloc[0]
    assert even["smd_after"] == 0.0
    uneven = balance_table(ages, TREATED, ONES, np.array([1.0, 1, 1, 1, 0, 1, 0, 3])).iloc[0]
    assert uneven["difference_after"] == pytest.approx(-1.0)
    assert uneven["smd_after"] == pytest.approx(-(1 - 3 / 23) / np.sqrt(20 / 3), rel=1e-12)
    assert set(AFTER_COLUMNS) <= set(uneven.index)


def test_missing_values_are_left_out_and_counted() -> None:
    table = balance_table(_covariates(age=[2, 4, 6, np.nan, 1, 3, 5, np.nan]), TREATED, ONES)
    assert table["missing"].tolist() == [2]
    assert table["difference"].tolist() == [1.0]


def test_the_worst_covariate_is_named() -> None:
    table = balance_table(_covariates(age=[2, 4, 6, 8, 1, 3, 5, 7], woman=[1, 1, 1, 0, 1, 0, 0, 0]), TREATED, ONES)
    found = checks.balance(table)
    assert (found.value, found.subject) == (pytest.approx(2 * np.log(3) / 1.65), "woman")
    assert "largest of 2 standardised differences as assigned: woman, Cox index 1.332" in found.detail


def test_rare_levels_are_listed_but_not_counted() -> None:
    n = 1000
    treated = np.arange(n) % 2 == 0
    rare = np.where(np.arange(n) == 0, 1.0, 0.0)
    table = balance_table(_covariates(age=np.arange(n), rare=rare), treated, np.ones(n))
    assert table["counted"].tolist() == [True, False]
    found = checks.balance(table)
    assert found.subject == "age"
    assert "1 levels that fewer than 1 % of the units have or lack are not counted" in found.detail


def test_a_difference_without_bound_is_written_as_ten() -> None:
    table = balance_table(_covariates(year=[5, 5, 5, 5, 2, 2, 2, 2]), TREATED, ONES)
    found = checks.balance(table)
    assert (found.value, found.subject) == (checks.UNBOUNDED, "year")


@pytest.mark.parametrize("table", [None, balance_table(_covariates(age=[np.nan] * 8), TREATED, ONES)])
def test_without_covariates_balance_is_not_run(table: Any) -> None:
    found = checks.balance(table)
    assert (found.status, found.value) == ("not_run", None)
    assert found.detail


def test_kish_size_by_hand() -> None:
    # Weights 1, 1, 2: 16 / 6.
    assert effective_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective_size(np.zeros(3)) == 0
    found = checks.effective_share(np.array([1.0, 1.0, 2.0, 0.0]))
    assert found.value == pytest.approx(16 / 18)
    assert "2.7 of 3 units in use, out of 4" in found.detail
    assert checks.effective_share(None).status == "not_applicable"


def test_overlap_counts_scores_from_a_tenth_to_nine_tenths() -> None:
    score = np.array([0.05, 0.1, 0.5, 0.9, 0.95, 0.99])
    found = checks.overlap(score, np.array([1, 1, 1, 1, 1, 0], dtype=bool))
    assert found.value == pytest.approx(3 / 5)
    assert checks.overlap(None, TREATED, "covariates separate").detail == "covariates separate"


def test_pretest_is_a_covariate_measured_before() -> None:
    sample = SimpleNamespace(frame=pd.DataFrame({"baseline_outcome": [1.0, np.nan]}))

    def design(method: str, covariates: tuple[str, ...], baseline: str | None) -> Any:
        return SimpleNamespace(method=method, covariates=covariates, baseline_outcome=baseline)

    assert checks.pretest(sample, design("matching", ("re75",), "re75")).value == 1.0
    assert checks.pretest(sample, design("matching", ("age",), "re75")).value == 0.0
    assert checks.pretest(sample, design("matching", ("age",), None)).value == 0.0
    assert checks.pretest(sample, design("experiment", (), None)).status == "not_applicable"
    assert checks.pretest(sample, design("did", (), None)).status == "not_applicable"


def _flow(
    dropped: int, treated: int | None, comparison: int | None, later: tuple[int, int] = (0, 0)
) -> tuple[Any, ...]:
    left = 100 - dropped
    return (
        FlowStep(step="read", dropped=0, left=120, reason=""),
        FlowStep(step="other_treatment", dropped=20, left=100, reason=""),
        FlowStep(
            step="missing_outcome",
            dropped=dropped,
            left=left,
            reason="",
            dropped_treated=treated,
            dropped_comparison=comparison,
        ),
        FlowStep(
            step="missing_cluster",
            dropped=sum(later),
            left=left - sum(later),
            reason="",
            dropped_treated=later[0],
            dropped_comparison=later[1],
        ),
    )


def test_attrition_by_hand() -> None:
    # 100 rows with an arm; 10 of 50 treated and 5 of 50 others lack the outcome; 4 more treated lack a cluster.
    trial = SimpleNamespace(method="experiment")
    overall, differential = checks.attrition(_flow(15, 10, 5, (4, 0)), trial, (36, 45))
    assert overall.value == pytest.approx(0.15)
    assert differential.value == pytest.approx(10 / 50 - 5 / 50)
    assert "20.0% of the treated and 10.0% of the comparison" in differential.detail


def test_attrition_without_a_roster_is_not_run() -> None:
    for found in checks.attrition(_flow(0, 0, 0), SimpleNamespace(method="matching"), (50, 50)):
        assert found.status == "not_run"
        assert "roster" in found.detail


def test_a_panel_is_its_own_roster() -> None:
    overall, differential = checks.attrition(_flow(0, 0, 0), SimpleNamespace(method="did", panel="balanced"), (50, 50))
    assert (overall.value, differential.value) == (0.0, 0.0)
    repeated = SimpleNamespace(method="did", panel="repeated_cross_section")
    assert checks.attrition(_flow(0, 0, 0), repeated, (50, 50))[0].status == "not_run"


def test_attrition_by_arm_needs_the_arms_of_the_lost() -> None:
    overall, differential = checks.attrition(_flow(15, None, None), SimpleNamespace(method="experiment"), (40, 45))
    assert (overall.status, differential.status) == ("measured", "not_run")


def test_detectable_effect_is_2_8_errors_in_standard_deviations() -> None:
    assert checks.detectable_effect(0.1, 2.0).value == pytest.approx(0.14)
    assert checks.detectable_effect(np.nan, 2.0).status == "not_run"
    assert checks.detectable_effect(0.1, 0.0).status == "not_run"


def test_clusters_are_counted_or_not_applicable() -> None:
    both = checks.cluster_counts((20, 7), "village")
    assert [check.value for check in both] == [20.0, 7.0]
    assert {check.status for check in checks.cluster_counts(None, "")} == {"not_applicable"}


def test_pretrends_are_tested_or_say_why_not() -> None:
    test = WaldTest(statistic=2.0, df=2, p_value=0.37)
    number, p_value = checks.pretrend(test, [-3, -2])
    assert (number.value, p_value.value) == (2.0, 0.37)
    refused = WaldTest(statistic=np.nan, df=2, p_value=np.nan, reason="too few clusters")
    assert checks.pretrend(refused, [-1])[1].detail == "too few clusters"
    assert {check.status for check in checks.pretrend(None, [])} == {"not_applicable"}


def test_multiplicity_is_about_families_of_several_outcomes() -> None:
    row = pd.Series({"p_value": 0.01, "p_adjusted": 0.03})
    assert checks.multiplicity(row, 1).status == "not_applicable"
    assert checks.multiplicity(row, 3).value == 0.03
    assert checks.multiplicity(pd.Series({"p_value": np.nan, "p_adjusted": np.nan}), 3).status == "not_run"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("administrative", 0),
        ("standardised test", 0),
        ("Measured", 0),
        ("self-report", 1),
        ("delivering staff", 2),
        ("programme", 3),
    ],
)
def test_measurement_is_a_code_of_the_source(source: str, code: float) -> None:
    assert checks.measurement(SimpleNamespace(source=source, name="y")).value == code


@pytest.mark.parametrize("source", ["", "hearsay"])
def test_an_unknown_source_is_not_run(source: str) -> None:
    found = checks.measurement(SimpleNamespace(source=source, name="y"))
    assert found.status == "not_run"
    assert "administrative" in found.detail


def _design(method: str, *, role: str = "benchmark", public: bool = True) -> SimpleNamespace:
    return SimpleNamespace(frozen=None, method=method, role=role, public=public)


def test_data_of_ones_own_are_not_excused_from_a_plan() -> None:
    found = {check.check: check for check in checks.unmeasured(_design("experiment", public=False))}
    assert found["registration.plan"].status == "not_run"


def test_what_the_data_cannot_say_is_not_run() -> None:
    found = {check.check: check for check in checks.unmeasured(_design("did", role="decision"))}
    assert {check.status for check in found.values()} == {"not_run"}
    benchmark = {check.check: check for check in checks.unmeasured(_design("experiment"))}
    assert benchmark["registration.plan"].status == "not_applicable"
    assert benchmark["identification.sensitivity"].status == "not_applicable"
    assert benchmark["interference.displacement"].status == "not_run"
