"""Negative controls: the same method where there can be no effect, what it finds there, and how it is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.impact import finding
from evaluation.sample import prepare
from evaluation.settings.designs import DESIGNS

NEGATIVE = "identification.negative_control"


def _drawn(n: int = 400, *, hidden: float = 0.0) -> tuple[np.ndarray, np.ndarray, dict[str, Any], dict[str, Any]]:
    """A hidden factor u decides with x who is treated and moves outcome and negative control by `hidden`."""
    rng = np.random.default_rng(8)
    x, u, e, other = rng.normal(size=(4, n))
    treated = rng.random(n) < 1 / (1 + np.exp(0.3 - x - u))
    exposed = (rng.random(n) < 1 / (1 + np.exp(-u))).astype(float)
    more = {"negative_outcome_1": hidden * u + other, "negative_exposure_1": exposed}
    return x + treated + hidden * u + e, treated, {"x": x}, more


def _found(arms: Any, method: str, named: dict[str, Any], *, hidden: float = 0.0, **options: Any) -> Any:
    outcome, treated, covariates, more = _drawn(hidden=hidden)
    return finding.estimate(*arms(method, outcome, treated, covariates, more=more, negative_controls=named, **options))


def _check(found: Any) -> Any:
    return next((check for check in found.checks if check.check == NEGATIVE), None)


@pytest.mark.parametrize("method", ["matching", "weighting"])
@pytest.mark.parametrize("named", [{"outcomes": ["z"]}, {"exposures": ["w"]}])
def test_a_hidden_factor_shows_where_there_can_be_no_effect(arms: Any, method: str, named: dict[str, Any]) -> None:
    check = _check(_found(arms, method, named, hidden=1.5))
    assert check.value < 0.01  # the planted factor is worth several standard errors
    assert check.subject in ("z", "w")
    assert check.detail.startswith(f"{check.subject} (")
    assert _check(_found(arms, method, named, hidden=0.0)).value > 0.02  # a true null: p is uniform


@pytest.mark.parametrize("method", ["experiment", "matching"])
def test_the_effect_on_a_negative_outcome_is_that_of_the_method_on_it(arms: Any, method: str) -> None:
    _, treated, covariates, more = _drawn(hidden=1.0)
    row = _found(arms, method, {"outcomes": ["z"]}, hidden=1.0).tables["negative_controls"].iloc[0]
    theirs = finding.estimate(*arms(method, more["negative_outcome_1"], treated, covariates)).headline
    assert row["estimate"] == theirs["estimate"]
    assert row["std_error"] == theirs["std_error"]
    assert row["p_value"] == theirs["p_value"]


def test_a_negative_exposure_is_compared_among_those_without_the_treatment(arms: Any) -> None:
    outcome, treated, covariates, more = _drawn(hidden=1.0)
    row = _found(arms, "weighting", {"exposures": ["w"]}, hidden=1.0).tables["negative_controls"].iloc[0]
    without = ~treated
    kept = {name: values[without] for name, values in covariates.items()}
    exposed = more["negative_exposure_1"][without] == 1
    theirs = finding.estimate(*arms("weighting", outcome[without], exposed, kept)).headline
    assert row["estimate"] == pytest.approx(theirs["estimate"], rel=1e-9)


def test_several_controls_are_read_together_by_holm(arms: Any) -> None:
    found = _found(arms, "weighting", {"outcomes": ["z"], "exposures": ["w"]}, hidden=0.3)
    table = found.tables["negative_controls"]
    assert table["kind"].tolist() == ["outcome", "exposure"]
    assert _check(found).value == pytest.approx(min(2 * table["p_value"].min(), 1.0))


def test_the_headline_is_the_same_with_and_without_negative_controls(arms: Any) -> None:
    plain = _found(arms, "weighting", {})
    assert _check(plain) is None
    assert "negative_controls" not in plain.tables
    assert _found(arms, "weighting", {"outcomes": ["z"]}).headline == plain.headline


def test_a_control_without_a_number_says_why(arms: Any) -> None:
    outcome, treated, covariates, more = _drawn()
    more["negative_exposure_1"] = np.zeros(len(outcome))
    named = {"exposures": ["w"]}
    found = finding.estimate(*arms("weighting", outcome, treated, covariates, more=more, negative_controls=named))
    check = _check(found)
    assert check.status == "not_run"
    assert check.detail.startswith("w: ")


def test_a_comparison_of_changes_reads_its_placebo_outcomes(panel: Any) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"unit": np.repeat(np.arange(60), 4), "period": np.tile(np.arange(4), 60)})
    table["cohort"] = np.where(table["unit"] < 30, 2, 0)
    started = (table["cohort"] > 0) & (table["period"] >= 2)
    table = table.assign(y=rng.normal(size=240) + 2.0 * started, z=rng.normal(size=240) + 3.0 * started)
    found = finding.estimate(*panel(table, placebo_outcomes=["z"]))
    rows = found.effects[found.effects["term"] == "placebo"]
    assert _check(found).value == pytest.approx(rows["p_value"].item())
    assert _check(found).value < 0.001


def _file(folder: Path, **changes: Any) -> tuple[Path, Any]:
    n = 40
    rows = pd.DataFrame({"d": [0, 1] * 20, "y": np.arange(n) % 7, "z": np.arange(n) % 5, "w": np.arange(n) // 20})
    file = folder / "rows.csv"
    rows.assign(s=0.5, g=np.arange(n) // 4).to_csv(file, index=False)
    given = {"id": "small", "method": "experiment", "treatment": "d"}
    outcomes = [{"column": "y", "role": "primary", "unit": "points", "better": "higher"}]
    return file, DESIGNS["experiment"](outcomes=outcomes, **{**given, **changes})


def test_controls_and_saturations_are_read_from_the_file(tmp_path: Path) -> None:
    named = {"outcomes": ["z"], "exposures": ["w"]}
    file, design = _file(tmp_path, negative_controls=named, saturation="s", cluster=["g"])
    sample = prepare(design, files=[file])
    assert sample.frame["negative_outcome_1"].tolist()[:6] == [0, 1, 2, 3, 4, 0]
    assert sample.frame["negative_exposure_1"].tolist() == [0.0] * 20 + [1.0] * 20
    assert (sample.frame["saturation"] == 0.5).all()
    assert {"z", "w", "s"} <= set(sample.codebook["column"])


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("E-SET-280", {"negative_controls": {"outcomes": ["z"], "exposures": ["z"]}}),
        ("E-SET-281", {"negative_controls": {"outcomes": ["y"]}}),
        ("E-SET-284", {"saturation": "s"}),
        ("E-SET-285", {"saturation": "s", "cluster": ["g"], "assignment": "cluster"}),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        _file(tmp_path, **changes)
    assert code in {error["type"] for error in caught.value.errors()}


@pytest.mark.parametrize(("code", "named"), [("E-SET-282", {"exposures": ["w"]}), ("E-SET-283", {"outcomes": ["z"]})])
def test_a_comparison_of_changes_has_placebo_outcomes_and_no_exposures(panel: Any, code: str, named: Any) -> None:
    table = pd.DataFrame({"unit": [0, 0, 1, 1], "period": [0, 1] * 2, "cohort": [1, 1, 0, 0], "y": [0.0, 1, 0, 0]})
    with pytest.raises(ValidationError) as caught:
        panel(table, negative_controls=named)
    assert code in {error["type"] for error in caught.value.errors()}
