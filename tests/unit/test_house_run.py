"""run.py, the one door: what it decides, without making an environment."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def door(repository, tmp_path, monkeypatch):
    """run.py as a module that believes it stands in an empty project."""
    spec = importlib.util.spec_from_file_location("door", repository / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    python = venv / "bin" / "python"
    places = {
        "ROOT": tmp_path,
        "VENV": venv,
        "PYTHON": python,
        "LOCKED": tmp_path / "requirements.lock",
        "STAMP": venv / "setup.json",
        "UNFINISHED": venv / "setup-unfinished",
    }
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    python.parent.mkdir(parents=True)
    python.touch()
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    module.LOCKED.write_text(
        "uv==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via evaluation\nvine==5 \\\n"
    )
    return module


def stamp(door) -> None:
    door.STAMP.write_text(json.dumps(door.wanted()))


def test_a_finished_setup_is_fresh(door):
    assert not door.is_fresh()
    stamp(door)
    assert door.is_fresh()


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", ".venv/pyvenv.cfg"])
def test_a_changed_lock_project_or_python_makes_the_environment_stale(door, name):
    stamp(door)
    with (door.ROOT / name).open("a") as file:
        file.write("version = 3.12.1\n")
    assert not door.is_fresh()


def test_an_interrupted_setup_is_stale(door):
    stamp(door)
    door.UNFINISHED.touch()
    assert not door.is_fresh()


def test_a_stamp_cut_in_the_middle_is_stale(door):
    door.STAMP.write_text('{"place": ')
    assert not door.is_fresh()


def test_a_folder_that_was_moved_is_noticed(door, monkeypatch):
    stamp(door)
    assert not door.has_moved()
    monkeypatch.setattr(door, "ROOT", door.ROOT / "elsewhere")
    assert door.has_moved()


def test_uv_is_installed_with_the_hashes_of_the_lock(door):
    assert door.locked_block("uv") == "uv==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"


def test_a_lock_without_uv_is_told(door, capsys):
    with pytest.raises(SystemExit) as stopped:
        door.locked_block("absent")
    assert stopped.value.code == 6
    assert "E-ENV-005" in capsys.readouterr().err


@pytest.mark.parametrize(("failing", "code"), [("-r", "E-ENV-002"), ("sync", "E-ENV-003"), ("--editable", "E-ENV-004")])
def test_a_failing_installation_says_which_step(door, monkeypatch, capsys, failing, code):
    """With sync failing, pip tries the same list; it fails as well here, because it takes -r and no --no-deps."""

    def run(*arguments):
        by_pip_for_all = "-r" in arguments and "--no-deps" not in arguments
        return int(failing in arguments or (failing == "sync" and by_pip_for_all))

    monkeypatch.setattr(door, "run", run)
    with pytest.raises(SystemExit):
        door.install()
    assert code in capsys.readouterr().err


def test_a_python_that_cannot_make_environments_is_told(door, monkeypatch, capsys):
    failed = SimpleNamespace(returncode=1, stdout="ensurepip is not available", stderr="")
    monkeypatch.setattr(door, "base_python", lambda: "python3")
    monkeypatch.setattr(door.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit):
        door.make_venv()
    told = capsys.readouterr().err
    assert "E-ENV-001" in told
    assert "ensurepip is not available" in told


def test_no_suitable_python_is_told(door, monkeypatch, capsys):
    monkeypatch.setattr(door, "is_suitable", lambda _: False)
    with pytest.raises(SystemExit):
        door.base_python()
    assert "E-ENV-006" in capsys.readouterr().err


def test_exit_codes_and_signals_of_children_are_passed_on(door, monkeypatch):
    monkeypatch.setattr(door, "PYTHON", sys.executable)
    assert door.run("-c", "raise SystemExit(5)") == 5
    assert door.run("-c", "import os; os.kill(os.getpid(), 9)") == 128 + 9


def test_children_find_our_scripts_first_and_keep_their_bytecode(door, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = door.child_environment()
    assert environment["PATH"].startswith(str(door.SCRIPTS))
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["DVC_NO_ANALYTICS"] == "1"


def test_help_and_unknown_verbs_need_no_environment(repository):
    door = [sys.executable, str(repository / "run.py")]
    told = subprocess.run([*door, "help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert "reports/index.html" in told.stdout
    wrong = subprocess.run([*door, "reprot"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "no verb 'reprot'" in wrong.stderr


def test_run_py_needs_the_standard_library_only(repository):
    tree = ast.parse((repository / "run.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_ci_calls_the_command_of_the_readme(repository):
    commands = [line for line in (repository / ".ci" / "run").read_text().splitlines() if line.startswith("python3")]
    assert commands == ["python3 run.py test"]
    assert "python3 run.py test" in (repository / "README.md").read_text(encoding="utf-8")


def test_the_lock_holds_hashes_and_no_host_names(repository):
    text = (repository / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pins = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert [line for line in pins if "==" not in line or not line.endswith("\\")] == []


def test_paths_with_spaces_and_accents_are_no_problem(repository, tmp_path):
    folder = tmp_path / "évaluation d'ici"
    folder.mkdir()
    copy = Path(folder / "run.py")
    copy.write_bytes((repository / "run.py").read_bytes())
    told = subprocess.run([sys.executable, str(copy), "help"], capture_output=True, text=True, cwd="/")
    assert told.returncode == 0
