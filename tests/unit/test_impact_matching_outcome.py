"""From matched sets to effects: corrections, errors and their joint covariance, groups, checks; by hand, in loops."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import ParametersError
from evaluation.impact import finding, inference, matching
from evaluation.impact.hidden_factor import hidden_factor
from evaluation.impact.matched import Matches, corrected
from evaluation.impact.matched_evidence import own_checks, own_tables
from evaluation.impact.neighbours import nearest_with_replacement
from evaluation.impact.score_error import score_adjustment


def _drawn(seed: int = 20250130, n: int = 120, share: float = 0.35) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    x, treated = rng.normal(size=(n, 2)), rng.random(n) < share
    outcome = x[:, 0] + 0.5 * x[:, 1] ** 2 + treated * (1 + x[:, 0]) + rng.normal(size=n)
    return outcome, treated, {"a": x[:, 0], "b": x[:, 1]}


def _near(values: np.ndarray, i: int, rows: list[int], k: int) -> list[int]:
    return sorted(rows, key=lambda j: (np.linalg.norm(values[j] - values[i]), j))[:k]


def _in_loops(
    outcome: np.ndarray, treated: np.ndarray, points: np.ndarray, focal: list[int], k: int
) -> tuple[float, float]:
    """Abadie and Imbens (2006), theorem 7, with the conditional variance from the unit and two of its arm."""
    arms = {side: np.flatnonzero(treated == side).tolist() for side in (True, False)}
    sign = np.where(treated, 1.0, -1.0)
    partners = {i: _near(points, i, arms[not treated[i]], k) for i in focal}
    gaps = {i: sign[i] * (outcome[i] - np.mean(outcome[partners[i]])) for i in focal}
    effect = np.mean(list(gaps.values()))
    total = sum((gap - effect) ** 2 for gap in gaps.values())
    for j in range(len(outcome)):
        times = sum(j in chosen for chosen in partners.values())
        if times:
            same = [j, *_near(points, j, [other for other in arms[treated[j]] if other != j], 2)]
            weight, own = times / k, float(j in focal)
            total += np.var(outcome[same], ddof=1) * ((own + weight) ** 2 - own - times / k**2)
    return float(effect), float(np.sqrt(total) / len(focal))


@pytest.mark.parametrize(("estimand", "k"), list(product(["att", "atc", "ate"], [1, 3])))
def test_abadie_imbens_errors_are_those_of_the_formula_in_loops(arms: Any, estimand: str, k: int) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms(
        "matching", outcome, treated, covariates, distance="scaled_euclidean", replace=True, ratio=k, estimand=estimand
    )
    points = matching.place_units(sample, design).points
    focal = {"att": treated, "atc": ~treated, "ate": np.ones_like(treated)}[estimand]
    expected = _in_loops(outcome, treated, points, np.flatnonzero(focal).tolist(), k)
    row = matching.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    np.testing.assert_allclose([row["estimate"], row["std_error"]], expected, rtol=1e-12)


def test_the_closed_form_of_the_reuse_term(arms: Any) -> None:
    # For everybody and weights of one the term is K² + (2M - 1)/M K with K = times / M (Abadie and Imbens 2006, 14).
    rng = np.random.default_rng(20250131)
    points, treated = rng.normal(size=(40, 1)), np.arange(40) < 15
    parts = [
        nearest_with_replacement(points, np.flatnonzero(arm), np.flatnonzero(~arm), 2) for arm in (treated, ~treated)
    ]
    matches = Matches(focal=np.arange(40), partners=np.vstack(parts), n_rows=40)
    sets = matches.sets(np.ones(40))
    times = sets.by_partner()
    np.testing.assert_allclose(sets.reuse(), times**2 + 1.5 * times)


def test_bias_correction_by_hand(arms: Any) -> None:
    # Others: x = 0, 2, 4 with y = 0, 2, 4, all matched once (x = 0.5, 2.5, 4.5), so the regression is y = x.
    # Treated outcomes 10.5, 12.5, 14.5: plain differences 10.5, corrected by .5 each: 10.
    x = np.array([0.5, 2.5, 4.5, 0.0, 2.0, 4.0])
    outcome, treated = np.array([10.5, 12.5, 14.5, 0.0, 2.0, 4.0]), np.arange(6) < 3
    options = {"distance": "mahalanobis", "replace": True}
    for adjustment, effect in (("none", 10.5), ("bias_correction", 10.0)):
        sample, design = arms("matching", outcome, treated, {"x": x}, adjustment=adjustment, **options)
        assert matching.estimate(sample, design).blocks[0].effects.estimate[0] == pytest.approx(effect)


def test_bias_correction_in_loops() -> None:
    outcome, treated, covariates = _drawn(20250132)
    x = np.column_stack(list(covariates.values()))
    focal, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    matches = Matches(focal=focal, partners=nearest_with_replacement(x, focal, pool, 2), n_rows=len(x))
    times = np.array([(matches.partners == j).sum() / 2 for j in range(len(x))])
    root = np.sqrt(times)[:, None]
    design = np.column_stack([np.ones(len(x)), x])
    slopes = np.linalg.lstsq(root * design, root[:, 0] * outcome, rcond=None)[0]
    expected = [
        outcome[i] - np.mean([outcome[j] + (design[i] - design[j]) @ slopes for j in js])
        for i, js in zip(focal, matches.partners, strict=True)
    ]
    np.testing.assert_allclose(corrected(matches.sets(np.ones(len(x))), outcome, x, treated), expected, rtol=1e-10)


def test_bias_correction_makes_linear_outcomes_exact(arms: Any) -> None:
    _, treated, covariates = _drawn()
    linear = 3 + 2 * covariates["a"] - covariates["b"] + 4 * treated
    for estimand, replace in (("att", True), ("atc", True), ("ate", True), ("att", False)):
        sample, design = arms(
            "matching", linear, treated, covariates, estimand=estimand, replace=replace, adjustment="bias_correction"
        )
        assert matching.estimate(sample, design).blocks[0].effects.estimate[0] == pytest.approx(4, abs=1e-10)


@pytest.mark.parametrize("variance", ["heteroskedastic", "homoskedastic"])
def test_the_design_chooses_the_conditional_variance(arms: Any, variance: str) -> None:
    outcome, treated, covariates = _drawn()
    sample, design = arms("matching", outcome, treated, covariates, replace=True, conditional_variance=variance)
    found = matching.estimate(sample, design).blocks[0].table(0.95)["std_error"].iloc[0]
    # 20250130: the two differ in the third digit and agree within a fifth
    other = matching.estimate(sample, design.model_copy(update={"conditional_variance": "heteroskedastic"}))
    reference = other.blocks[0].table(0.95)["std_error"].iloc[0]
    assert (found == reference) == (variance == "heteroskedastic")
    assert found == pytest.approx(reference, rel=0.2)


# the score was estimated ----------------------------------------------------------------------------------------------


def test_the_score_term_for_everybody_only_lowers_the_error(arms: Any) -> None:
    outcome, treated, covariates = _drawn(n=300)
    errors = {}
    for how in ("ignored", "corrected"):
        sample, design = arms("matching", outcome, treated, covariates, replace=True, estimand="ate", score_error=how)
        block = matching.estimate(sample, design).blocks[0]
        errors[how] = block.table(0.95)["std_error"].iloc[0]
    assert errors["corrected"] < errors["ignored"]
    assert "Abadie-Imbens (2016)" in block.solved().describe()


def test_the_score_term_in_loops(arms: Any) -> None:
    outcome, treated, covariates = _drawn(20250133, n=80)
    sample, design = arms("matching", outcome, treated, covariates, replace=True, score_error="corrected")
    model = matching.place_units(sample, design).model
    x, p = model.design, model.probability
    f, n1 = p * (1 - p), int(treated.sum())
    information = sum(f[i] * np.outer(x[i], x[i]) for i in range(80))
    arms_of = {side: np.flatnonzero(treated == side).tolist() for side in (True, False)}
    deviations = x[:, 1:] - x[:, 1:].mean(axis=0)
    whitened = deviations @ np.linalg.cholesky(np.linalg.inv(np.cov(deviations, rowvar=False)))
    c, c_everybody, g = np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(80):
        near = {side: _near(p[:, None], i, arms_of[side], 2) for side in (True, False)}
        cov = {}
        for side, rows in near.items():
            dx = x[rows] - x[rows].mean(axis=0)
            cov[side] = (dx * (outcome[rows] - outcome[rows].mean())[:, None]).sum(axis=0)  # over 2 - 1
        gap = outcome[near[True]].mean() - outcome[near[False]].mean() - 0.7
        c += f[i] * (x[i] * gap + cov[True] + p[i] / (1 - p[i]) * cov[False]) / n1
        c_everybody += f[i] * (cov[True] / p[i] + cov[False] / (1 - p[i])) / 80
        (other,) = _near(whitened, i, arms_of[not treated[i]], 1)
        g += x[i] * f[i] * ((outcome[i] - outcome[other]) * (1 if treated[i] else -1) - 0.7) / n1
    v = np.linalg.inv(information)
    found = score_adjustment(model, outcome, treated, 0.7, "att")
    assert found == pytest.approx(-c @ v @ c + g @ v @ g, rel=1e-9)
    assert score_adjustment(model, outcome, treated, 0.7, "ate") == pytest.approx(-c_everybody @ v @ c_everybody)


def test_the_effect_on_the_untreated_is_that_on_the_treated_with_the_arms_exchanged(arms: Any) -> None:
    outcome, treated, covariates = _drawn(20250134)
    terms = []
    for arm, estimand, sign in ((treated, "att", 1.0), (~treated, "atc", -1.0)):
        sample, design = arms("matching", outcome, arm, covariates, replace=True, score_error="corrected")
        model = matching.place_units(sample, design).model
        terms.append(score_adjustment(model, outcome, arm, sign * 0.4, estimand))
    assert terms[1] == pytest.approx(terms[0], rel=1e-6)  # -0.4: with arms exchanged the effect changes its sign


# groups ---------------------------------------------------------------------------------------------------------------


def _grouped(arms: Any, **options: Any) -> Any:
    outcome, treated, covariates = _drawn(n=240)
    group = np.where(np.arange(240) % 3 == 0, "north", "south")
    more = {"subgroup_1": group}
    return arms("matching", outcome, treated, covariates, subgroups=["area"], more=more, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"replace": True},
        {"replace": True, "ratio": 2, "estimand": "ate"},
        {"sets": "full"},
        {"sets": "subclasses", "estimand": "ate"},
        {"adjustment": "g_computation"},
        {"replace": True, "adjustment": "bias_correction"},
    ],
)
def test_effects_by_group_with_their_joint_covariance(arms: Any, options: dict[str, Any]) -> None:
    sample, design = _grouped(arms, **options)
    block = matching.estimate(sample, design).blocks[1]
    table, solved = block.table(0.95), block.solved().matrix
    assert table["term"].tolist() == ["subgroup", "subgroup", "contrast"]
    assert table["estimate"].iloc[2] == pytest.approx(table["estimate"].iloc[1] - table["estimate"].iloc[0])
    assert solved[2, 2] == pytest.approx(solved[0, 0] + solved[1, 1] - 2 * solved[0, 1], rel=1e-9)
    assert (table["std_error"] > 0).all()


def test_the_mean_of_the_groups_is_the_headline_with_its_error(arms: Any) -> None:
    # Shares of the focal units are fixed, so that the headline is their mean; with Abadie-Imbens the variance within
    # groups is around the groups' own means, so that the headline has the variance of these means on top.
    sample, design = _grouped(arms, replace=True)
    headline, groups = matching.estimate(sample, design).blocks[:2]
    area = sample.frame["subgroup_1"][sample.frame["treated"]].to_numpy()
    share = np.array([(area == "north").mean(), (area == "south").mean(), 0.0])
    estimates = groups.effects.estimate
    assert share @ estimates == pytest.approx(headline.effects.estimate[0])
    between = share[:2] @ (estimates[:2] - share @ estimates) ** 2 / len(area)
    assert share @ groups.solved().matrix @ share + between == pytest.approx(headline.solved().matrix[0, 0])


def test_pairs_of_two_groups_share_no_units_so_that_errors_add_up(arms: Any) -> None:
    sample, design = _grouped(arms)
    solved = matching.estimate(sample, design).blocks[1].solved()
    assert abs(solved.matrix[0, 1]) < 1e-12
    shared, _ = _grouped(arms, sets="subclasses"), None
    joint = matching.estimate(*shared).blocks[1].solved().matrix
    assert joint[0, 1] > 0  # comparison units of a subclass stand for both groups


def test_groups_with_too_few_matched_units_are_named(arms: Any) -> None:
    outcome, treated, covariates = _drawn()
    area = np.where(np.arange(120) == np.flatnonzero(treated)[0], "island", np.where(np.arange(120) % 2, "a", "b"))
    found = matching.estimate(*arms("matching", outcome, treated, covariates, territory=area))
    assert found.blocks[1].effects.labels["territory"].tolist() == ["a", "b", "b − a"]
    assert any("island" in note for note in found.notes)


# what goes with what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("E-IMP-203", {"sets": "full", "inference": {"std_error": "abadie_imbens"}}),
        ("E-IMP-203", {"replace": True, "adjustment": "regression", "inference": {"std_error": "abadie_imbens"}}),
        ("E-IMP-204", {"replace": True, "adjustment": "bias_correction", "inference": {"std_error": "hc2"}}),
    ],
)
def test_errors_that_do_not_go_with_the_sets_are_refused(arms: Any, code: str, options: dict[str, Any]) -> None:
    outcome, treated, covariates = _drawn()
    with pytest.raises(ParametersError) as caught:
        matching.estimate(*arms("matching", outcome, treated, covariates, **options))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "cr1"),
        ({"sets": "full"}, "cr1"),
        ({"adjustment": "regression"}, "cr1"),
        ({"adjustment": "bias_correction"}, "abadie_imbens"),
        ({"replace": True}, "abadie_imbens"),
        ({"replace": True, "adjustment": "regression"}, "hc3"),
        ({"replace": True, "adjustment": "regression", "cluster": True}, "cr2"),
        ({"replace": True, "adjustment": "bias_correction", "cluster": True}, "influence"),
    ],
)
def test_default_errors(arms: Any, options: dict[str, Any], kind: str) -> None:
    outcome, treated, covariates = _drawn()
    options = options | ({"cluster": np.arange(120) // 4} if options.pop("cluster", False) else {})
    block = matching.estimate(*arms("matching", outcome, treated, covariates, **options)).blocks[0]
    assert block.solved().kind == kind


def test_influence_for_everybody_is_about_as_large_as_the_error(arms: Any) -> None:
    # The regressions of the outcome are right here: without the square that `_drawn` puts into it.
    outcome, treated, covariates = _drawn(n=2000)
    outcome = outcome - 0.5 * covariates["b"] ** 2
    options = {"distance": "mahalanobis", "replace": True, "estimand": "ate"}
    sample, design = arms("matching", outcome, treated, covariates, **options)
    block = matching.estimate(sample, design).blocks[0]
    error = block.table(0.95)["std_error"].iloc[0]
    assert inference.covariance(block.effects).std_error[0] == pytest.approx(error, rel=0.1)


# checks and tables ----------------------------------------------------------------------------------------------------


def _checks(arms: Any, outcome: Any, treated: Any, covariates: Any, **options: Any) -> dict[str, Any]:
    case = matching.matched_case(*arms("matching", outcome, treated, covariates, **options))
    return {check.check: check for check in own_checks(case, hidden_factor(case.sample, case.design))}


def test_a_strong_effect_needs_a_strong_hidden_bias(arms: Any) -> None:
    outcome, treated, covariates = _drawn(n=200)
    weak = _checks(arms, outcome, treated, covariates)["sensitivity.rosenbaum_gamma"]
    strong = _checks(arms, outcome + 2 * treated, treated, covariates)["sensitivity.rosenbaum_gamma"]
    assert 1 <= weak.value < strong.value
    assert "70 sets" in strong.detail or "sets" in strong.detail


def test_gamma_of_pairs_is_that_of_the_signed_ranks_by_hand(arms: Any) -> None:
    # Ten pairs, all differences positive: without bias p = P(T >= 55), mean 27.5, variance 385 / 4: z = 2.803.
    x = np.tile(np.arange(10.0), 2)
    treated, gaps = np.repeat([True, False], 10), np.array([3, 1, 4, 1.5, 9, 2.6, 5.3, 5.8, 9.7, 0.3])
    found = _checks(arms, np.r_[gaps, np.zeros(10)], treated, {"x": x}, distance="mahalanobis")
    assert "is 0.002531 (10 sets, signed ranks)" in found["sensitivity.rosenbaum_gamma"].detail
    # (55 - 55 g) / sqrt(385 g (1 - g)) = 1.6449 with g = Γ / (1 + Γ): (1 - g) / g = 385 (1.6449 / 55)² = .34436.
    assert found["sensitivity.rosenbaum_gamma"].value == pytest.approx(1 / 0.34436, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, "measured"),
        ({"ratio": 2}, "measured"),
        ({"sets": "full"}, "measured"),
        ({"replace": True}, "not_applicable"),
        ({"sets": "subclasses"}, "not_applicable"),
    ],
)
def test_bounds_are_for_independent_sets(arms: Any, options: dict[str, Any], status: str) -> None:
    found = _checks(arms, *_drawn(n=200), **options)
    assert found["sensitivity.rosenbaum_gamma"].status == status
    assert found["identification.sensitivity"].status == "measured"
    assert found["identification.sensitivity"].subject in ("a", "b")


def test_hidden_factors_are_held_against_covariates_before_matching(arms: Any) -> None:
    # All units, whatever the matching: matched ones would make any covariate, and so the yardstick, small.
    drawn = _drawn(n=200)
    found = [
        _checks(arms, *drawn, **options)["identification.sensitivity"].value for options in ({}, {"caliper": 0.05})
    ]
    assert found[0] == found[1]


def test_large_sets_and_no_covariates_are_not_run(arms: Any) -> None:
    x, treated = np.arange(100.0), np.arange(100) < 2
    found = _checks(arms, x, treated, {"x": x}, sets="full", distance="mahalanobis")
    assert found["sensitivity.rosenbaum_gamma"].status == "not_run"
    group = np.repeat(["a", "b"], 50)
    found = _checks(arms, np.r_[x[::2], x[1::2]], np.arange(100) % 2 == 0, None, exact=group)
    assert found["identification.sensitivity"].status == "not_run"


def test_two_sets_that_differ_are_needed_for_bounds(arms: Any) -> None:
    x = np.tile(np.arange(4.0), 2)
    found = _checks(arms, np.zeros(8), np.repeat([True, False], 4), {"x": x}, distance="mahalanobis")
    assert found["sensitivity.rosenbaum_gamma"].status == "not_run"


def test_the_baseline_outcome_is_a_placebo(arms: Any) -> None:
    outcome, treated, covariates = _drawn(n=200)
    before = covariates["a"] + np.random.default_rng(1).normal(size=200)
    sample, design = arms(
        "matching", outcome, treated, covariates | {"y0": before}, baseline_outcome=before, sets="full"
    )
    found = finding.estimate(sample, design)
    check = {check.check: check for check in found.checks}["placebo.baseline_p"]
    row = found.effects[found.effects["term"] == "placebo"].iloc[0]
    assert check.value == pytest.approx(row["p_value"])
    again = matching.estimate(*arms("matching", before, treated, covariates, sets="full")).blocks[0]
    assert row["estimate"] == pytest.approx(again.effects.estimate[0])  # the same matching without y0
    assert row["outcome"] == "y0"
    shifted = arms(
        "matching", outcome, treated, covariates | {"y0": before + treated}, baseline_outcome=before + treated
    )
    check = {check.check: check for check in finding.estimate(*shifted).checks}["placebo.baseline_p"]
    assert check.value < 0.01


def test_tables_are_aggregates(arms: Any) -> None:
    case = matching.matched_case(*arms("matching", *_drawn(), ratio=2))
    tables = own_tables(case, hidden_factor(case.sample, case.design))
    assert tables["set_sizes"].to_dict("records")[0]["treated"] == 1
    sizes = tables["set_sizes"]
    assert (sizes["sets"] * sizes["comparison"]).sum() == tables["pair_distances"]["pairs"].sum()
    assert tables["standardised_balance"]["covariate"].tolist() == ["score", "a", "b"]
    assert isinstance(tables["pair_distances"], pd.DataFrame)


def test_errors_of_corrected_differences_do_not_contain_the_bias(arms: Any) -> None:
    # y = 50 x + noise of variance 1: without replacement nobody serves twice, so that both errors are the spread of
    # differences, of raw ones with the distance in it; with replacement neighbours differ by 50 times their distance.
    rng = np.random.default_rng(20250135)
    x, treated = rng.normal(size=300), np.arange(300) < 100
    outcome = 50 * x + rng.normal(size=300)
    errors = {}
    for adjustment in ("none", "bias_correction"):
        options = {"distance": "mahalanobis", "replace": True, "adjustment": adjustment}
        block = matching.estimate(*arms("matching", outcome, treated, {"x": x}, **options)).blocks[0]
        errors[adjustment] = block.table(0.95)["std_error"].iloc[0]
    assert errors["bias_correction"] < 0.25 < errors["none"]  # about sqrt(1 / 100 + 1.5 / 100) = .16 by theory
