"""What would overturn a finding, in one form: values by hand, every design, and that a stronger finding is harder."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from evaluation.errors import InternalError
from evaluation.evidence import record
from evaluation.impact import finding, finding_sensitivity, overturn, sensitivity
from evaluation.impact.checks import Check, measured, not_run
from evaluation.impact.overturn import Overturn
from evaluation.sample import FlowStep

COLUMNS = list(overturn.COLUMNS)


def _drawn(n: int = 160, effect: float = 1.0) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(11)
    x, z = rng.normal(size=(2, n))
    treated = rng.random(n) < 1 / (1 + np.exp(0.4 - x))
    return x + 0.3 * z + effect * treated + rng.normal(size=n), treated, {"x": x, "z": z}


def _case(method: str, **changes: Any) -> finding_sensitivity.Case:
    """A case of which only what the measures read is there."""
    frame = pd.DataFrame({"outcome_1": [0.0, 2.0, 0.0, 2.0, 5.0], "treated": [False] * 4 + [True], "weight": 1.0})
    primary = SimpleNamespace(smallest_effect=changes.pop("smallest", None), role="primary", name="y")
    inference = SimpleNamespace(level=0.95)
    design = SimpleNamespace(method=method, primary=primary, outcomes=(primary,), inference=inference)
    sample = SimpleNamespace(frame=frame, flow=changes.pop("flow", ()), names={})
    numbers = {"estimate": 3.0, "std_error": 1.0, "ci_low": 1.04, "ci_high": 4.96}
    given = {"sample": sample, "design": design, "checks": {}, "tables": {}, **numbers, **changes}
    return finding_sensitivity.Case(**given)


def _rows(case: finding_sensitivity.Case) -> dict[tuple[str, str], Overturn]:
    return {(each.measure, each.overturns): each for each in finding_sensitivity.collect(case)}


def _checks(*made: Check) -> dict[str, Check]:
    return {each.check: each for each in made}


# the value ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"measure": "mood", "value": 1.0},
        {"measure": "hidden_factor", "value": 1.0, "overturns": "win"},
        {"measure": "hidden_factor"},
        {"measure": "hidden_factor", "value": 1.0, "reason": "and yet"},
        {"measure": "hidden_factor", "value": -0.1},
        {"measure": "hidden_factor", "value": float("nan")},
    ],
)
def test_a_measure_has_a_name_and_either_a_number_or_a_reason(wrong: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match="E-IMP-360"):
        Overturn(**wrong)


def test_every_measure_says_its_scale_and_its_source() -> None:
    measures = set(overturn.get_args(overturn.Measure))
    assert set(overturn.SCALES) == set(overturn.SOURCES) == measures
    assert all(overturn.SOURCES.values())


def test_a_number_without_end_is_cut_and_one_that_is_none_has_a_reason() -> None:
    endless, none = overturn.found("hidden_factor", np.inf), overturn.found("hidden_factor", np.nan)
    assert (endless.value, endless.unbounded) == (overturn.UNBOUNDED, True)
    assert none.value is None
    assert none.reason


@pytest.mark.parametrize(
    ("measure", "value", "already"),
    [
        ("hidden_factor", 0.0, True),
        ("hidden_factor", 0.1, False),
        ("hidden_bias", 1.0, True),
        ("risk_ratio", 1.1, False),
    ],
)
def test_ratios_start_at_one_and_the_others_at_zero(measure: Any, value: float, already: bool) -> None:
    assert overturn.found(measure, value).already is already


def test_the_table_has_the_same_columns_whatever_is_in_it() -> None:
    assert list(overturn.frame([]).columns) == COLUMNS
    table = overturn.frame([overturn.found("hidden_factor", 2.0), overturn.missing("bandwidth", "none")])
    assert list(table.columns) == COLUMNS
    assert np.isnan(table["value"].iloc[1])


# by hand --------------------------------------------------------------------------------------------------------------


def test_the_share_of_a_covariate_biases_as_much_as_the_covariate() -> None:
    # r2_y r2_d / (1 - r2_d) = .3 · .2 / .8 = .075; x²/(1 - x) = .075 at x = .2388
    share = finding_sensitivity.equal_share(pd.Series({"r2_treatment": 0.2, "r2_outcome": 0.3}))
    assert share**2 / (1 - share) == pytest.approx(0.075, rel=1e-12)
    assert finding_sensitivity.equal_share(pd.Series({"r2_treatment": 1.0, "r2_outcome": 0.3})) == 1.0


def test_shares_of_a_hidden_factor_are_those_of_the_darfur_study() -> None:
    """Estimate .0973 with standard error .02325 and 783 df (sensemakr's darfur data): RV .1388, interval .0763."""
    std_error = 0.0232538
    table = pd.DataFrame(
        {
            "covariate": ["female", "age"], "r2_treatment": [0.00916, 0.0001], "r2_outcome": [0.12464, 0.0001],
            "multiple": [4.5, 900.0], "estimate": 4.18444998480834 * std_error, "std_error": std_error, "df": 783,
        }
    )  # fmt: skip
    checks = _checks(measured("identification.sensitivity", 4.5, "said", "female"))
    rows = _rows(_case("weighting", tables={"hidden_factor": table}, checks=checks, smallest=0.05))
    zero, interval = (rows["hidden_share", way] for way in ("reach_zero", "lose_significance"))
    assert zero.value == pytest.approx(0.13877635389359155, rel=1e-10)
    assert interval.value == pytest.approx(0.0762579655448608, rel=1e-10)
    # f² = .12464 · .00916 / .99084 = .0011523; x = (√(f⁴ + 4f²) - f²)/2 = .03337
    assert zero.benchmark == pytest.approx(0.03337, abs=1e-5)
    assert zero.benchmark_name == "female"
    # (.0973 - .05) / .02325 / √783 = .07269: RV = (√(f⁴ + 4f²) - f²)/2 = .07010
    assert rows["hidden_share", "below_smallest_effect"].value == pytest.approx(0.0701, abs=2e-4)
    assert rows["hidden_factor", "reach_zero"].judged


def test_e_values_of_a_difference_by_hand() -> None:
    # SD of 0, 2, 0, 2 is √(4/3) = 1.1547; d = 2.598, RR = exp(.91 d) = 10.64, E = RR + √(RR (RR - 1)) = 20.77
    rows = _rows(_case("weighting", smallest=1.0))
    ratio = np.exp(0.91 * 3 / np.sqrt(4 / 3))
    assert rows["risk_ratio", "reach_zero"].value == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)))
    nearer = np.exp((0.91 * 3 - 1.78 * 1) / np.sqrt(4 / 3))
    assert rows["risk_ratio", "lose_significance"].value == pytest.approx(nearer + np.sqrt(nearer * (nearer - 1)))
    left = np.exp(0.91 * 2 / np.sqrt(4 / 3))
    assert rows["risk_ratio", "below_smallest_effect"].value == pytest.approx(left + np.sqrt(left * (left - 1)))


def test_an_effect_below_the_smallest_that_matters_needs_nothing_to_fall_below_it() -> None:
    rows = _rows(_case("weighting", smallest=4.0))
    assert rows["risk_ratio", "below_smallest_effect"].already


def test_those_who_were_lost_by_hand() -> None:
    # 10 % and 30 % lost: δ = 3 / .4 = 7.5, in standard deviations 7.5 / 1.1547; below 1: 2 / .4
    rates = pd.DataFrame({"treated": [0.1], "comparison": [0.3]})
    rows = _rows(_case("experiment", tables={"attrition_rates": rates}, smallest=1.0))
    assert rows["lost_people", "reach_zero"].value == pytest.approx(7.5 / np.sqrt(4 / 3))
    assert rows["lost_people", "below_smallest_effect"].value == pytest.approx(5 / np.sqrt(4 / 3))


def test_the_tipping_point_brings_everybodys_effect_to_zero() -> None:
    # 100 a side, 20 treated and 10 comparison people lost; seen means 5 and 2; the lost depart by δ against the finding
    delta = finding_sensitivity.tipping_point(3.0, (0.2, 0.1))
    treated, comparison = 0.8 * 5 + 0.2 * (5 - delta), 0.9 * 2 + 0.1 * (2 + delta)
    assert treated - comparison == pytest.approx(0.0, abs=1e-12)


def test_those_who_were_lost_come_from_the_account_of_rows_without_a_roster() -> None:
    step = FlowStep(step="missing_outcome", dropped=2, left=5, reason="", dropped_treated=1, dropped_comparison=1)
    rows = _rows(_case("experiment", flow=(step,)))  # 1 of 2 and 1 of 5: δ = 3 / .7
    assert rows["lost_people", "reach_zero"].value == pytest.approx(3 / 0.7 / np.sqrt(4 / 3))
    assert _rows(_case("experiment"))["lost_people", "reach_zero"].reason
    assert ("lost_people", "reach_zero") not in _rows(_case("weighting"))


@pytest.mark.parametrize(
    ("mean", "share"),
    [
        (2.5, 0.0),  # the mean of 1, 2, 3, 4 is 2.5: nobody
        (2.0, 0.25),  # without the 4
        (1.5, 0.5),  # without 4 and 3
        (1.25, 2 / 3),  # without 4, 3 and a part t of the 2: (3 - 2 t)/(2 - t) = 1.25 at t = ⅔
        (3.0, 0.25),  # from below: without the 1
        (0.5, 1.0),  # never
    ],
)
def test_the_share_that_is_left_out_by_hand(mean: float, share: float) -> None:
    assert finding_sensitivity.trimmed_share(np.array([3.0, 1, 4, 2]), np.ones(4), mean) == pytest.approx(share)


def test_whole_weights_are_copies_when_people_are_left_out() -> None:
    once = finding_sensitivity.trimmed_share(np.array([1.0, 2, 5]), np.array([2.0, 1, 3]), 2.0)
    assert once == pytest.approx(finding_sensitivity.trimmed_share(np.array([1.0, 1, 2, 5, 5, 5]), np.ones(6), 2.0))


def test_unequal_follow_up_by_hand() -> None:
    """Treated 5, 4, 3, 2, 1 all seen (mean 3), of four comparison people three seen: 0, 1, 2 (mean 1).

    The better followed arm loses 5, 4 and 3 of its people and part of 2: (2 + 1 - 2 t)/(2 - t) = 1 at t = 1: 80 %. Lee
    leaves out 1 - .75 = 25 %.
    """
    frame = pd.DataFrame({"outcome_1": [5.0, 4, 3, 2, 1, 0, 1, 2], "treated": [True] * 5 + [False] * 3, "weight": 1.0})
    rates = pd.DataFrame({"treated": [0.0], "comparison": [0.25]})
    case = _case("experiment", tables={"attrition_rates": rates}, estimate=2.0)
    case = replace(case, sample=SimpleNamespace(frame=frame, flow=(), names={}))
    row = _rows(case)["extra_followed", "reach_zero"]
    assert (row.value, row.benchmark) == (pytest.approx(0.8), pytest.approx(0.25))
    turned = frame.assign(outcome_1=-frame["outcome_1"], treated=~frame["treated"])  # comparison better followed
    rates = pd.DataFrame({"treated": [0.25], "comparison": [0.0]})
    case = replace(case, tables={"attrition_rates": rates}, sample=SimpleNamespace(frame=turned, flow=(), names={}))
    assert _rows(case)["extra_followed", "reach_zero"].value == pytest.approx(0.8)


def test_a_group_left_out_is_read_as_a_multiple_of_its_change() -> None:
    checks = _checks(
        measured("robustness.leave_one_cohort", 0.25, ""), measured("robustness.leave_one_cluster", 0.0, "")
    )
    rows = _rows(_case("did", checks=checks))
    assert rows["single_cohort", "reach_zero"].value == 4.0
    assert rows["single_cluster", "reach_zero"].unbounded


def test_trends_that_make_an_effect_too_small_have_a_row_of_their_own() -> None:
    checks = _checks(
        measured("identification.sensitivity", 1.5, ""), measured("sensitivity.trend_beyond_smallest", 0.5, "")
    )
    rows = _rows(_case("did", checks=checks))
    assert rows["trend_departure", "lose_significance"].value == 1.5
    assert rows["trend_departure", "below_smallest_effect"].value == 0.5


def test_bandwidths_by_hand() -> None:
    # effect 3, at other bandwidths 2 and 3.5: largest change 1
    curve = pd.DataFrame({"bandwidth": [1.0, 2.0, 4.0], "estimate": [2.0, 3.0, 3.5]})
    rows = _rows(_case("discontinuity", tables={"bandwidth_curve": curve}))
    assert rows["bandwidth", "reach_zero"].value == 3.0
    assert _rows(_case("discontinuity"))["bandwidth", "reach_zero"].reason


def test_an_instrument_by_hand() -> None:
    # reduced form 2 ± .5, first stage .5 exactly: lost at γ = 2 - 1.96 · .5 = 1.02, 51 % of 2
    table = pd.DataFrame({"estimate": [2.0, 0.5], "covariance_1": [0.25, 0.0], "covariance_2": [0.0, 0.0]})
    rows = _rows(_case("instrument", tables={"instrument_stages": table}))
    assert rows["direct_effect", "lose_significance"].value == pytest.approx(0.51, abs=1e-4)
    assert _rows(_case("instrument"))["direct_effect", "lose_significance"].reason


def test_without_a_comparison_nothing_can_be_judged() -> None:
    (only,) = finding_sensitivity.collect(_case("uncontrolled"))
    assert only.measure == "cannot_be_judged"
    (check,) = finding_sensitivity._judged((only,))
    assert (check.status, check.detail[:16]) == ("not_run", "cannot be judged")


def test_what_a_method_could_not_measure_keeps_its_reason() -> None:
    rows = _rows(_case("did", checks=_checks(not_run("identification.sensitivity", "one treated cluster"))))
    assert rows["trend_departure", "lose_significance"].reason == "one treated cluster"
    assert rows["trend_departure", "lose_significance"].judged


# in findings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "first"), [("experiment", "lost_people"), ("matching", "hidden_factor"), ("weighting", "hidden_factor")]
)
def test_every_finding_of_two_arms_has_the_table(arms: Any, method: str, first: str) -> None:
    found = finding.estimate(*arms(method, *_drawn()))
    table = found.tables["sensitivity"]
    assert list(table.columns) == COLUMNS
    assert table["measure"].iloc[0] == first
    judged = table.loc[table["judged"], "value"].tolist()
    check = next(check for check in found.checks if check.check == "identification.sensitivity")
    assert judged == ([] if method == "experiment" else [check.value])


def test_a_comparison_over_time_has_the_table(panel: Any) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"unit": np.repeat(np.arange(60), 6), "period": np.tile(np.arange(6), 60)}).assign(
        cohort=lambda rows: np.where(rows["unit"] < 30, 4, 0)
    )
    table["y"] = rng.normal(size=360) + 2.0 * ((table["cohort"] > 0) & (table["period"] >= 4))
    found = finding.estimate(*panel(table))
    measures = found.tables["sensitivity"]
    assert measures["measure"].tolist()[:2] == ["trend_departure", "trend_bend"]
    check = next(check for check in found.checks if check.check == "identification.sensitivity")
    assert measures["value"].iloc[0] == check.value


def test_the_judged_measure_becomes_the_check_where_the_method_makes_none() -> None:
    curve = pd.DataFrame({"bandwidth": [1.0, 2.0], "estimate": [2.0, 3.0]})
    rows = pd.DataFrame([{"role": "headline", "estimate": 3.0, "std_error": 1.0}])
    parts = SimpleParts(rows=rows, checks=[], tables={"bandwidth_curve": curve})
    case = _case("discontinuity")
    made = finding_sensitivity.added(parts, case.sample, case.design)  # type: ignore[arg-type]
    assert [(check.check, check.value) for check in made.checks] == [("identification.sensitivity", 3.0)]
    assert made.tables["sensitivity"]["judged"].tolist() == [True]


def test_the_record_carries_the_table(arms: Any) -> None:
    sample, design = arms("weighting", *_drawn())
    found = finding.estimate(sample, design)
    made = record.from_finding(found, sample, design, {"public": True})
    table = found.tables["sensitivity"]
    assert [row.measure for row in made.sensitivity] == table["measure"].tolist()
    assert [row.judged for row in made.sensitivity] == table["judged"].tolist()
    assert made.sensitivity[0].value == pytest.approx(table["value"].iloc[0], rel=1e-11)
    assert record.parse(made.as_dict()) == made


# laws -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("larger", [1.01, 1.5, 3.0])
def test_a_larger_effect_with_the_same_error_is_never_easier_to_overturn(larger: float) -> None:
    table = pd.DataFrame(
        {"covariate": ["x"], "r2_treatment": [0.1], "r2_outcome": [0.2], "multiple": [2.0], "std_error": 1.0, "df": 100}
    )
    rates = pd.DataFrame({"treated": [0.1], "comparison": [0.3]})
    curve = pd.DataFrame({"bandwidth": [1.0, 2.0], "estimate": [-0.5, 0.0]})
    stages = {"covariance_1": [0.25, 0.02], "covariance_2": [0.02, 0.01]}
    for method in ("weighting", "experiment", "discontinuity", "instrument"):
        values = []
        for size in (3.0, 3.0 * larger):
            tables = {
                "hidden_factor": table.assign(estimate=size),
                "attrition_rates": rates,
                "bandwidth_curve": curve.assign(estimate=curve["estimate"] + size),
                "instrument_stages": pd.DataFrame({"estimate": [size, 0.5], **stages}),
            }
            checks = _checks(measured("identification.sensitivity", size, "", "x")) if method == "weighting" else {}
            rows = _rows(_case(method, estimate=size, tables=tables, checks=checks, smallest=1.0))
            values.append({key: row.value for key, row in rows.items() if row.value is not None})
        assert values[0].keys() == values[1].keys()
        assert len(values[0]) >= 1
        assert all(values[1][key] >= values[0][key] for key in values[0]), method


def test_a_bias_as_large_as_the_share_says_reaches_what_it_says() -> None:
    # bias of shares (x, x): SE √(x² / (1 - x) df)
    table = pd.DataFrame(
        {"covariate": ["x"], "r2_treatment": [0.1], "r2_outcome": [0.2], "multiple": [2.0], "estimate": 3.0}
    ).assign(std_error=1.0, df=100)
    checks = _checks(measured("identification.sensitivity", 2.0, "", "x"))
    rows = _rows(_case("weighting", tables={"hidden_factor": table}, checks=checks, smallest=1.0))
    for way, left in (("reach_zero", 0.0), ("below_smallest_effect", 1.0)):
        share = rows["hidden_share", way].value
        assert share is not None
        assert 3.0 - np.sqrt(share**2 / (1 - share) * 100) == pytest.approx(left, abs=1e-9)


def test_the_bias_curve_passes_the_level_at_gamma() -> None:
    from evaluation.impact import hidden_bias

    scores = hidden_bias.signed_ranks(np.array([3.0, 1, 4, 1.5, 9, 2, 6, -1, 5, 3.5]))
    gamma = hidden_bias.hidden_bias(scores).gamma
    curve = hidden_bias.bias_curve(scores, [1.0, gamma, 2 * gamma])
    assert curve["p_value"].iloc[1] == pytest.approx(0.05, abs=1e-6)
    assert curve["p_value"].is_monotonic_increasing


def test_critical_values_have_one_degree_of_freedom_less() -> None:
    assert sensitivity.critical_f(783) == pytest.approx(stats.t.ppf(0.975, 782) / np.sqrt(782), rel=1e-9)
    assert sensitivity.critical_f(1) == np.inf


class SimpleParts:
    """Stands in for the parts of a method that is not there yet."""

    def __new__(cls, **given: Any) -> Any:
        from evaluation.impact.finding_parts import Parts

        rest = {"estimand": "ate", "covariance": None, "comparison": None, "used": None, "notes": ()}
        return replace(Parts(**{**rest, **given}))
