"""Commands, as people call them: what they print, where, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from evaluation import cli, store
from evaluation.errors import DataError, ProblemsError
from evaluation.pipeline import dvc
from evaluation.pipeline import run as pipeline
from evaluation.settings.params import read_params

DESIGN = """
method: experiment
outcomes: [{column: score, role: primary, unit: points, better: higher, smallest_effect: 0.5}]
treatment: offered
covariates: [age]
"""


@pytest.fixture
def survey(tmp_path) -> Path:
    """A trial of eight persons and its design, outside any project."""
    # Means: treated (4 + 6 + 5 + 5) / 4 = 5, comparison (1 + 3 + 2 + 2) / 4 = 2. The effect is 3.
    rows = {
        "offered": [1, 1, 1, 1, 0, 0, 0, 0],
        "score": [4, 6, 5, 5, 1, 3, 2, 2],
        "age": [20, 30, 25, 24, 22, 31, 26, 23],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "design.yaml").write_text(DESIGN)
    return tmp_path


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "evaluation", *arguments], cwd=cwd, capture_output=True, text=True)


def call(*arguments: str):
    """In this process; errors of ours come out as they are."""
    return CliRunner().invoke(cli.app, [*arguments], catch_exceptions=True)


# one process each: what a shell sees ---------------------------------------------------------------------------------


def test_estimate_prints_one_record_and_nothing_else_anywhere_on_the_disk(survey):
    ended = command("estimate", "survey.csv", "--design", "design.yaml", "--json", cwd=survey)
    assert ended.returncode == 0, ended.stderr
    record = json.loads(ended.stdout)
    assert record["headline"]["estimate"] == pytest.approx(3)
    # HC2: each arm has variance 2/3 and 4 units: sqrt(2/3/4 + 2/3/4) = sqrt(1/3).
    assert record["headline"]["std_error"] == pytest.approx(np.sqrt(1 / 3))
    assert {file.name for file in survey.iterdir()} == {"survey.csv", "design.yaml"}


def test_errors_are_json_on_stderr_with_json_and_stdout_stays_empty(survey):
    (survey / "design.yaml").write_text(DESIGN.replace("score", "skore"))
    ended = command("estimate", "survey.csv", "--design", "design.yaml", "--json", cwd=survey)
    assert ended.returncode == 3
    assert ended.stdout == ""
    told = json.loads(ended.stderr)
    assert told["exit_code"] == 3
    assert "skore" in ended.stderr


def test_errors_are_text_for_people_without_a_traceback(survey):
    (survey / "design.yaml").write_text(DESIGN.replace("method: experiment", "method: experimant"))
    ended = command("estimate", "survey.csv", "--design", "design.yaml", cwd=survey)
    assert ended.returncode == 2
    assert "did you mean experiment?" in ended.stderr
    assert ended.stderr.rstrip().endswith("nothing was written; last good outputs are kept")
    assert "Traceback" not in ended.stderr


def test_usage_errors_have_exit_code_2(survey):
    ended = command("estimate", cwd=survey)
    assert ended.returncode == 2
    assert "DATA" in ended.stderr


def test_a_project_command_outside_a_project_says_so(survey):
    ended = command("status", cwd=survey)
    assert ended.returncode == 6
    assert "E-STO-002" in ended.stderr


# in this process -----------------------------------------------------------------------------------------------------


@pytest.fixture
def finished(project, survey) -> Path:
    """A project with one record, made by `estimate`."""
    root = project()
    from evaluation.evidence import record
    from evaluation.pipeline import single

    made = single.estimate(survey / "survey.csv", survey / "design.yaml")
    record.write(made)
    return root


def test_help_shows_the_commands_of_people_and_hides_those_of_dvc():
    text = call("--help").stdout
    for name in ("run", "status", "why", "check", "estimate", "grade", "compare", "report", "doctor"):
        assert name in text
    assert "stage" not in text
    assert "Examples: evaluation run" in call("run", "--help").stdout


def test_estimate_in_words_names_outcome_interval_and_checks(survey, project):
    project()
    text = call("estimate", str(survey / "survey.csv"), "--design", str(survey / "design.yaml")).stdout
    assert "score (points)" in text
    assert "estimate              3" in text
    assert "balance.max_smd: " in text


def test_grade_takes_an_id_or_a_file_and_says_what_holds_it_down(finished):
    by_id = call("grade", "design")
    assert by_id.exit_code == 0, by_id.output
    assert "design: " in by_id.stdout
    assert " of 5" in by_id.stdout
    assert "what holds it down:" in by_id.stdout
    file = store.path("data", "evidence", "estimated", "design", "record.json")
    assert call("grade", str(file)).stdout == by_id.stdout
    assert json.loads(call("grade", "design", "--json").stdout)["id"] == "design"


def test_a_record_that_does_not_exist_is_told(finished):
    ended = call("grade", "no/such/file.json")
    assert ended.exception.code == "E-CLI-001"
    assert ended.exception.exit_code == 2


def test_compare_puts_two_records_side_by_side(finished):
    text = call("compare", "design", "design").stdout
    for row in ("estimate", "standard error", "grade", "verdict"):
        assert row in text


def test_check_reads_everything_that_people_wrote(project):
    project()
    assert f"{len(read_params().evaluations)} evaluations" in call("check").stdout


def test_check_reports_all_problems_with_their_lines(project):
    root = project()
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("adjustment: none", "adjustmant: none", 1))
    ended = call("check")
    assert isinstance(ended.exception, ProblemsError)
    assert "did you mean adjustment?" in str(ended.exception)


def test_check_data_shows_which_rows_were_dropped(project):
    project()
    text = call("check", "data", "work-experience-trial").stdout
    assert "445 rows left" in text
    assert "re78" in text


def test_status_has_one_line_an_evaluation_with_the_reason(project, monkeypatch):
    project()
    states = [
        pipeline.State(evaluation_id="one", method="did", reasons=()),
        pipeline.State(evaluation_id="another", method="matching", reasons=("code: a changed", "code: b changed")),
    ]
    monkeypatch.setattr(pipeline, "states", lambda: states)
    monkeypatch.setattr(dvc, "changed", lambda: {"data/portfolio": ["needs", "report"]})
    assert call("status").stdout.splitlines() == [
        "one      did         fresh",
        "another  matching    stale: code: a changed (and 1 more: evaluation why)",
        "changed since the last whole run: data/portfolio (needs, report)",
    ]
    told = json.loads(call("status", "--json").stdout)
    assert told["evaluations"][0] == {"id": "one", "method": "did", "reasons": []}
    assert told["changed"] == {"data/portfolio": ["needs", "report"]}


def test_run_says_what_ran_and_where_to_look(project, monkeypatch):
    root = project()
    calls = []

    def run(ids, *, jobs, internal):
        calls.append((tuple(ids), jobs, internal))
        return ["impact"]

    monkeypatch.setattr(pipeline, "run", run)
    text = call("run", "small-classes", "--jobs", "1", "--internal").stdout
    assert calls == [(("small-classes",), 1, True)]
    assert text.splitlines() == ["ran: impact", f"open {root / 'reports' / 'index.html'}"]


def test_an_interrupted_run_says_what_is_kept(project, monkeypatch):
    project()
    monkeypatch.setattr(pipeline, "run", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    ended = call("run")
    assert ended.exit_code == 130
    assert "what was finished is kept" in ended.stderr


def test_doctor_ends_with_the_code_of_a_setup_problem_if_anything_is_wrong(project, monkeypatch):
    from evaluation.pipeline import doctor

    project()
    finding = doctor.Finding(what="disk", healthy=False, found="0.1 GB free", fix="make room")
    monkeypatch.setattr(doctor, "examine", lambda: [finding])
    ended = call("doctor")
    assert ended.exit_code == 6
    assert ended.stdout.splitlines() == ["NO  disk: 0.1 GB free", "    fix: make room"]


# the last resort -----------------------------------------------------------------------------------------------------


def test_main_turns_an_unforeseen_exception_into_one_short_text_and_a_log(project, monkeypatch, capsys):
    project()
    monkeypatch.setattr(cli, "app", lambda **_: 1 / 0)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 70
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "Traceback" not in told
    assert "Traceback" in store.read_text(store.path("tmp", "log", "evaluation.log"))


def test_main_prints_an_error_of_ours_and_ends_with_its_code(monkeypatch, capsys):
    def app(**_):
        raise DataError(code="E-DATA-099", what="Two rows for one unit.")

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(sys, "argv", ["evaluation", "run"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 3
    assert capsys.readouterr().err.startswith("E-DATA-099 Two rows for one unit.")
