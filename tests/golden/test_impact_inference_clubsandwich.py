"""Cluster-robust errors of a real trial against R clubSandwich: standard errors, degrees of freedom and p-values."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.impact.inference import summarize
from evaluation.impact.regression import weighted_least_squares

GOLDEN = pd.read_csv(Path(__file__).parent / "clubsandwich_achievement_awards.csv", comment="#")
OURS = {"CR0": "cr0", "CR1S": "cr1", "CR2": "cr2", "CR3": "cr3"}  # CR1 of clubSandwich is G/(G-1) alone


@pytest.fixture(scope="module")
def awards(shared_data):
    return pd.read_csv(shared_data / "trials" / "achievement_awards_angrist_lavy" / "AchievementAwardsRCT.csv")


@pytest.mark.parametrize("year", [2001, 2002])
@pytest.mark.parametrize("sex", ["Boy", "Girl"])
def test_achievement_awards(awards, sex, year):
    group = awards[(awards["sex"] == sex) & (awards["year"] == year)].reset_index(drop=True)
    columns = pd.concat(
        [
            group[["treated"]],
            pd.get_dummies(group["school_type"], drop_first=True),
            group[["father_ed", "mother_ed", "immigrant", "siblings"]],
            pd.get_dummies(group["qrtl"], drop_first=True),
        ],
        axis=1,
    ).astype(float)
    columns.insert(0, "constant", 1.0)
    fit = weighted_least_squares(
        group["Bagrut_status"].to_numpy(dtype=float), columns.to_numpy(), list(map(str, columns))
    )
    effects = fit.to_effects(np.eye(len(columns.columns))[1], pd.DataFrame({"term": ["itt"]}))
    schools = pd.DataFrame({"school": group["school_id"]})
    expected = GOLDEN[(GOLDEN["sex"] == sex) & (GOLDEN["year"] == year)].set_index("vcov")
    for theirs, kind in OURS.items():
        found, row = summarize(effects, schools, kind=kind).iloc[0], expected.loc[theirs]
        assert found["estimate"] == pytest.approx(row["est"], abs=1e-12)
        assert found["std_error"] == pytest.approx(row["se"], rel=1e-10)
        if kind in ("cr2", "cr3"):  # ours give the other two t with clusters less one
            assert found["df"] == pytest.approx(row["df"], rel=1e-9)
            assert found["p_value"] == pytest.approx(row["p"], abs=1e-10)
