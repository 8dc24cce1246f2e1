"""Findings: the columns of the record, one headline, adjusted p-values, aggregates only, all designs of params.yaml."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import InternalError
from evaluation.impact import finding, finding_cross_section, finding_tests, inference
from evaluation.impact.finding import EFFECT_COLUMNS


def _drawn(n: int = 120) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(20250501)
    x = rng.normal(size=n)
    treated = rng.random(n) < 1 / (1 + np.exp(0.5 - x))
    return x + treated + rng.normal(size=n), treated, {"x": x}


@pytest.mark.parametrize(
    ("adjustment", "expected"),
    [
        # Three outcomes were declared; the one without a p-value counts: .01 × 3 and .03 × 2.
        ("holm", [0.06, np.nan, 0.03]),
        # .01 × 3/1 and .03 × 3/2.
        ("benjamini_hochberg", [0.045, np.nan, 0.03]),
    ],
)
def test_an_outcome_without_a_p_value_still_counts_in_its_family(arms: Any, adjustment: str, expected: list) -> None:
    outcome, treated, covariates = _drawn()
    inference = {"adjustment": adjustment}
    _, design = arms(
        "experiment", outcome, treated, covariates, secondary={"z": outcome, "v": outcome}, inference=inference
    )
    names = [each.name for each in design.outcomes]
    rows = pd.DataFrame(
        {"role": ["headline", "secondary", "secondary"], "outcome": names, "p_value": [0.03, np.nan, 0.01]}
    )
    found = finding_tests.adjusted(rows, design, None, None)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("method", ["experiment", "matching", "weighting"])
def test_a_finding_has_one_headline_and_the_columns_of_the_record(arms: Any, method: str) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms(method, outcome, treated, covariates, secondary={"z": outcome**2})
    found = finding.estimate(sample, design)
    assert tuple(found.effects.columns) == EFFECT_COLUMNS
    headline = found.effects[found.effects["role"] == "headline"]
    assert len(headline) == 1
    assert headline["estimate"].item() == found.headline["estimate"]
    assert headline["outcome"].item() == "y"
    assert (found.effects["role"] == "secondary").sum() == 1
    names = [check.check for check in found.checks]
    assert len(names) == len(set(names))
    assert all((check.value is None) == (check.status != "measured") for check in found.checks)
    assert all(check.detail for check in found.checks)


def test_the_headline_says_which_inference_it_used(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    said = {
        method: finding.estimate(*arms(method, outcome, treated, covariates)).headline["inference"]
        for method in ("experiment", "matching", "weighting")
    }
    assert said["experiment"].startswith("heteroskedasticity-robust HC2")
    assert "clusters: matched set (" in said["matching"]
    assert said["weighting"].startswith("influence function")
    again = finding.estimate(*arms("matching", outcome, treated, covariates, replace=True))
    assert again.headline["inference"].startswith("Abadie-Imbens")


def test_comparison_mean_and_spread_by_hand(arms: Any) -> None:
    # Comparison 1, 2, 3, 1, 2, 3: mean 2, variance 4/5. mdes = 2.8 * sqrt(2/3) / sqrt(4/5).
    outcome = np.array([3.0, 5, 7, 3, 5, 7, 1, 2, 3, 1, 2, 3])
    found = finding.estimate(*arms("experiment", outcome, np.arange(12) < 6))
    assert found.headline["comparison_mean"] == pytest.approx(2.0)
    assert found.headline["outcome_sd"] == pytest.approx(np.sqrt(4 / 5))
    checks = {check.check: check for check in found.checks}
    assert checks["precision.mdes_sd"].value == pytest.approx(2.8 * np.sqrt(2 / 3) / np.sqrt(4 / 5))
    assert found.tables["means"]["mean"].tolist() == [5.0, 2.0]


def test_matched_comparison_mean_is_that_of_the_partners(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    found = finding.estimate(*arms("matching", outcome, treated, covariates))
    means = found.tables["means"].set_index("group")["mean"]
    effect = means["treated_adjusted"] - means["comparison_adjusted"]
    assert effect == pytest.approx(found.headline["estimate"], rel=1e-12)
    assert means["comparison_adjusted"] == pytest.approx(found.headline["comparison_mean"])


def test_families_are_adjusted_apart(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("experiment", outcome, treated, covariates, secondary={"z": outcome + 1, "v": -outcome})
    outcomes = [design.outcomes[0], *(o.model_copy(update={"family": "other"}) for o in design.outcomes[1:])]
    found = finding.estimate(sample, design.model_copy(update={"outcomes": tuple(outcomes)}))
    p = found.effects["p_value"].to_numpy()
    np.testing.assert_allclose(found.effects["p_adjusted"], [p[0], 2 * p[1], 2 * p[2]])
    alone = {check.check: check for check in found.checks}["multiplicity.holm_p"]
    assert alone.status == "not_applicable"


def test_one_family_of_two_is_measured(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    found = finding.estimate(*arms("experiment", outcome, treated, covariates, secondary={"z": outcome}))
    adjusted = {check.check: check for check in found.checks}["multiplicity.holm_p"]
    assert adjusted.value == pytest.approx(2 * found.effects["p_value"].iloc[0])


def test_tables_hold_no_unit(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    found = finding.estimate(*arms("matching", outcome, treated, covariates))
    own = {"standardised_balance", "pair_distances", "set_sizes", "hidden_factor", "gamma_curve"}
    assert set(found.tables) == {"means", "balance", "score", "sensitivity"} | own
    assert all("unit" not in table.columns for table in found.tables.values())
    score = found.tables["score"]
    assert score.groupby("group")["n"].sum().to_dict() == {"comparison": (~treated).sum(), "treated": treated.sum()}
    assert len(score) == 2 * finding_cross_section.SCORE_BINS


@pytest.mark.parametrize("options", [{"distance": "mahalanobis"}, {"weights": "entropy_balancing"}])
def test_methods_without_a_score_are_checked_with_a_logit(arms: Any, options: dict[str, Any]) -> None:
    outcome, treated, covariates = _drawn()
    method = "matching" if "distance" in options else "weighting"
    found = finding.estimate(*arms(method, outcome, treated, covariates, **options))
    checks = {check.check: check for check in found.checks}
    assert checks["overlap.share_in_01_09"].status == "measured"
    assert "score" in found.tables


def test_without_a_score_the_reason_is_said(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    separating = {"x": np.where(treated, 5.0, 0.0) + np.linspace(0, 1, len(treated))}
    found = finding.estimate(*arms("matching", outcome, treated, separating, distance="mahalanobis"))
    overlap = {check.check: check for check in found.checks}["overlap.share_in_01_09"]
    assert overlap.status == "not_run"
    assert overlap.detail.endswith("x")
    bare = finding.estimate(*arms("matching", outcome, treated, exact=np.arange(len(treated)) % 3))
    checks = {check.check: check for check in bare.checks}
    assert checks["overlap.share_in_01_09"].detail == "no covariates are named"
    assert checks["balance.max_smd"].status == "not_run"


def test_the_effect_on_the_comparison_units_is_checked_from_their_side(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    found = finding.estimate(*arms("matching", outcome, treated, covariates, replace=True, estimand="atc"))
    checks = {check.check: check for check in found.checks}
    assert f"of {(~treated).sum()} units" in checks["overlap.share_in_01_09"].detail
    assert f"out of {treated.sum()} in the comparison group" in checks["overlap.ess_share"].detail


def test_the_covariance_of_territories_is_a_table(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    place = np.where(np.arange(120) % 3 == 0, "rural", "urban")
    found = finding.estimate(*arms("experiment", outcome, treated, territory=place))
    table = found.tables["territory_covariance"].set_index("territory")
    errors = found.effects.set_index("territory")["std_error"]
    assert table.loc["rural", "rural"] == pytest.approx(errors["rural"] ** 2)
    assert table.loc["rural", "urban"] == 0.0  # nobody is in both


def test_few_clusters_are_said_in_the_notes(arms: Any) -> None:
    outcome, _, _ = _drawn()
    cluster = np.arange(120) // 10
    found = finding.estimate(*arms("experiment", outcome, cluster < 3, cluster=cluster))
    assert found.headline["p_value"] is None
    assert found.sample["treated_clusters"] == 3
    assert any("(the headline among them)" in note for note in found.notes)


def test_an_unknown_method_is_a_fault_of_ours(arms: Any) -> None:
    with pytest.raises(InternalError) as caught:
        finding.estimate(None, SimpleNamespace(method="tarot"))
    assert caught.value.code == "E-IMP-058"


def _panel() -> tuple[Any, Any]:
    """Sixty units, six periods: cohorts from period 4 and 5 and never, effect 2, two outcomes."""
    from evaluation.sample import FlowStep, Sample
    from evaluation.settings.designs import DESIGNS

    rng = np.random.default_rng(20250502)
    unit, period = np.repeat(np.arange(60), 6), np.tile(np.arange(1, 7), 60)
    cohort = np.array([4, 5, 0])[unit % 3]
    treated_now = (cohort > 0) & (period >= cohort)
    outcome = unit / 10 + period + 2.0 * treated_now + rng.normal(size=360) / 10
    frame = pd.DataFrame(
        {
            "unit": unit,
            "period": period,
            "cohort": pd.array(np.where(cohort > 0, cohort, 0), dtype="Int64"),
            "treated": cohort > 0,
            "outcome_1": outcome,
            "outcome_2": -outcome,
            "cluster_1": unit // 2,
            "weight": 1.0,
        }
    )
    frame["cohort"] = frame["cohort"].replace(0, pd.NA)
    design = DESIGNS["did"](
        id="panel",
        method="did",
        outcomes=[
            {"column": "y", "role": "primary", "unit": "points", "better": "higher"},
            {"column": "z", "role": "secondary", "unit": "points", "better": "lower"},
        ],
        unit="id",
        time="t",
        cohort={"column": "g"},
        cluster=["village"],
    )
    sample = Sample(
        id="panel",
        frame=frame,
        names={"outcome_1": "y", "outcome_2": "z", "cluster_1": "village"},
        flow=(FlowStep(step="read", dropped=0, left=360, reason=""),),
        codebook=pd.DataFrame(),
        data_sha256="0" * 64,
        data_source="test",
        rows_read=360,
        period_labels={t: f"2020-Q{t}" if t < 5 else f"2021-Q{t - 4}" for t in range(1, 7)},
    )
    return sample, design


def test_a_panel_gives_every_average_of_its_cells() -> None:
    found = finding.estimate(*_panel(), seed=1)
    assert found.headline["estimate"] == pytest.approx(2.0, abs=0.1)
    terms = found.effects.groupby("term").size().to_dict()
    # Cohorts 4 and 5, periods 2 to 6; event times -3 to 2 of which three are before; two cohorts; periods 4 to 6.
    expected = {"att": 2, "calendar": 3, "cohort": 2, "event_time": 3, "group_time": 10, "pre_trend": 3, "simple": 1}
    assert terms == expected
    cells = found.effects[found.effects["term"] == "group_time"]
    assert cells["cohort"].unique().tolist() == ["2020-Q4", "2021-Q1"]
    assert cells["period"].iloc[0] == "2020-Q2"
    assert (cells["band_low"] <= cells["ci_low"] + 1e-12).all()
    assert found.effects.loc[found.effects["role"] == "secondary", "estimate"].item() == pytest.approx(-2.0, abs=0.1)


def test_a_panel_is_checked_for_trends_and_clusters() -> None:
    found = finding.estimate(*_panel())
    checks = {check.check: check for check in found.checks}
    assert checks["pretrend.periods"].value == 3
    assert 0 < checks["pretrend.joint_p"].value < 1
    assert (checks["precision.clusters"].value, checks["precision.clusters"].subject) == (30, "village")
    assert checks["balance.max_smd"].status == "not_applicable"
    assert found.sample["treated_units"] == 40
    never = found.tables["means"][found.tables["means"]["group"] == "never"]
    assert never["n"].tolist() == [20] * 6
    assert found.headline["comparison_mean"] == pytest.approx(np.average(never["mean"]))


def test_a_cohort_with_few_clusters_is_tested_through_event_times() -> None:
    # Five units of cohort 4 are left: its cells say nothing alone. Event times -1 to -3 also have cohort 5.
    sample, design = _panel()
    frame = sample.frame.assign(cluster_1=sample.frame["unit"])
    dropped = (frame["cohort"] == 4).fillna(value=False) & (frame["unit"] >= 15)
    found = finding.estimate(replace(sample, frame=frame[~dropped].reset_index(drop=True)), design)
    checks = {check.check: check for check in found.checks}
    assert checks["pretrend.joint_p"].status == "measured"
    assert "with 3 restrictions" in checks["pretrend.joint_p"].detail
    assert any("treated clusters: 5" in note for note in found.notes)
    cells = found.effects[(found.effects["term"] == "group_time") & (found.effects["cohort"] == "2020-Q4")]
    assert cells["p_value"].isna().all()


# the test that a design asks for --------------------------------------------------------------------------------------


def test_randomisation_repeats_the_draw_of_the_design(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    asked = {"test": "randomisation", "draws": 999}
    sample, design = arms("experiment", outcome, treated, covariates, inference=asked)
    found = finding.estimate(sample, design, seed=3)
    expected = inference.randomisation_test(outcome, treated, draws=999, seed=3)
    assert found.headline["p_value"] == expected.p_value
    assert (found.headline["ci_low"], found.headline["ci_high"]) == (expected.ci_low, expected.ci_high)
    assert found.headline["inference"] == expected.describe()
    plain = finding.estimate(*arms("experiment", outcome, treated, covariates), seed=3)
    assert found.headline["estimate"] == plain.headline["estimate"]
    assert found.headline["p_value"] != plain.headline["p_value"]


def test_the_wild_bootstrap_of_an_experiment_is_that_of_its_regression(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    asked = {"test": "wild", "draws": 499}
    village = np.arange(len(outcome)) // 4
    sample, design = arms("experiment", outcome, treated, covariates, cluster=village, inference=asked)
    found = finding.estimate(sample, design, seed=3)
    assert found.headline["inference"].startswith("wild cluster bootstrap")
    assert found.headline["ci_low"] < found.headline["estimate"] < found.headline["ci_high"]


@pytest.mark.parametrize(("adjustment", "expected"), [("none", 0.0), ("lin", 1.0), ("ancova", 1.0)])
def test_whether_a_model_of_the_outcome_adjusts_is_a_check(arms: Any, adjustment: str, expected: float) -> None:
    outcome, treated, covariates = _drawn()
    found = finding.estimate(*arms("experiment", outcome, treated, covariates, adjustment=adjustment))
    assert [check.value for check in found.checks if check.check == "balance.adjusted"] == [expected]


def test_without_covariates_there_is_nothing_to_adjust_for(arms: Any) -> None:
    outcome, treated, _ = _drawn()
    found = finding.estimate(*arms("experiment", outcome, treated, {}))
    assert [check.status for check in found.checks if check.check == "balance.adjusted"] == ["not_applicable"]
