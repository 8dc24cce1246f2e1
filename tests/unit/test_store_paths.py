"""Paths stay inside the project."""

from pathlib import Path

import pytest

from evaluation import store
from evaluation.errors import ParametersError, SetupError


def test_the_root_is_what_the_variable_names(project):
    root = project("{}")
    assert store.root() == root.resolve()


def test_a_variable_that_names_no_folder_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("EVALUATION_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(SetupError, match="E-STO-001"):
        store.root()


def test_the_root_is_the_nearest_folder_above_with_both_files(project, monkeypatch):
    root = project("{}")
    monkeypatch.delenv("EVALUATION_ROOT")
    deep = root / "data" / "raw" / "2024"
    deep.mkdir(parents=True)
    (deep / "params.yaml").write_text("{}")  # one of the two files is not enough
    monkeypatch.chdir(deep)
    assert store.root() == root.resolve()


def test_a_folder_outside_of_any_project_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("EVALUATION_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match="E-STO-002"):
        store.root()


def test_a_path_is_joined_below_the_root(project):
    root = project("{}")
    assert store.path("data", "processed", "small-classes") == root.resolve() / "data/processed/small-classes"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "data/../../secret.csv",
        "/etc/passwd",
        "C:/secret.csv",
        "C:secret.csv",
        "\\\\server\\share",
        "..\\secret.csv",
        "a\0b",
        "",
        " ",
    ],
)
def test_a_path_that_leaves_the_project_is_refused(project, name):
    project("{}")
    with pytest.raises(ParametersError, match="E-STO-003"):
        store.resolve(name)


def test_a_path_made_of_an_absolute_part_is_refused(project):
    project("{}")
    with pytest.raises(ParametersError, match="E-STO-003"):
        store.path("/etc/passwd")


def test_a_link_that_leaves_the_project_is_refused(project, tmp_path):
    root = project("{}")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (root / "data").mkdir(exist_ok=True)
    (root / "data" / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(ParametersError, match="E-STO-004"):
        store.resolve("data/link.csv")


def test_a_path_below_another_base_does_not_need_a_project(tmp_path, monkeypatch):
    monkeypatch.delenv("EVALUATION_ROOT", raising=False)
    assert store.resolve("data/a.csv", base=tmp_path) == tmp_path.resolve() / "data" / "a.csv"


@pytest.mark.parametrize("identifier", ["a", "small-classes", "2024-trial", "a" * 64])
def test_a_slug_is_returned(identifier):
    assert store.require_slug(identifier) == identifier


@pytest.mark.parametrize(
    "identifier",
    [
        "../x",
        "con",
        "lpt1",
        "a b",
        "x; touch y",
        "A",
        "é",
        "",
        "-a",
        "a-",
        "a--b",
        "a.b",
        "a_b",
        "a\n",
        "a" * 65,
    ],
)
def test_an_id_that_could_leave_its_folder_or_reach_a_shell_is_refused(identifier):
    with pytest.raises(ParametersError, match="E-STO-005"):
        store.require_slug(identifier)


def test_a_slug_is_text():
    assert not store.is_slug(2024)
    assert not store.is_slug(Path("a"))
