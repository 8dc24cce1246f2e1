"""Stages: one at a time, strays removed, word left for the run that waits."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation import store
from evaluation.errors import DataError, InternalError, ParametersError, Problem, ProblemsError, SetupError
from evaluation.pipeline import doctor, dvc, progress, run, stages


@pytest.fixture
def root(project, monkeypatch) -> Path:
    root = project()
    monkeypatch.chdir(root)
    for name in (dvc.JOBS, dvc.TOLD, dvc.STARTER, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    return root


@pytest.fixture
def stage(monkeypatch):
    """Stage needs does what the test says."""

    def become(work):
        monkeypatch.setattr(stages, "import_module", lambda _: SimpleNamespace(run=work))

    return become


def test_an_unknown_stage_is_refused(root):
    with pytest.raises(ParametersError, match="E-PIPE-008"):
        stages.run_stage("need")


def test_a_stage_knows_its_place_and_says_what_it_did(root, stage, capsys):
    stage(lambda task: f"{task.position} with {task.jobs} jobs")
    assert stages.run_stage("needs", jobs=3) == "3/7 with 3 jobs"
    assert capsys.readouterr().err == "[3/7] needs · 3/7 with 3 jobs\n"


def test_two_stages_at_once_the_second_is_refused(root, stage):
    def nested(task):
        with pytest.raises(SetupError, match="E-STO-017"):
            stages.run_stage("impact")
        return "alone"

    stage(nested)
    assert stages.run_stage("needs") == "alone"


def test_only_named_evaluations_are_chosen_in_the_order_of_params():
    task = stages.Task(position="1/7", jobs=1, only=("c", "a"))
    assert task.chosen(["a", "b", "c"]) == ["a", "c"]
    assert stages.Task(position="1/7", jobs=1).chosen(["b", "a"]) == ["b", "a"]


def test_folders_and_notebooks_of_removed_evaluations_go(tmp_path):
    (tmp_path / "gone" / "tables").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "lost.ipynb").touch()
    assert stages.forget_others(tmp_path, ["kept"]) == ["gone", "lost"]
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert stages.forget_others(tmp_path / "absent", []) == []
    assert stages.in_words(1, 3, ["gone"]) == "1 done, 2 fresh, removed gone (no longer in params.yaml)"


# word for the run that waits -----------------------------------------------------------------------------------------


def told(root) -> list[dict]:
    return [json.loads(line) for line in (root / "told").read_text().splitlines()]


def test_a_stage_leaves_word_of_its_end(root, stage, monkeypatch):
    monkeypatch.setenv(dvc.TOLD, str(root / "told"))
    stage(lambda task: "done")
    dvc.run_stage("needs")
    assert told(root) == [{"stage": "needs", "error": None}]


@pytest.mark.parametrize(
    "error",
    [
        DataError(code="E-DATA-099", what="Two rows.", where="column id", found="2", expected="1", fix="mend"),
        ProblemsError(
            [
                Problem(
                    file="params.yaml",
                    key="x",
                    line=3,
                    found="",
                    expected="",
                    nearest="y",
                    message="no",
                    code="E-SET-099",
                )
            ]
        ),
    ],
)
def test_the_error_of_a_stage_reaches_the_run_whole(root, stage, monkeypatch, error):
    def fail(task):
        raise error

    monkeypatch.setenv(dvc.TOLD, str(root / "told"))
    stage(fail)
    with pytest.raises(SystemExit) as stopped:
        dvc.run_stage("needs")
    assert stopped.value.code == error.exit_code
    again = dvc._from_data(told(root)[0]["error"])
    assert (type(again), str(again)) == (type(error), str(error))


def test_without_a_run_that_waits_the_error_is_raised(root, stage):
    def fail(task):
        raise ZeroDivisionError

    stage(fail)
    with pytest.raises(InternalError, match="E-PIPE-006"):
        dvc.run_stage("needs")


def test_a_dvc_that_cannot_work_is_a_problem_of_the_machine(root, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=255))
    with pytest.raises(SetupError, match="E-PIPE-009"):
        run.run()


def test_what_dvc_says_of_its_stages_is_turned_round(root, monkeypatch):
    said = {
        "report": [{"changed deps": {"data/portfolio": "modified", "params.yaml": {"languages": "modified"}}}],
        "needs": [{"changed deps": {"data/portfolio": "modified"}}, "changed command"],
    }
    answer = SimpleNamespace(returncode=0, stdout=json.dumps(said), stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert dvc.changed() == {
        "data/portfolio": ["needs", "report"],
        "dvc.yaml (changed command)": ["needs"],
        "params.yaml languages": ["report"],
    }


def test_a_dvc_that_cannot_say_what_changed_is_told(root, monkeypatch):
    answer = SimpleNamespace(returncode=255, stdout="", stderr="not a repository\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(SetupError, match="E-PIPE-010"):
        dvc.changed()


def test_a_report_for_internal_use_is_written_beside_dvc(root, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command) or SimpleNamespace(returncode=0))
    monkeypatch.setattr(stages, "run_stage", lambda name, **options: calls.append((name, options["internal"])))
    assert run.run(internal=True) == ["report"]
    assert "report" not in calls[0]
    assert calls[1] == ("report", True)


def test_a_stage_ends_with_the_run_that_started_it():
    """Nobody has the number of a process that has just ended."""
    with subprocess.Popen(["true"]) as short:
        short.wait()
    assert not dvc._lives(short.pid)
    assert dvc._lives(1)


def test_what_killed_processes_left_in_the_table_of_dvc_is_forgotten(root):
    """A living process that is not DVC's has the number of a dead one."""
    table = root / ".dvc" / "tmp" / "rwlock"
    others = {"pid": os.getppid(), "cmd": "dvc repro"}
    store.write_json(table, {"write": {"data/processed": others}, "read": {"data/raw": [others]}})
    dvc._forget_the_dead()
    assert store.read_json(table) == {"write": {}, "read": {}}


def test_a_dead_process_that_nobody_collected_counts_as_dead():
    short = subprocess.Popen(["true"])
    time.sleep(0.3)
    assert not dvc._is_at_work({"pid": short.pid})
    short.wait()


def test_a_dvc_that_works_is_left_alone():
    # Its name is not in the table of processes until it has begun: it says so first.
    command = [sys.executable, "-c", "print('begun', flush=True); input()", "dvc", "repro"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout is not None
        assert living.stdout.readline().strip() == b"begun"
        assert dvc._is_at_work({"pid": living.pid})
        living.communicate(b"\n")


def test_a_table_of_dvc_that_was_cut_is_removed(root):
    table = root / ".dvc" / "tmp" / "rwlock"
    store.write_text(table, '{"write": {"da')
    dvc._forget_the_dead()
    assert not table.exists()


# progress and log ----------------------------------------------------------------------------------------------------


def test_a_terminal_gets_one_line_that_is_rewritten(root, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.Progress("1/7", "prepare", 2) as shown:
        shown.done("one")
        shown.done("two", "E-DATA-001 broken")
    text = capsys.readouterr().err
    assert "[1/7] prepare · two 2/2 · 00:00 elapsed · E-DATA-001 broken" in text
    assert text.count("\n") <= 2


def test_a_long_stage_is_heard_from(root, monkeypatch, capsys):
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.02)
    with progress.Progress("2/7", "impact", 3):
        time.sleep(0.1)
    assert "[2/7] impact · 0/3 · 00:00 elapsed" in capsys.readouterr().err


def test_outside_a_project_the_log_goes_to_the_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALUATION_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert progress.log("evaluation", "text") == tmp_path / "evaluation-evaluation.log"


# doctor --------------------------------------------------------------------------------------------------------------


def test_the_doctor_looks_at_everything_and_names_the_remedy(root):
    store.write_text(root / "requirements.lock", "pandas==0.1 \\\n    --hash=sha256:aa\n")
    found = {finding.what: finding for finding in doctor.examine()}
    assert set(found) == {"Python", "packages", "git", "DVC", "disk", "folder", "params.yaml and portfolio"}
    assert found["Python"].healthy
    assert found["params.yaml and portfolio"].healthy
    assert not found["packages"].healthy
    assert "pandas" in found["packages"].found
    assert not found["git"].healthy
    assert found["packages"].fix == "python3 run.py setup"


def test_the_doctor_sees_another_run(root):
    with store.lock("run"):
        folder = next(finding for finding in doctor.examine() if finding.what == "folder")
    assert not folder.healthy
    assert "Another run is using 'run'." in folder.found


def test_a_reason_of_two_stages_is_said_once(root, monkeypatch):
    monkeypatch.setattr(run.fingerprint, "shared_inputs", lambda _: {})
    monkeypatch.setattr(run.prepare, "why_stale", lambda *_: ("parameter y", "data"))
    monkeypatch.setattr(run.impact, "why_stale", lambda *_: ("parameter y", "notebook"))
    assert {state.reasons for state in run.states()} == {("parameter y", "data", "notebook")}
