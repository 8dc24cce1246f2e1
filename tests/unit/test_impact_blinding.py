"""Blinded evaluations: outcomes change places within blocks, nothing else moves, and nobody grades them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from evaluation import cli
from evaluation.errors import ParametersError, StaleError
from evaluation.evidence import grading, record, rubric
from evaluation.impact import checks, finding
from evaluation.pipeline import registration
from evaluation.sample import blinding, prepare, read, write
from evaluation.settings.designs import DESIGNS
from evaluation.settings.params import read_design


def _drawn(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    treated = np.arange(n) % 2 == 0
    return 5.0 * treated + rng.normal(size=n), treated


def _panel() -> pd.DataFrame:
    rows = pd.DataFrame({"unit": np.repeat(np.arange(40), 5), "period": np.tile(np.arange(5), 40)})
    rows["cohort"] = np.where(rows["unit"] < 20, 3, 0)
    noise = np.random.default_rng(2).normal(size=200)
    return rows.assign(y=rows["unit"] + noise + 50.0 * ((rows["cohort"] > 0) & (rows["period"] >= 3)))


def test_only_outcomes_move_and_all_of_them_together(arms: Any) -> None:
    outcome, treated = _drawn()
    sample, _ = arms("experiment", outcome, treated, {"x": np.arange(400.0)}, secondary={"z": 2 * outcome})
    mixed = blinding.permuted(sample, 1).frame
    assert mixed.drop(columns=["outcome_1", "outcome_2"]).equals(sample.frame.drop(columns=["outcome_1", "outcome_2"]))
    np.testing.assert_array_equal(np.sort(mixed["outcome_1"]), np.sort(sample.frame["outcome_1"]))
    np.testing.assert_array_equal(mixed["outcome_2"], 2 * mixed["outcome_1"])
    assert not (mixed["outcome_1"] == sample.frame["outcome_1"]).any()


def test_the_seed_decides(arms: Any) -> None:
    sample, _ = arms("experiment", *_drawn())
    first, again, other = (blinding.permuted(sample, seed).frame["outcome_1"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_rows_stay_within_their_stratum(arms: Any) -> None:
    outcome, treated = _drawn()
    strata = np.array(["a", "b"])[np.arange(400) // 200]
    sample, _ = arms("experiment", outcome, treated, stratum=strata)
    mixed = blinding.permuted(sample, 1).frame
    for name in ("a", "b"):
        inside = (sample.frame["stratum"] == name).to_numpy()
        np.testing.assert_array_equal(
            np.sort(mixed["outcome_1"][inside]), np.sort(sample.frame["outcome_1"][inside].to_numpy())
        )


def test_clusters_hand_over_their_outcomes_whole(arms: Any) -> None:
    group = np.repeat(np.arange(8), [3, 5, 4, 4, 6, 2, 4, 4])
    sample, _ = arms("experiment", group * 10.0, group % 2 == 0, cluster=[f"g{k}" for k in group])
    mixed = blinding.permuted(sample, 1).frame
    inside = mixed.groupby("cluster_1")["outcome_1"]
    assert inside.max().equals(inside.min())
    assert (mixed["outcome_1"] != group * 10.0).all()


def test_paths_of_units_change_places_whole(panel: Any) -> None:
    sample, _ = panel(_panel())
    mixed = blinding.permuted(sample, 1).frame
    before = {tuple(path) for path in sample.frame["outcome_1"].to_numpy().reshape(40, 5)}
    after = [tuple(path) for path in mixed["outcome_1"].to_numpy().reshape(40, 5)]
    assert set(after) == before
    assert not (mixed["outcome_1"] == sample.frame["outcome_1"]).any()


def test_units_that_are_alone_with_their_periods_exchange_within_periods(panel: Any) -> None:
    rows = _panel()
    sample, _ = panel(rows[~((rows["unit"] == 3) & (rows["period"] == 0))], panel="unbalanced")
    mixed = blinding.permuted(sample, 1).frame
    assert mixed["outcome_1"].notna().all()
    assert len(mixed) == 199


@pytest.mark.parametrize("method", ["experiment", "matching", "weighting"])
def test_the_answer_is_gone(arms: Any, method: str) -> None:
    rng = np.random.default_rng(4)
    outcome, treated = _drawn()
    covariates = {"x": rng.normal(size=400)}
    seen = finding.estimate(*arms(method, outcome, treated, covariates), seed=1)
    blinded = finding.estimate(*arms(method, outcome, treated, covariates, blinded=True), seed=1)
    assert seen.headline["estimate"] == pytest.approx(5.0, abs=0.5)
    assert abs(blinded.headline["estimate"]) < 1.5  # five standard errors of 2.7 · 2/√400
    assert blinded.notes[0].startswith("AVEUGLE / BLINDED")
    assert not seen.notes or not seen.notes[0].startswith("AVEUGLE")


def test_a_panel_forgets_its_effect(panel: Any) -> None:
    blinded = finding.estimate(*panel(_panel(), blinded=True), seed=1)
    assert finding.estimate(*panel(_panel()), seed=1).headline["estimate"] > 45
    assert blinded.headline["estimate"] < 30


def test_a_blinded_record_is_stamped_has_no_grade_and_is_left_out(arms: Any, project: Any) -> None:
    root = project()
    sample, design = arms("experiment", *_drawn(), blinded=True)
    made = record.from_finding(finding.estimate(sample, design), sample, design, {"public": True})
    assert made.blinded
    assert made.notes[0].startswith("AVEUGLE / BLINDED")
    with pytest.raises(StaleError, match="E-EVI-095"):
        grading.grade(made, rubric.read(root))
    record.write(made)
    assert record.read(made.id).blinded
    assert record.read_all() == ()


def test_the_same_finding_unblinded_is_graded(arms: Any, repository: Any) -> None:
    sample, design = arms("experiment", *_drawn())
    made = record.from_finding(finding.estimate(sample, design), sample, design, {"public": True})
    assert not made.blinded
    assert grading.grade(made, rubric.read(repository)).value >= 1


def test_rows_of_one_block_of_one_keep_their_outcome(arms: Any) -> None:
    sample, _ = arms("experiment", np.arange(4.0), [True, False, True, False])
    alone = replace(sample, frame=sample.frame.assign(stratum=["a", "a", "b", "c"]))
    mixed = blinding.permuted(alone, 1).frame["outcome_1"]
    assert mixed.tolist()[2:] == [2.0, 3.0]
    assert mixed.tolist()[:2] == [1.0, 0.0]


def test_the_sample_is_blind_from_the_moment_it_is_made(tmp_path: Path, project: Any) -> None:
    project()
    file = tmp_path / "rows.csv"
    pd.DataFrame({"d": [0, 1] * 20, "y": np.arange(40)}).to_csv(file, index=False)
    outcomes = [{"column": "y", "role": "primary", "unit": "points", "better": "higher", "source": "measured"}]
    seen, blind = (
        prepare(DESIGNS["experiment"](id="small", treatment="d", outcomes=outcomes, blinded=blinded), files=[file])
        for blinded in (False, True)
    )
    assert (seen.blinded, blind.blinded) == (False, True)
    assert not (blind.frame["outcome_1"] == seen.frame["outcome_1"]).any()
    assert sorted(blind.frame["outcome_1"]) == list(range(40))
    write(blind)
    kept = read("small")
    assert kept.blinded
    assert kept.frame["outcome_1"].equals(blind.frame["outcome_1"])
    design = DESIGNS["experiment"](id="small", treatment="d", outcomes=outcomes, blinded=True)
    values, treated = kept.frame["outcome_1"], kept.frame["treated"]
    difference = values[treated].mean() - values[~treated].mean()
    assert finding.estimate(kept, design).headline["estimate"] == pytest.approx(difference)  # not permuted again


@pytest.mark.parametrize("method", ["experiment", "matching", "weighting"])
def test_a_planted_effect_is_found_again(arms: Any, method: str) -> None:
    """The difference between two blinded runs is exactly what was planted; the truth of 5 is in neither."""
    outcome, treated = _drawn()
    covariates = {"x": np.random.default_rng(4).normal(size=400)}
    without, planted = (
        finding.estimate(*arms(method, outcome, treated, covariates, blinded=True, planted=size), seed=1)
        for size in (None, 2.0)
    )
    assert planted.headline["estimate"] - without.headline["estimate"] == pytest.approx(2.0, abs=1e-9)
    assert abs(planted.headline["estimate"] - 2.0) < 1.5  # five standard errors, as above
    assert planted.notes[1] == "An effect of 2 was planted in y."


def test_an_effect_is_planted_from_the_start_on(panel: Any) -> None:
    sample, design = panel(_panel(), blinded=True, planted=7.0)
    mixed = blinding.blind(sample, design).frame
    plain = blinding.permuted(sample, blinding.seed_of(design.id)).frame
    added = mixed["outcome_1"] - plain["outcome_1"]
    exposed = (mixed["cohort"].fillna(99).astype(int) <= mixed["period"]).to_numpy()
    np.testing.assert_allclose(added[exposed], 7.0, atol=1e-12)
    assert (added[~exposed] == 0).all()
    found = finding.estimate(sample, design, seed=1)
    without = finding.estimate(sample, design.model_copy(update={"planted": None}), seed=1)
    assert found.headline["estimate"] - without.headline["estimate"] == pytest.approx(7.0, abs=1e-8)


def test_an_effect_is_planted_by_what_was_received() -> None:
    frame = pd.DataFrame({"received": [0.0, 0.5, 2.0], "treated": [False, False, True]})
    assert blinding._exposed(frame).tolist() == [0.0, 0.5, 2.0]


def test_an_effect_cannot_be_planted_in_open_outcomes(arms: Any) -> None:
    with pytest.raises(ValidationError, match="E-SET-345"):
        arms("experiment", *_drawn(), planted=1.0)


# plans ----------------------------------------------------------------------------------------------------------------

PARAMS = """
seed: 1
evaluations:
  garage:
    role: decision
    innovation: garages-solidaires
    data: {file: rows.csv}
    method: experiment
    blinded: true
    outcomes:
      - {column: y, role: primary, unit: points, better: higher, smallest_effect: 1}
    treatment: d
"""


def _plan(project: Any, text: str = PARAMS) -> Any:
    return project(text)


def test_a_frozen_plan_makes_a_finding_confirmatory_until_it_changes(project: Any) -> None:
    root = _plan(project)
    assert registration.status("garage").state == "open"
    told = registration.freeze("garage")
    line = next(line for line in told.splitlines() if line.strip().startswith("frozen:"))
    opened = PARAMS.replace("    blinded: true\n", line + "\n")
    (root / "params.yaml").write_text(opened, encoding="utf-8")
    assert registration.status("garage").in_words() == "garage: as planned; outcomes are open."
    assert _registered(root) == 0.0
    (root / "params.yaml").write_text(opened.replace("smallest_effect: 1", "smallest_effect: 0.1"), encoding="utf-8")
    found = registration.status("garage")
    assert found.state == "deviated"
    assert "outcomes: planned" in found.differences[0]
    assert "'smallest_effect': 0.1" in found.differences[0]
    assert _registered(root) == 1.0
    registration.kept_plan("garage").unlink()
    assert "is missing" in registration.status("garage").differences[0]


def _registered(root: Any) -> float:
    found = {check.check: check for check in checks.unmeasured(read_design("garage", root))}
    return float(found["registration.plan"].value)


def test_a_plan_cannot_be_frozen_with_open_eyes_or_twice(project: Any) -> None:
    root = _plan(project, PARAMS.replace("blinded: true", "blinded: false"))
    with pytest.raises(ParametersError) as caught:
        registration.freeze("garage")
    assert caught.value.code == "E-CLI-060"
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    first = registration.freeze("garage")
    assert registration.freeze("garage") == first  # the same plan: nothing changes
    (root / "params.yaml").write_text(PARAMS.replace("smallest_effect: 1", "smallest_effect: 2"), encoding="utf-8")
    with pytest.raises(ParametersError) as caught:
        registration.freeze("garage")
    assert caught.value.code == "E-CLI-061"


def test_planting_opening_and_freezing_are_no_change_of_the_plan(project: Any) -> None:
    root = _plan(project)
    before = read_design("garage", root).plan_sha256()
    planted = PARAMS.replace("blinded: true", "blinded: true\n    planted: 3")
    (root / "params.yaml").write_text(planted, encoding="utf-8")
    assert read_design("garage", root).plan_sha256() == before


def test_the_command_line_freezes_and_tells(project: Any) -> None:
    _plan(project)
    run = CliRunner().invoke(cli.app, ["plan", "freeze", "garage"])
    assert run.exit_code == 0, run.output
    assert "frozen: " in run.stdout
    told = CliRunner().invoke(cli.app, ["plan", "status", "garage", "--json"])
    assert json.loads(told.stdout) == {"evaluation": "garage", "state": "open", "blinded": True, "differences": []}
    assert (
        "no plan was frozen; outcomes are still blinded"
        in CliRunner().invoke(cli.app, ["plan", "status", "garage"]).stdout
    )
