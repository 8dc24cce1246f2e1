"""A roll-out by lot from its file to its finding."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact import finding, phase_in
from evaluation.sample import prepare
from evaluation.settings.designs import ExperimentDesign


def _design(**options: Any) -> ExperimentDesign:
    return ExperimentDesign.model_validate(
        {
            "id": "roll-out",
            "data": {"file": "data.csv"},
            "unit": "school",
            "outcomes": [
                {"column": "score", "unit": "points", "better": "higher"},
                {"column": "other", "role": "secondary", "unit": "points", "better": "higher"},
            ],
            "treatment": "active",
            "phase_in": {"time": "year", "seed": 2},
            "inference": {"draws": 199},
            **options,
        }
    )


def _schools(n: int = 40) -> pd.DataFrame:
    """Schools start in 2021, 2022 or never; the effect is 2."""
    rng = np.random.default_rng(20251140)
    start = rng.permutation(np.resize([2021, 2022, 9999], n))
    size, level = rng.normal(size=n), rng.normal(size=n)
    return pd.DataFrame(
        [
            (f"s{i:02d}", year, int(year >= start[i]), level[i] + 2 * (year >= start[i]) + rng.normal(), size[i])
            for i in range(n)
            for year in (2020, 2021, 2022, 2023)
        ],
        columns=["school", "year", "active", "score", "size"],
    ).assign(other=lambda t: -t["score"])


def _found(folder: Path, table: pd.DataFrame, **options: Any) -> tuple[Any, Any]:
    table.to_csv(folder / "data.csv", index=False)
    design = _design(**options)
    sample = prepare(design, root=folder)
    return sample, finding.estimate(sample, design)


def test_a_finding_has_the_efficient_estimate_and_what_stands_beside_it(tmp_path: Path) -> None:
    schools = _schools()
    sample, found = _found(tmp_path, schools, covariates=["size"])
    starts = schools[schools["active"] == 1].groupby("school")["year"].min()
    table = schools.rename(columns={"school": "unit", "year": "period", "score": "outcome_1"})
    table["cohort"] = table["unit"].map(starts).astype("Int64")
    expected = phase_in.estimate(table)
    assert found.estimand == "att"
    assert found.headline["estimate"] == pytest.approx(expected.effects.estimate[2], rel=1e-10)
    assert found.headline["std_error"] == pytest.approx(expected.covariance().std_error[2], rel=1e-10)
    assert "Neyman's variance by cohort" in found.headline["inference"]
    rows = found.effects
    assert rows["term"].tolist() == [
        "att",
        "att",
        "event_time",
        "event_time",
        "event_time",
        "cohort",
        "cohort",
        "placebo",
    ]
    assert rows.loc[1, "estimate"] == pytest.approx(-rows.loc[0, "estimate"], rel=1e-10)
    assert rows["event_time"].tolist()[2:5] == [0, 1, 2]
    assert rows["cohort"].tolist()[5:7] == [2021, 2022]
    assert found.tables["phase_in_rules"]["rule"].tolist() == list(phase_in.RULES)
    assert found.tables["phase_in_test"].loc[0, "p_value"] == pytest.approx(1 / 200)
    checks = {check.check: check for check in found.checks}
    assert checks["placebo.baseline_p"].value == pytest.approx(rows["p_value"].iloc[-1])
    assert checks["balance.max_smd"].status == "measured"
    assert sample.frame["period"].tolist()[:4] == [2020, 2021, 2022, 2023]
    assert found.notes[0].startswith("The headline takes 0.")


def test_schools_with_a_gap_leave_and_are_counted(tmp_path: Path) -> None:
    sample, found = _found(tmp_path, _schools().drop(index=[5]))
    assert [(step.step, step.dropped) for step in sample.flow if step.step == "unbalanced"] == [("unbalanced", 3)]
    assert found.sample["units"] == 39


def test_pupils_of_schools_that_were_drawn_need_not_be_the_same_every_year(tmp_path: Path) -> None:
    schools = _schools()
    pupils = pd.concat([schools, schools.assign(score=schools["score"] + 1)], ignore_index=True)
    pupils["pupil"] = np.arange(len(pupils))
    options = {"unit": "pupil", "assignment": "cluster", "cluster": ["school"]}
    _, found = _found(tmp_path, pupils, **options)
    _, whole = _found(tmp_path, schools)
    assert found.headline["estimate"] == pytest.approx(whole.headline["estimate"], rel=1e-10)
    assert found.headline["std_error"] == pytest.approx(whole.headline["std_error"], rel=1e-10)
    assert found.sample["clusters"] == 40


def test_treatment_that_ends_is_refused(tmp_path: Path) -> None:
    schools = _schools()
    started = schools.index[(schools["active"] == 1) & (schools["year"] == 2023)]
    schools.loc[started[0], "active"] = 0
    with pytest.raises(DataError) as caught:
        _found(tmp_path, schools)
    assert (caught.value.code, caught.value.where) == ("E-IMP-269", "active")


def test_a_school_twice_in_a_year_is_refused(tmp_path: Path) -> None:
    schools = _schools()
    with pytest.raises(DataError) as caught:
        _found(tmp_path, pd.concat([schools, schools.iloc[:1]]))
    assert caught.value.code == "E-DATA-042"
